"""The command cost: what it measures, what it writes, and one sentence for whatever does not fit together."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from worldverify.billing import accounting, overlay, seeds
from worldverify.billing.prices import load_prices
from worldverify.billing.table import GUESS, WIDEST, figure, ladder_answers, part_lines, seconds
from worldverify.cli import main
from worldverify.testing import toy_task

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "docs" / "benchmarks" / "cost-2core.json"
TOY = "from worldverify.testing import toy_task\n\ntask = toy_task\n"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "toy.py").write_text(TOY)
    good = toy_task().good
    assert good is not None
    (tmp_path / "own.jsonl").write_text(json.dumps(good.to_json() | {"id": "a"}) + '\n{"id": "b", "text": "no"}\n')
    (tmp_path / "words.jsonl").write_text('{"text": "first lift the cube"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "other.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return "toy.py:task"


def test_a_run_says_and_keeps_what_it_measured(toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--only", "ladder,accounting,ratio", "--json", "out.json", "--plot", "out.svg", "--plot-ratio", "r.svg"]
    assert main(["cost", toy, "--plans", "own.jsonl", *options]) == 0
    said = capsys.readouterr().out
    assert "Toy: 2 candidates, 2 of them distinct, by the writer of your file." in said
    assert "No GPU was measured" in said or "no GPU" not in said
    report = json.loads(Path("out.json").read_text())
    assert list(report)[-4:] == ["ladder", "ratio", "accounting", "took_s"]
    assert report["versions"]["mujoco"] and report["command"].startswith("worldverify")
    assert [row["accepted"] for row in report["ladder"]][-3:] == [1, 1, 1]
    assert all(entry in report["prices"]["vcpu_hour"] for entry in ("value", "source", "date", "estimated"))
    assert {row["verifier"]["name"] for row in report["ratio"]} == {"no rule", "all rules"}
    for picture in ("out.svg", "r.svg"):
        ElementTree.parse(picture)
    assert main(["cost", "--from", "out.json", "--page", "page.md", "--plot", "again.svg"]) == 0
    assert Path("again.svg").read_text() == Path("out.svg").read_text()
    page = Path("page.md").read_text()
    assert "](again.svg)" in page and "## A million plans" not in page
    assert capsys.readouterr().out.splitlines()[-1] == said.splitlines()[-1]


def test_machines_are_advised_that_were_measured_and_can_be_copied_over(
    toy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("worldverify.billing.fleet.LEAST_S", 0.01)
    options = ["--only", "accounting", "--candidates", "3", "--plans-per-s", "50"]
    assert main(["cost", toy, *options, "--record", "here.json"]) == 0
    there = json.loads(Path("here.json").read_text()) | {"name": "another machine"}
    Path("there.json").write_text(json.dumps(there))
    assert main(["cost", toy, *options, "--fleet", "there.json", "--json", "out.json"]) == 0
    assert "another machine" in capsys.readouterr().out
    advice = json.loads(Path("out.json").read_text())["advice"]
    assert advice["plans_per_s"] == 50 and len(advice["choices"]) == 2 and "H100" in advice["not_measured"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["NoSuch-v0"], "No task 'NoSuch-v0'"),
        (["TASK", "--only", "lader"], "--only cannot name 'lader'. Did you mean 'ladder'?"),
        (["TASK", "--only", ","], "--only names nothing. It can name: ladder, overlay, seeds, ratio, accounting."),
        (["TASK", "--only", "overlay", "--full"], "--full is about the ladder: add ladder to --only"),
        (["TASK", "--only", "overlay", "--plot", "x.svg"], "--plot draws the ladder, which is left out here"),
        (["TASK", "--only", "ladder", "--plot-ratio", "x.svg"], "--plot-ratio draws the ratio, which is left out here"),
        (["TASK", "--plans", "own.jsonl", "--candidates", "3"], "give one of them"),
        (["TASK", "--plans", "none.jsonl"], "Cannot read none.jsonl"),
        (["TASK", "--plans", "empty.jsonl"], "empty.jsonl holds no plans"),
        (["TASK", "--plans", "words.jsonl", "--only", "overlay"], "None of the candidates of Toy can be simulated"),
        (["TASK", "--prices", "none.toml"], "The price file none.toml cannot be read"),
        (["TASK", "--generator", "vlm-7b-h10"], "Did you mean 'vlm-7b-h100'?"),
        (["TASK", "--generators", "none.toml"], "The file of generators none.toml cannot be read"),
        (["TASK", "--generator", "pi0", "--plans-per-s", "3"], "give one of them"),
        (["TASK", "--generator-url", "http://localhost:1"], "add --generator NAME"),
        (["TASK", "--model", "x"], "add --generator-url URL"),
        (["TASK", "--fleet", "other.json"], "--fleet is for choosing machines"),
        (["TASK", "--batch", "8"], "--batch is for choosing machines"),
        (["TASK", "--plans-per-s", "3", "--fleet", "other.json"], "other.json is not a recorded machine"),
        (["TASK", "--json", "no/such/folder.json"], "Cannot write no/such/folder.json"),
        (["TASK", "--bench", "other.json"], "--bench is for the page: add --page FILE.md."),
        (["TASK", "--page", "x.md", "--bench", "other.json"], "other.json is no report of worldverify bench"),
        (["--from", "other.json"], "other.json is no report of worldverify cost"),
        (["--from", "words.jsonl", "--only", "ladder"], "--from measures nothing: leave --only out."),
        (["TASK", "--from", "other.json"], "--from measures nothing: leave TASK out."),
        (["--from", "empty.jsonl"], "empty.jsonl is no JSON"),
        (["--from", "none.json"], "Cannot read none.json"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    words: list[str], said: str, toy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", *(toy if word == "TASK" else word for word in words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("worldverify: ") and said in line
    assert not list(Path().glob("*.svg"))


def test_an_option_that_is_no_number_is_refused(toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", toy, "--plans-per-s", "nan"]) == 2
    assert "a number from 0.001 on is needed" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["cost", "--plot"], ["cost", "--plot-ratio"], ["bench", "--plot"]])
def test_a_drawing_under_another_name_than_svg_is_refused(
    words: list[str], toy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([words[0], toy, words[1], "ladder.png"]) == 2
    assert "a name that ends in .svg is needed, not 'ladder.png'" in capsys.readouterr().err
    assert not Path("ladder.png").exists()


def test_the_layers_do_the_same_plans(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "LEAST_S", 0.0)
    calls: list[int] = []
    monkeypatch.setattr(overlay, "_commanded", lambda named, lines: calls.append(len(lines)))
    lines = [json.loads(line) for line in Path("own.jsonl").read_text().splitlines()]
    rows = overlay.overlay(toy_task(), toy, lines * 3, load_prices())
    assert [row["plans"] for row in rows] == [3] * 5 and calls == [3, 1, 1, 1]
    assert [row["of_bare"] for row in rows] == [
        pytest.approx(row["plans_per_s"] / rows[0]["plans_per_s"]) for row in rows
    ]


def test_a_million_plans_are_what_one_takes_a_million_times(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = toy_task()
    assert toy.good is not None
    cold = {"plans": 4, "wall_s": 0.9, "cpu_s": 0.72, "joules": 2.88, "money": 1e-6, "estimated": ["joules"]}
    jobs, warm, scheduled = seeds.seeds(toy, [toy.good.to_json()] * 5, cold, load_prices(), cores=2)
    assert jobs["core_hours"] == pytest.approx(200) and jobs["hours_here"] == pytest.approx(125)
    assert jobs["cores_for_six_hours"] == pytest.approx(125 * 2 / 6)
    assert jobs["kwh"] == pytest.approx(0.8) and jobs["money_in_all"] == pytest.approx(1.0)
    assert jobs["extrapolated"] == 250_000 and warm["measured_on"] == scheduled["measured_on"] == 5


def test_the_accounting_is_told_as_a_share_of_the_call() -> None:
    toy = toy_task()
    assert toy.good is not None
    rows = accounting.accounting(toy, [toy.good.to_json()] * 3, load_prices())
    assert [row["plans"] for row in rows] == [1, 3]
    assert all(row["share"] == pytest.approx(row["cpu_s"] / row["call_cpu_s"]) for row in rows)


@pytest.mark.parametrize(
    ("value", "said"), [(3.2e-7, "320 ns"), (4.5e-5, "45 us"), (0.0123, "12.3 ms"), (61.24, "61.2 s")]
)
def test_a_time_has_a_unit_that_suits_it(value: float, said: str) -> None:
    assert seconds(value) == said


def test_figures_have_three_digits_and_all_before_the_point() -> None:
    assert [figure(x) for x in (None, 0.01234, 99.96, 1234.5)] == ["-", "0.0123", "100", "1,234"]


def recorded() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(RECORDED.read_text())
    return report


@pytest.mark.parametrize("part", ["ladder", "overlay", "seeds", "ratio", "accounting", "advice"])
def test_every_line_fits_the_terminal(part: str) -> None:
    assert all(len(line) <= WIDEST for line in part_lines(part, recorded()))


def test_what_was_estimated_is_marked_in_the_table_and_named_in_the_file() -> None:
    for row in recorded()["ladder"]:
        told = "\n".join(part_lines("ladder", recorded() | {"ladder": [row]}))
        assert (f" {GUESS}" in told) == bool(row["estimated"])


def test_a_ladder_without_a_reference_says_so() -> None:
    report = recorded()
    report["ladder"] = [row | {"reference": False, "false_accept_share": None} for row in report["ladder"]]
    assert "there is no certified physics" in " ".join(part_lines("ladder", report))
    assert all(row[2] == "-" for row in ladder_answers(report["ladder"])[1:])
