"""The plans that a command is given: files, or the standard input."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldverify.plansfile import read_plans
from worldverify.usage import UsageError, cannot_read


def plans_of(paths: Sequence[str], *, declared: bool) -> list[Any]:
    """The candidates in files ("-": lines on the standard input); `declared`: their format is. Raises UsageError."""
    return [plan for path in paths for plan in _read(path, declared)]


def _read(path: str, declared: bool) -> list[Any]:
    try:
        if path == "-":
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder, "stdin.jsonl")
                copy.write_bytes(sys.stdin.buffer.read())
                found = read_plans(copy)
        else:
            found = read_plans(path, declared=declared)
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder: name the files in it, for example {path.rstrip('/')}/*.txt.") from None
    except OSError as error:
        raise cannot_read(path, error) from None
    if not found:
        name = "The standard input" if path == "-" else path
        raise UsageError(f'{name} holds no plans: write one JSON object a line, such as {{"id": ..., "text": ...}}.')
    return found
