"""WaypointCell: a six-axis industrial arm brings its probe to three spots of a fenced cell, in their order.

Resembles the programs of industrial cells and RLBench's tasks of several waypoints, which ask whether the spots were
reached. Here the order counts, the probe presses the workpiece at the last spot for half a second and at the end, with
a bounded force, and nothing comes near the posts and the fence. The limit of 140 N is what ISO/TS 15066 allows a
robot to press a hand with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import mujoco

from worldverify.envs.arm import CONTACT, Mount
from worldverify.envs.arm_task import Plans, arm_task, move_arm, waypoint
from worldverify.envs.industrial_arm import HOME, JOINTS, industrial_arm
from worldverify.envs.parts import Part, Rgba, Vec, obstacle, table
from worldverify.task import Task

SPOTS = {"spot1": (0.42, 0.36, 0.16), "spot2": (0.52, -0.02, 0.16), "spot3": (0.42, -0.36, 0.12)}  # m
POSTS = {"post1": (0.52, 0.17), "post2": (0.44, -0.19)}  # m, each between two spots
HEIGHT = 0.3  # m, of the posts

SPEC = """
visited: eventually[0,2.5](distance(tool, spot1) < 0.02 m
             and eventually[0,2.5](distance(tool, spot2) < 0.02 m
             and eventually[0,2.5](always[0,0.5](distance(tool, spot3) < 0.02 m))))
pressed: eventually[0,7.5](always[0,0.5](contact_force(probe, workpiece) > 5 N and tilt(tool) > 170 deg
             and distance(tool, spot3) < 0.02 m))
stays:   at_end(contact_force(probe, workpiece) > 5 N and distance(tool, spot3) < 0.02 m)
gentle:  always(contact_force(arm, workpiece) < 140 N)
clear:   always(clearance(arm, post1) > 0.02 m and clearance(arm, post2) > 0.02 m and clearance(arm, fence) > 0.02 m)
slow:    always(speed(tool) < 0.7 m/s)
"""

Point = tuple[float, float, float]  # m
Skill = dict[str, Any]

SPOT1, SPOT2, SPOT3 = SPOTS.values()
AROUND1 = ((0.37, 0.25, 0.18), (0.37, 0.09, 0.18))  # m, past the first post
AROUND2 = ((0.58, -0.12, 0.18), (0.58, -0.26, 0.18))  # m, past the second
ABOVE3, PRESSED = (0.42, -0.36, 0.124), (0.42, -0.36, 0.115)  # m: told to be 5 mm deep, the tip presses with 40 N
TOO_DEEP = (0.42, -0.36, 0.09)  # m
TOO_NEAR = (0.47, 0.17, 0.18)  # m, beside the first post


def waypoint_cell() -> Task:
    """The task WaypointCell-v0."""
    first, second, third = _to(SPOT1), _to(*AROUND1, SPOT2), _to(*AROUND2, ABOVE3)
    press = _to(PRESSED)
    return arm_task(
        table(),
        *[obstacle(pos, name=name, height=HEIGHT, radius=0.025) for name, pos in POSTS.items()],
        _block("workpiece", (0.42, -0.38, 0.06), (0.1, 0.08, 0.06), (0.6, 0.63, 0.68, 1)),
        _block("fence", (0.35, 0.62, 0.25), (0.6, 0.02, 0.25), (0.95, 0.78, 0.15, 1)),
        _spots,
        robot=industrial_arm(Mount(home=(0.4, *HOME[1:]))),
        name="WaypointCell-v0",
        instruction=(
            "Bring the tip of the probe within 2 cm of spot1, then of spot2, then of spot3. There press the workpiece "
            "from above with more than 5 N until the time is over. Stay 2 cm away from post1, post2 and the fence."
        ),
        spec=SPEC,
        horizon=8.0,
        objects=[*SPOTS, *POSTS, "workpiece", "fence"],
        randomise=lambda generator, model, data: move_arm(data, generator, angle=0.02, joints=JOINTS),
        precondition="contact_force(arm, workpiece) < 0.1 N and speed(tool) < 0.01 m/s",
        good=_plan(first, second, third, press),
        bad={
            "visited": _plan(second, third, press),
            "pressed": _plan(first, second, third, [{"skill": "wait", "seconds": 3.7}], press),
            "stays": _plan(first, second, third, press, [{"skill": "wait", "seconds": 1.0}], _to(ABOVE3)),
            "gentle": _plan(first, second, third, _to(TOO_DEEP)),
            "clear": _plan(first, _to(TOO_NEAR, SPOT2), third, press),
            "slow": _rush,
        },
    )


def _to(*points: Point) -> list[Skill]:
    return [{"skill": "move_to", "position": list(point)} for point in points]


def _plan(*parts: Sequence[Skill]) -> Plans:
    return lambda where: {"skills": [skill for part in parts for skill in part]}


def _rush(where: Mapping[str, Any]) -> Any:
    """The good way, but to the first spot in less time than is allowed."""
    points = (SPOT1, *AROUND1, SPOT2, *AROUND2, ABOVE3, PRESSED)
    times = (0.4, 1.0, 1.6, 2.3, 3.0, 3.5, 4.2, 4.8)
    return {"waypoints": [waypoint(point, time=time) for point, time in zip(points, times, strict=True)]}


def _block(name: str, pos: Vec, half: Vec, rgba: Rgba) -> Part:
    """A fixed box of half size (m) around pos (m)."""

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=pos)
        body.add_geom(name=f"{name}_box", type=mujoco.mjtGeom.mjGEOM_BOX, size=half, rgba=rgba, **CONTACT)

    return add


def _spots(spec: Any) -> None:
    for name, pos in SPOTS.items():
        spec.worldbody.add_site(
            name=name, type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=pos, size=(0.02, 0, 0), rgba=(0.2, 0.8, 0.3, 0.4)
        )
