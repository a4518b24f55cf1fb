"""One law of physics held against a prediction: what was seen, what is allowed, and from when on it is broken."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.verdict import Margin

Floats = NDArray[np.float64]

# A jump is also a gain of energy, and everything leaves a residual: the one that says most comes first.
NAMES = ("start", "penetration", "teleport", "support", "energy", "residual")
PREFIX = "physics:"


class Check(NamedTuple):
    """A law, at the state where the prediction comes closest to breaking it, or breaks it most."""

    name: str  # one of NAMES
    seen: float
    allowed: float
    unit: str  # SI, of both
    what: str  # "depth(cube_box, table_top)"
    begins_s: float | None  # s: from when on it is broken; None where it holds

    @property
    def margin(self) -> Margin:
        """How much is left of what is allowed; as many of it count as one."""
        left = self.allowed - self.seen
        return Margin(left, self.unit, (left, left), f"{self.what} < {self.allowed:.4g} {self.unit}", self.allowed)


def closest(
    name: str,
    seen: Floats,
    allowed: Floats,
    *,
    units: Sequence[str],
    whats: Sequence[str],
    begins_s: Floats,
) -> Check | None:
    """The one of (n, m) numbers that uses most of what it is allowed; None of none.

    units, whats: (m,); begins_s (n,) is when each row's motion begins.
    """
    if not seen.size:
        return None
    share = seen / allowed
    row, column = (int(i) for i in np.unravel_index(int(share.argmax()), share.shape))
    broken = (share > 1).any(axis=1)
    begins = float(begins_s[broken].min()) if broken.any() else None
    used = float(seen[row, column]), float(allowed[row, column])
    return Check(name, *used, units[column], whats[column], begins)


def first_broken(checks: Sequence[Check], window_s: float) -> Check | None:
    """The law that is broken first; of those that are broken within a window of it, the one that says most."""
    broken = {c: c.begins_s for c in checks if c.begins_s is not None}
    if not broken:
        return None
    first = min(broken.values())
    return min((c for c, begins in broken.items() if begins <= first + window_s), key=lambda c: NAMES.index(c.name))
