"""What a Task must do: be possible, be failable, be steady, be symmetric, and not be cheated."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound
from worldverify.compile import Compiled, compile_for
from worldverify.formula import Always
from worldverify.local import LocalVerifier
from worldverify.plan import Plan
from worldverify.refusal import Refusal
from worldverify.task import Task
from worldverify.testing.asking import speaks
from worldverify.testing.cheats import Attempt, plant_cheats
from worldverify.testing.seeds import Seeds, passing_seeds, varies
from worldverify.testing.symmetry import (
    CALM,
    WILD,
    Likeness,
    NoTwin,
    as_controls,
    compare,
    mirrored_twin,
    permuted_twin,
)
from worldverify.units import parse_unit
from worldverify.verdict import Verdict
from worldverify.verifier import Verifier

Floats = NDArray[np.float64]

SEEDS = 100
GOOD = "the good plan"


@dataclass(frozen=True)
class TaskReport:
    """What was asked of a task and what came of it."""

    task: str
    plans: Mapping[str, str]  # "the good plan" or "the bad plan for 'held'" -> its verdict
    seeds: Seeds | None
    twins: tuple[Likeness, ...]
    cheats: tuple[Attempt, ...]
    unchecked: tuple[str, ...]  # sentences: what could not be checked, and why
    problems: tuple[str, ...]  # sentences; none means that the task may be used

    def __str__(self) -> str:
        """A few lines for a person."""
        found = len(self.problems)
        lines = [f"{self.task}: {'sound' if not found else f'{found} problem' + 's' * (found > 1)}"]
        lines += [f"  {label}: {verdict}" for label, verdict in self.plans.items()]
        if self.seeds is not None:
            lines.append(f"  seeds: {self.seeds}")
        for twin in self.twins:
            where = f" ({twin.where})" if twin.where else ""
            lines.append(f"  {twin.name}: margins differ by at most {twin.gap:.2g} margin scales{where}")
            lines += [f"  {sentence}" for sentence in twin.near]
        lines += [f"  cheat: {attempt}" for attempt in self.cheats]
        lines += [f"  not checked: {sentence}" for sentence in self.unchecked]
        lines += [f"  problem: {sentence}" for sentence in self.problems]
        return "\n".join(lines)


def check_task(task: Task, verifier: Verifier | None = None, *, seeds: int = SEEDS) -> TaskReport:
    """Raises AssertionError with every problem of a task, one a line; gives what was found where there is none.

    The good plan passes, in at least 95 % of the seeds 0 to seeds - 1; each bad plan fails its own requirement only;
    the spec watches to the end; permuted and mirrored scenes give the same verdicts; the planted cheats never pass.
    `verifier` judges; None is MuJoCo C in this process.
    """
    report = examine_task(task, verifier, seeds=seeds)
    if report.problems:
        raise AssertionError("\n".join(report.problems))
    return report


def examine_task(task: Task, verifier: Verifier | None = None, *, seeds: int = SEEDS) -> TaskReport:
    """The same without raising: `problems` lists what check_task would complain of."""
    if verifier is not None:
        return _examined(task, verifier, seeds)
    own = LocalVerifier()
    try:
        return _examined(task, own, seeds)
    finally:
        own.close()


def _examined(task: Task, verifier: Verifier, count: int) -> TaskReport:
    problems, unchecked = _written(task), list[str]()
    plans = {GOOD: task.good} if task.good is not None else {}
    plans |= {_label(name): plan for name, plan in task.bad.items()}
    verdicts = dict(zip(plans, verifier.verify(task, list(plans.values()), margins="full"), strict=True))
    problems += _judged(task, verdicts)

    seeds, twins, cheats = None, list[Likeness](), tuple[Attempt, ...]()
    good = verdicts.get(GOOD)
    if good is not None and good.status == "PASS":
        seeds, more, untried = _seeds(task, verifier, count)
        problems += more
        unchecked += untried
        twins, untried = _twins(task, verifier, plans, verdicts)
        problems += [sentence for twin in twins for sentence in twin.problems]
        unchecked += untried
        caught = plant_cheats(task, verifier, _controls(task, [task.good])[0])
        cheats = caught.attempts
        problems += caught.problems
        unchecked += caught.untried
    else:
        unchecked.append("Seeds, symmetry and cheats are tried once the good plan passes.")
    return TaskReport(
        task=task.name,
        plans={label: _said(verdict) for label, verdict in verdicts.items()},
        seeds=seeds,
        twins=tuple(twins),
        cheats=cheats,
        unchecked=tuple(unchecked),
        problems=tuple(problems),
    )


def _written(task: Task) -> list[str]:
    """What is wrong with a task before anything is judged."""
    problems = []
    if not task.instruction.strip():
        problems.append(f"{task.name} has no instruction: say in a sentence what is to be done.")
    if not any(_to_the_end(r.formula, task.horizon) for r in task.spec.requirements):
        problems.append(
            f"No requirement of {task.name} is an always over its whole horizon, so nobody watches after success."
        )
    problems += _wrong_units(task.scene.bound)
    if not np.array_equal(task.start(0), task.start(0)):
        problems.append(f"Seed 0 of {task.name} has two different starts.")
    for seed in range(3):
        try:
            task.check_start(task.start(seed))
        except Refusal as refusal:
            problems.append(f"Seed {seed} of {task.name} has no start: {refusal.reason}")
    if task.good is None:
        problems.append(f"{task.name} has no good plan, so nobody knows that it can be done.")
    if set(task.bad) != set(task.spec.names):
        problems.append(
            f"{task.name} needs a bad plan for each of {task.spec.names}; it has {tuple(task.bad)}: a requirement "
            "that no plan fails alone may be one that no plan can fail."
        )
    return problems


def _judged(task: Task, verdicts: Mapping[str, Verdict]) -> list[str]:
    """What is wrong with the verdicts of the good plan and the bad ones."""
    problems = []
    good = verdicts.get(GOOD)
    if good is not None and good.status != "PASS":
        problems.append(f"The good plan of {task.name} does not pass. {good.explain()}")
    for name in task.bad:
        bad, label = verdicts[_label(name)], f"The bad plan for {name!r} of {task.name}"
        if bad.status != "FAIL":
            problems.append(f"{label} is not a FAIL. {bad.explain()}")
            continue
        violation = bad.first_violation
        if violation is None or violation.requirement != name:
            first = "nothing" if violation is None else f"{violation.requirement} (at {violation.time_s:.3f} s)"
            problems.append(f"{label} violates {first} first.")
        others = [other for other, m in bad.margins.items() if other != name and not m.interval[0] > 0]
        if others:
            problems.append(f"{label} does not satisfy {', '.join(others)} either. {bad.explain()}")
        if good is not None and good.status == "PASS" and not good.reward > bad.reward:
            problems.append(f"{label} earns {bad.reward}, no less than the good plan's {good.reward}.")
    for verdict in verdicts.values():
        try:
            speaks(verdict)
        except AssertionError as error:
            problems.append(str(error))
    return problems


def _seeds(task: Task, verifier: Verifier, count: int) -> tuple[Seeds | None, list[str], list[str]]:
    if not varies(task):
        return None, [], [f"Every seed of {task.name} is the same: it has neither randomise nor a domain."]
    seeds = passing_seeds(task, verifier, range(count))
    if seeds.enough:
        return seeds, [], []
    said = f"The good plan of {task.name} is not steady: {seeds}. {seeds.listed}"
    if task.unsteady.strip():
        return seeds, [], [f"{said} The task says why: {task.unsteady}"]
    return seeds, [f"{said} Make it pass from 95 % of the seeds, or say in `unsteady` why it cannot."], []


def _twins(
    task: Task, verifier: Verifier, plans: Mapping[str, Any], verdicts: Mapping[str, Verdict]
) -> tuple[list[Likeness], list[str]]:
    ran = [label for label, verdict in verdicts.items() if verdict.status != "INVALID"]
    controls = [as_controls(task, u) for u in _controls(task, [plans[label] for label in ran])]
    twins, unchecked = [], []
    for name, make in (("permuted", permuted_twin), ("mirrored", mirrored_twin)):
        try:
            twin = make(task)
        except NoTwin as error:
            unchecked.append(f"{task.name} has no {name} twin: {error}.")
            continue
        found = verifier.verify(twin.task, controls, state=twin.state(task.start(0)), margins="full")
        alike = {label: CALM if label == GOOD else WILD for label in ran}
        twins.append(compare(name, task, alike, [verdicts[label] for label in ran], list(found)))
    return twins, unchecked


def _controls(task: Task, plans: Sequence[Plan | None]) -> list[Floats]:
    """(T, nu) the controls of plans that can be judged, from the start of seed 0."""
    given = [plan for plan in plans if plan is not None]
    starts = np.broadcast_to(task.start(0), (len(given), task.scene.nstate))
    return [made.controls for made in compile_for(task, starts, given) if isinstance(made, Compiled)]


def _label(requirement: str) -> str:
    return f"the bad plan for {requirement!r}"


def _said(verdict: Verdict) -> str:
    """PASS, FAIL of one requirement, or INVALID and why."""
    if verdict.first_violation is not None:
        return f"{verdict.status} of {verdict.first_violation.requirement}"
    return verdict.status if verdict.code is None else f"{verdict.status}({verdict.code})"


def _to_the_end(formula: Any, horizon: float) -> bool:
    return isinstance(formula, Always) and (formula.window is None or formula.window == (0.0, horizon))


def _wrong_units(bound: Bound) -> list[str]:
    problems = []
    for atom in bound.atoms:
        if parse_unit(atom.unit).factor != 1.0:
            problems.append(f"The margin of {atom.text} is in {atom.unit!r}, not in SI units.")
        if not (math.isfinite(atom.scale) and atom.scale > 0):
            problems.append(f"The margin scale of {atom.text} is {atom.scale}.")
    return problems
