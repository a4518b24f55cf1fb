"""Reads one JSON value out of a text, or the same in Python's spelling, in one pass. Evaluates nothing."""

import re

from worldverify.describe import place, shorten
from worldverify.refusal import Refusal

MAX_DEPTH = 64  # brackets within brackets


class BrokenValue(Exception):
    """Where a value breaks, and why: `code` is "truncated" or "malformed", `at` a place in the text."""

    def __init__(self, code: str, at: int, why: str, *, prose: bool = False) -> None:
        super().__init__(why)
        self.code, self.at, self.why = code, at, why
        self.prose = prose  # the bracket is followed by words at once, as in "(see [the note])"


_SPACE = re.compile(r"[ \t\r\n]*+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_WORD = re.compile(r"[+-]?[^\W\d]\w*+")
_BARE_KEY = re.compile(r"[^\W\d]\w*+[ \t\r\n]*+:")
_TO_THE_END = re.compile(r"[\w.+\-\\]*+\Z")
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None}
_PYTHON_WORDS: dict[str, object] = {"True": True, "False": False, "None": None}
_NOT_FINITE = {
    sign + word: float(sign + word) for sign in ("", "-", "+") for word in ("NaN", "nan", "Infinity", "inf", "Inf")
}
_CLOSING = {"[": "]", "{": "}", "(": ")"}

_QUOTES = "Single quotes were read as double quotes."
_TRAILING = "A comma before a closing bracket was ignored."
_TUPLES = "Python tuples were read as lists."
_PYTHON = "Python's True, False or None was read as JSON's true, false or null."
_NUMBERS = "Numbers that JSON would not allow (+1, .5 or 1.) were read as numbers."


class ValueParser:
    """Reads one JSON value, or the same in Python's spelling, in one pass over the text."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.at = start
        self.root: object = None
        self.open: list[tuple[str, dict[str, object] | list[object]]] = []  # opening bracket, container
        self.notes: set[str] = set()
        self._read_something = False  # a scalar or a key
        self._key: str | None = None

    def run(self) -> int:
        """Reads into `root`, as far as it goes, and returns the place after it. Raises BrokenValue."""
        self._value()
        while self.open:
            bracket, container = self.open[-1]
            closing = _CLOSING[bracket]
            comma = False
            if container:
                if self._peek() == ",":
                    self.at += 1
                    comma = True
                elif self._peek() != closing:
                    raise self._broken(f"expected ',' or '{closing}' but found {self._found()}")
                elif bracket == "(" and len(container) == 1:
                    raise self._broken("a list of one value is written in [ ], not in ( )")
            if self._peek() == closing:
                if comma and bracket != "(":
                    self.notes.add(_TRAILING)
                self.at += 1
                self.open.pop()
            elif isinstance(container, dict):
                self._member(container)
            else:
                self._value()
        return self.at

    def _value(self) -> None:
        """Reads a scalar, or opens a container."""
        char = self._peek()
        if char in "[{(":
            if len(self.open) >= MAX_DEPTH:
                raise Refusal(
                    "too_deep",
                    f"At {place(self.text, self.at)} brackets are nested more than {MAX_DEPTH} deep; "
                    "a plan needs five.",
                )
            if char == "(":
                self.notes.add(_TUPLES)
            container: dict[str, object] | list[object] = {} if char == "{" else []
            self._put(container)
            self.open.append((char, container))
            self.at += 1
        elif char in "\"'":
            self._put(self._string())
            self._read_something = True
        elif number := _NUMBER.match(self.text, self.at):
            self._put(self._number(number.group()))
            self._read_something = True
        else:
            self._put(self._word())
            self._read_something = True

    def _put(self, value: object) -> None:
        if not self.open:
            self.root = value
            return
        container = self.open[-1][1]
        if isinstance(container, dict):
            assert self._key is not None
            container[self._key] = value
        else:
            container.append(value)

    def _member(self, container: dict[str, object]) -> None:
        at = self.at
        if self._peek() not in "\"'":
            if _BARE_KEY.match(self.text, self.at):
                self._read_something = True
                raise self._broken(f"the key {self._found()} needs double quotes")
            raise self._broken(f"expected a key in double quotes but found {self._found()}")
        key = self._string()
        self._read_something = True
        if self._peek() != ":":
            raise self._broken(f"expected ':' after the key {shorten(key)} but found {self._found()}")
        self.at += 1
        if key in container:
            self.at = at
            raise self._broken(f"the key {shorten(key)} stands twice in one object")
        container[key] = None  # so that the beginning of a broken object shows its last key
        self._key = key
        self._value()

    def _peek(self) -> str:
        space = _SPACE.match(self.text, self.at)
        assert space is not None
        self.at = space.end()
        if self.at >= len(self.text):
            raise self._broken("the text ends")
        char = self.text[self.at]
        if char == "#" or (char == "/" and self.text[self.at + 1 : self.at + 2] in ("/", "*")):
            self._read_something = True  # what a comment stands in is data, not words between brackets
            raise self._broken("JSON has no comments, leave them out")
        return char

    def _number(self, token: str) -> float:
        if _LEADING_ZERO.match(token):
            raise self._broken(f"the number {shorten(token)} begins with 0, leave that out")
        if not _JSON_NUMBER.fullmatch(token):
            self.notes.add(_NUMBERS)
        self.at += len(token)
        return float(token)

    def _word(self) -> object:
        match = _WORD.match(self.text, self.at)
        word = match.group() if match else ""
        if word in _WORDS:
            value = _WORDS[word]
        elif word in _PYTHON_WORDS:
            value = _PYTHON_WORDS[word]
            self.notes.add(_PYTHON)
        elif word in _NOT_FINITE:
            value = _NOT_FINITE[word]
        else:
            raise self._broken(f"expected a value but found {self._found()}")
        self.at += len(word)
        return value

    def _string(self) -> str:
        text, at, quote = self.text, self.at + 1, self.text[self.at]
        plain = _PLAIN[quote]
        pieces: list[str] = []
        while True:
            chunk = plain.match(text, at)
            assert chunk is not None
            pieces.append(chunk.group())
            at = chunk.end()
            if at >= len(text):
                self.at = at
                raise self._broken("the text ends")
            if text[at] == quote:
                break
            if text[at] != "\\":
                self.at = at
                raise self._broken("a string runs over the end of its line")
            piece, at = self._escape(at)
            pieces.append(piece)
        self.at = at + 1
        if quote == "'":
            self.notes.add(_QUOTES)
        return "".join(pieces)

    def _escape(self, at: int) -> tuple[str, int]:
        """The character that the backslash at `at` stands for, and the place after it."""
        pair = _SURROGATES.match(self.text, at)
        if pair:
            return bytes.fromhex(pair.group(1) + pair.group(2)).decode("utf-16-be"), pair.end()
        code = _UNICODE.match(self.text, at)
        if code and not 0xD800 <= int(code.group(1), 16) <= 0xDFFF:
            return chr(int(code.group(1), 16)), code.end()
        letter = self.text[at + 1 : at + 2]
        if letter not in _ESCAPES:
            self.at = at
            raise self._broken(f"{shorten(self.text[at : at + 6])} is no character that a string can hold")
        return _ESCAPES[letter], at + 2

    def _found(self) -> str:
        word = _WORD.match(self.text, self.at)
        return shorten(word.group() if word else self.text[self.at : self.at + 1])

    def _broken(self, why: str) -> BrokenValue:
        words = not self._read_something and _WORD.match(self.text, self.at) is not None
        if _TO_THE_END.match(self.text, self.at) and not words:
            return BrokenValue("truncated", len(self.text), "the text ends")
        return BrokenValue("malformed", self.at, why, prose=not self._read_something)


_PLAIN = {'"': re.compile(r'[^"\\\x00-\x1f]*+'), "'": re.compile(r"[^'\\\x00-\x1f]*+")}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
