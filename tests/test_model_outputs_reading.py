"""What real models wrote, where those files are present: each becomes a plan or a sentence, never a crash."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from worldverify.action import SKILLS, ActionSpec
from worldverify.contracts import ctrl, ee_waypoints, joint_position, skills
from worldverify.plan import Plan, admit, plan_id
from worldverify.plansfile import read_plans
from worldverify.refusal import CODES, Refusal

JOINTS = [f"joint{index}" for index in range(1, 8)]
CONTRACTS = {
    "an arm": {
        "joint_position": joint_position(JOINTS, 25.0),
        "ee_waypoints": ee_waypoints(),
        "skills": skills(list(SKILLS)),
    },
    "raw controls": {"ctrl": ctrl(8, 25.0)},
}


@pytest.mark.parametrize("contracts", CONTRACTS.values(), ids=CONTRACTS)
def test_every_file_becomes_a_plan_or_a_sentence(model_outputs: Path, contracts: Mapping[str, ActionSpec]) -> None:
    files = [path for path in model_outputs.rglob("*") if path.is_file()]
    assert files
    for path in files:
        candidates = read_plans(path)
        assert candidates, path
        for candidate in candidates:
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
