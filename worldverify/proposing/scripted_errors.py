"""How plans go wrong: motions that are clumsy, and numbers and names that mean something else than was meant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import TIMED, ActionSpec
from worldverify.motion import Motion
from worldverify.syntax.form import Actions
from worldverify.waypoint import Waypoint

Floats = NDArray[np.float64]
Generator = np.random.Generator
Calls = tuple[Mapping[str, Any], ...]

MADE_UP = ("banana", "red_mug", "the_object", "Cube1")


def _shaking(motion: Motion, generator: Generator) -> Motion:
    size = generator.uniform(0.003, 0.01)
    shake = generator.normal(0.0, size, motion.position.shape)
    return replace(motion, position=motion.position + shake, q=motion.q + generator.normal(0.0, size, motion.q.shape))


def _aside(motion: Motion, generator: Generator) -> Motion:
    """Centimetres to one side from the middle of the first way on."""
    angle, size = generator.uniform(0.0, 2.0 * np.pi), generator.uniform(0.015, 0.06)
    ramp = np.minimum(1.0, np.arange(1, len(motion.q) + 1) / (0.25 * len(motion.q)))[:, None]
    shift = size * np.array([np.cos(angle), np.sin(angle), 0.0])
    turn = np.zeros(motion.q.shape[1])
    turn[0] = np.copysign(2.0 * size, shift[1])
    return replace(motion, position=motion.position + ramp * shift, q=motion.q + ramp * turn)


def _higher(motion: Motion, generator: Generator) -> Motion:
    ramp = np.minimum(1.0, np.arange(1, len(motion.q) + 1) / (0.25 * len(motion.q)))[:, None]
    shift = np.array([0.0, 0.0, generator.uniform(0.02, 0.06)])
    turn = np.zeros(motion.q.shape[1])
    turn[1] = -2.0 * shift[2]
    return replace(motion, position=motion.position + ramp * shift, q=motion.q + ramp * turn)


def _gripper_early(motion: Motion, generator: Generator) -> Motion:
    ahead = max(1, int(generator.uniform(0.1, 0.3) * len(motion.q)))
    return replace(motion, opening=np.append(motion.opening[ahead:], np.repeat(motion.opening[-1:], ahead)))


def _gripper_late(motion: Motion, generator: Generator) -> Motion:
    behind = max(1, int(generator.uniform(0.1, 0.3) * len(motion.q)))
    return replace(motion, opening=np.append(np.repeat(motion.opening[:1], behind), motion.opening[:-behind]))


def _lets_go(motion: Motion, generator: Generator) -> Motion:
    opening = motion.opening.copy()
    opening[int(generator.uniform(0.75, 0.95) * len(opening)) :] = 1.0
    return replace(motion, opening=opening)


def _stops(motion: Motion, generator: Generator) -> Motion:
    count = max(1, int(generator.uniform(0.3, 0.75) * len(motion.q)))
    fields = {name: getattr(motion, name)[:count] for name in ("q", "position", "orientation", "opening")}
    return replace(motion, **fields)


def _hurried(motion: Motion, generator: Generator) -> Motion:
    """Every second step left out."""
    fields = {name: getattr(motion, name)[1::2] for name in ("q", "position", "orientation", "opening")}
    return replace(motion, **fields) if len(motion.q) > 1 else motion


CLUMSY: dict[str, Callable[[Motion, Generator], Motion]] = {
    "shaking": _shaking,
    "to one side": _aside,
    "too high": _higher,
    "gripper too early": _gripper_early,
    "gripper too late": _gripper_late,
    "lets go": _lets_go,
    "stops half way": _stops,
    "twice as fast": _hurried,
}


def clumsy_calls(calls: Calls, generator: Generator) -> dict[str, Calls]:
    """Skills that are all there, in ways that help little, by what they are."""
    height, seconds = round(float(generator.uniform(0.2, 0.5)), 2), round(float(generator.uniform(1.0, 6.0)), 1)
    return {
        "lets go": (*calls, {"skill": "open_gripper"}),
        "waits first": ({"skill": "wait", "seconds": seconds}, *calls),
        "lifts higher": (*calls, {"skill": "lift", "height": height}),
        "goes home": (*calls, {"skill": "home"}),
        "gripper closed first": ({"skill": "close_gripper"}, *calls),
        "one step left out": calls[:-1] if len(calls) > 1 else ({"skill": "home"},),
        "backwards": calls[::-1] if len(calls) > 1 else ({"skill": "lift"},),
        "twice over": calls * 2,
    }


def wrong_calls(calls: Calls, others: Sequence[str], generator: Generator) -> tuple[Calls, str]:
    """Skills that name another object, or one that does not exist."""
    known = [name for name in others if not any(name in call.values() for call in calls)]
    made_up = not known or generator.random() < 0.4
    name = str(generator.choice(MADE_UP if made_up else known))
    places = [
        (i, key) for i, call in enumerate(calls) for key in ("object", "target") if isinstance(call.get(key), str)
    ]
    if not places:
        return (*calls, {"skill": "pick", "object": name}), f"picks {name} too"
    at, key = places[int(generator.integers(len(places)))]
    return (*calls[:at], {**calls[at], key: name}, *calls[at + 1 :]), f"names {name}"


def wrong_numbers(spec: ActionSpec, actions: Actions, generator: Generator) -> tuple[Actions, str]:
    """Actions whose numbers follow another convention than the contract's, and which."""
    if isinstance(actions, np.ndarray):
        ways = _rows_by_another_convention(spec, actions)
    elif isinstance(actions[0], Waypoint):
        ways = _waypoints_by_another_convention(actions)
    else:
        ways = _points_by_another_convention(actions)
    name = str(generator.choice(list(ways)))
    return ways[name], name


def _rows_by_another_convention(spec: ActionSpec, rows: Floats) -> dict[str, Actions]:
    ways: dict[str, Actions] = {"one number missing": rows[:, :-1]}
    if spec.syntax in TIMED:
        ways["every row twice"] = np.repeat(rows, 2, axis=0)
    if spec.gripper is not None and spec.normalisation.encoding == "numbers":
        flipped = rows.copy()
        column = spec.part("gripper")
        flipped[:, column] = spec.gripper.open + spec.gripper.closed - rows[:, column]
        ways["gripper the other way round"] = flipped
    if spec.normalisation.encoding != "numbers" or spec.space == "ctrl":
        return ways
    moving = [i for i, name in enumerate(spec.columns) if name != "gripper"]
    other = rows.copy()
    if spec.representation[0][1] == "absolute":
        other[1:, moving] = np.diff(rows[:, moving], axis=0)
        ways["steps in place of poses"] = other
    else:
        other[:, moving] = np.cumsum(rows[:, moving], axis=0)
        ways["poses in place of steps"] = other
    degrees = rows.copy()
    turning = (
        spec.part("rotation") if spec.has("rotation") else slice(0, len(moving)) if spec.space == "joint" else None
    )
    if turning is not None:
        degrees[:, turning] = np.round(np.degrees(rows[:, turning]), 3)
        ways["degrees for radians"] = degrees
    if spec.has("position"):
        millimetres = rows.copy()
        millimetres[:, spec.part("position")] *= 1000.0
        ways["millimetres for metres"] = millimetres
    return ways


def _waypoints_by_another_convention(points: Sequence[Any]) -> dict[str, Actions]:
    def each(**change: Callable[[Waypoint], Any]) -> Actions:
        return tuple(replace(point, **{key: of(point) for key, of in change.items()}) for point in points)

    return {
        "x, y, z, w": each(orientation=lambda p: p.orientation and (*p.orientation[1:], p.orientation[0])),
        "millimetres for metres": each(position=lambda p: tuple(round(1000.0 * x, 1) for x in p.position)),
        "gripper the other way round": each(gripper=lambda p: None if p.gripper is None else 1.0 - p.gripper),
        "times that stand still": each(time=lambda p: 1.0),
        "gripper in percent": each(gripper=lambda p: None if p.gripper is None else 100.0 * p.gripper),
    }


def _points_by_another_convention(points: Sequence[Any]) -> dict[str, Actions]:
    """Of points of an image, and of the events of a trajectory."""
    if "label" not in points[0]:
        scaled = [
            {"points": [[round(1000.0 * x, 1) for x in row] for row in event["points"]]} if "points" in event else event
            for event in points
        ]
        swapped = {"open": "close", "close": "open"}
        flipped = [{"gripper": swapped[event["gripper"]]} if "gripper" in event else event for event in points]
        return {"millimetres for metres": tuple(scaled), "gripper the other way round": tuple(flipped)}
    return {
        "x before y": tuple({**one, "point": one["point"][::-1]} for one in points),
        "outside the image": tuple({**one, "point": [one["point"][0] + 2000.0, one["point"][1]]} for one in points),
        "the wrong label": tuple(
            {**one, "label": other["label"]} for one, other in zip(points, points[::-1], strict=True)
        ),
    }
