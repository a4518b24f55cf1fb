"""The legs of many routes as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.kernels import rotation, trajectory
from worldverify.route import Leg, Start

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STILL = 1e-6  # m and rad: no way to go
TURN_ARM = 0.2  # m: a turn counts like the way of a point at this distance


@dataclass(frozen=True, eq=False)
class Legs:
    """M legs of all routes, one after the other. A route has a node at its start and one at the end of each leg."""

    of: tuple[Leg, ...]
    route: Ints  # (M,)  which route
    node: Ints  # (M,)  node at the end; the one before it is where the leg begins
    begin_pos: Floats  # (M, 3)  m
    begin_quat: Floats  # (M, 4)  wxyz
    end_pos: Floats  # (M, 3)  m
    end_quat: Floats  # (M, 4)  wxyz
    length: Floats  # (M,)  m
    angle: Floats  # (M,)  rad
    way: Floats  # (M,)  m, with the turn at TURN_ARM
    direction: Floats  # (6, M)  of that way, unit
    moves: Bools  # (M,)
    straight: Bools  # (M,)
    node_q: Floats  # (nodes, J)  rad; known at the starts


def lay_out(arm: Arm, starts: Sequence[Start], routes: Sequence[Sequence[Leg]]) -> Legs:
    """All legs of all routes, in order."""
    of, route, node = [], [], []
    pos, quat, q = [], [], []
    for i, (start, legs) in enumerate(zip(starts, routes, strict=True)):
        pos.append(start.position)
        quat.append(start.orientation)
        q.append(start.q)
        for leg in legs:
            of.append(leg)
            route.append(i)
            node.append(len(pos))
            pos.append(leg.position)
            quat.append(leg.orientation)
            q.append(start.q)
    all_pos, all_quat = np.array(pos), np.array(quat)
    at = np.array(node, dtype=np.int64)
    begin_pos, begin_quat, end_pos, end_quat = all_pos[at - 1], all_quat[at - 1], all_pos[at], all_quat[at]
    turn = rotation.to_vector(rotation.multiply(end_quat, rotation.conjugate(begin_quat)))
    shift = end_pos - begin_pos
    length, angle = _norm(shift), _norm(turn)
    way = np.sqrt(length * length + (TURN_ARM * angle) * (TURN_ARM * angle))
    direction = np.concatenate([shift, TURN_ARM * turn], axis=-1) / np.maximum(way, STILL)[:, None]
    return Legs(
        of=tuple(of),
        route=np.array(route, dtype=np.int64),
        node=at,
        begin_pos=begin_pos,
        begin_quat=begin_quat,
        end_pos=end_pos,
        end_quat=end_quat,
        length=length,
        angle=angle,
        way=way,
        direction=np.ascontiguousarray(direction.T),
        moves=(length > STILL) | (angle > STILL),
        straight=np.array([leg.straight for leg in of], dtype=np.bool_),
        node_q=np.clip(np.array(q), arm.q_min, arm.q_max),
    )


def line(legs: Legs, leg: Ints, share: Floats) -> tuple[Floats, Floats]:
    """Poses a share of the way along legs."""
    pose: tuple[Floats, Floats] = trajectory.line(
        legs.begin_pos[leg], legs.begin_quat[leg], legs.end_pos[leg], legs.end_quat[leg], share
    )
    return pose


def carried_on(legs: Legs, node_q: Floats) -> Floats:
    """`node_q` with the node after a leg that does not move equal to the node before it."""
    q = node_q.copy()
    for node in legs.node[~legs.moves]:
        q[node] = q[node - 1]
    return q


def _norm(vector: Floats) -> Floats:
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    length: Floats = np.sqrt(x * x + y * y + z * z)
    return length
