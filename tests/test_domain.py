"""What differs from seed to seed beside the start: drawn by seed, within what the task declares."""

from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.domain import Domain, world_of
from worldverify.kernels.randomisation import loose_bodies
from worldverify.local import LocalVerifier
from worldverify.replay import ask_again, run_again
from worldverify.testing import toy_task

WIDE = Domain(mass=0.2, friction=0.2, gain=0.2, delay=0.1, perception=0.01)


@pytest.fixture(scope="module")
def pick() -> Any:
    return replace(wv.load("PickCube-v0"), domain=WIDE)


def test_only_what_no_actuator_moves_is_loose(pick: Any) -> None:
    model = pick.scene.model
    assert [model.body(int(i)).name for i in np.flatnonzero(loose_bodies(model))] == ["cube"]


def test_a_draw_stays_within_the_domain_and_reaches_its_ends(pick: Any) -> None:
    model = pick.scene.model
    cube = model.body("cube").id
    mass, friction, gain, late, seen = [], [], [], [], []
    for seed in range(60):
        world = world_of(pick, seed, "all")
        other = world.task.scene.model
        mass.append(other.body_mass[cube] / model.body_mass[cube])
        assert np.array_equal(np.delete(other.body_mass, cube), np.delete(model.body_mass, cube))
        friction.append(other.geom_friction[0, 0] / model.geom_friction[0, 0])
        gain.append(other.actuator_gainprm[0, 0] / model.actuator_gainprm[0, 0])
        assert other.actuator_biasprm[0, 1] == pytest.approx(-other.actuator_gainprm[0, 0])
        late.append(world.late * pick.timestep)
        seen.append(next(iter(world.seen.values())))
    for factors in (mass, friction, gain):
        assert 0.8 <= min(factors) < 0.85 and 1.15 < max(factors) <= 1.2
    assert 0 <= min(late) < 0.01 and 0.09 < max(late) <= 0.1
    assert np.abs(seen).max() <= 0.01 and np.abs(seen).max() > 0.009


def test_a_seed_draws_the_same_world_again(pick: Any) -> None:
    one, other = (world_of(pick, 5, "all") for _ in range(2))
    assert one.task.scene.digest == other.task.scene.digest != pick.scene.digest
    assert one.late == other.late


def test_late_controls_arrive_after_what_was_held_before() -> None:
    task = toy_task()
    world = world_of(replace(task, domain=Domain(delay=0.1)), 3, "all")
    assert world.late > 0
    start = task.start()
    start[-1] = 0.0
    controls = np.array([[0.1], [0.2]])
    rows = world.arriving(controls, start, 2 * task.substeps)[:, 0]
    held = np.repeat([0.1, 0.2], task.substeps)
    assert np.array_equal(rows, np.concatenate([np.zeros(world.late), held])[: len(held)])


def test_a_domain_without_ranges_changes_nothing_but_the_question(pick: Any) -> None:
    plain = replace(pick, domain=Domain())
    one = wv.verify(plain, [plain.good], on="cpu")[0]
    other = wv.verify(plain, [plain.good], on="cpu", randomise="all")[0]
    assert one.margins == other.margins
    assert one.request["sha256"] != other.request["sha256"]


def test_a_verdict_of_a_drawn_world_can_be_asked_for_again(pick: Any) -> None:
    task = wv.load("PickCube-v0")
    verdict = wv.verify(task, [task.good], on="cpu", seed=4, randomise="all")[0]
    verifier = LocalVerifier(threads=1)
    assert ask_again(verifier, task, verdict.to_json()).outcome == "same"
    run = run_again(task, verdict)
    assert run is not None and run.agrees
    usual = wv.verify(task, [task.good], on="cpu", seed=4)[0]
    assert usual.digest != verdict.digest


def test_a_misjudged_place_is_where_the_plan_goes(pick: Any) -> None:
    off = replace(pick, domain=Domain(perception=0.2))
    statuses = [wv.verify(off, [pick.good], on="cpu", seed=s, randomise="all")[0].status for s in range(3)]
    assert "PASS" not in statuses


@pytest.mark.parametrize("wrong", [{"mass": 1.0}, {"gain": -0.1}, {"delay": -1}, {"perception": float("nan")}])
def test_a_domain_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"Domain.{next(iter(wrong))}"):
        Domain(**wrong)


def test_an_unknown_way_to_randomise_is_refused() -> None:
    with pytest.raises(ValueError, match="randomise must be one of 'start', 'all'"):
        wv.verify("PickCube-v0", [], randomise="everything")  # type: ignore[arg-type]


def test_constants_that_depend_on_masses_are_computed_again(pick: Any) -> None:
    other = world_of(pick, 2, "all").task.scene.model
    fresh = mujoco.MjData(other)
    again = other.dof_invweight0.copy()
    mujoco.mj_setConst(other, fresh)
    assert np.array_equal(again, other.dof_invweight0)
    assert not np.array_equal(again, pick.scene.model.dof_invweight0)
