"""Cheats that must never pass: each is planted in a task, and judged as any plan is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.engines.physics import Job, judged, simulated
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.simulate import CHUNK, Trace, simulate
from worldverify.task import Task
from worldverify.testing.frozen import FrozenEngine
from worldverify.testing.staging import Stage, late, parked, pressed, shot, thrown
from worldverify.testing.symmetry import as_controls, reads_controls
from worldverify.verdict import Verdict
from worldverify.verifier import Verifier

Floats = NDArray[np.float64]

_Named = tuple[str, Any]  # a plan and what to call it
_Kind = tuple[str, list[Stage], tuple[_Named, ...], str]  # what was done, the starts, the plans tried, the remedy

FROZEN = 0.9  # of the horizon is simulated before the engine stands still

_AT_REST = 'Give the task a precondition that it starts at rest, such as "speed(OBJ) < 0.05 m/s".'
_NOT_YET = 'Give the task a precondition that its goal does not hold yet, such as "not inside(OBJ, SITE)".'
_REFUSED = ("pressed into something", "late")  # starts that nothing may be judged from


class Attempt(NamedTuple):
    """One cheat, and what came of it."""

    cheat: str  # "cube parked at the goal"
    plan: str  # "holding still", "the good plan", "no actions"
    verdict: str  # "INVALID(precondition)"
    reason: str

    def __str__(self) -> str:
        return f"{self.cheat}, {self.plan}: {self.verdict}"


class Caught(NamedTuple):
    """What became of all cheats."""

    attempts: tuple[Attempt, ...]
    problems: tuple[str, ...]
    untried: tuple[str, ...]  # sentences


def plant_cheats(task: Task, verifier: Verifier, controls: Floats) -> Caught:
    """Plant every cheat that the scene allows; `controls` (T, nu) are those of the good plan, which passes."""
    start = task.start(0)
    end = good_run(task, start, controls).end[0]
    attempts, problems, untried = list[Attempt](), list[str](), list[str]()
    good: _Named = ("the good plan", task.good)
    holding: _Named = ("holding still", as_controls(task, _held(task, start)))
    nothing: _Named = ("no actions", as_controls(task, np.empty((0, controls.shape[1]))))
    goals: tuple[_Kind, ...] = ()
    if all(task.scene.bound.guards):
        untried.append(
            f"{task.name} has guards and no goals: to do nothing passes, and nothing can be reached by a trick."
        )
    else:
        goals = (
            ("left as it is", [Stage("nothing done", start)], (holding, nothing), _NOT_YET),
            ("thrown", thrown(task, start, end), (holding, good), _AT_REST),
            ("parked", parked(task, start, end), (holding, nothing), _NOT_YET),
        )
    for kind, stages, plans, remedy in (
        *goals,
        ("pressed into something", pressed(task, start), (holding, good), "Overlap at the start must be refused."),
        ("shot through a wall", shot(task, start), (good,), _AT_REST),
        ("late", late(task, start), (good,), "A start whose clock cannot move must be refused."),
    ):
        if not stages:
            untried.append(f"Nothing that the goals of {task.name} speak of could be {kind}.")
        for stage in stages:
            kept = _held(task, stage.state)
            moved = kind == "parked" and not np.array_equal(kept, _held(task, start))
            tried = (*plans, ("holding what is", as_controls(task, kept))) if moved else plans
            for attempt, verdict in _tried(task, verifier, stage, tried):
                attempts.append(attempt)
                if verdict.status == "PASS" or (kind in _REFUSED and verdict.status != "INVALID"):
                    problems.append(f"A cheat gets {attempt.verdict} in {task.name}: {attempt}. {remedy}")
    attempt = _frozen(task, start, controls)
    attempts.append(attempt)
    if attempt.verdict == "PASS":
        problems.append(f"A cheat gets PASS in {task.name}: {attempt}. An engine whose clock stops is no evidence.")
    return Caught(tuple(attempts), tuple(dict.fromkeys(problems)), tuple(untried))


def good_run(task: Task, start: Floats, controls: Floats) -> Trace:
    """The evidence of controls (T, nu) from a start, to the horizon."""
    engine = MujocoEngine(task.scene.model, 1, threads=1)
    return simulate(engine, start[None], [controls], substeps=task.substeps, samples=task.samples)


def _tried(task: Task, verifier: Verifier, stage: Stage, plans: Sequence[_Named]) -> list[tuple[Attempt, Verdict]]:
    verdicts = verifier.verify(reads_controls(task), [plan for _, plan in plans], state=stage.state)
    return [(Attempt(stage.what, name, _short(v), v.reason), v) for (name, _), v in zip(plans, verdicts, strict=True)]


def _frozen(task: Task, start: Floats, controls: Floats) -> Attempt:
    """The good plan on an engine that stands still for the last part of it."""
    engine = FrozenEngine(MujocoEngine(task.scene.model, 1, threads=1), round(FROZEN * task.samples))
    job = Job(task, False, True, None, lambda steps: None)
    (finding,) = judged(job, simulated(job, engine, start[None], [controls], CHUNK))
    return Attempt("frozen simulation", "the good plan", finding.status, "")


def _held(task: Task, state: Floats) -> Floats:
    """(1, nu) the controls that a state holds, within their ranges."""
    model = task.scene.model
    held = state[state_slice(model, mujoco.mjtState.mjSTATE_CTRL)]
    bounded = model.actuator_ctrllimited.astype(bool)
    low = np.where(bounded, model.actuator_ctrlrange[:, 0], -np.inf)
    high = np.where(bounded, model.actuator_ctrlrange[:, 1], np.inf)
    kept: Floats = np.clip(held, low, high)[None]
    return kept


def _short(verdict: Verdict) -> str:
    """INVALID(precondition), FAIL(placed), PASS."""
    why = verdict.code if verdict.first_violation is None else verdict.first_violation.requirement
    return verdict.status if why is None else f"{verdict.status}({why})"
