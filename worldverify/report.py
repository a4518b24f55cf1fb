"""Write verdicts as one self-contained HTML page: a table of all, then pictures and margins of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.chart import line_chart
from worldverify.page import page, safe
from worldverify.png import Image, data_uri

_STATUSES = ("PASS", "FAIL", "INVALID", "INCONCLUSIVE")
_BORDER: dict[str, tuple[int, int, int]] = {
    "PASS": (28, 124, 67),
    "FAIL": (192, 39, 31),
    "INCONCLUSIVE": (199, 154, 30),
}
_GREY = (150, 156, 166)
_LEGEND = (
    "Curves show by how much a requirement holds. Red ground: violated; amber: a goal not reached yet; "
    "paled: after the decision, where nothing counts any more."
)
_TEXT_LIMIT = 4096  # characters of a model's text that the page shows


@dataclass(frozen=True, eq=False)
class Curve:
    """The margin of one requirement while the plan ran."""

    name: str  # the requirement
    unit: str  # of the margin, SI
    time: NDArray[np.float64]  # (N+1,) s
    margin: NDArray[np.float64]  # (N+1,) in `unit`, positive where satisfied, NaN where unknown
    decided_at: float | None = None  # s, the moment k* that decided the verdict
    violated: bool = False  # the verdict found this requirement violated


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of the scene at one moment."""

    time_s: float  # s
    image: Image  # (H, W, 3) uint8
    caption: str = ""  # a few words: what there is to see


@dataclass(frozen=True, eq=False)
class Entry:
    """One judged plan. It gets a section of its own if it has a text, curves or frames."""

    verdict: Mapping[str, Any]  # the verdict line, as in JSON
    instruction: str = ""  # what the model was asked
    plan: str = ""  # what the model wrote
    curves: Sequence[Curve] = ()
    frames: Sequence[Frame] = ()
    replay: str = ""  # a command that shows this plan again
    simulated_s: float | None = None  # s of simulated time
    scales: Mapping[str, float] = field(default_factory=dict)  # requirement -> the margin that counts as one

    @property
    def has_section(self) -> bool:
        return bool(self.plan or self.curves or self.frames)


def write_report(
    folder: Path, title: str, entries: Sequence[Entry], *, summary: Mapping[str, object] | None = None
) -> Path:
    """Writes `index.html` into `folder`, which is made if it is not there, and returns its path.

    The page needs no other file, no network and no script. `summary` names facts about the run as a
    whole, shown in the given order. All text is escaped: what a model wrote is never trusted.
    """
    statuses = Counter(str(entry.verdict.get("status")) for entry in entries)
    instructions = {entry.instruction for entry in entries if entry.instruction}
    shared = instructions.pop() if len(instructions) == 1 else ""
    body = [
        f"<h1>{safe(title)}</h1>",
        _facts({"plans": len(entries), **(summary or {})}),
        _bar(statuses),
        f'<div class="quote">{safe(shared)}</div><br>' if shared else "",
        _table(entries, statuses),
    ]
    sections = [(k, entry) for k, entry in enumerate(entries) if entry.has_section]
    if sections:
        body.append("<h2>Plan by plan</h2>")
        if any(entry.curves for entry in entries):
            body.append(f'<p class="faint">{_LEGEND}</p>')
        body += [_section(k, entry, show_instruction=not shared) for k, entry in sections]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(page(title, "\n".join(body)), encoding="utf-8")
    return path


def contact_sheet(
    images: Sequence[Image],
    statuses: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    border: int = 6,
) -> Image:
    """One picture of K frames of equal shape, `columns` in a row, each framed in its status's colour."""
    if not images or any(image.shape != images[0].shape for image in images):
        raise ValueError("A contact sheet needs at least one frame, and all frames of the same shape.")
    if statuses is not None and len(statuses) != len(images):
        raise ValueError(f"{len(images)} frames need {len(images)} statuses, not {len(statuses)}.")
    across = columns or len(images)
    down = -(-len(images) // across)
    height, width = images[0].shape[0] + 2 * border, images[0].shape[1] + 2 * border
    sheet = np.full((down * (height + border) - border, across * (width + border) - border, 3), 255, np.uint8)
    for k, image in enumerate(images):
        top, left = (k // across) * (height + border), (k % across) * (width + border)
        cell = sheet[top : top + height, left : left + width]
        cell[...] = _BORDER.get(statuses[k], _GREY) if statuses is not None else _GREY
        cell[border : height - border, border : width - border] = image
    return sheet


def _facts(facts: Mapping[str, object]) -> str:
    items = "".join(f"<span>{safe(name)} <b>{safe(_plain(value))}</b></span>" for name, value in facts.items())
    return f'<div class="facts">{items}</div>'


def _bar(statuses: Counter[str]) -> str:
    parts = "".join(
        f'<span class="{name.lower()}" style="flex:{statuses[name]}" title="{statuses[name]} {name}"></span>'
        for name in _STATUSES
        if statuses[name]
    )
    return f'<div class="bar" role="presentation">{parts}</div>'


def _chip(verdict: Mapping[str, Any]) -> str:
    status, cause = str(verdict.get("status")), verdict.get("cause")
    words = f"{status} ({cause})" if cause else status
    return f'<span class="chip {_kind(verdict)}">{safe(words)}</span>'


def _kind(verdict: Mapping[str, Any]) -> str:
    """The style class of a verdict."""
    status = verdict.get("status")
    return str(status).lower() if status in _STATUSES else "other"


def _table(entries: Sequence[Entry], statuses: Counter[str]) -> str:
    """All verdicts; radio buttons above choose a status, without a script."""
    picks, labels, rules = [], [], []
    for name in ("all", *(name for name in _STATUSES if statuses[name])):
        key = f"pick-{name.lower()}"
        checked = " checked" if name == "all" else ""
        count = len(entries) if name == "all" else statuses[name]
        picks.append(f'<input class="pick" type="radio" name="pick" id="{key}"{checked}>')
        labels.append(f'<label for="{key}">{name}<b>{count}</b></label>')
        rules.append(f"#{key}:checked ~ .picks label[for={key}] {{ background: #1f2733; color: #fff; }}")
        if name != "all":
            rules.append(f"#{key}:checked ~ .scroll tbody tr:not(.{name.lower()}) {{ display: none; }}")
    heads = ("Status", "Plan", "Reason", "First violation", "Least margin", "Simulated", "Reward")
    right = {"Least margin", "Simulated", "Reward"}
    head = "".join(f'<th class="num">{h}</th>' if h in right else f"<th>{h}</th>" for h in heads)
    rows = "\n".join(_row(k, entry) for k, entry in enumerate(entries))
    return (
        f'<div id="verdicts"><style>{" ".join(rules)}</style>{"".join(picks)}'
        f'<div class="picks">{"".join(labels)}</div>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}\n</tbody></table></div></div>"
    )


def _row(k: int, entry: Entry) -> str:
    verdict = entry.verdict
    name = safe(_name(k, verdict))
    link = f'<a href="#plan-{k}">{name}</a>' if entry.has_section else name
    violation = verdict.get("first_violation")
    when = f"{safe(violation['requirement'])}<br>at {_number(violation['time_s'])} s" if violation else ""
    least = _least(entry)
    margin = ""
    if least:
        requirement, value, unit = least
        margin = f'{_signed(value)} {safe(unit)}<br><span class="faint">{safe(requirement)}</span>'
    simulated = "" if entry.simulated_s is None else f"{_number(entry.simulated_s)} s"
    return (
        f'<tr class="{_kind(verdict)}"><td>{_chip(verdict)}</td><td class="bdi name">{link}</td>'
        f'<td class="why bdi">{safe(verdict.get("reason") or "")}</td><td>{when}</td>'
        f'<td class="num">{margin}</td><td class="num">{simulated}</td>'
        f'<td class="num">{_optional(verdict.get("reward"))}</td></tr>'
    )


def _section(k: int, entry: Entry, *, show_instruction: bool) -> str:
    verdict = entry.verdict
    warnings = "".join(f"<li>Warning: {safe(words)}</li>" for words in verdict.get("warnings") or ())
    return "".join(
        [
            f'<article class="entry {_kind(verdict)}" id="plan-{k}">',
            f'<h3>{_chip(verdict)} <span class="bdi">{safe(_name(k, verdict))}</span>'
            '<a class="up" href="#verdicts">all verdicts</a></h3>',
            f'<p class="reason bdi">{safe(verdict.get("reason") or "")}</p>',
            f'<ul class="warn">{warnings}</ul>' if warnings else "",
            f'<div class="frames">{"".join(_figure(f) for f in entry.frames)}</div>' if entry.frames else "",
            f'<div class="charts">{"".join(_chart(c) for c in entry.curves)}</div>' if entry.curves else "",
            _margins(verdict.get("margins") or {}),
            _details(entry, show_instruction=show_instruction),
            "</article>",
        ]
    )


def _figure(frame: Frame) -> str:
    words = f": {safe(frame.caption)}" if frame.caption else ""
    return (
        f'<figure><img src="{data_uri(frame.image)}" alt="The scene at {_number(frame.time_s)} s">'
        f"<figcaption><b>{_number(frame.time_s)} s</b>{words}</figcaption></figure>"
    )


def _chart(curve: Curve) -> str:
    return line_chart(
        curve.time,
        curve.margin,
        name=curve.name,
        unit=curve.unit,
        decided_at=curve.decided_at,
        violated=curve.violated,
    )


def _margins(margins: Mapping[str, Mapping[str, Any]]) -> str:
    if not margins:
        return ""
    rows = []
    for name, margin in margins.items():
        low, high = margin.get("interval") or (None, None)
        if low is not None and low > 0:
            state = '<span class="holds">holds</span>'
        elif high is not None and high < 0:
            state = '<span class="broken">violated</span>'
        else:
            state = '<span class="open">undecided</span>'
        value = "" if margin.get("value") is None else _signed(margin["value"])
        bounds = f"{_bound(low)} to {_bound(high)}"
        rows.append(
            f'<tr><td>{safe(name)}</td><td>{state}</td><td class="num">{value}</td>'
            f'<td class="num">{bounds}</td><td>{safe(margin.get("unit") or "")}</td>'
            f'<td class="mono">{safe(margin.get("term") or "")}</td></tr>'
        )
    return (
        '<h4>Margins when the verdict was decided</h4><div class="scroll"><table><thead><tr>'
        '<th>Requirement</th><th>State</th><th class="num">Margin</th><th class="num">Interval</th><th>Unit</th>'
        f"<th>Deciding term</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _details(entry: Entry, *, show_instruction: bool) -> str:
    """Reward, cost, identity, what was asked and written, and how to see it again."""
    verdict = entry.verdict
    violation = verdict.get("first_violation")
    cost = verdict.get("cost") or {}
    request = verdict.get("request") or {}
    facts = {
        "First violation": f"{violation['requirement']} at {_number(violation['time_s'])} s" if violation else "",
        "Reward": _optional(verdict.get("reward")) + ("" if verdict.get("valid", True) else " (masked: not valid)"),
        "Reason code": verdict.get("code") or "",
        "Cost": _bill(cost),
        "Format": _format(request.get("plan")),
        "Engine": _plain(verdict.get("engine") or ""),
        "Seed": _plain(request.get("seed", "")),
    }
    identity = {"Request": request.get("sha256") or "", "Digest": verdict.get("digest") or ""}
    items = "".join(f"<dt>{name}</dt><dd>{safe(value)}</dd>" for name, value in facts.items() if value != "")
    items += "".join(f'<dt>{n}</dt><dd class="mono">{safe(v)}</dd>' for n, v in identity.items() if v)
    parts = [f"<h4>Bill and identity</h4><dl>{items}</dl>" if items else ""]
    if entry.replay:
        parts.append(f"<h4>See it again</h4><pre>{safe(entry.replay)}</pre>")
    if show_instruction and entry.instruction:
        parts.append(_fold("What the model was asked", entry.instruction))
    if entry.plan:
        parts.append(_fold("What the model wrote", entry.plan))
    return "".join(parts)


def _format(plan: object) -> str:
    """What the numbers of a plan were taken to mean."""
    if not isinstance(plan, Mapping) or not isinstance(plan.get("format"), str):
        return ""
    rate = plan.get("rate_hz")
    changes = plan.get("contract")
    changed = f", changed in {', '.join(map(str, changes))}" if isinstance(changes, Mapping) and changes else ""
    return str(plan["format"]) + ("" if not isinstance(rate, int | float) else f" at {rate:g} Hz") + changed


def _fold(title: str, text: str) -> str:
    left = len(text) - _TEXT_LIMIT
    note = f'<p class="faint">{left:,} more characters are not shown.</p>' if left > 0 else ""
    shown = safe(text[:_TEXT_LIMIT])
    return f'<details><summary>{title}</summary><pre class="bdi">{shown}</pre>{note}</details>'


def _least(entry: Entry) -> tuple[str, float, str] | None:
    """(requirement, margin, unit): the violated requirement's, or the least in margin scales."""
    margins = entry.verdict.get("margins") or {}
    known = {name: m for name, m in margins.items() if m.get("value") is not None}
    violation = entry.verdict.get("first_violation")
    if violation and violation["requirement"] in known:
        name = violation["requirement"]
    elif known:
        name = min(known, key=lambda n: known[n]["value"] / entry.scales.get(n, 1.0))
    else:
        return None
    return name, float(known[name]["value"]), str(known[name].get("unit") or "")


def _name(k: int, verdict: Mapping[str, Any]) -> str:
    name = verdict.get("id")
    return f"plan {k + 1}" if name is None or name == "" else str(name)


def _bound(value: float | None) -> str:
    return "open" if value is None else _signed(value)


def _optional(value: float | None) -> str:
    return "" if value is None else _number(value)


def _bill(cost: Mapping[str, Any]) -> str:
    """The fields of a cost that are not zero; the unit of a field is the end of its name."""
    words = []
    for name, value in cost.items():
        if value is not None and value != 0:
            label, amount = name.replace("_", " "), _plain(value)
            words.append(f"{label[:-2]} {amount} s" if name.endswith("_s") else f"{label} {amount}")
    return ", ".join(words)


def _number(value: float) -> str:
    return f"{float(value):.4g}".replace("-", "\u2212")


def _signed(value: float) -> str:
    return f"{float(value):+.4g}".replace("-", "\u2212")


def _plain(value: object) -> str:
    """A value of the verdict line in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items() if item is not None)
    return str(value)
