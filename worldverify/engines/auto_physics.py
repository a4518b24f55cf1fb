"""Jobs on the CPU or on the GPU, call by call, as measured here: `on="auto"` on a machine that has a GPU."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worldverify.engines.backend import Backend, DeviceLost, EngineRefused
from worldverify.engines.band import load_band
from worldverify.engines.device import find_gpu, gpu_refusal
from worldverify.engines.physics import Job, MujocoPhysics, Outcome, Physics, last_samples
from worldverify.engines.placement import (
    Placement,
    bucket_of,
    calibration_name,
    choose,
    load_calibration,
    save_calibration,
)
from worldverify.judge import Finding
from worldverify.kernels.engine import EngineInfo
from worldverify.kernels.mujoco_cpu import usable_cpus
from worldverify.task import Task

Floats = NDArray[np.float64]
_Program = tuple[str, str, int, bool, bool, bool]  # what a program is compiled for, its batch bucket aside


class AutoPhysics:
    """MuJoCo C, or MJX on the GPU where that was measured to be faster and its guard band is known."""

    def __init__(
        self,
        exact: MujocoPhysics,
        *,
        gpu: Callable[[], Physics] | None = None,
        no_gpu: Callable[[], str | None] = gpu_refusal,
        threads: int | None = None,
    ) -> None:
        """`gpu` makes the physics of the device when it is first needed; `no_gpu` says why it cannot be used, if so."""
        self._exact, self._threads = exact, threads or usable_cpus()
        self._make, self._refusal = gpu or self._device, no_gpu
        self._gpu: Physics | None = None
        self._fault: str | None = None  # why the GPU is not used any more
        self._unsupported: dict[str, str] = {}  # digest of a scene -> why not for it
        self._compiled: dict[_Program, set[int]] = {}  # buckets that were run on the GPU
        self._forgone: dict[str, float] = {}

    @property
    def info(self) -> EngineInfo:
        return self._exact.info

    def close(self) -> None:
        self._exact.close()
        if self._gpu is not None:
            self._gpu.close()

    @property
    def ends_early(self) -> bool:
        return True

    def check(self, task: Task) -> None:
        pass  # what the GPU cannot simulate, MuJoCo C can

    def most(self, task: Task) -> int:
        return self._exact.most(task) if self._gpu is None else self._gpu.most(task)

    def findings(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Finding]:
        return self._exact.findings(job, states, controls)

    def run(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        scene, plans, samples = job.task.scene.digest, len(controls), int(last_samples(job, controls).max())
        name = calibration_name(scene, find_gpu().name, self._threads)
        known = load_calibration(name)
        placement = choose(
            known,
            plans,
            samples,
            threads=self._threads,
            no_gpu=self._no_gpu(job),
            compiled=self._compiled.get(_program_of(job, samples), set()),
            forgone_s=self._forgone.get(scene, 0.0),
        )
        self._forgone[scene] = self._forgone.get(scene, 0.0) + placement.forgone_s
        if placement.unknown == ("gpu",):
            placement = Placement("gpu", "gpu: not measured yet for this scene, so it is tried.")
        if placement.device == "gpu":
            try:
                outcomes, seconds, compile_s = self._on_gpu(job, states, controls, samples)
                known = known.with_call("gpu", plans, samples, seconds, compile_s=compile_s)
                save_calibration(name, known)
                return _told(outcomes, placement.why)
            except DeviceLost as error:
                self._fault = f"{error} It is not used any more in this process."
                placement = Placement("cpu", f"cpu: {self._fault}")
        clock, most = time.perf_counter(), self._exact.most(job.task)
        outcomes = [
            outcome
            for first in range(0, plans, most)
            for outcome in self._exact.run(job, states[first : first + most], controls[first : first + most])
        ]
        if self._fault is None:
            save_calibration(name, known.with_call("cpu", plans, samples, time.perf_counter() - clock))
        return _told(outcomes, placement.why)

    def _on_gpu(
        self, job: Job, states: Floats, controls: Sequence[Floats], samples: int
    ) -> tuple[list[Outcome], float, float | None]:
        """(outcomes, seconds of a warm call, seconds to compile if this was the first of its size)."""
        assert self._gpu is not None
        seen = self._compiled.setdefault(_program_of(job, samples), set())
        bucket, clock = bucket_of(len(controls)), time.perf_counter()
        outcomes = self._gpu.run(job, states, controls)
        spent = time.perf_counter() - clock
        if bucket in seen:
            return outcomes, spent, None
        seen.add(bucket)
        clock = time.perf_counter()
        # Once: what a batch of this size costs when nothing is compiled any more. It is paid for as well.
        again = self._gpu.run(replace(job, told=lambda steps: None), states, controls)
        warm = time.perf_counter() - clock
        outcomes = [
            replace(o, steps=o.steps + a.steps, device_s=o.device_s + a.device_s)
            for o, a in zip(outcomes, again, strict=True)
        ]
        return outcomes, warm, max(spent - warm, 0.0)

    def _no_gpu(self, job: Job) -> str | None:
        """Why MuJoCo C must judge this job, as a sentence."""
        task = job.task
        if job.best or job.halt.limited:
            return "A budget, and the search for the best plan, are for MuJoCo C."
        if self._gpu is None and self._fault is None:
            self._fault = self._refusal()
            try:
                self._gpu = self._make() if self._fault is None else None
            except Exception as error:  # whatever a driver, a compiler or a library may end in: the CPU can judge
                self._fault = _sentence(error)
        if self._gpu is None or self._fault is not None:
            return self._fault
        if task.scene.digest not in self._unsupported:
            try:
                self._gpu.check(task)
                self._unsupported[task.scene.digest] = ""
            except Exception as error:
                self._unsupported[task.scene.digest] = _sentence(error)
        if self._unsupported[task.scene.digest]:
            return self._unsupported[task.scene.digest]
        if load_band(task, self._gpu.info) is None:
            return f"there is no usable parity report for this task; worldverify parity {task.name} --on gpu makes one."
        return None

    def _device(self) -> Physics:
        from worldverify.engines.device_physics import DevicePhysics

        return DevicePhysics(Backend("mjx", "warp", "gpu"), self._exact)


def _program_of(job: Job, samples: int) -> _Program:
    return job.task.scene.digest, str(job.task.spec), samples, job.chunk, job.full, job.history is None


def _sentence(error: Exception) -> str:
    """Why the GPU cannot be used, from what was raised; a refusal is a sentence already."""
    said = str(error) if isinstance(error, EngineRefused | ImportError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:300]


def _told(outcomes: list[Outcome], why: str) -> list[Outcome]:
    return [replace(o, placement=why) for o in outcomes]
