"""PointPick: put the blue block that a camera shows into the orange bowl, past blocks that are none of its business.

Resembles the table of Google's orchestration notebook for Gemini Robotics-ER, where a model sees a picture, points at
a blue block and an orange bowl, and moves a small arm by calls. The shapes, the arm and the distances are ours: the
camera faces the arm so that its base appears at 300 of 1000 down and 500 across, the origin which that notebook
names, and the block and the bowl appear near the two places that it names. The bowl is fixed to the table.
"""

import math
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from worldverify.camera import Camera
from worldverify.envs.arm import CONTACT, turn
from worldverify.envs.arm_task import arm_task, move_arm, move_object
from worldverify.envs.parts import Part, basket, cube, table
from worldverify.kernels import rotation
from worldverify.task import Task

SPEC = """
placed: eventually[0,8](always[0,0.5](
            inside(blue_block, orange_bowl_inside) and speed(blue_block) < 0.05 m/s
            and contact_load(gripper, blue_block) < 0.1 N))
stays:  at_end(inside(blue_block, orange_bowl_inside))
others: always(speed(green_block) < 0.05 m/s and speed(red_block) < 0.05 m/s)
gentle: always(contact_load(gripper, blue_block) < 40 N)
clear:  always(contact_force(arm, orange_bowl) < 15 N and contact_force(arm, bin) < 15 N
               and contact_force(arm, table) < 20 N)
"""

CAMERA = Camera("table_camera", width=640, height=480)
FOVY_DEG = 50.0
EYE = (0.9, 0.0, 1.1)  # m
TARGET = (0.3, 0.0, 0.0)  # m

BOWL_SIDES = 12
BOWL_SLOPE = 0.35  # rad, of its sides from upright

PICK = {"skill": "pick", "object": "blue_block"}
PLACE = {"skill": "place", "target": "orange_bowl"}


def point_and_pick() -> Task:
    """The task PointPick-v0."""
    return arm_task(
        table(),
        cube("blue_block", (0.578, 0.214), rgba=(0.15, 0.35, 0.85, 1)),
        cube("green_block", (0.6, -0.14), rgba=(0.25, 0.65, 0.3, 1)),
        cube("red_block", (0.42, -0.24), half=0.018, rgba=(0.8, 0.2, 0.2, 1)),
        bowl("orange_bowl", (0.13, -0.37), rgba=(0.95, 0.55, 0.1, 1)),
        basket((0.36, 0.42), name="bin", rgba=(0.55, 0.57, 0.6, 1)),
        _camera,
        name="PointPick-v0",
        instruction="Put the blue block into the orange bowl, let go of it, and leave it at rest there. Do not touch "
        "the other blocks.",
        spec=SPEC,
        precondition="not inside(blue_block, orange_bowl_inside) and speed(blue_block) < 0.05 m/s",
        horizon=9.0,
        camera=CAMERA,
        objects=["blue_block", "orange_bowl", "green_block", "red_block", "bin"],
        randomise=_randomise,
        good=lambda where: {"skills": [PICK, PLACE]},
        bad={
            "placed": _never_let_go,
            "stays": _take_it_out_again,
            "others": _nudge_the_green_block,
            "gentle": _press_on_the_block,
            "clear": _lean_on_the_rim,
        },
    )


def bowl(
    name: str,
    pos: tuple[float, float],
    *,
    radius: float = 0.07,
    height: float = 0.045,
    wall: float = 0.006,
    rgba: tuple[float, float, float, float],
) -> Part:
    """A fixed bowl on the table at pos (x, y) m: radius of its floor, height of its rim and thickness, m.

    The site `<name>_inside` is the cylinder over the floor, up to the rim.
    """
    slant = height / math.cos(BOWL_SLOPE)  # m, length of the sides
    middle = radius + 0.5 * slant * math.sin(BOWL_SLOPE)
    width = (radius + slant * math.sin(BOWL_SLOPE)) * math.tan(math.pi / BOWL_SIDES)

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, 0))
        body.add_geom(
            name=f"{name}_floor",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=(0, 0, wall / 2),
            size=(radius, wall / 2, 0),
            rgba=rgba,
            **CONTACT,
        )
        for side in range(BOWL_SIDES):
            angle = 2 * math.pi * side / BOWL_SIDES
            lean = rotation.multiply(turn(angle, axis=2), turn(BOWL_SLOPE, axis=1))
            body.add_geom(
                name=f"{name}_side{side}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(middle * math.cos(angle), middle * math.sin(angle), height / 2),
                quat=lean,
                size=(wall / 2, width, slant / 2),
                rgba=rgba,
                **CONTACT,
            )
        body.add_site(
            name=f"{name}_inside",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=(0, 0, (wall + height) / 2),
            size=(radius, (height - wall) / 2, 0),
            rgba=(0.2, 0.8, 0.3, 0.2),
            group=4,
        )

    return add


def _camera(spec: Any) -> None:
    """The camera whose picture a model sees, upright, in front of the arm."""
    back = np.subtract(EYE, TARGET) / math.dist(EYE, TARGET)
    right = np.array([0.0, 1.0, 0.0])
    frame = np.stack([right, np.cross(back, right), back], axis=1)
    spec.worldbody.add_camera(name=CAMERA.name, pos=EYE, quat=rotation.from_matrix(frame), fovy=FOVY_DEG)


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_object(data, "blue_block", generator, xy=0.01, yaw=0.4)
    move_object(data, "green_block", generator, xy=0.02, yaw=0.4)
    move_object(data, "red_block", generator, xy=0.02, yaw=0.4)
    move_arm(data, generator, angle=0.02)


def _to(position: Any) -> dict[str, Any]:
    return {"skill": "move_to", "position": [float(x) for x in position]}


def _never_let_go(where: Mapping[str, Any]) -> Any:
    x, y, _ = where["orange_bowl"]
    return {"skills": [PICK, _to((x, y, 0.18)), _to((x, y, 0.04))]}


def _take_it_out_again(where: Mapping[str, Any]) -> Any:
    """A good job undone, early enough to rest before the end."""
    x, y, _ = where["orange_bowl"]
    return {"skills": [PICK, PLACE, _to((x, y, 0.03)), {"skill": "close_gripper"}, _to((x, y, 0.2))]}


def _nudge_the_green_block(where: Mapping[str, Any]) -> Any:
    """The closed fingers push the green block aside first."""
    x, y, _ = where["green_block"]
    push = [_to((x, y + 0.07, 0.06)), _to((x, y + 0.07, 0.025)), _to((x, y + 0.015, 0.025)), _to((x, y + 0.05, 0.06))]
    return {"skills": [{"skill": "close_gripper"}, *push, PICK, PLACE]}


def _press_on_the_block(where: Mapping[str, Any]) -> Any:
    """The closed fingertips push the top of the block as if it were 15 mm lower."""
    x, y, z = where["blue_block"]
    press = [{"skill": "close_gripper"}, _to((x, y, z + 0.08)), _to((x, y, z + 0.015)), _to((x, y, z + 0.08))]
    return {"skills": [*press, PICK, PLACE]}


def _lean_on_the_rim(where: Mapping[str, Any]) -> Any:
    """A good job, then the closed fingers come down on the rim."""
    x, y, _ = where["orange_bowl"]
    return {"skills": [PICK, PLACE, {"skill": "close_gripper"}, _to((x + 0.085, y, 0.12)), _to((x + 0.085, y, 0.03))]}
