"""Sensors that MJX's JAX implementation lacks, computed from what a forward evaluation leaves behind.

Contact sensors, with MuJoCo's matching (XML reference, sensor/contact): `force` reduced to the net force, `dist`
reduced to the least distance; distances between geoms or bodies; insidesite. How many contacts there are is not what
MuJoCo C counts, so that is refused.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.geom_distance import Geoms, has_distance, signed_distance
from worldverify.kernels.measure import measure

if TYPE_CHECKING:
    from worldverify.kernels.mjx_model import Prepared

Array = Any
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_OBJ = mujoco.mjtObj
_SENSOR = mujoco.mjtSensor
_GEOM = mujoco.mjtGeom

# What MJX does not compute; its contact sensors among it, because they take no bodies and, without a reduction, show
# the first contact slots rather than the first contacts. Newer types than these are refused by MJX itself.
_COMPUTED_HERE = (_SENSOR.mjSENS_CONTACT, _SENSOR.mjSENS_GEOMDIST, _SENSOR.mjSENS_INSIDESITE)
_NOWHERE = (
    _SENSOR.mjSENS_JOINTLIMITPOS,
    _SENSOR.mjSENS_JOINTLIMITVEL,
    _SENSOR.mjSENS_JOINTLIMITFRC,
    _SENSOR.mjSENS_TENDONLIMITPOS,
    _SENSOR.mjSENS_TENDONLIMITVEL,
    _SENSOR.mjSENS_TENDONLIMITFRC,
    _SENSOR.mjSENS_GEOMNORMAL,
    _SENSOR.mjSENS_GEOMFROMTO,
    _SENSOR.mjSENS_E_POTENTIAL,
    _SENSOR.mjSENS_E_KINETIC,
    _SENSOR.mjSENS_TACTILE,
    _SENSOR.mjSENS_PLUGIN,
    _SENSOR.mjSENS_USER,
)
_LACKING = frozenset(int(kind) for kind in (*_COMPUTED_HERE, *_NOWHERE))
_MINDIST, _NETFORCE = 1, 3  # reductions
_ENDS = {int(_OBJ.mjOBJ_UNKNOWN), int(_OBJ.mjOBJ_BODY), int(_OBJ.mjOBJ_XBODY), int(_OBJ.mjOBJ_GEOM)}
_RAY_GEOMS = {"PLANE", "SPHERE", "CAPSULE", "ELLIPSOID", "BOX", "MESH"}
_SHAPES = {"SPHERE": 1, "CAPSULE": 2, "ELLIPSOID": 3, "CYLINDER": 2, "BOX": 3}
_PLACES = {"BODY": "xipos", "XBODY": "xpos", "GEOM": "geom_xpos", "SITE": "site_xpos", "CAMERA": "cam_xpos"}
_ELSEWHERE = "use the engine mujoco or mjx-warp"


class Unsupported(ValueError):
    """A model holds what an engine cannot compute; the message says what, and what would work."""


class Contacts(NamedTuple):
    """n contact sensors that show the same: "force" or "dist"."""

    shows: str
    columns: Ints  # (n, width) into sensordata
    first: Bools  # (n, ngeom) the geoms of the first object, all where none is named
    second: Bools  # (n, ngeom)


class Distances(NamedTuple):
    """n distance sensors over P geom pairs."""

    columns: Ints  # (n,)
    groups: tuple[tuple[int, int, Ints, Ints], ...]  # geom types (mjtGeom) and geom ids (p,), (p,) of each kind of pair
    pairs: Ints  # (n, most) the pairs of each sensor in the order of the groups, the last repeated
    cutoff: NDArray[np.float64]  # (n,) m


class Inside(NamedTuple):
    """One insidesite sensor."""

    column: int
    field: str  # of Data: where the object's position is
    id: int
    site: int
    expression: tuple[Any, ...]  # signed depth of a point in the site's frame, m


@dataclass(frozen=True)
class Missing:
    """What must be computed beside MJX-JAX for one model."""

    sensors: tuple[int, ...]  # ids
    contacts: tuple[Contacts, ...]
    distances: Distances | None
    inside: tuple[Inside, ...]
    elliptic: bool  # the friction cones


def missing_sensors(model: mujoco.MjModel) -> Missing:
    """What MJX-JAX lacks of a model's sensors. Unsupported, with the sensor's name, if it is not known here either."""
    lacking = [i for i in range(model.nsensor) if int(model.sensor_type[i]) in _LACKING]
    for i in range(model.nsensor):
        if i not in lacking:
            _check_native(model, i)
    contacts, distances, inside = [], [], []
    for i in lacking:
        kind = int(model.sensor_type[i])
        if kind == _SENSOR.mjSENS_CONTACT:
            contacts.append(i)
        elif kind == _SENSOR.mjSENS_GEOMDIST:
            distances.append(i)
        elif kind == _SENSOR.mjSENS_INSIDESITE:
            inside.append(_inside(model, i))
        else:
            raise _refused(model, i, f"its type {_sensor_type(model, i)} is not computed")
    return Missing(
        tuple(lacking),
        _contacts(model, contacts),
        _distances(model, distances) if distances else None,
        tuple(inside),
        int(model.opt.cone) == int(mujoco.mjtCone.mjCONE_ELLIPTIC),
    )


def misread_sensors(model: mujoco.MjModel) -> Missing:
    """What MJX-Warp shows wrongly: between two capsules that are apart a distance sensor reads its cutoff, and so it
    does between two boxes with the collider that `mjx_model.prepared` chooses for them."""
    alike = (int(_GEOM.mjGEOM_CAPSULE), int(_GEOM.mjGEOM_BOX))
    wrong = [
        i
        for i in range(model.nsensor)
        if int(model.sensor_type[i]) == _SENSOR.mjSENS_GEOMDIST
        and any(all((model.geom_type[side] == kind).any() for side in _sides(model, i)) for kind in alike)
    ]
    return Missing(tuple(wrong), (), _distances(model, wrong) if wrong else None, (), False)


def complete(prepared: "Prepared", mx: Any, data: Any) -> Array:
    """(nsensordata,) the sensordata of one lane with the missing columns filled in.

    mx, data: model and data of the implementation it was prepared for, after a forward evaluation or a step: a step
    leaves forces, contacts and poses where its forward evaluation put them.
    """
    missing = prepared.missing
    columns, values = [], []
    if missing.contacts:
        world = _contact_forces(missing.elliptic, data)
        for contacts in missing.contacts:
            columns.append(contacts.columns.ravel())
            values.append(_contact_values(contacts, world, data).ravel())
    if missing.distances is not None:
        columns.append(missing.distances.columns)
        values.append(_distance_values(missing.distances, mx, data))
    for inside in missing.inside:
        columns.append(np.array([inside.column]))
        values.append(_inside_value(inside, data)[None])
    if not columns:
        return data.sensordata
    xp = data.sensordata.__array_namespace__()
    return data.sensordata.at[np.concatenate(columns)].set(xp.concat(values))


# Contacts


def _contacts(model: mujoco.MjModel, sensors: list[int]) -> tuple[Contacts, ...]:
    """Sensors by what they show."""
    kinds = {(1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE), _NETFORCE, 1): "force"}
    kinds[1 << int(mujoco.mjtConDataField.mjCONDATA_DIST), _MINDIST, 1] = "dist"
    groups: dict[str, list[int]] = {shows: [] for shows in kinds.values()}
    for i in sensors:
        data, reduction, count = (int(p) for p in model.sensor_intprm[i][:3])
        shows = kinds.get((data, reduction, count))
        if shows is None:
            raise _refused(
                model,
                i,
                'of contact sensors only data="force" with reduce="netforce" and data="dist" with reduce="mindist" '
                'are computed, each with num="1"',
            )
        if not {int(model.sensor_objtype[i]), int(model.sensor_reftype[i])} <= _ENDS:
            raise _refused(model, i, "contacts are matched by geom, body or subtree, not by site")
        groups[shows].append(i)
    return tuple(
        Contacts(
            shows,
            np.array([np.arange(model.sensor_adr[i], model.sensor_adr[i] + model.sensor_dim[i]) for i in group]),
            np.stack([_members(model, int(model.sensor_objtype[i]), int(model.sensor_objid[i])) for i in group]),
            np.stack([_members(model, int(model.sensor_reftype[i]), int(model.sensor_refid[i])) for i in group]),
        )
        for shows, group in groups.items()
        if group
    )


def _members(model: mujoco.MjModel, kind: int, index: int) -> Bools:
    """(ngeom,) which geoms an object of a contact sensor stands for."""
    if kind == _OBJ.mjOBJ_UNKNOWN:
        return np.ones(model.ngeom, dtype=bool)
    if kind == _OBJ.mjOBJ_GEOM:
        return np.asarray(np.arange(model.ngeom) == index)
    bodies = np.arange(model.nbody) == index
    if kind == _OBJ.mjOBJ_XBODY:
        for body in range(index + 1, model.nbody):
            bodies[body] = bodies[model.body_parentid[body]]
    return np.asarray(bodies[model.geom_bodyid])


def _contact_values(contacts: Contacts, world: Array, data: Any) -> Array:
    """(n, width) what the sensors show; zero where no contact matches, and everywhere with constraints switched off."""
    xp = data.sensordata.__array_namespace__()
    dtype, contact = data.sensordata.dtype, data._impl.contact
    if not contact.dist.shape[0] or not data._impl.efc_J.size:
        return xp.zeros(contacts.columns.shape, dtype=dtype)
    geom1, geom2 = contact.geom[:, 0], contact.geom[:, 1]
    first, second = xp.asarray(contacts.first), xp.asarray(contacts.second)
    touching = contact.dist < contact.includemargin
    ahead = first[:, geom1] & second[:, geom2] & touching  # the contact's normal points from first to second
    match = ahead | (first[:, geom2] & second[:, geom1] & touching)
    if contacts.shows == "dist":
        least = xp.min(xp.where(match, contact.dist, xp.inf), axis=1)
        return xp.where(xp.any(match, axis=1), least, xp.zeros_like(least))[:, None]
    sign = xp.where(ahead, 1.0, xp.where(match, -1.0, 0.0))
    # A sum, not a matrix product: accelerators round products to ten bits.
    return xp.sum(xp.astype(sign, dtype)[:, :, None] * world, axis=1)


def _contact_forces(elliptic: bool, data: Any) -> Array:
    """(ncon, 3) N of every contact slot on its second geom, in the world's frame."""
    xp, contact = data.sensordata.__array_namespace__(), data._impl.contact
    dim, address = np.asarray(contact.dim), np.asarray(contact.efc_address)
    if not dim.size or not data._impl.efc_J.size:
        return xp.zeros((dim.size, 3), dtype=data.sensordata.dtype)
    force = data._impl.efc_force
    axis = np.arange(3)
    if elliptic:
        shown = axis < dim[:, None]
        local = force[address[:, None] + np.where(shown, axis, 0)] * shown.astype(np.float32)
    else:
        # Two edges of the pyramid a direction: their sum pushes along the normal, their difference along a tangent.
        edge = np.arange(10)
        edges = np.where(dim > 1, 2 * (dim - 1), 1)[:, None]
        pyramid = force[address[:, None] + np.where(edge < edges, edge, 0)] * (edge < edges).astype(np.float32)
        tangent = (pyramid[:, 0:4:2] - pyramid[:, 1:4:2]) * contact.friction[:, :2]
        tangent = tangent * (dim > 1).astype(np.float32)[:, None]
        local = xp.concat([xp.sum(pyramid, axis=1)[:, None], tangent], axis=1)
    return xp.sum(local[:, :, None] * contact.frame, axis=1)


# Distances


def _distances(model: mujoco.MjModel, sensors: list[int]) -> Distances:
    kinds: dict[tuple[int, int], list[tuple[int, int]]] = {}
    place: dict[int, list[tuple[tuple[int, int], int]]] = {}
    for i in sensors:
        left, right = (np.flatnonzero(side) for side in _sides(model, i))
        place[i] = []
        for a, b in itertools.product(left.tolist(), right.tolist()):
            kind = (int(model.geom_type[a]), int(model.geom_type[b]))
            if kind[0] > kind[1]:
                kind, a, b = kind[::-1], b, a
            if not has_distance(*kind):
                raise _refused(
                    model, i, f"no distance is known between {geom_label(model, a)} and {geom_label(model, b)}"
                )
            rows = kinds.setdefault(kind, [])
            place[i].append((kind, len(rows)))
            rows.append((a, b))
    start = dict(zip(kinds, itertools.accumulate((len(rows) for rows in kinds.values()), initial=0), strict=False))
    most = max(len(pairs) for pairs in place.values())
    pairs = np.array([_filled([start[kind] + row for kind, row in place[i]], most) for i in sensors])
    groups = tuple((*kind, *np.array(rows).T) for kind, rows in kinds.items())
    return Distances(np.array([model.sensor_adr[i] for i in sensors]), groups, pairs, model.sensor_cutoff[sensors])


def _sides(model: mujoco.MjModel, sensor: int) -> tuple[Bools, Bools]:
    """Two (ngeom,): the geoms that a distance sensor measures between."""
    return (
        _members(model, int(model.sensor_objtype[sensor]), int(model.sensor_objid[sensor])),
        _members(model, int(model.sensor_reftype[sensor]), int(model.sensor_refid[sensor])),
    )


def _filled(numbers: list[int], length: int) -> list[int]:
    return numbers + numbers[-1:] * (length - len(numbers))


def _distance_values(distances: Distances, mx: Any, data: Any) -> Array:
    """(n,) m; as in MuJoCo, what is farther than the cutoff reads as the cutoff."""
    xp = data.sensordata.__array_namespace__()
    every = xp.concat(
        [
            signed_distance(a, b, _geoms(mx, data, first), _geoms(mx, data, second))
            for a, b, first, second in distances.groups
        ]
    )
    nearest = xp.min(every[distances.pairs], axis=1)
    return xp.minimum(nearest, xp.asarray(distances.cutoff, dtype=nearest.dtype))


def _geoms(mx: Any, data: Any, ids: Ints) -> Geoms:
    return Geoms(data.geom_xpos[ids], data.geom_xmat[ids], mx.geom_size[ids])


# Sites


def _inside(model: mujoco.MjModel, sensor: int) -> Inside:
    site = int(model.sensor_refid[sensor])
    shape = mujoco.mjtGeom(int(model.site_type[site])).name.removeprefix("mjGEOM_")
    kind = mujoco.mjtObj(int(model.sensor_objtype[sensor])).name.removeprefix("mjOBJ_")
    if shape not in _SHAPES or kind not in _PLACES:
        raise _refused(model, sensor, f"a {kind.lower()} in a {shape.lower()} is not known")
    size = tuple(float(s) for s in model.site_size[site][: _SHAPES[shape]])
    point = tuple(("column", axis) for axis in range(3))
    index = int(model.sensor_objid[sensor])
    return Inside(int(model.sensor_adr[sensor]), _PLACES[kind], index, site, ("inside", shape.lower(), size, *point))


def _inside_value(inside: Inside, data: Any) -> Array:
    """1 inside, 0 outside."""
    xp = data.sensordata.__array_namespace__()
    away = getattr(data, inside.field)[inside.id] - data.site_xpos[inside.site]
    point = xp.sum(data.site_xmat[inside.site] * away[:, None], axis=0)
    depth = measure((inside.expression,), point[None, None, :])[0, 0, 0]
    return xp.astype(depth > 0, data.sensordata.dtype)


# Names and refusals


def _check_native(model: mujoco.MjModel, sensor: int) -> None:
    if int(model.sensor_type[sensor]) != int(_SENSOR.mjSENS_RANGEFINDER):
        return
    if int(model.sensor_dim[sensor]) != 1 or int(model.sensor_objtype[sensor]) != int(_OBJ.mjOBJ_SITE):
        raise _refused(model, sensor, "of rangefinders only the distance from a site is computed")
    for geom in range(model.ngeom):
        if mujoco.mjtGeom(int(model.geom_type[geom])).name.removeprefix("mjGEOM_") not in _RAY_GEOMS:
            raise _refused(model, sensor, f"its rays do not see {geom_label(model, geom)}")


def geom_label(model: mujoco.MjModel, geom: int) -> str:
    """How to name a geom to a person, with its type."""
    kind = mujoco.mjtGeom(int(model.geom_type[geom])).name.removeprefix("mjGEOM_").lower()
    name = mujoco.mj_id2name(model, _OBJ.mjOBJ_GEOM, geom)
    if name:
        return f"geom {name!r} ({kind})"
    body = mujoco.mj_id2name(model, _OBJ.mjOBJ_BODY, int(model.geom_bodyid[geom]))
    return f"geom {geom} of body {body!r} ({kind})"


def _sensor_type(model: mujoco.MjModel, sensor: int) -> str:
    return str(mujoco.mjtSensor(int(model.sensor_type[sensor])).name.removeprefix("mjSENS_").lower())


def _refused(model: mujoco.MjModel, sensor: int, reason: str) -> Unsupported:
    name = mujoco.mj_id2name(model, _OBJ.mjOBJ_SENSOR, sensor)
    label = repr(name) if name else f"{sensor} ({_sensor_type(model, sensor)})"
    return Unsupported(f"mjx-jax cannot show sensor {label}: {reason}. For this one {_ELSEWHERE}.")
