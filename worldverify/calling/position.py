"""Positions that depend on where objects are: sums that stay symbolic until the scene is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

AXES = ("x", "y", "z")


class Term(NamedTuple):
    """So many times where an object is along one axis."""

    of: str  # the object, as the text names it
    axis: str  # "x", "y" or "z" of the frame in which the text gives positions
    factor: float


@dataclass(frozen=True)
class Coordinate:
    """constant + the sum of its terms. As JSON: {"constant": 0.1, "terms": [["red sphere", "x", 1.0]]}."""

    constant: float  # m, once its unit is settled
    terms: tuple[Term, ...]  # at least one; none with the factor 0, no two of the same object and axis

    def to_json(self) -> dict[str, object]:
        """What `from_json` reads back."""
        return {"constant": self.constant, "terms": [list(term) for term in self.terms]}


Number: TypeAlias = float | Coordinate


@dataclass(frozen=True)
class Position:
    """Where an object is, or a place relative to it: two or three coordinates that add like vectors."""

    coordinates: tuple[Number, ...]


def position_of(name: str, width: int) -> Position:
    """Where an object is, in its first `width` coordinates."""
    return Position(tuple(Coordinate(0.0, (Term(name, axis, 1.0),)) for axis in AXES[:width]))


def from_json(value: object) -> Number | None:
    """A coordinate of a skill: a number, None (left open), or what `Coordinate.to_json` gave."""
    if value is None or isinstance(value, int | float):
        return value
    assert isinstance(value, Mapping)
    return Coordinate(float(value["constant"]), tuple(Term(*term) for term in value["terms"]))


def plus(a: Number, b: Number, *, times: float = 1.0) -> Number:
    """a + times * b. Terms that cancel are gone, so that what is left may be a plain number."""
    if not isinstance(a, Coordinate) and not isinstance(b, Coordinate):
        return a + times * b
    factors: dict[tuple[str, str], float] = {(term.of, term.axis): term.factor for term in _terms(a)}
    for term in _terms(b):
        key = (term.of, term.axis)
        factors[key] = factors.get(key, 0.0) + times * term.factor
    return _made(_constant(a) + times * _constant(b), factors)


def scaled(a: Number, factor: float) -> Number:
    """factor * a, also what does not depend on an object."""
    if not isinstance(a, Coordinate):
        return factor * a
    return _made(factor * a.constant, {(term.of, term.axis): factor * term.factor for term in a.terms})


def in_metres(a: Number, per_metre: float) -> Number:
    """The same coordinate where the text counts `per_metre` units to the metre. Where objects are is in m already."""
    if isinstance(a, Coordinate):
        return Coordinate(a.constant / per_metre, a.terms)
    return a / per_metre


def object_at(coordinates: Sequence[Number | None]) -> str | None:
    """The object whose own position these coordinates are, without any offset; None if there is none."""
    names = set()
    for axis, value in zip(AXES, coordinates, strict=False):
        if value is None:
            continue
        if not isinstance(value, Coordinate) or value.constant != 0.0 or len(value.terms) != 1:
            return None
        term = value.terms[0]
        if term.axis != axis or term.factor != 1.0:
            return None
        names.add(term.of)
    return names.pop() if len(names) == 1 else None


def evaluate(value: Number, where: Mapping[str, Sequence[float]]) -> float:
    """The number [m], given where each object is: name -> (x, y, z) in m, in the frame of the text."""
    if not isinstance(value, Coordinate):
        return float(value)
    return float(value.constant + sum(term.factor * where[term.of][AXES.index(term.axis)] for term in value.terms))


def _terms(value: Number) -> tuple[Term, ...]:
    return value.terms if isinstance(value, Coordinate) else ()


def _constant(value: Number) -> float:
    return value.constant if isinstance(value, Coordinate) else value


def _made(constant: float, factors: Mapping[tuple[str, str], float]) -> Number:
    terms = tuple(Term(of, axis, factor) for (of, axis), factor in sorted(factors.items()) if factor != 0.0)
    return Coordinate(constant, terms) if terms else constant
