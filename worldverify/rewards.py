"""From a verdict to a number for a trainer: PASS is 1, the rest lies between the task's minimum and half-way."""

import math
from collections.abc import Iterable

from worldverify.refusal import Cause
from worldverify.verdict import Margin, Status

PASS_REWARD = 1.0


def reward_of(status: Status, cause: Cause | None, margins: Iterable[Margin], reward_min: float) -> tuple[float, bool]:
    """(reward, whether a trainer may use it).

    A plan that cannot be read or breaks the simulation gets the minimum, or a policy would learn to crash the
    simulator; what is not the plan's fault gets NaN and is to be masked, never zero.
    """
    if status == "PASS":
        return PASS_REWARD, True
    if status == "INVALID":
        return (reward_min, True) if cause == "plan" else (math.nan, False)
    merits = [_merit(m) for m in margins]
    return reward_min + 0.5 * (PASS_REWARD - reward_min) * (sum(merits) / len(merits)), True


def _merit(margin: Margin) -> float:
    """1 for a satisfied requirement, 1/2 for an undecided one, less the more a violated one is violated."""
    if margin.relative is None:
        return 0.5
    return 1.0 if margin.relative > 0 else 0.5 / (1.0 - margin.relative)
