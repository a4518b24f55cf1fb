"""Pictures of a state without OpenGL: rays from a pinhole camera, shaded in NumPy."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.glass import GLASS, Floats, Glass, dot
from worldverify.png import Image

Colour = tuple[float, float, float]  # red, green, blue in 0..1

RED: Colour = (0.86, 0.12, 0.12)
_ZENITH = np.array([0.66, 0.78, 0.90], np.float32)
_HORIZON = np.array([0.93, 0.95, 0.97], np.float32)
_TO_LIGHT = np.array([0.30, -0.42, 0.86]) / math.sqrt(0.30**2 + 0.42**2 + 0.86**2)
_PLAIN = np.array([0.5, 0.5, 0.5], np.float32)  # what MuJoCo gives a geom without a colour


_BAND = 80_000  # pixels traced at a time, so that their arrays stay in the cache


@dataclass(frozen=True)
class Camera:
    """A camera that looks at a point from a direction; None means: so that the whole model fits."""

    azimuth_deg: float = 135.0  # deg, direction of view about z, 0 along +x, as in MuJoCo's viewer
    elevation_deg: float = -25.0  # deg, direction of view against the horizon, negative looks down
    distance: float | None = None  # m, from the eye to the point
    lookat: tuple[float, float, float] | None = None  # m, the point
    fovy_deg: float = 45.0  # deg, vertical field of view


class Painter:
    """Draws states of one model from one camera; keeps what does not change between frames.

    Groups 3 to 5 are hidden unless `groups` says otherwise (robot models keep collision shapes there).
    `highlight` maps a body (with its subtree), geom or site name, or a geom id, to a colour.
    The lights of the model are not used: one fixed light and a headlight show any scene alike.
    """

    def __init__(
        self,
        model: Any,
        *,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
        groups: Sequence[int] = (0, 1, 2),
        shadows: bool = True,
        supersample: int = 1,
        highlight: Mapping[str | int, Colour] | None = None,
    ) -> None:
        if width < 1 or height < 1 or supersample < 1:
            raise ValueError(
                f"A picture needs a width, height and supersample of at least 1, not {width}, {height}, {supersample}."
            )
        self._supersample = supersample
        self._shape = (height * supersample, width * supersample)
        self._shadows = shadows
        self._extent = float(model.stat.extent)
        self._centre = np.array(model.stat.center)
        self._camera = _resolve_camera(model, camera)
        self._fovy = _field_of_view(model, self._camera, self._extent)
        parallel = isinstance(self._camera, int) and _is_orthographic(model, self._camera)
        self._clear = 4.0 + (_FAR_EYE if parallel else 0.0)  # extents without haze
        self._groups = np.isin(np.arange(6), groups).astype(np.uint8)
        colour, alpha = _colours(model, model.geom_rgba, model.geom_matid)
        plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        colour[plane & np.all(np.abs(colour - _PLAIN) < 1e-3, axis=1)] = 0.82
        painted = _paint_highlights(model, colour, highlight or {})
        # One row more than geoms, so that -1, the id of a miss, finds a colour too.
        self._colour = np.concatenate([colour, np.zeros((1, 3), np.float32)])  # (ngeom + 1, 3)
        self._checkered = np.append(plane, False)  # (ngeom + 1,)
        self._cell = 10.0 ** math.floor(math.log10(max(self._extent, 1e-6) / 4))
        shown = np.isin(model.geom_group, groups)
        glass = shown & (alpha < 0.5) & np.isin(model.geom_type, GLASS)
        self._glass = [
            Glass("geom", int(i), int(model.geom_type[i]), model.geom_size[i], colour[i], float(alpha[i]))
            for i in np.flatnonzero(glass & (alpha > 0))
        ]
        self._glass += _site_glass(model, groups, painted)
        self._model = _with_invisible(model, glass) if glass.any() else model

    def paint(self, data: Any) -> Image:
        """(H, W, 3) uint8: the state in `data`, after `mj_forward` (or `mj_kinematics` and `mj_camlight`)."""
        height, width = self._shape
        eye, frame = self._pose(data)
        image, ray = np.empty((3, height, width), np.float32), np.empty((3, height, width), np.float32)
        geom, seen = np.empty((height, width), np.int32), np.empty((height, width), np.float32)
        band = max(2, _BAND // width // 2 * 2)  # rows; even, as shadows take every second
        for top in range(0, height, band):
            rows = slice(top, min(top + band, height))
            self._trace(data, eye, frame, rows, image, ray, geom, seen)
        image *= _outline(geom, seen)
        finite = [glass for glass in self._glass if np.isfinite(glass.pose(data)[0]).all()]
        for glass in sorted(finite, key=lambda g: -float(np.linalg.norm(g.pose(data)[0] - eye))):
            glass.blend(image, data, eye, frame, ray, seen, self._fovy)
        if self._supersample > 1:
            n = self._supersample
            image = image.reshape(3, height // n, n, width // n, n).mean(axis=(2, 4))
        np.clip(image, 0.0, 1.0, out=image)
        return np.ascontiguousarray((image * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0))

    def _pose(self, data: Any) -> tuple[Floats, Floats]:
        """The eye (3,) in metres and the camera's axes as columns (3, 3); it looks along its -z."""
        if isinstance(self._camera, int):
            frame = np.array(data.cam_xmat[self._camera]).reshape(3, 3)
            eye = np.array(data.cam_xpos[self._camera])
            if not np.isfinite(eye).all():  # the camera rides on a body that the simulation lost
                return _free_pose(Camera(), self._extent, self._centre)
            if _is_orthographic(self._model, self._camera):
                eye = eye + frame[:, 2] * (_FAR_EYE * self._extent - float((eye - self._centre) @ frame[:, 2]))
            return eye, frame
        return _free_pose(self._camera, self._extent, self._centre)

    def _trace(
        self,
        data: Any,
        eye: Floats,
        frame: Floats,
        rows: slice,
        image: NDArray[np.float32],
        ray: NDArray[np.float32],
        geom: NDArray[np.int32],
        seen: NDArray[np.float32],
    ) -> None:
        """Fills some rows of colours (3, H, W), rays (3, H, W), geom ids (H, W) and metres (H, W)."""
        height, width = self._shape
        size = (rows.stop - rows.start, width)
        rays = _pinhole(width, height, self._fovy)[rows].reshape(-1, 3) @ np.ascontiguousarray(frame.T)
        found, depth, normal = self._cast(data, eye, rays, normals=True)
        flat = np.ascontiguousarray(rays.T, np.float32)  # (3, P): colour and geometry go plane by plane
        far = np.where(found >= 0, depth, np.inf).astype(np.float32)
        facing = np.ascontiguousarray(normal.T, np.float32)
        image[:, rows] = self._shade(data, eye, flat, found, far, facing, size).reshape(3, *size)
        ray[:, rows], geom[rows], seen[rows] = flat.reshape(3, *size), found.reshape(size), far.reshape(size)

    def _cast(
        self, data: Any, origin: Floats, rays: Floats, *, normals: bool
    ) -> tuple[NDArray[np.int32], Floats, Floats]:
        """First surface along P unit rays from one origin: geom id or -1 (P,), metres (P,), normal (P, 3)."""
        count = len(rays)
        geom = np.full(count, -1, np.int32)
        depth = np.full(count, -1.0)
        normal = np.zeros((count, 3))
        if count:
            flat = normal.reshape(-1) if normals else None
            mujoco.mj_multiRay(
                self._model, data, origin, rays.reshape(-1), self._groups, True, -1, geom, depth, flat, count,
                mujoco.mjMAXVAL,
            )  # fmt: skip
        return geom, depth, normal

    def _shade(
        self,
        data: Any,
        eye: Floats,
        ray: NDArray[np.float32],
        geom: NDArray[np.int32],
        seen: NDArray[np.float32],
        normal: NDArray[np.float32],
        size: tuple[int, int],
    ) -> NDArray[np.float32]:
        """(3, P) colours: ambient from above, one light with shadow, a headlight, a soft gleam; else sky."""
        sun = _TO_LIGHT.astype(np.float32)
        distance = np.where(geom >= 0, seen, np.float32(0))
        point = ray * distance
        point += eye.astype(np.float32)[:, None]
        lit = self._lit(data, point, geom, size) if self._shadows else np.float32(1)
        towards = -dot(normal, ray)
        side = np.copysign(np.float32(1), towards)  # a surface seen from behind shows its back
        towards *= side
        direct = np.maximum(dot(normal, sun) * side, np.float32(0)) * lit
        half = np.float32(1) - dot(ray, sun)  # |light - ray|^2 / 2
        gleam = np.maximum((dot(normal, sun) * side + towards), np.float32(0)) ** 2 / (2 * half + np.float32(1e-6))
        for _ in range(4):
            gleam *= gleam
        gleam *= lit * np.float32(0.18)
        floor = np.flatnonzero(self._checkered[geom])
        gleam[floor] = 0.0
        brightness = 0.42 + 0.10 * normal[2] * side + 0.17 * towards + 0.41 * direct
        brightness[floor] *= self._checker(seen[floor], towards[floor], point[:2, floor])
        colour = np.stack([channel[geom] for channel in self._colour.T])
        colour *= brightness
        colour += gleam
        haze = np.clip((seen[floor] / self._extent - self._clear) / 16.0, 0.0, 1.0).astype(np.float32)
        colour[:, floor] = colour[:, floor] * (1 - haze) + _HORIZON[:, None] * haze
        sky = np.flatnonzero(geom < 0)
        colour[:, sky] = _sky(ray[2, sky])
        return np.asarray(colour, np.float32)

    def _lit(
        self, data: Any, point: NDArray[np.float32], geom: NDArray[np.int32], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """(P,) 0..1: how much of the light the surface at each point (3, P) sees.

        Rays go from the light to every second pixel of every second row; what lies between is
        interpolated, which costs a quarter and leaves a soft rim.
        """
        height, width = size
        light = self._centre + _TO_LIGHT * 8.0 * self._extent
        coarse = point.reshape(3, height, width)[:, ::2, ::2].reshape(3, -1)
        asked = geom.reshape(height, width)[::2, ::2].reshape(-1) >= 0
        asked &= np.abs(coarse - self._centre.astype(np.float32)[:, None]).max(axis=0) < 6.0 * self._extent
        away = coarse[:, asked].T - light
        reach = np.linalg.norm(away, axis=1)
        _, stop, _ = self._cast(data, light, np.ascontiguousarray(away / reach[:, None]), normals=False)
        lit = np.ones(asked.shape, np.float32)
        lit[asked] = (stop < 0) | (stop > reach - 4e-3 * self._extent)
        rows = -(-height // 2)
        return _doubled(_blurred(lit.reshape(rows, -1)), height, width).reshape(-1)

    def _checker(
        self, depth: NDArray[np.float32], towards: NDArray[np.float32], point: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(P,) brightness of a checkered plane, fading where a square is smaller than a pixel."""
        pixel = depth * (2.0 * math.tan(self._fovy / 2) / self._shape[0]) / np.maximum(towards, 1e-3)
        fade = np.clip(1.5 - pixel / self._cell, 0.0, 1.0)
        square = np.floor(point / self._cell + 1e-4)
        odd = np.where((square[0] + square[1]) % 2 > 0, 1.0, -1.0)
        return (1.0 + 0.045 * odd * fade).astype(np.float32)


def render(
    model: Any,
    data: Any,
    *,
    width: int = 320,
    height: int = 240,
    camera: str | int | Camera = "view",
    groups: Sequence[int] = (0, 1, 2),
    shadows: bool = True,
    supersample: int = 1,
    highlight: Mapping[str | int, Colour] | None = None,
) -> Image:
    """(height, width, 3) uint8: one frame; see `Painter`, which is cheaper for several of one model.

    `camera` is the name or id of a camera of the model, or a `Camera`. -1, and "view" in a model
    that has no camera of that name, look from where MuJoCo's viewer opens.
    """
    painter = Painter(
        model,
        width=width,
        height=height,
        camera=camera,
        groups=groups,
        shadows=shadows,
        supersample=supersample,
        highlight=highlight,
    )
    return painter.paint(data)


def _resolve_camera(model: Any, camera: str | int | Camera) -> int | Camera:
    if isinstance(camera, Camera):
        return camera
    names = [model.camera(i).name for i in range(model.ncam)]
    if isinstance(camera, str):
        if camera in names:
            return names.index(camera)
        if camera != "view":
            shown = ", ".join(name for name in names if name) or "none"
            raise ValueError(f"No camera {camera!r} in the model. Cameras: {shown}; -1 is the free camera.")
        camera = -1
    if not -1 <= camera < model.ncam:
        raise ValueError(f"No camera {camera} in the model, which has {model.ncam}. -1 is the free camera.")
    if camera >= 0:
        return int(camera)
    look = model.vis.global_
    fovy = float(look.fovy) if not look.orthographic else 45.0
    return Camera(azimuth_deg=float(look.azimuth), elevation_deg=float(look.elevation), fovy_deg=fovy)


_FAR_EYE = 20.0  # extents from the model's centre to the pinhole that stands in for a parallel camera


def _is_orthographic(model: Any, camera: int) -> bool:
    return int(model.cam_projection[camera]) == int(mujoco.mjtProjection.mjPROJ_ORTHOGRAPHIC)


def _field_of_view(model: Any, camera: int | Camera, extent: float) -> float:
    """Vertical field of view, rad."""
    if isinstance(camera, Camera):
        return math.radians(camera.fovy_deg)
    if _is_orthographic(model, camera):
        return 2.0 * math.atan(0.5 * float(model.cam_fovy[camera]) / (_FAR_EYE * extent))
    return math.radians(float(model.cam_fovy[camera]))


def _free_pose(camera: Camera, extent: float, centre: Floats) -> tuple[Floats, Floats]:
    a, e = math.radians(camera.azimuth_deg), math.radians(camera.elevation_deg)
    forward = np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
    right = np.array([math.sin(a), -math.cos(a), 0.0])
    up = np.cross(right, forward)
    target = centre if camera.lookat is None else np.array(camera.lookat, float)
    distance = 1.5 * extent if camera.distance is None else camera.distance
    return target - distance * forward, np.stack([right, up, -forward], axis=1)


@lru_cache(maxsize=16)
def _pinhole(width: int, height: int, fovy: float) -> Floats:
    """(H, W, 3) unit rays in the camera's frame, row by row from the top left."""
    reach = math.tan(fovy / 2)
    x = (2.0 * np.arange(width) + 1.0 - width) / height * reach
    y = (height - 2.0 * np.arange(height) - 1.0) / height * reach
    rays = np.stack(np.broadcast_arrays(x[None, :], y[:, None], -1.0), axis=-1)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    rays.flags.writeable = False
    return rays


def _colours(model: Any, rgba: Floats, material: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour (K, 3) and alpha (K,); a material's colour stands over the element's default one."""
    rgba = np.array(rgba, np.float32).reshape(-1, 4)
    default = np.all(np.abs(rgba - np.array([0.5, 0.5, 0.5, 1.0], np.float32)) < 1e-6, axis=1)
    for i in np.flatnonzero((np.asarray(material) >= 0) & default):
        rgba[i] = model.mat_rgba[material[i]]
        rgba[i, :3] *= _mean_texture(model, int(material[i]))
    return np.ascontiguousarray(rgba[:, :3]), rgba[:, 3].copy()


def _mean_texture(model: Any, material: int) -> Floats:
    """(3,) the mean colour of a material's texture; white without one."""
    roles = (mujoco.mjtTextureRole.mjTEXROLE_RGB, mujoco.mjtTextureRole.mjTEXROLE_RGBA)
    ids = [int(model.mat_texid[material, int(role)]) for role in roles]
    texture = next((i for i in ids if i >= 0), -1)
    if texture < 0:
        return np.ones(3, np.float32)
    channels = int(model.tex_nchannel[texture])
    start = int(model.tex_adr[texture])
    size = int(model.tex_height[texture]) * int(model.tex_width[texture]) * channels
    mean = np.asarray(model.tex_data[start : start + size]).reshape(-1, channels).mean(axis=0) / 255.0
    return np.broadcast_to(mean[:3] if channels >= 3 else mean[:1], (3,)).astype(np.float32)


def _paint_highlights(
    model: Any, colour: NDArray[np.float32], highlight: Mapping[str | int, Colour]
) -> dict[int, Colour]:
    """Colours the geoms in place; returns the sites to colour."""
    sites: dict[int, Colour] = {}
    for key, rgb in highlight.items():
        if isinstance(key, str):
            geoms, site = _named(model, key)
            if site >= 0:
                sites[site] = rgb
        elif 0 <= key < model.ngeom:
            geoms = np.array([key])
        else:
            raise ValueError(f"No geom {key} to highlight: the model has {model.ngeom} geoms.")
        colour[geoms] = 0.2 * colour[geoms] + 0.8 * np.array(rgb, np.float32)
    return sites


def _named(model: Any, name: str) -> tuple[NDArray[np.int64], int]:
    """The geoms of a body's subtree or of a geom, and the site id or -1, in that order of look-up."""
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
    if body >= 0:
        inside = np.zeros(model.nbody, bool)
        for i in range(model.nbody):  # a parent comes before its children
            inside[i] = i == body or (i > 0 and inside[model.body_parentid[i]])
        return np.flatnonzero(inside[model.geom_bodyid]), -1
    geom = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, name)
    if geom >= 0:
        return np.array([geom]), -1
    site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, name)
    if site >= 0:
        return np.array([], np.int64), int(site)
    raise ValueError(f"Nothing to highlight: no body, geom or site {name!r} in the model.")


def _site_glass(model: Any, groups: Sequence[int], painted: Mapping[int, Colour]) -> list[Glass]:
    colour, alpha = _colours(model, model.site_rgba, model.site_matid)
    shown = np.isin(model.site_group, groups) & (alpha > 0) & np.isin(model.site_type, GLASS)
    return [
        Glass(
            "site",
            int(i),
            int(model.site_type[i]),
            model.site_size[i],
            np.array(painted.get(int(i), tuple(colour[i])), np.float32),
            float(alpha[i]),
        )
        for i in np.flatnonzero(shown)
    ]


def _with_invisible(model: Any, geoms: NDArray[np.bool_]) -> Any:
    """A copy of the model in which rays pass through the given geoms: MuJoCo's rays ignore alpha 0."""
    twin = copy.copy(model)
    twin.geom_matid[geoms] = -1
    twin.geom_rgba[geoms, 3] = 0.0
    return twin


def _sky(up: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, P) colour of the sky towards rays that rise by `up` (P,)."""
    weight = np.clip(up * 1.4, 0.0, 1.0)
    return np.asarray(_HORIZON[:, None] * (1 - weight) + _ZENITH[:, None] * weight, np.float32)


def _outline(geom: NDArray[np.int32], seen: Floats) -> NDArray[np.float32]:
    """(H, W) factors that darken the nearer side of every jump in depth, and seams between geoms a little."""
    factor = np.ones(geom.shape, np.float32)
    for axis in (0, 1):
        ahead: tuple[slice, ...] = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        back: tuple[slice, ...] = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        edge = geom[ahead] != geom[back]
        near, far = np.minimum(seen[ahead], seen[back]), np.maximum(seen[ahead], seen[back])
        jump = edge & (far > near * 1.015)
        seam = np.where(edge & ~jump, np.float32(0.86), np.float32(1.0))
        first = seen[ahead] <= seen[back]
        factor[ahead] = np.minimum(factor[ahead], np.where(jump & first, np.float32(0.55), seam))
        factor[back] = np.minimum(factor[back], np.where(jump & ~first, np.float32(0.55), seam))
    return factor


def _blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean over 3 x 3 pixels."""
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9), np.float32)


def _doubled(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """(height, width): an image of every second row and column, filled up by linear interpolation."""
    padded = np.pad(image, ((0, 1), (0, 1)), mode="edge")
    full = np.empty((2 * image.shape[0], 2 * image.shape[1]), np.float32)
    full[::2, ::2] = image
    full[1::2, ::2] = (image + padded[1:, :-1]) / 2
    full[::2, 1::2] = (image + padded[:-1, 1:]) / 2
    full[1::2, 1::2] = (image + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / 4
    return full[:height, :width]
