"""Handover: one arm picks up a bar, passes it to the arm on the other side in the air, and lets go.

Resembles robosuite's TwoArmHandover, RoboTwin's handovers and ManiSkill's TwoRobotPickCube. Those ask where the object
is and who touches it at one moment; here the second arm may not touch the bar before the first has lifted it, must
hold it alone for half a second and at the end, over its own side, and nothing may be squeezed, flung or bumped into.
"""

from typing import Any

import numpy as np

from worldverify.envs.arm_task import RATE, Plans, arm_task, move_arm, move_object
from worldverify.envs.parts import block, table
from worldverify.envs.two_arms import facing_arms, rows_of
from worldverify.task import Task
from worldverify.waypoint import Waypoint

SPEC = """
passed: (contact_load(right_gripper, bar) < 0.1 N) until[0,6] (always[0,0.5](pos(bar).z > 0.1 m
            and contact_load(left_left_finger, bar) > 0.5 N and contact_load(left_right_finger, bar) > 0.5 N))
taken:  eventually[0,7](always[0,0.5](pos(bar).z > 0.1 m and contact_load(left_gripper, bar) < 0.1 N
            and contact_load(right_left_finger, bar) > 0.5 N and contact_load(right_right_finger, bar) > 0.5 N))
kept:   at_end(pos(bar).z > 0.1 m and pos(bar).x > 0.15 m and contact_load(left_gripper, bar) < 0.1 N
            and contact_load(right_left_finger, bar) > 0.5 N and contact_load(right_right_finger, bar) > 0.5 N)
gentle: always(contact_load(left_gripper, bar) < 50 N and contact_load(right_gripper, bar) < 50 N)
steady: always(speed(bar) < 0.6 m/s and (pos(bar).z > 0.1 m implies always(pos(bar).z > 0.06 m)))
clear:  always(contact_force(left_arm, table) < 20 N and contact_force(right_arm, table) < 20 N
            and contact_force(left_arm, right_arm) < 5 N)
"""

HORIZON = 10.0  # s
BAR = (-0.3, 0.0)  # m, where it lies
HALF = (0.09, 0.015, 0.02)  # m
LEFT_END, RIGHT_END = -0.055, 0.055  # m, along the bar from its middle: where each arm takes it
MEET = 0.3  # m, height at which it is handed over

ROBOT = facing_arms(1.5)
Way = list[Waypoint]


def handover() -> Task:
    """The task Handover-v0."""
    return arm_task(
        table(size=(1.8, 0.9), center=(0.0, 0.0)),
        block("bar", BAR, half=HALF),
        robot=ROBOT,
        name="Handover-v0",
        instruction=(
            "With the left arm, pick up the bar and lift it at least 10 cm off the table. In the air, give it to the "
            "right arm and let go. With the right arm, hold it over its own side, where x is above 0.15 m, at least "
            "10 cm above the table, until the time is over."
        ),
        spec=SPEC,
        horizon=HORIZON,
        objects=["bar"],
        randomise=_randomise,
        precondition="pos(bar).z < 0.05 m and pos(bar).x < -0.2 m and speed(bar) < 0.05 m/s",
        good=_plan(_give(), _take()),
        bad={
            "passed": _plan(_give(height=0.07), _take(height=0.07)),
            "taken": _plan(_give(begin=2.4), _take(begin=2.4)),
            "kept": _plan(_give(), _take()[:-1]),
            "gentle": _plan([*_press((*BAR, 0.036)), *_give(begin=1.6)], _take(begin=1.6)),
            "steady": _plan(_give(), [*_take(), _at(7.9, 0.28, 0.15, MEET, opened=False)]),
            "clear": _plan(_give(begin=1.6), [*_press((0.3, 0.0, 0.003)), *_take(begin=1.6)]),
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "bar", generator, xy=0.015, yaw=0.12)
    for arm in ROBOT.arms.values():
        move_arm(data, generator, angle=0.02, joints=arm.joints)


def _plan(left: Way, right: Way) -> Plans:
    rows = rows_of(ROBOT, {"left": left, "right": right}, rate=RATE, steps=round(HORIZON * RATE))
    return lambda where: {"actions": np.round(rows, 4).tolist()}


def _at(time: float, x: float, y: float, z: float, *, opened: bool) -> Waypoint:
    return Waypoint((x, y, z), None, float(opened), round(time, 2))


def _give(*, begin: float = 0.0, height: float = MEET) -> Way:
    """The left arm takes the near end of the bar, brings it to the middle, lets go and goes back."""
    x, y = BAR[0] + LEFT_END, BAR[1]
    return [
        _at(begin + 0.8, x, y, 0.1, opened=True),
        _at(begin + 1.4, x, y, 0.02, opened=False),
        _at(begin + 1.9, x, y, 0.02, opened=False),
        _at(begin + 3.6, LEFT_END, 0.0, height, opened=False),
        _at(begin + 5.0, LEFT_END, 0.0, height, opened=False),
        _at(begin + 5.4, LEFT_END, 0.0, height, opened=True),
        _at(begin + 6.2, LEFT_END, 0.0, height + 0.1, opened=True),
        _at(begin + 7.6, -0.25, 0.0, 0.3, opened=True),
    ]


def _take(*, begin: float = 0.0, height: float = MEET) -> Way:
    """The right arm comes down on the far end of the bar, and takes it to its own side."""
    return [
        _at(begin + 2.5, RIGHT_END + 0.1, 0.0, height + 0.1, opened=True),
        _at(begin + 3.4, RIGHT_END, 0.0, height + 0.1, opened=True),
        _at(begin + 4.3, RIGHT_END, 0.0, height, opened=False),
        _at(begin + 6.2, RIGHT_END, 0.0, height, opened=False),
        _at(begin + 7.5, 0.28, 0.0, 0.3, opened=False),
    ]


def _press(point: tuple[float, float, float]) -> Way:
    """The closed fingers come down on a point and up again."""
    x, y, z = point
    over = z + 0.06
    return [
        _at(0.6, x, y, over, opened=False),
        _at(1.0, x, y, z, opened=False),
        _at(1.4, x, y, over, opened=False),
    ]
