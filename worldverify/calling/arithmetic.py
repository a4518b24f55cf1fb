"""The values of a program that is only read: literals, and sums in which positions stay symbolic."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worldverify.calling.constructs import LITERALLY, refusal
from worldverify.calling.position import Coordinate, Position, plus, scaled
from worldverify.describe import describe, shorten

MAX_TERMS = 16  # objects that one coordinate depends on
LARGEST = 1e6  # of any number


@dataclass(frozen=True)
class Answer:
    """What a function would have returned on the robot."""

    function: str


def literal(node: ast.Constant) -> object:
    """A number, a string, a boolean or None."""
    value = node.value
    if value is None or isinstance(value, bool | str):
        return value
    if not isinstance(value, int | float):
        raise refusal(node, f"holds {told(value)}", "write a number, a string or a list", "wrong_type")
    return _bounded(node, value)


def binary(node: ast.AST, a: object, op: ast.operator, b: object) -> object:
    """a op b, of numbers, or of positions and numbers."""
    if isinstance(a, Coordinate | Position) or isinstance(b, Coordinate | Position):
        return _symbolic(node, a, op, b)
    function = _ARITHMETIC.get(type(op))
    if function is None:
        raise refusal(node, f"computes with {_SIGNS.get(type(op), type(op).__name__)}", LITERALLY)
    x, y = _number(node, a), _number(node, b)
    if y == 0 and function is not operator.add and function is not operator.sub and function is not operator.mul:
        raise refusal(node, "divides by zero", LITERALLY, "not_finite")
    return _bounded(node, function(x, y))


def _symbolic(node: ast.AST, a: object, op: ast.operator, b: object) -> object:
    """Sums, and multiples by plain numbers, of positions that are not known yet."""
    if isinstance(op, ast.Mult) and _is_number(a):
        return scaled_by(node, b, _number(node, a))
    if isinstance(op, ast.Mult | ast.Div) and _is_number(b):
        factor = _number(node, b)
        if isinstance(op, ast.Div) and factor == 0:
            raise refusal(node, "divides by zero", LITERALLY, "not_finite")
        return scaled_by(node, a, factor if isinstance(op, ast.Mult) else 1.0 / factor)
    if not isinstance(op, ast.Add | ast.Sub):
        raise refusal(node, "computes with a position in a way that is not a sum", "add and subtract lengths only")
    times = 1.0 if isinstance(op, ast.Add) else -1.0
    if isinstance(a, Position) or isinstance(b, Position):
        left, right = _vector(node, a), _vector(node, b)
        if len(left) != len(right):
            raise refusal(
                node,
                f"adds a position of {len(left)} and one of {len(right)} values",
                "write as many",
                "wrong_width",
            )
        pairs = zip(left, right, strict=True)
        return Position(tuple(_checked(node, plus(x, y, times=times)) for x, y in pairs))
    return _checked(node, plus(_coordinate(node, a), _coordinate(node, b), times=times))


def scaled_by(node: ast.AST, value: object, factor: float) -> object:
    """factor * value, of a number or a position."""
    if isinstance(value, Position):
        return Position(tuple(_checked(node, scaled(item, factor)) for item in value.coordinates))
    if isinstance(value, Coordinate):
        return _checked(node, scaled(value, factor))
    return _bounded(node, factor * _number(node, value))


def _checked(node: ast.AST, value: float | Coordinate) -> float | Coordinate:
    if not isinstance(value, Coordinate):
        return _bounded(node, value)
    if len(value.terms) > MAX_TERMS:
        raise refusal(node, f"mixes more than {MAX_TERMS} positions", LITERALLY, "too_long")
    for number in (value.constant, *(term.factor for term in value.terms)):
        _bounded(node, number)
    return value


def _bounded(node: ast.AST, value: float) -> float:
    if not math.isfinite(value):
        raise refusal(node, "holds a number that is not finite", "write a finite one", "not_finite")
    if abs(value) > LARGEST:
        raise refusal(node, f"holds {shorten(value)}", f"no number is beyond {LARGEST:g}", "out_of_range")
    return value


def compared(node: ast.AST, a: object, op: ast.cmpop, b: object) -> bool:
    """Whether a op b, of literals that are no lists."""
    for value in (a, b):
        if value is not None and not isinstance(value, bool | int | float | str):
            raise refusal(node, f"compares {told(value)}", "write the calls without the condition")
    if isinstance(op, ast.Eq | ast.NotEq):
        return (a == b) == isinstance(op, ast.Eq)
    function = _ORDER.get(type(op))
    if function is None:
        raise refusal(node, "compares with in or is", "compare with == or <")
    return function(_number(node, a), _number(node, b))


def part(node: ast.AST, value: object, index: object) -> object:
    """value[index], of a list, a dict or a position."""
    items = value.coordinates if isinstance(value, Position) else value
    if isinstance(items, Mapping) and isinstance(index, str | int):
        if index not in items:
            raise refusal(node, f"looks up {shorten(index)} in a dict", "the dict does not have it", "missing_key")
        return items[index]
    if not isinstance(items, tuple) or type(index) is not int:
        raise refusal(node, f"takes a part of {told(value)}", "index a list with a whole number", "wrong_type")
    if not -len(items) <= index < len(items):
        raise refusal(node, f"takes item {index} of {len(items)}", "the first is item 0", "out_of_range")
    return items[index]


_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_SIGNS: dict[type[ast.operator], str] = {ast.Pow: "**", ast.MatMult: "@", ast.LShift: "<<", ast.RShift: ">>"}
_ORDER: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(node: ast.AST, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal(node, f"computes with {told(value)}", LITERALLY, "wrong_type")
    return value


def _coordinate(node: ast.AST, value: object) -> float | Coordinate:
    return value if isinstance(value, Coordinate) else _number(node, value)


def _vector(node: ast.AST, value: object) -> tuple[float | Coordinate, ...]:
    if isinstance(value, Position):
        return value.coordinates
    if not isinstance(value, tuple):
        raise refusal(node, f"adds {told(value)} to a position", "add a list such as [0, 0, 0.1]", "wrong_type")
    return tuple(_coordinate(node, item) for item in value)


def size(value: object) -> int:
    """How much there is of a value; shared parts count each time, as they would when it is written out."""
    if isinstance(value, tuple):
        return 1 + sum(size(item) for item in value)
    if isinstance(value, Position):
        return size(value.coordinates)
    if isinstance(value, Mapping):
        return 1 + sum(size(item) for item in value.values())
    return 1 + len(value.terms) if isinstance(value, Coordinate) else 1


def told(value: object) -> str:
    """A value in a few words, for a sentence that says why it was not read."""
    if isinstance(value, Answer):
        return f"what {value.function}() returns, which is known only on the robot"
    if isinstance(value, Position | Coordinate):
        return "a position that is known only on the robot"
    if isinstance(value, Mapping):
        return "a dict"
    return describe(value)
