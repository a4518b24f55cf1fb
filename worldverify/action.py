"""The contract of a plan: what its numbers mean, on which robot, how often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, get_args

from worldverify.nearest import did_you_mean as did_you_mean

Space = Literal["ctrl", "joint", "eef", "mixed", "skill", "image", "base"]
Representation = Literal[
    "absolute", "relative_to_chunk_start", "delta_to_previous_target", "delta_to_achieved", "velocity"
]
# Of positions and joints, after `ranges`. "actuator": as each actuator of the model declares; "m/s": turns in rad/s.
PositionUnit = Literal["m", "cm", "mm", "rad", "deg", "rad/s", "deg/s", "actuator", "thousandths", "pixels", "m/s"]
Rotation = Literal[
    "none",
    "yaw",  # a turn about the world's z of a gripper that points straight down
    "rpy",  # R = Rz(yaw) Ry(pitch) Rx(roll)
    "euler_XYZ",  # R = Rx Ry Rz
    "axis_angle",
    "quat_wxyz",
    "quat_xyzw",
    "rot6d_interleaved",
    "rot6d_contiguous",
    "rot6d_rows",
]
RotationUnit = Literal["none", "rad", "deg"]
Side = Literal["none", "left", "right"]  # left: the turn is about the axes of the frame; right: about the tool's own
Frame = Literal["none", "world", "base", "tool"]  # or "camera:<name of a camera>"
RangePolicy = Literal["reject", "clip"]
Tracker = Literal["direct", "ik", "joint_pd", "drive"]
Path = Literal["straight", "joints"]
GripperMode = Literal["absolute", "relative", "sign_hold"]
NormalisationKind = Literal["none", "zscore", "q01_q99", "min_max"]
Encoding = Literal["numbers", "tokens_256"]
Syntax = Literal[
    "rows",
    "waypoints",
    "skills",
    "trajectory",
    "voxels",
    "streams",
    "world_vector",
    "points",
    "gemini_calls",
    "cap_calls",
    "saycan_lines",
    "chat_calls",
    "task_sequence",
    "pick_and_place_calls",
]

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
TIMED = ("rows", "streams", "world_vector")  # syntaxes whose actions follow one another at a rate
MAX_ACTIONS = 10_000  # of any plan
LARGEST = 1e6  # no number of a plan or of a contract is beyond it, in whatever unit
RATES = (1e-3, 1e3)  # Hz, the fewest and the most actions a second
CAMERA = "camera:"  # begins the frame of a camera


class Range(NamedTuple):
    """The values that the numbers of one component may have, and what they stand for."""

    component: str
    low: tuple[float, ...]  # as written, one for each number of the component
    high: tuple[float, ...]
    to_low: tuple[float, ...]  # in the unit of the component
    to_high: tuple[float, ...]


class Gripper(NamedTuple):
    """What the gripper's number means."""

    open: float  # value when open
    closed: float  # value when closed
    low: float  # the least value that may be written
    high: float  # the greatest
    mode: GripperMode  # the opening itself, a change of it, or its sign with 0 for "as it is"
    threshold: float | None  # absolute: what lies on either side means open or closed; relative: less holds no longer
    step: float | None  # of the whole way that the gripper goes in one action (sign_hold); None: all of it
    hold_steps: int  # actions for which a relative command stays in force


class Normalisation(NamedTuple):
    """How the numbers were scaled for the model. Statistics are never part of a preset: they are the user's."""

    kind: NormalisationKind
    encoding: Encoding  # numbers, or OpenVLA's token ids
    first: tuple[float, ...] | None  # mean, 1st percentile or minimum of each number; None: still to be given
    second: tuple[float, ...] | None  # standard deviation, 99th percentile or maximum
    epsilon: float  # added to the standard deviation or to the range
    mask: tuple[bool, ...] | None  # which numbers are scaled; None: all
    low: float  # what the first stands for (min_max, q01_q99)
    high: float  # and the second


class Controller(NamedTuple):
    """The law by which the robot of the source followed its goals: x'' = kp (goal - x) - 2 damping sqrt(kp) x'."""

    name: str
    kp: float  # 1/s^2
    damping: float  # ratio


class Settle(NamedTuple):
    """What the source's own evaluation does before the first action."""

    steps: int
    action: tuple[float, ...]


class Image(NamedTuple):
    """How points of an image are written and what they ask for."""

    order: Literal["yx", "xy"]
    use: Literal["pick", "pick_place", "path", "calls"]
    height: float  # m above what a point shows, of a path or of a move that is high
    origin: tuple[float, float]  # in the order and unit of the points; what they are counted from


@dataclass(frozen=True)
class ActionSpec:
    """What a plan of one format means. No field has a default: one robot's right value is another's wrong."""

    name: str  # the format that a plan names
    version: str
    syntax: Syntax  # how a text or a line of a plans file writes it
    space: Space
    layout: tuple[tuple[str, int], ...]  # (component, width) in the order of the numbers; empty for skills and images
    representation: tuple[tuple[str, Representation], ...]  # of each component but the gripper
    position_unit: PositionUnit
    rotation: Rotation
    rotation_unit: RotationUnit
    rotation_side: Side
    rotation_sign: int  # -1: the source turns against what is written
    rotation_limit: float | None  # rad; a longer turn of one action is shortened to it
    tool_turn: float  # rad, about its z axis, from the source's tool to ours: how the two name the sides of a gripper
    frame: str  # none, world, base, tool, or camera:<name>
    ranges: tuple[Range, ...]  # of components whose numbers are limited or scaled
    range_policy: RangePolicy  # what happens to a value outside its range
    gripper: Gripper | None  # None: no gripper component
    rate_hz: float | None  # Hz, actions per second; None: the plan says it, or its actions carry time, or need none
    horizon: int  # actions, the most that a plan may hold
    chunk: int | None  # actions that the model writes at once; None: the whole plan
    execute: int | None  # of each chunk that are carried out before the next
    normalisation: Normalisation
    tracker: Tracker  # what turns an action into controls here
    path: Path  # how the tool goes between poses that have no rate: straight, or with each joint on its own way
    controller: Controller | None  # of the source, where goals are followed by another law than by `tracker`
    settle: Settle | None
    skills: tuple[str, ...]  # names of the skills that may be called; empty unless space is "skill"
    image: Image | None  # for the space "image"
    arms: tuple[tuple[str, "ActionSpec"], ...]  # name of an arm -> its contract; empty: one arm

    def __post_init__(self) -> None:
        from worldverify.action_check import check_contract

        check_contract(self)

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

    @property
    def needs_statistics(self) -> bool:
        """Whether the statistics of its normalisation are still to be given."""
        own = self.normalisation.kind != "none" and self.normalisation.first is None
        return own or any(part.needs_statistics for _, part in self.arms)

    def part(self, component: str) -> slice:
        """The numbers of a component in one action."""
        start = 0
        for name, width in self.layout:
            if name == component:
                return slice(start, start + width)
            start += width
        raise KeyError(f"{self.name} has no component {component!r}. It has {', '.join(n for n, _ in self.layout)}.")

    def has(self, component: str) -> bool:
        """Whether the layout has a component of that name."""
        return any(name == component for name, _ in self.layout)

    def to_json(self) -> dict[str, object]:
        """The fields as JSON holds them; `from_json` reads them back."""
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "ActionSpec":
        """Raises ValueError on a missing or unknown field, or a value that the field cannot have."""
        from worldverify.action_check import from_json

        return cls(**from_json(value))


def _to_json(value: Any) -> object:
    if isinstance(value, ActionSpec):
        return value.to_json()
    if hasattr(value, "_asdict"):
        return {key: _to_json(item) for key, item in value._asdict().items()}
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


PLAIN = Normalisation("none", "numbers", None, None, 0.0, None, -1.0, 1.0)  # numbers that mean what they say

# What a contract says in the fields that mean nothing for it.
NOT_APPLICABLE: dict[str, Any] = {
    "rotation": "none",
    "rotation_unit": "none",
    "rotation_side": "none",
    "rotation_sign": 1,
    "rotation_limit": None,
    "tool_turn": 0.0,
    "frame": "none",
    "ranges": (),
    "range_policy": "reject",
    "gripper": None,
    "rate_hz": None,
    "horizon": MAX_ACTIONS,
    "chunk": None,
    "execute": None,
    "normalisation": PLAIN,
    "path": "straight",
    "controller": None,
    "settle": None,
    "skills": (),
    "image": None,
    "arms": (),
}


def contract(**said: Any) -> ActionSpec:
    """A contract whose other fields do not apply to it. For numbers of a robot each field is to be said."""
    return ActionSpec(**{**NOT_APPLICABLE, **said})


ArgumentKind = Literal["name", "position", "name or position", "orientation", "length", "seconds", "place", "angle"]


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

# Of an arm on a base that drives.
MOBILE_SKILLS: dict[str, Skill] = {
    "drive_to": Skill({"position": "place"}, {"yaw": "angle", "seconds": "seconds"}),
    **SKILLS,
}

CHOICES: dict[str, tuple[str, ...]] = {
    "syntax": get_args(Syntax),
    "space": get_args(Space),
    "position_unit": get_args(PositionUnit),
    "rotation": get_args(Rotation),
    "rotation_unit": get_args(RotationUnit),
    "rotation_side": get_args(Side),
    "range_policy": get_args(RangePolicy),
    "tracker": get_args(Tracker),
    "path": get_args(Path),
}


def of_arms(name: str, version: str, arms: Sequence[tuple[str, ActionSpec]]) -> ActionSpec:
    """The contract of several arms whose numbers stand one arm after the other. Rate and chunk must agree."""
    first = arms[0][1]
    layout = tuple((f"{arm}/{component}", width) for arm, spec in arms for component, width in spec.layout)
    every = tuple((f"{arm}/{component}", kind) for arm, spec in arms for component, kind in spec.representation)
    same = {field: getattr(first, field) for field in SHARED}
    for arm, spec in arms:
        for field, value in same.items():
            if getattr(spec, field) != value:
                raise ValueError(
                    f"The arms of {name} differ in {field!r}: {value!r} for {arms[0][0]}, {getattr(spec, field)!r} "
                    f"for {arm}. All arms of one contract share it."
                )
    return contract(
        name=name,
        version=version,
        syntax="rows",
        space="mixed",
        layout=layout,
        representation=every,
        position_unit=first.position_unit,
        arms=tuple(arms),
        **same,
    )


SHARED = ("range_policy", "rate_hz", "horizon", "chunk", "execute", "tracker")  # by the arms of one contract
