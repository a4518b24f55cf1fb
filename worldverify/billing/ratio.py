"""The ratio: how much verifier keeps a generator busy, in cores, power and money."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from worldverify.billing.generators import Generator
from worldverify.billing.prices import Prices


@dataclass(frozen=True)
class Rate:
    """A verifier: what one plan takes of it."""

    name: str  # "all rules", "no rule"
    cpu_s: float  # s of one core
    joules: float
    money: float  # processor and memory, by the price file
    source: str  # "measured in this run", or the file, its date and its machine

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Ratio:
    """One copy of a generator, and the verifier that it needs beside it."""

    generator: Generator
    verifier: Rate
    plans_per_s: float  # that the generator writes
    cores: float  # that keep up with it
    power_ratio: float  # verifier : generator
    cost_ratio: float  # verifier : generator
    megawatts_beside_100: float  # MW of verifier beside 100 MW of generators
    busy: Mapping[int, float]  # cores -> share of the time that so many keep the generator busy

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "generator": self.generator.to_json(),
            "busy": [{"cores": cores, "share": share} for cores, share in self.busy.items()],
        }


def ratio(generator: Generator, verifier: Rate, prices: Prices, cores: Sequence[int]) -> Ratio:
    """What keeps one copy of a generator busy. `cores`: how many there are, today and perhaps."""
    rate = generator.plans_per_s
    needed = rate * verifier.cpu_s
    power = rate * verifier.joules / generator.watts(prices)
    return Ratio(
        generator,
        verifier,
        rate,
        needed,
        power,
        rate * verifier.money * 3600 / generator.money_per_hour(prices),
        100 * power,
        {count: min(1.0, count / needed) for count in cores},
    )
