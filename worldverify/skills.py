"""Skills, such as pick and place, as ways of the tool."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.action import MOBILE_SKILLS, SKILLS, did_you_mean
from worldverify.arm import Arm
from worldverify.base import arrival, carried
from worldverify.extent import extent, subtree, surface_below
from worldverify.kernels import rotation
from worldverify.refusal import Refusal
from worldverify.route import GRIPPER_TIME, Leg, Start, point, unit_quaternion

Floats = NDArray[np.float64]

APPROACH = 0.10  # m above the grasp, before and after it
LIFT = 0.12  # m
RELEASE_GAP = 0.01  # m under an object when the gripper lets it go
FINGER_LENGTH = 0.035  # m above the tool point that stays clear of the palm
TIP_GAP = 0.005  # m between the fingertips and what an object stands on
SIDE_GAP = 0.004  # m that an object must be narrower than the open gripper
WITHOUT_GRIPPER = ("move_to", "wait", "home")  # what an arm can do whose tool is no gripper
SETTLE = 0.08  # s for the servos to catch up before the gripper closes


@dataclass(frozen=True, eq=False)
class _Thing:
    """A body, or a place to put one, where the skills before have left it."""

    center: Floats  # (3,)  m
    half: Floats  # (3,)  m, along its own horizontal axes and z
    yaw: float  # rad, of its horizontal axes
    surface: float  # m, height at which something put on it comes to rest


@dataclass(frozen=True)
class Catalogue:
    """What skills can name in a model: name -> id."""

    own: frozenset[int]  # bodies of the arm
    bodies: dict[str, int]  # without the arm and the world
    movable: dict[str, int]  # those of them that can be picked up
    sites: dict[str, int]  # without the arm's


@dataclass(eq=False)
class _Scene:
    """What the skills so far have made of the scene."""

    model: Any
    data: Any
    arm: Arm
    names: Catalogue
    things: dict[int, _Thing]  # body id -> where it is
    position: Floats  # (3,)  m, of the tool
    orientation: Floats  # (4,)  wxyz
    gripper: float  # value of the gripper's control
    floor: Floats | None  # (3,)  x, y [m] and yaw [rad] of the base that drives the arm; None: it stands
    held: int | None = None  # body id
    held_depth: float = 0.0  # m from the tool point down to the underside of what it holds
    held_turn: float = 0.0  # rad, yaw of the held object relative to the tool's


def catalogue(model: Any, arm: Arm) -> Catalogue:
    """The names of a model; the arm reaches from its base, and what drives it, to all that hangs on it."""
    first = int(model.jnt_bodyid[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, arm.joints[0])])
    own = frozenset(subtree(model, first) | _carriers(model, first))
    bodies = {model.body(i).name: i for i in range(1, model.nbody) if i not in own and model.body(i).name}
    movable = {name: i for name, i in bodies.items() if model.body_weldid[i] != 0}
    sites = {model.site(i).name: i for i in range(model.nsite) if int(model.site_bodyid[i]) not in own}
    return Catalogue(own, bodies, movable, {name: i for name, i in sites.items() if name})


def _carriers(model: Any, body: int) -> set[int]:
    """The bodies that a body hangs on, without the world."""
    found: set[int] = set()
    while (body := int(model.body_parentid[body])) != 0:
        found.add(body)
    return found


def skill_route(
    start: Start,
    skills: Sequence[Mapping[str, Any]],
    arm: Arm,
    home: tuple[Floats, Floats],
    model: Any,
    data: Any,
    names: Catalogue,
    floor: Floats | None = None,
) -> list[Leg]:
    """Legs of a list of skills, from the poses in `data` (after `mj_kinematics`). `home` is the tool's relaxed pose.

    `floor` is the pose (3,) of the base that drives the arm, if it has one: x, y [m] and yaw [rad].
    Raises Refusal for a skill or an object that does not exist, with the names that do.
    """
    if not skills:
        raise Refusal("empty", "The plan has no skills; it needs at least one.")
    scene = _Scene(model, data, arm, names, {}, start.position, start.orientation, start.gripper, floor)
    _notice_held(scene)
    legs: list[Leg] = []
    known = SKILLS if floor is None else MOBILE_SKILLS
    for number, skill in enumerate(skills, 1):
        name = skill.get("skill")
        if not isinstance(name, str) or name not in known:
            raise Refusal("unknown_skill", f"Skill {number} is {name!r}. {did_you_mean(name, known)}")
        if arm.gripper_control is None and name in SKILLS and name not in WITHOUT_GRIPPER:
            raise Refusal(
                "wrong_robot",
                f"Skill {number} ({name}) needs a gripper, and this arm has none; it can {', '.join(WITHOUT_GRIPPER)}.",
            )
        missing = [key for key in known[name].required if key not in skill]
        if missing:
            raise Refusal("missing_key", f"Skill {number} ({name}) lacks {missing[0]!r}.")
        legs.extend(_expand(scene, name, skill, home, f"Skill {number} ({name})"))
        scene.position, scene.orientation = legs[-1].position, legs[-1].orientation
        scene.gripper = legs[-1].gripper
        if scene.floor is not None and legs[-1].drive is not None:
            home = carried(scene.floor, legs[-1].drive, *home)
            scene.floor = legs[-1].drive
    return legs


def _expand(scene: _Scene, name: str, skill: Mapping[str, Any], home: tuple[Floats, Floats], label: str) -> list[Leg]:
    here = Leg(label, scene.position, scene.orientation, scene.gripper)
    match name:
        case "pick":
            return _pick(scene, skill["object"], here)
        case "place":
            return _place(scene, skill["target"], here)
        case "drive_to":
            assert scene.floor is not None
            goal = arrival(scene.floor, skill["position"], skill.get("yaw"))
            position, orientation = carried(scene.floor, goal, here.position, here.orientation)
            return [replace(here, position=position, orientation=orientation, drive=goal, seconds=skill.get("seconds"))]
        case "move_to":
            turn = skill.get("orientation")
            orientation = here.orientation if turn is None else unit_quaternion(turn, label)
            asked = skill["position"]
            if len(asked) == 3 and asked[2] is None:  # at the height where it is
                asked = [asked[0], asked[1], float(here.position[2])]
            return [replace(here, position=point(asked, label), orientation=orientation)]
        case "lift":
            height = float(skill.get("height", LIFT))
            return [replace(here, position=point(_above(here.position, height).tolist(), label))]
        case "open_gripper":
            scene.held = None
            return [replace(here, gripper=scene.arm.gripper_open, rest=GRIPPER_TIME)]
        case "close_gripper":
            return [replace(here, gripper=scene.arm.gripper_closed, rest=GRIPPER_TIME)]
        case "wait":
            return [replace(here, rest=float(skill["seconds"]))]
        case _:
            return [replace(here, position=home[0], orientation=home[1])]


def _pick(scene: _Scene, name: Any, here: Leg) -> list[Leg]:
    """Open on the way, come down on the object from above, close, lift."""
    body = _object(scene, name, here.label)
    thing = _thing(scene, body)
    yaw = _grasp_yaw(thing, _yaw_of(here.orientation), 2.0 * abs(scene.arm.gripper_open))
    under, over = thing.center[2] - thing.half[2], thing.center[2] + thing.half[2]
    height = max(thing.center[2], over - FINGER_LENGTH, under + scene.arm.finger_depth + TIP_GAP)
    grasp = np.array([thing.center[0], thing.center[1], height])
    scene.held, scene.held_depth, scene.held_turn = body, height - under, thing.yaw - yaw
    ready = replace(here, gripper=scene.arm.gripper_open)
    down = replace(ready, position=grasp, orientation=_down(yaw), rest=SETTLE)
    closed = replace(down, gripper=scene.arm.gripper_closed, rest=GRIPPER_TIME)
    return [
        ready,
        replace(down, position=_above(grasp, APPROACH), rest=0.0),
        down,
        closed,
        replace(closed, position=_above(grasp, LIFT), rest=0.0),
    ]


def _place(scene: _Scene, target: Any, here: Leg) -> list[Leg]:
    """Over the target at a height that clears it, down, open, back up."""
    spot = _target(scene, target, here.label)
    depth = scene.held_depth if scene.held is not None else scene.arm.finger_depth
    over = spot.center[2] + spot.half[2]
    height = max(spot.surface + RELEASE_GAP + depth, over - FINGER_LENGTH)
    travel = max(here.position[2], height + APPROACH, over + depth + RELEASE_GAP)
    yaw = _yaw_of(here.orientation)
    x, y = spot.center[0], spot.center[1]
    if scene.held is not None:
        held = _thing(scene, scene.held)
        rest_on = np.array([x, y, spot.surface + held.half[2]])
        lowered = replace(
            held, center=rest_on, yaw=yaw + scene.held_turn, surface=held.surface - held.center[2] + rest_on[2]
        )
        scene.things[scene.held] = lowered
        scene.held = None
    up = replace(here, position=np.array([here.position[0], here.position[1], travel]))
    across = replace(here, position=np.array([x, y, travel]), orientation=_down(yaw))
    down = replace(across, position=np.array([x, y, height]), rest=SETTLE)
    opened = replace(down, gripper=scene.arm.gripper_open, rest=GRIPPER_TIME)
    return [up, across, down, opened, replace(opened, position=_above(down.position, APPROACH), rest=0.0)]


def _object(scene: _Scene, name: Any, label: str) -> int:
    """Id of a body that can be picked up."""
    movable = scene.names.movable
    if isinstance(name, str) and name in movable:
        return movable[name]
    fixed = isinstance(name, str) and name in scene.names.bodies
    problem = "which is fixed" if fixed else "which is not in the scene"
    raise Refusal("unknown_object", f"{label} names {name!r}, {problem}. {did_you_mean(name, movable)}")


def _target(scene: _Scene, target: Any, label: str) -> _Thing:
    """Where to put something: on or in a body, in a site, or with its underside on a point."""
    if not isinstance(target, str):
        spot = point(target, label)
        return _Thing(spot, np.zeros(3), 0.0, float(spot[2]))
    bodies, sites = scene.names.bodies, scene.names.sites
    if target in bodies:
        if bodies[target] == scene.held:
            raise Refusal("unknown_object", f"{label} puts {target!r} on itself; name another target.")
        return _thing(scene, bodies[target])
    if target not in sites:
        known = did_you_mean(target, {**bodies, **sites})
        raise Refusal("unknown_object", f"{label} names {target!r}, which is not in the scene. {known}")
    return _site(scene, sites[target])


def _thing(scene: _Scene, body: int) -> _Thing:
    if body not in scene.things:
        bodies = subtree(scene.model, body) - scene.names.own
        turn = scene.data.xmat[body].reshape(3, 3)
        # Of a box that lies on a face one of x and y is level; the other may stand upright.
        level = turn[:, 0] if abs(turn[2, 0]) < abs(turn[2, 1]) + 0.5 else turn[:, 1]
        yaw = math.atan2(level[1], level[0])
        box = extent(scene.model, scene.data, bodies, yaw)
        top = _above(box.center, float(box.half[2]) + 1.0)
        surface = surface_below(scene.model, scene.data, bodies, top)
        below = float(box.center[2] - box.half[2])
        scene.things[body] = _Thing(box.center, box.half, yaw, below if surface is None else surface)
    return scene.things[body]


def _site(scene: _Scene, site: int) -> _Thing:
    """A site holds things on the floor of its shape; the body that carries it may have walls."""
    model, data = scene.model, scene.data
    center = np.array(data.site_xpos[site])
    size = model.site_size[site]
    shape = mujoco.mjtGeom(int(model.site_type[site]))  # an enum is not found among others by NumPy's integers
    if shape == mujoco.mjtGeom.mjGEOM_SPHERE:
        half = np.full(3, size[0])
    elif shape in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE):
        half = np.array([size[0], size[0], size[1]])
    else:
        half = np.array(size)
    reach = np.abs(data.site_xmat[site].reshape(3, 3)) @ half
    floor = float(center[2] - reach[2])
    owner = int(model.site_bodyid[site])
    top = floor
    if owner != 0:
        walls = extent(model, data, subtree(model, owner) - scene.names.own, 0.0)
        top = max(top, float(walls.center[2] + walls.half[2]))
    middle = 0.5 * (floor + top)
    return _Thing(np.array([center[0], center[1], middle]), np.array([*reach[:2], top - middle]), 0.0, floor)


def _notice_held(scene: _Scene) -> None:
    """An object between the closed fingers at the start is held."""
    if scene.gripper == scene.arm.gripper_open:
        return
    for body in scene.names.movable.values():
        thing = _thing(scene, body)
        c, s = math.cos(thing.yaw), math.sin(thing.yaw)
        away = scene.position - thing.center
        local = np.array([c * away[0] + s * away[1], -s * away[0] + c * away[1], away[2]])
        if np.all(np.abs(local) < thing.half):
            scene.held = body
            scene.held_depth = float(away[2] + thing.half[2])
            scene.held_turn = thing.yaw - _yaw_of(scene.orientation)
            return


def _grasp_yaw(thing: _Thing, near: float, opening: float) -> float:
    """Yaw of the gripper along the object's sides: one that fits between the fingers, else the narrower; nearest first.

    The fingers close along the tool's y.
    """
    across = (2.0 * thing.half[1], 2.0 * thing.half[0])  # width between the fingers at the object's yaw, and turned
    fits = [width <= opening - SIDE_GAP for width in across]
    if not any(fits):
        fits = [width == min(across) for width in across]
    turns = [quarter * math.pi / 2 for quarter in range(4) if fits[quarter % 2]]
    return min((near + _wrapped(thing.yaw + turn - near) for turn in turns), key=lambda yaw: abs(yaw - near))


def _down(yaw: float) -> Floats:
    """The gripper points straight down, its x axis turned by `yaw` from the world's."""
    return np.array([0.0, math.cos(yaw / 2), math.sin(yaw / 2), 0.0])


def _yaw_of(orientation: Floats) -> float:
    """Direction of the tool's x axis seen from above."""
    axis = rotation.to_matrix(orientation)[:, 0]
    return math.atan2(axis[1], axis[0])


def _above(position: Floats, height: float) -> Floats:
    raised: Floats = position + np.array([0.0, 0.0, height])
    return raised


def _wrapped(angle: float) -> float:
    """The same angle between -pi and pi."""
    return math.remainder(angle, 2 * math.pi)
