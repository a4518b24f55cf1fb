"""What candidate sets really are like, and how few substeps would do: measured from verdicts of the exhaustive run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.compile import Compiled
from worldverify.kernels.prefixes import prefixes
from worldverify.refusal import Refusal
from worldverify.simulate import held
from worldverify.task import Task
from worldverify.verdict import Verdict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass
class Tally:
    """Counts of plans so far."""

    plans: int = 0
    passing: int = 0
    failing: int = 0
    malformed: int = 0  # refused before any physics
    distinct: int = 0  # of the admitted
    shared: float = 0.0  # sum over distinct plans of the share of the horizon that they have with their nearest sibling
    exhaustive: int = 0  # substeps of all admitted plans to the horizon
    needed: int = 0  # substeps of distinct prefixes that decide some verdict
    failed_at: list[float] = field(default_factory=list)  # share of the horizon

    def add(
        self, task: Task, states: Floats, compiled: Sequence[Compiled | Refusal], verdicts: Sequence[Verdict]
    ) -> None:
        """Take in B plans and the verdicts of the exhaustive run on them."""
        self.plans += len(verdicts)
        self.passing += sum(v.status == "PASS" for v in verdicts)
        self.failing += sum(v.status == "FAIL" for v in verdicts)
        self.failed_at += [v.first_violation.time_s / task.horizon for v in verdicts if v.first_violation is not None]
        run = [i for i, one in enumerate(compiled) if isinstance(one, Compiled)]
        self.malformed += len(verdicts) - len(run)
        if not run:
            return
        rows = np.stack([held(one.controls, task.steps) for one in compiled if isinstance(one, Compiled)])
        ends = np.array([decided(task, verdicts[i]) for i in run])
        order, shared = prefixes(np.ascontiguousarray(states[run]), rows)
        self.distinct += int((shared < task.steps).sum())
        self.shared += float(nearest(shared[shared < task.steps]).sum()) / task.steps
        self.exhaustive += len(run) * task.samples
        self.needed += least_substeps(shared * task.substeps, ends[order])

    @property
    def bound(self) -> float:
        """How many times fewer substeps would do."""
        return self.exhaustive / self.needed if self.needed else 1.0

    def rates(self) -> dict[str, Any]:
        """Shares, as a report holds them."""
        run = self.plans - self.malformed
        at = np.quantile(self.failed_at, QUANTILES).tolist() if self.failed_at else None
        return {
            "passing": self.passing / self.plans,
            "failing": self.failing / self.plans,
            "malformed": self.malformed / self.plans,
            "equal": 1 - self.distinct / run if run else 0.0,
            "shared": self.shared / self.distinct if self.distinct else 0.0,
            "failed_at": None if at is None else dict(zip(map(str, QUANTILES), at, strict=True)),
        }


def nearest(shared: Ints) -> Ints:
    """(B,) the longest prefix that a plan has in common with any other, plans sorted so that alike stand together.

    shared (B,): what each has in common with the one before it; below 0 with another start.
    """
    after = np.append(shared[1:], 0)
    longest: Ints = np.maximum(np.maximum(shared, after), 0)
    return longest


def least_substeps(shared: Ints, ends: Ints) -> int:
    """Substeps of the distinct prefixes of sorted plans, each needed up to `ends` (B,).

    What two plans share decides both at once, so a plan that ends within what it shares ends where its neighbour does.
    """
    before = np.concatenate([[0], np.minimum(shared[1:], ends[:-1])])
    return int(np.maximum(ends - np.maximum(before, 0), 0).sum())


def decided(task: Task, verdict: Verdict) -> int:
    """The substep at which the evidence decides; the horizon where it does not."""
    return task.samples if verdict.decided_s is None else round(verdict.decided_s / task.timestep)


def saved_shares(verdicts: Sequence[Verdict]) -> Mapping[str, int]:
    """Substeps that each rule saved."""
    total: dict[str, int] = {}
    for verdict in verdicts:
        for rule, steps in verdict.cost.saved_by.items():
            total[rule] = total.get(rule, 0) + steps
    return total
