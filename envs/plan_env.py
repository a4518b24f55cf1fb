"""A task as an environment of one step: a whole plan in, its verdict's reward out."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Space
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.envs.actions import Actions
from worldverify.envs.face import METADATA, OPEN, View, answer_of, given_state, info_of, seed_of, start_of
from worldverify.envs.observations import Observations
from worldverify.envs.texts import TEXT, cards, plan_texts
from worldverify.local import LocalVerifier, candidates
from worldverify.png import Image
from worldverify.registry import load
from worldverify.render import Camera
from worldverify.task import Task
from worldverify.verdict import Verdict, Verdicts

Floats = NDArray[np.float64]
Info = dict[str, Any]


class PlanEnv(gymnasium.Env[Any, Any]):
    """A task, one whole plan a step: the verdict's reward, and the episode is over.

    Action: (T, width) rows for the whole horizon, in the format's own units; `actions` says of which format (see
    `worldverify.envs.actions.Actions`), at any rate. actions="text": what a model writes. Fewer rows, and whatever else
    `worldverify.verify` reads as a plan, can be given to `step` as well; what cannot be read is INVALID, with the least
    reward. Another step judges another plan from the same start.

    Observation: the start, as in `TaskEnv`; with obs="text", which actions="text" begins with, the card of the task for
    that start, which a model is prompted with. The same after the step, for the plan is judged, not lived through.
    """

    metadata = METADATA

    def __init__(
        self,
        task: Task | str,
        *,
        actions: str | ActionSpec | None = None,
        obs: str | None = None,
        render_mode: str | None = None,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
    ) -> None:
        """`task`: a Task or the name of one. `width`, `height` [pixels] and `camera` are of render() and of pixels."""
        self.task = load(task) if isinstance(task, str) else task
        self.start_seed = 0  # of the episode's start, as `seed` of worldverify.verify
        self.last_verdict: Verdict | None = None  # the whole answer to the last step
        shown = obs or (TEXT if actions == TEXT else "state")
        if shown == "goal":
            raise ValueError(
                "obs='goal' is for acting step by step; for plans it is 'state', 'pixels_agent_pos' or 'text'."
            )
        self._observations = None
        if shown != TEXT:
            self._observations = Observations(self.task, shown, width=width, height=height, camera=camera)
        self._actions = None if actions == TEXT else Actions(self.task, actions, whole=True)
        self.action_space: Space[Any] = plan_texts() if self._actions is None else self._actions.plan_box()
        self.observation_space = cards(self.task) if self._observations is None else self._observations.space()
        self._view = View(self.task, render_mode, width, height, camera)
        self.render_mode = render_mode
        self.metadata = {**METADATA, "render_fps": self.task.rate}
        self._verifier = LocalVerifier()
        self._start: Floats | None = None
        self._given: Floats | None = None  # the state that reset was given instead of a seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Info]:
        """Begin at the task's start of a seed, or at options={"state": a MuJoCo integration state (nstate,)}."""
        super().reset(seed=seed)
        self.start_seed, self._given = seed_of(self, seed), given_state(options)
        self._start = start_of(self.task, self.start_seed, self._given)
        self.last_verdict = None
        return self._look(), info_of(self.task, OPEN)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Info]:
        """Judge a plan. Raises RuntimeError when nothing can be judged although the plan is not to blame."""
        verdict = self.verify([action])[0]
        self.last_verdict = verdict
        last = answer_of(verdict)
        return self._look(), last.reward, True, False, info_of(self.task, last)

    def verify(self, plans: Any, **options: Any) -> Verdicts:
        """Judge candidates from the start of the episode, which goes on; arrays hold rows of this environment.

        `plans` and `options` are as for `worldverify.verify`.
        """
        self._begun()
        items = [self.candidate(raw) for raw in candidates(plans)]
        return self._verifier.verify(self.task, items, seed=self.start_seed, state=self._given, **options)

    @property
    def state(self) -> Floats:
        """(nstate,) the start, as `worldverify.verify` takes it."""
        return self._begun().copy()

    @property
    def card(self) -> str:
        """What a model is prompted with for this start."""
        self._begun()
        return self.task.card(self.start_seed) if self._given is None else self.task.card(state=self._given)

    @property
    def layout(self) -> Mapping[str, slice]:
        """What lies where in an observation of numbers."""
        return {} if self._observations is None else self._observations.layout

    def render(self) -> Image | None:
        """(height, width, 3) uint8 of the start with render_mode "rgb_array", else None."""
        return self.picture(self._begun())

    def close(self) -> None:
        """Give back the engines; may be called twice."""
        self._verifier.close()

    def candidate(self, raw: object) -> object:
        """A row of this environment's actions becomes a plan; the rest is admitted, or refused, as it is."""
        return raw if self._actions is None else self._actions.candidate(raw)

    def look(self, starts: Floats, seeds: Sequence[int | None]) -> Any:
        """What is shown of n starts (n, nstate), whose seeds are known or not."""
        if self._observations is None:
            return tuple(
                self.task.card(state=start) if seed is None else self.task.card(seed)
                for start, seed in zip(starts, seeds, strict=True)
            )
        none = np.zeros((len(starts), 0))
        return self._observations.batch(starts, np.zeros(len(starts), dtype=np.int64), none)

    def picture(self, start: Floats) -> Image | None:
        """(height, width, 3) uint8 of a start with render_mode "rgb_array", else None."""
        return self._view.image(start)

    def _begun(self) -> Floats:
        if self._start is None:
            raise ResetNeeded("There is no episode yet: call reset() first.")
        return self._start

    def _look(self) -> Any:
        """The start, as it is shown."""
        seen = self.look(self._begun()[None], [self.start_seed if self._given is None else None])
        return {key: value[0] for key, value in seen.items()} if isinstance(seen, dict) else seen[0]
