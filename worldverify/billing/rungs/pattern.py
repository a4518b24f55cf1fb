"""Rung 1: a regular expression, as the answers of mathematics are checked."""

import re

from worldverify.billing.rungs.rung import Accepted, Rung, Texts, text_of
from worldverify.task import Task

# An object with something in a list under a name that plans have.
PLAN = re.compile(r'\{\s*"(?:skills|waypoints|actions|joint_positions?|trajectory)"\s*:\s*\[\s*[\[{]')


def check(task: Task, lines: Texts) -> Accepted:
    """Whether the text looks as if it held a plan."""
    return [PLAN.search(text_of(line)) is not None for line in lines]


RUNG = Rung("regex", "the text looks like a plan", check)
