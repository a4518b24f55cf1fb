"""Robustness of temporal formulas over L traces that grow: what is settled is folded away, only what is not is kept.

The formulas are those of `kernels.robustness`. A formula looks ahead by the sum of its nested bounded windows; a sample
that lies farther back than that has its final value. So the outermost operator folds final values into one number, and
each call looks at the samples since the last call and at those of the look-ahead.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.robustness import Formula, everywhere, interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_INF = float("inf")


class _Lanes:
    """Arrays with a row for every lane, which can be copied from lane to lane."""

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def save(self, lanes: Ints) -> list[Any]:
        """What is known of the traces in these lanes."""
        return [field[lanes] for field in self._fields]

    def restore(self, lanes: Ints, saved: list[Any]) -> None:
        """The traces in these lanes go on where those that were saved stood."""
        for field, rows in zip(self._fields, saved, strict=True):
            field[lanes] = rows


class Online(_Lanes):
    """C formulas over L lanes, each a trace of its own that begins when it is cleared. NaN is for the caller to see."""

    def __init__(self, formulas: tuple[Formula, ...], end: int, nlane: int) -> None:
        """`end` is the last sample that the formulas may look at. Raises ValueError if `supports` says no."""
        if not supports(formulas):
            raise ValueError("A formula looks ahead without bound below its outermost operator.")
        self._roots = [_root(formula, end, nlane) for formula in formulas]
        self._known = np.zeros(nlane, dtype=np.int64)  # samples so far
        super().__init__(self._known, *(field for root in self._roots for field in root.fields()))

    def clear(self, lanes: Ints) -> None:
        """New traces begin in these lanes."""
        self._known[lanes] = 0
        for root in self._roots:
            root.clear(lanes)

    def add(self, lanes: Ints, margins: Floats) -> tuple[Floats, Floats, Floats]:
        """Take in margins (A, n, K) of the next K samples of lanes (n,): low, high and standing, (n, C) each.

        [low, high] are the bounds of `kernels.robustness.interval` where they decide: where low is not above zero it
        may be lower here, and where high is not below zero higher. standing is the robustness if the last sample
        repeated itself for ever.
        """
        rows: Any = slice(None) if len(lanes) == len(self._known) else lanes
        self._known[rows] += margins.shape[2]
        new = New(rows, margins, self._known[rows])
        bounds = [root.bounds(new) for root in self._roots]
        low, high, standing = (np.stack([each[side] for each in bounds], axis=-1) for side in range(3))
        return low, high, standing


class Whole(_Lanes):
    """The same for any formulas, from all samples since a trace began."""

    def __init__(self, formulas: tuple[Formula, ...], end: int, nlane: int) -> None:
        atoms = 1 + max((i for formula in formulas for i in _atoms(formula)), default=0)
        self._formulas, self._all = formulas, np.zeros((atoms, nlane, end + 1))
        self._known = np.zeros(nlane, dtype=np.int64)
        super().__init__(self._known, np.moveaxis(self._all, 1, 0))

    def clear(self, lanes: Ints) -> None:
        """New traces begin in these lanes."""
        self._known[lanes] = 0

    def add(self, lanes: Ints, margins: Floats) -> tuple[Floats, Floats, Floats]:
        """As of `Online`; standing is the lower bound if the last sample repeated itself to the horizon."""
        whole, row, samples = self._all, np.arange(len(lanes))[:, None], np.arange(self._all.shape[2])
        place = self._known[lanes][:, None] + np.arange(margins.shape[2])
        whole[:, lanes[:, None], place] = margins[: len(whole)]
        self._known[lanes] += margins.shape[2]
        last = self._known[lanes] - 1
        low, high = interval(self._formulas, whole[:, lanes], last)
        held = whole[:, lanes][:, row, np.minimum(samples, last[:, None])]
        return low, high, interval(self._formulas, held, np.full(len(lanes), len(samples)))[0]


def monitor(formulas: tuple[Formula, ...], end: int, nlane: int) -> Online | Whole:
    """What watches formulas in L lanes."""
    return Online(formulas, end, nlane) if supports(formulas) else Whole(formulas, end, nlane)


def still(formulas: tuple[Formula, ...], margins: Floats) -> Floats:
    """(n, C) robustness of formulas over traces that show the same margins (A, n) at every sample, for ever."""
    return np.stack([_still(formula, margins) for formula in formulas], axis=-1)


def _still(formula: Formula, margins: Floats) -> Floats:
    match formula:
        case ("atom", i):
            value: Floats = margins[i]
            return value
        case ("and", *parts):
            return np.asarray(np.minimum.reduce([_still(part, margins) for part in parts]))
        case ("or", *parts):
            return np.asarray(np.maximum.reduce([_still(part, margins) for part in parts]))
        case ("always" | "eventually", _, _, part) | ("at_end", part):
            return _still(part, margins)
        case ("until" | "release" as name, a, _, left, right):
            reach, hold = _still(right, margins), _still(left, margins)
            return reach if not a else (np.minimum if name == "until" else np.maximum)(reach, hold)
    raise ValueError(f"Unknown operator {formula[0]!r} in a compiled formula.")


def supports(formulas: tuple[Formula, ...]) -> bool:
    """Whether every operator below the outermost ones looks ahead by a bounded number of samples."""
    return all(_nested(formula) for formula in formulas)


def _nested(formula: Formula) -> bool:
    match formula:
        case ("and" | "or", *parts):
            return all(_nested(part) for part in parts)
        case ("always" | "eventually", _, _, part) | ("at_end", part):
            return _reach(part) is not None
        case ("until" | "release", _, _, left, right):
            return _reach(left) is not None and _reach(right) is not None
    return True


def _reach(formula: Formula) -> int | None:
    """How many samples ahead the value of a formula at a sample depends on; None is no bound."""
    match formula:
        case ("atom", _):
            return 0
        case ("and" | "or", *parts):
            return _farthest(parts)
        case ("always" | "eventually", _, int(b), part):
            inner = _reach(part)
            return None if inner is None else b + inner
        case ("until" | "release", _, int(b), left, right):
            inner = _farthest([left, right])
            return None if inner is None else b + inner
    return None


def _farthest(parts: list[Formula]) -> int | None:
    reaches = [_reach(part) for part in parts]
    known = [reach for reach in reaches if reach is not None]
    return max(known) if len(known) == len(reaches) else None


def _atoms(formula: Formula) -> list[int]:
    if formula[0] == "atom":
        return [formula[1]]
    return [i for part in formula[1:] if isinstance(part, tuple) for i in _atoms(part)]


class New(NamedTuple):
    """The next K samples of n lanes."""

    rows: Any  # the lanes
    margins: Floats  # (A, n, K)
    known: Ints  # (n,) samples so far, these included


Bounds = tuple[Floats, Floats, Floats]  # low, high, standing: (n,) each


def _root(formula: Formula, end: int, nlane: int) -> "_Fold | _Both | _Until":
    match formula:
        case ("and", *parts):
            return _Both(np.minimum, [_root(part, end, nlane) for part in parts])
        case ("or", *parts):
            return _Both(np.maximum, [_root(part, end, nlane) for part in parts])
        case ("always", a, b, part):
            return _Fold(np.minimum, part, a, end if b is None else b, end, nlane)
        case ("eventually", a, b, part):
            return _Fold(np.maximum, part, a, end if b is None else b, end, nlane)
        case ("at_end", part):
            return _Fold(np.minimum, part, end, end, end, nlane)
        case ("until", a, b, left, right):
            return _Until(1.0, left, right, a, end if b is None else b, end, nlane)
        case ("release", a, b, left, right):
            return _Until(-1.0, left, right, a, end if b is None else b, end, nlane)
    return _Fold(np.minimum, formula, 0, 0, end, nlane)


class _Both:
    """Formulas joined at the first sample."""

    def __init__(self, combine: Any, parts: "list[_Fold | _Both | _Until]") -> None:
        self._combine, self._parts = combine, parts

    def fields(self) -> list[Any]:
        return [field for part in self._parts for field in part.fields()]

    def clear(self, lanes: Ints) -> None:
        for part in self._parts:
            part.clear(lanes)

    def bounds(self, new: New) -> Bounds:
        sides = zip(*(part.bounds(new) for part in self._parts), strict=True)
        low, high, standing = (self._combine.reduce(side) for side in sides)
        return low, high, standing


class _Window:
    """The samples that some lanes have not settled, of the atoms of some formulas: a look-ahead, then K new ones."""

    def __init__(self, formulas: list[Formula], nlane: int) -> None:
        look = _farthest(formulas)
        assert look is not None
        self.look = look
        self._atoms = sorted({i for formula in formulas for i in _atoms(formula)})
        first, last = self._atoms[0], self._atoms[-1]
        # Neighbours are looked at where they lie, others are copied.
        self._place = slice(first, last + 1) if last - first + 1 == len(self._atoms) else self._atoms
        self.formulas = [_renumbered(formula, self._atoms) for formula in formulas]
        self._tail = np.zeros((len(self._atoms), nlane, look))  # the margins of the last samples

    def fields(self) -> list[Any]:
        return [np.moveaxis(self._tail, 1, 0)]

    def take(self, new: New) -> Floats:
        """Margins (A', n, look + K) of samples that may lie before the trace: see `_numbers`."""
        margins: Floats = new.margins[self._place]
        if self.look:
            margins = np.concatenate([self._tail[:, new.rows], margins], axis=2)
            self._tail[:, new.rows] = margins[:, :, margins.shape[2] - self.look :]
        return margins

    def held(self, margins: Floats) -> Floats:
        """(A', n, look + K + look): the last sample repeated."""
        if not self.look:
            return margins
        return np.concatenate([margins, np.repeat(margins[:, :, -1:], self.look, axis=2)], axis=2)


def _numbers(new: New, count: int) -> Ints:
    """(n, count) the numbers of the last samples; those before the trace are below 0."""
    return np.asarray(new.known[:, None] - count + np.arange(count))


def _renumbered(formula: Formula, atoms: list[int]) -> Formula:
    if formula[0] == "atom":
        return ("atom", atoms.index(formula[1]))
    return tuple(_renumbered(part, atoms) if isinstance(part, tuple) else part for part in formula)


class _Fold:
    """always, eventually or at_end: the least or the greatest of a formula over samples a..b."""

    def __init__(self, combine: Any, part: Formula, a: int, b: int, end: int, nlane: int) -> None:
        self._window = _Window([part], nlane)
        self._first, self._last, self._b = a, min(b, end), b
        self._combine = combine
        self._none = _INF if combine is np.minimum else -_INF  # what an empty window amounts to
        self._settled = np.full(nlane, self._none)

    def fields(self) -> list[Any]:
        """Arrays with a row for every lane."""
        return [self._settled, *self._window.fields()]

    def clear(self, lanes: Ints) -> None:
        self._settled[lanes] = self._none

    def bounds(self, new: New) -> Bounds:
        look, (part,) = self._window.look, self._window.formulas
        margins = self._window.take(new)
        count = margins.shape[2] - look
        still = everywhere(part, self._window.held(margins), -_INF)
        value, wanted = still[:, : look + count], None
        # Samples before the trace do not count, whatever the window. Most often all of them do.
        if new.known.min() - look - count < max(self._first, 0) or new.known.max() > self._last + 1:
            numbers = _numbers(new, look + count)
            wanted = (numbers >= max(self._first, 0)) & (numbers <= self._last)
            value = np.where(wanted, value, self._none)
        settled = self._combine(self._settled[new.rows], self._combine.reduce(value[:, :count], axis=1))
        self._settled[new.rows] = settled
        standing = self._combine(settled, self._combine.reduce(value[:, count:], axis=1, initial=self._none))
        ahead = new.known <= self._b  # whether samples of the window are still to come
        standing = np.where(ahead, self._combine(standing, still[:, look + count - 1]), standing)
        # What is ahead may make the least any worse, and the greatest any better.
        low = np.where(ahead, self._combine(settled, -_INF), settled)
        high = np.where(ahead, self._combine(settled, _INF), settled)
        if look:
            least = self._combine is np.minimum
            for bound, unknown, may in ((low, -_INF, standing > 0), (high, _INF, standing < 0)):
                some = np.flatnonzero(may & ~(ahead & (least if unknown < 0 else not least)))
                rest = everywhere(part, margins[:, some], unknown)
                rest = (rest if wanted is None else np.where(wanted[some], rest, self._none))[:, count:]
                bound[some] = self._combine(bound[some], self._combine.reduce(rest, axis=1, initial=self._none))
                bound[~may] = unknown
        return low, high, standing


class _Until:
    """left until right, over samples a..b; its dual, release, with `sign` -1."""

    def __init__(self, sign: float, left: Formula, right: Formula, a: int, b: int, end: int, nlane: int) -> None:
        self._sign, self._window = sign, _Window([left, right], nlane)
        self._first, self._last, self._b = a, min(b, end), b
        self._best = np.full(nlane, -_INF)  # over the settled samples, of what reaches right
        self._so_far = np.full(nlane, _INF)  # the least of left over the settled samples

    def fields(self) -> list[Any]:
        """Arrays with a row for every lane."""
        return [self._best, self._so_far, *self._window.fields()]

    def clear(self, lanes: Ints) -> None:
        self._best[lanes], self._so_far[lanes] = -_INF, _INF

    def bounds(self, new: New) -> Bounds:
        look = self._window.look
        margins = self._window.take(new)
        count = margins.shape[2] - look
        numbers = _numbers(new, look + count)
        left, right = self._sides(self._window.held(margins), -_INF)
        best, so_far = self._walk(
            self._best[new.rows], self._so_far[new.rows], left[:, :count], right[:, :count], numbers[:, :count]
        )
        self._best[new.rows], self._so_far[new.rows] = best, so_far
        ahead, rest = new.known <= self._b, slice(count, look + count)
        standing, least = self._walk(best, so_far, left[:, rest], right[:, rest], numbers[:, rest])
        standing = np.where(ahead, np.maximum(standing, np.minimum(right[:, look + count - 1], least)), standing)
        low, high = (self._bound(best, so_far, margins, numbers, unknown, count, ahead) for unknown in (-_INF, _INF))
        return (low, high, standing) if self._sign > 0 else (-high, -low, -standing)

    def _bound(
        self, best: Floats, so_far: Floats, margins: Floats, numbers: Ints, unknown: float, count: int, ahead: Any
    ) -> Floats:
        left, right = self._sides(margins, self._sign * unknown)
        side, least = self._walk(best, so_far, left[:, count:], right[:, count:], numbers[:, count:])
        return np.where(ahead, np.maximum(side, least), side) if unknown > 0 else side

    def _sides(self, margins: Floats, unknown: float) -> tuple[Floats, Floats]:
        left, right = (self._sign * everywhere(part, margins, unknown) for part in self._window.formulas)
        return left, right

    def _walk(self, best: Floats, so_far: Floats, left: Floats, right: Floats, numbers: Ints) -> tuple[Floats, Floats]:
        """Both accumulators after the samples of left and right (n, m)."""
        if not left.shape[1]:
            return best, so_far
        begun = numbers >= 0
        until = np.minimum.accumulate(np.concatenate([so_far[:, None], np.where(begun, left, _INF)], axis=1), axis=1)
        wanted = begun & (numbers >= self._first) & (numbers <= self._last)
        reached = np.where(wanted, np.minimum(right, until[:, :-1]), -_INF)
        return np.maximum(best, reached.max(axis=1)), until[:, -1]
