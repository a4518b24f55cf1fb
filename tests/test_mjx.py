"""MJX gives MuJoCo C's verdicts, says what it cannot settle, and loses nothing when a device does not play along."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import compile_for
from worldverify.engines import device_physics
from worldverify.engines.backend import Backend, backend_of
from worldverify.engines.band import Band
from worldverify.engines.device import warp_version_refusal
from worldverify.engines.device_physics import DevicePhysics, audited
from worldverify.engines.making import make_engine
from worldverify.engines.physics import Job, MujocoPhysics
from worldverify.kernels.engine import Fault
from worldverify.kernels.mjx_room import Room
from worldverify.local import LocalVerifier
from worldverify.plan import admit
from worldverify.simulate import simulate
from worldverify.testing import TOY

pytest.importorskip("jax")

IMPLS = [
    pytest.param("jax", marks=[pytest.mark.xdist_group("mjx-jax"), pytest.mark.engines]),
    pytest.param(
        "warp",
        marks=[
            pytest.mark.xdist_group("mjx-warp"),
            pytest.mark.skipif(warp_version_refusal() is not None, reason=str(warp_version_refusal())),
        ],
    ),
]
WIDE = Band(width=1e-3, plans=1000, share=0.0, flips_inside=0, flips_outside=0, upper=0.003, report="test")


@pytest.fixture(scope="module")
def task(near: wv.Task) -> wv.Task:
    return near


@pytest.fixture(scope="module")
def plans(task: wv.Task) -> list[wv.Plan]:
    assert task.good is not None
    return [task.good, *task.bad.values()]


@pytest.fixture(scope="module", params=IMPLS)
def verifier(request: pytest.FixtureRequest) -> Iterator[LocalVerifier]:
    """One for all tests of an implementation, so that what they share is compiled once.

    Without its self-test, which compiles as much again; test_engines.py runs that.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_physics, "require_backend", lambda backend: None)
        made = LocalVerifier(backend=Backend("mjx", request.param, "cpu"))
    yield made
    made.close()


@pytest.fixture
def physics(verifier: LocalVerifier) -> DevicePhysics:
    assert isinstance(verifier._physics, DevicePhysics)
    return verifier._physics


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a parity report had found a narrow band."""
    monkeypatch.setattr(device_physics, "load_band", lambda task, info: WIDE)
    monkeypatch.setattr(device_physics, "audited", lambda *args: [])


def job_of(task: wv.Task, plans: list[Any], chunk: bool = False) -> tuple[Job, Any, list[Any]]:
    states = np.stack([task.start()] * len(plans))
    admitted = [admit(p, contracts=task.contracts, default_rate=task.rate, task=task.name) for p in plans]
    made = compile_for(task, states, admitted)
    return Job(task, chunk, False, None, lambda n: None), states, [m.controls for m in made]  # type: ignore[union-attr]


# Plans of different lengths, and what continues an episode, take programs of their own.
@pytest.mark.engines
@pytest.mark.parametrize("chunk", [False, True])
def test_an_engine_in_float32_finds_what_mujoco_finds(
    physics: DevicePhysics, task: wv.Task, plans: list[wv.Plan], chunk: bool
) -> None:
    job, states, controls = job_of(task, plans, chunk)
    question = job, states, [u[: len(u) - i * chunk] for i, u in enumerate(controls)]
    exact = MujocoPhysics(threads=1, chunk=1000).findings(*question)
    for found, right in zip(physics.findings(*question), exact, strict=True):
        assert (found.status, found.violated, found.decided) == (right.status, right.violated, right.decided)
        assert found.final is not None and right.final is not None
        for name, bounds in right.final.items():
            assert found.final[name] == pytest.approx(bounds, rel=1e-3, abs=1e-2)
        assert found.margins.keys() == right.margins.keys()
        for name, margin in right.margins.items():
            assert (found.margins[name].term, found.margins[name].unit) == (margin.term, margin.unit)


def test_a_verdict_outside_of_the_band_is_the_engines_own(
    verifier: LocalVerifier, task: wv.Task, plans: list[wv.Plan], trusted: None
) -> None:
    found, right = verifier.verify(task, plans), wv.verify(task, plans)
    assert [v.status for v in found] == [v.status for v in right]
    assert {v.engine["dtype"] for v in found} == {"float32"}
    assert {v.engine["engine"] for v in found} == {"mjx"}
    assert not any("Judged again" in w for v in found for w in v.warnings)
    assert all(v.digest != r.digest for v, r in zip(found, right, strict=True))


def test_without_a_parity_report_mujoco_has_the_last_word(
    verifier: LocalVerifier, task: wv.Task, plans: list[wv.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_physics, "load_band", lambda task, info: None)
    found, right = verifier.verify(task, plans), wv.verify(task, plans)
    assert [v.digest for v in found] == [v.digest for v in right]
    assert all("worldverify parity Near" in v.warnings[-1] for v in found)
    assert all(0 < v.cost.steps - r.cost.steps <= task.samples for v, r in zip(found, right, strict=True))


@pytest.mark.engines
def test_what_lies_inside_the_band_is_judged_again_by_mujoco(
    verifier: LocalVerifier, task: wv.Task, plans: list[wv.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_physics, "audited", lambda *args: [])
    wide = Band(width=10.0, plans=1000, share=0.0, flips_inside=0, flips_outside=0, upper=0.003, report="test")
    monkeypatch.setattr(device_physics, "load_band", lambda task, info: wide)
    found = verifier.verify(task, plans)
    again = [any("inside the guard band" in w for w in v.warnings) for v in found]
    assert [v.engine["engine"] == "mujoco" for v in found] == again
    assert again == [True, True, False, False]  # it passes by 2.5 scales, and they fail by 2, 59 and 17


def test_an_audit_that_contradicts_the_engine_costs_it_its_band(
    verifier: LocalVerifier, task: wv.Task, plans: list[wv.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Band] = []
    monkeypatch.setattr(device_physics, "load_band", lambda task, info: WIDE)
    monkeypatch.setattr(device_physics, "save_band", lambda task, info, band: saved.append(band))
    monkeypatch.setattr(device_physics, "audited", lambda job, states, controls, rows: [0])
    found = DevicePhysics._found

    def wrong(self: DevicePhysics, *args: Any, **options: Any) -> Any:
        deep = dict.fromkeys(task.spec.names, (5.0, 5.0))
        passed: dict[str, Any] = {"status": "PASS", "violated": None, "final": deep}
        return [replace(o, finding=replace(o.finding, **passed)) for o in found(self, *args, **options)]

    assert [v.engine["dtype"] for v in verifier.verify(task, plans)] == ["float64", *["float32"] * 3]
    monkeypatch.setattr(DevicePhysics, "_found", wrong)
    told = verifier.verify(task, plans[::-1])
    assert [v.status for v in told] == ["FAIL", "FAIL", "FAIL", "PASS"]
    assert all("audit of this call contradicted" in v.warnings[-1] for v in told[1:])
    assert [band.unusable is not None for band in saved] == [True]


def test_what_is_audited_depends_on_the_plan_alone_and_is_more_where_nothing_was_compared(
    task: wv.Task, plans: list[wv.Plan]
) -> None:
    job, states, _ = job_of(task, plans)
    many = [np.full((4, 1), x) for x in np.linspace(-1, 1, 4000)]
    states = np.broadcast_to(states[0], (4000, states.shape[1]))
    usual = audited(job, states, many, range(4000))
    given = audited(replace(job, given=True), states, many, range(4000))
    assert usual == audited(job, states, many, range(4000)) and set(usual) < set(given)
    assert 4000 / 512 < len(usual) < 4000 / 128 and 4000 / 32 < len(given) < 4000 / 8


@pytest.mark.engines
def test_programs_are_compiled_once_for_a_bucket_of_plans(
    physics: DevicePhysics, task: wv.Task, plans: list[wv.Plan]
) -> None:
    for some in (plans, plans[:1], plans * 2, plans[::-1]):
        physics.findings(*job_of(task, some))
        physics.run(*job_of(task, some))
    (kept,) = [k for k in physics._kept.values() if k.scene is task.scene]
    for way in ("find", "in turn"):
        whole = {key: n for key, n in kept.engine.traced.items() if key[0] == way and key[2] == task.samples}
        assert [key[1] for key in whole] == [8]
    assert set(kept.engine.traced.values()) == {1}


@pytest.mark.engines
def test_a_plan_that_ruins_the_simulation_takes_no_other_with_it(
    physics: DevicePhysics, task: wv.Task, plans: list[wv.Plan]
) -> None:
    job, states, controls = job_of(task, plans)
    states = states.copy()
    states[1, 1] = np.nan
    found = physics.findings(job, states, controls)
    assert found[1].status == "INVALID" and found[1].fault & Fault.NOT_FINITE and found[1].untrusted == 0
    assert [f.status for i, f in enumerate(found) if i != 1] == ["PASS", "FAIL", "FAIL"]


@pytest.mark.engines
def test_an_episode_goes_on_where_it_was(
    verifier: LocalVerifier, task: wv.Task, plans: list[wv.Plan], trusted: None
) -> None:
    _, states, controls = job_of(task, plans[2:3])
    engine = make_engine(Backend("mujoco", "c", "cpu"), task.scene.model, 1, threads=1)
    first = simulate(engine, states, [controls[0][:2]], substeps=task.substeps, samples=2 * task.substeps)
    rest = {"format": "ctrl", "rate_hz": task.rate, "actions": controls[0][2:].tolist()}
    asked: dict[str, Any] = {"state": first.end, "history": first, "scope": "chunk"}
    (found,), (right,) = (v.verify(task, [rest], **asked) for v in (verifier, LocalVerifier(threads=1)))
    assert (found.status, found.first_violation) == (right.status, right.first_violation)
    assert found.first_violation is not None and found.engine["dtype"] == "float32"


def test_a_batch_that_does_not_fit_the_device_is_cut_in_halves(
    physics: DevicePhysics, task: wv.Task, plans: list[wv.Plan], monkeypatch: pytest.MonkeyPatch, trusted: None
) -> None:
    engine = physics._kept_for(task, roomy=False).engine
    find = engine.find_in_turn

    def short(states: Any, controls: Any, **rest: Any) -> Any:
        if len(states) > 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 byte.")
        return find(states, controls, **rest)

    monkeypatch.setattr(engine, "find_in_turn", short)
    monkeypatch.setattr(physics, "_lanes", None)
    found = physics.run(*job_of(task, plans))
    assert [o.finding.status for o in found] == ["PASS", "FAIL", "FAIL", "FAIL"]
    assert all("judged in batches of 2" in o.warnings[-1] for o in found)


@pytest.mark.engines
def test_plans_on_a_device_that_is_lost_are_to_be_judged_again_elsewhere(
    verifier: LocalVerifier, task: wv.Task, plans: list[wv.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*args: Any, **options: Any) -> Any:
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")

    with monkeypatch.context() as patch:
        patch.setattr(DevicePhysics, "_call", lost)
        found = verifier.verify(task, [*plans, "no plan"])
    assert [(v.status, v.cause) for v in found[:4]] == [("INVALID", "infra")] * 4
    assert all("CUDA_ERROR_ILLEGAL_ADDRESS" in v.reason and not v.valid for v in found[:4])
    assert found[4].cause == "plan"
    assert [v.status for v in verifier.verify(task, plans)] == ["PASS", "FAIL", "FAIL", "FAIL"]


@pytest.mark.engines
@pytest.mark.xdist_group("mjx-warp")
@pytest.mark.skipif(warp_version_refusal() is not None, reason=str(warp_version_refusal()))
def test_lanes_that_overflow_are_simulated_again_with_more_room(
    task: wv.Task, plans: list[wv.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_physics, "require_backend", lambda backend: None)
    monkeypatch.setattr(device_physics, "load_band", lambda task, info: WIDE)
    monkeypatch.setattr(DevicePhysics, "_room", lambda self, job, s, u, roomy: Room(64, 256) if roomy else Room(8, 4))
    verifier = LocalVerifier(backend=Backend("mjx", "warp", "cpu"))
    found = verifier.verify(task, plans)
    assert [v.status for v in found] == ["PASS", "FAIL", "FAIL", "FAIL"]
    again = [any("4 times the buffers" in w for w in v.warnings) for v in found]
    assert again == [False, False, True, False]  # only the cart in the wall and the ball on the floor need 8 rows
    assert {v.engine["dtype"] for v in found} == {"float32"}


@pytest.mark.xdist_group("mjx-jax")
def test_a_scene_that_the_implementation_lacks_is_refused_by_its_geoms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_physics, "require_backend", lambda backend: None)
    xml = TOY.replace('type="box" size=".05 .05 .05" mass="1"', 'type="cylinder" size=".05 .05" mass="1"')
    task = wv.Task.from_mjcf(xml, spec="slow: always(speed(cart) < 1 m/s)", horizon=0.1, rate=10.0, name="Tin")
    with pytest.raises(
        ValueError, match=r"Tin cannot run on mjx-jax.*'wall' \(box\) against geom 'cart_box' \(cylinder\)"
    ):
        wv.verify(task, np.zeros((1, 1)), engine="mjx", impl="jax", on="cpu")


@pytest.mark.xdist_group("mjx-jax")
def test_an_engine_does_not_change_what_jax_is_set_to(task: wv.Task) -> None:
    import jax

    before = jax.config.jax_enable_x64, jax.config.jax_numpy_dtype_promotion, jax.config.jax_default_matmul_precision
    make_engine(Backend("mjx", "jax", "cpu"), task.scene.model, 1).load(np.arange(1), task.start()[None])
    after = jax.config.jax_enable_x64, jax.config.jax_numpy_dtype_promotion, jax.config.jax_default_matmul_precision
    assert before == after


@pytest.mark.gpu
@pytest.mark.skipif(backend_of("auto") is not None, reason="needs an NVIDIA GPU; there is none on this machine")
def test_a_gpu_gives_the_verdicts_of_mujoco(task: wv.Task, plans: list[wv.Plan]) -> None:
    found = LocalVerifier(backend=backend_of("gpu")).verify(task, plans)
    assert [v.status for v in found] == ["PASS", "FAIL", "FAIL", "FAIL"]
