"""Rotations: quaternions (wxyz, as in MuJoCo), matrices and rotation vectors.

Everything is elementwise, so a row has the same bits alone and in a batch.
"""

from typing import Any

Array = Any

_TINY = 1e-12  # below this an angle has no direction worth dividing by


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
