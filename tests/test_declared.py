"""Which contract a plan's line means: the task's own, a preset, a changed one, or one written out; never a guess."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldverify as wv
from worldverify.action import ActionSpec
from worldverify.declared import contract_of, overrides_of
from worldverify.presets import AMBIGUOUS, names, parameters, preset
from worldverify.refusal import CODES, Refusal
from worldverify.statistics import APPLIED, with_statistics

TASK = wv.load("ReachSafe-v0")
OWN = TASK.contracts
STATISTICS = {"q01": [-1.0] * 7, "q99": [1.0] * 7}


def declared(format: object, changes: object = None) -> tuple[ActionSpec, bool]:
    return contract_of(format, changes, OWN, TASK.name)


def refused(format: object, changes: object = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        declared(format, changes)
    assert caught.value.cause == "plan"
    return caught.value


@pytest.mark.parametrize("name", list(OWN))
def test_a_format_of_the_task_is_its_own(name: str) -> None:
    assert declared(name) == (OWN[name], True)
    assert declared(OWN[name]) == (OWN[name], True)
    assert declared(name, {}) == (OWN[name], True)


@pytest.mark.parametrize("name", [name for name in names() if not preset(name).needs_statistics])
def test_a_preset_is_itself_and_not_the_tasks(name: str) -> None:
    assert declared(name) == (preset(name), False)


@pytest.mark.parametrize("name", list(AMBIGUOUS))
def test_a_name_that_could_mean_several_is_refused_with_all_of_them(name: str) -> None:
    refusal = refused(name)
    assert refusal.code == "unknown_format"
    assert all(meant in refusal.reason for meant in AMBIGUOUS[name])


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    assert "Did you mean 'openpi-aloha'" in refused("openpi_aloha").reason
    assert "Did you mean 'joint_position'" in refused("joint_positions").reason


@pytest.mark.parametrize("format", [None, 5, ["fetch-v4"], {"name": "fetch-v4"}, True])
def test_a_format_is_a_name(format: object) -> None:
    assert refused(format).code == "wrong_type"


@pytest.mark.parametrize("name", [name for name in names() if preset(name).needs_statistics])
def test_statistics_are_never_guessed(name: str) -> None:
    refusal = refused(name)
    assert refusal.code == "missing_statistics"
    for way in ('"contract": {"statistics": ...}', "--stats", APPLIED):
        assert way in refusal.reason
    assert declared(name, {"statistics": APPLIED})[0] == with_statistics(preset(name), APPLIED)


def test_fields_of_a_preset_are_changed_by_name() -> None:
    spec, own = declared("openvla-oft-libero", {"statistics": STATISTICS, "rate_hz": 10, "chunk": 4, "execute": 4})
    assert (spec.rate_hz, spec.chunk, spec.normalisation.first, own) == (10, 4, (-1.0,) * 7, False)


def test_fields_of_a_format_of_the_task_are_changed_by_name() -> None:
    spec, own = declared("joint_position", {"position_unit": "deg"})
    assert spec == replace(OWN["joint_position"], position_unit="deg")
    assert not own


def test_what_a_preset_can_be_told_besides_its_fields_is_told_by_name() -> None:
    assert declared("voxel-bins", {"lower": [0, 0, 0], "upper": [1, 1, 1]})[0] == preset(
        "voxel-bins", lower=(0, 0, 0), upper=(1, 1, 1)
    )
    assert declared("gemini-er-points", {"use": "path", "camera": "front"})[0].frame == "camera:front"


@pytest.mark.parametrize(
    ("format", "changes"),
    [
        ("voxel-bins", {"lower": ["a", "b", "c"]}),
        ("voxel-bins", {"lower": [0, 0]}),
        ("voxel-bins", {"lower": 5}),
        ("voxel-bins", {"lower": [10**400, 0, 0]}),
        ("gemini-er-points", {"use": "throw"}),
        ("gemini-er-points", {"height": "high"}),
        ("gemini-er-points", {"camera": ""}),
        ("openvla-oft-aloha", {"normalisation": {"kind": "none"}}),
        ("gr00t-eef-relative", {"chunk": 2.5}),
        ("gr00t-eef-relative", {"chunk": True}),
        ("gr00t-eef-relative", {"representation": "absolute"}),
    ],
)
def test_what_a_preset_cannot_be_told_is_refused_in_a_sentence(format: str, changes: Any) -> None:
    refusal = refused(format, changes)
    assert refusal.code == "bad_contract"
    assert next(iter(changes)) in refusal.reason
    assert refusal.reason.endswith(".")
    assert len(refusal.reason) < 1000


@pytest.mark.parametrize("name", names())
def test_a_field_of_the_contract_means_the_field_also_where_a_preset_has_an_argument_of_that_name(name: str) -> None:
    own = {field.name for field in fields(ActionSpec)}
    spec = with_statistics(preset(name), APPLIED) if preset(name).needs_statistics else preset(name)
    for key in own & set(parameters(name)):
        value = spec.to_json()[key]
        assert declared(name, {**overrides_of(spec), key: value})[0] == spec


def test_a_rate_of_two_arms_is_that_of_each() -> None:
    spec, _ = declared("openpi-aloha", {"rate_hz": 25.0})
    assert [spec.rate_hz, *(arm.rate_hz for _, arm in spec.arms)] == [25.0] * 3


# Written out


def written(**changes: Any) -> dict[str, Any]:
    base = replace(preset("openvla-oft-libero"), name="mine", **changes)
    found: dict[str, Any] = json.loads(json.dumps(base.to_json()))
    return found


def test_a_contract_may_be_written_out_under_a_name_of_its_own() -> None:
    done = with_statistics(preset("openvla-oft-libero"), STATISTICS)
    whole = written(normalisation=done.normalisation)
    assert declared("mine", whole) == (replace(done, name="mine"), False)
    assert overrides_of(replace(done, name="mine")) == whole


def test_a_contract_written_out_may_leave_its_statistics_to_their_own_key() -> None:
    spec, _ = declared("mine", {**written(), "statistics": STATISTICS})
    assert spec.normalisation.first == (-1.0,) * 7
    assert refused("mine", written()).code == "missing_statistics"


def test_a_contract_written_out_has_every_field_and_the_name_of_the_format() -> None:
    whole = written()
    for key in ("gripper", "frame"):
        part = {name: value for name, value in whole.items() if name != key}
        assert f"lacks the field '{key}'" in refused("mine", part).reason
    assert "is named 'mine', but the plan's format is 'yours'" in refused("yours", whole).reason
    assert refused("mine", {"rate_hz": 5}).code == "unknown_format"


def test_a_changed_contract_keeps_its_name() -> None:
    assert "keeps its name, 'fetch-v4'" in refused("fetch-v4", {"name": "mine"}).reason


@pytest.mark.parametrize("changes", [5, "rate_hz", [["rate_hz", 5]], True])
def test_changes_are_an_object(changes: object) -> None:
    refusal = refused("fetch-v4", changes)
    assert refusal.code == "wrong_type"
    assert "an object of contract fields" in refusal.reason


# What a line must hold


def test_a_preset_says_nothing_that_its_line_repeats() -> None:
    assert overrides_of(preset("fetch-v4")) == {}
    assert overrides_of(preset("fetch-v4", rate_hz=10.0)) == {"rate_hz": 10.0}


def test_a_plan_that_names_no_contract_of_a_declared_one_is_read_under_it() -> None:
    for format in ("openpi-libero", preset("openpi-libero"), preset("openpi-libero", rate_hz=10.0)):
        (verdict,) = wv.verify(TASK, [{"actions": [[0.0] * 7]}], format=format)
        assert verdict.request["plan"]["format"] == "openpi-libero"
        rate = 20.0 if isinstance(format, str) else format.rate_hz
        assert verdict.request["plan"]["rate_hz"] == rate


def test_a_format_without_a_rate_asks_for_it() -> None:
    (verdict,) = wv.verify(TASK, [{"actions": [[0.0] * 6 + [1.0]]}], format="rlds-eef-delta")
    assert verdict.code == "missing_key"
    assert verdict.reason.startswith("rlds-eef-delta has no rate of its own")
    (verdict,) = wv.verify(TASK, [{"actions": [[0.0] * 6 + [1.0]], "rate_hz": 5}], format="rlds-eef-delta")
    assert verdict.code is None


@pytest.mark.parametrize(
    ("rate", "code"), [(0, "wrong_rate"), (-5, "wrong_rate"), (1e9, "wrong_rate"), ("5", "wrong_type")]
)
def test_a_rate_that_no_robot_has_is_refused(rate: object, code: str) -> None:
    line = {"format": "rlds-eef-delta", "rate_hz": rate, "actions": [[0.0] * 6 + [1.0]]}
    (verdict,) = wv.verify(TASK, [line])
    assert verdict.code == code


def test_a_rate_that_is_not_the_contracts_is_refused_with_it() -> None:
    (verdict,) = wv.verify(TASK, [{"format": "fetch-v4", "rate_hz": 20, "actions": [[0.0] * 4]}])
    assert verdict.code == "wrong_rate"
    assert "fetch-v4 takes 25" in verdict.reason


# Whatever stands in a line


LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from([10**400, -1])
VALUES = st.recursive(
    LEAVES,
    lambda x: (
        st.lists(x, max_size=8) | st.dictionaries(st.sampled_from(["kind", "open", "low", "first"]), x, max_size=4)
    ),
    max_leaves=10,
)
CHANGEABLE = (*(field.name for field in fields(ActionSpec)), "statistics", "lower", "upper", "camera", "use", "height")


def _mutated(value: Any, draw: st.DataObject) -> Any:
    """A JSON value with one of its inner values replaced."""
    if isinstance(value, dict | list) and value and draw.draw(st.integers(0, 3)):
        key = draw.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        copy: Any = value.copy()
        copy[key] = _mutated(value[key], draw)
        return copy
    return draw.draw(VALUES)


@given(st.sampled_from(names()), st.sampled_from(CHANGEABLE), st.data())
def test_any_change_of_a_contract_is_a_contract_or_a_refusal(name: str, field: str, data: st.DataObject) -> None:
    before = preset(name).to_json().get(field)
    try:
        spec, _ = declared(name, {field: _mutated(before, data), "statistics": APPLIED})
    except Refusal as refusal:
        assert len(refusal.reason) < 2_000
    else:
        assert ActionSpec.from_json(json.loads(json.dumps(spec.to_json(), allow_nan=False))) == spec
        if spec.layout and spec.syntax in ("rows", "streams"):
            line = {"format": spec, "rate_hz": spec.rate_hz or 10.0, "actions": [[0.5] * min(spec.width, 50)]}
            (verdict,) = wv.verify(TASK, [line])
            assert verdict.code in CODES or verdict.status in ("PASS", "FAIL")
            assert verdict.cause in ("plan", None)
