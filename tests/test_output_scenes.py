"""The scenes that real outputs were written for: sound tasks, in the frames that those outputs speak of."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.envs import libero_table as libero
from worldverify.envs import trajectory_tabletop as tabletop
from worldverify.envs import voxel_workspace as voxel
from worldverify.envs.parts import block
from worldverify.kernels import kinematics, rotation
from worldverify.reach import chain_of
from worldverify.task import Task
from worldverify.testing import check_task

_spec = importlib.util.spec_from_file_location("voxel_scene", Path(__file__).with_name("voxel_scene.py"))
assert _spec is not None and _spec.loader is not None
voxel_scene = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(voxel_scene)

TASKS: dict[str, Callable[[], Task]] = {
    "libero_table": libero.libero_table,
    "libero_guards": lambda: libero.libero_guards(
        block("mug", (0.0, 0.2), half=(0.03, 0.03, 0.04), top=libero.TOP),
        name="LiberoGuards",
        instruction="Lift the mug.",
        objects=["mug"],
    ),
    "voxel_place": voxel.voxel_place,
    "voxel_stack": lambda: voxel.voxel_stack(
        [("cube", "red", (50, 35, 17)), ("cube", "black", (45, 70, 17))], lower="red_cube", upper="black_cube"
    ),
    "apple_in_bowl": tabletop.apple_in_bowl,
    "knock_left_bottle": tabletop.knock_left_bottle,
    "push_can": tabletop.push_can,
    "gather_objects": tabletop.gather_objects,
    "align_bottle": tabletop.align_bottle,
}
DERIVED = {
    "place_apple_in_bowl": tabletop.apple_in_bowl,
    "knock_left_bottle": tabletop.knock_left_bottle,
    "push_can_right": tabletop.push_can,
    "move_lonely_object": tabletop.gather_objects,
    "align_bottle_vertically": tabletop.align_bottle,
}

NOMINAL = 1e-6  # m: home poses are written with six decimals
LISTED = {"libero_table", "voxel_place", "apple_in_bowl"}  # tests/test_tasks.py puts them to the same test
SLOW = 0.25  # m/s, at which dense lists of poses are followed here
SEEDS = 3


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]()


def tool_of(task: Task) -> tuple[Any, Any]:
    """Position (3,) m and axes (3, 3) of the tool at the keyframe."""
    data = task.scene.data()
    mujoco.mj_kinematics(task.scene.model, data)
    return data.site("tool").xpos, data.site("tool").xmat.reshape(3, 3)


@pytest.mark.tasks
@pytest.mark.parametrize("name", sorted(set(TASKS) - LISTED))
def test_a_scene_that_is_no_listed_task_passes_the_shipped_conformance_suite(name: str) -> None:
    check_task(TASKS[name](), seeds=SEEDS)


def test_the_good_plan_passes_from_other_starts(task: Task) -> None:
    starts = np.stack([task.start(seed) for seed in range(1, 1 + SEEDS)])
    assert [v.status for v in wv.verify(task, [task.good] * SEEDS, state=starts)] == ["PASS"] * SEEDS


def test_planning_knows_where_the_arm_was_mounted(task: Task) -> None:
    assert task.arm is not None
    position, axes = tool_of(task)
    planned, turn = kinematics.tool_pose(task.arm.home, *chain_of(task.arm))
    assert np.allclose(position, planned, atol=1e-12)
    assert np.allclose(axes, rotation.to_matrix(turn), atol=1e-12)


def test_the_tabletop_starts_where_its_prompt_says() -> None:
    position, axes = tool_of(tabletop.apple_in_bowl())
    assert np.allclose(position, (0.0, 0.0, 0.7), atol=NOMINAL)
    assert np.allclose(axes[:, 2], (0, 0, -1), atol=NOMINAL)  # pointing down
    assert np.allclose(np.abs(axes[:, 1]), (1, 0, 0), atol=NOMINAL)  # the fingers one beside the other along x


def test_things_start_in_the_regions_of_libero() -> None:
    task = libero.libero_table()
    for seed in range(SEEDS):
        data = task.scene.data(task.start(seed))
        for name, (center, *_) in {**libero.CANS, **libero.CARTONS}.items():
            assert np.abs(data.joint(f"{name}_free").qpos[:2] - center).max() <= libero.REGION


def test_a_voxel_is_the_cube_of_a_centimetre_that_the_benchmark_means() -> None:
    assert voxel.center_of((0, 0, 0)) == pytest.approx((-0.295, -0.495, 0.605))
    assert voxel.center_of((99, 99, 99)) == pytest.approx((0.695, 0.495, 1.595))
    assert abs(voxel.center_of((0, 0, 17))[2] - voxel.TOP - voxel.HALF) < voxel.SIDE / 2


def test_things_of_one_kind_and_colour_are_numbered() -> None:
    cubes: list[voxel.Item] = [
        ("cube", "red", (10, 10, 17)),
        ("cube", "red", (30, 30, 17)),
        ("star", "red", (5, 5, 17)),
    ]
    assert voxel.names(cubes) == ["red_cube", "red_cube_2", "red_star"]


@pytest.mark.parametrize(
    ("items", "target", "sentence"),
    [
        ([("globe", "red", (9, 9, 17))], "red_globe", "No kind 'globe'. Kinds: container, cube, "),
        ([("cube", "plaid", (9, 9, 17))], "plaid_cube", "No colour 'plaid'. Colours: black, blue, "),
        ([("cube", "red", (9, 100, 17))], "red_cube", r"Voxel \[9, 100, 17\] of red_cube is not three whole numbers"),
        ([("cube", "red", (9, 9, 17))], "red_star", "No 'red_star' among the objects. They are called: red_cube"),
        ([], "lime_container", "'lime_container' is fixed; name one of: "),
    ],
)
def test_a_thing_that_the_workspace_does_not_have_is_refused(
    items: list[voxel.Item], target: str, sentence: str
) -> None:
    items = [*items, ("container", "lime", (60, 60, 17))]
    with pytest.raises(ValueError, match=sentence):
        voxel.voxel_workspace(items, target=target, container="lime_container")


def test_a_plan_in_words_gives_its_scene() -> None:
    text = (
        '{"visual_state_description": "From left to right, I can see a blue cube at [51, 26, 18], '
        'a lime container at [83, 37, 17], and a triangular prism.", "reasoning_and_reflection": '
        '"The task is to pick up the cube located at [51, 26, 18] and place it into the lime container '
        'located at [83, 37, 17]."\n}\n{"visual_state_description": "a red star at [1, 2, 3]"}'
    )
    assert voxel_scene.scene_of(text) == {
        "objects": [("cube", "blue", (51, 26, 18)), ("container", "lime", (83, 37, 17))],
        "target": "blue_cube",
        "container": "lime_container",
    }


def test_every_episode_gives_a_scene_that_is_physical(model_outputs: Path) -> None:
    files = sorted(model_outputs.glob("embodiedbench-*/planner_output_episode_*.txt"))
    assert files
    for path in files:
        task = voxel_scene.task_of(path.read_text())
        task.scene.check_start(task.start(0))


@pytest.mark.parametrize("name", DERIVED)
def test_a_dense_list_of_poses_is_within_reach(model_outputs: Path, name: str) -> None:
    path = model_outputs / "gpt4-trajectory-generators" / "derived" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"No file {path}.")
    task = DERIVED[name]()
    plan = {"waypoints": timed(json.loads(path.read_text())["events"])}
    assert wv.verify(task, [plan], state=task.scene.start())[0].status in ("PASS", "FAIL")


def timed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Waypoints through the poses of some events, turned about the vertical from fingers along x."""
    points: list[dict[str, Any]] = []
    last, now, gripper = np.array([0.0, 0.0, 0.7, 0.0]), 0.0, 1.0
    for event in events:
        if event["type"] == "trajectory":
            for pose in event["points"]:
                shift = np.array(pose) - last
                now += max(0.002, float(np.linalg.norm(shift[:3])) / SLOW, abs(float(shift[3])))
                last = np.array(pose)
                half = (pose[3] + np.pi / 2) / 2
                turn = [0.0, float(np.cos(half)), float(np.sin(half)), 0.0]
                points.append({"position": pose[:3], "orientation": turn, "gripper": gripper, "time": now})
        elif event["type"] in ("open_gripper", "close_gripper"):
            gripper = float(event["type"] == "open_gripper")
            points.append(points[-1] | {"gripper": gripper, "time": now + 0.1})
            now += 0.6
            points.append(points[-1] | {"time": now})
    return points


def test_a_real_policy_reaches_for_the_can_and_lets_go_over_the_basket(model_outputs: Path) -> None:
    path = model_outputs / "openvla-oft-libero10" / "task_00_trial_000_predicted_chunks.npy"
    if not path.is_file():
        pytest.skip(f"No file {path}.")
    chunk = np.load(path).reshape(-1, 7)
    start, _ = tool_of(libero.libero_table())
    ways = tracked(chunk, start)
    is_open = chunk[:, 6] > 0.5
    grasp = int(np.argmin(is_open))
    release = grasp + 20 + int(np.argmax(is_open[grasp + 20 :]))
    soup, _ = libero.CANS["alphabet_soup"]
    assert np.abs(ways[grasp, :2] - soup).max() < libero.REGION
    assert 0.02 < ways[grasp, 2] - libero.TOP < 0.075  # m, beside the can
    assert np.abs(ways[release, :2] - libero.BASKET).max() < libero.INNER / 2
    assert ways[release, 2] - libero.TOP > libero.RIM


def tracked(chunk: Any, start: Any) -> Any:
    """Positions (T, 3) m after each action: robosuite's unit-mass law with kp 150, damping ratio 1, at 20 Hz."""
    steps = 100
    dt = 1 / (libero.RATE * steps)
    x, v, out = np.array(start), np.zeros(3), []
    for action in chunk:
        goal = x + 0.05 * np.clip(action[:3], -1, 1)
        for _ in range(steps):
            v = v + dt * (150 * (goal - x) - 2 * np.sqrt(150) * v)
            x = x + dt * v
        out.append(x)
    return np.array(out)
