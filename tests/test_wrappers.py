"""Wrappers: ours say what the environment said in another form, and Gymnasium's own work as they do elsewhere."""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers as theirs
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import vector as theirs_of_vectors

import worldverify as wv
from worldverify.envs.gym import TaskEnv
from worldverify.envs.vector_env import TaskVectorEnv
from worldverify.envs.wrappers import (
    ActionChunks,
    MarginReward,
    SafetyCost,
    StateVector,
    VectorChunkStep,
    VectorMarginReward,
    VectorSafetyCost,
    VectorVerdictReward,
    VerdictReward,
)

SCENE = """
<mujoco model="cart">
  <option timestep="0.005" gravity="0 0 0"/>
  <worldbody>
    <body name="cart">
      <joint name="rail" type="slide" axis="1 0 0"/><geom type="box" size="0.05 0.05 0.05" mass="1"/>
    </body>
  </worldbody>
  <actuator><velocity name="drive" joint="rail" kv="20" ctrlrange="-1 1"/></actuator>
</mujoco>
"""
SPEC = """
there: eventually(pos(cart).x > 0.2 m)
wall:  always(pos(cart).x < 0.5 m)
slow:  always(speed(cart) < 0.8 m/s)
calm:  always(speed(cart) < 5 m/s)
"""
STEPS, LANES = 20, 3
GOES, CRASHES, RUSHES, STAYS, BREAKS = 0.3, 0.7, 1.0, 0.0, 1.5  # m/s: passes, hits the wall, too fast, nothing, refused
MODES = ("disabled", "same_step", "next_step")


def scatter(generator: np.random.Generator, model: Any, data: Any) -> None:
    data.joint("rail").qpos[0] = generator.uniform(-0.05, 0.05)


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return wv.Task.from_mjcf(SCENE, spec=SPEC, horizon=1.0, rate=20.0, randomise=scatter, name="Cart-v0")


@pytest.fixture
def env(task: wv.Task) -> Iterator[TaskEnv]:
    env = TaskEnv(task, normalised=False)
    yield env
    env.close()


def vector(task: wv.Task, mode: str = "disabled", lanes: int = LANES) -> TaskVectorEnv:
    return TaskVectorEnv(lanes, task, normalised=False, autoreset_mode=mode)


def sync(task: wv.Task, mode: str = "disabled", wrap: Callable[[Any], Any] = lambda env: env) -> SyncVectorEnv:
    modes = {"disabled": AutoresetMode.DISABLED, "same_step": AutoresetMode.SAME_STEP}
    autoreset = modes.get(mode, AutoresetMode.NEXT_STEP)
    makers = [lambda: wrap(TaskEnv(task, normalised=False))] * LANES
    return SyncVectorEnv(makers, autoreset_mode=autoreset)


def whole(env: Any, speed: float, seed: int = 0) -> list[tuple[Any, float, bool, bool, dict[str, Any]]]:
    """The steps of an episode at one speed."""
    env.reset(seed=seed)
    steps = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(np.full(env.action_space.shape, speed)))
    return steps


def rolled(envs: Any, speeds: list[float], count: int, mode: str, of: Callable[[Any], Any]) -> list[Any]:
    """What each step shows of a vector, whose lanes go at their speeds; lanes that have ended are reset by hand."""
    envs.reset(seed=5)
    shown = []
    for _ in range(count):
        step = envs.step(np.array(speeds)[:, None])
        shown.append(of(step))
        over = step[2] | step[3]
        if mode == "disabled" and over.any():
            envs.reset(options={"reset_mask": over})
    return shown


# State vectors


def test_a_dict_of_observations_becomes_the_vector_of_its_numbers(task: wv.Task) -> None:
    plain = TaskEnv(task, normalised=False, obs="goal")
    flat = StateVector(TaskEnv(task, normalised=False, obs="goal"))
    seen, vector = plain.reset(seed=3)[0], flat.reset(seed=3)[0]
    assert vector in flat.observation_space and vector.shape == flat.observation_space.shape
    assert set(flat.parts) == set(seen)
    for key, part in flat.parts.items():
        assert np.array_equal(vector[part], seen[key])


def test_pictures_are_left_out_of_the_state_vector() -> None:
    flat = StateVector(TaskEnv("ReachSafe-v0", obs="pixels_agent_pos", width=32, height=24))
    assert set(flat.parts) == {"agent_pos"}
    assert flat.reset(seed=0)[0].shape == flat.observation_space.shape
    flat.close()


def test_what_is_a_vector_already_is_refused(env: TaskEnv) -> None:
    with pytest.raises(ValueError, match="obs='goal'"):
        StateVector(env)


# Chunks


def test_a_chunk_of_actions_is_the_sum_of_its_steps(env: TaskEnv, task: wv.Task) -> None:
    chunks = ActionChunks(TaskEnv(task, normalised=False), 5)
    single = whole(env, GOES)
    chunks.reset(seed=0)
    for first in range(0, len(single), 5):
        part = single[first : first + 5]
        observation, reward, terminated, truncated, info = chunks.step(np.full((5, 1), GOES))
        assert np.array_equal(observation, part[-1][0]) and reward == sum(step[1] for step in part)
        assert (terminated, truncated) == part[-1][2:4]
        assert info == {**part[-1][4], "actions": len(part)}


def test_an_episode_that_ends_within_a_chunk_leaves_the_rest_of_it_out(task: wv.Task) -> None:
    chunks = ActionChunks(TaskEnv(task, normalised=False), STEPS)
    steps = whole(chunks, RUSHES)
    assert len(steps) == 1 and steps[0][2] and steps[0][4]["actions"] < STEPS
    with pytest.raises(ValueError, match=rf"shape \({STEPS}, 1\); got \(1,\)"):
        chunks.step(np.zeros(1))


@pytest.mark.parametrize("make", [vector, sync])
def test_chunk_step_is_the_steps_of_each_lane_by_itself(task: wv.Task, env: TaskEnv, make: Any) -> None:
    envs = VectorChunkStep(make(task))
    envs.reset(seed=5)
    speeds = np.array([GOES, CRASHES, RUSHES])
    chunk = np.broadcast_to(speeds[:, None, None], (LANES, STEPS, 1))
    seen, rewards, terminations, truncations, told = envs.chunk_step(chunk)
    assert len(seen) == len(told) == STEPS and rewards.shape == terminations.shape == (LANES, STEPS)
    for lane in range(LANES):
        single = whole(env, speeds[lane], seed=5 + lane)
        for i in range(STEPS):
            step, ended = single[min(i, len(single) - 1)], i >= len(single)
            observations = told[-1]["final_observation"] if i == STEPS - 1 else seen[i]
            infos = told[-1]["final_info"] if i == STEPS - 1 else told[i]
            assert np.array_equal(observations[lane], step[0])
            assert rewards[lane, i] == (0.0 if ended else step[1])
            assert infos["status"][lane] == step[4]["status"]
            assert infos["margins"]["wall"][lane] == step[4]["margins"]["wall"]
        assert terminations[lane].tolist() == [False] * (STEPS - 1) + [single[-1][2]]
        assert truncations[lane].tolist() == [False] * (STEPS - 1) + [single[-1][3]]
    envs.close()


@pytest.mark.parametrize("make", [vector, sync])
def test_lanes_that_ended_within_a_chunk_begin_anew_after_it(task: wv.Task, make: Any) -> None:
    envs = VectorChunkStep(make(task))
    envs.reset(seed=5)
    chunk = np.full((LANES, 5, 1), STAYS)
    chunk[1] = RUSHES
    seen, _, terminations, _, told = envs.chunk_step(chunk)
    assert terminations[:, -1].tolist() == [False, True, False]
    assert told[-1]["_final_observation"].tolist() == told[-1]["_final_info"].tolist() == [False, True, False]
    assert told[-1]["status"].tolist() == ["INCONCLUSIVE"] * LANES
    assert told[-1]["final_info"]["status"][1] == "FAIL"
    assert seen[-1][1][-1] == 0.0 and seen[-1][0][-1] == np.float32(0.25)  # the share of the horizon that has passed
    seen, rewards, *_ = envs.chunk_step(np.full((LANES, 2, 1), STAYS))
    assert seen[-1][:, -1].tolist() == np.float32([0.35, 0.1, 0.35]).tolist() and np.isfinite(rewards).all()
    envs.close()


def test_chunk_step_wants_autoreset_disabled_and_the_right_shape(task: wv.Task) -> None:
    with pytest.raises(ValueError, match="autoreset_mode='disabled'"):
        VectorChunkStep(vector(task, "same_step"))
    with pytest.raises(ValueError, match=rf"\({LANES}, chunk, width\)"):
        VectorChunkStep(vector(task)).chunk_step(np.zeros((LANES, 1)))


# Rewards


@pytest.mark.parametrize("speed", [GOES, CRASHES, RUSHES, STAYS, BREAKS])
def test_the_reward_at_the_end_is_that_of_the_verdict(env: TaskEnv, speed: float) -> None:
    rewards = [step[1] for step in whole(VerdictReward(env), speed, seed=2)]
    verdict = env.last_verdict
    assert verdict is not None
    assert rewards[:-1] == [0.0] * (len(rewards) - 1) and rewards[-1] == pytest.approx(verdict.reward, abs=1e-12)
    assert (rewards[-1] == 1.0) == (verdict.status == "PASS") == (speed == GOES)


def test_a_goal_reward_cannot_be_paid_at_the_end(task: wv.Task) -> None:
    with pytest.raises(ValueError, match="another obs"):
        VerdictReward(TaskEnv(task, normalised=False, obs="goal"))
    with pytest.raises(ValueError, match="another obs"):
        VectorVerdictReward(TaskVectorEnv(2, task, normalised=False, obs="goal"))


def test_margin_rewards_add_up_to_the_change_of_the_mean_margin(env: TaskEnv) -> None:
    shaped = MarginReward(env, low=-50.0, high=2.0)
    _, first = shaped.reset(seed=0)
    steps = whole(shaped, GOES)
    before, after = (np.mean(np.clip(list(info["standing"].values()), -50.0, 2.0)) for info in (first, steps[-1][4]))
    assert sum(step[1] for step in steps) == pytest.approx(after - before)
    assert max(step[1] for step in steps) > 0 and min(step[1] for step in whole(shaped, CRASHES)) < 0


def test_margins_are_cut_off_between_two_numbers(env: TaskEnv) -> None:
    with pytest.raises(ValueError, match="low < high"):
        MarginReward(env, low=1.0, high=1.0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("ours", "single"), [(VectorVerdictReward, VerdictReward), (VectorMarginReward, MarginReward)])
def test_the_rewards_of_a_vector_are_those_of_its_lanes(task: wv.Task, mode: str, ours: Any, single: Any) -> None:
    speeds, count = [GOES, RUSHES, BREAKS], 2 * STEPS + 5
    lanes = rolled(sync(task, mode, single), speeds, count, mode, lambda step: step[1])
    together = rolled(ours(vector(task, mode)), speeds, count, mode, lambda step: step[1])
    round_them = rolled(ours(sync(task, mode)), speeds, count, mode, lambda step: step[1])
    assert np.array_equal(lanes, together) and np.array_equal(lanes, round_them)
    assert np.count_nonzero(lanes) > 3


# Costs


@pytest.mark.parametrize(
    ("speed", "cost"), [(GOES, 0.0), (STAYS, 0.0), (CRASHES, 1.0), (RUSHES, 1.0), (BREAKS, 3.0), (np.nan, 3.0)]
)
def test_the_cost_counts_the_guards_that_are_violated(env: TaskEnv, speed: float, cost: float) -> None:
    costly = SafetyCost(env)
    assert costly.reset(seed=0)[1]["cost"] == 0.0
    costs = [step[4]["cost"] for step in whole(costly, speed)]
    assert costs == [0.0] * (len(costs) - 1) + [cost]


@pytest.mark.parametrize("mode", MODES)
def test_the_costs_of_a_vector_are_those_of_the_steps_that_it_made(task: wv.Task, mode: str) -> None:
    speeds, count = [CRASHES, RUSHES, BREAKS], STEPS + 5
    together = rolled(VectorSafetyCost(vector(task, mode)), speeds, count, mode, lambda step: step[4]["cost"])
    round_them = rolled(VectorSafetyCost(sync(task, mode)), speeds, count, mode, lambda step: step[4]["cost"])
    assert np.array_equal(together, round_them)
    assert set(np.array(together)[:, 0]) == {0.0, 1.0} and set(np.array(together)[:, 2]) >= {3.0}


def test_costs_of_a_reset_are_told_of_the_lanes_that_begin(task: wv.Task) -> None:
    envs = VectorSafetyCost(vector(task))
    envs.reset(seed=0)
    _, infos = envs.reset(options={"reset_mask": np.array([False, True, False])})
    assert infos["cost"].tolist() == [0.0] * LANES and infos["_cost"].tolist() == [False, True, False]


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")  # as it is meant to be
@pytest.mark.parametrize("wrap", [VerdictReward, MarginReward, SafetyCost, lambda env: ActionChunks(env, 4)])
def test_the_environment_checker_finds_nothing_in_a_wrapped_environment(wrap: Callable[[Any], Any]) -> None:
    env = wrap(gymnasium.make("worldverify/ReachSafe-v0"))
    assert gymnasium.make(env.spec) is not None  # the wrapper is part of how it is made
    check_env(env, skip_render_check=True)


# Gymnasium's own wrappers


def arm(**options: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("worldverify/ReachSafe-v0", **options)


def first(env: gymnasium.Env[Any, Any]) -> Any:
    """The first action of the good plan, from the start of seed 0."""
    env.reset(seed=0)
    return env.unwrapped.actions_for(env.unwrapped.task.good)[0]  # type: ignore[attr-defined]


def test_episode_statistics_are_those_of_the_episode(env: TaskEnv) -> None:
    steps = whole(theirs.RecordEpisodeStatistics(env), GOES)
    told = steps[-1][4]["episode"]
    assert told["l"] == len(steps) and told["r"] == pytest.approx(sum(step[1] for step in steps), abs=1e-6)


def test_actions_can_be_rescaled_and_clipped() -> None:
    plain = arm()
    wide = theirs.RescaleAction(arm(), np.float32(-10), np.float32(10))
    clipped = theirs.ClipAction(arm())
    action = [first(env) for env in (wide, clipped, plain)][-1]
    expected = plain.step(action)
    np.testing.assert_allclose(wide.step(10 * action)[0], expected[0], atol=1e-5)
    assert np.array_equal(clipped.step(action)[0], expected[0])
    assert clipped.step(100 * action)[4]["status"] != "INVALID"


def test_a_time_limit_truncates() -> None:
    env = theirs.TimeLimit(arm(), 3)
    action = first(env)
    ends = [env.step(action)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_observations_can_be_flattened_normalised_stacked_and_changed(task: wv.Task) -> None:
    flat = theirs.FlattenObservation(TaskEnv(task, normalised=False, obs="goal"))
    assert flat.reset(seed=0)[0] in flat.observation_space
    for wrapped in (
        theirs.NormalizeObservation(arm()),
        theirs.FrameStackObservation(arm(), 3),
    ):
        observation, _ = wrapped.reset(seed=0)
        assert observation in wrapped.observation_space
        assert wrapped.step(np.zeros(8, np.float32))[0] in wrapped.observation_space
    assert theirs.FrameStackObservation(arm(), 3).reset(seed=0)[0].shape[0] == 3


def test_rewards_can_be_changed_and_normalised(env: TaskEnv) -> None:
    steps = whole(env, GOES)
    doubled = whole(theirs.TransformReward(env, lambda reward: 2 * float(reward)), GOES)
    assert [step[1] for step in doubled] == [2 * step[1] for step in steps]
    assert np.isfinite([step[1] for step in whole(theirs.NormalizeReward(env), GOES)]).all()


def test_pictures_are_collected_and_put_into_observations() -> None:
    env = theirs.RenderCollection(arm(render_mode="rgb_array", width=32, height=24))
    env.reset(seed=0)
    env.step(np.zeros(8, np.float32))
    assert [picture.shape for picture in env.render()] == [(24, 32, 3)] * 2
    seen = theirs.AddRenderObservation(arm(render_mode="rgb_array", width=32, height=24))
    assert seen.reset(seed=0)[0].shape == (24, 32, 3)


def test_a_video_can_be_recorded(tmp_path: Any) -> None:
    pytest.importorskip("moviepy")
    env = theirs.RecordVideo(arm(render_mode="rgb_array", width=64, height=48), str(tmp_path / "videos"))
    env.step(first(env))
    env.close()
    assert list(tmp_path.rglob("*.mp4"))


@pytest.mark.parametrize(
    "wrap",
    [
        theirs_of_vectors.RecordEpisodeStatistics,
        theirs_of_vectors.NormalizeObservation,
        theirs_of_vectors.NormalizeReward,
        theirs_of_vectors.ClipAction,
        theirs_of_vectors.DictInfoToList,
    ],
)
def test_wrappers_of_vectors_go_round_ours(task: wv.Task, wrap: Callable[[VectorEnv[Any, Any, Any]], Any]) -> None:
    shown = rolled(wrap(vector(task, "next_step")), [GOES, RUSHES, STAYS], STEPS + 3, "next_step", lambda step: step[1])
    assert np.isfinite(shown).all()


def test_episode_statistics_of_a_vector_are_those_of_its_lanes(task: wv.Task) -> None:
    speeds = [GOES, RUSHES, STAYS]

    def told(envs: Any) -> list[Any]:
        return rolled(envs, speeds, STEPS + 3, "next_step", lambda step: step[4].get("episode", {}).get("l", 0) * 1)

    record = theirs_of_vectors.RecordEpisodeStatistics
    ours, expected = told(record(vector(task, "next_step"))), told(record(sync(task, "next_step")))
    assert all(np.array_equal(a, b) for a, b in zip(ours, expected, strict=True)) and any(np.any(a) for a in ours)
