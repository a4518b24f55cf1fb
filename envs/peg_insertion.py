"""PegInsertion: put a square peg into a square hole with little room, without forcing it.

Resembles ManiSkill's PegInsertionSide, robosuite's NutAssembly, Meta-World's peg-insert-side and the insertions of
FurnitureBench. Those look at where the peg is in one frame. Here it must stand in the hole for half a second, let go
of, and be there at the end; and neither the hole nor the hand may press on it harder than a careful hand would.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.domain import Domain
from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.fixtures import BLOCK, HOLE, PEG, hole_block, peg
from worldverify.envs.moves import CLOSE, OPEN, TIP, press, to, wait
from worldverify.envs.parts import table
from worldverify.task import Task

SPEC = """
inserted: eventually[0,7](always[0,0.5](
              inside(peg_tip, seat) and speed(peg) < 0.02 m/s and contact_load(gripper, peg) < 0.1 N))
stays:    at_end(inside(peg_tip, seat) and tilt(peg) < 10 deg and contact_load(gripper, peg) < 0.1 N)
softly:   always(contact_load(peg, socket) < 25 N and (inside(peg_tip, hole) implies speed(peg) < 0.5 m/s))
gentle:   always(contact_load(gripper, peg) < 60 N)
upright:  always(tilt(peg) < 15 deg)
clear:    always(contact_force(arm, socket) < 10 N and contact_force(arm, table) < 20 N)
"""

# The error with which the peg is seen stays in the grasp, so it must not be more than the clearance.
DOMAIN = Domain(mass=0.1, friction=0.1, gain=0.05, delay=0.02, perception=0.0015)

PICK = {"skill": "pick", "object": "peg"}
GRASP = 0.065  # m from the lower end of the peg to the tool that has picked it
STEP = 0.006  # m
DEPTH = 0.044  # m that a good plan lowers the peg into the hole


def peg_insertion(clearance: float = 0.0015) -> Task:
    """The task PegInsertion-v0: a hole wider than the peg by `clearance` m on each side."""
    return arm_task(
        table(),
        hole_block((0.5, 0.15), clearance=clearance),
        peg("peg", (0.45, -0.1)),
        name="PegInsertion-v0",
        instruction=(
            "Pick up the yellow peg, put it upright into the square hole of the block, all the way down, let go of it "
            "and take the hand away. The sides of the hole are along x and y. Do not force it."
        ),
        spec=SPEC,
        horizon=9.0,
        objects=["peg", "hole"],
        randomise=_randomise,
        precondition="not inside(peg_tip, seat) and tilt(peg) < 5 deg and speed(peg) < 0.05 m/s",
        domain=DOMAIN,
        good=lambda where: {"skills": [PICK, *_insert(where)]},
        bad={
            "inserted": lambda where: {"skills": [wait(3.0), PICK, *_insert(where)]},
            "stays": _take_it_out_again,
            "softly": _push_it_home,
            "gentle": lambda where: {
                "skills": [*press(where["peg"] + (0, 0, PEG[2] + TIP - 0.005)), PICK, *_insert(where)]
            },
            "upright": lambda where: {"skills": [PICK, _lean(where), *_insert(where)]},
            "clear": lambda where: {"skills": [*press(where["hole"] + (0.04, 0, 0.03)), PICK, *_insert(where)]},
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "peg", generator, xy=0.03, yaw=0.4)
    move_arm(data, generator, angle=0.02)


def _insert(where: Mapping[str, Any], *, leave: bool = True) -> list[dict[str, Any]]:
    """The peg over the hole, in line with it, then down into it in small steps, which keep the arm on its line."""
    x, y, _ = where["hole"]
    mouth = BLOCK + GRASP
    down = [to((x, y, mouth - by)) for by in (*np.arange(-0.01, DEPTH, STEP), DEPTH)]
    away = [to((x, y, mouth - DEPTH + 0.12))] if leave else []
    return [to((x, y, mouth + 0.07), 0.0), down[0], wait(0.2), *down[1:], OPEN, *away]


def _take_it_out_again(where: Mapping[str, Any]) -> Any:
    """A good job undone."""
    x, y, _ = where["hole"]
    again = [wait(0.8), CLOSE, to((x, y, BLOCK + GRASP + 0.05))]
    return {"skills": [PICK, *_insert(where, leave=False), *again]}


def _push_it_home(where: Mapping[str, Any]) -> Any:
    """A good job, then the closed fingers push on the peg, by 2.5 mm more than it gives way."""
    x, y, _ = where["hole"]
    top = BLOCK - HOLE + 2 * PEG[2] + TIP
    push = [to((x, y, top + above)) for above in (0.02, 0.005, 0.002, 0.0, -0.0025, 0.02)]
    return {"skills": [PICK, *_insert(where), CLOSE, *push]}


def _lean(where: Mapping[str, Any]) -> dict[str, Any]:
    """On its way, the peg leans over by 25 degrees."""
    x, y, _ = where["hole"]
    half = np.deg2rad(180 - 25) / 2
    return to((x, y, 0.25)) | {"orientation": [float(np.cos(half)), float(np.sin(half)), 0.0, 0.0]}
