"""A compiled model whose sensors show what a spec needs, and its start state."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound, bind
from worldverify.identity import model_digest
from worldverify.kernels.midphase import add_decoys, decoyed_bodies, with_decoys
from worldverify.kernels.mujoco_checks import DEEPEST
from worldverify.kernels.mujoco_cpu import quiet
from worldverify.kernels.mujoco_rest import resting
from worldverify.kernels.sweep import half_extent
from worldverify.nearest import did_you_mean
from worldverify.refusal import Refusal
from worldverify.sensing import SensorRequest
from worldverify.spec import Spec

Floats = NDArray[np.float64]

STATE = mujoco.mjtState.mjSTATE_INTEGRATION

# MuJoCo 4.0.0 computes wrong accelerations with sparse factorisation, so dense is forced there; above this many
# degrees of freedom dense would crawl, and the model is refused instead.
SPARSE_BUG_VERSION = "4.0.0"
MOST_DOFS_DENSE = 300
MOST_DOFS_AUTO_DENSE = 60  # above it, MuJoCo's automatic choice is sparse

_DEEPEST_CONTACT = SensorRequest(
    DEEPEST,
    mujoco.mjtSensor.mjSENS_CONTACT,
    mujoco.mjtObj.mjOBJ_UNKNOWN,
    "",
    intprm=(1 << int(mujoco.mjtConDataField.mjCONDATA_DIST), 1, 1),  # data, reduce="mindist", num
)

MORE_MEMORY = 4  # times the arena

DEEPEST_START = 1e-3  # m of overlap at the start, or this share of the thinner geom's thickness:
DEEPEST_START_SHARE = 0.05

LOST = 0.01  # of a physics step may be lost in rounding the clock


@dataclass(frozen=True, eq=False)
class Scene:
    """One world: compiled, with the spec's sensors in place."""

    model: mujoco.MjModel
    bound: Bound  # how sensor columns become margins
    warnings: tuple[str, ...]  # what a person should know about this model
    keyframe: int  # -1: the model's default pose
    recompile: Callable[[int], mujoco.MjModel]  # the same model with that many bytes of arena memory
    source: mujoco.MjSpec  # what it was compiled from, without the spec's sensors; not to be changed
    decoyed: Callable[[], mujoco.MjModel | None]  # the same with decoys (`kernels.midphase`), if they save anything

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the compiled model."""
        return model_digest(self.model)

    @cached_property
    def roomy(self) -> mujoco.MjModel:
        """The same model with MORE_MEMORY times the arena, for what overflowed."""
        return self.recompile(MORE_MEMORY * int(self.model.narena))

    @cached_property
    def boxed(self) -> mujoco.MjModel:
        """The same model, in which bounding boxes are compared before shapes where that saves time: equal bits."""
        decoyed = self.decoyed()
        made = None if decoyed is None else with_decoys(self.model, decoyed)
        return self.model if made is None else made

    @cached_property
    def resting(self) -> mujoco.MjModel | None:
        """`boxed`, in which what lies still rests; None if nothing in it may."""
        return resting(self.boxed)

    def start(self, change: Callable[[Any, Any], None] | None = None) -> Floats:
        """(nstate,) the start state, after `change(model, data)` has moved what it wants to move."""
        data = self._starting.data
        if self.keyframe >= 0:
            mujoco.mj_resetDataKeyframe(self.model, data, self.keyframe)
        else:
            mujoco.mj_resetData(self.model, data)
        if change is not None:
            change(self.model, data)
        return self.state_of(data)

    def data(self, state: Floats | None = None) -> mujoco.MjData:
        """A fresh MjData at the keyframe, or at a state (nstate,)."""
        data = mujoco.MjData(self.model)
        if self.keyframe >= 0:
            mujoco.mj_resetDataKeyframe(self.model, data, self.keyframe)
        if state is not None:
            mujoco.mj_setState(self.model, data, state, STATE)
        return data

    def state_of(self, data: mujoco.MjData) -> Floats:
        """(nstate,) the integration state of an MjData."""
        state = np.empty(self.nstate)
        mujoco.mj_getState(self.model, data, state, STATE)
        return state

    @property
    def nstate(self) -> int:
        return int(mujoco.mj_stateSize(self.model, STATE))

    def check_start(self, state: Floats) -> None:
        """Refuses a state that is not physical: not finite, or with geoms pushed into each other."""
        if state.shape != (self.nstate,):
            raise Refusal(
                "bad_state",
                f"A state of this scene has {self.nstate} numbers (mjSTATE_INTEGRATION); got shape {state.shape}.",
                cause="model",
            )
        if not np.isfinite(state).all():
            raise Refusal("initial_state", "The start state holds NaN or infinity.", cause="model")
        time, h = float(state[0]), float(self.model.opt.timestep)  # the clock comes first
        if not abs((time + h) - time - h) < LOST * h:
            raise Refusal(
                "initial_state",
                f"The clock of the start state shows {time:g} s, where steps of {h:g} s are lost in rounding: "
                "start at 0 s.",
                cause="model",
            )
        data = self._desk.data
        mujoco.mj_resetData(self.roomy, data)
        mujoco.mj_setState(self.roomy, data, state, STATE)
        if data.qfrc_applied.any() or data.xfrc_applied.any():
            raise Refusal(
                "initial_state",
                "The start state brings forces that nothing in the scene makes: set qfrc_applied and xfrc_applied to "
                "zero.",
                cause="model",
            )
        usual = self.model.eq_active0[self._couplings]
        for i in np.flatnonzero(data.eq_active[self._couplings] != usual):
            raise Refusal(
                "initial_state",
                f"The start state switches {self.model.equality(int(self._couplings[i])).name or 'a coupling'!r} "
                f"{'off' if usual[i] else 'on'}: an equality constraint between joints or tendons is part of the "
                "mechanism; leave its eq_active as the model has it.",
                cause="model",
            )
        try:
            with quiet():
                mujoco.mj_fwdPosition(self.roomy, data)
        except mujoco.FatalError as error:
            reason = " ".join(str(error).split())
            raise Refusal("overflow", f"The start state does not fit the model's memory: {reason}", "model") from None
        geoms, depth = data.contact.geom.reshape(-1, 2), -data.contact.dist
        allowed = np.minimum(
            DEEPEST_START, DEEPEST_START_SHARE * 2 * self._half_extents[geoms].min(axis=1, initial=np.inf)
        )
        for i in np.flatnonzero((depth > allowed) & (geoms >= 0).all(axis=1)):
            a, b = (geom_label(self.model, int(g)) for g in geoms[i])
            raise Refusal(
                "initial_state",
                f"The start state pushes {a} {1e3 * depth[i]:.2f} mm into {b}; at most {1e3 * allowed[i]:.2f} mm is "
                "physical: start from another keyframe or pose, move them apart, or, if they are parts of one thing, "
                "exclude the pair of bodies.",
                cause="model",
            )

    @cached_property
    def _couplings(self) -> NDArray[np.intp]:
        """Equality constraints that belong to a mechanism; a weld may be a grasp, and comes and goes."""
        joint, tendon = mujoco.mjtEq.mjEQ_JOINT, mujoco.mjtEq.mjEQ_TENDON
        return np.flatnonzero((self.model.eq_type == joint) | (self.model.eq_type == tendon))

    @cached_property
    def _half_extents(self) -> Floats:
        """(ngeom,) m."""
        return np.array([half_extent(self.model, geom) for geom in range(self.model.ngeom)])

    @cached_property
    def _starting(self) -> "_Desk":
        return _Desk(self.model)

    @cached_property
    def _desk(self) -> "_Desk":
        return _Desk(self.roomy)  # contacts that do not fit the memory would not be seen


class _Desk(threading.local):
    """Data to look at states with, one for each thread: making them anew takes longer than looking."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.data = mujoco.MjData(model)


def build_scene(source: mujoco.MjSpec, spec: Spec, *, keyframe: str | int | None = None) -> Scene:
    """Compile a model with the sensors that a spec needs. `source` is not changed.

    Raises Refusal: cause model if it does not compile or cannot be judged, cause spec if the spec does not fit it.
    """
    mjspec = source.copy()
    warnings = _prepare(mjspec)
    plain = _compile(mjspec)
    _check_model(plain)
    if mujoco.__version__ == SPARSE_BUG_VERSION and _would_be_sparse(source, plain):
        warnings.append("The dense Jacobian is used: MuJoCo 4.0.0 computes wrong accelerations with the sparse one.")
    frame = _keyframe(plain, keyframe)
    bound, requests, notes = bind(plain, spec)
    for request in requests:
        _add_sensor(mjspec, request)
    if plain.ngeom:
        _add_sensor(mjspec, _DEEPEST_CONTACT)
    model = _compile(mjspec)

    def recompile(memory: int) -> mujoco.MjModel:
        larger = mjspec.copy()
        larger.memory = memory
        return _compile(larger)

    @cache
    def decoyed() -> mujoco.MjModel | None:
        bodies = decoyed_bodies(model)
        if not bodies:
            return None
        other = mjspec.copy()
        other.memory = int(model.narena)
        add_decoys(other, bodies)
        return _compile(other)

    return Scene(model, bound.resolved(model), (*warnings, *notes), frame, recompile, source, decoyed)


def geom_label(model: mujoco.MjModel, geom: int) -> str:
    """How to name a geom to a person: its own name, else that of its body."""
    name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_GEOM, geom)
    body = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, int(model.geom_bodyid[geom]))
    return f"geom {name!r}" if name else f"a geom of body {body!r}" if body else f"geom number {geom}"


def _prepare(mjspec: mujoco.MjSpec) -> list[str]:
    """Switch off what would make a verdict lie, and say so where it changes the user's choice."""
    notes = []
    mjspec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    if mjspec.option.disableflags & int(mujoco.mjtDisableBit.mjDSBL_SENSOR):
        mjspec.option.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_SENSOR)
        notes.append("Sensors are switched on: the spec is judged by them.")
    if mujoco.__version__ == SPARSE_BUG_VERSION:
        mjspec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    if mjspec.option.enableflags & int(mujoco.mjtEnableBit.mjENBL_SLEEP):
        mjspec.option.enableflags &= ~int(mujoco.mjtEnableBit.mjENBL_SLEEP)
        notes.append("Sleeping islands are switched off: they change margins.")
    return notes


def _would_be_sparse(source: mujoco.MjSpec, model: mujoco.MjModel) -> bool:
    asked = mujoco.mjtJacobian(int(source.option.jacobian))
    automatic = asked == mujoco.mjtJacobian.mjJAC_AUTO and model.nv > MOST_DOFS_AUTO_DENSE
    return bool(asked == mujoco.mjtJacobian.mjJAC_SPARSE or automatic)


def _compile(mjspec: mujoco.MjSpec) -> mujoco.MjModel:
    try:
        with quiet():
            return mjspec.compile()
    except (ValueError, mujoco.FatalError) as error:
        text = " ".join(str(error).split())
        raise Refusal("bad_model", f"MuJoCo cannot compile the model: {text}", cause="model") from None


def _check_model(model: mujoco.MjModel) -> None:
    if mujoco.__version__ == SPARSE_BUG_VERSION and model.nv > MOST_DOFS_DENSE:
        raise Refusal(
            "bad_model",
            f"The model has {model.nv} degrees of freedom; with MuJoCo 4.0.0, whose sparse solver is wrong, at most "
            f"{MOST_DOFS_DENSE} are simulated: use another MuJoCo version or fewer free bodies.",
            cause="model",
        )
    if mujoco.mjtIntegrator(model.opt.integrator) == mujoco.mjtIntegrator.mjINT_RK4:
        raise Refusal(
            "bad_model",
            "After an RK4 step MuJoCo's forces and accelerations belong to different stages, so they cannot be checked "
            "against each other: use the integrator implicitfast (integrator='implicitfast').",
            cause="model",
        )
    if not (math.isfinite(model.opt.timestep) and model.opt.timestep > 0):
        raise Refusal("bad_model", f"The timestep must be above zero; got {model.opt.timestep}.", cause="model")


def _keyframe(model: mujoco.MjModel, keyframe: str | int | None) -> int:
    if keyframe is None:
        return -1
    listed = [str(mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_KEY, i) or i) for i in range(model.nkey)]
    index = listed.index(keyframe) if keyframe in listed else keyframe
    if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < model.nkey:
        return index
    hint = did_you_mean(keyframe, listed) if listed else "It has none: leave keyframe out."
    raise Refusal("bad_model", f"No keyframe {keyframe!r} in the model. {hint}", cause="model")


def _add_sensor(mjspec: mujoco.MjSpec, request: SensorRequest) -> None:
    sensor = mjspec.add_sensor(
        name=request.name,
        type=request.type,
        objtype=request.objtype,
        objname=request.objname,
        cutoff=request.cutoff,
    )
    if request.reftype is not None:
        sensor.reftype, sensor.refname = request.reftype, request.refname
    if request.intprm:
        sensor.intprm[: len(request.intprm)] = request.intprm
