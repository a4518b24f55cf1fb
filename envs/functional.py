"""An environment on MJX as pure functions, so that a whole training loop can be one jitted program."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from worldverify.compile import compile_for
from worldverify.engines.backend import backend_of
from worldverify.engines.caches import use_kernel_caches
from worldverify.envs.actions import Actions
from worldverify.envs.lane_vector import mode_of, positive
from worldverify.envs.observations import FARTHEST, Observations
from worldverify.kernels.deciding import Decided, Question
from worldverify.kernels.mjx_engine import FAR, RESIDUAL
from worldverify.kernels.mjx_env import PASS, Episodes, Reading, Rules, Turn
from worldverify.kernels.mjx_env import STATUSES as STATUSES
from worldverify.kernels.mjx_env import EnvState as EnvState
from worldverify.kernels.mjx_model import prepared, put
from worldverify.kernels.mjx_program import StepLoop
from worldverify.kernels.mjx_room import Room, room_for, usual_room
from worldverify.kernels.mjx_settings import settings
from worldverify.kernels.trust import Limits
from worldverify.planfields import GRIPPER_SLACK
from worldverify.refusal import Refusal
from worldverify.registry import load
from worldverify.scoring import PASS_REWARD
from worldverify.task import Task

Array = Any
Floats = NDArray[np.float64]
Infos = dict[str, Array]
Stepped = tuple[EnvState, Array, Array, Array, Array, Infos]

STARTS = 64  # seeds that starts are drawn from, if nobody says otherwise


class FunctionalEnv:
    """B episodes of a task on MJX as pure functions: nothing is kept here, all that changes is in the `EnvState`.

    `init`, `begin`, `reset`, `step`, `observe` and `decided` may be jitted, scanned and, with impl="jax", vmapped. The
    evidence of an episode, the margins at every physics substep to the horizon, is part of its state, and is folded by
    the kernels that judge plans. Where JAX has another device than the one chosen here, jit under
    `jax.default_device(env.device)`.

    Actions, rewards and ends are those of `TaskEnv`, observations those of its obs="state". But all of it is float32,
    and what float32 cannot settle is not asked of MuJoCo C: a status here is the engine's own, without a guard band,
    good enough to learn from. What has been learnt is judged by `worldverify.verify`.

    What the actions are to blame for, such as a simulation that diverges, is INVALID with the least reward. Where the
    memory of a lane (`room`) is full, or its physics is for MuJoCo C to decide, nobody knows: the episode is truncated
    with a reward of NaN and `valid` False. Leave it out.
    """

    def __init__(
        self,
        task: Task | str,
        lanes: int,
        *,
        on: str = "cpu",
        impl: str = "warp",
        actions: str | None = None,
        normalised: bool = True,
        autoreset_mode: str | AutoresetMode = AutoresetMode.DISABLED,
        starts: int | Floats = STARTS,
        room: Room | None = None,
    ) -> None:
        """`actions`: of joint targets or controls, as of `worldverify.envs.actions.Actions`.

        `starts`: states (P, nstate) that `init` and autoreset draw from, or how many seeds of the task, from 0 on.
        `room`: Warp's memory of a lane; None for what the task's own plans take, with head-room. Raises ValueError
        where the device or the implementation cannot run the task; no self-test is made.
        """
        backend = backend_of(on, "mjx", impl)
        assert backend is not None
        use_kernel_caches()
        self.task = task = load(task) if isinstance(task, str) else task
        self.lanes, self.mode = positive("lanes", lanes), mode_of(autoreset_mode)
        self.actions = Actions(task, actions)
        self.normalised = normalised
        reading = _reading(task, self.actions, normalised=normalised)
        self._observations = Observations(task)
        self.single_action_space = self.actions.box(normalised=normalised)
        self.single_observation_space = self._observations.space()
        self.layout = self._observations.layout
        self.device = jax.devices(backend.device)[0]
        self.name, self._impl = backend.name, backend.impl

        ready, model = prepared(task.scene.model, backend.impl), task.scene.model
        if backend.impl == "warp":
            room = room or _room(task)
        else:
            room = None
        limits = Limits()
        limits = limits._replace(residual=RESIDUAL, position=min(limits.position, FAR))
        with self._settings():
            loop = StepLoop(model, ready, put(ready, self.device), room, lanes, limits)
        self._episodes = Episodes(loop, _rules(task), reading)
        # Where the numbers of an observation lie in a state: those of a state that counts its own numbers.
        count, none = np.arange(task.scene.nstate, dtype=np.float64), np.zeros((1, len(task.scene.bound.names)))
        self._places = self._observations.batch(count[None], np.zeros(1, dtype=np.int64), none)[0].astype(int)
        self._places = np.delete(self._places, self.layout["time"])
        pool = self.start_states(range(starts)) if isinstance(starts, int) else np.asarray(starts, dtype=np.float64)
        self._pool = np.asarray(pool, dtype=np.float32)
        self._pool_standing = None if self.mode == AutoresetMode.DISABLED else self._still_of(self._pool)

    def start_states(self, seeds: Iterable[int]) -> Floats:
        """(n, nstate) the starts of seeds. Not traced: they are made on the host. Raises Refusal."""
        states = np.stack([self.task.start(int(seed)) for seed in seeds])
        self.task.check_starts(states)
        return states

    def init(self, key: Array) -> EnvState:
        """B new episodes, their starts drawn with a key of jax.random; it also draws those of autoreset."""
        with self._settings():
            key, now = jax.random.split(key)
            return self.begin(jnp.asarray(self._pool)[self._drawn(now)], key)

    def begin(self, states: Array, key: Array | None = None) -> EnvState:
        """New episodes at MuJoCo integration states (B, nstate); `key` draws the starts of autoreset."""
        return self.reset(self.empty(key), np.ones(self.lanes, dtype=bool), states)

    def empty(self, key: Array | None = None) -> EnvState:
        """No episodes yet: every lane waits for `reset`."""
        with self._settings():
            # Jitted, so that no two fields share a buffer: they could not be donated.
            made = jax.jit(self._episodes.empty, static_argnums=0)
            state: EnvState = made(self.lanes, jax.random.key(0) if key is None else key)
            on_device: EnvState = jax.device_put(state, self.device)
            return on_device

    def reset(self, state: EnvState, mask: Array, states: Array) -> EnvState:
        """New episodes at states (B, nstate) in the lanes of mask (B,); the others go on."""
        with self._settings():
            rows = jnp.asarray(states, jnp.float32)
            return self._episodes.again(state, jnp.asarray(mask), rows, self._episodes.still(rows))

    def observe(self, state: EnvState) -> Array:
        """(B, size) float32 what is seen of the states; `layout` says what lies where."""
        with self._settings():
            seen = jnp.clip(jnp.nan_to_num(state.rows[:, self._places]), -FARTHEST, FARTHEST)
            share = state.steps.astype(jnp.float32) / self.task.samples
            time = self.layout["time"].start
            return jnp.concatenate([seen[:, :time], share[:, None], seen[:, time:]], axis=1)

    def step(self, state: EnvState, actions: Array, acting: Array | None = None) -> Stepped:
        """One action (B, W) in every lane, or in those of acting (B,): the others stay as they are, with reward 0.

        (state, observation (B, size), reward, terminated, truncated, info). With autoreset disabled an episode that has
        ended stays as it is; "next_step" begins it anew instead of acting; "same_step" at once, and `info["final_obs"]`
        is what was seen last.

        `info`: "status", places in `STATUSES`, "is_success", "success", "valid", (B,) each; and margins (B, C) in their
        scales, in the order of the spec: "margins" at the deciding sample where "margins_mask" is True, and "standing",
        if the world stood still from now on.
        """
        if np.shape(actions)[-1] != self.actions.width or np.ndim(actions) != 2:
            raise ValueError(
                f"The actions of {self.lanes} lanes of {self.task.name} have shape ({self.lanes}, "
                f"{self.actions.width}); got {np.shape(actions)}."
            )
        with self._settings():
            able = jnp.ones(state.steps.shape, bool) if acting is None else jnp.asarray(acting)
            if self.mode == AutoresetMode.NEXT_STEP:
                over = able & (state.terminated | state.truncated)
                state, able = self._begun_anew(state, over), able & ~over
            state, turn = self._episodes.act(state, jnp.asarray(actions), able)
            info, seen = _info(state, turn), self.observe(state)
            terminated, truncated = state.terminated, state.truncated
            if self.mode == AutoresetMode.SAME_STEP:
                info["final_obs"] = seen
                state = self._begun_anew(state, able & (terminated | truncated))
                seen = self.observe(state)
            return state, seen, turn.reward, terminated, truncated, info

    def decided(self, state: EnvState) -> Decided:
        """All that the evidence so far says of each episode, as `worldverify.judge.findings_of` reads it."""
        with self._settings():
            return self._episodes.decided(state)

    @property
    def question(self) -> Question:
        """What `decided` answers."""
        return self._episodes.question

    def _begun_anew(self, state: EnvState, over: Array) -> EnvState:
        key, now = jax.random.split(state.key)
        drawn = self._drawn(now)
        rows, standing = (jnp.asarray(x)[drawn] for x in (self._pool, self._pool_standing))
        return self._episodes.again(state._replace(key=key), over, rows, standing)

    def _drawn(self, key: Array) -> Array:
        return jax.random.randint(key, (self.lanes,), 0, len(self._pool))

    def _still_of(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(P, C) margins in scales of states (P, nstate) if the world stood still, B of them at a time."""
        with self._settings():
            still = jax.jit(self._episodes.still)
            places = np.arange(-(-len(rows) // self.lanes) * self.lanes) % len(rows)
            found = [np.asarray(still(rows[some])) for some in places.reshape(-1, self.lanes)]
        return np.concatenate(found)[: len(rows)]

    def _settings(self) -> Any:
        return settings(self._impl, self.device)


def _info(state: EnvState, turn: Turn) -> Infos:
    over = (state.terminated | state.truncated)[:, None]
    held, broken = turn.low > 0, turn.high < 0
    success = state.status == PASS
    return {
        "status": state.status,
        "is_success": success,
        "success": success,
        "valid": turn.valid,
        "margins": jnp.where(over & held, turn.low, jnp.where(over & broken, turn.high, 0.0)),
        "margins_mask": over & (held | broken),
        "standing": state.standing,
    }


def _rules(task: Task) -> Rules:
    bound = task.scene.bound
    return Rules(
        expressions=bound.expressions,
        scales=tuple(atom.scale for atom in bound.atoms),
        formulas=bound.formulas,
        samples=task.samples,
        substeps=task.substeps,
        reward_min=task.reward_min,
        reward_max=PASS_REWARD,
    )


def _reading(task: Task, actions: Actions, *, normalised: bool) -> Reading:
    """How rows become controls. Raises ValueError if that takes more than a map of each number by itself."""
    spec = actions.contract
    if task.contracts.get(spec.name) != spec or spec.name not in ("ctrl", "joint_position"):
        fit = [name for name in ("joint_position", "ctrl") if name in task.contracts]
        raise ValueError(
            f"Actions of {spec.name} are followed step by step on the host, and a device reads joint targets and "
            f"controls only. Of {task.name} it reads {', '.join(fit) or 'none'}; on='cpu' without an engine reads all."
        )
    width, nu = actions.width, task.scene.model.nu
    if spec.name == "ctrl":
        columns, offset, scale = np.arange(nu), np.zeros(width), np.ones(width)
    else:
        arms = task.every_arm.values()
        columns = np.concatenate([np.array(arm.controls) for arm in arms])
        closed, opened = (
            np.concatenate([arm.commands(np.full((1, len(arm.controls)), value))[0] for arm in arms])
            for value in (0.0, 1.0)
        )
        offset, scale = closed, opened - closed
    beyond = GRIPPER_SLACK * (actions.high - actions.low)
    read = actions.tolerated((actions.high + beyond)[None])[0]
    low, high, slack, factor, shift = (
        x.astype(np.float32)
        for x in (actions.low, actions.high, np.where(read == actions.high, beyond, 0.0), scale, offset)
    )
    return Reading(low, high, slack, normalised, columns, factor, shift)


def _room(task: Task) -> Room:
    """Memory of a lane for plans like the task's own."""
    plans = [plan for plan in (task.good, *task.bad.values()) if plan is not None]
    starts = np.repeat(task.start()[None], len(plans), axis=0)
    made = [plan.controls for plan in compile_for(task, starts, plans) if not isinstance(plan, Refusal)]
    if not made:
        return usual_room(task.scene.model)
    periods = np.arange(task.samples) // task.substeps
    held = np.stack([controls[np.minimum(periods, len(controls) - 1)] for controls in made])
    return room_for(task.scene.model, starts[: len(made)], held)
