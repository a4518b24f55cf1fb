"""The formulas of a requirement: comparisons of expressions, joined by logic and time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from worldverify.units import refuse

if TYPE_CHECKING:
    from worldverify.expression import Expression, Number

CompareOp = Literal["<", "<=", ">", ">="]
Window = tuple[float, float]  # (start, stop) in s from now, both ends included

# How tightly the text of a formula holds together; one in a tighter place is put in brackets.
_IMPLIES, _OR, _AND, _UNIT, _CLOSED = range(5)


class Term:
    """What formulas and expressions share: they are joined by `&`, `|` and `~`."""

    __slots__ = ()

    def as_formula(self) -> "Formula":
        raise TypeError(f"{self!r} is neither a formula nor an expression.")

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "A formula has no truth value before it is simulated: join formulas with & | ~ implies(a, b), "
            "not with and, or, not. Write (a < b) & (b < c) for a < b < c, and minimum(a, b) for min(a, b)."
        )

    def __and__(self, other: "Term") -> "And":
        return And((self, other))  # type: ignore[arg-type]  # And takes inside(...) alone too

    def __or__(self, other: "Term") -> "Or":
        return Or((self, other))  # type: ignore[arg-type]

    def __invert__(self) -> "Not":
        return Not(self.as_formula())

    def __rand__(self, other: object) -> NoReturn:
        raise _not_a_formula(other)

    def __ror__(self, other: object) -> NoReturn:
        raise _not_a_formula(other)


class Formula(Term):
    """True or false at every sample, with a margin. Each subclass is one operator."""

    __slots__ = ()
    binding: ClassVar[int] = _CLOSED

    def as_formula(self) -> "Formula":
        return self

    def text(self, at_least: int) -> str:
        """Canonical text, in brackets unless it holds together at least this tightly."""
        return str(self) if self.binding >= at_least else f"({self})"


@dataclass(frozen=True, slots=True)
class Compare(Formula):
    """An atom. Its margin is right - left for `<` and `<=`, left - right for `>` and `>=`."""

    op: CompareOp
    left: "Expression"
    right: "Expression"
    scale: "Number | None" = None  # the margin that counts as one; None: the default of the unit

    binding: ClassVar[int] = _UNIT

    def __post_init__(self) -> None:
        if self.op not in ("<", "<=", ">", ">="):
            refuse(f"Unknown comparison {self.op!r}. Comparisons: < <= > >=.")
        if self.scale is not None and self.scale.si <= 0:
            refuse(f"A scale must be above zero; got ~ {self.scale}.")

    def __str__(self) -> str:
        shortest = self.left.alone() == Compare(self.op, self.left, self.right)
        atom = str(self.left) if shortest else f"{self.left} {self.op} {self.right}"
        return atom if self.scale is None else f"{atom} ~ {self.scale}"


@dataclass(frozen=True, slots=True)
class Not(Formula):
    """The formula does not hold; its margin with the sign turned."""

    formula: Formula

    binding: ClassVar[int] = _UNIT

    def __post_init__(self) -> None:
        object.__setattr__(self, "formula", as_formula(self.formula))

    def __str__(self) -> str:
        return f"not {self.formula.text(_CLOSED)}"


@dataclass(frozen=True, slots=True)
class And(Formula):
    """All of two or more parts; an `And` among the parts is merged into this one."""

    parts: tuple[Formula, ...]

    binding: ClassVar[int] = _AND

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _merged(And, self.parts))

    def __str__(self) -> str:
        return " and ".join(part.text(_UNIT) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Formula):
    """Any of two or more parts; an `Or` among the parts is merged into this one."""

    parts: tuple[Formula, ...]

    binding: ClassVar[int] = _OR

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _merged(Or, self.parts))

    def __str__(self) -> str:
        return " or ".join(part.text(_AND) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Implies(Formula):
    """Wherever `left` holds, `right` holds."""

    left: Formula
    right: Formula

    binding: ClassVar[int] = _IMPLIES

    def __post_init__(self) -> None:
        object.__setattr__(self, "left", as_formula(self.left))
        object.__setattr__(self, "right", as_formula(self.right))

    def __str__(self) -> str:
        return f"{self.left.text(_OR)} implies {self.right}"


@dataclass(frozen=True, slots=True)
class Always(Formula):
    """The formula holds at every sample of the window."""

    formula: Formula
    window: Window | None = None  # s; None: from now to the horizon

    def __post_init__(self) -> None:
        object.__setattr__(self, "formula", as_formula(self.formula))
        object.__setattr__(self, "window", checked_window(self.window))

    def __str__(self) -> str:
        return f"always{_bounds(self.window)}({self.formula})"


@dataclass(frozen=True, slots=True)
class Eventually(Formula):
    """The formula holds at some sample of the window."""

    formula: Formula
    window: Window | None = None  # s; None: from now to the horizon

    def __post_init__(self) -> None:
        object.__setattr__(self, "formula", as_formula(self.formula))
        object.__setattr__(self, "window", checked_window(self.window))

    def __str__(self) -> str:
        return f"eventually{_bounds(self.window)}({self.formula})"


@dataclass(frozen=True, slots=True)
class Until(Formula):
    """`right` holds at some sample of the window, and `left` at every sample before it."""

    left: Formula
    right: Formula
    window: Window | None = None  # s; None: from now to the horizon

    binding: ClassVar[int] = _UNIT

    def __post_init__(self) -> None:
        object.__setattr__(self, "left", as_formula(self.left))
        object.__setattr__(self, "right", as_formula(self.right))
        object.__setattr__(self, "window", checked_window(self.window))

    def __str__(self) -> str:
        return f"({self.left}) until{_bounds(self.window)} ({self.right})"


@dataclass(frozen=True, slots=True)
class AtEnd(Formula):
    """The formula holds at the last sample."""

    formula: Formula

    def __post_init__(self) -> None:
        object.__setattr__(self, "formula", as_formula(self.formula))

    def __str__(self) -> str:
        return f"at_end({self.formula})"


def as_formula(value: object) -> Formula:
    """A formula as it is; `inside(OBJ, SITE)` alone as `inside(OBJ, SITE) > 0 m`."""
    if isinstance(value, Term):
        return value.as_formula()
    raise _not_a_formula(value)


def decimal(value: float) -> str:
    """The shortest text that reads back as the same float."""
    return repr(value).removesuffix(".0")


def _not_a_formula(value: object) -> TypeError:
    return TypeError(
        f"A formula is a comparison or formulas joined by & | ~, not {value!r}. Put each comparison "
        'in brackets: (speed("a") < 1) & (speed("b") < 1).'
    )


def _merged(kind: type[And] | type[Or], parts: Iterable[object]) -> tuple[Formula, ...]:
    """And and Or are associative, so one flat tuple stands for every way to bracket them."""
    flat: list[Formula] = []
    for part in map(as_formula, parts):
        flat.extend(part.parts if isinstance(part, kind) else (part,))
    if len(flat) < 2:
        refuse(f"{kind.__name__} joins two or more formulas, got {len(flat)}.")
    return tuple(flat)


def checked_window(window: object) -> Window | None:
    """Bounds in seconds as floats, 0 <= start <= stop."""
    if window is None:
        return None
    bounds = window if isinstance(window, tuple | list) else ()
    if len(bounds) != 2 or not all(isinstance(b, Real) and not isinstance(b, bool) for b in bounds):
        raise TypeError(f"A window is (start, stop) in seconds, not {window!r}.")
    start, stop = float(bounds[0]) + 0.0, float(bounds[1]) + 0.0  # + 0.0 makes -0.0 plain
    if not (math.isfinite(start) and math.isfinite(stop)):
        refuse("The bounds of a window must be finite; leave the window out to run to the horizon.")
    if not 0 <= start <= stop:
        shown = f"[{decimal(start)},{decimal(stop)}]"
        refuse(f"The window {shown} must not start before 0 s or stop before it starts.")
    return (start, stop)


def _bounds(window: Window | None) -> str:
    return "" if window is None else f"[{decimal(window[0])},{decimal(window[1])}]"
