"""Engines that are wrong in one way each are refused by the question that asks for it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from worldverify.engines import selftest
from worldverify.engines.backend import MUJOCO, Backend
from worldverify.engines.caches import read_json, write_json
from worldverify.engines.exam import LANES, SelfTest, refusal_of, scene, self_test
from worldverify.engines.selftest import (
    SelfTestFailed,
    as_json,
    as_text,
    makers,
    memory_key,
    require_backend,
    require_self_test,
    run_self_test,
)
from worldverify.kernels.engine import Engine, EngineInfo, Fault, Samples
from worldverify.kernels.mujoco_cpu import MujocoEngine

Change = Callable[[Samples], Samples]
INVALID = int(Fault.invalidating())


class Wrapped:
    """MuJoCo C, whose controls and samples something comes between."""

    def __init__(
        self,
        model: Any,
        nlane: int,
        *,
        samples: Change = lambda seen: seen,
        controls: Callable[[Any], Any] = lambda u: u,
    ) -> None:
        self.inner = MujocoEngine(model, nlane, threads=1)
        self.samples, self.controls = samples, controls

    @property
    def info(self) -> EngineInfo:
        return self.inner.info

    @property
    def nlane(self) -> int:
        return self.inner.nlane

    def load(self, lanes: Any, state: Any) -> None:
        self.inner.load(lanes, state)

    def advance(self, lanes: Any, controls: Any) -> Samples:
        return self.samples(self.inner.advance(lanes, self.controls(controls)))

    def observe(self, lanes: Any) -> Samples:
        return self.samples(self.inner.observe(lanes))

    def state(self, lanes: Any) -> Any:
        return self.inner.state(lanes)


def on_another_model(change: Callable[[Any], None]) -> Callable[[Any, int], Engine]:
    """MuJoCo C, but of a model that was changed behind its back."""

    def make(model: Any, nlane: int) -> Engine:
        change(model)
        return MujocoEngine(model, nlane, threads=1)

    return make


def between(**changes: Any) -> Callable[[Any, int], Engine]:
    return lambda model, nlane: Wrapped(model, nlane, **changes)


def half_gravity(model: Any) -> None:
    model.opt.gravity *= 0.5


def sideways(model: Any) -> None:
    model.opt.gravity[0] = 0.5


def without_contacts(model: Any) -> None:
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)


def without_friction(model: Any) -> None:
    model.geom_friction[:] = 1e-4


def soft(model: Any) -> None:
    model.geom_solref[:] = (0.2, 1.0)


def weak(model: Any) -> None:
    model.actuator_gainprm[:, 0] *= 0.5


def hidden(bits: Fault) -> Change:
    """These faults are not told."""
    return lambda seen: Samples(np.nan_to_num(seen.value), seen.fault & ~int(bits))


def late(controls: Any) -> Any:
    """Every control one substep after its time."""
    return np.concatenate([controls[:, :1], controls[:, :-1]], axis=1)


def swapped(seen: Samples) -> Samples:
    """Lanes 0 and 1 answer for each other."""
    order = [1, 0, *range(2, len(seen.value))]
    return Samples(seen.value[order], seen.fault[order])


def infectious(seen: Samples) -> Samples:
    """A fault in one lane is everybody's."""
    return Samples(seen.value, np.broadcast_to(np.bitwise_or.reduce(seen.fault, axis=0), seen.fault.shape))


def forgetful(seen: Samples) -> Samples:
    """A fault is told of once, at the sample where it shows first."""
    before = np.zeros_like(seen.fault)
    before[:, 1:] = np.bitwise_or.accumulate(seen.fault, axis=1)[:, :-1]
    return Samples(seen.value, seen.fault & ~before)


def drifting(seen: Samples) -> Samples:
    """The last lane is a little off."""
    value = seen.value.copy()
    value[-1] += 0.05
    return Samples(value, seen.fault)


class Poisoned(Wrapped):
    """A lane that went wrong once stays distrusted, whatever is loaded into it."""

    def __init__(self, model: Any, nlane: int) -> None:
        super().__init__(model, nlane)
        self.bad = np.zeros(nlane, dtype=bool)

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = super().advance(lanes, controls)
        told = np.where(self.bad[:, None], fault | int(Fault.RAISED), fault)
        self.bad |= ((fault & INVALID) != 0).any(axis=1)
        return Samples(value, told)


BROKEN = {
    "gravity halved": (on_another_model(half_gravity), {"gravity", "load"}),
    "gravity sideways": (on_another_model(sideways), {"gravity"}),
    "contacts removed": (on_another_model(without_contacts), {"load", "rest", "friction"}),
    "friction removed": (on_another_model(without_friction), {"friction"}),
    "contacts soft": (on_another_model(soft), {"rest"}),
    "drive weak": (on_another_model(weak), {"drive", "control"}),
    "controls late": (between(controls=late), {"drive", "control"}),
    "lanes swapped": (between(samples=swapped), {"gravity", "drive", "control"}),
    "lanes not alone": (between(samples=infectious), {"neighbours"}),
    "lane off": (between(samples=drifting), {"repeated"}),
    "lane poisoned": (Poisoned, {"reloaded"}),
    "NaN hidden": (between(samples=hidden(~Fault.OVERFLOW & ~Fault.RAISED)), {"nan_state", "nan_control"}),
    "faults told once": (between(samples=forgetful), {"nan_state", "nan_control", "divergence"}),
    "overflow hidden": (between(samples=hidden(Fault.OVERFLOW | Fault.RAISED)), {"overflow"}),
    "NaN everywhere": (between(samples=lambda s: Samples(s.value * np.nan, s.fault)), {"gravity", "repeated"}),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv("WORLDVERIFY_CACHE", str(folder))
    yield folder


@pytest.fixture(scope="module")
def passed() -> SelfTest:
    return self_test(*makers(MUJOCO))


def test_mujoco_passes_every_check(passed: SelfTest) -> None:
    assert passed.passed
    assert [check.text for check in passed.checks if not check.passed] == []
    assert all(0 <= check.margin <= 1 for check in passed.checks)
    assert passed.info.engine == "mujoco"


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_engine_is_refused_by_the_check_that_asks_for_it(how: str) -> None:
    make, wanted = BROKEN[how]
    found = self_test(make)
    wrong = {check.name for check in found.checks if not check.passed}
    assert wanted <= wrong
    assert not found.passed


@pytest.mark.parametrize(
    ("how", "alone"),
    [
        ("friction removed", {"friction"}),
        ("contacts soft", {"rest", "load", "friction"}),
        ("drive weak", {"drive", "control"}),
        ("lanes not alone", {"neighbours", "nan_control", "divergence"}),
        ("lane poisoned", {"reloaded"}),
        ("overflow hidden", {"overflow"}),
    ],
)
def test_what_is_not_broken_is_not_blamed(how: str, alone: set[str]) -> None:
    assert {check.name for check in self_test(BROKEN[how][0]).checks if not check.passed} <= alone


def test_the_refusal_says_what_was_measured_and_what_is_right() -> None:
    said = refusal_of(self_test(on_another_model(half_gravity)))
    assert "The engine mujoco on the cpu failed its self-test" in said
    assert "A falling ball is at" in said and "is right" in said
    assert "doctor --selftest" in said


def test_an_engine_that_refuses_too_little_memory_is_honest() -> None:
    def refuse() -> Engine:
        raise ValueError("The model keeps only one contact of each pair.")

    assert self_test(MujocoEngine, refuse).passed


def test_an_engine_that_fails_is_refused_by_name_and_not_remembered() -> None:
    with pytest.raises(SelfTestFailed, match="falling ball"):
        require_self_test(on_another_model(half_gravity), key="k")
    assert read_json(selftest.KEPT) is None


def test_an_engine_that_has_passed_is_not_asked_again() -> None:
    made = []

    def make(model: Any, nlane: int) -> Engine:
        made.append(nlane)
        return MujocoEngine(model, nlane, threads=1)

    require_self_test(make, key="k")
    asked = len(made)
    require_self_test(make, key="k")
    assert len(made) == asked
    require_self_test(make, key="another")
    require_self_test(make)
    assert len(made) == 3 * asked
    require_self_test(make, key="k")
    assert len(made) == 3 * asked


@pytest.mark.parametrize(
    "kept",
    [
        {"k": [["gravity", False, "wrong", -1.0]]},
        {"k": []},
        {"k": True},
        {"k": [["gravity", 1, "", 1.0]]},
        {"k": [True]},
        ["k"],
        "k",
        None,
    ],
)
def test_a_record_that_nobody_passed_is_not_believed(kept: Any) -> None:
    write_json(selftest.KEPT, kept)
    with pytest.raises(SelfTestFailed):
        require_self_test(on_another_model(without_contacts), key="k")


def test_only_the_newest_records_are_kept() -> None:
    write_json(selftest.KEPT, {f"old {i}": [] for i in range(100)})
    require_self_test(*makers(MUJOCO), key="k")
    kept = read_json(selftest.KEPT)
    assert isinstance(kept, dict)
    assert len(kept) == selftest.MOST_KEPT and list(kept)[-2:] == ["old 99", "k"]


def test_a_torn_record_is_written_anew(cache: Path) -> None:
    cache.mkdir(mode=0o700)
    (cache / f"{selftest.KEPT}.json").write_text('{"k": [["gravi', encoding="utf-8")
    require_self_test(*makers(MUJOCO), key="k")
    assert "k" in json.loads((cache / f"{selftest.KEPT}.json").read_text(encoding="utf-8"))


def test_the_key_covers_all_that_the_outcome_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    warp, jax = Backend("mjx", "warp", "cpu"), Backend("mjx", "jax", "cpu")
    keys = {
        memory_key(warp, {}),
        memory_key(jax, {}),
        memory_key(Backend("mjx", "warp", "gpu"), {}),
        memory_key(warp, {"XLA_FLAGS": "--xla_gpu_deterministic_ops=true"}),
        memory_key(warp, {"JAX_DEFAULT_MATMUL_PRECISION": "default"}),
    }
    usual = memory_key(warp, {})
    monkeypatch.setattr(selftest, "versions", lambda: {"mujoco": "9.9"})
    keys.add(memory_key(warp, {}))
    monkeypatch.setattr(selftest, "cpu_type", lambda: "another")
    keys.add(memory_key(warp, {}))
    monkeypatch.setattr(selftest, "gpu_names", lambda: ["NVIDIA Something"])
    keys.add(memory_key(Backend("mjx", "warp", "gpu"), {}))
    assert len(keys) == 8
    monkeypatch.undo()
    assert memory_key(warp, {"HOME": "elsewhere"}) == usual


def test_the_reference_is_asked_every_time() -> None:
    require_backend(MUJOCO)
    assert read_json(selftest.KEPT) is None


def test_the_doctor_shows_numbers_times_and_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    good = run_self_test("mujoco")
    assert good.passed
    assert "passed 14 checks" in as_text(good) and "to compile" in as_text(good)
    assert json.loads(json.dumps(as_json(good), allow_nan=False))["passed"] is True
    monkeypatch.setattr(selftest, "makers", lambda backend: (BROKEN["NaN everywhere"][0], None))
    bad = run_self_test("mujoco")
    assert not bad.passed
    assert "WRONG   gravity" in as_text(bad) and "FAILED" in as_text(bad)
    json.dumps(as_json(bad), allow_nan=False)


def test_an_engine_that_breaks_down_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: Any, nlane: int) -> Engine:
        raise RuntimeError("out of\n memory")

    monkeypatch.setattr(selftest, "makers", lambda backend: (fail, None))
    one = run_self_test("mujoco")
    assert not one.passed and not one.refused
    assert "FAILED to run. RuntimeError: out of memory" in as_text(one)
    assert as_json(one)["checks"] == []


def test_an_engine_that_lacks_a_part_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "mjx_refusal", lambda impl: "MJX needs jax, which is not installed: pip install jax.")
    one = run_self_test("mjx-jax")
    assert one.refused and not one.passed
    assert "not tried. " in as_text(one) and "pip install" in as_text(one)


def test_the_scene_fits_its_memory_and_the_cramped_one_does_not() -> None:
    lanes = np.arange(LANES)
    for memory, trusted in (("1M", True), ("6K", False)):
        engine = MujocoEngine(scene(memory=memory), LANES, threads=1)
        fault = engine.advance(lanes, np.zeros((LANES, 20, 1))).fault
        assert ((fault & INVALID) == 0).all() == trusted
