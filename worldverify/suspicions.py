"""What about a plan is strange under its contract: told in the verdict, never mended."""

import math

import numpy as np
from numpy.typing import NDArray

from worldverify.action import METRES, ActionSpec, Gripper

Floats = NDArray[np.float64]

CHANGING = 4  # actions of a plan from which on a gripper might be expected to move
USUAL = 0.3  # m/s, of a tool that is carried from place to place
TIMES = 10.0  # faster or slower than that is strange
HURRIED = 1.0  # m/s, more than a step of a data set asks for; numbers of +-1 for metres ask for more at once
STILL = 1e-4  # m/s, of a tool that only turns
NEAR_UNIT = 1e-3
WHOLE_TURN = 2.0 * math.pi


def suspicions(spec: ActionSpec, actions: Floats, rate: float | None) -> tuple[str, ...]:
    """Warnings on rows (T, width) at `rate` [Hz] that could be read, but look as if they meant something else."""
    if spec.arms:
        found, at = [], 0
        for arm, part in spec.arms:
            own = actions[:, at : at + part.width]
            at += part.width
            found += [f"Arm {arm}: {said}" for said in suspicions(part, own, rate)]
        return tuple(found)
    return (*_numbers(spec, actions, rate), *_followed_otherwise(spec))


def speed_suspicion(position: Floats, rate: float) -> tuple[str, ...]:
    """A warning on a path of the tool (T + 1, 3) m that is ten times faster or slower than an arm is moved."""
    fastest = _longest(np.diff(position, axis=0)) * rate
    if fastest > TIMES * USUAL:
        return (f"The plan moves the tool at up to {fastest:.1f} m/s; {USUAL:g} m/s is usual. Is its unit right?",)
    if STILL < fastest < USUAL / TIMES:
        return (
            f"The plan never moves the tool faster than {1000 * fastest:.1f} mm/s; {1000 * USUAL:g} mm/s is usual. "
            "Are its numbers scaled, or is its rate higher?",
        )
    return ()


def _numbers(spec: ActionSpec, actions: Floats, rate: float | None) -> list[str]:
    """What the numbers themselves give away, where they are neither tokens nor normalised."""
    parts = {name: actions[:, spec.part(name)] for name, _ in spec.layout}
    plain = spec.normalisation.kind == "none" and spec.normalisation.encoding == "numbers"
    found: list[str] = []
    if plain:
        scaled = {limits.component for limits in spec.ranges if limits[1:3] != limits[3:5]}
        physical = {name: value for name, value in parts.items() if name not in scaled}
        found += _normalised(spec, physical, rate)
        found += _angles(spec, physical)
        found += _quaternions(spec, physical)
        found += _clipped(spec, parts)
    found += _chunk(spec, len(actions))
    if spec.gripper is not None and len(actions) >= CHANGING:
        said = parts["gripper"][:, 0]
        if len(set(_commands(spec.gripper, said).tolist() if plain else said.tolist())) == 1:
            found.append(f"The gripper does the same, {said[0]:g}, in all {len(actions)} actions.")
    return found


def _normalised(spec: ActionSpec, parts: dict[str, Floats], rate: float | None) -> list[str]:
    """Numbers that all lie within +-1, where the contract takes metres or degrees of what they cannot mean."""
    if spec.space == "eef" and "position" in parts and dict(spec.representation)["position"] != "absolute":
        moving = [parts[name] for name in ("position", "rotation") if name in parts]
        most = max(float(np.abs(value).max()) for value in moving)
        step = _longest(_steps(spec, parts["position"] * METRES[spec.position_unit]))
        if most <= 1.0 and rate is not None and step * rate > HURRIED:
            return [
                f"No number is beyond 1, but one action moves the tool by {step:.2f} m, at {step * rate:.1f} m/s: are "
                f"the numbers normalised, or is the rate lower? {spec.name} takes them in {spec.position_unit}."
            ]
    if spec.space == "joint" and spec.position_unit == "deg":
        most = max(
            (float(np.abs(value).max()) for name, value in parts.items() if name != "gripper"),
            default=0.0,
        )
        if 0.0 < most <= math.pi:
            return [f"No joint is beyond {most:.2f} degrees: are the angles in rad?"]
    return []


def _steps(spec: ActionSpec, position: Floats) -> Floats:
    """Steps (T, 3) m of positions that are changes; those of a chunk all count from its start."""
    if dict(spec.representation)["position"] != "relative_to_chunk_start":
        return position
    before = np.roll(position, 1, axis=0)
    before[:: len(position) if spec.execute is None else spec.execute] = 0.0
    return position - before


def _angles(spec: ActionSpec, parts: dict[str, Floats]) -> list[str]:
    """Angles that no radian reaches."""
    angles: list[Floats] = []
    if spec.space == "joint" and spec.position_unit == "rad":
        angles = [value for name, value in parts.items() if name != "gripper"]
    elif "rotation" in parts and spec.rotation_unit == "rad":
        angles = [parts["rotation"]]
    most = max((float(np.abs(value).max()) for value in angles), default=0.0)
    if most > WHOLE_TURN:
        return [f"An angle is {most:.4g} rad, beyond a whole turn: are the angles in degrees?"]
    return []


def _quaternions(spec: ActionSpec, parts: dict[str, Floats]) -> list[str]:
    if not spec.rotation.startswith("quat") or "rotation" not in parts:
        return []
    value = parts["rotation"]
    square = value * value
    off = float(np.abs(np.sqrt(square[:, 0] + square[:, 1] + square[:, 2] + square[:, 3]) - 1.0).max())
    return [f"A quaternion is {off:.2g} off unit length; it was scaled to 1."] if off > NEAR_UNIT else []


def _clipped(spec: ActionSpec, parts: dict[str, Floats]) -> list[str]:
    """Numbers beyond a range that the source clips too."""
    if spec.range_policy != "clip":
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


def _chunk(spec: ActionSpec, count: int) -> list[str]:
    """Rows that look like one whole chunk, where it matters that a part of it is carried out."""
    relative = "relative_to_chunk_start" in dict(spec.representation).values()
    if not relative or spec.chunk is None or spec.execute is None or count != spec.chunk or spec.execute == spec.chunk:
        return []
    return [
        f"{count} rows are as many as one chunk of {spec.name}, and are read as what was carried out of several, "
        f"{spec.execute} of each: write a chunk as [[[...], ...]]."
    ]


def _commands(gripper: Gripper, value: Floats) -> Floats:
    """What a gripper is told (T,), so that values which mean the same are the same."""
    if gripper.mode == "sign_hold":
        side: Floats = np.sign(value - 0.5 * (gripper.open + gripper.closed))
        return side
    if gripper.mode == "absolute" and gripper.threshold is not None:
        return (value > gripper.threshold).astype(np.float64)
    return value


def _followed_otherwise(spec: ActionSpec) -> list[str]:
    law = spec.controller
    if law is None:
        return []
    return [
        f"The goals of {law.name} (kp {law.kp:g}, damping {law.damping:g}) are followed by inverse kinematics "
        "on its ideal response; forces in contact differ."
    ]


def _longest(steps: Floats) -> float:
    """The greatest length of vectors (T, 3), 0 if there are none."""
    length = np.sqrt(steps[:, 0] * steps[:, 0] + steps[:, 1] * steps[:, 1] + steps[:, 2] * steps[:, 2])
    return float(length.max()) if len(length) else 0.0
