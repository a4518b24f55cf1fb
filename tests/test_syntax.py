"""How plans are written: every form reads what it writes, reads its source's own habits, and refuses the rest."""

import json
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.action import ActionSpec, Syntax
from worldverify.contracts import skills
from worldverify.plan import Plan, admit
from worldverify.presets import names, preset
from worldverify.refusal import CODES, Refusal
from worldverify.statistics import APPLIED, with_statistics
from worldverify.syntax import form_of

LIBERO = "libero-osc_pose-1.4"
ROW = [0.1, 0.0, -0.1, 0.0, 0.0, 0.2, 1.0]
BIN = [50, 50, 10, 60, 0, 60, 1]


def spec_of(name: str) -> ActionSpec:
    spec = skills(("pick", "home")) if name == "skills" else preset(name)
    spec = with_statistics(spec, APPLIED) if spec.needs_statistics else spec
    return replace(spec, rate_hz=5.0) if name in ("rlds-eef-delta", "gr00t-eef-relative") else spec


def read(format: str | ActionSpec, text: object) -> Plan:
    """The plan that a text or the value of its actions is."""
    spec = spec_of(format) if isinstance(format, str) else format
    line = {"text": text} if isinstance(text, str) else {"actions": text}
    return admit({**line, "format": spec, "rate_hz": spec.rate_hz}, contracts={}, default_rate=0.0)


def code(format: str | ActionSpec, text: object) -> str:
    with pytest.raises(Refusal) as caught:
        read(format, text)
    assert caught.value.reason.endswith(".")
    return caught.value.code


def rows(plan: Plan) -> Any:
    assert isinstance(plan.actions, np.ndarray)
    return plan.actions.tolist()


# One plan of each syntax, as its source writes it.
TEXTS: dict[str, str] = {
    LIBERO: json.dumps({"actions": [ROW, ROW]}),
    "waypoints-json": '{"waypoints": [{"position": [0.5, 0, 0.2], "gripper": 1}, {"position": [0.5, 0, 0.1]}]}',
    "skills": '{"skills": [{"skill": "pick", "object": "cube"}, {"skill": "home"}]}',
    "trajectory-list": '{"trajectory": [[0.5, 0, 0.2, 0], [0.5, 0.1, 0.2, 0.1]]}',
    "voxel-bins": json.dumps({"executable_plan": [{"action": str(BIN)}, {"action": BIN}]}),
    "gr00t-parts": json.dumps({"action.position": [ROW[:3]], "action.rotation": [ROW[3:6]], "action.gripper": [[1.0]]}),
    "rt1-dict": json.dumps(
        {
            "world_vector": ROW[:3],
            "rotation_delta": ROW[3:6],
            "gripper_closedness_action": [1.0],
            "terminate_episode": 0,
        }
    ),
    "gemini-er-points": '[{"point": [376, 508], "label": "cube"}]',
}


@pytest.mark.parametrize("syntax", get_args(Syntax))
def test_every_syntax_has_a_form_and_an_example(syntax: str) -> None:
    spec = next((preset(name) for name in names() if preset(name).syntax == syntax), skills(("pick",)))
    form = form_of(spec)
    assert form.example(spec)
    assert form is form_of(spec)


@pytest.mark.parametrize("name", TEXTS)
def test_a_plan_is_written_as_a_text_that_is_read_back(name: str) -> None:
    plan = read(name, TEXTS[name])
    text = form_of(spec_of(name)).write(plan.actions, spec_of(name))
    assert read(name, text) == plan
    assert read(name, f"Sure!\n```json\n{text}\n```\nShall I go on?") == plan


@pytest.mark.parametrize("name", TEXTS)
def test_a_plan_is_read_back_from_its_own_line(name: str) -> None:
    plan = read(name, TEXTS[name])
    line = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    own = {"skills": spec_of("skills")}
    assert admit(line, contracts=own, default_rate=0.0).actions is not None
    again = admit({**line, "format": spec_of(name), "contract": None}, contracts=own, default_rate=0.0)
    assert json.dumps(again.to_json()["actions"], default=list) == json.dumps(line["actions"])


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "skills"])
@given(data=st.data())
def test_any_value_in_place_of_actions_is_a_plan_or_a_refusal(name: str, data: st.DataObject) -> None:
    leaves = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
    keys = st.sampled_from(
        ["actions", "action", "executable_plan", "point", "points", "type", "position", "world_vector"]
    )
    value = data.draw(
        st.recursive(leaves, lambda x: st.lists(x, max_size=4) | st.dictionaries(keys, x, max_size=3), max_leaves=12)
    )
    for raw in ({"actions": value}, {"text": json.dumps(value)}, value):
        try:
            admit(raw, contracts={}, default_rate=0.0, format=spec_of(name))
        except Refusal as refusal:
            assert refusal.code in CODES


# Rows


def test_rows_are_read_as_policies_print_them() -> None:
    whole = read(LIBERO, [ROW, ROW])
    assert read(LIBERO, json.dumps([ROW, ROW])) == whole
    assert read(LIBERO, f"array({np.array([ROW, ROW]).tolist()})") == whole
    assert rows(read(LIBERO, json.dumps(ROW))) == [ROW]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "empty"),
        ([[]], "wrong_width"),
        ([ROW, ROW[:6]], "wrong_width"),
        ([[*ROW[:6], "1"]], "wrong_type"),
        ([[*ROW[:6], True]], "wrong_type"),
        ([[*ROW[:6], None]], "wrong_type"),
        ([[*ROW[:6], float("nan")]], "not_finite"),
        ([[*ROW[:6], 1e7]], "out_of_range"),
        ([[*ROW[:6], 1.2]], "out_of_range"),
        ([[ROW]], "wrong_width"),
        ({"x": 1}, "wrong_type"),
        (5, "wrong_type"),
        (np.array([ROW], dtype=object), "wrong_type"),
        (np.array([ROW]) + 1j, "wrong_type"),
        (np.zeros((1001, 7)), "too_long"),
    ],
)
def test_rows_that_are_none_are_refused(value: object, expected: str) -> None:
    assert code(LIBERO, value) == expected


def test_a_width_that_is_wrong_is_told_with_the_numbers_of_the_contract() -> None:
    with pytest.raises(Refusal, match=r"libero-osc_pose-1\.4 wants 7: position\[0\], .*, gripper\."):
        read(LIBERO, [ROW[:6]])


# Streams


def test_streams_may_be_named_with_and_without_their_prefix_in_any_order() -> None:
    plain = {"gripper": [1.0], "rotation": [ROW[3:6]], "position": [ROW[:3]]}
    assert read("gr00t-parts", json.dumps(plain)) == read("gr00t-parts", TEXTS["gr00t-parts"])
    assert rows(read("gr00t-parts", plain)) == [ROW]


def test_streams_of_one_number_each_are_put_together() -> None:
    single = {
        key: [[value]] for key, value in zip(("x", "y", "z", "roll", "pitch", "yaw", "gripper"), ROW, strict=True)
    }
    assert rows(read("gr00t-parts", single)) == [ROW]


def test_a_batch_of_one_is_taken_out_of_its_batch() -> None:
    batch = {"position": [[ROW[:3]]], "rotation": [[ROW[3:6]]], "gripper": [[[1.0]]]}
    assert rows(read("gr00t-parts", batch)) == [ROW]
    arrays = {name: np.array(value) for name, value in batch.items()}
    assert rows(read("gr00t-parts", arrays)) == [ROW]


def test_of_a_whole_chunk_of_streams_the_first_part_is_carried_out_and_told() -> None:
    table = np.tile(ROW, (40, 1))
    plan = read("gr00t-parts", {"position": table[:, :3], "rotation": table[:, 3:6], "gripper": table[:, 6:]})
    assert rows(plan) == [ROW] * 8
    assert "Of the chunk of 40 actions the first 8 are carried out." in plan.warnings


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"position": [ROW[:3]], "rotation": [ROW[3:6]]}, "missing_key"),
        ({"position": [ROW[:3]], "rotation": [ROW[3:6]], "gripper": [1.0], "base": [0.0]}, "unknown_key"),
        ({"position": [ROW[:3]] * 2, "rotation": [ROW[3:6]], "gripper": [1.0]}, "wrong_width"),
        ({"position": [ROW[:2]], "rotation": [ROW[3:6]], "gripper": [1.0]}, "wrong_width"),
        ({"position": [], "rotation": [], "gripper": []}, "empty"),
        ({}, "missing_key"),
        ("none", "no_plan"),
    ],
)
def test_streams_that_do_not_fit_are_refused(value: object, expected: str) -> None:
    assert code("gr00t-parts", value) == expected


# RT-1's dictionary


def step(**more: object) -> dict[str, object]:
    return {"world_vector": ROW[:3], "rotation_delta": ROW[3:6], "gripper_closedness_action": [1.0], **more}


def test_a_dictionary_is_one_action_and_a_list_of_them_several() -> None:
    assert rows(read("rt1-dict", [step()])) == [ROW]
    assert rows(read("rt1-dict", [step(), step(base_displacement_vector=[0, 0])])) == [ROW, ROW]


def test_an_action_that_ends_the_episode_is_the_last_and_is_not_carried_out() -> None:
    for end in (1, [1, 0, 0], 1.0):
        plan = read("rt1-dict", [step(), step(terminate_episode=end)])
        assert rows(plan) == [ROW]
        assert "The last action ends the episode and was not carried out." in plan.warnings
        assert code("rt1-dict", [step(terminate_episode=end), step()]) == "too_many_steps"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([step(base_displacement_vector=[0.1, 0])], "out_of_range"),
        ([step(base_displacement_vertical_rotation=[0.1])], "out_of_range"),
        ([step(speed=1)], "unknown_key"),
        ([{"world_vector": ROW[:3]}], "missing_key"),
        ([step(), ROW], "wrong_type"),
        ([step(world_vector=[2.0, 0, 0])], None),
        ([step(world_vector=ROW[:2])], "wrong_width"),
    ],
)
def test_dictionaries_that_do_not_fit_are_refused(value: object, expected: str | None) -> None:
    if expected is None:  # ranges are those of the contract, and are checked when it is decoded
        read("rt1-dict", value)
    else:
        assert code("rt1-dict", value) == expected


# Lists of points


def test_a_trajectory_is_points_between_commands_of_the_gripper() -> None:
    events = [
        {"type": "open_gripper"},
        {"type": "detect_object", "name": "cup"},
        {"type": "trajectory", "points": [[0.5, 0, 0.2, 0]]},
        {"type": "close_gripper"},
        {"type": "task_completed"},
    ]
    plan = read("trajectory-list", json.dumps({"events": events}))
    assert [dict(action) for action in plan.actions] == [  # type: ignore[call-overload]
        {"gripper": "open"},
        {"points": [[0.5, 0.0, 0.2, 0.0]]},
        {"gripper": "close"},
    ]


def test_a_bare_list_of_points_is_a_trajectory() -> None:
    points = [[0.5, 0, 0.2, 0], [0.5, 0.1, 0.2, 0]]
    assert read("trajectory-list", json.dumps(points)) == read("trajectory-list", json.dumps({"trajectory": points}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"events": [{"type": "throw"}]}, "unknown_key"),
        ({"events": [{"type": "trajectory"}]}, "missing_key"),
        ({"events": [], "trajectory": []}, "ambiguous"),
        ({"events": []}, "empty"),
        ({"events": [5]}, "wrong_type"),
        ({"trajectory": [[0.5, 0, 0.2]]}, "wrong_width"),
        ({"trajectory": 5}, "wrong_type"),
        ([{"gripper": "half"}], "wrong_type"),
        ({"events": [{"type": ["trajectory"]}]}, "unknown_key"),
    ],
)
def test_trajectories_that_are_none_are_refused(value: object, expected: str) -> None:
    assert code("trajectory-list", value) == expected


# Bins


def test_bins_of_several_plans_in_a_text_are_joined_in_their_order() -> None:
    one, two = ({"executable_plan": [{"action": [*BIN[:6], grip]}]} for grip in (1, 0))
    plan = read("voxel-bins", f"{json.dumps(one)}\n{json.dumps(two)}")
    assert [row[6] for row in rows(plan)] == [1, 0]
    assert any("joined" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([[*BIN[:6], 0.5]], "out_of_range"),
        ([[1.5, *BIN[1:]]], "out_of_range"),
        ([BIN[:6]], "wrong_width"),
        (["[1, 2, x]"], "wrong_type"),
        ({"executable_plan": 5}, "wrong_type"),
        ({"executable_plan": []}, "empty"),
        ([{"action_id": 3}], "wrong_type"),
    ],
)
def test_bins_that_are_none_are_refused(value: object, expected: str) -> None:
    assert code("voxel-bins", value) == expected


# Points of an image


@pytest.mark.parametrize(
    ("value", "marks"),
    [
        ([{"point": [376, 508], "label": "cube"}], [{"point": [376.0, 508.0], "label": "cube"}]),
        ({"point_2d": [376, 508]}, [{"point": [376.0, 508.0]}]),
        ([[376, 508], [400, 500]], [{"point": [376.0, 508.0]}, {"point": [400.0, 500.0]}]),
        ([376, 508], [{"point": [376.0, 508.0]}]),
        ([300, 400, 350, 460], [{"box": [300.0, 400.0, 350.0, 460.0]}]),
        ([{"box_2d": [1, 2, 3, 4], "label": "cup"}], [{"box": [1.0, 2.0, 3.0, 4.0], "label": "cup"}]),
        (
            {"thinking": "it is left", "answer": "[(318, 445), (293, 466)]"},
            [{"point": [318, 445]}, {"point": [293, 466]}],
        ),
    ],
)
def test_points_are_read_as_models_write_them(value: object, marks: list[dict[str, object]]) -> None:
    plan = read("gemini-er-points", json.dumps(value))
    assert [dict(mark) for mark in plan.actions] == marks  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"point": [376, 508, 2]}], "wrong_width"),
        ([{"point": ["376", 508]}], "wrong_type"),
        ([{"label": "cube"}], "missing_key"),
        ([{"point": [1, 2], "box": [1, 2, 3, 4]}], "missing_key"),
        ([{"point": [1, 2], "colour": "red"}], "unknown_key"),
        ([{"point": [1, 2], "label": 5}], "wrong_type"),
        ({"answer": "nothing"}, "no_plan"),
        ({"answer": "[(1, 2"}, "malformed"),
        ([], "empty"),
    ],
)
def test_points_that_are_none_are_refused(value: object, expected: str) -> None:
    assert code("gemini-er-points", value) == expected


# Matrices as NumPy prints them


def printed_plan(text: str) -> Plan:
    return admit({"format": "libero-osc_pose-1.4", "text": text}, contracts={}, default_rate=20.0)


def test_a_matrix_that_numpy_printed_is_read_with_a_warning() -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, (30, 7))
    with np.printoptions(precision=17, threshold=10_000):
        plan = printed_plan(f"The actions:\n{rows}\n")
    assert isinstance(plan.actions, np.ndarray)
    assert np.array_equal(plan.actions, rows)
    assert any("printed by NumPy" in warning for warning in plan.warnings)


def test_a_matrix_that_was_printed_with_dots_is_cut() -> None:
    with pytest.raises(Refusal) as caught:
        printed_plan(str(np.zeros((2000, 7))))
    assert caught.value.code == "truncated"
    assert "Print all of them" in caught.value.reason


def test_two_printed_matrices_are_two_plans() -> None:
    with pytest.raises(Refusal) as caught:
        printed_plan(f"{np.zeros((3, 7))}\n{np.ones((3, 7))}")
    assert caught.value.code == "ambiguous"
