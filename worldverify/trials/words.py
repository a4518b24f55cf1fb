"""What trials say, in words."""

from collections.abc import Mapping
from typing import Any

from worldverify.verdict import Status

_DECIDED = {"accept": "accepted", "reject": "rejected", "undecided": "undecided"}


def summary(trials: Mapping[str, Any]) -> str:
    """One sentence for a person."""
    if trials["void"] is not None:
        return "Its trials are void."
    if not trials["n"]:
        return "No trial was run."
    low, high = (100 * share for share in trials["interval"])
    counted = (
        f"It passes {trials['successes']:,} of {trials['n']:,} randomised trials ({low:.1f} % to {high:.1f} % of all, "
        f"with {100 * trials['confidence']:g} % confidence)"
    )
    if trials["decision"] is None:
        return f"{counted}."
    against = "" if trials["p0"] is None else f" against {trials['p0']:g}"
    return f"{counted}: {_DECIDED[trials['decision']]} for a rate of {trials['p']:g}{against}."


def in_short(trials: Mapping[str, Any] | None) -> str:
    """`57/60 accept`, for a table."""
    if trials is None:
        return ""
    if trials["void"] is not None:
        return "void"
    return " ".join(filter(None, (f"{trials['successes']}/{trials['n']}", trials["decision"])))


def warnings_of(nominal: Status, trials: Mapping[str, Any], *, interrupted: bool) -> list[str]:
    """What somebody who looks at the status alone must not miss."""
    if trials["void"] is not None:
        return [trials["void"]]
    found = []
    if interrupted:
        found.append("Its trials were interrupted.")
    if nominal == "PASS" and trials["decision"] == "reject":
        found.append("It passes here, but in too few of the randomised trials.")
    if nominal != "PASS" and trials["decision"] == "accept":
        found.append("It does not pass here, but in enough of the randomised trials.")
    if trials["infra"]:
        found.append(f"The machine failed in its trials; so many were run again: {trials['infra']}.")
    return found
