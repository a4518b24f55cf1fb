"""The report shows every verdict, needs nothing beside itself, and is safe whatever a model wrote."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.chart import line_chart, thinned
from worldverify.page import safe
from worldverify.report import Curve, Entry, Frame, contact_sheet, write_report

HOSTILE = "</pre></details><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\x1b\u202e\ud800"

STATUSES = ("PASS", "FAIL", "INVALID", "INCONCLUSIVE")


def verdict(status="PASS", **changes):
    line = {
        "schema": 1,
        "id": "a",
        "task": "T-v0",
        "status": status,
        "cause": "plan" if status == "INVALID" else None,
        "code": None,
        "reason": "It works.",
        "margins": {
            "near": {"value": 0.02, "unit": "m", "interval": [0.02, None], "term": "distance(a, b) < 0.1 m"},
            "soft": {"value": -3.5, "unit": "N", "interval": [None, -3.5], "term": "contact_load(a, b) < 4 N"},
            "still": {"value": None, "unit": "m/s", "interval": [-1.0, 0.5], "term": "speed(a) < 1 m/s"},
        },
        "first_violation": None,
        "reward": 1.0,
        "valid": True,
        "warnings": [],
        "trials": None,
        "cost": {"steps": 500, "cpu_s": 0.25, "gpu_s": 0.0, "cold": True, "joules": None},
        "engine": {"name": "mujoco"},
        "request": {"seed": 7, "sha256": "f00d"},
        "digest": "beef",
    }
    return line | changes


def entry(**changes):
    time = np.linspace(0.0, 1.0, 11)
    curve = Curve("near", "m", time, time - 0.5, decided_at=0.6, violated=False)
    frame = Frame(0.5, np.full((6, 8, 3), 90, np.uint8), "over the cube")
    defaults = {"verdict": verdict(), "instruction": "Pick it.", "plan": "{}", "curves": [curve], "frames": [frame]}
    return Entry(**(defaults | changes))


class Reader(HTMLParser):
    """Collects tags, attributes and visible text, and checks that tags close in order."""

    VOID = frozenset({"meta", "input", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.stack = set(), [], [], []
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def read(tmp_path, *entries, **options):
    path = write_report(tmp_path / "out", "A report", entries, **options)
    assert path == tmp_path / "out" / "index.html"
    return path.read_text(encoding="utf-8")


def test_a_page_lists_every_verdict_and_counts_them(tmp_path):
    entries = [entry(verdict=verdict(status, id=f"plan-{status}")) for status in (*STATUSES, "FAIL")]
    html = read(tmp_path, *entries, summary={"seed": 3})
    text = " ".join(Reader(html).text.split())
    assert all(f"plan-{status}" in text for status in STATUSES)
    assert re.search(r"FAIL 2\b", text) and re.search(r"PASS 1\b", text) and "seed 3" in text
    assert "INVALID (plan)" in text


def test_a_section_shows_reason_margins_bill_identity_and_replay(tmp_path):
    line = verdict(
        "FAIL", first_violation={"requirement": "soft", "time_s": 0.48}, warnings=["A fence was removed."], reward=0.25
    )
    text = Reader(read(tmp_path, entry(verdict=line, replay="worldverify verify T-v0 one.jsonl", simulated_s=0.5))).text
    for words in (
        "It works.",
        "A fence was removed.",
        "0.48 s",
        "+0.02 to open",
        "open to \u22123.5",
        "undecided",
        "contact_load(a, b) < 4 N",
        "steps 500, cpu 0.25 s, cold yes",
        "f00d",
        "beef",
        "worldverify verify T-v0 one.jsonl",
        "over the cube",
        "0.25",
    ):
        assert words in text


def test_a_page_needs_nothing_beside_itself(tmp_path):
    reader = Reader(read(tmp_path, entry()))
    assert "script" not in reader.tags and "link" not in reader.tags
    for name, value in reader.attributes:
        assert not name.startswith("on")
        if name == "src":
            assert value.startswith("data:image/png;base64,")
        if name == "href":
            assert value.startswith("#")


def test_a_page_forbids_all_that_it_does_not_hold(tmp_path):
    html = read(tmp_path)
    assert "default-src &#x27;none&#x27;" in html and "http" not in html.replace("http-equiv", "")


def test_hostile_text_stays_text_wherever_it_is_shown(tmp_path):
    margin = {"value": 1.0, "unit": HOSTILE, "interval": [1.0, None], "term": HOSTILE}
    line = verdict(
        id=HOSTILE,
        status=HOSTILE,
        cause=HOSTILE,
        code=HOSTILE,
        reason=HOSTILE,
        margins={HOSTILE: margin},
        first_violation={"requirement": HOSTILE, "time_s": 1.0},
        warnings=[HOSTILE],
        cost={HOSTILE: HOSTILE},
        engine={HOSTILE: HOSTILE},
        request={"seed": HOSTILE, "sha256": HOSTILE},
        digest=HOSTILE,
    )
    time = np.arange(3.0)
    hostile = Entry(
        verdict=line,
        instruction=HOSTILE,
        plan=HOSTILE,
        curves=[Curve(HOSTILE, HOSTILE, time, time)],
        frames=[Frame(0.0, np.zeros((2, 2, 3), np.uint8), HOSTILE)],
        replay=HOSTILE,
    )
    html = read(tmp_path, hostile, entry(), summary={HOSTILE: HOSTILE})
    reader = Reader(html)
    plain = Reader(read(tmp_path, entry(), entry(instruction="Other."), summary={"a": "b"}))
    assert reader.tags <= plain.tags | {"ul", "li"}
    assert "alert(1)" in reader.text and "\x00" not in html and "\u202e" not in html


@given(st.text(st.characters(codec=None), max_size=60))
def test_safe_text_has_no_markup_and_can_be_written(text):
    shown = safe(text)
    shown.encode("utf-8")
    assert not set("<>\"'\x00\x1b\u202e") & set(shown)


def test_a_long_text_is_cut_and_says_so(tmp_path):
    html = read(tmp_path, entry(plan="x" * 5000 + "THE END"))
    assert "THE END" not in html and "911 more characters" in html


def test_an_entry_with_nothing_to_show_has_a_row_and_no_section(tmp_path):
    html = read(tmp_path, Entry(verdict(id=None)))
    assert html.count("<article") == 0 and "plan 1" in html


def test_a_verdict_without_reward_or_margins_is_shown(tmp_path):
    line = verdict("INVALID", margins={}, reward=None, valid=False, cost={}, request={}, engine={})
    text = Reader(read(tmp_path, entry(verdict=line, curves=(), frames=()))).text
    assert "masked: not valid" in text


def test_the_least_margin_is_the_violated_ones_else_the_least_in_scales(tmp_path):
    held = {
        "near": {"value": 0.5, "unit": "m", "interval": [0.5, None], "term": ""},
        "soft": {"value": 2.0, "unit": "N", "interval": [2.0, None], "term": ""},
    }

    def first_row(line, **options):
        html = read(tmp_path, Entry(line, **options))
        return html[html.index("<tbody>") : html.index("</tbody>")]

    assert "+0.5 m" in first_row(verdict(margins=held))
    assert "+2 N" in first_row(verdict(margins=held), scales={"near": 0.01, "soft": 1.0})
    broken = verdict("FAIL", first_violation={"requirement": "soft", "time_s": 0.1})
    assert "\u22123.5 N" in first_row(broken, scales={"near": 1e-9})


def test_two_runs_write_the_same_bytes(tmp_path):
    assert read(tmp_path, entry()) == read(tmp_path, entry())


def lines(svg):
    found = ElementTree.fromstring(svg).iter("polyline")
    return [[tuple(map(float, p.split(","))) for p in line.get("points").split()] for line in found]


def test_a_spike_of_one_sample_is_drawn_however_long_the_curve():
    margin = np.ones(100_000)
    margin[54_321] = -7.0
    kept = thinned(margin, 600)
    assert 54_321 in kept and len(kept) <= 602
    (points,) = lines(line_chart(np.arange(100_000) * 0.004, margin, violated=True))
    assert max(y for _, y in points) > max(points[0][1], points[-1][1]) + 80


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300), st.integers(4, 60))
def test_thinning_keeps_ends_extremes_and_order(values, points):
    value = np.array(values, float)
    kept = thinned(value, points)
    assert (np.diff(kept) > 0).all() and len(kept) <= max(points + 4, 8)
    known = value[~np.isnan(value)]
    if known.size:
        assert np.nanmin(value[kept]) == known.min() and np.nanmax(value[kept]) == known.max()
    if value.size:
        assert kept[0] == 0 and kept[-1] == value.size - 1


def test_nan_leaves_a_gap():
    margin = np.array([1.0, 2.0, np.nan, 3.0, 1.0, np.nan, np.nan, 2.0])
    assert [len(points) for points in lines(line_chart(np.arange(8.0), margin))] == [2, 2, 2]


def test_long_gaps_survive_thinning():
    margin = np.ones(5000)
    margin[2000:3000] = np.nan
    assert len(lines(line_chart(np.arange(5000.0), margin))) == 2


def shaded(svg, colour):
    return [r for r in ElementTree.fromstring(svg).iter("rect") if r.get("fill") == colour]


def test_a_violated_span_is_red_and_a_goal_not_yet_reached_is_not():
    time = np.linspace(0.0, 10.0, 101)
    margin = np.where((time > 2.95) & (time < 5.05), -1.0, 1.0)
    (red,) = shaded(line_chart(time, margin, violated=True, width=1068), "#c0271f")  # 1000 px for 10 s
    assert float(red.get("x")) == pytest.approx(56 + 300, abs=1)
    assert float(red.get("width")) == pytest.approx(200, abs=1)
    assert not shaded(line_chart(time, margin, violated=False), "#c0271f")


def test_a_violation_of_one_sample_is_wide_enough_to_see():
    margin = np.ones(5000)
    margin[777] = -1.0
    (red,) = shaded(line_chart(np.arange(5000) * 0.004, margin, violated=True), "#c0271f")
    assert float(red.get("width")) >= 2.0


@pytest.mark.parametrize(
    "margin",
    [[], [1.0], [np.nan, np.nan], [np.inf, -np.inf], [0.0, 0.0], [1e300, -1e300], [5e-324, 0.0], [1e-14, -1e-14]],
)
@pytest.mark.parametrize("decided_at", [None, 0.0, np.nan, 3.0])
def test_any_curve_is_drawn_within_its_frame(margin, decided_at):
    svg = line_chart(np.arange(len(margin)) * 0.1, np.array(margin), name="a<b", unit="N", decided_at=decided_at)
    assert "nan" not in svg and "inf" not in svg
    for points in lines(svg):
        assert all(0 <= x <= 460 and 0 <= y <= 170 for x, y in points)


def test_the_moment_of_decision_is_named():
    assert "decided at 0.6 s" in line_chart(np.arange(3.0), np.ones(3), decided_at=0.6)


def test_a_curve_of_unequal_lengths_is_refused():
    with pytest.raises(ValueError, match="one margin for each time"):
        line_chart(np.arange(3.0), np.ones(2))


def test_a_contact_sheet_frames_each_picture_in_its_statuses_colour():
    images = [np.full((4, 5, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = contact_sheet(images, ["PASS", "FAIL", "INVALID"], columns=2, border=2)
    assert sheet.shape == (2 * 8 + 2, 2 * 9 + 2, 3)
    assert (sheet[2:6, 2:7] == 10).all() and (sheet[2:6, 13:18] == 20).all() and (sheet[12:16, 2:7] == 30).all()
    green, red, grey = sheet[0, 0].astype(int), sheet[0, 11].astype(int), sheet[10, 0].astype(int)
    assert green.argmax() == 1 and red.argmax() == 0 and np.ptp(grey) < 30


def test_a_contact_sheet_of_unequal_pictures_is_refused():
    with pytest.raises(ValueError, match="same shape"):
        contact_sheet([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)])
