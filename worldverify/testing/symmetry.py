"""Whether a task's verdicts stay when its bodies stand in another order, and when a mirror shows them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify import contracts as formats
from worldverify.scene import Scene
from worldverify.task import Task
from worldverify.testing.mirror import column_signs, mirrored, mirrored_state, why_not
from worldverify.testing.permuted import NoOrder, permuted
from worldverify.verdict import Margin, Verdict

Floats = NDArray[np.float64]


class Tolerance(NamedTuple):
    """Another order of sums changes the last bits, and where things slide and bounce these grow."""

    share: float  # of the larger margin
    scales: float  # or so many margin scales, of 1 cm, 1 N, ...


CALM = Tolerance(0.1, 0.2)  # the good plan (measured: 3 % of the peak of an impact)
WILD = Tolerance(0.3, 2.0)  # a bad plan, which may fling and topple things (measured: 1.1 cm of where a can rolls)


class Twin(NamedTuple):
    """The same task in a scene that must give the same verdicts; its plans are raw controls."""

    task: Task
    state: Callable[[Floats], Floats]  # (nstate,) a state of the task's scene -> (nstate,) of this one's


class Likeness(NamedTuple):
    """How alike the verdicts of a task and of a twin are."""

    name: str  # "permuted" or "mirrored"
    gap: float  # the largest difference of two margins, in margin scales
    where: str  # whose it is
    near: tuple[str, ...]  # what holds in one scene and not in the other, so near to zero that both are right
    problems: tuple[str, ...]


class NoTwin(ValueError):
    """Why a task has no such twin, as the end of a sentence."""


def permuted_twin(task: Task) -> Twin:
    """The bodies in another order. Raises NoTwin."""
    try:
        other = permuted(task.scene)
    except NoOrder as error:
        raise NoTwin(str(error)) from None
    return Twin(_with_scene(task, other.scene), other.state)


def mirrored_twin(task: Task) -> Twin:
    """y is -y: in the scene, in its states, and in what the spec reads. Raises NoTwin."""
    scene = task.scene
    reason = why_not(scene.model)
    if reason is not None:
        raise NoTwin(reason)
    signs = column_signs(scene.model)
    atoms = tuple(replace(a, expression=_mirrored(a.expression, signs, scene.model)) for a in scene.bound.atoms)
    other = replace(
        scene,
        model=mirrored(scene.model),
        bound=replace(scene.bound, atoms=atoms),
        recompile=lambda memory: mirrored(scene.recompile(memory)),
    )
    return Twin(_with_scene(task, other), lambda state: mirrored_state(scene, state))


def compare(
    name: str, task: Task, labels: Mapping[str, Tolerance], ours: Sequence[Verdict], theirs: Sequence[Verdict]
) -> Likeness:
    """The verdicts (full margins) of the same controls in a task and in its twin, one a label, each so alike."""
    largest, where, near, problems = 0.0, "", list[str](), list[str]()
    for (label, tolerance), one, other in zip(labels.items(), ours, theirs, strict=True):
        said = f"In the {name} scene {label} of {task.name}"
        if other.status == "INVALID" or set(one.margins) != set(other.margins):
            problems.append(f"{said} is {other.status}: {other.reason}")
            continue
        told_near = len(near)
        for key, margin in one.margins.items():
            a, b, allowed = *_values(margin, other.margins[key]), _allowed(tolerance, margin, other.margins[key])
            if abs(a - b) / margin.scale > largest:
                largest, where = abs(a - b) / margin.scale, f"{key}, {label}"
            told = f"{said} has a margin of {b:.4g} {margin.unit} for {key!r} instead of {a:.4g} {margin.unit}"
            if not abs(a - b) <= allowed:
                problems.append(f"{told}; {allowed:.2g} {margin.unit} of difference is what rounding explains.")
            elif (a > 0) != (b > 0):
                near.append(f"{told}: too near to zero to tell.")
        if one.status != other.status and len(near) == told_near:
            problems.append(f"{said} is {other.status} instead of {one.status}: {other.reason}")
    return Likeness(name, largest, where, tuple(near), tuple(problems))


def reads_controls(task: Task) -> Task:
    """A task that also takes raw controls."""
    if "ctrl" in task.contracts:
        return task
    return replace(task, contracts={**task.contracts, "ctrl": formats.ctrl(int(task.scene.model.nu), task.rate)})


def as_controls(task: Task, controls: Floats) -> dict[str, Any]:
    """A plan of raw controls (T, nu) at the task's rate."""
    return {"format": "ctrl", "rate_hz": task.rate, "actions": controls}


def _with_scene(task: Task, scene: Scene) -> Task:
    """The start was checked in the first scene, and plans are controls by now."""
    return replace(reads_controls(task), scene=scene, arm=None, camera=None, randomise=None, precondition="")


def _values(one: Margin, other: Margin) -> tuple[float, float]:
    return tuple(0.5 * (m.interval[0] + m.interval[1]) if m.value is None else m.value for m in (one, other))  # type: ignore[return-value]


def _allowed(tolerance: Tolerance, one: Margin, other: Margin) -> float:
    return max(tolerance.scales * one.scale, tolerance.share * max(map(abs, _values(one, other))))


def _mirrored(expression: Any, signs: Floats, model: Any) -> Any:
    """The expression with every column as the mirror shows it."""
    if not isinstance(expression, tuple):
        return expression
    if expression and expression[0] == "column":
        column = expression[1]
        if np.isnan(signs[column]):
            raise NoTwin(f"the spec reads {_sensor_of(model, column)}, which has no mirror image")
        return expression if signs[column] > 0 else ("neg", expression)
    return tuple(_mirrored(part, signs, model) for part in expression)


def _sensor_of(model: Any, column: int) -> str:
    sensor = int(np.searchsorted(model.sensor_adr, column, side="right")) - 1
    return f"sensor {mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_SENSOR, sensor)!r}"
