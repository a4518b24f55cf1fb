"""Whether the physics of a substep can be believed, from arrays an engine recorded. NaN never counts as good."""

from typing import Any, NamedTuple

Array = Any


class Limits(NamedTuple):
    """Beyond these a finite number is absurd: C tests only 1e10, which comes far too late."""

    position: float = 1e6  # qpos: m, rad or quaternion parts
    velocity: float = 1e6  # qvel: m/s, rad/s
    acceleration: float = 1e10  # qacc: m/s/s, rad/s/s
    residual: float = 1e-3  # relative force imbalance, float64


def finite(*fields: Array) -> Array:
    """(...,) whether every number of each field (..., m) is finite."""
    xp = fields[0].__array_namespace__()
    good = xp.all(xp.isfinite(fields[0]), axis=-1)
    for field in fields[1:]:
        good = good & xp.all(xp.isfinite(field), axis=-1)
    return good


def within(field: Array, limit: float) -> Array:
    """(...,) whether every |number| of the field (..., m) is at most limit; False for NaN."""
    xp = field.__array_namespace__()
    return xp.all(xp.abs(field) <= limit, axis=-1)


def force_residual(inertia: Array, rows: Array, columns: Array, qacc: Array, smooth: Array, constraint: Array) -> Array:
    """max|M qacc - qfrc_smooth - qfrc_constraint| / (1 + max|qfrc_constraint|), (...,).

    The mass matrix comes as its nM lower-triangle entries (..., nM) with their rows and columns (nM,). A wrong or
    unconverged solver answer leaves a residual that no iteration count shows.
    """
    xp = inertia.__array_namespace__()
    if qacc.shape[-1] == 0:
        return xp.zeros(qacc.shape[:-1], dtype=qacc.dtype)
    dofs = xp.arange(qacc.shape[-1])
    to_row = xp.astype(rows[:, None] == dofs, inertia.dtype)
    to_column = xp.astype((columns[:, None] == dofs) & (rows != columns)[:, None], inertia.dtype)
    product = (inertia * qacc[..., columns]) @ to_row + (inertia * qacc[..., rows]) @ to_column
    gap = xp.max(xp.abs(product - smooth - constraint), axis=-1)
    return gap / (1.0 + xp.max(xp.abs(constraint), axis=-1))
