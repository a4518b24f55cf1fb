"""Which models an implementation of MJX simulates as MuJoCo does, made ready for it.

MJX refuses much of what it lacks, but not all: some options, and all that is younger than its code, it reads past. What
would be left out without a word is refused here, by name.
"""

import copy
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from worldverify.kernels.mjx_sensors import Missing, geom_label, misread_sensors, missing_sensors
from worldverify.kernels.mjx_sensors import Unsupported as Unsupported
from worldverify.kernels.mjx_torque import SharedLimits, damps, left_out
from worldverify.kernels.sweep import collidable_pairs

# float32 cannot do better: a tighter solver only runs to its iteration limit.
LEAST_TOLERANCE = 1e-6

# mujoco_warp has no dense Jacobian above this many degrees of freedom.
MOST_DOFS_DENSE_WARP = 60

_DISABLE, _ENABLE, _NUMERIC = mujoco.mjtDisableBit, mujoco.mjtEnableBit, mujoco.mjtObj.mjOBJ_NUMERIC

# Which geom types MJX-JAX collides (its documentation, "Feature Parity"); a box is a mesh to it.
_ROUND = ("sphere", "capsule", "ellipsoid", "cylinder")
_COLLIDES = {
    frozenset(pair)
    for kind, others in {
        "plane": ("sphere", "capsule", "box", "ellipsoid", "cylinder", "mesh"),
        "hfield": ("sphere", "capsule", "box", "mesh"),
        "sphere": (*_ROUND, "box", "mesh"),
        "capsule": ("capsule", "box", "ellipsoid", "cylinder", "mesh"),
        "ellipsoid": ("ellipsoid", "cylinder"),
        "cylinder": ("cylinder",),
        "box": ("box", "mesh"),
        "mesh": ("mesh",),
    }.items()
    for pair in ((kind, other) for other in others)
}
# Of these it knows the distance while they are apart, so that a contact margin means something.
_WITH_MARGIN = {"plane", "sphere", "capsule"}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model as one implementation of MJX can take it."""

    model: mujoco.MjModel  # for mjx.put_model and mjx.make_data, not for MuJoCo C: sensor types may be placeholders
    impl: str  # "jax", "warp"
    missing: Missing  # sensors that `mjx_sensors.complete` computes

    @property
    def computed(self) -> tuple[int, ...]:
        """Sensors (ids) that the implementation leaves alone."""
        return self.missing.sensors


def prepared(model: mujoco.MjModel, impl: str) -> Prepared:
    """A copy of the model for MJX `impl` "jax" or "warp". Unsupported, a ValueError, says what it cannot simulate."""
    for reason in (*_lacking(model), *(_lacking_jax(model) if impl == "jax" else _lacking_warp(model))):
        raise Unsupported(f"mjx-{impl} cannot simulate this model: {reason}")
    missing = missing_sensors(model) if impl == "jax" else misread_sensors(model)
    ready = copy.copy(model)
    # Resetting, energies, the comparison with inverse dynamics and a faster broad phase change no trajectory here.
    ready.opt.disableflags &= ~int(_DISABLE.mjDSBL_AUTORESET | _DISABLE.mjDSBL_MIDPHASE)
    ready.opt.enableflags &= ~int(_ENABLE.mjENBL_ENERGY | _ENABLE.mjENBL_FWDINV)
    ready.tree_sleep_policy[:] = int(mujoco.mjtSleepPolicy.mjSLEEP_AUTO)
    # MJX takes its options from here, past Warp's own clamp.
    ready.opt.tolerance = max(model.opt.tolerance, LEAST_TOLERANCE)
    if impl == "warp":
        # Boxes against boxes with eight points, as MuJoCo C has them; through its general collider Warp finds four.
        ready.opt.disableflags |= int(_DISABLE.mjDSBL_NATIVECCD)
    if impl == "warp" and model.nv > MOST_DOFS_DENSE_WARP:
        ready.opt.jacobian = int(mujoco.mjtJacobian.mjJAC_SPARSE)
    if impl == "jax":
        # Any type that MJX knows, at a stage that it never computes.
        placeholders = list(missing.sensors)
        ready.sensor_type[placeholders] = int(mujoco.mjtSensor.mjSENS_CLOCK)
        ready.sensor_objtype[placeholders] = int(mujoco.mjtObj.mjOBJ_UNKNOWN)
        ready.sensor_reftype[placeholders] = int(mujoco.mjtObj.mjOBJ_UNKNOWN)
        ready.sensor_needstage[placeholders] = int(mujoco.mjtStage.mjSTAGE_NONE)
    return Prepared(ready, impl, missing)


def put(prepared: Prepared, device: Any) -> Any:
    """The model on a JAX device, as mjx.Model. Unsupported where MJX itself refuses it."""
    from mujoco import mjx

    try:
        mx = mjx.put_model(prepared.model, device=device, impl=prepared.impl)
    except (NotImplementedError, ValueError) as error:
        text = " ".join(str(error).split()).rstrip(".")
        raise Unsupported(
            f"mjx-{prepared.impl} cannot simulate this model, MJX says: {text}. Use the engine mujoco."
        ) from None
    if prepared.impl == "warp":
        # Its prints serialise the device; the bits that say the same are read.
        mx = mx.tree_replace({"opt._impl.warn_overflow": 0})
    return mx


def versions(impl: str) -> str:
    """What simulates: MJX, JAX and, for Warp, Warp itself, with their versions."""
    packages = ("mujoco-mjx", "jax", *(("warp-lang",) if impl == "warp" else ()))
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def _lacking(model: mujoco.MjModel) -> Iterator[str]:
    """Reasons why neither implementation simulates the model as MuJoCo C does."""
    opt = model.opt
    integrator = mujoco.mjtIntegrator(int(opt.integrator)).name.removeprefix("mjINT_").lower()
    if integrator == "rk4":
        yield "after an rk4 step forces and states belong to different stages; use the integrator implicitfast."
    if integrator not in ("euler", "implicitfast"):
        yield f"its integrator {integrator} is not there; use implicitfast or Euler, or the engine mujoco."
    if int(opt.solver) == int(mujoco.mjtSolver.mjSOL_PGS):
        yield "its solver PGS is not there; use Newton or CG, or the engine mujoco."
    if opt.noslip_iterations > 0:
        yield "the noslip solver is not there; set noslip_iterations to 0, or use the engine mujoco."
    for flag in ("OVERRIDE", "SLEEP", "DIAGEXACT", "IPC", "SPECULATIVE"):
        if int(opt.enableflags) & int(getattr(_ENABLE, f"mjENBL_{flag}")):
            yield f"its flag {flag.lower()} would be lost; switch it off, or use the engine mujoco."
    if model.nplugin:
        yield "it has plugins, which only MuJoCo C runs; use the engine mujoco."
    if model.nflex:
        yield "it has flexes (soft bodies), which are not compared with MuJoCo C; use the engine mujoco."
    if getattr(model, "nhistory", 0):
        yield "delayed actuators or sensors would forget their past; leave the delays out, or use the engine mujoco."
    group = np.asarray(model.actuator_group)
    if (((group >= 0) & (group <= 30)) & (int(opt.disableactuator) >> np.clip(group, 0, 30) & 1 == 1)).any():
        yield "it would drive the actuators that are switched off; remove them, or use the engine mujoco."
    if integrator == "implicitfast" and np.any(model.tendon_actfrclimited) and damps(model).any():
        yield (
            "where a tendon limits the force of its actuators (actuatorfrcrange), their damping is integrated "
            "otherwise; limit the actuators (forcerange), or use the engine mujoco."
        )


def _lacking_jax(model: mujoco.MjModel) -> Iterator[str]:
    """Reasons why MJX-JAX does not simulate the model as MuJoCo C does."""
    other = "use the engine mujoco or mjx-warp"
    for name in ("max_contact_points", "max_geom_pairs"):
        if mujoco.mj_name2id(model, _NUMERIC, name) >= 0:
            yield f"with the custom numeric {name!r} it drops contacts without a word; remove it, or {other}."
    yield from _pairs(model, other)
    opt = model.opt
    passive = [bool(int(opt.disableflags) & int(flag)) for flag in (_DISABLE.mjDSBL_SPRING, _DISABLE.mjDSBL_DAMPER)]
    if any(passive) and not all(passive):
        yield f"it loses springs, dampers and gravity compensation together; disable none or both, or {other}."
    if (opt.density > 0 or opt.viscosity > 0) and (model.geom_fluid[:, 0] > 0).any():
        yield f"ellipsoid fluid forces are not there; use the inertia-based model, or {other}."
    for label, fields in {
        "springs or dampers that are not linear": (
            *("jnt_stiffnesspoly", "dof_dampingpoly", "tendon_stiffnesspoly", "tendon_dampingpoly"),
            "actuator_dampingpoly",
        ),
        "actuators with damping or armature of their own": ("actuator_damping", "actuator_armature"),
    }.items():
        if any(np.any(getattr(model, field, 0)) for field in fields):
            yield f"{label} are not there; leave them out, or {other}."
    if getattr(model, "flg_surfacevel", False):
        yield f"surfaces with a velocity of their own are not there; leave surfacevel out, or {other}."
    if getattr(model, "nactuator", model.nu) != model.nu:
        yield f"actuators of several controls are not there; use one each, or {other}."
    if np.any(getattr(model, "actuator_actearly", False)):
        yield f"actuators that act on their next activation (actearly) are not there; switch it off, or {other}."


def _lacking_warp(model: mujoco.MjModel) -> Iterator[str]:
    """Reasons why MJX-Warp does not simulate the model as MuJoCo C does."""
    other = "use the engine mujoco or mjx-jax"
    for a in left_out(model):
        yield (
            f"at the torque limit of its joint (actuatorfrcrange), {_actuator_label(model, a)} would go on damping it; "
            f"give it a forcerange, and let it drive the joint alone with a gear above 0, or {other}."
        )
    shared = SharedLimits.of(model)
    limited = [] if shared is None else shared.actuator.tolist()
    for i in np.flatnonzero(model.sensor_type == int(mujoco.mjtSensor.mjSENS_ACTUATORFRC)):
        if int(model.sensor_objid[i]) in limited:
            yield (
                f"of {_actuator_label(model, int(model.sensor_objid[i]))} it shows only the force that the joint limit "
                f"leaves; show jointactuatorfrc instead of actuatorfrc, or {other}."
            )


def _actuator_label(model: mujoco.MjModel, actuator: int) -> str:
    name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_ACTUATOR, actuator)
    return f"actuator {name!r}" if name else f"actuator {actuator}"


def _pairs(model: mujoco.MjModel, other: str) -> Iterator[str]:
    """Reasons in pairs of geoms that may collide."""
    elliptic = int(model.opt.cone) == int(mujoco.mjtCone.mjCONE_ELLIPTIC)
    special = {
        frozenset(map(int, pair)): i for i, pair in enumerate(zip(model.pair_geom1, model.pair_geom2, strict=True))
    }
    unknown = []
    for pair in collidable_pairs(model):
        kinds = frozenset(_kind(model, geom) for geom in pair)
        if kinds <= {"plane", "hfield"}:
            continue  # MuJoCo has no collision of these either
        label = f"{geom_label(model, pair[0])} against {geom_label(model, pair[1])}"
        i = special.get(frozenset(pair))
        margin, gap = (
            float(model.geom_margin[list(pair)].sum() if i is None else model.pair_margin[i]),
            float(model.geom_gap[list(pair)].sum() if i is None else model.pair_gap[i]),
        )
        if kinds not in _COLLIDES:
            unknown.append(label)
        elif gap > 0 or (margin > 0 and not kinds <= _WITH_MARGIN):
            yield f"a contact margin or gap is not seen for {label}; set it to 0, or {other}."
        elif elliptic and _condim(model, pair, i) == 1:
            yield f"with elliptic cones every contact has friction, but condim is 1 for {label}; use 3, or {other}."
    if unknown:
        more = f", and {len(unknown) - 3} pairs more" if len(unknown) > 3 else ""
        yield f"it has no collision of {'; '.join(unknown[:3])}{more}. Use other shapes, or {other}."


def _condim(model: mujoco.MjModel, pair: tuple[int, int], special: int | None) -> int:
    if special is not None:
        return int(model.pair_dim[special])
    first, second = pair
    if model.geom_priority[first] == model.geom_priority[second]:
        return int(max(model.geom_condim[first], model.geom_condim[second]))
    return int(model.geom_condim[max(pair, key=lambda geom: model.geom_priority[geom])])


def _kind(model: mujoco.MjModel, geom: int) -> str:
    return str(mujoco.mjtGeom(int(model.geom_type[geom])).name.removeprefix("mjGEOM_").lower())
