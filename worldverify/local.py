"""The local verifier: admit, compile, simulate, judge, on the CPUs of this process."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.audit import Audit
from worldverify.billing.meter import Meter
from worldverify.billing.prices import load_prices, money_of
from worldverify.billing.shares import Compiling, shared
from worldverify.budget import Budget, Halt
from worldverify.compile import Compiled, compile_for
from worldverify.cost import Cost
from worldverify.declared import contract_of
from worldverify.domain import world_of
from worldverify.engines.backend import MUJOCO, Backend, DeviceLost, EngineRefused
from worldverify.engines.device import find_gpu
from worldverify.engines.making import physics_on
from worldverify.engines.physics import Job, MujocoPhysics, Outcome, Physics
from worldverify.engines.screen import METHOD
from worldverify.kernels.engine import EngineInfo
from worldverify.plan import Plan, admit, plan_id
from worldverify.reasons import early_reason, fail_reason, fault_reason, inconclusive_reason, pass_reason
from worldverify.refusal import Cause, Refusal
from worldverify.registry import load
from worldverify.request import digest_of, request_of, task_identity
from worldverify.schedule import ALL_RULES, Schedule
from worldverify.scheduling.queue import NO_FINDING
from worldverify.scheduling.starts import Starts
from worldverify.scoring import reward_of
from worldverify.simulate import CHUNK, Trace
from worldverify.task import NOMINAL, Task
from worldverify.trials.rules import Trials, rule_of
from worldverify.trials.run import check_varies, judge_of, tried
from worldverify.verdict import Status, Verdict, Verdicts, Violation, with_cost
from worldverify.verifier import Fidelity, Interrupted, Margins, Randomised, Rank, Scope
from worldverify.version import VERSION

Floats = NDArray[np.float64]
Watch = Callable[[int, int], None]  # (substeps done or saved, substeps in all); may have a method saved(substeps)


class LocalVerifier:
    """A Verifier in this process. It keeps engines between calls; the verdicts do not depend on that."""

    def __init__(
        self,
        *,
        threads: int | None = None,
        chunk: int = CHUNK,
        backend: Backend | None = MUJOCO,
        prices: str | Path | None = None,
    ) -> None:
        """`threads`: None for every CPU this process may use. `chunk`: physics steps an engine call on MuJoCo C where
        a schedule leaves nothing out; `Schedule.chunk` is that of the others.

        `backend`: what simulates; None chooses between the CPU and the GPU by measurement, call by call. `prices`: the
        price file of the bills; None for what WORLDVERIFY_PRICES names, else the shipped one. Raises PriceError.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1; got {threads}.")
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1 physics step; got {chunk}.")
        self._threads = threads
        self._physics: Physics | None = physics_on(backend, threads=threads, chunk=chunk)
        self._starts = Starts()
        self._prices_file, self._prices = prices, load_prices(prices)
        self._meter = Meter(self._prices, gpu=find_gpu().name if backend is None or backend.device == "gpu" else None)

    def verify(
        self,
        task: Task | str,
        plans: Any,
        *,
        seed: int = 0,
        state: Floats | Sequence[Floats] | None = None,
        scope: Scope = "plan",
        margins: Margins = "decided",
        randomise: Randomised = "start",
        history: Trace | None = None,
        watch: Watch | None = None,
        format: str | ActionSpec | None = None,
        schedule: Schedule = ALL_RULES,
        budget: Budget | None = None,
        rank: Rank | None = None,
        trials: Trials | None = None,
        fidelity: Fidelity = "reference",
    ) -> Verdicts:
        """See `worldverify.verify`. `history` is the evidence of the episode that led to `state`, which then comes
        from trusted physics and is not checked as a start. Raises Interrupted for a KeyboardInterrupt in physics."""
        if self._physics is None:
            raise RuntimeError("This verifier is closed: make another one.")
        mark = self._meter.start()
        task = load(task) if isinstance(task, str) else task
        options: dict[str, Any] = {"scope": _one_of("scope", scope, ("plan", "chunk"))}
        options["margins"] = _one_of("margins", margins, ("decided", "full"))
        if _one_of("randomise", randomise, ("start", "all")) == "all":
            options["randomise"] = randomise
        if rank is not None:
            _one_of("rank", rank, ("best",))
        rule = None if trials is None else rule_of(trials)
        if rule is not None:
            if budget is not None or rank is not None:
                raise ValueError("budget and rank leave plans undecided: leave them out, or leave trials out.")
            check_varies(task, state)
            options["trials"] = rule.to_json()
        if _one_of("fidelity", fidelity, ("reference", "screen")) == "screen":
            options["fidelity"] = fidelity
            self._check_screen(schedule, margins, randomise, budget or rank or trials, history)
        self._check_early(schedule, margins, budget, rank)
        self._physics.check(task)
        items = candidates(plans)
        declared = None if format is None else contract_of(format, None, task.contracts, task.name)[0]
        states = _states(task, len(items), seed, state)
        seed = int(seed)
        admitted = [_admitted(task, raw, declared) for raw in items]
        whole = options["scope"] == "plan"
        starts = [None] * len(items) if history is not None else self._starts.faults(task, states, whole=whole)
        ready = [a if s is None or isinstance(a, Refusal) else s for a, s in zip(admitted, starts, strict=True)]
        world = world_of(task, seed, randomise)
        made = _compiled(task, world.perceived(states), ready)
        compiled = [one.controls if isinstance(one, Compiled) else one for one in made]
        compiling = Compiling(*self._meter.so_far(mark))

        given = state is not None
        arriving = [
            c if isinstance(c, Refusal) else world.arriving(c, s, task.samples if whole else len(c) * task.substeps)
            for c, s in zip(compiled, states, strict=True)
        ]
        full, best = options["margins"] == "full", rank is not None
        job = Job(
            world.task,
            not whole,
            full,
            history,
            _untold,
            given,
            schedule,
            Halt(budget, money_of(self._prices, cpu_s=1.0)),
            best,
            fidelity == "screen",
        )
        outcomes = self._run(self._physics, job, states, arriving, watch)
        common, verdicts = task_identity(task, options, history), []
        for i, raw in enumerate(items):
            found = admitted[i]
            plan = found if isinstance(found, Plan) else None
            request = request_of(common, task, raw, plan, seed, None if state is None else states[i], options)
            held = _too_short(task, compiled[i]) if options["scope"] == "plan" else None
            one = made[i]
            said = (*(plan.warnings if plan else ()), *(one.warnings if isinstance(one, Compiled) else ()))
            said += () if held is None else (held,)
            chunk = options["scope"] == "chunk"
            verdicts.append(_verdict(task, plan_id(raw), plan, outcomes[i], self._physics.info, request, said, chunk))
        bills = [_simulated(outcome) for outcome in outcomes]
        reading = self._meter.since(mark, gpu_s=math.fsum(bill.gpu_s for bill in bills))
        bills = shared(bills, reading, compiling, self._prices, self._meter.gpu)
        audit = audit_of(outcomes) if fidelity == "screen" else None
        answer = Verdicts(tuple(with_cost(v, bill) for v, bill in zip(verdicts, bills, strict=True)), audit)
        if job.halt.why == "interrupted":
            self._physics.close()
            raise Interrupted(answer)
        if rule is None:
            return answer
        known = [plan if isinstance(plan, Plan) else raw for plan, raw in zip(admitted, items, strict=True)]
        asked = {"scope": scope, "history": history, "format": format, "schedule": schedule}
        # A world of its own is a program of its own on MJX, whose compilation takes longer than MuJoCo C for its plans.
        own = isinstance(self._physics, MujocoPhysics) or task.domain == NOMINAL
        worlds = self if own else LocalVerifier(threads=self._threads, prices=self._prices_file)
        judge = judge_of(worlds.verify, task, known, None if state is None else states, **asked)
        return tried(answer, rule, seed, judge, None if watch is None else _in_steps(watch, task.samples * len(items)))

    def _check_screen(
        self, schedule: Schedule, margins: Margins, randomise: Randomised, early: object, history: Trace | None
    ) -> None:
        """Raises ValueError where a pre-pass with longer physics steps would not say anything."""
        assert self._physics is not None
        if not self._physics.ends_early:
            raise EngineRefused(
                "fidelity='screen' is for MuJoCo C: use on='cpu' without engine= and impl=, or leave it out."
            )
        if early is not None or randomise != "start":
            raise ValueError(
                "fidelity='screen' judges plans once, in the model as it is: leave budget, rank, trials and "
                "randomise='all' out, or fidelity."
            )
        if history is not None or margins == "full" or schedule.rest or not schedule.stop:
            raise ValueError(
                "fidelity='screen' is for plans from a start or a state, with margins='decided' and a schedule that "
                "stops and in which nothing rests: leave the others out, or fidelity."
            )

    def _check_early(self, schedule: Schedule, margins: Margins, budget: Budget | None, rank: Rank | None) -> None:
        """Raises ValueError where nothing could be left out though it is asked for."""
        assert self._physics is not None
        if schedule.rest and not self._physics.ends_early:
            raise EngineRefused("rest is for MuJoCo C: use on='cpu' without engine= and impl=, or leave rest out.")
        if schedule.rest and rank is not None:
            raise ValueError("rank compares margins, and what rests moves them: leave rank or rest out.")
        if schedule.rest and budget is not None and budget.first != "given":
            raise ValueError(
                f"What rests cannot be put aside, so no plan can go before another that has begun: leave "
                f"first={budget.first!r} out of the budget, or rest out of the schedule."
            )
        if budget is None and rank is None:
            return
        asked = "rank" if rank is not None else "budget"
        if not self._physics.ends_early:
            raise EngineRefused(
                f"{asked} is for MuJoCo C: use on='cpu' without engine= and impl=, or leave {asked} out."
            )
        if schedule == Schedule.exhaustive() or (rank is not None and not schedule.stop):
            raise ValueError(f"{asked} needs a schedule with stop=True: leave schedule out.")
        if rank is not None and margins == "full":
            raise ValueError("rank compares margins at the moment that decides: leave margins out.")

    def close(self) -> None:
        """Give back the engines."""
        if self._physics is not None:
            self._physics.close()
        self._physics = None

    def _run(
        self,
        physics: Physics,
        job: Job,
        states: Floats,
        compiled: Sequence[Floats | Refusal],
        watch: Watch | None,
    ) -> list[Outcome | Refusal]:
        """Simulate what compiled, block by block. A block whose engine fails loses no other."""
        task = job.task
        results: dict[int, Outcome | Refusal] = {i: c for i, c in enumerate(compiled) if isinstance(c, Refusal)}
        work = [(i, c) for i, c in enumerate(compiled) if not isinstance(c, Refusal)]
        block = physics.most(task)
        total, done = task.samples * len(work), 0

        def told(steps: int) -> None:
            nonlocal done
            done += steps
            if watch is not None:
                watch(min(done, total), total)

        def saved(steps: int) -> None:
            if (hear := getattr(watch, "saved", None)) is not None:
                hear(steps)
            told(steps)

        job = replace(job, told=told, saved=saved)
        for first in range(0, len(work), block):
            part = work[first : first + block]
            rows = [i for i, _ in part]
            found = _found(physics, job, states[rows], [c for _, c in part])
            results.update(zip(rows, found, strict=True))
        return [results[i] for i in range(len(compiled))]


def _found(physics: Physics, job: Job, states: Floats, controls: Sequence[Floats]) -> Sequence[Outcome | Refusal]:
    """What physics says of a block. If it fails, the plans run one by one, so that only the failing ones are lost."""
    try:
        if job.halt.why is None:
            return physics.run(job, states, controls)
    except KeyboardInterrupt:
        job.halt.why = "interrupted"
    except EngineRefused:
        raise
    except DeviceLost as error:
        return [Refusal("engine_failed", f"{error} Judge this plan again.", cause="infra")] * len(controls)
    except Exception as error:  # whatever the machine may do: what is left is to be judged again elsewhere
        physics.close()  # the engines are not to be trusted any more
        said = " ".join(f"{type(error).__name__}: {error}".split())
        if len(controls) > 1:
            alone = [_found(physics, job, states[i : i + 1], [u])[0] for i, u in enumerate(controls)]
            note = f"The engine failed on {len(controls)} plans together ({said}); this one was judged by itself."
            return [replace(o, warnings=(*o.warnings, note)) if isinstance(o, Outcome) else o for o in alone]
        return [Refusal("engine_failed", f"The engine failed ({said}); judge this plan again.", cause="infra")]
    return [Outcome(NO_FINDING, None, 0, 0, False, undecided=job.halt.why)] * len(controls)


def audit_of(outcomes: Sequence[Outcome | Refusal]) -> Audit:
    """What the audits of a call with fidelity="screen" came to."""
    run = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    told = [one.audited for one in run if one.audited is not None]
    return Audit(sum(one.method == METHOD for one in run) + len(told), len(told), told.count(False))


def _untold(steps: int) -> None:
    """Nobody watches."""


def _in_steps(watch: Watch, total: int) -> Callable[[float], None]:
    return lambda share: watch(round(share * total), total)


def candidates(plans: Any) -> list[object]:
    """The plans of a call as a list: one text, dict, Plan or matrix counts as one plan."""
    if isinstance(plans, str | bytes | Mapping | Plan):
        return [plans]
    if isinstance(plans, np.ndarray):
        if plans.ndim == 2:
            return [plans]
        if plans.ndim not in (3, 4):
            raise ValueError(
                f"An array of plans has shape (B, T, width), or (B, n, chunk, width); one plan (T, width); "
                f"got {plans.shape}."
            )
        return list(plans)
    try:
        return list(plans)
    except TypeError:
        raise TypeError(f"plans must be a list of texts, dicts, Plans or arrays; got {type(plans).__name__}.") from None


def _one_of(label: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{label} must be one of {', '.join(map(repr, allowed))}; got {value!r}.")
    return value


def _states(task: Task, plans: int, seed: int, state: Floats | Sequence[Floats] | None) -> Floats:
    """(B, nstate) the state each plan starts from."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on; got {seed!r}.")
    nstate = task.scene.nstate
    if state is None:
        return np.broadcast_to(task.start(int(seed)), (plans, nstate))
    states = np.asarray(state, dtype=np.float64)
    if states.shape not in ((nstate,), (plans, nstate)):
        raise ValueError(
            f"state must be one MuJoCo integration state of {task.name}, shape ({nstate},), or one for each plan, "
            f"shape ({plans}, {nstate}); got {states.shape}."
        )
    return np.broadcast_to(states, (plans, nstate))


def _admitted(task: Task, raw: object, format: ActionSpec | None) -> Plan | Refusal:
    try:
        return admit(raw, contracts=task.contracts, default_rate=task.rate, task=task.name, format=format)
    except Refusal as refusal:
        return refusal


def _compiled(task: Task, states: Floats, ready: Sequence[Plan | Refusal]) -> list[Compiled | Refusal]:
    """Controls of what was admitted. Equal plans from one state, which models often write, are compiled once."""
    found: list[Compiled | Refusal | None] = [p if isinstance(p, Refusal) else None for p in ready]
    alike: dict[tuple[bytes, tuple[object, ...]], list[int]] = {}
    plans: list[Plan] = []  # one of each kind
    for i, plan in enumerate(ready):
        if isinstance(plan, Plan):
            same = alike.setdefault((states[i].tobytes(), plan.content()), [])
            if not same:
                plans.append(plan)
            same.append(i)
    made = compile_for(task, states[[same[0] for same in alike.values()]], plans) if plans else []
    for same, one in zip(alike.values(), made, strict=True):
        for i in same:
            found[i] = one
    return [one for one in found if one is not None]


def _too_short(task: Task, controls: Floats | Refusal) -> str | None:
    if isinstance(controls, Refusal) or len(controls) >= task.steps:
        return None
    return f"The plan lasts {len(controls) / task.rate:g} s; its last command is held to {task.horizon:g} s."


def _verdict(
    task: Task,
    id: str | None,
    plan: Plan | None,
    outcome: Outcome | Refusal,
    physics: EngineInfo,
    request: dict[str, Any],
    said: tuple[str, ...],
    chunk: bool,
) -> Verdict:
    warnings = (*said, *task.scene.warnings)
    status: Status
    cause: Cause | None
    if isinstance(outcome, Refusal):
        status, cause, code, reason = "INVALID", outcome.cause, outcome.code, outcome.reason
        margins, violation, decided_s = {}, None, None
    else:
        finding, h = outcome.finding, task.timestep
        status, cause, code, margins = finding.status, None, None, finding.margins
        violation, decided_s = None, None if finding.decided is None else finding.decided * h
        warnings = (*warnings, *outcome.warnings)
        if outcome.undecided is not None:
            status, code = "INCONCLUSIVE", outcome.undecided
            reason = early_reason(outcome.undecided, outcome.known * h)
        elif outcome.unconverged:
            status, code = "INCONCLUSIVE", "unconverged"
            reason = f"Undecided: {outcome.warnings[-1]}"
        elif status == "PASS":
            reason = pass_reason(margins)
        elif status == "FAIL":
            assert finding.violated is not None and decided_s is not None
            violation = Violation(finding.violated, decided_s)
            reason = fail_reason(margins, finding.violated, decided_s)
        elif status == "INVALID":
            cause = outcome.cause
            code, reason = fault_reason(finding, h, cause or "model")
        else:
            reason = inconclusive_reason(margins, task.horizon, chunk)
    left = isinstance(outcome, Outcome) and outcome.undecided is not None
    reward, valid = (math.nan, False) if left else reward_of(status, cause, margins.values(), task.reward_min)
    info, method = (outcome.info, outcome.method) if isinstance(outcome, Outcome) else (physics, "exhaustive")
    return Verdict(
        id=id if plan is None or plan.id is None else plan.id,
        task=task.name,
        status=status,
        cause=cause,
        code=code,
        reason=reason,
        margins=margins,
        first_violation=violation,
        reward=reward,
        valid=valid,
        warnings=tuple(dict.fromkeys(warnings)),
        cost=Cost(),
        engine={**info._asdict(), "method": method},
        request=request,
        digest=digest_of(request, info, method, VERSION, status, cause, margins),
        decided_s=decided_s,
    )


def _simulated(outcome: Outcome | Refusal) -> Cost:
    """The part of a verdict's bill that is its own."""
    if isinstance(outcome, Refusal):
        return Cost()
    return Cost(
        steps=outcome.steps,
        steps_saved=sum(outcome.saved.values()),
        saved_by=outcome.saved,
        gpu_s=outcome.device_s,
        placement=outcome.placement,
        bytes=outcome.evidence,
        cold=outcome.cold,
    )
