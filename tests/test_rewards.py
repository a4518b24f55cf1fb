"""Reward functions as trainers call them. The trainers themselves: tests/test_integrations.py."""

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify import rewards
from worldverify.rewards import Unverified, acompute_score, compute_score, trl_reward
from worldverify.scoring import score_of
from worldverify.testing import toy_task

TOY = toy_task()
FIELDS = {"score": float, "acc": float, "status": str, "code": str, "reason": str, "cpu_s": float, "queue_s": float}
SAID = ("score", "acc", "status", "code", "reason")  # and not what it cost


def toy_that_varies() -> wv.Task:
    def randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
        data.qpos[0] = generator.uniform(-0.05, 0.05)

    return replace(TOY, name="Toy-v0", randomise=randomise)


VARYING = toy_that_varies()


def answer(value: float) -> str:
    return json.dumps({"actions": [[value]] * TOY.steps})


GOOD = json.dumps({"actions": TOY.good.to_json()["actions"]})
ANSWERS = [GOOD, answer(0.1), answer(0.6), '{"actions": [["far"]]}', "I cannot do that."]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `verify` was asked; the toy can be loaded by name."""
    asked: list[dict[str, Any]] = []
    verify, load = rewards.verify, rewards.load

    def watched(task: wv.Task, plans: Sequence[str], **options: Any) -> wv.Verdicts:
        asked.append({"task": task.name, "plans": list(plans), **options})
        return verify(task, plans, **options)

    monkeypatch.setattr(rewards, "verify", watched)
    monkeypatch.setattr(rewards, "load", lambda name: VARYING if name == "Toy-v0" else load(name))
    return asked


def trl(function: Any, completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """As TRL's GRPOTrainer calls it."""
    prompts, ids = ["Go."] * len(completions), [[1, 2]] * len(completions)
    found = function(prompts=prompts, completions=completions, completion_ids=ids, trainer_state=None, **columns)
    assert isinstance(found, list) and all(x is None or type(x) is float for x in found)
    return found


# Batches of TRL


@pytest.mark.parametrize("kind", ["binary", "shaped", "staged"])
def test_a_batch_is_paid_as_its_verdicts_are(kind: Any) -> None:
    expected = [score_of(v, kind) for v in wv.verify(TOY, ANSWERS, on="cpu")]
    assert trl(trl_reward(TOY, kind=kind), ANSWERS) == expected
    assert len({x for x in expected}) >= 2


def test_seeds_of_the_rows_say_where_each_begins(calls: list[dict[str, Any]]) -> None:
    seeds = [0, 3, None, 3, 5]
    found = trl(trl_reward(VARYING, seed=7), [ANSWERS[1]] * 5, seed=seeds)
    expected = [wv.verify(VARYING, [ANSWERS[1]], on="cpu", seed=7 if s is None else s)[0].reward for s in seeds]
    assert found == expected and len(set(found)) == 4
    assert len(calls) == 1 and len(calls[0]["plans"]) == 4  # rows 1 and 3 ask the same


def test_states_of_the_rows_say_where_each_begins() -> None:
    there = VARYING.start(5)
    found = trl(trl_reward(VARYING), [ANSWERS[1]] * 2, state=[there.tolist(), None])
    assert found == trl(trl_reward(VARYING), [ANSWERS[1]] * 2, seed=[5, 0])


def test_equal_answers_are_simulated_once(calls: list[dict[str, Any]]) -> None:
    found = trl(trl_reward(TOY), [ANSWERS[0], ANSWERS[1]] * 8)
    assert found == trl(trl_reward(TOY), ANSWERS[:2]) * 8
    assert [len(call["plans"]) for call in calls] == [2, 2]


def test_chat_messages_are_read_as_their_last_answer() -> None:
    ask, say = {"role": "user", "content": "Again."}, {"role": "assistant", "content": ANSWERS[0]}
    parts = {"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": ANSWERS[0]}]}
    silent = {"role": "assistant", "content": None}
    chats = [[say], [silent, ask, say], [parts], [silent], [], ANSWERS[0]]
    passed, least = 1.0, TOY.reward_min
    assert trl(trl_reward(TOY), chats) == [passed, passed, passed, least, least, passed]


def test_rows_may_name_their_tasks_and_rows_of_other_tasks_are_left_out(calls: list[dict[str, Any]]) -> None:
    tasks = ["worldverify/Toy-v0", None, "Toy-v0"]
    assert trl(trl_reward(), [ANSWERS[0], "42", "No."], task=tasks) == [1.0, None, -1.0]
    assert trl(trl_reward(TOY), ["No."] * 3, task=tasks) == [-1.0] * 3
    assert trl(trl_reward(), ["42"], task=[None]) == [None]


def test_what_could_not_be_judged_is_none_and_not_zero() -> None:
    broken = np.full(TOY.scene.nstate, np.nan)
    for kind in ("binary", "shaped", "staged"):
        found = trl(trl_reward(TOY, kind=kind), ANSWERS[:2], state=[broken, None])  # type: ignore[arg-type]
        assert found[0] is None and found[1] is not None


def test_what_the_machine_lost_is_asked_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {"status": "INVALID", "cause": "infra", "reward": float("nan"), "valid": False}
    verify, times = rewards.verify, []

    def unlucky(task: wv.Task, plans: Sequence[str], **options: Any) -> list[wv.Verdict]:
        times.append(len(plans))
        found = verify(task, plans, **options)
        return [replace(v, **lost) if len(times) == 1 and i == 0 else v for i, v in enumerate(found)]

    monkeypatch.setattr(rewards, "verify", unlucky)
    assert trl(trl_reward(TOY), ANSWERS[:2]) == list(wv.verify(TOY, ANSWERS[:2], on="cpu").reward)
    assert times == [2, 1]


def test_a_trainer_is_told_reasons_and_the_shares_that_were_simulated_and_passed() -> None:
    columns: dict[str, list[str]] = {}
    metrics: dict[str, float] = {}
    trl(trl_reward(TOY), [*ANSWERS[:2], "No.", "No."], log_extra=columns.__setitem__, log_metric=metrics.__setitem__)
    assert metrics == {"worldverify_shaped/simulated": 0.5, "worldverify_shaped/passed": 0.25}
    assert [said.split(":")[0] for said in columns["verdict"]] == ["PASS", "FAIL", "INVALID", "INVALID"]


def test_a_reward_has_a_name_and_can_be_sent_to_another_process() -> None:
    reward = trl_reward("ReachSafe-v0", kind="staged", seed=3)
    assert reward.__name__ == "worldverify_staged"
    assert pickle.loads(pickle.dumps(reward)) == reward


@pytest.mark.parametrize("wrong", [{"kind": "dense"}, {"seed": -1}, {"seed": 1.5}, {"seed": True}])
def test_a_wrong_option_is_refused_when_the_reward_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        trl_reward("ReachSafe-v0", **wrong)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"task": ["ReachSave-v0"]}, "Did you mean 'ReachSafe-v0'"),
        ({"seed": ["x"]}, "A seed is a whole number from 0 on; got 'x'"),
        ({"state": [[0.0]]}, r"has the shape \(\d+,\); got \(1,\)"),
    ],
)
def test_a_wrong_column_is_refused_and_not_masked(columns: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        trl(trl_reward(TOY), ["No."], **columns)


# Single answers of veRL


def test_a_single_answer_is_scored_as_its_verdict(calls: list[dict[str, Any]]) -> None:
    for text in ANSWERS:
        verdict = wv.verify(VARYING, [text], on="cpu", seed=3)[0]
        for source in ("worldverify/Toy-v0", "Toy-v0"):
            found = compute_score(source, text, {"seed": 3}, {"index": 0})
            assert found["score"] == verdict.reward and found["acc"] == (verdict.status == "PASS")
            assert (found["status"], found["code"], found["reason"]) == (
                verdict.status,
                verdict.code or "",
                verdict.reason,
            )
            assert {key: type(value) for key, value in found.items()} == FIELDS
            assert found["cpu_s"] > 0 and found["queue_s"] > 0  # it was kept waiting for others to judge it with


def test_rows_say_what_they_are_before_the_configuration_does(calls: list[dict[str, Any]]) -> None:
    def score(truth: Any, extra: Any = None, **options: Any) -> Any:
        return compute_score("robots", ANSWERS[1], truth, extra, **options)["score"]

    shaped = wv.verify(VARYING, ANSWERS[1:2], on="cpu", seed=5)[0].reward
    row = {"task": "Toy-v0", "seed": 5}
    assert score(row) == score(json.dumps(row)) == score(None, row) == score("", {**row, "split": "train"}) == shaped
    assert score(row, {"seed": 4}, seed=6) == shaped
    assert score({**row, "seed": None, "state": VARYING.start(5).tolist()}) == shaped
    assert score(row, kind="binary") == score({**row, "kind": "binary"}, kind="staged") == 0.0
    with_reader = {**row, "format": "ctrl"}
    assert score(with_reader) == shaped and calls[-1]["format"] == "ctrl"


def test_many_single_answers_are_judged_together(calls: list[dict[str, Any]]) -> None:
    texts = [answer(0.001 * i) for i in range(64)]
    expected = list(wv.verify(VARYING, texts, on="cpu").reward)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(acompute_score("Toy-v0", text, None) for text in texts))

    assert [found["score"] for found in asyncio.run(all_at_once())] == expected
    assert len(calls) <= 4
    with ThreadPoolExecutor(64) as pool:
        assert [found["score"] for found in pool.map(lambda text: compute_score("Toy-v0", text), texts)] == expected


def test_a_wrong_row_hurts_no_other(calls: list[dict[str, Any]]) -> None:
    rows: list[Any] = [
        None,
        {"task": "Toy-v1"},
        {"state": [1.0]},
        {"state": VARYING.start().tolist()},
        {"format": "words"},
    ]

    async def all_at_once() -> list[Any]:
        asked = (acompute_score("Toy-v0", ANSWERS[0], row) for row in rows)
        return await asyncio.gather(*asked, return_exceptions=True)

    good, unknown, wrong, also_good, no_format = asyncio.run(all_at_once())
    assert good["score"] == also_good["score"] == 1.0
    assert all(isinstance(error, ValueError) for error in (unknown, wrong, no_format))
    assert "No task 'Toy-v1'" in str(unknown) and "has the shape" in str(wrong) and "words" in str(no_format)


def test_what_could_not_be_judged_is_an_error_and_not_zero(calls: list[dict[str, Any]]) -> None:
    broken = {"state": [float("nan")] * TOY.scene.nstate}
    with pytest.raises(Unverified, match=r"Not judged \(model\): "):
        compute_score("Toy-v0", ANSWERS[0], broken)


def test_where_a_seed_draws_the_world_each_seed_is_a_call_of_its_own(calls: list[dict[str, Any]]) -> None:
    reward = trl_reward(VARYING, randomise="all")
    found = trl(reward, [ANSWERS[0]] * 3, seed=[1, 2, 1])
    assert found == [wv.verify(VARYING, ANSWERS[:1], on="cpu", seed=s, randomise="all")[0].reward for s in (1, 2, 1)]
    assert [call["seed"] for call in calls] == [1, 2]


@pytest.mark.parametrize("truth", ["seven", "[1]", 7, {"sead": 3}, '{"sead": 3}'])
def test_a_ground_truth_of_another_kind_is_refused(truth: Any) -> None:
    with pytest.raises(ValueError, match="A ground_truth is an object with any of task, seed, state, kind, format"):
        compute_score("ReachSafe-v0", "No.", truth)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="knd"):
        compute_score("ReachSafe-v0", "No.", None, knd="staged")


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where another test has imported it
def test_a_forked_child_scores_as_its_parent_does(calls: list[dict[str, Any]]) -> None:
    expected = compute_score("Toy-v0", ANSWERS[0])
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        found = compute_score("Toy-v0", ANSWERS[0])
        os._exit(7 if all(found[field] == expected[field] for field in SAID) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_rewards_need_no_trainer_and_no_gpu_engine() -> None:
    program = (
        "import sys; from worldverify.rewards import compute_score; compute_score('ReachSafe-v0', 'No.');"
        "print({'jax', 'torch', 'trl', 'verl', 'ray', 'warp', 'mujoco.mjx'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
