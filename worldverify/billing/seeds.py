"""The seed experiment: a million plans as separate cold jobs, in one warm process, and scheduled."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from worldverify.billing.ladder import per_check
from worldverify.billing.meter import Meter
from worldverify.billing.prices import GB, KWH, MONTH, Prices, money_of
from worldverify.local import LocalVerifier
from worldverify.schedule import Schedule
from worldverify.task import Task
from worldverify.verdict import Verdicts

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
    verdicts = verifier.verify(task, lines, schedule=schedule)
    reading = meter.since(mark)
    verifier.close()
    return {"measured_on": len(lines), **per_check(reading, len(lines), prices), "kept": _kept(verdicts, prices)}


def _kept(verdicts: Verdicts, prices: Prices) -> Row:
    """What it takes to keep PLANS verdicts, as lines of a file that can be replayed, and the evidence as well."""
    line = sum(len(json.dumps(verdict.to_json())) + 1 for verdict in verdicts) / len(verdicts)
    evidence = sum(verdict.cost.bytes for verdict in verdicts) / len(verdicts)
    return {
        "line_bytes": line,
        "evidence_bytes": evidence,
        "gb": PLANS * line / GB,
        "gb_with_evidence": PLANS * (line + evidence) / GB,
        "money_a_month": money_of(prices, stored_byte_s=PLANS * line * MONTH),
        "money_a_month_with_evidence": money_of(prices, stored_byte_s=PLANS * (line + evidence) * MONTH),
        "estimated": prices.storage_gb_month.estimated,
    }


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
