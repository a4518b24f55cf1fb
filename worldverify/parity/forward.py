"""Level 1: one forward evaluation of the same states, field by field in the order in which they are computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.engine import Engine
from worldverify.kernels.mujoco_cpu import quiet
from worldverify.parity.contender import Contender
from worldverify.parity.rounding import more_than_isolated, rounding_bounds, shaken
from worldverify.parity.snapshots import Snapshots, contact_counts
from worldverify.scene import STATE
from worldverify.task import Task

Floats = NDArray[np.float64]

# field -> (atol, rtol) for float32, of the parity guide that ships with MuJoCo (doc/skills/parity)
TOLERANCES = {
    "xpos": (1e-5, 1e-4),
    "xquat": (1e-5, 1e-4),
    "site_xpos": (1e-5, 1e-4),
    "subtree_com": (1e-5, 1e-4),
    "ten_length": (1e-5, 1e-4),
    "actuator_length": (1e-5, 1e-4),
    "M": (1e-8, 1e-5),
    "actuator_force": (1e-3, 1e-3),
    "qfrc_actuator": (1e-3, 1e-3),
    "qfrc_bias": (1e-3, 1e-3),
    "qfrc_passive": (1e-3, 1e-3),
    "qfrc_smooth": (1e-3, 1e-3),
    "qacc_smooth": (1e-2, 1e-3),
    "qfrc_constraint": (1e-1, 1e-2),
    "qacc": (1e-1, 1e-2),
}
DRIVEN = ("qfrc_smooth", "qacc_smooth", "qfrc_constraint", "qacc")  # compared under the same actuator forces
SOLVED = ("qfrc_constraint", "qacc")  # by iterations, from contacts: single states may differ
GROSS = 10.0  # tolerances: no state may lie as far above in what is computed directly

CONTACTS = ("_impl.contact.geom", "_impl.contact.dist", "_impl.contact.includemargin")  # in lanes of their own: JAX's


class Inspectable(Engine, Protocol):
    """An engine that shows the fields of its data."""

    def fields(self, states: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
        """Fields (n, ...) after one forward evaluation of states (n, nstate); "_impl." begins names of its own."""
        ...


@dataclass(frozen=True)
class FieldError:
    """One field over n states; errors in tolerances, so that 1 is the most that is no disagreement."""

    name: str
    worst: float
    above: int  # states above tolerance
    states: int  # compared
    state: int  # the worst one
    index: tuple[int, ...]  # of the entry there
    true: float  # what MuJoCo C has there
    found: float

    @property
    def systematic(self) -> bool:
        """Whether the states above tolerance are more than isolated ones."""
        gross = self.name not in SOLVED and not self.worst <= GROSS
        return gross or more_than_isolated(self.above, self.states)


@dataclass(frozen=True)
class ForwardParity:
    """Level 1 of one task."""

    states: int
    ambiguous: int  # states in which float32 alone changes the contacts: not compared in what is SOLVED
    fields: tuple[FieldError, ...]
    contacts: int | None  # states whose contacts a pair of geoms differ; None where the engine does not show them

    @property
    def systematic(self) -> tuple[str, ...]:
        """What makes the comparison fail."""
        names = [field.name for field in self.fields if field.systematic]
        clear = self.states - self.ambiguous
        return (*names, *(["contacts"] if more_than_isolated(self.contacts or 0, clear) else []))


def compare_forward(task: Task, other: Contender, shots: Snapshots) -> ForwardParity | None:
    """The fields of one forward evaluation of n states; None for an engine that does not show its fields."""
    model, count = task.scene.model, len(shots.state)
    engine: Any = other.make_engine(model, count)
    if not hasattr(engine, "fields"):
        return None
    names = [name for name in TOLERANCES if name != "ten_length" or model.ntendon]
    asked = tuple("_impl.M" if name == "M" else name for name in names)
    shown = other.info.impl != "warp"
    found = engine.fields(shots.state, (*asked, *(CONTACTS if shown else ())))
    fields = {name: np.asarray(found[key], dtype=np.float64) for name, key in zip(names, asked, strict=True)}
    fields["M"] = _lower(model, fields["M"])
    errors: dict[str, list[tuple[float, tuple[int, ...], float, float]]] = {name: [] for name in names}
    compared: dict[str, list[int]] = {name: [] for name in names}
    contacts = 0
    generator = np.random.default_rng(count)
    with quiet():
        for i, state in enumerate(shots.state):
            data = _evaluated(model, state)
            driven = _driven(model, state, fields["qfrc_actuator"][i] - data.qfrc_actuator)
            extra = rounding_bounds(model, data) | {
                k: rounding_bounds(model, driven)[k] for k in ("qacc_smooth", "qacc")
            }
            for name, change in shaken(model, state, SOLVED, generator).items():
                extra[name] = change + extra.get(name, 0.0)
            for name in names:
                if shots.ambiguous[i] and name in SOLVED:
                    continue
                true = np.asarray(getattr(driven if name in DRIVEN else data, name), dtype=np.float64)
                errors[name].append(_worst(name, true, fields[name][i], extra.get(name, np.zeros(()))))
                compared[name].append(i)
            if shown and not shots.ambiguous[i]:
                contacts += _contacts_differ(data, *(np.asarray(found[name][i]) for name in CONTACTS))
    return ForwardParity(
        states=count,
        ambiguous=int(shots.ambiguous.sum()),
        fields=tuple(_summed_up(name, errors[name], compared[name]) for name in names if errors[name]),
        contacts=contacts if shown else None,
    )


def _evaluated(model: mujoco.MjModel, state: Floats) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, STATE)
    mujoco.mj_forward(model, data)
    return data


def _driven(model: mujoco.MjModel, state: Floats, push: Floats) -> mujoco.MjData:
    """The same with the actuator forces of the other engine: a stiff servo multiplies the rounding of its length."""
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, STATE)
    data.qfrc_applied[:] += push
    mujoco.mj_forward(model, data)
    return data


def _lower(model: mujoco.MjModel, inertia: Floats) -> Floats:
    """(n, nM) the lower-triangle entries of mass matrices, which may come whole, (n, nv, nv)."""
    if inertia.ndim == 2:
        return inertia
    return inertia[:, np.repeat(np.arange(model.nv), model.M_rownnz), model.M_colind]


def _worst(name: str, true: Floats, found: Floats, extra: Floats) -> tuple[float, tuple[int, ...], float, float]:
    """(error in tolerances, index, MuJoCo C's number, the other's) of the worst entry of a field."""
    if true.size == 0:
        return 0.0, (), 0.0, 0.0
    found = found.reshape(true.shape)
    if name == "xquat":  # a quaternion and its opposite are one rotation
        found = np.where((true * found).sum(axis=-1, keepdims=True) < 0, -found, found)
    atol, rtol = TOLERANCES[name]
    error = np.abs(true - found) / (atol + rtol * np.abs(true) + extra)
    error = np.where(np.isfinite(error), error, np.inf)
    at = np.unravel_index(int(np.argmax(error)), error.shape)
    return float(error[at]), tuple(int(i) for i in at), float(true[at]), float(found[at])


def _summed_up(name: str, errors: list[tuple[float, tuple[int, ...], float, float]], states: list[int]) -> FieldError:
    worst = max(range(len(errors)), key=lambda i: errors[i][0])
    error, index, true, found = errors[worst]
    above = sum(one[0] > 1 for one in errors)
    return FieldError(name, error, above, len(errors), states[worst], index, true, found)


def _contacts_differ(data: mujoco.MjData, geoms: Any, distance: Any, threshold: Any) -> bool:
    """Whether the contacts a pair of geoms, those that only graze aside, are other ones than MuJoCo C's."""
    contact = data.contact
    true = contact_counts(
        np.array(contact.geom).reshape(-1, 2), np.array(contact.dist), np.array(contact.includemargin)
    )
    return true != contact_counts(np.asarray(geoms, dtype=np.int64).reshape(-1, 2), distance, threshold)
