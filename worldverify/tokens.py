"""Cuts the text of a spec into tokens, and shows where in the text something is wrong."""

import re
from dataclasses import dataclass
from typing import NoReturn

from worldverify.units import refuse

MAX_TEXT = 100_000  # characters
MAX_BRACKETS = 100  # open at the same time
CONTEXT = 60  # characters shown on each side of a mistake

_TOKEN = re.compile(
    r"""
    (?P<space>   [ \t\r\f\v\u00a0]+ | \#[^\n]* )
  | (?P<newline> \n )
  | (?P<number>  (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)? )
  | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<quoted>  "[^"\n]*" | '[^'\n]*' )
  | (?P<foreign> && | \|\|? | & | != | ! | == | => | -> | \*\* | \^ | = | \{ | \} | ; )
  | (?P<op>      <= | >= | [-+*/<>()\[\],.:~] )
    """,
    re.VERBOSE,
)

# what other languages write -> what this one writes
_FOREIGN = {
    "&&": "and",
    "&": "and",
    "||": "or",
    "|": "or, or abs(x)",
    "!": "not",
    "!=": "abs(a - b) > tolerance",
    "==": "abs(a - b) < tolerance",
    "=": "abs(a - b) < tolerance, and a requirement as name: formula",
    "=>": "implies, or >=",
    "->": "implies",
    "**": "x * x",
    "^": "x * x",
    "{": "( )",
    "}": "( )",
    ";": "one requirement a line",
    "≤": "<=",
    "≥": ">=",
    "°": "deg",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or sign."""

    kind: str  # number, name, quoted, op, newline, end
    text: str  # as written; the name without its quotes for `quoted`
    start: int  # offset in the text


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a spec."""

    text: str

    def line(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def refuse(self, offset: int, reason: str) -> NoReturn:
        """Raises with the line, the column and a caret below the mistake."""
        start = self.text.rfind("\n", 0, offset) + 1
        stop = self.text.find("\n", offset)
        stop = len(self.text) if stop < 0 else stop
        column = offset - start
        left = max(start, offset - CONTEXT)
        shown = "".join(c if c.isprintable() else " " for c in self.text[left : min(stop, offset + CONTEXT)])
        caret = " " * (offset - left) + "^"
        refuse(f"Line {self.line(offset)}, column {column + 1}: {reason}\n  {shown}\n  {caret}")


def tokenize(source: Source) -> list[Token]:
    """All tokens, a newline token only where no bracket is open, `end` last."""
    if len(source.text) > MAX_TEXT:
        refuse(f"The spec has {len(source.text)} characters; at most {MAX_TEXT} are read.")
    tokens: list[Token] = []
    brackets: list[Token] = []
    at = 0
    while at < len(source.text):
        found = _TOKEN.match(source.text, at)
        if found is None or found.lastgroup == "foreign":
            _refuse_character(source, at, found[0] if found else source.text[at])
        kind, text, start = str(found.lastgroup), found[0], at
        at = found.end()
        if kind == "space" or (kind == "newline" and brackets):
            continue
        token = Token(kind, text[1:-1] if kind == "quoted" else text, start)
        if kind == "op":
            _match_brackets(source, token, brackets)
        tokens.append(token)
    if brackets:
        source.refuse(brackets[-1].start, f"This {brackets[-1].text!r} is never closed.")
    return [*tokens, Token("end", "", len(source.text))]


def _match_brackets(source: Source, token: Token, brackets: list[Token]) -> None:
    if token.text in "([":
        brackets.append(token)
        if len(brackets) > MAX_BRACKETS:
            source.refuse(token.start, f"More than {MAX_BRACKETS} brackets are open: split the requirement.")
    elif token.text in ")]":
        wanted = "(" if token.text == ")" else "["
        if not brackets or brackets[-1].text != wanted:
            source.refuse(token.start, f"This {token.text!r} closes no {wanted!r}.")
        brackets.pop()
    elif token.text == ":" and brackets:
        line = source.line(token.start)
        reason = f"This {brackets[-1].text!r} is still open where line {line} has ':'."
        source.refuse(brackets[-1].start, f"{reason} Close it before the next requirement.")


def _refuse_character(source: Source, at: int, text: str) -> NoReturn:
    if text in "\"'":
        source.refuse(at, f"This quote is never closed on its line: write {text}name{text}.")
    if text in _FOREIGN:
        source.refuse(at, f"{text!r} is not part of the language: write {_FOREIGN[text]}.")
    source.refuse(at, f"{text!r} is not part of the language. A name that holds it goes in quotes.")
