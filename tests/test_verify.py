"""Plans in, verdicts out: the local verifier, from hostile input to a given state."""

import json
import math
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.engines.physics import MujocoPhysics
from worldverify.local import LocalVerifier
from worldverify.refusal import CODES, Refusal
from worldverify.scene import STATE
from worldverify.testing import TOY, check_task, check_verifier, toy_task
from worldverify.verdict import Verdict, Verdicts


@pytest.mark.parametrize("options", [{}, {"threads": 1}, {"threads": 2, "chunk": 3}])
def test_the_local_verifier_passes_the_suite(options: dict[str, int]) -> None:
    check_verifier(LocalVerifier(**options))


class Broken:
    """A verifier in front of the true one, for subclasses to break."""

    def __init__(self) -> None:
        self.true = LocalVerifier()

    def verify(self, task: Any, plans: Any, **options: Any) -> Verdicts:
        return self.true.verify(task, plans, **options)

    def close(self) -> None:
        self.true.close()


class Sorted(Broken):
    """Answers in an order of its own."""

    def verify(self, task: Any, plans: Any, **options: Any) -> Verdicts:
        return Verdicts(tuple(sorted(super().verify(task, plans, **options), key=lambda v: v.status)))


class Dropping(Broken):
    """Says nothing of what it cannot judge."""

    def verify(self, task: Any, plans: Any, **options: Any) -> Verdicts:
        return Verdicts(tuple(v for v in super().verify(task, plans, **options) if v.cause is None))


class DeafToOptions(Broken):
    """Ignores its options."""

    def verify(self, task: Any, plans: Any, **options: Any) -> Verdicts:
        return super().verify(task, plans)


class NeverClosing(Broken):
    """Goes on after it was closed."""

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [(Sorted, "order"), (Dropping, "each plan"), (DeafToOptions, "request"), (NeverClosing, "closed")],
)
def test_the_suite_notices_a_verifier_that_is(broken: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_verifier(broken())


def test_the_toy_task_passes_the_task_suite() -> None:
    check_task(toy_task())
    check_task(toy_task(), LocalVerifier())


def altered(**changes: Any) -> wv.Task:
    task = toy_task()
    fields: dict[str, Any] = {
        "spec": str(task.spec),
        "horizon": task.horizon,
        "rate": task.rate,
        "instruction": task.instruction,
        "good": task.good,
        "bad": task.bad,
    }
    return wv.Task.from_mjcf(TOY, **fields | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"instruction": " "}, "no instruction"),
        ({"good": None}, "no good plan"),
        ({"good": np.array([[0.0]])}, "does not pass"),
        ({"bad": {}}, "needs a bad plan for each"),
        ({"spec": "arrives: eventually(inside(cart, zone))", "bad": {}}, "always over its whole horizon"),
        ({"bad": dict.fromkeys(("arrives", "careful", "slow"), toy_task().good)}, "is not a FAIL"),
        ({"bad": dict.fromkeys(("arrives", "careful", "slow"), toy_task().bad["slow"])}, "violates"),
    ],
)
def test_the_suite_notices_a_task_with(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_task(altered(**changes))


HOSTILE: list[Any] = [
    np.full((3, 1), np.nan),
    np.array([[np.inf]]),
    np.array([[-np.inf]]),
    np.array([[1.0 + 1e-9]]),
    np.zeros((0, 1)),
    np.zeros((3, 2)),
    np.zeros((3, 0)),
    np.zeros((21, 1)),
    np.zeros((1, 1), dtype=complex),
    np.array([["0.1"]]),
    np.array([[None]], dtype=object),
    np.array([[True]]),
    '{"actions": [[NaN]]}',
    '{"actions": [[Infinity]]}',
    '{"actions": [[1e400]]}',
    '{"actions": [[-1e400]]}',
    '{"actions": [["0.1"]]}',
    '{"actions": [[true]]}',
    '{"actions": [[null]]}',
    '{"actions": [[]]}',
    '{"actions": []}',
    '{"actions": [[0.1, 0.2]]}',
    '{"actions": [0.1]}',
    '{"actions": [[0.1]',
    '{"actions": [[0.1]], "waypoints": []}',
    '{"actions": [[0.1]], "state": [1]}',
    '{"actions": [[0.1]]} or {"actions": [[0.2]]}',
    '{"actions": [[' + "9" * 400 + "]]}",
    '{"actions": ' + "[" * 5000 + "]" * 5000 + "}",
    '{"skills": [{"skill": "pick", "object": "ball"}]}',
    '{"waypoints": [{"position": [0, 0, 0]}]}',
    "__import__('os').system('true')",
    "\ud800 \x00",
    "",
    b"\xff\xfe",
    None,
    3,
    math.nan,
    {},
    {"text": None},
    {"actions": [[0.1]], "rate_hz": math.nan},
    {"actions": [[0.1]], "rate_hz": 3.0},
    {"format": "joint_position", "actions": [[0.0] * 8]},
    object(),
]


class Unspeakable:
    """Not even its repr works."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_hostile_plans_never_pass_never_raise_and_never_disturb_a_neighbour() -> None:
    task = toy_task()
    plans = [task.good, *HOSTILE, Unspeakable(), task.good]
    verdicts = wv.verify(task, plans)
    assert len(verdicts) == len(plans)
    alone = wv.verify(task, task.good)[0]
    assert verdicts[0].digest == verdicts[-1].digest == alone.digest
    for plan, verdict in zip(plans[1:-1], verdicts[1:-1], strict=True):
        assert (verdict.status, verdict.cause) == ("INVALID", "plan"), plan
        assert verdict.code in CODES
        assert verdict.reason.strip()
        assert (verdict.reward, verdict.valid) == (task.reward_min, True)
        json.dumps(verdict.to_json(), allow_nan=False)
        assert verdict.cost.steps == 0


def test_one_plan_may_be_given_without_a_list() -> None:
    task = toy_task()
    assert task.good is not None
    one = {v.digest for v in (*wv.verify(task, task.good), *wv.verify(task, task.good.actions))}
    one |= {wv.verify(task, json.dumps({"actions": np.asarray(task.good.actions).tolist()}))[0].digest}
    assert len(one) == 1
    assert len(wv.verify(task, np.zeros((4, 3, 1)))) == 4
    assert len(wv.verify(task, [])) == 0


@pytest.mark.parametrize("plans", [np.zeros(3), np.zeros((1, 1, 1, 1, 1)), 7])
def test_what_is_no_list_of_plans_is_refused(plans: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"plans|shape"):
        wv.verify(toy_task(), plans)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"on": "gpu"}, "on='cpu'"),
        ({"on": "tpu"}, "'auto', 'cpu' or 'gpu'"),
        ({"engine": "bullet"}, "Engines: mujoco, mjx"),
        ({"engine": "mjx-warp"}, "engine='mjx', impl='warp'"),
        ({"engine": "mujoco", "impl": "warp"}, "implementations c"),
        ({"engine": "mujoco", "on": "gpu"}, "engine='mjx'"),
        ({"engine": "mjx", "impl": "c"}, "implementations warp, jax"),
        ({"scope": "all"}, "'plan', 'chunk'"),
        ({"margins": "some"}, "'decided', 'full'"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"threads": 0}, "threads"),
    ],
)
def test_an_unknown_option_is_refused_with_what_would_work(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        wv.verify(toy_task(), "x", **options)


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"No task 'PickCub-v0'.*Tasks:"):
        wv.verify("PickCub-v0", "x")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rate": 7.0}, "use .* Hz"),
        ({"horizon": 1.03}, "use 1 s"),
        ({"rate": 0.0}, "above zero"),
        ({"horizon": -1.0}, "above zero"),
        ({"horizon": math.inf}, "above zero"),
        ({"rate": math.nan}, "above zero"),
    ],
)
def test_a_rate_or_horizon_that_does_not_fit_is_refused_with_the_nearest(changes: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        altered(good=None, bad={}, **changes)


def test_a_model_that_is_none_is_refused() -> None:
    for text in ("<mujoco><nonsense/></mujoco>", "<mujoco", "<mujoco/>"):
        with pytest.raises(Refusal):
            wv.Task.from_mjcf(text, spec="r: always(pos(world).z < 1 m)", horizon=1.0, rate=25.0)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.xml"):
        wv.Task.from_mjcf("nowhere.xml", spec="r: always(pos(world).z < 1 m)", horizon=1.0, rate=25.0)


# From any state


def state_after(task: wv.Task, plan: np.ndarray) -> np.ndarray:
    """The integration state after a plan, by plain MuJoCo."""
    model = task.scene.model
    data = task.scene.data(task.start())
    for action in plan:
        data.ctrl[:] = action
        for _ in range(task.substeps):
            mujoco.mj_step(model, data)
    state = np.empty(task.scene.nstate)
    mujoco.mj_getState(model, data, state, STATE)
    return state


def test_a_plan_from_a_given_state_continues_bit_for_bit() -> None:
    task = altered(spec="speed: at_end(speed(cart) < 9 m/s)\nhigh: at_end(pos(ball).z > -9 m)", good=None, bad={})
    rng = np.random.default_rng(0)
    plan = rng.uniform(0, 0.2, size=(20, 1))
    whole = wv.verify(task, plan, margins="full")[0]
    shorter = altered(
        spec="speed: at_end(speed(cart) < 9 m/s)\nhigh: at_end(pos(ball).z > -9 m)", good=None, bad={}, horizon=1.0
    )
    rest = wv.verify(shorter, plan[10:], state=state_after(task, plan[:10]), margins="full")[0]
    assert {n: m.value for n, m in rest.margins.items()} == {n: m.value for n, m in whole.margins.items()}


def test_one_state_for_all_or_one_for_each() -> None:
    task = toy_task()
    near = state_after(task, np.full((10, 1), 0.2))
    plans = [np.array([[0.3]]), np.array([[0.1]])]
    each = wv.verify(task, plans, state=np.stack([near, task.start()]))
    shared = wv.verify(task, plans, state=near)
    assert each[0].digest == shared[0].digest
    assert each[1].digest == wv.verify(task, plans[1], state=task.start())[0].digest
    assert each[1].digest != shared[1].digest
    assert wv.verify(task, plans, state=[near, near])[1].digest == shared[1].digest


def test_a_given_state_is_not_changed() -> None:
    task = toy_task()
    state = task.start()
    before = state.copy()
    wv.verify(task, task.good, state=state)
    assert np.array_equal(state, before)


# Chunks


def test_a_chunk_lasts_as_long_as_its_actions_and_its_goals_are_progress() -> None:
    task = toy_task()
    verdict = wv.verify(task, np.full((3, 1), 0.05), scope="chunk")[0]
    assert verdict.status == "PASS" and verdict.decided_s == pytest.approx(0.3)
    assert verdict.cost.steps == 3 * task.substeps
    assert not verdict.margins["arrives"].guard and verdict.margins["careful"].guard
    assert verdict.margins["arrives"].value is None


def test_chunks_of_different_length_are_judged_as_alone() -> None:
    task = toy_task()
    chunks = [np.full((n, 1), 0.05 * n) for n in (1, 4, 2, 4)]
    together = wv.verify(task, chunks, scope="chunk")
    assert [v.digest for v in together] == [wv.verify(task, c, scope="chunk")[0].digest for c in chunks]


def test_the_best_chunk_holds_its_guards_and_then_makes_progress() -> None:
    task = toy_task()
    chunks = [np.array([[0.0]] * 8), np.array([[0.05 * k] for k in range(8)]), np.array([[-1.0]] * 8)]
    verdicts = wv.verify(task, chunks, scope="chunk")
    assert [v.status for v in verdicts] == ["PASS", "PASS", "FAIL"]
    assert verdicts.ranking == [1, 0, 2]
    assert verdicts.best is verdicts[1]
    assert wv.verify(task, chunks[2:], scope="chunk").best is None


# What a verdict says


def test_a_short_plan_holds_its_last_command_and_says_so_and_a_long_one_is_refused() -> None:
    task = toy_task()
    short, padded = np.array([[0.1], [0.2]]), np.array([[0.1]] + [[0.2]] * 19)
    a, b = wv.verify(task, [short, padded], margins="full")
    assert {n: m.value for n, m in a.margins.items()} == {n: m.value for n, m in b.margins.items()}
    assert any("held to 2 s" in w for w in a.warnings) and not b.warnings
    long = wv.verify(task, np.zeros((21, 1)))[0]
    assert (long.status, long.code) == ("INVALID", "too_many_steps")


def test_a_fail_names_the_requirement_the_time_and_the_amount() -> None:
    task = toy_task()
    verdict = wv.verify(task, task.bad["careful"])[0]
    violation = verdict.first_violation
    assert violation is not None and violation.requirement == "careful"
    margin = verdict.margins["careful"]
    assert margin.unit == "N" and margin.value is not None and margin.value < 0
    assert f"{violation.time_s:.3f} s" in verdict.reason and "careful" in verdict.reason
    line = verdict.to_json()
    assert line["first_violation"] == {"requirement": "careful", "time_s": violation.time_s}
    assert line["margins"]["careful"]["interval"][0] is None


def test_a_verdict_line_has_exactly_the_published_keys() -> None:
    keys = "schema id task status cause code reason margins first_violation reward valid warnings trials cost engine"
    line = wv.verify(toy_task(), toy_task().good)[0].to_json()
    assert set(line) == {*keys.split(), "request", "digest"}
    assert set(line["request"]) == {"plan", "seed", "horizon_s", "state", "options", "sha256"}
    assert line["schema"] == 1
    assert {line["engine"][k] for k in ("engine", "impl", "device", "dtype")} == {"mujoco", "c", "cpu", "float64"}


def test_a_verdict_is_replayed_from_its_request() -> None:
    task = toy_task()
    for plan in (task.good, task.bad["slow"]):
        first = wv.verify(task, plan, state=task.start(), margins="full")[0]
        line = json.loads(json.dumps(first.to_json()))["request"]
        again = wv.verify(task, line["plan"], seed=line["seed"], state=np.array(line["state"]), **line["options"])[0]
        assert again.digest == first.digest


def test_costs_add_up_and_never_enter_the_digest() -> None:
    task = toy_task()
    verdicts = wv.verify(task, [task.good, "no plan", task.bad["slow"]])
    assert [v.cost.steps + v.cost.steps_saved for v in verdicts] == [task.samples, 0, task.samples]
    assert sum(verdicts[2].cost.saved_by.values()) == verdicts[2].cost.steps_saved > 0
    assert all(v.cost.wall_s >= 0 and v.cost.cpu_s >= 0 for v in verdicts)
    assert verdicts[0].cost.bytes > 0 and verdicts[0].cost.cold


def test_progress_is_told_up_to_the_total() -> None:
    seen: list[tuple[int, int]] = []
    task = toy_task()
    wv.verify(task, [task.good, task.good, "no plan"], watch=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * task.samples, 2 * task.samples)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_actuator_with_several_controls_takes_as_many_numbers() -> None:
    text = """
    <mujoco><option timestep="0.004"/><worldbody>
      <body name="top"><joint name="ball" type="ball" damping="1"/><geom size=".1"/></body></worldbody>
      <actuator><orientation name="turn" joint="ball" kp="1" ctrlrange="-1 1"/></actuator></mujoco>"""
    task = wv.Task.from_mjcf(text, spec="r: always(tilt(top) < 3 rad)", horizon=0.2, rate=25.0)
    verdicts = wv.verify(task, [np.array([[0.1, 0.2, 0.3]]), np.array([[0.1, 2.0, 0.3]]), np.array([[0.1]])])
    assert [(v.status, v.code) for v in verdicts] == [
        ("PASS", None),
        ("INVALID", "out_of_range"),
        ("INVALID", "wrong_width"),
    ]
    assert "turn[1]" in verdicts[1].reason


def test_slices_of_verdicts_are_verdicts() -> None:
    task = toy_task()
    verdicts = wv.verify(task, [task.good, "no plan", task.good])
    assert [v.status for v in verdicts[1:]] == ["INVALID", "PASS"]
    assert isinstance(verdicts[0], Verdict)
    assert verdicts[:2].reward.tolist() == [1.0, -1.0]


def test_plans_whose_engine_fails_are_to_be_masked_and_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("worldverify.engines.physics.MujocoPhysics.run", fails)
    task = wv.load("PickCube-v0")
    lost, malformed = wv.verify(task, [task.good, "no plan"])
    assert (lost.status, lost.cause, lost.code, lost.valid) == ("INVALID", "infra", "engine_failed", False)
    assert lost.to_json()["reward"] is None
    assert malformed.cause == "plan"


def test_a_plan_on_which_the_engine_fails_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = MujocoPhysics.run

    def fails_on_the_bad_one(self: MujocoPhysics, job: Any, states: Any, controls: Any) -> Any:
        if any(len(u) == 3 for u in controls):
            raise RuntimeError("no such luck")
        return run(self, job, states, controls)

    task = wv.load("PickCube-v0")
    row = [0.0, 0.0, 0.0, -2.0, 0.0, 2.0, 0.8, 0.04]
    plans = [{"format": "ctrl", "rate_hz": 25, "actions": [row] * n} for n in (2, 3, 4)]
    alone = [wv.verify(task, [plan])[0].digest for plan in plans]
    monkeypatch.setattr(MujocoPhysics, "run", fails_on_the_bad_one)
    verdicts = wv.verify(task, plans)
    assert [v.cause for v in verdicts] == [None, "infra", None]
    assert (verdicts[0].digest, verdicts[2].digest) == (alone[0], alone[2])
    said = "The engine failed on 3 plans together (RuntimeError: no such luck); this one was judged by itself."
    assert said in verdicts[0].warnings and said in verdicts[2].warnings
