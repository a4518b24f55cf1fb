"""What the module of a syntax says of it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.planfields import Fields
from worldverify.waypoint import Waypoint

Actions: TypeAlias = NDArray[np.float64] | tuple[Waypoint, ...] | tuple[Mapping[str, object], ...]


class Form(NamedTuple):
    """A way to write plans."""

    key: str | None  # of a model's JSON object that holds the actions, for plans that do not name their format
    example: Callable[[ActionSpec], str]  # how a model writes such a plan
    is_plan: Callable[
        [object], bool
    ]  # whether a value in a text has the shape; also asked of the start of a broken one
    parse: Callable[[object, Fields], Actions]  # the actions that a value means
    write: Callable[[Actions, ActionSpec], str]  # the text of a model that is read back as the same actions
    joined: bool = False  # whether a text may hold several plans that follow one another
    functions: tuple[str, ...] = ()  # that a program may call
    text: Callable[[str, Fields], Actions | None] | None = None  # reads a text that is not JSON; gives None if it is


def is_number(value: object) -> bool:
    """Whether a value read from a text is a number."""
    return isinstance(value, float | int) and not isinstance(value, bool)


def is_row(value: object) -> bool:
    """Whether a value is a list of numbers."""
    return isinstance(value, list | tuple) and bool(value) and is_number(value[0])
