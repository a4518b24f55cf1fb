"""Two arms that face each other across a table, and plans for both from the ways of their tools."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from worldverify.arm import Arm, Floats
from worldverify.envs.arm import JOINTS, Mount, Robot, add_arm, arm_value, home_of
from worldverify.follow import follow
from worldverify.kernels import kinematics
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.route import Start, waypoint_route
from worldverify.waypoint import Waypoint

CONTROLS = len(JOINTS) + 1  # of one arm


def facing_arms(distance: float) -> Robot:
    """The arms `left` and `right`, whose bases stand `distance` m apart on x; names begin with `left_` and `right_`."""
    mounts = {"left": Mount((-distance / 2, 0.0, 0.0)), "right": Mount((distance / 2, 0.0, 0.0), yaw=np.pi)}

    def add(spec: Any) -> None:
        for name, mount in mounts.items():
            add_arm(spec, mount, prefix=f"{name}_")

    home: dict[str, float] = {}
    for name, mount in mounts.items():
        home |= home_of(mount, prefix=f"{name}_")
    arms = {
        name: arm_value(mount, prefix=f"{name}_", first=i * CONTROLS) for i, (name, mount) in enumerate(mounts.items())
    }
    cameras = {"view": ((0.25, -1.95, 0.8), (0.0, 0.0, 0.3)), "front": ((0.0, -2.1, 0.5), (0.0, 0.0, 0.35))}
    return Robot(add, home, arms, cameras)


def rows_of(robot: Robot, ways: Mapping[str, Sequence[Waypoint]], *, rate: float, steps: int) -> Floats:
    """Rows (T, W) of joint_position at `rate` [Hz] that take the tool of each arm from home along its waypoints.

    Each arm stays where its own way ends until the last has arrived. Raises Refusal for a way that it cannot go.
    """
    parts = [_followed(arm, ways[name], rate, steps) for name, arm in robot.arms.items()]
    longest = max(map(len, parts))
    return np.concatenate([part[np.minimum(np.arange(longest), len(part) - 1)] for part in parts], axis=1)


def _followed(arm: Arm, way: Sequence[Waypoint], rate: float, steps: int) -> Floats:
    """Rows (T, J + 1) of one arm."""
    position, orientation = kinematics.tool_pose(arm.home, *chain_of(arm))
    start = Start(arm.home, position, orientation, arm.gripper_open)
    (made,) = follow(arm, [start], [waypoint_route(start, way, arm)], rate=rate, steps=steps)
    if isinstance(made, Refusal):
        raise made
    opening = (made[:, -1:] - arm.gripper_closed) / (arm.gripper_open - arm.gripper_closed)
    return np.concatenate([made[:, :-1], opening], axis=1)
