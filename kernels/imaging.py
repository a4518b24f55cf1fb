"""Pinhole pictures: from points of the world to pixels, from pixels to rays and back.

A pixel (x, y) counts columns to the right and rows down from the top left corner of the picture: (0, 0) is the corner
of the first pixel, (0.5, 0.5) its centre, (width, height) the opposite corner. A camera's frame is MuJoCo's: x to the
right, y up, looking along -z. Depth is measured along the line of sight of the picture's centre, not along the ray.
Everything is elementwise, so a row has the same bits alone and in a batch.
"""

from typing import Any, Literal

import numpy as np

from worldverify.kernels import rotation

Array = Any
Order = Literal["yx", "xy"]  # which coordinate of a point stands first; "yx" is how Gemini writes
Unit = Literal["thousandths", "pixels", "unit"]  # 0..1000 of the picture's height and width; px; 0..1 of them


def intrinsics(fovy: Array, width: int, height: int) -> Array:
    """Focal lengths and centre [px] (..., 4), fx fy cx cy, from the vertical field of view (...,) [rad]."""
    xp = fovy.__array_namespace__()
    focal = 0.5 * height / xp.tan(0.5 * fovy)
    return xp.stack([focal, focal, xp.full_like(focal, 0.5 * width), xp.full_like(focal, 0.5 * height)], axis=-1)


def optical(quat: Array) -> Array:
    """MuJoCo's camera orientations (..., 4) wxyz as those of the optical frame: x right, y down, z forward."""
    xp = quat.__array_namespace__()
    w, x, y, z = quat[..., 0], quat[..., 1], quat[..., 2], quat[..., 3]
    return xp.stack([-x, w, z, -y], axis=-1)


def ray(pixel: Array, intrinsics: Array) -> Array:
    """Vectors (..., 3) in the camera's frame, from the eye to depth 1, through pixels (..., 2)."""
    xp = pixel.__array_namespace__()
    right = (pixel[..., 0] - intrinsics[..., 2]) / intrinsics[..., 0]
    down = (pixel[..., 1] - intrinsics[..., 3]) / intrinsics[..., 1]
    right, down = xp.broadcast_arrays(right, down)
    return xp.stack([right, -down, xp.full_like(right, -1.0)], axis=-1)


def direction(pixel: Array, intrinsics: Array, quat: Array) -> Array:
    """Unit vectors (..., 3) in the world, through pixels (..., 2) of a camera with orientation (..., 4) wxyz."""
    xp = pixel.__array_namespace__()
    along = rotation.rotate(quat, ray(pixel, intrinsics))
    x, y, z = along[..., 0], along[..., 1], along[..., 2]
    return along / xp.sqrt(x * x + y * y + z * z)[..., None]


def lift(pixel: Array, depth: Array, intrinsics: Array, position: Array, quat: Array) -> Array:
    """Points of the world (..., 3) [m] at pixels (..., 2) and depths (...,) [m] of a camera at a pose."""
    return position + rotation.rotate(quat, ray(pixel, intrinsics) * depth[..., None])


def project(point: Array, intrinsics: Array, position: Array, quat: Array) -> tuple[Array, Array]:
    """Pixels (..., 2) and depths (...,) [m] of points (..., 3) [m]; a point that is not in front has NaN pixels."""
    xp = point.__array_namespace__()
    seen = rotation.rotate(rotation.conjugate(quat), point - position)
    depth = -seen[..., 2]
    ahead = xp.where(depth > 0.0, depth, xp.full_like(depth, np.nan))
    column = intrinsics[..., 2] + intrinsics[..., 0] * seen[..., 0] / ahead
    row = intrinsics[..., 3] - intrinsics[..., 1] * seen[..., 1] / ahead
    return xp.stack([column, row], axis=-1), depth


def to_pixels(point: Array, width: int, height: int, *, order: Order, unit: Unit) -> Array:
    """Pixels (..., 2) of points (..., 2) as a model writes them."""
    xp = point.__array_namespace__()
    x, y = (0, 1) if order == "xy" else (1, 0)
    across, down = _pixels_per(width, height, unit)
    return xp.stack([point[..., x] * across, point[..., y] * down], axis=-1)


def from_pixels(pixel: Array, width: int, height: int, *, order: Order, unit: Unit) -> Array:
    """Points (..., 2) as a model writes them, of pixels (..., 2)."""
    xp = pixel.__array_namespace__()
    across, down = _pixels_per(width, height, unit)
    x, y = pixel[..., 0] / across, pixel[..., 1] / down
    return xp.stack([x, y] if order == "xy" else [y, x], axis=-1)


def _pixels_per(width: int, height: int, unit: Unit) -> tuple[float, float]:
    """Pixels in one step of a written coordinate, across and down."""
    match unit:
        case "thousandths":
            return width / 1000, height / 1000
        case "unit":
            return float(width), float(height)
        case "pixels":
            return 1.0, 1.0
