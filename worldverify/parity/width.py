"""How wide a guard band must be, from plans that two engines have judged."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.engines.band import MOST_SHARE

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HEADROOM = 2.0  # times what was seen
COVERED = 0.99  # of the errors near the decision
NEAR = 1.0  # margin scales: errors of plans deeper than that do not turn a verdict, so they set no width,
FEWEST_NEAR = 5  # unless there are fewer plans near than this: then the nearest ones
LEAST = 1e-3  # margin scales: so little costs next to nothing, and errors that were not drawn may be larger


@dataclass(frozen=True)
class Width:
    """A width, and what asked for it."""

    width: float  # margin scales
    flips: float  # depth of the deepest flip that a band may cover, among the plans that set the width
    errors: float  # error near the decision that COVERED of them stay below
    cap: float  # the widest band that is no excuse: flips deeper than that count as outside, whatever the width

    @property
    def guards(self) -> float:
        """Flips less deep than this are inside."""
        return min(self.width, self.cap)


def choose_width(depth: Floats, error: Floats, flip: Bools) -> Width:
    """From plans (n,): depth of the float32 verdict, error of its deciding margin, whether MuJoCo C contradicts it.

    Head-room times the greater of two: the depth of the deepest flip that a band may cover, and the error of deciding
    margins near the decision. A band may cover what holds MOST_SHARE of the plans, and twice the usual error where
    the plans are few; to cover a deeper flip it is not widened.
    """
    if not len(depth):
        return Width(LEAST, 0.0, 0.0, LEAST)
    order = np.argsort(depth, kind="stable")
    near = error[order[: max(int((depth < NEAR).sum()), min(FEWEST_NEAR, len(depth)))]]
    errors = float(np.quantile(near, COVERED, method="higher"))
    holds = float(depth[order[int(MOST_SHARE * len(depth))]])
    cap = max(LEAST, holds, HEADROOM * float(np.median(near)))
    flips = float(depth[flip & (depth < cap)].max(initial=0.0))
    return Width(max(LEAST, HEADROOM * flips, HEADROOM * errors), flips, errors, cap)


def halves(plans: int, seed: int) -> Bools:
    """(plans,) which plans set the width; the others test it."""
    order = np.random.default_rng([seed, plans]).permutation(plans)
    first = np.zeros(plans, dtype=np.bool_)
    first[order[: (plans + 1) // 2]] = True
    return first
