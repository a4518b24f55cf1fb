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


@dataclass(frozen=True, eq=False)
class Crowd:
    """B plans that reach the physics, from one start."""

    plans: tuple[Plan, ...]  # as admitted
    controls: tuple[Floats, ...]  # (T_b, nu) each
    state: Floats  # (nstate,) that all of them start from
    refused: int  # candidates that no engine is asked about

    @property
    def states(self) -> Floats:
        """(B, nstate)"""
        return np.broadcast_to(self.state, (len(self.plans), len(self.state)))


def drawn(task: Task, count: int, seed: int) -> Crowd:
    """The task's good plan, its bad ones, and `count` variations of them."""
    own = [plan for plan in (task.good, *task.bad.values()) if plan is not None]
    return crowd_of(task, [*own, *variations(task, count, seed)])


def crowd_of(task: Task, raw: Sequence[object]) -> Crowd:
    """The candidates that can be admitted and compiled, from the start of seed 0."""
    state = task.start(0)
    plans = [plan for plan in map(lambda one: _admitted(task, one), candidates(raw)) if plan is not None]
    made = compile_for(task, np.broadcast_to(state, (len(plans), len(state))), plans) if plans else []
    kept = [(plan, one.controls) for plan, one in zip(plans, made, strict=True) if isinstance(one, Compiled)]
    return Crowd(
        plans=tuple(plan for plan, _ in kept),
        controls=tuple(controls for _, controls in kept),
        state=state,
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
