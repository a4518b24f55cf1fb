"""Trials: what they say depends on the plan and the seed alone, and on nothing that is the machine's fault."""

import contextlib
import hashlib
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldverify as wv
from worldverify.cli import main
from worldverify.cost import Cost
from worldverify.domain import Domain
from worldverify.kernels.binomial import upper_bound
from worldverify.local import LocalVerifier
from worldverify.replay import ask_again
from worldverify.task import Task
from worldverify.testing import toy_task
from worldverify.trials.option import certify_option
from worldverify.trials.rules import Certify, Fixed, rule_from_json, rule_of
from worldverify.trials.run import RERUNS, tried
from worldverify.trials.seeds import trial_seed
from worldverify.verdict import Verdict, Verdicts
from worldverify.verifier import Interrupted

BLANK: dict[str, Any] = dict(
    task="T", code=None, reason="So.", margins={}, first_violation=None, warnings=(), engine={}, request={}, digest="d"
)
RULES = [Fixed(20), wv.certify(0.9, 0.6), wv.certify(0.8, most=150), wv.certify(0.9, 0.85, most=30)]


def said(status: str, cause: str | None = None, steps: int = 1) -> Verdict:
    """A verdict by nobody."""
    valid = cause in (None, "plan")
    reward = 1.0 if status == "PASS" else -0.5 if valid else math.nan
    return Verdict(None, status=status, cause=cause, reward=reward, valid=valid, cost=Cost(steps=steps), **BLANK)  # type: ignore[arg-type]


PASS, FAIL = said("PASS"), said("FAIL")


def drawn(name: object, seed: int) -> float:
    """A number from 0 to 1 that the plan and the seed decide."""
    return int(hashlib.sha256(f"{name} {seed}".encode()).hexdigest()[:8], 16) / 2**32


@dataclass
class Arms:
    """Judges plans that are names with a rate of passing, such as ("a", 0.9)."""

    arms: Sequence[tuple[str, float]]
    asked: list[tuple[int, int]] = field(default_factory=list)  # (row, seed)
    also: Callable[[int, int, int], Verdict | None] = lambda row, seed, time: None  # what happens instead

    def __call__(self, rows: Sequence[int], seeds: Sequence[int]) -> list[list[Verdict]]:
        return [[self._one(row, seed) for row in rows] for seed in seeds]

    def _one(self, row: int, seed: int) -> Verdict:
        time = self.asked.count((row, seed))
        self.asked.append((row, seed))
        name, rate = self.arms[row]
        return self.also(row, seed, time) or (PASS if drawn(name, seed) < rate else FAIL)


def run(judge: Arms, rule: Any, seed: int = 3, nominal: Sequence[Verdict] | None = None) -> Verdicts:
    return tried(Verdicts(tuple(nominal or [PASS] * len(judge.arms))), rule, seed, judge)


def trials_of(verdict: Verdict) -> dict[str, Any]:
    assert verdict.trials is not None
    return dict(verdict.trials)


arms = st.lists(st.tuples(st.text("abc", min_size=1), st.sampled_from((0.0, 0.5, 0.8, 0.95, 1.0))), max_size=6)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@given(plans=arms, order=st.randoms(use_true_random=False))
def test_the_trials_of_a_plan_depend_on_no_other_plan(rule: Any, plans: list[tuple[str, float]], order: Any) -> None:
    alone = [trials_of(run(Arms([plan]), rule)[0]) for plan in plans]
    assert [trials_of(v) for v in run(Arms(plans), rule)] == alone
    shuffled = list(range(len(plans)))
    order.shuffle(shuffled)
    some = shuffled[: len(plans) // 2 + 1]
    assert [trials_of(v) for v in run(Arms([plans[i] for i in some]), rule)] == [alone[i] for i in some]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_all_plans_see_the_same_worlds_and_no_trial_is_in_vain(rule: Any) -> None:
    judge = Arms([("a", 1.0), ("b", 0.0), ("c", 0.8), ("d", 0.9)])
    found = [trials_of(v) for v in run(judge, rule, seed=5)]
    for row, trials in enumerate(found):
        assert [seed for r, seed in judge.asked if r == row] == [trial_seed(5, t) for t in range(trials["n"])]
    assert all(trials["n"] <= rule.most for trials in found)


def test_the_trials_end_with_the_first_counts_that_decide() -> None:
    rule = wv.certify(0.9, 0.6)
    for name in "abcdefgh":
        trials = trials_of(run(Arms([(name, 0.8)]), rule)[0])
        passed = np.cumsum([drawn(name, trial_seed(3, t)) < 0.8 for t in range(trials["n"])])
        states = rule.state(passed, np.arange(1, trials["n"] + 1))
        assert (states[:-1] == 0).all() and states[-1] != 0
        assert trials["successes"] == passed[-1]


def test_a_seed_of_a_trial_is_what_the_documentation_says() -> None:
    x = int.from_bytes(hashlib.sha256(b"7/12").digest()[:6], "big")
    assert trial_seed(7, 12) == 2**52 + 2 * x and trial_seed(7, 12, audit=True) == 2**52 + 2 * x + 1


def test_no_audit_sees_a_world_of_any_selection() -> None:
    select = {trial_seed(seed, t) for seed in range(20) for t in range(200)}
    audit = {trial_seed(seed, t, audit=True) for seed in range(20) for t in range(200)}
    assert len(select) == len(audit) == 4000 and not select & audit
    assert min(select | audit) >= 2**52 and max(select | audit) < 2**53


def test_what_the_machine_failed_is_run_again_and_counts_as_if_nothing_had_happened() -> None:
    plans = [("a", 0.9), ("b", 0.7)]
    calm = [trials_of(v) for v in run(Arms(plans), Fixed(20))]

    def shaky(row: int, seed: int, time: int) -> Verdict | None:
        return said("INVALID", "infra") if row == 0 and seed % 3 == 0 and time < RERUNS else None

    judge = Arms(plans, also=shaky)
    found = [trials_of(v) for v in run(judge, Fixed(20))]
    assert found[0].pop("infra") == RERUNS * sum(trial_seed(3, t) % 3 == 0 for t in range(20)) > 0
    assert calm[0].pop("infra") == 0
    assert found == calm


def test_a_machine_that_goes_on_failing_makes_trials_void_and_not_a_failure() -> None:
    bad = trial_seed(3, 4)

    def broken(row: int, seed: int, time: int) -> Verdict | None:
        return said("INVALID", "infra") if (row, seed) == (0, bad) else None

    judge = Arms([("a", 1.0), ("b", 1.0)], also=broken)
    void, other = run(judge, wv.certify(0.9, 0.6))
    trials = trials_of(void)
    assert (trials["decision"], trials["interval"], trials["infra"]) == (None, None, RERUNS)
    assert str(bad) in trials["void"] and trials["void"] in void.warnings
    assert (void.status, void.reward, void.valid) == ("PASS", 1.0, True)
    assert trials_of(other)["decision"] == "accept"


def test_what_a_plan_causes_is_a_failure_and_what_its_world_causes_is_none() -> None:
    at = trial_seed(3, 0)
    causes = ("plan", "model", "spec")
    judge = Arms(
        [(cause, 1.0) for cause in causes],
        also=lambda row, seed, _: said("INVALID", causes[row]) if seed == at else None,
    )
    plan, model, spec = (trials_of(v) for v in run(judge, Fixed(5)))
    assert (plan["successes"], plan["n"], plan["void"]) == (4, 5, None)
    for trials, cause in ((model, "model"), (spec, "spec")):
        assert trials["interval"] is None and f"cause {cause}" in trials["void"]


def test_an_inconclusive_trial_is_no_success() -> None:
    judge = Arms([("a", 1.0)], also=lambda row, seed, _: said("INCONCLUSIVE") if seed == trial_seed(3, 1) else None)
    trials = trials_of(run(judge, Fixed(4))[0])
    assert (trials["successes"], trials["n"], trials["inconclusive"]) == (3, 4, 1)


@pytest.mark.parametrize("cause", ["model", "spec", "infra"])
def test_what_could_not_be_judged_at_all_has_no_trials(cause: str) -> None:
    judge = Arms([("a", 1.0)])
    (verdict,) = run(judge, Fixed(5), nominal=[said("INVALID", cause)])
    assert not judge.asked and trials_of(verdict)["n"] == 0
    assert not verdict.valid and cause in trials_of(verdict)["void"]


def test_the_bill_holds_every_trial() -> None:
    judge = Arms([("a", 1.0)], also=lambda row, seed, time: said("INVALID", "infra", 7) if time == 0 else None)
    (verdict,) = run(judge, Fixed(10), nominal=[said("PASS", steps=100)])
    assert verdict.cost.steps == 100 + 10 * (7 + 1)


def test_an_interrupt_keeps_what_the_trials_have_shown() -> None:
    def stop(row: int, seed: int, time: int) -> Verdict | None:
        if seed == trial_seed(3, 40):
            raise KeyboardInterrupt
        return None

    with pytest.raises(Interrupted) as early:
        run(Arms([("a", 1.0), ("b", 0.0), ("c", 0.95)], also=stop), wv.certify(0.95, 0.9))
    found = [trials_of(v) for v in early.value.verdicts]
    assert [t["decision"] for t in found] == ["undecided", "reject", "undecided"]
    assert 0 < found[0]["n"] == found[2]["n"] <= 40
    assert "Its trials were interrupted." in early.value.verdicts[0].warnings
    assert early.value.verdicts[1].warnings[0].startswith("It passes here, but in too few")


def test_a_limit_leaves_a_doubtful_plan_undecided() -> None:
    trials = trials_of(run(Arms([("a", 0.5)]), wv.certify(0.51, 0.5, most=25))[0])
    assert (trials["n"], trials["decision"]) == (25, "undecided")
    low, high = trials["interval"]
    assert low < 0.5 and high > 0.51


def test_trials_say_all_that_they_rest_on() -> None:
    trials = trials_of(run(Arms([("a", 1.0)]), wv.certify(0.95, 0.9, alpha=0.01, beta=0.1, most=300))[0])
    keys = "successes n interval method confidence p p0 alpha beta most decision inconclusive infra void seeds"
    assert sorted(trials) == sorted(keys.split())
    assert {key: trials[key] for key in ("method", "confidence", "p", "p0", "alpha", "beta", "most", "decision")} == {
        **{"method": "sprt", "confidence": 0.99, "p": 0.95, "p0": 0.9, "alpha": 0.01, "beta": 0.1, "most": 300},
        "decision": "accept",
    }
    assert trials["seeds"] == {"of": 3, "audit": False, "first": trial_seed(3, 0)}
    json.dumps(trials, allow_nan=False)


@pytest.mark.parametrize("rule", [*RULES, Fixed(9, audit=True)], ids=repr)
def test_a_rule_can_be_made_again_from_a_request(rule: Fixed | Certify) -> None:
    assert rule_from_json(json.loads(json.dumps(rule.to_json()))) == rule


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: rule_of(0), "trials must be a whole number from 1 to"),
        (lambda: rule_of(True), r"a whole number from 1 on, or worldverify.certify\(p=...\); got True"),
        (lambda: rule_of("10"), "got '10'"),
        (lambda: wv.certify(1.0), "p, the rate of passes that is to be shown, must be a number between 0 and 1"),
        (lambda: wv.certify(math.nan), "got nan"),
        (lambda: wv.certify(0.9, 0.95), "p0, which is too low, must be below p"),
        (lambda: wv.certify(0.9, 0.0), "p0, the rate of passes that is too low, must be a number between 0 and 1"),
        (lambda: wv.certify(0.9, alpha=0.7), "alpha, the chance to accept"),
        (lambda: wv.certify(0.9, 0.8, beta=0), "beta, the chance to reject"),
        (lambda: wv.certify(0.9, beta=0.1), "give p0 too, or leave beta out"),
        (lambda: wv.certify(0.9, most=0), "most must be a whole number from 1 to"),
        (lambda: wv.certify(0.9, most=2.5), "got 2.5"),  # type: ignore[arg-type]
        (lambda: certify_option("q=1"), "write p=0.95,p0=0.90, each of p, p0, alpha, beta, most once at most"),
        (lambda: certify_option("p=0.9,p=0.8"), "once at most"),
        (lambda: certify_option("p=much"), "p must be a number; got 'much'"),
        (lambda: certify_option("p0=0.9"), "p, the rate of passes that is to be shown, is missing"),
        (lambda: rule_from_json({"method": "fixed", "most": 3, "confidence": 0.5}), "not of this version"),
    ],
)
def test_what_is_asked_badly_is_refused_with_what_would_work(ask: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ask()


def test_the_option_of_the_command_line_is_certify() -> None:
    assert certify_option("p=0.95,p0=0.90,most=500") == wv.certify(0.95, 0.9, most=500)
    assert certify_option("0.9") == certify_option("p=0.9") == wv.certify(0.9)


# The best of N


def judged_by_chance(task: object, plans: Any, *, seed: int, trials: Any, **options: object) -> Verdicts:
    """Judges plans that are names with a rate of passing."""
    return tried(Verdicts((PASS,) * len(plans)), rule_of(trials), seed, Arms(plans))


def test_the_audit_of_the_best_is_not_flattered_by_the_choice() -> None:
    equal = [(f"arm {i}", 0.5) for i in range(10)]
    chosen = [wv.best_of("T", equal, n_select=8, n_audit=40, seed=s, judge=judged_by_chance) for s in range(150)]
    assert all(one is not None for one in chosen)
    found = [one for one in chosen if one is not None]
    flattering = sum(trials_of(one.candidates[one.index])["successes"] for one in found)
    honest = sum(one.audit["successes"] for one in found)
    # Exact one-sided bounds that a correct method leaves once in 100,000.
    assert 1 - upper_bound(8 * 150 - flattering, 8 * 150, confidence=1 - 1e-5) > 0.65
    assert upper_bound(honest, 40 * 150, confidence=1 - 1e-5) > 0.5
    assert 1 - upper_bound(40 * 150 - honest, 40 * 150, confidence=1 - 1e-5) < 0.5
    held = sum(one.audit["interval"][0] <= 0.5 <= one.audit["interval"][1] for one in found)
    assert upper_bound(held, 150, confidence=1 - 1e-5) >= 0.95


def test_the_best_passes_most_and_among_equals_the_first_of_the_ranking_is_taken() -> None:
    best = wv.best_of("T", [("a", 0.1), ("b", 1.0), ("c", 0.6), ("d", 1.0)], n_select=20, judge=judged_by_chance)
    assert best is not None and best.index == 1
    assert best.audit["seeds"]["audit"] and best.audit["n"] == 100
    assert wv.best_of("T", [], judge=judged_by_chance) is None


# In physics


@pytest.fixture(scope="module")
def toy() -> Task:
    """A cart that may be heavy and weak, and somewhere else."""

    def move(generator: np.random.Generator, model: Any, data: Any) -> None:
        data.qpos[0] += generator.uniform(-0.12, 0.12)

    return replace(toy_task(), randomise=move, domain=Domain(mass=0.3, gain=0.6, delay=0.1))


def bag(task: Task) -> list[object]:
    assert task.good is not None
    return [task.good, task.bad["slow"], task.bad["arrives"], '{"actions": [[']


def test_trials_change_nothing_of_the_verdict_but_the_question(toy: Task) -> None:
    plain = wv.verify(toy, bag(toy), on="cpu")
    with_trials = wv.verify(toy, bag(toy), on="cpu", trials=3)
    for one, other in zip(plain, with_trials, strict=True):
        assert one.trials is None and "trials" not in one.request["options"]
        assert (one.status, one.margins, one.first_violation) == (other.status, other.margins, other.first_violation)
        assert one.reward == other.reward and one.valid == other.valid and one.decided_s == other.decided_s
        assert other.reason.startswith(one.reason) and one.request["sha256"] != other.request["sha256"]
        assert other.cost.steps >= one.cost.steps


def test_a_trial_is_what_verify_says_of_its_seed(toy: Task) -> None:
    found = wv.verify(toy, bag(toy), on="cpu", trials=6, seed=2)
    by_hand = [wv.verify(toy, bag(toy), on="cpu", seed=trial_seed(2, t), randomise="all") for t in range(6)]
    for i, verdict in enumerate(found):
        assert trials_of(verdict)["successes"] == sum(one[i].status == "PASS" for one in by_hand)
    assert 0 < sum(trials_of(v)["successes"] for v in found) < 6 * len(found)


def test_trials_of_a_plan_are_the_same_alone_and_in_any_order(toy: Task) -> None:
    plans, rule = bag(toy), wv.certify(0.8, 0.4)
    together = [trials_of(v) for v in wv.verify(toy, plans, on="cpu", trials=rule)]
    assert [trials_of(v) for v in wv.verify(toy, plans[::-1], on="cpu", trials=rule)] == together[::-1]
    assert [trials_of(wv.verify(toy, [p], on="cpu", trials=rule, threads=1)[0]) for p in plans] == together
    assert {t["decision"] for t in together} >= {"reject"}


def test_worlds_that_differ_in_their_starts_only_are_judged_together_with_the_same_result(toy: Task) -> None:
    task = replace(toy, domain=Domain())
    found = wv.verify(task, bag(task), on="cpu", trials=6)
    by_hand = [wv.verify(task, bag(task), on="cpu", seed=trial_seed(0, t)) for t in range(6)]
    for i, verdict in enumerate(found):
        assert trials_of(verdict)["successes"] == sum(one[i].status == "PASS" for one in by_hand)


def test_trials_from_given_states_keep_them(toy: Task) -> None:
    states = np.stack([toy.start(seed) for seed in (1, 2)])
    found = wv.verify(toy, [toy.good, toy.good], on="cpu", state=states, trials=4)
    for state, verdict in zip(states, found, strict=True):
        by_hand = [
            wv.verify(toy, [toy.good], on="cpu", state=state, seed=trial_seed(0, t), randomise="all")[0].status
            for t in range(4)
        ]
        assert trials_of(verdict)["successes"] == by_hand.count("PASS")


def test_trials_that_would_all_be_the_same_are_refused(toy: Task) -> None:
    still = replace(toy, domain=Domain(), randomise=None)
    with pytest.raises(ValueError, match="Trials of Toy would all be the same: it declares no randomise"):
        wv.verify(still, [toy.good], on="cpu", trials=3)
    with pytest.raises(ValueError, match="its start is given and it declares no domain"):
        wv.verify(replace(toy, domain=Domain()), [toy.good], on="cpu", trials=3, state=toy.start())


def test_the_command_line_refuses_trials_that_would_all_be_the_same(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "own.py").write_text("from worldverify.testing import toy_task\n")
    (tmp_path / "plans.jsonl").write_text('{"id": "a", "text": "x"}\n')
    assert main(["verify", f"{tmp_path / 'own.py'}:toy_task", str(tmp_path / "plans.jsonl"), "--trials", "2"]) == 2
    assert "Trials of Toy would all be the same" in capsys.readouterr().err


@pytest.mark.parametrize("early", [{"budget": wv.Budget(steps=9)}, {"rank": "best"}])
def test_trials_have_a_limit_of_their_own(toy: Task, early: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="budget and rank leave plans undecided"):
        wv.verify(toy, [toy.good], on="cpu", trials=3, **early)


def test_a_verdict_with_trials_can_be_asked_for_again(toy: Task) -> None:
    rule = wv.certify(0.8, 0.4)
    line = json.loads(json.dumps(wv.verify(toy, [toy.good], on="cpu", seed=4, trials=rule)[0].to_json()))
    verifier = LocalVerifier(threads=1)
    assert ask_again(verifier, toy, line).outcome == "same"
    line["trials"]["successes"] += 1
    assert "the trials are not" in ask_again(verifier, toy, line).reason


def test_the_best_of_a_real_task_is_audited_in_other_worlds(toy: Task) -> None:
    best = wv.best_of(toy, [toy.bad["slow"], toy.good], n_select=4, n_audit=6, on="cpu")
    assert best is not None and best.index == 1
    seeds = [trial_seed(0, t, audit=True) for t in range(6)]
    by_hand = [wv.verify(toy, [toy.good], on="cpu", seed=seed, randomise="all")[0].status for seed in seeds]
    assert best.audit["successes"] == by_hand.count("PASS")


def test_a_watcher_hears_how_far_trials_are(toy: Task) -> None:
    heard: list[tuple[int, int]] = []
    wv.verify(toy, [toy.good], on="cpu", trials=2, watch=lambda done, of: heard.append((done, of)))
    assert all(0 <= done <= of for done, of in heard) and len({of for _, of in heard}) == 1


def test_the_command_line_prints_trials_in_the_table_and_writes_them(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plans.jsonl").write_text('{"id": "a", "text": "{\\"skills\\": [{\\"skill\\": \\"home\\"}]}"}\n')
    for words, shown in (
        (["--trials", "2"], "0/2  reach"),
        (["--certify", "p=0.95,p0=0.5,most=9"], "0/2 reject"),
        (["--trials", "3", "--keep-start"], "0/3  reach"),
    ):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert main(["verify", "ReachSafe-v0", "plans.jsonl", "--on", "cpu", "--json", "out.jsonl", *words]) == 0
        assert shown.split()[0] in printed.getvalue() and shown.split()[-1] in printed.getvalue()
        assert json.loads(Path("out.jsonl").read_text())["trials"]["successes"] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--certify", "p=2"], "--certify: p, the rate of passes"),
        (["--keep-start"], "--keep-start is for trials"),
        (["--trials", "0"], "a whole number from 1 to 1,000,000 is needed, not '0'"),
        (["--trials", "3", "--certify", "0.9"], "not allowed with argument"),
        (["--trials", "3", "--rank", "best"], "leave them or the trials out"),
    ],
)
def test_the_command_line_says_what_is_wrong_with_what_it_is_asked(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = tmp_path / "plans.jsonl"
    plans.write_text('{"id": "a", "text": "x"}\n')
    assert main(["verify", "ReachSafe-v0", str(plans), *words]) == 2
    assert sentence in capsys.readouterr().err
