"""StackCube: put a red cube on a green one and let go of it.

Resembles ManiSkill's StackCube, robosuite's Stack and SIMPLER's stacking task. There the frame counts in which the
cubes touch, or are one over the other: a cube that bounces, or that the gripper still holds, has been taken for
stacked. Here it must rest there on the green cube alone, let go, for a whole second, be there at the end, and the green
cube must not be pushed, nor the red one squeezed or dropped.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.moves import CLOSE, OPEN, to, wait
from worldverify.envs.parts import cube, table
from worldverify.task import Task

# One cube is 4 cm high; 4.5 cm between the centres is 2 cm of overhang.
SPEC = """
stacked: eventually[0,6](always[0,1](
             pos(red_cube).z - pos(green_cube).z > 0.035 m and distance(red_cube, green_cube) < 0.045 m
             and contact_load(red_cube, green_cube) > 0.5 N and speed(red_cube) < 0.05 m/s
             and contact_load(gripper, red_cube) < 0.1 N))
stays:   at_end(pos(red_cube).z - pos(green_cube).z > 0.035 m and distance(red_cube, green_cube) < 0.045 m
             and contact_load(gripper, red_cube) < 0.1 N
             and speed(red_cube) < 0.05 m/s and speed(green_cube) < 0.05 m/s)
gentle:  always(contact_load(gripper, red_cube) < 40 N)
softly:  always(contact_load(red_cube, green_cube) < 20 N)
apart:   always(contact_load(gripper, green_cube) < 1 N and speed(green_cube) < 0.25 m/s)
clear:   always(contact_force(arm, table) < 20 N)
"""

PICK = {"skill": "pick", "object": "red_cube"}
PLACE = {"skill": "place", "target": "green_cube"}
HALF = 0.02  # m, half the edge of a cube


def stack_cube() -> Task:
    """The task StackCube-v0."""
    return arm_task(
        table(),
        cube("red_cube", (0.48, -0.12), half=HALF),
        cube("green_cube", (0.5, 0.12), half=HALF, rgba=(0.2, 0.6, 0.3, 1)),
        name="StackCube-v0",
        instruction="Stack the red cube on the green cube, let go of it, and leave both at rest. Do not touch the "
        "green cube with the gripper.",
        spec=SPEC,
        precondition="pos(red_cube).z < 0.03 m and pos(green_cube).z < 0.03 m "
        "and speed(red_cube) < 0.05 m/s and speed(green_cube) < 0.05 m/s",
        horizon=8.0,
        objects=["red_cube", "green_cube"],
        randomise=_randomise,
        good=lambda where: {"skills": [PICK, PLACE]},
        bad={
            "stacked": lambda where: {"skills": [wait(2.5), PICK, PLACE]},
            "stays": _take_it_off_again,
            "gentle": _press_on_the_cube,
            "softly": _drop,
            "apart": _lean_on_the_green_cube,
            "clear": _press_on_the_table,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    for name in ("red_cube", "green_cube"):
        move_object(data, name, generator, xy=0.04, yaw=0.4)
    move_arm(data, generator, angle=0.02)


def _take_it_off_again(where: Mapping[str, Any]) -> Any:
    """The work undone after more than a second."""
    x, y, z = where["green_cube"]
    again = [to((x, y, z + 2 * HALF)), CLOSE, to((x, y, z + 5 * HALF))]
    return {"skills": [PICK, PLACE, wait(1.0), *again]}


def _press_on_the_cube(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push its top as if it were 15 mm lower."""
    x, y, z = where["red_cube"]
    return {"skills": [*_press((x, y, z + 0.015)), PICK, PLACE]}


def _drop(where: Mapping[str, Any]) -> Any:
    """Let go of it 5 cm above the green cube."""
    x, y, z = where["green_cube"]
    up = {"skill": "lift", "height": 0.1}
    return {"skills": [PICK, to((x, y, z + 7 * HALF)), to((x, y, z + 2 * HALF + 0.05)), OPEN, up]}


def _lean_on_the_green_cube(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push its top as if it were 3 mm lower."""
    x, y, z = where["green_cube"]
    return {"skills": [*_press((x, y, z + 0.026)), PICK, PLACE]}


def _press_on_the_table(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["red_cube"]
    return {"skills": [*_press((x, y - 0.1, 0.0)), PICK, PLACE]}


def _press(point: Any) -> list[dict[str, Any]]:
    """Bring the closed fingers down on a point, and up again."""
    x, y, z = point
    return [CLOSE, to((x, y, z + 0.06)), to((x, y, z)), to((x, y, z + 0.06))]
