"""CloseDrawer: push a drawer shut without a slam and without knocking over what stands in it.

Resembles CALVIN's and Meta-World's drawer-close, RLBench's close_drawer and LIBERO's "close the ... drawer". Those look
at the joint in one frame. Here the drawer must stay shut for half a second and at the end, with no hand on it; the last
centimetres are slow, and the carton in it stays upright.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm
from worldverify.envs.fixtures import BAR, HANDLE, HEIGHT, SHELF, cabinet
from worldverify.envs.moves import ASIDE, NARROW, timed
from worldverify.envs.parts import block, table
from worldverify.task import Task

SPEC = """
closed:  eventually[0,5.5](always[0,0.5](joint(drawer_slide) < 8 mm and speed(drawer) < 0.02 m/s))
stays:   at_end(joint(drawer_slide) < 8 mm and contact_load(arm, drawer) < 0.1 N)
upright: always(tilt(carton) < 10 deg)
softly:  always(joint(drawer_slide) < 2 cm implies speed(drawer) < 0.12 m/s)
gentle:  always(contact_load(arm, handle) < 40 N and contact_load(arm, tray) < 2 N)
clear:   always(contact_force(arm, cabinet) < 15 N and contact_force(arm, table) < 20 N)
"""

CABINET = (0.44, 0.38)  # m
OPENING = 0.13  # m
BEFORE = np.array([0.0, -0.055, -0.01])  # m from the handle to the tool that will push it
OFF = np.array([0.0, -0.03, 0.0])  # m, off the bar
FIRMLY = np.array([0.0, 0.002, 0.0])  # m, beyond where the drawer stops
SLOW = np.array([0.0, 0.025, 0.0])  # m, the last part of the way
UP = np.array([0.0, 0.0, 0.12])  # m


def close_drawer() -> Task:
    """The task CloseDrawer-v0."""
    return arm_task(
        table(),
        cabinet(CABINET, opening=OPENING),
        block("carton", (0.5, 0.19), half=(0.025, 0.025, 0.04), top=SHELF, rgba=(0.25, 0.5, 0.75, 1)),
        name="CloseDrawer-v0",
        instruction=(
            "Push the drawer of the cabinet shut by its handle within 5.5 seconds, slowly over the last two "
            "centimetres, and take the hand away. The blue carton in the drawer must not fall over."
        ),
        spec=SPEC,
        horizon=7.0,
        objects=["handle", "drawer_inside", "cabinet", "carton"],
        randomise=_randomise,
        precondition="joint(drawer_slide) > 0.08 m and speed(drawer) < 0.02 m/s and tilt(carton) < 5 deg",
        good=lambda where: {"waypoints": _push(where["handle"])},
        bad={
            "closed": lambda where: {"waypoints": _push(where["handle"], begin=2.3)},
            "stays": _lean,
            "upright": _topple,
            "softly": _slam,
            "gentle": lambda where: _press(where["handle"] + (0, 0, BAR), where),
            "clear": lambda where: _press(where["cabinet"] + (0, -0.05, HEIGHT), where),
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    further = generator.uniform(-0.015, 0.015)
    data.joint("drawer_slide").qpos[0] += further
    data.joint("carton_free").qpos[1] -= further
    data.joint("carton_free").qpos[:2] += generator.uniform(-0.02, 0.02, 2)
    move_arm(data, generator, angle=0.02)


def _shut(handle: Any) -> Any:
    """Where the tool is when it has pushed the bar home."""
    return np.array([handle[0], CABINET[1] + HANDLE[1] - BAR - NARROW, handle[2] + BEFORE[2]])


def _push(handle: Any, *, begin: float = 0.0) -> list[dict[str, Any]]:
    """The closed fingers come down before the bar, push it home, slower at the end, and leave."""
    at, end = handle + BEFORE, _shut(handle)
    way = [(1.4, at + UP), (1.9, at), (3.4, end - SLOW), (4.0, end), (4.2, end + OFF), (4.6, end + OFF + UP)]
    return _plan(way, begin)


def _plan(stops: list[tuple[float, Any]], begin: float = 0.0) -> list[dict[str, Any]]:
    return timed([(begin + time, position) for time, position in stops], yaw=ASIDE)


def _lean(where: Mapping[str, Any]) -> Any:
    """The fingers push to the end of the way and stay there."""
    at, end = where["handle"] + BEFORE, _shut(where["handle"])
    return {"waypoints": _plan([(1.4, at + UP), (1.9, at), (3.4, end - SLOW), (4.0, end), (4.4, end + FIRMLY)])}


def _slam(where: Mapping[str, Any]) -> Any:
    """The last 5 cm in a third of a second."""
    at, end = where["handle"] + BEFORE, _shut(where["handle"])
    way = [(1.4, at + UP), (1.9, at), (3.1, end - 2 * SLOW), (3.45, end), (3.8, end + OFF), (4.4, end + OFF + UP)]
    return {"waypoints": _plan(way)}


def _topple(where: Mapping[str, Any]) -> Any:
    """The fingertips push the top of the carton aside, before a good job."""
    beside = where["carton"] + (-0.08, 0, 0.035)
    after = np.add(beside, (0.08, 0, 0))
    way = [(1.0, beside + UP), (1.4, beside), (1.8, after), (2.2, after + UP)]
    return {"waypoints": [*_plan(way), *_push(where["handle"], begin=1.35)]}


def _press(point: Any, where: Mapping[str, Any]) -> Any:
    """The closed fingertips press on a point from above, before a good job."""
    return {
        "waypoints": [*_plan([(1.4, point + UP), (1.8, point), (2.2, point + UP)]), *_push(where["handle"], begin=1.35)]
    }
