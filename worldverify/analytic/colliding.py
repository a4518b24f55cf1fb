"""Two spheres that meet head on. A contact with a direct `solref` of -k and -c is a spring and a damper between them:
x'' = -k x - c x', with x their overlap, until they no longer press.

Without damper nothing is lost. With z = c / (2 sqrt(k)) they part at exp(-2 z acos(z) / sqrt(1 - z^2)) of the speed at
which they met, since a contact does not pull. A sample is up to a step late on both ends: (w h)^2, and c h where there
is a damper.
"""

import math

from worldverify.analytic.case import AtEnd, Case, scene

H = 0.0002  # s
SPEED, LIGHT, HEAVY = 1.0, 1.0, 3.0  # m/s, kg, kg
STIFFNESS = 1e4  # 1/s^2
BOUNCE = 0.5

PAIR = f"""
<body name="light" pos="0 0 0">
  <joint name="idle" type="slide" axis="1 0 0"/><geom type="sphere" size="0.05" mass="{LIGHT}"/>
</body>
<body name="heavy" pos="0.2 0 0">
  <joint name="other" type="slide" axis="1 0 0"/><geom type="sphere" size="0.05" mass="{HEAVY}"/>
</body>
"""


def cases() -> list[Case]:
    """Two speeds, the momentum, and a restitution."""
    total, late = LIGHT + HEAVY, STIFFNESS * H**2
    damping = 2 * math.sqrt(STIFFNESS) * damping_ratio(BOUNCE)
    return [
        _case(
            "elastic collision, the light one after",
            "v (m1 - m2) / (m1 + m2)",
            SPEED * (LIGHT - HEAVY) / total,
            "joint_speed(idle)",
            late * SPEED,
            "v (w h)^2",
        ),
        _case(
            "elastic collision, the heavy one after",
            "2 v m1 / (m1 + m2)",
            SPEED * 2 * LIGHT / total,
            "joint_speed(other)",
            late * SPEED,
            "v (w h)^2",
        ),
        _case(
            "momentum over the mass of the light one",
            "v",
            SPEED,
            f"joint_speed(idle) + {HEAVY / LIGHT} * joint_speed(other)",
            1e-9,
            "rounding",
            damping,
        ),
        _case(
            "speed at which two part, damped",
            "v exp(-2 z acos(z) / sqrt(1 - z^2)) = v/2",
            SPEED * BOUNCE,
            "joint_speed(other) - joint_speed(idle)",
            (late + damping * H) * SPEED,
            "v ((w h)^2 + c h)",
            damping,
        ),
    ]


def damping_ratio(bounce: float) -> float:
    """The z of a contact from which things part at a share `bounce`, above exp(-2), of the speed at which they met."""
    low, high = 0.0, 0.999
    for _ in range(60):
        z = (low + high) / 2
        more = math.exp(-2 * z * math.acos(z) / math.sqrt(1 - z * z)) > bounce
        low, high = (z, high) if more else (low, z)
    return low


def _case(
    name: str, law: str, value: float, expression: str, allowance: float, because: str, damping: float = 0.0
) -> Case:
    contact = (f"{-STIFFNESS} {-damping}", "0.95 0.95 0.001")
    start = f'qpos="0 0" qvel="{SPEED} 0"'
    return Case(
        name=name,
        law=law,
        value=value,
        unit="m/s",
        allowance=allowance,
        because=because,
        scene=scene(PAIR, start=start, timestep=H, gravity="0 0 0", contact=contact),
        reading=AtEnd(expression),
        horizon=0.2,
    )
