"""Actions of environments: row by row the same controls as the whole plan, in boxes that say what fits."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import Compiled, compile_for
from worldverify.contracts import ctrl, joint_position
from worldverify.envs.actions import Actions, ee_delta, kinds
from worldverify.envs.gym import TaskEnv
from worldverify.kernels import kinematics
from worldverify.plan import admit
from worldverify.presets import preset
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.statistics import APPLIED, with_statistics
from worldverify.task import Task

Floats = np.ndarray[Any, np.dtype[np.float64]]

ARMS = [name for name in wv.tasks() if wv.load(name).arm is not None and wv.load(name).base is None]
OSC = preset("libero-osc_pose-1.4", rate_hz=25.0)  # of a task with 25 control periods a second


def gentle(actions: Actions, lanes: int, seed: int, length: int) -> Floats:
    """(lanes, length, width) rows that a robot can follow for a while: smooth, and in the middle of their range."""
    generator, width = np.random.default_rng(seed), actions.width
    rows = generator.uniform(-1.0, 1.0, (lanes, length, width))
    for k in range(1, length):
        rows[:, k] = 0.8 * rows[:, k - 1] + 0.2 * rows[:, k]
    if actions.contract.space == "eef":
        rows *= 0.1 * np.minimum(np.minimum(actions.high, -actions.low), 0.3)
        if actions.contract.gripper is not None:
            rows[..., -1] = generator.uniform(actions.low[-1], actions.high[-1], (lanes, length))
        return rows
    return 0.5 * (actions.low + actions.high) + 0.2 * rows * (actions.high - actions.low)


def compiled(actions: Actions, task: Task, state: Floats, rows: Floats) -> Compiled | Refusal:
    """What verify makes of the plan of rows before it simulates anything."""
    try:
        plan = admit(actions.plan(rows), contracts=task.contracts, default_rate=task.rate, task=task.name)
    except Refusal as refusal:
        return refusal
    return compile_for(task, state[None], [plan])[0]


FOLLOWED = [
    ("PickCube-v0", None),
    ("PickCube-v0", "joint"),
    ("PickCube-v0", "ctrl"),
    ("PickCube-v0", "ee_delta"),
    ("PickCube-v0", "simpler-widowx"),  # each action lasts five control periods
    ("PickCube-v0", "gr00t-eef-relative"),  # counted from where a chunk begins
    ("PickCube-v0", OSC),  # the controller keeps its speed from action to action
    ("PickCube-v0", preset("openpi-droid-velocity", rate_hz=12.5)),
    ("WaypointCell-v0", "ee_delta"),  # without a gripper
    ("PointPick-v0", "fetch-v4"),
    ("LiberoTable-v0", "maniskill-pd_joint_pos"),
    ("LiberoTable-v0", "gr00t-parts"),
    ("Handover-v0", "joint"),
    ("NavigateRoom-v0", "base_velocity"),
    ("FetchAcrossRoom-v0", "ee_delta"),
]


@pytest.mark.parametrize(("name", "kind"), FOLLOWED)
def test_the_controls_of_rows_are_those_of_the_whole_plan(name: str, kind: Any) -> None:
    task, length = wv.load(name), 9
    actions = Actions(task, kind)
    states = np.stack([task.start(seed) for seed in range(3)])
    rows = gentle(actions, 3, 0, length)
    follower = actions.follower(5)
    seen: dict[int, list[Floats]] = {0: [], 3: [], 4: []}
    for k in range(length + 2):  # the last lane begins two actions later
        if k in (0, 2):
            begins = [0, 1] if k == 0 else [2]
            follower.load(np.array([[0, 3, 4][i] for i in begins]), states[begins])
        going = [(i, lane, k - (2 if i == 2 else 0)) for i, lane in enumerate(seen)]
        going = [(i, lane, row) for i, lane, row in going if 0 <= row < length]
        controls, refused = follower.advance(
            np.array([lane for _, lane, _ in going]), np.stack([rows[i, row] for i, _, row in going])
        )
        assert not refused and controls.shape[1:] == (actions.periods, task.scene.model.nu)
        for (_, lane, _), made in zip(going, controls, strict=True):
            seen[lane].append(made)
    for i, lane in enumerate(seen):
        whole = compiled(actions, task, states[i], rows[i])
        assert isinstance(whole, Compiled)
        assert np.array_equal(np.concatenate(seen[lane]), whole.controls[: length * actions.periods])


@pytest.mark.parametrize("kind", ["joint", "ctrl", "ee_delta", OSC, "maniskill-pd_joint_pos"])
@pytest.mark.parametrize("value", [np.nan, 50.0, -np.inf])
def test_one_lane_is_refused_for_the_reason_that_verify_gives_and_the_others_go_on(kind: Any, value: float) -> None:
    task = wv.load("LiberoTable-v0" if kind == "maniskill-pd_joint_pos" else "PickCube-v0")
    actions = Actions(task, kind)
    rows = gentle(actions, 3, 1, 3)
    rows[1, 2, 1] = value
    follower, lanes = actions.follower(3), np.arange(3)
    state = task.start(0)
    follower.load(lanes, np.stack([state] * 3))
    for k in range(2):
        assert not follower.advance(lanes, rows[:, k])[1]
    controls, refused = follower.advance(lanes, rows[:, 2])
    whole = [compiled(actions, task, state, one) for one in rows]
    if kind is OSC and np.isfinite(value):
        assert not refused  # robosuite clips
    else:
        assert list(refused) == [1] and str(refused[1]) == str(whole[1])
    for lane in (0, 2):
        made = whole[lane]
        assert isinstance(made, Compiled) and np.array_equal(controls[lane], made.controls[2:3])


@pytest.mark.parametrize(
    ("step", "code"),
    [((0.015, 0.0, 0.0), "unreachable"), ((0.0, 0.0, -0.024), "unreachable"), ((0.024, -0.024, 0.024), "too_fast")],
)
def test_a_tool_that_is_led_out_of_reach_is_refused_when_the_plan_is(step: tuple[float, ...], code: str) -> None:
    task = wv.load("PickCube-v0")
    actions, state, lane = Actions(task, "ee_delta"), task.start(0), np.array([0])
    follower = actions.follower(1)
    follower.load(lane, state[None])
    row = np.array([*step, 0.0, 0.0, 0.0, 1.0])
    for k in range(task.steps):
        _, refused = follower.advance(lane, row[None])
        if refused:
            break
        if k % 5 == 0:
            assert isinstance(compiled(actions, task, state, np.tile(row, (k + 1, 1))), Compiled)
    whole = compiled(actions, task, state, np.tile(row, (k + 1, 1)))
    assert isinstance(whole, Refusal) and whole.code == code and str(refused[0]) == str(whole)
    assert isinstance(compiled(actions, task, state, np.tile(row, (k, 1))), Compiled)


@pytest.mark.parametrize("kind", ["joint", "ee_delta"])
def test_a_gripper_that_overshoots_a_little_is_clipped_as_in_a_plan(kind: str) -> None:
    task = wv.load("PickCube-v0")
    actions, state, lane = Actions(task, kind), task.start(0), np.array([0])
    follower = actions.follower(1)
    rows = gentle(actions, 1, 6, 2)[0]
    if kind == "joint":
        rows[:, :7] = task.scene.data(state).qpos[:7]
    rows[:, -1] = 1.03, 1.06
    follower.load(lane, state[None])
    controls, refused = follower.advance(lane, rows[:1])
    first = compiled(actions, task, state, rows[:1])
    assert not refused and isinstance(first, Compiled) and np.array_equal(controls[0], first.controls)
    _, refused = follower.advance(lane, rows[1:])
    assert str(refused[0]) == str(compiled(actions, task, state, rows)) and refused[0].code == "out_of_range"


def test_a_lane_that_begins_anew_has_forgotten_the_episode_before() -> None:
    task = wv.load("PickCube-v0")
    actions, lane = Actions(task, "ee_delta"), np.array([0])
    rows, follower = gentle(actions, 1, 2, 4)[0], actions.follower(1)
    made = []
    for bad in (True, False):
        follower.load(lane, task.start(3)[None])
        made.append([follower.advance(lane, row[None])[0] for row in rows])
        if bad:
            assert follower.advance(lane, np.full((1, 7), np.nan))[1]
    assert np.array_equal(made[0], made[1])


def test_steps_of_the_tool_add_up_along_the_axes_of_the_world() -> None:
    task = wv.load("PickCube-v0")
    assert task.arm is not None
    actions, state = Actions(task, "ee_delta"), task.start(0)
    rows = np.zeros((20, 7))
    rows[:10, :3], rows[:, 6] = (0.004, -0.003, 0.002), 0.25
    made = compiled(actions, task, state, rows)
    assert isinstance(made, Compiled)
    position, turn = kinematics.tool_pose(made.controls[:, :7], *chain_of(task.arm))
    here, _ = kinematics.tool_pose(task.scene.data(state).qpos[:7], *chain_of(task.arm))
    assert np.allclose(position[-1] - here, (0.04, -0.03, 0.02), atol=5e-4)  # m; what the inverse kinematics leave
    assert np.allclose(turn, turn[0], atol=2e-3)
    assert np.allclose(task.arm.opening(made.controls), 0.25)


@pytest.mark.parametrize("name", ARMS)
def test_a_good_plan_can_be_said_in_steps_of_the_tool(name: str) -> None:
    task = wv.load(name)
    actions = Actions(task, "ee_delta")
    rows = actions.rows(task.start(0), task.good)
    assert rows.shape == (task.steps, actions.width) and (actions.low <= rows).all() and (rows <= actions.high).all()


def test_a_good_plan_in_steps_of_the_tool_passes_step_by_step_as_it_does_whole() -> None:
    env = TaskEnv("PickCube-v0", actions="ee_delta", normalised=False)
    env.reset(seed=0)
    for row in env.actions_for(env.task.good):
        _, _, terminated, truncated, info = env.step(row)
        if terminated or truncated:
            break
    whole = wv.verify(env.task, [env.plan], seed=0)[0]
    line = json.loads(json.dumps(env.plan.to_json()))  # as a plans file holds it
    assert info["status"] == whole.status == "PASS" and env.last_verdict is not None
    assert env.last_verdict.digest == whole.digest == wv.verify(env.task, [line], seed=0)[0].digest
    env.close()


@pytest.mark.parametrize("kind", ["simpler-widowx", OSC])
def test_the_verdict_of_an_episode_is_that_of_its_plan(kind: Any) -> None:
    env = TaskEnv("ReachSafe-v0", actions=kind, normalised=False)
    env.reset(seed=5)
    for row in gentle(Actions(env.task, kind), 1, 4, 200)[0]:
        _, _, terminated, truncated, info = env.step(row)
        if terminated or truncated:
            break
    whole = wv.verify(env.task, [env.plan], seed=5)[0]
    assert env.last_verdict is not None and env.last_verdict.digest == whole.digest
    assert (info["status"], info["reason"]) == (whole.status, whole.reason)
    env.close()


# Boxes


def test_numbers_of_a_contract_lie_in_its_ranges() -> None:
    task = wv.load("PickCube-v0")
    steps, osc = Actions(task, "ee_delta"), Actions(task, OSC)
    assert np.allclose(steps.high, [0.024] * 3 + [0.128] * 3 + [1.0]) and np.allclose(steps.low[:6], -steps.high[:6])
    assert steps.low[6] == 0.0
    assert np.array_equal(osc.low, [-1.0] * 7) and np.array_equal(osc.high, [1.0] * 7)
    assert np.array_equal(
        osc.to_units(np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 0.25, -1.0])), [-1, -0.5, 0, 0.5, 1, 0.25, -1]
    )
    own = Actions(task, replace(joint_position(task.arm.joints, 25.0), position_unit="deg"))  # type: ignore[union-attr]
    assert np.allclose(own.high[:7], np.rad2deg(task.arm.q_max)) and own.high[7] == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["joint", "ctrl", "ee_delta", OSC])
def test_normalised_rows_come_back(kind: Any) -> None:
    actions = Actions(wv.load("PickCube-v0"), kind)
    rows = np.random.default_rng(0).uniform(-1, 1, (3, 5, actions.width))
    units = actions.to_units(rows)
    assert (units >= actions.low).all() and (units <= actions.high).all()
    assert np.allclose(actions.from_units(units), rows, atol=1e-12)
    beyond = actions.to_units(np.full(actions.width, 1.1))
    assert (beyond > actions.high).all()


def test_numbers_without_a_range_cannot_be_normalised() -> None:
    actions = Actions(wv.load("PickCube-v0"), "simpler-widowx")
    assert actions.box(normalised=False).is_bounded()
    with pytest.raises(ValueError, match=r"simpler-widowx says no range for position\[0\].*normalised=False"):
        actions.box(normalised=True)


def test_actions_of_another_rate_last_several_control_periods() -> None:
    task = wv.load("PickCube-v0")
    actions = Actions(task, "simpler-widowx")
    assert (actions.periods, actions.steps) == (5, task.steps // 5)
    assert actions.plan(np.zeros((2, 7))).rate_hz == 5.0


# What does not fit


REFUSED = [
    ("PickCube-v0", "libero-osc_pose-1.4", r"20 actions a second.*1\.25 of them.*rate_hz=25\)"),
    ("PickCube-v0", "gym-aloha", "takes: 'joint', 'ee_delta'"),
    ("PickCube-v0", "openvla-libero", "statistics"),
    ("PickCube-v0", "waypoints-json", "as a whole, not in rows"),
    ("PickCube-v0", "ee_waypoints", "as a whole, not in rows"),
    ("PickCube-v0", "lerobot-so101-degrees", "commands an arm of 5 joints"),
    ("PickCube-v0", "joints", "No actions 'joints'. Did you mean 'joint'"),
    ("PickCube-v0", "osc_pose", "could mean libero-osc_pose-1.4 or robosuite"),
    ("PickCube-v0", 3, "None, a name or an ActionSpec; got int"),
    ("PickCube-v0", replace(OSC, frame="camera:wrist"), "a camera, camera:wrist, that PickCube-v0 has not"),
    ("PickCube-v0", preset("rlds-eef-delta", rate_hz=25 / 3), "no whole number of actions"),
    ("PickCube-v0", ctrl(3, 25.0), "3"),
    ("PickCube-v0", replace(OSC, horizon=99), "at most 99 actions, and an episode of PickCube-v0 has 100"),
    ("NavigateRoom-v0", "joint", "NavigateRoom-v0 has no joint targets. .*'base_velocity', 'ctrl'"),
    ("NavigateRoom-v0", "ee_delta", "has no arm, and ee_delta moves the tool of one"),
    ("NavigateRoom-v0", "rlds-eef-delta", "robot is a base on wheels"),
    ("Handover-v0", "ee_delta", "has 2 arms, and ee_delta moves the tool of one"),
    ("Handover-v0", "rlds-eef-delta", "This scene has 2 arms"),
]


@pytest.mark.parametrize(("name", "kind", "reason"), REFUSED)
def test_what_does_not_fit_is_refused_with_a_list_of_what_does(name: str, kind: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        Actions(wv.load(name), kind)
    assert f"Actions that {name} takes: " in str(error.value)


def test_a_contract_with_its_statistics_fits() -> None:
    spec = with_statistics(preset("openvla-bridge"), APPLIED)
    assert Actions(wv.load("PickCube-v0"), spec).periods == 5


def test_every_kind_that_is_listed_can_be_made() -> None:
    for name in ("PickCube-v0", "LiberoTable-v0", "NavigateRoom-v0", "Handover-v0"):
        task = wv.load(name)
        for kind in kinds(task):
            assert Actions(task, kind).width >= 2
    assert set(kinds(wv.load("PickCube-v0"))) < set(kinds(wv.load("PickCube-v0"), whole=True))


def test_ways_of_another_robot_cannot_be_written_in_speeds() -> None:
    task = wv.load("NavigateRoom-v0")
    actions = Actions(task, "base_velocity")
    rows = np.array([[0.1, 0.0], [0.1, 0.2]])
    line = {"format": "base_velocity", "rate_hz": actions.contract.rate_hz, "actions": rows.tolist()}
    assert np.array_equal(actions.rows(task.start(0), line), rows)
    with pytest.raises(Refusal, match="cannot be written as base_velocity"):
        actions.rows(task.start(0), task.good)


def test_a_tool_without_a_gripper_has_no_number_for_one() -> None:
    assert ee_delta(25.0, gripper=False).width == 6 and ee_delta(25.0).columns[-1] == "gripper"


# Reading


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("close", "an array of <U5"),
        (None, "an array of object"),
        ([None] * 8, "an array of object"),
        (np.zeros(8, dtype=bool), "an array of bool"),
        (np.zeros(8, dtype=complex), "an array of complex128"),
        (np.zeros((1, 8)), r"shape \(1, 8\)"),
        ([[0.0], [1.0, 2.0]], "list"),
    ],
)
def test_an_action_is_a_row_of_numbers(given: Any, got: str) -> None:
    actions = Actions(wv.load("PickCube-v0"))
    with pytest.raises(ValueError, match=rf"^An action of PickCube-v0 has 8 numbers \(.*gripper\); got {got}\.$"):
        actions.read(given)
    with pytest.raises(ValueError, match=r"^The actions of 3 lanes of PickCube-v0 have shape \(3, 8\); got "):
        actions.read(given, 3)


@pytest.mark.parametrize("given", [[1] * 8, np.ones(8, dtype=np.float32), np.ones(8, dtype=np.uint8)])
def test_whole_numbers_and_lists_are_actions_too(given: Any) -> None:
    read = Actions(wv.load("PickCube-v0")).read(given)
    assert read.dtype == np.float64 and np.array_equal(read, np.ones(8)) and read is not given
