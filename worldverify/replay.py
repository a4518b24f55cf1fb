"""Asking a verdict's question again: is the answer the same, and what happened on the way to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldverify.compile import compile_for
from worldverify.domain import world_of
from worldverify.engines.backend import name_of
from worldverify.judge import Finding, atom_margins, judge
from worldverify.kernels.engine import Engine, EngineInfo, Samples
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.local import LocalVerifier
from worldverify.plan import admit
from worldverify.refusal import Refusal
from worldverify.simulate import Trace, simulate
from worldverify.task import Task
from worldverify.trials.rules import rule_from_json
from worldverify.verdict import SCHEMA, Margin, Verdict
from worldverify.version import VERSION

Floats = NDArray[np.float64]

NEEDED = ("task", "status", "engine", "request", "digest")  # keys of a verdict line
OPTIONS = ("scope", "margins", "randomise", "fidelity")  # the last two only where they are not as usual
ASKED = ("plan", "seed", "horizon_s", "state", "options", "sha256")  # keys of its request


@dataclass(frozen=True)
class Answer:
    """What came of asking again."""

    outcome: Literal["same", "differs"]
    reason: str  # one sentence
    verdict: Verdict


def ask_again(verifier: LocalVerifier, task: Task, line: Mapping[str, Any]) -> Answer:
    """Judge the request of a verdict line anew and compare the answers: the digests, or what float32 can promise.

    Raises ValueError, with a sentence, for something that is no verdict line of this version.
    """
    _check_line(line)
    asked, options = line["request"], line["request"]["options"]
    state = None if asked["state"] is None else np.array(asked["state"], dtype=np.float64)
    (verdict,) = verifier.verify(
        task,
        [asked["plan"]],
        seed=asked["seed"],
        state=state,
        trials=rule_from_json(options["trials"]) if "trials" in options else None,
        **{key: options[key] for key in OPTIONS if key in options},
    )
    if verdict.digest == line["digest"] and _counts(verdict.trials) != _counts(line.get("trials")):
        return Answer("differs", f"{verdict.status}: the digest is the same, but the trials are not.", verdict)
    if verdict.digest == line["digest"]:
        return Answer("same", f"{verdict.status}: the digest is the same.", verdict)
    if line["engine"].get("dtype") == "float32" and line["request"]["sha256"] == verdict.request["sha256"]:
        return _compared(line, verdict)
    return Answer("differs", _difference(line, verdict), verdict)


def _counts(trials: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    """What of trials does not depend on the machine."""
    return None if trials is None else (trials["successes"], trials["n"], trials["decision"])


def _compared(line: Mapping[str, Any], verdict: Verdict) -> Answer:
    """A verdict in float32 promises its status and what was violated; its margins differ in their last digits."""
    now = verdict.to_json()
    violated = [v["first_violation"] and v["first_violation"]["requirement"] for v in (line, now)]
    then, by = (name_of(e["engine"], e["impl"]) for e in (line["engine"], verdict.engine))
    judges = f"{then} judged it in float32" + ("" if by == then else f", {by} now")
    if (line["status"], line["cause"]) == (now["status"], now["cause"]) and violated[0] == violated[1]:
        return Answer("same", f"{verdict.status}: {judges}; the status is the same.", verdict)
    said = [
        status if name is None else f"{status} ({name})"
        for status, name in zip(_statuses(line, now), violated, strict=True)
    ]
    return Answer("differs", f"{judges}: {said[0]} is {said[1]}.", verdict)


def _statuses(*lines: Mapping[str, Any]) -> list[str]:
    return [str(line["status"]) for line in lines]


def _check_line(line: Mapping[str, Any]) -> None:
    if line.get("schema") != SCHEMA:
        raise ValueError(f"It has schema {line.get('schema')!r}; this version reads verdict lines of schema {SCHEMA}.")
    missing = [key for key in NEEDED if key not in line]
    request = line.get("request")
    missing += [f"request.{key}" for key in ASKED if not isinstance(request, Mapping) or key not in request]
    if isinstance(request, Mapping) and "prediction" in request:
        raise ValueError("It judges a predicted rollout, whose states are not in it: check them again.")
    if missing:
        raise ValueError(f"It lacks {', '.join(missing)}: give a file that worldverify verify --json wrote.")
    options = line["request"]["options"]
    if not isinstance(options, Mapping) or not {"scope", "margins"} <= options.keys():
        raise ValueError("Its request has no options scope and margins.")
    if not isinstance(line["request"]["plan"], Mapping):
        raise ValueError("The plan of its request is not an object.")


def _difference(line: Mapping[str, Any], verdict: Verdict) -> str:
    """Why two digests differ, the question before the answer."""
    now = verdict.to_json()
    same = (now["status"], now["cause"], now["margins"]) == (line["status"], line.get("cause"), line.get("margins"))
    outcome = f"{line['status']} is now {verdict.status}"
    if same:
        outcome = f"status and margins are the same, {verdict.status}"
    elif line["status"] == verdict.status:
        outcome = f"still {verdict.status}, with other margins"
    if line["request"]["sha256"] != verdict.request["sha256"]:
        return f"{_other_question(line['request'], verdict.request)}; {outcome}."
    before, after = dict(line["engine"]), dict(verdict.engine)
    changed = [f"{key} {before.get(key)} then, {after[key]} now" for key in after if before.get(key) != after[key]]
    if changed:
        return f"Another engine: {', '.join(changed)}; {outcome}."
    if same:
        return f"Another version of worldverify wrote it (this is {VERSION}), or its digest was changed; {outcome}."
    return f"The same question on the same engine has another answer: {outcome}."


def _other_question(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What makes a request another one, as far as it can be told."""
    if {**then["plan"], "id": None} != {**now["plan"], "id": None}:
        return "The plan is read otherwise than it was"
    if then["horizon_s"] != now["horizon_s"]:
        return f"The task lasts {now['horizon_s']:g} s, and {then['horizon_s']} s when it was asked about"
    return "The task, its scene, its spec or the start state is not the one that was asked about"


@dataclass(frozen=True, eq=False)
class Run:
    """One plan simulated again to its horizon, with every state within reach."""

    task: Task
    finding: Finding
    margins: Floats  # (A, K) of the atoms, SI units, for the K samples that can be believed
    agrees: bool  # the answer is that of the verdict: its margins, or its status if it was judged in float32
    controls: Floats  # (T, nu)
    states: Floats  # (periods + 1, nstate) before each control period, and at the horizon
    engine: Engine

    @property
    def last(self) -> int:
        """The last sample that can be believed."""
        return int(self.margins.shape[1]) - 1

    def state_at(self, sample: int) -> Floats:
        """(nstate,) the state at a sample (a physics substep), bit for bit the one that was judged."""
        period, more = divmod(sample, self.task.substeps)
        if more == 0:
            return np.array(self.states[period])
        lane = np.arange(1)
        control = self.controls[min(period, len(self.controls) - 1)]
        self.engine.load(lane, self.states[period][None])
        self.engine.advance(lane, np.tile(control, (1, more, 1)))
        return np.asarray(self.engine.state(lane)[0])


def run_again(task: Task, verdict: Verdict) -> Run | None:
    """The evidence of a verdict of scope "plan", or None if its plan never reached the physics."""
    asked = verdict.request
    if asked["options"]["scope"] != "plan":
        return None
    state = task.start(asked["seed"]) if asked["state"] is None else np.array(asked["state"], dtype=np.float64)
    try:
        plan = admit(asked["plan"], contracts=task.contracts, default_rate=task.rate, task=task.name)
        task.check_start(state)
    except Refusal:
        return None
    world = world_of(task, asked["seed"], asked["options"].get("randomise", "start"))
    (made,) = compile_for(task, world.perceived(state[None]), [plan])
    if isinstance(made, Refusal):
        return None
    controls = world.arriving(made.controls, state, task.samples)
    run = _run(world.task, MujocoEngine(world.task.scene.model, 1, threads=1), state, controls, verdict)
    if not run.agrees:  # judged with more memory, as a plan is whose contacts did not fit
        larger = MujocoEngine(world.task.scene.roomy, 1, threads=1)
        again = _run(world.task, larger, state, controls, verdict)
        run = again if again.agrees else run
    return run


def _run(task: Task, engine: Engine, state: Floats, controls: Floats, verdict: Verdict) -> Run:
    recorder = _Recorder(engine)
    trace = simulate(
        recorder, state[None], [controls], substeps=task.substeps, samples=task.samples, chunk=task.substeps
    )
    bound = task.scene.bound
    full = verdict.request["options"]["margins"] == "full"
    (finding,) = judge(bound, trace, horizon=task.samples, full=full)
    known = task.samples + 1 if finding.untrusted is None else finding.untrusted
    return Run(
        task=task,
        finding=finding,
        margins=_known_margins(task, trace, known),
        agrees=_agrees(finding, verdict),
        controls=controls,
        states=np.concatenate([*recorder.states, trace.end]),
        engine=engine,
    )


def _known_margins(task: Task, trace: Trace, known: int) -> Floats:
    return atom_margins(task.scene.bound, trace.value[:, :known])[:, 0]


def _agrees(finding: Finding, verdict: Verdict) -> bool:
    """Whether this is what was judged: bit for bit, or what float32 can promise."""
    if verdict.engine["dtype"] == "float64":
        return _same_margins(finding.margins, verdict.margins)
    return finding.status == verdict.status


def _same_margins(one: Mapping[str, Margin], other: Mapping[str, Margin]) -> bool:
    """Equal bit for bit."""
    return {n: (m.value, m.interval, m.unit) for n, m in one.items()} == {
        n: (m.value, m.interval, m.unit) for n, m in other.items()
    }


@dataclass
class _Recorder:
    """An engine that keeps the states before every call of `advance`."""

    engine: Engine
    states: list[Floats] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    @property
    def nlane(self) -> int:
        lanes: int = self.engine.nlane
        return lanes

    def load(self, lanes: Any, state: Any) -> None:
        self.engine.load(lanes, state)

    def advance(self, lanes: Any, controls: Any) -> Samples:
        self.states.append(self.engine.state(lanes))
        return self.engine.advance(lanes, controls)

    def observe(self, lanes: Any) -> Samples:
        return self.engine.observe(lanes)

    def state(self, lanes: Any) -> Any:
        return self.engine.state(lanes)
