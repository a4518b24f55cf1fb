"""Rotations: quaternions (wxyz, as in MuJoCo), matrices, rotation vectors, Euler angles and two matrix columns.

Everything is elementwise, so a row has the same bits alone and in a batch.
"""

import math
from typing import Any

Array = Any

# How an action may write a rotation, and how many numbers that takes.
ROTATIONS = {
    "rpy": 3,
    "euler_XYZ": 3,
    "axis_angle": 3,
    "quat_wxyz": 4,
    "quat_xyzw": 4,
    "rot6d_interleaved": 6,
    "rot6d_contiguous": 6,
    "rot6d_rows": 6,
}

_TINY = 1e-12  # below this an angle has no direction worth dividing by
_SHORT = 1e-6  # below this a column or a quaternion that a model wrote has no direction


def multiply(a: Array, b: Array) -> Array:
    """Hamilton product a b of quaternions (..., 4): turn by b, then by a."""
    xp = a.__array_namespace__()
    aw, ax, ay, az = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bw, bx, by, bz = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    return xp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def conjugate(quat: Array) -> Array:
    """The inverse turn of unit quaternions (..., 4)."""
    xp = quat.__array_namespace__()
    return xp.concat([quat[..., :1], -quat[..., 1:]], axis=-1)


def normalise(quat: Array) -> Array:
    """Quaternions (..., 4) scaled to unit length."""
    xp = quat.__array_namespace__()
    w, x, y, z = quat[..., 0], quat[..., 1], quat[..., 2], quat[..., 3]
    return quat / xp.sqrt(w * w + x * x + y * y + z * z)[..., None]


def rotate(quat: Array, vec: Array) -> Array:
    """Vectors (..., 3) turned by unit quaternions (..., 4)."""
    matrix = to_matrix(quat)
    return matrix[..., 0] * vec[..., 0:1] + matrix[..., 1] * vec[..., 1:2] + matrix[..., 2] * vec[..., 2:3]


def to_matrix(quat: Array) -> Array:
    """Unit quaternions (..., 4) -> rotation matrices (..., 3, 3)."""
    xp = quat.__array_namespace__()
    w, x, y, z = quat[..., 0], quat[..., 1], quat[..., 2], quat[..., 3]
    rows = [
        xp.stack([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)], axis=-1),
        xp.stack([2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)], axis=-1),
        xp.stack([2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)], axis=-1),
    ]
    return xp.stack(rows, axis=-2)


def from_matrix(matrix: Array) -> Array:
    """Rotation matrices (..., 3, 3) -> unit quaternions (..., 4), by Shepperd's method: divide by the largest part."""
    xp = matrix.__array_namespace__()
    xx, yy, zz = matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 2, 2]
    wx, wy, wz = (
        matrix[..., 2, 1] - matrix[..., 1, 2],
        matrix[..., 0, 2] - matrix[..., 2, 0],
        matrix[..., 1, 0] - matrix[..., 0, 1],
    )
    xy, xz, yz = (
        matrix[..., 0, 1] + matrix[..., 1, 0],
        matrix[..., 0, 2] + matrix[..., 2, 0],
        matrix[..., 1, 2] + matrix[..., 2, 1],
    )
    w4, x4, y4, z4 = 1.0 + xx + yy + zz, 1.0 + xx - yy - zz, 1.0 - xx + yy - zz, 1.0 - xx - yy + zz
    by_w = xp.stack([w4, wx, wy, wz], axis=-1)
    by_x = xp.stack([wx, x4, xy, xz], axis=-1)
    by_y = xp.stack([wy, xy, y4, yz], axis=-1)
    by_z = xp.stack([wz, xz, yz, z4], axis=-1)
    xy_first = x4 >= y4
    of_xy = xp.where(xy_first[..., None], by_x, by_y)
    wz_first = w4 >= z4
    of_wz = xp.where(wz_first[..., None], by_w, by_z)
    use_wz = xp.maximum(w4, z4) >= xp.maximum(x4, y4)
    quat = normalise(xp.where(use_wz[..., None], of_wz, of_xy))
    return xp.where(quat[..., :1] < 0.0, -quat, quat)


def from_vector(vec: Array) -> Array:
    """Rotation vectors (..., 3) [rad] -> unit quaternions (..., 4)."""
    xp = vec.__array_namespace__()
    x, y, z = vec[..., 0], vec[..., 1], vec[..., 2]
    half = 0.5 * xp.sqrt(x * x + y * y + z * z)
    scale = xp.where(half > _TINY, 0.5 * xp.sin(half) / xp.maximum(half, xp.full_like(half, _TINY)), 0.5)
    return xp.stack([xp.cos(half), scale * x, scale * y, scale * z], axis=-1)


def to_vector(quat: Array) -> Array:
    """Unit quaternions (..., 4) -> rotation vectors (..., 3) [rad], the short way: at most pi long."""
    xp = quat.__array_namespace__()
    short = xp.where(quat[..., :1] < 0.0, -quat, quat)
    w, x, y, z = short[..., 0], short[..., 1], short[..., 2], short[..., 3]
    sine = xp.sqrt(x * x + y * y + z * z)
    scale = xp.where(sine > _TINY, 2.0 * xp.atan2(sine, w) / xp.maximum(sine, xp.full_like(sine, _TINY)), 2.0)
    return scale[..., None] * short[..., 1:]


def between(start: Array, end: Array, fraction: Array) -> Array:
    """Orientation a fraction (...,) of the short way from `start` to `end` (..., 4), at an even rate."""
    turn = to_vector(multiply(end, conjugate(start)))
    return multiply(from_vector(fraction[..., None] * turn), start)


def to_quaternion(kind: str, numbers: Array) -> Array:
    """Rotations written as one of ROTATIONS, (..., width) [rad] -> unit quaternions (..., 4).

    NaN where the numbers are no rotation: a quaternion of no length, columns of no length or along one line.
    """
    xp = numbers.__array_namespace__()
    _check_kind(kind)
    if kind == "rpy":
        return from_rpy(numbers)
    if kind == "euler_XYZ":
        return from_euler_xyz(numbers)
    if kind == "axis_angle":
        return from_vector(numbers)
    if kind == "quat_wxyz":
        return _unit(numbers)
    if kind == "quat_xyzw":
        return _unit(xp.concat([numbers[..., 3:], numbers[..., :3]], axis=-1))
    if kind == "rot6d_rows":  # the first two columns of the inverse
        return conjugate(from_rot6d(numbers, interleaved=False))
    return from_rot6d(numbers, interleaved=kind == "rot6d_interleaved")


def from_quaternion(kind: str, quat: Array) -> Array:
    """Unit quaternions (..., 4) -> the same rotations written as one of ROTATIONS, (..., width) [rad]."""
    xp = quat.__array_namespace__()
    _check_kind(kind)
    if kind == "rpy":
        return to_rpy(quat)
    if kind == "euler_XYZ":
        return to_euler_xyz(quat)
    if kind == "axis_angle":
        return to_vector(quat)
    if kind == "quat_wxyz":
        return quat
    if kind == "quat_xyzw":
        return xp.concat([quat[..., 1:], quat[..., :1]], axis=-1)
    if kind == "rot6d_rows":
        return to_rot6d(conjugate(quat), interleaved=False)
    return to_rot6d(quat, interleaved=kind == "rot6d_interleaved")


def from_rpy(angles: Array) -> Array:
    """Roll, pitch, yaw (..., 3) [rad] about fixed axes, R = Rz(yaw) Ry(pitch) Rx(roll) -> unit quaternions (..., 4)."""
    xp = angles.__array_namespace__()
    half = 0.5 * angles
    cos, sin = xp.cos(half), xp.sin(half)
    cr, cp, cy = cos[..., 0], cos[..., 1], cos[..., 2]
    sr, sp, sy = sin[..., 0], sin[..., 1], sin[..., 2]
    return xp.stack(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ],
        axis=-1,
    )


def to_rpy(quat: Array) -> Array:
    """Unit quaternions (..., 4) -> roll, pitch, yaw (..., 3) [rad]: pitch within +-pi/2, the others within +-pi.

    With half angles, x + z and w - y are cos(pitch/2 + pi/4) times the sine and cosine of (roll + yaw)/2, and x - z
    and w + y are sin(pitch/2 + pi/4) times those of (roll - yaw)/2 (Bernardes and Viollet, PLoS ONE 2022). In gimbal
    lock one pair vanishes, and with it what its noisy angle can do: the rotation stays exact.
    """
    xp = quat.__array_namespace__()
    w, x, y, z = quat[..., 0], quat[..., 1], quat[..., 2], quat[..., 3]
    half_sum, half_difference = xp.atan2(x + z, w - y), xp.atan2(x - z, w + y)
    sum_size = xp.sqrt((x + z) * (x + z) + (w - y) * (w - y))
    difference_size = xp.sqrt((x - z) * (x - z) + (w + y) * (w + y))
    pitch = 2.0 * xp.atan2(difference_size, sum_size) - 0.5 * math.pi
    return xp.stack([_wrapped(half_sum + half_difference), pitch, _wrapped(half_sum - half_difference)], axis=-1)


def from_euler_xyz(angles: Array) -> Array:
    """Angles (..., 3) [rad] about the turning axes, R = Rx(a) Ry(b) Rz(c) -> unit quaternions (..., 4)."""
    return conjugate(from_rpy(-angles))


def to_euler_xyz(quat: Array) -> Array:
    """Unit quaternions (..., 4) -> angles (..., 3) [rad] with R = Rx(a) Ry(b) Rz(c), b within +-pi/2."""
    return -to_rpy(conjugate(quat))


def from_rot6d(columns: Array, *, interleaved: bool) -> Array:
    """The first two columns of a rotation matrix (..., 6), roughly -> unit quaternions (..., 4), by Gram-Schmidt.

    Contiguous is [r00, r10, r20, r01, r11, r21] (Zhou et al., CVPR 2019), interleaved [r00, r01, r10, r11, r20, r21].
    NaN where a column has no length or both lie along one line.
    """
    xp = columns.__array_namespace__()
    a, b = (columns[..., 0::2], columns[..., 1::2]) if interleaved else (columns[..., :3], columns[..., 3:])
    x, b = _unit(a), _unit(b)
    along = x[..., 0] * b[..., 0] + x[..., 1] * b[..., 1] + x[..., 2] * b[..., 2]
    y = _unit(b - along[..., None] * x)
    z = xp.stack(
        [
            x[..., 1] * y[..., 2] - x[..., 2] * y[..., 1],
            x[..., 2] * y[..., 0] - x[..., 0] * y[..., 2],
            x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0],
        ],
        axis=-1,
    )
    return from_matrix(xp.stack([x, y, z], axis=-1))


def to_rot6d(quat: Array, *, interleaved: bool) -> Array:
    """Unit quaternions (..., 4) -> the first two columns of their matrices (..., 6), ordered as in `from_rot6d`."""
    xp = quat.__array_namespace__()
    matrix = to_matrix(quat)
    x, y = matrix[..., 0], matrix[..., 1]
    if interleaved:
        return xp.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1], x[..., 2], y[..., 2]], axis=-1)
    return xp.concat([x, y], axis=-1)


def _check_kind(kind: str) -> None:
    if kind not in ROTATIONS:
        raise ValueError(f"No rotation format '{kind}'. Formats: {', '.join(ROTATIONS)}.")


def _unit(vec: Array) -> Array:
    """Vectors (..., n) scaled to unit length; NaN for one that has no direction."""
    xp = vec.__array_namespace__()
    square = vec[..., 0] * vec[..., 0]
    for i in range(1, vec.shape[-1]):
        square = square + vec[..., i] * vec[..., i]
    length = xp.sqrt(square)[..., None]
    return xp.where(length > _SHORT, vec / xp.maximum(length, xp.full_like(length, _SHORT)), math.nan)


def _wrapped(angle: Array) -> Array:
    """Angles [rad] within +-pi."""
    xp = angle.__array_namespace__()
    return angle - 2.0 * math.pi * xp.round(angle / (2.0 * math.pi))
