"""FetchAcrossRoom: drive across a room, take a carton from a counter there, and hold it up.

Resembles the first half of HomeRobot's OVMM (find an object, pick it up) and the fetching of Habitat's rearrangement
tasks, whose grasps may be magnetic: there an object counts as held as soon as the gripper closes near it. Here two
fingers hold it by friction or drop it, the reaction of the arm reaches the base, and the counter can be hit by either.
The carton must be up for half a second, be up and between the fingers at the end, and never be crushed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import DOMAIN, move_object
from worldverify.envs.base import Pose
from worldverify.envs.navigation import move_base, nav_task
from worldverify.envs.parts import block
from worldverify.envs.rooms import chest, furniture, plant, sofa, walls
from worldverify.task import Task

START = Pose(-2.2, -1.0, 0.0)
X, Y = 3.0, 2.0  # m, half of the room
TOP = 0.55  # m, height of the counter
CARTON = (2.15, 0.7)  # m

SPEC = """
fetched: eventually[0,22](always[0,0.5](pos(carton).z > 0.65 m and speed(carton) < 0.05 m/s))
held:    at_end(pos(carton).z > 0.65 m and contact_load(left_finger, carton) > 0.5 N
                and contact_load(right_finger, carton) > 0.5 N and contact_load(carton, furniture) < 0.1 N)
gentle:  always(contact_load(gripper, carton) < 40 N)
clear:   always(clearance(hull, walls) > 0.05 m and clearance(hull, furniture) > 0.05 m
                and contact_force(robot, furniture) < 20 N and contact_force(robot, walls) < 20 N)
slow:    always(speed(robot) < 0.8 m/s and sensor(robot_velocity)[0] > -0.25 m/s
             and abs(sensor(robot_velocity)[1]) < 0.06 m/s)
"""

CORNER, TIGHT, PARKED = (0.7, -1.1), (0.35, -0.8), (1.55, 0.7)  # m: past the low table, too near to it, at the counter
PICK = {"skill": "pick", "object": "carton"}


def fetch_across_room() -> Task:
    """The task FetchAcrossRoom-v0."""
    return nav_task(
        walls(((-X, -Y), (X, -Y)), ((-X, Y), (X, Y)), ((-X, -Y), (-X, Y)), ((X, -Y), (X, Y))),
        furniture(
            chest("counter", (2.5, 0.7), size=(1.0, 1.6, TOP)),
            chest("low_table", (-0.3, -0.2), size=(1.0, 0.6, 0.4)),
            sofa("sofa", (-0.4, 1.4), yaw=-np.pi / 2),
            plant("plant", (2.6, -1.6)),
        ),
        block("carton", CARTON, half=(0.02, 0.02, 0.045), top=TOP, mass=0.15, rgba=(0.85, 0.3, 0.2, 1)),
        name="FetchAcrossRoom-v0",
        instruction="Drive to the counter, pick up the carton that stands on it, and hold it at least 10 cm above the "
        "counter until the time is over. Keep the base 5 cm away from the walls and the furniture.",
        spec=SPEC,
        precondition="pos(carton).z < 0.62 m and speed(carton) < 0.05 m/s and speed(robot) < 0.05 m/s",
        domain=DOMAIN,
        horizon=26.0,
        timestep=0.004,
        arm=True,
        objects=["carton", "counter", "low_table", "sofa", "plant", "walls"],
        randomise=_randomise,
        good=lambda where: {"skills": [*_drive(), PICK]},
        bad={
            "fetched": lambda where: {"skills": [_wait(6.5), *_drive(), PICK]},
            "held": _set_down_again,
            "gentle": _press_on_the_carton,
            "clear": lambda where: {"skills": [*_drive(past=TIGHT), PICK]},
            "slow": lambda where: {"skills": [*_drive(seconds=4.3), PICK]},
        },
        start=START,
        center=(0.0, 0.0),
        size=(2 * X, 2 * Y),
    )


def _drive(past: tuple[float, float] = CORNER, **first: float) -> list[dict[str, Any]]:
    """Past the corner of the low table to the counter; `first` is said of the first drive."""
    return [
        {"skill": "drive_to", "position": list(past), **first},
        {"skill": "drive_to", "position": list(PARKED), "yaw": 0.0},
    ]


def _wait(seconds: float) -> dict[str, Any]:
    return {"skill": "wait", "seconds": seconds}


def _set_down_again(where: Mapping[str, Any]) -> Any:
    spot = [CARTON[0] + 0.05, CARTON[1] - 0.2, TOP]
    return {"skills": [*_drive(), PICK, _wait(0.7), {"skill": "place", "target": spot}]}


def _press_on_the_carton(where: Mapping[str, Any]) -> Any:
    """The closed fingertips press on the top of the carton as if it were 5 mm lower."""
    x, y, z = (float(value) for value in where["carton"])
    press = [{"skill": "move_to", "position": [x, y, z + up]} for up in (0.12, 0.04, 0.12)]
    return {"skills": [*_drive(), {"skill": "close_gripper"}, *press, PICK]}


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_base(data, generator)
    move_object(data, "carton", generator, xy=0.04, yaw=0.4)
