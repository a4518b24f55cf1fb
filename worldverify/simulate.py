"""Running compiled plans through an engine: states and controls in, every substep's evidence out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.engine import Engine

Floats = NDArray[np.float64]

CHUNK = 1000  # physics substeps an engine call; the evidence does not depend on it


@dataclass(frozen=True, eq=False)
class Trace:
    """Evidence of B plans: samples 0..N of S sensor columns, with what cannot be believed."""

    value: Floats  # (B, N+1, S)
    fault: NDArray[np.int32]  # (B, N+1)  kernels.engine.Fault bits
    last: NDArray[np.int64]  # (B,)  the last sample that belongs to the plan
    end: Floats  # (B, nstate)  the states after the last sample

    def following(self, earlier: "Trace") -> "Trace":
        """This trace as the continuation of an earlier one (one plan), whose last sample is this one's first.

        What could not be believed of that sample, such as the way into it, cannot be believed now.
        """
        kept = int(earlier.last[0])
        value = np.broadcast_to(earlier.value[:, :kept], (len(self.value), kept, earlier.value.shape[2]))
        fault = np.broadcast_to(earlier.fault[:, :kept], (len(self.value), kept))
        first = self.fault[:, :1] | earlier.fault[:, kept : kept + 1]
        return Trace(
            np.concatenate([value, self.value], axis=1),
            np.concatenate([fault, first, self.fault[:, 1:]], axis=1),
            self.last + kept,
            self.end,
        )


def simulate(
    engine: Engine,
    states: Floats,
    controls: Sequence[Floats],
    *,
    substeps: int,
    samples: int,
    chunk: int = CHUNK,
    watch: Callable[[int], None] | None = None,
) -> Trace:
    """Run B plans, each (T_b, nu) held for `substeps` physics steps an action, its last action held to the end.

    states (B, nstate); `samples` = N physics steps are run for all. `watch(n)` is told of every n steps done.
    """
    plans = len(controls)
    lanes = np.arange(plans)
    periods = np.stack([held(u, -(-samples // substeps)) for u in controls])
    engine.load(lanes, states)
    values, faults = [], []
    for start in range(0, samples, chunk):
        steps = np.arange(start, min(start + chunk, samples))
        part = engine.advance(lanes, np.ascontiguousarray(periods[:, steps // substeps]))
        values.append(part.value)
        faults.append(part.fault)
        if watch is not None:
            watch(plans * len(steps))
    end = engine.observe(lanes)
    return Trace(
        np.concatenate([*values, end.value], axis=1),
        np.concatenate([*faults, end.fault], axis=1),
        np.full(plans, samples),
        engine.state(lanes),
    )


def held(controls: Floats, periods: int) -> Floats:
    """(periods, nu) the controls, the last one repeated."""
    return controls[np.minimum(np.arange(periods), len(controls) - 1)]
