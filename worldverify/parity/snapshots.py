"""States from which two engines are compared: along trajectories of MuJoCo C, with the control that follows."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.parity.crowd import Crowd
from worldverify.scene import STATE
from worldverify.task import Task

Floats = NDArray[np.float64]

MOST_PLANS = 32  # whose trajectories are looked at
GRAZING = 1e-5  # m: a contact nearer to its threshold than that may be there in one precision and not in the other


@dataclass(frozen=True, eq=False)
class Snapshots:
    """n states before a control period."""

    state: Floats  # (n, nstate)  with the control of the period in it
    control: Floats  # (n, nu)
    ambiguous: NDArray[np.bool_]  # (n,)  float32 alone changes which geoms touch


def snapshots(task: Task, crowd: Crowd, count: int, seed: int) -> Snapshots:
    """`count` states, drawn evenly from the control periods of some of the plans; fewer if there are fewer."""
    generator = np.random.default_rng([seed, count])
    rows = np.sort(generator.permutation(len(crowd.plans))[:MOST_PLANS])
    states, controls = _trajectories(task, crowd.states[rows], [crowd.controls[i] for i in rows])
    usable = np.flatnonzero(np.isfinite(states).all(axis=1))
    chosen = np.sort(generator.permutation(usable)[:count])
    data = mujoco.MjData(task.scene.model)
    for i in chosen:
        mujoco.mj_setState(task.scene.model, data, states[i], STATE)
        data.ctrl[:] = controls[i]
        mujoco.mj_getState(task.scene.model, data, states[i], STATE)
    ambiguous = np.array([_ambiguous(task.scene.model, state) for state in states[chosen]], dtype=np.bool_)
    return Snapshots(states[chosen], controls[chosen], ambiguous)


def contact_counts(geoms: NDArray[np.int64], distance: Floats, threshold: Floats) -> dict[tuple[int, int], int]:
    """Pair of geoms -> contacts that are clearly there; geoms (n, 2), distance and threshold (n,) m."""
    counts: dict[tuple[int, int], int] = {}
    for pair in np.sort(geoms[distance < threshold - GRAZING], axis=1).tolist():
        counts[pair[0], pair[1]] = counts.get((pair[0], pair[1]), 0) + 1
    return counts


def _trajectories(task: Task, states: Floats, plans: Sequence[Floats]) -> tuple[Floats, Floats]:
    """States (P * T, nstate) before each control period of each plan, and the control (P * T, nu) of the period."""
    lanes, engine = np.arange(len(plans)), MujocoEngine(task.scene.model, len(plans))
    engine.load(lanes, states)
    before, controls = [], []
    for t in range(task.steps):
        control = np.stack([u[min(t, len(u) - 1)] for u in plans])
        before.append(engine.state(lanes))
        controls.append(control)
        engine.advance(lanes, np.repeat(control[:, None], task.substeps, axis=1))
    return np.concatenate(before), np.concatenate(controls)


def _ambiguous(model: mujoco.MjModel, state: Floats) -> bool:
    """Whether rounding the state to float32 changes the contacts, or one of them only grazes."""
    exact, near = _contacts(model, state)
    rounded, _ = _contacts(model, state.astype(np.float32).astype(np.float64))
    return near or exact != rounded


def _contacts(model: mujoco.MjModel, state: Floats) -> tuple[dict[tuple[int, int], int], bool]:
    """Contacts a pair of geoms, and whether one is so near to its threshold that it may be missing."""
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, STATE)
    mujoco.mj_fwdPosition(model, data)
    contact = data.contact
    distance, threshold = np.array(contact.dist), np.array(contact.includemargin)
    near = bool((np.abs(distance - threshold) <= GRAZING).any())
    return contact_counts(np.array(contact.geom).reshape(-1, 2), distance, threshold), near
