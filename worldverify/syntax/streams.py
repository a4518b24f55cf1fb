"""Named streams of numbers, as GR00T returns them: one array a component."""

import json

import numpy as np

from worldverify.action import ActionSpec
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.planfields import Fields
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions, Form, is_row

PREFIX = "action."


def example(spec: ActionSpec) -> str:
    """The shape, with the names of the streams."""
    return "{" + ", ".join(f'"{name}": [[{width} numbers], ...]' for name, width in spec.layout) + "}"


def is_plan(value: object) -> bool:
    """An object of lists of numbers or of rows."""
    if not isinstance(value, dict) or not value:
        return False
    first = next(iter(value.values()))
    return is_row(first) or (
        isinstance(first, list) and bool(first) and (is_row(first[0]) or isinstance(first[0], list))
    )


def parse(value: object, fields: Fields) -> Actions:
    """(T, width) numbers, the streams side by side in the order of the contract."""
    if isinstance(value, list | np.ndarray):  # as a plan writes itself
        return fields.array(value)
    if not isinstance(value, dict):
        raise Refusal("wrong_type", f"The plan is {describe(value)}; it must be {example(fields.spec)}.")
    named = _joined({str(key).removeprefix(PREFIX): item for key, item in value.items()}, fields)
    known = dict(fields.spec.layout)
    for name in named:
        if name not in known:
            raise Refusal(
                "unknown_key", f"The plan has the unknown stream {shorten(name)}. {did_you_mean(name, known)}"
            )
    tables = []
    for name, width in known.items():
        if name not in named:
            raise Refusal("missing_key", f"The plan lacks the stream {name!r}: {example(fields.spec)}.")
        tables.append(fields.table(_rows(named[name], width), width, name))
    lengths = {name: len(table) for name, table in zip(known, tables, strict=True)}
    if len(set(lengths.values())) > 1:
        raise Refusal("wrong_width", f"The streams differ in length: {lengths}. Every stream has one row an action.")
    table = np.concatenate(tables, axis=1)
    chunk, execute = fields.spec.chunk, fields.spec.execute
    if chunk is not None and execute is not None and execute < len(table) == chunk:
        fields.warnings.append(f"Of the chunk of {chunk} actions the first {execute} are carried out.")
        table = table[:execute]
    return fields.array(table)


SINGLE = {"position": ("x", "y", "z"), "rotation": ("roll", "pitch", "yaw")}  # GR00T's streams of one number each


def _joined(named: dict[str, object], fields: Fields) -> dict[str, object]:
    """Streams with x, y, z and roll, pitch, yaw put together."""
    for component, singles in SINGLE.items():
        if component not in named and all(name in named for name in singles):
            columns = [fields.table(_rows(named.pop(name), 1), 1, name) for name in singles]
            if len({len(column) for column in columns}) == 1:
                named[component] = np.concatenate(columns, axis=1)
    return named


def write(actions: Actions, spec: ActionSpec) -> str:
    """The streams as JSON."""
    assert isinstance(actions, np.ndarray)
    return json.dumps({name: actions[:, spec.part(name)].tolist() for name, _ in spec.layout})


def _rows(value: object, width: int) -> object:
    """Rows (T, width): a batch of one is taken out of its batch, and a flat list is rows of one number."""
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        value = array[0] if array.ndim == 3 and len(array) == 1 else array
        return value[:, None] if isinstance(value, np.ndarray) and value.ndim == 1 and width == 1 else value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list) and value[0] and is_row(value[0][0]):
        return value[0]
    if width == 1 and is_row(value):
        assert isinstance(value, list)
        return [[number] for number in value]
    return value


FORMS = {"streams": Form(None, example, is_plan, parse, write)}
