"""What real models wrote, where those files are present: file by file, a plan or the right reason why not."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.action import PLAIN, SKILLS, ActionSpec
from worldverify.contracts import ctrl, ee_waypoints, joint_position, skills
from worldverify.decode import physical
from worldverify.envs.voxel_workspace import voxel_place
from worldverify.kernels import kinematics, rotation
from worldverify.plan import Plan, admit, plan_id
from worldverify.plansfile import read_plans
from worldverify.presets import names, preset
from worldverify.reach import chain_of
from worldverify.refusal import CODES, Refusal
from worldverify.statistics import with_statistics
from worldverify.task import Task

sys.path.append(str(Path(__file__).parent))
import model_outputs_scenes as scenes
from model_outputs_table import CHUNKS, ROWS, TOKENS, Read, Row, candidates, columns, is_as_wanted, manifest, outcome

MUST_REFUSE = ("must_flag_or_refuse", "no_action_must_refuse", "reference_not_model_output")
LEAST_REACH = 0.6  # of the files whose robot and action space we model
BENT = 0.15  # rad, of a start pose that was read off and written in bins; the wrong way round is pi
PRINTED = 1e-9  # of numbers that were printed in full
RATE = 10.0  # Hz, where a format leaves it to the plan

JOINTS = [f"joint{index}" for index in range(1, 8)]
OWN: Mapping[str, Mapping[str, ActionSpec]] = {
    "an arm": {
        "joint_position": joint_position(JOINTS, 25.0),
        "ee_waypoints": ee_waypoints(),
        "skills": skills(list(SKILLS)),
    },
    "raw controls": {"ctrl": ctrl(8, 25.0)},
}


@pytest.mark.parametrize("contracts", OWN.values(), ids=OWN)
def test_without_a_format_every_file_becomes_a_plan_or_a_sentence(
    model_outputs: Path, contracts: Mapping[str, ActionSpec]
) -> None:
    files = [path for path in model_outputs.rglob("*") if path.is_file()]
    assert files
    for path in files:
        found = read_plans(path)
        assert found, path
        for candidate in found:
            assert_plan_or_sentence(candidate, contracts, path)


def assert_plan_or_sentence(candidate: object, contracts: Mapping[str, ActionSpec], path: Path) -> None:
    assert plan_id(candidate), path
    try:
        plan = admit(candidate, contracts=contracts, default_rate=25.0, task="PickCube-v0")
    except Refusal as refusal:
        assert refusal.code in CODES, path
        assert refusal.cause == "plan", path
        assert 40 < len(refusal.reason) < 900, path
        assert refusal.reason.endswith("."), path
        assert "\n" not in refusal.reason, path
    else:
        assert isinstance(plan, Plan), path


def test_the_table_has_a_row_for_every_file_of_the_manifest(model_outputs: Path) -> None:
    assert sorted(row.path for row in ROWS) == sorted(manifest(model_outputs))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_every_candidate_of_a_file_is_read_or_refused_for_the_right_reason(model_outputs: Path, row: Row) -> None:
    found = [outcome(candidate) for candidate in candidates(row, model_outputs)]
    assert len(found) == len(row.wanted)
    wrong = [pair for pair in zip(found, row.wanted, strict=True) if not is_as_wanted(*pair)]
    assert not wrong


def test_what_must_be_refused_is_wanted_to_be_refused(model_outputs: Path) -> None:
    for row in ROWS:
        if manifest(model_outputs)[row.path]["expect"] in MUST_REFUSE:
            assert not any(isinstance(one, Read) for one in row.wanted), row.path


@pytest.mark.parametrize("name", names())
def test_what_is_no_plan_is_none_in_any_format(model_outputs: Path, name: str) -> None:
    format = complete(name)
    for row in ROWS:
        if any(isinstance(one, Read) for one in row.wanted):
            continue
        for candidate in candidates(row, model_outputs):
            line = {"text": candidate["text"], "format": format, "rate_hz": RATE if format.rate_hz is None else None}
            with pytest.raises(Refusal):
                admit(line, contracts={}, default_rate=0.0)


def complete(name: str) -> ActionSpec:
    """A preset whose numbers are taken to be un-normalised already."""
    spec = preset(name)
    return with_statistics(spec, "applied") if spec.needs_statistics else spec


def test_numbers_before_and_after_the_grippers_sign_is_turned_mean_the_same(model_outputs: Path) -> None:
    lines = (model_outputs / CHUNKS / "task_00_events_verbatim_first6.jsonl").read_text().splitlines()
    for event in map(json.loads, lines):
        predicted, executed = (np.array(event[f"{kind}_action_chunk"]) for kind in ("predicted", "executed"))
        before = physical(preset("openvla-oft-libero", normalisation=PLAIN), predicted)
        after = physical(preset("libero-osc_pose-1.4"), executed)
        assert before.keys() == after.keys()
        for key, value in before.items():
            np.testing.assert_allclose(value, after[key], rtol=0, atol=PRINTED, err_msg=key)


def test_tokens_with_the_statistics_of_their_table_mean_the_numbers_of_their_table(model_outputs: Path) -> None:
    row = next(row for row in ROWS if row.path == f"{TOKENS}validation_200_transitions.csv")
    _, _, tokens, numbers = candidates(row, model_outputs)
    said = [meaning(line) for line in (tokens, numbers)]
    for key, value in said[0].items():
        np.testing.assert_allclose(value, said[1][key], rtol=0, atol=PRINTED, err_msg=key)
    array = np.load(model_outputs / TOKENS / "pred_actions_200x7.npy")
    np.testing.assert_allclose(columns(model_outputs / row.path, "action_raw"), array, rtol=0, atol=PRINTED)


def meaning(line: Any) -> dict[str, Any]:
    plan = admit(line, contracts={}, default_rate=0.0)
    assert plan.contract is not None
    return physical(plan.contract, np.asarray(plan.actions))


@pytest.mark.parametrize(
    "build",
    [scenes.can_on_tray, scenes.drop_into_bin, scenes.stack_on_pad, scenes.push_to_hole],
    ids=lambda f: f.__name__,
)
def test_a_scene_of_a_conversation_can_be_solved(build: Callable[[], Task]) -> None:
    task = build()
    assert wv.verify(task, [task.good])[0].status == "PASS"


def test_the_tip_of_the_voxel_benchmarks_arm_is_our_tool_after_half_a_turn() -> None:
    start = np.array([[57, 49, 87, 120, 65, 120, 1.0]])  # (0, 0.993, 0, 0.121), w last, where its demonstrations begin
    joints = np.radians([[0.0, 10.0, 0.0, -50.0, 0.0, 70.0, 45.0]])
    arm = voxel_place().arm
    assert arm is not None
    _, ours = kinematics.tool_pose(joints, *chain_of(arm))
    said = rotation.from_vector(physical(preset("voxel-bins"), start)["rotation"])
    assert np.linalg.norm(rotation.to_vector(rotation.multiply(said, rotation.conjugate(ours)))) < BENT


def test_every_actionable_file_is_judged_or_left_out_for_one_reason(model_outputs: Path) -> None:
    judged = {case.path for case in scenes.cases(model_outputs)}
    for path, line in manifest(model_outputs).items():
        assert (path in judged) == (line["expect"] == "actionable" and scenes.why_not(path) is None), path


def test_most_of_what_we_model_reaches_physics_and_the_rest_is_refused_for_its_reason(model_outputs: Path) -> None:
    reached: dict[str, bool] = {}
    for case in scenes.cases(model_outputs):
        verdict = wv.verify(case.task(), [case.line])[0]
        reaches = verdict.status in ("PASS", "FAIL")
        assert reaches or (verdict.status == "INVALID" and verdict.cause == "plan"), (case.path, verdict.reason)
        row = next(row for row in ROWS if row.path == case.path)
        if not isinstance(row.wanted[case.number], Read):
            assert not reaches, case.path
        reached[case.path] = reached.get(case.path, True) and reaches
    assert sum(reached.values()) / len(reached) >= LEAST_REACH


def test_the_page_and_the_kept_run_count_what_the_table_wants(root: Path) -> None:
    page = (root / "docs" / "model-outputs.md").read_text()
    kept = json.loads((root / "docs" / "benchmarks" / "model-outputs.json").read_text())
    assert {one["path"]: one["plans"] for one in kept["files"]} == {
        row.path: sum(isinstance(one, Read) for one in row.wanted) for row in ROWS
    }
    for name, one in kept["formats"].items():
        counts = [one[key] for key in ("files", "with_a_plan", "candidates", "plans")]
        assert f"| `{name}` | {' | '.join(map(str, counts))} |" in page
    assert f"**{kept['reach']['reached']} of them" in page
    assert kept["reach"]["reached"] / kept["reach"]["files"] >= LEAST_REACH
