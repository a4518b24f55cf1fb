"""The Gymnasium face: environments say what worldverify.verify says, step by step and plan by plan."""

import math
import runpy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import worldverify as wv
from worldverify.envs.actions import Actions
from worldverify.envs.gym import PlanEnv, TaskEnv
from worldverify.envs.observations import Observations
from worldverify.judge import judge
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.registration import register_tasks
from worldverify.simulate import Trace

PENDULUM = """
<mujoco model="pendulum">
  <option timestep="0.004"/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 0.1"/>
    <body name="ball" pos="0.6 0 0.3"><freejoint/><geom type="sphere" size="0.05" mass="0.1"/></body>
    <body name="rod" pos="0 0 1">
      <joint name="hinge" type="hinge" axis="0 1 0" range="-170 170" damping="0.05"/>
      <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.4" mass="0.5"/>
    </body>
  </worldbody>
  <actuator><motor name="push" joint="hinge" {limits}/></actuator>
</mujoco>
"""
LIMITED = PENDULUM.format(limits='ctrlrange="-2 4"')
SPEC = """
raised: eventually[0,0.7](joint(hinge) > 0.4 rad)
slow:   always(joint_speed(hinge) < 12 rad/s)
landed: at_end(pos(ball).z < 0.1 m)
"""
PUSHES = {"PASS": 1.4, "FAIL": 4.0, "too weak": 0.2}

TASKS = wv.tasks()
IDS = sorted(id for id in gymnasium.registry if id.startswith("worldverify/"))


def scatter(generator: np.random.Generator, model: Any, data: Any) -> None:
    data.joint("hinge").qpos[0] = generator.uniform(-0.1, 0.1)


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return wv.Task.from_mjcf(LIMITED, spec=SPEC, horizon=0.8, rate=25.0, randomise=scatter, instruction="Swing up.")


@pytest.fixture
def env(task: wv.Task) -> Iterator[TaskEnv]:
    env = TaskEnv(task, normalised=False)
    yield env
    env.close()


def ended(env: Any, actions: Any) -> tuple[list[float], dict[str, Any], bool, bool]:
    """Rewards, last info, terminated and truncated of actions, the last one repeated until the episode ends."""
    rewards, queue = [], list(actions)
    while True:
        action = queue.pop(0) if len(queue) > 1 else queue[0]
        _, reward, terminated, truncated, info = env.step(action)
        rewards.append(float(reward))
        if terminated or truncated:
            return rewards, info, terminated, truncated


def push(value: float) -> list[np.ndarray]:
    return [np.array([value])]


def swings(task: wv.Task, seed: int, count: int = 1) -> np.ndarray:
    """(count, T, 1) random actions."""
    return np.random.default_rng(seed).uniform(-2, 4, (count, task.steps, 1))


# Gymnasium's own rules


def test_there_are_two_environments_for_every_task() -> None:
    names = {id.removeprefix("worldverify/").replace("-Plan", "") for id in IDS}
    assert names == set(TASKS) and len(IDS) == 2 * len(TASKS)


@pytest.mark.parametrize("kind", ["", "Plan-"])
def test_the_environment_checker_finds_nothing(a_task: str, kind: str) -> None:
    check_env(gymnasium.make(f"worldverify/{a_task.replace('v0', kind + 'v0')}").unwrapped)


@pytest.mark.parametrize("kind", [TaskEnv, PlanEnv])
def test_the_environment_checker_finds_nothing_in_an_own_scene(kind: type, task: wv.Task) -> None:
    id = f"own/{kind.__name__}-v0"
    gymnasium.register(id=id, entry_point=lambda **options: kind(task, **options))
    try:
        check_env(gymnasium.make(id).unwrapped)
    finally:
        del gymnasium.registry[id]


def test_a_module_in_the_id_leads_to_the_same_environment() -> None:
    plain, named = (gymnasium.make(id) for id in ("worldverify/PickCube-v0", "worldverify:worldverify/PickCube-v0"))
    assert plain.spec == named.spec


def test_registering_twice_warns_of_nothing() -> None:
    gymnasium.register_envs(wv)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_tasks()


def test_a_vector_of_environments_holds_the_single_ones(task: wv.Task) -> None:
    vector = gymnasium.make_vec("worldverify/PickCube-v0", num_envs=2, vectorization_mode="sync")
    single = gymnasium.make("worldverify/PickCube-v0")
    actions = np.zeros((2, 8), np.float32)
    vector.reset(seed=[3, 4])
    observations, rewards, *_, infos = vector.step(actions)
    single.reset(seed=4)
    observation, reward, *_, info = single.step(actions[1])
    assert np.array_equal(observations[1], observation) and rewards[1] == reward
    assert infos["is_success"][1] == info["is_success"]
    assert infos["instruction"][1] == info["instruction"]
    vector.close()


def test_an_environment_of_a_task_is_made_by_name_or_by_value(task: wv.Task) -> None:
    assert TaskEnv("PickCube-v0").task is wv.load("PickCube-v0")
    assert gymnasium.make("worldverify/PickCube-v0", task=task).unwrapped.task.name == task.name


# Starts


def test_a_seed_chooses_the_start_of_the_task(env: TaskEnv) -> None:
    env.reset(seed=5)
    assert np.array_equal(env.state, env.task.start(5)) and env.start_seed == 5


def test_without_a_seed_starts_vary_and_follow_the_last_seed(env: TaskEnv) -> None:
    def starts() -> list[float]:
        env.reset(seed=1)
        return [float(env.reset()[0][env.layout["qpos"]][7]) for _ in range(3)]

    first = starts()
    assert len(set(first)) == 3 and first == starts()


def test_an_episode_can_begin_in_any_state(env: TaskEnv) -> None:
    env.reset(seed=0)
    ended(env, push(0.2)[:1])
    state = env.state
    env.reset(options={"state": state})
    ended(env, push(1.0))
    verdict = env.last_verdict
    assert verdict is not None
    assert dict(verdict.margins) == dict(env.margins)
    assert np.array_equal(verdict.request["state"], state)


def test_an_unknown_option_of_reset_is_refused(env: TaskEnv) -> None:
    with pytest.raises(ValueError, match="Options: state"):
        env.reset(options={"sate": 1})


# Actions and observations


def test_normalised_actions_reach_exactly_the_ends_of_each_range() -> None:
    actions = Actions(wv.load("PickCube-v0"))
    ends = np.array([[-1.0] * 8, [1.0] * 8], np.float32)
    assert np.array_equal(actions.to_units(ends), [actions.low, actions.high])
    rows = np.random.default_rng(0).uniform(-1, 1, (1000, 8)).astype(np.float32)
    units = actions.to_units(rows)
    assert ((actions.low <= units) & (units <= actions.high)).all()
    np.testing.assert_allclose(actions.from_units(units), rows, atol=1e-12)


def test_a_normalised_action_out_of_range_stays_out_of_range() -> None:
    actions = Actions(wv.load("PickCube-v0"))
    assert (actions.to_units(np.full(8, 1.001)) > actions.high).all()


def test_an_actuator_without_a_range_cannot_be_normalised() -> None:
    free = wv.Task.from_mjcf(PENDULUM.format(limits=""), spec=SPEC, horizon=0.8, rate=25.0)
    with pytest.raises(ValueError, match=r"ctrlrange \(push\).*normalised=False"):
        TaskEnv(free)
    TaskEnv(free, normalised=False).close()


def test_an_observation_holds_the_state_and_the_time_that_passed(env: TaskEnv) -> None:
    env.reset(seed=0)
    observation, *_ = env.step(np.array([1.25]))
    state = env.task.scene.data(env.state)
    expected = {"qpos": state.qpos, "qvel": state.qvel, "ctrl": [1.25], "time": [1 / env.task.steps]}
    assert set(env.layout) == set(expected)
    for name, value in expected.items():
        assert np.array_equal(observation[env.layout[name]], np.asarray(value, np.float32))


def test_an_observation_of_a_broken_state_lies_in_its_space(task: wv.Task) -> None:
    observations = Observations(task)
    for broken in (math.nan, math.inf, -math.inf, 1e300):
        states = np.full((1, task.scene.nstate), broken)
        assert observations.batch(states, np.array([task.samples]), np.zeros((1, 3)))[0] in observations.space()


def test_a_plan_of_any_format_becomes_actions() -> None:
    env = gymnasium.make("worldverify/PickCube-v0").unwrapped
    env.reset(seed=0)
    actions = env.actions_for(env.task.good)
    assert all(action in env.action_space for action in actions)
    _, info, terminated, _ = ended(env, actions)
    assert terminated and info["is_success"]


def test_an_action_of_the_wrong_width_is_an_error_that_names_the_numbers() -> None:
    env = TaskEnv("PickCube-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"8 numbers \(.*gripper\); got shape \(7,\)"):
        env.step(np.zeros(7))


def test_an_environment_wants_reset_before_its_first_step_and_after_its_last(env: TaskEnv) -> None:
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(1))
    env.reset(seed=0)
    ended(env, push(4.0))
    for call in (lambda: env.step(np.zeros(1)), lambda: env.verify(np.zeros((2, 1)))):
        with pytest.raises(ResetNeeded):
            call()


# Verdicts


@pytest.mark.parametrize("value", PUSHES.values(), ids=PUSHES)
@pytest.mark.parametrize("seed", [0, 7])
def test_an_episode_has_the_verdict_of_its_actions_judged_as_a_plan(env: TaskEnv, value: float, seed: int) -> None:
    env.reset(seed=seed)
    _, info, terminated, truncated = ended(env, push(value))
    verdict = wv.verify(env.task, [env.plan], seed=seed)[0]
    assert info["status"] == verdict.status == ("PASS" if value == PUSHES["PASS"] else "FAIL")
    assert dict(env.margins) == dict(verdict.margins)
    assert info["reason"] == verdict.reason
    assert env.last_verdict is not None and env.last_verdict.digest == verdict.digest
    assert (terminated, truncated) == (True, False)


@pytest.mark.parametrize("seed", range(8))
def test_random_episodes_have_the_verdict_of_their_actions(env: TaskEnv, seed: int) -> None:
    env.reset(seed=seed)
    rewards, info, *_ = ended(env, swings(env.task, seed)[0])
    verdict = wv.verify(env.task, [env.plan], seed=seed)[0]
    assert (info["status"], dict(env.margins)) == (verdict.status, dict(verdict.margins))
    assert sum(rewards) == pytest.approx(verdict.reward, abs=1e-12)


def test_the_good_plan_of_a_task_passes_step_by_step_with_the_same_margins(a_task: str) -> None:
    env = TaskEnv(a_task, normalised=False)
    env.reset(seed=0)
    _, info, *_ = ended(env, env.actions_for(env.task.good))
    verdict = wv.verify(a_task, [env.plan], seed=0)[0]
    assert info["status"] == verdict.status == "PASS"
    assert dict(env.margins) == dict(verdict.margins)


def test_an_episode_is_truncated_when_the_horizon_leaves_it_undecided() -> None:
    spec = "late: eventually[0,2](joint(hinge) > 2 rad)"
    env = TaskEnv(wv.Task.from_mjcf(LIMITED, spec=spec, horizon=0.4, rate=25.0), normalised=False)
    env.reset(seed=0)
    rewards, info, terminated, truncated = ended(env, push(0.0))
    assert (terminated, truncated, info["status"]) == (False, True, "INCONCLUSIVE")
    assert len(rewards) == env.task.steps
    assert env.last_verdict is not None and env.last_verdict.status == "INCONCLUSIVE"


@pytest.mark.parametrize("bad", [math.nan, math.inf, 4.001, -1e300])
def test_an_action_that_no_plan_may_hold_ends_the_episode_with_the_least_reward(env: TaskEnv, bad: float) -> None:
    env.reset(seed=0)
    rewards, info, terminated, truncated = ended(env, [[1.0], [1.0], [bad]])
    assert len(rewards) == 3 and (terminated, truncated) == (True, False)
    assert (info["status"], info["cause"], info["is_success"]) == ("INVALID", "plan", False)
    assert sum(rewards) == pytest.approx(env.task.reward_min)


def test_actions_that_break_the_physics_end_the_episode_with_the_least_reward() -> None:
    wild = PENDULUM.format(limits='ctrlrange="0 1" gear="1e13"')
    env = TaskEnv(wv.Task.from_mjcf(wild, spec=SPEC, horizon=0.8, rate=25.0), normalised=False)
    env.reset(seed=0)
    rewards, info, terminated, _ = ended(env, push(1.0))
    assert terminated and (info["status"], info["cause"]) == ("INVALID", "plan")
    assert sum(rewards) == pytest.approx(env.task.reward_min)


@pytest.mark.parametrize("kind", [TaskEnv, PlanEnv])
def test_a_spec_without_a_value_is_an_error_and_not_a_reward(kind: type) -> None:
    spec = "odd: always(speed(ball) / joint(hinge) < 1 m/s/rad)"
    env = kind(wv.Task.from_mjcf(LIMITED, spec=spec, horizon=0.4, rate=25.0))
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, np.float32)
    with pytest.raises(RuntimeError, match="cause spec"):
        env.step(still)
    if kind is TaskEnv:
        with pytest.raises(ResetNeeded):
            env.step(still)


# Rewards


def test_an_episode_that_passes_returns_more_than_any_that_fails(env: TaskEnv) -> None:
    returns: dict[str, list[float]] = {"PASS": [], "FAIL": []}
    for seed in range(4):
        for value in PUSHES.values():
            env.reset(seed=seed)
            rewards, info, *_ = ended(env, push(value))
            returns[info["status"]].append(sum(rewards))
    assert min(returns["PASS"]) > max(returns["FAIL"])


def test_the_reward_grows_while_the_world_comes_nearer_to_the_goal(env: TaskEnv) -> None:
    env.reset(seed=0)
    rewards = [float(env.step(np.array([1.4]))[1]) for _ in range(6)]
    assert max(rewards[1:]) > 0


@pytest.mark.parametrize("value", PUSHES.values(), ids=PUSHES)
def test_every_info_has_the_same_keys_and_only_finite_numbers(env: TaskEnv, value: float) -> None:
    _, info = env.reset(seed=0)
    infos, over = [info], False
    while not over:
        _, _, terminated, truncated, info = env.step(np.array([value]))
        infos.append(info)
        over = terminated or truncated
        assert type(terminated) is bool and type(truncated) is bool
    for info in infos:
        assert list(info) == list(infos[0]) and info["instruction"] == "Swing up."
        assert info["is_success"] is info["success"]
        assert list(info["margins"]) == list(info["margins_mask"]) == ["raised", "slow", "landed"]
        assert all(math.isfinite(margin) for margin in info["margins"].values())
    assert [i["success"] for i in infos[:-1]] == [False] * (len(infos) - 1)
    assert infos[-1]["success"] is (value == PUSHES["PASS"])


# Candidates from where the environment is


def test_judging_candidates_does_not_disturb_the_environment(task: wv.Task) -> None:
    asked, left = TaskEnv(task), TaskEnv(task)
    for env in (asked, left):
        env.reset(seed=2)
    for action in np.random.default_rng(0).uniform(-1, 0.3, (6, 1)).astype(np.float32):
        asked.verify(np.random.default_rng(1).uniform(-1, 1, (3, 4, 1)))
        one, other = asked.step(action), left.step(action)
        assert np.array_equal(one[0], other[0]) and one[1:] == other[1:]
        assert asked.state.tobytes() == left.state.tobytes()
        assert asked.evidence.value.tobytes() == left.evidence.value.tobytes()


@pytest.mark.parametrize("scope", ["chunk", "plan"])
def test_candidates_are_judged_together_as_one_by_one(env: TaskEnv, scope: Any) -> None:
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.array([1.0]))
    chunks = swings(env.task, 3, count=5)[:, :6]
    together = env.verify(chunks, scope=scope)
    assert [v.digest for v in together] == [env.verify(chunk, scope=scope)[0].digest for chunk in chunks]


def test_candidates_of_any_form_are_judged(env: TaskEnv) -> None:
    env.reset(seed=0)
    env.step(np.array([0.5]))
    rows = [[0.5], [0.75]]
    forms = [np.array(rows), {"actions": rows}, f'{{"actions": {rows}}}', wv.Plan(None, "ctrl", 25.0, np.array(rows))]
    verdicts = env.verify([*forms, "no plan"])
    assert len({v.digest for v in verdicts[:4]}) == 1
    assert (verdicts[4].status, verdicts[4].cause) == ("INVALID", "plan")


def test_arrays_of_candidates_are_normalised_as_actions_are(task: wv.Task) -> None:
    scaled, plain = TaskEnv(task), TaskEnv(task, normalised=False)
    for env in (scaled, plain):
        env.reset(seed=0)
    chunk = np.random.default_rng(0).uniform(-1, 1, (5, 1))
    units = Actions(task).to_units(chunk)
    assert scaled.verify(chunk)[0].digest == plain.verify(units)[0].digest


@pytest.mark.parametrize("before", [0, 1, 7])
def test_a_chunk_that_is_then_executed_shows_what_its_verdict_said(env: TaskEnv, before: int) -> None:
    env.reset(seed=0)
    actions = 1.4 + 0.2 * np.sin(np.arange(12.0))[:, None]
    for action in actions[:before]:
        env.step(action)
    verdict = env.verify(actions[before:])[0]
    for action in actions[before:]:
        assert not env.step(action)[2]
    shown, lane = env.evidence, np.arange(1)
    engine = MujocoEngine(env.task.scene.model, 1)
    engine.load(lane, shown.end)
    now = engine.observe(lane)
    whole = Trace(
        np.concatenate([shown.value, now.value], axis=1),
        np.concatenate([shown.fault, now.fault], axis=1),
        shown.last,
        shown.end,
    )
    finding = judge(env.task.scene.bound, whole, horizon=env.task.samples, chunk=True)[0]
    assert (verdict.status, dict(verdict.margins)) == (finding.status, finding.margins)


def test_the_rest_of_an_episode_judged_as_a_plan_has_the_verdict_of_the_episode() -> None:
    env = TaskEnv("PickCube-v0", normalised=False)
    env.reset(seed=0)
    actions = env.actions_for(env.task.good)
    for action in actions[:30]:
        env.step(action)
    foreseen = env.verify(actions[30:], scope="plan")[0]
    _, info, *_ = ended(env, actions[30:])
    assert foreseen.status == info["status"] == "PASS"
    assert dict(foreseen.margins) == dict(env.margins)


# Plan by plan


def test_one_step_judges_a_whole_plan(task: wv.Task) -> None:
    env = PlanEnv(task)
    _, info = env.reset(seed=3)
    assert env.action_space.shape == (task.steps, 1) and info["is_success"] is False
    for action in (np.full((task.steps, 1), 1.4), '{"actions": [[4.0]]}', "I cannot do that.", swings(task, 0)[0]):
        observation, reward, terminated, truncated, info = env.step(action)
        verdict = wv.verify(task, [action], seed=3)[0]
        assert env.last_verdict is not None and env.last_verdict.digest == verdict.digest
        assert (reward, terminated, truncated) == (verdict.reward, True, False)
        assert (info["status"], info["reason"]) == (verdict.status, verdict.reason)
        assert info["is_success"] is info["success"] is (verdict.status == "PASS")
        assert observation in env.observation_space


@pytest.mark.parametrize("id", ["worldverify/PickCube-v0", "worldverify/PickCube-Plan-v0"])
def test_pictures_show_the_scene(id: str) -> None:
    env = gymnasium.make(id, render_mode="rgb_array", width=64, height=48)
    env.reset(seed=0)
    picture: Any = env.render()
    assert picture.shape == (48, 64, 3) and picture.dtype == np.uint8
    assert picture.std() > 10


def test_an_unknown_way_to_render_is_refused(task: wv.Task) -> None:
    for kind in (TaskEnv, PlanEnv):
        with pytest.raises(ValueError, match="rgb_array"):
            kind(task, render_mode="human")


def test_closing_twice_is_allowed(task: wv.Task) -> None:
    for kind in (TaskEnv, PlanEnv):
        env = kind(task)
        env.close()
        env.close()


@pytest.mark.parametrize("name", ["gym_step", "gym_plan", "best_of_n"])
def test_the_examples_run_and_print_an_answer(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(root / "examples" / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "PASS" in printed and "FAIL" in printed
