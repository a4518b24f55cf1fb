"""Calls of worldverify's own skills."""

import json
from collections.abc import Mapping

from worldverify.action import ActionSpec
from worldverify.planfields import Fields
from worldverify.syntax.form import Actions, Form

EXAMPLE = '{"skills": [{"skill": "pick", "object": "cube"}, ...]}'
MOVES = '{"skills": [{"skill": "move_to", "position": [x, y, z]}, ...]}'


def example(spec: ActionSpec) -> str:
    """The shape."""
    return EXAMPLE if "pick" in spec.skills else MOVES


def is_plan(value: object) -> bool:
    """An object with skills."""
    return isinstance(value, dict) and "skills" in value


def parse(value: object, fields: Fields) -> Actions:
    """One object each."""
    return fields.skills(value)


def write(actions: Actions, spec: ActionSpec) -> str:
    """The calls as JSON."""
    calls = [
        {key: list(item) if isinstance(item, tuple) else item for key, item in call.items()}
        for call in actions
        if isinstance(call, Mapping)
    ]
    return json.dumps({"skills": calls})


FORMS = {"skills": Form("skills", example, is_plan, parse, write)}
