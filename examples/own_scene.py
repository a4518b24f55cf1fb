"""How is a scene of your own judged, for instance a cart that must stop in time?"""

import numpy as np

import worldverify as wv

SCENE = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <body name="wall" pos="1.2 0 0.1"><geom type="box" size="0.05 0.3 0.1"/></body>
    <body name="cart" pos="0 0 0.1">
      <joint name="rail" type="slide" axis="1 0 0" damping="2"/>
      <geom type="box" size="0.1 0.1 0.05" mass="1"/>
    </body>
    <site name="stop" type="box" size="0.1 0.2 0.1" pos="0.8 0 0.1"/>
  </worldbody>
  <actuator><motor name="push" joint="rail" ctrlrange="-5 5"/></actuator>
</mujoco>
"""

SPEC = """
parked: eventually(always[0,0.5](inside(cart, stop) and speed(cart) < 0.05 m/s))
gentle: always(contact_force(cart, wall) < 1 N)
slow:   always(speed(cart) < 1.5 m/s)
"""


def push(seconds: float, force: float) -> np.ndarray:
    """(T, 1) N: push, then roll out."""
    rows = np.zeros((60, 1))
    rows[: round(20 * seconds)] = force
    return rows


def main() -> None:
    """Judge pushes of different strength."""
    task = wv.Task.from_mjcf(SCENE, spec=SPEC, horizon=3.0, rate=20.0, name="cart")
    for force in (1.0, 1.6, 2.4, 4.0, 9.0):
        (verdict,) = wv.verify(task, push(1.0, force))
        print(f"{force:3.1f} N  {verdict.status:<7}  {verdict.reason}")


if __name__ == "__main__":
    main()
