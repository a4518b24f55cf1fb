"""Episodes that are lived through side by side: physics, the evidence so far, and what it says."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.judge import Finding, atom_margins, judge
from worldverify.kernels.engine import Engine, Fault
from worldverify.kernels.online import monitor, still
from worldverify.simulate import Trace
from worldverify.task import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Seen(NamedTuple):
    """What n lanes show after an action."""

    standing: Floats  # (n, C) margins of the requirements in scales if the world stood still from now on
    over: Bools  # (n,) decided, not to be believed, or at the horizon


class Lanes:
    """Episodes of one task, one in each lane of an engine: the same bits as when each plan is judged whole."""

    def __init__(self, task: Task, engine: Engine) -> None:
        """The lanes of `engine` belong to these episodes from now on."""
        self._task, self._engine, lanes = task, engine, engine.nlane
        bound = task.scene.bound
        self._scale = np.array([atom.scale for atom in bound.atoms])[:, None, None]
        self._monitor = monitor(bound.formulas, task.samples, lanes)
        self._value: list[list[Floats]] = [[] for _ in range(lanes)]  # of each lane (K, S) after (K, S)
        self._fault: list[list[NDArray[np.int32]]] = [[] for _ in range(lanes)]
        self.start: Floats = np.zeros((lanes, task.scene.nstate))  # where the episodes began
        self.steps: Ints = np.zeros(lanes, dtype=np.int64)  # physics substeps so far

    def begin(self, lanes: Ints, states: Floats) -> Floats:
        """New episodes from states (n, nstate); (n, C) margins in scales if the world stood still as it is."""
        self._engine.load(lanes, states)
        self.start[lanes], self.steps[lanes] = states, 0
        self._monitor.clear(lanes)
        for lane in lanes:
            self._value[lane], self._fault[lane] = [], []
        return still(self._task.scene.bound.formulas, self._relative(self._engine.observe(lanes).value)[:, :, 0])

    def advance(self, lanes: Ints, controls: Floats) -> Seen:
        """Hold controls (n, T, nu) for a control period each. An episode ends at the horizon, whatever is left."""
        task, held = self._task, np.repeat(controls, self._task.substeps, axis=1)
        most = np.minimum(held.shape[1], task.samples - self.steps[lanes])
        if (most == held.shape[1]).all():
            return self._run(lanes, held)
        standing, over = np.zeros((len(lanes), len(task.scene.bound.names))), np.zeros(len(lanes), dtype=bool)
        for steps in np.unique(most):  # the last action of an episode may be cut off
            some = most == steps
            standing[some], over[some] = self._run(lanes[some], np.ascontiguousarray(held[some, :steps]))
        return Seen(standing, over)

    def states(self, lanes: Ints) -> Floats:
        """(n, nstate) the integration states now."""
        states: Floats = self._engine.state(lanes)
        return states

    def evidence(self, lane: int) -> Trace:
        """What one lane has shown up to its state now, as `LocalVerifier.verify` takes it for its history.

        Its last sample shows the state now under the last control; a plan that goes on from here shows it anew.
        """
        value, fault, one = self._value[lane], self._fault[lane], np.array([lane])
        if self.steps[lane] < self._task.samples:
            now = self._engine.observe(one)
            value, fault = [*value, now.value[0]], [*fault, now.fault[0]]
        return Trace(np.concatenate(value)[None], np.concatenate(fault)[None], self.steps[one].copy(), self.states(one))

    def findings(self, lanes: Ints) -> list[Finding]:
        """What the evidence of lanes says. Lanes that are over, and not at the horizon, are judged in one go."""
        known = np.array([sum(map(len, self._fault[lane])) for lane in lanes])
        ended = (known <= self._task.samples).nonzero()[0]
        longest = known[ended].max(initial=0)
        found: dict[int, Finding] = {}
        for rows, length in ((ended, longest), ((known > self._task.samples).nonzero()[0], self._task.samples + 1)):
            if not len(rows):
                continue
            value = np.zeros((len(rows), length, self._task.scene.model.nsensordata))
            fault = np.full((len(rows), length), int(Fault.NOT_FINITE), dtype=np.int32)  # beyond an end is no evidence
            for i, row in enumerate(rows):
                np.concatenate(self._value[lanes[row]], out=value[i, : known[row]])
                np.concatenate(self._fault[lanes[row]], out=fault[i, : known[row]])
            trace = Trace(value, fault, np.full(len(rows), length - 1), self.start[lanes[rows]])
            found.update(
                zip(rows.tolist(), judge(self._task.scene.bound, trace, horizon=self._task.samples), strict=True)
            )
        return [found[i] for i in range(len(lanes))]

    def finding(self, lane: int) -> Finding | None:
        """What the evidence of one lane says so far, over or not; None before its first action."""
        if not self._fault[lane]:
            return None
        value, fault = np.concatenate(self._value[lane])[None], np.concatenate(self._fault[lane])[None]
        trace = Trace(value, fault, np.array([fault.shape[1] - 1]), self.start[[lane]])
        return judge(self._task.scene.bound, trace, horizon=self._task.samples)[0]

    def _run(self, lanes: Ints, controls: Floats) -> Seen:
        """Step (n, K, nu) and look."""
        samples = self._engine.advance(lanes, controls)
        standing, over = self._take(lanes, samples.value, samples.fault)
        self.steps[lanes] += controls.shape[1]
        last = (self.steps[lanes] >= self._task.samples).nonzero()[0]
        if len(last):
            end = self._engine.observe(lanes[last])
            standing[last], _ = self._take(lanes[last], end.value, end.fault)
            over[last] = True
        return Seen(standing, over)

    def _take(self, lanes: Ints, value: Floats, fault: NDArray[np.int32]) -> Seen:
        for row, lane in enumerate(lanes.tolist()):
            self._value[lane].append(value[row])
            self._fault[lane].append(fault[row])
        relative = self._relative(value)
        low, high, standing = self._monitor.add(lanes, relative)
        decided = (low > 0).all(axis=1) | (high < 0).any(axis=1)
        wrong = ((fault & int(Fault.invalidating())) != 0).any(axis=1) | ~np.isfinite(relative).all(axis=(0, 2))
        return Seen(standing, decided | wrong)

    def _relative(self, value: Floats) -> Floats:
        """(A, n, K) margins of the atoms, in their scales."""
        with np.errstate(over="ignore", invalid="ignore"):
            relative: Floats = atom_margins(self._task.scene.bound, value) / self._scale
        return relative
