"""Checks a spec against what its signals measure: units that fit, and comparisons that can hold."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

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
)
from worldverify.refusal import Refusal
from worldverify.signals_table import SIGNALS
from worldverify.spec import Requirement, Spec
from worldverify.units import NO_DIMS, Dims, dims_text, over, refuse, si_unit, times

UnitOf = Callable[[Signal], Dims]
Range = tuple[float, float]  # (least, greatest) in SI, either may be infinite
RangeOf = Callable[[Signal], Range]


def declared_dims(signal: Signal) -> Dims | None:
    """The unit that the signal has in every scene; None where the scene decides."""
    return SIGNALS[signal.name].dims


def declared_range(signal: Signal) -> Range:
    """The range that the signal has in every scene."""
    return SIGNALS[signal.name].lower, SIGNALS[signal.name].upper


def check_units(spec: Spec, unit_of: UnitOf) -> Spec:
    """The spec with every bare number in the SI unit it takes from the other operand.

    In `*` and `/` a bare number has no unit. Refuses operands whose units differ.
    """
    checked = []
    for requirement in spec.requirements:
        try:
            formula = formula_with_units(requirement.formula, unit_of)
        except Refusal as refusal:
            refuse(f"Requirement {requirement.name!r}: {refusal.reason}")
        checked.append(Requirement(requirement.name, formula))
    return Spec(tuple(checked))


def check_ranges(spec: Spec, range_of: RangeOf = declared_range) -> None:
    """`check_satisfiable` for every requirement of a spec that `check_units` returned."""
    for requirement in spec.requirements:
        try:
            check_satisfiable(requirement.formula, range_of)
        except Refusal as refusal:
            refuse(f"Requirement {requirement.name!r}: {refusal.reason}")


def formula_with_units(formula: Formula, unit_of: UnitOf) -> Formula:
    """`check_units` for one formula."""

    def given(part: Formula) -> Formula:
        return formula_with_units(part, unit_of)

    match formula:
        case Compare():
            return _compare_with_units(formula, unit_of)
        case And() | Or():
            return replace(formula, parts=tuple(map(given, formula.parts)))
        case Not() | Always() | Eventually() | AtEnd():
            return replace(formula, formula=given(formula.formula))
        case Implies() | Until():
            return replace(formula, left=given(formula.left), right=given(formula.right))
    raise TypeError(f"{formula!r} is not a formula.")


def atom_dims(atom: Compare, unit_of: UnitOf) -> Dims:
    """The unit of an atom's margin."""
    dims = _same(atom, (atom.left, atom.right), unit_of)
    return NO_DIMS if dims is None else dims


def dims_of(expression: Expression, unit_of: UnitOf) -> Dims | None:
    """The unit of an expression; None while it is made of bare numbers only."""
    match expression:
        case Number():
            return expression.unit.dims if expression.unit else None
        case Signal():
            return unit_of(expression)
        case Negative():
            return dims_of(expression.value, unit_of)
        case Function():
            return _same(expression, expression.args, unit_of)
        case Arithmetic():
            if expression.op in "+-":
                return _same(expression, (expression.left, expression.right), unit_of)
            left, right = dims_of(expression.left, unit_of), dims_of(expression.right, unit_of)
            if left is None and right is None:
                return None
            return (times if expression.op == "*" else over)(left or NO_DIMS, right or NO_DIMS)
    raise TypeError(f"{expression!r} is not an expression.")


def check_satisfiable(formula: Formula, range_of: RangeOf = declared_range) -> None:
    """Refuses a comparison whose margin can never be above zero, by interval arithmetic over the ranges.

    Under `not` and on the left of `implies` it is the negated comparison that must be able to hold.
    The formula has its units: pass what `check_units` returned.
    """
    for atom, positive in _atoms(formula, True):
        left, right = range_of_expression(atom.left, range_of), range_of_expression(atom.right, range_of)
        less = (atom.op in ("<", "<=")) == positive
        greatest_margin = right[1] - left[0] if less else left[1] - right[0]
        if greatest_margin <= 0:
            what = str(atom) if positive else f"not ({atom})"
            ranges = f"the left side is {_shown(left)} and the right side {_shown(right)}, in SI units"
            refuse(f"{what} can never hold with a margin: {ranges}.")


def range_of_expression(expression: Expression, range_of: RangeOf) -> Range:
    """The least and greatest value in SI that the ranges of the signals allow; never too narrow."""
    match expression:
        case Number():
            return expression.si, expression.si
        case Signal():
            return range_of(expression)
        case Negative():
            least, greatest = range_of_expression(expression.value, range_of)
            return -greatest, -least
        case Function():
            args = [range_of_expression(arg, range_of) for arg in expression.args]
            return _function_range(expression.name, args)
        case Arithmetic():
            left = range_of_expression(expression.left, range_of)
            right = range_of_expression(expression.right, range_of)
            if expression.op == "/" and right == (0.0, 0.0):
                refuse(f"{expression} divides by zero.")
            return _arithmetic_range(expression.op, left, right)
    raise TypeError(f"{expression!r} is not an expression.")


def _compare_with_units(atom: Compare, unit_of: UnitOf) -> Compare:
    dims = atom_dims(atom, unit_of)
    scale = atom.scale
    if scale is not None and scale.unit is None:
        scale = Number(scale.value, si_unit(dims))
    if scale is not None and (scale.unit.dims if scale.unit else NO_DIMS) != dims:
        example = Number(scale.value, si_unit(dims))
        refuse(f"The scale of {atom} must be in {dims_text(dims)}, the unit of the atom: write ~ {example}.")
    return Compare(atom.op, _given(atom.left, dims, unit_of), _given(atom.right, dims, unit_of), scale)


def _same(term: Compare | Expression, operands: tuple[Expression, ...], unit_of: UnitOf) -> Dims | None:
    """The one unit of all operands, bare numbers aside."""
    first: Expression | None = None
    dims: Dims | None = None
    for operand in operands:
        here = dims_of(operand, unit_of)
        if dims is None:
            first, dims = operand, here
        elif here is not None and here != dims:
            units = f"{first} is in {dims_text(dims)}, but {operand} is in {dims_text(here)}"
            wrong, wanted = (first, here) if isinstance(first, Number) else (operand, dims)
            how = "compare or add values of the same unit"
            if isinstance(wrong, Number):
                how = f"write {Number(wrong.value, si_unit(wanted))}, or the number without a unit"
            refuse(f"The units of {term} differ: {units}. Fix: {how}.")
    return dims


def _given(expression: Expression, dims: Dims, unit_of: UnitOf) -> Expression:
    """The expression with `dims` as the unit of the bare numbers that stand for such a value."""
    match expression:
        case Number(unit=None):
            return Number(expression.value, si_unit(dims))
        case Negative():
            return Negative(_given(expression.value, dims, unit_of))
        case Function():
            return Function(expression.name, tuple(_given(arg, dims, unit_of) for arg in expression.args))
        case Arithmetic():
            left, right = dims, dims
            if expression.op in "*/":
                known = dims_of(expression.left, unit_of), dims_of(expression.right, unit_of)
                left = dims if known == (None, None) else known[0] or NO_DIMS
                right = known[1] or NO_DIMS
            return Arithmetic(
                expression.op,
                _given(expression.left, left, unit_of),
                _given(expression.right, right, unit_of),
            )
    return expression


def _atoms(formula: Formula, positive: bool) -> Iterator[tuple[Compare, bool]]:
    """Each comparison, and whether it counts as it stands (True) or negated (False)."""
    match formula:
        case Compare():
            yield formula, positive
        case Not():
            yield from _atoms(formula.formula, not positive)
        case Always() | Eventually() | AtEnd():
            yield from _atoms(formula.formula, positive)
        case And() | Or():
            for part in formula.parts:
                yield from _atoms(part, positive)
        case Implies():
            yield from _atoms(formula.left, not positive)
            yield from _atoms(formula.right, positive)
        case Until():
            yield from _atoms(formula.left, positive)
            yield from _atoms(formula.right, positive)


def _function_range(name: str, args: list[Range]) -> Range:
    least, greatest = [arg[0] for arg in args], [arg[1] for arg in args]
    if name == "min":
        return min(least), min(greatest)
    if name == "max":
        return max(least), max(greatest)
    return max(0.0, least[0], -greatest[0]), max(-least[0], greatest[0])


def _arithmetic_range(op: str, left: Range, right: Range) -> Range:
    if op == "+":
        return _hull(left[0] + right[0], left[1] + right[1])
    if op == "-":
        return _hull(left[0] - right[1], left[1] - right[0])
    if op == "/":
        if right[0] <= 0 <= right[1]:
            return -math.inf, math.inf
        right = (1 / right[1], 1 / right[0])
    # A product with a range that is exactly zero is zero, also where the other side has no bound.
    return _hull(*(a * b if a and b else 0.0 for a in left for b in right))


def _hull(*ends: float) -> Range:
    if any(math.isnan(end) for end in ends):
        return -math.inf, math.inf
    return min(ends), max(ends)


def _shown(value: Range) -> str:
    least, greatest = (f"{end:.6g}" for end in value)
    if least == greatest:
        return f"always {least}"
    if value == (-math.inf, math.inf):
        return "anything"
    if value[1] == math.inf:
        return f"at least {least}"
    return f"at most {greatest}" if value[0] == -math.inf else f"between {least} and {greatest}"
