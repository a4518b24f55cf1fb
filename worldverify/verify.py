"""N plans in, N physics verdicts out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.budget import Budget
from worldverify.engines.backend import On, backend_of
from worldverify.local import LocalVerifier, Watch
from worldverify.schedule import ALL_RULES, Schedule
from worldverify.task import Task
from worldverify.trials.rules import Trials
from worldverify.verdict import Verdicts
from worldverify.verifier import Fidelity, Margins, Randomised, Rank, Scope


def verify(
    task: Task | str,
    plans: Any,
    *,
    on: On = "auto",
    seed: int = 0,
    state: NDArray[np.float64] | Sequence[NDArray[np.float64]] | None = None,
    scope: Scope = "plan",
    margins: Margins = "decided",
    randomise: Randomised = "start",
    engine: str | None = None,
    impl: str | None = None,
    threads: int | None = None,
    watch: Watch | None = None,
    format: str | ActionSpec | None = None,
    schedule: Schedule = ALL_RULES,
    budget: Budget | None = None,
    rank: Rank | None = None,
    trials: Trials | None = None,
    fidelity: Fidelity = "reference",
    prices: str | Path | None = None,
) -> Verdicts:
    """Judge candidate plans by simulating them.

    task: a Task or the name of one. plans: raw model texts, dicts (plans-file lines), Plan values or arrays
    (T, width); a malformed one comes back INVALID and does not raise. seed: which start of the task. state: instead of
    the task's start, a MuJoCo integration state (nstate,), or one for each plan (B, nstate). scope: "plan" judges the
    whole spec over the horizon; "chunk" judges the guards (requirements that begin with `always`) over each plan's own
    length and reports the other requirements as progress. margins: "decided" gives them at the first sample that
    decides, "full" at the horizon. randomise: what the seed draws, "start": where things are; "all": also the masses,
    friction, actuators, delay and errors of perception of the task's domain. threads: None for every CPU this process
    may use. watch(done, total) is told of the physics steps done or saved, watch.saved(steps), if there is such a
    method, of those that were saved. format: what the candidates mean that do not say it
    themselves: the name of a preset (`worldverify.presets`) or an ActionSpec. schedule: which rules save physics steps
    on MuJoCo C; none of them changes a verdict, but `rest`, off by default, moves margins; `Schedule.exhaustive()`
    follows none. budget: how much physics may be spent; what is not decided by then is INCONCLUSIVE (code "budget"),
    with its margins so far, and not valid as a reward. rank="best": only the best plan is wanted (`Verdicts.best`, the
    same as without); one that cannot become it is left INCONCLUSIVE (code "outranked"). trials: judge each plan also in
    randomised worlds, so many of them, or as many as `certify(p=...)` needs; status, margins and reward stay those of
    the call's own seed, and `Verdict.trials` says how often the plan passes. fidelity="screen": a pre-pass with longer
    physics steps rejects what clearly fails there (method "screen"), and only what is left is judged by the reference,
    so that a PASS is always its own; a random part of the rejections is audited, and `Verdicts.audit` says how often
    the reference contradicted them. prices: a price file for the bill of each verdict; None for what
    WORLDVERIFY_PRICES names, else the shipped one.

    A KeyboardInterrupt while plans are simulated is raised as `Interrupted`, whose `verdicts` keep what was decided.

    on: "cpu" is MuJoCo C; "gpu" is MJX, and refused where there is no GPU; "auto" takes what was measured to be faster
    for this task and number of plans, the CPU where there is no GPU. engine, impl: for tests and experts, "mujoco", or
    "mjx" with impl "warp" or "jax", which also run on a CPU (on="cpu"). MJX computes in float32: what its guard band
    cannot settle is judged again by MuJoCo C, and says so among its warnings.

    Raises ValueError for an unknown task, option or format, for a format that needs statistics, for trials that would
    all be the same, for a state of the wrong shape, for an engine that cannot run here or cannot simulate the scene.
    """
    verifier = LocalVerifier(threads=threads, backend=backend_of(on, engine, impl), prices=prices)
    try:
        return verifier.verify(
            task,
            plans,
            seed=seed,
            state=state,
            scope=scope,
            margins=margins,
            randomise=randomise,
            watch=watch,
            format=format,
            schedule=schedule,
            budget=budget,
            rank=rank,
            trials=trials,
            fidelity=fidelity,
        )
    finally:
        verifier.close()
