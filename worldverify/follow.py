"""Joint commands that take the tool along its legs: a batch of routes through the inverse kinematics together.

Every array operation here is elementwise over legs or samples, so a route has the same commands in any batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.kernels import ik, kinematics, rotation, trajectory
from worldverify.kernels.kinematics import Chain
from worldverify.refusal import Refusal
from worldverify.route import Leg, Start

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOOL_SPEED = 0.3  # m/s, average over a leg without a time
TOOL_ACCELERATION = 4.0  # m/s^2, the most on such a leg
TURN_SPEED = 1.5  # rad/s
TURN_ACCELERATION = 15.0  # rad/s^2
JOINT_SHARE = 0.9  # of a joint's speed limit, the most on such a leg
REACHED = (1e-3, 1e-2)  # m and rad: farther off, a pose is out of reach
NEAR = (2e-4, 2e-3)  # m and rad: farther off, a sample gets more iterations
STILL = 1e-6  # m and rad: no way to go
SPACING = (0.04, 0.3, 0.3)  # m, rad of the tool, rad of a joint: between the samples that trace a leg
JUMP = 0.8  # rad of a joint between two such samples: the arm has turned over
TURN_ARM = 0.2  # m: a turn counts like the way of a point at this distance
STARTS = 12  # joint angles from which a pose is tried before it is called unreachable
LANES = 1024  # solved at once: what fits the cache
_SOON = 1e-9  # control steps


@dataclass(frozen=True, eq=False)
class _Legs:
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
    node_q: Floats  # (nodes, J)  rad; known at the starts


@dataclass(frozen=True, eq=False)
class _Paths:
    """Joint angles along each leg that moves, at even shares of its way, both ends included."""

    q: Floats  # (P, J)  rad
    first: Ints  # (M,)  sample at the beginning of a leg
    count: Ints  # (M,)  steps between samples of a leg; 0: it does not move
    node_q: Floats  # (nodes, J)  rad
    pace: Floats  # (M,)  s that the leg takes at even speed with the busiest joint at its limit


@dataclass(frozen=True, eq=False)
class _Timing:
    """When one route is where, in control steps from its start."""

    legs: slice
    begin: Floats  # (K,)
    arrive: Floats  # (K,)
    entry: Floats  # (K,)  speed at the beginning over the average
    leave: Floats  # (K,)  and at the end
    rows: int  # commands


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
    legs = _lay_out(arm, starts, routes)
    chain = chain_of(arm)
    paths = _trace(arm, chain, legs, _solve_ends(arm, chain, legs, refused), refused)
    slowness = np.ones(len(legs.of))
    done: dict[int, Floats] = {}
    for last in (False, False, True):
        timings: dict[int, _Timing] = {}
        durations = _durations(legs, paths) * slowness
        for i in range(len(routes)):
            if i not in refused and i not in done:
                timing = _schedule(legs, i, durations, rate, steps)
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


def chain_of(arm: Arm) -> Chain:
    """The arm as the kinematics kernels take it."""
    return Chain(arm.offset_pos, arm.offset_quat, arm.tool_pos, arm.tool_quat, arm.base_pos, arm.base_quat)


def _lay_out(arm: Arm, starts: Sequence[Start], routes: Sequence[Sequence[Leg]]) -> _Legs:
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
    return _Legs(
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
        node_q=np.clip(np.array(q), arm.q_min, arm.q_max),
    )


def _solve_ends(arm: Arm, chain: Chain, legs: _Legs, refused: dict[int, Refusal]) -> Floats:
    """Joint angles at every node (nodes, J)."""
    node_q = legs.node_q.copy()
    lanes = np.flatnonzero(legs.moves)
    start = legs.node_q[legs.node[lanes]][:, None]
    found = _solve(arm, chain, legs.end_pos[lanes], legs.end_quat[lanes], start, iterations=14, pull=0.1)
    node_q[legs.node[lanes]] = found.q
    missed = lanes[~_within(found, ik.TOLERANCE)]
    # A route that cannot be followed usually shows it at its first hard pose: the others may not be worth the search.
    _, firsts = np.unique(legs.route[missed], return_index=True)
    for some in (missed[firsts], np.delete(missed, firsts)):
        some = np.array([k for k in some if int(legs.route[k]) not in refused], dtype=np.int64)
        if some.size:
            starts = np.concatenate(
                [
                    legs.node_q[legs.node[some]][:, None],
                    np.broadcast_to(
                        ik.spread(arm.home, arm.q_min, arm.q_max, STARTS), (some.size, STARTS, arm.home.size)
                    ),
                ],
                axis=1,
            )
            pos, quat = legs.end_pos[some], legs.end_quat[some]
            found = _solve(arm, chain, pos, quat, starts, iterations=32, pull=0.1)
            node_q[legs.node[some]] = found.q
            lost = ~_within(found, REACHED)
            if lost.any():
                near = _solve(arm, chain, pos[lost], quat[lost], starts[lost], iterations=32, pull=0.0, turn=0.0)
                for row, k in enumerate(some[lost]):
                    best = ik.Solution(*(part[lost][row] for part in found))
                    reason = _unreachable(chain, legs.of[k], best, ik.Solution(*(part[row] for part in near)))
                    refused.setdefault(int(legs.route[k]), reason)
    return node_q


def _unreachable(chain: Chain, leg: Leg, best: ik.Solution, near: ik.Solution) -> Refusal:
    """What the arm can do instead: `best` for the whole pose, `near` for the position alone."""
    at = _point(leg.position)
    if float(near.position_error) < REACHED[0]:
        return Refusal(
            "unreachable",
            f"{leg.label} at {at} can be reached, but not with orientation {_numbers(leg.orientation)}: the nearest pose "
            f"is {float(best.position_error):.3f} m and {math.degrees(float(best.rotation_error)):.0f} degrees off. "
            f"Bring it closer, or turn it ([0, 1, 0, 0] points straight down).",
        )
    spot, _ = kinematics.tool_pose(near.q, *chain)
    return Refusal(
        "unreachable",
        f"{leg.label} at {at} is {float(near.position_error):.2g} m beyond reach: "
        f"the nearest that the tool gets is {_point(spot)}.",
    )


def _trace(arm: Arm, chain: Chain, legs: _Legs, node_q: Floats, refused: dict[int, Refusal]) -> _Paths:
    """Follow each leg's straight line in a few samples, all at once; where the arm turns over, one after the other."""
    moving = np.flatnonzero(legs.moves & ~_refused(legs, refused))
    carried = _carried(legs, node_q)
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
    inner = np.flatnonzero((number > 0) & (number < count[leg]))
    pos, quat = _line(legs, leg, share)
    q[inner], missed = _refine(arm, chain, pos[inner], quat[inner], q[inner], iterations=6)
    lost = np.zeros(leg.size, dtype=np.bool_)
    lost[inner] = missed
    lost |= _jumps(q, leg)
    again = np.unique(legs.route[leg[lost]])
    if again.size:
        _track(arm, chain, legs, leg, number, pos, quat, q, again, refused)
    node_q = node_q.copy()
    node_q[legs.node[moving]] = q[first[moving] + count[moving]]
    node_q = _carried(legs, node_q)
    pace = np.zeros(len(legs.of))
    if leg.size:
        speed = np.zeros(leg.size)
        speed[1:] = np.max(np.abs(q[1:] - q[:-1]) / arm.qd_max, axis=-1)
        speed[first[moving]] = 0.0
        pace[moving] = np.maximum.reduceat(speed, first[moving]) * count[moving]
    return _Paths(q, first, count, node_q, pace)


def _track(
    arm: Arm,
    chain: Chain,
    legs: _Legs,
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
        found, missed = _refine(arm, chain, pos[at], quat[at], now[lanes], iterations=6)
        missed |= np.max(np.abs(found - now[lanes]), axis=-1) > JUMP
        begins = number[at] == 1
        q[at[begins] - 1] = now[lanes][begins]
        q[at] = found
        now[lanes] = found
        for k, sample in zip(np.array(lanes)[missed], at[missed], strict=True):
            refused[int(again[k])] = _off_line(legs.of[leg[sample]], pos[sample])


def _off_line(leg: Leg, where: Floats) -> Refusal:
    return Refusal(
        "unreachable",
        f"{leg.label} cannot be reached in a straight line: on the way, at {_point(where)}, the arm comes to a joint limit "
        f"or the end of its reach. Put a point before it that leads around.",
    )


def _durations(legs: _Legs, paths: _Paths) -> Floats:
    """Seconds for each leg that has no time of its own (M,)."""
    return np.maximum.reduce(
        [
            legs.length / TOOL_SPEED,
            legs.angle / TURN_SPEED,
            np.sqrt(trajectory.JERK * legs.length / TOOL_ACCELERATION),
            np.sqrt(trajectory.JERK * legs.angle / TURN_ACCELERATION),
            trajectory.PEAK * paths.pace / JOINT_SHARE,
        ]
    )


def _schedule(legs: _Legs, route: int, durations: Floats, rate: float, steps: int) -> _Timing | Refusal:
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
    return _Timing(span, begun, arrived, entry, leave, rows)


def _too_long(legs: Sequence[Leg], ends: Sequence[float], rate: float, steps: int) -> Refusal:
    fitting = [leg.label for leg, end in zip(legs, ends, strict=True) if end <= steps + 1e-6]
    whole = [label for label in fitting if label not in {leg.label for leg in legs[len(fitting) :]}]
    fits = f"It fits up to {whole[-1]}." if whole else "Not even the first part fits."
    return Refusal(
        "too_many_steps",
        f"The plan takes {ends[-1] / rate:.2f} s ({math.ceil(ends[-1] - 1e-6)} steps at {rate:g} Hz); "
        f"the task has {steps / rate:.2f} s ({steps} steps). {fits}",
    )


def _passing(legs: _Legs, span: slice, begin: Floats, arrive: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Speeds at the beginning and the end of each leg, over its average: 0 where the tool stops."""
    moves, direction = legs.moves[span], legs.direction[:, span]
    average = legs.way[span] / np.maximum(arrive - begin, _SOON)
    product = direction[:, :-1] * direction[:, 1:]
    cosine = product[0] + product[1] + product[2] + product[3] + product[4] + product[5]
    gripper = np.array([leg.gripper for leg in legs.of[span]])
    before = np.concatenate([[np.nan], gripper[:-1]])
    flows = moves[:-1] & moves[1:] & (ends[:-1] == arrive[:-1]) & (gripper[:-1] == before[:-1])
    speed = trajectory.passing_speed(average[:-1], average[1:], np.where(flows, cosine, 0.0))
    safe = np.where(moves, average, 1.0)
    return np.concatenate([[0.0], speed]) / safe, np.concatenate([speed, [0.0]]) / safe


def _sample(
    arm: Arm,
    chain: Chain,
    legs: _Legs,
    paths: _Paths,
    timings: dict[int, _Timing],
    starts: Sequence[Start],
    refused: dict[int, Refusal],
) -> dict[int, _Made]:
    """Commands at the end of each control step, all routes at once."""
    leg_parts, share_parts, inner_parts, grip_parts = [], [], [], []
    for i, timing in timings.items():
        now = np.arange(1.0, timing.rows + 1.0)
        k = np.searchsorted(timing.begin, now - _SOON, side="left") - 1
        span = np.maximum(timing.arrive[k] - timing.begin[k], _SOON)
        fraction = np.clip((now - timing.begin[k]) / span, 0.0, 1.0)
        share_parts.append(trajectory.progress(fraction, timing.entry[k], timing.leave[k]))
        leg_parts.append(timing.legs.start + k)
        inner_parts.append(legs.moves[timing.legs][k] & (fraction < 1.0 - _SOON))
        held = np.array([starts[i].gripper] + [leg.gripper for leg in legs.of[timing.legs]])
        grip_parts.append(held[np.searchsorted(timing.arrive, now + _SOON, side="right")])
    leg, share, grip = np.concatenate(leg_parts), np.concatenate(share_parts), np.concatenate(grip_parts)
    q = paths.node_q[legs.node[leg]]
    inner = np.flatnonzero(np.concatenate(inner_parts))
    some = leg[inner]
    pos, quat = _line(legs, some, share[inner])
    guess = _along(paths, some, share[inner])
    q[inner], missed = _refine(arm, chain, pos, quat, guess, iterations=2)
    for k, where in zip(some[missed], pos[missed], strict=True):
        refused.setdefault(int(legs.route[k]), _off_line(legs.of[k], where))
    rows = np.concatenate([q, grip[:, None]], axis=-1)
    made, at = {}, 0
    for i, timing in timings.items():
        if i not in refused:
            made[i] = _Made(rows[at : at + timing.rows].copy(), leg[at : at + timing.rows])
        at += timing.rows
    return made


def _along(paths: _Paths, leg: Ints, share: Floats) -> Floats:
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


def _speeds(
    arm: Arm, legs: _Legs, paths: _Paths, made: _Made, timing: _Timing, rate: float, *, last: bool
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


def _refine(
    arm: Arm, chain: Chain, pos: Floats, quat: Floats, guess: Floats, *, iterations: int
) -> tuple[Floats, Bools]:
    """Joint angles near a guess (L, J), and which poses are out of reach (L,)."""
    found = _solve(arm, chain, pos, quat, guess[:, None], iterations=iterations, pull=0.0)
    q, missed = found.q, ~_within(found, NEAR)
    if missed.any():
        more = _solve(arm, chain, pos[missed], quat[missed], q[missed][:, None], iterations=14, pull=0.0)
        q = q.copy()
        q[missed] = more.q
        missed[missed] = ~_within(more, REACHED)
    return q, missed


def _solve(
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
    """`ik.solve` in blocks of lanes."""
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
    return ik.Solution(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _carried(legs: _Legs, node_q: Floats) -> Floats:
    """`node_q` with the node after a leg that does not move equal to the node before it."""
    q = node_q.copy()
    for node in legs.node[~legs.moves]:
        q[node] = q[node - 1]
    return q


def _line(legs: _Legs, leg: Ints, share: Floats) -> tuple[Floats, Floats]:
    """Poses a share of the way along legs."""
    pose: tuple[Floats, Floats] = trajectory.line(
        legs.begin_pos[leg], legs.begin_quat[leg], legs.end_pos[leg], legs.end_quat[leg], share
    )
    return pose


def _jumps(q: Floats, leg: Ints) -> Bools:
    """Samples whose joints are far from those of the sample before in the same leg."""
    far = np.zeros(leg.size, dtype=np.bool_)
    far[1:] = (np.max(np.abs(q[1:] - q[:-1]), axis=-1) > JUMP) & (leg[1:] == leg[:-1])
    return far


def _refused(legs: _Legs, refused: dict[int, Refusal]) -> Bools:
    return np.isin(legs.route, list(refused))


def _within(found: ik.Solution, limits: tuple[float, float]) -> Bools:
    inside: Bools = (found.position_error < limits[0]) & (found.rotation_error < limits[1])
    return inside


def _norm(vector: Floats) -> Floats:
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    length: Floats = np.sqrt(x * x + y * y + z * z)
    return length


def _point(position: Any) -> str:
    return f"({', '.join(f'{value:z.3f}' for value in position)}) m"


def _numbers(values: Any) -> str:
    return f"[{', '.join(f'{value:z.3f}' for value in values)}]"
