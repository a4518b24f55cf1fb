"""The fold of temporal formulas: against the definition sample by sample, its laws, and NumPy against JAX."""

import itertools
import math
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.kernels.robustness import decision, interval

ATOMS = 3


def windows() -> st.SearchStrategy[tuple[int, int | None]]:
    bounded = st.tuples(st.integers(0, 4), st.integers(0, 6)).map(lambda ab: (ab[0], ab[0] + ab[1]))
    return bounded | st.integers(0, 4).map(lambda a: (a, None))


def formulas(depth: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    atom = st.tuples(st.just("atom"), st.integers(0, ATOMS - 1))
    if depth == 0:
        return atom
    part = formulas(depth - 1)
    return st.one_of(
        atom,
        st.builds(lambda op, *parts: (op, *parts), st.sampled_from(["and", "or"]), part, part),
        st.builds(lambda op, w, p: (op, *w, p), st.sampled_from(["always", "eventually"]), windows(), part),
        st.builds(lambda op, w, p, q: (op, *w, p, q), st.sampled_from(["until", "release"]), windows(), part, part),
        st.builds(lambda p: ("at_end", p), part),
    )


@st.composite
def traces(draw: st.DrawFn, most: int = 9) -> np.ndarray:
    """(A, 1, N+1) small whole margins, so that ties and zeros happen."""
    samples = draw(st.integers(1, most))
    values = draw(st.lists(st.integers(-3, 3), min_size=ATOMS * samples, max_size=ATOMS * samples))
    return np.array(values, dtype=np.float64).reshape(ATOMS, 1, samples)


def bound(formula: Any, x: np.ndarray, k: int, last: int, unknown: float) -> float:
    """One bound of a formula at sample k, straight from the definition."""
    end = x.shape[1] - 1
    if k > end:
        return unknown
    match formula:
        case ("atom", i):
            return float(x[i, k]) if k <= last else unknown
        case ("and", *parts):
            return min(bound(p, x, k, last, unknown) for p in parts)
        case ("or", *parts):
            return max(bound(p, x, k, last, unknown) for p in parts)
        case ("at_end", part):
            return bound(part, x, end, last, unknown)
        case (("always" | "eventually") as op, a, b, part):
            window = range(k + a, (end if b is None else k + b) + 1)
            values = [bound(part, x, j, last, unknown) for j in window] or [unknown]
            return (min if op == "always" else max)(values)
        case (("until" | "release") as op, a, b, left, right):
            meet, join = (min, max) if op == "until" else (max, min)
            samples = list(range(k + a, (end if b is None else k + b) + 1))

            def side(f: Any, j: int) -> float:
                return bound(f, x, j, last, unknown)

            if not samples:
                return meet([unknown, *[side(left, j) for j in range(k, k + a)]])
            return join(meet([side(right, j), *[side(left, i) for i in range(k, j)]]) for j in samples)
    raise AssertionError(formula)


def one(formula: Any, x: np.ndarray, last: int) -> tuple[float, float]:
    low, high = interval((formula,), x, np.array([last]))
    return float(low[0, 0]), float(high[0, 0])


@given(formulas(), traces(), st.data())
def test_the_interval_is_the_definition_sample_by_sample(formula: Any, x: np.ndarray, data: st.DataObject) -> None:
    last = data.draw(st.integers(0, x.shape[-1] - 1))
    low, high = one(formula, x, last)
    assert low == bound(formula, x[:, 0], 0, last, -math.inf)
    assert high == bound(formula, x[:, 0], 0, last, math.inf)


@given(formulas(), traces())
def test_the_decision_is_the_first_prefix_whose_interval_excludes_zero(formula: Any, x: np.ndarray) -> None:
    never = x.shape[-1]
    prefixes = [one(formula, x, last) for last in range(never)]
    found = decision((formula,), x, np.array([never - 1]))
    assert found.satisfied[0, 0] == next((k for k, (low, _) in enumerate(prefixes) if low > 0), never)
    assert found.violated[0, 0] == next((k for k, (_, high) in enumerate(prefixes) if high < 0), never)


@given(formulas(), traces(), st.data())
def test_every_continuation_stays_within_the_interval(formula: Any, x: np.ndarray, data: st.DataObject) -> None:
    last = data.draw(st.integers(0, x.shape[-1] - 1))
    low, high = one(formula, x, last)
    rest = data.draw(st.lists(st.integers(-9, 9), min_size=ATOMS * x.shape[-1], max_size=ATOMS * x.shape[-1]))
    other = np.where(np.arange(x.shape[-1]) <= last, x, np.array(rest, dtype=np.float64).reshape(x.shape))
    full = one(formula, other, x.shape[-1] - 1)
    assert low <= full[0] and full[1] <= high


@given(formulas(), traces())
def test_a_longer_prefix_never_widens_the_interval(formula: Any, x: np.ndarray) -> None:
    bounds = [one(formula, x, last) for last in range(x.shape[-1])]
    for (low, high), (later_low, later_high) in itertools.pairwise(bounds):
        assert low <= later_low <= later_high <= high


@given(windows(), formulas(2), traces(), st.data())
def test_always_is_the_negative_of_eventually_of_the_negative(
    window: tuple[int, int | None], part: Any, x: np.ndarray, data: st.DataObject
) -> None:
    last = data.draw(st.integers(0, x.shape[-1] - 1))
    low, high = one(("always", *window, part), x, last)
    assert (-high, -low) == one(("eventually", *window, dual(part)), -x, last)


@given(st.sampled_from(["always", "eventually"]), st.lists(st.integers(0, 7), min_size=3, max_size=3), traces())
def test_a_window_may_be_split_at_any_sample(op: str, times: list[int], x: np.ndarray) -> None:
    a, b, c = sorted(times)
    join = "and" if op == "always" else "or"
    atom = ("atom", 0)
    for last in range(x.shape[-1]):
        assert one((op, a, c, atom), x, last) == one((join, (op, a, b, atom), (op, b, c, atom)), x, last)


@given(traces(), st.data())
def test_eventually_is_until_with_a_left_side_that_always_holds(x: np.ndarray, data: st.DataObject) -> None:
    last = x.shape[-1] - 1
    a, b = sorted(data.draw(st.tuples(st.integers(0, last), st.integers(0, last))))
    x[1] = 99.0
    assert one(("until", a, b, ("atom", 1), ("atom", 0)), x, last) == one(("eventually", a, b, ("atom", 0)), x, last)


@given(formulas(), traces(), st.data())
def test_robustness_moves_no_more_than_the_trace(formula: Any, x: np.ndarray, data: st.DataObject) -> None:
    count = x.size
    shift = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=count, max_size=count))).reshape(x.shape)
    last = data.draw(st.integers(0, x.shape[-1] - 1))
    for before, after in zip(one(formula, x, last), one(formula, x + shift, last), strict=True):
        assert before == after or abs(before - after) <= np.abs(shift).max()


@given(formulas(), traces(), traces())
def test_a_trace_has_the_same_bounds_alone_as_in_a_batch(formula: Any, x: np.ndarray, y: np.ndarray) -> None:
    samples = min(x.shape[-1], y.shape[-1])
    x, y = x[..., :samples], y[..., :samples]
    last = np.array([samples - 1, samples // 2, 0])
    both = np.concatenate([x, y, x], axis=1)
    low, high = interval((formula, ("atom", 1)), both, last)
    for row, trace in enumerate((x, y, x)):
        assert one(formula, trace, int(last[row])) == (low[row, 0], high[row, 0])


def test_zero_and_nan_decide_nothing() -> None:
    x = np.array([[[0.0, np.nan, 0.0]]])
    for op in ("always", "eventually"):
        found = decision(((op, 0, None, ("atom", 0)),), x, np.array([2]))
        assert (found.satisfied[0, 0], found.violated[0, 0]) == (3, 3)


def test_a_window_beyond_any_horizon_is_unknown() -> None:
    x = np.ones((1, 1, 4))
    assert one(("always", 0, 10**12, ("atom", 0)), x, 3) == (-math.inf, 1.0)
    assert one(("eventually", 0, 10**12, ("atom", 0)), x, 3) == (1.0, math.inf)
    assert one(("always", 10**9, None, ("atom", 0)), x, 3) == (-math.inf, math.inf)


def test_an_unknown_operator_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'xor'"):
        interval((("xor", ("atom", 0)),), np.ones((1, 1, 2)), np.array([1]))


NESTED = (
    ("always", 0, None, ("or", ("atom", 0), ("eventually", 1, 6, ("atom", 1)))),
    ("until", 2, 9, ("atom", 2), ("always", 0, 3, ("atom", 0))),
    ("eventually", 0, None, ("release", 0, 4, ("at_end", ("atom", 1)), ("atom", 2))),
)


def test_numpy_and_jit_agree_bit_for_bit_and_compile_once() -> None:
    compiled = 0

    def both(x: Any, last: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return interval(NESTED, x, last), decision(NESTED, x, last)

    with jax.enable_x64(True):
        jitted = jax.jit(both)
        for seed in range(4):
            rng = np.random.default_rng(seed)
            x, last = rng.normal(size=(ATOMS, 5, 40)), rng.integers(0, 40, size=5)
            (low, high), found = jitted(x, last)
            (low0, high0), found0 = interval(NESTED, x, last), decision(NESTED, x, last)
            for a, b in zip((low, high, *found), (low0, high0, *found0), strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(np.asarray(a), b)
    assert compiled == 1


def dual(formula: Any) -> Any:
    """The formula whose value on the negated trace is the negative."""
    swap = {"and": "or", "or": "and", "always": "eventually", "eventually": "always"}
    swap |= {"until": "release", "release": "until"}
    if formula[0] == "atom":
        return formula
    return (swap.get(formula[0], formula[0]), *[dual(p) if isinstance(p, tuple) else p for p in formula[1:]])
