"""The benchmark: its clocks, what it compares, what it says of what it left out, and what it draws."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
from mujoco import batch

import worldverify as wv
from worldverify.bench import command, facts, starts, suite, sweep, table
from worldverify.bench.agreement import agreement
from worldverify.bench.clocks import in_turn, ratios, spread
from worldverify.bench.contestants import contestants
from worldverify.bench.plot import plot
from worldverify.bench.sweep import Wanted, crossover, measure_task, summary
from worldverify.bench.table import WIDEST, heading, task_lines
from worldverify.cli import main
from worldverify.engines.device import Gpu
from worldverify.testing import toy_task
from worldverify.usage import UsageError
from worldverify.variations import controls

NO_GPU = Gpu(False, None, None, "There is none.")


def row(engine: str, batch: int, rate: float, **more: Any) -> dict[str, Any]:
    device, cpus = ("cpu", 16) if engine == "mujoco" else ("gpu", None)
    one = {"name": engine, "engine": engine, "device": device, "cpus": cpus, "checked": True, "crowd": "varied"}
    one |= {"batch": batch, "plans_per_s": spread([rate]), "steps_per_s": spread([1e3 * rate])}
    return one | {"wall_s": spread([batch / rate]), "steps": 1000 * batch} | more


@pytest.fixture(scope="module")
def toy() -> wv.Task:
    return toy_task()


@pytest.fixture(scope="module")
def toy_result(toy: wv.Task) -> dict[str, Any]:
    """The toy task on MuJoCo C, measured for real."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "QUICK_S", 0.0)
        return measure_task(toy, Wanted(engines=("mujoco",), batches=(1, 60), repeats=1), seconds=30)


@pytest.fixture(scope="module")
def report(toy_result: dict[str, Any]) -> dict[str, Any]:
    return {"schema": 1, "machine": facts.machine(), "tasks": [toy_result], "skipped": []}


def made_up(machine: dict[str, Any], toy_result: dict[str, Any], **agreed: int) -> dict[str, Any]:
    """A report of a GPU that wins from 64 plans on."""
    said = {"plans": 512, "same": 512, "false_pass": 0, "false_fail": 0, "judged_again": 0.01} | agreed
    rows = [row("mujoco", b, 100.0) for b in (8, 512)]
    rows += [row("mjx-warp", b, 100.0 * b / 64, agreement=said) for b in (8, 512)]
    one = toy_result | {"rows_measured": rows, "starts": [], "summary": summary(rows, [], {"cpu": 2.0, "gpu": 4.0})}
    return {"schema": 1, "machine": machine, "tasks": [one], "skipped": []}


def test_runs_are_taken_in_turn_forwards_and_backwards() -> None:
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in "AB"}
    walls = in_turn(runs, {"A": 3, "B": 1}, until=time.perf_counter() + 60)
    assert "".join(order) == "ABBA" + "AA" + "AA"
    assert [len(walls[name]) for name in "AB"] == [6, 2]


def test_no_round_begins_that_would_end_too_late_and_the_first_is_always_made() -> None:
    walls = in_turn({"A": lambda: None}, {"A": 5}, until=time.perf_counter() - 1)
    assert len(walls["A"]) == 2


def test_a_ratio_is_taken_within_a_round() -> None:
    assert ratios([1.0, 1.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0, 9.0, 9.0]) == [2.0, 1.0]


def test_curves_cross_where_their_straight_lines_do() -> None:
    flat = [row("mujoco", b, 100.0) for b in (1, 1024)]
    rising = [row("mjx-warp", b, float(b)) for b in (1, 10, 1000)]
    assert crossover(flat, rising) == pytest.approx(100.0)
    assert crossover(flat, rising[:2]) is None
    assert crossover(flat, [row("mjx-warp", 8, 200.0)]) == pytest.approx(8.0)


def test_a_lead_that_is_lost_again_is_no_crossover() -> None:
    flat = [row("mujoco", b, 100.0) for b in (1, 1000)]
    assert crossover(flat, [row("mjx-warp", b, r) for b, r in ((1, 200.0), (1000, 50.0))]) is None


def test_a_late_start_is_paid_back_at_the_difference_of_the_rates() -> None:
    rows = [row("mujoco", 64, 100.0), row("mjx-warp", 64, 200.0)]
    begun = [
        {"engine": "mujoco", "device": "cpu", "cold_cache_s": spread([1.0]), "warm_cache_s": spread([1.0])},
        {"engine": "mjx-warp", "device": "gpu", "cold_cache_s": spread([61.0]), "warm_cache_s": spread([6.0])},
    ]
    found = summary(rows, begun, {"cpu": 2.0, "gpu": 4.0})[1]
    assert found["break_even_plans_warm_cache"] == pytest.approx(5.0 / (1 / 100 - 1 / 200))
    assert found["break_even_plans_cold_cache"] == pytest.approx(60.0 / (1 / 100 - 1 / 200))
    assert found["plans_per_dollar"] == pytest.approx(200.0 * 3600 / 4.0)


def test_false_verdicts_and_second_opinions_are_counted(toy: wv.Task) -> None:
    good = wv.verify(toy, [toy.good, toy.bad["slow"], toy.good])
    found = agreement(good, ["FAIL", "PASS", "PASS"], "mjx")
    assert found == {"plans": 3, "same": 1, "false_pass": 1, "false_fail": 1, "judged_again": 1.0}
    assert agreement(good, ["PASS", "FAIL", "PASS"], "mujoco") == {
        "plans": 3,
        "same": 3,
        "false_pass": 0,
        "false_fail": 0,
        "judged_again": 0.0,
    }
    assert agreement(good, [], "mjx") is None


def test_ours_and_the_raw_calls_of_mujoco_are_all_measured(toy_result: dict[str, Any]) -> None:
    names = {(r["name"], r["batch"]) for r in toy_result["rows_measured"] if r["crowd"] == "varied"}
    assert {("mujoco", 1), ("mujoco", 60), ("raw mujoco.batch", 60), ("raw mujoco.rollout", 60)} <= names
    assert "raw mj_step" in {name for name, _ in names}
    assert toy_result["skipped"] == []


def test_a_row_says_how_many_plans_were_malformed(toy_result: dict[str, Any]) -> None:
    whole = next(r for r in toy_result["rows_measured"] if r["name"] == "mujoco" and r["batch"] == 60)
    assert whole["statuses"]["INVALID"] == 1
    assert sum(whole["statuses"].values()) == 60
    assert whole["steps"] == 59 * toy_task().samples


def test_ratios_are_to_the_reference_and_to_the_raw_engine(toy_result: dict[str, Any]) -> None:
    rows = [r for r in toy_result["rows_measured"] if r["checked"]]
    assert all(r["of_mujoco"]["p50"] > 0 and r["wall_s"]["n"] >= 2 for r in rows)
    assert all("of_raw" in r for r in rows if r["crowd"] == "varied")


def test_what_does_not_fit_the_time_is_left_out_and_said(toy: wv.Task) -> None:
    found = measure_task(toy, Wanted(engines=("mujoco",), batches=(1, 32768), repeats=1), seconds=1.5)
    assert 32768 not in {r["batch"] for r in found["rows_measured"]}
    assert any("32768 plans" in sentence and "mujoco" in sentence for sentence in found["skipped"])


def test_the_raw_scene_moves_as_the_judged_one(toy: wv.Task) -> None:
    held = np.repeat(controls(toy, 8), toy.substeps, axis=1)
    ends = []
    for model in (toy.scene.model, facts.raw_model(toy)):
        lanes = batch.Batch(model, 8, 1)
        lanes.state[:] = toy.start(0)
        lanes.rollout(toy.samples, held, mujoco.mjtState.mjSTATE_CTRL)
        ends.append(lanes.state.copy())
    assert np.array_equal(*ends)


def test_a_report_is_json_and_names_no_machine_and_no_folder(report: dict[str, Any]) -> None:
    text = json.dumps(report, allow_nan=False)
    assert str(Path.cwd()) not in text
    assert str(Path.home()) + "/" not in text
    assert {"cpu", "usable_cpus", "gpu", "versions"} <= report["machine"].keys()


def test_the_table_fits_a_terminal_and_shows_a_false_pass(report: dict[str, Any], toy_result: dict[str, Any]) -> None:
    bad = made_up(report["machine"], toy_result, same=511, false_pass=1)
    for one in (report["tasks"][0], bad["tasks"][0]):
        lines = task_lines(one)
        assert max(map(len, lines)) <= WIDEST
    assert any("1 FALSE PASS, 0 false FAIL" in line for line in lines)
    most = row("mjx-warp", 32768, 4e4, of_mujoco=spread([39.6]), of_raw=spread([0.88]))
    most["agreement"] = {"plans": 32768, "same": 32768, "false_pass": 0, "false_fail": 0, "judged_again": 0.01}
    (line,) = table._row(most)
    assert line.endswith("39.60   0.88 32768/32768    1%") and len(line) <= WIDEST
    assert command.differs(bad)
    assert not command.differs(report)


def test_a_machine_without_a_gpu_is_told_so_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "find_gpu", lambda: NO_GPU)
    machine = facts.machine()
    assert machine["gpu"] is None
    assert any("not measured on a GPU" in line.replace("Nothing here was", "not") for line in heading(machine))


def test_the_plot_is_an_svg_with_a_line_an_engine_and_the_crossing(
    report: dict[str, Any], toy_result: dict[str, Any]
) -> None:
    mine = made_up(report["machine"] | {"gpu": "a GPU"}, toy_result)
    alone, both = plot(mine), plot(mine, report)
    assert ElementTree.fromstring(alone).tag.endswith("svg")
    assert "wins from 64" in alone
    assert "stroke-dasharray" not in alone
    assert "stroke-dasharray" in both
    assert ElementTree.fromstring(plot({"tasks": [], "machine": report["machine"]})).tag.endswith("svg")


def test_a_task_that_does_not_exist_yet_is_left_out_and_said() -> None:
    told: list[str] = []
    found = command.measure(["NoTask-v0"], Wanted(), seconds=1, tell=told.append)
    assert found["tasks"] == []
    assert found["skipped"] == ["NoTask-v0: not measured. There is no such task in this version."]
    assert found["skipped"][0] in told


def test_an_unknown_engine_is_refused_with_those_that_exist() -> None:
    with pytest.raises(Exception, match="mujoco, mjx-warp, mjx-jax"):
        command._engines("mujoco,physx")
    with pytest.raises(Exception, match="No engine ''"):
        command._engines("")


def test_a_cold_clock_of_what_is_not_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "PickCube-v0", "--cold", "ReachSafe-v0"]) == 2
    assert "--cold names ReachSafe-v0, which is not measured. It can name: PickCube-v0" in capsys.readouterr().err


def test_the_benchmark_of_the_scheduler_is_a_command_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "schedule", "--mix", "lmm"]) == 2
    assert "No mix 'lmm'. Did you mean 'llm'?" in capsys.readouterr().err
    assert main(["bench", "schedules"]) == 2
    assert "No task 'schedules'." in capsys.readouterr().err


def test_the_words_beside_crossings_stand_in_rows_of_their_own(
    report: dict[str, Any], toy_result: dict[str, Any]
) -> None:
    mine = made_up(report["machine"] | {"gpu": "a GPU"}, toy_result)
    rows = mine["tasks"][0]["rows_measured"]
    rows += [r | {"engine": "mjx-jax", "name": "mjx-jax"} for r in rows if r["engine"] == "mjx-warp"]
    words = [e for e in ElementTree.fromstring(plot(mine)).iter() if (e.text or "").startswith("wins from")]
    assert len({word.get("y") for word in words}) == len(words) == 2


def test_the_suite_makes_no_folder_named_as_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        suite.main(["--help"])
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_recorded_run_is_refused(tmp_path: Path) -> None:
    for text in ("[1]", "{", '{"schema": 1}', '{"schema": 1, "tasks": [{}]}', '{"schema": 1, "tasks": 3}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(UsageError, match="no recorded run"):
            command.recorded(str(tmp_path / "x.json"))
    with pytest.raises(UsageError, match="Cannot read"):
        command.recorded(str(tmp_path / "y.json"))


def test_an_engine_that_cannot_run_here_is_left_out_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("Install it.")

    monkeypatch.setattr("worldverify.bench.contestants.backend_of", refuse)
    found, missing = contestants(("mujoco", "mjx-warp"))
    assert {c.engine for c in found} == {"mujoco"}
    assert missing == ["mjx-warp: not measured. Install it."]


def test_a_new_process_is_timed_to_its_first_verdict_and_its_memory_measured() -> None:
    found = starts.one_start("PickCube-v0", "mujoco", "cpu", 16, dict(os.environ), limit=60)
    assert isinstance(found, dict)
    assert found["status"] == "PASS"
    assert 0 < found["imports_s"] < found["wall_s"]
    assert found["bytes_per_lane"] >= 0


def test_a_process_that_does_not_answer_in_time_is_stopped_and_said() -> None:
    found = starts.one_start("PickCube-v0", "mujoco", "cpu", 0, dict(os.environ), limit=0.01)
    assert isinstance(found, str)
    assert found.endswith(".")


def test_the_suite_keeps_what_a_command_prints_and_how_it_ended(tmp_path: Path) -> None:
    well = suite._run(tmp_path, "version", ["--version"], 60)
    badly = suite._run(tmp_path, "usage", ["no-such-command"], 60)
    late = suite._run(tmp_path, "late", ["--version"], 0.0)
    assert (well.status, badly.status, late.status) == (0, 2, None)
    assert wv.__version__ in (tmp_path / "version.txt").read_text()
    assert "stopped" in late.ended


def test_the_benchmark_imports_no_engine_before_it_runs_one() -> None:
    code = (
        "import sys, worldverify.bench.suite, worldverify.bench.table, worldverify.bench.plot\n"
        "from worldverify.bench.contestants import contestants\n"
        "print(sorted({'jax', 'warp', 'mujoco.mjx', 'mujoco_warp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
