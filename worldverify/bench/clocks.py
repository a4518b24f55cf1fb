"""Clocks: runs taken in turn, so that a machine that warms up or is busy wrongs none of them."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def timed(run: Callable[[], object]) -> float:
    """s that a call takes."""
    clock = time.perf_counter()
    run()
    return time.perf_counter() - clock


def in_turn(
    runs: Mapping[str, Callable[[], object]], rounds: Mapping[str, int], *, until: float
) -> dict[str, list[float]]:
    """s of each call of each run, in rounds A B C, C B A. At most `rounds` of each; the first is always made.

    No further round of a run begins that would end after the time `until` (of `time.perf_counter`), going by its first.
    """
    walls: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(max(rounds.values(), default=0)):
        active = [name for name in runs if i < rounds[name] and (i == 0 or _fits(walls, name, until))]
        for name in (*active, *reversed(active)):
            walls[name].append(timed(runs[name]))
    return walls


def _fits(walls: Mapping[str, Sequence[float]], name: str, until: float) -> bool:
    return time.perf_counter() + 2 * float(np.median(walls[name])) <= until


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile, least, greatest and count, as a report holds them."""
    return {
        "p50": float(np.median(values)),
        "p99": float(np.percentile(values, 99)),
        "min": float(min(values)),
        "max": float(max(values)),
        "n": len(values),
    }


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """those/these of every round that both took part in; a round is two calls."""
    both = min(len(these), len(those)) // 2
    return [sum(those[2 * i : 2 * i + 2]) / sum(these[2 * i : 2 * i + 2]) for i in range(both)]
