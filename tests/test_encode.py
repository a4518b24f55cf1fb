"""What is written by a contract is read back as the same motion, and a plan as text as the same plan."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldverify as wv
from worldverify.action import TIMED, ActionSpec, Gripper, Normalisation, Range
from worldverify.contracts import OPENING, ctrl
from worldverify.decode import Angles, Begin, Pose, Poses, angles, poses
from worldverify.encode import as_text, encode, plan_of, rows_of_angles, rows_of_poses
from worldverify.encode_points import corners
from worldverify.kernels import actions, rotation
from worldverify.motion import Motion, begin_of, motion_of, resampled
from worldverify.plan import Plan, admit
from worldverify.presets import names, preset
from worldverify.presets.kinds import joints, tool
from worldverify.refusal import Refusal

BACK = 1e-8  # m, rad and share: there and back through a division by a small response
B, T, RATE = 3, 14, 20.0
RNG = np.random.default_rng(3)


def turned(*shape: int, angle: float) -> np.ndarray:
    return rotation.from_vector(RNG.uniform(-angle, angle, (*shape, 3)))


BEGIN = Begin(
    q=RNG.uniform(-1, 1, (B, 7)),
    tool=Pose(RNG.uniform(0.2, 0.6, (B, 3)), turned(B, angle=2.0)),
    opening=np.ones(B),
    base=Pose(RNG.uniform(-0.2, 0.2, (B, 3)), turned(B, angle=2.0)),
    cameras={"wrist": Pose(RNG.uniform(-0.2, 0.2, (B, 3)), turned(B, angle=2.0))},
)
WHERE, TURN = actions.accumulate(
    BEGIN.tool.position,
    BEGIN.tool.orientation,
    RNG.uniform(-0.001, 0.001, (B, T, 3)),
    turned(B, T, angle=0.01),
    side="left",
)
OPEN = np.ones((B, T))
OPEN[:, 4:10] = 0.0
WANTED = Poses(WHERE, TURN, OPEN)
BENT = Angles(BEGIN.q[:, None] + np.cumsum(RNG.uniform(-0.02, 0.02, (B, T, 7)), axis=1), OPEN)

REPRESENTATIONS = ["absolute", "relative_to_chunk_start", "delta_to_previous_target", "delta_to_achieved"]
ROTATIONS = [
    "rpy",
    "euler_XYZ",
    "axis_angle",
    "quat_wxyz",
    "quat_xyzw",
    "rot6d_interleaved",
    "rot6d_contiguous",
]
GRIPPERS = {
    "opening": OPENING,
    "inverted": Gripper(-1.0, 1.0, -1.0, 1.0, "absolute", None, None, 0),
    "rounded": Gripper(1.0, 0.0, 0.0, 1.0, "absolute", 0.5, None, 0),
    "sign": Gripper(-1.0, 1.0, -1.0, 1.0, "sign_hold", None, None, 0),
    "change": Gripper(-1.0, 0.0, -1.0, 1.0, "relative", None, None, 0),
    "sticky": Gripper(-1.0, 0.0, -1.0, 1.0, "relative", None, None, 5),
}


def assert_read_back(spec: ActionSpec, wanted: Poses = WANTED) -> None:
    found = poses(spec, rows_of_poses(spec, wanted, BEGIN), BEGIN)
    np.testing.assert_allclose(found.position, wanted.position, rtol=0, atol=BACK)
    apart = rotation.multiply(found.orientation, rotation.conjugate(wanted.orientation))
    np.testing.assert_allclose(rotation.to_vector(apart), 0.0, atol=BACK)
    assert found.opening is not None
    np.testing.assert_allclose(found.opening, wanted.opening, atol=BACK)


def contract(**changes: Any) -> ActionSpec:
    """A delta contract, with some of it changed."""
    options: dict[str, Any] = {
        "representation": "delta_to_previous_target",
        "rotation": "axis_angle",
        "side": "left",
        "frame": "world",
        "gripper": OPENING,
        "rate_hz": RATE,
        "range_policy": "reject",
    }
    return tool("test", "1", **{**options, **changes})


@given(
    st.sampled_from(REPRESENTATIONS),
    st.sampled_from(ROTATIONS),
    st.sampled_from(["world", "base", "tool", "camera:wrist"]),
    st.sampled_from(["left", "right"]),
    st.sampled_from([1, -1]),
    st.sampled_from(sorted(GRIPPERS)),
)
def test_poses_written_by_any_contract_are_read_back(
    representation: Any, rotating: Any, frame: str, side: Any, sign: int, gripper: str
) -> None:
    spec = contract(
        representation=representation,
        rotation=rotating,
        rotation_unit="none" if rotating.startswith(("quat", "rot6d")) else "deg",
        frame=frame,
        side="none" if representation == "absolute" else "right" if frame == "tool" else side,
        sign=sign,
        gripper=GRIPPERS[gripper],
        chunk=6 if representation == "relative_to_chunk_start" else None,
        execute=4 if representation == "relative_to_chunk_start" else None,
    )
    assert_read_back(spec)


TIMED_POSES = [name for name in names() if preset(name).space == "eef" and preset(name).syntax in TIMED]


@pytest.mark.parametrize("name", [name for name in TIMED_POSES if preset(name).has("rotation")])
def test_poses_written_by_a_preset_are_read_back(name: str) -> None:
    spec = preset(name)
    if spec.needs_statistics:
        scale = spec.normalisation._replace(first=(-1.1,) * spec.width, second=(0.9,) * spec.width, encoding="numbers")
        spec = preset(name, normalisation=scale)
    shown = OPEN
    if spec.gripper is not None and (spec.gripper.step or spec.gripper.hold_steps):
        shown = np.ones((B, T))
    assert_read_back(spec, Poses(WHERE, TURN, shown))


def test_a_gripper_that_closes_by_steps_is_told_to_close_all_the_way() -> None:
    spec = contract(gripper=Gripper(-1.0, 1.0, -1.0, 1.0, "sign_hold", None, 0.25, 0))
    rows = rows_of_poses(spec, WANTED, BEGIN)
    assert rows[0, :, -1].tolist() == [-1.0] * 4 + [1.0] * 6 + [-1.0] * 4
    found = poses(spec, rows, BEGIN).opening
    assert found is not None
    assert found[0].tolist() == [1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0.25, 0.5, 0.75, 1]


def test_a_gripper_that_keeps_its_command_for_longer_than_the_motion_waits_is_refused() -> None:
    with pytest.raises(Refusal, match="stays with a command for 15 actions; step 11"):
        rows_of_poses(contract(gripper=GRIPPERS["sticky"]._replace(hold_steps=15)), WANTED, BEGIN)


@pytest.mark.parametrize("kind", ["zscore", "q01_q99", "min_max"])
def test_statistics_and_ranges_are_undone(kind: Any) -> None:
    first, second = tuple(np.linspace(-0.3, -0.1, 7)), tuple(np.linspace(0.2, 0.4, 7))
    scale = Normalisation(kind, "numbers", first, second, 1e-6, (True,) * 6 + (False,), -1.0, 1.0)
    ranges = (Range("position", (-2.0, -1.0, 0.0), (2.0, 1.0, 4.0), (-0.05,) * 3, (0.05,) * 3),)
    assert_read_back(contract(normalisation=scale, ranges=ranges))


def test_tokens_are_read_back_to_half_a_bin() -> None:
    spec = preset("openvla-libero")
    most = np.array([1.0] * 6 + [1.0])
    scale = spec.normalisation._replace(first=tuple(-most), second=tuple(most))
    spec = preset("openvla-libero", normalisation=scale)
    still = Poses(WHERE, TURN, np.ones((B, T)))
    found = poses(spec, rows_of_poses(spec, still, BEGIN), BEGIN)
    assert np.abs(found.position - WHERE).max() < 0.05 * T / 255  # each action's goal is off by at most half of 2/255


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("openpi-droid-velocity", {}),
        ("openpi-droid-position", {}),
        ("maniskill-pd_joint_pos", {}),
        ("of chunks", {"representation": "relative_to_chunk_start", "unit": "deg", "chunk": 6, "execute": 4}),
        ("of steps", {"representation": "delta_to_previous_target", "unit": "rad"}),
    ],
)
def test_angles_are_read_back(name: str, changes: dict[str, Any]) -> None:
    shared: dict[str, Any] = {"gripper": OPENING, "rate_hz": 15.0, "range_policy": "reject"}
    spec = joints(name, "1", [f"j{i}" for i in range(7)], **shared, **changes) if changes else preset(name)
    assert spec.rate_hz is not None
    found = angles(spec, rows_of_angles(spec, BENT, BEGIN, spec.rate_hz), BEGIN, spec.rate_hz)
    np.testing.assert_allclose(found.q, BENT.q, rtol=0, atol=BACK)
    assert found.opening is not None
    np.testing.assert_allclose(found.opening, OPEN, atol=BACK)


def one() -> tuple[Motion, Begin]:
    begin = Begin(
        BEGIN.q[:1],
        Pose(BEGIN.tool.position[:1], BEGIN.tool.orientation[:1]),
        BEGIN.opening[:1],
        Pose(BEGIN.base.position[:1], BEGIN.base.orientation[:1]),
        {},
    )
    return Motion(RATE, BENT.q[0], WHERE[0], TURN[0], OPEN[0]), begin


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        (preset("gym-aloha"), "wrong_robot", "2 arms"),
        (preset("lerobot-so101-degrees"), "wrong_robot", "5 joints"),
        (preset("saycan-skills"), "unknown_format", "what to do"),
        (ctrl(8, RATE), "unknown_format", "raw controls"),
        (contract(frame="camera:gone"), "no_camera", "gone"),
        (contract(limit=0.001), "too_fast", "move slower"),
        (
            contract(ranges=(Range("position", (-1.0,) * 3, (1.0,) * 3, (-1e-4,) * 3, (1e-4,) * 3),)),
            "too_fast",
            "position[",
        ),
        (
            contract(
                representation="absolute",
                rotation="yaw",
                side="none",
            ),
            "out_of_range",
            "leans",
        ),
        (
            contract(
                representation="absolute",
                side="none",
                ranges=(Range("position", (0.0,) * 3, (1.0,) * 3, (5.0,) * 3, (6.0,) * 3),),
            ),
            "out_of_range",
            "stay within",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, ActionSpec) else str(value),
)
def test_what_a_contract_cannot_say_is_refused(spec: ActionSpec, code: str, said: str) -> None:
    motion, begin = one()
    with pytest.raises(Refusal) as caught:
        encode(spec, motion, begin)
    assert caught.value.code == code
    assert said in caught.value.reason
    assert caught.value.reason.endswith(".")


def test_a_motion_that_turns_is_refused_where_there_are_no_numbers_for_turns() -> None:
    motion, begin = one()
    turning = rotation.multiply(turned(T, angle=0.3), motion.orientation)
    spec = contract(rotation="none", side="none")
    assert np.isfinite(encode(spec, motion, begin)).all()
    with pytest.raises(Refusal, match="test has no numbers for turns"):
        encode(spec, replace(motion, orientation=turning), begin)


def test_a_motion_of_another_rate_is_refused_with_both_rates() -> None:
    motion, begin = one()
    with pytest.raises(ValueError, match="20 steps a second; simpler-widowx has 5"):
        encode(preset("simpler-widowx"), motion, begin)


def test_the_corners_of_a_path_are_where_it_bends_and_where_the_gripper_changes() -> None:
    _, begin = one()
    start = begin.tool.position[0]
    steps = np.array([[1.0, 0, 0]] * 5 + [[0, 1.0, 0]] * 5 + [[0, 0, 0]] * 4) * 0.01
    motion = Motion(RATE, BENT.q[0], start + np.cumsum(steps, axis=0), np.tile(begin.tool.orientation, (T, 1)), OPEN[0])
    assert corners(motion, begin, straight=True) == [3, 4, 9, 13]


def test_a_motion_resampled_to_its_own_rate_is_itself() -> None:
    motion, begin = one()
    again = resampled(motion, begin, RATE)
    for field in ("q", "position", "orientation", "opening"):
        np.testing.assert_allclose(getattr(again, field), getattr(motion, field), atol=1e-12)


def test_a_plan_of_raw_joints_can_be_made_slower_too() -> None:
    task = wv.load("ReachSafe-v0")
    state = task.start(0)
    rows = np.tile([*begin_of(task, state).q[0], 1.0], (10, 1))
    plan = admit({"actions": rows.tolist()}, contracts=task.contracts, default_rate=task.rate)
    motion = motion_of(task, plan, state, rate_hz=10.0, slower=2.0)
    assert motion.rate_hz == 10.0
    assert len(motion.q) == 8  # 0.8 s
    np.testing.assert_allclose(motion.q, rows[:8, :7])


PICK_AND_PLACE = ({"skill": "pick", "object": "cube"}, {"skill": "place", "target": "basket"})
SYMBOLIC: dict[str, tuple[dict[str, Any], ...]] = {
    "chat-calls": ({"skill": "open_gripper"}, {"skill": "move_to", "position": [0.5, 0.0, 0.2]}),
    "gemini-er-points": ({"point": [500.0, 310.0], "label": "cube"},),
    "robobrain-points": ({"box": [10.0, 20.0, 30.0, 40.0]}, {"point": [3.0, 4.0]}),
    "gemini-er-calls": (
        {"call": "move", "x": 12.0, "y": -150.0, "high": True},
        {"call": "setGripperState", "opened": False},
        {"call": "returnToOrigin"},
    ),
}
SYMBOLIC["gemini-cookbook-calls"] = SYMBOLIC["gemini-er-calls"]


def sample(name: str) -> Plan:
    """A plan of a preset that says something in each of its parts."""
    spec = preset(name)
    if spec.needs_statistics and spec.arms:
        spec = preset(
            name, normalisation=spec.arms[0][1].normalisation._replace(first=(-1.0,) * 14, second=(2.0,) * 14)
        )
    elif spec.needs_statistics:
        spec = preset(
            name, normalisation=spec.normalisation._replace(first=(-1.0,) * spec.width, second=(2.0,) * spec.width)
        )
    if spec.arms or name.startswith("lerobot"):
        return Plan(
            None, name, spec.rate_hz or 30.0, np.linspace(0.01, 0.9, 3 * spec.width).reshape(3, -1), contract=spec
        )
    if not spec.layout:
        return Plan(None, name, None, SYMBOLIC.get(name, PICK_AND_PLACE), contract=spec)
    task = replace(wv.load("PickCube-v0"), randomise=None)
    state = task.start()
    assert task.good is not None
    motion = motion_of(task, task.good, state, rate_hz=spec.rate_hz or 7.0, slower=4.0)
    if name == "voxel-bins":
        spec = preset(name, lower=(-0.3, -0.5, 0.0), upper=(0.7, 0.5, 1.0))
    return plan_of(spec, motion, begin_of(task, state))


@pytest.mark.parametrize("name", names())
def test_a_plan_is_read_back_from_its_text_and_from_its_line(name: str) -> None:
    task = wv.load("PickCube-v0")
    plan = sample(name)
    line = plan.to_json()
    text = {key: line[key] for key in ("format", "rate_hz", "contract") if line.get(key) is not None}
    for written in (line, {**text, "text": as_text(plan, task.contracts)}):
        assert admit(written, contracts=task.contracts, default_rate=task.rate) == plan


@pytest.mark.parametrize("task", wv.tasks())
def test_a_plan_of_a_task_is_read_back_from_its_text(task: str) -> None:
    known = wv.load(task)
    assert known.good is not None
    for plan in (known.good, *known.bad.values()):
        text = as_text(plan, known.contracts)
        assert admit(text, contracts=known.contracts, default_rate=known.rate) == replace(plan, id=None)


@pytest.mark.parametrize("name", [name for name in names() if preset(name).space == "skill" and name != "chat-calls"])
def test_calls_of_the_same_skills_have_the_same_verdict_and_margins(name: str) -> None:
    task = wv.load("PutInBasket-v0")
    text = as_text(Plan(None, name, None, PICK_AND_PLACE, contract=preset(name)), {})
    called, own = wv.verify(task, [{"text": text, "format": name}, task.good])
    assert called.status == "PASS"
    assert called.margins == own.margins


def test_rows_of_a_batch_are_those_of_each_plan_alone() -> None:
    spec = preset("libero-osc_pose-1.4")
    motion, begin = one()
    together = rows_of_poses(spec, Poses(WHERE, TURN, np.ones((B, T))), BEGIN)
    alone = encode(spec, replace(motion, opening=np.ones(T)), begin)
    assert np.array_equal(together[0], alone)


def test_a_turn_of_half_a_circle_in_one_action_is_refused() -> None:
    quick = rotation.multiply(turned(B, T, angle=math.pi), TURN)
    with pytest.raises(Refusal, match=r"turns the tool by more than|rotation\["):
        rows_of_poses(preset("libero-osc_pose-1.4"), Poses(WHERE, quick, OPEN), BEGIN)
