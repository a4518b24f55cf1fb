"""PlaceInDrawer: open a drawer, put a cube into it, let go of it, and shut the drawer again.

Resembles LIBERO's "put ... in the drawer and close it", CALVIN's place-in-drawer, RLBench's put_item_in_drawer and
SIMPLER's place-in-closed-drawer. LIBERO looks at the cube and the joint in one frame, at the end. Here the sub-goals
come in order, each of them kept for half a second: the cube lies in the open drawer with no hand on it, then the drawer
is shut with the cube in it. The drawer is moved by its handle alone, and nothing is squeezed or slammed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.fixtures import BAR, DEPTH, HANDLE, HEIGHT, SHELF, WALL, cabinet
from worldverify.envs.moves import ASIDE, CLOSE, NARROW, press, to, wait
from worldverify.envs.parts import cube, table
from worldverify.task import Task

SPEC = """
tidied: eventually[0,6.5](joint(drawer_slide) > 0.1 m
            and eventually[0,5](
                always[0,0.5](joint(drawer_slide) > 0.1 m and inside(cube, drawer_inside)
                    and speed(cube) < 0.05 m/s and contact_load(gripper, cube) < 0.1 N)
                and eventually[0,4](
                    always[0,0.5](joint(drawer_slide) < 1 cm and inside(cube, drawer_inside)))))
stays:  at_end(joint(drawer_slide) < 1 cm and inside(cube, drawer_inside) and contact_load(arm, drawer) < 0.1 N)
handle: always(contact_load(arm, tray) < 2 N)
gentle: always(contact_load(gripper, cube) < 40 N and contact_load(arm, handle) < 60 N
            and contact_load(cube, tray) < 20 N)
softly: always(joint(drawer_slide) < 1 cm implies speed(drawer) < 0.18 m/s)
clear:  always(contact_force(arm, cabinet) < 15 N and contact_force(arm, table) < 20 N)
"""

CABINET = (0.44, 0.38)  # m
HOOK = np.array([0.0, 0.037, -0.01])  # m from the handle to the tool that hooks it
PULL = np.array([0.0, -0.17, 0.0])  # m
ALONG = np.array([0.0, 1.0, 0.0])  # the direction in which the drawer closes
SLOWLY = (0.02, 0.01, 0.0)  # m from shut, at the end of each step of closing
UP = np.array([0.0, 0.0, 0.14])  # m


def place_in_drawer() -> Task:
    """The task PlaceInDrawer-v0."""
    return arm_task(
        table(),
        cabinet(CABINET),
        cube("cube", (0.42, -0.2)),
        name="PlaceInDrawer-v0",
        instruction=(
            "Pull the drawer of the cabinet open, put the red cube into it, let go of the cube, and push the drawer "
            "shut. Touch the drawer by its handle only, and do not slam it."
        ),
        spec=SPEC,
        horizon=17.0,
        objects=["cube", "handle", "drawer_inside", "cabinet"],
        randomise=_randomise,
        precondition="joint(drawer_slide) < 3 cm and not inside(cube, drawer_inside) and speed(cube) < 0.05 m/s",
        good=lambda where: {"skills": [*_open(where), *_put(where), *_shut(where)]},
        bad={
            "tidied": lambda where: {"skills": [wait(4.2), *_open(where), *_put(where), *_shut(where)]},
            "stays": lambda where: {
                "skills": [*_open(where), *_put(where), *_shut(where, steps=(*SLOWLY, -0.002), leave=False)]
            },
            "handle": lambda where: {"skills": [*_open(where), *_put(where), *_push_the_front(where)]},
            "gentle": lambda where: {
                "skills": [*press(where["cube"] + (0, 0, 0.015)), *_open(where), *_put(where), *_shut(where)]
            },
            "softly": lambda where: {"skills": [*_open(where), *_put(where), *_shut(where, steps=(-0.003,))]},
            "clear": lambda where: {
                "skills": [
                    *press(where["cabinet"] + (0, -0.05, HEIGHT)),
                    *_open(where),
                    *_put(where),
                    *_shut(where),
                ]
            },
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    data.joint("drawer_slide").qpos[0] = generator.uniform(0.0, 0.008)
    move_object(data, "cube", generator, xy=0.03, yaw=0.4)
    move_arm(data, generator, angle=0.02)


def _open(where: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The closed fingers hook the bar, draw it out, and come up."""
    at = where["handle"] + HOOK
    end = at + PULL
    touch = [to(at - step * ALONG) for step in (0.01, 0.02, 0.03)]
    return [CLOSE, to(at + UP, ASIDE), to(at), *touch, to(end), to(end + 0.02 * ALONG), to(end + 0.02 * ALONG + UP)]


def _put(where: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cube goes into the middle of what the drawer shows when it is open."""
    middle = np.array([CABINET[0], CABINET[1] - 0.215, SHELF])
    place = {"skill": "place", "target": middle.tolist()}
    return [{"skill": "pick", "object": "cube"}, to(middle + 1.5 * UP, ASIDE), place]


def _shut(where: Mapping[str, Any], *, steps: Sequence[float] = SLOWLY, leave: bool = True) -> list[dict[str, Any]]:
    """The closed fingers push the bar home, in steps that end so far (m) from there, and leave."""
    home = np.array([CABINET[0], CABINET[1] + HANDLE[1] - BAR - NARROW, where["handle"][2] + HOOK[2]])
    before = home + PULL - 0.02 * ALONG
    touch = [to(home + PULL + step * ALONG) for step in (0.007, 0.02)]
    off = home - 0.03 * ALONG
    away = [to(off), to(off + UP)] if leave else []
    return [to(before + UP), CLOSE, to(before), *touch, *[to(home - step * ALONG) for step in steps], *away]


def _push_the_front(where: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The closed fingers push the front of the drawer shut, beside its handle."""
    home = np.array([CABINET[0] + 0.11, CABINET[1] - DEPTH / 2 - WALL - NARROW, 0.12])
    before = home + PULL - 0.03 * ALONG
    steps = [to(home - step * ALONG) for step in (0.155, 0.14, *SLOWLY)]
    return [to(before + UP), CLOSE, to(before), *steps, to(home - 0.03 * ALONG), to(home - 0.03 * ALONG + UP)]
