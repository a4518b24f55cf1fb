"""Draw translucent shapes and sites over a traced picture: exact rays through MuJoCo's primitives."""

import math
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

GLASS = (
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_BOX,
)


@dataclass(frozen=True, eq=False)
class Glass:
    """A primitive drawn over the traced picture: a translucent geom, or a site."""

    kind: str  # "geom" or "site"
    index: int
    shape: int  # mjtGeom
    size: Floats  # (3,) m
    colour: Floats  # (3,)
    alpha: float

    def pose(self, data: Any) -> tuple[Floats, Floats]:
        """Position (3,) in metres and axes as columns (3, 3)."""
        pos, mat = (data.geom_xpos, data.geom_xmat) if self.kind == "geom" else (data.site_xpos, data.site_xmat)
        return np.array(pos[self.index]), np.array(mat[self.index]).reshape(3, 3)

    def blend(
        self,
        image: NDArray[np.float32],
        data: Any,
        eye: Floats,
        frame: Floats,
        rays: NDArray[np.float32],
        seen: NDArray[np.float32],
        fovy: float,
    ) -> None:
        """Draws itself into `image` (3, H, W) along `rays` (3, H, W) where `seen` (H, W), in m, is farther.

        An opaque one then stands in `seen` too, and hides what is behind it.
        """
        pos, mat = self.pose(data)
        rows, cols = _window(pos - eye, frame, _bounding_radius(self.shape, self.size), seen.shape, fovy)
        ray = rays[:, rows, cols]
        if ray.size == 0:
            return
        turn = mat.T.astype(np.float32)
        origin, direction = turn @ (eye - pos).astype(np.float32), np.einsum("ij,jhw->ihw", turn, ray)
        enter, leave = _crossings(self.shape, self.size, origin, direction)
        depth, part = seen[rows, cols], image[:, rows, cols]
        solid = self.alpha >= 0.5
        for at, alpha in ((enter, 1.0),) if solid else ((leave, 0.5 * self.alpha), (enter, self.alpha)):
            shown = (leave >= enter) & (at > 0) & (at < depth)
            local = origin[:, None, None] + direction * np.where(shown, at, np.float32(0))
            normal = _normals(self.shape, self.size, local)
            slope = np.abs(dot(normal, direction))
            rim = shown & _borders(normal, shown, self.shape)
            weight = np.where(rim, np.float32(min(1.0, 2.5 * alpha + 0.15)), np.float32(alpha)) * shown
            tint = self.colour[:, None, None] * (np.float32(0.65) + np.float32(0.35) * slope)
            part += (tint - part) * weight
            if solid:
                depth[shown] = at[shown]


def dot(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P,) products of vectors (3, P) with others (3, P), or with one (3,)."""
    return np.asarray(one[0] * two[0] + one[1] * two[1] + one[2] * two[2], np.float32)


def _bounding_radius(shape: int, size: Floats) -> float:
    if shape == mujoco.mjtGeom.mjGEOM_SPHERE:
        return float(size[0])
    if shape == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return float(size[0] + size[1])
    if shape == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return float(np.hypot(size[0], size[1]))
    return float(np.linalg.norm(size))


def _window(offset: Floats, frame: Floats, radius: float, shape: tuple[int, ...], fovy: float) -> tuple[slice, slice]:
    """The rows and columns that a ball at `offset` from the eye can cover."""
    height, width = shape
    right, up, back = offset @ frame
    ahead = -back
    if ahead < -radius:
        return slice(0, 0), slice(0, 0)
    if ahead < 2.0 * radius:
        return slice(0, height), slice(0, width)
    scale = height / (2.0 * math.tan(fovy / 2))
    span = 2.0 * radius / ahead * scale + 2.0  # 2 covers the stretching of balls off the axis
    row, col = height / 2 - up / ahead * scale, width / 2 + right / ahead * scale
    span *= max(1.0, math.hypot(right, up) / ahead)
    top, bottom = max(0, int(row - span)), min(height, int(row + span) + 1)
    left, end = max(0, int(col - span)), min(width, int(col + span) + 1)
    return slice(top, max(top, bottom)), slice(left, max(left, end))


def _crossings(
    shape: int, size: Floats, origin: NDArray[np.float32], direction: NDArray[np.float32]
) -> tuple[Floats, Floats]:
    """Where rays (3, h, w) from `origin` (3,) enter and leave a primitive; a miss has leave < enter."""
    if shape == mujoco.mjtGeom.mjGEOM_BOX:
        return _through_slabs(origin, direction, size)
    if shape == mujoco.mjtGeom.mjGEOM_SPHERE:
        return _through_ball(origin, direction, size[[0, 0, 0]])
    if shape == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        return _through_ball(origin, direction, size)
    tube = _through_ball(origin[:2], direction[:2], size[[0, 0]])
    slab = _through_slabs(origin[2:], direction[2:], size[1:2])
    middle = np.maximum(tube[0], slab[0]), np.minimum(tube[1], slab[1])
    if shape == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return middle
    up = np.array([0.0, 0.0, size[1]], np.float32)
    parts = [middle, *(_through_ball(origin - end, direction, size[[0, 0, 0]]) for end in (-up, up))]
    enters = [np.where(leave >= enter, enter, np.inf) for enter, leave in parts]
    leaves = [np.where(leave >= enter, leave, -np.inf) for enter, leave in parts]
    return np.minimum.reduce(enters), np.maximum.reduce(leaves)


def _through_slabs(origin: NDArray[np.float32], direction: NDArray[np.float32], half: Floats) -> tuple[Floats, Floats]:
    enter: Floats = np.full(direction.shape[1:], -np.inf, np.float32)
    leave: Floats = np.full(direction.shape[1:], np.inf, np.float32)
    for start, slope, reach in zip(origin, direction, half, strict=True):
        inverse = 1 / np.where(np.abs(slope) < 1e-9, np.float32(1e-9), slope)
        one, two = (np.float32(-reach) - start) * inverse, (np.float32(reach) - start) * inverse
        enter = np.maximum(enter, np.minimum(one, two))
        leave = np.minimum(leave, np.maximum(one, two))
    return enter, leave


def _through_ball(origin: NDArray[np.float32], direction: NDArray[np.float32], radius: Floats) -> tuple[Floats, Floats]:
    """Crossings of an ellipsoid (or, in two dimensions, an ellipse) about 0."""
    scale = (1.0 / radius).astype(np.float32)
    start, slope = origin * scale, direction * scale[:, None, None]
    a = np.maximum((slope * slope).sum(axis=0), np.float32(1e-9))
    b = (slope * start[:, None, None]).sum(axis=0)
    inside = b * b - a * np.float32(float(start @ start) - 1.0)
    root = np.sqrt(np.maximum(inside, np.float32(0)))
    missed = inside < 0
    return np.where(missed, np.inf, (-b - root) / a), np.where(missed, -np.inf, (-b + root) / a)


def _normals(shape: int, size: Floats, point: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, h, w) unit normals of a primitive at surface points (3, h, w), in its own frame."""
    if shape == mujoco.mjtGeom.mjGEOM_BOX:
        x, y, z = np.abs(point) / size.astype(np.float32)[:, None, None]
        on_x, on_y = (x >= y) & (x >= z), (y > x) & (y >= z)
        return np.stack([on_x, on_y, ~(on_x | on_y)]).astype(np.float32)
    normal = point.copy()
    if shape == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        normal /= np.square(size).astype(np.float32)[:, None, None]
    elif shape == mujoco.mjtGeom.mjGEOM_CAPSULE:
        normal[2] -= np.clip(point[2], -size[1], size[1])
    elif shape == mujoco.mjtGeom.mjGEOM_CYLINDER:
        cap = np.abs(point[2]) > size[1] * (1 - 1e-4)
        normal = np.stack([np.where(cap, 0, point[0]), np.where(cap, 0, point[1]), cap.astype(np.float32)])
    return np.asarray(normal / np.maximum(np.sqrt(dot(normal, normal)), np.float32(1e-9)), np.float32)


def _borders(normal: NDArray[np.float32], shown: NDArray[np.bool_], shape: int) -> NDArray[np.bool_]:
    """(h, w) pixels at the rim of what is shown, and along the edges of a box."""
    face = 1 + normal[1] + 2 * normal[2] if shape == mujoco.mjtGeom.mjGEOM_BOX else np.float32(1)
    padded = np.pad(face * shown, 1, mode="edge")
    label = padded[1:-1, 1:-1]
    left, right, above, below = padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]
    return np.asarray((label != right) | (label != below) | (left == 0) | (above == 0))
