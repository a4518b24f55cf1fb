"""The overlay tax: plans a second of the same work through each layer of software, from a bare engine loop outwards."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldverify.bench.bare import batch_rollout
from worldverify.billing.ladder import per_check
from worldverify.billing.meter import Meter
from worldverify.billing.prices import Prices
from worldverify.compile import Compiled, compile_for
from worldverify.kernels.mujoco_cpu import usable_cpus
from worldverify.local import LocalVerifier
from worldverify.plan import Plan, admit
from worldverify.schedule import Schedule
from worldverify.task import Task

TOGETHER, ALONE = 64, 6  # plans in a call, and plans of which each is a process
LEAST_S = 1.0  # s that a layer within this process is measured for

Row = dict[str, Any]


def overlay(task: Task, named: str, lines: Sequence[Any], prices: Prices) -> list[Row]:
    """A row for each layer; `named` is how the command line knows the task. What cannot be simulated is left out.

    The first two layers do all steps of all plans, so that only software is between them.
    """
    some, controls = _simulated(task, lines)
    verifier = LocalVerifier()
    layers: list[tuple[str, str, int, Callable[[], object], bool]] = [
        (
            "bare engine loop",
            "mujoco.batch, no sensors, no verdict",
            len(some),
            batch_rollout(task, controls, usable_cpus()),
            False,
        ),
        (
            "verify, no rule",
            "reading, compiling, trust checks, verdicts; every step simulated",
            len(some),
            lambda: verifier.verify(task, some, schedule=Schedule.exhaustive()),
            False,
        ),
        (
            "verify",
            "the same, and nothing simulated that cannot change a verdict",
            len(some),
            lambda: verifier.verify(task, some),
            False,
        ),
        (
            "command line",
            "one process for all plans: imports, the scene, files",
            len(some),
            lambda: _commanded(named, some),
            True,
        ),
        (
            "a process a plan",
            "the command line once for each plan",
            min(ALONE, len(some)),
            lambda: _one_by_one(named, some[:ALONE]),
            True,
        ),
    ]
    rows = []
    for name, what, plans, run, outside in layers:
        if not outside:
            run()  # engines are built once
        meter = Meter(prices, children=outside)
        mark, repeats = meter.start(), 0
        while not repeats or (not outside and meter.so_far(mark)[0] < LEAST_S):
            run()
            repeats += 1
        reading = meter.since(mark)
        row = {
            "name": name,
            "what": what,
            "plans": plans,
            "repeats": repeats,
            **per_check(reading, plans * repeats, prices),
        }
        rows.append({**row, "plans_per_s": 1 / row["wall_s"]})
    verifier.close()
    for row in rows:
        row["of_bare"] = row["plans_per_s"] / rows[0]["plans_per_s"]
    return rows


def _simulated(task: Task, lines: Sequence[Any]) -> tuple[list[Any], Any]:
    """The first plans that reach the physics, and their controls (n, T, nu), the last one held."""
    kept: list[Any] = []
    rows: list[Any] = []
    for line in lines:
        try:
            plan: Plan = admit(line, contracts=task.contracts, default_rate=task.rate, task=task.name)
        except ValueError:
            continue
        (made,) = compile_for(task, task.start(0)[None], [plan])
        if isinstance(made, Compiled):
            kept.append(line)
            rows.append(made.controls[np.minimum(np.arange(task.steps), len(made.controls) - 1)])
        if len(kept) == TOGETHER:
            break
    if not kept:
        raise ValueError(f"None of the candidates of {task.name} can be simulated, so there is nothing to compare.")
    return kept, np.stack(rows)


def _one_by_one(named: str, lines: Sequence[Any]) -> None:
    for line in lines:
        _commanded(named, [line])


def _commanded(named: str, lines: Sequence[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plans = Path(folder) / "plans.jsonl"
        plans.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        command = [sys.executable, "-m", "worldverify", "verify", named, str(plans), "--on", "cpu"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"worldverify verify ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
