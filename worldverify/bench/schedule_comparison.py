"""The same plans by every way in turn: how fast each is, and whether any says something else."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from worldverify.bench.clocks import spread
from worldverify.bench.schedule_baselines import Bare, Found, compiled
from worldverify.bench.schedule_mixes import Candidates
from worldverify.bench.schedule_rates import Tally, saved_shares
from worldverify.judge import Finding
from worldverify.local import LocalVerifier
from worldverify.refusal import Refusal
from worldverify.schedule import NO_RULE, Schedule
from worldverify.task import Task
from worldverify.verdict import Verdict, Verdicts

BARE, ENGINEER = "mujoco.batch", "mujoco.batch, each once, stopped"
EXHAUSTIVE, ALL, RESTING = "ours, no rule", "ours, all rules", "ours, all rules and rest"
RULES = {
    EXHAUSTIVE: NO_RULE,
    "ours, stop": replace(NO_RULE, stop=True),
    "ours, refill": replace(NO_RULE, refill=True),
    "ours, share": replace(NO_RULE, share=True),
    "ours, midphase": replace(NO_RULE, midphase=True),
    ALL: Schedule(),
    RESTING: Schedule(rest=True),  # a method of its own: statuses and violated requirements are the same, margins move
}
SHORT = {  # what a way is called on the command line
    "batch": BARE,
    "stopped": ENGINEER,
    "none": EXHAUSTIVE,
    "stop": "ours, stop",
    "refill": "ours, refill",
    "share": "ours, share",
    "midphase": "ours, midphase",
    "all": ALL,
    "rest": RESTING,
}
WAYS = tuple(name for name in SHORT.values() if name != RESTING)

Call = Callable[[Candidates], "Found | Verdicts"]


@dataclass
class Way:
    """What one way has done so far."""

    wall_s: list[float] = field(default_factory=list)  # of each block
    cpu_s: float = 0.0  # s, of all threads
    steps: int = 0  # substeps
    same: int = 0  # verdicts that are those of the exhaustive run
    saved: dict[str, int] = field(default_factory=dict)  # rule -> substeps
    compile_s: float = 0.0  # s, of reading and compiling plans; baselines only


@dataclass(frozen=True, eq=False)
class Comparison:
    """All of it: blocks of plans that every way has judged."""

    plans: Sequence[int]  # of each block
    ways: Mapping[str, Way]
    tally: Tally
    contacts: Mapping[str, float]  # of a step
    differences: Sequence[Mapping[str, Any]]  # plans of which one of our ways said something else

    def report(self) -> dict[str, Any]:
        """As JSON holds it: rates in plans/s, ratios to bare mujoco.batch of the same block."""
        bare, read = self.ways[BARE].wall_s, self.ways[BARE].compile_s
        rows = []
        for name, way in self.ways.items():
            ratios = spread([b / w for b, w in zip(bare, way.wall_s, strict=True)])
            rows.append(
                {
                    "name": name,
                    "plans_per_s": sum(self.plans) / sum(way.wall_s),
                    "ratio": ratios,
                    "of_bound": ratios["p50"] / self.tally.bound,
                    "cpu_s": way.cpu_s,
                    "cpu_ratio": self.ways[BARE].cpu_s / way.cpu_s,
                    "wall_s": sum(way.wall_s),
                    "steps": way.steps,
                    "saved_by": way.saved,
                    "same": way.same,
                }
            )
        return {
            "plans": sum(self.plans),
            "blocks": len(self.plans),
            "bound": self.tally.bound,
            "compile_share": read / sum(bare),
            "bound_with_compile": sum(bare) / (read + (sum(bare) - read) / self.tally.bound),
            "exhaustive_steps": self.tally.exhaustive,
            "needed_steps": self.tally.needed,
            "contacts": dict(self.contacts),
            "measured": self.tally.rates(),
            "ways": rows,
            "differences": len(self.differences),
        }


def compare(task: Task, blocks: Iterable[Candidates], *, ways: Sequence[str] = WAYS) -> Comparison:
    """Every way judges every block, in rounds A B C, C B A. The first block is judged once before, and not timed."""
    names = list(dict.fromkeys([BARE, EXHAUSTIVE, *ways]))
    bare, verifiers = Bare(task), {name: LocalVerifier() for name in names if name in RULES}
    calls: dict[str, Call] = {
        BARE: lambda some: bare.exhaustive(some.lines, some.states),
        ENGINEER: lambda some: bare.stopping(some.lines, some.states),
    }
    calls |= {name: _ours(verifier, RULES[name]) for name, verifier in verifiers.items()}
    done = {name: Way() for name in names}
    tally, contacts = Tally(), {"mean": 0.0, "peak": 0.0}
    plans: list[int] = []
    differences: list[dict[str, Any]] = []
    for i, block in enumerate(blocks):
        if i == 0:
            contacts = bare.contacts(block.lines, block.states)
            for name in names:
                calls[name](block)
        said: dict[str, Found | Verdicts] = {}
        for name in names if i % 2 == 0 else reversed(names):
            clock, cpu = time.perf_counter(), time.process_time()
            said[name] = calls[name](block)
            done[name].wall_s.append(time.perf_counter() - clock)
            done[name].cpu_s += time.process_time() - cpu
        truth = said[EXHAUSTIVE]
        assert isinstance(truth, Verdicts)
        plans.append(len(block.lines))
        tally.add(task, block.states, compiled(task, block.lines, block.states), truth)
        for name in names:
            differences += _count(done[name], name, said[name], truth, block)
    for verifier in verifiers.values():
        verifier.close()
    return Comparison(
        plans, {name: done[name] for name in SHORT.values() if name in done}, tally, contacts, differences
    )


def latency(block: Callable[[int], Candidates], task: Task, repeats: int) -> dict[str, dict[str, float]]:
    """s of one call with few plans, ours with all rules and bare mujoco.batch; `block(i)` are the plans of a repeat."""
    verifier, bare = LocalVerifier(), Bare(task)
    calls: dict[str, Call] = {
        ALL: _ours(verifier, RULES[ALL]),
        BARE: lambda some: bare.exhaustive(some.lines, some.states),
    }
    walls: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats + 1):
        some = block(i)
        for name in calls if i % 2 else reversed(calls):
            clock = time.perf_counter()
            calls[name](some)
            walls[name].append(time.perf_counter() - clock)
    verifier.close()
    return {name: spread(wall[1:]) for name, wall in walls.items()}  # the first builds the engine


def _ours(verifier: LocalVerifier, schedule: Schedule) -> Call:
    def call(some: Candidates) -> Verdicts:
        return verifier.verify(some.task, some.lines, state=some.states, schedule=schedule)

    return call


def _count(way: Way, name: str, said: "Found | Verdicts", truth: Verdicts, block: Candidates) -> list[dict[str, Any]]:
    """Take in what a way said of a block; the plans of which one of ours says something else."""
    if isinstance(said, Found):
        way.steps, way.compile_s = way.steps + said.steps, way.compile_s + said.compile_s
        way.same += sum(_agrees(found, verdict) for found, verdict in zip(said.findings, truth, strict=True))
        return []
    way.steps += sum(v.cost.steps for v in said)
    for rule, steps in saved_shares(said).items():
        way.saved[rule] = way.saved.get(rule, 0) + steps
    alike = _decides_alike if name == RESTING else identical
    other = [i for i, (a, b) in enumerate(zip(said, truth, strict=True)) if not alike(a, b)]
    way.same += len(truth) - len(other)
    return [
        {
            "way": name,
            "plan": truth[i].request["plan"],
            "state": np.asarray(block.states[i]).tolist(),
            "exhaustive": truth[i].to_json(),
            "found": said[i].to_json(),
        }
        for i in other
    ]


def identical(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts say the same: status, cause, first violation, every margin, and the digest."""
    return (one.status, one.cause, one.first_violation, dict(one.margins), one.digest) == (
        other.status,
        other.cause,
        other.first_violation,
        dict(other.margins),
        other.digest,
    )


def _decides_alike(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts say the same by different methods."""
    violated = [v.first_violation and v.first_violation.requirement for v in (one, other)]
    return (one.status, one.cause, violated[0]) == (other.status, other.cause, violated[1])


def _agrees(found: Finding | Refusal, verdict: Verdict) -> bool:
    """Whether a baseline says the same, as far as it says anything: it has no trust checks and no digest."""
    if isinstance(found, Refusal):
        return verdict.status == "INVALID" and verdict.cost.steps == 0
    violated = None if verdict.first_violation is None else verdict.first_violation.requirement
    return (found.status, found.violated) == (verdict.status, violated)
