"""What so many successes in so many trials say of a rate: exact intervals, sequential tests, anytime intervals."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldverify.kernels.binomial import upper_bound

Floats = NDArray[np.float64]

_HALVINGS = 60  # of [0, 1]: to 1e-18
_lgamma = np.vectorize(math.lgamma, otypes=[np.float64])


@lru_cache(maxsize=4096)
def exact_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """The two-sided interval of Clopper and Pearson (1934) for a number of trials that was fixed beforehand."""
    one_sided = 0.5 + 0.5 * confidence
    low = 1.0 - upper_bound(trials - successes, trials, confidence=one_sided)
    return low, upper_bound(successes, trials, confidence=one_sided)


def sprt_thresholds(alpha: float, beta: float) -> tuple[float, float]:
    """(lower, upper) where a sequential test of p0 against p ends: at or below lower it is p0, from upper on p.

    log(beta) and log(1 / alpha): with these no more than a share alpha ends with p under p0, nor beta with p0 under p
    (Ville, 1939), also where the test is cut short. Wald's own (1945) promise this only up to the overshoot.
    """
    return math.log(beta), -math.log(alpha)


def log_ratio(successes: ArrayLike, trials: ArrayLike, p0: float, p: float) -> Floats:
    """(...) log of the probability of these counts under p over that under p0."""
    won = np.asarray(successes, dtype=np.float64)
    lost = np.asarray(trials, dtype=np.float64) - won
    return np.asarray(won * math.log(p / p0) + lost * math.log((1 - p) / (1 - p0)))


def expected_trials(rate: float, p0: float, p: float, alpha: float, beta: float) -> float:
    """Wald's expectation (1945) of the trials until his test of p0 against p ends, for a true rate.

    His thresholds are log(beta / (1 - alpha)) and log((1 - beta) / alpha), and overshoot is neglected.
    """
    lower, upper = math.log(beta / (1 - alpha)), math.log((1 - beta) / alpha)
    won, lost = math.log(p / p0), math.log((1 - p) / (1 - p0))
    drift = rate * won + (1 - rate) * lost
    if abs(drift) < 1e-9 * (won - lost):
        return -lower * upper / (rate * won**2 + (1 - rate) * lost**2)
    accepted = _accepted(rate, won, lost, lower, upper, drift)
    return (accepted * upper + (1 - accepted) * lower) / drift


def most_expected(p0: float, p: float, alpha: float, beta: float) -> float:
    """Wald's expectation at the rate between p0 and p where neither side wins, which is about the greatest."""
    won, lost = math.log(p / p0), math.log((1 - p) / (1 - p0))
    return expected_trials(-lost / (won - lost), p0, p, alpha, beta)


def _accepted(rate: float, won: float, lost: float, lower: float, upper: float, drift: float) -> float:
    """Wald's probability that the test ends at the upper threshold."""
    if rate in (0.0, 1.0):
        return rate
    sign = -math.copysign(1.0, drift)

    def above(h: float) -> bool:
        # Whether the mean of ratio**h exceeds 1; h has the sign of the root that is not zero.
        terms = (math.log(rate) + sign * h * won, math.log1p(-rate) + sign * h * lost)
        return bool(np.logaddexp(*terms) > 0)

    far = 1.0
    while not above(far):
        far *= 2
    near = 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        near, far = (near, middle) if above(middle) else (middle, far)
    # (1 - e^(h lower)) / (e^(h upper) - e^(h lower)), with an exponent that cannot overflow.
    if sign > 0:
        return math.expm1(far * lower) * math.exp(-far * upper) / math.expm1(far * (lower - upper))
    return math.expm1(far * lower) / math.expm1(far * (lower - upper))


def log_mixture(successes: ArrayLike, trials: ArrayLike, rate: ArrayLike) -> Floats:
    """(...) log of a martingale that starts at 1 if `rate` is the true rate: a mixture over all rates against it.

    The mixture is Beta(1/2, 1/2) (Krichevsky and Trofimov, 1981). By Ville's inequality (1939) it ever reaches
    1/alpha with probability alpha at most, so that one may look at it after every trial (Robbins, 1970).
    """
    won = np.asarray(successes, dtype=np.float64)
    lost = np.asarray(trials, dtype=np.float64) - won
    rate = np.asarray(rate, dtype=np.float64)
    mixed = _lgamma(won + 0.5) + _lgamma(lost + 0.5) - _lgamma(won + lost + 1.0) - math.log(math.pi)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(won > 0, won * np.log(rate), 0.0) + np.where(lost > 0, lost * np.log1p(-rate), 0.0)
    return np.asarray(mixed - plain)


def anytime_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """The rates that `log_mixture` does not rule out: valid at all times at once, so however the end was chosen."""
    limit = -math.log1p(-confidence)
    middle = successes / trials if trials else 0.5
    return tuple(_edge(successes, trials, middle, end, limit) for end in (0.0, 1.0))  # type: ignore[return-value]


def _edge(successes: int, trials: int, inside: float, outside: float, limit: float) -> float:
    """Where `log_mixture`, which grows from the observed rate outwards, reaches the limit."""
    if log_mixture(successes, trials, outside) < limit:
        return outside
    for _ in range(_HALVINGS):
        middle = 0.5 * (inside + outside)
        if log_mixture(successes, trials, middle) < limit:
            inside = middle
        else:
            outside = middle
    return outside
