"""Level 2: one control step from many states, sensor by sensor, beside what rounding to float32 does to MuJoCo C."""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.engine import Engine
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.parity.contender import Contender
from worldverify.parity.rounding import ROUNDED, more_than_isolated
from worldverify.parity.snapshots import Snapshots
from worldverify.sensor_units import sensor_dims
from worldverify.task import Task
from worldverify.units import NO_DIMS, WORDS, Dims, default_scale, si_unit

Floats = NDArray[np.float64]

SHARE = 0.05  # margin scales that a reading may be off after one control step,
RELATIVE = 0.02  # or this share of it, or ROUNDED times what rounding alone does

_PERCENTILES = (50, 90, 100)
_CONTACT_DIMS = {
    int(mujoco.mjtConDataField.mjCONDATA_FORCE): WORDS["N"].dims,
    int(mujoco.mjtConDataField.mjCONDATA_TORQUE): WORDS["Nm"].dims,
    int(mujoco.mjtConDataField.mjCONDATA_DIST): WORDS["m"].dims,
}


@dataclass(frozen=True)
class ReadingError:
    """One sensor, or a part of the state, over one control step from n states."""

    name: str
    unit: str
    error: tuple[float, ...]  # PERCENTILES over the states of the greatest error in the step
    rounding: tuple[float, ...]  # the same of MuJoCo C with its states rounded to float32
    above: int  # states whose error is more than float32 explains
    states: int
    state: int  # the worst one

    @property
    def systematic(self) -> bool:
        """Whether the states above are more than isolated ones."""
        return more_than_isolated(self.above, self.states)


@dataclass(frozen=True)
class StepParity:
    """Level 2 of one task."""

    states: int
    readings: tuple[ReadingError, ...]

    @property
    def systematic(self) -> tuple[str, ...]:
        """What makes the comparison fail."""
        return tuple(reading.name for reading in self.readings if reading.systematic)


def compare_step(task: Task, other: Contender, shots: Snapshots) -> StepParity:
    """The readings of one control step, `substeps` physics steps and the sample after them."""
    model, count = task.scene.model, len(shots.state)
    controls = np.repeat(shots.control[:, None], task.substeps, axis=1)
    true = _stepped(MujocoEngine(model, count), shots.state, controls)
    found = _stepped(other.make_engine(model, count), shots.state, controls)
    shadow = _stepped(_Rounding(MujocoEngine(model, count)), shots.state, controls)
    readings = []
    for name, dims, part in _readings(model):
        scale = default_scale(dims)
        error, rounding = (np.abs(side[..., part] - true[..., part]) for side in (found, shadow))
        error = np.where(np.isfinite(error), error, np.inf)
        allowed = SHARE * scale + RELATIVE * np.abs(true[..., part]) + ROUNDED * rounding
        above = (error > allowed).any(axis=(1, 2))
        worst, least = error.max(axis=(1, 2)), rounding.max(axis=(1, 2))
        readings.append(
            ReadingError(
                name=name,
                unit=si_unit(dims).text,
                error=_spread(worst),
                rounding=_spread(least),
                above=int(above.sum()),
                states=count,
                state=int(np.argmax(worst)),
            )
        )
    return StepParity(count, tuple(readings))


def _spread(errors: Floats) -> tuple[float, ...]:
    return tuple(np.percentile(errors, _PERCENTILES, method="higher").tolist())


def _stepped(engine: Engine, states: Floats, controls: Floats) -> Floats:
    """(n, K+1, S + nq + nv) what n lanes show over K substeps; the state, at the end, stands in every sample."""
    lanes = np.arange(len(states))
    engine.load(lanes, states)
    value = np.asarray(engine.advance(lanes, controls).value, dtype=np.float64)
    value = np.concatenate([value, np.asarray(engine.observe(lanes).value, dtype=np.float64)], axis=1)
    end = np.asarray(engine.state(lanes), dtype=np.float64)
    return np.concatenate([value, np.repeat(end[:, None], value.shape[1], axis=1)], axis=2)


def _readings(model: mujoco.MjModel) -> list[tuple[str, Dims, slice]]:
    """(name, unit, columns) of every sensor, and of the positions and velocities of the state."""
    readings = []
    for i in range(model.nsensor):
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_SENSOR, i) or f"sensor {i}"
        first = int(model.sensor_adr[i])
        readings.append((str(name), _dims(model, i), slice(first, first + int(model.sensor_dim[i]))))
    for name, component in (("qpos", mujoco.mjtState.mjSTATE_QPOS), ("qvel", mujoco.mjtState.mjSTATE_QVEL)):
        part = state_slice(model, component)
        readings.append((name, NO_DIMS, slice(model.nsensordata + part.start, model.nsensordata + part.stop)))
    return readings


def _dims(model: mujoco.MjModel, sensor: int) -> Dims:
    if int(model.sensor_type[sensor]) != int(mujoco.mjtSensor.mjSENS_CONTACT):
        return sensor_dims(model, sensor)
    shown = [bit for bit in _CONTACT_DIMS if int(model.sensor_intprm[sensor, 0]) == 1 << bit]
    return _CONTACT_DIMS[shown[0]] if shown else NO_DIMS


class _Rounding:
    """MuJoCo C whose states are rounded to float32 before every substep."""

    def __init__(self, true: MujocoEngine) -> None:
        self.true = true

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)

    def load(self, lanes: Any, state: Floats) -> None:
        self.true.load(lanes, state.astype(np.float32).astype(np.float64))

    def advance(self, lanes: Any, controls: Floats) -> Any:
        parts = []
        for k in range(controls.shape[1]):
            self.load(lanes, self.true.state(lanes))
            parts.append(self.true.advance(lanes, controls[:, k : k + 1]))
        return type(parts[0])(*(np.concatenate(each, axis=1) for each in zip(*parts, strict=True)))
