"""Motion between waypoints never runs backwards, starts and stops gently, and keeps to the line."""

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worldverify.kernels import rotation, trajectory

EXACT = 1e-12  # float64 arithmetic in another order
DIFFERENCE = 1e-3  # of differences with a step of 1e-4
FRACTION = np.linspace(0.0, 1.0, 10_001)
SHARE = st.floats(0.0, 1.0)


@given(entry=SHARE, leave=SHARE)
def test_progress_goes_from_0_to_1_and_never_backwards(entry: float, leave: float) -> None:
    way = trajectory.progress(FRACTION, np.full_like(FRACTION, entry), np.full_like(FRACTION, leave))
    assert abs(way[0]) < EXACT
    assert abs(way[-1] - 1.0) < EXACT
    assert np.diff(way).min() > -EXACT


@given(entry=SHARE, leave=SHARE)
def test_progress_has_the_asked_speeds_at_its_ends(entry: float, leave: float) -> None:
    way = trajectory.progress(FRACTION, np.full_like(FRACTION, entry), np.full_like(FRACTION, leave))
    speed = np.diff(way) / np.diff(FRACTION)
    assert abs(speed[0] - entry) < DIFFERENCE
    assert abs(speed[-1] - leave) < DIFFERENCE


def test_progress_between_stops_peaks_as_stated() -> None:
    zero = np.zeros_like(FRACTION)
    way = trajectory.progress(FRACTION, zero, zero)
    step = FRACTION[1]
    assert abs(np.diff(way).max() / step - trajectory.PEAK) < DIFFERENCE
    assert abs(np.abs(np.diff(way, n=2)).max() / step**2 - trajectory.JERK) < 10 * DIFFERENCE


def test_a_straight_path_flows_on_at_the_lower_speed_and_a_corner_stops() -> None:
    before, after, cosine = np.array([0.2, 0.2, 0.2]), np.array([0.3, 0.3, 0.3]), np.array([1.0, 0.0, -1.0])
    assert trajectory.passing_speed(before, after, cosine).tolist() == [0.2, 0.0, 0.0]


def test_a_line_starts_and_ends_at_its_poses() -> None:
    start, end = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.0, 0.3])
    turn = rotation.normalise(np.array([[1.0, 0.2, 0.1, 0.0], [0.3, 1.0, 0.0, 0.2]]))
    pos, quat = trajectory.line(start, turn[0], end, turn[1], np.array([0.0, 0.5, 1.0]))
    assert np.abs(pos - np.stack([start, (start + end) / 2, end])).max() < EXACT
    assert np.abs(np.abs(np.sum(quat[[0, 2]] * turn, axis=-1)) - 1.0).max() < EXACT


def test_the_cubic_passes_through_its_samples_and_keeps_a_straight_line_straight() -> None:
    samples = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.0]])
    share = np.linspace(0.0, 1.0, 5)
    found = trajectory.through_joints(*(np.tile(row, (5, 1)) for row in samples), share)
    assert np.abs(found - trajectory.between_joints(samples[1], samples[2], share)).max() < EXACT


def test_a_command_is_held() -> None:
    assert trajectory.hold(np.array([[1.0], [2.0]]), 3).ravel().tolist() == [1, 1, 1, 2, 2, 2]


def test_motion_is_the_same_under_jit() -> None:
    share = np.linspace(0.0, 1.0, 7)
    pos, quat = np.tile([0.1, 0.2, 0.3], (7, 1)), np.tile([1.0, 0.0, 0.0, 0.0], (7, 1))
    end, turned = pos + 0.1, np.tile(rotation.normalise(np.array([1.0, 0.5, 0.2, 0.1])), (7, 1))
    with jax.enable_x64(True):
        line = jax.jit(trajectory.line)(pos, quat, end, turned, share)
        way = jax.jit(trajectory.progress)(share, 0.5 * share, share)
    for ours, theirs in zip(trajectory.line(pos, quat, end, turned, share), line, strict=True):
        assert np.abs(ours - np.asarray(theirs)).max() < EXACT
    assert np.abs(trajectory.progress(share, 0.5 * share, share) - np.asarray(way)).max() < EXACT
