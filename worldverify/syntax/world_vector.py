"""The dictionary of RT-1 and Open X-Embodiment: one object an action."""

import json
from collections.abc import Mapping

import numpy as np

from worldverify.action import ActionSpec
from worldverify.describe import describe
from worldverify.nearest import did_you_mean
from worldverify.planfields import Fields
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions, Form

STREAMS = {"world_vector": "position", "rotation_delta": "rotation", "gripper_closedness_action": "gripper"}
BASE = ("base_displacement_vector", "base_displacement_vertical_rotation")
END = "terminate_episode"
KNOWN = (*STREAMS, *BASE, END)


def example(spec: ActionSpec) -> str:
    """The shape."""
    return '[{"world_vector": [x, y, z], "rotation_delta": [...], "gripper_closedness_action": [g]}, ...]'


def is_plan(value: object) -> bool:
    """An object with a world vector, or a list of them."""
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and "world_vector" in first


def parse(value: object, fields: Fields) -> Actions:
    """(T, width) numbers. A base that is asked to move, and actions after the end, are refused."""
    if isinstance(value, np.ndarray) or (isinstance(value, list) and value and not isinstance(value[0], Mapping)):
        return fields.array(value)  # as a plan writes itself
    steps = value if isinstance(value, list) else [value]
    rows: list[list[object]] = []
    for index, step in enumerate(steps):
        path = f"{fields.path}[{index}]"
        if not isinstance(step, Mapping):
            raise Refusal("wrong_type", f"{path} is {describe(step)}; it must be {example(fields.spec)}.")
        for key in step:
            if key not in KNOWN:
                raise Refusal("unknown_key", f"{path} has the unknown key {key!r}. {did_you_mean(key, KNOWN)}")
        for key in BASE:
            if _is_moved(step.get(key)):
                raise Refusal("out_of_range", f"{path}.{key} is not zero; this contract has no base that could move.")
        if _ends(step.get(END), f"{path}.{END}"):
            if index < len(steps) - 1:
                raise Refusal(
                    "too_many_steps", f"{path} ends the episode, but {len(steps) - 1 - index} actions follow."
                )
            if index > 0:
                fields.warnings.append("The last action ends the episode and was not carried out.")
                break
        row: list[object] = []
        for key, component in STREAMS.items():
            if not fields.spec.has(component):
                continue
            if key not in step:
                raise Refusal("missing_key", f'{path} lacks "{key}".')
            numbers = step[key]
            row += list(numbers) if isinstance(numbers, list | tuple | np.ndarray) else [numbers]
        rows.append(row)
    return fields.array(rows)


def write(actions: Actions, spec: ActionSpec) -> str:
    """The actions as JSON."""
    assert isinstance(actions, np.ndarray)
    steps = [
        {key: row[spec.part(component)].tolist() for key, component in STREAMS.items() if spec.has(component)}
        for row in actions
    ]
    return json.dumps(steps)


def _is_moved(value: object) -> bool:
    numbers = value if isinstance(value, list | tuple | np.ndarray) else [0 if value is None else value]
    return any(not isinstance(number, int | float | np.number) or number != 0 for number in numbers)


def _ends(value: object, path: str) -> bool:
    """RT-1 ends an episode by [1, 0, 0]; some data sets by 1."""
    if value is None:
        return False
    numbers = value if isinstance(value, list | tuple | np.ndarray) else [value]
    if not len(numbers) or not all(isinstance(number, int | float | np.number) for number in numbers):
        raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be 0 or 1, or three of them.")
    return bool(numbers[0] == 1)


FORMS = {"world_vector": Form(None, example, is_plan, parse, write)}
