"""Whether a start is one that the task speaks of: a goal that holds already would be won by doing nothing."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.formula import Always, AtEnd, Eventually, Until
from worldverify.judge import Finding, atom_margins, judge
from worldverify.kernels.engine import Engine
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.kernels.online import still
from worldverify.refusal import Refusal
from worldverify.scene import Scene, build_scene
from worldverify.simulate import Trace
from worldverify.spec import Spec
from worldverify.walk import walk

NAME = "precondition"

_LANES = 64  # states that are looked at together

Floats = NDArray[np.float64]


class Precondition:
    """A formula about one state of a scene. Raises Refusal, cause spec, if it does not fit the scene."""

    def __init__(self, scene: Scene, formula: str) -> None:
        spec = Spec.parse(f"{NAME}: {formula}")
        if len(spec.requirements) > 1:
            raise Refusal("bad_spec", "A precondition is one formula: join its lines with `and`.", cause="spec")
        for part in walk(spec.requirements[0].formula):
            if isinstance(part, Always | Eventually | Until | AtEnd):
                raise Refusal(
                    "bad_spec",
                    f"The precondition speaks of the start alone, and so has no time: leave {part} out of it.",
                    cause="spec",
                )
        self._scene = build_scene(scene.source, spec, keyframe=None if scene.keyframe < 0 else scene.keyframe)
        self._engine: Engine = MujocoEngine(self._scene.model, 1, threads=1)
        self._lock = threading.Lock()
        self._formula = str(spec.requirements[0].formula)

    def check(self, state: Floats) -> None:
        """Raises Refusal, cause model, for a state (nstate,) in which it does not hold."""
        (fault,) = self.faults(state[None])
        if fault is not None:
            raise fault

    def faults(self, states: Floats) -> list[Refusal | None]:
        """Why it does not hold in each of n states (n, nstate), or None."""
        blocks = [states[i : i + _LANES] for i in range(0, len(states), _LANES)]
        with self._lock:
            return [fault for block in blocks for fault in self._look(block)]

    def _look(self, states: Floats) -> list[Refusal | None]:
        lanes: Any = np.arange(len(states))
        if self._engine.nlane < len(states):
            self._engine = MujocoEngine(self._scene.model, _LANES, threads=1)
        self._engine.load(lanes, states)
        seen = self._engine.observe(lanes)
        margins = atom_margins(self._scene.bound, seen.value)[:, :, 0]
        held = (still(self._scene.bound.formulas, margins) > 0).all(axis=1) & np.isfinite(margins).all(axis=0)
        if (seen.fault == 0).all() and held.all():
            return [None] * len(states)
        trace = Trace(seen.value, seen.fault, np.zeros(len(states), np.int64), states)
        return [self._fault(finding) for finding in judge(self._scene.bound, trace, horizon=0)]

    def _fault(self, finding: Finding) -> Refusal | None:
        if finding.status == "PASS":
            return None
        margin = finding.margins[NAME]
        missed = "" if margin.value is None else f": {margin.term} is missed by {-margin.value:.4g} {margin.unit}"
        return Refusal(
            NAME,
            f"The start is not one that the task begins from ({self._formula}){missed}. Start from another state.",
            cause="model",
        )
