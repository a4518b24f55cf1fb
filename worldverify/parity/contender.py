"""What is compared with MuJoCo C: an engine, and the findings that come from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.engines.backend import Backend
from worldverify.engines.making import make_engine, physics_on
from worldverify.engines.physics import INFO, Job, evidence_block
from worldverify.judge import Finding, judge
from worldverify.kernels.engine import Engine, EngineInfo
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.simulate import CHUNK, simulate
from worldverify.task import Task

Floats = NDArray[np.float64]

MOST_LANES = 2048  # plans of one call of a device

MakeEngine = Callable[[mujoco.MjModel, int], Engine]  # (compiled model, number of lanes)
# (task, states (B, nstate), controls B times (T_b, nu)) -> a finding each, with `final`, nothing judged again
Find = Callable[[Task, Floats, Sequence[Floats]], list[Finding]]


@dataclass(frozen=True)
class Contender:
    """One side of the comparison."""

    name: str  # as on the command line
    info: EngineInfo
    make_engine: MakeEngine
    find: Find
    check: Callable[[Task], None]  # raises ValueError, with a sentence, for a task that it cannot simulate


def of_engine(name: str, make_engine: MakeEngine, info: EngineInfo) -> Contender:
    """An engine whose evidence comes to this side and is folded here."""

    def find(task: Task, states: Floats, controls: Sequence[Floats]) -> list[Finding]:
        block = evidence_block(task)
        findings: list[Finding] = []
        for first in range(0, len(controls), block):
            rows = slice(first, first + block)
            engine = make_engine(task.scene.model, len(controls[rows]))
            trace = simulate(engine, states[rows], controls[rows], substeps=task.substeps, samples=task.samples)
            findings += judge(task.scene.bound, trace, horizon=task.samples, final=True)
        return findings

    return Contender(name, info, make_engine, find, lambda task: None)


def reference() -> Contender:
    """MuJoCo C in float64, which defines what is true."""
    return of_engine(INFO.engine, MujocoEngine, INFO)


def of_backend(backend: Backend) -> Contender:
    """An engine as verify uses it: the program that folds on the device is what is compared.

    Raises ValueError, with a sentence, where the engine cannot be used on this machine.
    """
    physics = physics_on(backend, threads=None, chunk=CHUNK)

    def find(task: Task, states: Floats, controls: Sequence[Floats]) -> list[Finding]:
        job = Job(task, chunk=False, full=False, history=None, told=lambda steps: None)
        blocks = range(0, len(controls), MOST_LANES)
        return [
            finding
            for first in blocks
            for finding in physics.findings(
                job, states[first : first + MOST_LANES], controls[first : first + MOST_LANES]
            )
        ]

    return Contender(
        backend.name, physics.info, lambda model, nlane: make_engine(backend, model, nlane), find, physics.check
    )
