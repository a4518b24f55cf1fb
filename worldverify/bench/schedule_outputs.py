"""How often real models repeat themselves: rates of collected outputs, where there are several to one prompt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldverify.plan import Plan, admit
from worldverify.plansfile import read_plans
from worldverify.refusal import Refusal

# How outputs of a class are read: the preset, and what the task would know of it.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "skill_json": {"format": "task-sequence"},
    "ee_delta_chunk": {"format": "openvla-oft-libero", "rate_hz": 20.0, "contract": {"statistics": "applied"}},
    "ee_abs_pose_discrete_json": {"format": "voxel-bins"},
}


@dataclass(frozen=True)
class Samples:
    """What became of the outputs to one prompt."""

    source: str  # folder
    outputs: int
    malformed: int  # not admitted
    verbatim: int  # the same, letter for letter, as one before
    equal: int  # of the admitted, equal to one before
    shared: float | None  # mean share of its actions that a plan has in common with its nearest sibling


def output_rates(folder: str | Path) -> list[Samples]:
    """Rates of every prompt with two outputs or more. Raises OSError or ValueError if the folder has no manifest."""
    folder = Path(folder)
    prompts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for text in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line.get("instruction") and line.get("format_class") in PRESETS and _wanted(line["path"]):
            prompts.setdefault((line["path"].split("/")[0], line["instruction"]), []).append(line)
    return [
        samples_of(
            source,
            [_admitted(folder, line) for line in lines],
            [(folder / line["path"]).read_bytes() for line in lines],
        )
        for (source, _), lines in prompts.items()
        if len(lines) > 1
    ]


def samples_of(source: str, admitted: Sequence[Plan | Refusal], written: Sequence[bytes]) -> Samples:
    """The rates of the outputs to one prompt, as they became plans and as they were written."""
    plans = [_actions(plan) for plan in admitted if isinstance(plan, Plan)]
    distinct = list(dict.fromkeys(plans))
    shared = None
    if len(distinct) > 1:
        shared = float(np.mean([max(_common(a, b) for b in distinct if b is not a) / len(a) for a in distinct]))
    repeats = len(written) - len(set(written))
    return Samples(source, len(admitted), len(admitted) - len(plans), repeats, len(plans) - len(distinct), shared)


def output_line(samples: Sequence[Samples]) -> str:
    """What the samples come to, in a sentence."""
    if not samples:
        return "Real outputs: no prompt of this folder has two outputs that could be plans."
    outputs, malformed = sum(s.outputs for s in samples), sum(s.malformed for s in samples)
    said = (
        f"Real outputs: {outputs} to {len(samples)} prompts, {sum(s.verbatim for s in samples)} of them verbatim "
        f"repeats; {malformed / outputs:.0%} are not admitted, and {sum(s.equal for s in samples)} of the "
        f"{outputs - malformed} others repeat a sibling"
    )
    measured = [s.shared for s in samples if s.shared is not None]
    if not measured:
        return said + "; no prompt has two distinct plans, so what they share is not known."
    return said + f"; {np.mean(measured):.0%} of a distinct plan's actions are those its nearest sibling begins with."


def _wanted(path: str) -> bool:
    """Whether a file is one output: a log in lines holds several, of different moments."""
    return not path.endswith(".jsonl")


def _admitted(folder: Path, line: Mapping[str, Any]) -> Plan | Refusal:
    (candidate,) = read_plans(folder / line["path"], declared=True)
    preset = PRESETS[line["format_class"]]
    try:
        if isinstance(candidate, dict):
            actions = candidate.get("actions")
            if isinstance(actions, np.ndarray) and actions.ndim == 3:  # chunks, one after the other
                candidate = candidate | {"actions": actions.reshape(-1, actions.shape[2])}
            candidate = {**preset, **candidate}
        return admit(candidate, contracts={}, default_rate=0.0)
    except Refusal as refusal:
        return refusal


def _actions(plan: Plan) -> tuple[str, ...]:
    """What identifies each action of a plan."""
    rows = plan.actions
    return tuple(row.tobytes().hex() if isinstance(row, np.ndarray) else repr(row) for row in rows)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many actions two plans begin with in common."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return i
    return min(len(one), len(other))
