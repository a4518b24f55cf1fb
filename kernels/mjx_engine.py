"""MJX in float32, on a GPU or on the CPU devices of JAX and Warp: an Engine, and a whole judgement on the device."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.deciding import Decided, Question, decide
from worldverify.kernels.engine import EngineInfo, Samples
from worldverify.kernels.measure import Expression, measure
from worldverify.kernels.mjx_model import prepared, put, versions
from worldverify.kernels.mjx_program import Looked, StepLoop, Watch
from worldverify.kernels.mjx_queue import Queue, through_lanes
from worldverify.kernels.mjx_room import Room, usual_room
from worldverify.kernels.mjx_settings import settings
from worldverify.kernels.trust import Limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = Any

FAR = 100.0  # m, rad: beyond it float32 knows a position to no better than 10 um
MOST_PROGRAMS = 64  # kept: plans of many lengths, or many specs of one scene, would fill the memory
FEWEST_LANES = 8  # of a bucket: below it every program would be compiled for its own number of lanes
# Relative force imbalance that float32 explains: over 752 states of three arm scenes Warp leaves 2e-7 in the middle and
# 1.8e-3 at most, while the wrong answers that this check is for leave 0.2 and more.
RESIDUAL = 1e-2


class MjxEngine:
    """An Engine over MJX. Programs are compiled once per batch bucket and chunk bucket, both powers of two.

    Not bit for bit repeatable on a GPU, and float32 everywhere: its verdicts need a guard band.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        nlane: int,
        *,
        impl: str,
        device: str = "cpu",
        limits: Limits | None = None,
        room: Room | None = None,
    ) -> None:
        """`impl` is "jax" or "warp"; `device` "cpu" or "gpu"; `room` the memory of a lane, for Warp.

        Raises `mjx_model.Unsupported` with a sentence where the implementation cannot simulate the model.
        """
        self.model, self._impl, self._kind = model, impl, device
        self._device = jax.devices(device)[0]
        limits = limits or Limits()
        self._limits = limits._replace(residual=RESIDUAL, position=min(limits.position, FAR))
        self._nlane = nlane
        self.traced: Counter[tuple[Any, ...]] = Counter()  # program -> how often it was traced
        self.room = (room or usual_room(model)) if impl == "warp" else None
        self._programs: OrderedDict[tuple[Any, ...], Callable[..., Any]] = OrderedDict()
        self._loops: dict[int, StepLoop] = {}
        self._lanes: tuple[Array, Watch] | None = None  # states and what is remembered of all lanes, on the device
        self._prepared = prepared(model, impl)
        with self._settings():
            self._mx = put(self._prepared, self._device)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("mjx", self._impl, self._kind, "float32", versions(self._impl))

    @property
    def nlane(self) -> int:
        return self._nlane

    # The Engine

    def resize(self, nlane: int) -> None:
        """Another number of lanes, all of them empty."""
        self._nlane, self._lanes = nlane, None

    def load(self, lanes: Ints, state: Floats) -> None:
        rows = np.broadcast_to(np.asarray(state, dtype=np.float32), (len(lanes), np.shape(state)[-1]))
        with self._settings():
            loop = self._loop(_bucket(max(self._nlane, FEWEST_LANES)))
            if self._lanes is None:
                empty = jnp.broadcast_to(jnp.asarray(loop.default), (self._nlane, loop.nstate))
                self._lanes = empty, loop.watch(empty)
            states = jnp.asarray(rows)
            self._put(lanes, (states, loop.watch(states)))

    def state(self, lanes: Ints) -> Floats:
        return np.asarray(self._loaded()[0], dtype=np.float64)[lanes]

    def advance(self, lanes: Ints, controls: Floats) -> Samples:
        steps = controls.shape[1]
        bucket, length = _bucket(max(len(lanes), FEWEST_LANES)), _bucket(steps)
        padded = np.zeros((length, bucket, controls.shape[2]), dtype=np.float32)
        padded[:steps] = np.swapaxes(controls, 0, 1)[:, _filled(np.arange(len(lanes)), bucket)]
        with self._settings():
            program = self._program(("advance", bucket, length), lambda: self._advance(bucket, length))
            states, watch, looked = program(*self._part(lanes, bucket), jnp.asarray(padded), jnp.asarray(steps))
            self._put(lanes, (states, watch))
        value, fault = (np.swapaxes(np.asarray(x)[:steps, : len(lanes)], 0, 1) for x in looked)
        return Samples(value.astype(np.float64), fault)

    def observe(self, lanes: Ints) -> Samples:
        bucket = _bucket(max(len(lanes), FEWEST_LANES))
        with self._settings():
            program = self._program(("observe", bucket), lambda: self._loop(bucket).observe)
            looked = program(*self._part(lanes, bucket))
        value, fault = (np.asarray(x)[: len(lanes), None] for x in looked)
        return Samples(value.astype(np.float64), fault)

    def _loaded(self) -> tuple[Array, Watch]:
        if self._lanes is None:
            raise ValueError("No lane has been loaded: call load first.")
        return self._lanes

    def _part(self, lanes: Ints, bucket: int) -> tuple[Array, Watch]:
        """What a program of that many lanes works on: these lanes, the first one repeated."""
        at = jnp.asarray(_filled(lanes, bucket))
        part: tuple[Array, Watch] = jax.tree.map(lambda x: x[at], self._loaded())
        return part

    def _put(self, lanes: Ints, part: tuple[Array, Watch]) -> None:
        at = jnp.asarray(lanes)
        self._lanes = jax.tree.map(lambda all, new: all.at[at].set(new[: len(lanes)]), self._loaded(), part)

    # A whole judgement

    def find(
        self,
        states: Floats,
        controls: Floats,
        *,
        substeps: int,
        samples: int,
        expressions: tuple[Expression, ...],
        scales: tuple[float, ...],
        question: Question,
    ) -> Decided:
        """B answers: states (B, nstate), controls (B, T, nu) each held for `substeps`, the last one to the end.

        The loop measures the margins of every sample and folds them on the device; nothing else comes back. The
        lanes that were loaded are left as they are.
        """
        plans, periods = controls.shape[:2]
        bucket, length = _bucket(max(plans, FEWEST_LANES)), -(-samples // substeps)
        held = controls[_filled(np.arange(plans), bucket)][:, np.minimum(np.arange(length), periods - 1)]
        with self._settings():
            key = ("find", bucket, samples, substeps, expressions, scales, question)
            program = self._program(key, lambda: self._find(bucket, samples, substeps, expressions, scales, question))
            rows = np.asarray(states, dtype=np.float32)[_filled(np.arange(plans), bucket)]
            put = jax.device_put((rows, np.swapaxes(held, 0, 1).astype(np.float32)), self._device)
            found = program(*put)
        return Decided(*(np.asarray(field)[:plans] for field in found))

    def find_in_turn(
        self,
        states: Floats,
        controls: Floats,
        *,
        substeps: int,
        samples: int,
        expressions: tuple[Expression, ...],
        scales: tuple[float, ...],
        question: Question,
        queue: Queue,
        stop: bool,
        width: float,
    ) -> tuple[Decided, Ints]:
        """The same of more plans than there are lanes, and the last sample (B,) that was simulated of each.

        `stop`: a plan ends as soon as its answer is settled by `width` margin scales.
        """
        plans, periods = controls.shape[:2]
        bucket, length = _bucket(max(plans, FEWEST_LANES)), -(-samples // substeps)
        row = _filled(np.arange(plans), bucket)
        held = controls[row][:, np.minimum(np.arange(length), periods - 1)]
        with self._settings():
            key = ("in turn", bucket, samples, substeps, expressions, scales, question, queue, stop)

            def make() -> Callable[..., Any]:
                loop, margins = self._loop(queue.lanes), _margins(expressions, scales)
                sizes = {"atoms": len(scales), "samples": samples, "substeps": substeps}
                return through_lanes(loop, queue, question, margins, stop=stop, **sizes)

            program = self._program(key, make)
            rows = np.asarray(states, dtype=np.float32)[row]
            given = rows, np.swapaxes(held, 0, 1).astype(np.float32), np.float32(width), np.int32(plans)
            found, last = program(*jax.device_put(given, self._device))
        return Decided(*(np.asarray(field)[:plans] for field in found)), np.asarray(last)[:plans]

    def fields(self, states: Floats, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """Fields of mjx.Data, (n, ...) each, after one forward evaluation of states (n, nstate).

        Names of fields that only this implementation has begin with "_impl."; "sensordata" holds all sensors.
        """
        count, bucket = len(states), _bucket(max(len(states), FEWEST_LANES))
        with self._settings():
            loop = self._loop(bucket)
            program = self._program(("fields", bucket, names), lambda: lambda rows: loop.fields(rows, names))
            rows = np.asarray(states, dtype=np.float32)[_filled(np.arange(count), bucket)]
            found = program(jax.device_put(rows, self._device))
        return {name: np.asarray(field)[:count] for name, field in zip(names, found, strict=True)}

    def _loop(self, bucket: int) -> StepLoop:
        if bucket not in self._loops:
            self._loops[bucket] = StepLoop(self.model, self._prepared, self._mx, self.room, bucket, self._limits)
        return self._loops[bucket]

    def _program(self, key: tuple[Any, ...], make: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """A jitted function, made once; `traced` counts how often JAX traces it."""
        if key not in self._programs:
            function = make()

            def counted(*args: Any) -> Any:
                self.traced[key] += 1
                return function(*args)

            self._programs[key] = jax.jit(counted)
            while len(self._programs) > MOST_PROGRAMS:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        return self._programs[key]

    def _advance(self, bucket: int, length: int) -> Callable[..., Any]:
        loop = self._loop(bucket)

        def program(states: Array, watch: Watch, controls: Array, steps: Array) -> Any:
            return loop.run(states, watch, lambda j: controls[j], length, lambda looked: looked, steps)

        return program

    def _find(
        self,
        bucket: int,
        samples: int,
        substeps: int,
        expressions: tuple[Expression, ...],
        scales: tuple[float, ...],
        question: Question,
    ) -> Callable[..., Any]:
        loop, margins = self._loop(bucket), _margins(expressions, scales)

        def program(states: Array, controls: Array) -> Any:
            watch = loop.watch(states)
            states, watch, (relative, fault) = loop.run(
                states, watch, lambda j: controls[j // substeps], samples, margins
            )
            last, end = margins(loop.observe(states, watch))
            relative = jnp.concatenate([relative, last[None]]).transpose(1, 2, 0)
            return decide(question, relative, jnp.concatenate([fault, end[None]]).T)

        return program

    def _settings(self) -> AbstractContextManager[None]:
        return settings(self._impl, self._device)


def _margins(expressions: tuple[Expression, ...], scales: tuple[float, ...]) -> Callable[[Looked], tuple[Array, Array]]:
    """What is kept of a sample of B lanes: margins (A, B) in scales, and faults (B,)."""

    def margins(looked: Looked) -> tuple[Array, Array]:
        measured = measure(expressions, looked.value[:, None])[:, :, 0]
        return measured / jnp.asarray(scales, measured.dtype)[:, None], looked.fault

    return margins


def _bucket(n: int) -> int:
    """The next power of two."""
    return 1 << max(0, n - 1).bit_length()


def _filled(lanes: Ints, bucket: int) -> Ints:
    """(bucket,) the lanes, the first one repeated."""
    return np.concatenate([lanes, np.full(bucket - len(lanes), lanes[0])])
