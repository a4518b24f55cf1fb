"""Observations of environments: what every number and pixel stands for."""

from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict
from gymnasium.utils.env_checker import check_env

import worldverify as wv
from worldverify.envs.gym import TaskEnv
from worldverify.envs.observations import FARTHEST, Observations
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.png import Image
from worldverify.presets import preset
from worldverify.render import render

SCENE = """
<mujoco>
  <worldbody>
    <geom type="plane" size="1 1 0.1"/>
    <body name="ball" pos="0.5 0 0.3"><freejoint/><geom type="sphere" size="0.05" mass="0.1"/></body>
    <body name="hand" mocap="true" pos="0 0 1"><geom type="sphere" size="0.02" contype="0" conaffinity="0"/></body>
    <body pos="0 0 1">
      <joint name="slide" type="slide" axis="1 0 0" range="-1 1"/>
      <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.4" mass="0.5"/>
    </body>
  </worldbody>
  <actuator><general name="push" joint="slide" gainprm="20" ctrlrange="-1 1" dyntype="filter" dynprm="0.1"/></actuator>
</mujoco>
"""
SPEC = """
near: eventually(pos(ball).x > 0.8 m)
low:  always(pos(ball).z < 1 m)
"""
NOTHING = np.zeros((1, 2))  # margins


@pytest.fixture(scope="module")
def own() -> wv.Task:
    return wv.Task.from_mjcf(SCENE, spec=SPEC, horizon=0.8, rate=25.0)


def moved(task: wv.Task, count: int) -> Any:
    """(count, nstate) states of random controls."""
    engine, lanes = MujocoEngine(task.scene.model, count, threads=1), np.arange(count)
    engine.load(lanes, np.stack([task.start(i) for i in range(count)]))
    engine.advance(lanes, np.random.default_rng(0).uniform(-0.3, 0.3, (count, 30, task.scene.model.nu)))
    return engine.state(lanes).copy()


def drawn(task: wv.Task, state: Any, width: int, height: int) -> Image:
    data = task.scene.data(state)
    mujoco.mj_forward(task.scene.model, data)
    return render(task.scene.model, data, width=width, height=height)


def now(count: int = 1) -> Any:
    return np.zeros(count, dtype=np.int64)


def test_a_state_is_what_mujoco_calls_it_and_then_the_share_of_the_horizon(own: wv.Task) -> None:
    seen, states = Observations(own), moved(own, 3)
    substeps = np.array([0, 50, 999])
    vectors = seen.batch(states, substeps, NOTHING)
    assert list(seen.layout) == ["qpos", "qvel", "act", "mocap_pos", "mocap_quat", "ctrl", "time"]
    for vector, state in zip(vectors, states, strict=True):
        data = own.scene.data(state)
        for name, place in list(seen.layout.items())[:-1]:
            assert np.array_equal(vector[place], getattr(data, name).ravel().astype(np.float32))
    assert np.allclose(vectors[:, seen.layout["time"]].ravel(), [0.0, 50 / own.samples, 1.0])
    assert vectors.dtype == np.float32 and all(vector in seen.space() for vector in vectors)


@pytest.mark.parametrize("kind", ["state", "goal", "pixels_agent_pos"])
def test_a_row_of_many_is_what_is_seen_alone(kind: str, own: wv.Task) -> None:
    seen, states = Observations(own, kind, width=24, height=16), moved(own, 3)
    margins = np.random.default_rng(0).normal(size=(3, 2))
    together = seen.batch(states, np.array([1, 2, 3]), margins)
    for i in range(3):
        alone = seen.batch(states[i : i + 1], np.array([i + 1]), margins[i : i + 1])
        if kind == "state":
            assert np.array_equal(together[i], alone[0]) and together[i] in seen.space()
        else:
            assert all(np.array_equal(together[key][i], alone[key][0]) for key in seen.space())
            assert {key: value[i] for key, value in together.items()} in seen.space()


def test_what_is_not_finite_is_shown_as_a_number(own: wv.Task) -> None:
    seen, state = Observations(own, "goal"), own.start(0)
    state[own.scene.nstate // 2] = np.nan
    state[1:4] = np.nan, np.inf, -1e9
    margins = np.array([[-np.inf, np.nan]])
    shown = seen.batch(state[None], now(), margins)
    assert np.array_equal(shown["observation"][0, :3], [0.0, FARTHEST, -FARTHEST])
    assert np.array_equal(shown["achieved_goal"], [[-FARTHEST, -FARTHEST]])  # NaN is a violation
    assert {key: value[0] for key, value in shown.items()} in seen.space()


def test_a_goal_is_a_margin_above_zero_for_each_requirement(own: wv.Task) -> None:
    seen = Observations(own, "goal")
    shown = seen.batch(own.start(0)[None], now(), np.array([[-0.25, 3.0]]))
    assert isinstance(seen.space(), Dict) and list(seen.space()) == ["achieved_goal", "desired_goal", "observation"]
    assert np.array_equal(shown["achieved_goal"], [[-0.25, 3.0]]) and not shown["desired_goal"].any()
    assert np.array_equal(shown["observation"], Observations(own).batch(own.start(0)[None], now(), NOTHING))


# Pictures


def test_pixels_are_what_the_renderer_draws() -> None:
    task = wv.load("PickCube-v0")
    seen, states = Observations(task, "pixels_agent_pos", width=40, height=30), moved(task, 2)
    shown = seen.batch(states, now(2), NOTHING)
    assert shown["pixels"].shape == (2, 30, 40, 3) and shown["pixels"].dtype == np.uint8
    for picture, state in zip(shown["pixels"], states, strict=True):
        assert np.array_equal(picture, drawn(task, state, 40, 30))
    assert isinstance(seen.space(), Dict) and seen.space()["pixels"] == Box(0, 255, (30, 40, 3), np.uint8)  # type: ignore[index]


def test_an_arm_is_shown_by_its_joints_and_the_opening_of_its_gripper() -> None:
    task = wv.load("PickCube-v0")
    assert task.arm is not None
    seen, data = Observations(task, "pixels_agent_pos", width=8, height=6), task.scene.data(task.start(0))
    assert list(seen.layout) == [*task.arm.joints, "gripper"]
    state = np.zeros((1, task.scene.nstate))
    for share in (0.0, 0.3, 1.0):
        for joint in task.arm.finger_joints:
            data.joint(joint).qpos[0] = share * task.arm.gripper_open  # closed is 0 m
        mujoco.mj_getState(task.scene.model, data, state[0], mujoco.mjtState.mjSTATE_INTEGRATION)
        position = seen.batch(state, now(), NOTHING)["agent_pos"][0]
        angles = [float(data.joint(joint).qpos[0]) for joint in task.arm.joints]
        assert np.allclose(position, [*angles, share], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "size", "first"),
    [
        ("Handover-v0", 16, "left"),
        ("NavigateRoom-v0", 3, ""),
        ("FetchAcrossRoom-v0", 11, ""),
        ("WaypointCell-v0", 6, ""),
    ],
)
def test_every_robot_has_a_position(name: str, size: int, first: str) -> None:
    task = wv.load(name)
    seen = Observations(task, "pixels_agent_pos", width=8, height=6)
    shown = seen.batch(task.start(0)[None], now(), NOTHING)
    assert shown["agent_pos"].shape == (1, size) and next(iter(seen.layout)).startswith(first)
    if task.base is not None:
        data = task.scene.data(task.start(0))
        assert np.allclose(shown["agent_pos"][0, :3], [data.joint(joint).qpos[0] for joint in task.base.joints])


def test_a_scene_without_a_robot_shows_its_positions(own: wv.Task) -> None:
    seen = Observations(own, "pixels_agent_pos", width=8, height=6)
    position = seen.batch(own.start(0)[None], now(), NOTHING)["agent_pos"]
    assert seen.layout == {"qpos": slice(0, 8)} and np.allclose(position[0], own.scene.data(own.start(0)).qpos)


# In environments


@pytest.mark.parametrize("name", ["PickCube-v0", "Handover-v0", "NavigateRoom-v0", "FetchAcrossRoom-v0"])
@pytest.mark.parametrize("obs", ["goal", "pixels_agent_pos"])
def test_the_environment_checker_finds_nothing(name: str, obs: str) -> None:
    check_env(gymnasium.make(f"worldverify/{name}", obs=obs, width=24, height=16).unwrapped)


@pytest.mark.parametrize("options", [{"actions": "ee_delta"}, {"actions": preset("fetch-v4")}])
def test_the_environment_checker_finds_nothing_in_other_actions(options: dict[str, Any]) -> None:
    check_env(gymnasium.make("worldverify/PickCube-v0", **options).unwrapped)


def test_pictures_follow_the_episode(own: wv.Task) -> None:
    env = TaskEnv(own, obs="pixels_agent_pos", width=48, height=36)
    first, _ = env.reset(seed=0)
    for _ in range(5):
        seen, *_ = env.step(np.array([1.0], np.float32))
    assert np.array_equal(seen["pixels"], drawn(own, env.state, 48, 36)) and not np.array_equal(
        seen["pixels"], first["pixels"]
    )
    env.close()


def test_an_unknown_kind_is_refused_with_those_there_are(own: wv.Task) -> None:
    with pytest.raises(ValueError, match=r"obs must be one of 'state', 'pixels_agent_pos', 'goal'; got 'rgb'\."):
        Observations(own, "rgb")
    with pytest.raises(ValueError, match="width, height"):
        Observations(own, "pixels_agent_pos", width=0)
