"""The good plan of a task from any of its starts, and the formats that it can be written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.action import TIMED, ActionSpec
from worldverify.decode import Begin
from worldverify.encode import as_text, encode
from worldverify.kernels import rotation
from worldverify.lift import look
from worldverify.motion import Motion, begin_of, motion_of
from worldverify.plan import Plan
from worldverify.presets import PRESETS, preset
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions
from worldverify.task import Task
from worldverify.waypoint import Waypoint

Floats = NDArray[np.float64]

NEAR = 0.15  # m: a place this near to a movable object moves with it
TEMPOS = (1.0, 1.25, 1.6, 2.0, 2.5)  # times slower: the first that a format can write
LATEST = 0.8  # of the horizon, by which a good plan ends
WAYPOINT_RATE = 5.0  # Hz, of the waypoints that are written
WIDEST = 0.2  # m and rad, of the statistics for formats that need some; of goals of a controller, all of their range
BINS = 1.0  # m, size of the workspace of formats that write bins, from the lowest that a good plan goes
SPARE = 0.1  # m below that


@dataclass(frozen=True)
class Way:
    """How a format writes the good plan."""

    spec: ActionSpec
    slower: float = 1.0  # times that the motion is stretched; of no meaning for calls and points


@dataclass(frozen=True, eq=False)
class Material:
    """A task with an arm, from one start."""

    task: Task
    seed: int
    good: Plan  # of the start of this seed
    _motions: dict[tuple[float, float], Motion] = field(default_factory=dict)

    @cached_property
    def state(self) -> Floats:
        """(nstate,) the start."""
        return self.task.start(self.seed)

    @cached_property
    def begin(self) -> Begin:
        """The robot there."""
        return begin_of(self.task, self.state)

    @property
    def skills(self) -> tuple[Mapping[str, Any], ...] | None:
        """The calls of the good plan, if it is written in skills."""
        actions: Any = self.good.actions
        return actions if self.good.format == "skills" else None

    def calls(self, spec: ActionSpec) -> tuple[Mapping[str, Any], ...]:
        """The calls of the good plan with positions in the frame of a contract; () if it is not written in skills."""
        calls = self.skills or ()
        if spec.frame != "base":
            return calls
        at, turn = self.begin.base.position[0], self.begin.base.orientation[0]

        def seen(value: Any) -> Any:
            if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 3:
                return value
            place = rotation.rotate(rotation.conjugate(turn), np.array(value, dtype=np.float64) - at)
            return tuple(round(float(x), 5) for x in place)

        return tuple({key: seen(value) for key, value in call.items()} for call in calls)

    def motion(self, rate: float, slower: float) -> Motion:
        """The good motion in steps at a rate [Hz], stretched. Raises Refusal."""
        key = rate, slower
        if key not in self._motions:
            self._motions[key] = motion_of(self.task, self.good, self.state, rate_hz=rate, slower=slower)
        return self._motions[key]

    def rate_of(self, spec: ActionSpec) -> float:
        """Hz, of the steps of a motion that a contract is to write."""
        if spec.syntax == "waypoints":
            return WAYPOINT_RATE
        return self.task.rate if spec.rate_hz is None else spec.rate_hz

    def written(self, spec: ActionSpec, motion: Motion) -> Actions:
        """A motion by a contract, in as many digits as a model writes. Raises Refusal."""
        actions = encode(spec, motion, self.begin)
        if isinstance(actions, np.ndarray):
            return actions if spec.normalisation.encoding != "numbers" else np.round(actions, 5)
        return tuple(_rounded(one) if isinstance(one, Waypoint) else one for one in actions)  # type: ignore[return-value]

    def ways(self) -> dict[str, Way]:
        """Every format in which the good plan can be written, in the order of the task's formats and the presets."""
        found: dict[str, Way] = {}
        # What moves an arm where it stands does not say where its base drives.
        for name in (*self.task.contracts, *(PRESETS if self.task.base is None else ())):
            spec = self.task.contracts.get(name) or self._preset(name)
            way = None if spec is None else self._way(spec)
            if way is not None:
                found[name] = way
        return found

    def _preset(self, name: str) -> ActionSpec | None:
        """The preset with what it needs to be told; None if it is for another robot or needs a camera."""
        spec = preset(name)
        if spec.space == "image":
            use = "pick_place" if self.skills is not None and len(self.skills) > 1 else "pick"
            fits = self.task.camera is not None and spec.syntax == "points"
            return preset(name, use=use) if fits else None
        if spec.arms:
            return None
        if spec.needs_statistics:
            most = (WIDEST if spec.controller is None else 1.0,) * spec.width
            low = tuple(-x for x in most)
            return preset(name, normalisation=spec.normalisation._replace(first=low, second=most))
        if spec.syntax == "voxels":
            lowest = np.floor(100.0 * (self.motion(self.task.rate, 1.0).position.min(axis=0) - SPARE)) / 100.0
            lower = lowest[0], lowest[1], lowest[2]
            return preset(name, lower=tuple(map(float, lower)), upper=tuple(float(x) + BINS for x in lower))
        return spec

    def _way(self, spec: ActionSpec) -> Way | None:
        try:
            if spec.space == "skill":
                as_text(Plan(None, spec.name, None, self.calls(spec), contract=spec), {})
                return Way(spec) if self.skills else None
            if spec.space == "image":
                return Way(spec) if self.points(spec) else None
            if spec.space == "ctrl":
                return Way(spec)
        except ValueError:
            return None
        for slower in TEMPOS:
            try:
                motion = self.motion(self.rate_of(spec), slower)
                if len(motion.q) / motion.rate_hz > LATEST * self.task.horizon:
                    return None
                self.written(spec, motion)
            except Refusal as refusal:
                if refusal.code != "too_fast":
                    return None
            else:
                return Way(spec, slower)
        return None

    def points(self, spec: ActionSpec) -> tuple[Mapping[str, Any], ...]:
        """Points of the image that ask for what the good plan picks and where it places it; () if it does neither."""
        image, camera = spec.image, self.task.camera
        calls = self.skills or ()
        names = [call.get("object") or call.get("target") for call in calls]
        wanted = ["pick"] if image is None or image.use == "pick" else ["pick", "place"]
        if image is None or camera is None or [call["skill"] for call in calls] != wanted:
            return ()
        model, data = self.task.scene.model, self.task.scene.data(self.state)
        mujoco.mj_kinematics(model, data)
        unit: Any = spec.position_unit
        picture = look(model, data, camera, order=image.order, unit=unit, arm=self.task.arm)
        places = [
            picture.point_at(name) if isinstance(name, str) and name in picture.objects else None for name in names
        ]
        if None in places:
            return ()
        return tuple({"point": place, "label": name} for name, place in zip(names, places, strict=True))


def material_of(task: Task, seed: int) -> Material:
    """The task from the start of a seed, and its good plan moved along with the objects."""
    assert task.good is not None
    shifts = _shifts(task, seed)
    actions: Any = task.good.actions
    if task.good.format == "skills":
        moved: Any = tuple({key: _moved(value, shifts) for key, value in call.items()} for call in actions)
    elif task.good.format == "ee_waypoints":
        moved = tuple(replace(point, position=_moved(point.position, shifts)) for point in actions)
    else:
        moved = actions
    return Material(task, seed, replace(task.good, id=None, actions=moved))


def _shifts(task: Task, seed: int) -> list[tuple[Floats, Floats]]:
    """Of each free body: where it is at the start of seed 0, and how far from there in this one, (3,) m each."""
    model = task.scene.model
    first, now = (task.scene.data(task.start(s)) for s in (0, seed))
    places = []
    for joint in range(model.njnt):
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            at = slice(model.jnt_qposadr[joint], model.jnt_qposadr[joint] + 3)
            places.append((first.qpos[at].copy(), now.qpos[at] - first.qpos[at]))
    return places


def _moved(value: Any, shifts: list[tuple[Floats, Floats]]) -> Any:
    """A position that follows the nearest object, if one is near; anything else as it is."""
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 3 or not shifts:
        return value
    place = np.array(value, dtype=np.float64)
    away = [float(np.linalg.norm(place[:2] - at[:2])) for at, _ in shifts]
    nearest = int(np.argmin(away))
    if away[nearest] > NEAR:
        return value
    return tuple((place + shifts[nearest][1]).tolist())


def _rounded(point: Waypoint) -> Waypoint:
    """A waypoint in as many digits as a model writes."""

    def cut(values: tuple[float, ...] | None, digits: int) -> Any:
        return None if values is None else tuple(round(value, digits) for value in values)

    return replace(
        point,
        position=cut(point.position, 4),
        orientation=cut(point.orientation, 5),
        time=None if point.time is None else round(point.time, 3),
    )


def line_of(spec: ActionSpec, own: bool, rate: float | None, actions: Actions) -> dict[str, object]:
    """The keys of a plans-file line, but for its id and text, that say what the text means."""
    plan = Plan(None, spec.name, rate if spec.syntax in TIMED else None, actions, contract=None if own else spec)
    line = plan.to_json()
    return {key: line[key] for key in ("format", "rate_hz", "contract") if line.get(key) is not None}
