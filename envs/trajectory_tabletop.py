"""AppleInBowl and its neighbours: table-tops that a model saw as a printed list of boxes.

Stand for five tasks of "Language Models as Zero-Shot Trajectory Generators" (Kwon, Di Palo, Johns, 2023), whose prompt
prints for each thing a position, a width, length and height, and the directions of its sides, so that dense lists of
poses [x, y, z, turn about z] can be judged. The world frame is the prompt's: x to the right, y away from the viewer,
z up from the table, and the tool starts at (0, 0, 0.7) m, pointing down, its fingers one beside the other along x.

Our approximations: things stand on the table with their printed sizes, because the printed heights reach the printed z
within 2 cm, which is therefore that of their upper surface; round things are cylinders of their mean width, others are
boxes; the bowl is an open box, fixed; three boxes that overlap as printed are shrunk to seven tenths. The arm is ours,
on a pedestal 0.2 m high that stands between the viewer and the things and faces away, as the authors' simulated arms
do. Poses without times are gone through at the usual speed of the planner. They judged by eye or by a language model;
here a task says in its requirements what counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from worldverify.envs.arm import Mount
from worldverify.envs.arm_task import Plans, arm_task, move_arm, move_object, waypoint
from worldverify.envs.parts import Part, basket, block, can, pedestal, table
from worldverify.task import Task

MOUNT = Mount(
    pos=(0.0, -0.35, 0.2),
    yaw=np.pi / 2,
    home=(0.0, -0.643242, 0.0, -2.233354, 0.0, 1.590112, 0.785398),  # rad: tool at (0, 0, 0.7) m
)
CLEAR = "clear:    always(contact_force(arm, table) < 20 N)\n"

APPLE = """
placed:   eventually[0,19.5](always[0,0.5](
              inside(apple, bowl_inside) and speed(apple) < 0.05 m/s and contact_load(gripper, apple) < 0.1 N))
stays:    at_end(inside(apple, bowl_inside))
gentle:   always(contact_load(gripper, apple) < 60 N)
clear:    always(contact_force(arm, table) < 20 N and contact_force(arm, bowl) < 20 N)
"""
KNOCK = """
knocked:  at_end(tilt(left_bottle) > 60 deg)
spared:   always(tilt(right_bottle) < 15 deg)
kept:     always(pos(left_bottle).z > 0 m)
"""
PUSH = """
pushed:   at_end(pos(can).x > -0.05 m)
upright:  always(tilt(can) < 20 deg)
straight: always(abs(pos(can).y - 0.224 m) < 0.05 m)
"""
GATHER = """
gathered: at_end(distance(lonely, others) < 0.2 m and contact_load(gripper, lonely) < 0.1 N)
spared:   always(max(tilt(box), max(tilt(tall_box), tilt(taller_box))) < 15 deg)
gentle:   always(contact_load(gripper, lonely) < 60 N)
"""
ALIGN = """
aligned:  at_end(abs(sensor(bottle_axis)[0]) < 0.17 and abs(sensor(bottle_axis)[2]) < 0.17)
let_go:   at_end(contact_load(gripper, bottle) < 0.1 N)
gentle:   always(contact_load(gripper, bottle) < 60 N)
"""

CLOSE, OPEN = {"skill": "close_gripper"}, {"skill": "open_gripper"}
OTHERS = (0.193, 0.32)  # m, amid the three things that stand together


def apple_in_bowl() -> Task:
    """The task AppleInBowl-v0."""
    do = [{"skill": "pick", "object": "apple"}, {"skill": "place", "target": [0.239, 0.285, 0.012]}]
    return _task(
        can("apple", (-0.07, 0.132), radius=0.0325, height=0.064, rgba=(0.8, 0.15, 0.15, 1)),
        basket((0.239, 0.285), name="bowl", inner=(0.131, 0.119), height=0.052),
        name="AppleInBowl-v0",
        horizon=20.0,
        instruction="Place the apple in the bowl.",
        spec=APPLE,
        precondition="not inside(apple, bowl_inside) and speed(apple) < 0.05 m/s",
        objects=["apple", "bowl"],
        good=lambda where: {"skills": do},
        bad={
            "placed": lambda where: {"skills": [*do[:1], _to(0.239, 0.285, 0.2), _to(0.239, 0.285, 0.048)]},
            "stays": lambda where: {"skills": [*do, _to(0.239, 0.285, 0.055), CLOSE, _to(0.1, 0.2, 0.3)]},
            "gentle": lambda where: {"skills": [*_press(where["apple"], 0.045), *do]},
            "clear": lambda where: {"skills": [*_press((0.15, 0.1), -0.02), *do]},
        },
    )


def knock_left_bottle() -> Task:
    """The task KnockBottle-v0."""
    push = [CLOSE, _to(-0.03, 0.271, 0.3), _to(-0.03, 0.271, 0.15), _to(-0.19, 0.271, 0.15), _to(-0.19, 0.271, 0.35)]
    return _task(
        can("left_bottle", (-0.12, 0.271), radius=0.038, height=0.206, mass=0.3, rgba=(0.2, 0.55, 0.3, 1)),
        can("right_bottle", (0.116, 0.366), radius=0.042, height=0.211, mass=0.3, rgba=(0.25, 0.35, 0.7, 1)),
        name="KnockBottle-v0",
        horizon=20.0,
        instruction="Knock over the left bottle.",
        spec=KNOCK + CLEAR,
        precondition="tilt(left_bottle) < 10 deg and speed(left_bottle) < 0.05 m/s",
        objects=["left_bottle", "right_bottle"],
        good=lambda where: {"skills": push},
        bad={
            "knocked": lambda where: {"skills": push[:3]},
            "spared": lambda where: {"skills": [*push, *_push_along(0.366, 0.02, 0.15)]},
            "kept": lambda where: {"skills": [*push, *_sweep_off()]},
            "clear": lambda where: {"skills": [*_press((-0.2, 0.05), -0.02), *push]},
        },
    )


def push_can() -> Task:
    """The task PushCan-v0."""
    across = {"orientation": _turned(np.pi / 2)}  # half open, the fingers cradle the can
    push = [
        waypoint((-0.24, 0.224, 0.25), gripper=0.5, time=2.0) | across,
        waypoint((-0.24, 0.224, 0.088), time=3.0),
        waypoint((-0.07, 0.224, 0.088), time=6.0),
    ]
    tip_over = [waypoint((-0.24, 0.224, 0.118), time=3.0), waypoint((-0.04, 0.224, 0.118), time=3.8)]
    away = waypoint((-0.12, 0.224, 0.2), time=7.5)
    return _task(
        can("can", (-0.149, 0.224), radius=0.035, height=0.123, mass=0.2, friction=0.3),
        name="PushCan-v0",
        horizon=20.0,
        instruction="Push the can towards the right, at least 10 cm, without knocking it over.",
        spec=PUSH + CLEAR,
        precondition="pos(can).x < -0.1 m and speed(can) < 0.05 m/s",
        objects=["can"],
        good=lambda where: {"waypoints": push},
        bad={
            "pushed": lambda where: {"waypoints": push[:2]},
            "upright": lambda where: {"waypoints": [push[0], *tip_over]},
            "straight": lambda where: {"waypoints": [*push, away, *_nudge()]},
            "clear": lambda where: {"waypoints": [*push, away, waypoint((-0.2, 0.1, -0.02), time=10.0)]},
        },
    )


def gather_objects() -> Task:
    """The task GatherObjects-v0."""
    pick = {"skill": "pick", "object": "lonely"}
    do = [pick, {"skill": "place", "target": [0.1, 0.17, 0.0]}]
    return _task(
        block("lonely", (-0.132, 0.091), half=(0.0365, 0.0285, 0.0275)),
        block("tall_box", (0.223, 0.34), half=(0.0347, 0.0228, 0.0855), yaw=0.785, mass=0.3, rgba=(0.2, 0.4, 0.8, 1)),
        block("box", (0.118, 0.34), half=(0.0466, 0.042, 0.043), yaw=1.419, mass=0.3, rgba=(0.3, 0.6, 0.3, 1)),
        block("taller_box", (0.239, 0.281), half=(0.0451, 0.021, 0.1025), yaw=0.573, mass=0.3, rgba=(0.9, 0.7, 0.2, 1)),
        _spot,
        name="GatherObjects-v0",
        horizon=20.0,
        instruction="Move the lonely object to the others.",
        spec=GATHER + CLEAR,
        precondition="distance(lonely, others) > 0.2 m and speed(lonely) < 0.05 m/s",
        objects=["lonely", "box", "tall_box", "taller_box"],
        good=lambda where: {"skills": do},
        bad={
            "gathered": lambda where: {"skills": [pick]},
            "spared": lambda where: {"skills": [*do, CLOSE, *_push_along(0.36, 0.05, 0.3)]},
            "gentle": lambda where: {"skills": [*_press(where["lonely"], 0.035), *do]},
            "clear": lambda where: {"skills": [*_press((0.0, 0.1), -0.02), *do]},
        },
    )


def align_bottle() -> Task:
    """The task AlignBottle-v0."""
    pick = {"skill": "pick", "object": "bottle"}
    turned = _to(0.011, 0.209, 0.2) | {"orientation": _turned(0.0)}
    down = _to(0.011, 0.209, 0.034) | {"orientation": _turned(0.0)}
    do = [pick, turned, down, OPEN, _to(0.011, 0.209, 0.2)]
    return _task(
        can("bottle", (0.011, 0.209), radius=0.028, height=0.218, lying=0.238, rgba=(0.2, 0.55, 0.3, 1)),
        _axis,
        name="AlignBottle-v0",
        horizon=20.0,
        instruction="Align the bottle vertically: turn it on the table until it points away from you, and let go.",
        spec=ALIGN + CLEAR,
        precondition="abs(sensor(bottle_axis)[0]) > 0.17 and speed(bottle) < 0.05 m/s",
        objects=["bottle"],
        good=lambda where: {"skills": do},
        bad={
            "aligned": lambda where: {"skills": [pick, _to(0.011, 0.209, 0.034), OPEN, _to(0.011, 0.209, 0.2)]},
            "let_go": lambda where: {"skills": do[:3]},
            "gentle": lambda where: {"skills": [*do, *_press(where["bottle"], 0.05)]},
            "clear": lambda where: {"skills": [*_press((0.15, 0.05), -0.02), *do]},
        },
    )


def _task(
    *parts: Part,
    name: str,
    horizon: float,
    instruction: str,
    spec: str,
    precondition: str,
    objects: list[str],
    good: Plans,
    bad: Mapping[str, Plans],
) -> Task:
    def randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
        move_object(data, objects[0], generator, xy=0.003, yaw=0.02)
        move_arm(data, generator, angle=0.01)

    return arm_task(
        table(size=(0.8, 1.2), center=(0.0, 0.1)),
        pedestal(MOUNT, height=MOUNT.pos[2]),
        *parts,
        name=name,
        instruction=instruction,
        spec=spec,
        precondition=precondition,
        horizon=horizon,
        objects=objects,
        randomise=randomise,
        good=good,
        bad=bad,
        mount=MOUNT,
    )


def _spot(spec: Any) -> None:
    """Site `others`, at the height of the lonely thing's middle."""
    spec.worldbody.add_site(name="others", pos=(*OTHERS, 0.0275), size=(0.005, 0.005, 0.005), group=4)


def _axis(spec: Any) -> None:
    """Sensor `bottle_axis`: the direction of the bottle's axis in the world."""
    spec.add_sensor(
        name="bottle_axis",
        type=mujoco.mjtSensor.mjSENS_FRAMEZAXIS,
        objtype=mujoco.mjtObj.mjOBJ_XBODY,
        objname="bottle",
    )


def _turned(angle: float) -> list[float]:
    """Pointing down, the fingers one beside the other along a direction (rad) from x."""
    half = (angle + np.pi / 2) / 2
    return [0.0, float(np.cos(half)), float(np.sin(half)), 0.0]


def _to(x: float, y: float, z: float) -> dict[str, Any]:
    return {"skill": "move_to", "position": [x, y, z]}


def _press(at: Sequence[float], z: float) -> list[dict[str, Any]]:
    """Bring the closed fingers down to z over the x and y of a point, and up again."""
    x, y = float(at[0]), float(at[1])
    return [CLOSE, _to(x, y, z + 0.1), _to(x, y, z), _to(x, y, z + 0.15)]


def _push_along(y: float, start: float, end: float, z: float = 0.15) -> list[dict[str, Any]]:
    """Come down at x = start and move to x = end, at a height z."""
    return [_to(start, y, 0.35), _to(start, y, z), _to(end, y, z)]


def _sweep_off() -> list[dict[str, Any]]:
    """Push what stands behind the tool off the table's left edge."""
    return [_to(-0.02, 0.271, 0.35), _to(-0.02, 0.271, 0.05), _to(-0.41, 0.271, 0.05)]


def _nudge() -> list[dict[str, Any]]:
    """Push the can away from the viewer."""
    return [
        waypoint((-0.02, 0.13, 0.2), time=9.0),
        waypoint((-0.02, 0.13, 0.05), time=10.0),
        waypoint((-0.02, 0.25, 0.05), time=13.0),
    ]
