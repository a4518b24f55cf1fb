"""Engines at work: run a block of plans, repeat what cannot be believed, and find out whose fault it is."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.budget import Halt, Undecided
from worldverify.engines import screen
from worldverify.engines.audit import drawn
from worldverify.judge import Finding, judge, often_capped
from worldverify.kernels.engine import Engine, EngineInfo, Fault
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.refusal import Cause
from worldverify.scene import MORE_MEMORY, Scene
from worldverify.schedule import ALL_RULES, NO_RULE, Schedule
from worldverify.scheduling.crew import lanes_of_crews
from worldverify.scheduling.queue import Scheduled, Work, schedule
from worldverify.scheduling.twins import twins
from worldverify.simulate import Trace, simulate
from worldverify.task import Task

Floats = NDArray[np.float64]

INFO = EngineInfo("mujoco", "c", "cpu", "float64", mujoco.__version__)

MORE_ITERATIONS = 4  # times the solver's limit, for a lane that reached it

# Margin scales: a verdict of the run in which things rest stands if margins lower and higher by that give the same.
REST_BAND = 0.1
REST_AUDITED = 1 / 64  # of these verdicts are judged by the plain run as well

SLOW_CLOCK = 0.01  # of the time that a clock in float32 may lose or win by rounding

# Evidence of one call stays below this, so that a large batch does not need a large machine.
BLOCK_BYTES = 128 * 2**20

_KEPT_ENGINES = 12


@dataclass(frozen=True, eq=False)
class Job:
    """One call of verify, as far as physics is concerned."""

    task: Task
    chunk: bool  # scope "chunk"
    full: bool  # margins "full"
    history: Trace | None  # evidence before the given state
    told: Callable[[int], None]  # is told of every n substeps done
    given: bool = False  # the states come from the caller, not from the task's seeds
    schedule: Schedule = ALL_RULES
    halt: Halt = field(default_factory=Halt)
    best: bool = False  # only the best plan is wanted
    screened: bool = False  # what clearly fails with longer physics steps is rejected
    saved: Callable[[int], None] = lambda steps: None  # is told of every n substeps that are left out


@dataclass(frozen=True)
class Outcome:
    """What physics has to say of one plan."""

    finding: Finding
    cause: Cause | None  # whose fault, if the finding is INVALID
    steps: int  # substeps simulated for it, repeats included; what plans share is on the bill of the first of them
    evidence: int  # bytes recorded
    cold: bool  # an engine was built for it
    info: EngineInfo = INFO  # what found it
    device_s: float = 0.0  # s on a GPU
    placement: str | None = None  # why it ran where it did, if that was chosen
    warnings: tuple[str, ...] = ()
    unconverged: bool = False  # a better converged solver gives another verdict
    saved: Mapping[str, int] = field(default_factory=dict)  # rule -> substeps of the plain run not simulated
    undecided: Undecided | None = None  # why nothing more is known
    known: int = 0  # substeps of the plan that the finding rests on
    method: str = "exhaustive"  # or "rest": what lay still was left out of the solver; or "screen": with longer steps
    audited: bool | None = None  # whether the reference agreed with a rejection that was drawn for an audit


def simulated(job: Job, engine: Engine, states: Floats, controls: Sequence[Floats], chunk: int) -> Trace:
    """The evidence of plans on any engine, without what came before the given states."""
    task = job.task
    ends = last_samples(job, controls)
    steps = int(ends.max())
    trace = simulate(engine, states, controls, substeps=task.substeps, samples=steps, chunk=chunk, watch=job.told)
    stopped = _stopped(trace, states, steps * task.timestep, task, rough=engine.info.dtype != "float64")
    return replace(trace, last=ends, fault=trace.fault | stopped[:, None])


def _stopped(trace: Trace, states: Floats, seconds: float, task: Task, *, rough: bool) -> NDArray[np.int32]:
    """(B,) WARNED for plans whose clock did not go on by `seconds` though no fault says why: their samples repeat."""
    clock = state_slice(task.scene.model, mujoco.mjtState.mjSTATE_TIME).start
    off = np.abs(trace.end[:, clock] - states[:, clock] - seconds)
    allowed = 0.5 * task.timestep + (SLOW_CLOCK * seconds if rough else 0.0)
    faulty = ((trace.fault & int(Fault.invalidating())) != 0).any(axis=1)
    return np.where(~(off <= allowed) & ~faulty, int(Fault.WARNED), 0).astype(np.int32)


def evidence_block(task: Task) -> int:
    """How many plans' evidence is held at once."""
    columns = max(1, int(task.scene.model.nsensordata))
    return max(1, BLOCK_BYTES // (8 * columns * (task.samples + 1)))


def last_samples(job: Job, controls: Sequence[Floats]) -> NDArray[np.int64]:
    """(B,) the last sample that belongs to each plan."""
    return np.array([len(u) * job.task.substeps if job.chunk else job.task.samples for u in controls])


def judged(job: Job, trace: Trace, *, final: bool = False) -> list[Finding]:
    """What a trace says, as the continuation of what came before it."""
    if job.history is not None:
        trace = trace.following(job.history)
    return judge(job.task.scene.bound, trace, horizon=job.task.samples, chunk=job.chunk, full=job.full, final=final)


def each_once(
    run: Callable[[Job, Floats, Sequence[Floats]], list[Outcome]], job: Job, states: Floats, controls: Sequence[Floats]
) -> list[Outcome]:
    """What `run` finds of plans of which equal ones are run once, if the schedule lets them share."""
    if not job.schedule.share:
        return run(job, states, controls)
    first, place = twins(states, controls)
    found = run(job, states[first], [controls[i] for i in first])
    ends = last_samples(job, controls)
    return [
        found[at] if first[at] == i else replace(found[at], steps=0, device_s=0.0, saved={"share": int(ends[i])})
        for i, at in enumerate(place)
    ]


def judged_again(outcome: Outcome, before: Outcome, note: str) -> Outcome:
    """An outcome with what was spent before it, and why it was found again."""
    return replace(
        outcome,
        steps=outcome.steps + before.steps,
        device_s=outcome.device_s + before.device_s,
        cold=outcome.cold or before.cold,
        warnings=(*before.warnings, *outcome.warnings, note),
    )


def _not_repeated(why: Undecided, outcome: Outcome) -> Outcome:
    """What is said of a plan when nothing may be run again to find out whose fault it is."""
    if outcome.finding.status != "INVALID":
        return outcome
    return replace(outcome, finding=replace(outcome.finding, status="INCONCLUSIVE"), undecided=why)


class Physics(Protocol):
    """Runs jobs on an engine."""

    @property
    def info(self) -> EngineInfo:
        """What runs them; what is found again by MuJoCo C says so itself."""
        ...

    @property
    def ends_early(self) -> bool:
        """Whether a budget, or a better plan, ends its work."""
        ...

    def check(self, task: Task) -> None:
        """Raises ValueError, with a sentence, for a task whose scene the engine cannot simulate."""
        ...

    def most(self, task: Task) -> int:
        """How many plans of a task one call of `run` takes."""
        ...

    def findings(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Finding]:
        """What the engine itself says of each plan, bounds over all evidence included; nothing is run again."""
        ...

    def run(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        """One outcome a plan: states (B, nstate), controls B times (T_b, nu)."""
        ...

    def close(self) -> None:
        """Give back the engines."""
        ...


class MujocoPhysics:
    """MuJoCo C, keeping the engines it used last."""

    def __init__(self, *, threads: int | None, chunk: int) -> None:
        self._threads, self._chunk = threads, chunk
        self._engines: OrderedDict[tuple[Any, ...], tuple[Scene, MujocoEngine]] = OrderedDict()
        self._coarse: tuple[Task, Task] | None = None  # the task screened last, and as it is screened

    @property
    def info(self) -> EngineInfo:
        return INFO

    @property
    def ends_early(self) -> bool:
        return True

    def check(self, task: Task) -> None:
        pass  # the scene was compiled by it

    def most(self, task: Task) -> int:
        return max(1, BLOCK_BYTES // (8 * max(1, int(task.scene.model.nu)) * task.steps))

    def findings(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Finding]:
        engine, _ = self._engine(job.task.scene, len(controls))
        return judged(job, simulated(job, engine, states, controls, self._chunk), final=True)

    def close(self) -> None:
        self._engines.clear()

    def run(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        if job.screened:
            return each_once(self._screened, job, states, controls)
        if job.schedule.rest and job.task.scene.resting is not None:
            return each_once(self._rested, job, states, controls)
        return self._plain(replace(job, schedule=replace(job.schedule, rest=False)), states, controls)

    def _screened(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        """Rejections of a run with longer steps, and the outcomes of the plain run where that rejects nothing."""
        if self._coarse is None or self._coarse[0] is not job.task:
            self._coarse = job.task, screen.coarse(job.task)
        task = self._coarse[1]
        rough = replace(job, task=task, screened=False, told=_untold, saved=_untold)
        found, cold = self._find(rough, states, controls, band=screen.BAND)
        ends, outcomes = last_samples(job, controls), []
        for one, end in zip(found, ends.tolist(), strict=True):
            finding = screen.in_steps_of(job.task, task, one.finding)
            early = replace(one, finding=finding, saved={"screen": end - one.steps})
            note = f"Rejected by a screen with physics steps of {task.timestep:g} s instead of {job.task.timestep:g} s."
            outcomes.append(replace(_outcome(early, cold, screen.METHOD), warnings=(note,)))
        out = [screen.rejected(task, one.finding, one.settled) for one in found]
        drawn_ = [o and drawn(screen.AUDITED, s, u) for o, s, u in zip(out, states, controls, strict=True)]
        again = [i for i in range(len(found)) if not out[i] or drawn_[i]]
        job.saved(int(ends.sum() - ends[again].sum()))
        plain = self._plain(replace(job, screened=False), states[again], [controls[i] for i in again]) if again else []
        for i, outcome in zip(again, plain, strict=True):
            spent = replace(outcome, steps=outcome.steps + found[i].steps, cold=outcome.cold or cold)
            if drawn_[i]:
                agreed = outcome.finding.status == "FAIL"
                note = "A screen rejected it and it was drawn for an audit, which " + (
                    "agrees." if agreed else f"gives {outcome.finding.status}."
                )
                spent = replace(spent, audited=agreed, warnings=(*spent.warnings, note))
            outcomes[i] = spent
        return outcomes

    def _rested(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        """Outcomes of the run in which things rest where they stand, and of the plain run where they do not."""
        found, cold = self._find(job, states, controls)
        outcomes = [_outcome(one, cold, "rest") for one in found]
        why = {i: said for i, one in enumerate(found) if (said := _doubt(job, one)) is not None}
        checked = {i for i, u in enumerate(controls) if i not in why and drawn(REST_AUDITED, states[i], u)}
        why |= {i: "it was drawn for an audit." for i in sorted(checked) if outcomes[i].undecided is None}
        plain = replace(job, schedule=replace(job.schedule, rest=False))
        again = self._plain(plain, states[list(why)], [controls[i] for i in why]) if why else []
        for (i, said), outcome in zip(why.items(), again, strict=True):
            before, after = outcomes[i].finding, outcome.finding
            if (
                i in checked
                and outcome.undecided is None
                and (before.status, before.violated) != (after.status, after.violated)
            ):
                said = f"an audit contradicted the run in which things rest, which gave {before.status}."
            outcomes[i] = judged_again(outcome, outcomes[i], f"Judged again with nothing at rest: {said}")
        return outcomes

    def _plain(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        found, cold = self._find(job, states, controls)
        outcomes = [_outcome(one, cold) for one in found]
        if job.halt.why is not None:
            return [_not_repeated(job.halt.why, one) for one in outcomes]
        self._repeat_faults(job, states, controls, outcomes)
        self._repeat_unconverged(job, states, controls, outcomes)
        return outcomes

    def _find(
        self,
        job: Job,
        states: Floats,
        controls: Sequence[Floats],
        *,
        roomy: bool = False,
        iterations: int = 1,
        band: float = 0.0,
    ) -> tuple[list[Scheduled], bool]:
        """What comes of each plan, and whether an engine had to be built for it. See `Work.band`."""
        rules = job.schedule
        if rules == NO_RULE and not band:
            return self._exhaustive(job, states, controls, roomy, iterations)
        if rules.rest:
            rules = replace(rules, share=False)  # what rests is not in a state, so a fork would not go on alike
        found: dict[int, Scheduled] = {}
        ends, built = last_samples(job, controls), False
        for samples in np.unique(ends).tolist():  # chunks of different length have different questions
            rows = np.flatnonzero(ends == samples).tolist()
            alone = job.best or job.halt.limited  # then every look may change what is simulated next
            engines = []
            for crew, lanes in enumerate(lanes_of_crews(len(rows), rules.lanes, alone=alone)):
                engine, cold = self._engine(
                    job.task.scene, lanes, crew, roomy=roomy, iterations=iterations, rules=rules
                )
                engines.append(engine)
                built |= cold
            by = REST_BAND if rules.rest else band
            work = Work(
                job.task, rules, job.chunk, job.full, job.history, samples, job.told, job.saved, job.halt, job.best, by
            )

            def done(plan: int, one: Scheduled, rows: list[int] = rows) -> None:
                found[rows[plan]] = one

            schedule(work, engines, states[rows], [controls[i] for i in rows], done)
        return [found[i] for i in range(len(controls))], built

    def _exhaustive(
        self, job: Job, states: Floats, controls: Sequence[Floats], roomy: bool, iterations: int
    ) -> tuple[list[Scheduled], bool]:
        """Every plan to the end, in blocks whose evidence fits the memory."""
        found: list[Scheduled] = []
        block, built = evidence_block(job.task), False
        for first in range(0, len(controls), block):
            part = slice(first, first + block)
            engine, cold = self._engine(job.task.scene, len(controls[part]), roomy=roomy, iterations=iterations)
            trace = simulated(job, engine, states[part], controls[part], self._chunk)
            steps, size = trace.value.shape[1] - 1, (trace.value.nbytes + trace.fault.nbytes) // len(controls[part])
            found += [Scheduled(finding, steps, {}, size, steps) for finding in judged(job, trace)]
            built |= cold
        return found, built

    def _repeat_faults(self, job: Job, states: Floats, controls: Sequence[Floats], outcomes: list[Outcome]) -> None:
        """Untrusted plans once more with more memory; what stays untrusted is the plan's fault if holding still works.

        Alone among themselves: the verdicts of their batch-mates are never touched.
        """
        rows = [i for i, o in enumerate(outcomes) if o.finding.status == "INVALID" and o.finding.fault]
        for i, o in enumerate(outcomes):
            if o.finding.status == "INVALID" and not o.finding.fault:
                outcomes[i] = replace(o, cause="spec")
        if not rows:
            return
        found, _ = self._find(job, states[rows], [controls[i] for i in rows], roomy=True)
        holds: dict[bytes, bool] = {}
        for i, again in zip(rows, found, strict=True):
            finding = again.finding
            spent, cause, warnings = outcomes[i].steps + again.steps, None, outcomes[i].warnings
            if finding.status != "INVALID":
                warnings = (*warnings, f"Simulated again with {MORE_MEMORY} times the memory.")
            elif not finding.fault:
                cause = "spec"
            else:
                key = states[i].tobytes()
                if key not in holds:
                    holds[key] = self._holds(job, states[i])
                    spent += job.task.samples
                cause = "plan" if holds[key] else "model"
            outcomes[i] = replace(
                outcomes[i],
                finding=finding,
                cause=cause,  # type: ignore[arg-type]
                steps=spent,
                warnings=warnings,
                undecided=again.undecided,
            )

    def _holds(self, job: Job, state: Floats) -> bool:
        """Whether the scene stays trusted to the horizon while the start state's own controls are held."""
        task = job.task
        engine, _ = self._engine(task.scene, 1, roomy=True)
        held = state[state_slice(task.scene.model, mujoco.mjtState.mjSTATE_CTRL)][None]
        if not np.isfinite(held).all():
            return False
        trace = simulate(
            engine, state[None], [held], substeps=task.substeps, samples=task.samples, chunk=self._chunk, watch=job.told
        )
        return not (trace.fault & int(Fault.invalidating())).any()

    def _repeat_unconverged(
        self, job: Job, states: Floats, controls: Sequence[Floats], outcomes: list[Outcome]
    ) -> None:
        """Plans whose solver often stopped at its limit once more with a higher limit: the verdict must not change."""
        rows = [
            i
            for i, o in enumerate(outcomes)
            if o.finding.status != "INVALID" and often_capped(o.finding, job.task.samples)
        ]
        if not rows:
            return
        found, _ = self._find(job, states[rows], [controls[i] for i in rows], iterations=MORE_ITERATIONS)
        for i, again in zip(rows, found, strict=True):
            finding, before = again.finding, outcomes[i].finding
            same = (finding.status, finding.violated) == (before.status, before.violated)
            note = "The solver often stopped at its iteration limit; " + (
                "a higher limit gives the same verdict." if same else f"a higher limit gives {finding.status}."
            )
            outcomes[i] = replace(
                outcomes[i],
                steps=outcomes[i].steps + again.steps,
                unconverged=not same,
                undecided=again.undecided,
                warnings=(*outcomes[i].warnings, note),
            )

    def _engine(
        self,
        scene: Scene,
        plans: int,
        crew: int = 0,
        *,
        roomy: bool = False,
        iterations: int = 1,
        rules: Schedule = NO_RULE,
    ) -> tuple[MujocoEngine, bool]:
        """An engine of a crew with exactly that many lanes, and whether it had to be built."""
        key = (id(scene), plans, crew, roomy, iterations, rules.rest, rules.midphase)
        if key in self._engines:
            self._engines.move_to_end(key)
            return self._engines[key][1], False
        boxed = rules.midphase or rules.rest
        model = scene.roomy if roomy else scene.boxed if boxed else scene.model
        if iterations > 1:
            model = scene.recompile(int(model.narena))
            model.opt.iterations *= iterations
        engine = MujocoEngine(model, plans, threads=self._threads, resting=scene.resting if rules.rest else None)
        self._engines[key] = (scene, engine)  # the scene is kept so that its id stays its own
        while len(self._engines) > _KEPT_ENGINES:
            self._engines.popitem(last=False)
        return engine, True


def _untold(steps: int) -> None:
    """What a screen simulates is not what the plans were to be simulated for."""


def _outcome(one: Scheduled, cold: bool, method: str = "exhaustive") -> Outcome:
    """What came of one plan, before anybody asks whose fault it is."""
    return Outcome(
        one.finding,
        None,
        one.steps,
        one.evidence,
        cold,
        saved=one.saved,
        undecided=one.undecided,
        known=one.known,
        method=method,
    )


def _doubt(job: Job, one: Scheduled) -> str | None:
    """Why a finding does not stand of a run in which things rest, as a sentence; None if it does."""
    if one.undecided is not None:
        return None
    if one.finding.status == "INVALID":
        return "its physics could not be believed."
    if one.finding.status == "INCONCLUSIVE":
        return "it was left undecided."
    if often_capped(one.finding, job.task.samples):
        return "the solver often stopped at its iteration limit."
    if not one.settled:
        return f"with margins {REST_BAND:g} scales lower or higher it would be another verdict."
    return None
