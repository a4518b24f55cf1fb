"""TurnKnob: grip a knob, turn it by a quarter or so, and leave it there.

Resembles Meta-World's dial-turn, RLBench's turn_tap and turn_oven_on and FrankaKitchen's knobs. Those look at the angle
in one frame, and a knob struck by the side of a hand counts. Here it must be turned by both fingers, without
overshooting, rest there for half a second, and be there at the end with no hand on it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm
from worldverify.envs.fixtures import GRIP, PANEL, knob, panel
from worldverify.envs.moves import WIDE, timed
from worldverify.envs.parts import table
from worldverify.task import Task

SPEC = """
turned:  eventually[0,5.4](always[0,0.5](joint(knob_hinge) > 60 deg and abs(joint_speed(knob_hinge)) < 0.05 rad/s))
stays:   at_end(joint(knob_hinge) > 60 deg and contact_load(arm, knob) < 0.1 N)
within:  always(joint(knob_hinge) < 105 deg)
gripped: always(abs(joint(knob_hinge) - 40 deg) < 15 deg
                implies contact_load(left_finger, knob) > 0.2 N and contact_load(right_finger, knob) > 0.2 N)
slow:    always(abs(joint_speed(knob_hinge)) < 2 rad/s)
clear:   always(contact_force(arm, panel) < 10 N and contact_force(arm, table) < 20 N)
"""

ANGLE = np.deg2rad(82)  # rad, that a good plan turns the hand by
UP = np.array([0.0, 0.0, 0.1])  # m


def turn_knob() -> Task:
    """The task TurnKnob-v0."""
    return arm_task(
        table(),
        panel((0.5, 0.05), size=(0.2, 0.2)),
        knob("knob", (0.5, 0.05)),
        name="TurnKnob-v0",
        instruction=(
            "Grip the orange knob from above, turn it anticlockwise by 60 to 105 degrees, at less than 2 rad/s, "
            "let go of it and take the hand away."
        ),
        spec=SPEC,
        horizon=7.0,
        objects=["knob", "panel"],
        randomise=_randomise,
        precondition="joint(knob_hinge) < 20 deg and abs(joint_speed(knob_hinge)) < 0.05 rad/s",
        good=lambda where: {"waypoints": _turn(where["knob"], ANGLE)},
        bad={
            "turned": lambda where: {"waypoints": _turn(where["knob"], ANGLE, begin=1.75)},
            "stays": lambda where: {"waypoints": _turn(where["knob"], ANGLE)[:-2]},
            "within": lambda where: {"waypoints": _turn(where["knob"], np.deg2rad(116), seconds=2.8)},
            "gripped": _push_one_side,
            "slow": lambda where: {"waypoints": _turn(where["knob"], ANGLE, seconds=1.2)},
            "clear": _tap_the_panel,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    data.joint("knob_hinge").qpos[0] = generator.uniform(-0.12, 0.12)
    move_arm(data, generator, angle=0.02)


def _turn(at: Any, angle: float, *, begin: float = 0.0, seconds: float = 2.0) -> list[dict[str, Any]]:
    """Open fingers come down around the grip, close, turn, open, and leave."""
    now, then = begin + 2.0, begin + 2.0 + seconds
    return [
        *timed([(begin + 0.9, at + UP), (begin + 1.5, at)], gripper=1.0),
        *timed([(now, at)]),
        *timed([(then, at), (then + 0.1, at)], yaw=angle),
        *timed([(then + 0.6, at), (then + 1.2, at + UP)], yaw=angle, gripper=1.0),
    ]


def _push_one_side(where: Mapping[str, Any]) -> Any:
    """The closed fingers push one end of the grip round, flush with its side."""
    at, way = where["knob"], []
    for time, angle in zip(np.linspace(1.4, 3.2, 7), np.linspace(-0.2, ANGLE, 7), strict=True):
        c, s = np.cos(angle), np.sin(angle)
        x, y = GRIP[0] - 0.01, -GRIP[1] - WIDE
        way.append((time, np.add(at, (c * x - s * y, s * x + c * y, 0)), angle))
    _, beside, angle = way[-1]
    aside = np.add(beside, (0.03, 0, 0))
    way = [
        (0.9, way[0][1] + UP, -0.2),
        *way,
        (3.5, aside, angle),
        (4.1, aside + UP, angle),
    ]
    return {"waypoints": [step for time, point, yaw in way for step in timed([(time, point)], yaw=yaw)]}


def _tap_the_panel(where: Mapping[str, Any]) -> Any:
    """The closed fingertips press on the panel beside the knob, before a good job."""
    x, y, _ = where["knob"]
    beside = np.array([x + 0.082, y, PANEL])
    tap = timed([(0.9, beside + UP), (1.3, np.add(beside, (0, 0, 0.003))), (1.7, beside + UP)])
    return {"waypoints": [*tap, *_turn(where["knob"], ANGLE, begin=1.2)]}
