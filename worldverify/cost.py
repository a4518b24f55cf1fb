"""What a verdict took. A batch's time is shared among its verdicts by the substeps each of them simulated."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cost:
    """The bill of one verdict; null means that it was not measured."""

    steps: int = 0  # physics substeps simulated for this verdict, retries and audits included
    steps_saved: int = 0  # substeps of the plain exhaustive run that were not simulated
    saved_by: Mapping[str, int] = field(default_factory=dict)  # rule of `worldverify.Schedule` -> substeps it saved
    cpu_s: float = 0.0  # s, processor time of all threads
    gpu_s: float = 0.0  # s, device time
    gb_s: float = 0.0  # GB of memory that the process held, times this verdict's share of the elapsed seconds
    peak_bytes: int = 0  # the most memory that the process has held until then, whoever filled it
    wall_s: float = 0.0  # s, this verdict's share of the elapsed time
    queue_s: float = 0.0  # s that it waited for others to be judged with, not within wall_s; 0 in a call of `verify`
    compile_s: float = 0.0  # s, its share of reading and compiling plans, within wall_s
    bytes: int = 0  # recorded evidence
    placement: str | None = None  # why it ran where it did, where on="auto" had a choice
    cold: bool = False  # the engine was built within this call
    joules: float | None = None
    money: float | None = None  # by the price file, for processor, memory and GPU; evidence is not stored
    currency: str | None = None  # of the money
    estimated: tuple[str, ...] = ()  # fields that rest on nameplate power or on prices that nobody has looked up

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "estimated": list(self.estimated)}


def total(bills: Sequence[Cost]) -> Cost:
    """The bill of several verdicts together."""
    saved = Counter[str]()
    for bill in bills:
        saved.update(bill.saved_by)
    return Cost(
        steps=sum(bill.steps for bill in bills),
        steps_saved=sum(bill.steps_saved for bill in bills),
        saved_by=dict(saved),
        cpu_s=math.fsum(bill.cpu_s for bill in bills),
        gpu_s=math.fsum(bill.gpu_s for bill in bills),
        gb_s=math.fsum(bill.gb_s for bill in bills),
        peak_bytes=max((bill.peak_bytes for bill in bills), default=0),
        wall_s=math.fsum(bill.wall_s for bill in bills),
        queue_s=math.fsum(bill.queue_s for bill in bills),
        compile_s=math.fsum(bill.compile_s for bill in bills),
        bytes=sum(bill.bytes for bill in bills),
        cold=any(bill.cold for bill in bills),
        joules=_known([bill.joules for bill in bills]),
        money=_known([bill.money for bill in bills]),
        currency=next((bill.currency for bill in bills if bill.currency), None),
        estimated=tuple(dict.fromkeys(name for bill in bills for name in bill.estimated)),
    )


def _known(parts: Sequence[float | None]) -> float | None:
    """The sum, or None where a part is not known."""
    known = [part for part in parts if part is not None]
    return math.fsum(known) if known and len(known) == len(parts) else None
