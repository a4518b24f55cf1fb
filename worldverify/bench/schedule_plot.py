"""Speed-up against what siblings have in common, as one SVG: a panel a rate, a line for ours and one for the bound."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worldverify.bench.schedule_comparison import ALL, ENGINEER, compare
from worldverify.bench.schedule_mixes import CANDIDATES, MIXES, candidates, mix_of
from worldverify.bench.schedule_scenes import stage
from worldverify.page import safe

Point = Mapping[str, float]

SWEPT: Mapping[str, Sequence[float]] = {
    "equal": (0.0, 0.2, 0.4, 0.6, 0.8),
    "shared": (0.0, 0.2, 0.4, 0.6, 0.8),
    "failing": (0.0, 0.2, 0.4, 0.6, 0.8),
}
LABELS = {
    "equal": "share of plans that repeat a sibling",
    "shared": "share of its controls that a plan shares",
    "failing": "share of plans that fail",
}
WIDTH, HEIGHT = 300, 260  # px of a panel
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 30, 40  # px around its plot
LEGEND = 18  # px a line
INK, FAINT, GRID = "#1f2733", "#6b7684", "#e6e9ee"
LINES = {"ratio": (ALL, "#1c7c43", ""), "engineer": (ENGINEER, "#c79a1e", ""), "bound": ("step bound", INK, "6 4")}


def sweep(
    seed: int, starts: int, each: int = CANDIDATES
) -> tuple[dict[str, list[dict[str, float]]], list[Mapping[str, Any]]]:
    """rate -> points: the measured rate and what each way gains, where one rate of the mix llm is changed at a time.

    All plans of a point are judged in one call. Also the plans of which one of our ways said something else than the
    exhaustive run.
    """
    differences: list[Mapping[str, Any]] = []
    found: dict[str, list[dict[str, float]]] = {}
    for rate, values in SWEPT.items():
        for value in values:
            asked = {"passing": 1 - MIXES["llm"].malformed - value} if rate == "failing" else {rate: value}
            mix = mix_of("llm", **asked)
            compared = compare(stage("llm").task, [candidates(mix, 0, starts, seed, each)], ways=(ENGINEER, ALL))
            differences += compared.differences
            report = compared.report()
            gains = {way["name"]: way["ratio"]["p50"] for way in report["ways"]}
            point = {"asked": value, "measured": report["measured"][rate], "bound": report["bound"]}
            found.setdefault(rate, []).append(point | {"ratio": gains[ALL], "engineer": gains[ENGINEER]})
    return found, differences


def plot(swept: Mapping[str, Sequence[Point]]) -> str:
    """The SVG of a sweep."""
    width, height = WIDTH * len(swept), HEIGHT + LEGEND * (len(LINES) + 1)
    top = max((point[key] for points in swept.values() for point in points for key in LINES), default=1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Speed-up against what candidates have in common" '
        f'font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for i, (rate, points) in enumerate(swept.items()):
        parts += [f'<g transform="translate({i * WIDTH} 0)">', *_panel(rate, points, math.ceil(top)), "</g>"]
    for i, (name, colour, dash) in enumerate(LINES.values()):
        y = HEIGHT + LEGEND * (i + 0.5)
        parts.append(_line([(LEFT, y), (LEFT + 30, y)], colour, dash))
        parts.append(_text(LEFT + 38, y + 4, "start", INK, safe(name)))
    return "".join([*parts, "</svg>\n"])


def _panel(rate: str, points: Sequence[Point], top: int) -> Iterator[str]:
    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    yield _text(LEFT, 18, "start", FAINT, "times as fast as mujoco.batch")
    for level in range(0, top + 1, max(1, top // 6)):
        yield _line([at(0, level), at(1, level)], GRID, "")
        yield _text(LEFT - 6, at(0, level)[1] + 4, "end", FAINT, str(level))
    for tenth in range(0, 11, 2):
        yield _text(at(tenth / 10, 0)[0], HEIGHT - BOTTOM + 15, "middle", FAINT, f"{tenth / 10:g}")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "middle", FAINT, LABELS[rate])
    for key, (_, colour, dash) in LINES.items():
        drawn = sorted(at(point["measured"], point[key]) for point in points)
        yield _line(drawn, colour, dash)
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>' for x, y in drawn)


def _line(points: Sequence[tuple[float, float]], colour: str, dash: str) -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.6"{dashed}/>'


def _text(x: float, y: float, anchor: str, colour: str, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'
