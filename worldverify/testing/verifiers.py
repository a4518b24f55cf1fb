"""What a Verifier must do, wherever it judges."""

from typing import Any

import numpy as np

from worldverify.testing.asking import require, speaks
from worldverify.testing.toy import toy_task
from worldverify.verdict import Verdict, Verdicts
from worldverify.verifier import Verifier


def check_verifier(verifier: Verifier) -> None:
    """A verifier's order, isolation, identity and refusals. It is closed afterwards."""
    task = toy_task()
    good, bad = task.good, task.bad["careful"]
    assert good is not None
    plans: list[Any] = [good, "no plan here", bad, '{"actions": [[0.0], [NaN]]}', np.full((3, 1), 9.0), good.to_json()]
    verdicts = verifier.verify(task, plans)
    require(len(verdicts) == len(plans), f"{len(plans)} plans gave {len(verdicts)} verdicts; each plan gets one.")
    expected = ["PASS", "INVALID", "FAIL", "INVALID", "INVALID", "PASS"]
    found = [v.status for v in verdicts]
    require(found == expected, f"The verdicts of the toy plans are {found}, in the order of the plans {expected}.")
    for verdict in verdicts:
        speaks(verdict)
        if verdict.status == "INVALID":
            require(verdict.cause == "plan", f"A malformed plan has cause plan, not {verdict.cause}.")
    first = verdicts[2].first_violation
    require(first is not None and first.requirement == "careful", f"The wall was hit, yet the violation is {first}.")

    require(len(verifier.verify(task, [])) == 0, "No plans give no verdicts.")
    _same(verifier.verify(task, plans), verdicts, "again")
    _same(verifier.verify(task, plans[::-1]), verdicts[::-1], "in another order")
    for plan, verdict in zip(plans, verdicts, strict=True):
        _same(verifier.verify(task, [plan]), [verdict], "alone")
    named = verifier.verify(task, [good.to_json() | {"id": "x"}])[0]
    require(named.id == "x", f"A plan with the id 'x' came back with the id {named.id!r}.")
    _same([named], [verdicts[0]], "under another id")

    questions = [
        verdicts[0],
        verdicts[2],
        verifier.verify(task, [good], seed=1)[0],
        verifier.verify(task, [good], state=task.start())[0],
        verifier.verify(task, [good], margins="full")[0],
        verifier.verify(task, [good], scope="chunk")[0],
    ]
    keys = {q.request["sha256"] for q in questions}
    require(len(keys) == len(questions), "Another plan, seed, state or option is another request: its sha256 differs.")
    digests = {q.digest for q in questions}
    require(len(digests) == len(questions), "The digest of a verdict covers its request.")

    verifier.close()
    try:
        verifier.verify(task, [good])
    except Exception:
        return
    raise AssertionError("A closed verifier must refuse to judge.")


def _same(found: Verdicts | list[Verdict], wanted: Verdicts | list[Verdict], how: str) -> None:
    for one, other in zip(found, wanted, strict=True):
        key, answer = one.request["sha256"] == other.request["sha256"], one.status == other.status
        require(key and answer, f"A plan judged {how} is another request or has another status.")
        if one.engine["dtype"] == "float64":
            require(one.digest == other.digest, f"A plan judged {how} has another digest.")
