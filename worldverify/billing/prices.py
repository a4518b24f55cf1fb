"""What an hour of a machine costs, from a file that anybody can edit; every price with its source and its date."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from worldverify.billing.editable import given, shipped
from worldverify.nearest import did_you_mean
from worldverify.usage import UsageError

VARIABLE = "WORLDVERIFY_PRICES"
SHIPPED = "prices.toml"

# entry -> its unit, of the currency of the file where it begins with "per"
UNITS = {
    "vcpu_hour": "per vCPU-hour",
    "gb_hour": "per GB-hour of memory",
    "storage_gb_month": "per GB-month of storage",
    "kwh": "per kWh",
    "cpu_watts": "W per busy vCPU",
}
BY_GPU = {"gpu_hour": "per GPU-hour", "gpu_watts": "W per GPU"}
SETTINGS = ("currency", "power_included")

HOUR, MONTH = 3600.0, 30 * 24 * 3600.0  # s
GB = 1e9  # bytes
KWH = 3.6e6  # J


class PriceError(UsageError, ValueError):
    """What is wrong with a price file, in one sentence."""


@dataclass(frozen=True)
class Price:
    """One entry of a price file."""

    value: float
    unit: str
    source: str
    date: str  # YYYY-MM or YYYY-MM-DD
    estimated: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "unit": self.unit,
            "source": self.source,
            "date": self.date,
            "estimated": self.estimated,
        }


@dataclass(frozen=True)
class Prices:
    """A price file, whole: what it does not say is what the shipped one says."""

    currency: str
    power_included: bool  # in the hours, as where machines are rented: kWh are then not billed again
    vcpu_hour: Price
    gb_hour: Price
    storage_gb_month: Price
    kwh: Price
    cpu_watts: Price
    gpu_hour: Mapping[str, Price]
    gpu_watts: Mapping[str, Price]
    file: str  # where it comes from

    def to_json(self) -> dict[str, Any]:
        named = {name: getattr(self, name).to_json() for name in UNITS}
        by_gpu = {name: {gpu: one.to_json() for gpu, one in getattr(self, name).items()} for name in BY_GPU}
        return {"currency": self.currency, "power_included": self.power_included, "file": self.file, **named, **by_gpu}

    def gpu(self, entry: str, kind: str) -> Price:
        """The entry "gpu_hour" or "gpu_watts" of a kind of GPU. Raises PriceError with the known ones."""
        known: Mapping[str, Price] = getattr(self, entry)
        if kind not in known:
            raise PriceError(f"{self.file} has no {entry} for a GPU {kind!r}. {did_you_mean(kind, known)}")
        return known[kind]


def money_of(
    prices: Prices,
    *,
    cpu_s: float = 0.0,
    gpu_s: float = 0.0,
    gb_s: float = 0.0,
    stored_byte_s: float = 0.0,
    joules: float = 0.0,
    gpu: str | None = None,
) -> float:
    """What so much of a machine costs, in the currency of the prices.

    cpu_s of one vCPU each, gpu_s of a GPU of the kind `gpu`, gb_s of memory, stored_byte_s of storage, all in seconds;
    joules count only where power is not part of the hours. Raises PriceError for a GPU without a price.
    """
    money = cpu_s * prices.vcpu_hour.value / HOUR + gb_s * prices.gb_hour.value / HOUR
    money += stored_byte_s / GB * prices.storage_gb_month.value / MONTH
    if gpu_s and gpu is not None:
        money += gpu_s * prices.gpu("gpu_hour", gpu).value / HOUR
    return money if prices.power_included else money + joules / KWH * prices.kwh.value


def load_prices(path: str | Path | None = None) -> Prices:
    """A price file; None: the one that the environment names, else the shipped one. Raises PriceError."""
    if path is None:
        path = os.environ.get(VARIABLE) or None
    if path is None:
        return _prices(_shipped(), "the shipped prices.toml")
    return _prices(_over(_shipped(), given(path, "price file", PriceError), str(path)), str(path))


def gpu_kind(name: str | None, prices: Prices) -> str | None:
    """The kind of a GPU in a price file, from what its driver calls it; None if the file has none such."""
    words = f" {' '.join(re.findall('[a-z0-9]+', (name or '').lower()))} "
    fits = [kind for kind in prices.gpu_hour if f" {' '.join(re.findall('[a-z0-9]+', kind.lower()))} " in words]
    return max(fits, key=len, default=None)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    return shipped(SHIPPED)


def _over(known: Mapping[str, Any], mine: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The shipped entries with those of a file in their place. An entry that is given is given whole."""
    merged = dict(known)
    for name, value in mine.items():
        if name in BY_GPU:
            if not isinstance(value, dict):
                raise PriceError(f"{place}: {name} is a table by kind of GPU, such as [{name}.H100]; got {value!r}.")
            merged[name] = {**known[name], **value}
        elif name in UNITS or name in SETTINGS:
            merged[name] = value
        else:
            raise PriceError(
                f"{place} has an unknown entry {name!r}. {did_you_mean(name, (*UNITS, *BY_GPU, *SETTINGS))}"
            )
    return merged


def _prices(entries: Mapping[str, Any], place: str) -> Prices:
    currency, included = entries["currency"], entries["power_included"]
    if not isinstance(currency, str) or not currency.strip():
        raise PriceError(f'{place}: currency is a name such as "USD"; got {currency!r}.')
    if not isinstance(included, bool):
        raise PriceError(f"{place}: power_included is true or false; got {included!r}.")
    named: dict[str, Any] = {name: _price(entries[name], name, unit, place) for name, unit in UNITS.items()}
    by_gpu: dict[str, Any] = {
        name: {kind: _price(one, f"{name}.{kind}", unit, place) for kind, one in entries[name].items()}
        for name, unit in BY_GPU.items()
    }
    return Prices(currency, included, **named, **by_gpu, file=place)


def _price(entry: Any, name: str, unit: str, place: str) -> Price:
    example = f'[{name}] value = 0.03, source = "...", date = "2026-11", estimated = false'
    if not isinstance(entry, dict):
        raise PriceError(f"{place}: {name} is a table with value, source and date; got {entry!r}. Write {example}.")
    known = ("value", "source", "date", "estimated")
    for key in entry:
        if key not in known:
            raise PriceError(f"{place}: {name} has an unknown key {key!r}. {did_you_mean(key, known)}")
    for key in known[:3]:
        if key not in entry:
            raise PriceError(f"{place}: {name} has no {key}. Write {example}.")
    value = entry["value"]
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0:
        raise PriceError(f"{place}: the value of {name} is a number from 0 on, {unit}; got {value!r}.")
    source, date, estimated = entry["source"], str(entry["date"]), entry.get("estimated", False)
    if not isinstance(source, str) or not source.strip():
        raise PriceError(f"{place}: the source of {name} says in words where the value is from; got {source!r}.")
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?", date):
        raise PriceError(f"{place}: the date of {name} is YYYY-MM or YYYY-MM-DD; got {date!r}.")
    if not isinstance(estimated, bool):
        raise PriceError(f"{place}: estimated of {name} is true or false; got {estimated!r}.")
    return Price(float(value), unit, source, date, estimated)
