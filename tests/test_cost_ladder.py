"""The ladder: every rung sees more than the one below it, and how often it is wrong is counted exactly."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

import worldverify as wv
from worldverify.billing.ladder import RUNGS, candidates, ladder, rungs_of
from worldverify.billing.prices import load_prices
from worldverify.billing.rungs import contract, kinematics, pattern, physics, unit_test
from worldverify.billing.rungs.rung import Rung, text_of
from worldverify.task import Task
from worldverify.testing import toy_task

PICK = json.dumps({"skills": [{"skill": "pick", "object": "cube"}, {"skill": "lift", "height": 0.2}]})
HOME = json.dumps({"skills": [{"skill": "home"}]})
WORDS = "First lift the cube."
BROKEN = '{"skills": [{"skill": "pick", "object": "cu'
BANANA = json.dumps({"skills": [{"skill": "pick", "object": "banana"}]})
FAR = json.dumps({"waypoints": [{"position": [48.0, -12.0, 9.0], "gripper": 1, "time": 1.0}]})
HIGH = json.dumps({"waypoints": [{"position": [0.1, 0.1, 1.4], "gripper": 1, "time": 1.0}]})
LATE = json.dumps({"waypoints": [{"position": [0.5, 0.0, 0.3], "gripper": 1, "time": 1e3}]})
# What each rung is the first to refuse.
REFUSED = {"regex": WORDS, "contract": BROKEN, "unit test": BANANA, "kinematics": HIGH, "physics": HOME}


@pytest.fixture(scope="module")
def pick() -> Task:
    return wv.load("PickCube-v0")


def test_a_plan_that_passes_climbs_the_whole_ladder(pick: Task) -> None:
    for rung in (pattern.RUNG, contract.RUNG, unit_test.RUNG, kinematics.RUNG, physics.ONCE, physics.SCHEDULED):
        assert list(rung.check(pick, [{"text": PICK}])) == [True], rung.name


def test_each_rung_refuses_something_that_the_one_below_it_accepts(pick: Task) -> None:
    def accepts(rung: Rung) -> list[bool]:
        return list(rung.check(pick, [{"text": text} for text in REFUSED.values()]))

    assert accepts(pattern.RUNG) == [False, True, True, True, True]
    assert accepts(contract.RUNG)[:2] == [False, False]
    assert accepts(unit_test.RUNG) == [False, False, False, True, True]
    assert accepts(kinematics.RUNG) == [False, False, False, False, True]
    assert accepts(physics.ONCE) == [False] * 5 == accepts(physics.SCHEDULED)


@pytest.mark.parametrize("text", [FAR, LATE, '{"skills": []}', '{"waypoints": [{"position": [0.5, 0.0]}]}', ""])
def test_the_unit_test_refuses_what_no_robot_should_do(pick: Task, text: str) -> None:
    assert list(unit_test.RUNG.check(pick, [{"text": text}])) == [False]


def test_a_text_with_a_plan_in_its_middle_is_understood_by_the_unit_test(pick: Task) -> None:
    assert list(unit_test.RUNG.check(pick, [{"text": f"Here it is {{so}}:\n```json\n{PICK}\n```\nDone."}])) == [True]


def test_a_rendered_run_says_what_the_run_says() -> None:
    toy = toy_task()
    assert toy.good is not None
    lines = [toy.good.to_json(), {"text": WORDS}]
    assert list(physics.rendered(toy, lines)) == [True, False] == list(physics.run_once(toy, lines))


def test_numbers_that_never_were_a_text_are_read_as_json() -> None:
    assert text_of({"actions": [[0.5]]}) == '{"actions": [[0.5]]}'
    assert text_of({"id": "a", "text": "words"}) == "words"


def test_candidates_are_the_same_every_time_and_of_all_kinds(pick: Task) -> None:
    some = candidates(pick, 60)
    assert some == candidates(pick, 60) and len(some) == 60
    assert len({line["text"] for line in some}) > 30
    good, clumsy, wrong = (sum(contract.check(pick, some[kind::3])) for kind in range(3))
    assert good == clumsy == 20 and wrong < 20


def test_a_task_in_which_nothing_varies_has_nothing_to_be_certified() -> None:
    assert [rung.name for rung in RUNGS if rung not in rungs_of(toy_task())] == ["certified physics"]
    assert rungs_of(wv.load("PickCube-v0")) == RUNGS


def test_false_shares_are_counted_over_what_the_reference_saw() -> None:
    def saying(name: str, accepts: Any, **more: Any) -> Rung:
        def check(task: Task, lines: Sequence[Any]) -> list[bool]:
            return [accepts(line) for line in lines]

        return Rung(name, "by hand", check, **more)

    # Of 40 candidates the even ones are right; the reference sees 10 of them, in one random order for all rungs.
    right = saying("right", lambda line: line % 2 == 0, sample=10, reference=True)
    rungs = (saying("all", lambda line: True), saying("few", lambda line: line % 4 == 0, sample=5), right)
    every, few, reference = ladder(toy_task(), range(40), load_prices(), rungs=rungs)
    assert (every["checked"], few["checked"], reference["checked"]) == (40, 5, 10)
    assert every["compared"] == 10 and few["compared"] == 5
    wrong = every["wrong_candidates"]
    assert every["false_accepts"] == wrong and every["false_accept_share"] == 1.0
    assert every["false_accept_interval"] == [pytest.approx(0.025 ** (1 / wrong)), 1.0]
    assert every["false_reject_interval"] == [0.0, pytest.approx(1 - 0.025 ** (1 / (10 - wrong)))]
    assert few["false_accepts"] == 0 and few["wrong_candidates"] + few["good_candidates"] == 5
    assert reference["false_accepts"] == reference["false_rejects"] == 0
    assert ladder(toy_task(), range(40), load_prices(), rungs=rungs, full=True)[2]["checked"] == 40


def test_every_figure_of_a_rung_is_of_one_check_and_says_whether_it_is_estimated() -> None:
    (row,) = ladder(toy_task(), [{"text": WORDS}] * 7, load_prices(), rungs=(pattern.RUNG,))
    assert row["checked"] == 7 and row["repeats"] > 1 and row["accepted"] == 0
    assert row["cpu_s"] > 0 and row["wall_s"] > 0 and row["joules"] > 0 and row["money"] > 0
    assert set(row["estimated"]) <= {"joules", "money"} and row["times_the_first"] == 1.0
