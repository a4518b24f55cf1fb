"""The training example: what is committed of its run says what the docs say, and its file needs nothing to be read."""

import ast
import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from worldverify.kernels.binomial import upper_bound

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "train_reach.py"


@pytest.fixture(scope="module")
def run() -> Any:
    return json.loads((ROOT / "docs" / "benchmarks" / "train-reach.json").read_text())


def test_the_policy_beats_the_scripted_proposer_beyond_chance(run: Any) -> None:
    policy, scripted = run["policy"], run["scripted"]["all"]
    assert policy["of"] >= 100
    assert policy["interval"][0] > scripted["interval"][1]


def test_the_intervals_are_those_of_the_counts(run: Any) -> None:
    for count in (run["policy"], *run["scripted"].values()):
        passed, of = count["passed"], count["of"]
        low, high = 1 - upper_bound(of - passed, of, confidence=0.975), upper_bound(passed, of, confidence=0.975)
        assert count["interval"] == pytest.approx([low, high], abs=1e-4)


def test_the_docs_quote_the_run(run: Any) -> None:
    page = (ROOT / "docs" / "gym.md").read_text()
    policy, scripted, last = run["policy"], run["scripted"], run["curve"][-1]
    for count in (policy, scripted["all"], scripted["good"]):
        assert f"{count['passed']} of {count['of']}" in page
    assert f"{last['decisions']:,} decisions" in page and f"{last['actions']:,} actions" in page
    assert (ROOT / "docs" / "pictures" / "train-reach.png").is_file()


def test_the_starts_that_it_is_measured_on_are_those_that_it_was_not_watched_on() -> None:
    source = EXAMPLE.read_text()
    watched, held_out = map(int, re.search(r"^WATCHED, HELD_OUT = ([\d_]+), ([\d_]+)", source, re.MULTILINE).groups())
    episodes = ast.literal_eval(re.search(r"^EPISODES = (.*?)  #", source, re.MULTILINE)[1])
    assert watched + episodes[0] <= held_out


def test_the_readme_says_what_has_to_be_installed() -> None:
    assert "stable-baselines3" in (ast.get_docstring(ast.parse(EXAMPLE.read_text())) or "")


@pytest.mark.integrations
@pytest.mark.filterwarnings("ignore")  # of other people's code
def test_stable_baselines3_learns_in_the_lanes_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3")
    example: Any = SimpleNamespace(**runpy.run_path(str(EXAMPLE)))
    monkeypatch.setitem(example.trained.__globals__, "LANES", 4)
    monkeypatch.setitem(example.trained.__globals__, "EPISODES", (2, 2))
    policy, normal, curve = example.trained(seed=0, most=500)
    assert curve[-1]["decisions"] == 500 and curve[-1]["actions"] == 2500
    assert not any(end.passed for end in example.episodes(policy, normal, 5, 2))  # so soon
    assert all(end.passed for end in example.replayed(5, 2))
