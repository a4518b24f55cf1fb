"""The contract of a plan: what its numbers mean, on which robot, how often."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Literal, NamedTuple, get_args

Space = Literal["ctrl", "joint", "eef", "skill"]
Representation = Literal["absolute"]
PositionUnit = Literal["m", "rad", "actuator"]  # "actuator": as each actuator of the model declares
Rotation = Literal["none", "quat_wxyz"]
Frame = Literal["world", "none"]
RangePolicy = Literal["reject"]
Tracker = Literal["direct", "ik", "joint_pd"]

MAX_ACTIONS = 10_000  # of any plan


@dataclass(frozen=True)
class ActionSpec:
    """What a plan of one format means. No field has a default: one robot's right value is another's wrong."""

    name: str  # the format that a plan names
    version: str
    space: Space
    layout: tuple[tuple[str, int], ...]  # (component, width) in the order of the numbers; empty for skills
    representation: Representation
    position_unit: PositionUnit
    rotation: Rotation
    frame: Frame
    range_policy: RangePolicy  # what happens to a value outside its range
    gripper: tuple[float, float] | None  # (value when open, value when closed); None: no gripper component
    rate_hz: float | None  # Hz, actions per second; None: actions carry their own time, or need none
    horizon: int  # actions, the most that a plan may hold
    tracker: Tracker  # what turns an action into controls
    skills: tuple[str, ...]  # names of the skills that may be called; empty unless space is "skill"

    def __post_init__(self) -> None:
        _require(self.name != "" and isinstance(self.name, str), "name", self.name, "a name that is not empty")
        _require(isinstance(self.version, str), "version", self.version, "a string")
        for field, choices in _CHOICES.items():
            _require(getattr(self, field) in choices, field, getattr(self, field), f"one of {', '.join(choices)}")
        components = [name for name, _ in self.layout]
        unique = len(set(components)) == len(components)
        layout_fits = unique and all(width > 0 for _, width in self.layout)
        _require(layout_fits, "layout", self.layout, "pairs of a unique name and a width of at least 1")
        has_gripper = "gripper" in components
        _require(
            (self.gripper is not None) == has_gripper,
            "gripper",
            self.gripper,
            "set if the layout has a gripper",
        )
        if self.gripper is not None:
            ends_differ = len(self.gripper) == 2 and self.gripper[0] != self.gripper[1]
            _require(
                ends_differ and all(map(math.isfinite, self.gripper)),
                "gripper",
                self.gripper,
                "two different numbers",
            )
        if self.rate_hz is not None:
            _require(0 < self.rate_hz < math.inf, "rate_hz", self.rate_hz, "more than 0 Hz, or None")
        _require((self.rate_hz is None) == (self.space in ("eef", "skill")), "rate_hz", self.rate_hz, _RATE)
        _require(0 < self.horizon <= MAX_ACTIONS, "horizon", self.horizon, f"between 1 and {MAX_ACTIONS}")
        _require(bool(self.skills) == (self.space == "skill"), "skills", self.skills, "names if space is skill")
        _require(bool(self.layout) == (self.space != "skill"), "layout", self.layout, "empty if space is skill")
        unknown = [name for name in self.skills if name not in SKILLS]
        _require(not unknown, "skills", unknown, f"some of {', '.join(SKILLS)}")

    @property
    def width(self) -> int:
        """Numbers in one action."""
        return sum(width for _, width in self.layout)

    @property
    def columns(self) -> tuple[str, ...]:
        """A name for each number of one action."""
        return tuple(
            name if width == 1 else f"{name}[{index}]" for name, width in self.layout for index in range(width)
        )

    def to_json(self) -> dict[str, object]:
        """The fields as JSON holds them; `from_json` reads them back."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "layout": [list(pair) for pair in self.layout],
            "gripper": None if self.gripper is None else list(self.gripper),
            "skills": list(self.skills),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "ActionSpec":
        """Raises ValueError on a missing or unknown field, or a value that the field cannot have."""
        known = {field.name: None for field in fields(cls)}
        for key in value:
            if key not in known:
                raise ValueError(f"Unknown field {key!r} of an ActionSpec. {did_you_mean(key, known)}")
        for key in known:
            if key not in value:
                choices = f" It is one of {', '.join(_CHOICES[key])}." if key in _CHOICES else ""
                raise ValueError(f"The ActionSpec lacks the field {key!r}.{choices} No field has a default.")
        return cls(**{key: _from_json(key, value[key]) for key in known})  # type: ignore[arg-type]


def ctrl(nu: int, rate_hz: float) -> ActionSpec:
    """Raw controls of the model, one number for each of its `nu` actuators."""
    return ActionSpec(
        name="ctrl",
        version="1",
        space="ctrl",
        layout=(("ctrl", nu),),
        representation="absolute",
        position_unit="actuator",
        rotation="none",
        frame="none",
        range_policy="reject",
        gripper=None,
        rate_hz=rate_hz,
        horizon=MAX_ACTIONS,
        tracker="direct",
        skills=(),
    )


def joint_position(joints: Sequence[str], rate_hz: float) -> ActionSpec:
    """Absolute targets of the joints in rad, then the gripper: 0 closed, 1 open."""
    return ActionSpec(
        name="joint_position",
        version="1",
        space="joint",
        layout=(*((joint, 1) for joint in joints), ("gripper", 1)),
        representation="absolute",
        position_unit="rad",
        rotation="none",
        frame="none",
        range_policy="reject",
        gripper=(1.0, 0.0),
        rate_hz=rate_hz,
        horizon=MAX_ACTIONS,
        tracker="joint_pd",
        skills=(),
    )


def ee_waypoints() -> ActionSpec:
    """Absolute poses of the tool frame in the world, in m, and the gripper: 0 closed, 1 open."""
    return ActionSpec(
        name="ee_waypoints",
        version="1",
        space="eef",
        layout=(("position", 3), ("orientation", 4), ("gripper", 1)),
        representation="absolute",
        position_unit="m",
        rotation="quat_wxyz",
        frame="world",
        range_policy="reject",
        gripper=(1.0, 0.0),
        rate_hz=None,
        horizon=MAX_ACTIONS,
        tracker="ik",
        skills=(),
    )


def skills(names: Sequence[str]) -> ActionSpec:
    """Calls of named skills; positions are absolute, in the world, in m."""
    return ActionSpec(
        name="skills",
        version="1",
        space="skill",
        layout=(),
        representation="absolute",
        position_unit="m",
        rotation="quat_wxyz",
        frame="world",
        range_policy="reject",
        gripper=None,
        rate_hz=None,
        horizon=MAX_ACTIONS,
        tracker="ik",
        skills=tuple(names),
    )


class Format(NamedTuple):
    """How the plans of one format are written."""

    key: str  # the key of a model's JSON object that holds the actions
    example: str  # how that object looks


FORMATS: dict[str, Format] = {
    "ctrl": Format("actions", '{"actions": [[u0, u1, ...], ...]}'),
    "joint_position": Format("actions", '{"actions": [[joint1, ..., gripper], ...]}'),
    "ee_waypoints": Format(
        "waypoints",
        '{"waypoints": [{"position": [x, y, z], "gripper": 1}, ...]}',
    ),
    "skills": Format("skills", '{"skills": [{"skill": "pick", "object": "cube"}, ...]}'),
}


ArgumentKind = Literal["name", "position", "name or position", "orientation", "length", "seconds"]


class Skill(NamedTuple):
    """The arguments that a skill takes."""

    required: Mapping[str, ArgumentKind]
    optional: Mapping[str, ArgumentKind]


SKILLS: dict[str, Skill] = {
    "pick": Skill({"object": "name"}, {}),
    "place": Skill({"target": "name or position"}, {}),
    "move_to": Skill({"position": "position"}, {"orientation": "orientation"}),
    "open_gripper": Skill({}, {}),
    "close_gripper": Skill({}, {}),
    "lift": Skill({}, {"height": "length"}),
    "wait": Skill({"seconds": "seconds"}, {}),
    "home": Skill({}, {}),
}


def did_you_mean(word: object, known: Sequence[str] | Mapping[str, object]) -> str:
    """The nearest known name if one is near, and the known ones."""
    word = word.lower()[:64] if isinstance(word, str) else ""
    begun = [name for name in known if len(word) >= 3 and (name.startswith(word) or word.startswith(name))]
    near = get_close_matches(word, known, n=1) or begun
    names = list(known)
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return (f"Did you mean {near[0]!r}? " if near else "") + f"Known: {listed}."


_CHOICES: dict[str, tuple[str, ...]] = {
    "space": get_args(Space),
    "representation": get_args(Representation),
    "position_unit": get_args(PositionUnit),
    "rotation": get_args(Rotation),
    "frame": get_args(Frame),
    "range_policy": get_args(RangePolicy),
    "tracker": get_args(Tracker),
}
_RATE = "a number of Hz for the spaces ctrl and joint, None for eef and skill"


def _require(holds: bool, field: str, value: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"The field {field!r} of an ActionSpec is {value!r}; it must be {wanted}.")


def _from_json(field: str, value: object) -> object:
    """A field as JSON holds it, as the dataclass holds it."""
    if field in ("name", "version") or field in _CHOICES:
        _require(isinstance(value, str), field, value, "a string")
    elif field == "horizon":
        _require(isinstance(value, int) and not isinstance(value, bool), field, value, "a whole number")
    elif field == "rate_hz":
        _require(value is None or _is_number(value), field, value, "a number of Hz, or null")
    elif field == "gripper" and value is not None:
        _require(isinstance(value, list) and all(map(_is_number, value)), field, value, "[open, closed], or null")
    elif field == "skills":
        _require(isinstance(value, list) and all(isinstance(name, str) for name in value), field, value, "names")
    elif field == "layout":
        _require(
            isinstance(value, list) and all(map(_is_component, value)),
            field,
            value,
            "[component, width] pairs",
        )
        assert isinstance(value, list)
        return tuple(map(tuple, value))
    return tuple(value) if isinstance(value, list) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_component(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return isinstance(value[0], str) and isinstance(value[1], int) and not isinstance(value[1], bool)
