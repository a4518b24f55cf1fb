"""Maps applied one after the other: running sums, clipped sums, affine maps and turns, each a prefix scan.

The value after action k is the composition of maps 0..k, found in log2(T) elementwise rounds (Hillis and Steele,
1986). Rounds that reach beyond k leave it alone, so its bits depend neither on what follows nor on how much.
"""

from collections.abc import Callable
from typing import Any

from worldverify.kernels import rotation

Array = Any
Maps = tuple[Array, ...]

SIDES = ("left", "right")


def prefix(compose: Callable[[Maps, Maps], Maps], maps: Maps, *, axis: int) -> Maps:
    """The composition of maps 0..k for every k along a negative axis; compose(earlier, later) is associative.

    A map is one array or more, each with the actions along `axis`.
    """
    xp = maps[0].__array_namespace__()
    rest = (slice(None),) * (-1 - axis)
    count = maps[0].shape[axis]
    reach = 1
    while reach < count:
        earlier = tuple(x[(..., slice(None, -reach), *rest)] for x in maps)
        later = tuple(x[(..., slice(reach, None), *rest)] for x in maps)
        done = tuple(x[(..., slice(None, reach), *rest)] for x in maps)
        maps = tuple(xp.concat(pair, axis=axis) for pair in zip(done, compose(earlier, later), strict=True))
        reach *= 2
    return maps


def running_sum(x: Array, axis: int = -2) -> Array:
    """The sum of entries 0..k along an axis, for every k."""
    (total,) = prefix(lambda earlier, later: (earlier[0] + later[0],), (x,), axis=axis)
    return total


def running_turn(quats: Array, side: str) -> Array:
    """The product of unit quaternions 0..k (..., T, 4) for every k: each new one on the "left" or on the "right"."""
    left = is_left(side)

    def compose(earlier: Maps, later: Maps) -> Maps:
        first, second = (later[0], earlier[0]) if left else (earlier[0], later[0])
        return (rotation.multiply(first, second),)

    (product,) = prefix(compose, (quats,), axis=-2)
    return product


def running_clip(change: Array, start: Array, *, low: float, high: float) -> Array:
    """x[k] = clip(x[k-1] + change[k], low, high) from start (...,) along the last axis of change (..., T).

    Two such maps in a row are one of their kind: clip(clip(x + a, l, h) + b, m, n) = clip(x + (a + b),
    clip(l + b, m, n), clip(h + b, m, n)).
    """
    xp = change.__array_namespace__()

    def compose(earlier: Maps, later: Maps) -> Maps:
        shift, least, most = later
        return earlier[0] + shift, xp.clip(earlier[1] + shift, least, most), xp.clip(earlier[2] + shift, least, most)

    maps = (change, xp.full_like(change, low), xp.full_like(change, high))
    total, least, most = prefix(compose, maps, axis=-1)
    return xp.clip(start[..., None] + total, least, most)


def running_affine(gain: Array, x: Array) -> Array:
    """y[k] = gain[k] y[k-1] + x[k] from 0 along the last axis but one of gain and x (..., T, n)."""

    def compose(earlier: Maps, later: Maps) -> Maps:
        return later[0] * earlier[0], later[0] * earlier[1] + later[1]

    _, total = prefix(compose, (gain, x), axis=-2)
    return total


def is_left(side: str) -> bool:
    """Whether a turn is multiplied on the left. Raises ValueError unless it is "left" or "right"."""
    if side not in SIDES:
        raise ValueError(f"No side '{side}' for a rotation: give left (turns about fixed axes) or right (tool axes).")
    return side == "left"
