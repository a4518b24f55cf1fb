"""Whether a start is one that the task speaks of: a goal that holds already would be won by doing nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.formula import Always, AtEnd, Eventually, Until
from worldverify.judge import judge
from worldverify.kernels.engine import Engine
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.refusal import Refusal
from worldverify.scene import Scene, build_scene
from worldverify.simulate import Trace
from worldverify.spec import Spec
from worldverify.walk import walk

NAME = "precondition"


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
        self._formula = str(spec.requirements[0].formula)

    def check(self, state: NDArray[np.float64]) -> None:
        """Raises Refusal, cause model, for a state (nstate,) in which it does not hold."""
        lane: Any = np.arange(1)
        self._engine.load(lane, state[None])
        seen = self._engine.observe(lane)
        trace = Trace(seen.value, seen.fault, np.zeros(1, np.int64), state[None])
        (finding,) = judge(self._scene.bound, trace, horizon=0)
        if finding.status == "PASS":
            return
        margin = finding.margins[NAME]
        missed = "" if margin.value is None else f": {margin.term} is missed by {-margin.value:.4g} {margin.unit}"
        raise Refusal(
            NAME,
            f"The start is not one that the task begins from ({self._formula}){missed}. Start from another state.",
            cause="model",
        )
