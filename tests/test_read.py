"""Reading raw model text: what is tolerated, what is refused, and that no text can do harm."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from worldverify.describe import describe, shorten
from worldverify.literal import MAX_DEPTH, ValueParser
from worldverify.read import MAX_TEXT, Reading, json_at, read
from worldverify.refusal import CODES, Refusal

PLAN = '{"actions": [[1, 2], [3, 4]]}'
VALUE = {"actions": [[1.0, 2.0], [3.0, 4.0]]}


def is_plan(value: object) -> bool:
    return isinstance(value, dict) and "actions" in value


def refusal_of(text: str | bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(text, is_plan)
    return caught.value


def test_plain_json_is_read_without_a_warning() -> None:
    assert read(PLAN, is_plan) == Reading(VALUE, ())


TOLERATED: dict[str, tuple[str, str]] = {
    "a fence": (f"```json\n{PLAN}\n```", "Code fences"),
    "a fence without a language": (f"```\n{PLAN}\n```", "Code fences"),
    "prose": (f"Sure! Here is the plan:\n\n{PLAN}\n\nGood luck.", "Prose"),
    "prose with brackets": (f"I use [the format] as in {{this}}: {PLAN} [1]", "Prose"),
    "prose with a broken list": (f"At [0.1, 0.2 m] I stop. {PLAN}", "Prose"),
    "single quotes": ("{'actions': [[1, 2], [3, 4]]}", "Single quotes"),
    "tuples": ('{"actions": [(1, 2), (3, 4,)]}', "tuples"),
    "trailing commas": ('{"actions": [[1, 2,], [3, 4],],}', "comma"),
    "numbers that JSON forbids": ('{"actions": [[1., +2], [3, 4]]}', "Numbers"),
    "thoughts": (f"<think>first {{'actions': [[9, 9]]}} or [</think>{PLAN}", "<think>"),
    "thoughts that a template began": (f"so be it</think>\n{PLAN}", "<think>"),
    "the same plan twice": (f"{PLAN}\nAgain:\n{PLAN}", "2 times"),
    "another value": (f'{{"reasoning": "easy"}}\n{PLAN}', "Prose"),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_clumsy_text_is_read_with_a_warning(name: str) -> None:
    text, warning = TOLERATED[name]
    reading = read(text, is_plan)
    assert reading.value == VALUE
    assert any(warning in sentence for sentence in reading.warnings)
    assert all(sentence.endswith(".") for sentence in reading.warnings)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "empty"),
    "blanks": (" \n\t", "empty"),
    "a word": ("None", "no_plan"),
    "an error message": ("429 Too Many Requests", "no_plan"),
    "a call": ("move_to([0.1, 0.2, 0.3])\nopen_gripper()", "no_plan"),
    "only thoughts": ("<think>hm</think>", "no_plan"),
    "unfinished thoughts": ("<think>hm", "truncated"),
    "a stray end of thoughts": (f"<think>a</think>{PLAN}</think>{PLAN}", "malformed"),
    "another object": ('{"plan": "go"}', "unknown_format"),
    "a list": ("[[1, 2], [3, 4]]", "unknown_format"),
    "a plan within another object": (f'{{"answer": {PLAN}}}', "unknown_format"),
    "a plan within a string": (json.dumps({"answer": PLAN}), "unknown_format"),
    "a plan within a broken object": (f'{{"answer": oops, "x": {PLAN}}}', "malformed"),
    "a plan within an object with a stray bracket": (f'{{"answer": ], "x": {PLAN}}}', "malformed"),
    "a plan within a broken list": (f"[{PLAN}, oops]", "malformed"),
    "a plan in a list": (f"[{PLAN}]", "unknown_format"),
    "a cut list": ('{"actions": [[1, 2], [3', "truncated"),
    "a cut string": ('{"actions": "[[1, 2', "truncated"),
    "a cut escape": ('{"actions": "\\u12', "truncated"),
    "a cut key": ('{"act', "truncated"),
    "a cut word": ('{"actions": [[tru', "truncated"),
    "a cut number": ('{"actions": [[1.5e-', "truncated"),
    "a missing bracket": ('{"actions": [[1, 2]]', "truncated"),
    "a second plan cut off": (f'{PLAN} {{"actions": [[1', "truncated"),
    "two plans": (f'{PLAN} or {{"actions": [[1, 2], [3, 5]]}}', "ambiguous"),
    "a plan beside a broken one": (f'{PLAN} or {{"actions": [[1, x]]}}', "malformed"),
    "no commas": ('{"actions": [[1 2] [3 4]]}', "malformed"),
    "an ellipsis": ('{"actions": [[1, 2], ...]}', "malformed"),
    "a comment": ('{"actions": [[1, 2]] // done\n}', "malformed"),
    "a Python comment": ('{"actions": [[1, 2]], # done\n}', "malformed"),
    "a bare key": ("{actions: [[1, 2]]}", "malformed"),
    "a missing colon": ('{"actions" [[1, 2]]}', "malformed"),
    "a key twice": ('{"actions": [[1, 2]], "actions": [[3, 4]]}', "malformed"),
    "a leading zero": ('{"actions": [[01, 2]]}', "malformed"),
    "a sum": ('{"actions": [[1 + 1, 2]]}', "malformed"),
    "a call as a value": ('{"actions": [[pi(), 2]]}', "malformed"),
    "a number in parentheses": ('{"actions": [[(1), 2]]}', "malformed"),
    "half a surrogate pair": ('{"actions": "\\ud800"}', "malformed"),
    "half a surrogate pair in the text": ('{"actions": "\ud800"}', "malformed"),
    "a line break in a string": ('{"actions": "a\nb"}', "malformed"),
    "bytes that are not UTF-8": (b'{"actions": "\xff"}', "malformed"),
    "too much text": ("7 " * MAX_TEXT, "too_long"),
    "too many brackets": ('{"actions": ' + "[" * MAX_DEPTH, "too_deep"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_text_that_cannot_be_trusted_is_refused(name: str) -> None:
    text, code = REFUSED[name]
    refusal = refusal_of(text)
    assert refusal.code == code
    assert refusal.cause == "plan"
    assert refusal.reason.endswith(".")


def test_what_is_not_finite_is_left_to_the_plan_to_refuse() -> None:
    value = read('{"actions": [[NaN, 1e400, -Infinity, nan, inf]]}', is_plan).value
    assert str(value) == "{'actions': [[nan, inf, -inf, nan, inf]]}"


def test_booleans_and_null_are_read_as_such_in_both_spellings() -> None:
    reading = read('{"actions": [true, False, null, None]}', is_plan)
    assert reading.value == {"actions": [True, False, None, None]}
    assert any("Python" in sentence for sentence in reading.warnings)


def test_a_broken_value_is_named_with_its_place() -> None:
    refusal = refusal_of('{"actions": [\n  [1, 2],\n  [3 4]\n]}')
    assert "line 3, column 6" in refusal.reason
    assert "expected ',' or ']' but found '4'" in refusal.reason


def test_thoughts_do_not_move_the_places_in_sentences() -> None:
    assert "line 2, column 17" in refusal_of('<think>\nso</think>{"a": x}').reason


def test_a_foreign_value_is_described() -> None:
    reason = refusal_of('[{"function": "move", "args": {}}, {"function": "stop", "args": {}}]').reason
    assert "a list of 2 objects with the keys 'function', 'args'" in reason


def test_calls_are_named() -> None:
    assert "pick_and_place(...)" in refusal_of('pick_and_place("hat")').reason


def test_what_would_have_been_read_is_said() -> None:
    with pytest.raises(Refusal, match="It wants a plan"):
        read("hello", is_plan, wanted="It wants a plan.")


HOSTILE = {
    "open lists": "[" * 1_000_000,
    "open objects": '{"' * 500_000,
    "digits": "1" * 1_000_000,
    "as many open objects as are read": '{"' * (MAX_TEXT // 2),
    "digits in a list": '{"actions": [[' + "1" * 250_000 + "]]}",
    "a long fraction": '{"actions": [[0.' + "1" * 250_000 + "]]}",
    "broken lists": "[x" * (MAX_TEXT // 2),
    "broken lists, one a line": "\n[x" * (MAX_TEXT // 3),
    "nested objects": '{"a":' * 50_000,
    "strings in lists": '["' * (MAX_TEXT // 2),
    "keys without colons": '{"a" ' * 50_000,
    "broken pairs": '{"a":1,x' * 32_000,
    "backslashes": '["' + "\\" * 250_000,
    "blanks": "[" + " " * 250_000,
    "thoughts": "<think>" * 35_000,
    "closed thoughts": "<think></think>" * 17_000,
    "one long word": "[" + "a" * 250_000,
    "many small lists": "[1]" * 80_000,
    "many equal plans": '{"actions":[[1]]}' * 15_000,
    "many keys": "{" + ",".join(f'"{index}":1' for index in range(20_000)) + "}",
    "calls": "a(" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_in_linear_time(name: str) -> None:
    # A quadratic reader would take minutes for these.
    try:
        read(HOSTILE[name], is_plan)
    except Refusal as refusal:
        assert len(refusal.reason) < 1_000


@given(st.text(alphabet=st.sampled_from("{}[]()\"':,.0123456789eE+-\\/#\n truefalsNI<>hink`"), max_size=80) | st.text())
@settings(max_examples=200)
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    for candidate in (text, '{"actions": ' + text, PLAN + text):
        try:
            reading = read(candidate, is_plan)
        except Refusal as refusal:
            assert refusal.code in CODES
        else:
            assert is_plan(reading.value)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    try:
        read(data, is_plan)
    except Refusal as refusal:
        refusal.reason.encode("utf-8")


numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_json_writes_is_read_back_exactly(value: object) -> None:
    for ascii_only in (True, False):
        reading = read(json.dumps({"actions": value}, ensure_ascii=ascii_only), is_plan)
        assert repr(reading.value) == repr({"actions": value})
        assert reading.warnings == ()


@given(values)
def test_strict_json_and_the_same_between_prose_are_read_alike(value: object) -> None:
    text = json.dumps({"actions": value})
    assert repr(read(f"Here: {text}", is_plan).value) == repr(read(text, is_plan).value)


@given(st.text(alphabet=st.sampled_from('{}[]",:.01eE+-\\\\/ \\nutruefalsNIy'), max_size=40) | values.map(json.dumps))
@settings(max_examples=500)
@example('[NaN, Infinity, -Infinity, -0, 1e999, 0.1E+2, 123456789012345678901234567890, "\\\\u00e9\\\\ud83d\\\\ude00"]')
@example('{"a": 1, "a": 2}')
@example('["a\\tb", "\\x00"]')
def test_the_short_way_to_read_json_finds_what_the_long_way_finds(text: str) -> None:
    text = f"[{text}]" if text[:1] not in ("{", "[") else text
    short = json_at(text, 0)
    if short is None:
        return
    long = ValueParser(text, 0)
    assert long.run() == short[1] and not long.notes
    assert repr(long.root) == repr(short[0])


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH])
def test_strict_json_may_nest_as_deep_as_any_other(depth: int) -> None:
    text = '{"actions": ' + "[" * depth + "]" * depth + "}"
    for candidate in (text, f"Here: {text}"):
        if depth < MAX_DEPTH:
            assert read(candidate, is_plan).value
        else:
            assert refusal_of(candidate).code == "too_deep"


@given(values)
def test_any_value_is_described_in_a_few_words(value: object) -> None:
    assert 0 < len(describe(value)) < 1_000
    assert len(shorten(value)) <= 200


def test_nothing_is_ever_evaluated() -> None:
    for text in (
        "__import__('os').abort()",
        '{"actions": [__import__("os").abort()]}',
        '{"actions": [[2**9**9]]}',
    ):
        refusal_of(text)
