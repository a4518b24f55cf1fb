"""Poses of the tool, or places of a base, with gripper, yaw and time where the model gives them."""

import json
from collections.abc import Mapping

from worldverify.action import ActionSpec
from worldverify.planfields import Fields
from worldverify.syntax.form import Actions, Form
from worldverify.waypoint import Waypoint

EXAMPLE = '{"waypoints": [{"position": [x, y, z], "gripper": 1}, ...]}'
ON_THE_FLOOR = '{"waypoints": [{"position": [x, y], "yaw": 0}, ...]}'


def example(spec: ActionSpec) -> str:
    """The shape."""
    if spec.space == "base":
        return ON_THE_FLOOR
    return EXAMPLE if spec.gripper is not None else EXAMPLE.replace(', "gripper": 1', "")


def is_plan(value: object) -> bool:
    """An object with waypoints."""
    return isinstance(value, dict) and "waypoints" in value


def parse(value: object, fields: Fields) -> Actions:
    """One Waypoint each, or for a base one {"position": (x, y), "yaw", "time"}."""
    return fields.places(value) if fields.spec.space == "base" else fields.waypoints(value)


def write(actions: Actions, spec: ActionSpec) -> str:
    """The waypoints as JSON."""
    said = [vars(point) if isinstance(point, Waypoint) else point for point in actions]
    points = [
        {key: list(item) if isinstance(item, tuple) else item for key, item in point.items() if item is not None}
        for point in said
        if isinstance(point, Mapping)
    ]
    return json.dumps({"waypoints": points})


FORMS = {"waypoints": Form("waypoints", example, is_plan, parse, write)}
