"""What no actuator and no contact explains in the motion of a prediction: jumps, hovering, energy from nowhere."""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.rollouts.check import Check, closest
from worldverify.rollouts.scan import SIGMAS, Overlap, Scan
from worldverify.rollouts.states import Prediction, moves

Floats = NDArray[np.float64]

# A push and a stop within a control period go unseen: by a dt period / 4, at an acceleration of at most
PUSH = 50.0  # m/s/s
TWIST = 200.0  # rad/s/s, of hinges
TUMBLE = 2500.0  # rad/s/s, of free bodies: the push at a lever of 2 cm

FALL = 0.5  # m/s/s: how far a fall may be from gravity
FALL_SHARE = 0.25  # of gravity, the most that noise may hide: windows are as long as that takes

ENERGY_HEIGHT = 2e-3  # m: energy that soft contacts give back, as a height
ENERGY_SHARE = 0.05  # of the kinetic energy: of finite steps
IMPACT = 0.05  # s: what is stored in a contact, or lost between two states, may come back within this

_JOINT = mujoco.mjtJoint


def teleport(model: mujoco.MjModel, prediction: Prediction) -> Check | None:
    """No step is longer than the steps within a control period of it and the speeds at its ends, a push, and noise,
    allow."""
    way = moves(model, prediction.states[:-1], prediction.states[1:])
    speed = np.abs(prediction.states[:, state_slice(model, mujoco.mjtState.mjSTATE_QVEL)])
    parts, units, whats, pushes = [], [], [], []
    for joint in range(model.njnt):
        kind, dof = _JOINT(int(model.jnt_type[joint])), int(model.jnt_dofadr[joint])
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, joint) or f"joint {joint}"
        if kind == _JOINT.mjJNT_FREE:
            parts += [slice(dof, dof + 3), slice(dof + 3, dof + 6)]
            whats += [f"step({name})", f"turn({name})"]
            units += ["m", "rad"]
            pushes += [PUSH, TUMBLE]
        else:
            turns = kind != _JOINT.mjJNT_SLIDE
            parts.append(slice(dof, dof + (3 if kind == _JOINT.mjJNT_BALL else 1)))
            whats.append(f"{'turn' if turns else 'step'}({name})")
            units.append("rad" if turns else "m")
            pushes.append(TUMBLE if kind == _JOINT.mjJNT_BALL else TWIST if turns else PUSH)
    if not parts:
        return None
    seen = np.stack([np.linalg.norm(way[:, p], axis=1) for p in parts], axis=1)
    ends = np.stack([np.linalg.norm(speed[:, p], axis=1) for p in parts], axis=1) * prediction.period
    noise = np.array([np.linalg.norm(prediction.position[p]) for p in parts])
    beside = np.zeros_like(seen)
    for away in range(1, prediction.stride + 1):
        beside[away:] = np.maximum(beside[away:], seen[:-away])
        beside[:-away] = np.maximum(beside[:-away], seen[away:])
    if not prediction.differenced:
        beside = np.maximum(beside, np.maximum(ends[:-1], ends[1:]))
    push = np.array(pushes) * prediction.period * prediction.control_period / 4
    allowed = beside + push + SIGMAS * math.sqrt(2) * noise
    times = np.arange(1.0, len(way) + 1) * prediction.period
    return closest("teleport", seen, allowed, units=units, whats=whats, begins_s=times)


def penetration(overlaps: list[Overlap | None], period: float) -> Check | None:
    """No contact is deeper than softness, impact and noise explain."""
    found = [(k, o) for k, o in enumerate(overlaps) if o is not None]
    if not found:
        return None
    deepest = max((o for _, o in found), key=lambda o: o.seen / o.allowed)
    begins = [at * period for at, o in found if o.seen > o.allowed]
    return Check(
        "penetration", deepest.seen, deepest.allowed, "m", f"depth({deepest.pair})", begins[0] if begins else None
    )


def support(model: mujoco.MjModel, prediction: Prediction, scan: Scan) -> Check | None:
    """What nothing touches falls: the centre of mass of a free body accelerates as gravity says.

    The acceleration is the second difference over a window; the window is as long as it takes for the noise of three
    positions, sqrt(6) sigma / window^2, to stay small beside gravity.
    """
    gravity, period = float(np.linalg.norm(model.opt.gravity)), prediction.control_period
    if model.opt.density or model.opt.viscosity or not gravity:
        return None
    seen, allowed, times, whats = [], [], [], []
    for tree, root in zip(scan.free, scan.roots, strict=True):
        joint = int(model.body_jntadr[root])
        dof = int(model.tree_dofadr[tree])
        if _JOINT(int(model.jnt_type[joint])) != _JOINT.mjJNT_FREE or model.dof_damping[dof : dof + 6].any():
            continue
        noise = SIGMAS * math.sqrt(6) * float(np.linalg.norm(prediction.position[dof : dof + 3]))
        half = max(1, math.ceil(math.sqrt(noise / (FALL_SHARE * gravity)) / period))
        first = int(model.tree_bodyadr[tree])
        bodies = slice(first, first + int(model.tree_bodynum[tree]))
        mass = model.body_mass[bodies]
        pull = model.opt.gravity * float((mass * (1 - model.body_gravcomp[bodies])).sum() / mass.sum())
        com, alone = scan.com[:, tree], scan.alone[:, tree]
        for k in range(half, len(com) - half):
            if alone[k - half : k + half + 1].all():
                window = half * period
                fall = (com[k + half] - 2 * com[k] + com[k - half]) / window**2
                seen.append(float(np.linalg.norm(fall - pull)))
                allowed.append(FALL + noise / window**2)
                times.append((k - half + 1) * period)
                whats.append(f"unsupported({model.body(root).name})")
    if not seen:
        return None
    worst = int(np.argmax(np.array(seen) / np.array(allowed)))
    broken = [t for s, a, t in zip(seen, allowed, times, strict=True) if s > a]
    return Check("support", seen[worst], allowed[worst], "m/s/s", whats[worst], min(broken) if broken else None)


def energy(model: mujoco.MjModel, prediction: Prediction, scan: Scan) -> Check | None:
    """What nothing driven touches gains no energy, kinetic and of gravity together.

    Bodies that may touch each other are counted together. A state is compared with the least that the states before
    it had; of each of those the most within IMPACT counts, since a contact stores energy and an impact between two
    states hides some.
    """
    period, around = prediction.control_period, max(1, math.ceil(IMPACT / prediction.control_period))
    found: list[Check] = []
    for group in scan.groups:
        trees = list(group)
        weight = float(sum(model.body_subtreemass[scan.roots[scan.free.index(t)]] for t in trees))
        give = ENERGY_HEIGHT * weight * float(np.linalg.norm(model.opt.gravity))
        names = ", ".join(model.body(scan.roots[scan.free.index(t)]).name for t in trees)
        total, kinetic = scan.energy[:, trees].sum(axis=1), scan.kinetic[:, trees].sum(axis=1)
        noise = SIGMAS * np.linalg.norm(scan.energy_noise[:, trees], axis=1)
        for first, last in _runs(np.asarray(scan.undriven[:, trees].all(axis=1))):
            known = prediction.begun and first == 0  # nothing is hidden before the start, whose energy is known
            for k in range(first + 1 if known else first + around + 1, last):
                most = np.array(
                    [total[max(first, j - around) : j + around + 1].max() for j in range(first, k - around)]
                )
                most = np.minimum(most, total[0]) if known and len(most) else most
                most = np.array([total[0]]) if known and not len(most) else most
                j = int(most.argmin())
                gain = float(total[k] - most[j])
                spent = give + ENERGY_SHARE * float(kinetic[first : k + 1].max()) + noise[k] + noise[first + j]
                begins = None
                if gain > spent:
                    low = np.flatnonzero(total[first : k + 1] <= most[j] + 0.5 * spent)
                    begins = (first + int(low[-1]) + 1) * period
                found.append(Check("energy", max(gain, 0.0), float(spent), "J", f"gain({names})", begins))
    if not found:
        return None
    worst = max(found, key=lambda c: c.seen / c.allowed)
    broken = [c.begins_s for c in found if c.begins_s is not None]
    return worst._replace(begins_s=min(broken) if broken else None)


def _runs(true: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[first, last) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
