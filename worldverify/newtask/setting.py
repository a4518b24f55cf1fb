"""How a scene is read for a first task: what drives it, where it starts, what holds it there, and how often it acts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.newtask.detect import actuator_joints, actuator_name, body_name, detect, joint_name
from worldverify.ramps import ramps
from worldverify.refusal import Refusal
from worldverify.sources import Source, read_scene
from worldverify.task import Task
from worldverify.verify import verify

Floats = NDArray[np.float64]

RATES = (20.0, 25.0, 10.0, 50.0, 40.0, 12.5)  # Hz, how often a first task acts: the first that fits the physics step
DWELL = 0.5  # s, about how long a first goal is kept
NOTHING = 1e-6  # a control that is rounding
DIGITS = 5  # significant ones of a control
HOME = ("home", "start", "ready", "initial", "neutral", "standing", "stand")  # keyframes to start from, if there
OVERLAP = 0.5e-3  # m, by which parts of a robot overlap that belong together
INSIDE = (0.1, 0.5)  # share of a joint's range by which it starts inside
PROBE = "any: always(pos(world).z < 1 m)"  # fits every scene

_SINGLE = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


@dataclass(frozen=True)
class Setting:
    """What a first task says of its scene, beside the spec."""

    path: Path
    rate: float  # Hz
    horizon: float  # s
    dwell: float  # s, a whole number of actions
    servo: bool = False
    integrator: str | None = None
    keyframe: str | int | None = None
    pose: Mapping[str, float] = field(default_factory=dict)  # rad or m
    exclude: tuple[tuple[str, str], ...] = ()  # bodies of one robot that overlap where they are joined
    hold: Mapping[str, float] = field(default_factory=dict)  # actuator -> the control that holds the start
    notes: tuple[str, ...] = ()  # what is done to the scene, and why

    def task(self, spec: str = PROBE, **more: Any) -> Task:
        """The task of this setting with another spec."""
        return Task.from_mjcf(
            self.path,
            spec=spec,
            rate=self.rate,
            horizon=self.horizon,
            servo=self.servo,
            integrator=self.integrator,
            keyframe=self.keyframe,
            pose=self.pose,
            exclude=self.exclude,
            **more,
        )


def setting_of(path: Path, *, horizon: float, rate: float | None = None) -> tuple[Setting, Task]:
    """How to read the scene of a file, and a task that holds it still. Raises Refusal where nothing can be done."""
    notes = []
    servo = False
    try:
        source = read_scene(path)
    except Refusal as refusal:
        source, servo = _with_servos(path, refusal), True
        notes.append("Nothing drives the joints in the file: each gets a position servo of its effort limit.")
    integrator = None
    if source.mjspec.option.integrator == mujoco.mjtIntegrator.mjINT_RK4:
        integrator = "implicitfast"
        notes.append("The file asks for RK4, whose forces cannot be checked: implicitfast is used.")
    h = float(source.mjspec.option.timestep)
    rate = _rate(h) if rate is None else rate
    setting = Setting(
        path=path,
        rate=rate,
        horizon=round(max(1, round(horizon * rate)) / rate, 9),
        dwell=round(max(1, round(DWELL * rate)) / rate, 9),
        servo=servo,
        integrator=integrator,
        notes=tuple(notes),
    )
    refused = None
    starts = list(_starts(setting))
    for start in (*starts, *map(_without_overlap, starts)):
        try:
            task = start.task()
            task.check_start(task.start())
            held = replace(start, hold=_holding(task, balanced=bool(start.pose)))
            _check_still(held, task)
        except Refusal as refusal:
            refused = refused or refusal
        else:
            return held, task
    assert refused is not None
    raise refused


def _with_servos(path: Path, refusal: Refusal) -> Source:
    """The scene with servos, where it was refused for having no actuators."""
    try:
        return read_scene(path, servo=True)
    except (Refusal, ValueError):
        if path.suffix.lower() == ".urdf":
            raise
        raise refusal from None


def _rate(h: float) -> float:
    """Hz, near the first of RATES if none of them is a whole number of physics steps of h (s)."""
    whole = [rate for rate in RATES if abs(1 / (rate * h) - round(1 / (rate * h))) < 1e-6 and rate * h < 1.5]
    return whole[0] if whole else 1 / (max(1, round(1 / (RATES[0] * h))) * h)


def span_of(model: Any, actuator: int, held: float) -> tuple[float, float]:
    """The least and the greatest control that a first plan gives an actuator."""
    if model.actuator_ctrllimited[actuator]:
        low, high = model.actuator_ctrlrange[actuator]
        return float(low), float(high)
    joints = actuator_joints(model, actuator)
    if is_servo(model, actuator) and joints and model.jnt_limited[joints[0]]:
        low, high = sorted(model.actuator_gear[actuator, 0] * model.jnt_range[joints[0]])
        return float(low), float(high)
    return held - 1, held + 1


def is_servo(model: Any, actuator: int) -> bool:
    """Whether the control of an actuator is a position, and not a force or a speed."""
    return bool(model.actuator_biasprm[actuator, 1] < 0)


def rounded(value: float, digits: int = DIGITS) -> float:
    """With that many significant digits."""
    return float(f"{value:.{digits}g}")


def _without_overlap(setting: Setting) -> Setting:
    """The same with those pairs of bodies excluded that belong to one robot and overlap at the start."""
    task = setting.task()
    model, data = task.scene.model, task.scene.data(task.start())
    mujoco.mj_fwdPosition(model, data)
    robots = detect(model).robots
    pairs = {}
    for contact in data.contact:
        bodies = sorted(int(model.geom_bodyid[g]) for g in contact.geom)
        names = tuple(body_name(model, b) for b in bodies)
        ours = any(set(bodies) <= robot.bodies for robot in robots)
        if contact.dist < -OVERLAP and ours and all(names):
            pairs[names[0], names[1]] = -contact.dist
    if not pairs:
        return setting
    listed = ", ".join(f"{a} and {b}" for a, b in pairs)
    note = f"Parts of the robot that overlap at the start do not collide: {listed}."
    return replace(setting, exclude=tuple(pairs), notes=(*setting.notes, note))


def _check_still(setting: Setting, task: Task) -> None:
    """Refuses a start from which physics cannot be believed even while nothing is done."""
    (verdict,) = verify(task, ramps(setting.hold, rate=setting.rate, horizon=setting.horizon), on="cpu", margins="full")
    if verdict.status == "INVALID":
        said = verdict.reason.removeprefix("Not judged: ")
        raise Refusal("bad_model", f"The scene cannot be judged even while it is held still: {said}", cause="model")


def _starts(setting: Setting) -> Iterator[Setting]:
    """Ways to start: from a keyframe, from the default pose, or from it with joints moved into their limits."""
    model = setting.task().scene.model
    keys = [str(mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_KEY, i) or "") for i in range(model.nkey)]
    for i in sorted(range(model.nkey), key=lambda i: (HOME.index(keys[i]) if keys[i] in HOME else len(HOME), i)):
        yield replace(setting, keyframe=keys[i] or i)
    outside = {}
    for j in range(model.njnt):
        low, high = (float(x) for x in model.jnt_range[j])
        here, name = float(model.qpos0[model.jnt_qposadr[j]]), joint_name(model, j)
        single = int(model.jnt_type[j]) in _SINGLE and model.jnt_limited[j] and name
        if single and not low - 1e-6 <= here <= high + 1e-6:
            outside[name] = (low, high) if here < low else (high, low)
    if not outside:
        yield setting
        return
    note = f"The default pose is outside the limits of {', '.join(outside)}: the task starts inside."
    for share in INSIDE:
        pose = {name: rounded(near + share * (far - near), 3) for name, (near, far) in outside.items()}
        yield replace(setting, pose=pose, notes=(*setting.notes, note))


def _holding(task: Task, *, balanced: bool) -> dict[str, float]:
    """actuator -> the control at the start: that of the keyframe, or what carries the weight of the robot there."""
    model, data = task.scene.model, task.scene.data(task.start())
    held = data.ctrl.copy()
    if balanced or not held.any():
        mujoco.mj_forward(model, data)
        moment = np.zeros((model.nu, model.nv))
        mujoco.mju_sparse2dense(
            moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
        )
        single = np.isin(model.jnt_type[model.dof_jntid], _SINGLE)
        weight = np.where(single, data.qfrc_bias - data.qfrc_passive, 0.0)
        force = np.linalg.lstsq(moment[:, single].T, weight[single], rcond=1e-6)[0]
        gain, bias = model.actuator_gainprm[:, 0], model.actuator_biasprm
        plain = (model.actuator_dyntype == mujoco.mjtDyn.mjDYN_NONE) & (gain != 0)
        own = bias[:, 0] + bias[:, 1] * data.actuator_length
        held = np.where(plain, (force - own) / np.where(gain == 0, 1, gain), 0.0)
    controls = {}
    for i in range(model.nu):
        value = rounded(float(held[i])) if abs(held[i]) > NOTHING else 0.0
        if model.actuator_ctrllimited[i]:
            low, high = (float(x) for x in model.actuator_ctrlrange[i])
            value = min(max(value, low), high)
        controls[actuator_name(model, i)] = value
    return controls
