"""Models whose masses, friction and actuators differ a little from what they were written as."""

import copy
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def loose_bodies(model: Any) -> NDArray[np.bool_]:
    """(nbody,) the bodies of trees that move and that no actuator moves: what a robot handles."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    moment = np.zeros((model.nu, model.nv))
    if model.nu:
        mujoco.mju_sparse2dense(
            moment, data.actuator_moment.reshape(-1), data.moment_rownnz, data.moment_rowadr, data.moment_colind
        )
    driven = model.body_rootid[model.dof_bodyid[np.abs(moment).sum(axis=0) > 0]]
    moving = model.body_rootid[model.dof_bodyid]
    return np.isin(model.body_rootid, np.setdiff1d(moving, driven))


def varied(model: Any, mass: Floats, friction: float, gain: Floats) -> Any:
    """A copy of a model with other masses, sliding friction and servos.

    mass (nbody,): factor of each body's mass and inertia. friction: factor of every geom's sliding friction, so that
    of every contact. gain (number of actuators,): factor of what each actuator does with its control and its state.
    """
    other = copy.copy(model)
    other.body_mass[:] *= mass
    other.body_inertia[:] *= mass[:, None]
    other.geom_friction[:, 0] *= friction
    other.pair_friction[:, :2] *= friction
    other.actuator_gainprm[:, :3] *= gain[:, None]
    other.actuator_biasprm[:, 1:3] *= gain[:, None]
    mujoco.mj_setConst(other, mujoco.MjData(other))
    return other
