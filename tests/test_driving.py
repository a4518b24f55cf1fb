"""How a base on wheels drives: closed forms, limits, arrival on time, and the refusals of what cannot be driven."""

import math
import re
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldverify as wv
from worldverify.compile import Compiled, compile_for
from worldverify.encode import as_text
from worldverify.envs.base import ACCELERATION, FORWARD, TURN_ACCELERATION, TURNING
from worldverify.envs.navigate_room import navigate_room
from worldverify.kernels import driving
from worldverify.lift import look
from worldverify.plan import admit
from worldverify.refusal import Refusal
from worldverify.task import Task

EXACT = 1e-12  # float64 arithmetic in another order
SINGLE = 1e-4  # float32, over some metres
ROUNDED = 1e-6  # m/s and rad/s: differences of poses over a control step
RATE = 50.0  # Hz


@pytest.fixture(scope="module")
def task() -> Task:
    return navigate_room()


def poses(task: Task, plan: Any, seed: int = 0) -> np.ndarray:
    """(T, 3) the targets that a plan gives the base."""
    made = compiled(task, plan, seed)
    assert isinstance(made, Compiled), made
    return made.controls[:, :3]


def compiled(task: Task, plan: Any, seed: int = 0) -> Compiled | Refusal:
    admitted = admit(plan, contracts=task.contracts, default_rate=task.rate, task=task.name)
    return compile_for(task, task.start(seed)[None], [admitted])[0]


def refused(task: Task, plan: Any) -> str:
    (verdict,) = wv.verify(task, [plan])
    assert verdict.status == "INVALID" and verdict.cause == "plan"
    return f"{verdict.code}: {verdict.reason}"


def speeds(path: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(T, 3) m/s and rad/s of targets from step to step."""
    return np.diff(np.concatenate([start[None], path]), axis=0) * RATE


def test_a_turn_to_the_left_at_even_speed_is_a_circle() -> None:
    v, w, dt = 0.5, 0.8, 0.1
    path = driving.integrate(np.zeros(3), np.tile([v, w], (40, 1)), dt)
    t = dt * np.arange(1, 41)
    assert np.abs(path[:, 0] - v / w * np.sin(w * t)).max() < EXACT
    assert np.abs(path[:, 1] - v / w * (1 - np.cos(w * t))).max() < EXACT
    assert np.abs(path[:, 2] - w * t).max() < EXACT


def test_speeds_without_a_turn_are_a_straight_line() -> None:
    path = driving.integrate(np.array([1.0, 2.0, np.pi / 2]), np.tile([0.4, 0.0], (10, 1)), 0.1)
    assert np.abs(path[-1] - (1.0, 2.4, np.pi / 2)).max() < EXACT


@given(st.lists(st.tuples(st.floats(-0.2, 1.0), st.floats(-2.0, 2.0)), min_size=1, max_size=12), st.integers(1, 5))
def test_cutting_periods_into_shorter_ones_changes_no_pose(rows: list[tuple[float, float]], parts: int) -> None:
    start, twists = np.array([0.3, -0.2, 1.0]), np.array(rows)
    whole = driving.integrate(start, twists, 0.1)
    cut = driving.integrate(start, np.repeat(twists, parts, axis=0), 0.1 / parts)
    assert np.abs(cut[parts - 1 :: parts] - whole).max() < EXACT


@given(st.floats(1e-3, 30.0), st.floats(0.1, 2.0), st.floats(0.1, 3.0))
def test_a_way_ends_where_it_should_at_its_least_time_within_its_limits(way: float, speed: float, most: float) -> None:
    whole = float(driving.duration(np.array(way), np.array(speed), np.array(most)))
    t = np.linspace(0.0, whole, 401)
    done = driving.covered(t, np.array(way), np.array(speed), np.array(most))
    assert abs(done[0]) < EXACT and abs(done[-1] - way) < 1e-9 * max(1.0, way)
    v = np.diff(done) / (t[1] - t[0])
    assert v.min() > -1e-6 and v.max() < speed + 1e-6
    assert np.abs(np.diff(v) / (t[1] - t[0])).max() < most * (1 + 1e-6) + 1e-4


def test_the_kernels_say_the_same_in_one_jitted_program() -> None:
    start, twists = np.array([0.3, -0.2, 1.0], np.float32), np.random.default_rng(0).uniform(-0.5, 1, (20, 2))
    most = np.array([0.1, 0.2], np.float32)

    def path(twists: Any) -> Any:
        return driving.integrate(start, driving.ramped(twists, start[:2] * 0, most), 0.1)

    rough = twists.astype(np.float32)
    assert np.abs(np.asarray(jax.jit(path)(rough)) - path(rough)).max() < SINGLE


@pytest.mark.parametrize("angle", [0.0, 3.0, -3.0, 9.5, -400.0])
def test_a_wrapped_angle_is_the_same_direction(angle: float) -> None:
    wrapped = float(driving.wrapped(np.array(angle)))
    assert abs(wrapped) <= math.pi and math.isclose(math.cos(wrapped), math.cos(angle), abs_tol=1e-9)


def test_speeds_are_held_and_end_with_a_stop(task: Task) -> None:
    start = task.scene.data(task.start(0)).qpos[:3].copy()
    rows = [[0.1 * k, 0.0] for k in range(1, 6)] + [[0.5, 0.2]] * 10
    path = poses(task, {"actions": rows})
    moved = speeds(path, start)
    v = np.hypot(moved[:, 0], moved[:, 1])
    assert abs(v[74] - 0.5) < 1e-3 and abs(moved[74, 2] - 0.2) < ROUNDED  # a chord is shorter than its arc
    assert v[-1] < ROUNDED and np.abs(np.diff(v)).max() < ACCELERATION / RATE + 1e-3
    expected = driving.integrate(start, np.repeat(np.array(rows), 5, axis=0), 0.02)
    late = compiled(task, {"actions": rows})
    assert isinstance(late, Compiled) and not late.warnings
    assert np.abs(path[4::5][5:15] - expected[4::5][5:15]).max() < 0.06  # it gathers speed within each row


def test_a_row_that_no_base_can_follow_is_followed_as_fast_as_one_can(task: Task) -> None:
    made = compiled(task, {"actions": [[1.0, 2.0], [1.0, -2.0]]})
    assert isinstance(made, Compiled) and "Action 1 asks for more" in made.warnings[0]
    start = task.scene.data(task.start(0)).qpos[:3].copy()
    moved = speeds(made.controls[:, :3], start)
    assert np.abs(np.diff(moved[:, 2])).max() < TURN_ACCELERATION / RATE + ROUNDED


def test_waypoints_turn_then_drive_then_turn_within_the_limits(task: Task) -> None:
    start = task.scene.data(task.start(0)).qpos[:3].copy()
    goal = np.array([-1.2, -0.2])
    path = poses(task, {"waypoints": [{"position": goal.tolist(), "yaw": -2.0}]})
    assert np.abs(path[-1][:2] - goal).max() < EXACT
    assert abs(float(driving.wrapped(path[-1][2] + np.array(2.0)))) < EXACT
    moved = speeds(path, start)
    across = moved[:, 0] * np.sin(path[:, 2]) - moved[:, 1] * np.cos(path[:, 2])
    assert np.abs(across[np.abs(moved[:, 2]) < ROUNDED]).max() < ROUNDED  # never sideways
    assert np.hypot(moved[:, 0], moved[:, 1]).max() < FORWARD and np.abs(moved[:, 2]).max() < TURNING


def test_a_waypoint_with_a_time_is_reached_then_and_the_same_place_again_is_a_wait(task: Task) -> None:
    places = [{"position": [-1.5, -0.9], "time": 3.0}, {"position": [-1.5, -0.9], "time": 5.0}]
    path = poses(task, {"waypoints": places})
    assert len(path) == 5.0 * RATE
    assert np.abs(path[int(3 * RATE) - 1][:2] - (-1.5, -0.9)).max() < EXACT
    assert np.ptp(path[int(3 * RATE) :], axis=0).max() == 0.0
    assert np.hypot(*(path[int(2.9 * RATE)][:2] - (-1.5, -0.9))) > 1e-3


def test_a_plan_of_places_is_the_same_alone_and_in_a_batch(task: Task) -> None:
    raws = [{"waypoints": [{"position": [-1.0, y]}]} for y in (-0.9, 0.1, 0.4)] + [{"actions": [[0.3, 0.1]] * 7}]
    plans = [admit(raw, contracts=task.contracts, default_rate=task.rate) for raw in raws]
    starts = np.stack([task.start(seed) for seed in range(4)])
    together = compile_for(task, starts, plans)
    for start, plan, made in zip(starts, plans, together, strict=True):
        (alone,) = compile_for(task, start[None], [plan])
        assert isinstance(alone, Compiled) and isinstance(made, Compiled)
        assert alone.controls.tobytes() == made.controls.tobytes()


def test_a_base_that_moves_when_a_plan_begins_brakes_first(task: Task) -> None:
    data = task.scene.data(task.start(0))
    yaw = data.qpos[2]
    data.qvel[:2] = 0.5 * np.cos(yaw), 0.5 * np.sin(yaw)
    plan = admit({"waypoints": [{"position": [-2.6, 1.0]}]}, contracts=task.contracts, default_rate=task.rate)
    (made,) = compile_for(task, task.scene.state_of(data)[None], [plan])
    assert isinstance(made, Compiled)
    moved = speeds(made.controls[:, :3], data.qpos[:3])
    v = np.hypot(moved[:, 0], moved[:, 1])
    assert v[0] > 0.4 and v[26] < ROUNDED and np.abs(np.diff(v[:26])).max() < ACCELERATION / RATE + ROUNDED


def test_points_of_the_picture_become_the_places_that_they_show(task: Task) -> None:
    data, places = task.scene.data(task.start(0)), [(-1.5, -0.9), (-0.5, -0.85)]
    assert task.camera is not None
    picture = look(task.scene.model, data, task.camera, order="yx", unit="thousandths")
    points = [picture.write(picture.view.project(np.array([[*spot, 0.0]]))[0][0]) for spot in places]
    marks = [{"point": point, "label": "floor"} for point in points]
    path = poses(task, {"format": "image_points", "actions": marks})
    same = poses(task, {"format": "gemini-er-points", "actions": marks, "contract": {"use": "path"}})
    assert path.tobytes() == same.tobytes()
    assert np.hypot(*(path[-1][:2] - places[-1])) < 0.01  # a thousandth of the picture


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ('{"waypoints": [{"position": [0, 0, 0]}]}', r"wrong_width: .*a place on the floor in m is \[x, y\]"),
        ('{"waypoints": [{"yaw": 1}]}', r'missing_key: .*lacks "position": \[x, y\] in m'),
        ('{"waypoints": [{"position": [0, 0], "yaw": 90}]}', "out_of_range: .*Is it in degrees"),
        ('{"waypoints": [{"position": [0, 0], "gripper": 1}]}', "unknown_key: .*Known: position, yaw, time"),
        ('{"waypoints": [{"position": [0, 0], "time": 1}, {"position": [1, 0]}]}', 'bad_time: .*lacks "time"'),
        ('{"waypoints": [{"position": [0, 0], "time": 1}]}', "too_fast: Waypoint 1 has 1.00 s for its way"),
        ('{"waypoints": [{"position": [500, 0]}]}', "unreachable: Waypoint 1 is more than 100 m away"),
        ('{"waypoints": [{"position": [20, 0]}]}', "too_many_steps: The plan takes .* Not even the first part fits"),
        ('{"actions": [[0.5, 0], [1.5, 0]]}', "out_of_range: Action 2 of base_velocity has v"),
        ('{"actions": [[0.5, 0, 0]]}', "wrong_width: .*wants 2: v, w"),
        ({"format": "base_velocity", "rate_hz": 10, "actions": [[0.1, 0.0]] * 281}, "too_many_steps: .*281 speeds"),
        (
            {"format": "image_points", "actions": [{"point": [150, 50]}]},
            "wrong_object: .*drives to points on the floor",
        ),
        ({"format": "image_points", "actions": [{"point": [20, 1500]}]}, "outside_image: Point 1"),
        ({"format": "gemini-er-points", "actions": [{"point": [500, 500]}]}, 'bad_contract: .*"use": "path"'),
        ({"format": "maniskill-pd_joint_pos", "rate_hz": 20, "actions": [[0.0] * 8]}, "wrong_robot: .*base_waypoints"),
    ],
)
def test_what_cannot_be_driven_is_refused_with_what_would_have_worked(task: Task, plan: Any, said: str) -> None:
    assert re.search(said, refused(task, plan)), refused(task, plan)


def test_a_place_is_written_as_it_is_read(task: Task) -> None:
    said = {"waypoints": [{"position": [0.5, -1.0], "yaw": 0.3, "time": 9.0}]}
    plan = admit(said, contracts=task.contracts, default_rate=task.rate)
    assert admit(as_text(plan, task.contracts), contracts=task.contracts, default_rate=task.rate) == plan
    assert admit(plan.to_json(), contracts=task.contracts, default_rate=task.rate) == plan
