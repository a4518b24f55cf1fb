"""PickClutter: a cube among twelve things that must all stay as they are."""

from itertools import combinations

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import compile_for
from worldverify.envs.pick_clutter import OTHERS, PICK, pick_clutter
from worldverify.formula import Always
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.task import Task

FREE = 7  # numbers of a free body's pose
ROOM = 0.004  # m between things at every start
STAYS = 0.001  # m that a thing may settle in a good run


@pytest.fixture(scope="module")
def task() -> Task:
    return pick_clutter()


def test_twelve_free_things_stand_around_the_cube(task: Task) -> None:
    model = task.scene.model
    free = [model.body(int(model.jnt_bodyid[j])).name for j in range(model.njnt) if model.jnt_type[j] == 0]
    assert free == ["cube", *OTHERS]
    assert (len(OTHERS), model.nv) == (12, 9 + 13 * 6)
    assert model.opt.jacobian == mujoco.mjtJacobian.mjJAC_DENSE


def test_every_thing_is_watched_by_a_guard(task: Task) -> None:
    guards = " ".join(str(r.formula) for r in task.spec.requirements if isinstance(r.formula, Always))
    assert all(f"speed({name})" in guards for name in OTHERS)


def test_nothing_touches_anything_else_at_any_start(task: Task) -> None:
    model = task.scene.model
    shapes = [int(model.body(name).geomadr[0]) for name in ("cube", *OTHERS)]
    for seed in range(50):
        data = task.scene.data(task.start(seed))
        mujoco.mj_kinematics(model, data)
        for first, second in combinations(shapes, 2):
            assert mujoco.mj_geomDistance(model, data, first, second, ROOM, None) >= ROOM


def test_the_good_plan_moves_the_cube_alone(task: Task) -> None:
    model, start, lane = task.scene.model, task.start(0), np.array([0])
    (compiled,) = compile_for(task, start[None], [task.good])
    controls = np.repeat(compiled.controls, task.samples // task.steps, axis=0)
    engine = MujocoEngine(model, 1)
    engine.load(lane, start[None])
    engine.advance(lane, controls[None])
    moved = np.abs(engine.state(lane)[0] - start)[1 + 9 : 1 + model.nq].reshape(-1, FREE)[:, :3].max(axis=1)
    assert moved[0] > 0.1
    assert moved[1:].max() < STAYS


@pytest.mark.parametrize("height", [0.02, 0.03])
def test_coming_in_low_from_the_side_pushes_a_brick(task: Task, height: float) -> None:
    path = [(0.45, -0.25, 0.15), (0.45, -0.25, height), (0.52, 0.0, height)]
    low = [{"skill": "move_to", "position": list(point)} for point in path]
    verdict = wv.verify(task, [{"skills": [*low, PICK]}])[0]
    assert verdict.first_violation is not None and verdict.first_violation.requirement == "others"
