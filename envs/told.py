"""What episodes have been told so far, and what the plans that this makes come to."""

import numpy as np
from numpy.typing import NDArray

from worldverify.compile import compile_for
from worldverify.envs.rows import Rows, read_as_they_are
from worldverify.refusal import Refusal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Moved = tuple[Floats, dict[int, Refusal]]  # controls of n lanes; and lane -> why a row of it cannot be followed


class Told:
    """What each lane has been told in its episode so far."""

    def __init__(self, format: Rows, lanes: int) -> None:
        self._format = format
        self._starts = np.zeros((lanes, format.task.scene.nstate))
        self._rows = np.zeros((lanes, format.steps, format.contract.width))
        self._usual = read_as_they_are(format.contract)
        self._wrong: dict[int, Refusal] = {}  # lanes whose plan cannot even be read
        self.count: Ints = np.zeros(lanes, dtype=np.int64)  # rows of each lane

    def load(self, lanes: Ints, states: Floats) -> None:
        """Episodes begin."""
        self._starts[lanes], self.count[lanes] = states, 0
        self._wrong = {lane: why for lane, why in self._wrong.items() if lane not in lanes}

    def add(self, lanes: Ints, rows: Floats) -> Floats:
        """One row (n, width) more in each of n lanes; the rows as they are admitted into a plan."""
        self._rows[lanes, self.count[lanes]] = rows
        self.count[lanes] += 1
        usual = self._usual.hold(rows)
        if usual.all():
            return rows
        for lane in lanes[~usual].tolist():
            try:
                self._rows[lane, : self.count[lane]] = self._format.admitted(self._rows[lane, : self.count[lane]])
            except Refusal as refusal:
                self._wrong[lane] = refusal
        admitted: Floats = self._rows[lanes, self.count[lanes] - 1]
        return admitted

    def readable(self, lanes: Ints) -> Bools:
        """(n,) whether the plans of lanes can be read."""
        return np.array([lane not in self._wrong for lane in lanes.tolist()])

    def all(self, lanes: Ints) -> Floats:
        """(n, K, width) the rows of n lanes, the last one repeated where another lane has more."""
        count = self.count[lanes]
        shown = np.minimum(np.arange(count.max()), count[:, None] - 1)
        rows: Floats = self._rows[lanes[:, None], shown]
        return rows

    def last(self, lanes: Ints) -> Moved:
        """Controls (n, periods, nu) of the last row of each lane, whose plan so far is compiled, or why not."""
        periods = self._format.periods
        controls = np.zeros((len(lanes), periods, self._format.task.scene.model.nu))
        refused = {lane: self._wrong[lane] for lane in lanes.tolist() if lane in self._wrong}
        places = np.flatnonzero(self.readable(lanes))
        plans = [self._format.plan(self._rows[lane, : self.count[lane]]) for lane in lanes[places]]
        compiled = compile_for(self._format.task, self._starts[lanes[places]], plans)
        for place, made in zip(places.tolist(), compiled, strict=True):
            lane = int(lanes[place])
            if isinstance(made, Refusal):
                refused[lane] = made
            else:
                end = int(self.count[lane]) * periods
                controls[place] = made.controls[end - periods : end]
        return controls, refused
