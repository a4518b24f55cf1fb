"""A six-axis industrial arm with a touch probe, built from the published data of the Universal Robots UR5e.

Sources, all of Universal Robots:
- Denavit-Hartenberg parameters (the standard, distal convention), mass and centre of mass of each link: article "DH
  Parameters for calculations of kinematics and dynamics"; it calls the inertia of these links negligible, so that of
  a solid cylinder in the place of the link's housing stands here;
- torque limits: article "Max. joint torques";
- range, speed and weight: UR5e technical details (all joints +-360 degrees and 180 degrees a second, 20.6 kg).

The shapes, the probe, the rotor inertia and the gains of the servos, which are not published, are our own.
"""

from typing import Any, NamedTuple

import mujoco
import numpy as np

from worldverify.arm import Arm, Floats
from worldverify.envs.arm import CONTACT, DARK, GREY, WHITE, Mount, Robot, Vec, cameras_of, turn

# One value per joint, base first.
DH_A = (0.0, -0.425, -0.3922, 0.0, 0.0, 0.0)  # m, along x of the frame after the joint
DH_D = (0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996)  # m, along z of the joint
DH_ALPHA = (np.pi / 2, 0.0, 0.0, np.pi / 2, -np.pi / 2, 0.0)  # rad, about that x
Q_MAX = (2 * np.pi,) * 6  # rad, and as far the other way
QD_MAX = (np.pi,) * 6  # rad/s
TORQUE_MAX = (150.0, 150.0, 150.0, 28.0, 28.0, 28.0)  # N m
ROTOR_INERTIA = (0.8, 0.8, 0.6, 0.12, 0.12, 0.12)  # kg m^2

# Servo law: torque = KP (target - q) - KD qd, plus gravity compensation, all within TORQUE_MAX.
KP = (2500.0, 2500.0, 2000.0, 400.0, 400.0, 400.0)  # N m/rad
KD = (220.0, 220.0, 140.0, 22.0, 22.0, 22.0)  # N m s/rad

FRONT = np.pi  # rad, from our base, whose x axis points ahead, to the published one, whose x axis points back
HOME = (0.0, -np.pi / 2, np.pi / 2, -np.pi / 2, -np.pi / 2, -np.pi / 2)  # rad: tool at (0.49, 0.13, 0.35), looking down
UPRIGHT = Mount(home=HOME)


class Link(NamedTuple):
    """What a link weighs, and the capsules that stand for its housing; the first gives it its inertia."""

    mass: float  # kg
    com: Vec  # m, in the frame after the link, where its Denavit-Hartenberg row ends
    shapes: tuple[tuple[Vec, Vec, float], ...]  # two ends and a radius, m, in the frame of its joint


LINKS = (
    Link(3.761, (0, -0.02561, 0.00193), (((0, 0, 0.1), (0, 0, 0.1625), 0.06),)),
    Link(
        8.058,
        (0.2125, 0, 0.11336),
        (
            ((0, 0, 0.138), (-0.425, 0, 0.138), 0.055),
            ((0, 0, 0.05), (0, 0, 0.138), 0.06),
            ((-0.425, 0, 0.05), (-0.425, 0, 0.138), 0.055),
        ),
    ),
    Link(2.846, (0.15, 0, 0.0265), (((0, 0, 0.007), (-0.3922, 0, 0.007), 0.045),)),
    Link(1.37, (0, -0.0018, 0.01634), (((0, 0, 0.03), (0, 0, 0.1333), 0.042),)),
    Link(1.3, (0, 0.0018, 0.01634), (((0, 0, 0), (0, 0, 0.0997), 0.042),)),
    Link(0.365, (0, 0, -0.001159), (((0, 0, 0.03), (0, 0, 0.062), 0.0375),)),
)
BASE_MASS = 2.9  # kg, what the links leave of the weight of the arm
BASE = ((0, 0, 0), (0, 0, 0.01), 0.085)  # m, the capsule of the foot

PROBE_MASS = 0.8  # kg
PROBE = 0.14  # m, from the flange to the lowest point of the tip
STEM, TIP = 0.016, 0.012  # m, radii
SOFT: dict[str, Any] = {"solref": (0.02, 1.0), "priority": 1}  # the tip yields, as a touch probe does
RED = (0.85, 0.2, 0.15, 1.0)

JOINTS = tuple(f"joint{i}" for i in range(1, 7))

# Pairs that need no contact: they are joined, or no angle of the joints between brings them together.
NO_CONTACT = {"arm": ("link1",), "link4": ("link6",), "link5": ("probe",)}


def industrial_arm(mount: Mount = UPRIGHT) -> Robot:
    """The arm alone; it reaches along the x axis of its mount."""
    home = dict(zip(JOINTS, mount.home, strict=True))
    arms = {"": industrial_arm_value(mount)}
    return Robot(lambda spec: add_industrial_arm(spec, mount), home, arms, cameras_of(mount))


def add_industrial_arm(spec: Any, mount: Mount = UPRIGHT) -> None:
    """Add the arm to a MuJoCo spec: base body `arm`, links `link1` to `link6`, and `probe` with the site `tool`."""
    body = spec.worldbody.add_body(name="arm", pos=mount.pos, quat=turn(mount.yaw, axis=2))
    _add_capsule(body, "arm_shape", BASE, GREY, mass=BASE_MASS)
    for i, link in enumerate(LINKS):
        pos, quat = _offset(i)
        body = body.add_body(name=f"link{i + 1}", pos=pos, quat=quat)
        _weigh(body, link.mass, _centre(i), _cylinder(link.mass, link.shapes[0]))
        for number, shape in enumerate(link.shapes):
            _add_capsule(body, f"link{i + 1}_shape{number or ''}", shape, WHITE if i % 2 == 0 else GREY)
        body.add_joint(
            name=JOINTS[i],
            axis=(0, 0, 1),
            range=(-Q_MAX[i], Q_MAX[i]),
            armature=ROTOR_INERTIA[i],
            actgravcomp=True,
            actfrcrange=(-TORQUE_MAX[i], TORQUE_MAX[i]),
        )
        servo = spec.add_actuator(
            name=JOINTS[i],
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            target=JOINTS[i],
            ctrlrange=(-Q_MAX[i], Q_MAX[i]),
            forcerange=(-TORQUE_MAX[i], TORQUE_MAX[i]),
        )
        servo.set_to_position(kp=KP[i], kv=KD[i])
    _add_probe(body)
    for one, others in NO_CONTACT.items():
        for other in others:
            spec.add_exclude(bodyname1=one, bodyname2=other)


def industrial_arm_value(mount: Mount = UPRIGHT) -> Arm:
    """What planning must know of the arm that `add_industrial_arm` adds. Its tool is the tip of the probe."""
    offsets = [_offset(i) for i in range(6)]
    flange, _ = _offset(6)
    return Arm(
        joints=JOINTS,
        offset_pos=np.array([pos for pos, _ in offsets]),
        offset_quat=np.array([quat for _, quat in offsets]),
        tool_pos=flange + np.array([0.0, 0.0, PROBE]),
        tool_quat=np.array([1.0, 0, 0, 0]),
        base_pos=np.array(mount.pos),
        base_quat=turn(mount.yaw, axis=2),
        q_min=-np.array(Q_MAX),
        q_max=np.array(Q_MAX),
        qd_max=np.array(QD_MAX),
        home=np.array(mount.home),
        joint_controls=tuple(range(6)),
    )


def _offset(i: int) -> tuple[Floats, Floats]:
    """Pose of joint frame i in the one before it at q = 0, of the flange for i = 6: position (3,) m, wxyz.

    The standard convention: Rot_z(q) Trans_z(d) Trans_x(a) Rot_x(alpha) lead from a joint to the next; here what
    follows the turn of one joint belongs to the next one.
    """
    if i == 0:
        return np.zeros(3), turn(FRONT, axis=2)
    return np.array([DH_A[i - 1], 0.0, DH_D[i - 1]]), turn(DH_ALPHA[i - 1], axis=0)


def _centre(i: int) -> Floats:
    """(3,) m, the centre of mass of link i in the frame of its joint."""
    pos, quat = _offset(i + 1)
    centre = np.zeros(3)
    mujoco.mju_rotVecQuat(centre, np.array(LINKS[i].com, dtype=np.float64), quat)
    moved: Floats = pos + centre
    return moved


def _cylinder(mass: float, shape: tuple[Vec, Vec, float]) -> Floats:
    """(3,) kg m^2, inertia of a solid cylinder along one axis of the frame of its ends."""
    start, end, radius = shape
    along = np.abs(np.subtract(end, start))
    length, axis = float(along.max()), int(along.argmax())
    inertia = np.full(3, mass * (3 * radius * radius + length * length) / 12)
    inertia[axis] = mass * radius * radius / 2
    return inertia


def _weigh(body: Any, mass: float, centre: Floats, inertia: Floats) -> None:
    body.explicitinertial = True
    body.mass, body.ipos, body.inertia, body.gravcomp = mass, centre, inertia, 1


def _add_probe(flange: Any) -> None:
    """A stem with a round tip."""
    pos, quat = _offset(6)
    probe = flange.add_body(name="probe", pos=pos, quat=quat)
    stem: tuple[Vec, Vec, float] = ((0, 0, STEM), (0, 0, PROBE - 2 * TIP - STEM), STEM)
    _weigh(probe, PROBE_MASS, np.array([0, 0, 0.05]), _cylinder(PROBE_MASS, stem))
    _add_capsule(probe, "probe_stem", stem, DARK)
    _add_capsule(probe, "probe_tip", ((0, 0, PROBE - 3 * TIP), (0, 0, PROBE - TIP), TIP), RED, **SOFT)
    probe.add_site(name="tool", pos=(0, 0, PROBE), size=(0.004, 0.004, 0.004), rgba=(0.9, 0.2, 0.2, 1), group=4)


def _add_capsule(body: Any, name: str, shape: tuple[Vec, Vec, float], rgba: tuple[float, ...], **more: Any) -> None:
    start, end, radius = shape
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(*start, *end),
        size=(radius, 0, 0),
        rgba=rgba,
        **{**CONTACT, **more},
    )
