"""What vector environments share: seeds of lanes, masks, autoreset, and infos with masks."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Space
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from worldverify.envs.face import METADATA

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Infos = dict[str, Any]  # key -> (n,) array or, of margins and the like, name -> (n,) array


class Turn(NamedTuple):
    """What an action has brought in n lanes."""

    reward: Floats  # (n,)
    terminated: Bools  # (n,)
    truncated: Bools  # (n,)
    infos: Infos


class LaneVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """`num_envs` lanes, each an episode of its own, as a row of single environments would be.

    A subclass says how lanes begin, act and look; this class when they do: on reset(), for the lanes that
    options={"reset_mask": (num_envs,) bool} names, or by themselves, as in Gymnasium's own vector environments.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        num_envs: int,
        action_space: Space[Any],
        observation_space: Space[Any],
        mode: str | AutoresetMode,
        fps: float,
    ) -> None:
        self.num_envs = positive("num_envs", num_envs)
        self.single_action_space, self.single_observation_space = action_space, observation_space
        self.action_space = batch_space(action_space, self.num_envs)
        self.observation_space = batch_space(observation_space, self.num_envs)
        self._mode = mode_of(mode)
        self.metadata = {**METADATA, "render_fps": fps, "autoreset_mode": self._mode}
        self._generators = [seeding.np_random(None) for _ in range(self.num_envs)]
        self._lanes = np.arange(self.num_envs)
        self._begun = np.zeros(self.num_envs, dtype=bool)
        self._over = np.zeros(self.num_envs, dtype=bool)  # lanes that begin anew before they act again

    @abstractmethod
    def _begin(self, lanes: Ints, seeds: Sequence[int], given: Floats | None) -> Infos:
        """New episodes in lanes (n,), at the starts of n seeds or at states given (n, nstate); their infos."""

    @abstractmethod
    def _act(self, lanes: Ints, actions: Any) -> Turn:
        """One action in each of lanes (n,); `actions` are those of all lanes."""

    @abstractmethod
    def _look(self, lanes: Ints) -> Any:
        """The observations of lanes (n,), in arrays of their own."""

    @property
    @abstractmethod
    def _nstate(self) -> int:
        """Numbers in a state that may be given."""

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Infos]:
        """Begin all episodes, or those that options={"reset_mask": (num_envs,) bool} names.

        `seed`: of lane i it is seed + i; or one for each lane, where None draws from the lane's own generator. A
        "state" in the options, (nstate,) or (num_envs, nstate), is where to begin instead.
        """
        seeds = lane_seeds(seed, self.num_envs)
        mask, given = reset_options(options, self.num_envs, self._nstate)
        infos = self._begin_anew(self._lanes[mask], seeds, given)
        return self._look(self._lanes), spread(infos, self._lanes[mask], self.num_envs)

    def step(self, actions: Any) -> tuple[Any, Floats, Bools, Bools, Infos]:
        """One action in every lane. Raises ResetNeeded where an episode has ended or not begun."""
        again = self._over if self._mode == AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, dtype=bool)
        waiting = self._lanes[~self._begun | self._over & ~again]
        if len(waiting):
            raise ResetNeeded(
                f"{len(waiting)} of {self.num_envs} lanes have no episode, the first is lane {waiting[0]}: call "
                'reset(), with options={"reset_mask": terminated | truncated} to begin only those that have ended.'
            )
        reward = np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, dtype=bool), np.zeros(self.num_envs, dtype=bool)
        infos: Infos = {}
        acting, begin = self._lanes[~again], self._lanes[again]
        if len(begin):
            spread(self._begin_anew(begin), begin, self.num_envs, infos)
        if len(acting):
            turn = self._act(acting, actions)
            reward[acting], terminated[acting], truncated[acting] = turn.reward, turn.terminated, turn.truncated
            spread(turn.infos, acting, self.num_envs, infos)
        self._over = terminated | truncated
        if self._mode == AutoresetMode.SAME_STEP and self._over.any():
            infos = self._after_the_last(self._lanes[self._over], infos)
        return self._look(self._lanes), reward, terminated, truncated, infos

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of the generator of each lane."""
        return tuple(seed for _, seed in self._generators)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of each lane, from which starts are drawn that nobody seeds."""
        return tuple(generator for generator, _ in self._generators)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """What an attribute, or a method with these arguments, gives; the same for every lane."""
        found = getattr(self, name)
        return (found(*args, **kwargs) if callable(found) else found,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute, once for every lane."""
        return (getattr(self, name),) * self.num_envs

    def _lane(self, lane: int) -> int:
        if not 0 <= lane < self.num_envs:
            raise IndexError(f"There are lanes 0 to {self.num_envs - 1}; got {lane}.")
        return int(lane)

    def _begin_anew(self, lanes: Ints, seeds: Sequence[int | None] | None = None, given: Floats | None = None) -> Infos:
        """`seeds` and `given` are of all lanes."""
        drawn = []
        for lane in lanes:
            seed = None if seeds is None else seeds[lane]
            if seed is not None:
                self._generators[lane] = seeding.np_random(seed)
            drawn.append(int(self._generators[lane][0].integers(2**31)) if seed is None else seed)
        infos = self._begin(lanes, drawn, None if given is None else given[lanes])
        self._begun[lanes], self._over[lanes] = True, False
        return infos

    def _after_the_last(self, ended: Ints, infos: Infos) -> Infos:
        """SAME_STEP: lanes that have ended begin anew; their last observations and infos go into the infos."""
        last, over = self._look(ended), self._over.copy()
        final = np.full(self.num_envs, None, dtype=object)
        for row, lane in enumerate(ended):
            final[lane] = _row(last, row)
        ends = {"final_info": _only(infos, over), "_final_info": over, "final_obs": final, "_final_obs": over.copy()}
        return spread(self._begin_anew(ended), ended, self.num_envs, {**infos, **ends})


def positive(label: str, value: int) -> int:
    """A whole number from 1 on. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{label} must be a whole number from 1 on; got {value!r}.")
    return int(value)


def mode_of(mode: str | AutoresetMode) -> AutoresetMode:
    """An autoreset mode from how people write it. Raises ValueError."""
    if isinstance(mode, AutoresetMode):
        return mode
    for known in AutoresetMode:
        if str(mode).lower().replace("-", "_") == known.name.lower() or mode == known.value:
            return known
    names = ", ".join(repr(known.name.lower()) for known in AutoresetMode)
    raise ValueError(f"autoreset_mode is one of {names}; got {mode!r}.")


def lane_seeds(seed: Any, lanes: int) -> list[int | None]:
    """One seed a lane, as Gymnasium's vector environments understand `seed`. Raises ValueError."""
    if seed is None:
        return [None] * lanes
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        return [int(seed) + i for i in range(lanes)]
    seeds = list(seed)
    if len(seeds) != lanes:
        raise ValueError(f"There are {lanes} lanes, so a list of seeds has {lanes} of them; got {len(seeds)}.")
    return [None if one is None else int(one) for one in seeds]


def reset_options(options: Mapping[str, Any] | None, lanes: int, nstate: int) -> tuple[Bools, Floats | None]:
    """(lanes,) which episodes begin, and the (lanes, nstate) states to begin at, if any.

    Raises ValueError or TypeError.
    """
    unknown = [key for key in options or {} if key not in ("reset_mask", "state")]
    if unknown:
        raise ValueError(f"reset() has no option {unknown[0]!r}. Options: reset_mask, state.")
    mask, state = (options or {}).get("reset_mask"), (options or {}).get("state")
    if mask is None:
        mask = np.ones(lanes, dtype=bool)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        got = f"an array of {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"reset_mask must be a NumPy array of bool; got {got}.")
    if mask.shape != (lanes,) or not mask.any():
        raise ValueError(f"reset_mask must have shape ({lanes},) and name at least one lane; got {mask}.")
    if state is None:
        return mask, None
    states = np.array(state, dtype=np.float64)
    if states.shape not in ((nstate,), (lanes, nstate)):
        raise ValueError(f"state must have shape ({nstate},) or ({lanes}, {nstate}); got {states.shape}.")
    return mask, np.broadcast_to(states, (lanes, nstate))


def spread(infos: Infos, lanes: Ints, count: int, into: Infos | None = None) -> Infos:
    """Infos of some lanes, written into those of all, with Gymnasium's masks `_key` that say whose they are."""
    whole = {} if into is None else into
    for key, value in infos.items():
        mask = whole.setdefault(f"_{key}", np.zeros(count, dtype=bool))
        mask[lanes] = True
        if isinstance(value, dict):
            whole[key] = spread(value, lanes, count, whole.get(key))
            continue
        if key not in whole:
            nothing: Any = None if value.dtype == object else 0
            whole[key] = np.full((count, *value.shape[1:]), nothing, dtype=value.dtype)
        whole[key][lanes] = value
    return whole


def stacked(infos: Sequence[Mapping[str, Any]]) -> Infos:
    """Infos of single environments, whose keys are the same, as those of a row of them."""
    whole: Infos = {}
    for key, value in infos[0].items():
        column = [info[key] for info in infos]
        whole[key] = (
            stacked(column) if isinstance(value, dict) else np.array(column, object if type(value) is str else None)
        )
    return whole


def _only(infos: Infos, lanes: Bools) -> Infos:
    """A copy of infos in which only some lanes have any."""
    kept: Infos = {}
    for key, value in infos.items():
        if isinstance(value, dict):
            kept[key] = _only(value, lanes)
        else:
            kept[key] = value.copy()
            kept[key][~lanes] = None if value.dtype == object else 0
    return kept


def _row(batch: Any, row: int) -> Any:
    return {key: value[row] for key, value in batch.items()} if isinstance(batch, dict) else batch[row]
