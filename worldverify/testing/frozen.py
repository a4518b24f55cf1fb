"""An engine that stands still from some moment on, and shows again and again what it showed last."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.engine import Engine, EngineInfo, Samples

Floats = NDArray[np.float64]


class FrozenEngine:
    """A real engine that is advanced by the first `at` substeps after each load, and not by those that follow."""

    def __init__(self, engine: Engine, at: int) -> None:
        self._engine, self._at = engine, at
        self._done = np.zeros(engine.nlane, dtype=np.int64)

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def nlane(self) -> int:
        return self._engine.nlane

    def load(self, lanes: Any, state: Floats) -> None:
        self._engine.load(lanes, state)
        self._done[lanes] = 0

    def advance(self, lanes: Any, controls: Floats) -> Samples:
        steps = controls.shape[1]
        real = int(np.clip(self._at - self._done[lanes].max(initial=0), 0, steps))
        self._done[lanes] += steps
        parts = [self._engine.advance(lanes, controls[:, :real])] if real else []
        parts += [self._engine.observe(lanes)] * (steps - real)
        return Samples(*(np.concatenate([np.asarray(p) for p in part], axis=1) for part in zip(*parts, strict=True)))

    def observe(self, lanes: Any) -> Samples:
        return self._engine.observe(lanes)

    def state(self, lanes: Any) -> Floats:
        return np.asarray(self._engine.state(lanes))
