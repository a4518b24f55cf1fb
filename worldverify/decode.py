"""What the numbers of a plan mean: from the rows of a contract to poses or joint angles in SI units."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.action import CAMERA, LARGEST, METRES, ActionSpec, Gripper
from worldverify.action_check import IN_ANGLES
from worldverify.kernels import actions as kernel
from worldverify.kernels import rotation
from worldverify.kernels.affine import running_sum
from worldverify.planfields import GRIPPER_SLACK
from worldverify.refusal import Refusal

Floats = NDArray[np.float64]

RADIANS = {"rad": 1.0, "deg": math.pi / 180, "rad/s": 1.0, "deg/s": math.pi / 180, "none": 1.0}
DOWN = (0.0, 1.0, 0.0, 0.0)  # wxyz, of a gripper that points straight down


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a frame is in the world, for each of B plans."""

    position: Floats  # (B, 3)  m
    orientation: Floats  # (B, 4)  wxyz


@dataclass(frozen=True, eq=False)
class Begin:
    """The robot in the states that B plans start from."""

    q: Floats  # (B, J)  rad
    tool: Pose
    opening: Floats  # (B,)  0 closed to 1 open
    base: Pose
    cameras: Mapping[str, Pose]  # by name: x to the right of the image, y down, z into the scene


@dataclass(frozen=True, eq=False)
class Poses:
    """Where the tool is to be at the end of each action of B plans."""

    position: Floats  # (B, T, 3)  m, in the world
    orientation: Floats  # (B, T, 4)  wxyz
    opening: Floats | None  # (B, T)  0 closed to 1 open; None: the gripper stays as it is


@dataclass(frozen=True, eq=False)
class Angles:
    """Where the joints are to be at the end of each action of B plans."""

    q: Floats  # (B, T, J)  rad
    opening: Floats | None  # (B, T)


def controls(spec: ActionSpec, actions: Floats) -> Floats:
    """Rows (T, width) of a contract of raw controls, un-normalised and scaled. Raises Refusal."""
    values = numbers(spec, actions[None])
    return np.concatenate([values[name][0] for name, _ in spec.layout], axis=-1)


def physical(spec: ActionSpec, actions: Floats, *, opening: float = 1.0) -> dict[str, Floats]:
    """What rows (T, width) say in SI units, before it matters where the robot is.

    Keys: "position" (T, 3) m, "rotation" (T, 3) a rotation vector [rad], "joints" (T, J) rad or rad/s, "gripper" (T,) 0
    closed to 1 open, if it was `opening` before; of several arms "<arm>/position" and so on. Raises Refusal.
    """
    if spec.arms:
        parts: dict[str, Floats] = {}
        for arm, part, columns in arm_columns(spec):
            for key, value in physical(part, actions[:, columns], opening=opening).items():
                parts[f"{arm}/{key}"] = value
        return parts
    values = numbers(spec, actions[None])
    said: dict[str, Floats] = {}
    if spec.space == "eef":
        said["position"] = values["position"][0]
        if spec.has("rotation"):
            said["rotation"] = rotation.to_vector(turns(spec, values["rotation"]))[0]
    else:
        said["joints"] = _joints(spec, values)[0]
    if spec.gripper is not None:
        said["gripper"] = openings(spec.gripper, values["gripper"], np.array([opening]))[0]
    return said


def arm_columns(spec: ActionSpec) -> list[tuple[str, ActionSpec, slice]]:
    """Each arm of a contract: its name, its own contract, and its columns."""
    found, at = [], 0
    for arm, part in spec.arms:
        found.append((arm, part, slice(at, at + part.width)))
        at += part.width
    return found


def poses(spec: ActionSpec, actions: Floats, begin: Begin, rate: float | None = None) -> Poses:
    """Rows (B, T, width) of a contract of the end effector, at `rate` [Hz] where it has one, as poses of the tool.

    Raises Refusal.
    """
    values = numbers(spec, actions)
    base, cameras = begin.base, begin.cameras
    turn = turns(spec, values["rotation"]) if spec.has("rotation") else None
    shift = values["position"]
    tool = spec.frame == "tool"
    axes: Pose | None = None
    if spec.frame == "base":
        axes = base
    elif spec.frame.startswith(CAMERA):
        name = spec.frame.removeprefix(CAMERA)
        if name not in cameras:
            raise Refusal(
                "no_camera", f"{spec.name} is written in the frame of the camera {name!r}, which is not there."
            )
        axes = cameras[name]
    kinds = dict(spec.representation)
    still = np.zeros_like(shift)
    level = np.broadcast_to((1.0, 0.0, 0.0, 0.0), (*shift.shape[:-1], 4))
    absolute = kinds["position"] == "absolute"
    if axes is not None:
        shift = rotation.rotate(axes.orientation[:, None], shift)
        if absolute:
            shift = axes.position[:, None] + shift
        if turn is not None:
            lead = axes.orientation[:, None]
            if kinds["rotation"] == "absolute":
                turn = rotation.multiply(lead, turn)
            elif spec.rotation_side == "left":
                turn = rotation.multiply(rotation.multiply(lead, turn), rotation.conjugate(lead))
    if tool and absolute:
        start = begin.tool
        shift = start.position[:, None] + rotation.rotate(start.orientation[:, None], shift)
        if turn is not None:
            turn = rotation.multiply(start.orientation[:, None], turn)
        tool = False
    side = "left" if spec.rotation_side == "none" else spec.rotation_side
    found: dict[str, tuple[Floats, Floats]] = {}
    for kind in dict.fromkeys(kinds.values()):
        moves = shift if kinds["position"] == kind else still
        turned = turn if turn is not None and kinds.get("rotation") == kind else level
        found[kind] = _followed(spec, kind, moves, turned, begin.tool, rate, side=side, tool=tool)
    orientation = np.broadcast_to(begin.tool.orientation[:, None], level.shape)
    if turn is not None:
        orientation = found[kinds["rotation"]][1]
    opening = None if spec.gripper is None else openings(spec.gripper, values["gripper"], begin.opening)
    return Poses(np.ascontiguousarray(found[kinds["position"]][0]), np.ascontiguousarray(orientation), opening)


def _followed(
    spec: ActionSpec, kind: str, shift: Floats, turn: Floats, start: Pose, rate: float | None, *, side: str, tool: bool
) -> tuple[Floats, Floats]:
    """Poses (B, T, 3), (B, T, 4) from what one representation says."""
    position, orientation = start.position, start.orientation
    if kind == "absolute":
        return shift, turn
    if kind == "delta_to_achieved" and spec.controller is not None:
        law = spec.controller
        given = spec.rate_hz if rate is None else rate
        assert given is not None
        period = 1.0 / given
        answer: tuple[Floats, Floats] = kernel.respond(
            position, orientation, shift, turn, kp=law.kp, damping=law.damping, period=period, side=side, tool=tool
        )
        return answer
    if kind in ("delta_to_previous_target", "delta_to_achieved"):
        summed: tuple[Floats, Floats] = kernel.accumulate(position, orientation, shift, turn, side=side, tool=tool)
        return summed
    length = shift.shape[1] if spec.execute is None else spec.execute
    parts = []
    for first in range(0, shift.shape[1], length):
        chunk = slice(first, first + length)
        where = kernel.relative_to_start(position, orientation, shift[:, chunk], turn[:, chunk], side=side, tool=tool)
        parts.append(where)
        position, orientation = where[0][:, -1], where[1][:, -1]
    return np.concatenate([part[0] for part in parts], axis=1), np.concatenate([part[1] for part in parts], axis=1)


def angles(spec: ActionSpec, actions: Floats, begin: Begin, rate: float) -> Angles:
    """Rows (B, T, width) of a contract of the joints, at `rate` [Hz], as joint angles. Raises Refusal."""
    values = numbers(spec, actions)
    said, q = _joints(spec, values), begin.q
    kind = spec.representation[0][1]
    if kind == "absolute":
        found = said
    elif kind == "relative_to_chunk_start":
        length = said.shape[1] if spec.execute is None else spec.execute
        parts = []
        for first in range(0, said.shape[1], length):
            parts.append(q[:, None] + said[:, first : first + length])
            q = parts[-1][:, -1]
        found = np.concatenate(parts, axis=1)
    else:
        found = q[:, None] + running_sum(said / rate if kind == "velocity" else said)
    opening = None if spec.gripper is None else openings(spec.gripper, values["gripper"], begin.opening)
    return Angles(np.ascontiguousarray(found), opening)


def numbers(spec: ActionSpec, actions: Floats) -> dict[str, Floats]:
    """Each component (B, T, w) of rows (B, T, width): un-normalised, scaled, limited, in SI units. Raises Refusal."""
    scale = spec.normalisation
    values = kernel.detokenise(actions) if scale.encoding == "tokens_256" else actions
    if scale.first is not None:
        values = kernel.unnormalise(
            values,
            scale.kind,
            np.array(scale.first),
            np.array(scale.second),
            epsilon=scale.epsilon,
            mask=None if scale.mask is None else np.array(scale.mask),
            domain=(scale.low, scale.high),
        )
    parts = {name: values[..., spec.part(name)] for name, _ in spec.layout}
    for limits in spec.ranges:
        low, high = np.array(limits.low), np.array(limits.high)
        value = parts[limits.component]
        if spec.range_policy == "reject":
            _reject_outside(spec, limits.component, value, low, high)
        value = kernel.clip_box(value, low, high)
        parts[limits.component] = kernel.rescale(value, low, high, np.array(limits.to_low), np.array(limits.to_high))
    for name, value in parts.items():
        _check_size(spec, name, value)
    if "position" in parts:
        parts["position"] = parts["position"] * METRES[spec.position_unit]
    if "gripper" in parts and spec.gripper is not None:
        _check_gripper(spec, spec.gripper, parts["gripper"])
    return parts


def _check_size(spec: ActionSpec, component: str, value: Floats) -> None:
    """Refuses what the contract scales to a number that only a mistake can mean."""
    wrong = ~(np.abs(value) <= LARGEST)
    if wrong.any():
        _, row, column = np.argwhere(wrong)[0].tolist()
        raise Refusal(
            "out_of_range",
            f"Action {row + 1} of {spec.name} has {component}[{column}] = {value[0, row, column]:.6g} after scaling; "
            f"nothing is beyond {LARGEST:g}.",
        )


def _reject_outside(spec: ActionSpec, component: str, value: Floats, low: Floats, high: Floats) -> None:
    outside = ~((value >= low) & (value <= high))
    if outside.any():
        _, row, column = np.argwhere(outside)[0].tolist()
        raise Refusal(
            "out_of_range",
            f"Action {row + 1} of {spec.name} has {component}[{column}] = {value[0, row, column]:.6g}; "
            f"it lies between {low[column]:g} and {high[column]:g}.",
        )


def _check_gripper(spec: ActionSpec, gripper: Gripper, value: Floats) -> None:
    slack = GRIPPER_SLACK * (gripper.high - gripper.low)
    outside = ~((value >= gripper.low - slack) & (value <= gripper.high + slack))
    if outside.any():
        _, row, _ = np.argwhere(outside)[0].tolist()
        raise Refusal(
            "out_of_range",
            f"Action {row + 1} of {spec.name} has gripper {value[0, row, 0]:.6g}; "
            f"it is {gripper.closed:g} closed to {gripper.open:g} open.",
        )
    if gripper.mode == "absolute" and gripper.threshold is not None and (value == gripper.threshold).any():
        _, row, _ = np.argwhere(value == gripper.threshold)[0].tolist()
        raise Refusal(
            "out_of_range",
            f"Action {row + 1} of {spec.name} has gripper {gripper.threshold:g}, which is neither open nor closed.",
        )


def turns(spec: ActionSpec, value: Floats) -> Floats:
    """Rotations (B, T, w) as unit quaternions (B, T, 4) of our tool, with the sign and the limit of the contract."""
    quat = _turns(spec, value)
    if spec.tool_turn == 0.0:
        return quat
    ours: Floats = rotation.multiply(quat, about_tool_z(spec.tool_turn))
    return ours


def about_tool_z(angle: float) -> Floats:
    """(4,) wxyz, a turn [rad] about z."""
    return np.array([math.cos(0.5 * angle), 0.0, 0.0, math.sin(0.5 * angle)])


def _turns(spec: ActionSpec, value: Floats) -> Floats:
    if spec.rotation == "yaw":
        yaw = value * (RADIANS[spec.rotation_unit] * spec.rotation_sign)
        if spec.rotation_limit is not None:
            yaw = kernel.clip_norm(yaw, spec.rotation_limit)
        half = 0.5 * yaw[..., 0]
        about_z: Floats = np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=-1)
        if dict(spec.representation)["rotation"] != "absolute":
            return about_z
        pointing: Floats = rotation.multiply(about_z, np.zeros(about_z.shape) + DOWN)
        return pointing
    if spec.rotation in IN_ANGLES:  # the source changes the sign and the length of the numbers, not of the turn
        numbers = value * (RADIANS[spec.rotation_unit] * spec.rotation_sign)
        if spec.rotation_limit is not None:
            numbers = kernel.clip_norm(numbers, spec.rotation_limit)
        turned: Floats = rotation.to_quaternion(spec.rotation, np.ascontiguousarray(numbers))
        return turned
    _check_turns(spec, value)
    quat: Floats = rotation.to_quaternion(spec.rotation, np.ascontiguousarray(value))
    if spec.rotation_sign < 0:
        quat = rotation.conjugate(quat)
    if spec.rotation_limit is not None:
        quat = rotation.from_vector(kernel.clip_norm(rotation.to_vector(quat), spec.rotation_limit))
    return quat


UNIT_SLACK = 0.05  # of the length of a quaternion, as a model prints it


def _check_turns(spec: ActionSpec, value: Floats) -> None:
    """Refuses what is no rotation: a quaternion far from unit length, or two axes that span no plane."""
    if spec.rotation.startswith("quat"):
        parts = value * value
        length = np.sqrt(parts[..., 0] + parts[..., 1] + parts[..., 2] + parts[..., 3])
        wrong = ~(np.abs(length - 1.0) <= UNIT_SLACK)
        what = "a quaternion that is not of length 1"
    else:
        quat = rotation.to_quaternion(spec.rotation, np.ascontiguousarray(value))
        wrong = ~np.isfinite(quat).all(axis=-1)
        what = "two axes of a rotation that span no plane"
    if wrong.any():
        _, row = np.argwhere(wrong)[0].tolist()
        raise Refusal("bad_quaternion", f"Action {row + 1} of {spec.name} has {what}.")


def _joints(spec: ActionSpec, values: Mapping[str, Floats]) -> Floats:
    """The joints (B, T, J) in rad or rad/s, in the order of the contract."""
    joined = np.concatenate([values[name] for name, _ in spec.layout if name != "gripper"], axis=-1)
    return joined * RADIANS[spec.position_unit]


def openings(gripper: Gripper, value: Floats, start: Floats) -> Floats:
    """How far the gripper is open (B, T), 0 to 1, from its component (B, T, 1) and what it was before (B,)."""
    opening: Floats = kernel.opening(
        np.clip(value[..., 0], gripper.low, gripper.high),
        start,
        is_open=gripper.open,
        is_closed=gripper.closed,
        mode=gripper.mode,
        threshold=gripper.threshold,
        step=gripper.step,
        hold_steps=gripper.hold_steps,
    )
    return opening
