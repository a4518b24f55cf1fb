"""Where the shapes of a body are, and how far they reach."""

from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RAY_GEOMS = (
    mujoco.mjtGeom.mjGEOM_PLANE,
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_BOX,
)
_UNBOUNDED = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)


class Extent(NamedTuple):
    """The box around a body and what it carries, upright and turned by a yaw about the world's z."""

    center: Floats  # (3,)  m, in the world
    half: Floats  # (3,)  m, along the turned x, the turned y, and z


def subtree(model: Any, body: int) -> set[int]:
    """The body and everything that hangs on it. A parent's id is always below its child's."""
    inside = {body}
    for other in range(body + 1, model.nbody):
        if int(model.body_parentid[other]) in inside:
            inside.add(other)
    return inside


def extent(model: Any, data: Any, bodies: set[int], yaw: float) -> Extent:
    """Box around the shapes of `bodies`; a body without shapes is a point. Needs `mj_kinematics`."""
    c, s = np.cos(yaw), np.sin(yaw)
    upright = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for geom in _solid_geoms(model, bodies):
        if mujoco.mjtGeom(int(model.geom_type[geom])) in _UNBOUNDED:
            continue
        turn = upright @ data.geom_xmat[geom].reshape(3, 3)
        box = model.geom_aabb[geom]
        middle = upright @ data.geom_xpos[geom] + turn @ box[:3]
        reach = np.abs(turn) @ box[3:]
        low, high = np.minimum(low, middle - reach), np.maximum(high, middle + reach)
    if not np.all(np.isfinite(low)):
        point = np.array(data.xpos[min(bodies)])
        return Extent(point, np.zeros(3))
    return Extent(upright.T @ (0.5 * (low + high)), 0.5 * (high - low))


def surface_below(model: Any, data: Any, bodies: set[int], point: Floats) -> float | None:
    """Height [m] of the first surface of `bodies` straight below a point, or None where there is none."""
    heights = []
    down = np.array([0.0, 0.0, -1.0])
    for geom in _solid_geoms(model, bodies):
        if mujoco.mjtGeom(int(model.geom_type[geom])) not in _RAY_GEOMS:
            continue
        distance = mujoco.mju_rayGeom(
            data.geom_xpos[geom],
            data.geom_xmat[geom],
            model.geom_size[geom],
            point,
            down,
            int(model.geom_type[geom]),
        )
        if distance >= 0:
            heights.append(float(point[2] - distance))
    return max(heights, default=None)


def _solid_geoms(model: Any, bodies: set[int]) -> list[int]:
    """Geoms of `bodies` that can touch something; all of them if none can."""
    geoms = [
        g for b in sorted(bodies) for g in range(model.body_geomadr[b], model.body_geomadr[b] + model.body_geomnum[b])
    ]
    solid = [g for g in geoms if model.geom_contype[g] or model.geom_conaffinity[g]]
    return solid or geoms
