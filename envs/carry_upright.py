"""CarryUpright: bring a full cup to a coaster, and spill nothing.

No benchmark's success rule that we know of asks this of a carried cup: RLBench and LIBERO carry cups and mugs as if
they were empty, and judge where they are at one moment. Here the whole way counts.

The water is a pendulum in the cup (`tableware`): carried with a steady acceleration a across, the slope of the surface
is atan(a/g), in a cup that leans it is the lean, and when shaken it swings at 4 Hz, as water does in a cup of this
width. It reaches the rim, 10 mm up, at the middle of a wall 27 mm from the axis where its slope towards that wall is
atan(10/27) = 20.3 deg; `full` says so for the eight walls, and a steady 3.6 m/s^2 is the most. An accelerometer in the
cup would not do: it shows the blow of the fingers that close on it, which is over before water moves.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.moves import CLOSE, OPEN, to, wait
from worldverify.envs.parts import table
from worldverify.envs.tableware import coaster, cup
from worldverify.task import Task

SPEC = """
served:  eventually[0,8](always[0,0.5](
             inside(cup, coaster_top) and contact_load(cup, coaster) > 1 N
             and speed(cup) < 0.05 m/s and contact_load(gripper, cup) < 0.1 N))
stays:   at_end(inside(cup, coaster_top) and contact_load(cup, coaster) > 1 N
             and speed(cup) < 0.05 m/s and contact_load(gripper, cup) < 0.1 N)
full:    always(max(abs(joint(cup_slosh_x)), abs(joint(cup_slosh_y)),
             0.7071 * (abs(joint(cup_slosh_x)) + abs(joint(cup_slosh_y)))) < 20 deg)
upright: always(tilt(cup) < 12 deg)
gentle:  always(contact_load(gripper, cup) < 70 N
             and (distance(cup, coaster) < 2 cm implies speed(cup) < 0.7 m/s))
clear:   always(contact_force(arm, table) < 20 N)
"""

PICK = {"skill": "pick", "object": "cup"}
PLACE = {"skill": "place", "target": "coaster"}
HELD = 0.17  # m, height of the tool with the cup in the air
GRASP = 0.055  # m, height of the tool over what the cup stands on
LEAN = (5.0, 10.0, 14.5, 10.0, 5.0, 0.0)  # deg, in steps: one would make the water swing


def carry_upright() -> Task:
    """The task CarryUpright-v0."""
    return arm_task(
        table(),
        coaster("coaster", (0.48, 0.2)),
        cup("cup", (0.46, -0.18)),
        name="CarryUpright-v0",
        instruction="Bring the cup, which is full of water, to the coaster, let go of it, and leave it standing there. "
        "Spill nothing: do not tilt, shake or jerk it.",
        spec=SPEC,
        precondition="not inside(cup, coaster_top) and speed(cup) < 0.05 m/s and tilt(cup) < 5 deg",
        horizon=9.0,
        objects=["cup", "coaster"],
        randomise=_randomise,
        good=lambda where: {"skills": [PICK, PLACE]},
        bad={
            "served": _let_go_late,
            "stays": _take_it_away_again,
            "full": _shake,
            "upright": _lean,
            "gentle": _press_on_the_cup,
            "clear": _press_on_the_table,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "cup", generator, xy=0.03, yaw=0.3)
    move_arm(data, generator, angle=0.02)


def _let_go_late(where: Mapping[str, Any]) -> Any:
    """Set on the coaster, and held there until it is too late."""
    x, y, z = where["coaster"]
    return {"skills": [PICK, to((x, y, HELD)), to((x, y, z + 0.008 + GRASP - 0.002)), wait(4.5), OPEN]}


def _take_it_away_again(where: Mapping[str, Any]) -> Any:
    x, y, z = where["coaster"]
    again = [to((x, y, z + 0.008 + GRASP)), CLOSE, {"skill": "lift"}]
    return {"skills": [PICK, PLACE, wait(0.6), *again]}


def _shake(where: Mapping[str, Any]) -> Any:
    """On the way, 1 cm to and fro eight times a second: the swing of the water grows from turn to turn."""
    x, y, _ = where["cup"]
    shake = [to((x, y + 0.01, HELD)), to((x, y, HELD))]
    return {"skills": [PICK, to((x, y, HELD)), *3 * shake, PLACE]}


def _lean(where: Mapping[str, Any]) -> Any:
    """On the way, slowly forward and back."""
    x, y, _ = where["cup"]
    lean: list[dict[str, Any]] = []
    for half in np.radians(LEAN) / 2:
        at = to((x, y, HELD)) | {"orientation": [0.0, float(np.cos(half)), 0.0, float(np.sin(half))]}
        lean += [at, wait(0.15)]
    return {"skills": [PICK, *lean, PLACE]}


def _press_on_the_cup(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push its top as if it were 8 mm lower."""
    x, y, z = where["cup"]
    return {"skills": [*_press((x, y, z + 0.091)), PICK, PLACE]}


def _press_on_the_table(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["cup"]
    return {"skills": [*_press((x, y + 0.17, 0.0)), PICK, PLACE]}


def _press(point: Any) -> list[dict[str, Any]]:
    """Bring the closed fingers down on a point, and up again."""
    x, y, z = point
    return [CLOSE, to((x, y, z + 0.07)), to((x, y, z)), to((x, y, z + 0.07))]
