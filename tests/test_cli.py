"""The command line: what goes in, what comes out, and how it ends."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import worldverify as wv
from worldverify import judging, usage
from worldverify.cli import main
from worldverify.outputs import Output, ready_folder
from worldverify.plansfile import read_plans
from worldverify.progress import Progress, bar
from worldverify.table import count_line, engine_lines, judges, printable, verdict_lines
from worldverify.version import VERSION

PICK = '{"skills": [{"skill": "pick", "object": "cube"}]}'
HOME = '{"skills": [{"skill": "home"}]}'


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A good plan, one that does nothing, and one that is none."""
    path = tmp_path / "plans.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in ({"id": "a", "text": PICK}, {"text": HOME}, {"text": "?"})))
    return path


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What is said of arguments that end in exit status 2."""
    assert main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


# What is judged


def test_a_plan_that_fails_is_judged_and_the_exit_status_is_zero(
    plans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "PickCube-v0", str(plans)]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["PASS", "FAIL", "INVALID"]
    assert "3 plans: 1 PASS, 1 FAIL, 1 INVALID (cause: 1 plan)." in out
    assert err == ""


def test_a_verdict_line_is_that_of_the_verdict(plans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    main(["verify", "PickCube-v0", str(plans), "--json", str(out), "--seed", "3", "--margins", "full"])
    read = read_plans(plans)
    lines, verdicts = lines_of(out.read_text()), wv.verify("PickCube-v0", read, seed=3, margins="full")
    for line, verdict in zip(lines, verdicts, strict=True):
        assert {**line, "cost": None} == {**verdict.to_json(), "cost": None}
        assert line["cost"].keys() == verdict.to_json()["cost"].keys()


def test_plans_without_an_id_are_named_after_their_line_or_file(plans: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "answer.txt", tmp_path / "out.jsonl"
    text.write_text(HOME)
    main(["verify", "PickCube-v0", str(plans), str(text), "--json", str(out)])
    assert [line["id"] for line in lines_of(out.read_text())] == ["a", "plans.jsonl:2", "plans.jsonl:3", "answer.txt"]


def test_plans_that_share_an_id_are_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "answer.txt").write_text(HOME)
    main(["verify", "PickCube-v0", *map(str, tmp_path.glob("*/answer.txt"))])
    assert "2 plans have the id answer.txt" in capsys.readouterr().err


def test_lines_are_read_from_the_standard_input(
    plans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(plans.read_bytes())))
    assert main(["verify", "PickCube-v0", "-"]) == 0
    assert "3 plans: 1 PASS" in capsys.readouterr().out


def test_verdict_lines_on_the_standard_output_stand_alone(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["verify", "PickCube-v0", str(plans), "--json", "-"])
    out, err = capsys.readouterr()
    assert [line["status"] for line in lines_of(out)] == ["PASS", "FAIL", "INVALID"]
    assert "3 plans: 1 PASS" in err


def test_a_report_is_a_page_and_the_verdict_lines(
    plans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "made" / "report", tmp_path / "out.jsonl"
    main(["verify", "PickCube-v0", str(plans), "--report", str(folder), "--json", str(out)])
    assert f"Report: {folder / 'index.html'}" in capsys.readouterr().out
    assert sorted(p.name for p in folder.iterdir()) == ["index.html", "verdicts.jsonl"]
    assert (folder / "verdicts.jsonl").read_text() == out.read_text()
    page = (folder / "index.html").read_text()
    assert page.count("data:image/png") >= 8
    assert "decided at" in page
    assert f"worldverify replay {folder / 'verdicts.jsonl'} --id=a" in page


def test_a_verdict_that_the_machinery_could_not_give_is_exit_status_one(
    plans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: Any, **options: Any) -> wv.Verdicts:
        verdicts = wv.verify(*args, **options)
        return wv.Verdicts(tuple(replace(v, status="INVALID", cause="infra") for v in verdicts))

    monkeypatch.setattr(judging, "verify", broken)
    assert main(["verify", "PickCube-v0", str(plans)]) == 1
    assert "3 INVALID (cause: 3 infra)" in capsys.readouterr().out


def test_what_real_models_wrote_gets_a_reason_that_a_person_can_use(model_outputs: Path, tmp_path: Path) -> None:
    files = sorted(str(path) for path in model_outputs.rglob("*") if path.is_file())
    out = tmp_path / "out.jsonl"
    assert main(["verify", "PickCube-v0", *files, "--json", str(out)]) == 0
    lines = lines_of(out.read_text())
    assert len(lines) >= len(files)
    for line in lines:
        assert line["status"] in ("PASS", "FAIL", "INVALID", "INCONCLUSIVE")
        assert line["status"] != "INVALID" or (line["cause"] == "plan" and line["code"])
        assert 20 < len(line["reason"]) < 1000 and line["reason"].endswith("."), line["id"]


# What is refused, before anything is simulated


def test_an_unknown_task_is_answered_with_the_nearest(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'PickCube-v0'?" in refused(capsys, "verify", "PickCub-v0", plans)


def test_a_gpu_is_refused_with_the_fix(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "use --on cpu or --on auto" in refused(capsys, "verify", "PickCube-v0", plans, "--on", "gpu")


def test_a_missing_plans_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.jsonl: No such file" in refused(capsys, "verify", "PickCube-v0", tmp_path / "nowhere.jsonl")


def test_a_folder_of_plans_is_answered_with_how_to_name_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"{tmp_path}/*.txt" in refused(capsys, "verify", "PickCube-v0", tmp_path)


def test_an_empty_plans_file_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    assert "empty.jsonl holds no plans" in refused(capsys, "verify", "PickCube-v0", empty)


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_an_output_that_cannot_be_written_is_refused_before_judging(
    option: str, plans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(judging, "verify", None)
    assert "Cannot write" in refused(capsys, "verify", "PickCube-v0", plans, option, plans / "out")


@pytest.mark.parametrize("arguments", [["--threads", "0"], ["--seed", "-1"], ["--seed", "1.5"], ["--margins", "some"]])
def test_an_option_out_of_range_is_refused(
    arguments: list[str], plans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"argument {arguments[0]}" in refused(capsys, "verify", "PickCube-v0", plans, *arguments)


def test_no_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "COMMAND" in refused(capsys)


def test_an_opengl_that_mujoco_cannot_load_is_named(
    plans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    monkeypatch.setenv("MUJOCO_GL", "egl")
    said = refused(capsys, "verify", "PickCube-v0", plans)
    assert "cannot be imported while MUJOCO_GL=egl" in said
    assert "Unset MUJOCO_GL" in said


def test_a_missing_mujoco_is_answered_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    assert "pip install 'mujoco" in (usage.import_fault() or "")


# How it ends


def test_an_interrupted_run_leaves_the_files_as_they_were(
    plans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: Any, **options: Any) -> wv.Verdicts:
        raise KeyboardInterrupt

    out = tmp_path / "out.jsonl"
    out.write_text("earlier results")
    monkeypatch.setattr(judging, "verify", interrupted)
    assert main(["verify", "PickCube-v0", str(plans), "--json", str(out)]) == 130
    assert capsys.readouterr() == ("", "worldverify: interrupted.\n")
    assert out.read_text() == "earlier results"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "plans.jsonl"]


def test_verdicts_that_cannot_be_saved_are_printed(
    plans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(output: Output, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Output, "write", full)
    assert main(["verify", "PickCube-v0", str(plans), "--json", str(tmp_path / "out.jsonl")]) == 2
    out, err = capsys.readouterr()
    assert [line["status"] for line in lines_of("\n".join(out.splitlines()[:3]))] == ["PASS", "FAIL", "INVALID"]
    assert "No space left on device. The verdict lines follow." in err


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "worldverify", "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None and command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 141


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"worldverify {VERSION}\n"


def test_every_task_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line and line[0] != " "] == list(wv.tasks())


def test_a_task_is_shown_with_its_prompt_and_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "PickCube-v0", "--seed", "4"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    task = wv.load("PickCube-v0")
    assert " ".join(task.card(4).split()) in words
    assert " ".join(str(task.spec).split()) in words


# Terminal, pipe, files


def verdicts_with(reason: str, id: str = "x") -> wv.Verdicts:
    (verdict,) = wv.verify("PickCube-v0", ["?"])
    return wv.Verdicts((replace(verdict, reason=reason, id=id), replace(verdict, id=None)))


@pytest.mark.parametrize("width", [50, 80, 200])
def test_a_line_on_a_terminal_fits_its_width(width: int) -> None:
    assert all(len(line) <= width for line in verdict_lines(verdicts_with("word " * 100, "name" * 50), width=width))


def test_a_line_in_a_pipe_has_the_whole_reason() -> None:
    assert verdict_lines(verdicts_with("word " * 100))[0].endswith("word " * 100)


def test_what_a_model_wrote_cannot_drive_the_terminal() -> None:
    line = verdict_lines(verdicts_with("red \x1b[31m\r\n\u202e\ud800", "\x07"))[0]
    assert printable(line) == line
    assert "\\x1b[31m\\r\\n\\u202e\\ud800" in line


def test_one_plan_is_counted_as_one() -> None:
    assert count_line(verdicts_with("")[:1]) == "1 plan: 1 INVALID (cause: 1 plan)."


class Screen(io.StringIO):
    """A terminal that remembers everything that was written to it."""

    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_on_a_terminal_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldverify.progress.REDRAW_S", 0.0)
    screen = Screen()
    with Progress("Judging", screen) as progress:
        progress(1, 2)
    line = screen.getvalue().split("\r")[1]
    assert line.startswith("Judging [###############...............]  50%")
    assert screen.getvalue().endswith(f"\r{' ' * len(line)}\r")


def test_progress_in_a_pipe_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldverify.progress.REDRAW_S", 0.0)
    pipe = io.StringIO()
    with Progress("Judging", pipe) as progress:
        progress(1, 2)
    assert pipe.getvalue() == ""


def test_a_bar_never_shows_more_than_all() -> None:
    assert "] 100%  0 s left" in bar("x", 1.7, 3.0)
    assert "]  50%  100.0 plans/s  2 s left" in bar("x", 0.5, 2.0, plans=400)


def test_a_bar_shows_what_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "]  50%  100.0 plans/s  75% saved  2 s left" in bar("x", 0.5, 2.0, plans=400, saved=0.75)
    monkeypatch.setattr("worldverify.progress.REDRAW_S", 0.0)
    screen = Screen()
    task = wv.load("ReachSafe-v0")
    with Progress("Judging", screen) as progress:
        found = wv.verify(task, [task.good, task.good], on="cpu", watch=progress)
    last = screen.getvalue().split("\r")[-3]
    assert "] 100%" in last and f"  {found[1].cost.steps_saved / (2 * task.samples):.0%} saved" in last


def test_an_output_appears_when_it_is_written_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with Output(path) as output:
        assert not path.exists()
        output.write("text")
        assert path.read_text() == "text"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_through_a_link_leaves_the_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with Output(tmp_path / "link") as output:
        output.write("text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_an_output_to_a_device_is_written_to_the_device() -> None:
    with Output(os.devnull) as output:
        output.write("text")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("make", [Output, ready_folder])
def test_a_place_below_a_file_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        make(tmp_path / "file" / "out")


def test_what_looks_strange_is_told_once_with_whose_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "still.jsonl"
    line = {"format": "libero-osc_pose-1.4", "rate_hz": 20, "actions": [[0, 0, -0.4, 0, 0, 0, -1]] * 8}
    file.write_text("".join(json.dumps({"id": name, **line}) + "\n" for name in "ab"))
    assert main(["verify", "PickCube-v0", str(file)]) == 0
    assert capsys.readouterr().out.count("Warning (2 plans): The gripper does the same, -1, in all 8 actions.") == 1


def test_an_appended_script_repeats_no_id(tmp_path: Path) -> None:
    file = tmp_path / "scripted.jsonl"
    for more in ((), ("--append",)):
        assert main(["propose", "PickCube-v0", "--scripted", "-n", "4", "--json", str(file), *more]) == 0
    names = [line["id"] for line in lines_of(file.read_text())]
    assert [int(name.rpartition("/")[2]) for name in names] == list(range(8))


def test_angles_in_degrees_are_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "degrees.txt"
    file.write_text(json.dumps({"actions": [[0, -30, 0, -120, 0, 90, 45, 1]] * 8}))
    main(["verify", "PickCube-v0", str(file)])
    assert "Are the angles in degrees?" in capsys.readouterr().out


def test_a_report_names_every_engine_that_judged_and_what_its_curves_come_from() -> None:
    verdicts = wv.verify("PickCube-v0", [PICK, HOME, "?"])
    assert engine_lines(verdicts) == []
    assert judging._judged_by(verdicts) == {"judged by": verdicts[0].engine}
    there = {"engine": "mjx", "impl": "warp", "device": "gpu", "dtype": "float32"}
    mixed = wv.Verdicts([replace(verdicts[0], engine=verdicts[0].engine | there), *list(verdicts)[1:]])
    assert judges(mixed) == "1 by mjx-warp (float32, gpu), 1 by mujoco (float64, cpu)"
    facts = judging._judged_by(mixed)
    assert facts["judged"] == judges(mixed) and "mujoco" in str(facts["curves and pictures"])
