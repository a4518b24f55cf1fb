"""The page about costs is what the kept run says, and so are its pictures."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from worldverify.billing.page import page
from worldverify.billing.plot import ladder_plot
from worldverify.billing.ratio_plot import ratio_plot

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = {"ladder_picture": "pictures/cost-ladder.svg", "ratio_picture": "pictures/cost-ratio.svg"}


def kept(name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((DOCS / "benchmarks" / name).read_text())
    return report


def test_the_page_is_what_the_run_says() -> None:
    assert (DOCS / "cost.md").read_text() == page(kept("cost-2core.json"), kept("bench-2core.json"), **PICTURES)


@pytest.mark.parametrize(("part", "draw"), [("ladder", ladder_plot), ("ratio", ratio_plot)])
def test_the_pictures_are_what_the_run_says(part: str, draw: Any) -> None:
    drawn = (DOCS / "pictures" / f"cost-{part}.svg").read_text()
    assert drawn == draw(kept("cost-2core.json")[part])
    names = [row["name"] if part == "ladder" else row["generator"]["name"] for row in kept("cost-2core.json")[part]]
    said = " ".join("".join(piece.itertext()) for piece in ElementTree.fromstring(drawn))
    assert all(name in said for name in names)


def test_the_page_says_where_the_gpu_loses_and_names_no_gpu_that_was_not_measured() -> None:
    report = kept("cost-2core.json")
    text = " ".join(page(report, kept("bench-2core.json")).split())
    assert (
        "It loses at every number of plans in a call that was measured." in text and "Reckoned, not measured." in text
    )
    assert "Where the GPU loses" not in page(report)


def test_every_price_and_every_generator_of_the_page_has_a_source_and_a_date() -> None:
    report = kept("cost-2core.json")
    text = page(report)
    for row in report["ratio"]:
        assert row["generator"]["source"] in text and row["generator"]["date"] in text
    for kind, price in report["prices"]["gpu_hour"].items():
        assert f"gpu_hour, {kind}" in text and price["source"] in text


def test_a_part_that_was_not_measured_is_left_out() -> None:
    report = {key: value for key, value in kept("cost-2core.json").items() if key not in ("ladder", "seeds", "ratio")}
    text = page(report)
    assert "## The ladder" not in text and "A million" not in text and "## What each layer of software adds" in text
