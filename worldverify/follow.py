"""Joint commands that take the tool along its legs: a batch of routes through the inverse kinematics together.

Every array operation here is elementwise over legs or samples, so a route has the same commands in any batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.kernels import trajectory
from worldverify.kernels.kinematics import Chain
from worldverify.legs import Legs, lay_out, line
from worldverify.reach import chain_of, off_line, refine, solve_ends
from worldverify.refusal import Refusal
from worldverify.route import Leg, Start
from worldverify.timing import JOINT_SHARE, SOON, Timing, durations_of, schedule
from worldverify.tracing import Paths, along, trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class _Made(NamedTuple):
    """Commands of one route and the leg that each belongs to."""

    commands: Floats  # (T, J + 1)
    leg: Ints  # (T,)


def follow(
    arm: Arm, starts: Sequence[Start], routes: Sequence[Sequence[Leg]], *, rate: float, steps: int
) -> list[Floats | Refusal]:
    """Commands (T, J + 1) at `rate` [Hz], T <= `steps`: joint angles [rad], then the gripper's control.

    A Refusal in the place of a route that leaves the arm's reach, is too fast for a joint, or takes too long.
    """
    refused: dict[int, Refusal] = {}
    legs = lay_out(arm, starts, routes)
    chain = chain_of(arm)
    paths = trace(arm, chain, legs, solve_ends(arm, chain, legs, refused), refused)
    slowness = np.ones(len(legs.of))
    done: dict[int, Floats] = {}
    for last in (False, False, True):
        timings: dict[int, Timing] = {}
        durations = durations_of(legs, paths) * slowness
        for i in range(len(routes)):
            if i not in refused and i not in done:
                timing = schedule(legs, i, durations, rate, steps)
                if isinstance(timing, Refusal):
                    refused[i] = timing
                else:
                    timings[i] = timing
        if not timings:
            break
        for i, made in _sample(arm, chain, legs, paths, timings, starts, refused).items():
            verdict = _speeds(arm, legs, paths, made, timings[i], rate, last=last)
            if isinstance(verdict, Refusal):
                refused[i] = verdict
            elif verdict is None:
                done[i] = made.commands
            else:
                slowness[timings[i].legs] *= verdict
    return [refused[i] if i in refused else done[i] for i in range(len(routes))]


def _sample(
    arm: Arm,
    chain: Chain,
    legs: Legs,
    paths: Paths,
    timings: dict[int, Timing],
    starts: Sequence[Start],
    refused: dict[int, Refusal],
) -> dict[int, _Made]:
    """Commands at the end of each control step, all routes at once."""
    leg_parts, share_parts, inner_parts, grip_parts = [], [], [], []
    for i, timing in timings.items():
        now = np.arange(1.0, timing.rows + 1.0)
        k = np.searchsorted(timing.begin, now - SOON, side="left") - 1
        span = np.maximum(timing.arrive[k] - timing.begin[k], SOON)
        fraction = np.clip((now - timing.begin[k]) / span, 0.0, 1.0)
        share_parts.append(trajectory.progress(fraction, timing.entry[k], timing.leave[k]))
        leg_parts.append(timing.legs.start + k)
        inner_parts.append(legs.moves[timing.legs][k] & (fraction < 1.0 - SOON))
        held = np.array([starts[i].gripper] + [leg.gripper for leg in legs.of[timing.legs]])
        grip_parts.append(held[np.searchsorted(timing.arrive, now + SOON, side="right")])
    leg, share, grip = np.concatenate(leg_parts), np.concatenate(share_parts), np.concatenate(grip_parts)
    q = paths.node_q[legs.node[leg]]
    inner = np.flatnonzero(np.concatenate(inner_parts))
    some = leg[inner]
    pos, quat = line(legs, some, share[inner])
    guess = along(paths, some, share[inner])
    q[inner] = guess
    on_line = np.flatnonzero(legs.straight[some])
    q[inner[on_line]], missed = refine(arm, chain, pos[on_line], quat[on_line], guess[on_line], iterations=2)
    for k, where in zip(some[on_line][missed], pos[on_line][missed], strict=True):
        refused.setdefault(int(legs.route[k]), off_line(legs.of[k], where))
    rows = np.concatenate([q, grip[:, None]], axis=-1)
    made, at = {}, 0
    for i, timing in timings.items():
        if i not in refused:
            made[i] = _Made(rows[at : at + timing.rows].copy(), leg[at : at + timing.rows])
        at += timing.rows
    return made


def _speeds(
    arm: Arm, legs: Legs, paths: Paths, made: _Made, timing: Timing, rate: float, *, last: bool
) -> Refusal | Floats | None:
    """None if no joint is too fast; else a Refusal, or how much more time each leg of the route needs (K,)."""
    q = made.commands[:, :-1]
    start = paths.node_q[legs.node[timing.legs.start] - 1]
    speed = np.abs(np.diff(np.concatenate([start[None], q]), axis=0)) * rate
    load = np.max(speed / arm.qd_max, axis=-1)
    timed = legs.of[timing.legs.start].time is not None
    if np.all(load <= (1.0 + 1e-6 if timed or last else 0.97)):
        return None
    if timed or last:
        row = int(np.argmax(load))
        leg, joint = int(made.leg[row]), int(np.argmax(speed[row] / arm.qd_max))
        k = leg - timing.legs.start
        needed = (timing.arrive[k] - timing.begin[k]) / rate
        return Refusal(
            "too_fast",
            f"{legs.of[leg].label} asks {arm.joints[joint]} for {speed[row, joint]:.2f} rad/s; it can do "
            f"{arm.qd_max[joint]:.2f} rad/s. Give that way {needed * load[row] * 1.1:.2f} s instead of {needed:.2f} s.",
        )
    more = np.ones(timing.legs.stop - timing.legs.start)
    np.maximum.at(more, made.leg - timing.legs.start, load / JOINT_SHARE)
    return more
