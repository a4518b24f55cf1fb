"""Joint angles for the poses of a route, and sentences about those that the arm cannot reach."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.kernels import ik, kinematics
from worldverify.kernels.kinematics import Chain
from worldverify.legs import Legs
from worldverify.refusal import Refusal
from worldverify.route import Leg

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

REACHED = (1e-3, 1e-2)  # m and rad: farther off, a pose is out of reach
NEAR = (2e-4, 2e-3)  # m and rad: farther off, a sample gets more iterations
STARTS = 12  # joint angles from which a pose is tried before it is called unreachable
LANES = 1024  # solved at once: what fits the cache


def chain_of(arm: Arm) -> Chain:
    """The arm as the kinematics kernels take it."""
    return Chain(arm.offset_pos, arm.offset_quat, arm.tool_pos, arm.tool_quat, arm.base_pos, arm.base_quat)


def solve_ends(arm: Arm, chain: Chain, legs: Legs, refused: dict[int, Refusal]) -> Floats:
    """Joint angles at every node (nodes, J)."""
    node_q = legs.node_q.copy()
    lanes = np.flatnonzero(legs.moves)
    start = legs.node_q[legs.node[lanes]][:, None]
    found = solve(arm, chain, legs.end_pos[lanes], legs.end_quat[lanes], start, iterations=14, pull=0.1)
    node_q[legs.node[lanes]] = found.q
    missed = lanes[~_within(found, ik.TOLERANCE)]
    # A route that cannot be followed usually shows it at its first hard pose: the others may not be worth the search.
    _, firsts = np.unique(legs.route[missed], return_index=True)
    for some in (missed[firsts], np.delete(missed, firsts)):
        some = np.array([k for k in some if int(legs.route[k]) not in refused], dtype=np.int64)
        if some.size:
            node_q[legs.node[some]] = _search(arm, chain, legs, some, refused)
    return node_q


def _search(arm: Arm, chain: Chain, legs: Legs, some: Ints, refused: dict[int, Refusal]) -> Floats:
    """Joint angles (m, J) at the ends of m legs, from many starts; refuses the routes whose ends are out of reach."""
    spread = ik.spread(arm.home, arm.q_min, arm.q_max, STARTS)
    first = legs.node_q[legs.node[some]][:, None]
    starts = np.concatenate([first, np.broadcast_to(spread, (some.size, *spread.shape))], axis=1)
    pos, quat = legs.end_pos[some], legs.end_quat[some]
    found = solve(arm, chain, pos, quat, starts, iterations=32, pull=0.1)
    lost = np.flatnonzero(~_within(found, REACHED))
    if lost.size:
        near = solve(arm, chain, pos[lost], quat[lost], starts[lost, :4], iterations=24, pull=0.0, turn=0.0)
        for row, best in enumerate(lost):
            sentence = _unreachable(chain, legs.of[some[best]], _row(found, int(best)), _row(near, row))
            refused.setdefault(int(legs.route[some[best]]), sentence)
    q: Floats = found.q
    return q


def refine(
    arm: Arm, chain: Chain, pos: Floats, quat: Floats, guess: Floats, *, iterations: int
) -> tuple[Floats, Bools]:
    """Joint angles near a guess (L, J), and which poses are out of reach (L,)."""
    found = solve(arm, chain, pos, quat, guess[:, None], iterations=iterations, pull=0.0)
    q, missed = found.q, ~_within(found, NEAR)
    if missed.any():
        more = solve(arm, chain, pos[missed], quat[missed], q[missed][:, None], iterations=14, pull=0.0)
        q = q.copy()
        q[missed] = more.q
        missed[missed] = ~_within(more, REACHED)
    return q, missed


def solve(
    arm: Arm,
    chain: Chain,
    pos: Floats,
    quat: Floats,
    starts: Floats,
    *,
    iterations: int,
    pull: float,
    turn: float = 1.0,
) -> ik.Solution:
    """`ik.solve` in blocks of lanes. Poses and starts that stand there twice, as in plans that begin alike, once."""
    first, place = _alike(pos, quat, starts)
    pos, quat, starts = pos[first], quat[first], starts[first]
    block = max(1, LANES // starts.shape[1])
    parts = [
        ik.solve(
            chain,
            pos[i : i + block],
            quat[i : i + block],
            starts[i : i + block],
            np.broadcast_to(arm.home, (len(pos[i : i + block]), arm.home.size)),
            arm.q_min,
            arm.q_max,
            iterations=iterations,
            pull=pull,
            rotation_weight=turn,
        )
        for i in range(0, max(len(pos), 1), block)
    ]
    return ik.Solution(*(np.concatenate(part)[place] for part in zip(*parts, strict=True)))


def _alike(*fields: Floats) -> tuple[Ints, Ints]:
    """(distinct rows, where among them each row of the fields (L, ...) stands). Only equal bits are alike."""
    rows = np.concatenate([np.reshape(field, (len(field), math.prod(field.shape[1:]))) for field in fields], axis=1)
    seen: dict[bytes, int] = {}
    first: list[int] = []
    place: list[int] = []
    for i, row in enumerate(rows):
        key = row.tobytes()
        if key not in seen:
            seen[key] = len(first)
            first.append(i)
        place.append(seen[key])
    return np.array(first, dtype=np.int64), np.array(place, dtype=np.int64)


def _row(found: ik.Solution, row: int) -> ik.Solution:
    return ik.Solution(*(part[row] for part in found))


def _within(found: ik.Solution, limits: tuple[float, float]) -> Bools:
    inside: Bools = (found.position_error < limits[0]) & (found.rotation_error < limits[1])
    return inside


def _unreachable(chain: Chain, leg: Leg, best: ik.Solution, near: ik.Solution) -> Refusal:
    """What the arm can do instead: `best` for the whole pose, `near` for the position alone."""
    at = _point(leg.position)
    if float(near.position_error) < REACHED[0]:
        off = f"{float(best.position_error):.3f} m and {math.degrees(float(best.rotation_error)):.0f} degrees off"
        return Refusal(
            "unreachable",
            f"{leg.label} at {at} can be reached, but not with orientation {_numbers(leg.orientation)}: "
            f"the nearest pose is {off}. Bring it closer, or turn it.",
        )
    spot, _ = kinematics.tool_pose(near.q, *chain)
    return Refusal(
        "unreachable",
        f"{leg.label} at {at} is {float(near.position_error):.2g} m beyond reach: "
        f"the nearest that the tool gets is {_point(spot)}.",
    )


def off_line(leg: Leg, where: Floats) -> Refusal:
    """A leg whose straight way leaves what the arm can do, at a point (3,) m."""
    return Refusal(
        "unreachable",
        f"{leg.label} cannot be reached in a straight line: on the way, at {_point(where)}, the arm comes to a "
        f"joint limit or the end of its reach. Put a point before it that leads around.",
    )


def _point(position: Any) -> str:
    return f"({', '.join(f'{value:z.3f}' for value in position)}) m"


def _numbers(values: Any) -> str:
    return f"[{', '.join(f'{value:z.3f}' for value in values)}]"
