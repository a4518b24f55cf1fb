"""Plans of raw controls in a few numbers: where each actuator goes, and how long it takes to get there."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from worldverify.nearest import did_you_mean

Floats = NDArray[np.float64]
Leg = tuple[float, Mapping[str, float]]  # (s, actuator -> control at its end)


def ramps(start: Mapping[str, float], *legs: Leg, rate: float, horizon: float) -> Floats:
    """(T, nu) controls, `rate` (Hz) times a second to the horizon (s).

    `start` has the control of every actuator before the plan, in the order of an action. In each leg the named
    actuators go evenly from where they are to what is given, the others stay; a leg of 0 s is a jump. What is left of
    the time, all stay. Raises ValueError for an unknown actuator, for a time below zero, and for legs that take
    longer than the horizon.
    """
    names = list(start)
    rows, here = [], np.array([start[name] for name in names], dtype=np.float64)
    for seconds, targets in legs:
        if not seconds >= 0:
            raise ValueError(f"A leg of the plan takes {seconds:g} s; the least is 0 s, which is a jump.")
        there = here.copy()
        for name, value in targets.items():
            if name not in start:
                raise ValueError(f"No actuator {name!r}. {did_you_mean(name, names)}")
            there[names.index(name)] = value
        count = round(seconds * rate)
        share = np.arange(1, count + 1)[:, None] / max(count, 1)
        rows.append(np.where(share == 1, there, here + share * (there - here)))  # the end is met to the last bit
        here = there
    plan = np.concatenate([np.empty((0, len(names))), *rows])
    rest = round(horizon * rate) - len(plan)
    if rest < 0:
        raise ValueError(f"The legs of the plan take {len(plan) / rate:g} s, longer than the horizon of {horizon:g} s.")
    return np.concatenate([plan, np.broadcast_to(here, (rest, len(names)))])
