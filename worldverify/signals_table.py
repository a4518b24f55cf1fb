"""The signals that a spec can name: their arguments, parts, units and the range they can ever take."""

import math
from dataclasses import dataclass
from typing import Literal

from worldverify.units import Dims

ArgKind = Literal["object", "site", "joint", "sensor"]
PartKind = Literal["none", "axis", "index"]  # axis: .x .y .z is required; index: [i] is allowed

AXES = ("x", "y", "z")

CLEARANCE_CUTOFF = 10.0  # m: surfaces further apart read as this

_M, _M_S, _RAD, _N = (1, 0, 0, 0), (1, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)


@dataclass(frozen=True, slots=True)
class SignalKind:
    """One row of the table. `dims` is None where only the scene knows the unit."""

    args: tuple[ArgKind, ...]
    dims: Dims | None
    meaning: str
    part: PartKind = "none"
    lower: float = -math.inf  # SI, the least value it can take
    upper: float = math.inf  # SI, the greatest value it can take


SIGNALS: dict[str, SignalKind] = {
    "sensor": SignalKind(("sensor",), None, "a sensor of the MJCF, in the unit of its type", part="index"),
    "pos": SignalKind(("object",), _M, "world position of the frame origin", part="axis"),
    "speed": SignalKind(("object",), _M_S, "linear speed of the frame origin", lower=0.0),
    "tilt": SignalKind(("object",), _RAD, "angle between its z axis and the world's", lower=0.0, upper=math.pi),
    "distance": SignalKind(("object", "object"), _M, "between the frame origins", lower=0.0),
    "clearance": SignalKind(
        ("object", "object"), _M, "between the surfaces, negative when they overlap", upper=CLEARANCE_CUTOFF
    ),
    "contact_force": SignalKind(("object", "object"), _N, "norm of the net contact force", lower=0.0),
    "contact_load": SignalKind(
        ("object", "object"), _N, "sum of the contact forces' norms over the body pairs", lower=0.0
    ),
    "joint": SignalKind(("joint",), None, "joint position: rad for a hinge, m for a slide"),
    "joint_speed": SignalKind(("joint",), None, "joint velocity: rad/s for a hinge, m/s for a slide"),
    "joint_margin": SignalKind(("object",), _RAD, "least distance of its hinges to their limits"),
    "slide_margin": SignalKind(("object",), _M, "least distance of its slides to their limits"),
    "torque": SignalKind(("joint",), None, "actuator effort at the joint: Nm for a hinge, N for a slide"),
    "inside": SignalKind(("object", "site"), _M, "signed depth of the frame origin in the site's shape"),
}
