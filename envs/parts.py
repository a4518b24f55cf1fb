"""Things that stand around the arm, and the function that puts a scene together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from worldverify.arm import Floats
from worldverify.envs.arm import AT_ORIGIN, CONTACT, Mount, Robot, one_arm, turn

Part = Callable[[Any], None]
Vec = tuple[float, float, float]
Rgba = tuple[float, float, float, float]
Piece = tuple[Vec, Vec, float]  # of a thing made of boxes: center and half size in m, yaw in rad

TIMESTEP = 0.004  # s
SINK = 1.3313e-5  # m, how deep a free cube rests in what carries it: independent of its size and mass
FLOOR = -0.75  # m, height at which things that fall off the table land
ROLLING = 0.002  # m, resistance of a can: without it, one that has fallen rolls for ever
FLOOR_BIT = 2  # in contype: meets the floor. The arm and fixed parts cannot reach it


def scene_spec(
    *parts: Part,
    mount: Mount = AT_ORIGIN,
    robot: Robot | None = None,
    timestep: float = TIMESTEP,
    floor: float = FLOOR,
) -> Any:
    """A `mujoco.MjSpec` with the arm on its mount, or another robot, and the parts, and a keyframe `home`.

    At `home` the arm is in its home pose, the gripper is open, the servos hold both, and free bodies are where
    their parts put them. Without the keyframe MuJoCo starts at zero angles, which are outside the arm's limits.
    """
    robot = robot or one_arm(mount)
    spec = mujoco.MjSpec()
    spec.modelname = "scene"
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    option = spec.option
    option.timestep = timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC  # a pyramid with impratio 10 lets a finger lose a held cube
    option.impratio = 10
    option.tolerance = 1e-10
    robot.add(spec)
    for part in parts:
        part(spec)
    _add_room(spec, robot.cameras, floor)
    model = spec.compile()
    qpos = model.qpos0.copy()
    for i in range(model.njnt):
        qpos[model.jnt_qposadr[i]] = robot.home.get(model.joint(i).name, qpos[model.jnt_qposadr[i]])
    spec.add_key(name="home", qpos=qpos, ctrl=[robot.home[model.actuator(i).name] for i in range(model.nu)])
    return spec


def table(
    *, size: tuple[float, float] = (1.4, 1.6), center: tuple[float, float] = (0.3, 0.0), top: float = 0.0
) -> Part:
    """Body `table`: a slab of size (x, y) m around center (x, y) m whose top is at height `top` m."""

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name="table", pos=(*center, top))
        _box(body, "table_top", (0, 0, -0.03), (size[0] / 2, size[1] / 2, 0.03), (0.72, 0.6, 0.46, 1))

    return add


def pedestal(mount: Mount, *, height: float) -> Part:
    """Body `pedestal`: a fixed block of that height (m) under the arm."""
    x, y, z = mount.pos

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name="pedestal", pos=(x, y, z - height / 2), quat=turn(mount.yaw, axis=2))
        _box(body, "pedestal_box", (-0.03, 0, 0), (0.11, 0.1, height / 2), (0.4, 0.42, 0.45, 1))

    return add


def cube(
    name: str,
    pos: tuple[float, float],
    *,
    half: float = 0.02,
    mass: float = 0.1,
    rgba: Rgba = (0.85, 0.2, 0.15, 1),
) -> Part:
    """A free cube of edge 2 half (m) and mass (kg), standing on z = 0 at pos (x, y) m."""
    return block(name, pos, half=(half, half, half), mass=mass, rgba=rgba)


def block(
    name: str,
    pos: tuple[float, float],
    *,
    half: Vec,
    yaw: float = 0.0,
    top: float = 0.0,
    mass: float = 0.1,
    rgba: Rgba = (0.85, 0.2, 0.15, 1),
) -> Part:
    """A free box of half size (m), turned by yaw (rad), standing at pos (x, y) m on a table of height `top` m."""

    def add(spec: Any) -> None:
        body = _free(spec, name, (*pos, top + half[2] - SINK), turn(yaw, axis=2))
        _box(body, f"{name}_box", (0, 0, 0), half, rgba, mass=mass, contype=1 | FLOOR_BIT)

    return add


def can(
    name: str,
    pos: tuple[float, float],
    *,
    radius: float,
    height: float,
    lying: float | None = None,
    top: float = 0.0,
    mass: float = 0.1,
    friction: float | None = None,
    rgba: Rgba = (0.75, 0.78, 0.8, 1),
) -> Part:
    """A free cylinder (m, kg) at pos (x, y) m on a table of height `top` m: upright, or `lying` along a yaw (rad).

    It rolls with the resistance ROLLING, and slides with `friction` on anything; None leaves that to what it touches.
    """
    upright = lying is None
    slides = (1.0 if friction is None else friction, 0.005, ROLLING)
    quat = turn(0.0, axis=2)
    if lying is not None:
        mujoco.mju_mulQuat(quat, turn(lying, axis=2), turn(np.pi / 2, axis=1))

    def add(spec: Any) -> None:
        body = _free(spec, name, (*pos, top + (height / 2 if upright else radius) - SINK), quat)
        body.add_geom(
            name=f"{name}_can",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            size=(radius, height / 2, 0),
            mass=mass,
            rgba=rgba,
            contype=1 | FLOOR_BIT,
            condim=6,
            friction=slides,
            priority=0 if friction is None else 1,
            **CONTACT,
        )

    return add


def boxes(
    name: str,
    pos: tuple[float, float],
    pieces: Sequence[Piece],
    *,
    top: float = 0.0,
    mass: float = 0.1,
    rgba: Rgba = (0.85, 0.2, 0.15, 1),
) -> Part:
    """A free thing made of boxes of one height around z = 0, standing at pos (x, y) m on a table of height `top` m."""

    def add(spec: Any) -> None:
        body = _free(spec, name, (*pos, top + pieces[0][1][2] - SINK), turn(0.0, axis=2))
        for i, (center, half, yaw) in enumerate(pieces):
            _box(
                body,
                f"{name}_{i}",
                center,
                half,
                rgba,
                quat=turn(yaw, axis=2),
                mass=mass / len(pieces),
                contype=1 | FLOOR_BIT,
            )

    return add


def basket(
    pos: tuple[float, float],
    *,
    name: str = "basket",
    inner: tuple[float, float] = (0.16, 0.16),
    height: float = 0.07,
    wall: float = 0.01,
    top: float = 0.0,
    rgba: Rgba = (0.25, 0.45, 0.7, 1),
) -> Part:
    """A fixed open box at pos (x, y) m on a table of height `top`: inner size (x, y), height of the rim, thickness, m.

    The site `<name>_inside` is the box between the walls, from the floor of the basket to its rim.
    """
    x, y, t, z = inner[0] / 2, inner[1] / 2, wall / 2, height / 2

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, top))
        _box(body, f"{name}_floor", (0, 0, t), (x, y, t), rgba)
        _box(body, f"{name}_left", (0, y + t, z), (x + wall, t, z), rgba)
        _box(body, f"{name}_right", (0, -y - t, z), (x + wall, t, z), rgba)
        _box(body, f"{name}_back", (x + t, 0, z), (t, y, z), rgba)
        _box(body, f"{name}_front", (-x - t, 0, z), (t, y, z), rgba)
        body.add_site(
            name=f"{name}_inside",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(0, 0, z + t),
            size=(x, y, z - t),
            rgba=(0.2, 0.8, 0.3, 0.2),
            group=4,
        )

    return add


def obstacle(
    pos: tuple[float, float],
    *,
    name: str = "obstacle",
    height: float = 0.35,
    radius: float = 0.03,
    rgba: Rgba = (0.9, 0.6, 0.1, 1),
) -> Part:
    """A fixed post on the table at pos (x, y) m: a capsule whose top is at height (m)."""

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, 0))
        body.add_geom(
            name=f"{name}_post",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(0, 0, 0, 0, 0, height - radius),
            size=(radius, 0, 0),
            rgba=rgba,
            **CONTACT,
        )

    return add


def _add_room(spec: Any, cameras: Mapping[str, tuple[Vec, Vec]], floor: float) -> None:
    """Light, a floor for what falls, and fixed cameras, each at a place from which it looks at another."""
    world = spec.worldbody
    world.add_light(pos=(0.6, -0.8, 2.0), dir=(-0.1, 0.35, -0.9), type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=(0, 0, floor),
        size=(3, 3, 0.1),
        rgba=(0.82, 0.84, 0.86, 1),
        contype=0,
        conaffinity=FLOOR_BIT,
        **CONTACT,
    )
    for name, (eye, target) in cameras.items():
        world.add_camera(name=name, pos=eye, quat=_look(eye, target), fovy=42)


def _look(eye: Vec, target: Vec) -> Floats:
    """Quaternion (4,) wxyz of a camera at eye that looks at target, upright: cameras look along -z."""
    back = np.subtract(eye, target)
    back = back / np.linalg.norm(back)
    right = np.cross((0.0, 0.0, 1.0), back)
    right = right / np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    return quat


def _free(spec: Any, name: str, pos: Vec, quat: Floats) -> Any:
    """A body that can move, in a pose."""
    body = spec.worldbody.add_body(name=name, pos=pos, quat=quat)
    body.add_freejoint(name=f"{name}_free")
    return body


def _box(body: Any, name: str, pos: Vec, half: Vec, rgba: Rgba, **more: Any) -> None:
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=half, rgba=rgba, **CONTACT, **more)
