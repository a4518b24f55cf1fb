"""Verdicts as entries of a report: margins over time and pictures of the moments that mattered."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.robustness import Formula
from worldverify.render import Painter
from worldverify.replay import Run, run_again
from worldverify.report import Curve, Entry, Frame
from worldverify.task import Task
from worldverify.verdict import Margin, Verdict

Floats = NDArray[np.float64]

MOST_RUNS = 12  # plans with curves and pictures
MOST_TEXTS = 24  # plans that never ran and are shown with what the model wrote
FRAMES = 4  # pictures of a plan
GOALS = ("eventually", "until", "at_end")  # outermost operators of what is to be reached rather than kept


def entries(
    task: Task,
    verdicts: Sequence[Verdict],
    raws: Sequence[object],
    *,
    seed: int,
    replay_command: Callable[[Verdict], str],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Entry], list[str]]:
    """One entry a plan, and a sentence for each plan that did not do again what its verdict says.

    `told(done, total)` is told of the plans shown with pictures so far.
    """
    chosen = plans_of_interest(verdicts)
    texts = [i for i, v in enumerate(verdicts) if v.status == "INVALID" and i not in chosen][:MOST_TEXTS]
    painter = Painter(task.scene.model) if chosen else None
    instruction, made, wrong = task.card(seed), [], []
    for i, (verdict, raw) in enumerate(zip(verdicts, raws, strict=True)):
        curves, frames, line = [], [], verdict.to_json()
        if i in chosen and painter is not None:
            run = run_again(task, verdict)
            if run is not None and run.last >= 0:
                curves, frames = curves_of(run, verdict), frames_of(run, verdict, painter)
            if run is not None and not run.agrees:
                wrong.append(f"{verdict.id}: simulated again, its margins are not those of its verdict: trust neither.")
                line["warnings"] = [*line["warnings"], wrong[-1]]
            told(1 + chosen.index(i), len(chosen))
        shown = i in chosen or i in texts
        made.append(
            Entry(
                verdict=line,
                instruction=instruction,
                plan=_written(raw) if shown else "",
                curves=curves,
                frames=frames,
                replay=replay_command(verdict) if shown else "",
                simulated_s=verdict.cost.steps * task.timestep or None,
                scales={name: margin.scale for name, margin in verdict.margins.items()},
            )
        )
    return made, wrong


def plans_of_interest(verdicts: Sequence[Verdict]) -> list[int]:
    """Indices, in order, of at most MOST_RUNS plans: one PASS, then others that ran, each kind of ending first."""
    ran = [i for i, v in enumerate(verdicts) if v.cost.steps]
    passes = [i for i in ran if verdicts[i].status == "PASS"]
    others = [i for i in ran if verdicts[i].status != "PASS"]
    kinds: dict[tuple[str, str | None], int] = {}
    for i in others:
        violation = verdicts[i].first_violation
        kinds.setdefault((verdicts[i].status, violation.requirement if violation else verdicts[i].code), i)
    first = list(kinds.values())
    return sorted([*passes[:1], *first, *(i for i in others if i not in first)][:MOST_RUNS])


def curves_of(run: Run, verdict: Verdict) -> list[Curve]:
    """The margin of every requirement from moment to moment, without what its temporal operators make of it."""
    h = run.task.timestep
    decided = None if run.finding.decided is None else run.finding.decided * h
    violated = verdict.first_violation.requirement if verdict.first_violation else None
    return [
        Curve(
            name=name,
            unit=margin.unit,
            time=np.arange(run.last + 1, dtype=np.float64) * h,
            margin=_curve(run, c, margin),
            decided_at=decided,
            violated=name == violated or (margin.value is not None and margin.value < 0),
        )
        for c, (name, margin) in enumerate(run.finding.margins.items())
    ]


def frames_of(run: Run, verdict: Verdict, painter: Painter) -> list[Frame]:
    """Pictures of the moments that mattered, in order."""
    frames = []
    for sample, caption in moments(run, verdict).items():
        data = run.task.scene.data(run.state_at(sample))
        mujoco.mj_forward(run.task.scene.model, data)
        frames.append(Frame(sample * run.task.timestep, painter.paint(data), caption))
    return frames


def moments(run: Run, verdict: Verdict) -> dict[int, str]:
    """Sample -> a few words: the start, what decided, the closest call, the end, and some in between."""
    last, finding = run.last, run.finding
    wanted: list[tuple[int, str]] = []
    if verdict.first_violation is not None and finding.decided is not None:
        name = verdict.first_violation.requirement
        wanted.append((finding.decided, f"{name} is violated"))
        wanted.append(_extreme(run, name))
    elif verdict.status == "PASS" and finding.decided is not None:
        wanted.append((finding.decided, "every requirement holds"))
        kept = [name for name, _ in _requirements(run) if not _is_goal(run, name)]
        margins = {name: m.relative for name, m in finding.margins.items() if name in kept and m.relative is not None}
        if margins:
            wanted.append(_extreme(run, min(margins, key=lambda n: margins[n])))
    elif verdict.status == "INVALID":
        wanted.append((last, "the last state that can be believed"))
    else:
        wanted += [_extreme(run, name) for name, m in finding.margins.items() if m.value is None][:1]
    wanted += [(0, "start"), (last, "end")]
    return _filled(_apart(wanted, run.task.substeps), last)


def _extreme(run: Run, name: str) -> tuple[int, str]:
    """When a goal was closest before it was too late, or a guard furthest down."""
    c = [n for n, _ in _requirements(run)].index(name)
    curve = _curve(run, c, run.finding.margins[name])
    if _is_goal(run, name):
        curve = curve[: None if run.finding.decided is None else run.finding.decided + 1]
    if np.isnan(curve).all():
        return 0, "start"
    if _is_goal(run, name):
        return int(np.nanargmax(curve)), f"{name} is closest"
    least = int(np.nanargmin(curve))
    return least, f"{name} is at its {'worst' if curve[least] < 0 else 'tightest'}"


def _requirements(run: Run) -> list[tuple[str, Formula]]:
    bound = run.task.scene.bound
    return list(zip(bound.names, bound.formulas, strict=True))


def _is_goal(run: Run, name: str) -> bool:
    return dict(_requirements(run))[name][0] in GOALS


def _apart(wanted: Sequence[tuple[int, str]], least: int) -> dict[int, str]:
    """The moments in order of time, without those that come right before or after an earlier one of the list."""
    kept: dict[int, str] = {}
    for sample, caption in wanted:
        if all(abs(sample - other) >= least for other in kept):
            kept[sample] = caption
    return dict(sorted(kept.items()))


def _filled(kept: Mapping[int, str], last: int) -> dict[int, str]:
    """With more moments, in the middle of the widest gaps, until there are enough."""
    filled = dict(kept)
    while len(filled) < min(FRAMES, last + 1):
        times = sorted(filled)
        width, before = max((b - a, a) for a, b in zip(times, [*times[1:], last + 1], strict=True))
        if width < 2:
            break
        filled[before + width // 2] = ""
    return dict(sorted(filled.items()))


def _curve(run: Run, c: int, margin: Margin) -> Floats:
    """(K,) the condition of requirement c at each sample, in the unit of its margin; NaN where it is not asked for."""
    bound = run.task.scene.bound
    formula, samples = bound.formulas[c], run.margins.shape[1]
    scales = np.array([atom.scale for atom in bound.atoms])[:, None]
    curve = np.array(_condition(formula, run.margins / scales)) * margin.scale
    first, stop = _asked(formula, run.task.samples)
    k = np.arange(samples)
    return np.where((k >= first) & (k <= stop), curve, np.nan)


def _condition(formula: Formula, atoms: Floats) -> Floats:
    """(K,) what a formula says of one sample alone; atoms (A, K) in margin scales."""
    match formula:
        case ("atom", i):
            return np.asarray(atoms[i])
        case ("and" | "or") as op, *parts:
            fold = np.minimum if op == "and" else np.maximum
            return np.asarray(fold.reduce([_condition(part, atoms) for part in parts]))
        case ("until", _, _, left, right):
            return np.maximum(_condition(left, atoms), _condition(right, atoms))
        case ("release", _, _, _, right):
            return _condition(right, atoms)
        case (_, *_, part):
            return _condition(part, atoms)
    raise ValueError(f"Unknown operator {formula[0]!r} in a compiled formula.")


def _asked(formula: Formula, horizon: int) -> tuple[int, int]:
    """First and last sample that a requirement looks at. What must hold at the end is shown from the start."""
    if formula[0] in ("always", "eventually"):
        first, stop = _asked(formula[3], horizon)
        low, high = formula[1], formula[2]
        return low + first, horizon if high is None else min(high + stop, horizon)
    if formula[0] == "atom":
        return 0, 0
    if formula[0] in ("and", "or"):
        spans = [_asked(part, horizon) for part in formula[1:]]
        return min(s[0] for s in spans), max(s[1] for s in spans)
    return 0, horizon


def _written(raw: object) -> str:
    """What the model wrote, or the line of the plans file."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, Mapping):
        text: Any = raw.get("text")
        return text if isinstance(text, str) else json.dumps(dict(raw), default=repr)
    return str(getattr(raw, "reason", ""))
