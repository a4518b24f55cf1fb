"""Calls of Code-as-Policies' table-top robot, such as put_first_on_second("blue block", "red bowl").

The functions are those that google-research's code_as_policies gives a language model (Interactive_Demo.ipynb).
Positions are x and y in the frame of the robot's base, in m; the height is that of the tool, or of what is there.
"""

from collections.abc import Mapping, Sequence

from worldverify.calling.code import Call, Calls, Signature, read_calls
from worldverify.calling.position import from_json, object_at
from worldverify.calling.skills import (
    Said,
    gripper,
    move_to,
    name,
    pick,
    place,
    point,
    position_text,
    quoted,
    unit_warnings,
    unsayable,
)
from worldverify.describe import describe, shorten
from worldverify.refusal import Refusal

_MODEL = "asks another model, which is not run here; write the position, the names or the calls themselves"

FUNCTIONS: dict[str, Signature] = {
    "put_first_on_second": Signature(("first", "second")),
    "goto_pos": Signature(("position",)),
    "open_gripper": Signature(receiver="robot"),
    "close_gripper": Signature(receiver="robot"),
    "get_obj_pos": Signature(("name",), gives="position", width=2),
    "get_obj_names": Signature(gives="answer"),
    "is_obj_visible": Signature(("name",), gives="answer"),
    "say": Signature(gives="nothing"),
    "print": Signature(gives="nothing"),
    **{
        function: Signature(refused=_MODEL)
        for function in (
            "parse_position",
            "parse_obj_name",
            "parse_question",
            "transform_shape_pts",
            "stack_objects_in_order",
        )
    },
}


def parse_cap(text: str | bytes) -> Said:
    """The skills that a program asks for. Raises Refusal."""
    said = read_calls(text, FUNCTIONS)
    _check_queries(said)
    actions = tuple(skill for call in said.calls for skill in _skills(call))
    return Said(actions, (*said.warnings, *unit_warnings(actions, "m")))


def write_cap(actions: Sequence[Mapping[str, object]]) -> str:
    """The program that is read back as these skills. Raises ValueError for a skill that it has no call for."""
    lines: list[str] = []
    held: str | None = None
    for skill in actions:
        kind = skill["skill"]
        if (held is None) == (kind == "place"):
            raise unsayable(skill, "cap-calls")
        if kind == "pick":
            held = str(skill["object"])
        elif kind == "place":
            target = skill["target"]
            second = quoted(target) if isinstance(target, str) else position_text(target, "get_obj_pos")
            lines.append(f"put_first_on_second({quoted(str(held))}, {second})")
            held = None
        elif kind == "move_to" and "orientation" not in skill:
            lines.append(f"goto_pos({position_text(skill['position'], 'get_obj_pos')})")
        elif kind in ("open_gripper", "close_gripper"):
            lines.append(f"{kind}()")
        else:
            raise unsayable(skill, "cap-calls")
    if held is not None:
        raise ValueError(f"cap-calls cannot pick up {held!r} without putting it down: put_first_on_second does both.")
    return "\n".join(lines)


def _check_queries(said: Calls) -> None:
    """A position that is asked for after the object was moved is not the one at the start."""
    for query in said.queries:
        for call in said.calls[: query.after]:
            if call.name == "put_first_on_second" and call.arguments["first"] == query.of:
                raise Refusal(
                    "unknown_object",
                    f"Line {query.line} asks where {shorten(query.of)} is after line {call.line} has moved it, which "
                    "only the robot knows; name the object itself, or write the position.",
                )


def _skills(call: Call) -> list[dict[str, object]]:
    match call.name:
        case "put_first_on_second":
            first, second = call.arguments["first"], call.arguments["second"]
            return [pick(_picked(first, call.line)), place(_target(second, call.line))]
        case "goto_pos":
            return [move_to(point(call.arguments["position"], f"Line {call.line}: position", (2, 3)))]
        case _:
            return [gripper(call.name == "open_gripper")]


def _picked(value: object, line: int) -> str:
    what = f"Line {line}: first"
    if isinstance(value, str):
        return name(value, what)
    known = object_at([from_json(item) for item in point(value, what, (2, 3))])
    if known is None:
        raise Refusal("wrong_type", f"{what} is {describe(value)}; name the object that is picked up.")
    return known


def _target(value: object, line: int) -> object:
    what = f"Line {line}: second"
    if isinstance(value, str):
        return name(value, what)
    position = point(value, what, (2, 3))
    return object_at([from_json(item) for item in position]) or position
