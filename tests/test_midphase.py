"""Bounding boxes before shapes: the same bits, in every scene and for whatever names geoms by their numbers."""

from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import pytest
from mujoco import batch

import worldverify as wv
from worldverify import Schedule
from worldverify.domain import world_of
from worldverify.engines.physics import MujocoPhysics
from worldverify.kernels.midphase import MOST_LINKS, add_decoys, decoyed_bodies, with_decoys
from worldverify.kernels.randomisation import varied

# Two links over a fixed block that they bump into, something free to be pushed about, sensors and pairs of geoms.
ARM = """
<mujoco>
  <option timestep="0.002" jacobian="dense"/>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 .1"/>
    <body name="block" pos="0 0 .1"><geom name="block" type="box" size=".6 .6 .1"/></body>
    <body name="upper" pos="0 0 .6"><joint name="shoulder" axis="0 1 0" damping=".1"/>
      <geom name="upper" type="capsule" size=".03" fromto="0 0 0 .2 0 0" mass=".4"/>
      <body name="lower" pos=".2 0 0"><joint name="elbow" axis="0 1 0" damping=".1"/>
        <geom name="lower" type="box" pos=".15 0 0" size=".15 .02 .03" mass=".3"/></body>
    </body>
    <body name="can" pos=".3 .02 .25"><freejoint/><geom name="can" type="cylinder" size=".03 .05" mass=".1"/></body>
  </worldbody>
  <contact><pair geom1="lower" geom2="can" friction=".4 .4 .005 .0001 .0001"/></contact>
  <actuator>
    <motor name="turn" joint="shoulder" ctrlrange="-4 4"/><motor name="bend" joint="elbow" ctrlrange="-2 2"/>
  </actuator>
  <sensor>
    <distance name="gap" geom1="lower" geom2="can" cutoff="9"/>
    <framepos name="tip" objtype="geom" objname="lower"/>
    <contact name="push" geom1="lower" data="found force" num="3"/>
  </sensor>
</mujoco>
"""
SPEC = "high: always(pos(lower).z > 0.15 m)"


@pytest.fixture(scope="module")
def arm() -> wv.Task:
    return wv.Task.from_mjcf(ARM, spec=SPEC, horizon=0.8, rate=25.0, name="Arm")


def shown(model: mujoco.MjModel, states: Any, controls: Any) -> list[Any]:
    """All that a run shows, to the last bit."""
    lanes = batch.Batch(model, len(states), 1)
    lanes.state[:] = states
    fields = ["qpos", "qvel", "qacc", "sensordata", "ncon", "qfrc_constraint", "solver_niter", "xquat", "cvel"]
    found = lanes.rollout(controls.shape[1], controls, mujoco.mjtState.mjSTATE_CTRL, record=fields)
    return [found[name].tobytes() for name in fields]


def at_random(task: wv.Task, lanes: int, steps: int) -> tuple[Any, Any]:
    """The task's start, and controls that change every tenth substep."""
    generator, (low, high) = np.random.default_rng(0), task.scene.model.actuator_ctrlrange.T
    drawn = generator.uniform(low, high, size=(lanes, steps // 10, len(low)))
    return np.repeat(task.start(0)[None], lanes, axis=0), np.repeat(drawn, 10, axis=1)


def test_every_task_moves_as_without_them(a_task: str) -> None:
    task = wv.load(a_task)
    states, controls = at_random(task, 2, 250)
    assert shown(task.scene.boxed, states, controls) == shown(task.scene.model, states, controls)


def test_an_arm_over_a_table_has_them() -> None:
    for name in ("PushCube-v0", "PickCube-v0", "StackCube-v0", "PickClutter-v0"):
        scene = wv.load(name).scene
        assert scene.boxed.ngeom > scene.model.ngeom, name


def test_sensors_and_pairs_of_geoms_keep_theirs(arm: wv.Task) -> None:
    model, boxed = arm.scene.model, arm.scene.boxed
    assert boxed.ngeom == model.ngeom + 2 and boxed.geom("can").id != model.geom("can").id
    states, controls = at_random(arm, 8, 800)
    lanes = batch.Batch(model, 8, 1)
    lanes.state[:] = states
    touched = lanes.rollout(800, controls, mujoco.mjtState.mjSTATE_CTRL, record=["sensordata"])["sensordata"]
    assert touched[:, :, arm.scene.model.sensor("push").adr[0]].any()  # the arm does push the can
    assert shown(boxed, states, controls) == shown(model, states, controls)


@pytest.mark.parametrize("height", [0.23, np.nextafter(0.23, 0), np.nextafter(0.23, 1), 0.23 - 1e-12, 0.23 + 1e-12])
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_what_just_touches_touches(arm: wv.Task, height: float, angle: float) -> None:
    source = arm.scene.source.copy()
    source.body("upper").pos = [0.01, 0.02, height]
    source.body("upper").quat = [np.cos(angle), 0, 0, np.sin(angle)]
    task = wv.Task.from_mjcf(source.to_xml(), spec=SPEC, horizon=0.8, rate=25.0, name="Touching")
    states, controls = at_random(task, 2, 50)
    assert shown(task.scene.boxed, states, controls) == shown(task.scene.model, states, controls)


def test_other_numbers_are_those_of_the_model_that_has_them(arm: wv.Task) -> None:
    model = varied(arm.scene.model, np.full(arm.scene.model.nbody, 1.3), 0.6, np.full(2, 0.9))
    model.opt.gravity[2] = -3.0
    scene = replace(arm.scene, model=model)
    states, controls = at_random(arm, 2, 300)
    changed = shown(scene.boxed, states, controls)
    assert changed == shown(model, states, controls) != shown(arm.scene.model, states, controls)


def test_a_randomised_world_moves_as_without_them() -> None:
    world = world_of(wv.load("PickCube-v0"), 5, "all").task
    states, controls = at_random(world, 2, 250)
    assert world.scene.boxed.ngeom > world.scene.model.ngeom
    assert shown(world.scene.boxed, states, controls) == shown(world.scene.model, states, controls)


def test_a_body_whose_distance_is_measured_has_none(arm: wv.Task) -> None:
    spec = "clear: always(distance(lower, can) > -1 m)"
    task = wv.Task.from_mjcf(ARM, spec=spec, horizon=0.8, rate=25.0, name="Measured")
    states, controls = at_random(task, 2, 300)
    assert shown(task.scene.boxed, states, controls) == shown(task.scene.model, states, controls)
    named = ARM.replace('<distance name="gap" geom1="lower"', '<distance name="gap" body1="lower"')
    model = mujoco.MjModel.from_xml_string(named)
    assert [model.body(body).name for body in decoyed_bodies(model)] == ["upper"]


def test_none_where_nothing_is_fixed_or_links_are_many() -> None:
    ground = ARM.replace('<body name="block" pos="0 0 .1"><geom name="block" type="box" size=".6 .6 .1"/></body>', "")
    assert ground != ARM and decoyed_bodies(mujoco.MjModel.from_xml_string(ground)) == []
    chain = mujoco.MjSpec.from_string(ARM)
    tip = chain.body("lower")
    for _ in range(MOST_LINKS - 1):
        tip = tip.add_body(pos=[0.1, 0, 0])
        tip.add_joint(axis=[0, 1, 0])
        tip.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.02, 0, 0], mass=0.1)
    assert decoyed_bodies(chain.compile()) == []


def test_no_model_of_other_things_is_taken_for_the_same(arm: wv.Task) -> None:
    other = arm.scene.source.copy()
    other.add_sensor(type=mujoco.mjtSensor.mjSENS_CLOCK)
    longer = other.compile()
    assert with_decoys(longer, arm.scene.boxed) is None  # what is recorded has another shape
    assert with_decoys(arm.scene.model, arm.scene.model) is None  # no decoys
    wrong = arm.scene.source.copy()
    add_decoys(wrong, [1])  # on the block
    assert with_decoys(arm.scene.source.compile(), wrong.compile()) is None


@pytest.mark.parametrize(
    ("rules", "boxed"), [(Schedule(), True), (Schedule(midphase=False), False), (Schedule.exhaustive(), False)], ids=str
)
def test_the_rule_says_what_is_simulated(arm: wv.Task, rules: Schedule, boxed: bool) -> None:
    physics = MujocoPhysics(threads=1, chunk=50)
    engine, _ = physics._engine(arm.scene, 3, rules=rules)
    assert engine.model is (arm.scene.boxed if boxed else arm.scene.model)
