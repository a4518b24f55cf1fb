"""Motions as the points that text models write: poses with times, or only the corners of the path."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.decode import Begin
from worldverify.kernels import rotation
from worldverify.motion import Motion
from worldverify.waypoint import Waypoint

Floats = NDArray[np.float64]

LEVER = 0.2  # m: a turn counts like the way of a point at this distance
STRAY = 1e-3  # m, by which a straight way of the tool may miss the path
BEND = 0.05  # rad, by which an even way of the joints may


def waypoints(motion: Motion, *, gripper: bool) -> tuple[Waypoint, ...]:
    """One waypoint for each step, where it ends, with the gripper of the step after it if it is wanted."""
    return tuple(
        Waypoint(
            (float(place[0]), float(place[1]), float(place[2])),
            (float(turn[0]), float(turn[1]), float(turn[2]), float(turn[3])),
            float(grip) if gripper else None,
            (k + 1) / motion.rate_hz,
        )
        for k, (place, turn, grip) in enumerate(
            zip(motion.position, motion.orientation, afterwards(motion.opening), strict=True)
        )
    )


def afterwards(opening: Floats) -> Floats:
    """The gripper (T,) from the end of each step on: that of the step after it."""
    return np.append(opening[1:], opening[-1:])


def corners(motion: Motion, begin: Begin, *, straight: bool) -> list[int]:
    """Steps between which the tool (or each joint) goes straight and the gripper stays: the ends of the legs.

    The path is split wherever the gripper changes, and where it strays farthest from a straight way, until no way
    misses it by more than STRAY or BEND (Ramer, 1972; Douglas and Peucker, 1973).
    """
    path, most = np.concatenate([begin.q, motion.q]), BEND
    if straight:
        most = STRAY
        position = np.concatenate([begin.tool.position, motion.position])
        orientation = np.concatenate([begin.tool.orientation, motion.orientation])
        turn = rotation.to_vector(rotation.multiply(orientation, rotation.conjugate(orientation[:1])))
        path = np.concatenate([position, LEVER * turn], axis=1)
    changes = np.flatnonzero(np.diff(motion.opening) != 0.0) + 1  # the gripper of the step after, where this one ends
    kept = {len(path) - 1, *changes.tolist()}
    ends = [0, *sorted(kept)]
    ways = list(pairwise(ends))
    while ways:
        first, last = ways.pop()
        if last - first < 2:
            continue
        along = path[last] - path[first]
        share = np.clip((path[first + 1 : last] - path[first]) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
        off = np.linalg.norm(path[first + 1 : last] - path[first] - share[:, None] * along, axis=1)
        if off.max() > most:
            middle = first + 1 + int(np.argmax(off))
            kept.add(middle)
            ways += [(first, middle), (middle, last)]
    return [k - 1 for k in sorted(kept)]


def events(spec: ActionSpec, rows: Floats, opening: Floats, start: float) -> tuple[Mapping[str, object], ...]:
    """Points (T, width) and, where the opening (T,) from a point on is another than before it, commands."""
    columns = [i for i, name in enumerate(spec.columns) if name != "gripper"]
    found: list[Mapping[str, object]] = []
    points: list[list[float]] = []
    is_open = start > 0.5
    for row, wanted in zip(rows[:, columns].tolist(), (opening > 0.5).tolist(), strict=True):
        points.append(row)
        if wanted != is_open:
            found += [{"points": points}, {"gripper": "open" if wanted else "close"}]
            points, is_open = [], wanted
    return (*found, {"points": points}) if points else tuple(found)
