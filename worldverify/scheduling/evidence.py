"""What lanes have shown, in pieces, and what it says: evidence of any length in one go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound
from worldverify.judge import Finding, judge
from worldverify.kernels.engine import Fault
from worldverify.simulate import Trace

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pieces:
    """Samples of one lane from its start, cut into consecutive pieces; nothing in it is ever changed."""

    value: tuple[Floats, ...] = ()  # (K, S) each
    fault: tuple[NDArray[np.int32], ...] = ()  # (K,) each
    samples: int = 0  # of all pieces

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.value) + sum(part.nbytes for part in self.fault)

    def and_then(self, value: Floats, fault: NDArray[np.int32]) -> "Pieces":
        return Pieces((*self.value, value), (*self.fault, fault), self.samples + len(fault))


NOTHING = Pieces()


def judge_pieces(
    bound: Bound,
    evidence: Sequence[Pieces],
    *,
    horizon: int,
    last: int | None = None,
    chunk: bool = False,
    full: bool = False,
) -> list[Finding]:
    """One finding each, as `judge` of it. What ends before sample `last` must have been decided by then, or untrusted.

    `last`: where plans end whose evidence would be complete; None: at the horizon.
    """
    end = horizon if last is None else last
    found: dict[int, Finding] = {}
    lengths = np.array([one.samples for one in evidence])
    whole = lengths > end
    for rows in (np.flatnonzero(whole).tolist(), np.flatnonzero(~whole).tolist()):
        if not len(rows):
            continue
        # A chunk's guards end with the chunk, so its evidence must, too.
        known = end + 1 if whole[rows[0]] or chunk else int(lengths[rows].max())
        columns = evidence[rows[0]].value[0].shape[1]
        value = np.zeros((len(rows), known, columns))
        fault = np.full((len(rows), known), int(Fault.NOT_FINITE), dtype=np.int32)  # beyond an end is no evidence
        for i, row in enumerate(rows):
            upto = 0
            for part, bits in zip(evidence[row].value, evidence[row].fault, strict=True):
                count = min(len(part), known - upto)
                value[i, upto : upto + count], fault[i, upto : upto + count] = part[:count], bits[:count]
                upto += count
        trace = Trace(value, fault, np.full(len(rows), known - 1), np.zeros((len(rows), 0)))
        findings = judge(bound, trace, horizon=horizon, chunk=chunk, full=full)
        for row, finding in zip(rows, findings, strict=True):
            cut = finding.status != "INVALID" and not whole[row]
            found[row] = replace(finding, untrusted=None, fault=Fault(0), bad_atom=None) if cut else finding
    return [found[i] for i in range(len(evidence))]
