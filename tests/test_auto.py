"""on="auto" on a machine with a GPU: measured, told, sound, and never stuck. The GPU is a double that needs none."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.engines import auto_physics, backend, device
from worldverify.engines.auto_physics import AutoPhysics
from worldverify.engines.backend import DeviceLost, EngineRefused, backend_of
from worldverify.engines.band import Band
from worldverify.engines.device import Gpu
from worldverify.engines.physics import Job, MujocoPhysics, Outcome
from worldverify.kernels.engine import EngineInfo
from worldverify.local import LocalVerifier
from worldverify.testing import toy_task

BAND = Band(width=1e-3, plans=1000, share=0.0, flips_inside=0, flips_outside=0, upper=0.003, report="test")
GPU = EngineInfo("mjx", "warp", "gpu", "float32", "test")


class Double:
    """MuJoCo C under another name; slow or fast, and it may break."""

    def __init__(self, exact: MujocoPhysics) -> None:
        self.exact, self.calls, self.wait = exact, 0, 0.0
        self.lost, self.unsupported = False, False

    @property
    def info(self) -> EngineInfo:
        return GPU

    def check(self, task: wv.Task) -> None:
        if self.unsupported:
            raise EngineRefused("mjx-warp cannot simulate this model: it has plugins.")

    def most(self, task: wv.Task) -> int:
        return 8

    def findings(self, job: Job, states: Any, controls: Sequence[Any]) -> list[Any]:
        return self.exact.findings(job, states, controls)

    def run(self, job: Job, states: Any, controls: Sequence[Any]) -> list[Outcome]:
        self.calls += 1
        if self.lost:
            raise DeviceLost("mjx-warp failed twice on the gpu (the bus fell off).")
        time.sleep(self.wait)
        return [replace(o, info=GPU, device_s=0.1) for o in self.exact.run(job, states, controls)]

    def close(self) -> None:
        pass


@pytest.fixture
def task() -> wv.Task:
    return toy_task()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[LocalVerifier, Double]]:
    """A verifier that has a choice, and its GPU."""
    monkeypatch.setenv("WORLDVERIFY_CACHE", str(tmp_path))
    monkeypatch.setattr(auto_physics, "load_band", lambda task, info: BAND)

    def make(*, no_gpu: str | None = None) -> tuple[LocalVerifier, Double]:
        exact = MujocoPhysics(threads=1, chunk=1000)
        gpu = Double(exact)
        verifier = LocalVerifier(threads=1)
        verifier._physics = AutoPhysics(exact, gpu=lambda: gpu, no_gpu=lambda: no_gpu, threads=1)
        return verifier, gpu

    return make


def devices(verifier: LocalVerifier, task: wv.Task, calls: int) -> list[str]:
    return [verifier.verify(task, [task.good] * 4)[0].engine["device"] for _ in range(calls)]


def test_both_are_measured_and_then_the_faster_one_is_taken(made: Any, task: wv.Task) -> None:
    verifier, gpu = made()
    gpu.wait = 0.5  # slower than any CPU
    assert devices(verifier, task, 4) == ["cpu", "gpu", "cpu", "cpu"]
    (verdict,) = verifier.verify(task, task.good)
    assert verdict.cost.placement is not None and "expected on 1 CPU core against" in verdict.cost.placement


def test_the_cost_says_which_device_and_why(made: Any, task: wv.Task) -> None:
    verifier, _ = made()
    first, second = (verifier.verify(task, task.good)[0] for _ in range(2))
    assert first.cost.placement == "cpu: not measured yet on cpu and gpu for this scene."
    assert second.cost.placement == "gpu: not measured yet for this scene, so it is tried."
    assert second.cost.gpu_s == pytest.approx(0.2)  # compiled, then measured
    assert second.to_json()["cost"]["placement"] == second.cost.placement


def test_what_was_measured_is_known_to_the_next_process(made: Any, task: wv.Task) -> None:
    devices(made()[0], task, 2)
    verdict = made()[0].verify(task, task.good)[0]
    assert "not measured" not in str(verdict.cost.placement)


@pytest.mark.parametrize("why", ["There is no NVIDIA driver on this machine: install one to use a GPU."])
def test_a_gpu_that_cannot_be_used_is_named_and_not_tried(made: Any, task: wv.Task, why: str) -> None:
    verifier, gpu = made(no_gpu=why)
    verdict = verifier.verify(task, task.good)[0]
    assert (verdict.engine["device"], gpu.calls) == ("cpu", 0)
    assert verdict.cost.placement == f"cpu: {why}"


def test_without_a_parity_report_the_gpu_is_not_used(made: Any, task: wv.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, gpu = made()
    monkeypatch.setattr(auto_physics, "load_band", lambda task, info: None)
    assert devices(verifier, task, 3) == ["cpu"] * 3 and gpu.calls == 0
    assert "worldverify parity Toy --on gpu" in str(verifier.verify(task, task.good)[0].cost.placement)


def test_a_scene_that_the_gpu_cannot_simulate_goes_to_the_cpu(made: Any, task: wv.Task) -> None:
    verifier, gpu = made()
    gpu.unsupported = True
    assert devices(verifier, task, 3) == ["cpu"] * 3 and gpu.calls == 0
    assert "it has plugins" in str(verifier.verify(task, task.good)[0].cost.placement)


def test_a_gpu_that_is_lost_loses_no_plan_and_is_not_tried_again(made: Any, task: wv.Task) -> None:
    verifier, gpu = made()
    devices(verifier, task, 1)
    gpu.lost = True
    verdicts = verifier.verify(task, [task.good, *task.bad.values()])
    assert [v.status for v in verdicts] == ["PASS", "FAIL", "FAIL", "FAIL"]
    assert all("the bus fell off" in str(v.cost.placement) for v in verdicts)
    assert devices(verifier, task, 2) == ["cpu", "cpu"] and gpu.calls == 1


def test_verdicts_do_not_depend_on_the_device_that_was_chosen(made: Any, task: wv.Task) -> None:
    verifier, _ = made()
    plans = [task.good, *task.bad.values(), "no plan"]
    found = [[v.status for v in verifier.verify(task, plans)] for _ in range(4)]
    assert found == [["PASS", "FAIL", "FAIL", "FAIL", "INVALID"]] * 4


def test_auto_leaves_a_choice_only_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_gpu", lambda: Gpu(False, None, None, "There is none."))
    assert backend_of("auto") == backend.MUJOCO
    monkeypatch.setattr(device, "find_gpu", lambda: Gpu(True, "H100", "580.1", "An H100."))
    assert backend_of("auto") is None
    assert backend_of("cpu") == backend.MUJOCO


def test_nothing_to_judge_is_no_measurement(made: Any, task: wv.Task) -> None:
    verifier, gpu = made()
    assert len(verifier.verify(task, [])) == 0
    assert [v.status for v in verifier.verify(task, ["nothing", np.zeros((3, 7))])] == ["INVALID", "INVALID"]
    assert gpu.calls == 0
