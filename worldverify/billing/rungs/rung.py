"""What a rung of the ladder is."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from worldverify.task import Task

Texts = Sequence[Any]  # lines of a plans file
Accepted = Sequence[bool]


@dataclass(frozen=True)
class Rung:
    """A way of checking candidates, and how many of them it can be put to in a run of minutes."""

    name: str
    what: str  # what it looks at, in a few words
    check: Callable[[Task, Texts], Accepted]  # whether it accepts each candidate
    sample: int | None = None  # candidates that it is put to; None for all
    children: bool = False  # works in processes of its own
    reference: bool = False  # what it accepts is taken to be right


def text_of(line: Any) -> str:
    """What the model wrote; numbers that never were a text are written as JSON."""
    if not isinstance(line, dict):
        return str(line)
    return str(line["text"]) if "text" in line else json.dumps(line, default=str)
