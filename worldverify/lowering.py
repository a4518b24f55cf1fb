"""Plans of other conventions as waypoints and skills: what needs the scene, and is then followed like our own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.action import CAMERA, ActionSpec
from worldverify.arm import Arm
from worldverify.camera import Camera
from worldverify.decode import Begin, poses
from worldverify.kernels.imaging import Unit
from worldverify.lift import lift_points
from worldverify.plan import Plan
from worldverify.pointing import calls_to_skills, points_to_skills, points_to_waypoints
from worldverify.refusal import Refusal
from worldverify.skills import Catalogue
from worldverify.symbols import resolved
from worldverify.waypoint import Waypoint

Floats = NDArray[np.float64]


class Lowered(NamedTuple):
    """Waypoints or calls of skills, and what a person should know about how they came about."""

    waypoints: tuple[Waypoint, ...] | None
    skills: tuple[Mapping[str, Any], ...] | None
    warnings: tuple[str, ...] = ()
    straight: bool = True  # the way between waypoints


def lower(
    plan: Plan, spec: ActionSpec, begin: Begin, model: Any, data: Any, arm: Arm, names: Catalogue, camera: Camera | None
) -> Lowered:
    """What a plan asks for in the state of `data`, which one plan of `begin` starts from. Raises Refusal."""
    actions: Any = plan.actions
    match spec.syntax:
        case "waypoints":
            return Lowered(_converted(spec, actions, begin), None, straight=spec.path == "straight")
        case "skills":
            return Lowered(None, actions)
        case "voxels":
            return Lowered(_waypoints(spec, actions, begin), None, straight=spec.path == "straight")
        case "trajectory":
            return Lowered(_trajectory(spec, actions, begin), None, straight=spec.path == "straight")
        case "points":
            return _points(spec, actions, model, data, arm, _camera(spec, camera))
        case "gemini_calls":
            return _calls(spec, actions, model, data, arm, _camera(spec, camera))
        case _:
            return Lowered(None, *resolved(spec, actions, begin, model, data, names))


def _waypoints(spec: ActionSpec, rows: Floats, begin: Begin) -> tuple[Waypoint, ...]:
    """Rows (T, width) of poses as waypoints that keep their gripper."""
    found = poses(spec, rows[None], begin)
    position, orientation = found.position[0].tolist(), found.orientation[0].tolist()
    opening = [None] * len(rows) if found.opening is None else found.opening[0].tolist()
    return tuple(
        Waypoint(tuple(place), tuple(turn) if spec.has("rotation") else None, grip)
        for place, turn, grip in zip(position, orientation, opening, strict=True)
    )


def _converted(spec: ActionSpec, points: Sequence[Waypoint], begin: Begin) -> tuple[Waypoint, ...]:
    """Waypoints of a contract in the world, in m, w first and 1 for open; what they leave out stays out."""
    gripper = spec.gripper
    still = (1.0, 0.0, 0.0, 0.0) if spec.rotation == "quat_wxyz" else (0.0, 0.0, 0.0, 1.0)
    said = {
        "position": [point.position for point in points],
        "rotation": [point.orientation or still for point in points],
    }
    if gripper is not None:
        said["gripper"] = [(gripper.open if point.gripper is None else point.gripper,) for point in points]
    rows = np.concatenate([np.array(said[name]) for name, _ in spec.layout], axis=-1)
    return tuple(
        replace(
            made,
            orientation=None if point.orientation is None else made.orientation,
            gripper=None if point.gripper is None else made.gripper,
            time=point.time,
        )
        for point, made in zip(points, _waypoints(spec, rows, begin), strict=True)
    )


def _trajectory(spec: ActionSpec, events: Sequence[Mapping[str, Any]], begin: Begin) -> tuple[Waypoint, ...]:
    """Points between commands of the gripper; until the first command it stays as it is."""
    gripper = spec.gripper
    rows: list[list[float]] = []
    grips: list[float | None] = []
    is_open = 1.0 if gripper is None else gripper.open
    grip: float | None = None
    for event in events:
        if "gripper" in event:
            grip = 1.0 if event["gripper"] == "open" else 0.0
            if rows:  # the gripper moves where the last point is
                rows.append(rows[-1])
                grips.append(grip)
            continue
        for point in event["points"]:
            rows.append([*point, is_open] if gripper is not None else list(point))
            grips.append(grip)
    if not rows:
        raise Refusal("empty", "The plan has no points; it needs at least one.")
    points = _waypoints(spec, np.array(rows), begin)
    path = [Waypoint(point.position, point.orientation, grip) for point, grip in zip(points, grips, strict=True)]
    # Only a straight way is the same without the points on it; joints left to themselves would leave it.
    return tuple(path[k] for k in corners(path)) if spec.path == "straight" else tuple(path)


STRAIGHT = (5e-4, 1e-3)  # m, and of a quaternion: points nearer to a straight way than that say nothing about the way


def corners(points: Sequence[Waypoint]) -> list[int]:
    """The points that make a path: those between which it is straight and goes one way, and gripper changes.

    Ramer, Douglas and Peucker's subdivision, of positions and orientations together.
    """
    rows = np.array([[*point.position, *(point.orientation or ())] for point in points])
    turn = rows[:, 3:]
    for k in range(1, len(turn)):  # of the two quaternions of an orientation, the one that is near to the last
        turn[k] *= 1.0 if turn[k] @ turn[k - 1] >= 0.0 else -1.0
    scaled = rows / np.array([STRAIGHT[0]] * 3 + [STRAIGHT[1]] * turn.shape[1])
    changes = [k for k in range(1, len(points)) if points[k].gripper != points[k - 1].gripper]
    kept = {0, len(points) - 1, *changes, *(k - 1 for k in changes)}
    spans = list(pairwise(sorted(kept)))
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        way = scaled[last] - scaled[first]
        inner = scaled[first + 1 : last] - scaled[first]
        square = float(way @ way)
        share = np.clip(inner @ way / square, 0.0, 1.0) if square > 0.0 else np.zeros(len(inner))
        off = np.linalg.norm(inner - share[:, None] * way, axis=1)
        # A way back along the same line is one too: what it pushes or pulls is not what one way forward does.
        farthest = np.maximum.accumulate(share)
        back = (farthest - share) * math.sqrt(square)
        if back.max() > 1.0 and off.max() <= 1.0:
            off = np.where(share == farthest[int(np.argmax(back))], back.max(), 0.0)
        if off.max() > 1.0:
            middle = first + 1 + int(np.argmax(off))
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return sorted(kept)


def _camera(spec: ActionSpec, camera: Camera | None) -> Camera:
    """The camera that a contract speaks of: "camera:task" is the task's."""
    name = spec.frame.removeprefix(CAMERA)
    if camera is None:
        raise Refusal("no_camera", f"{spec.name} holds points of an image, and this task has no camera.")
    if name not in ("task", camera.name):
        raise Refusal("no_camera", f"{spec.name} is written for the camera {name!r}; this task has {camera.name!r}.")
    return camera


def _unit(spec: ActionSpec) -> Unit:
    return "pixels" if spec.position_unit == "pixels" else "thousandths"


def _points(
    spec: ActionSpec, marks: Sequence[Mapping[str, Any]], model: Any, data: Any, arm: Arm, at: Camera
) -> Lowered:
    image = spec.image
    assert image is not None
    found = lift_points(
        model,
        data,
        at,
        [list(mark.get("point") or mark["box"]) for mark in marks],
        order=image.order,
        unit=_unit(spec),
        labels=[mark.get("label") for mark in marks],
        arm=arm,
    )
    if image.use == "path":
        motion = points_to_waypoints(found.hits, height=image.height)
        path = tuple(Waypoint(tuple(action["position"])) for action in motion.actions)
        return Lowered(path, None, found.warnings + motion.warnings)
    if image.use == "pick" and len({hit.object for hit in found.hits}) > 1:
        shown = ", ".join(repr(hit.object) for hit in found.hits)
        raise Refusal(
            "ambiguous",
            f"The points show {shown}, and {spec.name} is read with the use 'pick': all of one object. "
            'For the last point to say where it goes, declare "contract": {"use": "pick_place"}.',
        )
    motion = points_to_skills(model, data, found.hits, arm, use="pick" if image.use == "pick" else "pick_place")
    return Lowered(None, motion.actions, found.warnings + motion.warnings)


def _calls(
    spec: ActionSpec, calls: Sequence[Mapping[str, Any]], model: Any, data: Any, arm: Arm, at: Camera
) -> Lowered:
    image = spec.image
    assert image is not None
    motion = calls_to_skills(
        model, data, at, calls, arm, order=image.order, unit=_unit(spec), origin=image.origin, height=image.height
    )
    return Lowered(None, motion.actions, motion.warnings)
