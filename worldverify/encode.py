"""A motion written by a contract: the inverse of what `decode` reads."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from worldverify.action import CAMERA, METRES, TIMED, ActionSpec, Gripper, Range
from worldverify.action_check import IN_ANGLES
from worldverify.decode import DOWN, RADIANS, Angles, Begin, Pose, Poses, about_tool_z
from worldverify.encode_points import afterwards, corners, events, waypoints
from worldverify.kernels import actions as kernel
from worldverify.kernels import rotation
from worldverify.motion import Motion
from worldverify.plan import Plan
from worldverify.refusal import Refusal
from worldverify.syntax import form_of
from worldverify.syntax.form import Actions

Floats = NDArray[np.float64]

UNTIMED = ("trajectory", "voxels")  # syntaxes that hold the way and leave its time to the planner
LEVEL = 0.1  # rad, by which a motion may turn where the contract has no numbers for turns
ROUNDING = 1e-9  # of a range, by which a number may lie outside of it


def encode(spec: ActionSpec, motion: Motion, begin: Begin) -> Actions:
    """The actions under which an arm that begins as `begin` (of one plan) carries out a motion, at the motion's rate.

    Formats without times keep its way only, as straight lines between the corners.
    Raises Refusal where the contract cannot say the motion: for another robot, beyond its ranges, turns that it has no
    numbers for. Raises ValueError if the motion is not at the contract's rate.
    """
    _check_fits(spec, motion)
    if spec.syntax == "waypoints":
        return waypoints(motion, gripper=spec.gripper is not None)
    position, orientation, opening = motion.position, motion.orientation, motion.opening
    if spec.syntax in UNTIMED:
        steps = corners(motion, begin, straight=spec.path == "straight")
        position, orientation, opening = position[steps], orientation[steps], afterwards(opening)[steps]
    if spec.space == "joint":
        rows = rows_of_angles(spec, Angles(motion.q[None], opening[None]), begin, motion.rate_hz)[0]
    else:
        rows = rows_of_poses(spec, Poses(position[None], orientation[None], opening[None]), begin)[0]
    rounded: Floats = np.round(rows)
    if spec.syntax == "trajectory":
        return events(spec, rows, opening, float(begin.opening[0]))
    return rounded if spec.syntax == "voxels" else rows


def plan_of(spec: ActionSpec, motion: Motion, begin: Begin, *, id: str | None = None) -> Plan:
    """The plan of a contract that carries out a motion. Raises as `encode` does."""
    return Plan(
        id, spec.name, motion.rate_hz if spec.syntax in TIMED else None, encode(spec, motion, begin), contract=spec
    )


def as_text(plan: Plan, contracts: Mapping[str, ActionSpec]) -> str:
    """A text that is read back as the same actions, by the plan's own contract or the task's `contracts`."""
    spec = contracts[plan.format] if plan.contract is None else plan.contract
    return form_of(spec).write(plan.actions, spec)


def _check_fits(spec: ActionSpec, motion: Motion) -> None:
    if spec.arms:
        raise Refusal("wrong_robot", f"{spec.name} commands {len(spec.arms)} arms; the motion is of one.")
    if spec.space not in ("joint", "eef"):
        what = "raw controls" if spec.space == "ctrl" else "what to do, not how to move"
        raise Refusal("unknown_format", f"{spec.name} holds {what}; a motion is written in joint angles or poses.")
    joints, own = motion.q.shape[1], spec.width - (1 if spec.gripper is not None else 0)
    if spec.space == "joint" and own != joints:
        raise Refusal("wrong_robot", f"{spec.name} commands an arm of {own} joints; the motion is of {joints}.")
    if spec.rate_hz is not None and not math.isclose(spec.rate_hz, motion.rate_hz, rel_tol=1e-9):
        raise ValueError(
            f"The motion has {motion.rate_hz:g} steps a second; {spec.name} has {spec.rate_hz:g}: resample it first."
        )


def rows_of_poses(spec: ActionSpec, wanted: Poses, begin: Begin) -> Floats:
    """Rows (B, T, width) of a contract of the end effector whose poses are the wanted ones. Raises Refusal."""
    kinds = dict(spec.representation)
    side = "left" if spec.rotation_side == "none" else spec.rotation_side
    absolute = kinds["position"] == "absolute"
    along_tool = spec.frame == "tool" and not absolute
    moves = {
        kind: _unfollowed(spec, kind, wanted, begin.tool, side=side, tool=along_tool)
        for kind in dict.fromkeys(kinds.values())
    }
    shift = moves[kinds["position"]][0]
    turn = moves[kinds["rotation"]][1] if spec.has("rotation") else None
    axes = begin.tool if spec.frame == "tool" and absolute else _axes(spec, begin)
    if axes is not None:
        back = rotation.conjugate(axes.orientation)[:, None]
        shift = rotation.rotate(back, shift - axes.position[:, None] if absolute else shift)
        if turn is not None and (kinds["rotation"] == "absolute" or spec.frame == "tool"):
            turn = rotation.multiply(back, turn)
        elif turn is not None and side == "left":
            turn = rotation.multiply(rotation.multiply(back, turn), axes.orientation[:, None])
    parts = {"position": shift / METRES[spec.position_unit]}
    if turn is None:
        _check_level(spec, wanted.orientation, begin.tool.orientation)
    else:
        parts["rotation"] = _written(spec, turn)
    return _rows(spec, parts, wanted.opening, begin)


def _axes(spec: ActionSpec, begin: Begin) -> Pose | None:
    """The frame that positions and turns are written in; None: the world's."""
    if spec.frame == "base":
        return begin.base
    if not spec.frame.startswith(CAMERA):
        return None
    name = spec.frame.removeprefix(CAMERA)
    if name not in begin.cameras:
        raise Refusal("no_camera", f"{spec.name} is written in the frame of the camera {name!r}, which is not there.")
    return begin.cameras[name]


def _unfollowed(
    spec: ActionSpec, kind: str, wanted: Poses, start: Pose, *, side: str, tool: bool
) -> tuple[Floats, Floats]:
    """What one representation says to get to the poses: (B, T, 3), (B, T, 4)."""
    position, orientation = start.position, start.orientation
    if kind == "absolute":
        return wanted.position, wanted.orientation
    if kind == "delta_to_achieved" and spec.controller is not None:
        law = spec.controller
        assert spec.rate_hz is not None
        goals: tuple[Floats, Floats] = kernel.respond_inverse(
            position,
            orientation,
            wanted.position,
            wanted.orientation,
            kp=law.kp,
            damping=law.damping,
            period=1.0 / spec.rate_hz,
            side=side,
            tool=tool,
        )
        return goals
    if kind in ("delta_to_previous_target", "delta_to_achieved"):
        steps: tuple[Floats, Floats] = kernel.deltas(
            position, orientation, wanted.position, wanted.orientation, side=side, tool=tool
        )
        return steps
    length = wanted.position.shape[1] if spec.execute is None else spec.execute
    parts = []
    for first in range(0, wanted.position.shape[1], length):
        chunk = slice(first, first + length)
        where, turned = wanted.position[:, chunk], wanted.orientation[:, chunk]
        parts.append(kernel.offsets_from_start(position, orientation, where, turned, side=side, tool=tool))
        position, orientation = where[:, -1], turned[:, -1]
    return np.concatenate([part[0] for part in parts], axis=1), np.concatenate([part[1] for part in parts], axis=1)


def _check_level(spec: ActionSpec, orientation: Floats, start: Floats) -> None:
    """Refuses a motion that turns, for a contract without turns."""
    turn = _lengths(rotation.to_vector(rotation.multiply(orientation, rotation.conjugate(start)[:, None])))
    if turn.max() > LEVEL:
        raise Refusal(
            "out_of_range",
            f"The motion turns the tool by {turn.max():.2f} rad at step {_row_of(turn > LEVEL)}; {spec.name} has no "
            "numbers for turns.",
        )


def _written(spec: ActionSpec, turn: Floats) -> Floats:
    """Unit quaternions (B, T, 4) as the contract writes rotations (B, T, w)."""
    unit = RADIANS[spec.rotation_unit]
    if spec.tool_turn != 0.0:
        turn = rotation.multiply(turn, about_tool_z(-spec.tool_turn))
    if spec.rotation == "yaw":
        down = np.zeros(turn.shape) + DOWN
        about_z = rotation.multiply(turn, rotation.conjugate(down))
        lean = 2.0 * np.arcsin(np.clip(np.hypot(about_z[..., 1], about_z[..., 2]), 0.0, 1.0))
        if lean.max() > LEVEL:
            raise Refusal(
                "out_of_range",
                f"The gripper leans by {lean.max():.2f} rad at step {_row_of(lean > LEVEL)}; in {spec.name} it points "
                "straight down.",
            )
        yaw = 2.0 * np.arctan2(about_z[..., 3], about_z[..., 0])
        steady: Floats = np.unwrap(yaw, axis=-1)[..., None] / (unit * spec.rotation_sign)
        return steady
    if spec.rotation in IN_ANGLES:
        angles = rotation.from_quaternion(spec.rotation, np.ascontiguousarray(turn))
        _check_turns(spec, angles)
        signed: Floats = angles / (unit * spec.rotation_sign)
        return signed
    _check_turns(spec, rotation.to_vector(turn))
    if spec.rotation_sign < 0:
        turn = rotation.conjugate(turn)
    numbers: Floats = rotation.from_quaternion(spec.rotation, np.ascontiguousarray(turn))
    return numbers


def _check_turns(spec: ActionSpec, angles: Floats) -> None:
    """Refuses turns, as three angles (B, T, 3) [rad], that are longer than the contract takes, or not to be had."""
    limit = math.inf if spec.rotation_limit is None else spec.rotation_limit * (1.0 + ROUNDING)
    length = _lengths(angles)
    if not np.all(length <= limit):
        most = f"the {limit:.3g} rad that one action of {spec.name} can" if math.isfinite(limit) else "half a circle"
        raise Refusal(
            "too_fast", f"Step {_row_of(~(length <= limit))} turns the tool by more than {most}: move slower."
        )


def rows_of_angles(spec: ActionSpec, wanted: Angles, begin: Begin, rate: float) -> Floats:
    """Rows (B, T, width) of a contract of the joints, at `rate` [Hz], that lead to wanted angles. Raises Refusal."""
    kind = spec.representation[0][1]
    q, start = wanted.q, begin.q[:, None]
    if kind == "absolute":
        said = q
    elif kind == "relative_to_chunk_start":
        length = q.shape[1] if spec.execute is None else spec.execute
        chunks = [q[:, first : first + length] for first in range(0, q.shape[1], length)]
        starts = [start, *(chunk[:, -1:] for chunk in chunks)]
        said = np.concatenate([chunk - first for chunk, first in zip(chunks, starts, strict=False)], axis=1)
    else:
        said = q - np.concatenate([start, q[:, :-1]], axis=1)
        said = said * rate if kind == "velocity" else said
    joined = said / RADIANS[spec.position_unit]
    parts, at = {}, 0
    for name, width in spec.layout:
        if name != "gripper":
            parts[name] = joined[..., at : at + width]
            at += width
    return _rows(spec, parts, wanted.opening, begin)


def _rows(spec: ActionSpec, parts: dict[str, Floats], opening: Floats | None, begin: Begin) -> Floats:
    """Components (B, T, w) in the contract's units as rows (B, T, width): ranges, gripper and scaling undone."""
    if spec.gripper is not None:
        wanted = begin.opening[:, None] + np.zeros(parts[spec.layout[0][0]].shape[:-1]) if opening is None else opening
        parts = {**parts, "gripper": gripper_values(spec, spec.gripper, wanted, begin.opening)}
    for limits in spec.ranges:
        parts[limits.component] = _unscaled(spec, limits, parts[limits.component])
    rows = np.concatenate([parts[name] for name, _ in spec.layout], axis=-1)
    scale = spec.normalisation
    if scale.first is not None:
        rows = kernel.normalise(
            rows,
            scale.kind,
            np.array(scale.first),
            np.array(scale.second),
            epsilon=scale.epsilon,
            mask=None if scale.mask is None else np.array(scale.mask),
            domain=(scale.low, scale.high),
        )
    if scale.encoding == "tokens_256":
        _check_within(spec, "", rows, np.full(spec.width, -1.0), np.full(spec.width, 1.0))
        return np.asarray(kernel.tokenise(rows), dtype=np.float64)
    return rows


def _unscaled(spec: ActionSpec, limits: Range, value: Floats) -> Floats:
    """Numbers of a component as they are written; refused beyond what may be written."""
    low, high = np.array(limits.low), np.array(limits.high)
    raw = kernel.rescale(value, np.array(limits.to_low), np.array(limits.to_high), low, high)
    _check_within(spec, limits.component, raw, low, high)
    within: Floats = np.clip(raw, low, high)
    return within


def _check_within(spec: ActionSpec, component: str, raw: Floats, low: Floats, high: Floats) -> None:
    slack = ROUNDING * (high - low)
    outside = ~((raw >= low - slack) & (raw <= high + slack))
    if not outside.any():
        return
    plan, row, column = np.argwhere(outside)[0].tolist()
    name = f"{component}[{column}]" if component else spec.columns[column]
    kind = dict(spec.representation).get(component or spec.layout[0][0], "absolute")
    fast = kind != "absolute"
    advice = "move slower" if fast else "stay within it"
    raise Refusal(
        "too_fast" if fast else "out_of_range",
        f"Step {row + 1} of the motion needs {name} = {raw[plan, row, column]:.3g} in {spec.name}, whose range is "
        f"{low[column]:g} to {high[column]:g}: {advice}.",
    )


def gripper_values(spec: ActionSpec, gripper: Gripper, opening: Floats, start: Floats) -> Floats:
    """What opens a gripper as wanted (B, T), 0 to 1, if it was `start` (B,) before: (B, T, 1). Raises Refusal."""
    stroke = gripper.open - gripper.closed
    if gripper.mode == "absolute":
        shown = opening if gripper.threshold is None else np.round(opening)
        return (gripper.closed + shown * stroke)[..., None]
    values = np.zeros(opening.shape)
    middle = 0.5 * (gripper.open + gripper.closed)
    step = 1.0 if gripper.step is None else gripper.step
    now, held, left = start.copy(), np.zeros(start.shape), np.zeros(start.shape, dtype=int)
    for k in range(opening.shape[1]):
        change = opening[:, k] - now
        if gripper.mode == "sign_hold":
            # A gripper that is fully open or closed is told so on and on, as policies do: only between does it hold.
            sign = np.where(np.abs(change) > 0.5 * step, np.sign(change), 0.0)
            sign = np.where(opening[:, k] >= 1.0, 1.0, np.where(opening[:, k] <= 0.0, -1.0, sign))
            values[:, k] = np.where(sign > 0, gripper.open, np.where(sign < 0, gripper.closed, middle))
            now = np.clip(now + sign * step, 0.0, 1.0)
            continue
        wanted = np.where(np.abs(change) > ROUNDING, np.clip(change * stroke, gripper.low, gripper.high), 0.0)
        if gripper.hold_steps:
            taken = (left == 0) & (wanted != 0.0)
            held, left = np.where(taken, wanted, held), np.where(taken, gripper.hold_steps, left)
            wanted, left = np.where(left > 0, held, 0.0), np.maximum(left - 1, 0)
        values[:, k] = wanted
        now = np.clip(now + wanted / stroke, 0.0, 1.0)
        if gripper.hold_steps and np.any(np.abs(now - opening[:, k]) > 0.5):
            raise Refusal(
                "too_fast",
                f"The gripper of {spec.name} stays with a command for {gripper.hold_steps} actions; step {k + 1} of "
                "the motion needs another before that.",
            )
    return values[..., None]


def _lengths(vector: Floats) -> Floats:
    """Lengths of vectors (..., 3)."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    length: Floats = np.sqrt(x * x + y * y + z * z)
    return length


def _row_of(wrong: NDArray[np.bool_]) -> int:
    """The number, from 1, of the first step (B, T) of which something is so."""
    return int(np.argwhere(wrong)[0][1]) + 1
