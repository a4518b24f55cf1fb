"""PushCube: push a cube into a zone on the table, without lifting, tipping, gripping or flinging it.

Resembles ManiSkill's PushCube and Fetch's Push. Those succeed in any frame in which the cube is near enough to the
goal, however it came there. Here it must come to rest in the zone, let go, for half a second, and be there at the end;
and it must have been pushed: a cube that leaves the table or tips fails, as does one that is squeezed (between closed
fingers it reads 25 N) or slides faster than 0.3 m/s, as when it is knocked or thrown.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, move_object, waypoint
from worldverify.envs.parts import cube, table
from worldverify.envs.tableware import sliding, zone
from worldverify.task import Task

SPEC = """
pushed: eventually[0,7.0](always[0,0.5](
            inside(cube, zone) and speed(cube) < 0.05 m/s and contact_load(gripper, cube) < 0.1 N))
stays:  at_end(inside(cube, zone) and speed(cube) < 0.05 m/s)
flat:   always(pos(cube).z < 0.028 m and tilt(cube) < 6 deg
            and contact_load(gripper, cube) - contact_force(gripper, cube) < 3 N)
gentle: always(contact_load(gripper, cube) < 20 N)
slow:   always(speed(cube) < 0.3 m/s)
clear:  always(contact_force(arm, table) < 20 N)
"""

HALF = 0.025  # m, half the edge of the cube
FRICTION = 0.4  # with more, the fingers' own friction would press the cube on the table until it jams
ZONE = (0.6, 0.0)  # m
START = (0.43, 0.0)  # m
BEHIND = START[0] - 0.085  # m, where the fingers come down
TOUCH = START[0] - HALF - 0.015  # m, where they are about to touch it: their front is 1 cm ahead of the tool
THERE = ZONE[0] - HALF - 0.01  # m, where they stop
GRIP = 0.4  # share of the opening that the light grip asks for
LOW = 0.02  # m, height of the tool while it pushes
WIDE = 0.25  # share: the fingers are 2 cm apart and together 5 cm wide


def push_cube() -> Task:
    """The task PushCube-v0."""
    return arm_task(
        table(),
        zone("zone", ZONE, half=(0.06, 0.06), height=2 * HALF),
        sliding(cube("cube", START, half=HALF, mass=0.25), "cube", FRICTION),
        name="PushCube-v0",
        instruction="Push the red cube along the table into the green zone and leave it at rest there. Do not lift, "
        "tip, squeeze or knock it.",
        spec=SPEC,
        precondition="not inside(cube, zone) and speed(cube) < 0.05 m/s",
        horizon=8.0,
        objects=["cube", "zone"],
        randomise=_randomise,
        good=lambda where: {"waypoints": _push()},
        bad={
            "pushed": lambda where: {"waypoints": _push(late=2.9)},
            "stays": lambda where: {"waypoints": [*_push(), *_push_on()]},
            "flat": _lift,
            "gentle": _press_on_the_cube,
            "slow": _knock,
            "clear": _press_on_the_table,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "cube", generator, xy=0.02, yaw=0.2)
    move_arm(data, generator, angle=0.02)


def _push(late: float = 0.0, seconds: float = 2.4) -> list[dict[str, Any]]:
    """Down behind the cube, up to it, along to the zone in that many seconds, and away; begun `late` s."""
    path = [
        ((BEHIND, 0.0, 0.12), 1.0),
        ((BEHIND, 0.0, LOW), 1.7),
        ((TOUCH, 0.0, LOW), 2.1),
        ((THERE, 0.0, LOW), 2.1 + seconds),
        ((THERE - 0.08, 0.0, LOW), 2.7 + seconds),
    ]
    return [waypoint(at, gripper=WIDE, time=late + time) for at, time in path]


def _push_on() -> list[dict[str, Any]]:
    """Once it has been at rest in the zone, on and out of it."""
    path = [((THERE - 0.02, 0.0, LOW), 5.6), ((THERE + 0.1, 0.0, LOW), 6.8)]
    return [waypoint(at, gripper=WIDE, time=time) for at, time in path]


def _lift(where: Mapping[str, Any]) -> Any:
    """A light grip, 9 N in all, that carries the cube over the table and sets it down in the zone."""
    (x, y, z), goal = where["cube"], ZONE[0]
    path = [
        ((x, y, 0.12), 1, 0.8),
        ((x, y, z), 1, 1.4),
        ((x, y, z), 0.7, 1.7),
        ((x, y, z), 0.55, 2.3),
        ((x, y, z), GRIP, 2.6),
        ((x, y, z + 0.03), GRIP, 3.1),
        ((goal, 0.0, z + 0.03), GRIP, 4.8),
        ((goal, 0.0, z), GRIP, 5.4),
        ((goal, 0.0, z), 1, 5.8),
        ((goal, 0.0, 0.15), 1, 6.3),
    ]
    return {"waypoints": [waypoint(at, gripper=gripper, time=time) for at, gripper, time in path]}


def _press_on_the_cube(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push its top as if it were 4 mm lower."""
    return {"waypoints": [*_press(where["cube"] + (0, 0, HALF + 0.005)), *_push(late=2.0)]}


def _press_on_the_table(where: Mapping[str, Any]) -> Any:
    return {"waypoints": [*_press((0.4, 0.2, 0.0)), *_push(late=2.0)]}


def _press(point: Any) -> list[dict[str, Any]]:
    """Bring the closed fingers down on a point, and up again."""
    x, y, z = point
    path = [((x, y, z + 0.07), 0.9), ((x, y, z), 1.5), ((x, y, z + 0.07), 2.0)]
    return [waypoint(at, gripper=0, time=time) for at, time in path]


def _knock(where: Mapping[str, Any]) -> Any:
    return {"waypoints": _push(seconds=0.8)}
