"""Finds the program in what a model wrote, and checks that it is small and shallow before anything parses it."""

import re
import textwrap
from collections.abc import Collection
from typing import NamedTuple

from worldverify.describe import shorten
from worldverify.read import as_text, without_thoughts
from worldverify.refusal import Refusal

MAX_TOKENS = 50_000
MAX_DEPTH = 20  # brackets within brackets
MAX_CHAIN = 100  # operators, calls or indices within one another: each nests the syntax tree by one
MAX_ELIFS = 50
MAX_STRING = 1_000  # characters
MAX_NUMBER = 40  # characters

_REST = "Put the whole program, and nothing else, into one code block."


class Program(NamedTuple):
    """A piece of a text that could be a program."""

    source: str  # without the indentation that all its lines share
    line: int  # of the text, where it begins
    cut: bool  # whether it ends where the text ends, so that more may have been meant


class Found(NamedTuple):
    """The programs of a text, in their order."""

    programs: tuple[Program, ...]
    warnings: tuple[str, ...]  # one sentence for everything around them


def programs(text: str | bytes, functions: Collection[str]) -> Found:
    """The code blocks of a text, or the text without prose before and after. `functions` are never taken for prose.

    Each can be read on its own, as with a transcript that holds several answers. Raises Refusal.
    """
    shown, thought = without_thoughts(as_text(text))
    lines = shown.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    warnings = [thought] if thought else []
    blocks, outside = _blocks(lines)
    if blocks:
        warnings.append("Code fences around the program were ignored.")
        if any(lines[index].strip() for index in outside):
            warnings.append("Prose around the program was ignored.")
        return Found(tuple(blocks), tuple(warnings))
    first, last = 0, len(lines)
    while first < last and _is_around(lines[first]):
        first += 1
    while last > first and _is_around(lines[last - 1]):
        last -= 1
    around = [*range(first), *range(last, len(lines))]
    for index in around if first < last else ():
        called = _CALLED.search(lines[index])
        if called and called.group(1) in functions:
            raise Refusal("ambiguous", f"Line {index + 1} holds a call of {called.group(1)} amid prose. {_REST}")
    if any(lines[index].strip() for index in around) and first < last:
        warnings.append("Prose around the program was ignored.")
    if first == last:
        return Found((), tuple(warnings))
    whole = not any(line.strip() for line in lines[last:])
    return Found((_program(lines[first:last], first, whole),), tuple(warnings))


def lines_of(text: str | bytes) -> tuple[list[tuple[int, str]], tuple[str, ...]]:
    """The lines of the one code block of a text, or of all of it, with their numbers, and warnings. Raises Refusal."""
    shown, thought = without_thoughts(as_text(text))
    lines = shown.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    warnings = [thought] if thought else []
    blocks, outside = _blocks(lines)
    if not blocks:
        return list(enumerate(lines, 1)), tuple(warnings)
    if len({block.source.strip() for block in blocks}) > 1:
        raise Refusal("ambiguous", f"The text holds {len(blocks)} code blocks that differ. Write one.")
    warnings.append("Code fences around the program were ignored.")
    if any(lines[index].strip() for index in outside):
        warnings.append("Prose around the program was ignored.")
    return list(enumerate(blocks[0].source.split("\n"), blocks[0].line)), tuple(warnings)


_FENCE = re.compile(r"[ \t]*+(```++|~~~++)[ \t]*+([\w+-]*+)[ \t]*+")
_ONE_LINE = re.compile(r"[ \t]*+```++([^`]++)```++[ \t]*+")
_LANGUAGES = {"", "python", "py", "python3", "tool_code", "code"}


def _blocks(lines: list[str]) -> tuple[list[Program], list[int]]:
    """The fenced programs, and the lines (from 0) outside of them."""
    blocks: list[Program] = []
    outside: list[int] = []
    opened: tuple[int, str, str] | None = None  # its line, its fence, its language
    for index, line in enumerate(lines):
        fence = _FENCE.fullmatch(line)
        single = _ONE_LINE.fullmatch(line)
        if opened is None and single:
            blocks.append(_program([single.group(1)], index, False))
        elif opened is None and fence:
            opened = (index, fence.group(1), fence.group(2).lower())
        elif opened is None:
            outside.append(index)
        elif fence and fence.group(1).startswith(opened[1]) and not fence.group(2):
            start, _, language = opened
            if language in _LANGUAGES:
                blocks.append(_program(lines[start + 1 : index], start + 1, False))
            else:
                outside += range(start, index + 1)
            opened = None
    if opened is not None:
        raise Refusal(
            "truncated",
            f"The text ends inside the code block that begins on line {opened[0] + 1}. Raise the token limit, "
            "or write fewer calls.",
        )
    return blocks, outside


def _program(lines: list[str], index: int, cut: bool) -> Program:
    return Program(textwrap.dedent("\n".join(lines)), index + 1, cut)


_MARKER = r"[ \t]*+(?:(?:[-*>\u2022]|[0-9]++[.)])[ \t]*+)?"
_WORD = r"[^\W\d_][\w'\u2019-]*+"
_SENTENCE = re.compile(rf"{_MARKER}(?:{_WORD}[,;:.!?]?[ \t]++){{2}}[\w'\u2019(\"`-]")  # begins with three words
_PHRASE = re.compile(rf"{_MARKER}{_WORD}(?:[ \t,]++{_WORD})*+[.:!?]++")  # "Sure!", "The plan:"
_KEYWORD = re.compile(
    r"[ \t]*(?:async|await|class|def|del|elif|else|except|finally|for|from|global|if|import|lambda|match|nonlocal|not"
    r"|raise|return|try|while|with|yield|assert)\b"
)
_CALLED = re.compile(r"(?<!\w)([^\W\d]\w*+)[ \t]*+\(")
_MID_STRING = re.compile(r"""[^()\[\]{}"'=\n]*+["'][ \t]*[,)\]}]""")
_RULE = re.compile(r"[ \t]*+(?:-{3,}+|={3,}+|\*{3,}+|_{3,}+)[ \t]*+")


def _is_around(line: str) -> bool:
    """Whether a line can be left out before or after a program: blank, or prose beyond doubt."""
    if not line.strip() or _RULE.fullmatch(line):
        return True
    if "=" in line or _KEYWORD.match(line) or _MID_STRING.match(line):
        return False
    return _SENTENCE.match(line) is not None or _PHRASE.fullmatch(line.rstrip()) is not None


_TOKEN = re.compile(
    r"""(?P<space>[ \t\f]++|\\\n|\#[^\n]*+)
    |(?P<newline>\n)
    |(?P<string>[rRbBuUfF]{0,2}(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}
        |"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'))
    |(?P<number>(?:[0-9]|\.[0-9])(?:[eE][+-]|[\w.])*+)
    |(?P<name>[^\W\d]\w*+)
    |(?P<open>[(\[{])
    |(?P<close>[)\]}])
    |(?P<comma>[,;])
    |(?P<quote>["'])
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]*+|[0-9]++(?=[.eE]))?(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)?")
_ESCAPED = re.compile(r"\\(?:[\n\\'\"ntr]|x[0-9a-fA-F]{2}|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})?")
_PREFIX = re.compile(r"[A-Za-z]*")
_GLUED = re.compile(r"\{[^{}]*(?<![\w.:])[0-9][\w.]*[^\W\d]")  # Python warns where a number runs into a word
_CLOSES = {")": "(", "]": "[", "}": "{"}
_CHAINED = {"not", "if", "else", "await", "yield"}  # words that nest like an operator


def check(program: Program) -> None:
    """Refuses what a parser should not see: too long, too deep, cut, broken brackets or strings, odd numbers.

    What is left parses in bounded time and stack, and without a warning.
    """
    if _MID_STRING.match(program.source):
        raise _headless(program.line)
    scan = _Scan(program)
    for count, token in enumerate(_TOKEN.finditer(program.source)):
        if count > MAX_TOKENS:
            raise Refusal("too_long", f"The program has more than {MAX_TOKENS:,} words and signs. Write fewer calls.")
        scan.take(token.lastgroup or "", token.group())
    scan.end()


class _Scan:
    """Follows brackets and chains of operators through the tokens of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.line = program.line
        self.open: list[tuple[str, int]] = []  # bracket, its line
        self.chain = [0]  # operators since the last comma, for each open bracket
        self.any_open = False
        self.elifs = 0

    def take(self, kind: str, token: str) -> None:
        """One token."""
        if kind == "open":
            self._opens(token)
        elif kind == "close":
            self._closes(token)
        elif kind == "comma" or (kind == "newline" and not self.open):
            self.chain[-1] = 0
        elif kind == "string":
            self._string(token)
        elif kind == "quote":
            self._unclosed()
        elif kind == "number":
            self._number(token)
        elif kind == "mark" or (kind == "name" and token in _CHAINED):
            self._chained()
        elif kind == "name":
            self._name(token)
        self.line += token.count("\n")

    def end(self) -> None:
        """The end of the program."""
        if self.open:
            bracket, line = self.open[-1]
            if self.program.cut:
                raise Refusal(
                    "truncated",
                    f"The text ends inside the {bracket!r} of line {line}. Raise the token limit, or write less.",
                )
            raise Refusal("malformed", f"Line {line} opens {bracket!r}, which is never closed. Close each bracket.")

    def _opens(self, bracket: str) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise Refusal(
                "too_deep", f"On line {self.line} brackets are nested more than {MAX_DEPTH} deep; calls need five."
            )
        self.any_open = True
        self.open.append((bracket, self.line))
        self.chain.append(0)

    def _closes(self, bracket: str) -> None:
        if not self.open:
            if not self.any_open:
                raise _headless(self.line)
            raise Refusal("malformed", f"Line {self.line} closes {bracket!r}, which no line opens.")
        opened, line = self.open.pop()
        if opened != _CLOSES[bracket]:
            raise Refusal(
                "malformed", f"Line {self.line} closes {bracket!r} where the {opened!r} of line {line} is open."
            )
        self.chain.pop()
        self._chained()

    def _chained(self) -> None:
        self.chain[-1] += 1
        if sum(self.chain) > MAX_CHAIN:
            raise Refusal(
                "too_deep", f"Line {self.line} chains more than {MAX_CHAIN} operators. Write the value itself."
            )

    def _string(self, token: str) -> None:
        if len(token) > MAX_STRING:
            raise Refusal(
                "too_long",
                f"Line {self.line} holds a string of {len(token):,} characters; names have {MAX_STRING} at most.",
            )
        prefix = _PREFIX.match(token)
        assert prefix is not None
        for escape in () if "r" in prefix.group().lower() else _ESCAPED.finditer(token):
            if escape.group() == "\\":
                found = token[escape.start() : escape.start() + 2]
                raise Refusal("malformed", f"Line {self.line} has {found} in a string, which stands for no character.")
        if "f" in prefix.group().lower() and _GLUED.search(token):
            raise Refusal("malformed", f"Line {self.line} has a number within an f-string that runs into a letter.")

    def _unclosed(self) -> None:
        rest = self.program.source.count("\n") + self.program.line == self.line
        if self.program.cut and rest:
            raise Refusal(
                "truncated", f"The text ends inside a string on line {self.line}. Raise the token limit, or write less."
            )
        raise Refusal("malformed", f"Line {self.line} opens a string that it does not close.")

    def _number(self, token: str) -> None:
        if len(token) > MAX_NUMBER:
            raise Refusal(
                "out_of_range",
                f"Line {self.line} holds a number of {len(token):,} characters; {MAX_NUMBER} are plenty.",
            )
        if not _DECIMAL.fullmatch(token):
            raise Refusal("malformed", f"Line {self.line} holds {shorten(token)}, which is no decimal number.")

    def _name(self, token: str) -> None:
        if token == "lambda":  # its commas would hide how deep it nests
            raise Refusal("malformed", f"Line {self.line} defines a function (lambda); write the calls themselves.")
        self.elifs += token == "elif"
        if self.elifs > MAX_ELIFS:
            raise Refusal("too_deep", f"Line {self.line} is one elif too many; write the calls themselves.")


def _headless(line: int) -> Refusal:
    return Refusal(
        "malformed",
        f"Line {line} begins in the middle of a call or a string: put what the prompt ended with before it.",
    )
