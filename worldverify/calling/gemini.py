"""Calls as Gemini Robotics-ER orchestrates a robot: move(x, y, high), setGripperState(opened), returnToOrigin().

Written as a JSON list of {"function": name, "args": {...}}, or as the calls of a program. x and y are places in an
image, which a camera has to lift (ai.google.dev/gemini-api/docs/robotics-orchestration): they stay as they are here.
"""

import json
from collections.abc import Mapping, Sequence

from worldverify.calling.code import Signature, read_calls
from worldverify.calling.skills import Said
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.read import read
from worldverify.refusal import Refusal

MAX_CALLS = 1_000
REACH = 1000.0  # thousandths of the image: relative to an origin inside it nothing lies farther away

FUNCTIONS: dict[str, Signature] = {
    "move": Signature(("x", "y", "high"), receiver="robot"),
    "setGripperState": Signature(("opened",), receiver="robot"),
    "setGripper": Signature(("opened",), receiver="robot"),
    "returnToOrigin": Signature(receiver="robot"),
}
_NAMES = ("function", "name")
_ARGUMENTS = ("args", "arguments")
_EXAMPLE = '[{"function": "move", "args": {"x": 0, "y": 0, "high": true}}, ...]'


def parse_gemini(value: object) -> Said:
    """{"call": "move", "x": 435.0, "y": 158.0, "high": False} each, from a text or from what its JSON holds.

    Raises Refusal.
    """
    if not isinstance(value, str | bytes):
        return Said(_calls(value), ())
    try:
        reading = read(value, _is_plan, wanted=f"Write {_EXAMPLE}.")
    except Refusal as refusal:
        if refusal.code not in ("no_plan", "unknown_format") or not _names_a_call(value):
            raise
        said = read_calls(value, FUNCTIONS)
        calls = tuple(_checked(call.name, call.arguments, f"Line {call.line} ({call.name})") for call in said.calls)
        return Said(calls, said.warnings)
    return Said(_calls(reading.value), reading.warnings)


def write_gemini(actions: Sequence[Mapping[str, object]]) -> str:
    """The JSON list that is read back as these calls."""
    calls = []
    for action in actions:
        if action["call"] not in FUNCTIONS:
            raise ValueError(f"Unknown call {action['call']!r} of gemini-er-calls. Known: {', '.join(FUNCTIONS)}.")
        calls.append({"function": action["call"], "args": {key: action[key] for key in action if key != "call"}})
    return json.dumps(calls, indent=2)


def _names_a_call(text: str | bytes) -> bool:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return any(f"{name}(" in plain for name in FUNCTIONS)


def _is_plan(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_is_call, value))
    return _is_call(value)


def _is_call(value: object) -> bool:
    return isinstance(value, dict) and (any(key in value for key in _ARGUMENTS) or "function" in value)


def _calls(value: object) -> tuple[dict[str, object], ...]:
    items = [value] if isinstance(value, Mapping) else value
    if not isinstance(items, list | tuple):
        raise Refusal("wrong_type", f"The plan is {describe(value)}; it must be {_EXAMPLE}.")
    if not items:
        raise Refusal("empty", f"The list of calls is empty; it must be {_EXAMPLE}.")
    if len(items) > MAX_CALLS:
        raise Refusal("too_long", f"The plan has {len(items):,} calls; it may have {MAX_CALLS:,}.")
    return tuple(_call(item, f"Call {number}") for number, item in enumerate(items, 1))


def _call(item: object, path: str) -> dict[str, object]:
    if not isinstance(item, Mapping):
        raise Refusal("wrong_type", f"{path} is {describe(item)}; the plan must be {_EXAMPLE}.")
    if "call" in item:  # as this reader gives it
        return _checked(item["call"], {key: item[key] for key in item if key != "call"}, path)
    for key in item:
        if key not in (*_NAMES, *_ARGUMENTS):
            hint = did_you_mean(key, [*_NAMES, *_ARGUMENTS])
            raise Refusal("unknown_key", f"{path} has the unknown key {shorten(key)}. {hint}")
    names = [key for key in _NAMES if key in item]
    arguments = [key for key in _ARGUMENTS if key in item]
    if len(names) != 1:
        raise Refusal("missing_key", f'{path} is {describe(dict(item))}; it needs one "function".')
    if len(arguments) > 1:
        raise Refusal("ambiguous", f'{path} has "args" and "arguments". Write one of them.')
    return _checked(item[names[0]], item[arguments[0]] if arguments else {}, path)


def _checked(name: object, arguments: object, path: str) -> dict[str, object]:
    """A call with arguments of the right types."""
    if not isinstance(name, str):
        raise Refusal("wrong_type", f"{path} calls {describe(name)}; it must be the name of a function.")
    if name not in FUNCTIONS:
        raise Refusal("unknown_skill", f"{path} calls {shorten(name)}. {did_you_mean(name, FUNCTIONS)}")
    known = FUNCTIONS[name].parameters
    if not isinstance(arguments, Mapping):
        raise Refusal("wrong_type", f"{path}: args is {describe(arguments)}; it must be an object of its arguments.")
    for key in arguments:
        if key not in known:
            hint = did_you_mean(key, known) if known else f"{name} takes none."
            raise Refusal("unknown_key", f"{path} gives {name} {shorten(key)}. {hint}")
    for key in known:
        if key not in arguments:
            raise Refusal("missing_key", f"{path} calls {name} without {key!r}; it takes {', '.join(known)}.")
    kinds = {"x": _place, "y": _place, "high": _flag, "opened": _flag}
    return {"call": name, **{key: kinds[key](arguments[key], f"{path}: {key}") for key in known}}


def _place(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be a number.")
    if not -REACH <= value <= REACH:  # also what is not finite
        raise Refusal("out_of_range", f"{path} is {shorten(value)}; it must be between -{REACH:g} and {REACH:g}.")
    return float(value)


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be true or false.")
    return value
