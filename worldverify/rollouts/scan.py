"""What each predicted state shows of bodies and contacts, and who may have touched whom around it."""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import quiet
from worldverify.kernels.sweep import half_extent
from worldverify.rollouts.states import Prediction
from worldverify.scene import STATE, geom_label

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIGMAS = 6.0  # standard deviations of declared noise: beyond them, one normal number in 5e8 lies
CONTACT_REACH = 1e-3  # m: bodies that are nearer than this, beyond noise and motion, may touch
DEPTH = 3e-3  # m: contacts are soft, and give way by this much
DEPTH_SHARE = 0.2  # of the thinner geom's thickness, if that is less


class Overlap(NamedTuple):
    """A contact that is deep for its state."""

    seen: float  # m
    allowed: float  # m
    pair: str  # "cube_box, table_top"


@dataclass(frozen=True, eq=False)
class Scan:
    """T+1 states at the ends of control periods, and the R kinematic trees of the model."""

    free: tuple[int, ...]  # trees that nothing drives: no actuator, equality, tendon, spring
    roots: tuple[int, ...]  # their root bodies
    alone: Bools  # (T+1, R)  nothing may have touched the tree around this state
    undriven: Bools  # (T+1, R)  nothing that is driven may have touched it
    groups: tuple[tuple[int, ...], ...]  # the free trees, together where they may touch each other at any time
    com: Floats  # (T+1, R, 3)  m
    energy: Floats  # (T+1, R)  J, kinetic and of gravity
    energy_noise: Floats  # (T+1, R)  J, one standard deviation
    kinetic: Floats  # (T+1, R)  J


def scan(model: mujoco.MjModel, prediction: Prediction) -> Scan:
    """Look at every state at the end of a control period."""
    states, trees = prediction.coarse, int(model.ntree)
    data, wide = mujoco.MjData(model), copy.copy(model)
    seer = mujoco.MjData(wide)
    places = _places(model, data, states)
    reach = _reach(model, data, states, prediction.position, places)
    free = _free_trees(model, data, states[0])
    alone, undriven = np.ones((len(states), trees), bool), np.ones((len(states), trees), bool)
    meets = np.eye(trees, dtype=bool)
    com, energy = np.zeros((len(states), trees, 3)), np.zeros((len(states), trees))
    spread, kinetic = np.zeros_like(energy), np.zeros_like(energy)
    velocity = prediction.velocity[:: prediction.stride]
    for k, state in enumerate(states):
        for a, b in _touching(wide, seer, state, reach[k]):
            one, other = (int(model.body_treeid[model.geom_bodyid[g]]) for g in (a, b))
            for tree, met, geom in ((one, other, b), (other, one, a)):
                if tree < 0:
                    continue
                alone[k, tree] = False
                moved = met >= 0 or _is_mocap(model, int(model.geom_bodyid[geom]))
                if moved and met not in free:
                    undriven[k, tree] = False
                elif met >= 0:
                    meets[tree, met] = True
        mujoco.mj_setState(model, data, state, STATE)
        mujoco.mj_fwdPosition(model, data)
        for tree in free:
            com[k, tree] = data.subtree_com[int(model.tree_bodyadr[tree])]
            noise = prediction.position, velocity[k]
            kinetic[k, tree], energy[k, tree], spread[k, tree] = _energy(model, data, tree, *noise)
    return Scan(
        free,
        tuple(int(model.tree_bodyadr[tree]) for tree in free),
        alone,
        undriven,
        _groups(free, meets),
        com,
        energy,
        spread,
        kinetic,
    )


def overlaps(model: mujoco.MjModel, prediction: Prediction) -> list[Overlap | None]:
    """K+1: the contact of each state that is deepest for what it may be, None where nothing touches.

    A contact gives way by DEPTH, by what the bodies can close in within its time constant and one step, and by the
    declared noise of every coordinate, carried to the contact point and along its normal.
    """
    data, found = mujoco.MjData(model), []
    places = _places(model, data, prediction.states)
    shift = np.linalg.norm(np.diff(places.body, axis=0), axis=-1) / prediction.period
    shift = np.concatenate([shift[:1], shift])
    for k, state in enumerate(prediction.states):
        mujoco.mj_setState(model, data, state, STATE)
        with quiet():
            mujoco.mj_fwdPosition(model, data)
        worst: Overlap | None = None
        for contact in data.contact:
            g1, g2 = (int(g) for g in contact.geom)
            if min(g1, g2) < 0 or contact.dist >= 0:
                continue
            b1, b2 = (int(model.geom_bodyid[g]) for g in (g1, g2))
            thin = 2 * min(half_extent(model, g1), half_extent(model, g2))
            time = max(float(contact.solref[0]), 2 * model.opt.timestep) + model.opt.timestep
            noise = _along(model, data, contact.frame[:3], contact.pos, b1, b2, prediction.position)
            soft = min(DEPTH, DEPTH_SHARE * thin) + time * (shift[k, b1] + shift[k, b2])
            one = Overlap(-float(contact.dist), float(soft) + SIGMAS * noise, "")
            if worst is None or one.seen / one.allowed > worst.seen / worst.allowed:
                worst = one._replace(pair=f"{geom_label(model, g1)}, {geom_label(model, g2)}")
        found.append(worst)
    return found


class _Places(NamedTuple):
    body: Floats  # (n, nbody, 3)  m
    geom: Floats  # (n, ngeom, 3)  m
    turn: Floats  # (n, nbody, 4)  quaternions


def _places(model: mujoco.MjModel, data: mujoco.MjData, states: Floats) -> _Places:
    body, geom, turn = [], [], []
    for state in states:
        mujoco.mj_setState(model, data, state, STATE)
        mujoco.mj_kinematics(model, data)
        body.append(data.xpos.copy())
        geom.append(data.geom_xpos.copy())
        turn.append(data.xquat.copy())
    return _Places(np.array(body), np.array(geom), np.array(turn))


def _reach(model: mujoco.MjModel, data: mujoco.MjData, states: Floats, position: Floats, places: _Places) -> Floats:
    """(n, ngeom) m: how far the surface of a geom may be from where its state puts it, between its neighbours."""
    steps = np.linalg.norm(np.diff(places.geom, axis=0), axis=-1)
    cosine = np.abs((places.turn[1:] * places.turn[:-1]).sum(-1)).clip(0.0, 1.0)
    steps = steps + model.geom_rbound * (2 * np.arccos(cosine))[:, model.geom_bodyid]
    none = np.zeros((1, model.ngeom))
    reach = 0.5 * CONTACT_REACH + np.maximum(np.concatenate([none, steps]), np.concatenate([steps, none]))
    if not position.any():
        return np.asarray(reach)
    shift, turn = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    moving = [g for g in range(model.ngeom) if model.body_weldid[model.geom_bodyid[g]] != 0]
    for k, state in enumerate(states):
        mujoco.mj_setState(model, data, state, STATE)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for geom in moving:
            mujoco.mj_jacGeom(model, data, shift, turn, geom)
            noise = np.linalg.norm(shift * position) + model.geom_rbound[geom] * np.linalg.norm(turn * position)
            reach[k, geom] += SIGMAS * noise
    return np.asarray(reach)


def _touching(wide: mujoco.MjModel, data: mujoco.MjData, state: Floats, reach: Floats) -> list[tuple[int, int]]:
    """Geom pairs nearer to each other than both of their reaches."""
    # Twice, since some versions of MuJoCo add the margins of a pair and others take the larger.
    wide.geom_margin[:], wide.geom_gap[:] = 2 * reach, 0.0
    wide.body_margin[:] = 4 * float(reach.max(initial=0.0))  # bodies of several geoms are looked at as a whole first
    if wide.npair:
        wide.pair_margin[:], wide.pair_gap[:] = 4 * float(reach.max(initial=0.0)), 0.0
    mujoco.mj_setState(wide, data, state, STATE)
    with quiet():
        mujoco.mj_kinematics(wide, data)
        mujoco.mj_comPos(wide, data)
        mujoco.mj_collision(wide, data)
    pairs = zip(data.contact.geom.reshape(-1, 2).tolist(), data.contact.dist.tolist(), strict=True)
    return sorted({(a, b) for (a, b), dist in pairs if min(a, b) >= 0 and dist < reach[a] + reach[b]})


def _along(
    model: mujoco.MjModel, data: mujoco.MjData, normal: Floats, point: Floats, b1: int, b2: int, position: Floats
) -> float:
    """m: noise of the distance of two bodies at a point, along a normal."""
    if not position.any():
        return 0.0
    one, other = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    mujoco.mj_jac(model, data, one, None, point, b1)
    mujoco.mj_jac(model, data, other, None, point, b2)
    return float(np.linalg.norm(((other - one) * normal[:, None]).sum(axis=0) * position))


def _is_mocap(model: mujoco.MjModel, body: int) -> bool:
    return bool(model.body_mocapid[model.body_rootid[body]] >= 0)


def _free_trees(model: mujoco.MjModel, data: mujoco.MjData, state: Floats) -> tuple[int, ...]:
    """Trees whose energy only contacts with what is driven can raise."""
    driven = {int(t) for e in range(model.neq) for t in _equality_trees(model, e)}
    if model.opt.wind.any():
        return ()
    for wrap in range(model.nwrap):
        kind, index = mujoco.mjtWrap(int(model.wrap_type[wrap])), int(model.wrap_objid[wrap])
        if kind == mujoco.mjtWrap.mjWRAP_JOINT:
            driven.add(int(model.dof_treeid[model.jnt_dofadr[index]]))
        elif kind == mujoco.mjtWrap.mjWRAP_SITE:
            driven.add(int(model.body_treeid[model.site_bodyid[index]]))
    driven |= {int(model.dof_treeid[model.jnt_dofadr[j]]) for j in range(model.njnt) if model.jnt_stiffness[j].any()}
    mujoco.mj_setState(model, data, state, STATE)
    mujoco.mj_fwdPosition(model, data)
    if model.nu:
        for column in np.unique(data.moment_colind[: int(data.moment_rownnz.sum())]):
            driven.add(int(model.dof_treeid[column]))
    for body in np.flatnonzero(data.xfrc_applied.any(axis=1)):
        driven.add(int(model.body_treeid[body]))
    driven |= {int(model.dof_treeid[dof]) for dof in np.flatnonzero(data.qfrc_applied)}
    return tuple(tree for tree in range(model.ntree) if tree not in driven)


def _equality_trees(model: mujoco.MjModel, equality: int) -> list[int]:
    kind, ends = mujoco.mjtObj(int(model.eq_objtype[equality])), (model.eq_obj1id[equality], model.eq_obj2id[equality])
    bodies = {
        mujoco.mjtObj.mjOBJ_BODY: lambda i: i,
        mujoco.mjtObj.mjOBJ_SITE: lambda i: model.site_bodyid[i],
        mujoco.mjtObj.mjOBJ_JOINT: lambda i: model.jnt_bodyid[i],
    }
    return [int(model.body_treeid[bodies[kind](i)]) for i in ends if i >= 0 and kind in bodies]


def _energy(
    model: mujoco.MjModel, data: mujoco.MjData, tree: int, position: Floats, velocity: Floats
) -> tuple[float, float, float]:
    """(kinetic, kinetic and gravity's, one standard deviation) J of a tree; the noise of speed adds its own energy."""
    first, count = int(model.tree_dofadr[tree]), int(model.tree_dofnum[tree])
    speed, momentum = np.zeros(model.nv), np.zeros(model.nv)
    dofs = slice(first, first + count)
    speed[dofs] = data.qvel[dofs]
    mujoco.mj_mulM(model, data, momentum, speed)
    kinetic = 0.5 * float((momentum * speed).sum())
    bodies = range(int(model.tree_bodyadr[tree]), int(model.tree_bodyadr[tree]) + int(model.tree_bodynum[tree]))
    height, pull = 0.0, 0.0
    for body in bodies:
        weight = model.body_mass[body] * (1 - model.body_gravcomp[body]) * model.opt.gravity
        height -= float((weight * data.xipos[body]).sum())
        pull += float(np.linalg.norm(weight))
    own, one, column = 0.0, np.zeros(model.nv), np.zeros(model.nv)
    for dof in range(first, first + count):
        one[:] = 0.0
        one[dof] = 1.0
        mujoco.mj_mulM(model, data, column, one)
        own += 0.5 * float(column[dof]) * float(velocity[dof]) ** 2
    moving = float(np.linalg.norm(momentum[dofs] * velocity[dofs]))
    return kinetic, kinetic + height, float(np.hypot(moving, pull * position[dofs].max(initial=0.0))) + own


def _groups(free: tuple[int, ...], meets: Bools) -> tuple[tuple[int, ...], ...]:
    left, groups = set(free), []
    while left:
        group, edge = set[int](), {min(left)}
        while edge:
            group |= edge
            edge = {t for t in free if t not in group and any(meets[t, g] or meets[g, t] for g in edge)}
        groups.append(tuple(sorted(group)))
        left -= group
    return tuple(groups)
