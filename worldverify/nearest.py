"""Names that are near to a wrong one."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches


def did_you_mean(word: object, known: Sequence[str] | Mapping[str, object]) -> str:
    """The nearest known name if one is near, and the known ones."""
    word = word.lower()[:64] if isinstance(word, str) else ""
    begun = [name for name in known if len(word) >= 3 and (name.startswith(word) or word.startswith(name))]
    near = get_close_matches(word, known, n=1) or begun
    names = list(known)
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return (f"Did you mean {near[0]!r}? " if near else "") + f"Known: {listed}."
