"""PickCube: lift a cube off the table and hold it.

Resembles ManiSkill's PickCube and robosuite's Lift. Those succeed in one frame; here the cube must stay up for half a
second, be up and between both fingers at the end, and never be squeezed, flung or dropped.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, move_object, waypoint
from worldverify.envs.parts import cube, table
from worldverify.task import Task

SPEC = """
lifted: eventually[0,3.5](always[0,0.5](pos(cube).z > 0.1 m))
held:   at_end(pos(cube).z > 0.1 m and contact_load(left_finger, cube) > 0.5 N
               and contact_load(right_finger, cube) > 0.5 N)
gentle: always(contact_load(gripper, cube) < 40 N)
steady: always(speed(cube) < 0.6 m/s)
clear:  always(contact_force(arm, table) < 20 N)
"""

PICK = {"skill": "pick", "object": "cube"}
ABOVE = np.array([0.0, 0.0, 0.1])  # m


def pick_cube() -> Task:
    """The task PickCube-v0."""
    return arm_task(
        table(),
        cube("cube", (0.5, 0.0)),
        name="PickCube-v0",
        instruction="Pick up the red cube and hold it at least 10 cm above the table until the time is over.",
        spec=SPEC,
        precondition="pos(cube).z < 0.1 m and speed(cube) < 0.05 m/s",
        horizon=4.0,
        objects=["cube"],
        randomise=_randomise,
        good=lambda where: {"skills": [PICK]},
        bad={
            "lifted": _too_late,
            "held": _set_down_again,
            "gentle": _press_on_the_cube,
            "steady": _fling,
            "clear": _press_on_the_table,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "cube", generator, xy=0.04, yaw=0.4)
    move_arm(data, generator, angle=0.02)


def _too_late(where: Mapping[str, Any]) -> Any:
    return {"skills": [{"skill": "wait", "seconds": 2.0}, PICK]}


def _set_down_again(where: Mapping[str, Any]) -> Any:
    down = {"skill": "move_to", "position": where["cube"].tolist()}
    return {"skills": [PICK, {"skill": "wait", "seconds": 0.45}, down, {"skill": "open_gripper"}]}


def _press_on_the_cube(where: Mapping[str, Any]) -> Any:
    """The fingertips push the top of the cube as if it were 15 mm lower."""
    return {"skills": [*_press(where["cube"] + (0, 0, 0.015)), PICK]}


def _press_on_the_table(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["cube"]
    return {"skills": [*_press((x, y + 0.1, 0.0)), PICK]}


def _press(point: Any) -> list[dict[str, Any]]:
    """Bring the closed fingers down on a point, and up again."""
    point = np.asarray(point)
    return [
        {"skill": "close_gripper"},
        {"skill": "move_to", "position": (point + 0.6 * ABOVE).tolist()},
        {"skill": "move_to", "position": point.tolist()},
        {"skill": "move_to", "position": (point + 0.6 * ABOVE).tolist()},
    ]


def _fling(where: Mapping[str, Any]) -> Any:
    """A good grasp, then 15 cm up in a third of a second."""
    at = where["cube"]
    return {
        "waypoints": [
            waypoint(at + ABOVE, gripper=1, time=0.8),
            waypoint(at, gripper=1, time=1.5),
            waypoint(at, gripper=0, time=2.0),
            waypoint(at + 1.5 * ABOVE, gripper=0, time=2.36),
        ]
    }
