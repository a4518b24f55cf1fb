"""Signed distances between the surfaces of geoms: negative is the shortest way that would part the two.

Spheres, capsules and boxes in any pair, and planes against those, cylinders and ellipsoids. Closed forms, no iteration:
two convex shapes apart are nearest at an end of one or between an edge of each; where they overlap, the shortest way
out is along a face normal or across an edge of each (Gottschalk, Lin, Manocha, "OBBTree", 1996). No matrix products:
accelerators round those to ten bits.
"""

from itertools import product
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = Any

_PLANE, _SPHERE, _CAPSULE, _ELLIPSOID, _CYLINDER, _BOX = (
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{name}"))
    for name in ("PLANE", "SPHERE", "CAPSULE", "ELLIPSOID", "CYLINDER", "BOX")
)
_ROUND = (_SPHERE, _CAPSULE)
_SOLID = (_SPHERE, _CAPSULE, _BOX)
_ABOVE_A_PLANE = (*_SOLID, _CYLINDER, _ELLIPSOID)

# Edges parallel up to this sine have no direction across both; any other direction, however rounded, is a sound bound.
_PARALLEL = 1e-7

_CORNERS: NDArray[np.float64] = np.array(list(product((-1.0, 1.0), repeat=3)))
_EDGES: NDArray[np.float64] = np.array([c for c in product((-1.0, 0.0, 1.0), repeat=3) if c.count(0.0) == 1])


class Geoms(NamedTuple):
    """Geoms of one type, with any leading shape."""

    pos: Array  # (..., 3)     m, centre
    mat: Array  # (..., 3, 3)  columns are the geom's axes in the world
    size: Array  # (..., 3)    m, as MuJoCo's geom_size


def has_distance(kind1: int, kind2: int) -> bool:
    """Whether the distance between two geom types (mjtGeom) is known here."""
    low, high = sorted((int(kind1), int(kind2)))
    return (low in _SOLID and high in _SOLID) or (low == _PLANE and high in _ABOVE_A_PLANE)


def signed_distance(kind1: int, kind2: int, geoms1: Geoms, geoms2: Geoms) -> Array:
    """(...) m between geoms of type kind1 and geoms of type kind2, negative where they overlap.

    A plane is the solid half-space below it. Exact up to rounding: about 1e-6 m in float32 for geoms within a few
    metres. ValueError for types without `has_distance`.
    """
    if not has_distance(kind1, kind2):
        names = (mujoco.mjtGeom(int(kind)).name.removeprefix("mjGEOM_").lower() for kind in (kind1, kind2))
        raise ValueError(
            f"No distance is known between a {' and a '.join(names)}: use spheres, capsules and boxes, or one of them, "
            "a cylinder or an ellipsoid against a plane."
        )
    if _PLANE in (kind1, kind2):
        return _plane_solid(kind2, geoms1, geoms2) if kind1 == _PLANE else _plane_solid(kind1, geoms2, geoms1)
    if kind1 in _ROUND and kind2 in _ROUND:
        between = _squared(*_core(kind1, geoms1), *_core(kind2, geoms2))
        return _root(between) - geoms1.size[..., 0] - geoms2.size[..., 0]
    if kind1 in _ROUND:
        return _box_round(kind1, geoms2, geoms1)
    if kind2 in _ROUND:
        return _box_round(kind2, geoms1, geoms2)
    return _box_box(geoms1, geoms2)


def _plane_solid(kind: int, plane: Geoms, solid: Geoms) -> Array:
    """How high the lowest point lies above the plane."""
    xp = plane.pos.__array_namespace__()
    normal = plane.mat[..., :, 2]
    height = _dot(normal, solid.pos - plane.pos)
    along, size = _into(solid.mat, normal), solid.size
    if kind == _SPHERE:
        reach = size[..., 0]
    elif kind == _CAPSULE:
        reach = size[..., 0] + size[..., 1] * xp.abs(along[..., 2])
    elif kind == _CYLINDER:
        radial = _root(along[..., 0] ** 2 + along[..., 1] ** 2)
        reach = size[..., 0] * radial + size[..., 1] * xp.abs(along[..., 2])
    elif kind == _ELLIPSOID:
        reach = _root(_dot(size * along, size * along))
    else:
        reach = _dot(size, xp.abs(along))
    return height - reach


def _box_round(kind: int, box: Geoms, round_: Geoms) -> Array:
    """A box against a sphere or capsule: the segment inside it against the box, less the radius."""
    xp = box.pos.__array_namespace__()
    centre, half = _core(kind, round_)
    centre, half, size = _into(box.mat, centre - box.pos), _into(box.mat, half), box.size
    faces = xp.abs(centre) - size - xp.abs(half)
    axes = xp.eye(3, dtype=size.dtype)
    across = _separation(_cross(axes, half[..., None, :]), half[..., None, :], centre, size, half[..., None, :])
    overlap = xp.maximum(xp.max(faces, axis=-1), xp.max(across, axis=-1))
    ends = xp.stack([centre - half, centre + half], axis=-2)
    corners = xp.maximum(xp.abs(ends) - size[..., None, :], 0.0)
    edges, along = _edges(size)
    apart = xp.minimum(
        xp.min(_dot(corners, corners), axis=-1),
        xp.min(_squared(edges, along, centre[..., None, :], half[..., None, :]), axis=-1),
    )
    return xp.where(overlap > 0, _root(apart), overlap) - round_.size[..., 0]


def _box_box(box1: Geoms, box2: Geoms) -> Array:
    """Two boxes, in the frame of the first."""
    xp = box1.pos.__array_namespace__()
    size1, size2 = box1.size, box2.size
    centre = _into(box1.mat, box2.pos - box1.pos)
    # (..., 3, 3) the axes of the second box as rows, in the frame of the first
    axes = xp.stack([_into(box1.mat, box2.mat[..., :, k]) for k in range(3)], axis=-2)
    halves = axes * size2[..., :, None]

    faces1 = xp.abs(centre) - size1 - xp.sum(xp.abs(halves), axis=-2)
    faces2 = xp.abs(_dot(axes, centre[..., None, :])) - size2 - _dot(xp.abs(axes), size1[..., None, :])
    unit = xp.eye(3, dtype=size1.dtype)
    sides = [
        _separation(_cross(unit, axes[..., k : k + 1, :]), axes[..., k : k + 1, :], centre, size1, halves)
        for k in range(3)
    ]
    overlap = xp.max(xp.concat([faces1, faces2, *sides], axis=-1), axis=-1)

    signs = xp.asarray(_CORNERS, dtype=size1.dtype)
    corners2 = centre[..., None, :] + xp.sum(signs[:, :, None] * halves[..., None, :, :], axis=-2)
    outside1 = xp.maximum(xp.abs(corners2) - size1[..., None, :], 0.0)
    corners1 = signs * size1[..., None, :] - centre[..., None, :]
    in2 = xp.sum(corners1[..., :, None, :] * axes[..., None, :, :], axis=-1)
    outside2 = xp.maximum(xp.abs(in2) - size2[..., None, :], 0.0)

    edges1, along1 = _edges(size1)
    local, local_along = _edges(size2)
    edges2 = centre[..., None, :] + xp.sum(local[..., None] * axes[..., None, :, :], axis=-2)
    along2 = xp.sum(local_along[..., None] * axes[..., None, :, :], axis=-2)
    between = _squared(
        edges1[..., :, None, :], along1[..., :, None, :], edges2[..., None, :, :], along2[..., None, :, :]
    )
    apart = xp.minimum(
        xp.minimum(xp.min(_dot(outside1, outside1), axis=-1), xp.min(_dot(outside2, outside2), axis=-1)),
        xp.min(between, axis=(-2, -1)),
    )
    return xp.where(overlap > 0, _root(apart), overlap)


def _core(kind: int, geoms: Geoms) -> tuple[Array, Array]:
    """The segment inside a sphere or capsule: (..., 3) its centre, (..., 3) from there to its end."""
    half = geoms.mat[..., :, 2] * geoms.size[..., 1:2]
    return geoms.pos, half if kind == _CAPSULE else 0.0 * half


def _edges(size: Array) -> tuple[Array, Array]:
    """The 12 edges of boxes of half-extents (..., 3), in their own frame: middles and half edges (..., 12, 3)."""
    xp = size.__array_namespace__()
    middle = xp.asarray(_EDGES, dtype=size.dtype)
    return middle * size[..., None, :], (1.0 - xp.abs(middle)) * size[..., None, :]


def _separation(direction: Array, edge: Array, centre: Array, size: Array, halves: Array) -> Array:
    """(..., n) how far a box of half-extents `size` at the origin and the sum of segments +-`halves` (..., m, 3) about
    `centre` are apart along directions (..., n, 3), each across `edge`; -inf where it is parallel to the box's."""
    xp = size.__array_namespace__()
    squared = _dot(direction, direction)
    parallel = squared <= _PARALLEL**2 * _dot(edge, edge)
    unit = direction / xp.where(parallel, xp.ones_like(squared), xp.sqrt(squared))[..., None]
    reach = _dot(xp.abs(unit), size[..., None, :])
    reach = reach + xp.sum(xp.abs(_dot(unit[..., :, None, :], halves[..., None, :, :])), axis=-1)
    return xp.where(parallel, -xp.inf, xp.abs(_dot(unit, centre[..., None, :])) - reach)


def _squared(centre1: Array, half1: Array, centre2: Array, half2: Array) -> Array:
    """(...) least squared distance between the segments centre +- half.

    It is at the common normal of their lines or at an end. Every candidate is the distance of two points of the
    segments; cross products keep the normal of near-parallel ones where a e - b^2 would round it away.
    """
    xp = centre1.__array_namespace__()
    apart = centre1 - centre2
    a, e, b = _dot(half1, half1), _dot(half2, half2), _dot(half1, half2)
    c, f = _dot(half1, apart), _dot(half2, apart)
    one = xp.ones_like(a + e)

    def on1(t: Array) -> Array:
        return xp.clip(_ratio(b * t - c, a), -1.0, 1.0)

    def on2(s: Array) -> Array:
        return xp.clip(_ratio(b * s + f, e), -1.0, 1.0)

    normal = _cross(half1, half2)
    inner = xp.clip(-_ratio(_dot(_cross(apart, half2), normal), _dot(normal, normal)), -1.0, 1.0)
    least = None
    for s, t in ((inner, on2(inner)), (one, on2(one)), (-one, on2(-one)), (on1(one), one), (on1(-one), -one)):
        gap = apart + s[..., None] * half1 - t[..., None] * half2
        squared = _dot(gap, gap)
        least = squared if least is None else xp.minimum(least, squared)
    return least


def _ratio(top: Array, bottom: Array) -> Array:
    """top / bottom, 0 where bottom is not above zero."""
    xp = bottom.__array_namespace__()
    sound = bottom > 0
    return xp.where(sound, top, 0.0 * top) / xp.where(sound, bottom, xp.ones_like(bottom))


def _root(squared: Array) -> Array:
    """Square root with a finite slope at zero."""
    xp = squared.__array_namespace__()
    return xp.sqrt(xp.maximum(squared, float(xp.finfo(squared.dtype).tiny)))


def _dot(a: Array, b: Array) -> Array:
    xp = a.__array_namespace__()
    return xp.sum(a * b, axis=-1)


def _cross(a: Array, b: Array) -> Array:
    """(..., 3), with broadcasting."""
    xp = a.__array_namespace__()
    x, y, z = (a[..., i] for i in range(3))
    u, v, w = (b[..., i] for i in range(3))
    return xp.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def _into(mat: Array, vector: Array) -> Array:
    """(..., 3) a world vector in the frame of the axes (..., 3, 3)."""
    xp = mat.__array_namespace__()
    return xp.sum(mat * vector[..., :, None], axis=-2)
