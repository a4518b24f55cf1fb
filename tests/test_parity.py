"""Parity: engines that agree as far as float32 can are told from engines that do not."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.engines.band import load_band
from worldverify.judge import Finding
from worldverify.kernels.engine import EngineInfo, Fault, Samples
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.parity import command
from worldverify.parity.command import add_parity
from worldverify.parity.contender import Contender, of_engine, reference
from worldverify.parity.crowd import Crowd, crowd_of, drawn
from worldverify.parity.forward import compare_forward
from worldverify.parity.report import as_text
from worldverify.parity.run import Parity, compare, keep_band
from worldverify.parity.snapshots import Snapshots, contact_counts, snapshots
from worldverify.parity.step import compare_step
from worldverify.parity.verdicts import margin_errors, verdict_parity
from worldverify.parity.width import LEAST, choose_width, halves
from worldverify.scene import STATE
from worldverify.testing import toy_task

INFO = EngineInfo("fake", "rounding", "cpu", "float32", "1")
COUNT = 24  # plans drawn

FRAMES = ("_impl.contact.geom", "_impl.contact.dist", "_impl.contact.includemargin")


class Rounding:
    """MuJoCo C whose numbers are float32 wherever they can be seen, for subclasses to break."""

    info = INFO

    def __init__(self, model: Any, nlane: int) -> None:
        self.model, self.true = model, MujocoEngine(model, nlane)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)

    def load(self, lanes: Any, state: Any) -> None:
        self.true.load(lanes, rounded(state))

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, rounded(controls))
        return Samples(rounded(value), fault)

    def observe(self, lanes: Any) -> Samples:
        value, fault = self.true.observe(lanes)
        return Samples(rounded(value), fault)

    def fields(self, states: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
        slots = 16
        rows: dict[str, list[Any]] = {name: [] for name in names}
        for state in rounded(states):
            data = mujoco.MjData(self.model)
            mujoco.mj_setState(self.model, data, state, STATE)
            mujoco.mj_forward(self.model, data)
            inertia = np.zeros((self.model.nv, self.model.nv))
            mujoco.mj_fullM(self.model, data, inertia)
            geom, dist, margin = np.full((slots, 2), -1), np.ones(slots), np.zeros(slots)
            geom[: data.ncon], dist[: data.ncon] = data.contact.geom, data.contact.dist
            special = {"_impl.M": inertia, **dict(zip(FRAMES, (geom, dist, margin), strict=True))}
            for name in names:
                rows[name].append(np.array(special[name] if name in special else getattr(data, name)))
        return {name: np.stack(row).astype(np.float32) for name, row in rows.items()}


class Biased(Rounding):
    """One sensor reads 2 cm/s too much."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = super().advance(lanes, controls)
        value[..., self.model.sensor("rail_speed").adr[0]] += 0.02
        return Samples(value, fault)


class Heavier(Rounding):
    """The mass matrix is a thousandth too large."""

    def fields(self, states: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
        found = dict(super().fields(states, names))
        return {**found, "_impl.M": found["_impl.M"] * 1.001}


def rounded(numbers: Any) -> Any:
    return np.asarray(numbers).astype(np.float32).astype(np.float64)


def contender(make: Callable[[Any, int], Any] = Rounding) -> Contender:
    return of_engine("fake", make, INFO)


def lying(task: wv.Task, lie: Callable[[Finding, Finding], Finding], plans: Sequence[int]) -> Contender:
    """An engine that gives, for some plans, what `lie` makes of its finding and of that of the good plan."""
    honest = contender()

    def find(task: wv.Task, states: Any, controls: Any) -> list[Finding]:
        findings = honest.find(task, states, controls)
        return [lie(f, findings[0]) if i in plans else f for i, f in enumerate(findings)]

    return replace(honest, find=find)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDVERIFY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return toy_task()


@pytest.fixture(scope="module")
def crowd(task: wv.Task) -> Crowd:
    return drawn(task, COUNT, 0)


@pytest.fixture(scope="module")
def shots(task: wv.Task, crowd: Crowd) -> Snapshots:
    return snapshots(task, crowd, 40, 0)


@pytest.fixture(scope="module")
def agreed(task: wv.Task, crowd: Crowd) -> Parity:
    return compare(task, crowd, contender(), states=40, seed=0)


@pytest.fixture(scope="module")
def findings(task: wv.Task, crowd: Crowd) -> list[Finding]:
    return reference().find(task, crowd.states, crowd.controls)


def index_of(findings: list[Finding], requirement: str) -> int:
    """The plan that violates this requirement most."""
    violating = [i for i, f in enumerate(findings) if f.violated == requirement]
    return min(violating, key=lambda i: (findings[i].final or {})[requirement][1])


# An engine that agrees


def test_an_engine_that_only_rounds_agrees(agreed: Parity) -> None:
    assert agreed.holds and agreed.faults == ()
    assert agreed.verdicts.plans == COUNT + 4 and agreed.verdicts.refused == 0
    assert agreed.verdicts.flips == () and agreed.witnesses == ()
    assert {s for s, each in agreed.verdicts.statuses.items() if each} == {"PASS", "FAIL"}


def test_rounding_stays_far_below_every_tolerance(agreed: Parity) -> None:
    assert agreed.forward is not None
    assert [f.name for f in agreed.forward.fields][:3] == ["xpos", "xquat", "site_xpos"]
    assert all(f.worst < 1 for f in agreed.forward.fields)
    assert agreed.forward.contacts == 0
    assert not any(reading.above for reading in agreed.step.readings)


def test_the_errors_of_margins_are_those_of_rounding(agreed: Parity) -> None:
    assert set(agreed.verdicts.margins) == {"arrives", "careful", "slow"}
    assert all(0 <= each[-1] < 0.05 for each in agreed.verdicts.margins.values())
    assert 0 < agreed.verdicts.band.width < 0.05


def test_few_plans_agree_but_make_no_band(task: wv.Task, agreed: Parity) -> None:
    assert "compare more plans" in str(agreed.band.unusable)
    assert not keep_band(task, agreed)
    assert load_band(task, INFO) is None


def test_mujoco_agrees_with_itself_exactly(task: wv.Task, crowd: Crowd) -> None:
    found = compare(task, crowd, reference(), states=8, seed=0)
    assert found.holds and found.forward is None
    assert all(reading.error[-1] == 0 for reading in found.step.readings)
    assert found.verdicts.deciding[-1] == 0 and found.verdicts.band.width == LEAST


def test_the_report_is_as_wide_as_a_page_and_names_the_levels(agreed: Parity) -> None:
    text = as_text(agreed)
    assert text.startswith("Toy on fake (cpu, float32, 1): agrees with MuJoCo C")
    assert all(len(line) <= 110 for line in text.splitlines())
    for label in ("forward", "one step", "verdicts", "margins", "band"):
        assert f"\n{label} " in text


def test_the_report_as_json_is_plain(agreed: Parity) -> None:
    found = json.loads(json.dumps(command._plain(agreed.to_json()), allow_nan=False))
    assert found["verdicts"]["statuses"]["PASS"].keys() == {"PASS"}
    assert found["band"]["unusable"] and found["engine"]["impl"] == "rounding"


# What is planted


def test_a_planted_false_pass_is_counted_and_fails_the_comparison(
    task: wv.Task, crowd: Crowd, findings: list[Finding]
) -> None:
    plan = index_of(findings, "careful")
    found = compare(task, crowd, lying(task, lambda own, good: good, [plan]), states=8, seed=0)
    assert (found.verdicts.false_pass, found.verdicts.false_fail) == (1, 0)
    (flip,) = found.verdicts.outside
    assert (flip.plan, flip.status, flip.truth) == (plan, "PASS", "FAIL")
    assert not found.holds and "MuJoCo C says FAIL to a PASS" in found.faults[0]
    assert found.band.flips_outside == 1 and found.band.unusable
    assert found.witnesses[0]["status"] == "FAIL" and found.witnesses[0]["request"]["plan"]["actions"]


def test_a_planted_false_fail_is_counted(task: wv.Task, crowd: Crowd, findings: list[Finding]) -> None:
    broken = findings[index_of(findings, "slow")]
    found = compare(task, crowd, lying(task, lambda own, good: broken, [0]), states=8, seed=0)
    assert (found.verdicts.false_pass, found.verdicts.false_fail) == (0, 1)
    assert not found.holds


def test_a_flip_that_the_engine_itself_distrusts_is_left_to_mujoco(
    task: wv.Task, crowd: Crowd, findings: list[Finding]
) -> None:
    def doubt(own: Finding, good: Finding) -> Finding:
        return replace(own, status="INVALID", decided=None, violated=None, untrusted=3, fault=Fault.SUSPECT)

    found = compare(task, crowd, lying(task, doubt, [index_of(findings, "careful")]), states=8, seed=0)
    assert found.holds and found.verdicts.untrusted == {"suspect": 1}
    assert found.verdicts.rejudged >= 1 / len(crowd.plans)


def test_a_pass_of_what_mujoco_does_not_believe_is_a_false_pass(findings: list[Finding]) -> None:
    truth = [replace(findings[0], status="INVALID", decided=None, untrusted=3, fault=Fault.ENERGISED), *findings[1:]]
    found = verdict_parity(truth, findings, refused=0, seed=0)
    assert found.false_pass == 1


def test_another_first_violation_is_counted_but_is_no_flip(findings: list[Finding]) -> None:
    plan = index_of(findings, "slow")
    other = [replace(f, violated="careful") if i == plan else f for i, f in enumerate(findings)]
    found = verdict_parity(findings, other, refused=0, seed=0)
    assert found.other_violation == 1 and found.flips == ()


def test_a_finding_whose_solver_often_stopped_is_left_to_mujoco(findings: list[Finding]) -> None:
    capped = [replace(f, capped=(f.decided or 0) + 1) for f in findings]
    found = verdict_parity(findings, capped, refused=0, seed=0)
    assert found.untrusted == {"unconverged": len(findings)} and found.rejudged == 1.0


def test_a_biased_sensor_is_named(task: wv.Task, shots: Snapshots) -> None:
    assert compare_step(task, contender(Biased), shots).systematic == ("rail_speed",)


def test_a_wrong_mass_matrix_is_named(task: wv.Task, shots: Snapshots) -> None:
    found = compare_forward(task, contender(Heavier), shots)
    assert found is not None and found.systematic == ("M",)


@pytest.mark.parametrize(("states", "systematic"), [(1, ()), (10, ("qacc",))])
def test_single_states_may_differ_in_what_is_solved(
    task: wv.Task, shots: Snapshots, states: int, systematic: tuple[str, ...]
) -> None:
    class Jumpy(Rounding):
        def fields(self, states_: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
            found = dict(super().fields(states_, names))
            clear = np.flatnonzero(~shots.ambiguous)[:states]
            found["qacc"][clear] += 5.0
            return found

    found = compare_forward(task, contender(Jumpy), shots)
    assert found is not None and found.systematic == systematic


def test_contacts_that_are_missing_are_seen(task: wv.Task, shots: Snapshots) -> None:
    class Floating(Rounding):
        def fields(self, states: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
            found = dict(super().fields(states, names))
            return {**found, "_impl.contact.dist": np.ones_like(found["_impl.contact.dist"])}

    found = compare_forward(task, contender(Floating), shots)
    assert found is not None and "contacts" in found.systematic


def test_a_reading_that_is_no_number_is_above_every_tolerance(task: wv.Task, shots: Snapshots) -> None:
    class Blank(Rounding):
        def observe(self, lanes: Any) -> Samples:
            value, fault = super().observe(lanes)
            return Samples(np.full_like(value, np.nan), fault)

    readings = compare_step(task, contender(Blank), shots).readings
    assert all(r.above == r.states for r in readings if r.name not in ("qpos", "qvel"))


def test_steps_that_differ_refute_the_band(task: wv.Task, agreed: Parity, shots: Snapshots) -> None:
    biased = replace(agreed, step=compare_step(task, contender(Biased), shots))
    assert not biased.band.agrees and biased.band.refuted
    assert not keep_band(task, biased)


# The pieces


def test_a_contact_counts_where_it_is_clearly_there() -> None:
    geoms = np.array([[2, 1], [1, 2], [3, 4], [5, 6]])
    distance = np.array([-1e-3, -2e-3, -5e-6, 1e-3])
    assert contact_counts(geoms, distance, np.zeros(4)) == {(1, 2): 2}


def test_snapshots_carry_the_control_that_follows(task: wv.Task, shots: Snapshots) -> None:
    data = mujoco.MjData(task.scene.model)
    for state, control in zip(shots.state, shots.control, strict=True):
        mujoco.mj_setState(task.scene.model, data, state, STATE)
        assert data.ctrl.tolist() == control.tolist()
    assert len({state.tobytes() for state in shots.state}) > 30


def test_plans_that_no_engine_is_asked_about_are_counted(task: wv.Task) -> None:
    assert task.good is not None
    mixed = crowd_of(task, [task.good, "no plan", {"id": "wide", "actions": [[9.0]]}])
    assert (len(mixed.plans), mixed.refused) == (1, 2)


def test_bounds_that_are_open_on_both_sides_do_not_differ(findings: list[Finding]) -> None:
    open_ = replace(findings[0], final={"a": (0.5, np.inf), "b": (-np.inf, np.inf)})
    shifted = replace(findings[0], final={"a": (0.75, np.inf), "b": (-np.inf, np.inf)})
    assert margin_errors(open_, shifted) == {"a": 0.25}


def test_the_halves_are_disjoint_even_and_drawn_by_the_seed() -> None:
    first = halves(101, 3)
    assert first.sum() == 51
    assert np.array_equal(first, halves(101, 3)) and not np.array_equal(first, halves(101, 4))


# The width


def test_the_width_is_twice_the_error_near_the_decision() -> None:
    depth = np.linspace(0.01, 10, 1000)
    error = np.where(depth < 1, 0.002, 5.0)  # what is far from turning may be off by as much as it likes
    found = choose_width(depth, error, np.zeros(1000, dtype=bool))
    assert found.width == pytest.approx(0.004) and found.flips == 0


def test_the_width_is_twice_the_depth_of_the_deepest_flip_that_it_can_cover() -> None:
    depth = np.linspace(0.001, 10, 1000)
    flip = np.zeros(1000, dtype=bool)
    flip[[3, 900]] = True
    found = choose_width(depth, np.full(1000, 1e-4), flip)
    assert found.flips == depth[3] and found.width == pytest.approx(2 * depth[3])


def test_a_band_is_never_widened_beyond_what_it_may_hold_to_hide_a_flip() -> None:
    depth, flip = np.linspace(0.1, 10, 100), np.zeros(100, dtype=bool)
    flip[50] = True
    found = choose_width(depth, np.zeros(100), flip)
    assert found.width == LEAST and found.flips == 0 and found.cap == depth[2]


def test_a_large_error_makes_a_wide_band_that_still_hides_no_flip() -> None:
    depth, error, flip = np.linspace(0.1, 10, 100), np.full(100, 0.001), np.zeros(100, dtype=bool)
    error[5], flip[5] = 3.0, True
    found = choose_width(depth, error, flip)
    assert found.width == 6.0 and found.guards == depth[2] < depth[5]


def test_a_few_plans_may_turn_within_twice_the_usual_error() -> None:
    found = choose_width(np.array([0.01, 1.0, 2.0]), np.full(3, 0.006), np.array([True, False, False]))
    assert found.flips == 0.01 and found.guards == found.cap == pytest.approx(0.012)


def test_without_plans_there_is_a_width_that_holds_none() -> None:
    nothing = np.zeros(0)
    assert choose_width(nothing, nothing, nothing.astype(bool)).width == LEAST


def crowd_like(findings: list[Finding], depths: Sequence[float], error: float) -> tuple[list[Finding], list[Finding]]:
    """Findings of MuJoCo C and of an engine: passes of these depths, all off by the same error."""

    def passing(x: float) -> Finding:
        return replace(findings[0], status="PASS", final={"a": (x, x)})

    def judged(x: float) -> Finding:
        return passing(x) if x > 0 else replace(findings[0], status="FAIL", violated="a", final={"a": (x, x)})

    return [judged(x - error) for x in depths], [judged(x) for x in depths]


def test_enough_plans_that_agree_make_a_usable_band(findings: list[Finding]) -> None:
    true, found = crowd_like(findings, np.linspace(0.0015, 3.0, 800).tolist(), 0.001)
    band = verdict_parity(true, found, refused=0, seed=0).band
    assert band.unusable is None
    assert band.width == pytest.approx(0.002) and band.flips_outside == 0
    assert band.upper == pytest.approx(3 / 400, rel=0.02)


def test_a_flip_inside_is_what_the_band_is_for(findings: list[Finding]) -> None:
    true, found = crowd_like(findings, np.linspace(0.0005, 3.0, 800).tolist(), 0.001)
    parity = verdict_parity(true, found, refused=0, seed=0)
    assert parity.band.flips_inside == parity.false_pass == 1 and parity.band.unusable is None


def test_a_narrow_escape_is_counted_and_is_no_flip(findings: list[Finding]) -> None:
    true, found = crowd_like(findings, np.linspace(1.5, 3.0, 100).tolist(), -0.001)
    true[40] = replace(true[40], final={"a": (9.0, 9.0)})
    parity = verdict_parity(true, found, refused=0, seed=0)
    assert parity.narrow == 1 and parity.flips == ()


def test_a_scene_too_sensitive_for_float32_has_no_band(findings: list[Finding]) -> None:
    true, found = crowd_like(findings, np.linspace(0.11, 3.0, 800).tolist(), 0.1)
    band = verdict_parity(true, found, refused=0, seed=0).band
    assert band.share > 0.02 and "at most 2%" in str(band.unusable)


# The command


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_parity(parser.add_subparsers())
    arguments = parser.parse_args(["parity", *words])
    status: int = arguments.run(arguments)
    return status


@pytest.fixture
def among(monkeypatch: pytest.MonkeyPatch, task: wv.Task) -> Callable[[Contender], None]:
    """Makes the command compare this engine, on the toy task."""

    def put(one: Contender) -> None:
        monkeypatch.setattr(command, "_contenders", lambda names, on: [one])
        monkeypatch.setattr(command, "_tasks", lambda names: [task])

    return put


def test_agreement_is_exit_status_zero(
    among: Callable[[Contender], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    among(contender())
    out, saved = tmp_path / "parity.json", tmp_path / "bands.json"
    assert run("--count", "4", "--states", "4", "--json", str(out), "--save", str(saved)) == 0
    assert "agrees with MuJoCo C" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["command"].startswith("worldverify parity") and "--count 4" in report["command"]
    assert report["machine"]["versions"]["mujoco"] == mujoco.__version__
    assert [one["task"] for one in report["results"]] == ["Toy"]
    assert json.loads(saved.read_text()) == {"schema": 1, "bands": []}  # four plans make no band


def test_a_planted_flip_is_exit_status_one_with_a_witness_that_can_be_replayed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pick = wv.load("PickCube-v0")
    assert pick.good is not None
    lines = [pick.good.to_json(), *(plan.to_json() for plan in pick.bad.values())]
    plans, witnesses = tmp_path / "plans.jsonl", tmp_path / "witnesses.jsonl"
    plans.write_text("".join(f"{json.dumps(line | {'id': str(i)})}\n" for i, line in enumerate(lines)))
    liar = lying(pick, lambda own, good: good, [1])
    monkeypatch.setattr(command, "_contenders", lambda names, on: [liar])
    words = ["--plans", str(plans), "--states", "4", "--witnesses", str(witnesses)]
    assert run("PickCube-v0", *words) == 1
    shown = capsys.readouterr().out
    assert "DIFFERS" in shown and f"worldverify replay {witnesses}" in shown
    (line,) = map(json.loads, witnesses.read_text().splitlines())
    assert (line["id"], line["status"]) == ("1", "FAIL")
    assert main(["replay", str(witnesses)]) == 0


def test_a_task_that_an_engine_cannot_simulate_is_told_and_nothing_compared_is_no_agreement(
    among: Callable[[Contender], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(task: wv.Task) -> None:
        raise ValueError("It has no wheels.")

    among(replace(contender(), check=refuse))
    assert run("--count", "4") == 1
    assert "Toy on fake: not compared. It has no wheels." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "bullet"], "No engine 'bullet'"),
        (["--engine", "mjx-warp,"], "No engine ''"),
        (["--engine", "mujoco", "--on", "gpu"], "use --on cpu, or --engine mjx-warp"),
        (["--engine", "mujoco"], "compared with"),
        (["NoTask-v0"], "No task"),
    ],
)
def test_what_does_not_exist_is_refused_in_a_sentence(words: list[str], said: str) -> None:
    with pytest.raises(command.UsageError, match=said):
        run(*words)


@pytest.mark.parametrize("option", ["--json", "--save", "--witnesses"])
def test_a_file_that_cannot_be_written_is_found_before_anything_is_compared(
    option: str, among: Callable[[Contender], None], tmp_path: Path
) -> None:
    among(replace(contender(), find=lambda *args: pytest.fail("it was compared")))
    with pytest.raises(command.UsageError, match="Cannot write"):
        run(option, str(tmp_path / "nowhere" / "parity.json"))


def test_a_file_of_something_else_is_not_overwritten_with_bands(
    among: Callable[[Contender], None], tmp_path: Path
) -> None:
    among(replace(contender(), find=lambda *args: pytest.fail("it was compared")))
    other = tmp_path / "bands.json"
    other.write_text("[]")
    with pytest.raises(command.UsageError, match="not a file of bands"):
        run("--save", str(other))
    assert other.read_text() == "[]"


def test_a_band_that_must_not_be_used_is_not_said_to_be_kept(
    among: Callable[[Contender], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    among(contender())
    monkeypatch.setattr("worldverify.parity.run.keep_band", lambda task, one: True)  # there is one of another run
    assert run("--count", "2", "--states", "2") == 0
    said = capsys.readouterr().out
    assert "Not to be used" in said and "is kept" not in said
    assert "the band that it has, from another run" in said


def test_plans_of_which_none_is_compared_are_explained_by_another_command(
    among: Callable[[Contender], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    among(contender())
    (tmp_path / "plans.txt").write_text("hello")
    assert run("--plans", str(tmp_path / "plans.txt")) == 1
    assert f"worldverify decode {tmp_path / 'plans.txt'} shows why" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--count", "--states"])
def test_more_than_fits_the_memory_is_not_asked_for(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(option, "1000001")
    assert "from 1 to 1,000,000 is needed" in capsys.readouterr().err
