"""From relative margins and faults to what they decide: the shortest trusted prefix, and the bounds at its end.

Works on NumPy and traced JAX arrays alike: B traces of A atoms, sampled at k = 0..K.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from worldverify.kernels.engine import Fault
from worldverify.kernels.robustness import Formula, decision, interval

Array = Any


class Question(NamedTuple):
    """What is asked of every trace; hashable, so that a program is compiled once for it."""

    formulas: tuple[Formula, ...]  # C of them
    ends: tuple[int, ...]  # (C,) the last sample that each formula may look at
    judged: tuple[bool, ...]  # (C,) False: progress only
    full: bool = False  # bounds at the end of the evidence instead of at k*
    final: bool = False  # also the bounds over all that can be believed


class Decided(NamedTuple):
    """B answers; a sample number beyond every end stands for never."""

    first: Array  # (B,) k*: the first sample at which all judged formulas hold or one is broken
    holds: Array  # (B,) the first sample at which all judged formulas hold
    breaks: Array  # (B, C) the first sample at which each judged formula is broken
    bad: Array  # (B,) the first sample that cannot be believed; K+1 if all can
    at: Array  # (B,) the sample whose bounds are told
    low: Array  # (B, C) lower bounds there, in margin scales
    high: Array  # (B, C) upper bounds there
    source: Array  # (B, C, 2, 2) atom and sample that set the lower and the upper bound; -1 where it is infinite
    final: Array  # (B, C, 2) lower and upper bounds over all that can be believed; empty unless asked for
    fault: Array  # (B,) Fault bits of the sample `bad`, 0 if there is none
    atom: Array  # (B,) the first atom that is no number there, -1 if all are
    capped: Array  # (B,) samples up to k* (or K) at which the solver stopped at its limit


def decide(question: Question, relative: Array, fault: Array, last: Array | None = None) -> Decided:
    """Answers from margins in scales (A, B, K+1) and faults (B, K+1). NaN in any margin is a fault of its sample.

    `last` (B,): the last sample of each trace, if not K; what lies beyond it is not looked at.
    """
    xp = relative.__array_namespace__()
    known = relative.shape[-1] - 1
    finite = xp.isfinite(relative)
    bad = _first_bad(relative, fault, last)
    lasts = xp.full_like(bad, known) if last is None else xp.astype(last, bad.dtype)
    holds, breaks = _turns(question, relative, lasts)
    first = xp.minimum(holds, xp.min(breaks, axis=1))

    trusted = (first <= known) & (first < bad)
    end = xp.minimum(lasts, bad - 1)
    at = end if question.full else xp.where(trusted, first, end)
    low, high = _intervals(question, relative, at)
    final = xp.stack(_intervals(question, relative, end), axis=-1) if question.final else low[:, :0]

    seen = xp.minimum(bad, lasts)[:, None]
    wrong = bad <= lasts
    broken = xp.take_along_axis(~finite, seen[None], axis=2)[:, :, 0]
    k = xp.arange(known + 1)
    upto = xp.where(trusted, first, lasts)[:, None]
    return Decided(
        first=first,
        holds=holds,
        breaks=breaks,
        bad=bad,
        at=at,
        low=low,
        high=high,
        source=_sources(question, relative, at, low, high),
        final=final,
        fault=xp.where(wrong, xp.take_along_axis(fault, seen, axis=1)[:, 0], 0),
        atom=xp.where(wrong & xp.any(broken, axis=0), xp.argmax(broken, axis=0), -1),
        capped=xp.sum(((fault & int(Fault.UNCONVERGED)) != 0) & (k <= upto), axis=1),
    )


def settled(question: Question, relative: Array, fault: Array, last: Array, width: float) -> Array:
    """(B,) whether nothing beyond sample `last` (B,) matters: `decide` gives its answer by more than `width` scales,
    or some sample cannot be believed. A FAIL counts by what it violates first. Arrays as of `decide`."""
    xp = relative.__array_namespace__()
    holds, breaks = _turns(question, relative, last)
    low, high = _intervals(question, relative, last)
    judged = xp.asarray(question.judged)
    passed = (holds <= last) & xp.all(~judged | (low > width), axis=1)
    which = xp.argmin(breaks, axis=1)[:, None]
    broken = xp.take_along_axis(breaks, which, axis=1)[:, 0] <= last
    failed = broken & (xp.take_along_axis(high, which, axis=1)[:, 0] < -width)
    return passed | failed | (_first_bad(relative, fault, last) <= last)


def _first_bad(relative: Array, fault: Array, last: Array | None) -> Array:
    """(B,) the first sample, up to `last`, that cannot be believed; K+1 if all can."""
    xp = relative.__array_namespace__()
    distrust = ((fault & int(Fault.invalidating())) != 0) | ~xp.all(xp.isfinite(relative), axis=0)
    if last is not None:
        distrust = distrust & (xp.arange(relative.shape[-1]) <= last[:, None])
    return xp.where(xp.any(distrust, axis=1), xp.argmax(distrust, axis=1), relative.shape[-1])


def _turns(question: Question, relative: Array, last: Array) -> tuple[Array, Array]:
    """(B,) from which sample all judged formulas hold, and (B, C) from which each judged one is broken."""
    xp = relative.__array_namespace__()
    never = max(*question.ends, relative.shape[-1] - 1) + 1
    satisfied, violated = _decisions(question, relative, last, never)
    judged = xp.asarray(question.judged)
    holds = xp.max(xp.where(judged, satisfied, 0 if any(question.judged) else never), axis=1)
    return holds, xp.where(judged, violated, never)


def _decisions(question: Question, relative: Array, last: Array, never: int) -> tuple[Array, Array]:
    """Two (B, C): the samples from which each formula holds or is broken."""
    xp = relative.__array_namespace__()
    satisfied: dict[int, Array] = {}
    violated: dict[int, Array] = {}
    for end, which in _by_end(question.ends).items():
        seen = _padded(relative, end)
        one = decision(tuple(question.formulas[c] for c in which), seen, last)
        for i, c in enumerate(which):
            satisfied[c] = xp.where(one.satisfied[:, i] >= seen.shape[-1], never, one.satisfied[:, i])
            violated[c] = xp.where(one.violated[:, i] >= seen.shape[-1], never, one.violated[:, i])
    columns = range(len(question.formulas))
    return xp.stack([satisfied[c] for c in columns], axis=-1), xp.stack([violated[c] for c in columns], axis=-1)


def _intervals(question: Question, relative: Array, last: Array) -> tuple[Array, Array]:
    """Two (B, C): the bounds of each formula when samples up to last (B,) are known."""
    xp = relative.__array_namespace__()
    low: dict[int, Array] = {}
    high: dict[int, Array] = {}
    for end, which in _by_end(question.ends).items():
        bounds = interval(tuple(question.formulas[c] for c in which), _padded(relative, end), last)
        for i, c in enumerate(which):
            low[c], high[c] = bounds[0][:, i], bounds[1][:, i]
    columns = range(len(question.formulas))
    return xp.stack([low[c] for c in columns], axis=-1), xp.stack([high[c] for c in columns], axis=-1)


def _by_end(ends: Sequence[int]) -> dict[int, list[int]]:
    return {end: [c for c, e in enumerate(ends) if e == end] for end in sorted(set(ends))}


def _padded(relative: Array, end: int) -> Array:
    """(A, B, end+1 or less): one sample beyond the evidence, which is NaN and never looked at, stands for all."""
    if end < relative.shape[-1]:
        return relative[..., : end + 1]
    xp = relative.__array_namespace__()
    beyond = xp.full((*relative.shape[:2], 1), float("nan"), dtype=relative.dtype)
    return xp.concat([relative, beyond], axis=-1)


def _sources(question: Question, relative: Array, at: Array, low: Array, high: Array) -> Array:
    """(B, C, 2, 2) the first atom, and its first sample, whose margin is a bound: min and max select an input."""
    xp = relative.__array_namespace__()
    before = xp.arange(relative.shape[-1]) <= at[:, None]
    found = []
    for c, formula in enumerate(question.formulas):
        used = sorted(set(atoms_of(formula)))
        margins = relative[xp.asarray(used)]
        sides = []
        for bound in (low[:, c], high[:, c]):
            hits = (margins == bound[:, None]) & before
            there = xp.any(hits, axis=2)
            which = xp.argmax(there, axis=0)
            sample = xp.argmax(xp.take_along_axis(hits, which[None, :, None], axis=0)[0], axis=1)
            one = xp.stack([xp.asarray(used)[which], sample], axis=-1)
            sides.append(xp.where(xp.any(there, axis=0)[:, None] & xp.isfinite(bound)[:, None], one, -1))
        found.append(xp.stack(sides, axis=1))
    return xp.stack(found, axis=1)


def atoms_of(formula: Formula) -> list[int]:
    """The atoms of a formula, from left to right."""
    if formula[0] == "atom":
        return [formula[1]]
    return [i for part in formula[1:] if isinstance(part, tuple) for i in atoms_of(part)]
