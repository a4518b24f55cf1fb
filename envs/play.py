"""Episodes of a task in many lanes: actions in; rewards, ends and infos out. One environment is one lane of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.compile import compile_for
from worldverify.contracts import ctrl
from worldverify.envs.actions import Actions
from worldverify.envs.face import Answer, answer_from, heard
from worldverify.envs.lane_infos import lane_infos
from worldverify.envs.lane_vector import Infos, Turn
from worldverify.envs.lanes import Lanes
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.kernels.potential import finite, potential
from worldverify.local import LocalVerifier, candidates
from worldverify.plan import Malformed, Plan
from worldverify.refusal import Refusal
from worldverify.scoring import PASS_REWARD
from worldverify.simulate import Trace
from worldverify.task import Task
from worldverify.verdict import Verdict, Verdicts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NONE: Mapping[int, Answer] = {}


class Play:
    """Episodes in L lanes of MuJoCo C.

    Lanes do not hear of each other: an episode has the same bits in any lane of any number.
    """

    def __init__(
        self,
        task: Task,
        nlane: int,
        *,
        actions: str | ActionSpec | None = None,
        normalised: bool = True,
        threads: int | None = None,
    ) -> None:
        self.task, self.nlane = task, nlane
        self.actions = Actions(task, actions)
        self.normalised = normalised
        self._follower = self.actions.follower(nlane)
        self._verifier = LocalVerifier(threads=threads)
        self._lanes = Lanes(task, MujocoEngine(task.scene.boxed, nlane, threads=threads))
        self._rows = np.zeros((nlane, self.actions.steps, self.actions.width))  # in the units of the format
        self._count = np.zeros(nlane, dtype=np.int64)  # rows so far
        self._first, self._potential = np.zeros(nlane), np.zeros(nlane)  # at the start of the episode, and now
        self._seed: list[int] = [0] * nlane
        self._given: list[Floats | None] = [None] * nlane  # the state that an episode was given instead of a seed
        self._verdict: list[Verdict | None] = [None] * nlane
        self.begun = np.zeros(nlane, dtype=bool)
        self.ended = np.zeros(nlane, dtype=bool)
        self.standing = np.zeros((nlane, len(task.scene.bound.names)))  # margins in scales if the world stood still now

    def begin(self, lanes: Ints, seeds: Sequence[int], given: Sequence[Floats | None]) -> None:
        """New episodes, each at the start of its seed or at a given state (nstate,). Raises Refusal: none begins."""
        states = np.empty((len(lanes), self.task.scene.nstate))
        for row, (seed, state) in enumerate(zip(seeds, given, strict=True)):
            states[row] = self.task.start(seed) if state is None else state
        self.task.check_starts(states)
        for lane, seed, state in zip(lanes.tolist(), seeds, given, strict=True):
            self._seed[lane], self._given[lane], self._verdict[lane] = seed, state, None
        self._count[lanes] = 0
        self.begun[lanes], self.ended[lanes] = True, False
        self._follower.load(lanes, states)
        self.standing[lanes] = finite(self._lanes.begin(lanes, states))
        self._first[lanes] = self._potential[lanes] = self._worth(self.standing[lanes])

    def act(self, lanes: Ints, actions: Floats) -> Turn:
        """One action (n, width) in each lane.

        If nothing can be judged although no action is to blame, an episode is truncated, its reward is NaN and `valid`
        in the infos is False.
        """
        rows = self.actions.tolerated(self.actions.to_units(actions) if self.normalised else actions)
        self._rows[lanes, self._count[lanes]] = rows
        self._count[lanes] += 1
        controls, refused = self._follower.advance(lanes, rows)
        answers: dict[int, Answer] = {}
        fit = np.array([lane not in refused for lane in lanes.tolist()]) if refused else np.ones(len(lanes), dtype=bool)
        going = lanes[fit]
        if len(going):
            seen = self._lanes.advance(going, controls[fit])
            self.standing[going] = finite(seen.standing)
            over = going[seen.over]
            if len(over):
                answers.update(self._answers(over))
        for lane in refused:
            self.ended[lane] = True
            answers[lane] = heard(self._judged(lane))

        before = self._potential[lanes]
        self._potential[lanes] = self._worth(self.standing[lanes])
        reward = self._potential[lanes] - before
        terminated, truncated = np.zeros(len(lanes), dtype=bool), np.zeros(len(lanes), dtype=bool)
        for row, lane in enumerate(lanes.tolist()):
            if lane in answers:
                last = answers[lane]
                reward[row] = last.reward - (before[row] - self._first[lane])
                truncated[row] = last.status == "INCONCLUSIVE" or not last.valid
                terminated[row] = not truncated[row]
        return Turn(reward, terminated, truncated, self.infos(lanes, answers))

    def verify(self, lane: int, plans: Any, **options: Any) -> Verdicts:
        """Candidates from where a lane is now, with the evidence of its episode so far; arrays hold actions."""
        plans = np.asarray(plans) if hasattr(plans, "__array__") else plans
        items = [self._candidate(lane, raw) for raw in candidates(plans)]
        return self._verifier.verify(
            self.task, items, seed=self._seed[lane], state=self.state(lane), history=self.evidence(lane), **options
        )

    def actions_for(self, lane: int, plan: Any) -> Floats:
        """(T, width) the actions that carry out a plan of any format from the start of an episode. Raises Refusal."""
        rows = self.actions.rows(self._lanes.start[lane], plan)
        return self.actions.from_units(rows) if self.normalised else rows

    def plan(self, lane: int) -> Plan:
        """The actions of an episode so far as a plan."""
        return self.actions.plan(self._rows[lane, : self._count[lane]].copy())

    def verdict(self, lane: int) -> Verdict | None:
        """The whole verdict of an episode that has ended, or None; judged once more when it is first asked for."""
        return self._judged(lane) if self.ended[lane] else None

    def margins(self, lane: int) -> Mapping[str, Any]:
        """What the evidence so far says of each requirement, at the deciding sample once there is one."""
        finding = self._lanes.finding(lane)
        return {} if finding is None else finding.margins

    def seed(self, lane: int) -> int:
        """The seed of the start of an episode, as of `worldverify.verify`."""
        return self._seed[lane]

    def state(self, lane: int) -> Floats:
        """(nstate,) the MuJoCo integration state now."""
        state: Floats = self._lanes.states(np.array([lane]))[0]
        return state

    def states(self, lanes: Ints) -> Floats:
        """(n, nstate) the integration states now."""
        return self._lanes.states(lanes)

    def steps(self, lanes: Ints) -> Ints:
        """(n,) physics substeps so far."""
        steps: Ints = self._lanes.steps[lanes]
        return steps

    def evidence(self, lane: int) -> Trace:
        """What the sensors have shown in an episode so far."""
        return self._lanes.evidence(lane)

    def close(self) -> None:
        """Give back the engines; may be called twice."""
        self._verifier.close()

    def infos(self, lanes: Ints, answers: Mapping[int, Answer] = _NONE) -> Infos:
        """What is to be said of lanes (n,), of which `answers`, by lane, are over."""
        rows = {row: answers[lane] for row, lane in enumerate(lanes.tolist()) if lane in answers}
        return lane_infos(self.task, self.standing[lanes], rows)

    def _judged(self, lane: int) -> Verdict:
        """The verdict of the actions so far, with the last one held to the horizon."""
        verdict = self._verdict[lane]
        if verdict is None:
            seed, state = self._seed[lane], self._given[lane]
            verdict = self._verifier.verify(self.task, [self.plan(lane)], seed=seed, state=state)[0]
            self._verdict[lane] = verdict
        return verdict

    def _answers(self, over: Ints) -> dict[int, Answer]:
        """lane -> what its episode came to."""
        answers = {}
        self.ended[over] = True
        for lane, finding in zip(over.tolist(), self._lanes.findings(over), strict=True):
            if finding.status == "INVALID" or finding.capped:
                # Whose fault it is, or whether physics with more memory or iterations says the same, takes more runs.
                answers[lane] = heard(self._judged(lane))
            else:
                answers[lane] = answer_from(self.task, finding)
        return answers

    def _candidate(self, lane: int, raw: object) -> object:
        """Arrays of this environment's actions become plans; the rest is admitted, or refused, as it is."""
        plan = self.actions.candidate(raw, normalised=self.normalised)
        if plan is raw or self.actions.direct:
            return plan
        # These actions go on from where the ones before led to, which the state does not show.
        before = self._rows[lane, : self._count[lane]]
        rows = np.concatenate([before, plan.actions])[: self.actions.steps]
        (made,) = compile_for(self.task, self._lanes.start[[lane]], [self.actions.plan(rows)])
        if isinstance(made, Refusal):
            return Malformed(None, made.code, made.reason)
        following = made.controls[len(before) * self.actions.periods :]
        return Plan(None, "ctrl", self.task.rate, following, contract=ctrl(following.shape[1], self.task.rate))

    def _worth(self, standing: Floats) -> Floats:
        """(n,) the potential, from margins in scales (n, C)."""
        worth: Floats = potential(standing, PASS_REWARD - self.task.reward_min)
        return worth
