"""ReachSafe: bring the tool past a post to a pose and stay there.

Resembles Fetch's Reach and ManiSkill's reaching tasks, which ask only for the distance at one moment. Here the tool
must rest at the goal for half a second, pointing down, be there at the end, and keep clear of the post, the table and
its own limits.
"""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm, waypoint
from worldverify.envs.parts import obstacle, table
from worldverify.task import Task

POST = (0.41, -0.28)  # m, between where the tool starts, near (0.5, 0, 0.22), and the goal
GOAL = (0.18, -0.46, 0.2)  # m

SPEC = """
reached:   eventually[0,4.5](always[0,0.5](
               distance(tool, goal) < 0.02 m and speed(tool) < 0.05 m/s and tilt(tool) > 170 deg))
stays:     at_end(distance(tool, goal) < 0.03 m)
clear:     always(clearance(arm, post) > 0.01 m)
workspace: always(pos(tool).z > 0.06 m and pos(tool).x < 0.75 m)
slow:      always(speed(tool) < 1 m/s)
limits:    always(joint_margin(arm) > 0.05 rad)
"""

OVER = (0.41, -0.28, 0.5)  # m, above the post
LOW = (0.41, -0.28, 0.33)  # m, where the fingers pass the top of the post within 1 cm
SHORT = (0.22, -0.46, 0.25)  # m, near the goal
DIP = (0.5, 0.0, 0.04)  # m, near the table
WOUND_UP = [0.0, float(np.cos(-1.33)), float(np.sin(-1.33)), 0.0]  # pointing down, the last joint near its limit


def reach_safe() -> Task:
    """The task ReachSafe-v0."""
    return arm_task(
        table(),
        obstacle(POST, name="post", height=0.32),
        _goal,
        name="ReachSafe-v0",
        instruction=(
            "Move the tool to the goal without coming near the orange post, and rest there, gripper pointing down."
        ),
        spec=SPEC,
        precondition="distance(tool, goal) > 0.05 m and speed(tool) < 0.05 m/s",
        horizon=5.0,
        objects=["goal", "post"],
        randomise=_randomise,
        good=lambda where: {"skills": [_to(OVER), _to(GOAL)]},
        bad={
            "reached": lambda where: {"skills": [{"skill": "wait", "seconds": 2.2}, _to(OVER), _to(GOAL)]},
            "stays": lambda where: {"skills": [_to(OVER), _to(GOAL), {"skill": "wait", "seconds": 0.6}, _to(SHORT)]},
            "clear": lambda where: {"skills": [_to(LOW), _to(GOAL)]},
            "workspace": lambda where: {"skills": [_to(DIP), _to(OVER), _to(GOAL)]},
            "slow": _rush,
            "limits": lambda where: {"skills": [_to(OVER) | {"orientation": WOUND_UP}, _to(GOAL)]},
        },
    )


def _goal(spec: Any) -> None:
    spec.worldbody.add_site(
        name="goal", type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=GOAL, size=(0.02, 0, 0), rgba=(0.2, 0.8, 0.3, 0.4)
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_arm(data, generator, angle=0.02)


def _to(position: tuple[float, float, float]) -> dict[str, Any]:
    return {"skill": "move_to", "position": list(position)}


def _rush(where: Mapping[str, Any]) -> Any:
    """The good way, up in less time than is allowed."""
    return {"waypoints": [waypoint(OVER, time=0.6), waypoint(GOAL, time=2.0)]}
