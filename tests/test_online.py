"""The online monitor says, after every sample, what the whole fold says of the prefix."""

import numpy as np
import pytest

from worldverify.kernels.deciding import Question, decide
from worldverify.kernels.online import Online, supports
from worldverify.kernels.robustness import Formula, decision, interval

END = 24
A0, A1, A2 = ("atom", 0), ("atom", 1), ("atom", 2)


def nested(generator: np.random.Generator, depth: int) -> Formula:
    """A formula that looks ahead by a bounded number of samples."""
    kind = generator.integers(6) if depth else 0
    if kind == 0:
        return ("atom", int(generator.integers(3)))
    a = int(generator.integers(3))
    b = a + int(generator.integers(4))
    parts = [nested(generator, depth - 1) for _ in range(2)]
    return [
        ("and", *parts),
        ("or", *parts),
        ("always", a, b, parts[0]),
        ("eventually", a, b, parts[0]),
        (("until", "release")[int(generator.integers(2))], a, b, *parts),
    ][kind - 1]


def outer(generator: np.random.Generator, depth: int = 1) -> Formula:
    """A formula whose outermost operator may look to the horizon, or beyond it."""
    kind = int(generator.integers(8))
    a = int(generator.integers(8))
    b = [None, a + int(generator.integers(10)), END + 3][int(generator.integers(3))]
    parts = [nested(generator, 2) for _ in range(2)]
    if kind < 2 and depth:
        return (("and", "or")[kind], outer(generator, 0), outer(generator, 0))
    return [
        ("always", a, b, parts[0]),
        ("eventually", a, b, parts[0]),
        ("until", a, b, *parts),
        ("release", a, b, *parts),
        ("at_end", parts[0]),
        parts[0],
    ][kind % 6]


@pytest.mark.parametrize("seed", range(25))
def test_bounds_and_standing_are_those_of_the_whole_fold(seed: int) -> None:
    generator = np.random.default_rng(seed)
    formulas = tuple(outer(generator) for _ in range(6))
    lanes = 5
    monitor = Online(formulas, END, lanes)
    margins = generator.integers(-9, 9, (3, lanes, END + 1)).astype(float)
    known = np.zeros(lanes, dtype=int)
    monitor.clear(np.arange(lanes))
    while (known <= END).any():
        new = int(generator.integers(1, 6))
        ready = np.flatnonzero(known + new <= END + 1)
        if not len(ready):
            new, ready = 1, np.flatnonzero(known <= END)
        some = np.sort(generator.permutation(ready)[: generator.integers(1, len(ready) + 1)])
        part = np.stack([margins[:, lane, known[lane] : known[lane] + new] for lane in some], axis=1)
        low, high, standing = monitor.add(some, part)
        known[some] += new
        for i, lane in enumerate(some):
            last = known[lane] - 1
            want = interval(formulas, margins[:, lane : lane + 1], np.array([last]))
            np.testing.assert_array_equal(np.where(want[0][0] > 0, want[0][0], 0), np.maximum(low[i], 0))
            np.testing.assert_array_equal(np.where(want[1][0] < 0, want[1][0], 0), np.minimum(high[i], 0))
            np.testing.assert_array_equal(standing[i], held(formulas, margins[:, lane, : last + 1]))
        if generator.random() < 0.1:  # an episode ends early and another one begins
            monitor.clear(some[:1])
            known[some[0]] = 0
            margins[:, some[0]] = generator.integers(-9, 9, (3, END + 1))


def held(formulas: tuple[Formula, ...], known: np.ndarray) -> np.ndarray:
    """(C,) robustness of margins (A, K) whose last sample repeats itself for ever; windows to the horizon end there."""
    more = 3 * END
    still = np.concatenate([known, np.repeat(known[:, -1:], more, axis=1)], axis=1)[:, None]
    low, high = interval(tuple(map(bounded, formulas)), still, np.array([still.shape[2]]))
    np.testing.assert_array_equal(low, high)
    return np.asarray(low[0])


def bounded(formula: Formula) -> Formula:
    match formula:
        case ("and" | "or" as name, *parts):
            return (name, *map(bounded, parts))
        case ("at_end", part):
            return ("always", END, END, part)
        case (name, a, None, *parts):
            return (name, a, END, *parts)
    return formula


def test_lanes_and_the_cut_into_calls_do_not_change_bits() -> None:
    generator = np.random.default_rng(0)
    formulas = tuple(outer(generator) for _ in range(8))
    margins = generator.normal(size=(3, 4, END))
    whole = Online(formulas, END, 4)
    for k in range(0, END, 4):
        answers = whole.add(np.arange(4), margins[:, :, k : k + 4])
    for lane in range(4):
        alone = Online(formulas, END, 1)
        for k in range(END):
            one = alone.add(np.arange(1), margins[:, lane : lane + 1, k : k + 1])
        for x, y in zip(answers, one, strict=True):
            assert x[lane].tobytes() == y[0].tobytes()


def test_a_formula_that_looks_ahead_without_bound_below_its_root_is_refused() -> None:
    endless = ("eventually", 0, None, ("always", 0, None, A0))
    assert not supports((endless,))
    assert not supports((("or", A1, endless),))
    assert not supports((("until", 0, 3, A0, ("at_end", A1)),))
    assert supports((("always", 0, None, ("until", 0, 3, A0, A2)),))
    with pytest.raises(ValueError, match="without bound"):
        Online((endless,), END, 2)


@pytest.mark.parametrize("seed", range(10))
def test_a_cut_trace_is_decided_as_one_whose_rest_is_unknown(seed: int) -> None:
    generator = np.random.default_rng(seed)
    formulas = tuple(outer(generator) for _ in range(6))
    margins = generator.normal(size=(3, 4, END + 1))
    for known in (0, 3, END - 1, END):
        last = np.full(4, known)
        question = Question(formulas, (END,) * len(formulas), (True,) * len(formulas), full=True)
        answers = decide(question, margins[:, :, : known + 1], np.zeros((4, known + 1), dtype=np.int32))
        low, high = interval(formulas, margins, last)
        np.testing.assert_array_equal(answers.low, low)
        np.testing.assert_array_equal(answers.high, high)
        whole = decision(formulas, margins, last)
        np.testing.assert_array_equal(answers.breaks, whole.violated)
        np.testing.assert_array_equal(answers.holds, whole.satisfied.max(axis=1))
