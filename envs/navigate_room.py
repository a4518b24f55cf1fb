"""NavigateRoom: drive through a doorway into the next room and stop on a mark, past furniture and round a puddle.

Resembles PointNav and ObjectNav in Habitat and RoboTHOR, and VLN-CE, whose agent is a cylinder that slides along what
it touches: they count an episode as a success if the agent says stop within some distance of the goal (0.2 m in
Habitat's PointNav), and a collision only costs time. Here the base has mass and stands or moves when the verdict
falls: it must rest within 0.2 m for a second, still be there at the end, and never have come within 5 cm of anything,
been in the puddle, or gone faster than 0.8 m/s.
"""

from typing import Any

import numpy as np

from worldverify.envs.base import Pose
from worldverify.envs.navigation import move_base, nav_task, place
from worldverify.envs.rooms import bed, chest, doorway, furniture, goal, plant, puddle, sofa, walls
from worldverify.task import Task

START = Pose(-2.6, -1.0, 0.0)
GOAL, PUDDLE, DOOR = (2.7, -0.2), (-1.5, -1.2), (0.0, -0.9)  # m
X, Y = 3.6, 2.2  # m, half of the two rooms together

SPEC = """
arrived: eventually[0,25](always[0,1](distance(robot, goal) < 0.2 m and speed(robot) < 0.05 m/s
             and abs(joint_speed(robot_yaw)) < 0.1 rad/s))
stays:   at_end(distance(robot, goal) < 0.25 m and speed(robot) < 0.05 m/s
             and abs(joint_speed(robot_yaw)) < 0.1 rad/s)
clear:   always(clearance(hull, walls) > 0.05 m and clearance(hull, furniture) > 0.05 m)
dry:     always(distance(robot, puddle) > 0.6 m)
slow:    always(speed(robot) < 0.8 m/s and sensor(robot_velocity)[0] > -0.25 m/s
             and abs(sensor(robot_velocity)[1]) < 0.02 m/s)
"""

ROUND = [(-1.25, -0.25), (-0.45, -0.85), (0.6, -0.9)]  # m, past the puddle and through the doorway


def navigate_room() -> Task:
    """The task NavigateRoom-v0."""
    return nav_task(
        walls(
            ((-X, -Y), (X, -Y)),
            ((-X, Y), (X, Y)),
            ((-X, -Y), (-X, Y)),
            ((X, -Y), (X, Y)),
            ((0.0, -Y), (0.0, DOOR[1] - 0.55)),
            ((0.0, DOOR[1] + 0.55), (0.0, Y)),
        ),
        doorway("doorway", DOOR),
        furniture(
            sofa("sofa", (-3.0, 1.1)),
            chest("low_table", (-1.9, 1.15), size=(0.6, 1.0, 0.42)),
            plant("plant", (-0.45, 1.75)),
            bed("bed", (2.5, 1.4), yaw=np.pi),
            chest("cabinet", (1.9, -1.55), size=(1.0, 0.45, 0.9)),
        ),
        goal("goal", GOAL, radius=0.2),
        puddle("puddle", PUDDLE, radius=0.3),
        name="NavigateRoom-v0",
        instruction="Drive through the doorway to the goal, the green mark in the other room, and stop on it. Keep "
        "5 cm away from the walls and the furniture, and out of the puddle.",
        spec=SPEC,
        precondition="distance(robot, goal) > 1 m and speed(robot) < 0.05 m/s",
        horizon=28.0,
        objects=["goal", "puddle", "doorway", "walls", "sofa", "low_table", "plant", "bed", "cabinet"],
        randomise=_randomise,
        good=lambda where: {"waypoints": [*map(place, ROUND), place(GOAL)]},
        bad={
            "arrived": lambda where: {"waypoints": _at([9.0, 15.0, 20.0, 26.5])},
            "stays": lambda where: {
                "waypoints": [*_at([5.0, 10.5, 14.5, 20.0]), place(GOAL, time=22.0), place((2.2, -0.4), time=26.5)]
            },
            "clear": lambda where: {"waypoints": [*map(place, ROUND[:2]), place((0.6, -1.3)), place(GOAL)]},
            "dry": lambda where: {"waypoints": [place(ROUND[2]), place(GOAL)]},
            "slow": lambda where: {"waypoints": _at([4.3, 10.0, 14.0, 19.0])},
        },
        start=START,
        center=(0.0, 0.0),
        size=(2 * X, 2 * Y),
    )


def _at(times: list[float], *before: tuple[float, float]) -> list[dict[str, Any]]:
    """The good way, at given times (s), with other places before it."""
    return [place(spot, time=time) for spot, time in zip([*before, *ROUND, GOAL], times, strict=True)]


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_base(data, generator)
