"""Blocks that stick, creep, slide and roll.

Friction is a soft constraint, too: inside the cone a block creeps at the speed (1 - d)/d f/m / b that gives the force
f, with b = 2 / (d T). Where the force that would hold it exceeds mu times the normal force, Coulomb's law is exact.
"""

import math

from worldverify.analytic.case import RATE, AtEnd, Case, First, G, ramp, scene

H = 0.002  # s
IMPEDANCE, CONSTANT = 0.99, 0.02
CONTACT = (f"{CONSTANT} 1", f"{IMPEDANCE} {IMPEDANCE} 0.001")
SOFT = (1 - IMPEDANCE) * CONSTANT / 2  # s: creep speed of an acceleration that is held
SLOPE, MASS, RADIUS = math.radians(20.0), 1.0, 0.05
MU, TILTING, PULL = 0.5, 0.03, 1.0  # -, rad/s, N/s
DEPTH = G * (1 - IMPEDANCE) * CONSTANT**2  # m, at rest on the level


def cases() -> list[Case]:
    """Below and above the angle of friction, that angle, the pull that breaks a block loose, and rolling."""
    return [_creep(), _slide(), _angle(), _breakaway(), _roll()]


def _slope(mu: float, *, rolls: bool = False) -> str:
    """A puck without rotation, or a sphere that rolls, on a slope."""
    down = math.degrees(SLOPE)
    roll = '<joint name="roll" type="hinge" axis="0 1 0"/>' if rolls else ""
    bodies = f"""
    <body name="slope" euler="0 {down} 0">
      <geom name="ground" type="plane" size="9 1 .1" friction="{mu} 0 0"/>
      <body name="block" pos="0 0 {RADIUS}">
        <joint name="idle" type="slide" axis="1 0 0"/><joint name="y" type="slide" axis="0 1 0"/>
        <joint name="up" type="slide" axis="0 0 1"/>{roll}
        <geom type="sphere" size="{RADIUS}" mass="{MASS}" friction="{mu} 0 0"/>
      </body>
    </body>
    """
    start = f"0 0 {-DEPTH * math.cos(SLOPE)}" + (" 0" if rolls else "")
    return scene(bodies, start=f'qpos="{start}"', timestep=H, contact=CONTACT)


def _creep() -> Case:
    return Case(
        name="creep of a block that holds, 5 % below atan(mu)",
        law="(1-d)/d g sin(q) / b",
        value=SOFT * G * math.sin(SLOPE),
        unit="m/s",
        allowance=1e-6,
        because="exp(-t b d), after 100 of them",
        scene=_slope(1.05 * math.tan(SLOPE)),
        reading=AtEnd("joint_speed(idle)"),
        horizon=1.0,
    )


def _slide() -> Case:
    mu, time_s = 0.95 * math.tan(SLOPE), 2.0
    pull = G * (math.sin(SLOPE) - mu * math.cos(SLOPE))
    return Case(
        name="way of a block that slides, 5 % above atan(mu)",
        law="g (sin(q) - mu cos(q)) t^2 / 2",
        value=pull * time_s**2 / 2,
        unit="m",
        allowance=pull * time_s * H / 2 + 1e-5,
        because="a t h/2, + 0.01 mm for the start",
        scene=_slope(mu),
        reading=AtEnd("joint(idle)"),
        horizon=time_s,
    )


def _angle() -> Case:
    angle = math.atan(MU)
    creep = SOFT * G * math.sin(angle)
    delay = math.sqrt(2 * creep * math.cos(angle) / (G * TILTING))
    bodies = f"""
    <body name="tray">
      <joint name="idle" type="hinge" axis="0 1 0" armature="100000"/>
      <geom type="box" size=".5 .2 .02" pos="0 0 -.02" mass="1" friction="{MU} 0 0"/>
      <body name="block" pos="0 0 {RADIUS}">
        <joint name="along" type="slide" axis="1 0 0"/><joint name="y" type="slide" axis="0 1 0"/>
        <joint name="up" type="slide" axis="0 0 1"/>
        <geom type="sphere" size="{RADIUS}" mass="{MASS}" friction="{MU} 0 0"/>
      </body>
    </body>
    """
    return Case(
        name="angle of a tilting tray at which a block slides",
        law="atan(mu)",
        value=angle,
        unit="rad",
        allowance=TILTING * (delay + 2 * H) + 1e-4,
        because="w (sqrt(2 v cos(q) / g w) + 2 h): until it is twice as fast as it crept, v",
        scene=scene(bodies, start=f'qpos="0 0 0 {-DEPTH}" qvel="{TILTING} 0 0 0"', timestep=H, contact=CONTACT),
        reading=First(f"{2 * creep:.9f} m/s - joint_speed(along)", "m/s", speed=TILTING),
        horizon=math.ceil(angle / TILTING) + 1.0,
    )


def _breakaway() -> Case:
    force = MU * MASS * G
    creep = SOFT * MU * G
    delay = math.sqrt(2 * creep * MASS / PULL)
    bodies = f"""
    <geom name="ground" type="plane" size="9 1 .1" friction="{MU} 0 0"/>
    <body name="block" pos="0 0 {RADIUS}">
      <joint name="along" type="slide" axis="1 0 0"/><joint name="y" type="slide" axis="0 1 0"/>
      <joint name="up" type="slide" axis="0 0 1"/>
      <geom type="sphere" size="{RADIUS}" mass="{MASS}" friction="{MU} 0 0"/>
    </body>
    """
    horizon = math.ceil(force / PULL) + 0.5
    return Case(
        name="pull at which a block slides",
        law="mu m g",
        value=force,
        unit="N",
        allowance=PULL * (1 / RATE + delay + 2 * H),
        because="F' (1/rate + sqrt(2 v m / F') + 2 h): until it is twice as fast as it crept, v",
        scene=scene(
            bodies,
            start=f'qpos="0 0 {-DEPTH}"',
            timestep=H,
            contact=CONTACT,
            actuators='<motor joint="along" ctrlrange="-100 100"/>',
        ),
        reading=First(f"{2 * creep:.9f} m/s - joint_speed(along)", "m/s", speed=PULL),
        horizon=horizon,
        controls=ramp(PULL, horizon),
    )


def _roll() -> Case:
    time_s, pull = 1.0, 5 / 7 * G * math.sin(SLOPE)
    slip = SOFT * 2 / 7 * G * math.sin(SLOPE)
    return Case(
        name="way of a sphere that rolls",
        law="5/7 g sin(q) t^2 / 2",
        value=pull * time_s**2 / 2,
        unit="m",
        allowance=pull * time_s * H / 2 + slip * time_s,
        because="a t h/2, + its creep",
        scene=_slope(1.0, rolls=True),
        reading=AtEnd("joint(idle)"),
        horizon=time_s,
    )
