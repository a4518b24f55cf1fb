"""What float32 may lose in one evaluation, from the sizes of the terms that are added up.

The bounds follow the parity guide that ships with MuJoCo (doc/skills/parity): where large terms cancel, the error is
that of the terms and not that of their sum.
"""

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION

ISOLATED = 0.05  # share of the states that may differ: a contact may begin one physics step sooner or later
ROUNDED = 10.0  # times what rounding alone does to MuJoCo C is no disagreement
ROUNDINGS = 8  # ways to round a state that are tried

ROUNDING = 32.0 * float(np.finfo(np.float32).eps)  # dozens of operations along a chain of bodies, half a digit each


def rounding_bounds(model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, Floats]:
    """Field -> absolute error that is no disagreement, of the shape of the field; data after mj_forward.

    M comes as its nM lower-triangle entries.
    """
    bounds = {}
    if model.nu:
        force = _actuator_terms(model, data)
        bounds["actuator_force"] = ROUNDING * force
        bounds["qfrc_actuator"] = ROUNDING * np.abs(_moment(model, data)).T @ force
    if model.nv:
        inertia = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, inertia)
        inverse, terms = np.abs(np.linalg.inv(inertia)), _inertia_terms(model, data)
        rows = np.repeat(np.arange(model.nv), model.M_rownnz)
        bounds["M"] = ROUNDING * terms[rows, model.M_colind]
        smooth, constraint = np.abs(data.qfrc_smooth), np.abs(data.qfrc_constraint)
        bounds["qacc_smooth"] = ROUNDING * inverse @ (terms @ np.abs(data.qacc_smooth) + smooth)
        bounds["qacc"] = ROUNDING * inverse @ (terms @ np.abs(data.qacc) + smooth + constraint)
    return bounds


def more_than_isolated(above: int, states: int) -> bool:
    """Whether so many of the states differ that it is no matter of chance; one of several always may."""
    return above > max(ISOLATED * states, min(1, states - 1))


def shaken(
    model: mujoco.MjModel, state: Floats, names: Sequence[str], generator: np.random.Generator
) -> dict[str, Floats]:
    """Field -> ROUNDED times the most that it changes when the state (nstate,) is rounded to float32, up or down.

    It is not always little: a can on a table touches it in points that the collider chooses, and the last digit of its
    pose decides which.
    """
    data = mujoco.MjData(model)

    def shown(at: Floats) -> dict[str, Floats]:
        mujoco.mj_setState(model, data, at, _STATE)
        mujoco.mj_forward(model, data)
        return {name: np.array(getattr(data, name)) for name in names}

    true, most = shown(state), {name: np.zeros(model.nv) for name in names}
    digit = np.spacing(np.abs(state).astype(np.float32)).astype(np.float64)
    for _ in range(ROUNDINGS):
        near = shown(state + digit * generator.uniform(-0.5, 0.5, len(state)))
        most = {name: np.maximum(most[name], np.abs(near[name] - true[name])) for name in names}
    return {name: ROUNDED * change for name, change in most.items()}


def _actuator_terms(model: mujoco.MjModel, data: mujoco.MjData) -> Floats:
    """(nu,) the sum of the sizes of what makes up the force of an affine actuator; 0 for other kinds."""
    gain, bias = np.abs(model.actuator_gainprm), np.abs(model.actuator_biasprm)
    length, speed = np.abs(data.actuator_length), np.abs(data.actuator_velocity)
    slopes = model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_AFFINE)
    fixed = model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_FIXED)
    sloped = model.actuator_biastype == int(mujoco.mjtBias.mjBIAS_AFFINE)
    plain = model.actuator_biastype == int(mujoco.mjtBias.mjBIAS_NONE)
    factor = gain[:, 0] + np.where(slopes, gain[:, 1] * length + gain[:, 2] * speed, 0.0)
    offset = np.where(sloped, bias[:, 0] + bias[:, 1] * length + bias[:, 2] * speed, 0.0)
    known = (slopes | fixed) & (sloped | plain)
    terms: Floats = np.where(known, factor * _drive(model, data) + offset, 0.0)
    return terms


def _drive(model: mujoco.MjModel, data: mujoco.MjData) -> Floats:
    """(nu,) the size of what an actuator's gain is multiplied with: its control, or its last activation."""
    low, high = np.where(model.actuator_ctrllimited[:, None] != 0, model.actuator_ctrlrange, (-np.inf, np.inf)).T
    drive: Floats = np.abs(np.clip(data.ctrl, low, high))
    for i in np.flatnonzero(model.actuator_actnum > 0):
        drive[i] = abs(data.act[model.actuator_actadr[i] + model.actuator_actnum[i] - 1])
    return drive


def _moment(model: mujoco.MjModel, data: mujoco.MjData) -> Floats:
    """(nu, nv) how the actuators pull at the degrees of freedom."""
    moment = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind)
    return moment


def _inertia_terms(model: mujoco.MjModel, data: mujoco.MjData) -> Floats:
    """(nv, nv) the sizes of the terms that cancel in each entry of M.

    M[i, j] = cdof_i' crb cdof_j, with inertias about the centre of mass of the whole tree: of a light body far from
    it, most of the inertia cancels.
    """
    composite = _spatial(np.abs(data.cinert))
    for body in range(model.nbody - 1, 0, -1):
        composite[model.body_parentid[body]] += composite[body]
    motion = np.abs(data.cdof)
    carried = np.einsum("iab,ib->ia", composite[model.dof_bodyid], motion)
    terms = np.diag(np.asarray(model.dof_armature, dtype=np.float64))
    for i in range(model.nv):
        j = i
        while j >= 0:
            terms[i, j] += carried[i] @ motion[j]
            terms[j, i] = terms[i, j]
            j = int(model.dof_parentid[j])
    return terms


def _spatial(inertia: Floats) -> Floats:
    """(n, 6, 6) spatial inertias, all entries positive, of the sizes of (n, 10): xx yy zz xy xz yz, 3 m r, m."""
    matrix = np.zeros((len(inertia), 6, 6))
    for entry, (row, column) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
        matrix[:, row, column] = matrix[:, column, row] = inertia[:, entry]
    x, y, z = inertia[:, 6], inertia[:, 7], inertia[:, 8]
    for (row, column), size in (((0, 4), z), ((0, 5), y), ((1, 3), z), ((1, 5), x), ((2, 3), y), ((2, 4), x)):
        matrix[:, row, column] = matrix[:, column, row] = size
    matrix[:, range(3, 6), range(3, 6)] = inertia[:, 9:]
    return matrix
