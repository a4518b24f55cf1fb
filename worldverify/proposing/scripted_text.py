"""How models wrap a plan in words, and how their texts break."""

import json
from collections.abc import Callable

import numpy as np

Generator = np.random.Generator
Change = Callable[[str, Generator], str]


def _plain(text: str, generator: Generator) -> str:
    return text


def _fenced(text: str, generator: Generator) -> str:
    return f"```json\n{text}\n```"


def _with_prose(text: str, generator: Generator) -> str:
    before = ("Here is the plan.", "I will move slowly and stop at the end.", "Sure! This should work:")
    return f"{generator.choice(before)}\n\n{text}\n\nThe gripper is where it should be afterwards."


def _thought(text: str, generator: Generator) -> str:
    return f"<think>First above it, then down. Gripper: 1 is open? Let me check the format again.</think>\n{text}"


def _python(text: str, generator: Generator) -> str:
    try:
        return repr(json.loads(text))
    except ValueError:  # calls are no JSON
        return text


def _truncated(text: str, generator: Generator) -> str:
    return text[: 1 + int(generator.uniform(0.3, 0.9) * (len(text) - 2))]


def _prose(text: str, generator: Generator) -> str:
    said = (
        "First, move the gripper above the object. Then lower it, close the fingers and lift.",
        "I'm sorry, but as a language model I cannot control a robot arm.",
        "The task is already complete; no further action is needed.",
    )
    return str(generator.choice(said))


def _looped(text: str, generator: Generator) -> str:
    """The model runs away: the same words to the limit of its tokens."""
    piece = text[: max(8, len(text) // 4)]
    return piece * (2 + 40_000 // len(piece))


def _nan(text: str, generator: Generator) -> str:
    digits = [i for i, mark in enumerate(text) if mark.isdigit() and not text[i - 1].isalnum() and text[i - 1] != "."]
    if not digits:
        return text.replace("{", '{"speed": NaN, ', 1)
    first = last = int(generator.choice(digits))
    while last < len(text) and (text[last].isdigit() or text[last] in ".e-"):
        last += 1
    return f"{text[:first]}NaN{text[last:]}"


def _unclosed(text: str, generator: Generator) -> str:
    """A bracket left out."""
    places = [i for i, mark in enumerate(text) if mark in "[]{}()"]
    at = int(generator.choice(places)) if places else len(text) // 2
    return text[:at] + text[at + 1 :]


def _elided(text: str, generator: Generator) -> str:
    middle = len(text) // 2
    return f"{text[:middle]} ... {text[middle + len(text) // 4 :]}"


def _unthought(text: str, generator: Generator) -> str:
    return f"<think>{text} But wait, should the gripper be open before that?"


def _empty(text: str, generator: Generator) -> str:
    return ""


WRAPPERS: dict[str, Change] = {
    "plain": _plain,
    "fenced": _fenced,
    "prose around": _with_prose,
    "thought first": _thought,
    "Python's spelling": _python,
}
DAMAGES: dict[str, Change] = {
    "cut off": _truncated,
    "only prose": _prose,
    "the same on and on": _looped,
    "NaN": _nan,
    "a bracket is missing": _unclosed,
    "left out with dots": _elided,
    "never stops thinking": _unthought,
    "empty": _empty,
}


def wrapped(text: str, generator: Generator) -> str:
    """A plan in the words that models put around it, which reading tolerates."""
    return WRAPPERS[str(generator.choice(list(WRAPPERS)))](text, generator)


def damaged(text: str, generator: Generator) -> tuple[str, str]:
    """The text broken in some way, and which."""
    name = str(generator.choice(list(DAMAGES)))
    return DAMAGES[name](text, generator), name
