"""A spec bound to a model: requirements as min/max folds over atoms, atoms as expressions over sensor columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import mujoco

from worldverify.expression import Arithmetic, Expression, Function, Negative, Number, Signal
from worldverify.formula import (
    Always,
    And,
    AtEnd,
    Compare,
    Eventually,
    Formula,
    Implies,
    Not,
    Or,
    Until,
    Window,
)
from worldverify.kernels import measure, robustness
from worldverify.refusal import Refusal
from worldverify.sensing import Measured, Sensing, SensorRequest
from worldverify.spec import Spec
from worldverify.spec_check import atom_dims, check_satisfiable, check_units
from worldverify.units import default_scale, si_unit
from worldverify.walk import signals

LATEST = 1e9  # physics steps from now: no window begins or ends later
LARGEST_SCALE = 1e9  # SI, and one over it the smallest: further out, margins lose their digits

_OPERATIONS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


@dataclass(frozen=True)
class Atom:
    """One comparison of the spec, negated where it stands under `not`."""

    text: str  # as written
    expression: measure.Expression  # its margin, SI
    unit: str  # of the margin, SI
    scale: float  # the margin that counts as one


@dataclass(frozen=True)
class Bound:
    """C requirements over A atoms. Sample numbers are physics substeps."""

    spec: Spec
    timestep: float  # s
    atoms: tuple[Atom, ...]
    formulas: tuple[robustness.Formula, ...]  # C of them
    guards: tuple[bool, ...]  # whether the outermost operator is `always`

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(r.name for r in self.spec.requirements)

    @cached_property
    def expressions(self) -> tuple[measure.Expression, ...]:
        return tuple(atom.expression for atom in self.atoms)

    def within(self, last: int) -> tuple[tuple[robustness.Formula, ...], tuple[bool, ...]]:
        """The formulas for a chunk that ends at sample `last`, and which of them can be judged over it.

        A guard's outermost window is cut at the end of the chunk; a guard whose window starts later waits.
        """
        formulas, judged = [], []
        for formula, guard in zip(self.formulas, self.guards, strict=True):
            judge = guard and formula[1] <= last
            if judge and formula[2] is not None:
                formula = ("always", formula[1], min(formula[2], last), formula[3])
            formulas.append(formula)
            judged.append(judge)
        return tuple(formulas), tuple(judged)

    def resolved(self, model: mujoco.MjModel) -> "Bound":
        """The same with sensor names replaced by column numbers of the compiled model."""
        columns: dict[tuple[str, int], int] = {}
        for i in range(model.nsensor):
            name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_SENSOR, i)
            if not name:
                continue
            for part in range(int(model.sensor_dim[i])):
                columns[str(name), part] = int(model.sensor_adr[i]) + part
        return replace(self, atoms=tuple(replace(a, expression=_resolve(a.expression, columns)) for a in self.atoms))


def bind(model: mujoco.MjModel, spec: Spec) -> tuple[Bound, list[SensorRequest], list[str]]:
    """A spec's folds, the sensors that they need, and notes for a person. Raises Refusal with cause spec."""
    sensing = Sensing(model)
    measured = {s: sensing.signal(s) for r in spec.requirements for s in signals(r.formula)}
    checked = check_units(spec, lambda s: measured[s].dims)
    timestep = float(model.opt.timestep)
    atoms: dict[tuple[Compare, bool], Atom] = {}
    formulas = []
    for requirement in checked.requirements:
        try:
            check_satisfiable(requirement.formula, lambda s: (measured[s].lower, measured[s].upper))
            formulas.append(_Lowering(measured, timestep, atoms).lower(requirement.formula, True))
        except Refusal as refusal:
            raise Refusal(refusal.code, f"Requirement {requirement.name!r}: {refusal.reason}", "spec") from None
    guards = tuple(isinstance(r.formula, Always) for r in checked.requirements)
    bound = Bound(spec, timestep, tuple(atoms.values()), tuple(formulas), guards)
    return bound, list(sensing.requests.values()), sensing.warnings


@dataclass
class _Lowering:
    """Formulas in negation normal form; equal comparisons of one sign share an atom."""

    measured: Mapping[Signal, Measured]
    timestep: float
    atoms: dict[tuple[Compare, bool], Atom]

    def lower(self, formula: Formula, positive: bool) -> robustness.Formula:
        match formula:
            case Compare():
                return ("atom", self._atom(formula, positive))
            case Not():
                return self.lower(formula.formula, not positive)
            case And() | Or():
                op = "and" if isinstance(formula, And) == positive else "or"
                return (op, *[self.lower(part, positive) for part in formula.parts])
            case Implies():
                op = "or" if positive else "and"
                return (op, self.lower(formula.left, not positive), self.lower(formula.right, positive))
            case Always() | Eventually():
                op = "always" if isinstance(formula, Always) == positive else "eventually"
                return (op, *self._samples(formula.window), self.lower(formula.formula, positive))
            case Until():
                sides = self.lower(formula.left, positive), self.lower(formula.right, positive)
                return ("until" if positive else "release", *self._samples(formula.window), *sides)
            case AtEnd():
                return ("at_end", self.lower(formula.formula, positive))
        raise TypeError(f"{formula!r} is not a formula.")

    def _samples(self, window: Window | None) -> tuple[int, int | None]:
        return (0, None) if window is None else (self._sample(window[0]), self._sample(window[1]))

    def _sample(self, seconds: float) -> int:
        if seconds / self.timestep > LATEST:
            raise Refusal("bad_spec", f"{seconds:g} s is later than any horizon.", cause="spec")
        steps = round(seconds / self.timestep)
        if abs(steps * self.timestep - seconds) > 1e-6 * self.timestep:
            raise Refusal(
                "bad_spec",
                f"{seconds:g} s is not a whole number of physics steps of {self.timestep:g} s: "
                f"write {steps * self.timestep:g}.",
                cause="spec",
            )
        return steps

    def _atom(self, compare: Compare, positive: bool) -> int:
        key = (compare, positive)
        if key not in self.atoms:
            left, right = self._expression(compare.left), self._expression(compare.right)
            below = compare.op in ("<", "<=")
            ends = (right, left) if below == positive else (left, right)
            dims = atom_dims(compare, lambda s: self.measured[s].dims)
            scale = default_scale(dims) if compare.scale is None else compare.scale.si
            if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
                raise Refusal(
                    "bad_spec",
                    f"The scale of {compare} must lie between {1 / LARGEST_SCALE:g} and {LARGEST_SCALE:g} in SI units.",
                    cause="spec",
                )
            text = str(compare) if positive else f"not {compare}"
            self.atoms[key] = Atom(text, ("sub", *ends), si_unit(dims).text, scale)
        return list(self.atoms).index(key)

    def _expression(self, expression: Expression) -> measure.Expression:
        match expression:
            case Number():
                return ("number", expression.si)
            case Signal():
                return self.measured[expression].expression
            case Arithmetic():
                sides = self._expression(expression.left), self._expression(expression.right)
                return (_OPERATIONS[expression.op], *sides)
            case Negative():
                return ("neg", self._expression(expression.value))
            case Function():
                return (expression.name, *[self._expression(arg) for arg in expression.args])
        raise TypeError(f"{expression!r} is not an expression.")


def _resolve(expression: Any, columns: Mapping[tuple[str, int], int]) -> Any:
    if not isinstance(expression, tuple):
        return expression
    if expression and expression[0] == "column":
        return ("column", columns[expression[1]])
    return tuple(_resolve(part, columns) for part in expression)
