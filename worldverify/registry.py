"""Tasks by name. The tasks themselves live in the room above; they are reached by name, and built when asked for."""

import difflib
import importlib
import importlib.util
import sys
import traceback
from functools import cache
from pathlib import Path
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


def load_named(words: str) -> Task:
    """The task that a person names on a command line: a name, or FILE.py:FUNCTION for a task of their own.

    A file is run as Python. Give this only words that the user of this machine typed, never a name that stands in a
    plan, in a verdict or in a request: those are for `load`. Raises ValueError with a sentence.
    """
    path, colon, function = words.rpartition(":")
    if not colon or not path.endswith(".py"):
        if words.endswith(".py"):
            raise ValueError(f"Which function of {words} makes the task? Write {words}:task if it is called task.")
        if words.endswith((".xml", ".urdf")):
            raise ValueError(f"{words} is a scene, not a task: worldverify new-task {words} writes a task for it.")
        return load(words)
    module = _run(Path(path))
    make = getattr(module, function, None)
    if not callable(make):
        there = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        close = difflib.get_close_matches(function, there, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{path} has no function {function!r}.{hint}")
    try:
        task = make()
    except Exception as error:  # whatever the user's code may raise
        raise ValueError(_said(path, error)) from error
    if not isinstance(task, Task):
        raise ValueError(f"{words} returns {type(task).__name__}, not a worldverify.Task.")
    return task


def _run(path: Path) -> Any:
    """The module of a file, under a name that no other import can find."""
    if not path.is_file():
        raise ValueError(f"No file {str(path)!r}.")
    spec = importlib.util.spec_from_file_location(f"worldverify task {path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code may raise
        raise ValueError(_said(str(path), error)) from error
    return module


def _said(path: str, error: Exception) -> str:
    """What an error in a user's file says, and at which of its lines."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == Path(path).resolve()
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    where = f"{path}, line {line}" if line else path
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    kind = "" if isinstance(error, ValueError | OSError) and said else f"{type(error).__name__}: "
    return f"{where}: {kind}{' '.join(said.split())}"


def _entries() -> dict[str, str]:
    """name -> "module:function" that builds the task."""
    entries: Any = importlib.import_module(TASKS_MODULE).TASKS
    return dict(entries)
