"""Unit tests of a plan on the standard input: python -I plan_unittest.py HORIZON_S OBJECT...

What somebody would write who has only the standard library: no robot, no physics.
"""

import json
import math
import sys
import unittest
from typing import Any

KEYS = ("skills", "waypoints", "actions", "joint_position", "joint_positions", "trajectory")
WORKSPACE = ((-1.2, 1.2), (-1.2, 1.2), (-0.05, 1.5))  # m
HORIZON, OBJECTS = (float(sys.argv[1]), sys.argv[2:]) if __name__ == "__main__" else (math.inf, [])
TEXT = sys.stdin.read() if __name__ == "__main__" else ""


def plan_in(text: str) -> Any:
    """The last JSON object in a text that has a plan's key."""
    found, decoder = None, json.JSONDecoder()
    for at, character in enumerate(text):
        if character == "{":
            try:
                value, _ = decoder.raw_decode(text[at:])
            except ValueError:
                continue
            if isinstance(value, dict) and any(key in value for key in KEYS):
                found = value
    return found


def numbers_in(value: Any) -> list[float]:
    """All numbers, however deep."""
    if isinstance(value, dict):
        return [n for part in value.values() for n in numbers_in(part)]
    if isinstance(value, list):
        return [n for part in value for n in numbers_in(part)]
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


class Plan(unittest.TestCase):
    """What a plan must be like to be worth running."""

    def setUp(self) -> None:
        self.plan = plan_in(TEXT)
        self.assertIsNotNone(self.plan, "there is no plan in the text")
        self.steps = next(self.plan[key] for key in KEYS if key in self.plan)

    def test_it_has_steps(self) -> None:
        self.assertIsInstance(self.steps, list)
        self.assertGreater(len(self.steps), 0)

    def test_its_numbers_are_numbers(self) -> None:
        self.assertTrue(all(math.isfinite(n) and abs(n) < 100 for n in numbers_in(self.plan)))

    def test_it_stays_in_the_workspace(self) -> None:
        for step in self.steps:
            place = step.get("position") if isinstance(step, dict) else None
            if place is not None:
                self.assertEqual(len(place), 3)
                for x, (low, high) in zip(place, WORKSPACE, strict=True):
                    self.assertTrue(low <= x <= high)

    def test_its_times_go_up_to_the_horizon(self) -> None:
        times = [step["time"] for step in self.steps if isinstance(step, dict) and "time" in step]
        self.assertEqual(times, sorted(times))
        self.assertTrue(all(0 <= time <= HORIZON for time in times))

    def test_it_speaks_of_things_that_are_there(self) -> None:
        named = [step["object"] for step in self.steps if isinstance(step, dict) and "object" in step]
        self.assertTrue(all(name in OBJECTS for name in named))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
