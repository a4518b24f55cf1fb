"""All three levels for one task and one engine, and what they come to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from worldverify.engines.band import Band, kept_band, load_band, save_band
from worldverify.kernels.engine import EngineInfo
from worldverify.local import LocalVerifier
from worldverify.parity.contender import Contender, reference
from worldverify.parity.crowd import Crowd, line_of
from worldverify.parity.forward import ForwardParity, compare_forward
from worldverify.parity.snapshots import snapshots
from worldverify.parity.step import StepParity, compare_step
from worldverify.parity.verdicts import VerdictParity, as_json, compare_verdicts
from worldverify.task import Task

MOST_WITNESSES = 8  # of a task and an engine: more say no more


@dataclass(frozen=True, eq=False)
class Parity:
    """What came of comparing one engine with MuJoCo C on one task."""

    task: str
    engine: str  # as on the command line
    info: EngineInfo
    forward: ForwardParity | None  # None where the engine does not show its fields
    step: StepParity
    verdicts: VerdictParity
    witnesses: tuple[dict[str, Any], ...]  # verdict lines of MuJoCo C for the deepest flips outside

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the engines do not agree, in sentences; nothing if they do."""
        faults = []
        if self.forward is not None and self.forward.systematic:
            faults.append(f"One forward evaluation differs in {', '.join(self.forward.systematic)}.")
        if self.step.systematic:
            faults.append(f"One control step differs in {', '.join(self.step.systematic)}.")
        outside = self.verdicts.outside
        if outside:
            worst = outside[0]
            faults.append(
                f"{len(outside)} verdict{'s' if len(outside) > 1 else ''} outside of the guard band: MuJoCo C says "
                f"{worst.truth} to a {worst.status} that is {worst.depth:.3g} margin scales deep."
            )
        return tuple(faults)

    @property
    def holds(self) -> bool:
        return not self.faults

    @property
    def band(self) -> Band:
        """The guard band that verify may use, all three levels considered."""
        agrees = not self.step.systematic and not (self.forward is not None and self.forward.systematic)
        return replace(self.verdicts.band, agrees=agrees)

    def to_json(self) -> dict[str, Any]:
        """The whole report of this task and engine."""
        return {
            "task": self.task,
            "engine": {"name": self.engine, **self.info._asdict()},
            "holds": self.holds,
            "faults": list(self.faults),
            "forward": None if self.forward is None else asdict(self.forward),
            "step": asdict(self.step),
            "verdicts": as_json(self.verdicts),
            "band": {**asdict(self.band), "unusable": self.band.unusable},
            "witnesses": list(self.witnesses),
        }


def compare(task: Task, crowd: Crowd, other: Contender, *, states: int, seed: int) -> Parity:
    """Compare an engine with MuJoCo C: `states` snapshots for the first two levels, the whole crowd for the third."""
    shots = snapshots(task, crowd, states, seed)
    verdicts = compare_verdicts(task, crowd, reference(), other, seed)
    return Parity(
        task=task.name,
        engine=other.name,
        info=other.info,
        forward=compare_forward(task, other, shots),
        step=compare_step(task, other, shots),
        verdicts=verdicts,
        witnesses=tuple(_witnesses(task, crowd, [flip.plan for flip in verdicts.outside[:MOST_WITNESSES]])),
    )


def keep_band(task: Task, found: Parity) -> bool:
    """Keep the band for verify to use; whether there is one to use now.

    One that is unusable is kept where it says more than that the plans were few: it stands in the way of others. One
    that was refuted gives way only to more plans than refuted it, lest somebody try seeds until one suits.
    """
    band, before = found.band, kept_band(task, found.info)
    beaten = before is not None and before.refuted and band.plans <= before.plans
    if not beaten and (band.unusable is None or band.refuted):
        save_band(task, found.info, band)
    return load_band(task, found.info) is not None


def _witnesses(task: Task, crowd: Crowd, plans: Sequence[int]) -> list[dict[str, Any]]:
    """The verdict lines of MuJoCo C, each with its plan, that `worldverify replay` reads."""
    if not plans:
        return []
    verifier = LocalVerifier()
    try:
        return [verifier.verify(task, [line_of(crowd.plans[i], i)], seed=crowd.seeds[i])[0].to_json() for i in plans]
    finally:
        verifier.close()
