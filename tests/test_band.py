"""The guard band: the exact bound behind it, how deep a verdict lies, and which bands are believed."""

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import worldverify as wv
from worldverify.engines import band as bands
from worldverify.engines.band import Band, band_key, band_record, depth, load_band, save_band
from worldverify.engines.caches import write_json
from worldverify.kernels.binomial import at_most, upper_bound
from worldverify.kernels.engine import EngineInfo
from worldverify.testing import toy_task

INFO = EngineInfo("mjx", "warp", "gpu", "float32", "mujoco-mjx 1 jax 2")
GOOD = Band(0.004, plans=900, share=0.01, flips_inside=2, flips_outside=0, upper=0.007, report="0" * 64)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORLDVERIFY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return toy_task()


def shipping(monkeypatch: pytest.MonkeyPatch, *records: Any) -> None:
    monkeypatch.setattr(bands, "_shipped", lambda: list(records))


# The bound


@pytest.mark.parametrize(("events", "trials"), [(0, 1), (0, 59), (0, 299), (1, 10), (7, 100), (40, 64), (63, 64)])
def test_at_the_bound_so_few_events_have_a_probability_of_one_in_twenty(events: int, trials: int) -> None:
    p = Fraction(upper_bound(events, trials))
    exact = sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(events + 1))
    assert float(exact) == pytest.approx(0.05, rel=1e-9)


def test_the_bound_of_no_events_is_the_rule_of_three() -> None:
    assert upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300), rel=1e-12)
    assert upper_bound(0, 1_000_000) == pytest.approx(3 / 1e6, rel=2e-3)


def test_the_bound_of_one_in_ten_is_the_published_one() -> None:
    assert upper_bound(1, 10) == pytest.approx(0.394163, abs=1e-6)
    assert upper_bound(1, 10, confidence=0.975) == pytest.approx(0.445016, abs=1e-6)  # of the two-sided 95 %


def test_more_events_raise_the_bound_and_more_trials_lower_it() -> None:
    by_events = [upper_bound(k, 50) for k in range(51)]
    by_trials = [upper_bound(3, n) for n in range(3, 200)]
    assert by_events == sorted(by_events) and by_trials == sorted(by_trials, reverse=True)


def test_nothing_tried_and_always_seen_exclude_nothing() -> None:
    assert upper_bound(0, 0) == upper_bound(8, 8) == 1.0
    assert at_most(0, 5, 0.0) == at_most(5, 5, 0.7) == 1.0
    assert at_most(4, 5, 1.0) == 0.0


@pytest.mark.parametrize(("events", "trials"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(events: int, trials: int) -> None:
    with pytest.raises(ValueError, match="a count lies between"):
        upper_bound(events, trials)


def test_a_confidence_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        upper_bound(0, 3, confidence=1.0)


# Depth


def test_a_pass_is_as_deep_as_its_least_margin() -> None:
    assert depth("PASS", {"a": (0.3, 0.3), "b": (2.0, 2.0)}) == 0.3


def test_a_fail_is_as_deep_as_its_worst_violation() -> None:
    assert depth("FAIL", {"a": (-0.1, -0.1), "b": (-4.0, -3.0), "c": (5.0, 5.0)}) == 3.0


@pytest.mark.parametrize("status", ["INVALID", "INCONCLUSIVE"])
def test_what_is_not_decided_has_no_depth(status: Any) -> None:
    assert depth(status, {"a": (9.0, 9.0)}) == 0.0


def test_without_bounds_a_verdict_has_no_depth() -> None:
    assert depth("PASS", None) == depth("FAIL", {}) == 0.0


# Which bands are believed


def test_a_band_that_was_saved_is_loaded(task: wv.Task) -> None:
    assert load_band(task, INFO) is None
    assert save_band(task, INFO, GOOD)
    assert load_band(task, INFO) == GOOD


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"flips_outside": 1}, "1 of 900 verdicts outside"),
        ({"share": 0.021}, "at most 2%"),
        ({"upper": 0.011}, "compare more plans"),
        ({"agrees": False}, "float32 explains"),
    ],
)
def test_a_band_that_failed_its_test_is_not_used(task: wv.Task, change: dict[str, Any], why: str) -> None:
    bad = replace(GOOD, **change)
    assert why in str(bad.unusable)
    assert save_band(task, INFO, bad)
    assert load_band(task, INFO) is None


@pytest.mark.parametrize("change", [{"impl": "jax"}, {"device": "cpu"}, {"dtype": "float16"}, {"version": "3"}])
def test_a_band_is_for_one_engine_in_one_version(task: wv.Task, change: dict[str, str]) -> None:
    save_band(task, INFO, GOOD)
    assert load_band(task, INFO._replace(**change)) is None


@pytest.mark.parametrize("part", ["VERSION", "version_of"])
def test_a_band_of_other_packages_is_not_used(task: wv.Task, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    save_band(task, INFO, GOOD)
    monkeypatch.setattr(bands, part, "9" if part == "VERSION" else lambda name: "9")
    assert load_band(task, INFO) is None


def test_a_band_is_for_one_spec(task: wv.Task) -> None:
    save_band(task, INFO, GOOD)
    stricter = replace(task, spec=wv.Spec.parse("slow: always(speed(cart) < 0.1 m/s)"))
    assert load_band(stricter, INFO) is None


@pytest.mark.parametrize("spoil", ["width", "seal", "key", "schema", "kind", "text"])
def test_a_record_that_was_changed_is_not_used(task: wv.Task, cache: Path, spoil: str) -> None:
    save_band(task, INFO, GOOD)
    (file,) = cache.glob("band-*.json")
    record = json.loads(file.read_text())
    match spoil:
        case "width":
            record["band"]["width"] = 1e-9
        case "seal":
            del record["sha256"]
        case "key":
            record["key"]["device"] = "tpu"
        case "schema":
            record["schema"] = 2
        case "kind":
            record["band"] = [1, 2]
    file.write_text("{" if spoil == "text" else json.dumps(record))
    assert load_band(task, INFO) is None


@pytest.mark.parametrize("width", [0.0, -1.0, math.inf])
def test_a_width_that_guards_nothing_is_not_used(task: wv.Task, monkeypatch: pytest.MonkeyPatch, width: float) -> None:
    shipping(monkeypatch, band_record(band_key(task, INFO), replace(GOOD, width=width)))
    assert load_band(task, INFO) is None


def test_a_shipped_band_is_used_where_the_user_has_none(task: wv.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    shipping(monkeypatch, "no record", band_record(band_key(task, INFO), GOOD))
    assert load_band(task, INFO) == GOOD
    own = replace(GOOD, width=0.008)
    save_band(task, INFO, own)
    assert load_band(task, INFO) == own


def test_an_unusable_band_of_the_users_stands_in_the_way_of_a_shipped_one(
    task: wv.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipping(monkeypatch, band_record(band_key(task, INFO), GOOD))
    save_band(task, INFO, replace(GOOD, flips_outside=1))
    assert load_band(task, INFO) is None


def test_a_foreign_record_in_the_place_of_a_band_is_not_used(task: wv.Task) -> None:
    key = band_key(task, INFO)
    write_json(bands._place(key), band_record({**key, "task": "another"}, GOOD))
    assert load_band(task, INFO) is None


def test_the_bands_that_ship_are_whole_and_usable() -> None:
    for record in bands._shipped():
        band = bands._read(record, record["key"])
        assert band is not None and band.unusable is None, record["key"]
