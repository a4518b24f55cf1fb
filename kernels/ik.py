"""Joint angles that put the tool of a serial arm at a pose: damped least squares from a list of starts.

The step is Levenberg-Marquardt with the damping that Sugihara proposes (half the squared error plus a constant;
"Solvability-Unconcerned Inverse Kinematics by the Levenberg-Marquardt Method", IEEE T-RO 27(5), 2011), with joints
that rest on a limit held there, and a pull towards a rest pose in the directions that do not move the tool.
Every operation is elementwise over lanes: a target has the same solution, bit for bit, alone and in a batch.
"""

from typing import Any, NamedTuple

from worldverify.kernels import kinematics, rotation
from worldverify.kernels.kinematics import Chain

Array = Any

STEP_LIMIT = 0.5  # rad a joint moves in one iteration, at most
DAMPING = 1e-5  # least damping, m^2: keeps a step small where the arm is singular
TOLERANCE = (1e-4, 1e-3)  # m and rad within which a start counts as converged
PULL_TIME = 0.6  # share of the iterations during which the rest pose pulls; the others only converge
_TINY = 1e-12


class Solution(NamedTuple):
    """What the arm can do for each target."""

    q: Array  # (..., J)  rad, within the limits
    position_error: Array  # (...,)  m
    rotation_error: Array  # (...,)  rad


def solve(
    chain: Chain,
    target_pos: Array,
    target_quat: Array,
    starts: Array,
    rest: Array,
    q_min: Array,
    q_max: Array,
    *,
    iterations: int = 24,
    pull: float = 0.1,
    rotation_weight: float = 1.0,
) -> Solution:
    """Joint angles for target poses (..., 3) [m] and (..., 4) wxyz, from S starts (..., S, J) [rad] each.

    Returns where the first start that converged ends, or the one that came nearest. `rest` is (..., J) [rad], the
    limits (J,) [rad]; `pull` is the share of the way to the rest pose that the first iteration goes, where it can.
    `rotation_weight` 0 asks for the position only. The number of iterations is fixed; nothing stops early.
    """
    xp = starts.__array_namespace__()
    batch, joints = starts.shape[:-1], starts.shape[-1]
    pos = _lanes_last(xp.broadcast_to(target_pos[..., None, :], (*batch, 3)))
    turn = _lanes_last(xp.broadcast_to(target_quat[..., None, :], (*batch, 4)))
    rot = xp.moveaxis(rotation.to_matrix(turn.T), 0, -1)
    relaxed = _lanes_last(xp.broadcast_to(rest[..., None, :], starts.shape))
    low, high = q_min[:, None], q_max[:, None]
    q = xp.clip(_lanes_last(starts), low, high)
    for i in range(iterations):
        gain = pull * max(0.0, 1.0 - i / (PULL_TIME * iterations))
        q = step(chain, pos, rot, q, relaxed, low, high, gain=gain, rotation_weight=rotation_weight)
    error, _ = _error(chain, pos, rot, q)
    position_error = xp.reshape(_length(error[:3]), batch)
    rotation_error = xp.reshape(_length(error[3:]), batch)
    converged = (position_error < TOLERANCE[0]) & (rotation_weight * rotation_error < TOLERANCE[1])
    # A converged start scores below any that did not, and argmin takes the first of equals.
    score = xp.where(converged, -1.0, position_error + 0.3 * rotation_weight * rotation_error)
    chosen = xp.argmin(score, axis=-1)[..., None]
    angles = xp.reshape(q.T, (*batch, joints))
    return Solution(
        xp.take_along_axis(angles, chosen[..., None], axis=-2)[..., 0, :],
        xp.take_along_axis(position_error, chosen, axis=-1)[..., 0],
        xp.take_along_axis(rotation_error, chosen, axis=-1)[..., 0],
    )


def spread(rest: Array, q_min: Array, q_max: Array, count: int) -> Array:
    """Starts (count, J) [rad] for `solve`: the rest pose (J,), then points spread evenly over the middle of the limits.

    The points are Roberts' R sequence, the golden ratio's generalisation to J dimensions.
    """
    xp = rest.__array_namespace__()
    joints = rest.shape[0]
    ratio = 2.0
    for _ in range(40):
        ratio = (1.0 + ratio) ** (1.0 / (joints + 1))
    points = [[(0.5 + n * ratio ** -(j + 1)) % 1.0 for j in range(joints)] for n in range(1, count)]
    shares = 0.1 + 0.8 * xp.reshape(xp.asarray(points, dtype=rest.dtype), (count - 1, joints))
    return xp.concat([rest[None], q_min + shares * (q_max - q_min)], axis=0)


def step(
    chain: Chain,
    pos: Array,
    rot: Array,
    q: Array,
    rest: Array,
    low: Array,
    high: Array,
    *,
    gain: float,
    rotation_weight: float = 1.0,
) -> Array:
    """One iteration for L lanes: targets (3, L), (3, 3, L); q, rest (J, L); limits (J, 1) -> q (J, L)."""
    xp = q.__array_namespace__()
    error, motion = _error(chain, pos, rot, q)
    if rotation_weight != 1.0:
        weight = xp.asarray([1.0] * 3 + [rotation_weight] * 3, dtype=q.dtype)[:, None]
        error, motion = weight * error, weight[:, None] * motion
    uphill = _turned(motion, error)
    stuck = ((q >= high) & (uphill > 0.0)) | ((q <= low) & (uphill < 0.0))
    motion = xp.where(stuck[None], 0.0, motion)
    wanted = error
    drift = None
    if gain:
        drift = gain * (rest - q)
        wanted = error - _moved(motion, drift)
    damping = DAMPING + 0.5 * _dot(error, error)
    effort = _solve_spd(_gram(motion) + xp.eye(6, dtype=q.dtype)[:, :, None] * damping, wanted)
    change = _turned(motion, effort)
    if drift is not None:
        change = change + drift
    largest = xp.max(xp.abs(change), axis=0)
    change = change * (STEP_LIMIT / xp.maximum(largest, xp.full_like(largest, STEP_LIMIT)))
    return xp.clip(q + change, low, high)


def _error(chain: Chain, pos: Array, rot: Array, q: Array) -> tuple[Array, Array]:
    """What is missing to the target (6, L) [m, rad] and the Jacobian (6, J, L)."""
    xp = q.__array_namespace__()
    at = kinematics.frames(q, chain)
    have = at.tool_rot
    # Sum over columns of half the cross product: the sine of the angle times its axis.
    x = have[1] * rot[2] - have[2] * rot[1]
    y = have[2] * rot[0] - have[0] * rot[2]
    z = have[0] * rot[1] - have[1] * rot[0]
    sine = 0.5 * xp.stack([x[0] + x[1] + x[2], y[0] + y[1] + y[2], z[0] + z[1] + z[2]], axis=0)
    same = have * rot
    rows = same[0] + same[1] + same[2]
    cosine = 0.5 * (rows[0] + rows[1] + rows[2] - 1.0)
    length = _length(sine)
    scale = xp.where(length > _TINY, xp.atan2(length, cosine) / xp.maximum(length, xp.full_like(length, _TINY)), 1.0)
    return xp.concat([pos - at.tool_pos, scale * sine], axis=0), kinematics.tool_motion(at)


def _solve_spd(matrix: Array, right: Array) -> Array:
    """x with matrix x = right for symmetric positive definite (n, n, L) and (n, L), by Cholesky."""
    xp = right.__array_namespace__()
    n = right.shape[0]
    columns, forward = [], []
    for _ in range(n):
        column = matrix[:, 0] / xp.sqrt(matrix[0, 0])
        value = right[0] / column[0]
        columns.append(column)
        forward.append(value)
        below = column[1:]
        matrix = matrix[1:, 1:] - below[:, None] * below[None]
        right = right[1:] - below * value
    solved: list[Array] = []
    for k in reversed(range(n)):
        value = forward[k]
        for row, known in enumerate(solved):
            value = value - columns[k][row + 1] * known
        solved.insert(0, value / columns[k][0])
    return xp.stack(solved, axis=0)


def _gram(motion: Array) -> Array:
    """motion motion^T, (6, J, L) -> (6, 6, L)."""
    total = motion[:, None, 0] * motion[None, :, 0]
    for joint in range(1, motion.shape[1]):
        total = total + motion[:, None, joint] * motion[None, :, joint]
    return total


def _moved(motion: Array, change: Array) -> Array:
    """How the tool moves (6, L) when the joints change by (J, L)."""
    total = motion[:, 0] * change[0]
    for joint in range(1, motion.shape[1]):
        total = total + motion[:, joint] * change[joint]
    return total


def _turned(motion: Array, wrench: Array) -> Array:
    """motion^T wrench, (6, L) -> (J, L)."""
    total = motion[0] * wrench[0]
    for row in range(1, motion.shape[0]):
        total = total + motion[row] * wrench[row]
    return total


def _dot(a: Array, b: Array) -> Array:
    product = a * b
    total = product[0]
    for row in range(1, product.shape[0]):
        total = total + product[row]
    return total


def _length(vector: Array) -> Array:
    xp = vector.__array_namespace__()
    return xp.sqrt(_dot(vector, vector))


def _lanes_last(rows: Array) -> Array:
    """(..., n) -> (n, L), each row's lanes contiguous."""
    xp = rows.__array_namespace__()
    flat = xp.reshape(rows, (-1, rows.shape[-1]))
    return xp.stack([flat[:, i] for i in range(rows.shape[-1])], axis=0)
