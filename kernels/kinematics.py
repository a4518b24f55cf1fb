"""Where the tool of a serial arm is, and how it moves when a joint moves."""

from typing import Any, NamedTuple

from worldverify.kernels import rotation

Array = Any


class Chain(NamedTuple):
    """A serial arm of J revolute joints about their own z axes, base first; the arguments of `tool_pose`."""

    offset_pos: Array  # (J, 3)  m, joint frame j in frame j-1 before its turn
    offset_quat: Array  # (J, 4)  wxyz
    tool_pos: Array  # (3,)    m, tool in the last joint frame
    tool_quat: Array  # (4,)    wxyz
    base_pos: Array  # (3,)    m, base in the world
    base_quat: Array  # (4,)    wxyz


class Frames(NamedTuple):
    """World frames of L arms. The lane comes last, so that every operation runs over contiguous lanes."""

    axis: Array  # (3, J, L)  unit joint axes
    anchor: Array  # (3, J, L)  m, joint origins
    tool_pos: Array  # (3, L)     m
    tool_rot: Array  # (3, 3, L)  row, column, lane


def tool_pose(
    q: Array,
    offset_pos: Array,
    offset_quat: Array,
    tool_pos: Array,
    tool_quat: Array,
    base_pos: Array,
    base_quat: Array,
) -> tuple[Array, Array]:
    """World pose of the tool at joint angles q (..., J) [rad]: position (..., 3) [m], quaternion (..., 4) wxyz."""
    xp = q.__array_namespace__()
    chain = Chain(offset_pos, offset_quat, tool_pos, tool_quat, base_pos, base_quat)
    at = frames(_lanes_last(q), chain)
    pos = xp.reshape(at.tool_pos.T, (*q.shape[:-1], 3))
    matrix = xp.reshape(xp.moveaxis(at.tool_rot, -1, 0), (*q.shape[:-1], 3, 3))
    return pos, rotation.from_matrix(matrix)


def jacobian(
    q: Array,
    offset_pos: Array,
    offset_quat: Array,
    tool_pos: Array,
    tool_quat: Array,
    base_pos: Array,
    base_quat: Array,
) -> Array:
    """Geometric Jacobian (..., 6, J) at q (..., J): tool velocity [m/s], then turn rate [rad/s], in world axes."""
    xp = q.__array_namespace__()
    chain = Chain(offset_pos, offset_quat, tool_pos, tool_quat, base_pos, base_quat)
    columns = tool_motion(frames(_lanes_last(q), chain))
    return xp.reshape(xp.moveaxis(columns, -1, 0), (*q.shape[:-1], 6, q.shape[-1]))


def frames(q: Array, chain: Chain) -> Frames:
    """Frames of the arm at q (J, L) [rad]."""
    xp = q.__array_namespace__()
    cos, sin = xp.cos(q), xp.sin(q)
    offset_rot = rotation.to_matrix(chain.offset_quat)
    offset = xp.concat([offset_rot, chain.offset_pos[:, :, None]], axis=-1)  # (J, 3, 4)
    rot = xp.broadcast_to(rotation.to_matrix(chain.base_quat)[:, :, None], (3, 3, q.shape[-1]))
    pos = xp.broadcast_to(chain.base_pos[:, None], (3, q.shape[-1]))
    axes, anchors = [], []
    for joint in range(q.shape[0]):
        moved = _carry(rot, offset[joint])
        pos = pos + moved[:, 3]
        c, s = cos[joint], sin[joint]
        x = moved[:, 0] * c + moved[:, 1] * s
        y = moved[:, 1] * c - moved[:, 0] * s
        rot = xp.stack([x, y, moved[:, 2]], axis=1)
        axes.append(moved[:, 2])
        anchors.append(pos)
    tool = xp.concat([rotation.to_matrix(chain.tool_quat), chain.tool_pos[:, None]], axis=-1)
    moved = _carry(rot, tool)
    return Frames(xp.stack(axes, axis=1), xp.stack(anchors, axis=1), pos + moved[:, 3], moved[:, :3])


def tool_motion(at: Frames) -> Array:
    """Geometric Jacobian (6, J, L): how the tool moves and turns per radian of each joint."""
    xp = at.axis.__array_namespace__()
    arm = at.tool_pos[:, None] - at.anchor
    linear = [
        at.axis[1] * arm[2] - at.axis[2] * arm[1],
        at.axis[2] * arm[0] - at.axis[0] * arm[2],
        at.axis[0] * arm[1] - at.axis[1] * arm[0],
    ]
    return xp.concat([xp.stack(linear, axis=0), at.axis], axis=0)


def _carry(rot: Array, local: Array) -> Array:
    """Columns of `local` (3, n), given in the frames `rot` (3, 3, L), in world axes (3, n, L)."""
    return (
        rot[:, 0, None] * local[0][:, None] + rot[:, 1, None] * local[1][:, None] + rot[:, 2, None] * local[2][:, None]
    )


def _lanes_last(q: Array) -> Array:
    """(..., J) -> (J, L), each joint's lanes contiguous."""
    xp = q.__array_namespace__()
    rows = xp.reshape(q, (-1, q.shape[-1]))
    return xp.stack([rows[:, joint] for joint in range(q.shape[-1])], axis=0)
