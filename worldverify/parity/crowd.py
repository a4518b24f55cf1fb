"""The plans that are compared: as controls, with the lines they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.compile import Compiled, compile_for
from worldverify.local import candidates
from worldverify.plan import Plan, admit
from worldverify.refusal import Refusal
from worldverify.task import Task
from worldverify.variations import variations

Floats = NDArray[np.float64]


STARTS = 8  # of a task that a drawn crowd begins from, the seeds 0 to 7


@dataclass(frozen=True, eq=False)
class Crowd:
    """B plans that reach the physics."""

    plans: tuple[Plan, ...]  # as admitted
    controls: tuple[Floats, ...]  # (T_b, nu) each
    seeds: tuple[int, ...]  # the start of each
    states: Floats  # (B, nstate) that they start from
    refused: int  # candidates that no engine is asked about


def drawn(task: Task, count: int, seed: int) -> Crowd:
    """The task's good plan and its bad ones from seed 0, and `count` variations of them from several seeds."""
    own = [plan for plan in (task.good, *task.bad.values()) if plan is not None]
    raw: list[tuple[int, object]] = [(0, plan) for plan in own]
    for start in range(STARTS):
        part = count // STARTS + (start < count % STARTS)
        raw += [(start, line) for line in variations(task, part, seed + start, start=start)] if part else []
    return _crowd(task, raw)


def crowd_of(task: Task, raw: Sequence[object]) -> Crowd:
    """The candidates that can be admitted and compiled, from the start of seed 0."""
    return _crowd(task, [(0, one) for one in candidates(raw)])


def _crowd(task: Task, raw: Sequence[tuple[int, object]]) -> Crowd:
    admitted = [(seed, plan) for seed, plan in ((seed, _admitted(task, one)) for seed, one in raw) if plan is not None]
    states = np.array([task.start(seed) for seed, _ in admitted]).reshape(-1, task.scene.nstate)
    made = compile_for(task, states, [plan for _, plan in admitted]) if admitted else []
    kept = [i for i, one in enumerate(made) if isinstance(one, Compiled)]
    return Crowd(
        plans=tuple(admitted[i][1] for i in kept),
        controls=tuple(one.controls for one in made if isinstance(one, Compiled)),
        seeds=tuple(admitted[i][0] for i in kept),
        states=states[kept],
        refused=len(raw) - len(kept),
    )


def line_of(plan: Plan, index: int) -> dict[str, Any]:
    """The plans-file line of a plan; one without a name is named after its place."""
    line: dict[str, Any] = plan.to_json()
    return line if line.get("id") is not None else {**line, "id": f"plan {index + 1}"}


def _admitted(task: Task, raw: object) -> Plan | None:
    try:
        return admit(raw, contracts=task.contracts, default_rate=task.rate, task=task.name)
    except Refusal:
        return None
