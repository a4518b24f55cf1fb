"""A plan is admitted against its contract, or refused with a code and a sentence that helps."""

import copy
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldverify.action import SKILLS, ActionSpec
from worldverify.contracts import OPENING, ctrl, ee_waypoints, joint_position, skills
from worldverify.plan import Malformed, Plan, admit, plan_id
from worldverify.plansfile import read_plans
from worldverify.refusal import CODES, Refusal
from worldverify.waypoint import Waypoint

JOINTS = [f"joint{index}" for index in range(1, 8)]
ARM = {
    "joint_position": joint_position(JOINTS, 25.0),
    "ee_waypoints": ee_waypoints(),
    "skills": skills(list(SKILLS)),
}
RAW = {"ctrl": ctrl(2, 20.0)}

ROW = [0.0, -0.5, 0.0, -2.0, 0.0, 1.5, 0.7, 1.0]
POINT = {"position": [0.4, 0.0, 0.3], "orientation": [0, 1, 0, 0], "gripper": 1, "time": 0.5}


def admitted(raw: object, contracts: dict[str, ActionSpec] = ARM, **options: str) -> Plan:
    return admit(raw, contracts=contracts, default_rate=25.0, task="PickCube-v0", **options)


def table_of(plan: Plan) -> np.ndarray:
    assert isinstance(plan.actions, np.ndarray)
    return plan.actions


def refusal_of(raw: object, contracts: dict[str, ActionSpec] = ARM) -> Refusal:
    with pytest.raises(Refusal) as caught:
        admitted(raw, contracts)
    assert caught.value.cause == "plan"
    assert caught.value.reason.endswith(".")
    return caught.value


def test_text_with_actions_is_what_the_task_declares() -> None:
    plan = admitted(json.dumps({"actions": [ROW, ROW]}))
    assert plan.format == "joint_position"
    assert plan.rate_hz == 25.0
    assert np.array_equal(table_of(plan), [ROW, ROW])
    assert admitted('{"actions": [[1, 2]]}', RAW) == Plan(None, "ctrl", 20.0, np.array([[1.0, 2.0]]))


def test_waypoints_may_leave_out_all_but_the_position() -> None:
    plan = admitted({"waypoints": [{"position": [0.4, 0, 0.3]}, {"position": [0.4, 0, 0.2], "gripper": 0.5}]})
    assert plan.actions == (Waypoint((0.4, 0.0, 0.3)), Waypoint((0.4, 0.0, 0.2), gripper=0.5))
    assert plan.rate_hz is None


def test_skills_are_read_with_their_arguments() -> None:
    calls: list[dict[str, object]] = [
        {"skill": "pick", "object": "cube"},
        {"skill": "place", "target": "basket"},
        {"skill": "place", "target": [0.4, 0, 0.1]},
        {"skill": "move_to", "position": [0.4, 0, 0.3], "orientation": [0, 1, 0, 0]},
        {"skill": "open_gripper"},
        {"skill": "close_gripper"},
        {"skill": "lift"},
        {"skill": "lift", "height": 0.2},
        {"skill": "wait", "seconds": 1},
        {"skill": "home"},
    ]
    plan = admitted({"skills": calls})
    assert plan.to_json()["actions"] == calls
    assert {str(call["skill"]) for call in calls} == set(SKILLS)


def test_every_way_to_hand_in_the_same_actions_gives_the_same_plan() -> None:
    table = np.array([ROW, ROW])
    line = {"id": "a", "format": "joint_position", "rate_hz": 25, "actions": [ROW, ROW]}
    plan = admitted(table)
    raws: list[object] = [
        {"actions": [ROW, ROW]},
        {"actions": table},
        {"id": "a", "text": json.dumps({"actions": [ROW, ROW]})},
        json.dumps({"actions": [ROW, ROW]}),
        json.dumps({"rate_hz": 25, "actions": [ROW, ROW]}).encode(),
        json.dumps(line),
        line,
        plan,
    ]
    for raw in raws:
        assert admitted(raw) == plan
    assert hash(admitted(line)) == hash(plan)


def test_an_array_of_another_float_type_is_read_by_value() -> None:
    table = np.array([ROW], dtype=np.float32)
    assert np.array_equal(table_of(admitted(table)), table.astype(np.float64))
    assert np.array_equal(table_of(admitted(np.array([[1, 2]]), RAW)), [[1.0, 2.0]])


def test_plans_differ_by_format_rate_and_actions_only() -> None:
    table = np.array([[1.0, 2.0]])
    plan = Plan("a", "ctrl", 20.0, table)
    assert plan == Plan("b", "ctrl", 20.0, table, ("Something was tolerated.",))
    assert plan != Plan("a", "ctrl", 25.0, table)
    assert plan != Plan("a", "joint_position", 20.0, table)
    assert plan != Plan("a", "ctrl", 20.0, table + 1)
    assert plan != "plan"


def test_a_plan_cannot_be_changed_also_after_a_copy() -> None:
    table = np.array([[1.0, 2.0]])
    plan = Plan(None, "ctrl", 20.0, table)
    table[0, 0] = 9.0
    for same in (plan, pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan)):
        assert isinstance(same.actions, np.ndarray)
        assert same.actions[0, 0] == 1.0
        with pytest.raises(ValueError, match="read-only"):
            same.actions[0, 0] = 2.0
    called = admitted({"skills": [{"skill": "home"}]})
    for same in (called, pickle.loads(pickle.dumps(called))):
        assert same == called
        with pytest.raises(TypeError):
            same.actions[0]["skill"] = "pick"  # type: ignore[index]


def test_the_name_of_a_plan_is_its_own_before_the_given_one() -> None:
    assert admitted({"id": "a", "actions": [ROW]}, id="3").id == "a"
    assert admitted({"actions": [ROW]}, id="3").id == "3"
    assert admitted({"id": 7, "text": json.dumps({"actions": [ROW]})}).id == "7"


@pytest.mark.parametrize("raw", [{"id": "a"}, {"id": "a", "text": 3}, Malformed("a", "empty", "Nothing.")])
def test_a_candidate_that_is_refused_still_has_its_name(raw: object) -> None:
    assert plan_id(raw) == "a"
    refusal_of(raw)


@pytest.mark.parametrize("raw", ["text", None, {"id": [1]}, {"id": "\ud800"}, {"id": True}, 3.0])
def test_a_candidate_without_a_name_has_none(raw: object) -> None:
    assert plan_id(raw) is None


def test_a_gripper_just_outside_is_clipped_with_a_warning() -> None:
    plan = admitted({"actions": [[*ROW[:7], 1.0078], [*ROW[:7], -0.02], ROW]})
    assert isinstance(plan.actions, np.ndarray)
    assert plan.actions[:, 7].tolist() == [1.0, 0.0, 1.0]
    assert plan.warnings == (
        "2 gripper values just outside of closed to open were clipped, the first at actions[0][7].",
    )
    point = admitted({"waypoints": [{**POINT, "gripper": 1.05}]})
    assert isinstance(point.actions[0], Waypoint)
    assert point.actions[0].gripper == 1.0


def test_an_orientation_nearly_of_norm_one_is_scaled_with_a_warning() -> None:
    plan = admitted({"waypoints": [{**POINT, "orientation": [0.7071, 0.7071, 0, 0]}]})
    assert isinstance(plan.actions[0], Waypoint)
    assert plan.actions[0].orientation is not None
    assert math.hypot(*plan.actions[0].orientation) == pytest.approx(1.0, abs=1e-15)
    assert "scaled to norm 1" in plan.warnings[0]


def test_warnings_of_the_text_and_of_the_plan_are_kept_together() -> None:
    plan = admitted("```json\n{'actions': [[0, -0.5, 0, -2, 0, 1.5, 0.7, 1.01]]}\n```")
    assert [sentence.split()[0] for sentence in plan.warnings] == ["Single", "Code", "1"]
    assert admitted(plan).warnings == plan.warnings


def test_a_rate_of_waypoints_is_ignored_with_a_warning() -> None:
    plan = admitted({"rate_hz": 20, "waypoints": [POINT]})
    assert plan.rate_hz is None
    assert "rate_hz" in plan.warnings[0]


REFUSED: dict[str, tuple[object, str, str]] = {
    "too few values": (
        {"actions": [ROW, ROW[:6]]},
        "wrong_width",
        "actions[1] has 6 values; PickCube-v0 wants 8: joint1",
    ),
    "too many values": ({"actions": [[*ROW, 0]]}, "wrong_width", "actions[0] has 9 values"),
    "no action": ({"actions": []}, "empty", "at least one action"),
    "an empty action": ({"actions": [[]]}, "wrong_width", "actions[0] has 0 values"),
    "no list of lists": ({"actions": ROW}, "wrong_type", "actions[0] is the number 0.0"),
    "an object of actions": ({"actions": {"step_1": ROW}}, "wrong_type", "the key 'step_1'"),
    "a number as a string": ({"actions": [[*ROW[:7], "1"]]}, "wrong_type", "actions[0][7] is the string '1'"),
    "an action as a string": ({"actions": ["[63, 63, 17]"]}, "wrong_type", "the string '[63, 63, 17]'"),
    "a boolean": ({"actions": [[*ROW[:7], True]]}, "wrong_type", "actions[0][7] is the boolean true"),
    "null": ({"actions": [[*ROW[:7], None]]}, "wrong_type", "actions[0][7] is null"),
    "null for all": ({"actions": None}, "wrong_type", "actions is null"),
    "NaN": ({"actions": [[math.nan, *ROW[1:]]]}, "not_finite", "actions[0][0] is NaN"),
    "infinity": ({"actions": [[-math.inf, *ROW[1:]]]}, "not_finite", "finite"),
    "a whole number beyond any float": ({"actions": [[10**400, *ROW[1:]]]}, "not_finite", "too large"),
    "a huge number": ({"actions": [[1e300, *ROW[1:]]]}, "out_of_range", "beyond 1e+06"),
    "an unknown key": ({"actions": [ROW], "reasoning": "easy"}, "unknown_key", "'reasoning'"),
    "a key that is no string": ({"actions": [ROW], 3: 4}, "unknown_key", "3"),
    "two keys": ({"actions": [ROW], "skills": []}, "ambiguous", "exactly one"),
    "no key": ({"action": [ROW]}, "unknown_format", 'PickCube-v0 reads {"actions": [[joint1, ..., gripper], ...]}'),
    "too many actions": ({"actions": [ROW] * 10_001}, "too_long", "10,000"),
    "an open gripper": ({"actions": [[*ROW[:7], 1.06]]}, "out_of_range", "0 closed to 1 open"),
    "another rate": ({"rate_hz": 50, "actions": [ROW]}, "wrong_rate", "takes 25"),
    "a rate as a string": ({"rate_hz": "25", "actions": [ROW]}, "wrong_type", "rate_hz"),
    "a null rate": ({"rate_hz": None, "actions": [ROW]}, "wrong_type", "null"),
    "a rate that is no number": ({"rate_hz": math.nan, "actions": [ROW]}, "not_finite", "25"),
    "a format without a rate": ({"format": "joint_position", "actions": [ROW]}, "missing_key", "rate_hz"),
    "an unknown format": (
        {"format": "joint_positions", "rate_hz": 25, "actions": [ROW]},
        "unknown_format",
        "Did you mean 'joint_position'",
    ),
    "a format of another task": (
        {"format": "ctrl", "rate_hz": 25, "actions": [ROW]},
        "unknown_format",
        "joint_position",
    ),
    "a format that is no string": ({"format": 3, "rate_hz": 25, "actions": [ROW]}, "wrong_type", "format"),
    "a format without actions": ({"format": "skills"}, "missing_key", "'actions'"),
    "a format with the actions of another": ({"format": "skills", "waypoints": [POINT]}, "missing_key", "'actions'"),
    "a text that is none": ({"text": 3}, "wrong_type", "the number 3"),
    "a text and more": ({"text": "x", "actions": [ROW]}, "unknown_key", "'actions'"),
    "a name that is none": ({"id": [1], "actions": [ROW]}, "wrong_type", "id"),
    "half a surrogate pair as name": ({"id": "\ud800", "actions": [ROW]}, "malformed", "Unicode"),
    "nothing": (None, "wrong_type", "null"),
    "a list": ([ROW], "wrong_type", "a list of 1 list"),
    "a number": (3, "wrong_type", "the number 3"),
    "an empty text": ("", "empty", "empty"),
    "1e400": ('{"actions": [[1e400, 0, 0, 0, 0, 0, 0, 0]]}', "not_finite", "actions[0][0]"),
    # waypoints
    "no position": ({"waypoints": [{"pos": [0, 0, 0]}]}, "unknown_key", "Did you mean 'position'"),
    "only a gripper": ({"waypoints": [{"gripper": 1}]}, "missing_key", "position"),
    "a flat position": ({"waypoints": [{"position": [0, 0]}]}, "wrong_width", "a position in m is [x, y, z]"),
    "a position as a string": ({"waypoints": [{"position": "cube"}]}, "wrong_type", "the string 'cube'"),
    "a position as an object": ({"waypoints": [{"position": {"x": 0}}]}, "wrong_type", "[x, y, z]"),
    "a waypoint as a list": ({"waypoints": [[0, 0, 0]]}, "wrong_type", "position, orientation, gripper, time"),
    "Euler angles": ({"waypoints": [{**POINT, "orientation": [0, 0, 0]}]}, "wrong_width", "[w, x, y, z]"),
    "a long quaternion": ({"waypoints": [{**POINT, "orientation": [1, 1, 0, 0]}]}, "bad_quaternion", "norm 1.41421"),
    "a quaternion of zeros": ({"waypoints": [{**POINT, "orientation": [0, 0, 0, 0]}]}, "bad_quaternion", "norm 0"),
    "a null orientation": ({"waypoints": [{**POINT, "orientation": None}]}, "wrong_type", "null"),
    "an open or closed gripper": ({"waypoints": [{**POINT, "gripper": "open"}]}, "wrong_type", "'open'"),
    "a gripper of minus one": ({"waypoints": [{**POINT, "gripper": -1}]}, "out_of_range", "0 closed to 1 open"),
    "some times": ({"waypoints": [POINT, {"position": [0, 0, 0]}]}, "bad_time", "waypoints[1] lacks"),
    "equal times": ({"waypoints": [POINT, POINT]}, "bad_time", "more than the 0.5 s"),
    "a negative time": ({"waypoints": [{**POINT, "time": -1}]}, "bad_time", "0 or more"),
    "an infinite time": ({"waypoints": [{**POINT, "time": math.inf}]}, "not_finite", "waypoints[0].time"),
    # skills
    "a skill as a string": ({"skills": ["pick"]}, "wrong_type", "the string 'pick'"),
    "no skill": ({"skills": [{"object": "cube"}]}, "missing_key", "pick, place"),
    "an unknown skill": ({"skills": [{"skill": "grasp"}]}, "unknown_skill", "pick, place"),
    "a misspelt skill": ({"skills": [{"skill": "Pick"}]}, "unknown_skill", "Did you mean 'pick'"),
    "a skill that is no name": ({"skills": [{"skill": 1}]}, "wrong_type", "skills[0].skill"),
    "no argument": ({"skills": [{"skill": "pick"}]}, "missing_key", 'lacks "object"'),
    "an unknown argument": ({"skills": [{"skill": "pick", "object": "cube", "force": 3}]}, "unknown_key", "'force'"),
    "an object that is no name": ({"skills": [{"skill": "pick", "object": 3}]}, "wrong_type", "name of a body or site"),
    "an empty name": ({"skills": [{"skill": "pick", "object": ""}]}, "wrong_type", "name of a body or site"),
    "half a surrogate pair": ({"skills": [{"skill": "pick", "object": "\ud800"}]}, "malformed", "Unicode"),
    "a wait of no time": ({"skills": [{"skill": "wait", "seconds": 0}]}, "out_of_range", "more than 0"),
    "a target that is neither": ({"skills": [{"skill": "place", "target": None}]}, "wrong_type", "null"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_plan_is_refused_with_a_sentence_that_helps(name: str) -> None:
    raw, code, fragment = REFUSED[name]
    refusal = refusal_of(raw)
    assert (refusal.code, fragment in refusal.reason) == (code, True), refusal.reason


@pytest.mark.parametrize(
    "array",
    [
        np.array([ROW], dtype=object),
        np.array([ROW], dtype=complex),
        np.array([ROW], dtype=bool),
        np.array([ROW], dtype=str),
        np.ma.masked_array([ROW], mask=False),
    ],
)
def test_an_array_that_does_not_hold_plain_numbers_is_refused(array: np.ndarray) -> None:
    assert refusal_of(array).code == "wrong_type"


@pytest.mark.parametrize("shape", [(), (8,), (3, 7), (1, 1, 8)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    refusal = refusal_of(np.zeros(shape))
    assert refusal.code == "wrong_width"
    assert "(T, width) with width 8" in refusal.reason


@pytest.mark.parametrize(("value", "code"), [(np.nan, "not_finite"), (np.inf, "not_finite"), (-1e7, "out_of_range")])
def test_an_array_with_a_bad_number_is_refused_at_its_place(value: float, code: str) -> None:
    table = np.array([ROW, ROW])
    table[1, 2] = value
    refusal = refusal_of(table)
    assert refusal.code == code
    assert "actions[1][2]" in refusal.reason


def test_an_array_without_rows_or_with_too_many_is_refused() -> None:
    assert refusal_of(np.zeros((0, 8))).code == "empty"
    assert refusal_of(np.zeros((10_001, 8))).code == "too_long"


def test_a_plan_is_checked_again_against_the_contract_of_a_task() -> None:
    assert refusal_of(Plan(None, "ctrl", 25.0, np.array([ROW]))).code == "unknown_format"
    assert refusal_of(Plan(None, "joint_position", 25.0, np.array([[np.nan] * 8]))).code == "not_finite"
    assert refusal_of(Plan(None, "joint_position", None, np.array([ROW]))).code == "missing_key"
    assert refusal_of(Plan(None, "joint_position", 50.0, np.array([ROW]))).code == "wrong_rate"


def test_a_format_that_the_task_does_not_read_is_refused() -> None:
    refusal = refusal_of({"skills": [{"skill": "home"}]}, RAW)
    assert refusal.code == "unknown_format"
    assert 'reads {"actions": [[ctrl[0], ctrl[1]], ...]}' in refusal.reason


def test_a_skill_that_the_task_does_not_have_is_refused() -> None:
    assert refusal_of({"skills": [{"skill": "home"}]}, {"skills": skills(["pick", "place"])}).code == "unknown_skill"


def test_what_could_not_be_read_keeps_its_code_and_sentence() -> None:
    refusal = refusal_of(Malformed("a", "too_deep", "Too deep."))
    assert (refusal.code, refusal.reason) == ("too_deep", "Too deep.")


numbers = st.floats(-1e6, 1e6, allow_nan=False)
units = st.floats(0.0, 1.0)
rows = st.tuples(*[numbers] * 7, units).map(list)
quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1).map(
    lambda q: [part / math.hypot(*q) for part in q]
)  # fmt: skip
points = st.fixed_dictionaries(
    {"position": st.lists(numbers, min_size=3, max_size=3)},
    optional={"orientation": quaternions, "gripper": units},
)
names = st.text(st.characters(codec="utf-8"), min_size=1)
calls = st.one_of(
    st.fixed_dictionaries({"skill": st.just("pick"), "object": names}),
    st.fixed_dictionaries({"skill": st.just("wait"), "seconds": st.floats(1e-3, 10)}),
    st.fixed_dictionaries({"skill": st.just("place"), "target": names | st.lists(numbers, min_size=3, max_size=3)}),
)
objects = st.one_of(
    st.fixed_dictionaries({"actions": st.lists(rows, min_size=1, max_size=4)}),
    st.fixed_dictionaries({"waypoints": st.lists(points, min_size=1, max_size=4)}),
    st.fixed_dictionaries({"skills": st.lists(calls, min_size=1, max_size=4)}),
)


@given(objects)
def test_a_plan_written_to_a_line_and_read_back_is_the_same_plan(value: dict[str, object]) -> None:
    plan = admitted(value)
    line = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    again = admitted(line)
    assert again == plan
    assert again.to_json() == plan.to_json()
    assert admitted(plan) == plan
    assert admitted(json.dumps(line)) == plan


@given(objects, st.data())
@settings(max_examples=200)
def test_a_text_with_a_few_characters_changed_is_a_plan_or_a_refusal(
    value: dict[str, object], data: st.DataObject
) -> None:
    text = json.dumps(value)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 3)))
        text = text[:start] + data.draw(st.sampled_from([*'{}[]",:-.e0 \\', "NaN", "1e999", "null", ""])) + text[end:]
    assert_plan_or_refusal(text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(objects, anything, st.data())
@settings(max_examples=200)
def test_an_object_with_any_value_put_into_it_is_a_plan_or_a_refusal(
    value: dict[str, object], intruder: object, data: st.DataObject
) -> None:
    holder: object = value
    while isinstance(holder, dict | list) and holder:
        key = data.draw(
            st.sampled_from(sorted(holder)) if isinstance(holder, dict) else st.integers(0, len(holder) - 1)
        )
        if data.draw(st.booleans()) or not isinstance(holder[key], dict | list):
            holder[key] = intruder
            break
        holder = holder[key]
    assert_plan_or_refusal(value)


@given(anything)
def test_any_python_value_is_a_plan_or_a_refusal(value: object) -> None:
    for raw in (
        value,
        {"actions": value},
        {"waypoints": value},
        {"skills": value},
        {"text": value},
        {"format": value},
    ):
        assert_plan_or_refusal(raw)


def assert_plan_or_refusal(raw: object) -> None:
    try:
        plan = admitted(raw)
    except Refusal as refusal:
        assert refusal.code in CODES
        refusal.reason.encode("utf-8")
        assert len(refusal.reason) < 2_000
    else:
        assert len(plan.actions) > 0
        if isinstance(plan.actions, np.ndarray):
            assert plan.actions.shape[1] == 8
            assert np.isfinite(plan.actions).all()
        json.dumps(plan.to_json(), allow_nan=False)


@pytest.mark.parametrize("spec", [*ARM.values(), *RAW.values()], ids=lambda spec: spec.name)
def test_a_contract_written_as_json_and_read_back_is_the_same(spec: ActionSpec) -> None:
    assert ActionSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("field", list(ee_waypoints().to_json()))
def test_no_field_of_a_contract_has_a_default(field: str) -> None:
    value = ee_waypoints().to_json()
    del value[field]
    with pytest.raises(ValueError, match=f"lacks the field '{field}'"):
        ActionSpec.from_json(value)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("rotation", "quat", "one of none, yaw, rpy"),
        ("space", "tool", "one of ctrl, joint, eef, mixed, skill, image"),
        ("space", ["eef"], "a string"),
        ("representation", [["position", "delta"], ["rotation", "absolute"]], "one of absolute"),
        ("rate_hz", 20.0, "None for waypoints"),
        ("horizon", 0, "between 1"),
        ("horizon", 10.5, "a whole number"),
        ("gripper", {**OPENING._asdict(), "closed": 1.0}, "two different numbers"),
        ("gripper", [1.0, 1.0], "an object with open, closed"),
        ("gripper", None, "exactly if the layout has a gripper"),
        ("layout", [["position", 3], ["position", 4], ["gripper", 1]], "unique"),
        ("layout", [["position"]], "pairs"),
        ("skills", ["pick"], "exactly if space is skill"),
        ("skils", [], "Did you mean 'skills'"),
    ],
)
def test_a_contract_with_a_wrong_field_is_refused_by_name(field: str, value: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ActionSpec.from_json({**ee_waypoints().to_json(), field: value})


def test_the_columns_of_a_contract_have_names() -> None:
    assert ARM["joint_position"].columns == (*JOINTS, "gripper")
    assert RAW["ctrl"].columns == ("ctrl[0]", "ctrl[1]")
    assert ARM["ee_waypoints"].width == 8


def test_a_plans_file_holds_one_candidate_a_line(tmp_path: Path) -> None:
    path = tmp_path / "plans.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a", "text": "hello"}\r\n'
        b"\n"
        b'{"actions": [[1, 2]]}\n'
        b'"a text\\u2028of two lines"\n'
        b'{"id": "d", "actions": [[1, 2]\n'
        b"[1, 2]\n"
        b'{"id": "\xff"}\n'
        b'{"id": "a", "id": "b"}\n' + b"[" * 100_000 + b"\n" + b'{"id": "z", "actions": [[NaN, 1]]}'
    )
    found = read_plans(path)
    assert found[:3] == [
        {"id": "a", "text": "hello"},
        {"id": "plans.jsonl:3", "actions": [[1, 2]]},
        {"id": "plans.jsonl:4", "text": "a text\u2028of two lines"},
    ]
    bad = [item for item in found[3:8] if isinstance(item, Malformed)]
    assert [(item.id, item.code) for item in bad] == [
        ("plans.jsonl:5", "truncated"),
        ("plans.jsonl:6", "unknown_format"),
        ("plans.jsonl:7", "malformed"),
        ("plans.jsonl:8", "malformed"),
        ("plans.jsonl:9", "too_deep"),
    ]
    assert all(item.reason.startswith(str(item.id)) for item in bad)
    assert refusal_of(found[8], RAW).code == "not_finite"


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.json", "a.csv", "a", "A.TXT"])
def test_any_other_file_is_one_text_named_after_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b'\xef\xbb\xbf{"actions": [[1, 2]]}\n')
    assert read_plans(tmp_path / name) == [{"id": name, "text": '{"actions": [[1, 2]]}\n'}]


def test_a_text_that_is_not_utf8_is_kept_as_malformed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (found,) = read_plans(tmp_path / "a.txt")
    assert refusal_of(found).code == "malformed"


def test_an_array_file_is_refused_with_the_line_that_would_work(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 7), dtype=np.float32))
    (found,) = read_plans(tmp_path / "a.npy")
    refusal = refusal_of(found)
    assert refusal.code == "unknown_format"
    assert "shape (3, 7) and type float32" in refusal.reason
    assert '"rate_hz"' in refusal.reason


@pytest.mark.parametrize("data", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff{"])
def test_a_broken_array_file_is_kept_as_malformed(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    (found,) = read_plans(tmp_path / "a.npy")
    assert refusal_of(found).code == "malformed"


def test_an_array_file_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (found,) = read_plans(tmp_path / "a.npy")
    assert refusal_of(found).code == "malformed"


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.npy"])
def test_a_missing_file_is_the_callers_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=name):
        read_plans(tmp_path / name)


def test_an_empty_plans_file_holds_no_candidate(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n \n")
    assert read_plans(tmp_path / "a.jsonl") == []
