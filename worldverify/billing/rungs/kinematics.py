"""Rung 4: the plan becomes commands that the robot can follow, by its geometry and limits alone."""

import numpy as np

from worldverify.billing.rungs.rung import Accepted, Rung, Texts
from worldverify.compile import Compiled, compile_for
from worldverify.plan import Plan, admit
from worldverify.refusal import Refusal
from worldverify.task import Task


def check(task: Task, lines: Texts) -> Accepted:
    """Whether a plan is within reach, limits and the horizon. Equal plans are looked at once."""
    read = [_read(task, line) for line in lines]
    plans = list(dict.fromkeys(plan for plan in read if plan is not None))
    states = np.broadcast_to(task.start(0), (len(plans), task.scene.nstate))
    made = dict(zip(plans, compile_for(task, states, plans), strict=True)) if plans else {}
    return [plan is not None and isinstance(made[plan], Compiled) for plan in read]


def _read(task: Task, line: object) -> Plan | None:
    try:
        return admit(line, contracts=task.contracts, default_rate=task.rate, task=task.name)
    except Refusal:
        return None


RUNG = Rung("kinematics", "the robot can reach it within its limits", check)
