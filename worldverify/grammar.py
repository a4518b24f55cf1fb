"""Reads the text of a spec, one `name: formula` a line, into formulas.

Loosest first: implies (from the right), or, and, not, comparisons with ~ scale, + -, * /, unary minus, until
between brackets. Brackets hold formulas and expressions alike; their types tell which may stand where.
"""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from worldverify.cursor import Cursor, did_you_mean
from worldverify.expression import FUNCTIONS, Arithmetic, Expression, Function, Negative, Number, Signal
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
    Window,
    checked_window,
)
from worldverify.signals_table import SIGNALS
from worldverify.tokens import Token
from worldverify.units import WORDS, Unit, parse_unit
from worldverify.walk import MAX_DEPTH, check_shape, children

TEMPORAL = ("always", "eventually", "at_end")
KEYWORDS = (*TEMPORAL, "until", "not", "and", "or", "implies")
COMPARISONS = ("<", "<=", ">", ">=")

# infix operator -> how tightly it binds
_BINDS = {"implies": 1, "or": 2, "and": 3, **dict.fromkeys(COMPARISONS, 5), "~": 5}
_BINDS |= {"+": 6, "-": 6, "*": 7, "/": 7, "until": 9}
_NOT, _MINUS, _ATOMIC = 4, 8, 10

_SCALE = "~ gives one comparison its scale: write speed(OBJ) < 0.1 m/s ~ 0.02 m/s."
_UNTIL = "until stands between brackets: write (A) until (B), or (A) until[0,2] (B)."
_WINDOW = "A window is two numbers in seconds: write [0,0.5]."
_INDEX = "The part of a sensor is a whole number from 0 on: write sensor(NAME)[0]."
_LINE = (
    "A requirement is one line, name: formula, its name of letters, digits and _. "
    "A formula goes on to the next line only inside brackets."
)
_TOO_DEEP = f"More than {MAX_DEPTH} levels of nesting: split the requirement."

T = TypeVar("T", bound=Term)


def parse_requirements(text: str) -> list[tuple[str, Formula]]:
    """The names and formulas of a spec's text, in order. Refusals show line, column and a caret."""
    parser = Parser(text)
    found: dict[str, Formula] = {}
    while parser.peek().kind != "end":
        if parser.peek().kind == "newline":
            parser.take()
            continue
        name, formula = parser.requirement()
        if name.text in found:
            parser.refuse(name, f"The requirement {name.text!r} is there twice: give each its own name.")
        found[name.text] = formula
    return list(found.items())


class Parser(Cursor):
    """One method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.levels = 0  # of operators around this place; plain brackets are counted with the tokens
        self.depths: dict[int, tuple[Term, int]] = {}  # id -> the term, its depth

    def requirement(self) -> tuple[Token, Formula]:
        name = self.take()
        if name.kind != "name" or not self.skip(":"):
            self.refuse(name, _LINE)
        if name.text in KEYWORDS:
            self.refuse(name, f"{name.text!r} is an operator and cannot name a requirement.")
        formula = self.formula(0)
        if self.peek().kind not in ("newline", "end"):
            hint = did_you_mean(self.peek().text, KEYWORDS) if self.peek().kind == "name" else ""
            self.unexpected("'and', 'or', 'implies' or the end of the line", hint)
        self.checked(name, check_shape, formula)
        return name, formula

    def formula(self, loosest: int) -> Formula:
        start = self.enter()
        term = self.term(loosest)
        self.levels -= 1
        return self.as_formula(term, start)

    def expression(self, loosest: int) -> Expression:
        start = self.enter()
        term = self.term(loosest)
        self.levels -= 1
        return self.as_expression(term, start)

    def enter(self) -> Token:
        self.levels += 1
        if self.levels > MAX_DEPTH:
            self.refuse(self.peek(), _TOO_DEEP)
        return self.peek()

    def term(self, loosest: int) -> Term:
        """A formula or an expression, up to an operator that binds less tightly than `loosest`."""
        start, last = self.peek(), ""
        left = self.prefix()
        while (op := self.infix_operator()) and _BINDS[op] >= loosest:
            if op in COMPARISONS and last in COMPARISONS and isinstance(left, Compare):
                how = f"write {left} and {left.right} {op} ..."
                self.refuse(self.peek(), f"Comparisons do not chain: {how}")
            if op == last == "until":
                self.refuse(self.peek(), "until does not chain: write ((A) until (B)) until (C).")
            left, last = self.infix(left, start), op
        return left

    def infix_operator(self) -> str:
        token = self.peek()
        return token.text if token.kind in ("op", "name") and token.text in _BINDS else ""

    def infix(self, left: Term, start: Token) -> Term:
        token = self.take()
        op: Any = token.text
        if op == "~":
            return self.scaled(self.as_formula(left, start), token)
        if op == "until":
            return self.until(left, start, token)
        if op == "implies":
            return self.made(token, Implies, self.as_formula(left, start), self.formula(_BINDS[op]))
        if op in ("and", "or"):
            parts = [self.as_formula(left, start), self.formula(_BINDS[op] + 1)]
            while self.skip(op):
                parts.append(self.formula(_BINDS[op] + 1))
            joined: type[Term] = And if op == "and" else Or
            return self.made(token, joined, tuple(parts))
        kind: type[Term] = Compare if op in COMPARISONS else Arithmetic
        return self.made(token, kind, op, self.as_expression(left, start), self.expression(_BINDS[op] + 1))

    def until(self, left: Term, start: Token, token: Token) -> Term:
        if isinstance(left, Expression) and left.alone() is None:
            self.refuse(token, _UNTIL)
        window = self.window()
        if not any(self.sees(opening) for opening in ("(", *TEMPORAL)):
            self.refuse(token, _UNTIL)
        return self.made(token, Until, self.as_formula(left, start), self.formula(_ATOMIC), window)

    def scaled(self, atom: Formula, token: Token) -> Term:
        value = self.peek()
        scale = self.prefix() if value.kind == "number" else None
        if not isinstance(atom, Compare) or atom.scale is not None or not isinstance(scale, Number):
            self.refuse(token, _SCALE)
        return self.made(token, Compare, atom.op, atom.left, atom.right, scale)

    def prefix(self) -> Term:
        token = self.peek()
        if token.kind == "number":
            return self.number(1.0)
        if token.kind == "name":
            return self.named(self.take())
        if self.skip("-"):
            if self.peek().kind == "number":
                return self.number(-1.0)
            return self.made(token, Negative, self.expression(_MINUS))
        if self.skip("("):
            inner = self.term(0)
            self.expect(")", "")
            return inner
        self.unexpected("a signal, a number, an operator or '('")

    def named(self, token: Token) -> Term:
        name: Any = token.text
        if name == "not":
            return self.made(token, Not, self.formula(_NOT))
        if name in ("always", "eventually"):
            window = self.window()
            kind: type[Term] = Always if name == "always" else Eventually
            return self.made(token, kind, self.bracketed(name), window)
        if name == "at_end":
            return self.made(token, AtEnd, self.bracketed(name))
        if name in FUNCTIONS:
            return self.made(token, Function, name, tuple(self.listed(name, lambda: self.expression(0))))
        if name in SIGNALS:
            names = tuple(self.listed(name, self.object_name))
            return self.made(token, Signal, name, names, self.part())
        self.unknown(token)

    def bracketed(self, name: str) -> Formula:
        self.expect("(", f"Write {name}(...).")
        formula = self.formula(0)
        self.expect(")", "")
        return formula

    def listed(self, name: str, one: Callable[[], Any]) -> list[Any]:
        """`(a, b, ...)`"""
        args = ", ".join(SIGNALS[name].args).upper() if name in SIGNALS else "..."
        self.expect("(", f"Write {name}({args}).")
        if self.skip(")"):
            return []
        found = [one()]
        while self.skip(","):
            found.append(one())
        self.expect(")", "")
        return found

    def object_name(self) -> str:
        token = self.take()
        if token.kind in ("name", "quoted") and (self.sees(",") or self.sees(")")):
            return token.text
        if token.kind == "op" and token.text in (",", ")"):
            self.refuse(token, "The name of an object is missing here.")
        while not (self.sees(",") or self.sees(")") or self.peek().kind == "end"):
            self.take()
        written = self.source.text[token.start : self.peek().start].strip().replace('"', "")
        self.refuse(token, f'A name that is not only letters, digits and _ goes in quotes: write "{written}".')

    def part(self) -> str | int | None:
        """`.x` of a position, `[2]` of a sensor, or nothing."""
        if self.skip("."):
            if self.peek().kind != "name":
                self.unexpected("x, y or z")
            return self.take().text
        if self.skip("["):
            index = self.take()
            if index.kind != "number" or not index.text.isdigit() or len(index.text) > 9:
                self.refuse(index, _INDEX)
            self.expect("]", _INDEX)
            return int(index.text)
        return None

    def number(self, sign: float) -> Number:
        token = self.take()
        return self.made(token, Number, sign * float(token.text), self.unit())

    def unit(self) -> Unit | None:
        """A word right after a number is its unit: a signal would have brackets."""
        first = self.at
        if self.sees_one_over():
            self.at += 3
        elif self.sees_word(0):
            self.at += 1
        else:
            return None
        while (self.sees("*") or self.sees("/")) and self.sees_word(1):
            self.at += 2
        text = "".join(token.text for token in self.tokens[first : self.at])
        return self.checked(self.tokens[first], parse_unit, text)

    def sees_one_over(self) -> bool:
        return self.peek().kind == "number" and self.peek().text == "1" and self.sees("/", 1) and self.sees_word(2)

    def sees_word(self, ahead: int) -> bool:
        token = self.peek(ahead)
        return token.kind == "name" and token.text.lower() not in KEYWORDS and not self.sees("(", ahead + 1)

    def window(self) -> Window | None:
        opening = self.peek()
        if not self.skip("["):
            return None
        start, stop = self.seconds(","), self.seconds("]")
        return self.checked(opening, checked_window, (start, stop))

    def seconds(self, closing: str) -> float:
        token = self.peek()
        bound = self.prefix()
        if not isinstance(bound, Number) or (bound.unit is not None and bound.unit != WORDS["s"]):
            self.refuse(token, _WINDOW)
        self.expect(closing, _WINDOW)
        return bound.value

    def as_formula(self, term: Term, start: Token) -> Formula:
        return self.checked(start, term.as_formula)

    def as_expression(self, term: Term, start: Token) -> Expression:
        if isinstance(term, Expression):
            return term
        self.refuse(start, f"{term} is a formula, true or false: it cannot be compared or computed with.")

    def made(self, token: Token, kind: Callable[..., T], *args: Any) -> T:
        """The term that `kind(*args)` makes; refused at the token when it is not valid or too deep."""
        term = self.checked(token, kind, *args)
        depth = 1 + max(map(self.depth, children(term)), default=0)
        if depth > MAX_DEPTH:
            self.refuse(token, _TOO_DEEP)
        self.depths[id(term)] = (term, depth)
        return term

    def depth(self, term: Term) -> int:
        """How deep a term is; terms that the nouns made themselves are single atoms."""
        known, depth = self.depths.get(id(term), (None, 2))
        return depth if known is term else 2

    def unknown(self, token: Token) -> NoReturn:
        name = token.text
        if name.lower() in ("nan", "inf", "infinity"):
            self.refuse(token, "A number must be finite.")
        if name in WORDS and not self.sees("("):
            self.refuse(token, f"{name!r} is a unit and needs a number before it.")
        if name in KEYWORDS:
            self.refuse(token, f"{name!r} has nothing on its left: write (A) {name} (B).")
        hint = did_you_mean(name, (*SIGNALS, *KEYWORDS, *FUNCTIONS))
        valid = f"Signals: {', '.join(SIGNALS)}; operators: {', '.join((*KEYWORDS, *FUNCTIONS))}."
        self.refuse(token, f"Unknown name {name!r}. {hint}{valid}")
