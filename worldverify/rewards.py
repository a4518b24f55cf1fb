"""Reward functions for RL trainers, over `verify`: batched for TRL, one answer a call for veRL.

What could not be verified is never a number: TRL is told None, which it leaves out, and veRL an error.
"""

import contextlib
import json
import operator
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from worldverify.action import ActionSpec
from worldverify.engines.backend import On
from worldverify.microbatch import MicroBatcher
from worldverify.registry import load
from worldverify.scoring import Kind, kind_of, score_of
from worldverify.task import Task
from worldverify.verdict import Verdict, with_cost
from worldverify.verifier import Randomised
from worldverify.verify import verify

PREFIX = "worldverify/"  # that a task's name may have in a data set, as a Gymnasium id has
KEYS = ("task", "seed", "state", "kind", "format")  # that a row of a veRL data set may hold


class Unverified(RuntimeError):
    """An answer could not be judged, through no fault of its own: ask again, or leave it out."""


class Options(NamedTuple):
    """How to judge."""

    on: On
    format: str | ActionSpec | None
    randomise: Randomised
    threads: int | None


class Asked(NamedTuple):
    """One text to be judged."""

    task: Task | str
    text: str
    seed: int
    state: tuple[float, ...] | None  # (nstate,) to judge from, instead of the seed's start
    options: Options


def trl_reward(
    task: Task | str | None = None,
    *,
    kind: Kind = "shaped",
    seed: int = 0,
    on: On = "cpu",
    format: str | ActionSpec | None = None,
    randomise: Randomised = "start",
    threads: int | None = None,
) -> "TrlReward":
    """One of TRL's `reward_funcs`.

    A row of the data set may name another `task`, `seed` or `state` in columns of these names; a row without a task, if
    none is given here, is none of ours and gets None, as does an answer that could not be judged. `kind`: "binary",
    "shaped" or "staged", see `worldverify.scoring.score_of`. The other options are those of `worldverify.verify`.

    Raises ValueError for an unknown task, kind or option, and for a seed or state that does not fit the task.
    """
    return TrlReward(task, kind_of(kind), _seed(seed), Options(on, format, randomise, threads))


@dataclass(frozen=True)
class TrlReward:
    """Called by TRL with the answers of a batch; all of them are judged in one call for each task."""

    task: Task | str | None
    kind: Kind
    seed: int
    options: Options

    @property
    def __name__(self) -> str:
        """What TRL logs it as."""
        return f"worldverify_{self.kind}"

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Any = None,
        *,
        task: Sequence[str | None] | None = None,
        seed: Sequence[int | None] | None = None,
        state: Sequence[Any] | None = None,
        log_extra: Any = None,
        log_metric: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """(B,) rewards of B completions, each a text or a list of chat messages. `columns`: what else TRL tells."""
        none = [None] * len(completions)
        rows = zip(completions, task or none, seed or none, state or none, strict=True)
        asked = [self._asked(*row) for row in rows]
        found = iter(_all_judged([one for one in asked if one is not None]))
        verdicts = [None if one is None else next(found) for one in asked]
        if log_extra is not None:
            log_extra("verdict", ["" if v is None else f"{v.status}: {v.reason}" for v in verdicts])
        if log_metric is not None and (valid := [v for v in verdicts if v is not None and v.valid]):
            log_metric(f"{self.__name__}/simulated", float(np.mean([v.status != "INVALID" for v in valid])))
            log_metric(f"{self.__name__}/passed", float(np.mean([v.status == "PASS" for v in valid])))
        return [None if v is None else score_of(v, self.kind) for v in verdicts]

    def _asked(self, completion: Any, task: str | None, seed: int | None, state: Any) -> Asked | None:
        named = self.task if task is None else _named(task)
        if named is None:
            return None
        return Asked(named, _said(completion), self.seed if seed is None else _seed(seed), _state(state), self.options)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Mapping[str, Any] | str | None = None,
    extra_info: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, float | str]:
    """veRL's `custom_reward_function`: the score of one answer, and why.

    `data_source` names the task, unless `ground_truth` (an object, or its JSON) or `extra_info` does: they may hold
    "task", "seed", "state", "kind" and "format" for this row. `options`, the `reward_kwargs` of veRL's configuration,
    hold for rows that do not say: kind, seed, on, format, randomise and threads, as for `trl_reward`. Calls of many
    threads are judged together. It blocks its thread: in an event loop await `acompute_score`.

    Returns "score", "acc" (1 for a PASS, else 0), "status", "code" and "reason". Raises Unverified for what could not
    be judged, ValueError for an unknown task, kind or key, TypeError for an unknown option.
    """
    asked, kind = _row(data_source, solution_str, ground_truth, extra_info, **options)
    return _told(_BATCHER(asked), kind)


async def acompute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Mapping[str, Any] | str | None = None,
    extra_info: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, float | str]:
    """`compute_score` for an event loop, which goes on meanwhile."""
    asked, kind = _row(data_source, solution_str, ground_truth, extra_info, **options)
    return _told(await _BATCHER.asubmit(asked), kind)


def _row(
    data_source: str,
    text: str,
    ground_truth: Mapping[str, Any] | str | None,
    extra_info: Mapping[str, Any] | None,
    *,
    kind: Kind = "shaped",
    seed: int = 0,
    on: On = "cpu",
    format: str | None = None,
    randomise: Randomised = "start",
    threads: int | None = None,
    reward_router_address: object = None,
    reward_model_tokenizer: object = None,
) -> tuple[Asked, Kind]:
    """What a row of veRL asks, and the kind of its score. The last two, which veRL adds, are a reward model's."""
    row = {key: extra_info[key] for key in KEYS if extra_info and extra_info.get(key) is not None}
    row |= _truth(ground_truth)
    options = Options(on, row.get("format", format), randomise, threads)
    asked = Asked(
        _named(row.get("task", data_source)), text, _seed(row.get("seed", seed)), _state(row.get("state")), options
    )
    return asked, kind_of(row.get("kind", kind))


def _told(verdict: Verdict, kind: Kind) -> dict[str, float | str]:
    score = score_of(verdict, kind)
    if score is None:
        raise Unverified(f"Not judged ({verdict.cause}): {verdict.reason}")
    passed = float(verdict.status == "PASS")
    # The same keys and types in every row, as veRL joins them into columns.
    said = {"status": str(verdict.status), "code": verdict.code or "", "reason": verdict.reason}
    spent = {"cpu_s": verdict.cost.cpu_s, "queue_s": verdict.cost.queue_s}
    return {"score": score, "acc": passed, **said, **spent}


def _truth(ground_truth: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """What a row's ground truth says."""
    said: Any = ground_truth or {}
    if isinstance(said, str):
        with contextlib.suppress(ValueError):
            said = json.loads(said)
    if not isinstance(said, Mapping) or not set(said) <= set(KEYS):
        raise ValueError(
            f'A ground_truth is an object with any of {", ".join(KEYS)}, such as {{"seed": 3}}; got {ground_truth!r}.'
        )
    return {key: value for key, value in said.items() if value is not None}


def _named(task: str) -> str:
    return task.removeprefix(PREFIX)


def _seed(seed: Any) -> int:
    try:
        whole = operator.index(seed)
    except TypeError:
        raise ValueError(f"A seed is a whole number from 0 on; got {seed!r}.") from None
    if whole < 0 or isinstance(seed, bool):
        raise ValueError(f"A seed is a whole number from 0 on; got {seed!r}.")
    return whole


def _state(state: Any) -> tuple[float, ...] | None:
    return None if state is None else tuple(np.asarray(state, dtype=np.float64).tolist())


def _said(completion: Any) -> str:
    """The text of a completion: its own, or that of the last message of the assistant."""
    if isinstance(completion, str):
        return completion
    said = [message["content"] for message in completion if message["role"] == "assistant"]
    content = said[-1] if said else ""
    if isinstance(content, list):  # parts, of which pictures are none of ours
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _together(asked: Asked) -> Hashable:
    """Equal for what one call of `verify` can judge: a seed tells only where to start, unless it draws all else too."""
    return asked.task, asked.options, asked.seed if asked.options.randomise == "all" else None


def _all_judged(asked: Sequence[Asked]) -> list[Verdict]:
    """(B,) verdicts, in as few calls as can be."""
    groups: dict[Hashable, list[int]] = {}
    for i, one in enumerate(asked):
        groups.setdefault(_together(one), []).append(i)
    found: dict[int, Verdict] = {}
    for rows in groups.values():
        found.update(zip(rows, _judged([asked[i] for i in rows]), strict=True))
    return [found[i] for i in range(len(asked))]


def _judged(asked: Sequence[Asked]) -> list[Verdict]:
    """(B,) verdicts of what can be judged together; equal questions are asked once, what the machine lost, again."""
    found = _verified(list(dict.fromkeys(asked)))
    if lost := [one for one, verdict in found.items() if verdict.cause == "infra"]:
        found |= _verified(lost)
    return [found[one] for one in asked]


def _verified(asked: list[Asked]) -> dict[Asked, Verdict]:
    task, _, seed, _, options = asked[0]
    task = load(task) if isinstance(task, str) else task
    states = [task.start(one.seed) if one.state is None else np.array(one.state) for one in asked]
    if wrong := [state.shape for state in states if state.shape != (task.scene.nstate,)]:
        raise ValueError(f"A state of {task.name} has the shape ({task.scene.nstate},); got {wrong[0]}.")
    verdicts = verify(task, [one.text for one in asked], state=states, seed=seed, **options._asdict())
    return dict(zip(asked, verdicts, strict=True))


def _queued(verdict: Verdict, seconds: float) -> Verdict:
    """The verdict with the time that its question waited on its bill."""
    return with_cost(verdict, replace(verdict.cost, queue_s=seconds))


_BATCHER: MicroBatcher[Asked, Verdict] = MicroBatcher(
    _judged, key=_together, max_batch=256, max_queue=65_536, waited=_queued
)
