"""Pendulums and springs: the time of five swings and a quarter, from rest at the turning point.

Semi-implicit Euler leads by h/2, and its frequency is (1 + (w h)^2 / 24) times the true one; a sample adds h. For the
large swing w^2 h^2 / 8 bounds the change of frequency.
"""

import math

from worldverify.analytic.case import Case, First, G, scene

H = 0.001  # s
SWINGS = 5.25
MASS, LENGTH, RADIUS = 1.0, 0.5, 0.05
STIFFNESS = 40.0  # N/m

PENDULUM = f"""
<body name="bob" pos="0 0 1">
  <joint name="idle" type="hinge" axis="0 1 0"/>
  <geom type="sphere" size="{RADIUS}" pos="0 0 {-LENGTH}" mass="{MASS}"/>
</body>
"""
SPRING = f"""
<body name="bob">
  <joint name="idle" type="slide" axis="1 0 0" stiffness="{STIFFNESS}"/>
  <geom type="sphere" size="{RADIUS}" mass="{MASS}"/>
</body>
"""


def cases() -> list[Case]:
    """Small and large swings, and a spring."""
    inertia = MASS * (LENGTH**2 + 0.4 * RADIUS**2)
    slow = math.sqrt(MASS * G * LENGTH / inertia)  # rad/s, of small swings
    return [
        _swings("small swings of a pendulum", "2 pi sqrt(I / m g l)", PENDULUM, 0.02, "rad", slow, 2 * math.pi / slow),
        _swings(
            "large swings of a pendulum",
            "2 pi sqrt(I / m g l) / agm(1, cos(q/2))",
            PENDULUM,
            2.5,
            "rad",
            slow,
            2 * math.pi / slow / mean(1.0, math.cos(1.25)),
        ),
        _swings(
            "swings of a spring",
            "2 pi sqrt(m / k)",
            SPRING,
            0.1,
            "m",
            math.sqrt(STIFFNESS / MASS),
            2 * math.pi * math.sqrt(MASS / STIFFNESS),
        ),
    ]


def mean(a: float, b: float) -> float:
    """The arithmetic-geometric mean, which gives the complete elliptic integral: K(k) = pi / 2 agm(1, sqrt(1-k^2))."""
    while abs(a - b) > 1e-15 * a:
        a, b = (a + b) / 2, math.sqrt(a * b)
    return a


def _swings(name: str, law: str, body: str, start: float, unit: str, rate: float, period: float) -> Case:
    time_s = SWINGS * period
    return Case(
        name=name,
        law=f"5.25 * {law}",
        value=time_s,
        unit="s",
        allowance=1.5 * H + time_s * (rate * H) ** 2 / 8,
        because="1.5 h + t (w h)^2/8",
        scene=scene(body, start=f'qpos="{start}"', timestep=H),
        reading=First("joint(idle)", unit, since=round((time_s - period / 4) / H) * H),
        horizon=math.ceil(10 * (time_s + 0.1)) / 10,
    )
