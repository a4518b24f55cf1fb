"""Rows at a rate become commands of an arm: in the time they take, alone as in a batch, or a reason why not."""

from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.action import ActionSpec, Gripper, Range
from worldverify.compile import Compiled, compile_for
from worldverify.kernels import kinematics
from worldverify.plan import Plan, admit
from worldverify.presets import preset
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.statistics import APPLIED, with_statistics

TASK = wv.load("PickCube-v0")
ARM = TASK.arm
assert ARM is not None
START = TASK.start(0)
TRACKED = (2e-3, 2e-2)  # m and rad: an unhurried path is followed within this

LIBERO = preset("libero-osc_pose-1.4")
STEPS = preset("rlds-eef-delta", rate_hz=25.0)


def plan_of(format: str | ActionSpec, rows: Any, **more: Any) -> Plan:
    spec = preset(format) if isinstance(format, str) and format not in TASK.contracts else format
    rate = more.pop("rate_hz", spec.rate_hz if isinstance(spec, ActionSpec) else None)
    line = {"format": spec, "rate_hz": rate, "actions": rows, **more}
    return admit(line, contracts=TASK.contracts, default_rate=TASK.rate, task=TASK.name)


def compiled(plan: Plan) -> Compiled:
    (made,) = compile_for(TASK, START[None], [plan])
    assert isinstance(made, Compiled), made
    return made


def refused(plan: Plan) -> Refusal:
    (made,) = compile_for(TASK, START[None], [plan])
    assert isinstance(made, Refusal)
    return made


def tool_path(made: Compiled) -> np.ndarray:
    assert ARM is not None
    q = made.controls[:, list(ARM.joint_controls)]
    return np.asarray(kinematics.tool_pose(q, *chain_of(ARM))[0])


def tool_start() -> np.ndarray:
    assert ARM is not None
    data = TASK.scene.data(START)
    q = np.array([data.joint(name).qpos[0] for name in ARM.joints])
    return np.asarray(kinematics.tool_pose(q, *chain_of(ARM))[0])


def steps(count: int, shift: tuple[float, float, float], gripper: float = 1.0) -> np.ndarray:
    return np.tile([*shift, 0.0, 0.0, 0.0, gripper], (count, 1))


# What the commands do


def test_steps_in_metres_take_the_tool_there_in_the_time_of_their_rate() -> None:
    made = compiled(plan_of(STEPS, steps(10, (0.005, -0.004, 0.002))))
    assert len(made.controls) == 10
    np.testing.assert_allclose(tool_path(made)[-1] - tool_start(), [0.05, -0.04, 0.02], atol=TRACKED[0])
    np.testing.assert_allclose(tool_path(made)[4] - tool_start(), [0.025, -0.02, 0.01], atol=TRACKED[0])


@pytest.mark.parametrize(("rate", "count"), [(5.0, 20), (20.0, 5), (25.0, 4), (50.0, 2), (3.0, 34)])
def test_four_actions_of_another_rate_take_their_own_time(rate: float, count: int) -> None:
    made = compiled(plan_of(replace(STEPS, rate_hz=rate), steps(4, (0.002, 0.0, 0.0))))
    assert len(made.controls) == count
    np.testing.assert_allclose(tool_path(made)[-1] - tool_start(), [0.008, 0.0, 0.0], atol=TRACKED[0])


def test_the_gripper_keeps_its_word_for_the_whole_of_an_action() -> None:
    assert ARM is not None
    rows = steps(4, (0.0, 0.0, 0.0))
    rows[:, 6] = [1.0, 0.0, 0.5, 1.0]
    made = compiled(plan_of(replace(STEPS, rate_hz=12.5), rows))
    held = made.controls[:, ARM.gripper_control]
    span = ARM.gripper_open - ARM.gripper_closed
    np.testing.assert_allclose((held - ARM.gripper_closed) / span, [1, 1, 0, 0, 0.5, 0.5, 1, 1])


def test_seven_numbers_of_another_polarity_close_what_the_others_open() -> None:
    assert ARM is not None
    rows = np.zeros((20, 7))
    rows[:, 6] = 1.0
    closes, opens = compiled(plan_of(LIBERO, rows)), compiled(plan_of("simpler-widowx", rows[:10]))
    assert closes.controls[-1, ARM.gripper_control] == pytest.approx(ARM.gripper_closed)
    assert opens.controls[-1, ARM.gripper_control] == pytest.approx(ARM.gripper_open)


def test_joints_at_another_rate_are_led_straight_from_value_to_value() -> None:
    assert ARM is not None
    spec = replace(preset("maniskill-pd_joint_pos"), rate_hz=5.0)
    q = TASK.scene.data(START)
    now = np.array([q.joint(name).qpos[0] for name in ARM.joints])
    target = now + np.array([0.1, 0, 0, 0, 0, 0, 0.2])
    made = compiled(plan_of(spec, [[*target, 1.0]]))
    led = made.controls[:, list(ARM.joint_controls)]
    np.testing.assert_allclose(led, now + np.arange(1, 6)[:, None] / 5 * (target - now), atol=1e-12)


def test_a_controller_without_a_rate_of_its_own_takes_that_of_the_plan() -> None:
    free = replace(LIBERO, rate_hz=None)
    rows = np.tile([0.2, 0.0, -0.2, 0.0, 0.0, 0.0, -1.0], (20, 1))
    same = compiled(plan_of(free, rows, rate_hz=20.0)).controls
    np.testing.assert_array_equal(same, compiled(plan_of(LIBERO, rows)).controls)
    assert len(compiled(plan_of(free, rows, rate_hz=10.0)).controls) == 50


def test_raw_controls_of_a_contract_are_scaled() -> None:
    model = TASK.scene.model
    low, high = model.actuator_ctrlrange[:, 0], model.actuator_ctrlrange[:, 1]
    own = TASK.contracts["ctrl"]
    limits = Range("ctrl", (-1.0,) * model.nu, (1.0,) * model.nu, tuple(low.tolist()), tuple(high.tolist()))
    spec = replace(own, name="ctrl-of-1", ranges=(limits,))
    made = compiled(plan_of(spec, np.zeros((3, model.nu))))
    np.testing.assert_allclose(made.controls, np.tile(0.5 * (low + high), (3, 1)), atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "point"),
    [
        ({"position_unit": "cm"}, {"position": [50, 0, 20]}),
        ({"rotation": "quat_xyzw"}, {"position": [0.5, 0, 0.2], "orientation": [1.0, 0, 0, 0]}),
        (
            {"gripper": Gripper(0.0, 1.0, 0.0, 1.0, "absolute", None, None, 0)},
            {"position": [0.5, 0, 0.2], "gripper": 0},
        ),
        ({"frame": "base"}, {"position": [0.5, 0, 0.2], "orientation": [0, 1.0, 0, 0], "gripper": 1, "time": 2.0}),
    ],
)
def test_waypoints_mean_what_their_contract_says(changes: dict[str, Any], point: dict[str, Any]) -> None:
    own: dict[str, Any] = {"position": [0.5, 0.0, 0.2]}
    own |= {"orientation": [0.0, 1.0, 0.0, 0.0]} if "orientation" in point else {}
    own |= {"gripper": 1} if "gripper" in point else {}
    own |= {"time": point["time"]} if "time" in point else {}
    made = compiled(plan_of(replace(preset("waypoints-json"), **changes), [point], rate_hz=None))
    same = compiled(plan_of(preset("waypoints-json"), [own], rate_hz=None))
    np.testing.assert_allclose(made.controls, same.controls, atol=1e-9)


# What is refused


def test_a_plan_may_last_to_the_horizon_and_no_longer() -> None:
    count = round(TASK.horizon * 20)
    assert len(compiled(plan_of(LIBERO, np.zeros((count, 7)))).controls) == TASK.steps
    refusal = refused(plan_of(LIBERO, np.zeros((count + 1, 7))))
    assert refusal.code == "too_many_steps"
    assert f"{count + 1} actions at 20 Hz" in refusal.reason
    assert f"which is {count} of them" in refusal.reason


def test_a_rate_a_hair_below_does_not_reach_beyond_the_horizon() -> None:
    spec = replace(STEPS, rate_hz=25.0 * (1 - 1e-9))
    (made,) = compile_for(TASK, START[None], [plan_of(spec, steps(TASK.steps, (0.0, 0.0, 0.0)))])
    assert isinstance(made, Refusal) or len(made.controls) <= TASK.steps


def test_a_contract_for_two_arms_is_for_another_robot() -> None:
    refusal = refused(plan_of("gym-aloha", np.zeros((2, 14))))
    assert refusal.code == "wrong_robot"
    assert "2 arms; this scene has one" in refusal.reason


def test_a_contract_of_six_joints_is_for_another_robot() -> None:
    refusal = refused(plan_of(replace(preset("lerobot-so101-degrees"), rate_hz=30.0), np.zeros((2, 6))))
    assert refusal.code == "wrong_robot"
    assert "an arm of 5 joints; this scene's has 7" in refusal.reason


def test_joints_of_the_same_names_in_another_order_are_refused() -> None:
    base = preset("maniskill-pd_joint_pos")
    spec = replace(base, layout=(*base.layout[6::-1], base.layout[7]), representation=base.representation[::-1])
    refusal = refused(plan_of(spec, np.zeros((2, 8))))
    assert refusal.code == "wrong_robot"
    assert "in the order joint7, joint6" in refusal.reason


def test_a_joint_out_of_its_range_is_named_with_the_action() -> None:
    assert ARM is not None
    rows = np.tile([*ARM.home, 1.0], (3, 1))
    rows[1, 3] = 0.5
    refusal = refused(plan_of("maniskill-pd_joint_pos", rows))
    assert refusal.code == "out_of_range"
    assert refusal.reason.startswith("Action 2 of maniskill-pd_joint_pos takes joint4 to 0.5 rad")


def test_a_place_out_of_reach_is_told_with_how_far_it_is() -> None:
    refusal = refused(plan_of(replace(STEPS, rate_hz=5.0), steps(20, (0.05, 0.0, 0.0))))
    assert refusal.code == "unreachable"
    assert "Is the contract the right one?" in refusal.reason


def test_a_leap_is_too_fast() -> None:
    refusal = refused(plan_of(STEPS, [[0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 1.0]]))
    assert refusal.code == "too_fast"
    assert refusal.reason.startswith("Action 1 of rlds-eef-delta leaves the arm")


# Alone and in a batch


def mixed() -> list[Plan]:
    """Plans of several contracts, lengths and rates, some of which cannot be carried out."""
    random = np.random.default_rng(1)
    assert ARM is not None
    plans: list[Plan] = []
    for count in (1, 7, 20):
        rows = random.uniform(-0.4, 0.4, (count, 7))
        plans += [plan_of(LIBERO, rows), plan_of("robosuite-1.5-osc_pose", rows)]
        plans.append(plan_of("maniskill-3.0.1-pd_ee_delta_pose", 0.2 * rows))
        plans.append(plan_of(STEPS, 0.02 * np.abs(rows)))
        plans.append(plan_of(with_statistics(preset("openvla-oft-bridge"), APPLIED), 0.05 * np.abs(rows[:5])))
        joints = np.tile([*ARM.home, 0.4], (count, 1)) + 0.05 * random.uniform(-1, 1, (count, 8))
        plans += [plan_of("maniskill-pd_joint_pos", joints), plan_of("openpi-droid-velocity", 0.2 * (joints - 0.4) / 4)]
        chunks = np.zeros((count, 7))
        chunks[:, 0], chunks[:, 6] = 0.002 * np.arange(count), 1.0
        plans.append(plan_of(replace(preset("gr00t-eef-relative"), rate_hz=10.0, execute=5), chunks))
    plans.append(plan_of(STEPS, steps(20, (0.1, 0.0, 0.0))))  # out of reach
    plans.append(plan_of(LIBERO, np.zeros((81, 7))))  # too long
    plans.append(plan_of("gym-aloha", np.zeros((2, 14))))  # another robot
    plans.append(plan_of(STEPS, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 1.0]]))  # too fast
    return plans


def said(made: Compiled | Refusal) -> object:
    if isinstance(made, Refusal):
        return made.code, made.reason
    return made.controls.shape, made.controls.tobytes(), made.warnings


@pytest.fixture(scope="module")
def alone() -> list[object]:
    return [said(compile_for(TASK, START[None], [plan])[0]) for plan in mixed()]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_plan_has_the_same_bits_and_warnings_alone_and_in_any_batch(alone: list[object], seed: int) -> None:
    plans = mixed()
    order = np.random.default_rng(seed).permutation(len(plans))
    found = compile_for(TASK, np.tile(START, (len(plans), 1)), [plans[i] for i in order])
    assert [said(one) for one in found] == [alone[i] for i in order]


def test_some_of_the_mixed_plans_are_carried_out_and_some_are_not(alone: list[object]) -> None:
    codes = {one[0] for one in alone if isinstance(one, tuple) and isinstance(one[0], str)}
    assert codes == {"too_many_steps", "wrong_robot", "unreachable", "too_fast"}
    assert len(alone) - 4 == sum(isinstance(one, tuple) and not isinstance(one[0], str) for one in alone)


def test_one_bad_plan_of_a_contract_takes_no_other_of_it_along() -> None:
    spec = replace(STEPS, ranges=(Range("position", (-0.1,) * 3, (0.1,) * 3, (-0.1,) * 3, (0.1,) * 3),))
    good = [plan_of(spec, steps(5, (0.002 * k, 0.0, 0.0))) for k in range(3)]
    bad = plan_of(spec, steps(5, (0.2, 0.0, 0.0)))
    found = compile_for(TASK, np.tile(START, (4, 1)), [good[0], bad, good[1], good[2]])
    assert isinstance(found[1], Refusal)
    assert found[1].code == "out_of_range"
    for one, plan in zip([found[0], *found[2:]], good, strict=True):
        assert said(one) == said(compiled(plan))


def test_plans_start_from_their_own_states() -> None:
    plans = [plan_of(STEPS, steps(5, (0.004, 0.0, 0.0))) for _ in range(3)]
    states = np.stack([TASK.start(seed) for seed in range(3)])
    together = compile_for(TASK, states, plans)
    for state, plan, one in zip(states, plans, together, strict=True):
        assert said(one) == said(compile_for(TASK, state[None], [plan])[0])


def test_a_start_that_is_not_finite_is_not_the_plans_fault() -> None:
    broken = START.copy()
    broken[mujoco.mj_stateSize(TASK.scene.model, mujoco.mjtState.mjSTATE_TIME)] = np.nan
    plan = plan_of(STEPS, steps(5, (0.004, 0.0, 0.0)))
    bad, good = compile_for(TASK, np.stack([broken, START]), [plan, plan])
    assert isinstance(bad, Refusal)
    assert (bad.code, bad.cause) == ("bad_state", "model")
    assert said(good) == said(compiled(plan))


# As arrays of `verify`


def test_arrays_of_chunks_are_judged_as_the_rows_that_are_carried_out() -> None:
    chunks = np.random.default_rng(2).uniform(-0.2, 0.2, (3, 2, 10, 7))
    rows = chunks[:, :, :5].reshape(3, 10, 7)
    by_chunk = wv.verify(TASK, chunks, format="openpi-libero")
    by_row = wv.verify(TASK, rows, format="openpi-libero")
    assert [v.digest for v in by_chunk] == [v.digest for v in by_row]
    assert [v.digest for v in wv.verify(TASK, rows[1], format="openpi-libero")] == [by_row[1].digest]


def test_texts_objects_arrays_and_plans_of_one_motion_are_one_plan() -> None:
    rows = np.tile([0.2, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0], (4, 1))
    plans = [
        rows,
        {"actions": rows.tolist()},
        f"Here you are: {rows.tolist()}",
        str({"actions": rows.tolist()}),
        plan_of(LIBERO, rows),
        {"format": LIBERO.name, "rate_hz": 20, "actions": rows},
        {"format": LIBERO.name, "text": f"```json\n{rows.tolist()}\n```"},
    ]
    for format in (LIBERO.name, LIBERO):
        verdicts = wv.verify(TASK, plans, format=format)
        assert {v.code for v in verdicts} == {None}
        assert len({v.digest for v in verdicts}) == 1


def test_a_plan_that_names_its_format_keeps_it() -> None:
    rows = np.tile([0.2, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0], (4, 1))
    named = {"format": LIBERO.name, "rate_hz": 20, "actions": rows}
    (other, own) = wv.verify(TASK, [named, rows], format="robosuite-1.5-osc_pose")
    assert (other.request["plan"]["format"], own.request["plan"]["format"]) == (LIBERO.name, "robosuite-1.5-osc_pose")


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("libero-osc_pose-1.5", "Did you mean 'libero-osc_pose-1.4'"),
        ("openpi-droid", "could mean openpi-droid-velocity or openpi-droid-position"),
        ("openvla-libero", "is normalised .* and no preset guesses its statistics"),
        (preset("openvla-libero"), "is normalised .* and no preset guesses its statistics"),
    ],
)
def test_a_declared_format_that_cannot_be_used_raises_before_anything_is_judged(format: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wv.verify(TASK, np.zeros((2, 7)), format=format)


def test_a_bad_candidate_under_a_declared_format_is_an_invalid_verdict() -> None:
    plans = ["I cannot do that.", np.zeros((2, 6)), {"actions": "none"}, None, np.zeros((2, 7))]
    verdicts = wv.verify(TASK, plans, format=LIBERO.name)
    assert [v.code for v in verdicts] == ["no_plan", "wrong_width", "wrong_type", "wrong_type", None]
    assert {v.cause for v in verdicts} == {"plan", None}
    assert "libero-osc_pose-1.4 wants shape (T, width) with width 7" in verdicts[1].reason
