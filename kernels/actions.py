"""What the numbers of an action mean: tokens, statistics, ranges, grippers, deltas, controllers and rates.

Letters: T actions, n numbers of one action; leading axes are plans. Everything is elementwise over plans, and the
value at action k never depends on later actions.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from worldverify.kernels import rotation
from worldverify.kernels.affine import is_left, running_affine, running_clip, running_sum, running_turn

Array = Any
Poses = tuple[Array, Array]  # positions (..., T, 3) [m] and orientations (..., T, 4) wxyz

VOCABULARY = 32000  # of Llama 2; OpenVLA writes its actions with the last 256 ids
NORMALISATIONS = ("none", "zscore", "q01_q99", "min_max")
GRIPPER_MODES = ("absolute", "sign_hold", "relative")

_EDGES = np.linspace(-1.0, 1.0, 256)
_SAME_TIME = 1e-9  # in periods: two clocks that differ by less strike together


def detokenise(ids: Array) -> Array:
    """OpenVLA's action tokens, integers 31744..31999 -> numbers in +-0.996, the centres (2i - 254)/255 of 255 bins.

    There are 256 edges, so 31744 and 31745 are both the last bin (openvla, prismatic/vla/action_tokenizer.py). Ids
    outside the range are clipped into it: check them first.
    """
    xp = ids.__array_namespace__()
    index = xp.clip(VOCABULARY - 1 - ids, 0, 254)
    return (2.0 * xp.astype(index, float) - 254.0) / 255.0


def tokenise(numbers: Array) -> Array:
    """Numbers, clipped to +-1 -> OpenVLA's action tokens: the vocabulary's size minus the count of edges passed."""
    xp = numbers.__array_namespace__()
    edges = xp.asarray(_EDGES, dtype=numbers.dtype)
    return VOCABULARY - xp.searchsorted(edges, xp.clip(numbers, -1.0, 1.0), side="right")


def unnormalise(
    x: Array,
    kind: str,
    first: Array,
    second: Array,
    *,
    epsilon: float,
    mask: Array | None,
    domain: tuple[float, float],
) -> Array:
    """A model's numbers (..., n) -> the units of its data, by one of NORMALISATIONS.

    zscore: x (std + epsilon) + mean, with first the mean and second the standard deviation. q01_q99 and min_max: the
    domain, usually -1 to 1, becomes first to second + epsilon (openpi, src/openpi/transforms.py, epsilon 1e-6;
    openvla-oft, 1e-8; openvla, 0). Where the mask (n,) is False the number passes through.
    """
    xp = x.__array_namespace__()
    _check_normalisation(kind)
    if kind == "none":
        return x
    if kind == "zscore":
        scaled = x * (second + epsilon) + first
    else:
        low, high = domain
        scaled = (x - low) / (high - low) * (second - first + epsilon) + first
    return scaled if mask is None else xp.where(mask, scaled, x)


def normalise(
    x: Array,
    kind: str,
    first: Array,
    second: Array,
    *,
    epsilon: float,
    mask: Array | None,
    domain: tuple[float, float],
) -> Array:
    """The inverse of `unnormalise`; where the data never varied, 0 for zscore, else the middle of the domain."""
    xp = x.__array_namespace__()
    _check_normalisation(kind)
    if kind == "none":
        return x
    low, high = (0.0, 1.0) if kind == "zscore" else domain
    spread = xp.asarray(second + epsilon if kind == "zscore" else second - first + epsilon, dtype=x.dtype)
    flat = spread == 0.0
    middle = 0.0 if kind == "zscore" else 0.5 * (low + high)
    scaled = xp.where(flat, middle, (x - first) / xp.where(flat, 1.0, spread) * (high - low) + low)
    return scaled if mask is None else xp.where(mask, scaled, x)


def rescale(x: Array, low: Array, high: Array, to_low: Array, to_high: Array) -> Array:
    """Numbers whose range low..high becomes to_low..to_high, from the middles, so that symmetric ranges keep 0 exact.

    robosuite, Controller.scale_action; not clipped.
    """
    gain = (to_high - to_low) / (high - low)
    return (x - 0.5 * (low + high)) * gain + 0.5 * (to_low + to_high)


def clip_box(x: Array, low: Array, high: Array) -> Array:
    """Numbers within low..high, each by itself."""
    xp = x.__array_namespace__()
    return xp.clip(x, low, high)


def clip_norm(x: Array, limit: float) -> Array:
    """Vectors (..., n), the longer ones shortened to a limit above 0: how ManiSkill clips a rotation."""
    xp = x.__array_namespace__()
    square = x[..., 0] * x[..., 0]
    for i in range(1, x.shape[-1]):
        square = square + x[..., i] * x[..., i]
    length = xp.sqrt(square)[..., None]
    return x * (limit / xp.maximum(length, xp.full_like(length, limit)))


def opening(
    values: Array,
    start: Array,
    *,
    is_open: float,
    is_closed: float,
    mode: str,
    threshold: float | None,
    step: float | None,
    hold_steps: int,
) -> Array:
    """How far the gripper is to be open, 0 closed to 1 open, after each of T commands (..., T) from start (...,).

    absolute: from is_closed to is_open in proportion; with a threshold, a command above it is the greater of the two
    and any other the lesser. sign_hold: a command nearer to is_open or to is_closed than the threshold (None: 0) about
    their middle opens or closes by `step` (None: fully), and one in the middle holds (robosuite's Panda gripper).
    relative: commands add up, is_open - is_closed being the full stroke; with hold_steps, one beyond the threshold
    (None: 0) stands for that many actions before the next counts (SIMPLER's Google robot, 15 and 0.5).
    """
    xp = values.__array_namespace__()
    stroke = is_open - is_closed
    if mode == "absolute":
        if threshold is None:
            return xp.clip((values - is_closed) / stroke, 0.0, 1.0)
        above, below = (1.0, 0.0) if stroke > 0.0 else (0.0, 1.0)
        return xp.where(values > threshold, xp.full_like(values, above), below)
    if mode == "sign_hold":
        offset = (values - 0.5 * (is_open + is_closed)) * math.copysign(1.0, stroke)
        acts = xp.abs(offset) > (threshold or 0.0)
        change = xp.where(acts, xp.sign(offset) * (1.0 if step is None else step), 0.0)
        return running_clip(change, start, low=0.0, high=1.0)
    if mode == "relative":
        if hold_steps:
            values = _held(values, hold_steps, threshold or 0.0)
        return running_clip(values / stroke, start, low=0.0, high=1.0)
    raise ValueError(f"No gripper mode '{mode}'. Modes: {', '.join(GRIPPER_MODES)}.")


def relative_to_start(
    start_pos: Array, start_quat: Array, dpos: Array, dquat: Array, *, side: str, tool: bool = False
) -> Poses:
    """Poses whose offsets (..., T, 3) [m], (..., T, 4) are all taken from the pose at the start (..., 3), (..., 4).

    Turns are multiplied on the "left" (fixed axes) or on the "right" (tool axes); with `tool`, positions are offset
    along the axes of the tool.
    """
    start_pos, start_quat = start_pos[..., None, :], start_quat[..., None, :]
    return start_pos + (rotation.rotate(start_quat, dpos) if tool else dpos), _turn(start_quat, dquat, side)


def offsets_from_start(
    start_pos: Array, start_quat: Array, pos: Array, quat: Array, *, side: str, tool: bool = False
) -> Poses:
    """The inverse of `relative_to_start`: poses (..., T, 3) [m], (..., T, 4) -> their offsets from the start."""
    return _offsets(start_pos[..., None, :], start_quat[..., None, :], pos, quat, side, tool)


def accumulate(
    start_pos: Array, start_quat: Array, dpos: Array, dquat: Array, *, side: str, tool: bool = False
) -> Poses:
    """Poses whose offsets (..., T, 3) [m], (..., T, 4) are each taken from the pose before, the first from the start.

    Turns are multiplied on the "left" (fixed axes) or on the "right" (tool axes); with `tool`, each position is offset
    along the axes of the tool before that action.
    """
    quat = _turns(start_quat, dquat, side)
    if tool:
        dpos = rotation.rotate(_before(start_quat, quat), dpos)
    return start_pos[..., None, :] + running_sum(dpos), quat


def deltas(start_pos: Array, start_quat: Array, pos: Array, quat: Array, *, side: str, tool: bool = False) -> Poses:
    """The inverse of `accumulate`: poses (..., T, 3) [m], (..., T, 4) -> the offset of each from the one before."""
    return _offsets(_before(start_pos, pos), _before(start_quat, quat), pos, quat, side, tool)


class Spring(NamedTuple):
    """Where x'' = kp (goal - x) - 2 damping sqrt(kp) x' is after one period, from x = 0: linear in goal and speed."""

    moved_by_goal: float  # P
    moved_by_speed: float  # Q  s
    speed_by_goal: float  # R  1/s
    speed_by_speed: float  # S


def spring(kp: float, damping: float, period: float) -> Spring:
    """The response after `period` s of a spring with gain kp [1/s^2] and a damping ratio (1: critical).

    With w = sqrt(kp), E = exp(-damping w t) and r = w sqrt(1 - damping^2), the solution is
    x = P goal + Q x'(0), x' = R goal + S x'(0), P = 1 - E (C + damping w D), Q = E D, R = kp E D,
    S = E (C - damping w D), with C = cos(r t), D = sin(r t)/r; with r imaginary, C and D are hyperbolic, and for
    damping 1 they are 1 and t.
    """
    decay = damping * math.sqrt(kp)
    excess = (damping * damping - 1.0) * kp
    root = math.sqrt(abs(excess))
    if excess > 0.0:
        slow, fading = math.exp(-kp / (decay + root) * period), -2.0 * root * period  # decay - root without cancelling
        even, odd = 0.5 * slow * (1.0 + math.exp(fading)), -0.5 * slow * math.expm1(fading) / root
    elif excess < 0.0:
        even, odd = math.cos(root * period), math.sin(root * period) / root
        even, odd = math.exp(-decay * period) * even, math.exp(-decay * period) * odd
    else:
        even, odd = math.exp(-decay * period), math.exp(-decay * period) * period
    return Spring(1.0 - even - decay * odd, odd, kp * odd, even - decay * odd)


def respond(
    start_pos: Array,
    start_quat: Array,
    dpos: Array,
    dquat: Array,
    *,
    kp: float,
    damping: float,
    period: float,
    side: str,
    tool: bool = False,
) -> Poses:
    """Poses (..., T, 3) [m], (..., T, 4) at the end of each action of an ideal operational-space controller.

    Each delta (..., T, 3) [m], (..., T, 4) sets a goal from the pose achieved by then, held for `period` s; towards it
    the tool moves as `spring` does, from rest at the start, and keeps its speed from action to action (robosuite's
    OSC_POSE, goal_update_mode "achieved": kp 150 1/s^2, damping 1, every axis by itself, mass and gravity cancelled).
    Turns are sprung as rotation vectors, about fixed axes for "left" and tool axes for "right": exact while the axis
    stays, and within 0.02 rad of the controller on the sphere of turns for two seconds of deltas up to 0.5 rad.
    """
    response = spring(kp, damping, period)
    quat = _turns(start_quat, rotation.from_vector(_moved(rotation.to_vector(dquat), response)), side)
    if tool:
        dpos = rotation.rotate(_before(start_quat, quat), dpos)
    return start_pos[..., None, :] + running_sum(_moved(dpos, response)), quat


def respond_inverse(
    start_pos: Array,
    start_quat: Array,
    pos: Array,
    quat: Array,
    *,
    kp: float,
    damping: float,
    period: float,
    side: str,
    tool: bool = False,
) -> Poses:
    """The deltas (..., T, 3) [m], (..., T, 4) under which `respond` passes through poses (..., T, 3), (..., T, 4).

    They swing about smooth ones: each speed must undo what the one before left over. A turn that would take a delta of
    pi or more is NaN, as no quaternion can ask for it.
    """
    response = spring(kp, damping, period)
    before = _before(start_quat, quat)
    dpos, turns = _offsets(_before(start_pos, pos), before, pos, quat, side, False)
    dpos, turn = _goals(dpos, response), _goals(rotation.to_vector(turns), response)
    if tool:
        dpos = rotation.rotate(rotation.conjugate(before), dpos)
    xp = turn.__array_namespace__()
    square = turn[..., 0] * turn[..., 0] + turn[..., 1] * turn[..., 1] + turn[..., 2] * turn[..., 2]
    return dpos, xp.where(square[..., None] < math.pi**2, rotation.from_vector(turn), math.nan)


def resample(values: Array, start: Array, rate_in: float, rate_out: float, *, hold: bool) -> Array:
    """Values (..., T, n) at rate_in [Hz] -> (..., T', n) as each of T' = ceil(T rate_out/rate_in) control steps ends.

    The path leaves start (..., n) at time 0 and runs straight from value to value, reaching value k at
    (k + 1)/rate_in. With `hold`, the value in force as the step ends: each is in force for the whole of its action.
    """
    xp = values.__array_namespace__()
    action, share = _clock(values.shape[-2], rate_in, rate_out)
    index = xp.asarray(action, dtype=int)
    end = xp.take(values, index, axis=-2)
    if hold:
        return end
    begin = xp.take(_before(start, values), index, axis=-2)
    return end - (1.0 - xp.asarray(share, dtype=values.dtype)[:, None]) * (end - begin)


def resample_turns(quats: Array, start: Array, rate_in: float, rate_out: float, *, hold: bool) -> Array:
    """Orientations (..., T, 4) at rate_in [Hz] -> (..., T', 4), as `resample`; the short way round, at an even rate."""
    xp = quats.__array_namespace__()
    action, share = _clock(quats.shape[-2], rate_in, rate_out)
    index = xp.asarray(action, dtype=int)
    end = xp.take(quats, index, axis=-2)
    if hold:
        return end
    begin = xp.take(_before(start, quats), index, axis=-2)
    fraction = xp.asarray(share, dtype=quats.dtype)
    return xp.where(fraction[:, None] == 1.0, end, rotation.between(begin, end, fraction))


def _check_normalisation(kind: str) -> None:
    if kind not in NORMALISATIONS:
        raise ValueError(f"No normalisation '{kind}'. Normalisations: {', '.join(NORMALISATIONS)}.")


def _held(values: Array, hold_steps: int, threshold: float) -> Array:
    """Commands (..., T), one beyond the threshold standing for hold_steps actions; lesser ones between pass through."""
    xp = values.__array_namespace__()
    held = left = xp.zeros_like(values[..., 0])
    out = []
    for k in range(values.shape[-1]):
        value = values[..., k]
        taken = (left == 0.0) & (xp.abs(value) > threshold)
        held, left = xp.where(taken, value, held), xp.where(taken, float(hold_steps), left)
        out.append(xp.where(left > 0.0, held, value))
        left = xp.maximum(left - 1.0, xp.zeros_like(left))
    return xp.stack(out, axis=-1)


def _before(start: Array, values: Array) -> Array:
    """What held before each action: start (..., n), then values (..., T, n) up to the last but one."""
    xp = values.__array_namespace__()
    first = xp.broadcast_to(start[..., None, :], (*values.shape[:-2], 1, values.shape[-1]))
    return xp.concat([first, values[..., :-1, :]], axis=-2)


def _turn(quat: Array, turn: Array, side: str) -> Array:
    return rotation.multiply(turn, quat) if is_left(side) else rotation.multiply(quat, turn)


def _turns(start_quat: Array, turns: Array, side: str) -> Array:
    """Orientations (..., T, 4) after each of T turns from start_quat (..., 4)."""
    return _turn(start_quat[..., None, :], running_turn(turns, side), side)


def _offsets(from_pos: Array, from_quat: Array, pos: Array, quat: Array, side: str, tool: bool) -> Poses:
    back = rotation.conjugate(from_quat)
    dpos = pos - from_pos
    return rotation.rotate(back, dpos) if tool else dpos, _turn(back, quat, side)


def _moved(goals: Array, response: Spring) -> Array:
    """How far each of T actions moves a spring (..., T, n) from rest, its goals (..., T, n) set from where it is."""
    speed = _speed(goals, response.speed_by_goal, response.speed_by_speed)
    return response.moved_by_goal * goals + response.moved_by_speed * speed


def _goals(moved: Array, response: Spring) -> Array:
    """The inverse of `_moved`."""
    p, q, r, s = response
    speed = _speed(moved, r / p, s - q * r / p)
    return (moved - q * speed) / p


def _speed(drive: Array, gain: float, keep: float) -> Array:
    """Speeds before each action (..., T, n): 0, then v' = gain drive + keep v."""
    xp = drive.__array_namespace__()
    after = running_affine(xp.full_like(drive, keep), gain * drive)
    return _before(xp.zeros_like(drive[..., 0, :]), after)


def _clock(count: int, rate_in: float, rate_out: float) -> tuple[list[int], list[float]]:
    """For each control step: in which of `count` actions it ends, and at what share of it (0..1]."""
    steps = math.ceil(count * rate_out / rate_in - _SAME_TIME)
    ends = [min((j + 1) * rate_in / rate_out, float(count)) for j in range(steps)]
    actions = [math.ceil(end - _SAME_TIME) - 1 for end in ends]
    shares = [end - action for end, action in zip(ends, actions, strict=True)]
    return actions, [1.0 if abs(share - 1.0) < _SAME_TIME else share for share in shares]
