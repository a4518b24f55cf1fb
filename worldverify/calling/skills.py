"""What call lists ask for, as skills whose names and positions wait for a scene.

A skill is a dict as in a plan, {"skill": "pick", "object": "red block"}, with what the text said: names are not yet
those of the scene. A position is a list of three coordinates, in m: a number; a sum that depends on objects,
{"constant": 0.1, "terms": [["red sphere", "x", 1.0]]}; or None where the text leaves the height open. A `move_to`
without a height keeps that of the tool, and a `place` goes down to the surface that is there.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from worldverify.calling.position import AXES, Coordinate, Number, Position, from_json, in_metres
from worldverify.describe import describe
from worldverify.refusal import Refusal

FAR = 3.0  # m; no table-top arm reaches there
NEAR = 2.0  # cm; a plan within it was hardly written in cm
UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0}  # how many make a metre
LARGEST = 1e6


class Said(NamedTuple):
    """What a text says."""

    actions: tuple[dict[str, object], ...]  # skills; for Gemini's calls, those calls
    warnings: tuple[str, ...]  # one sentence for everything that was tolerated


def pick(name: str) -> dict[str, object]:
    """Pick up an object."""
    return {"skill": "pick", "object": name}


def place(target: object) -> dict[str, object]:
    """Put what is held on or into an object, or on a position."""
    return {"skill": "place", "target": target}


def move_to(position: list[object]) -> dict[str, object]:
    """Take the tool to a position."""
    return {"skill": "move_to", "position": position}


def gripper(opens: bool) -> dict[str, object]:
    """Open or close the gripper."""
    return {"skill": "open_gripper" if opens else "close_gripper"}


def point(value: object, what: str, widths: Sequence[int], *, per_metre: float = 1.0) -> list[object]:
    """The position of a skill from what a call was given: (x, y) or (x, y, z). `what` begins the sentences."""
    items = value.coordinates if isinstance(value, Position) else value
    wanted = " or ".join(f"[{', '.join(AXES[:width])}]" for width in widths)
    if not isinstance(items, tuple):
        raise Refusal("wrong_type", f"{what} is {describe(value)}; it must be {wanted}.")
    if len(items) not in widths:
        raise Refusal("wrong_width", f"{what} has {len(items)} value{'s' * (len(items) != 1)}; it must be {wanted}.")
    coordinates: list[object] = []
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | float | Coordinate):
            raise Refusal("wrong_type", f"{what} holds {describe(item)}; it must be {wanted}.")
        length = in_metres(item, per_metre)
        coordinates.append(length.to_json() if isinstance(length, Coordinate) else float(length))
    return coordinates + [None] * (3 - len(coordinates))


def name(value: object, what: str) -> str:
    """The name of an object, as said."""
    if not isinstance(value, str) or not value.strip():
        raise Refusal("wrong_type", f"{what} is {describe(value)}; it must be the name of an object.")
    return value.strip()


def check_position(value: object, path: str) -> list[object]:
    """A position of a skill as a plans file holds it: three coordinates, some of which may wait for a scene."""
    wanted = 'a number in m, or {"constant": m, "terms": [[object, "x" | "y" | "z", factor], ...]}'
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be [x, y, z], each {wanted}.")
    across = [_coordinate(item, f"{path}[{i}]", wanted) for i, item in enumerate(value[:2])]
    return [*across, None if value[2] is None else _coordinate(value[2], f"{path}[2]", f"null, {wanted}")]


def _coordinate(value: object, path: str, wanted: str) -> object:
    if _is_length(value):
        return value
    if not isinstance(value, Mapping) or set(value) != {"constant", "terms"} or not _is_length(value["constant"]):
        raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be {wanted}.")
    terms = value["terms"]
    if not isinstance(terms, list | tuple) or not terms:
        raise Refusal("wrong_type", f"{path} has no terms; it must be {wanted}.")
    for term in terms:
        good = isinstance(term, list | tuple) and len(term) == 3 and isinstance(term[0], str) and term[1] in AXES
        if not good or not _is_length(term[2]):
            raise Refusal("wrong_type", f"{path} has the term {describe(term)}; it must be {wanted}.")
    return {"constant": value["constant"], "terms": [list(term) for term in terms]}


def _is_length(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) <= LARGEST
    )


def unit_warnings(actions: Sequence[Mapping[str, object]], unit: str) -> tuple[str, ...]:
    """A sentence if the lengths of a plan look as if they were written in another unit. They are never changed."""
    lengths = [abs(length) for action in actions for length in _lengths(action)]
    largest = max(lengths, default=0.0)
    if largest > FAR:
        return (f"A position lies {largest:g} m away, read in {unit}; was another unit meant?",)
    if unit != "m" and 0.0 < largest * UNITS[unit] <= NEAR:
        return (f"The farthest position lies {largest * UNITS[unit]:g} {unit} away; were metres meant?",)
    return ()


def _lengths(action: Mapping[str, object]) -> list[float]:
    """The plain numbers in a position, in m, and the offsets from objects."""
    position = action.get("position", action.get("target"))
    items = [from_json(item) for item in position] if isinstance(position, list | tuple) else []
    return [item.constant if isinstance(item, Coordinate) else item for item in items if item is not None]


def expression(value: object, query: str, *, per_metre: float = 1.0) -> str:
    """A coordinate as a program writes it: `get_position("red sphere")[0] + 0.1`."""
    number = from_json(value)
    assert number is not None
    if not isinstance(number, Coordinate):
        return _length(number, per_metre)
    parts = [_term(query, term.of, AXES.index(term.axis), term.factor) for term in number.terms]
    return " + ".join(parts if number.constant == 0.0 else [*parts, _length(number.constant, per_metre)])


def _term(query: str, of: str, axis: int, factor: float) -> str:
    return f"{'' if factor == 1.0 else f'{factor!r} * '}{query}({quoted(of)})[{axis}]"


def _length(value: Number, per_metre: float) -> str:
    """The number in the unit of the text, which is exact where the shortest decimal of the value is."""
    assert not isinstance(value, Coordinate)
    return repr(float(Decimal(repr(float(value))) * int(per_metre)))


def quoted(text: str) -> str:
    """A string as a program writes it."""
    escaped = "".join(_escaped(char) for char in text)
    return f'"{escaped}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char


def position_text(position: object, query: str, *, per_metre: float = 1.0) -> str:
    """A position as a program writes it: `[0.1, 0.2]` without a height, else `[0.1, 0.2, 0.3]`."""
    assert isinstance(position, list | tuple)
    items = [expression(item, query, per_metre=per_metre) for item in position if item is not None]
    return f"[{', '.join(items)}]"


def unsayable(skill: Mapping[str, object], vocabulary: str) -> ValueError:
    """For a skill that a vocabulary has no words for."""
    return ValueError(f"{vocabulary} has no call for the skill {skill.get('skill')!r}: {dict(skill)!r:.100}.")
