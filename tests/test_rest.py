"""What rests is left out of the solver: margins move a little, statuses and violated requirements do not."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify import Schedule
from worldverify.compile import compile_for
from worldverify.engines import physics
from worldverify.engines.physics import REST_AUDITED, REST_BAND
from worldverify.kernels.engine import Fault
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.kernels.mujoco_rest import SLOWEST

REST = Schedule(rest=True)
PLAIN = Schedule.exhaustive()
FAR = 1e-3  # SI: what rests has not moved by more, nor what touches it later
SCENE = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 .1"/>
    <body name="pole" pos="0 0 .4"><joint name="hinge" axis="0 1 0" damping=".05"/>
      <geom name="tip" type="capsule" size=".02" fromto="0 0 0 0 0 -.3" mass=".3"/>
      <site name="eye" pos="0 0 -.3" size=".1"/></body>
    <body name="near" pos=".25 0 .0999"><freejoint/><geom type="box" size=".05 .05 .1" mass=".1"/></body>
    <body name="far" pos="1.5 0 .0499"><freejoint/><geom type="box" size=".05 .05 .05" mass=".1"/></body>
    <body name="top" pos="1.5 0 .1497"><freejoint/><geom type="box" size=".05 .05 .05" mass=".1"/></body>
  </worldbody>
  <actuator><motor name="push" joint="hinge" ctrlrange="-3 3"/></actuator>
</mujoco>
"""
SPEC = """
slow:  always(joint_speed(hinge) < 9 rad/s)
stays: always(speed(near) < 0.5 m/s and tilt(near) < 20 deg)
other: always(speed(far) < 0.5 m/s and pos(top).z > 0.1 m)
clear: always(clearance(tip, far) > 0.1 m and distance(eye, near) < 9 m)
up:    eventually(joint(hinge) > 0.2 rad)
"""


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return wv.Task.from_mjcf(SCENE, spec=SPEC, horizon=0.6, rate=25.0, name="Rest")


pytestmark = pytest.mark.usefixtures("no_failure_goes_unseen")


def plans_of(task: wv.Task, count: int) -> list[Any]:
    """(T, nu) controls of every strength: those that leave all as it is, and those that strike what rests."""
    generator = np.random.default_rng(0)
    found = []
    for strength in np.linspace(-1, 1, count):
        rows = np.full((task.steps, 1), 2.0 * strength)
        rows[int(generator.integers(1, task.steps)) :] = generator.normal(scale=0.3)
        found.append(np.clip(rows, -3, 3))
    return found


def said(verdicts: wv.Verdicts) -> list[Any]:
    """What rest does not change."""
    return [(v.status, v.cause, v.first_violation and v.first_violation.requirement, v.valid) for v in verdicts]


def digests(verdicts: wv.Verdicts) -> list[str]:
    return [v.digest for v in verdicts]


def methods(verdicts: wv.Verdicts) -> list[str]:
    return [v.engine["method"] for v in verdicts]


# The law


def same_as_plain(task: wv.Task) -> set[str]:
    """Judges a good plan, bad ones and perturbed ones both ways; the methods of the verdicts."""
    assert task.good is not None
    plans = [task.good, *task.bad.values()]
    starts = np.broadcast_to(task.start(0), (len(plans), task.scene.nstate))
    made = [one.controls for one in compile_for(task, starts, plans) if not isinstance(one, wv.Refusal)]
    generator, (low, high) = np.random.default_rng(0), task.scene.model.actuator_ctrlrange.T
    for i, rows in enumerate(made[:4]):
        cut, noise = generator.integers(len(rows)), generator.normal(scale=(0.02, 0.1)[i % 2], size=rows.shape[1])
        rows = np.where(np.arange(len(rows))[:, None] < cut, rows, np.clip(rows + noise, low, high))
        plans.append(wv.Plan(None, "ctrl", task.rate, rows))
    found = wv.verify(task, plans, schedule=REST)
    assert said(found) == said(wv.verify(task, plans))
    return set(methods(found))


def test_on_a_task_rest_changes_no_status_and_no_violated_requirement(a_task: str) -> None:
    task = wv.load(a_task)
    assert ("rest" in same_as_plain(task)) == (task.scene.resting is not None)


def test_in_clutter_rest_changes_no_status_and_no_violated_requirement() -> None:
    assert "rest" in same_as_plain(wv.load("PickClutter-v0"))


def test_what_is_struck_wakes_and_every_verdict_is_that_of_the_plain_run(task: wv.Task) -> None:
    plans = plans_of(task, 40)
    found, plain = wv.verify(task, plans, schedule=REST), wv.verify(task, plans, schedule=PLAIN)
    assert said(found) == said(plain)
    assert {v.first_violation.requirement for v in plain if v.first_violation} >= {"stays", "slow"}
    assert methods(found).count("rest") > 20


@pytest.mark.parametrize(
    "rules", [Schedule(rest=True, stop=False), replace(PLAIN, rest=True), Schedule(rest=True, share=False)], ids=str
)
@pytest.mark.parametrize("scope", ["plan", "chunk"])
def test_with_other_rules_on_or_off_rest_finds_the_same(task: wv.Task, rules: Schedule, scope: Any) -> None:
    plans = plans_of(task, 12)
    assert said(wv.verify(task, plans, scope=scope, schedule=rules)) == said(wv.verify(task, plans, scope=scope))
    full = wv.verify(task, plans, scope=scope, schedule=rules, margins="full")
    assert said(full) == said(wv.verify(task, plans, scope=scope, margins="full"))


# A plan's verdict is its own


@pytest.mark.parametrize(
    "rules", [REST, replace(REST, lanes=1), replace(REST, lanes=3, chunk=37), replace(REST, refill=False)], ids=str
)
def test_digests_depend_neither_on_lanes_nor_on_company_nor_on_what_a_lane_held(task: wv.Task, rules: Schedule) -> None:
    plans = plans_of(task, 20)
    verifier = wv.LocalVerifier()
    first = digests(verifier.verify(task, plans, schedule=REST))
    assert digests(verifier.verify(task, plans, schedule=rules)) == first
    assert digests(verifier.verify(task, plans[::-1], schedule=rules)) == first[::-1]
    assert digests(verifier.verify(task, [plans[3]], schedule=rules)) == [first[3]]


def test_a_lane_that_is_loaded_has_forgotten_what_rested_in_it(task: wv.Task) -> None:
    fresh, used = (MujocoEngine(task.scene.model, 1, resting=task.scene.resting) for _ in range(2))
    lane, still = np.array([0]), np.zeros((1, 200, 1))
    used.load(lane, task.start(0)[None])
    used.advance(lane, still)
    used.observe(lane)
    raised = task.start(0)[None].copy()
    raised[0, 1 + 1 + 7 + 2] += 0.05  # the far box, in the air
    for engine in (fresh, used):
        engine.load(lane, raised)
    a, b = fresh.advance(lane, still), used.advance(lane, still)
    assert np.array_equal(a.value, b.value) and not a.fault.any() and not b.fault.any()
    assert np.array_equal(fresh.state(lane), used.state(lane))
    assert fresh.state(lane)[0, 1 + 1 + 7 + 2] < raised[0, 1 + 1 + 7 + 2] - 0.04  # it fell


def test_what_moves_is_seen_beside_what_rests(task: wv.Task) -> None:
    lane, push = np.array([0]), np.full((1, 300, 1), -0.4)
    shown = []
    for resting in (None, task.scene.resting):
        engine = MujocoEngine(task.scene.model, 1, resting=resting)
        engine.load(lane, task.start(0)[None])
        samples = engine.advance(lane, push)
        assert not samples.fault.any()
        shown.append(samples.value)
    columns = [i for i in range(task.scene.model.nsensor) if "deepest" not in task.scene.model.sensor(i).name]
    parts = [task.scene.model.sensor(i) for i in columns]
    for part in parts:
        plain, found = (one[0, :, int(part.adr[0]) : int(part.adr[0] + part.dim[0])] for one in shown)
        assert np.abs(plain - found).max() < FAR, part.name
    tip = shown[1][0][:, int(task.scene.model.sensor("wv/clearance/tip/far").adr[0])]
    assert np.ptp(tip) > 0.01


# What may rest


def may_rest(spec: str, scene: str = SCENE) -> list[str]:
    """Names of the things that rest for a spec."""
    task = wv.Task.from_mjcf(scene, spec=spec, horizon=0.6, rate=25.0, name="May")
    model = task.scene.resting
    if model is None:
        return []
    allowed = model.tree_sleep_policy != mujoco.mjtSleepPolicy.mjSLEEP_NEVER
    return [model.body(int(model.tree_bodyadr[tree])).name for tree in np.flatnonzero(allowed)]


@pytest.mark.parametrize(
    ("spec", "rests"),
    [
        ("a: always(joint(hinge) < 9 rad)", ["near", "far", "top"]),
        ("a: always(speed(near) < 9 m/s and clearance(near, far) > 0 m)", ["near", "far", "top"]),
        ("a: always(contact_load(pole, near) < 9 N)", ["near", "far", "top"]),
        ("a: always(contact_load(floor, near) < 9 N)", ["far", "top"]),
        ("a: at_end(contact_force(far, top) > 0.1 N)", ["near"]),
        ("a: always(torque(hinge) < 9 Nm)", ["near", "far", "top"]),
    ],
)
def test_what_a_sensor_would_show_out_of_date_does_not_rest(spec: str, rests: list[str]) -> None:
    assert may_rest(spec) == rests


@pytest.mark.parametrize(
    ("sensor", "rests"),
    [
        ('<contact name="s"/>', []),
        ('<contact name="s" geom1="floor"/>', []),
        ('<contact name="s" site="spot"/>', []),
        ('<contact name="s" body1="near" geom2="floor"/>', ["far", "top"]),
        ('<touch name="s" site="spot"/>', []),
        ('<e_potential name="s"/>', []),
        ('<subtreecom name="s" body="near"/>', ["far", "top"]),
        ('<rangefinder name="s" site="spot"/>', ["near", "far", "top"]),
    ],
)
def test_a_sensor_of_the_scene_that_sees_farther_keeps_more_awake(sensor: str, rests: list[str]) -> None:
    scene = SCENE.replace("<worldbody>", '<worldbody><site name="spot" size=".5"/>', 1)
    scene = scene.replace("</mujoco>", f"<sensor>{sensor}</sensor></mujoco>")
    assert may_rest("a: always(joint(hinge) < 9 rad)", scene) == rests


SPRING = """<tendon><spatial stiffness="9"><site site="eye"/><site site="spot"/></spatial></tendon>"""
NO_ISLANDS = """<option><flag island="disable"/></option>"""


@pytest.mark.parametrize("more", [SPRING, NO_ISLANDS])
def test_nothing_rests_where_things_push_each_other_without_touching_or_are_solved_together(more: str) -> None:
    scene = SCENE.replace("<worldbody>", '<worldbody><site name="spot"/>', 1).replace("</mujoco>", f"{more}</mujoco>")
    assert may_rest("a: always(joint(hinge) < 9 rad)", scene) == []


def test_what_its_author_put_to_sleep_or_keeps_awake_does_not_rest() -> None:
    scene = SCENE.replace('name="far"', 'name="far" sleep="never"').replace('name="near"', 'name="near" sleep="init"')
    assert may_rest("a: always(joint(hinge) < 9 rad)", scene) == ["top"]


def test_sleep_begins_later_than_mujoco_lets_it(task: wv.Task) -> None:
    assert task.scene.resting is not None and task.scene.resting.opt.sleep_tolerance == SLOWEST < 1e-3


def test_where_nothing_may_rest_the_verdict_is_the_plain_one() -> None:
    task = wv.Task.from_mjcf(
        SCENE,
        spec="a: always(contact_load(floor, near) < 99 N and contact_load(far, top) < 99 N)",
        horizon=0.6,
        rate=25.0,
    )
    plans = plans_of(task, 3)
    assert digests(wv.verify(task, plans, schedule=REST)) == digests(wv.verify(task, plans))


# What does not stand


def test_the_method_is_named_and_has_a_digest_of_its_own(task: wv.Task) -> None:
    plans = plans_of(task, 20)
    found, plain = wv.verify(task, plans, schedule=REST), wv.verify(task, plans)
    assert {*methods(found)} == {"rest"} and {*methods(plain)} == {"exhaustive"}
    for a, b in zip(found, plain, strict=True):
        assert a.digest != b.digest and a.request == b.request


def test_a_verdict_near_its_opposite_is_that_of_the_plain_run(task: wv.Task) -> None:
    for share, method in ((0.5, "exhaustive"), (2.0, "rest")):
        spec = "up: eventually(joint(hinge) > -1 rad)\nlow: always(pos(top).z > 0.1 m)\nend: at_end(pos(far).z > {} m)"
        high = task.start(0)[1 + 1 + 7 + 2] - share * REST_BAND * 0.01
        close = wv.Task.from_mjcf(SCENE, spec=spec.format(high), horizon=0.6, rate=25.0, name="Close")
        (found,) = wv.verify(close, [np.zeros((15, 1))], schedule=REST)
        assert found.status == "PASS" and methods([found]) == [method]  # type: ignore[arg-type]
        assert any("scales lower or higher" in w for w in found.warnings) == (method == "exhaustive")
        assert found.cost.steps == close.samples * (2 if method == "exhaustive" else 1)


def test_what_could_not_be_believed_is_judged_again(task: wv.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = MujocoEngine.begin

    def wild(self: Any, *arguments: Any) -> Any:
        check = honest(self, *arguments)

        def checked() -> Any:
            samples = check()
            samples.fault[:, 5] |= int(Fault.UNBALANCED) if self._rests else 0
            return samples

        return checked

    plans = plans_of(task, 5)
    plain = wv.verify(task, plans)
    monkeypatch.setattr(MujocoEngine, "begin", wild)
    found = wv.verify(task, plans, schedule=REST)
    assert digests(found) == digests(plain)
    assert all("could not be believed" in v.warnings[-1] for v in found)


def test_an_audit_that_contradicts_leaves_the_plain_verdict_and_says_so(
    task: wv.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = wv.Task.from_mjcf(SCENE, spec="a: always(pos(top).z > 0.1 m)", horizon=0.6, rate=25.0, name="Wrong")
    assert wrong.scene.resting is not None
    wrong.scene.resting.geom_size[:, 2] *= 0.5  # the tower is half as high where things rest
    monkeypatch.setattr(physics, "REST_AUDITED", 1.0)
    (found,) = wv.verify(wrong, [np.zeros((15, 1))], schedule=REST)
    assert found.digest == wv.verify(wrong, [np.zeros((15, 1))])[0].digest
    assert "an audit contradicted the run in which things rest, which gave FAIL" in found.warnings[-1]


def test_a_small_share_is_audited_and_a_plan_always_is_or_never(task: wv.Task) -> None:
    plans = [np.full((15, 1), x) for x in np.linspace(-0.01, 0.01, 400)]
    short = wv.Task.from_mjcf(SCENE, spec="a: always(speed(top) < 0.5 m/s)", horizon=0.04, rate=25.0, name="Short")
    found = wv.verify(short, [rows[:1] for rows in plans], schedule=REST)
    audited = [i for i, v in enumerate(found) if v.warnings and "drawn for an audit" in v.warnings[-1]]
    assert 0 < len(audited) < 4 * 400 * REST_AUDITED
    alone = wv.verify(short, [plans[audited[0]][:1]], schedule=REST)
    assert digests(alone) == [found[audited[0]].digest] and methods(alone) == ["exhaustive"]


# Its bill and its company


def test_of_twins_one_is_run_and_beginnings_are_not_shared(task: wv.Task) -> None:
    first = np.full((15, 1), -0.05)
    other = first.copy()
    other[10:] = -0.06
    found = wv.verify(task, [first, other, first], schedule=Schedule(rest=True, stop=False))
    assert methods(found) == ["rest"] * 3
    assert found[2].cost.steps == 0 and found[2].cost.saved_by == {"share": task.samples}
    assert found[1].cost.steps == task.samples and "share" not in found[1].cost.saved_by


def test_a_budget_ends_it_and_leaves_what_it_has_decided(task: wv.Task) -> None:
    plans = plans_of(task, 20)
    found = wv.verify(task, plans, schedule=replace(REST, lanes=2, chunk=40), budget=wv.Budget(steps=1500))
    left = [v.code == "budget" for v in found]
    assert any(left) and not all(left)
    for v, plain in zip(found, said(wv.verify(task, plans)), strict=True):
        assert v.code == "budget" or v.status == plain[0]


def test_rest_is_refused_where_it_makes_no_sense(task: wv.Task) -> None:
    with pytest.raises(ValueError, match="leave rank or rest out"):
        wv.verify(task, [np.zeros((15, 1))], rank="best", schedule=REST)
    for first in ("promising", "doubtful"):
        with pytest.raises(ValueError, match=f"leave first='{first}' out of the budget"):
            wv.verify(task, [np.zeros((15, 1))], budget=wv.Budget(steps=9, first=first), schedule=REST)
    with pytest.raises(ValueError, match="rest must be True or False; got 1"):
        Schedule(rest=1)  # type: ignore[arg-type]
    verifier = wv.LocalVerifier()
    verifier._physics = SimpleNamespace(ends_early=False, close=lambda: None)
    with pytest.raises(ValueError, match="rest is for MuJoCo C"):
        verifier.verify(task, [np.zeros((15, 1))], schedule=REST)
