"""The demo: its bag holds what it says, and its report shows it. And the examples that judge texts and scenes."""

import html
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from worldverify.cli import main
from worldverify.demo import SCRIPTED, TEXTS

NEVER_PASS = ("clumsy", "dangerous", "cheating", "slow", "malformed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a demo."""
    made = tmp_path_factory.mktemp("demo") / "report"
    assert main(["demo", "--out", str(made)]) == 0
    return made


@pytest.fixture(scope="module")
def lines(folder: Path) -> dict[str, Any]:
    """id -> verdict line."""
    found = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    return {line["id"]: line for line in found}


def test_the_demo_judges_every_text_of_its_bag(lines: dict[str, Any]) -> None:
    assert list(lines)[: len(TEXTS)] == list(TEXTS)
    assert len(lines) == len(TEXTS) + SCRIPTED


def test_the_good_plans_in_formats_of_other_models_pass(lines: dict[str, Any]) -> None:
    good = [line for name, line in lines.items() if "/scripted/good/" in name]
    assert len(good) == SCRIPTED // 3
    assert {line["status"] for line in good} == {"PASS"}


def test_the_demo_holds_every_kind_of_plan() -> None:
    assert {name.split()[0].rstrip(":,") for name in TEXTS} == {"good", *NEVER_PASS}


@pytest.mark.parametrize("name", TEXTS)
def test_exactly_the_good_plans_of_the_demo_pass(name: str, lines: dict[str, Any]) -> None:
    assert (lines[name]["status"] == "PASS") == name.startswith("good")


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("malformed")])
def test_what_is_malformed_in_the_demo_is_the_plans_fault(name: str, lines: dict[str, Any]) -> None:
    assert (lines[name]["status"], lines[name]["cause"]) == ("INVALID", "plan")


def test_the_demo_breaks_every_kind_of_requirement_of_its_task(lines: dict[str, Any]) -> None:
    violated = {line["first_violation"]["requirement"] for line in lines.values() if line["first_violation"]}
    assert {"lifted", "gentle", "steady", "clear"} <= violated


def test_the_report_of_the_demo_shows_pictures_and_every_plan(folder: Path, lines: dict[str, Any]) -> None:
    page = (folder / "index.html").read_text()
    assert page.count("data:image/png") >= 30
    assert page.count('<article class="entry') >= len(TEXTS) - 2  # of some that are alike, one is enough
    assert all(html.escape(name) in page for name in lines)


def test_the_verdicts_of_the_demo_can_be_replayed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(folder / "verdicts.jsonl")]) == 0
    assert f"{len(TEXTS) + SCRIPTED} the same." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("example", "statuses"),
    [("verify_model_text", {"PASS", "FAIL", "INVALID"}), ("own_scene", {"PASS", "FAIL", "INVALID"})],
)
def test_an_example_shows_every_status(
    example: str, statuses: set[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(root / "examples" / f"{example}.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert all(status in out for status in statuses)
