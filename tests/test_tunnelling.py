"""Thin things that pass through each other make a verdict INVALID; ordinary contact does not."""

from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.kernels.sweep import collidable_pairs, half_extent
from worldverify.kernels.tunnelling import TunnelCheck
from worldverify.verdict import Verdict

BALL, WALL = 0.02, 0.005  # m, radius and half-thickness


def shot(speed: float, gap: float, *, ball: str = f'type="sphere" size="{BALL}"', free_wall: bool = False) -> wv.Task:
    """A ball shot at a thin wall; the goal lies behind it."""
    geom = f'<geom name="wall" type="box" size="{WALL} .5 .5" mass="50"/>'
    wall = f'<body name="plate"><freejoint/>{geom}</body>' if free_wall else geom
    still, pose = ("0 0 0 0 0 0 ", "0 0 0 1 0 0 0 ") if free_wall else ("", "")
    text = f"""
    <mujoco><option timestep="0.004" gravity="0 0 0"/>
      <worldbody>{wall}
        <body name="ball" pos="{-gap - BALL - WALL} 0 0">
          <joint name="rail" type="slide" axis="1 0 0"/><geom name="round" {ball} mass=".05"/></body>
      </worldbody>
      <actuator><motor joint="rail" ctrlrange="-1 1"/></actuator>
      <keyframe><key name="shot" qpos="{pose}0" qvel="{still}{speed}"/></keyframe>
    </mujoco>"""
    spec = "behind: eventually(pos(ball).x > 0.1 m)"
    return wv.Task.from_mjcf(text, spec=spec, horizon=0.4, rate=25.0, keyframe="shot")


def judged(task: wv.Task, plan: Any = ((0.0,),)) -> Verdict:
    return wv.verify(task, np.array(plan))[0]


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("speed", [4.0, 8.0, 15.0, 20.0, 60.0, 500.0])
def test_a_ball_never_passes_by_going_through_a_wall(speed: float, phase: float) -> None:
    gap = 0.3 + phase * speed * 0.004
    assert judged(shot(speed, gap)).status in ("INVALID", "FAIL")


@pytest.mark.parametrize("ball", ['type="box" size=".02 .02 .02"', 'type="capsule" size=".02 .05"'])
@pytest.mark.parametrize("free_wall", [False, True])
def test_neither_does_another_shape_nor_through_a_wall_that_can_move(ball: str, free_wall: bool) -> None:
    for speed in (8.0, 30.0):
        verdict = judged(shot(speed, 0.31, ball=ball, free_wall=free_wall))
        assert verdict.status in ("INVALID", "FAIL")


def test_tunnelling_is_the_plans_fault_only_if_holding_still_would_not_tunnel() -> None:
    verdict = judged(shot(30.0, 0.3))
    assert (verdict.status, verdict.code, verdict.cause) == ("INVALID", "tunnelling", "model")


@pytest.mark.parametrize("shape", ['type="sphere" size=".02"', 'type="box" size=".02 .02 .02"'])
def test_being_pressed_through_a_wall_slowly_is_tunnelling_too(shape: str) -> None:
    text = f"""
    <mujoco><option timestep="0.004" integrator="implicitfast"/>
      <worldbody><geom name="wall" type="box" size=".005 .5 .5"/>
        <body name="ball" pos="-.03 0 0"><joint name="rail" type="slide" axis="1 0 0" damping="3000"/>
          <geom {shape} mass=".2"/></body></worldbody>
      <actuator><motor joint="rail" ctrlrange="-5000 5000"/></actuator>
    </mujoco>"""
    task = wv.Task.from_mjcf(text, spec="behind: eventually(pos(ball).x > 0.1 m)", horizon=1.0, rate=25.0)
    verdict = judged(task, [[1000.0]])
    assert (verdict.status, verdict.code, verdict.cause) == ("INVALID", "tunnelling", "plan")
    assert judged(task, [[30.0]]).status == "FAIL"


def test_a_wall_that_stops_a_slow_ball_is_not_suspected() -> None:
    verdict = judged(shot(1.0, 0.1))
    assert verdict.status == "FAIL"
    assert verdict.first_violation is not None and verdict.first_violation.requirement == "behind"


def test_a_ball_that_flies_fast_past_a_thin_wall_is_not_suspected() -> None:
    task = shot(30.0, 0.3)
    text = """
    <mujoco><option timestep="0.004" gravity="0 0 0"/>
      <worldbody><geom name="wall" type="box" size=".005 .5 .5" pos="0 .6 0"/>
        <body name="ball" pos="-.3 0 0"><joint name="rail" type="slide" axis="1 0 0"/>
          <geom type="sphere" size=".02" mass=".05"/></body></worldbody>
      <actuator><motor joint="rail" ctrlrange="-1 1"/></actuator>
      <keyframe><key name="shot" qvel="10"/></keyframe>
    </mujoco>"""
    past = wv.Task.from_mjcf(text, spec=task.spec, horizon=0.4, rate=25.0, keyframe="shot")
    assert judged(past).status == "PASS"


def test_things_that_drop_bounce_and_rest_are_not_suspected() -> None:
    text = """
    <mujoco><option timestep="0.004"/>
      <worldbody><geom name="floor" type="plane" size="1 1 .1"/>
        <geom name="table" type="box" size=".3 .3 .02" pos="0 0 .2"/>
        <body name="cube" pos="0 0 .45"><freejoint/><geom type="box" size=".02 .02 .02" mass=".1"/></body>
        <body name="plate" pos=".1 0 .25"><freejoint/><geom type="box" size=".03 .03 .003" mass=".1"/></body>
        <body name="ball" pos=".5 0 .3"><freejoint/><geom type="sphere" size=".02" mass=".1"/></body>
      </worldbody>
      <actuator><adhesion body="cube" gain="1" ctrlrange="0 1"/></actuator>
    </mujoco>"""
    spec = "stays: always(pos(cube).z > 0.2 m and pos(plate).z > 0.2 m and pos(ball).z > 0 m)"
    task = wv.Task.from_mjcf(text, spec=spec, horizon=1.0, rate=25.0)
    assert judged(task).status == "PASS"


def test_a_ball_thrown_through_a_goal_box_does_not_satisfy_a_dwell() -> None:
    text = """
    <mujoco><option timestep="0.004" gravity="0 0 0"/>
      <worldbody><site name="goal" type="box" size=".1 .1 .1"/>
        <body name="ball" pos="-.5 0 0"><joint name="rail" type="slide" axis="1 0 0"/><geom size=".02"/></body>
      </worldbody>
      <actuator><motor joint="rail" ctrlrange="-1 1"/></actuator>
      <keyframe><key name="thrown" qvel="2"/></keyframe>
    </mujoco>"""
    touched = wv.Task.from_mjcf(
        text, spec="r: eventually(inside(ball, goal))", horizon=1.0, rate=25.0, keyframe="thrown"
    )
    dwelt = wv.Task.from_mjcf(
        text, spec="r: eventually(always[0,0.2](inside(ball, goal)))", horizon=1.0, rate=25.0, keyframe="thrown"
    )
    assert judged(touched).status == "PASS"
    assert judged(dwelt).status == "FAIL"


def test_a_wall_that_a_given_state_has_moved_is_watched_where_it_is() -> None:
    text = """
    <mujoco><option timestep="0.004" gravity="0 0 0"/>
      <worldbody><body name="gate" mocap="true" pos="9 0 0"><geom type="box" size=".005 .5 .5"/></body>
        <body name="ball" pos="-.33 0 0"><joint name="rail" type="slide" axis="1 0 0"/>
          <geom size=".02" mass=".05"/></body>
      </worldbody>
      <actuator><motor joint="rail" ctrlrange="-1 1"/></actuator>
      <keyframe><key name="shut" qvel="30" mpos="0 0 0"/></keyframe>
    </mujoco>"""
    spec = "behind: eventually(pos(ball).x > 0.1 m)"
    task = wv.Task.from_mjcf(text, spec=spec, horizon=0.4, rate=25.0, keyframe="shut")
    assert judged(task).status == "INVALID"


@pytest.mark.parametrize("speed", [10, 30, 100])
def test_a_height_field_is_watched_though_mujoco_knows_no_distance_to_it(speed: int) -> None:
    text = f"""
    <mujoco><option timestep="0.004"/>
      <asset><hfield name="hills" nrow="5" ncol="5" size="1 1 .1 .1"/></asset>
      <worldbody><geom name="ground" type="hfield" hfield="hills"/>
        <body name="ball" pos="0 0 .6"><joint name="fall" type="slide" axis="0 0 1"/><geom size=".02"/></body>
      </worldbody>
      <actuator><motor joint="fall" ctrlrange="-1 1"/></actuator>
      <keyframe><key name="shot" qvel="-{speed}"/></keyframe>
    </mujoco>"""
    spec = "through: eventually(pos(ball).z < -0.2 m)"
    assert judged(wv.Task.from_mjcf(text, spec=spec, horizon=0.2, rate=25.0, keyframe="shot")).status == "INVALID"


def test_an_endless_slide_on_a_joint_at_rest_is_watched_too() -> None:
    text = """
    <mujoco><option timestep="0.004" gravity="0 0 0"/>
      <worldbody><geom name="wall" type="box" size=".005 .5 .5"/>
        <body name="mount" pos="-.33 0 0"><joint type="hinge" axis="0 0 1"/>
          <inertial pos="0 0 0" mass="100" diaginertia="100 100 100"/>
          <body name="ball"><joint name="rail" type="slide" axis="1 0 0"/><geom size=".02" mass=".05"/></body></body>
      </worldbody>
      <actuator><motor joint="rail" ctrlrange="-1 1"/></actuator>
      <keyframe><key name="shot" qvel="0 30"/></keyframe>
    </mujoco>"""
    spec = "behind: eventually(pos(ball).x > 0.1 m)"
    assert judged(wv.Task.from_mjcf(text, spec=spec, horizon=0.4, rate=25.0, keyframe="shot")).status == "INVALID"


def test_half_extents_by_hand() -> None:
    model = mujoco.MjModel.from_xml_string("""
    <mujoco><worldbody>
      <geom type="plane" size="1 1 1"/><geom type="sphere" size=".3"/><geom type="capsule" size=".1 .5"/>
      <geom type="box" size=".3 .1 .2"/><geom type="cylinder" size=".4 .05"/><geom type="ellipsoid" size=".3 .2 .1"/>
    </worldbody></mujoco>""")
    assert [half_extent(model, g) for g in range(6)] == pytest.approx([np.inf, 0.3, 0.1, 0.1, 0.05, 0.1])


PAIRS = """
<mujoco><option><flag {flag}/></option><worldbody>
  <geom name="floor" type="plane" size="1 1 1"/>
  <body name="a"><freejoint/><geom size=".1"/>
    <body name="b"><joint/><geom size=".1" pos="0 0 .01"/>
      <body name="c"><joint/><geom size=".1" pos="0 0 .02"/></body></body>
    <body name="welded"><geom size=".1" pos="0 0 .03"/></body></body>
  <body name="d"><freejoint/><geom name="d_geom" size=".1" pos="0 0 .04" contype="2" conaffinity="2"/></body>
  <body name="e"><freejoint/><geom size=".1" pos="0 0 .05" contype="2" conaffinity="1"/></body>
  <body name="f"><freejoint/><geom size=".1" pos="0 0 .06" contype="0" conaffinity="0"/></body>
</worldbody>
<contact><exclude body1="e" body2="b"/><pair geom1="floor" geom2="d_geom"/></contact></mujoco>
"""


@pytest.mark.parametrize(("flag", "count"), [('contact="enable"', 12), ('filterparent="disable"', 15)])
def test_the_collidable_pairs_are_those_that_mujoco_brings_into_contact(flag: str, count: int) -> None:
    model = mujoco.MjModel.from_xml_string(PAIRS.format(flag=flag))
    data = mujoco.MjData(model)
    mujoco.mj_fwdPosition(model, data)  # all geoms in one place, so that every pair that can touch does
    touching = {tuple(sorted(pair)) for pair in data.contact.geom.tolist()}
    assert touching == set(collidable_pairs(model))
    assert len(touching) == count


@pytest.mark.parametrize("seed", range(8))
def test_looking_at_every_pair_closely_finds_nothing_more(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    walls = "".join(
        f'<geom type="box" size="{rng.uniform(0.002, 0.01):.4f} .3 .2" pos="{x} {rng.uniform(-0.2, 0.2):.2f} 0" '
        f'euler="{rng.uniform(-40, 40):.0f} {rng.uniform(-40, 40):.0f} 0"/>'
        for x in (0.3, 0.8)
    )
    thrown = "".join(
        f'<body pos="-.2 {0.2 * i - 0.2} 0"><freejoint/><geom type="{shape}" size=".02 .03 .015" mass=".1"/></body>'
        for i, shape in enumerate(("box", "sphere", "capsule"))
    )
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><option timestep="0.004" gravity="0 0 0"><flag autoreset="disable"/></option>'
        f"<worldbody>{walls}{thrown}</worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    data.qvel[:] = np.concatenate([np.r_[rng.uniform(2, 40), rng.normal(scale=9, size=5)] for _ in range(3)])
    state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)

    def faults() -> Any:
        engine = MujocoEngine(model, 1)
        engine.load(np.array([0]), state[None])
        return engine.advance(np.array([0]), np.zeros((1, 60, 0))).fault

    quick = faults()
    monkeypatch.setattr(TunnelCheck, "near", lambda self, centre, *_: np.full((len(centre), self.pairs), np.inf))
    assert np.array_equal(quick, faults())


def test_a_close_look_that_does_not_fit_the_memory_costs_no_other_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflows(*_: object) -> bool:
        raise mujoco.FatalError("mj_stackAlloc: out of memory")

    monkeypatch.setattr(TunnelCheck, "passed", overflows)
    task = shot(30.0, 0.3)
    still = task.scene.start(lambda model, data: data.qvel.fill(0.0))
    flung, calm = wv.verify(task, np.zeros((2, 1, 1)), state=np.stack([task.start(), still]))
    assert (flung.status, flung.code) == ("INVALID", "raised")
    assert calm.status == "FAIL"
