"""The scene that a plan for EmbodiedBench's voxel workspace speaks of, read from the plan's own words."""

import re
from collections.abc import Mapping
from typing import Any

from worldverify.envs.voxel_workspace import names, voxel_stack, voxel_workspace
from worldverify.task import Task

_VOXEL = r"\[(\d+), (\d+), (\d+)\]"
_SEEN = re.compile(r"\ban? (\w+) ([a-z ]+?) at " + _VOXEL)
_PLACE = re.compile(r"pick up the ([a-z ]+?) (?:located )?at " + _VOXEL + r" and place it into the ([a-z ]+?) located")
_STACK = re.compile(r"the ([a-z ]+?) at " + _VOXEL + r" should be at the bottom and the ([a-z ]+?) at " + _VOXEL)


def scene_of(text: str) -> Mapping[str, Any]:
    """Arguments of `voxel_workspace` (with target and container) or `voxel_stack` (with lower and upper).

    The text is one or several planner replies; the first one saw the scene before anything moved. The task is named
    in its reasoning, where the thing to move may be called by its kind only, and is then told by its voxel.
    """
    first = re.split(r"\n\}\s*\n", text)[0]
    objects = [(kind, colour, (int(x), int(y), int(z))) for colour, kind, x, y, z in _SEEN.findall(_seen(first))]
    called = dict(zip((voxel for _, _, voxel in objects), names(objects), strict=True))
    if place := _PLACE.search(first):
        _, *voxel, container = place.groups()
        goal = container.replace(" ", "_")
        return {"objects": objects, "target": called[_voxel(voxel)], "container": goal}
    if stack := _STACK.search(first):
        _, *lower, _, a, b, c = stack.groups()
        return {"objects": objects, "lower": called[_voxel(lower)], "upper": called[_voxel((a, b, c))]}
    raise ValueError("The text names neither a thing and its container nor two things to stack.")


def task_of(text: str, **more: Any) -> Task:
    """The task of that scene; `more` goes to its factory."""
    scene = scene_of(text)
    return voxel_stack(**scene, **more) if "lower" in scene else voxel_workspace(**scene, **more)


def _seen(reply: str) -> str:
    found = re.search(r'"visual_state_description": "([^"]*)"', reply)
    return found.group(1) if found else reply


def _voxel(indices: Any) -> tuple[int, int, int]:
    x, y, z = (int(index) for index in indices)
    return x, y, z
