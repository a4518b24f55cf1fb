"""What is compared: our verifier on every engine, and the raw engines under it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.bench.bare import (
    Call,
    Overflowed,
    batch_rollout,
    has_mujoco_warp,
    mjx_scan,
    rollouts,
    step_loop,
    warp_loop,
)
from worldverify.bench.facts import raw_room
from worldverify.engines.backend import MUJOCO, Backend, backend_of, parse_engine
from worldverify.kernels.mujoco_cpu import usable_cpus
from worldverify.local import LocalVerifier
from worldverify.task import Task
from worldverify.verdict import Verdicts

Floats = NDArray[np.float64]
Lines = Sequence[dict[str, object]]

# What an engine does on a CPU device, until it has been measured: steps/s, and s to compile a scene.
EXPECTED = {"mujoco": (20_000.0, 0.1), "mjx-warp": (500.0, 40.0), "mujoco-warp": (500.0, 40.0), "mjx-jax": (30.0, 40.0)}
MOST_ON_CPU = {"mjx-warp": 64, "mujoco-warp": 64, "mjx-jax": 8}  # lanes on a CPU device, unless batches are named
FEWEST_LANES = 8  # that MJX programs of ours are compiled for
RAW_S = 10.0  # s that one call of a raw engine on a CPU device may take; it steps less of the horizon to keep it
MOST_RAW = 512  # plans of a raw call of MuJoCo C, whose rate has settled by then
MORE_ROOM = 8  # times the buffers, at most


@dataclass(frozen=True)
class Prepared:
    """One contestant with one crowd: the call that is timed, and what it leaves behind."""

    run: Call
    steps: Callable[[], int]  # physics steps of the last call
    verdicts: list[Verdicts]  # of the last call; empty for a raw engine


@dataclass(frozen=True)
class Contestant:
    """One way to simulate a crowd."""

    name: str  # in tables
    engine: str  # "mujoco", "mjx-warp", "mjx-jax", "mujoco-warp"
    device: str  # "cpu", "gpu"
    cpus: int | None  # threads; None where the device is not a number of CPUs
    checked: bool  # gives verdicts, with every check; else it is the raw engine
    make: Callable[[Task, Lines, Floats], Prepared]
    close: Callable[[], None] = lambda: None
    one_size: bool = False  # its rate does not depend on the batch: measured at one only
    most: int | None = None  # plans; a raw call records whole trajectories, which must fit the memory

    def expected_s(self, task: Task, plans: int) -> float:
        """s of a first call, before anything was measured."""
        rate, start = EXPECTED[self.engine] if self.device == "cpu" else (20_000.0, 120.0)
        if not self.checked and self.engine not in ("mujoco",):
            return start + RAW_S
        lanes = plans if self.engine == "mujoco" else max(plans, FEWEST_LANES)
        return start + lanes * task.samples / (rate * (self.cpus or 1))


def contestants(engines: Sequence[str]) -> tuple[list[Contestant], list[str]]:
    """All that can run here, the reference first; and a sentence for each that cannot."""
    cpus = usable_cpus()
    found, missing = [*_on_mujoco(cpus)], list[str]()
    for name in engines:
        if name == "mujoco":
            continue
        engine, impl = parse_engine(name)
        try:
            backend = backend_of("auto", engine, impl)
        except ValueError as error:
            missing.append(f"{name}: not measured. {error}")
            continue
        assert backend is not None
        found += [_judge(name, backend, None), _raw_mjx(name, backend)]
        if name == "mjx-warp" and has_mujoco_warp():
            found.append(_raw_warp(backend))
        elif name == "mjx-warp":
            missing.append("mujoco-warp: not measured. It is not installed: pip install mujoco-warp.")
    return found, missing


def verifier_of(backend: Backend, threads: int | None = None) -> LocalVerifier:
    """Our verifier on that engine."""
    return LocalVerifier(threads=threads, backend=backend)


def _on_mujoco(cpus: int) -> list[Contestant]:
    """Ours and the raw calls that MuJoCo offers, on all CPUs that may be used and on one."""

    def raw(name: str, threads: int, run: Callable[..., Call]) -> Contestant:
        def make(task: Task, _: Lines, controls: Floats) -> Prepared:
            call = run(task, controls) if run is step_loop else run(task, controls, threads)
            return Prepared(call, lambda: len(controls) * task.samples, [])

        one_size = threads < cpus or run is step_loop
        return Contestant(name, "mujoco", "cpu", threads, False, make, one_size=one_size, most=MOST_RAW)

    all_cpus = [
        _judge("mujoco", MUJOCO, cpus),
        raw("raw mujoco.batch", cpus, batch_rollout),
        raw("raw mujoco.rollout", cpus, rollouts),
    ]
    if cpus == 1:
        return [*all_cpus, raw("raw mj_step", 1, step_loop)]
    return [
        *all_cpus,
        _judge("mujoco", MUJOCO, 1, one_size=True),
        raw("raw mujoco.batch", 1, batch_rollout),
        raw("raw mujoco.rollout", 1, rollouts),
        raw("raw mj_step", 1, step_loop),
    ]


def _judge(name: str, backend: Backend, threads: int | None, *, one_size: bool = False) -> Contestant:
    kept: list[LocalVerifier] = []  # one for all batches, as a caller would keep it

    def make(task: Task, lines: Lines, _: Floats) -> Prepared:
        if not kept:
            kept.append(verifier_of(backend, threads))
        found: list[Verdicts] = []

        def run() -> None:
            found[:] = [kept[0].verify(task, lines)]

        # Steps that were asked for: what is simulated a second time costs time and gives nothing more.
        return Prepared(run, lambda: task.samples * sum(v.cost.steps > 0 for v in found[0]), found)

    def close() -> None:
        while kept:
            kept.pop().close()

    return Contestant(name, name, backend.device, threads, True, make, close, one_size)


def _raw_mjx(name: str, backend: Backend) -> Contestant:
    def make(task: Task, _: Lines, controls: Floats) -> Prepared:
        cut = _cut(task, controls, name, backend.device)
        run = _with_room(task, controls, lambda room: mjx_scan(task, cut, backend.impl, backend.device, room))
        return Prepared(run, lambda: cut.shape[0] * cut.shape[1] * task.substeps, [])

    return Contestant(f"raw {name}", name, backend.device, None, False, make)


def _raw_warp(backend: Backend) -> Contestant:
    def make(task: Task, _: Lines, controls: Floats) -> Prepared:
        cut = _cut(task, controls, "mujoco-warp", backend.device)
        run = _with_room(task, controls, lambda room: warp_loop(task, cut, backend.device, room))
        return Prepared(run, lambda: cut.shape[0] * cut.shape[1] * task.substeps, [])

    return Contestant("raw mujoco-warp", "mujoco-warp", backend.device, None, False, make)


def _cut(task: Task, controls: Floats, engine: str, device: str) -> Floats:
    """As much of the horizon as a slow device steps in RAW_S."""
    if device == "gpu":
        return controls
    steps = RAW_S * EXPECTED[engine][0] / len(controls)
    return controls[:, : max(1, int(steps / task.substeps))]


def _with_room(task: Task, controls: Floats, make: Callable[[tuple[int, int]], Call]) -> Call:
    """A call whose buffers grow until nothing is lost. That happens in its first call, which is not counted."""
    contacts, rows = raw_room(task, controls)
    factor, call = 1, make((contacts, rows))

    def run() -> Any:
        nonlocal factor, call
        while True:
            try:
                return call()
            except Overflowed:
                if factor >= MORE_ROOM:
                    raise
                factor *= 2
                call = make((factor * contacts, factor * rows))

    return run
