"""Programs of calls: what is read, what is refused, and that nothing is ever executed."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from worldverify.calling.code import MAX_CALLS, Call, Calls, Signature, read_calls
from worldverify.calling.position import Coordinate, Position, Term, evaluate
from worldverify.calling.text import programs
from worldverify.refusal import CODES, Refusal

ALLOWED = {
    "go": Signature(("position", "speed"), optional=("speed",)),
    "grip": Signature(("closed",), receiver="robot"),
    "stop": Signature(),
    "where": Signature(("name",), gives="position"),
    "seen": Signature(("name",), gives="answer"),
    "say": Signature(gives="nothing"),
    "ask": Signature(("question",), refused="asks another model"),
}


def said(text: str | bytes) -> list[tuple[str, dict[str, object]]]:
    return [(call.name, dict(call.arguments)) for call in read_calls(text, ALLOWED).calls]


def refusal_of(text: str | bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_calls(text, ALLOWED)
    return caught.value


def point(text: str) -> object:
    """What the first argument of go(...) is."""
    return said(text)[-1][1]["position"]


READ: dict[str, tuple[str, object]] = {
    "a list": ("go([1, 2.5])", (1, 2.5)),
    "a tuple": ("go((1, 2))", (1, 2)),
    "a keyword": ("go(position=[1])", (1,)),
    "a string": ("go('a b')", "a b"),
    "escapes": (r"go('Rubik\'s \"cube\" \u00e9')", 'Rubik\'s "cube" \u00e9'),
    "joined strings": ("go('a' 'b')", "ab"),
    "a raw string": (r"go(r'\d')", r"\d"),
    "words": ("go([True, None])", (True, None)),
    "arithmetic": ("go([5 + 5, 7 // 2, 7 % 4, 1 / 4, -2 * 3, +1, 5 - 0.5])", (10, 3, 3, 0.25, -6, 1, 4.5)),
    "a name": ("h = 0.1\ngo([h, 2 * h])", (0.1, 0.2)),
    "chained names": ("a = b = 1\ngo([a, b])", (1, 1)),
    "unpacking": ("a, (b, c) = [1, (2, 3)]\ngo([a, b, c])", (1, 2, 3)),
    "an index": ("p = [[1, 2], [3, 4]]\ngo([p[0][1], p[-1][0]])", (2, 3)),
    "a dict": ("d = {'a': 1, 2: 3}\ngo([d['a'], d[2]])", (1, 3)),
    "adding to a name": ("h = 1\nh += 2\nh *= 2\ngo([h])", (6,)),
    "several on a line": ("h = 1; go([h])", (1,)),
    "a condition on literals": ("if 1 < 2 and not False:\n  go([1])\nelse:\n  go([2])", (1,)),
    "a remark": ('"""pick it up"""\n# now\ngo([1])  # here', (1,)),
    "a call over several lines": ("go(\n  [1,\n   2],\n)", (1, 2)),
    "indentation that all lines share": ("    h = 1\n    go([h])", (1,)),
    "Windows line ends": ("h = 1\r\ngo([h])\r\n", (1,)),
}


@pytest.mark.parametrize("name", READ)
def test_literals_and_what_is_made_of_them_are_read(name: str) -> None:
    text, value = READ[name]
    assert point(text) == value


def test_calls_keep_their_order_and_their_lines() -> None:
    calls = read_calls("stop()\n\ngo([1], 2)\nrobot.grip(True)", ALLOWED).calls
    assert calls[0] == Call("stop", {}, 1)
    assert calls[1] == Call("go", {"position": (1,), "speed": 2}, 3)
    assert calls[2] == Call("grip", {"closed": True}, 4)


LOOPS = {
    "range": ("for i in range(1, 4):\n  go(i)", [1, 2, 3]),
    "a list": ("for x in ['a', 'b']:\n  go(x)", ["a", "b"]),
    "a name": ("xs = (1, 2)\nfor x in xs:\n  go(x)", [1, 2]),
    "zip": ("for a, b in zip([1, 2], [3, 4]):\n  go([a, b])", [(1, 3), (2, 4)]),
    "enumerate": ("for i, a in enumerate(['x', 'y']):\n  go([i, a])", [(0, "x"), (1, "y")]),
    "loops in loops": ("for i in range(2):\n  for j in range(2):\n    go([i, j])", [(0, 0), (0, 1), (1, 0), (1, 1)]),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_over_literals_are_unrolled(name: str) -> None:
    text, values = LOOPS[name]
    assert [arguments["position"] for _, arguments in said(text)] == values


def test_unrolling_stops_at_a_bound() -> None:
    assert len(said(f"for i in range({MAX_CALLS}):\n  stop()")) == MAX_CALLS
    assert refusal_of(f"for i in range({MAX_CALLS}):\n  stop()\nstop()").code == "too_long"
    assert refusal_of("for i in range(1000):\n  for j in range(1000):\n    pass\nstop()").code == "too_long"
    assert refusal_of("for i in range(10 * 1000):\n  pass\nstop()").code == "too_long"


def test_where_an_object_is_stays_symbolic() -> None:
    position = point("go(where('red block'))")
    assert position == Position(tuple(Coordinate(0.0, (Term("red block", axis, 1.0),)) for axis in "xyz"))


WHERE = {"a": (1.0, 2.0, 3.0), "b": (10.0, 20.0, 30.0)}
SYMBOLIC = {
    "items": ("p = where('a')\ngo([p[0], p[1], 0.15])", (1.0, 2.0, 0.15)),
    "unpacked": ("x, y, z = where('a')\ngo([x, y, z + 0.1])", (1.0, 2.0, 3.1)),
    "a vector sum": ("go(where('a') + [0, 0, 0.5])", (1.0, 2.0, 3.5)),
    "a vector difference": ("go(where('b') - where('a'))", (9.0, 18.0, 27.0)),
    "half way": ("p = where('a')\nq = where('b')\ngo((p + q) / 2)", (5.5, 11.0, 16.5)),
    "multiples": ("go([2 * where('a')[0], -where('a')[1], where('b')[2] * 0.5])", (2.0, -2.0, 15.0)),
    "what cancels": ("p = where('a')\nq = where('b')\ngo([p[0] + (q[0] - p[0]), p[0] - p[0], 1])", (10.0, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_sums_of_positions_are_what_they_would_be_with_numbers(name: str) -> None:
    text, wanted = SYMBOLIC[name]
    position = point(text)
    items = position.coordinates if isinstance(position, Position) else position
    assert isinstance(items, tuple)
    assert tuple(evaluate(item, WHERE) for item in items) == pytest.approx(wanted, abs=1e-12)


def test_what_cancels_is_a_plain_number_again() -> None:
    assert point("p = where('a')\ngo([p[0] - p[0] + 0.25])") == (0.25,)


def test_a_question_after_the_first_step_gets_a_warning() -> None:
    calls = read_calls("p = where('a')\nstop()\nq = where('b')", ALLOWED)
    assert [query.after for query in calls.queries] == [0, 1]
    assert any("Line 3 asks where 'b' is after the plan has begun" in warning for warning in calls.warnings)
    assert not read_calls("p = where('a')\nstop()", ALLOWED).warnings


REFUSED: dict[str, tuple[str, str, str]] = {  # text, code, what the sentence says
    "a function": ("stop()\ndef f():\n  stop()", "malformed", "Line 2 defines a function"),
    "a lambda": ("f = lambda: 0", "malformed", "lambda"),
    "a class": ("class A: pass", "malformed", "a class"),
    "while": ("while True:\n  stop()", "malformed", "while"),
    "a comprehension": ("go([x for x in [1]])", "malformed", "comprehension"),
    "a generator": ("go(sum(x for x in [1]))", "unknown_skill", "sum"),
    "an attribute": ("go(stop.__class__)", "malformed", "attribute .__class__"),
    "a method": ("stop().real()", "malformed", "attribute .real"),
    "a dunder": ("__import__('os').system('true')", "malformed", "attribute .system"),
    "exec": ("exec('stop()')", "unknown_skill", "exec"),
    "eval": ("go(eval('1'))", "unknown_skill", "eval"),
    "getattr": ("getattr(go, 'x')()", "malformed", "not a name"),
    "open": ("open('x', 'w')", "unknown_skill", "open"),
    "an import": ("import numpy as np\nstop()", "malformed", "imports 'numpy'"),
    "an import from": ("from os import system\nstop()", "malformed", "imports 'os'"),
    "try": ("try:\n  stop()\nfinally:\n  stop()", "malformed", "try"),
    "with": ("with a as b:\n  stop()", "malformed", "with"),
    "match": ("match 1:\n  case 1:\n    stop()", "malformed", "match"),
    "await": ("await stop()", "malformed", "awaits"),
    "a walrus": ("go((a := 1))", "malformed", ":="),
    "a star": ("go(*[1])", "malformed", "unpacks with *"),
    "two stars": ("go(**{'position': 1})", "malformed", "unpacks with **"),
    "global": ("global a", "malformed", "global"),
    "del": ("a = 1\ndel a", "malformed", "del"),
    "assert": ("assert 1", "malformed", "assert"),
    "a decorator": ("@stop\ndef f(): pass", "malformed", "defines a function"),
    "an f-string": ("go(f'{1}')", "malformed", "f-string"),
    "a slice": ("p = [1, 2]\ngo(p[:1])", "malformed", "slice"),
    "break": ("for i in [1]:\n  break", "malformed", "break"),
    "for else": ("for i in [1]:\n  stop()\nelse:\n  stop()", "malformed", "loop with else"),
    "a ternary": ("go(1 if 1 else 2)", "malformed", "if ... else"),
    "a set": ("go({1, 2})", "malformed", "set"),
    "a type": ("a: int = 1", "malformed", "type"),
    "a changed item": ("p = [1]\np[0] = 2", "malformed", "in place"),
    "a changed item by adding": ("p = [1]\np[0] += 2", "malformed", "in place"),
    "a power": ("go(2 ** 3)", "malformed", "**"),
    "a power of powers": ("go(9 ** 9 ** 9)", "malformed", "**"),
    "a shift": ("go(1 << 30)", "malformed", "<<"),
    "a huge product": ("go(1e5 * 1e5)", "out_of_range", "1e+06"),
    "an infinite number": ("go(1e999)", "not_finite", "finite"),
    "a long number": ("go(" + "9" * 5000 + ")", "out_of_range", "5,000"),
    "a complex number": ("go(1j)", "malformed", "1j"),
    "a glued number": ("go(1if 2 else 3)", "malformed", "1if"),
    "bytes": ("go(b'a')", "wrong_type", "bytes"),
    "dots": ("go(...)", "wrong_type", "ellipsis"),
    "an odd escape": (r"go('\d')", "malformed", r"\d"),
    "zero": ("go(1 / 0)", "not_finite", "zero"),
    "zero left over": ("go(1 % 0)", "not_finite", "zero"),
    "a list plus a list": ("go([1] + [2])", "wrong_type", "list"),
    "text plus text": ("go('a' + 'b')", "wrong_type", "string"),
    "a boolean in a sum": ("go(True + 1)", "wrong_type", "boolean"),
    "an unknown name": ("go(height)", "malformed", "'height'"),
    "an unknown function": ("walk(1)", "unknown_skill", "walk"),
    "a near miss": ("stopp()", "unknown_skill", "Did you mean 'stop'?"),
    "another receiver": ("arm.grip(True)", "malformed", "attribute"),
    "a method that is none": ("robot.stop()", "unknown_skill", "robot.grip"),
    "a function that is not called": ("stop", "malformed", "without calling it"),
    "a function as a value": ("go(stop)", "malformed", "without calling it"),
    "a function renamed": ("stop = 1", "malformed", "another meaning"),
    "a cut name": ("stop()\nsto", "malformed", "stop(...)"),
    "too many values": ("stop(1)", "wrong_width", "takes none"),
    "a missing value": ("go()", "missing_key", "position"),
    "a value twice": ("go([1], position=[2])", "malformed", "twice"),
    "an unknown keyword": ("go([1], sped=2)", "unknown_key", "Did you mean 'speed'?"),
    "another model": ("p = ask('left of the cube')\nstop()", "unknown_skill", "another model"),
    "an answer as a value": ("go(seen('a'))", "malformed", "known only on the robot"),
    "an answer as a condition": ("if seen('a'):\n  stop()", "malformed", "without the condition"),
    "a position as a condition": ("if where('a')[0] > 1:\n  stop()", "malformed", "without the condition"),
    "a list of positions in a condition": ("if [where('a')] == [1]:\n  stop()", "malformed", "without the condition"),
    "a product of positions": ("go(where('a')[0] * where('b')[0])", "malformed", "not a sum"),
    "a part of a position too many": ("go(where('a')[3])", "out_of_range", "item 3 of 3"),
    "a position plus a short list": ("go(where('a') + [1, 2])", "wrong_width", "one of 2 values"),
    "where nothing is": ("go(where(1))", "wrong_type", "name one object"),
    "unpacking too many": ("a, b = [1, 2, 3]", "wrong_width", "unpacks 3 values"),
    "looping over text": ("for c in 'ab':\n  stop()", "wrong_type", "string"),
    "an index beyond": ("go([1, 2][5])", "out_of_range", "item 5"),
    "a key that is not there": ("go({'a': 1}['b'])", "missing_key", "'b'"),
    "a call within one left out": ("say(stop())", "malformed", "call within a call"),
    "a construct within one left out": ("say([x for x in [1]])", "malformed", "comprehension"),
    "only data": ("[[1, 2], [3, 4]]", "unknown_format", "data and no call"),
    "no step": ("a = 1", "no_plan", "no step"),
    "only a remark": ("# nothing", "no_plan", "no step"),
    "only prose": ("I would rather not do that, sorry.", "no_plan", "prose"),
    "nothing": ("", "empty", "empty"),
    "a null character": ("stop()\0", "malformed", "null"),
    "mixed tabs": ("if True:\n\tstop()\n        stop()", "malformed", "tabs"),
    "a wrong indentation": ("stop()\n  stop()", "malformed", "Line 2"),
    "prose between calls": ("stop()\nand then we wait\nstop()", "malformed", "Line 2"),
    "a call in prose": ("First we stop() the robot.\nstop()", "ambiguous", "Line 1 holds a call of stop amid prose"),
    "a numbered list": ("1. stop()\n2. stop()", "malformed", "Line 1"),
    "two programs": ("```\nstop()\n```\n```\ngo([1])\n```", "ambiguous", "2 programs"),
    "a cut call": ("stop()\ngo([1, 2", "truncated", "'[' of line 2"),
    "a cut string": ("stop()\ngo('red blo", "truncated", "string on line 2"),
    "a cut block": ("```python\nstop()\n", "truncated", "code block that begins on line 1"),
    "a cut thought": ("<think>stop()", "truncated", "think"),
    "an open bracket within a block": ("```\ngo([1, 2\n```", "malformed", "never closed"),
    "a text that starts in mid-call": ('"chest")\nstop()', "malformed", "middle of a call"),
    "a text that starts in mid-string": ('clothing", "toy"]', "malformed", "middle of a call or a string"),
    "crossed brackets": ("go([1, 2)]", "malformed", "where the '['"),
    "deep brackets": ("go(" + "[" * 100 + "]" * 100 + ")", "too_deep", "nested"),
    "many signs": ("go(" + "-" * 5000 + "1)", "too_deep", "operators"),
    "many calls of calls": ("stop" + "()" * 5000, "too_deep", "operators"),
    "many elifs": ("if False:\n  pass\n" + "elif False:\n  pass\n" * 3000, "too_deep", "elif"),
    "a long string": ("go('" + "a" * 5000 + "')", "too_long", "5,002 characters"),
    "many words": ("go([" + "1," * 60_000 + "])", "too_long", "50,000"),
    "a runaway": ("stop()\n" * 100_000, "too_long", "characters"),
    "lists of lists": ("a = [1, 1]\n" + "a = [a, a]\n" * 60 + "go(a)", "too_long", "100,000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_is_refused_with_a_sentence(name: str) -> None:
    text, code, phrase = REFUSED[name]
    refusal = refusal_of(text)
    assert (refusal.code, phrase in refusal.reason) == (code, True), refusal.reason
    assert refusal.cause == "plan"
    assert refusal.reason.endswith(".")
    assert "\n" not in refusal.reason


TOLERATED = {
    "a fence": ("```python\nstop()\n```", "Code fences"),
    "a fence on one line": ("```stop()```", "Code fences"),
    "another block": ('Like this:\n```json\n{"a": 1}\n```\n```py\nstop()\n```', "Prose"),
    "prose around a fence": ("Sure, stop() it is:\n```\nstop()\n```\nDone.", "Prose"),
    "prose around the calls": ("Sure! Here is the plan:\n\nstop()\n\nThis stops the robot.", "Prose"),
    "thoughts": ("<think>maybe go([1])?</think>\nstop()", "<think>"),
    "the same program twice": ("```\nstop()\n```\nAgain:\n```\nstop()\n```", "2 times"),
    "what is left out": ("say(f'on to {1 + 1}')\nstop()", "say(...) was left out"),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_clumsy_text_is_read_with_a_warning(name: str) -> None:
    text, warning = TOLERATED[name]
    calls = read_calls(text, ALLOWED)
    assert [call.name for call in calls.calls] == ["stop"]
    assert any(warning in sentence for sentence in calls.warnings)
    assert all(sentence.endswith(".") for sentence in calls.warnings)


def test_lines_are_counted_in_the_whole_text() -> None:
    text = "Here it is:\n```python\nstop()\nwalk()\n```"
    assert refusal_of(text).reason.startswith("Line 4 ")
    assert read_calls(text.replace("walk()", "go([1])"), ALLOWED).calls[1].line == 4


def test_each_block_of_a_transcript_can_be_read_on_its_own() -> None:
    text = "One:\n```\nstop()\n```\nTwo:\n```\ngo([1])\n```"
    found = programs(text, ALLOWED).programs
    assert [said(program.source)[0][0] for program in found] == ["stop", "go"]
    assert [program.line for program in found] == [3, 7]


SEEDS = [
    """# pick
h = 5 + 5  # cm
p = where('red block')
for i in range(3):
  go([p[0], p[1], i * h])
robot.grip(True)
""",
    """```python
say(f'Putting {1} there')
for a, b in zip(['x'], ["z"]):
  go(a, b)
if 1 < 2:
  stop()
```
Done.""",
    """def f(x):
  return __import__('os').system(TARGET)
f(1)
[y for y in ()]
exec(TARGET)
x: int = 3
*a, b = c
""",
]
TOKENS = [
    *"()[]{}-~#1;,@\n\t '\"\\\0\x0c\u201c",
    *("not ", "lambda: ", "if ", "else ", "elif 1:", '"""', "1e9", "1j", "0x", "b'", "r'", "f'{", "**", ":=", "..."),
    *(
        "await ",
        "yield ",
        "pass",
        "for x in y:",
        " is ",
        "import os",
        "def f():",
        "exec(TARGET)",
        "eval(",
        ".x",
        "\\777",
    ),
    *("99999999999999999999", "1_000", "01", "1if", "```", "<think>", "</think>"),
]


def mutated(text: str, generator: random.Random) -> str:
    for _ in range(generator.choice((1, 1, 2, 4))):
        at = generator.randrange(len(text) + 1)
        end = min(len(text), at + generator.randrange(12))
        match generator.randrange(5):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + generator.choice(TOKENS) + text[at:]
            case 2:
                text = text[:at] + generator.choice(TOKENS) * generator.choice((3, 300)) + text[at:]
            case 3:
                text = text[:at] + chr(generator.randrange(1, 300)) + text[end:]
            case _:
                text = text[:at]
    return text


def outcome(read: Callable[[], Calls]) -> str:
    try:
        calls = read()
    except Refusal as refusal:
        assert refusal.reason.endswith(".")
        return refusal.code
    assert 0 < len(calls.calls) <= MAX_CALLS
    return "read"


@pytest.mark.parametrize("seed", range(4))
def test_mutated_programs_are_read_or_refused_and_never_executed(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    target = tmp_path / "executed"
    outcomes = set()
    for _ in range(500):
        text = mutated(generator.choice(SEEDS).replace("TARGET", f"'touch {target}'"), generator)
        outcomes.add(outcome(lambda text=text: read_calls(text, ALLOWED)))  # type: ignore[misc]
    assert outcomes <= {"read", *CODES}
    assert {"read", "malformed"} <= outcomes
    assert not target.exists()


def test_the_reader_holds_nothing_that_executes(root: Path) -> None:
    for name in ("code", "text"):
        source = (root / "worldverify" / "calling" / f"{name}.py").read_text(encoding="utf-8")
        for word in ("exec(", "eval(", "literal_eval", " compile(", "__import__"):
            assert word not in source
