"""Crews of lanes: while the physics of one runs in a thread of its own, what the others have shown is looked at."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.engine import Fork, ForkingEngine, Samples
from worldverify.kernels.online import Online, Whole
from worldverify.scheduling.evidence import NOTHING, Pieces
from worldverify.scheduling.trie import Edge
from worldverify.verdict import MOST_MERIT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LANES = 128  # of all crews
CREWS, LEAST_LANES = 2, 4  # how many there are, unless they would have fewer lanes each


@dataclass(eq=False)
class Waiting:
    """An edge that nobody has simulated yet, and what it goes on from: nothing is a start."""

    edge: Edge
    fork: Fork | None = None
    watched: list[Any] | None = None
    evidence: Pieces = NOTHING
    ceiling: float = MOST_MERIT  # see `Race`
    standing: float | None = None  # see `Running`; None where nothing was simulated yet

    @property
    def period(self) -> int:
        """Control periods done."""
        return self.edge.first


@dataclass(eq=False)
class Running:
    """An edge in a lane."""

    edge: Edge
    period: int  # control periods done
    evidence: Pieces
    ceiling: float
    standing: float | None  # margin scales: the least margin, if the world stood still from now on


@dataclass(frozen=True)
class Leg:
    """Lanes that go on by as many control periods."""

    lanes: Ints
    periods: int
    controls: Floats  # (n, K, nu), a row a substep


@dataclass(eq=False)
class Crew:
    """The lanes of one engine. They set out together and are looked at when all are back."""

    engine: ForkingEngine
    monitor: Online | Whole | None
    running: dict[int, Running] = field(default_factory=dict)
    _legs: Sequence[Leg] = ()
    _out: Future[list[Callable[[], Samples]]] | None = None

    @property
    def out(self) -> bool:
        """Whether its physics runs: then nothing may be asked of its engine."""
        return self._out is not None

    def free(self) -> list[int]:
        """Lanes in which nothing runs."""
        return [lane for lane in range(self.engine.nlane) if lane not in self.running]

    def set_out(self, pool: Executor, legs: Sequence[Leg]) -> None:
        """Begin the physics of some lanes in another thread."""
        self._legs = legs
        self._out = pool.submit(lambda: [self.engine.begin(leg.lanes, leg.controls) for leg in legs])

    def come_back(self) -> list[tuple[Leg, Samples]]:
        """What the lanes have shown."""
        assert self._out is not None
        begun = self._out.result()
        self._out = None
        return [(leg, check()) for leg, check in zip(self._legs, begun, strict=True)]


def lanes_of_crews(plans: int, lanes: int | None, *, alone: bool) -> list[int]:
    """How many lanes each crew has for so many plans. `lanes`: of all, if that is asked for; `alone`: one crew."""
    most = max(1, min(lanes or MOST_LANES, plans))
    crews = 1 if alone or most < CREWS * LEAST_LANES else CREWS
    return [most // crews + (i < most % crews) for i in range(crews)]
