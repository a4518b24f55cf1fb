"""The second seam: plans in, verdicts out. Local here; a pool, a cluster or a server later."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from worldverify.task import Task
from worldverify.verdict import Verdicts

Scope = Literal["plan", "chunk"]
Margins = Literal["decided", "full"]
Randomised = Literal["start", "all"]  # which draws of a seed: of the start, or of the task's domain too

Fidelity = Literal["reference", "screen"]  # "screen": what clearly fails with longer physics steps is rejected
Rank = Literal["best"]  # which plans need to be decided: as many as it takes to know the best


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt while plans were simulated. What was decided by then is whole; the rest is INCONCLUSIVE."""

    def __init__(self, verdicts: Verdicts) -> None:
        super().__init__()
        self.verdicts = verdicts


class Verifier(Protocol):
    """Judges plans. Verdicts come in the order of the plans, one each, whatever the plans are.

    A plan that cannot be judged becomes INVALID and does not disturb its neighbours. A verdict depends on its own
    plan, task, state, seed and options alone.
    """

    def verify(
        self,
        task: Task | str,
        plans: Any,
        *,
        seed: int = 0,
        state: NDArray[np.float64] | Sequence[NDArray[np.float64]] | None = None,
        scope: Scope = "plan",
        margins: Margins = "decided",
        randomise: Randomised = "start",
    ) -> Verdicts:
        """`plans`: raw model text, dicts, Plan or arrays; the options are those of `worldverify.verify`."""
        ...

    def close(self) -> None:
        """Give back what the verifier holds. A closed verifier judges nothing."""
        ...
