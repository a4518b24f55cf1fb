"""A pre-pass with longer physics steps: what clearly fails there is rejected, everything else judged by the reference.

So a PASS is always the reference's own. Whether a rejection would have been one is audited at random.
"""

import math
from dataclasses import replace

from worldverify.engines.backend import EngineRefused
from worldverify.judge import Finding, often_capped
from worldverify.refusal import Refusal
from worldverify.scene import build_scene
from worldverify.task import Task

METHOD = "screen"

LONGEST, SHORTEST = 3.0, 1.25  # times the physics step of the task: beyond, contacts are another physics
# Margin scales by which a rejection must be one: steps move margins, and what is near is the reference's to say.
BAND = 0.25
AUDITED = 1 / 16  # of the rejected plans are judged by the reference as well


def coarse(task: Task) -> Task:
    """The task with the longest physics steps that fit its control period and its spec. Raises EngineRefused."""
    refused = ""
    for substeps in range(math.ceil(task.substeps / LONGEST), math.floor(task.substeps / SHORTEST) + 1):
        source = task.scene.source.copy()
        source.option.timestep = 1 / (task.rate * substeps)
        keyframe = None if task.scene.keyframe < 0 else task.scene.keyframe
        try:
            return replace(task, scene=build_scene(source, task.spec, keyframe=keyframe), precondition="")
        except Refusal as refusal:
            refused = f" {refusal.reason}"  # a window of the spec, say, that is no whole number of such steps
    raise EngineRefused(
        f"fidelity='screen' takes physics steps {SHORTEST:g} to {LONGEST:g} times as long, of which none fits "
        f"{task.name}: its control period has {task.substeps} of {task.timestep:g} s.{refused} Leave fidelity out."
    )


def rejected(task: Task, finding: Finding, settled: bool) -> bool:
    """Whether the screen's finding is a rejection that stands."""
    return finding.status == "FAIL" and settled and not often_capped(finding, task.samples)


def in_steps_of(task: Task, coarse: Task, finding: Finding) -> Finding:
    """A finding of the screen with its samples counted, to the nearest, in the task's own steps."""
    if finding.decided is None:
        return finding
    return replace(finding, decided=round(finding.decided * coarse.timestep / task.timestep))
