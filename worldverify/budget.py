"""How much a call may simulate, and how work ends before everything is decided."""

import math
import time
from dataclasses import dataclass
from typing import Literal

Undecided = Literal["budget", "interrupted", "outranked"]


@dataclass(frozen=True)
class Budget:
    """What a call may spend on physics. What is not decided by then is INCONCLUSIVE, with all that is known of it.

    It is looked at between two rounds of the lanes, so it is overspent by a round at most.
    """

    steps: int | None = None  # physics substeps of all plans together
    seconds: float | None = None  # s, of elapsed time from the first step

    def __post_init__(self) -> None:
        if self.steps is None and self.seconds is None:
            raise ValueError("A budget needs steps, seconds, or both.")
        steps, seconds = self.steps, self.seconds
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise ValueError(f"steps must be a whole number from 1 on; got {steps!r}.")
        if seconds is not None and (
            isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf
        ):
            raise ValueError(f"seconds must be a number above 0; got {seconds!r}.")


class Halt:
    """Whether the work of one call is to end, and why."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.why: Undecided | None = None
        self.limited = budget is not None
        self._budget, self._spent, self._began = budget, 0, time.perf_counter()

    def spend(self, steps: int) -> None:
        """So many substeps were simulated."""
        self._spent += steps
        if self._budget is None or self.why is not None:
            return
        steps_up = self._budget.steps is not None and self._spent >= self._budget.steps
        time_up = self._budget.seconds is not None and time.perf_counter() - self._began >= self._budget.seconds
        if steps_up or time_up:
            self.why = "budget"
