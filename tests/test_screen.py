"""A screen with longer physics steps rejects; it never passes, says what it is, and is audited."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.engines import screen
from worldverify.engines.physics import MujocoPhysics
from worldverify.local import LocalVerifier
from worldverify.variations import variations

TASK = "PushCube-v0"


@pytest.fixture(scope="module")
def verifier() -> Iterator[LocalVerifier]:
    made = LocalVerifier(threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def plans() -> list[Any]:
    task = wv.load(TASK)
    return [task.good, *task.bad.values(), *variations(task, 12), "no plan"]


@pytest.fixture(scope="module")
def right(verifier: LocalVerifier, plans: list[Any]) -> wv.Verdicts:
    return verifier.verify(TASK, plans)


@pytest.fixture(scope="module")
def found(verifier: LocalVerifier, plans: list[Any]) -> wv.Verdicts:
    return verifier.verify(TASK, plans, fidelity="screen")


def test_what_is_not_rejected_is_the_references_own_verdict(found: wv.Verdicts, right: wv.Verdicts) -> None:
    own = [(one, other) for one, other in zip(found, right, strict=True) if one.engine["method"] == "exhaustive"]
    assert any(one.status == "PASS" for one, _ in own)
    for one, other in own:
        assert (one.status, one.cause, one.margins, one.first_violation) == (
            other.status,
            other.cause,
            other.margins,
            other.first_violation,
        )


def test_what_is_rejected_fails_by_the_reference_too_and_says_what_judged_it(
    found: wv.Verdicts, right: wv.Verdicts
) -> None:
    rejected = [(one, other) for one, other in zip(found, right, strict=True) if one.engine["method"] == "screen"]
    assert len(rejected) >= 4
    for one, other in rejected:
        assert one.status == other.status == "FAIL"
        assert "physics steps of 0.01 s instead of 0.004 s" in one.warnings[-1]
        assert one.digest != other.digest and one.request["options"]["fidelity"] == "screen"
        assert one.cost.saved_by["screen"] > 0
        assert one.first_violation is not None and other.first_violation is not None
        if one.first_violation.requirement == other.first_violation.requirement:
            assert one.first_violation.time_s == pytest.approx(other.first_violation.time_s, abs=0.2)


def test_a_plan_is_screened_alone_as_in_a_batch_in_any_order(
    verifier: LocalVerifier, plans: list[Any], found: wv.Verdicts
) -> None:
    order = np.random.default_rng(0).permutation(len(plans)).tolist()
    shuffled = verifier.verify(TASK, [plans[i] for i in order], fidelity="screen")
    assert [v.digest for v in shuffled] == [found[i].digest for i in order]
    assert verifier.verify(TASK, plans[1], fidelity="screen")[0].digest == found[1].digest


def test_all_rejections_may_be_audited_and_are_the_references_then(
    verifier: LocalVerifier, plans: list[Any], right: wv.Verdicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "AUDITED", 1.0)
    found = verifier.verify(TASK, plans, fidelity="screen")
    assert [v.margins for v in found] == [v.margins for v in right]
    assert found.audit is not None and found.audit.audited == found.audit.rejected >= 4 and found.audit.wrong == 0
    low, high = found.audit.interval
    assert low == 0 and 0 < high < 1
    assert f"of {found.audit.audited} drawn for an audit the reference contradicts 0" in str(found.audit)
    assert any("which agrees" in v.warnings[-1] for v in found if v.warnings)


def test_an_audit_that_contradicts_the_screen_counts_and_the_reference_holds(
    verifier: LocalVerifier, plans: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "AUDITED", 1.0)
    monkeypatch.setattr(screen, "rejected", lambda *asked: True)
    (passing,) = verdicts = verifier.verify(TASK, plans[0], fidelity="screen")
    assert passing.status == "PASS" and passing.engine["method"] == "exhaustive"
    assert "it was drawn for an audit, which gives PASS." in passing.warnings[-1]
    assert verdicts.audit is not None and (verdicts.audit.audited, verdicts.audit.wrong) == (1, 1)


def test_without_a_screen_nothing_is_audited(right: wv.Verdicts) -> None:
    assert right.audit is None and "fidelity" not in right[0].request["options"]


def test_where_nothing_was_drawn_the_audit_says_so() -> None:
    audit = wv.Verdicts((), screen_audit(3, 0, 0)).audit
    assert str(audit) == "The screen rejected 3 plans; none was drawn for an audit."


def screen_audit(rejected: int, audited: int, wrong: int) -> Any:
    from worldverify.audit import Audit

    return Audit(rejected, audited, wrong)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fidelity": "coarse"}, "fidelity must be one of 'reference', 'screen'; got 'coarse'"),
        ({"trials": 4}, "leave budget, rank, trials and randomise='all' out"),
        ({"budget": wv.Budget(steps=10)}, "leave budget, rank, trials and randomise='all' out"),
        ({"rank": "best"}, "leave budget, rank, trials and randomise='all' out"),
        ({"randomise": "all"}, "leave budget, rank, trials and randomise='all' out"),
        ({"margins": "full"}, "is for plans from a start or a state"),
        ({"schedule": wv.Schedule(rest=True)}, "is for plans from a start or a state"),
        ({"schedule": wv.Schedule.exhaustive()}, "is for plans from a start or a state"),
    ],
)
def test_what_does_not_go_with_a_screen_is_refused(verifier: LocalVerifier, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        verifier.verify(TASK, [], **{"fidelity": "screen", **options})


def test_a_task_whose_steps_cannot_be_longer_says_why(near: wv.Task) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match=r"its control period has 1 of 0\.005 s"):
        screen.coarse(replace(near, rate=200.0))


def test_the_screen_is_made_once_for_a_task(verifier: LocalVerifier, found: wv.Verdicts) -> None:
    physics = verifier._physics
    assert isinstance(physics, MujocoPhysics) and physics._coarse is not None
    before = physics._coarse[1]
    verifier.verify(wv.load(TASK), [], fidelity="screen")
    verifier.verify(TASK, wv.load(TASK).good, fidelity="screen")
    assert physics._coarse[1] is before


def test_the_command_line_prints_the_audit_and_its_lines_can_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, file, out = wv.load(TASK), tmp_path / "plans.jsonl", tmp_path / "verdicts.jsonl"
    lines = [p.to_json() for p in (task.good, *task.bad.values()) if p is not None]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["verify", TASK, str(file), "--on", "cpu", "--fidelity", "screen", "--json", str(out)]) == 0
    assert "The screen rejected" in capsys.readouterr().out
    assert main(["replay", str(out)]) == 0
    assert "the same." in capsys.readouterr().out
