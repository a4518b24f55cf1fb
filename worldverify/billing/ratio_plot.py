"""The ratio as one SVG: megawatts of verifier beside a hundred megawatts of each generator."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from worldverify.billing.drawing import FAINT, GRID, INK, line, svg, text
from worldverify.page import safe

Row = Mapping[str, Any]

ROW, NAMES, WIDTH = 34, 150, 560  # px: height of a generator's line, and widths of names and axis
TOP, BOTTOM, LEGEND, RIGHT = 62, 34, 18, 40
COLOURS = ("#1c7c43", "#1c5f9e", "#b5482f", "#c79a1e")  # of verifiers, in their order
ONCE, PARITY = 1.0, 100.0  # MW: what used to do, and as much as the generators


def ratio_plot(rows: Sequence[Row]) -> str:
    """A line for each generator, a dot for each verifier, on a logarithmic axis of power."""
    generators = list(dict.fromkeys(row["generator"]["name"] for row in rows))
    verifiers = list(dict.fromkeys(row["verifier"]["name"] for row in rows))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(verifiers)}
    powers = [row["megawatts_beside_100"] for row in rows]
    low = math.floor(math.log10(min(*powers, ONCE)))
    high = math.ceil(math.log10(max(*powers, PARITY)))
    bottom = TOP + ROW * len(generators)
    height = bottom + BOTTOM + LEGEND * len(verifiers) + LEGEND

    def at(power: float) -> float:
        return NAMES + WIDTH * (math.log10(power) - low) / (high - low)

    parts = [
        text(NAMES, 20, "start", INK, "Verifier beside 100 MW of generators", "600"),
        *_axis(at, low, high, bottom),
    ]
    for i, name in enumerate(generators):
        y = TOP + ROW * (i + 0.5)
        parts.append(text(NAMES - 10, y + 4, "end", INK, safe(name)))
        for row in rows:
            if row["generator"]["name"] == name:
                parts.append(_dot(at(row["megawatts_beside_100"]), y, colours[row["verifier"]["name"]]))
    for i, (name, colour) in enumerate(colours.items()):
        y = bottom + BOTTOM + LEGEND * (i + 0.5)
        parts += [_dot(NAMES + 6, y, colour), text(NAMES + 18, y + 4, "start", INK, safe(name))]
    return svg(NAMES + WIDTH + RIGHT, height, "Power of the verifier against that of the generator", parts)


def _axis(at: Callable[[float], float], low: int, high: int, bottom: float) -> Iterator[str]:
    for power in range(low, high + 1):
        yield line(at(10.0**power), TOP, at(10.0**power), bottom, GRID)
        yield text(at(10.0**power), bottom + 16, "middle", FAINT, f"{10.0**power:g} MW")
    for level, said in ((ONCE, "less used to do"), (PARITY, "parity")):
        yield line(at(level), TOP - 8, at(level), bottom, INK, "4 3")
        yield text(at(level), TOP - 14, "middle", FAINT, said)


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
