"""The step loop around MJX, traced by JAX: put, step, look, check. States stay on the device.

Batched over B lanes, in float32. A lane's state is a row of `mjSTATE_INTEGRATION`, as everywhere.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx

from worldverify.kernels import mjx_step
from worldverify.kernels.engine import Fault
from worldverify.kernels.mjx_model import Prepared
from worldverify.kernels.mjx_room import Room
from worldverify.kernels.mjx_sensors import complete
from worldverify.kernels.mjx_torque import SharedLimits
from worldverify.kernels.mujoco_checks import DEEPEST
from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.kernels.sweep import suspicious, sweep_table
from worldverify.kernels.trust import Limits, constraint_work, force_gap, force_residual, largest
from worldverify.kernels.tunnelling import TunnelCheck

Array = Any

_PART = mujoco.mjtState
# field of mjx.Data -> its part of the state row and its shape, given the model
_STATE_FIELDS: dict[str, tuple[Any, Callable[[mujoco.MjModel], tuple[int, ...]]]] = {
    "time": (_PART.mjSTATE_TIME, lambda m: ()),
    "qpos": (_PART.mjSTATE_QPOS, lambda m: (m.nq,)),
    "qvel": (_PART.mjSTATE_QVEL, lambda m: (m.nv,)),
    "act": (_PART.mjSTATE_ACT, lambda m: (m.na,)),
    "qacc_warmstart": (_PART.mjSTATE_WARMSTART, lambda m: (m.nv,)),
    "ctrl": (_PART.mjSTATE_CTRL, lambda m: (m.nu,)),
    "qfrc_applied": (_PART.mjSTATE_QFRC_APPLIED, lambda m: (m.nv,)),
    "xfrc_applied": (_PART.mjSTATE_XFRC_APPLIED, lambda m: (m.nbody, 6)),
    "eq_active": (_PART.mjSTATE_EQ_ACTIVE, lambda m: (m.neq,)),
    "mocap_pos": (_PART.mjSTATE_MOCAP_POS, lambda m: (m.nmocap, 3)),
    "mocap_quat": (_PART.mjSTATE_MOCAP_QUAT, lambda m: (m.nmocap, 4)),
}

# mujoco_warp's OverflowType: the solver's two limits cost quality, everything else evidence.
_SOLVER_BITS = (1 << 9) | (1 << 10)
_DEADLY = int(Fault.NOT_FINITE | Fault.ABSURD)  # the lane is retired: one that diverges slows down all
# Of a limit where a fault begins: float32 may be on the other side of it than MuJoCo C, which is to look.
_NEAR_DEPTH, _NEAR_ENERGY = 0.9, 0.5
_LATEST = 16.0  # s: beyond it the clock in float32 is off by more than a microsecond a step
_LASTING = _DEADLY | int(Fault.OVERFLOW)  # what a lane does not recover from, though it may look sound again


class Watch(NamedTuple):
    """What the loop remembers of B lanes from one sample to the next."""

    sticky: Array  # (B,) int32  lasting Fault bits of the samples so far
    safe: Array  # (B, nstate)  where a retired lane is parked
    seen: Array  # (B,) bool  whether the fields below are those of the sample before
    qvel: Array  # (B, nv)
    force: Array  # (B, nv)  qfrc_constraint
    centre: Array  # (B, ngeom, 3)  geom_xpos
    angular: Array  # (B, nbody, 3)
    given: Array  # (B,) J that the constraints have given so far
    through: Array  # (B,) J that went through them
    lift: Array  # (B, 2, nv) gravity compensation at the last two samples, the latest first


class Looked(NamedTuple):
    """One sample of B lanes."""

    value: Array  # (B, S)
    fault: Array  # (B,) int32


class StepLoop:
    """Pure functions over state rows; every one of them may be traced."""

    def __init__(
        self, source: mujoco.MjModel, prepared: Prepared, mx: Any, room: Room | None, bucket: int, limits: Limits
    ) -> None:
        """`source` is the model as MuJoCo C runs it, `mx` the prepared one on the device, in `bucket` lanes."""
        model = self.model = prepared.model
        self._prepared, self._mx = prepared, mx
        self.warp = room is not None
        buffers = {} if room is None else {"naconmax": room.contacts * bucket, "njmax": room.rows}
        self._template = mjx.make_data(model, impl="warp" if self.warp else "jax", **buffers)
        self._fields = {name: (state_slice(model, part), shape(model)) for name, (part, shape) in _STATE_FIELDS.items()}
        self.nstate = mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_INTEGRATION))
        self._ctrl = self._fields["ctrl"][0]
        self._complete: Any = jax.vmap(lambda d: complete(prepared, mx, d))

        self._shared = SharedLimits.of(source) if self.warp else None
        self._limits, self._iterations = limits, int(model.opt.iterations)
        self._timestep = float(model.opt.timestep)
        self._rows = np.repeat(np.arange(model.nv), model.M_rownnz)
        self._columns = np.asarray(model.M_colind)
        self._table = sweep_table(source)
        self._crushed = TunnelCheck(source).shallowest
        deepest = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, DEEPEST)
        self._deepest = int(model.sensor_adr[deepest]) if deepest >= 0 else None
        self._clock = bool((source.sensor_type == int(mujoco.mjtSensor.mjSENS_CLOCK)).any())
        self._adhesive = bool((model.actuator_trntype == int(mujoco.mjtTrn.mjTRN_BODY)).any())
        default = mujoco.MjData(source)
        row = np.empty(self.nstate)
        mujoco.mj_getState(source, default, row, int(mujoco.mjtState.mjSTATE_INTEGRATION))
        self.default = row.astype(np.float32)

    # States

    def watch(self, states: Array) -> Watch:
        """What is remembered of lanes that have just been loaded with states (B, nstate)."""
        lanes, model = states.shape[0], self.model
        clean = jnp.all(jnp.isfinite(states), axis=1)
        zeros = jnp.zeros(lanes, jnp.float32)
        return Watch(
            sticky=jnp.where(clean, 0, int(Fault.NOT_FINITE)).astype(jnp.int32),
            safe=jnp.where(clean[:, None], states, self.default),
            seen=jnp.zeros(lanes, bool),
            qvel=jnp.zeros((lanes, model.nv), jnp.float32),
            force=jnp.zeros((lanes, model.nv), jnp.float32),
            centre=jnp.zeros((lanes, model.ngeom, 3), jnp.float32),
            angular=jnp.zeros((lanes, model.nbody, 3), jnp.float32),
            given=zeros,
            through=zeros,
            lift=jnp.zeros((lanes, 2, model.nv), jnp.float32),
        )

    def data(self, states: Array) -> Any:
        """Batched mjx.Data at states (B, nstate), all that is derived from them empty."""
        return jax.vmap(lambda row: self._placed(self._template, row))(states)

    def _placed(self, data: Any, row: Array) -> Any:
        """Data, batched or not, with the state fields of a row (..., nstate)."""
        fields = {}
        for name, (part, shape) in self._fields.items():
            field = row[..., part].reshape(*row.shape[:-1], *shape)
            fields[name] = field > 0.5 if name == "eq_active" else field
        return data.replace(**fields)

    def rows(self, data: Any) -> Array:
        """(B, nstate) the states of batched data."""
        parts = []
        for name in self._fields:
            field = getattr(data, name)
            parts.append(field.reshape(field.shape[0], -1).astype(jnp.float32))
        return jnp.concatenate(parts, axis=1)

    # The loop

    def run(
        self,
        states: Array,
        watch: Watch,
        controls: Callable[[Array], Array],
        steps: int,
        keep: Callable[[Looked], Any],
        upto: Array | None = None,
    ) -> tuple[Array, Watch, Any]:
        """`steps` substeps under controls(j) (B, nu); (states, watch, keep(sample) of every sample, stacked).

        From substep `upto` on nothing changes any more: calls of different lengths share one program.
        """

        def body(carry: tuple[Any, Array, Watch], j: Array) -> tuple[tuple[Any, Array, Watch], Any]:
            data, rows, watch = carry
            now = _parked(rows.at[:, self._ctrl].set(controls(j)), watch)
            data = self._stepped(self._placed(data, now), watch)
            looked, seen = self._looked(data, now, watch)
            after = self.rows(data), seen
            if upto is not None:
                after = jax.tree.map(lambda new, old: jnp.where(j < upto, new, old), after, (rows, watch))
            return (data, *after), keep(looked)

        carry = self.data(states), states, watch
        (_, states, watch), kept = jax.lax.scan(body, carry, jnp.arange(steps))
        return states, watch, kept

    def observe(self, states: Array, watch: Watch) -> Looked:
        """The sample of states as they are, with the control in them.

        A whole substep is made, and what it leads to thrown away: Warp tells of overflow at the end of a step only.
        """
        now = _parked(states, watch)
        return self._looked(self._stepped(self.data(now), watch), now, watch)[0]

    def fields(self, states: Array, names: tuple[str, ...]) -> list[Array]:
        """Fields of batched mjx.Data after one forward evaluation of states (B, nstate); "sensordata" is complete."""
        data = self._evaluated(self.data(states))
        return [
            self._complete(data) if name == "sensordata" else functools.reduce(getattr, name.split("."), data)
            for name in names
        ]

    def _stepped(self, data: Any, watch: Watch) -> Any:
        """Batched data after a substep; what is derived belongs to the state before it."""
        if not self.warp:
            alone: Any = jax.vmap(lambda d: mjx_step.stepped(self._mx, d))
            return alone(data)
        # Overflow bits are those of one substep.
        data = data.tree_replace({"_impl.overflow": jnp.zeros_like(data._impl.overflow)})
        if self._shared is None:
            return jax.vmap(lambda d: mjx.step(self._mx, d))(data)
        ranges = self._shared.ranges(watch.lift, watch.seen)
        return jax.vmap(lambda d, r: mjx.step(self._mx.replace(actuator_forcerange=r), d))(data, ranges)

    def _evaluated(self, data: Any) -> Any:
        """Batched data after a forward evaluation."""
        if not self.warp:
            alone: Any = jax.vmap(lambda d: mjx_step.evaluated(self._mx, d))
            return alone(data)
        return jax.vmap(lambda d: mjx.forward(self._mx, d))(data)

    def _looked(self, data: Any, rows: Array, watch: Watch) -> tuple[Looked, Watch]:
        """The sample that data shows, taken at states (B, nstate) before a substep, and what to remember of it."""
        value = self._complete(data)
        qpos, qvel = (rows[:, self._fields[name][0]] for name in ("qpos", "qvel"))
        force, centre, angular = data.qfrc_constraint, data.geom_xpos, data.cvel[..., :3]
        # A control that is no number would be clamped to one.
        fault = (
            self._absurd(qpos, qvel, data.qacc, value, rows[:, self._ctrl], rows[:, self._fields["time"][0]])
            | self._unbalanced(data)
            | self._engine_bits(data)
        )
        work = constraint_work(
            jnp.stack([watch.qvel, qvel], axis=1), jnp.stack([watch.force, force], axis=1), self._timestep
        )[:, 0]
        work = jnp.where(watch.seen, work, 0.0)
        given, through = watch.given + work, watch.through + jnp.abs(work)
        if not self._adhesive:
            allowed = self._limits.energy + self._limits.energy_share * through
            fault = fault | jnp.where(given > allowed, int(Fault.ENERGISED), 0)
            fault = fault | jnp.where(given > _NEAR_ENERGY * allowed, int(Fault.SUSPECT), 0)
        missed = suspicious(self._table, self._timestep, watch.centre, centre, watch.angular, angular) & watch.seen
        if self._deepest is not None and math.isfinite(self._crushed):
            missed = missed | (-value[:, self._deepest] > _NEAR_DEPTH * self._crushed)
        fault = (fault | jnp.where(missed, int(Fault.SUSPECT), 0)).astype(jnp.int32)
        fault = fault | watch.sticky
        lift = jnp.stack([data.qfrc_gravcomp, watch.lift[:, 0]], axis=1)
        seen = jnp.ones_like(watch.seen)
        after = Watch(fault & _LASTING, watch.safe, seen, qvel, force, centre, angular, given, through, lift)
        return Looked(value, fault), after

    def _absurd(self, qpos: Array, qvel: Array, qacc: Array, value: Array, ctrl: Array, time: Array) -> Array:
        fault = jnp.zeros(qpos.shape[0], jnp.int32)
        limits = self._limits
        for field, limit in (
            (qpos, limits.position),
            (qvel, limits.velocity),
            (qacc, limits.acceleration),
            (value, math.inf),
            (ctrl, math.inf),
            (time, _LATEST if self._clock else math.inf),
        ):
            most = largest(field)
            wrong = jnp.where(jnp.isfinite(most), jnp.where(most <= limit, 0, int(Fault.ABSURD)), int(Fault.NOT_FINITE))
            fault = fault | wrong
        return fault

    def _unbalanced(self, data: Any) -> Array:
        lanes = data.qacc.shape[0]
        if not len(self._rows):
            return jnp.zeros(lanes, jnp.int32)
        residual = self.residual(data)
        return jnp.where(residual <= self._limits.residual, 0, int(Fault.UNBALANCED))

    def residual(self, data: Any) -> Array:
        """(B,) the relative force imbalance of every lane."""
        inertia = data._impl.M
        if inertia.ndim == 3:  # dense: its lower triangle, entry by entry, as MuJoCo C keeps it
            inertia = inertia[:, self._rows, self._columns]
        entries = self._rows.tolist(), self._columns.tolist()
        gap = force_gap(inertia, *entries, data.qacc, data.qfrc_smooth, data.qfrc_constraint)
        return force_residual(gap, data.qfrc_constraint)

    def _engine_bits(self, data: Any) -> Array:
        """What the engine itself reports of its buffers and its solver."""
        capped = int(Fault.UNCONVERGED)
        if not self.warp:
            return jnp.where(data._impl.solver_niter >= self._iterations, capped, 0)
        bits = data._impl.overflow
        full = jnp.where((bits & ~_SOLVER_BITS) != 0, int(Fault.OVERFLOW), 0)
        return full | jnp.where((bits & _SOLVER_BITS) != 0, capped, 0)


def _parked(rows: Array, watch: Watch) -> Array:
    """(B, nstate) states, those of retired lanes replaced."""
    return jnp.where(((watch.sticky & _DEADLY) != 0)[:, None], watch.safe, rows)
