"""Best of N with a way out: execute the best proposed chunk that is verified to be safe, or stop, verified as well."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldverify.contracts import ctrl
from worldverify.cost import Cost, total
from worldverify.plan import Plan
from worldverify.verdict import Status, Verdict, Verdicts

Floats = NDArray[np.float64]
Kind = Literal["candidate", "stop", "fallback", "unsafe"]
Prefer = Literal["best", "first"]

# (observation, how many are wanted) -> (n, T, width) actions of the environment, or a list of (T, width)
Proposer = Callable[[Any, int], Any]
# (width,) the last command -> (k, width) what brings the robot to rest after it; its last row is held from then on
Stop = Callable[[Floats], Any]


@dataclass(frozen=True, eq=False)
class ShieldStep:
    """What one chunk came to."""

    kind: Kind  # what was executed: "unsafe" is whatever holds out longest where nothing passes
    chosen: int | None  # which of the candidates was executed
    verdict: Verdict | None  # of what was executed and the stop after it; None where no answer could be had in time
    verdicts: Verdicts  # of the candidates, each with the stop after it
    actions: Floats  # (k, width) executed
    observation: Any  # after them
    reward: float  # sum over them
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated


@dataclass(frozen=True)
class ShieldReport:
    """What an episode came to."""

    status: Status  # of the episode's verdict
    reason: str
    violations: tuple[str, ...]  # guards that were violated
    chunks: int  # times that candidates were asked for
    stops: int  # chunks in which no candidate passed, and a stop or a fallback that did was executed
    unsafe: int  # chunks in which nothing passed at all: the shield promises nothing from there on
    verified: int  # candidates that were judged
    passed: int  # of them
    unjudged: int  # candidates that could not be judged, through no fault of theirs: never executed
    executed: int  # actions
    cost: Cost  # of all verdicts together

    @property
    def success(self) -> bool:
        """Whether the episode passed."""
        return self.status == "PASS"

    @property
    def safe(self) -> bool:
        """Whether every guard held, in physics that can be believed."""
        return not self.violations and self.status != "INVALID"


class Shield:
    """Stands between a policy and an environment: only what was verified from the current state is executed.

    At each chunk the proposer is asked for candidates. Each is judged, with the evidence of the episode so far,
    together with the stop that would follow it, so that a chunk after which it is too late to stop does not pass. Of
    those that pass one is executed. If none does, the robot stops: by the same stop that was verified after the chunk
    before, judged once more from here. If that does not pass any longer, the fallbacks are judged, and if none of them
    passes either, what holds out longest is executed and the step is called "unsafe".

    A verdict foresees what the simulator does next, bit for bit. It does not know how the world differs from its model.
    """

    def __init__(
        self,
        env: Any,
        proposer: Proposer,
        *,
        candidates: int = 16,
        chunk: int,
        tail_s: float | None = 1.0,
        prefer: Prefer = "best",
        stop: Stop | None = None,
        fallbacks: Proposer | None = None,
    ) -> None:
        """`env`: a step by step environment of a task; wrappers round it must leave its actions as they are.

        proposer(observation, n): (n, T, width) actions of the environment, or a list of (T, width); fewer or none will
        do. candidates: how many it is asked for. chunk: how many actions of a candidate are judged and executed before
        the next are asked for. tail_s [s]: how long the stop after a chunk is judged for, at least as long as the robot
        takes to come to rest; None: to the horizon. prefer: which of several that pass is executed, "best" by their
        margins and progress (`Verdicts.ranking`; of equals the first) or the "first" that was proposed. stop(last
        action): what brings the robot to rest, (k, width), held from its last row on; by default the last action itself
        is held, which stops a robot whose actions are places. fallbacks(observation, n): asked, as the proposer is, for
        other ways out where the stop does not pass.
        """
        self._env, self._inner = env, getattr(env, "unwrapped", env)
        acted_in = hasattr(self._inner, "verify") and hasattr(self._inner, "actions_for")
        if not acted_in or hasattr(self._inner, "num_envs"):
            raise TypeError(
                f"A shield stands before one environment of a task that is acted in step by step, such as "
                f"gymnasium.make('worldverify/ReachSafe-v0'); got {type(env).__name__}."
            )
        if env.action_space != self._inner.action_space:
            raise ValueError(
                "A wrapper changes the actions on their way, so that others are executed than are judged: put the "
                "shield round the environment without it, and change the proposals instead."
            )
        for label, value in (("candidates", candidates), ("chunk", chunk)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{label} must be a whole number from 1 on; got {value!r}.")
        if tail_s is not None and not 0 <= tail_s < math.inf:
            raise ValueError(f"tail_s must be a number of seconds from 0 on, or None for the horizon; got {tail_s!r}.")
        if prefer not in ("best", "first"):
            raise ValueError(f"prefer must be 'best' or 'first'; got {prefer!r}.")
        self._proposer, self._fallbacks = proposer, fallbacks
        self._candidates, self._chunk, self._tail_s = int(candidates), int(chunk), tail_s
        self._prefer, self._stop = prefer, stop
        self._observation: Any = None
        self._escape: Floats | None = None  # (at least to the horizon, width) the stop; None before an episode
        self._covered = 0  # of its actions, those that are known to pass
        self._steps: list[ShieldStep] = []
        self._bill: list[Cost] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, as `reset` of the environment does."""
        self._observation, info = self._env.reset(seed=seed, options=options)
        inner, task = self._inner, self._inner.task
        if self._stop is None and not _places(inner.plan):
            raise ValueError(
                f"The actions of {task.name} are changes ({inner.plan.format}), so that holding the last one is no "
                "stop: say what is, such as stop=lambda last: [*np.zeros(6), last[6]]."
            )
        held = np.array(task.scene.data(inner.state).ctrl)[None]
        still = Plan(None, "ctrl", task.rate, held, contract=ctrl(held.shape[1], task.rate))
        self._escape = self._stopping(np.array(inner.actions_for(still)[0], dtype=np.float64), self._left)
        self._covered, self._steps, self._bill = 0, [], []
        return self._observation, info

    def run(self, seed: int | None = None) -> ShieldReport:
        """One episode to its end."""
        self.reset(seed=seed)
        while not self.step().over:
            pass
        return self.report

    def step(self) -> ShieldStep:
        """Ask, judge and execute one chunk.

        Raises RuntimeError before `reset`, after the end of the episode, and where no answer can be had, neither to the
        candidates nor to the stop, and the stop that passed before is used up.
        """
        escape = self._running()
        chunks, rest = self._proposed(self._proposer), escape[: min(self._chunk, self._left)]
        verdicts = self._judge([*map(self._followed, chunks), escape[: len(rest) + self._tail(len(rest))]])
        offered, stop = verdicts[: len(chunks)], verdicts[len(chunks)]
        chosen = self._choice(offered)
        if chosen is not None:
            return self._execute("candidate", chunks[chosen], offered[chosen], offered, chosen)
        if stop.status == "PASS":
            return self._execute("stop", rest, stop, offered)
        others = [] if self._fallbacks is None else self._proposed(self._fallbacks)
        ways_out = self._judge([*map(self._followed, others)]) if others else Verdicts()
        way_out = self._choice(ways_out)
        if way_out is not None:
            return self._execute("fallback", others[way_out], ways_out[way_out], offered)
        if not _judged(stop):
            if self._covered < len(rest):
                raise RuntimeError(f"Nothing can be verified to be safe here, not even to stop: {stop.reason}")
            return self._execute("stop", rest, None, offered)  # what passed after the chunk before is still true
        every = [*zip([rest, *others, *chunks], [stop, *ways_out, *offered], strict=True)]
        longest = max(range(len(every)), key=lambda i: _lasts(every[i][1]))
        rows, verdict = every[longest]
        index = longest - 1 - len(others)
        return self._execute("unsafe", rows, verdict, offered, index if index >= 0 else None)

    @property
    def report(self) -> ShieldReport:
        """What the episode has come to so far."""
        if not self._steps:
            raise RuntimeError("There is nothing to report yet: call run(), or reset() and step().")
        info, verdicts = self._steps[-1].info, [v for step in self._steps for v in step.verdicts]
        bound, margins = self._inner.task.scene.bound, self._inner.margins
        guards = [name for name, guard in zip(bound.names, bound.guards, strict=True) if guard and name in margins]
        kinds = [step.kind for step in self._steps]
        judged = [v for v in verdicts if _judged(v)]
        return ShieldReport(
            status=info["status"],
            reason=info["reason"],
            violations=tuple(name for name in guards if margins[name].interval[1] < 0),
            chunks=len(self._steps),
            stops=kinds.count("stop") + kinds.count("fallback"),
            unsafe=kinds.count("unsafe"),
            verified=len(judged),
            passed=sum(v.status == "PASS" for v in judged),
            unjudged=len(verdicts) - len(judged),
            executed=sum(len(step.actions) for step in self._steps),
            cost=total(self._bill),
        )

    def _running(self) -> Floats:
        if self._escape is None:
            raise RuntimeError("There is no episode yet: call reset() first.")
        if self._steps and self._steps[-1].over:
            raise RuntimeError("The episode has ended: call reset() to begin another one.")
        if len(self._inner.plan.actions) != sum(len(step.actions) for step in self._steps):
            raise RuntimeError("The environment was stepped or reset past the shield: call reset() of the shield.")
        return self._escape

    @property
    def _left(self) -> int:
        """Actions to the horizon, at least one."""
        plan, task = self._inner.plan, self._inner.task
        return max(1, int(task.horizon * plan.rate_hz + 1e-6) - len(plan.actions))

    def _proposed(self, proposer: Proposer) -> list[Floats]:
        """What a proposer gives, as far as it would be executed, (T, width) each."""
        given = proposer(self._observation, self._candidates)
        try:
            given = [given] if getattr(given, "ndim", 3) == 2 else given
            chunks = [np.array(rows, dtype=np.float64) for rows in given]
        except (TypeError, ValueError):
            raise ValueError(
                "A proposer gives numbers, (n, T, width) actions of the environment; what a model wrote becomes "
                "actions by env.unwrapped.actions_for(text)."
            ) from None
        (width,) = self._inner.action_space.shape
        for rows in chunks:
            if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
                raise ValueError(
                    f"A candidate has shape (T, {width}), at least one action of {width} numbers; got {rows.shape}."
                )
        return [rows[: min(self._chunk, self._left)] for rows in chunks]

    def _stopping(self, last: Floats, count: int) -> Floats:
        """(count, width) the stop after an action (width,)."""
        rows = np.atleast_2d(np.asarray(last if self._stop is None else self._stop(last), dtype=np.float64))
        if rows.ndim != 2 or rows.shape[1:] != last.shape or not len(rows):
            raise ValueError(
                f"stop() gives (k, {len(last)}) actions, the last of which is held; got shape {rows.shape}."
            )
        held: Floats = rows[np.minimum(np.arange(count), len(rows) - 1)]
        return held

    def _followed(self, rows: Floats) -> Floats:
        """A chunk with the stop after it."""
        return np.concatenate([rows, self._stopping(rows[-1], self._tail(len(rows)))])

    def _judge(self, chunks: Sequence[Floats]) -> Verdicts:
        verdicts: Verdicts = self._inner.verify(chunks, scope="chunk")
        self._bill += [verdict.cost for verdict in verdicts]
        return verdicts

    def _choice(self, verdicts: Verdicts) -> int | None:
        """Which is executed of those that pass, or None."""
        passing = [i for i in verdicts.ranking if verdicts[i].status == "PASS"]
        return None if not passing else passing[0] if self._prefer == "best" else min(passing)

    def _tail(self, taken: int) -> int:
        """Actions that the stop after `taken` others is judged for."""
        left = self._left - taken
        return left if self._tail_s is None else min(left, math.ceil(self._tail_s * self._inner.plan.rate_hz - 1e-6))

    def _execute(
        self, kind: Kind, rows: Floats, verdict: Verdict | None, offered: Verdicts, chosen: int | None = None
    ) -> ShieldStep:
        escape = self._running()[len(rows) :] if kind == "stop" else self._stopping(rows[-1], self._left)
        covered = self._covered - len(rows) if verdict is None else self._tail(len(rows))
        reward, done = 0.0, 0
        for action in rows:
            observation, gain, terminated, truncated, info = self._env.step(action)
            reward, done = reward + float(gain), done + 1
            if terminated or truncated:
                break
        self._observation, self._escape = observation, escape
        self._covered = 0 if kind == "unsafe" else covered
        step = ShieldStep(kind, chosen, verdict, offered, rows[:done], observation, reward, terminated, truncated, info)
        self._steps.append(step)
        return step


def _places(plan: Plan) -> bool:
    """Whether actions say where to be, so that the same one again means to stay."""
    return plan.contract is None or all(kind == "absolute" for _, kind in plan.contract.representation)


def _judged(verdict: Verdict) -> bool:
    """Whether a verdict says something about its plan."""
    return verdict.status != "INVALID" or verdict.cause == "plan"


def _lasts(verdict: Verdict) -> float:
    """How long until a guard is violated, s; -1 for what may not be executed."""
    if verdict.status == "INVALID":
        return -1.0
    return math.inf if verdict.decided_s is None else verdict.decided_s
