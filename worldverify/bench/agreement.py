"""Whether the verdicts of a faster way are those of the reference."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from worldverify.verdict import Verdict


def agreement(found: Sequence[Verdict], truth: Sequence[str], engine: str) -> dict[str, Any] | None:
    """Statuses compared with those of MuJoCo C, as far as these are known; None if none is.

    engine: the name of what was asked to judge ("mjx"); a verdict by another was judged again.
    """
    count = min(len(found), len(truth))
    if not count:
        return None
    pairs = [(v.status, t) for v, t in zip(found[:count], truth, strict=False)]
    run = [v for v in found if v.cost.steps]
    return {
        "plans": count,
        "same": sum(a == b for a, b in pairs),
        "false_pass": sum(a == "PASS" != b for a, b in pairs),
        "false_fail": sum(a == "FAIL" and b == "PASS" for a, b in pairs),
        "judged_again": sum(v.engine["engine"] != engine for v in run) / max(1, len(run)),
    }


def statuses(found: Sequence[Verdict]) -> dict[str, int]:
    """How many of each status."""
    return dict(Counter(v.status for v in found))
