"""What points and calls ask for is motion that the compiler knows, and that physics agrees with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.envs.point_and_pick import CAMERA, point_and_pick
from worldverify.lift import Hit, lift_points, look
from worldverify.pointing import Motion, calls_to_skills, points_to_skills, points_to_waypoints
from worldverify.refusal import Refusal
from worldverify.task import Task

NEAR = 1e-9
HEIGHT = 0.15  # m
ORIGIN = (300.0, 500.0)  # [y, x] in thousandths: where the picture shows the base of the arm


@pytest.fixture(scope="module")
def task() -> Task:
    return point_and_pick()


def data_of(task: Task, seed: int = 0) -> Any:
    return task.scene.data(task.start(seed))


def where(task: Task, name: str, seed: int = 0) -> list[float]:
    picture = look(task.scene.model, data_of(task, seed), CAMERA, order="yx", unit="thousandths", arm=task.arm)
    point = picture.point_at(name)
    assert point is not None
    return point


def hits(task: Task, *points: Any, seed: int = 0) -> tuple[Hit, ...]:
    model, data = task.scene.model, data_of(task, seed)
    return lift_points(model, data, CAMERA, list(points), order="yx", unit="thousandths", arm=task.arm).hits


def skills(task: Task, *points: Any, use: Any = "pick_place") -> Motion:
    assert task.arm is not None
    return points_to_skills(task.scene.model, data_of(task), hits(task, *points), task.arm, use=use)


def called(task: Task, calls: Any, *, seed: int = 0, order: Any = "yx", origin: Any = ORIGIN) -> Motion:
    assert task.arm is not None
    return calls_to_skills(
        task.scene.model,
        data_of(task, seed),
        CAMERA,
        calls,
        task.arm,
        order=order,
        unit="thousandths",
        origin=origin,
        height=HEIGHT,
    )


def move(point: list[float], *, high: bool) -> dict[str, Any]:
    return {"call": "move", "x": point[0] - ORIGIN[0], "y": point[1] - ORIGIN[1], "high": high}


def grip(*, opened: bool) -> dict[str, Any]:
    return {"call": "setGripperState", "opened": opened}


def orchestration(task: Task, seed: int) -> list[dict[str, Any]]:
    """The calls of Google's notebook, at the places of a seed."""
    block, bowl = where(task, "blue_block", seed), where(task, "orange_bowl", seed)
    return [
        grip(opened=True),
        move(block, high=False),
        grip(opened=False),
        move(block, high=True),
        move(bowl, high=True),
        move(bowl, high=False),
        grip(opened=True),
    ]


def test_two_points_are_a_pick_and_a_place_that_pass(task: Task) -> None:
    motion = skills(task, where(task, "blue_block"), where(task, "orange_bowl"))
    assert motion.format == "skills"
    assert motion.warnings == ()
    assert motion.actions == (
        {"skill": "pick", "object": "blue_block"},
        {"skill": "place", "target": "orange_bowl"},
    )
    assert wv.verify(task, [{"skills": list(motion.actions)}])[0].status == "PASS"


def test_a_point_on_a_wide_surface_is_itself_the_place(task: Task) -> None:
    (spot,) = hits(task, [900, 300])
    motion = skills(task, where(task, "blue_block"), [900, 300])
    assert motion.actions[1] == {"skill": "place", "target": spot.position.tolist()}


def test_several_points_on_one_object_are_one_pick(task: Task) -> None:
    y, x = where(task, "blue_block")
    motion = skills(task, [y, x], [y + 3, x - 3], [y - 3, x], use="pick")
    assert motion.actions == ({"skill": "pick", "object": "blue_block"},)


def test_points_on_two_objects_are_no_pick(task: Task) -> None:
    with pytest.raises(Refusal, match="must show one object") as refused:
        skills(task, where(task, "blue_block"), where(task, "red_block"), use="pick")
    assert refused.value.code == "ambiguous"


def test_what_is_fixed_cannot_be_picked_up(task: Task) -> None:
    with pytest.raises(Refusal, match="shows 'orange_bowl', which is fixed; these can be picked up: blue_block"):
        skills(task, where(task, "orange_bowl"), use="pick")


def test_an_object_is_not_put_on_itself(task: Task) -> None:
    with pytest.raises(Refusal, match="shows 'blue_block' itself; point at where to put it"):
        skills(task, where(task, "blue_block"), where(task, "blue_block"))


def test_one_point_is_not_enough_to_pick_and_place(task: Task) -> None:
    with pytest.raises(Refusal, match="at least 2 points"):
        skills(task, where(task, "blue_block"))


def test_a_path_goes_the_given_height_above_each_point(task: Task) -> None:
    found = hits(task, where(task, "blue_block"), [900, 400], where(task, "bin"))
    motion = points_to_waypoints(found, height=HEIGHT)
    assert motion.format == "ee_waypoints"
    for hit, waypoint in zip(found, motion.actions, strict=True):
        assert list(waypoint) == ["position"]
        assert np.abs(np.array(waypoint["position"]) - hit.position - [0, 0, HEIGHT]).max() < NEAR
    assert wv.verify(task, [{"waypoints": list(motion.actions)}])[0].status == "FAIL"


@pytest.mark.parametrize("seed", range(4))
def test_the_calls_of_an_orchestrating_model_pass(task: Task, seed: int) -> None:
    motion = called(task, orchestration(task, seed), seed=seed)
    verdict = wv.verify(task, [{"skills": list(motion.actions)}], state=task.start(seed))[0]
    assert verdict.status == "PASS", verdict.explain()


def test_the_other_order_of_the_same_numbers_is_another_plan(task: Task) -> None:
    calls = orchestration(task, 0)
    swapped = called(task, calls, order="xy", origin=ORIGIN[::-1])
    verdict = wv.verify(task, [{"skills": list(swapped.actions)}])[0]
    assert verdict.status != "PASS"


def test_a_low_move_comes_down_from_where_the_object_clears_the_hand(task: Task) -> None:
    block = where(task, "blue_block")
    down = called(task, [move(block, high=False)]).actions
    assert [skill["skill"] for skill in down] == ["move_to", "move_to"]
    above, grasp = (np.array(skill["position"]) for skill in down)
    assert above[:2].tolist() == grasp[:2].tolist()
    assert above[2] - grasp[2] > HEIGHT
    middle = data_of(task).joint("blue_block_free").qpos[:3]
    assert np.abs(grasp - middle).max() < 1e-6


def test_from_low_to_low_the_tool_goes_straight(task: Task) -> None:
    calls = [move([900, 400], high=False), move([900, 600], high=False)]
    first, second = called(task, calls).actions[-2:]
    assert first["position"][2] == pytest.approx(second["position"][2], abs=NEAR)


def test_returning_to_the_origin_rises_before_it_goes_home(task: Task) -> None:
    actions = called(task, [move([900, 400], high=False), {"call": "returnToOrigin"}]).actions
    assert [skill["skill"] for skill in actions] == ["move_to", "move_to", "move_to", "home"]
    assert actions[2]["position"] == actions[0]["position"]


def test_a_held_block_can_be_put_back_where_it_was(task: Task) -> None:
    block = where(task, "blue_block")
    calls = [move(block, high=False), grip(opened=False), move(block, high=True), move(block, high=False)]
    actions = called(task, [*calls, grip(opened=True)]).actions
    lowest = [skill["position"] for skill in actions if skill["skill"] == "move_to"]
    assert abs(lowest[-1][2] - lowest[1][2]) < 0.011


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"call": "mov", "x": 1, "y": 1, "high": True}, "unknown_skill"),
        ({}, "unknown_skill"),
        ({"call": "move", "x": 1, "y": 1}, "missing_key"),
        ({"call": "move", "x": 1, "y": 1, "high": True, "z": 1}, "unknown_key"),
        ({"call": "move", "x": 1, "y": 1, "high": 1}, "wrong_type"),
        ({"call": "move", "x": "1", "y": 1, "high": True}, "wrong_type"),
        ({"call": "move", "x": True, "y": 1, "high": True}, "wrong_type"),
        ({"call": "move", "x": float("nan"), "y": 1, "high": True}, "not_finite"),
        ({"call": "move", "x": 10**400, "y": 1, "high": True}, "not_finite"),
        ({"call": "move", "x": 900, "y": 1, "high": True}, "outside_image"),
        ({"call": "setGripper", "opened": "yes"}, "wrong_type"),
    ],
)
def test_a_broken_call_is_refused_by_its_number(task: Task, call: Any, code: str) -> None:
    with pytest.raises(Refusal, match=r"^Call 2") as refused:
        called(task, [{"call": "returnToOrigin"}, call])
    assert refused.value.code == code


def test_no_calls_are_no_plan(task: Task) -> None:
    with pytest.raises(Refusal, match="at least one"):
        called(task, [])


def test_the_plan_that_gemini_wrote_reaches_the_bowl_in_its_own_order_of_axes(task: Task, model_outputs: Path) -> None:
    file = model_outputs / "gemini3-flash-cookbook-task-orchestration" / "blue_block_to_orange_bowl_plan.txt"
    text = file.read_text(encoding="utf-8")
    calls = [{"call": c["function"], **c["args"]} for c in json.loads(text[text.index("Plan:") + 5 :])]
    motion = called(task, calls)
    assert wv.verify(task, [{"skills": list(motion.actions)}])[0].status == "PASS"
