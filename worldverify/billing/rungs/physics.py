"""Rungs 5 to 7: one run of physics; as many randomised runs as a certificate takes; one run that is also drawn."""

import mujoco

from worldverify.billing.rungs.rung import Accepted, Rung, Texts
from worldverify.local import LocalVerifier
from worldverify.render import Painter
from worldverify.replay import run_again
from worldverify.schedule import ALL_RULES, Schedule
from worldverify.task import Task
from worldverify.trials.rules import certify
from worldverify.verdict import Verdicts

CERTIFICATE = certify(p=0.95, p0=0.90, alpha=0.05, beta=0.05)
FRAMES_PER_S, WIDTH, HEIGHT = 5, 320, 240


def verified(task: Task, lines: Texts, schedule: Schedule = ALL_RULES) -> Verdicts:
    """Verdicts on MuJoCo C, of a verifier that is made and closed here."""
    verifier = LocalVerifier()
    try:
        return verifier.verify(task, lines, schedule=schedule)
    finally:
        verifier.close()


def run_once(task: Task, lines: Texts) -> Accepted:
    """Whether a plan passes as the model of the world is: every plan by itself, to the horizon."""
    return [verdict.status == "PASS" for verdict in verified(task, lines, Schedule.exhaustive())]


def scheduled(task: Task, lines: Texts) -> Accepted:
    """The same, and nothing simulated that cannot change a verdict."""
    return [verdict.status == "PASS" for verdict in verified(task, lines)]


def certified(task: Task, lines: Texts) -> Accepted:
    """Whether a plan passes in at least 95 % of the worlds that the task declares; all from the start of seed 0."""
    verifier = LocalVerifier()
    try:
        verdicts = verifier.verify(task, lines, state=task.start(0), trials=CERTIFICATE)
    finally:
        verifier.close()
    return [verdict.trials is not None and verdict.trials["decision"] == "accept" for verdict in verdicts]


def rendered(task: Task, lines: Texts) -> Accepted:
    """The verdicts of one run, and pictures of it for whoever, or whatever, is to look."""
    verdicts = verified(task, lines)
    every = max(1, round(1 / (FRAMES_PER_S * task.timestep)))
    painter = Painter(task.scene.model, width=WIDTH, height=HEIGHT, camera="view")
    for verdict in verdicts:
        if verdict.cost.steps + verdict.cost.steps_saved and (run := run_again(task, verdict)) is not None:
            for sample in range(0, run.last + 1, every):
                data = task.scene.data(run.state_at(sample))
                mujoco.mj_forward(task.scene.model, data)
                painter.paint(data)
    return [verdict.status == "PASS" for verdict in verdicts]


ONCE = Rung("one physics run", "it passes in the world as it is modelled", run_once)
SCHEDULED = Rung("the same, scheduled", "with the rules that change no verdict", scheduled)
CERTIFIED = Rung("certified physics", "it passes in 95 % of randomised worlds", certified, sample=150, reference=True)
RENDERED = Rung("physics with rendering", f"one run, drawn {FRAMES_PER_S} times a second", rendered, sample=24)
