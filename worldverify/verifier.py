"""The second seam: plans in, verdicts out. Local here; a pool, a cluster or a server later."""

from typing import Any, Protocol

from worldverify.task import Task
from worldverify.verdict import Verdicts


class Verifier(Protocol):
    """Judges plans. Verdicts come in the order of the plans, one each, whatever the plans are.

    A plan that cannot be judged becomes INVALID and does not disturb its neighbours. A verdict depends on its own
    plan, task, state, seed and options alone.
    """

    def verify(self, task: Task | str, plans: Any, **options: Any) -> Verdicts:
        """`plans`: raw model text, dicts, Plan or arrays; `options` as in `worldverify.verify`."""
        ...

    def close(self) -> None:
        """Give back what the verifier holds. A closed verifier judges nothing."""
        ...
