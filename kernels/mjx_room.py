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

_DISTANCES = (mujoco.mjtSensor.mjSENS_GEOMDIST, mujoco.mjtSensor.mjSENS_GEOMNORMAL, mujoco.mjtSensor.mjSENS_GEOMFROMTO)


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
    usual = usual_room(model)
    contacts = max(usual.contacts, HEAD_ROOM * peak["ncon"])
    return Room(_round(contacts, 16), _round(max(usual.rows, HEAD_ROOM * peak["nefc"]), 32))


def usual_room(model: mujoco.MjModel) -> Room:
    """Room for plans that nobody has looked at."""
    # The pairs whose boxes overlap go through the pool too, and every pair may come close once; a pair whose distance
    # a sensor shows is always in it.
    pairs = len(collidable_pairs(model)) + _sensed_pairs(model)
    return Room(_round(max(LEAST_CONTACTS, pairs), 16), LEAST_ROWS)


def _sensed_pairs(model: mujoco.MjModel) -> int:
    """Pairs of geoms whose distance is asked for by sensors, each as often as it is."""

    def geoms(kind: int, i: int) -> int:
        return int(model.body_geomnum[i]) if mujoco.mjtObj(int(kind)) == mujoco.mjtObj.mjOBJ_BODY else 1

    return sum(
        geoms(model.sensor_objtype[i], model.sensor_objid[i]) * geoms(model.sensor_reftype[i], model.sensor_refid[i])
        for i in range(model.nsensor)
        if mujoco.mjtSensor(int(model.sensor_type[i])) in _DISTANCES
    )


def _round(n: int, to: int) -> int:
    return -(-n // to) * to
