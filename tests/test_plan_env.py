"""Environments of whole plans: rows or texts in, the verdict's reward out."""

import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Text
from gymnasium.utils.env_checker import check_env

import worldverify as wv
from worldverify.envs.gym import PlanEnv
from worldverify.presets import preset
from worldverify.read import MAX_TEXT

IDS = sorted(id for id in gymnasium.registry if id.startswith("worldverify/") and "-Plan-" in id)
PICK = '{"skills": [{"skill": "pick", "object": "cube"}]}'


@pytest.fixture(scope="module")
def env() -> Iterator[PlanEnv]:
    """One that takes texts."""
    env = PlanEnv("PickCube-v0", actions="text")
    yield env
    env.close()


@pytest.mark.parametrize("id", IDS)
def test_the_environment_checker_finds_nothing_where_plans_are_texts(id: str) -> None:
    check_env(gymnasium.make(id, actions="text").unwrapped)


@pytest.mark.parametrize(
    "options",
    [{"actions": "ee_delta"}, {"actions": "libero-osc_pose-1.4"}, {"obs": "text"}, {"obs": "pixels_agent_pos"}],
)
def test_the_environment_checker_finds_nothing_in_other_actions_and_observations(options: dict[str, Any]) -> None:
    check_env(gymnasium.make("worldverify/PickCube-Plan-v0", width=24, height=16, **options).unwrapped)


# Texts


def test_what_is_seen_is_the_card_that_a_model_is_prompted_with(env: PlanEnv) -> None:
    card, info = env.reset(seed=4)
    assert card == env.card == env.task.card(4) and card in env.observation_space
    assert info["instruction"] in card and np.array_equal(env.state, env.task.start(4))
    assert env.step(PICK)[0] == card


def test_the_card_is_that_of_the_state_that_was_given(env: PlanEnv) -> None:
    card, _ = env.reset(options={"state": env.task.start(4)})
    assert card == env.task.card(4)


@pytest.mark.parametrize("text", [PICK, '{"actions": [[0, 0]]}', "I cannot — sorry.", "{", "∀" * 9])
def test_a_text_is_rewarded_as_it_is_judged(text: str, env: PlanEnv) -> None:
    env.reset(seed=2)
    _, reward, terminated, truncated, info = env.step(text)
    verdict = wv.verify(env.task, [text], seed=2)[0]
    assert (reward, terminated, truncated) == (verdict.reward, True, False)
    assert (info["status"], info["code"], info["reason"]) == (verdict.status, verdict.code or "", verdict.reason)
    assert env.last_verdict is not None and env.last_verdict.digest == verdict.digest


def test_any_sample_of_texts_is_judged(env: PlanEnv) -> None:
    space = env.action_space
    assert isinstance(space, Text) and space.max_length == MAX_TEXT
    assert '{"actions": [[-1.5e-3, 2]]}\n\t' in space
    space.seed(0)
    env.reset(seed=0)
    for _ in range(3):
        _, reward, _, _, info = env.step(space.sample())
        assert (info["status"], info["cause"], reward) == ("INVALID", "plan", env.task.reward_min)


@pytest.mark.parametrize(
    "thing", [None, 3, 2.5, object(), np.zeros(8), np.array(["a"]), np.array([[None, 1]]), b"\xff", ""]
)
def test_what_is_no_plan_is_invalid_and_not_an_error(thing: Any, env: PlanEnv) -> None:
    env.reset(seed=0)
    _, reward, _, _, info = env.step(thing)
    assert (info["status"], info["cause"], reward) == ("INVALID", "plan", env.task.reward_min) and info["reason"]


# Rows


@pytest.mark.parametrize(
    "kind", [None, "ctrl", "ee_delta", "libero-osc_pose-1.4", preset("rlds-eef-delta", rate_hz=10)]
)
def test_rows_are_judged_as_the_plan_that_they_are(kind: Any) -> None:
    env = PlanEnv("PickCube-v0", actions=kind)
    space = env.action_space
    assert isinstance(space, Box) and space.shape is not None
    start, _ = env.reset(seed=1)
    assert start in env.observation_space
    rows = np.zeros(space.shape)
    if kind is None or kind == "ctrl":
        home = [*env.task.arm.home, 1.0]  # type: ignore[union-attr]
        rows[:] = np.clip(home, space.low[0], space.high[0])
    seen, reward, terminated, truncated, info = env.step(rows)
    assert info["status"] == "FAIL" and terminated and not truncated and np.array_equal(seen, start)
    assert env.last_verdict is not None
    again = wv.verify(env.task, [env.last_verdict.request["plan"]], seed=1)[0]
    assert (again.digest, again.reward) == (env.last_verdict.digest, reward)
    env.close()


def test_rows_of_another_rate_fill_the_horizon() -> None:
    env = PlanEnv("PickCube-v0", actions="libero-osc_pose-1.4")
    assert env.action_space.shape == (80, 7)  # 4 s at 20 Hz, in a task of 25 Hz
    assert PlanEnv("PickCube-v0").action_space.shape == (100, 8)


def test_whole_numbers_and_fewer_rows_are_read() -> None:
    env = PlanEnv("PickCube-v0", actions="ctrl")
    env.reset(seed=0)
    assert env.step(np.zeros((3, 8), dtype=np.int8))[4]["code"] == "out_of_range"  # the elbow does not stretch so far
    assert env.step(np.zeros((3, 7)))[4]["code"] == "wrong_width"
    assert env.step(np.full((3, 8), np.nan))[4]["code"] == "not_finite"
    env.close()


def test_the_rows_of_a_base_are_those_of_the_action_space() -> None:
    env = PlanEnv("NavigateRoom-v0", actions="base_velocity")
    env.reset(seed=0)
    assert env.action_space.shape == (280, 2)
    assert env.step(np.zeros((280, 2)))[4]["status"] == "FAIL"
    plain = PlanEnv("NavigateRoom-v0")  # its first row of numbers is ctrl
    plain.reset(seed=0)
    still = np.tile(plain.task.scene.data(plain.state).ctrl, (plain.task.steps, 1))
    assert plain.step(still)[4]["status"] == "FAIL"


# Candidates


def test_candidates_are_judged_without_ending_the_episode(env: PlanEnv) -> None:
    env.reset(seed=3)
    verdicts = env.verify([PICK, "no"])
    assert [v.digest for v in verdicts] == [v.digest for v in wv.verify(env.task, [PICK, "no"], seed=3)]
    assert env.last_verdict is None


def test_several_plans_are_judged_from_one_start(env: PlanEnv) -> None:
    env.reset(seed=3)
    assert env.step("no")[4]["status"] == "INVALID" and env.step(PICK)[4]["status"] == "PASS"


# Rules


def test_a_step_needs_a_start() -> None:
    env = PlanEnv("PickCube-v0")
    for call in (lambda: env.step(PICK), lambda: env.state, lambda: env.card, lambda: env.verify([PICK])):
        with pytest.raises(ResetNeeded, match="call reset"):
            call()


def test_seeding_twice_gives_the_same_starts(env: PlanEnv) -> None:
    def cards() -> list[str]:
        return [env.reset(seed=7)[0], env.reset()[0], env.reset()[0]]

    first = cards()
    assert first == cards() and len(set(first)) == 3


def test_the_spec_can_be_pickled() -> None:
    made = gymnasium.make("worldverify/PickCube-Plan-v0", actions="text")
    assert made.spec is not None
    again = gymnasium.make(pickle.loads(pickle.dumps(made.spec)))
    assert again.reset(seed=1)[0] == made.reset(seed=1)[0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"obs": "goal"}, "'state', 'pixels_agent_pos' or 'text'"),
        ({"obs": "picture"}, "obs must be one of"),
        ({"actions": "waypoints-json"}, "actions='text'"),
        ({"actions": "ee_deltas"}, "Did you mean 'ee_delta'"),
    ],
)
def test_what_a_plan_cannot_be_is_refused(options: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        PlanEnv("PickCube-v0", **options)  # type: ignore[arg-type]
