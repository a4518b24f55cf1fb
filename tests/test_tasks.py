"""The shipped tasks, each put to the conformance test of tasks, and what their prompts must say."""

import json
import re
from pathlib import Path

import pytest

import worldverify as wv
from worldverify.testing import check_task

TASKS = wv.tasks()
FEW, MANY = 3, 100  # seeds


def test_a_task_passes_the_shipped_conformance_suite(a_task: str) -> None:
    report = check_task(wv.load(a_task), seeds=FEW)
    assert [twin.name for twin in report.twins] == ["permuted", "mirrored"]
    assert len(report.cheats) > 3


@pytest.mark.tasks
@pytest.mark.parametrize("name", TASKS)
def test_a_task_passes_it_from_a_hundred_seeds(name: str) -> None:
    report = check_task(wv.load(name), seeds=MANY)
    assert report.seeds is not None and report.seeds.tried == MANY


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_always_gives_the_same_start(name: str) -> None:
    task = wv.load(name)
    assert task.start(3).tobytes() == task.start(3).tobytes() != task.start(4).tobytes()


@pytest.mark.parametrize("name", TASKS)
def test_a_goal_is_never_reached_in_one_moment(name: str) -> None:
    success = wv.load(name).success
    assert not success.ever and success.final


@pytest.mark.parametrize("name", TASKS)
def test_the_prompt_names_the_objects_the_formats_and_the_requirements(name: str) -> None:
    task = wv.load(name)
    keys = {"rows": "actions"}
    formats = {keys.get(contract.syntax, contract.syntax) for contract in task.contracts.values()}
    for word in (*task.objects, *task.spec.names, *formats, task.instruction):
        assert word in task.prompt


@pytest.mark.parametrize("name", TASKS)
def test_the_example_of_the_prompt_can_be_read(name: str) -> None:
    task = wv.load(name)
    example = task.prompt.splitlines()[-1]
    assert json.loads(example)
    verdict = wv.verify(task, [example])[0]
    assert verdict.status != "INVALID", verdict.reason


@pytest.mark.parametrize(("name", "top"), [("PickCube-v0", 0.0), ("LiberoTable-v0", 0.41), ("VoxelPlace-v0", 0.752)])
def test_a_prompt_says_how_high_the_table_of_its_own_scene_is(name: str, top: float) -> None:
    prompt = wv.load(name).prompt
    assert f"- table: its top is at z = {top:g}\n" in prompt
    assert "table top is z = 0" not in prompt


def test_a_card_takes_the_name_of_a_format() -> None:
    task = wv.load("VoxelPlace-v0")
    assert task.card(format="voxel-bins") == task.card(format=wv.preset("voxel-bins"))
    with pytest.raises(ValueError, match="could mean"):
        task.card(format="openpi-droid")


def test_the_page_on_tasks_says_of_each_task_what_its_goals_ask_for(root: Path) -> None:
    rows = dict(re.findall(r"^\| (\S+-v\d+) \| (.*?) \|$", (root / "docs" / "tasks.md").read_text(), re.MULTILINE))
    assert rows == {name: str(wv.load(name).success) for name in TASKS}
