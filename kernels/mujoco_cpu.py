"""MuJoCo C in float64 on the CPU: the engine that defines what is true."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np
from mujoco import batch
from numpy.typing import NDArray

from worldverify.kernels.engine import EngineInfo, Fault, Samples
from worldverify.kernels.trust import Limits, finite, force_residual, within
from worldverify.kernels.tunnelling import TunnelCheck

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_TIME = mujoco.mjtState.mjSTATE_TIME
_CTRL = mujoco.mjtState.mjSTATE_CTRL
_OVERFLOWS = [int(w) for w in (mujoco.mjtWarning.mjWARN_CONTACTFULL, mujoco.mjtWarning.mjWARN_CNSTRFULL)]

_STATE_PARTS = {"qpos": mujoco.mjtState.mjSTATE_QPOS, "qvel": mujoco.mjtState.mjSTATE_QVEL}
_TRANSITION = ("qpos", "qvel", "xpos", "cvel")

# Recorded at every substep beside the state after it: what was derived from the state before it.
_DERIVED = ("sensordata", "qacc", "M", "qfrc_smooth", "qfrc_constraint", "solver_niter", "xpos", "cvel")


def usable_cpus() -> int:
    """The CPUs this process may use: affinity and the cgroup's quota, not all that the machine has."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = open("/sys/fs/cgroup/cpu.max").read().split()[:2]
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MuJoCo from printing warnings and writing a log file: faults are reported as data."""
    config = getattr(mujoco, "MjLogConfig", None)
    if config is None:
        yield
        return
    before, silent = config.get(), config.get()
    silent.logto_console, silent.logto_file = False, False
    silent.set()
    try:
        yield
    finally:
        before.set()


class MujocoEngine:
    """An Engine over `mujoco.batch.Batch`; bits do not depend on threads, lanes or the length of calls."""

    def __init__(
        self, model: mujoco.MjModel, nlane: int, *, threads: int | None = None, limits: Limits | None = None
    ) -> None:
        """`model` must have autoreset disabled: a reset scene is a default pose, not evidence."""
        if not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_AUTORESET:
            raise ValueError("The model resets itself when it diverges: set mjDSBL_AUTORESET before judging with it.")
        self.model = model
        self._limits = limits or Limits()
        self._batch = batch.Batch(model, nlane, nthread=min(threads or usable_cpus(), max(nlane, 1)))
        self._bound = {name: self._batch.bind(name) for name in _DERIVED}
        self._entries = _inertia_entries(model)
        self._tunnel = TunnelCheck(model)
        self._qpos, self._qvel = self._batch.bind("qpos"), self._batch.bind("qvel")
        self._warm = self._batch.bind("qacc_warmstart")
        # What each lane showed at its last sample, to check the transition into the next call.
        self._seen = np.zeros(nlane, dtype=bool)
        self._last = {name: np.zeros_like(self._batch.bind(name)) for name in _TRANSITION}

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("mujoco", "c", "cpu", "float64", mujoco.__version__)

    @property
    def nlane(self) -> int:
        return int(self._batch.nsim)

    def load(self, lanes: Ints, state: Floats) -> None:
        self._batch.state[lanes] = state
        self._batch.warning[lanes] = 0
        self._seen[lanes] = False

    def state(self, lanes: Ints) -> Floats:
        return np.array(self._batch.state[lanes])

    def advance(self, lanes: Ints, controls: Floats) -> Samples:
        start = self._batch.state[lanes], self._batch.warning[lanes]
        record, failed = self._rollout(lanes, controls)
        if not len(failed):
            return self._judge(lanes, record, start, controls)
        value = np.zeros((*controls.shape[:2], self.model.nsensordata))
        fault = np.zeros(controls.shape[:2], dtype=np.int32)
        good = ~np.isin(lanes, failed)
        if good.any():
            kept = {name: field[good] for name, field in record.items()}
            value[good], fault[good] = self._judge(lanes[good], kept, (start[0][good], start[1][good]), controls[good])
        for row in np.flatnonzero(~good):
            value[row], fault[row] = self._step_by_step(lanes[row : row + 1], controls[row : row + 1])
        return Samples(value, fault)

    def observe(self, lanes: Ints) -> Samples:
        with quiet():
            try:
                self._batch.forward(lanes)
                failed = np.empty(0, dtype=np.int64)
            except batch.SimulationError as error:
                failed = np.asarray(error.ids)
        record = {name: self._bound[name][lanes][:, None] for name in _DERIVED}
        record |= {"qpos": self._qpos[lanes][:, None], "qvel": self._qvel[lanes][:, None]}
        control = self._batch.bind("ctrl")[lanes][:, None]
        fault = self._faults(record) | self._tunnelled(lanes, record, control)
        fault[~finite(self._warm[lanes])] |= int(Fault.NOT_FINITE)
        fault[self._batch.warning[lanes][:, :, 1].any(axis=1)] |= int(Fault.WARNED)
        fault[np.isin(lanes, failed)] |= int(Fault.RAISED)
        return Samples(record["sensordata"], fault)

    def _rollout(self, lanes: Ints, controls: Floats) -> tuple[dict[str, Floats], Ints]:
        out = self._arrays(len(lanes), controls.shape[1])
        with quiet():
            try:
                self._batch.rollout(controls.shape[1], controls, _CTRL, record=list(out), ids=lanes, out=out)
                failed = np.empty(0, dtype=np.int64)
            except batch.SimulationError as error:
                failed = np.asarray(error.ids)
        return {("time" if key == _TIME else key): value for key, value in out.items()}, failed

    def _arrays(self, lanes: int, steps: int) -> dict[object, Floats]:
        shapes = {name: self._bound[name] for name in _DERIVED} | {"qpos": self._qpos, "qvel": self._qvel}
        out: dict[object, Floats] = {
            name: np.zeros((lanes, steps, *x.shape[1:]), dtype=x.dtype) for name, x in shapes.items()
        }
        out[_TIME] = np.zeros((lanes, steps, 1))
        return out

    def _judge(self, lanes: Ints, record: dict[str, Floats], start: tuple[Floats, Ints], controls: Floats) -> Samples:
        for name in ("qpos", "qvel"):
            # The state before each substep: the start, then what the substeps before it left.
            first = start[0][:, state_slice(self.model, _STATE_PARTS[name])]
            record[name] = np.concatenate([first[:, None], record[name][:, :-1]], axis=1)
        before = np.concatenate([self._batch_control(start[0])[:, None], controls[:, :-1]], axis=1)
        fault = self._faults(record) | self._tunnelled(lanes, record, before)
        for name in _TRANSITION:
            self._last[name][lanes] = record[name][:, -1]
        self._seen[lanes] = True
        warned = (self._batch.warning[lanes] - start[1])[:, :, 1] > 0
        for row in np.flatnonzero(warned.any(axis=1)):
            # The lane stopped at the substep that warned; what follows repeats it and is no evidence.
            moved = np.diff(record["time"][row, :, 0]) > 0
            last = len(moved) if moved.all() else int(np.argmin(moved))
            fault[row, last:] |= int(Fault.OVERFLOW if warned[row, _OVERFLOWS].any() else Fault.WARNED)
        fault[start[1][:, :, 1].any(axis=1)] |= int(Fault.WARNED)
        return Samples(record["sensordata"], fault)

    def _batch_control(self, state: Floats) -> Floats:
        return state[:, state_slice(self.model, _CTRL)]

    def _faults(self, record: dict[str, Floats]) -> NDArray[np.int32]:
        """(n, K) fault bits of samples whose states and derived fields are recorded."""
        limits = self._limits
        with np.errstate(invalid="ignore", over="ignore"):
            residual = force_residual(
                record["M"], *self._entries, record["qacc"], record["qfrc_smooth"], record["qfrc_constraint"]
            )
            good = finite(record["qpos"], record["qvel"], record["qacc"], record["sensordata"])
            sane = within(record["qpos"], limits.position) & within(record["qvel"], limits.velocity)
            sane &= within(record["qacc"], limits.acceleration)
        capped = (record["solver_niter"] >= self.model.opt.iterations).any(axis=-1)
        fault = np.where(good, 0, Fault.NOT_FINITE) | np.where(sane | ~good, 0, Fault.ABSURD)
        fault |= np.where((residual <= limits.residual) | ~good, 0, Fault.UNBALANCED)
        fault |= np.where(capped, Fault.UNCONVERGED, 0)
        return fault.astype(np.int32)

    def _tunnelled(self, lanes: Ints, record: dict[str, Floats], control: Floats) -> NDArray[np.int32]:
        """(n, K): TUNNELLED from the sample on at which a thin geom has passed through another.

        control (n, K, nu) is what drove the transition into each sample.
        """
        fault = np.zeros(record["qpos"].shape[:2], dtype=np.int32)
        trail = {
            name: np.concatenate([self._last[name][lanes][:, None], record[name]], axis=1) for name in _TRANSITION
        }
        for row, k in self._tunnel.suspects(trail["xpos"], trail["cvel"]):
            if fault[row, k] or (k == 0 and not self._seen[lanes[row]]):
                continue
            before = trail["qpos"][row, k], trail["qvel"][row, k]
            after = trail["qpos"][row, k + 1], trail["qvel"][row, k + 1]
            with quiet():
                passed = self._tunnel.passed(before, after, control[row, k])
            if passed:
                fault[row, k:] |= int(Fault.TUNNELLED)
        return fault

    def _step_by_step(self, lane: Ints, controls: Floats) -> tuple[Floats, NDArray[np.int32]]:
        """Where a lane raises inside a call its records are undefined: find the substep by taking them one at a time."""
        steps = controls.shape[1]
        value = np.zeros((steps, self.model.nsensordata))
        fault = np.full(steps, int(Fault.RAISED), dtype=np.int32)
        for k in range(steps):
            start = self._batch.state[lane], self._batch.warning[lane]
            record, failed = self._rollout(lane, controls[:, k : k + 1])
            if len(failed):
                break
            one = self._judge(lane, record, start, controls[:, k : k + 1])
            value[k], fault[k] = one.value[0, 0], one.fault[0, 0]
        return value, fault


def state_slice(model: mujoco.MjModel, component: mujoco.mjtState) -> slice:
    """Where a component lies in an integration state row."""
    start = mujoco.mj_stateSize(model, int(_STATE) & (int(component) - 1))
    return slice(start, start + mujoco.mj_stateSize(model, int(component)))


def _inertia_entries(model: mujoco.MjModel) -> tuple[Ints, Ints]:
    """Rows and columns of the nM stored entries of the mass matrix."""
    rows = np.repeat(np.arange(model.nv), model.M_rownnz)
    return rows, np.asarray(model.M_colind, dtype=np.int64)
