"""The contract that the options of a command declare for the plans of a file."""

import json
from pathlib import Path

from worldverify.action import ActionSpec
from worldverify.declared import contract_of
from worldverify.describe import describe
from worldverify.refusal import Refusal
from worldverify.statistics import APPLIED, read_statistics
from worldverify.task import Task
from worldverify.usage import UsageError, cannot_read


def declared_contract(
    format: str | None, contract: str | None, stats: str | None, task: Task | None
) -> ActionSpec | None:
    """The contract of --format, with the fields in the file of --contract and the statistics of --stats.

    --stats is "applied", a file, or a file and the data set in it: FILE:KEY. None if no format is declared. Raises
    UsageError.
    """
    if format is None:
        for option, value in (("--contract", contract), ("--stats", stats)):
            if value is not None:
                raise UsageError(f"{option} changes a contract: name the one that is meant with --format.")
        return None
    known = {} if task is None else task.contracts
    changes: dict[str, object] = {} if contract is None else _read_object(contract)
    try:
        if stats is not None:
            changes["statistics"] = _statistics(stats)
        spec, _ = contract_of(format, changes, known, "this command without a task" if task is None else task.name)
    except (Refusal, ValueError) as error:
        raise UsageError(str(error)) from None
    return spec


def _read_object(path: str) -> dict[str, object]:
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds {describe(value)}; a contract is an object of its fields.")
    return value


def _statistics(stats: str) -> object:
    """What --stats gives, as a plan's contract takes it."""
    if stats == APPLIED:
        return APPLIED
    path, _, key = (stats, "", "") if Path(stats).is_file() else stats.rpartition(":")
    if not Path(path or stats).is_file():
        raise UsageError(
            f"--stats {stats}: no such file. Give {APPLIED!r}, FILE, or FILE:KEY for one of its data sets."
        )
    try:
        value = read_statistics(path)
    except OSError as error:
        raise cannot_read(path, error) from None
    if not key:
        return value
    if not isinstance(value, dict) or key not in value:
        has = ", ".join(map(str, list(value)[:8])) if isinstance(value, dict) else "none"
        raise UsageError(f"--stats {stats}: the file has no data set {key!r}; it has {has}.")
    return value[key]
