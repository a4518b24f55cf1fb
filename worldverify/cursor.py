"""A place in the tokens of a spec: look ahead, take, expect, or refuse with line, column and caret."""

import difflib
from collections.abc import Callable, Iterable
from typing import NoReturn, ParamSpec, TypeVar

from worldverify.refusal import Refusal
from worldverify.tokens import Source, Token, tokenize

P = ParamSpec("P")
R = TypeVar("R")


class Cursor:
    """Moves over the tokens of one text, from the first to the `end` token."""

    def __init__(self, text: str) -> None:
        self.source = Source(text)
        self.tokens = tokenize(self.source)
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def sees(self, text: str, ahead: int = 0) -> bool:
        """Whether this operator or keyword is next; a quoted name never is one."""
        token = self.peek(ahead)
        return token.kind in ("op", "name") and token.text == text

    def skip(self, text: str) -> bool:
        """Takes this operator or keyword if it is next."""
        found = self.sees(text)
        self.at += found
        return found

    def expect(self, text: str, how: str) -> None:
        """Takes this operator, or refuses with how to write it."""
        if not self.skip(text):
            self.unexpected(f"{text!r}", how)

    def unexpected(self, wanted: str, how: str = "") -> NoReturn:
        token = self.peek()
        found = {"newline": "the end of the line", "end": "the end"}.get(token.kind, repr(token.text))
        if token.kind == "newline":
            how = f"{how} A formula goes on to the next line only inside brackets.".strip()
        self.refuse(token, f"Found {found} where {wanted} should stand. {how}".strip())

    def refuse(self, token: Token, reason: str) -> NoReturn:
        self.source.refuse(token.start, reason)

    def checked(self, token: Token, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`call(*args)`, its refusal placed at the token."""
        try:
            return call(*args, **kwargs)
        except Refusal as refusal:
            self.refuse(token, refusal.reason)


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A sentence with the nearest valid name, or nothing."""
    close = difflib.get_close_matches(name.lower(), list(valid), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""
