"""Many different plans of one task, about half of them failing, for measurements that need a crowd."""

import numpy as np
from numpy.typing import NDArray

from worldverify.compile import Compiled, compile_for
from worldverify.simulate import held
from worldverify.task import Task

Floats = NDArray[np.float64]

BLOCK = 64  # plans drawn together: the first plans of a larger crowd are those of a smaller one
KNOTS = 8  # of the smooth noise over a plan
NOISE = (-4.0, -0.9)  # powers of ten: the least and the greatest size, in spreads of each control
DECIMALS = 6  # of a control, so that a line is short
ALIKE = 1e-5  # spreads: the noise of plans that differ in nothing that matters

# Text that no reader takes for a plan, or a plan that no robot can follow.
_MALFORMED = (
    '{"actions": [[0.1, 0.2',
    "First move above the object, then close the gripper and lift.",
    '{"actions": [[NaN]]}',
    '{"skills": [{"skill": "teleport"}]}',
    '{"actions": []}',
)


def variations(task: Task, n: int, seed: int = 0, *, invalid: float = 0.0, start: int = 0) -> list[dict[str, object]]:
    """n lines of a plans file: the controls of `controls`, of which the share `invalid` is malformed instead.

    The actions of a line are an array (T, nu) as admission takes it; `.tolist()` makes it JSON.
    """
    count = np.floor(np.arange(n + 1) * invalid + 1e-9).astype(int).tolist()  # malformed lines before each
    lines: list[dict[str, object]] = []
    for i, u in enumerate(controls(task, n, seed, start=start)):
        id = f"{task.name}:{seed}:{i}"
        if count[i + 1] > count[i]:
            lines.append({"id": id, "text": _MALFORMED[count[i] % len(_MALFORMED)]})
        else:
            lines.append({"id": id, "format": "ctrl", "rate_hz": task.rate, "actions": u})
    return lines


def alike(task: Task, n: int, seed: int = 0) -> list[dict[str, object]]:
    """n lines that all do what the good plan does, with noise far too small to matter: the homogeneous control."""
    bases, spread, low, high = _bases(task)
    lines = []
    for i in range(n):
        noise = np.random.default_rng([seed, i]).normal(size=bases.shape[2])
        u = _within(bases[0] + ALIKE * spread * noise, low, high)
        lines.append({"id": f"{task.name}:alike:{i}", "format": "ctrl", "rate_hz": task.rate, "actions": u})
    return lines


def controls(task: Task, n: int, seed: int = 0, *, start: int = 0) -> Floats:
    """(n, T, nu) controls to the horizon, each the task's good and bad plans changed in its own way.

    A plan is a mixture of two of them, played faster or slower, held from some moment on, with smooth noise of a size
    drawn from a wide range: the least changes nothing, the greatest breaks everything, so that failures come at all
    times. The plans are compiled once, from the start of seed `start`. Plan i depends on the task, `seed`, `start` and
    i alone.
    """
    bases, spread, low, high = _bases(task, start)
    made = np.empty((n, *bases.shape[1:]))
    for first in range(0, n, BLOCK):
        generator = np.random.default_rng([seed, first // BLOCK])
        block = made[first : first + BLOCK]
        block[:] = _within(_drawn(generator, bases, spread), low, high)[: len(block)]
    return made


def _bases(task: Task, start: int = 0) -> tuple[Floats, Floats, Floats, Floats]:
    """Controls (P, T, nu) of the good plan and the bad ones, the spread (nu,) of each control, and its range."""
    plans = [plan for plan in (task.good, *task.bad.values()) if plan is not None]
    if not plans:
        raise ValueError(f"{task.name} has no good plan and no bad ones, so there is nothing to vary: give it one.")
    starts = np.broadcast_to(task.start(start), (len(plans), task.scene.nstate))
    compiled = [one.controls for one in compile_for(task, starts, plans) if isinstance(one, Compiled)]
    bases = np.stack([held(u, task.steps) for u in compiled])
    model = task.scene.model
    bounded = model.actuator_ctrllimited.astype(bool)
    low, high = (np.where(bounded, model.actuator_ctrlrange[:, i], sign * 1e6) for i, sign in ((0, -1), (1, 1)))
    spread = bases.max(axis=(0, 1)) - bases.min(axis=(0, 1))
    unmoved = np.where(bounded, 0.05 * (high - low), 1.0)
    return bases, np.where(spread > 0, spread, unmoved), low, high


def _drawn(generator: np.random.Generator, bases: Floats, spread: Floats) -> Floats:
    """(BLOCK, T, nu) one block of plans, before they are cut to the range of the controls."""
    plans, steps, width = bases.shape
    # The good plan is most of the crowd's first parts; the second parts are any plan.
    first = np.where(generator.random(BLOCK) < 0.6, 0, generator.integers(0, plans, BLOCK))
    second = generator.integers(0, plans, BLOCK)
    share = np.where(generator.random(BLOCK) < 0.3, generator.random(BLOCK), 0.0)
    pace = np.where(generator.random(BLOCK) < 0.5, 2.0 ** generator.uniform(-0.5, 0.5, BLOCK), 1.0)
    until = np.where(generator.random(BLOCK) < 0.15, generator.random(BLOCK), 1.0)
    size = 10.0 ** generator.uniform(*NOISE, BLOCK)
    knots = generator.normal(size=(BLOCK, KNOTS, width))
    when = np.minimum(np.arange(steps), until[:, None] * steps) * pace[:, None]  # (BLOCK, T) in control steps
    mixed = (1 - share)[:, None, None] * _at(bases, first, when) + share[:, None, None] * _at(bases, second, when)
    drawn: Floats = mixed + size[:, None, None] * spread * _smooth(knots, when / (steps - 1) if steps > 1 else when)
    return drawn


def _at(bases: Floats, which: NDArray[np.int64], when: Floats) -> Floats:
    """(B, T, nu) plan `which` (B,) at the times `when` (B, T), in control steps, between its rows."""
    last = bases.shape[1] - 1
    before = np.clip(np.floor(when).astype(int), 0, last)
    after, part = np.minimum(before + 1, last), np.clip(when - before, 0.0, 1.0)[..., None]
    between: Floats = (1 - part) * bases[which[:, None], before] + part * bases[which[:, None], after]
    return between


def _smooth(knots: Floats, when: Floats) -> Floats:
    """(B, T, nu) a smooth curve through 0 and then `knots` (B, KNOTS, nu), at the times `when` (B, T) in 0..1."""
    place = np.clip(when, 0.0, 1.0) * KNOTS
    curve = np.zeros((*when.shape, knots.shape[2]))
    for k in range(KNOTS):  # knot by knot rather than as a matrix product, whose bits depend on the machine
        bump = np.maximum(0.0, 1.0 - np.abs(place - (k + 1)))
        curve += (bump * bump * (3.0 - 2.0 * bump))[..., None] * knots[:, k, None]
    return curve


def _within(controls: Floats, low: Floats, high: Floats) -> Floats:
    cut: Floats = np.clip(np.round(controls, DECIMALS), low, high)
    return cut
