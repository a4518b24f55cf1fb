"""One motion is judged the same by whichever contract it is written, and not at all by that of another robot."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.presets import names, preset

MOTIONS = (
    ("ReachSafe-v0", "good"),
    ("ReachSafe-v0", "dips"),
    ("PickCube-v0", "good"),
    ("PickCube-v0", "beside"),
    ("PickCube-v0", "level"),
    ("PutInBasket-v0", "good"),
    ("PutInBasket-v0", "placed"),
)
LONG = {"PutInBasket-v0"}  # under `make test-tasks`
OTHER_ROBOTS = ("gym-aloha", "openpi-aloha", "openvla-oft-aloha", "lerobot-so101-degrees", "lerobot-so101-range100")


@pytest.fixture(scope="module")
def example(root: Path) -> dict[str, Any]:
    """What examples/same_motion.py defines."""
    return runpy.run_path(str(root / "examples" / "same_motion.py"))


@pytest.mark.parametrize(
    ("task", "motion"),
    [pytest.param(*pair, marks=[pytest.mark.tasks] * (pair[0] in LONG), id=" ".join(pair)) for pair in MOTIONS],
)
def test_a_motion_has_the_same_verdict_and_near_margins_in_every_preset(
    example: dict[str, Any], task: str, motion: str
) -> None:
    family = {name: kind for kind in example["FAMILIES"].values() for name in kind.presets}
    rows = example["judged"](task, motion)
    assert len(rows) >= len(family) - 1
    for row in rows:
        assert row.status == row.expected == ("PASS" if motion in ("good", "level") else "FAIL"), row
        for unit, apart in row.apart.items():
            assert apart <= family[row.preset].within[unit], row


def test_the_motions_and_presets_of_the_table_are_all_there_are(example: dict[str, Any]) -> None:
    assert example["MOTIONS"] == MOTIONS
    of_this_arm = {name for name in names() if preset(name).layout} - set(OTHER_ROBOTS)
    assert {name for kind in example["FAMILIES"].values() for name in kind.presets} == of_this_arm


def test_the_kept_table_agrees_everywhere_and_stands_on_the_page(example: dict[str, Any], root: Path) -> None:
    kept = json.loads((root / "docs" / "benchmarks" / "conventions.json").read_text())
    rows = [example["Row"](**row) for row in kept["rows"]]
    assert all(row.status == row.expected for row in rows)
    page = (root / "docs" / "conventions.md").read_text().splitlines()
    for name, line in zip(example["FAMILIES"], example["table"](rows).splitlines()[1:], strict=True):
        (shown,) = [[cell.strip() for cell in row.split("|")[1:-1]] for row in page if row.startswith(f"| {name} |")]
        assert shown[2:] == line.split()[1:]


def test_the_plan_that_the_page_shows_is_that_of_the_example(root: Path) -> None:
    code = (root / "examples" / "six_conventions.py").read_text().partition('"""\n\n')[2]
    assert f"```python\n{code}```\n" in (root / "docs" / "conventions.md").read_text()


@pytest.mark.parametrize("name", OTHER_ROBOTS)
def test_a_plan_for_another_robot_is_refused(name: str) -> None:
    spec = preset(name)
    if spec.needs_statistics:
        least, most = (-1.0,) * spec.width, (1.0,) * spec.width
        if spec.arms:
            scale = spec.arms[0][1].normalisation._replace(first=least, second=most)
        else:
            scale = spec.normalisation._replace(first=least, second=most)
        spec = preset(name, normalisation=scale)
    line = {"format": spec, "rate_hz": spec.rate_hz or 30.0, "actions": np.zeros((3, spec.width))}
    (verdict,) = wv.verify("PickCube-v0", [line])
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "plan", "wrong_robot"), verdict.reason
