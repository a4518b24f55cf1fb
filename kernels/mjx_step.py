"""One substep of MJX's JAX implementation, evaluated and integrated as MuJoCo C does it.

MJX's own `forward` repeats contact points to fill its slots, which makes a touching corner as stiff as a face, and
ends before the last sensors if there are no constraints. Its `step` lets an actuator at its force limit damp the joint
all the same, which an arm that saturates feels at once, and leaves out the gyroscopic derivatives of free bodies
(MuJoCo's documentation, "Computation": Numerical integration).
"""

from typing import Any

import mujoco
import numpy as np
from mujoco import mjx
from numpy.typing import NDArray

Array = Any

_MOST_POINTS = 8  # that MJX gives a pair of geoms
_SAME_POINT = 1e-6  # m


def evaluated(mx: Any, data: Any) -> Any:
    """One lane after a forward evaluation: the stages of `mjx.forward`, with every contact point once."""
    for stage in (mjx.kinematics, mjx.com_pos, mjx.camlight, mjx.tendon, mjx.crb, mjx.tendon_armature, mjx.factor_m):
        data = stage(mx, data)
    data = each_point_once(mjx.collision(mx, data))
    data = mjx.transmission(mx, mjx.make_constraint(mx, data))
    data = mjx.sensor_pos(mx, data)
    data = mjx.sensor_vel(mx, mjx.fwd_velocity(mx, data))
    data = mjx.fwd_acceleration(mx, mjx.fwd_actuation(mx, data))
    data = mjx.solve(mx, data) if data._impl.efc_J.size else data.replace(qacc=data.qacc_smooth)
    return mjx.sensor_acc(mx, data)


def each_point_once(data: Any) -> Any:
    """Contact slots that repeat a point of their pair, which follow it closely, moved out of reach."""
    contact = data._impl.contact
    slots = contact.dist.shape[0]
    if not slots:
        return data
    xp = contact.dist.__array_namespace__()
    repeats = xp.zeros(slots, dtype=bool)
    for back in range(1, min(_MOST_POINTS, slots)):
        apart = xp.max(xp.abs(contact.pos[back:] - contact.pos[:-back]), axis=1)
        pair = xp.all(contact.geom[back:] == contact.geom[:-back], axis=1)
        repeats = repeats | xp.concat([xp.zeros(back, dtype=bool), pair & (apart < _SAME_POINT)])
    return data.tree_replace({"_impl.contact.dist": xp.where(repeats, contact.includemargin + 1.0, contact.dist)})


def stepped(mx: Any, data: Any) -> Any:
    """One lane after a substep; all that is derived belongs to the state before it."""
    data = evaluated(mx, data)
    if int(mx.opt.integrator) == int(mujoco.mjtIntegrator.mjINT_EULER):
        return mjx.euler(mx, data)
    free = data.qfrc_smooth.__array_namespace__().where(saturated(mx, data), 0.0, 1.0)[:, None]
    mx = mx.replace(actuator_gainprm=mx.actuator_gainprm * free, actuator_biasprm=mx.actuator_biasprm * free)
    after = mjx.implicit(mx, data.replace(qfrc_smooth=_gyroscopic(mx, data)))
    return after.replace(qfrc_smooth=data.qfrc_smooth)


def saturated(mx: Any, data: Any) -> Array:
    """(nu,) whether an actuator is at its own force limit, or the joint that it drives at its limit for all of them."""
    low, high = mx.actuator_forcerange[:, 0], mx.actuator_forcerange[:, 1]
    by_itself = mx.actuator_forcelimited & ((data.actuator_force <= low) | (data.actuator_force >= high))
    on_joint = np.isin(mx.actuator_trntype, (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT))
    joint = np.where(on_joint, np.asarray(mx.actuator_trnid)[:, 0], 0)
    if not on_joint.any():
        return by_itself
    force = data.qfrc_actuator[np.asarray(mx.jnt_dofadr)[joint]]
    low, high = mx.jnt_actfrcrange[joint, 0], mx.jnt_actfrcrange[joint, 1]
    return by_itself | (on_joint & np.asarray(mx.jnt_actfrclimited)[joint] & ((force <= low) | (force >= high)))


def standalone_free_bodies(model: Any) -> NDArray[np.int64]:
    """(n, 6) degrees of freedom of the bodies with a free joint and no joint below them."""
    chosen = []
    for joint in np.flatnonzero(np.asarray(model.jnt_type) == int(mujoco.mjtJoint.mjJNT_FREE)):
        root = model.body_rootid[model.jnt_bodyid[joint]]
        if (np.asarray(model.body_rootid)[np.asarray(model.jnt_bodyid)] == root).sum() == 1:
            chosen.append(np.arange(6) + model.jnt_dofadr[joint])
    return np.array(chosen, dtype=np.int64).reshape(-1, 6)


def _gyroscopic(mx: Any, data: Any) -> Array:
    """(nv,) N, Nm: smooth forces under which a step without the bias derivatives of free bodies is one with them.

    Of a free body with mass m, centre of mass r and inertia J about its frame, in that frame, the bias force is
    m R (w x (w x r)), w x (J w), with v in the world and w in the body. All three stand in its block of M.
    """
    xp = data.qfrc_smooth.__array_namespace__()
    dofs = standalone_free_bodies(mx)
    if not len(dofs):
        return data.qfrc_smooth
    h = mx.opt.timestep
    block = mjx.full_m(mx, data)[dofs[:, :, None], dofs[:, None, :]]
    explicit = block + h * mx.dof_damping[dofs][:, :, None] * np.eye(6, dtype=np.float32)
    turn = data.xmat[np.asarray(mx.dof_bodyid)[dofs[:, 0]]]
    spin = data.qvel[dofs[:, 3:]]
    # m [r]x = R' M_vw, up to its sign; products of 3 x 3 matrices summed by hand keep float32 on accelerators
    lever = -_times(xp.swapaxes(turn, 1, 2), block[:, :3, 3:])
    inertia = block[:, 3:, 3:]
    over = _skew(spin)
    bent = _skew(xp.sum(lever * -spin[:, None, :], axis=2))
    top = -_times(turn, bent + _times(over, lever))
    bottom = _times(over, inertia) - _skew(xp.sum(inertia * spin[:, None, :], axis=2))
    slope = xp.concat([xp.zeros_like(block[:, :, :3]), xp.concat([top, bottom], axis=1)], axis=2)
    force = (data.qfrc_smooth + data.qfrc_constraint)[dofs]
    acceleration = xp.linalg.solve(explicit + h * slope, force[:, :, None])[:, :, 0]
    wanted = xp.sum(explicit * acceleration[:, None, :], axis=2)
    return data.qfrc_smooth.at[dofs].add(wanted - force)


def _times(a: Array, b: Array) -> Array:
    """(n, 3, 3) products."""
    xp = a.__array_namespace__()
    return xp.sum(a[:, :, :, None] * b[:, None, :, :], axis=2)


def _skew(v: Array) -> Array:
    """(n, 3, 3) matrices that multiply as the cross product with v (n, 3) does."""
    xp = v.__array_namespace__()
    x, y, z = v[:, 0], v[:, 1], v[:, 2]
    zero = xp.zeros_like(x)
    rows = [xp.stack(row, axis=1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return xp.stack(rows, axis=1)
