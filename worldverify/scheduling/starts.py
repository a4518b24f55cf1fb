"""Start states that were looked at before: a settled start is checked once, not in every call."""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]

MOST = 4096  # states that are remembered


class Starts:
    """What was found of the start states of tasks."""

    def __init__(self) -> None:
        # The task is kept, so that its id stays its own.
        self._found: OrderedDict[tuple[int, bool, bytes], tuple[Task, Refusal | None]] = OrderedDict()

    def faults(self, task: Task, states: Floats, *, whole: bool) -> list[Refusal | None]:
        """Why each of states (B, nstate) cannot be judged from, or None; `whole`: as what the task begins from."""
        check = task.check_start if whole else task.scene.check_start
        faults = []
        for state in states:
            key = id(task), whole, state.tobytes()
            if key not in self._found:
                try:
                    check(state)
                    self._found[key] = task, None
                except Refusal as refusal:
                    self._found[key] = task, refusal
                if len(self._found) > MOST:
                    self._found.popitem(last=False)
            faults.append(self._found[key][1])
        return faults
