"""The wizard: what it sees in a scene, and that what it writes can be run, read and changed."""

import ast
import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.newtask.detect import Found, detect
from worldverify.newtask.guards import _Table
from worldverify.newtask.layout import WIDTH, Call, Name, laid_out
from worldverify.newtask.setting import setting_of
from worldverify.ramps import ramps
from worldverify.registry import load_named
from worldverify.sources import read_scene

SCENES = Path(__file__).parent / "scenes"
CART = SCENES / "cart" / "cart.xml"
ARM = SCENES / "little_arm" / "urdf" / "little_arm.urdf"
GRIPPER = SCENES / "gripper" / "gripper.xml"

BOX = '<geom type="box" size=".05 .05 .05"/>'
ROOM = """
<mujoco>
  <worldbody>
    <geom type="plane" size="2 2 .1"/>
    <geom name="shelf" type="box" pos="1 0 .2" size=".2 .2 .02"/>
    <body name="desk" pos="0 1 .3"><geom type="box" size=".3 .3 .02"/></body>
    <body name="walker" pos="0 0 .5">
      <freejoint/>
      {box}
      <body name="leg_1" pos=".1 0 0"><joint name="hip_1" axis="0 1 0"/>{box}
        <body name="foot_1" pos="0 0 -.2"><joint name="knee_1" axis="0 1 0"/>{box}</body></body>
      <body name="leg_2" pos="-.1 0 0"><joint name="hip_2" axis="0 1 0"/>{box}
        <body name="foot_2" pos="0 0 -.2"><joint name="knee_2" axis="0 1 0"/>{box}</body></body>
    </body>
    <body name="ball" pos="1 1 1"><freejoint/><geom size=".05"/></body>
    <body name="cupboard" pos="-1 0 .5">
      {box}
      <body name="door" pos="0 .1 0"><joint name="hinge"/>{box}</body>
    </body>
    <body name="pointer" mocap="true"/>
  </worldbody>
  <actuator><motor joint="hip_1"/><motor joint="knee_1"/><motor joint="hip_2"/><motor joint="knee_2"/></actuator>
</mujoco>
""".replace("{box}", BOX)


def found_in(source: str | Path, **options: Any) -> Found:
    return detect(read_scene(source, **options).mjspec.compile())


# What is seen in a scene


def test_a_gripper_is_two_joints_that_are_driven_against_each_other() -> None:
    found = found_in(GRIPPER)
    (robot,), (gripper,) = found.robots, found.grippers
    assert (robot.name, len(robot.joints), len(robot.actuators), robot.floating) == ("palm", 3, 2, False)
    assert (gripper.palm, gripper.fingers) == ("palm", ("left", "right"))
    assert (found.objects, found.surfaces, found.sites, found.keyframes) == (
        ("cube",),
        ("table",),
        ("grip",),
        ("home",),
    )


def test_an_arm_of_a_urdf_is_a_robot_without_a_gripper() -> None:
    found = found_in(ARM, servo=True)
    assert [robot.name for robot in found.robots] == ["base"]
    assert found.grippers == ()


def test_legs_are_no_gripper_and_things_are_told_apart() -> None:
    found = found_in(ROOM)
    assert [(robot.name, robot.floating) for robot in found.robots] == [("walker", True)]
    assert found.grippers == ()
    assert found.objects == ("ball",)
    assert found.mechanisms == ("door",)
    assert found.mocaps == ("pointer",)
    assert set(found.surfaces) == {"shelf", "desk", "cupboard"} - {"cupboard"}
    assert found.nameless == 2  # the floor, and the box of the cupboard


def test_two_arms_on_two_feet_are_two_robots() -> None:
    part = """<body name="{0}" pos="{1} 0 .5">{box}
        <body name="{0}_link" pos="0 0 .2"><joint name="{0}_joint"/>{box}</body></body>"""
    bodies = part.format("left", -1, box=BOX) + part.format("right", 1, box=BOX)
    motors = '<motor joint="left_joint"/><motor joint="right_joint"/>'
    found = found_in(f"<mujoco><worldbody>{bodies}</worldbody><actuator>{motors}</actuator></mujoco>")
    assert [robot.name for robot in found.robots] == ["left", "right"]


# How it is held still


def test_the_start_is_held_against_gravity() -> None:
    setting, _ = setting_of(ARM, horizon=2.0)
    plan = ramps(setting.hold, rate=setting.rate, horizon=setting.horizon)
    spec = "\n".join(
        f"{j}: always(abs(joint({j}) - {setting.pose.get(j, 0)} rad) < 0.001 rad)" for j in ("turn", "elbow")
    )
    (verdict,) = wv.verify(setting.task(spec), [plan])
    assert verdict.status == "PASS"
    assert set(setting.pose) == {"elbow"}
    assert any("outside the limits of elbow" in note for note in setting.notes)


def test_motors_carry_the_weight_of_what_they_hold(tmp_path: Path) -> None:
    scene = tmp_path / "arm.xml"
    scene.write_text("""
    <mujoco>
      <option timestep="0.003"/>
      <worldbody>
        <body name="arm"><joint name="j" axis="0 1 0" damping="1"/><geom pos=".5 0 0" size=".05" mass="2"/></body>
      </worldbody>
      <actuator><motor name="m" joint="j" gear="2"/></actuator>
    </mujoco>
    """)
    setting, _ = setting_of(scene, horizon=1.0)
    assert setting.hold["m"] == pytest.approx(-2 * 9.81 * 0.5 / 2, rel=1e-4)
    assert setting.rate == pytest.approx(1 / (17 * 0.003))


def test_parts_of_a_robot_that_overlap_are_excluded_and_told(tmp_path: Path) -> None:
    scene = tmp_path / "joined.xml"
    scene.write_text(f"""
    <mujoco>
      <worldbody><body name="foot">{BOX}
        <body name="post" pos="0 0 .09"><joint name="turn" axis="0 0 1" damping="1"/>{BOX}</body></body></worldbody>
      <actuator><position joint="turn" kp="10"/></actuator>
    </mujoco>
    """)
    setting, _ = setting_of(scene, horizon=1.0)
    assert setting.exclude == (("foot", "post"),)
    assert "Parts of the robot that overlap at the start do not collide: foot and post." in setting.notes


# What it writes


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A task file made for the cart, and what was said."""
    folder = tmp_path_factory.mktemp("wizard")
    (folder / "cart.xml").write_text(CART.read_text())
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["new-task", "cart.xml"]) == 0
    return folder / "cart_task.py", said.getvalue()


def test_what_was_found_and_that_the_task_passes_is_said(written: tuple[Path, str]) -> None:
    _, said = written
    assert "robot:     cart (1 joint, 1 actuator)" in said
    assert "objects:   puck" in said
    assert "Goal: Move puck until its x is more than" in said
    assert said.endswith("It passes worldverify.testing.check_task.\n")


def test_the_page_shows_what_is_said_and_written(written: tuple[Path, str]) -> None:
    path, said = written
    page = (Path(__file__).parents[1] / "docs" / "own-scenes.md").read_text()
    shown = re.findall(r"^```(?:console|spec)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown[0].partition("\n")[2].startswith(said)
    assert shown[1] in path.read_text()


def test_the_task_has_a_goal_guards_and_a_plan_for_each(written: tuple[Path, str]) -> None:
    task = load_named(f"{written[0]}:task")
    assert task.spec.names[0] == "reached" and len(task.spec.names) >= 3
    assert set(task.bad) == set(task.spec.names)
    assert str(task.success) == "held 0.5 s, final"
    assert task.precondition and task.randomise is not None


def test_the_good_plan_keeps_clear_of_every_limit(written: tuple[Path, str]) -> None:
    task = load_named(f"{written[0]}:task")
    (verdict,) = wv.verify(task, [task.good], margins="full")
    limits = {"slow": 1.0, "travel": 0.05, "reached": 0.01}
    for name, margin in verdict.margins.items():
        assert margin.value is not None and margin.value > 0.05 * limits[name]


def test_the_file_is_short_and_as_a_formatter_leaves_it(written: tuple[Path, str]) -> None:
    path, _ = written
    assert len(path.read_text().splitlines()) < 90
    for check in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--isolated", path], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_goes_where_the_scene_goes(written: tuple[Path, str], tmp_path: Path) -> None:
    path, _ = written
    for file in (path, path.with_name("cart.xml")):
        (tmp_path / file.name).write_text(file.read_text())
    assert load_named(f"{tmp_path / path.name}:task").scene.digest == load_named(f"{path}:task").scene.digest


def test_plans_are_judged_by_it_on_the_command_line(
    written: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, plans = load_named(f"{written[0]}:task"), tmp_path / "plans.jsonl"
    assert task.good is not None
    lines = [task.good.to_json(), *(plan.to_json() for plan in task.bad.values())]
    plans.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["verify", f"{written[0]}:task", str(plans)]) == 0
    assert "4 plans: 1 PASS, 3 FAIL." in capsys.readouterr().out


def test_a_file_that_is_there_is_not_written_over(
    written: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = written
    before = path.read_text()
    assert main(["new-task", str(path.with_name("cart.xml")), "--out", str(path)]) == 2
    assert "write over it with --force" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("scene", "sentence"),
    [
        ("nowhere.xml", "No model file"),
        ("<mujoco/>", "has no actuators"),
        (
            ROOM.replace('pos="0 0 .5">\n      <freejoint/>', 'pos="0 0 .2">\n      <freejoint/>'),
            "The start state pushes",
        ),
    ],
)
def test_a_scene_that_cannot_be_used_is_answered_in_a_sentence_and_nothing_is_written(
    scene: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scene.xml"
    if scene.startswith("<") or scene.startswith("\n"):
        path.write_text(scene)
    assert main(["new-task", str(path), "--out", str(tmp_path / "task.py")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "task.py").exists()


def test_a_robot_that_nothing_brings_to_rest_gets_guards_and_is_told_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, out = tmp_path / "wheel.xml", tmp_path / "task.py"
    scene.write_text("""
    <mujoco>
      <worldbody><body name="wheel"><joint name="axle"/><geom size=".1"/></body></worldbody>
      <actuator><motor joint="axle" ctrlrange="0.1 1"/></actuator>
    </mujoco>
    """)
    assert main(["new-task", str(scene), "--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "No goal: no ramp of one actuator" in said
    assert "has no good plan, so nobody knows that it can be done" in said
    task = load_named(f"{out}:task")
    assert task.spec.names == ("slow",)
    still = ramps({"0": 0.1}, rate=task.rate, horizon=task.horizon)
    assert wv.verify(task, [still])[0].status == "PASS"


# Its parts


def test_limits_are_such_that_each_guard_is_broken_alone() -> None:
    #                     still, good, breaks the first, the second, both, the second but not the goal
    badness = np.array([[0, 0, 0], [1, 1, 5], [9, 1, 5], [1, 9, 5], [9, 9, 5], [1, 30, 5]], dtype=float)
    reached = np.array([False, True, True, True, True, False])
    limits, alone = _Table(badness, reached, np.full(3, np.inf), [0.25] * 3).choose()
    assert alone == {0: 2, 1: 3}  # what no plan makes worse cannot be guarded
    assert limits[:2].tolist() == [3.0, 3.0]


def test_a_guard_that_only_breaks_with_another_is_left_out() -> None:
    badness = np.array([[0, 0], [0, 0], [9, 9], [9, 0]], dtype=float)
    _, alone = _Table(badness, np.array([False, True, True, True]), np.full(2, np.inf), [0.25] * 2).choose()
    assert set(alone) == {0}


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        0.1 + 0.2,
        -3e-7,
        "plain",
        'with "quotes"',
        "left\\base",
        (),
        (1.0,),
        ((0.7, {"elbow": 2.5}), (0.2, {})),
        {f"actuator {i}": i / 7 for i in range(12)},
        ((1.0, {f"a long name of an actuator {i}": 0.5 for i in range(3)}),),
    ],
)
def test_a_value_is_laid_out_as_python_that_fits_the_line(value: Any) -> None:
    text = laid_out(value)
    again = ast.literal_eval(text)
    assert json.dumps(again) == json.dumps(ast.literal_eval(laid_out(again)))
    assert max(map(len, text.splitlines())) <= WIDTH
    if not isinstance(value, float):
        assert laid_out(again) == text


def test_a_call_is_laid_out_with_names_and_lists() -> None:
    call = Call("f", (Name("*GOOD"),), {"x": 1.0})
    assert laid_out(call) == "f(*GOOD, x=1.0)"
    assert laid_out(call, always=True) == "f(\n    *GOOD,\n    x=1.0,\n)"


@pytest.mark.parametrize("name", ['a"""\n1 / 0\n#', 'a\\"""+1/0+"""'])
def test_names_in_a_scene_never_become_code(name: str, tmp_path: Path) -> None:
    root = ElementTree.fromstring(CART.read_text(encoding="utf-8"))
    world = root.find("worldbody")
    assert world is not None
    ElementTree.SubElement(world, "site", name=name)
    ElementTree.SubElement(world, "geom", name=f"{name} wall", type="box", pos="-3 0 0", size=".1 1 1")
    scene = tmp_path / "scene.xml"
    scene.write_text(ElementTree.tostring(root, encoding="unicode").replace("\n1", "&#10;1").replace("\n#", "&#10;#"))
    assert main(["new-task", str(scene), "--out", str(tmp_path / "made.py")]) in (0, 1)
    tree = ast.parse((tmp_path / "made.py").read_text(encoding="utf-8"))
    assert not any(
        isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and node.right.value == 0
        for node in ast.walk(tree)
    )
