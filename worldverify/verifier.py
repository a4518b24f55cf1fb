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
