"""The scripted proposer: good plans pass in every format, others become verdicts, and all of it can be repeated."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.plan import admit
from worldverify.presets import names, preset
from worldverify.proposing.scripted import KINDS, propose_scripted, scripted_formats
from worldverify.proposing.scripted_text import DAMAGES, WRAPPERS
from worldverify.refusal import Refusal
from worldverify.task import Task

PICK = "PickCube-v0"
SEED = 3
CART = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 0.1"/>
    <body name="puck" pos="0 0 0.051">
      <joint name="slide" type="slide" axis="1 0 0" damping="1"/>
      <geom name="puck" type="box" size="0.05 0.05 0.05" mass="1"/>
    </body>
  </worldbody>
  <actuator><motor name="push" joint="slide" ctrlrange="-5 5"/></actuator>
</mujoco>
"""


def cart(**options: Any) -> Task:
    """A puck that is to be pushed half a metre."""
    spec = "arrived: eventually(pos(puck).x > 0.5 m)"
    return Task.from_mjcf(CART, spec=spec, horizon=1.2, rate=25.0, name="cart", **options)


def test_the_same_arguments_give_the_same_lines_and_more_of_them_only_add() -> None:
    task = wv.load(PICK)
    few, many = propose_scripted(task, 7, seed=SEED), propose_scripted(task, 12, seed=SEED)
    assert few == many[:7]
    assert json.loads(json.dumps(many)) == many
    assert many != propose_scripted(task, 12, seed=SEED + 1)


def test_an_id_says_task_kind_and_number() -> None:
    lines = propose_scripted(wv.load(PICK), 6)
    assert [line["id"] for line in lines] == [f"{PICK}/scripted/{KINDS[i % 3]}/{i}" for i in range(6)]


# Where a good plan is good by its timing: a format that rounds it, or writes it without times, may spoil it.
DELICATE = {
    "PushCube-v0",
    "PlaceOnPlate-v0",
    "PegInsertion-v0",
    "OpenDrawer-v0",
    "CloseDrawer-v0",
    "PressButton-v0",
} | {
    "TurnKnob-v0",
    "PlaceInDrawer-v0",
    "CarryUpright-v0",
    "NavigateCrowd-v0",
}


def test_the_good_plan_of_a_task_reaches_the_physics_in_each_of_its_own_formats(a_task: str) -> None:
    task = wv.load(a_task)
    own = [format for format in scripted_formats(task, seed=SEED) if format in task.contracts]
    assert own
    good_in(task, own)


@pytest.mark.tasks
@pytest.mark.parametrize("name", wv.tasks())
def test_the_good_plan_of_every_task_reaches_the_physics_in_every_preset(name: str) -> None:
    task = wv.load(name)
    good_in(task, [format for format in scripted_formats(task, seed=SEED) if format not in task.contracts])


def test_a_place_is_written_in_the_frame_of_the_contract() -> None:
    good_in(wv.load("VoxelPlace-v0"), ["cap-calls"])  # its arm stands elsewhere, and turned


def good_in(task: Task, formats: Sequence[str]) -> None:
    """The good plan, as it is written in these formats, passes; a delicate one may fail, but is judged."""
    lines = [propose_scripted(task, 1, seed=SEED, formats=[format])[0] for format in formats]
    verdicts = wv.verify(task, lines, seed=SEED)
    for format, verdict in zip(formats, verdicts, strict=True):
        assert verdict.status == "PASS" or (task.name in DELICATE and verdict.status == "FAIL"), (
            format,
            verdict.reason,
        )


def test_no_scripted_plan_of_any_task_breaks_more_than_itself(a_task: str) -> None:
    task = wv.load(a_task)
    for verdict in wv.verify(task, propose_scripted(task, 4, seed=SEED), seed=SEED):
        assert verdict.cause in (None, "plan"), verdict.reason


def test_every_kind_of_format_is_among_those_of_a_task_that_picks_and_places_before_a_camera() -> None:
    offered = scripted_formats(wv.load("PointPick-v0"))
    assert {preset(name).syntax for name in offered if name in names()} >= {
        "rows",
        "waypoints",
        "trajectory",
        "voxels",
        "streams",
        "points",
        "cap_calls",
        "saycan_lines",
        "task_sequence",
        "pick_and_place_calls",
    }
    assert {"skills", "ee_waypoints", "joint_position", "ctrl"} <= set(offered)


def test_clumsy_plans_can_be_read_and_wrong_ones_hardly_ever_pass() -> None:
    task = wv.load(PICK)
    lines = propose_scripted(task, 60, seed=SEED)
    verdicts = wv.verify(task, lines, seed=SEED)
    found = {kind: [verdict for verdict in verdicts if f"/{kind}/" in str(verdict.id)] for kind in KINDS}
    assert all(verdict.status == "PASS" for verdict in found["good"])
    unread = [verdict for verdict in found["clumsy"] if verdict.status == "INVALID"]
    assert len(unread) <= 2, [verdict.reason for verdict in unread]
    assert {"PASS", "FAIL"} <= {verdict.status for verdict in found["clumsy"]}
    assert sum(verdict.status == "PASS" for verdict in found["wrong"]) <= 1
    assert len({verdict.code for verdict in found["wrong"]}) >= 6


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_models_put_around_a_plan_is_tolerated(wrapper: str) -> None:
    task = wv.load(PICK)
    text = WRAPPERS[wrapper]('{"skills": [{"skill": "pick", "object": "cube"}]}', np.random.default_rng(0))
    assert admit(text, contracts=task.contracts, default_rate=task.rate) == task.good


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "plan", ['{"skills": [{"skill": "pick", "object": "cube"}]}', '{"actions": [[0, 0.5, -1.25]]}']
)
def test_a_broken_text_is_no_plan(damage: str, plan: str) -> None:
    task = wv.load(PICK)
    for seed in range(20):
        with pytest.raises(Refusal):
            admit(DAMAGES[damage](plan, np.random.default_rng(seed)), contracts=task.contracts, default_rate=task.rate)


def test_a_task_without_an_arm_gets_raw_controls() -> None:
    task = cart(good={"actions": [[3.0]] * 30})
    lines = propose_scripted(task, 30)
    for line, verdict in zip(lines, wv.verify(task, lines), strict=True):
        assert verdict.cause in (None, "plan"), verdict.reason
        if "/good/" in str(line["id"]):
            assert verdict.status == "PASS", verdict.reason
    assert len({line["proposal"]["what"] for line in lines}) > 8  # type: ignore[index]


def test_without_a_good_plan_controls_are_tried_and_an_arm_is_refused() -> None:
    assert len(propose_scripted(cart(), 3)) == 3
    with pytest.raises(ValueError, match="has no good plan"):
        propose_scripted(replace(wv.load(PICK), good=None), 3)


def test_a_format_that_does_not_fit_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="cannot be written in 'gym-aloha'"):
        propose_scripted(wv.load(PICK), 3, formats=["gym-aloha"])


def test_lines_go_on_where_others_ended() -> None:
    task = wv.load(PICK)
    assert propose_scripted(task, 3, seed=SEED, first=4) == propose_scripted(task, 7, seed=SEED)[4:]
