"""Contracts of one kind each, with what all of the kind share filled in."""

from collections.abc import Sequence

from worldverify.action import (
    MAX_ACTIONS,
    PLAIN,
    ActionSpec,
    Controller,
    Encoding,
    Gripper,
    Image,
    Normalisation,
    NormalisationKind,
    Path,
    PositionUnit,
    Range,
    RangePolicy,
    Representation,
    Rotation,
    RotationUnit,
    Settle,
    Side,
    Syntax,
    contract,
)
from worldverify.action_check import WIDTHS

PANDA = tuple(f"joint{i}" for i in range(1, 8))  # of Franka's Panda, base first

# 1 is open and 0 closed; what is between them decides nothing, as the source rounds it.
ROUNDED = Gripper(open=1.0, closed=0.0, low=0.0, high=1.0, mode="absolute", threshold=0.5, step=None, hold_steps=0)


def unknown(
    kind: NormalisationKind, *, epsilon: float, mask: tuple[bool, ...] | None, encoding: Encoding = "numbers"
) -> Normalisation:
    """Numbers of -1..1 whose statistics the user has to give."""
    return Normalisation(kind, encoding, None, None, epsilon, mask, -1.0, 1.0)


def tool(
    name: str,
    version: str,
    *,
    representation: Representation,
    rotation: Rotation,
    side: Side,
    frame: str,
    gripper: Gripper,
    rate_hz: float | None,
    range_policy: RangePolicy,
    rotation_unit: RotationUnit = "rad",
    sign: int = 1,
    limit: float | None = None,
    ranges: tuple[Range, ...] = (),
    horizon: int = MAX_ACTIONS,
    chunk: int | None = None,
    execute: int | None = None,
    normalisation: Normalisation = PLAIN,
    controller: Controller | None = None,
    settle: Settle | None = None,
    syntax: Syntax = "rows",
    tool_turn: float = 0.0,
    path: Path = "straight",
) -> ActionSpec:
    """Position in m, rotation (if any) and gripper of the tool, each action a row of numbers."""
    width = WIDTHS[rotation]
    turning = (("rotation", width),) if width else ()
    return contract(
        name=name,
        version=version,
        syntax=syntax,
        space="eef",
        layout=(("position", 3), *turning, ("gripper", 1)),
        representation=(("position", representation), *((component, representation) for component, _ in turning)),
        position_unit="m",
        rotation=rotation,
        rotation_unit=rotation_unit if width else "none",
        rotation_side=side,
        rotation_sign=sign,
        rotation_limit=limit,
        tool_turn=tool_turn,
        frame=frame,
        ranges=ranges,
        range_policy=range_policy,
        gripper=gripper,
        rate_hz=rate_hz,
        horizon=horizon,
        chunk=chunk,
        execute=execute,
        normalisation=normalisation,
        tracker="ik",
        path=path,
        controller=controller,
        settle=settle,
    )


def joints(
    name: str,
    version: str,
    joints: Sequence[str],
    *,
    representation: Representation,
    unit: PositionUnit,
    gripper: Gripper,
    rate_hz: float | None,
    range_policy: RangePolicy,
    ranges: tuple[Range, ...] = (),
    horizon: int = MAX_ACTIONS,
    chunk: int | None = None,
    execute: int | None = None,
    normalisation: Normalisation = PLAIN,
) -> ActionSpec:
    """One number for each joint, base first, then the gripper."""
    return contract(
        name=name,
        version=version,
        syntax="rows",
        space="joint",
        layout=(*((joint, 1) for joint in joints), ("gripper", 1)),
        representation=tuple((joint, representation) for joint in joints),
        position_unit=unit,
        ranges=ranges,
        range_policy=range_policy,
        gripper=gripper,
        rate_hz=rate_hz,
        horizon=horizon,
        chunk=chunk,
        execute=execute,
        normalisation=normalisation,
        tracker="joint_pd",
    )


def points(
    name: str, version: str, *, camera: str, unit: PositionUnit, image: Image, syntax: Syntax = "points"
) -> ActionSpec:
    """Points of the image of a camera."""
    return contract(
        name=name,
        version=version,
        syntax=syntax,
        space="image",
        layout=(),
        representation=(("position", "absolute"),),
        position_unit=unit,
        frame=f"camera:{camera}",
        tracker="ik",
        image=image,
    )


def scaled(component: str, low: float, high: float, to_low: float, to_high: float, width: int) -> Range:
    """One range for all numbers of a component."""
    return Range(component, (low,) * width, (high,) * width, (to_low,) * width, (to_high,) * width)
