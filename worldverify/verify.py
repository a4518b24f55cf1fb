"""N plans in, N physics verdicts out."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.local import LocalVerifier, Watch
from worldverify.task import Task
from worldverify.verdict import Verdicts
from worldverify.verifier import Margins, Scope

On = Literal["auto", "cpu", "gpu"]
ENGINES = ("mujoco",)


def verify(
    task: Task | str,
    plans: Any,
    *,
    on: On = "auto",
    seed: int = 0,
    state: NDArray[np.float64] | Sequence[NDArray[np.float64]] | None = None,
    scope: Scope = "plan",
    margins: Margins = "decided",
    engine: str | None = None,
    impl: str | None = None,
    threads: int | None = None,
    watch: Watch | None = None,
    format: str | ActionSpec | None = None,
) -> Verdicts:
    """Judge candidate plans by simulating them.

    task: a Task or the name of one. plans: raw model texts, dicts (plans-file lines), Plan values or arrays
    (T, width); a malformed one comes back INVALID and does not raise. seed: which start of the task. state: instead of
    the task's start, a MuJoCo integration state (nstate,), or one for each plan (B, nstate). scope: "plan" judges the
    whole spec over the horizon; "chunk" judges the guards (requirements that begin with `always`) over each plan's own
    length and reports the other requirements as progress. margins: "decided" gives them at the first sample that
    decides, "full" at the horizon. threads: None for every CPU this process may use. watch(done, total) is told of the
    physics steps done. format: what the candidates mean that do not say it themselves: the name of a preset
    (`worldverify.presets`) or an ActionSpec.

    Raises ValueError for an unknown task, option or format, for a format that needs statistics, for a state of the
    wrong shape, and for on="gpu", which this version cannot do.
    """
    check_engine_choice(on, engine, impl)
    verifier = LocalVerifier(threads=threads)
    try:
        return verifier.verify(
            task, plans, seed=seed, state=state, scope=scope, margins=margins, watch=watch, format=format
        )
    finally:
        verifier.close()


def check_engine_choice(on: str, engine: str | None, impl: str | None) -> None:
    """Refuse what this version cannot run, rather than run something else."""
    if on not in ("auto", "cpu", "gpu"):
        raise ValueError(f"on must be 'auto', 'cpu' or 'gpu'; got {on!r}.")
    if on == "gpu":
        raise ValueError("This version has no GPU engine: use on='cpu' or on='auto'.")
    if engine not in (None, *ENGINES):
        raise ValueError(f"No engine {engine!r} in this version. Engines: {', '.join(ENGINES)}.")
    if impl not in (None, "c"):
        raise ValueError(f"The engine 'mujoco' has the implementation 'c' only; got {impl!r}.")
