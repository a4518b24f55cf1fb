"""A task small enough for a test: a cart on a rail, a wall, and a ball."""

import numpy as np
from numpy.typing import NDArray

from worldverify.task import Task

Floats = NDArray[np.float64]

# A cart on a rail in front of a wall, and a ball that falls.
TOY = """
<mujoco model="toy">
  <option timestep="0.005" integrator="implicitfast" jacobian="dense"><flag autoreset="disable"/></option>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <geom name="wall" type="box" pos=".6 0 .1" size=".05 .2 .1"/>
    <site name="zone" type="box" pos=".3 0 .1" size=".1 .1 .1"/>
    <body name="cart" pos="0 0 .1">
      <joint name="rail" type="slide" axis="1 0 0" range="-1 1" damping="1"/>
      <geom name="cart_box" type="box" size=".05 .05 .05" mass="1"/>
    </body>
    <body name="ball" pos="0 .6 .15">
      <freejoint/>
      <geom name="ball_sphere" type="sphere" size=".05" mass=".2"/>
    </body>
  </worldbody>
  <actuator><position name="drive" joint="rail" kp="100" kv="20" ctrlrange="-1 1"/></actuator>
  <sensor>
    <framepos name="ball_pos" objtype="xbody" objname="ball"/>
    <jointpos name="rail_pos" joint="rail"/>
    <jointvel name="rail_speed" joint="rail"/>
    <actuatorfrc name="drive_force" actuator="drive"/>
    <contact name="ball_floor" geom1="ball_sphere" geom2="floor" reduce="netforce" data="force"/>
  </sensor>
</mujoco>
"""

TOY_SPEC = """
arrives: eventually(always[0,0.1](inside(cart, zone) and speed(cart) < 0.1 m/s))
careful: always(contact_force(cart, wall) < 5 N)
slow:    always(speed(cart) < 0.9 m/s)
"""

_RAMP = (0.0, 0.1, 0.2, 0.3)  # m, 0.1 s apart: in small steps the cart stays slow


def toy_task() -> Task:
    """A task small enough for a test: a cart goes to a zone, not into the wall behind it, and not fast."""

    def plan(*targets: float) -> Floats:
        return np.array(targets)[:, None]

    return Task.from_mjcf(
        TOY,
        spec=TOY_SPEC,
        horizon=2.0,
        rate=10.0,
        name="Toy",
        instruction="Drive the cart into the zone.",
        precondition="not inside(cart, zone) and speed(cart) < 0.05 m/s",
        good=plan(*_RAMP),
        bad={
            "arrives": plan(0.0),
            "careful": plan(*_RAMP, *[0.3] * 6, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65),
            "slow": plan(*_RAMP, *[0.3] * 8, -0.8),
        },
    )
