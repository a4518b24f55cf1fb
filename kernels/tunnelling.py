"""Thin geoms that pass through each other between two substeps: discrete collision detection cannot see them.

A transition is suspect when a pair's sweep exceeds its smallest half-extent, the pair was within that sweep of each
other before, and neither sample has a contact of the pair. A suspect is decided by repeating the transition with
smaller steps: if the pair then touches, the coarse physics missed it. A pair that touches and now lies the other way
round has passed through as well, and so has, at any speed, one pushed into each other up to its middle: beyond it,
soft contacts push to the far side.
"""

import copy
import math
from functools import cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.rotation import to_matrix
from worldverify.kernels.separation import separation, shapes_of
from worldverify.kernels.sweep import gaps_of, half_extent, leaps, ordered, pair_sweeps, relative_sweep, sweep_table

Floats = NDArray[np.float64]

_MOST_SUBSTEPS = 256

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
        self._table, self._shapes = sweep_table(model), shapes_of(model)
        self._half = np.array([half_extent(model, g) for g in range(model.ngeom)])
        self._pairs = [ordered(int(a), int(b)) for a, b in self._table.pairs]
        # Those with a height field: MuJoCo knows no distance to it, nor from which side it is touched.
        field = int(mujoco.mjtGeom.mjGEOM_HFIELD)
        self._fields = {pair for pair in self._pairs if field in model.geom_type[list(pair)]}

    @cached_property
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
    def sweeps(self) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """(ngeom,) each: the thinnest that a geom could miss, m; its radius times the timestep, m s; its body."""
        table = self._table
        return table.thin, self._model.opt.timestep * table.radius, table.body

    @property
    def pairs(self) -> int:
        """How many geom pairs are watched."""
        return len(self._pairs)

    def suspects(self, moved: Floats, spin: Floats) -> NDArray[np.int64]:
        """(M, 2) rows (lane, transition) in which some geom moves by more than half of what it could miss.

        moved (n, K, ngeom): squared displacement of the geoms' centres in each transition, m^2; spin (n, K, nbody):
        squared angular velocity, the larger of both ends, (rad/s)^2. NaN is suspect.
        """
        table, step = self._table, self._model.opt.timestep
        with np.errstate(invalid="ignore", over="ignore"):
            # One look at all samples first: each part by itself below half of what is allowed.
            quarter = (0.25 * table.thin) ** 2
            turn = spin.max(axis=(0, 1))[table.body] * (step * table.radius) ** 2
            if (moved.max(axis=(0, 1)) <= quarter).all() and (turn <= quarter).all():
                return np.empty((0, 2), dtype=np.int64)
            return np.argwhere(leaps(table, step, moved, spin))

    def near(self, centre: Floats, quat: Floats, after: Floats, moved: Floats, spin: Floats, angular: Floats) -> Floats:
        """(M, P) m: the sweep of pairs in M transitions; 0 where they stay apart or could not miss each other.

        centre (M, ngeom, 3) and quat (M, nbody, 4) before the transitions, after (M, ngeom, 3); moved (M, ngeom) and
        spin (M, nbody) squared, as in `suspects`; angular (M, nbody, 3) rad/s, of the poses after, which is what
        brought them there. The same as `kernels.sweep.paths`, and also 0 where an observer who turns with one of the
        two sees no sweep, or a plane between them is farther away.
        """
        table, timestep = self._table, self._model.opt.timestep
        with np.errstate(invalid="ignore", over="ignore"):
            path = np.asarray(pair_sweeps(table, timestep, moved, spin))
            rows, pairs = np.nonzero(~(path <= table.half))
            close = ~(gaps_of(table, centre, rows, pairs) >= path[rows, pairs])
            rows, pairs = rows[close], pairs[close]
            first, second = table.pairs[pairs].T
            apart = centre[rows, second] - centre[rows, first]
            change = after[rows, second] - after[rows, first] - apart
            turn = angular[rows, table.body[first]], angular[rows, table.body[second]]
            sweep = np.minimum(
                relative_sweep(timestep, apart, change, turn[0], turn[1], table.radius[second]),
                relative_sweep(timestep, apart, change, turn[1], turn[0], table.radius[first]),
            )
            some = ~(sweep <= table.half[pairs])
            rows, pairs, first, second = (x[some] for x in (rows, pairs, first, second))
            turns = to_matrix(np.stack([quat[rows, table.body[first]], quat[rows, table.body[second]]]))
            ends = centre[rows, first], centre[rows, second]
            some = ~(separation(self._shapes, (first, second), ends, turns) >= path[rows, pairs])
        found = np.zeros_like(path)
        found[rows[some], pairs[some]] = path[rows[some], pairs[some]]
        return found

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
        for data, state in ((start, before), (end, after)):
            self._place(data, *state, fixed)
            mujoco.mj_kinematics(model, data)
        moved = np.linalg.norm(end.geom_xpos - start.geom_xpos, axis=1)
        turned = 2.0 * np.arccos(np.clip(np.abs((end.xquat * start.xquat).sum(axis=1)), 0.0, 1.0))
        sweep = moved + turned[model.geom_bodyid] * self._table.radius
        close = []
        for pair in (self._pairs[i] for i in np.flatnonzero(~(paths <= 0))):
            path, thin = float(sweep[pair[0]] + sweep[pair[1]]), float(min(self._half[pair[0]], self._half[pair[1]]))
            if path > thin and self._near(start, pair, path):
                close.append((pair, path, thin))
        if not close:
            return False
        touched = self._touching(start, *before, fixed), self._touching(end, *after, fixed)
        suspects: set[tuple[int, int]] = set()
        finest = 0.0
        for pair, path, thin in close:
            if not any(pair in normals for normals in touched):
                suspects.add(pair)
                finest = max(finest, path / thin)
            elif (
                pair in self._fields
                or self._way(start, pair, touched[0], path) @ self._way(end, pair, touched[1], path) < 0
            ):
                return True
        return bool(suspects) and self._touch_when_finer(suspects, *before, control, fixed, finest)

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
        return {ordered(a, b): frame[:3] * (1 if a < b else -1) for (a, b), frame in pairs}

    def _near(self, data: mujoco.MjData, pair: tuple[int, int], reach: float) -> bool:
        """Whether a pair may be within reach of each other."""
        return pair in self._fields or bool(mujoco.mj_geomDistance(self._model, data, *pair, reach, None) < reach)

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
                if suspects & {ordered(*pair) for pair in data.contact.geom.reshape(-1, 2).tolist()}:
                    return True
        finally:
            self._model.opt.timestep = coarse
        return False
