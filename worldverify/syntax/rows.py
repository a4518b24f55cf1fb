"""Rows of numbers, one for each action, or one list of rows for each chunk."""

import json
import re

import numpy as np

from worldverify.action import ActionSpec
from worldverify.planfields import Fields
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


_PRINT = re.compile(r"\[\s*\[[^\[\]{}\"',]*\](?:\s*\[[^\[\]{}\"',]*\])*\s*\]")  # as NumPy prints a matrix


def read_print(text: str) -> object:
    """Rows printed by NumPy, without commas, or None. Raises Refusal where the print leaves rows out."""
    found = _PRINT.findall(text)
    if len(found) != 1:
        return None
    if "..." in found[0]:
        raise Refusal("truncated", "The array was printed with '...' in place of its numbers. Print all of them.")
    rows = [row.split() for row in re.findall(r"\[([^\[\]]*)\]", found[0][1:-1])]
    try:
        return [[float(number) for number in row] for row in rows]
    except ValueError:
        return None


FORMS = {"rows": Form("actions", example, is_plan, parse, write)}
