"""Plans to controls: what the actuators are told at each control step, or why a plan cannot be followed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.action import CAMERA, TIMED
from worldverify.arm import Arm
from worldverify.base import Base, standing
from worldverify.camera import Camera, view_of
from worldverify.decode import Begin, Pose, controls
from worldverify.dense import dense_commands, part_of
from worldverify.driving import drive, start_of
from worldverify.follow import follow
from worldverify.kernels import kinematics, trajectory
from worldverify.lowering import Lowered, lower
from worldverify.mobile import drive_and_reach
from worldverify.plan import Plan
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.route import NO_GRIPPER, Start, waypoint_route
from worldverify.skills import Catalogue, catalogue, skill_route
from worldverify.task import Task

Floats = NDArray[np.float64]

STATE = mujoco.mjtState.mjSTATE_INTEGRATION
LARGEST = 1e6  # of a control without a range
DENSEST = 4  # waypoints or skills for each control step
GRIPPER = "gripper"  # the name of its number in a row


class Compiled(NamedTuple):
    """What the actuators are told, and what a person should know about how it came about."""

    controls: Floats  # (T, nu)
    warnings: tuple[str, ...] = ()


def compile_plans(
    model: mujoco.MjModel,
    state: Floats,
    arm: Arm | None,
    plans: Sequence[Plan],
    *,
    rate: float,
    horizon: float,
    camera: Camera | None = None,
    arms: Mapping[str, Arm] | None = None,
    base: Base | None = None,
) -> list[Compiled | Refusal]:
    """Controls of each plan at `rate` [Hz], T <= `horizon` [s] * rate, or the Refusal that says why not.

    `state` is (B, nstate), the integration state that each of the B plans starts from; `camera` is the one that points
    of an image are seen by. Where there are several `arms`, by name, `arm` is None. `base` is what drives, and carries
    the arm if there are both. A plan has the same controls, bit for bit, alone and in any batch.
    """
    moved = arms or ({} if arm is None else {"": arm})
    steps = round(horizon * rate)
    results: dict[int, Compiled | Refusal] = {}
    dense: list[int] = []  # rows of numbers at a rate
    routed: list[int] = []  # waypoints and skills
    driven: list[int] = []  # whatever moves a base
    commanded = _read(model, state, "ctrl") if not all(map(_is_raw, plans)) else state
    for i, plan in enumerate(plans):
        spec = plan.contract
        try:
            if _is_raw(plan):
                results[i] = Compiled(_ctrl(model, plan, rate, steps))
            elif base is not None:
                driven.append(i)
            elif moved and plan.format == "joint_position" and spec is None:
                results[i] = Compiled(_joint_position(model, moved, commanded[i], plan, rate, steps))
            elif arm is None:
                raise Refusal("unknown_format", _no_arm(plan, len(moved)))
            else:
                (dense if spec is not None and spec.syntax in TIMED else routed).append(i)
        except Refusal as refusal:
            results[i] = refusal
    if base is not None and driven:
        task = Limits(rate, horizon, camera)
        results.update({i: _driven(model, state[i], arm, base, plans[i], task) for i in driven})
    if arm is not None and (dense or routed):
        # What follows needs the arm's pose: looked up once for all plans that are not raw joint targets.
        seen = any(spec is not None and spec.frame.startswith(CAMERA) for spec in (plan.contract for plan in plans))
        starts = Starts(model, state, arm, camera, frames=seen)
        for rows, follow_all in ((dense, _dense), (routed, _routed)):
            fit = [i for i in rows if starts.fit[i]]
            results.update({i: _bad_state() for i in rows if not starts.fit[i]})
            if fit:
                results.update(zip(fit, follow_all(starts, plans, fit, rate, steps), strict=True))
    return [results[i] for i in range(len(plans))]


def _bad_state() -> Refusal:
    return Refusal("bad_state", "The start state holds a NaN or an infinite value.", cause="model")


def _no_arm(plan: Plan, arms: int) -> str:
    if arms:
        return f"This scene has {arms} arms, which {plan.format} is not for; write joint_position or controls (ctrl)."
    return f"This scene has no arm for {plan.format}; write raw controls (ctrl)."


def _is_raw(plan: Plan) -> bool:
    """Whether a plan holds raw controls. A contract of its own says so, whatever its name."""
    return plan.format == "ctrl" if plan.contract is None else plan.contract.space == "ctrl"


def _ctrl(model: Any, plan: Plan, rate: float, steps: int) -> Floats:
    """Raw controls, checked against the model's ranges and held to the task's rate."""
    actions = _rows(plan, model.nu)
    if plan.contract is not None:
        actions = controls(plan.contract, actions)
    bounded = model.actuator_ctrllimited.astype(bool)
    low = np.where(bounded, model.actuator_ctrlrange[:, 0], -LARGEST)
    high = np.where(bounded, model.actuator_ctrlrange[:, 1], LARGEST)
    names = control_names(model)
    _check_range(actions, low, high, names, "")
    return _held(plan, actions, rate, steps)


def control_names(model: Any) -> list[str]:
    """(nu,) what each control is called: its actuator, numbered where one actuator takes several."""
    names: list[str] = []
    for i in range(getattr(model, "nactuator", model.nu)):
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_ACTUATOR, i) or f"actuator {i}"
        count = int(model.actuator_ctrlnum[i]) if hasattr(model, "actuator_ctrlnum") else 1
        names += [name] if count == 1 else [f"{name}[{j}]" for j in range(count)]
    return names


def _joint_position(model: Any, arms: Mapping[str, Arm], ctrl: Floats, plan: Plan, rate: float, steps: int) -> Floats:
    """Joint angles in rad and grippers between 0 (closed) and 1 (open), of one arm after the other, as controls."""
    low, high = (np.concatenate(side) for side in zip(*(arm.limits for arm in arms.values()), strict=True))
    actions = _rows(plan, len(low))
    labels = [label for name, arm in arms.items() for label in _labels(name, arm)]
    _check_range(actions, low, high, labels, " rad")
    held, at = _held(plan, actions, rate, steps), 0
    made = np.tile(ctrl, (len(held), 1))
    for arm in arms.values():
        width = len(arm.controls)
        made[:, list(arm.controls)] = arm.commands(held[:, at : at + width])
        at += width
    return made


def _labels(name: str, arm: Arm) -> list[str]:
    """What each number of an arm in a row is called."""
    return [*arm.joints, *([] if arm.gripper_control is None else [f"{name} {GRIPPER}".strip()])]


def _rows(plan: Plan, width: int) -> Floats:
    actions = plan.actions
    if not isinstance(actions, np.ndarray) or actions.ndim != 2 or actions.shape[1] != width:
        shape = actions.shape if isinstance(actions, np.ndarray) else "not numbers"
        raise Refusal("wrong_width", f"The actions have shape {shape}; {plan.format} needs rows of {width} numbers.")
    if not len(actions):
        raise Refusal("empty", "The plan has no actions; it needs at least one.")
    if not np.all(np.isfinite(actions)):
        row, column = np.argwhere(~np.isfinite(actions))[0]
        raise Refusal("not_finite", f"Value {column + 1} of action {row + 1} is not finite.")
    return actions


def _check_range(actions: Floats, low: Floats, high: Floats, names: Sequence[str], unit: str) -> None:
    outside = (actions < low) | (actions > high)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        unit = "" if names[column].endswith(GRIPPER) else unit
        raise Refusal(
            "out_of_range",
            f"Action {row + 1} sets {names[column]} to {actions[row, column]:.9g}{unit}; "
            f"its range is {low[column]:.9g} to {high[column]:.9g}{unit}."
            + (" Are the angles in degrees?" if unit == " rad" and abs(actions[row, column]) > 2 * np.pi else ""),
        )


def _held(plan: Plan, actions: Floats, rate: float, steps: int) -> Floats:
    """Each action held for a whole number of the task's control steps."""
    repeat = 1
    if plan.rate_hz is not None:
        repeat = max(1, round(rate / plan.rate_hz))
        if abs(repeat * plan.rate_hz - rate) > 1e-9 * rate:
            raise Refusal(
                "wrong_rate",
                f"The plan has {plan.rate_hz:g} actions a second; the task has {rate:g}. "
                f"Use {rate:g} Hz, or {rate:g} Hz divided by a whole number.",
            )
    if len(actions) * repeat > steps:
        raise Refusal(
            "too_many_steps",
            f"The plan has {len(actions)} actions at {rate / repeat:g} Hz ({len(actions) * repeat / rate:.2f} s); "
            f"the task has {steps / rate:.2f} s, which is {steps // repeat} of them.",
        )
    held: Floats = np.ascontiguousarray(trajectory.hold(actions, repeat))
    return held


def compile_for(task: Task, states: Floats, plans: Sequence[Plan]) -> list[Compiled | Refusal]:
    """Controls of plans that were admitted by a task, each from its own state (B, nstate)."""
    return compile_plans(
        task.scene.model,
        states,
        task.arm,
        plans,
        rate=task.rate,
        horizon=task.horizon,
        camera=task.camera,
        arms=task.arms,
        base=task.base,
    )


class Starts:
    """The arm in the states that the plans of a batch start from."""

    def __init__(self, model: Any, state: Floats, arm: Arm, camera: Camera | None, *, frames: bool = True) -> None:
        """`frames`: whether the pose of the camera in each state is wanted."""
        self.model, self.state, self.arm, self.camera = model, state, arm, camera
        joints = [int(model.jnt_qposadr[model.joint(name).id]) for name in arm.joints]
        self.fingers = [int(model.jnt_qposadr[model.joint(name).id]) for name in arm.finger_joints]
        self.qpos, self.ctrl = _read(model, state, "qpos"), _read(model, state, "ctrl")
        self.fit = np.all(np.isfinite(self.qpos), axis=-1) & np.all(np.isfinite(self.ctrl), axis=-1)
        q = np.where(self.fit[:, None], self.qpos[:, joints], arm.home)
        position, orientation = kinematics.tool_pose(q, *chain_of(arm))
        self.gripper = np.array(
            [_gripper(arm, self.qpos[i, self.fingers], self.ctrl[i]) if self.fit[i] else 0.0 for i in range(len(q))]
        )
        count = len(state)
        span = arm.gripper_open - arm.gripper_closed
        self.begin = Begin(
            q=q,
            tool=Pose(position, orientation),
            opening=(self.gripper - arm.gripper_closed) / span,
            base=Pose(np.broadcast_to(arm.base_pos, (count, 3)), np.broadcast_to(arm.base_quat, (count, 4))),
            cameras=self._cameras(count) if frames else {},
        )

    def route_start(self, i: int) -> Start:
        """Where the route of plan `i` starts."""
        begin = self.begin
        return Start(begin.q[i], begin.tool.position[i], begin.tool.orientation[i], float(self.gripper[i]))

    def _cameras(self, count: int) -> dict[str, Pose]:
        if self.camera is None:
            return {}
        data = mujoco.MjData(self.model)
        position, orientation = np.zeros((count, 3)), np.zeros((count, 4))
        for i in range(count):
            mujoco.mj_setState(self.model, data, self.state[i], STATE)
            view = view_of(self.model, data, self.camera)
            position[i], orientation[i] = view.position, view.optical_quat
        pose = Pose(position, orientation)
        return {self.camera.name: pose, "task": pose}


def _dense(
    starts: Starts, plans: Sequence[Plan], rows: Sequence[int], rate: float, steps: int
) -> list[Compiled | Refusal]:
    """Rows of numbers at a rate, all plans of one contract together."""
    pairs = [(spec, plans[i]) for i in rows if (spec := plans[i].contract) is not None]
    some = list(rows)
    made = dense_commands(starts.arm, part_of(starts.begin, some), starts.gripper[some], pairs, rate=rate, steps=steps)
    return [
        one
        if isinstance(one, Refusal)
        else Compiled(_as_controls(starts.model, starts.arm, starts.ctrl[i], one.commands), one.warnings)
        for i, one in zip(rows, made, strict=True)
    ]


def _routed(
    starts: Starts, plans: Sequence[Plan], rows: Sequence[int], rate: float, steps: int
) -> list[Compiled | Refusal]:
    """Waypoints and skills, all through the inverse kinematics together."""
    model, arm = starts.model, starts.arm
    home = kinematics.tool_pose(arm.home, *chain_of(arm))
    data = mujoco.MjData(model)
    names = catalogue(model, arm)
    results: dict[int, Compiled | Refusal] = {}
    begun, routes, told, places = [], [], [], []
    for i in rows:
        try:
            plan, start = plans[i], starts.route_start(i)
            lowered = _lowered(starts, plan, i, data, names)
            what = "waypoints" if lowered.skills is None else "skills"
            _check_count(len(lowered.waypoints or lowered.skills or ()), what, steps)
            if lowered.skills is not None:
                mujoco.mj_setState(model, data, starts.state[i], STATE)
                mujoco.mj_kinematics(model, data)
                route = skill_route(start, lowered.skills, arm, home, model, data, names)
            else:
                route = waypoint_route(start, lowered.waypoints or (), arm, straight=lowered.straight)
                if arm.gripper_control is None and any(p.gripper is not None for p in lowered.waypoints or ()):
                    lowered = lowered._replace(warnings=(*lowered.warnings, NO_GRIPPER))
        except Refusal as refusal:
            results[i] = refusal
        else:
            begun.append(start)
            routes.append(route)
            told.append(lowered.warnings)
            places.append(i)
    if routes:
        found = follow(arm, begun, routes, rate=rate, steps=steps)
        for i, warnings, one in zip(places, told, found, strict=True):
            made = one if isinstance(one, Refusal) else _as_controls(model, arm, starts.ctrl[i], one)
            results[i] = made if isinstance(made, Refusal) else Compiled(made, warnings)
    return [results[i] for i in rows]


class Limits(NamedTuple):
    """What a task sets for all of its plans."""

    rate: float  # Hz
    horizon: float  # s
    camera: Camera | None


def _driven(model: Any, state: Floats, arm: Arm | None, base: Base, plan: Plan, limits: Limits) -> Compiled | Refusal:
    """A plan of a base, or of an arm on it, from a state (nstate,)."""
    data, (rate, horizon, camera) = mujoco.MjData(model), limits
    mujoco.mj_setState(model, data, state, STATE)
    if not all(np.all(np.isfinite(field)) for field in (data.qpos, data.qvel, data.ctrl)):
        return _bad_state()
    mujoco.mj_kinematics(model, data)
    steps = round(horizon * rate)
    controls = data.ctrl
    try:
        if arm is None:
            driven = drive(base, plan, model, data, camera, rate=rate, steps=steps)
            return Compiled(_with(controls, base.controls, driven.poses), driven.warnings)
        stand = start_of(data, base)
        here = standing(arm, stand.pose)
        if not _calls_skills(plan):
            return compile_plans(model, state[None], here, [plan], rate=rate, horizon=horizon, camera=camera)[0]
        begin = Starts(model, state[None], here, None, frames=False).route_start(0)
        calls: Any = plan.actions
        _check_count(len(calls), "skills", steps)
        names = catalogue(model, arm)
        commands, poses = drive_and_reach(arm, base, calls, begin, stand, model, data, names, rate=rate, steps=steps)
        return Compiled(_with(_as_controls(model, arm, controls, commands), base.controls, poses))
    except Refusal as refusal:
        return refusal


def _check_count(count: int, what: str, steps: int) -> None:
    if count > DENSEST * steps:
        raise Refusal(
            "too_many_steps",
            f"The plan has {count} {what}; the task has {steps} control steps, enough for {DENSEST * steps} at most.",
        )


def _calls_skills(plan: Plan) -> bool:
    return plan.format == "skills" if plan.contract is None else plan.contract.syntax == "skills"


def _with(controls: Floats, places: Sequence[int], values: Floats) -> Floats:
    """Controls (nu,) or (T, nu) with values (T, n) at some places: (T, nu)."""
    rows = np.array(np.broadcast_to(controls, (len(values), controls.shape[-1])))
    rows[:, list(places)] = values
    return rows


def _lowered(starts: Starts, plan: Plan, i: int, data: Any, names: Catalogue) -> Lowered:
    """The waypoints or skills of a plan."""
    actions: Any = plan.actions
    if plan.contract is None:
        return Lowered(None, actions) if plan.format == "skills" else Lowered(actions, None)
    mujoco.mj_setState(starts.model, data, starts.state[i], STATE)
    mujoco.mj_kinematics(starts.model, data)
    begin = part_of(starts.begin, [i])
    return lower(plan, plan.contract, begin, starts.model, data, starts.arm, names, starts.camera)


def _gripper(arm: Arm, fingers: Floats, ctrl: Floats) -> float:
    """The gripper's command. A state in which nothing was ever commanded tells only how far the fingers are open."""
    if arm.gripper_control is None:
        return arm.gripper_open
    value = float(ctrl[arm.gripper_control]) if np.any(ctrl) else float(sum(fingers.tolist()) / len(fingers))
    low, high = sorted((arm.gripper_closed, arm.gripper_open))
    return min(max(value, low), high)


def _read(model: Any, state: Floats, field: str) -> Floats:
    """A field of the data, such as qpos, in each state (B, nstate)."""
    data = mujoco.MjData(model)
    rows = np.zeros((len(state), len(getattr(data, field))))
    for row, one in zip(rows, state, strict=True):
        mujoco.mj_setState(model, data, one, STATE)
        row[:] = getattr(data, field)
    return rows


def _as_controls(model: Any, arm: Arm, ctrl: Floats, commands: Floats) -> Floats:
    """Commands (T, J + 1) at the arm's places among the controls (T, nu); the others keep what they have."""
    controls = np.tile(ctrl, (len(commands), 1))
    controls[:, list(arm.controls)] = commands[:, : len(arm.controls)]
    return controls
