"""What looks as if it meant something else is told in the verdict, and changes nothing."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.action import ActionSpec
from worldverify.plan import admit
from worldverify.presets import preset
from worldverify.suspicions import speed_suspicion, suspicions

TASK = wv.load("ReachSafe-v0")
assert TASK.arm is not None
STEPS = preset("rlds-eef-delta", rate_hz=5.0)
OSC = preset("libero-osc_pose-1.4")
WORDS = {
    "normalised": "are the numbers normalised",
    "radians": "are the angles in rad?",
    "degrees": "are the angles in degrees?",
    "quaternion": "off unit length",
    "gripper": "The gripper does the same",
    "clipped": "and clipped",
    "fast": "Is its unit right?",
    "slow": "Are its numbers scaled",
    "controller": "are followed by inverse kinematics",
    "chunk": "write a chunk as",
}


def at_home(count: int, *, unit: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Joints at home (T, 7), `shift` rad more each action, then a gripper that opens."""
    assert TASK.arm is not None
    rows = np.ones((count, 8))
    rows[:, :7] = (TASK.arm.home + shift * np.arange(count)[:, None]) * unit
    rows[0, 7] = 0.5
    return rows


def kinds(warnings: Any) -> set[str]:
    """Which suspicions stand in some warnings."""
    return {kind for kind, words in WORDS.items() if any(words in warning for warning in warnings)}


def warned(spec: ActionSpec, rows: Any, rate: float | None = None) -> set[str]:
    """The suspicions in the verdict on a plan."""
    line = {
        "format": spec,
        "rate_hz": spec.rate_hz if rate is None else rate,
        "actions": rows,
    }
    (verdict,) = wv.verify(TASK, [line])
    return kinds(verdict.warnings)


def steps(x: float, *, turn: float = 0.0, count: int = 8, move: bool = True) -> np.ndarray:
    """Equal steps along x; the gripper moves half way, or not."""
    rows = np.tile([x, 0.0, 0.0, 0.0, 0.0, turn, 1.0], (count, 1))
    rows[count // 2 :, 6] = 0.0 if move else 1.0
    return rows


# A clean plan


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        (STEPS, steps(0.02)),
        (STEPS, steps(0.0, turn=0.05)),
        (STEPS, steps(0.0)),
        (replace(STEPS, rate_hz=20.0), steps(0.01, turn=-0.02)),
        (preset("simpler-widowx"), steps(0.02)),
        (preset("maniskill-pd_joint_pos"), at_home(4, shift=0.01)),
    ],
    ids=["step", "turn", "grip", "fast rate", "widowx", "joints"],
)
def test_a_clean_plan_is_not_suspected(spec: ActionSpec, rows: np.ndarray) -> None:
    assert warned(spec, rows) == set()


def test_the_plan_that_passes_every_task_is_not_suspected() -> None:
    for name in wv.tasks():
        task = wv.load(name)
        if task.good is not None:
            (verdict,) = wv.verify(task, [task.good])
            assert kinds(verdict.warnings) == set()


# Each suspicion


def test_numbers_within_1_where_metres_belong() -> None:
    random = np.random.default_rng(0)
    rows = np.concatenate([random.uniform(-1, 1, (8, 6)), random.integers(0, 2, (8, 1))], axis=1)
    assert "normalised" in warned(STEPS, rows)
    assert "normalised" in warned(preset("simpler-google-robot"), rows)
    assert "normalised" not in warned(OSC, rows)  # there they are what the contract says


@pytest.mark.parametrize(("rate", "step"), [(3.0, 0.15), (5.0, 0.05), (20.0, 0.02), (50.0, 0.01)])
def test_steps_of_a_metric_data_set_are_not_taken_for_normalised_ones(rate: float, step: float) -> None:
    assert suspicions(replace(STEPS, rate_hz=rate), steps(step), rate) == ()


def test_offsets_from_the_start_of_a_chunk_are_judged_by_their_differences() -> None:
    spec = preset("gr00t-eef-relative", rate_hz=10.0)
    rows = steps(0.0, count=16)
    rows[:, 0] = 0.02 * np.arange(1, 17)
    assert "normalised" not in kinds(suspicions(spec, rows, 10.0))
    assert "normalised" not in kinds(suspicions(spec, np.tile(rows, (3, 1)), 10.0))
    rows[:, 0] = np.linspace(-1, 1, 16)
    assert "normalised" in kinds(suspicions(spec, rows, 10.0))


def test_angles_beyond_a_turn_where_radians_belong() -> None:
    assert "degrees" in warned(STEPS, steps(0.01, turn=10.0))
    assert "degrees" in warned(preset("maniskill-pd_joint_pos"), at_home(4, unit=180 / math.pi))
    assert "degrees" not in kinds(suspicions(STEPS, steps(0.01, turn=2 * math.pi), 5.0))


def test_angles_below_a_turn_where_degrees_belong() -> None:
    spec = replace(preset("maniskill-pd_joint_pos"), position_unit="deg")
    assert "radians" in warned(spec, at_home(4))
    assert "radians" not in warned(spec, at_home(4, unit=180 / math.pi))


def test_a_quaternion_that_is_not_of_length_1() -> None:
    absolute = (("position", "absolute"), ("rotation", "absolute"))
    spec = replace(
        STEPS,
        layout=(("position", 3), ("rotation", 4), ("gripper", 1)),
        representation=absolute,
        rotation="quat_wxyz",
        rotation_unit="none",
        rotation_side="none",
        frame="world",
    )
    rows = np.tile([0.5, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0, 1.0], (2, 1))
    assert "quaternion" not in warned(spec, rows)
    rows[1, 4] = 1.02
    assert "quaternion" in warned(spec, rows)


def test_a_gripper_that_never_changes() -> None:
    assert warned(STEPS, steps(0.02, move=False)) == {"gripper"}
    assert warned(STEPS, steps(0.02, count=3, move=False)) == set()  # too short to expect more


def test_a_gripper_whose_numbers_differ_and_mean_the_same() -> None:
    rows = steps(0.02, move=False)
    rows[:, 6] = np.linspace(0.8, 1.0, 8)
    assert "gripper" not in warned(STEPS, rows)
    assert "gripper" in warned(replace(STEPS, gripper=preset("openvla-bridge").gripper), rows)
    assert "gripper" in warned(OSC, rows)


def test_numbers_outside_a_range_that_clips() -> None:
    (verdict,) = wv.verify(TASK, [{"format": OSC, "rate_hz": 20, "actions": [[1.5, 0, 0, 0, 0, 0, -1]]}])
    assert "1 number is outside the range of position and clipped, such as 1.5." in verdict.warnings


@pytest.mark.parametrize(
    ("times", "suspected"),
    [(0.001, {"slow"}), (0.1, {"slow"}), (0.5, set()), (1.0, set()), (4.0, set())],
)
def test_ten_times_slower_than_an_arm_is_moved(times: float, suspected: set[str]) -> None:
    assert warned(STEPS, steps(times * 0.25 / 5.0, count=4)) - {"gripper"} == suspected


def test_ten_times_faster_than_an_arm_is_moved() -> None:
    spec = preset("openpi-droid-position")
    rows = at_home(6)
    rows[:, 7] = 0.0
    rows[3:, 0] += 1.5
    rows[3:, 7] = 1.0
    assert warned(spec, rows) == {"fast"}
    rows[3:, 0] -= 1.45
    assert warned(spec, rows) == set()


def test_speed_is_judged_by_the_fastest_action() -> None:
    path = np.zeros((6, 3))
    for length, found in (
        (0.31, {"fast"}),
        (0.29, set()),
        (0.0031, set()),
        (0.0029, {"slow"}),
        (0.0, set()),
    ):
        path[1:, 1] = length * np.arange(1, 6)
        assert kinds(speed_suspicion(path, 10.0)) == found


def test_a_wrist_that_turns_on_the_spot_is_not_slow() -> None:
    rows = at_home(6)
    rows[:, 7] = 0.0
    rows[:, 6] += 0.05 * np.arange(6)
    rows[3:, 7] = 1.0
    assert warned(preset("openpi-droid-position"), rows) == set()


def test_rows_as_many_as_a_chunk_of_which_a_part_is_carried_out() -> None:
    spec = replace(preset("gr00t-eef-relative", rate_hz=10.0), chunk=8, execute=4)
    assert "chunk" in kinds(suspicions(spec, steps(0.0), 10.0))
    assert "chunk" not in kinds(suspicions(spec, steps(0.0, count=12), 10.0))
    assert "chunk" not in kinds(suspicions(replace(spec, execute=8), steps(0.0), 10.0))


def test_a_controller_that_is_followed_otherwise_is_always_told() -> None:
    assert warned(OSC, steps(0.2)) == {"controller"}


def test_each_arm_is_suspected_by_its_name() -> None:
    rows = np.zeros((5, 14))
    rows[:, 13] = [0, 0, 1, 1, 1]
    rows[2, 8] = 90.0
    found = suspicions(preset("gym-aloha"), rows, 50.0)
    assert [warning.split(":")[0] for warning in found] == ["Arm left", "Arm right"]
    assert kinds(found[:1]) == {"gripper"}
    assert kinds(found[1:]) == {"degrees"}


# They change nothing


def test_a_suspicion_changes_neither_the_plan_nor_its_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = {"format": STEPS, "rate_hz": 5.0, "actions": steps(0.02, move=False)}
    (suspected,) = wv.verify(TASK, [line])
    plan = admit(line, contracts=TASK.contracts, default_rate=TASK.rate)
    np.testing.assert_array_equal(plan.actions, line["actions"])
    monkeypatch.setattr("worldverify.plan.suspicions", lambda *_: ())
    (clean,) = wv.verify(TASK, [line])
    assert (suspected.digest, suspected.status) == (clean.digest, clean.status)
    assert kinds(suspected.warnings) == {"gripper"}
    assert kinds(clean.warnings) == set()


def test_a_plan_that_is_refused_keeps_its_suspicions() -> None:
    (verdict,) = wv.verify(TASK, [{"format": STEPS, "rate_hz": 5.0, "actions": steps(0.9, count=4)}])
    assert verdict.status == "INVALID"
    assert "normalised" in kinds(verdict.warnings)


def test_the_formats_of_a_task_are_checked_and_not_suspected() -> None:
    rows = at_home(5)
    (verdict,) = wv.verify(TASK, [rows])
    assert kinds(verdict.warnings) == set()
