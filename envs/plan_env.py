"""A task as an environment of one step: a whole plan in, its verdict's reward out."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from worldverify.envs.boxes import Actions, Observations
from worldverify.envs.face import METADATA, OPEN, View, answer_of, given_state, info_of, seed_of, start_of
from worldverify.local import LocalVerifier
from worldverify.png import Image
from worldverify.registry import load
from worldverify.render import Camera
from worldverify.task import Task
from worldverify.verdict import Verdict

Floats = NDArray[np.float64]
Observation = NDArray[np.float32]
Info = dict[str, Any]


class PlanEnv(gymnasium.Env[Any, Any]):
    """A task, one whole plan a step: the verdict's reward, and the episode is over.

    Action: (T, width) rows of the task's first format of fixed width, in the format's own units, for the whole
    horizon; `step` also takes whatever `worldverify.verify` reads as a plan, such as the text of a model.
    Observation: the start, as in `TaskEnv`; the same after the step, for the plan is judged, not lived through.
    """

    metadata = METADATA

    def __init__(
        self,
        task: Task | str,
        *,
        render_mode: str | None = None,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
    ) -> None:
        """`task`: a Task or the name of one. `width`, `height` [pixels] and `camera` are for render()."""
        self.task = load(task) if isinstance(task, str) else task
        self.start_seed = 0  # of the episode's start, as `seed` of worldverify.verify
        self.last_verdict: Verdict | None = None  # the whole answer to the last step
        self._observations = Observations(self.task)
        self.action_space = Actions(self.task).plan_box()
        self.observation_space = self._observations.box()
        self._view = View(self.task, render_mode, width, height, camera)
        self.render_mode = render_mode
        self.metadata = {**METADATA, "render_fps": self.task.rate}
        self._verifier = LocalVerifier()
        self._start: Floats | None = None
        self._given: Floats | None = None  # the state that reset was given instead of a seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Info]:
        """Begin at the task's start of a seed, or at options={"state": a MuJoCo integration state (nstate,)}."""
        super().reset(seed=seed)
        self.start_seed, self._given = seed_of(self, seed), given_state(options)
        self._start = start_of(self.task, self.start_seed, self._given)
        self.last_verdict = None
        return self._observations.vector(self._start, 0), info_of(self.task, OPEN)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, Info]:
        """Judge a plan. Raises RuntimeError when nothing can be judged although the plan is not to blame."""
        start = self._begun()
        verdict = self._verifier.verify(self.task, [action], seed=self.start_seed, state=self._given)[0]
        self.last_verdict = verdict
        last = answer_of(verdict)
        return self._observations.vector(start, 0), last.reward, True, False, info_of(self.task, last)

    @property
    def layout(self) -> Mapping[str, slice]:
        """What lies where in an observation."""
        return self._observations.layout

    def render(self) -> Image | None:
        """(height, width, 3) uint8 of the start with render_mode "rgb_array", else None."""
        return self._view.image(self._begun())

    def close(self) -> None:
        """Give back the engines; may be called twice."""
        self._verifier.close()

    def _begun(self) -> Floats:
        if self._start is None:
            raise ResetNeeded("There is no episode yet: call reset() first.")
        return self._start
