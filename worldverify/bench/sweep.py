"""The sweep: every contestant at every batch that fits the time, in turn, with what was left out said."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldverify.bench.agreement import agreement, statuses
from worldverify.bench.clocks import in_turn, ratios, spread, timed
from worldverify.bench.contestants import FEWEST_LANES, MOST_ON_CPU, Contestant, Prepared, contestants
from worldverify.bench.facts import loads, scene_facts
from worldverify.engines.backend import parse_engine
from worldverify.task import Task
from worldverify.variations import alike, controls, variations

BATCHES = (1, 8, 32, 128, 512, 2048, 8192, 32768)  # plans
ONE_SIZE = 32  # plans, where the rate does not depend on their number
INVALID = 0.02  # share of malformed plans: they take time too
QUICK_S = 1.5  # of calls for each batch; small ones are called often enough for a 99th percentile
MOST_ROUNDS = 25
SHARED = 0.25  # of a device's time is taken to grow with the plans, until it has been seen
SETTLED = 0.05  # of a rate, by which that of MuJoCo C may still change when it is measured no further
A_BATCH = 0.6  # share of the time that is left which one batch may take, unless it is the last
ALIKE = 0.15  # share of a task's time for plans that are all alike


@dataclass(frozen=True)
class Wanted:
    """What is to be measured."""

    engines: tuple[str, ...] = ("mujoco", "mjx-warp", "mjx-jax")
    batches: tuple[int, ...] | None = None  # in this order; None: BATCHES, fewer on the CPU devices of GPU engines
    repeats: int = 5  # rounds of two calls
    seed: int = 0
    dollars: Mapping[str, float] = field(default_factory=dict)  # "cpu", "gpu": an hour of all CPUs used, of the GPU


@dataclass
class _Known:
    """What one contestant has shown so far of different plans."""

    slope: float  # of the time of a call against its plans, as a share of proportion, until two batches tell
    batches: list[int] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)  # s of a call
    compiling_s: float = 0.0  # by which a first call was longer than a later one
    rates: list[float] = field(default_factory=list)  # plans/s of each batch
    said: set[str] = field(default_factory=set)

    def expected_s(self, batch: int) -> float | None:
        """s of a first call and a round of two, by the straight line through the last batches; None if unknown."""
        if not self.batches:
            return None
        wall, slope = self.walls[-1], self.slope * self.walls[-1] / self.batches[-1]
        if len(self.batches) > 1:
            slope = (wall - self.walls[-2]) / (self.batches[-1] - self.batches[-2])
        return self.compiling_s + 3 * max(wall, wall + slope * (batch - self.batches[-1]))

    def settled(self, batch: int) -> bool:
        """Whether a larger batch will only repeat the rate of the last two."""
        if len(self.rates) < 2 or batch <= self.batches[-1]:
            return False
        return abs(self.rates[-1] / self.rates[-2] - 1) < SETTLED

    @property
    def best(self) -> int | None:
        """The batch with the highest rate."""
        return self.batches[int(np.argmax(self.rates))] if self.rates else None


def measure_task(
    task: Task, wanted: Wanted, *, seconds: float, starts: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Everything about one task, in about that many seconds. `starts` are its cold clocks."""
    began = time.perf_counter()
    end = began + seconds
    entrants, missing = contestants(wanted.engines)
    sample = controls(task, 64, wanted.seed)
    result: dict[str, Any] = {
        "task": task.name,
        "facts": scene_facts(task),
        **loads(task, sample),
        "rows_measured": [],
        "skipped": missing,
    }
    known = {_key(c): _Known(1.0 if c.engine == "mujoco" else SHARED) for c in entrants}
    truth: list[str] = []
    try:
        batches = wanted.batches or BATCHES
        for i, batch in enumerate(batches):
            left = end - ALIKE * seconds - time.perf_counter()
            until = time.perf_counter() + (left if i == len(batches) - 1 else A_BATCH * left)
            active = sorted(
                (c for c in entrants if _takes_part(c, batch, batches, wanted)), key=lambda c: not c.checked
            )  # where time is short, verdicts first
            lines = variations(task, batch, wanted.seed, invalid=INVALID)
            rows, said = _one_batch(task, active, lines, known, truth, wanted, until, "varied")
            result["rows_measured"] += rows
            result["skipped"] += said
        for contestant in entrants:
            best = known[_key(contestant)].best
            if contestant.checked and not contestant.one_size and best is not None:
                pair = [c for c in entrants if c is contestant or c is entrants[0]]
                until = time.perf_counter() + (end - time.perf_counter()) / 2
                lines = alike(task, best, wanted.seed)
                rows, said = _one_batch(task, pair, lines, known, [], wanted, until, "alike")
                result["rows_measured"] += [r for r in rows if r["name"] == contestant.name]
                result["skipped"] += said
    finally:
        for contestant in entrants:
            contestant.close()
    result["starts"] = list(starts)
    result["summary"] = summary(result["rows_measured"], starts, wanted.dollars)
    result["took_s"] = time.perf_counter() - began
    return result


def _takes_part(contestant: Contestant, batch: int, batches: Sequence[int], wanted: Wanted) -> bool:
    if contestant.one_size:
        return batch == max([b for b in batches if b <= ONE_SIZE], default=batches[0])
    if contestant.most is not None and batch > contestant.most:
        return False
    if wanted.batches is None and contestant.device == "cpu" and contestant.engine != "mujoco":
        return FEWEST_LANES <= batch <= MOST_ON_CPU[contestant.engine]
    return True


def _one_batch(
    task: Task,
    active: Sequence[Contestant],
    lines: Sequence[dict[str, object]],
    known: Mapping[tuple[str, int | None], _Known],
    truth: list[str],
    wanted: Wanted,
    until: float,
    crowd: str,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of one crowd, and what was left out. `truth` grows by the reference's statuses."""
    batch = len(lines)
    prepared: dict[tuple[str, int | None], tuple[Contestant, Prepared, float]] = {}
    stacked = _controls_of(task, lines)
    said, late, allowed = list[str](), list[str](), max(0.0, until - time.perf_counter())
    for contestant in active:
        key, now = _key(contestant), time.perf_counter()
        if wanted.batches is None and contestant.engine == "mujoco" and known[key].settled(batch):
            if "settled" not in known[key].said:
                known[key].said.add("settled")
                who = label(contestant.name, contestant.cpus, contestant.device)
                said.append(f"{who}: not measured from {batch} plans on, since its rate has settled.")
            continue
        expected = known[key].expected_s(batch) or contestant.expected_s(task, batch)
        reference = contestant.checked and contestant.engine == "mujoco" and not truth
        if (
            expected > until - now and not reference
        ):  # what all others are compared with is there, however short of time
            if "time" not in known[key].said:
                known[key].said.add("time")
                late.append(f"{label(contestant.name, contestant.cpus, contestant.device)} ({max(1, expected):.0f} s)")
            continue
        try:
            ready = contestant.make(task, lines, stacked)
            first = timed(ready.run)
        except Exception as error:  # a scene it cannot do, a device without memory: the others go on
            said.append(
                f"{label(contestant.name, contestant.cpus, contestant.device)}: not measured at {batch} plans. "
                f"{' '.join(str(error).split())[:300]}"
            )
            continue
        prepared[key] = contestant, ready, first
        if contestant.checked and contestant.engine == "mujoco":
            truth[:] = [v.status for v in ready.verdicts[0]] if len(truth) < batch else truth
    if late:
        whom = "plans that are alike" if crowd == "alike" else f"plan{'' if batch == 1 else 's'}"
        said.append(
            f"Not measured for lack of time, first at {batch} {whom} in a call, with {allowed:.0f} s left (in "
            f"brackets, what it would have taken): {', '.join(late)}."
        )
    runs = {_name(key): entry[1].run for key, entry in prepared.items()}
    rounds = {_name(key): _rounds(wanted.repeats, entry[2]) for key, entry in prepared.items()}
    walls = in_turn(runs, rounds, until=until)
    rows = [
        _row(task, contestant, ready, first, walls[_name(key)], batch, crowd, truth)
        for key, (contestant, ready, first) in prepared.items()
    ]
    _compare(rows, walls)
    if crowd == "varied":
        for key, row in zip(prepared, rows, strict=True):
            one, wall = known[key], row["wall_s"]["p50"]
            one.batches.append(batch)
            one.walls.append(wall)
            one.rates.append(batch / wall)
            one.compiling_s = max(0.0, row["first_call_s"] - wall)
    return rows, said


def _row(
    task: Task,
    contestant: Contestant,
    ready: Prepared,
    first: float,
    walls: Sequence[float],
    batch: int,
    crowd: str,
    truth: Sequence[str],
) -> dict[str, Any]:
    steps = ready.steps()
    row: dict[str, Any] = {
        "name": contestant.name,
        "engine": contestant.engine,
        "device": contestant.device,
        "cpus": contestant.cpus,
        "checked": contestant.checked,
        "crowd": crowd,
        "batch": batch,
        "first_call_s": first,
        "wall_s": spread(walls),
        "steps": steps,
        "steps_per_s": spread([steps / wall for wall in walls]),
    }
    if contestant.checked:
        found = ready.verdicts[0]
        row["plans_per_s"] = spread([batch / wall for wall in walls])
        row["statuses"] = statuses(found)
        if contestant.engine != "mujoco":
            row["agreement"] = agreement(found, truth, parse_engine(contestant.engine)[0])
    return row


def _compare(rows: Sequence[dict[str, Any]], walls: Mapping[str, Sequence[float]]) -> None:
    """Ratios of rows that ran in the same rounds: to our verifier on MuJoCo C, and to the raw engine."""
    for row in rows:
        mine = walls[_name((row["name"], row["cpus"]))]
        for kind, other in (("of_mujoco", _reference(rows)), ("of_raw", _raw_of(row, rows))):
            if other is None or not row["checked"]:
                continue
            found = ratios(mine, walls[_name((other["name"], other["cpus"]))])
            scale = row["steps"] / other["steps"] if kind == "of_raw" else 1.0
            row[kind] = spread([scale * ratio for ratio in found])


def _reference(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return next((r for r in rows if r["checked"] and r["engine"] == "mujoco"), None)


def _raw_of(row: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    same = [r for r in rows if not r["checked"] and r["engine"] == row["engine"] and r["cpus"] == row["cpus"]]
    return next(iter(same), None)


def summary(
    rows: Sequence[Mapping[str, Any]], starts: Sequence[Mapping[str, Any]], dollars: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Each engine's best, where it begins to win against MuJoCo C on all CPUs, and when its start has paid."""
    checked = [r for r in rows if r["checked"] and r["crowd"] == "varied"]
    curves: dict[tuple[str, str, int | None], list[Mapping[str, Any]]] = {}
    for row in checked:
        curves.setdefault((row["engine"], row["device"], row["cpus"]), []).append(row)
    begun = {(s["engine"], s["device"]): s for s in starts}
    reference = next((c for key, c in curves.items() if key[0] == "mujoco"), [])
    base = max((r["plans_per_s"]["p50"] for r in reference), default=0.0)
    most_cpus = max((cpus for _, _, cpus in curves if cpus is not None), default=None)
    found = []
    for (engine, device, cpus), curve in curves.items():
        best = max(curve, key=lambda r: r["plans_per_s"]["p50"])
        rate = best["plans_per_s"]["p50"]
        one: dict[str, Any] = {"engine": engine, "device": device, "cpus": cpus}
        one |= {"best_plans_per_s": rate, "best_batch": best["batch"], "of_best_mujoco": rate / base if base else None}
        if device in dollars and (device == "gpu" or cpus == most_cpus):
            one["plans_per_dollar"] = 3600 * rate / dollars[device]
        if engine != "mujoco":
            one["crossover_plans"] = crossover(reference, curve)
            start, other = begun.get((engine, device)), begun.get(("mujoco", "cpu"))
            for cache in ("cold_cache", "warm_cache"):
                one[f"break_even_plans_{cache}"] = _break_even(start, other, f"{cache}_s", base, rate)
        found.append(one)
    return found


def _break_even(
    start: Mapping[str, Any] | None, other: Mapping[str, Any] | None, clock: str, base: float, rate: float
) -> float | None:
    """Plans after which a new process has made up for a later start than that of MuJoCo C; None if never or unknown."""
    if not (start and other and start.get(clock) and other.get("warm_cache_s")) or rate <= base:
        return None
    later = start[clock]["p50"] - other["warm_cache_s"]["p50"]
    return float(max(0.0, later) / (1 / base - 1 / rate))


def crossover(reference: Sequence[Mapping[str, Any]], curve: Sequence[Mapping[str, Any]]) -> float | None:
    """The number of plans from which a curve is the faster one to the end of what was measured, both warm; None if
    never. Between batches the logarithms of the rates are straight lines; beyond the reference's largest batch its
    rate stays."""
    if not reference or not curve:
        return None
    reference, curve = (sorted(rows, key=lambda r: int(r["batch"])) for rows in (reference, curve))
    x = np.log([r["batch"] for r in reference])
    y = np.log([r["plans_per_s"]["p50"] for r in reference])
    batches = np.log([r["batch"] for r in curve])
    ahead = np.log([r["plans_per_s"]["p50"] for r in curve]) - np.interp(batches, x, y)
    if ahead[-1] <= 0:
        return None
    behind = np.flatnonzero(ahead <= 0)
    if not len(behind):
        return float(np.exp(batches[0]))
    i = int(behind[-1])
    share = ahead[i] / (ahead[i] - ahead[i + 1])
    return float(np.exp(batches[i] + share * (batches[i + 1] - batches[i])))


def label(name: str, cpus: int | None, device: str) -> str:
    """A contestant with where it ran, for tables and sentences."""
    if cpus is not None:
        return f"{name}, {cpus} CPU{'' if cpus == 1 else 's'}"
    return f"{name}, {'GPU' if device == 'gpu' else 'CPU device'}"


def _rounds(repeats: int, first_s: float) -> int:
    return max(repeats, min(MOST_ROUNDS, int(QUICK_S / (2 * max(first_s, 1e-6)))))


def _controls_of(task: Task, lines: Sequence[dict[str, object]]) -> Any:
    """(n, T, nu) of all lines; where one is malformed, it stands still: a raw engine has nothing to refuse."""
    still = np.zeros((task.steps, task.scene.model.nu))
    return np.stack([np.asarray(line.get("actions", still)) for line in lines])


def _key(contestant: Contestant) -> tuple[str, int | None]:
    return contestant.name, contestant.cpus


def _name(key: tuple[str, int | None]) -> str:
    return f"{key[0]}|{key[1]}"
