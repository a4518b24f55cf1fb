"""A 7-axis arm with a parallel gripper, built from the published data of the Franka Emika Robot (Panda).

Sources:
- Denavit-Hartenberg parameters (Craig's convention), limits of position, velocity and torque: Franka Control
  Interface documentation, "Robot and interface specifications", sections "Limits for Panda" and
  "Denavit-Hartenberg parameters";
- mass, centre of mass and inertia of links 1 to 7: C. Gaz, M. Cognetti, A. Oliva, P. Robuffo Giordano, A. De Luca,
  "Dynamic Identification of the Franka Emika Panda Robot With Retrieval of Feasible Parameters Using
  Penalty-Based Optimization", IEEE Robotics and Automation Letters 4(4), 2019, as used by
  Franka's own robot description, which also gives the mass of the base;
- gripper: Franka Hand product manual, and the hand's entry in Franka Desk (0.73 kg, fingers included);
- rotor inertia seen at the joints: stated by Franka for the FR3, rounded (none is published for the Panda).

The shapes are our own: one capsule per link, boxes for the fingers.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import mujoco
import numpy as np

from worldverify.arm import Arm, Floats

Vec = tuple[float, float, float]

# One value per joint, base first.
DH_A = (0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088)  # m, along x of the previous frame
DH_ALPHA = tuple(np.pi / 2 * turns for turns in (0, -1, 1, 1, -1, 1, 1))  # rad, about x of the previous frame
DH_D = (0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0)  # m, along z of the joint
Q_MIN = (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973)  # rad
Q_MAX = (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973)  # rad
QD_MAX = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)  # rad/s
TORQUE_MAX = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # N m
ROTOR_INERTIA = (0.6, 0.6, 0.45, 0.45, 0.2, 0.2, 0.2)  # kg m^2
HOME = (0.0, 0.0, 0.0, -3 * np.pi / 4, 0.0, 3 * np.pi / 4, np.pi / 4)  # rad: tool at (0.50, 0, 0.22), looking down

# Servo law: torque = KP (target - q) - KD qd, plus gravity compensation, all within TORQUE_MAX.
KP = (1500.0, 1500.0, 1200.0, 1200.0, 300.0, 300.0, 300.0)  # N m/rad
KD = (110.0, 110.0, 80.0, 80.0, 17.0, 17.0, 17.0)  # N m s/rad

FLANGE = 0.107  # m, along z of joint 7
HAND_TURN = -np.pi / 4  # rad, of the hand on the flange
TOOL = 0.1034  # m, from the flange to the point between the fingertips
FINGER_ROOT, FINGER_TIP = 0.0584, 0.1122  # m, from the flange: where the fingers begin and end
FINGER_TRAVEL = 0.04  # m, of each finger
GRIP_MAX = 70.0  # N at each finger, continuous

# Gripper law: each finger is pressed with (GRIP_KP (target - opening) - GRIP_KD speed) / 2, within GRIP_MAX.
GRIP_KP = 1000.0  # N/m
GRIP_KD = 150.0  # N s/m


class Link(NamedTuple):
    """What a link weighs, and the capsule that stands for its housing, in the frame of its joint."""

    mass: float  # kg
    com: Vec  # m
    inertia: tuple[float, ...]  # kg m^2 about com: xx yy zz xy xz yz
    start: Vec  # m, one end of the capsule's axis
    end: Vec  # m, the other
    radius: float  # m


class Mount(NamedTuple):
    """Where the arm stands, upright, and the pose in which it starts."""

    pos: Vec = (0.0, 0.0, 0.0)  # m, of the base
    yaw: float = 0.0  # rad, direction of the base's x axis in the world
    home: tuple[float, ...] = HOME  # rad


AT_ORIGIN = Mount()


class Robot(NamedTuple):
    """What moves in a scene: one arm, or several."""

    add: Callable[[Any], None]  # to a MuJoCo spec
    home: Mapping[str, float]  # rad or m of each joint, and of each actuator that is not called as a joint is
    arms: Mapping[str, Arm]  # by name; one that is alone is called nothing
    cameras: Mapping[str, tuple[Vec, Vec]]  # m, by name: where one stands and the point that it looks at


BASE = Link(0.63, (-0.041, 0, 0.05), (3.2e-3, 3.9e-3, 4.3e-3, 0, 0, 0), (-0.08, 0, 0.07), (0, 0, 0.07), 0.07)
LINKS = (
    Link(
        mass=4.970684,
        com=(3.875e-3, 2.081e-3, -4.762e-2),
        inertia=(7.0337e-1, 7.0661e-1, 9.117e-3, -1.39e-4, 6.772e-3, 1.9169e-2),
        start=(0, 0, -0.12),
        end=(0, 0, 0),
        radius=0.065,
    ),
    Link(
        mass=0.646926,
        com=(-3.141e-3, -2.872e-2, 3.495e-3),
        inertia=(7.962e-3, 2.811e-2, 2.5995e-2, -3.925e-3, 1.0254e-2, 7.04e-4),
        start=(0, 0, 0),
        end=(0, -0.14, 0),
        radius=0.065,
    ),
    Link(
        mass=3.228604,
        com=(2.7518e-2, 3.9252e-2, -6.6502e-2),
        inertia=(3.7242e-2, 3.6155e-2, 1.083e-2, -4.761e-3, -1.1396e-2, -1.2805e-2),
        start=(0, 0, -0.11),
        end=(0.07, 0, 0),
        radius=0.055,
    ),
    Link(
        mass=3.587895,
        com=(-5.317e-2, 1.04419e-1, 2.7454e-2),
        inertia=(2.5853e-2, 1.9552e-2, 2.8323e-2, 7.796e-3, -1.332e-3, 8.641e-3),
        start=(0, 0, 0),
        end=(-0.0825, 0.11, 0),
        radius=0.055,
    ),
    Link(
        mass=1.225946,
        com=(-1.1953e-2, 4.1065e-2, -3.8437e-2),
        inertia=(3.5549e-2, 2.9474e-2, 8.627e-3, -2.117e-3, -4.037e-3, 2.29e-4),
        start=(0, 0, -0.25),
        end=(0, 0.03, -0.05),
        radius=0.05,
    ),
    Link(
        mass=1.666555,
        com=(6.0149e-2, -1.4117e-2, -1.0517e-2),
        inertia=(1.964e-3, 4.354e-3, 5.433e-3, 1.09e-4, -1.158e-3, 3.41e-4),
        start=(0, 0, 0),
        end=(0.088, 0, 0),
        radius=0.045,
    ),
    Link(
        mass=0.735522,
        com=(1.0517e-2, -4.252e-3, 6.1597e-2),
        inertia=(1.2516e-2, 1.0027e-2, 4.815e-3, -4.28e-4, -1.196e-3, -7.41e-4),
        start=(0, 0, 0.01),
        end=(0, 0, 0.065),
        radius=0.042,
    ),
)
HAND = Link(0.70, (-0.01, 0, 0.03), (1e-3, 2.5e-3, 1.7e-3, 0, 0, 0), (0, -0.07, 0.035), (0, 0.07, 0.035), 0.031)
FINGER_MASS = 0.015  # kg
FINGER_ROTOR = 0.4  # kg, inertia of the spindle drive seen at each finger (our choice: it keeps GRIP_KD stable)

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
FINGER_JOINTS = ("finger_joint1", "finger_joint2")
GRIPPER = "gripper"

# Pairs that need no contact: no pose within the limits brings them within 4 mm of each other; or they are joined
# (the base and link 1), or joined through one link whose housing makes room for both (links 5 and 7).
FINGERS = ("left_finger", "right_finger")
NO_CONTACT = {
    "arm": ("link1", "link2", "link3"),
    "link1": ("link3", "link4"),
    "link2": ("link4", "link5", "link6"),
    "link3": ("link5", "link6", "link7", "gripper", *FINGERS),
    "link4": ("link6", "link7", "gripper", *FINGERS),
    "link5": ("link7",),
    "link6": FINGERS,
    "left_finger": ("right_finger",),
}

# Stiffer than MuJoCo's default: a cube rests 0.01 mm deep in the table, and the fingers 0.3 mm deep in a held cube.
CONTACT: dict[str, tuple[float, ...]] = {"solref": (0.01, 1.0), "solimp": (0.95, 0.99, 0.001, 0.5, 2.0)}

WHITE, GREY, DARK = (0.93, 0.93, 0.92, 1.0), (0.55, 0.57, 0.6, 1.0), (0.2, 0.2, 0.22, 1.0)


def add_arm(spec: Any, mount: Mount = AT_ORIGIN, *, prefix: str = "", carrier: Any = None) -> None:
    """Add the arm to a MuJoCo spec: base body `arm`, whose frame lies in the plane that it stands on.

    All names begin with the prefix, so that there can be several. The mount is in the frame of the body that is the
    `carrier`; None: in the world.
    """
    stand = spec.worldbody if carrier is None else carrier
    body = stand.add_body(name=f"{prefix}arm", pos=mount.pos, quat=turn(mount.yaw, axis=2))
    fill(body, BASE, GREY)
    for i, link in enumerate(LINKS):
        pos, quat = _offset(i)
        body = body.add_body(name=f"{prefix}link{i + 1}", pos=pos, quat=quat)
        fill(body, link, WHITE if i % 2 == 0 else GREY)
        body.add_joint(
            name=prefix + JOINTS[i],
            axis=(0, 0, 1),
            range=(Q_MIN[i], Q_MAX[i]),
            armature=ROTOR_INERTIA[i],
            actgravcomp=True,
            actfrcrange=(-TORQUE_MAX[i], TORQUE_MAX[i]),
        )
        servo = spec.add_actuator(
            name=prefix + JOINTS[i],
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            target=prefix + JOINTS[i],
            ctrlrange=(Q_MIN[i], Q_MAX[i]),
            forcerange=(-TORQUE_MAX[i], TORQUE_MAX[i]),
        )
        servo.set_to_position(kp=KP[i], kv=KD[i])
    _add_gripper(spec, body, prefix)
    for one, others in NO_CONTACT.items():
        for other in others:
            spec.add_exclude(bodyname1=prefix + one, bodyname2=prefix + other)


def arm_value(mount: Mount = AT_ORIGIN, *, prefix: str = "", first: int = 0) -> Arm:
    """What planning must know of the arm that `add_arm` adds; `first` is the index of its first actuator."""
    offsets = [_offset(i) for i in range(7)]
    return Arm(
        joints=tuple(prefix + joint for joint in JOINTS),
        offset_pos=np.array([pos for pos, _ in offsets]),
        offset_quat=np.array([quat for _, quat in offsets]),
        tool_pos=np.array([0, 0, FLANGE + TOOL]),
        tool_quat=turn(HAND_TURN, axis=2),
        base_pos=np.array(mount.pos),
        base_quat=turn(mount.yaw, axis=2),
        q_min=np.array(Q_MIN),
        q_max=np.array(Q_MAX),
        qd_max=np.array(QD_MAX),
        home=np.array(mount.home),
        joint_controls=tuple(range(first, first + 7)),
        gripper_control=first + 7,
        gripper_open=FINGER_TRAVEL,
        gripper_closed=0.0,
        finger_joints=tuple(prefix + joint for joint in FINGER_JOINTS),
        finger_depth=FINGER_TIP - TOOL,
    )


def home_of(mount: Mount = AT_ORIGIN, *, prefix: str = "") -> dict[str, float]:
    """Where the joints of the arm are at home, and what its gripper is told there: to be open."""
    angles = dict(zip(JOINTS, mount.home, strict=True)) | dict.fromkeys((*FINGER_JOINTS, GRIPPER), FINGER_TRAVEL)
    return {prefix + name: value for name, value in angles.items()}


def one_arm(mount: Mount = AT_ORIGIN) -> Robot:
    """The arm alone."""
    return Robot(lambda spec: add_arm(spec, mount), home_of(mount), {"": arm_value(mount)}, cameras_of(mount))


def cameras_of(mount: Mount) -> dict[str, tuple[Vec, Vec]]:
    """Two cameras for one arm: `view` from its right, `front` from ahead."""
    places = {"view": ((1.25, -0.55, 0.75), (0.25, -0.05, 0.3)), "front": ((1.75, 0.0, 0.6), (0.33, 0.0, 0.25))}
    return {name: (_from_base(mount, eye), _from_base(mount, target)) for name, (eye, target) in places.items()}


def _from_base(mount: Mount, point: Vec) -> Vec:
    """A point (3,) m given in the frame of the arm's base, in the world."""
    c, s = np.cos(mount.yaw), np.sin(mount.yaw)
    x, y, z = mount.pos
    return (x + c * point[0] - s * point[1], y + s * point[0] + c * point[1], z + point[2])


def _offset(i: int) -> tuple[Floats, Floats]:
    """Pose of joint frame i in the one before it at q = 0: position (3,) m, quaternion (4,) wxyz.

    Craig's convention: Rot_x(alpha) Trans_x(a) Rot_z(q) Trans_z(d); the last two commute.
    """
    pos = np.array([DH_A[i], -np.sin(DH_ALPHA[i]) * DH_D[i], np.cos(DH_ALPHA[i]) * DH_D[i]])
    return pos, turn(DH_ALPHA[i], axis=0)


def turn(angle: float, axis: int) -> Floats:
    """Quaternion (4,) wxyz of a turn about x, y or z (axis 0, 1, 2)."""
    quat = np.zeros(4)
    quat[0], quat[1 + axis] = np.cos(angle / 2), np.sin(angle / 2)
    return quat


def fill(body: Any, link: Link, rgba: tuple[float, ...]) -> None:
    """Give a body its mass, its capsule and gravity compensation."""
    body.explicitinertial = True
    body.mass, body.ipos, body.fullinertia = link.mass, link.com, link.inertia
    body.gravcomp = 1
    body.add_geom(
        name=f"{body.name}_shape",
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(*link.start, *link.end),
        size=(link.radius, 0, 0),
        rgba=rgba,
        **CONTACT,
    )


def _add_gripper(spec: Any, flange: Any, prefix: str) -> None:
    """Two fingers that slide along the hand's y, mirrored by an equality and driven by one actuator."""
    hand = flange.add_body(name=prefix + GRIPPER, pos=(0, 0, FLANGE), quat=turn(HAND_TURN, axis=2))
    fill(hand, HAND, DARK)
    hand.add_site(name=f"{prefix}tool", pos=(0, 0, TOOL), size=(0.004, 0.004, 0.004), rgba=(0.9, 0.2, 0.2, 1), group=4)
    opening = spec.add_tendon(name=f"{prefix}opening", limited=False)
    fingers, joints = ([prefix + name for name in names] for names in (FINGERS, FINGER_JOINTS))
    for side, name, joint in zip((1, -1), fingers, joints, strict=True):
        finger = hand.add_body(name=name, gravcomp=1)
        length = FINGER_TIP - FINGER_ROOT
        finger.add_joint(
            name=joint,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, side, 0),
            range=(0, FINGER_TRAVEL),
            armature=FINGER_ROTOR,
        )
        finger.add_geom(
            name=f"{name}_shape",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(0, side * 0.0075, FINGER_ROOT + length / 2),
            size=(0.01, 0.0075, length / 2),
            mass=FINGER_MASS,
            rgba=GREY,
            solimp=CONTACT["solimp"],  # and MuJoCo's softer solref: it halves the force of closing on a cube
        )
        opening.wrap_joint(joint, 0.5)
    spec.add_equality(
        name=f"{prefix}mirror",
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=joints[1],
        name2=joints[0],
        data=(0, 1, *[0] * 10),
    )
    servo = spec.add_actuator(
        name=prefix + GRIPPER,
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target=f"{prefix}opening",
        ctrlrange=(0, FINGER_TRAVEL),
        forcerange=(-2 * GRIP_MAX, 2 * GRIP_MAX),
    )
    servo.set_to_position(kp=GRIP_KP, kv=GRIP_KD)
