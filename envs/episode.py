"""A plan that is written step by step: one lane of physics, the evidence so far, and what it says."""

import numpy as np
from numpy.typing import NDArray

from worldverify.judge import Finding, atom_margins, judge
from worldverify.kernels.engine import Engine
from worldverify.kernels.robustness import interval
from worldverify.simulate import Trace
from worldverify.task import Task

Floats = NDArray[np.float64]

_LANE = np.arange(1)


class Episode:
    """The evidence of one plan, gathered while it is executed: the same bits as when it is judged whole."""

    def __init__(self, task: Task, engine: Engine, state: Floats) -> None:
        """`engine` has one lane, which is this episode's from now on. `state` is where it begins, (nstate,)."""
        self._task = task
        self._engine = engine
        engine.load(_LANE, state[None])
        samples, bound = task.samples + 1, task.scene.bound
        self._value = np.zeros((1, samples, task.scene.model.nsensordata))
        self._fault = np.zeros((1, samples), dtype=np.int32)
        self._relative = np.zeros((len(bound.atoms), 1, samples))  # margins of the atoms, in their scales
        self._scale = np.array([atom.scale for atom in bound.atoms])[:, None, None]
        self._known = 0  # samples so far
        self.start: Floats = state.copy()  # (nstate,)
        self.steps = 0  # physics substeps so far
        self.finding: Finding | None = None  # what the evidence so far says; None before the first step

    @property
    def state(self) -> Floats:
        """(nstate,) the integration state now."""
        state: Floats = self._engine.state(_LANE)[0]
        return state

    @property
    def finished(self) -> bool:
        """Whether the horizon has been reached."""
        return self.steps >= self._task.samples

    @property
    def evidence(self) -> Trace:
        """The evidence up to the state now, as `LocalVerifier.verify` takes it for its history.

        Its last sample shows the state now under the last control; a plan that goes on from here shows it anew.
        """
        value, fault = self._value[:, : self._known], self._fault[:, : self._known]
        if not self.finished:
            now = self._engine.observe(_LANE)
            value, fault = np.concatenate([value, now.value], axis=1), np.concatenate([fault, now.fault], axis=1)
        return Trace(value.copy(), fault.copy(), np.array([self.steps]), self.state[None])

    def advance(self, controls: Floats) -> Finding:
        """Hold controls (T, nu) for a control period each, and judge the evidence so far."""
        task = self._task
        held = np.repeat(controls, task.substeps, axis=0)[None, : task.samples - self.steps]
        samples = self._engine.advance(_LANE, np.ascontiguousarray(held))
        self._record(samples.value, samples.fault)
        self.steps += held.shape[1]
        if self.finished:
            last = self._engine.observe(_LANE)
            self._record(last.value, last.fault)
        known = Trace(
            self._value[:, : self._known], self._fault[:, : self._known], np.array([self._known - 1]), self._value[:, 0]
        )
        self.finding = judge(task.scene.bound, known, horizon=task.samples)[0]
        return self.finding

    def standing(self, samples: int | None = None) -> Floats:
        """(C,) margins in scales if the world stood still after the first `samples`: a point of each interval.

        Requirements that look beyond the horizon stay at -inf.
        """
        known = self._known if samples is None else samples
        still = self._task.samples + 1 - known
        held = np.concatenate(
            [self._relative[..., :known], np.repeat(self._relative[..., known - 1 : known], still, axis=-1)], axis=-1
        )
        low, _ = interval(self._task.scene.bound.formulas, held, np.array([self._task.samples]))
        margins: Floats = low[0]
        return margins

    def _record(self, value: Floats, fault: NDArray[np.int32]) -> None:
        new = slice(self._known, self._known + value.shape[1])
        self._value[:, new], self._fault[:, new] = value, fault
        self._relative[..., new] = atom_margins(self._task.scene.bound, value) / self._scale
        self._known = new.stop
