"""How plans are written: one form for each value of `ActionSpec.syntax`."""

from functools import cache
from importlib import import_module

from worldverify.action import ActionSpec
from worldverify.syntax.form import Form

_MODULES = {
    "rows": "rows",
    "waypoints": "waypoints",
    "skills": "skills",
    "trajectory": "trajectory",
    "voxels": "voxels",
    "streams": "streams",
    "world_vector": "world_vector",
    "points": "points",
    "gemini_calls": "calls",
    "cap_calls": "calls",
    "saycan_lines": "calls",
    "chat_calls": "calls",
    "task_sequence": "calls",
    "pick_and_place_calls": "calls",
}


def form_of(spec: ActionSpec) -> Form:
    """How plans of a contract are written."""
    return _form(spec.syntax)


@cache
def _form(syntax: str) -> Form:
    form: Form = import_module(f"worldverify.syntax.{_MODULES[syntax]}").FORMS[syntax]
    return form
