"""How a base with two driven wheels moves: along arcs at constant speeds, and along ways with limited acceleration.

A pose is x, y [m] and yaw [rad] in the world, a twist v [m/s] along the base's own x and w [rad/s] about z. The base
never slips sideways. Everything is elementwise over plans, so a plan has the same bits alone and in a batch.
"""

from typing import Any

Array = Any


def integrate(start: Array, twists: Array, period: float) -> Array:
    """Poses (..., T, 3) at the end of each of T periods [s] of constant twist (..., T, 2), from a pose (..., 3).

    In closed form: a period is an arc, and its chord v t sin(w t / 2) / (w t / 2) points along the yaw half way.
    """
    xp = twists.__array_namespace__()
    turn = twists[..., 1] * period
    yaw = start[..., None, 2] + xp.cumulative_sum(turn, axis=-1)
    middle = yaw - 0.5 * turn
    chord = twists[..., 0] * period * xp.sinc(turn / (2.0 * xp.pi))
    x = start[..., None, 0] + xp.cumulative_sum(chord * xp.cos(middle), axis=-1)
    y = start[..., None, 1] + xp.cumulative_sum(chord * xp.sin(middle), axis=-1)
    return xp.stack([x, y, yaw], axis=-1)


def ramped(twists: Array, before: Array, most: Array) -> Array:
    """Twists (..., T, 2) that change by at most `most` (2,) from one period to the next, after the twist `before`."""
    xp = twists.__array_namespace__()
    now, made = before, []
    for k in range(twists.shape[-2]):
        now = xp.clip(twists[..., k, :], now - most, now + most)
        made.append(now)
    return xp.stack(made, axis=-2)


def duration(way: Array, speed: Array, acceleration: Array) -> Array:
    """The least time [s] for ways (...,) from rest to rest: speed up, go on at the most, brake.

    Ways are in m or rad, not negative; a short one is braked before the most is reached.
    """
    xp = way.__array_namespace__()
    ramp = speed / acceleration
    return xp.where(way < speed * ramp, 2.0 * xp.sqrt(way / acceleration), way / speed + ramp)


def covered(time: Array, way: Array, speed: Array, acceleration: Array) -> Array:
    """How much of ways (...,) is done at times (...,) [s] after their start, if each takes its least time."""
    xp = way.__array_namespace__()
    whole = duration(way, speed, acceleration)
    ramp = xp.minimum(speed / acceleration, 0.5 * whole)
    t = xp.clip(time, 0.0, whole)
    up = 0.5 * acceleration * xp.minimum(t, ramp) ** 2
    even = acceleration * ramp * xp.clip(t - ramp, 0.0, whole - 2.0 * ramp)
    left = whole - xp.maximum(t, whole - ramp)
    return up + even + 0.5 * acceleration * (ramp * ramp - left * left)


def wrapped(angle: Array) -> Array:
    """The same directions (...,) from -pi to pi [rad]."""
    xp = angle.__array_namespace__()
    return angle - 2.0 * xp.pi * xp.round(angle / (2.0 * xp.pi))
