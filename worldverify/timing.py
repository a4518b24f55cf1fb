"""When the tool is where: times that the plan gives, or the usual speeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.kernels import trajectory
from worldverify.legs import Legs
from worldverify.refusal import Refusal
from worldverify.route import Leg
from worldverify.tracing import Paths

Floats = NDArray[np.float64]

TOOL_SPEED = 0.3  # m/s, average over a leg without a time
TOOL_ACCELERATION = 4.0  # m/s^2, the most on such a leg
TURN_SPEED = 1.5  # rad/s
TURN_ACCELERATION = 15.0  # rad/s^2
JOINT_SHARE = 0.9  # of a joint's speed limit, the most on such a leg
SOON = 1e-9  # control steps


@dataclass(frozen=True, eq=False)
class Timing:
    """When one route is where, in control steps from its start."""

    legs: slice
    begin: Floats  # (K,)
    arrive: Floats  # (K,)
    entry: Floats  # (K,)  speed at the beginning over the average
    leave: Floats  # (K,)  and at the end
    rows: int  # commands


def durations_of(legs: Legs, paths: Paths) -> Floats:
    """Seconds for each leg that has no time of its own (M,)."""
    seconds: Floats = np.maximum.reduce(
        [
            legs.length / TOOL_SPEED,
            legs.angle / TURN_SPEED,
            np.sqrt(trajectory.JERK * legs.length / TOOL_ACCELERATION),
            np.sqrt(trajectory.JERK * legs.angle / TURN_ACCELERATION),
            trajectory.PEAK * paths.pace / JOINT_SHARE,
        ]
    )
    return seconds


def schedule(legs: Legs, route: int, durations: Floats, rate: float, steps: int) -> Timing | Refusal:
    """When each leg of a route begins and arrives."""
    span = slice(*np.searchsorted(legs.route, [route, route + 1]))
    begin, arrive, ends = [], [], []
    now = 0.0
    for leg, moves, duration in zip(legs.of[span], legs.moves[span], durations[span], strict=True):
        begin.append(now)
        if leg.time is None:
            now += max(1.0, math.ceil(duration * rate - 1e-6)) if moves else 0.0
        elif moves and leg.time * rate <= now:
            return Refusal(
                "too_fast", f"{leg.label} is due at the start, but is not where the tool is then; give it a later time."
            )
        else:
            now = leg.time * rate
        # Without a way to go the leg arrives at once, and the rest of its time is spent there.
        arrive.append(now if moves else begin[-1])
        now += math.ceil(leg.rest * rate - 1e-6)
        ends.append(now)
    rows = max(1, math.ceil(now - 1e-6))
    if rows > steps:
        return _too_long(legs.of[span], ends, rate, steps)
    begun, arrived = np.array(begin), np.array(arrive)
    entry, leave = _passing(legs, span, begun, arrived, np.array(ends))
    return Timing(span, begun, arrived, entry, leave, rows)


def _too_long(legs: Sequence[Leg], ends: Sequence[float], rate: float, steps: int) -> Refusal:
    fitting = [leg.label for leg, end in zip(legs, ends, strict=True) if end <= steps + 1e-6]
    whole = [label for label in fitting if label not in {leg.label for leg in legs[len(fitting) :]}]
    fits = f"It fits up to {whole[-1]}." if whole else "Not even the first part fits."
    return Refusal(
        "too_many_steps",
        f"The plan takes {ends[-1] / rate:.2f} s ({math.ceil(ends[-1] - 1e-6)} steps at {rate:g} Hz); "
        f"the task has {steps / rate:.2f} s ({steps} steps). {fits}",
    )


def _passing(legs: Legs, span: slice, begin: Floats, arrive: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Speeds at the beginning and the end of each leg, over its average: 0 where the tool stops."""
    moves, direction = legs.moves[span], legs.direction[:, span]
    average = legs.way[span] / np.maximum(arrive - begin, SOON)
    product = direction[:, :-1] * direction[:, 1:]
    cosine = product[0] + product[1] + product[2] + product[3] + product[4] + product[5]
    gripper = np.array([leg.gripper for leg in legs.of[span]])
    before = np.concatenate([[np.nan], gripper[:-1]])
    straight = legs.straight[span]
    flows = (
        straight[:-1]
        & straight[1:]
        & moves[:-1]
        & moves[1:]
        & (ends[:-1] == arrive[:-1])
        & (gripper[:-1] == before[:-1])
    )
    speed = trajectory.passing_speed(average[:-1], average[1:], np.where(flows, cosine, 0.0))
    safe = np.where(moves, average, 1.0)
    return np.concatenate([[0.0], speed]) / safe, np.concatenate([speed, [0.0]]) / safe
