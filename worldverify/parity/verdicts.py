"""Whole verdicts of two engines on the same plans: flips, errors of margins, and the guard band that follows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.engines.band import Band, depth
from worldverify.identity import sha256
from worldverify.judge import Finding, often_capped
from worldverify.kernels.binomial import upper_bound
from worldverify.kernels.engine import Fault
from worldverify.parity.contender import Contender
from worldverify.parity.crowd import Crowd
from worldverify.parity.width import HEADROOM, Width, choose_width, halves
from worldverify.task import Task

Floats = NDArray[np.float64]

DECIDED = ("PASS", "FAIL")
PERCENTILES = (50, 90, 99, 100)


@dataclass(frozen=True)
class Flip:
    """A verdict of the engine under test that MuJoCo C contradicts."""

    plan: int  # its place in the crowd
    status: str  # PASS or FAIL
    truth: str  # what MuJoCo C says
    depth: float  # of the wrong verdict, margin scales
    inside: bool  # the guard band would have had MuJoCo C judge it
    held_out: bool  # it is of the half that tests the width


@dataclass(frozen=True)
class VerdictParity:
    """What came of comparing the verdicts of B plans."""

    plans: int
    refused: int  # candidates that never reached the physics
    statuses: Mapping[str, Mapping[str, int]]  # of MuJoCo C -> of the engine -> plans
    untrusted: Mapping[str, int]  # why the engine leaves plans to MuJoCo C -> how many
    flips: tuple[Flip, ...]
    other_violation: int  # both FAIL, for another requirement
    margins: Mapping[str, tuple[float, ...]]  # requirement -> PERCENTILES of its error, margin scales
    deciding: tuple[float, ...]  # the same of the margins that decide
    width: Width
    band: Band
    upper_all: float  # the bound of the band, from all plans instead of those that did not set the width
    narrow: int  # plans outside that are no flips, but whose margin is off by more than half its depth
    rejudged: float  # share of plans that MuJoCo C has to judge: inside, untrusted or undecided

    @property
    def false_pass(self) -> int:
        return sum(flip.status == "PASS" for flip in self.flips)

    @property
    def false_fail(self) -> int:
        return sum(flip.status == "FAIL" for flip in self.flips)

    @property
    def outside(self) -> tuple[Flip, ...]:
        """What makes the comparison fail, the deepest first."""
        return tuple(sorted((f for f in self.flips if not f.inside), key=lambda flip: -flip.depth))


def compare_verdicts(task: Task, crowd: Crowd, truth: Contender, other: Contender, seed: int) -> VerdictParity:
    """Judge every plan on both sides; `truth` is MuJoCo C, `seed` draws the halves."""
    true = truth.find(task, crowd.states, crowd.controls)
    found = other.find(task, crowd.states, crowd.controls)
    return verdict_parity(true, found, refused=crowd.refused, seed=seed)


def verdict_parity(true: Sequence[Finding], found: Sequence[Finding], *, refused: int, seed: int) -> VerdictParity:
    """The comparison of findings (B,) with those of MuJoCo C, both with their `final` bounds."""
    decided = np.array([stands(f) for f in found], dtype=np.bool_)
    depths = np.array([depth(f.status, f.final) for f in found])
    errors = np.array([deciding_error(t, f) for t, f in zip(true, found, strict=True)])
    flips = decided & np.array([t.status != f.status for t, f in zip(true, found, strict=True)], dtype=np.bool_)
    first = np.zeros(len(found), dtype=np.bool_)
    first[decided] = halves(int(decided.sum()), seed)

    width = choose_width(depths[first], errors[first], flips[first])
    inside = decided & (depths < width.width)
    outside = decided & (depths >= width.guards)
    wrong, tested = flips & outside, outside & ~first
    plans = len(found)
    band = Band(
        width=width.width,
        plans=int(decided.sum()),
        share=float(inside.sum() / max(1, plans)),
        flips_inside=int((flips & ~outside).sum()),
        flips_outside=int(wrong.sum()),
        upper=upper_bound(int((wrong & tested).sum()), int(tested.sum())),
        report=sha256([[f.status, float(d)] for f, d in zip(found, depths, strict=True)]),
    )
    return VerdictParity(
        plans=plans,
        refused=refused,
        statuses=_table(true, found),
        untrusted=_faults(found),
        flips=tuple(
            Flip(i, found[i].status, true[i].status, float(depths[i]), not outside[i], not first[i])
            for i in np.flatnonzero(flips).tolist()
        ),
        other_violation=sum(
            t.status == f.status == "FAIL" and t.violated != f.violated for t, f in zip(true, found, strict=True)
        ),
        margins=_margin_errors(true, found),
        deciding=percentiles(errors[decided]),
        width=width,
        band=band,
        upper_all=upper_bound(int(wrong.sum()), int(outside.sum())),
        narrow=int((outside & ~flips & (HEADROOM * errors > depths)).sum()),
        rejudged=float((inside.sum() + (~decided).sum()) / max(1, plans)),
    )


def stands(finding: Finding) -> bool:
    """Whether verify would take a finding as it is, the guard band aside."""
    return finding.status in DECIDED and not often_capped(finding, finding.decided or 0)


def deciding_error(true: Finding, found: Finding) -> float:
    """How far apart the two engines have the margins that decide, in margin scales; 0 where neither has any."""
    errors = margin_errors(true, found)
    names = {name for one in (true, found) if (name := deciding(one)) is not None}
    return max((errors[name] for name in names if name in errors), default=0.0)


def deciding(finding: Finding) -> str | None:
    """The requirement whose margin is the depth of a verdict."""
    final = finding.final
    if not final or finding.status not in DECIDED:
        return None
    if finding.status == "PASS":
        return min(final, key=lambda name: final[name][0])
    return min(final, key=lambda name: final[name][1])


def margin_errors(true: Finding, found: Finding) -> dict[str, float]:
    """Requirement -> how far apart its final bounds are, in margin scales; infinite bounds that agree do not differ."""
    errors = {}
    for name, bounds in (found.final or {}).items():
        pairs = zip((true.final or {}).get(name, bounds), bounds, strict=True)
        gaps = [abs(a - b) for a, b in pairs if np.isfinite(a) and np.isfinite(b)]
        if gaps:
            errors[name] = float(max(gaps))
    return errors


def percentiles(errors: Floats) -> tuple[float, ...]:
    """PERCENTILES of errors (n,); nothing of nothing."""
    return tuple(np.percentile(errors, PERCENTILES).tolist()) if len(errors) else ()


def _margin_errors(true: Sequence[Finding], found: Sequence[Finding]) -> dict[str, tuple[float, ...]]:
    """Over the plans that both engines have decided."""
    errors: dict[str, list[float]] = {}
    for t, f in zip(true, found, strict=True):
        if t.status in DECIDED and f.status in DECIDED:
            for name, error in margin_errors(t, f).items():
                errors.setdefault(name, []).append(error)
    return {name: percentiles(np.array(each)) for name, each in errors.items()}


def _table(true: Sequence[Finding], found: Sequence[Finding]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for t, f in zip(true, found, strict=True):
        counts.setdefault(t.status, Counter())[f.status] += 1
    return {status: dict(each) for status, each in counts.items()}


def _faults(found: Sequence[Finding]) -> dict[str, int]:
    """Why an engine leaves plans to MuJoCo C -> how many."""
    counts: Counter[str] = Counter()
    for finding in found:
        if finding.status == "INVALID":
            counts.update([str(fault.name).lower() for fault in Fault if fault & finding.fault] or ["not a number"])
        elif not stands(finding):
            counts["undecided" if finding.status == "INCONCLUSIVE" else "unconverged"] += 1
    return dict(counts)


def as_json(found: VerdictParity) -> dict[str, Any]:
    """All of it but the names of the plans."""
    return {
        "plans": found.plans,
        "refused": found.refused,
        "statuses": {status: dict(each) for status, each in found.statuses.items()},
        "untrusted": dict(found.untrusted),
        "false_pass": found.false_pass,
        "false_fail": found.false_fail,
        "other_first_violation": found.other_violation,
        "percentiles": list(PERCENTILES),
        "margin_error_scales": {name: list(each) for name, each in found.margins.items()},
        "deciding_error_scales": list(found.deciding),
        "flips": [vars(flip) for flip in found.flips],
        "width_from": vars(found.width),
        "upper_all_plans": found.upper_all,
        "narrow_escapes": found.narrow,
        "rejudged_share": found.rejudged,
    }
