"""`worldverify formats`, `decode` and `verify --format` as somebody types them who has not read the manual."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from worldverify.action import ActionSpec
from worldverify.cli import main
from worldverify.presets import AMBIGUOUS, names, preset

LIBERO = "libero-osc_pose-1.4"
ROWS = [[0.4, 0.0, -0.4, 0.0, 0.0, 0.5, -1.0]] * 3 + [[0.4, 0.0, -0.4, 0.0, 0.0, 0.5, 1.0]]
OFT = "openvla-oft-libero"
UNDONE = [[0.4, 0.0, -0.4, 0.0, 0.0, 0.5, 1.0]] * 3 + [[0.4, 0.0, -0.4, 0.0, 0.0, 0.5, 0.0]]
SET = {"action": {"q01": [-0.5] * 6 + [0.0], "q99": [0.5] * 6 + [1.0], "mask": [True] * 6 + [False]}}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder of its own: exit status, what is printed, what is said."""
    monkeypatch.chdir(tmp_path)
    Path("plan.txt").write_text(f"Here is the plan:\n```json\n{json.dumps({'actions': ROWS})}\n```\n")
    Path("oft.txt").write_text(json.dumps(UNDONE))

    def command(*words: str) -> tuple[int, str, str]:
        status = main(list(words))
        out, err = capsys.readouterr()
        return status, out, err

    return command


def refused(run: Run, *words: str) -> str:
    """What is said of wrong usage, in one line."""
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert err.startswith("worldverify: ")
    assert err.count("\n") == 1
    return err


def meaning(run: Run, *words: str) -> list[dict[str, Any]]:
    """What decode says as JSON."""
    status, out, err = run("decode", *words, "--json")
    assert err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == (0 if all(line["code"] is None for line in lines) else 1)
    return lines


# formats


def test_every_preset_is_listed_once_with_what_it_is(run: Run) -> None:
    status, out, err = run("formats")
    assert (status, err) == (0, "")
    for name in names():
        assert [line.split()[0] for line in out.splitlines() if line.strip()].count(name) == 1
    assert "joint_position" in out
    assert "(needs statistics)" in next(line for line in out.splitlines() if line.strip().startswith("openvla-libero"))
    assert all(alias in out for alias in AMBIGUOUS)


@pytest.mark.parametrize("name", names())
def test_one_preset_is_shown_with_its_contract_and_an_example(run: Run, name: str) -> None:
    status, out, _ = run("formats", name)
    assert status == 0
    assert f"{name}, version {preset(name).version}" in out
    assert "As a model writes it:" in out
    assert ("still to be given" in out) == preset(name).needs_statistics


@pytest.mark.parametrize("name", ["ctrl", "joint_position", "ee_waypoints", "skills"])
def test_a_format_of_a_task_is_told_from_a_preset(run: Run, name: str) -> None:
    status, out, _ = run("formats", name)
    assert status == 0
    assert "It depends on the task" in out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("openvla-libreo", "Did you mean 'openvla-libero'"),
        ("OpenVLA-Libero", "Did you mean 'openvla-libero'"),
        ("openpi-droid", "could mean openpi-droid-velocity or openpi-droid-position"),
        ("xyz", "No preset 'xyz'. Known: "),
        ("", "No preset ''"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_name_that_is_none_is_refused(run: Run, name: str, said: str, as_json: bool) -> None:
    assert said in refused(run, "formats", name, *(["--json"] if as_json else []))


def test_contracts_are_printed_as_json_that_reads_back(run: Run) -> None:
    _, out, _ = run("formats", "--json")
    assert [ActionSpec.from_json(each) for each in json.loads(out)] == [preset(name) for name in names()]
    _, out, _ = run("formats", LIBERO, "--json")
    assert ActionSpec.from_json(json.loads(out)) == preset(LIBERO)


# decode: what it shows


def test_decode_says_what_numbers_mean_without_a_task(run: Run) -> None:
    status, out, err = run("decode", "plan.txt", "--format", LIBERO)
    assert (status, err) == (0, "")
    said = {line.strip().partition("  ")[0]: line.strip().partition("  ")[2].strip() for line in out.splitlines()}
    assert said["contract"] == "libero-osc_pose-1.4, version robosuite 1.4.0"
    assert said["unit"] == "m"
    assert said["frame"] == "world"
    assert said["rotation"] == "axis_angle in rad, multiplied on the left"
    assert said["range of position"] == "-1 to 1 means -0.05 to 0.05; what is outside is clipped"
    assert said["rate"] == "20 Hz"
    assert said["plan"] == "4 actions, 0.20 s"
    assert said["first position"] == said["last position"] == "(0.02, 0, -0.02) m"
    assert said["first rotation"] == "(0, 0, 0.25) rad (rotation vector)"
    assert said["first gripper"] == "100 % open"
    assert said["last gripper"] == "88 % open"
    assert "warning: The goals of OSC_POSE" in out


def test_decode_on_a_task_says_where_the_tool_goes(run: Run) -> None:
    (said,) = meaning(run, "plan.txt", "--format", LIBERO, "--task", "PickCube-v0")
    on = said["meaning"]
    assert on["on the task"] == "5 control steps at 25 Hz, 0.20 s"
    last = [float(number) for number in on["tool at the end"].partition(")")[0].strip("(").split(",")]
    first = [float(number) for number in on["tool after one step"].partition(")")[0].strip("(").split(",")]
    assert last[0] > first[0]
    assert last[2] < first[2]
    assert last[1] == pytest.approx(first[1], abs=1e-3)


def test_decode_names_the_seed_of_the_start(run: Run) -> None:
    here = [
        meaning(run, "plan.txt", "--format", LIBERO, "--task", "PickCube-v0", "--seed", seed)[0]["meaning"]
        for seed in ("0", "0", "1")
    ]
    assert here[0] == here[1]
    assert here[0]["contract"] == here[2]["contract"]


def test_decode_refuses_a_plan_for_another_robot_with_status_1(run: Run) -> None:
    Path("aloha.jsonl").write_text(json.dumps({"format": "gym-aloha", "rate_hz": 50, "actions": [[0.0] * 14]}))
    (said,) = meaning(run, "aloha.jsonl", "--task", "PickCube-v0")
    assert said["code"] == "wrong_robot"
    (said,) = meaning(run, "aloha.jsonl")
    assert said["code"] is None
    assert said["meaning"]["right unit"] == "rad"
    assert said["meaning"]["first right/gripper"] == "0 % open"


def test_decode_of_a_text_that_names_no_format_asks_for_one(run: Run) -> None:
    (said,) = meaning(run, "plan.txt")
    assert said["code"] == "unknown_format"
    assert said["reason"].endswith("name its format: worldverify formats lists them.")


def test_decode_of_a_task_reads_its_own_formats_without_a_name(run: Run) -> None:
    Path("way.txt").write_text(
        '{"waypoints": [{"position": [0.5, 0, 0.3]}, {"position": [0.5, 0.1, 0.3], "gripper": 0}]}'
    )
    (said,) = meaning(run, "way.txt", "--task", "PickCube-v0")
    assert said["code"] is None
    assert said["meaning"]["plan"] == "2 waypoints"
    assert said["meaning"]["last"] == "position (0.5, 0.1, 0.3) m, gripper 0 % open"


def test_decode_of_several_files_shows_every_plan_under_its_name(run: Run) -> None:
    lines = [{"id": "one", "text": json.dumps(ROWS)}, {"text": "no plan"}]
    Path("plans.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = meaning(run, "plans.jsonl", "plan.txt", "--format", LIBERO)
    assert [each["id"] for each in found] == ["one", "plans.jsonl:2", "plan.txt"]
    assert [each["code"] for each in found] == [None, "no_plan", None]


def test_decode_reads_an_array_file_under_a_declared_format_only(run: Run) -> None:
    np.save("rows.npy", np.array(ROWS))
    np.save("chunks.npy", np.zeros((2, 8, 7)))
    assert meaning(run, "rows.npy", "--format", LIBERO)[0]["meaning"]["plan"] == "4 actions, 0.20 s"
    assert (
        meaning(run, "chunks.npy", "--format", OFT, "--stats", "applied")[0]["meaning"]["plan"] == "16 actions, 0.80 s"
    )
    (said,) = meaning(run, "rows.npy")
    assert said["code"] == "unknown_format"
    assert "--format" in said["reason"]


def test_decode_reads_lines_on_the_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps({"text": json.dumps(ROWS)}).encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    (said,) = meaning(run, "-", "--format", LIBERO)
    assert said["meaning"]["plan"] == "4 actions, 0.20 s"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert "The standard input holds no plans" in refused(run, "decode", "-", "--format", LIBERO)


# Statistics


def test_statistics_come_from_a_file_a_part_of_it_or_are_said_to_be_undone(run: Run) -> None:
    Path("one.json").write_text(json.dumps({"libero": SET}))
    Path("two.json").write_text(json.dumps({"libero": SET, "bridge": SET}))
    for stats, moved in (("one.json", "0.01"), ("two.json:bridge", "0.01"), ("applied", "0.02")):
        (said,) = meaning(run, "oft.txt", "--format", OFT, "--stats", stats)
        assert said["meaning"]["first position"].startswith(f"({moved}, ")


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        (None, "is normalised (q01_q99), and no preset guesses its statistics"),
        ("two.json", "several data sets ('libero', 'bridge'); name the one that is meant"),
        ("two.json:brigde", "no data set 'brigde'; it has libero, bridge"),
        ("short.json", "'q01' as a list of 2 numbers; openvla-oft-libero needs 7 finite numbers"),
        ("other.json", "needs 'q01' and 'q99' of its actions; the statistics have mean, std"),
        ("list.json", "list.json holds a list of 1 number; a file of statistics holds an object"),
        ("broken.json", "broken.json is not JSON"),
        ("none.json", "none.json: no such file. Give 'applied', FILE, or FILE:KEY"),
        ("folder", "folder: no such file"),
        ("aplied", "aplied: no such file. Give 'applied'"),
    ],
)
def test_statistics_that_cannot_be_used_are_refused(run: Run, stats: str | None, said: str) -> None:
    Path("two.json").write_text(json.dumps({"libero": SET, "bridge": SET}))
    Path("short.json").write_text(json.dumps({"q01": [0, 0], "q99": [1, 1]}))
    Path("other.json").write_text(json.dumps({"norm_stats": {"actions": {"mean": [0.0] * 7, "std": [1.0] * 7}}}))
    Path("list.json").write_text("[1]")
    Path("broken.json").write_text("{")
    Path("folder").mkdir()
    words = [] if stats is None else ["--stats", stats]
    for command in (("decode",), ("verify", "PickCube-v0")):
        assert said in refused(run, *command, "oft.txt", "--format", OFT, *words)


def test_statistics_of_a_format_that_needs_none_are_refused(run: Run) -> None:
    Path("one.json").write_text(json.dumps(SET))
    assert "is not normalised" in refused(run, "decode", "plan.txt", "--format", LIBERO, "--stats", "one.json")


# Contracts


def test_a_file_changes_fields_of_a_preset(run: Run) -> None:
    Path("change.json").write_text(json.dumps({"rate_hz": 10, "rotation_side": "right"}))
    (said,) = meaning(run, "plan.txt", "--format", LIBERO, "--contract", "change.json")
    assert said["meaning"]["plan"] == "4 actions, 0.40 s"
    assert said["meaning"]["rotation"].endswith("on the right")


def test_a_file_gives_the_rate_that_a_preset_leaves_open(run: Run) -> None:
    rows = [[0.01, 0, 0, 0, 0, 0, 1.0]] * 5
    Path("rlds.txt").write_text(json.dumps(rows))
    (said,) = meaning(run, "rlds.txt", "--format", "rlds-eef-delta")
    assert said["code"] == "missing_key"
    assert "in the contract" in said["reason"]
    Path("rate.json").write_text('{"rate_hz": 5}')
    (said,) = meaning(run, "rlds.txt", "--format", "rlds-eef-delta", "--contract", "rate.json")
    assert said["meaning"]["plan"] == "5 actions, 1.00 s"


def test_a_file_holds_a_contract_of_ones_own_and_another_its_statistics(run: Run) -> None:
    written = {**preset(OFT).to_json(), "name": "mine"}
    Path("mine.json").write_text(json.dumps(written))
    Path("one.json").write_text(json.dumps(SET))
    (said,) = meaning(run, "oft.txt", "--format", "mine", "--contract", "mine.json", "--stats", "one.json")
    assert said["format"] == "mine"
    assert said["meaning"]["first position"].startswith("(0.01, ")


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ('{"rate": 5}', "Unknown field 'rate' of a contract. Did you mean 'rate_hz'?"),
        ('{"rate_hz": "5"}', "The field 'rate_hz' of an ActionSpec is '5'; it must be a number, or null."),
        ('{"frame": "tool"}', "The field 'rotation_side'"),
        ("[1]", "holds a list of 1 number; a contract is an object of its fields"),
        ("{", "is not JSON"),
        (None, "Cannot read contract.json: No such file or directory."),
    ],
)
def test_a_contract_file_that_cannot_be_used_is_refused(run: Run, contract: str | None, said: str) -> None:
    if contract is not None:
        Path("contract.json").write_text(contract)
    for command in (("decode",), ("verify", "PickCube-v0")):
        found = refused(run, *command, "plan.txt", "--format", LIBERO, "--contract", "contract.json")
        assert said in found


@pytest.mark.parametrize("option", ["--contract", "--stats"])
def test_a_change_of_no_format_is_refused(run: Run, option: str) -> None:
    assert "name the one that is meant with --format" in refused(run, "decode", "plan.txt", option, "plan.txt")


# Files and names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.txt", "--format", LIBERO), "Cannot read none.txt: No such file or directory."),
        (("folder", "--format", LIBERO), "folder is a folder: name the files in it, for example folder/*.txt."),
        (("empty.jsonl", "--format", LIBERO), "empty.jsonl holds no plans"),
        (("plan.txt", "--format", "libero"), "could mean libero-osc_pose-1.4 or openvla-libero"),
        (("plan.txt", "--format", "libero-osc-pose"), "Did you mean 'libero-osc_pose-1.4'"),
        (("plan.txt", "--format", LIBERO, "--task", "PickCub"), "Did you mean 'PickCube-v0'"),
        (("plan.txt", "--format", "joint_position"), "It depends on the robot: name the task (--task TASK)."),
    ],
)
def test_wrong_usage_of_decode_ends_in_status_2_and_a_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    Path("folder").mkdir()
    Path("empty.jsonl").write_text("\n\n")
    assert said in refused(run, "decode", *words)


def test_an_empty_text_is_a_plan_that_means_nothing(run: Run) -> None:
    Path("empty.txt").write_text("")
    (said,) = meaning(run, "empty.txt", "--format", LIBERO)
    assert said["code"] == "empty"


# verify


def test_verify_judges_texts_under_a_declared_format(run: Run) -> None:
    status, out, err = run("verify", "PickCube-v0", "plan.txt", "--format", LIBERO, "--json", "out.jsonl")
    assert (status, err) == (0, "")
    line = json.loads(Path("out.jsonl").read_text())
    assert line["status"] == "FAIL"
    assert line["request"]["plan"]["format"] == LIBERO
    assert any("OSC_POSE" in warning for warning in line["warnings"])
    assert out.startswith("FAIL  plan.txt")
    assert run("replay", "out.jsonl")[0] == 0


def test_verify_keeps_the_formats_that_lines_name(run: Run) -> None:
    lines = [
        {"id": "own", "text": '{"skills": [{"skill": "home"}]}', "format": "skills"},
        {"id": "named", "format": "fetch-v4", "rate_hz": 25, "actions": [[0, 0, 0, 0]]},
        {"id": "bare", "actions": ROWS},
    ]
    Path("plans.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert run("verify", "PickCube-v0", "plans.jsonl", "--format", LIBERO, "--json", "out.jsonl")[0] == 0
    found = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [line["request"]["plan"]["format"] for line in found] == ["skills", "fetch-v4", LIBERO]


def test_verify_under_statistics_is_replayed_without_their_file(run: Run) -> None:
    Path("one.json").write_text(json.dumps(SET))
    words = ("verify", "ReachSafe-v0", "oft.txt", "--format", OFT, "--stats", "one.json", "--json", "out.jsonl")
    assert run(*words)[0] == 0
    Path("one.json").unlink()
    status, out, _ = run("replay", "out.jsonl")
    assert status == 0
    assert "1 the same" in out


def test_every_range_of_a_component_is_shown(run: Run) -> None:
    _, said, _ = run("formats", "voxel-bins")
    assert "0 to 100 means 0.605 to 1.605" in said
