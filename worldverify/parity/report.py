"""A comparison as a few lines for a terminal."""

import textwrap

from worldverify.parity.forward import ForwardParity
from worldverify.parity.run import Parity
from worldverify.parity.step import StepParity
from worldverify.parity.verdicts import DECIDED, PERCENTILES, VerdictParity

WIDTH = 110  # characters of a line
_LABEL = 10  # characters of the label before a line
_NAME = 36  # characters of a sensor's name


def as_text(found: Parity) -> str:
    """One task and engine: the three levels, the band, and what is wrong."""
    info = found.info
    head = f"{found.task} on {found.engine} ({info.device}, {info.dtype}, {info.version}): "
    lines = [head + ("agrees with MuJoCo C" if found.holds else "DIFFERS from MuJoCo C")]
    if found.forward is not None:
        lines += _forward(found.forward)
    lines += _step(found.step)
    lines += _verdicts(found.verdicts)
    lines += _line("band", _band(found))
    lines += [line for fault in found.faults for line in _line("fault", fault)]
    return "\n".join(lines)


def _forward(found: ForwardParity) -> list[str]:
    fields = ", ".join(
        f"{field.name} {field.worst:.2g}" + (f" ({field.above} states above)" if field.above else "")
        for field in found.fields
    )
    text = f"{found.states} states, worst error in tolerances: {fields}"
    if found.contacts is not None:
        text += f"; contacts differ in {found.contacts}"
    if found.ambiguous:
        text += f"; {found.ambiguous} states whose contacts float32 alone changes are left out of what is solved"
    return _line("forward", text)


def _step(found: StepParity) -> list[str]:
    """A line a reading."""
    head = (
        f"{found.states} states, greatest error in the step: median, 90 %, most | rounding alone, most | states above"
    )
    lines = _line("one step", head)
    for reading in found.readings:
        name = reading.name if len(reading.name) <= _NAME else f"{reading.name[: _NAME - 3]}..."
        numbers = " ".join(f"{error:9.2g}" for error in reading.error)
        row = f"{name:<{_NAME}} {numbers} | {reading.rounding[-1]:9.2g} | {reading.above:4} {reading.unit}"
        lines.append(f"{'':{_LABEL}}  {row.rstrip()}")
    return lines


def _verdicts(found: VerdictParity) -> list[str]:
    same = sum(each.get(status, 0) for status, each in found.statuses.items() if status in DECIDED)
    text = f"{found.plans} plans: {same} decided alike, false PASS {found.false_pass}, false FAIL {found.false_fail}, "
    text += f"another first violation {found.other_violation}"
    if found.untrusted:
        text += f"; left to MuJoCo C: {', '.join(f'{n} {why}' for why, n in found.untrusted.items())}"
    if found.refused:
        text += f"; {found.refused} never reached the physics"
    lines = _line("verdicts", text)
    shown = ", ".join(f"{name} {_spread(each)}" for name, each in found.margins.items())
    heads = ", ".join("most" if p == 100 else f"{p} %" for p in PERCENTILES)
    lines += _line("margins", f"errors in margin scales ({heads}): deciding {_spread(found.deciding)}; {shown}")
    return lines


def _band(found: Parity) -> str:
    verdicts, band = found.verdicts, found.band
    text = (
        f"{band.width:.3g} margin scales, holds {band.share:.2%} of the plans; flips inside {band.flips_inside}, "
        f"outside {band.flips_outside}, narrow escapes {verdicts.narrow}; a verdict outside is wrong with a "
        f"probability below {band.upper:.2%} (at 95 % confidence; {verdicts.upper_all:.2%} by all plans); "
        f"MuJoCo C judges {verdicts.rejudged:.1%} again"
    )
    return text + (f". Not to be used: {band.unusable}" if band.unusable else "")


def _spread(errors: tuple[float, ...]) -> str:
    return "/".join(f"{error:.2g}" for error in errors) or "none"


def _line(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{label:<{_LABEL}}  ", subsequent_indent=" " * (_LABEL + 2), break_long_words=False
    )
