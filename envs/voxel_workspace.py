"""VoxelPlace and its factories: tasks in the voxel workspace of EmbodiedBench's EB-Manipulation.

Stand for "Pick up the ... and place it into the ... container" (`voxel_workspace`) and "Stack the ... and the ... in
sequence" (`voxel_stack`), so that plans written as voxels can be judged. The world frame is RLBench's, which the
benchmark uses: voxel [i, j, k] is the cube of 1 cm around LOWEST + 0.01 (i + 0.5, j + 0.5, k + 0.5) m, the table's top
lies at 0.752 m, and the arm stands on it at x = -0.272 m, where RLBench's start pose puts the tool at x = 0.279 m.
Ours starts lower, in its relaxed pose.

Our approximations: a thing listed at a voxel stands on the table there, at the size of its kind (4 cm high, a moon
7.6 cm: twice the usual height of the listed voxels over the table); prisms, stars and moons are made of boxes; a
container is an open box of 14 cm, fixed; the arm is ours. RLBench plans a path to each pose; here the tool goes
straight.
EB-Manipulation succeeds once the thing is seen in the container, or, after a stack is let go, still on top when the
hand has risen 3 cm. Here it must rest there, let go, for half a second, still be there at the end, and nothing may be
squeezed or rammed. "A and B in sequence" means B on A.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from worldverify.envs.arm import Mount
from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.parts import Part, Piece, Rgba, basket, block, boxes, can, table
from worldverify.task import Task

Voxel = tuple[int, int, int]
Item = tuple[str, str, Voxel]  # kind, colour, where

LOWEST, SIDE, COUNT = (-0.3, -0.5, 0.6), 0.01, 100  # m, corner of voxel [0, 0, 0]; m; voxels along each axis
TOP = 0.752  # m, of the table
MOUNT = Mount(pos=(-0.272, 0.0, TOP))
INNER, RIM = 0.14, 0.05  # m, of a container
FLOOR = 0.01  # m, thickness of its floor and walls
HALF, MOON = 0.02, 0.038  # m, half the height of a thing, and of a moon
HORIZON = 40.0  # s, enough for the 15 poses that the benchmark allows

PLACE = """
placed:    eventually[0,{late}](always[0,0.5](
               inside({thing}, {goal}_inside) and contact_load(gripper, {thing}) < 0.1 N))
stays:     at_end(inside({thing}, {goal}_inside))
"""
OUTSIDE = "not inside({thing}, {goal}_inside) and speed({thing}) < 0.05 m/s"
STACK = """
placed:    eventually[0,{late}](always[0,0.5](
               pos({thing}).z - pos({goal}).z > {rise} m and abs(pos({thing}).x - pos({goal}).x) < 0.03 m
               and abs(pos({thing}).y - pos({goal}).y) < 0.03 m and contact_load(gripper, {thing}) < 0.1 N))
stays:     at_end(pos({thing}).z - pos({goal}).z > {rise} m and abs(pos({thing}).x - pos({goal}).x) < 0.03 m
               and abs(pos({thing}).y - pos({goal}).y) < 0.03 m)
"""
APART = "pos({thing}).z - pos({goal}).z < {rise} m and speed({thing}) < 0.05 m/s"
GUARDS = """
gentle:    always(contact_load(gripper, {thing}) < 60 N)
clear:     always(contact_force(arm, table) < 60 N and contact_force(arm, {goal}) < 60 N)
workspace: always(min(pos(tool).x + 0.3 m, 0.7 m - pos(tool).x) > 0 m
                  and min(pos(tool).y + 0.5 m, 0.5 m - pos(tool).y) > 0 m and pos(tool).z < 1.6 m)
"""

OURS: tuple[Item, ...] = (
    ("cube", "blue", (50, 35, 17)),
    ("container", "silver", (45, 70, 17)),
    ("cylinder", "red", (62, 52, 17)),
    ("star", "green", (36, 46, 17)),
    ("triangular prism", "yellow", (70, 30, 17)),
)

COLOURS: dict[str, Rgba] = {
    "black": (0.1, 0.1, 0.1, 1),
    "blue": (0.15, 0.3, 0.85, 1),
    "cyan": (0.2, 0.8, 0.85, 1),
    "green": (0.2, 0.6, 0.25, 1),
    "grey": (0.5, 0.5, 0.5, 1),
    "lime": (0.6, 0.9, 0.2, 1),
    "magenta": (0.85, 0.2, 0.8, 1),
    "maroon": (0.5, 0.1, 0.15, 1),
    "navy": (0.1, 0.12, 0.45, 1),
    "olive": (0.5, 0.5, 0.1, 1),
    "orange": (0.95, 0.55, 0.1, 1),
    "purple": (0.5, 0.2, 0.7, 1),
    "red": (0.85, 0.2, 0.15, 1),
    "rose": (0.95, 0.45, 0.6, 1),
    "silver": (0.75, 0.76, 0.78, 1),
    "teal": (0.1, 0.5, 0.5, 1),
    "violet": (0.6, 0.4, 0.9, 1),
    "white": (0.95, 0.95, 0.95, 1),
    "yellow": (0.95, 0.85, 0.2, 1),
}
SHAPES: dict[str, tuple[Piece, ...]] = {
    "triangular_prism": (
        ((0.0, -0.013, 0.0), (0.022, 0.007, HALF), 0.0),
        ((0.0, 0.001, 0.0), (0.014, 0.007, HALF), 0.0),
        ((0.0, 0.014, 0.0), (0.006, 0.006, HALF), 0.0),
    ),
    "star": tuple(((0.0, 0.0, 0.0), (0.023, 0.006, HALF), turn * np.pi / 3) for turn in range(3)),
    "moon": (  # the gap between its horns is too narrow for a finger, which would be caught in it
        ((0.0, -0.004, 0.0), (0.017, 0.01, MOON), 0.0),
        ((-0.014, 0.004, 0.0), (0.008, 0.011, MOON), 0.3),
        ((0.014, 0.004, 0.0), (0.008, 0.011, MOON), -0.3),
    ),
}


def voxel_place() -> Task:
    """The task VoxelPlace-v0."""
    return voxel_workspace(OURS, target="blue_cube", container="silver_container", name="VoxelPlace-v0", horizon=20.0)


def voxel_workspace(
    objects: Sequence[Item],
    *,
    target: str,
    container: str,
    name: str = "VoxelPlace",
    instruction: str | None = None,
    horizon: float = HORIZON,
) -> Task:
    """Put the thing `target` into `container`. `objects` are (kind, colour, voxel); `names` says what they are called.

    Raises ValueError for a kind, colour, voxel or name that the workspace does not have.
    """
    return _task(
        objects,
        target,
        container,
        name=name,
        instruction=instruction or f"Pick up the {_words(target)} and place it into the {_words(container)}.",
        spec=PLACE + GUARDS,
        precondition=OUTSIDE,
        horizon=horizon,
    )


def voxel_stack(
    objects: Sequence[Item],
    *,
    lower: str,
    upper: str,
    name: str = "VoxelStack",
    instruction: str | None = None,
    horizon: float = HORIZON,
) -> Task:
    """Put the thing `upper` on the thing `lower`; `objects` and errors as for `voxel_workspace`."""
    return _task(
        objects,
        upper,
        lower,
        name=name,
        instruction=instruction or f"Stack the {_words(lower)} and the {_words(upper)} in sequence.",
        spec=STACK + GUARDS,
        precondition=APART,
        horizon=horizon,
    )


def names(objects: Sequence[Item]) -> list[str]:
    """What things are called in the scene: colour_kind, with _2, _3 after the first of a kind and colour."""
    found: list[str] = []
    for kind, colour, _ in objects:
        base = f"{colour}_{kind}".replace(" ", "_")
        count = sum(name == base or name.rpartition("_")[0] == base for name in found)
        found.append(base if count == 0 else f"{base}_{count + 1}")
    return found


def center_of(voxel: Sequence[int]) -> tuple[float, float, float]:
    """The middle (3,) m of a voxel, in the world."""
    x, y, z = (low + SIDE * (index + 0.5) for low, index in zip(LOWEST, voxel, strict=True))
    return x, y, z


def _task(
    objects: Sequence[Item],
    thing: str,
    goal: str,
    *,
    name: str,
    instruction: str,
    spec: str,
    precondition: str,
    horizon: float,
) -> Task:
    called = names(objects)
    for wanted in (thing, goal):
        if wanted not in called:
            raise ValueError(f"No {wanted!r} among the objects. They are called: {', '.join(called)}.")
    free = [one for one, (kind, _, _) in zip(called, objects, strict=True) if kind != "container"]
    if thing not in free:
        raise ValueError(f"{thing!r} is fixed; name one of: {', '.join(free)}.")
    half = MOON if "moon" in thing else HALF
    rest = 2 * half if goal in free else FLOOR  # m above the table: where the underside of the thing comes to rest

    def randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
        for one in free:
            move_object(data, one, generator, xy=0.005, yaw=0.0)
        move_arm(data, generator, angle=0.02)

    def do(where: Mapping[str, Any]) -> list[dict[str, Any]]:
        x, y, _ = map(float, where[goal])
        return [{"skill": "pick", "object": thing}, {"skill": "place", "target": [x, y, TOP + rest]}]

    return arm_task(
        table(size=(1.2, 1.4), center=(0.2, 0.0), top=TOP),
        *(_part(one, *item) for one, item in zip(called, objects, strict=True)),
        name=name,
        instruction=instruction,
        spec=spec.format(thing=thing, goal=goal, late=horizon - 0.5, rise=1.5 * half),
        precondition=precondition.format(thing=thing, goal=goal, rise=1.5 * half),
        horizon=horizon,
        objects=called,
        randomise=randomise,
        good=lambda where: {"skills": do(where)},
        bad={
            "placed": lambda where: {"skills": [*do(where)[:1], *_hold_over(where[goal], rest + half + 0.003)]},
            "stays": lambda where: {"skills": [*do(where), *do(where)[:1], _to(0.2, 0.0, 0.3)]},
            "gentle": lambda where: {"skills": [*_press(where[thing], 2 * half - 0.02), *do(where)]},
            "clear": lambda where: {"skills": [*_press((0.2, 0.0), -0.03), *do(where)]},
            "workspace": lambda where: {"skills": [*do(where), _to(0.1, 0.54, 0.25)]},
        },
        mount=MOUNT,
        floor=0.0,
    )


def _part(name: str, kind: str, colour: str, voxel: Voxel) -> Part:
    """A thing of a kind on the table at a voxel."""
    if colour not in COLOURS:
        raise ValueError(f"No colour {colour!r}. Colours: {', '.join(COLOURS)}.")
    if len(voxel) != 3 or not all(0 <= index < COUNT for index in voxel):
        raise ValueError(f"Voxel {list(voxel)} of {name} is not three whole numbers from 0 to {COUNT - 1}.")
    x, y, _ = center_of(voxel)
    at, rgba = (x, y), COLOURS[colour]
    shape = kind.replace(" ", "_")
    if shape in SHAPES:
        return boxes(name, at, SHAPES[shape], top=TOP, rgba=rgba)
    match shape:
        case "container":
            return basket(at, name=name, inner=(INNER, INNER), height=RIM, wall=FLOOR, top=TOP, rgba=rgba)
        case "cube":
            return block(name, at, half=(HALF, HALF, HALF), top=TOP, rgba=rgba)
        case "rectangular_prism":
            return block(name, at, half=(0.03, 0.015, HALF), top=TOP, rgba=rgba)
        case "cylinder":
            return can(name, at, radius=HALF, height=2 * HALF, top=TOP, rgba=rgba)
    kinds = ", ".join(["container", "cube", "rectangular prism", "cylinder", *map(_words, SHAPES)])
    raise ValueError(f"No kind {kind!r}. Kinds: {kinds}.")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _to(x: float, y: float, height: float) -> dict[str, Any]:
    """A move to a height (m) above the table."""
    return {"skill": "move_to", "position": [x, y, TOP + height]}


def _hold_over(at: Sequence[float], height: float) -> list[dict[str, Any]]:
    """Come down to a height (m) above the table over the x and y of a point, and stay."""
    x, y = float(at[0]), float(at[1])
    return [_to(x, y, 0.2), _to(x, y, height)]


def _press(at: Sequence[float], height: float) -> list[dict[str, Any]]:
    """Bring the closed fingers down to a height (m) above the table over the x and y of a point, and up again."""
    x, y = float(at[0]), float(at[1])
    return [{"skill": "close_gripper"}, _to(x, y, height + 0.1), _to(x, y, height), _to(x, y, height + 0.12)]
