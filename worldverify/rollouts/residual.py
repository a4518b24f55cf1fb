"""One step of MuJoCo from each predicted state, held against the state that was predicted next."""

import copy
import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.rollouts.check import Check, closest
from worldverify.rollouts.scan import SIGMAS, Scan
from worldverify.rollouts.states import Prediction, angular, moves

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FLOOR = 1e-4  # m and rad: rounding of predicted numbers, and the solver's tolerance
LANES = 256  # states stepped at a time; nothing depends on it
DIVERGED = 1e6  # m and rad: what a step that ends nowhere is away from the prediction
DRAWS = 32  # of the declared noise, where a step is sensitive to it
SPREADS = 12.0  # times their spread: contacts spread further than normal numbers do

NEAR_LIMIT = 1e-3  # m and rad: a joint this near to its limit may rest on it
EFFORT_SHARE = 0.1  # of an actuator's limit: it changes within the window of a second difference

_QPOS, _QVEL = mujoco.mjtState.mjSTATE_QPOS, mujoco.mjtState.mjSTATE_QVEL


@dataclass
class Stepper:
    """Steps states of one model, many at a time."""

    engine: MujocoEngine
    steps: int = 0  # physics steps so far, over all lanes

    def run(self, states: Floats, controls: Floats, substeps: int) -> Floats:
        """(n, nstate) the states after `substeps` physics steps from states (n, nstate) under controls (n, nu)."""
        ends = np.empty_like(states)
        for first in range(0, len(states), self.engine.nlane):
            rows = slice(first, min(first + self.engine.nlane, len(states)))
            lanes = np.arange(rows.stop - first)
            self.engine.load(lanes, states[rows])
            self.engine.advance(lanes, np.repeat(controls[rows, None], substeps, axis=1))
            ends[rows] = self.engine.state(lanes)
        self.steps += len(states) * substeps
        return ends


def step_residual(
    model: mujoco.MjModel, prediction: Prediction, stepper: Stepper, substeps: int, scan: Scan
) -> Check | None:
    """From state k, MuJoCo under action k comes to state k+1, along every degree of freedom.

    Allowed is FLOOR, and SIGMAS times sqrt(2 sigma^2 + (dt sigma_v)^2): the noise of both positions, and of the speed
    over the step. Where a step exceeds that, contacts may have carried the noise further: then DRAWS of the noise are
    stepped as well, and SPREADS times sqrt(s^2 + sigma^2) is allowed, s being how far they spread.
    """
    if prediction.controls is None or not model.nv:
        return None
    controls, stride, first = prediction.controls, prediction.stride, 0
    starts, sigma = prediction.coarse[:-1], prediction.position
    speed, slack = prediction.velocity[:-1:stride], np.zeros((len(starts), model.nv))
    if prediction.differenced:
        if len(starts) < 2 and not prediction.begun:
            return None
        # Unless it is the start's, the first speed is known from the first step alone, which then tells nothing.
        first = 0 if prediction.begun else 1
        starts, slack = _observed_speeds(model, prediction, stepper, substeps, scan)
        speed = np.tile(math.sqrt(2) * sigma / prediction.control_period, (len(starts), 1))
    draws = Draws(model, prediction, starts, speed, slack)
    each, states, seen, allowed, times = substeps // stride, starts, [], [], []
    for j in range(1, stride + 1):
        states = stepper.run(states, controls, each)
        target = prediction.states[j::stride][: len(starts)]
        gap = np.abs(moves(model, states, target))
        time = j * prediction.period
        limit = FLOOR + SIGMAS * np.sqrt(2 * sigma**2 + (time * speed) ** 2) + time * slack
        sensitive = np.flatnonzero(~(gap <= limit).all(axis=1))
        if len(sensitive) and (sigma.any() or speed.any() or slack.any()):
            spread = draws.spread(stepper, sensitive, states[sensitive], j * each)
            limit[sensitive] = np.maximum(limit[sensitive], FLOOR + SPREADS * np.sqrt(spread**2 + sigma**2))
        seen.append(np.where(np.isfinite(gap), gap, DIVERGED)[first:])
        allowed.append(limit[first:])
        times.append((np.arange(len(starts)) * prediction.control_period + time)[first:])
    turns = angular(model)
    return closest(
        "residual",
        np.concatenate(seen),
        np.concatenate(allowed),
        units=["rad" if t else "m" for t in turns],
        whats=[f"residual({_dof_name(model, dof)})" for dof in range(model.nv)],
        begins_s=np.concatenate(times),
    )


def _observed_speeds(
    model: mujoco.MjModel, prediction: Prediction, stepper: Stepper, substeps: int, scan: Scan
) -> tuple[Floats, Floats]:
    """Start states with the speeds that MuJoCo and the predicted positions imply, and how far these may be off (T, nv).

    Differences of positions are mean speeds, and a servo's speed ripples within a control period. So each speed is the
    one at the end of the step before, corrected by how far that step ended from the predicted position, over dt; half
    of a correction, and a quarter of what was left before, is what the speed may be off. Where a correction is larger
    than the noise, contacts were at work: there the difference of positions is kept, and may be off by all of it. An
    impact at the end of a step shows in the speed alone: after a contact, a speed may be as far off as the difference.
    """
    assert prediction.controls is not None
    states, slack = prediction.coarse[:-1].copy(), np.zeros((len(prediction.controls), model.nv))
    qvel, period = state_slice(model, _QVEL), prediction.control_period
    for k in range(1, len(states)):
        end = stepper.run(states[k - 1 : k], prediction.controls[k - 1 : k], substeps)
        if not np.isfinite(end).all():
            continue
        way = moves(model, end, states[k : k + 1])[0]
        known = FLOOR + SIGMAS * 2 * prediction.position + period * slack[k - 1]
        # The first speed is a difference in any case, and there is nothing better to fall back on.
        free = (np.abs(way) <= known) | (k == 1)
        mean = states[k, qvel].copy()
        states[k, qvel] = np.where(free, end[0, qvel] + way / period, states[k, qvel])
        slack[k] = np.where(free & (k > 1), 0.5, 1.0) * np.abs(way) / period + 0.25 * slack[k - 1]
        touched = ~np.asarray(scan.alone[k - 1 : k + 1].all(axis=0))[model.dof_treeid]
        slack[k] = np.maximum(slack[k], np.where(touched, np.abs(states[k, qvel] - mean), 0.0))
    return states, slack


class Draws:
    """The same draws of noise for every step, so that nothing depends on which steps are looked at."""

    def __init__(
        self, model: mujoco.MjModel, prediction: Prediction, starts: Floats, speed: Floats, slack: Floats
    ) -> None:
        self._model, self._prediction, self._starts, self._speed, self._slack = model, prediction, starts, speed, slack
        draw = np.random.default_rng(0)
        self._places, self._speeds = draw.normal(size=(2, DRAWS, model.nv))
        self._slacks = draw.uniform(-1.0, 1.0, size=(DRAWS, model.nv))

    def spread(self, stepper: Stepper, which: NDArray[np.int64], ends: Floats, steps: int) -> Floats:
        """(M, nv) how far the ends of steps lie apart when their starts are moved by the declared noise.

        The root mean square, or half of the largest if that is more.
        """
        model, prediction = self._model, self._prediction
        assert prediction.controls is not None
        qpos, qvel = state_slice(model, _QPOS), state_slice(model, _QVEL)
        starts = np.repeat(self._starts[which], DRAWS, axis=0)
        for i, row in enumerate(starts):
            k, d = which[i // DRAWS], i % DRAWS
            place = row[qpos].copy()
            mujoco.mj_integratePos(model, place, self._places[d] * prediction.position, 1.0)
            row[qpos] = place
            row[qvel] += self._speeds[d] * self._speed[k] + self._slacks[d] * self._slack[k]
        found = stepper.run(starts, np.repeat(prediction.controls[which], DRAWS, axis=0), steps)
        away = np.abs(moves(model, np.repeat(ends, DRAWS, axis=0), found)).reshape(len(which), DRAWS, model.nv)
        away = np.where(np.isfinite(away), away, 0.0)
        return np.asarray(np.maximum(np.sqrt((away**2).mean(axis=1)), 0.5 * away.max(axis=1)))


def effort_residual(model: mujoco.MjModel, prediction: Prediction, scan: Scan) -> Check | None:
    """Without actions: no motion needs a force that nothing could supply.

    The force M a + bias - passive that the accelerations of a prediction need (second differences of its positions),
    along each degree of freedom: within the limits of the actuators that drive it, zero where there are none.
    Trees that something may have touched are left out, and what limits or equalities may hold.
    """
    states, period = prediction.coarse, prediction.control_period
    first = 0 if prediction.begun else 1
    if len(states) < 2 + first or not model.nv:
        return None
    way = moves(model, states[:-1], states[1:])
    acceleration = (way[1:] - way[:-1]) / period**2
    noise = SIGMAS * math.sqrt(6) * prediction.position / period**2
    if prediction.begun:  # from a known speed, over half of the window
        begin = 2 * (way[:1] - period * states[:1, state_slice(model, _QVEL)]) / period**2
        acceleration, noise = np.concatenate([begin, acceleration]), math.sqrt(8 / 6) * noise
    bare = _without_constraints(model)
    data = mujoco.MjData(bare)
    held = _held(model)
    seen, allowed = np.zeros((len(acceleration), model.nv)), np.ones((len(acceleration), model.nv))
    for k, wanted in enumerate(acceleration, first):
        mujoco.mj_setState(bare, data, states[k], mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(bare, data)
        data.qacc[:] = wanted
        mujoco.mj_inverse(bare, data)
        force = data.qfrc_inverse.copy()
        low, high, unlimited = _limits(bare, data)
        open_dofs = ~(held | _at_limit(model, states[k], prediction.position) | unlimited)
        open_dofs &= np.asarray(scan.alone[max(k - 1, 0) : k + 2].all(axis=0))[model.dof_treeid]
        carried = _carried(bare, data, noise)
        weight = np.abs(data.qfrc_bias)
        limit = FLOOR + carried + EFFORT_SHARE * (np.maximum(np.abs(low), np.abs(high)) + weight)
        excess = np.maximum(np.maximum(force - high, low - force), 0.0)
        seen[k - first], allowed[k - first] = np.where(open_dofs, excess, 0.0), limit
    turns = angular(model)
    return closest(
        "residual",
        seen,
        allowed,
        units=["Nm" if t else "N" for t in turns],
        whats=[f"unexplained({_dof_name(model, dof)})" for dof in range(model.nv)],
        begins_s=np.arange(float(first), len(seen) + first) * period,
    )


def _without_constraints(model: mujoco.MjModel) -> mujoco.MjModel:
    bare = copy.copy(model)
    bare.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    return bare


def _held(model: mujoco.MjModel) -> Bools:
    """(nv,) whether an equality, a tendon's limit or friction may put a force on a degree of freedom."""
    held = np.asarray(model.dof_frictionloss > 0)
    for equality in range(model.neq):
        kind = mujoco.mjtObj(int(model.eq_objtype[equality]))
        for index in (int(model.eq_obj1id[equality]), int(model.eq_obj2id[equality])):
            if kind == mujoco.mjtObj.mjOBJ_JOINT and index >= 0:
                held[int(model.jnt_dofadr[index])] = True
            elif kind != mujoco.mjtObj.mjOBJ_JOINT:
                held[:] = True
    if model.tendon_limited.any() or (model.tendon_frictionloss > 0).any():
        held[:] = True
    return held


def _at_limit(model: mujoco.MjModel, state: Floats, position: Floats) -> Bools:
    """(nv,) whether a joint may touch its limit."""
    found, qpos = np.zeros(model.nv, dtype=bool), state[state_slice(model, _QPOS)]
    for joint in np.flatnonzero(model.jnt_limited):
        dof, (low, high) = int(model.jnt_dofadr[joint]), model.jnt_range[joint]
        if mujoco.mjtJoint(int(model.jnt_type[joint])) == mujoco.mjtJoint.mjJNT_BALL:
            found[dof : dof + 3] = True
            continue
        value, near = float(qpos[model.jnt_qposadr[joint]]), NEAR_LIMIT + SIGMAS * position[dof]
        found[dof] = value < low + near or value > high - near
    return found


def _limits(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[Floats, Floats, Bools]:
    """Three (nv,): the least and the greatest force that the actuators can put on each degree of freedom in a state,
    and whether one of them has no limit."""
    ends, control = [], data.ctrl.copy()
    for side in (0, 1):
        data.ctrl[:] = np.where(model.actuator_ctrllimited, model.actuator_ctrlrange[:, side], 0.0)
        mujoco.mj_fwdActuation(model, data)
        ends.append(data.actuator_force.copy())
    data.ctrl[:] = control
    stateful = model.actuator_dyntype != int(mujoco.mjtDyn.mjDYN_NONE)
    forced = model.actuator_forcelimited.astype(bool)
    boundless = ~forced & (stateful | ~model.actuator_ctrllimited.astype(bool))
    low, high = np.minimum(*ends), np.maximum(*ends)
    low = np.where(stateful & forced, model.actuator_forcerange[:, 0], low)
    high = np.where(stateful & forced, model.actuator_forcerange[:, 1], high)
    moment = np.zeros((model.nu, model.nv))
    if model.nu:
        sparse = data.moment_rownnz, data.moment_rowadr, data.moment_colind
        mujoco.mju_sparse2dense(moment, data.actuator_moment, *sparse)
    least = np.minimum(moment * low[:, None], moment * high[:, None]).sum(axis=0)
    most = np.maximum(moment * low[:, None], moment * high[:, None]).sum(axis=0)
    unlimited = ((moment != 0) & boundless[:, None]).any(axis=0)
    joint = model.dof_jntid
    carried = np.where(model.jnt_actgravcomp[joint].astype(bool), data.qfrc_gravcomp, 0.0)
    least, most = least + carried, most + carried
    clipped = model.jnt_actfrclimited[joint].astype(bool)
    least = np.where(clipped, np.maximum(least, model.jnt_actfrcrange[joint, 0]), least)
    most = np.where(clipped, np.minimum(most, model.jnt_actfrcrange[joint, 1]), most)
    return least, most, unlimited & ~clipped


def _carried(model: mujoco.MjModel, data: mujoco.MjData, noise: Floats) -> Floats:
    """(nv,) N or Nm: what independent errors of acceleration (nv,) become as forces."""
    if not noise.any():
        return np.zeros(model.nv)
    squares, one, column = np.zeros(model.nv), np.zeros(model.nv), np.zeros(model.nv)
    for dof in range(model.nv):
        one[:] = 0.0
        one[dof] = noise[dof]
        mujoco.mj_mulM(model, data, column, one)
        squares += column**2
    return np.sqrt(squares)


def _dof_name(model: mujoco.MjModel, dof: int) -> str:
    """A joint's name, and which of its degrees of freedom where it has several."""
    joint = int(model.dof_jntid[dof])
    name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, joint) or f"joint {joint}"
    kind, part = mujoco.mjtJoint(int(model.jnt_type[joint])), dof - int(model.jnt_dofadr[joint])
    if kind == mujoco.mjtJoint.mjJNT_FREE:
        return f"{name}.{('x', 'y', 'z', 'turn x', 'turn y', 'turn z')[part]}"
    return f"{name}.{('turn x', 'turn y', 'turn z')[part]}" if kind == mujoco.mjtJoint.mjJNT_BALL else str(name)
