"""Interval robustness of temporal formulas over traces that may be cut off, as one min/max fold.

A formula is a nested tuple in negation normal form over A atoms (signed margins sampled at k = 0..N):

    ("atom", i)                      margin of atom i at this sample
    ("and", f, g, ...)               least of the parts
    ("or", f, g, ...)                greatest of the parts
    ("always", a, b, f)              least of f over samples [k+a, k+b]; b None: to the horizon N
    ("eventually", a, b, f)          greatest of f over the same window
    ("until", a, b, f, g)            greatest over k' in the window of min(g at k', least f over [k, k'))
    ("release", a, b, f, g)          its dual: least over k' of max(g at k', greatest f over [k, k'))
    ("at_end", f)                    f at sample N

Samples after `last` (and after N) are unknown. Robustness is the interval [lo, hi] over every continuation:
unknown atoms are [-inf, +inf] and min and max act on both bounds (space robustness of Donze and Maler 2010;
interval semantics of Deshmukh et al. 2017). Signs commute with min and max, so the sample at which a bound
becomes decided is the same fold over sample numbers: no formula is ever re-evaluated prefix by prefix.

Every operation is a minimum, maximum, comparison or selection: results are exact, and equal bit for bit on
NumPy and under jit, alone and in a batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Array = Any
Formula = tuple[Any, ...]
Combine = Callable[[Array, Array], Array]
Block = tuple[Array, ...]  # what a window of samples amounts to, for every start sample: each (B, N+1)

_INF = float("inf")


class Decision(NamedTuple):
    """For B traces and C formulas: when each formula becomes true or false; N+1 stands for never."""

    satisfied: Array  # (B, C) first sample at which lo > 0
    violated: Array  # (B, C) first sample at which hi < 0


def interval(formulas: tuple[Formula, ...], margins: Array, last: Array) -> tuple[Array, Array]:
    """Bounds (lo, hi), each (B, C), of C formulas at sample 0 from A margins (A, B, N+1) known up to last (B,)."""
    xp = margins.__array_namespace__()
    known = _sample_numbers(xp, margins) <= last[:, None]
    lo = xp.where(known, margins, -_INF)
    hi = xp.where(known, margins, _INF)
    return (
        xp.stack([_first(f, lo, -_INF) for f in formulas], axis=-1),
        xp.stack([_first(f, hi, _INF) for f in formulas], axis=-1),
    )


def decision(formulas: tuple[Formula, ...], margins: Array, last: Array) -> Decision:
    """The samples at which each formula's bounds first exclude zero, from margins (A, B, N+1) known up to last (B,).

    A margin that is NaN or exactly zero decides nothing.
    """
    xp = margins.__array_namespace__()
    k = _sample_numbers(xp, margins)
    known = k <= last[:, None]
    k = xp.astype(k, margins.dtype)
    never = margins.shape[-1]
    # lo > 0 is known from the latest of what "and" needs and the earliest of what "or" needs: min and max of -k.
    earliest = xp.where(known & (margins > 0), -k, -_INF)
    latest = xp.where(known & (margins < 0), k, _INF)
    satisfied = xp.stack([-_first(f, earliest, -_INF) for f in formulas], axis=-1)
    violated = xp.stack([_first(f, latest, _INF) for f in formulas], axis=-1)
    return Decision(*(xp.astype(xp.clip(t, 0, never), xp.int32) for t in (satisfied, violated)))


def _sample_numbers(xp: Any, margins: Array) -> Array:
    return xp.arange(margins.shape[-1])


def _first(formula: Formula, atoms: Array, outside: float) -> Array:
    """The formula at sample 0, (B,); `outside` is the value of a sample beyond the horizon."""
    xp = atoms.__array_namespace__()
    match formula:
        case ("atom", i):
            return atoms[i, :, 0]
        case ("and", *parts):
            return _reduce(xp.minimum, [_first(p, atoms, outside) for p in parts])
        case ("or", *parts):
            return _reduce(xp.maximum, [_first(p, atoms, outside) for p in parts])
        case ("always", a, b, part):
            return xp.min(_window(everywhere(part, atoms, outside), a, b, outside), axis=-1)
        case ("eventually", a, b, part):
            return xp.max(_window(everywhere(part, atoms, outside), a, b, outside), axis=-1)
        case ("at_end", part):
            return everywhere(part, atoms, outside)[:, -1]
    return everywhere(formula, atoms, outside)[:, 0]


def _window(x: Array, a: int, b: int | None, outside: float) -> Array:
    """The samples a..b (inclusive) of x (B, N+1), with `outside` where they lie beyond the horizon."""
    xp = x.__array_namespace__()
    samples = x.shape[-1]
    if b is None and a < samples:
        return x[:, a:]
    stop = samples if b is None else b + 1
    inside = x[:, a : min(stop, samples)]
    if stop <= samples and inside.shape[-1]:
        return inside
    return xp.concat([inside, xp.full_like(x[:, :1], outside)], axis=-1)


def everywhere(formula: Formula, atoms: Array, outside: float) -> Array:
    """The formula at every sample, (B, N+1), of margins (A, B, N+1); beyond the last one every atom is `outside`."""
    xp = atoms.__array_namespace__()
    match formula:
        case ("atom", i):
            return atoms[i]
        case ("and", *parts):
            return _reduce(xp.minimum, [everywhere(p, atoms, outside) for p in parts])
        case ("or", *parts):
            return _reduce(xp.maximum, [everywhere(p, atoms, outside) for p in parts])
        case ("always", a, b, part):
            return _slide(xp.minimum, _INF, everywhere(part, atoms, outside), a, b, outside)
        case ("eventually", a, b, part):
            return _slide(xp.maximum, -_INF, everywhere(part, atoms, outside), a, b, outside)
        case ("until", a, b, left, right):
            pair = everywhere(left, atoms, outside), everywhere(right, atoms, outside)
            return _until(xp.minimum, xp.maximum, _INF, *pair, a, b, outside)
        case ("release", a, b, left, right):
            pair = everywhere(left, atoms, outside), everywhere(right, atoms, outside)
            return _until(xp.maximum, xp.minimum, -_INF, *pair, a, b, outside)
        case ("at_end", part):
            return xp.broadcast_to(everywhere(part, atoms, outside)[:, -1:], atoms.shape[1:])
    raise ValueError(f"Unknown operator {formula[0]!r} in a compiled formula.")


def _reduce(combine: Combine, parts: list[Array]) -> Array:
    value = parts[0]
    for part in parts[1:]:
        value = combine(value, part)
    return value


def _shift(x: Array, n: int, fill: float) -> Array:
    """x at sample k+n, with `fill` beyond the horizon."""
    if n == 0:
        return x
    xp = x.__array_namespace__()
    n = min(n, x.shape[-1])
    return xp.concat([x[:, n:], xp.full_like(x[:, :n], fill)], axis=-1)


def _slide(combine: Combine, neutral: float, x: Array, a: int, b: int | None, outside: float) -> Array:
    """combine over samples [k+a, k+b] of x, for every k; to the horizon if b is None."""

    def compose(first: Block, second: Block) -> Block:
        return (combine(first[0], second[0]),)

    if b is None:
        (rest,) = _windowed(compose, (x,), x.shape[-1], (neutral,))
        return _shift(rest, a, outside)
    (window,) = _windowed(compose, (x,), b - a + 1, (outside,))
    return _shift(window, a, outside)


def _until(
    meet: Combine, join: Combine, top: float, left: Array, right: Array, a: int, b: int | None, outside: float
) -> Array:
    """join over k' in [k+a, k+b] of meet(right at k', meet of left over [k, k')).

    One sample turns what follows, u, into join(right, meet(left, u)); such maps compose to maps of the same form
    (r, l), so a window of them is built by doubling. What follows the last sample of the window is -top.
    """

    def compose(first: Block, second: Block) -> Block:
        (r1, l1), (r2, l2) = first, second
        return join(r1, meet(l1, r2)), meet(l1, l2)

    if b is None:
        reach, _ = _windowed(compose, (right, left), right.shape[-1], (-top, top))
    else:
        reach, _ = _windowed(compose, (right, left), b - a + 1, (outside, outside))
    reach = _shift(reach, a, outside)
    return meet(reach, _slide(meet, top, left, 0, a - 1, outside)) if a > 0 else reach


def _windowed(compose: Callable[[Block, Block], Block], one: Block, width: int, pad: tuple[float, ...]) -> Block:
    """The composition of samples k..k+width-1 for every k, in O(log width) passes; `pad` stands beyond the horizon."""

    def shifted(block: Block, n: int) -> Block:
        return tuple(_shift(x, n, fill) for x, fill in zip(block, pad, strict=True))

    result: Block | None = None
    covered, size, block = 0, 1, one
    while True:
        if width & size:
            result = block if result is None else compose(result, shifted(block, covered))
            covered += size
        if covered == width:
            assert result is not None
            return result
        block = compose(block, shifted(block, size))
        size *= 2
