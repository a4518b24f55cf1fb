"""Where a stream of plans should be verified: how many of which machine, at what batch, price and power."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worldverify.billing.fleet import Machine
from worldverify.billing.prices import Prices

PARTS = 2000  # into which the wanted rate is cut for the search of a mix; rates are rounded down to them


@dataclass(frozen=True)
class Choice:
    """So many machines of one kind for the whole stream."""

    machine: Machine
    batch: int
    count: int
    money_per_hour: float
    watts: float
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine.to_json(),
            "batch": self.batch,
            "count": self.count,
            "money_per_hour": self.money_per_hour,
            "watts": self.watts,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Advice:
    """The answer for a stream of plans."""

    plans_per_s: float
    choices: tuple[Choice, ...]  # each alone, the cheapest first
    mix: Mapping[str, int]  # name of a machine -> how many, cheapest together
    mix_money_per_hour: float
    not_measured: tuple[str, ...] = field(default=())  # kinds of GPU that have a price, and no measurement

    def to_json(self) -> dict[str, Any]:
        return {
            "plans_per_s": self.plans_per_s,
            "choices": [one.to_json() for one in self.choices],
            "mix": dict(self.mix),
            "mix_money_per_hour": self.mix_money_per_hour,
            "not_measured": list(self.not_measured),
        }


def advise(plans_per_s: float, machines: Sequence[Machine], prices: Prices, batch: int | None = None) -> Advice:
    """What verifies so many plans a second. `batch`: plans in a call, where it is not free to choose."""
    if not machines:
        raise ValueError("There is no measured machine to choose from.")
    choices = sorted((_alone(plans_per_s, one, prices, batch) for one in machines), key=lambda one: one.money_per_hour)
    mix, money = cheapest_mix(plans_per_s, [(one.machine, one.machine.rate(one.batch)[0]) for one in choices], prices)
    known = {one.kind for one in machines if one.device == "gpu"}
    return Advice(plans_per_s, tuple(choices), mix, money, tuple(kind for kind in prices.gpu_hour if kind not in known))


def _alone(wanted: float, machine: Machine, prices: Prices, batch: int | None) -> Choice:
    size = batch or machine.best_batch
    rate, outside = machine.rate(size)
    count = math.ceil(wanted / rate - 1e-9)
    warnings = []
    if outside:
        known = sorted(machine.plans_per_s)
        warnings.append(f"extrapolates: {size} plans in a call lie beyond the measured {known[0]} to {known[-1]}")
    if count > 1:
        warnings.append("extrapolates: several machines are taken to be as fast as so many times one")
    return Choice(
        machine, size, count, count * machine.money_per_hour(prices), count * machine.watts(prices), tuple(warnings)
    )


def cheapest_mix(wanted: float, rates: Sequence[tuple[Machine, float]], prices: Prices) -> tuple[dict[str, int], float]:
    """How many of each machine are cheapest together, and their price an hour.

    Exact for rates that are rounded down to wanted/PARTS: the least money for every part of the stream, built up.
    """
    gains = [max(0, math.floor(rate / wanted * PARTS + 1e-9)) for _, rate in rates]
    costs = [machine.money_per_hour(prices) for machine, _ in rates]
    if not any(gains):
        # So many machines are needed that a part of the stream is more than one can do: of the cheapest a plan.
        best = min(range(len(rates)), key=lambda i: costs[i] / rates[i][1])
        count = math.ceil(wanted / rates[best][1])
        return {rates[best][0].name: count}, count * costs[best]
    least = [0.0] + [math.inf] * PARTS
    taken = [-1] * (PARTS + 1)
    for part in range(1, PARTS + 1):
        for i, (gain, cost) in enumerate(zip(gains, costs, strict=True)):
            if gain and least[max(0, part - gain)] + cost < least[part]:
                least[part], taken[part] = least[max(0, part - gain)] + cost, i
    mix: dict[str, int] = {}
    part = PARTS
    while part > 0:
        name = rates[taken[part]][0].name
        mix[name] = mix.get(name, 0) + 1
        part -= gains[taken[part]]
    return mix, least[PARTS]


def break_even_plans(cpu: Machine, gpu: Machine, most: int = 1 << 20) -> int | None:
    """The fewest plans in a call, of powers of two, for which the GPU takes less time; None if there are none."""
    size = 1
    while size <= most:
        if gpu.rate(size)[0] > cpu.rate(size)[0]:
            return size
        size *= 2
    return None


def advice_lines(advice: Advice, currency: str) -> list[str]:
    """The answer in words."""
    lines = [f"{advice.plans_per_s:,.4g} plans a second", ""]
    lines.append(f"{'':<30}{'how many':>10}{'cores':>8}{'plans a call':>14}{currency + ' an hour':>14}{'W':>10}")
    for one in advice.choices:
        cores = one.count * one.machine.cores if one.machine.device == "cpu" else 0
        lines.append(
            f"{one.machine.name[:29]:<30}{one.count:>10,}{cores or '-':>8}{one.batch:>14,}"
            f"{one.money_per_hour:>14,.3g}{one.watts:>10,.0f}"
        )
        lines += [
            f"  {one.machine.source}, {one.machine.date}, {one.machine.task}; {'; '.join(one.warnings)}".rstrip("; ")
        ]
    if len(advice.choices) > 1:
        mixed = ", ".join(f"{count} x {name}" for name, count in advice.mix.items())
        lines.append(f"Cheapest together: {mixed}, {advice.mix_money_per_hour:,.3g} {currency} an hour.")
    gpus = [one.machine for one in advice.choices if one.machine.device == "gpu"]
    for cpu in (one.machine for one in advice.choices if one.machine.device == "cpu"):
        for gpu in gpus:
            even = break_even_plans(cpu, gpu)
            said = "at no number of plans in a call" if even is None else f"from {even:,} plans in a call on"
            lines.append(f"{gpu.name} is faster than {cpu.name} ({cpu.cores} cores) {said}.")
    if advice.not_measured:
        lines.append(
            f"Not measured, and so not advised: {', '.join(advice.not_measured)}. Record such a machine with "
            "--record FILE there, and name the file here with --fleet."
        )
    return lines
