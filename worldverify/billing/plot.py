"""The ladder as one SVG: what a check costs, and how often it accepts what does not hold, rung by rung."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worldverify.billing.drawing import FAINT, GRID, INK, line, svg, text
from worldverify.billing.table import seconds
from worldverify.page import safe

Row = Mapping[str, Any]

ROW, NAMES, BARS, SHARES = 34, 190, 420, 240  # px: height of a rung, and widths of the columns
TOP, BOTTOM, GAP = 66, 34, 24
LABEL = 60  # px that the longest bar of shares leaves for its label
ROOM = 0.5  # powers of ten beyond the longest bar, for its label
COST, FALSE = "#1c5f9e", "#b5482f"


def ladder_plot(rows: Sequence[Row]) -> str:
    """Bars of processor time on a logarithmic axis, with the false accepts beside them."""
    width, height = NAMES + BARS + GAP + SHARES + GAP, TOP + ROW * len(rows) + BOTTOM
    low = math.floor(math.log10(min(row["cpu_s"] for row in rows)))
    high = math.ceil(math.log10(max(row["cpu_s"] for row in rows)) + ROOM)
    reference = next((row["name"] for row in rows if row["reference"]), None)
    against = f"false accepts against {safe(reference)}" if reference else "no reference to compare with"
    parts = [
        text(NAMES, 22, "start", INK, "What one check costs", "600"),
        text(NAMES, 40, "start", FAINT, "processor time, each line ten times the one before"),
        text(NAMES + BARS + GAP, 22, "start", INK, "What it lets through", "600"),
        text(NAMES + BARS + GAP, 40, "start", FAINT, against),
        *_axis(low, high, height),
    ]
    for i, row in enumerate(rows):
        parts += _rung(row, TOP + ROW * i, low, high)
    return svg(width, height, "Processor time of a check and false accepts, rung by rung", parts)


def _axis(low: int, high: int, height: int) -> Iterator[str]:
    for power in range(low, high + 1):
        x = NAMES + BARS * (power - low) / (high - low)
        yield line(x, TOP - 14, x, height - BOTTOM, GRID)
        yield text(x, height - BOTTOM + 16, "middle", FAINT, seconds(10.0**power))


def _rung(row: Row, y: float, low: int, high: int) -> Iterator[str]:
    middle, length = y + ROW / 2, BARS * (math.log10(row["cpu_s"]) - low) / (high - low)
    yield text(NAMES - 10, middle + 4, "end", INK, safe(row["name"]))
    yield _bar(NAMES, y, length, COST)
    yield text(NAMES + length + 6, middle + 4, "start", INK, seconds(row["cpu_s"]))
    left, share = NAMES + BARS + GAP, row.get("false_accept_share")
    if row["reference"]:
        yield text(left, middle + 4, "start", FAINT, "the reference")
    elif share is None:
        yield text(left, middle + 4, "start", FAINT, "not known")
    else:
        a, b = row["false_accept_interval"]
        reach = SHARES - LABEL
        yield _bar(left, y, reach * share, FALSE)
        yield line(left + reach * a, middle, left + reach * b, middle, INK)
        yield text(left + reach * max(share, b) + 6, middle + 4, "start", INK, f"{share:.0%}")


def _bar(x: float, y: float, length: float, colour: str) -> str:
    height = ROW - 14
    return f'<rect x="{x:.1f}" y="{y + 7:.1f}" width="{max(length, 0):.1f}" height="{height}" rx="2" fill="{colour}"/>'
