"""From a verdict to a number for a trainer: PASS is 1, the rest lies between the task's minimum and half-way."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, cast, get_args

from worldverify.refusal import Cause
from worldverify.verdict import Margin, Status, Verdict

Kind = Literal["binary", "shaped", "staged"]

PASS_REWARD = 1.0

# Of the kind "staged": what an answer has reached that does not pass.
NOTHING, FAULTY, READ, SIMULATED, ALMOST = 0.0, 0.1, 0.2, 0.4, 0.9

# The codes of `worldverify.refusal.CODES` that a plan is to blame for.
_NO_PLAN = {"empty", "too_long", "too_deep", "truncated", "malformed", "ambiguous", "no_plan", "unknown_format"}
_FAULTY_PLAN = {
    *("unknown_key", "missing_key", "wrong_type", "wrong_width", "not_finite", "out_of_range", "bad_quaternion"),
    *("bad_time", "wrong_rate", "too_many_steps", "bad_contract", "missing_statistics", "wrong_robot"),
    *("unknown_skill", "unknown_object"),
}
_CANNOT_BE_FOLLOWED = {"no_camera", "outside_image", "hits_nothing", "wrong_object", "unreachable", "too_fast"}
STAGE = {
    **dict.fromkeys(_NO_PLAN, NOTHING),
    **dict.fromkeys(_FAULTY_PLAN, FAULTY),
    **dict.fromkeys(_CANNOT_BE_FOLLOWED, READ),
}


def reward_of(status: Status, cause: Cause | None, margins: Iterable[Margin], reward_min: float) -> tuple[float, bool]:
    """(reward, whether a trainer may use it).

    A plan that cannot be read or breaks the simulation gets the minimum, or a policy would learn to crash the
    simulator; what is not the plan's fault gets NaN and is to be masked, never zero.
    """
    if status == "PASS":
        return PASS_REWARD, True
    if status == "INVALID":
        return (reward_min, True) if cause == "plan" else (math.nan, False)
    return reward_min + 0.5 * (PASS_REWARD - reward_min) * _mean([_merit(m.relative) for m in margins]), True


def score_of(verdict: Verdict, kind: Kind = "shaped") -> float | None:
    """The reward of a verdict; None if it says nothing about the plan.

    "binary": 1 for a PASS, 0 for all else. "shaped": the verdict's own reward, 1 for a PASS, the task's least for what
    cannot be read or breaks the simulation, between them by margins. "staged": in steps, for a model that cannot write
    plans yet: 0 for a text that holds no whole plan, 0.1 for a plan with a fault, 0.2 for one that cannot be followed,
    0.4 to 0.9 for one that was simulated, 1 for a PASS; breaking the simulation gets 0. Of what was simulated a goal
    pays by how near it came, a guard by how long it held, so that it does not pay to fail early.
    """
    kind = kind_of(kind)
    if not verdict.valid:
        return None
    if kind == "shaped":
        return float(verdict.reward)
    if verdict.status == "PASS" or kind == "binary":
        return PASS_REWARD if verdict.status == "PASS" else 0.0
    if verdict.status == "INVALID":
        return STAGE.get(verdict.code or "", NOTHING)
    held = 1.0 if verdict.decided_s is None else verdict.decided_s / verdict.request["horizon_s"]
    return SIMULATED + (ALMOST - SIMULATED) * _mean([_progress(m, held) for m in verdict.margins.values()])


def kind_of(name: str) -> Kind:
    """The kind of that name."""
    if name not in get_args(Kind):
        raise ValueError(f"A kind of reward is {', '.join(get_args(Kind))}; got {name!r}.")
    return cast(Kind, name)


def _mean(merits: Sequence[float]) -> float:
    return sum(merits) / len(merits)


def _merit(relative: float | None) -> float:
    """1 for a satisfied requirement, 1/2 for an undecided one, less the more a violated one is violated."""
    if relative is None:
        return 0.5
    return 1.0 if relative > 0 else 0.5 / (1.0 - relative)


def _progress(margin: Margin, held: float) -> float:
    """The merit of a requirement; of one that is open at the end of the evidence, by what is known of it.

    `held` is the share of the horizon that the evidence covers.
    """
    if margin.relative is not None:
        return _merit(margin.relative)
    low, high = margin.interval
    if math.isfinite(low):  # a goal: more evidence could only better it
        return _merit(low / margin.scale)
    return held if math.isfinite(high) else 0.0
