"""LiberoTable: put two cans into a basket, on a table laid out as LIBERO's.

Stands for LIBERO-10 task 0, "put both the alphabet soup and the tomato sauce in the basket" (LIVING_ROOM_SCENE2), so
that action chunks written for it can be judged. The world frame is LIBERO's: the origin on the floor under the middle
of the table, x away from the arm, whose base stands at (-0.51, 0, 0.42) m and starts in LIBERO's pose, at 20 Hz.

From LIBERO: the table's top (0.70 x 1.60 m at a height of 0.41 m), the centres of the regions where the things start
and their half width, the height of the basket's rim (0.145 m), and the sizes of the things, read off their collision
boxes.
Our approximations: cans are cylinders, everything else is one box, all weigh 0.1 kg; the basket is fixed and its
walls, which lean out in LIBERO, stand upright 0.14 m apart; the arm is ours (Panda kinematics, joint servos instead of
the operational-space torque controller), on a pedestal.
LIBERO's success is both can origins in the basket's region at one moment. Here both must rest there, let go, for a
quarter of a second, still be there at the end, and nothing may be squeezed or rammed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from worldverify.envs.arm import Mount
from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.parts import Part, Rgba, basket, block, can, pedestal, table
from worldverify.task import Task

TOP = 0.41  # m, of the table
MOUNT = Mount(
    pos=(-0.51, 0.0, 0.42),
    home=(0.0, -0.161037389, 0.0, -2.44459747, 0.0, 2.2267522, np.pi / 4),
)
BASKET = (0.0, 0.26)  # m
INNER, RIM = 0.14, 0.145  # m, of the basket
REGION = 0.025  # m, half width of the square in which a thing starts
WOUND_UP = [0.0, float(np.cos(-1.037)), float(np.sin(-1.037)), 0.0]  # pointing down, the last joint near its limit
HELD = 0.132  # m above the table: a can held there is below the rim, and above another one in the basket
RATE = 20.0  # Hz
TIMESTEP = 0.005  # s

SPEC = """
soup:   eventually[0,14.5](always[0,0.25](
            inside(alphabet_soup, basket_inside) and contact_load(gripper, alphabet_soup) < 0.1 N))
sauce:  eventually[0,14.5](always[0,0.25](
            inside(tomato_sauce, basket_inside) and contact_load(gripper, tomato_sauce) < 0.1 N))
stay:   at_end(inside(alphabet_soup, basket_inside) and inside(tomato_sauce, basket_inside))
gentle: always(contact_load(gripper, alphabet_soup) < 60 N and contact_load(gripper, tomato_sauce) < 60 N)
clear:  always(contact_force(arm, table) < 20 N and contact_force(arm, basket) < 20 N)
"""

GUARDS = """
clear:  always(contact_force(arm, table) < 20 N)
limits: always(joint_margin(arm) > 0.02 rad)
slow:   always(speed(tool) < 0.75 m/s)
"""

CANS: dict[str, tuple[tuple[float, float], Rgba]] = {
    "alphabet_soup": ((-0.1, -0.15), (0.75, 0.15, 0.15, 1)),
    "tomato_sauce": ((-0.1, 0.05), (0.85, 0.35, 0.2, 1)),
}
CAN_RADIUS = 0.031  # m
TRIES = 100  # draws of a place; the regions leave room enough
CARTONS: dict[str, tuple[tuple[float, float], tuple[float, float, float], Rgba]] = {
    "milk": ((0.05, -0.1), (0.026, 0.026, 0.064), (0.92, 0.93, 0.95, 1)),
    "orange_juice": ((0.0, -0.25), (0.026, 0.026, 0.064), (0.95, 0.6, 0.15, 1)),
    "ketchup": ((-0.25, -0.15), (0.017, 0.028, 0.073), (0.7, 0.1, 0.1, 1)),
    "butter": ((0.05, 0.05), (0.038, 0.02, 0.009), (0.95, 0.88, 0.45, 1)),
    "cream_cheese": ((0.1, -0.2), (0.041, 0.021, 0.009), (0.55, 0.7, 0.9, 1)),
}


def libero_table() -> Task:
    """The task LiberoTable-v0."""
    return arm_task(
        *_bench(),
        *(can(name, xy, radius=CAN_RADIUS, height=0.075, top=TOP, rgba=rgba) for name, (xy, rgba) in CANS.items()),
        *(block(name, xy, half=half, top=TOP, rgba=rgba) for name, (xy, half, rgba) in CARTONS.items()),
        basket(BASKET, inner=(INNER, INNER), height=RIM, top=TOP),
        name="LiberoTable-v0",
        instruction="Put both the alphabet soup and the tomato sauce in the basket.",
        spec=SPEC,
        precondition="not inside(alphabet_soup, basket_inside) and not inside(tomato_sauce, basket_inside) "
        "and speed(alphabet_soup) < 0.05 m/s and speed(tomato_sauce) < 0.05 m/s",
        horizon=15.0,
        objects=[*CANS, *CARTONS, "basket"],
        randomise=_randomise,
        good=lambda where: {"skills": [*_soup(), *_sauce()]},
        bad={
            "soup": lambda where: {"skills": [*_sauce(), *_soup()[:-1], _to(*BASKET, HELD)]},
            "sauce": lambda where: {"skills": [*_soup(), *_sauce()[:-1], _to(*BASKET, HELD)]},
            "stay": _take_one_out_again,
            "gentle": _press_on_the_soup,
            "clear": _press_on_the_table,
        },
        mount=MOUNT,
        rate=RATE,
        timestep=TIMESTEP,
        floor=0.0,
    )


def libero_guards(*parts: Part, name: str, instruction: str, objects: Sequence[str], horizon: float = 20.0) -> Task:
    """LIBERO's table with other things on it, and no goal: whether a plan for another LIBERO task is safe to follow.

    `parts` stand on a table whose top is at `TOP`; `objects` are the names that the instruction speaks of.
    """
    return arm_task(
        *_bench(),
        *parts,
        name=name,
        instruction=instruction,
        spec=GUARDS,
        horizon=horizon,
        objects=objects,
        randomise=lambda generator, model, data: move_arm(data, generator, angle=0.02),
        good=lambda where: {"skills": [_to(0.0, 0.1, 0.25)]},
        bad={
            "clear": lambda where: {"skills": _press(0.1, 0.4, -0.012)},
            "limits": lambda where: {"skills": [_to(0.0, 0.1, 0.25) | {"orientation": WOUND_UP}]},
            "slow": lambda where: {"waypoints": [{"position": [0.0, 0.35, TOP + 0.3], "time": 0.72}]},
        },
        mount=MOUNT,
        rate=RATE,
        timestep=TIMESTEP,
        floor=0.0,
    )


def _bench() -> list[Part]:
    return [table(size=(0.7, 1.6), center=(0.0, 0.0), top=TOP), pedestal(MOUNT, height=MOUNT.pos[2])]


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    placed: list[tuple[float, float, float, float]] = []  # x, y and half sizes (m) of what stands already
    for name in (*CANS, *CARTONS):
        joint = data.joint(f"{name}_free")
        usual = joint.qpos.copy()
        wide, deep = CARTONS[name][1][:2] if name in CARTONS else (CAN_RADIUS, CAN_RADIUS)
        for _ in range(TRIES):  # things do not stand inside each other
            joint.qpos[:] = usual
            move_object(data, name, generator, xy=REGION, yaw=0.0)
            x, y = (float(place) for place in joint.qpos[:2])
            if all(abs(x - a) > wide + w or abs(y - b) > deep + d for a, b, w, d in placed):
                break
        placed.append((x, y, wide, deep))
    move_arm(data, generator, angle=0.02)


def _to(x: float, y: float, height: float) -> dict[str, Any]:
    """A move to a height (m) above the table."""
    return {"skill": "move_to", "position": [x, y, TOP + height]}


def _carry(name: str, side: int) -> list[dict[str, Any]]:
    """Bring a can over the near (-1) or far (1) half of the basket, and let go of it just above the rim."""
    x, y = BASKET[0] + 0.035 * side, BASKET[1]
    return [
        {"skill": "pick", "object": name},
        {"skill": "lift", "height": 0.1},
        _to(x, y, 0.2),
        {"skill": "wait", "seconds": 0.2},
        {"skill": "open_gripper"},
    ]


def _soup() -> list[dict[str, Any]]:
    return _carry("alphabet_soup", -1)


def _sauce() -> list[dict[str, Any]]:
    return [_to(*BASKET, 0.2), *_carry("tomato_sauce", 1)]


def _take_one_out_again(where: Mapping[str, Any]) -> Any:
    """The sauce is set on the soup, where the fingers still reach it, and lifted out."""
    let_go, grasp = {"skill": "open_gripper"}, {"skill": "close_gripper"}
    soup = [*_soup()[:-3], _to(*BASKET, 0.2), {"skill": "wait", "seconds": 0.2}, let_go]
    sauce = [*_sauce()[:-3], _to(*BASKET, 0.2), _to(*BASKET, HELD), let_go]
    return {"skills": [*soup, *sauce, {"skill": "wait", "seconds": 0.3}, grasp, _to(*BASKET, 0.25)]}


def _press_on_the_soup(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push the top of the can as if it were 2 cm lower."""
    x, y, _ = where["alphabet_soup"]
    return {"skills": [*_press(x, y, 0.055), *_soup(), *_sauce()]}


def _press_on_the_table(where: Mapping[str, Any]) -> Any:
    return {"skills": [*_press(-0.22, 0.1, 0.0), *_soup(), *_sauce()]}


def _press(x: float, y: float, height: float) -> list[dict[str, Any]]:
    """Bring the closed fingers down to a height (m) above the table, and up again."""
    return [{"skill": "close_gripper"}, _to(x, y, height + 0.08), _to(x, y, height), _to(x, y, height + 0.12)]
