"""The base on wheels in its rooms: how it follows, where it stalls, who walks where, and the three tasks."""

import json
import re
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import Compiled, compile_for
from worldverify.envs.base import FORCE_MAX, HULL, LAG, RADIUS
from worldverify.envs.fetch_across_room import fetch_across_room
from worldverify.envs.gym import TaskEnv
from worldverify.envs.navigate_crowd import JITTER, PEOPLE, PHASES, navigate_crowd
from worldverify.envs.navigate_room import navigate_room
from worldverify.envs.rooms import Walk
from worldverify.plan import admit
from worldverify.proposing.scripted import propose_scripted, scripted_formats
from worldverify.task import Task

BUILD = {"room": navigate_room, "crowd": navigate_crowd, "fetch": fetch_across_room}
ON_PATH = 1e-3  # m, that people may be off the path that a prompt tells
FOLLOWS = (0.01, 0.02)  # m and rad, off the targets of LAG before: what acceleration makes of a constant lag
SLIPS = 0.02  # m/s, sideways, while its servos are not saturated


@pytest.fixture(scope="module", params=BUILD)
def task(request: pytest.FixtureRequest) -> Task:
    return BUILD[request.param]()


@pytest.fixture(scope="module")
def room() -> Task:
    return navigate_room()


@pytest.fixture(scope="module")
def fetch() -> Task:
    return fetch_across_room()


def run(task: Task, plan: Any, seed: int = 0, seconds: float | None = None) -> tuple[np.ndarray, list[Any]]:
    """Targets of the base (N, 3) and copies of the data after each physics step."""
    model, state = task.scene.model, task.start(seed)
    admitted = admit(plan, contracts=task.contracts, default_rate=task.rate, task=task.name)
    (made,) = compile_for(task, state[None], [admitted])
    assert isinstance(made, Compiled), made
    samples = task.samples if seconds is None else round(seconds / task.timestep)
    controls = np.repeat(made.controls, task.substeps, axis=0)
    controls = np.concatenate([controls, np.tile(controls[-1], (max(0, samples - len(controls)), 1))])[:samples]
    data, seen = task.scene.data(state), []
    for row in controls:
        data.ctrl[:] = row
        mujoco.mj_step(model, data)
        seen.append((data.qpos.copy(), data.qvel.copy(), data.actuator_force.copy(), data.ncon))
    return controls[:, :3], seen


def test_the_base_follows_its_targets_on_the_same_path_a_little_later(room: Task) -> None:
    arc = [[0.05 * k, 0.0] for k in range(1, 9)] + [[0.4, 0.05 * k] for k in range(1, 9)] + [[0.4, 0.4]] * 20
    targets, seen = run(room, {"actions": arc}, seconds=4.0)
    behind = round(LAG / room.timestep)
    poses, speeds = (np.array([sample[i][:3] for sample in seen]) for i in (0, 1))
    off = np.abs(poses[behind:] - targets[:-behind])
    assert np.hypot(off[:, 0], off[:, 1]).max() < FOLLOWS[0] and off[:, 2].max() < FOLLOWS[1]
    sideways = speeds[:, 1] * np.cos(poses[:, 2]) - speeds[:, 0] * np.sin(poses[:, 2])
    assert np.abs(sideways).max() < SLIPS


def test_the_base_stalls_at_a_wall_instead_of_passing_through(room: Task) -> None:
    into = {"waypoints": [{"position": [-2.6, -5.0]}]}
    _, seen = run(room, into, seconds=14.0)
    wall = -2.2 + 0.05  # m, its inner face
    lowest = min(sample[0][1] for sample in seen)
    assert wall + RADIUS - 0.01 < lowest < wall + RADIUS + 0.001
    assert abs(seen[-1][2][1]) == pytest.approx(FORCE_MAX[1]) and seen[-1][3] > 0
    (verdict,) = wv.verify(room, [into], margins="full")
    assert verdict.first_violation is not None and verdict.first_violation.requirement == "clear"


@pytest.mark.parametrize("seed", range(3))
def test_people_walk_where_the_closed_form_says_over_the_whole_horizon(seed: int) -> None:
    crowd = navigate_crowd()
    model, data = crowd.scene.model, crowd.scene.data(crowd.start(seed))
    mujoco.mj_kinematics(model, data)
    phases = {name: _phase(walk, data, name) for name, walk in PEOPLE.items()}
    for name, phase in phases.items():
        assert abs(np.angle(np.exp(1j * (phase - PHASES[name])))) <= JITTER
    for k in range(crowd.samples + 1):
        for name, walk in PEOPLE.items():
            assert np.hypot(*(data.body(name).xpos[:2] - walk.at(k * crowd.timestep, phases[name]))) < ON_PATH
        mujoco.mj_step(model, data)
        mujoco.mj_kinematics(model, data)


def _phase(walk: Walk, data: Any, name: str) -> float:
    """The phase [rad] of someone's start, from where they are and which way they go."""
    joint = data.joint(f"{name}_walk")
    if walk.round:
        return float(joint.qpos[0])
    phase = float(np.arccos(joint.qpos[0] / walk.reach))
    return -phase if joint.qvel[0] > 0 else phase


def test_the_prompt_tells_where_people_are_how_fast_they_go_and_on_which_path() -> None:
    crowd = navigate_crowd()
    said = crowd.card(1)
    assert "anna walks back and forth between (-1.6, -1.7) m and (-1.6, 1.7) m as a pendulum swings" in said
    assert "there and back in 12 s; ben walks round (0.5, -1) m at 0.8 m, anticlockwise and evenly, once in 9 s" in said
    lines = dict(re.findall(r"^- (\w+): centre at .*, moving at (\[.*\]) m/s$", said, re.MULTILINE))
    data = crowd.scene.data(crowd.start(1))
    assert set(lines) == set(PEOPLE)
    assert json.loads(lines["cara"])[1] == pytest.approx(float(data.joint("cara_walk").qvel[0]), abs=1e-3)


def test_someone_who_is_pushed_leaves_the_path() -> None:
    crowd = navigate_crowd()
    places = [((-2.5, 0.0), 3.5), ((-2.5, 0.0), 3.6), ((-0.6, 0.6), 7.9)]
    waypoints = [{"position": list(spot), "time": time} for spot, time in places]
    _, seen = run(crowd, {"waypoints": waypoints}, seconds=9.0)
    joint = crowd.scene.model.joint("anna_walk").qposadr[0]
    start = crowd.scene.data(crowd.start(0))
    phase, walk = _phase(PEOPLE["anna"], start, "anna"), PEOPLE["anna"]
    off = [sample[0][joint] - walk.at(k * crowd.timestep, phase)[1] for k, sample in enumerate(seen, 1)]
    assert max(map(abs, off[: round(4.0 / crowd.timestep)])) < ON_PATH < 0.1 < max(map(abs, off))


def test_a_task_passes_from_other_starts_and_in_other_worlds(task: Task) -> None:
    for seed in range(1, 4):
        (verdict,) = wv.verify(task, [task.good], seed=seed, margins="full", randomise="all")
        assert verdict.status == "PASS", verdict.explain()


def test_a_bad_plan_fails_its_own_requirement_and_no_other(task: Task) -> None:
    assert set(task.bad) == set(task.spec.names)
    for requirement, verdict in zip(task.bad, wv.verify(task, list(task.bad.values()), margins="full"), strict=True):
        signs = {name: margin.value is not None and margin.value > 0 for name, margin in verdict.margins.items()}
        assert signs == {name: name != requirement for name in task.spec.names}, verdict.explain()


def test_a_start_at_the_goal_is_refused(task: Task) -> None:
    data = task.scene.data(task.start(0))
    mujoco.mj_kinematics(task.scene.model, data)
    if task.arm is None:
        data.qpos[:2] = data.ctrl[:2] = data.site("goal").xpos[:2]
    else:
        data.joint("carton_free").qvel[0] = 1.0
    (verdict,) = wv.verify(task, [task.good], state=task.scene.state_of(data))
    assert (verdict.status, verdict.code) == ("INVALID", "precondition")


def test_the_example_of_a_prompt_can_be_read_and_does_not_pass(task: Task) -> None:
    (verdict,) = wv.verify(task, [task.prompt.splitlines()[-1]])
    assert verdict.status == "FAIL", verdict.reason


def test_nothing_but_the_hull_of_a_base_can_be_touched(room: Task) -> None:
    model = room.scene.model
    own = np.flatnonzero(model.geom_bodyid == model.body("robot").id)
    solid = own[model.geom_contype[own] > 0]
    assert [model.geom(g).name for g in solid] == [HULL] and len(own) > 5


def test_an_environment_takes_the_controls_of_a_plan(room: Task) -> None:
    env = TaskEnv(room, normalised=False)
    env.reset(seed=0)
    actions = env.actions_for(room.good)
    assert actions.shape[1] == 3
    for action in actions[:20]:
        _, _, terminated, truncated, _ = env.step(action)
        assert not terminated and not truncated
    _, seen = run(room, room.good, seconds=20 / room.rate)
    qpos = env.state[1 : 1 + room.scene.model.nq]
    assert np.abs(qpos - seen[-1][0]).max() == 0.0
    env.close()


def test_the_arm_is_carried_and_reaches_from_where_the_base_stands(fetch: Task) -> None:
    calls = [{"skill": "drive_to", "position": [-1.0, -1.2], "yaw": 1.0}, {"skill": "home"}]
    _, seen = run(fetch, {"skills": calls}, seconds=9.0)
    data = fetch.scene.data(fetch.start(0))
    data.qpos[:] = seen[-1][0]
    mujoco.mj_kinematics(fetch.scene.model, data)
    forward = np.array([np.cos(1.0), np.sin(1.0)])
    assert np.abs(data.site("tool").xpos[:2] - ((-1.0, -1.2) + 0.307 * forward)).max() < 5e-3


def test_what_the_gripper_holds_is_carried_across_the_room_and_put_down(fetch: Task) -> None:
    back, spot = [1.55, 0.3], [2.15, 0.3, 0.55]
    good: Any = fetch.good
    calls = [*map(dict, good.actions), {"skill": "drive_to", "position": back, "yaw": 0.0, "seconds": 5.0}]
    plan = {"skills": [*calls, {"skill": "place", "target": spot}]}
    _, seen = run(fetch, plan, seconds=26.0)
    address = fetch.scene.model.joint("carton_free").qposadr[0]
    rests = seen[-1][0][address : address + 3]
    assert np.abs(rests - (2.15, 0.3, 0.55 + 0.045)).max() < 0.01


def test_a_format_of_the_arm_alone_moves_it_where_the_base_stands(fetch: Task) -> None:
    start = fetch.scene.data(fetch.start(0))
    mujoco.mj_kinematics(fetch.scene.model, start)
    goal = start.site("tool").xpos + np.array([0.05, 0.0, 0.05])
    plan = {"format": "waypoints-json", "actions": [{"position": goal.tolist()}]}
    _, seen = run(fetch, plan, seconds=3.0)
    start.qpos[:] = seen[-1][0]
    mujoco.mj_kinematics(fetch.scene.model, start)
    assert np.abs(start.site("tool").xpos - goal).max() < 5e-3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"skill": "drive_to"}, r"drive_to\) lacks \"position\": a place on the floor"),
        ({"skill": "drive_to", "position": [1, 2, 3]}, r"a place on the floor in m is \[x, y\]"),
        ({"skill": "drive_to", "position": [1, -1.1], "yaw": 90}, "Is it in degrees"),
        ({"skill": "drive_to", "position": [1, -1.1], "seconds": 0.5}, r"Skill 1 \(drive_to\) has 0.50 s for its way"),
        ({"skill": "drive_to", "position": [40, 0]}, "not done after 26.00 s"),
        ({"skill": "pick", "object": "robot"}, "'robot', which is not in the scene"),
    ],
)
def test_a_drive_that_cannot_be_is_refused_with_what_would_have_worked(
    fetch: Task, call: dict[str, Any], said: str
) -> None:
    (verdict,) = wv.verify(fetch, [{"skills": [call]}])
    assert verdict.status == "INVALID" and re.search(said, verdict.reason), verdict.reason


def test_the_scripted_proposer_writes_good_plans_in_every_format(task: Task) -> None:
    formats = scripted_formats(task)
    assert set(formats) <= set(task.contracts) and "ctrl" in formats and len(formats) > 1
    lines = [propose_scripted(task, 1, first=0, formats=[name])[0] for name in formats]
    assert [verdict.status for verdict in wv.verify(task, lines)] == ["PASS"] * len(formats)


def test_an_arm_that_stands_has_no_drive_to() -> None:
    (verdict,) = wv.verify("PickCube-v0", ['{"skills": [{"skill": "drive_to", "position": [0, 0]}]}'])
    assert verdict.code == "unknown_skill" and "drive_to" not in wv.load("PickCube-v0").prompt
