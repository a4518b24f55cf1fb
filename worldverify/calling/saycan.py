"""Skills of a closed list, one a line, as SayCan scores them: robot.pick_and_place(blue block, yellow bowl), done().

A line is a skill only if it is one, letter by letter: SayCan chooses among given strings and writes no others
(google-research, saycan/SayCan-Robot-Pick-Place.ipynb). The names in its calls stand without quotes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from worldverify.calling.receptacle import pairs
from worldverify.calling.skills import Said, pick, place
from worldverify.calling.text import lines_of
from worldverify.describe import shorten
from worldverify.nearest import did_you_mean
from worldverify.refusal import Refusal

MAX_LINES = 1_000
DONE = ("done()", "done", "done.")
_NUMBER = re.compile(r"(?:[0-9]{1,4}[.)]|[-*])[ \t]+")

Options = Mapping[str, Sequence[Mapping[str, object]]]


def saycan_options(picks: Iterable[str], places: Iterable[str]) -> dict[str, tuple[dict[str, object], ...]]:
    """The skills of a table top: each object put in each place, by the line that asks for it."""
    targets = list(places)
    return {
        f"robot.pick_and_place({one}, {other})": (pick(one), place(other))
        for one in picks
        for other in targets
        if other != one
    }


def parse_saycan(text: str | bytes, options: Options) -> Said:
    """The skills of each line; `options` are the lines that there are, with the skills that each asks for.

    Lines may be numbered; `#` begins a remark; done() ends the plan. Raises Refusal.
    """
    lines, warnings = lines_of(text)
    actions: list[dict[str, object]] = []
    count, ended = 0, 0
    for number, line in lines:
        said = _NUMBER.sub("", line.strip(), count=1)
        if not said or said.startswith("#"):
            continue
        if ended:
            raise Refusal("malformed", f"Line {number} follows done() on line {ended}; end the plan with done().")
        if said in DONE:
            ended = number
            continue
        if said not in options:
            hint = did_you_mean(said, [*options, DONE[0]])
            raise Refusal("unknown_skill", f"Line {number} is {shorten(said)}, which is no skill of the list. {hint}")
        count += 1
        if count > MAX_LINES:
            raise Refusal("too_long", f"The text has more than {MAX_LINES:,} skills. Write fewer.")
        actions += [dict(skill) for skill in options[said]]
    if not actions:
        raise Refusal("no_plan", f"The text names no skill. {did_you_mean('', list(options))}")
    if not ended:
        warnings = (*warnings, "The plan does not end with done(): it may have been cut.")
    return Said(tuple(actions), warnings)


def write_saycan(actions: Sequence[Mapping[str, object]]) -> str:
    """The lines of table-top skills. Raises ValueError unless each pick is followed by a place."""
    lines = [f"robot.pick_and_place({one}, {other})" for one, other in pairs(actions, "saycan-skills")]
    return "\n".join([*lines, DONE[0]])
