"""The statistics that undo a normalisation: always the user's, in the files that training code writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from worldverify.action import LARGEST, PLAIN, ActionSpec
from worldverify.describe import describe
from worldverify.nearest import did_you_mean

APPLIED = "applied"  # in place of statistics: the numbers are un-normalised already
NAMES = {"zscore": ("mean", "std"), "q01_q99": ("q01", "q99"), "min_max": ("min", "max")}
INNER = ("norm_stats", "action", "actions")  # levels of such files that hold the statistics of actions
LARGEST_FILE = 64 * 2**20  # bytes


def with_statistics(spec: ActionSpec, statistics: object, key: str | None = None) -> ActionSpec:
    """The contract with its statistics: "applied", or an object as training code writes it.

    OpenVLA's dataset_statistics.json ({data set: {"action": {"q01": [...], "q99": [...], "mask": [...]}}}), openpi's
    norm_stats.json ({"norm_stats": {"actions": {...}}}), LeRobot's stats.json ({"action": {"mean": ...}}) or the two
    lists themselves. `key` names the data set where there are several. Raises ValueError.
    """
    if not isinstance(spec, ActionSpec):
        raise ValueError(f"with_statistics takes a contract, such as preset({spec!r}); got {describe(spec)}.")
    parts = dict(spec.arms) or {"": spec}
    kinds = dict.fromkeys(part.normalisation.kind for part in parts.values())
    kind = next(iter(kinds))
    if statistics == APPLIED:
        done = {arm: replace(part, normalisation=PLAIN) for arm, part in parts.items()}
        return replace(spec, arms=tuple(done.items())) if spec.arms else done[""]
    if len(kinds) > 1:
        raise ValueError(f"The arms of {spec.name} are normalised by {' and by '.join(kinds)}: give each arm its own.")
    if kind == "none":
        raise ValueError(f"{spec.name} is not normalised, so statistics mean nothing for it.")
    if not isinstance(statistics, Mapping):
        raise ValueError(
            f"The statistics are {describe(statistics)}; give {APPLIED!r} or an object with {_wanted(kind)}."
        )
    first, second = NAMES[kind]
    found = _inner(statistics, first, second, key)
    if first not in found or second not in found:
        has = ", ".join(map(str, list(found)[:8])) or "none"
        raise ValueError(f"{spec.name} needs {_wanted(kind)} of its actions; the statistics have {has}.")
    lists = [_numbers(found[name], name, spec) for name in (first, second)]
    mask = None if found.get("mask") is None else _mask(found["mask"], spec)
    given, at = [], 0
    for arm, part in parts.items():
        own = slice(at, at + part.width)  # the arms' numbers stand one arm after the other, as in an action
        at += part.width
        scale = part.normalisation._replace(first=lists[0][own], second=lists[1][own])
        scale = scale if mask is None else scale._replace(mask=mask[own])
        given.append((arm, replace(part, normalisation=scale)))
    return replace(spec, arms=tuple(given)) if spec.arms else given[0][1]


def read_statistics(path: str | Path) -> object:
    """The value of a JSON file. Raises OSError, or ValueError for a file that is no JSON object."""
    path = Path(path)
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes; a file of statistics has a few thousand.")
    try:
        value: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds {describe(value)}; a file of statistics holds an object.")
    return value


def _wanted(kind: str) -> str:
    return " and ".join(map(repr, NAMES[kind]))


def _inner(value: Mapping[object, object], first: str, second: str, key: str | None) -> Mapping[object, object]:
    """The level of the file that holds the two lists."""
    if key is not None:
        if key not in value:
            raise ValueError(
                f"No data set {key!r} in the statistics. {did_you_mean(key, [str(name) for name in value])}"
            )
        chosen = value[key]
        if not isinstance(chosen, Mapping):
            raise ValueError(f"The statistics of {key!r} are {describe(chosen)}; they must be an object.")
        value = chosen
    for _ in range(4):
        if first in value or second in value:
            return value
        sets = [item for item in value.values() if isinstance(item, Mapping)]
        inner = [item for name in INNER if isinstance(item := value.get(name), Mapping)]
        if not inner and len(sets) == len(value) == 1:
            inner = sets
        if not inner:
            if len(sets) > 1:
                names = ", ".join(map(repr, list(value)[:8]))
                raise ValueError(f"The statistics hold several data sets ({names}); name the one that is meant.")
            return value
        value = inner[0]
    return value


def _numbers(value: object, name: str, spec: ActionSpec) -> tuple[float, ...]:
    value = value.tolist() if hasattr(value, "tolist") else value  # an array of the caller's
    plain = isinstance(value, Sequence) and all(
        isinstance(x, int | float) and not isinstance(x, bool) and -LARGEST <= x <= LARGEST for x in value
    )
    if not plain or not isinstance(value, Sequence) or len(value) != spec.width:
        raise ValueError(
            f"The statistics have {name!r} as {describe(value)}; {spec.name} needs {spec.width} finite numbers: "
            f"{', '.join(spec.columns)}."
        )
    return tuple(map(float, value))


def _mask(value: object, spec: ActionSpec) -> tuple[bool, ...]:
    if not isinstance(value, list) or len(value) != spec.width or not all(isinstance(x, bool) for x in value):
        raise ValueError(f"The statistics have 'mask' as {describe(value)}; {spec.name} needs {spec.width} booleans.")
    return tuple(value)
