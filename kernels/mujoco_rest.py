"""What may rest in a scene: free things that lie still and that nothing touches are left out of the solver."""

import copy

import mujoco

from worldverify.kernels.mujoco_checks import DEEPEST

SLOWEST = 1e-4  # m/s: what moves less for ten substeps, and touches nothing that moves more, rests

_OBJ, _SENSOR, _POLICY = mujoco.mjtObj, mujoco.mjtSensor, mujoco.mjtSleepPolicy

# What these show follows from poses, which stay, and velocities, which are zero. MuJoCo goes on showing the last
# force or acceleration of a thing that rests, and leaves out contacts between such things.
_STILL = {
    *(_SENSOR.mjSENS_FRAMEPOS, _SENSOR.mjSENS_FRAMEQUAT, _SENSOR.mjSENS_FRAMELINVEL, _SENSOR.mjSENS_FRAMEANGVEL),
    *(_SENSOR.mjSENS_FRAMEXAXIS, _SENSOR.mjSENS_FRAMEYAXIS, _SENSOR.mjSENS_FRAMEZAXIS),
    *(_SENSOR.mjSENS_GEOMDIST, _SENSOR.mjSENS_GEOMNORMAL, _SENSOR.mjSENS_GEOMFROMTO),
    *(_SENSOR.mjSENS_JOINTPOS, _SENSOR.mjSENS_JOINTVEL, _SENSOR.mjSENS_BALLQUAT, _SENSOR.mjSENS_BALLANGVEL),
    *(_SENSOR.mjSENS_VELOCIMETER, _SENSOR.mjSENS_GYRO, _SENSOR.mjSENS_MAGNETOMETER, _SENSOR.mjSENS_CAMPROJECTION),
    *(_SENSOR.mjSENS_RANGEFINDER, _SENSOR.mjSENS_CLOCK),
}


def resting(model: mujoco.MjModel) -> mujoco.MjModel | None:
    """The model with sleeping islands for what may rest in it; None if nothing may.

    Awake at all times: what has an actuator, what its author wanted awake or asleep from the start, and what a sensor
    watches whose value would be out of date.
    """
    if _reaches_far(model):
        return None
    awake = {tree for tree in range(model.ntree) if model.tree_sleep_policy[tree] != _POLICY.mjSLEEP_AUTO_ALLOWED}
    awake |= _watched(model, frozenset(awake))
    if len(awake) == model.ntree:
        return None
    asleep = copy.deepcopy(model)
    asleep.tree_sleep_policy[sorted(awake)] = _POLICY.mjSLEEP_NEVER
    asleep.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
    asleep.opt.sleep_tolerance = SLOWEST
    return asleep


def _reaches_far(model: mujoco.MjModel) -> bool:
    """Whether things may push each other without touching, or are not solved apart from each other."""
    together = bool(model.opt.disableflags & int(mujoco.mjtDisableBit.mjDSBL_ISLAND))
    springs = bool(model.tendon_stiffness.any() or model.tendon_damping.any())
    return together or springs or model.nflex > 0 or model.nplugin > 0


def _watched(model: mujoco.MjModel, awake: frozenset[int]) -> set[int]:
    """Trees that some sensor would not show as they are while they rest; `awake` never rest."""
    found: set[int] = set()
    for sensor in range(model.nsensor):
        kind = _SENSOR(int(model.sensor_type[sensor]))
        if mujoco.mj_id2name(model, _OBJ.mjOBJ_SENSOR, sensor) == DEEPEST or kind in _STILL:
            continue  # the deepest contact of two things that rest is as deep as it was when they came to rest
        ends = [
            (_OBJ(int(kinds[sensor])), int(index[sensor]))
            for kinds, index in ((model.sensor_objtype, model.sensor_objid), (model.sensor_reftype, model.sensor_refid))
        ]
        contact = kind == _SENSOR.mjSENS_CONTACT
        sides = [_trees(model, *end, contact=contact) for end in ends if end[0] != _OBJ.mjOBJ_UNKNOWN]
        if contact and len(sides) == 2 and any(side and side <= awake for side in sides):
            continue  # what touches a thing that is awake is awake
        # One static thing, or none, stands for whatever touches it.
        found |= set().union(*sides) if any(sides) or len(sides) == 2 else set(range(model.ntree))
    return found


def _trees(model: mujoco.MjModel, kind: mujoco.mjtObj, index: int, *, contact: bool) -> set[int]:
    """The trees of an object and, unless it is one body or geom in contact, of what hangs on it.

    All of them for what reaches farther.
    """
    bodies = {
        _OBJ.mjOBJ_BODY: lambda: index,
        _OBJ.mjOBJ_XBODY: lambda: index,
        _OBJ.mjOBJ_GEOM: lambda: int(model.geom_bodyid[index]),
        _OBJ.mjOBJ_JOINT: lambda: int(model.jnt_bodyid[index]),
    }
    if kind not in bodies:
        return set(range(model.ntree))
    below = {bodies[kind]()}
    if not contact or kind == _OBJ.mjOBJ_XBODY:
        for child in range(1, model.nbody):  # parents come before their children
            if int(model.body_parentid[child]) in below:
                below.add(child)
    return {int(model.body_treeid[body]) for body in below} - {-1}
