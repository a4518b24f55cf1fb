"""How far two geoms are apart at least: by planes between them, many pairs at a time."""

from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ENDLESS = (int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_HFIELD))
_ROUND = (int(mujoco.mjtGeom.mjGEOM_SPHERE), int(mujoco.mjtGeom.mjGEOM_CAPSULE))


class Shapes(NamedTuple):
    """Geoms as boxes with a rounded skin, each in its own frame: every geom lies in its shape."""

    body: Ints  # (ngeom,)
    frame: Floats  # (ngeom, 3, 3)  rotation in the frame of the body
    middle: Floats  # (ngeom, 3)  m: centre of the box
    half: Floats  # (ngeom, 3)  m: half-extents of the box; infinite where a geom has no end
    skin: Floats  # (ngeom,)  m


def shapes_of(model: mujoco.MjModel) -> Shapes:
    """The shapes of a model's geoms."""
    frame, half = np.zeros((model.ngeom, 9)), model.geom_aabb[:, 3:].copy()
    for geom in range(model.ngeom):
        mujoco.mju_quat2Mat(frame[geom], model.geom_quat[geom])
    endless, rounded = np.isin(model.geom_type, _ENDLESS), np.isin(model.geom_type, _ROUND)
    skin = np.where(rounded, model.geom_size[:, 0], 0.0)
    half = np.where(rounded[:, None], np.maximum(half - skin[:, None], 0.0), half)
    half[endless] = np.inf
    return Shapes(
        model.geom_bodyid.astype(np.int64), frame.reshape(-1, 3, 3), model.geom_aabb[:, :3].copy(), half, skin
    )


def separation(shapes: Shapes, geoms: tuple[Ints, Ints], centres: tuple[Floats, Floats], turns: Floats) -> Floats:
    """(M,) m: no less than this lies between the two geoms of M pairs; negative where no plane was found between them.

    geoms: (M,) each; centres (M, 3) m each, of the geoms; turns (2, M, 3, 3) the rotations of their bodies. The planes
    tried are at right angles to the axes of both, and to the line between their centres.
    """
    first, second = (turn @ shapes.frame[geom] for turn, geom in zip(turns, geoms, strict=True))
    apart = centres[1] - centres[0]
    length = np.sqrt((apart * apart).sum(axis=1))
    line = apart / np.maximum(length, 1e-12)[:, None]
    normals = np.concatenate([line[:, None], first.transpose(0, 2, 1), second.transpose(0, 2, 1)], axis=1)  # (M, 7, 3)
    along = (normals * apart[:, None]).sum(axis=2)
    normals = np.where(along[..., None] < 0, -normals, normals)
    reach = _reach(shapes, geoms[0], first, normals) + _reach(shapes, geoms[1], second, -normals)
    gaps: Floats = (np.abs(along) - reach).max(axis=1)
    return gaps


def _reach(shapes: Shapes, geom: Ints, frame: Floats, normals: Floats) -> Floats:
    """(M, D) m: how far geoms reach from their centres along unit vectors (M, D, 3)."""
    local = normals @ frame
    with np.errstate(invalid="ignore"):  # 0 of an endless extent: as good as all of it
        part = np.abs(local) * shapes.half[geom][:, None]
    box = np.where(np.isnan(part), np.inf, part).sum(axis=2)
    reach: Floats = (local * shapes.middle[geom][:, None]).sum(axis=2) + box + shapes.skin[geom][:, None]
    return reach
