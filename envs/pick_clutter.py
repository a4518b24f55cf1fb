"""PickClutter: lift the cube out of the middle of twelve other things, and leave all of them as they are.

Resembles ManiSkill's PickClutterYCB and the cluttered scenes of GraspNet and DexNet, where success is the target in
the gripper. Here the things around it count too: nothing may be tipped over, pushed or rolled away, until the end.
"""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from worldverify.envs.arm import CONTACT, turn
from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.parts import FLOOR_BIT, ROLLING, SINK, Part, Rgba, block, cube, table
from worldverify.task import Task

SPEC = """
lifted:  eventually[0,4.5](always[0,0.5](pos(cube).z > 0.1 m))
held:    at_end(pos(cube).z > 0.1 m and contact_load(left_finger, cube) > 0.5 N
                and contact_load(right_finger, cube) > 0.5 N)
gentle:  always(contact_load(gripper, cube) < 40 N)
cartons: always(tilt(carton1) < 10 deg and tilt(carton2) < 10 deg and tilt(carton3) < 10 deg
                and speed(carton1) < 0.05 m/s and speed(carton2) < 0.05 m/s and speed(carton3) < 0.05 m/s)
others:  always(speed(brick1) < 0.05 m/s and speed(brick2) < 0.05 m/s and speed(brick3) < 0.05 m/s
                and speed(ball1) < 0.05 m/s and speed(ball2) < 0.05 m/s and speed(ball3) < 0.05 m/s
                and speed(roll1) < 0.05 m/s and speed(roll2) < 0.05 m/s and speed(roll3) < 0.05 m/s)
clear:   always(contact_force(arm, table) < 20 N)
"""

CUBE = (0.52, 0.0)  # m
CARTONS = {"carton1": (0.68, 0.03), "carton2": (0.37, -0.05), "carton3": (0.6, -0.17)}  # m, tall boxes
BRICKS = {"brick1": (0.53, 0.115), "brick2": (0.51, -0.115), "brick3": (0.4, 0.16)}  # m, flat boxes
BALLS = {"ball1": (0.61, 0.09), "ball2": (0.6, -0.075), "ball3": (0.41, 0.07)}  # m
ROLLS = {"roll1": (0.62, 0.18), "roll2": (0.4, -0.16), "roll3": (0.5, 0.21)}  # m, capsules that lie down
OTHERS = (*CARTONS, *BRICKS, *BALLS, *ROLLS)

BROWN, GREEN, BLUE, GREY = (0.7, 0.5, 0.3, 1.0), (0.3, 0.6, 0.35, 1.0), (0.25, 0.4, 0.8, 1.0), (0.6, 0.62, 0.65, 1.0)
PICK = {"skill": "pick", "object": "cube"}


def pick_clutter() -> Task:
    """The task PickClutter-v0."""
    return arm_task(
        table(),
        cube("cube", CUBE),
        *[block(name, pos, half=(0.02, 0.025, 0.05), mass=0.2, rgba=BROWN) for name, pos in CARTONS.items()],
        *[block(name, pos, half=(0.03, 0.02, 0.015), rgba=GREEN) for name, pos in BRICKS.items()],
        *[_round(name, pos, radius=0.02, length=0.0, rgba=BLUE) for name, pos in BALLS.items()],
        *[_round(name, pos, radius=0.015, length=0.05, rgba=GREY) for name, pos in ROLLS.items()],
        name="PickClutter-v0",
        instruction="Pick up the red cube and hold it at least 10 cm above the table until the time is over. Do not "
        "tip over, push or roll away any of the things around it.",
        spec=SPEC,
        precondition="pos(cube).z < 0.1 m and speed(cube) < 0.05 m/s",
        horizon=5.0,
        objects=["cube", *OTHERS],
        randomise=_randomise,
        good=lambda where: {"skills": [PICK]},
        bad={
            "lifted": lambda where: {"skills": [{"skill": "wait", "seconds": 3.0}, PICK]},
            "held": _set_down_again,
            "gentle": lambda where: {"skills": [*_press(where["cube"] + (0, 0, 0.015)), PICK]},
            "cartons": _push_over_a_carton,
            "others": _push_a_ball,
            "clear": lambda where: {"skills": [*_press((0.52, -0.23, 0.0)), PICK]},
        },
    )


def _round(name: str, pos: tuple[float, float], *, radius: float, length: float, rgba: Rgba) -> Part:
    """A free ball of that radius (m) at pos (x, y) m on the table, or a capsule of that length (m) lying along x."""
    kind = mujoco.mjtGeom.mjGEOM_CAPSULE if length else mujoco.mjtGeom.mjGEOM_SPHERE

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, radius - SINK))
        body.add_freejoint(name=f"{name}_free")
        body.add_geom(
            name=f"{name}_shape",
            type=kind,
            size=(radius, length / 2, 0),
            quat=turn(np.pi / 2, axis=1),
            mass=0.1,
            rgba=rgba,
            contype=1 | FLOOR_BIT,
            condim=6,
            friction=(1.0, 0.005, ROLLING),
            **CONTACT,
        )

    return add


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "cube", generator, xy=0.015, yaw=0.3)
    for name in OTHERS:
        move_object(data, name, generator, xy=0.006, yaw=0.3)
    move_arm(data, generator, angle=0.02)


def _to(position: Any) -> dict[str, Any]:
    return {"skill": "move_to", "position": [float(x) for x in position]}


def _set_down_again(where: Mapping[str, Any]) -> Any:
    return {"skills": [PICK, {"skill": "wait", "seconds": 0.6}, _to(where["cube"]), {"skill": "open_gripper"}]}


def _press(point: Any) -> list[dict[str, Any]]:
    """Bring the closed fingers down on a point, and up again."""
    x, y, z = point
    return [{"skill": "close_gripper"}, _to((x, y, z + 0.08)), _to((x, y, z)), _to((x, y, z + 0.14))]


def _push_over_a_carton(where: Mapping[str, Any]) -> Any:
    """The closed fingers push the top of the outermost carton away from everything."""
    x, y, _ = where["carton1"]
    push = [_to((x - 0.06, y, 0.16)), _to((x - 0.06, y, 0.09)), _to((x + 0.03, y, 0.09)), _to((x - 0.06, y, 0.16))]
    return {"skills": [{"skill": "close_gripper"}, *push, PICK]}


def _push_a_ball(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["ball3"]
    push = [_to((x + 0.05, y, 0.16)), _to((x + 0.05, y, 0.03)), _to((x + 0.005, y, 0.03)), _to((x + 0.05, y, 0.16))]
    return {"skills": [{"skill": "close_gripper"}, *push, PICK]}
