"""What the tasks of the arm share: the action formats it reads, and how a task is put together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from worldverify import action
from worldverify.envs.arm import JOINTS, arm_value
from worldverify.envs.parts import Part, scene_spec
from worldverify.plan import admit
from worldverify.scene import Scene, build_scene
from worldverify.spec import Spec
from worldverify.task import Randomise, Task

RATE = 25.0  # Hz, actions a second

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
) -> Task:
    """A task of the arm among `parts`. `objects` are named in the instruction."""
    requirements = Spec.parse(spec)
    scene = build_scene(scene_spec(*parts), requirements, keyframe="home")
    contracts = {
        "joint_position": action.joint_position(JOINTS, RATE),
        "ee_waypoints": action.ee_waypoints(),
        "skills": action.skills(tuple(action.SKILLS)),
        "ctrl": action.ctrl(int(scene.model.nu), RATE),
    }
    start = scene.start(lambda model, data: randomise(np.random.default_rng(0), model, data))
    where = positions(scene, start, objects)

    def plan(write: Plans) -> Any:
        return admit(write(where), contracts=contracts, default_rate=RATE, task=name)

    return Task(
        name=name,
        instruction=instruction,
        scene=scene,
        spec=requirements,
        horizon=horizon,
        rate=RATE,
        contracts=contracts,
        arm=arm_value(),
        randomise=randomise,
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
    angle = generator.uniform(-yaw, yaw)
    joint.qpos[3:] = (np.cos(angle / 2), 0, 0, np.sin(angle / 2))


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
