"""What the conformance suites share: a demand, and what every verdict must say of itself."""

import json
import math

from worldverify.verdict import Verdict


def require(holds: bool, sentence: str) -> None:
    """Raises AssertionError with the sentence unless it holds."""
    if not holds:
        raise AssertionError(sentence)


def speaks(verdict: Verdict) -> None:
    """Every verdict has a sentence, plain JSON, and margins whose value agrees with the status."""
    require(len(verdict.reason) > 10 and verdict.reason.endswith("."), f"{verdict.reason!r} is not a sentence.")
    json.dumps(verdict.to_json(), allow_nan=False)
    require(bool(verdict.explain()), "explain() says nothing.")
    if verdict.status == "PASS":
        require(
            bool(verdict.margins) and all(m.interval[0] > 0 for m in verdict.margins.values() if m.guard),
            "A PASS needs margins above zero.",
        )
    if verdict.status == "FAIL":
        require(verdict.first_violation is not None, "A FAIL needs its first violation.")
    if verdict.status == "INVALID":
        require(verdict.cause is not None and verdict.code is not None, "An INVALID needs a cause and a code.")
    if not verdict.valid:
        require(math.isnan(verdict.reward), "A reward that is not valid is NaN.")
