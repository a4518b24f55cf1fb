"""Episodes of a task in many lanes: actions in; rewards, ends and infos out. One environment is one lane of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.compile import compile_for
from worldverify.contracts import ctrl
from worldverify.envs.actions import Actions
from worldverify.envs.face import OPEN, Answer, answer_from, heard
from worldverify.envs.lane_vector import Infos, Turn
from worldverify.envs.lanes import Lanes
from worldverify.kernels.mujoco_cpu import MujocoEngine
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

FARTHEST = 1e6  # margin scales: what lies beyond the horizon is as bad as that


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
        self._lanes = Lanes(task, MujocoEngine(task.scene.model, nlane, threads=threads))
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
        self.standing[lanes] = _finite(self._lanes.begin(lanes, states))
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
            self.standing[going] = _finite(seen.standing)
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
        """The same keys at every step. A margin [SI unit of its deciding term] counts where its mask is True.

        `standing` are the margins in scales if the world stood still from now on.
        """
        names, n = self.task.scene.bound.names, len(lanes)
        infos: Infos = {
            "instruction": _texts(n, self.task.instruction),
            "is_success": np.zeros(n, dtype=bool),
            "success": np.zeros(n, dtype=bool),
            "valid": np.ones(n, dtype=bool),
            **{key: _texts(n, getattr(OPEN, key)) for key in ("status", "cause", "code", "reason")},
            "margins": {name: np.zeros(n) for name in names},
            "margins_mask": {name: np.zeros(n, dtype=bool) for name in names},
            "standing": {name: self.standing[lanes, c] for c, name in enumerate(names)},
        }
        if not answers:
            return infos
        for row, lane in enumerate(lanes.tolist()):
            answer = answers.get(lane)
            if answer is None:
                continue
            infos["is_success"][row] = infos["success"][row] = answer.status == "PASS"
            infos["valid"][row] = answer.valid
            for key in ("status", "cause", "code", "reason"):
                infos[key][row] = getattr(answer, key)
            for name, margin in answer.margins.items():
                if margin.value is not None:
                    infos["margins"][name][row], infos["margins_mask"][name][row] = margin.value, True
        return infos

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

    def _worth(self, margins: Floats) -> Floats:
        """(n,) the potential, from margins in scales (n, C): at most half of the range of rewards."""
        merit = _merit(margins)
        total = np.zeros(len(merit))
        for c in range(merit.shape[1]):  # one by one, so that the bits do not depend on the number of lanes
            total += merit[:, c]
        worth: Floats = 0.5 * (PASS_REWARD - self.task.reward_min) * total / merit.shape[1]
        return worth


def _texts(n: int, text: str) -> NDArray[Any]:
    return np.full(n, text, dtype=object)


def _finite(margins: Floats) -> Floats:
    finite: Floats = np.clip(np.nan_to_num(margins, nan=-FARTHEST), -FARTHEST, FARTHEST)
    return finite


def _merit(margins: Floats) -> Floats:
    """0 to 1, from margins in scales: 1/2 where a requirement is just met, 1 with one scale to spare.

    Below zero it falls with the logarithm, so that a goal far away still pulls.
    """
    return 0.5 / (1.0 + np.log1p(np.maximum(-margins, 0.0))) + 0.5 * np.clip(margins, 0.0, 1.0)
