"""NavigateCrowd: cross a hall in which people walk on paths that the prompt tells, without coming near any of them.

Resembles the social navigation of iGibson, where pedestrians cross the way and an episode fails on a touch. Here no
policy moves the people: each is a heavy body on a spring or a pivot, whose place is known in closed form at any time
until something pushes it. So whether a plan is good can be worked out before it is tried, and a collision moves both.
The base must keep 20 cm from everyone all the time, rest at the goal for a second, and still be there at the end.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldverify.domain import Domain
from worldverify.envs.base import Pose
from worldverify.envs.navigation import move_base, nav_task, place
from worldverify.envs.rooms import Spot, Walk, chest, furniture, goal, person, plant, set_walking, walls
from worldverify.task import Task

START = Pose(-3.3, 0.0, 0.0)
GOAL = (3.3, 0.4)  # m
X, Y = 4.2, 2.5  # m, half of the hall

PEOPLE = {
    "anna": Walk((-1.6, 0.0), reach=1.7, period=12.0, yaw=np.pi / 2),
    "ben": Walk((0.5, -1.0), reach=0.8, period=9.0, round=True),
    "cara": Walk((2.2, 0.0), reach=1.7, period=10.0, yaw=np.pi / 2),
}
PHASES = {"anna": -1.2, "ben": 0.0, "cara": -2.2}  # rad, at the start, to within JITTER
JITTER = 0.25  # rad
COLOURS = {"anna": (0.75, 0.3, 0.28, 1.0), "ben": (0.28, 0.4, 0.68, 1.0), "cara": (0.8, 0.62, 0.2, 1.0)}

SPEC = """
arrived: eventually[0,27](always[0,1](distance(robot, goal) < 0.2 m and speed(robot) < 0.05 m/s
             and abs(joint_speed(robot_yaw)) < 0.1 rad/s))
stays:   at_end(distance(robot, goal) < 0.25 m and speed(robot) < 0.05 m/s
             and abs(joint_speed(robot_yaw)) < 0.1 rad/s)
apart:   always(clearance(hull, anna) > 0.2 m and clearance(hull, ben) > 0.2 m and clearance(hull, cara) > 0.2 m)
clear:   always(clearance(hull, walls) > 0.05 m and clearance(hull, furniture) > 0.05 m)
slow:    always(speed(robot) < 0.9 m/s and sensor(robot_velocity)[0] > -0.25 m/s
             and abs(sensor(robot_velocity)[1]) < 0.02 m/s)
"""

BEFORE, BETWEEN, HALFWAY = (-2.5, 0.0), (-0.6, 0.6), (0.9, 0.8)  # m: before anna's path, behind it, before cara's
GOOD = (3.5, 6.6, 11.6, 15.9, 16.0, 21.3)  # s
ASIDE, BEYOND, GRAZING = (3.25, 0.95), (3.3, 1.2), (0.9, 1.36)  # m, off the goal, twice, and along the counter


def navigate_crowd() -> Task:
    """The task NavigateCrowd-v0."""
    return nav_task(
        walls(((-X, -Y), (X, -Y)), ((-X, Y), (X, Y)), ((-X, -Y), (-X, Y)), ((X, -Y), (X, Y))),
        furniture(
            chest("counter", (0.6, 1.95), size=(2.0, 0.6, 1.0)),
            plant("plant", (-3.7, 1.9)),
            plant("fern", (3.7, -1.9)),
        ),
        *(person(name, walk, rgba=COLOURS[name]) for name, walk in PEOPLE.items()),
        goal("goal", GOAL, radius=0.2),
        name="NavigateCrowd-v0",
        instruction="Cross the hall to the goal, the green mark, and stop on it. Keep 20 cm away from the people and "
        "5 cm from walls and furniture. The people do not look out for you: "
        + "; ".join(f"{name} {walk}" for name, walk in PEOPLE.items())
        + ".",
        spec=SPEC,
        precondition="distance(robot, goal) > 1 m and speed(robot) < 0.05 m/s",
        domain=Domain(gain=0.05, delay=0.05),  # another mass would be another period
        horizon=30.0,
        objects=["goal", *PEOPLE, "counter", "plant", "fern", "walls"],
        randomise=_randomise,
        good=lambda where: {"waypoints": _timed(GOOD)},
        bad={
            "arrived": lambda where: {
                "waypoints": _timed((*GOOD[:5], 21.5, 25.3, 29.0), last=ASIDE, more=[ASIDE, GOAL])
            },
            "stays": lambda where: {"waypoints": _timed((*GOOD, 23.2, 28.0), more=[GOAL, BEYOND])},
            "apart": lambda where: {"waypoints": _timed((3.5, 3.6, 8.8, *GOOD[3:]))},
            "clear": lambda where: {"waypoints": _timed((*GOOD[:3], 15.7, 15.8, 21.5), half=GRAZING)},
            "slow": lambda where: {"waypoints": _timed((*GOOD[:3], 14.7, *GOOD[4:]))},
        },
        start=START,
        center=(0.0, 0.0),
        size=(2 * X, 2 * Y),
    )


def _timed(times: Sequence[float], *, half: Spot = HALFWAY, last: Spot = GOAL, more: Sequence[Spot] = ()) -> Any:
    """Up to anna's path, across it, up to cara's, and across that, with waits, at given times (s)."""
    way = (BEFORE, BEFORE, BETWEEN, half, half, last, *more)
    return [place(spot, time=time) for spot, time in zip(way, times, strict=True)]


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_base(data, generator)
    for name, walk in PEOPLE.items():
        set_walking(model, data, name, walk, PHASES[name] + generator.uniform(-JITTER, JITTER))
