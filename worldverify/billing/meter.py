"""What a stretch of work took of this machine: time, processor time, memory, energy."""

import os
import resource
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from worldverify.billing.nvml import Nvml
from worldverify.billing.prices import GB, Prices, gpu_kind
from worldverify.billing.rapl import POWERCAP, Rapl

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_TICK = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


class _Call:
    """Work that is being metered, and the processor time that is its part so far."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.thread = threading.get_ident()


class _Process:
    """Shares the processor time of this process among the threads that meter work side by side.

    Work that is metered within other work of its thread is part of it, and takes nothing from it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[_Call] = weakref.WeakSet()  # one that an exception ended is forgotten
        self._last = time.process_time()

    def begin(self) -> _Call:
        call = _Call()
        with self._lock:
            self._settle()
            self._open.add(call)
        return call

    def so_far(self, call: _Call) -> float:
        with self._lock:
            self._settle()
        return call.cpu_s

    def end(self, call: _Call) -> None:
        with self._lock:
            self._settle()
            self._open.discard(call)

    def _settle(self) -> None:
        now = time.process_time()
        calls = list(self._open)
        callers = len({call.thread for call in calls})
        for call in calls:
            call.cpu_s += (now - self._last) / callers
        self._last = now


_PROCESS = _Process()  # there is one, as there is one clock of its processor time


class Mark(NamedTuple):
    """Where the counters stood."""

    wall: float  # s
    call: _Call
    busy: float | None  # s that all CPUs of the machine have been busy
    resident: int  # bytes
    packages: Mapping[str, int] | None  # uJ
    gpus: float | None  # J
    children: float  # s, of processes that were started and have ended


@dataclass(frozen=True)
class Reading:
    """What was taken since a mark."""

    wall_s: float
    cpu_s: float  # of all threads of this process, of which calls side by side have equal parts; and of its children
    gb_s: float  # GB of resident memory, times seconds
    peak_bytes: int  # of resident memory, since the process began
    joules: float
    estimated: tuple[str, ...]  # fields that were not measured
    reasons: tuple[str, ...] = ()  # why not, in a few words each


class Meter:
    """Reads the counters of this process and this machine.

    Energy is that of the processor packages (RAPL), of which a process has the part that its processor time has of all
    busy time, so that idle power is shared by whoever works; where RAPL cannot be read, nameplate power times processor
    time. GPU energy is the counters' (NVML), else nameplate power times GPU time. RAPL does not see memory modules on
    most machines, nor fans and power supplies.
    """

    def __init__(
        self,
        prices: Prices,
        *,
        gpu: str | None = None,
        children: bool = False,
        powercap: Path = POWERCAP,
        stat: Path = Path("/proc/stat"),
        nvml: Nvml | None = None,
    ) -> None:
        """`gpu`: what the driver calls the GPU that is used, None for none. `children`: the processor time of processes
        that the work starts, and waits for, counts too. The rest is for tests."""
        self._prices, self._stat, self._children = prices, stat, children
        self._rapl = Rapl(powercap)
        self.gpu = gpu_kind(gpu, prices)
        self._nvml = nvml if nvml is not None else Nvml() if gpu is not None else None

    def start(self) -> Mark:
        """The counters now; from here on the work has its part of the process's time, until `since` or for good."""
        packages = self._rapl.read()
        return Mark(
            time.perf_counter(),
            _PROCESS.begin(),
            self._busy() if packages is not None else None,
            _resident(),
            packages,
            self._nvml.read() if self._nvml is not None else None,
            _of_children() if self._children else 0.0,
        )

    def so_far(self, mark: Mark) -> tuple[float, float]:
        """(elapsed s, s of processor time) since a mark, to which more will be added."""
        return time.perf_counter() - mark.wall, _PROCESS.so_far(mark.call)

    def since(self, mark: Mark, *, gpu_s: float = 0.0) -> Reading:
        """What was taken since then, of which the GPU worked gpu_s seconds."""
        cpu = _PROCESS.so_far(mark.call)
        now = self.start()
        _PROCESS.end(now.call)
        _PROCESS.end(mark.call)
        cpu += now.children - mark.children
        wall = now.wall - mark.wall
        reasons: list[str] = []
        joules, measured = self._cpu_joules(mark, now, cpu, reasons)
        if gpu_s:
            of_gpu, read = self._gpu_joules(mark, now, gpu_s, reasons)
            joules, measured = joules + of_gpu, measured and read
        memory = (mark.resident + now.resident) / 2  # calls side by side hold the same memory, each the whole of it
        return Reading(
            wall,
            cpu,
            memory / GB * wall,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT,
            joules,
            () if measured else ("joules",),
            tuple(reasons),
        )

    def _cpu_joules(self, mark: Mark, now: Mark, cpu: float, reasons: list[str]) -> tuple[float, bool]:
        if mark.packages is None or now.packages is None or mark.busy is None or now.busy is None:
            reasons.append(f"{self._rapl.reason or 'the RAPL counters cannot be read'}: nameplate power of the CPU")
            return cpu * self._prices.cpu_watts.value, False
        # The kernel counts busy time in ticks: what is shorter than one is as much as this process used.
        busy = max(now.busy - mark.busy, cpu)
        share = cpu / busy if busy > 0 else 0.0
        return self._rapl.between(mark.packages, now.packages) * share, True

    def _gpu_joules(self, mark: Mark, now: Mark, gpu_s: float, reasons: list[str]) -> tuple[float, bool]:
        if mark.gpus is not None and now.gpus is not None:
            return now.gpus - mark.gpus, True
        why = self._nvml.reason if self._nvml is not None and self._nvml.reason else "NVML was not asked"
        if self.gpu is None or self.gpu not in self._prices.gpu_watts:
            reasons.append(f"{why}, and the price file has no power of this GPU: its energy is left out")
            return 0.0, False
        reasons.append(f"{why}: nameplate power of the GPU")
        return gpu_s * self._prices.gpu_watts[self.gpu].value, False

    def _busy(self) -> float | None:
        """s that all CPUs of the machine have been busy since it was started; None where it does not tell."""
        try:
            with self._stat.open(encoding="ascii") as lines:
                ticks = [int(word) for word in lines.readline().split()[1:9]]
        except (OSError, ValueError):
            return None
        # user, nice, system, idle, iowait, irq, softirq, steal
        return (sum(ticks) - ticks[3] - ticks[4]) * _TICK if len(ticks) >= 7 else None


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident() -> int:
    """Bytes of memory that this process holds now; where that is not told, the most that it has held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as numbers:
            return int(numbers.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
