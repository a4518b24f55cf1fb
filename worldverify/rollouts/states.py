"""A predicted trajectory, admitted: states at fixed times, with the noise that was declared for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.kernels.trust import Limits
from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]
Every = Literal["control", "substep"]

NOISIEST = {"position": 0.005, "angle": 0.05, "velocity": 0.5, "spin": 5.0}  # SI; beyond it no jump would be one
QUATERNION = 0.05  # the norm of a predicted quaternion may differ from 1 by this much; MuJoCo normalises it

_QPOS, _QVEL = mujoco.mjtState.mjSTATE_QPOS, mujoco.mjtState.mjSTATE_QVEL
_CTRL, _TIME = mujoco.mjtState.mjSTATE_CTRL, mujoco.mjtState.mjSTATE_TIME
_JOINT = mujoco.mjtJoint


@dataclass(frozen=True)
class Noise:
    """The error that a prediction has: one standard deviation of every predicted number, independent of the others."""

    position: float = 0.0  # m, of slides and of the positions of free bodies
    angle: float = 0.0  # rad, of hinges and of the orientation of balls and free bodies
    velocity: float | None = None  # m/s; None: that of differences of positions, position / (sqrt(2) period)
    spin: float | None = None  # rad/s; None: angle / (sqrt(2) period)

    def __post_init__(self) -> None:
        for name in ("position", "angle", "velocity", "spin"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"The {name} of a Noise is {value!r}; it must be a number from 0 on.")
            if value is not None and value > NOISIEST[name]:
                raise ValueError(
                    f"The {name} of a Noise is {value!r}; beyond {NOISIEST[name]:g} it would explain any motion."
                )


@dataclass(frozen=True, eq=False)
class Prediction:
    """K+1 states, `period` apart, as MuJoCo holds them."""

    states: Floats  # (K+1, nstate)  integration states; where actions are known, with the control in force
    period: float  # s
    stride: int  # states per control period: 1, or the number of physics steps
    controls: Floats | None  # (T, nu)
    position: Floats  # (nv,)  m or rad: noise of qpos, along each degree of freedom
    velocity: Floats  # (K+1, nv)  m/s or rad/s: noise of qvel
    differenced: bool  # the velocities are differences of positions
    begun: bool  # the first state is claimed to be the start of the task, whose speed is known
    warnings: tuple[str, ...]

    @property
    def coarse(self) -> Floats:
        """(T+1, nstate) the states at the ends of the control periods."""
        return self.states[:: self.stride]

    @property
    def control_period(self) -> float:
        """s"""
        return self.period * self.stride


def admit_prediction(
    task: Task, states: Any, actions: Any, *, noise: Noise, every: Every, base: Floats, begun: bool = False
) -> Prediction:
    """A prediction as a model wrote it, or a Refusal with cause plan.

    states: (n, nstate), (n, nq + nv), or a mapping with qpos (n, nq) and perhaps qvel (n, nv). What they leave out is
    that of `base` (nstate,), as are the forces from outside. actions: (T, nu) controls, or None. `begun`: `base` is the
    start that the first state has to be.
    """
    if every not in get_args(Every):
        raise ValueError(f"every must be one of {', '.join(map(repr, get_args(Every)))}; got {every!r}.")
    model, stride = task.scene.model, task.substeps if every == "substep" else 1
    rows, differenced = _rows(model, states, base)
    _check_numbers(model, rows)
    _check_given(model, rows, base if begun else rows[0], base)
    _check_length(task, len(rows), stride)
    turned = _normalise(model, rows)
    controls = None if actions is None else _controls(task, actions, (len(rows) - 1) // stride)
    period = 1 / (task.rate * stride)
    if controls is not None:
        held = np.repeat(controls, stride, axis=0)
        rows[:, state_slice(model, _CTRL)] = np.concatenate([held, held[-1:]])
    position, velocity = _sigmas(model, noise, 1 / task.rate)
    velocity = np.tile(velocity, (len(rows), 1))
    if differenced:
        rows[:, state_slice(model, _QVEL)], span = _differences(model, rows, period, stride)
        velocity = math.sqrt(2) * position / span[:, None]
        if begun:
            rows[0, state_slice(model, _QVEL)] = base[state_slice(model, _QVEL)]
    rows[:, state_slice(model, _TIME)] = base[state_slice(model, _TIME)] + period * np.arange(len(rows))[:, None]
    warnings = [f"Quaternions were normalised; the norm of one is {turned:.4g}."] if abs(turned - 1) > 1e-3 else []
    if differenced:
        warnings.append("Velocities were not predicted: they are differences of the predicted positions.")
    return Prediction(rows, period, stride, controls, position, velocity, differenced, begun, tuple(warnings))


def between(model: mujoco.MjModel, states: Floats, count: int) -> Floats:
    """((n-1) count + 1, nstate): each step cut into `count` equal parts, straight in positions and velocities."""
    if count == 1:
        return states
    rows = np.repeat(states[:-1], count, axis=0)
    qpos, qvel = state_slice(model, _QPOS), state_slice(model, _QVEL)
    move = np.zeros(model.nv)
    for k in range(len(states) - 1):
        mujoco.mj_differentiatePos(model, move, 1.0, states[k, qpos], states[k + 1, qpos])
        change = states[k + 1, qvel] - states[k, qvel]
        for j in range(1, count):
            row = rows[k * count + j]
            place = states[k, qpos].copy()
            mujoco.mj_integratePos(model, place, move, j / count)
            row[qpos], row[qvel] = place, states[k, qvel] + change * (j / count)
    return np.concatenate([rows, states[-1:]])


def moves(model: mujoco.MjModel, start: Floats, end: Floats) -> Floats:
    """(n, nv) m or rad: the way from states (n, nstate) to others, along each degree of freedom."""
    qpos = state_slice(model, _QPOS)
    way = np.zeros((len(start), model.nv))
    for row, a, b in zip(way, start, end, strict=True):
        mujoco.mj_differentiatePos(model, row, 1.0, a[qpos], b[qpos])
    return way


def angular(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """(nv,) whether a degree of freedom is an angle."""
    kinds: list[bool] = []
    for joint in range(model.njnt):
        kind = _JOINT(int(model.jnt_type[joint]))
        kinds += {
            _JOINT.mjJNT_FREE: [False] * 3 + [True] * 3,
            _JOINT.mjJNT_BALL: [True] * 3,
            _JOINT.mjJNT_SLIDE: [False],
            _JOINT.mjJNT_HINGE: [True],
        }[kind]
    return np.array(kinds, dtype=np.bool_)


def _rows(model: mujoco.MjModel, states: Any, base: Floats) -> tuple[Floats, bool]:
    """Integration states (n, nstate), and whether their velocities are still to be found."""
    nstate, qpos, qvel = len(base), state_slice(model, _QPOS), state_slice(model, _QVEL)
    if isinstance(states, Mapping):
        unknown = [str(key) for key in states if key not in ("qpos", "qvel")]
        if unknown or "qpos" not in states:
            raise Refusal(
                "unknown_key" if unknown else "missing_key",
                f"A prediction has the keys qpos and perhaps qvel; got {', '.join(map(str, states)) or 'none'}.",
            )
        rows = np.tile(base, (len(_matrix(states["qpos"], "qpos", (model.nq,))), 1))
        rows[:, qpos] = _matrix(states["qpos"], "qpos", (model.nq,))
        if states.get("qvel") is None:
            return rows, True
        speed = _matrix(states["qvel"], "qvel", (model.nv,))
        if len(speed) != len(rows):
            raise Refusal("wrong_width", f"qpos has {len(rows)} rows and qvel {len(speed)}; give one of each a state.")
        rows[:, qvel] = speed
        return rows, False
    given = _matrix(states, "states", (nstate, model.nq + model.nv))
    if given.shape[1] == nstate:
        return given.copy(), False
    rows = np.tile(base, (len(given), 1))
    rows[:, qpos], rows[:, qvel] = given[:, : model.nq], given[:, model.nq :]
    return rows, False


def _matrix(value: Any, name: str, widths: tuple[int, ...]) -> Floats:
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise Refusal(
            "wrong_type", f"{name} is no matrix of numbers: give one row of numbers for each state."
        ) from None
    if matrix.ndim != 2 or matrix.shape[1] not in widths:
        wanted = " or ".join(map(str, widths))
        raise Refusal("wrong_width", f"{name} has shape {matrix.shape}; each row has {wanted} numbers in this scene.")
    return matrix


def _check_numbers(model: mujoco.MjModel, rows: Floats) -> None:
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise Refusal("not_finite", f"Number {column + 1} of state {row + 1} is {rows[row, column]}.")
    limits = Limits()
    for name, part, limit in (("qpos", _QPOS, limits.position), ("qvel", _QVEL, limits.velocity)):
        values = np.abs(rows[:, state_slice(model, part)])
        if values.size and values.max() > limit:
            row, column = np.unravel_index(int(values.argmax()), values.shape)
            raise Refusal(
                "out_of_range",
                f"{name}[{column}] of state {row + 1} is {values.max():.3g} in size; at most {limit:g} is physical.",
            )


def _check_given(model: mujoco.MjModel, rows: Floats, first: Floats, base: Floats) -> None:
    """Refuses what no action brings about: forces from outside, and parts of the scene that are moved by hand."""
    for part, name, wanted in (
        (mujoco.mjtState.mjSTATE_QFRC_APPLIED, "qfrc_applied", base),
        (mujoco.mjtState.mjSTATE_XFRC_APPLIED, "xfrc_applied", base),
        (mujoco.mjtState.mjSTATE_EQ_ACTIVE, "eq_active", first),
        (mujoco.mjtState.mjSTATE_MOCAP_POS, "mocap_pos", first),
        (mujoco.mjtState.mjSTATE_MOCAP_QUAT, "mocap_quat", first),
        (mujoco.mjtState.mjSTATE_USERDATA, "userdata", first),
    ):
        where = state_slice(model, part)
        other = (rows[:, where] != wanted[where]).any(axis=1)
        if other.any():
            raise Refusal(
                "bad_state",
                f"State {int(other.argmax()) + 1} holds another {name} than the start, which no action brings about; "
                "predict qpos and qvel.",
            )


def from_positions(model: mujoco.MjModel, prediction: Prediction) -> Prediction:
    """The same prediction, with the velocities that its positions imply."""
    rows, qvel = prediction.states.copy(), state_slice(model, _QVEL)
    rows[:, qvel] = _differences(model, rows, prediction.period, prediction.stride)[0]
    if prediction.begun:
        rows[0, qvel] = prediction.states[0, qvel]
    return replace(prediction, states=rows)


def _check_length(task: Task, count: int, stride: int) -> None:
    if count < 2:
        raise Refusal(
            "empty",
            f"The prediction needs the first state and at least one more; it has {count}.",
        )
    if (count - 1) % stride:
        raise Refusal(
            "wrong_rate",
            f"The prediction has {count} states, one a physics step, which end within a control period: give "
            f"{stride} states a period and one more, such as {(count - 1) // stride * stride + 1}.",
        )
    if (count - 1) // stride > task.steps:
        raise Refusal(
            "too_many_steps",
            f"The prediction lasts {(count - 1) / stride / task.rate:g} s; the task has {task.horizon:g} s, which is "
            f"{task.steps * stride + 1} states.",
        )


def _normalise(model: mujoco.MjModel, rows: Floats) -> float:
    """Make every quaternion unit in place; the norm that was furthest from 1."""
    worst, first = 1.0, state_slice(model, _QPOS).start
    for joint in range(model.njnt):
        kind = _JOINT(int(model.jnt_type[joint]))
        if kind not in (_JOINT.mjJNT_FREE, _JOINT.mjJNT_BALL):
            continue
        start = first + int(model.jnt_qposadr[joint]) + (3 if kind == _JOINT.mjJNT_FREE else 0)
        norm = np.linalg.norm(rows[:, start : start + 4], axis=1)
        row = int(np.abs(norm - 1).argmax())
        if abs(norm[row] - 1) > QUATERNION:
            name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, joint) or f"joint {joint}"
            raise Refusal(
                "bad_quaternion",
                f"The quaternion of {name} in state {row + 1} has norm {norm[row]:.4g}; it must be 1 (w, x, y, z).",
            )
        rows[:, start : start + 4] /= norm[:, None]
        worst = max(worst, float(norm[row]), key=lambda x: abs(x - 1))
    return worst


def _controls(task: Task, actions: Any, periods: int) -> Floats:
    model = task.scene.model
    controls = _matrix(actions, "actions", (model.nu,))
    if len(controls) != periods:
        raise Refusal(
            "wrong_width",
            f"There are {len(controls)} actions for a prediction of {periods} control periods: give one a period, so "
            "that n actions lead from the first of n + 1 states to the last.",
        )
    low, high = model.actuator_ctrlrange.T
    outside = ~np.isfinite(controls) | (
        model.actuator_ctrllimited.astype(bool) & ((controls < low) | (controls > high))
    )
    if outside.any():
        row, column = np.argwhere(outside)[0]
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_ACTUATOR, int(column)) or f"actuator {column}"
        raise Refusal(
            "out_of_range",
            f"Action {row + 1} sets {name} to {controls[row, column]:.9g}; its range is {low[column]:.9g} to "
            f"{high[column]:.9g}.",
        )
    return controls


def _sigmas(model: mujoco.MjModel, noise: Noise, period: float) -> tuple[Floats, Floats]:
    """(nv,) noise of positions and of velocities."""
    turns, share = angular(model), 1 / (math.sqrt(2) * period)
    velocity = noise.position * share if noise.velocity is None else noise.velocity
    spin = noise.angle * share if noise.spin is None else noise.spin
    return np.where(turns, noise.angle, noise.position), np.where(turns, spin, velocity)


def _differences(model: mujoco.MjModel, rows: Floats, period: float, reach: int) -> tuple[Floats, Floats]:
    """Velocities (n, nv) from positions `reach` states before and after, and the time (n,) that each spans."""
    at = np.arange(len(rows))
    before, after = np.maximum(at - reach, 0), np.minimum(at + reach, len(rows) - 1)
    span = period * (after - before)
    return moves(model, rows[before], rows[after]) / span[:, None], span
