"""Lanes on a device that take plans in turn find what all plans at once find, with fewer substeps."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import compile_for
from worldverify.engines import device_physics
from worldverify.engines.backend import Backend
from worldverify.engines.band import Band
from worldverify.engines.device import warp_version_refusal
from worldverify.engines.device_physics import DevicePhysics
from worldverify.engines.physics import Job, Outcome
from worldverify.local import LocalVerifier
from worldverify.plan import admit
from worldverify.variations import variations

pytest.importorskip("jax")
pytestmark = pytest.mark.engines

IMPLS = [
    pytest.param("jax", marks=pytest.mark.xdist_group("mjx-jax")),
    pytest.param(
        "warp",
        marks=[
            pytest.mark.xdist_group("mjx-warp"),
            pytest.mark.skipif(warp_version_refusal() is not None, reason=str(warp_version_refusal())),
        ],
    ),
]
WIDTH = 1e-3
BAND = Band(width=WIDTH, plans=1000, share=0.0, flips_inside=0, flips_outside=0, upper=0.003, report="test")
PLANS = 21  # so that the last lanes run dry
IN_TURN = wv.Schedule(share=False, lanes=8)


@pytest.fixture(scope="module", params=IMPLS)
def physics(request: pytest.FixtureRequest) -> Iterator[DevicePhysics]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_physics, "require_backend", lambda backend: None)
        patch.setattr(device_physics, "load_band", lambda task, info: BAND)
        patch.setattr(device_physics, "audited", lambda *args: [])
        verifier = LocalVerifier(backend=Backend("mjx", request.param, "cpu"))
        assert isinstance(verifier._physics, DevicePhysics)
        yield verifier._physics
        verifier.close()


@pytest.fixture(scope="module")
def question(near: wv.Task) -> tuple[Job, Any, list[Any]]:
    assert near.good is not None
    plans = [near.good, *near.bad.values(), *variations(near, PLANS)][:PLANS]
    admitted = [admit(p, contracts=near.contracts, default_rate=near.rate, task=near.name) for p in plans]
    states = np.stack([near.start()] * PLANS)
    made = compile_for(near, states, admitted)
    return Job(near, False, False, None, lambda n: None), states, [m.controls for m in made]  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def whole(physics: DevicePhysics, question: tuple[Job, Any, list[Any]]) -> Sequence[Outcome]:
    return found(physics, question, wv.Schedule.exhaustive(), range(PLANS))


def found(
    physics: DevicePhysics, question: tuple[Job, Any, list[Any]], schedule: wv.Schedule, rows: Sequence[int]
) -> Sequence[Outcome]:
    job, states, controls = question
    return physics._found(replace(job, schedule=schedule), states[list(rows)], [controls[i] for i in rows], roomy=False)


@pytest.mark.parametrize(
    "schedule",
    [
        IN_TURN,
        replace(IN_TURN, refill=False),
        replace(IN_TURN, chunk=7),
        replace(IN_TURN, lanes=32),
    ],
    ids=["refill", "waves", "short-rounds", "a-lane-for-each"],
)
def test_lanes_that_take_plans_in_turn_find_what_all_at_once_find(
    physics: DevicePhysics, question: tuple[Job, Any, list[Any]], whole: Sequence[Outcome], schedule: wv.Schedule
) -> None:
    assert {o.finding.status for o in whole} == {"PASS", "FAIL"}
    order = np.random.default_rng(0).permutation(PLANS).tolist()
    for i, one in zip(order, found(physics, question, schedule, order), strict=True):
        same, other = one.finding, whole[i].finding
        assert (same.status, same.violated, same.decided) == (other.status, other.violated, other.decided)
        for name, margin in other.margins.items():
            ours = same.margins[name]
            assert (ours.term, ours.unit, ours.guard) == (margin.term, margin.unit, margin.guard)
            assert ours.interval == pytest.approx(margin.interval, rel=1e-4, abs=1e-5)
        task = question[0].task
        # What is said of it rests on as much, and so is doubted as little.
        assert physics._doubt(question[0], one, BAND) == physics._doubt(question[0], whole[i], BAND)
        assert one.steps + one.saved.get("stop", 0) == task.samples
        assert same.decided is not None and one.steps >= min(same.decided, task.samples)


def test_what_is_settled_early_is_on_the_bill_as_saved(
    physics: DevicePhysics, question: tuple[Job, Any, list[Any]]
) -> None:
    outcomes = found(physics, question, IN_TURN, range(PLANS))
    assert sum(o.saved.get("stop", 0) for o in outcomes) > 0
    failing = [o for o in outcomes if o.finding.status == "FAIL" and o.finding.violated == "careful"]
    assert failing and all(o.steps < question[0].task.samples for o in failing)


def test_a_plan_that_ruins_its_lane_leaves_the_next_one_in_it_alone(
    physics: DevicePhysics, question: tuple[Job, Any, list[Any]], whole: Sequence[Outcome]
) -> None:
    job, states, controls = question
    ruined = np.array(states[:PLANS])
    ruined[:8, 1] = np.nan
    outcomes = physics._found(replace(job, schedule=IN_TURN), ruined, controls, roomy=False)
    assert [o.finding.status for o in outcomes[:8]] == ["INVALID"] * 8
    assert [o.finding.status for o in outcomes[8:]] == [o.finding.status for o in whole[8:]]
    assert [o.finding.decided for o in outcomes[8:]] == [o.finding.decided for o in whole[8:]]
