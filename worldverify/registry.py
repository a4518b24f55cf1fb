"""Tasks by name. The tasks themselves live in the room above; they are reached by name, and built when asked for."""

import difflib
import importlib
from functools import cache
from typing import Any

from worldverify.task import Task

TASKS_MODULE = "worldverify.envs"


def tasks() -> tuple[str, ...]:
    """Names of the tasks that ship with worldverify."""
    return tuple(_entries())


@cache
def load(name: str) -> Task:
    """The task of that name, built once in this process."""
    entries = _entries()
    if name not in entries:
        close = difflib.get_close_matches(str(name), entries, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"No task {name!r}.{hint} Tasks: {', '.join(entries)}.")
    module, function = entries[name].split(":")
    task: Task = getattr(importlib.import_module(module), function)()
    return task


def _entries() -> dict[str, str]:
    """name -> "module:function" that builds the task."""
    entries: Any = importlib.import_module(TASKS_MODULE).TASKS
    return dict(entries)
