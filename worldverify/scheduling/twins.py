"""Plans that are the same motion: one of them is simulated, on any engine."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Twins(NamedTuple):
    """B plans, of which those in `first` are all different."""

    first: list[int]  # numbers of plans, ascending
    place: list[int]  # (B,) where in `first` each plan's own twin stands


def twins(states: Floats, controls: Sequence[Floats]) -> Twins:
    """Of plans from states (B, nstate) under controls (T, nu). Only equal bits are the same."""
    seen: dict[tuple[bytes, bytes], int] = {}
    first: list[int] = []
    place: list[int] = []
    for i, (state, rows) in enumerate(zip(states, controls, strict=True)):
        key = state.tobytes(), rows.tobytes()
        if key not in seen:
            seen[key] = len(first)
            first.append(i)
        place.append(seen[key])
    return Twins(first, place)
