"""When trials end, and what they then say: after a fixed number, or as soon as a statement is certain enough."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.statistics import (
    anytime_interval,
    exact_interval,
    log_mixture,
    log_ratio,
    most_expected,
    sprt_thresholds,
)

Ints = NDArray[np.int64]

OPEN, ACCEPT, REJECT, ENDED = 0, 1, 2, 3  # what `Rule.state` says of counts
Decision = Literal["accept", "reject", "undecided"]

CONFIDENCE = 0.95  # of the interval of a fixed number of trials
MOST_TRIALS = 1_000_000
_TIMES_EXPECTED = 4  # the limit of trials against Wald's greatest expectation: about 1.3 % are undecided there
_MOST_WITHOUT_P0 = 1000


class Rule(Protocol):
    """When the trials of a plan end. It looks at that plan's own counts only."""

    @property
    def most(self) -> int:
        """Trials at most."""
        ...

    @property
    def audit(self) -> bool:
        """Whether the trials use the seeds that are kept for audits."""
        ...

    def state(self, successes: Ints, trials: Ints) -> Ints:
        """(...) OPEN, ACCEPT, REJECT, or ENDED at the limit without a decision."""
        ...

    def interval(self, successes: int, trials: int) -> tuple[float, float]:
        """The rates that the counts do not contradict, at the confidence of the rule."""
        ...

    def to_json(self) -> dict[str, Any]:
        """What identifies it: the request of a verdict holds it."""
        ...


@dataclass(frozen=True)
class Fixed:
    """So many trials, whatever comes of them."""

    most: int
    audit: bool = False

    def __post_init__(self) -> None:
        _whole("trials", self.most)

    def state(self, successes: Ints, trials: Ints) -> Ints:
        return np.where(np.asarray(trials) >= self.most, ENDED, OPEN)

    def interval(self, successes: int, trials: int) -> tuple[float, float]:
        return exact_interval(successes, trials, CONFIDENCE)

    def to_json(self) -> dict[str, Any]:
        said = {"method": "fixed", "confidence": CONFIDENCE, "p": None, "p0": None, "alpha": None, "beta": None}
        return {**said, "most": self.most, **_stream(self.audit)}


@dataclass(frozen=True)
class Certify:
    """Trials until it is certain enough whether a plan passes in a share p of all worlds; made by `certify`."""

    p: float
    p0: float | None
    alpha: float
    beta: float | None  # None without p0
    most: int
    audit: bool = False

    def state(self, successes: Ints, trials: Ints) -> Ints:
        successes, trials = np.asarray(successes), np.asarray(trials)
        if self.p0 is None or self.beta is None:
            certain = log_mixture(successes, trials, self.p) >= -math.log(self.alpha)
            accept, reject = certain & (successes > self.p * trials), certain & (successes < self.p * trials)
        else:
            lower, upper = sprt_thresholds(self.alpha, self.beta)
            ratio = log_ratio(successes, trials, self.p0, self.p)
            accept, reject = ratio >= upper, ratio <= lower
        ended = np.where(trials >= self.most, ENDED, OPEN)
        return np.where(accept, ACCEPT, np.where(reject, REJECT, ended))

    def interval(self, successes: int, trials: int) -> tuple[float, float]:
        return anytime_interval(successes, trials, 1 - self.alpha)

    def to_json(self) -> dict[str, Any]:
        method = "confidence-sequence" if self.p0 is None else "sprt"
        said = {"method": method, "confidence": 1 - self.alpha, "p": self.p, "p0": self.p0, "alpha": self.alpha}
        return {**said, "beta": self.beta, "most": self.most, **_stream(self.audit)}


def certify(
    p: float, p0: float | None = None, *, alpha: float = 0.05, beta: float | None = None, most: int | None = None
) -> Certify:
    """For `verify(trials=...)`: trials of a plan until it is certain enough whether it passes in a share p of them.

    With p0: a sequential test of p0 against p (SPRT). A plan that passes in a share p0 or less is accepted with
    probability alpha at most, one that passes in a share p or more is rejected with probability beta at most (None:
    0.05); a plan between them may be either. Without p0: a confidence sequence; a plan is accepted or rejected when
    the interval of confidence 1 - alpha, valid at every look, leaves p out.

    most: trials at most; what is not decided by then is undecided. None: four times Wald's greatest expectation, or
    1,000 without p0. Raises ValueError.
    """
    _between("p", p, 0, 1, "the rate of passes that is to be shown")
    _between("alpha", alpha, 0, 0.5, "the chance to accept a plan that should not be")
    if most is not None:
        _whole("most", most)
    if p0 is None:
        if beta is not None:
            raise ValueError("beta belongs to a test of p0 against p: give p0 too, or leave beta out.")
        return Certify(p, None, alpha, None, most or _MOST_WITHOUT_P0)
    _between("p0", p0, 0, 1, "the rate of passes that is too low")
    if not p0 < p:
        raise ValueError(f"p0, which is too low, must be below p, which is to be shown; got {p0} and {p}.")
    beta = 0.05 if beta is None else beta
    _between("beta", beta, 0, 0.5, "the chance to reject a plan that should be accepted")
    usual = min(MOST_TRIALS, math.ceil(_TIMES_EXPECTED * most_expected(p0, p, alpha, beta)))
    return Certify(p, p0, alpha, beta, most or usual)


Trials = int | Fixed | Certify  # what `trials=` of a call takes


def rule_of(trials: object) -> Fixed | Certify:
    """The rule that `trials=` of a call names. Raises ValueError."""
    if isinstance(trials, Fixed | Certify):
        return trials
    if isinstance(trials, int | np.integer) and not isinstance(trials, bool):
        return Fixed(int(trials))
    raise ValueError(f"trials must be a whole number from 1 on, or worldverify.certify(p=...); got {trials!r}.")


def rule_from_json(said: Mapping[str, Any]) -> Fixed | Certify:
    """The rule whose `to_json` it is. Raises ValueError."""
    numbers = {key: said.get(key) for key in ("p", "p0", "alpha", "beta", "most")}
    if said.get("method") == "fixed":
        _whole("trials", numbers["most"])
        rule: Fixed | Certify = Fixed(int(said["most"]))
    else:
        rule = certify(**numbers)  # type: ignore[arg-type]
    rule = replace(rule, audit=bool(said.get("audit", False)))
    if rule.to_json() != dict(said):
        raise ValueError(f"The trials of the request are not of this version: {dict(said)}.")
    return rule


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TRIALS:
        raise ValueError(f"{name} must be a whole number from 1 to {MOST_TRIALS:,}; got {value!r}.")


def _between(name: str, value: object, low: float, high: float, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
        raise ValueError(f"{name}, {what}, must be a number between {low:g} and {high:g}; got {value!r}.")


def _stream(audit: bool) -> dict[str, Any]:
    return {"audit": True} if audit else {}
