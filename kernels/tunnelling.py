"""Thin geoms that pass through each other between two substeps: discrete collision detection cannot see them.

A transition is suspect when a pair's sweep exceeds its smallest half-extent, the pair was within that sweep of each
other before, and neither sample has a contact of the pair. A suspect is decided by repeating the transition with
smaller steps: if the pair then touches, the coarse physics missed it. A pair that touches and now lies the other way
round has passed through as well, and so has, at any speed, one pushed into each other up to its middle: beyond it,
soft contacts push to the far side.
"""

import copy
import math

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_SUBSTEPS = 256
_SLACK = 1.1  # a body may turn a little more in a step than its speed at either end says

# What a plan cannot change: applied forces, active constraints, mocap poses.
FIXED = (
    mujoco.mjtState.mjSTATE_QFRC_APPLIED
    | mujoco.mjtState.mjSTATE_XFRC_APPLIED
    | mujoco.mjtState.mjSTATE_EQ_ACTIVE
    | mujoco.mjtState.mjSTATE_MOCAP_POS
    | mujoco.mjtState.mjSTATE_MOCAP_QUAT
)


class TunnelCheck:
    """The collidable geom pairs of one model, with how thin each is."""

    def __init__(self, model: mujoco.MjModel) -> None:
        model = copy.copy(model)  # ours: its timestep changes when a suspect is decided
        self._model = model
        self._fine, self._end = mujoco.MjData(model), mujoco.MjData(model)
        self._half = np.array([half_extent(model, g) for g in range(model.ngeom)])
        self._reach = _reach(model)
        self._pairs = [p for p in collidable_pairs(model) if math.isfinite(min(self._half[p[0]], self._half[p[1]]))]
        thin = np.full(model.nbody, np.inf)
        for g1, g2 in self._pairs:
            for g in (g1, g2):
                body = model.geom_bodyid[g]
                thin[body] = min(thin[body], self._half[g1], self._half[g2])
        self._pair_array = np.array(self._pairs, dtype=np.int64).reshape(-1, 2)
        # (ngeom,) m: of the sphere about a geom's position that holds it; infinite for planes and height fields.
        middle = np.linalg.norm(model.geom_aabb[:, :3], axis=1) + np.linalg.norm(model.geom_aabb[:, 3:], axis=1)
        self._radius = np.where(model.geom_rbound > 0, np.maximum(model.geom_rbound, middle), np.inf)
        self._fixed_boxes = _fixed_boxes(model, self._fine)
        endless = (int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_HFIELD))
        self._endless = {g for g in range(model.ngeom) if int(model.geom_type[g]) in endless}
        self._radius[list(self._endless)] = np.inf
        # (nbody,) m: the thinnest that a body could miss, infinite for one that never moves or touches.
        self._thin = np.where(model.body_weldid == 0, np.inf, thin)
        self._body_reach = np.array(
            [max((self._reach[g] for g in _geoms(model, b)), default=0.0) for b in range(model.nbody)]
        )

    @property
    def shallowest(self) -> float:
        """m: no contact less deep than this can be `crushed`."""
        return min((self._middle(*pair) for pair in self._pairs), default=math.inf)

    def crushed(self, state: tuple[Floats, Floats], fixed: Floats) -> bool:
        """Whether some pair of a state (qpos, qvel) has been pushed into each other up to its middle."""
        if not all(np.isfinite(x).all() for x in state):
            return False
        self._touching(self._fine, *state, fixed)
        contact = self._fine.contact
        pairs = zip(contact.geom.reshape(-1, 2).tolist(), contact.dist.tolist(), strict=True)
        return any(-dist > self._middle(*pair) for pair, dist in pairs if min(pair) >= 0)

    def _middle(self, g1: int, g2: int) -> float:
        """m: a contact changes sides at a depth of both half-extents; slower than one half-extent a step, some sample
        comes this close to it."""
        return float(self._half[g1] + self._half[g2] - 0.5 * min(self._half[g1], self._half[g2]))

    @property
    def pairs(self) -> int:
        """How many geom pairs are watched."""
        return len(self._pairs)

    def suspects(self, moved: Floats, spin: Floats) -> NDArray[np.int64]:
        """(M, 2) rows (lane, transition) in which some body moves by more than half of what it could miss.

        moved (n, K, nbody): squared displacement of the body frames in each transition, m^2; spin (n, K, nbody):
        squared angular velocity, the larger of both ends, (rad/s)^2. NaN is suspect.
        """
        turn = self._model.opt.timestep * self._body_reach
        with np.errstate(invalid="ignore", over="ignore"):
            # One look at all samples first: each part by itself below half of what is allowed.
            quarter = (0.25 * self._thin) ** 2
            if (moved.max(axis=(0, 1)) <= quarter).all() and (spin.max(axis=(0, 1)) * turn**2 <= quarter).all():
                return np.empty((0, 2), dtype=np.int64)
            sweep = np.sqrt(moved) + np.sqrt(spin) * turn
            return np.argwhere(~(sweep <= 0.5 * self._thin).all(axis=-1))

    def near(self, xpos: Floats, moved: Floats, spin: Floats) -> Floats:
        """(M, P) m: the sweep of pairs in M transitions; 0 where they stay apart or could not miss each other.

        xpos (M, nbody, 3) before the transitions; moved and spin (M, nbody) squared, as in `suspects`. Surfaces are
        spheres about the body frames here, and boxes where they are fixed: never nearer than in truth.
        """
        body, step = self._model.geom_bodyid, self._model.opt.timestep
        paths = np.zeros((len(xpos), len(self._pairs)))
        with np.errstate(invalid="ignore", over="ignore"):
            shift, turn = _SLACK * np.sqrt(moved), _SLACK * np.sqrt(spin) * step
            for i, (g1, g2) in enumerate(self._pairs):
                path = shift[:, body[g1]] + shift[:, body[g2]]
                path += turn[:, body[g1]] * self._reach[g1] + turn[:, body[g2]] * self._reach[g2]
                gap = self._gap(xpos, g1, g2)
                apart = (path <= min(self._half[g1], self._half[g2])) | (gap >= path)
                paths[:, i] = np.where(apart, 0.0, path)
        return paths

    def _gap(self, xpos: Floats, g1: int, g2: int) -> Floats:
        """(M,) m: the two geoms are at least this far apart."""
        if g1 in self._fixed_boxes or g1 in self._endless:
            g1, g2 = g2, g1
        if g2 in self._endless:
            return np.full(len(xpos), -np.inf)
        point = xpos[:, self._model.geom_bodyid[g1]]
        if g2 not in self._fixed_boxes:
            other = xpos[:, self._model.geom_bodyid[g2]]
            return np.asarray(np.linalg.norm(point - other, axis=1) - self._reach[g1] - self._reach[g2])
        pos, turn, box = self._fixed_boxes[g2]
        outside = np.maximum(np.abs((point - pos) @ turn - box[:3]) - box[3:], 0.0)
        return np.asarray(np.linalg.norm(outside, axis=1) - self._reach[g1])

    def passed(
        self,
        before: tuple[Floats, Floats],
        after: tuple[Floats, Floats],
        control: Floats,
        fixed: Floats,
        paths: Floats,
    ) -> bool:
        """Whether some pair passed through in the transition between two states (qpos, qvel) under a control.

        `fixed` is the FIXED part of the lane's state, paths (P,) a row of `near`.
        """
        model = self._model
        if not all(np.isfinite(x).all() for x in (*before, *after)):
            return False
        start, end = self._fine, self._end
        pairs = self._meeting(start, *before, fixed, paths)
        if not pairs:
            return False
        touched = self._touching(start, *before, fixed), self._touching(end, *after, fixed)
        moved = np.linalg.norm(end.xpos - start.xpos, axis=1)
        turned = 2.0 * np.arccos(np.clip(np.abs((end.xquat * start.xquat).sum(axis=1)), 0.0, 1.0))
        sweep = moved[model.geom_bodyid] + turned[model.geom_bodyid] * self._reach
        suspects: set[tuple[int, int]] = set()
        finest = 0.0
        for pair in pairs:
            path, thin = sum(sweep[g] for g in pair), min(self._half[g] for g in pair)
            if path <= thin or not self._near(start, pair, path):
                continue
            if not any(pair in normals for normals in touched):
                suspects.add(pair)
                finest = max(finest, path / thin)
            elif (
                self._field(pair)
                or self._way(start, pair, touched[0], path) @ self._way(end, pair, touched[1], path) < 0
            ):
                return True
        return bool(suspects) and self._touch_when_finer(suspects, *before, control, fixed, finest)

    def _meeting(
        self, data: mujoco.MjData, qpos: Floats, qvel: Floats, fixed: Floats, paths: Floats
    ) -> list[tuple[int, int]]:
        """The pairs whose bounding spheres come within their path of each other from a state."""
        self._place(data, qpos, qvel, fixed)
        mujoco.mj_kinematics(self._model, data)
        some = np.flatnonzero(~(paths <= 0))
        g1, g2 = self._pair_array[some].T
        apart = np.linalg.norm(data.geom_xpos[g1] - data.geom_xpos[g2], axis=1) - self._radius[g1] - self._radius[g2]
        return [self._pairs[i] for i in some[~(apart >= paths[some])]]

    def _place(self, data: mujoco.MjData, qpos: Floats, qvel: Floats, fixed: Floats) -> None:
        mujoco.mj_resetData(self._model, data)
        mujoco.mj_setState(self._model, data, fixed, FIXED)
        data.qpos[:], data.qvel[:] = qpos, qvel

    def _touching(
        self, data: mujoco.MjData, qpos: Floats, qvel: Floats, fixed: Floats
    ) -> dict[tuple[int, int], Floats]:
        """Puts a state into data; the pairs in contact, each with a normal from its first geom to its second."""
        self._place(data, qpos, qvel, fixed)
        mujoco.mj_fwdPosition(self._model, data)
        pairs = zip(data.contact.geom.reshape(-1, 2).tolist(), data.contact.frame, strict=True)
        return {_ordered(a, b): frame[:3] * (1 if a < b else -1) for (a, b), frame in pairs}

    def _near(self, data: mujoco.MjData, pair: tuple[int, int], reach: float) -> bool:
        """Whether a pair may be within reach of each other."""
        return self._field(pair) or bool(mujoco.mj_geomDistance(self._model, data, *pair, reach, None) < reach)

    def _field(self, pair: tuple[int, int]) -> bool:
        """Whether one of them is a height field: MuJoCo knows no distance to it, nor from which side it is touched."""
        return int(mujoco.mjtGeom.mjGEOM_HFIELD) in self._model.geom_type[list(pair)]

    def _way(
        self, data: mujoco.MjData, pair: tuple[int, int], normals: dict[tuple[int, int], Floats], path: float
    ) -> Floats:
        """(3,) which way the second geom of a pair lies from the first."""
        if pair in normals:
            return normals[pair]
        ends = np.zeros(6)
        mujoco.mj_geomDistance(self._model, data, *pair, 4 * path, ends)
        return ends[3:] - ends[:3]

    def _touch_when_finer(
        self,
        suspects: set[tuple[int, int]],
        qpos: Floats,
        qvel: Floats,
        control: Floats,
        fixed: Floats,
        ratio: float,
    ) -> bool:
        data = self._fine
        mujoco.mj_resetData(self._model, data)
        mujoco.mj_setState(self._model, data, fixed, FIXED)
        data.qpos[:], data.qvel[:], data.ctrl[:] = qpos, qvel, control
        if not 4 * ratio <= _MOST_SUBSTEPS:
            return True  # too fast to be followed
        substeps = max(4, math.ceil(4 * ratio))
        coarse = self._model.opt.timestep
        self._model.opt.timestep = coarse / substeps
        try:
            for _ in range(substeps):
                mujoco.mj_step(self._model, data)
                if suspects & {_ordered(*pair) for pair in data.contact.geom.reshape(-1, 2).tolist()}:
                    return True
        finally:
            self._model.opt.timestep = coarse
        return False


def collidable_pairs(model: mujoco.MjModel) -> list[tuple[int, int]]:
    """Geom pairs (i < j) that the compiled model can bring into contact, in order."""
    if model.opt.disableflags & (mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT):
        return []
    pairs = {_ordered(int(a), int(b)) for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True)}
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
            low, high = _ordered(b1, b2)
            if (low << 16) + high in excluded:
                continue
            pairs.add((i, int(j)))
    return sorted(pairs)


def _ordered(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _geoms(model: mujoco.MjModel, body: int) -> range:
    first = int(model.body_geomadr[body])
    return range(first, first + int(model.body_geomnum[body]))


def half_extent(model: mujoco.MjModel, geom: int) -> float:
    """The smallest half-thickness of a geom, m; infinite for what has no other side."""
    size, kind = model.geom_size[geom], mujoco.mjtGeom(int(model.geom_type[geom]))
    if kind in (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD):
        return math.inf
    if kind in (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE):
        return float(size[0])
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return float(min(size[:2]))
    return float(min(model.geom_aabb[geom, 3:]))


def _reach(model: mujoco.MjModel) -> Floats:
    """(ngeom,) m: the farthest a geom's surface lies from its body's frame."""
    return np.asarray(np.linalg.norm(model.geom_pos, axis=1) + model.geom_rbound)


def _fixed_boxes(model: mujoco.MjModel, data: mujoco.MjData) -> dict[int, tuple[Floats, Floats, Floats]]:
    """geom -> (position, rotation matrix, centre and half-extents in its frame), of geoms that never move."""
    mujoco.mj_kinematics(model, data)
    boxes = {}
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        while body != 0 and model.body_jntnum[body] == 0 and model.body_mocapid[body] < 0:
            body = int(model.body_parentid[body])
        if body == 0:
            pose = data.geom_xpos[geom].copy(), data.geom_xmat[geom].reshape(3, 3).copy()
            boxes[geom] = (*pose, model.geom_aabb[geom].copy())
    return boxes
