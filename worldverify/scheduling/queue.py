"""Lanes at work: each takes an edge of the trie, is watched while it runs, and takes the next when that is decided."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.budget import Halt, Undecided
from worldverify.judge import Finding, atom_margins, in_scales, often_capped
from worldverify.kernels.engine import Fault, ForkingEngine, Samples
from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.kernels.online import Online, Whole, monitor
from worldverify.schedule import Schedule
from worldverify.scheduling.crew import Crew, Leg, Running, Waiting
from worldverify.scheduling.evidence import NOTHING, Pieces, judge_pieces
from worldverify.scheduling.race import Race, ceilings
from worldverify.scheduling.trie import Edge, every_plan, trie
from worldverify.simulate import Trace, held
from worldverify.task import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Samples of a crew between two looks at it: fewer waste calls, more are simulated of plans that are decided.
ROUND_SAMPLES = 2048
SHORTEST_ROUND, LONGEST_ROUND = 48, 240  # substeps
JUDGED_TOGETHER = 64  # plans

NO_FINDING = Finding("INCONCLUSIVE", None, {}, None, None, Fault(0), None, 0)  # of what was never simulated


@dataclass(frozen=True)
class Work:
    """Plans of equal length that are to be judged."""

    task: Task
    schedule: Schedule
    chunk: bool  # scope "chunk"
    full: bool  # margins "full"
    history: Trace | None  # evidence before the given states
    samples: int  # physics substeps that each plan lasts
    told: Callable[[int], None]  # is told of every n substeps done
    saved: Callable[[int], None]  # is told of every n substeps that are left out
    halt: Halt  # whether the call is to end early
    best: bool  # only the best plan is wanted
    band: float = 0.0  # margin scales by which the physics may be off: what decides must exceed it


@dataclass(frozen=True)
class Scheduled:
    """What came of one plan."""

    finding: Finding
    steps: int  # substeps simulated for it: what plans share is on the bill of the first of them
    saved: Mapping[str, int]  # rule -> substeps of the plain run that were not simulated
    evidence: int  # bytes
    known: int  # substeps of the plan that the finding rests on
    undecided: Undecided | None = None  # why nothing more is known
    settled: bool = True  # the same would be found with all margins lower, or higher, by the band


def schedule(
    work: Work,
    engines: Sequence[ForkingEngine],
    states: Floats,
    controls: Sequence[Floats],
    done: Callable[[int, Scheduled], None],
) -> None:
    """Judge B plans, each (T, nu) from states (B, nstate), the last control held, in the lanes of some engines.

    `done(plan, what came of it)` is called for each.
    """
    _Lanes(work, engines, states, controls, done).run()


class _Lanes:
    def __init__(
        self,
        work: Work,
        engines: Sequence[ForkingEngine],
        states: Floats,
        controls: Sequence[Floats],
        done: Callable[[int, Scheduled], None],
    ) -> None:
        self._work, self._states, self._done = work, states, done
        task, self._rules = work.task, work.schedule
        periods = work.samples // task.substeps
        self._rows = [held(u, periods) for u in controls]
        edges = trie(states, self._rows) if self._rules.share else every_plan(len(controls), periods)
        self._waiting = [Waiting(edge) for edge in reversed(edges)]
        self._decided: list[tuple[list[int], Pieces, int]] = []  # plans, what they showed, substeps until then
        self._open = set(range(len(controls)))  # plans of which nothing was said yet
        self._race = Race() if work.best else None
        self._steps = np.zeros(len(controls), dtype=np.int64)
        self._before = _before(work)
        self._crews = [Crew(engine, self._watching(engine.nlane)) for engine in engines]
        self._clock = state_slice(task.scene.model, mujoco.mjtState.mjSTATE_TIME).start

    def _watching(self, lanes: int) -> Online | Whole | None:
        if not self._rules.stop or self._work.full:
            return None
        bound, end = self._work.task.scene.bound, self._work.task.samples
        formulas, judged = bound.formulas, (True,) * len(bound.formulas)
        if self._work.chunk:
            end = self._before.samples + self._work.samples
            formulas, judged = bound.within(end)
        formulas = tuple(f for f, counts in zip(formulas, judged, strict=True) if counts)
        return monitor(formulas, end, lanes) if formulas else None

    def run(self) -> None:
        try:
            with ThreadPoolExecutor(len(self._crews)) as pool:
                self._go_on(pool)
            self._judge()
        except KeyboardInterrupt:
            self._work.halt.why = "interrupted"
        if self._work.halt.why is not None:
            running = [one for crew in self._crews for one in crew.running.values()]
            left: list[Running | Waiting] = [*running, *self._waiting]
            for one in left:
                self._leave(one, self._work.halt.why)
            for plan in sorted(self._open):  # whose last step was cut off
                self._say([plan], NO_FINDING, NOTHING, 0, self._work.halt.why)

    def _go_on(self, pool: Executor) -> None:
        """Until all is decided, or the call is to end."""
        out: deque[Crew] = deque()  # who set out first is first
        while self._work.halt.why is None:
            for crew in self._crews:
                if not crew.out:
                    if self._rules.refill or not crew.running:
                        self._fill(crew)
                    if crew.running:
                        crew.set_out(pool, self._legs(crew))
                        out.append(crew)
            if not out:
                return
            crew = out.popleft()
            for leg, samples in crew.come_back():
                self._take(crew, leg, samples)
            if self._race is not None:
                self._drop(crew, self._race)
            if self._work.halt.first != "given" and self._waiting and self._rules.refill:
                self._put_back(crew)

    def _room(self, crew: Crew) -> int:
        """How many more lanes of a crew may be taken: no crew takes more than its part of what is left."""
        left = len(self._waiting) + sum(len(one.running) for one in self._crews)
        return -(-left // len(self._crews)) - len(crew.running)

    def _fill(self, crew: Crew) -> None:
        """Free lanes take what waits. The last edge that was put aside goes first, so that few wait at a time."""
        free = crew.free()
        begun: list[tuple[int, Waiting]] = []
        while free and self._waiting and self._room(crew) > 0:
            one = self._waiting.pop()
            if self._race is not None and self._race.beaten(one.ceiling, one.edge.plans):
                self._leave(one, "outranked")
                continue
            begun.append((free.pop(0), one))
            evidence = one.evidence if one.fork else self._before
            crew.running[begun[-1][0]] = Running(one.edge, one.period, evidence, one.ceiling, one.standing)
        fresh = [(lane, one) for lane, one in begun if one.fork is None]
        if fresh:
            lanes = np.array([lane for lane, _ in fresh])
            crew.engine.load(lanes, self._states[[one.edge.plans[0] for _, one in fresh]])
            if crew.monitor is not None:
                crew.monitor.clear(lanes)
                if self._before.samples:
                    past = in_scales(self._work.task.scene.bound, np.concatenate(self._before.margins, axis=1)[:, None])
                    crew.monitor.add(lanes, np.repeat(past, len(lanes), axis=1))
        for lane, one in begun:
            if one.fork is not None:
                crew.engine.restore(np.array([lane]), one.fork)
                if crew.monitor is not None and one.watched is not None:
                    crew.monitor.restore(np.array([lane]), one.watched)

    def _put_back(self, crew: Crew) -> None:
        """Lanes are for what comes first by the order that was asked for; the others wait where they are."""
        running = sorted(crew.running, key=lambda lane: self._urgency(crew.running[lane]))
        self._waiting.sort(key=self._urgency)
        most = len(running) + len(self._waiting) - crew.engine.nlane
        better = [self._urgency(one) for one in self._waiting]
        for lane in running[: max(0, most)]:
            one, here = crew.running[lane], np.array([lane])
            if not better or better.pop() <= self._urgency(one):
                return
            rest = Edge(one.period, one.edge.last, one.edge.plans, one.edge.below)
            watched = None if crew.monitor is None else crew.monitor.save(here)
            fork = crew.engine.save(here)
            self._waiting.insert(0, Waiting(rest, fork, watched, one.evidence, one.ceiling, one.standing))
            del crew.running[lane]

    def _urgency(self, one: Running | Waiting) -> tuple[float, int]:
        """The greater comes first: what nobody has looked at, then what stands best, or nearest to zero."""
        place = -one.edge.plans[0]
        if one.standing is None:
            return math.inf, place
        return one.standing if self._work.halt.first == "promising" else -abs(one.standing), place

    def _drop(self, crew: Crew, race: Race) -> None:
        """Lanes whose plans cannot be the best any more are free."""
        self._judge()
        for lane, one in list(crew.running.items()):
            if race.beaten(one.ceiling, one.edge.plans):
                self._leave(crew.running.pop(lane), "outranked")

    def _legs(self, crew: Crew) -> list[Leg]:
        """Every lane goes on by some periods; those that reach the end of their edge sooner by fewer."""
        substeps = self._work.task.substeps
        usual = SHORTEST_ROUND if self._work.halt.limited else ROUND_SAMPLES // len(crew.running)
        most = self._rules.chunk or min(max(SHORTEST_ROUND, usual), LONGEST_ROUND)
        periods = max(1, round(most / substeps))
        left = {lane: min(periods, one.edge.last - one.period) for lane, one in crew.running.items()}
        return [
            self._leg(crew, np.array(sorted(lane for lane, n in left.items() if n == count)), count)
            for count in sorted(set(left.values()))
        ]

    def _leg(self, crew: Crew, lanes: Ints, periods: int) -> Leg:
        running = [crew.running[lane] for lane in lanes.tolist()]
        rows = np.stack([self._rows[one.edge.plans[0]][one.period : one.period + periods] for one in running])
        return Leg(lanes, periods, np.repeat(rows, self._work.task.substeps, axis=1))

    def _take(self, crew: Crew, leg: Leg, samples: Samples) -> None:
        """What some lanes have shown decides them, or says how they go on."""
        lanes, steps = leg.lanes, leg.controls.shape[1]
        over = self._look(crew, lanes, samples.value, samples.fault)
        self._work.told(len(lanes) * steps)
        self._work.halt.spend(len(lanes) * steps)
        for lane in lanes.tolist():
            one = crew.running[lane]
            one.period += leg.periods
            self._steps[one.edge.plans[0]] += steps
        for lane in lanes[over].tolist():
            self._retire(crew, lane)
        ended = [lane for lane in lanes.tolist() if lane in crew.running and _at_end(crew.running[lane])]
        leaves = np.array([lane for lane in ended if not crew.running[lane].edge.below], dtype=np.int64)
        if len(leaves):
            last = crew.engine.observe(leaves)
            self._look(crew, leaves, last.value, last.fault)
            for lane in leaves.tolist():
                self._retire(crew, lane)
        for lane in ended:
            if lane in crew.running:
                self._branch(crew, lane)

    def _look(self, crew: Crew, lanes: Ints, value: Floats, fault: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(n,) whether the evidence, with these samples, decides, cannot be believed, or fills the horizon."""
        bound = self._work.task.scene.bound
        margins = atom_margins(bound, value)
        for i, lane in enumerate(lanes.tolist()):
            one, first = crew.running[lane], fault[i]
            if self._work.history is not None and one.evidence.samples == self._before.samples:
                first = first.copy()
                first[0] |= self._work.history.fault[0, self._before.samples]
            one.evidence = one.evidence.and_then(margins[:, i], first, value.shape[2])
            fault[i] = first
        relative = in_scales(bound, margins)
        over = ((fault & int(Fault.invalidating())) != 0).any(axis=1) | ~np.isfinite(relative).all(axis=(0, 2))
        over |= np.array([crew.running[lane].evidence.samples > self._work.task.samples for lane in lanes.tolist()])
        if crew.monitor is not None:
            low, high, standing = crew.monitor.add(lanes, relative)
            band = self._work.band
            over |= (low > band).all(axis=1) | (high < -band).any(axis=1)
            least = np.nan_to_num(standing, nan=-np.inf).min(axis=1).tolist()
            for lane, ceiling, worst in zip(lanes.tolist(), ceilings(high).tolist(), least, strict=True):
                crew.running[lane].ceiling, crew.running[lane].standing = ceiling, worst
        return np.asarray(over)

    def _branch(self, crew: Crew, lane: int) -> None:
        """The lane goes on along one edge; what it has come to is kept for the others."""
        one, here = crew.running[lane], np.array([lane])
        first, *others = one.edge.below
        if others:
            fork = crew.engine.save(here)
            watched = None if crew.monitor is None else crew.monitor.save(here)
            kept = fork, watched, one.evidence, one.ceiling, one.standing
            self._waiting += [Waiting(edge, *kept) for edge in reversed(others)]
        one.edge = first

    def _retire(self, crew: Crew, lane: int) -> None:
        """The lane is free; all plans that go its way have shown the same."""
        one = crew.running.pop(lane)
        steps = one.period * self._work.task.substeps
        evidence = one.evidence
        if self._stalled(crew, lane, steps, one):
            evidence = evidence.distrusted(Fault.WARNED)
        self._decided.append((one.edge.plans, evidence, steps))
        if len(self._decided) >= JUDGED_TOGETHER:
            self._judge()

    def _stalled(self, crew: Crew, lane: int, steps: int, one: Running) -> bool:
        """Whether the clock did not go on though no fault says why: then samples repeat."""
        time = crew.engine.state(np.array([lane]))[0, self._clock]
        began = self._states[one.edge.plans[0], self._clock]
        h = self._work.task.timestep
        if abs(time - began - steps * h) <= 0.5 * h:
            return False
        return not any((part & int(Fault.invalidating())).any() for part in one.evidence.fault)

    def _judge(self) -> None:
        work, decided, self._decided = self._work, self._decided, []
        if not decided:
            return
        shown = [evidence for _, evidence, _ in decided]
        findings = self._findings(shown)
        settled = [finding.status in ("PASS", "FAIL") for finding in findings]
        for by in (-work.band, work.band) if work.band else ():
            # Higher margins leave a PASS as it is.
            rows = [i for i, f in enumerate(findings) if settled[i] and (by < 0 or f.status == "FAIL")]
            for i, moved in zip(rows, self._findings([shown[i] for i in rows], by), strict=True):
                settled[i] = (moved.status, moved.violated) == (findings[i].status, findings[i].violated)
        for (plans, evidence, steps), finding, stands in zip(decided, findings, settled, strict=True):
            self._say(plans, finding, evidence, steps, settled=stands)
            if self._race is not None and finding.status == "PASS" and not often_capped(finding, work.task.samples):
                self._race.passed(plans[0], list(finding.margins.values()))

    def _findings(self, evidence: Sequence[Pieces], by: float = 0.0) -> list[Finding]:
        """What evidence says if every margin is higher by that many scales."""
        work = self._work
        return judge_pieces(
            work.task.scene.bound,
            evidence,
            horizon=work.task.samples,
            last=min(self._before.samples + work.samples, work.task.samples),
            chunk=work.chunk,
            full=work.full,
            by=by,
        )

    def _leave(self, one: Running | Waiting, why: Undecided) -> None:
        """Say of the plans that go this way what is known of them."""
        work, finding = self._work, NO_FINDING
        if one.evidence.samples > self._before.samples:
            (finding,) = self._findings([one.evidence])
            finding = replace(
                finding,
                status="INCONCLUSIVE",
                decided=None,
                violated=None,
                untrusted=None,
                fault=Fault(0),
                bad_atom=None,
            )
        self._say(one.edge.plans, finding, one.evidence, one.period * work.task.substeps, why)

    def _say(
        self,
        plans: Sequence[int],
        finding: Finding,
        evidence: Pieces,
        steps: int,
        why: Undecided | None = None,
        *,
        settled: bool = True,
    ) -> None:
        """`steps`: substeps of the plan that the evidence covers."""
        for plan in plans:
            own, rest = int(self._steps[plan]), self._work.samples - steps
            saved = {"share": max(0, steps - own)}
            if why is None or why == "outranked":
                saved["stop" if why is None else "rank"] = rest
            self._work.saved(self._work.samples - own)
            self._open.discard(plan)
            told = {rule: n for rule, n in saved.items() if n}
            self._done(plan, Scheduled(finding, own, told, evidence.nbytes, steps, why, settled))


def _at_end(one: Running) -> bool:
    return one.period >= one.edge.last


def _before(work: Work) -> Pieces:
    """The evidence that led to the given states; its last sample is the first one that is shown now."""
    if work.history is None:
        return NOTHING
    kept = int(work.history.last[0])
    if not kept:
        return NOTHING
    value, fault = work.history.value[:1, :kept], work.history.fault[0, :kept]
    return NOTHING.and_then(atom_margins(work.task.scene.bound, value)[:, 0], fault, value.shape[2])
