"""Requirements: what a plan must do, as text or as Python. Both build the same frozen values.

placed:  eventually(always[0,0.5](inside(cube, basket) and speed(cube) < 0.05 m/s))
gentle:  always(contact_load(gripper, cube) < 40 N)

Spec.of(
    placed=eventually(always(inside("cube", "basket") & (speed("cube") < "0.05 m/s"), (0, 0.5))),
    gentle=always(contact_load("gripper", "cube") < "40 N"),
)
"""

import re
from collections import Counter
from dataclasses import dataclass

from worldverify.expression import Arithmetic as Arithmetic
from worldverify.expression import Expression as Expression
from worldverify.expression import Function as Function
from worldverify.expression import Negative as Negative
from worldverify.expression import Number as Number
from worldverify.expression import Operand as Operand
from worldverify.expression import Signal as Signal
from worldverify.expression import as_expression
from worldverify.formula import Always as Always
from worldverify.formula import And as And
from worldverify.formula import AtEnd as AtEnd
from worldverify.formula import Compare as Compare
from worldverify.formula import Eventually as Eventually
from worldverify.formula import Formula as Formula
from worldverify.formula import Implies as Implies
from worldverify.formula import Not as Not
from worldverify.formula import Or as Or
from worldverify.formula import Term as Term
from worldverify.formula import Until as Until
from worldverify.formula import Window as Window
from worldverify.formula import as_formula
from worldverify.grammar import KEYWORDS, parse_requirements
from worldverify.tokens import MAX_TEXT
from worldverify.units import parse_unit, refuse
from worldverify.walk import check_shape

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A named formula."""

    name: str  # letters, digits and _
    formula: Formula

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in KEYWORDS:
            refuse(f"{self.name!r} cannot name a requirement: use letters, digits and _, and no operator.")
        object.__setattr__(self, "formula", as_formula(self.formula))
        check_shape(self.formula)

    def __str__(self) -> str:
        return f"{self.name}: {self.formula}"


@dataclass(frozen=True, slots=True)
class Spec:
    """The requirements of a task, in order. `str(spec)` is canonical text, and `Spec.parse` reads it back."""

    requirements: tuple[Requirement, ...]  # (C,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "requirements", tuple(self.requirements))
        if not self.requirements:
            refuse("The spec is empty: write at least one requirement, such as safe: always(tilt(OBJ) < 1 rad).")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            refuse(f"The requirement {twice[0]!r} is there twice: give each its own name.")
        if len(str(self)) > MAX_TEXT:
            refuse(f"The spec is longer than {MAX_TEXT} characters.")

    @classmethod
    def parse(cls, text: str) -> "Spec":
        """Reads `name: formula` lines. A refusal shows the line, the column and what to write."""
        return cls(tuple(Requirement(name, formula) for name, formula in parse_requirements(text)))

    @classmethod
    def of(cls, **formulas: Term) -> "Spec":
        """`Spec.of(gentle=always(contact_load("gripper", "cube") < "40 N"))`"""
        return cls(tuple(Requirement(name, as_formula(formula)) for name, formula in formulas.items()))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(requirement.name for requirement in self.requirements)

    def __str__(self) -> str:
        return "\n".join(map(str, self.requirements))


def always(formula: Term, window: Window | None = None) -> Always:
    """Holds at every sample of the window, in s from now; without one, to the horizon."""
    return Always(as_formula(formula), window)


def eventually(formula: Term, window: Window | None = None) -> Eventually:
    """Holds at some sample of the window, in s from now; without one, before the horizon ends."""
    return Eventually(as_formula(formula), window)


def until(left: Term, right: Term, window: Window | None = None) -> Until:
    """`right` holds at some sample of the window, and `left` at every sample before it."""
    return Until(as_formula(left), as_formula(right), window)


def at_end(formula: Term) -> AtEnd:
    """Holds at the last sample."""
    return AtEnd(as_formula(formula))


def implies(left: Term, right: Term) -> Implies:
    """Where `left` holds, `right` holds."""
    return Implies(as_formula(left), as_formula(right))


def scaled(atom: Term, scale: Operand) -> Compare:
    """The atom with this margin counting as one: `scaled(speed("cube") < "1 m/s", "0.02 m/s")`."""
    compare, value = as_formula(atom), as_expression(scale)
    if not isinstance(compare, Compare) or not isinstance(value, Number):
        raise TypeError("A scale is a number with a unit, for one comparison.")
    return Compare(compare.op, compare.left, compare.right, value)


def number(value: float, unit: str = "") -> Number:
    """A constant with a unit: `number(40, "N")`. Without one it takes the unit of the other operand."""
    return Number(value, parse_unit(unit))


def minimum(*args: Operand) -> Function:
    """Written `min(a, b, ...)` in text."""
    return Function("min", tuple(map(as_expression, args)))


def maximum(*args: Operand) -> Function:
    """Written `max(a, b, ...)` in text."""
    return Function("max", tuple(map(as_expression, args)))


@dataclass(frozen=True, slots=True)
class Position:
    """The world position of an object; a formula uses its parts x, y and z."""

    obj: str

    @property
    def x(self) -> Signal:
        return Signal("pos", (self.obj,), "x")

    @property
    def y(self) -> Signal:
        return Signal("pos", (self.obj,), "y")

    @property
    def z(self) -> Signal:
        return Signal("pos", (self.obj,), "z")


def pos(obj: str) -> Position:
    """World position of the frame origin, m: `pos("cube").z`."""
    return Position(obj)


def sensor(name: str) -> Signal:
    """A sensor of the MJCF in the unit of its type; `sensor("imu")[2]` is one part of it."""
    return Signal("sensor", (name,))


def speed(obj: str) -> Signal:
    """Linear speed of the frame origin, m/s."""
    return Signal("speed", (obj,))


def tilt(obj: str) -> Signal:
    """Angle between the object's z axis and the world's, rad."""
    return Signal("tilt", (obj,))


def distance(a: str, b: str) -> Signal:
    """Between the frame origins, m."""
    return Signal("distance", (a, b))


def clearance(a: str, b: str) -> Signal:
    """Between the surfaces, m, at most 10; negative when they overlap."""
    return Signal("clearance", (a, b))


def contact_force(a: str, b: str) -> Signal:
    """Norm of the net contact force, N; blind to squeezing."""
    return Signal("contact_force", (a, b))


def contact_load(a: str, b: str) -> Signal:
    """Sum over body pairs of the norms of their contact forces, N; sees squeezing."""
    return Signal("contact_load", (a, b))


def joint(name: str) -> Signal:
    """Joint position, rad or m."""
    return Signal("joint", (name,))


def joint_speed(name: str) -> Signal:
    """Joint velocity, rad/s or m/s."""
    return Signal("joint_speed", (name,))


def joint_margin(obj: str) -> Signal:
    """Least distance of the subtree's hinges to their limits, rad."""
    return Signal("joint_margin", (obj,))


def slide_margin(obj: str) -> Signal:
    """Least distance of the subtree's slides to their limits, m."""
    return Signal("slide_margin", (obj,))


def torque(joint_name: str) -> Signal:
    """Actuator effort at the joint: Nm for a hinge, N for a slide."""
    return Signal("torque", (joint_name,))


def inside(obj: str, site: str) -> Signal:
    """Signed depth of the frame origin in the site's shape, m; alone as a formula it means > 0 m."""
    return Signal("inside", (obj, site))
