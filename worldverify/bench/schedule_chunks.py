"""What a policy with continuous actions gives: rows of controls of which nothing is shared, and lurches."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.bench.schedule_scenes import HORIZON, Stage

Floats = NDArray[np.float64]

KNOTS = 7  # of the smooth noise over a plan
NOISE = 0.002  # rad, of every joint at every moment
WAVE = 0.025  # rad, of a held object that is carried about
LURCH, LURCH_S = 0.5, 0.12  # rad by which the base joint is sent elsewhere, and for how long, s
LATEST = 0.06  # s before the end: a later lurch is not seen any more
DECIMALS = 6  # of a control, so that a line is short


def chunks(
    stage: Stage, state: Floats, generator: np.random.Generator, passing: int, failing: int, malformed: int
) -> list[dict[str, Any]]:
    """passing + failing + malformed candidates, each rows of controls of its own to the horizon.

    A failing one lurches at a time drawn uniformly from the horizon, as where one chunk does not join the next.
    """
    task, count = stage.task, passing + failing
    model = task.scene.model
    joints = list(task.arm.controls[: len(task.arm.joints)]) if task.arm is not None else list(range(model.nu))
    begin = task.scene.data(state).ctrl
    base = np.tile(begin, (task.steps, 1)) if stage.held else stage.pick(state)
    rows = np.repeat(base[None], count, axis=0)
    noise = NOISE * _smooth(generator.normal(size=(count, KNOTS, len(joints))), task.steps)
    if stage.held:
        knots = generator.normal(size=(count, KNOTS, len(joints)))
        knots[:, 0] = 0.0
        noise += WAVE * _smooth(knots, task.steps)
    rows[:, :, joints] += noise
    if failing:
        at = generator.uniform(0, HORIZON - LATEST, failing)
        when = np.arange(task.steps) / task.rate
        struck = (when >= at[:, None] - 1 / task.rate) & (when < at[:, None] - 1 / task.rate + LURCH_S)
        side = generator.choice([-1.0, 1.0], failing)
        rows[passing:, :, joints[0]] += LURCH * side[:, None] * struck
    bounded = model.actuator_ctrllimited.astype(bool)
    low, high = (np.where(bounded, model.actuator_ctrlrange[:, i], s * np.inf) for i, s in ((0, -1), (1, 1)))
    rows = np.clip(np.round(rows, DECIMALS), low, high)
    lines = [{"format": "ctrl", "rate_hz": task.rate, "actions": row} for row in rows]
    return lines + [_malformed(base, task.rate, generator) for _ in range(malformed)]


def _malformed(base: Floats, rate: float, generator: np.random.Generator) -> dict[str, Any]:
    """A number that is none, a row that is too narrow, a control far out of its range, or nothing."""
    rows = base.copy()
    kind = int(generator.integers(4))
    if kind == 0:
        rows[int(generator.integers(len(rows)))] = np.nan
    elif kind == 1:
        rows = rows[:, :-1]
    elif kind == 2:
        rows[int(generator.integers(len(rows)))] = 100.0
    else:
        rows = rows[:0]
    return {"format": "ctrl", "rate_hz": rate, "actions": rows}


def _smooth(knots: Floats, steps: int) -> Floats:
    """(B, steps, width) a curve through knots (B, K, width), without a jump in speed."""
    place = np.linspace(0, knots.shape[1] - 1, steps)
    left = np.minimum(place.astype(int), knots.shape[1] - 2)
    part = (place - left)[:, None]
    part = part * part * (3 - 2 * part)
    between: Floats = (1 - part) * knots[:, left] + part * knots[:, left + 1]
    return between
