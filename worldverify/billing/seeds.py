"""The seed experiment: a million plans as separate cold jobs, in one warm process, and scheduled."""

from collections.abc import Mapping, Sequence
from typing import Any

from worldverify.billing.ladder import per_check
from worldverify.billing.meter import Meter
from worldverify.billing.prices import KWH, Prices
from worldverify.local import LocalVerifier
from worldverify.schedule import Schedule
from worldverify.task import Task

PLANS = 1_000_000
HOURS = 6.0  # in which one user started so many verifier workloads
WARM = 256  # candidates that are judged exhaustively, which takes longest

Row = dict[str, Any]


def seeds(task: Task, lines: Sequence[Any], cold: Mapping[str, Any], prices: Prices, cores: int) -> list[Row]:
    """A row for each way. `cold` is the row of a process a plan, measured in the same run."""
    jobs = {
        "measured_on": cold["plans"],
        **{key: cold[key] for key in ("wall_s", "cpu_s", "joules", "money", "estimated")},
    }
    return [
        _row("separate cold jobs", "a process a plan, one after the other on each core", jobs, cores, alone=True),
        _row(
            "one warm process",
            "every plan by itself, to the horizon",
            _judged(task, lines[:WARM], prices, Schedule.exhaustive()),
            cores,
        ),
        _row("scheduled", "the same process, with all rules", _judged(task, lines, prices, Schedule()), cores),
    ]


def _judged(task: Task, lines: Sequence[Any], prices: Prices, schedule: Schedule) -> Row:
    verifier, meter = LocalVerifier(), Meter(prices)
    verifier.verify(task, lines[:2], schedule=schedule)  # warm: imports, tables
    mark = meter.start()
    verifier.verify(task, lines, schedule=schedule)
    reading = meter.since(mark)
    verifier.close()
    return {"measured_on": len(lines), **per_check(reading, len(lines), prices)}


def _row(name: str, what: str, per_plan: Mapping[str, Any], cores: int, *, alone: bool = False) -> Row:
    """PLANS of what was measured, one after the other: extrapolated in proportion."""
    hours_of_cores = PLANS * per_plan["cpu_s"] / 3600
    # A process a plan leaves the other cores to other jobs, and so do they; a warm process uses all of them itself.
    hours = (
        PLANS * per_plan["wall_s"] / 3600
        if not alone
        else max(hours_of_cores, PLANS * per_plan["wall_s"] / 3600) / cores
    )
    return {
        "name": name,
        "what": what,
        **per_plan,
        "plans": PLANS,
        "hours_here": hours,
        "core_hours": hours_of_cores,
        "cores_for_six_hours": hours * cores / HOURS,
        "kwh": PLANS * per_plan["joules"] / KWH,
        "money_in_all": PLANS * per_plan["money"],
        "extrapolated": PLANS / per_plan["measured_on"],
    }
