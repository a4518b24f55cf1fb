"""Many episodes of a task on MJX: the functional form behind the face of a vector environment."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from gymnasium.vector import AutoresetMode

from worldverify.compile import compile_for
from worldverify.envs.face import Answer, View, answer_from
from worldverify.envs.functional import STATUSES, EnvState, FunctionalEnv
from worldverify.envs.lane_infos import lane_infos
from worldverify.envs.lane_vector import Floats, Infos, Ints, LaneVectorEnv, Turn, positive
from worldverify.judge import Finding, findings_of
from worldverify.kernels.deciding import Decided
from worldverify.kernels.engine import Fault
from worldverify.kernels.mjx_env import NOT_BLAMED
from worldverify.plan import Plan, admit
from worldverify.png import Image
from worldverify.reasons import fault_reason
from worldverify.refusal import Refusal
from worldverify.registry import load
from worldverify.render import Camera
from worldverify.task import Task


class MjxVectorEnv(LaneVectorEnv):
    """`num_envs` episodes of a task on MJX, stepped by one jitted program.

    Actions, observations, rewards and infos are those of `TaskVectorEnv` with obs="state", in float32, and the verdicts
    are the engine's own: see `worldverify.envs.functional.FunctionalEnv`, which a training loop that is jitted as a
    whole should use instead. `plan(lane)` with `start_seed(lane)` is what `worldverify.verify` judges.

    Where the memory of a lane is full, or only MuJoCo C could tell what its physics is worth, it is truncated with a
    reward of NaN and infos["valid"] False.
    """

    def __init__(
        self,
        num_envs: int,
        task: Task | str,
        *,
        on: str = "cpu",
        impl: str | None = None,
        actions: str | None = None,
        obs: str = "state",
        normalised: bool = True,
        autoreset_mode: str | AutoresetMode = AutoresetMode.DISABLED,
        render_mode: str | None = None,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
        max_episode_steps: int | None = None,
    ) -> None:
        """`impl`: "warp", which None means, or "jax". `obs` is "state", and `actions` are joint targets or controls.

        The rest as of `TaskVectorEnv`.
        """
        if obs != "state":
            raise ValueError(
                f"On MJX obs is 'state'; got {obs!r}. For pictures render() the lanes that you need, or use on='cpu' "
                "without an engine."
            )
        self.task = load(task) if isinstance(task, str) else task
        lanes = positive("num_envs", num_envs)
        self._env = env = FunctionalEnv(
            self.task, lanes, on=on, impl=impl or "warp", actions=actions, normalised=normalised, starts=1
        )
        read = env.actions
        super().__init__(
            lanes,
            env.single_action_space,
            env.single_observation_space,
            autoreset_mode,
            fps=self.task.rate / read.periods,
        )
        self._limit = read.steps if max_episode_steps is None else positive("max_episode_steps", max_episode_steps)
        self._view = View(self.task, render_mode, width, height, camera)
        self.render_mode = render_mode
        self._step, self._reset = (jax.jit(f, donate_argnums=0) for f in (self._stepped, self._begun_at))
        self._decided = jax.jit(env.decided)
        self._state: EnvState = env.empty()
        self._seen = np.zeros(self.observation_space.shape or (), np.float32)
        self._start = np.zeros((lanes, self.task.scene.nstate))
        self._seed = [0] * lanes
        self._rows = np.zeros((lanes, read.steps, read.width))  # in the units of the format
        self._acted = np.zeros(lanes, dtype=np.int64)  # actions in each episode

    def plan(self, lane: int) -> Plan:
        """The actions of an episode so far as a plan, to be judged, stored or replayed."""
        return self._env.actions.plan(self._rows[self._lane(lane), : self._acted[lane]].copy())

    def start_seed(self, lane: int) -> int:
        """The seed of the start of a lane's episode, as `seed` of worldverify.verify."""
        return self._seed[self._lane(lane)]

    def state(self, lane: int) -> Floats:
        """(nstate,) the MuJoCo integration state of a lane now, as `worldverify.verify` takes it."""
        state: Floats = self._states(np.array([self._lane(lane)]))[0]
        return state

    @property
    def layout(self) -> Mapping[str, slice]:
        """What lies where in an observation."""
        return self._env.layout

    def render(self, lanes: Sequence[int] | None = None) -> tuple[Image, ...] | None:
        """(height, width, 3) uint8 of each of some lanes (None: all), or None without a render_mode."""
        if self.render_mode is None:
            return None
        wanted = self._lanes if lanes is None else np.array([self._lane(lane) for lane in lanes], dtype=np.int64)
        images = (self._view.image(state) for state in self._states(wanted))
        return tuple(image for image in images if image is not None)

    @property
    def _nstate(self) -> int:
        return self.task.scene.nstate

    def _begin(self, lanes: Ints, seeds: Sequence[int], given: Floats | None) -> Infos:
        states = np.stack([self.task.start(seed) for seed in seeds]) if given is None else given
        self.task.check_starts(states)
        mask = np.zeros(self.num_envs, dtype=bool)
        mask[lanes], self._start[lanes], self._acted[lanes] = True, states, 0
        for lane, seed in zip(lanes.tolist(), seeds, strict=True):
            self._seed[lane] = seed
        self._state, seen = self._reset(self._state, mask, self._start.astype(np.float32))
        self._seen = np.array(seen)
        return lane_infos(self.task, self._standing(lanes), {})

    def _act(self, lanes: Ints, actions: Any) -> Turn:
        read = self._env.actions
        rows = read.read(actions, self.num_envs)
        acting = np.zeros(self.num_envs, dtype=bool)
        acting[lanes] = True
        units = read.tolerated(read.to_units(rows) if self._env.normalised else rows)
        self._rows[lanes, self._acted[lanes]] = units[lanes]
        self._acted[lanes] += 1
        self._state, *told = self._step(self._state, rows.astype(np.float32), acting)
        seen, reward, terminated, truncated = (np.array(x) for x in told)
        self._seen = seen
        ended = lanes[(terminated | truncated)[lanes]]
        places = np.searchsorted(lanes, ended)
        answers = dict(zip(places.tolist(), self._answers(ended), strict=True))
        late = self._acted[lanes] >= self._limit
        return Turn(
            reward[lanes].astype(np.float64),
            terminated[lanes],
            truncated[lanes] | late & ~terminated[lanes],
            lane_infos(self.task, self._standing(lanes), answers),
        )

    def _look(self, lanes: Ints) -> Any:
        return self._seen[lanes]

    def _stepped(self, state: EnvState, actions: Any, acting: Any) -> Any:
        return self._env.step(state, actions, acting)[:5]

    def _begun_at(self, state: EnvState, mask: Any, states: Any) -> Any:
        state = self._env.reset(state, mask, states)
        return state, self._env.observe(state)

    def _standing(self, lanes: Ints) -> Floats:
        return np.array(self._state.standing, dtype=np.float64)[lanes]

    def _states(self, lanes: Ints) -> Floats:
        return np.array(self._state.rows, dtype=np.float64)[lanes]

    def _answers(self, ended: Ints) -> list[Answer]:
        """What the episodes of lanes that have ended came to."""
        if not len(ended):
            return []
        task = self.task
        bound, some = task.scene.bound, Decided(*(np.asarray(x)[ended] for x in self._decided(self._state)))
        atom = some.source[..., 0]
        relative, scales = np.stack([some.low, some.high], axis=-1), np.array([a.scale for a in bound.atoms])
        si = np.where(atom >= 0, relative * scales[atom], np.nan)
        findings = findings_of(bound, self._env.question, some, si, task.samples)
        status, steps = np.asarray(self._state.status)[ended], np.asarray(self._state.steps)[ended]
        return [
            self._answer(lane, STATUSES[code], finding, known)
            for lane, code, finding, known in zip(ended.tolist(), status, findings, steps.tolist(), strict=True)
        ]

    def _answer(self, lane: int, status: str, finding: Finding, known: int) -> Answer:
        if status != "INVALID":
            return answer_from(self.task, finding)
        if finding.untrusted == known:  # all that is there can be believed, so it was the action
            return self._refused(lane)
        h, name = self.task.timestep, self._env.name
        when = f"at {(finding.untrusted or 0) * h:.3f} s"
        if not finding.fault:
            code, reason = fault_reason(finding, h, "spec")
            return Answer("INVALID", "spec", code, reason, np.nan, finding.margins, valid=False)
        if finding.fault & Fault.OVERFLOW:
            reason = f"Not judged: {when} the memory of a lane of {name} was full; worldverify.verify takes more."
            return Answer("INVALID", "infra", "overflow", reason, np.nan, finding.margins, valid=False)
        if finding.fault & NOT_BLAMED:
            reason = f"Not judged: {when} {name} cannot tell whether its physics holds; worldverify.verify can."
            return Answer("INVALID", "infra", "engine_failed", reason, np.nan, finding.margins, valid=False)
        code, _ = fault_reason(finding, h, "plan")
        reason = f"Not judged: {when} {name} distrusts its physics ({code}); worldverify.verify says whose fault it is."
        return Answer("INVALID", "plan", code, reason, self.task.reward_min, finding.margins)

    def _refused(self, lane: int) -> Answer:
        """Why the last action cannot be followed."""
        task, start = self.task, self._start[lane]
        try:
            plan = admit(self.plan(lane), contracts=task.contracts, default_rate=task.rate, task=task.name)
            (made,) = compile_for(task, start[None], [plan])
        except Refusal as refusal:
            made = refusal
        if isinstance(made, Refusal):
            return Answer("INVALID", "plan", made.code, made.reason, task.reward_min, {})
        reason = "The last action is out of range once it is rounded to float32."
        return Answer("INVALID", "plan", "out_of_range", reason, task.reward_min, {})
