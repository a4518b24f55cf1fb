"""What the tool is asked to do, leg by leg, and where it starts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.kernels import rotation
from worldverify.refusal import Refusal
from worldverify.waypoint import Waypoint

Floats = NDArray[np.float64]

GRIPPER_TIME = 0.4  # s the tool rests while the gripper opens or closes
FARTHEST = 100.0  # m; beyond it a position is a mistake, and squares lose digits
NO_GRIPPER = "This arm has no gripper: what the plan says of one was left out."
AT_START = (0.02, 0.2)  # m and rad: a waypoint at time 0 this near to the tool is where the tool is


@dataclass(frozen=True, eq=False)
class Start:
    """The arm in the state that a plan starts from."""

    q: Floats  # (J,)  rad
    position: Floats  # (3,)  m, of the tool
    orientation: Floats  # (4,)  wxyz
    gripper: float  # value of the gripper's control


@dataclass(frozen=True, eq=False)
class Leg:
    """A straight way of the tool, then a rest. The gripper changes on arrival: at once where there is no way to go."""

    label: str  # how a person finds it in the plan: "Waypoint 3"
    position: Floats  # (3,)  m
    orientation: Floats  # (4,)  wxyz
    gripper: float  # value of the gripper's control from the arrival on
    rest: float = 0.0  # s, after the arrival
    time: float | None = None  # s after the start of the plan, of the arrival; None: at the usual speed
    straight: bool = True  # the tool on a straight line; else each joint on its own way
    drive: Floats | None = None  # (3,)  x, y [m] and yaw [rad] that the arm's base drives to, the arm still on it
    seconds: float | None = None  # s that this drive takes; None: at the usual speed


def waypoint_route(start: Start, waypoints: Sequence[Waypoint], arm: Arm, *, straight: bool = True) -> list[Leg]:
    """Legs through waypoints. Raises Refusal for values and times that no waypoint can have."""
    if not waypoints:
        raise Refusal("empty", "The plan has no waypoints; it needs at least one.")
    timed = [waypoint.time is not None for waypoint in waypoints]
    if any(timed) and not all(timed):
        raise Refusal("bad_time", f"Waypoint {timed.index(False) + 1} has no time; give all of them one, or none.")
    legs: list[Leg] = []
    orientation, gripper = start.orientation, start.gripper
    for number, waypoint in enumerate(waypoints, 1):
        label = f"Waypoint {number}"
        if waypoint.orientation is not None:
            orientation = unit_quaternion(waypoint.orientation, label)
        before = gripper
        if waypoint.gripper is not None and arm.gripper_control is not None:
            gripper = gripper_control(arm, waypoint.gripper, label)
        if waypoint.time is not None:
            _check_time(waypoint.time, legs[-1].time if legs else None, label)
        rest = GRIPPER_TIME if waypoint.time is None and gripper != before else 0.0
        legs.append(Leg(label, point(waypoint.position, label), orientation, gripper, rest, waypoint.time, straight))
    if legs[0].time == 0.0 and _is_at(start, legs[0]):
        legs[0] = replace(legs[0], position=start.position, orientation=start.orientation)
    return legs


def gripper_control(arm: Arm, opening: float, label: str) -> float:
    """Value of the gripper's control for an opening between 0 (closed) and 1 (open)."""
    if not 0.0 <= opening <= 1.0:
        raise Refusal("out_of_range", f"{label} has gripper {opening:g}; it lies between 0 (closed) and 1 (open).")
    return arm.gripper_closed + opening * (arm.gripper_open - arm.gripper_closed)


def point(position: Sequence[float], label: str) -> Floats:
    """A position (3,) m as an array."""
    value = np.array(position, dtype=np.float64)
    if value.shape != (3,):
        raise Refusal("wrong_width", f"{label} has a position of {value.size} values; it needs 3: x, y, z in m.")
    numbers = value.tolist()  # three of them: faster one by one
    if not all(map(math.isfinite, numbers)):
        raise Refusal("not_finite", f"{label} has a position that is not finite; give x, y, z in m.")
    if max(map(abs, numbers)) > FARTHEST:
        raise Refusal(
            "unreachable", f"{label} is more than {FARTHEST:g} m away; positions are in metres, in the world frame."
        )
    return value


def unit_quaternion(orientation: Sequence[float], label: str) -> Floats:
    """An orientation (4,) wxyz, scaled to unit length exactly."""
    value = np.array(orientation, dtype=np.float64)
    if value.shape != (4,) or not abs(math.hypot(*value.tolist()) - 1.0) <= 0.01:
        raise Refusal(
            "bad_quaternion", f"{label} has orientation {list(orientation)}; it needs a unit quaternion [w, x, y, z]."
        )
    scaled: Floats = rotation.normalise(value)
    return scaled


def _check_time(time: float, before: float | None, label: str) -> None:
    if not math.isfinite(time) or time < 0.0:
        raise Refusal("bad_time", f"{label} has time {time:g} s; times are finite and not negative.")
    if before is not None and time <= before:
        raise Refusal(
            "bad_time", f"{label} has time {time:g} s, not after {before:g} s of the one before; times increase."
        )


def _is_at(start: Start, leg: Leg) -> bool:
    turn = rotation.to_vector(rotation.multiply(leg.orientation, rotation.conjugate(start.orientation)))
    shift = leg.position - start.position
    return math.hypot(*shift) <= AT_START[0] and math.hypot(*turn) <= AT_START[1]
