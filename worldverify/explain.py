"""What a plan means, without simulating it: units, frames, where it begins and ends, how long it takes."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.compile import compile_for
from worldverify.contract_lines import contract_lines
from worldverify.decode import physical
from worldverify.kernels import kinematics, rotation
from worldverify.plan import Plan, admit, plan_id
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.task import Task
from worldverify.waypoint import Waypoint

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explained:
    """One candidate: what it means, or why it means nothing."""

    id: str | None
    format: str | None
    code: str | None  # why it is no plan, or cannot be carried out on the task; None: it can
    reason: str | None
    meaning: tuple[tuple[str, str], ...]  # label -> what a person reads
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """One line of `worldverify decode --json`."""
        return {
            "id": self.id,
            "format": self.format,
            "code": self.code,
            "reason": self.reason,
            "meaning": dict(self.meaning),
            "warnings": list(self.warnings),
        }


def explain(raw: object, format: ActionSpec | None, task: Task | None, seed: int) -> Explained:
    """What a candidate means under a declared contract, and on a task if there is one."""
    contracts: Mapping[str, ActionSpec] = {} if task is None else task.contracts
    name = "worldverify decode" if task is None else task.name
    rate = 0.0 if task is None else task.rate
    plan: Plan | None = None
    try:
        plan = admit(raw, contracts=contracts, default_rate=rate, task=name, format=format)
        spec = contracts[plan.format] if plan.contract is None else plan.contract
        meaning = (*contract_lines(spec, plan.rate_hz), *_content(spec, plan))
    except Refusal as refusal:
        own = plan_id(raw) if plan is None else plan.id
        warnings = () if plan is None else plan.warnings
        return Explained(own, None if plan is None else plan.format, refusal.code, refusal.reason, (), warnings)
    code, reason, warnings = None, None, plan.warnings
    if task is not None:
        (made,) = compile_for(task, task.start(seed)[None], [plan])
        if isinstance(made, Refusal):
            code, reason = made.code, made.reason
        else:
            warnings = tuple(dict.fromkeys((*warnings, *made.warnings)))
            meaning += _on_the_task(task, made.controls)
    return Explained(plan.id, plan.format, code, reason, meaning, warnings)


def _content(spec: ActionSpec, plan: Plan) -> tuple[tuple[str, str], ...]:
    """What the actions of a plan say."""
    actions: Any = plan.actions
    if isinstance(actions, np.ndarray):
        count = f"{len(actions)} action{'' if len(actions) == 1 else 's'}"
        took = "" if plan.rate_hz is None else f", {len(actions) / plan.rate_hz:.2f} s"
        lines = [("plan", count + took)]
        if spec.space in ("ctrl", "base"):
            return (*lines, ("first", _numbers(actions[0])), ("last", _numbers(actions[-1])))
        said = physical(spec, actions)
        for label, row in (("first", 0), ("last", -1)):
            lines += [(f"{label} {key}", _quantity(key, value[row], spec)) for key, value in said.items()]
        return tuple(lines)
    lines = [("plan", _noun(actions))]
    for label, action in (("first", actions[0]), ("last", actions[-1])):
        lines.append((label, _action(action)))
    return tuple(lines)


NOUNS = {  # of one, of several
    "points": ("list of points", "lists of points"),
    "gripper": ("command of the gripper", "commands of the gripper"),
    "point": ("point", "points"),
    "box": ("box", "boxes"),
    "skill": ("skill", "skills"),
    "position": ("place", "places"),
    "call": ("call", "calls"),
}
OTHER = ("action", "actions")


def _noun(actions: Sequence[object]) -> str:
    first = actions[0]
    if isinstance(first, Waypoint):
        return f"{len(actions)} waypoints"
    assert isinstance(first, Mapping)
    kinds = Counter(NOUNS.get(next(iter(action)), OTHER) for action in actions if isinstance(action, Mapping))
    return ", ".join(f"{count} {many if count > 1 else one}" for (one, many), count in kinds.items())


def _action(action: object) -> str:
    if isinstance(action, Waypoint):
        parts = [f"position ({_numbers(action.position)}) m"]
        parts += [] if action.orientation is None else [f"orientation [{_numbers(action.orientation)}]"]
        parts += [] if action.gripper is None else [f"gripper {100 * action.gripper:.0f} % open"]
        parts += [] if action.time is None else [f"at {action.time:g} s"]
        return ", ".join(parts)
    assert isinstance(action, Mapping)
    if "points" in action:
        points: Any = action["points"]
        return f"{len(points)} points, from ({_numbers(points[0])}) to ({_numbers(points[-1])})"
    return json.dumps(dict(action))


def _quantity(key: str, value: Any, spec: ActionSpec) -> str:
    kind = key.rpartition("/")[2]
    if kind == "gripper":
        return f"{100 * float(value):.0f} % open"
    speeds = spec.position_unit.endswith("/s")
    unit = {"position": "m", "rotation": "rad (rotation vector)", "joints": "rad/s" if speeds else "rad"}[kind]
    return f"({_numbers(value)}) {unit}"


def _on_the_task(task: Task, controls: Floats) -> tuple[tuple[str, str], ...]:
    """Where a plan takes the arm, or what drives, as far as commands go."""
    lines = [("on the task", f"{len(controls)} control steps at {task.rate:g} Hz, {len(controls) / task.rate:.2f} s")]
    if task.base is not None:
        path = controls[:, list(task.base.controls)]
        for label, row in (("base after one step", path[0]), ("base at the end", path[-1])):
            lines.append((label, f"({_numbers(row[:2])}) m, yaw {_numbers(row[2:])} rad"))
        low, high = path.min(axis=0)[:2], path.max(axis=0)[:2]
        return (*lines, ("within", f"({_numbers(low)}) m to ({_numbers(high)}) m"))
    if task.arm is not None:
        q = controls[:, list(task.arm.joint_controls)]
        position, orientation = kinematics.tool_pose(q, *chain_of(task.arm))
        for label, row in (("tool after one step", 0), ("tool at the end", -1)):
            turn = rotation.to_vector(orientation[row])
            lines.append((label, f"({_numbers(position[row])}) m, turned by ({_numbers(turn)}) rad, in the world"))
        low, high = position.min(axis=0), position.max(axis=0)
        lines.append(("within", f"({_numbers(low)}) m to ({_numbers(high)}) m"))
    return tuple(lines)


def _numbers(values: Any) -> str:
    return ", ".join(f"{float(value) + 0.0:.4g}" for value in values)
