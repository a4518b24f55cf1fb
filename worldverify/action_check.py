"""Whether a contract says everything it must, and nothing that contradicts itself."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args

from worldverify import action
from worldverify.action import (
    CAMERA,
    CHOICES,
    LARGEST,
    MAX_ACTIONS,
    MOBILE_SKILLS,
    PLAIN,
    RATES,
    SHARED,
    TIMED,
    ActionSpec,
)
from worldverify.describe import shorten
from worldverify.nearest import did_you_mean

WIDTHS = {
    "none": 0,
    "yaw": 1,
    "rpy": 3,
    "euler_XYZ": 3,
    "axis_angle": 3,
    "quat_wxyz": 4,
    "quat_xyzw": 4,
    "rot6d_interleaved": 6,
    "rot6d_contiguous": 6,
    "rot6d_rows": 6,
}
IN_ANGLES = ("yaw", "rpy", "euler_XYZ", "axis_angle")
UNITS = {
    "ctrl": ("actuator",),
    "joint": ("rad", "deg", "rad/s", "deg/s"),
    "eef": ("m", "cm", "mm"),
    "base": ("m", "m/s"),
    "skill": ("m", "cm", "mm"),
    "image": ("thousandths", "pixels"),
}
TRACKERS = {
    "ctrl": ("direct",),
    "joint": ("joint_pd", "direct"),
    "eef": ("ik",),
    "base": ("drive",),
    "skill": ("ik",),
    "image": ("ik", "drive"),
}
SYNTAXES = {
    "ctrl": ("rows", "streams"),
    "joint": ("rows", "streams"),
    "eef": ("rows", "streams", "world_vector", "waypoints", "trajectory", "voxels"),
    "base": ("rows", "waypoints"),
    "mixed": ("rows", "streams"),
    "skill": ("skills", "cap_calls", "saycan_lines", "chat_calls", "task_sequence", "pick_and_place_calls"),
    "image": ("points", "gemini_calls"),
}
BASE_LAYOUTS = {"rows": (("v", 1), ("w", 1)), "waypoints": (("position", 2), ("rotation", 1))}
WIDEST = 1000  # numbers in one action
WITHOUT_RATE = ("skill", "image")
TIMED_BY_ITSELF = ("waypoints", "trajectory", "voxels")  # syntaxes whose actions carry their own time, or need none


def check_contract(spec: ActionSpec) -> None:
    """Raises ValueError that names the field and says what would do."""
    _require(isinstance(spec.name, str) and spec.name != "", "name", spec.name, "a name that is not empty")
    _require(isinstance(spec.version, str) and spec.version != "", "version", spec.version, "a version, such as '1'")
    for field, choices in CHOICES.items():
        _require(getattr(spec, field) in choices, field, getattr(spec, field), f"one of {', '.join(choices)}")
    syntaxes = SYNTAXES[spec.space]
    _require(spec.syntax in syntaxes, "syntax", spec.syntax, f"one of {', '.join(syntaxes)} for {spec.space}")
    _check_layout(spec)
    if spec.space == "mixed":
        _check_arms(spec)
        return
    _require(not spec.arms, "arms", [name for name, _ in spec.arms], "empty if space is not mixed")
    _check_motion(spec)
    _check_rotation(spec)
    _check_ranges(spec)
    _check_gripper(spec)
    _check_times(spec)
    _check_normalisation(spec)
    _check_source(spec)
    _check_calls(spec)


def _check_arms(spec: ActionSpec) -> None:
    """What several arms share agrees, and the whole says nothing that its arms do not."""
    arms = dict(spec.arms)
    _require(len(arms) >= 2 and len(arms) == len(spec.arms), "arms", list(arms), "two or more arms by unique names")
    for arm, part in spec.arms:
        _require(not part.arms, "arms", arm, "of one arm each")
        for field in SHARED:
            same = getattr(part, field) == getattr(spec, field)
            _require(same, field, getattr(spec, field), f"{getattr(part, field)!r} as for its arm {arm}: all share it")
    layout = tuple((f"{arm}/{name}", width) for arm, part in spec.arms for name, width in part.layout)
    _require(spec.layout == layout, "layout", spec.layout, f"that of its arms, {list(map(list, layout))}")
    kinds = tuple((f"{arm}/{name}", kind) for arm, part in spec.arms for name, kind in part.representation)
    _require(spec.representation == kinds, "representation", spec.representation, "that of its arms")
    own: dict[str, object] = {
        "ranges": (),
        "gripper": None,
        "normalisation": PLAIN,
        "controller": None,
        "settle": None,
        "image": None,
        "skills": (),
        "frame": "none",
        "rotation": "none",
        "rotation_unit": "none",
        "rotation_side": "none",
        "rotation_sign": 1,
        "rotation_limit": None,
        "tool_turn": 0.0,
        "path": "straight",
    }
    for field, value in own.items():
        _require(getattr(spec, field) == value, field, getattr(spec, field), "left to the arms, which each have one")


def _check_layout(spec: ActionSpec) -> None:
    components = [name for name, _ in spec.layout]
    fits = len(set(components)) == len(components) and all(width > 0 for _, width in spec.layout)
    _require(fits, "layout", spec.layout, "pairs of a unique name and a width of at least 1")
    _require(spec.width <= WIDEST, "layout", spec.width, f"of at most {WIDEST} numbers")
    one = dict(spec.layout).get("gripper", 1) == 1
    _require(one, "layout", spec.layout, "with a gripper that is 1 wide")
    symbolic = spec.space in ("skill", "image")
    _require(bool(spec.layout) != symbolic, "layout", spec.layout, "empty if space is skill or image, else not")
    if spec.space == "eef":
        unknown = [name for name in components if name not in ("position", "rotation", "gripper")]
        _require(not unknown, "layout", unknown, "of position, rotation and gripper if space is eef")
        _require(dict(spec.layout).get("position") == 3, "layout", spec.layout, "with position, 3 wide")
    if spec.space == "base":
        wanted = BASE_LAYOUTS[spec.syntax]
        _require(spec.layout == wanted, "layout", spec.layout, f"{list(map(list, wanted))} for {spec.syntax} of a base")


def _check_motion(spec: ActionSpec) -> None:
    moving = [name for name, _ in spec.layout if name != "gripper"] or ["position"]
    named = [name for name, _ in spec.representation]
    wanted = f"a pair for each of {', '.join(moving)}"
    _require(named == moving, "representation", spec.representation, wanted)
    kinds = get_args(action.Representation)
    for name, kind in spec.representation:
        _require(kind in kinds, "representation", (name, kind), f"one of {', '.join(kinds)}")
    alike = len({kind for _, kind in spec.representation}) <= 1
    if spec.space in ("ctrl", "joint") or spec.frame == "tool":
        _require(alike, "representation", spec.representation, f"the same for all of {', '.join(moving)}")
    if spec.space in ("ctrl", "skill", "image") or spec.syntax in ("waypoints", "trajectory"):
        still = all(kind == "absolute" for _, kind in spec.representation)
        _require(still, "representation", spec.representation, f"absolute for {spec.syntax} of {spec.space}")
    units = UNITS[spec.space]
    _require(spec.position_unit in units, "position_unit", spec.position_unit, f"one of {', '.join(units)}")
    if spec.syntax == "skills":
        _require(spec.position_unit == "m", "position_unit", spec.position_unit, "m for skills")
        _require(spec.frame == "world", "frame", spec.frame, "world for skills")
    speeds = spec.position_unit.endswith("/s")
    velocity = [kind == "velocity" for _, kind in spec.representation]
    fits = all(velocity) if speeds else not any(velocity)
    _require(fits, "representation", spec.representation, "velocity exactly if position_unit is one of speed")
    trackers = TRACKERS[spec.space]
    _require(spec.tracker in trackers, "tracker", spec.tracker, f"one of {', '.join(trackers)} for {spec.space}")
    is_camera = spec.frame.startswith(CAMERA) and len(spec.frame) > len(CAMERA)
    if spec.space == "image":
        _require(is_camera, "frame", spec.frame, f"'{CAMERA}' and the name of a camera: points mean nothing without it")
    elif spec.space in ("ctrl", "joint"):
        _require(spec.frame == "none", "frame", spec.frame, f"none for {spec.space}")
    else:
        known = spec.frame in ("world", "base", "tool") or is_camera
        _require(known, "frame", spec.frame, f"one of world, base, tool, {CAMERA}<name>")


def _check_rotation(spec: ActionSpec) -> None:
    width = dict(spec.layout).get("rotation", 0)
    if spec.layout:
        wanted = f"{WIDTHS[spec.rotation]} wide in the layout, or the layout's {width} needs another rotation"
        _require(WIDTHS[spec.rotation] == width, "rotation", spec.rotation, wanted)
    angles = spec.rotation in IN_ANGLES
    unit = "rad or deg" if angles else "none"
    _require((spec.rotation_unit != "none") == angles, "rotation_unit", spec.rotation_unit, unit)
    changes = dict(spec.representation).get("rotation", "absolute") != "absolute"
    sided = "left or right: the order of the product is not to be guessed" if changes else "none if it is absolute"
    _require((spec.rotation_side != "none") == changes, "rotation_side", spec.rotation_side, sided)
    own_axes = spec.frame != "tool" or spec.rotation_side != "left"
    _require(own_axes, "rotation_side", spec.rotation_side, "right if frame is tool: its axes turn with it")
    if spec.space == "base":
        turned = "yaw" if width else "none"
        _require(spec.rotation == turned, "rotation", spec.rotation, f"{turned} for {spec.syntax} of a base")
    elif spec.syntax == "waypoints" and width:
        _require(spec.rotation.startswith("quat"), "rotation", spec.rotation, "quat_wxyz or quat_xyzw for waypoints")
    _require(spec.rotation_sign in (1, -1), "rotation_sign", spec.rotation_sign, "1 or -1")
    limit = spec.rotation_limit
    fits = limit is None or (changes and _is_finite(limit) and limit > 0)
    _require(fits, "rotation_limit", limit, "rad above 0 where turns are relative, or None")
    _check_tool(spec, changes)


def _check_tool(spec: ActionSpec, changes: bool) -> None:
    fits = _is_finite(spec.tool_turn) and (spec.tool_turn == 0 or ("rotation" in dict(spec.layout) and not changes))
    _require(fits, "tool_turn", spec.tool_turn, "rad, and 0 unless rotations are absolute")
    timed = spec.syntax in TIMED and spec.path != "straight"
    _require(not timed, "path", spec.path, "straight where actions follow one another at a rate")


def _check_ranges(spec: ActionSpec) -> None:
    widths = dict(spec.layout)
    names = [limits.component for limits in spec.ranges]
    _require(len(set(names)) == len(names), "ranges", names, "one for each component")
    for limits in spec.ranges:
        _require(limits.component in widths, "ranges", limits.component, f"of {', '.join(widths)}")
        for numbers in limits[1:]:
            fits = len(numbers) == widths[limits.component] and all(map(_is_finite, numbers))
            _require(fits, "ranges", numbers, f"{widths[limits.component]} finite numbers for {limits.component}")
        rising = all(low < high for low, high in zip(limits.low, limits.high, strict=True))
        _require(rising, "ranges", limits, "from a lower to a higher value")


def _check_gripper(spec: ActionSpec) -> None:
    gripper = spec.gripper
    _require(
        (gripper is not None) == spec.has("gripper"), "gripper", gripper, "set exactly if the layout has a gripper"
    )
    if gripper is None:
        return
    _require(spec.space != "ctrl", "gripper", gripper, "None for ctrl, where it is a control like the others")
    finite = all(map(_is_finite, gripper[:4]))
    _require(finite and gripper.open != gripper.closed, "gripper", gripper, "two different numbers, open and closed")
    _require(gripper.low < gripper.high, "gripper", gripper, "of a lowest below a highest value")
    modes = get_args(action.GripperMode)
    _require(gripper.mode in modes, "gripper", gripper.mode, f"of a mode among {', '.join(modes)}")
    _require(
        gripper.threshold is None or (gripper.mode != "sign_hold" and _is_finite(gripper.threshold)),
        "gripper",
        gripper.threshold,
        "without a threshold if its mode is sign_hold",
    )
    least, most = sorted((gripper.open, gripper.closed))
    if gripper.mode == "absolute":
        within = gripper.low <= least and most <= gripper.high
        _require(within, "gripper", gripper, "of a range, low to high, that holds open and closed")
        between = gripper.threshold is None or gripper.low < gripper.threshold < gripper.high
        _require(between, "gripper", gripper.threshold, f"of a threshold between {gripper.low:g} and {gripper.high:g}")
    stepped = gripper.step is None or (gripper.mode == "sign_hold" and 0 < gripper.step <= 1)
    _require(stepped, "gripper", gripper.step, "of a step within (0, 1] for sign_hold, else None")
    held = gripper.hold_steps == 0 or (gripper.mode == "relative" and gripper.hold_steps > 0)
    _require(held, "gripper", gripper.hold_steps, "of hold_steps 0 unless its mode is relative")


def _check_times(spec: ActionSpec) -> None:
    if spec.rate_hz is not None:
        fits = _is_finite(spec.rate_hz) and RATES[0] <= spec.rate_hz <= RATES[1]
        _require(fits, "rate_hz", spec.rate_hz, f"between {RATES[0]:g} and {RATES[1]:g} Hz, or None")
    if spec.space in WITHOUT_RATE or spec.syntax in TIMED_BY_ITSELF:
        _require(spec.rate_hz is None, "rate_hz", spec.rate_hz, f"None for {spec.syntax}")
    if spec.space == "ctrl":
        _require(spec.rate_hz is not None, "rate_hz", spec.rate_hz, "a number of Hz for ctrl")
    _require(0 < spec.horizon <= MAX_ACTIONS, "horizon", spec.horizon, f"between 1 and {MAX_ACTIONS}")
    chunk, execute = spec.chunk, spec.execute
    _require((chunk is None) == (execute is None), "execute", execute, "set exactly if chunk is")
    if chunk is not None and execute is not None:
        _require(1 <= chunk <= spec.horizon, "chunk", chunk, f"between 1 and the horizon, {spec.horizon}")
        _require(1 <= execute <= chunk, "execute", execute, f"between 1 and the chunk, {chunk}")


def _check_normalisation(spec: ActionSpec) -> None:
    scale = spec.normalisation
    kinds, encodings = get_args(action.NormalisationKind), get_args(action.Encoding)
    _require(scale.kind in kinds, "normalisation", scale.kind, f"of a kind among {', '.join(kinds)}")
    _require(scale.encoding in encodings, "normalisation", scale.encoding, f"encoded as {', '.join(encodings)}")
    _require(scale.kind == "none" or bool(spec.layout), "normalisation", scale.kind, "none where there are no numbers")
    given = (scale.first is None) == (scale.second is None)
    _require(given, "normalisation", scale, "of both statistics, or of none yet")
    _require(scale.kind != "none" or scale.first is None, "normalisation", scale, "without statistics if it is none")
    if scale.first is not None and scale.second is not None:
        fits = len(scale.first) == len(scale.second) == spec.width
        finite = all(map(_is_finite, (*scale.first, *scale.second)))
        _require(fits and finite, "normalisation", scale, f"of {spec.width} finite numbers for each statistic")
        if scale.kind == "zscore":
            _require(min(scale.second) >= 0, "normalisation", scale.second, "of standard deviations from 0 on")
        else:
            rising = all(low <= high for low, high in zip(scale.first, scale.second, strict=True))
            bounds = [(low, high) for low, high in zip(scale.first, scale.second, strict=True) if low > high]
            _require(rising, "normalisation", bounds[:1], "of lower bounds that are not above the upper ones")
    booleans = scale.mask is None or all(isinstance(scaled, bool) for scaled in scale.mask)
    masked = scale.mask is None or (booleans and len(scale.mask) == spec.width)
    _require(masked, "normalisation", scale.mask, f"of a mask of {spec.width} booleans, or None")
    _require(
        _is_finite(scale.epsilon) and scale.epsilon >= 0, "normalisation", scale.epsilon, "of an epsilon from 0 on"
    )
    rising = _is_finite(scale.low) and _is_finite(scale.high) and scale.low < scale.high
    _require(rising, "normalisation", scale, "from a lower to a higher value")


def _check_source(spec: ActionSpec) -> None:
    law = spec.controller
    if law is not None:
        positive = _is_finite(law.kp) and law.kp > 0 and _is_finite(law.damping) and law.damping > 0
        _require(positive, "controller", law, "of kp and damping above 0")
        kinds = {kind for _, kind in spec.representation}
        fits = spec.space == "eef" and kinds == {"delta_to_achieved"} and spec.syntax in TIMED
        _require(fits, "controller", law, "None unless space is eef and all is delta_to_achieved at a rate")
    if spec.settle is not None:
        fits = spec.settle.steps >= 0 and len(spec.settle.action) == spec.width
        _require(fits, "settle", spec.settle, f"a number of steps and an action of {spec.width} numbers")


def _check_calls(spec: ActionSpec) -> None:
    _require(bool(spec.skills) == (spec.space == "skill"), "skills", spec.skills, "names exactly if space is skill")
    unknown = [name for name in spec.skills if name not in MOBILE_SKILLS]
    _require(not unknown, "skills", unknown, f"some of {', '.join(MOBILE_SKILLS)}")
    image = spec.image
    _require((image is not None) == (spec.space == "image"), "image", image, "set exactly if space is image")
    if image is not None:
        _require(image.order in ("yx", "xy"), "image", image.order, "of the order yx or xy")
        uses = ("pick", "pick_place", "path", "calls")
        _require(image.use in uses, "image", image.use, f"of a use among {', '.join(uses)}")
        _require(_is_finite(image.height) and image.height >= 0, "image", image.height, "of a height in m from 0 on")


def from_json(value: Mapping[str, object]) -> dict[str, Any]:
    """The fields as `ActionSpec` takes them. Raises ValueError on a missing or unknown field, or a wrong type."""
    known = {field.name: None for field in fields(ActionSpec)}
    for key in value:
        if key not in known:
            raise ValueError(f"Unknown field {key!r} of an ActionSpec. {did_you_mean(key, known)}")
    for key in known:
        if key not in value:
            choices = f" It is one of {', '.join(CHOICES[key])}." if key in CHOICES else ""
            raise ValueError(f"The ActionSpec lacks the field {key!r}.{choices} No field has a default.")
    return {key: field_from_json(key, value[key]) for key in known}


def field_from_json(field: str, value: Any) -> Any:
    """One field, as JSON holds it, as `ActionSpec` takes it."""
    if field in ("name", "version", "frame") or field in CHOICES:
        return _typed(field, value, str, "a string")
    if field in ("horizon", "rotation_sign"):
        return _typed(field, value, int, "a whole number")
    if field in ("chunk", "execute"):
        return None if value is None else _typed(field, value, int, "a whole number, or null")
    if field == "tool_turn":
        return _typed(field, value, (int, float), "a number of rad")
    if field in ("rate_hz", "rotation_limit"):
        return None if value is None else _typed(field, value, (int, float), "a number, or null")
    if field == "skills":
        return _each(field, value, str, "a list of names")
    if field in ("layout", "representation", "arms"):
        return _pairs(field, value)
    if field == "ranges":
        _require(isinstance(value, list), field, value, "a list of ranges")
        return tuple(_record(field, action.Range, item) for item in value)
    kind = _RECORDS[field]
    return None if value is None and field != "normalisation" else _record(field, kind, value)


_RECORDS: dict[str, type[Any]] = {
    "gripper": action.Gripper,
    "normalisation": action.Normalisation,
    "controller": action.Controller,
    "settle": action.Settle,
    "image": action.Image,
}


def _pairs(field: str, value: Any) -> Any:
    kinds: dict[str, tuple[type[Any], Callable[[Any], Any], str]] = {
        "layout": (int, int, "[component, width] pairs"),
        "representation": (str, str, "[component, representation] pairs"),
        "arms": (dict, ActionSpec.from_json, "[name, contract] pairs"),
    }
    kind, read, wanted = kinds[field]
    fits = isinstance(value, list) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and isinstance(pair[1], kind)
        and not isinstance(pair[1], bool)
        for pair in value
    )
    _require(fits, field, value, wanted)
    return tuple((name, read(item)) for name, item in value)


def _record(field: str, kind: type[Any], value: Any) -> Any:
    """A named tuple from an object with exactly its fields."""
    names = kind._fields
    fits = isinstance(value, dict) and set(value) == set(names)
    _require(fits, field, value, f"an object with {', '.join(names)}")
    items = {}
    for name in names:
        item = value[name]
        if isinstance(item, list):
            plain = all(isinstance(x, bool) for x in item) or all(map(_is_number, item))
            _require(plain, field, value, f"a list of numbers for its {name}")
            item = tuple(item)
        wanted = kind.__annotations__[name]
        _require(_fits(item, wanted), field, item, f"an object whose {name} is {_described(wanted)}")
        items[name] = item
    return kind(**items)


def _fits(item: Any, wanted: Any) -> bool:
    """Whether a value read from JSON has the type that a record declares."""
    if wanted is float:
        return _is_number(item)
    if wanted is int:
        return isinstance(item, int) and not isinstance(item, bool)
    if wanted is str:
        return isinstance(item, str)
    if wanted is type(None):
        return item is None
    options = get_args(wanted)
    if options and isinstance(options[0], str):
        return item in options
    if getattr(wanted, "__origin__", None) is tuple:
        return isinstance(item, tuple)
    return any(_fits(item, option) for option in options)


def _described(wanted: Any) -> str:
    options = get_args(wanted)
    if options and isinstance(options[0], str):
        return f"one of {', '.join(options)}"
    return str(getattr(wanted, "__name__", wanted))


def _typed(field: str, value: Any, kind: Any, wanted: str) -> Any:
    _require(isinstance(value, kind) and not isinstance(value, bool), field, value, wanted)
    return value


def _each(field: str, value: Any, kind: type, wanted: str) -> tuple[Any, ...]:
    _require(isinstance(value, list) and all(isinstance(item, kind) for item in value), field, value, wanted)
    return tuple(value)


def _is_finite(value: object) -> bool:
    """Whether a value is a number, and none that only a mistake writes."""
    return _is_number(value) and -LARGEST <= value <= LARGEST  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(holds: bool, field: str, value: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"The field {field!r} of an ActionSpec is {shorten(value, 200)}; it must be {wanted}.")
