"""PlaceOnPlate: put a carrot on a plate and let go of it, and leave the plate where it is set.

Resembles SIMPLER's "put carrot on plate" and LIBERO's "put ... on the plate". SIMPLER asks in one frame that the carrot
lies over the plate and touches nothing else; LIBERO's test for "on" compares positions, and knows neither release nor
rest. Here the plate must bear the carrot, let go and at rest, for half a second, and the carrot be on it at the end;
and the plate, which can be pushed as any plate can, must stay on its mat, level and still.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.moves import CLOSE, OPEN, to, wait
from worldverify.envs.parts import table
from worldverify.envs.tableware import carrot, mat, plate, sliding
from worldverify.task import Task

SPEC = """
placed: eventually[0,7.5](always[0,0.5](
            inside(carrot, plate_top) and contact_load(carrot, plate) > 0.3 N
            and speed(carrot) < 0.05 m/s and contact_load(gripper, carrot) < 0.1 N))
stays:  at_end(inside(carrot, plate_top) and contact_load(carrot, plate) > 0.3 N
            and speed(carrot) < 0.05 m/s and contact_load(gripper, carrot) < 0.1 N)
plate:  always(distance(plate, mat) < 0.04 m and tilt(plate) < 5 deg and speed(plate) < 0.1 m/s)
gentle: always(contact_load(gripper, carrot) < 40 N)
softly: always(contact_load(carrot, plate) < 18 N)
clear:  always(contact_force(arm, table) < 20 N and contact_force(arm, plate) < 30 N)
"""

PICK = {"skill": "pick", "object": "carrot"}
PLACE = {"skill": "place", "target": "plate_top"}
FRICTION = 0.4  # of the plate
ON = 0.028  # m, height of the middle of a carrot on the plate


def place_on_plate() -> Task:
    """The task PlaceOnPlate-v0."""
    return arm_task(
        table(),
        mat("mat", (0.5, 0.18), half=(0.13, 0.17)),
        sliding(plate("plate", (0.5, 0.18)), "plate", FRICTION),
        carrot("carrot", (0.48, -0.15)),
        name="PlaceOnPlate-v0",
        instruction="Put the carrot on the plate, let go of it, and leave it at rest there. Leave the plate where it "
        "is on its mat.",
        spec=SPEC,
        precondition="not inside(carrot, plate_top) and speed(carrot) < 0.05 m/s",
        horizon=9.0,
        objects=["carrot", "plate", "mat"],
        randomise=_randomise,
        good=lambda where: {"skills": [PICK, PLACE]},
        bad={
            "placed": _let_go_late,
            "stays": _take_it_off_again,
            "plate": _shove_the_plate,
            "gentle": _press_on_the_carrot,
            "softly": _drop,
            "clear": _press_on_the_table,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "carrot", generator, xy=0.03, yaw=0.4)
    move_object(data, "plate", generator, xy=0.015, yaw=0.4)
    move_arm(data, generator, angle=0.02)


def _let_go_late(where: Mapping[str, Any]) -> Any:
    """Set on the plate, and held there until it is too late."""
    x, y, _ = where["plate"]
    down = [to((x, y, 0.12)), to((x, y, ON + 0.004)), wait(0.2), to((x, y, ON - 0.001))]
    return {"skills": [PICK, *down, wait(3.5), OPEN]}


def _take_it_off_again(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["plate"]
    again = [to((x, y, ON)), CLOSE, {"skill": "lift"}]
    return {"skills": [PICK, PLACE, wait(0.6), *again]}


def _shove_the_plate(where: Mapping[str, Any]) -> Any:
    """The work done, the closed fingers push the plate and what is on it off the middle of the mat."""
    x, y, _ = where["plate"]
    come = [to((x - 0.14, y, 0.12)), to((x - 0.14, y, 0.02)), to((x - 0.106, y, 0.02))]
    push = [wait(0.2), to((x - 0.05, y, 0.02))]
    return {"skills": [PICK, PLACE, CLOSE, *come, *push]}


def _press_on_the_carrot(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push its top as if it were 1 cm lower."""
    x, y, z = where["carrot"]
    return {"skills": [*_press((x, y, z + 0.014)), PICK, PLACE]}


def _drop(where: Mapping[str, Any]) -> Any:
    """Let go of it 35 mm above the plate."""
    x, y, _ = where["plate"]
    return {"skills": [PICK, to((x, y, 0.15)), to((x, y, ON + 0.035)), OPEN, {"skill": "lift"}]}


def _press_on_the_table(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["carrot"]
    return {"skills": [*_press((x, y - 0.12, 0.0)), PICK, PLACE]}


def _press(point: Any) -> list[dict[str, Any]]:
    """Bring the closed fingers down on a point, and up again."""
    x, y, z = point
    return [CLOSE, to((x, y, z + 0.07)), to((x, y, z)), to((x, y, z + 0.07))]
