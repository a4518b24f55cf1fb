"""What the tasks of a base on wheels share: the formats it reads, and how a task is put together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from worldverify import contracts as formats
from worldverify.action import MOBILE_SKILLS
from worldverify.camera import Camera
from worldverify.domain import Domain
from worldverify.driving import base_velocity
from worldverify.envs.arm_task import positions
from worldverify.envs.base import CAMERA, Pose, base_value, mobile_arm_value
from worldverify.envs.parts import Part
from worldverify.envs.rooms import Spot, room_spec
from worldverify.plan import admit
from worldverify.scene import build_scene
from worldverify.spec import Spec
from worldverify.task import Randomise, Task

RATE = 50.0  # Hz, targets of the base a second
SPEEDS = 10.0  # Hz, of base_velocity
TIMESTEP = 0.005  # s
ROBOT_SEES = Camera(CAMERA, width=640, height=480)

# How far the drives of one base are from those of another, and how late they hear.
DOMAIN = Domain(gain=0.05, delay=0.05)

# The plans of a task, written for the start of seed 0: plans(positions of the objects) -> plans.
Plans = Callable[[Mapping[str, Any]], Any]


def nav_task(
    *parts: Part,
    name: str,
    instruction: str,
    spec: str,
    horizon: float,
    objects: Sequence[str],
    randomise: Randomise,
    good: Plans,
    bad: Mapping[str, Plans],
    start: Pose,
    center: Spot,
    size: Spot,
    precondition: str = "",
    domain: Domain = DOMAIN,
    rate: float = RATE,
    timestep: float = TIMESTEP,
    arm: bool = False,
) -> Task:
    """A task of a base, with an arm on it if `arm` says so, that starts in a room of some size (m) around a center.

    `objects` are named in the instruction. A model of a base alone may point at the floor in the picture of the base's
    own camera.
    """
    requirements = Spec.parse(spec)
    world = room_spec(*parts, start=start, timestep=timestep, center=center, size=size, arm=arm)
    scene = build_scene(world, requirements, keyframe="home")
    raw = formats.ctrl(int(scene.model.nu), rate)
    driving = (formats.base_waypoints(), base_velocity(base_value(), SPEEDS), formats.image_points(), raw)
    read = (formats.skills(tuple(MOBILE_SKILLS)), raw) if arm else driving
    contracts = {one.name: one for one in read}
    first = scene.start(lambda model, data: randomise(np.random.default_rng(0), model, data))
    where = positions(scene, first, objects)

    def plan(write: Plans) -> Any:
        return admit(write(where), contracts=contracts, default_rate=rate, task=name)

    return Task(
        name=name,
        instruction=instruction,
        scene=scene,
        spec=requirements,
        horizon=horizon,
        rate=rate,
        contracts=contracts,
        arm=mobile_arm_value() if arm else None,
        base=base_value(),
        camera=None if arm else ROBOT_SEES,
        randomise=randomise,
        domain=domain,
        precondition=precondition,
        good=plan(good),
        bad={requirement: plan(write) for requirement, write in bad.items()},
        objects=tuple(objects),
    )


def move_base(data: Any, generator: np.random.Generator, *, xy: float = 0.05, yaw: float = 0.1) -> None:
    """Start the base up to `xy` m along x and y and `yaw` rad from home, with its servos holding it there."""
    data.qpos[:3] += generator.uniform((-xy, -xy, -yaw), (xy, xy, yaw))
    data.ctrl[:3] = data.qpos[:3]


def place(position: Sequence[float], *, yaw: float | None = None, time: float | None = None) -> dict[str, Any]:
    """One place on the floor of a plan."""
    made: dict[str, Any] = {"position": [float(value) for value in position[:2]]}
    return made | {key: value for key, value in (("yaw", yaw), ("time", time)) if value is not None}
