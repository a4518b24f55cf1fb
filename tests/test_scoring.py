"""From a verdict to a number for a trainer."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

import worldverify as wv
from worldverify.refusal import CODES
from worldverify.scoring import PASS_REWARD, STAGE, kind_of, reward_of, score_of
from worldverify.testing import TOY, toy_task
from worldverify.verdict import Margin, Verdict


def margin(value: float | None, scale: float = 0.01) -> Margin:
    bounds = (-math.inf, math.inf) if value is None else (value, value)
    return Margin(value, "m", bounds, "a < 1 m", scale)


SATISFIED, VIOLATED, BADLY, OPEN = margin(0.1), margin(-0.001), margin(-9.0), margin(None)


@pytest.mark.parametrize("least", [-1.0, -7.5, 0.0])
def test_a_pass_earns_more_than_anything_else_and_nothing_earns_less_than_the_minimum(least: float) -> None:
    for margins in itertools.product([SATISFIED, VIOLATED, BADLY, OPEN], repeat=3):
        for status in ("FAIL", "INCONCLUSIVE"):
            reward, valid = reward_of(status, None, margins, least)
            assert valid and least <= reward < PASS_REWARD
    assert reward_of("PASS", None, [SATISFIED], least) == (PASS_REWARD, True)


def test_fail_and_inconclusive_are_paid_by_margins_alone() -> None:
    margins = [SATISFIED, OPEN, VIOLATED]
    assert reward_of("FAIL", None, margins, -1.0) == reward_of("INCONCLUSIVE", None, margins, -1.0)


def test_coming_closer_pays_more() -> None:
    def paid(*margins: Margin) -> float:
        return reward_of("FAIL", None, margins, -1.0)[0]

    assert paid(SATISFIED, VIOLATED) > paid(SATISFIED, BADLY) > paid(VIOLATED, BADLY) > paid(BADLY, BADLY)
    assert paid(SATISFIED, OPEN) > paid(SATISFIED, VIOLATED)


def test_breaking_the_simulation_never_pays_more_than_failing() -> None:
    assert reward_of("INVALID", "plan", [SATISFIED], -1.0) == (-1.0, True)
    assert reward_of("FAIL", None, [BADLY], -1.0)[0] >= -1.0


@pytest.mark.parametrize("cause", ["model", "spec", "infra"])
def test_what_is_not_the_plans_fault_is_masked(cause: str) -> None:
    reward, valid = reward_of("INVALID", cause, [SATISFIED], -1.0)  # type: ignore[arg-type]
    assert math.isnan(reward) and not valid


@pytest.fixture(scope="module")
def judged() -> list[Verdict]:
    """Of the toy: a PASS, a FAIL, a plan that cannot be followed, a broken one, no plan, a start that is none."""
    task = toy_task()
    bad_start = np.where(np.arange(task.scene.nstate) == 1, np.nan, task.start())
    states = np.stack([task.start()] * 5 + [bad_start])
    plans = [task.good, task.bad["careful"], '{"actions": [[9e9]]}', '{"actions": [["far"]]}', "no plan", task.good]
    return list(wv.verify(task, plans, on="cpu", state=states))


def test_a_binary_reward_tells_a_pass_from_all_else(judged: list[Verdict]) -> None:
    assert [score_of(v, "binary") for v in judged] == [1.0, 0.0, 0.0, 0.0, 0.0, None]


def test_a_shaped_reward_is_that_of_the_verdict(judged: list[Verdict]) -> None:
    assert [score_of(v) for v in judged] == [*(v.reward for v in judged[:5]), None]


def test_a_staged_reward_rises_with_what_an_answer_has_reached(judged: list[Verdict]) -> None:
    passed, failed, _, broken, nothing, masked = (score_of(v, "staged") for v in judged)
    assert passed == 1.0 and masked is None and (broken, nothing) == (0.1, 0.0)
    assert failed is not None and 0.4 <= failed < 0.9
    cannot = replace(judged[2], code="unreachable")
    assert score_of(cannot, "staged") == 0.2


def test_a_staged_reward_pays_a_goal_by_nearness_and_a_guard_by_time() -> None:
    far, near = (Margin(None, "m", (low, math.inf), "a < 1 m", 0.01) for low in (-9.0, -0.001))
    safe = Margin(None, "m", (-math.inf, 0.5), "a < 1 m", 0.01)
    judged = wv.verify(toy_task(), [toy_task().bad["careful"]], on="cpu")[0]

    def paid(*margins: Margin, decided_s: float) -> float:
        verdict = replace(judged, margins=dict(enumerate(margins)), decided_s=decided_s)  # type: ignore[arg-type]
        return score_of(verdict, "staged") or 0.0

    assert paid(VIOLATED, far, safe, decided_s=0.5) < paid(VIOLATED, far, safe, decided_s=1.5)
    assert paid(VIOLATED, far, safe, decided_s=0.5) < paid(VIOLATED, near, safe, decided_s=0.5)
    crashed, idle = paid(VIOLATED, far, safe, decided_s=0.2), paid(safe, BADLY, safe, decided_s=1.8)
    assert 0.4 < crashed < idle < 0.9
    assert paid(VIOLATED, OPEN, decided_s=1.8) == paid(VIOLATED, OPEN, decided_s=0.2)


def test_breaking_the_simulation_pays_no_more_than_writing_nothing(judged: list[Verdict]) -> None:
    for code in ("diverged", "overflow", "raised", "unbalanced", "tunnelling", "not_a_number"):
        broke = replace(judged[1], status="INVALID", cause="plan", code=code, margins={})
        assert score_of(broke, "staged") == 0.0


def test_every_code_of_a_plan_has_its_stage() -> None:
    order = list(CODES)
    of_plans = order[: order.index("diverged")]
    assert sorted(STAGE) == sorted(of_plans)


def test_an_unknown_kind_of_reward_is_refused() -> None:
    with pytest.raises(ValueError, match="binary, shaped, staged; got 'dense'"):
        kind_of("dense")


def test_arrays_for_a_trainer_follow_the_order_of_the_plans() -> None:
    task = toy_task()
    bad_start = task.start()
    bad_start[1] = np.nan
    states = np.stack([task.start()] * 3 + [bad_start])
    verdicts = wv.verify(task, [task.good, task.bad["careful"], "no plan", task.good], state=states)
    assert verdicts.valid_mask.tolist() == [True, True, True, False]
    passed, failed, unreadable, masked = verdicts.reward
    assert passed == 1.0 > failed > unreadable == task.reward_min
    assert math.isnan(masked)
    assert [v.to_json()["reward"] for v in verdicts] == [1.0, failed, -1.0, None]
    assert verdicts.reward.dtype == np.float64 and verdicts.valid_mask.dtype == np.bool_


def test_a_task_may_set_its_least_reward_below_a_pass() -> None:
    options = {"spec": "r: always(joint(rail) < 1 m)", "horizon": 1.0, "rate": 10.0}
    task = wv.Task.from_mjcf(TOY, reward_min=-5.0, **options)  # type: ignore[arg-type]
    assert wv.verify(task, ["no plan"]).reward.tolist() == [-5.0]
    with pytest.raises(ValueError, match="reward_min"):
        wv.Task.from_mjcf(TOY, reward_min=1.0, **options)  # type: ignore[arg-type]
