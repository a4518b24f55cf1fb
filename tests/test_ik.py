"""Inverse kinematics finds what the arm can reach, within its limits, with the same bits in any batch."""

import jax
import numpy as np
import pytest

from worldverify.envs.arm import arm_value
from worldverify.kernels import ik, kinematics
from worldverify.reach import chain_of

SOLVED = (1e-4, 1e-3)  # m, rad
SAME = 1e-6  # rad between NumPy and JAX after a few iterations of the same arithmetic
QUICK = {"xla_backend_optimization_level": "0"}  # compiles in half the time

ARM = arm_value()
CHAIN = chain_of(ARM)
LIMITS = (ARM.q_min, ARM.q_max)


def reachable(count: int) -> tuple[np.ndarray, np.ndarray]:
    q = np.random.default_rng(0).uniform(*LIMITS, (count, 7))
    return kinematics.tool_pose(q, *CHAIN)


def pointing_down() -> tuple[np.ndarray, np.ndarray]:
    """A grid over the table before the arm, 0.3 to 0.7 m away, at every yaw a grasp may need."""
    axes = (
        np.linspace(0.3, 0.7, 5),
        np.linspace(-0.3, 0.3, 5),
        np.linspace(0.02, 0.4, 4),
        np.linspace(-np.pi / 4, np.pi / 4, 5),
    )
    x, y, z, yaw = (axis.ravel() for axis in np.meshgrid(*axes))
    near = np.hypot(x, y) <= 0.7
    pos = np.stack([x, y, z], axis=-1)[near]
    half, zero = yaw[near] / 2, np.zeros(near.sum())
    return pos, np.stack([zero, np.cos(half), np.sin(half), zero], axis=-1)


def solve(target: tuple[np.ndarray, np.ndarray], starts: int, **options: float) -> ik.Solution:
    count = len(target[0])
    spread = np.broadcast_to(ik.spread(ARM.home, *LIMITS, starts), (count, starts, 7))
    return ik.solve(CHAIN, *target, spread, np.tile(ARM.home, (count, 1)), *LIMITS, **options)  # type: ignore[arg-type]


def solved(found: ik.Solution) -> np.ndarray:
    return (found.position_error < SOLVED[0]) & (found.rotation_error < SOLVED[1])


def test_97_percent_of_random_reachable_poses_are_solved() -> None:
    assert solved(solve(reachable(1000), 8, iterations=24)).mean() >= 0.97


def test_every_grasp_over_the_table_is_solved_from_the_home_pose_alone() -> None:
    assert solved(solve(pointing_down(), 1, iterations=14)).all()


def test_the_errors_are_those_of_the_pose_that_is_returned() -> None:
    target = reachable(50)
    found = solve(target, 2, iterations=6)
    pos, _ = kinematics.tool_pose(found.q, *CHAIN)
    assert np.abs(np.linalg.norm(pos - target[0], axis=-1) - found.position_error).max() < 1e-12


def test_no_joint_leaves_its_limits() -> None:
    far = np.array([[2.0, 0.0, 0.5], [0.0, 0.0, 3.0], [-0.1, 0.1, -1.0]])
    found = solve((far, np.tile([0.0, 1.0, 0.0, 0.0], (3, 1))), 4)
    assert np.all((found.q >= ARM.q_min) & (found.q <= ARM.q_max))
    assert not solved(found).any()


def test_a_start_that_is_the_answer_is_kept() -> None:
    q = 0.9 * ARM.home
    target = tuple(part[None] for part in kinematics.tool_pose(q, *CHAIN))
    found = ik.solve(CHAIN, *target, q[None, None], ARM.home[None], *LIMITS, pull=0.0)
    assert np.abs(found.q - q).max() < 1e-9


def test_the_first_start_that_converges_is_chosen() -> None:
    q = ARM.home
    target = tuple(part[None] for part in kinematics.tool_pose(q, *CHAIN))
    other = q + np.array([0.3, 0, -0.3, 0, 0, 0, 0])
    both = np.stack([other, q])[None]
    first = ik.solve(CHAIN, *target, both[:, :1], q[None], *LIMITS, pull=0.0)
    chosen = ik.solve(CHAIN, *target, both, q[None], *LIMITS, pull=0.0)
    assert chosen.q.tobytes() == first.q.tobytes()
    assert np.abs(chosen.q - q).max() > 0.01


def test_the_rest_pose_pulls_where_the_tool_does_not_mind() -> None:
    q = ARM.home
    target = tuple(part[None] for part in kinematics.tool_pose(q, *CHAIN))
    other = (q + np.array([0.3, 0, -0.3, 0, 0, 0, 0]))[None, None]
    pulled, free = (ik.solve(CHAIN, *target, other, q[None], *LIMITS, iterations=60, pull=p) for p in (0.2, 0.0))
    assert np.abs(pulled.q - q).max() < 0.1 * np.abs(free.q - q).max()


def test_without_weight_the_orientation_is_free() -> None:
    target = (np.array([[0.5, 0.0, 0.75]]), np.array([[0.0, 1.0, 0.0, 0.0]]))
    found = solve(target, 4, rotation_weight=0.0)
    assert found.position_error[0] < SOLVED[0]


def test_the_spread_of_starts_is_within_the_limits_and_begins_at_rest() -> None:
    starts = ik.spread(ARM.home, *LIMITS, 12)
    assert np.array_equal(starts[0], ARM.home)
    assert np.all((starts >= ARM.q_min) & (starts <= ARM.q_max))
    assert len(np.unique(starts, axis=0)) == 12
    assert ik.spread(ARM.home, *LIMITS, 1).shape == (1, 7)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17])
def test_a_target_has_the_same_solution_alone_and_in_a_batch(size: int) -> None:
    pos, quat = reachable(40)
    whole = np.concatenate([np.reshape(part, (40, -1)) for part in solve((pos, quat), 3, iterations=12)], axis=-1)
    for start in range(0, 40 - size, 3):
        some = slice(start, start + size)
        part = solve((pos[some], quat[some]), 3, iterations=12)
        rows = np.concatenate([np.reshape(value, (size, -1)) for value in part], axis=-1)
        assert rows.tobytes() == whole[some].tobytes()


def test_iterations_are_the_same_under_jit_and_compile_once() -> None:
    traces = []
    pos, quat = (part[:20] for part in pointing_down())
    rest = np.tile(ARM.home, (20, 1))

    def iterate(starts: np.ndarray) -> ik.Solution:
        traces.append(1)
        return ik.solve(
            CHAIN, *(starts.__array_namespace__().asarray(x) for x in (pos, quat)), starts, rest, *LIMITS, iterations=1
        )

    jitted = jax.jit(iterate, compiler_options=QUICK)
    starts = np.broadcast_to(ik.spread(ARM.home, *LIMITS, 2), (20, 2, 7)).copy()
    with jax.enable_x64(True):
        for _ in range(4):
            theirs = jitted(starts)
            calls = len(traces)
            ours = iterate(starts)
            for a, b in zip(ours, theirs, strict=True):
                assert np.abs(a - np.asarray(b)).max() < SAME
            starts = np.stack([ours.q, ours.q + 0.01], axis=1)
    assert calls == 4  # traced once; the others are ours
