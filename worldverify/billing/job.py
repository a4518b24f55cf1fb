"""One run of the command cost: what was asked, checked before anything is measured, and then measured part by part."""

import argparse
import json
from collections.abc import Sequence
from itertools import count
from typing import Any

from worldverify.bench.called import command_line
from worldverify.bench.facts import machine
from worldverify.billing.accounting import accounting
from worldverify.billing.advice import advice_lines, advise
from worldverify.billing.command import ADVICE, CANDIDATES, SCHEMA, TASK
from worldverify.billing.fleet import Machine, load_machine, measured_here
from worldverify.billing.generators import generator_of, load_generators
from worldverify.billing.ladder import candidates, ladder, rungs_of
from worldverify.billing.measured_generator import measured_generator
from worldverify.billing.overlay import overlay
from worldverify.billing.prices import load_prices
from worldverify.billing.ratio import Rate, ratio
from worldverify.billing.rungs.physics import CERTIFIED, ONCE, SCHEDULED
from worldverify.billing.seeds import seeds
from worldverify.plansfile import read_plans
from worldverify.progress import Progress
from worldverify.registry import load_named
from worldverify.task import Task
from worldverify.usage import UsageError, cannot_read

Row = dict[str, Any]

VERIFIERS = {"no rule": ONCE, "all rules": SCHEDULED, "certified": CERTIFIED}


class Job:
    """What was asked for. Raises UsageError, also while it measures, if candidates turn out to be of no use."""

    def __init__(self, arguments: argparse.Namespace, parts: Sequence[str]) -> None:
        self._full, self._named, self._batch = arguments.full, arguments.task or TASK, arguments.batch
        self._prices = load_prices(arguments.prices)
        known = load_generators(arguments.generators)
        chosen = arguments.generator
        self._generators = list(known.values()) if chosen is None else [generator_of(chosen, known)]
        self._wanted = arguments.plans_per_s or (self._generators[0].plans_per_s if chosen is not None else None)
        self._endpoint, self._model = arguments.generator_url, arguments.model
        self._fleet = [load_machine(path) for path in arguments.fleet or ()]
        self._here: Machine | None = None
        try:
            self._task: Task = load_named(self._named)
            for name in ("ratio", ADVICE):
                if name in parts:
                    self._check_gpus(name)
            self._lines = self._candidates(arguments)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def begun(self) -> dict[str, Any]:
        """The report before anything but a generator is measured."""
        here = machine()
        if self._endpoint is not None:
            measured = measured_generator(self._task, self._endpoint, self._generators[0], model=self._model)
            self._generators, self._wanted = [measured], measured.plans_per_s
        distinct = len({json.dumps(_without_id(line), sort_keys=True, default=str) for line in self._lines})
        return {
            "schema": SCHEMA,
            "command": command_line(),
            "machine": here,
            "versions": here["versions"],
            "task": self._task.name,
            "candidates": {"count": len(self._lines), "distinct": distinct, "by": self._by},
            "figures": "Measured in this run, but for the fields that a row names as estimated. Money is what was "
            "measured, at the prices below; these and the generators have sources and dates.",
            "prices": self._prices.to_json(),
        }

    def measure(self, part: str, report: dict[str, Any]) -> None:
        """Puts a part into the report."""
        try:
            report[part] = self._measured(part, report)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def here(self) -> Machine:
        """This machine, measured once."""
        if self._here is None:
            self._here = measured_here(self._task, self._lines)
        return self._here

    def _measured(self, part: str, report: dict[str, Any]) -> Any:
        task, lines, prices = self._task, self._lines, self._prices
        if part == "ladder":
            rungs = rungs_of(task)
            with Progress("ladder") as progress:
                done = count()
                return ladder(
                    task, lines, prices, full=self._full, rungs=rungs, told=lambda _: progress(next(done), len(rungs))
                )
        if part == "overlay":
            return overlay(task, self._named, lines, prices)
        if part == "seeds":
            layers = report.get("overlay") or overlay(task, self._named, lines, prices)
            return seeds(task, lines, layers[-1], prices, report["machine"]["usable_cpus"])
        if part == "ratio":
            return self._ratios(report)
        if part == ADVICE:
            found = advise(float(self._wanted or 0), [self.here(), *self._fleet], prices, self._batch)
            return {**found.to_json(), "said": advice_lines(found, prices.currency)}
        return accounting(task, lines, prices)

    def _ratios(self, report: dict[str, Any]) -> list[Row]:
        """For each generator, beside plans run to the horizon, scheduled, and certified where the ladder has that."""
        rows = report.get("ladder") or ladder(self._task, self._lines, self._prices, rungs=(ONCE, SCHEDULED))
        taken = {row["name"]: row for row in rows}
        cores, found = report["machine"]["usable_cpus"], []
        for generator in self._generators:
            for name, rung in VERIFIERS.items():
                if (row := taken.get(rung.name)) is not None:
                    rate = Rate(name, row["cpu_s"], row["joules"], row["money"], "measured in this run")
                    found.append(ratio(generator, rate, self._prices, (cores, 2 * cores)).to_json())
        return found

    def _check_gpus(self, part: str) -> None:
        """Raises PriceError for a GPU that has no price or no power."""
        kinds = [one.gpu for one in self._generators] if part == "ratio" else []
        kinds += [one.kind for one in self._fleet if one.device == "gpu"]
        for kind in kinds:
            for entry in ("gpu_hour", "gpu_watts"):
                self._prices.gpu(entry, kind)

    def _candidates(self, arguments: argparse.Namespace) -> Sequence[Any]:
        if arguments.plans is None:
            self._by = "the scripted proposer: a third each good, clumsy and wrong, from one start"
            return candidates(self._task, arguments.candidates or CANDIDATES)
        self._by = "the writer of your file"
        try:
            lines = read_plans(arguments.plans)
        except OSError as error:
            raise cannot_read(arguments.plans, error) from None
        if not lines:
            raise UsageError(f"{arguments.plans} holds no plans: write one a line, as worldverify verify reads them.")
        return lines


def _without_id(line: Any) -> Any:
    return {key: value for key, value in line.items() if key != "id"} if isinstance(line, dict) else line
