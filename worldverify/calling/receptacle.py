"""Calls as TidyBot's language model writes them: pick_and_place("Lego brick", "storage box"), one a line."""

from collections.abc import Mapping, Sequence

from worldverify.calling.code import Signature, read_calls
from worldverify.calling.skills import Said, name, pick, place, quoted, unsayable

FUNCTIONS: dict[str, Signature] = {
    "pick_and_place": Signature(("object", "receptacle")),
    "pick_and_toss": Signature(
        refused='tosses, which is no skill here, and not to a place; write pick_and_place("object", "receptacle")'
    ),
}


def parse_pick_and_place(text: str | bytes) -> Said:
    """A pick and a place for each call. Raises Refusal."""
    said = read_calls(text, FUNCTIONS)
    actions: list[dict[str, object]] = []
    for call in said.calls:
        what = f"Line {call.line}"
        actions.append(pick(name(call.arguments["object"], f"{what}: object")))
        actions.append(place(name(call.arguments["receptacle"], f"{what}: receptacle")))
    return Said(tuple(actions), said.warnings)


def write_pick_and_place(actions: Sequence[Mapping[str, object]]) -> str:
    """The lines that are read back as these skills. Raises ValueError unless each pick is followed by a place."""
    lines = []
    for first, second in pairs(actions, "pick-and-place-calls"):
        lines.append(f"pick_and_place({quoted(first)}, {quoted(second)})")
    return "\n".join(lines)


def pairs(actions: Sequence[Mapping[str, object]], vocabulary: str) -> list[tuple[str, str]]:
    """(object, target) of skills that are a pick and a place in turn. Raises ValueError for others."""
    found = []
    for index in range(0, len(actions), 2):
        first, second = actions[index], actions[index + 1] if index + 1 < len(actions) else {}
        target = second.get("target")
        if first["skill"] != "pick" or second.get("skill") != "place" or not isinstance(target, str):
            raise unsayable(first if first["skill"] != "pick" else second or first, vocabulary)
        found.append((str(first["object"]), target))
    return found
