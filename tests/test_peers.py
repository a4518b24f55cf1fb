"""Scenes of other people, where their packages are installed: loaded, guarded, judged, and turned into first tasks."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.newtask.detect import detect
from worldverify.newtask.guards import find_guards
from worldverify.newtask.setting import Setting, setting_of, span_of
from worldverify.ramps import ramps
from worldverify.registry import load_named
from worldverify.task import Task

pytestmark = pytest.mark.peers

SAME = 1e-3  # share by which margins in float32 may differ from those in float64, where nothing touches

WIZARD = [  # scenes for which new-task alone makes a task that passes check_task
    ("gymnasium", "envs/mujoco/assets/pusher_v5.xml"),
    ("gymnasium", "envs/mujoco/assets/reacher.xml"),
    ("gymnasium_robotics", "envs/assets/fetch/pick_and_place.xml"),
    ("robosuite", "models/assets/robots/panda/robot.xml"),
    ("robosuite", "models/assets/bullet_data/panda_description/urdf/panda_arm_hand.urdf"),
    ("mujoco", "mjx/test_data/pendula.xml"),
    ("mujoco_warp", "test_data/humanoid/humanoid.xml"),
]
JUDGED = [
    *WIZARD,
    ("gymnasium", "envs/mujoco/assets/swimmer.xml"),
    ("gymnasium_robotics", "envs/assets/hand/reach.xml"),
    ("gymnasium_robotics", "envs/assets/kitchen_franka/kitchen_assets/kitchen_env_model.xml"),
    ("gymnasium_robotics", "envs/assets/adroit_hand/adroit_door.xml"),
    ("robosuite", "models/assets/grippers/panda_gripper.xml"),
    ("mujoco_warp", "test_data/aloha_pot/scene.xml"),
]
REFUSED = [  # and why
    ("gymnasium_robotics", "envs/assets/fetch/reach.xml", "add <actuator> to the file"),
    ("mujoco", "mjx/test_data/shadow_hand/scene_right.xml", "the forces do not add up"),
    ("mujoco", "mjx/test_data/humanoid/humanoid.xml", "the forces do not add up"),
    ("mujoco", "mjx/test_data/barkour_v0/assets/barkour_v0_mjx.xml", "The start state pushes geom 'hfield_floor'"),
    ("robosuite", "models/assets/arenas/table_arena.xml", "no hinge or slide either, so include the robot"),
]
MENAGERIE = ("franka_emika_panda/scene.xml", "universal_robots_ur5e/scene.xml", "trs_so_arm100/scene.xml")


def scene_of(package: str, file: str) -> Path:
    """A file of an installed package, which is not imported for it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed: make test-peers installs it.")
    path = Path(found.origin).parent / file
    if not path.is_file():
        pytest.skip(f"This version of {package} has no {file}.")
    return path


def guarded(path: Path) -> tuple[Setting, Task]:
    """A scene with the guards that holding it still keeps."""
    setting, still = setting_of(path, horizon=1.0)
    found = detect(still.scene.model)
    guards = find_guards(setting, still, found, None, lambda done, total: None).unproven
    return setting, setting.task("\n".join(f"{guard.name}: {guard.formula}" for guard in guards))


def pushed(setting: Setting, task: Task) -> Sequence[np.ndarray]:
    """Plans that hold still, and that ramp the first actuator a tenth of its way."""
    name, held = next(iter(setting.hold.items()))
    _, high = span_of(task.scene.model, 0, held)
    legs = ((0.5, {name: held + 0.1 * (high - held)}),)
    return [ramps(setting.hold, *some, rate=setting.rate, horizon=setting.horizon) for some in ((), legs)]


@pytest.mark.parametrize(("package", "file"), WIZARD)
def test_a_first_task_for_a_scene_of_other_people_passes_its_check(package: str, file: str, tmp_path: Path) -> None:
    out = tmp_path / "task.py"
    assert main(["new-task", str(scene_of(package, file)), "--out", str(out)]) == 0
    task = load_named(f"{out}:task")
    assert set(task.bad) == set(task.spec.names) and len(task.bad) >= 2


@pytest.mark.parametrize(("package", "file"), JUDGED)
def test_plans_in_a_scene_of_other_people_are_judged_against_guards(package: str, file: str) -> None:
    setting, task = guarded(scene_of(package, file))
    still, moved = wv.verify(task, pushed(setting, task), margins="full")
    assert still.status == "PASS", still.reason
    assert moved.status in ("PASS", "FAIL"), moved.reason


@pytest.mark.parametrize(("package", "file", "why"), REFUSED)
def test_a_scene_that_cannot_be_judged_is_refused_with_the_reason(package: str, file: str, why: str) -> None:
    path = scene_of(package, file)
    with pytest.raises(wv.Refusal, match=why):
        setting_of(path, horizon=1.0)


def test_a_robot_is_judged_in_an_arena_of_robosuite() -> None:
    arena = scene_of("robosuite", "models/assets/arenas/table_arena.xml")
    robot = """
      <body name="puck" pos="0 0 0.821"><freejoint/><geom type="cylinder" size=".03 .02" mass=".1"/></body>
      <body name="pusher" pos="-0.2 0 0.84">
        <joint name="rail" type="slide" axis="1 0 0" damping="5"/><geom size=".03" mass="1"/>
      </body>
    </worldbody>
    <actuator><position name="drive" joint="rail" kp="100" kv="20"/></actuator>
    """
    text = arena.read_text().replace("</worldbody>", robot)
    task = wv.Task.from_mjcf(
        text,
        spec="moved: at_end(pos(puck).x > 0.05 m)\nup: always(pos(puck).z > 0.8 m)",
        horizon=2.0,
        rate=20.0,
        meshdir=arena.parent,
    )
    start = {"drive": 0.0}
    push = ramps(start, (1.0, {"drive": 0.25}), rate=20.0, horizon=2.0)
    still = ramps(start, rate=20.0, horizon=2.0)
    assert [v.status for v in wv.verify(task, [push, still])] == ["PASS", "FAIL"]


@pytest.mark.parametrize("file", MENAGERIE)
def test_a_robot_of_the_menagerie_gets_a_first_task(file: str, tmp_path: Path) -> None:
    cache = Path(os.environ.get("ROBOT_DESCRIPTIONS_CACHE", "~/.cache/robot_descriptions")).expanduser()
    path = cache / "mujoco_menagerie" / file
    if not path.is_file():
        pytest.skip(f"No {path}: robot_descriptions puts it there.")
    assert main(["new-task", str(path), "--out", str(tmp_path / "task.py")]) == 0


def test_mujoco_and_warp_agree_about_a_scene_of_other_people() -> None:
    if importlib.util.find_spec("warp") is None:
        pytest.skip("warp is not installed: pip install 'worldverify[warp]'.")
    setting, task = guarded(scene_of("gymnasium", "envs/mujoco/assets/reacher.xml"))
    plans = pushed(setting, task)
    ours = wv.verify(task, plans, margins="full")
    theirs = wv.verify(task, plans, on="cpu", engine="mjx", impl="warp", margins="full")
    for one, other in zip(ours, theirs, strict=True):
        assert one.status == other.status, other.reason
        for name, margin in one.margins.items():
            assert other.margins[name].value == pytest.approx(margin.value, rel=SAME, abs=SAME)
