"""Whether a good plan is good from wherever the task may start, in whatever world it may start in."""

from collections.abc import Sequence
from typing import NamedTuple

from worldverify.kernels.binomial import upper_bound
from worldverify.task import NOMINAL, Task
from worldverify.verdict import Verdict
from worldverify.verifier import Verifier

SHARE = 0.95  # of the seeds the good plan must pass from; one failure of few seeds is no evidence
CONFIDENCE = 0.95
SHOWN = 8  # failing seeds in a message


class Seeds(NamedTuple):
    """From how many seeds the good plan passes."""

    passed: int
    tried: int
    failures: tuple[str, ...]  # "seed 7: FAIL: ..."

    def __str__(self) -> str:
        """The count with its exact binomial statement (Clopper and Pearson)."""
        least = 1 - upper_bound(self.tried - self.passed, self.tried, confidence=CONFIDENCE)
        return (
            f"{self.passed} of {self.tried} seeds pass; with {CONFIDENCE:.0%} confidence at least {least:.1%} of all do"
        )

    @property
    def enough(self) -> bool:
        """Whether so many pass that the task is steady."""
        failed = self.tried - self.passed
        return failed <= max(1.0, (1 - SHARE) * self.tried) and self.passed > 0

    @property
    def listed(self) -> str:
        """The first failing seeds with their reasons."""
        more = len(self.failures) - SHOWN
        return "; ".join(self.failures[:SHOWN]) + (f"; and {more} more" if more > 0 else "")


def varies(task: Task) -> bool:
    """Whether two seeds of a task can differ."""
    return task.randomise is not None or task.domain != NOMINAL


def passing_seeds(task: Task, verifier: Verifier, seeds: Sequence[int]) -> Seeds:
    """The good plan from each seed, with the start and the task's domain drawn by it."""
    found: list[Verdict] = [verifier.verify(task, [task.good], seed=k, randomise="all")[0] for k in seeds]
    failures = [f"seed {k}: {v.status}: {v.reason}" for k, v in zip(seeds, found, strict=True) if v.status != "PASS"]
    return Seeds(len(found) - len(failures), len(found), tuple(failures))
