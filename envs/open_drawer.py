"""OpenDrawer: pull a drawer open by its handle and let go of it.

Resembles ManiSkill's OpenCabinetDrawer, CALVIN's and Meta-World's drawer-open, RLBench's open_drawer and LIBERO's
"open the ... drawer". Most of them look at the joint in one frame, so a drawer that flies past counts, and so does one
that the hand pushes open from the inside. Here it must be drawn by its handle, without a jerk, rest open for half a
second, and be open at the end with no hand on it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm
from worldverify.envs.fixtures import BAR, HEIGHT, cabinet
from worldverify.envs.moves import ASIDE, timed
from worldverify.envs.parts import table
from worldverify.task import Task

SPEC = """
opened: eventually[0,5.5](always[0,0.5](joint(drawer_slide) > 0.14 m and speed(drawer) < 0.02 m/s))
stays:  at_end(joint(drawer_slide) > 0.14 m and contact_load(arm, drawer) < 0.1 N)
handle: always(contact_load(arm, tray) < 2 N)
gentle: always(contact_load(arm, handle) < 40 N)
slow:   always(speed(drawer) < 0.35 m/s)
clear:  always(contact_force(arm, cabinet) < 15 N and contact_force(arm, table) < 20 N)
"""

BEHIND = np.array([0.0, 0.037, -0.01])  # m from the handle to the tool that hooks it
UP = np.array([0.0, 0.0, 0.12])  # m
OFF = np.array([0.0, 0.015, 0.0])  # m, off the bar
PULL = np.array([0.0, -0.185, 0.0])  # m


def open_drawer() -> Task:
    """The task OpenDrawer-v0."""
    return arm_task(
        table(),
        cabinet((0.44, 0.38)),
        name="OpenDrawer-v0",
        instruction=(
            "Pull the drawer of the cabinet open by its handle, by at least 14 cm and within 5.5 seconds, and take the "
            "hand away. Pull slower than 0.35 m/s."
        ),
        spec=SPEC,
        horizon=7.0,
        objects=["handle", "drawer_inside", "cabinet"],
        randomise=_randomise,
        precondition="joint(drawer_slide) < 0.05 m and speed(drawer) < 0.02 m/s",
        good=lambda where: {"waypoints": _hook(where["handle"])},
        bad={
            "opened": lambda where: {"waypoints": _hook(where["handle"], begin=2.7)},
            "stays": _push_it_back,
            "handle": _push_from_inside,
            "gentle": lambda where: _press(where["handle"] + (0, 0, BAR), where),
            "slow": _jerk,
            "clear": lambda where: _press(where["cabinet"] + (0, -0.05, HEIGHT), where),
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    data.joint("drawer_slide").qpos[0] = generator.uniform(0.0, 0.015)
    move_arm(data, generator, angle=0.02)


def _hook(handle: Any, *, begin: float = 0.0) -> list[dict[str, Any]]:
    """The closed fingers go down behind the bar, draw it towards them, back off it, and come up again."""
    at = handle + BEHIND
    end = at + PULL
    return _plan([(1.0, at + UP), (1.7, at), (3.3, end), (3.6, end + OFF), (4.2, end + OFF + UP)], begin)


def _plan(stops: list[tuple[float, Any]], begin: float = 0.0) -> list[dict[str, Any]]:
    return timed([(begin + time, position) for time, position in stops], yaw=ASIDE)


def _push_it_back(where: Mapping[str, Any]) -> Any:
    """A good job undone: the bar is pushed from the other side."""
    before = where["handle"] + PULL - BEHIND * (1, 1, -1)
    after = before - (0, -0.1, 0)
    way = [(4.7, before + UP), (5.2, before), (6.1, after), (6.3, after - 2 * OFF), (6.7, after - 2 * OFF + UP)]
    return {"waypoints": [*_hook(where["handle"]), *_plan(way)]}


def _push_from_inside(where: Mapping[str, Any]) -> Any:
    """Once there is a gap, the fingers go into the drawer and push its front from behind."""
    at = where["handle"] + BEHIND
    ajar, inside = at + PULL * 0.6, at + PULL * 0.6 + (0, 0.075, 0)
    hook = [(1.0, at + UP), (1.7, at), (2.8, ajar), (3.0, ajar + OFF), (3.4, ajar + OFF + UP)]
    push = [(3.7, inside + UP), (4.2, inside), (5.2, inside + 0.6 * PULL), (5.4, inside + 0.6 * PULL + OFF)]
    return {"waypoints": _plan([*hook, *push, (5.9, inside + 0.6 * PULL + OFF + UP)])}


def _press(point: Any, where: Mapping[str, Any]) -> Any:
    """The closed fingertips press on a point from above, before a good job."""
    way = [(1.1, point + UP), (1.7, point), (2.3, point + UP)]
    return {"waypoints": [*_plan(way), *_hook(where["handle"], begin=1.7)]}


def _jerk(where: Mapping[str, Any]) -> Any:
    """A good beginning, then a pull in half a second."""
    at = where["handle"] + BEHIND
    touch, end = at + PULL * 0.2, at + PULL
    return {
        "waypoints": _plan([(1.0, at + UP), (1.7, at), (2.4, touch), (2.9, end), (3.3, end + OFF), (4.0, end + UP)])
    }
