"""What writes the plans: how fast, on which GPUs; presets from a file that anybody can edit, or a measurement."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worldverify.billing.editable import given, shipped
from worldverify.billing.prices import Prices
from worldverify.nearest import did_you_mean
from worldverify.usage import UsageError

SHIPPED = "generators.toml"
TEXTS, NUMBERS = ("what", "gpu", "source", "date"), ("gpus", "tokens_per_s", "tokens_per_plan")


class GeneratorError(UsageError, ValueError):
    """What is wrong with a file of generators, or with the name of one, in a sentence."""


@dataclass(frozen=True)
class Generator:
    """A model and the GPUs that one copy of it runs on."""

    name: str
    what: str
    gpu: str  # kind, as in the price file
    gpus: int  # of one copy
    tokens_per_s: float  # of one copy, all requests together
    tokens_per_plan: float
    source: str
    date: str
    estimated: bool

    @property
    def plans_per_s(self) -> float:
        """Of one copy."""
        return self.tokens_per_s / self.tokens_per_plan

    def watts(self, prices: Prices) -> float:
        """W of one copy, nameplate."""
        return self.gpus * prices.gpu("gpu_watts", self.gpu).value

    def money_per_hour(self, prices: Prices) -> float:
        """Of one copy."""
        return self.gpus * prices.gpu("gpu_hour", self.gpu).value

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "plans_per_s": self.plans_per_s}


def load_generators(path: str | Path | None = None) -> dict[str, Generator]:
    """The shipped generators, and those of a file. Raises GeneratorError."""
    known = {name: _generator(name, entry, "the shipped generators.toml") for name, entry in shipped(SHIPPED).items()}
    if path is None:
        return known
    mine = given(path, "file of generators", GeneratorError)
    return known | {name: _generator(name, entry, str(path)) for name, entry in mine.items()}


def generator_of(name: str, known: Mapping[str, Generator]) -> Generator:
    """A generator by its name. Raises GeneratorError with the names that exist."""
    if name not in known:
        raise GeneratorError(f"No generator {name!r}. {did_you_mean(name, known)}")
    return known[name]


def _generator(name: str, entry: Any, place: str) -> Generator:
    if not isinstance(entry, dict):
        raise GeneratorError(f"{place}: {name} is a table, [{name}]; got {entry!r}.")
    known = (*TEXTS, *NUMBERS, "estimated")
    for key in entry:
        if key not in known:
            raise GeneratorError(f"{place}: {name} has an unknown key {key!r}. {did_you_mean(key, known)}")
    for key in (*TEXTS, *NUMBERS):
        if key not in entry:
            raise GeneratorError(f"{place}: {name} has no {key}. It takes {', '.join(known)}.")
    for key in TEXTS:
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise GeneratorError(f"{place}: {key} of {name} is a text; got {entry[key]!r}.")
    for key in NUMBERS:
        value = entry[key]
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
        if not number or (key == "gpus" and value != int(value)):
            kind = "a whole number from 1 on" if key == "gpus" else "a number above 0"
            raise GeneratorError(f"{place}: {key} of {name} is {kind}; got {value!r}.")
    if not re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", entry["date"]):
        raise GeneratorError(f"{place}: the date of {name} is YYYY-MM or YYYY-MM-DD; got {entry['date']!r}.")
    estimated = entry.get("estimated", False)
    if not isinstance(estimated, bool):
        raise GeneratorError(f"{place}: estimated of {name} is true or false; got {estimated!r}.")
    numbers: dict[str, Any] = {"gpus": int(entry["gpus"])} | {key: float(entry[key]) for key in NUMBERS[1:]}
    return Generator(name, **{key: entry[key] for key in TEXTS}, **numbers, estimated=estimated)
