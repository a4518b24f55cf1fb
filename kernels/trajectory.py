"""Motion between waypoints: how far along at each moment, on which line, through which joint angles."""

from typing import Any

from worldverify.kernels import rotation

Array = Any

PEAK = 1.875  # greatest over average speed of `progress` between two stops
JERK = 5.7736  # greatest acceleration of `progress` between two stops, times duration^2 / distance


def progress(fraction: Array, entry: Array, leave: Array) -> Array:
    """Share of the way covered at a fraction of the time (0..1): a quintic without acceleration at either end.

    `entry` and `leave` are the speeds at the ends over the average speed. With 0 and 0 it is the movement of least
    jerk (Flash and Hogan, 1985), with 1 and 1 even speed; between 0 and 1 it never runs backwards.
    """
    t, t2 = fraction, fraction * fraction
    t3 = t2 * t
    rest = t3 * (10.0 + t * (-15.0 + 6.0 * t))
    enter = t + t3 * (-6.0 + t * (8.0 - 3.0 * t))
    exit_ = t3 * (-4.0 + t * (7.0 - 3.0 * t))
    return rest + entry * enter + leave * exit_


def passing_speed(before: Array, after: Array, cosine: Array) -> Array:
    """Speed [m/s] at a waypoint from the average speeds before and after it and the cosine of the corner.

    A straight path flows on at the lower of the two speeds; a corner of 90 degrees or more is a stop.
    """
    xp = before.__array_namespace__()
    return xp.minimum(before, after) * xp.clip(cosine, 0.0, 1.0)


def line(start_pos: Array, start_quat: Array, end_pos: Array, end_quat: Array, share: Array) -> tuple[Array, Array]:
    """Poses a share (...,) of the straight way between poses (..., 3) [m], (..., 4) wxyz; the turn is the short one."""
    pos = start_pos + share[..., None] * (end_pos - start_pos)
    return pos, rotation.between(start_quat, end_quat, share)


def between_joints(start: Array, end: Array, share: Array) -> Array:
    """Joint angles (..., J) [rad] a share (...,) of the way from `start` to `end`."""
    return start + share[..., None] * (end - start)


def through_joints(before: Array, start: Array, end: Array, after: Array, share: Array) -> Array:
    """Joint angles (..., J) [rad] a share (...,) of the way from `start` to `end`, smooth with their neighbours.

    A Catmull-Rom cubic through evenly spaced samples.
    """
    s = share[..., None]
    out, into = 0.5 * (end - before), 0.5 * (after - start)
    rise = end - start
    return start + s * (out + s * (3.0 * rise - 2.0 * out - into + s * (out + into - 2.0 * rise)))


def hold(commands: Array, repeat: int) -> Array:
    """Each command (T, n) held for `repeat` steps: (T * repeat, n)."""
    xp = commands.__array_namespace__()
    return xp.repeat(commands, repeat, axis=0)
