"""Scenes in a mirror, and with their bodies in another order: the same physics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.scene import build_scene
from worldverify.spec import Spec
from worldverify.testing import TOY, toy_task
from worldverify.testing.mirror import column_signs, mirrored, mirrored_state, why_not
from worldverify.testing.permuted import NoOrder, permuted
from worldverify.testing.symmetry import CALM, WILD, NoTwin, as_controls, compare, mirrored_twin, permuted_twin

STEPS = 100
SAME = 1e-9  # SI units: what another order of sums may change in so few steps

# One of each: joints, constraints, ways to push, shapes, and sensors with and without a sense of their own.
RICH = """
<mujoco>
  <option timestep="0.002" integrator="implicitfast" gravity="0.3 0.7 -9.81" wind="0.4 0.2 0" density="1.2"
          magnetic="0.1 0.4 -0.3" cone="elliptic"><flag autoreset="disable"/></option>
  <asset>
    <mesh name="wedge" vertex="0 0 0  .2 0 0  0 .1 0  0 0 .15  .1 .12 .02"/>
  </asset>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 .1" euler="4 -3 0"/>
    <body name="base" pos=".1 .2 1" euler="10 20 30">
      <joint name="turn" type="hinge" axis=".2 .3 1" damping=".1" range="-90 90"/>
      <geom name="upper" type="capsule" fromto="0 0 0 .3 .1 -.1" size=".04"/>
      <site name="eye" pos=".1 .1 0" euler="20 -40 70"/>
      <body name="arm" pos=".3 .1 -.1" quat=".9 .1 .3 -.2">
        <joint name="push" type="slide" axis=".5 1 .2" stiffness="50" springref=".02"/>
        <geom name="lower" type="box" size=".05 .03 .1" euler="5 15 25"/>
        <body name="hand" pos="0 .1 -.15">
          <joint name="wrist" type="ball" damping=".02"/>
          <geom name="palm" type="mesh" mesh="wedge" mass=".3"/>
          <site name="tip" pos=".02 .03 -.05" euler="50 10 -20"/>
        </body>
      </body>
    </body>
    <body name="box" pos="1 .4 .3" euler="30 20 10">
      <freejoint/>
      <geom type="box" size=".1 .07 .05" mass=".5"/>
      <site name="mark" pos=".05 .02 .01" euler="10 50 20"/>
    </body>
    <body name="can" pos="-.6 -.5 .25" euler="60 10 0">
      <freejoint/>
      <geom type="cylinder" size=".06 .1" mass=".4"/>
    </body>
    <body name="egg" pos="3.1 1.2 .45"><freejoint/><geom type="ellipsoid" size=".05 .08 .06" mass=".2"/></body>
    <body name="left" pos="-1 1 .8"><freejoint/><geom type="sphere" size=".05" mass=".2"/></body>
    <body name="right" pos="-1 1.3 .8"><freejoint/><geom type="sphere" size=".06" mass=".1"/></body>
  </worldbody>
  <tendon>
    <spatial name="rope" stiffness="20" damping="1"><site site="tip"/><site site="mark"/></spatial>
    <fixed name="mix"><joint joint="turn" coef=".5"/><joint joint="push" coef="-1"/></fixed>
  </tendon>
  <equality>
    <weld body1="left" body2="right" relpose="0 .3 0 .96 .1 -.2 .1" torquescale=".5"/>
    <connect body1="can" body2="world" anchor="0 .1 .1"/>
  </equality>
  <actuator>
    <position joint="turn" kp="20" kv="2"/>
    <motor joint="push" gear="5"/>
    <motor joint="wrist" gear=".1 .2 -.1"/>
    <general site="mark" refsite="eye" gear="0 .3 .2 .1 .1 -.2" gainprm="2"/>
    <motor tendon="mix" gear="3"/>
  </actuator>
  <sensor>
    <framepos objtype="body" objname="box"/><framepos objtype="site" objname="tip" reftype="site" refname="mark"/>
    <framequat objtype="body" objname="box"/><framequat objtype="site" objname="tip" reftype="site" refname="eye"/>
    <framexaxis objtype="site" objname="tip"/><frameyaxis objtype="site" objname="tip"/>
    <framezaxis objtype="site" objname="tip"/>
    <framelinvel objtype="xbody" objname="arm"/><frameangvel objtype="xbody" objname="arm"/>
    <framelinacc objtype="xbody" objname="arm"/><frameangacc objtype="xbody" objname="arm"/>
    <accelerometer site="tip"/><gyro site="tip"/><velocimeter site="tip"/><magnetometer site="tip"/>
    <force site="tip"/><torque site="tip"/><ballquat joint="wrist"/><ballangvel joint="wrist"/>
    <subtreecom body="base"/><subtreelinvel body="base"/><subtreeangmom body="base"/>
    <jointpos joint="turn"/><jointvel joint="push"/><tendonpos tendon="rope"/><actuatorfrc actuator="turn_force"/>
    <distance name="gap" geom1="upper" geom2="floor" cutoff="3"/><fromto geom1="upper" geom2="floor" cutoff="3"/>
    <contact geom1="floor" reduce="netforce" data="found force torque dist pos" num="1"/>
  </sensor>
</mujoco>
""".replace('<position joint="turn"', '<position name="turn_force" joint="turn"')


@pytest.fixture(scope="module")
def rich() -> Any:
    return build_scene(mujoco.MjSpec.from_string(RICH), Spec.parse("safe: always(speed(box) < 100 m/s)"))


def begun(scene: Any) -> Any:
    """A state in which everything moves."""

    def stir(model: Any, data: Any) -> None:
        generator = np.random.default_rng(7)
        data.qvel[:] = generator.uniform(-0.5, 0.5, model.nv)
        data.ctrl[:] = generator.uniform(-0.5, 0.5, model.nu)
        data.xfrc_applied[1:] = generator.uniform(-0.1, 0.1, (model.nbody - 1, 6))

    return scene.start(stir)


def run(scene: Any, state: Any) -> tuple[Any, Any]:
    """(K, S) what the sensors show, and (nstate,) the state at the end."""
    data, seen = scene.data(state), []
    for _ in range(STEPS):
        mujoco.mj_step(scene.model, data)
        mujoco.mj_forward(scene.model, data)
        seen.append(data.sensordata.copy())
    return np.array(seen), scene.state_of(data)


def test_things_touch_in_the_rich_scene(rich: Any) -> None:
    data = rich.data(run(rich, begun(rich))[1])
    mujoco.mj_forward(rich.model, data)
    assert data.ncon > 1


def test_a_mirror_shows_the_same_physics(rich: Any) -> None:
    scene = replace(rich, model=mirrored(rich.model))
    seen, end = run(rich, begun(rich))
    other, other_end = run(scene, mirrored_state(rich, begun(rich)))
    signs = column_signs(rich.model)
    assert not np.isnan(signs).any()
    assert np.abs(other * signs - seen).max() < SAME * (1 + np.abs(seen).max())
    assert np.abs(mirrored_state(rich, end) - other_end).max() < SAME * (1 + np.abs(end).max())
    assert np.abs(other - seen).max() > 0.1  # it is another scene


def test_a_mirror_of_a_mirror_is_the_scene_itself(rich: Any) -> None:
    twice = mirrored(mirrored(rich.model))
    for name in dir(rich.model):
        field = None if name.startswith("_") else getattr(rich.model, name)
        if isinstance(field, np.ndarray):
            np.testing.assert_allclose(getattr(twice, name), field, rtol=1e-12, atol=1e-12, err_msg=name)
    state = begun(rich)
    assert np.array_equal(mirrored_state(rich, mirrored_state(rich, state)), state)


def test_a_mirrored_model_is_the_one_that_is_written_down_mirrored() -> None:
    text = """<mujoco><worldbody><body pos="1 {0}2 3" quat=".9 {0}.1 .2 {0}.3">
      <joint axis="{0}1 2 {0}3"/><joint type="slide" axis="1 {0}2 3"/><geom size=".1" pos=".1 {0}.2 .3"/>
    </body></worldbody></mujoco>"""
    one, other = text.format(""), text.format("-")
    made, written = mirrored(mujoco.MjModel.from_xml_string(one)), mujoco.MjModel.from_xml_string(other)
    for name in ("body_pos", "body_quat", "jnt_axis", "geom_pos", "body_ipos", "body_inertia", "geom_aabb"):
        np.testing.assert_allclose(getattr(made, name), getattr(written, name), atol=1e-15, err_msg=name)


def test_what_has_no_mirror_image_is_named() -> None:
    cloth = '<flexcomp name="cloth" type="grid" count="3 3 1" spacing=".1 .1 .1" mass=".1" radius=".01"/>'
    hills = '<hfield name="hills" nrow="2" ncol="2" size="1 1 .2 .1" elevation="0 1 2 0"/>'
    for assets, part, what in (("", cloth, "flexes"), (hills, '<geom type="hfield" hfield="hills"/>', "height fields")):
        xml = f"<mujoco><asset>{assets}</asset><worldbody>{part}</worldbody></mujoco>"
        assert what in str(why_not(mujoco.MjModel.from_xml_string(xml)))


def test_bodies_in_another_order_give_the_same_physics(rich: Any) -> None:
    other = permuted(rich)
    names = [rich.model.body(i).name for i in range(rich.model.nbody)]
    assert [other.scene.model.body(i).name for i in range(rich.model.nbody)] == [
        "world", "right", "left", "egg", "can", "box", "base", "arm", "hand",
    ]  # fmt: skip
    assert names != sorted(names, key=lambda n: other.scene.model.body(n).id)
    seen, end = run(rich, begun(rich))
    found, found_end = run(other.scene, other.state(begun(rich)))
    assert found.shape == seen.shape
    assert np.abs(found - seen).max() < SAME * (1 + np.abs(seen).max())
    assert np.abs(other.state(end) - found_end).max() < SAME * (1 + np.abs(end).max())


def test_bodies_in_another_order_keep_every_digit(rich: Any) -> None:
    model, other = rich.model, permuted(rich).scene.model
    for i in range(model.nbody):
        name = model.body(i).name
        assert (model.body(i).pos == other.body(name).pos).all() and model.body(i).mass == other.body(name).mass
        assert (model.body(i).inertia == other.body(name).inertia).all()
    for i in range(model.ngeom):
        named = model.geom(i).name
        assert not named or (model.geom(i).pos == other.geom(named).pos).all()


def test_a_scene_with_a_mesh_in_a_file_has_another_order_too(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    corners = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\n"
    (tmp_path / "shapes" / "wedge.obj").write_text(corners + "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
    (tmp_path / "scene.xml").write_text("""<mujoco><compiler meshdir="shapes"/>
      <asset><mesh name="wedge" file="wedge.obj" scale="1 2 1"/></asset><worldbody>
      <body name="a"><freejoint/><geom type="mesh" mesh="wedge"/></body><body name="b" pos="1 0 0"><freejoint/>
      <geom size=".1"/></body></worldbody></mujoco>""")
    source = mujoco.MjSpec.from_file(str(tmp_path / "scene.xml"))
    scene = build_scene(source, Spec.parse("safe: always(speed(a) < 1 m/s)"))
    other = permuted(scene).scene.model
    assert [other.body(i).name for i in range(3)] == ["world", "b", "a"]
    assert (other.mesh_vert == scene.model.mesh_vert).all() and mirrored(scene.model).mesh_vert[:, 1].min() < 0


def test_a_single_chain_has_no_other_order() -> None:
    chain = '<mujoco><worldbody><body name="a"><joint/><geom size=".1"/></body></worldbody></mujoco>'
    scene = build_scene(mujoco.MjSpec.from_string(chain), Spec.parse("safe: always(speed(a) < 1 m/s)"))
    with pytest.raises(NoOrder, match="side by side"):
        permuted(scene)


@pytest.mark.parametrize("make", [permuted_twin, mirrored_twin])
def test_a_twin_gives_the_same_verdicts(make: Any) -> None:
    task = toy_task()
    twin, plans = make(task), [task.good, *task.bad.values()]
    ours = wv.verify(task, plans, margins="full", on="cpu")
    given = [as_controls(task, plan.actions) for plan in plans]
    theirs = wv.verify(twin.task, given, state=twin.state(task.start()), margins="full", on="cpu")
    assert [v.status for v in theirs] == [v.status for v in ours] == ["PASS", "FAIL", "FAIL", "FAIL"]
    likeness = compare("other", task, dict.fromkeys("abcd", CALM), list(ours), list(theirs))
    assert (likeness.problems, likeness.near) == ((), ()) and likeness.gap < 1e-9


def sideways(formula: str) -> wv.Task:
    """The toy with its rail along y."""
    xml = TOY.replace('axis="1 0 0"', 'axis="0 1 0"').replace('pos="0 .6 .15"', 'pos="-.6 0 .15"')
    spec = f"there: {formula}\nslow: always(speed(cart) < 0.9 m/s)"
    return wv.Task.from_mjcf(xml, spec=spec, horizon=1.0, rate=10.0, good=np.array([[0.1], [0.2], [0.2]]))


@pytest.mark.parametrize("formula", ["at_end(pos(cart).y > 0.1 m)", "at_end(sensor(ball_pos)[1] < pos(cart).y)"])
def test_a_spec_that_reads_y_is_mirrored_with_the_scene(formula: str) -> None:
    task = sideways(formula)
    twin = mirrored_twin(task)
    (ours,) = wv.verify(task, [task.good], margins="full", on="cpu")
    (theirs,) = wv.verify(twin.task, [task.good], state=twin.state(task.start()), margins="full", on="cpu")
    assert ours.status == theirs.status == "PASS"
    assert theirs.margins["there"].value == pytest.approx(ours.margins["there"].value, abs=1e-12)
    unturned = replace(twin.task, scene=replace(twin.task.scene, bound=task.scene.bound))
    (wrong,) = wv.verify(unturned, [task.good], state=twin.state(task.start()), margins="full", on="cpu")
    assert wrong.status == "FAIL"


def test_a_sensor_without_a_mirror_image_is_named() -> None:
    xml = TOY.replace('data="force"', 'data="tangent"')
    task = wv.Task.from_mjcf(xml, spec="safe: always(sensor(ball_floor)[0] < 2)", horizon=1.0, rate=10.0)
    with pytest.raises(NoTwin, match="'ball_floor', which has no mirror image"):
        mirrored_twin(task)


def changed(verdict: Any, value: float, status: str = "PASS") -> Any:
    margin = replace(verdict.margins["slow"], value=value, interval=(value, value))
    return replace(verdict, status=status, margins={**verdict.margins, "slow": margin})


def test_what_is_compared() -> None:
    task = toy_task()
    (one,) = wv.verify(task, [task.good], margins="full", on="cpu")
    value = one.margins["slow"].value

    def told(ours: Any, theirs: Any, tolerance: Any = CALM) -> Any:
        return compare("mirrored", task, {"the good plan": tolerance}, [ours], [theirs])

    assert told(one, one).problems == ()
    far = told(one, changed(one, value + 0.2))
    assert "margin of 0." in far.problems[0] and far.gap == pytest.approx(4.0) and far.where == "slow, the good plan"
    assert told(one, changed(one, value + 0.008)).problems == ()
    assert told(one, changed(one, value + 0.05), WILD).problems == ()
    near = told(changed(one, 0.005), changed(one, -0.005, "FAIL"))
    assert near.problems == () and "too near to zero" in near.near[0]
    assert "is FAIL instead of PASS" in told(one, replace(one, status="FAIL")).problems[0]
    assert "is INVALID" in told(one, replace(one, status="INVALID", margins={})).problems[0]
