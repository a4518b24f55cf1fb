"""Statistics are the user's, in the files that training code writes, and are checked before they are believed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from worldverify.action import PLAIN, ActionSpec, of_arms
from worldverify.presets import names, preset
from worldverify.statistics import APPLIED, read_statistics, with_statistics

LOW, HIGH = [-0.1 * k for k in range(1, 8)], [0.2 * k for k in range(1, 8)]
MASK = [True] * 6 + [False]
ACTIONS = {"q01": LOW, "q99": HIGH, "mean": [0.5] * 7, "std": [0.1] * 7, "min": LOW, "max": HIGH, "count": [12]}

# As each project writes them.
OPENVLA = {"libero_spatial": {"action": {**ACTIONS, "mask": MASK}, "proprio": {"q01": [0.0]}, "num_trajectories": 432}}
OPENPI = {"norm_stats": {"state": {"mean": [0.0], "std": [1.0]}, "actions": ACTIONS}}
LEROBOT = {"observation.state": {"mean": [0.0]}, "action": ACTIONS, "timestamp": {"mean": [1.0]}}
BARE = {"q01": LOW, "q99": HIGH}


@pytest.mark.parametrize("statistics", [OPENVLA, OPENPI, LEROBOT, BARE], ids=["openvla", "openpi", "lerobot", "bare"])
def test_files_of_training_code_are_read_as_they_are(statistics: Any) -> None:
    spec = with_statistics(preset("openvla-oft-libero"), json.loads(json.dumps(statistics)))
    assert spec.normalisation.first == tuple(LOW)
    assert spec.normalisation.second == tuple(HIGH)
    assert spec.normalisation.mask == tuple(MASK)
    assert spec.normalisation.epsilon == 1e-8
    assert not spec.needs_statistics


def test_a_mask_of_the_file_stands_before_that_of_the_preset() -> None:
    spec = with_statistics(preset("openvla-oft-libero"), {**BARE, "mask": [True] * 7})
    assert spec.normalisation.mask == (True,) * 7


def test_each_kind_takes_its_own_two_lists() -> None:
    base = preset("openvla-oft-libero")
    for kind, first, second in (("zscore", "mean", "std"), ("min_max", "min", "max"), ("q01_q99", "q01", "q99")):
        asked = replace(base, normalisation=base.normalisation._replace(kind=kind))
        found = with_statistics(asked, OPENPI).normalisation
        assert (found.first, found.second) == (tuple(ACTIONS[first]), tuple(ACTIONS[second]))


def test_of_several_data_sets_one_must_be_named() -> None:
    two = {"bridge": OPENVLA["libero_spatial"], "fractal": {"action": {"q01": [0.0], "q99": [1.0]}}}
    spec = preset("openvla-bridge")
    with pytest.raises(ValueError, match=r"several data sets \('bridge', 'fractal'\); name the one that is meant"):
        with_statistics(spec, two)
    assert with_statistics(spec, two, "bridge").normalisation.first == tuple(LOW)
    with pytest.raises(ValueError, match="Did you mean 'bridge'"):
        with_statistics(spec, two, "brigde")
    with pytest.raises(ValueError, match="'q01' as a list of 1 number; openvla-bridge needs 7 finite numbers"):
        with_statistics(spec, two, "fractal")


@pytest.mark.parametrize(
    ("statistics", "said"),
    [
        (5, "The statistics are the number 5; give 'applied' or an object with 'q01' and 'q99'"),
        (None, "The statistics are null"),
        ("aplied", "The statistics are the string 'aplied'; give 'applied'"),
        ({}, "needs 'q01' and 'q99' of its actions; the statistics have none"),
        ({"mean": LOW, "std": HIGH}, "needs 'q01' and 'q99' of its actions; the statistics have mean, std"),
        ({"q01": LOW}, "the statistics have q01"),
        (
            {**BARE, "q99": HIGH[:6]},
            "'q99' as a list of 6 numbers; openvla-oft-libero needs 7 finite numbers: position",
        ),
        ({**BARE, "q99": "high"}, "'q99' as the string 'high'"),
        ({**BARE, "q99": [*HIGH[:6], None]}, "needs 7 finite numbers"),
        ({**BARE, "q99": [*HIGH[:6], float("nan")]}, "needs 7 finite numbers"),
        ({**BARE, "q99": [*HIGH[:6], 10**400]}, "needs 7 finite numbers"),
        ({**BARE, "q99": [*HIGH[:6], 1e300]}, "needs 7 finite numbers"),
        ({"q01": HIGH, "q99": LOW}, "lower bounds that are not above the upper ones"),
        ({**BARE, "mask": [1] * 7}, "'mask' as a list of 7 numbers; openvla-oft-libero needs 7 booleans"),
        ({**BARE, "mask": MASK[:6]}, "needs 7 booleans"),
        ({"a": {"action": 5}}, "the statistics have action"),
    ],
)
def test_statistics_that_do_not_fit_are_refused_with_what_would(statistics: object, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        with_statistics(preset("openvla-oft-libero"), statistics)


@pytest.mark.parametrize("name", [name for name in names() if preset(name).needs_statistics])
def test_numbers_that_are_undone_already_need_none(name: str) -> None:
    done = with_statistics(preset(name), APPLIED)
    assert not done.needs_statistics
    assert all(part.normalisation == PLAIN for part in (done, *(arm for _, arm in done.arms)))


def test_a_contract_that_is_not_normalised_takes_none() -> None:
    with pytest.raises(ValueError, match="fetch-v4 is not normalised, so statistics mean nothing for it"):
        with_statistics(preset("fetch-v4"), BARE)
    assert with_statistics(preset("fetch-v4"), APPLIED) == preset("fetch-v4")


def test_statistics_of_two_arms_stand_one_after_the_other() -> None:
    low, high = list(map(float, range(14))), list(map(float, range(1, 15)))
    spec = with_statistics(preset("openvla-oft-aloha"), {"min": low, "max": high})
    assert [arm.normalisation.second for _, arm in spec.arms] == [tuple(high[:7]), tuple(high[7:])]
    assert not spec.needs_statistics
    with pytest.raises(ValueError, match="needs 14 finite numbers"):
        with_statistics(preset("openvla-oft-aloha"), {"min": low[:7], "max": high[:7]})


def test_arms_that_are_normalised_differently_are_given_theirs_one_by_one() -> None:
    left, right = (arm for _, arm in preset("openvla-oft-aloha").arms)
    other = replace(right, normalisation=right.normalisation._replace(kind="zscore"))
    two = of_arms("two", "1", [("left", left), ("right", other)])
    with pytest.raises(ValueError, match="normalised by min_max and by zscore: give each arm its own"):
        with_statistics(two, {"min": [0.0] * 14, "max": [1.0] * 14})


def test_given_statistics_are_part_of_the_contract_and_survive_json() -> None:
    spec = with_statistics(preset("openvla-libero"), OPENVLA)
    assert ActionSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert spec != with_statistics(preset("openvla-libero"), BARE | {"q01": [-1.0] * 7})


def test_a_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    good, list_of, broken = tmp_path / "stats.json", tmp_path / "list.json", tmp_path / "broken.json"
    good.write_bytes(b"\xef\xbb\xbf" + json.dumps(OPENVLA).encode())
    list_of.write_text("[1]")
    broken.write_text("{")
    assert read_statistics(good) == OPENVLA
    with pytest.raises(ValueError, match=r"list\.json holds a list of 1 number; a file of statistics holds an object"):
        read_statistics(list_of)
    with pytest.raises(ValueError, match=r"broken\.json is not JSON"):
        read_statistics(broken)
    with pytest.raises(FileNotFoundError):
        read_statistics(tmp_path / "none.json")
