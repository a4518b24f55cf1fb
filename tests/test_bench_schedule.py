"""The benchmark of the scheduler: its candidates are what it says, its bound is right, a changed verdict is seen."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.bench import schedule_comparison, schedule_plot
from worldverify.bench.schedule_baselines import Bare, compiled
from worldverify.bench.schedule_command import add_bench_schedule, run_bench_schedule
from worldverify.bench.schedule_comparison import ALL, BARE, ENGINEER, EXHAUSTIVE, WAYS, compare, identical
from worldverify.bench.schedule_mixes import MIXES, Candidates, Mix, candidates, mix_of
from worldverify.bench.schedule_outputs import output_line, output_rates, samples_of
from worldverify.bench.schedule_rates import Tally, least_substeps, nearest
from worldverify.bench.schedule_table import latency_line, mix_lines, projection_line
from worldverify.bench.table import WIDEST
from worldverify.compile import Compiled
from worldverify.contracts import ctrl
from worldverify.judge import Finding
from worldverify.plan import admit
from worldverify.schedule import Schedule
from worldverify.testing import toy_task
from worldverify.usage import UsageError
from worldverify.verdict import Verdicts

# Of a share over the candidates of few starts: a start has 64 of them, which are whole.
TOLERANCE = 0.06
# Of a quantile of the times of failure: a lurch is felt some control periods later, and few plans fail.
LATE = 0.15
PLAIN = Schedule.exhaustive()


def drawn(name: str, starts: int = 1, each: int = 64) -> tuple[Candidates, Verdicts]:
    some = candidates(MIXES[name], 0, starts, each=each)
    return some, wv.verify(some.task, some.lines, state=some.states, schedule=PLAIN)


def tallied(some: Candidates, verdicts: Verdicts) -> Tally:
    tally = Tally()
    tally.add(some.task, some.states, compiled(some.task, some.lines, some.states), verdicts)
    return tally


@pytest.fixture(scope="module")
def llm() -> tuple[Candidates, Verdicts]:
    return drawn("llm", starts=2)


@pytest.fixture(scope="module")
def toy() -> wv.Task:
    return toy_task()


@pytest.fixture(scope="module")
def few(toy: wv.Task) -> Candidates:
    """Plans of the toy: twice the good one, a bad one, and one that is none."""
    lines = [toy.good, toy.bad["slow"], toy.good, "no plan"]
    return Candidates(toy, lines, np.tile(toy.start(0), (len(lines), 1)), 1)


def check_rates(name: str, some: Candidates, verdicts: Verdicts) -> None:
    rates, mix = tallied(some, verdicts).rates(), MIXES[name]
    for share in ("passing", "malformed", "equal", "shared"):
        assert rates[share] == pytest.approx(getattr(mix, share), abs=TOLERANCE), (name, share)
    assert rates["failing"] == pytest.approx(1 - mix.passing - mix.malformed, abs=TOLERANCE)


def test_the_texts_of_a_language_model_come_to_what_is_asked(llm: tuple[Candidates, Verdicts]) -> None:
    check_rates("llm", *llm)


def test_texts_fail_in_four_ways_equally_often(llm: tuple[Candidates, Verdicts]) -> None:
    broken = Counter(v.first_violation.requirement for v in llm[1] if v.first_violation is not None)
    # Another object is gripped, the right one is not lifted, the arm hits the table, the object falls.
    assert set(broken) == {"apart", "lifted", "clear", "steady"}
    assert max(broken.values()) - min(broken.values()) <= 2


def test_the_chunks_of_a_policy_fail_at_any_time_and_share_nothing() -> None:
    some, verdicts = drawn("vla")
    check_rates("vla", some, verdicts)
    at = tallied(some, verdicts).rates()["failed_at"]
    assert all(at[q] == pytest.approx(float(q), abs=LATE) for q in at)


def test_nothing_of_the_hard_mix_can_be_saved() -> None:
    some, verdicts = drawn("hard", each=24)
    check_rates("hard", some, verdicts)
    tally = tallied(some, verdicts)
    assert tally.bound == 1.0
    held = some.task.scene.data(some.states[0])
    mujoco.mj_kinematics(some.task.scene.model, held)
    assert held.body("cube").xpos[2] > 0.08  # m: in the air, and nothing else is free


def test_a_plan_in_clutter_touches_at_most_two_of_the_twelve_others() -> None:
    some = candidates(MIXES["clutter"], 0, 1, each=6)
    model, substeps = some.task.scene.model, some.task.substeps
    arm, others = bodies_under(model, "left_finger"), {model.body(name).id for name in others_of(some.task)}
    assert len(others) == 12
    for state, one in zip(some.states, compiled(some.task, some.lines, some.states), strict=True):
        assert isinstance(one, Compiled)
        data, touched = some.task.scene.data(state), set()
        for control in one.controls:
            data.ctrl[:] = control
            mujoco.mj_step(model, data, substeps)
            for pair in model.geom_bodyid[data.contact.geom]:
                touched |= set(pair.tolist()) & others if set(pair.tolist()) & arm else set()
        assert len(touched) <= 2


def bodies_under(model: Any, leaf: str) -> set[int]:
    """The bodies of the tree that a body hangs in."""
    root = int(model.body_rootid[model.body(leaf).id])
    return {i for i in range(1, model.nbody) if int(model.body_rootid[i]) == root}


def others_of(task: wv.Task) -> list[str]:
    return [name for name in task.objects if name != "cube"]


def test_a_candidate_depends_on_its_start_and_not_on_the_block() -> None:
    whole, part = (candidates(MIXES["llm"], first, 3 - first, each=16) for first in (0, 2))
    assert whole.lines[32:] == part.lines
    assert np.array_equal(whole.states[32:], part.states)
    other = candidates(MIXES["llm"], 2, 1, seed=1, each=16)
    assert other.lines != part.lines


@pytest.mark.parametrize("passing", [0.0, 0.01, 0.5, 0.85])
def test_every_start_has_as_many_candidates_as_asked(passing: float) -> None:
    some = candidates(mix_of("llm", passing=passing), 0, 5, each=16)
    assert [line["id"] for line in some.lines] == [f"llm:{start}:{i}" for start in range(5) for i in range(16)]


def test_shares_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'llm'"):
        mix_of("lmm")
    with pytest.raises(ValueError, match="a share from 0 to 1; got 2"):
        mix_of("llm", equal=2.0)
    with pytest.raises(ValueError, match="together they are at most 1"):
        mix_of("vla", passing=0.99)
    with pytest.raises(ValueError, match="nothing is equal or shared"):
        Mix("vla", 0.5, 0.0, equal=0.1)


def test_the_least_substeps_are_those_of_prefixes_that_decide() -> None:
    # Two from one start part at 30 and end at 50 and 100; a third is equal to the second; a fourth begins elsewhere.
    shared, ends = np.array([-1, 30, 100, -1]), np.array([50, 100, 100, 80])
    assert least_substeps(shared, ends) == 50 + 70 + 0 + 80
    # What is shared beyond the end of both has decided both.
    assert least_substeps(np.array([-1, 60]), np.array([40, 40])) == 40
    assert nearest(np.array([-1, 30, 20, -1])).tolist() == [30, 30, 20, 0]


def test_the_scheduler_does_not_simulate_less_than_the_bound(llm: tuple[Candidates, Verdicts]) -> None:
    some, plain = llm
    found = wv.verify(some.task, some.lines, state=some.states)
    tally = tallied(some, plain)
    assert sum(v.cost.steps for v in plain) == tally.exhaustive
    assert tally.needed <= sum(v.cost.steps for v in found) < tally.exhaustive / 2
    assert all(map(identical, found, plain))


def test_the_baselines_say_what_the_verifier_says() -> None:
    some, verdicts = drawn("llm", each=24)
    bare = Bare(some.task)
    for found in (bare.exhaustive(some.lines, some.states), bare.stopping(some.lines, some.states)):
        for one, verdict in zip(found.findings, verdicts, strict=True):
            assert isinstance(one, Finding) == (verdict.status != "INVALID")
            if isinstance(one, Finding):
                assert one.status == verdict.status
                assert one.margins == dict(verdict.margins)
        assert found.steps <= sum(v.cost.steps for v in verdicts)


def test_every_way_judges_every_plan(few: Candidates) -> None:
    found = compare(few.task, [few, few])
    assert tuple(found.ways) == WAYS
    report = found.report()
    json.dumps(report, allow_nan=False)
    assert {way["same"] for way in report["ways"]} == {8}
    assert {len(way.wall_s) for way in found.ways.values()} == {2}
    steps = {way["name"]: way["steps"] for way in report["ways"]}
    assert steps[BARE] == steps[EXHAUSTIVE] == 2 * 3 * few.task.samples
    assert report["needed_steps"] <= steps[ALL] < steps[ENGINEER] <= steps[BARE]
    assert report["measured"]["equal"] == pytest.approx(1 / 3)
    assert report["bound"] == report["exhaustive_steps"] / report["needed_steps"]


def test_a_rule_that_changes_a_verdict_is_caught(few: Candidates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_comparison, "_ours", lambda verifier, schedule: lies(few.task, schedule))
    found = compare(few.task, [few])
    assert found.ways[ALL].same == 3
    assert {one["way"] for one in found.differences} == {ALL}
    (one,) = found.differences
    assert (one["exhaustive"]["status"], one["found"]["status"]) == ("FAIL", "PASS")
    assert one["plan"]["actions"] and len(one["state"]) == few.task.scene.nstate


def lies(task: wv.Task, schedule: Schedule) -> Any:
    """A verifier for which, with all rules, the second plan is as good as the first."""

    def call(some: Candidates) -> Verdicts:
        items = list(wv.verify(task, some.lines, state=some.states, schedule=schedule))
        return Verdicts(tuple([items[0], items[0], *items[2:]] if schedule == Schedule() else items))

    return call


@pytest.fixture
def toy_files(tmp_path: Path, toy: wv.Task, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the toy task and plans for it, in which the command runs."""
    (tmp_path / "toy.py").write_text("from worldverify.testing import toy_task as task\n")
    plans = [toy.good, toy.bad["slow"], toy.good]
    assert all(plan is not None for plan in plans)
    lines = [json.dumps(plan.to_json() | {"id": str(i)}) for i, plan in enumerate(plans) if plan is not None]
    (tmp_path / "plans.jsonl").write_text("\n".join(lines))
    (tmp_path / "words.jsonl").write_text('{"text": "first lift the cube"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLDVERIFY_MODEL_OUTPUTS", raising=False)
    return tmp_path


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_bench_schedule(parser.add_subparsers())
    return run_bench_schedule(parser.parse_args(["bench-schedule", *words]))


def test_own_plans_are_compared(toy_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--plans", "plans.jsonl", "--task", "toy.py:task", "--json", "out.json") == 0
    said = capsys.readouterr().out
    assert "your plans: 3 plans" in said
    assert "Real outputs: not measured." in said
    report = json.loads((toy_files / "out.json").read_text())
    assert report["machine"]["versions"]["mujoco"] == mujoco.__version__
    assert report["mixes"][0]["facts"]["steps"] == toy_task().samples
    assert report["mixes"][0]["contacts"]["peak"] > 0
    assert not (toy_files / "schedule-differences.jsonl").exists()


def test_a_changed_verdict_ends_with_1_and_the_plan_is_kept(
    toy_files: Path, toy: wv.Task, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schedule_comparison, "_ours", lambda verifier, schedule: lies(toy, schedule))
    assert run("--plans", "plans.jsonl", "--task", "toy.py:task", "--differences", "kept.jsonl") == 1
    assert "1 VERDICTS DIFFER" in capsys.readouterr().out
    (line,) = (toy_files / "kept.jsonl").read_text().splitlines()
    assert json.loads(line)["plan"]["id"] == "1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mix", "llm,vlm"], "No mix 'vlm'"),
        (["--mix", ","], "names no mix"),
        (["--mix", "vla", "--equal", "0.5"], "nothing is equal or shared"),
        (["--task", "PickCube-v0"], "--task says what the plans of --plans are for"),
        (["--mix", "hard", "--project", "10"], "add llm to --mix"),
        (["--plans", "plans.jsonl"], "add --task TASK"),
        (["--plans", "plans.jsonl", "--task", "toy.py:task", "--mix", "llm"], "give one of them"),
        (["--plans", "plans.jsonl", "--task", "PickCub-v0"], "Did you mean 'PickCube-v0'"),
        (["--plans", "none.jsonl", "--task", "toy.py:task"], "Cannot read none.jsonl"),
        (["--plans", "empty.jsonl", "--task", "toy.py:task"], "holds no plans"),
        (["--plans", "words.jsonl", "--task", "toy.py:task"], "None of the 1 plans of words.jsonl can be simulated"),
    ],
)
def test_what_cannot_be_compared_is_said_with_what_can(toy_files: Path, words: Sequence[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        run(*words)
    assert said in str(error.value)


def test_fewer_plans_than_one_start_has_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--plans-per-mix", "63")
    assert "a whole number from 64 on is needed" in capsys.readouterr().err


def test_the_table_fits_a_terminal_and_a_projection_says_that_it_is_one(few: Candidates) -> None:
    report = compare(few.task, [few]).report()
    asked = {"passing": 0.25, "malformed": 0.15, "equal": 0.4, "shared": 0.6}
    lines = mix_lines({"mix": "llm", "task": "Toy", "starts": 1, "asked": asked, "facts": {}} | report)
    assert max(map(len, lines)) <= WIDEST
    assert any("Step bound" in line for line in lines)
    assert projection_line(1_000_000, 100.0, 640).startswith("Projected, not measured: 1,000,000")
    assert "166.7 min" in projection_line(1_000_000, 100.0, 640)
    assert "p50: ours 50 ms" in latency_line({"ours": {"p50": 0.05, "p99": 0.06}}, 32)


def test_the_plot_has_a_panel_a_rate_and_a_line_a_way() -> None:
    points = [{"asked": x, "measured": x, "bound": 1 + x, "ratio": 1 + x / 2, "engineer": 1.0} for x in (0.0, 0.5)]
    drawn = schedule_plot.plot({rate: points for rate in schedule_plot.SWEPT})
    lines = [e for e in ElementTree.fromstring(drawn).iter() if e.tag.endswith("circle")]
    assert len(lines) == len(schedule_plot.SWEPT) * len(schedule_plot.LINES) * len(points)


def test_outputs_that_repeat_a_sibling_are_counted() -> None:
    rows = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    other = [*rows[:3], [6.0, 8.0]]
    plans = [
        admit({"format": "ctrl", "rate_hz": 10, "actions": one}, contracts={"ctrl": ctrl(2, 10.0)}, default_rate=10.0)
        for one in (rows, rows, other)
    ]
    found = samples_of("x", plans, [b"a", b"a", b"b"])
    assert (found.outputs, found.malformed, found.verbatim, found.equal) == (3, 0, 1, 1)
    assert found.shared == 0.75
    assert "75%" in output_line([found])
    assert "no prompt" in output_line([])


def test_rates_of_real_outputs_are_measured_where_a_prompt_has_several(model_outputs: Path) -> None:
    found = output_rates(model_outputs)
    policy = next(one for one in found if one.source.startswith("openvla-oft"))
    assert (policy.outputs, policy.malformed, policy.equal) == (3, 0, 0)
    assert all(one.outputs >= 2 for one in found)


def test_the_sweep_changes_one_rate_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_plot, "SWEPT", {"equal": (0.0, 0.6)})
    found, differences = schedule_plot.sweep(0, 1, each=16)
    first, last = found["equal"]
    assert (first["measured"], differences) == (0.0, [])
    assert last["measured"] > 0.4 and last["bound"] > first["bound"]
