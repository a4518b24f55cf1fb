"""Rung 2: the plan is read, and its fields, ranges and units are those of a contract."""

from worldverify.billing.rungs.rung import Accepted, Rung, Texts
from worldverify.plan import admit
from worldverify.refusal import Refusal
from worldverify.task import Task


def check(task: Task, lines: Texts) -> Accepted:
    """Whether a plan is admitted."""
    return [_admitted(task, line) for line in lines]


def _admitted(task: Task, line: object) -> bool:
    try:
        admit(line, contracts=task.contracts, default_rate=task.rate, task=task.name)
    except Refusal:
        return False
    return True


RUNG = Rung("schema and contract", "it can be read as a plan of the task", check)
