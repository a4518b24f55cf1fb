"""What is not simulated changes no verdict: every rule, alone and together, against the plain exhaustive run."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldverify as wv
from worldverify import Schedule
from worldverify.cli import main
from worldverify.compile import compile_for
from worldverify.kernels.engine import Fault
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.kernels.online import Online, Whole
from worldverify.scheduling import queue
from worldverify.scheduling.trie import Edge, trie
from worldverify.scheduling.twins import twins
from worldverify.simulate import simulate

PLAIN = Schedule.exhaustive()
RULES = {
    "all": Schedule(),
    "stop": replace(PLAIN, stop=True),
    "refill": replace(PLAIN, refill=True),
    "share": replace(PLAIN, share=True),
    "midphase": replace(PLAIN, midphase=True),
    "no stop": Schedule(stop=False),
    "no refill": Schedule(refill=False),
    "no share": Schedule(share=False),
    "no midphase": Schedule(midphase=False),
    "one lane": Schedule(lanes=1),
    "three lanes": Schedule(lanes=3),
    "two crews": Schedule(lanes=9, chunk=13),
    "a period at a time": Schedule(chunk=1),
    "odd chunks": Schedule(lanes=5, chunk=37),
    "all in one chunk": Schedule(chunk=10**6),
}
SLENDER = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 .1"/>
    <body name="pole" pos="0 0 .5"><joint name="hinge" axis="0 1 0" damping=".05"/>
      <geom name="tip" type="capsule" size=".02" fromto="0 0 0 0 0 -.3" mass=".3"/></body>
    <body name="ball" pos=".8 0 .3"><freejoint/><geom name="ball" size=".05" mass=".1"/></body>
  </worldbody>
  <actuator><motor name="push" joint="hinge" ctrlrange="-3 3"/></actuator>
</mujoco>
"""
SPEC = """
slow:   always(joint_speed(hinge) < 9 rad/s)
near:   always(abs(joint(hinge)) < 40 rad)
up:     eventually(always[0,0.1](joint(hinge) > 0.4 rad))
swing:  (joint(hinge) < 2 rad) until[0.1,0.5] (joint(hinge) > 0.2 rad)
landed: at_end(pos(ball).z < 0.1 m)
"""


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return wv.Task.from_mjcf(SLENDER, spec=SPEC, horizon=0.6, rate=25.0, name="Pole")


pytestmark = pytest.mark.usefixtures("no_failure_goes_unseen")


def branching(task: wv.Task, plans: int, seed: int = 0, width: int | None = None) -> list[Any]:
    """(T, nu) controls within their ranges: fresh ones, twins, and those that go another way from some period on."""
    generator = np.random.default_rng(seed)
    low, high = task.scene.model.actuator_ctrlrange.T
    made = [generator.uniform(low, high, size=(task.steps, len(low)))]
    for _ in range(plans - 1):
        old = made[generator.integers(len(made))].copy()
        cut = generator.choice([0, task.steps, *generator.integers(1, task.steps, size=4)])
        old[cut:] = generator.uniform(low, high) * generator.uniform(0.05, 1)
        made.append(old)
    return made


def answers(verdicts: wv.Verdicts) -> list[Any]:
    """What must not change; costs may."""
    return [(v.digest, v.status, v.reason, v.first_violation, v.decided_s, v.warnings, v.reward) for v in verdicts]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_no_rule_changes_a_verdict(task: wv.Task, rules: Schedule) -> None:
    plans = branching(task, 40)
    plain = wv.verify(task, plans, schedule=PLAIN)
    assert {v.status for v in plain} == {"PASS", "FAIL"}
    assert answers(wv.verify(task, plans, schedule=rules)) == answers(plain)


def test_on_a_task_all_rules_together_change_no_verdict(a_task: str) -> None:
    task = wv.load(a_task)
    assert task.good is not None
    plans = [task.good, *task.bad.values(), task.good]
    starts = np.broadcast_to(task.start(0), (len(plans), task.scene.nstate))
    made = [one.controls for one in compile_for(task, starts, plans) if not isinstance(one, wv.Refusal)]
    generator, (low, high) = np.random.default_rng(0), task.scene.model.actuator_ctrlrange.T
    for rows in made[:4]:
        cut, noise = generator.integers(len(rows)), generator.normal(scale=0.05, size=rows.shape[1])
        rows = np.where(np.arange(len(rows))[:, None] < cut, rows, np.clip(rows + noise, low, high))
        plans.append(wv.Plan(None, "ctrl", task.rate, rows))
    assert answers(wv.verify(task, plans)) == answers(wv.verify(task, plans, schedule=PLAIN))


def test_neither_the_order_nor_the_company_of_a_plan_matters(task: wv.Task) -> None:
    plans = branching(task, 24, seed=1)
    all_at_once = answers(wv.verify(task, plans))
    order = np.random.default_rng(0).permutation(len(plans))
    assert answers(wv.verify(task, [plans[i] for i in order])) == [all_at_once[i] for i in order]
    assert answers(wv.verify(task, plans[5:9])) == all_at_once[5:9]
    assert answers(wv.verify(task, [plans[3]])) == [all_at_once[3]]


@pytest.mark.parametrize("rules", [Schedule(), Schedule(lanes=2, chunk=20), Schedule(share=False)], ids=str)
def test_chunks_of_any_length_have_the_same_verdicts(task: wv.Task, rules: Schedule) -> None:
    plans = [rows[: 1 + i % 5] for i, rows in enumerate(branching(task, 20, seed=2))]
    plain = wv.verify(task, plans, scope="chunk", schedule=PLAIN)
    assert {v.status for v in plain} == {"PASS", "FAIL"}
    assert answers(wv.verify(task, plans, scope="chunk", schedule=rules)) == answers(plain)


def test_margins_at_the_horizon_are_the_same(task: wv.Task) -> None:
    plans = branching(task, 12, seed=3)
    full = wv.verify(task, plans, margins="full")
    assert answers(full) == answers(wv.verify(task, plans, margins="full", schedule=PLAIN))
    assert "stop" not in {rule for v in full for rule in v.cost.saved_by}


def test_each_start_state_has_a_tree_of_its_own(task: wv.Task) -> None:
    plans = branching(task, 6, seed=4) * 2
    states = np.stack([task.start(0)] * 12)
    states[6:, 1] += 0.1  # the angle of the hinge
    found = wv.verify(task, plans, state=states)
    assert answers(found) == answers(wv.verify(task, plans, state=states, schedule=PLAIN))
    assert [v.digest for v in found[:6]] != [v.digest for v in found[6:]]


EPISODE = """
begins: always[0,0.05](joint(hinge) < 0.05 rad)
once:   eventually[0,0.1](joint(hinge) > 0.02 rad)
slow:   always(joint_speed(hinge) < 12 rad/s)
up:     eventually(always[0,0.1](joint(hinge) > 0.4 rad))
"""


@pytest.mark.parametrize("scope", ["plan", "chunk"])
@pytest.mark.parametrize("fault", [Fault(0), Fault.WARNED])
def test_an_episode_goes_on_from_what_has_been_seen(scope: Any, fault: Fault) -> None:
    task = wv.Task.from_mjcf(SLENDER, spec=EPISODE, horizon=0.6, rate=25.0, name="Episode")
    engine, start = MujocoEngine(task.scene.model, 1), task.start(0)[None]
    seen = simulate(engine, start, [np.full((5, 1), 0.3)], substeps=task.substeps, samples=5 * task.substeps)
    seen.fault[0, -1] |= int(fault)
    plans = [np.full((length, 1), x) for length in (8, 10) for x in (3.0, 1.0, 0.3, 1.0)]
    plain, *others = (
        answers(wv.LocalVerifier().verify(task, plans, state=seen.end[0], scope=scope, history=seen, schedule=rules))
        for rules in (PLAIN, Schedule(), Schedule(lanes=2, chunk=10), Schedule(stop=False))
    )
    assert all(other == plain for other in others)
    assert {one[1] for one in plain} == ({"INVALID"} if fault else {"PASS", "FAIL"})


# What it saves


def test_every_step_of_the_plain_run_was_simulated_once_or_saved_by_a_rule(task: wv.Task) -> None:
    verdicts = wv.verify(task, branching(task, 40))
    for v in verdicts:
        assert v.cost.steps + v.cost.steps_saved == task.samples
        assert sum(v.cost.saved_by.values()) == v.cost.steps_saved
    assert all(sum(v.cost.saved_by.get(rule, 0) for v in verdicts) > 0 for rule in ("stop", "share"))


def test_a_twin_costs_nothing_and_a_common_beginning_is_on_the_bill_of_the_first(task: wv.Task) -> None:
    first = np.full((15, 1), 0.05)
    other = first.copy()
    other[10:] = 0.06
    found = wv.verify(task, [first, other, first], schedule=replace(PLAIN, share=True))
    assert [v.cost.steps for v in found] == [300, 100, 0]
    assert [v.cost.saved_by for v in found] == [{}, {"share": 200}, {"share": 300}]


def test_a_plan_is_simulated_until_it_is_decided(task: wv.Task) -> None:
    (found,) = wv.verify(task, [np.full((15, 1), 3.0)], schedule=Schedule(chunk=20))
    assert found.status == "FAIL" and found.decided_s is not None
    assert found.cost.steps == 20 * np.ceil(found.decided_s / task.timestep / 20)


def test_progress_counts_what_is_saved(task: wv.Task) -> None:
    seen: list[tuple[int, int]] = []
    wv.verify(task, branching(task, 10), watch=lambda *done: seen.append(done))
    assert seen == sorted(seen) and seen[-1] == (3000, 3000)


# What ends early


def test_a_budget_leaves_decided_plans_as_they_are_and_says_of_the_others_what_is_known(task: wv.Task) -> None:
    plans = branching(task, 30)
    plain = wv.verify(task, plans)
    for steps in (1, 500, 2000, 10**9):
        found = wv.verify(task, plans, schedule=Schedule(lanes=4, chunk=40), budget=wv.Budget(steps=steps))
        assert sum(v.cost.steps for v in found) <= steps + 4 * 40
        for one, right in zip(found, plain, strict=True):
            if one.code != "budget":
                assert one.digest == right.digest
                continue
            assert one.status == "INCONCLUSIVE" and not one.valid and np.isnan(one.reward)
            for name, margin in one.margins.items():
                low, high = right.margins[name].interval
                assert margin.interval[0] <= low and high <= margin.interval[1]
        assert all(v.code is None for v in found) == (steps == 10**9)


def test_a_budget_of_seconds_ends_as_well(task: wv.Task) -> None:
    found = wv.verify(task, branching(task, 30), schedule=Schedule(lanes=2, chunk=1), budget=wv.Budget(seconds=1e-9))
    assert {v.code for v in found} == {"budget"}
    assert {v.reason for v in found} >= {"Undecided: the budget ended before it was simulated."}
    assert any("s into the plan" in v.reason for v in found)


def test_a_budget_of_money_ends_as_well(task: wv.Task) -> None:
    found = wv.verify(task, branching(task, 30), schedule=Schedule(lanes=2, chunk=1), budget=wv.Budget(money=1e-15))
    assert {v.code for v in found} == {"budget"}
    assert {v.code for v in wv.verify(task, branching(task, 30), budget=wv.Budget(money=1e6))} == {None}


@pytest.mark.parametrize("first", ["promising", "doubtful"])
@pytest.mark.parametrize("share", [True, False])
def test_what_comes_first_changes_no_verdict(task: wv.Task, first: Any, share: bool) -> None:
    plans = branching(task, 30)
    plain = [v.digest for v in wv.verify(task, plans)]
    asked = {"schedule": Schedule(lanes=3, chunk=20, share=share), "budget": wv.Budget(steps=10**9, first=first)}
    found = wv.verify(task, plans, **asked)
    assert [v.digest for v in found] == plain
    assert [v.digest for v in wv.verify(task, plans[::-1], **asked)] == plain[::-1]
    assert all(v.cost.steps + v.cost.steps_saved == task.samples for v in found)


@pytest.mark.parametrize(("first", "decided"), [("given", 0), ("promising", 8), ("doubtful", 4)])
def test_a_short_budget_goes_to_what_comes_first(near: wv.Task, first: Any, decided: int) -> None:
    # Standing still is far from arriving; what creeps is near to it, and what goes has arrived.
    pushes = [0.0] * 4 + [0.021] + [0.0] * 3 + [0.05]
    plans = [np.full((8, 1), push) + np.linspace(0, 1e-9 * i, 8)[:, None] for i, push in enumerate(pushes)]
    asked = {"schedule": Schedule(lanes=1, chunk=10, share=False), "budget": wv.Budget(steps=40 * 8, first=first)}
    found = [i for i, v in enumerate(wv.verify(near, plans, **asked)) if v.code is None]
    assert decided in found and (found == [0, 1, 2, 3]) == (first == "given")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs steps, seconds"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"seconds": 0}, "seconds must be a number above 0"),
        ({"seconds": float("nan")}, "seconds must be a number above 0"),
        ({"money": -1}, "money must be a number above 0"),
        ({"money": True}, "money must be a number above 0"),
        ({"steps": 5, "first": "best"}, "first is one of 'given', 'promising', 'doubtful'; got 'best'"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wv.Budget(**options)


@pytest.mark.parametrize("scope", ["plan", "chunk"])
@pytest.mark.parametrize("seed", range(6))
def test_the_best_plan_is_the_best_of_all(task: wv.Task, scope: Any, seed: int) -> None:
    near = wv.Task.from_mjcf(SLENDER, spec="a: always(joint(hinge) < 0.9 rad)", horizon=0.6, rate=25.0, name="Near")
    plans = [*branching(near, 30, seed), *(np.full((15, 1), x) for x in (0.1, 0.2, 0.1))]
    found = wv.verify(near, plans, scope=scope, rank="best", schedule=Schedule(lanes=4, chunk=40))
    plain = wv.verify(near, plans, scope=scope, schedule=PLAIN)
    assert found.best is not None and plain.best is not None
    assert (found.best.digest, found.ranking[0]) == (plain.best.digest, plain.ranking[0])
    for one, right in zip(found, plain, strict=True):
        assert one.digest == right.digest or (one.code, one.valid) == ("outranked", False)
    if scope == "plan":
        assert sum(v.cost.saved_by.get("rank", 0) for v in found) > 0
        assert all(v.cost.steps + v.cost.steps_saved == near.samples for v in found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rank": "worst"}, "rank must be one of 'best'"),
        ({"rank": "best", "schedule": Schedule(stop=False)}, "rank needs a schedule with stop=True"),
        ({"rank": "best", "margins": "full"}, "leave margins out"),
        ({"budget": wv.Budget(steps=1), "schedule": PLAIN}, "budget needs a schedule"),
    ],
)
def test_what_cannot_end_early_is_refused(task: wv.Task, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wv.verify(task, [np.zeros((15, 1))], **options)


@pytest.mark.parametrize("after", [1, 3, 6])
@pytest.mark.parametrize("where", ["begin", "observe", "save"])
@pytest.mark.parametrize("lanes", [4, 16])  # of one crew, and of two
def test_an_interrupt_keeps_what_was_decided(
    task: wv.Task, monkeypatch: pytest.MonkeyPatch, after: int, where: str, lanes: int
) -> None:
    plans, calls, honest = branching(task, 40), [0], getattr(MujocoEngine, where)

    def pressed(self: Any, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == after:
            raise KeyboardInterrupt
        return honest(self, *arguments)

    plain = wv.verify(task, plans)
    verifier = wv.LocalVerifier()
    with monkeypatch.context() as patched, pytest.raises(wv.Interrupted) as caught:
        patched.setattr(MujocoEngine, where, pressed)
        verifier.verify(task, [*plans, "no plan"], schedule=Schedule(lanes=lanes, chunk=40))
    found = caught.value.verdicts
    assert len(found) == len(plans) + 1 and found[-1].code == "no_plan"
    left = [v for v in found if v.code == "interrupted"]
    assert left and all(v.status == "INCONCLUSIVE" and not v.valid for v in left)
    for one, right in zip(found, plain, strict=False):
        assert one in left or one.digest == right.digest
    assert answers(verifier.verify(task, plans)) == answers(plain)  # it can be used again


# What goes wrong

WILD = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <body name="far"><joint name="slide" type="slide" axis="1 0 0"/><geom size=".05" mass="1e-4"/></body>
  </worldbody>
  <actuator><motor name="push" joint="slide" ctrlrange="-1e6 1e6"/></actuator>
</mujoco>
"""


@pytest.mark.parametrize("rules", [Schedule(), Schedule(lanes=2), Schedule(chunk=20), Schedule(stop=False)], ids=str)
def test_plans_that_ruin_their_physics_take_no_other_with_them(rules: Schedule) -> None:
    task = wv.Task.from_mjcf(WILD, spec="near: always(joint(slide) < 1e9 m)", horizon=0.4, rate=25.0, name="Wild")
    plans = [np.full((10, 1), x) for x in (0.0, 1e6, 1e-7, 1e6, -1e-7)]
    plans.append(np.vstack([plans[2][:5], plans[1][:5]]))  # begins well
    found, plain = wv.verify(task, plans, schedule=rules), wv.verify(task, plans, schedule=PLAIN)
    assert [v.status for v in plain] == ["PASS", "INVALID", "PASS", "INVALID", "PASS", "INVALID"]
    assert answers(found) == answers(plain)


def test_what_stays_undecided_is_undecided(task: wv.Task) -> None:
    late = wv.Task.from_mjcf(SLENDER, spec="late: eventually[0,2](joint(hinge) > 3 rad)", horizon=0.4, rate=25.0)
    plans = [np.full((10, 1), x) for x in (0.0, 0.1, 0.0)]
    found = wv.verify(late, plans)
    assert [v.status for v in found] == ["INCONCLUSIVE"] * 3
    assert answers(found) == answers(wv.verify(late, plans, schedule=PLAIN))


def test_a_lane_whose_clock_stands_still_is_not_believed(task: wv.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = MujocoEngine.state
    monkeypatch.setattr(MujocoEngine, "state", lambda self, lanes: honest(self, lanes) - 0.1)
    (found,) = wv.verify(task, [np.zeros((15, 1))])
    assert found.status == "INVALID"


# Its parts


@given(st.lists(st.lists(st.integers(0, 1), min_size=5, max_size=5), min_size=1, max_size=12), st.integers(1, 2))
def test_the_tree_holds_every_distinct_beginning_once(rows: list[list[int]], starts: int) -> None:
    matrix = np.array(rows, dtype=float)[:, :, None]
    begins = np.arange(len(rows))[:, None] % starts * 1.0
    roots = trie(begins, list(matrix))
    told: list[int] = []

    def walk(edge: Edge, before: int) -> int:
        assert edge.first == before < edge.last
        assert edge.plans == sorted(edge.plans)
        assert len({(begins[p, 0], *rows[p][: edge.last]) for p in edge.plans}) == 1
        if not edge.below:
            assert edge.last == 5
            told.extend(edge.plans)
        else:
            assert sorted(p for below in edge.below for p in below.plans) == edge.plans
        return edge.last - edge.first + sum(walk(below, edge.last) for below in edge.below)

    periods = sum(walk(root, 0) for root in roots)
    assert sorted(told) == list(range(len(rows)))
    assert periods == len({(begins[i, 0], *row[:k]) for i, row in enumerate(rows) for k in range(1, 6)})


def test_controls_that_differ_in_the_sign_of_zero_are_not_shared(task: wv.Task) -> None:
    found = wv.verify(task, [np.zeros((15, 1)), np.full((15, 1), -0.0)])
    assert [v.cost.steps for v in found] == [300, 300]


def test_lanes_that_go_on_from_another_show_what_it_would_have_shown() -> None:
    task = wv.load("PickCube-v0")
    (made,) = compile_for(task, task.start(0)[None], [task.good])
    held = np.repeat(made.controls, task.substeps, axis=0)[None]
    engine, lane = MujocoEngine(task.scene.model, 3), np.array([1])
    engine.load(lane, task.start(0)[None])
    engine.advance(lane, held[:, :300])
    fork = engine.save(lane)
    right = engine.advance(lane, held[:, 300:600])
    engine.load(np.array([0, 2]), np.stack([task.start(1)] * 2))
    engine.advance(np.array([0, 2]), np.repeat(held[:, :100], 2, axis=0))
    for other in (0, 2):
        engine.restore(np.array([other]), fork)
        found = engine.advance(np.array([other]), held[:, 300:600])
        assert np.array_equal(found.value, right.value) and np.array_equal(found.fault, right.fault)


def test_a_fork_remembers_what_the_checks_had_seen(task: wv.Task) -> None:
    """A lane that is put somewhere else has jumped, unless it was loaded; a fork has not."""
    engine, lane = MujocoEngine(task.scene.model, 2), np.array([0])
    engine.load(lane, task.start(0)[None])
    engine.advance(lane, np.full((1, 50, 1), 2.0))
    engine.restore(np.array([1]), engine.save(lane))
    assert all(np.array_equal(field[0], field[1]) for field in engine._checks._memory)


@pytest.mark.parametrize("kind", [Online, Whole])
def test_watched_formulas_go_on_in_another_lane(kind: type) -> None:
    formulas = (("always", 2, 20, ("eventually", 0, 3, ("atom", 0))), ("until", 1, 9, ("atom", 1), ("atom", 0)))
    margins = np.random.default_rng(0).normal(size=(2, 1, 25))
    watcher = kind(formulas, 24, 2)
    watcher.add(np.array([0]), margins[:, :, :7])
    watcher.restore(np.array([1]), watcher.save(np.array([0])))
    one, other = (watcher.add(np.array([lane]), margins[:, :, 7:]) for lane in (0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_memory_is_given_back_as_plans_are_decided(task: wv.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    look = queue._Lanes._look
    monkeypatch.setattr(
        queue._Lanes,
        "_look",
        lambda self, crew, *a: (held.append(len(self._decided) + len(crew.running)), look(self, crew, *a))[1],
    )
    wv.verify(task, branching(task, 400), schedule=Schedule(lanes=4, share=False))
    assert max(held) <= queue.JUDGED_TOGETHER + 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stop": 1}, "stop must be True or False; got 1"),
        ({"lanes": 0}, "lanes must be a whole number from 1 on, or None; got 0"),
        ({"chunk": 2.5}, "chunk must be a whole number from 1 on, or None; got 2.5"),
        ({"lanes": True}, "lanes must be"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Schedule(**options)


# On the command line


@pytest.fixture
def plans_file(tmp_path: Path) -> str:
    path = tmp_path / "plans.jsonl"
    texts = ['{"skills": [{"skill": "pick", "object": "cube"}]}', '{"skills": [{"skill": "home"}]}', "nonsense"]
    path.write_text(
        "".join(json.dumps({"id": f"p{i}", "text": text}) + "\n" for i, text in enumerate([*texts, texts[0]]))
    )
    return str(path)


def test_the_command_says_what_was_saved(plans_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "PickCube-v0", plans_file]) == 0
    said = capsys.readouterr().out
    assert re.search(r"1,\d{3} of 3,000 physics steps were simulated; saved: .*33% shared with another plan", said)


def test_the_command_ends_early(plans_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "PickCube-v0", plans_file, "--most-steps", "300"]) == 0
    assert "Undecided: the budget ended" in capsys.readouterr().out
    assert main(["verify", "PickCube-v0", plans_file, "--most-seconds", "600", "--rank", "best"]) == 0
    assert "PASS" in capsys.readouterr().out


def test_an_interrupted_command_writes_what_was_decided(
    plans_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(MujocoEngine, "begin", pressed)
    out = tmp_path / "out.jsonl"
    assert main(["verify", "PickCube-v0", plans_file, "--json", str(out)]) == 130
    assert [json.loads(line)["code"] for line in out.read_text().splitlines()] == [
        *("interrupted", "interrupted", "no_plan", "interrupted")
    ]
    assert "interrupted" in capsys.readouterr().err


# What is known from before


def test_a_start_is_looked_at_once(task: wv.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    honest = wv.Scene.check_start
    monkeypatch.setattr(wv.Scene, "check_start", lambda self, state: (looked.append(1), honest(self, state))[1])
    verifier, plans = wv.LocalVerifier(), [np.zeros((15, 1)), np.full((15, 1), 0.1)]
    first = verifier.verify(task, plans)
    assert answers(verifier.verify(task, plans)) == answers(first) and len(looked) == 1
    bad = task.start(0)
    bad[1] = np.nan
    for _ in range(2):
        assert {v.code for v in verifier.verify(task, plans, state=bad)} == {"initial_state"}
    assert len(looked) == 2
    verifier.verify(task, plans, scope="chunk")
    assert len(looked) == 3


def test_twins_are_found_by_start_and_controls() -> None:
    states = np.array([[0.0], [1.0], [0.0], [0.0], [-0.0]])
    controls = [np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((3, 1)), np.zeros((2, 1))]
    assert twins(states, controls) == ([0, 1, 3, 4], [0, 1, 0, 2, 3])
