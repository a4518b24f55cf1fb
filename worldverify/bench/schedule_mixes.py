"""Candidate sets as models give them: named mixes of what passes, fails, is malformed, equal, or begins alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.bench.schedule_chunks import chunks
from worldverify.bench.schedule_scenes import Stage, stage
from worldverify.bench.schedule_texts import texts
from worldverify.nearest import did_you_mean
from worldverify.task import Task

Floats = NDArray[np.float64]

CANDIDATES = 64  # of each start


@dataclass(frozen=True)
class Mix:
    """What is asked of the candidates of every start; what they come to is measured."""

    name: str
    passing: float  # share of all candidates
    malformed: float  # share of all candidates
    equal: float = 0.0  # share of the admitted ones that have the controls of one before them
    shared: float = 0.0  # mean share of its controls that a distinct plan has in common with its nearest sibling
    written: bool = False  # texts with waypoints and skills; else rows of controls

    def __post_init__(self) -> None:
        for name in ("passing", "malformed", "equal", "shared"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} of the mix {self.name} is a share from 0 to 1; got {getattr(self, name)}.")
        if self.passing + self.malformed > 1 + 1e-9:
            raise ValueError(
                f"The mix {self.name} cannot have {self.passing:g} passing and {self.malformed:g} malformed: together "
                "they are at most 1."
            )
        if not self.written and (self.equal or self.shared):
            raise ValueError(f"The mix {self.name} is of continuous controls, of which nothing is equal or shared.")


MIXES = {
    mix.name: mix
    for mix in (
        Mix("llm", passing=0.25, malformed=0.15, equal=0.4, shared=0.6, written=True),
        Mix("vla", passing=0.48, malformed=0.02),
        Mix("clutter", passing=0.48, malformed=0.02),
        Mix("hard", passing=1.0, malformed=0.0),
    )
}


@dataclass(frozen=True, eq=False)
class Candidates:
    """Lines of a plans file and the state that each begins from."""

    task: Task
    lines: Sequence[Any]
    states: Floats  # (B, nstate)
    starts: int  # how many different states


def mix_of(name: str, **asked: float) -> Mix:
    """A mix by name, some of its shares replaced. Raises ValueError with the names that exist."""
    if name not in MIXES:
        raise ValueError(f"No mix {name!r}. {did_you_mean(name, MIXES)}")
    changed: Any = asked
    return replace(MIXES[name], **changed)


def candidates(mix: Mix, first: int, starts: int, seed: int = 0, each: int = CANDIDATES) -> Candidates:
    """`each` candidates from each of the start seeds first, first + 1, ...; nothing of them is simulated.

    A candidate depends on the mix, `seed`, its start and `each` alone.
    """
    scene = stage(mix.name)
    lines: list[Mapping[str, Any]] = []
    states = []
    for start in range(first, first + starts):
        state = scene.task.start(start)
        lines += _of_one(mix, scene, state, start, seed, each)
        states.append(np.broadcast_to(state, (each, len(state))))
    return Candidates(scene.task, lines, np.concatenate(states), starts)


def _of_one(mix: Mix, scene: Stage, state: Floats, start: int, seed: int, each: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng([seed, start])
    malformed = _count(mix.malformed, each, start)
    passing = max(0, _count(mix.malformed + mix.passing, each, start) - malformed)
    failing = each - malformed - passing
    if mix.written:
        copies = _count(mix.equal * (1 - mix.malformed), each, start)
        made = texts(scene, state, generator, passing, failing, copies, mix.shared, malformed)
    else:
        made = chunks(scene, state, generator, passing, failing, malformed)
    order = generator.permutation(each)
    return [{"id": f"{mix.name}:{start}:{i}", **made[row]} for i, row in enumerate(order.tolist())]


def _count(share: float, each: int, start: int) -> int:
    """How many of a start's candidates, so that the share is right over many starts."""
    return int(share * each * (start + 1) + 1e-9) - int(share * each * start + 1e-9)
