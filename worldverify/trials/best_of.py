"""The best of N plans, with a figure that choosing has not made better than it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.local import candidates as listed
from worldverify.task import Task
from worldverify.trials.rules import Fixed
from worldverify.verdict import Verdict, Verdicts
from worldverify.verify import verify

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chosen:
    """One plan of many, and what is known of it."""

    index: int  # in the order of the call
    verdict: Verdict  # of the nominal run; its trials are those of the audit
    candidates: Verdicts  # all plans with the trials that chose; the best of these flatters

    @property
    def audit(self) -> Mapping[str, Any]:
        """What the trials say that the choice has not seen: an honest rate with its interval."""
        assert self.verdict.trials is not None
        return self.verdict.trials


def best_of(
    task: Task | str,
    plans: Any,
    *,
    n_select: int = 32,
    n_audit: int = 100,
    seed: int = 0,
    state: Floats | Sequence[Floats] | None = None,
    judge: Callable[..., Verdicts] = verify,
    **options: Any,
) -> Chosen | None:
    """The plan that passes most of `n_select` randomised trials, judged anew in `n_audit` worlds kept for that.

    All plans see the same worlds; among equals the nominal run decides (`Verdicts.ranking`). Who wins has been lucky
    too, so its score in these trials is too high on average; the audit's is not. None if no plan could be tried.
    `options` are those of `worldverify.verify`; `judge` judges in its place. Raises ValueError.
    """
    select, audit = Fixed(n_select), Fixed(n_audit, audit=True)
    items = listed(plans)
    candidates = judge(task, items, seed=seed, state=state, trials=select, **options)
    scores = {i: t["successes"] for i in candidates.ranking if (t := candidates[i].trials) and t["void"] is None}
    if not scores:
        return None
    index = max(scores, key=scores.__getitem__)  # the first of equals
    own = state[index] if np.ndim(state) == 2 else state  # type: ignore[arg-type, index]
    (verdict,) = judge(task, [items[index]], seed=seed, state=own, trials=audit, **options)
    return Chosen(index, verdict, candidates)
