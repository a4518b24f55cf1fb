"""A substep of MJX is evaluated and integrated as MuJoCo C does it, also where MJX's own step is not."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import mujoco
import numpy as np
import pytest
from mujoco import mjx

from worldverify.kernels.mjx_model import prepared, put
from worldverify.kernels.mjx_sensors import complete
from worldverify.kernels.mjx_step import each_point_once, standalone_free_bodies, stepped

pytestmark = [pytest.mark.xdist_group("mjx_sensors"), pytest.mark.engines]

ROUNDED = 5e-5  # of a value, or a change of velocity, of about 1 in float32
FORCE = (0.1, 1e-2)  # N and share: MuJoCo's parity guide for constraint forces

# An arm whose stiff servo saturates, by itself or with gravity compensation on top; free bodies that tumble: a cube
# with one corner on the floor, one lopsided of two welded parts, and one that is not alone because a joint hangs on it.
SCENE = """
<mujoco>
  <option integrator="implicitfast" timestep="0.004" cone="elliptic" impratio="10"/>
  <default><geom type="box" size=".1 .02 .03" mass=".3" contype="0" conaffinity="0"/></default>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 .1" contype="1"/>
    <body gravcomp="1">
      <joint name="hinge" axis="0 1 0" damping=".3" actuatorfrcrange="-4.6 4.6" actuatorgravcomp="true"/>
      <geom pos=".3 0 0"/>
    </body>
    <body name="cube">
      <freejoint name="cube"/><geom name="cube" size=".03 .03 .03" mass=".1" conaffinity="1"/>
    </body>
    <body quat="1 .3 -.4 .5">
      <joint type="free" damping=".01"/><geom/>
      <body name="part" pos=".1 .2 .3" euler="10 20 30"><geom mass=".2"/></body>
    </body>
    <body><freejoint/><geom/><body pos="0 .2 0"><joint/><geom/></body></body>
  </worldbody>
  <actuator>
    <general name="servo" joint="hinge" gainprm="1500" biastype="affine" biasprm="0 -1500 -110" forcerange="-5 5"/>
  </actuator>
  <sensor>
    <contact body1="cube" body2="world" data="force" reduce="netforce"/>
    <contact geom1="floor" geom2="cube" data="force" reduce="netforce"/>
    <actuatorfrc actuator="servo"/>
    <contact data="dist" reduce="mindist"/>
    <distance body1="cube" body2="part" cutoff="10"/>
    <framelinvel objtype="body" objname="cube"/>
  </sensor>
</mujoco>
"""
FORCES, OTHERS = slice(0, 7), slice(7, None)


class Steps(NamedTuple):
    """What 32 states show and where a substep leads."""

    qvel: Any  # (32, nv)
    sensordata: Any  # (32, nsensordata)


@pytest.fixture(scope="module")
def both() -> tuple[Steps, Steps]:
    """The substeps of MuJoCo C and ours on MJX."""
    model = mujoco.MjModel.from_xml_string(SCENE)
    ready = prepared(model, "jax")
    mx = put(ready, jax.devices("cpu")[0])
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    states, after, sensors, seen = [], [], [], []
    for command in np.linspace(-0.006, 0.006, 32):
        mujoco.mj_resetData(model, data)
        position = data.joint("cube").qpos
        mujoco.mju_euler2Quat(position[3:], rng.uniform(0.2, 0.6, 3), "xyz")
        mujoco.mj_kinematics(model, data)
        corner = 0.03 * np.abs(data.geom("cube").xmat.reshape(3, 3)[2]).sum()
        position[:3] = *rng.normal(0, 0.05, 2), corner + rng.uniform(-5e-4, 5e-4)
        data.qvel[:] = rng.normal(0, 4, model.nv)
        data.joint("cube").qvel[:3] = rng.normal(0, 0.1, 3)
        data.qvel[0], data.ctrl[0] = rng.normal(0, 0.001), command
        states.append((data.qpos.copy(), data.qvel.copy(), data.ctrl.copy()))
        mujoco.mj_step(model, data)
        after.append(data.qvel.copy())
        sensors.append(data.sensordata.copy())
        seen.append((abs(data.actuator_force[0]) == 5, abs(data.qfrc_actuator[0]) == 4.6, data.ncon))
    by_itself, on_joint, contacts = (set(column) for column in zip(*seen, strict=True))
    assert {(False, False), (True, False), (False, True)} <= {row[:2] for row in seen}
    assert by_itself == on_joint == {False, True}
    assert contacts == {0, 1}
    template = mjx.make_data(ready.model, impl="jax")

    def step(qpos: Any, qvel: Any, ctrl: Any) -> Steps:
        stepping = stepped(mx, template.replace(qpos=qpos, qvel=qvel, ctrl=ctrl))
        return Steps(stepping.qvel, complete(ready, mx, stepping))

    columns = [np.array(column, dtype=np.float32) for column in zip(*states, strict=True)]
    with jax.numpy_dtype_promotion("standard"):  # MJX itself mixes dtypes
        found = jax.jit(jax.vmap(step))(*columns)
    return Steps(np.array(after), np.array(sensors)), Steps(*(np.asarray(field) for field in found))


def test_velocities_follow_at_force_limits_and_for_free_bodies_that_tumble(both: tuple[Steps, Steps]) -> None:
    c, found = both
    touching = c.sensordata[:, 7] < 0
    np.testing.assert_allclose(found.qvel[~touching], c.qvel[~touching], rtol=0, atol=ROUNDED)
    np.testing.assert_allclose(found.qvel[touching], c.qvel[touching], rtol=FORCE[1], atol=FORCE[1])


def test_every_sensor_shows_what_it_shows_in_mujoco(both: tuple[Steps, Steps]) -> None:
    c, found = both
    np.testing.assert_allclose(found.sensordata[:, FORCES], c.sensordata[:, FORCES], atol=FORCE[0], rtol=FORCE[1])
    np.testing.assert_allclose(found.sensordata[:, OTHERS], c.sensordata[:, OTHERS], rtol=0, atol=ROUNDED)


def test_a_free_body_with_a_joint_below_it_is_not_alone() -> None:
    model = mujoco.MjModel.from_xml_string(SCENE)
    np.testing.assert_array_equal(standalone_free_bodies(model)[:, 0], [1, 7])


def test_a_contact_point_that_fills_several_slots_of_its_pair_counts_once() -> None:
    corner, other = [0.1, 0.2, 0.0], [0.1, 0.2, 0.001]
    point = np.array([corner, corner, other, corner, corner, corner])
    pair = np.array([[0, 1], [0, 1], [0, 1], [0, 1], [0, 2], [0, 2]])
    contact = SimpleNamespace(pos=point, geom=pair, dist=np.full(6, -0.01), includemargin=np.zeros(6))
    data: Any = SimpleNamespace(_impl=SimpleNamespace(contact=contact), tree_replace=dict)
    (dist,) = each_point_once(data).values()
    assert (dist < 0).tolist() == [True, False, True, False, True, False]
