"""Dense lists of end-effector poses between commands of the gripper, as text models write them."""

import json
import re
from collections.abc import Mapping, Sequence

from worldverify.action import ActionSpec
from worldverify.calling.code import Signature, read_calls
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.planfields import Fields
from worldverify.read import without_thoughts
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions, Form, is_row

GRIPPER = {"open_gripper": "open", "close_gripper": "close"}
IDLE = ("detect_object", "print", "task_completed")  # events that move nothing
EVENTS = ("trajectory", *GRIPPER, *IDLE)
KEYS = ("trajectory", "events")
FUNCTIONS = {
    "execute_trajectory": Signature(("trajectory",)),
    **{name: Signature() for name in GRIPPER},
    **{name: Signature(gives="nothing") for name in IDLE},
}
_CALL = re.compile(rf"\b(?:{'|'.join((*GRIPPER, *IDLE, 'execute_trajectory'))})\s*\(")


def example(spec: ActionSpec) -> str:
    """The shape, with the names of the numbers."""
    row = ", ".join(column for column in spec.columns if column != "gripper")
    return f'{{"events": [{{"type": "trajectory", "points": [[{row}], ...]}}, {{"type": "close_gripper"}}, ...]}}'


def is_plan(value: object) -> bool:
    """An object with a trajectory or events, or a list of points."""
    if isinstance(value, dict):
        return any(key in value for key in KEYS)
    return isinstance(value, list) and bool(value) and is_row(value[0])


def parse(value: object, fields: Fields) -> Actions:
    """{"points": [[...], ...]} and {"gripper": "open" | "close"}, in their order."""
    if isinstance(value, dict):
        events = _events(value, fields)
    else:
        own = isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)
        events = list(value) if own and isinstance(value, list | tuple) else [{"points": value}]
    actions: list[Mapping[str, object]] = []
    count = 0
    for index, event in enumerate(events):
        action = _action(event, f"{fields.path}[{index}]", fields)
        if action is not None:
            actions.append(action)
            points = action.get("points")
            count += len(points) if isinstance(points, list) else 1
    fields.check_length(count)
    return tuple(actions)


def program(text: str, fields: Fields) -> Actions | None:
    """What a program of calls asks for, if it is one: execute_trajectory([[...], ...]), close_gripper() and so on.

    The points must stand in it; functions and loops that would compute them are refused by name.
    """
    shown, _ = without_thoughts(text)
    if _CALL.search(shown) is None:
        return None
    said = read_calls(text, FUNCTIONS)
    fields.warnings += said.warnings
    events: list[Mapping[str, object]] = [
        {"points": call.arguments["trajectory"]} if call.arguments else {"type": call.name} for call in said.calls
    ]
    return parse(events, fields)


def write(actions: Actions, spec: ActionSpec) -> str:
    """The events as JSON."""
    events: list[Mapping[str, object]] = []
    for action in actions:
        assert isinstance(action, Mapping)
        if "points" in action:
            events.append({"type": "trajectory", "points": action["points"]})
        else:
            events.append({"type": f"{action['gripper']}_gripper"})
    return json.dumps({"events": events})


def _events(value: Mapping[str, object], fields: Fields) -> Sequence[object]:
    found = [key for key in KEYS if key in value]
    others = [key for key in value if key not in KEYS]
    if others:
        fields.warnings.append(f"What stands beside the trajectory was ignored: {', '.join(map(shorten, others[:6]))}.")
    if len(found) != 1:
        raise Refusal("ambiguous", "The plan has both 'trajectory' and 'events'. Write exactly one of them.")
    inner = value[found[0]]
    if not isinstance(inner, list | tuple):
        raise Refusal("wrong_type", f"{found[0]} is {describe(inner)}; it must be a list.")
    return inner if found[0] == "events" else [{"points": inner}]


def _action(event: object, path: str, fields: Fields) -> Mapping[str, object] | None:
    """What one event asks for; None: nothing."""
    if not isinstance(event, Mapping):
        raise Refusal(
            "wrong_type", f"{path} is {describe(event)}; it must be an object such as {{'type': 'trajectory'}}."
        )
    if "type" in event:
        kind = event["type"]
        if kind not in EVENTS:
            raise Refusal("unknown_key", f"{path} is of type {shorten(kind)}. {did_you_mean(kind, EVENTS)}")
        if kind in IDLE:
            return None
        if kind in GRIPPER:
            return {"gripper": GRIPPER[str(kind)]}
    elif "gripper" in event:
        if event["gripper"] not in GRIPPER.values():
            raise Refusal(
                "wrong_type", f"{path}.gripper is {describe(event['gripper'])}; it must be 'open' or 'close'."
            )
        return {"gripper": event["gripper"]}
    if "points" not in event:
        raise Refusal("missing_key", f'{path} lacks "points": {example(fields.spec)}.')
    width = fields.spec.width - (1 if fields.spec.gripper is not None else 0)
    table = fields.table(event["points"], width, f"{path}.points")
    return {"points": table.tolist()}


FORMS = {"trajectory": Form(None, example, is_plan, parse, write, text=program)}
