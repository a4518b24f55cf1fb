"""PointPick: a table that a camera sees, where the right block goes into the bowl."""

import numpy as np
import pytest

import worldverify as wv
from worldverify.camera import view_of
from worldverify.envs.point_and_pick import CAMERA, point_and_pick
from worldverify.kernels import imaging
from worldverify.lift import look
from worldverify.task import Task

SEEDS = 24
STEP = 10  # of 1000: how near the picture comes to the places that the notebook names


@pytest.fixture(scope="module")
def task() -> Task:
    return point_and_pick()


def test_the_good_plan_passes_from_other_starts(task: Task) -> None:
    starts = np.stack([task.start(seed) for seed in range(1, 1 + SEEDS)])
    verdicts = wv.verify(task, [task.good] * SEEDS, state=starts)
    assert [v.status for v in verdicts].count("PASS") >= 0.95 * SEEDS


def test_the_camera_sees_every_object_from_every_start(task: Task) -> None:
    for seed in range(SEEDS):
        data = task.scene.data(task.start(seed))
        picture = look(task.scene.model, data, CAMERA, order="yx", unit="thousandths", arm=task.arm)
        assert all(picture.point_at(name) is not None for name in task.objects)


def test_the_base_of_the_arm_appears_at_the_origin_of_the_notebook(task: Task) -> None:
    view = view_of(task.scene.model, task.scene.data(), CAMERA)
    pixel, _ = view.project(np.zeros(3))
    point = imaging.from_pixels(pixel, CAMERA.width, CAMERA.height, order="yx", unit="thousandths")
    assert np.abs(point - [300, 500]).max() < STEP


def test_a_block_dropped_into_the_bowl_stays_in_it(task: Task) -> None:
    x, y = 0.13, -0.37
    drop = [{"skill": "pick", "object": "blue_block"}, {"skill": "move_to", "position": [x + 0.05, y, 0.12]}]
    verdict = wv.verify(task, [{"skills": [*drop, {"skill": "open_gripper"}]}])[0]
    assert verdict.status == "PASS", verdict.explain()
