"""A vector environment of whole plans: what a row of single ones says, from one call of verify."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import worldverify as wv
from worldverify.envs.gym import PlanEnv, PlanVectorEnv, make_plan_vector

LANES = 4
TEXTS = ["I would rather not.", '{"skills": [["home"]]}', "[]", ""]


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return wv.load("ReachSafe-v0")


def same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, np.ndarray) and one.dtype != object:
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
    elif isinstance(one, np.ndarray | tuple):
        for x, y in zip(one, other, strict=True):
            same(x, y)
    else:
        assert one == other


@pytest.mark.parametrize("kind", [None, "text"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_it_behaves_as_a_row_of_single_environments(task: wv.Task, mode: AutoresetMode, kind: str | None) -> None:
    ours = PlanVectorEnv(LANES, task, actions=kind, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: PlanEnv(task, actions=kind)] * LANES, autoreset_mode=mode)
    assert ours.action_space == theirs.action_space and ours.observation_space == theirs.observation_space
    for one, other in zip(ours.reset(seed=3), theirs.reset(seed=3), strict=True):
        same(one, other)
    for _ in range(2):
        if kind is None:
            good = PlanEnv(task)._actions.rows(ours.state(1), task.good)  # type: ignore[union-attr]
            plans: Any = np.broadcast_to(good[-1], (LANES, task.steps, good.shape[1])).copy()
            plans[1, : len(good)] = good
            plans[2] = np.nan
        else:
            plans = tuple(TEXTS)
        for one, other in zip(ours.step(plans), theirs.step(plans), strict=True):
            same(one, other)
        if mode == AutoresetMode.DISABLED:
            mask = np.array([True, True, True, True])
            ours.reset(options={"reset_mask": mask.copy()})
            theirs.reset(options={"reset_mask": mask.copy()})
    ours.close()
    theirs.close()


def test_one_call_judges_all_and_keeps_the_verdicts(task: wv.Task) -> None:
    envs = gymnasium.make_vec("worldverify/ReachSafe-Plan-v0", num_envs=3, actions="text")
    assert isinstance(envs, PlanVectorEnv)
    cards, _ = envs.reset(seed=0)
    assert cards[0] == task.card(0) and cards[2] == task.card(2)
    _, rewards, terminated, truncated, infos = envs.step([wv.Plan.to_json(task.good), "no plan", "[]"])
    assert terminated.all() and not truncated.any()
    assert infos["status"].tolist() == ["PASS", "INVALID", "INVALID"] and rewards[0] == 1.0
    verdict = envs.last_verdict(0)
    assert verdict is not None and verdict.status == "PASS"
    with pytest.raises(ValueError, match="3 lanes, and so as many plans; got 2"):
        envs.reset()
        envs.step(["one", "two"])
    envs.close()


def test_a_lane_that_cannot_be_judged_is_truncated_with_no_number(task: wv.Task, monkeypatch: Any) -> None:
    from worldverify.engines.physics import Physics

    def fail(*_: Any) -> Any:
        raise MemoryError("no memory")

    envs = make_plan_vector(2, task)
    envs.reset(seed=0)
    monkeypatch.setattr(Physics, "run", fail, raising=False)
    monkeypatch.setattr(type(envs._verifier._physics), "run", fail)
    _, rewards, terminated, truncated, infos = envs.step([task.good, "no plan"])
    assert np.isnan(rewards[0]) and not np.isnan(rewards[1])
    assert truncated.tolist() == [True, False] and terminated.tolist() == [False, True]
    assert infos["valid"].tolist() == [False, True] and infos["cause"][0] == "infra"
