"""Trials of many plans side by side: a plan whose rule is satisfied drops out, the doubtful ones go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.cost import Cost, total
from worldverify.task import NOMINAL, Task
from worldverify.trials.rules import ACCEPT, OPEN, REJECT, Decision, Rule
from worldverify.trials.seeds import trial_seed
from worldverify.trials.words import summary, warnings_of
from worldverify.verdict import Verdict, Verdicts
from worldverify.verifier import Interrupted

Floats = NDArray[np.float64]

# Judges these plans of a call in the worlds of these trials: (rows, seeds) -> their verdicts, a row of them each seed.
Judge = Callable[[Sequence[int], Sequence[int]], Sequence[Sequence[Verdict]]]

MOST_AT_ONCE = 256  # plans times seeds that are judged before the rules are asked again
RERUNS = 3  # of a trial that the machine failed

_DECISIONS: dict[int, Decision] = {ACCEPT: "accept", REJECT: "reject"}


@dataclass(eq=False)
class _Tally:
    """What the trials of one plan came to."""

    successes: int = 0
    trials: int = 0
    inconclusive: int = 0  # of the trials: neither PASS nor FAIL, which does not count as a success
    reruns: int = 0  # trials that the machine failed, and that were run again
    void: str | None = None  # why nothing can be said
    bills: list[Cost] = field(default_factory=list)


def check_varies(task: Task, state: object) -> None:
    """Raises ValueError for a task whose trials would all be the same."""
    if task.domain != NOMINAL or (state is None and task.randomise is not None):
        return
    start = "its start is given" if state is not None else "it declares no randomise"
    raise ValueError(
        f"Trials of {task.name} would all be the same: {start} and it declares no domain. Declare a domain "
        f"(worldverify.domain.Domain), or leave trials out."
    )


def judge_of(
    verify: Callable[..., Verdicts], task: Task, plans: Sequence[object], state: Floats | None, **options: Any
) -> Judge:
    """How plans are judged in the worlds of trials. `state` (B, nstate): where they start from, if it is given."""
    alike = task.domain == NOMINAL  # the worlds differ in their starts only, so that one engine runs them all

    def judge(rows: Sequence[int], seeds: Sequence[int]) -> Sequence[Sequence[Verdict]]:
        some = [plans[row] for row in rows]
        if alike:
            starts = np.repeat(np.stack([task.start(seed) for seed in seeds]), len(rows), axis=0)
            found = verify(task, some * len(seeds), state=starts, **options)
            return [found[i : i + len(rows)] for i in range(0, len(found), len(rows))]
        given = None if state is None else state[list(rows)]
        return [verify(task, some, seed=seed, state=given, randomise="all", **options) for seed in seeds]

    return judge


def tried(
    nominal: Verdicts, rule: Rule, seed: int, judge: Judge, told: Callable[[float], None] | None = None
) -> Verdicts:
    """The verdicts of a call with what trials say of each plan. `told` hears of the share of the work that is done.

    Trial t of every plan is judged in the world of `trial_seed(seed, t)`. Since all plans that still go on have done
    as many trials, and a round is never longer than the soonest end of one of them, no trial is run in vain.
    Raises Interrupted, with all that is known, for a KeyboardInterrupt.
    """
    tallies = [_Tally(void=_unjudged(verdict)) for verdict in nominal]
    interrupted = False
    try:
        _run(tallies, rule, seed, judge, told)
    except KeyboardInterrupt:
        interrupted = True
    answer = Verdicts(
        tuple(_said(v, t, rule, seed, interrupted=interrupted) for v, t in zip(nominal, tallies, strict=True))
    )
    if interrupted:
        raise Interrupted(answer)
    return answer


def _run(tallies: Sequence[_Tally], rule: Rule, seed: int, judge: Judge, told: Callable[[float], None] | None) -> None:
    done = 0
    while doubtful := [row for row, tally in enumerate(tallies) if _goes_on(tally, rule)]:
        if told is not None:
            told(max(1 - len(doubtful) / len(tallies), done / rule.most))
        most = max(1, MOST_AT_ONCE // len(doubtful))
        count = min(_soonest(rule, tallies[row].successes, done, most) for row in doubtful)
        seeds = [trial_seed(seed, t, audit=rule.audit) for t in range(done, done + count)]
        for t, found in enumerate(judge(doubtful, seeds)):
            for row, verdict in _sound(tallies, doubtful, found, seeds[t], judge):
                _count(tallies[row], verdict, seeds[t])
        done += count


def _goes_on(tally: _Tally, rule: Rule) -> bool:
    return tally.void is None and int(rule.state(np.array(tally.successes), np.array(tally.trials))) == OPEN


def _soonest(rule: Rule, successes: int, trials: int, most: int) -> int:
    """After how many more trials it could end at the soonest, at most `most`."""
    more = np.arange(1, most + 1)
    won, lost = (rule.state(successes + gain, trials + more) for gain in (more, np.zeros_like(more)))
    ends = (won != OPEN) | (lost != OPEN)
    return int(np.argmax(ends)) + 1 if ends.any() else most


def _sound(
    tallies: Sequence[_Tally], rows: Sequence[int], found: Sequence[Verdict], seed: int, judge: Judge
) -> list[tuple[int, Verdict]]:
    """(row, verdict) of one trial; what the machine failed is run again, without the others."""
    verdicts = dict(zip(rows, found, strict=True))
    for row, verdict in verdicts.items():
        tallies[row].bills.append(verdict.cost)
    for _ in range(RERUNS):
        again = [row for row, verdict in verdicts.items() if verdict.cause == "infra" and tallies[row].void is None]
        if not again:
            break
        for row, verdict in zip(again, judge(again, [seed])[0], strict=True):
            verdicts[row] = verdict
            tallies[row].bills.append(verdict.cost)
            tallies[row].reruns += 1
    return list(verdicts.items())


def _count(tally: _Tally, verdict: Verdict, seed: int) -> None:
    """What a plan caused counts; what its world or the machine caused says nothing of it."""
    if tally.void is not None:
        return
    if verdict.cause not in (None, "plan"):
        tally.void = f"The trial of seed {seed} could not be judged (cause {verdict.cause}): {verdict.reason}"
        return
    tally.trials += 1
    tally.successes += verdict.status == "PASS"
    tally.inconclusive += verdict.status == "INCONCLUSIVE"


def _unjudged(nominal: Verdict) -> str | None:
    """Why a plan has no trials, if it has none."""
    if nominal.cause in (None, "plan"):
        return None
    return f"The plan itself could not be judged (cause {nominal.cause}), so no trials were run."


def _said(nominal: Verdict, tally: _Tally, rule: Rule, seed: int, *, interrupted: bool) -> Verdict:
    """The nominal verdict with its trials, in figures and in words."""
    decision: Decision | None = None
    goes_on = _goes_on(tally, rule)
    asked = rule.to_json()
    if tally.void is None and asked["p"] is not None:
        state = int(rule.state(np.array(tally.successes), np.array(tally.trials)))
        decision = _DECISIONS.get(state, "undecided")
    audit = bool(asked.pop("audit", False))
    trials = {
        "successes": tally.successes,
        "n": tally.trials,
        "interval": None if tally.void is not None else list(rule.interval(tally.successes, tally.trials)),
        **asked,
        "decision": decision,
        "inconclusive": tally.inconclusive,
        "infra": tally.reruns,
        "void": tally.void,
        "seeds": {"of": seed, "audit": audit, "first": trial_seed(seed, 0, audit=audit)},
    }
    cost = total([nominal.cost, *tally.bills])
    return replace(
        nominal,
        trials=trials,
        reason=f"{nominal.reason} {summary(trials)}",
        warnings=(*nominal.warnings, *warnings_of(nominal.status, trials, interrupted=interrupted and goes_on)),
        cost=replace(cost, placement=nominal.cost.placement),
    )
