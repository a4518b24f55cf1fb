"""Rows of numbers, one for each action, or one list of rows for each chunk."""

import json
import re

import numpy as np

from worldverify.action import ActionSpec
from worldverify.planfields import Fields
from worldverify.read import without_thoughts
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions, Form, is_row


def example(spec: ActionSpec) -> str:
    """The shape, with the names of the numbers."""
    columns = spec.columns
    row = ", ".join(columns) if len(columns) <= 3 else f"{columns[0]}, ..., {columns[-1]}"
    return f'{{"actions": [[{row}], ...]}}'


def is_plan(value: object) -> bool:
    """An object with actions, a row, rows, or chunks of rows."""
    if isinstance(value, dict):
        return "actions" in value
    inner = value[0] if isinstance(value, list) and value else None
    return is_row(value) or is_row(inner) or (isinstance(inner, list) and bool(inner) and is_row(inner[0]))


def parse(value: object, fields: Fields) -> Actions:
    """(T, width) numbers."""
    return fields.array(value)


def write(actions: Actions, spec: ActionSpec) -> str:
    """The rows as JSON."""
    assert isinstance(actions, np.ndarray)
    return json.dumps({"actions": actions.tolist()})


_ROW = r"\[[^\[\]{}\"',]*\]"
_PRINT = re.compile(rf"\[\s*{_ROW}(?:\s*(?:{_ROW}|\.\.\.))*\s*\]")  # as NumPy prints a matrix
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?")


def printed(text: str, fields: Fields) -> Actions | None:
    """The rows of a matrix that NumPy printed, without commas; None if the text holds none.

    Raises Refusal where the print leaves numbers out.
    """
    shown, _ = without_thoughts(text)
    if "{" in shown:
        return None
    matrices = [
        (whole, [row[1:-1].split() for row in re.findall(_ROW, whole[1:-1])]) for whole in _PRINT.findall(shown)
    ]
    found = [(whole, rows) for whole, rows in matrices if all(_is_printed(item) for row in rows for item in row)]
    if not found:
        return None
    if len(found) > 1:
        raise Refusal("ambiguous", f"The text holds {len(found)} printed arrays. Write one plan only.")
    whole, rows = found[0]
    if "..." in whole:
        raise Refusal("truncated", "The array was printed with '...' in place of its numbers. Print all of them.")
    fields.warnings.append("The actions were printed by NumPy, without commas.")
    return fields.array([[float(item) for item in row] for row in rows])


def _is_printed(item: str) -> bool:
    return item == "..." or _NUMBER.fullmatch(item) is not None


FORMS = {"rows": Form("actions", example, is_plan, parse, write, text=printed)}
