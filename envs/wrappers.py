"""What people put round an environment: state vectors, action chunks, other rewards, and costs of what is unsafe.

Those called Vector... go round a vector of environments, the others round a single one; rewards and costs round the
single ones of a `SyncVectorEnv` or `AsyncVectorEnv` say the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from worldverify.task import Task

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Info = dict[str, Any]
Step = tuple[Any, Any, Any, Any, Info]

DIGITS = 12  # of a sum of rewards: what lies beyond is rounding


class StateVector(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """The numbers of a dict of observations as one vector, in the order of its keys; pictures are left out.

    `parts` says what lies where.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.ObservationWrapper.__init__(self, env)
        spaces = dict(env.observation_space.items()) if isinstance(env.observation_space, Dict) else {}
        boxes = {key: box for key, box in spaces.items() if isinstance(box, Box) and len(box.shape) == 1}
        if not boxes:
            raise ValueError(
                f"StateVector takes a dict of observations with vectors in it, such as that of obs='goal'; got "
                f"{env.observation_space}."
            )
        self.parts: dict[str, slice] = {}
        for key, box in boxes.items():
            begin = sum(box.shape[0] for name, box in boxes.items() if name in self.parts)
            self.parts[key] = slice(begin, begin + box.shape[0])
        low, high = (np.concatenate([getattr(box, side) for box in boxes.values()]) for side in ("low", "high"))
        self.observation_space = Box(low, high, dtype=low.dtype.type)

    def observation(self, observation: Mapping[str, Any]) -> NDArray[Any]:
        """(size,) the parts one after the other."""
        return np.concatenate([observation[key] for key in self.parts])


class ActionChunks(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """A chunk of actions (chunk, width) each step: the sum of their rewards, and what is seen after the last of them.

    An episode that ends within a chunk leaves the rest of it out; info["actions"] says how many were executed.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], chunk: int) -> None:
        RecordConstructorArgs.__init__(self, chunk=chunk)
        gymnasium.Wrapper.__init__(self, env)
        space = env.action_space
        if not isinstance(space, Box) or chunk < 1:
            raise ValueError(f"ActionChunks repeats a box of actions at least once; got {chunk} times {space}.")
        low, high = (np.broadcast_to(side, (chunk, *space.shape)) for side in (space.low, space.high))
        self.action_space = Box(low, high, dtype=space.dtype.type)

    def step(self, action: Any) -> Step:
        """Execute a chunk (chunk, width)."""
        rows, total, done = np.asarray(action), 0.0, 0
        if rows.shape != self.action_space.shape:
            raise ValueError(f"A chunk has shape {self.action_space.shape}; got {rows.shape}.")
        for row in rows:
            observation, reward, terminated, truncated, info = self.env.step(row)
            total, done = total + float(reward), done + 1
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, {**info, "actions": done}


class VectorChunkStep(VectorWrapper[Any, Any, Any, Any, Any]):
    """`chunk_step` over a vector of environments, in the form that RLinf calls.

    The vector's own autoreset must be disabled: a lane whose episode ends within a chunk keeps its last observation,
    its rewards are 0 from there on, and it begins anew when the chunk is over. Gymnasium steps all lanes or none, so
    such a lane lives through a start that nobody sees: the one after it is what the next chunk acts on.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.DISABLED:
            raise ValueError(
                f"chunk_step resets by itself: make the vector with autoreset_mode='disabled', not {mode}."
            )

    def chunk_step(self, actions: Any) -> tuple[list[Any], Floats, Bools, Bools, list[Info]]:
        """Execute actions (N, chunk, width).

        Observations and infos of each action, rewards, terminations and truncations (N, chunk). The ends of a chunk are
        told in its last column. Where there are any, the last observations are those of the new episodes, and the last
        infos hold "final_observation" and "final_info" of the old ones, with the masks "_final_observation" and
        "_final_info" of the lanes that have ended.
        """
        chunks = np.asarray(actions)
        if chunks.ndim != 3 or chunks.shape[0] != self.num_envs or not chunks.shape[1]:
            raise ValueError(f"chunk_step takes actions ({self.num_envs}, chunk, width); got shape {chunks.shape}.")
        rewards = np.zeros(chunks.shape[:2])
        terminations, truncations = np.zeros(chunks.shape[:2], dtype=bool), np.zeros(chunks.shape[:2], dtype=bool)
        ended = np.zeros(self.num_envs, dtype=bool)
        seen: list[Any] = []
        told: list[Info] = []
        for i in range(chunks.shape[1]):
            observation, reward, terminated, truncated, infos = self.env.step(chunks[:, i])
            seen.append(_rows(ended, seen[-1], observation) if ended.any() else observation)
            told.append(_rows(ended, told[-1], infos) if ended.any() else infos)
            rewards[:, i] = np.where(ended, 0.0, reward)
            terminations[:, -1] |= terminated & ~ended
            truncations[:, -1] |= truncated & ~ended
            over = np.asarray(terminated | truncated, dtype=bool)
            ended = ended | over
            if over.any() and i + 1 < chunks.shape[1]:
                self.env.reset(options={"reset_mask": over})
        if ended.any():
            last = {"final_observation": seen[-1], "final_info": told[-1]}
            observation, infos = self.env.reset(options={"reset_mask": ended.copy()})
            seen[-1], told[-1] = _rows(ended, observation, seen[-1]), _rows(ended, infos, told[-1])
            told[-1] |= last | {f"_{key}": ended.copy() for key in last}
        return seen, rewards, terminations, truncations, told


class VerdictReward(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """No reward until the episode ends, and then that of its verdict: 1 for a PASS.

    An episode that a time limit cuts off before it is decided gets what its rewards have added up to.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        _check_rewards(env.observation_space)
        self._total = 0.0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        self._total = 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._total += float(reward)
        return observation, round(self._total, DIGITS) if terminated or truncated else 0.0, terminated, truncated, info


class VectorVerdictReward(VectorWrapper[Any, Any, Any, Any, Any]):
    """`VerdictReward` in every lane."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        _check_rewards(env.single_observation_space)
        self._total = np.zeros(self.num_envs)

    def reset(self, *, seed: Any = None, options: Info | None = None) -> tuple[Any, Info]:
        self._total[_begun(options, self.num_envs)] = 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, actions: Any) -> Step:
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        self._total += rewards
        over = terminated | truncated
        paid = np.where(over, self._total.round(DIGITS), 0.0)
        self._total[over] = 0.0
        return observations, paid, terminated, truncated, infos


class MarginReward(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Each step the change of the mean margin, in scales, that the requirements would have if the world stood still.

    Margins are cut off at `low` and `high`. The environment's own rewards, which add up to that of the verdict, pull
    less the farther the goal is; these are straight lines.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], low: float = -100.0, high: float = 1.0) -> None:
        RecordConstructorArgs.__init__(self, low=low, high=high)
        gymnasium.Wrapper.__init__(self, env)
        self._worth, self._now = _worth(low, high), np.zeros(())

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._now = self._worth(info)
        return observation, info

    def step(self, action: Any) -> Step:
        observation, _, terminated, truncated, info = self.env.step(action)
        before, self._now = self._now, self._worth(info)
        return observation, float(self._now - before), terminated, truncated, info


class VectorMarginReward(VectorWrapper[Any, Any, Any, Any, Any]):
    """`MarginReward` in every lane. Where nothing can be judged the reward stays NaN."""

    def __init__(self, env: VectorEnv[Any, Any, Any], low: float = -100.0, high: float = 1.0) -> None:
        super().__init__(env)
        self._worth, self._now = _worth(low, high), np.zeros(self.num_envs)
        self._later = env.metadata.get("autoreset_mode") == AutoresetMode.NEXT_STEP
        self._over = np.zeros(self.num_envs, dtype=bool)  # lanes that the next step begins anew

    def reset(self, *, seed: Any = None, options: Info | None = None) -> tuple[Any, Info]:
        begun = _begun(options, self.num_envs)
        observations, infos = self.env.reset(seed=seed, options=options)
        self._now = np.where(begun, self._worth(infos), self._now)
        self._over &= ~begun
        return observations, infos

    def step(self, actions: Any) -> Step:
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        before, self._now = self._now, self._worth(infos)
        gained = np.where(self._over, 0.0, _of_last(infos, self._worth) - before)
        self._over = (terminated | truncated) & self._later
        return observations, np.where(np.isnan(rewards), np.nan, gained), terminated, truncated, infos


class SafetyCost(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """info["cost"]: how many guards (requirements that begin with `always`) are violated by now.

    It stands in the info, where trainers for constrained problems look for it; Safety-Gymnasium's own environments
    return it as one value more of `step`. A violated guard ends the episode, so only its last step costs anything. An
    episode that ends as INVALID costs as much as if every guard were violated.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self._cost = _cost(env.unwrapped.task)  # type: ignore[attr-defined]

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "cost": 0.0}

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "cost": float(self._cost(info))}


class VectorSafetyCost(VectorWrapper[Any, Any, Any, Any, Any]):
    """`SafetyCost` in every lane: infos["cost"] (N,) of the action of this step, whatever began anew after it.

    Where nothing can be judged the cost is NaN.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        (self._cost, *_) = map(_cost, env.unwrapped.get_attr("task"))  # type: ignore[attr-defined]

    def reset(self, *, seed: Any = None, options: Info | None = None) -> tuple[Any, Info]:
        begun = _begun(options, self.num_envs)
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, {**infos, "cost": np.zeros(self.num_envs), "_cost": begun}

    def step(self, actions: Any) -> Step:
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        costs = {"cost": _of_last(infos, self._cost), "_cost": np.ones(self.num_envs, dtype=bool)}
        return observations, rewards, terminated, truncated, {**infos, **costs}


def _rows(mask: Bools, one: Any, other: Any) -> Any:
    """Observations or infos of all lanes: those of `one` where the mask is True, elsewhere those of `other`."""
    if isinstance(other, Mapping):
        return {key: _rows(mask, one[key], value) if key in one else value for key, value in other.items()}
    return np.where(mask.reshape(-1, *[1] * (np.ndim(other) - 1)), one, other)


def _begun(options: Mapping[str, Any] | None, lanes: int) -> Bools:
    """(N,) which lanes a reset begins."""
    mask = (options or {}).get("reset_mask")
    return np.ones(lanes, dtype=bool) if mask is None else np.array(mask, dtype=bool)


def _of_last(infos: Info, of: Callable[[Info], Floats]) -> Floats:
    """(N,) what a function says of the infos of the last action, also in lanes that have begun anew since."""
    now = of(infos)
    return np.where(infos["_final_info"], of(infos["final_info"]), now) if "final_info" in infos else now


def _worth(low: float, high: float) -> Callable[[Info], Floats]:
    """infos -> () or (N,) the mean of the standing margins, in scales."""
    if not low < high:
        raise ValueError(f"Margins are cut off at low and high, low < high; got {low} and {high}.")

    def worth(infos: Info) -> Floats:
        margins = [value for name, value in infos["standing"].items() if name[1:] not in infos["standing"]]
        mean: Floats = np.mean(np.clip(margins, low, high), axis=0)
        return mean

    return worth


def _cost(task: Task) -> Callable[[Info], Floats]:
    """infos -> () or (N,) how many guards are violated."""
    bound = task.scene.bound
    guards = [name for name, guard in zip(bound.names, bound.guards, strict=True) if guard]

    def cost(infos: Info) -> Floats:
        violated = _violated(infos, guards)
        invalid = np.asarray(infos["status"]) == "INVALID"
        return np.where(invalid, np.where(infos["valid"], float(len(guards)), np.nan), violated)

    return cost


def _violated(infos: Info, guards: Sequence[str]) -> Floats:
    margins, known = infos["margins"], infos["margins_mask"]
    total = np.zeros(np.shape(infos["status"]))
    for name in guards:
        total = total + (np.asarray(known[name], dtype=bool) & (np.asarray(margins[name]) < 0))
    return total


def _check_rewards(space: Any) -> None:
    if isinstance(space, Dict) and "desired_goal" in space.spaces:
        raise ValueError(
            "The rewards of obs='goal' do not add up to that of the verdict: make the environment with another obs."
        )
