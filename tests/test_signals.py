"""Every signal of the spec language, as MuJoCo shows it, against mjData and arithmetic by hand."""

import math
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest

from worldverify.judge import atom_margins
from worldverify.refusal import Refusal
from worldverify.scene import Scene, build_scene
from worldverify.spec import Spec

WORLD = """
<mujoco>
  <option timestep="0.004" gravity="0 0 -9.81" jacobian="dense"/>
  <default><geom condim="3" solref="0.01 1"/></default>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 .1"/>
    <site name="pad" type="box" pos="0 0 .1" size=".2 .3 .1" euler="0 0 30"/>
    <body name="base" pos="-1 0 .5">
      <geom name="base_box" type="box" size=".05 .05 .05"/>
      <body name="upper" pos="0 0 .1">
        <joint name="shoulder" type="hinge" axis="0 1 0" range="-90 120"/>
        <joint name="spin" type="hinge" axis="0 0 1"/>
        <geom name="upper_bar" type="capsule" size=".03" fromto="0 0 0 .3 0 0"/>
        <body name="fore" pos=".3 0 0">
          <joint name="reach" type="slide" axis="1 0 0" range="-.1 .2"/>
          <geom name="fore_bar" type="capsule" size=".02" fromto="0 0 0 .2 0 0"/>
          <site name="tip" type="sphere" size=".1" pos=".2 0 0"/>
        </body>
      </body>
    </body>
    <body name="cube" pos="0 0 .05"><freejoint name="cube_free"/>
      <geom name="cube_box" type="box" size=".05 .05 .05" mass="1" pos=".01 0 0"/></body>
    <body name="cup" pos=".6 0 .3"><freejoint/>
      <geom name="cup_side" type="box" size=".02 .1 .1" pos=".1 0 0"/>
      <body name="handle" pos="-.1 0 0"><geom name="handle_bar" type="capsule" size=".02 .05"/></body>
      <site name="hollow" type="cylinder" size=".08 .1" euler="10 20 0"/>
    </body>
    <body name="ghost" pos="0 2 1">
      <geom name="ghost_box" type="box" size=".1 .1 .1" contype="0" conaffinity="0"/></body>
    <body name="odd-name/1" pos="0 -2 1"><geom type="sphere" size=".1"/></body>
  </worldbody>
  <actuator>
    <motor name="m_shoulder" joint="shoulder" gear="3"/>
    <motor name="m_reach" joint="reach"/>
  </actuator>
  <sensor>
    <framelinacc name="acc" objtype="body" objname="cube"/>
    <jointpos name="reach_pos" joint="reach"/>
    <actuatorfrc name="m_shoulder_force" actuator="m_shoulder"/>
    <touch name="pad_touch" site="pad"/>
  </sensor>
</mujoco>
"""


def scene(spec: str, world: str = WORLD) -> Scene:
    return build_scene(mujoco.MjSpec.from_string(world), Spec.parse(f"r: {spec}"))


def shown(built: Scene, change: Callable[[Any], None] | None = None) -> tuple[float, Any, Any]:
    """(margin of the only atom, model, data) after `change(data)` and one forward pass."""
    data = built.data()
    if change is not None:
        change(data)
    mujoco.mj_forward(built.model, data)
    margins = atom_margins(built.bound, np.array(data.sensordata)[None, None])
    assert margins.shape == (1, 1, 1)
    return float(margins[0, 0, 0]), built.model, data


def anywhere(seed: int) -> Callable[[Any], None]:
    """A random pose, with velocities and controls."""

    def change(data: Any) -> None:
        rng = np.random.default_rng(seed)
        data.qpos[:] += rng.uniform(-0.3, 0.3, size=len(data.qpos))
        data.qvel[:] = rng.normal(size=len(data.qvel))
        data.ctrl[:] = rng.normal(size=len(data.ctrl))

    return change


def point_velocity(model: Any, data: Any, body: str) -> np.ndarray:
    velocity = np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, data.body(body).id, velocity, 0)
    return velocity[3:]


Expected = Callable[[Any, Any], float]
FRAMES: dict[str, Expected] = {
    "always(pos(cube).x > 0 m)": lambda m, d: d.body("cube").xpos[0],
    "always(pos(fore).y > 0 m)": lambda m, d: d.body("fore").xpos[1],
    "always(pos(tip).z > 0 m)": lambda m, d: d.site("tip").xpos[2],
    "always(pos(cube_box).x > 0 m)": lambda m, d: d.geom("cube_box").xpos[0],
    'always(pos("odd-name/1").y > 0 m)': lambda m, d: -2.0,
    "always(speed(cube) > 0 m/s)": lambda m, d: math.hypot(*point_velocity(m, d, "cube")),
    "always(speed(fore) > 0 m/s)": lambda m, d: math.hypot(*point_velocity(m, d, "fore")),
    "always(tilt(cube) > 0 rad)": lambda m, d: math.acos(d.body("cube").xmat[8]),
    "always(tilt(cube) < 90 deg)": lambda m, d: math.pi / 2 - math.acos(d.body("cube").xmat[8]),
    "always(distance(cube, tip) > 0 m)": lambda m, d: math.dist(d.body("cube").xpos, d.site("tip").xpos),
    "always(joint(shoulder) > 0 rad)": lambda m, d: d.joint("shoulder").qpos[0],
    "always(joint(shoulder) > 10 deg)": lambda m, d: d.joint("shoulder").qpos[0] - math.radians(10),
    "always(joint(reach) > 0 m)": lambda m, d: d.joint("reach").qpos[0],
    "always(joint(reach) < 20 mm)": lambda m, d: 0.02 - d.joint("reach").qpos[0],
    "always(joint_speed(spin) > 0 rad/s)": lambda m, d: d.joint("spin").qvel[0],
    "always(joint_speed(reach) > 0 m/s)": lambda m, d: d.joint("reach").qvel[0],
    "always(torque(shoulder) > 0 Nm)": lambda m, d: 3 * d.actuator("m_shoulder").ctrl[0],
    "always(torque(reach) > 0 N)": lambda m, d: d.actuator("m_reach").ctrl[0],
    "always(torque(spin) > -1 Nm)": lambda m, d: 1.0,
    "always(sensor(reach_pos) > 0 m)": lambda m, d: d.joint("reach").qpos[0],
    "always(sensor(m_shoulder_force) > 0 Nm)": lambda m, d: d.actuator("m_shoulder").ctrl[0],
    "always(sensor(acc)[2] > 0 m/s/s)": lambda m, d: d.sensor("acc").data[2],
    "always(abs(pos(cube).x) + 2 * pos(cube).y > 1 mm)": lambda m, d: (
        abs(d.body("cube").xpos[0]) + 2 * d.body("cube").xpos[1] - 0.001
    ),
}


@pytest.mark.parametrize("spec", FRAMES)
def test_a_signal_of_frames_joints_and_sensors_is_what_mujoco_says(spec: str) -> None:
    built = scene(spec)
    for seed in range(3):
        margin, model, data = shown(built, anywhere(seed))
        assert margin == pytest.approx(FRAMES[spec](model, data), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_joint_margins_come_from_position_and_range(seed: int) -> None:
    margin, _, data = shown(scene("always(joint_margin(base) > 0 rad)"), anywhere(seed))
    angle = data.joint("shoulder").qpos[0]
    assert margin == pytest.approx(min(angle + math.pi / 2, math.radians(120) - angle))
    margin, _, data = shown(scene("always(slide_margin(upper) > 0 m)"), anywhere(seed))
    assert margin == pytest.approx(min(data.joint("reach").qpos[0] + 0.1, 0.2 - data.joint("reach").qpos[0]))


@pytest.mark.parametrize("seed", range(4))
def test_inside_is_the_depth_in_the_frame_of_a_moving_site(seed: int) -> None:
    margin, _, data = shown(scene("always(inside(cube, hollow))"), anywhere(seed))
    site = data.site("hollow")
    x, y, z = site.xmat.reshape(3, 3).T @ (data.body("cube").xpos - site.xpos)
    radial, axial = math.hypot(x, y) - 0.08, abs(z) - 0.1
    outside = math.hypot(max(radial, 0), max(axial, 0))
    assert margin == pytest.approx(-(outside + min(max(radial, axial), 0)))


@pytest.mark.parametrize("seed", range(4))
def test_clearance_is_the_least_distance_over_the_geoms_of_both_subtrees(seed: int) -> None:
    margin, model, data = shown(scene("always(clearance(cup, base) > 0 m)"), anywhere(seed))
    cup, base = ("cup_side", "handle_bar"), ("base_box", "upper_bar", "fore_bar")
    pairs = [(data.geom(a).id, data.geom(b).id) for a in cup for b in base]
    assert margin == pytest.approx(min(mujoco.mj_geomDistance(model, data, a, b, 10.0, None) for a, b in pairs))


def test_clearance_to_a_plane_is_the_height_of_the_lowest_point() -> None:
    margin, _, _ = shown(scene("always(clearance(ghost, floor) > 0 m)"))
    assert margin == pytest.approx(0.9)


def test_clearance_reads_ten_metres_beyond_its_cutoff() -> None:
    def far(data: Any) -> None:
        data.joint("cube_free").qpos[0] = 50.0

    assert shown(scene("always(clearance(cube, base) > 0 m)"), far)[0] == 10.0


def contact_forces(model: Any, data: Any, first: set[str], second: set[str]) -> list[np.ndarray]:
    """The world-frame force of every contact between two sets of geoms, on the second."""
    forces = []
    for i, contact in enumerate(data.contact):
        names = [model.geom(int(g)).name for g in contact.geom]
        swapped = names[0] in second and names[1] in first
        if swapped or (names[0] in first and names[1] in second):
            wrench = np.zeros(6)
            mujoco.mj_contactForce(model, data, i, wrench)
            forces.append((-1 if swapped else 1) * contact.frame.reshape(3, 3).T @ wrench[:3])
    return forces


def test_contact_force_is_the_norm_of_the_net_force_of_all_contacts() -> None:
    def pressed(data: Any) -> None:
        data.joint("cube_free").qpos[2] = 0.049
        data.joint("cube_free").qvel[:3] = (0.3, 0.1, -0.5)

    built = scene("always(contact_force(cube, floor) > 0 N)")
    margin, model, data = shown(built, pressed)
    forces = contact_forces(model, data, {"cube_box"}, {"floor"})
    assert len(forces) >= 3
    assert margin == pytest.approx(np.linalg.norm(sum(forces)))
    assert margin > 1


SQUEEZED = """
<mujoco>
  <option timestep="0.002" jacobian="dense"/>
  <worldbody>
    <body name="gripper">
      <geom name="palm" type="box" size=".02 .02 .02" pos="0 0 .3"/>
      <body name="left" pos="-.08 0 .1"><joint name="left_slide" type="slide" axis="1 0 0"/>
        <geom name="left_pad" type="box" size=".02 .04 .04" mass=".1"/></body>
      <body name="right" pos=".08 0 .1"><joint name="right_slide" type="slide" axis="-1 0 0"/>
        <geom name="right_pad" type="box" size=".02 .04 .04" mass=".1"/></body>
    </body>
    <body name="cube" pos="0 0 .1"><freejoint/><geom name="cube_box" type="box" size=".05 .05 .05" mass=".2"/></body>
  </worldbody>
  <actuator>
    <motor joint="left_slide" ctrlrange="0 50"/><motor joint="right_slide" ctrlrange="0 50"/>
  </actuator>
</mujoco>
"""


@pytest.mark.parametrize(("signal", "expected"), [("contact_force", 0.2 * 9.81), ("contact_load", None)])
def test_the_net_force_is_blind_to_squeezing_and_the_load_is_not(signal: str, expected: float | None) -> None:
    built = scene(f"always({signal}(gripper, cube) > 0 N)", SQUEEZED)
    data = built.data()
    data.ctrl[:] = 30.0
    for _ in range(500):
        mujoco.mj_step(built.model, data)
    mujoco.mj_forward(built.model, data)
    margin = float(atom_margins(built.bound, np.array(data.sensordata)[None, None])[0, 0, 0])
    assert data.body("cube").xpos[2] > 0.09
    pads = [contact_forces(built.model, data, {pad}, {"cube_box"}) for pad in ("left_pad", "right_pad")]
    load = sum(np.linalg.norm(sum(forces)) for forces in pads)
    assert margin == pytest.approx(load if expected is None else expected, rel=0.02)
    assert load == pytest.approx(2 * math.hypot(30.0, 0.981), rel=0.02)


SLASHES = """
<mujoco>
  <option timestep="0.004" jacobian="dense"/>
  <worldbody>
    <geom name="c" type="box" size=".1 .1 .1" pos="0 3 0"/>
    <geom name="b/c" type="box" size=".1 .1 .1" pos="0 0 0"/>
    <body name="a" pos="0 0 .149"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
    <body name="a/b" pos="3 0 2"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
    <site name="s" type="sphere" size="1"/>
    <body name="a/s" pos="0 5 0"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
  </worldbody>
</mujoco>
"""


def test_names_with_slashes_never_share_a_sensor() -> None:
    spec = """
    pressed: always(contact_force(a, "b/c") > 0 N)
    loose:   always(contact_force("a/b", c) > 0 N)
    far:     always(pos("a/s").y > 0 m)
    near:    always(inside(a, s))
    """
    for text in (spec, "\n".join(reversed(spec.splitlines()))):
        built = build_scene(mujoco.MjSpec.from_string(SLASHES), Spec.parse(text))
        data = built.data()
        mujoco.mj_forward(built.model, data)
        found = dict(
            zip(built.bound.names, atom_margins(built.bound, np.array(data.sensordata)[None, None]), strict=True)
        )
        assert found["pressed"][0, 0] > 1.0
        assert found["loose"][0, 0] == 0.0
        assert found["far"][0, 0] == 5.0
        assert found["near"][0, 0] == pytest.approx(1 - 0.149)


REFUSED = {
    "always(contact_force(ghost, floor) < 1 N)": "unmonitored_pair",
    "always(contact_load(base, ghost) < 1 N)": "unmonitored_pair",
    "always(contact_force(base, upper) < 1 N)": "bad_spec",
    "always(clearance(cube, cube_box) > 0 m)": "bad_spec",
    "always(contact_force(world, cube) < 1 N)": "bad_spec",
    "always(contact_force(pad, cube) < 1 N)": "bad_spec",
    "always(inside(cube, cube_box))": "bad_spec",
    "always(speed(cub) < 1 m/s)": "bad_spec",
    "always(sensor(acc) < 1 m/s/s)": "bad_spec",
    "always(sensor(acc)[3] < 1 m/s/s)": "bad_spec",
    "always(sensor(nothing) < 1 m)": "bad_spec",
    "always(sensor(reach_pos) < 1 rad)": "bad_spec",
    "always(joint(cube_free) < 1 rad)": "bad_spec",
    "always(joint(reach) < 1 rad)": "bad_spec",
    "always(joint_margin(cube) > 0 rad)": "bad_spec",
    "always(joint_margin(tip) > 0 rad)": "bad_spec",
    "always(joint_margin(base) > 3 rad)": "bad_spec",
    "always(tilt(cube) > 4 rad)": "bad_spec",
    "always(speed(cube) < 0 m/s)": "bad_spec",
    "always(inside(cube, tip) > 11 cm)": "bad_spec",
    "always[0,0.001](speed(cube) < 1 m/s)": "bad_spec",
}


@pytest.mark.parametrize("spec", REFUSED)
def test_a_spec_that_the_scene_cannot_show_is_refused_with_a_sentence(spec: str) -> None:
    with pytest.raises(Refusal) as refused:
        scene(spec)
    assert (refused.value.code, refused.value.cause) == (REFUSED[spec], "spec")
    assert refused.value.reason.endswith(".")


def test_an_unknown_name_comes_with_the_nearest_that_exists() -> None:
    with pytest.raises(Refusal, match="Did you mean 'cube'"):
        scene("always(speed(cub) < 1 m/s)")
    with pytest.raises(Refusal, match="Did you mean 'reach_pos'"):
        scene("always(sensor(reach_po) < 1 m)")


@pytest.mark.parametrize(
    ("sensor", "word"),
    [
        ('<user name="x" dim="1"/>', "user"),
        ('<clock name="x" nsample="5" delay="0.02"/>', "delay"),
        ('<clock name="x" nsample="5" interval="0.02"/>', "interval"),
        ('<distance name="x" geom1="floor" geom2="cube_box"/>', "cutoff"),
    ],
)
def test_a_sensor_that_does_not_show_every_step_as_it_is_is_refused(sensor: str, word: str) -> None:
    with pytest.raises(Refusal, match=word):
        scene("always(sensor(x) < 10)", WORLD.replace("</sensor>", f"{sensor}</sensor>"))


def test_a_sensor_that_is_cut_off_is_told_of() -> None:
    built = scene("always(sensor(x) < 2 s)", WORLD.replace("</sensor>", '<clock name="x" cutoff="3"/></sensor>'))
    assert any("cut off at 3" in warning for warning in built.warnings)


def test_sensors_without_a_name_are_nobodys() -> None:
    world = WORLD.replace("</sensor>", '<clock name="None"/><framepos objtype="body" objname="cube"/></sensor>')

    def later(data: Any) -> None:
        data.time = 0.75

    assert shown(scene("always(sensor(None) > 0 s)", world), later)[0] == 0.75


@pytest.mark.parametrize("flag", ["contact", "constraint"])
def test_a_hazard_in_a_world_without_contacts_is_refused(flag: str) -> None:
    world = WORLD.replace('jacobian="dense"/>', f'jacobian="dense"><flag {flag}="disable"/></option>')
    with pytest.raises(Refusal) as refused:
        scene("always(contact_force(cube, floor) < 1 N)", world)
    assert refused.value.code == "unmonitored_pair"


def test_an_excluded_pair_is_refused_and_an_explicit_pair_is_not() -> None:
    world = WORLD.replace("<actuator>", '<contact><exclude body1="cube" body2="fore"/></contact><actuator>')
    with pytest.raises(Refusal) as refused:
        scene("always(contact_force(cube, fore) < 1 N)", world)
    assert refused.value.code == "unmonitored_pair"
    world = WORLD.replace("<actuator>", '<contact><pair geom1="ghost_box" geom2="cube_box"/></contact><actuator>')
    scene("always(contact_force(cube, ghost) < 1 N)", world)


def test_switched_off_sensors_are_switched_on_and_told_of() -> None:
    world = WORLD.replace('jacobian="dense"/>', 'jacobian="dense"><flag sensor="disable"/></option>')
    built = scene("always(pos(cube).z > 0 m)", world)
    assert shown(built)[0] == 0.05
    assert any("ensors are switched on" in warning for warning in built.warnings)


@pytest.mark.parametrize("name", ["always[1.7e308,1.7e308](pos(cube).x > 0 m)", "always[0,1e300](pos(cube).x > 0 m)"])
def test_a_window_later_than_any_horizon_is_refused(name: str) -> None:
    with pytest.raises(Refusal):
        scene(name)


@pytest.mark.parametrize("scale", ["1e-320 m", "1e-20 m", "1e300 m"])
def test_a_scale_at_which_margins_lose_their_digits_is_refused(scale: str) -> None:
    with pytest.raises(Refusal, match="scale"):
        scene(f"always(pos(cube).x > 0 m ~ {scale})")
