"""A start in which the goal holds already is none that the task begins from."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.refusal import Refusal
from worldverify.testing import toy_task

AWAY = "not inside(cart, zone) and speed(cart) < 0.01 m/s"


@pytest.fixture(scope="module")
def task() -> Any:
    return replace(toy_task(), precondition=AWAY)


def parked(task: Any) -> Any:
    data = task.scene.data(task.start())
    data.joint("rail").qpos = 0.3
    return task.scene.state_of(data)


def test_a_start_in_the_goal_is_invalid_by_the_model(task: Any) -> None:
    verdict = wv.verify(task, [np.array([[0.3]])], on="cpu", state=parked(task))[0]
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "model", "precondition")
    assert "not inside(cart, zone)" in verdict.reason and "is missed by 0.1 m" in verdict.reason
    assert np.isnan(verdict.reward) and not verdict.valid


def test_without_a_precondition_doing_nothing_there_would_pass() -> None:
    plain = replace(toy_task(), precondition="")
    assert wv.verify(plain, [np.array([[0.3]])], on="cpu", state=parked(plain))[0].status == "PASS"


def test_a_start_in_motion_is_not_one_at_rest(task: Any) -> None:
    data = task.scene.data(task.start())
    data.joint("rail").qvel = 0.5
    verdict = wv.verify(task, [task.good], on="cpu", state=task.scene.state_of(data))[0]
    assert verdict.code == "precondition" and "speed(cart) < 0.01 m/s" in verdict.reason


def test_the_good_plan_passes_from_the_tasks_own_start(task: Any) -> None:
    assert wv.verify(task, [task.good], on="cpu")[0].status == "PASS"


def test_a_chunk_may_begin_in_the_goal(task: Any) -> None:
    verdict = wv.verify(task, [np.array([[0.3]])], on="cpu", state=parked(task), scope="chunk")[0]
    assert verdict.status == "PASS"


def test_it_is_part_of_the_question(task: Any) -> None:
    one, other = (wv.verify(t, [task.good], on="cpu")[0] for t in (task, toy_task()))
    assert one.request["sha256"] != other.request["sha256"] and one.margins == other.margins


@pytest.mark.parametrize("wrong", ["inside(cart, zone)", "not inside(cart, zne)", "speed(cart)", "speed(cart) < 1 N"])
def test_one_that_does_not_fit_the_task_is_refused_when_the_task_is_made(wrong: str) -> None:
    with pytest.raises(Refusal):
        replace(toy_task(), precondition=wrong)


def test_a_start_that_brings_a_force_of_its_own_is_not_judged(task: Any) -> None:
    data = task.scene.data(task.start())
    data.qfrc_applied[0] = 1.0
    verdict = wv.verify(task, [np.array([[0.0]])], on="cpu", state=task.scene.state_of(data))[0]
    assert (verdict.status, verdict.code) == ("INVALID", "initial_state")
    assert "qfrc_applied" in verdict.reason


def test_a_start_that_uncouples_the_fingers_is_not_judged() -> None:
    pick = wv.load("PickCube-v0")
    data = pick.scene.data(pick.start())
    assert data.eq_active.all() and len(data.eq_active)
    data.eq_active[0] = 0
    verdict = wv.verify(pick, [pick.good], on="cpu", state=pick.scene.state_of(data))[0]
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "model", "initial_state")
    assert "part of the mechanism" in verdict.reason
