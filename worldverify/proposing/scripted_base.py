"""Plans of a base on wheels for a machine without a model: places, speeds, points of its picture and raw controls."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.compile import compile_for
from worldverify.lift import look
from worldverify.plan import Plan
from worldverify.proposing.scripted_text import damaged, wrapped
from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]
Generator = np.random.Generator
Places = tuple[Mapping[str, Any], ...]

FORMATS = ("base_waypoints", "base_velocity", "image_points", "ctrl")
ASIDE = 0.15  # m, by which a clumsy plan misses its places
SHORTEST = 0.3  # of a path, after which a clumsy plan stops
SEEN = 0.02  # of the picture: points nearer to its border are not written


class BaseWriter:
    """Writes plans of a task whose good plan is a list of places."""

    def __init__(self, task: Task, seed: int) -> None:
        if task.good is None or task.good.format != "base_waypoints":
            raise ValueError(f"{task.name} has no good plan of base_waypoints that others could be made from.")
        self.task, self.state = task, task.start(seed)
        actions: Any = task.good.actions
        self.good: Places = actions
        read = [name for name in FORMATS if name in task.contracts]
        self.formats = tuple(name for name in read if name != "image_points" or self._points(self.good) is not None)

    def line(self, kind: str, format: str, generator: Generator) -> tuple[dict[str, object], str]:
        """The keys of a line, and what was done."""
        broken = kind == "wrong" and generator.random() < 0.5
        places, what = self.good, "as it should be"
        if kind == "clumsy":
            places, what = self._clumsy(format, generator)
        elif kind == "wrong" and not broken:
            ways = {"x and y swapped": _swapped(places), "centimetres": _scaled(places, 100.0)}
            what = str(generator.choice(list(ways)))
            if format == "base_waypoints":
                return {"text": wrapped(json.dumps({"waypoints": _json(ways[what])}), generator)}, what
        said = self._said(format, places)
        if kind == "wrong" and not broken:
            said, what = said[::-1], "backwards"
        key = "waypoints" if format == "base_waypoints" else "actions"
        text = json.dumps(said if format == "image_points" else {key: said})
        if broken:
            text, what = damaged(text, generator)
        else:
            text = wrapped(text, generator)
        if format == "base_waypoints":
            return {"text": text}, what
        rate = self.task.contracts[format].rate_hz
        named: dict[str, object] = {"format": format} if rate is None else {"format": format, "rate_hz": rate}
        return {**named, "text": text}, what

    def _clumsy(self, format: str, generator: Generator) -> tuple[Places, str]:
        """The good places, badly gone to; as they are where that cannot be driven or written."""
        count = max(1, int(generator.uniform(SHORTEST, 1.0) * len(self.good)))
        ways: dict[str, Places] = {
            "beside": _moved(self.good, generator.normal(0.0, ASIDE / 2, (len(self.good), 2))),
            "stops half way": self.good[:count],
        }
        if any("time" in place for place in self.good):
            ways["without waiting"] = tuple({k: v for k, v in place.items() if k != "time"} for place in self.good)
        for name in generator.permutation(list(ways)).tolist():
            try:
                self._said(format, ways[name])
            except Refusal:
                continue
            return ways[name], name
        return self.good, "as it should be"

    def _said(self, format: str, places: Places) -> list[Any]:
        """Places in a format, in as many digits as a model writes. Raises Refusal."""
        if format == "base_waypoints":
            return _json(places)
        if format == "image_points":
            points = self._points(places)
            if points is None:
                raise Refusal("outside_image", "A place lies outside of the picture.")
            return points
        controls = self._controls(places)
        rate = self.task.contracts[format].rate_hz
        assert rate is not None
        if format == "ctrl":
            kept: list[Any] = np.round(controls, 4).tolist()
            return kept
        rows: list[Any] = np.round(self._speeds(controls, rate), 3).tolist()
        return rows

    def _controls(self, places: Places) -> Floats:
        (made,) = compile_for(self.task, self.state[None], [Plan(None, "base_waypoints", None, places)])
        if isinstance(made, Refusal):
            raise made
        return made.controls

    def _speeds(self, controls: Floats, rate: float) -> Floats:
        """(T, 2) speeds at a rate [Hz] that lead along targets (N, nu), within the limits of the base."""
        base = self.task.base
        assert base is not None
        path = controls[:, list(base.controls)]
        every = round(self.task.rate / rate)
        path = path[np.minimum(np.arange(every - 1, len(path) + every - 1, every), len(path) - 1)]
        steps = np.diff(np.concatenate([self._pose()[None], path]), axis=0)
        along = steps[:, 0] * np.cos(path[:, 2]) + steps[:, 1] * np.sin(path[:, 2])
        limits = np.array([base.forward, base.turning])
        low = np.array([-base.backward, -base.turning])
        speeds: Floats = np.clip(np.stack([along, steps[:, 2]], axis=-1) * rate, low, limits)
        return speeds

    def _pose(self) -> Floats:
        data, base = self.task.scene.data(self.state), self.task.base
        assert base is not None
        return np.array(data.ctrl[list(base.controls)])

    def _points(self, places: Places) -> list[dict[str, Any]] | None:
        """Points of the picture that show the places on the floor; None if one is not to be seen, or has a time."""
        camera, task = self.task.camera, self.task
        if camera is None or any("time" in place or "yaw" in place for place in places):
            return None
        data = task.scene.data(self.state)
        mujoco.mj_kinematics(task.scene.model, data)
        picture = look(task.scene.model, data, camera, order="yx", unit="thousandths")
        spots = np.array([[*place["position"], 0.0] for place in places])
        pixels, _ = picture.view.project(spots)
        share = pixels / (camera.width, camera.height)
        if not np.all((share > SEEN) & (share < 1.0 - SEEN)):
            return None
        marks = [{"point": picture.write(pixel), "label": "floor"} for pixel in pixels]
        for mark, spot in zip(marks, spots, strict=True):
            hit = picture.lift(mark["point"], "A place")
            if np.max(np.abs(hit.position - spot)) > ASIDE:  # something stands before it
                return None
        return marks


def _moved(places: Places, shifts: Floats) -> Places:
    spots = [np.array(place["position"]) + shift for place, shift in zip(places, shifts, strict=True)]
    return tuple({**place, "position": tuple(spot.tolist())} for place, spot in zip(places, spots, strict=True))


def _scaled(places: Places, factor: float) -> Places:
    return tuple({**place, "position": tuple(factor * x for x in place["position"])} for place in places)


def _swapped(places: Places) -> Places:
    return tuple({**place, "position": tuple(reversed(place["position"]))} for place in places)


def _json(places: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Places as JSON, to a millimetre and a millisecond."""
    return [
        {
            key: [round(x, 3) for x in value] if key == "position" else round(float(value), 3)
            for key, value in place.items()
        }
        for place in places
    ]
