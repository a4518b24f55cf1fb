"""What points of a picture ask for: skills and waypoints."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.camera import Camera
from worldverify.describe import describe, shorten
from worldverify.extent import extent, subtree
from worldverify.kernels import kinematics
from worldverify.kernels.imaging import Order, Unit
from worldverify.lift import Hit, Picture, look
from worldverify.nearest import did_you_mean
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.route import Leg, Start
from worldverify.skills import Catalogue, catalogue, skill_route

Floats = NDArray[np.float64]

WIDEST_TARGET = 0.4  # m; what is wider is a surface, and something put on it goes to the very point
OFF_CENTRE = 0.03  # m from the middle of an object; a point farther off asks for another grasp than it gets
_SAME = 1e-6  # m, or of a quaternion: nearer, the tool is where it is told to go

CALLS: dict[str, tuple[str, ...]] = {
    "move": ("x", "y", "high"),
    "setGripperState": ("opened",),
    "setGripper": ("opened",),
    "returnToOrigin": (),
}


class Motion(NamedTuple):
    """The actions of a plan, as a plan of that format holds them, and what a person should know about them."""

    format: Literal["skills", "ee_waypoints"]
    actions: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]


def points_to_skills(
    model: Any, data: Any, hits: Sequence[Hit], arm: Arm, *, use: Literal["pick", "pick_place"]
) -> Motion:
    """Pick up what the points show in the state of `data`; with "pick_place", put it where the last point is.

    The grasp is the skill's: at the middle of the object, from above. Something is put into or onto the middle of
    what the last point shows if that is at most WIDEST_TARGET wide, else onto the point itself. Several points to
    pick must show one object. Raises Refusal for too few points, and for objects that cannot be picked up.
    """
    needed = 1 if use == "pick" else 2
    if len(hits) < needed:
        raise Refusal("empty", f"To {use.replace('_', ' and ')} takes at least {needed} points; there is one or none.")
    mujoco.mj_kinematics(model, data)
    names = catalogue(model, arm)
    grasps = hits if use == "pick" else hits[:-1]
    for hit in grasps:
        _check_movable(hit, names)
        if hit.object != grasps[0].object:
            raise Refusal(
                "ambiguous",
                f"{grasps[0].title} shows {grasps[0].object!r} and {hit.title} {hit.object!r}; the points to pick "
                "must show one object.",
            )
    picked = grasps[0].object
    away = max(_off_centre(model, data, hit, names) for hit in grasps)
    notes = (f"A point lies {1e3 * away:.0f} mm from the middle of {picked!r}, where the gripper takes it.",)
    actions: list[dict[str, Any]] = [{"skill": "pick", "object": picked}]
    if use == "pick_place":
        if hits[-1].object == picked:
            raise Refusal("wrong_object", f"{hits[-1].title} shows {picked!r} itself; point at where to put it.")
        actions.append({"skill": "place", "target": _target(model, data, hits[-1], names)})
    return Motion("skills", tuple(actions), notes if away > OFF_CENTRE else ())


def points_to_waypoints(hits: Sequence[Hit], *, height: float) -> Motion:
    """The tool goes to `height` [m] above what each point shows, one after the other, and keeps its orientation."""
    if not hits:
        raise Refusal("empty", "A path takes at least one point; there is none.")
    return Motion(
        "ee_waypoints",
        tuple({"position": [*hit.position[:2].tolist(), float(hit.position[2]) + height]} for hit in hits),
        (),
    )


def calls_to_skills(
    model: Any,
    data: Any,
    camera: Camera,
    calls: Sequence[Mapping[str, Any]],
    arm: Arm,
    *,
    order: Order,
    unit: Unit,
    origin: tuple[float, float],
    height: float,
) -> Motion:
    """Calls as Gemini Robotics-ER writes them: move(x, y, high), setGripperState(opened), returnToOrigin().

    Each call is {"call": name} with its arguments. x and y are counted from `origin`, and the three pairs are all in
    the declared order: with "yx" the argument called x is the one that goes down. Places are those of the picture of
    `data`, whatever moves later. High is `height` [m] above the top of what is there; low is where the skill pick
    would close the gripper on an object, and where place would open it over anything else. The tool changes places
    at the height of the higher of the two, except from low to low: then it goes straight. At the start the tool is at
    home, which counts as high, and empty.
    """
    if not calls:
        raise Refusal("empty", "The plan has no calls; it needs at least one.")
    hand = _Hand(look(model, data, camera, order=order, unit=unit, arm=arm), arm, origin, height)
    for number, call in enumerate(calls, 1):
        hand.take(call, f"Call {number}")
    return Motion("skills", tuple(hand.skills), ())


class _Spot(NamedTuple):
    """A place that the hand was told to go to."""

    hit: Hit
    across: Floats  # (2,)  m, x and y
    high: float  # m
    low: float  # m
    orientation: Floats  # (4,)  wxyz, of the tool when it is low


class _Hand:
    """The skills so far, and where they leave the tool."""

    def __init__(self, picture: Picture, arm: Arm, origin: tuple[float, float], height: float) -> None:
        self.skills: list[dict[str, Any]] = []
        self._picture, self._arm, self._origin, self._height = picture, arm, origin, height
        self._names = catalogue(picture.model, arm)
        self._home: tuple[Floats, Floats] = kinematics.tool_pose(arm.home, *chain_of(arm))
        self._at: tuple[Floats, Floats] | None = None  # position (3,) m and orientation (4,) wxyz, once it was told
        self._spot: _Spot | None = None  # None: at home
        self._is_low = False
        self._held: str | None = None

    def take(self, call: Mapping[str, Any], title: str) -> None:
        """Adds the skills of one call."""
        name = call.get("call")
        if not isinstance(name, str) or name not in CALLS:
            raise Refusal("unknown_skill", f"{title} is {shorten(name)}. {did_you_mean(name, CALLS)}")
        title = f"{title} ({name})"
        for key in CALLS[name]:
            if key not in call:
                raise Refusal("missing_key", f"{title} lacks {key!r}; it takes {', '.join(CALLS[name])}.")
        for key in call:
            if key not in ("call", *CALLS[name]):
                raise Refusal("unknown_key", f"{title} has the unknown key {shorten(key)}.")
        if name == "move":
            self._move(call["x"], call["y"], _flag(call["high"], f"{title}: high"), title)
        elif name == "returnToOrigin":
            self._rise()
            self.skills.append({"skill": "home"})
            self._spot, self._at = None, None
        else:
            self._grip(opened=_flag(call["opened"], f"{title}: opened"))

    def _move(self, first: object, second: object, high: bool, title: str) -> None:
        point = [_sum(start, step, title) for start, step in zip(self._origin, (first, second), strict=True)]
        hit = self._picture.lift(point, f"{title}, at {[round(x, 3) for x in point]}")
        spot = self._spot_of(hit)
        drags = self._is_low and not high
        if not drags:
            self._cross(spot, turn=not high)
        if not high:
            self._go(spot.across, spot.low, spot.orientation)
        self._spot, self._is_low = spot, not high

    def _cross(self, spot: _Spot, *, turn: bool) -> None:
        """Goes from place to place at the height of the higher one, and on to the height of the new one."""
        before = self._spot
        level = spot.high if before is None else max(spot.high, before.high)
        if before is not None and self._is_low:
            self._go(before.across, level)
        self._go(spot.across, level, spot.orientation if turn else None)
        if not turn:
            self._go(spot.across, spot.high)

    def _rise(self) -> None:
        if self._spot is not None and self._is_low:
            self._go(self._spot.across, self._spot.high)
        self._is_low = False

    def _grip(self, *, opened: bool) -> None:
        self.skills.append({"skill": "open_gripper" if opened else "close_gripper"})
        if opened:
            self._held = None
        elif self._is_low and self._spot is not None and self._spot.hit.object in self._names.movable:
            self._held = self._held or self._spot.hit.object

    def _go(self, across: Floats, height: float, orientation: Floats | None = None) -> None:
        position = np.array([*across, height])
        turn = orientation
        if self._at is not None:
            before, turned = self._at
            turn = turned if orientation is None else orientation
            if np.max(np.abs(position - before)) < _SAME and 1.0 - abs(float(turn @ turned)) < _SAME:
                return
        skill: dict[str, Any] = {"skill": "move_to", "position": position.tolist()}
        if orientation is not None:
            skill["orientation"] = orientation.tolist()
        self.skills.append(skill)
        self._at = position, self._home[1] if turn is None else turn

    def _spot_of(self, hit: Hit) -> _Spot:
        """Where the tool is when it is high and when it is low at what a point shows, with what it holds by then."""
        model, data = self._picture.model, self._picture.data
        grasp = hit.object in self._names.movable and self._held is None
        if grasp:
            low = self._lowest({"skill": "pick", "object": hit.object})
        else:
            target = _target(model, data, hit, self._names)
            if target == self._held:
                box = extent(model, data, subtree(model, self._names.movable[target]), 0.0)
                target = (box.center - (0.0, 0.0, box.half[2])).tolist()
            held = [{"skill": "pick", "object": self._held}] if self._held is not None else []
            low = self._lowest(*held, {"skill": "place", "target": target})
        top = float(hit.position[2])
        if hit.object in self._names.bodies and not _is_wide(model, data, hit, self._names):
            box = extent(model, data, subtree(model, self._names.bodies[hit.object]), 0.0)
            top = float(box.center[2] + box.half[2])
        return _Spot(hit, low.position[:2], top + self._height, float(low.position[2]), low.orientation)

    def _lowest(self, *skills: dict[str, Any]) -> Leg:
        """The lowest leg of the last of some skills, as the compiler would expand them from home."""
        start = Start(self._arm.home, *self._home, self._arm.gripper_open)
        data, model = self._picture.data, self._picture.model
        legs = skill_route(start, skills, self._arm, self._home, model, data, self._names)
        return min((leg for leg in legs if leg.label == legs[-1].label), key=lambda leg: float(leg.position[2]))


def _check_movable(hit: Hit, names: Catalogue) -> None:
    if hit.object not in names.movable:
        what = f"{hit.object!r}, which is fixed" if hit.object else "a shape without a name"
        known = ", ".join(names.movable) or "none"
        raise Refusal("wrong_object", f"{hit.title} shows {what}; these can be picked up: {known}.")


def _target(model: Any, data: Any, hit: Hit, names: Catalogue) -> Any:
    """What place is told: the name of a thing, or a point [x, y, z] on a wide surface."""
    if hit.object in names.bodies and not _is_wide(model, data, hit, names):
        return hit.object
    return hit.position.tolist()


def _is_wide(model: Any, data: Any, hit: Hit, names: Catalogue) -> bool:
    box = extent(model, data, subtree(model, names.bodies[hit.object]), 0.0)
    return bool(np.max(2.0 * box.half[:2]) > WIDEST_TARGET)


def _off_centre(model: Any, data: Any, hit: Hit, names: Catalogue) -> float:
    """Horizontal distance [m] from a point to the middle of the object that it shows."""
    middle = extent(model, data, subtree(model, names.movable[hit.object]), 0.0).center
    return float(np.hypot(*(hit.position - middle)[:2]))


def _flag(value: object, title: str) -> bool:
    if not isinstance(value, bool):
        raise Refusal("wrong_type", f"{title} is {describe(value)}; it must be true or false.")
    return value


def _sum(start: float, step: object, title: str) -> float:
    if isinstance(step, bool) or not isinstance(step, int | float):
        raise Refusal("wrong_type", f"{title}: x or y is {describe(step)}; they must be numbers.")
    if not abs(step) <= 1e9:
        raise Refusal("not_finite", f"{title}: x or y is {shorten(step)}; they must be finite numbers of the picture.")
    return start + step
