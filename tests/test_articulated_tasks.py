"""Drawers, buttons, knobs and pegs: what the fixtures do by themselves, and what the tasks do not let pass."""

from collections.abc import Callable
from functools import cache
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.envs.fixtures import (
    HANDLE,
    HOLE,
    PEG,
    PRESS,
    TRAVEL,
    button,
    cabinet,
    hole_block,
    knob,
    panel,
    peg,
)
from worldverify.envs.moves import CLOSE, OPEN, facing, to, wait
from worldverify.envs.open_drawer import open_drawer
from worldverify.envs.parts import Part, scene_spec, table
from worldverify.envs.peg_insertion import peg_insertion
from worldverify.envs.place_in_drawer import place_in_drawer
from worldverify.envs.press_button import press_button
from worldverify.task import Task
from worldverify.verdict import Verdict

STILL, FAR = 1e-3, 1e-2  # m or rad: friction in MuJoCo creeps a little
PERIOD = 0.5  # s, after which a spring or a push has done what it does


@cache
def made(maker: Callable[[], Task]) -> Task:
    return maker()


def settled(*parts: Part, joint: str, start: float = 0.0, force: float = 0.0) -> float:
    """Where a joint is after half a second with a constant force (N or N m) along it, the arm at home."""
    model = scene_spec(table(), *parts).compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.joint(joint).qpos[0] = start
    data.qfrc_applied[model.joint(joint).dofadr[0]] = force
    for _ in range(round(PERIOD / model.opt.timestep)):
        mujoco.mj_step(model, data)
    return float(data.joint(joint).qpos[0])


def judged(task: Task, *steps: Any, **options: Any) -> Verdict:
    return wv.verify(task, [{"skills": list(steps)}], margins="full", **options)[0]


def steps_of(task: Task) -> list[dict[str, Any]]:
    assert task.good is not None
    return list(task.good.to_json()["actions"])


def violated(verdict: Verdict) -> set[str]:
    return {name for name, margin in verdict.margins.items() if margin.value is not None and margin.value < 0}


def where(task: Task, name: str) -> Any:
    data = task.scene.data(task.start())
    mujoco.mj_kinematics(task.scene.model, data)
    return np.array(data.body(name).xpos)


@pytest.mark.parametrize(("force", "moves"), [(0.0, False), (1.5, False), (-1.5, False), (3.0, True), (-3.0, True)])
def test_friction_of_two_newtons_holds_a_drawer(force: float, moves: bool) -> None:
    left = settled(cabinet((0.5, 0.38)), joint="drawer_slide", start=0.1, force=force)
    assert (abs(left - 0.1) > FAR) == moves
    assert moves or abs(left - 0.1) < STILL


def test_a_drawer_runs_free_of_the_cabinet_over_its_whole_way() -> None:
    model = scene_spec(table(), cabinet((0.5, 0.38))).compile()
    data = mujoco.MjData(model)
    sides = [model.geom(f"tray_{side}").id for side in ("left", "right", "back", "floor")]
    shell = [model.geom(f"cabinet_{side}").id for side in ("left", "right", "top", "bottom", "back")]
    for opening in np.linspace(0.0, TRAVEL, 5):
        data.joint("drawer_slide").qpos[0] = opening
        mujoco.mj_kinematics(model, data)
        gaps = [mujoco.mj_geomDistance(model, data, a, b, 1.0, None) for a in sides for b in shell]
        assert min(gaps) > 0.001


def test_a_cabinet_that_starts_open_is_the_same_cabinet() -> None:
    here = []
    for opening in (0.0, 0.13):
        model = scene_spec(table(), cabinet((0.5, 0.38), opening=opening)).compile()
        data = mujoco.MjData(model)
        data.joint("drawer_slide").qpos[0] = 0.05
        mujoco.mj_kinematics(model, data)
        here.append(np.array(data.body("handle").xpos))
    np.testing.assert_allclose(here[0], here[1], atol=1e-12)
    np.testing.assert_allclose(here[0], np.add((0.5, 0.38 - 0.05, 0.0), HANDLE), atol=1e-12)


@pytest.mark.parametrize("force", [4.0, 6.0])
def test_a_button_gives_way_as_its_spring_says(force: float) -> None:
    parts = panel((0.5, 0.05), size=(0.2, 0.2)), button("bell", (0.5, 0.05), rgba=(0.2, 0.6, 0.3, 1))
    down = settled(*parts, joint="bell_slide", force=force)
    assert down == pytest.approx((force + 0.1 * 9.81) / 400 - 0.01, abs=STILL / 5)
    assert abs(settled(*parts, joint="bell_slide", start=PRESS)) < STILL  # it comes back by itself


@pytest.mark.parametrize(("torque", "turns"), [(0.05, False), (0.07, True)])
def test_friction_holds_a_knob(torque: float, turns: bool) -> None:
    angle = settled(panel((0.5, 0.05), size=(0.2, 0.2)), knob("dial", (0.5, 0.05)), joint="dial_hinge", force=torque)
    assert (angle > 10 * FAR) == turns


@pytest.mark.parametrize("clearance", [0.0005, 0.003])
def test_a_hole_is_wider_than_its_peg_by_the_clearance(clearance: float) -> None:
    model = scene_spec(table(), hole_block((0.5, 0.15), clearance=clearance), peg("peg", (0.4, -0.2))).compile()
    data = mujoco.MjData(model)
    data.joint("peg_free").qpos[:3] = 0.5, 0.15, 0.06 - HOLE + PEG[2] + 0.001
    mujoco.mj_kinematics(model, data)
    shaft = model.geom("peg_shaft").id
    for side in ("left", "right", "front", "back"):
        gap = mujoco.mj_geomDistance(model, data, shaft, model.geom(f"socket_{side}").id, 1.0, None)
        assert gap == pytest.approx(clearance, abs=1e-6)


def test_a_hole_as_wide_as_the_peg_is_refused() -> None:
    with pytest.raises(ValueError, match="clearance of a hole lies between"):
        peg_insertion(0.0)


def test_half_the_room_is_enough_for_the_peg() -> None:
    task = peg_insertion(0.0007)
    assert wv.verify(task, [task.good])[0].status == "PASS"


def test_a_peg_that_is_not_turned_to_the_hole_does_not_go_in() -> None:
    task = made(peg_insertion)
    above = [0.5, 0.15, 0.2]
    turned = {"skill": "place", "target": "hole"}
    verdict = judged(task, {"skill": "pick", "object": "peg"}, to(above, 0.6), turned)
    assert {"inserted", "stays"} <= violated(verdict)


def test_a_drawer_opens_in_a_grasp_as_it_does_on_a_hook() -> None:
    task = made(open_drawer)
    at = where(task, "handle")
    steps = [(0.8, (0, 0, 0.12), 1), (1.4, (0, 0, 0), 1), (2.0, (0, 0, 0), 0), (4.0, (0, -0.17, 0), 0)]
    steps += [(4.5, (0, -0.17, 0), 1), (5.2, (0, -0.17, 0.14), 1)]
    plan = [
        {"position": (at + by).tolist(), "orientation": facing(0.0), "gripper": grip, "time": time}
        for time, by, grip in steps
    ]
    verdict = wv.verify(task, [{"waypoints": plan}])[0]
    assert verdict.status == "PASS", verdict.reason


def test_a_drawer_that_is_open_already_is_no_start() -> None:
    task = made(open_drawer)
    data = task.scene.data(task.start())
    data.joint("drawer_slide").qpos[0] = 0.18
    verdict = judged(task, wait(0.2), state=task.scene.state_of(data))
    assert (verdict.status, verdict.code) == ("INVALID", "precondition")


def test_a_drawer_that_is_flying_open_is_no_start() -> None:
    task = made(open_drawer)
    data = task.scene.data(task.start())
    data.joint("drawer_slide").qvel[0] = 2.0
    assert judged(task, wait(0.2), state=task.scene.state_of(data)).code == "precondition"


def test_a_tap_is_no_press() -> None:
    task = made(press_button)
    top = where(task, "green_button")
    tap = [CLOSE, to(np.add(top, (0, 0, 0.03))), to(np.add(top, (0, 0, -0.002))), to(np.add(top, (0, 0, 0.06)))]
    assert violated(judged(task, *tap)) == {"pressed"}


def test_a_button_that_is_kept_down_is_not_pressed_once() -> None:
    task = made(press_button)
    top = where(task, "green_button")
    assert violated(judged(task, CLOSE, to(np.add(top, (0, 0, -0.003))))) == {"pressed", "released"}


def test_an_empty_drawer_that_opens_and_shuts_holds_no_cube() -> None:
    task = made(place_in_drawer)
    without = [step for step in steps_of(task) if step["skill"] not in ("pick", "place")]
    assert {"tidied", "stays"} <= violated(judged(task, *without))


def test_a_cube_in_a_drawer_that_stays_open_is_not_put_away() -> None:
    task = made(place_in_drawer)
    skills = steps_of(task)
    last = [step["skill"] for step in skills].index("place")
    assert violated(judged(task, *skills[: last + 1], OPEN)) == {"tidied", "stays"}


def test_sub_goals_in_the_wrong_order_do_not_count() -> None:
    task = made(place_in_drawer)
    skills = steps_of(task)
    pick = [step["skill"] for step in skills].index("pick")
    verdict = judged(task, *skills[pick : pick + 3])  # on top of the cabinet, with the drawer shut
    assert {"tidied", "stays"} <= violated(verdict)
