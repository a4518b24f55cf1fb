"""The contract of a plan: nothing is missing, nothing contradicts itself, and all of it is part of the question."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldverify as wv
from worldverify.action import PLAIN, ActionSpec, Controller, Gripper, Normalisation, Range, Settle, of_arms
from worldverify.cli import main
from worldverify.plan import Plan, admit
from worldverify.presets import names, preset
from worldverify.refusal import Refusal
from worldverify.request import request_of
from worldverify.statistics import APPLIED, with_statistics

LIBERO = "libero-osc_pose-1.4"
STEP = preset("rlds-eef-delta")  # metres, roll pitch yaw, in the axes of the base
OPEN = Gripper(open=1.0, closed=0.0, low=0.0, high=1.0, mode="absolute", threshold=None, step=None, hold_steps=0)
SIX = (True,) * 6 + (False,)


def scale(**changes: Any) -> Normalisation:
    """Statistics of seven numbers."""
    whole = Normalisation("q01_q99", "numbers", (-1.0,) * 7, (1.0,) * 7, 0.0, SIX, -1.0, 1.0)
    return whole._replace(**changes)


def position(**changes: Any) -> Range:
    return Range("position", (-1.0,) * 3, (1.0,) * 3, (-0.1,) * 3, (0.1,) * 3)._replace(**changes)


# Nothing is missing


@pytest.mark.parametrize("field", list(preset(LIBERO).to_json()))
def test_a_missing_field_is_named_with_what_it_could_be(field: str) -> None:
    written = preset(LIBERO).to_json()
    value = written.pop(field)
    with pytest.raises(ValueError, match=f"lacks the field '{field}'.*No field has a default") as error:
        ActionSpec.from_json(written)
    if field in ("space", "rotation", "tracker", "rotation_side", "position_unit", "range_policy", "syntax"):
        assert str(value) in str(error.value)


@pytest.mark.parametrize("record", ["gripper", "normalisation", "controller", "settle"])
def test_a_record_that_lacks_a_part_is_refused_with_all_its_parts(record: str) -> None:
    written = preset("openvla-libero").to_json()
    part = dict(written[record])  # type: ignore[call-overload]
    last = list(part)[-1]
    del part[last]
    with pytest.raises(ValueError, match=f"field '{record}'.*an object with .*{last}"):
        ActionSpec.from_json({**written, record: part})


# Nothing contradicts itself


CONTRADICTIONS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "a rotation without numbers for it": ("rotation", {"rotation": "none", "rotation_unit": "none"}),
    "numbers for a rotation of another width": ("rotation", {"rotation": "quat_wxyz", "rotation_unit": "none"}),
    "angles without a unit": ("rotation_unit", {"rotation_unit": "none"}),
    "a turn of no side": ("rotation_side", {"rotation_side": "none"}),
    "a side for absolute rotations": (
        "rotation_side",
        {"representation": (("position", "absolute"), ("rotation", "absolute"))},
    ),
    "a limit of absolute rotations": (
        "rotation_limit",
        {
            "representation": (("position", "absolute"), ("rotation", "absolute")),
            "rotation_side": "none",
            "rotation_limit": 1.0,
        },
    ),
    "a limit of nothing": ("rotation_limit", {"rotation_limit": 0.0}),
    "a sign of two": ("rotation_sign", {"rotation_sign": 2}),
    "axes of the frame in the frame of the tool": ("rotation_side", {"frame": "tool"}),
    "two representations in the frame of the tool": (
        "representation",
        {
            "frame": "tool",
            "rotation_side": "right",
            "representation": (("position", "absolute"), ("rotation", "delta_to_previous_target")),
        },
    ),
    "velocity without a unit of speed": (
        "representation",
        {"representation": (("position", "velocity"), ("rotation", "velocity"))},
    ),
    "one part a velocity": (
        "representation",
        {"representation": (("position", "delta_to_previous_target"), ("rotation", "velocity"))},
    ),
    "a representation too few": ("representation", {"representation": (("position", "absolute"),)}),
    "a representation of the gripper": (
        "representation",
        {"representation": (*STEP.representation, ("gripper", "absolute"))},
    ),
    "a unit of angles for positions": ("position_unit", {"position_unit": "deg"}),
    "a camera without a name": ("frame", {"frame": "camera:"}),
    "a frame that is none": ("frame", {"frame": "none"}),
    "a tracker of joints": ("tracker", {"tracker": "joint_pd"}),
    "a gripper without numbers for it": ("gripper", {"layout": (("position", 3), ("rotation", 3))}),
    "numbers for a gripper that is not described": ("gripper", {"gripper": None}),
    "a gripper of two numbers": ("layout", {"layout": (("position", 3), ("rotation", 3), ("gripper", 2))}),
    "a position of two numbers": ("layout", {"layout": (("position", 2), ("rotation", 3), ("gripper", 1))}),
    "a component twice": ("layout", {"layout": (("position", 3), ("position", 3), ("gripper", 1))}),
    "a component without numbers": ("layout", {"layout": (("position", 3), ("rotation", 0), ("gripper", 1))}),
    "open that is closed": ("gripper", {"gripper": OPEN._replace(open=0.0)}),
    "open out of range": ("gripper", {"gripper": OPEN._replace(high=0.5)}),
    "a range upside down": ("gripper", {"gripper": OPEN._replace(low=1.0, high=0.0)}),
    "a threshold that nothing passes": ("gripper", {"gripper": OPEN._replace(threshold=2.0)}),
    "a step of an absolute gripper": ("gripper", {"gripper": OPEN._replace(step=0.5)}),
    "a step longer than the stroke": ("gripper", {"gripper": OPEN._replace(mode="sign_hold", step=1.5)}),
    "an absolute gripper that holds": ("gripper", {"gripper": OPEN._replace(hold_steps=3)}),
    "a mode of a gripper that is none": ("gripper", {"gripper": OPEN._replace(mode="toggle")}),
    "more carried out than written": ("execute", {"chunk": 4, "execute": 5}),
    "nothing carried out": ("execute", {"chunk": 4, "execute": 0}),
    "chunks of which nobody knows how much": ("execute", {"chunk": 4}),
    "a chunk beyond the horizon": ("chunk", {"chunk": 11, "execute": 11, "horizon": 10}),
    "no actions": ("horizon", {"horizon": 0}),
    "no rate": ("rate_hz", {"rate_hz": 0.0}),
    "a rate of no robot": ("rate_hz", {"rate_hz": 1e9}),
    "a rate that is no number": ("rate_hz", {"rate_hz": float("nan")}),
    "statistics of six numbers": ("normalisation", {"normalisation": scale(first=(-1.0,) * 6, second=(1.0,) * 6)}),
    "one statistic of two": ("normalisation", {"normalisation": scale(second=None)}),
    "statistics upside down": ("normalisation", {"normalisation": scale(first=(1.0,) * 7, second=(-1.0,) * 7)}),
    "statistics that are not finite": ("normalisation", {"normalisation": scale(second=(float("inf"),) * 7)}),
    "statistics of no kind": ("normalisation", {"normalisation": scale(kind="none")}),
    "a negative deviation": ("normalisation", {"normalisation": scale(kind="zscore", second=(-1.0,) * 7)}),
    "a mask of six": ("normalisation", {"normalisation": scale(mask=(True,) * 6)}),
    "a mask of numbers": ("normalisation", {"normalisation": scale(mask=(1,) * 7)}),
    "a domain of no width": ("normalisation", {"normalisation": scale(low=1.0)}),
    "a domain without an end": ("normalisation", {"normalisation": scale(low=float("-inf"))}),
    "a negative epsilon": ("normalisation", {"normalisation": scale(epsilon=-1.0)}),
    "a range of two numbers": ("ranges", {"ranges": (position(low=(-1.0,) * 2),)}),
    "a range of another component": ("ranges", {"ranges": (position(component="joint1"),)}),
    "a range that falls": ("ranges", {"ranges": (position(low=(1.0,) * 3, high=(-1.0,) * 3),)}),
    "a range beyond all numbers": ("ranges", {"ranges": (position(to_high=(1e300,) * 3),)}),
    "two ranges of one component": ("ranges", {"ranges": (position(), position())}),
    "a controller of targets": ("controller", {"controller": Controller("OSC", 150.0, 1.0)}),
    "a controller without a spring": (
        "controller",
        {
            "representation": (("position", "delta_to_achieved"), ("rotation", "delta_to_achieved")),
            "controller": Controller("OSC", 0.0, 1.0),
        },
    ),
    "an action at rest that is too short": ("settle", {"settle": Settle(10, (0.0,) * 6)}),
    "skills of numbers": ("skills", {"skills": ("pick",)}),
    "arms of one arm": ("arms", {"arms": (("left", STEP),)}),
    "a syntax of calls": ("syntax", {"syntax": "cap_calls"}),
    "a rate of points without one": (
        "rate_hz",
        {
            "syntax": "trajectory",
            "representation": (("position", "absolute"), ("rotation", "absolute")),
            "rotation_side": "none",
            "rate_hz": 5.0,
        },
    ),
    "changes in a list of points": ("representation", {"syntax": "trajectory"}),
    "the side of a tool that only turns": ("tool_turn", {"tool_turn": 0.5}),
    "a way between actions at a rate": ("path", {"path": "joints"}),
    "a way that is none": ("path", {"path": "round"}),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_a_contradiction_is_refused_with_the_field_and_what_would_do(what: str) -> None:
    field, changes = CONTRADICTIONS[what]
    with pytest.raises(ValueError, match=f"The field '{field}' of an ActionSpec is .*; it must be "):
        replace(STEP, **changes)


JOINT_CONTRADICTIONS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "joints of two representations": (
        "representation",
        {
            "representation": (
                ("joint1", "delta_to_previous_target"),
                *preset("maniskill-pd_joint_pos").representation[1:],
            )
        },
    ),
    "joints in a frame": ("frame", {"frame": "world"}),
    "joints in metres": ("position_unit", {"position_unit": "m"}),
    "joints written as voxels": ("syntax", {"syntax": "voxels"}),
    "a speed that is a position": ("representation", {"position_unit": "rad/s"}),
    "more numbers than any robot takes": ("layout", {"layout": (("joint1", 10**9), ("gripper", 1))}),
}


@pytest.mark.parametrize("what", JOINT_CONTRADICTIONS)
def test_a_contradiction_of_joints_is_refused(what: str) -> None:
    field, changes = JOINT_CONTRADICTIONS[what]
    with pytest.raises(ValueError, match=f"The field '{field}' of an ActionSpec is .*; it must be "):
        replace(preset("maniskill-pd_joint_pos"), **changes)


@pytest.mark.parametrize("field", ["rate_hz", "rotation_limit"])
def test_a_number_of_very_many_digits_is_refused_like_another(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        ActionSpec.from_json({**STEP.to_json(), field: 10**400})


def test_points_need_the_name_of_their_camera() -> None:
    with pytest.raises(ValueError, match=r"'frame'.*points mean nothing without it"):
        replace(preset("gemini-er-points"), frame="world")


def test_a_contract_of_raw_controls_has_nothing_that_would_not_be_done() -> None:
    ctrl = wv.load("PickCube-v0").contracts["ctrl"]
    for changes in ({"representation": (("ctrl", "delta_to_previous_target"),)}, {"rate_hz": None}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            replace(ctrl, **changes)


# Arms


def test_arms_that_disagree_are_refused_with_the_field() -> None:
    left, right = (arm for _, arm in preset("gym-aloha").arms)
    with pytest.raises(ValueError, match=r"differ in 'rate_hz': 50\.0 for left, 25\.0 for right"):
        of_arms("two", "1", [("left", left), ("right", replace(right, rate_hz=25.0))])


def test_a_whole_that_says_otherwise_than_its_arms_is_refused() -> None:
    whole = preset("openpi-aloha")
    for field, value in (
        ("rate_hz", 25.0),
        ("execute", 25),
        ("layout", whole.layout[:7]),
        ("representation", whole.representation[::-1]),
        ("gripper", OPEN),
        ("ranges", (Range("left/waist", (-1.0,), (1.0,), (-1.0,), (1.0,)),)),
        ("normalisation", PLAIN._replace(encoding="tokens_256")),
        ("arms", whole.arms[:1]),
    ):
        with pytest.raises(ValueError, match=f"The field '{field}'"):
            replace(whole, **{field: value})


def test_arms_of_different_robots_make_one_contract() -> None:
    joints = replace(preset("maniskill-pd_joint_pos"), horizon=STEP.horizon)
    hand = replace(STEP, rate_hz=20.0, range_policy="clip", tracker="ik")
    with pytest.raises(ValueError, match="differ in 'tracker'"):
        of_arms("mixed", "1", [("left", joints), ("right", hand)])
    two = of_arms("mixed", "1", [("left", hand), ("right", replace(hand, frame="world"))])
    assert two.columns[:4] == ("left/position[0]", "left/position[1]", "left/position[2]", "left/rotation[0]")
    assert two.width == 14


# JSON


def _steps(draw: st.DrawFn) -> dict[str, Any]:
    rotation = draw(st.sampled_from(["none", "rpy", "euler_XYZ", "axis_angle", "quat_xyzw", "rot6d_contiguous"]))
    width = {"none": 0, "quat_xyzw": 4, "rot6d_contiguous": 6}.get(rotation, 3)
    kinds = ["absolute", "relative_to_chunk_start", "delta_to_previous_target", "delta_to_achieved"]
    kind = draw(st.sampled_from(kinds))
    side = "none" if not width or kind == "absolute" else draw(st.sampled_from(["left", "right"]))
    frames = ["world", "base", "camera:wrist", *(["tool"] if side != "left" else [])]
    parts = ("position", *(("rotation",) if width else ()))
    chunk = draw(st.none() | st.integers(1, 50))
    return {
        "layout": (("position", 3), *((("rotation", width),) if width else ()), ("gripper", 1)),
        "representation": tuple((part, kind) for part in parts),
        "rotation": rotation,
        "rotation_unit": draw(st.sampled_from(["rad", "deg"])) if width == 3 else "none",
        "rotation_side": side,
        "rotation_sign": draw(st.sampled_from([1, -1])),
        "rotation_limit": draw(st.none() | st.floats(1e-3, 10)) if side != "none" else None,
        "frame": draw(st.sampled_from(frames)),
        "position_unit": draw(st.sampled_from(["m", "cm", "mm"])),
        "ranges": draw(st.sampled_from([(), (position(),)])),
        "range_policy": draw(st.sampled_from(["clip", "reject"])),
        "rate_hz": draw(st.none() | st.floats(0.1, 500)),
        "chunk": chunk,
        "execute": None if chunk is None else draw(st.integers(1, chunk)),
        "normalisation": PLAIN._replace(encoding=draw(st.sampled_from(["numbers", "tokens_256"]))),
    }


@st.composite
def contracts(draw: st.DrawFn) -> ActionSpec:
    """A contract of the tool, under a name of its own or under that of a preset."""
    name = draw(st.sampled_from(["mine", "rlds-eef-delta", "gr00t-eef-relative"]))
    base = replace(STEP, name=name) if name == "mine" else preset(name)
    return replace(base, **{**_steps(draw), "horizon": 1000})


@given(contracts())
def test_a_contract_is_the_same_after_json(spec: ActionSpec) -> None:
    assert ActionSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def again(plan: Plan) -> Plan:
    """A plan written to a line and read back."""
    line = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    return admit(line, contracts={}, default_rate=0.0)


@given(contracts())
def test_a_line_of_a_plan_holds_all_of_its_contract(spec: ActionSpec) -> None:
    rows = np.full((2, spec.width), 31800.0 if spec.normalisation.encoding == "tokens_256" else 0.5)
    plan = Plan("a", spec.name, 5.0 if spec.rate_hz is None else spec.rate_hz, rows, (), spec)
    assert again(plan) == plan


@pytest.mark.parametrize("name", names())
def test_a_changed_preset_is_read_back_from_its_line(name: str) -> None:
    spec = preset(name)
    if not spec.layout or spec.syntax == "trajectory":
        pytest.skip("Its actions are no rows.")
    if spec.needs_statistics:
        spec = with_statistics(spec, APPLIED)
    spec = replace(spec, version="mine")
    actions: Any = np.zeros((1, spec.width))
    if spec.syntax == "waypoints":
        actions = [{"position": [0.5, 0.0, 0.3], "orientation": [0.0, 1.0, 0.0, 0.0], "gripper": 1}]
    rate = None if spec.syntax in ("waypoints", "voxels") else spec.rate_hz or 5.0
    line = {"id": "a", "format": spec, "rate_hz": rate, "actions": actions}
    plan = admit(line, contracts={}, default_rate=0.0)
    assert again(plan) == plan
    assert again(plan).contract == spec


def test_two_chunks_that_are_carried_out_by_half_stay_so() -> None:
    spec = replace(preset("gr00t-eef-relative"), chunk=32, execute=16)
    plan = Plan("a", spec.name, 10.0, np.zeros((32, 7)), (), spec)
    assert again(plan).contract == spec


# The question


def sha(spec: ActionSpec, **changes: Any) -> str:
    row = [0.0] * 6 + [1.0 if spec.gripper is None else spec.gripper.closed]
    line = {"id": "a", "format": spec, "rate_hz": spec.rate_hz, "actions": [row, row], **changes}
    plan = admit(line, contracts={}, default_rate=0.0)
    task = wv.load("ReachSafe-v0")
    request = request_of("", task, None, plan, 0, None, {})
    assert isinstance(request["sha256"], str)
    return request["sha256"]


OSC = preset(LIBERO)
assert OSC.gripper is not None
MEANINGS: list[dict[str, Any]] = [
    {"version": "another"},
    {"position_unit": "cm"},
    {"rotation": "rpy"},
    {"rotation_unit": "deg"},
    {"rotation_side": "right"},
    {"rotation_sign": -1},
    {"rotation_limit": 0.1},
    {"frame": "base"},
    {"frame": "camera:wrist"},
    {"ranges": ()},
    {"range_policy": "reject"},
    {"gripper": OSC.gripper._replace(open=1.0, closed=-1.0)},
    {"gripper": OSC.gripper._replace(step=0.1)},
    {"rate_hz": 10.0},
    {"horizon": 999},
    {"chunk": 10, "execute": 5},
    {"chunk": 10, "execute": 10},
    {"normalisation": scale()},
    {"normalisation": scale(epsilon=1e-8)},
    {"controller": None},
    {"controller": Controller("OSC_POSE", 300.0, 1.0)},
    {"settle": Settle(10, (0.0,) * 7)},
    {
        "representation": (("position", "delta_to_previous_target"), ("rotation", "delta_to_previous_target")),
        "controller": None,
    },
]


def test_every_change_of_meaning_is_another_question() -> None:
    asked = [sha(OSC), *(sha(replace(OSC, **changes)) for changes in MEANINGS)]
    assert len(set(asked)) == len(asked)


def test_the_id_is_no_part_of_the_question() -> None:
    assert sha(OSC, id="b") == sha(OSC)


def test_a_contract_written_out_asks_the_same_as_the_preset() -> None:
    changed = replace(OSC, rate_hz=10.0)
    written = admit(
        {"format": LIBERO, "rate_hz": 10, "contract": {"rate_hz": 10}, "actions": [[0.0] * 6 + [1.0]] * 2},
        contracts={},
        default_rate=0.0,
    )
    task = wv.load("ReachSafe-v0")
    assert request_of("", task, None, written, 0, None, {})["sha256"] == sha(changed)


def test_a_preset_that_changes_its_meaning_is_another_question(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sha(preset(LIBERO))
    monkeypatch.setattr("worldverify.presets.robosuite.STEP_1_4", 0.25)
    assert preset(LIBERO) != OSC
    assert sha(preset(LIBERO)) != before


def test_a_verdict_under_a_preset_with_statistics_is_replayed_to_the_same_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statistics = {"q01": [-0.5] * 6 + [0.0], "q99": [0.5] * 6 + [1.0], "mask": list(SIX)}
    lines = [
        {
            "id": "a",
            "format": "openvla-oft-libero",
            "rate_hz": 20,
            "actions": [[0.1, 0.0, -0.2, 0.0, 0.0, 0.1, 1.0]] * 10,
            "contract": {"statistics": statistics},
        },
        {
            "id": "b",
            "format": "gr00t-eef-relative",
            "rate_hz": 10,
            "actions": [[0.01 * k, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0] for k in range(8)],
            "contract": {"chunk": 32, "execute": 4},
        },
    ]
    plans, verdicts = tmp_path / "plans.jsonl", tmp_path / "verdicts.jsonl"
    plans.write_text("\n".join(map(json.dumps, lines)))
    assert main(["verify", "ReachSafe-v0", str(plans), "--json", str(verdicts)]) == 0
    assert all(json.loads(line)["status"] in ("PASS", "FAIL") for line in verdicts.read_text().splitlines())
    assert main(["replay", str(verdicts)]) == 0
    assert "2 verdicts replayed: 2 the same." in capsys.readouterr().out


def test_a_contract_that_a_line_cannot_have_is_a_refusal_with_the_field() -> None:
    for contract, said in (
        ({"rate": 5}, "Did you mean 'rate_hz'"),
        ({"frame": "moon"}, "'frame'"),
        ({"frame": 5}, "a string"),
        ({"gripper": {"open": 1}}, "'gripper'"),
        ({"rate_hz": "5"}, "a number, or null"),
        ({"name": "mine"}, "keeps its name"),
        ("5 Hz", "an object of contract fields"),
    ):
        with pytest.raises(Refusal, match=said) as caught:
            line = {"format": LIBERO, "rate_hz": 20, "actions": [[0.0] * 7], "contract": contract}
            admit(line, contracts={}, default_rate=0.0)
        assert caught.value.code in ("bad_contract", "wrong_type")
