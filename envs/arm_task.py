"""What the tasks of the arm share: the action formats it reads, and how a task is put together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from worldverify import contracts as formats
from worldverify.action import SKILLS, ActionSpec
from worldverify.arm import Arm
from worldverify.camera import Camera
from worldverify.domain import Domain
from worldverify.envs.arm import AT_ORIGIN, JOINTS, Mount, Robot, one_arm, turn
from worldverify.envs.parts import FLOOR, TIMESTEP, Part, scene_spec
from worldverify.plan import admit
from worldverify.scene import Scene, build_scene
from worldverify.skills import WITHOUT_GRIPPER
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
    robot: Robot | None = None,
    rate: float = RATE,
    timestep: float = TIMESTEP,
    floor: float = FLOOR,
    camera: Camera | None = None,
) -> Task:
    """A task of the arm on its `mount`, or of another robot, among `parts`. `objects` are named in the instruction.

    `rate` is in Hz, `timestep` in s, and `floor` the height in m of the floor. A model sees the scene by the `camera`.
    """
    requirements = Spec.parse(spec)
    robot = robot or one_arm(mount)
    world = scene_spec(*parts, robot=robot, timestep=timestep, floor=floor)
    scene = build_scene(world, requirements, keyframe="home")
    contracts = {**_formats(robot.arms, rate), "ctrl": formats.ctrl(int(scene.model.nu), rate)}
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
        arm=robot.arms.get(""),
        arms={arm: value for arm, value in robot.arms.items() if arm},
        camera=camera,
        randomise=randomise,
        domain=domain,
        precondition=precondition,
        good=plan(good),
        bad={requirement: plan(write) for requirement, write in bad.items()},
        objects=tuple(objects),
    )


def _formats(arms: Mapping[str, Arm], rate: float) -> dict[str, ActionSpec]:
    """The formats that plans for one arm, or for several, can be written in."""
    rows = {}
    for name, arm in arms.items():
        joints = arm.joints if not name else [f"joint{i + 1}" for i in range(len(arm.joints))]
        rows[name] = formats.joint_position(joints, rate, gripper=arm.gripper_control is not None)
    if len(arms) > 1:
        return {"joint_position": formats.joint_positions(rows)}
    (arm,) = arms.values()
    grips = arm.gripper_control is not None
    return {
        "joint_position": rows[""],
        "ee_waypoints": formats.ee_waypoints(gripper=grips),
        "skills": formats.skills(tuple(SKILLS) if grips else WITHOUT_GRIPPER),
    }


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


def move_arm(data: Any, generator: np.random.Generator, *, angle: float, joints: Sequence[str] = JOINTS) -> None:
    """Start the arm up to `angle` rad from home in every joint, with its servos holding it there."""
    for name in joints:
        data.joint(name).qpos += generator.uniform(-angle, angle)
        data.actuator(name).ctrl = data.joint(name).qpos[0]


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
