"""Scenes of a user's own: MJCF and URDF from files, what is missing, where they start, and tasks named by file."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.ramps import ramps
from worldverify.registry import load_named
from worldverify.shake import ANGLE, SHIFT, shake
from worldverify.sources import POSE, read_scene

SCENES = Path(__file__).parent / "scenes"
ARM = SCENES / "little_arm" / "urdf" / "little_arm.urdf"
GRIPPER = SCENES / "gripper" / "gripper.xml"
CART = SCENES / "cart" / "cart.xml"
HIGH = "high: always(pos(tool).z > 0.2 m)"

PENDULUM = """
<mujoco model="pendulum">
  <option timestep="0.004" {option}/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 .1"/>
    <body name="rod" pos="0 0 1">
      <joint name="swing" axis="0 1 0" range="-2 2"/>
      <geom name="bob" type="capsule" fromto="0 0 0 0 0 -.3" size=".02" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <actuator><motor name="push" joint="swing" ctrlrange="-1 1"/></actuator>
  <keyframe><key name="hanging"/></keyframe>
</mujoco>
"""


def arm(**more: Any) -> wv.Task:
    options: dict[str, Any] = {"servo": True, "pose": {"elbow": 0.8}, **more}
    return wv.Task.from_mjcf(ARM, spec=HIGH, horizon=1.0, rate=20.0, **options)


def pendulum(option: str = "", spec: str = "slow: always(joint_speed(swing) < 9 rad/s)", **more: Any) -> wv.Task:
    return wv.Task.from_mjcf(PENDULUM.format(option=option), spec=spec, **{"horizon": 1.0, "rate": 25.0, **more})


def said(make: Callable[[], object], error: type[Exception] = wv.Refusal) -> str:
    """The sentence with which something is refused."""
    with pytest.raises(error) as refused:
        make()
    return str(refused.value)


def copied(folder: Path, scene: Path = GRIPPER) -> Path:
    """A copy of a scene without its assets."""
    copy = folder / scene.name
    copy.write_text(scene.read_text())
    return copy


# Files


def test_a_urdf_is_a_scene_whose_links_a_spec_can_name() -> None:
    model = arm().scene.model
    assert [model.body(i).name for i in range(model.nbody)] == ["world", "base", "upper", "lower", "tool"]


def test_meshes_of_a_package_are_found_beside_the_urdf() -> None:
    model = arm().scene.model
    assert model.nmesh == 1
    assert model.mesh_vertnum[0] == 4


def test_a_servo_holds_its_joint_with_no_more_than_the_effort_of_the_file() -> None:
    task = arm()
    data = task.scene.data(task.start())
    data.ctrl[:] = [0, 2.2, 0]
    most = np.zeros(3)
    for _ in range(500):
        mujoco.mj_step(task.scene.model, data)
        most = np.maximum(most, np.abs(data.qfrc_actuator))
    assert (most <= [20, 15, 4]).all() and most[1] == 15
    assert data.joint("elbow").qpos[0] == pytest.approx(2.2, abs=0.02)


def test_a_urdf_without_servos_is_refused_with_what_would_work() -> None:
    assert "servo=True gives its joints position servos" in said(lambda: arm(servo=False))


def test_a_joint_without_effort_has_no_servo() -> None:
    text = ARM.read_text().replace('effort="4"', 'effort="0"')
    sentence = said(lambda: read_scene(text.replace("package://little_arm", str(SCENES / "little_arm")), servo=True))
    assert "Joint 'wrist' of little_arm has no effort limit" in sentence


def test_a_robot_that_has_actuators_gets_no_servos() -> None:
    assert "leave out servo=True" in said(lambda: read_scene(CART, servo=True), ValueError)


def test_joined_links_of_a_urdf_do_not_collide() -> None:
    model = arm().scene.model
    upper, base = model.body("upper").id, model.body("base").id
    assert (min(base, upper) << 16) + max(base, upper) in model.exclude_signature


def test_a_scene_finds_meshes_and_textures_in_its_folders() -> None:
    model = read_scene(GRIPPER).mjspec.compile()
    assert (model.nmesh, model.ntex) == (1, 1)


def test_a_missing_mesh_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    sentence = said(lambda: read_scene(copied(tmp_path)))
    assert "The mesh file 'pad.obj' of gripper (and 1 more) was not found in" in sentence
    assert str(tmp_path / "assets") in sentence
    assert sentence.endswith("Put it there, or give its folder as meshdir.")


def test_a_file_of_nearly_that_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "Pad.OBJ").write_text("")
    assert said(lambda: read_scene(copied(tmp_path))).endswith("Did you mean 'Pad.OBJ'?")


def test_a_folder_for_meshes_can_be_given(tmp_path: Path) -> None:
    source = read_scene(copied(tmp_path), meshdir=GRIPPER.parent / "assets")
    assert source.mjspec.compile().ntex == 1


def test_a_missing_part_of_a_package_is_named(tmp_path: Path) -> None:
    sentence = said(lambda: read_scene(copied(tmp_path, ARM), servo=True))
    assert "package://little_arm/meshes/wedge.stl" in sentence


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("arm.urdf.xacro", "<robot/>", "xacro robot.urdf.xacro > robot.urdf"),
        ("scene.mjb", "x", "neither MJCF nor URDF"),
        ("scene.XML", "<mujoco/>", "rename it so that it ends in .xml (MJCF) or .urdf"),
        ("scene.xml", "", "begins with no XML element, not with <mujoco> or <robot>"),
        ("scene.xml", "not found", "begins with no XML element"),
        ("arm.urdf", "<!-- <robot/> --><sdf/>", "begins with an element <sdf>"),
        ("scene.xml", "<mujoco><worldbody></mujoco>", "MuJoCo cannot read scene.xml"),
        ("scene.xml", '<mujoco><include file="rest.xml"/></mujoco>', "rest.xml"),
        ("scene.xml", "<mujoco/>", "it has no hinge or slide either"),
    ],
)
def test_a_file_that_is_no_scene_is_refused_in_a_sentence(name: str, text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert sentence in said(lambda: read_scene(tmp_path / name))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "<robot name='é'/>".encode("latin-1"), "<a/>".encode("utf-16")])
def test_a_file_that_is_not_text_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "scene.xml").write_bytes(content)
    assert "XML in UTF-8" in said(lambda: read_scene(tmp_path / "scene.xml"))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "cart.xml").write_bytes(b"\xef\xbb\xbf" + CART.read_bytes())
    assert read_scene(tmp_path / "cart.xml").label == "cart"


@pytest.mark.parametrize("nothing", ["", "  \n"])
def test_a_scene_of_no_words_is_refused(nothing: str) -> None:
    assert "There is no scene" in said(lambda: read_scene(nothing), ValueError)


def test_a_file_that_is_not_there_is_answered_with_the_nearest() -> None:
    assert "Did you mean 'cart.xml'?" in said(lambda: read_scene(CART.with_name("cort.xml")), FileNotFoundError)


def test_a_folder_is_answered_with_a_model_in_it() -> None:
    assert "such as cart.xml" in said(lambda: read_scene(CART.parent), IsADirectoryError)


def test_a_meshdir_that_is_no_folder_is_refused() -> None:
    assert "is no folder" in said(lambda: read_scene(GRIPPER, meshdir="nowhere"), FileNotFoundError)


@pytest.mark.parametrize(
    "folder", ["package://", "package://x/", "file:///nowhere/", "model://x/", "$(find x)/", "../"]
)
def test_a_mesh_that_is_nowhere_is_named_as_the_file_does(folder: str) -> None:
    text = two_links('<limit effort="4"/>').replace("{mesh}", f'<mesh filename="{folder}a.stl"/>')
    assert f"The mesh file '{folder}a.stl' of r was not found in" in said(lambda: read_scene(text))


def test_a_mesh_is_found_by_the_address_of_its_file() -> None:
    mesh = (ARM.parents[1] / "meshes" / "wedge.stl").as_uri()
    text = two_links('<limit effort="4"/>').replace("{mesh}", f'<mesh filename="{mesh}"/>')
    assert read_scene(text, servo=True).mjspec.compile().nmesh == 1


def test_a_mesh_in_a_format_that_mujoco_does_not_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dae").write_text("<COLLADA/>")
    text = two_links('<limit effort="4"/>').replace("{mesh}", f'<mesh filename="{tmp_path / "a.dae"}"/>')
    assert "convert it to .obj or .stl" in said(lambda: read_scene(text))


# URDFs with faults

HAND = """
  <link name="hand"><inertial>
    <mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/>
  </inertial></link>
  <joint name="finger" type="revolute">
    <parent link="arm"/><child link="hand"/><limit effort="4" lower="-1" upper="1"/>{more}
  </joint>
"""


def two_links(limit: str, type: str = "revolute", more: str = "") -> str:
    """A URDF of a base and an arm on one joint, and what else stands in it."""
    return f"""
    <robot name="r">
      <link name="base"/>
      <link name="arm">
        <inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>
        <collision><geometry>{{mesh}}</geometry></collision>
      </link>
      <joint name="turn" type="{type}">
        <parent link="base"/><child link="arm"/><axis xyz="0 1 0"/>{limit}
      </joint>{more}
    </robot>
    """


def servos(text: str) -> list[list[float]]:
    """The ranges of the servos that a URDF gets."""
    source = read_scene(text.replace("{mesh}", '<sphere radius="0.05"/>'), servo=True)
    return [[round(float(x), 2) for x in one] for one in source.mjspec.compile().actuator_ctrlrange]


@pytest.mark.parametrize(
    ("limit", "type", "sentence"),
    [
        ("", "revolute", "'turn' of r has no effort limit"),
        ('<limit lower="-1" upper="1"/>', "revolute", "'turn' of r has no effort limit"),
        ('<limit effort="0" lower="-1" upper="1"/>', "revolute", "'turn' of r has no effort limit"),
        ('<limit effort="-4"/>', "revolute", "The effort limit of joint 'turn' of the model is -4"),
        ('<limit effort="nan"/>', "revolute", "is nan: give what its motor has"),
        ('<limit effort="inf"/>', "revolute", "is inf: give what its motor has"),
        ('<limit effort="strong"/>', "revolute", "bad format in attribute 'effort'"),
        ('<limit effort="4" lower="1" upper="-1"/>', "revolute", "goes from 1 (lower) to -1 (upper)"),
        ('<limit effort="4" lower="1" upper="1"/>', "prismatic", "a joint that stands still is fixed"),
        ('<limit effort="4" lower="nan" upper="1"/>', "revolute", "goes from nan (lower) to 1 (upper)"),
        ('<limit effort="4" lower="-inf" upper="inf"/>', "revolute", "one that turns without end is continuous"),
        ('<limit effort="4"/>', "screw", "the type 'screw', which a URDF does not know. Known: revolute,"),
        ('<limit effort="4"/>', "Revolute", "Did you mean 'revolute'?"),
        ('<limit effort="4"/>', "fixed", "it has no hinge or slide either"),
    ],
)
def test_a_joint_that_cannot_be_driven_is_refused(limit: str, type: str, sentence: str) -> None:
    assert sentence in said(lambda: servos(two_links(limit, type)))


@pytest.mark.parametrize(
    ("limit", "type", "span"),
    [
        ('<limit effort="4" velocity="2" lower="-1" upper="0.5"/>', "revolute", [-1, 0.5]),
        ('<limit effort="4" lower="-1" upper="0.5"/>', "prismatic", [-1, 0.5]),
        ('<limit effort="4" upper="0.5"/>', "revolute", [0, 0.5]),
        ('<limit effort="4" velocity="-1" lower="1" upper="-1"/>', "continuous", [-3.14, 3.14]),
        ('<limit effort="4" velocity="nan"/>', "revolute", [-3.14, 3.14]),
    ],
)
def test_a_servo_goes_as_far_as_the_limits_of_its_joint(limit: str, type: str, span: list[float]) -> None:
    assert servos(two_links(limit, type)) == [span]


def test_a_joint_that_mimics_another_gets_no_servo() -> None:
    text = two_links('<limit effort="4" lower="-2" upper="2"/>', more=HAND.format(more='<mimic joint="turn"/>'))
    assert servos(text) == [[-2, 2]]


@pytest.mark.parametrize(
    ("mimic", "sentence"),
    [
        ('joint="trun"', "'finger' of the model mimics 'trun', which is no other joint. Did you mean 'turn'?"),
        ('joint="finger"', "mimics 'finger', which is no other joint"),
        ('joint="turn" multiplier="nan"', "The multiplier with which joint 'finger' of the model mimics 'turn' is not"),
    ],
)
def test_a_joint_that_mimics_nothing_is_refused(mimic: str, sentence: str) -> None:
    text = two_links('<limit effort="4"/>', more=HAND.format(more=f"<mimic {mimic}/>"))
    assert sentence in said(lambda: servos(text))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'child link="arm"',
            'child link="amr"',
            "The child of joint 'turn' of the model is 'amr', which is no link. Did",
        ),
        (
            '<parent link="base"/>',
            "",
            "The parent of joint 'turn' of the model is '', which is no link. Known: base, arm.",
        ),
        ('<link name="base"/>', '<link name="base"/><link name="base"/>', "the model has 2 links 'base'"),
        ('parent link="base"', 'parent link="arm"', "lead from 'arm' back to it"),
        ('<link name="base"/>', '<xacro:arm name="base"/>', "holds xacro:arm: expand it first"),
        ('<mass value="1"/>', '<mass value="0"/>', "mass and inertia of moving bodies must be larger"),
    ],
)
def test_links_that_make_no_robot_are_refused(old: str, new: str, sentence: str) -> None:
    options: dict[str, Any] = {"spec": "any: always(pos(arm).z < 1 m)", "horizon": 1.0, "rate": 20.0, "servo": True}
    text = two_links('<limit effort="4"/>').replace(old, new).replace("{mesh}", '<sphere radius="0.05"/>')
    assert sentence in said(lambda: wv.Task.from_mjcf(text, **options))


# Where a scene starts


def test_a_pose_is_where_joints_start_and_servos_hold() -> None:
    task = arm(pose={"elbow": 1.0, "turn": -0.5})
    data = task.scene.data(task.start())
    assert data.joint("elbow").qpos[0] == 1.0
    assert data.actuator("turn").ctrl[0] == -0.5


def test_a_pose_adds_to_a_keyframe() -> None:
    source = read_scene(GRIPPER, keyframe="home", pose={"lift": -0.05})
    model = source.mjspec.compile()
    assert source.keyframe == POSE
    assert model.key(POSE).qpos[-3:].tolist() == [-0.05, 0.01, 0.01]


def test_a_welded_mocap_body_goes_with_a_pose() -> None:
    xml = """
    <mujoco>
      <worldbody>
        <body name="hook" mocap="true" pos="0.1 0 1.2"/>
        <body name="hand" pos="0 0 1"><joint name="lift" type="slide" axis="0 0 1"/><geom size=".05"/></body>
      </worldbody>
      <equality><weld body1="hook" body2="hand"/></equality>
      <actuator><motor joint="lift"/></actuator>
    </mujoco>
    """
    model = read_scene(xml, pose={"lift": 0.3}).mjspec.compile()
    assert model.key(POSE).mpos.ravel() == pytest.approx([0.1, 0, 1.5])


def test_an_unknown_joint_of_a_pose_is_answered_with_the_nearest() -> None:
    assert "Did you mean 'elbow'?" in said(lambda: arm(pose={"elbov": 1.0}))


@pytest.mark.parametrize("more", [{}, {"pose": {"swing": 0.1}}])
def test_an_unknown_keyframe_is_answered_with_the_nearest(more: dict[str, Any]) -> None:
    assert "Did you mean 'hanging'?" in said(lambda: pendulum(keyframe="hangin", **more))
    for keyframe in (-1, 1, 0.0, "", math.nan):
        assert f"No keyframe {keyframe!r}" in said(lambda keyframe=keyframe: pendulum(keyframe=keyframe, **more))


@pytest.mark.parametrize("angle", [math.nan, math.inf, "0.1", None, True, [0.1]])
def test_a_pose_that_is_no_number_is_refused(angle: object) -> None:
    assert "The pose of joint 'swing' of pendulum is" in said(lambda: pendulum(pose={"swing": angle}))


def test_a_scene_without_keyframes_starts_in_its_default_pose() -> None:
    task = wv.Task.from_mjcf(CART, spec="any: always(pos(cart).x < 1 m)", horizon=1.0, rate=20.0)
    assert task.scene.keyframe == -1


def test_an_overlap_at_the_start_is_told_with_its_depth_and_what_to_do() -> None:
    text = CART.read_text().replace('pos="0.4 0 0.03"', 'pos="0.4 0 0.02"')
    task = wv.Task.from_mjcf(text, spec="any: always(pos(cart).x < 1 m)", horizon=1.0, rate=20.0)
    (verdict,) = wv.verify(task, [np.zeros((20, 1))])
    assert (verdict.status, verdict.code) == ("INVALID", "initial_state")
    assert "geom 'floor' 10.00 mm into a geom of body 'puck'" in verdict.reason
    assert "move them apart, or, if they are parts of one thing, exclude" in verdict.reason


def test_bodies_that_are_excluded_do_not_collide() -> None:
    text = CART.read_text().replace('pos="0.4 0 0.03"', 'pos="0.1 0 0.03"')
    options: dict[str, Any] = {"spec": "any: always(pos(cart).x < 1 m)", "horizon": 0.5, "rate": 20.0}
    plan = np.zeros((10, 1))
    assert wv.verify(wv.Task.from_mjcf(text, **options), plan)[0].status == "INVALID"
    assert wv.verify(wv.Task.from_mjcf(text, exclude=[("cart", "puck")], **options), plan)[0].status == "PASS"


def test_an_excluded_body_that_is_not_there_is_answered_with_the_nearest() -> None:
    assert "Did you mean 'puck'?" in said(lambda: read_scene(CART, exclude=[("cart", "pucc")]))


@pytest.mark.parametrize("pairs", [("cart", "puck"), [("cart",)], [("cart", "puck", "wall")]])
def test_what_is_excluded_are_pairs(pairs: Any) -> None:
    assert "exclude has pairs of bodies" in said(lambda: read_scene(CART, exclude=pairs), ValueError)


# What does not fit


def test_a_requirement_about_contact_is_refused_where_nothing_can_collide() -> None:
    refused = said(lambda: pendulum(spec="clear: always(contact_force(rod, floor) < 1 N)"))
    assert "'rod' and 'floor' cannot collide" in refused


def test_rk4_is_refused_and_can_be_replaced() -> None:
    assert "integrator='implicitfast'" in said(lambda: pendulum('integrator="RK4"'))
    task = pendulum('integrator="RK4"', integrator="implicitfast")
    assert task.scene.model.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST


def test_an_unknown_integrator_is_answered_with_the_nearest() -> None:
    assert "Did you mean 'implicitfast'?" in said(lambda: pendulum(integrator="implicitfst"), ValueError)


def test_a_rate_that_does_not_fit_the_timestep_is_answered_with_those_that_do() -> None:
    assert "use 19.2308 or 20.8333 Hz" in said(lambda: pendulum(rate=20.0), ValueError)


# Plans in few numbers, starts that differ


def test_a_leg_goes_evenly_and_ends_where_it_says() -> None:
    plan = ramps({"a": 0.0, "b": 5.0}, (0.2, {"a": 1.0}), (0.0, {"b": 6.0}), (0.1, {}), rate=20.0, horizon=0.5)
    assert plan[:, 0].tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert plan[:, 1].tolist() == [5, 5, 5, 5, 6, 6, 6, 6, 6, 6]


def test_a_control_that_stays_keeps_its_last_bit() -> None:
    plan = ramps({"a": 0.0, "b": 0.01}, (0.6, {"b": -0.012}), (1.2, {"a": 0.1}), rate=25.0, horizon=2.0)
    assert plan[:, 1].min() == -0.012 and set(plan[15:, 1]) == {-0.012}
    assert plan[-1].tolist() == [0.1, -0.012]


def test_a_plan_of_no_legs_stays() -> None:
    assert (ramps({"a": 0.3}, rate=10.0, horizon=1.0) == np.full((10, 1), 0.3)).all()


def test_legs_that_take_too_long_or_name_nothing_are_refused() -> None:
    assert "longer than the horizon" in said(lambda: ramps({"a": 0}, (2.0, {}), rate=10, horizon=1.0), ValueError)
    assert "Did you mean 'arm'?" in said(lambda: ramps({"arm": 0}, (1, {"arn": 1}), rate=10, horizon=1.0), ValueError)


def test_shaken_starts_differ_a_little_and_stay_inside_the_limits() -> None:
    model = mujoco.MjModel.from_xml_path(str(CART))
    hinge = mujoco.MjModel.from_xml_string(PENDULUM.format(option="").replace("-2 2", "-2 0"))
    for seed in range(20):
        data = mujoco.MjData(model)
        shake(np.random.default_rng(seed), model, data)
        moved = data.qpos - model.qpos0
        assert 0 < np.abs(moved[1:3]).max() <= SHIFT and not moved[3:].any() and moved[0] == 0
        data = mujoco.MjData(hinge)
        data.qpos[:] = -0.005
        shake(np.random.default_rng(seed), hinge, data)
        assert -0.005 - ANGLE <= data.qpos[0] <= 0 and data.qpos[0] != -0.005


# Tasks named by file

TASK = f"""
import worldverify as wv


def cart(horizon=1.0):
    spec = "slow: always(speed(cart) < 1 m/s)"
    return wv.Task.from_mjcf({str(CART)!r}, spec=spec, horizon=horizon, rate=20.0, name="cart")


def fast():
    return wv.Task.from_mjcf({str(CART)!r}, spec="slow: always(sped(cart) < 1 m/s)", horizon=1.0, rate=20.0)


def none():
    pass
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my_tasks.py"
    path.write_text(TASK)
    return path


def test_a_task_is_named_by_its_file_and_function(own: Path) -> None:
    assert load_named(f"{own}:cart").name == "cart"
    assert load_named("PickCube-v0") is wv.load("PickCube-v0")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("{own}", "Which function of {own} makes the task? Write {own}:task"),
        ("{own}:carts", "has no function 'carts'. Did you mean 'cart'?"),
        ("{own}:none", "returns NoneType, not a worldverify.Task."),
        ("{own}:fast", "my_tasks.py, line 11: "),
        ("nowhere.py:task", "No file 'nowhere.py'."),
        ("PickCub-v0", "Did you mean 'PickCube-v0'?"),
    ],
)
def test_a_name_that_makes_no_task_is_answered_in_a_sentence(own: Path, words: str, sentence: str) -> None:
    assert sentence.format(own=own) in said(lambda: load_named(words.format(own=own)), ValueError)


@pytest.mark.parametrize(("code", "sentence"), [("x = (", "line 1: SyntaxError"), ("\n1 / 0", "line 2: ZeroDivision")])
def test_a_file_that_cannot_be_run_is_answered_with_the_line(own: Path, code: str, sentence: str) -> None:
    own.write_text(code)
    assert sentence in said(lambda: load_named(f"{own}:task"), ValueError)


def test_names_outside_of_the_command_line_never_run_a_file(own: Path) -> None:
    own.write_text("raise SystemExit('this file was run')")
    for judge in (wv.load, lambda name: wv.verify(name, [])):
        assert "No task" in said(lambda judge=judge: judge(f"{own}:cart"), ValueError)


def test_plans_are_judged_and_replayed_with_a_task_of_a_file(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plans, out = tmp_path / "plans.jsonl", tmp_path / "out.jsonl"
    plans.write_text(json.dumps({"id": "still", "actions": [[0.0]] * 20}) + "\n")
    assert main(["verify", f"{own}:cart", str(plans), "--json", str(out)]) == 0
    assert "1 plan: 1 PASS" in capsys.readouterr().out
    assert main(["replay", str(out), "--task", f"{own}:cart"]) == 0
    assert main(["replay", str(out)]) == 1
    assert "No task 'cart'" in capsys.readouterr().out


def test_a_verdict_that_names_a_file_does_not_run_it(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plans, out = tmp_path / "plans.jsonl", tmp_path / "out.jsonl"
    plans.write_text(json.dumps({"actions": [[0.0]] * 20}) + "\n")
    main(["verify", f"{own}:cart", str(plans), "--json", str(out)])
    line = json.loads(out.read_text()) | {"task": f"{own}:cart"}
    out.write_text(json.dumps(line) + "\n")
    own.write_text("raise SystemExit('this file was run')")
    capsys.readouterr()
    assert main(["replay", str(out)]) == 1
    assert "Cannot be replayed. No task" in capsys.readouterr().out
