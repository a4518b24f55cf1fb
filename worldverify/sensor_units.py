"""The unit and range of MuJoCo's own sensors, by type."""

import math
from typing import Any

import mujoco

from worldverify.units import NO_DIMS, WORDS, Dims

_SENSOR = mujoco.mjtSensor
_JOINT = mujoco.mjtJoint

_M, _RAD, _S, _N, _NM = (WORDS[w].dims for w in ("m", "rad", "s", "N", "Nm"))
_M_S: Dims = (1, 0, -1, 0)
_RAD_S: Dims = (0, 1, -1, 0)
_SENSOR_DIMS: dict[Any, Dims] = {
    _SENSOR.mjSENS_TOUCH: _N,
    _SENSOR.mjSENS_ACCELEROMETER: (1, 0, -2, 0),
    _SENSOR.mjSENS_VELOCIMETER: _M_S,
    _SENSOR.mjSENS_GYRO: _RAD_S,
    _SENSOR.mjSENS_FORCE: _N,
    _SENSOR.mjSENS_TORQUE: _NM,
    _SENSOR.mjSENS_RANGEFINDER: _M,
    _SENSOR.mjSENS_BALLANGVEL: _RAD_S,
    _SENSOR.mjSENS_FRAMEPOS: _M,
    _SENSOR.mjSENS_FRAMELINVEL: _M_S,
    _SENSOR.mjSENS_FRAMEANGVEL: _RAD_S,
    _SENSOR.mjSENS_FRAMELINACC: (1, 0, -2, 0),
    _SENSOR.mjSENS_FRAMEANGACC: (0, 1, -2, 0),
    _SENSOR.mjSENS_SUBTREECOM: _M,
    _SENSOR.mjSENS_SUBTREELINVEL: _M_S,
    _SENSOR.mjSENS_GEOMDIST: _M,
    _SENSOR.mjSENS_TENDONPOS: _M,
    _SENSOR.mjSENS_TENDONVEL: _M_S,
    _SENSOR.mjSENS_TENDONACTFRC: _N,
    _SENSOR.mjSENS_CLOCK: _S,
}
# type -> unit at a hinge, unit at a slide
_JOINT_SENSORS = {
    _SENSOR.mjSENS_JOINTPOS: (_RAD, _M),
    _SENSOR.mjSENS_JOINTVEL: (_RAD_S, _M_S),
    _SENSOR.mjSENS_JOINTACTFRC: (_NM, _N),
    _SENSOR.mjSENS_JOINTLIMITPOS: (_RAD, _M),
    _SENSOR.mjSENS_JOINTLIMITVEL: (_RAD_S, _M_S),
    _SENSOR.mjSENS_JOINTLIMITFRC: (_NM, _N),
}
_ACTUATOR_SENSORS = {
    _SENSOR.mjSENS_ACTUATORPOS: (_RAD, _M),
    _SENSOR.mjSENS_ACTUATORVEL: (_RAD_S, _M_S),
    _SENSOR.mjSENS_ACTUATORFRC: (_NM, _N),
}


def sensor_dims(model: mujoco.MjModel, index: int) -> Dims:
    """The unit of a sensor's values; none for types that measure no quantity, and for actuators of no joint."""
    kind, target = _SENSOR(int(model.sensor_type[index])), int(model.sensor_objid[index])
    if kind in _JOINT_SENSORS:
        return _at_joint(model, target, _JOINT_SENSORS[kind])
    if kind in _ACTUATOR_SENSORS:
        if mujoco.mjtTrn(int(model.actuator_trntype[target])) != mujoco.mjtTrn.mjTRN_JOINT:
            return NO_DIMS
        return _at_joint(model, int(model.actuator_trnid[target, 0]), _ACTUATOR_SENSORS[kind])
    return _SENSOR_DIMS.get(kind, NO_DIMS)


def sensor_range(kind: Any, cutoff: float) -> tuple[float, float]:
    """The least and greatest value that a sensor of this type and cutoff can read, SI."""
    bound = cutoff if cutoff > 0 else math.inf
    if kind == _SENSOR.mjSENS_TOUCH:
        return 0.0, bound
    if kind == _SENSOR.mjSENS_INSIDESITE:
        return 0.0, 1.0
    if kind == _SENSOR.mjSENS_RANGEFINDER:
        return -1.0, bound
    if kind == _SENSOR.mjSENS_CONTACT:
        return -math.inf, math.inf
    return -bound, bound


def _at_joint(model: mujoco.MjModel, joint: int, dims: tuple[Dims, Dims]) -> Dims:
    return dims[0] if _JOINT(int(model.jnt_type[joint])) == _JOINT.mjJNT_HINGE else dims[1]
