"""A gyroscope: a spinning disc on a level axle, held at one end, walks round instead of falling.

It walks steadily if the axle is level and the rate W that the moment needs, m g l = I w W, is there from the start. A
step turns the disc by w h while its velocity stays fixed in it: that share of the rate may be lost.
"""

import math

from worldverify.analytic.case import Case, First, G, scene

H = 0.00005  # s
MASS, AXLE, SPIN_INERTIA, INERTIA = 1.0, 0.1, 0.002, 0.0015  # kg, m, kg m^2 about the axle and across it
SPIN = 150.0  # rad/s
TURN = MASS * G * AXLE / (SPIN_INERTIA * SPIN)  # rad/s

TOP = f"""
<body name="disc" pos="0 0 1">
  <joint name="ball" type="ball"/>
  <inertial pos="{AXLE} 0 0" mass="{MASS}" diaginertia="{SPIN_INERTIA} {INERTIA} {INERTIA}"/>
  <site name="tip" pos="{AXLE} 0 0"/>
</body>
<body name="aside" pos="0 0 -1"><joint name="idle" type="slide"/><geom type="sphere" size=".01"/></body>
"""


def cases() -> list[Case]:
    """The walk of a gyroscope."""
    quarter = math.pi / 2 / TURN
    return [
        Case(
            name="quarter turn of a gyroscope",
            law="pi/2 * I w / m g l",
            value=quarter,
            unit="s",
            allowance=1.5 * H + quarter * SPIN * H,
            because="1.5 h + t w h",
            scene=scene(TOP, start=f'qpos="1 0 0 0 0" qvel="{SPIN} 0 {TURN} 0"', timestep=H),
            reading=First("pos(tip).x", "m"),
            horizon=math.ceil(50 * (quarter + 0.04)) / 50,
        )
    ]
