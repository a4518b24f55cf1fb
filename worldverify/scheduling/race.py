"""Which plans cannot be the best any more: a bound on what they can still reach is below what another has reached."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldverify.verdict import MOST_MERIT, Margin, guard_merit

Floats = NDArray[np.float64]


def ceilings(high: Floats) -> Floats:
    """(n,) the most that `guard_merit` can come to under upper bounds (n, C) in margin scales."""
    return np.asarray(np.minimum(MOST_MERIT, high.min(axis=1, initial=np.inf)))


class Race:
    """The best plan that has passed so far. Bounds only tighten, so what is dropped could not have won."""

    def __init__(self) -> None:
        self._merit, self._plan, self._ties = -np.inf, -1, False

    def passed(self, plan: int, margins: Sequence[Margin]) -> None:
        """A plan has passed with these margins."""
        merit = guard_merit(margins)
        if (-merit, plan) < (-self._merit, self._plan) or self._plan < 0:
            # Of equal guards the first wins, unless progress tells them apart.
            self._merit, self._plan, self._ties = merit, plan, all(margin.guard for margin in margins)

    def beaten(self, ceiling: float, plans: Sequence[int]) -> bool:
        """Whether none of these plans (in the order of the call) can win."""
        if self._plan < 0:
            return False
        return bool(ceiling < self._merit or (ceiling == self._merit and self._ties and plans[0] > self._plan))
