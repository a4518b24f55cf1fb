"""What rows mean: every convention against matrices written out by hand, and the same arithmetic under jit."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import mujoco
import numpy as np
import pytest

from worldverify.action import CAMERA, PLAIN, ActionSpec, Controller, Gripper, Normalisation, Range
from worldverify.contracts import ctrl
from worldverify.decode import Begin, Pose, angles, controls, physical, poses
from worldverify.envs.arm import arm_value
from worldverify.kernels import actions as kernel
from worldverify.kernels import rotation
from worldverify.kernels.track import track
from worldverify.plan import admit
from worldverify.presets import preset
from worldverify.reach import chain_of
from worldverify.refusal import Refusal

EXACT = 1e-12  # float64 arithmetic in another order
FOLLOWED = 1e-6  # rad between NumPy and JAX after a few iterations of the same arithmetic
QUICK = {"xla_backend_optimization_level": "0"}  # compiles in half the time
OPEN = Gripper(open=1.0, closed=0.0, low=0.0, high=1.0, mode="absolute", threshold=None, step=None, hold_steps=0)
QUARTER = 0.5 * math.pi
WIDTHS = {
    "rpy": 3,
    "euler_XYZ": 3,
    "axis_angle": 3,
    "quat_wxyz": 4,
    "quat_xyzw": 4,
    "rot6d_interleaved": 6,
    "rot6d_contiguous": 6,
    "rot6d_rows": 6,
}
KINDS = ("absolute", "relative_to_chunk_start", "delta_to_previous_target", "delta_to_achieved")
FRAMES = ("world", "base", "tool", "camera:wrist")


def about(axis: str, angle: float) -> np.ndarray:
    """The matrix of a turn about one axis."""
    c, s = math.cos(angle), math.sin(angle)
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], dtype=float)


def quat(matrix: np.ndarray) -> np.ndarray:
    """MuJoCo's quaternion of a matrix."""
    found = np.zeros(4)
    mujoco.mju_mat2Quat(found, np.ascontiguousarray(matrix).ravel())
    return found


def matrix(quaternion: np.ndarray) -> np.ndarray:
    found = np.zeros(9)
    mujoco.mju_quat2Mat(found, np.ascontiguousarray(quaternion))
    return found.reshape(3, 3)


def pose(position: Sequence[float], turn: np.ndarray) -> Pose:
    return Pose(np.array([position]), quat(turn)[None])


TOOL = about("z", 0.4) @ about("x", math.pi)  # points down, turned a little
BASE = about("z", QUARTER)
CAMERA_TURN = about("y", QUARTER) @ about("z", 0.3)
BEGIN = Begin(
    q=np.zeros((1, 7)),
    tool=pose([0.5, 0.1, 0.3], TOOL),
    opening=np.array([0.5]),
    base=pose([1.0, 2.0, 0.0], BASE),
    cameras={"wrist": pose([0.1, 0.2, 0.9], CAMERA_TURN)},
)


def contract(**changes: Any) -> ActionSpec:
    """Steps of 3 numbers in m, a rotation and an opening, at 10 Hz."""
    kind = changes.pop("kind", "delta_to_previous_target")
    turn = changes.get("rotation", "axis_angle")
    width = WIDTHS.get(turn, 1)
    told: dict[str, Any] = {
        "name": "mine",
        "layout": (("position", 3), ("rotation", width), ("gripper", 1)),
        "representation": (("position", kind), ("rotation", kind)),
        "rotation": turn,
        "rotation_unit": "rad" if width in (1, 3) else "none",
        "rotation_side": "none" if kind == "absolute" else "left",
        "frame": "world",
        "gripper": OPEN,
        "rate_hz": 10.0,
    }
    return replace(preset("rlds-eef-delta"), **{**told, **changes})


def written(turn: np.ndarray, how: str) -> list[float]:
    """A rotation matrix in one of the formats, by textbook formulas."""
    r = turn
    w, x, y, z = quat(turn).tolist()
    vector = np.zeros(3)
    mujoco.mju_quat2Vel(vector, np.array([w, x, y, z]), 1.0)
    found: dict[str, list[float]] = {
        "rpy": [math.atan2(r[2, 1], r[2, 2]), -math.asin(r[2, 0]), math.atan2(r[1, 0], r[0, 0])],
        "euler_XYZ": [math.atan2(-r[1, 2], r[2, 2]), math.asin(r[0, 2]), math.atan2(-r[0, 1], r[0, 0])],
        "axis_angle": vector.tolist(),
        "quat_wxyz": [w, x, y, z],
        "quat_xyzw": [x, y, z, w],
        "rot6d_contiguous": [*r[:, 0].tolist(), *r[:, 1].tolist()],
        "rot6d_interleaved": [float(number) for row in r[:, :2] for number in row],
        "rot6d_rows": [*r[0].tolist(), *r[1].tolist()],
    }
    return found[how]


SHIFTS = [np.array([0.03, -0.02, 0.01]), np.array([0.0, 0.04, -0.02]), np.array([0.01, 0.01, 0.02])]
TURNS = [about("z", 0.3) @ about("x", 0.2), about("y", -0.25), about("x", 0.1) @ about("z", 0.2)]


def by_hand(kind: str, frame: str, side: str, execute: int | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Positions and matrices of the three steps, one after the other, as the contract's words say."""
    fixed = {"world": np.eye(3), "base": BASE, "camera:wrist": CAMERA_TURN}
    origin = {"world": np.zeros(3), "base": BEGIN.base.position[0], "camera:wrist": BEGIN.cameras["wrist"].position[0]}
    p, r = BEGIN.tool.position[0], TOOL
    chunk_p, chunk_r = p, r
    places, turns = [], []
    for k, (shift, turn) in enumerate(zip(SHIFTS, TURNS, strict=True)):
        if kind == "absolute":
            at = (BEGIN.tool.position[0], TOOL) if frame == "tool" else (origin[frame], fixed[frame])
            p, r = at[0] + at[1] @ shift, at[1] @ turn
        else:
            if kind == "relative_to_chunk_start":
                if execute is not None and k % execute == 0:
                    chunk_p, chunk_r = p, r
                from_p, from_r = chunk_p, chunk_r
            else:
                from_p, from_r = p, r
            axes = from_r if frame == "tool" else fixed[frame]
            p = from_p + axes @ shift
            r = axes @ turn @ axes.T @ from_r if side == "left" else from_r @ turn
        places.append(p)
        turns.append(r)
    return places, turns


CASES = [
    (kind, frame, side)
    for kind in KINDS
    for frame in FRAMES
    for side in (("none",) if kind == "absolute" else ("right",) if frame == "tool" else ("left", "right"))
]


@pytest.mark.parametrize("how", WIDTHS)
@pytest.mark.parametrize(("kind", "frame", "side"), CASES)
def test_rows_are_where_matrices_say(kind: str, frame: str, side: str, how: str) -> None:
    execute = 2 if kind == "relative_to_chunk_start" else None
    spec = contract(kind=kind, frame=frame, rotation_side=side, rotation=how, chunk=execute, execute=execute)
    rows = [[*shift, *written(turn, how), 0.5] for shift, turn in zip(SHIFTS, TURNS, strict=True)]
    found = poses(spec, np.array([rows]), BEGIN)
    places, turns = by_hand(kind, frame, side, execute)
    np.testing.assert_allclose(found.position[0], places, atol=EXACT)
    np.testing.assert_allclose([matrix(one) for one in found.orientation[0]], turns, atol=EXACT)


def test_forward_in_a_base_turned_left_is_along_y_of_the_world() -> None:
    row = np.array([[[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]])
    for frame, moved in (("world", [0.1, 0.0, 0.0]), ("base", [0.0, 0.1, 0.0])):
        found = poses(contract(frame=frame), row, BEGIN)
        np.testing.assert_allclose(found.position[0, 0] - BEGIN.tool.position[0], moved, atol=EXACT)


def test_forward_in_a_tool_that_points_down_is_down() -> None:
    row = np.array([[[0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0]]])
    found = poses(contract(frame="tool", rotation_side="right"), row, BEGIN)
    np.testing.assert_allclose(found.position[0, 0] - BEGIN.tool.position[0], [0.0, 0.0, -0.1], atol=EXACT)


def test_deltas_of_a_tool_go_along_the_axes_that_it_has_turned_to() -> None:
    rows = np.array([[[0.1, 0.0, 0.0, 0.0, 0.0, QUARTER, 1.0], [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]])
    begin = replace(BEGIN, tool=pose([0.0, 0.0, 0.0], np.eye(3)))
    found = poses(contract(frame="tool", rotation_side="right"), rows, begin)
    np.testing.assert_allclose(found.position[0], [[0.1, 0.0, 0.0], [0.1, 0.1, 0.0]], atol=EXACT)


def test_left_is_about_the_axes_of_the_frame_and_right_about_those_of_the_tool() -> None:
    row = np.array([[[0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 1.0]]])
    begin = replace(BEGIN, tool=pose([0.0, 0.0, 0.0], about("x", math.pi)))
    left = poses(contract(rotation_side="left"), row, begin).orientation[0, 0]
    right = poses(contract(rotation_side="right"), row, begin).orientation[0, 0]
    np.testing.assert_allclose(matrix(left), about("z", 0.2) @ about("x", math.pi), atol=EXACT)
    np.testing.assert_allclose(matrix(right), about("z", -0.2) @ about("x", math.pi), atol=EXACT)


def test_an_absolute_yaw_turns_a_gripper_that_points_down() -> None:
    spec = contract(kind="absolute", rotation="yaw", layout=(("position", 3), ("rotation", 1), ("gripper", 1)))
    found = poses(spec, np.array([[[0.5, 0.0, 0.2, 0.3, 1.0]]]), BEGIN)
    np.testing.assert_allclose(matrix(found.orientation[0, 0]), about("z", 0.3) @ about("x", math.pi), atol=EXACT)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_yaw_of_zero_turns_nothing_if_it_is_a_change(kind: str) -> None:
    spec = contract(kind=kind, rotation="yaw")
    found = poses(spec, np.array([[[0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.2, 1.0]]]), BEGIN)
    np.testing.assert_allclose(matrix(found.orientation[0, 0]), TOOL, atol=EXACT)
    np.testing.assert_allclose(matrix(found.orientation[0, 1]), about("z", 0.2) @ TOOL, atol=EXACT)


def test_without_a_rotation_the_tool_keeps_its_own() -> None:
    spec = preset("fetch-v4")
    found = poses(spec, np.array([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]]), BEGIN)
    np.testing.assert_allclose(matrix(found.orientation[0, 1]), TOOL, atol=EXACT)
    np.testing.assert_allclose(found.position[0, 1] - BEGIN.tool.position[0], [0.05, 0.05, 0.0], atol=EXACT)


def test_a_position_that_is_absolute_may_come_with_a_turn_that_is_not() -> None:
    spec = contract(representation=(("position", "absolute"), ("rotation", "delta_to_previous_target")))
    rows = np.array([[[0.4, 0.0, 0.2, 0.0, 0.0, 0.1, 1.0], [0.5, 0.0, 0.2, 0.0, 0.0, 0.1, 1.0]]])
    found = poses(spec, rows, BEGIN)
    np.testing.assert_allclose(found.position[0], rows[0, :, :3], atol=EXACT)
    np.testing.assert_allclose(matrix(found.orientation[0, 1]), about("z", 0.2) @ TOOL, atol=EXACT)


def test_a_camera_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match="the camera 'front', which is not there") as caught:
        poses(contract(frame=f"{CAMERA}front"), np.zeros((1, 2, 7)), BEGIN)
    assert caught.value.code == "no_camera"


# Chunks


def test_each_chunk_starts_where_the_one_before_was_left() -> None:
    spec = contract(kind="relative_to_chunk_start", chunk=4, execute=2)
    chunks = np.zeros((3, 4, 7))
    chunks[:, :, 0] = [0.01, 0.02, 0.03, 0.04]
    chunks[:, :, 6] = 1.0
    plan = admit({"format": spec, "rate_hz": 10, "actions": chunks}, contracts={}, default_rate=0.0)
    assert isinstance(plan.actions, np.ndarray)
    assert plan.actions.shape == (6, 7)
    found = poses(spec, plan.actions[None], BEGIN)
    moved = found.position[0, :, 0] - BEGIN.tool.position[0, 0]
    np.testing.assert_allclose(moved, [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], atol=EXACT)


def test_chunks_of_lists_and_of_an_array_are_the_same_plan() -> None:
    chunks = np.arange(2 * 10 * 7).reshape(2, 10, 7) / 1000.0
    line = {"format": "openpi-libero", "rate_hz": 20}
    plans = [
        admit({**line, "actions": actions}, contracts={}, default_rate=0.0)
        for actions in (chunks, chunks.tolist(), [chunks[0].tolist(), chunks[1].tolist()])
    ]
    assert plans[0] == plans[1] == plans[2]
    np.testing.assert_array_equal(plans[0].actions, chunks[:, :5].reshape(10, 7))


@pytest.mark.parametrize("shape", [(2, 9, 7), (2, 10, 6), (0, 10, 7), (2, 2, 10, 7)])
def test_chunks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(Refusal) as caught:
        admit({"format": "openpi-libero", "rate_hz": 20, "actions": np.zeros(shape)}, contracts={}, default_rate=0.0)
    assert caught.value.code in ("wrong_width", "empty")


def test_a_velocity_lasts_for_one_action() -> None:
    spec = replace(preset("openpi-droid-velocity"), ranges=(), chunk=None, execute=None)
    rows = np.zeros((1, 3, 8))
    rows[..., 0] = 1.5
    found = angles(spec, rows, BEGIN, 15.0)
    np.testing.assert_allclose(found.q[0, :, 0], [0.1, 0.2, 0.3], atol=EXACT)
    np.testing.assert_array_equal(found.q[0, :, 1:], 0.0)


@pytest.mark.parametrize(
    ("kind", "said", "meant"),
    [
        ("absolute", [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]),
        ("delta_to_previous_target", [0.1, 0.2, 0.3, 0.4], [0.6, 0.8, 1.1, 1.5]),
        ("delta_to_achieved", [0.1, 0.2, 0.3, 0.4], [0.6, 0.8, 1.1, 1.5]),
        ("relative_to_chunk_start", [0.1, 0.2, 0.3, 0.4], [0.6, 0.7, 1.0, 1.1]),
    ],
)
def test_joints_are_read_by_their_representation(kind: Any, said: list[float], meant: list[float]) -> None:
    base = preset("maniskill-pd_joint_pos")
    kinds = tuple((joint, kind) for joint, _ in base.representation)
    spec = replace(base, representation=kinds, chunk=2, execute=2)
    rows = np.zeros((1, 4, 8))
    rows[..., 2] = said
    found = angles(spec, rows, replace(BEGIN, q=np.full((1, 7), 0.5)), 20.0)
    np.testing.assert_allclose(found.q[0, :, 2], meant, atol=EXACT)


# Units and scales


@pytest.mark.parametrize(("unit", "metres"), [("m", 1.0), ("cm", 0.01), ("mm", 0.001)])
def test_lengths_are_in_the_unit_of_the_contract(unit: Any, metres: float) -> None:
    said = physical(contract(position_unit=unit), np.array([[2.0, -3.0, 4.0, 0.0, 0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(said["position"], [[2.0 * metres, -3.0 * metres, 4.0 * metres]], atol=EXACT)


@pytest.mark.parametrize("how", ["rpy", "euler_XYZ", "axis_angle"])
def test_angles_in_degrees_are_the_same_turn(how: str) -> None:
    row = np.array([[0.0, 0.0, 0.0, 30.0, -20.0, 10.0, 1.0]])
    degrees = physical(contract(rotation=how, rotation_unit="deg"), row)
    row[:, 3:6] *= math.pi / 180
    np.testing.assert_allclose(degrees["rotation"], physical(contract(rotation=how), row)["rotation"], atol=EXACT)


def test_joints_in_degrees_are_the_same_angles() -> None:
    spec = replace(preset("maniskill-pd_joint_pos"), position_unit="deg")
    said = physical(spec, np.array([[90.0, 0.0, 0.0, -180.0, 0.0, 45.0, 0.0, 1.0]]))
    np.testing.assert_allclose(said["joints"][0], [QUARTER, 0, 0, -math.pi, 0, QUARTER / 2, 0], atol=EXACT)


def test_a_sign_turns_a_vector_round_and_a_limit_shortens_it() -> None:
    row = np.array([[0.0, 0.0, 0.0, 0.3, 0.0, 0.4, 1.0]])
    said = physical(contract(rotation_sign=-1, rotation_limit=0.25), row)
    np.testing.assert_allclose(said["rotation"], [[-0.15, 0.0, -0.2]], atol=EXACT)


@pytest.mark.parametrize("policy", ["clip", "reject"])
def test_what_is_outside_a_range_is_clipped_or_refused(policy: Any) -> None:
    limits = Range("position", (-1.0,) * 3, (1.0,) * 3, (-0.05,) * 3, (0.05,) * 3)
    spec = contract(ranges=(limits,), range_policy=policy)
    row = np.array([[0.5, 2.0, -1.0, 0.0, 0.0, 0.0, 1.0]])
    if policy == "clip":
        np.testing.assert_allclose(physical(spec, row)["position"], [[0.025, 0.05, -0.05]], atol=EXACT)
    else:
        with pytest.raises(Refusal, match=r"Action 1 of mine has position\[1\] = 2; it lies between -1 and 1"):
            physical(spec, row)


def test_a_gripper_may_have_a_range_of_its_own() -> None:
    spec = contract(ranges=(Range("gripper", (0.0,), (255.0,), (1.0,), (0.0,)),))
    rows = [[0.0] * 6 + [51.0], [0.0] * 6 + [255.0]]
    plan = admit({"format": spec, "rate_hz": 10, "actions": rows}, contracts={}, default_rate=0.0)
    np.testing.assert_allclose(physical(spec, np.asarray(plan.actions))["gripper"], [0.8, 0.0], atol=EXACT)


@pytest.mark.parametrize(
    ("kind", "first", "second", "number", "meant"),
    [
        ("zscore", 0.1, 0.02, 1.5, 0.13),
        ("q01_q99", -0.04, 0.06, -1.0, -0.04),
        ("q01_q99", -0.04, 0.06, 0.0, 0.01),
        ("min_max", 0.0, 0.2, 0.5, 0.15),
    ],
)
def test_statistics_undo_a_normalisation(kind: Any, first: float, second: float, number: float, meant: float) -> None:
    mask = (True,) * 3 + (False,) * 4
    scale = Normalisation(kind, "numbers", (first,) * 7, (second,) * 7, 0.0, mask, -1.0, 1.0)
    said = physical(contract(normalisation=scale), np.array([[number] * 3 + [0.1, 0.0, 0.0, 0.25]]))
    np.testing.assert_allclose(said["position"], [[meant] * 3], atol=EXACT)
    np.testing.assert_allclose(said["rotation"], [[0.1, 0.0, 0.0]], atol=EXACT)
    assert said["gripper"] == pytest.approx([0.25])


def test_tokens_become_the_centres_of_their_bins_before_statistics() -> None:
    scale = Normalisation("q01_q99", "tokens_256", (-0.255,) * 7, (0.255,) * 7, 0.0, (True,) * 6 + (False,), -1.0, 1.0)
    spec = contract(normalisation=scale)
    tokens = [31999 - 254, 31999 - 127, 31999, 31999 - 127, 31999 - 127, 31999 - 127, 31999 - 254]
    said = physical(spec, np.array([tokens], dtype=float))
    np.testing.assert_allclose(said["position"], [[0.254, 0.0, -0.254]], atol=EXACT)
    np.testing.assert_allclose(said["rotation"], 0.0, atol=EXACT)
    assert said["gripper"] == pytest.approx([254 / 255])


@pytest.mark.parametrize("token", [31743, 32000, 31744.5, -0.5])
def test_a_number_that_is_no_token_is_refused(token: float) -> None:
    spec = contract(normalisation=PLAIN._replace(encoding="tokens_256"))
    line = {"format": spec, "rate_hz": 10, "actions": [[31900] * 6 + [token]]}
    with pytest.raises(Refusal, match="which is no token of an action; they are 31744 to 31999"):
        admit(line, contracts={}, default_rate=0.0)


def test_numbers_that_a_contract_scales_beyond_reason_are_refused() -> None:
    scale = Normalisation("zscore", "numbers", (0.0,) * 7, (1e6,) * 6 + (1.0,), 0.0, None, -1.0, 1.0)
    with pytest.raises(Refusal, match="after scaling; nothing is beyond 1e") as caught:
        physical(contract(normalisation=scale), np.array([[2.0] * 6 + [1.0]]))
    assert caught.value.code == "out_of_range"


def test_a_quaternion_is_scaled_to_1_and_refused_if_it_is_far_from_it() -> None:
    spec = contract(kind="absolute", rotation="quat_wxyz")
    near = np.array([[[0.5, 0.0, 0.2, 0.0, 1.01, 0.0, 0.0, 1.0]]])
    np.testing.assert_allclose(poses(spec, near, BEGIN).orientation[0, 0], [0.0, 1.0, 0.0, 0.0], atol=EXACT)
    for number in (0.9, 0.0):
        near[0, 0, 4] = number
        with pytest.raises(Refusal) as caught:
            poses(spec, near, BEGIN)
        assert caught.value.code == "bad_quaternion"


def test_two_axes_along_one_line_are_no_rotation() -> None:
    row = np.array([[[0.0] * 3 + [1.0, 0.0, 0.0, 2.0, 0.0, 0.0] + [1.0]]])
    with pytest.raises(Refusal, match="span no plane"):
        poses(contract(rotation="rot6d_contiguous"), row, BEGIN)


def test_two_axes_that_are_not_quite_square_are_made_so() -> None:
    row = np.array([[[0.0] * 3 + [2.0, 0.0, 0.0, 0.5, 3.0, 0.0] + [1.0]]])
    found = poses(contract(kind="absolute", rotation="rot6d_contiguous"), row, BEGIN)
    np.testing.assert_allclose(matrix(found.orientation[0, 0]), np.eye(3), atol=EXACT)


def test_raw_controls_go_through_the_scales_of_their_contract() -> None:
    limits = Range("ctrl", (-1.0,) * 2, (1.0,) * 2, (0.0, -4.0), (10.0, 4.0))
    spec = replace(ctrl(2, 20.0), name="raw", ranges=(limits,), range_policy="clip")
    np.testing.assert_allclose(controls(spec, np.array([[0.0, 0.5], [3.0, -1.0]])), [[5.0, 2.0], [10.0, -4.0]])


# Several arms


def test_each_arm_reads_its_own_columns() -> None:
    rows = np.arange(14.0)[None] / 13.0
    said = physical(preset("gym-aloha"), rows)
    np.testing.assert_allclose(said["left/joints"][0], rows[0, :6])
    np.testing.assert_allclose(said["right/joints"][0], rows[0, 7:13])
    assert said["left/gripper"] == pytest.approx([6 / 13])
    assert said["right/gripper"] == pytest.approx([1.0])


# Under jit


def traced(spec: ActionSpec, rows: Any, begin: dict[str, Any], scale: dict[str, Any]) -> tuple[Any, ...]:
    """The way from rows to joint angles and openings by the kernels that `decode` and `dense` use."""
    values = kernel.unnormalise(
        rows, "q01_q99", scale["first"], scale["second"], epsilon=1e-8, mask=scale["mask"], domain=(-1.0, 1.0)
    )
    shift, turn = values[..., :3], values[..., 3:6]
    shift = kernel.rescale(kernel.clip_box(shift, scale["low"], scale["high"]), -1.0, 1.0, -0.05, 0.05)
    turn = kernel.rescale(kernel.clip_box(turn, scale["low"], scale["high"]), -1.0, 1.0, -0.5, 0.5)
    turn = rotation.to_quaternion(spec.rotation, turn)
    if spec.controller is not None:
        law = spec.controller
        where = kernel.respond(
            begin["position"],
            begin["orientation"],
            shift,
            turn,
            kp=law.kp,
            damping=law.damping,
            period=0.05,
            side="left",
        )
    else:
        where = kernel.accumulate(begin["position"], begin["orientation"], shift, turn, side="left")
    grip = spec.gripper
    assert grip is not None
    opening = kernel.opening(
        values[..., 6],
        begin["opening"],
        is_open=grip.open,
        is_closed=grip.closed,
        mode=grip.mode,
        threshold=grip.threshold,
        step=grip.step,
        hold_steps=grip.hold_steps,
    )
    position = kernel.resample(where[0], begin["position"], 20.0, 25.0, hold=False)
    orientation = kernel.resample_turns(where[1], begin["orientation"], 20.0, 25.0, hold=False)
    said = (where[0], where[1], opening, position, orientation)
    if spec.controller is not None:
        return said  # that the rest is the same for every path is seen below
    chain, *limits = scale["arm"]
    return *said, track(chain, position[:, :1], orientation[:, :1], begin["q"], *limits, iterations=1).q


@pytest.mark.parametrize("controller", [Controller("OSC_POSE", 150.0, 1.0), None])
def test_the_way_from_rows_to_joints_is_the_same_under_jit(controller: Controller | None) -> None:
    arm = arm_value()
    scale = Normalisation("q01_q99", "numbers", (-0.8,) * 7, (0.9,) * 7, 1e-8, (True,) * 6 + (False,), -1.0, 1.0)
    spec = replace(preset("openvla-oft-libero"), normalisation=scale, controller=controller)
    rows = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 2, 7))
    rows[..., 6] = (rows[..., 6] > 0).astype(float)
    place, turn = (np.repeat(part, 2, axis=0) for part in _tool(arm))
    q = np.repeat(arm.home[None], 2, axis=0)
    begin = {"position": place, "orientation": turn, "opening": np.array([0.2, 0.9]), "q": q}
    given = {
        "first": np.array(scale.first),
        "second": np.array(scale.second),
        "mask": np.array(scale.mask),
        "low": np.full(3, -1.0),
        "high": np.full(3, 1.0),
        "arm": (chain_of(arm), arm.home, arm.q_min, arm.q_max),
    }
    plain = traced(spec, rows, begin, given)
    with jax.enable_x64(True):
        jitted = jax.jit(lambda rows, begin, given: traced(spec, rows, begin, given), compiler_options=QUICK)(
            rows, begin, given
        )
    whole = poses(spec, rows, Begin(q, Pose(place, turn), begin["opening"], Pose(place, turn), {}))
    assert whole.opening is not None
    for ours, theirs, decoded in zip(plain, jitted, (whole.position, whole.orientation, whole.opening), strict=False):
        np.testing.assert_allclose(theirs, ours, atol=EXACT)
        np.testing.assert_array_equal(ours, decoded)
    for ours, theirs in zip(plain[3:], jitted[3:], strict=True):
        np.testing.assert_allclose(theirs, ours, atol=FOLLOWED)


def _tool(arm: Any) -> tuple[np.ndarray, np.ndarray]:
    from worldverify.kernels import kinematics

    place, turn = kinematics.tool_pose(arm.home[None], *chain_of(arm))
    return place, turn
