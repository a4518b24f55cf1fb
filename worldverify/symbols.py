"""Calls whose names and positions wait for a scene, once the scene is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.calling.scene import in_scene, names_of, scene_name
from worldverify.decode import Begin
from worldverify.extent import surface_below
from worldverify.kernels import rotation
from worldverify.refusal import Refusal
from worldverify.skills import Catalogue

Floats = NDArray[np.float64]

ABOVE = 10.0  # m, from where one looks down for the surface under a place


def resolved(
    spec: ActionSpec, calls: Sequence[Mapping[str, Any]], begin: Begin, model: Any, data: Any, names: Catalogue
) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """Calls of skills with the names of the scene in `data` and positions in the world, and what to tell a person.

    Positions are those at the start of the plan. Raises Refusal for a name that is not in the scene.
    """
    known = [*names.bodies, *names.sites]
    at, turn = begin.base.position[0], begin.base.orientation[0]
    where = {}
    for said in names_of(calls):
        name = scene_name(said, known)
        spot = data.xpos[names.bodies[name]] if name in names.bodies else data.site_xpos[names.sites[name]]
        where[name] = rotation.rotate(rotation.conjugate(turn), spot - at) if spec.frame == "base" else spot
    settled = []
    for call in in_scene(calls, known, where):
        skill = dict(call)
        for key in ("position", "target"):
            said_place = skill.get(key)
            if isinstance(said_place, list):
                place = _in_world(spec, said_place, at, turn)
                if key == "target" and place[2] is None:
                    place[2] = _surface(model, data, names, place)
                skill[key] = place
        settled.append(skill)
    return tuple(settled), ()


def _in_world(spec: ActionSpec, position: Any, at: Floats, turn: Floats) -> list[float | None]:
    """A position of the contract's frame; a height that is left open stays so."""
    if spec.frame == "world":
        return list(position)
    if spec.frame != "base":
        raise Refusal("bad_contract", f"{spec.name} has positions in the frame {spec.frame!r}; use world or base.")
    level = [0.0 if value is None else float(value) for value in position]
    moved = at + rotation.rotate(turn, np.array(level))
    return [float(moved[0]), float(moved[1]), None if position[2] is None else float(moved[2])]


def _surface(model: Any, data: Any, names: Catalogue, place: Sequence[Any]) -> float:
    """Height of what lies under a place, objects that can be picked up aside."""
    own = names.own | set(names.movable.values())
    bodies = {body for body in range(model.nbody) if body not in own and int(model.body_weldid[body]) == 0}
    height = surface_below(model, data, bodies, np.array([place[0], place[1], ABOVE]))
    if height is None:
        raise Refusal("unreachable", f"There is nothing under ({place[0]:.3f}, {place[1]:.3f}) m to put something on.")
    return height
