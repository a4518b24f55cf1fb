"""Many episodes of a task in one environment: the lanes of one engine, stepped together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.envs.face import View
from worldverify.envs.lane_vector import Floats, Infos, Ints, LaneVectorEnv, Turn, positive
from worldverify.envs.observations import Observations
from worldverify.envs.play import Play
from worldverify.envs.step_env import compute_reward
from worldverify.png import Image
from worldverify.registry import load
from worldverify.render import Camera
from worldverify.task import Task
from worldverify.verdict import Verdict, Verdicts
from worldverify.verifier import Scope


class TaskVectorEnv(LaneVectorEnv):
    """`num_envs` episodes of a task on MuJoCo C: bit for bit a row of `TaskEnv`, and much faster.

    Actions, observations, rewards and infos are those of `TaskEnv`, with one row for each lane. Autoreset is disabled
    by default: an episode that has ended waits for reset(options={"reset_mask": ...}). With "same_step" or "next_step"
    lanes begin anew by themselves, as in Gymnasium's own vector environments.

    Where nothing can be judged although no action is to blame, a lane is truncated with a reward of NaN and
    infos["valid"] False: leave it out, for it says nothing about the policy.
    """

    def __init__(
        self,
        num_envs: int,
        task: Task | str,
        *,
        actions: str | ActionSpec | None = None,
        obs: str = "state",
        normalised: bool = True,
        autoreset_mode: str | AutoresetMode = AutoresetMode.DISABLED,
        max_episode_steps: int | None = None,
        threads: int | None = None,
        render_mode: str | None = None,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
    ) -> None:
        """`max_episode_steps`: actions after which an undecided episode is truncated, if that is before its horizon.

        `threads`: None for every CPU that this process may use. The rest as of `TaskEnv`.
        """
        self.task = load(task) if isinstance(task, str) else task
        lanes = positive("num_envs", num_envs)
        self._play = Play(self.task, lanes, actions=actions, normalised=normalised, threads=threads)
        self._observations = Observations(self.task, obs, width=width, height=height, camera=camera)
        read = self._play.actions
        super().__init__(
            lanes,
            read.box(normalised=normalised),
            self._observations.space(),
            autoreset_mode,
            fps=self.task.rate / read.periods,
        )
        self._limit = read.steps if max_episode_steps is None else positive("max_episode_steps", max_episode_steps)
        self._obs = obs
        self._view = View(self.task, render_mode, width, height, camera)
        self.render_mode = render_mode
        self._acted = np.zeros(lanes, dtype=np.int64)  # actions in each episode

    def verify(self, lane: int, plans: Any, *, scope: Scope = "chunk", **options: Any) -> Verdicts:
        """Judge candidates from where an episode is now, without disturbing it; as `TaskEnv.verify`."""
        self._running(lane)
        return self._play.verify(lane, plans, scope=scope, **options)

    def last_verdict(self, lane: int) -> Verdict | None:
        """The whole verdict of the episode of a lane, once it has ended; None before."""
        return self._play.verdict(self._lane(lane))

    def state(self, lane: int) -> Floats:
        """(nstate,) the MuJoCo integration state of a lane now, as `worldverify.verify` takes it."""
        return self._play.state(self._lane(lane))

    def start_seed(self, lane: int) -> int:
        """The seed of the start of a lane's episode, as `seed` of worldverify.verify."""
        return self._play.seed(self._lane(lane))

    def actions_for(self, lane: int, plan: Any) -> NDArray[Any]:
        """(T, width) the actions that carry out a plan from the start of a lane's episode. Raises Refusal."""
        return self._play.actions_for(self._lane(lane), plan).astype(self.single_action_space.dtype)

    @property
    def standing(self) -> Floats:
        """(num_envs, C) margins of the requirements in scales, if the world stood still from now on."""
        return self._play.standing.copy()

    @property
    def layout(self) -> Mapping[str, slice]:
        """What lies where in an observation of numbers."""
        return self._observations.layout

    def render(self, lanes: Sequence[int] | None = None) -> tuple[Image, ...] | None:
        """(height, width, 3) uint8 of each of some lanes (None: all), or None without a render_mode."""
        if self.render_mode is None:
            return None
        wanted = self._lanes if lanes is None else np.array([self._lane(lane) for lane in lanes], dtype=np.int64)
        images = (self._view.image(state) for state in self._play.states(wanted))
        return tuple(image for image in images if image is not None)

    def close_extras(self, **kwargs: Any) -> None:
        """Give back the engines."""
        self._play.close()

    @property
    def _nstate(self) -> int:
        return self.task.scene.nstate

    def _begin(self, lanes: Ints, seeds: Sequence[int], given: Floats | None) -> Infos:
        self._play.begin(lanes, seeds, [None] * len(lanes) if given is None else list(given))
        self._acted[lanes] = 0
        return self._play.infos(lanes)

    def _act(self, lanes: Ints, actions: Any) -> Turn:
        rows = self._play.actions.read(actions, self.num_envs)
        turn = self._play.act(lanes, rows[lanes])
        self._acted[lanes] += 1
        late = (self._acted[lanes] >= self._limit) & ~turn.terminated
        reward = turn.reward
        if self._obs == "goal":
            reward = np.where(turn.infos["valid"], compute_reward(self._play.standing[lanes], 0.0), reward)
        return turn._replace(reward=reward, truncated=turn.truncated | late)

    def _look(self, lanes: Ints) -> Any:
        play = self._play
        return self._observations.batch(play.states(lanes), play.steps(lanes), play.standing[lanes])

    def _running(self, lane: int) -> None:
        if not self._begun[self._lane(lane)] or self._play.ended[lane]:
            raise ResetNeeded(f"Lane {lane} has no episode now: call reset() to begin one.")
