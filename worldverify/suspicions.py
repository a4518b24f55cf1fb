"""What about a plan is strange under its contract: told in the verdict, never mended."""

import math

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec

Floats = NDArray[np.float64]

CHANGING = 4  # actions of a plan from which on a gripper might be expected to move
METRIC = ("m",)
SLOW = 0.1  # of the usual speed of the arm
USUAL_SPEED = 0.3  # m/s, of a tool that is carried from place to place
MOST_SPEED = 3.0  # m/s, ten times as much
_NEAR_UNIT = 1e-3
_LIMIT = 2.0 * math.pi


def suspicions(spec: ActionSpec, actions: Floats) -> tuple[str, ...]:
    """Warnings on rows (T, width) that could be read, but look as if they meant something else."""
    found: list[str] = []
    parts = {name: actions[:, spec.part(name)] for name, _ in spec.layout}
    scaled = {limits.component for limits in spec.ranges}
    plain = spec.normalisation.kind == "none" and spec.normalisation.encoding == "numbers"
    if plain:
        found += _normalised(spec, parts, scaled)
        found += _angles(spec, parts, scaled)
        found += _quaternions(spec, parts)
    found += _clipped(spec, parts, plain)
    if spec.gripper is not None and len(actions) >= CHANGING and bool(np.all(parts["gripper"] == parts["gripper"][0])):
        found.append(f"The gripper has the same value, {parts['gripper'][0, 0]:g}, in all {len(actions)} actions.")
    if spec.controller is not None:
        law = spec.controller
        found.append(
            f"The goals of {law.name} (kp {law.kp:g}, damping {law.damping:g}) are followed by inverse kinematics "
            "on its ideal response; forces in contact differ."
        )
    return tuple(found)


def speed_suspicion(position: Floats, rate: float) -> tuple[str, ...]:
    """A warning on a path of the tool (T + 1, 3) m that is ten times faster or slower than the arm is moved."""
    step = np.diff(position, axis=0)
    length = np.sqrt(step[:, 0] * step[:, 0] + step[:, 1] * step[:, 1] + step[:, 2] * step[:, 2])
    fastest = float(length.max()) * rate if len(length) else 0.0
    if fastest > MOST_SPEED:
        return (
            f"The plan moves the tool at up to {fastest:.1f} m/s; {USUAL_SPEED:g} m/s is usual. Is its unit right?",
        )
    if 0.0 < fastest < SLOW * USUAL_SPEED * 0.1:
        return (f"The plan never moves the tool faster than {1000 * fastest:.1g} mm/s. Are its numbers scaled?",)
    return ()


def _normalised(spec: ActionSpec, parts: dict[str, Floats], scaled: set[str]) -> list[str]:
    """Numbers within +-1 that touch it, where the contract says metres or radians of a change."""
    kinds = dict(spec.representation)
    found = []
    if spec.space == "eef" and "position" not in scaled and kinds["position"] not in ("absolute",):
        position = np.abs(parts["position"])
        if spec.position_unit in METRIC and position.max() <= 1.0 and position.max() > 0.2:
            found.append(
                f"One action moves the tool by {position.max():.2f} m, and no number is beyond 1: are the positions "
                f"normalised? {spec.name} takes them in metres."
            )
    if spec.space == "joint" and spec.position_unit == "deg" and not scaled:
        joints = np.concatenate([value for name, value in parts.items() if name != "gripper"], axis=1)
        if 0.0 < np.abs(joints).max() <= math.pi:
            found.append(f"No joint is beyond {np.abs(joints).max():.2f} degrees: are the angles in rad?")
    return found


def _angles(spec: ActionSpec, parts: dict[str, Floats], scaled: set[str]) -> list[str]:
    """Angles that no radian reaches."""
    angles = []
    if spec.space == "joint" and spec.position_unit == "rad":
        angles = [value for name, value in parts.items() if name != "gripper" and name not in scaled]
    elif "rotation" in parts and spec.rotation_unit == "rad" and "rotation" not in scaled:
        angles = [parts["rotation"]]
    most = max((float(np.abs(value).max()) for value in angles), default=0.0)
    if most > _LIMIT:
        return [f"An angle is {most:.4g} rad, beyond a whole turn: are the angles in degrees?"]
    return []


def _quaternions(spec: ActionSpec, parts: dict[str, Floats]) -> list[str]:
    if not spec.rotation.startswith("quat") or "rotation" not in parts:
        return []
    value = parts["rotation"]
    square = value * value
    off = float(np.abs(np.sqrt(square[:, 0] + square[:, 1] + square[:, 2] + square[:, 3]) - 1.0).max())
    return [f"A quaternion is {off:.2g} off unit length; it was scaled to 1."] if off > _NEAR_UNIT else []


def _clipped(spec: ActionSpec, parts: dict[str, Floats], plain: bool) -> list[str]:
    """Numbers beyond a range that the source clips too."""
    if spec.range_policy != "clip" or not plain:
        return []
    found = []
    for limits in spec.ranges:
        value = parts[limits.component]
        beyond = (value < np.array(limits.low)) | (value > np.array(limits.high))
        count = int(beyond.sum())
        if count:
            worst = float(value[beyond][np.argmax(np.abs(value[beyond]))])
            noun = "number is" if count == 1 else "numbers are"
            found.append(f"{count} {noun} outside the range of {limits.component} and clipped, such as {worst:.4g}.")
    return found
