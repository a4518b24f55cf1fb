"""Spaces of texts: what a model writes, and the card that it is prompted with."""

import string

from gymnasium.spaces import Text

from worldverify.read import MAX_TEXT
from worldverify.task import Task

TEXT = "text"  # of actions and of observations
PRINTABLE = "".join(letter for letter in string.printable if letter not in "\v\f")


def plan_texts() -> Text:
    """What a model may write. A text with other letters is read as well."""
    return Text(MAX_TEXT, charset=PRINTABLE)


def cards(task: Task) -> Text:
    """The cards of a task, one for each start."""
    return Text(MAX_TEXT, charset=PRINTABLE + "".join(sorted(set(task.prompt) - set(PRINTABLE))))
