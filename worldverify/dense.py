"""Plans with one row of numbers for each action, at a rate: from their contract to commands of an arm."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.arm import Arm
from worldverify.decode import Begin, Pose, angles, poses
from worldverify.kernels import actions as kernel
from worldverify.kernels import kinematics, rotation
from worldverify.kernels.track import track, unhurried
from worldverify.plan import Plan
from worldverify.reach import LANES, chain_of
from worldverify.refusal import Refusal
from worldverify.route import NO_GRIPPER
from worldverify.suspicions import speed_suspicion

Floats = NDArray[np.float64]

OFF = (0.05, 0.3)  # m and rad: an action that the arm misses by more is refused
NOTED = (0.01, 0.1)  # m and rad: and by more than this, told
BEHIND = (0.1, 0.5)  # m and rad: how far the arm may lag behind a plan that is too fast for it


class Made(NamedTuple):
    """Commands of one plan, and what a person should know about them."""

    commands: Floats  # (T, J + 1)  joint angles [rad], then the gripper's control
    warnings: tuple[str, ...]


def dense_commands(
    arm: Arm, begin: Begin, gripper: Floats, plans: Sequence[tuple[ActionSpec, Plan]], *, rate: float, steps: int
) -> list[Made | Refusal]:
    """Commands at `rate` [Hz], at most `steps`; `gripper` (B,) is its control at the start.

    A Refusal in the place of a plan that is not for this arm, out of its reach, too fast for it, or too long.
    """
    results: dict[int, Made | Refusal] = {}
    alike: dict[tuple[object, ...], list[int]] = {}
    for i, (spec, plan) in enumerate(plans):
        try:
            alike.setdefault((spec, plan.rate_hz, _length(arm, spec, plan, rate, steps)), []).append(i)
        except Refusal as refusal:
            results[i] = refusal
    for rows in alike.values():
        for first in range(0, len(rows), LANES):
            some = rows[first : first + LANES]
            results.update(zip(some, _together(arm, begin, gripper, plans, some, rate), strict=True))
    return [results[i] for i in range(len(plans))]


def _together(
    arm: Arm, begin: Begin, gripper: Floats, plans: Sequence[tuple[ActionSpec, Plan]], rows: list[int], rate: float
) -> list[Made | Refusal]:
    """Plans of one contract and length. If one cannot be read, each is read alone."""
    spec, plan = plans[rows[0]]
    actions = np.stack([np.asarray(plans[i][1].actions, dtype=np.float64) for i in rows])
    try:
        assert plan.rate_hz is not None
        made = _commands(arm, spec, actions, part_of(begin, rows), gripper[rows], plan.rate_hz, rate)
    except Refusal as refusal:
        if len(rows) == 1:
            return [refusal]
        return [_together(arm, begin, gripper, plans, [i], rate)[0] for i in rows]
    return made


def part_of(begin: Begin, rows: Sequence[int]) -> Begin:
    """The beginnings of some plans."""

    def some(pose: Pose) -> Pose:
        return Pose(pose.position[rows], pose.orientation[rows])

    cameras = {name: some(pose) for name, pose in begin.cameras.items()}
    return replace(
        begin,
        q=begin.q[rows],
        tool=some(begin.tool),
        opening=begin.opening[rows],
        base=some(begin.base),
        cameras=cameras,
    )


def _length(arm: Arm, spec: ActionSpec, plan: Plan, rate: float, steps: int) -> int:
    """Actions of a plan that fits the arm and the time."""
    if spec.arms:
        raise Refusal("wrong_robot", f"{spec.name} commands {len(spec.arms)} arms; this scene has one.")
    joints = spec.width - (1 if spec.gripper is not None else 0)
    if spec.space == "joint" and joints != len(arm.joints):
        raise Refusal(
            "wrong_robot", f"{spec.name} commands an arm of {joints} joints; this scene's has {len(arm.joints)}."
        )
    named = tuple(name for name, _ in spec.layout if name != "gripper")
    if spec.space == "joint" and named != arm.joints and sorted(named) == sorted(arm.joints):
        raise Refusal(
            "wrong_robot",
            f"{spec.name} has the joints in the order {', '.join(named)}; this scene's are {', '.join(arm.joints)}.",
        )
    assert plan.rate_hz is not None and isinstance(plan.actions, np.ndarray)
    count = len(plan.actions)
    if count * rate / plan.rate_hz > steps + 1e-9:
        raise Refusal(
            "too_many_steps",
            f"The plan has {count} actions at {plan.rate_hz:g} Hz ({count / plan.rate_hz:.2f} s); "
            f"the task has {steps / rate:.2f} s, which is {int(steps / rate * plan.rate_hz + 1e-9)} of them.",
        )
    return count


def _commands(
    arm: Arm, spec: ActionSpec, actions: Floats, begin: Begin, gripper: Floats, given: float, rate: float
) -> list[Made | Refusal]:
    """Commands of B plans (B, T, width) at `given` [Hz]."""
    if spec.space == "joint":
        motion = angles(spec, actions, begin, given)
        tool = kinematics.tool_pose(motion.q, *chain_of(arm))[0]
        q = kernel.resample(motion.q, begin.q, given, rate, hold=False)
        faults: list[Refusal | tuple[str, ...]] = [_outside(arm, spec, one) for one in motion.q]
        opening = motion.opening
    else:
        path = poses(spec, actions, begin, given)
        position = kernel.resample(path.position, begin.tool.position, given, rate, hold=False)
        orientation = kernel.resample_turns(path.orientation, begin.tool.orientation, given, rate, hold=False)
        q, faults = _reached(arm, spec, position, orientation, begin.q, given, rate)
        tool, opening = path.position, path.opening
    held = np.broadcast_to(gripper[:, None, None], (*q.shape[:2], 1))
    told = (NO_GRIPPER,) if opening is not None and arm.gripper_control is None else ()
    if opening is not None:
        span = arm.gripper_open - arm.gripper_closed
        control = arm.gripper_closed + opening[..., None] * span
        held = kernel.resample(control, gripper[:, None], given, rate, hold=True)
    rows = np.concatenate([q, held], axis=-1)
    made: list[Made | Refusal] = []
    for i, fault in enumerate(faults):
        if isinstance(fault, Refusal):
            made.append(fault)
            continue
        odd = speed_suspicion(np.concatenate([begin.tool.position[i : i + 1], tool[i]]), given)
        made.append(Made(rows[i], odd + fault + told))
    return made


def _outside(arm: Arm, spec: ActionSpec, q: Floats) -> Refusal | tuple[str, ...]:
    outside = ~((q >= arm.q_min) & (q <= arm.q_max))
    if not outside.any():
        return ()
    row, joint = np.argwhere(outside)[0].tolist()
    return Refusal(
        "out_of_range",
        f"Action {row + 1} of {spec.name} takes {arm.joints[joint]} to {q[row, joint]:.6g} rad; "
        f"its range is {arm.q_min[joint]:.6g} to {arm.q_max[joint]:.6g} rad.",
    )


def _reached(
    arm: Arm, spec: ActionSpec, position: Floats, orientation: Floats, q0: Floats, given: float, rate: float
) -> tuple[Floats, list[Refusal | tuple[str, ...]]]:
    """Joint angles (B, T, J) along paths of the tool, and for each path what is wrong with it."""
    chain = chain_of(arm)
    path = track(chain, position, orientation, q0, arm.home, arm.q_min, arm.q_max)
    q = unhurried(path.q, q0, arm.qd_max / rate)
    where, turn = kinematics.tool_pose(q, *chain)
    lag = _distances(position, orientation, where, turn)
    faults: list[Refusal | tuple[str, ...]] = []
    for i in range(len(q)):
        missed = (path.position_error[i] > OFF[0]) | (path.rotation_error[i] > OFF[1])
        if missed.any():
            faults.append(_unreachable(spec, position[i], path.position_error[i], path.rotation_error[i], given, rate))
            continue
        behind = (lag[0][i] > BEHIND[0]) | (lag[1][i] > BEHIND[1])
        if behind.any():
            row = int(np.argmax(behind))
            faults.append(
                Refusal(
                    "too_fast",
                    f"Action {_action(row, given, rate)} of {spec.name} leaves the arm {lag[0][i, row]:.2f} m and "
                    f"{lag[1][i, row]:.2f} rad behind with its joints at full speed. Plan slower motions.",
                )
            )
            continue
        worst = int(np.argmax(lag[0][i] / NOTED[0] + lag[1][i] / NOTED[1]))
        off = (float(lag[0][i, worst]), float(lag[1][i, worst]))
        late = off[0] > NOTED[0] or off[1] > NOTED[1]
        told = (
            f"At action {_action(worst, given, rate)} the arm is {off[0]:.3f} m and {off[1]:.2f} rad off its command."
        )
        faults.append((told,) if late else ())
    return q, faults


def _distances(position: Floats, orientation: Floats, where: Floats, turn: Floats) -> tuple[Floats, Floats]:
    """Metres and radians between two paths of poses."""
    angle = rotation.to_vector(rotation.multiply(turn, rotation.conjugate(orientation)))
    return _length_of(position - where), _length_of(angle)


def _length_of(vector: Floats) -> Floats:
    """Lengths of vectors (..., 3)."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    length: Floats = np.sqrt(x * x + y * y + z * z)
    return length


def _unreachable(spec: ActionSpec, position: Floats, off: Floats, turned: Floats, given: float, rate: float) -> Refusal:
    row = int(np.argmax((off > OFF[0]) | (turned > OFF[1])))
    at = ", ".join(f"{value:z.3f}" for value in position[row])
    return Refusal(
        "unreachable",
        f"Action {_action(row, given, rate)} of {spec.name} takes the tool to ({at}) m, which is {off[row]:.3f} m and "
        f"{turned[row]:.2f} rad beyond what the arm can do. Is the contract the right one?",
    )


def _action(step: int, given: float, rate: float) -> int:
    """The number of the action, from 1, in force at the end of a control step."""
    return max(1, int(np.ceil((step + 1) * given / rate - 1e-6)))
