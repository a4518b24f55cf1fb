"""What a trace decides does not depend on what lies beyond the sample at which it is settled."""

import mujoco
import numpy as np
import pytest

from worldverify.kernels.deciding import Question, decide, settled
from worldverify.kernels.engine import Fault
from worldverify.scene import build_scene
from worldverify.spec import Spec

SPEC = """
safe:  always(joint(a) < 1 m)
there: eventually(always[0,1](joint(b) > 1 m))
calm:  always(joint(a) > -1 m or joint(b) < 2 m)
"""
WORLD = """
<mujoco><option timestep="0.5"/><worldbody><body>
  <joint name="a" type="slide"/><joint name="b" type="slide"/><geom size=".1"/>
</body></worldbody></mujoco>
"""
TRACES, SAMPLES = 300, 24


@pytest.fixture(scope="module")
def question() -> Question:
    formulas = build_scene(mujoco.MjSpec.from_string(WORLD), Spec.parse(SPEC)).bound.formulas
    return Question(formulas, (SAMPLES - 1,) * 3, (True,) * 3, final=True)


@pytest.fixture(scope="module")
def evidence() -> tuple[np.ndarray, np.ndarray]:
    """Margins (A, B, K) that wander, some of them no numbers, and faults (B, K)."""
    generator = np.random.default_rng(1)
    start = generator.uniform(0, 2, (4, TRACES, 1))
    margins = start + np.cumsum(generator.normal(0, 0.4, (4, TRACES, SAMPLES)), axis=2)
    margins[generator.random(margins.shape) < 0.001] = np.nan
    fault = np.where(generator.random((TRACES, SAMPLES)) < 0.01, int(Fault.OVERFLOW), 0).astype(np.int32)
    return margins, fault


@pytest.mark.parametrize("end", [0, 3, 11, SAMPLES - 1])
def test_samples_beyond_the_last_are_not_looked_at(
    question: Question, evidence: tuple[np.ndarray, np.ndarray], end: int
) -> None:
    margins, fault = evidence
    cut = decide(question, margins[..., : end + 1], fault[:, : end + 1])
    last = np.full(TRACES, end)
    whole = decide(question, margins, fault, last)
    told = (whole.first <= end) | (cut.first <= end)
    for name in ("first", "at", "low", "high", "source", "final", "fault", "atom", "capped"):
        same, other = getattr(cut, name), getattr(whole, name)
        if name == "first":
            same, other = same[told], other[told]
        assert np.array_equal(same, other, equal_nan=name in ("low", "high", "final")), name
    assert np.array_equal(cut.bad <= end, whole.bad <= end)


@pytest.mark.parametrize("width", [0.0, 0.3])
def test_what_is_settled_stays_so_whatever_comes(
    question: Question, evidence: tuple[np.ndarray, np.ndarray], width: float
) -> None:
    margins, fault = evidence
    full, seen = decide(question, margins, fault), 0
    for end in range(SAMPLES):
        last = np.full(TRACES, end)
        done = settled(question, margins, fault, last, width)
        early = decide(question, margins, fault, last)
        seen += int(done.sum())
        judged, wrong = done & (early.first <= end) & (early.first < early.bad), done & (early.bad <= end)
        told = {"first": judged, "bad": wrong, "fault": wrong, "atom": wrong}
        for name in ("first", "bad", "at", "low", "high", "source", "fault", "atom", "capped"):
            same = told.get(name, judged | wrong & (early.first >= early.bad))
            assert np.array_equal(getattr(early, name)[same], getattr(full, name)[same], equal_nan=True), name
        failed = judged & (early.holds != early.first)
        which = np.argmin(early.breaks, axis=1)
        assert (full.final[np.arange(TRACES), which, 1][failed & (full.bad > end)] < -width).all()
    assert seen > TRACES


def test_a_settled_trace_is_one_that_decides_or_cannot_be_believed(
    question: Question, evidence: tuple[np.ndarray, np.ndarray]
) -> None:
    margins, fault = evidence
    last = np.full(TRACES, SAMPLES - 1)
    found = decide(question, margins, fault)
    wide = settled(question, margins, fault, last, 1e9)
    assert np.array_equal(wide, found.bad < SAMPLES)
    assert np.array_equal(settled(question, margins, fault, last, 0.0), (found.first < SAMPLES) | (found.bad < SAMPLES))
