"""The joint angles along each leg, before it is known how fast it is gone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.kernels import trajectory
from worldverify.kernels.kinematics import Chain
from worldverify.legs import Legs, carried_on, line
from worldverify.reach import off_line, refine
from worldverify.refusal import Refusal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SPACING = (0.04, 0.3, 0.3)  # m, rad of the tool, rad of a joint: between the samples that trace a leg
JUMP = 0.8  # rad of a joint between two such samples: the arm has turned over


@dataclass(frozen=True, eq=False)
class Paths:
    """Joint angles along each leg that moves, at even shares of its way, both ends included."""

    q: Floats  # (P, J)  rad
    first: Ints  # (M,)  sample at the beginning of a leg
    count: Ints  # (M,)  steps between samples of a leg; 0: it does not move
    node_q: Floats  # (nodes, J)  rad
    pace: Floats  # (M,)  s that the leg takes at even speed with the busiest joint at its limit


def trace(arm: Arm, chain: Chain, legs: Legs, node_q: Floats, refused: dict[int, Refusal]) -> Paths:
    """Follow each leg's straight line in a few samples, all at once; where the arm turns over, one after the other."""
    moving = np.flatnonzero(legs.moves & ~_refused(legs, refused))
    carried = carried_on(legs, node_q)
    begin_q, end_q = carried[legs.node - 1], carried[legs.node]
    swing = np.max(np.abs(end_q - begin_q), axis=-1)
    parts = [legs.length / SPACING[0], legs.angle / SPACING[1], swing / SPACING[2]]
    steps = np.ceil(np.maximum(np.maximum(parts[0], parts[1]), np.maximum(parts[2], 2.0)))
    count = np.zeros(len(legs.of), dtype=np.int64)
    count[moving] = steps[moving]
    first = np.zeros(len(legs.of), dtype=np.int64)
    first[moving] = np.cumsum(count[moving] + 1) - (count[moving] + 1)
    leg = np.repeat(moving, count[moving] + 1)
    number = np.arange(leg.size) - first[leg]
    share = number / count[leg]
    q = trajectory.between_joints(begin_q[leg], end_q[leg], share)
    inner = np.flatnonzero((number > 0) & (number < count[leg]) & legs.straight[leg])
    pos, quat = line(legs, leg, share)
    q[inner], missed = refine(arm, chain, pos[inner], quat[inner], q[inner], iterations=6)
    lost = np.zeros(leg.size, dtype=np.bool_)
    lost[inner] = missed
    lost |= _jumps(q, leg)
    again = np.unique(legs.route[leg[lost]])
    if again.size:
        _track(arm, chain, legs, leg, number, pos, quat, q, again, refused)
    node_q = node_q.copy()
    node_q[legs.node[moving]] = q[first[moving] + count[moving]]
    node_q = carried_on(legs, node_q)
    pace = np.zeros(len(legs.of))
    if leg.size:
        speed = np.zeros(leg.size)
        speed[1:] = np.max(np.abs(q[1:] - q[:-1]) / arm.qd_max, axis=-1)
        speed[first[moving]] = 0.0
        pace[moving] = np.maximum.reduceat(speed, first[moving]) * count[moving]
    return Paths(q, first, count, node_q, pace)


def _track(
    arm: Arm,
    chain: Chain,
    legs: Legs,
    leg: Ints,
    number: Ints,
    pos: Floats,
    quat: Floats,
    q: Floats,
    again: Ints,
    refused: dict[int, Refusal],
) -> None:
    """Rewrite the samples `q` of the routes `again`, each found from the one before it."""
    owner = legs.route[leg]
    queues = [np.flatnonzero((owner == i) & (number > 0)) for i in again]
    now = np.array([legs.node_q[legs.node[leg[queue[0]]]] for queue in queues])
    for n in range(max(queue.size for queue in queues)):
        lanes = [k for k, queue in enumerate(queues) if n < queue.size and int(again[k]) not in refused]
        if not lanes:
            break
        at = np.array([queues[k][n] for k in lanes])
        found, missed = refine(arm, chain, pos[at], quat[at], now[lanes], iterations=6)
        missed |= np.max(np.abs(found - now[lanes]), axis=-1) > JUMP
        begins = number[at] == 1
        q[at[begins] - 1] = now[lanes][begins]
        q[at] = found
        now[lanes] = found
        for k, sample in zip(np.array(lanes)[missed], at[missed], strict=True):
            refused[int(again[k])] = off_line(legs.of[leg[sample]], pos[sample])


def along(paths: Paths, leg: Ints, share: Floats) -> Floats:
    """Joint angles near a share of the way of each leg, from the samples of its path."""
    count = paths.count[leg]
    place = share * count
    part = np.minimum(np.floor(place), count - 1.0).astype(np.int64)
    index = paths.first[leg] + part
    start, end = paths.q[index], paths.q[index + 1]
    before = np.where((part > 0)[:, None], paths.q[np.maximum(index - 1, 0)], 2.0 * start - end)
    beyond = np.minimum(index + 2, len(paths.q) - 1)
    after = np.where((part < count - 1)[:, None], paths.q[beyond], 2.0 * end - start)
    guess: Floats = trajectory.through_joints(before, start, end, after, place - part)
    return guess


def _jumps(q: Floats, leg: Ints) -> Bools:
    """Samples whose joints are far from those of the sample before in the same leg."""
    far = np.zeros(leg.size, dtype=np.bool_)
    far[1:] = (np.max(np.abs(q[1:] - q[:-1]), axis=-1) > JUMP) & (leg[1:] == leg[:-1])
    return far


def _refused(legs: Legs, refused: dict[int, Refusal]) -> Bools:
    return np.isin(legs.route, list(refused))
