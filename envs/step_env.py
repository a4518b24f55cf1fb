"""A task as an environment that is acted in step by step."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from worldverify.envs.boxes import Actions, Observations
from worldverify.envs.episode import Episode
from worldverify.envs.face import (
    METADATA,
    OPEN,
    Answer,
    View,
    answer_from,
    answer_of,
    given_state,
    info_of,
    seed_of,
    start_of,
)
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.local import LocalVerifier, candidates
from worldverify.plan import Plan
from worldverify.png import Image
from worldverify.refusal import Refusal
from worldverify.registry import load
from worldverify.render import Camera
from worldverify.rewards import PASS_REWARD
from worldverify.simulate import Trace
from worldverify.task import Task
from worldverify.verdict import Margin, Verdict, Verdicts
from worldverify.verifier import Scope

Floats = NDArray[np.float64]
Observation = NDArray[np.float32]
Info = dict[str, Any]


class TaskEnv(gymnasium.Env[Any, Any]):
    """A task, one control action at a time.

    Action: one row of the task's first format of fixed width (the arm's tasks: 7 joint targets and the gripper; own
    scenes: the controls), held for one control period. It is in [-1, 1], mapped linearly to each number's range (the
    gripper: -1 closed, 1 open); with normalised=False it is in the format's own units. An action that is not finite or
    out of range ends the episode as INVALID, as it does in a plan.

    Observation: see `worldverify.envs.boxes.Observations`; `layout` says what lies where.

    Reward: the change of a potential, which is the mean over the requirements of how well each would be met if the
    world stood still from now on; at the end, what is left to the verdict's reward. So the rewards of an episode add
    up to the reward of its verdict, and an episode that passes returns more than any that does not.

    An episode is terminated when its verdict is decided, truncated at the horizon if it still is not.
    """

    metadata = METADATA

    def __init__(
        self,
        task: Task | str,
        *,
        normalised: bool = True,
        render_mode: str | None = None,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
    ) -> None:
        """`task`: a Task or the name of one. `width`, `height` [pixels] and `camera` are for render()."""
        self.task = load(task) if isinstance(task, str) else task
        self.start_seed = 0  # of the episode's start, as `seed` of worldverify.verify
        self._actions = Actions(self.task)
        self._observations = Observations(self.task)
        self._normalised = normalised
        self.action_space = self._actions.box(normalised=normalised)
        self.observation_space = self._observations.box()
        self._view = View(self.task, render_mode, width, height, camera)
        self.render_mode = render_mode
        self.metadata = {**METADATA, "render_fps": self.task.rate}
        self._engine = MujocoEngine(self.task.scene.model, 1, threads=1)
        self._verifier = LocalVerifier()
        self._episode: Episode | None = None
        self._given: Floats | None = None  # the state that reset was given instead of a seed
        self._rows: list[Floats] = []  # the actions so far, in the units of the format
        self._first = self._potential = 0.0  # at the first sample of the episode, and now
        self._ended = False
        self._verdict: Verdict | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Info]:
        """Begin at the task's start of a seed, or at options={"state": a MuJoCo integration state (nstate,)}."""
        super().reset(seed=seed)
        self.start_seed, self._given = seed_of(self, seed), given_state(options)
        start = start_of(self.task, self.start_seed, self._given)
        self._episode = Episode(self.task, self._engine, start)
        self._rows, self._first, self._potential = [], 0.0, 0.0
        self._ended, self._verdict = False, None
        return self._observation(self._episode), info_of(self.task, OPEN)

    def step(self, action: NDArray[Any]) -> tuple[Observation, float, bool, bool, Info]:
        """One control action.

        Raises ResetNeeded when the episode has ended, and RuntimeError when nothing can be judged although the actions
        are not to blame.
        """
        episode = self._running()
        self._rows.append(self._row(action))
        controls = self._actions.controls(episode.start, self._rows[-1])
        if isinstance(controls, Refusal):
            return self._end(episode, answer_of(self._judge()))
        finding = episode.advance(controls)
        over = finding.decided is not None or episode.finished
        if finding.status == "INVALID" or (over and finding.capped):
            # Whose fault it is, or whether physics with more memory or iterations says the same, takes more runs.
            return self._end(episode, answer_of(self._judge()))
        if over:
            return self._end(episode, answer_from(self.task, finding))
        if len(self._rows) == 1:
            self._first = self._potential = self._worth(episode.standing(1))
        before, self._potential = self._potential, self._worth(episode.standing())
        info = info_of(self.task, OPEN._replace(margins=finding.margins))
        return self._observation(episode), self._potential - before, False, False, info

    def verify(self, plans: Any, *, scope: Scope = "chunk", **options: Any) -> Verdicts:
        """Judge candidates from where the episode is now, without disturbing it.

        `plans` and `options` are as for `worldverify.verify`, but arrays (T, width) or (B, T, width) hold actions of
        this environment. Requirements go on from the evidence of the episode so far: with scope "chunk" the guards are
        judged over that and the chunk, with scope "plan" the whole spec, the last action held to the horizon.
        """
        episode = self._running()
        plans = np.asarray(plans) if hasattr(plans, "__array__") else plans
        items = [self._candidate(raw) for raw in candidates(plans)]
        history, state = episode.evidence, episode.state
        return self._verifier.verify(
            self.task, items, seed=self.start_seed, state=state, scope=scope, history=history, **options
        )

    def actions_for(self, plan: Any) -> NDArray[Any]:
        """(T, width) the actions that carry out a plan of any format from the start of the episode. Raises Refusal."""
        rows = self._actions.rows(self._begun().start, plan)
        actions = self._actions.from_units(rows) if self._normalised else rows
        return actions.astype(self.action_space.dtype)

    @property
    def plan(self) -> Plan:
        """The actions of the episode so far as a plan, to be judged again, stored or replayed."""
        return self._actions.plan(np.array(self._rows).reshape(-1, self._actions.width))

    @property
    def margins(self) -> Mapping[str, Margin]:
        """What the evidence so far says of each requirement, at the deciding sample once there is one."""
        finding = self._begun().finding
        return {} if finding is None else finding.margins

    @property
    def last_verdict(self) -> Verdict | None:
        """The whole verdict of the episode that has ended, or None. Asking for it simulates `plan` once more."""
        if self._ended and self._verdict is None:
            self._judge()
        return self._verdict

    @property
    def state(self) -> Floats:
        """(nstate,) the MuJoCo integration state now, as `worldverify.verify` takes it."""
        return self._begun().state

    @property
    def evidence(self) -> Trace:
        """What the sensors have shown in the episode so far."""
        return self._begun().evidence

    @property
    def layout(self) -> Mapping[str, slice]:
        """What lies where in an observation."""
        return self._observations.layout

    def render(self) -> Image | None:
        """(height, width, 3) uint8 with render_mode "rgb_array", else None."""
        return self._view.image(self._begun().state)

    def close(self) -> None:
        """Give back the engines; may be called twice."""
        self._verifier.close()

    def _begun(self) -> Episode:
        if self._episode is None:
            raise ResetNeeded("There is no episode yet: call reset() first.")
        return self._episode

    def _running(self) -> Episode:
        episode = self._begun()
        if self._ended:
            raise ResetNeeded("The episode has ended: call reset() to begin another one.")
        return episode

    def _row(self, action: Any) -> Floats:
        row = np.array(action, dtype=np.float64)
        if row.shape != (self._actions.width,):
            columns = ", ".join(self._actions.contract.columns)
            raise ValueError(
                f"An action of {self.task.name} has {self._actions.width} numbers ({columns}); got shape {row.shape}."
            )
        return self._actions.to_units(row) if self._normalised else row

    def _candidate(self, raw: object) -> object:
        """Arrays of this environment's actions become plans; the rest is admitted, or refused, as it is."""
        rows = np.asarray(raw) if hasattr(raw, "__array__") else None
        if rows is None or rows.ndim != 2 or rows.shape[1] != self._actions.width or rows.dtype.kind not in "fiu":
            return raw
        return self._actions.to_units(rows) if self._normalised else rows

    def _worth(self, margins: Floats) -> float:
        """The potential, from margins in scales (C,): at most half of the range of rewards."""
        return 0.5 * (PASS_REWARD - self.task.reward_min) * float(np.mean(_merit(margins)))

    def _judge(self) -> Verdict:
        """The verdict of the actions so far, with the last one held to the horizon: the episode is over."""
        self._ended = True
        self._verdict = self._verifier.verify(self.task, [self.plan], seed=self.start_seed, state=self._given)[0]
        return self._verdict

    def _end(self, episode: Episode, last: Answer) -> tuple[Observation, float, bool, bool, Info]:
        """The last step, whose reward is what is left to the reward of the verdict."""
        self._ended = True
        reward = last.reward - (self._potential - self._first)
        undecided = last.status == "INCONCLUSIVE"
        return self._observation(episode), reward, not undecided, undecided, info_of(self.task, last)

    def _observation(self, episode: Episode) -> Observation:
        return self._observations.vector(episode.state, episode.steps)


def _merit(margins: Floats) -> Floats:
    """0 to 1, from margins in scales: 1/2 where a requirement is just met, 1 with one scale to spare.

    Below zero it falls with the logarithm, so that a goal far away still pulls.
    """
    missed = np.log1p(np.maximum(-np.nan_to_num(margins, nan=-np.inf), 0.0))
    return 0.5 / (1.0 + missed) + 0.5 * np.clip(np.nan_to_num(margins, nan=0.0), 0.0, 1.0)
