"""Units that fit, and comparisons that can hold."""

import math

import pytest

from worldverify.refusal import Refusal
from worldverify.signals_table import SIGNALS
from worldverify.spec import Spec, inside, speed, tilt
from worldverify.spec_check import (
    check_ranges,
    check_satisfiable,
    check_units,
    declared_dims,
    dims_of,
    range_of_expression,
)
from worldverify.units import parse_unit


def unit_of(signal):
    """A scene whose joints are hinges, except those that begin with `slide`."""
    hinge = not signal.args[0].startswith("slide")
    scene = {"joint": "rad" if hinge else "m", "joint_speed": "rad/s" if hinge else "m/s"}
    scene |= {"torque": "Nm" if hinge else "N", "sensor": ""}
    return declared_dims(signal) or parse_unit(scene[signal.name]).dims


def with_units(text):
    return check_units(Spec.parse(f"r: {text}"), unit_of)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("speed(a) < 1", "speed(a) < 1 m/s"),
        ("1 > speed(a)", "1 m/s > speed(a)"),
        ("speed(a) < 5 cm/s", "speed(a) < 5 cm/s"),
        ("tilt(a) + 1 < 30 deg", "tilt(a) + 1 rad < 30 deg"),
        ("-(1) < tilt(a)", "-(1 rad) < tilt(a)"),
        ("abs(joint(j) - 1) < 2", "abs(joint(j) - 1 rad) < 2 rad"),
        ("abs(joint(slide) - 1) < 2", "abs(joint(slide) - 1 m) < 2 m"),
        ("max(torque(j), 1) < 2", "max(torque(j), 1 Nm) < 2 Nm"),
        ("2 * torque(slide) < 2", "2 * torque(slide) < 2 N"),
        ("torque(j) / 2 + 1 < 3", "torque(j) / 2 + 1 Nm < 3 Nm"),
        ("speed(a) < 2 * 3", "speed(a) < 2 m/s * 3"),
        ("speed(a) < min(2, 3)", "speed(a) < min(2 m/s, 3 m/s)"),
        ("distance(a, b) / distance(a, c) < 2", "distance(a, b) / distance(a, c) < 2"),
        ("distance(a, b) / speed(a) < 2", "distance(a, b) / speed(a) < 2 s"),
        ("1 / speed(a) < 2", "1 / speed(a) < 2 s/m"),
        ("speed(a) * speed(a) < 2", "speed(a) * speed(a) < 2 m*m/s/s"),
        ("1 / distance(a, b) < 2", "1 / distance(a, b) < 2 1/m"),
        ("sensor(a) < 2", "sensor(a) < 2"),
        ("inside(a, b) > 0", "inside(a, b)"),
        ("speed(a) < 1 ~ 2", "speed(a) < 1 m/s ~ 2 m/s"),
        ("inside(a, b) ~ 2", "inside(a, b) ~ 2 m"),
        ("always[0,1](not (speed(a) < 1))", "always[0,1](not (speed(a) < 1 m/s))"),
        ("(speed(a) < 1) until (tilt(a) < 1)", "(speed(a) < 1 m/s) until (tilt(a) < 1 rad)"),
        ("speed(a) < 1 implies tilt(a) < 1", "speed(a) < 1 m/s implies tilt(a) < 1 rad"),
        ("at_end(speed(a) < 1 or tilt(a) < 1)", "at_end(speed(a) < 1 m/s or tilt(a) < 1 rad)"),
    ],
)
def test_a_bare_number_takes_the_unit_of_the_other_operand(text, given):
    checked = with_units(text)
    assert str(checked) == str(Spec.parse(f"r: {given}"))
    assert Spec.parse(str(checked)) == checked
    assert check_units(checked, unit_of) == checked


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("speed(a) < 40 N", "speed(a) is in m/s, but 40 N is in N. Fix: write 40 m/s, or the number without"),
        ("40 N > speed(a)", "40 N is in N, but speed(a) is in m/s. Fix: write 40 m/s"),
        ("speed(a) < tilt(a)", "speed(a) is in m/s, but tilt(a) is in rad. Fix: compare or add values"),
        ("speed(a) + 1 m < 2", "The units of speed(a) + 1 m differ"),
        ("max(speed(a), 1, 2 N) < 2", "The units of max(speed(a), 1, 2 N) differ"),
        ("joint(j) < 1 m", "joint(j) is in rad, but 1 m is in m"),
        ("speed(a) * 2 m < 1 m/s", "is in m*m/s, but 1 m/s is in m/s"),
        ("sensor(a) < 2 m", "sensor(a) is in no unit, but 2 m is in m. Fix: write 2,"),
        ("speed(a) < 1 ~ 2 N", "The scale of speed(a) < 1 ~ 2 N must be in m/s"),
        ("always(inside(a, b) and speed(a) < 1 rad)", "Requirement 'r': The units of speed(a) < 1 rad differ"),
    ],
)
def test_units_that_differ_are_refused_with_both_named_and_what_to_write(text, says):
    with pytest.raises(Refusal) as caught:
        with_units(text)
    assert says in caught.value.reason
    assert (caught.value.code, caught.value.cause) == ("bad_spec", "spec")


def test_an_expression_of_bare_numbers_has_no_unit_yet():
    left = Spec.parse("r: 1 + 2 * 3 < speed(a)").requirements[0].formula.left
    assert dims_of(left, unit_of) is None


def test_each_signal_has_a_range_of_its_own_or_none():
    assert all(kind.lower < kind.upper for kind in SIGNALS.values())


@pytest.mark.parametrize(
    "text",
    [
        "contact_force(a, b) < 0 N",
        "contact_force(a, b) <= 0 N",
        "0 N > contact_load(a, b)",
        "speed(a) < 0",
        "speed(a) < -1",
        "tilt(a) > 4 rad",
        "tilt(a) > 200 deg",
        "clearance(a, b) > 10 m",
        "clearance(a, b) >= 1000 cm",
        "abs(joint(j)) < 0",
        "-distance(a, b) > 0",
        "max(speed(a), speed(b)) < 0",
        "min(tilt(a), joint(j)) > 4",
        "speed(a) + speed(b) < 0",
        "speed(a) * 2 < 0",
        "2 - tilt(a) > 3",
        "abs(tilt(a) - 4) < 0.5",
        "1 / (1 + tilt(a)) > 1",
        "speed(a) * 0 > 0",
        "not (speed(a) >= 0)",
        "not (tilt(a) < 4)",
        "not always(tilt(a) < 4)",
        "tilt(a) < 4 implies inside(a, b)",
        "inside(a, b) implies speed(a) < 0",
        "inside(a, b) or speed(a) < 0",
        "not not (speed(a) < 0)",
        "(inside(a, b)) until (speed(a) < 0)",
        "(speed(a) < 0) until[0,1] (inside(a, b))",
        "not (inside(a, b) implies speed(a) >= 0)",
        "eventually(at_end(speed(a) < 0))",
    ],
)
def test_a_comparison_that_can_never_hold_is_refused(text):
    with pytest.raises(Refusal, match=r"Requirement 'r': .* can never hold") as caught:
        check_ranges(with_units(text))
    assert (caught.value.code, caught.value.cause) == ("bad_spec", "spec")


@pytest.mark.parametrize(
    "text",
    [
        "contact_force(a, b) < 1e-9 N",
        "contact_force(a, b) >= 0 N",
        "tilt(a) < 4 rad",
        "tilt(a) > 179 deg",
        "clearance(a, b) > 9.99 m",
        "clearance(a, b) < -1 m",
        "inside(a, b)",
        "not (speed(a) < 0)",
        "not (tilt(a) > 4)",
        "speed(a) < 0 implies inside(a, b)",
        "speed(a) - speed(b) < 0",
        "1 / joint(j) < 0",
        "speed(a) * joint(j) < 0",
        "abs(joint(j)) > 100",
    ],
)
def test_a_comparison_that_may_hold_is_accepted(text):
    check_ranges(with_units(text))


def test_the_refusal_says_what_the_sides_can_be():
    with pytest.raises(Refusal, match=r"the left side is between 0 and 3.14159 and the right side always 4"):
        check_ranges(with_units("tilt(a) > 4"))


def test_a_division_by_zero_is_refused():
    with pytest.raises(Refusal, match="divides by zero"):
        check_ranges(with_units("speed(a) / (1 - 1) < 1"))


def test_a_scene_may_narrow_the_ranges():
    formula = speed("a") > "3 m/s"
    check_satisfiable(formula)
    with pytest.raises(Refusal):
        check_satisfiable(formula, lambda signal: (0.0, 3.0))


def test_a_quotient_by_a_range_that_holds_zero_can_be_anything():
    ratio = tilt("a") / tilt("b")
    assert range_of_expression(ratio, lambda signal: (0.0, 1.0)) == (-math.inf, math.inf)


def test_inside_has_no_bounds():
    assert range_of_expression(inside("a", "b"), lambda signal: (-math.inf, math.inf)) == (-math.inf, math.inf)
