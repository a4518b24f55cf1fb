"""Scenes whose outcome a formula gives: what the verdicts are compared with to show that they add no error."""

from worldverify.analytic import colliding, flight, resting, sliding, spinning, swinging, tipping
from worldverify.analytic.case import Case


def cases() -> list[Case]:
    """Every case, by subject."""
    rooms = (flight, swinging, spinning, colliding, resting, sliding, tipping)
    return [case for room in rooms for case in room.cases()]
