"""Poses of the tool, with gripper and time where the model gives them."""

import json

from worldverify.action import ActionSpec
from worldverify.planfields import Fields
from worldverify.syntax.form import Actions, Form
from worldverify.waypoint import Waypoint

EXAMPLE = '{"waypoints": [{"position": [x, y, z], "gripper": 1}, ...]}'


def example(spec: ActionSpec) -> str:
    """The shape."""
    return EXAMPLE if spec.gripper is not None else EXAMPLE.replace(', "gripper": 1', "")


def is_plan(value: object) -> bool:
    """An object with waypoints."""
    return isinstance(value, dict) and "waypoints" in value


def parse(value: object, fields: Fields) -> Actions:
    """One Waypoint each."""
    return fields.waypoints(value)


def write(actions: Actions, spec: ActionSpec) -> str:
    """The waypoints as JSON."""
    points = [
        {key: list(item) if isinstance(item, tuple) else item for key, item in vars(point).items() if item is not None}
        for point in actions
        if isinstance(point, Waypoint)
    ]
    return json.dumps({"waypoints": points})


FORMS = {"waypoints": Form("waypoints", example, is_plan, parse, write)}
