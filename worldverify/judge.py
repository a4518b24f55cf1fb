"""From evidence to findings: the shortest trusted prefix that decides, and the margins at its end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound
from worldverify.kernels.deciding import Decided, Question, atoms_of, decide
from worldverify.kernels.engine import Fault
from worldverify.kernels.measure import measure
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
    final: Mapping[str, tuple[float, float]] | None = None  # bounds in margin scales over all that can be believed


CAPPED_SHARE = 0.01  # of the samples may stop at the solver's limit before a finding is looked at again


def often_capped(finding: Finding, samples: int) -> bool:
    """Whether the solver stopped at its limit so often that a better converged one might find something else."""
    upto = samples if finding.decided is None else finding.decided
    return finding.capped > CAPPED_SHARE * (upto + 1)


def atom_margins(bound: Bound, value: Floats) -> Floats:
    """(A, B, K) signed margins of the atoms, SI units, from sensor columns (B, K, S)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(measure(bound.expressions, value))


def judge(
    bound: Bound, trace: Trace, *, horizon: int, chunk: bool = False, full: bool = False, final: bool = False
) -> list[Finding]:
    """One finding a plan. `horizon` is N of the spec; evidence may end before it (`trace.last`).

    `chunk`: only guards are judged, over the evidence; goals are progress. `full`: margins at the end of the evidence
    instead of at k*. `final`: also the bounds there. Plans of different length in scope "chunk" are judged group by
    group.
    """
    findings: list[Finding | None] = [None] * len(trace.last)
    for last in np.unique(trace.last):
        rows = np.flatnonzero(trace.last == last)
        known = min(int(last), horizon)
        margins = atom_margins(bound, trace.value[rows, : known + 1])
        fault = trace.fault[rows, : known + 1]
        found = judge_margins(bound, margins, fault, horizon=horizon, chunk=chunk, full=full, final=final)
        for row, finding in zip(rows, found, strict=True):
            findings[row] = finding
    return [f for f in findings if f is not None]


def judge_margins(
    bound: Bound,
    margins: Floats,
    fault: NDArray[np.int32],
    *,
    horizon: int,
    chunk: bool = False,
    full: bool = False,
    final: bool = False,
) -> list[Finding]:
    """`judge` of margins of the atoms (A, B, K), SI units, with their faults (B, K): the evidence ends there."""
    known = margins.shape[2] - 1
    question = question_of(bound, known, horizon, chunk=chunk, full=full, final=final)
    decided = decide(question, in_scales(bound, margins), fault)
    return findings_of(bound, question, decided, _bounds_in_si(decided, margins), known)


def in_scales(bound: Bound, margins: Floats) -> Floats:
    """(A, B, K) margins in the scales of their atoms."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(margins / np.array([a.scale for a in bound.atoms])[:, None, None])


def question_of(bound: Bound, known: int, horizon: int, *, chunk: bool, full: bool, final: bool) -> Question:
    """What is asked of evidence that ends with sample `known`."""
    formulas, guards = bound.formulas, (True,) * len(bound.formulas)
    if chunk:
        formulas, guards = bound.within(known)
    ends = tuple(known if chunk and guard else horizon for guard in guards)
    return Question(formulas, ends, guards, full, final)


def findings_of(bound: Bound, question: Question, decided: Any, si: Floats, known: int) -> list[Finding]:
    """Findings from the answers to a question, with the bounds in SI units (B, C, 2)."""
    answers = Decided(*(np.asarray(field) for field in decided))
    return [_finding(bound, question, answers, si[b], b, known) for b in range(len(answers.first))]


def _finding(bound: Bound, question: Question, answers: Decided, si: Floats, b: int, known: int) -> Finding:
    first, bad = int(answers.first[b]), int(answers.bad[b])
    trusted = first <= known and first < bad
    status: Status = "INCONCLUSIVE"
    if trusted:
        status = "PASS" if int(answers.holds[b]) == first else "FAIL"
    elif bad <= known:
        status = "INVALID"
    wrong = bad if bad <= known else None
    atom = int(answers.atom[b])
    bounds = list(zip(answers.low[b].tolist(), answers.high[b].tolist(), strict=True))
    final = [(float(low), float(high)) for low, high in answers.final[b].tolist()] if question.final else []
    return Finding(
        status=status,
        decided=first if trusted else None,
        margins={
            name: _margin(bound, question, c, bounds[c], answers.source[b, c, :, 0].tolist(), si[c].tolist())
            for c, name in enumerate(bound.names)
        },
        violated=bound.names[int(np.argmin(answers.breaks[b]))] if status == "FAIL" else None,
        untrusted=wrong,
        fault=Fault(int(answers.fault[b])) & Fault.invalidating() if wrong is not None else Fault(0),
        bad_atom=bound.atoms[atom].text if atom >= 0 else None,
        capped=int(answers.capped[b]),
        final=dict(zip(bound.names, final, strict=True)) if question.final else None,
    )


def _bounds_in_si(decided: Decided, margins: Floats) -> Floats:
    """(B, C, 2) the bounds in the SI unit of the atom that set them; NaN where they are infinite."""
    atom, sample = decided.source[..., 0], decided.source[..., 1]
    plan = np.arange(len(atom))[:, None, None]
    return np.where(atom >= 0, margins[atom, plan, sample], np.nan)


def _margin(
    bound: Bound,
    question: Question,
    c: int,
    relative: tuple[float, float],
    atoms: Sequence[int],
    si: Sequence[float],
) -> Margin:
    """The deciding bound in the unit of the atom that set it, the other bound in the same unit.

    A goal that is not judged has a value only if it is already settled.
    """
    guard = question.judged[c]
    low, high = relative
    side = 0 if low > 0 else 1 if high < 0 and guard else None
    shown = side if side is not None else next((i for i, x in enumerate(relative) if math.isfinite(x)), None)
    atom = bound.atoms[atoms[shown] if shown is not None else min(atoms_of(question.formulas[c]))]

    def in_units(i: int) -> float:
        if not math.isfinite(relative[i]):
            return relative[i]
        source = bound.atoms[atoms[i]]
        return si[i] if (source.unit, source.scale) == (atom.unit, atom.scale) else relative[i] * atom.scale

    interval = in_units(0), in_units(1)
    return Margin(None if side is None else interval[side], atom.unit, interval, atom.text, atom.scale, guard)
