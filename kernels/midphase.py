"""Bounding boxes before shapes: the same contacts, of which MuJoCo finds out sooner that there are none.

Two bodies of one geom each go from bounding spheres straight to their shapes, and the sphere around a table holds half
of the robot. Bodies of several geoms are told apart by boxes first. So a link of one geom gets a decoy, a geom that
touches nothing. What MuJoCo computes of the others stays the same to the last bit: pairs that are left out have no
contact, and the order of those that remain is by body.
"""

import copy
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_settings import copy_settings

# With more links, those of two arms, say, there are more pairs of links than of links and what is fixed, and spheres
# tell links apart as well.
MOST_LINKS = 16

_GEOM, _FREE = int(mujoco.mjtObj.mjOBJ_GEOM), int(mujoco.mjtJoint.mjJNT_FREE)
_ROUND = (int(mujoco.mjtWrap.mjWRAP_SPHERE), int(mujoco.mjtWrap.mjWRAP_CYLINDER))
_SENSOR = mujoco.mjtSensor
# Where their object is a body, these are about every geom of it.
_OF_ALL_GEOMS = (_SENSOR.mjSENS_GEOMDIST, _SENSOR.mjSENS_GEOMNORMAL, _SENSOR.mjSENS_GEOMFROMTO)

_RADIUS = 1e-3  # m, of a decoy
_SLACK = 1e-9  # m, by which boxes are larger than they are, so that rounding leaves out nothing that touches

# Which geoms a body has, and how things are called: a model with decoys has its own.
_OWN = ("body_geomadr", "body_geomnum", "bvh_nodeid", "names_map")


def decoyed_bodies(model: mujoco.MjModel) -> list[int]:
    """The bodies that are to have a decoy; none where that would save nothing."""
    links, fixed, measured = list[int](), list[int](), _measured(model)
    for body in range(1, model.nbody):
        geom, weld = int(model.body_geomadr[body]), int(model.body_weldid[body])
        if model.body_geomnum[body] != 1 or not (model.geom_contype[geom] or model.geom_conaffinity[geom]):
            continue
        if weld == 0:
            fixed.append(body)
        elif model.body_jntnum[weld] and model.jnt_type[model.body_jntadr[weld]] != _FREE and body not in measured:
            links.append(body)
    return links if fixed and len(links) <= MOST_LINKS else []


def add_decoys(mjspec: mujoco.MjSpec, bodies: list[int]) -> None:
    """Put decoys on bodies of a specification. They touch nothing, weigh nothing, and no ray meets them."""
    for body in bodies:
        mjspec.bodies[body].add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[_RADIUS, 0, 0],
            mass=0,
            contype=0,
            conaffinity=0,
            rgba=[0, 0, 0, 0],
        )


def with_decoys(model: mujoco.MjModel, decoyed: mujoco.MjModel) -> mujoco.MjModel | None:
    """`decoyed`, which has decoys on `decoyed_bodies`, with every number of `model`; None if it has other things."""
    bodies = decoyed_bodies(model)
    if model.nflex or model.nplugin or model.nbody != decoyed.nbody:
        return None
    if np.flatnonzero(decoyed.body_geomnum != model.body_geomnum).tolist() != bodies:
        return None
    decoy = np.zeros(decoyed.ngeom, dtype=bool)
    decoy[decoyed.body_geomadr[bodies] + 1] = True  # after the one geom that was there
    kept = np.flatnonzero(~decoy)
    if len(kept) != model.ngeom:
        return None
    made = copy.copy(decoyed)
    for name in _numbers():
        old, new = getattr(model, name), getattr(made, name)
        if name.startswith("geom_"):
            new[kept] = old
        elif new.shape != old.shape:
            return None
        elif old.size:
            new[:] = old
    for ids, are_geoms in _geom_ids(model):
        getattr(made, ids)[are_geoms] = kept[getattr(model, ids)[are_geoms]]
    copy_settings(model, made)
    made.geom_aabb[kept[model.body_geomadr[bodies]], 3:] += _SLACK
    return made


@cache
def _numbers() -> list[str]:
    """The arrays of a model, but for those that a model with decoys has of its own."""
    empty = mujoco.MjModel.from_xml_string("<mujoco/>")
    names = (name for name in dir(empty) if not name.startswith(("_", "name_")) and name not in _OWN)
    return [name for name in names if isinstance(getattr(empty, name), np.ndarray)]


def _measured(model: mujoco.MjModel) -> set[int]:
    """Bodies of which a sensor says where their geoms are: a decoy would be one of them."""
    body = (int(mujoco.mjtObj.mjOBJ_BODY), int(mujoco.mjtObj.mjOBJ_XBODY))
    rows = np.isin(model.sensor_type, [int(kind) for kind in _OF_ALL_GEOMS])
    ends = (model.sensor_objtype, model.sensor_objid), (model.sensor_reftype, model.sensor_refid)
    return {int(index) for kind, ids in ends for index in ids[rows & np.isin(kind, body)]}


def _geom_ids(model: mujoco.MjModel) -> list[tuple[str, NDArray[np.bool_]]]:
    """Where a model names geoms by their numbers: the field, and which of its entries."""
    every = np.ones(model.npair, dtype=bool)
    return [
        ("sensor_objid", model.sensor_objtype == _GEOM),
        ("sensor_refid", model.sensor_reftype == _GEOM),
        ("tuple_objid", model.tuple_objtype == _GEOM),
        ("wrap_objid", np.isin(model.wrap_type, _ROUND)),
        ("pair_geom1", every),
        ("pair_geom2", every),
    ]
