"""What MuJoCo C recorded at every substep, turned into fault bits."""

import sys
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.engine import Fault
from worldverify.kernels.mujoco_scan import CRUSHED, SUSPECT, compiled
from worldverify.kernels.trust import Limits, constraint_work, force_gap, force_residual, largest
from worldverify.kernels.tunnelling import FIXED, TunnelCheck

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Faults = NDArray[np.int32]
Record = dict[str, NDArray[Any]]  # field -> (n, K, ...)
Memory = tuple[NDArray[Any], ...]  # (n, ...) each

# The sensor that shows the deepest contact, m, negative; a model without it is not watched for crushing.
DEEPEST = "wv/deepest"

# What a record must hold. The states are those before the substeps, as the derived fields are.
STATE_FIELDS = ("qpos", "qvel")
DERIVED_FIELDS = (
    "sensordata",
    "qacc",
    "M",
    "qfrc_smooth",
    "qfrc_constraint",
    "solver_niter",
    "geom_xpos",
    "xquat",
    "cvel",
)
# In the order in which `mujoco_scan.scan` takes them.
_SCANNED = (
    *("qpos", "qvel", "qacc", "sensordata", "M", "qfrc_smooth", "qfrc_constraint", "solver_niter"),
    *("geom_xpos", "cvel"),
)
_TRANSITION = ("qpos", "qvel", "geom_xpos", "xquat", "cvel", "qfrc_constraint")

# Fewer lanes are checked with NumPy: it takes half a second to load what was compiled.
FEWEST_COMPILED = 8

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_OVERFLOWS = [int(w) for w in (mujoco.mjtWarning.mjWARN_CONTACTFULL, mujoco.mjtWarning.mjWARN_CNSTRFULL)]


class Checks:
    """The trust checks of L lanes of one model; remembers each lane's last sample, to check what follows it."""

    def __init__(self, model: mujoco.MjModel, nlane: int, limits: Limits) -> None:
        self._scan = compiled() if nlane >= FEWEST_COMPILED else None
        self._iterations, self._residual = int(model.opt.iterations), limits.residual
        self._limits_of = {
            "qpos": limits.position,
            "qvel": limits.velocity,
            "qacc": limits.acceleration,
            "sensordata": sys.float_info.max,
        }
        self._entries = np.repeat(np.arange(model.nv), model.M_rownnz), model.M_colind.astype(np.int64)  # rows, columns
        self._tunnel = TunnelCheck(model)
        sensor = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, DEEPEST)
        self._deepest = int(model.sensor_adr[sensor]) if sensor >= 0 else None
        self._fixed = np.zeros((nlane, mujoco.mj_stateSize(model, int(FIXED))))
        nv, centres, spins = (model.nv,), (model.ngeom, 3), (model.nbody, 6)
        shapes = {"qpos": (model.nq,), "qvel": nv, "geom_xpos": centres, "cvel": spins, "qfrc_constraint": nv}
        shapes["xquat"] = (model.nbody, 4)
        self._last = {name: np.zeros((nlane, *shape)) for name, shape in shapes.items()}
        self._seen = np.zeros(nlane, dtype=bool)
        self._energy, self._energy_share = limits.energy, limits.energy_share
        self._timestep = float(model.opt.timestep)
        self._given, self._through = np.zeros(nlane), np.zeros(nlane)  # J, by and through the constraints so far
        # Adhesion pulls through contacts: there a constraint may give energy.
        self._adhesive = bool((model.actuator_trntype == int(mujoco.mjtTrn.mjTRN_BODY)).any())
        self._memory = (self._fixed, *self._last.values(), self._seen, self._given, self._through)

    def load(self, model: mujoco.MjModel, lanes: Ints, state: Floats) -> None:
        """What comes next in these lanes follows from these states (n, nstate), not from what they showed."""
        for lane, row in zip(lanes, state, strict=True):
            mujoco.mj_extractState(model, row, int(_STATE), self._fixed[lane], int(FIXED))
        self._seen[lanes] = False
        self._given[lanes], self._through[lanes] = 0.0, 0.0

    def save(self, lanes: Ints) -> Memory:
        """What the checks of these lanes remember."""
        return tuple(field[lanes] for field in self._memory)

    def restore(self, lanes: Ints, memory: Memory) -> None:
        """What comes next in these lanes follows what those that were saved had shown."""
        for field, rows in zip(self._memory, memory, strict=True):
            field[lanes] = rows

    def faults(self, lanes: Ints, record: Record, control: Floats, *, remember: bool) -> Faults:
        """(n, K) fault bits of recorded samples; control (n, K, nu) is what drove the transition into each."""
        look = self._computed if self._scan is None else self._scanned
        fault, crushed, suspects = look(lanes, record, remember=remember)
        fault |= self._tunnelled(lanes, record, control, crushed, suspects)
        if remember:
            for name in _TRANSITION:
                self._last[name][lanes] = record[name][:, -1]
            self._seen[lanes] = True
        return fault

    def _computed(self, lanes: Ints, record: Record, *, remember: bool) -> tuple[Faults, Ints, Ints]:
        """Fault bits (n, K) that need no closer look, and the samples, (M, 2) rows and k, at which something may be
        crushed, or may have passed through something."""
        fault = np.zeros(record["qpos"].shape[:2], dtype=np.int32)
        with np.errstate(invalid="ignore", over="ignore"):
            for name, limit in self._limits_of.items():
                # One look at all samples first; each by itself only if something is wrong.
                if record[name].size and not _most(record[name]) <= limit:
                    most = largest(record[name])
                    fault |= np.where(np.isfinite(most), np.where(most <= limit, 0, Fault.ABSURD), Fault.NOT_FINITE)
            if len(self._entries[0]):
                pull, (rows, columns) = record["qfrc_constraint"], self._entries
                accelerations, smooth = record["qacc"], record["qfrc_smooth"]
                gap = force_gap(record["M"], rows.tolist(), columns.tolist(), accelerations, smooth, pull)
                if not _most(gap) <= self._residual:
                    residual = force_residual(gap, pull)
                    fault |= np.where((residual <= self._residual) | (fault != 0), 0, Fault.UNBALANCED)
        if np.max(record["solver_niter"], initial=0) >= self._iterations:
            fault |= np.where(largest(record["solver_niter"]) >= self._iterations, Fault.UNCONVERGED, 0)
        fault |= self._energised(lanes, record, remember)
        crushed = np.empty((0, 2), dtype=np.int64)
        if self._deepest is not None:
            crushed = np.argwhere(-record["sensordata"][:, :, self._deepest] > self._tunnel.shallowest)
        return fault, crushed, self._suspects(lanes, record)

    def _scanned(self, lanes: Ints, record: Record, *, remember: bool) -> tuple[Faults, Ints, Ints]:
        """The same from machine code."""
        assert self._scan is not None
        shape = record["qpos"].shape[:2]
        fault, look = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int8)
        given, through = np.zeros(len(lanes)), np.zeros(len(lanes))
        self._scan(
            np.asarray(lanes, dtype=np.int64),
            *(np.ascontiguousarray(record[name]) for name in _SCANNED),
            *(self._last[name] for name in ("qvel", "qfrc_constraint", "geom_xpos", "cvel")),
            *(self._seen, self._given, self._through),
            *self._entries,
            np.array([self._limits_of[name] for name in ("qpos", "qvel", "qacc", "sensordata")]),
            *self._tunnel.sweeps,
            self._timestep,
            *(self._iterations, self._residual, self._energy, self._energy_share),
            -1 if self._deepest is None else self._deepest,
            self._tunnel.shallowest,
            self._adhesive,
            *(fault, look, given, through),
        )
        if remember:
            self._given[lanes], self._through[lanes] = given, through
        return fault, np.argwhere(look & CRUSHED), np.argwhere(look & SUSPECT)

    def _energised(self, lanes: Ints, record: Record, remember: bool) -> Faults:
        """(n, K): ENERGISED where the constraints have given more than they took, beyond what finite steps explain."""
        if self._adhesive:
            return np.zeros(record["qpos"].shape[:2], dtype=np.int32)
        with np.errstate(invalid="ignore", over="ignore"):
            qvel, force = (
                np.concatenate([self._last[name][lanes][:, None], record[name]], axis=1)
                for name in ("qvel", "qfrc_constraint")
            )
            work = constraint_work(qvel, force, self._timestep)
            work[~self._seen[lanes], 0] = 0.0
            # Summed on from what there was, so that the bits do not depend on how the substeps are cut into calls.
            work = np.concatenate([self._given[lanes, None], work], axis=1)
            given = np.cumsum(work, axis=1)[:, 1:]
            work[:, 0] = self._through[lanes]
            through = np.cumsum(np.abs(work), axis=1)[:, 1:]
            if remember:
                self._given[lanes], self._through[lanes] = given[:, -1], through[:, -1]
            too_much = given > self._energy + self._energy_share * through
        return np.where(too_much, int(Fault.ENERGISED), 0).astype(np.int32)

    def _suspects(self, lanes: Ints, record: Record) -> Ints:
        with np.errstate(invalid="ignore", over="ignore"):
            last, last_cvel = self._last["geom_xpos"][lanes][:, None], self._last["cvel"][lanes][:, None]
            centre = record["geom_xpos"]
            steps = centre[:, :1] - last, centre[:, 1:] - centre[:, :-1]
            moved = np.concatenate([_squared(step) for step in steps], axis=1)
            spin = np.concatenate([_squared(last_cvel[..., :3]), _squared(record["cvel"][..., :3])], axis=1)
            found = self._tunnel.suspects(moved, np.maximum(spin[:, :-1], spin[:, 1:]))
        return np.asarray(found[(found[:, 1] > 0) | self._seen[lanes[found[:, 0]]]])

    def _tunnelled(self, lanes: Ints, record: Record, control: Floats, crushed: Ints, suspects: Ints) -> Faults:
        """(n, K): TUNNELLED where a pair is pushed into each other up to its middle, and at a sample before which a
        thin geom has passed through another."""
        fault = np.zeros(record["qpos"].shape[:2], dtype=np.int32)
        for row, k in crushed:
            state = record["qpos"][row, k], record["qvel"][row, k]
            fault[row, k] = _verdict_of(self._tunnel.crushed, state, self._fixed[lanes[row]])
        if not self._tunnel.pairs or not len(suspects):
            return fault
        rows, ks = suspects.T
        with np.errstate(invalid="ignore", over="ignore"):
            start, quat, turn = (
                np.where((ks == 0)[:, None, None], self._last[name][lanes[rows]], record[name][rows, ks - 1])
                for name in ("geom_xpos", "xquat", "cvel")
            )
            centre, angular = record["geom_xpos"][rows, ks], record["cvel"][rows, ks, :, :3]
            spin = np.maximum(_squared(turn[..., :3]), _squared(angular))
            paths = self._tunnel.near(start, quat, centre, _squared(centre - start), spin, angular)
        for i in np.flatnonzero((~(paths <= 0)).any(axis=1)):
            row, k, lane = rows[i], ks[i], lanes[rows[i]]
            if fault[row, k]:
                continue
            before = [self._last[name][lane] if k == 0 else record[name][row, k - 1] for name in STATE_FIELDS]
            after = [record[name][row, k] for name in STATE_FIELDS]
            states = (before[0], before[1]), (after[0], after[1])
            fault[row, k] = _verdict_of(self._tunnel.passed, *states, control[row, k], self._fixed[lane], paths[i])
        return fault


def _verdict_of(look: Callable[..., bool], *at: Any) -> int:
    """Fault bits of a close look at one lane. One that does not fit the memory costs that lane's trust, no other's."""
    try:
        return int(Fault.TUNNELLED) if look(*at) else 0
    except mujoco.FatalError:
        return int(Fault.RAISED)


def _most(field: NDArray[Any]) -> float:
    """The largest |number| of a whole field, NaN if one is."""
    return float(max(np.max(field), -np.min(field)))


def _squared(vectors: Floats) -> Floats:
    """(...,) squared lengths of vectors (..., 3)."""
    return np.asarray(np.einsum("...i,...i->...", vectors, vectors))


def warned(fault: Faults, time: Floats, before: Ints, after: Ints) -> None:
    """Mark what MuJoCo's warning counters (n, mjNWARNING) say of one call, given the recorded time (n, K).

    A lane whose counters rise stops at that substep and repeats its last record, which is no evidence; a lane that
    had warned before is none at all.
    """
    risen = after > before
    for row in np.flatnonzero(risen.any(axis=1)):
        moved = np.diff(time[row]) > 0
        last = len(moved) if moved.all() else int(np.argmin(moved))
        fault[row, last:] |= int(Fault.OVERFLOW if risen[row, _OVERFLOWS].any() else Fault.WARNED)
    fault[(before > 0).any(axis=1)] |= int(Fault.WARNED)
