"""The shipped tasks: each good plan passes, each bad plan fails its own requirement and no other."""

import json

import numpy as np
import pytest

import worldverify as wv
from worldverify.testing import check_task

TASKS = wv.tasks()
SEEDS = 24  # of 100 that pass for each task when all are tried


@pytest.mark.parametrize("name", TASKS)
def test_a_task_passes_the_shipped_conformance_suite(name: str) -> None:
    check_task(wv.load(name))


@pytest.mark.parametrize("name", TASKS)
def test_a_bad_plan_violates_only_its_own_requirement_up_to_the_horizon(name: str) -> None:
    task = wv.load(name)
    assert set(task.bad) == set(task.spec.names)
    for requirement, verdict in zip(task.bad, wv.verify(task, list(task.bad.values()), margins="full"), strict=True):
        assert verdict.status == "FAIL"
        assert verdict.first_violation is not None
        assert verdict.first_violation.requirement == requirement
        signs = {name: margin.value is not None and margin.value > 0 for name, margin in verdict.margins.items()}
        assert signs == {name: name != requirement for name in task.spec.names}


@pytest.mark.parametrize("name", TASKS)
def test_the_good_plan_passes_from_other_starts(name: str) -> None:
    task = wv.load(name)
    starts = np.stack([task.start(seed) for seed in range(1, 1 + SEEDS)])
    assert len({start.tobytes() for start in starts}) == SEEDS
    verdicts = wv.verify(task, [task.good] * SEEDS, state=starts)
    assert [v.status for v in verdicts].count("PASS") >= 0.95 * SEEDS


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_always_gives_the_same_start(name: str) -> None:
    task = wv.load(name)
    assert task.start(3).tobytes() == task.start(3).tobytes() != task.start(4).tobytes()


@pytest.mark.parametrize("name", TASKS)
def test_the_prompt_names_the_objects_the_formats_and_the_requirements(name: str) -> None:
    task = wv.load(name)
    for word in (*task.objects, *task.spec.names, "skills", "waypoints", "actions", task.instruction):
        assert word in task.prompt


@pytest.mark.parametrize("name", TASKS)
def test_the_example_of_the_prompt_can_be_read(name: str) -> None:
    task = wv.load(name)
    example = task.prompt.splitlines()[-1]
    assert json.loads(example)
    verdict = wv.verify(task, [example])[0]
    assert verdict.status != "INVALID", verdict.reason


def test_holding_still_never_passes() -> None:
    for name in TASKS:
        task = wv.load(name)
        assert wv.verify(task, ['{"skills": [{"skill": "wait", "seconds": 0.2}]}'])[0].status == "FAIL"


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
