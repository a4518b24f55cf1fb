"""Machines that were measured: here, or elsewhere and copied over. What was not measured is never made up."""

import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worldverify.bench.facts import cpu_model, machine
from worldverify.billing.prices import Prices
from worldverify.kernels.mujoco_cpu import usable_cpus
from worldverify.local import LocalVerifier
from worldverify.task import Task
from worldverify.usage import UsageError, cannot_read

SCHEMA = 1
BATCHES = (1, 8, 64, 256)  # plans in a call
LEAST_S = 1.0  # s that a batch is measured for
DEVICES = ("cpu", "gpu")


@dataclass(frozen=True)
class Machine:
    """One kind of machine, and how fast it verifies plans of one task, by plans in a call."""

    name: str  # "AMD EPYC", "NVIDIA H100"
    device: str  # "cpu" or "gpu"
    kind: str  # architecture of a CPU ("x86_64", "aarch64"), or a GPU as in the price file
    cores: int  # that were used; 1 for a GPU
    task: str
    plans_per_s: dict[int, float]  # plans in a call -> rate
    date: str
    source: str  # the file, or "this machine"

    @property
    def best_batch(self) -> int:
        """Plans in a call at which it is fastest."""
        return max(self.plans_per_s, key=lambda batch: self.plans_per_s[batch])

    def rate(self, batch: int) -> tuple[float, bool]:
        """Plans/s at so many plans in a call, and whether that lies beyond what was measured.

        Between two measured batches a straight line between their logarithms; beyond them that of the nearest.
        """
        known = sorted(self.plans_per_s)
        low = max((b for b in known if b <= batch), default=known[0])
        high = min((b for b in known if b >= batch), default=known[-1])
        outside = not known[0] <= batch <= known[-1]
        if low == high:
            return self.plans_per_s[low], outside
        share = math.log(batch / low) / math.log(high / low)
        return self.plans_per_s[low] ** (1 - share) * self.plans_per_s[high] ** share, outside

    def money_per_hour(self, prices: Prices) -> float:
        """Of the processor cores, or of the GPU; memory apart."""
        if self.device == "cpu":
            return self.cores * prices.vcpu_hour.value
        return prices.gpu("gpu_hour", self.kind).value

    def watts(self, prices: Prices) -> float:
        """Nameplate, at work."""
        return self.cores * prices.cpu_watts.value if self.device == "cpu" else prices.gpu("gpu_watts", self.kind).value

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "plans_per_s": {str(batch): rate for batch, rate in self.plans_per_s.items()}}


def measured_here(task: Task, lines: Sequence[Any], batches: Sequence[int] = BATCHES) -> Machine:
    """The processor of this machine, on candidates of a task: judged as `verify` judges, with all rules."""
    verifier, rates = LocalVerifier(), dict[int, float]()
    for batch in batches:
        some = [lines[i % len(lines)] for i in range(batch)]
        verifier.verify(task, some)
        clock, done = time.perf_counter(), 0
        while not done or time.perf_counter() - clock < LEAST_S:
            # Each call has other candidates, as a generator's calls have.
            verifier.verify(task, [lines[(done + i) % len(lines)] for i in range(batch)])
            done += batch
        rates[batch] = done / (time.perf_counter() - clock)
    verifier.close()
    today = time.strftime("%Y-%m-%d")
    return Machine(cpu_model(), "cpu", platform.machine(), usable_cpus(), task.name, rates, today, "this machine")


def recorded(here: Machine) -> str:
    """A file that another machine can read."""
    return json.dumps({"schema": SCHEMA, **here.to_json(), "machine": machine()}, indent=1) + "\n"


def load_machine(path: str | Path) -> Machine:
    """A machine that was recorded with `worldverify cost --record`. Raises UsageError."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValueError:
        raise UsageError(f"{path} is not a recorded machine: it is not JSON. Record one with --record FILE.") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UsageError(f"{path} is not a recorded machine of schema {SCHEMA}: record it again with --record FILE.")
    texts = {key: found.get(key) for key in ("name", "device", "kind", "task", "date")}
    for key, value in texts.items():
        if not isinstance(value, str) or not value:
            raise UsageError(f"{path}: {key} is a text; got {value!r}. Record it again with --record FILE.")
    if texts["device"] not in DEVICES:
        raise UsageError(f"{path}: device is one of {', '.join(DEVICES)}; got {texts['device']!r}.")
    cores, rates = found.get("cores"), found.get("plans_per_s")
    if not isinstance(cores, int) or isinstance(cores, bool) or cores < 1:
        raise UsageError(f"{path}: cores is a whole number from 1 on; got {cores!r}.")
    if not isinstance(rates, dict) or not rates:
        raise UsageError(f"{path}: plans_per_s gives a rate for each number of plans in a call; got {rates!r}.")
    read: dict[int, float] = {}
    for batch, rate in rates.items():
        sound = isinstance(rate, int | float) and not isinstance(rate, bool) and math.isfinite(rate) and rate > 0
        if not (batch.isascii() and batch.isdigit() and 0 < int(batch) < 10**9) or not sound:
            raise UsageError(f"{path}: plans_per_s has {batch!r}: {rate!r}, which is no number of plans with a rate.")
        read[int(batch)] = float(rate)
    known: Any = texts
    return Machine(**known, cores=cores, plans_per_s=read, source=str(path))
