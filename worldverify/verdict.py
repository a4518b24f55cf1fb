"""What came of a plan: status, cause, reason, margins, the first violation, reward, cost and identity."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from worldverify.audit import Audit
from worldverify.cost import Cost
from worldverify.refusal import Cause

Status = Literal["PASS", "FAIL", "INVALID", "INCONCLUSIVE"]

SCHEMA = 1


@dataclass(frozen=True)
class Margin:
    """By how much one requirement holds: positive is satisfied. Open bounds are infinite."""

    value: float | None  # lo if satisfied, hi if violated, None if undecided
    unit: str  # of value and interval, SI
    interval: tuple[float, float]  # (lo, hi) over every continuation of the evidence
    term: str  # the comparison that decides, as written in the spec
    scale: float  # the margin that counts as one, in the same unit
    guard: bool = True  # judged; False where it is progress only (a goal in scope "chunk")

    @property
    def relative(self) -> float | None:
        """value in margin scales, comparable across units."""
        return None if self.value is None else self.value / self.scale

    def to_json(self) -> dict[str, Any]:
        bounds = [x if math.isfinite(x) else None for x in self.interval]
        return {"value": self.value, "unit": self.unit, "interval": bounds, "term": self.term}


@dataclass(frozen=True)
class Violation:
    """What a FAIL rests on."""

    requirement: str
    time_s: float  # s after the start of the evidence, the first sample that proves it


@dataclass(frozen=True, eq=False)
class Verdict:
    """One plan judged. `digest` identifies the answer, `request["sha256"]` the question."""

    id: str | None
    task: str
    status: Status
    cause: Cause | None  # for INVALID
    code: str | None  # stable reason code, see worldverify.refusal.CODES
    reason: str  # one sentence for a person
    margins: Mapping[str, Margin]
    first_violation: Violation | None
    reward: float  # NaN where `valid` is False
    valid: bool  # whether a trainer may use the reward
    warnings: tuple[str, ...]
    cost: Cost
    engine: Mapping[str, Any]
    request: Mapping[str, Any]
    digest: str
    decided_s: float | None = None  # s, when the evidence first decided
    trials: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The verdict line of the plans file's answer; JSON has no infinity, so open bounds and NaN are null."""
        violation = self.first_violation
        return {
            "schema": SCHEMA,
            "id": self.id,
            "task": self.task,
            "status": self.status,
            "cause": self.cause,
            "code": self.code,
            "reason": self.reason,
            "margins": {name: margin.to_json() for name, margin in self.margins.items()},
            "first_violation": violation and {"requirement": violation.requirement, "time_s": violation.time_s},
            "reward": None if math.isnan(self.reward) else self.reward,
            "valid": self.valid,
            "warnings": list(self.warnings),
            "trials": self.trials,
            "cost": self.cost.to_json(),
            "engine": dict(self.engine),
            "request": dict(self.request),
            "digest": self.digest,
        }

    def explain(self) -> str:
        """A few lines for a person: the reason, then every margin, worst first."""
        lines = [f"{self.status}: {self.reason}"]
        width = max((len(name) for name in self.margins), default=0)
        for name, margin in sorted(self.margins.items(), key=lambda item: _badness(item[1])):
            mark = "ok " if margin.interval[0] > 0 else "BAD" if margin.interval[1] < 0 else "?  "
            value = "undecided" if margin.value is None else f"{margin.value:+.4g} {margin.unit}".rstrip()
            lines.append(f"  {mark} {name:<{width}}  {value:<16}  {margin.term}")
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def _badness(margin: Margin) -> float:
    return math.inf if margin.relative is None else margin.relative


@dataclass(frozen=True, eq=False)
class Verdicts(Sequence[Verdict]):
    """The verdicts of one call, in the order of the plans."""

    items: tuple[Verdict, ...] = field(default=())
    audit: Audit | None = None  # of fidelity="screen": how often the reference contradicted it

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> "Verdicts": ...
    def __getitem__(self, index: int | slice) -> "Verdict | Verdicts":
        return Verdicts(self.items[index]) if isinstance(index, slice) else self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.items)

    @property
    def reward(self) -> NDArray[np.float64]:
        """(N,) rewards; NaN where valid_mask is False."""
        return np.array([v.reward for v in self.items], dtype=np.float64)

    @property
    def valid_mask(self) -> NDArray[np.bool_]:
        """(N,) whether a reward says something about the plan; the others are to be masked."""
        return np.array([v.valid for v in self.items], dtype=np.bool_)

    @property
    def ranking(self) -> list[int]:
        """Indices, best first: PASS before INCONCLUSIVE before FAIL before INVALID, then the least guard margin
        (more than one margin scale counts as one, so that standing still does not win), then progress."""
        return sorted(range(len(self.items)), key=lambda i: _merit(self.items[i]), reverse=True)

    @property
    def best(self) -> Verdict | None:
        """The PASS that ranks first, or None if nothing passed."""
        ranking = self.ranking
        return self.items[ranking[0]] if ranking and self.items[ranking[0]].status == "PASS" else None


_ORDER = {"PASS": 3, "INCONCLUSIVE": 2, "FAIL": 1, "INVALID": 0}


MOST_MERIT = 1.0  # margin scales; more does not count, so that standing still does not win


def guard_merit(margins: Iterable[Margin]) -> float:
    """The least guard margin in scales, `MOST_MERIT` at most."""
    return min([MOST_MERIT, *(m.interval[0] / m.scale for m in margins if m.guard)])


def _merit(verdict: Verdict) -> tuple[float, float, float]:
    progress = [max(m.interval[0] / m.scale, -1e9) for m in verdict.margins.values() if not m.guard]
    return _ORDER[verdict.status], guard_merit(verdict.margins.values()), sum(progress)


def with_cost(verdict: Verdict, cost: Cost) -> Verdict:
    """The same verdict with its bill: costs are known only when the batch has ended."""
    return replace(verdict, cost=cost)
