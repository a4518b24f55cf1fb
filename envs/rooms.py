"""Rooms on z = 0: walls with doorways, furniture, people on paths of their own, and how all is put together."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np

from worldverify.envs.arm import CONTACT, FINGER_TRAVEL, turn
from worldverify.envs.base import ARM, Pose, add_base
from worldverify.envs.parts import FLOOR_BIT, Part, Rgba, Vec

Spot = tuple[float, float]  # m, x and y on the floor
Wall = tuple[Spot, Spot]  # m, from where to where

WALL_HEIGHT, WALL_THICKNESS = 1.3, 0.1  # m: low enough to look over
PLASTER, BOARDS = (0.88, 0.87, 0.84, 1.0), (0.78, 0.71, 0.62, 1.0)
OAK, PINE, CLOTH, LINEN = (0.5, 0.36, 0.24, 1.0), (0.83, 0.7, 0.5, 1.0), (0.33, 0.43, 0.55, 1.0), (0.9, 0.88, 0.82, 1.0)
CLAY, LEAF = (0.68, 0.38, 0.26, 1.0), (0.3, 0.52, 0.3, 1.0)

GIRTH, TALL = 0.22, 1.7  # m, radius and height of a person
WEIGHT = 70.0  # kg


class Piece(NamedTuple):
    """A piece of furniture: boxes and balls in its own frame, which is on the floor."""

    name: str
    at: Spot  # m
    yaw: float  # rad
    boxes: Sequence[tuple[Vec, Vec, Rgba]]  # centre and half size, m
    balls: Sequence[tuple[Vec, float, Rgba]] = ()  # centre and radius, m


class Walk(NamedTuple):
    """A path that someone walks for ever, in closed form: back and forth through `middle`, or round it.

    Back and forth: `reach` cos(2 pi t / period + phase) along the direction `yaw`, as a pendulum swings.
    Round: at the distance `reach`, anticlockwise, from the direction yaw + phase on.
    """

    middle: Spot  # m
    reach: float  # m
    period: float  # s
    yaw: float = 0.0  # rad
    round: bool = False

    def at(self, time: float, phase: float) -> Spot:
        """Where someone is at a time [s] who begins with a phase [rad]."""
        angle = 2 * math.pi * time / self.period + phase
        along, direction = (self.reach, self.yaw + angle) if self.round else (self.reach * math.cos(angle), self.yaw)
        return self.middle[0] + along * math.cos(direction), self.middle[1] + along * math.sin(direction)

    def __str__(self) -> str:
        """The path as a prompt tells it."""
        if self.round:
            middle, reach = self.middle, self.reach
            return f"walks round {_told(middle)} at {reach:g} m, anticlockwise and evenly, once in {self.period:g} s"
        ends = f"{_told(self.at(0.0, math.pi))} and {_told(self.at(0.0, 0.0))}"
        return f"walks back and forth between {ends} as a pendulum swings, there and back in {self.period:g} s"


def room_spec(*parts: Part, start: Pose, timestep: float, center: Spot, size: Spot, arm: bool = False) -> Any:
    """A `mujoco.MjSpec` with a base on wheels, or one with an arm, among parts in a room of some size (m) at a center.

    At its keyframe `home` the base stands at its start, and an arm is tucked with its gripper open.
    """
    spec = mujoco.MjSpec()
    spec.modelname = "room"
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    option = spec.option
    option.timestep = timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    option.tolerance = 1e-10
    add_base(spec, arm=arm)
    for part in parts:
        part(spec)
    _add_surroundings(spec, center, size)
    qpos, ctrl = spec.compile().qpos0.copy(), np.zeros(11 if arm else 3)
    qpos[:3] = ctrl[:3] = start
    if arm:
        qpos[3:12], ctrl[3:] = (*ARM.home, FINGER_TRAVEL, FINGER_TRAVEL), (*ARM.home, FINGER_TRAVEL)
    spec.add_key(name="home", qpos=qpos, ctrl=ctrl)
    return spec


def walls(*segments: Wall, name: str = "walls") -> Part:
    """A fixed body of walls; the gap between the ends of two of them is a doorway."""

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name)
        for i, (begin, end) in enumerate(segments):
            x, y = end[0] - begin[0], end[1] - begin[1]
            middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2, WALL_HEIGHT / 2)
            half = ((math.hypot(x, y) + WALL_THICKNESS) / 2, WALL_THICKNESS / 2, WALL_HEIGHT / 2)
            _box(body, f"{name}_{i}", middle, half, PLASTER, quat=turn(math.atan2(y, x), axis=2))

    return add


def furniture(*pieces: Piece, name: str = "furniture") -> Part:
    """A fixed body on which every piece hangs as a body of its own."""

    def add(spec: Any) -> None:
        whole = spec.worldbody.add_body(name=name)
        for piece in pieces:
            body = whole.add_body(name=piece.name, pos=(*piece.at, 0), quat=turn(piece.yaw, axis=2))
            for i, (center, half, rgba) in enumerate(piece.boxes):
                _box(body, f"{piece.name}_box{i}", center, half, rgba)
            for i, (center, radius, rgba) in enumerate(piece.balls):
                _ball(body, f"{piece.name}_ball{i}", center, radius, rgba)

    return add


def sofa(name: str, at: Spot, *, yaw: float = 0.0) -> Piece:
    """A sofa of 1.8 m by 0.85 m that faces along its x axis."""
    return Piece(
        name,
        at,
        yaw,
        [
            ((0.0, 0.0, 0.22), (0.42, 0.9, 0.22), CLOTH),
            ((-0.34, 0.0, 0.62), (0.09, 0.9, 0.18), CLOTH),
            ((0.0, 0.82, 0.53), (0.42, 0.08, 0.09), CLOTH),
            ((0.0, -0.82, 0.53), (0.42, 0.08, 0.09), CLOTH),
        ],
    )


def chest(name: str, at: Spot, *, size: Vec, yaw: float = 0.0, rgba: Rgba = OAK) -> Piece:
    """A closed piece with a lid that stands out by 1 cm, such as a cabinet or a counter; size along x, y and z, m."""
    x, y, z = (length / 2 for length in size)
    lid = 0.015
    body = ((0.0, 0.0, z - lid), (x - 0.01, y - 0.01, z - lid), rgba)
    return Piece(name, at, yaw, [body, ((0.0, 0.0, 2 * z - lid), (x, y, lid), PINE)])


def bed(name: str, at: Spot, *, yaw: float = 0.0) -> Piece:
    """A bed of 2.0 m by 1.4 m with its head towards -x."""
    return Piece(
        name,
        at,
        yaw,
        [
            ((0.0, 0.0, 0.15), (1.0, 0.7, 0.15), OAK),
            ((0.02, 0.0, 0.38), (0.96, 0.68, 0.08), LINEN),
            ((-0.97, 0.0, 0.45), (0.03, 0.7, 0.45), OAK),
        ],
    )


def plant(name: str, at: Spot) -> Piece:
    """A plant in a pot, 0.4 m across."""
    pot = ((0.0, 0.0, 0.2), (0.16, 0.16, 0.2), CLAY)
    return Piece(name, at, 0.0, [pot], [((0.0, 0.0, 0.6), 0.2, LEAF), ((0.05, 0.03, 0.85), 0.17, LEAF)])


def person(name: str, walk: Walk, *, rgba: Rgba) -> Part:
    """A person who walks, frictionless and without end: a spring swings a body back and forth, or it goes round freely.

    Nothing drives it, so it gives way to what pushes it, and then no longer keeps to its path. The stiffness is the
    one with which steps of the physics, x'' h^2 = x+ - 2 x + x-, keep the period exactly.
    """

    def add(spec: Any) -> None:
        h, joint = spec.option.timestep, f"{name}_walk"
        start = walk.at(0.0, 0.0) if walk.round else walk.middle
        body = spec.worldbody.add_body(name=name, pos=(*start, 0), quat=turn(walk.yaw, axis=2))
        if walk.round:
            body.add_joint(name=joint, type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1), pos=(-walk.reach, 0, 0))
        else:
            stiffness = WEIGHT * (2 * math.sin(math.pi * h / walk.period) / h) ** 2
            body.add_joint(name=joint, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(1, 0, 0), stiffness=stiffness)
        body.add_geom(
            name=f"{name}_body",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(0, 0, GIRTH + 0.03, 0, 0, TALL - 0.23 - GIRTH),
            size=(GIRTH, 0, 0),
            mass=WEIGHT - 5,
            rgba=rgba,
            **CONTACT,
        )
        _ball(body, f"{name}_head", (0, 0, TALL - 0.12), 0.12, (0.85, 0.68, 0.56, 1.0), mass=5)
        disc = mujoco.mjtGeom.mjGEOM_CYLINDER
        body.add_site(
            name=f"{name}_feet", type=disc, pos=(0, 0, 0.015), size=(GIRTH, 0.015, 0), rgba=(0.2, 0.2, 0.22, 1)
        )

    return add


def set_walking(model: Any, data: Any, name: str, walk: Walk, phase: float) -> None:
    """Let someone begin to walk with a phase [rad]."""
    h, joint = float(model.opt.timestep), data.joint(f"{name}_walk")
    step = 2 * math.pi * h / walk.period  # rad
    if walk.round:
        joint.qpos, joint.qvel = phase, step / h
    else:
        joint.qpos = walk.reach * math.cos(phase)
        joint.qvel = walk.reach * (math.cos(phase) - math.cos(phase - step)) / h


def goal(name: str, at: Spot, *, radius: float) -> Part:
    """A site on the floor, drawn as a green disc."""
    return _disc(name, at, radius, (0.2, 0.75, 0.3, 0.45))


def puddle(name: str, at: Spot, *, radius: float) -> Part:
    """A site on the floor, drawn as a blue disc."""
    return _disc(name, at, radius, (0.25, 0.5, 0.9, 0.45))


def doorway(name: str, at: Spot) -> Part:
    """A site on the floor in the middle of a doorway, which is not drawn."""

    def add(spec: Any) -> None:
        spec.worldbody.add_site(name=name, pos=(*at, 0), size=(0.01, 0, 0), group=4)

    return add


def _disc(name: str, at: Spot, radius: float, rgba: Rgba) -> Part:
    def add(spec: Any) -> None:
        disc = mujoco.mjtGeom.mjGEOM_CYLINDER
        spec.worldbody.add_site(name=name, type=disc, pos=(*at, 0), size=(radius, 0.005, 0), rgba=rgba)

    return add


def _add_surroundings(spec: Any, center: Spot, size: Spot) -> None:
    """Light, a floor, and a fixed camera `view` that looks into the room from above."""
    world = spec.worldbody
    world.add_light(pos=(*center, 4.0), dir=(0.1, 0.3, -0.9), type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=(*center, 0),
        size=(size[0] / 2 + 0.5, size[1] / 2 + 0.5, 0.1),
        rgba=BOARDS,
        contype=0,
        conaffinity=FLOOR_BIT,
        **CONTACT,
    )
    high = 1.05 * max(size[1], 0.75 * size[0])
    back, tilt = 0.55 * high, math.atan2(0.55 * high, high)
    world.add_camera(name="view", pos=(center[0], center[1] - back, high), quat=turn(tilt, axis=0), fovy=52)


def _told(spot: Spot) -> str:
    """A spot in a sentence: (1.5, 0) m."""
    x, y = (round(value, 3) + 0.0 for value in spot)
    return f"({x:g}, {y:g}) m"


def _box(body: Any, name: str, pos: Vec, half: Vec, rgba: Rgba, **more: Any) -> None:
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=half, rgba=rgba, **CONTACT, **more)


def _ball(body: Any, name: str, pos: Vec, radius: float, rgba: Rgba, **more: Any) -> None:
    kind = mujoco.mjtGeom.mjGEOM_SPHERE
    body.add_geom(name=name, type=kind, pos=pos, size=(radius, 0, 0), rgba=rgba, **CONTACT, **more)
