"""A dense path is followed within the arm's limits, without looking ahead, with the same bits in any batch."""

import jax
import numpy as np
import pytest

from worldverify.envs.arm import arm_value
from worldverify.kernels import kinematics, rotation
from worldverify.kernels.track import Tracked, track, unhurried
from worldverify.reach import chain_of

RATE = 25.0  # Hz
FOLLOWED = (1e-4, 1e-3)  # m, rad
SAME = 1e-6  # rad between NumPy and JAX after a few iterations of the same arithmetic
ROUNDING = 1e-12  # float64 arithmetic in another order
QUICK = {"xla_backend_optimization_level": "0"}  # compiles in half the time

ARM = arm_value()
CHAIN = chain_of(ARM)
STEP_MAX = ARM.qd_max / RATE


def joint_motion(paths: int, samples: int) -> np.ndarray:
    """Smooth joint angles (L, T, 7) that leave the home pose and wander up to 1 rad from it, below 1.2 rad/s."""
    random = np.random.default_rng(0)
    time = np.arange(1, samples + 1)[None, :, None] / RATE
    q = np.tile(ARM.home, (paths, samples, 1))
    for _ in range(3):
        speed, phase = random.uniform(0.3, 2.5, (paths, 1, 7)), random.uniform(0.0, 6.28, (paths, 1, 7))
        q += random.uniform(0.0, 0.2, (paths, 1, 7)) * (np.sin(speed * time + phase) - np.sin(phase))
    return np.clip(q, ARM.q_min + 0.05, ARM.q_max - 0.05)


def shifted(shift: tuple[float, float, float], samples: int) -> tuple[np.ndarray, np.ndarray]:
    """A straight path (1, T, 3) and (1, T, 4) from the home pose along `shift` [m], the gripper pointing down."""
    pos, quat = kinematics.tool_pose(ARM.home, *CHAIN)
    share = np.arange(1, samples + 1)[None, :, None] / samples
    return pos + share * np.array(shift), np.broadcast_to(quat, (1, samples, 4))


def jumpy(paths: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Poses that shake by centimetres and tenths of a radian, and drift out of reach."""
    random = np.random.default_rng(1)
    pos, quat = kinematics.tool_pose(ARM.home, *CHAIN)
    away = np.cumsum(random.uniform(-0.04, 0.05, (paths, samples, 3)), axis=1)
    turn = rotation.from_vector(random.uniform(-0.4, 0.4, (paths, samples, 3)))
    return pos + away, rotation.multiply(turn, np.broadcast_to(quat, turn.shape))


def followed(pose: tuple[np.ndarray, np.ndarray], **options: object) -> Tracked:
    q0 = np.tile(ARM.home, (len(pose[0]), 1))
    return track(CHAIN, *pose, q0, ARM.home, ARM.q_min, ARM.q_max, **options)  # type: ignore[arg-type]


def rows(found: Tracked) -> np.ndarray:
    return np.concatenate([found.q, found.position_error[..., None], found.rotation_error[..., None]], axis=-1)


@pytest.mark.parametrize("knot_every", [1, 2, 3])
def test_the_tool_path_of_a_smooth_joint_motion_is_followed(knot_every: int) -> None:
    pose = kinematics.tool_pose(joint_motion(12, 100), *CHAIN)
    found = followed(pose, knot_every=knot_every, step_max=STEP_MAX)
    assert found.position_error.max() < FOLLOWED[0]
    assert found.rotation_error.max() < FOLLOWED[1]


def test_the_joints_move_as_smoothly_as_the_tool() -> None:
    q = joint_motion(12, 100)
    found = followed(kinematics.tool_pose(q, *CHAIN))
    theirs, ours = (np.abs(np.diff(angles, axis=1)).max() for angles in (q, found.q))
    assert ours < 1.5 * theirs


def test_the_errors_are_those_of_the_angles_that_are_returned() -> None:
    pose = jumpy(4, 40)
    found = followed(pose, step_max=STEP_MAX)
    pos, quat = kinematics.tool_pose(found.q, *CHAIN)
    off = rotation.to_vector(rotation.multiply(pose[1], rotation.conjugate(quat)))
    assert np.abs(np.linalg.norm(pos - pose[0], axis=-1) - found.position_error).max() < ROUNDING
    assert np.abs(np.linalg.norm(off, axis=-1) - found.rotation_error).max() < 1e-7  # a sine near pi loses digits


def test_a_tail_out_of_reach_says_how_far_off_it_is() -> None:
    pose = shifted((0.9, 0.0, 0.0), 60)
    found = followed(pose, step_max=STEP_MAX)
    reach = np.linalg.norm(pose[0][0] - np.array([0.0, 0.0, 0.333]), axis=-1)
    assert found.position_error[0, reach < 0.65].max() < FOLLOWED[0]
    assert np.all(found.position_error[0, -10:] > 0.3)


def test_an_arm_that_was_out_of_reach_comes_back() -> None:
    out = shifted((0.9, 0.0, 0.0), 60)
    pose = tuple(np.concatenate([part, part[:, ::-1], np.repeat(part[:, :1], 25, axis=1)], axis=1) for part in out)
    found = followed(pose, step_max=STEP_MAX)  # type: ignore[arg-type]
    assert found.position_error[0, -5:].max() < FOLLOWED[0]


def test_no_joint_leaves_its_limits_or_is_asked_for_more_than_its_speed() -> None:
    found = followed(jumpy(8, 80), step_max=STEP_MAX)
    assert np.all((found.q >= ARM.q_min) & (found.q <= ARM.q_max))
    start = np.broadcast_to(ARM.home, (8, 1, 7))
    moved = np.abs(np.diff(np.concatenate([start, found.q], axis=1), axis=1))
    assert np.all(moved <= STEP_MAX + ROUNDING)
    assert np.any(moved > 0.99 * STEP_MAX)


def test_a_target_that_jumps_is_caught_up_with() -> None:
    pos, quat = shifted((0.0, 0.3, 0.2), 40)
    pose = np.broadcast_to(pos[:, -1:], pos.shape), quat
    found = followed(pose, step_max=STEP_MAX)
    assert found.position_error[0, 0] > 0.2
    assert found.position_error[0, -10:].max() < FOLLOWED[0]


def test_joints_that_the_tool_does_not_mind_return_to_rest() -> None:
    swing = ARM.home + np.array([0.3, 0.0, -0.3, 0.0, 0.0, 0.0, 0.0])
    pos, quat = (np.broadcast_to(part, (1, 300, part.size)) for part in kinematics.tool_pose(ARM.home, *CHAIN))
    found = track(CHAIN, pos, quat, swing[None], ARM.home, ARM.q_min, ARM.q_max)
    assert np.abs(found.q[0, 50] - ARM.home).max() > 0.05
    assert np.abs(found.q[0, -1] - ARM.home).max() < 0.01


def test_without_a_pull_a_pose_that_stands_is_held() -> None:
    pos, quat = (np.broadcast_to(part, (1, 20, part.size)) for part in kinematics.tool_pose(0.9 * ARM.home, *CHAIN))
    found = track(CHAIN, pos, quat, 0.9 * ARM.home[None], ARM.home, ARM.q_min, ARM.q_max, pull=0.0)
    assert np.abs(found.q - 0.9 * ARM.home).max() < 1e-9


@pytest.mark.parametrize("samples", [1, 2, 3, 10, 25, 26])
def test_a_longer_path_begins_with_the_same_angles(samples: int) -> None:
    pose = jumpy(3, 30)
    whole = rows(followed(pose, step_max=STEP_MAX))
    part = rows(followed(tuple(p[:, :samples] for p in pose), step_max=STEP_MAX))  # type: ignore[arg-type]
    assert part.tobytes() == whole[:, :samples].tobytes()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_a_path_has_the_same_angles_alone_and_in_a_batch(size: int) -> None:
    pose = jumpy(9, 21)
    whole = rows(followed(pose, step_max=STEP_MAX))
    for start in range(0, 9 - size + 1):
        some = slice(start, start + size)
        part = rows(followed(tuple(p[some] for p in pose), step_max=STEP_MAX))  # type: ignore[arg-type]
        assert part.tobytes() == whole[some].tobytes()


def test_a_path_that_is_not_finite_spoils_no_other() -> None:
    pose = jumpy(3, 10)
    broken = pose[0].copy()
    broken[1, 4] = np.nan
    found = followed((broken, pose[1]), step_max=STEP_MAX)
    assert not np.isfinite(found.position_error[1, 4])
    assert np.array_equal(rows(found)[[0, 2]], rows(followed(pose, step_max=STEP_MAX))[[0, 2]])


def test_tracking_is_the_same_under_jit_and_compiles_once() -> None:
    traces = []
    pose = kinematics.tool_pose(joint_motion(3, 3), *CHAIN)

    def run(pos: np.ndarray, quat: np.ndarray, q0: np.ndarray) -> Tracked:
        traces.append(1)
        found = track(CHAIN, pos, quat, q0, ARM.home, ARM.q_min, ARM.q_max, iterations=1)
        return found._replace(q=unhurried(found.q, q0, 0.1 * STEP_MAX))

    q0 = np.tile(ARM.home, (3, 1))
    with jax.enable_x64(True):
        jitted = jax.jit(run, compiler_options=QUICK)
        theirs = [jitted(*pose, start) for start in (q0, q0 + 0.01)]
    assert len(traces) == 1
    for start, found in zip((q0, q0 + 0.01), theirs, strict=True):
        for a, b in zip(run(*pose, start), found, strict=True):
            assert np.abs(a - np.asarray(b)).max() < SAME
