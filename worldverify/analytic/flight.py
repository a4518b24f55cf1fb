"""What flies or falls, and what a motor drives: Newton's laws with a constant force.

Semi-implicit Euler, v += a h and then x += v h, moves x by a n (n+1) h^2 / 2 in n steps: a t h / 2 further than
a t^2 / 2.
"""

import math

import numpy as np

from worldverify.analytic.case import RATE, AtEnd, Case, First, G, Greatest, scene

H = 0.002  # s
AHEAD, UP = 3.0, 4.0  # m/s, of a throw
RADIUS, HEIGHT = 0.05, 1.0  # m
MASS, DRAG = 2.0, 8.0  # kg, N s/m
FORCE, HALF = 6.0, 0.5  # N, s

BALL = f"""
<body name="ball" pos="0 0 {HEIGHT}">
  <joint name="idle" type="slide" axis="1 0 0"/>
  <joint name="fall" type="slide" axis="0 0 1" damping="{{damping}}"/>
  <geom type="sphere" size="{RADIUS}" mass="{MASS}"/>
</body>
"""
FLOOR = '<geom name="floor" type="plane" size="5 5 .1"/>'


def cases() -> list[Case]:
    """A throw, falls, and a plan that goes forth and back."""
    return [_apex(), _range(), _fall(), _terminal(), _bang()]


def _apex() -> Case:
    return Case(
        name="height of a throw",
        law="z + v_z^2 / 2g",
        value=HEIGHT + UP**2 / (2 * G),
        unit="m",
        allowance=UP * H / 2 + G * H**2 / 8,
        because="v_z h/2 + g h^2/8",
        scene=scene(BALL.format(damping=0), start=f'qpos="0 0" qvel="{AHEAD} {UP}"', timestep=H),
        reading=Greatest("pos(ball).z"),
        horizon=0.8,
    )


def _range() -> Case:
    time_s = (UP + math.sqrt(UP**2 + 2 * G * HEIGHT)) / G
    return Case(
        name="range of a throw",
        law="v_x (v_z + sqrt(v_z^2 + 2 g z)) / g",
        value=AHEAD * time_s,
        unit="m",
        allowance=1.5 * AHEAD * H,
        because="1.5 v_x h",
        scene=scene(BALL.format(damping=0), start=f'qpos="0 0" qvel="{AHEAD} {UP}"', timestep=H),
        reading=Greatest("min(pos(ball).x, 10000 * pos(ball).z)"),  # x, as long as it is above the ground
        horizon=1.2,
    )


def _fall() -> Case:
    return Case(
        name="time of a fall",
        law="sqrt(2 z / g)",
        value=math.sqrt(2 * (HEIGHT - RADIUS) / G),
        unit="s",
        allowance=H,
        because="h/2 of the integrator, h/2 of the samples",
        scene=scene(FLOOR + BALL.format(damping=0), start='qpos="0 0"', timestep=H),
        reading=First("0.1 N - contact_force(ball, floor)", "N"),
        horizon=0.5,
    )


def _terminal() -> Case:
    speed, horizon = MASS * G / DRAG, 2.0
    return Case(
        name="terminal speed in a viscous fall",
        law="m g / c",
        value=-speed,
        unit="m/s",
        allowance=speed * (1 + H * DRAG / MASS) ** (-horizon / H) * 1.01,
        because="m g/c (1 + h c/m)^(-t/h): implicit damping",
        scene=scene(BALL.format(damping=DRAG), start='qpos="0 0"', timestep=H),
        reading=AtEnd("joint_speed(fall)"),
        horizon=horizon,
    )


def _bang() -> Case:
    row = np.repeat([FORCE, -FORCE], round(HALF * RATE))[:, None]
    return Case(
        name="forward as long as back",
        law="F t^2 / m",
        value=FORCE * HALF**2 / MASS,
        unit="m",
        allowance=1e-9,
        because="rounding: the errors of both halves cancel; one substep too many would be 3 mm",
        scene=scene(
            BALL.format(damping=0),
            start='qpos="0 0"',
            timestep=H,
            gravity="0 0 0",
            actuators='<motor joint="idle" ctrlrange="-10 10"/>',
        ),
        reading=AtEnd("pos(ball).x"),
        horizon=2 * HALF,
        controls=row,
    )
