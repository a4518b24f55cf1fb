"""What a language model writes when it is asked many times: waypoints and skills that begin alike, and mistakes."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.bench.schedule_scenes import CLOSED, DOWN, HORIZON, OVER, STILL, UP, Stage, pick_waypoints, place

Floats = NDArray[np.float64]
Steps = list[dict[str, Any]]

WRONG_FRAME = np.array([0.06, 0.08, 0.0])  # m, from where the model believes the origin to be to where it is
FAILURES = ("object", "frame", "collision", "drop")
# s at which a sibling goes its own way, and the first waypoint that is its own.
PARTINGS = ((0.0, 0), (OVER, 1), (DOWN, 2), (CLOSED, 4), (UP, 5), (STILL, 6))
COLLISION_PARTINGS = ((0.0, 0), (0.66, 1), (1.06, 2))  # s (about) and skill
NEAR, NEARER = 0.004, 0.001  # m, by which siblings differ on the way to a grasp, and at it
FREE = 0.01  # m, by which they differ once the object is in the air
SPREAD = 0.3  # share of the horizon, to both sides of the mean
LATER = 0.06  # s, by which a sibling's fingers close later

MALFORMED = (
    '{"waypoints": [{"position": [0.48, -0.12, 0.0',
    "First move above the red cube, then close the gripper and lift it.",
    '{"skills": [{"skill": "teleport", "object": "red_cube"}]}',
    '{"skills": [{"skill": "pick", "object": "red_block"}]}',
    '{"waypoints": [{"position": [0.48, -0.12], "gripper": 1}]}',
    '{"waypoints": [{"position": [48.0, -12.0, 9.0], "gripper": 1}]}',
)
WRAPPINGS = (
    "{}",
    "```json\n{}\n```",
    "Here is the plan:\n\n```json\n{}\n```\n",
    "{}\n\nThe cube is then held above the table.",
)


def texts(
    stage: Stage,
    state: Floats,
    generator: np.random.Generator,
    passing: int,
    failing: int,
    copies: int,
    shared: float,
    malformed: int,
) -> Steps:
    """passing + failing + malformed candidates {"text": ...}; `copies` of the well-formed ones repeat another.

    `shared` is the mean share of the horizon after which a plan leaves the one it was derived from.
    """
    first = int(generator.integers(len(FAILURES)))  # which of them gets what is left over changes with the start
    kinds = ["pass"] * passing + [FAILURES[(first + i) % len(FAILURES)] for i in range(failing)]
    copied = _copied(kinds, copies, generator)
    spines = {kind: _spine(stage, state, kind) for kind in dict.fromkeys(kinds)}
    counts = Counter(kind for kind, repeats in zip(kinds, copied, strict=True) if not repeats)
    distinct: dict[str, list[dict[str, Steps]]] = {}
    made: list[dict[str, Any]] = []
    for kind, repeats in sorted(zip(kinds, copied, strict=True), key=lambda one: one[1]):
        others = distinct.setdefault(kind, [])
        if repeats:
            plan = others[int(generator.integers(len(others)))]
        else:
            spine = spines[kind]
            own = _parting(kind, shared, counts[kind], generator)
            plan = spine if not others else _sibling(spine, own, generator)
            others.append(plan)
        made.append({"text": _written(plan, generator)})
    return made + [{"text": MALFORMED[i]} for i in generator.integers(len(MALFORMED), size=malformed)]


def _copied(kinds: Sequence[str], copies: int, generator: np.random.Generator) -> list[bool]:
    """Which candidates repeat another of their kind; the first of a kind never does."""
    able = [i for i, kind in enumerate(kinds) if kind in kinds[:i]]
    chosen = set(generator.permutation(able)[:copies].tolist())
    return [i in chosen for i in range(len(kinds))]


def _spine(stage: Stage, state: Floats, kind: str) -> dict[str, Steps]:
    """The plan that the others of a kind are derived from."""
    if kind == "collision":
        at, _ = place(stage, state, stage.target)
        low = [round(float(x), 4) for x in np.add(at, (0.07, 0.05, -0.03))]
        over = [round(float(x), 4) for x in np.add(at, (0.0, 0.0, 0.06))]
        return {"skills": [_to(low), {"skill": "close_gripper"}, _to(over)]}
    way = pick_waypoints(stage, state, stage.other if kind == "object" else stage.target)
    if kind == "frame":
        way = [_shifted(point, WRONG_FRAME) for point in way]
    if kind == "drop":
        way = [point | {"gripper": 1} if point["time"] >= UP else point for point in way]
    return {"waypoints": way}


def _parting(kind: str, shared: float, siblings: int, generator: np.random.Generator) -> int:
    """The first step that is a sibling's own, so that all `siblings` share that much of the horizon on average.

    The one that they are derived from shares as much as the last of them to leave it: the others share less.
    """
    partings = COLLISION_PARTINGS if kind == "collision" else PARTINGS
    spread = max(0.0, min(SPREAD, shared, STILL / HORIZON - shared))
    mean = max(0.0, (siblings * shared - (shared + spread)) / max(1, siblings - 1))
    at = HORIZON * (mean + spread * generator.uniform(-1, 1))
    for (before, step), (after, later) in pairwise(partings):
        if at <= after:
            return later if generator.random() < (at - before) / (after - before) else step
    return partings[-1][1]


def _sibling(plan: dict[str, Steps], own: int, generator: np.random.Generator) -> dict[str, Steps]:
    """The same plan up to its step `own`, and other from there on."""
    free = generator.uniform(-FREE, FREE, 3)
    if "skills" in plan:
        changed = generator.uniform(-NEAR, NEAR, 3) * (1, 1, 0)
        steps = [dict(step) for step in plan["skills"]]
        if own == 0:
            steps[0] = _moved(steps[0], changed)
        if own == 1:
            steps.insert(1, {"skill": "wait", "seconds": round(float(generator.uniform(0.04, 0.12)), 2)})
        return {"skills": [*steps[:-1], _moved(steps[-1], free)]}
    way = [dict(point) for point in plan["waypoints"]]
    near, nearer = generator.uniform(-NEAR, NEAR, 3), generator.uniform(-NEARER, NEARER, 3) * (1, 1, 0)
    if own == 0:
        way[0] = _shifted(way[0], near)
    if own <= 1:
        way[1:4] = [_shifted(point, nearer) for point in way[1:4]]
    if own <= 2:
        way[2]["time"] = round(DOWN + 0.04 + float(generator.uniform(0, LATER)), 3)
    if own <= 4:
        way[4] = _shifted(way[4], free)
    if own <= 5:
        way[5] = _shifted(way[5], generator.uniform(-FREE, FREE, 3))
    last = _shifted(way[5], generator.uniform(-FREE, FREE, 3))
    return {"waypoints": [*way, last | {"time": HORIZON}]}


def _to(position: list[float]) -> dict[str, Any]:
    return {"skill": "move_to", "position": position}


def _moved(step: dict[str, Any], by: Floats) -> dict[str, Any]:
    return _to([round(x + float(d), 4) for x, d in zip(step["position"], by, strict=True)])


def _shifted(point: dict[str, Any], by: Floats) -> dict[str, Any]:
    return point | {"position": [round(x + float(d), 4) for x, d in zip(point["position"], by, strict=True)]}


def _written(plan: dict[str, Steps], generator: np.random.Generator) -> str:
    """The plan in one of the ways in which models write the same thing."""
    said = json.dumps(plan, indent=2 if generator.random() < 0.5 else None)
    return WRAPPINGS[int(generator.integers(len(WRAPPINGS)))].replace("{}", said)
