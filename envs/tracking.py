"""Steps of a tool one by one: the joints follow each as they follow the whole path."""

import numpy as np
from numpy.typing import NDArray

from worldverify.action import CAMERA
from worldverify.arm import Arm
from worldverify.base import Base, standing
from worldverify.compile import Starts
from worldverify.decode import Begin, Pose, Poses, poses
from worldverify.dense import BEHIND, OFF, part_of
from worldverify.driving import start_of
from worldverify.envs.rows import Rows
from worldverify.envs.told import Moved, Told
from worldverify.kernels import actions as kernel
from worldverify.kernels import ik, kinematics, rotation
from worldverify.kernels.track import advance, unhurried
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

KNOT_EVERY = 2  # samples, as `track` has it


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
        """Poses of the lanes whose rows mean any, and which lanes (n,) those are."""
        fit = self._told.readable(lanes)
        try:
            return self._read(lanes[fit]), fit
        except Refusal:
            for row in np.flatnonzero(fit):
                try:
                    self._read(lanes[row : row + 1])
                except Refusal:
                    fit[row] = False
        return self._read(lanes[fit]), fit

    def _read(self, lanes: Ints) -> Poses:
        if not len(lanes):
            return Poses(np.zeros((0, 1, 3)), np.zeros((0, 1, 4)), None)
        return poses(self._spec, self._told.all(lanes), part_of(self._begin, lanes.tolist()), self._format.rate)

    def _follow(self, lanes: Ints, path: Poses, controls: Floats, fit: Bools) -> Bools:
        """Controls of the new rows of lanes, into their place; (n,) whether an arm cannot keep to its path."""
        arm, rate, task = self._arm, self._format.rate, self._task
        begin, periods = part_of(self._begin, lanes.tolist()), self._format.periods
        position = kernel.resample(path.position, begin.tool.position, rate, task.rate, hold=False)
        orientation = kernel.resample_turns(path.orientation, begin.tool.orientation, rate, task.rate, hold=False)
        row = np.arange(len(lanes))
        made = np.repeat(self._first[lanes, None], periods, axis=1)
        if arm.gripper_control is not None:
            gripper = self._gripper[lanes]
            if path.opening is not None:
                opening = path.opening[row, self._told.count[lanes] - 1]
                gripper = arm.gripper_closed + opening * (arm.gripper_open - arm.gripper_closed)
            made[..., arm.gripper_control] = gripper[:, None]
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
