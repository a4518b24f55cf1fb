"""What is in a scene: the robot, its grippers, loose things, mechanisms, and what stands fixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco

from worldverify.kernels.sweep import collidable_pairs
from worldverify.sensing import names

_JOINT = mujoco.mjtJoint
_TRN = mujoco.mjtTrn
_OBJ = mujoco.mjtObj
_SINGLE = (int(_JOINT.mjJNT_HINGE), int(_JOINT.mjJNT_SLIDE))


@dataclass(frozen=True)
class Robot:
    """A body with everything that hangs on it, some of it moved by actuators. Numbers are ids in the model."""

    name: str  # of its root body, or of the first body on it that has a name; "" if none has
    root: int
    bodies: frozenset[int]
    joints: tuple[int, ...]  # hinges and slides
    actuators: tuple[int, ...]
    floating: bool  # it has a free joint: it walks, flies or falls


@dataclass(frozen=True)
class Gripper:
    """Fingers on one palm that are driven against each other."""

    palm: str
    fingers: tuple[str, ...]  # bodies
    joints: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """The parts of a scene, by the names that a spec can use."""

    robots: tuple[Robot, ...]
    grippers: tuple[Gripper, ...]
    objects: tuple[str, ...]  # bodies that can move freely
    mechanisms: tuple[str, ...]  # bodies on hinges and slides that nothing drives: doors, drawers
    surfaces: tuple[str, ...]  # fixed bodies and geoms that a robot can touch
    nameless: int  # fixed geoms that a robot can touch and that have no name
    collides: bool  # whether anything can collide
    sites: tuple[str, ...]
    cameras: tuple[str, ...]
    keyframes: tuple[str, ...]  # the number of one without a name
    mocaps: tuple[str, ...]  # bodies that only a program moves, not a plan


def detect(model: Any) -> Found:
    """The parts of a compiled model."""
    driven = _driven_bodies(model)
    robots = tuple(_robots(model, driven))
    ours = frozenset().union(*(robot.bodies for robot in robots))
    pairs = collidable_pairs(model)
    fixed = dict.fromkeys(g for pair in pairs for g in _fixed_side(model, ours, pair))
    named = dict.fromkeys(_fixed_name(model, geom) for geom in fixed)
    loose = [b for b in range(1, model.nbody) if model.body_parentid[b] == 0 and b not in ours]
    return Found(
        robots=robots,
        grippers=tuple(g for robot in robots for g in _grippers(model, robot)),
        objects=tuple(body_name(model, b) for b in loose if _is_free(model, b) and body_name(model, b)),
        mechanisms=tuple(_mechanisms(model, ours)),
        surfaces=tuple(name for name in named if name),
        nameless=sum(not _fixed_name(model, geom) for geom in fixed),
        collides=bool(pairs),
        sites=tuple(names(model, _OBJ.mjOBJ_SITE)),
        cameras=tuple(n for i in range(model.ncam) if (n := _name(model, _OBJ.mjOBJ_CAMERA, i))),
        keyframes=tuple(_name(model, _OBJ.mjOBJ_KEY, i) or str(i) for i in range(model.nkey)),
        mocaps=tuple(body_name(model, b) or f"body {b}" for b in range(model.nbody) if model.body_mocapid[b] >= 0),
    )


def actuator_joints(model: Any, actuator: int) -> list[int]:
    """The joints that an actuator works on, itself or through a fixed tendon."""
    kind, target = _TRN(int(model.actuator_trntype[actuator])), int(model.actuator_trnid[actuator, 0])
    if kind in (_TRN.mjTRN_JOINT, _TRN.mjTRN_JOINTINPARENT):
        return [target]
    if kind == _TRN.mjTRN_TENDON:
        wraps = range(int(model.tendon_adr[target]), int(model.tendon_adr[target] + model.tendon_num[target]))
        return [int(model.wrap_objid[w]) for w in wraps if model.wrap_type[w] == mujoco.mjtWrap.mjWRAP_JOINT]
    return []


def joint_name(model: Any, joint: int) -> str:
    """The name of a joint, "" if it has none."""
    return _name(model, _OBJ.mjOBJ_JOINT, joint)


def actuator_name(model: Any, actuator: int) -> str:
    """The name of an actuator; one without is called by its number."""
    return _name(model, _OBJ.mjOBJ_ACTUATOR, actuator) or f"actuator {actuator}"


def body_name(model: Any, body: int) -> str:
    """The name of a body, "" if it has none."""
    return _name(model, _OBJ.mjOBJ_BODY, body)


def below(model: Any, root: int) -> list[int]:
    """A body and all that hang on it."""
    found = [root]
    for body in range(root + 1, model.nbody):  # a child comes after its parent
        if int(model.body_parentid[body]) in found:
            found.append(body)
    return found


# Robots


def _driven_bodies(model: Any) -> dict[int, list[int]]:
    """actuator -> the bodies that it works on."""
    driven: dict[int, list[int]] = {}
    for actuator in range(model.nu):
        kind, target = _TRN(int(model.actuator_trntype[actuator])), int(model.actuator_trnid[actuator, 0])
        bodies = [int(model.jnt_bodyid[j]) for j in actuator_joints(model, actuator)]
        if kind in (_TRN.mjTRN_SITE, _TRN.mjTRN_SLIDERCRANK):
            bodies.append(int(model.site_bodyid[target]))
        elif kind == _TRN.mjTRN_BODY:
            bodies.append(target)
        elif kind == _TRN.mjTRN_TENDON:
            wraps = range(int(model.tendon_adr[target]), int(model.tendon_adr[target] + model.tendon_num[target]))
            sites = [int(model.wrap_objid[w]) for w in wraps if model.wrap_type[w] == mujoco.mjtWrap.mjWRAP_SITE]
            bodies += [int(model.site_bodyid[s]) for s in sites]
        driven[actuator] = [b for b in bodies if model.body_weldid[b] != 0]
    return driven


def _robots(model: Any, driven: dict[int, list[int]]) -> list[Robot]:
    """One for each body of the world, or for each part of it, under which something is driven."""
    trees = {_tree(model, b) for bodies in driven.values() for b in bodies}
    roots = []
    for tree in sorted(trees):
        top = int(model.body_rootid[tree])
        whole = {_tree(model, b) for b in below(model, top) if model.body_weldid[b] != 0}
        roots.append(top if whole <= trees else tree)
    robots = []
    for root in dict.fromkeys(roots):
        bodies = frozenset(below(model, root))
        joints = [j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in bodies]
        robots.append(
            Robot(
                name=next((body_name(model, b) for b in sorted(bodies) if body_name(model, b)), ""),
                root=root,
                bodies=bodies,
                joints=tuple(j for j in joints if int(model.jnt_type[j]) in _SINGLE),
                actuators=tuple(a for a, at in driven.items() if any(b in bodies for b in at)),
                floating=any(model.jnt_type[j] == _JOINT.mjJNT_FREE for j in joints),
            )
        )
    return robots


def _grippers(model: Any, robot: Robot) -> list[Gripper]:
    """Palms whose fingers are coupled, or which carry exactly two driven joints at the end of the robot."""
    driven = [set(actuator_joints(model, a)) for a in robot.actuators]
    found = []
    for palm in sorted(robot.bodies):
        fingers = []
        for child in range(1, model.nbody):
            if model.body_parentid[child] != palm:
                continue
            joints = [j for j in robot.joints if model.jnt_bodyid[j] == child]
            if len(joints) == 1:
                fingers.append((child, joints[0]))
        if len(fingers) < 2:
            continue
        joints = [j for _, j in fingers]
        together = _coupled(model, joints) or any(len(d & set(joints)) > 1 for d in driven)
        ends = all(_last(model, robot, child) for child, _ in fingers)
        each = all(any(j in d for d in driven) for j in joints)
        if together or (len(fingers) == 2 and ends and each):
            bodies = tuple(body_name(model, child) for child, _ in fingers)
            found.append(Gripper(body_name(model, palm), bodies, tuple(joints)))
    return found


def _coupled(model: Any, joints: Sequence[int]) -> bool:
    """Whether an equality makes one of the joints follow another."""
    return any(
        model.eq_type[e] == mujoco.mjtEq.mjEQ_JOINT
        and int(model.eq_obj1id[e]) in joints
        and int(model.eq_obj2id[e]) in joints
        for e in range(model.neq)
    )


def _last(model: Any, robot: Robot, body: int) -> bool:
    """Whether no joint comes after that of the body."""
    beyond = set(below(model, body))
    return sum(int(model.jnt_bodyid[j]) in beyond for j in robot.joints) == 1


# What is not a robot


def _mechanisms(model: Any, ours: frozenset[int]) -> list[str]:
    """The outermost moving bodies that neither a robot nor a free joint moves."""
    return [
        body_name(model, b)
        for b in range(1, model.nbody)
        if b not in ours
        and model.body_weldid[b] == b
        and model.body_weldid[model.body_parentid[b]] == 0
        and not _is_free(model, b)
        and model.body_mocapid[b] < 0
        and body_name(model, b)
    ]


def _fixed_side(model: Any, ours: frozenset[int], pair: tuple[int, int]) -> list[int]:
    """The geom of a colliding pair that stands fixed, where the other one belongs to a robot."""
    bodies = [int(model.geom_bodyid[g]) for g in pair]
    for here, there in ((0, 1), (1, 0)):
        fixed = model.body_weldid[bodies[here]] == 0 and bodies[here] not in ours
        if fixed and bodies[there] in ours:
            return [pair[here]]
    return []


def _fixed_name(model: Any, geom: int) -> str:
    """How a spec names what a fixed geom belongs to: the body that stands on the world, or the geom itself."""
    body = int(model.geom_bodyid[geom])
    root = int(model.body_rootid[body]) if body else 0
    alone = root and all(model.body_weldid[b] == 0 for b in below(model, root))
    own = _name(model, _OBJ.mjOBJ_GEOM, geom)
    return (body_name(model, root) if alone else "") or (
        "" if "unnamed" in own else own
    )  # MuJoCo's own, not a person's


def _is_free(model: Any, body: int) -> bool:
    first = int(model.body_jntadr[body])
    return first >= 0 and bool(model.jnt_type[first] == _JOINT.mjJNT_FREE)


def _tree(model: Any, body: int) -> int:
    """The outermost moving body above a moving body, or itself."""
    while model.body_weldid[model.body_parentid[body]] != 0:
        body = int(model.body_parentid[body])
    return int(model.body_weldid[body])


def _name(model: Any, kind: Any, index: int) -> str:
    return str(mujoco.mj_id2name(model, kind, index) or "")
