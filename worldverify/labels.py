"""Which objects of a scene a label such as "the red cube" may mean."""

import re
from collections.abc import Iterable

_FILLERS = frozenset(("a", "an", "the", "this", "that", "its"))
# What follows one of these says where the thing is, and names others.
_PLACES = re.compile(
    r"above|across|after|against|along|around|at|behind|below|beside|between|by|from|in|inside|into|near|next|on|onto"
    r"|opposite|outside|over|to|toward|towards|under|underneath|with"
)


def named_by(label: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names that a label may mean: the same word for word, else those that share most of their words with it.

    A name is meant by words if all of its words stand in the label ("the red cube" means `cube`), or all of the
    label's in the name ("block" means `blue_block` and `red_block`). Case, articles and underscores do not count, nor
    what a preposition leads in ("the block on the table" is no table).
    """
    known = tuple(names)
    exact = tuple(name for name in known if name.casefold() == label.strip().casefold())
    if exact:
        return exact
    said = _words(label)
    for end, word in enumerate(said):
        if end > 0 and _PLACES.fullmatch(word):
            said = said[:end]
            break
    wanted = frozenset(said)
    shared = {name: len(wanted & of) for name in known if (of := frozenset(_words(name))) <= wanted or wanted <= of}
    most = max(shared.values(), default=0)
    return tuple(name for name, count in shared.items() if count == most > 0)


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W_]+", text.casefold()) if word not in _FILLERS]
