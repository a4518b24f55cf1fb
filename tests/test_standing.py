"""What holds if the world stood still from now on, and what that is worth, are the same on a device as on the host."""

from typing import Any

import numpy as np
import pytest

from worldverify.kernels.online import monitor
from worldverify.kernels.potential import finite, potential, unpassed
from worldverify.kernels.standing import standing
from worldverify.scoring import reward_of
from worldverify.verdict import Margin

A, B = ("atom", 0), ("atom", 1)
END = 12
FORMULAS: dict[str, Any] = {
    "an atom": A,
    "always": ("always", 0, None, A),
    "a window": ("always", 3, 7, A),
    "a window beyond the end": ("eventually", 4, 40, A),
    "at the end": ("at_end", ("or", A, B)),
    "held for a while": ("eventually", 0, None, ("always", 0, 3, ("and", A, B))),
    "held at the end": ("at_end", ("always", 0, 3, A)),
    "until": ("until", 0, None, A, B),
    "until late": ("until", 2, 9, ("eventually", 0, 2, A), B),
    "release": ("release", 1, 5, A, ("always", 0, 2, B)),
    "joined": ("and", ("always", 0, None, A), ("or", ("eventually", 0, 5, B), ("at_end", A))),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_device_sees_the_world_stand_still_as_the_host_does(name: str) -> None:
    formulas, margins = (FORMULAS[name],), np.random.default_rng(0).normal(size=(2, 3, END + 1))
    watch, lanes = monitor(formulas, END, 3), np.arange(3)
    for known in range(1, END + 2):
        _, _, right = watch.add(lanes, margins[:, :, known - 1 : known])
        beyond = np.where(np.arange(END + 1) < known, margins, np.nan)
        found = standing(formulas, beyond, np.full(3, known - 1))
        assert np.array_equal(found, right), known


def test_a_goal_that_must_last_for_ever_is_held_to_the_horizon() -> None:
    formulas = (("eventually", 0, None, ("always", 0, None, A)),)
    margins = np.array([[[-1.0, 2.0, 1.0, np.nan]]])
    assert standing(formulas, margins, np.array([2])) == 1.0


def test_the_potential_is_half_of_the_span_where_all_is_met_with_a_scale_to_spare() -> None:
    worth = potential(np.array([[5.0, 1.0], [0.0, 0.0], [-1e6, -1e6], [-1.0, 0.5]]), 2.0)
    assert worth == pytest.approx([1.0, 0.5, 0.5 / (1 + np.log1p(1e6)), 0.25 / (1 + np.log(2)) + 0.375])


def test_what_is_no_number_is_as_bad_as_it_gets() -> None:
    assert finite(np.array([np.nan, np.inf, -np.inf, 2.0])).tolist() == [-1e6, 1e6, -1e6, 2.0]


@pytest.mark.parametrize("bounds", [[(2.0, 3.0), (-4.0, -0.5)], [(-np.inf, -2.0), (-1.0, np.inf)], [(0.0, 0.0)] * 2])
def test_a_verdict_is_worth_the_same_as_on_the_host(bounds: list[tuple[float, float]]) -> None:
    def margin(low: float, high: float) -> Margin:
        return Margin(low if low > 0 else high if high < 0 else None, "m", (low, high), "x > 0 m", 1.0)

    right, _ = reward_of("FAIL", None, [margin(*one) for one in bounds], -3.0)
    low, high = np.array(bounds).T
    assert unpassed(low[None], high[None], -3.0, 4.0) == pytest.approx([right])
