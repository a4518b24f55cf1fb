"""Plans to controls: what the actuators are told at each control step, or why a plan cannot be followed."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.follow import follow
from worldverify.kernels import kinematics, trajectory
from worldverify.plan import Plan
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.route import Start, waypoint_route
from worldverify.skills import catalogue, skill_route

Floats = NDArray[np.float64]

STATE = mujoco.mjtState.mjSTATE_INTEGRATION
LARGEST = 1e6  # of a control without a range
DENSEST = 4  # waypoints or skills for each control step


def compile_plans(
    model: mujoco.MjModel,
    state: Floats,
    arm: Arm | None,
    plans: Sequence[Plan],
    *,
    rate: float,
    horizon: float,
) -> list[Floats | Refusal]:
    """Controls (T, nu) of each plan at `rate` [Hz], T <= horizon [s] * rate, or the Refusal that says why not.

    `state` is (B, nstate), the integration state that each of the B plans starts from. A plan has the same controls,
    bit for bit, alone and in any batch.
    """
    steps = round(horizon * rate)
    results: dict[int, Floats | Refusal] = {}
    routed = []
    commanded = _read(model, state, "ctrl") if any(plan.format != "ctrl" for plan in plans) else state
    for i, plan in enumerate(plans):
        try:
            if plan.format == "ctrl":
                results[i] = _ctrl(model, plan, rate, steps)
            elif arm is None:
                raise Refusal("unknown_format", f"This scene has no arm for {plan.format}; write raw controls (ctrl).")
            elif plan.format == "joint_position":
                results[i] = _joint_position(model, arm, commanded[i], plan, rate, steps)
            else:
                routed.append(i)
        except Refusal as refusal:
            results[i] = refusal
    if routed and arm is not None:
        found = _routed(model, arm, state[routed], [plans[i] for i in routed], rate, steps)
        results.update(zip(routed, found, strict=True))
    return [results[i] for i in range(len(plans))]


def _ctrl(model: Any, plan: Plan, rate: float, steps: int) -> Floats:
    """Raw controls, checked against the model's ranges and held to the task's rate."""
    actions = _rows(plan, model.nu)
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


def _joint_position(model: Any, arm: Arm, ctrl: Floats, plan: Plan, rate: float, steps: int) -> Floats:
    """Joint angles in rad and the gripper between 0 (closed) and 1 (open), as controls."""
    actions = _rows(plan, len(arm.joints) + 1)
    low, high = np.append(arm.q_min, 0.0), np.append(arm.q_max, 1.0)
    _check_range(actions, low, high, [*arm.joints, "gripper"], " rad")
    held = _held(plan, actions, rate, steps)
    opening = arm.gripper_closed + held[:, -1:] * (arm.gripper_open - arm.gripper_closed)
    return _as_controls(model, arm, ctrl, np.concatenate([held[:, :-1], opening], axis=-1))


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
        unit = "" if names[column] == "gripper" else unit
        raise Refusal(
            "out_of_range",
            f"Action {row + 1} sets {names[column]} to {actions[row, column]:.9g}{unit}; "
            f"its range is {low[column]:.9g} to {high[column]:.9g}{unit}.",
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


def _routed(
    model: Any, arm: Arm, state: Floats, plans: Sequence[Plan], rate: float, steps: int
) -> list[Floats | Refusal]:
    """Waypoints and skills, all through the inverse kinematics together."""
    joints = [int(model.jnt_qposadr[model.joint(name).id]) for name in arm.joints]
    fingers = [int(model.jnt_qposadr[model.joint(name).id]) for name in arm.finger_joints]
    qpos, ctrl = _read(model, state, "qpos"), _read(model, state, "ctrl")
    fit = np.all(np.isfinite(qpos), axis=-1) & np.all(np.isfinite(ctrl), axis=-1)
    q = np.where(fit[:, None], qpos[:, joints], arm.home)
    chain = chain_of(arm)
    position, orientation = kinematics.tool_pose(q, *chain)
    home = kinematics.tool_pose(arm.home, *chain)
    data = mujoco.MjData(model)
    names = catalogue(model, arm) if any(plan.format == "skills" for plan in plans) else None
    results: dict[int, Floats | Refusal] = {}
    starts, routes, places = [], [], []
    for i, plan in enumerate(plans):
        try:
            if not fit[i]:
                raise Refusal("bad_state", "The start state holds a NaN or an infinite value.", cause="model")
            if len(plan.actions) > DENSEST * steps:
                raise Refusal(
                    "too_many_steps",
                    f"The plan has {len(plan.actions)} {plan.format}; the task has {steps} control steps, "
                    f"enough for {DENSEST * steps} at most.",
                )
            start = Start(q[i], position[i], orientation[i], _gripper(arm, qpos[i, fingers], ctrl[i]))
            actions: Any = plan.actions
            if names is not None and plan.format == "skills":
                mujoco.mj_setState(model, data, state[i], STATE)
                mujoco.mj_kinematics(model, data)
                route = skill_route(start, actions, arm, home, model, data, names)
            else:
                route = waypoint_route(start, actions, arm)
        except Refusal as refusal:
            results[i] = refusal
        else:
            starts.append(start)
            routes.append(route)
            places.append(i)
    if routes:
        for i, found in zip(places, follow(arm, starts, routes, rate=rate, steps=steps), strict=True):
            results[i] = found if isinstance(found, Refusal) else _as_controls(model, arm, ctrl[i], found)
    return [results[i] for i in range(len(plans))]


def _gripper(arm: Arm, fingers: Floats, ctrl: Floats) -> float:
    """The gripper's command. A state in which nothing was ever commanded tells only how far the fingers are open."""
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
    controls[:, [*arm.joint_controls, arm.gripper_control]] = commands
    return controls
