"""CPU or GPU for this call: what calls of a scene have taken on this machine, and what the next one should take."""

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from worldverify.engines.caches import cpu_type, read_json, sha_of, versions, write_json

Device = Literal["cpu", "gpu"]
# device -> batch bucket -> the last measurements
Table = Mapping[Device, Mapping[int, tuple[float, ...]]]

DEVICES: tuple[Device, ...] = ("cpu", "gpu")
KEPT = 5  # measurements a bucket; their median is believed
TIE = 1.1  # times as fast the GPU must be: a CPU verdict is exact, and never has to be judged again


@dataclass(frozen=True)
class Calibration:
    """What calls of one scene have taken on one machine, by device and by batch bucket (a power of two)."""

    step_s: Table = field(default_factory=lambda: {"cpu": {}, "gpu": {}})  # s a physics step of the whole batch
    compile_s: Table = field(default_factory=lambda: {"cpu": {}, "gpu": {}})  # s to build and compile for that bucket

    def with_call(
        self, device: Device, plans: int, samples: int, seconds: float, *, compile_s: float | None = None
    ) -> "Calibration":
        """This with one more finished call: `seconds` for `samples` physics steps of all plans, without compiling.

        What is no measurement (nothing run, no time taken) changes nothing.
        """
        if plans < 1 or samples < 1 or not (math.isfinite(seconds) and seconds > 0):
            return self
        # On a CPU time is shared out to the plans, on a GPU a bucket costs the same however full it is.
        whole = seconds / samples * (bucket_of(plans) / plans if device == "cpu" else 1.0)
        after = replace(self, step_s=_with(self.step_s, device, plans, whole))
        if compile_s is not None and math.isfinite(compile_s) and compile_s > 0:
            after = replace(after, compile_s=_with(after.compile_s, device, plans, compile_s))
        return after

    def knows(self, device: Device) -> bool:
        return bool(self.step_s[device])


@dataclass(frozen=True)
class Placement:
    """Where to run one call, and why."""

    device: Device
    why: str  # a sentence
    extrapolated: bool = False  # no batch of this size has been measured on both: it is reckoned from others
    unknown: tuple[Device, ...] = ()  # devices to be measured before one can be chosen; then `device` is the CPU
    forgone_s: float = 0.0  # what the GPU would have saved, had it been compiled


def choose(
    known: Calibration,
    plans: int,
    samples: int,
    *,
    threads: int,
    no_gpu: str | None = None,
    compiled: Collection[int] = (),
    forgone_s: float = 0.0,
) -> Placement:
    """The faster device for `plans` plans of `samples` physics steps.

    `no_gpu` is why the GPU must not be used, if so; `compiled` the buckets that this process has compiled for it;
    `forgone_s` the sum of `Placement.forgone_s` of the calls before. A GPU that has to compile is chosen once what was
    forgone pays for it: so never more than about twice the time is spent that knowing all calls would have taken.
    """
    if no_gpu is not None:
        return Placement("cpu", f"cpu: {no_gpu}")
    missing = tuple(device for device in DEVICES if not known.knows(device))
    if missing:
        listed = " and ".join(missing)
        return Placement("cpu", f"cpu: not measured yet on {listed} for this scene.", unknown=missing)
    cpu = expected(known, "cpu", plans, samples, threads=threads)
    gpu = expected(known, "gpu", plans, samples, threads=threads)
    guessed = not all(bucket_of(plans) in known.step_s[device] for device in DEVICES)
    saving = cpu - gpu
    why = f"cpu: {_seconds(cpu)} expected on {_cores(threads)} against {_seconds(gpu)} on the GPU"
    if gpu * TIE >= cpu:
        return Placement("cpu", f"{why}." if saving <= 0 else f"{why}, too little to give up exactness for.", guessed)
    cold_s = 0.0 if bucket_of(plans) in compiled else compile_time(known, plans)
    if cold_s and forgone_s + saving <= cold_s:
        return Placement("cpu", f"{why}, which first has to compile for {_seconds(cold_s)}.", guessed, (), saving)
    return Placement("gpu", f"gpu: {_seconds(gpu)} expected against {_seconds(cpu)} on {_cores(threads)}.", guessed)


def expected(known: Calibration, device: Device, plans: int, samples: int, *, threads: int) -> float:
    """Seconds that a call takes on a device that has been measured, without compiling.

    A GPU takes as long for any batch of one bucket: between measured buckets by powers of the batch size, beyond the
    largest in proportion, below the smallest as long as for that one. A CPU takes as many rounds as its threads need
    to serve all plans; what a round takes is between what it took in the nearest buckets.
    """
    times = {bucket: statistics.median(found) for bucket, found in known.step_s[device].items()}
    if device == "cpu":
        rounds = {bucket: time / -(-bucket // threads) for bucket, time in times.items()}
        return samples * _between(rounds, plans) * -(-plans // threads)
    bucket = bucket_of(plans)
    return samples * _between(times, bucket) * max(1.0, bucket / max(times))


def _between(values: Mapping[int, float], at: int) -> float:
    """A value at a batch size: straight lines between logarithms, level beyond the ends."""
    low = max((b for b in values if b <= at), default=min(values))
    high = min((b for b in values if b >= at), default=max(values))
    share = 0.0 if low == high else math.log(at / low) / math.log(high / low)
    return float(values[low] ** (1 - share) * values[high] ** share)


def compile_time(known: Calibration, plans: int) -> float:
    """What the GPU should take to compile for a batch of this size, s; 0 where nothing is known."""
    times = known.compile_s["gpu"]
    if not times:
        return 0.0
    nearest = min(times, key=lambda bucket: abs(math.log(bucket / bucket_of(plans))))
    return statistics.median(times[nearest])


def bucket_of(plans: int) -> int:
    """The next power of two."""
    return 1 << max(0, plans - 1).bit_length()


# On disk


def calibration_name(scene: str, gpu: str | None, threads: int) -> str:
    """What the calibration of a scene (its digest) is kept under: another name on another machine or version."""
    return f"placement-{sha_of({'scene': scene, 'cpu': cpu_type(), 'threads': threads, 'gpu': gpu, **versions()})}"


def load_calibration(name: str) -> Calibration:
    """What was kept; whatever of it is not a measurement counts as not measured."""
    kept = read_json(name)
    kept = kept if isinstance(kept, dict) else {}
    return Calibration(_table(kept.get("step_s")), _table(kept.get("compile_s")))


def save_calibration(name: str, known: Calibration) -> bool:
    """Keep a calibration; whether it could be kept."""
    return write_json(
        name,
        {
            part: {device: {str(b): list(times) for b, times in table[device].items()} for device in DEVICES}
            for part, table in (("step_s", known.step_s), ("compile_s", known.compile_s))
        },
    )


def _table(value: Any) -> Table:
    return {device: _buckets(value.get(device) if isinstance(value, dict) else None) for device in DEVICES}


def _buckets(value: Any) -> dict[int, tuple[float, ...]]:
    found = {}
    for bucket, times in value.items() if isinstance(value, dict) else ():
        whole = isinstance(bucket, str) and bucket.isascii() and bucket.isdigit() and len(bucket) < 10
        if not whole or not isinstance(times, list) or bucket_of(int(bucket)) != int(bucket):
            continue
        good = tuple(t for t in times if isinstance(t, float) and math.isfinite(t) and t > 0)
        if good:
            found[int(bucket)] = good[-KEPT:]
    return found


def _with(table: Table, device: Device, plans: int, seconds: float) -> Table:
    bucket = bucket_of(plans)
    before = table[device].get(bucket, ())
    return {**table, device: {**table[device], bucket: (*before, float(seconds))[-KEPT:]}}


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _cores(threads: int) -> str:
    return "1 CPU core" if threads == 1 else f"{threads} CPU cores"
