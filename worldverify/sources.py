"""Scenes from files: MJCF or URDF, with the meshes and textures that they name, and errors that help."""

import copy
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from worldverify.kernels.mujoco_cpu import quiet
from worldverify.nearest import did_you_mean
from worldverify.scene_limits import check_files, check_numbers, refused
from worldverify.scene_text import check_text, read_text, tags
from worldverify.urdf import check_urdf

INTEGRATORS = {
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
    "implicit": mujoco.mjtIntegrator.mjINT_IMPLICIT,
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
}
POSE = "pose"  # the keyframe that holds a given pose

SERVO_ERROR = 0.05  # rad or m of the joint's own position error at which a servo gives all the effort of the joint

_SINGLE = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
_ROOTS = ("mujoco", "robot")
_SUFFIXES = (".xml", ".urdf")
_MESHES = (".obj", ".stl", ".msh")
_KNOWN = (*_SUFFIXES, *_MESHES, ".png", ".ktx", ".skn")
_PACKAGE, _FILE = "package://", "file://"
_OTHERS = {
    ".xacro": "expand it first: xacro robot.urdf.xacro > robot.urdf",
    ".sdf": "convert it to MJCF or URDF",
    ".usd": "convert it to MJCF or URDF",
    ".usda": "convert it to MJCF or URDF",
    ".mjb": "save it as MJCF, for instance with mujoco.mj_saveLastXML",
}


@dataclass(frozen=True, eq=False)
class Source:
    """A scene that was read: its description, what to call it, and the keyframe it starts from."""

    mjspec: mujoco.MjSpec
    label: str  # name of the file or of the model
    keyframe: str | int | None  # None: the model's default pose


def read_scene(
    source: str | Path,
    *,
    keyframe: str | int | None = None,
    meshdir: str | Path | None = None,
    servo: bool = False,
    integrator: str | None = None,
    pose: Mapping[str, float] | None = None,
    exclude: Sequence[tuple[str, str]] = (),
) -> Source:
    """A scene from an MJCF or URDF file, or from its text.

    `meshdir` is a folder to look in for meshes and textures that are not where the file says; `package://` paths are
    looked for in the file's folder and above it. `servo` gives every hinge and slide of a model without actuators a
    position servo, as strong as the joint's effort limit. `integrator` replaces the file's. `pose` is where joints
    start (rad or m), on top of the keyframe, with servos that hold them there. `exclude` has pairs of bodies that never
    touch each other, such as links whose hulls overlap where they are joined.

    Raises Refusal (a ValueError) if the scene cannot be read, OSError if the file cannot be.
    """
    mjspec, label, urdf = _parsed(source)
    check_numbers(mjspec, label)
    _find_assets(mjspec, label, None if meshdir is None else Path(meshdir))
    if urdf:
        _keep_links(mjspec)
    if integrator is not None:
        if integrator not in INTEGRATORS:
            raise ValueError(f"No integrator {integrator!r}. {did_you_mean(integrator, INTEGRATORS)}")
        mjspec.option.integrator = INTEGRATORS[integrator]
    if servo:
        _add_servos(mjspec, label)
    if not mjspec.actuators:
        raise refused(f"{label} has no actuators, so a plan could not do anything: {_would_move(mjspec, urdf)}.")
    _exclude(mjspec, label, exclude)
    if pose:
        keyframe = _add_pose(mjspec, label, keyframe, pose)
    return Source(mjspec, label, keyframe)


def _parsed(source: str | Path) -> tuple[mujoco.MjSpec, str, bool]:
    """(description, label, whether it is a URDF)."""
    text = str(source)
    if isinstance(source, str) and text.lstrip().startswith("<"):
        urdf = _check_text(text, "the model")
        mjspec = _read(mujoco.MjSpec.from_string, text, "the model")
        return mjspec, mjspec.modelname or "scene", urdf
    if not text.strip():
        raise ValueError("There is no scene: give the path of an MJCF or URDF file, or its text.")
    path = Path(text)
    if path.is_dir():
        raise IsADirectoryError(f"{text!r} is a folder: name a model file in it{_listed(path)}.")
    if not path.is_file():
        near = f" Did you mean {_near(path)[0]!r}?" if _near(path) else ""
        raise FileNotFoundError(f"No model file {text!r}: give the path of an MJCF or URDF file, or its text.{near}")
    if path.suffix.lower() in _OTHERS:
        raise refused(f"{path.name} is neither MJCF nor URDF: {_OTHERS[path.suffix.lower()]}.")
    if path.suffix not in _SUFFIXES:
        raise refused(f"{path.name} is not named as a model: rename it so that it ends in .xml (MJCF) or .urdf.")
    urdf = _check_text(read_text(path, path.name), path.name, path)
    return _read(mujoco.MjSpec.from_file, text, path.name), path.stem, urdf


def _check_text(text: str, label: str, path: Path | None = None) -> bool:
    """Refuses what is neither MJCF nor URDF, or too much; whether it is a URDF."""
    check_text(text, label, path)
    root = next((name for _, name, _ in tags(text)), None)
    if root not in _ROOTS:
        found = "no XML element" if root is None else f"an element <{root}>"
        raise refused(f"{label} is neither MJCF nor URDF: it begins with {found}, not with <mujoco> or <robot>.")
    if root == "robot":
        check_urdf(text, label)
    return root == "robot"


def _read(read: Any, source: str, label: str) -> mujoco.MjSpec:
    try:
        with quiet():
            return read(source)
    except (ValueError, mujoco.FatalError) as error:
        reason = " ".join(str(error).split())
        raise refused(f"MuJoCo cannot read {label}: {reason}{'' if reason.endswith('.') else '.'}") from None


# Meshes and textures


@dataclass(frozen=True)
class _Asset:
    """A file that a model names: what it is, and how to name another file in its place."""

    kind: str  # mesh, texture, ...
    file: str  # as the model names it
    folder: str  # meshdir or texturedir of the model
    owner: Any
    side: int = -1  # of a cube's texture

    def replace(self, file: str) -> None:
        if self.side < 0:
            self.owner.file = file
        else:
            self.owner.cubefiles[self.side] = file


def _assets(mjspec: mujoco.MjSpec) -> Iterator[_Asset]:
    for kind, owners in (("mesh", mjspec.meshes), ("skin", mjspec.skins), ("height field", mjspec.hfields)):
        for owner in owners:
            yield _Asset(kind, owner.file, owner.compiler.meshdir, owner)
    for owner in mjspec.textures:
        folder = owner.compiler.texturedir
        yield _Asset("texture", owner.file, folder, owner)
        yield from (_Asset("texture", file, folder, owner, side) for side, file in enumerate(owner.cubefiles))


def _find_assets(mjspec: mujoco.MjSpec, label: str, meshdir: Path | None) -> None:
    """Point every mesh and texture at a file that exists; the first that cannot be found is refused."""
    if meshdir is not None and not meshdir.is_dir():
        raise FileNotFoundError(f"meshdir {str(meshdir)!r} is no folder: name the one that holds the meshes.")
    lost, files = [], []
    for asset in _assets(mjspec):
        if not asset.file or asset.file in mjspec.assets:
            continue
        places = list(_places(mjspec, asset, meshdir))
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            if any(place.exists() and not place.is_dir() for place in places):  # a pipe would never end
                raise refused(f"The {asset.kind} {asset.file!r} of {label} is no file with data: name one that is.")
            lost.append((asset, places))
            continue
        if asset.kind == "mesh" and not asset.owner.content_type and found.suffix.lower() not in _MESHES:
            raise refused(f"MuJoCo does not read the mesh file {asset.file!r} of {label}: convert it to .obj or .stl.")
        files.append((asset.kind, found))
        if found != places[0] or asset.file.startswith((_PACKAGE, _FILE)):  # not where MuJoCo looks by itself
            asset.replace(str(found.resolve()))
    check_files(files, label)
    if lost and not _compiles(mjspec):  # what MuJoCo finds by itself, such as parts of other models, is not lost
        asset, places = lost[0]
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        folders = list(dict.fromkeys(repr(str(place.parent)) for place in places))
        near = dict.fromkeys(name for place in places for name in _near(place))
        hint = f"Did you mean {next(iter(near))!r}?" if near else "Put it there, or give its folder as meshdir."
        raise refused(
            f"The {asset.kind} file {asset.file!r} of {label}{more} was not found in {' or '.join(folders)}. {hint}"
        )


def _places(mjspec: mujoco.MjSpec, asset: _Asset, meshdir: Path | None) -> Iterator[Path]:
    """Where a file may lie, the place that MuJoCo looks in first."""
    base = Path(mjspec.modelfiledir or ".")
    if asset.file.startswith(_PACKAGE):
        package, _, inside = asset.file.removeprefix(_PACKAGE).partition("/")
        above = [base, *base.resolve().parents]
        yield from (folder / inside for folder in above if folder.resolve().name == package)
        yield from (folder / package / inside for folder in above[:3])
        yield base / inside
        name = Path(inside)
    else:
        name = Path(asset.file.removeprefix(_FILE))
        yield base / asset.folder / name
        yield base / name
    if meshdir is not None:
        yield meshdir / name
        yield meshdir / name.name
    elif asset.file.startswith(_PACKAGE):
        yield base / name.name


def _compiles(mjspec: mujoco.MjSpec) -> bool:
    try:
        with quiet():
            mjspec.copy().compile()
    except (ValueError, mujoco.FatalError) as error:
        return "opening file" not in str(error)
    return True


def _near(path: Path) -> list[str]:
    """Names in the folder of a missing file that are like its own."""
    if not path.parent.is_dir():
        return []
    there = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    alike = [name for name in there if Path(name).stem == path.stem and Path(name).suffix.lower() in _KNOWN]
    same = [name for name in there if name.lower() == path.name.lower()] or alike
    return same or difflib.get_close_matches(path.name, there, n=1, cutoff=0.7)


def _listed(folder: Path) -> str:
    there = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in (".xml", ".urdf"))
    return f", such as {there[0]}" if there else ""


def _exclude(mjspec: mujoco.MjSpec, label: str, pairs: Sequence[tuple[str, str]]) -> None:
    known = [body.name for body in mjspec.bodies if body.name]
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise ValueError(f"exclude has pairs of bodies, such as [('hand', 'table')]; got {pair!r}.")
        for name in pair:
            if name not in known:
                raise refused(f"No body {name!r} in {label}, so it cannot be excluded. {did_you_mean(name, known)}")
        mjspec.add_exclude(bodyname1=pair[0], bodyname2=pair[1])


# Robots without actuators


def _keep_links(mjspec: mujoco.MjSpec) -> None:
    """Links of a URDF stay bodies, so that a spec can name them, and joined links do not collide.

    MuJoCo leaves out collisions of joined bodies itself, but not where one of the two stands fixed in the world.
    """
    mjspec.compiler.fusestatic = False
    for body in mjspec.bodies:
        for child in body.bodies:
            if body.name != "world" and body.name and child.name and child.joints:
                mjspec.add_exclude(bodyname1=body.name, bodyname2=child.name)


def _add_servos(mjspec: mujoco.MjSpec, label: str) -> None:
    """A position servo for every hinge and slide; joints that follow another one by an equality are left to it."""
    if mjspec.actuators:
        raise ValueError(f"{label} has actuators of its own: leave out servo=True.")
    followers = {e.name1 for e in mjspec.equalities if e.type == mujoco.mjtEq.mjEQ_JOINT and e.name2}
    for joint in mjspec.joints:
        if joint.type not in _SINGLE or joint.name in followers:
            continue
        effort = float(joint.actfrcrange[1])
        if not joint.name or not effort > 0:
            raise refused(
                f"Joint {joint.name!r} of {label} has no effort limit, so nobody knows how strong its servo is: give "
                'it <limit effort="..."> in a URDF, or actuatorfrcrange in an MJCF.'
            )
        low, high = (float(x) for x in joint.range)
        if not low < high:
            low, high = -math.pi, math.pi
        servo = mjspec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        servo.set_to_position(kp=effort / SERVO_ERROR, dampratio=1.0)
        servo.ctrllimited, servo.ctrlrange = True, (low, high)


def _would_move(mjspec: mujoco.MjSpec, urdf: bool) -> str:
    if not any(joint.type in _SINGLE for joint in mjspec.joints):
        return "it has no hinge or slide either, so include the robot in the file"
    if urdf:
        return "a URDF never has any; servo=True gives its joints position servos of their effort limits"
    return "add <actuator> to the file, or servo=True for position servos on joints with an actuatorfrcrange"


# Where joints start


def _add_pose(mjspec: mujoco.MjSpec, label: str, keyframe: str | int | None, pose: Mapping[str, float]) -> str:
    """A keyframe with the joints of `pose` moved, and the controls of their position servos with them."""
    with quiet():
        model = mjspec.copy().compile()
    data = mujoco.MjData(model)
    if keyframe is not None:
        listed = [model.key(i).name or str(i) for i in range(model.nkey)]
        index = listed.index(keyframe) if keyframe in listed else keyframe
        if not isinstance(index, int) or not 0 <= index < model.nkey:
            raise refused(f"No keyframe {keyframe!r} in {label}. {did_you_mean(keyframe, listed)}")
        mujoco.mj_resetDataKeyframe(model, data, index)
    before = copy.copy(data)
    known = [j.name for j in mjspec.joints if j.type in _SINGLE and j.name]
    for name, value in pose.items():
        if name not in known:
            raise refused(f"No hinge or slide {name!r} in {label}, so it has no pose. {did_you_mean(name, known)}")
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise refused(f"The pose of joint {name!r} of {label} is {value!r}: give a number of rad or m.")
        data.joint(name).qpos[0] = float(value)
    for i in range(model.nu):
        joint = int(model.actuator_trnid[i, 0])
        servo = model.actuator_trntype[i] == mujoco.mjtTrn.mjTRN_JOINT and model.actuator_biasprm[i, 1] != 0
        if servo and model.joint(joint).name in pose:
            data.ctrl[i] = model.actuator_gear[i, 0] * pose[model.joint(joint).name]
    _move_mocaps(model, data, before)
    mocap = {"mpos": data.mocap_pos.ravel(), "mquat": data.mocap_quat.ravel()} if model.nmocap else {}
    mjspec.add_key(name=POSE, qpos=data.qpos, ctrl=data.ctrl, **mocap)
    return POSE


def _move_mocaps(model: Any, data: Any, before: Any) -> None:
    """Mocap bodies that are welded to others go with them, so that no weld is torn at the start."""
    mujoco.mj_kinematics(model, before)
    mujoco.mj_kinematics(model, data)
    for e in range(model.neq):
        if model.eq_type[e] != mujoco.mjtEq.mjEQ_WELD or model.eq_objtype[e] != mujoco.mjtObj.mjOBJ_BODY:
            continue
        bodies = sorted((int(model.eq_obj1id[e]), int(model.eq_obj2id[e])), key=lambda b: model.body_mocapid[b])
        other, mocap = bodies
        if model.body_mocapid[mocap] < 0:
            continue
        pos, quat = np.empty(3), np.empty(4)
        mujoco.mju_negPose(pos, quat, before.xpos[other], before.xquat[other])
        mujoco.mju_mulPose(pos, quat, pos.copy(), quat.copy(), before.xpos[mocap], before.xquat[mocap])
        mujoco.mju_mulPose(pos, quat, data.xpos[other], data.xquat[other], pos.copy(), quat.copy())
        data.mocap_pos[model.body_mocapid[mocap]] = pos
        data.mocap_quat[model.body_mocapid[mocap]] = quat
