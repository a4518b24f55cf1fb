"""Which geom pairs could have missed each other between two samples: from geom centres alone, on any array library.

A pair is suspicious when some geom moves farther than half of the thinnest thing that it could miss, and the pair
sweeps farther than its own smallest half-extent and was within that sweep of each other before. Surfaces are spheres
about the centres here, and boxes where they are fixed: never farther apart than in truth. A sweep may be measured by
an observer that turns with either geom.
"""

import math
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = Any
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SLACK = 1.1  # a body may turn a little more in a step than its speed at either end says
_ENDLESS = (int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_HFIELD))


class SweepTable(NamedTuple):
    """The P collidable geom pairs of a model that can miss each other: M that move, then Q with one fixed box, then
    those with something endless, which are never far apart."""

    body: Ints  # (ngeom,)  of each geom
    radius: Floats  # (ngeom,)  m: of the sphere about a geom's centre that holds it
    thin: Floats  # (ngeom,)  m: the thinnest that a geom could miss, infinite for one that never moves or touches
    pairs: Ints  # (P, 2)  geoms; a fixed one comes second
    half: Floats  # (P,)  m: the smaller of the two half-extents
    moving: int  # M
    box_frame: Floats  # (Q, 4, 3)  position (m) and rotation matrix of each fixed geom
    box: Floats  # (Q, 6)  m: centre and half-extents in that frame


def sweep_table(model: mujoco.MjModel) -> SweepTable:
    """The constants of a model that `suspicious` needs."""
    half = np.array([half_extent(model, g) for g in range(model.ngeom)])
    pairs = [p for p in collidable_pairs(model) if math.isfinite(min(half[p[0]], half[p[1]]))]
    thin = np.full(model.ngeom, np.inf)
    for pair in pairs:
        for geom in pair:
            thin[geom] = min(thin[geom], *half[list(pair)])
    thin[model.body_weldid[model.geom_bodyid] == 0] = np.inf

    endless = np.isin(model.geom_type, _ENDLESS)
    boxes = {geom: frame for geom, frame in _fixed_frames(model).items() if not endless[geom]}
    kinds: list[list[tuple[int, int]]] = [[], [], []]
    for a, b in pairs:
        kind = 2 if endless[a] or endless[b] else 1 if a in boxes or b in boxes else 0
        kinds[kind].append((b, a) if a in boxes else (a, b))
    ordered_pairs = np.array([p for kind in kinds for p in kind], dtype=np.int64).reshape(-1, 2)
    fixed = [second for _, second in kinds[1]]
    return SweepTable(
        body=model.geom_bodyid.astype(np.int64),
        radius=model.geom_rbound.copy(),
        thin=thin,
        pairs=ordered_pairs,
        half=half[ordered_pairs].min(axis=1),
        moving=len(kinds[0]),
        box_frame=np.array([boxes[g] for g in fixed]).reshape(-1, 4, 3),
        box=model.geom_aabb[fixed].reshape(-1, 6),
    )


def suspicious(
    table: SweepTable,
    timestep: float,
    centre_before: Array,
    centre_after: Array,
    angular_before: Array,
    angular_after: Array,
) -> Array:
    """(...,) whether some pair could have passed through or been missed in a transition. NaN is suspicious.

    Centres (..., ngeom, 3) m of the geoms and angular velocity (..., nbody, 3) rad/s of the bodies at both ends;
    timestep in s.
    """
    xp = centre_before.__array_namespace__()
    moved = _squared(centre_after - centre_before)
    spin = xp.maximum(_squared(angular_before), _squared(angular_after))
    path = paths(table, timestep, centre_before, moved, spin)
    return leaps(table, timestep, moved, spin) & xp.any(~(path <= 0), axis=-1)


def leaps(table: SweepTable, timestep: float, moved: Array, spin: Array) -> Array:
    """(...,) whether some geom moves by more than half of what it could miss. NaN does.

    moved (..., ngeom): squared displacement of the centres, m^2; spin (..., nbody): squared angular velocity of the
    bodies, the larger of both ends, (rad/s)^2.
    """
    xp = moved.__array_namespace__()
    thin = xp.asarray(table.thin, dtype=moved.dtype)
    return xp.any(~(_sweeps(table, timestep, moved, spin) <= 0.5 * thin), axis=-1)


def paths(table: SweepTable, timestep: float, centre: Array, moved: Array, spin: Array) -> Array:
    """(..., P) m: the sweep of pairs in a transition; 0 where they stay apart or could not miss each other.

    centre (..., ngeom, 3) before the transition; moved and spin as in `leaps`.
    """
    xp = centre.__array_namespace__()
    half = xp.asarray(table.half, dtype=centre.dtype)
    path = pair_sweeps(table, timestep, moved, spin)
    return xp.where((path <= half) | (_gaps(table, centre) >= path), 0.0, path)


def pair_sweeps(table: SweepTable, timestep: float, moved: Array, spin: Array) -> Array:
    """(..., P) m: how far the two geoms of each pair move in a transition, at most; moved and spin as in `leaps`."""
    first, second = table.pairs.T
    sweep = _SLACK * _sweeps(table, timestep, moved, spin)
    return sweep[..., first] + sweep[..., second]


def relative_sweep(timestep: float, apart: Array, moved: Array, first: Array, second: Array, radius: Array) -> Array:
    """(...,) m: no point of the second geom of a pair moves farther, as seen by one that turns with the first.

    apart (..., 3) m from the first centre to the second before a transition, moved (..., 3) its change, first and
    second (..., 3) rad/s the angular velocities in it, radius (...,) m of the second. What two geoms do together, such
    as neighbours on an arm that swings, does not bring one through the other.
    """
    xp = apart.__array_namespace__()
    turned = timestep * first
    drift = xp.sqrt(_squared(moved - xp.linalg.cross(turned, apart)))
    bend = _squared(turned) * xp.sqrt(_squared(apart))  # that a turn is an arc: of second order
    twist = timestep * xp.sqrt(_squared(second - first)) * radius
    return _SLACK * (drift + twist) + bend


def _sweeps(table: SweepTable, timestep: float, moved: Array, spin: Array) -> Array:
    """(..., ngeom) m: no point of a geom moves farther."""
    xp = moved.__array_namespace__()
    radius = xp.asarray(table.radius, dtype=moved.dtype)
    return xp.sqrt(moved) + xp.sqrt(spin)[..., table.body] * (timestep * radius)


def _gaps(table: SweepTable, centre: Array) -> Array:
    """(..., P) m: the two geoms of each pair are at least this far apart."""
    xp = centre.__array_namespace__()
    moving, boxed = table.moving, table.moving + len(table.box)
    first, second = table.pairs.T
    place = [centre[..., i] for i in range(3)]  # one coordinate at a time: work along a short last axis is slow
    balls = first[:moving], second[:moving]
    never = xp.full((*centre.shape[:-2], len(first) - boxed), -math.inf, dtype=centre.dtype)
    gaps = (
        _ball_gap(table, xp, [[x[..., side] for x in place] for side in balls], *balls),
        _box_gap(table, xp, [x[..., first[moving:boxed]] for x in place], first[moving:boxed], slice(None)),
        never,
    )
    return xp.concat(gaps, axis=-1)


def gaps_of(table: SweepTable, centre: Floats, rows: Ints, pairs: Ints) -> Floats:
    """(M,) m: the same of some pairs in some rows of centres (..., ngeom, 3), on NumPy."""
    gaps = np.full(len(rows), -math.inf)
    first, second = table.pairs[pairs].T
    balls = np.flatnonzero(pairs < table.moving)
    ends = [list(centre[rows[balls], side[balls]].T) for side in (first, second)]
    gaps[balls] = _ball_gap(table, np, ends, first[balls], second[balls])
    boxes = np.flatnonzero((pairs >= table.moving) & (pairs < table.moving + len(table.box)))
    place = list(centre[rows[boxes], first[boxes]].T)
    gaps[boxes] = _box_gap(table, np, place, first[boxes], pairs[boxes] - table.moving)
    return gaps


def _ball_gap(table: SweepTable, xp: Any, ends: list[list[Array]], first: Ints, second: Ints) -> Array:
    """(...,) m between the spheres about two geoms, whose centres come coordinate by coordinate."""
    radius = xp.asarray(table.radius, dtype=ends[0][0].dtype)
    return _length(xp, [a - b for a, b in zip(*ends, strict=True)]) - radius[first] - radius[second]


def _box_gap(table: SweepTable, xp: Any, place: list[Array], geom: Ints, which: Any) -> Array:
    """(...,) m between the sphere about a geom and a fixed box, by its number."""
    radius, frame, box = (xp.asarray(x, dtype=place[0].dtype) for x in (table.radius, table.box_frame, table.box))
    frame, box = frame[which], box[which]
    arm = [x - frame[:, 0, i] for i, x in enumerate(place)]
    outside = []
    for i in range(3):
        along = arm[0] * frame[:, 1, i] + arm[1] * frame[:, 2, i] + arm[2] * frame[:, 3, i]
        outside.append(xp.maximum(xp.abs(along - box[:, i]) - box[:, 3 + i], 0.0))
    return _length(xp, outside) - radius[geom]


def _length(xp: Any, parts: list[Array]) -> Array:
    x, y, z = parts
    return xp.sqrt(x * x + y * y + z * z)


def _squared(vectors: Array) -> Array:
    """(...,) squared lengths of vectors (..., 3)."""
    x, y, z = (vectors[..., i] for i in range(3))
    return x * x + y * y + z * z


def collidable_pairs(model: mujoco.MjModel) -> list[tuple[int, int]]:
    """Geom pairs (i < j) that the compiled model can bring into contact, in order."""
    if model.opt.disableflags & (mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT):
        return []
    pairs = {ordered(int(a), int(b)) for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True)}
    excluded = set(int(s) for s in model.exclude_signature)
    parents = bool(model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT)
    weld, body = model.body_weldid, model.geom_bodyid
    # As in MuJoCo's collision filter: bodies of one weld group never collide, nor a body with its (welded) parent
    # unless the parent is the world.
    parent = weld[model.body_parentid[weld]]
    for i in range(model.ngeom):
        matches = (model.geom_contype[i] & model.geom_conaffinity) | (model.geom_contype & model.geom_conaffinity[i])
        for j in np.flatnonzero(matches[i + 1 :]) + i + 1:
            b1, b2 = int(body[i]), int(body[j])
            w1, w2 = int(weld[b1]), int(weld[b2])
            if w1 == w2:
                continue
            related = (w1 == parent[b2] and w1 != 0) or (w2 == parent[b1] and w2 != 0)
            if related and not parents:
                continue
            low, high = ordered(b1, b2)
            if (low << 16) + high in excluded:
                continue
            pairs.add((i, int(j)))
    return sorted(pairs)


def ordered(a: int, b: int) -> tuple[int, int]:
    """The two, the smaller first."""
    return (a, b) if a < b else (b, a)


def half_extent(model: mujoco.MjModel, geom: int) -> float:
    """The smallest half-thickness of a geom, m; infinite for what has no other side."""
    size, kind = model.geom_size[geom], mujoco.mjtGeom(int(model.geom_type[geom]))
    if kind in _ENDLESS:
        return math.inf
    if kind in (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE):
        return float(size[0])
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return float(min(size[:2]))
    return float(min(model.geom_aabb[geom, 3:]))


def _fixed_frames(model: mujoco.MjModel) -> dict[int, Floats]:
    """geom -> (4, 3) position and rotation matrix, of geoms that never move."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    frames = {}
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        while body != 0 and model.body_jntnum[body] == 0 and model.body_mocapid[body] < 0:
            body = int(model.body_parentid[body])
        if body == 0:
            frames[geom] = np.vstack([data.geom_xpos[geom], data.geom_xmat[geom].reshape(3, 3)])
    return frames
