"""Who a verdict is: the same answer has the same digest wherever and with whomever it was found."""

from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.identity import sha256
from worldverify.local import LocalVerifier
from worldverify.testing import TOY, TOY_SPEC, toy_task
from worldverify.verdict import Verdict

# A cube and a plate tumble onto the floor and each other: contact, where one lost bit would grow.
TUMBLE = """
<mujoco>
  <option timestep="0.004" integrator="implicitfast"/>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <body name="cube" pos="0 0 .2" euler="20 30 40"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
    <body name="plate" pos=".03 0 .35" euler="50 10 0"><freejoint/><geom type="box" size=".08 .06 .01"/></body>
    <body name="arm" pos=".3 0 .1"><joint name="hinge" type="hinge" axis="0 0 1" damping=".1"/>
      <geom type="capsule" fromto="0 0 0 -.25 0 0" size=".02"/></body>
  </worldbody>
  <actuator><motor joint="hinge" ctrlrange="-2 2"/></actuator>
</mujoco>
"""
SPEC = """
calm:  at_end(speed(cube) < 0.4 m/s)
soft:  always(contact_load(cube, floor) < 1000 N)
apart: eventually(clearance(cube, plate) > 1 mm)
"""


def tumble() -> wv.Task:
    return wv.Task.from_mjcf(TUMBLE, spec=SPEC, horizon=1.0, rate=25.0, name="Tumble", randomise=shift)


def shift(generator: np.random.Generator, model: Any, data: Any) -> None:
    data.joint(0).qpos[:2] += generator.uniform(-0.02, 0.02, size=2)


def plans() -> list[Any]:
    rng = np.random.default_rng(3)
    arrays = [rng.uniform(-2, 2, size=(int(rng.integers(1, 25)), 1)) for _ in range(5)]
    return [*arrays, "nothing to read", [[np.nan]], '{"actions": [[0.5]]}']


@pytest.fixture(scope="module")
def reference() -> list[Verdict]:
    return list(LocalVerifier(threads=1).verify(tumble(), plans()))


def digests(verdicts: Any) -> list[str]:
    return [v.digest for v in verdicts]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("chunk", [1, 7, 64, 100, 10_000])
def test_threads_and_the_length_of_engine_calls_do_not_show(reference: Any, threads: int, chunk: int) -> None:
    verifier = LocalVerifier(threads=threads, chunk=chunk)
    for rules in (wv.Schedule.exhaustive(), wv.Schedule(chunk=chunk)):
        verdicts = verifier.verify(tumble(), plans(), schedule=rules)
        assert digests(verdicts) == digests(reference)
        assert [dict(v.margins) for v in verdicts] == [dict(v.margins) for v in reference]


def test_a_plan_is_judged_alone_as_in_a_batch(reference: Any) -> None:
    task = tumble()
    assert [wv.verify(task, [plan])[0].digest for plan in plans()] == digests(reference)


def test_permuted_plans_give_permuted_verdicts(reference: Any) -> None:
    order = np.random.default_rng(0).permutation(len(plans()))
    listed = plans()
    verdicts = wv.verify(tumble(), [listed[i] for i in order])
    assert digests(verdicts) == [reference[i].digest for i in order]


def test_a_verifier_that_has_worked_before_gives_the_same(reference: Any) -> None:
    verifier, task = LocalVerifier(), tumble()
    verifier.verify(task, plans()[::-1], seed=5)
    assert digests(verifier.verify(task, plans())) == digests(reference)
    assert digests(verifier.verify(task, plans())) == digests(reference)


def test_blocks_of_a_large_batch_do_not_show(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldverify.engines.physics.BLOCK_BYTES", 1)
    assert digests(wv.verify(tumble(), plans())) == digests(reference)


def test_the_margins_of_a_verdict_are_exact_to_the_last_bit(reference: Any) -> None:
    tumbling = [v for v in reference if v.status in ("PASS", "FAIL")]
    values = {m.value for v in tumbling for m in v.margins.values()}
    assert len(tumbling) >= 5 and len(values) > 5


def keys(verdict: Verdict) -> tuple[str, str]:
    return verdict.request["sha256"], verdict.digest


def test_every_part_of_the_question_changes_the_request_and_the_digest() -> None:
    task, plan = toy_task(), toy_task().good
    state = task.start()
    moved = state.copy()
    moved[1] = 0.01
    other_spec = TOY_SPEC.replace("5 N", "6 N")
    other_scene = TOY.replace('damping="1"', 'damping="2"')
    setting: dict[str, Any] = {"horizon": 2.0, "rate": 10.0, "name": "Toy"}
    found = [
        wv.verify(task, plan)[0],
        wv.verify(task, task.bad["slow"])[0],
        wv.verify(task, plan, seed=1)[0],
        wv.verify(task, plan, state=state)[0],
        wv.verify(task, plan, state=moved)[0],
        wv.verify(task, plan, margins="full")[0],
        wv.verify(task, plan, scope="chunk")[0],
        wv.verify(wv.Task.from_mjcf(TOY, spec=other_spec, **setting), plan)[0],
        wv.verify(wv.Task.from_mjcf(other_scene, spec=TOY_SPEC, **setting), plan)[0],
        wv.verify(wv.Task.from_mjcf(TOY, spec=TOY_SPEC, **setting | {"horizon": 1.0}), plan)[0],
        wv.verify(wv.Task.from_mjcf(TOY, spec=TOY_SPEC, **setting | {"rate": 20.0}), plan)[0],
        wv.verify(wv.Task.from_mjcf(TOY, spec=TOY_SPEC, **setting | {"name": "Other"}), plan)[0],
    ]
    assert len({v.request["sha256"] for v in found}) == len(found)
    assert len({v.digest for v in found}) == len(found)


def test_a_task_built_again_asks_the_same_question() -> None:
    assert keys(wv.verify(toy_task(), toy_task().good)[0]) == keys(wv.verify(toy_task(), toy_task().good)[0])


def test_the_id_of_a_plan_and_how_it_was_written_do_not_show() -> None:
    task = toy_task()
    spellings = ['{"actions": [[0.1], [0.2]]}', '```json\n{"actions": [[0.10], [2e-1]]}\n```', np.array([[0.1], [0.2]])]
    lines = [{"id": str(i), "text": text} for i, text in enumerate(spellings[:2])]
    found = wv.verify(task, [*spellings, *lines])
    assert len({keys(v) for v in found}) == 1
    assert [v.id for v in found[3:]] == ["0", "1"]


def test_the_request_of_a_plan_is_known_before_any_physics() -> None:
    task = toy_task()
    asked = wv.verify(task, task.good)[0].request
    again = wv.verify(task, {k: v for k, v in asked["plan"].items() if k != "id"}, seed=asked["seed"])[0]
    assert again.request["sha256"] == asked["sha256"]


def test_a_whole_number_of_any_kind_is_a_seed() -> None:
    task = toy_task()
    assert keys(wv.verify(task, task.good, seed=np.int64(3))[0]) == keys(wv.verify(task, task.good, seed=3)[0])  # type: ignore[arg-type]


def test_refused_arrays_that_differ_are_different_requests() -> None:
    task = toy_task()
    first, second = np.full((5000, 1), np.nan), np.full((5000, 1), np.nan)
    second[2500] = 7.0
    a, b = wv.verify(task, [first, second])
    assert a.status == b.status == "INVALID"
    assert a.request["sha256"] != b.request["sha256"]


def test_canonical_json_keeps_every_digit_and_no_order() -> None:
    assert sha256({"a": 1, "b": [0.1, None]}) == sha256({"b": (0.1, None), "a": 1})
    assert sha256(0.1) != sha256(0.1 + 2**-56)
    assert sha256(1) != sha256(1.0) and sha256(True) != sha256(1)
    assert sha256(np.array([1.0, 2.0])) == sha256(np.array([1.0, 2.0]).copy())
    with pytest.raises(TypeError, match="canonical"):
        sha256({1, 2})
