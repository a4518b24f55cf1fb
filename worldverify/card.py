"""The task card: what a model is prompted with."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from worldverify.action import MOBILE_SKILLS, ActionSpec
from worldverify.arm import Arm
from worldverify.base import Base, pose_of
from worldverify.camera import Camera, camera_lines, view_of
from worldverify.contract_lines import contract_lines
from worldverify.extent import extent, subtree
from worldverify.kernels.kinematics import tool_pose
from worldverify.plan import by_key
from worldverify.reach import chain_of
from worldverify.spec import Spec
from worldverify.syntax import form_of

TABLE = "table_top"  # the geom whose height a prompt tells
STILL = 0.005  # m/s; a prompt tells how fast a thing is that is faster
_DRIVES = " drive_to takes [x, y] on the floor, and its yaw is in rad, 0 along x and 1.57 along y."
_GRIPPER = '"gripper": 0 closed to 1 open (optional, keeps the last one), '
_FORMS = {
    "skills": (
        'Skills: {"skills": [...]}, each {"skill": name} with its arguments by name (? marks what may be left out; '
        "objects and targets are names of the scene, a target may be a position): "
    ),
    "ee_waypoints": (
        'Waypoints of the tool: {"waypoints": [...]}, each {"position": [x, y, z] in metres (z up), '
        '"orientation": [w, x, y, z] (optional, keeps the last one; [0, 1, 0, 0] points straight down), '
        f'{_GRIPPER}"time": seconds from now (optional; all or none)}}.'
    ),
    "base_waypoints": (
        'Places on the floor: {"waypoints": [...]}, each {"position": [x, y] in metres, "yaw": rad, 0 along x and 1.57 '
        'along y (optional; without it the robot looks along its way), "time": seconds from now (optional; all or '
        "none)}. The robot turns towards a place, drives straight to it and turns to its yaw, and spreads this over "
        "the time that it is given; to wait, give the same place again with a later time."
    ),
    "base_velocity": "Speeds, v forwards in m/s and w to the left in rad/s: ",
    "joint_position": "Joint targets: ",
    "ctrl": "Controls: ",
}


def task_card(
    instruction: str,
    scene: Sequence[str],
    contracts: Mapping[str, ActionSpec],
    spec: Spec,
    *,
    horizon: float,
    steps: int,
    example: object = None,
) -> str:
    """Instruction, lines on the scene, time [s], formats, what is checked, and an example of a form if there is one."""
    lines = [instruction.strip() or "Control the robot.", ""]
    if scene:
        lines += ["Scene (positions in metres, world frame):"]
        lines += [f"- {line}" for line in scene] + [""]
    shown = by_key(contracts) if len(contracts) > 1 else contracts
    asked = "Answer with one JSON value in one of these forms:" if len(shown) > 1 else "Answer in this form:"
    lines += [f"You have {horizon:g} s.", "", asked]
    lines += [f"- {_form(name, contract, steps, horizon)}" for name, contract in shown.items()]
    lines += ["", "Checked in a physics simulation:"]
    lines += [f"- {requirement}" for requirement in spec.requirements]
    if example is not None:
        lines += ["", "Example of the form (not of a good plan):", json.dumps(example)]
    return "\n".join(lines)


def example(
    contracts: Mapping[str, ActionSpec], data: mujoco.MjData, arms: Mapping[str, Arm], base: Base | None = None
) -> object:
    """A plan that shows a form: the tool goes a little aside, several arms stay, a base goes ahead. Or None."""
    if "skills" in contracts and len(arms) == 1:
        (arm,) = arms.values()
        x, y, z = (round(value, 2) + 0.0 for value in tool_of(data, arm))
        grips = "open_gripper" in contracts["skills"].skills
        last: dict[str, object] = {"skill": "open_gripper"} if grips else {"skill": "wait", "seconds": 0.5}
        return {"skills": [{"skill": "move_to", "position": [x, round(y + 0.05, 2), z]}, last]}
    if "joint_position" in contracts and len(arms) > 1:
        return {"actions": [_rounded(np.concatenate([arm.rows(data.ctrl[None])[0] for arm in arms.values()]))]}
    if "base_waypoints" in contracts and base is not None:
        x, y, yaw = pose_of(data, base).tolist()
        ahead = [round(x + 0.3 * float(np.cos(yaw)), 2), round(y + 0.3 * float(np.sin(yaw)), 2)]
        return {"waypoints": [{"position": ahead}, {"position": ahead, "yaw": round(yaw, 2)}]}
    return None


def scene_lines(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    objects: Sequence[str],
    arms: Mapping[str, Arm],
    camera: Camera | None = None,
    base: Base | None = None,
) -> list[str]:
    """Where the named objects, the robot and the camera are, one line each; `data` needs its positions and speeds.

    The `arms` are given in the world; where a `base` drives one, they are as it stands in `data`.
    """
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_comVel(model, data)
    lines = []
    for name in objects:
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
        if body < 0:
            site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, name)
            lines.append(f"{name}: at {_rounded(data.site_xpos[site])}")
        else:
            yaw = float(np.arctan2(data.xmat[body][3], data.xmat[body][0]))
            box = extent(model, data, subtree(model, body), yaw)
            size = " x ".join(f"{x:g}" for x in _rounded(2 * box.half))
            turned = f", turned by {yaw:.2f} rad about z" if abs(yaw) > 0.005 else ""
            lines.append(
                f"{name}: centre at {_rounded(box.center)}, {size} overall{turned}{_moving(model, data, body)}"
            )
    table = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, TABLE)
    if table >= 0:
        height = float(data.geom_xpos[table][2] + model.geom_size[table][2])
        lines.append(f"table: its top is at z = {height + 0.0:.3g}")
    if base is not None:
        x, y, yaw = _rounded(pose_of(data, base))
        lines.append(
            f"robot: a base on wheels at [{x}, {y}], yaw {yaw} rad, {2 * base.radius:g} m across; it drives at up to "
            f"{base.forward:g} m/s, backwards at {base.backward:g} m/s, and turns at up to {base.turning:.2g} rad/s"
        )
    for name, arm in arms.items():
        joints = [float(data.joint(joint).qpos[0]) for joint in arm.joints]
        tool = "tool" if arm.gripper_control is None else "tool, the point between the fingertips"
        lines.append(f"{name} {tool}: at {_rounded(tool_of(data, arm))}".lstrip())
        lines.append(f"{name} arm: base at {_rounded(arm.base_pos)}, joints at {_rounded(joints)} rad".lstrip())
    if camera is not None:
        lines += camera_lines(view_of(model, data, camera))
    return lines


def tool_of(data: mujoco.MjData, arm: Arm) -> list[float]:
    """Where the tool is [m]."""
    position, _ = tool_pose(np.array([float(data.joint(name).qpos[0]) for name in arm.joints]), *chain_of(arm))
    return [float(value) for value in position]


def _moving(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> str:
    """How fast a body moves, if it does: ", moving at [x, y, z] m/s"."""
    velocity = np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)
    return f", moving at {_rounded(velocity[3:])} m/s" if np.max(np.abs(velocity[3:])) > STILL else ""


def _rounded(values: Any) -> list[float]:
    # + 0.0 turns the -0.0 of rounding into 0.0
    rounded: list[float] = (np.round(np.asarray(values), 3) + 0.0).tolist()
    return rounded


def _form(name: str, contract: ActionSpec, steps: int, horizon: float) -> str:
    if name not in _FORMS:
        return _preset(contract)
    text = _FORMS[name]
    if name == "skills":
        drives = _DRIVES if "drive_to" in contract.skills else ""
        return text + ", ".join(_call(skill) for skill in contract.skills) + "." + drives
    if name == "base_waypoints":
        return text
    if name == "ee_waypoints":
        return text if contract.gripper is not None else text.replace(_GRIPPER, "")
    if name == "base_velocity" and contract.rate_hz is not None:
        steps = int(horizon * contract.rate_hz + 1e-9)
    rate = f"{contract.rate_hz:g} a second, at most {steps}"
    if contract.arms:
        rate += "; angles in rad, grippers from 0 closed to 1 open"
    return f'{text}{{"actions": [[{", ".join(contract.columns)}], ...]}}, {rate}.'


def _preset(contract: ActionSpec) -> str:
    """A form that is not worldverify's own: how it looks, and what its contract says."""
    form = form_of(contract)
    said = "; ".join(f"{label}: {what}" for label, what in contract_lines(contract))
    calls = f" Functions: {', '.join(form.functions)}." if form.functions else ""
    return f"{form.example(contract)} ({said}).{calls}"


def _call(name: str) -> str:
    """A skill with its arguments: `move_to(position, orientation?)`."""
    skill = MOBILE_SKILLS[name]
    arguments = [*skill.required, *(f"{argument}?" for argument in skill.optional)]
    return f"{name}({', '.join(arguments)})"
