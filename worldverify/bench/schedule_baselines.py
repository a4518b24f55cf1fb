"""What others would run: `mujoco.batch` to the horizon, and the same as a good engineer makes it in a day.

Both read and compile plans with our own functions, look at the spec with our own judge, and trust every number: no
check of contacts, memory, convergence or tunnelling, no request, no digest.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from mujoco import batch
from numpy.typing import NDArray

from worldverify.compile import Compiled, compile_for
from worldverify.engines.physics import evidence_block
from worldverify.judge import Finding, atom_margins, judge
from worldverify.kernels.mujoco_cpu import quiet, usable_cpus
from worldverify.kernels.online import monitor
from worldverify.plan import Plan, admit
from worldverify.refusal import Refusal
from worldverify.simulate import Trace, held
from worldverify.task import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Lines = Sequence[Any]

KEPT = 8  # batches, by their number of lanes
LOOKED_AT = 64  # plans whose contacts are counted
LOOK = 100  # substeps between two looks at the spec: fewer waste calls of mujoco.batch
CTRL = mujoco.mjtState.mjSTATE_CTRL


@dataclass(frozen=True, eq=False)
class Found:
    """What a baseline says of B plans."""

    findings: list[Finding | Refusal]
    steps: int  # substeps simulated
    compile_s: float  # s, of reading and compiling the plans


@dataclass(eq=False)
class Bare:
    """A `mujoco.batch.Batch` of the task's own model, sensors included, kept from call to call."""

    task: Task
    _lanes: dict[int, Any] = field(default_factory=dict)

    def exhaustive(self, lines: Lines, states: Floats) -> Found:
        """Every plan to the horizon, then the spec."""
        return self._found(lines, states, self._whole)

    def stopping(self, lines: Lines, states: Floats) -> Found:
        """Equal plans once, each until the spec is violated."""
        return self._found(lines, states, self._distinct)

    def contacts(self, lines: Lines, states: Floats) -> dict[str, float]:
        """Contacts of a step over the first of these plans: their mean and the greatest number."""
        made = compiled(self.task, lines[:LOOKED_AT], states[:LOOKED_AT])
        some = [(i, one.controls) for i, one in enumerate(made) if isinstance(one, Compiled)]
        if not some:
            return {"mean": 0.0, "peak": 0.0}
        lanes = self._batch(states[[i for i, _ in some]])
        told = np.stack([held(controls, self.task.steps) for _, controls in some])
        with quiet():
            found = lanes.rollout(self.task.samples, np.repeat(told, self.task.substeps, axis=1), CTRL, record=["ncon"])
        return {"mean": float(np.mean(found["ncon"])), "peak": float(np.max(found["ncon"]))}

    def _found(self, lines: Lines, states: Floats, run: Callable[[Floats, Floats], tuple[list[Finding], int]]) -> Found:
        clock, task = time.perf_counter(), self.task
        made = compiled(task, lines, states)
        compile_s = time.perf_counter() - clock
        findings: dict[int, Finding | Refusal] = {i: one for i, one in enumerate(made) if isinstance(one, Refusal)}
        admitted = [(i, one.controls) for i, one in enumerate(made) if isinstance(one, Compiled)]
        block, steps = evidence_block(task), 0
        for first in range(0, len(admitted), block):
            part = admitted[first : first + block]
            rows = [i for i, _ in part]
            some, simulated = run(states[rows], np.stack([held(controls, task.steps) for _, controls in part]))
            findings.update(zip(rows, some, strict=True))
            steps += simulated
        return Found([findings[i] for i in range(len(made))], steps, compile_s)

    def _whole(self, states: Floats, controls: Floats) -> tuple[list[Finding], int]:
        lanes, samples = self._batch(states), self.task.samples
        with quiet():
            value = lanes.rollout(samples, np.repeat(controls, self.task.substeps, axis=1), CTRL, record=["sensordata"])
            lanes.forward()
        value = np.concatenate([value["sensordata"], np.array(lanes.bind("sensordata"))[:, None]], axis=1)
        return self._judged(value), len(states) * samples

    def _distinct(self, states: Floats, controls: Floats) -> tuple[list[Finding], int]:
        keys = [start.tobytes() + row.tobytes() for start, row in zip(states, controls, strict=True)]
        first: dict[bytes, int] = {}
        for i, key in enumerate(keys):
            first.setdefault(key, i)
        rows = list(first.values())
        findings, steps = self._until_violated(states[rows], controls[rows])
        by_key = dict(zip(first, findings, strict=True))
        return [by_key[key] for key in keys], steps

    def _until_violated(self, states: Floats, controls: Floats) -> tuple[list[Finding], int]:
        task, lanes = self.task, self._batch(states)
        bound, plans, steps = task.scene.bound, len(states), 0
        scale = np.array([atom.scale for atom in bound.atoms])[:, None, None]
        watch = monitor(bound.formulas, task.samples, plans)
        watch.clear(np.arange(plans))
        told = np.repeat(controls, task.substeps, axis=1)
        shown = lanes.bind("sensordata")
        value = np.zeros((plans, task.samples + 1, shown.shape[1]))
        known = np.zeros(plans, dtype=np.int64)  # the last sample of each
        alive = np.arange(plans)
        for start in range(0, task.samples, LOOK):
            end = min(start + LOOK, task.samples)
            with quiet():
                part = lanes.rollout(end - start, told[alive, start:end], CTRL, record=["sensordata"], ids=alive)
                if end == task.samples:
                    lanes.forward(alive)
            new = part["sensordata"]
            if end == task.samples:
                new = np.concatenate([new, np.array(shown)[alive][:, None]], axis=1)
            value[alive, start : start + new.shape[1]] = new
            known[alive] = start + new.shape[1] - 1
            steps += len(alive) * (end - start)
            _, high, _ = watch.add(alive, np.asarray(atom_margins(bound, new) / scale))
            alive = alive[~(high < 0).any(axis=1)]
            if not len(alive):
                break
        findings: dict[int, Finding] = {}
        for last in np.unique(known).tolist():
            rows = np.flatnonzero(known == last)
            findings.update(zip(rows.tolist(), self._judged(value[rows, : last + 1]), strict=True))
        return [findings[i] for i in range(plans)], steps

    def _judged(self, value: Floats) -> list[Finding]:
        plans, known = len(value), value.shape[1] - 1
        trace = Trace(value, np.zeros(value.shape[:2], dtype=np.int32), np.full(plans, known), np.zeros((plans, 0)))
        return judge(self.task.scene.bound, trace, horizon=self.task.samples)

    def _batch(self, states: Floats) -> Any:
        """Lanes that hold these states; as few numbers of lanes are kept as calls have."""
        plans = len(states)
        if plans not in self._lanes:
            if len(self._lanes) >= KEPT:
                self._lanes.clear()
            self._lanes[plans] = batch.Batch(self.task.scene.model, plans, min(usable_cpus(), plans))
            self._lanes[plans].bind("sensordata")
        lanes = self._lanes[plans]
        lanes.state[:], lanes.warning[:] = states, 0
        return lanes


def compiled(task: Task, lines: Lines, states: Floats) -> list[Compiled | Refusal]:
    """The controls of each line, or why it has none."""
    made: dict[int, Compiled | Refusal] = {}
    plans: dict[int, Plan] = {}
    for i, line in enumerate(lines):
        try:
            plans[i] = admit(line, contracts=task.contracts, default_rate=task.rate, task=task.name)
        except Refusal as refusal:
            made[i] = refusal
    if plans:
        rows = list(plans)
        made.update(zip(rows, compile_for(task, states[rows], list(plans.values())), strict=True))
    return [made[i] for i in range(len(lines))]
