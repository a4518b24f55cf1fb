"""What turning waypoints and skills into joint targets must know of a robot arm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arm:
    """A serial arm with a gripper: J revolute joints about their own z axes, base first.

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
    home: Floats  # (J,)    rad, a relaxed pose with the gripper pointing down
    joint_controls: tuple[int, ...]  # J indices into ctrl
    gripper_control: int  # index into ctrl
    gripper_open: float  # m, value of that control when open
    gripper_closed: float  # m, value of that control when closed
    finger_joints: tuple[str, ...]  # names, to read how far the gripper is open
    finger_depth: float  # m, how far the fingertips reach beyond the tool point along tool z
