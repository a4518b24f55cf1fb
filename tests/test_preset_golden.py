"""Rows of numbers and what they mean by the formula of their source, worked out by hand, for every numeric preset.

The file of each formula is named beside its rows, and with its version in the docstring of the preset.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

from worldverify.action import Normalisation
from worldverify.decode import physical
from worldverify.kernels import rotation
from worldverify.presets import names, preset
from worldverify.refusal import Refusal

EXACT = 1e-12  # float64 arithmetic in another order
EPSILON = 2e-8  # of the sources' own additions to a range

PI = math.pi
TOP, BOTTOM = 31745, 31999  # OpenVLA's tokens of the highest and the lowest bin centre, +-254/255
ZERO = 31872  # and of the middle one, 0


class Golden(NamedTuple):
    """Rows of a preset, and what they mean if the gripper was open before."""

    name: str
    rows: list[list[float]]
    means: Mapping[str, Any]  # key of `physical` -> (T, ...)
    changes: Mapping[str, Any] = {}
    tolerance: float = EXACT


def statistics(kind: str, first: list[float], second: list[float], **changes: Any) -> dict[str, Any]:
    """The preset's own normalisation with statistics, of the kind that it must have."""
    return {"normalisation": (kind, tuple(first), tuple(second), changes)}


GOLDEN = [
    # action_tokenizer.py: 255 centres (2 i - 254)/255; modeling_prismatic.py: (a + 1)/2 (q99 - q01) + q01.
    # x: 254/255 of 0.02 about 0.01; the middle token is the middle of q01 and q99, 0.01. Yaw -254/255 * 0.2.
    # The gripper is not scaled: 254/255 is above 0.5, open; 0 is closed.
    Golden(
        "openvla-bridge",
        [[TOP, ZERO, ZERO, ZERO, ZERO, BOTTOM, TOP], [BOTTOM, ZERO, ZERO, ZERO, ZERO, TOP, ZERO]],
        {
            "position": [[0.01 + 0.02 * 254 / 255, 0.01, 0.01], [0.01 - 0.02 * 254 / 255, 0.01, 0.01]],
            "rotation": [[0.0, 0.0, -0.2 * 254 / 255], [0.0, 0.0, 0.2 * 254 / 255]],
            "gripper": [1.0, 0.0],
        },
        statistics("q01_q99", [-0.01] * 3 + [-0.2] * 3 + [0.0], [0.03] * 3 + [0.2] * 3 + [1.0]),
    ),
    # The same, then robosuite's scale: 1 is 0.05 m and 0.5 rad. experiments/robot/robot_utils.py: sign(2 g - 1), times
    # -1; at 0 (closed) the gripper closes by an eighth, at 254/255 it opens again.
    Golden(
        "openvla-libero",
        [[TOP, ZERO, ZERO, TOP, ZERO, ZERO, ZERO], [ZERO, BOTTOM, ZERO, ZERO, ZERO, BOTTOM, TOP]],
        {
            "position": [[0.05 * 0.7 * 254 / 255, 0.0, 0.0], [0.0, -0.05 * 0.7 * 254 / 255, 0.0]],
            "rotation": [[0.5 * 0.1 * 254 / 255, 0.0, 0.0], [0.0, 0.0, -0.5 * 0.1 * 254 / 255]],
            "gripper": [0.875, 1.0],
        },
        statistics("q01_q99", [-0.7] * 3 + [-0.1] * 3 + [0.0], [0.7] * 3 + [0.1] * 3 + [1.0]),
    ),
    # modeling_prismatic.py of openvla-oft: (a + 1)/2 (q99 - q01 + 1e-8) + q01, so 1 is q99 = 0.8, -1 is q01 = -0.4 and
    # 0 their middle, 0.2; times 0.05 m, 0.5 rad. The runner's sign: 1.0078 stays open, -0.026 closes, 0.5 holds.
    Golden(
        "openvla-oft-libero",
        [[1, -1, 0, 0, 1, -1, 1.0078125], [0, 0, 0, 0, 0, 0, -0.0263671875], [0, 0, 0, 0, 0, 0, 0.5]],
        {
            "position": [[0.04, -0.02, 0.01], [0.01, 0.01, 0.01], [0.01, 0.01, 0.01]],
            "rotation": [[0.1, 0.4, -0.2], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1]],
            "gripper": [1.0, 0.875, 0.875],
        },
        statistics("q01_q99", [-0.4] * 6 + [0.0], [0.8] * 6 + [1.0]),
        EPSILON,
    ),
    # The same formula without a controller: metres and radians as they come.
    Golden(
        "openvla-oft-bridge",
        [[1, -1, 0, 0, 0, 0.5, 0.9], [0, 0, 0, 0, 0, -1, 0.1]],
        {
            "position": [[0.03, -0.01, 0.01], [0.01, 0.01, 0.01]],
            "rotation": [[0.0, 0.0, 0.1], [0.0, 0.0, -0.2]],
            "gripper": [1.0, 0.0],
        },
        statistics("q01_q99", [-0.01] * 3 + [-0.2] * 3 + [0.0], [0.03] * 3 + [0.2] * 3 + [1.0]),
        EPSILON,
    ),
    # constants.py, BOUNDS: -1 is the minimum, -1 rad on the left and 0 on the right; 1 the maximum, 2 rad and 1 rad.
    Golden(
        "openvla-oft-aloha",
        [[1, -1, 0, 0, 0, 0, 0, -1, 1, 0, 0, 0, 0, -1], [0] * 6 + [1] + [0] * 6 + [0.5]],
        {
            "left/joints": [[2.0, -1.0, 0.5, 0.5, 0.5, 0.5], [0.5] * 6],
            "left/gripper": [0.5, 1.0],
            "right/joints": [[0.0, 1.0, 0.5, 0.5, 0.5, 0.5], [0.5] * 6],
            "right/gripper": [0.0, 0.75],
        },
        statistics("min_max", [-1.0] * 6 + [0.0] + [0.0] * 7, [2.0] * 6 + [1.0] + [1.0] * 7),
        EPSILON,
    ),
    # osc_pose.json: clip to +-1, then 0.05 m and 0.5 rad; panda_gripper.py: 25 physics steps of 0.01 in -1..1.
    Golden(
        "openpi-libero",
        [[1, -2, 0.5, 0.2, 0, -1, -1], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0.03]],
        {
            "position": [[0.05, -0.05, 0.025], [0, 0, 0], [0, 0, 0]],
            "rotation": [[0.1, 0.0, -0.5], [0, 0, 0], [0, 0, 0]],
            "gripper": [1.0, 0.875, 0.75],
        },
    ),
    Golden(
        "libero-osc_pose-1.4",
        [[0.4, 0, -0.4, 0, 1, 0, 1], [0, 0, 3, 0, 0, 0.5, 0], [0, 0, 0, 0, 0, 0, -1]],
        {
            "position": [[0.02, 0.0, -0.02], [0, 0, 0.05], [0, 0, 0]],
            "rotation": [[0.0, 0.5, 0.0], [0, 0, 0.25], [0, 0, 0]],
            "gripper": [0.875, 0.875, 1.0],
        },
    ),
    # panda_gripper.py of 1.5.2: 0.2 in -1..1, once an action.
    Golden(
        "robosuite-1.5-osc_pose",
        [[-1, 0.2, 0, 0, 0, -0.2, 1], [0, 0, 0, 0, 0, 0, 1]],
        {
            "position": [[-0.05, 0.01, 0.0], [0, 0, 0]],
            "rotation": [[0.0, 0.0, -0.1], [0, 0, 0]],
            "gripper": [0.9, 0.8],
        },
    ),
    # robot_ik_solver.py: 0.2 rad an action at 15 Hz are 3 rad/s; droid/main.py: clipped to +-1, above 0.5 is closed.
    Golden(
        "openpi-droid-velocity",
        [[1, -0.5, 0, 2, 0.1, 0, -1, 0.7], [0, 0, 0, 0, 0, 0, 0, 0.2]],
        {"joints": [[3.0, -1.5, 0.0, 3.0, 0.3, 0.0, -3.0], [0] * 7], "gripper": [0.0, 1.0]},
    ),
    Golden(
        "openpi-droid-position",
        [[0.1, -0.5, 0, -2.2, 0, 1.6, 0.8, 1.0], [0, 0, 0, -2, 0, 2, 0, 0.0]],
        {"joints": [[0.1, -0.5, 0.0, -2.2, 0.0, 1.6, 0.8], [0, 0, 0, -2, 0, 2, 0]], "gripper": [0.0, 1.0]},
    ),
    # aloha_policy.py, gym_aloha/tasks/sim.py: radians, 0 closed, 1 open, left arm first.
    *(
        Golden(
            name,
            [[0.0, -0.96, 1.16, 0, -0.3, 0, 0.1, 0, 0.5, 0, 0, 0, 0, 0.9], [0] * 14],
            {
                "left/joints": [[0.0, -0.96, 1.16, 0, -0.3, 0], [0] * 6],
                "left/gripper": [0.1, 0.0],
                "right/joints": [[0, 0.5, 0, 0, 0, 0], [0] * 6],
                "right/gripper": [0.9, 0.0],
            },
        )
        for name in ("openpi-aloha", "gym-aloha")
    ),
    # pd_ee_pose.py: clip, 0.1 m; the rotation is cut to length 1 and multiplied by -0.1. panda.py: -1..1 of the gripper
    # is -0.01..0.04 m of a finger, so 0 is 0.015 of 0.04 m.
    Golden(
        "maniskill-3.0.1-pd_ee_delta_pose",
        [[0.5, -1, 2, 0, 0, 0.5, -1], [0, 0, 0, 3, 0, 0, 1], [0, 0, 0, 0, -1, 0, 0]],
        {
            "position": [[0.05, -0.1, 0.1], [0, 0, 0], [0, 0, 0]],
            "rotation": [[0.0, 0.0, -0.05], [-0.1, 0.0, 0.0], [0.0, 0.1, 0.0]],
            "gripper": [0.0, 1.0, 0.375],
        },
    ),
    Golden(
        "maniskill-pd_joint_pos",
        [[0, 0.4, 0, -2.0, 0, 2.4, 0.8, 1], [0, 0, 0, -1.5, 0, 1.5, 0, -0.2]],
        {"joints": [[0, 0.4, 0, -2.0, 0, 2.4, 0.8], [0, 0, 0, -1.5, 0, 1.5, 0]], "gripper": [1.0, 0.25]},
    ),
    # widowx/defaults.py: not scaled; the gripper's -1..1 is its range.
    Golden(
        "simpler-widowx",
        [[0.01, -0.02, 0.03, 0.1, -0.2, 0.3, 1], [0, 0, 0, 0, 0, 0, -1]],
        {"position": [[0.01, -0.02, 0.03], [0, 0, 0]], "rotation": [[0.1, -0.2, 0.3], [0, 0, 0]], "gripper": [1, 0]},
    ),
    # octo_model.py: a change of 1 closes and stands for 15 actions, in which -1 is not looked at; the 16th opens.
    Golden(
        "simpler-google-robot",
        [[0.01, 0, 0, 0, 0.1, 0, 1]] + [[0, 0, 0, 0, 0, 0, -1]] * 15,
        {
            "position": [[0.01, 0, 0]] + [[0, 0, 0]] * 15,
            "rotation": [[0, 0.1, 0]] + [[0, 0, 0]] * 15,
            "gripper": [0.0] * 15 + [1.0],
        },
    ),
    # fetch_env.py: 0.05 m; mujoco_utils.py: 0.03 m of the fingers' 0.05 m are 60 % of the stroke.
    Golden(
        "fetch-v4",
        [[1, -2, 0.5, -0.03], [0, 0, 0, 0.01], [0, 0, 0, 1]],
        {"position": [[0.05, -0.05, 0.025], [0, 0, 0], [0, 0, 0]], "gripper": [0.4, 0.6, 1.0]},
    ),
    Golden(
        "lerobot-so101-degrees",
        [[90, -45, 0, 30, 180, 25], [0, 0, 0, 0, 0, 100]],
        {"joints": [[PI / 2, -PI / 4, 0, PI / 6, PI], [0] * 5], "gripper": [0.25, 1.0]},
    ),
    # motors_bus.py: (x + 100)/200 of the calibrated range; here -90..90 degrees, the first joint 0..60.
    Golden(
        "lerobot-so101-range100",
        [[0, 100, -100, 50, 0, 30], [100, 0, 0, 0, 0, 0]],
        {"joints": [[PI / 6, PI / 2, -PI / 2, PI / 4, 0], [PI / 3, 0, 0, 0, 0]], "gripper": [0.3, 0.0]},
        statistics("min_max", [0.0] + [-90.0] * 4 + [0.0], [60.0] + [90.0] * 4 + [100.0]),
    ),
    # Roll 90, then yaw 90 degrees about fixed axes: x -> y -> z -> x, 120 degrees about (1, 1, 1).
    Golden(
        "rlds-eef-delta",
        [[0.01, 0, -0.02, PI / 2, 0, PI / 2, 1], [0, 0, 0, 0, 0.1, 0, 0]],
        {
            "position": [[0.01, 0, -0.02], [0, 0, 0]],
            "rotation": [[2 * PI / 3 / math.sqrt(3)] * 3, [0, 0.1, 0]],
            "gripper": [1.0, 0.0],
        },
    ),
    # sequence_agent_test_set_up.py: metres and radians; rt1_dataset_transform: a change of 1 closes, 0 keeps.
    Golden(
        "rt1-dict",
        [[0.1, -0.05, 0, PI / 2, 0, PI / 2, 1], [0, 0, 0, 0, 0, -0.3, 0], [0, 0, 0, 0, 0, 0, -1]],
        {
            "position": [[0.1, -0.05, 0], [0, 0, 0], [0, 0, 0]],
            "rotation": [[2 * PI / 3 / math.sqrt(3)] * 3, [0, 0, -0.3], [0, 0, 0]],
            "gripper": [0.0, 0.0, 1.0],
        },
    ),
    # libero_env.py: the six numbers go to OSC_POSE; the gripper's sign about 0.5, 1 open.
    Golden(
        "gr00t-parts",
        [[0.5, 0, -1, 0, 0.4, 0, 0.9], [0, 0, 0, 0, 0, 0, 0.1]],
        {"position": [[0.025, 0, -0.05], [0, 0, 0]], "rotation": [[0, 0.2, 0], [0, 0, 0]], "gripper": [1.0, 0.875]},
    ),
    # gr00t/data/types.py, xyz+rotvec: physical units.
    Golden(
        "gr00t-eef-relative",
        [[0.1, 0, -0.2, 0.3, 0, 0, 1], [0, 0, 0, 0, 0, -0.4, 0.25]],
        {"position": [[0.1, 0, -0.2], [0, 0, 0]], "rotation": [[0.3, 0, 0], [0, 0, -0.4]], "gripper": [1.0, 0.25]},
    ),
    # A unit quaternion, w first.
    Golden(
        "waypoints-json",
        [[0.5, 0, 0.2, 0, 1, 0, 0, 1], [0.5, 0.1, 0.2, math.sqrt(0.5), 0, 0, math.sqrt(0.5), 0]],
        {"position": [[0.5, 0, 0.2], [0.5, 0.1, 0.2]], "rotation": [[PI, 0, 0], [0, 0, PI / 2]], "gripper": [1, 0]},
    ),
    # The prompt: at 0 the fingers are parallel to the x-axis, so the tool's y is along x: half a turn about (1, 1, 0).
    # At -pi/2 they are parallel to y, which is how a gripper points straight down here: half a turn about x.
    Golden(
        "trajectory-list",
        [[0.1, 0.6, 0.5, 0.0, 1], [0, 0.5, 0.1, -PI / 2, 0]],
        {
            "position": [[0.1, 0.6, 0.5], [0, 0.5, 0.1]],
            "rotation": [[PI * math.sqrt(0.5), PI * math.sqrt(0.5), 0], [PI, 0, 0]],
            "gripper": [1.0, 0.0],
        },
    ),
    # eb_man_utils.py: lower + 0.01 (bin + 1/2); 3 bin - 180 degrees. [0, 60, 36] is roll -180, yaw -72: half a turn
    # about the line at -36 degrees; our tool is turned by half a turn about its z, so it is about the line at 54.
    Golden(
        "voxel-bins",
        [[51, 26, 18, 0, 60, 36, 1], [0, 0, 0, 60, 60, 90, 0], [100, 99, 50, 60, 60, 60, 0]],
        {
            "position": [[0.215, -0.235, 0.785], [-0.295, -0.495, 0.605], [0.705, 0.495, 1.105]],
            "rotation": [[PI * math.sin(PI / 5), PI * math.cos(PI / 5), 0], [0, 0, -PI / 2], [0, 0, PI]],
            "gripper": [1.0, 0.0, 0.0],
        },
    ),
]


def changed(golden: Golden) -> Any:
    """The contract of a golden vector, with its statistics in place."""
    if not golden.changes:
        return preset(golden.name)
    kind, first, second, _ = golden.changes["normalisation"]
    spec = preset(golden.name)
    own: Normalisation = spec.arms[0][1].normalisation if spec.arms else spec.normalisation
    assert own.kind == kind
    given = own._replace(first=first, second=second)
    return preset(golden.name, normalisation=given)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_rows_mean_what_their_source_makes_of_them(golden: Golden) -> None:
    said = physical(changed(golden), np.array(golden.rows, dtype=float), opening=1.0)
    assert set(golden.means) <= set(said)
    for key, expected in golden.means.items():
        found, wanted = said[key], np.array(expected, dtype=float)
        if key.endswith("rotation"):  # a half turn has two vectors, and one matrix
            found, wanted = (
                rotation.to_matrix(rotation.from_vector(found)),
                rotation.to_matrix(rotation.from_vector(wanted)),
            )
        np.testing.assert_allclose(found, wanted, rtol=0, atol=golden.tolerance, err_msg=key)


def test_every_preset_of_numbers_has_golden_rows() -> None:
    numeric = {name for name in names() if preset(name).layout}
    assert numeric == {golden.name for golden in GOLDEN}
    for name in numeric:
        assert sum(len(golden.rows) for golden in GOLDEN if golden.name == name) >= 2


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("voxel-bins", [101, 0, 0, 60, 60, 60, 1]),
        ("voxel-bins", [0, 0, 0, 60, 121, 60, 1]),
        ("rt1-dict", [1.2, 0, 0, 0, 0, 0, 0]),
        ("rt1-dict", [0, 0, 0, 2.0, 0, 0, 0]),
        ("simpler-widowx", [0, 0, 0, 0, 0, 0, 1.5]),
        ("rlds-eef-delta", [0, 0, 0, 0, 0, 0, -1]),
    ],
)
def test_a_number_that_the_source_cannot_write_is_refused(name: str, row: list[float]) -> None:
    with pytest.raises(Refusal):
        physical(preset(name), np.array([row], dtype=float))


def test_the_same_row_closes_one_gripper_and_opens_another() -> None:
    row = np.array([[0.0, 0, 0, 0, 0, 0, 1]])
    assert physical(preset("libero-osc_pose-1.4"), row)["gripper"][0] < 1.0
    assert physical(preset("simpler-widowx"), row, opening=0.0)["gripper"][0] == 1.0
    assert physical(preset("simpler-google-robot"), row)["gripper"][0] == 0.0


def test_seven_numbers_turn_the_tool_one_way_for_libero_and_the_other_for_maniskill() -> None:
    row = np.array([[0.0, 0, 0, 0, 0, 0.2, 1]])
    assert physical(preset("libero-osc_pose-1.4"), row)["rotation"][0][2] == pytest.approx(0.1)
    assert physical(preset("maniskill-3.0.1-pd_ee_delta_pose"), row)["rotation"][0][2] == pytest.approx(-0.02)


def test_maniskill_shortens_negates_and_reads_as_euler_angles() -> None:
    turns = np.random.default_rng(0).uniform(-1.5, 1.5, (300, 3))
    rows = np.concatenate([np.zeros((300, 3)), turns, np.ones((300, 1))], axis=1)
    length = np.linalg.norm(turns, axis=1, keepdims=True)
    angles = -0.1 * turns / np.maximum(length, 1.0)  # _clip_and_scale_action
    by_source = rotation.from_euler_xyz(angles)  # euler_angles_to_matrix(..., "XYZ")
    found = rotation.from_vector(physical(preset("maniskill-3.0.1-pd_ee_delta_pose"), rows)["rotation"])
    between = rotation.to_vector(rotation.multiply(found, rotation.conjugate(by_source)))
    assert np.linalg.norm(between, axis=1).max() < EXACT
