"""How much a call may simulate, and how work ends before everything is decided."""

import math
import time
from dataclasses import dataclass
from typing import Literal, get_args

Undecided = Literal["budget", "interrupted", "outranked"]
First = Literal["given", "promising", "doubtful"]
FIRST = get_args(First)


@dataclass(frozen=True)
class Budget:
    """What a call may spend on physics. What is not decided by then is INCONCLUSIVE, with all that is known of it.

    It is looked at between two rounds of the lanes, so it is overspent by a round at most.
    """

    steps: int | None = None  # physics substeps of all plans together
    seconds: float | None = None  # s, of elapsed time from the first step
    money: float | None = None  # in the currency of the price file, for processor time from the first step
    # What is simulated first, once each plan was looked at: what stands best, or nearest to being decided either way.
    first: First = "given"

    def __post_init__(self) -> None:
        if self.steps is None and self.seconds is None and self.money is None:
            raise ValueError("A budget needs steps, seconds or money, or several of them.")
        if self.first not in FIRST:
            raise ValueError(f"first is one of {', '.join(map(repr, FIRST))}; got {self.first!r}.")
        steps, seconds = self.steps, self.seconds
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise ValueError(f"steps must be a whole number from 1 on; got {steps!r}.")
        for name, value in (("seconds", seconds), ("money", self.money)):
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
            if value is not None and not number:
                raise ValueError(f"{name} must be a number above 0; got {value!r}.")


class Halt:
    """Whether the work of one call is to end, and why."""

    def __init__(self, budget: Budget | None = None, price: float = 0.0) -> None:
        """`price`: what a second of processor time costs."""
        self.why: Undecided | None = None
        self.limited = budget is not None
        self.first: First = "given" if budget is None else budget.first
        self._budget, self._spent, self._price = budget, 0, price
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def spend(self, steps: int) -> None:
        """So many substeps were simulated."""
        self._spent += steps
        if self._budget is None or self.why is not None:
            return
        steps_up = self._budget.steps is not None and self._spent >= self._budget.steps
        time_up = self._budget.seconds is not None and time.perf_counter() - self._began >= self._budget.seconds
        money = (time.process_time() - self._cpu) * self._price
        money_up = self._budget.money is not None and money >= self._budget.money
        if steps_up or time_up or money_up:
            self.why = "budget"
