"""Which verdicts that would stand are judged again all the same."""

import numpy as np
from numpy.typing import NDArray

from worldverify.identity import sha256

Floats = NDArray[np.float64]


def drawn(share: float, state: Floats, controls: Floats) -> bool:
    """Whether a plan belongs to that share of all plans: it always does, or never."""
    return int(sha256([state, controls])[:8], 16) < int(share * 2**32)
