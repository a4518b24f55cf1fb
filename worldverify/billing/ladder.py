"""The ladder: the same candidates put to every rung, from a regular expression to rendered physics."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from worldverify.billing.meter import Meter, Reading
from worldverify.billing.prices import Prices, money_of
from worldverify.billing.rungs import contract, kinematics, pattern, physics, unit_test
from worldverify.billing.rungs.rung import Rung
from worldverify.kernels.statistics import exact_interval
from worldverify.proposing.scripted import propose_scripted, scripted_formats
from worldverify.task import Task
from worldverify.trials.run import check_varies

RUNGS: tuple[Rung, ...] = (
    pattern.RUNG,
    contract.RUNG,
    unit_test.RUNG,
    kinematics.RUNG,
    physics.ONCE,
    physics.SCHEDULED,
    physics.CERTIFIED,
    physics.RENDERED,
)
CANDIDATES = 1000
FORMATS = ("skills", "ee_waypoints", "joint_position")  # whose texts say themselves what they are
CONFIDENCE = 0.95
LEAST_S = 0.2  # s that a rung is measured for, repeated if need be: clocks of processor time are coarse

Row = dict[str, Any]


def rungs_of(task: Task) -> tuple[Rung, ...]:
    """The rungs that a task has: without anything that varies there is nothing to certify, and so no reference."""
    try:
        check_varies(task, task.start(0))
    except ValueError:
        return tuple(rung for rung in RUNGS if not rung.reference)
    return RUNGS


def candidates(task: Task, count: int = CANDIDATES) -> list[Any]:
    """Texts as models write them, for the start of seed 0: a third each good, clumsy and wrong."""
    known = scripted_formats(task)
    formats = [name for name in FORMATS if name in known] or None
    return [
        {"id": line["id"], "text": line["text"], **_declared(line)}
        for line in propose_scripted(task, count, formats=formats)
    ]


def _declared(line: dict[str, object]) -> dict[str, object]:
    return {key: line[key] for key in ("format", "rate_hz", "contract") if key in line}


def ladder(
    task: Task,
    lines: Sequence[Any],
    prices: Prices,
    *,
    full: bool = False,
    seed: int = 0,
    rungs: Sequence[Rung] = RUNGS,
    told: Callable[[str], object] = lambda name: None,
) -> list[Row]:
    """A row for each rung. Dear ones are put to the first candidates of one random order, unless `full`.

    What the reference accepts is taken to be right: the others' false shares are over the candidates that both saw.
    """
    task.start(0)
    order = np.random.default_rng(seed).permutation(len(lines)).tolist()
    seen: dict[str, dict[int, bool]] = {}
    rows: list[Row] = []
    for rung in rungs:
        told(rung.name)
        count = len(lines) if full or rung.sample is None else min(rung.sample, len(lines))
        rows.append(_measured(rung, task, lines, order[:count], prices, seen))
    reference = next((rung.name for rung in rungs if rung.reference), None)
    cheapest = rows[0]["cpu_s"] if rows else 0.0
    for row in rows:
        row["times_the_first"] = row["cpu_s"] / cheapest if cheapest else None
        if reference is not None:
            row.update(_false(seen[row["name"]], seen[reference]))
    return rows


def _measured(
    rung: Rung,
    task: Task,
    lines: Sequence[Any],
    chosen: Sequence[int],
    prices: Prices,
    seen: dict[str, dict[int, bool]],
) -> Row:
    some = [lines[i] for i in chosen]
    meter = Meter(prices, children=rung.children)
    mark, repeats = meter.start(), 0
    while not repeats or meter.so_far(mark)[0] < LEAST_S:
        accepted = rung.check(task, some)
        repeats += 1
    reading = meter.since(mark)
    seen[rung.name] = dict(zip(chosen, accepted, strict=True))
    checks = repeats * len(some)
    return {
        "name": rung.name,
        "what": rung.what,
        "checked": len(some),
        "of": len(lines),
        "repeats": repeats,
        "reference": rung.reference,
        **per_check(reading, checks, prices),
        "accepted": sum(accepted),
        "accepted_share": sum(accepted) / len(some) if some else None,
    }


def per_check(reading: Reading, checks: int, prices: Prices) -> Row:
    """What one of so many checks took."""
    money = money_of(prices, cpu_s=reading.cpu_s, gb_s=reading.gb_s, joules=reading.joules)
    count = max(1, checks)
    guessed = ("money",) if prices.vcpu_hour.estimated or prices.gb_hour.estimated else ()
    return {
        "wall_s": reading.wall_s / count,
        "cpu_s": reading.cpu_s / count,
        "joules": reading.joules / count,
        "money": money / count,
        "peak_bytes": reading.peak_bytes,
        "estimated": [*reading.estimated, *guessed],
        "why_estimated": list(reading.reasons),
    }


def _false(found: dict[int, bool], right: dict[int, bool]) -> Row:
    """How often a rung accepts what the reference does not, and the other way round, with exact 95 % intervals."""
    both = sorted(found.keys() & right.keys())
    wrong = [i for i in both if not right[i]]
    good = [i for i in both if right[i]]
    accepts, rejects = sum(found[i] for i in wrong), sum(not found[i] for i in good)
    return {
        "compared": len(both),
        "false_accepts": accepts,
        "false_accept_share": accepts / len(wrong) if wrong else None,
        "false_accept_interval": list(exact_interval(accepts, len(wrong), CONFIDENCE)) if wrong else None,
        "wrong_candidates": len(wrong),
        "false_rejects": rejects,
        "false_reject_share": rejects / len(good) if good else None,
        "false_reject_interval": list(exact_interval(rejects, len(good), CONFIDENCE)) if good else None,
        "good_candidates": len(good),
    }
