"""Which rows of controls begin alike."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Prefixes(NamedTuple):
    """B plans in an order in which those that begin alike stand together."""

    order: Ints  # (B,) numbers of plans
    shared: Ints  # (B,) periods that a plan has in common with the one before it in `order`; -1 if not even the start


def prefixes(starts: Floats, rows: Floats) -> Prefixes:
    """Of plans from starts (B, nstate) under controls (B, P, nu). Only equal bits are alike: 0 and -0 are not."""
    plans = len(rows)
    keys = [start.tobytes() + row.tobytes() for start, row in zip(starts, rows, strict=True)]
    order = np.array(sorted(range(plans), key=keys.__getitem__), dtype=np.int64)
    bits = np.ascontiguousarray(rows).view(np.int64)[order]
    begun = np.ascontiguousarray(starts).view(np.int64)[order]
    shared = np.full(plans, -1, dtype=np.int64)
    parts = (bits[1:] != bits[:-1]).any(axis=2)
    parts = np.concatenate([parts, np.ones((len(parts), 1), dtype=bool)], axis=1)
    alike = (begun[1:] == begun[:-1]).all(axis=1)
    shared[1:] = np.where(alike, parts.argmax(axis=1), -1)
    return Prefixes(order, shared)
