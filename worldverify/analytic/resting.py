"""What rests, is held or is squeezed: forces that balance.

A contact of impedance d and time constant T rests at a depth of g (1 - d) T^2 under a single point (MuJoCo's
documentation, "Solver parameters"), and the scenes begin there.
"""

import math

import numpy as np

from worldverify.analytic.case import RATE, AtEnd, Case, G, scene

H = 0.002  # s
MASS, RADIUS = 1.5, 0.05
IMPEDANCE, CONSTANT = 0.9, 0.02
CONTACT = (f"{CONSTANT} 1", f"{IMPEDANCE} {IMPEDANCE} 0.001")
SQUEEZE = 12.0  # N a finger
LEVER, GAIN = 0.4, 500.0  # m, Nm/rad

BALL = f"""
<geom name="floor" type="plane" size="1 1 .1"/>
<body name="ball" pos="0 0 {RADIUS}">
  <joint name="x" type="slide" axis="1 0 0"/><joint name="y" type="slide" axis="0 1 0"/>
  <joint name="idle" type="slide" axis="0 0 1"/>
  <geom type="sphere" size="{RADIUS}" mass="{MASS}"/>
</body>
"""
FINGER = """
<body name="{name}" pos="{x} 0 0">
  <joint name="{name}" type="slide" axis="{axis} 0 0" damping="20"/><geom type="sphere" size="0.02" mass="0.1"/>
</body>
"""
HAND = f"""
<body name="block"><joint name="block" type="slide" axis="1 0 0"/><geom type="box" size=".05 .05 .05" mass="1"/></body>
<body name="hand">
  <inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
  {FINGER.format(name="left", x=-0.07, axis=1)}{FINGER.format(name="right", x=0.07, axis=-1)}
</body>
"""
ARM = f"""
<body name="arm">
  <joint name="hinge" type="hinge" axis="0 -1 0" damping="20"/>
  <inertial pos="{LEVER} 0 0" mass="{MASS}" diaginertia="0.001 0.001 0.001"/>
</body>
"""


def cases() -> list[Case]:
    """A weight, a depth, a squeeze and a torque."""
    depth = G * (1 - IMPEDANCE) * CONSTANT**2
    resting = scene(BALL, start=f'qpos="0 0 {-depth}"', timestep=H, contact=CONTACT)
    dropped = scene(BALL, start='qpos="0 0 0"', timestep=H, contact=CONTACT)
    return [_weight(resting), _depth(dropped, depth), _squeeze(), _torque()]


def _weight(still: str) -> Case:
    return Case(
        name="force under a resting ball",
        law="m g",
        value=MASS * G,
        unit="N",
        allowance=1e-6,
        because="rounding",
        scene=still,
        reading=AtEnd("contact_force(ball, floor)"),
        horizon=0.2,
    )


def _depth(dropped: str, depth: float) -> Case:
    return Case(
        name="height of a resting ball",
        law="r - g (1 - d) T^2",
        value=RADIUS - depth,
        unit="m",
        allowance=1e-6,
        because="exp(-t/T), after 50 T",
        scene=dropped,
        reading=AtEnd("pos(ball).z"),
        horizon=1.0,
    )


def _squeeze() -> Case:
    actuators = "".join(f'<motor joint="{side}" ctrlrange="0 50"/>' for side in ("left", "right"))
    return Case(
        name="squeeze that a net force does not see",
        law="2 F",
        value=2 * SQUEEZE,
        unit="N",
        allowance=1e-3,
        because="exp(-t/T), after 50 T",
        scene=scene(HAND, start='qpos="0 0 0"', timestep=H, gravity="0 0 0", actuators=actuators, contact=CONTACT),
        reading=AtEnd("contact_load(hand, block) - contact_force(hand, block)"),
        horizon=1.0,
        controls=np.full((round(RATE), 2), SQUEEZE),
    )


def _torque() -> Case:
    droop = 0.0
    for _ in range(50):  # the servo gives way until its pull holds the arm
        droop = MASS * G * LEVER * math.cos(droop) / GAIN
    return Case(
        name="torque that holds an arm",
        law="m g l cos(q), q = m g l cos(q) / kp",
        value=MASS * G * LEVER * math.cos(droop),
        unit="Nm",
        allowance=1e-6,
        because="exp(-t c/I)",
        scene=scene(
            ARM,
            start='qpos="0"',
            timestep=H,
            actuators=f'<position joint="hinge" kp="{GAIN}" ctrlrange="-1 1"/>',
        ),
        reading=AtEnd("torque(hinge)"),
        horizon=2.0,
    )
