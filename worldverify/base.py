"""What turning drives into controls must know of a wheeled base, and where it carries what stands on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.kernels import driving, rotation

Floats = NDArray[np.float64]

AT = 0.005  # m; a place this near is where the base is, and needs no turn towards it


@dataclass(frozen=True)
class Base:
    """A base with two driven wheels on one axle: it goes where it looks, straight or on arcs, and turns on the spot.

    Its body hangs on two slides along the world's x and y and on a hinge about z, so that the positions of these three
    joints are its pose: where the middle of its axle is on the floor, and its yaw. No plan asks it to slip sideways;
    the joints would let it, and a push of something heavy does.
    """

    body: str  # its name in the model
    joints: tuple[str, str, str]  # names: x, y, yaw; at zero the body's frame is the world's
    controls: tuple[int, int, int]  # indices into ctrl of their targets, m, m and rad
    radius: float  # m, of the circle on the floor that holds all of it
    forward: float  # m/s, the fastest
    backward: float  # m/s
    turning: float  # rad/s
    acceleration: float  # m/s^2, the most, of speeding up and of braking
    turn_acceleration: float  # rad/s^2


def pose_of(data: Any, base: Base) -> Floats:
    """(3,) x, y [m] and yaw [rad] of a base in the state of `data`."""
    return np.array([float(data.joint(name).qpos[0]) for name in base.joints])


def arrival(pose: Floats, position: Sequence[float], yaw: float | None) -> Floats:
    """(3,) where a drive from a pose (3,) to a place (2,) ends: looking along its way, or turned to a yaw [rad]."""
    x, y = (float(value) for value in position)
    dx, dy = x - float(pose[0]), y - float(pose[1])
    on = float(pose[2])
    if math.hypot(dx, dy) > AT:
        on = turned(on, math.atan2(dy, dx))
    else:
        x, y = float(pose[0]), float(pose[1])
    return np.array([x, y, on if yaw is None else turned(on, yaw)])


def turned(yaw: float, to: float) -> float:
    """The yaw [rad] that is the direction `to`, the short way round from `yaw`."""
    return yaw + float(driving.wrapped(np.array(to - yaw)))


def carried(before: Floats, after: Floats, position: Floats, orientation: Floats) -> tuple[Floats, Floats]:
    """A position (3,) m and orientation (4,) wxyz in the world that move with a base from pose to pose (3,)."""
    turn = _about_z(float(after[2] - before[2]))
    shift = np.array([after[0], after[1], 0.0])
    moved: Floats = shift + rotation.rotate(turn, position - np.array([before[0], before[1], 0.0]))
    return moved, rotation.multiply(turn, orientation)


def standing(arm: Arm, pose: Floats) -> Arm:
    """An arm whose own base is given in the frame of a driving base, which stands at a pose (3,)."""
    position, orientation = carried(np.zeros(3), pose, arm.base_pos, arm.base_quat)
    return replace(arm, base_pos=position, base_quat=orientation)


def _about_z(angle: float) -> Floats:
    return np.array([math.cos(0.5 * angle), 0.0, 0.0, math.sin(0.5 * angle)])
