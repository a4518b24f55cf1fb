"""Forward kinematics and the Jacobian are those of the published arm, in NumPy and in JAX."""

import jax
import mujoco
import numpy as np
import pytest

from worldverify.envs.arm import add_arm, arm_value
from worldverify.kernels import kinematics, rotation
from worldverify.reach import chain_of

EXACT = 1e-9  # m or rad: a different order of the same float64 arithmetic
QUICK = {"xla_backend_optimization_level": "0"}  # compiles in half the time
DIFFERENCE = 1e-7  # of central differences with a step of 1e-6

ARM = arm_value()
CHAIN = chain_of(ARM)
# Modified Denavit-Hartenberg parameters of the Panda as Franka publishes them: a [m], d [m], alpha [rad].
PUBLISHED = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
)


def poses(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(ARM.q_min, ARM.q_max, (count, 7))


def unit_quaternions(count: int) -> np.ndarray:
    return rotation.normalise(np.random.default_rng(1).normal(size=(count, 4)))


def published_pose(q: np.ndarray) -> np.ndarray:
    """Homogeneous transform (4, 4) of the tool by multiplying the published matrices."""
    pose = np.eye(4)
    for (a, d, alpha), angle in zip(PUBLISHED, q, strict=True):
        ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(angle), np.sin(angle)
        pose = pose @ np.array(
            [
                [ct, -st, 0, a],
                [st * ca, ct * ca, -sa, -d * sa],
                [st * sa, ct * sa, ca, d * ca],
                [0, 0, 0, 1],
            ]
        )
    turn = np.eye(4)
    turn[:2, :2] = [[np.sqrt(0.5), np.sqrt(0.5)], [-np.sqrt(0.5), np.sqrt(0.5)]]
    turn[2, 3] = 0.107 + 0.1034
    return pose @ turn


def test_the_tool_pose_is_the_published_product_on_1000_poses() -> None:
    q = poses(1000)
    pos, quat = kinematics.tool_pose(q, *CHAIN)
    expected = np.array([published_pose(row) for row in q])
    assert np.abs(pos - expected[:, :3, 3]).max() < EXACT
    assert np.abs(rotation.to_matrix(quat) - expected[:, :3, :3]).max() < EXACT


def test_the_tool_pose_is_that_of_the_simulated_tool_site() -> None:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    add_arm(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    for q in poses(20):
        data.qpos[[model.joint(name).qposadr[0] for name in ARM.joints]] = q
        mujoco.mj_kinematics(model, data)
        pos, quat = kinematics.tool_pose(q, *CHAIN)
        assert np.abs(pos - data.site("tool").xpos).max() < EXACT
        assert np.abs(rotation.to_matrix(quat) - data.site("tool").xmat.reshape(3, 3)).max() < EXACT


def test_the_jacobian_is_the_derivative_of_the_tool_pose() -> None:
    q, h = poses(50), 1e-6
    columns = kinematics.jacobian(q, *CHAIN)
    for joint in range(7):
        step = h * np.eye(7)[joint]
        (high_pos, high_quat), (low_pos, low_quat) = (kinematics.tool_pose(q + s, *CHAIN) for s in (step, -step))
        turned = rotation.to_vector(rotation.multiply(high_quat, rotation.conjugate(low_quat)))
        assert np.abs((high_pos - low_pos) / (2 * h) - columns[:, :3, joint]).max() < DIFFERENCE
        assert np.abs(turned / (2 * h) - columns[:, 3:, joint]).max() < DIFFERENCE


def test_kinematics_keeps_the_leading_axes() -> None:
    q = poses(12).reshape(3, 4, 7)
    pos, quat = kinematics.tool_pose(q, *CHAIN)
    assert pos.shape == (3, 4, 3)
    assert quat.shape == (3, 4, 4)
    assert kinematics.jacobian(q, *CHAIN).shape == (3, 4, 6, 7)
    alone, _ = kinematics.tool_pose(q[1, 2], *CHAIN)
    assert alone.tobytes() == pos[1, 2].tobytes()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 9, 17])
def test_a_pose_has_the_same_bits_alone_and_in_a_batch(size: int) -> None:
    q = poses(64)
    whole = np.concatenate([*kinematics.tool_pose(q, *CHAIN), kinematics.jacobian(q, *CHAIN).reshape(64, -1)], axis=-1)
    for start in range(0, 64 - size):
        part = q[start : start + size]
        some = np.concatenate(
            [*kinematics.tool_pose(part, *CHAIN), kinematics.jacobian(part, *CHAIN).reshape(size, -1)], axis=-1
        )
        assert some.tobytes() == whole[start : start + size].tobytes()


def test_kinematics_is_the_same_under_jit() -> None:
    q = poses(20)
    with jax.enable_x64(True):
        pose = jax.jit(kinematics.tool_pose, compiler_options=QUICK)(q, *CHAIN)
        columns = jax.jit(kinematics.jacobian, compiler_options=QUICK)(q, *CHAIN)
    for ours, theirs in zip(kinematics.tool_pose(q, *CHAIN), pose, strict=True):
        assert np.abs(ours - np.asarray(theirs)).max() < EXACT
    assert np.abs(kinematics.jacobian(q, *CHAIN) - np.asarray(columns)).max() < EXACT


def test_quaternions_multiply_and_rotate_as_in_mujoco() -> None:
    a, b = unit_quaternions(40)[:20], unit_quaternions(40)[20:]
    vec = np.random.default_rng(2).normal(size=(20, 3))
    product, turned = np.zeros(4), np.zeros(3)
    for i in range(20):
        mujoco.mju_mulQuat(product, a[i], b[i])
        mujoco.mju_rotVecQuat(turned, vec[i], a[i])
        assert np.abs(rotation.multiply(a, b)[i] - product).max() < EXACT
        assert np.abs(rotation.rotate(a, vec)[i] - turned).max() < EXACT


def test_a_quaternion_survives_the_way_through_a_matrix() -> None:
    axes = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    quat = np.concatenate([unit_quaternions(200), axes])
    back = rotation.from_matrix(rotation.to_matrix(quat))
    assert np.abs(np.abs(np.sum(back * quat, axis=-1)) - 1.0).max() < EXACT


def test_a_quaternion_survives_the_way_through_a_rotation_vector() -> None:
    quat = np.concatenate([unit_quaternions(200), np.array([[1.0, 0, 0, 0], [1.0, 1e-13, 0, 0]])])
    back = rotation.from_vector(rotation.to_vector(quat))
    assert np.abs(np.abs(np.sum(back * quat, axis=-1)) - 1.0).max() < EXACT


def test_a_rotation_vector_is_the_short_way() -> None:
    assert np.all(np.linalg.norm(rotation.to_vector(unit_quaternions(200)), axis=-1) <= np.pi)


def test_between_two_orientations_the_turn_is_even() -> None:
    start, end = unit_quaternions(2)
    share = np.linspace(0.0, 1.0, 5)
    path = rotation.between(np.tile(start, (5, 1)), np.tile(end, (5, 1)), share)
    steps = rotation.to_vector(rotation.multiply(path[1:], rotation.conjugate(path[:-1])))
    assert np.abs(steps - steps[0]).max() < EXACT
    assert abs(abs(path[-1] @ end) - 1.0) < EXACT
