"""What the sensors of the spec show along a prediction, and which of them a prediction cannot show."""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound
from worldverify.judge import atom_margins
from worldverify.kernels.engine import Fault
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.kernels.robustness import Formula, decision, interval
from worldverify.rollouts.scan import SIGMAS
from worldverify.rollouts.states import Prediction, angular, between, moves
from worldverify.task import Task
from worldverify.verdict import Margin, Status

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DRIFT = 5e-3  # m: the actions, run from the first state, may leave the predicted states by this and the noise,
DRIFT_ANGLE = 5e-2  # rad; as long as they do not, their forces are taken for those of the prediction


@dataclass(frozen=True)
class Finding:
    """What the spec says of a prediction."""

    status: Status  # PASS, FAIL or INCONCLUSIVE
    decided: int | None  # the physics step that decides
    violated: str | None
    margins: dict[str, Margin]
    blind: tuple[str, ...]  # requirements that read forces which are not known to the end
    estimated: tuple[str, ...]  # requirements that read forces of the actions instead
    followed: int  # physics steps for which the actions lead along the prediction


def judge_signals(task: Task, prediction: Prediction, engine: MujocoEngine, replayer: MujocoEngine) -> Finding:
    """The spec on the predicted states. `engine` and `replayer` run the task's model, the second in one lane.

    Between predicted states, straight lines are judged. What needs forces or accelerations is not in a state: it is
    taken from the actions, run from the first state, as long as they lead along the prediction, and is unknown after.
    """
    bound = task.scene.bound
    columns = force_columns(task.scene.model)
    reads = [_reads(expression, columns) for expression in bound.expressions]
    value = _observed(task.scene.model, prediction, engine, task.substeps // prediction.stride)
    known = len(value)
    if any(reads):
        forces, known = _replayed(task, prediction, replayer)
        value[:known, columns] = forces[:known, columns]
    margins = atom_margins(bound, value[None])
    blind = np.array(reads)[:, None] & (np.arange(len(value)) >= known)
    margins = np.where(blind[:, None], np.nan, margins)
    status, decided, violated, found = _judge(bound, margins, task.samples)
    forced = tuple(
        name for name, f in zip(bound.names, bound.formulas, strict=True) if any(reads[i] for i in _atoms(f))
    )
    cut = known < len(value)
    blinded = tuple(name for name in forced if cut and found[name].value is None)
    return Finding(status, decided, violated, found, blinded, forced if known else (), max(known - 1, 0))


def force_columns(model: mujoco.MjModel) -> Bools:
    """(S,) whether a sensor column needs forces or accelerations."""
    columns = np.zeros(model.nsensordata, dtype=bool)
    for sensor in np.flatnonzero(model.sensor_needstage == int(mujoco.mjtStage.mjSTAGE_ACC)):
        first = int(model.sensor_adr[sensor])
        columns[first : first + int(model.sensor_dim[sensor])] = True
    return columns


def _observed(model: mujoco.MjModel, prediction: Prediction, engine: MujocoEngine, parts: int) -> Floats:
    """(N+1, S) sensor columns of the predicted states and of `parts` steps between them."""
    states = between(model, prediction.states, parts)
    shown = []
    for first in range(0, len(states), engine.nlane):
        rows = states[first : first + engine.nlane]
        lanes = np.arange(len(rows))
        engine.load(lanes, rows)
        shown.append(engine.observe(lanes).value[:, 0])
    return np.concatenate(shown)


def _replayed(task: Task, prediction: Prediction, engine: MujocoEngine) -> tuple[Floats, int]:
    """(N+1, S) what the sensors show when the actions are run from the first state, and for how many samples that
    can be believed and leads along the prediction."""
    model, substeps = task.scene.model, task.substeps
    samples = (len(prediction.coarse) - 1) * substeps + 1
    if prediction.controls is None:
        return np.zeros((samples, model.nsensordata)), 0
    drift = np.where(angular(model), DRIFT_ANGLE, DRIFT)
    allowed = SIGMAS * np.sqrt(2) * prediction.position + drift
    lane, values, faults = np.arange(1), [], []
    engine.load(lane, prediction.states[:1])
    followed = samples
    for k, control in enumerate(prediction.controls):
        part = engine.advance(lane, np.tile(control, (1, substeps, 1)))
        values.append(part.value[0])
        faults.append(part.fault[0])
        way = moves(model, prediction.coarse[k + 1 : k + 2], engine.state(lane))
        if not (np.abs(way) <= allowed).all():
            followed = k * substeps + 1
            break
    end = engine.observe(lane)
    value = np.concatenate([*values, end.value[0]])
    fault = np.concatenate([*faults, end.fault[0]]) & int(Fault.invalidating())
    if fault.any():
        followed = min(followed, int(fault.argmax()))
    value = np.concatenate([value, np.zeros((samples - len(value), model.nsensordata))])
    return value, followed


def _judge(bound: Bound, margins: Floats, horizon: int) -> tuple[Status, int | None, str | None, dict[str, Margin]]:
    """The verdict of atom margins (A, 1, K+1); NaN is unknown, as is what lies beyond."""
    scales = np.array([a.scale for a in bound.atoms])[:, None, None]
    last = np.array([min(margins.shape[-1] - 1, horizon)])
    missing = np.full((*margins.shape[:2], horizon + 1 - margins.shape[-1]), np.nan)
    margins = np.concatenate([margins, missing], axis=-1)
    with np.errstate(invalid="ignore", over="ignore"):
        relative = margins / scales
    found = decision(bound.formulas, relative, last)
    holds, breaks = int(found.satisfied.max()), found.violated[0]
    decided = min(holds, int(breaks.min()))
    status: Status = "INCONCLUSIVE"
    if decided <= horizon:
        status = "PASS" if holds == decided else "FAIL"
    at = last if status == "INCONCLUSIVE" else np.array([decided])
    low, _ = interval(bound.formulas, np.where(np.isnan(relative), -np.inf, relative), at)
    _, high = interval(bound.formulas, np.where(np.isnan(relative), np.inf, relative), at)
    shown = {
        name: _margin(bound, formula, margins[:, 0], relative[:, 0], int(at[0]), float(low[0, c]), float(high[0, c]))
        for c, (name, formula) in enumerate(zip(bound.names, bound.formulas, strict=True))
    }
    violated = bound.names[int(np.argmin(breaks))] if status == "FAIL" else None
    return status, None if status == "INCONCLUSIVE" else decided, violated, shown


def _margin(
    bound: Bound, formula: Formula, margins: Floats, relative: Floats, at: int, low: float, high: float
) -> Margin:
    """The deciding bound in the unit of the comparison that set it, and the other bound in the same unit."""
    decisive = low if low > 0 else high if high < 0 else None
    sources = {x: _source(formula, relative, at, x) for x in (low, high) if np.isfinite(x)}
    shown = decisive if decisive is not None else next(iter(sources), None)
    atom = bound.atoms[_atoms(formula)[0] if shown is None else sources[shown][0]]

    def si(x: float) -> float:
        if x not in sources:
            return x
        source, k = sources[x]
        same = (bound.atoms[source].unit, bound.atoms[source].scale) == (atom.unit, atom.scale)
        return float(margins[source, k]) if same else x * atom.scale

    return Margin(None if decisive is None else si(decisive), atom.unit, (si(low), si(high)), atom.text, atom.scale)


def _source(formula: Formula, relative: Floats, at: int, value: float) -> tuple[int, int]:
    """(atom, sample) whose margin a bound is."""
    found = [(i, np.flatnonzero(relative[i, : at + 1] == value)) for i in _atoms(formula)]
    return next((i, int(hits[0])) for i, hits in found if len(hits))


def _atoms(formula: Formula) -> list[int]:
    if formula[0] == "atom":
        return [int(formula[1])]
    return sorted({i for part in formula[1:] if isinstance(part, tuple) for i in _atoms(part)})


def _reads(expression: Any, columns: Bools) -> bool:
    """Whether an expression reads one of the columns."""
    if not isinstance(expression, tuple):
        return False
    if expression and expression[0] == "column":
        return bool(columns[expression[1]])
    return any(_reads(part, columns) for part in expression)
