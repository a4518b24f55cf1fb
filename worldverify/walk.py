"""Walking a formula: its parts, its atoms, its signals, and how deep it is."""

from collections.abc import Iterator

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
    Term,
    Until,
)
from worldverify.units import refuse

MAX_DEPTH = 100  # levels; a deeper formula is a mistake or an attack
MAX_TERMS = 10_000


def children(term: Term) -> tuple[Term, ...]:
    """The terms right below this one, left to right. The scale of an atom is not one of them."""
    match term:
        case Arithmetic() | Compare() | Implies() | Until():
            return (term.left, term.right)
        case Not() | Always() | Eventually() | AtEnd():
            return (term.formula,)
        case And() | Or():
            return term.parts
        case Function():
            return term.args
        case Negative():
            return (term.value,)
        case Number() | Signal():
            return ()
    raise TypeError(f"{term!r} is neither a formula nor an expression.")


def walk(term: Term) -> Iterator[Term]:
    """This term and all below it, parents first, left to right; refuses absurd depth and size."""
    stack = [(term, 1)]
    count = 0
    while stack:
        here, depth = stack.pop()
        count += 1
        if depth > MAX_DEPTH:
            refuse(f"The formula is nested deeper than {MAX_DEPTH} levels: split it into requirements.")
        if count > MAX_TERMS:
            refuse(f"The formula has more than {MAX_TERMS} terms: split it into requirements.")
        yield here
        stack.extend((child, depth + 1) for child in reversed(children(here)))


def atoms(formula: Formula) -> tuple[Compare, ...]:
    """The comparisons of a formula, left to right, with repeats."""
    return tuple(term for term in walk(formula) if isinstance(term, Compare))


def signals(term: Term) -> tuple[Signal, ...]:
    """The different signals of a formula or expression, in order of first appearance."""
    return tuple(dict.fromkeys(here for here in walk(term) if isinstance(here, Signal)))


def check_shape(formula: Formula) -> None:
    """Refuses a formula too deep or too large to be meant, and an atom that no signal can change."""
    for term in walk(formula):
        for child in children(term):
            wanted = Formula if isinstance(term, Formula) and not isinstance(term, Compare) else Expression
            if not isinstance(child, wanted):
                raise TypeError(f"{child!r} is not {wanted.__name__.lower()}, inside {term!r}.")
        if isinstance(term, Compare) and not signals(term):
            refuse(f"{term} compares numbers only: name a signal, such as speed(OBJ).")
