"""Seeded mutations of a text: what models, networks and vandals do to a plan before it is read.

A mutation is called with a generator, the text and another text, and gives None where it does not apply.
"""

import json
import random
import re
from collections.abc import Callable

from worldverify.read import MAX_TEXT

Text = str | bytes
Mutation = Callable[[random.Random, str, str], Text | None]

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_STRING = re.compile(r'"[^"\\\n]*"')
_KEY = re.compile(r'\{\s*("[^"\\\n]*")\s*:')
_ARGUMENT = re.compile(r"\(([^()\n]+)\)")

BROKEN_NUMBERS = (
    *("NaN", "nan", "Infinity", "-Infinity", "inf", "1e400", "-1e400", "1e999999999", "1e308", "9" * 5000),
    *(
        "0x1F",
        "0b1",
        "0o7",
        "1_000",
        "1_0.0",
        "1e5_0",
        "1j",
        "0.1f",
        "\uff11\uff12",
        "\u0663",
        "\u00b2",
        "\u00bd",
        "\u22120.5",
    ),
    *("1.2.3", "1e", "1e+-5", "null", "None", "true", "undefined", '"0.5"', "...", "10**10**10", "@"),
)
ODD_NUMBERS = (
    *BROKEN_NUMBERS,
    "--1",  # which Python computes
    *("-0", "-0.0", "1e-400", "5e-324", "+1", ".5", "5.", "00.5", "1e6", "1000001", "999999.999999", "0.1+0.2"),
    *("1,5", "1 2", "[]", "{}", "[1]", "(1)", "(1,)", "'1'", "True", "0.30000000000000004", "1E+2", "\t7\n"),
)
CONSTRUCTS = (
    *("__import__('os').system('true')", "[x for x in (1, 2)]", "lambda: 0", "f'{1}'", "(y := 1)", "'a' * 10**9"),
    *("10**10**10", "open('x').read()", "eval('1')", "*[1, 2]", "**{'a': 1}", "{1, 2}", "1 if True else 2"),
    *("().__class__.__base__.__subclasses__()", "a" + ".b" * 1000, "f(" * 10_000 + ")" * 10_000, "-" * 10_000 + "1"),
    *("(" * 200 + "1" + ")" * 200, "1" + "+1" * 20_000, "x[0]" * 500, "b'1'", "1j", "yield", "await x", "..."),
)
STATEMENTS = (
    *("import os", "from os import *", "while True:\n    pass", "def f():\n    pass", "@f\ndef g():\n    pass"),
    *("class A:\n    pass", "exec('1')", "with open('x') as f:\n    pass", "try:\n    pass\nfinally:\n    pass"),
    *("assert 1", "global x", "raise SystemExit", "x: int = 1", "del x", "return 1", "async def f():\n    pass"),
)
NOISE = (
    *("'; DROP TABLE plans; --", "1 OR 1=1", "<script>alert(1)</script>", "<div class='x'>&nbsp;</div>", "{{7*7}}"),
    *("${jndi:x}", "%s%n%x", "$(true)", "<|im_end|>", "<|endoftext|>", "[INST]", "</s>", "<think>", "</think>", "```"),
    *("~~~", "/*", "*/", "//", "#", "\\", '"', "'", '"""', "\\u0022", "\\ud83d", "\\x41", "\\N{DIGIT ONE}", "\\"),
    *("\x00", "\ufeff", "\u202e", "\u200b", "\u2028", "\x85", "\x0c", "\x1b[2J", "\ud800", "\udfff", "\U0010ffff"),
    *(",", ",,", ":", ";", "(", ")", "[", "]", "{", "}", "\r", "\r\n", "\n", "\t", " ", "\xa0", "é", "e\u0301"),
)
PIECES = (  # of a text that goes round in circles
    *(
        "699 ",
        "[0, 0], ",
        '{"a": 1}\n',
        "1,",
        "\\u0041",
        "(1, 2), ",
        "[1]",
        "{a",
        "{",
        "x = 1\n",
        "a.b",
        "- word\n",
        "<think>",
    ),
    *("```\n", "# ", "f'{1}'", '"a" ', "if x:\n", "1+", "elif ", "move_to([1, 2, 3])\n", "Grab(<a>), ", "[see a] "),
)
_DIGITS = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}  # of full width
_CURLY = str.maketrans({'"': "\u201d", "'": "\u2019"})
_SWAPPED = str.maketrans({'"': "'", "'": '"'})


def _replaced(generator: random.Random, text: str, found: list[re.Match[str]], new: str) -> str | None:
    """The text with one of the matches replaced."""
    if not found:
        return None
    match = generator.choice(found)
    return text[: match.start()] + new + text[match.end() :]


def _span(generator: random.Random, text: str, most: int = 200) -> tuple[int, int]:
    start = generator.randrange(len(text) + 1)
    return start, min(len(text), start + generator.randint(1, most))


def _insert(generator: random.Random, text: str, new: str) -> str:
    at = generator.randrange(len(text) + 1)
    return text[:at] + new + text[at:]


def flip_bits(generator: random.Random, text: str, other: str) -> Text | None:
    """Bits of a few bytes."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if not data:
        return None
    for _ in range(generator.randint(1, 4)):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    return bytes(data)


def change_character(generator: random.Random, text: str, other: str) -> Text | None:
    """One character, by another that JSON and Python know."""
    at = generator.randrange(len(text) + 1)
    return text[:at] + generator.choice("[]{}(),:\"'\\/.-+eE0123456789 \ntfnNI#") + text[at + 1 :]


def delete(generator: random.Random, text: str, other: str) -> Text | None:
    """A piece is lost."""
    start, end = _span(generator, text)
    return text[:start] + text[end:]


def duplicate(generator: random.Random, text: str, other: str) -> Text | None:
    """A piece stands twice."""
    start, end = _span(generator, text)
    return text[:end] + text[start:]


def move(generator: random.Random, text: str, other: str) -> Text | None:
    """A piece stands elsewhere."""
    start, end = _span(generator, text, 60)
    return _insert(generator, text[:start] + text[end:], text[start:end])


def splice(generator: random.Random, text: str, other: str) -> Text | None:
    """The beginning of one text and the end of another."""
    return text[: generator.randrange(len(text) + 1)] + other[generator.randrange(len(other) + 1) :]


def cut(generator: random.Random, text: str, other: str) -> Text | None:
    """The text ends too early."""
    whole = text.rstrip()
    return whole[: generator.randrange(1, len(whole))] if len(whole) > 1 else None


def behead(generator: random.Random, text: str, other: str) -> Text | None:
    """The text begins too late."""
    return text[generator.randrange(len(text) + 1) :]


def odd_number(generator: random.Random, text: str, other: str) -> Text | None:
    """A number that is strange, or none."""
    return _replaced(generator, text, list(_NUMBER.finditer(text)), generator.choice(ODD_NUMBERS))


def other_number(generator: random.Random, text: str, other: str) -> Text | None:
    """A number that could be meant."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    value = float(generator.choice(found).group())
    near, scaled = value + generator.gauss(0, 0.02), value * generator.uniform(0.5, 2)
    changed = generator.choice((near, scaled, -value, value * 10))
    return _replaced(generator, text, found, repr(changed))


def wide_digits(generator: random.Random, text: str, other: str) -> Text | None:
    """Digits of another script."""
    start, end = _span(generator, text, 40)
    return text[:start] + text[start:end].translate(_DIGITS) + text[end:]


def other_quotes(generator: random.Random, text: str, other: str) -> Text | None:
    """Quotes of another kind, in a piece or everywhere."""
    start, end = _span(generator, text) if generator.random() < 0.5 else (0, len(text))
    return text[:start] + text[start:end].translate(generator.choice((_CURLY, _SWAPPED))) + text[end:]


def noise(generator: random.Random, text: str, other: str) -> Text | None:
    """Fragments of other languages, escapes, marks and characters that no plan holds."""
    for _ in range(generator.randint(1, 3)):
        text = _insert(generator, text, generator.choice(NOISE))
    return text


def other_type(generator: random.Random, text: str, other: str) -> Text | None:
    """A value of another type."""
    found = [*_NUMBER.finditer(text), *_STRING.finditer(text)]
    return _replaced(generator, text, found, generator.choice(('"1"', "true", "null", "[]", "{}", "[[]]", '{"a": 1}')))


def swap_keys(generator: random.Random, text: str, other: str) -> Text | None:
    """Two strings change places, keys among them."""
    found = list(_STRING.finditer(text))
    if len(found) < 2:
        return None
    a, b = sorted(generator.sample(found, 2), key=lambda match: match.start())
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def swap_lines(generator: random.Random, text: str, other: str) -> Text | None:
    """Two lines change places."""
    lines = text.split("\n")
    if len(lines) < 2:
        return None
    i, j = generator.sample(range(len(lines)), 2)
    lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def other_string(generator: random.Random, text: str, other: str) -> Text | None:
    """A string is taken from the other text."""
    found = _STRING.findall(other)
    return _replaced(generator, text, list(_STRING.finditer(text)), generator.choice(found)) if found else None


def construct(generator: random.Random, text: str, other: str) -> Text | None:
    """A piece of Python where a value stood."""
    found = [*_NUMBER.finditer(text), *_ARGUMENT.finditer(text)]
    return _replaced(generator, text, found, generator.choice(CONSTRUCTS))


def statement(generator: random.Random, text: str, other: str) -> Text | None:
    """A line of Python."""
    lines = text.split("\n")
    lines.insert(generator.randrange(len(lines) + 1), generator.choice(STATEMENTS))
    return "\n".join(lines)


def storm(generator: random.Random, text: str, other: str) -> Text | None:
    """Brackets without end."""
    depth = generator.choice((70, 1000, 100_000))
    mark = generator.choice(("[", "{", "(", '{"a":', "[[", "([", "f(", "<think>", "-", "not ", "a.", "1+", "\\", '"'))
    return _insert(generator, text, mark * min(depth, (MAX_TEXT - len(text)) // len(mark)))


def loop(generator: random.Random, text: str, other: str) -> Text | None:
    """A model that runs away: a piece over and over, up to the longest text that is read, or beyond."""
    start, end = _span(generator, text, 30)
    piece = generator.choice((text[start:end], *PIECES)) or " "
    length = generator.choice((2_000, 20_000, MAX_TEXT - len(text), MAX_TEXT + 1))
    return text[:end] + piece * max(1, length // len(piece)) + text[end:]


def broken_number(generator: random.Random, text: str, other: str) -> Text | None:
    """Something that is no number, or none that a robot could be told, in the place of one."""
    return _replaced(generator, text, list(_NUMBER.finditer(text)), generator.choice(BROKEN_NUMBERS))


def deep(generator: random.Random, text: str, other: str) -> Text | None:
    """The plan inside of many lists."""
    depth = generator.choice((65, 500, 100_000))
    return "[" * depth + text + "]" * depth


def unclosed(generator: random.Random, text: str, other: str) -> Text | None:
    """Something begins after the plan and does not end."""
    return text + generator.choice(('{"a": 1', "[" * 50, '["', "<think>", '{"actions": [[0', "[1, 2"))


def half_character(generator: random.Random, text: str, other: str) -> Text | None:
    """Bytes that are no text, or half of a pair of surrogates."""
    if generator.random() < 0.5:
        return _insert(generator, text, generator.choice(("\ud800", "\udc00", "\udfff\ud800")))
    data = text.encode("utf-8", "surrogatepass")
    at = generator.randrange(len(data) + 1)
    return data[:at] + generator.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80")) + data[at:]


def key_twice(generator: random.Random, text: str, other: str) -> Text | None:
    """An object with a key that stands twice."""
    found = list(_KEY.finditer(text))
    if not found:
        return None
    match = generator.choice(found)
    at, value = match.start(1), generator.choice(("0", "null", "[]"))
    return f"{text[:at]}{match.group(1)}: {value}, {text[at:]}"


def inside(generator: random.Random, text: str, other: str) -> Text | None:
    """The plan inside of something else."""
    return generator.choice(('{"note": %s}', "[[[[%s]]]]", '{"plan": {"steps": %s}}')) % text


def as_string(generator: random.Random, text: str, other: str) -> Text | None:
    """The plan as a string within JSON."""
    return json.dumps({"note": text}) if '"' in text else None


def remark(generator: random.Random, text: str, other: str) -> Text | None:
    """A remark where JSON has none."""
    found = list(re.finditer(r"(?<=[\]}])(?=,)|(?<=[\[{])(?=[\[{\"])", text))
    return _replaced(generator, text, found, generator.choice((" // then\n", " /* then */ ", " # then\n")))


def hostile_argument(generator: random.Random, text: str, other: str) -> Text | None:
    """A call is given a piece of Python that is no literal."""
    return _replaced(generator, text, list(_ARGUMENT.finditer(text)), f"({generator.choice(CONSTRUCTS)})")


def fence(generator: random.Random, text: str, other: str) -> Text | None:
    """A code fence."""
    return f"```\n{text}\n```" if generator.random() < 0.5 else f"\n\n```\n{text}\n```\n"


def thought(generator: random.Random, text: str, other: str) -> Text | None:
    """Thoughts before the plan, with another plan in them."""
    doubt = re.sub(r"</?think", "", other[:2000], flags=re.IGNORECASE).encode("utf-8", "ignore").decode()
    return f"<think>Perhaps {doubt} or NaN [[[ would do.</think>\n{text}"


def mark_of_order(generator: random.Random, text: str, other: str) -> Text | None:
    """A byte order mark, in a string or in bytes."""
    return "\ufeff" + text if generator.random() < 0.5 else b"\xef\xbb\xbf" + text.encode("utf-8", "surrogatepass")


def blanks(generator: random.Random, text: str, other: str) -> Text | None:
    """Blank lines around, of one system or the other."""
    end = generator.choice(("\n", "\r\n"))
    return end * generator.randint(0, 3) + text.replace("\n", end) + end * generator.randint(1, 3)


def prose(generator: random.Random, text: str, other: str) -> Text | None:
    """Words around."""
    return f"Sure! Here is the plan (see [the format] above):\n\n{text}\n\nLet me know if it works.\n"


def twice(generator: random.Random, text: str, other: str) -> Text | None:
    """The same plan a second time."""
    return f"{text}\n\nOnce more:\n\n{text}"


WILD: tuple[Mutation, ...] = (
    *(flip_bits, change_character, delete, duplicate, move, splice, cut, behead, odd_number, other_number),
    *(wide_digits, other_quotes, noise, other_type, swap_keys, swap_lines, other_string, construct, statement),
)
HUGE: tuple[Mutation, ...] = (storm, loop, deep)  # rarely: each takes as long as a thousand others
# Of a text that is a plan and nothing else: what no plan may come out of, and what the same plan must come out of.
HOPELESS_JSON: tuple[Mutation, ...] = (
    *(broken_number, cut, deep, unclosed, half_character, key_twice, inside, as_string, remark),
)
HOPELESS_CALLS: tuple[Mutation, ...] = (broken_number, half_character, hostile_argument, statement)
HARMLESS_JSON: tuple[Mutation, ...] = (fence, thought, mark_of_order, blanks, prose, twice)
HARMLESS_CALLS: tuple[Mutation, ...] = (fence, thought, mark_of_order, blanks)
