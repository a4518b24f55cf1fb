"""Joint torque limits on MJX-Warp, as MuJoCo 4 has them.

An actuator at its own limit does not damp its joint implicitly, and since MuJoCo 4.0 neither does one whose joint is
at the limit for all that drives it (release notes, 4.0.0). The Warp kernels of mujoco-mjx 3.17 know the first rule
only. Where one actuator and gravity compensation share a joint, the second rule is the first one with the limit that
compensation leaves to the actuator.
"""

from typing import Any, NamedTuple, Self

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = Any
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_INSIDE = 1e-4  # of a limit: how far before the joint's limit the actuator's lies, so that it is the one that binds


class SharedLimits(NamedTuple):
    """The actuators of a model that share a limited joint with gravity compensation alone: n of them."""

    actuator: Ints  # (n,)
    dof: Ints  # (n,)
    gear: Floats  # (n,)
    compensated: Floats  # (n,) 1 where gravity compensation counts as actuation, else 0
    joint_range: Floats  # (n, 2) N, Nm: of the sum
    own_range: Floats  # (nu, 2) of every actuator of the model, at itself

    @classmethod
    def of(cls, model: mujoco.MjModel) -> Self | None:
        """Those of a model, or None if it has none. Nothing is damped implicitly but by implicitfast."""
        if int(model.opt.integrator) != int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST):
            return None
        damping = damps(model)
        joint_of = [int(model.actuator_trnid[a, 0]) if _on_joint(model, a) else -1 for a in range(model.nu)]
        chosen = [
            a
            for a, joint in enumerate(joint_of)
            if joint >= 0
            and damping[a]
            and joint_of.count(joint) == 1
            and model.jnt_actfrclimited[joint]
            and model.actuator_forcelimited[a]
            and model.actuator_gear[a, 0] > 0
        ]
        if not chosen:
            return None
        joints = [joint_of[a] for a in chosen]
        return cls(
            actuator=np.array(chosen),
            dof=model.jnt_dofadr[joints].astype(np.int64),
            gear=model.actuator_gear[chosen, 0].astype(np.float32),
            compensated=model.jnt_actgravcomp[joints].astype(np.float32),
            joint_range=model.jnt_actfrcrange[joints].astype(np.float32),
            own_range=model.actuator_forcerange.astype(np.float32),
        )

    def ranges(self, lift: Array, seen: Array) -> Array:
        """(B, nu, 2) force ranges of the actuators of B lanes at the next substep.

        lift (B, 2, nv): gravity compensation at the last two samples, the latest first, which is carried on in a
        straight line; seen (B,): whether there were any.
        """
        xp = lift.__array_namespace__()
        last, before = lift[:, 0, self.dof], lift[:, 1, self.dof]
        known = seen[:, None] & xp.any(before != 0, axis=1)[:, None]
        compensation = xp.where(known, 2.0 * last - before, last) * self.compensated
        left = self.joint_range * (1.0 - _INSIDE) - compensation[:, :, None]
        left = left / self.gear[:, None]
        own = self.own_range[self.actuator]
        bounded = xp.stack([xp.maximum(left[..., 0], own[:, 0]), xp.minimum(left[..., 1], own[:, 1])], axis=-1)
        everywhere = xp.broadcast_to(xp.asarray(self.own_range), (lift.shape[0], *self.own_range.shape))
        return everywhere.at[:, self.actuator].set(bounded)


def left_out(model: mujoco.MjModel) -> list[int]:
    """The actuators (ids) that damp a joint with a torque limit, which `SharedLimits` cannot stand in for."""
    if int(model.opt.integrator) != int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST):
        return []
    shared = SharedLimits.of(model)
    covered = [] if shared is None else shared.actuator.tolist()
    return [
        a
        for a in np.flatnonzero(damps(model)).tolist()
        if a not in covered and _on_joint(model, a) and model.jnt_actfrclimited[model.actuator_trnid[a, 0]]
    ]


def damps(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """(nu,) whether the force of an actuator may depend on its velocity."""
    plain = (int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtBias.mjBIAS_AFFINE))
    fixed = (int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtGain.mjGAIN_AFFINE))
    bias, gain = np.asarray(model.actuator_biastype), np.asarray(model.actuator_gaintype)
    special = ~np.isin(bias, plain) | ~np.isin(gain, fixed)
    by_bias = (bias == plain[1]) & (model.actuator_biasprm[:, 2] != 0)
    by_gain = (gain == fixed[1]) & (model.actuator_gainprm[:, 2] != 0)
    return np.asarray(special | by_bias | by_gain)


def _on_joint(model: mujoco.MjModel, actuator: int) -> bool:
    kinds = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)
    single = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
    if mujoco.mjtTrn(int(model.actuator_trntype[actuator])) not in kinds:
        return False
    return mujoco.mjtJoint(int(model.jnt_type[model.actuator_trnid[actuator, 0]])) in single
