"""Pushing, placing, stacking, carrying: what the tasks count, and that their physics is that of the book."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import compile_for
from worldverify.envs.arm_task import positions, waypoint
from worldverify.envs.carry_upright import carry_upright
from worldverify.envs.moves import to
from worldverify.envs.place_on_plate import place_on_plate
from worldverify.envs.push_cube import FRICTION, ZONE, push_cube
from worldverify.envs.stack_cube import HALF, PICK, stack_cube
from worldverify.envs.tableware import CUP_INNER, DEPTH, FREEBOARD, GRAVITY, MODE, SPILL
from worldverify.kernels.sweep import collidable_pairs
from worldverify.scene import build_scene
from worldverify.spec import Spec
from worldverify.task import Task

SEEDS = 30
STEADY = 0.05  # share: soft contacts and the servos share out a steady force within it
SWING = 0.02  # share: the bob of the pendulum has a size, and the swing is damped
TASKS = {"push": push_cube, "stack": stack_cube, "plate": place_on_plate, "carry": carry_upright}


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return {name: make() for name, make in TASKS.items()}


@pytest.mark.tasks
@pytest.mark.parametrize("name", TASKS)
def test_the_good_plan_passes_from_thirty_starts(tasks: dict[str, Task], name: str) -> None:
    task = tasks[name]
    starts = np.stack([task.start(seed) for seed in range(SEEDS)])
    assert [v.status for v in wv.verify(task, [task.good] * SEEDS, state=starts)] == ["PASS"] * SEEDS


@pytest.mark.parametrize("name", TASKS)
def test_no_cylinder_of_a_tabletop_task_touches_anything(tasks: dict[str, Task], name: str) -> None:
    model = tasks[name].scene.model
    touching = {i for pair in collidable_pairs(model) for i in pair}
    assert int(mujoco.mjtGeom.mjGEOM_CYLINDER) not in {int(model.geom_type[i]) for i in touching}


def test_a_cube_is_pushed_with_its_friction_times_its_weight(tasks: dict[str, Task]) -> None:
    task = tasks["push"]
    model = task.scene.model
    shape = model.geom("cube_box").id
    forward = []
    for data in run(task, task.good):
        if 3.1 < data.time < 3.5:  # half way, at even speed
            forward.append(sum(contact_force(model, data, i)[0] for i in pushing(model, data, shape)))
    slides = FRICTION * model.body("cube").mass[0] * GRAVITY
    # The fingers' own friction may press the cube on the table, or lift it, by FRICTION times what they push with.
    assert slides / (1 + FRICTION**2) < np.mean(forward) < slides / (1 - FRICTION**2)


def test_a_cube_dragged_to_the_zone_in_the_grip_is_not_pushed(tasks: dict[str, Task]) -> None:
    task = tasks["push"]
    x, y, z = positions(task.scene, task.start(), ["cube"])["cube"]
    way = [((x, y, 0.12), 1, 1.0), ((x, y, z), 1, 1.6), ((x, y, z), 0, 2.4), ((*ZONE, z), 0, 5.0)]
    away = [((*ZONE, z), 1, 5.6), ((*ZONE, 0.15), 1, 6.4)]
    drag = [waypoint(at, gripper=gripper, time=time) for at, gripper, time in (*way, *away)]
    (verdict,) = wv.verify(task, [{"waypoints": drag}], margins="full")
    assert verdict.first_violation is not None and verdict.first_violation.requirement == "flat"
    assert [name for name, margin in verdict.margins.items() if not margin.interval[0] > 0] == ["flat", "gentle"]


@pytest.mark.parametrize("above", [0.0, 0.005])
def test_a_cube_held_on_or_over_the_other_is_not_stacked(tasks: dict[str, Task], above: float) -> None:
    task = tasks["stack"]
    x, y, z = positions(task.scene, task.start(), ["green_cube"])["green_cube"]
    hold = [PICK, to((x, y, z + 6 * HALF)), to((x, y, z + 2 * HALF + above))]
    (verdict,) = wv.verify(task, [{"skills": hold}])
    assert verdict.first_violation is not None and verdict.first_violation.requirement == "stacked"


def test_the_plate_bears_the_weight_of_the_carrot(tasks: dict[str, Task]) -> None:
    task = tasks["plate"]
    spec = Spec.parse("bears: at_end(contact_load(carrot, plate) > 0.3 N)")
    alone = replace(task, spec=spec, scene=build_scene(task.scene.source, spec, keyframe="home"))
    (verdict,) = wv.verify(alone, [task.good], margins="full")
    carried = verdict.margins["bears"].value
    assert carried is not None
    assert carried + 0.3 == pytest.approx(task.scene.model.body("carrot").subtreemass[0] * GRAVITY, rel=STEADY)


def test_the_water_in_the_cup_swings_at_the_rate_of_the_first_slosh_mode(tasks: dict[str, Task]) -> None:
    task = tasks["carry"]
    model, data = task.scene.model, task.scene.data(task.start())
    data.joint("cup_slosh_x").qpos = 0.05
    slope = []
    for _ in range(500):
        mujoco.mj_step(model, data)
        slope.append(float(data.joint("cup_slosh_x").qpos[0]))
    rising = np.flatnonzero((np.array(slope[:-1]) < 0) & (np.array(slope[1:]) >= 0))
    period = float(np.mean(np.diff(rising))) * task.timestep
    wave = MODE / CUP_INNER  # 1/m
    assert 2 * math.pi / period == pytest.approx(math.sqrt(GRAVITY * wave * math.tanh(wave * DEPTH)), rel=SWING)


@pytest.mark.parametrize("across", [1.0, 3.0])
def test_the_water_leans_as_a_free_surface_does_under_a_steady_acceleration(
    tasks: dict[str, Task], across: float
) -> None:
    task = tasks["carry"]
    model, data = task.scene.recompile(int(task.scene.model.narena)), task.scene.data(task.start())
    model.opt.gravity[:] = (-across, 0, -GRAVITY)  # as in a cup that is accelerated along x
    for _ in range(1500):
        mujoco.mj_step(model, data)
    x, y = (float(data.joint(f"cup_slosh_{axis}").qpos[0]) for axis in "xy")
    assert math.hypot(x, y) == pytest.approx(math.atan(across / GRAVITY), rel=SWING)


def test_the_limit_of_the_slope_is_where_the_water_reaches_the_rim(tasks: dict[str, Task]) -> None:
    assert CUP_INNER * math.tan(SPILL) == pytest.approx(FREEBOARD)
    assert "< 20 deg" in str(tasks["carry"].spec.requirements[2].formula)
    assert math.radians(20.0) < SPILL < math.radians(20.5)


def run(task: Task, plan: Any) -> Iterator[Any]:
    """MuJoCo's data after every physics step of a plan from the start of seed 0."""
    start = task.start()
    (compiled,) = compile_for(task, start[None], [plan])
    data = task.scene.data(start)
    for control in np.repeat(compiled.controls, task.substeps, axis=0):
        data.ctrl[:] = control
        mujoco.mj_step(task.scene.model, data)
        yield data


def pushing(model: Any, data: Any, shape: int) -> list[int]:
    """Contacts of a finger with a geom."""
    fingers = {model.geom(f"{side}_finger_shape").id for side in ("left", "right")}
    return [i for i, c in enumerate(data.contact) if shape in c.geom and fingers & set(c.geom.tolist())]


def contact_force(model: Any, data: Any, contact: int) -> Any:
    """(3,) N in the contact's frame, the normal first."""
    force = np.zeros(6)
    mujoco.mj_contactForce(model, data, contact, force)
    return force[:3]
