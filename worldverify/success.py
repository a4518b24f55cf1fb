"""What a task's goals ask for, read off its spec, so that it cannot say otherwise."""

from collections.abc import Iterator
from typing import NamedTuple

from worldverify.formula import Always, AtEnd, Compare, Eventually, Formula, Term, Until
from worldverify.spec import Spec
from worldverify.walk import children, signals, walk

_TOUCH = ("contact_force", "contact_load")


class Success(NamedTuple):
    """Success semantics, as the benchmarks of the field name them.

    Requirements that begin with `always` guard and are no goals.
    """

    ever: bool  # some goal is reached once, at one moment
    held: float | None  # s, the shortest time that a goal is to be kept; None: no goal says
    final: bool  # some goal holds at the end, or from some moment to the end
    released: bool  # some goal asks that something is no longer touched

    def __str__(self) -> str:
        """Such as "held 0.5 s, final, released"."""
        held = None if self.held is None else f"held {self.held:g} s"
        said = ["ever" if self.ever else None, held, "final" if self.final else None]
        said.append("released" if self.released else None)
        return ", ".join(word for word in said if word) or "guards only"


def success_of(spec: Spec) -> Success:
    """What the goals of a spec ask for."""
    goals = [r.formula for r in spec.requirements if not isinstance(r.formula, Always)]
    parts = [part for goal in goals for part in walk(goal)]
    asked = [part for goal in goals for part in _asked(goal)]
    reached = [part.formula for part in asked if isinstance(part, Eventually)]
    reached += [part.right for part in asked if isinstance(part, Until)]
    kept = [
        part.window[1] - part.window[0]
        for goal in reached
        for part in walk(goal)
        if isinstance(part, Always) and part.window is not None
    ]
    return Success(
        ever=any(_momentary(goal) for goal in reached),
        held=min(kept, default=None),
        final=any(isinstance(part, AtEnd) or (isinstance(part, Always) and part.window is None) for part in parts),
        released=any(_let_go(part) for part in parts if isinstance(part, Compare)),
    )


def _asked(goal: Term) -> Iterator[Term]:
    """The parts of a goal but for those within an `always`: what must follow again and again is no goal of its own."""
    yield goal
    if not isinstance(goal, Always):
        for part in children(goal):
            yield from _asked(part)


def _momentary(goal: Formula) -> bool:
    """Whether what is to be reached is not to be kept, not even to the horizon."""
    return not any(isinstance(part, Always | AtEnd | Eventually | Until) for part in walk(goal))


def _let_go(atom: Compare) -> bool:
    """Whether a comparison asks that a contact carries less than something."""
    less = atom.left if atom.op in ("<", "<=") else atom.right
    return any(signal.name in _TOUCH for signal in signals(less))
