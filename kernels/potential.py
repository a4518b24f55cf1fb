"""Margins as rewards: what an episode is worth on its way, and what its verdict is worth.

Works on NumPy and traced JAX arrays alike. Margins are those of C requirements in their scales.
"""

from typing import Any

Array = Any

FARTHEST = 1e6  # margin scales: what lies beyond the horizon, or is no number, is as bad as that


def finite(margins: Array) -> Array:
    """Margins within +-FARTHEST; NaN is the worst of them."""
    xp = margins.__array_namespace__()
    return xp.clip(xp.where(xp.isnan(margins), -FARTHEST, margins), -FARTHEST, FARTHEST)


def potential(standing: Array, span: float) -> Array:
    """(B,) the worth of margins (B, C) if the world stood still from now on: at most half of `span`.

    A requirement that is just met counts 1/2, with one scale to spare 1. Below zero it falls with the logarithm, so
    that a goal far away still pulls.
    """
    xp = standing.__array_namespace__()
    merit = 0.5 / (1.0 + xp.log1p(xp.maximum(-standing, 0.0))) + 0.5 * xp.clip(standing, 0.0, 1.0)
    return 0.5 * span * _mean(merit)


def unpassed(low: Array, high: Array, least: float, span: float) -> Array:
    """(B,) the reward of a verdict that is no PASS, of bounds (B, C): from `least` to half-way up `span`.

    1 for a satisfied requirement, 1/2 for an undecided one, less the more a violated one is violated.
    """
    xp = low.__array_namespace__()
    open_or_violated = 0.5 / (1.0 - xp.minimum(high, 0.0))
    return least + 0.5 * span * _mean(xp.where(low > 0, 1.0, open_or_violated))


def _mean(merit: Array) -> Array:
    """(B,) of (B, C), summed one by one, so that the bits do not depend on the number of lanes."""
    total = merit[:, 0]
    for c in range(1, merit.shape[1]):
        total = total + merit[:, c]
    return total / merit.shape[1]
