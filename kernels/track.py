"""Joint angles for a dense path of tool poses, each found from the ones before it.

The path is walked by one damped least-squares step (`ik.step`) from knot to knot, so the joints move on from where they
are and never turn over to another solution; the redundant motion follows the least change of the joints and a light
pull to a rest pose. Then all samples are solved in parallel from what the knots before them foretell, and no joint is
asked for more than its speed. A sample never depends on later ones: a longer path begins with the very same angles.
Every operation is elementwise over paths: a path has the same angles, bit for bit, alone and in a batch.
"""

from typing import Any, NamedTuple

from worldverify.kernels import ik, rotation
from worldverify.kernels.kinematics import Chain

Array = Any

PULL = 0.05  # share of the way to the rest pose that a knot goes, in the directions that do not move the tool


class Tracked(NamedTuple):
    """What the arm can do along L paths of T samples."""

    q: Array  # (L, T, J)  rad, within the limits
    position_error: Array  # (L, T)  m
    rotation_error: Array  # (L, T)  rad


def track(
    chain: Chain,
    pos: Array,
    quat: Array,
    q0: Array,
    rest: Array,
    q_min: Array,
    q_max: Array,
    *,
    step_max: Array | None = None,
    knot_every: int = 2,
    pull: float = PULL,
    iterations: int = 2,
) -> Tracked:
    """Joint angles for paths (L, T, 3) [m] and (L, T, 4) wxyz of an arm at q0 (L, J) [rad] one sample before each.

    `rest` is (J,) or (L, J) [rad], the limits (J,) [rad]; `step_max` (J,) is how far a joint may move from one sample
    to the next [rad], at any distance if None. Every `knot_every`th sample is a knot; `iterations` are those of all
    samples in parallel. Where a pose is out of reach the arm goes near it, a metre weighing as much as a radian; where
    it is too fast the arm lags behind; the errors say how far off it is.
    """
    xp = q0.__array_namespace__()
    samples = pos.shape[1]
    low, high = q_min[:, None], q_max[:, None]
    relaxed = _lanes_last(xp.broadcast_to(rest, q0.shape))
    q = xp.clip(_lanes_last(q0), low, high)
    knots = [q]
    for t in range(knot_every - 1, samples, knot_every):
        q = advance(chain, pos[:, t], quat[:, t], q, relaxed, low, high, pull=pull)
        knots.append(q)
    guess = [_foretold(knots, t + 1, knot_every) for t in range(samples)]
    starts = xp.moveaxis(xp.stack(guess, axis=0), -1, 0)[:, :, None]  # (L, T, 1, J)
    every = xp.broadcast_to(relaxed.T[:, None], (*pos.shape[:2], q0.shape[-1]))
    found = ik.solve(chain, pos, quat, starts, every, q_min, q_max, iterations=iterations, pull=0.0)
    if step_max is not None:
        slow = unhurried(found.q, xp.clip(q0, q_min, q_max), step_max)
        found = ik.solve(chain, pos, quat, slow[:, :, None], every, q_min, q_max, iterations=0)
    return Tracked(found.q, found.position_error, found.rotation_error)


def advance(
    chain: Chain, pos: Array, quat: Array, q: Array, rest: Array, low: Array, high: Array, *, pull: float = PULL
) -> Array:
    """One knot on, for L lanes: poses (L, 3) [m] and (L, 4) wxyz; q, rest (J, L) [rad]; limits (J, 1) -> q (J, L).

    The body of the loop over knots, for whoever scans it instead.
    """
    xp = q.__array_namespace__()
    rot = xp.moveaxis(rotation.to_matrix(quat), 0, -1)
    return ik.step(chain, _lanes_last(pos), rot, q, rest, low, high, gain=pull)


def unhurried(q: Array, q0: Array, step_max: Array) -> Array:
    """Angles (L, T, J) [rad] followed from q0 (L, J) by joints that move at most step_max (J,) [rad] a sample.

    Where one joint is too slow all wait for it: the tool then stays nearer to its path than if only that one did.
    """
    xp = q.__array_namespace__()
    at, followed = q0, []
    for t in range(q.shape[1]):
        change = q[:, t] - at
        load = xp.max(xp.abs(change) / step_max, axis=-1, keepdims=True)
        at = at + change / xp.maximum(load, xp.ones_like(load))
        followed.append(at)
    return xp.stack(followed, axis=1)


def _foretold(knots: list[Array], t: int, every: int) -> Array:
    """Angles (J, L) t samples after the start: those of the last knot, moving on as it came from the one before."""
    last, share = t // every, (t % every) / every
    if not share or not last:
        return knots[last]
    return knots[last] + share * (knots[last] - knots[last - 1])


def _lanes_last(rows: Array) -> Array:
    """(L, n) -> (n, L), each row's lanes contiguous."""
    xp = rows.__array_namespace__()
    return xp.stack([rows[:, i] for i in range(rows.shape[-1])], axis=0)
