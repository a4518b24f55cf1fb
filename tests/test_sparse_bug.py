"""MuJoCo 4.0.0 computes wrong accelerations with the sparse Newton solver; worldverify never uses it there."""

import math

import mujoco
import numpy as np
import pytest

from worldverify.kernels.engine import Fault
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.kernels.trust import Limits, force_gap, force_residual
from worldverify.scene import SPARSE_BUG_VERSION, STATE, Scene, build_scene
from worldverify.spec import Spec

needs_the_bug = pytest.mark.skipif(
    mujoco.__version__ != SPARSE_BUG_VERSION, reason=f"only MuJoCo {SPARSE_BUG_VERSION} has the bug"
)

SEEDS = (0, 1, 2, 3, 220, 232, 398)  # of states, the last three among those that show the bug
WRONG = 0.05  # of the largest acceleration: solver tolerances stay far below


def world(jacobian: str) -> str:
    """Five free bodies with five two-joint legs each, and six free boxes: 116 degrees of freedom."""
    leg = """
      <body pos="{x:.3f} {y:.3f} 0">
        <joint type="hinge" axis="0 1 0" range="-60 60" damping=".5"/>
        <geom type="capsule" size=".02" fromto="0 0 0 {dx:.3f} {dy:.3f} -.1"/>
        <body pos="{dx:.3f} {dy:.3f} -.1">
          <joint type="hinge" axis="1 0 0" range="-60 60" damping=".5"/>
          <geom type="capsule" size=".02" fromto="0 0 0 0 0 -.15"/>
        </body>
      </body>"""
    bodies = ""
    for b in range(5):
        legs = ""
        for i in range(5):
            angle = 2 * math.pi * i / 5
            c, s = math.cos(angle), math.sin(angle)
            legs += leg.format(x=0.1 * c, y=0.1 * s, dx=0.1 * c, dy=0.1 * s)
        bodies += f'<body name="b{b}" pos="{0.5 * b} 0 .3"><freejoint/><geom type="box" size=".1 .1 .04"/>{legs}</body>'
    for b in range(6):
        bodies += f'<body pos="{0.4 * b} .6 .1"><freejoint/><geom type="box" size=".05 .05 .05"/></body>'
    return f"""
    <mujoco>
      <option timestep="0.004" jacobian="{jacobian}" tolerance="1e-10" iterations="100"/>
      <worldbody><geom name="floor" type="plane" size="5 5 .1"/>{bodies}</worldbody>
      <actuator><adhesion body="b0" gain="1" ctrlrange="0 1"/></actuator>
    </mujoco>"""


def compiled(jacobian: str) -> Scene:
    return build_scene(mujoco.MjSpec.from_string(world(jacobian)), Spec.parse("r: always(pos(b0).z > -9 m)"))


def scattered(model: mujoco.MjModel, seed: int) -> mujoco.MjData:
    rng = np.random.default_rng(seed)
    data = mujoco.MjData(model)
    data.qpos[:] += rng.normal(scale=0.12, size=model.nq)
    data.qvel[:] = rng.normal(scale=1.0, size=model.nv)
    mujoco.mj_forward(model, data)
    return data


def residual(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    rows = np.repeat(np.arange(model.nv), model.M_rownnz).tolist()
    forces = np.array(data.qfrc_smooth), np.array(data.qfrc_constraint)
    gap = force_gap(np.array(data.M), rows, model.M_colind.tolist(), np.array(data.qacc), *forces)
    return float(force_residual(gap, forces[1]))


@pytest.mark.parametrize("jacobian", ["auto", "sparse", "dense"])
@needs_the_bug
def test_a_scene_is_compiled_dense_whatever_its_author_wrote(jacobian: str) -> None:
    built = compiled(jacobian)
    assert built.model.nv == 116
    assert built.model.opt.jacobian == mujoco.mjtJacobian.mjJAC_DENSE
    assert any("dense" in w for w in built.warnings) == (jacobian != "dense")


@needs_the_bug
def test_the_sparse_solver_is_wrong_and_ours_is_right_and_the_residual_tells() -> None:
    sparse = mujoco.MjModel.from_xml_string(world("sparse"))
    ours = compiled("sparse").model
    limit = Limits().residual
    wrong = 0
    for seed in SEEDS:
        theirs, true = scattered(sparse, seed), scattered(ours, seed)
        assert residual(ours, true) < limit
        off = np.abs(theirs.qacc - true.qacc).max() / np.abs(true.qacc).max()
        if off > WRONG:
            wrong += 1
            assert residual(sparse, theirs) > limit
    assert wrong >= 1


@needs_the_bug
def test_an_engine_on_the_sparse_model_reports_forces_that_do_not_add_up() -> None:
    no_reset = 'iterations="100"><flag autoreset="disable"/></option>'
    text = world("sparse").replace('iterations="100"/>', no_reset)
    sparse = mujoco.MjModel.from_xml_string(text)
    worst = scattered(sparse, SEEDS[-1])
    state = np.empty(mujoco.mj_stateSize(sparse, STATE))
    worst.qacc_warmstart[:] = 0.0
    mujoco.mj_getState(sparse, worst, state, STATE)
    engine = MujocoEngine(sparse, 1)
    engine.load(np.array([0]), state[None])
    assert int(engine.observe(np.array([0])).fault[0, 0]) & int(Fault.UNBALANCED)


def test_a_world_too_large_for_the_dense_solver_is_refused() -> None:
    bodies = "".join(f'<body pos="{i} 0 1"><freejoint/><geom size=".1"/></body>' for i in range(60))
    bodies += '<body name="b" pos="0 3 1"><freejoint/><geom size=".1"/></body>'
    text = f"<mujoco><worldbody>{bodies}</worldbody></mujoco>"
    spec = Spec.parse("r: always(pos(b).z > -9 m)")
    if mujoco.__version__ == SPARSE_BUG_VERSION:
        with pytest.raises(ValueError, match="366 degrees of freedom"):
            build_scene(mujoco.MjSpec.from_string(text), spec)
    else:
        assert build_scene(mujoco.MjSpec.from_string(text), spec).model.nv == 366
