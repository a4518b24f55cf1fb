"""Starts that a cheat would give itself: objects thrown, parked, pressed in, things shot at walls, a stopped clock."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.randomisation import loose_bodies
from worldverify.kernels.sweep import collidable_pairs, half_extent
from worldverify.refusal import Refusal
from worldverify.scene import geom_label
from worldverify.task import Task

Floats = NDArray[np.float64]

FLIGHTS = (0.3, 0.6)  # s, of thrown things
PRESSED = 2.5e-3  # m of overlap; 1 mm is refused
MOVED = 0.005  # m or rad: less is settling
BEFORE = 5e-3  # m, of what is shot from the wall
REACH = 2.0  # m, how far around a thing its nearest neighbour is looked for
ENDLESS = 0.05  # m, taken as half the thickness of what has no other side
LATE = 2.0**53  # s, a clock that no physics step can move
MARCH, HALVINGS = 100, 20  # positions of a joint that are tried on each side, and between the last two
SHORTEST_LEVER = 0.02  # m

_OBJ = mujoco.mjtObj
_FREE, _BALL = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
_HINGE, _SLIDE = int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)
_BODIES = (_OBJ.mjOBJ_BODY, _OBJ.mjOBJ_XBODY)


class Stage(NamedTuple):
    """A start (nstate,) that no honest reset gives, and what was done to it."""

    what: str  # "cube thrown to where it should end"
    state: Floats


def parked(task: Task, start: Floats, end: Floats) -> list[Stage]:
    """The loose things where the good run leaves them; if the goals need none, the robot itself."""
    data, last = task.scene.data(start), task.scene.data(end)
    model = task.scene.model
    movers = _moved(task, data, last)
    if not movers:
        last.qvel[:], last.time = 0.0, 0.0
        last.qacc_warmstart[:] = 0.0
        return [Stage("robot parked at the goal", task.scene.state_of(last))]
    for joint in _loose_joints(model):
        data.qpos[_places(model, joint)] = last.qpos[_places(model, joint)]
        data.qvel[_speeds(model, joint)] = 0.0
    return [Stage(f"{_listed(model, movers)} parked at the goal", task.scene.state_of(data))]


def thrown(task: Task, start: Floats, end: Floats) -> list[Stage]:
    """Each loose thing that the goals need, given the speed at which it flies or slides to where it should end."""
    model, last = task.scene.model, task.scene.data(end)
    stages = []
    for joint in _moved(task, task.scene.data(start), last):
        for flight in FLIGHTS:
            data = task.scene.data(start)
            way = last.qpos[_places(model, joint)] - data.qpos[_places(model, joint)]
            speed = way[:3] / flight
            if model.jnt_type[joint] == _FREE:
                # Semi-implicit steps fall g t (t + h) / 2.
                speed = speed - 0.5 * (flight + task.timestep) * model.opt.gravity
            data.qvel[_speeds(model, joint)][: len(speed)] = speed
            name = _label(model, joint)
            stages.append(Stage(f"{name} thrown to where it should end, in {flight:g} s", task.scene.state_of(data)))
    return stages


def pressed(task: Task, start: Floats) -> list[Stage]:
    """Each loose thing that the goals need, pushed into what it touches; if there is none, the robot into a thing."""
    model, stages = task.scene.model, []
    for joint in _needed(task):
        data = task.scene.data(start)
        near = _neighbour(model, data, joint) if model.jnt_type[joint] == _FREE else None
        if near is not None:
            data.qpos[_places(model, joint)][:3] += (near.gap + PRESSED) * near.towards
            what = f"{_label(model, joint)} pressed {1e3 * PRESSED:g} mm into {geom_label(model, near.geom)}"
            stages.append(Stage(what, task.scene.state_of(data)))
    if not stages:
        hit = _first_hit(task, start)
        if hit is not None:
            what = f"{_label(model, hit.joint)} turned into {geom_label(model, hit.geom)}"
            stages.append(Stage(what, task.scene.state_of(hit.inside)))
    return stages


def shot(task: Task, start: Floats) -> list[Stage]:
    """A loose thing, and a joint of the robot, before a wall, so fast that a physics step leads to its other side."""
    model, h, stages = task.scene.model, task.timestep, []
    for joint in _needed(task):
        data = task.scene.data(start)
        near = _neighbour(model, data, joint, fixed=True) if model.jnt_type[joint] == _FREE else None
        if near is not None:
            data.qpos[_places(model, joint)][:3] += (near.gap - BEFORE) * near.towards
            through = BEFORE + 2 * _half(model, near.own) + 2 * _half(model, near.geom)
            data.qvel[_speeds(model, joint)][:3] = through / h * near.towards
            what = f"{_label(model, joint)} shot through {geom_label(model, near.geom)}"
            stages.append(Stage(what, task.scene.state_of(data)))
    hit = _first_hit(task, start)
    if hit is not None:
        through = 2 * _half(model, hit.own) + 2 * _half(model, hit.geom)
        hit.before.qvel[_speeds(model, hit.joint)] = hit.sense * through / (hit.lever * h)
        what = f"{_label(model, hit.joint)} shot through {geom_label(model, hit.geom)}"
        stages.append(Stage(what, task.scene.state_of(hit.before)))
    return stages


def late(task: Task, start: Floats) -> list[Stage]:
    """The start at a time so late that the clock stands still."""
    data = task.scene.data(start)
    data.time = LATE
    return [Stage("clock stopped", task.scene.state_of(data))]


# What the goals need


def _needed(task: Task) -> list[int]:
    """Loose joints of the things that the goals speak of."""
    model, roots = task.scene.model, _goal_roots(task)
    return [j for j in _loose_joints(model) if int(model.body_rootid[model.jnt_bodyid[j]]) in roots]


def _moved(task: Task, data: Any, last: Any) -> list[int]:
    """Those of them that are elsewhere after the good run."""
    model = task.scene.model
    ways = {j: last.qpos[_places(model, j)] - data.qpos[_places(model, j)] for j in _needed(task)}
    return [joint for joint, way in ways.items() if np.abs(way[:3]).max() > MOVED]


def _loose_joints(model: Any) -> list[int]:
    """Joints of what no actuator moves; balls, which hang on something, are left out."""
    loose = loose_bodies(model)
    return [j for j in range(model.njnt) if loose[model.jnt_bodyid[j]] and model.jnt_type[j] != _BALL]


def _goal_roots(task: Task) -> set[int]:
    """Roots of the bodies that the goals' sensors look at; of all requirements if none is a goal."""
    bound, model = task.scene.bound, task.scene.model
    goals = [f for f, guard in zip(bound.formulas, bound.guards, strict=True) if not guard] or list(bound.formulas)
    columns = {c for goal in goals for i in _marked(goal, "atom") for c in _marked(bound.atoms[i].expression, "column")}
    roots = set()
    for sensor in {int(np.searchsorted(model.sensor_adr, c, side="right")) - 1 for c in columns}:
        for kind, index in (
            (model.sensor_objtype[sensor], model.sensor_objid[sensor]),
            (model.sensor_reftype[sensor], model.sensor_refid[sensor]),
        ):
            body = _body_of(model, int(kind), int(index))
            if body > 0:
                roots.add(int(model.body_rootid[body]))
    return roots


def _marked(expression: Any, mark: str) -> Iterator[int]:
    """The numbers of all ("atom", i) or ("column", i) in nested tuples."""
    if isinstance(expression, tuple):
        if expression and expression[0] == mark:
            yield expression[1]
        else:
            for part in expression:
                yield from _marked(part, mark)


def _body_of(model: Any, kind: int, index: int) -> int:
    owner: dict[int, Callable[[int], Any]] = {
        **{int(b): lambda i: i for b in _BODIES},
        int(_OBJ.mjOBJ_GEOM): lambda i: model.geom_bodyid[i],
        int(_OBJ.mjOBJ_SITE): lambda i: model.site_bodyid[i],
        int(_OBJ.mjOBJ_JOINT): lambda i: model.jnt_bodyid[i],
        int(_OBJ.mjOBJ_CAMERA): lambda i: model.cam_bodyid[i],
    }
    return int(owner[kind](index)) if kind in owner and index >= 0 else 0


# Neighbours and walls


class _Near(NamedTuple):
    """The collidable geom that is nearest to a thing."""

    own: int
    geom: int
    gap: float  # m, negative where they overlap
    towards: Floats  # (3,) unit vector from the thing to it


def _neighbour(model: Any, data: Any, joint: int, *, fixed: bool = False) -> _Near | None:
    mujoco.mj_fwdPosition(model, data)
    ours = set(_geoms_of(model, int(model.jnt_bodyid[joint])))
    found: _Near | None = None
    for pair in collidable_pairs(model):
        if (pair[0] in ours) == (pair[1] in ours):
            continue
        own, other = pair if pair[0] in ours else pair[::-1]
        if fixed and model.body_weldid[model.geom_bodyid[other]] != 0:
            continue
        near = _gap(model, data, own, other)
        if near is not None and (found is None or near.gap < found.gap):
            found = near
    return found


def _gap(model: Any, data: Any, own: int, other: int) -> _Near | None:
    """From a contact if there is one; else from the distance, which is blind to the sense of a touch."""
    for contact in data.contact:
        if {int(g) for g in contact.geom} == {own, other}:
            normal = np.array(contact.frame[:3]) * (1.0 if int(contact.geom[0]) == own else -1.0)
            return _Near(own, other, float(contact.dist), normal)
    ends = np.zeros(6)
    gap = float(mujoco.mj_geomDistance(model, data, own, other, REACH, ends))
    way = ends[3:] - ends[:3]
    length = float(np.linalg.norm(way))
    return None if gap >= REACH or gap <= 0 or length == 0 else _Near(own, other, gap, way / length)


class _Hit(NamedTuple):
    """A joint of the robot that runs into something."""

    joint: int
    own: int
    geom: int
    before: Any  # MjData right before it
    inside: Any  # MjData with an overlap of PRESSED or more
    sense: float  # 1 or -1, of the joint
    lever: float  # m of surface a rad (1 for a slide)


def _first_hit(task: Task, start: Floats) -> _Hit | None:
    """The first joint, in the order of the model, that can be moved from the start into something else."""
    model = task.scene.model
    loose = set(_loose_joints(model))
    for joint in range(model.njnt):
        if joint in loose or model.jnt_type[joint] not in (_HINGE, _SLIDE):
            continue
        here = float(task.scene.data(start).qpos[model.jnt_qposadr[joint]])
        low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (here - np.pi, here + np.pi)
        for end in (float(low), float(high)):
            hit = _march(task, start, joint, here, end)
            if hit is not None:
                return hit
    return None


def _march(task: Task, start: Floats, joint: int, here: float, end: float) -> _Hit | None:
    """From one position of a joint towards another until its subtree overlaps something else, then back by halves."""
    model = task.scene.model
    ours, root = set(_geoms_of(model, int(model.jnt_bodyid[joint]))), model.body_rootid[model.jnt_bodyid[joint]]

    def at(q: float) -> tuple[Any, Any]:
        """The scene with the joint there, and its deepest contact with what is no part of the robot, if any."""
        data = task.scene.data(start)
        data.qpos[model.jnt_qposadr[joint]] = q
        mujoco.mj_fwdPosition(model, data)
        found = None
        for contact in data.contact:
            geoms = {int(g) for g in contact.geom}
            foreign = any(model.body_rootid[model.geom_bodyid[g]] != root for g in geoms - ours)
            if len(geoms & ours) == 1 and foreign and (found is None or contact.dist < found.dist):
                found = contact
        return data, found

    clear, (before, touching) = here, at(here)
    if touching is not None:
        return None
    for q in np.linspace(here, end, MARCH)[1:].tolist():
        inside, contact = at(q)
        if contact is None:
            clear = q
        elif contact.dist < -PRESSED:
            break
    else:
        return None
    least = q
    for _ in range(HALVINGS):
        middle = 0.5 * (clear + least)
        found, touching = at(middle)
        if touching is None:
            clear, before = middle, found
        else:
            least = middle
    try:
        task.scene.check_start(task.scene.state_of(before))
    except Refusal:  # something else is in the way
        return None
    own, other = (int(g) for g in (contact.geom if int(contact.geom[0]) in ours else contact.geom[::-1]))
    lever = 1.0
    if model.jnt_type[joint] == _HINGE:
        arm = np.array(contact.pos) - inside.xanchor[joint]
        lever = float(np.linalg.norm(np.cross(inside.xaxis[joint], arm)))
    return _Hit(joint, own, other, before, inside, math.copysign(1.0, end - here), max(lever, SHORTEST_LEVER))


def _geoms_of(model: Any, body: int) -> list[int]:
    """The geoms of a body and of what hangs on it."""
    below = {body}
    for b in range(body + 1, model.nbody):
        if int(model.body_parentid[b]) in below:
            below.add(b)
    return [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in below]


def _half(model: Any, geom: int) -> float:
    half = half_extent(model, geom)
    return half if np.isfinite(half) else ENDLESS


# Rows of a joint


def _places(model: Any, joint: int) -> slice:
    start = int(model.jnt_qposadr[joint])
    return slice(start, start + (7 if model.jnt_type[joint] == _FREE else 1))


def _speeds(model: Any, joint: int) -> slice:
    start = int(model.jnt_dofadr[joint])
    return slice(start, start + (6 if model.jnt_type[joint] == _FREE else 1))


def _label(model: Any, joint: int) -> str:
    """What a person calls what a joint moves."""
    body = mujoco.mj_id2name(model, _OBJ.mjOBJ_BODY, int(model.jnt_bodyid[joint]))
    return str(body or mujoco.mj_id2name(model, _OBJ.mjOBJ_JOINT, joint) or f"joint {joint}")


def _listed(model: Any, joints: Sequence[int]) -> str:
    return ", ".join(dict.fromkeys(_label(model, joint) for joint in joints))
