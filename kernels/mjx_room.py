"""How much memory a lane needs on a device that allocates it beforehand: what plans take on the CPU, with head-room."""

from contextlib import suppress
from typing import NamedTuple

import mujoco
import numpy as np
from mujoco import batch
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import quiet, usable_cpus
from worldverify.kernels.sweep import collidable_pairs

Floats = NDArray[np.float64]

HEAD_ROOM = 2  # times the peak of the sample
LEAST_CONTACTS, LEAST_ROWS = 64, 256  # as MuJoCo's own comparisons of engines have them
MOST_SAMPLED = 16  # plans


class Room(NamedTuple):
    """Memory of one lane."""

    contacts: int  # its share of the pool that all lanes use, for contacts and for pairs that are looked at closely
    rows: int  # constraint rows

    def times(self, factor: int) -> "Room":
        """More of both."""
        return Room(self.contacts * factor, self.rows * factor)


def room_for(model: mujoco.MjModel, states: Floats, controls: Floats) -> Room:
    """Room for plans like these: states (B, nstate), controls (B, N, nu) of every substep; a few of them are run."""
    some = np.unique(np.linspace(0, len(states) - 1, min(MOST_SAMPLED, len(states))).astype(int))
    with quiet():
        sample = batch.Batch(model, len(some), nthread=min(usable_cpus(), len(some)))
        peak = {name: 0 for name in ("ncon", "nefc")}
        bound = {name: sample.bind(name) for name in peak}
        sample.state[:] = states[some]
        steps = controls.shape[1]
        out = {name: np.zeros((len(some), steps, *bound[name].shape[1:]), bound[name].dtype) for name in peak}
        with suppress(batch.SimulationError):  # a lane that raises has told nothing; the others have
            sample.rollout(
                steps, np.ascontiguousarray(controls[some]), mujoco.mjtState.mjSTATE_CTRL, record=list(out), out=out
            )
        peak = {name: int(out[name].max(initial=0)) for name in peak}
    # The pairs whose boxes overlap go through the pool too, and every pair may come close once.
    contacts = max(LEAST_CONTACTS, HEAD_ROOM * peak["ncon"], len(collidable_pairs(model)))
    return Room(_round(contacts, 16), _round(max(LEAST_ROWS, HEAD_ROOM * peak["nefc"]), 32))


def _round(n: int, to: int) -> int:
    return -(-n // to) * to
