"""A compiled scene as a mirror shows it: y becomes -y, for the same joint angles and the same controls.

With M = diag(1, -1, 1), every frame R becomes M R M. A position or force v becomes M v; an axis of rotation, angular
velocity or torque w becomes -M w; a quaternion (w, x, y, z) becomes (w, -x, y, -z). Shapes that are symmetric in their
own y (all primitives) stay as they are; the vertices of meshes are mirrored.
"""

import copy
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.scene import Scene

Floats = NDArray[np.float64]

POLAR = np.array([1.0, -1.0, 1.0])  # what mirroring does to positions, velocities and forces
AXIAL = -POLAR  # to angular velocities and torques
QUAT = np.array([1.0, -1.0, 1.0, -1.0])
WRENCH = np.concatenate([POLAR, AXIAL])  # force, then torque; or linear, then angular velocity
BOX = np.array([1.0, -1.0, 1.0, 1.0, 1.0, 1.0])  # centre, then half size

_POINTS = [
    "body_pos", "body_ipos", "geom_pos", "site_pos", "jnt_pos", "cam_pos", "cam_pos0", "cam_poscom0", "light_pos",
    "light_pos0", "light_poscom0", "light_dir", "light_dir0", "mesh_vert", "mesh_normal", "mesh_polynormal", "mesh_pos",
]  # fmt: skip
_TURNS = ["body_quat", "body_iquat", "geom_quat", "site_quat", "cam_quat", "mesh_quat"]
_BOXES = ["geom_aabb", "bvh_aabb"]

_JOINT, _TRN, _EQ, _SENSOR = mujoco.mjtJoint, mujoco.mjtTrn, mujoco.mjtEq, mujoco.mjtSensor
_POSE = np.concatenate([POLAR, QUAT])
_QPOS = {_JOINT.mjJNT_FREE: _POSE, _JOINT.mjJNT_BALL: QUAT}
_QVEL = {_JOINT.mjJNT_FREE: WRENCH, _JOINT.mjJNT_BALL: AXIAL}

_SCALARS = (
    "TOUCH RANGEFINDER JOINTPOS JOINTVEL TENDONPOS TENDONVEL ACTUATORPOS ACTUATORVEL ACTUATORFRC JOINTACTFRC "
    "TENDONACTFRC JOINTLIMITPOS JOINTLIMITVEL JOINTLIMITFRC TENDONLIMITPOS TENDONLIMITVEL TENDONLIMITFRC INSIDESITE "
    "GEOMDIST E_POTENTIAL E_KINETIC CLOCK"
)
_KINDS = {
    _SCALARS: np.ones(1),
    "ACCELEROMETER VELOCIMETER FORCE MAGNETOMETER FRAMEPOS FRAMEXAXIS FRAMEZAXIS FRAMELINVEL FRAMELINACC SUBTREECOM "
    "SUBTREELINVEL GEOMNORMAL": POLAR,
    "GYRO TORQUE FRAMEYAXIS FRAMEANGVEL FRAMEANGACC BALLANGVEL SUBTREEANGMOM": AXIAL,  # M R M turns y the other way
    "FRAMEQUAT BALLQUAT": QUAT,
    "GEOMFROMTO": np.concatenate([POLAR, POLAR]),
}
_SIGNS = {
    int(getattr(_SENSOR, f"mjSENS_{name}")): signs
    for names, signs in _KINDS.items()
    for name in names.split()
    if hasattr(_SENSOR, f"mjSENS_{name}")  # not every version of MuJoCo has all
}
_NONE = (
    ("nflex", "flexes"),
    ("nhfield", "height fields, whose cells are all cut along the same diagonal"),
    ("noct", "signed distance fields"),
    ("nplugin", "plugins"),
)
_CONTACT_DATA = ("FOUND", "FORCE", "TORQUE", "DIST", "POS", "NORMAL", "TANGENT")
_NET = 3  # reduce="netforce": one contact, in the world's frame


def why_not(model: Any) -> str | None:
    """What of a model has no mirror image here, or None."""
    for count, what in _NONE:
        if getattr(model, count, 0):
            return f"the scene has {what}"
    so3 = getattr(mujoco.mjtGain, "mjGAIN_SO3", None)
    if so3 is not None and (model.actuator_gaintype == int(so3)).any():
        return "an actuator takes orientations for controls"
    return None


def mirrored(model: Any) -> Any:
    """The mirror image of a compiled model for which `why_not` has nothing to say."""
    other = copy.copy(model)
    for name in _POINTS:
        getattr(other, name)[:] *= POLAR
    for name in _TURNS:
        getattr(other, name)[:] *= QUAT
    for name in _BOXES:
        getattr(other, name)[:] *= BOX
    if hasattr(other, "geom_surfacevel"):
        other.geom_surfacevel[:] *= WRENCH
    for vector in (other.opt.gravity, other.opt.wind, other.opt.magnetic):
        vector[:] *= POLAR
    _mirror_joints(other)
    _mirror_gears(other)
    _mirror_equalities(other)
    _mirror_meshes(other)
    mujoco.mj_setConst(other, mujoco.MjData(other))
    return other


def mirrored_state(scene: Scene, state: Floats) -> Floats:
    """(nstate,) a state of a scene as its mirror image has it."""
    data, model = scene.data(state), scene.model
    for start, signs in _per_joint(model, model.jnt_qposadr, _QPOS):
        data.qpos[start : start + len(signs)] *= signs
    for field in (data.qvel, data.qacc_warmstart, data.qfrc_applied):
        for start, signs in _per_joint(model, model.jnt_dofadr, _QVEL):
            field[start : start + len(signs)] *= signs
    data.xfrc_applied[:] *= WRENCH
    data.mocap_pos[:] *= POLAR
    data.mocap_quat[:] *= QUAT
    return scene.state_of(data)


def column_signs(model: Any) -> Floats:
    """(nsensordata,) what each sensor column times it is in the mirror; NaN where it is not that simple."""
    signs = np.full(model.nsensordata, np.nan)
    for i in range(model.nsensor):
        start, dim = int(model.sensor_adr[i]), int(model.sensor_dim[i])
        kind = int(model.sensor_type[i])
        one = _contact_signs(model.sensor_intprm[i]) if kind == int(_SENSOR.mjSENS_CONTACT) else _SIGNS.get(kind)
        if one is not None and dim % len(one) == 0:
            signs[start : start + dim] = np.tile(one, dim // len(one))
    return signs


def _per_joint(model: Any, address: Any, signs: dict[Any, Floats]) -> list[tuple[int, Floats]]:
    """(address, signs) of each joint that has a sense of its own: of hinges and slides the axis is mirrored instead."""
    kinds = [_JOINT(int(kind)) for kind in model.jnt_type]
    return [(int(start), signs[kind]) for kind, start in zip(kinds, address, strict=True) if kind in signs]


def _mirror_joints(model: Any) -> None:
    slides = (model.jnt_type == int(_JOINT.mjJNT_SLIDE))[:, None]
    model.jnt_axis[:] *= np.where(slides, POLAR, AXIAL)
    for start, signs in _per_joint(model, model.jnt_qposadr, _QPOS):
        for field in (model.qpos0, model.qpos_spring):
            field[start : start + len(signs)] *= signs
        model.key_qpos[:, start : start + len(signs)] *= signs
    for start, signs in _per_joint(model, model.jnt_dofadr, _QVEL):
        model.key_qvel[:, start : start + len(signs)] *= signs
    model.key_mpos[:] *= np.tile(POLAR, model.nmocap)
    model.key_mquat[:] *= np.tile(QUAT, model.nmocap)


def _mirror_gears(model: Any) -> None:
    """The directions along which actuators push what is not a hinge or a slide."""
    joints = (int(_TRN.mjTRN_JOINT), int(_TRN.mjTRN_JOINTINPARENT))
    for i, kind in enumerate(model.actuator_trntype):
        if int(kind) == int(_TRN.mjTRN_SITE):
            model.actuator_gear[i] *= WRENCH
        elif int(kind) in joints:
            joint = _JOINT(int(model.jnt_type[model.actuator_trnid[i, 0]]))
            signs = _QVEL.get(joint, np.ones(0))
            model.actuator_gear[i, : len(signs)] *= signs


def _mirror_equalities(model: Any) -> None:
    for i, kind in enumerate(model.eq_type):
        if int(kind) == int(_EQ.mjEQ_CONNECT):
            model.eq_data[i, :6] *= np.concatenate([POLAR, POLAR])
        elif int(kind) == int(_EQ.mjEQ_WELD):
            model.eq_data[i, :10] *= np.concatenate([POLAR, POLAR, QUAT])


def _mirror_meshes(model: Any) -> None:
    """Faces are turned over, so that their outside stays outside."""
    for name in ("mesh_face", "mesh_facenormal", "mesh_facetexcoord"):
        faces = getattr(model, name)
        faces[:, 1:] = faces[:, :0:-1].copy()
    for start, count in zip(model.mesh_polyvertadr, model.mesh_polyvertnum, strict=True):
        corners = model.mesh_polyvert[start : start + count]
        corners[:] = corners[::-1].copy()
    for start in model.mesh_graphadr:
        if start >= 0:
            vertices, faces = (int(n) for n in model.mesh_graph[start : start + 2])
            hull = start + 2 + 3 * vertices + 3 * faces  # past the edges; the faces come last
            corners = model.mesh_graph[hull : hull + 3 * faces].reshape(-1, 3)
            corners[:, 1:] = corners[:, :0:-1].copy()
    if hasattr(model, "mesh_extrema"):
        along = model.mesh_extrema.reshape(-1, 3, 3, 3)  # the farthest vertex along each (x, y, z) of -1, 0, 1
        along[:] = along[:, :, ::-1].copy()


def _contact_signs(prm: Any) -> Floats | None:
    """Signs of a contact sensor's numbers; forces in a contact's own frame have no fixed sense."""
    net = int(prm[1]) == _NET
    turns: dict[str, Callable[[], Floats]] = {
        "FOUND": lambda: np.ones(1),
        "FORCE": lambda: POLAR if net else np.full(3, np.nan),
        "TORQUE": lambda: AXIAL if net else np.full(3, np.nan),
        "DIST": lambda: np.ones(1),
        "POS": lambda: POLAR,
        "NORMAL": lambda: np.full(3, np.nan) if net else POLAR,
        "TANGENT": lambda: np.full(3, np.nan),
    }
    known, parts = 0, []
    for name in _CONTACT_DATA:
        bit = 1 << int(getattr(mujoco.mjtConDataField, f"mjCONDATA_{name}"))
        known |= bit
        if int(prm[0]) & bit:
            parts.append(turns[name]())
    return np.concatenate(parts) if parts and not int(prm[0]) & ~known else None
