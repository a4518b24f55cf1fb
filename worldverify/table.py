"""Verdicts as lines for a terminal or a pipe."""

import re
from collections import Counter
from collections.abc import Sequence

from worldverify.cost import total
from worldverify.engines.backend import name_of as name_of_engine
from worldverify.trials.words import in_short
from worldverify.verdict import Verdict

ID_WIDTH = 34  # characters of an id on a terminal
MOST_WARNINGS = 5  # of a run on a terminal
ORDER = ("PASS", "FAIL", "INVALID", "INCONCLUSIVE")

_COLOUR = {"PASS": "32", "FAIL": "31", "INVALID": "35", "INCONCLUSIVE": "33"}
# Control characters, marks that reorder text, and halves of characters: a model's words must not drive a terminal.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")


def printable(text: str) -> str:
    """The text on one line, with everything that a terminal would obey made visible."""
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def cut(text: str, width: int) -> str:
    """At most that many characters."""
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."


def verdict_lines(verdicts: Sequence[Verdict], *, width: int | None = None, colour: bool = False) -> list[str]:
    """One line a plan: status, id, trials if there are any, reason.

    `width`: characters of the terminal, None for whole reasons.
    """
    names = [printable(name_of(i, v)) for i, v in enumerate(verdicts)]
    if width is not None:
        names = [cut(name, min(ID_WIDTH, max(width // 3, 8))) for name in names]
    broad = max((len(name) for name in names), default=0)
    statuses = max((len(v.status) for v in verdicts), default=0)
    trials = [in_short(verdict.trials) for verdict in verdicts]
    wide = max(map(len, trials), default=0)
    lines = []
    for name, verdict, tried in zip(names, verdicts, trials, strict=True):
        reason = printable(verdict.reason)
        if width is not None:
            reason = cut(reason, max(width - statuses - broad - 4 - (wide and wide + 2), 20))
        status = verdict.status.ljust(statuses)
        if colour:
            status = f"\033[{_COLOUR[verdict.status]}m{status}\033[0m"
        lines.append(f"{status}  {name:<{broad}}  {tried.ljust(wide) + '  ' if wide else ''}{reason}")
    return lines


def count_line(verdicts: Sequence[Verdict]) -> str:
    """How many plans, and how many of each status; INVALID with its causes."""
    found = Counter(str(v.status) for v in verdicts)
    causes = Counter(v.cause for v in verdicts if v.status == "INVALID")
    blamed = ", ".join(f"{n} {cause}" for cause, n in sorted(causes.items(), key=lambda item: str(item[0])))
    words = [f"{found[s]} {s}" + (f" (cause: {blamed})" if s == "INVALID" else "") for s in ORDER if found[s]]
    return f"{len(verdicts)} plan{'' if len(verdicts) == 1 else 's'}: {', '.join(words)}."


_RULES = {"stop": "after the decision", "share": "shared with another plan", "rank": "of plans that could not win"}


def step_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """How much was simulated, and which rule saved the rest."""
    bill = total([v.cost for v in verdicts])
    whole = bill.steps + bill.steps_saved
    if not bill.steps_saved:
        return []
    saved = [f"{n / whole:.0%} {_RULES.get(rule, rule)}" for rule, n in bill.saved_by.items()]
    return [f"{bill.steps:,} of {whole:,} physics steps were simulated; saved: {', '.join(saved)}."]


def _ran(verdict: Verdict) -> bool:
    """Whether it rests on physics, be it on that of a twin."""
    return verdict.cost.steps + verdict.cost.steps_saved > 0


def engine_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """What judged how many of the plans that were simulated, unless MuJoCo C judged them all."""
    if all(v.engine["engine"] == "mujoco" for v in verdicts if _ran(v)):
        return []
    return [f"Judged {judges(verdicts)}."]


def judges(verdicts: Sequence[Verdict]) -> str:
    """What judged how many of the plans that were simulated: "3 by mjx-warp (float32, cpu), 1 by ..."."""
    ran = [v.engine for v in verdicts if _ran(v)]
    found = Counter((engine["engine"], engine["impl"], engine["dtype"], engine["device"]) for engine in ran)
    said = [f"{n} by {name_of_engine(e, i)} ({dtype}, {device})" for (e, i, dtype, device), n in found.most_common()]
    return ", ".join(said)


def warning_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Each warning once, with how many plans have it; the most frequent first, at most MOST_WARNINGS."""
    found = Counter(warning for v in verdicts for warning in dict.fromkeys(v.warnings))
    lines = []
    for warning, count in found.most_common(MOST_WARNINGS):
        whose = (
            f"{count} plans"
            if count > 1
            else next(printable(name_of(i, v)) for i, v in enumerate(verdicts) if warning in v.warnings)
        )
        lines.append(f"Warning ({whose}): {printable(warning)}")
    left = len(found) - len(lines)
    if left:
        lines.append(f"{left} more warning{'s are' if left > 1 else ' is'} in the verdict lines (--json, --report).")
    return lines


def name_of(index: int, verdict: Verdict) -> str:
    """The id, or the place among the plans."""
    return verdict.id or f"plan {index + 1}"
