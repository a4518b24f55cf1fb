"""Plans a second against the batch, both logarithmic, as one SVG: a panel a task, a line an engine and device."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from worldverify.bench.sweep import crossover, label
from worldverify.page import safe

Row = Mapping[str, Any]

WIDTH, HEIGHT = 440, 330  # px of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 44, 42  # px around its plot
LEGEND = 18  # px a line
INK, FAINT, GRID = "#1f2733", "#6b7684", "#e6e9ee"
COLOURS = {"mujoco": "#1f2733", "mjx-warp": "#1c7c43", "mjx-jax": "#c79a1e"}


def plot(report: Mapping[str, Any], overlay: Mapping[str, Any] | None = None) -> str:
    """The SVG of a report; `overlay`, a recorded one, is drawn dashed in the panels of the same tasks."""
    panels = list(report["tasks"])
    recorded = {one["task"]: one for one in overlay["tasks"]} if overlay else {}
    keys = _legend(panels, list(recorded.values()))
    width, height = WIDTH * max(1, len(panels)), HEIGHT + LEGEND * (len(keys) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Verified plans a second against the number of plans in a call" '
        f'font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for i, result in enumerate(panels):
        parts.append(f'<g transform="translate({i * WIDTH} 0)">')
        parts += _panel(result, recorded.get(result["task"]))
        parts.append("</g>")
    for i, (name, device, cpus, dashed) in enumerate(keys):
        y = HEIGHT + LEGEND * (i + 0.5)
        parts.append(_polyline([(LEFT, y), (LEFT + 30, y)], name, device, dashed))
        said = label(name, cpus, device) + (f" ({_where(overlay)})" if dashed else f" ({_where(report)})")
        parts.append(_text(LEFT + 38, y + 4, "start", INK, safe(said)))
    return "".join([*parts, "</svg>\n"])


def _panel(result: Mapping[str, Any], recorded: Mapping[str, Any] | None) -> Iterator[str]:
    curves, dashed = _curves(result), _curves(recorded) if recorded else {}
    points = [p for curve in (*curves.values(), *dashed.values()) for p in _points(curve)]
    yield _text(LEFT, 18, "start", INK, f"<tspan font-weight='600' font-size='13'>{safe(result['task'])}</tspan>")
    if not points:
        yield _text(WIDTH / 2, HEIGHT / 2, "middle", FAINT, "nothing measured")
        return
    frame = _Frame([x for x, _ in points], [y for _, y in points])
    yield from frame.axes()
    for shown, dash in ((dashed, True), (curves, False)):
        for (name, device, _), curve in shown.items():
            yield _polyline([frame.at(*p) for p in _points(curve)], name, device, dash)
            if not dash:
                yield from (_dot(*frame.at(*p), COLOURS[name]) for p in _points(curve))
    crossings = []
    for shown in (curves, dashed):
        reference = next((curve for key, curve in shown.items() if key[0] == "mujoco"), [])
        for key, curve in shown.items():
            cross = crossover(reference, curve) if key[0] != "mujoco" else None
            if cross is not None:
                crossings.append((cross, _rate_at(curve, cross), COLOURS[key[0]]))
    for row, crossing in enumerate(sorted(crossings)):
        yield from frame.crossing(*crossing, row)


class _Frame:
    """Where batches and rates lie in a panel, px: both by their logarithms, whole powers of ten at the rims."""

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        self.x0, self.x1 = math.log10(min(x)), math.log10(max(max(x), 10 * min(x)))
        self.y0, self.y1 = math.floor(math.log10(min(y))), math.ceil(math.log10(max(y)) + 1e-9)
        self.y1 = max(self.y1, self.y0 + 1)

    def at(self, x: float, y: float) -> tuple[float, float]:
        right, low = WIDTH - RIGHT, HEIGHT - BOTTOM
        across = (math.log10(x) - self.x0) / (self.x1 - self.x0)
        up = (math.log10(y) - self.y0) / (self.y1 - self.y0)
        return LEFT + across * (right - LEFT), low - up * (low - TOP)

    def axes(self) -> Iterator[str]:
        for power in range(self.y0, self.y1 + 1):
            _, y = self.at(10**self.x0, 10.0**power)
            yield _line(LEFT, y, WIDTH - RIGHT, y, GRID)
            yield _text(LEFT - 6, y + 4, "end", FAINT, _number(10.0**power))
        step = next(step for step, decades in ((1, 1.6), (2, 3.2), (4, math.inf)) if self.x1 - self.x0 < decades)
        for exponent in range(math.ceil(self.x0 / math.log10(2) - 1e-9), int(self.x1 / math.log10(2) + 1e-9) + 1):
            if exponent % step == 0:
                x, y = self.at(2.0**exponent, 10.0**self.y0)
                yield _line(x, TOP, x, y, GRID)
                yield _text(x, y + 15, "middle", FAINT, _number(2.0**exponent))
        yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "middle", FAINT, "plans in a call")
        yield _text(LEFT, 36, "start", FAINT, "verified plans/s")

    def crossing(self, batch: float, rate: float, colour: str, row: int) -> Iterator[str]:
        """A circle where a curve begins to win, and a line down to words in a row of their own, clear of the curves."""
        x, y = self.at(batch, rate)
        low = HEIGHT - BOTTOM - 8 - 14 * row
        side, gap = ("start", 5) if x < WIDTH - RIGHT - 90 else ("end", -5)
        yield _line(x, y + 5, x, low + 4, colour)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="none" stroke="{INK}" stroke-width="1.4"/>'
        yield _text(x + gap, low, side, INK, f"wins from {batch:,.0f}")


def _curves(result: Mapping[str, Any]) -> dict[tuple[str, str, int | None], list[Row]]:
    """(engine, device, CPUs) -> its rows; only those that give verdicts, of the crowd of different plans."""
    curves: dict[tuple[str, str, int | None], list[Row]] = {}
    for row in result["rows_measured"]:
        if row["checked"] and row["crowd"] == "varied":
            curves.setdefault((row["engine"], row["device"], row["cpus"]), []).append(row)
    # MuJoCo C on one CPU is measured at one size, which says nothing about batches.
    return {key: rows for key, rows in curves.items() if len(rows) > 1 or len(curves) == 1 or key[0] != "mujoco"}


def _points(curve: Sequence[Row]) -> list[tuple[float, float]]:
    return sorted((row["batch"], row["plans_per_s"]["p50"]) for row in curve)


def _rate_at(curve: Sequence[Row], batch: float) -> float:
    """The rate of a curve between its points."""
    points = _points(curve)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= batch <= x1:
            share = math.log(batch / x0) / math.log(x1 / x0)
            return math.exp((1 - share) * math.log(y0) + share * math.log(y1))
    return points[0][1]


def _legend(
    results: Sequence[Mapping[str, Any]], recorded: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, int | None, bool]]:
    shown = {(*key, False): None for result in results for key in _curves(result)}
    names = {result["task"] for result in results}
    shown |= {(*key, True): None for one in recorded if one["task"] in names for key in _curves(one)}
    return list(shown)


def _where(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return "recorded"
    machine = report["machine"]
    return f"{machine['cpu']}, {machine['gpu'] or 'no GPU'}"


def _polyline(points: Sequence[tuple[float, float]], name: str, device: str, dashed: bool) -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    broad = 2.4 if device == "gpu" else 1.4
    return f'<polyline points="{drawn}" fill="none" stroke="{COLOURS[name]}" stroke-width="{broad}"{dash}/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, anchor: str, colour: str, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
