"""Verdicts say what the formulas of mechanics say, and what the success flags of another project's tasks say."""

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from worldverify.analytic import cases, colliding, flight, swinging
from worldverify.analytic.case import Case, holds, judged

CASES = {case.name: case for case in cases()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_verdict_and_its_margin_are_those_of_the_formula(case: Case) -> None:
    found = judged(case)
    assert (found.inside, found.outside) == ("PASS", "FAIL"), found
    assert abs(found.measured - case.value) <= case.allowance, found


@pytest.mark.parametrize("off", [-2.5, 2.5])
@pytest.mark.parametrize("name", ["height of a throw", "time of a fall", "force under a resting ball"])
def test_a_formula_that_is_off_by_more_than_its_allowance_is_refuted(name: str, off: float) -> None:
    case = CASES[name]
    wrong = replace(case, value=case.value + off * case.allowance)
    found = judged(wrong)
    assert found.inside == "FAIL"
    assert not holds(wrong, found)


def test_allowances_are_small() -> None:
    assert all(case.allowance < 0.04 * abs(case.value) for case in CASES.values())


def test_what_the_steps_cost_a_throw_halves_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = []
    for step in (flight.H, flight.H / 2):
        monkeypatch.setattr(flight, "H", step)
        case = flight.cases()[0]
        errors.append(judged(case).measured - case.value)
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.02)


def test_a_pendulum_that_starts_level_takes_the_time_that_elliptic_integrals_give() -> None:
    assert 1 / swinging.mean(1.0, math.cos(math.pi / 4)) == pytest.approx(1.18034059902, rel=1e-10)


@pytest.mark.parametrize("bounce", [0.3, 0.5, 0.9])
def test_a_damped_contact_parts_at_the_share_that_was_asked_for(bounce: float) -> None:
    """By small steps of x'' = -x - 2 z x' until the contact would pull."""
    z, x, v, h = colliding.damping_ratio(bounce), 0.0, 1.0, 1e-4
    while (pull := -x - 2 * z * v) < 0 or v > 0:
        v += pull * h
        x += v * h
    assert -v == pytest.approx(bounce, abs=2e-3)


def test_the_page_on_validity_says_what_the_files_say(root: Path) -> None:
    page = (root / "docs" / "validity.md").read_text()
    analytic = json.loads((root / "docs" / "benchmarks" / "analytic.json").read_text())
    assert [row["case"] for row in analytic["cases"]] == list(CASES)
    for row in analytic["cases"]:
        assert f"| {row['case']} | {row['formula']} | {row['value']:.6g} {row['unit']} |" in page
        assert CASES[row["case"]].allowance == pytest.approx(row["allowance"])
    fetch = json.loads((root / "docs" / "benchmarks" / "fetch-1000.json").read_text())
    for name, row in fetch["tasks"].items():
        assert f"| `{name}` | {row['rollouts']} | {row['successes']} | {row['believed']} | {row['final']} |" in page
        assert row["equal_bits"] == row["rollouts"]
    assert sum(row["final"] for row in fetch["tasks"].values()) >= 990
    for one in fetch["differences"]:
        assert f"| `{one['task']}` | {one['seed']} | `{one['rule']}` |" in page


@pytest.mark.skipif(importlib.util.find_spec("gymnasium_robotics") is None, reason="pip install 'worldverify[peers]'")
def test_fetch_rollouts_are_judged_as_their_own_flags_say(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, root / "examples" / "fetch_agreement.py", "--count", "8", "--json", tmp_path / "found"]
    subprocess.run(command, check=True, capture_output=True)
    for row in json.loads((tmp_path / "found").read_text())["tasks"].values():
        assert row["equal_bits"] == row["final"] == row["believed"] == 2
        assert row["frames_alike"] == row["frames"]
