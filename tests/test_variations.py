"""Crowds of plans for measurements: repeatable, within the controls' ranges, and about half of them failing."""

from dataclasses import replace

import numpy as np
import pytest

import worldverify as wv
from worldverify.testing import toy_task
from worldverify.variations import alike, controls, variations


@pytest.fixture(scope="module")
def toy() -> wv.Task:
    return toy_task()


def test_a_seed_gives_the_same_plans_and_another_seed_gives_others(toy: wv.Task) -> None:
    assert np.array_equal(controls(toy, 20, 3), controls(toy, 20, 3))
    assert not np.array_equal(controls(toy, 20, 3), controls(toy, 20, 4))


def test_the_first_plans_of_a_larger_crowd_are_those_of_a_smaller_one(toy: wv.Task) -> None:
    assert np.array_equal(controls(toy, 150)[:70], controls(toy, 70))


@pytest.mark.parametrize("name", ["ReachSafe-v0", "PickCube-v0"])
def test_every_plan_is_finite_different_and_within_the_range_of_the_controls(name: str) -> None:
    task = wv.load(name)
    made = controls(task, 100)
    low, high = task.scene.model.actuator_ctrlrange.T
    assert made.shape == (100, task.steps, task.scene.model.nu)
    assert ((made >= low) & (made <= high)).all()
    assert len({u.tobytes() for u in made}) == 100


def test_the_lines_are_those_of_a_plans_file(toy: wv.Task) -> None:
    lines = variations(toy, 3)
    assert len({line["id"] for line in lines}) == 3
    spoken = [{**line, "actions": np.asarray(line["actions"]).tolist()} for line in lines]
    assert [v.status for v in wv.verify(toy, spoken)] == [v.status for v in wv.verify(toy, lines)]


def test_a_share_of_malformed_plans_is_refused_as_the_plans_fault(toy: wv.Task) -> None:
    verdicts = wv.verify(toy, variations(toy, 50, invalid=0.2))
    refused = [v for v in verdicts if v.status == "INVALID"]
    assert len(refused) == 10
    assert {v.cause for v in refused} == {"plan"}
    assert len({v.code for v in refused}) > 2


def test_malformed_plans_leave_the_others_as_they_are(toy: wv.Task) -> None:
    whole = controls(toy, 50)
    for i, line in enumerate(variations(toy, 50, invalid=0.1)):
        assert "text" in line or np.array_equal(np.asarray(line["actions"]), whole[i])


def test_about_half_of_the_plans_fail_and_not_all_at_once() -> None:
    task = wv.load("PickCube-v0")
    verdicts = wv.verify(task, variations(task, 60))
    share = sum(v.status == "PASS" for v in verdicts) / 60
    assert 0.3 <= share <= 0.7
    when = [v.decided_s for v in verdicts if v.status == "FAIL"]
    assert len(set(when)) > 10
    assert min(when) < task.horizon / 2 < max(when)
    assert len({v.first_violation.requirement for v in verdicts if v.first_violation}) >= 3


def test_plans_that_are_alike_all_pass_and_still_differ() -> None:
    task = wv.load("PickCube-v0")
    lines = alike(task, 16)
    assert {v.status for v in wv.verify(task, lines)} == {"PASS"}
    assert len({np.asarray(line["actions"]).tobytes() for line in lines}) == 16


def test_a_task_without_plans_cannot_be_varied(toy: wv.Task) -> None:
    with pytest.raises(ValueError, match="nothing to vary"):
        controls(replace(toy, good=None, bad={}), 4)
