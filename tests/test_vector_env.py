"""Vector environments: bit for bit a row of single ones, and Gymnasium's own rules for when lanes begin anew."""

import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import worldverify as wv
from worldverify.envs.gym import TaskEnv, TaskVectorEnv, make_vector

PENDULUM = """
<mujoco model="pendulum">
  <option timestep="0.004"/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 0.1"/>
    <body name="rod" pos="0 0 1">
      <joint name="hinge" type="hinge" axis="0 1 0" range="-170 170" damping="0.05"/>
      <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.4" mass="0.5"/>
    </body>
  </worldbody>
  <actuator><motor name="push" joint="hinge" ctrlrange="-2 4"/></actuator>
</mujoco>
"""
SPEC = """
raised: eventually[0,0.7](joint(hinge) > 0.4 rad)
held: always(joint(hinge) < 0.3 rad implies eventually[0,0.6](joint(hinge) > 0.3 rad))
slow: always(joint_speed(hinge) < 12 rad/s)
"""
LANES = 5


def scatter(generator: np.random.Generator, model: Any, data: Any) -> None:
    data.joint("hinge").qpos[0] = generator.uniform(-0.1, 0.1)


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return wv.Task.from_mjcf(PENDULUM, spec=SPEC, horizon=0.8, rate=25.0, randomise=scatter, instruction="Swing up.")


def same(one: Any, other: Any) -> None:
    """Equal in structure, type and bits."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, np.ndarray) and one.dtype == object:
        for x, y in zip(one, other, strict=True):
            same(x, y)
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    else:
        assert one == other


def pushes(generator: np.random.Generator, gentle: float) -> np.ndarray:
    """Pushes of all strengths, some of which end episodes in every way."""
    return generator.uniform(-1, 1, (LANES, 1)).astype(np.float32) * np.float32(
        1 if generator.random() > 0.5 else gentle
    )


@pytest.mark.parametrize("obs", ["state", "goal"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_it_behaves_as_a_row_of_single_environments(task: wv.Task, mode: AutoresetMode, obs: str) -> None:
    ours = TaskVectorEnv(LANES, task, obs=obs, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: TaskEnv(task, obs=obs)] * LANES, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    for space in ("single_observation_space", "observation_space", "single_action_space", "action_space"):
        assert getattr(ours, space) == getattr(theirs, space)
    generator, ended = np.random.default_rng(3), 0
    for one, other in zip(ours.reset(seed=7), theirs.reset(seed=7), strict=True):
        same(one, other)
    for k in range(60):
        actions = pushes(generator, 0.2)
        if k % 13 == 5:
            actions[k % LANES] = np.nan  # ends that episode, and no other
        turn, expected = ours.step(actions), theirs.step(actions)
        for one, other in zip(turn, expected, strict=True):
            same(one, other)
        over = turn[2] | turn[3]
        ended += int(over.sum())
        if mode == AutoresetMode.DISABLED and over.any():
            again = [env.reset(options={"reset_mask": over.copy()}) for env in (ours, theirs)]
            for one, other in zip(*again, strict=True):
                same(one, other)
    assert ended > 2 * LANES
    assert ours.np_random_seed == theirs.np_random_seed
    ours.close()
    theirs.close()


def test_a_verdict_is_that_of_verify(task: wv.Task) -> None:
    envs = TaskVectorEnv(2, task)
    envs.reset(seed=[3, 8])
    for _ in range(task.steps):
        _, _, terminated, truncated, infos = envs.step(np.array([[0.13], [0.9]], np.float32))
        if (over := terminated | truncated).any():
            break
    lane = int(np.argmax(over))
    verdict = envs.last_verdict(lane)
    assert verdict is not None and verdict.status == infos["status"][lane] == "FAIL"
    assert verdict.digest == wv.verify(task, [envs._play.plan(lane)], seed=8)[0].digest
    assert envs.last_verdict(1 - lane) is None


def test_candidates_are_judged_from_where_a_lane_is(task: wv.Task) -> None:
    envs, single = TaskVectorEnv(3, task), TaskEnv(task)
    envs.reset(seed=4)
    single.reset(seed=6)
    for _ in range(4):
        envs.step(np.zeros((3, 1), np.float32))
        single.step(np.zeros(1, np.float32))
    chunks = np.random.default_rng(0).uniform(-1, 1, (4, 5, 1))
    assert [v.digest for v in envs.verify(2, chunks)] == [v.digest for v in single.verify(chunks)]
    assert np.array_equal(envs.state(2), single.state) and envs.start_seed(2) == single.start_seed == 6
    with pytest.raises(IndexError, match="lanes 0 to 2"):
        envs.verify(3, chunks)


def test_lanes_act_for_themselves_whatever_their_number(task: wv.Task) -> None:
    actions = np.random.default_rng(1).uniform(-0.4, 0.4, (20, 7, 1)).astype(np.float32)
    few, many = TaskVectorEnv(1, task, threads=1), TaskVectorEnv(7, task, threads=2)
    few.reset(seed=[5])
    many.reset(seed=[1, 2, 3, 5, 8, 9, 4])
    for row in actions:
        one, all_lanes = few.step(row[3:4]), many.step(row)
        assert one[0].tobytes() == all_lanes[0][3:4].tobytes() and one[1][0] == all_lanes[1][3]
        if one[2][0] or all_lanes[2].any():
            break


def test_make_vec_gives_it(task: wv.Task) -> None:
    envs = gymnasium.make_vec("worldverify/ReachSafe-v0", num_envs=2, autoreset_mode="same_step")
    assert isinstance(envs, TaskVectorEnv) and envs.spec is not None
    again = gymnasium.make_vec(pickle.loads(pickle.dumps(envs.spec)))
    assert again.num_envs == 2 and again.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert envs.reset(seed=0)[0].tobytes() == again.reset(seed=0)[0].tobytes()
    assert envs.reset(seed=0)[0].tobytes() == again.reset(seed=0)[0].tobytes()
    for env in (envs, again):
        env.close()
        env.close()
    sync = gymnasium.make_vec("worldverify/ReachSafe-v0", num_envs=2, vectorization_mode="sync")
    assert isinstance(sync, SyncVectorEnv)
    sync.close()


def test_an_undecided_episode_is_truncated_after_max_episode_steps(task: wv.Task) -> None:
    envs = TaskVectorEnv(2, task, max_episode_steps=3, autoreset_mode="next_step")
    envs.reset(seed=0)
    ends = [bool(envs.step(np.full((2, 1), -0.3, np.float32))[3].all()) for _ in range(8)]
    assert ends == [False, False, True, False, False, False, True, False]


def test_chosen_lanes_are_drawn(task: wv.Task) -> None:
    envs = TaskVectorEnv(3, task, render_mode="rgb_array", width=64, height=48)
    envs.reset(seed=0)
    images = envs.render()
    assert images is not None and [image.shape for image in images] == [(48, 64, 3)] * 3
    (last,) = envs.render([2]) or ()
    assert np.array_equal(last, images[2])
    assert TaskVectorEnv(1, task).render() is None
    with pytest.raises(IndexError, match="lanes 0 to 2"):
        envs.render([5])


def test_episodes_begin_where_they_are_told(task: wv.Task) -> None:
    envs = TaskVectorEnv(2, task)
    states = np.stack([task.start(seed) for seed in (11, 12)])
    envs.reset(options={"state": states})
    assert np.array_equal(np.stack([envs.state(0), envs.state(1)]), states)
    envs.reset(options={"state": states[0], "reset_mask": np.array([False, True])})
    assert np.array_equal(envs.state(1), states[0])


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"reset_mask": [True, False]}, TypeError, "NumPy array of bool"),
        ({"reset_mask": np.array([1, 0])}, TypeError, "NumPy array of bool"),
        ({"reset_mask": np.array([True])}, ValueError, r"shape \(2,\)"),
        ({"reset_mask": np.zeros(2, dtype=bool)}, ValueError, "at least one"),
        ({"mask": 1}, ValueError, "no option 'mask'"),
        ({"state": np.zeros(3)}, ValueError, "state must have shape"),
    ],
)
def test_wrong_options_of_reset_are_refused(task: wv.Task, options: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        TaskVectorEnv(2, task).reset(options=options)


def test_wrong_calls_are_refused(task: wv.Task) -> None:
    envs = TaskVectorEnv(2, task)
    with pytest.raises(ResetNeeded, match="2 of 2 lanes"):
        envs.step(np.zeros((2, 1)))
    with pytest.raises(ValueError, match="2 lanes, so a list of seeds has 2"):
        envs.reset(seed=[1])
    envs.reset(seed=0)
    for wrong in (np.zeros(2), np.zeros((2, 2)), np.zeros((3, 1)), 0.5):
        with pytest.raises(ValueError, match=r"have shape \(2, 1\)"):
            envs.step(wrong)
    with pytest.raises(ValueError):
        envs.step(np.array([["up"], ["down"]]))
    assert envs.step(np.zeros((2, 1), dtype=int))[0].shape == envs.observation_space.shape  # nothing was lost
    envs.step(np.array([[np.nan], [0.0]]))
    with pytest.raises(ResetNeeded, match="1 of 2 lanes have no episode, the first is lane 0"):
        envs.step(np.zeros((2, 1)))
    envs.close()


@pytest.mark.parametrize("lanes", [0, -1, 2.5, True, "3"])
def test_a_number_of_lanes_that_is_none_is_refused(task: wv.Task, lanes: Any) -> None:
    with pytest.raises(ValueError, match="num_envs must be a whole number from 1 on"):
        TaskVectorEnv(lanes, task)


def test_what_does_not_exist_is_refused(task: wv.Task) -> None:
    with pytest.raises(ValueError, match="autoreset_mode is one of"):
        TaskVectorEnv(1, task, autoreset_mode="always")
    with pytest.raises(ValueError, match="on='auto' is for verify"):
        make_vector(1, task, on="auto")
    with pytest.raises(ValueError, match="on must be"):
        make_vector(1, task, on="tpu")
    with pytest.raises(ValueError, match="obs must be"):
        TaskVectorEnv(1, task, obs="sound")


def test_a_spec_that_looks_ahead_without_bound_is_watched_too() -> None:
    endless = "up: eventually(always(joint(hinge) > -0.2 rad))\nslow: always(joint_speed(hinge) < 12 rad/s)"
    task = wv.Task.from_mjcf(PENDULUM, spec=endless, horizon=0.4, rate=25.0, randomise=scatter)
    envs, single = TaskVectorEnv(2, task), TaskEnv(task)
    envs.reset(seed=0)
    single.reset(seed=1)
    rewards, over = [], False
    while not over:
        _, reward, terminated, truncated, infos = envs.step(np.full((2, 1), -0.3, np.float32))
        assert single.step(np.full(1, -0.3, np.float32))[1] == reward[1]
        rewards.append(reward)
        over = bool((terminated | truncated).any())
    assert infos["status"].tolist() == ["PASS", "PASS"]
    assert np.allclose(np.sum(rewards, axis=0), 1.0)


@pytest.mark.parametrize(("kind", "noise"), [("joint", 0.001), ("ee_delta", 0.01)])
def test_what_is_foreseen_of_a_chunk_is_what_happens(kind: str, noise: float) -> None:
    env = TaskEnv("PickCube-v0", actions=kind)
    env.reset(seed=0)
    actions = env.actions_for(env.task.good).astype(float)
    actions = np.clip(actions + np.random.default_rng(0).normal(0, noise, actions.shape), -1, 1)
    actions[:, -1] *= 1.002  # as policies do; a plan of them is read
    for k in range(0, 30, 10):
        (foreseen,) = env.verify(actions[k : k + 10])
        for action in actions[k : k + 10]:
            _, _, terminated, truncated, _ = env.step(action)
            assert not terminated and not truncated
        guards = [name for name, margin in foreseen.margins.items() if margin.guard]
        assert guards and {n: foreseen.margins[n].interval[1] for n in guards} == {
            n: env.margins[n].interval[1] for n in guards
        }
    env.close()
