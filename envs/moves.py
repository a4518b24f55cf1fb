"""Steps of the plans that tasks with fixtures come with."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from worldverify.arm import Floats
from worldverify.envs.arm import FINGER_TIP, TOOL
from worldverify.envs.arm_task import waypoint

TIP = FINGER_TIP - TOOL  # m, how far the fingertips reach below the tool
NARROW, WIDE = 0.01, 0.015  # m, half of what the closed fingers are thick along the tool's x and y
ASIDE = math.pi / 2  # rad, yaw of a hand that is narrow along the world's y

OPEN, CLOSE = {"skill": "open_gripper"}, {"skill": "close_gripper"}


def facing(yaw: float) -> list[float]:
    """Quaternion wxyz of a gripper that points down, its x axis turned by `yaw` rad from the world's."""
    return [0.0, math.cos(yaw / 2), math.sin(yaw / 2), 0.0]


def to(position: Sequence[float] | Floats, yaw: float | None = None) -> dict[str, Any]:
    """The skill that moves the tool in a straight line, pointing down and turned by `yaw` rad, or turned as it is."""
    step: dict[str, Any] = {"skill": "move_to", "position": [float(x) for x in position]}
    return step if yaw is None else step | {"orientation": facing(yaw)}


def wait(seconds: float) -> dict[str, Any]:
    """The skill that rests for that long (s)."""
    return {"skill": "wait", "seconds": seconds}


def press(point: Floats, *, above: float = 0.1) -> list[dict[str, Any]]:
    """The skills that bring the closed fingers down on a point, the tool to it, from `above` m, and up again."""
    up = np.array([0.0, 0.0, above])
    return [CLOSE, to(point + up), to(point), to(point + up)]


def timed(
    stops: Sequence[tuple[float, Sequence[float] | Floats]], *, yaw: float = 0.0, gripper: float = 0.0
) -> list[dict[str, Any]]:
    """Waypoints (time in s, position (3,) m) of a gripper that points down, turned by `yaw` rad, open by `gripper`."""
    return [
        waypoint(np.asarray(position), gripper=gripper, time=time) | {"orientation": facing(yaw)}
        for time, position in stops
    ]
