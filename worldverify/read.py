"""From the raw text of a model to the one JSON value that could be a plan. Nothing is ever evaluated."""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from worldverify.describe import describe, place, shorten
from worldverify.literal import MAX_DEPTH, BrokenValue, ValueParser
from worldverify.refusal import Refusal

MAX_TEXT = 256 * 1024  # characters


class Reading(NamedTuple):
    """What a text says."""

    value: object  # dict, list, str, float, bool or None, as JSON has them; every number is a float
    warnings: tuple[str, ...]  # one sentence for everything that was tolerated


def read(text: str | bytes, is_plan: Callable[[object], bool], *, wanted: str = "") -> Reading:
    """The one value in `text` for which `is_plan` holds, with whatever had to be tolerated to find it.

    Only objects and lists that stand on their own are looked at, never parts of another value. `is_plan`
    looks at the shape only: it is also asked about the beginning of a broken value, so that a broken plan
    is refused and not skipped as prose. `wanted` says what is read, for the sentence where nothing was found.
    Takes time linear in the length of the text. Raises Refusal.
    """
    text = as_text(text)
    strict = _strict_json(text)
    if isinstance(strict, dict) and is_plan(strict):
        return Reading(strict, ())
    shown, thought, plans = _plans(text, is_plan, wanted)
    first = plans[0]
    if len(plans) > 1 and len({_canonical(item.value) for item in plans}) > 1:
        raise Refusal(
            "ambiguous",
            f"The text holds {len(plans)} plans that differ, the first at {place(shown, first.start)} and "
            f"the last at {place(shown, plans[-1].start)}. Write one plan only.",
        )
    warnings = [thought] if thought else []
    warnings += first.notes
    if len(plans) > 1:
        warnings.append(f"The same plan stands {len(plans)} times in the text; it was read once.")
    warnings += _warnings_on_surroundings(shown, plans)
    return Reading(first.value, tuple(warnings))


def read_all(text: str | bytes, is_plan: Callable[[object], bool], *, wanted: str = "") -> Reading:
    """Every value in `text` for which `is_plan` holds, as a list in their order: plans that follow one another.

    As strict as `read` with what is broken: a part that cannot be read makes the whole unreadable. Raises Refusal.
    """
    shown, thought, plans = _plans(as_text(text), is_plan, wanted)
    notes = dict.fromkeys(note for item in plans for note in item.notes)
    warnings = [*([thought] if thought else []), *notes, *_warnings_on_surroundings(shown, plans)]
    return Reading([item.value for item in plans], tuple(warnings))


def _plans(text: str, is_plan: Callable[[object], bool], wanted: str) -> tuple[str, str, list["_Item"]]:
    """The text without thoughts, a warning on them, and the plans in it, at least one."""
    shown, thought = without_thoughts(text)
    found = list(_scan(shown))
    broken = [item for item in found if item.error is not None and is_plan(item.value)]
    plans = [item for item in found if item.error is None and is_plan(item.value)]
    cut = [item for item in found if item.error is not None and item.error.code == "truncated"]
    if broken or cut:
        raise _as_refusal(shown, (broken or cut)[0], beside="Keep only the plan that is whole." if plans else "")
    if not plans:
        raise _no_plan(shown, found, wanted)
    if all(isinstance(item.value, list) for item in plans) and (call := _CALL.search(_outside(shown, plans))):
        said = f"The lists in the text are data of a program with calls such as {call.group(1)}(...); it is not run."
        raise Refusal("no_plan", " ".join(filter(None, (said, wanted))))
    return shown, thought, plans


def as_text(text: str | bytes) -> str:
    """The text of a model, if it can be read at all. Raises Refusal."""
    if len(text) > MAX_TEXT:
        raise Refusal(
            "too_long",
            f"The text has {len(text):,} characters; the longest that is read has {MAX_TEXT:,}. "
            "Did the model run away? Lower its token limit, or write fewer actions.",
        )
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        text.encode("utf-8")  # a str may hold half a surrogate pair
    except UnicodeError as error:
        raise Refusal("malformed", f"The text is not UTF-8 ({shorten(str(error), 100)}). Save it as UTF-8.") from None
    if not text.strip():
        raise Refusal("empty", "The text is empty: the model wrote nothing.")
    return text


def _strict_json(text: str) -> object:
    """What the whole text is as JSON, for speed: what the steps after it would read too, or None."""
    if not text.lstrip(" \t\r\n").startswith("{"):
        return None
    found = json_at(text, text.index("{"))
    return found[0] if found is not None and not text[found[1] :].strip(" \t\r\n") else None


def json_at(text: str, start: int) -> tuple[object, int] | None:
    """The strict JSON value that begins at `start`, and the place after it, where `ValueParser` reads the same."""
    try:
        value, end = _JSON.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    # \u may spell half a surrogate pair
    return (value, end) if "\\u" not in text[start:end] and _is_shallow(value) else None


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


_JSON = json.JSONDecoder(parse_int=float, object_pairs_hook=_unique_keys)


def _is_shallow(value: object, depth: int = 0) -> bool:
    if type(value) is not dict and type(value) is not list:
        return True
    if depth >= MAX_DEPTH:
        return False
    for item in value.values() if type(value) is dict else value:
        if type(item) is not float and not _is_shallow(item, depth + 1):
            return False
    return True


_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


def without_thoughts(text: str) -> tuple[str, str]:
    """The text with what stands in <think> blanked out, so that places stay the same, and a warning."""
    pieces: list[str] = []
    at, opened = 0, False
    for tag in _THINK.finditer(text):
        closes = tag.group(1) == "/"
        if closes and not opened and pieces:
            raise Refusal("malformed", "The text has a </think> too many. Close each <think> once.")
        hidden = closes or opened  # some templates write <think> themselves: then the text only has its end
        pieces.append(_blank(text[at : tag.end()]) if hidden else text[at : tag.start()] + _blank(tag.group()))
        at, opened = tag.end(), not closes
    if opened:
        raise Refusal("truncated", "The text ends inside <think>: raise the token limit so that the plan is written.")
    if not pieces:
        return text, ""
    return "".join(pieces) + text[at:], "The thoughts inside <think> were ignored."


def _blank(text: str) -> str:
    return re.sub(r"[^\n]+", lambda line: " " * len(line.group()), text)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _outside(text: str, plans: list["_Item"]) -> str:
    """The text without the plans in it."""
    ends = [0, *(item.end for item in plans)]
    starts = [*(item.start for item in plans), len(text)]
    return "\n".join(text[end:start] for end, start in zip(ends, starts, strict=True))


_FENCE = re.compile(r"(?:```|~~~)[\w-]*")


def _warnings_on_surroundings(text: str, plans: list["_Item"]) -> Iterator[str]:
    outside = _outside(text, plans)
    without_fences = _FENCE.sub("", outside)
    if without_fences != outside:
        yield "Code fences around the plan were ignored."
    if without_fences.strip():
        yield "Prose around the plan was ignored."


def _as_refusal(text: str, item: "_Item", *, beside: str = "") -> Refusal:
    error = item.error
    assert error is not None
    what = "object" if text[item.start] == "{" else "list"
    if error.code == "truncated":
        begins = f"the {what} that begins at {place(text, item.start)}"
        advice = beside or "Raise the token limit, or write fewer actions."
        return Refusal("truncated", f"The text ends in the middle of {begins}. {advice}")
    return Refusal("malformed", f"The {what} breaks at {place(text, error.at)}: {error.why}. {beside}".strip())


_CALL = re.compile(r"""(?<![\w\\])([A-Za-z_]\w{0,40}+)\((?:[)"'\[<{0-9-]|\w{1,40}+\s?[,=])""")


def _no_plan(text: str, found: list["_Item"], wanted: str) -> Refusal:
    call = _CALL.search(text)
    calls = f"Calls such as {call.group(1)}(...) are not read as a plan." if call else ""
    longest = max(found, key=lambda item: item.end - item.start, default=None)
    if longest and not (call and _is_data_of_a_program(longest)):
        if longest.error is not None:
            return _as_refusal(text, longest)
        one = "The text holds" if len(found) == 1 else f"The text holds {len(found)} values, the longest"
        what = f"{one} {describe(longest.value)}, which is not a plan."
        return Refusal("unknown_format", " ".join(filter(None, (what, calls, wanted))))
    said = " ".join(text[:400].split())
    what = f"It says: {shorten(said, 60)}." if said else "Outside of <think> it is blank."
    return Refusal("no_plan", " ".join(filter(None, ("The text holds no JSON object.", calls or what, wanted))))


def _is_data_of_a_program(item: "_Item") -> bool:
    value = item.value
    return isinstance(value, list) and not any(isinstance(row, dict) for row in value)


class _Item(NamedTuple):
    """A value that stands on its own in the text, whole or broken."""

    start: int  # character
    end: int  # character after it
    value: object  # of a broken value, the part before the break
    notes: tuple[str, ...]
    error: "BrokenValue | None"


_BRACKET = re.compile(r"[\[{]")


def _scan(text: str) -> Iterator[_Item]:
    """The values in a text. A broken one is skipped whole, so that no part of it is taken for a plan."""
    at, strict = 0, True
    while opening := _BRACKET.search(text, at):
        start = opening.start()
        # One failure ends the short way, which would look at the same characters again and again.
        whole = json_at(text, start) if strict else None
        if whole is not None:
            value, at = whole
            yield _Item(start, at, value, (), None)
            continue
        strict = False
        parser = ValueParser(text, start)
        try:
            at = parser.run()
        except BrokenValue as error:
            if error.prose:
                at = error.at
                continue
            at = _end_of_broken(text, error.at, [bracket for bracket, _ in parser.open])
            yield _Item(start, at, parser.root, (), error)
        else:
            yield _Item(start, at, parser.root, tuple(sorted(parser.notes)), None)


_SKIPPED = re.compile(r'"(?:[^"\\\n]++|\\.)*+"?|[\[{\]}]')
_CLOSES = {"]": "[", "}": "{"}


def _end_of_broken(text: str, at: int, brackets: list[str]) -> int:
    """Where the outermost of the open `brackets` closes, or the end of the text."""
    still_open = [bracket for bracket in brackets if bracket != "("]
    for token in _SKIPPED.finditer(text, at):
        mark = token.group()
        if mark in "[{":
            still_open.append(mark)
        elif mark in "]}" and still_open[-1] == _CLOSES[mark]:  # one that closes nothing is part of what is broken
            still_open.pop()
        if not still_open:
            return token.end()
    return len(text)
