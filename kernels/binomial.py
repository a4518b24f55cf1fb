"""How probable an event can be that was seen so many times in so many trials: exact, by the binomial tail."""

import math

_HALVINGS = 80  # of [0, 1]: enough for every digit of a float, however small the bound


def at_most(events: int, trials: int, probability: float) -> float:
    """The probability of at most `events` events in `trials` independent trials."""
    if events >= trials or probability <= 0:
        return 1.0
    if probability >= 1:
        return 0.0
    yes, no = math.log(probability), math.log1p(-probability)
    ways = math.lgamma(trials + 1)
    terms = (
        ways - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * yes + (trials - k) * no for k in range(events + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def upper_bound(events: int, trials: int, *, confidence: float = 0.95) -> float:
    """The greatest probability that so few events do not contradict, at this one-sided confidence.

    Clopper and Pearson (1934): where the probability of at most `events` events is 1 - confidence. Without trials, 1.
    """
    if not 0 <= events <= trials:
        raise ValueError(f"There are {events} events in {trials} trials: a count lies between 0 and the trials.")
    if not 0 < confidence < 1:
        raise ValueError(f"The confidence must lie between 0 and 1; got {confidence}.")
    low, high = 0.0, 1.0
    if events == trials:
        return high
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if at_most(events, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high
