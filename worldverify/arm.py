"""What turning waypoints and skills into joint targets must know of a robot arm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arm:
    """A serial arm, with or without a gripper: J revolute joints about their own z axes, base first.

    The pose of joint frame j in frame j-1 is a fixed offset followed by a turn by q[j] about z;
    the tool frame is fixed in the last joint frame.
    """

    joints: tuple[str, ...]  # J joint names in the model
    offset_pos: Floats  # (J, 3)  m, fixed translation before the turn of joint j
    offset_quat: Floats  # (J, 4)  wxyz, fixed rotation before the turn of joint j
    tool_pos: Floats  # (3,)    m, tool in the last joint frame
    tool_quat: Floats  # (4,)    wxyz
    base_pos: Floats  # (3,)    m, base in the world
    base_quat: Floats  # (4,)    wxyz
    q_min: Floats  # (J,)    rad
    q_max: Floats  # (J,)    rad
    qd_max: Floats  # (J,)    rad/s
    home: Floats  # (J,)    rad, a relaxed pose with the tool pointing down
    joint_controls: tuple[int, ...]  # J indices into ctrl
    gripper_control: int | None = None  # index into ctrl; None: no gripper, and what follows means nothing
    gripper_open: float = 1.0  # m, value of that control when open
    gripper_closed: float = 0.0  # m, value of that control when closed
    finger_joints: tuple[str, ...] = ()  # names, to read how far the gripper is open
    finger_depth: float = 0.0  # m, how far the fingertips reach beyond the tool point along tool z

    @property
    def controls(self) -> tuple[int, ...]:
        """(W,) indices into ctrl of all that plans command: the joints, then the gripper if there is one."""
        return self.joint_controls if self.gripper_control is None else (*self.joint_controls, self.gripper_control)

    @property
    def limits(self) -> tuple[Floats, Floats]:
        """(W,) each: the least and the greatest numbers of a row of joint targets in rad and of a gripper in 0..1."""
        if self.gripper_control is None:
            return self.q_min, self.q_max
        return np.append(self.q_min, 0.0), np.append(self.q_max, 1.0)

    def commands(self, rows: Floats) -> Floats:
        """Rows (T, W) of joint targets and how far the gripper is open, 0 to 1, as values of `controls`."""
        if self.gripper_control is None:
            return rows
        closed, span = self.gripper_closed, self.gripper_open - self.gripper_closed
        return np.concatenate([rows[:, :-1], closed + rows[:, -1:] * span], axis=-1)

    def rows(self, ctrl: Floats) -> Floats:
        """The rows (T, W) whose commands are in ctrl (T, nu)."""
        q = ctrl[:, list(self.joint_controls)]
        return q if self.gripper_control is None else np.concatenate([q, self.opening(ctrl)[:, None]], axis=1)

    def opening(self, ctrl: Floats) -> Floats:
        """How far ctrl (T, nu) opens the gripper (T,), 0 to 1; a tool that is no gripper counts as open."""
        if self.gripper_control is None:
            return np.ones(len(ctrl))
        value = ctrl[:, self.gripper_control]
        opening: Floats = (value - self.gripper_closed) / (self.gripper_open - self.gripper_closed)
        return opening
