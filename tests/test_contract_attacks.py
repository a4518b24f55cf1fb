"""Ways to be fooled: what a plan or a prediction claims of itself is not taken for what physics or a person says."""

import json
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import compile_for
from worldverify.kernels import kinematics
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.lowering import corners
from worldverify.plan import admit
from worldverify.presets import preset
from worldverify.reach import chain_of
from worldverify.rollouts import Noise, check_rollout
from worldverify.waypoint import Waypoint

STEPS, RATE = 20, 20.0
BOX, CART = 0, 6  # the box's x in qpos, and the cart's place in qvel
DOWN = (0.0, 1.0, 0.0, 0.0)

SLIDES = """
<mujoco>
  <option timestep="0.005" integrator="implicitfast"><flag autoreset="disable"/></option>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 .1"/>
    <body name="box" pos="0 0 .05"><freejoint name="box_free"/>
      <geom name="box" type="box" size=".05 .05 .05" mass=".2"/></body>
    <body name="cart" pos="2 0 .5"><joint name="rail" type="slide" axis="1 0 0"/><geom size=".05" mass="1"/></body>
  </worldbody>
  <actuator><motor name="push" joint="rail" ctrlrange="-2 2"/></actuator>
</mujoco>
"""
FAR = "far: at_end(pos(box).x > 0.15 m)"


def sliding(spec: str = FAR) -> wv.Task:
    return wv.Task.from_mjcf(SLIDES, spec=spec, horizon=STEPS / RATE, rate=RATE)


def place(task: wv.Task, part: mujoco.mjtState) -> int:
    """Where a part of the state begins."""
    return int(state_slice(task.scene.model, part).start)


def run(task: wv.Task, start: Any = None, push: float = 0.0) -> tuple[Any, Any]:
    """What MuJoCo does from a start: states (T+1, nstate) and controls (T, 1)."""
    engine, lane, controls = MujocoEngine(task.scene.model, 1), np.arange(1), np.full((STEPS, 1), push)
    states = [task.start(0) if start is None else start]
    engine.load(lane, states[0][None])
    for control in controls:
        engine.advance(lane, np.tile(control, (1, task.substeps, 1)))
        states.append(engine.state(lane)[0])
    return np.array(states), controls


def launched(task: wv.Task, dof: int, speed: float) -> Any:
    start = task.start(0)
    start[place(task, mujoco.mjtState.mjSTATE_QVEL) + dof] = speed
    return run(task, start)


@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
@pytest.mark.parametrize("velocities", [True, False], ids=["with velocities", "without"])
@pytest.mark.parametrize(("spec", "dof"), [(FAR, 0), ("far: at_end(pos(cart).x > 2.3 m)", CART)])
def test_a_prediction_that_begins_with_a_speed_does_not_begin_at_the_start(
    spec: str, dof: int, velocities: bool, acting: bool
) -> None:
    task = sliding(spec)
    states, controls = launched(task, dof, 2.0)
    qpos = states[:, state_slice(task.scene.model, mujoco.mjtState.mjSTATE_QPOS)]
    actions = controls if acting else None
    verdict = check_rollout(task, states if velocities else {"qpos": qpos}, actions, seed=0)
    assert verdict.status == "FAIL"
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement.startswith("physics:")


def test_a_start_with_a_speed_is_taken_as_it_is_where_no_seed_claims_otherwise() -> None:
    task = sliding()
    states, controls = launched(task, 0, 2.0)
    verdict = check_rollout(task, states, controls)
    assert verdict.status == "PASS", verdict.explain()
    assert any("may begin anywhere" in warning for warning in verdict.warnings)


@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("part", ["QFRC_APPLIED", "XFRC_APPLIED"])
def test_a_predicted_state_brings_no_force_of_its_own(part: str, seed: int | None, acting: bool) -> None:
    task = sliding()
    start, body = task.start(0), task.scene.model.body("box").id
    at = place(task, getattr(mujoco.mjtState, f"mjSTATE_{part}"))
    start[at + (6 * body if part == "XFRC_APPLIED" else 0)] = 2.0
    states, controls = run(task, start)
    verdict = check_rollout(task, states, controls if acting else None, seed=seed)
    assert (verdict.status, verdict.code) == ("INVALID", "bad_state"), verdict.explain()


@pytest.mark.parametrize(("field", "size"), [("position", 0.1), ("angle", 1.0), ("velocity", 10.0), ("spin", 1e6)])
def test_no_noise_can_be_declared_that_explains_any_motion(field: str, size: float) -> None:
    with pytest.raises(ValueError, match="any motion"):
        Noise(**{field: size})


@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
def test_a_speed_that_the_positions_contradict_is_no_evidence(acting: bool) -> None:
    task = sliding("slow: always(speed(cart) < 0.1 m/s)\nfar: at_end(pos(cart).x > 2.3 m)")
    states, controls = run(task, push=1.5)
    states[:, place(task, mujoco.mjtState.mjSTATE_QVEL) + CART] = 0.0
    assert check_rollout(task, states, controls if acting else None, seed=0).status != "PASS"


@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
def test_what_moves_up_to_the_last_state_does_not_stand_still_in_it(acting: bool) -> None:
    task = sliding("stopped: at_end(speed(cart) < 0.1 m/s and pos(cart).x > 2.3 m)")
    states, controls = run(task, push=1.5)
    states[-1, place(task, mujoco.mjtState.mjSTATE_QVEL) + CART] = 0.0
    verdict = check_rollout(task, states, controls if acting else None, seed=0)
    assert verdict.status == "INCONCLUSIVE"
    assert "stopped" in verdict.reason


@pytest.mark.parametrize("seed", [0, None])
def test_two_states_are_no_motion_to_be_judged(seed: int | None) -> None:
    task = sliding("far: eventually(pos(box).x > 0.3 m)")
    states = run(task)[0][:2].copy()
    states[1, place(task, mujoco.mjtState.mjSTATE_QPOS) + BOX] = 0.4
    states[1, place(task, mujoco.mjtState.mjSTATE_QVEL)] = 8.0
    assert check_rollout(task, states, seed=seed).status != "PASS"


def test_a_leap_in_the_first_period_is_energy_from_nowhere() -> None:
    task = sliding()
    states, _ = run(task)
    states[1:, place(task, mujoco.mjtState.mjSTATE_QPOS) + BOX] = 0.2
    states[1, place(task, mujoco.mjtState.mjSTATE_QVEL)] = 4.0
    verdict = check_rollout(task, states, seed=0)
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == "physics:energy"


def test_predictions_with_and_without_velocities_are_two_requests() -> None:
    task = sliding()
    states, _ = run(task)
    model = task.scene.model
    qpos = states[:, state_slice(model, mujoco.mjtState.mjSTATE_QPOS)]
    without = check_rollout(task, {"qpos": qpos})
    told = check_rollout(task, {"qpos": qpos, "qvel": np.gradient(qpos, 1 / RATE, axis=0)[:, [0, 1, 2, 4, 5, 6, 7]]})
    assert without.request["sha256"] != told.request["sha256"]


def as_degrees(task: wv.Task) -> dict[str, object]:
    """What changes the contract of raw controls into one of joint angles in degrees, but for its name."""
    raw, joints = task.contracts["ctrl"].to_json(), task.contracts["joint_position"].to_json()
    changes = {key: value for key, value in joints.items() if key != "name" and value != raw[key]}
    return {**changes, "position_unit": "deg"}


def test_a_contract_says_what_numbers_mean_whatever_its_name() -> None:
    task = wv.load("ReachSafe-v0")
    start = task.start(0)[None]
    row = [0.0, 10.0, 0.0, -120.0, 0.0, 130.0, 40.0, 1.0]
    line = {"format": "ctrl", "rate_hz": task.rate, "contract": as_degrees(task), "actions": [row] * 3}
    plan = admit(line, contracts=task.contracts, default_rate=task.rate)
    (made,) = compile_for(task, start, [plan])
    assert not isinstance(made, wv.Refusal), made
    assert np.allclose(made.controls[-1, :7], np.radians(row[:7]))


def test_raw_controls_that_pass_do_not_pass_as_degrees() -> None:
    task = wv.load("ReachSafe-v0")
    assert task.good is not None
    (made,) = compile_for(task, task.start(0)[None], [task.good])
    assert not isinstance(made, wv.Refusal)
    line = {"format": "ctrl", "rate_hz": task.rate, "contract": as_degrees(task), "actions": made.controls.tolist()}
    (verdict,) = wv.verify(task, [line])
    assert verdict.status != "PASS"


def test_a_models_own_text_does_not_choose_its_contract() -> None:
    task = wv.load("ReachSafe-v0")
    row = [0.0, 10.0, 0.0, -120.0, 0.0, 130.0, 40.0, 1.0]
    line = {"format": "joint_position", "rate_hz": 25, "contract": {"position_unit": "deg"}, "actions": [row]}
    by_person, by_model = wv.verify(task, [line, json.dumps(line)])
    assert by_person.status != "INVALID"
    assert (by_model.status, by_model.code) == ("INVALID", "unknown_key")
    assert "contract" in by_model.reason


@pytest.mark.parametrize(
    ("field", "value"),
    [("tool_turn", float("inf")), ("tool_turn", float("nan")), ("rotation_limit", float("nan")), ("frame", "tool")],
)
def test_a_contract_of_two_arms_says_nothing_beside_them_and_every_verdict_is_json(field: str, value: object) -> None:
    width = preset("gym-aloha").width
    line = {"format": "gym-aloha", "rate_hz": 50, "contract": {field: value}, "actions": [[0.0] * width]}
    (verdict,) = wv.verify("ReachSafe-v0", [line])
    assert verdict.code == "bad_contract"
    assert field in verdict.reason
    said = {**verdict.to_json(), "request": None}
    json.dumps(said, allow_nan=False)


def along(*xs: float) -> list[Waypoint]:
    return [Waypoint((x, 0.0, 0.3), DOWN, 1.0) for x in xs]


def test_points_between_which_the_way_is_straight_are_left_out() -> None:
    assert corners(along(0.0, 0.1, 0.1, 0.2, 0.4)) == [0, 4]


def test_a_way_back_along_the_same_line_is_kept() -> None:
    assert corners(along(0.0, 0.2, 0.4, 0.25, 0.1, 0.3, 0.5)) == [0, 2, 4, 6]


def test_a_dip_is_kept() -> None:
    path = [Waypoint((0.0, 0.0, z), DOWN, 1.0) for z in (0.3, 0.2, 0.05, 0.2, 0.3)]
    assert corners(path) == [0, 2, 4]


def test_joints_that_go_their_own_way_still_pass_every_point() -> None:
    task = wv.load("AppleInBowl-v0")
    assert task.arm is not None
    points = [[-0.3 + 0.01 * k, 0.2, 0.3, 0.0] for k in range(61)]
    line: dict[str, Any] = {
        "format": "trajectory-list",
        "actions": [{"points": points}],
        "contract": {"path": "joints"},
    }
    plan = admit(line, contracts=task.contracts, default_rate=task.rate)
    (made,) = compile_for(task, task.start(0)[None], [plan])
    assert not isinstance(made, wv.Refusal), made
    tool = kinematics.tool_pose(made.controls[:, list(task.arm.joint_controls)], *chain_of(task.arm))[0]
    begun = int(np.argmin(np.abs(tool[:, 0] + 0.3)))
    assert np.abs(tool[begun:, 1] - 0.2).max() < 1e-3  # m
