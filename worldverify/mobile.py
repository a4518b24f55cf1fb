"""Skills of an arm on a base that drives: it reaches while the base stands, and is carried while the base drives."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.base import Base, standing
from worldverify.driving import Start as Stand
from worldverify.driving import drive_through
from worldverify.follow import follow
from worldverify.kernels import kinematics
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.route import Leg, Start
from worldverify.skills import Catalogue, skill_route

Floats = NDArray[np.float64]

SETTLE = 0.5  # s that a base rests after a drive, for its servos to catch up before the arm moves


def drive_and_reach(
    arm: Arm,
    base: Base,
    calls: Sequence[Mapping[str, Any]],
    begin: Start,
    stand: Stand,
    model: Any,
    data: Any,
    names: Catalogue,
    *,
    rate: float,
    steps: int,
) -> tuple[Floats, Floats]:
    """Commands (T, J + 1) of the arm and targets (T, 3) of the base for a list of skills, at `rate` [Hz], T <= `steps`.

    `arm` is given in the frame of the base, which starts as `stand`; `begin` is the arm there, and `data` the scene,
    after `mj_kinematics`. Base and arm move in turns, never at once. Raises Refusal.
    """
    here = standing(arm, stand.pose)
    home = kinematics.tool_pose(arm.home, *chain_of(here))
    legs = skill_route(begin, calls, here, home, model, data, names, stand.pose)
    commands, poses, left = [np.zeros((0, len(begin.q) + 1))], [np.zeros((0, 3))], steps
    for drives, part in groupby(legs, key=lambda leg: leg.drive is not None):
        some = list(part)
        if drives:
            path = _driven(base, stand, some, rate, left, steps)
            held = np.append(begin.q, begin.gripper)
            commands.append(np.tile(held, (len(path), 1)))
            poses.append(path)
            stand = Stand(path[-1], np.zeros(2))
            here = standing(arm, stand.pose)
        else:
            (made,) = follow(here, [begin], [some], rate=rate, steps=left)
            if isinstance(made, Refusal):
                raise _too_late(some, rate, steps) if made.code == "too_many_steps" else _from_here(made)
            commands.append(made)
            poses.append(np.tile(stand.pose, (len(made), 1)))
        left -= len(poses[-1])
        begin = Start(commands[-1][-1, :-1], some[-1].position, some[-1].orientation, some[-1].gripper)
    return np.concatenate(commands), np.concatenate(poses)


def _driven(base: Base, stand: Stand, legs: Sequence[Leg], rate: float, left: int, steps: int) -> Floats:
    """(T, 3) targets of a base on drives one after the other, with a rest at the end."""
    rest = round(SETTLE * rate)
    path = np.zeros((0, 3))
    for leg in legs:
        assert leg.drive is not None
        place = {"position": leg.drive[:2], "yaw": leg.drive[2], "time": leg.seconds}
        try:
            way = drive_through(base, stand, [place], rate=rate, steps=left - rest - len(path), label=leg.label)
        except Refusal as refusal:
            raise _too_late(legs, rate, steps) if refusal.code == "too_many_steps" else refusal from None
        path, stand = np.concatenate([path, way]), Stand(way[-1], np.zeros(2))
    return np.concatenate([path, np.tile(path[-1], (rest, 1))])


def _from_here(refusal: Refusal) -> Refusal:
    """What the arm cannot reach may be within its reach from elsewhere."""
    if refusal.code != "unreachable":
        return refusal
    return Refusal(refusal.code, f"{refusal.reason} Drive nearer first, with drive_to.", refusal.cause)


def _too_late(legs: Sequence[Leg], rate: float, steps: int) -> Refusal:
    return Refusal(
        "too_many_steps", f"The plan is not done after {steps / rate:.2f} s, the time of the task, by {legs[-1].label}."
    )
