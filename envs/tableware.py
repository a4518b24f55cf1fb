"""Things of a laid table: a plate on its mat, a carrot, a cup of water, a coaster; and zones painted on the table.

Nothing here that touches is a cylinder, so that every engine can collide it with the table.

The water sloshes as its first mode does: as a pendulum in the cup, whose angle to the cup's axis is the slope of the
surface. Length and mass are those of F. T. Dodge, "The New Dynamic Behavior of Liquids in Moving Containers",
Southwest Research Institute, 2000, table for an upright cylinder.
"""

import math
from typing import Any

import mujoco

from worldverify.envs.arm import CONTACT, turn
from worldverify.envs.parts import FLOOR_BIT, ROLLING, SINK, Part, Rgba, Vec
from worldverify.kernels import rotation

GRAVITY = 9.81  # m/s^2
SIDES = 8  # of a plate and of a cup
SHOWN_BIT = 4  # in contype: meets nothing. Beside a shape that can touch, MuJoCo's rays miss one without any bit
PAINT = 5e-4  # m, thickness of what is painted on the table; it touches nothing

# The plate: a square foot, and a rim of eight slabs that rise outwards.
FOOT = (0.06, 0.06, 0.006)  # m, half
RIM, RIM_SLOPE, RIM_THICK = 0.035, 0.3, 0.01  # m; rad; m
PLATE_MASS = 0.5  # kg
ON_PLATE = 0.05  # m, how high over the foot a thing's centre may be and lie on the plate

# The cup: 66 mm wide, with walls of 6 mm, and water to 10 mm under the rim.
CUP_INNER, CUP_WALL, CUP_HEIGHT, CUP_FLOOR = 0.027, 0.006, 0.09, 0.006  # m
CUP_MASS = 0.15  # kg, empty
FREEBOARD = 0.01  # m from the water to the rim
DEPTH = CUP_HEIGHT - FREEBOARD - CUP_FLOOR  # m, of the water
WATER_MASS = 1000.0 * math.pi * CUP_INNER**2 * DEPTH  # kg
DAMPING = 0.05  # share of critical: a small cup of water

MODE = 1.8412  # first zero of the derivative of the Bessel function J1
SLOSH_LENGTH = CUP_INNER / (MODE * math.tanh(MODE * DEPTH / CUP_INNER))  # m, of the pendulum
SLOSH_MASS = WATER_MASS * 2 * math.tanh(MODE * DEPTH / CUP_INNER) / (MODE * (MODE**2 - 1) * DEPTH / CUP_INNER)  # kg
SPILL = math.atan(FREEBOARD / CUP_INNER)  # rad, slope at which the surface reaches the rim

CREAM, CARROT, LEAF = (0.95, 0.94, 0.9, 1.0), (0.93, 0.5, 0.13, 1.0), (0.3, 0.6, 0.25, 1.0)
WATER, CORK, LINEN, GREEN = (
    (0.2, 0.5, 0.85, 1.0),
    (0.62, 0.45, 0.3, 1.0),
    (0.45, 0.58, 0.62, 1.0),
    (0.3, 0.68, 0.4, 1.0),
)
GLASS = (0.2, 0.8, 0.3, 0.2)


def zone(name: str, pos: tuple[float, float], *, half: tuple[float, float], height: float, rgba: Rgba = GREEN) -> Part:
    """A rectangle of half size (x, y) m painted on the table at pos (x, y) m, and the site `name`: the room over it.

    The room is `height` m high. The paint touches nothing.
    """

    def add(spec: Any) -> None:
        _paint(spec, name, pos, half, rgba)
        spec.worldbody.add_site(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(*pos, height / 2),
            size=(*half, height / 2),
            rgba=GLASS,
            group=4,
        )

    return add


def sliding(part: Part, name: str, friction: float) -> Part:
    """The same part, whose body `name` slides with that friction on whatever it touches, and rolls with ROLLING."""

    def add(spec: Any) -> None:
        part(spec)
        for geom in spec.body(name).geoms:
            geom.friction, geom.condim, geom.priority = (friction, 0.005, ROLLING), 6, 1

    return add


def mat(name: str, pos: tuple[float, float], *, half: tuple[float, float], rgba: Rgba = LINEN) -> Part:
    """A rectangle of half size (x, y) m painted on the table, and the site `name` in its middle, pos (x, y) m."""

    def add(spec: Any) -> None:
        _paint(spec, name, pos, half, rgba)
        spec.worldbody.add_site(name=name, pos=(*pos, 0), size=(0.004, 0.004, 0.004), group=4)

    return add


def plate(name: str, pos: tuple[float, float], *, rgba: Rgba = CREAM) -> Part:
    """A free plate on the table at pos (x, y) m, 19 cm wide, its frame on the table.

    The site `<name>_top` is the room over its foot, 12 cm wide and ON_PLATE high; it goes where the plate goes.
    """
    inner, top = FOOT[0], 2 * FOOT[2]
    middle = inner + 0.5 * RIM * math.cos(RIM_SLOPE)
    width = (inner + RIM * math.cos(RIM_SLOPE)) * math.tan(math.pi / SIDES)

    def add(spec: Any) -> None:
        body = _free(spec, name, (*pos, -SINK))
        _box(body, f"{name}_foot", (0, 0, FOOT[2]), FOOT, rgba, mass=0.5 * PLATE_MASS)
        for side in range(SIDES):
            angle = 2 * math.pi * side / SIDES
            body.add_geom(
                name=f"{name}_rim{side}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(
                    middle * math.cos(angle),
                    middle * math.sin(angle),
                    top - RIM_THICK / 2 + 0.5 * RIM * math.sin(RIM_SLOPE),
                ),
                quat=rotation.multiply(turn(angle, axis=2), turn(-RIM_SLOPE, axis=1)),
                size=(RIM / 2, width, RIM_THICK / 2),
                mass=0.5 * PLATE_MASS / SIDES,
                rgba=rgba,
                contype=1 | FLOOR_BIT,
                **CONTACT,
            )
        body.add_site(
            name=f"{name}_top",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=(0, 0, top + ON_PLATE / 2),
            size=(inner, ON_PLATE / 2, 0),
            rgba=GLASS,
            group=4,
        )

    return add


def carrot(name: str, pos: tuple[float, float], *, mass: float = 0.1) -> Part:
    """A free capsule, 9 cm long and 3 cm thick, that lies along y at pos (x, y) m, with a green end."""
    radius, half = 0.015, 0.03

    def add(spec: Any) -> None:
        body = _free(spec, name, (*pos, radius - SINK))
        for part, start, end, thick, share, colour in (
            ("root", -half, half, radius, 0.95, CARROT),
            ("leaf", half, half + 0.018, 0.006, 0.05, LEAF),
        ):
            body.add_geom(
                name=f"{name}_{part}",
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                fromto=(0, start, 0, 0, end, 0),
                size=(thick, 0, 0),
                mass=share * mass,
                rgba=colour,
                contype=1 | FLOOR_BIT,
                condim=6,
                friction=(1.0, 0.005, ROLLING),
                **CONTACT,
            )

    return add


def cup(name: str, pos: tuple[float, float], *, rgba: Rgba = CREAM) -> Part:
    """A free cup of water on the table at pos (x, y) m, its frame in the middle of its underside.

    It feels as if it had a lid: hidden blocks touch, as thick as the cup, for a wall of 6 mm that the gripper carries
    at arm's speed could be missed between two physics steps. What is seen touches nothing. The joints
    `<name>_slosh_x` and `<name>_slosh_y` are the slope of the water against the cup, in rad.
    """
    outer, middle = CUP_INNER + CUP_WALL, CUP_INNER + CUP_WALL / 2
    width, step = outer * math.tan(math.pi / SIDES), 0.001  # m, half a side; from the foot's underside to the blocks'
    weight = CUP_MASS + WATER_MASS - SLOSH_MASS  # kg, with the water that does not slosh

    def add(spec: Any) -> None:
        body = _free(spec, name, (*pos, -SINK))
        foot = (0.7 * outer, 0.7 * outer, 0.01)
        _box(body, f"{name}_foot", (0, 0, foot[2]), foot, rgba, mass=0.2 * weight, group=3)
        half = (CUP_HEIGHT - step) / 2
        for i in range(SIDES // 2):
            _box(
                body,
                f"{name}_block{i}",
                (0, 0, step + half),
                (outer, width, half),
                rgba,
                quat=turn(2 * math.pi * i / SIDES, axis=2),
                mass=0.8 * weight / (SIDES // 2),
                group=3,
            )
        for i in range(SIDES):
            angle = 2 * math.pi * i / SIDES
            body.add_geom(
                name=f"{name}_wall{i}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(middle * math.cos(angle), middle * math.sin(angle), CUP_HEIGHT / 2),
                quat=turn(angle, axis=2),
                size=(CUP_WALL / 2, width, CUP_HEIGHT / 2),
                mass=0,
                rgba=rgba,
                contype=0,
                conaffinity=0,
            )
        _add_water(body, name)

    return add


def _add_water(cup: Any, name: str) -> None:
    """The pendulum, hung where the surface is: its bob, and a disc that swings with it to show the surface."""
    water = cup.add_body(name=f"{name}_water", pos=(0, 0, CUP_FLOOR + DEPTH))
    moment = SLOSH_MASS * SLOSH_LENGTH**2
    rate = math.sqrt(GRAVITY / SLOSH_LENGTH)
    for axis, along in (("x", (1, 0, 0)), ("y", (0, 1, 0))):
        water.add_joint(name=f"{name}_slosh_{axis}", axis=along, damping=2 * DAMPING * rate * moment)
    water.explicitinertial = True
    water.mass, water.ipos, water.inertia = SLOSH_MASS, (0, 0, -SLOSH_LENGTH), (0.01 * moment,) * 3
    water.add_geom(
        name=f"{name}_bob",  # inside the blocks, with which it makes no contact
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        pos=(0, 0, -SLOSH_LENGTH),
        size=(0.01, 0, 0),
        rgba=WATER,
        group=3,
        **CONTACT,
    )
    water.add_geom(
        name=f"{name}_surface",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=(CUP_INNER, 0.001, 0),
        mass=0,
        rgba=WATER,
        contype=SHOWN_BIT,
        conaffinity=0,
    )


def coaster(name: str, pos: tuple[float, float], *, half: float = 0.05, rgba: Rgba = CORK) -> Part:
    """A fixed square mat of half size (m) and 8 mm thick on the table at pos (x, y) m.

    The site `<name>_top` is the room over it in which the frame of a cup that stands on it is.
    """
    thick = 0.008

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, 0))
        body.add_geom(
            name=f"{name}_box",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(0, 0, thick / 2),
            size=(half, half, thick / 2),
            rgba=rgba,
            **CONTACT,
        )
        body.add_site(
            name=f"{name}_top",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(0, 0, thick),
            size=(half, half, 0.01),
            rgba=GLASS,
            group=4,
        )

    return add


def _paint(spec: Any, name: str, pos: tuple[float, float], half: tuple[float, float], rgba: Rgba) -> None:
    spec.worldbody.add_geom(
        name=f"{name}_paint",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(*pos, PAINT),
        size=(*half, PAINT),
        rgba=rgba,
        contype=0,
        conaffinity=0,
    )


def _free(spec: Any, name: str, pos: Vec) -> Any:
    body = spec.worldbody.add_body(name=name, pos=pos)
    body.add_freejoint(name=f"{name}_free")
    return body


def _box(body: Any, name: str, pos: Vec, half: Vec, rgba: Rgba, **more: Any) -> None:
    """A box of a free body."""
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=pos,
        size=half,
        rgba=rgba,
        contype=1 | FLOOR_BIT,
        **CONTACT,
        **more,
    )
