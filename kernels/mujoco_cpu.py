"""MuJoCo C in float64 on the CPU: the engine that defines what is true."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import mujoco
import numpy as np
from mujoco import batch
from numpy.typing import NDArray

from worldverify.kernels.engine import EngineInfo, Fault, Fork, Samples
from worldverify.kernels.mujoco_checks import DERIVED_FIELDS, STATE_FIELDS, Checks, Record, warned
from worldverify.kernels.trust import Limits, largest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_TIME = mujoco.mjtState.mjSTATE_TIME
_CTRL = mujoco.mjtState.mjSTATE_CTRL
_PARTS = {"qpos": mujoco.mjtState.mjSTATE_QPOS, "qvel": mujoco.mjtState.mjSTATE_QVEL}

# Samples of all lanes that are recorded before they are checked: while one block is checked the next is simulated.
# Fewer waste calls, more do not fit the cache.
BLOCK_SAMPLES = 6400
MOST_SPARE = 2  # buffers to record into that are kept
SHORTEST_BLOCK, LAST_BLOCK = 16, 20  # substeps; nothing is simulated while the last block is checked


class MujocoEngine:
    """An Engine over `mujoco.batch.Batch`; bits do not depend on threads, lanes or the length of calls."""

    def __init__(
        self,
        model: mujoco.MjModel,
        nlane: int,
        *,
        threads: int | None = None,
        limits: Limits | None = None,
        resting: mujoco.MjModel | None = None,
    ) -> None:
        """`model` must have autoreset disabled: a reset scene is a default pose, not evidence.

        `resting`: the same model with sleeping islands (`kernels.mujoco_rest`), to simulate with. What rests is not in
        a lane's state, so lanes cannot be saved and restored then.
        """
        if not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_AUTORESET:
            raise ValueError("The model resets itself when it diverges: set mjDSBL_AUTORESET before judging with it.")
        self.model = model
        self._rests = resting is not None
        nthread = min(threads or usable_cpus(), max(nlane, 1))
        self._batch = batch.Batch(resting or model, nlane, nthread=nthread, persistent=self._rests)
        self._bound = {name: self._batch.bind(name) for name in (*DERIVED_FIELDS, *STATE_FIELDS)}
        self._warm = self._batch.bind("qacc_warmstart")
        self._checks = Checks(model, nlane, limits or Limits())
        self._spare: list[Record] = []  # buffers of checked blocks, to be recorded into again

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("mujoco", "c", "cpu", "float64", mujoco.__version__)

    @property
    def nlane(self) -> int:
        return int(self._batch.nsim)

    def load(self, lanes: Ints, state: Floats) -> None:
        if self._rests:
            self._batch.reset(lanes, stage=mujoco.mjtStage.mjSTAGE_NONE)  # wakes what rests
        self._batch.state[lanes] = state
        self._batch.warning[lanes] = 0
        self._checks.load(self.model, lanes, np.broadcast_to(state, (len(lanes), np.shape(state)[-1])))

    def state(self, lanes: Ints) -> Floats:
        return np.array(self._batch.state[lanes])

    def save(self, lanes: Ints) -> Fork:
        assert not self._rests
        return Fork(self.state(lanes), self._checks.save(lanes))

    def restore(self, lanes: Ints, fork: Fork) -> None:
        self._batch.state[lanes] = fork.state
        self._batch.warning[lanes] = 0
        self._checks.restore(lanes, fork.memory)

    def advance(self, lanes: Ints, controls: Floats) -> Samples:
        cuts = list(pairwise(_cuts(controls.shape[1], len(lanes))))
        with quiet():
            if len(cuts) == 1:  # two threads for a short call cost more than they save
                return self._block(lanes, controls)()
            with ThreadPoolExecutor(max_workers=1) as checker:
                # One checker, first in first out: a block is checked after the one that it follows.
                futures = [checker.submit(self._block(lanes, controls[:, a:b])) for a, b in cuts]
                samples = [future.result() for future in futures]
        return Samples(*(np.concatenate(parts, axis=1) for parts in zip(*samples, strict=True)))

    def begin(self, lanes: Ints, controls: Floats) -> Callable[[], Samples]:
        with quiet():
            return self._block(lanes, controls)

    def observe(self, lanes: Ints) -> Samples:
        with quiet():
            failed = self._attempt(lambda: self._batch.forward(lanes))
            record: Record = {name: field[lanes][:, None] for name, field in self._bound.items()}
            fault = self._checks.faults(lanes, record, self._batch.bind("ctrl")[lanes][:, None], remember=False)
        fault[~np.isfinite(largest(self._warm[lanes]))] |= int(Fault.NOT_FINITE)
        fault[self._warnings(lanes).any(axis=1)] |= int(Fault.WARNED)
        fault[np.isin(lanes, failed)] |= int(Fault.RAISED)
        return Samples(record["sensordata"], fault)

    def _block(self, lanes: Ints, controls: Floats) -> "_Pending":
        """Simulate now; what it returns checks later."""
        start, before = self._batch.state[lanes], self._warnings(lanes)
        record, failed = self._rollout(lanes, controls)
        good = ~np.isin(lanes, failed)
        pending = self._pending(lanes, controls, record, start, before, good)
        for row in np.flatnonzero(~good):
            # Where a lane raises, its records of the call are undefined: find the substep by taking them one by one.
            pending.singly[int(row)] = self._singly(lanes[row : row + 1], controls[row : row + 1])
        return pending

    def _singly(self, lane: Ints, controls: Floats) -> "list[_Pending]":
        taken = []
        for k in range(controls.shape[1]):
            start, before = self._batch.state[lane], self._warnings(lane)
            record, failed = self._rollout(lane, controls[:, k : k + 1])
            if len(failed):
                break
            taken.append(self._pending(lane, controls[:, k : k + 1], record, start, before, np.ones(1, dtype=bool)))
        return taken

    def _pending(
        self, lanes: Ints, controls: Floats, record: Record, start: Floats, before: Ints, good: NDArray[np.bool_]
    ) -> "_Pending":
        after = self._warnings(lanes)
        return _Pending(
            self._checks, self._spare.append, self.model, lanes, controls, record, start, before, after, good
        )

    def _rollout(self, lanes: Ints, controls: Floats) -> tuple[Record, Ints]:
        record = self._buffers(len(lanes), controls.shape[1])
        out: dict[Any, NDArray[Any]] = {(_TIME if name == "time" else name): field for name, field in record.items()}
        failed = self._attempt(
            lambda: self._batch.rollout(controls.shape[1], controls, _CTRL, record=list(out), ids=lanes, out=out)
        )
        return record, failed

    def _buffers(self, lanes: int, steps: int) -> Record:
        """Arrays to record into; fresh memory for every block would cost more than the checks."""
        for i, spare in enumerate(self._spare):
            if spare["time"].shape[:2] == (lanes, steps):
                return self._spare.pop(i)
        del self._spare[:-MOST_SPARE]
        record: Record = {
            name: np.zeros((lanes, steps, *field.shape[1:]), dtype=field.dtype) for name, field in self._bound.items()
        }
        return {**record, "time": np.zeros((lanes, steps, 1))}

    @staticmethod
    def _attempt(call: Any) -> Ints:
        """Make an engine call; the lanes in which MuJoCo raised. The others ran to completion."""
        try:
            call()
        except batch.SimulationError as error:
            return np.asarray(error.ids)
        return np.empty(0, dtype=np.int64)

    def _warnings(self, lanes: Ints) -> Ints:
        return np.asarray(self._batch.warning[lanes][:, :, 1], dtype=np.int64)


def _cuts(steps: int, lanes: int) -> list[int]:
    """Where to cut a call into blocks: 0, ..., steps."""
    block = max(SHORTEST_BLOCK, BLOCK_SAMPLES // max(1, lanes))
    cuts = [*range(0, steps, block), steps]
    if steps > block:
        cuts = sorted({*cuts, max(0, steps - LAST_BLOCK)})
    return cuts


class _Pending:
    """A simulated block that waits to be checked."""

    def __init__(
        self,
        checks: Checks,
        done: Callable[[Record], None],
        model: mujoco.MjModel,
        lanes: Ints,
        controls: Floats,
        record: Record,
        start: Floats,
        before: Ints,
        after: Ints,
        good: NDArray[np.bool_],
    ) -> None:
        self.checks, self.done, self.model, self.lanes, self.controls = checks, done, model, lanes, controls
        self.record, self.start, self.before, self.after, self.good = record, start, before, after, good
        self.singly: dict[int, list[_Pending]] = {}  # row -> its substeps one by one, up to the one that raised

    def __call__(self) -> Samples:
        value = self.record["sensordata"].copy()
        fault = np.zeros(value.shape[:2], dtype=np.int32)
        if self.good.any():
            fault[self.good] = self._faults(self.good)
        for row, steps in self.singly.items():
            value[row], fault[row] = 0.0, int(Fault.RAISED)
            for k, step in enumerate(steps):
                one = step()
                value[row, k], fault[row, k] = one.value[0, 0], one.fault[0, 0]
        self.done(self.record)
        return Samples(value, fault)

    def _faults(self, good: NDArray[np.bool_]) -> NDArray[np.int32]:
        rows = slice(None) if good.all() else good
        record = {name: field[rows] for name, field in self.record.items()}
        start, controls = self.start[rows], self.controls[rows]
        for name, part in _PARTS.items():
            # The state before each substep: the start, then what the substeps before it left.
            first = start[:, state_slice(self.model, part)]
            record[name] = np.concatenate([first[:, None], record[name][:, :-1]], axis=1)
        held = start[:, state_slice(self.model, _CTRL)]
        into = np.concatenate([held[:, None], controls[:, :-1]], axis=1)
        fault = self.checks.faults(self.lanes[rows], record, into, remember=True)
        warned(fault, record["time"][:, :, 0], self.before[rows], self.after[rows])
        return fault


def usable_cpus() -> int:
    """The CPUs this process may use: affinity and the cgroup's quota, not all that the machine has."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


class _Quiet:
    """How many threads want MuJoCo to be quiet, and what it was set to before the first of them."""

    lock = Lock()
    count = 0
    before: Any = None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MuJoCo from printing warnings and writing a log file: faults are reported as data."""
    config = getattr(mujoco, "MjLogConfig", None)
    if config is None:
        yield
        return
    with _Quiet.lock:
        if not _Quiet.count:
            _Quiet.before, silent = config.get(), config.get()
            silent.logto_console, silent.logto_file = False, False
            silent.set()
        _Quiet.count += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.count -= 1
            if not _Quiet.count:
                _Quiet.before.set()


def state_slice(model: mujoco.MjModel, component: mujoco.mjtState) -> slice:
    """Where a component lies in an integration state row."""
    start = mujoco.mj_stateSize(model, int(_STATE) & (int(component) - 1))
    return slice(start, start + mujoco.mj_stateSize(model, int(component)))
