"""Things that stand around the arm, and the function that puts a scene together."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from worldverify.arm import Floats
from worldverify.envs.arm import CONTACT, FINGER_TRAVEL, HOME, add_arm

Part = Callable[[Any], None]
Vec = tuple[float, float, float]
Rgba = tuple[float, float, float, float]

TIMESTEP = 0.004  # s
SINK = 1.3313e-5  # m, how deep a free cube rests in what carries it: independent of its size and mass
FLOOR = -0.75  # m, where things that fall off the table land
FLOOR_BIT = 2  # in contype: meets the floor. The arm and fixed parts cannot reach it


def scene_spec(*parts: Part) -> Any:
    """A `mujoco.MjSpec` with the arm and the parts, and a keyframe `home`.

    At `home` the arm is in its home pose, the gripper is open, the servos hold both, and free bodies are where
    their parts put them. Without the keyframe MuJoCo starts at zero angles, which are outside the arm's limits.
    """
    spec = mujoco.MjSpec()
    spec.modelname = "scene"
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    option = spec.option
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC  # a pyramid with impratio 10 lets a finger lose a held cube
    option.impratio = 10
    option.tolerance = 1e-10
    add_arm(spec)
    for part in parts:
        part(spec)
    _add_room(spec)
    qpos = spec.compile().qpos0.copy()
    qpos[:9] = (*HOME, FINGER_TRAVEL, FINGER_TRAVEL)
    spec.add_key(name="home", qpos=qpos, ctrl=(*HOME, FINGER_TRAVEL))
    return spec


def table(*, size: tuple[float, float] = (1.4, 1.6), center: tuple[float, float] = (0.3, 0.0)) -> Part:
    """Body `table`: a slab of size (x, y) m whose top is z = 0. The arm stands on it at the origin."""

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name="table", pos=(*center, 0))
        _box(body, "table_top", (0, 0, -0.03), (size[0] / 2, size[1] / 2, 0.03), (0.72, 0.6, 0.46, 1))

    return add


def cube(
    name: str,
    pos: tuple[float, float],
    *,
    half: float = 0.02,
    mass: float = 0.1,
    rgba: Rgba = (0.85, 0.2, 0.15, 1),
) -> Part:
    """A free cube of edge 2 half (m) and mass (kg), standing on the table at pos (x, y) m."""

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, half - SINK))
        body.add_freejoint(name=f"{name}_free")
        _box(body, f"{name}_box", (0, 0, 0), (half, half, half), rgba, mass=mass, contype=1 | FLOOR_BIT)

    return add


def basket(
    pos: tuple[float, float],
    *,
    name: str = "basket",
    inner: tuple[float, float] = (0.16, 0.16),
    height: float = 0.07,
    wall: float = 0.01,
    rgba: Rgba = (0.25, 0.45, 0.7, 1),
) -> Part:
    """A fixed open box on the table at pos (x, y) m: inner size (x, y) m, height of the rim and thickness m.

    The site `<name>_inside` is the box between the walls, from the floor of the basket to its rim.
    """
    x, y, t, z = inner[0] / 2, inner[1] / 2, wall / 2, height / 2

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, 0))
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


def _add_room(spec: Any) -> None:
    """Light, a floor for what falls, and two fixed cameras: `view` from the right, `front` from ahead."""
    world = spec.worldbody
    world.add_light(pos=(0.6, -0.8, 2.0), dir=(-0.1, 0.35, -0.9), type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=(0, 0, FLOOR),
        size=(3, 3, 0.1),
        rgba=(0.82, 0.84, 0.86, 1),
        contype=0,
        conaffinity=FLOOR_BIT,
        **CONTACT,
    )
    for name, eye, target in (
        ("view", (1.25, -0.55, 0.75), (0.25, -0.05, 0.3)),
        ("front", (1.75, 0.0, 0.6), (0.33, 0.0, 0.25)),
    ):
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


def _box(body: Any, name: str, pos: Vec, half: Vec, rgba: Rgba, **more: float) -> None:
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=half, rgba=rgba, **CONTACT, **more)
