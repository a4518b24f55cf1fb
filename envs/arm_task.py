"""What the tasks of the arm share: the action formats it reads, and how a task is put together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from worldverify import contracts as formats
from worldverify.action import SKILLS
from worldverify.camera import Camera
from worldverify.domain import Domain
from worldverify.envs.arm import AT_ORIGIN, JOINTS, Mount, arm_value, turn
from worldverify.envs.parts import FLOOR, TIMESTEP, Part, scene_spec
from worldverify.plan import admit
from worldverify.scene import Scene, build_scene
from worldverify.spec import Spec
from worldverify.task import Randomise, Task

RATE = 25.0  # Hz, actions a second

# What a cell with a calibrated camera and weighed objects is uncertain of.
DOMAIN = Domain(mass=0.1, friction=0.1, gain=0.05, delay=0.02, perception=0.003)

# The plans of a task, written for the start of seed 0: plans(positions of the objects) -> plans.
Plans = Callable[[Mapping[str, Any]], Any]


def arm_task(
    *parts: Part,
    name: str,
    instruction: str,
    spec: str,
    horizon: float,
    objects: Sequence[str],
    randomise: Randomise,
    good: Plans,
    bad: Mapping[str, Plans],
    precondition: str = "",
    domain: Domain = DOMAIN,
    mount: Mount = AT_ORIGIN,
    rate: float = RATE,
    timestep: float = TIMESTEP,
    floor: float = FLOOR,
    camera: Camera | None = None,
) -> Task:
    """A task of the arm on its `mount` among `parts`. `objects` are named in the instruction.

    `rate` is in Hz, `timestep` in s, and `floor` the height in m of the floor. A model sees the scene by the `camera`.
    """
    requirements = Spec.parse(spec)
    world = scene_spec(*parts, mount=mount, timestep=timestep, floor=floor)
    scene = build_scene(world, requirements, keyframe="home")
    contracts = {
        "joint_position": formats.joint_position(JOINTS, rate),
        "ee_waypoints": formats.ee_waypoints(),
        "skills": formats.skills(tuple(SKILLS)),
        "ctrl": formats.ctrl(int(scene.model.nu), rate),
    }
    start = scene.start(lambda model, data: randomise(np.random.default_rng(0), model, data))
    where = positions(scene, start, objects)

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
        arm=arm_value(mount),
        camera=camera,
        randomise=randomise,
        domain=domain,
        precondition=precondition,
        good=plan(good),
        bad={requirement: plan(write) for requirement, write in bad.items()},
        objects=tuple(objects),
    )


def positions(scene: Scene, state: Any, names: Sequence[str]) -> dict[str, Any]:
    """name -> (3,) m, the centre of a body or site in a state."""
    data = scene.data(state)
    mujoco.mj_kinematics(scene.model, data)
    return {n: data.body(n).xpos if n in _bodies(scene.model) else data.site(n).xpos for n in names}


def move_object(data: Any, name: str, generator: np.random.Generator, *, xy: float, yaw: float) -> None:
    """Shift a free body by up to `xy` m along x and y, and turn it by up to `yaw` rad about z."""
    joint = data.joint(f"{name}_free")
    joint.qpos[:2] += generator.uniform(-xy, xy, 2)
    mujoco.mju_mulQuat(joint.qpos[3:], turn(generator.uniform(-yaw, yaw), axis=2), joint.qpos[3:].copy())


def move_arm(data: Any, generator: np.random.Generator, *, angle: float) -> None:
    """Start the arm up to `angle` rad from home in every joint, with its servos holding it there."""
    for i, name in enumerate(JOINTS):
        data.joint(name).qpos += generator.uniform(-angle, angle)
        data.ctrl[i] = data.joint(name).qpos[0]


def waypoint(position: Any, *, gripper: float | None = None, time: float | None = None) -> dict[str, Any]:
    """One waypoint of a plan, with the gripper pointing where it did."""
    point: dict[str, Any] = {"position": [float(x) for x in position]}
    if gripper is not None:
        point["gripper"] = gripper
    if time is not None:
        point["time"] = time
    return point


def _bodies(model: Any) -> set[str]:
    return {model.body(i).name for i in range(model.nbody)}
