"""A round base on two wheels, built from the published data of PAL Robotics' TIAGo Base (PMB-2).

Sources:
- diameter 54 cm, height 30 cm, top speed 1 m/s: the robot's data sheet;
- limits of speed and acceleration, forwards, backwards and turning: its public controller configuration
  (pmb2_controller_configuration, mobile_base_controller.yaml): 1.0 and -0.2 m/s, 1.0 m/s^2, 120 deg/s, 120 deg/s^2;
- wheels of radius 98.5 mm on a track of 404 mm, with 6 N m each: its public robot description (pmb2_description),
  whose chassis weighs 25 to 28 kg.
The mass of the whole, with a head or an arm on a column, is ours, and so are the shapes and the servos.

The base hangs on two slides and a hinge, as bases do in simulators of mobile manipulation; wheels and casters are drawn
and touch nothing. Rolling without slip is what plans ask for (see `kernels/driving.py`), not what the joints enforce:
lateral slip is not modelled. Servos pull the base to its targets with no more force than its wheels have, so that it
stalls at a wall and gives way to what is heavier. Their damping over their stiffness is the same for all three joints:
up to its limits the base follows its targets a constant LAG later, on the same path.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import mujoco
import numpy as np

from worldverify.arm import Arm
from worldverify.base import Base
from worldverify.envs.arm import CONTACT, DARK, GREY, WHITE, Mount, add_arm, arm_value, turn
from worldverify.kernels import rotation

Vec = tuple[float, float, float]

RADIUS, HEIGHT = 0.27, 0.30  # m
MASS = 50.0  # kg
TURNING_INERTIA = 1.9  # kg m^2 about z: a solid disc of that mass and radius
FORWARD, BACKWARD = 1.0, 0.2  # m/s
ACCELERATION = 1.0  # m/s^2
TURNING, TURN_ACCELERATION = float(np.radians(120)), float(np.radians(120))  # rad/s, rad/s^2
WHEEL, TRACK = 0.0985, 0.4044  # m, radius of a wheel, distance between the two

WHEEL_TORQUE = 6.0  # N m, of each wheel

# Servo law: force = KP (target - position) - LAG KP speed, within what both wheels have.
LAG = 2.0 / 15.0  # s
KP = (11250.0, 11250.0, 900.0)  # N/m, N/m, N m/rad: MASS swings at 15 rad/s, critically damped
PUSH = 2 * WHEEL_TORQUE / WHEEL  # N
FORCE_MAX = (PUSH, PUSH, PUSH * TRACK / 2)  # N, N, N m
FARTHEST = 20.0  # m, and TURNS whole turns either way: as far as targets go
TURNS = 8

JOINTS = ("robot_x", "robot_y", "robot_yaw")
ROBOT, HULL = "robot", "hull"
TWIST = "robot_velocity"  # sensor, m/s in the frame of the base: forwards, sideways, up
CLEAR = 0.02  # m between the hull and the floor
HEAD = 1.05  # m, height of the camera
LOOKS_DOWN = float(np.radians(28))
CAMERA, FOVY_DEG = "front", 66.0

SHOULDER = 0.5  # m above the floor, of an arm on the base
TUCKED = (0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)  # rad: tool at (0.31, 0, 0.49), down
ARM = Mount(pos=(0.0, 0.0, SHOULDER), home=TUCKED)


class Pose(NamedTuple):
    """Where a base stands."""

    x: float  # m
    y: float  # m
    yaw: float  # rad, 0 along x


def add_base(spec: Any, *, arm: bool = False) -> None:
    """Add the body `robot` to a MuJoCo spec at the world's origin, with a camera `front`; with an arm on it, or a head.

    The geom `hull` is the footprint as seen by collisions and clearances: a capsule as wide as the base, which holds
    the column too. With an arm it is a sphere, so that the arm can reach down in front of it.
    """
    body = spec.worldbody.add_body(name=ROBOT)
    for name, kind, axis, kp, most, far in zip(
        JOINTS,
        (mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE),
        np.eye(3),
        KP,
        FORCE_MAX,
        (FARTHEST, FARTHEST, TURNS * 2 * np.pi),
        strict=True,
    ):
        body.add_joint(name=name, type=kind, axis=axis)
        servo = spec.add_actuator(
            name=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            target=name,
            ctrlrange=(-far, far),
            forcerange=(-most, most),
        )
        servo.set_to_position(kp=kp, kv=LAG * kp)
    body.explicitinertial = True
    body.mass, body.ipos = MASS, (0, 0, HEIGHT / 2)
    body.inertia = (TURNING_INERTIA / 2 + MASS * HEIGHT**2 / 12,) * 2 + (TURNING_INERTIA,)
    top = RADIUS + CLEAR if arm else HEAD - RADIUS
    body.add_geom(
        name=HULL,
        type=mujoco.mjtGeom.mjGEOM_SPHERE if arm else mujoco.mjtGeom.mjGEOM_CAPSULE,
        pos=(0, 0, (RADIUS + CLEAR + top) / 2),
        size=(RADIUS, (top - RADIUS - CLEAR) / 2, 0),
        group=3,
        **CONTACT,
    )
    body.add_site(name=ROBOT + "_axle", group=4)
    spec.add_sensor(
        name=TWIST, type=mujoco.mjtSensor.mjSENS_VELOCIMETER, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=ROBOT + "_axle"
    )
    _draw(body, SHOULDER if arm else HEAD)
    body.add_camera(name=CAMERA, pos=(RADIUS, 0, SHOULDER) if arm else (0.1, 0, HEAD), quat=_ahead(), fovy=FOVY_DEG)
    if arm:
        add_arm(spec, ARM, carrier=body)


def base_value() -> Base:
    """What driving must know of the base that `add_base` adds first to a model."""
    return Base(
        body=ROBOT,
        joints=JOINTS,
        controls=(0, 1, 2),
        radius=RADIUS,
        forward=FORWARD,
        backward=BACKWARD,
        turning=TURNING,
        acceleration=ACCELERATION,
        turn_acceleration=TURN_ACCELERATION,
    )


def mobile_arm_value() -> Arm:
    """What planning must know of the arm on a base, in the frame of the base; its controls follow those of the base."""
    arm, first = arm_value(ARM), len(JOINTS)
    assert arm.gripper_control is not None
    return replace(
        arm,
        joint_controls=tuple(first + i for i in arm.joint_controls),
        gripper_control=first + arm.gripper_control,
    )


def _draw(body: Any, top: float) -> None:
    """What is seen of a base up to a height `top`, m: shapes that touch nothing."""
    still: dict[str, Any] = {"contype": 0, "conaffinity": 0, "group": 1, "mass": 0}
    disc, column = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE
    body.add_geom(name="skirt", type=disc, pos=(0, 0, 0.165), size=(RADIUS, 0.115, 0), rgba=WHITE, **still)
    body.add_geom(name="lid", type=disc, pos=(0, 0, 0.29), size=(0.24, 0.01, 0), rgba=DARK, **still)
    body.add_geom(name="bumper", type=disc, pos=(0, 0, 0.05), size=(0.255, 0.012, 0), rgba=DARK, **still)
    for side, name in ((1, "left_wheel"), (-1, "right_wheel")):
        quat = turn(np.pi / 2, axis=0)
        at = (0, side * TRACK / 2, WHEEL)
        body.add_geom(name=name, type=disc, pos=at, quat=quat, size=(WHEEL, 0.02, 0), rgba=GREY, **still)
    ends = (0, 0, HEIGHT, 0, 0, top - 0.06)
    body.add_geom(name="column", type=column, fromto=ends, size=(0.06, 0, 0), rgba=GREY, **still)
    if top == HEAD:
        head = mujoco.mjtGeom.mjGEOM_BOX
        body.add_geom(name="head", type=head, pos=(0.02, 0, HEAD), size=(0.07, 0.11, 0.06), rgba=WHITE, **still)
        body.add_geom(name="eyes", type=head, pos=(0.09, 0, HEAD), size=(0.004, 0.09, 0.03), rgba=DARK, **still)


def _ahead() -> Any:
    """Quaternion (4,) wxyz of a camera that looks along x and a little down: cameras look along -z, upright along y."""
    c, s = np.cos(LOOKS_DOWN), np.sin(LOOKS_DOWN)
    return rotation.from_matrix(np.array([[0.0, s, -c], [-1.0, 0.0, 0.0], [0.0, c, s]]))
