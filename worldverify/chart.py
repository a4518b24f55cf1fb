"""One requirement's margin over time as an inline SVG, small enough to hold one for each requirement."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.page import safe

Floats = NDArray[Any]

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 38, 22  # px around the plot
_INK, _FAINT, _GRID = "#1f2733", "#6b7684", "#e6e9ee"
_GOOD, _BAD, _WAIT = "#1c7c43", "#c0271f", "#c79a1e"


def line_chart(
    time: Floats,
    margin: Floats,
    *,
    name: str = "",
    unit: str = "",
    decided_at: float | None = None,
    violated: bool = False,
    width: int = 460,
    height: int = 170,
    points: int = 600,
) -> str:
    """An SVG of a signed margin (K,) over time (K,) in seconds; positive is on the satisfied side.

    Above zero the ground is green. Where the margin is below zero it is red if the requirement was
    violated, and amber if not: a goal not reached yet. NaN leaves a gap. An infinite margin is drawn at
    the rim. At most about `points` points are drawn; each bucket keeps its least and greatest, so that
    no spike is lost. `decided_at` marks the moment that decided the verdict; what follows is paled.
    """
    time, margin = np.asarray(time, float).reshape(-1), np.asarray(margin, float).reshape(-1)
    if time.shape != margin.shape:
        raise ValueError(f"A curve needs one margin for each time, not {margin.size} for {time.size}.")
    decided = decided_at if decided_at is not None and math.isfinite(decided_at) else None
    plot = _Plot(*_span(time, decided), *_range(margin), width - _RIGHT, height - _BOTTOM)
    least = f", least {np.nanmin(margin):.4g} {unit}" if np.isfinite(margin).any() else ""
    label = safe(f"Margin of {name} over time{least}")
    keep = thinned(margin, points)
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{label}" font-family="system-ui, sans-serif" font-size="11">',
        f'<text x="{_LEFT}" y="15" font-size="12.5" font-weight="600" fill="{_INK}">{safe(name)}</text>',
        *_ground(plot, time, margin, _BAD if violated else _WAIT),
        *_axes(plot, unit),
        *_curve(plot, time[keep], margin[keep], _BAD if violated else _GOOD),
        *(_moment(plot, decided) if decided is not None else []),
    ]
    if not np.isfinite(margin).any():
        parts.append(_text((_LEFT + plot.right) / 2, (_TOP + plot.bottom) / 2 - 6, "middle", _FAINT, "no values"))
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class _Plot:
    """Where seconds and margins lie on the page, px."""

    start: float  # s
    end: float  # s
    low: float  # in the margin's unit
    high: float
    right: float  # px
    bottom: float  # px

    @property
    def pixel(self) -> float:
        """Seconds that one pixel covers."""
        return (self.end - self.start) / (self.right - _LEFT)

    def x(self, seconds: float) -> float:
        return _LEFT + (seconds - self.start) / self.pixel

    def y(self, margin: float) -> float:
        share = (min(max(margin, self.low), self.high) - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - _TOP)


def _ground(plot: _Plot, time: Floats, margin: Floats, below: str) -> list[str]:
    """Green above zero; the colour `below` over the whole height while the margin is below zero."""
    bands = [_band(_LEFT, plot.right, _TOP, plot.y(0.0), _GOOD, 0.06)]
    for first, last in _runs(time, margin, plot.pixel):
        bands.append(_band(plot.x(first), plot.x(last), _TOP, plot.bottom, below, 0.15))
    return bands


def _axes(plot: _Plot, unit: str) -> list[str]:
    parts = [_text(plot.right, 15, "end", _FAINT, f"margin [{safe(unit or '1')}] over time [s]")]
    for value in _ticks(plot.low, plot.high, 4):
        y = plot.y(value)
        parts += [_line(_LEFT, y, plot.right, y, _GRID), _text(_LEFT - 6, y + 3.8, "end", _FAINT, _number(value))]
    for value in _ticks(plot.start, plot.end, 6):
        parts.append(_text(plot.x(value), plot.bottom + 15, "middle", _FAINT, _number(value)))
    zero = plot.y(0.0)
    return [*parts, _line(_LEFT, zero, plot.right, zero, _INK)]


def _curve(plot: _Plot, time: Floats, margin: Floats, colour: str) -> list[str]:
    parts = []
    for piece in _pieces(time, margin):
        dots = [f"{plot.x(t):.1f},{plot.y(y):.1f}" for t, y in piece]
        ends = dots if len(dots) > 1 else dots * 2  # round caps make a dot of a line without length
        parts.append(
            f'<polyline points="{" ".join(ends)}" fill="none" stroke="{colour}" stroke-width="1.6" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )
    return parts


def _moment(plot: _Plot, decided: float) -> list[str]:
    """The moment of decision; what comes after it does not count and is paled."""
    x = plot.x(decided)
    anchor = "end" if x > plot.right - 60 else "start" if x < _LEFT + 60 else "middle"
    return [
        _band(x, plot.right, _TOP, plot.bottom, "#ffffff", 0.4) if plot.right - x > 1.5 else "",
        _line(x, _TOP, x, plot.bottom, _INK, ' stroke-dasharray="3 3"'),
        _text(x, _TOP - 4, anchor, _INK, f"decided at {_number(decided)} s"),
    ]


def thinned(value: Floats, points: int) -> NDArray[np.int64]:
    """Indices, in order, of at most about `points` of the values (K,).

    Each of points/4 buckets keeps its first, least, greatest and, if it has one, first NaN.
    """
    count = len(value)
    if count <= points:
        return np.arange(count)
    kept = {0, count - 1}
    for bucket in np.array_split(np.arange(count), max(1, points // 4)):
        here = value[bucket]
        kept.add(int(bucket[0]))
        missing = np.isnan(here)
        if missing.any():
            kept.add(int(bucket[np.argmax(missing)]))
        if not missing.all():
            kept.add(int(bucket[np.nanargmin(here)]))
            kept.add(int(bucket[np.nanargmax(here)]))
    return np.array(sorted(kept))


def _range(value: Floats) -> tuple[float, float]:
    """The span of finite values and zero, with some air."""
    finite = value[np.isfinite(value)]
    low, high = min(0.0, float(finite.min(initial=0.0))), max(0.0, float(finite.max(initial=0.0)))
    if high - low < 1e-12:
        return -1.0, 1.0
    air = 0.08 * (high - low)
    return low - air, high + air


def _span(time: Floats, decided_at: float | None) -> tuple[float, float]:
    finite = time[np.isfinite(time)]
    known = [*finite[[0, -1]]] if finite.size else [0.0]
    if decided_at is not None and math.isfinite(decided_at):
        known.append(decided_at)
    start, end = float(min(known)), float(max(known))
    return (start, end) if end > start else (start, start + 1.0)


def _runs(time: Floats, margin: Floats, gap: float) -> Iterator[tuple[float, float]]:
    """First and last time of every stretch below zero; stretches less than `gap` seconds apart are one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (margin < 0).astype(np.int8), [0]])))
    runs: list[tuple[float, float]] = []
    for first, last in zip(time[edges[::2]].tolist(), time[edges[1::2] - 1].tolist(), strict=True):
        if runs and first - runs[-1][1] < gap:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    yield from runs


def _band(x0: float, x1: float, y0: float, y1: float, colour: str, opacity: float) -> str:
    """A shaded box, at least two pixels wide so that a short violation can be seen."""
    return (
        f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{max(x1 - x0, 2.0):.1f}" height="{max(y1 - y0, 0.0):.1f}" '
        f'fill="{colour}" fill-opacity="{opacity}"/>'
    )


def _pieces(time: Floats, value: Floats) -> Iterator[list[tuple[float, float]]]:
    """Stretches without NaN, as points."""
    piece: list[tuple[float, float]] = []
    for t, y in zip(time.tolist(), value.tolist(), strict=True):
        if math.isnan(t) or math.isnan(y):
            if piece:
                yield piece
            piece = []
        else:
            piece.append((t, y))
    if piece:
        yield piece


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers within [low, high]."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def _text(x: float, y: float, anchor: str, colour: str, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def _number(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}".replace("-", "\u2212")
