"""What counts say of a rate: exact intervals, the sequential test and the anytime interval keep what they promise."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from worldverify.kernels.binomial import upper_bound
from worldverify.kernels.statistics import (
    anytime_interval,
    exact_interval,
    expected_trials,
    log_mixture,
    log_ratio,
    most_expected,
    sprt_thresholds,
)
from worldverify.trials.rules import ACCEPT, ENDED, OPEN, REJECT, Certify, certify

Floats = NDArray[np.float64]

RATES = (0.5, 0.8, 0.9, 0.95, 0.99)
PAIRS = ((0.9, 0.95), (0.8, 0.9), (0.5, 0.6), (0.95, 0.99))


def ends(rule: Certify, rate: float) -> list[tuple[int, int, int, float]]:
    """(successes, trials, state, probability) of every way the trials of a plan with that rate can end, exactly."""
    open_ = np.zeros(rule.most + 2)  # probability of so many successes, still open
    open_[0] = 1.0
    counts = np.arange(rule.most + 2)
    found = []
    for n in range(1, rule.most + 1):
        open_[1:] = open_[1:] * (1 - rate) + open_[:-1] * rate
        open_[0] *= 1 - rate
        state = rule.state(np.minimum(counts, n), np.full_like(counts, n))
        for s in np.flatnonzero((state != OPEN) & (open_ > 0)).tolist():
            found.append((s, n, int(state[s]), float(open_[s])))
            open_[s] = 0.0
    return found


def share(found: list[tuple[int, int, int, float]], state: int) -> float:
    return math.fsum(p for _, _, end, p in found if end == state)


def mean_trials(found: list[tuple[int, int, int, float]]) -> float:
    return math.fsum(n * p for _, n, _, p in found)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (10, 10, 0.6915, 1.0),
        (5, 10, 0.1871, 0.8129),
        (1, 20, 0.0013, 0.2487),
        (95, 100, 0.8872, 0.9836),
    ],
)
def test_the_exact_interval_is_that_of_the_tables(successes: int, trials: int, low: float, high: float) -> None:
    assert exact_interval(successes, trials, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_the_exact_interval_is_that_of_the_beta_distribution() -> None:
    beta = pytest.importorskip("scipy.stats").beta
    for trials in (1, 7, 50, 999):
        for successes in {0, 1, trials // 3, trials - 1, trials}:
            low = beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0
            high = beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
            assert exact_interval(successes, trials, 0.95) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("rate", (0.02, 0.3, *RATES))
def test_the_exact_interval_holds_the_rate_in_95_of_100_samples_of_a_fixed_size(rate: float) -> None:
    n = 30
    intervals = [exact_interval(s, n, 0.95) for s in range(n + 1)]
    weight = [math.comb(n, s) * rate**s * (1 - rate) ** (n - s) for s in range(n + 1)]
    assert math.fsum(w for w, (low, high) in zip(weight, intervals, strict=True) if low <= rate <= high) >= 0.95


@pytest.mark.parametrize("rate", RATES)
def test_the_sequential_test_takes_little_more_than_wald_expects(rate: float) -> None:
    found = ends(certify(0.95, 0.9), rate)
    assert mean_trials(found) <= 1.15 * expected_trials(rate, 0.9, 0.95, 0.05, 0.05)


@pytest.mark.parametrize(("p0", "p"), PAIRS)
def test_the_errors_of_the_sequential_test_are_within_what_was_asked(p0: float, p: float) -> None:
    for alpha, beta in ((0.05, 0.05), (0.01, 0.1)):
        rule = certify(p, p0, alpha=alpha, beta=beta)
        bad, good = ends(rule, p0), ends(rule, p)
        assert share(bad, ACCEPT) <= alpha and share(good, REJECT) <= beta
        # More caution would be more trials; under p a failure weighs much, so that the last one goes past the limit.
        assert share(bad, ACCEPT) > 0.8 * alpha and share(good, REJECT) > 0.4 * beta
        assert max(share(bad, ENDED), share(good, ENDED)) < 0.002


@pytest.mark.parametrize(("p0", "p"), PAIRS)
def test_between_the_two_rates_the_test_takes_longest_and_its_limit_leaves_few_undecided(p0: float, p: float) -> None:
    rule = certify(p, p0)
    longest = most_expected(p0, p, 0.05, 0.05)
    assert longest > max(expected_trials(rate, p0, p, 0.05, 0.05) for rate in (p0, p))
    assert rule.most == math.ceil(4 * longest)
    between = max((ends(rule, rate) for rate in np.linspace(p0, p, 5)), key=mean_trials)
    assert mean_trials(between) <= 1.25 * longest
    assert share(between, ENDED) < 0.02


def test_the_expectation_is_walds_formula() -> None:
    a, b, won, lost = math.log(19), -math.log(19), math.log(0.95 / 0.9), math.log(0.05 / 0.1)
    at_p0 = (0.05 * a + 0.95 * b) / (0.9 * won + 0.1 * lost)
    at_p = (0.95 * a + 0.05 * b) / (0.95 * won + 0.05 * lost)
    assert expected_trials(0.9, 0.9, 0.95, 0.05, 0.05) == pytest.approx(at_p0)
    assert expected_trials(0.95, 0.9, 0.95, 0.05, 0.05) == pytest.approx(at_p)
    assert expected_trials(1.0, 0.9, 0.95, 0.05, 0.05) == pytest.approx(a / won)
    assert expected_trials(0.0, 0.9, 0.95, 0.05, 0.05) == pytest.approx(b / lost)


def test_the_expectation_has_no_jump_where_neither_side_wins() -> None:
    won, lost = math.log(0.95 / 0.9), math.log(0.05 / 0.1)
    flat = -lost / (won - lost)
    near = [expected_trials(flat + step, 0.9, 0.95, 0.05, 0.05) for step in (-1e-5, 0.0, 1e-5)]
    assert near == pytest.approx([near[1]] * 3, rel=1e-3)


def test_the_ratio_at_the_thresholds_is_what_the_errors_say() -> None:
    lower, upper = sprt_thresholds(0.05, 0.1)
    assert (math.exp(lower), math.exp(-upper)) == pytest.approx((0.1, 0.05))
    assert log_ratio(3, 4, 0.9, 0.95) == pytest.approx(3 * math.log(0.95 / 0.9) + math.log(0.05 / 0.1))


def test_the_mixture_is_a_martingale_that_starts_at_one() -> None:
    assert log_mixture(0, 0, 0.3) == pytest.approx(0.0)
    trials = np.arange(40)
    successes = trials // 3
    for rate in RATES:
        after = rate * np.exp(log_mixture(successes + 1, trials + 1, rate))
        after += (1 - rate) * np.exp(log_mixture(successes, trials + 1, rate))
        assert np.allclose(after, np.exp(log_mixture(successes, trials, rate)), rtol=1e-10)


@pytest.mark.parametrize("rate", RATES)
def test_who_looks_after_each_of_1000_trials_misses_the_rate_in_5_of_100_streams_at_most(rate: float) -> None:
    streams, alpha = 2000, 0.05
    generator = np.random.default_rng(7)
    successes = np.cumsum(generator.random((streams, 1000)) < rate, axis=1)
    missed = np.zeros(streams, dtype=np.bool_)
    for n in range(1, 1001):
        ruled_out = log_mixture(np.arange(n + 1), n, rate) >= -math.log(alpha)
        missed |= ruled_out[successes[:, n - 1]]
    # The lower end of the exact interval of this share: a method that keeps its promise fails here once in 100,000.
    assert 1 - upper_bound(streams - int(missed.sum()), streams, confidence=1 - 1e-5) <= alpha


def test_a_rate_lies_outside_of_the_anytime_interval_where_the_mixture_says_so() -> None:
    for successes, trials in ((0, 1), (3, 3), (18, 20), (57, 60), (500, 1000), (0, 200)):
        low, high = anytime_interval(successes, trials, 0.95)
        assert 0 <= low <= successes / trials <= high <= 1
        inside, outside = log_mixture(successes, trials, [low + 1e-6, high - 1e-6]), []
        outside += [low - 1e-6] if low > 0 else []
        outside += [high + 1e-6] if high < 1 else []
        assert (inside < math.log(20)).all() and (log_mixture(successes, trials, outside) > math.log(20)).all()


def test_no_trials_rule_out_no_rate() -> None:
    assert anytime_interval(0, 0, 0.95) == (0.0, 1.0) == exact_interval(0, 0, 0.95)


def test_without_p0_a_plan_is_decided_when_the_interval_leaves_p_out() -> None:
    rule = certify(0.9, alpha=0.1, most=10**6)
    for trials in (5, 30, 100, 400):
        for successes in range(0, trials + 1, max(1, trials // 25)):
            low, high = rule.interval(successes, trials)
            expected = ACCEPT if low > 0.9 else REJECT if high < 0.9 else OPEN
            assert rule.state(np.array(successes), np.array(trials)) == expected


@pytest.mark.parametrize("rate", (0.85, 0.9, 0.93, 0.95, 0.98))
def test_the_anytime_interval_of_a_test_that_stopped_by_itself_holds_the_rate(rate: float) -> None:
    misses = [p for s, n, _, p in ends(certify(0.95, 0.9), rate) if log_mixture(s, n, rate) >= math.log(20)]
    assert math.fsum(misses) <= 0.05
