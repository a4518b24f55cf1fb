"""rtamt as an oracle: where every window is covered by the trace, robustness is what another library computes."""

import warnings
from typing import Any

import numpy as np
import pytest

from worldverify.kernels.robustness import interval

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its parser runtime imports typing.io
    rtamt = pytest.importorskip("rtamt", exc_type=ImportError)

NAMES = ("a", "b", "c")
SAMPLES = 40


def drawn(rng: np.random.Generator, depth: int) -> tuple[Any, str, int]:
    """(our formula, rtamt's text, how many samples it looks ahead)."""
    if depth == 0 or rng.random() < 0.15:
        i = int(rng.integers(len(NAMES)))
        return ("atom", i), f"({NAMES[i]} >= 0)", 0
    op = str(rng.choice(["and", "or", "always", "eventually", "until"]))
    a, width = int(rng.integers(0, 4)), int(rng.integers(0, 5))
    left, left_text, left_far = drawn(rng, depth - 1)
    if op in ("always", "eventually"):
        return (op, a, a + width, left), f"({op}[{a},{a + width}] {left_text})", left_far + a + width
    right, right_text, right_far = drawn(rng, depth - 1)
    far = max(left_far, right_far)
    if op == "until":
        text = f"({left_text} until[{a},{a + width}] {right_text})"
        return (op, a, a + width, left, right), text, far + a + width
    return (op, left, right), f"({left_text} {op} {right_text})", far


def oracle(text: str, x: np.ndarray) -> float:
    spec = rtamt.StlDiscreteTimeSpecification()
    for name in NAMES:
        spec.declare_var(name, "float")
    spec.spec = text
    spec.parse()
    data = {name: [float(v) for v in row] for name, row in zip(NAMES, x, strict=True)}
    return float(spec.evaluate({"time": list(range(x.shape[1])), **data})[0][1])


@pytest.mark.parametrize("seed", range(120))
def test_robustness_is_what_rtamt_computes_on_covered_windows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    formula, text, far = drawn(rng, 3)
    assert far < SAMPLES
    x = rng.normal(size=(len(NAMES), SAMPLES))
    low, high = interval((formula,), x[:, None], np.array([SAMPLES - 1]))
    assert low[0, 0] == high[0, 0] == oracle(text, x)


@pytest.mark.parametrize("op", ["always", "eventually"])
def test_an_operator_without_a_window_runs_to_the_end_as_in_rtamt(op: str) -> None:
    x = np.random.default_rng(7).normal(size=(len(NAMES), SAMPLES))
    low, high = interval(((op, 0, None, ("atom", 1)),), x[:, None], np.array([SAMPLES - 1]))
    assert low[0, 0] == high[0, 0] == oracle(f"{op} (b >= 0)", x)
