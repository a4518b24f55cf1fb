"""The environment for LeRobot's EnvHub: what LeRobot asks of an env.py, and what its rollouts do with it."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest

FILE = Path(__file__).resolve().parent.parent / "examples" / "lerobot_env" / "env.py"
NEW_EPISODE = {"lerobot_new_rollout": True}  # what lerobot-eval passes to reset()
SMALL = 32  # pixels: painting larger pictures takes the time of the physics


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file as LeRobot imports it, with small pictures."""
    spec = importlib.util.spec_from_file_location("hub_env", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PIXELS", SMALL)
    return module


def one(hub: ModuleType, task: str, n_envs: int = 1, **options: Any) -> Any:
    """The vector environment of one task."""
    return hub.make_env(n_envs=n_envs, cfg=SimpleNamespace(task=task), **options)["worldverify"][0]


def test_it_gives_a_vector_environment_for_every_task_of_a_suite(hub: ModuleType) -> None:
    (suite,) = hub.make_env(n_envs=2).values()
    assert list(suite) == list(range(len(hub.TASKS)))
    for vector, task in zip(suite.values(), hub.TASKS, strict=True):
        assert isinstance(vector, gymnasium.vector.VectorEnv) and vector.num_envs == 2
        assert vector.call("task") == (task, task)
        vector.close()


def test_a_configuration_may_name_other_tasks(hub: ModuleType) -> None:
    suite = hub.make_env(cfg=SimpleNamespace(task="PushCube-v0, OpenDrawer-v0"))["worldverify"]
    assert [vector.call("task")[0] for vector in suite.values()] == ["PushCube-v0", "OpenDrawer-v0"]


def test_a_policy_reads_the_instruction_and_the_length_from_every_lane(hub: ModuleType) -> None:
    vector = one(hub, "PickCube-v0", 2)
    made = vector.envs[0].unwrapped.task
    assert vector.call("task_description") == (made.instruction,) * 2
    assert vector.call("_max_episode_steps") == (made.steps,) * 2
    assert vector.metadata["render_fps"] == made.rate


def test_observations_have_the_keys_and_types_of_lerobot(hub: ModuleType) -> None:
    vector = one(hub, "PickCube-v0", 2)
    observation, info = vector.reset(seed=[3, 4], options=NEW_EPISODE)
    assert set(observation) == {"pixels", "agent_pos"}
    assert observation["pixels"].shape == (2, SMALL, SMALL, 3) and observation["pixels"].dtype == np.uint8
    home = vector.envs[0].unwrapped.task.arm.home
    assert np.allclose(observation["agent_pos"][:, :7], home, atol=0.1)  # starts lie near home
    assert not info["is_success"].any()
    assert vector.envs[0].render().shape == (SMALL, SMALL, 3)


def test_only_the_option_of_lerobot_is_dropped(hub: ModuleType) -> None:
    with pytest.raises(ValueError, match="Options: state"):
        one(hub, "PickCube-v0").reset(options={"sate": 1, **NEW_EPISODE})


def test_a_plan_that_passes_is_a_success_in_the_final_info(hub: ModuleType) -> None:
    vector = one(hub, "ReachSafe-v0")
    vector.reset(seed=[0], options=NEW_EPISODE)
    env = vector.envs[0].unwrapped
    actions = env.actions_for(env.task.good).astype(np.float32)
    for step in range(vector.call("_max_episode_steps")[0]):
        *_, terminated, _, info = vector.step(actions[min(step, len(actions) - 1)][None])
        assert ("final_info" in info) == bool(terminated[0])
    assert terminated[0] and info["final_info"]["is_success"].tolist() == [True]


def test_what_a_network_puts_a_little_beyond_a_range_is_cut_off(hub: ModuleType) -> None:
    vector = one(hub, "PickCube-v0", 2)
    observation, _ = vector.reset(seed=[0, 0])
    beyond = observation["agent_pos"].copy()
    beyond[:, 7] = 1.0, 1.001
    seen, *_ = vector.step(beyond)
    assert np.array_equal(seen["agent_pos"][0], seen["agent_pos"][1])


def test_an_action_that_is_not_a_number_ends_the_episode(hub: ModuleType) -> None:
    vector = one(hub, "PickCube-v0")
    vector.reset(seed=[0])
    *_, terminated, _, info = vector.step(np.full((1, 8), np.nan, np.float32))
    assert terminated[0] and info["final_info"]["status"].tolist() == ["INVALID"]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where another test has imported it
def test_processes_of_their_own_show_the_same(hub: ModuleType) -> None:
    row, apart = (one(hub, "PickCube-v0", 2, use_async_envs=way) for way in (False, True))
    here, there = (vector.reset(seed=[0, 1], options=NEW_EPISODE)[0] for vector in (row, apart))
    for _ in range(2):
        assert np.array_equal(here["agent_pos"], there["agent_pos"])
        assert np.array_equal(here["pixels"], there["pixels"])
        here, there = row.step(here["agent_pos"])[0], apart.step(there["agent_pos"])[0]
    assert apart.call("task_description") == row.call("task_description")
    apart.close()
