"""The expressions of a requirement: signals and numbers, each with a unit, joined by arithmetic."""

import math
import re
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, Literal

from worldverify.formula import Compare, Formula, Term, decimal
from worldverify.signals_table import AXES, SIGNALS
from worldverify.units import DIMENSIONLESS, WORDS, Unit, parse_quantity, refuse

ArithmeticOp = Literal["+", "-", "*", "/"]
FunctionName = Literal["abs", "min", "max"]

FUNCTIONS = ("abs", "min", "max")

# How tightly the text of an expression holds together; one in a tighter place is put in brackets.
_SUM, _PRODUCT, _NEGATIVE, _CLOSED = range(4)

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Expression(Term):
    """A number at every sample, with a unit. Python numbers and text such as "40 N" may join it."""

    __slots__ = ()
    binding: ClassVar[int] = _CLOSED
    __array_ufunc__: ClassVar[None] = None  # NumPy scalars on the left of an operator give way to it

    def alone(self) -> Compare | None:
        """The formula that this expression is when it stands alone, if it may."""
        return None

    def as_formula(self) -> Formula:
        formula = self.alone()
        if formula is None:
            refuse(f"{self} alone is not a formula: compare it with something, such as {self} < 1.")
        return formula

    def text(self, at_least: int) -> str:
        """Canonical text, in brackets unless it holds together at least this tightly."""
        return str(self) if self.binding >= at_least else f"({self})"

    def __lt__(self, other: "Operand") -> Compare:
        return Compare("<", self, as_expression(other))

    def __le__(self, other: "Operand") -> Compare:
        return Compare("<=", self, as_expression(other))

    def __gt__(self, other: "Operand") -> Compare:
        return Compare(">", self, as_expression(other))

    def __ge__(self, other: "Operand") -> Compare:
        return Compare(">=", self, as_expression(other))

    def __add__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("+", self, as_expression(other))

    def __radd__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("+", as_expression(other), self)

    def __sub__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("-", self, as_expression(other))

    def __rsub__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("-", as_expression(other), self)

    def __mul__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("*", self, as_expression(other))

    def __rmul__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("*", as_expression(other), self)

    def __truediv__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("/", self, as_expression(other))

    def __rtruediv__(self, other: "Operand") -> "Arithmetic":
        return Arithmetic("/", as_expression(other), self)

    def __neg__(self) -> "Negative":
        return Negative(self)

    def __abs__(self) -> "Function":
        return Function("abs", (self,))


Operand = Expression | float | str


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A constant. Without a unit it takes the unit of the other operand."""

    value: float  # in `unit`
    unit: Unit | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value) + 0.0)  # + 0.0 makes -0.0 plain
        if self.unit == DIMENSIONLESS:
            object.__setattr__(self, "unit", None)
        if not math.isfinite(self.si):
            refuse("A number must be finite.")

    @property
    def si(self) -> float:
        """The value in SI units."""
        return self.value if self.unit is None else self.value * self.unit.factor

    def __str__(self) -> str:
        return decimal(self.value) if self.unit is None else f"{decimal(self.value)} {self.unit.text}"


@dataclass(frozen=True, slots=True)
class Signal(Expression):
    """One row of SIGNALS with its names: `speed(cube)`, `pos(cube).x`, `sensor(imu)[2]`."""

    name: str
    args: tuple[str, ...]
    part: str | int | None = None  # "x", "y", "z" of pos; the index of a sensor or None; else None

    __iter__: ClassVar[None] = None  # __getitem__ alone would make it an endless sequence

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args))
        if self.name not in SIGNALS:
            refuse(f"Unknown signal {self.name!r}. Signals: {', '.join(SIGNALS)}.")
        kind = SIGNALS[self.name]
        if len(self.args) != len(kind.args):
            wanted = f"{self.name}({', '.join(arg.upper() for arg in kind.args)})"
            names = "name" if len(kind.args) == 1 else "names"
            refuse(f"{self.name} takes {len(kind.args)} {names}, {wanted}, got {len(self.args)}.")
        for arg in self.args:
            _check_name(arg)
        here = f"{self.name}({', '.join(map(quoted, self.args))})"
        if kind.part == "axis" and self.part not in AXES:
            refuse(f"{here} needs an axis: write {', '.join(f'{here}.{axis}' for axis in AXES)}.")
        if kind.part == "none" and self.part is not None:
            refuse(f"{here} is one number and has no parts: write {here}.")
        index = isinstance(self.part, int) and not isinstance(self.part, bool) and self.part >= 0
        if kind.part == "index" and self.part is not None and not index:
            refuse(f"The part of a sensor is a whole number from 0 on: write {here}[0].")

    def __getitem__(self, index: int) -> "Signal":
        if self.part is not None:
            raise TypeError(f"{self} is one number and has no parts.")
        return Signal(self.name, self.args, index)

    def alone(self) -> Compare | None:
        return Compare(">", self, Number(0.0, WORDS["m"])) if self.name == "inside" else None

    def __str__(self) -> str:
        part = "" if self.part is None else f"[{self.part}]" if isinstance(self.part, int) else f".{self.part}"
        return f"{self.name}({', '.join(map(quoted, self.args))}){part}"


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """Sum, difference, product or quotient."""

    op: ArithmeticOp
    left: Expression
    right: Expression

    def __post_init__(self) -> None:
        if self.op not in ("+", "-", "*", "/"):
            refuse(f"Unknown operator {self.op!r}. Operators: + - * /.")

    def text(self, at_least: int) -> str:
        return str(self) if self._binding >= at_least else f"({self})"

    @property
    def _binding(self) -> int:
        return _SUM if self.op in "+-" else _PRODUCT

    def __str__(self) -> str:
        return f"{self.left.text(self._binding)} {self.op} {self.right.text(self._binding + 1)}"


@dataclass(frozen=True, slots=True)
class Negative(Expression):
    """Minus an expression; minus a number is a Number."""

    value: Expression

    binding: ClassVar[int] = _NEGATIVE

    def __str__(self) -> str:
        # A minus right before a number is part of the number, so a negated number stands in brackets.
        return f"-({self.value})" if isinstance(self.value, Number) else f"-{self.value.text(_CLOSED)}"


@dataclass(frozen=True, slots=True)
class Function(Expression):
    """`abs` of one expression, `min` or `max` of two or more."""

    name: FunctionName
    args: tuple[Expression, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args))
        if self.name not in FUNCTIONS:
            refuse(f"Unknown function {self.name!r}. Functions: {', '.join(FUNCTIONS)}.")
        if self.name == "abs" and len(self.args) != 1:
            refuse(f"abs takes one expression, got {len(self.args)}.")
        if self.name != "abs" and len(self.args) < 2:
            refuse(f"{self.name} takes two or more expressions, got {len(self.args)}.")

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.args))})"


def as_expression(value: object) -> Expression:
    """An expression as it is; a Python number as a bare number; text such as "40 N" with its unit."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, str):
        return Number(*parse_quantity(value))
    if isinstance(value, Real) and not isinstance(value, bool):
        return Number(float(value))
    if isinstance(value, Formula):
        raise TypeError(f"{value} is a formula, true or false: it cannot be compared or computed with.")
    raise TypeError(f"An expression is a signal, a number, or text such as '40 N', not {value!r}.")


def quoted(name: str) -> str:
    """A name as the text form writes it: in quotes where it is more than letters, digits and _."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"The name of an object is text, not {name!r}.")
    if not name or not name.isprintable() or ('"' in name and "'" in name):
        refuse(f"{name!r} cannot name an object: it must be printable and not hold both kinds of quotes.")
