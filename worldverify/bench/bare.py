"""The raw engines, with no sensors, no checks and no verdicts: what a verdict's overhead is measured against.

Each function prepares all that can be prepared and returns the call that is timed.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import mujoco
import numpy as np
from mujoco import batch, rollout
from numpy.typing import NDArray

from worldverify.bench.facts import raw_model
from worldverify.engines.caches import use_kernel_caches
from worldverify.kernels.mujoco_cpu import quiet
from worldverify.task import Task

Floats = NDArray[np.float64]
Call = Callable[[], object]


class Overflowed(Exception):
    """Contacts or rows were lost for want of room, so what was stepped is another scene."""


SOLVER_BITS = (1 << 9) | (1 << 10)  # of mujoco_warp's overflow: the solver's limits, which lose no contact


def step_loop(task: Task, controls: Floats) -> Call:
    """`mj_step` in a Python loop on one thread, plan after plan: controls (n, T, nu)."""
    model, start = raw_model(task), task.start(0)
    data = mujoco.MjData(model)

    def run() -> None:
        with quiet():
            for plan in controls:
                mujoco.mj_setState(model, data, start, mujoco.mjtState.mjSTATE_INTEGRATION)
                for control in plan:
                    data.ctrl[:] = control
                    mujoco.mj_step(model, data, task.substeps)

    return run


def rollouts(task: Task, controls: Floats, threads: int) -> Call:
    """`mujoco.rollout` with a pool of threads that is kept."""
    model = raw_model(task)
    pool = rollout.Rollout(nthread=threads)
    data = [mujoco.MjData(model) for _ in range(threads)]
    held = np.repeat(controls, task.substeps, axis=1)
    full = mujoco.mjtState.mjSTATE_FULLPHYSICS
    mujoco.mj_setState(model, data[0], task.start(0), mujoco.mjtState.mjSTATE_INTEGRATION)
    state = np.empty(mujoco.mj_stateSize(model, full))
    mujoco.mj_getState(model, data[0], state, full)
    start = np.tile(state, (len(controls), 1))

    def run() -> None:
        with quiet():
            pool.rollout(model, data, start, held)

    return run


def batch_rollout(task: Task, controls: Floats, threads: int) -> Call:
    """`mujoco.batch.Batch.rollout`, which records qpos as it does by default."""
    lanes = batch.Batch(raw_model(task), len(controls), min(threads, len(controls)))
    held = np.repeat(controls, task.substeps, axis=1)
    start = task.start(0)

    def run() -> None:
        lanes.state[:] = start
        with quiet():
            lanes.rollout(task.samples, held)

    return run


def mjx_scan(task: Task, controls: Floats, impl: str, device: str, room: tuple[int, int]) -> Call:
    """One jitted scan of `mjx.step`, the controls on the device already; `room`: contacts and rows of a lane.

    Raises Overflowed when it runs if the room does not suffice: a rate with contacts lost is none.
    """
    _ready(impl)
    import jax
    import jax.numpy as jnp
    from mujoco import mjx

    from worldverify.kernels.mjx_model import prepared, put

    place, lanes = jax.devices(device)[0], len(controls)
    buffers = {"naconmax": room[0] * lanes, "njmax": room[1]} if impl == "warp" else {}

    def step(data: Any, _: Any) -> tuple[Any, None]:
        return jax.vmap(lambda one: mjx.step(model, one))(data), None

    def whole(data: Any, controls: Any) -> Any:
        def period(data: Any, control: Any) -> tuple[Any, None]:
            return jax.lax.scan(step, data.replace(ctrl=control), length=task.substeps)[0], None

        return jax.lax.scan(period, data, controls)[0]

    with jax.numpy_dtype_promotion("standard"), jax.enable_x64(False), jax.default_device(place):
        ready = prepared(raw_model(task), impl)
        raw, model = ready.model, put(ready, place)
        template = mjx.make_data(raw, device=place, impl=impl, **buffers)
        here = mujoco.MjData(raw)
        mujoco.mj_setState(raw, here, task.start(0), mujoco.mjtState.mjSTATE_INTEGRATION)
        fields = {name: np.asarray(getattr(here, name), np.float32) for name in ("qpos", "qvel", "qacc_warmstart")}
        start = jax.jit(jax.vmap(lambda _: template.replace(**fields)))(jnp.arange(lanes))
        told = jax.device_put(jnp.asarray(np.swapaxes(controls, 0, 1), jnp.float32), place)
        jitted = jax.jit(whole)

    def run() -> None:
        with jax.numpy_dtype_promotion("standard"), jax.enable_x64(False), jax.default_device(place):
            end: Any = jitted(start, told)
            end.qpos.block_until_ready()
        if impl == "warp":
            _check_overflow(np.asarray(end._impl.overflow))

    return run


def warp_loop(task: Task, controls: Floats, device: str, room: tuple[int, int]) -> Call:
    """Standalone mujoco_warp, one captured graph a control step on a GPU, as its own speed test runs it."""
    _ready("warp")
    import mujoco_warp  # type: ignore[import-not-found]
    import warp

    from worldverify.kernels.mjx_model import prepared

    place, lanes = "cuda" if device == "gpu" else "cpu", len(controls)
    raw = prepared(raw_model(task), "warp").model
    here = mujoco.MjData(raw)
    mujoco.mj_setState(raw, here, task.start(0), mujoco.mjtState.mjSTATE_INTEGRATION)
    with warp.ScopedDevice(place):
        model = mujoco_warp.put_model(raw)
        model.opt.warn_overflow = False
        data = mujoco_warp.put_data(raw, here, nworld=lanes, naconmax=room[0] * lanes, njmax=room[1])
        told: Any = warp.array(np.swapaxes(controls, 0, 1).astype(np.float32), dtype=float)
        begin = {name: warp.clone(getattr(data, name)) for name in ("qpos", "qvel", "qacc_warmstart", "time")}

        def period() -> None:
            for _ in range(task.substeps):
                mujoco_warp.step(model, data)

        launch = period
        if device == "gpu":
            period()  # compiles, which a capture cannot
            with warp.ScopedCapture() as capture:
                period()

            def launch() -> None:
                warp.capture_launch(capture.graph)

    def run() -> None:
        with warp.ScopedDevice(place):
            for name, field in begin.items():
                warp.copy(getattr(data, name), field)
            data.overflow.zero_()
            for t in range(len(told)):
                warp.copy(data.ctrl, told[t])
                launch()
            warp.synchronize_device()
            _check_overflow(data.overflow.numpy())

    return run


def has_mujoco_warp() -> bool:
    """Whether standalone mujoco_warp is installed; it is not imported."""
    return find_spec("mujoco_warp") is not None


def _ready(impl: str) -> None:
    """Kernels come from our own caches, and Warp does not list them on the terminal."""
    use_kernel_caches()
    if impl == "warp":
        import warp

        warp.config.log_level = warp.LOG_ERROR


def _check_overflow(bits: NDArray[np.int32]) -> None:
    lost = int(((bits & ~SOLVER_BITS) != 0).sum())
    if lost:
        raise Overflowed(f"Contacts or rows of {lost} of {bits.size} lanes did not fit the buffers: no rate.")
