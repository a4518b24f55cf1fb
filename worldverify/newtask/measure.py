"""What plans make of signals: the least or greatest value of each over a window, from trusted physics only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.binding import bind
from worldverify.newtask.setting import Setting
from worldverify.refusal import Refusal
from worldverify.spec import Spec
from worldverify.task import Task
from worldverify.verify import verify

Floats = NDArray[np.float64]
Watch = Callable[[int, int], None]

FAR = 1e6  # SI: no signal of a scene comes near


@dataclass(frozen=True)
class Extreme:
    """The greatest (or the least) value of a signal, over the whole plan or from a moment to the end."""

    signal: str  # in the spec language
    greatest: bool
    since: float | None = None  # s

    def formula(self, horizon: float) -> str:
        window = "" if self.since is None else f"[{self.since:.10g},{horizon:.10g}]"
        return f"always{window}({self.signal} {'<' if self.greatest else '>'} {FAR if self.greatest else -FAR:.0f})"


def measured(
    setting: Setting, plans: Sequence[Floats], wanted: Sequence[Extreme], goal: str | None, watch: Watch
) -> tuple[Floats, Floats]:
    """((P, E) extremes of each plan, (P,) margin of the goal in its scales); NaN for a plan that was not believed."""
    lines = [f"e{i}: {extreme.formula(setting.horizon)}" for i, extreme in enumerate(wanted)]
    lines += [] if goal is None else [f"goal: {goal}"]
    verdicts = verify(setting.task("\n".join(lines)), plans, on="cpu", margins="full", watch=watch)
    found = np.full((len(plans), len(wanted)), np.nan)
    goals = np.full(len(plans), np.nan)
    for p, verdict in enumerate(verdicts):
        if verdict.status not in ("PASS", "FAIL"):
            continue
        for i, extreme in enumerate(wanted):
            margin = verdict.margins[f"e{i}"].value
            if margin is not None:
                found[p, i] = FAR - margin if extreme.greatest else margin - FAR
        if goal is not None and (reached := verdict.margins["goal"].relative) is not None:
            goals[p] = reached
    return found, goals


def fits(task: Task, formula: str) -> bool:
    """Whether the scene can show what a formula speaks of."""
    try:
        bind(task.scene.model, Spec.parse(f"any: {formula}"))
    except Refusal:
        return False
    return True
