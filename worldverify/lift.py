"""What the points of a picture show: rays from the camera into the scene, or the reason why a point means nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.camera import SHOWN_GROUPS, Camera, View, view_of, written
from worldverify.describe import describe, shorten
from worldverify.extent import extent, subtree
from worldverify.glass import GLASS
from worldverify.kernels import imaging
from worldverify.kernels.imaging import Order, Unit
from worldverify.labels import named_by
from worldverify.refusal import Refusal
from worldverify.skills import catalogue

Floats = NDArray[np.float64]

SOLID = 0.5  # alpha; a shape more translucent is drawn as glass, and a point shows what is behind it
MOST_GLASS = 32  # panes that one ray passes
_STEP = 1e-6  # m behind the pane where the ray goes on
_ACROSS = 24  # pixels a side that are tried where the middle of an object is hidden
_MOST_LISTED = 8  # objects named in a sentence


@dataclass(frozen=True, eq=False)
class Hit:
    """What one point of a picture shows."""

    title: str  # how sentences name the point: "Point 2 ([120, 960])"
    object: str  # the body that a plan may name, or else the geom; "" if neither has a name
    body: int
    geom: int
    position: Floats  # (3,)  m, on the surface, in the world
    normal: Floats  # (3,)  unit, out of the surface
    distance: float  # m, from the eye
    pixel: Floats  # (2,)  px, x and y


class Lifted(NamedTuple):
    """What the points of a picture show, in their order, and what a person should know about them."""

    hits: tuple[Hit, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Picture:
    """What a model saw, and how it writes points. A point shows what is drawn there, the arm included."""

    model: Any
    data: Any
    view: View
    order: Order
    unit: Unit
    objects: Mapping[str, frozenset[int]]  # name -> geoms, of what a label may name
    own: frozenset[int]  # bodies of the arm

    def pixel(self, point: object, title: str) -> Floats:
        """(2,) px of a point [a, b], or of the centre of a box [a, b, c, d], both corners in the order of points."""
        corners = np.array(_numbers(point, title, self.order)).reshape(-1, 2)
        if np.any(corners[0] > corners[-1]):
            a, b = self.order
            raise Refusal(
                "out_of_range",
                f"{title} has its corners in the wrong order; a box is [{a}min, {b}min, {a}max, {b}max].",
            )
        camera = self.view.camera
        pixels = imaging.to_pixels(corners, camera.width, camera.height, order=self.order, unit=self.unit)
        if not all(self.view.contains(pixel) for pixel in pixels):
            raise Refusal(
                "outside_image", f"{title} lies outside of the picture: {written(self.order, self.unit, camera)}."
            )
        pixel: Floats = 0.5 * (pixels[0] + pixels[-1])
        return pixel

    def lift(self, point: object, title: str) -> Hit:
        """What a point or the centre of a box shows."""
        pixel = self.pixel(point, title)
        found = self.cast(pixel)
        if found is None:
            raise Refusal("hits_nothing", f"{title} hits nothing: no surface is drawn there. {self._in_view()}")
        geom, distance, normal = found
        body = int(self.model.geom_bodyid[geom])
        if body in self.own:
            raise Refusal(
                "hits_nothing",
                f"{title} shows the arm ({self.model.body(body).name}), which hides what is behind it. "
                f"{self._in_view()}",
            )
        position = self.view.position + distance * self.view.directions(pixel)
        return Hit(title, self.name_of(geom), body, geom, position, normal, distance, pixel)

    def cast(self, pixel: Floats) -> tuple[int, float, Floats] | None:
        """The first solid geom at a pixel (2,), its distance from the eye [m] and its normal (3,); or None."""
        model, along = self.model, np.ascontiguousarray(self.view.directions(pixel))
        shown = np.isin(np.arange(6), SHOWN_GROUPS).astype(np.uint8)
        geom, normal = np.full(1, -1, np.int32), np.zeros(3)
        gone = 0.0
        for _ in range(MOST_GLASS):
            origin = self.view.position + gone * along
            way = mujoco.mj_ray(model, self.data, origin, along, shown, True, -1, geom, normal)
            hit = int(geom[0])
            if hit < 0:
                return None
            if not _is_glass(model, hit):
                return hit, gone + way, normal.copy()
            gone += way + _STEP
        return None

    def name_of(self, geom: int) -> str:
        """The innermost named body that carries a geom; of the world, the geom's own name."""
        body = int(self.model.geom_bodyid[geom])
        while body != 0:
            if name := self.model.body(body).name:
                return str(name)
            body = int(self.model.body_parentid[body])
        return str(self.model.geom(geom).name)

    def point_at(self, name: str) -> list[float] | None:
        """A point that shows an object, as a model writes it; in its middle if that is seen, None if nothing is."""
        geoms = self.objects[name]
        bodies = {int(self.model.geom_bodyid[geom]) for geom in geoms}
        candidates = [] if bodies == {0} else [extent(self.model, self.data, bodies, 0.0).center]
        for geom in sorted(geoms):
            turn = self.data.geom_xmat[geom].reshape(3, 3)
            candidates.append(self.data.geom_xpos[geom] + turn @ self.model.geom_aabb[geom, :3])
        middles = [pixel for pixel in self.view.project(np.array(candidates))[0] if self.view.contains(pixel)]
        for pixel in (*middles, *_grid(self.view.camera)):
            point = self.write(pixel)
            found = self.cast(self.pixel(point, name))
            if found is not None and found[0] in geoms:
                return point
        return None

    def write(self, pixel: Floats) -> list[float]:
        """A pixel (2,) as a model would write it: whole numbers, or three decimals of the unit."""
        camera = self.view.camera
        point = imaging.from_pixels(pixel, camera.width, camera.height, order=self.order, unit=self.unit)
        return [round(x, 3) if self.unit == "unit" else round(x) for x in point.tolist()]

    def check_label(self, hit: Hit, label: object, *, required: bool) -> str | None:
        """A warning for a label that names nothing. Refuses a point that shows another object than its label names."""
        if not isinstance(label, str):
            raise Refusal("wrong_type", f"{hit.title} has the label {describe(label)}; a label is a string.")
        meant = named_by(label, self.objects)
        if not meant:
            known = ", ".join(list(self.objects)[:_MOST_LISTED])
            sentence = f"{hit.title} has the label {shorten(label)}, which names nothing in the scene ({known})"
            if required:
                raise Refusal("unknown_object", f"{sentence}; use one of these names.")
            return f"{sentence}; it shows {_shown(hit)}."
        if any(hit.geom in self.objects[name] for name in meant):
            return None
        places = [f"{name!r} is {_at(self.point_at(name))}" for name in meant[:_MOST_LISTED]]
        raise Refusal(
            "wrong_object",
            f"{hit.title} has the label {shorten(label)} but shows {_shown(hit)}; {', '.join(places)}.",
        )

    def _in_view(self) -> str:
        """The objects that the picture shows, with a point for each."""
        seen = {name: point for name in self.objects if (point := self.point_at(name)) is not None}
        if not seen:
            return "No object of the scene is in view."
        listed = ", ".join(f"{name} at {point}" for name, point in list(seen.items())[:_MOST_LISTED])
        return f"In view: {listed}."


def look(model: Any, data: Any, camera: Camera, *, order: Order, unit: Unit, arm: Arm | None = None) -> Picture:
    """The picture of a state, whose positions are brought up to date in `data`.

    Objects are the named bodies and the named geoms of the world; with an `arm`, its own parts are none.
    """
    own = catalogue(model, arm).own if arm is not None else frozenset[int]()
    objects: dict[str, frozenset[int]] = {}
    for body in range(1, model.nbody):
        name = str(model.body(body).name)
        if name and body not in own:
            bodies = subtree(model, body) - own
            objects[name] = frozenset(np.flatnonzero(np.isin(model.geom_bodyid, list(bodies))).tolist())
    for geom in np.flatnonzero(model.geom_bodyid == 0).tolist():
        if name := str(model.geom(geom).name):
            objects.setdefault(name, frozenset((geom,)))
    return Picture(model, data, view_of(model, data, camera), order, unit, objects, own)


def lift_points(
    model: Any,
    data: Any,
    camera: Camera,
    points: object,
    *,
    order: Order,
    unit: Unit,
    labels: Sequence[object] | None = None,
    arm: Arm | None = None,
    required: bool = False,
) -> Lifted:
    """What points [a, b], or the centres of boxes [a, b, c, d], show in the picture of the state in `data`.

    A ray ends at the first shape that the picture draws as solid: in groups 0 to 2, with an alpha of at least 0.5.
    Sites are marks and stop no ray. The arm does, and a point on it is refused if `arm` says which parts it has.
    Raises Refusal for a point that is no point, lies outside of the picture, hits nothing, or shows another object
    than its label names. A label that names nothing is a warning, or a Refusal where labels are `required`.
    """
    if not isinstance(points, list | tuple) and not isinstance(points, np.ndarray):
        raise Refusal("wrong_type", f"The points are {describe(points)}; give a list of [{', '.join(order)}].")
    if len(points) == 0:
        raise Refusal("empty", "There are no points; give at least one.")
    if labels is not None and len(labels) != len(points):
        raise Refusal("wrong_width", f"There are {len(points)} points and {len(labels)} labels; give one for each.")
    picture = look(model, data, camera, order=order, unit=unit, arm=arm)
    hits, warnings = [], []
    for number, point in enumerate(points, 1):
        hits.append(picture.lift(point, f"Point {number} ({shorten(_plain(point), 60)})"))
        label = labels[number - 1] if labels is not None else None
        if label is None and required:
            raise Refusal("missing_key", f"{hits[-1].title} has no label; say what it shows.")
        warning = picture.check_label(hits[-1], label, required=required) if label is not None else None
        warnings += [] if warning is None else [warning]
    return Lifted(tuple(hits), tuple(warnings))


def _plain(point: object) -> object:
    return point.tolist() if isinstance(point, np.ndarray) else list(point) if isinstance(point, tuple) else point


def _numbers(point: object, title: str, order: Order) -> list[float]:
    """Two or four finite numbers."""
    values = _plain(point)
    if not isinstance(values, list):
        raise Refusal("wrong_type", f"{title} is {describe(values)}; a point is [{', '.join(order)}].")
    if len(values) not in (2, 4):
        raise Refusal(
            "wrong_width",
            f"{title} has {len(values)} value{'' if len(values) == 1 else 's'}; a point [{', '.join(order)}] has 2 and "
            "a box 4.",
        )
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal("wrong_type", f"{title} holds {describe(value)}; it must hold numbers.")
        # Whole numbers too large for a float are not finite either.
        if abs(value) > 1e300 or not math.isfinite(value):
            raise Refusal("not_finite", f"{title} holds a value that is not finite.")
    return [float(value) for value in values]


def _grid(camera: Camera) -> Floats:
    """(K, 2) pixels spread over a picture, from its middle outwards."""
    share = (np.arange(_ACROSS) + 0.5) / _ACROSS
    points = np.stack(np.meshgrid(share, share), axis=-1).reshape(-1, 2)
    outwards = np.argsort(np.max(np.abs(points - 0.5), axis=1), kind="stable")
    pixels: Floats = points[outwards] * (camera.width, camera.height)
    return pixels


def _is_glass(model: Any, geom: int) -> bool:
    """Whether the picture shows what is behind a geom; as in `render`, a material counts over a default colour."""
    material = int(model.geom_matid[geom])
    plain = np.all(np.abs(model.geom_rgba[geom] - (0.5, 0.5, 0.5, 1.0)) < 1e-6)
    rgba = model.mat_rgba[material] if material >= 0 and plain else model.geom_rgba[geom]
    return int(model.geom_type[geom]) in GLASS and float(rgba[3]) < SOLID


def _at(point: list[float] | None) -> str:
    return "not in view" if point is None else f"at {point}"


def _shown(hit: Hit) -> str:
    return repr(hit.object) if hit.object else "a shape without a name"
