"""Bins of space and angle, as EmbodiedBench's planner writes them: one or more objects with an `executable_plan`."""

import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from worldverify.action import ActionSpec
from worldverify.describe import describe, shorten
from worldverify.planfields import Fields
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions, Form

KEY = "executable_plan"
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,20})?")  # float() would also take 1_0 and digits of other scripts


def example(spec: ActionSpec) -> str:
    """The shape."""
    return '{"executable_plan": [{"action": [x, y, z, roll, pitch, yaw, gripper]}, ...]}'


def is_plan(value: object) -> bool:
    """An object with an executable plan."""
    return isinstance(value, dict) and KEY in value


def parse(value: object, fields: Fields) -> Actions:
    """(T, width) bins. Other keys of the planner's object are its own words and carry nothing out."""
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, list) and any(map(is_plan, value)):
        value = [step for plan in value for step in _steps(plan, fields)]
    if isinstance(value, list | tuple):
        value = [step.get("action") if isinstance(step, Mapping) else step for step in value]
    if isinstance(value, list):
        value = [_from_string(row, f"{fields.path}[{i}]") for i, row in enumerate(value)]
    actions = fields.array(value)
    uneven = np.argwhere(actions != np.round(actions))
    if len(uneven):
        row, column = uneven[0].tolist()
        at = f"{fields.path}[{row}][{column}] ({fields.spec.columns[column]})"
        raise Refusal("out_of_range", f"{at} is {actions[row, column]:g}; bins are whole numbers.")
    return actions


def _steps(plan: object, fields: Fields) -> Sequence[object]:
    steps = plan.get(KEY) if isinstance(plan, Mapping) else None
    if not isinstance(steps, list | tuple):
        raise Refusal("wrong_type", f"The plan is {describe(plan)}; it must be {example(fields.spec)}.")
    return steps


def write(actions: Actions, spec: ActionSpec) -> str:
    """The bins as the planner writes them, vectors as strings."""
    assert isinstance(actions, np.ndarray)
    steps = [{"action": str([int(bin) for bin in row])} for row in actions.tolist()]
    return json.dumps({KEY: steps})


def _from_string(row: object, path: str) -> object:
    """A row that was written as a string: "[1, 2, 3]"."""
    if not isinstance(row, str):
        return row
    said = row.strip()
    parts = [part.strip() for part in said.removeprefix("[").removesuffix("]").split(",")]
    if said.startswith("[") != said.endswith("]") or not all(map(_NUMBER.fullmatch, parts)):
        reason = f"{path} is {shorten(row)}, which is not a list of numbers such as '[1, 2, 3]'."
        raise Refusal("wrong_type", reason)
    return list(map(float, parts))


FORMS = {"voxels": Form(None, example, is_plan, parse, write, joined=True)}
