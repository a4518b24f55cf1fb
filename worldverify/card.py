"""The task card: what a model is prompted with."""

import json
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from worldverify.action import SKILLS
from worldverify.extent import extent, subtree
from worldverify.kernels.kinematics import tool_pose
from worldverify.plan import by_key
from worldverify.reach import chain_of

if TYPE_CHECKING:
    from worldverify.task import Task

_FORMS = {
    "skills": (
        'Skills: {"skills": [...]}, each {"skill": name} with its arguments by name (? marks what may be left out; '
        "objects and targets are names of the scene, a target may be a position): "
    ),
    "ee_waypoints": (
        'Waypoints of the tool: {"waypoints": [...]}, each {"position": [x, y, z] in metres (z up, the table top is '
        'z = 0), "orientation": [w, x, y, z] (optional, keeps the last one; [0, 1, 0, 0] points straight down), '
        '"gripper": 0 closed to 1 open (optional, keeps the last one), "time": seconds from now (optional; all or '
        "none)}."
    ),
    "joint_position": "Joint targets: ",
    "ctrl": "Controls: ",
}


def task_card(task: "Task", state: Any) -> str:
    """Instruction, objects with positions and sizes, time, formats, what is checked, an example."""
    lines = [task.instruction.strip() or "Control the robot.", ""]
    if task.objects:
        lines += ["Scene (positions in metres, world frame):"]
        lines += [f"- {line}" for line in _objects(task, state)] + [""]
    lines += [f"You have {task.horizon:g} s.", "", "Answer with one JSON value in one of these forms:"]
    lines += [f"- {_form(task, name)}" for name in by_key(task.contracts)]
    lines += ["", "Checked in a physics simulation:"]
    lines += [f"- {requirement}" for requirement in task.spec.requirements]
    if task.good is not None:
        lines += ["", "Example of the form (not of a good plan):", json.dumps(_example(task))]
    return "\n".join(lines)


def _objects(task: "Task", state: Any) -> list[str]:
    model, data = task.scene.model, task.scene.data(state)
    mujoco.mj_kinematics(model, data)
    lines = []
    for name in task.objects:
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
        if body < 0:
            site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, name)
            lines.append(f"{name}: at {_rounded(data.site_xpos[site])}")
        else:
            yaw = float(np.arctan2(data.xmat[body][3], data.xmat[body][0]))
            box = extent(model, data, subtree(model, body), yaw)
            size = " x ".join(f"{x:g}" for x in _rounded(2 * box.half))
            turned = f", turned by {yaw:.2f} rad about z" if abs(yaw) > 0.005 else ""
            lines.append(f"{name}: centre at {_rounded(box.center)}, {size} overall{turned}")
    if task.arm is not None:
        joints = [float(data.joint(name).qpos[0]) for name in task.arm.joints]
        tool, _ = tool_pose(np.array(joints), *chain_of(task.arm))
        lines.append(f"tool, the point between the fingertips: at {_rounded(tool)}")
        lines.append(f"arm: base at {_rounded(task.arm.base_pos)}, joints at {_rounded(joints)} rad")
    return lines


def _rounded(values: Any) -> list[float]:
    # + 0.0 turns the -0.0 of rounding into 0.0
    rounded: list[float] = (np.round(np.asarray(values), 3) + 0.0).tolist()
    return rounded


def _form(task: "Task", name: str) -> str:
    spec, text = task.contracts[name], _FORMS[name]
    if name == "skills":
        return text + ", ".join(_call(skill) for skill in spec.skills) + "."
    if name == "ee_waypoints":
        return text
    rate = f"{spec.rate_hz:g} a second, at most {task.steps}"
    return f'{text}{{"actions": [[{", ".join(spec.columns)}], ...]}}, {rate}.'


def _call(name: str) -> str:
    """A skill with its arguments: `move_to(position, orientation?)`."""
    skill = SKILLS[name]
    arguments = [*skill.required, *(f"{argument}?" for argument in skill.optional)]
    return f"{name}({', '.join(arguments)})"


def _example(task: "Task") -> Any:
    """The first steps of a plan in the richest form the task reads."""
    if "skills" in task.contracts:
        return {"skills": [{"skill": "move_to", "position": [0.4, 0.1, 0.3]}, {"skill": "open_gripper"}]}
    width = next(spec.width for spec in task.contracts.values() if spec.width)
    return {"actions": [[0.0] * width, [0.0] * width]}
