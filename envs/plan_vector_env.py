"""Many plans of a task in one environment of one step: all judged together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from worldverify.action import ActionSpec
from worldverify.engines.backend import MUJOCO, Backend
from worldverify.envs.face import OPEN, heard, info_of
from worldverify.envs.lane_vector import Floats, Infos, Ints, LaneVectorEnv, Turn, positive, stacked
from worldverify.envs.plan_env import PlanEnv
from worldverify.local import LocalVerifier, candidates
from worldverify.png import Image
from worldverify.render import Camera
from worldverify.task import Task
from worldverify.verdict import Verdict


class PlanVectorEnv(LaneVectorEnv):
    """`num_envs` starts of a task, a whole plan for each: one call of verify judges them all, and every episode ends.

    Actions, observations and infos are those of `PlanEnv`, one for each lane; texts come as a sequence. Lanes begin
    anew as in `TaskVectorEnv`. Where nothing can be judged although no plan is to blame, a lane is truncated with a
    reward of NaN and infos["valid"] False.
    """

    def __init__(
        self,
        num_envs: int,
        task: Task | str,
        *,
        actions: str | ActionSpec | None = None,
        obs: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.DISABLED,
        backend: Backend | None = MUJOCO,
        threads: int | None = None,
        render_mode: str | None = None,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
    ) -> None:
        """`backend` and `threads` as of `worldverify.LocalVerifier`, the rest as of `PlanEnv`."""
        lanes = positive("num_envs", num_envs)
        self._one = PlanEnv(
            task, actions=actions, obs=obs, render_mode=render_mode, width=width, height=height, camera=camera
        )
        self.task = self._one.task
        super().__init__(
            lanes,
            self._one.action_space,
            self._one.observation_space,
            autoreset_mode,
            fps=self._one.metadata["render_fps"],
        )
        self.render_mode = render_mode
        self._verifier = LocalVerifier(backend=backend, threads=threads)
        self._starts = np.zeros((lanes, self.task.scene.nstate))
        self._seeds: list[int | None] = [None] * lanes
        self._verdicts: list[Verdict | None] = [None] * lanes

    def last_verdict(self, lane: int) -> Verdict | None:
        """The whole answer to the last plan of a lane, whose request names the state that it began from."""
        return self._verdicts[self._lane(lane)]

    def state(self, lane: int) -> Floats:
        """(nstate,) the start of a lane, as `worldverify.verify` takes it."""
        state: Floats = self._starts[self._lane(lane)].copy()
        return state

    @property
    def layout(self) -> Mapping[str, slice]:
        """What lies where in an observation of numbers."""
        return self._one.layout

    def render(self, lanes: Sequence[int] | None = None) -> tuple[Image, ...] | None:
        """(height, width, 3) uint8 of the starts of some lanes (None: all), or None without a render_mode."""
        if self.render_mode is None:
            return None
        wanted = self._lanes if lanes is None else [self._lane(lane) for lane in lanes]
        images = (self._one.picture(self._starts[lane]) for lane in wanted)
        return tuple(image for image in images if image is not None)

    def close_extras(self, **kwargs: Any) -> None:
        """Give back the engines."""
        self._one.close()
        self._verifier.close()

    @property
    def _nstate(self) -> int:
        return self.task.scene.nstate

    def _begin(self, lanes: Ints, seeds: Sequence[int], given: Floats | None) -> Infos:
        starts = np.stack([self.task.start(seed) for seed in seeds]) if given is None else given
        self.task.check_starts(starts)
        self._starts[lanes] = starts
        for lane, seed in zip(lanes, seeds, strict=True):
            self._seeds[lane] = seed if given is None else None
        return stacked([info_of(self.task, OPEN) for _ in lanes])

    def _act(self, lanes: Ints, actions: Any) -> Turn:
        plans = candidates(actions)
        if len(plans) != self.num_envs:
            raise ValueError(f"There are {self.num_envs} lanes, and so as many plans; got {len(plans)}.")
        items = [self._one.candidate(plans[lane]) for lane in lanes]
        verdicts = self._verifier.verify(self.task, items, state=self._starts[lanes])
        answers = [heard(verdict) for verdict in verdicts]
        for lane, verdict in zip(lanes, verdicts, strict=True):
            self._verdicts[lane] = verdict
        valid = np.array([answer.valid for answer in answers])
        infos = stacked([info_of(self.task, answer) for answer in answers])
        return Turn(np.array([answer.reward for answer in answers]), valid, ~valid, infos)

    def _look(self, lanes: Ints) -> Any:
        return self._one.look(self._starts[lanes], [self._seeds[lane] for lane in lanes])
