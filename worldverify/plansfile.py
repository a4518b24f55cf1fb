"""Reads a file of candidates for the command line. What is wrong with one of them is kept for its verdict."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from worldverify.describe import describe, shorten
from worldverify.plan import Malformed
from worldverify.read import MAX_TEXT, read
from worldverify.refusal import Refusal

Candidate: TypeAlias = "dict[str, object] | str | Malformed"

MAX_LINE = 16 * 1024 * 1024  # bytes, of one line of a plans file


def read_plans(path: str | Path, *, declared: bool = False) -> list[Candidate]:
    """The candidates in a file, in their order.

    .jsonl or .ndjson: a candidate a line, blank lines aside. .npy: one plan's array, which is read only if its format
    is `declared`: it does not say what its numbers mean. Any other file is one text, as a model wrote it, named after
    the file.
    Raises OSError if the file cannot be opened; anything else that is wrong becomes a Malformed.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind in (".jsonl", ".ndjson"):
        return list(_lines(path))
    if kind == ".npy":
        return [_array(path, declared)]
    return [_text(path)]


def _lines(path: Path) -> Iterator[Candidate]:
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _line(line, f"{path.name}:{number}")


def _line(line: bytes, place: str) -> Candidate:
    """`place`, the file and the number of the line, names a line that has no name of its own."""
    if len(line) > MAX_LINE:
        return Malformed(place, "too_long", f"{place} has {len(line):,} bytes; a line has at most {MAX_LINE:,}.")
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_object_of_unique_keys)
    except UnicodeDecodeError as error:
        return Malformed(place, "malformed", f"{place} is not UTF-8 at its byte {error.start + 1}. Save it as UTF-8.")
    except (ValueError, RecursionError) as error:
        return _diagnosed(line, place, error)
    if isinstance(value, str):
        return {"id": place, "text": value}
    if not isinstance(value, dict):
        wanted = '{"id": ..., "text": ...} or {"id": ..., "format": ..., "rate_hz": ..., "actions": ...}'
        return Malformed(place, "unknown_format", f"{place} is {describe(value)}; a line is {wanted}.")
    return value if value.get("id") is not None else {**value, "id": place}


def _diagnosed(line: bytes, place: str, error: Exception) -> Malformed:
    """Says what is wrong with a line that is not JSON."""
    if isinstance(error, RecursionError):
        return Malformed(place, "too_deep", f"{place} nests brackets deeper than any plan needs.")
    if len(line) <= MAX_TEXT:
        try:
            read(line, lambda value: isinstance(value, dict))
        except Refusal as refusal:
            return Malformed(place, refusal.code, f"{place} is not a JSON object. {refusal.reason}")
    what = str(error)[:100]
    return Malformed(place, "malformed", f"{place} is not strict JSON: {what}. Write one JSON object a line.")


def _object_of_unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"the key {shorten(key)} stands twice in one object")
        value[key] = item
    return value


def _array(path: Path, declared: bool) -> Candidate:
    path.open("rb").close()  # a missing file is the caller's error, not a candidate
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        what = f"holds an array of shape {array.shape} and type {array.dtype}"
        if declared and array.nbytes <= MAX_LINE:
            return {"id": path.name, "actions": np.array(array)}
    except Exception:  # whatever NumPy raises on a file that is not its own: some of it suggests to load it unsafely
        hint = "Write it with numpy.save, from an array of numbers."
        return Malformed(path.name, "malformed", f"{path.name} is not a whole array file of numbers. {hint}")
    wanted = '{"id": ..., "format": ..., "rate_hz": ..., "actions": [[...], ...]}'
    missing = f"which has more than {MAX_LINE:,} bytes" if declared else "but does not say what its numbers mean"
    reason = (
        f"{path.name} {what}, {missing}. Name its format (--format), or write its rows to a .jsonl file as {wanted}."
    )
    return Malformed(path.name, "unknown_format", reason)


def _text(path: Path) -> Candidate:
    data = path.read_bytes()
    try:
        return {"id": path.name, "text": data.decode("utf-8-sig")}
    except UnicodeDecodeError as error:
        reason = f"{path.name} is not UTF-8 at its byte {error.start + 1}. Save the text as UTF-8."
        if path.suffix.lower() not in (".txt", ".json", ".md", ".py") and b"\x00" in data:
            reason = f"{path.name} is no text. Plans are read from .jsonl, .npy (with --format) and files of text."
        return Malformed(path.name, "malformed", reason)
