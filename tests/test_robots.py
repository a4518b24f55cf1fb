"""Robots other than the one arm: a six-axis arm without a gripper, two arms at once, and the tasks they do."""

from collections.abc import Callable, Mapping
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.arm import Arm
from worldverify.compile import Compiled, compile_for
from worldverify.envs.actions import Actions
from worldverify.envs.arm import add_arm, arm_value
from worldverify.envs.handover import ROBOT, handover
from worldverify.envs.industrial_arm import HOME, JOINTS, NO_CONTACT, PROBE, industrial_arm, industrial_arm_value
from worldverify.envs.parts import scene_spec
from worldverify.envs.two_arms import rows_of
from worldverify.envs.waypoint_cell import SPOTS, waypoint_cell
from worldverify.kernels import ik, kinematics
from worldverify.plan import admit
from worldverify.proposing.scripted import propose_scripted, scripted_formats
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.task import Task
from worldverify.waypoint import Waypoint

# Universal Robots, "DH Parameters for calculations of kinematics and dynamics", UR5e: a, d, alpha, mass per joint.
A = (0, -0.425, -0.3922, 0, 0, 0)
D = (0.1625, 0, 0, 0.1333, 0.0997, 0.0996)
ALPHA = (np.pi / 2, 0, 0, np.pi / 2, -np.pi / 2, 0)
MASSES = (3.761, 8.058, 2.846, 1.37, 1.3, 0.365)
WEIGHT = 20.6  # kg, of the whole arm: its technical details

SEEDS = 8  # of 100 that all pass
SOLVED = (1e-4, 1e-3)  # m, rad
GAP = 0.004  # m that pairs which never touch stay apart

MAKERS = {"WaypointCell-v0": waypoint_cell, "Handover-v0": handover}


@pytest.fixture(scope="module", params=list(MAKERS))
def task(request: pytest.FixtureRequest) -> Task:
    return MAKERS[request.param]()


@pytest.fixture(scope="module")
def cell() -> Task:
    return waypoint_cell()


@pytest.fixture(scope="module")
def two() -> Task:
    return handover()


@pytest.fixture(scope="module")
def arm_model() -> Any:
    return scene_spec(robot=industrial_arm()).compile()


def verdict_of(task: Task, plan: Any) -> wv.Verdict:
    return wv.verify(task, [plan])[0]


# The tasks


def test_the_good_plan_passes_from_other_starts_and_in_other_worlds(task: Task) -> None:
    for seed in range(SEEDS):
        verdict = wv.verify(task, [task.good], seed=seed, randomise="all")[0]
        assert verdict.status == "PASS", (seed, verdict.reason)


def test_doing_nothing_does_not_pass(task: Task) -> None:
    still = Actions(task).rows(task.start(0), task.good)[:1]
    assert verdict_of(task, {"actions": still.tolist()}).status == "FAIL"


def test_the_example_of_the_prompt_can_be_read(task: Task) -> None:
    assert verdict_of(task, task.prompt.splitlines()[-1]).status == "FAIL"


def test_a_good_plan_as_rows_of_the_environment_passes_too(task: Task) -> None:
    actions = Actions(task)
    rows = actions.rows(task.start(0), task.good)
    assert verdict_of(task, actions.plan(actions.to_units(actions.from_units(rows)))).status == "PASS"


def test_scripted_proposals_cover_the_task(task: Task) -> None:
    lines = propose_scripted(task, 6, seed=2)
    kinds = [
        (line["proposal"]["kind"], v.status) for line, v in zip(lines, wv.verify(task, lines, seed=2), strict=True)
    ]
    assert [status for kind, status in kinds if kind == "good"] == ["PASS"] * 2
    assert all(status in ("PASS", "FAIL", "INVALID") for _, status in kinds)


def test_a_bar_that_is_handed_over_on_the_table_does_not_pass(two: Task) -> None:
    assert verdict_of(two, two.bad["passed"]).first_violation.requirement == "passed"


def test_the_cell_is_to_be_visited_in_its_order(cell: Task) -> None:
    points = [*list(SPOTS.values())[:2][::-1], SPOTS["spot3"]]
    over = [{"position": [x, y, 0.42], "time": 2.2 * i + 1.5} for i, (x, y, _) in enumerate(points)]
    at = [{"position": list(point), "time": 2.2 * i + 2.1} for i, point in enumerate(points)]
    plan = [step for pair in zip(over, at, strict=True) for step in pair]
    verdict = wv.verify(cell, [{"waypoints": plan}], margins="full")[0]
    assert verdict.margins["visited"].interval[1] < 0, verdict.reason


# The six-axis arm


def dh_product(q: np.ndarray) -> np.ndarray:
    """Pose (4, 4) of the flange in a base whose x points backwards, as the published one does."""
    pose = np.diag([-1.0, -1.0, 1.0, 1.0])
    for a, d, alpha, angle in zip(A, D, ALPHA, q, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        pose = pose @ [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
    return pose


def test_the_probe_is_where_the_published_dh_product_puts_it(arm_model: Any) -> None:
    arm, data = industrial_arm_value(), mujoco.MjData(arm_model)
    for q in np.random.default_rng(0).uniform(arm.q_min, arm.q_max, (100, 6)):
        data.qpos[:6] = q
        mujoco.mj_kinematics(arm_model, data)
        flange = dh_product(q)
        tip = flange[:3, 3] + PROBE * flange[:3, 2]
        position, orientation = kinematics.tool_pose(q[None], *chain_of(arm))
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, orientation[0])
        assert np.allclose(data.site("tool").xpos, tip, atol=1e-12)
        assert np.allclose(position[0], tip, atol=1e-12)
        assert np.allclose(turn.reshape(3, 3), flange[:3, :3], atol=1e-12)


def test_masses_and_centres_are_the_published_ones(arm_model: Any) -> None:
    assert [arm_model.body(f"link{i}").mass[0] for i in range(1, 7)] == list(MASSES)
    assert arm_model.body("arm").subtreemass[0] - arm_model.body("probe").mass[0] == pytest.approx(WEIGHT)
    data = mujoco.MjData(arm_model)
    mujoco.mj_kinematics(arm_model, data)
    # At zero angles the upper arm lies along -x of its base, here +x, 0.425 m long, with its mass in the middle.
    centre = data.body("link2").xipos
    assert centre == pytest.approx([0.425 - 0.2125, 0.11336, 0.1625])


def test_at_home_the_probe_points_down_and_nothing_moves(arm_model: Any) -> None:
    data = mujoco.MjData(arm_model)
    mujoco.mj_resetDataKeyframe(arm_model, data, 0)
    mujoco.mj_forward(arm_model, data)
    assert data.site("tool").xmat.reshape(3, 3)[:, 2] == pytest.approx([0, 0, -1])
    assert data.ncon == 0
    for _ in range(100):
        mujoco.mj_step(arm_model, data)
    assert np.abs(data.qpos - HOME).max() < 1e-9


@pytest.mark.parametrize("joint", range(6))
def test_a_step_of_the_target_overshoots_less_than_two_percent(arm_model: Any, joint: int) -> None:
    data = mujoco.MjData(arm_model)
    mujoco.mj_resetDataKeyframe(arm_model, data, 0)
    data.ctrl[joint] += 0.1
    highest = 0.0
    for _ in range(200):
        mujoco.mj_step(arm_model, data)
        highest = max(highest, data.qpos[joint] - HOME[joint])
    assert 0.1 - 1e-3 < highest < 0.102


def test_pairs_without_contact_never_meet_but_where_they_are_joined(arm_model: Any) -> None:
    data = mujoco.MjData(arm_model)
    apart = [(a, b) for a, others in NO_CONTACT.items() for b in others if (a, b) != ("arm", "link1")]
    for q in np.random.default_rng(1).uniform(-np.pi, np.pi, (300, 6)):
        data.qpos[:6] = q
        mujoco.mj_kinematics(arm_model, data)
        for names in apart:
            one, other = (
                [int(g) for g in np.flatnonzero(arm_model.geom_bodyid == arm_model.body(n).id)] for n in names
            )
            assert all(mujoco.mj_geomDistance(arm_model, data, g, h, 1.0, None) > GAP for g in one for h in other)


def test_inverse_kinematics_reaches_what_six_joints_can_reach() -> None:
    arm = industrial_arm_value()
    q = arm.home + np.random.default_rng(3).uniform(-0.6, 0.6, (200, 6))
    position, orientation = kinematics.tool_pose(q, *chain_of(arm))
    starts = np.broadcast_to(arm.home, (200, 1, 6))
    rest = np.broadcast_to(arm.home, (200, 6))
    found = ik.solve(chain_of(arm), position, orientation, starts, rest, arm.q_min, arm.q_max)
    assert ((found.position_error < SOLVED[0]) & (found.rotation_error < SOLVED[1])).mean() > 0.99


def test_an_arm_without_a_gripper_reads_targets_waypoints_and_motions(cell: Task) -> None:
    assert list(cell.contracts) == ["joint_position", "ee_waypoints", "skills", "ctrl"]
    assert cell.contracts["joint_position"].columns == JOINTS
    assert cell.contracts["skills"].skills == ("move_to", "wait", "home")
    start = cell.start(0)[None]
    for plan in (
        {"actions": [list(HOME)]},
        {"waypoints": [{"position": list(SPOTS["spot1"]), "time": 2.0}]},
        {"skills": [{"skill": "move_to", "position": list(SPOTS["spot1"])}, {"skill": "home"}]},
    ):
        (made,) = compile_for(cell, start, [admit(plan, contracts=cell.contracts, default_rate=cell.rate)])
        assert isinstance(made, Compiled) and made.controls.shape[1] == 6 and not made.warnings


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"skills": [{"skill": "pick", "object": "workpiece"}]}, "which WaypointCell-v0 does not have"),
        ({"waypoints": [{"position": [0.4, 0.3, 0.2], "gripper": 1}]}, "unknown key 'gripper'"),
        ({"actions": [[*HOME, 1.0]]}, "wants 6"),
        ({"format": "chat-calls", "text": "open_gripper()"}, "needs a gripper, and this arm has none"),
    ],
)
def test_what_needs_a_gripper_is_refused_with_a_sentence(cell: Task, plan: Mapping[str, Any], said: str) -> None:
    verdict = verdict_of(cell, plan)
    assert verdict.status == "INVALID" and said in verdict.reason


def test_a_foreign_format_may_speak_of_a_gripper_and_is_told_that_there_is_none(cell: Task) -> None:
    still = [[0.0] * 6 + [1.0]] * 3
    verdict = verdict_of(cell, {"format": "rlds-eef-delta", "rate_hz": 5, "actions": still})
    assert verdict.status == "FAIL"
    assert any("no gripper" in warning for warning in verdict.warnings)


def test_foreign_formats_carry_the_program_of_the_cell(cell: Task) -> None:
    formats = scripted_formats(cell)
    assert {"ee_waypoints", "joint_position", "rlds-eef-delta", "waypoints-json"} <= set(formats)
    for name in ("ee_waypoints", "rlds-eef-delta"):
        assert verdict_of(cell, propose_scripted(cell, 1, formats=[name])[0]).status == "PASS"


# Two arms


def test_names_numbers_and_controls_of_two_arms_are_their_own() -> None:
    model = scene_spec(robot=ROBOT).compile()
    assert [model.actuator(i).name for i in range(model.nu)] == [
        name for arm, side in ((ROBOT.arms[side], side) for side in ("left", "right")) for name in named(arm, side)
    ]
    controls = [control for arm in ROBOT.arms.values() for control in arm.controls]
    assert controls == list(range(model.nu))
    for side, arm in ROBOT.arms.items():
        data = mujoco.MjData(model)
        mujoco.mj_resetDataKeyframe(model, data, 0)
        mujoco.mj_kinematics(model, data)
        position, _ = kinematics.tool_pose(arm.home, *chain_of(arm))
        assert data.site(f"{side}_tool").xpos == pytest.approx(position)


def named(arm: Arm, side: str) -> list[str]:
    return [*arm.joints, f"{side}_gripper"]


def test_a_prefix_changes_names_alone() -> None:
    plain, other = mujoco.MjSpec(), mujoco.MjSpec()
    for spec in (plain, other):
        spec.compiler.degree = False
    add_arm(plain)
    add_arm(other, prefix="b_")
    one, two = plain.compile(), other.compile()
    assert [f"b_{one.body(i).name}" for i in range(1, one.nbody)] == [two.body(i).name for i in range(1, two.nbody)]
    for field in ("body_pos", "body_mass", "geom_size", "jnt_range", "actuator_gainprm", "exclude_signature"):
        assert np.array_equal(getattr(one, field), getattr(two, field))
    assert arm_value(prefix="b_", first=8).controls == tuple(range(8, 16))


def test_rows_of_both_arms_become_the_controls_of_both(two: Task) -> None:
    row = [*ROBOT.arms["left"].home, 0.5, *ROBOT.arms["right"].home, 0.0]
    plan = admit({"actions": [row]}, contracts=two.contracts, default_rate=two.rate)
    (made,) = compile_for(two, two.start(0)[None], [plan])
    assert isinstance(made, Compiled)
    assert made.controls[0] == pytest.approx([*row[:7], 0.02, *row[8:15], 0.0])
    assert two.contracts["joint_position"].columns[7:9] == ("left/gripper", "right/joint1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row[:15], "has 15 values"),
        (lambda row: [*row[:15], 1.3], "gripper"),
        (lambda row: [*row[:8], 3.0, *row[9:]], "right_joint1 to 3 rad; its range is -2.8973 to 2.8973 rad"),
    ],
)
def test_a_wrong_row_of_two_arms_is_refused_with_a_sentence(
    two: Task, change: Callable[[list[float]], list[float]], said: str
) -> None:
    row = [*ROBOT.arms["left"].home, 1.0, *ROBOT.arms["right"].home, 1.0]
    verdict = verdict_of(two, {"actions": [change(row)]})
    assert verdict.status == "INVALID" and said in verdict.reason


def test_a_format_for_another_pair_of_arms_is_refused_with_a_sentence(two: Task) -> None:
    verdict = verdict_of(two, {"format": "gym-aloha", "rate_hz": 50, "actions": [[0.0] * 14]})
    assert verdict.status == "INVALID" and "This scene has 2 arms" in verdict.reason


def test_a_way_that_an_arm_cannot_go_is_refused() -> None:
    far = {"left": [Waypoint((2.0, 0.0, 0.3))], "right": [Waypoint((0.2, 0.0, 0.3))]}
    with pytest.raises(Refusal, match="beyond reach"):
        rows_of(ROBOT, far, rate=25.0, steps=100)


def test_the_prompt_says_where_both_arms_are(two: Task) -> None:
    assert "left tool, the point between the fingertips: at" in two.prompt
    assert "right arm: base at [0.75, 0.0, 0.0]" in two.prompt
