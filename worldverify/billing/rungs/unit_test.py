"""Rung 3: a unit test in a process of its own, as code is checked: a fresh interpreter a candidate, nothing kept."""

import subprocess
import sys
from importlib import resources

from worldverify.billing.rungs.rung import Accepted, Rung, Texts, text_of
from worldverify.task import Task

SCRIPT = "plan_unittest.py"
SECONDS = 60  # a test that hangs fails


def check(task: Task, lines: Texts) -> Accepted:
    """Whether all tests of the script pass on the text."""
    with resources.as_file(resources.files("worldverify.billing.rungs").joinpath(SCRIPT)) as script:
        command = [sys.executable, "-I", str(script), str(task.horizon), *task.objects]
        return [_passes(command, text_of(line)) for line in lines]


def _passes(command: list[str], text: str) -> bool:
    try:
        done = subprocess.run(
            command, input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


RUNG = Rung("unit test in a subprocess", "five tests of what the plan says", check, sample=200, children=True)
