"""A scene whose bodies stand in another order: the same world, whose forces are summed in another order."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import quiet
from worldverify.kernels.mujoco_settings import copy_settings
from worldverify.refusal import Refusal
from worldverify.scene import Scene, build_scene

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CLOSE = 1e-4  # relative: how far numbers of a model may change that is written as text and read back


class Permuted(NamedTuple):
    """A scene with its bodies in another order, and how a state of the first is written for it."""

    scene: Scene
    state: Callable[[Floats], Floats]  # (nstate,) -> (nstate,)


class NoOrder(ValueError):
    """Why a scene has no other order of bodies."""


def permuted(scene: Scene) -> Permuted:
    """Bodies that stand side by side in the opposite order. Raises NoOrder, with a reason that completes a sentence."""
    model = scene.model
    source, order = _reordered(scene)
    try:
        plain = build_scene(source, scene.bound.spec)
    except Refusal as refusal:
        raise NoOrder(f"with its bodies in another order it cannot be built ({refusal.reason})") from None
    rows = _rows(model, order)
    if not _alike(model, plain.model, rows):
        raise NoOrder("written as text and read back it is another model")

    def recompile(memory: int) -> Any:
        return _exact(plain.recompile(memory), model, rows)

    other = replace(plain, model=_exact(plain.model, model, rows), recompile=recompile)

    def state(given: Floats) -> Floats:
        before, after = scene.data(given), other.data()
        after.time = before.time
        after.qpos[:] = before.qpos[rows["qpos"]]
        for name in ("qvel", "qacc_warmstart", "qfrc_applied"):
            getattr(after, name)[:] = getattr(before, name)[rows["dof"]]
        after.xfrc_applied[:] = before.xfrc_applied[rows["body"]]
        for name in ("ctrl", "act", "eq_active", "userdata"):
            getattr(after, name)[:] = getattr(before, name)
        for i, mocap in enumerate(model.body_mocapid[rows["body"]][other.model.body_mocapid >= 0]):
            after.mocap_pos[i], after.mocap_quat[i] = before.mocap_pos[mocap], before.mocap_quat[mocap]
        return other.state_of(after)

    return Permuted(other, state)


def _reordered(scene: Scene) -> tuple[mujoco.MjSpec, Ints]:
    """The scene's source with bodies in another order, without keyframes, and the old id of each new body."""
    source = scene.source.copy()
    for key in list(source.keys):
        source.delete(key)
    try:
        with quiet():
            source.compile()
            root = ElementTree.fromstring(source.to_xml())
    except (ValueError, mujoco.FatalError, ElementTree.ParseError) as error:
        raise NoOrder(f"it cannot be written as text ({' '.join(str(error).split())})") from None
    world = next(root.iter("worldbody"))
    bodies = list(world.iter("body"))
    if len(bodies) != scene.model.nbody - 1:
        raise NoOrder("written as text it has another number of bodies")
    number = {body: i for i, body in enumerate(bodies, 1)}
    for parent in (world, *world.iter("body"), *world.iter("frame")):
        slots = [i for i, child in enumerate(parent) if child.tag == "body"]
        for i, child in zip(slots, [parent[j] for j in reversed(slots)], strict=True):
            parent[i] = child
    order = np.array([0, *(number[body] for body in world.iter("body"))])
    if (np.diff(order) > 0).all():
        raise NoOrder("no two of its bodies stand side by side")
    with quiet():
        other = mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"), assets=dict(source.assets))
    other.modelfiledir = source.modelfiledir
    return other, order


def _rows(model: Any, bodies: Ints) -> dict[str, Ints]:
    """For each kind of row of a model, the old index of each new one."""

    def of(start: Any, count: Any) -> Ints:
        return np.concatenate([np.arange(a, a + n) for a, n in zip(start[bodies], count[bodies], strict=True)])

    owners = {
        "geom": model.geom_bodyid,
        "site": model.site_bodyid,
        "cam": model.cam_bodyid,
        "light": model.light_bodyid,
    }
    joints = of(model.body_jntadr, model.body_jntnum).astype(np.int64)
    widths = np.diff(np.append(model.jnt_qposadr, model.nq))
    places = [np.arange(model.jnt_qposadr[j], model.jnt_qposadr[j] + widths[j]) for j in joints]
    rank = np.argsort(bodies)  # where each old body went
    return {
        "body": bodies,
        "jnt": joints,
        "dof": of(model.body_dofadr, model.body_dofnum).astype(np.int64),
        "qpos": np.concatenate(places).astype(np.int64) if places else np.zeros(0, np.int64),
        **{kind: np.argsort(rank[owner], kind="stable") for kind, owner in owners.items()},
    }


def _alike(model: Any, other: Any, rows: dict[str, Ints]) -> bool:
    """Whether a reordered model is this one, up to the digits of text."""
    for name in ("body_mass", "body_pos", "body_inertia", "geom_size", "geom_pos", "jnt_axis", "jnt_range", "site_pos"):
        old, new = getattr(model, name)[rows[name.partition("_")[0]]], getattr(other, name)
        if old.shape != new.shape or not np.allclose(old, new, rtol=_CLOSE, atol=_CLOSE * model.stat.meansize):
            return False
    return bool(model.nu == other.nu and model.neq == other.neq and model.nsensor == other.nsensor)


def _exact(other: Any, model: Any, rows: dict[str, Ints]) -> Any:
    """A reordered model with the numbers of the first to the last digit, which text does not keep."""
    for name in dir(model):
        kind = name.partition("_")[0]
        old = None if name.startswith("_") else getattr(model, name)
        if not isinstance(old, np.ndarray) or old.dtype.kind != "f" or kind in ("bvh", "key", "efm0", "qpos0"):
            continue
        new = getattr(other, name)
        if kind in rows and name not in ("qpos_spring",):
            new[:] = old[rows[kind]]
        elif new.shape == old.shape and kind != "qpos":
            new[:] = old
    for name in ("qpos0", "qpos_spring"):
        getattr(other, name)[:] = getattr(model, name)[rows["qpos"]]
    copy_settings(model, other)
    mujoco.mj_setConst(other, mujoco.MjData(other))
    return other
