"""A task as an environment that is acted in step by step."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.envs.face import METADATA, View, given_state, no_reward, seed_of
from worldverify.envs.lane_vector import Infos
from worldverify.envs.observations import Observations
from worldverify.envs.play import Play
from worldverify.plan import Plan
from worldverify.png import Image
from worldverify.registry import load
from worldverify.render import Camera
from worldverify.simulate import Trace
from worldverify.task import Task
from worldverify.verdict import Margin, Verdict, Verdicts
from worldverify.verifier import Scope

Floats = NDArray[np.float64]
Info = dict[str, Any]

_LANE = np.arange(1)


class TaskEnv(gymnasium.Env[Any, Any]):
    """A task, one control action at a time.

    Action: one row of a format of fixed width, held for one of its periods; `actions` says which (see
    `worldverify.envs.actions.Actions`): None is the task's first (the arm's tasks: 7 joint targets and the gripper; own
    scenes: the controls). It is in [-1, 1], mapped linearly to each number's range (the gripper: -1 closed, 1 open);
    with normalised=False it is in the format's own units. An action that is not finite or out of range ends the episode
    as INVALID, as it does in a plan.

    Observation: see `worldverify.envs.observations.Observations`; `obs` says which, `layout` what lies where.

    Reward: the change of a potential, which is the mean over the requirements of how well each would be met if the
    world stood still from now on; at the end, what is left to the verdict's reward. So the rewards of an episode add
    up to the reward of its verdict, and an episode that passes returns more than any that does not. With obs="goal" it
    is 0 where every requirement would be met, and -1 elsewhere: `compute_reward`.

    An episode is terminated when its verdict is decided, truncated at the horizon if it still is not.
    """

    metadata = METADATA

    def __init__(
        self,
        task: Task | str,
        *,
        actions: str | ActionSpec | None = None,
        obs: str = "state",
        normalised: bool = True,
        render_mode: str | None = None,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
    ) -> None:
        """`task`: a Task or the name of one. `width`, `height` [pixels] and `camera` are of render() and of pixels."""
        self.task = load(task) if isinstance(task, str) else task
        self._play = Play(self.task, 1, actions=actions, normalised=normalised, threads=1)
        self._observations = Observations(self.task, obs, width=width, height=height, camera=camera)
        self._obs = obs
        self.action_space = self._play.actions.box(normalised=normalised)
        self.observation_space = self._observations.space()
        self._view = View(self.task, render_mode, width, height, camera)
        self.render_mode = render_mode
        self.metadata = {**METADATA, "render_fps": self.task.rate / self._play.actions.periods}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Info]:
        """Begin at the task's start of a seed, or at options={"state": a MuJoCo integration state (nstate,)}."""
        super().reset(seed=seed)
        given = given_state(options)
        self._play.begin(_LANE, [seed_of(self, seed)], [given])
        return self._observation(), only(self._play.infos(_LANE))

    def step(self, action: NDArray[Any]) -> tuple[Any, float, bool, bool, Info]:
        """One control action.

        Raises ResetNeeded when the episode has ended, and RuntimeError when nothing can be judged although the actions
        are not to blame.
        """
        self._running()
        turn = self._play.act(_LANE, self._play.actions.read(action)[None])
        info = only(turn.infos)
        if not info["valid"]:
            raise no_reward(self.task.name, info["cause"], info["reason"])
        reward = float(turn.reward[0])
        if self._obs == "goal":
            reward = float(compute_reward(self._play.standing[0], 0.0))
        return self._observation(), reward, bool(turn.terminated[0]), bool(turn.truncated[0]), info

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """(...,) 0 where every margin (..., C) achieved is greater than the one desired, else -1: see obs="goal"."""
        return compute_reward(achieved_goal, desired_goal)

    def verify(self, plans: Any, *, scope: Scope = "chunk", **options: Any) -> Verdicts:
        """Judge candidates from where the episode is now, without disturbing it.

        `plans` and `options` are as for `worldverify.verify`, but arrays (T, width) or (B, T, width) hold actions of
        this environment. Requirements go on from the evidence of the episode so far: with scope "chunk" the guards are
        judged over that and the chunk, with scope "plan" the whole spec, the last action held to the horizon.
        """
        self._running()
        return self._play.verify(0, plans, scope=scope, **options)

    def actions_for(self, plan: Any) -> NDArray[Any]:
        """(T, width) the actions that carry out a plan of any format from the start of the episode. Raises Refusal."""
        self._begun()
        return self._play.actions_for(0, plan).astype(self.action_space.dtype)

    @property
    def start_seed(self) -> int:
        """The seed of the episode's start, as `seed` of worldverify.verify."""
        return self._play.seed(0)

    @property
    def plan(self) -> Plan:
        """The actions of the episode so far as a plan, to be judged again, stored or replayed."""
        return self._play.plan(0)

    @property
    def margins(self) -> Mapping[str, Margin]:
        """What the evidence so far says of each requirement, at the deciding sample once there is one."""
        self._begun()
        return self._play.margins(0)

    @property
    def standing(self) -> Floats:
        """(C,) margins of the requirements in scales, if the world stood still from now on."""
        standing: Floats = self._play.standing[0].copy()
        return standing

    @property
    def last_verdict(self) -> Verdict | None:
        """The whole verdict of the episode that has ended, or None. Asking for it simulates `plan` once more."""
        return self._play.verdict(0)

    @property
    def state(self) -> Floats:
        """(nstate,) the MuJoCo integration state now, as `worldverify.verify` takes it."""
        self._begun()
        return self._play.state(0)

    @property
    def evidence(self) -> Trace:
        """What the sensors have shown in the episode so far."""
        self._begun()
        return self._play.evidence(0)

    @property
    def layout(self) -> Mapping[str, slice]:
        """What lies where in an observation of numbers."""
        return self._observations.layout

    def render(self) -> Image | None:
        """(height, width, 3) uint8 with render_mode "rgb_array", else None."""
        self._begun()
        return self._view.image(self._play.state(0))

    def close(self) -> None:
        """Give back the engines; may be called twice."""
        self._play.close()

    def _begun(self) -> None:
        if not self._play.begun[0]:
            raise ResetNeeded("There is no episode yet: call reset() first.")

    def _running(self) -> None:
        self._begun()
        if self._play.ended[0]:
            raise ResetNeeded("The episode has ended: call reset() to begin another one.")

    def _observation(self) -> Any:
        play = self._play
        batch = self._observations.batch(play.states(_LANE), play.steps(_LANE), play.standing)
        return {key: value[0] for key, value in batch.items()} if isinstance(batch, dict) else batch[0]


def compute_reward(achieved_goal: Any, desired_goal: Any) -> NDArray[np.float64]:
    """(...,) 0 where every margin (..., C) achieved is greater than the one desired, else -1."""
    return np.where(np.all(np.asarray(achieved_goal) > desired_goal, axis=-1), 0.0, -1.0)


def only(infos: Infos) -> Info:
    """The info of the only lane, in numbers and texts of Python."""
    return {key: only(value) if isinstance(value, dict) else value.tolist()[0] for key, value in infos.items()}
