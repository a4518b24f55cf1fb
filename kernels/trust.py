"""Whether the physics of a substep can be believed, from arrays an engine recorded. NaN never counts as good."""

from collections.abc import Sequence
from typing import Any, NamedTuple

Array = Any


class Limits(NamedTuple):
    """Beyond these a finite number is absurd: C tests only 1e10, which comes far too late."""

    position: float = 1e6  # qpos: m, rad or quaternion parts
    velocity: float = 1e6  # qvel: m/s, rad/s
    acceleration: float = 1e10  # qacc: m/s/s, rad/s/s
    residual: float = 1e-3  # relative force imbalance, float64
    energy: float = 0.5  # J that constraints may give in all, for the error of finite steps,
    energy_share: float = 0.1  # and this share of all the energy that went through them


def largest(field: Array) -> Array:
    """(...,) the largest |number| of a field (..., m): NaN if one is NaN, 0 if there is none."""
    xp = field.__array_namespace__()
    if field.shape[-1] == 0:
        return xp.zeros(field.shape[:-1], dtype=field.dtype)
    return xp.reshape(largest_component(by_component(field)), field.shape[:-1])


def largest_component(field: Array) -> Array:
    """(P,) the largest |number| over the components of a field (m, P)."""
    xp = field.__array_namespace__()
    return xp.max(xp.abs(field), axis=0)


def by_component(field: Array) -> Array:
    """(m, P) a field (..., m) copied with the components first: work along a short last axis is slow."""
    xp = field.__array_namespace__()
    flat = xp.reshape(field, (-1, field.shape[-1]))
    return xp.stack([flat[:, i] for i in range(field.shape[-1])])


def constraint_work(qvel: Array, qfrc_constraint: Array, timestep: float) -> Array:
    """J that the constraint forces did in each transition: (n, K) from K+1 samples (n, K+1, nv), trapezoidal.

    Contacts, limits, friction and equalities at rest store and dissipate energy; what they have given in all must
    not exceed what they took, or deep overlap or a stiff contact at a coarse timestep is blowing up the scene.
    """
    xp = qvel.__array_namespace__()
    before = qfrc_constraint[:, :-1]
    return 0.5 * timestep * (xp.vecdot(qvel[:, :-1], before) + xp.vecdot(qvel[:, 1:], before))


def force_gap(
    inertia: Array, rows: Sequence[int], columns: Sequence[int], qacc: Array, smooth: Array, constraint: Array
) -> Array:
    """M qacc - qfrc_smooth - qfrc_constraint, (nv, P) for the P samples of the fields (..., nM or nv).

    The mass matrix comes as its nM lower-triangle entries with their rows and columns (nM of each).
    """
    xp = inertia.__array_namespace__()
    # Entry by entry rather than as a matrix product: BLAS threads would fight the engine's for the cores.
    entries, motion = by_component(inertia), by_component(qacc)
    gap = list(by_component(-smooth - constraint))
    for entry, (row, column) in enumerate(zip(rows, columns, strict=True)):
        gap[row] = gap[row] + entries[entry] * motion[column]
        if row != column:
            gap[column] = gap[column] + entries[entry] * motion[row]
    return xp.stack(gap)


def force_residual(gap: Array, constraint: Array) -> Array:
    """max|M qacc - qfrc_smooth - qfrc_constraint| / (1 + max|qfrc_constraint|), (...,), of a `force_gap`.

    A wrong or unconverged solver answer leaves a residual that no iteration count shows.
    """
    xp = gap.__array_namespace__()
    return xp.reshape(largest_component(gap), constraint.shape[:-1]) / (1.0 + largest(constraint))
