"""The conformance test of tasks catches what is wrong with a task, each thing by itself, and lists all of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.domain import Domain
from worldverify.engines import physics
from worldverify.engines.backend import Backend
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.simulate import simulate
from worldverify.testing import TOY, cheats, check_task, examine_task, toy_task
from worldverify.testing.frozen import FrozenEngine
from worldverify.testing.seeds import Seeds
from worldverify.verdict import Verdict, Verdicts

FEW = 3  # seeds

# A ball that a paddle pushes along a track to a zone; a wall stands behind the paddle.
TRACK = """
<mujoco model="track">
  <option timestep="0.005" integrator="implicitfast" jacobian="dense"/>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <geom name="wall" type="box" pos="-.5 0 .1" size=".02 .2 .1"/>
    <site name="zone" type="box" pos=".3 0 .05" size=".1 .1 .1"/>
    <body name="paddle" pos="-.2 0 .06">
      <joint name="rail" type="slide" axis="1 0 0" range="-1 1" damping="1"/>
      <geom name="blade" type="box" size=".02 .1 .04" mass="1"/>
    </body>
    <body name="block" pos="0 0 .03">
      <freejoint/>
      <geom name="block_box" type="box" size=".03 .03 .03" mass=".2"/>
    </body>
  </worldbody>
  <actuator><position name="drive" joint="rail" kp="200" kv="40" ctrlrange="-1 1"/></actuator>
</mujoco>
"""
TRACK_SPEC = """
placed: eventually(always[0,0.2](inside(block, zone) and speed(block) < 0.05 m/s))
clear:  always(contact_force(paddle, wall) < 30 N)
"""
AT_REST = "speed(block) < 0.05 m/s"
NOT_YET = "not inside(block, zone)"


def track(**changes: Any) -> wv.Task:
    ramp = np.linspace(0.0, 0.45, 12)[:, None]
    fields: dict[str, Any] = {
        "spec": TRACK_SPEC,
        "horizon": 3.0,
        "rate": 10.0,
        "instruction": "Push the block into the zone.",
        "precondition": f"{NOT_YET} and {AT_REST}",
        "good": ramp,
        "bad": {"placed": np.zeros((1, 1)), "clear": np.concatenate([ramp, np.full((6, 1), 0.4), [[-0.9]]])},
    }
    return wv.Task.from_mjcf(TRACK, **fields | changes)


def told(task: wv.Task, verifier: Any = None) -> str:
    """All that check_task complains of."""
    with pytest.raises(AssertionError) as caught:
        check_task(task, verifier, seeds=FEW)
    return str(caught.value)


@pytest.mark.parametrize("task", [toy_task(), track()], ids=["toy", "track"])
def test_a_sound_task_is_reported_with_all_that_was_asked(task: wv.Task) -> None:
    report = check_task(task, seeds=FEW)
    assert report.problems == () and set(report.plans) == {
        "the good plan",
        *(f"the bad plan for {name!r}" for name in task.spec.names),
    }
    assert [twin.name for twin in report.twins] == ["permuted", "mirrored"]
    assert all(twin.gap < 1e-6 for twin in report.twins)
    text = str(report)
    assert all(part in text for part in ("sound", "cheat:", "INVALID(precondition)", "clock stopped", "permuted"))
    assert "has neither randomise nor a domain" in text


def test_every_kind_of_cheat_is_tried_where_there_is_something_loose() -> None:
    tried = " ".join(map(str, check_task(track(), seeds=FEW).cheats))
    for cheat in (
        "nothing done, holding still: FAIL(placed)",
        "block thrown to where it should end, in 0.3 s, the good plan: INVALID(precondition)",
        "block parked at the goal, holding still: INVALID(precondition)",
        "block parked at the goal, no actions: INVALID(empty)",
        "block pressed 2.5 mm into geom 'floor', the good plan: INVALID(initial_state)",
        "block shot through geom 'floor', the good plan: INVALID(precondition)",
        "paddle shot through geom 'wall', the good plan: ",
        "clock stopped, the good plan: INVALID(initial_state)",
        "frozen simulation, the good plan: INVALID",
    ):
        assert cheat in tried


def test_all_problems_are_listed_one_a_line() -> None:
    task = replace(toy_task(), instruction=" ", precondition="", bad={})
    lines = told(task).splitlines()
    for problem in ("no instruction", "needs a bad plan for each", "parked at the goal, holding what is: PASS"):
        assert sum(problem in line for line in lines) == 1
    assert tuple(lines) == examine_task(task, seeds=FEW).problems


def test_a_start_that_differs_from_call_to_call_is_caught() -> None:
    fickle = iter(range(1000))

    def randomise(generator: Any, model: Any, data: Any) -> None:
        data.qpos[0] = 1e-4 * next(fickle)

    assert "two different starts" in told(replace(toy_task(), randomise=randomise))


def test_a_start_that_the_task_does_not_begin_from_is_caught() -> None:
    def randomise(generator: Any, model: Any, data: Any) -> None:
        data.qpos[0] = 0.55 * (generator.integers(2) == 1)  # into the wall

    assert "has no start: The start state pushes" in told(replace(toy_task(), randomise=randomise))


def far_away(generator: Any, model: Any, data: Any) -> None:
    """From some seeds the cart starts far behind the first point of the plan, and hurries."""
    data.qpos[0] = -0.5 * (generator.random() < 0.6)


def test_a_good_plan_that_is_good_from_few_seeds_is_caught() -> None:
    said = told(replace(toy_task(), randomise=far_away))
    assert "is not steady: " in said and " of 3 seeds pass; with 95% confidence at least " in said
    assert "seed 1: FAIL: " in said and "`unsteady`" in said


def test_a_task_may_say_why_its_good_plan_is_not_steady() -> None:
    task = replace(toy_task(), randomise=far_away, unsteady="The ramp is written for the start of seed 0.")
    report = examine_task(task, seeds=FEW)
    assert not any("steady" in problem for problem in report.problems)
    assert "The ramp is written for the start of seed 0." in str(report)


def test_the_domain_is_drawn_too() -> None:
    steady, rough = replace(toy_task(), domain=Domain(gain=0.01)), replace(toy_task(), domain=Domain(delay=20.0))
    assert check_task(steady, seeds=FEW).seeds == Seeds(FEW, FEW, ())
    assert "is not steady: " in told(rough)


@pytest.mark.parametrize(
    ("passed", "tried", "enough"), [(95, 100, True), (94, 100, False), (9, 10, True), (8, 10, False)]
)
def test_enough_seeds_are_95_percent_and_one_failure_is_no_evidence(passed: int, tried: int, enough: bool) -> None:
    assert Seeds(passed, tried, ()).enough is enough


def test_the_statement_about_seeds_is_exact() -> None:
    said = str(Seeds(100, 100, ()))
    assert said == f"100 of 100 seeds pass; with 95% confidence at least {0.05**0.01:.1%} of all do"


class LeftHanded(wv.LocalVerifier):
    """Judges a scene other than the task's own by holding still."""

    def __init__(self, task: wv.Task) -> None:
        super().__init__()
        self._scene = task.scene

    def verify(self, task: Any, plans: Any, **options: Any) -> Verdicts:
        if task.scene is not self._scene:
            plans = [np.zeros((1, 1))] * len(plans)
        return super().verify(task, plans, **options)


def test_a_verdict_that_depends_on_the_order_or_the_side_of_things_is_caught() -> None:
    task = toy_task()
    said = told(task, LeftHanded(task))
    for name in ("permuted", "mirrored"):
        assert f"In the {name} scene the good plan of Toy is FAIL instead of PASS" in said
        assert f"In the {name} scene the bad plan for 'slow' of Toy has a margin of " in said


class Lenient(wv.LocalVerifier):
    """Lets pass what it should refuse for some reasons."""

    def __init__(self, *codes: str) -> None:
        super().__init__()
        self._codes = codes

    def verify(self, task: Any, plans: Any, **options: Any) -> Verdicts:
        return Verdicts(tuple(map(self._judged, super().verify(task, plans, **options))))

    def _judged(self, verdict: Verdict) -> Verdict:
        return replace(verdict, status="PASS", cause=None, code=None) if verdict.code in self._codes else verdict


@pytest.mark.parametrize(
    ("code", "cheat"),
    [
        ("precondition", "block thrown to where it should end, in 0.3 s, the good plan"),
        ("precondition", "block parked at the goal, holding still"),
        ("precondition", "block shot through geom 'floor', the good plan"),
        ("empty", "nothing done, no actions"),
        ("empty", "block parked at the goal, no actions"),
        ("initial_state", "block pressed 2.5 mm into geom 'floor', holding still"),
        ("initial_state", "clock stopped, the good plan"),
        ("tunnelling", "paddle shot through geom 'wall', the good plan"),
    ],
)
def test_a_cheat_that_passes_is_caught(code: str, cheat: str) -> None:
    assert f"A cheat gets PASS in track: {cheat}: PASS." in told(track(), Lenient(code))


@pytest.mark.parametrize(
    ("precondition", "cheat"),
    [
        (AT_REST, "block parked at the goal, holding still"),
        (NOT_YET, "block thrown to where it should end, in 0.3 s, holding still"),
    ],
)
def test_a_precondition_that_says_too_little_is_caught(precondition: str, cheat: str) -> None:
    said = told(track(precondition=precondition))
    assert f"A cheat gets PASS in track: {cheat}: PASS. Give the task a precondition" in said


def test_a_robot_that_starts_in_the_goal_is_caught_where_nothing_is_loose() -> None:
    assert "robot parked at the goal, holding what is: PASS" in told(replace(toy_task(), precondition=""))


def test_a_start_that_must_be_refused_may_not_even_fail() -> None:
    class Bold(Lenient):
        def _judged(self, verdict: Verdict) -> Verdict:
            return replace(verdict, status="FAIL") if verdict.code == "initial_state" else verdict

    assert "A cheat gets FAIL(initial_state) in track: block pressed" in told(track(), Bold())


def test_an_engine_that_stands_still_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def believed(job: Any, engine: Any, states: Any, controls: Sequence[Any], chunk: int) -> Any:
        return simulate(engine, states, controls, substeps=job.task.substeps, samples=job.task.samples)

    assert check_task(toy_task(), seeds=FEW).cheats[-1].verdict == "INVALID"
    monkeypatch.setattr(cheats, "simulated", believed)
    assert "A cheat gets PASS in Toy: frozen simulation" in told(toy_task())


def test_a_frozen_engine_repeats_what_it_showed_and_its_clock_stops() -> None:
    task = toy_task()
    engine = FrozenEngine(MujocoEngine(task.scene.model, 1, threads=1), 50)
    start, lane = task.start()[None], np.arange(1)
    controls = np.full((1, 30, 1), 0.3)
    engine.load(lane, start)
    value = np.concatenate([engine.advance(lane, controls).value for _ in range(3)], axis=1)[0]
    assert (np.diff(value[:50], axis=0) != 0).any(axis=1).all()
    assert (value[50:] == value[50]).all() or (value[50:] == value[49]).all()
    assert engine.state(lane)[0, 0] == pytest.approx(50 * task.timestep)
    assert (engine.observe(lane).value[0, 0] == engine.observe(lane).value[0, 0]).all()


def test_an_engine_of_physics_whose_clock_stops_is_believed_no_sample() -> None:
    task = toy_task()
    job = physics.Job(task, False, True, None, lambda steps: None)
    start, controls = np.stack([task.start()] * 2), [task.good.actions, task.bad["slow"].actions]  # type: ignore[union-attr]
    for at, wrong in ((0.9, True), (1.0, False)):
        engine = FrozenEngine(MujocoEngine(task.scene.model, 2, threads=1), round(at * task.samples))
        trace = physics.simulated(job, engine, start, controls, 1000)
        assert (trace.fault != 0).all() == (trace.fault != 0).any() == wrong


def test_a_scene_that_has_no_twin_is_reported_and_not_failed() -> None:
    hills = '<asset><hfield name="hills" nrow="2" ncol="2" size="1 1 .2 .1" elevation="0 1 2 0"/></asset><worldbody>'
    xml = TRACK.replace("<worldbody>", hills + '<geom type="hfield" hfield="hills" pos="5 5 0"/>')
    task = track()
    other = wv.Task.from_mjcf(
        xml,
        spec=TRACK_SPEC,
        horizon=3.0,
        rate=10.0,
        instruction=task.instruction,
        precondition=task.precondition,
        good=task.good,
        bad=task.bad,
    )
    report = check_task(other, seeds=FEW)
    assert [twin.name for twin in report.twins] == ["permuted"]
    assert "has no mirrored twin: the scene has height fields" in str(report)


def test_a_task_of_guards_alone_may_be_passed_by_doing_nothing() -> None:
    guards = track(spec="clear: always(contact_force(paddle, wall) < 30 N)", precondition="", bad={})
    report = examine_task(replace(guards, bad={"clear": track().bad["clear"]}), seeds=FEW)
    assert report.problems == () and "has guards and no goals" in str(report)


def test_a_task_without_a_good_plan_says_what_waits_for_it() -> None:
    report = examine_task(replace(toy_task(), good=None), seeds=FEW)
    assert "Seeds, symmetry and cheats are tried once the good plan passes." in report.unchecked
    assert str(report).startswith("Toy: 1 problem\n")


def test_it_works_without_names_where_only_the_toy_has_them() -> None:
    xml = TOY.replace('name="wall" ', "").replace('name="floor" ', "").replace('name="cart_box" ', "")
    spec = "arrives: eventually(always[0,0.1](inside(cart, zone)))\nslow: always(speed(cart) < 0.9 m/s)"
    task = toy_task()
    report = examine_task(
        wv.Task.from_mjcf(
            xml,
            spec=spec,
            horizon=2.0,
            rate=10.0,
            instruction="Go.",
            precondition="not inside(cart, zone)",
            good=task.good,
            bad={name: task.bad[name] for name in ("arrives", "slow")},
        ),
        seeds=FEW,
    )
    assert not report.problems and "a geom of body 'world'" in str(report)


@pytest.mark.engines
def test_a_task_can_be_checked_on_another_engine() -> None:
    verifier = wv.LocalVerifier(backend=Backend("mjx", "warp", "cpu"))
    assert check_task(toy_task(), verifier, seeds=FEW).problems == ()
