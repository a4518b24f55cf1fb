"""From evidence to findings: the shortest trusted prefix that decides, and the margins at its end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound
from worldverify.kernels.engine import Fault
from worldverify.kernels.measure import measure
from worldverify.kernels.robustness import Formula, decision, interval
from worldverify.simulate import Trace
from worldverify.verdict import Margin, Status

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """What the evidence of one plan says, before anybody asks whose fault it is."""

    status: Status
    decided: int | None  # k*, the first sample that decides
    margins: dict[str, Margin]  # at k*, or at the end of what can be believed
    violated: str | None  # the requirement that decided a FAIL
    untrusted: int | None  # the first sample that cannot be believed
    fault: Fault  # why
    bad_atom: str | None  # the comparison whose value was not a number there
    capped: int  # samples up to the deciding one at which the solver stopped at its limit


def atom_margins(bound: Bound, value: Floats) -> Floats:
    """(A, B, K) signed margins of the atoms, SI units, from sensor columns (B, K, S)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(measure(bound.expressions, value))


def judge(bound: Bound, trace: Trace, *, horizon: int, chunk: bool = False, full: bool = False) -> list[Finding]:
    """One finding a plan. `horizon` is N of the spec; evidence may end before it (`trace.last`).

    `chunk`: only guards are judged, over the evidence; goals are progress. `full`: margins at the end of the evidence
    instead of at k*. Plans of different length in scope "chunk" are judged group by group.
    """
    findings: list[Finding | None] = [None] * len(trace.last)
    for last in np.unique(trace.last):
        rows = np.flatnonzero(trace.last == last)
        group = _judge_group(bound, trace.value[rows], trace.fault[rows], int(last), horizon, chunk, full)
        for row, finding in zip(rows, group, strict=True):
            findings[row] = finding
    return [f for f in findings if f is not None]


def _judge_group(
    bound: Bound, value: Floats, fault: NDArray[np.int32], last: int, horizon: int, chunk: bool, full: bool
) -> list[Finding]:
    known = min(last, horizon)
    margins = atom_margins(bound, value[:, : known + 1])
    scales = np.array([a.scale for a in bound.atoms])[:, None, None]
    with np.errstate(over="ignore", invalid="ignore"):
        relative = margins / scales
    numbers = np.isfinite(relative).all(axis=0)
    distrust = ((fault[:, : known + 1] & int(Fault.invalidating())) != 0) | ~numbers
    bad = np.where(distrust.any(axis=1), distrust.argmax(axis=1), known + 1)

    formulas, guards = bound.formulas, (True,) * len(bound.formulas)
    if chunk:
        formulas, guards = bound.within(known)
    judged = np.array(guards)
    ends = [known if chunk and g else horizon for g in guards]
    lasts = np.full(len(bad), known)
    satisfied, violated = _decisions(formulas, ends, relative, lasts)
    holds = np.where(judged, satisfied, 0).max(axis=1) if judged.any() else np.full(len(bad), horizon + 1)
    breaks = np.where(judged, violated, horizon + 1)
    decided = np.minimum(holds, breaks.min(axis=1))
    trusted = (decided <= known) & (decided < bad)
    at = np.minimum(lasts, bad - 1) if full else np.where(trusted, decided, np.minimum(lasts, bad - 1))
    low, high = _intervals(formulas, ends, relative, at)

    findings = []
    for b in range(len(bad)):
        k = int(decided[b]) if trusted[b] else None
        status: Status = "INCONCLUSIVE"
        if k is not None:
            status = "PASS" if holds[b] == k else "FAIL"
        elif bad[b] <= known:
            status = "INVALID"
        first = bound.names[int(np.argmin(breaks[b]))] if status == "FAIL" else None
        wrong = int(bad[b]) if bad[b] <= known else None
        upto = k if k is not None else known
        findings.append(
            Finding(
                status=status,
                decided=k,
                margins={
                    name: _margin(bound, formulas[c], margins[:, b], relative[:, b], int(at[b]), low[b, c], high[b, c])
                    if judged[c]
                    else _progress(bound, formulas[c], margins[:, b], relative[:, b], int(at[b]), low[b, c], high[b, c])
                    for c, name in enumerate(bound.names)
                },
                violated=first,
                untrusted=wrong,
                fault=Fault(int(fault[b, wrong])) & Fault.invalidating() if wrong is not None else Fault(0),
                bad_atom=_bad_atom(bound, relative[:, b], wrong),
                capped=int(((fault[b, : upto + 1] & int(Fault.UNCONVERGED)) != 0).sum()),
            )
        )
    return findings


def _decisions(
    formulas: Sequence[Formula], ends: Sequence[int], relative: Floats, last: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two (B, C): the samples from which each formula holds or is broken; beyond every horizon for never."""
    never = max(ends) + 1
    satisfied = np.full((relative.shape[1], len(formulas)), never)
    violated = satisfied.copy()
    for end in set(ends):
        which = [c for c, e in enumerate(ends) if e == end]
        one = decision(tuple(formulas[c] for c in which), _padded(relative, end), last)
        satisfied[:, which] = np.where(one.satisfied > end, never, one.satisfied)
        violated[:, which] = np.where(one.violated > end, never, one.violated)
    return satisfied, violated


def _intervals(
    formulas: Sequence[Formula], ends: Sequence[int], relative: Floats, last: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    low = np.empty((relative.shape[1], len(formulas)))
    high = low.copy()
    for end in set(ends):
        which = [c for c, e in enumerate(ends) if e == end]
        low[:, which], high[:, which] = interval(tuple(formulas[c] for c in which), _padded(relative, end), last)
    return low, high


def _padded(relative: Floats, horizon: int) -> Floats:
    """(A, B, horizon+1): what lies beyond the evidence is NaN, and never looked at."""
    missing = horizon + 1 - relative.shape[-1]
    if missing == 0:
        return relative
    return np.concatenate([relative, np.full((*relative.shape[:2], missing), np.nan)], axis=-1)


def _margin(
    bound: Bound, formula: Formula, margins: Floats, relative: Floats, at: int, low: float, high: float
) -> Margin:
    """The deciding bound in the unit of the atom that set it; the other bound in the same unit."""
    decisive = low if low > 0 else high if high < 0 else None
    return _in_units(bound, formula, margins, relative, at, low, high, decisive, guard=True)


def _progress(
    bound: Bound, formula: Formula, margins: Floats, relative: Floats, at: int, low: float, high: float
) -> Margin:
    """A goal that is not judged: its interval, and a value only if it is already settled."""
    decisive = low if low > 0 else None
    return _in_units(bound, formula, margins, relative, at, low, high, decisive, guard=False)


def _in_units(
    bound: Bound,
    formula: Formula,
    margins: Floats,
    relative: Floats,
    at: int,
    low: float,
    high: float,
    decisive: float | None,
    guard: bool,
) -> Margin:
    used = sorted(set(_atoms(formula)))
    found = {x: _source(used, relative, at, x) for x in (low, high) if math.isfinite(x)}
    shown = decisive if decisive is not None else next(iter(found), None)
    atom = found[shown][0] if shown is not None else used[0]
    unit, scale = bound.atoms[atom].unit, bound.atoms[atom].scale

    def si(x: float) -> float:
        if x not in found:
            return float(x)
        source, k = found[x]
        same = bound.atoms[source].unit == unit and bound.atoms[source].scale == scale
        return float(margins[source, k]) if same else float(x * scale)

    value = None if decisive is None else si(decisive)
    return Margin(value, unit, (si(low), si(high)), bound.atoms[atom].text, scale, guard)


def _source(used: Sequence[int], relative: Floats, at: int, value: float) -> tuple[int, int]:
    """(atom, sample) whose margin a bound is: min and max select one of their inputs exactly."""
    for atom in used:
        hits = np.flatnonzero(relative[atom, : at + 1] == value)
        if len(hits):
            return atom, int(hits[0])
    raise AssertionError("A bound is the margin of one of its atoms.")


def _atoms(formula: Formula) -> list[int]:
    if formula[0] == "atom":
        return [formula[1]]
    return [i for part in formula[1:] if isinstance(part, tuple) for i in _atoms(part)]


def _bad_atom(bound: Bound, relative: Floats, at: int | None) -> str | None:
    if at is None:
        return None
    wrong = np.flatnonzero(~np.isfinite(relative[:, at]))
    return bound.atoms[int(wrong[0])].text if len(wrong) else None
