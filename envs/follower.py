"""Actions one by one: the controls of each, the same bits as when the whole plan is compiled."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.action import CAMERA, ActionSpec
from worldverify.action_check import IN_ANGLES
from worldverify.arm import Arm
from worldverify.base import Base, standing
from worldverify.compile import LARGEST, Compiled, Starts, compile_for
from worldverify.decode import RADIANS, Begin, Pose, Poses, numbers, poses
from worldverify.dense import BEHIND, OFF, part_of
from worldverify.driving import start_of
from worldverify.kernels import actions as kernel
from worldverify.kernels import driving, ik, kinematics, rotation
from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.kernels.track import advance, unhurried
from worldverify.plan import Plan
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Moved = tuple[Floats, dict[int, Refusal]]

KNOT_EVERY = 2  # samples, as `track` has it


class Follower(Protocol):
    """What L lanes must know between actions."""

    def load(self, lanes: Ints, states: Floats) -> None:
        """Episodes begin in n lanes, at states (n, nstate)."""

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        """One row (n, width) in each of n lanes: controls (n, periods, nu) of the control periods that it lasts.

        And lane -> why its row cannot be followed; its controls then mean nothing.
        """


@dataclass(frozen=True)
class Rows:
    """Rows of numbers at a rate, as the environments of a task read them."""

    task: Task
    contract: ActionSpec
    own: bool  # whether the contract is the task's own

    @property
    def rate(self) -> float:
        """Hz, actions a second."""
        return self.task.rate if self.contract.rate_hz is None else self.contract.rate_hz

    @property
    def periods(self) -> int:
        """Control periods of the task that one action lasts."""
        return max(1, round(self.task.rate / self.rate))

    @property
    def steps(self) -> int:
        """Whole actions to the horizon."""
        return int(self.task.horizon * self.rate + 1e-9)

    def plan(self, rows: Floats) -> Plan:
        """The plan of rows (T, width)."""
        return Plan(None, self.contract.name, self.rate, rows, contract=None if self.own else self.contract)

    @property
    def direct(self) -> bool:
        """Whether a row says by itself what the actuators are told."""
        return self.own and self.contract.name in ("ctrl", "joint_position")

    def written_by(self, plan: Plan) -> bool:
        """Whether a plan that the task has admitted holds rows of this format, at this rate."""
        spec = self.task.contracts.get(plan.format) if plan.contract is None else plan.contract
        return spec == self.contract and plan.rate_hz is not None and abs(plan.rate_hz - self.rate) < 1e-9 * self.rate

    def follower(self, lanes: int) -> Follower:
        """The fastest one that there is for rows of this kind."""
        spec, task = self.contract, self.task
        if self.direct:
            return Direct(self, lanes)
        if self.own and spec.space == "base":
            return Driving(self, lanes)
        if spec.space == "eef" and task.arm is not None:
            return Tracking(self, task.arm, lanes) if task.base is None else Carried(self, task.arm, task.base, lanes)
        return Recompiling(self, lanes)


class Limits(NamedTuple):
    """The least and the greatest value of every number of a row."""

    low: Floats  # (width,)
    high: Floats  # (width,)

    def hold(self, rows: Floats) -> Bools:
        """(n,) whether rows (n, width) are finite and within them."""
        fit: Bools = np.all((rows >= self.low) & (rows <= self.high), axis=1)
        return fit


class Told:
    """What each lane has been told in its episode so far."""

    def __init__(self, format: Rows, lanes: int) -> None:
        self._format = format
        self._starts = np.zeros((lanes, format.task.scene.nstate))
        self._rows = np.zeros((lanes, format.steps, format.contract.width))
        self.count: Ints = np.zeros(lanes, dtype=np.int64)  # rows of each lane

    def load(self, lanes: Ints, states: Floats) -> None:
        self._starts[lanes], self.count[lanes] = states, 0

    def add(self, lanes: Ints, rows: Floats) -> None:
        self._rows[lanes, self.count[lanes]] = rows
        self.count[lanes] += 1

    def all(self, lanes: Ints) -> Floats:
        """(n, K, width) the rows of lanes, the last one repeated where another lane has more."""
        count = self.count[lanes]
        shown = np.minimum(np.arange(count.max()), count[:, None] - 1)
        rows: Floats = self._rows[lanes[:, None], shown]
        return rows

    def compiled(self, lanes: Ints) -> list[Compiled | Refusal]:
        """What the plan of each lane so far comes to."""
        plans = [self._format.plan(self._rows[lane, : self.count[lane]]) for lane in lanes]
        return compile_for(self._format.task, self._starts[lanes], plans)

    def last(self, lanes: Ints) -> Moved:
        """Controls (n, periods, nu) of the last row of each lane, and of lanes whose plan is refused, why."""
        periods = self._format.periods
        controls = np.zeros((len(lanes), periods, self._format.task.scene.model.nu))
        refused: dict[int, Refusal] = {}
        for row, (lane, made) in enumerate(zip(lanes.tolist(), self.compiled(lanes), strict=True)):
            if isinstance(made, Refusal):
                refused[lane] = made
            else:
                end = int(self.count[lane]) * periods
                controls[row] = made.controls[end - periods : end]
        return controls, refused


class Recompiling:
    """Rows of any format: the plan so far is compiled anew at every action, so an episode of T rows costs T^2."""

    def __init__(self, format: Rows, lanes: int) -> None:
        self._told = Told(format, lanes)

    def load(self, lanes: Ints, states: Floats) -> None:
        self._told.load(lanes, states)

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        self._told.add(lanes, rows)
        return self._told.last(lanes)


class Direct:
    """Rows of joint targets or controls, which say by themselves what the actuators are told."""

    def __init__(self, format: Rows, lanes: int) -> None:
        self._told = Told(format, lanes)
        self._limits = Limits(*limits_of(format.task, format.contract))
        self._arms = () if format.contract.space == "ctrl" else tuple(format.task.every_arm.values())
        self._places = state_slice(format.task.scene.model, mujoco.mjtState.mjSTATE_CTRL)
        self._first = np.zeros((lanes, format.task.scene.model.nu))  # controls when the episodes began

    def load(self, lanes: Ints, states: Floats) -> None:
        self._told.load(lanes, states)
        self._first[lanes] = states[:, self._places]

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        self._told.add(lanes, rows)
        fit = self._limits.hold(rows)
        refused = {} if fit.all() else self._told.last(lanes[~fit])[1]
        controls = self._first[lanes] if self._arms else rows.copy()
        at = 0
        for arm in self._arms:
            width = len(arm.controls)
            controls[:, list(arm.controls)] = arm.commands(rows[:, at : at + width])
            at += width
        return controls[:, None], refused


class Driving:
    """Rows of speeds of a base, in its own format: each held, no change faster than the base can, and integrated."""

    def __init__(self, format: Rows, lanes: int) -> None:
        task = format.task
        assert task.base is not None
        self._task, self._base, self._spec = task, task.base, format.contract
        self._told, self._periods = Told(format, lanes), format.periods
        self._limits = Limits(*limits_of(task, format.contract))
        self._most = np.array([task.base.acceleration, task.base.turn_acceleration]) / task.rate
        self._places = state_slice(task.scene.model, mujoco.mjtState.mjSTATE_CTRL)
        self._first = np.zeros((lanes, task.scene.model.nu))
        self._pose, self._twist = np.zeros((lanes, 3)), np.zeros((lanes, 2))  # when the episodes began
        self._twists = np.zeros((lanes, task.steps, 2))  # of each control period since

    def load(self, lanes: Ints, states: Floats) -> None:
        self._told.load(lanes, states)
        self._first[lanes] = states[:, self._places]
        for lane, state in zip(lanes, states, strict=True):
            start = start_of(self._task.scene.data(state), self._base)
            self._pose[lane], self._twist[lane] = start.pose, start.twist

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        begun, periods = self._told.count[lanes] * self._periods, self._periods
        self._told.add(lanes, rows)
        fit = self._limits.hold(rows)
        refused = {} if fit.all() else self._told.last(lanes[~fit])[1]
        speeds = numbers(self._spec, np.where(fit[:, None], rows, 0.0)[None])
        wanted = np.concatenate([speeds["v"][0], speeds["w"][0]], axis=-1)
        now = begun[:, None] + np.arange(periods)
        latest = np.where((begun > 0)[:, None], self._twists[lanes, begun - 1], self._twist[lanes])
        self._twists[lanes[:, None], now] = driving.ramped(
            np.repeat(wanted[:, None], periods, axis=1), latest, self._most
        )
        longest = int(begun.max()) + periods
        path = driving.integrate(self._pose[lanes], self._twists[lanes, :longest], 1.0 / self._task.rate)
        controls = np.repeat(self._first[lanes][:, None], periods, axis=1)
        controls[..., list(self._base.controls)] = path[np.arange(len(lanes))[:, None], now]
        return controls, refused


class Tracking:
    """Rows of where an arm's tool is to go: the path so far is read anew, and its new end followed by the joints.

    Step for step what `worldverify.kernels.track.track` does with the whole of it.
    """

    def __init__(self, format: Rows, arm: Arm, lanes: int) -> None:
        task = format.task
        self._format, self._task, self._arm, self._spec = format, task, arm, format.contract
        self._told = Told(format, lanes)
        self._chain = chain_of(arm)
        joints, nu = len(arm.joints), task.scene.model.nu
        self._cameras = format.contract.frame.startswith(CAMERA)
        self._begin = _nowhere(task, lanes, joints, cameras=self._cameras)
        self._gripper, self._first = np.zeros(lanes), np.zeros((lanes, nu))  # when the episodes began
        self._samples: Ints = np.zeros(lanes, dtype=np.int64)  # control periods so far
        # Angles [rad] of the last knot, of the one before, and of the arm that follows as fast as it can.
        self._knot, self._before, self._at = (np.zeros((lanes, joints)) for _ in range(3))

    def load(self, lanes: Ints, states: Floats) -> None:
        self._told.load(lanes, states)
        arm = self._arm
        starts = Starts(self._task.scene.model, states, arm, self._task.camera, frames=self._cameras)
        _place(self._begin, lanes, starts.begin)
        self._gripper[lanes], self._first[lanes], self._samples[lanes] = starts.gripper, starts.ctrl, 0
        self._at[lanes] = starts.begin.q
        self._knot[lanes] = self._before[lanes] = np.clip(starts.begin.q, arm.q_min, arm.q_max)

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        self._told.add(lanes, rows)
        path, fit = self._path(lanes)
        controls = np.zeros((len(lanes), self._format.periods, self._first.shape[1]))
        off = ~fit
        if fit.any():
            off[fit] = self._follow(lanes[fit], path, controls, fit)
        refused: dict[int, Refusal] = {}
        if off.any():
            controls[off], refused = self._told.last(lanes[off])
        return controls, refused

    def _path(self, lanes: Ints) -> tuple[Poses, Bools]:
        """Poses of the lanes whose rows can be read, and which lanes (n,) those are."""
        fit = np.ones(len(lanes), dtype=bool)
        try:
            return self._read(lanes), fit
        except Refusal:
            for row in range(len(lanes)):
                try:
                    self._read(lanes[row : row + 1])
                except Refusal:
                    fit[row] = False
        still = Poses(np.zeros((0, 1, 3)), np.zeros((0, 1, 4)), None)
        return self._read(lanes[fit]) if fit.any() else still, fit

    def _read(self, lanes: Ints) -> Poses:
        return poses(self._spec, self._told.all(lanes), part_of(self._begin, lanes.tolist()), self._format.rate)

    def _follow(self, lanes: Ints, path: Poses, controls: Floats, fit: Bools) -> Bools:
        """Controls of the new rows of lanes, into their place; (n,) whether an arm cannot keep to its path."""
        arm, rate, task = self._arm, self._format.rate, self._task
        begin, periods = part_of(self._begin, lanes.tolist()), self._format.periods
        position = kernel.resample(path.position, begin.tool.position, rate, task.rate, hold=False)
        orientation = kernel.resample_turns(path.orientation, begin.tool.orientation, rate, task.rate, hold=False)
        row = np.arange(len(lanes))
        made = self._first[lanes]
        made = np.repeat(made[:, None], periods, axis=1)
        if path.opening is not None and arm.gripper_control is not None:
            opening = path.opening[row, self._told.count[lanes] - 1]
            made[..., arm.gripper_control] = (arm.gripper_closed + opening * (arm.gripper_open - arm.gripper_closed))[
                :, None
            ]
        elif arm.gripper_control is not None:
            made[..., arm.gripper_control] = self._gripper[lanes, None]
        off = np.zeros(len(lanes), dtype=bool)
        for period in range(periods):
            now = self._samples[lanes]
            q, astray = self._sample(lanes, position[row, now], orientation[row, now])
            made[:, period, list(arm.joint_controls)] = q
            off |= astray
            self._samples[lanes] += 1
        controls[fit] = made
        return off

    def _sample(self, lanes: Ints, position: Floats, orientation: Floats) -> tuple[Floats, Bools]:
        """Angles (n, J) [rad] on the way to poses (n, 3), (n, 4), and which arms (n,) are too far off."""
        arm, chain = self._arm, self._chain
        low, high = arm.q_min, arm.q_max
        done = self._samples[lanes] + 1
        knots = done % KNOT_EVERY == 0
        if knots.any():
            some = lanes[knots]
            q = np.ascontiguousarray(self._knot[some].T)
            rest = np.ascontiguousarray(np.broadcast_to(arm.home, self._knot[some].shape).T)
            moved = advance(chain, position[knots], orientation[knots], q, rest, low[:, None], high[:, None])
            self._before[some], self._knot[some] = self._knot[some], moved.T
        guess, ahead = self._knot[lanes], ~knots & (done > KNOT_EVERY)
        guess[ahead] += (1 / KNOT_EVERY) * (guess[ahead] - self._before[lanes[ahead]])
        rest = np.broadcast_to(arm.home, guess.shape)
        found = ik.solve(chain, position, orientation, guess[:, None], rest, low, high, iterations=2, pull=0.0)
        q = unhurried(found.q[:, None], self._at[lanes], arm.qd_max / self._task.rate)[:, 0]
        self._at[lanes] = q
        where, turn = kinematics.tool_pose(q, *chain)
        missed = (found.position_error > OFF[0]) | (found.rotation_error > OFF[1])
        angle = rotation.to_vector(rotation.multiply(turn, rotation.conjugate(orientation)))
        behind = (_lengths(position - where) > BEHIND[0]) | (_lengths(angle) > BEHIND[1])
        return q, missed | behind


class Carried:
    """Rows of where the tool of an arm is to go whose base drives, and stands in each lane where its episode began."""

    def __init__(self, format: Rows, arm: Arm, base: Base, lanes: int) -> None:
        self._format, self._arm, self._base = format, arm, base
        self._each: list[Tracking | None] = [None] * lanes

    def load(self, lanes: Ints, states: Floats) -> None:
        for lane, state in zip(lanes.tolist(), states, strict=True):
            stand = start_of(self._format.task.scene.data(state), self._base)
            one = Tracking(self._format, standing(self._arm, stand.pose), 1)
            one.load(np.array([0]), state[None])
            self._each[lane] = one

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        controls, refused = [], {}
        for lane, row in zip(lanes.tolist(), rows, strict=True):
            one = self._each[lane]
            assert one is not None  # an episode has begun
            made, why = one.advance(np.array([0]), row[None])
            controls.append(made)
            if why:
                refused[lane] = why[0]
        return np.concatenate(controls), refused


def limits_of(task: Task, contract: ActionSpec) -> tuple[Floats, Floats]:
    """(width,) each: the least and the greatest value of every number of a row, as far as they are known.

    Beyond LARGEST nothing is read; a number without limits is between those.
    """
    if contract.name == "joint_position" and task.contracts.get(contract.name) == contract:
        limits = [arm.limits for arm in task.every_arm.values()]
        return np.concatenate([low for low, _ in limits]), np.concatenate([high for _, high in limits])
    if contract.name == "ctrl" and task.contracts.get(contract.name) == contract:
        model = task.scene.model
        limited = model.actuator_ctrllimited.astype(bool)
        low = np.where(limited, model.actuator_ctrlrange[:, 0], -LARGEST)
        return low, np.where(limited, model.actuator_ctrlrange[:, 1], LARGEST)
    parts = [part for _, part in contract.arms] or [contract]
    sides = [_written(part, task) for part in parts]
    return np.concatenate([low for low, _ in sides]), np.concatenate([high for _, high in sides])


def _written(contract: ActionSpec, task: Task) -> tuple[Floats, Floats]:
    """The limits of the numbers of one arm, as they are written."""
    width, scale = contract.width, contract.normalisation
    if scale.encoding == "tokens_256":
        return np.full(width, kernel.VOCABULARY - 256.0), np.full(width, kernel.VOCABULARY - 1.0)
    low, high = np.full(width, -LARGEST), np.full(width, LARGEST)
    kinds = dict(contract.representation)
    if contract.space == "joint" and task.arm is not None and set(kinds.values()) == {"absolute"}:
        unit, angles = RADIANS[contract.position_unit], len(task.arm.joints)
        low[:angles], high[:angles] = task.arm.q_min / unit, task.arm.q_max / unit
    if contract.has("rotation") and contract.rotation not in IN_ANGLES:
        low[contract.part("rotation")], high[contract.part("rotation")] = -1.0, 1.0
    if contract.gripper is not None:
        low[contract.part("gripper")], high[contract.part("gripper")] = contract.gripper.low, contract.gripper.high
    for limits in contract.ranges:
        low[contract.part(limits.component)], high[contract.part(limits.component)] = limits.low, limits.high
    if scale.kind in ("min_max", "q01_q99"):
        scaled = np.ones(width, dtype=bool) if scale.mask is None else np.array(scale.mask)
        low, high = np.where(scaled, scale.low, low), np.where(scaled, scale.high, high)
    return low, high


def _nowhere(task: Task, lanes: int, joints: int, *, cameras: bool) -> Begin:
    """Room for where the robot is in each lane."""

    def pose() -> Pose:
        return Pose(np.zeros((lanes, 3)), np.zeros((lanes, 4)))

    named = (task.camera.name, "task") if cameras and task.camera is not None else ()
    views = {name: pose() for name in named}
    return Begin(np.zeros((lanes, joints)), pose(), np.zeros(lanes), pose(), views)


def _place(whole: Begin, lanes: Ints, some: Begin) -> None:
    """Puts where the robot is in some lanes among those of all."""
    whole.q[lanes], whole.opening[lanes] = some.q, some.opening
    views = [(whole.cameras[name], pose) for name, pose in some.cameras.items()]
    for kept, pose in ((whole.tool, some.tool), (whole.base, some.base), *views):
        kept.position[lanes], kept.orientation[lanes] = pose.position, pose.orientation


def _lengths(vectors: Floats) -> Floats:
    """(n,) of vectors (n, 3)."""
    x, y, z = vectors[:, 0], vectors[:, 1], vectors[:, 2]
    lengths: Floats = np.sqrt(x * x + y * y + z * z)
    return lengths
