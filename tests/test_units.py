"""Units: words, quotients, SI factors, dimensions, default scales."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.refusal import Refusal
from worldverify.units import (
    DIMENSIONLESS,
    NO_DIMS,
    SCALES,
    WORDS,
    default_scale,
    dims_text,
    parse_quantity,
    parse_unit,
    si_unit,
)

words = st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("text", "factor", "dims"),
    [
        ("mm", 0.001, (1, 0, 0, 0)),
        ("deg", math.pi / 180, (0, 1, 0, 0)),
        ("deg/s", math.pi / 180, (0, 1, -1, 0)),
        ("m/s/s", 1.0, (1, 0, -2, 0)),
        ("N/m", 1.0, (-1, 0, 0, 1)),
        ("N/mm", 1000.0, (-1, 0, 0, 1)),
        ("Nm", 1.0, (1, 0, 0, 1)),
        ("Nm*s", 1.0, (1, 0, 1, 1)),
        ("1/s", 1.0, (0, 0, -1, 0)),
        ("cm / s", 0.01, (1, 0, -1, 0)),
    ],
)
def test_a_unit_has_its_si_factor_and_dimensions(text, factor, dims):
    unit = parse_unit(text)
    assert unit.factor == pytest.approx(factor, rel=1e-15)
    assert unit.dims == dims
    assert unit.text == text.replace(" ", "")


def test_no_text_is_no_unit():
    assert parse_unit("") == DIMENSIONLESS


@pytest.mark.parametrize("text", ["kg", "m//s", "m/", "/s", "m^2", "1", "2/s", "metre", "M", "m s"])
def test_an_unknown_unit_is_refused_with_the_valid_ones(text):
    with pytest.raises(Refusal, match="Units: m, mm, cm, rad, deg, s, N, Nm") as caught:
        parse_unit(text)
    assert (caught.value.code, caught.value.cause) == ("bad_spec", "spec")


def test_a_unit_of_absurdly_many_words_is_refused():
    with pytest.raises(Refusal, match="at most 40 words"):
        parse_unit("m" + "/s" * 40)


@given(words, st.lists(st.sampled_from("*/"), min_size=5, max_size=5))
def test_the_si_unit_of_any_dimensions_reads_back(chosen, signs):
    unit = parse_unit("".join(word + sign for word, sign in zip(chosen, signs, strict=False))[:-1])
    canonical = si_unit(unit.dims)
    assert parse_unit(canonical.text) == canonical
    assert canonical.dims == unit.dims


@pytest.mark.parametrize("text", ["m", "rad", "m/s", "rad/s", "N", "Nm", "s", "m/s/s", "N/m"])
def test_common_units_are_shown_in_their_usual_words(text):
    assert dims_text(parse_unit(text).dims) == text


def test_no_dimensions_are_shown_as_no_unit():
    assert dims_text(NO_DIMS) == "no unit"


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("m", 0.01),
        ("rad", 0.05),
        ("m/s", 0.05),
        ("rad/s", 0.1),
        ("N", 1.0),
        ("Nm", 0.5),
        ("s", 0.1),
        ("m/s/s", 0.5),
        ("N/m", 1.0),
        ("", 1.0),
    ],
)
def test_the_default_scale_of_each_unit(text, scale):
    assert default_scale(parse_unit(text).dims) == scale


def test_every_scale_is_above_zero():
    assert all(scale > 0 for scale in SCALES.values())


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("40 N", 40.0, "N"),
        ("40N", 40.0, "N"),
        ("-1.5e-3 m/s", -1.5e-3, "m/s"),
        (".5", 0.5, None),
        (" 2. ", 2.0, None),
    ],
)
def test_a_quantity_is_a_number_and_a_unit(text, value, unit):
    assert parse_quantity(text) == (value, unit and parse_unit(unit))


@pytest.mark.parametrize("text", ["", "N", "nan", "inf m", "1_0", "0x1", "1,5", "\u0661"])
def test_what_is_no_decimal_number_is_refused(text):
    with pytest.raises(Refusal):
        parse_quantity(text)
