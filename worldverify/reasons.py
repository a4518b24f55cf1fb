"""One sentence a person can act on, for each way a plan can end."""

from collections.abc import Mapping

from worldverify.budget import Undecided
from worldverify.judge import Finding
from worldverify.kernels.engine import Fault
from worldverify.refusal import Cause
from worldverify.verdict import Margin

# fault -> (code, what happened); the first that holds names the verdict.
_FAULTS: dict[Fault, tuple[str, str]] = {
    Fault.OVERFLOW: ("overflow", "contacts or constraints overflowed the memory, also with four times as much"),
    Fault.RAISED: ("raised", "MuJoCo stopped with an error, also with four times the memory"),
    Fault.NOT_FINITE: ("diverged", "the simulated state became infinite or not a number"),
    Fault.WARNED: ("diverged", "MuJoCo reported a diverging state and stopped"),
    Fault.ABSURD: ("diverged", "the simulated state left every physical range"),
    Fault.TUNNELLED: ("tunnelling", "an object passed through another, or was pushed into it past its middle"),
    Fault.ENERGISED: ("energy", "contacts or constraints gave energy that nothing had put in"),
    Fault.UNBALANCED: ("unbalanced", "the forces do not add up: the solver's answer is wrong"),
}


def quantity(value: float, unit: str) -> str:
    """`12.3 N`: four significant digits and the unit."""
    return f"{value:.4g} {unit}".rstrip()


def pass_reason(margins: Mapping[str, Margin]) -> str:
    """How closely it passed."""
    judged = {name: m for name, m in margins.items() if m.guard}
    name, closest = min(judged.items(), key=lambda item: item[1].relative or 0.0)
    held = "The requirement holds" if len(judged) == 1 else f"All {len(judged)} requirements hold"
    value = quantity(closest.value or 0.0, closest.unit)
    return f"{held}; the closest is {name} ({closest.term}), with {value} to spare."


def fail_reason(margins: Mapping[str, Margin], violated: str, time_s: float) -> str:
    """What was violated, when, and by how much."""
    margin = margins[violated]
    value = quantity(-(margin.value or 0.0), margin.unit)
    return f"{violated} is violated at {time_s:.3f} s: {margin.term} is missed by {value}."


def inconclusive_reason(margins: Mapping[str, Margin], evidence_s: float, chunk: bool) -> str:
    """What is still undecided."""
    open_names = [name for name, m in margins.items() if m.guard and m.value is None]
    if chunk and not any(m.guard for m in margins.values()):
        return "The spec has no guard (a requirement that begins with always), so a chunk cannot be judged."
    listed = ", ".join(open_names)
    verb = "is" if len(open_names) == 1 else "are"
    return (
        f"{listed} {verb} still undecided after {evidence_s:g} s of evidence: a margin is exactly zero, or the "
        "requirement looks beyond the horizon."
    )


_EARLY = {
    "budget": "the budget ended",
    "interrupted": "the run was interrupted",
    "outranked": "another plan was found to be better than this one can be,",
}


def early_reason(why: Undecided, known_s: float) -> str:
    """Why a plan was left undecided of which `known_s` were simulated."""
    return f"Undecided: {_EARLY[why]} {f'{known_s:g} s into the plan' if known_s else 'before it was simulated'}."


def fault_reason(finding: Finding, timestep: float, cause: Cause) -> tuple[str, str]:
    """(code, sentence) of evidence that cannot be believed."""
    when = f"at {(finding.untrusted or 0) * timestep:.3f} s"
    for fault, (code, what) in _FAULTS.items():
        if finding.fault & fault:
            blame = (
                "the plan did it: holding the start controls is clean"
                if cause == "plan"
                else "the model does it even when its start controls are held"
            )
            return code, f"Not judged: {when} {what} ({blame})."
    return "not_a_number", (
        f"Not judged: {when} {finding.bad_atom} has no finite value; guard the division in the spec."
    )
