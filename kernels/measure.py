"""Signed margins from raw sensor columns: a compiled requirement is a nested tuple of the operations below.

    ("column", i)            sensor column i
    ("number", v)            a constant, SI units
    ("add" | "sub" | "mul" | "div", e, f)
    ("neg" | "abs", e)
    ("min" | "max" | "sum" | "norm", e, f, ...)     norm: square root of the sum of squares
    ("angle", x, y, z)       angle between (x, y, z) and the z axis, rad
    ("inside", shape, size, x, y, z)                signed depth of a point given in the shape's frame, m

Works on NumPy and traced JAX arrays alike. All inputs of an operation are contiguous, so that a trace has the
same bits alone and in a batch of any size.
"""

import operator
from functools import reduce
from typing import Any

Array = Any
Expression = tuple[Any, ...]

_NEWTON_STEPS = 14  # to the last bit of a float64 for an ellipsoid's nearest point, also for axes of 1 to 5,000
_TINY = 1e-30  # keeps a division by zero finite, also in float32

_BINARY = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}


def measure(expressions: tuple[Expression, ...], sensordata: Array) -> Array:
    """A expressions over sensordata (B, K, S), as (A, B, K); equal subexpressions are computed once."""
    xp = sensordata.__array_namespace__()
    columns = xp.permute_dims(sensordata, (2, 0, 1))
    done: dict[Expression, Array] = {}

    def value(e: Expression) -> Array:
        if e not in done:
            done[e] = _evaluate(xp, e, columns, value)
        return done[e]

    return xp.stack([value(e) for e in expressions])


def _evaluate(xp: Any, e: Expression, columns: Array, value: Any) -> Array:
    match e:
        case ("column", i):
            return xp.asarray(columns[i], copy=True)
        case ("number", v):
            return xp.full_like(columns[0], v) if columns.shape[0] else xp.full(columns.shape[1:], v)
        case (("add" | "sub" | "mul" | "div") as op, left, right):
            return _BINARY[op](value(left), value(right))
        case ("neg", part):
            return -value(part)
        case ("abs", part):
            return xp.abs(value(part))
        case ("min", *parts):
            return reduce(xp.minimum, [value(p) for p in parts])
        case ("max", *parts):
            return reduce(xp.maximum, [value(p) for p in parts])
        case ("sum", *parts):
            return reduce(operator.add, [value(p) for p in parts])
        case ("norm", *parts):
            return _norm(xp, *[value(p) for p in parts])
        case ("angle", x, y, z):
            return xp.atan2(_norm(xp, value(x), value(y)), value(z))
        case ("inside", shape, size, x, y, z):
            return _DEPTH[shape](xp, size, value(x), value(y), value(z))
    raise ValueError(f"Unknown operation {e[0]!r} in a compiled expression.")


def _norm(xp: Any, *parts: Array) -> Array:
    return xp.sqrt(reduce(operator.add, [p * p for p in parts]))


def _box(xp: Any, size: tuple[float, ...], x: Array, y: Array, z: Array) -> Array:
    """Half-extents `size`; the exact signed distance, positive inside."""
    q = [xp.abs(p) - half for p, half in zip((x, y, z), size, strict=True)]
    outside = _norm(xp, *[xp.maximum(p, 0.0) for p in q])
    return -(outside + xp.minimum(reduce(xp.maximum, q), 0.0))


def _sphere(xp: Any, size: tuple[float, ...], x: Array, y: Array, z: Array) -> Array:
    return size[0] - _norm(xp, x, y, z)


def _capsule(xp: Any, size: tuple[float, ...], x: Array, y: Array, z: Array) -> Array:
    """Radius size[0], half-length size[1] of the segment along z."""
    return size[0] - _norm(xp, x, y, xp.maximum(xp.abs(z) - size[1], 0.0))


def _cylinder(xp: Any, size: tuple[float, ...], x: Array, y: Array, z: Array) -> Array:
    """Radius size[0], half-height size[1] along z."""
    radial, axial = _norm(xp, x, y) - size[0], xp.abs(z) - size[1]
    outside = _norm(xp, xp.maximum(radial, 0.0), xp.maximum(axial, 0.0))
    return -(outside + xp.minimum(xp.maximum(radial, axial), 0.0))


def _ellipsoid(xp: Any, size: tuple[float, ...], x: Array, y: Array, z: Array) -> Array:
    """Semi-axes `size`. The nearest surface point is a_i^2 p_i / (s + a_i^2 - a^2), a the shortest axis, with the s
    that puts it on the surface.

    Eberly, "Distance from a point to an ellipse, an ellipsoid, or a hyperellipsoid" (2013): s is the only root above
    zero of a decreasing convex function. Newton's steps from its left, where no term is above one, never pass it.
    """
    axes = [float(a) for a in size]
    least = min(axes)
    spare = [a * a - least * least for a in axes]
    p = [xp.abs(c) for c in (x, y, z)]
    root = reduce(xp.maximum, [a * c - d for a, c, d in zip(axes, p, spare, strict=True)])
    for _ in range(_NEWTON_STEPS):
        below = [xp.maximum(root + d, _TINY) for d in spare]
        terms = [a * c / b for a, c, b in zip(axes, p, below, strict=True)]
        excess = reduce(operator.add, [q * q for q in terms]) - 1.0
        slope = 2.0 * reduce(operator.add, [q * q / b for q, b in zip(terms, below, strict=True)])
        root = root + xp.maximum(excess, 0.0) / xp.maximum(slope, _TINY)
    nearest = [a * (a * c / xp.maximum(root + d, _TINY)) for a, c, d in zip(axes, p, spare, strict=True)]
    gap = _norm(xp, *[n - c for n, c in zip(nearest, p, strict=True)])
    # On the plane of symmetry across a shortest axis the nearest point leaves that plane: its offset there is what
    # keeps it on the surface.
    filled = 1.0 - reduce(operator.add, [(n / a) ** 2 for n, a in zip(nearest, axes, strict=True)])
    gap = xp.sqrt(gap * gap + least * least * xp.maximum(filled, 0.0))
    level = reduce(operator.add, [(c / a) ** 2 for a, c in zip(axes, p, strict=True)])
    return xp.where(level < 1.0, gap, -gap)


_DEPTH = {
    "box": _box,
    "sphere": _sphere,
    "capsule": _capsule,
    "cylinder": _cylinder,
    "ellipsoid": _ellipsoid,
}
