"""The spec language: text and Python build the same values, and text reads back."""

import dataclasses
import math
import re
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.grammar import KEYWORDS
from worldverify.refusal import Refusal
from worldverify.signals_table import SIGNALS
from worldverify.spec import (
    Always,
    And,
    Arithmetic,
    AtEnd,
    Compare,
    Eventually,
    Function,
    Implies,
    Negative,
    Not,
    Number,
    Or,
    Requirement,
    Signal,
    Spec,
    Until,
    always,
    at_end,
    clearance,
    contact_force,
    contact_load,
    distance,
    eventually,
    implies,
    inside,
    joint,
    joint_margin,
    joint_speed,
    maximum,
    minimum,
    number,
    pos,
    scaled,
    sensor,
    slide_margin,
    speed,
    tilt,
    torque,
    until,
)
from worldverify.units import SCALES, WORDS, parse_unit
from worldverify.walk import MAX_DEPTH, atoms, signals, walk

DESIGN = """\
placed: eventually(always[0,0.5](inside(cube, basket) and speed(cube) < 0.05 m/s))
gentle: always(contact_load(gripper, cube) < 40 N)
clear: always(contact_force(arm, table) < 20 N)
limits: always(joint_margin(arm) > 0 rad)
released: at_end(contact_force(gripper, cube) < 0.1 N)"""


def formula(text):
    """The one formula of `text`."""
    return Spec.parse(f"r: {text}").requirements[0].formula


# Random values: every noun, nested at random, as the constructors accept them.
names = st.text(string.ascii_letters + string.digits + "_-/. é'#(", min_size=1, max_size=6)
units = st.none() | st.sampled_from(["m", "mm", "deg/s", "N", "Nm", "m/s/s", "N*s", "1/s"]).map(parse_unit)
finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
numbers = st.builds(Number, finite, units)
windows = st.none() | st.tuples(st.floats(0, 5), st.floats(5, 1e6))


@st.composite
def some_signal(draw):
    name = draw(st.sampled_from(sorted(SIGNALS)))
    kind = SIGNALS[name]
    parts = {"axis": st.sampled_from("xyz"), "index": st.none() | st.integers(0, 99), "none": st.none()}
    return Signal(name, tuple(draw(names) for _ in kind.args), draw(parts[kind.part]))


def expressions_over(inner):
    return st.one_of(
        st.builds(Arithmetic, st.sampled_from("+-*/"), inner, inner),
        st.builds(Negative, inner),
        st.builds(Function, st.just("abs"), st.tuples(inner)),
        st.builds(Function, st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=3)),
    )


expressions = st.recursive(numbers | some_signal(), expressions_over, max_leaves=5)
scales = st.none() | st.builds(Number, st.floats(1e-6, 1e6), units)
with_signal = some_signal() | st.builds(Arithmetic, st.sampled_from("+-*/"), expressions, some_signal())
operators = st.sampled_from(["<", "<=", ">", ">="])
some_atom = st.one_of(
    st.builds(Compare, operators, with_signal, expressions, scales),
    st.builds(Compare, operators, expressions, with_signal, scales),
    st.builds(inside, names, names),
)


def formulas_over(inner):
    return st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3)),
        st.builds(Implies, inner, inner),
        st.builds(Always, inner, windows),
        st.builds(Eventually, inner, windows),
        st.builds(Until, inner, inner, windows),
        st.builds(AtEnd, inner),
    )


formulas = st.recursive(some_atom, formulas_over, max_leaves=6)
specs = st.lists(formulas, min_size=1, max_size=3).map(
    lambda found: Spec.of(**{f"r{i}": f for i, f in enumerate(found)})
)


@given(specs)
def test_the_text_of_any_spec_reads_back_as_the_same_spec(spec):
    again = Spec.parse(str(spec))
    assert again == spec
    assert hash(again) == hash(spec)
    assert str(again) == str(spec)


@given(st.text(string.printable, max_size=60) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        Spec.parse(text)
    except Refusal as refusal:
        assert (refusal.code, refusal.cause) == ("bad_spec", "spec")


TOKENS = [*SIGNALS, *"()[],.:~<>+-*/", "always", "until", "not", "and", "implies", "1", "0.5", "m/s", "\n", "(a)"]


@given(st.lists(st.sampled_from(TOKENS), max_size=25))
def test_any_words_of_the_language_are_read_or_refused(found):
    try:
        Spec.parse("a: " + " ".join(found))
    except Refusal as refusal:
        assert refusal.code == "bad_spec"


def test_the_text_of_the_design_is_canonical():
    assert str(Spec.parse(DESIGN)) == DESIGN


def test_combinators_build_what_the_text_of_the_design_reads_as():
    spec = Spec.of(
        placed=eventually(always(inside("cube", "basket") & (speed("cube") < "0.05 m/s"), (0, 0.5))),
        gentle=always(contact_load("gripper", "cube") < number(40, "N")),
        clear=always(contact_force("arm", "table") < "20 N"),
        limits=always(joint_margin("arm") > "0 rad"),
        released=at_end(contact_force("gripper", "cube") < "0.1 N"),
    )
    assert spec == Spec.parse(DESIGN)


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (pos("cube").x < 1, "pos(cube).x < 1"),
        (pos("cube").y <= "3 cm", "pos(cube).y <= 3 cm"),
        (pos("left-finger").z >= -0.5, 'pos("left-finger").z >= -0.5'),
        (sensor("imu")[2] > 1e-3, "sensor(imu)[2] > 0.001"),
        (sensor("imu") > 1, "sensor(imu) > 1"),
        (tilt("cup") < "30 deg", "tilt(cup) < 30 deg"),
        (distance("a", "b") - 1 < "2 m", "distance(a, b) - 1 < 2 m"),
        (clearance("a", "b") > 0, "clearance(a, b) > 0"),
        (joint("j") * 2 < 1, "joint(j) * 2 < 1"),
        (2 * joint("j") < 1, "2 * joint(j) < 1"),
        (1 - joint("j") < 1, "1 - joint(j) < 1"),
        (1 / joint_speed("j") < 1, "1 / joint_speed(j) < 1"),
        ("1 m" + slide_margin("a") > 0, "1 m + slide_margin(a) > 0"),
        (abs(torque("j")) < "8 Nm", "abs(torque(j)) < 8 Nm"),
        (-torque("j") < 8, "-torque(j) < 8"),
        (minimum(speed("a"), speed("b"), "1 m/s") < 1, "min(speed(a), speed(b), 1 m/s) < 1"),
        (maximum(speed("a"), 0.1) < 1, "max(speed(a), 0.1) < 1"),
        (scaled(speed("a") < 1, "0.02 m/s"), "speed(a) < 1 ~ 0.02 m/s"),
        (scaled(inside("a", "b"), "1 mm"), "inside(a, b) ~ 1 mm"),
        (inside("a", "b") > "1 cm", "inside(a, b) > 1 cm"),
        (~inside("a", "b"), "not inside(a, b)"),
        (inside("a", "b") | inside("a", "c"), "inside(a, b) or inside(a, c)"),
        (implies(inside("a", "b"), inside("a", "c")), "inside(a, b) implies inside(a, c)"),
        (
            until(speed("a") < 1, inside("a", "b"), (0, 2)),
            "(speed(a) < 1) until[0,2] (inside(a, b))",
        ),
        (eventually(inside("a", "b"), (0.5, 1)), "eventually[0.5,1](inside(a, b))"),
    ],
)
def test_a_combinator_builds_what_its_text_reads_as(built, text):
    assert formula(text) == Requirement("r", built).formula


def test_numpy_scalars_join_expressions_on_either_side():
    assert (speed("a") < np.float64(2)) == (speed("a") < 2)
    assert (speed("a") < np.float32(2)) == (speed("a") < 2)
    assert (np.float64(2) * speed("a") < 1) == (2 * speed("a") < 1)
    assert (np.float64(2) > speed("a")) == (speed("a") < 2)


# How operators bind.


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("A and B or C", "(A and B) or C"),
        ("A or B and C", "A or (B and C)"),
        ("A implies B implies C", "A implies (B implies C)"),
        ("A or B implies C and D", "(A or B) implies (C and D)"),
        ("not A and B", "(not A) and B"),
        ("not not A", "not (not A)"),
        ("(A and B) and C", "A and B and C"),
        ("A and (B and C)", "A and B and C"),
        ("not (A) until (B)", "not ((A) until (B))"),
        ("(A) until (B) and C", "((A) until (B)) and C"),
        ("always(A) until eventually(B)", "(always(A)) until (eventually(B))"),
        ("not joint(j) < 1", "not (joint(j) < 1)"),
        ("joint(j) + 1 * 2 < 3", "joint(j) + (1 * 2) < 3"),
        ("joint(j) - 1 - 2 < 3", "(joint(j) - 1) - 2 < 3"),
        ("joint(j) / 2 * 3 < 3", "(joint(j) / 2) * 3 < 3"),
        ("-joint(j) * 2 < 3", "(-joint(j)) * 2 < 3"),
        ("joint(j) - -1 < 3", "joint(j) - (-1) < 3"),
        ("((joint(j))) < ((3))", "joint(j) < 3"),
        ("inside(a, b)", "inside(a, b) > 0 m"),
        ("1 m/joint(j) < 3", "(1 m) / joint(j) < 3"),
        ("1 m/s/joint(j) < 3", "(1 m/s) / joint(j) < 3"),
        ("1 m * joint(j) < 3", "(1 m) * joint(j) < 3"),
        ("3 1/s > joint_speed(j)", "(3 1/s) > joint_speed(j)"),
        ("always [0 s, 1 s] (A)", "always[0,1](A)"),
    ],
)
def test_operators_bind_as_their_brackets_say(text, same):
    for letter in "ABCD":
        text = text.replace(letter, f"inside({letter.lower()}, box)")
        same = same.replace(letter, f"inside({letter.lower()}, box)")
    assert formula(text) == formula(same)


def test_subtraction_is_taken_from_the_left():
    assert formula("joint(j) - 1 - 2 < 3") != formula("joint(j) - (1 - 2) < 3")


def test_a_formula_goes_on_to_the_next_line_inside_brackets():
    text = """
    # a comment

    a: always(  # another
        speed(cube) < 1 m/s
        and tilt(cube) < 1 rad
    )
    b: at_end(speed("a # b") < 1)
    """
    assert str(Spec.parse(text)) == (
        'a: always(speed(cube) < 1 m/s and tilt(cube) < 1 rad)\nb: at_end(speed("a # b") < 1)'
    )


def test_windows_line_ends_and_tabs_are_space():
    assert Spec.parse("a:\tinside(a,\tb)\r\nb: inside(a, b)\r\n").names == ("a", "b")


@pytest.mark.parametrize("name", ["left-finger", "a/b", "a.b", "a b", "7", "2link", 'say "x"', "it's", "é"])
def test_a_name_with_signs_in_it_is_quoted(name):
    spec = Spec.of(r=speed(name) < 1)
    assert Spec.parse(str(spec)) == spec
    assert spec.requirements[0].formula.left.args == (name,)


def test_an_object_may_be_named_like_an_operator():
    assert formula("speed(always) < 1") == (speed("always") < 1)


# What is refused, and that the sentence says what to write.


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "The spec is empty"),
        ("# nothing\n\n", "The spec is empty"),
        ("speed(cube) < 1", "name: formula"),
        ("my-name: speed(cube) < 1", "letters, digits and _"),
        ("not: speed(cube) < 1", "cannot name a requirement"),
        ("a: sped(cube) < 1", "Did you mean 'speed'"),
        ("a: sped(cube) < 1", "Signals: sensor, pos, speed, tilt"),
        ("a: alway(speed(cube) < 1)", "Did you mean 'always'"),
        ("a: inside(a, b) AND inside(a, c)", "Did you mean 'and'"),
        ("a: inside(a, b) && inside(a, c)", "write and"),
        ("a: speed(cube) == 1", "write abs(a - b) < tolerance"),
        ("a: speed(cube) ≤ 1", "write <="),
        ("a: speed < 1", "Write speed(OBJECT)"),
        ("a: distance(cube) < 1", "distance takes 2 names, distance(OBJECT, OBJECT), got 1"),
        ("a: inside(cube, b, c)", "inside takes 2 names, inside(OBJECT, SITE), got 3"),
        ("a: pos(cube) < 1", "write pos(cube).x, pos(cube).y, pos(cube).z"),
        ("a: pos(cube).w < 1", "write pos(cube).x"),
        ("a: speed(cube).x < 1", "one number and has no parts"),
        ("a: sensor(imu)[x] < 1", "sensor(NAME)[0]"),
        ("a: sensor(imu)[-1] < 1", "sensor(NAME)[0]"),
        ("a: speed(left-finger) < 1", 'write "left-finger"'),
        ("a: speed(a b) < 1", 'write "a b"'),
        ("a: speed('a) < 1", "never closed"),
        ("a: speed('') < 1", "cannot name an object"),
        ("a: 0 < speed(cube) < 1", "write 0 < speed(cube) and speed(cube) < ..."),
        ("a: speed(cube)", "speed(cube) alone is not a formula"),
        ("a: always(speed(cube))", "speed(cube) alone is not a formula"),
        ("a: (speed(cube) < 1) + 2 < 3", "is a formula, true or false"),
        ("a: abs(speed(cube) < 1) < 3", "is a formula, true or false"),
        ("a: 3 < 4", "compares numbers only"),
        ("a: speed(cube) < 1 knot", "Unknown unit 'knot'. Units: m, mm"),
        ("a: speed(cube) < m/s", "needs a number before it"),
        ("a: speed(cube) < 1e400", "must be finite"),
        ("a: speed(cube) < inf", "must be finite"),
        ("a: speed(cube) < 1 ~ 0 m/s", "above zero"),
        ("a: speed(cube) < 1 ~ -1 m/s", "~ gives one comparison its scale"),
        ("a: always(speed(cube) < 1) ~ 1 m/s", "~ gives one comparison its scale"),
        ("a: always speed(cube) < 1", "Write always(...)"),
        ("a: at_end[0,1](inside(a, b))", "Write at_end(...)"),
        ("a: always[1,0](inside(a, b))", "The window [1,0]"),
        ("a: always[-1,0](inside(a, b))", "The window [-1,0]"),
        ("a: always[0,1 m](inside(a, b))", "two numbers in seconds"),
        ("a: always[1](inside(a, b))", "two numbers in seconds"),
        ("a: speed(a) < 1 until (inside(a, b))", "write (A) until (B)"),
        ("a: (inside(a, b)) until speed(a) < 1", "write (A) until (B)"),
        ("a: (inside(a, b)) until (inside(a, b)) until (inside(a, b))", "until does not chain"),
        ("a: and inside(a, b)", "nothing on its left"),
        ("a: inside(a, b) and", "Found the end"),
        ("a: inside(a, b) inside(a, c)", "the end of the line should stand"),
        ("a: inside(a, b) and\n inside(a, c)", "only inside brackets"),
        ("a: (inside(a, b)", "This '(' is never closed"),
        ("a: (inside(a, b)\nb: inside(a, b)", "still open where line 2 has ':'"),
        ("a: inside(a, b))", "closes no '('"),
        ("a: inside(a, b)\na: inside(a, c)", "'a' is there twice"),
        ("a: abs(joint(j), 1) < 1", "abs takes one expression"),
        ("a: min(joint(j)) < 1", "min takes two or more"),
        ("a: " + "(" * 101 + "inside(a, b)" + ")" * 101, "More than 100 brackets"),
        ("a: " + "not " * 5000 + "inside(a, b)", "More than 100 levels"),
        ("a: " + "-" * 5000 + "joint(j) < 1", "More than 100 levels"),
        ("a: " + "1 + " * 5000 + "joint(j) < 1", "More than 100 levels"),
        ("a: " + "inside(a, b) implies " * 4000 + "inside(a, b)", "More than 100 levels"),
        ("a: " + "inside(a,b) and " * 5000 + "inside(a,b)", "more than 10000 terms"),
        ("#" * 100_001, "at most 100000 are read"),
    ],
    ids=lambda text: text[:40],
)
def test_a_mistake_in_the_text_is_refused_with_what_to_write(text, says):
    with pytest.raises(Refusal) as caught:
        Spec.parse(text)
    assert says in caught.value.reason
    assert (caught.value.code, caught.value.cause) == ("bad_spec", "spec")


def test_a_refusal_shows_line_column_and_a_caret():
    with pytest.raises(Refusal) as caught:
        Spec.parse("ok: inside(a, b)\nbad: always(sped(cube) < 1)")
    lines = caught.value.reason.splitlines()
    assert lines[0].startswith("Line 2, column 13: Unknown name 'sped'.")
    assert lines[1] == "  bad: always(sped(cube) < 1)"
    assert lines[2].index("^") == lines[1].index("sped")


def test_a_refusal_of_a_long_line_shows_the_part_around_the_mistake():
    with pytest.raises(Refusal) as caught:
        Spec.parse("a: " + "inside(a, b) and " * 1000 + "oops")
    _, shown, caret = caught.value.reason.splitlines()
    assert len(shown) < 150
    assert shown[caret.index("^") :] == "oops"


def test_a_formula_at_the_depth_limit_reads_back():
    deep = inside("a", "b").as_formula()
    for _ in range(MAX_DEPTH - 2):
        deep = ~deep
    assert Spec.parse(str(Spec.of(r=deep))) == Spec.of(r=deep)
    with pytest.raises(Refusal, match="deeper than 100 levels"):
        Spec.of(r=~deep)


def test_a_sum_at_the_depth_limit_reads_back():
    total = joint("j")
    for _ in range(MAX_DEPTH - 2):
        total = 1 - total
    assert Spec.parse(str(Spec.of(r=total < 1))) == Spec.of(r=total < 1)
    with pytest.raises(Refusal, match="deeper than 100 levels"):
        Spec.of(r=1 - total < 1)


def test_values_that_share_parts_cannot_grow_without_limit():
    total = speed("a") + 1
    for _ in range(60):
        total = total + total
    with pytest.raises(Refusal, match="more than 10000 terms"):
        Spec.of(r=total < 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Spec(()),
        lambda: Spec((Requirement("a", inside("a", "b")), Requirement("a", inside("a", "c")))),
        lambda: Requirement("a b", inside("a", "b")),
        lambda: Requirement("and", inside("a", "b")),
        lambda: Requirement("a", number(1) < number(2)),
        lambda: Requirement("a", speed("a")),
        lambda: always(speed("a")),
        lambda: always(inside("a", "b"), (1, 0)),
        lambda: always(inside("a", "b"), (0, math.inf)),
        lambda: speed("a") < math.nan,
        lambda: speed("a") < "fast",
        lambda: speed("a") < "1 parsec",
        lambda: number(1, "parsec"),
        lambda: number(1e308, "N/mm"),
        lambda: Signal("sped", ("a",)),
        lambda: Signal("pos", ("a",)),
        lambda: Signal("speed", ("a",), "x"),
        lambda: Signal("speed", ("a\nb",)),
        lambda: speed("a")[0],
        lambda: Arithmetic("%", speed("a"), number(1)),
        lambda: Compare("==", speed("a"), number(1)),
        lambda: And((inside("a", "b"),)),
        lambda: scaled(speed("a") < 1, 0),
    ],
)
def test_a_value_that_has_no_meaning_is_refused(make):
    with pytest.raises(Refusal) as caught:
        make()
    assert (caught.value.code, caught.value.cause) == ("bad_spec", "spec")


@pytest.mark.parametrize(
    "make",
    [
        lambda: inside("a", "b") and speed("a") < 1,
        lambda: (speed("a") < 1) or (speed("b") < 1),
        lambda: not speed("a") < 1,
        lambda: 0 < speed("a") < 1,
        lambda: min(speed("a"), speed("b")),
        lambda: bool(inside("a", "b")),
        lambda: inside("a", "b") & True,
        lambda: True | inside("a", "b"),
        lambda: (speed("a") < "1 m/s") & speed("b") < 1,
        lambda: (speed("a") < 1) + 1,
        lambda: speed("a") + (speed("b") < 1),
        lambda: speed("a") < True,
        lambda: speed("a") < None,
        lambda: always(True),
        lambda: always(inside("a", "b"), 0.5),
        lambda: always(inside("a", "b"), ("0", "1")),
        lambda: Requirement("a", Always(Compare("<", speed("a"), 1))),
        lambda: speed(3),
        lambda: list(sensor("a")),
        lambda: sensor("a")[0][0],
        lambda: Spec.parse(None),
    ],
)
def test_what_python_cannot_mean_is_a_type_error_or_a_refusal(make):
    with pytest.raises((TypeError, Refusal)):
        make()


def test_python_and_or_and_chains_say_what_to_write():
    with pytest.raises(TypeError, match=r"join formulas with & \| ~"):
        bool(0 < speed("a") < 1)


@given(specs)
def test_values_are_frozen_and_compare_by_structure(spec):
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.requirements[0].name = "other"
    assert spec != Spec((*spec.requirements, Requirement("more", inside("a", "b"))))


def test_zero_is_zero_whatever_its_sign():
    assert Number(-0.0, WORDS["m"]) == Number(0.0, WORDS["m"])
    assert str(Number(-0.0)) == "0"


def test_a_walk_meets_parents_first_and_signals_once():
    tree = formula("always(speed(a) < 1 and speed(b) + speed(a) < 1)")
    assert [type(term).__name__ for term in walk(tree)][:4] == ["Always", "And", "Compare", "Signal"]
    assert signals(tree) == (speed("a"), speed("b"))
    assert [str(atom) for atom in atoms(tree)] == ["speed(a) < 1", "speed(b) + speed(a) < 1"]


PAGE = (Path(__file__).parents[1] / "docs" / "spec.md").read_text(encoding="utf-8")


def test_the_page_about_specs_holds_text_that_reads_and_python_that_builds_the_same():
    first, *others = re.findall(r"```spec\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Spec] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], names)
    assert names["spec"] == Spec.parse(first)
    assert all(Spec.parse(text) for text in others)


@pytest.mark.parametrize("word", [*SIGNALS, *WORDS, *KEYWORDS, "abs", "min", "max"])
def test_the_page_about_specs_names_every_word_of_the_language(word):
    assert re.search(rf"\b{word}\b", PAGE)


def test_the_page_about_specs_states_the_scales():
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in PAGE.splitlines()[-3:]]
    shown = dict(zip(rows[0][:-1], map(float, rows[2][:-1]), strict=True))
    assert {parse_unit(text).dims: scale for text, scale in shown.items()} == SCALES
