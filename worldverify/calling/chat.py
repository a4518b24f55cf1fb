"""Calls as ChatGPT was asked for them in PromptCraft: move_to([x, y, z]), get_position("red sphere"), open_gripper().

The prompt says that all units are SI, and the answers count in centimetres (microsoft/PromptCraft-Robotics): the unit
is part of the contract. get_position gives x and y only, in m whatever the unit of the text.
"""

from collections.abc import Mapping, Sequence

from worldverify.calling.code import Call, Signature, read_calls
from worldverify.calling.skills import (
    UNITS,
    Said,
    gripper,
    move_to,
    point,
    position_text,
    unit_warnings,
    unsayable,
)
from worldverify.nearest import did_you_mean

_BASE = "drives a mobile base, which this arm does not have; write move_to([x, y, z])"

FUNCTIONS: dict[str, Signature] = {
    "move_to": Signature(("position",)),
    "open_gripper": Signature(),
    "close_gripper": Signature(),
    "get_position": Signature(("object",), gives="position", width=2),
    "print": Signature(gives="nothing"),
    "move": Signature(refused=_BASE),
    "turn": Signature(refused=_BASE),
}


def parse_chat(text: str | bytes, *, unit: str) -> Said:
    """The skills that a program asks for, with lengths written in `unit`: m, cm or mm. Raises Refusal."""
    per_metre = _per_metre(unit)
    said = read_calls(text, FUNCTIONS)
    actions = tuple(_skill(call, per_metre) for call in said.calls)
    return Said(actions, (*said.warnings, *unit_warnings(actions, unit)))


def write_chat(actions: Sequence[Mapping[str, object]], *, unit: str) -> str:
    """The program that is read back as these skills. Raises ValueError for a skill that it has no call for."""
    per_metre = _per_metre(unit)
    lines = []
    for skill in actions:
        position = skill.get("position")
        if skill["skill"] in ("open_gripper", "close_gripper"):
            lines.append(f"{skill['skill']}()")
        elif skill["skill"] == "move_to" and isinstance(position, list | tuple) and "orientation" not in skill:
            if None in position:
                raise ValueError("chat-calls needs a height: move_to takes [x, y, z].")
            lines.append(f"move_to({position_text(position, 'get_position', per_metre=per_metre)})")
        else:
            raise unsayable(skill, "chat-calls")
    return "\n".join(lines)


def _per_metre(unit: str) -> float:
    if unit not in UNITS:
        raise ValueError(f"Unknown unit {unit!r} of chat-calls. {did_you_mean(unit, UNITS)}")
    return UNITS[unit]


def _skill(call: Call, per_metre: float) -> dict[str, object]:
    if call.name != "move_to":
        return gripper(call.name == "open_gripper")
    position = point(call.arguments["position"], f"Line {call.line}: position", (3,), per_metre=per_metre)
    return move_to(position)
