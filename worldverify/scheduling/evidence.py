"""What lanes have shown, in pieces, and what it says: evidence of any length in one go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound
from worldverify.judge import Finding, judge_margins
from worldverify.kernels.engine import Fault

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pieces:
    """Samples of one lane from its start, cut into consecutive pieces; nothing in it is ever changed."""

    margins: tuple[Floats, ...] = ()  # (A, K) each: of the atoms, SI units
    fault: tuple[NDArray[np.int32], ...] = ()  # (K,) each
    samples: int = 0  # of all pieces
    nbytes: int = 0  # of the sensor columns and faults that they were measured from

    def and_then(self, margins: Floats, fault: NDArray[np.int32], columns: int) -> "Pieces":
        """With the next samples, measured from so many sensor columns."""
        parts = (*self.margins, margins), (*self.fault, fault)
        return Pieces(*parts, self.samples + len(fault), self.nbytes + len(fault) * (8 * columns + 4))

    def distrusted(self, bit: Fault) -> "Pieces":
        """The same with a fault at every sample."""
        return replace(self, fault=tuple(part | np.int32(bit) for part in self.fault))


NOTHING = Pieces()


def judge_pieces(
    bound: Bound,
    evidence: Sequence[Pieces],
    *,
    horizon: int,
    last: int | None = None,
    chunk: bool = False,
    full: bool = False,
    by: float = 0.0,
) -> list[Finding]:
    """One finding each, as `judge` of it. What ends before sample `last` must have been decided by then, or untrusted.

    `last`: where plans end whose evidence would be complete; None: at the horizon. `by`: every margin counts as higher
    by so many scales.
    """
    end = horizon if last is None else last
    found: dict[int, Finding] = {}
    lengths = np.array([one.samples for one in evidence])
    whole = lengths > end
    higher = np.array([by * atom.scale for atom in bound.atoms])[:, None, None]
    for rows in (np.flatnonzero(whole).tolist(), np.flatnonzero(~whole).tolist()):
        if not len(rows):
            continue
        # A chunk's guards end with the chunk, so its evidence must, too.
        known = end + 1 if whole[rows[0]] or chunk else int(lengths[rows].max())
        known = min(known, horizon + 1)
        margins = np.zeros((len(bound.atoms), len(rows), known))
        fault = np.full((len(rows), known), int(Fault.NOT_FINITE), dtype=np.int32)  # beyond an end is no evidence
        for i, row in enumerate(rows):
            upto = 0
            for part, bits in zip(evidence[row].margins, evidence[row].fault, strict=True):
                count = max(0, min(len(bits), known - upto))
                margins[:, i, upto : upto + count], fault[i, upto : upto + count] = part[:, :count], bits[:count]
                upto += count
        if by:
            margins += higher
        findings = judge_margins(bound, margins, fault, horizon=horizon, chunk=chunk, full=full)
        for row, finding in zip(rows, findings, strict=True):
            cut = finding.status != "INVALID" and not whole[row]
            found[row] = replace(finding, untrusted=None, fault=Fault(0), bad_atom=None) if cut else finding
    return [found[i] for i in range(len(evidence))]
