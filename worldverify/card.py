"""The task card: what a model is prompted with."""

import json
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

if TYPE_CHECKING:
    from worldverify.task import Task

_FORMS = {
    "skills": 'Skills: {"skills": [...]}, each {"skill": name, ...}. Skills: ',
    "ee_waypoints": (
        'Waypoints: {"waypoints": [...]}, each {"position": [x, y, z] in metres in the world frame (z up, the table '
        'top is z = 0), "orientation": [w, x, y, z] (optional, keeps the last one), "gripper": 0 closed to 1 open '
        '(optional, keeps the last one), "time": seconds from now (optional; all or none)}.'
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
    lines += [f"- {_form(task, name)}" for name in task.contracts]
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
        site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, name)
        pos = data.xpos[body] if body >= 0 else data.site_xpos[site]
        # + 0.0 turns the -0.0 of rounding into 0.0
        lines.append(f"{name}: centre at {(np.round(pos, 3) + 0.0).tolist()}{_size(model, body)}")
    return lines


def _size(model: Any, body: int) -> str:
    """The outline of a body of one box, which is what most objects are."""
    if body < 0 or model.body_geomnum[body] != 1:
        return ""
    geom = int(model.body_geomadr[body])
    if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_BOX:
        return ""
    return f", a box of {' x '.join(f'{2 * s:g}' for s in model.geom_size[geom])}"


def _form(task: "Task", name: str) -> str:
    spec, text = task.contracts[name], _FORMS[name]
    if name == "skills":
        return text + ", ".join(spec.skills) + "."
    if name == "ee_waypoints":
        return text
    rate = f"{spec.rate_hz:g} a second, at most {task.steps}"
    return f'{text}{{"actions": [[{", ".join(spec.columns)}], ...]}}, {rate}.'


def _example(task: "Task") -> Any:
    """The first steps of a plan in the richest form the task reads."""
    if "skills" in task.contracts:
        return {"skills": [{"skill": "move_to", "position": [0.4, 0.1, 0.3]}, {"skill": "open_gripper"}]}
    width = next(spec.width for spec in task.contracts.values() if spec.width)
    return {"actions": [[0.0] * width, [0.0] * width]}
