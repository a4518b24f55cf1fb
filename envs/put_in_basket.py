"""PutInBasket: put a cube into a walled basket and let go.

Resembles LIBERO's "put ... in the basket" and SIMPLER's placing tasks. LIBERO tests a body origin in a box at one
moment; here the cube must rest inside, let go, for half a second, be there at the end, and nothing may be squeezed or
rammed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.parts import basket, cube, table
from worldverify.task import Task

SPEC = """
placed: eventually[0,6](always[0,0.5](
            inside(cube, basket_inside) and speed(cube) < 0.05 m/s and contact_load(gripper, cube) < 0.1 N))
stays:  at_end(inside(cube, basket_inside))
gentle: always(contact_load(gripper, cube) < 40 N)
softly: always(contact_load(cube, basket) < 40 N)
clear:  always(contact_force(arm, basket) < 15 N and contact_force(arm, table) < 20 N)
"""

PICK = {"skill": "pick", "object": "cube"}
PLACE = {"skill": "place", "target": "basket"}


def put_in_basket() -> Task:
    """The task PutInBasket-v0."""
    return arm_task(
        table(),
        cube("cube", (0.45, -0.15)),
        basket((0.5, 0.2)),
        name="PutInBasket-v0",
        instruction="Put the red cube into the blue basket, let go of it, and leave it at rest there.",
        spec=SPEC,
        precondition="not inside(cube, basket_inside) and speed(cube) < 0.05 m/s",
        horizon=7.0,
        objects=["cube", "basket"],
        randomise=_randomise,
        good=lambda where: {"skills": [PICK, PLACE]},
        bad={
            "placed": _never_let_go,
            "stays": _take_it_out_again,
            "gentle": _press_on_the_cube,
            "softly": _drop_from_above,
            "clear": _lean_on_the_wall,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "cube", generator, xy=0.03, yaw=0.4)
    move_arm(data, generator, angle=0.02)


def _to(position: Any) -> dict[str, Any]:
    return {"skill": "move_to", "position": [float(x) for x in position]}


def _never_let_go(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["basket"]
    return {"skills": [PICK, _to((x, y, 0.18)), _to((x, y, 0.05))]}


def _take_it_out_again(where: Mapping[str, Any]) -> Any:
    """A good job undone: a grasp by the upper half of the cube, so that the hand clears the walls."""
    x, y, _ = where["basket"]
    return {"skills": [PICK, PLACE, _to((x, y, 0.044)), {"skill": "close_gripper"}, _to((x, y, 0.2))]}


def _press_on_the_cube(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push the top of the cube as if it were 15 mm lower."""
    x, y, z = where["cube"]
    press = [{"skill": "close_gripper"}, _to((x, y, z + 0.08)), _to((x, y, z + 0.015)), _to((x, y, z + 0.08))]
    return {"skills": [*press, PICK, PLACE]}


def _drop_from_above(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["basket"]
    return {"skills": [PICK, _to((x, y, 0.4)), {"skill": "open_gripper"}]}


def _lean_on_the_wall(where: Mapping[str, Any]) -> Any:
    """A good job, then the fingers come down on the wall."""
    x, y, _ = where["basket"]
    return {"skills": [PICK, PLACE, _to((x - 0.085, y, 0.12)), _to((x - 0.085, y, 0.06))]}
