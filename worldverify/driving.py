"""Plans of a base as targets of its pose: speeds at a rate, places on the floor, points of the base's own picture."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify import contracts as formats
from worldverify.action import CAMERA, ActionSpec
from worldverify.base import Base, arrival
from worldverify.camera import Camera
from worldverify.decode import numbers
from worldverify.kernels import driving, trajectory
from worldverify.lift import Hit, lift_points
from worldverify.plan import Plan
from worldverify.refusal import Refusal
from worldverify.route import FARTHEST

Floats = NDArray[np.float64]
Place = Mapping[str, Any]  # "position" (x, y) m, "yaw" rad and "time" s where they are given

CRUISE = 0.7  # of a base's top speeds, on a way without a time
STILL = 1e-6  # m or rad: no way to go
SLOW = 0.02  # m/s and rad/s: a base that is slower when a plan begins counts as standing
NEAR = (0.3, 0.5)  # m and rad: a base this near to its targets is on its way to them
FLAT = (0.05, 0.99)  # m above the floor, and share of a surface's normal that points up: what counts as floor


class Start(NamedTuple):
    """The base in the state that a plan starts from."""

    pose: Floats  # (3,)  x, y [m] and yaw [rad], where its targets are
    twist: Floats  # (2,)  m/s forwards and rad/s


class Driven(NamedTuple):
    """Targets of a base's pose, and what a person should know about them."""

    poses: Floats  # (T, 3)  x, y [m] and yaw [rad] at the end of each control step
    warnings: tuple[str, ...] = ()


class _Way(NamedTuple):
    """A turn on the spot, or a straight drive."""

    label: str  # how a person finds it in the plan: "Waypoint 3"
    turns: bool
    amount: float  # rad to the left, or m forwards


class _Timed(NamedTuple):
    """Ways one after the other, each from rest to rest, W in all."""

    begin: Floats  # (W,)  s
    slower: Floats  # (W,)  times that it takes the least time at its limits
    turns: NDArray[np.bool_]  # (W,)
    amount: Floats  # (W,)  rad or m
    speed: Floats  # (W,)  rad/s or m/s, the most
    acceleration: Floats  # (W,)
    end: float  # s


def start_of(data: Any, base: Base) -> Start:
    """The base in the state of `data`: at its targets if it is on its way to them, else where it is."""
    joints = [data.joint(name) for name in base.joints]
    at, target = np.array([float(joint.qpos[0]) for joint in joints]), data.ctrl[list(base.controls)].copy()
    x, y, turning = (float(joint.qvel[0]) for joint in joints)
    forwards = x * math.cos(at[2]) + y * math.sin(at[2])
    off = np.abs(target - at)
    near = math.hypot(off[0], off[1]) < NEAR[0] and off[2] < NEAR[1]
    return Start(target if near else at, np.array([forwards, turning]))


def drive(base: Base, plan: Plan, model: Any, data: Any, camera: Camera | None, *, rate: float, steps: int) -> Driven:
    """What a plan asks of a base that is in the state of `data`, at `rate` [Hz]. Raises Refusal.

    Speeds are held for their time and integrated, places become turns and straight drives, and points of the picture
    become places on the floor.
    """
    spec, start = _contract(base, plan), start_of(data, base)
    actions: Any = plan.actions
    if spec.space == "base" and spec.syntax == "rows":
        return _follow_speeds(base, start, spec, actions, plan.rate_hz or rate, rate, steps)
    if spec.space == "base":
        return Driven(drive_through(base, start, actions, rate=rate, steps=steps))
    if spec.space == "image" and spec.syntax == "points":
        places, told = _places(spec, actions, model, data, camera)
        return Driven(drive_through(base, start, places, rate=rate, steps=steps, label="Point {}"), told)
    raise Refusal(
        "wrong_robot",
        f"{spec.name} moves an arm, and this robot is a base on wheels: write base_waypoints, base_velocity, points of "
        "its picture, or ctrl.",
    )


def drive_through(
    base: Base, start: Start, places: Sequence[Place], *, rate: float, steps: int, label: str = "Waypoint {}"
) -> Floats:
    """(T, 3) poses through places on the floor, each by a turn towards it, a straight drive, and a turn to its yaw.

    A place with a time is reached then, all of its way slowed down alike; one without is driven to at CRUISE of the
    base's speeds. `label` is how sentences name a place by its number. T <= `steps`. Raises Refusal for what is too
    fast, too far or too long.
    """
    if not places:
        raise Refusal("empty", "The plan has no places to drive to; it needs at least one.")
    before = _brake(base, start, rate, steps)
    at = start.pose if not len(before) else before[-1]
    timed, ends = _schedule(base, at, places, len(before) / rate, label)
    rows = max(1, math.ceil(timed.end * rate - 1e-6))
    if rows > steps:
        fits = [label for label, end in ends if end * rate <= steps + 1e-6]
        raise Refusal(
            "too_many_steps",
            f"The plan takes {timed.end:.2f} s; the task has {steps / rate:.2f} s. "
            + (f"It fits up to {fits[-1]}." if fits else "Not even the first part fits."),
        )
    now = np.arange(len(before) + 1.0, rows + 1.0) / rate
    return np.concatenate([before, _at(timed, at, now)])


def _contract(base: Base, plan: Plan) -> ActionSpec:
    """The contract of a plan; of a format of the task's own, the one that the base's limits make."""
    if plan.contract is not None:
        return plan.contract
    own = (base_velocity(base, plan.rate_hz or 1.0), formats.base_waypoints(), formats.image_points())
    for spec in own:
        if spec.name == plan.format:
            return spec
    known = ", ".join(spec.name for spec in own)
    raise Refusal("unknown_format", f"A base on wheels does not read {plan.format}; it reads {known} and ctrl.")


def base_velocity(base: Base, rate_hz: float) -> ActionSpec:
    """Speeds within a base's limits, at a rate [Hz]."""
    return formats.base_velocity(rate_hz, forward=base.forward, backward=base.backward, turn=base.turning)


def _follow_speeds(
    base: Base, start: Start, spec: ActionSpec, actions: Floats, given: float, rate: float, steps: int
) -> Driven:
    """Poses of rows (T, 2) of speeds: each is held, none changes faster than the base can, and the end is a stop."""
    values = numbers(spec, actions[None])
    rows = np.concatenate([values["v"][0], values["w"][0]], axis=-1)
    low, high = np.array([-base.backward, -base.turning]), np.array([base.forward, base.turning])
    outside = (rows < low) | (rows > high)
    if outside.any():
        row, column = np.argwhere(outside)[0].tolist()
        unit = ("m/s", "rad/s")[column]
        raise Refusal(
            "too_fast",
            f"Action {row + 1} asks for {rows[row, column]:.3g} {unit}; the base goes from {low[column]:.3g} to "
            f"{high[column]:.3g} {unit}.",
        )
    repeat = round(rate / given)
    if repeat < 1 or abs(repeat * given - rate) > 1e-9 * rate:
        raise Refusal(
            "wrong_rate",
            f"The plan has {given:g} speeds a second; the task has {rate:g} control steps: use {rate:g} Hz divided by "
            "a whole number.",
        )
    if len(rows) * repeat > steps:
        raise Refusal(
            "too_many_steps",
            f"The plan has {len(rows)} speeds at {given:g} Hz ({len(rows) / given:.2f} s); the task has "
            f"{steps / rate:.2f} s, which is {steps // repeat} of them.",
        )
    most = np.array([base.acceleration, base.turn_acceleration]) / rate
    twists = driving.ramped(trajectory.hold(rows, repeat), start.twist, most)
    twists = np.concatenate([twists, _stop(twists[-1], most)])[:steps]
    # What a row asks for is reached within it, or the row says more than the base can do.
    reached = twists[repeat - 1 : len(rows) * repeat : repeat]
    late = np.flatnonzero((np.abs(reached - rows) > 1e-9).any(axis=-1))
    told = tuple(
        f"Action {row + 1} asks for more than the base's {base.acceleration:g} m/s^2 and "
        f"{base.turn_acceleration:.3g} rad/s^2 make of the speeds before it; it goes as near to it as it can."
        for row in late[:1].tolist()
    )
    return Driven(driving.integrate(start.pose, twists, 1.0 / rate), told)


def _places(
    spec: ActionSpec, marks: Sequence[Mapping[str, Any]], model: Any, data: Any, camera: Camera | None
) -> tuple[list[Place], tuple[str, ...]]:
    """Where the points of a picture lie on the floor."""
    image = spec.image
    assert image is not None
    name = spec.frame.removeprefix(CAMERA)
    if camera is None:
        raise Refusal("no_camera", f"{spec.name} holds points of an image, and this task has no camera.")
    if name not in ("task", camera.name):
        raise Refusal("no_camera", f"{spec.name} is written for the camera {name!r}; this task has {camera.name!r}.")
    if image.use != "path":
        raise Refusal(
            "bad_contract",
            f"{spec.name} is read with the use {image.use!r}, for which this robot has no gripper. For points to drive "
            'to, declare "contract": {"use": "path"}.',
        )
    found = lift_points(
        model,
        data,
        camera,
        [list(mark.get("point") or mark["box"]) for mark in marks],
        order=image.order,
        unit="pixels" if spec.position_unit == "pixels" else "thousandths",
        labels=[mark.get("label") for mark in marks],
    )
    for hit in found.hits:
        _check_floor(hit)
    return [{"position": (float(hit.position[0]), float(hit.position[1]))} for hit in found.hits], found.warnings


def _check_floor(hit: Hit) -> None:
    if hit.position[2] > FLAT[0] or hit.normal[2] < FLAT[1]:
        what = repr(hit.object) if hit.object else "a shape without a name"
        raise Refusal("wrong_object", f"{hit.title} shows {what}; the base drives to points on the floor.")


def _brake(base: Base, start: Start, rate: float, steps: int) -> Floats:
    """(K, 3) poses until a base that moves stands still; none if it stands."""
    if np.max(np.abs(start.twist)) < SLOW:
        return np.zeros((0, 3))
    most = np.array([base.acceleration, base.turn_acceleration]) / rate
    seconds = float(np.max(np.abs(start.twist) / most)) / rate
    if seconds * rate > steps:
        raise Refusal("too_many_steps", f"The base is so fast that it takes {seconds:.2f} s to brake; it has less.")
    poses: Floats = driving.integrate(start.pose, _stop(start.twist, most), 1.0 / rate)
    return poses


def _stop(twist: Floats, most: Floats) -> Floats:
    """(K, 2) twists of a base that brakes to a stand, each at most `most` (2,) slower than the one before."""
    rows = math.ceil(float(np.max(np.abs(twist) / most)) - 1e-9)
    if rows < 1:
        return np.zeros((0, 2))
    slower: Floats = driving.ramped(np.zeros((rows, 2)), twist, most)
    return slower


def _schedule(
    base: Base, start: Floats, places: Sequence[Place], begin: float, named: str
) -> tuple[_Timed, list[tuple[str, float]]]:
    """The ways to places from a pose (3,), with their times, and when [s] the base is done with each place."""
    now, pose = begin, start
    begins, slower, ways = [], [], []
    ends: list[tuple[str, float]] = []
    for number, place in enumerate(places, 1):
        label = named.format(number)
        part, pose = _ways(label, pose, place)
        least = [_least(base, way) for way in part]
        usual = 1.0 / CRUISE
        time = place.get("time")
        if time is not None and part:
            usual = _stretch(label, float(time) - now, math.fsum(least))
        for way, seconds in zip(part, least, strict=True):
            begins.append(now)
            slower.append(usual)
            ways.append(way)
            now += usual * seconds
        if time is not None:
            now = max(now, float(time))
        ends.append((label, now))
    turns = np.array([way.turns for way in ways], dtype=np.bool_)
    return (
        _Timed(
            begin=np.array(begins),
            slower=np.array(slower),
            turns=turns,
            amount=np.array([way.amount for way in ways]),
            speed=np.where(turns, base.turning, base.forward),
            acceleration=np.where(turns, base.turn_acceleration, base.acceleration),
            end=now,
        ),
        ends,
    )


def _ways(label: str, pose: Floats, place: Place) -> tuple[list[_Way], Floats]:
    """From a pose (3,) to a place, and the pose there."""
    x, y = (float(value) for value in place["position"])
    if max(abs(x), abs(y)) > FARTHEST:
        raise Refusal("unreachable", f"{label} is more than {FARTHEST:g} m away; places are in metres, in the world.")
    along = arrival(pose, (x, y), None)
    end = arrival(pose, (x, y), place.get("yaw"))
    length = math.hypot(along[0] - pose[0], along[1] - pose[1])
    ways = [
        _Way(label, True, float(along[2] - pose[2])),
        _Way(label, False, length),
        _Way(label, True, float(end[2] - along[2])),
    ]
    return [way for way in ways if abs(way.amount) > STILL], end


def _least(base: Base, way: _Way) -> float:
    """The least time [s] of a way at the base's limits."""
    speed, acceleration = (base.turning, base.turn_acceleration) if way.turns else (base.forward, base.acceleration)
    return float(driving.duration(np.array(abs(way.amount)), np.array(speed), np.array(acceleration)))


def _stretch(label: str, given: float, least: float) -> float:
    """How many times its least time a way takes that is given some time [s]."""
    if given < least - 1e-9:
        raise Refusal(
            "too_fast",
            f"{label} has {given:.2f} s for its way; turning and driving there takes {least:.2f} s at least.",
        )
    return max(1.0, given / least)


def _at(timed: _Timed, start: Floats, now: Floats) -> Floats:
    """(T, 3) poses at times (T,) [s] on ways that begin at a pose (3,)."""
    if not len(timed.begin):
        return np.tile(start, (len(now), 1))
    nodes = _nodes(timed, start)
    k = np.clip(np.searchsorted(timed.begin, now, side="right") - 1, 0, None)
    done = driving.covered(
        (now - timed.begin[k]) / timed.slower[k], np.abs(timed.amount[k]), timed.speed[k], timed.acceleration[k]
    )
    share = done / np.abs(timed.amount[k])
    poses: Floats = nodes[k] + share[:, None] * (nodes[k + 1] - nodes[k])
    return poses


def _nodes(timed: _Timed, start: Floats) -> Floats:
    """(W + 1, 3) poses between ways."""
    x, y, yaw = (float(value) for value in start)
    nodes = [(x, y, yaw)]
    for turns, amount in zip(timed.turns.tolist(), timed.amount.tolist(), strict=True):
        if turns:
            yaw += amount
        else:
            x, y = x + amount * math.cos(yaw), y + amount * math.sin(yaw)
        nodes.append((x, y, yaw))
    return np.array(nodes)
