"""Every way to write a rotation reads back as the same rotation, everywhere, and says what is no rotation."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.kernels import rotation

EXACT = 1e-12  # of float64 arithmetic in another order, in the entries of a matrix
QUICK = {"xla_backend_optimization_level": "0"}  # compiles in half the time

ANGLE = st.floats(-4.0, 4.0)
KINDS = sorted(rotation.ROTATIONS)


def unit_quaternions(count: int, seed: int = 0) -> np.ndarray:
    return rotation.normalise(np.random.default_rng(seed).normal(size=(count, 4)))


def about(axis: int, angle: float) -> np.ndarray:
    """The matrix of a turn about x, y or z, from its sine and cosine."""
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def numbers_of(kind: str, count: int) -> np.ndarray:
    """Numbers of no particular length: every row is some rotation."""
    return np.random.default_rng(3).uniform(-2.0, 2.0, size=(count, rotation.ROTATIONS[kind]))


def worst(quat: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(rotation.to_matrix(quat) - expected).max())


@given(roll=ANGLE, pitch=ANGLE, yaw=ANGLE)
def test_rpy_turns_about_fixed_axes_and_euler_xyz_about_turning_ones(roll: float, pitch: float, yaw: float) -> None:
    angles = np.array([roll, pitch, yaw])
    x, y, z = about(0, roll), about(1, pitch), about(2, yaw)
    assert worst(rotation.from_rpy(angles), z @ y @ x) < EXACT
    assert worst(rotation.from_euler_xyz(angles), x @ y @ z) < EXACT


def test_straight_down_is_a_roll_of_half_a_turn() -> None:
    down = np.array([0.0, 1.0, 0.0, 0.0])
    assert rotation.to_rpy(down) == pytest.approx([np.pi, 0.0, 0.0], abs=EXACT)
    assert rotation.to_vector(down) == pytest.approx([np.pi, 0.0, 0.0], abs=EXACT)


def test_the_columns_of_a_known_turn_stand_where_each_layout_has_them() -> None:
    quarter = rotation.from_vector(np.array([0.0, 0.0, np.pi / 2]))  # columns [0, 1, 0] and [-1, 0, 0]
    assert rotation.to_rot6d(quarter, interleaved=False) == pytest.approx([0, 1, 0, -1, 0, 0], abs=EXACT)
    assert rotation.to_rot6d(quarter, interleaved=True) == pytest.approx([0, -1, 1, 0, 0, 0], abs=EXACT)
    bent = np.array([0.0, 2.0, 0.0, -3.0, 0.5, 0.0])  # lengths and angle are off; the first column is kept
    assert worst(rotation.from_rot6d(bent, interleaved=False), rotation.to_matrix(quarter)) < EXACT


def test_xyzw_has_the_real_part_last() -> None:
    quat = rotation.to_quaternion("quat_xyzw", np.array([0.1, 0.2, 0.3, 0.9]))
    assert quat / quat[0] * 0.9 == pytest.approx([0.9, 0.1, 0.2, 0.3], abs=EXACT)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_rotation_survives_every_way_of_writing_it(kind: str, sign: float) -> None:
    quat = sign * np.concatenate([unit_quaternions(500), np.eye(4)])
    numbers = rotation.from_quaternion(kind, quat)
    assert numbers.shape == (504, rotation.ROTATIONS[kind])
    assert worst(rotation.to_quaternion(kind, numbers), rotation.to_matrix(quat)) < EXACT


@pytest.mark.parametrize("kind", ["rpy", "euler_XYZ"])
def test_a_rotation_survives_at_and_near_gimbal_lock(kind: str) -> None:
    near = [0.0, 1e-16, 1e-12, 1e-9, 1e-8, 1e-6, 1e-3]
    rest = np.linspace(-np.pi, np.pi, 9)
    angles = [[a, side * (np.pi / 2 - gap), c] for gap, side, a, c in itertools.product(near, (1.0, -1.0), rest, rest)]
    quat = rotation.to_quaternion(kind, np.array(angles))
    assert worst(rotation.to_quaternion(kind, rotation.from_quaternion(kind, quat)), rotation.to_matrix(quat)) < EXACT


@given(roll=st.floats(-3.1, 3.1), pitch=st.floats(-1.5, 1.5), yaw=st.floats(-3.1, 3.1))
def test_angles_read_back_as_written_away_from_lock(roll: float, pitch: float, yaw: float) -> None:
    angles = np.array([roll, pitch, yaw])
    assert rotation.to_rpy(rotation.from_rpy(angles)) == pytest.approx(angles, abs=1e-10)
    assert rotation.to_euler_xyz(rotation.from_euler_xyz(angles)) == pytest.approx(angles, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_angles_stay_within_one_turn(kind: str) -> None:
    numbers = rotation.from_quaternion(kind, unit_quaternions(500))
    assert np.abs(numbers).max() <= (np.pi + EXACT if rotation.ROTATIONS[kind] == 3 else 1.0 + EXACT)


def test_what_is_no_rotation_is_nan_and_not_the_identity() -> None:
    nothing, one_line = np.zeros(6), np.array([1.0, 0.0, 0.0, -2.0, 0.0, 0.0])
    assert np.isnan(rotation.from_rot6d(nothing, interleaved=False)).all()
    assert np.isnan(rotation.from_rot6d(one_line, interleaved=False)).all()
    assert np.isnan(rotation.from_rot6d(one_line.reshape(2, 3).T.ravel(), interleaved=True)).all()
    for kind in ("quat_wxyz", "quat_xyzw"):
        assert np.isnan(rotation.to_quaternion(kind, np.zeros(4))).all()


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    for call in (rotation.to_quaternion, rotation.from_quaternion):
        with pytest.raises(ValueError, match=r"No rotation format 'rpy_deg'\. Formats: rpy, euler_XYZ, axis_angle"):
            call("rpy_deg", np.zeros(3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 17])
def test_a_rotation_has_the_same_bits_alone_and_in_a_batch(kind: str, size: int) -> None:
    numbers = numbers_of(kind, 64)
    quat = rotation.to_quaternion(kind, numbers)
    back = rotation.from_quaternion(kind, quat)
    for start in range(0, 64 - size, 5):
        rows = slice(start, start + size)
        some = rotation.to_quaternion(kind, numbers[rows])
        assert some.tobytes() == quat[rows].tobytes()
        assert rotation.from_quaternion(kind, quat[rows]).tobytes() == back[rows].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_formats_are_the_same_under_jit(kind: str) -> None:
    numbers = numbers_of(kind, 20).reshape(4, 5, -1)
    quat = rotation.to_quaternion(kind, numbers)
    back = rotation.from_quaternion(kind, quat)
    assert quat.shape == (4, 5, 4)
    with jax.enable_x64(True):
        ours = jax.jit(lambda x: rotation.to_quaternion(kind, x), compiler_options=QUICK)(numbers)
        theirs = jax.jit(lambda x: rotation.from_quaternion(kind, x), compiler_options=QUICK)(quat)
    assert np.abs(quat - np.asarray(ours)).max() < EXACT
    assert np.abs(back - np.asarray(theirs)).max() < EXACT
