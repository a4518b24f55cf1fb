"""A box that tips over its edge, or slides because it was pushed too low for that.

It tips where the line of the forces leaves its base: on a tray at the angle atan(w / h), under a push F at the height z
at F z = m g w. Soft contacts let it lean a little before; LEANING is more than they explain. From then on it needs the
time in which a growing moment turns it that far: t^3 = 6 I q / M', with I about its edge.
"""

import math

from worldverify.analytic.case import RATE, Case, First, G, ramp, scene

H = 0.002  # s
HALF, TALL, MASS = 0.04, 0.08, 1.0  # m, m, kg: half of its width and height
IMPEDANCE, CONSTANT = 0.99, 0.02
CONTACT = (f"{CONSTANT} 1", f"{IMPEDANCE} {IMPEDANCE} 0.001")
EDGE = 4 / 3 * MASS * (HALF**2 + TALL**2)  # kg m^2
LEANING = 0.01  # rad
TILTING, PULL = 0.03, 0.4  # rad/s, N/s
HIGH, LOW, SLIPPERY = 0.12, 0.04, 0.4  # m, m, -

BOX = f"""
<body name="box" pos="0 0 {TALL}">
  <joint name="along" type="slide" axis="1 0 0"/><joint name="up" type="slide" axis="0 0 1"/>
  <joint name="lean" type="hinge" axis="0 1 0" pos="0 0 {{pivot}}"/>
  <geom type="box" size="{HALF} {HALF} {TALL}" mass="{MASS}" friction="{{mu}} 0 0"/>
</body>
"""


def cases() -> list[Case]:
    """The angle, and pushes from the top down."""
    return [_angle(), _pushed("middle", TALL), _pushed("top", HIGH), _low()]


def _angle() -> Case:
    angle = math.atan(HALF / TALL)
    moment = MASS * G * math.hypot(HALF, TALL) * TILTING  # Nm/s
    delay = (6 * EDGE * LEANING / moment) ** (1 / 3)
    bodies = f"""
    <body name="tray">
      <joint name="idle" type="hinge" axis="0 1 0" armature="100000"/>
      <geom type="box" size=".5 .2 .02" pos="0 0 -.02" mass="1" friction="1 0 0"/>
      {BOX.format(mu=1, pivot=0)}
    </body>
    """
    return Case(
        name="angle of a tilting tray at which a box tips over",
        law="atan(w / h)",
        value=angle,
        unit="rad",
        allowance=TILTING * (delay + 2 * H) + _soft() / TALL,
        because="w' ((6 I q / M')^(1/3) + 2 h) + depth / h",
        scene=scene(bodies, start=f'qpos="0 0 0 0" qvel="{TILTING} 0 0 0"', timestep=H, contact=CONTACT),
        reading=First(f"{LEANING} rad - joint(lean)", "rad", speed=TILTING),
        horizon=math.ceil(angle / TILTING) + 1.0,
    )


def _pushed(where: str, height: float) -> Case:
    force = MASS * G * HALF / height
    delay = (6 * EDGE * LEANING / (PULL * height)) ** (1 / 3)
    return Case(
        name=f"push at the {where} that tips a box over",
        law="m g w / z",
        value=force,
        unit="N",
        allowance=PULL * (1 / RATE + delay + 2 * H) + force * _soft() / HALF,
        because="F' (1/rate + (6 I q / F' z)^(1/3) + 2 h) + F depth / w",
        scene=_push(height, 1.0),
        reading=First(f"{LEANING} rad - joint(lean)", "rad", speed=PULL),
        horizon=math.ceil(force / PULL) + 1.0,
        controls=ramp(PULL, math.ceil(force / PULL) + 1.0),
    )


def _low() -> Case:
    """Below w / mu it slides before it tips: it is fast while it does not lean."""
    force = SLIPPERY * MASS * G
    creep = (1 - IMPEDANCE) * CONSTANT / 2 * SLIPPERY * G
    delay = math.sqrt(2 * creep * MASS / PULL)
    horizon = math.ceil(force / PULL) + 1.0
    return Case(
        name="push near the floor that slides a box",
        law="mu m g, z < w / mu",
        value=force,
        unit="N",
        allowance=PULL * (1 / RATE + delay + 2 * H),
        because="F' (1/rate + sqrt(2 v m / F') + 2 h): until it is twice as fast as it crept, v",
        scene=_push(LOW, SLIPPERY),
        reading=First(
            f"max({2 * creep:.9f} m/s - joint_speed(along), (joint(lean) - {LEANING} rad) * 100 m/s/rad)",
            "m/s",
            speed=PULL,
        ),
        horizon=horizon,
        controls=ramp(PULL, horizon),
    )


def _soft() -> float:
    """m: what the edge sinks in more than the base did, at most."""
    return 4 * G * (1 - IMPEDANCE) * CONSTANT**2


def _push(height: float, mu: float) -> str:
    bodies = f'<geom name="ground" type="plane" size="9 1 .1" friction="{mu} 0 0"/>'
    bodies += BOX.format(mu=mu, pivot=height - TALL)
    actuators = '<motor joint="along" ctrlrange="-100 100"/>'
    return scene(bodies, start='qpos="0 0 0"', timestep=H, contact=CONTACT, actuators=actuators)
