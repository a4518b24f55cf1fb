"""A proposer for machines without a model: good, clumsy and wrong plans of a task, in every format that it reads.

For demonstrations, tests and benchmarks, wherever the texts of a model are wanted and there is none:
`wv.verify(task, propose_scripted(task, 64, seed=3), seed=3)`. The same arguments give the same texts.
"""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.compile import compile_for
from worldverify.encode import as_text
from worldverify.nearest import did_you_mean
from worldverify.plan import Plan
from worldverify.proposing.scripted_base import BaseWriter
from worldverify.proposing.scripted_errors import CLUMSY, clumsy_calls, wrong_calls, wrong_numbers
from worldverify.proposing.scripted_material import Material, Way, line_of, material_of
from worldverify.proposing.scripted_text import damaged, wrapped
from worldverify.refusal import Refusal
from worldverify.syntax import form_of
from worldverify.syntax.form import Actions
from worldverify.task import Task

Floats = NDArray[np.float64]
Generator = np.random.Generator

KINDS = ("good", "clumsy", "wrong")
IN_WORDS = ("skill", "image")  # spaces whose plans are calls or points, not motions


def propose_scripted(
    task: Task, n: int, *, seed: int = 0, first: int = 0, formats: Sequence[str] | None = None
) -> list[dict[str, object]]:
    """`n` lines of a plans file for the start of a seed, from number `first` on: a third each good, clumsy and wrong.

    The id says which ("PickCube-v0/scripted/clumsy/17"), and "proposal" what was done. `formats` are the ones to write
    in; None means all that the good plan can be written in. A good plan passes unless it is good by
    its timing and the format cannot say when. A clumsy one is a good plan carried out badly, and may pass. A wrong one
    cannot be read, or means something else than it says, and passes only where that does not matter. A line depends on
    its number and the seed, not on `n`. Raises ValueError for a format that does not fit.
    """
    writer = _writer(task, seed)
    names = _chosen(writer, task, formats)
    lines = []
    for number in range(first, first + n):
        kind = KINDS[number % len(KINDS)]
        generator = np.random.default_rng((seed, number))
        format = names[int(generator.integers(len(names)))]
        line, what = writer.line(kind, format, generator)
        noted = {"model": "scripted", "kind": kind, "format": format, "what": what, "seed": seed}
        lines.append({"id": f"{task.name}/scripted/{kind}/{number}", **line, "proposal": noted})
    return lines


def scripted_formats(task: Task, *, seed: int = 0) -> tuple[str, ...]:
    """The formats that the good plan of a task can be written in, from the start of a seed."""
    return _writer(task, seed).formats


def _writer(task: Task, seed: int) -> "Writer":
    if task.arm is not None:
        return _ArmWriter(task, seed)
    return _ControlWriter(task, seed) if task.base is None else BaseWriter(task, seed)


def _chosen(writer: "Writer", task: Task, formats: Sequence[str] | None) -> Sequence[str]:
    for name in formats or ():
        if name not in writer.formats:
            hint = did_you_mean(name, writer.formats)
            raise ValueError(f"The good plan of {task.name} cannot be written in {name!r}. {hint}")
    return writer.formats if formats is None else tuple(formats)


class _ArmWriter:
    """Writes plans of a task with an arm."""

    def __init__(self, task: Task, seed: int) -> None:
        if task.good is None:
            raise ValueError(f"{task.name} has no good plan that others could be made from.")
        self.material: Material = material_of(task, seed)
        self.ways: dict[str, Way] = self.material.ways()
        self.formats = tuple(self.ways)

    def line(self, kind: str, format: str, generator: Generator) -> tuple[dict[str, object], str]:
        """The keys of a line, and what was done."""
        way = self.ways[format]
        spec = way.spec
        broken = kind == "wrong" and generator.random() < 0.5
        if kind == "wrong" and not broken:
            actions, what = self._wrong(way, generator)
        elif kind == "clumsy":
            actions, what = self._clumsy(way, generator)
        else:
            actions, what = self._good(way, generator), "as it should be"
        own = format in self.material.task.contracts
        plan = Plan(None, format, None, actions, contract=None if own else spec)
        text = as_text(plan, self.material.task.contracts)
        if broken:
            text, what = damaged(text, generator)
        elif form_of(spec).text is None:
            text = wrapped(text, generator)
        known = own and form_of(spec).key is not None and spec.space != "ctrl"
        rate = self.material.rate_of(spec)
        return {**({} if known else line_of(spec, own, rate, actions)), "text": text}, what

    def _good(self, way: Way, generator: Generator) -> Actions:
        spec, material = way.spec, self.material
        if spec.space == "skill":
            return material.calls(spec)
        if spec.space == "image":
            return material.points(spec)
        if spec.space == "ctrl":
            return self._controls()
        longest = 1.0 + 0.15 * generator.random() if spec.syntax not in ("trajectory", "voxels") else 1.0
        try:
            return material.written(spec, material.motion(material.rate_of(spec), round(way.slower * longest, 3)))
        except Refusal:
            return material.written(spec, material.motion(material.rate_of(spec), way.slower))

    def _clumsy(self, way: Way, generator: Generator) -> tuple[Actions, str]:
        spec, material = way.spec, self.material
        if spec.space == "skill":
            calls = material.calls(spec)
            ways = clumsy_calls(calls, generator)
            for name in generator.permutation(list(ways)).tolist():
                if _can_say(spec, ways[name]):
                    return ways[name], name
            return calls, "as it should be"
        if spec.space == "image":
            off = generator.normal(0.0, 12.0, 2)
            marks = material.points(spec)
            points = tuple(
                {**one, "point": [float(round(x + d)) for x, d in zip(one["point"], off, strict=True)]} for one in marks
            )
            return points, "a little beside"
        if spec.space == "ctrl":
            low, high = material.task.scene.model.actuator_ctrlrange.T
            shaken: Floats = self._controls() + generator.normal(0.0, 0.02, len(low))
            return np.clip(shaken, low, high), "a little off"
        motion = material.motion(material.rate_of(spec), way.slower)
        for name in generator.permutation(list(CLUMSY)).tolist():
            try:
                return material.written(spec, CLUMSY[name](motion, generator)), name
            except Refusal:  # the format has no words for it: too fast, for instance
                continue
        raise AssertionError("A shorter part of a motion can be written wherever all of it can.")

    def _wrong(self, way: Way, generator: Generator) -> tuple[Actions, str]:
        spec = way.spec
        if spec.space != "skill":
            return wrong_numbers(spec, self._good(way, generator), generator)
        good = self.material.calls(spec)
        calls, what = wrong_calls(good, self.material.task.objects, generator)
        return (calls, what) if _can_say(spec, calls) else (good, "as it should be")

    def _controls(self) -> Floats:
        (made,) = compile_for(self.material.task, self.material.state[None], [self.material.good])
        if isinstance(made, Refusal):
            raise made
        return np.round(made.controls, 5)


def _can_say(spec: ActionSpec, calls: Actions) -> bool:
    try:
        as_text(Plan(None, spec.name, None, calls, contract=spec), {})
    except ValueError:
        return False
    return True


class _ControlWriter:
    """Writes plans of a task without an arm: raw controls."""

    formats = ("ctrl",)

    def __init__(self, task: Task, seed: int) -> None:
        self.task = task
        model = task.scene.model
        limited = model.actuator_ctrllimited.astype(bool)
        self.low = np.where(limited, model.actuator_ctrlrange[:, 0], -1.0)
        self.high = np.where(limited, model.actuator_ctrlrange[:, 1], 1.0)
        self.good: Floats = np.zeros((task.steps, model.nu)) + 0.5 * (self.low + self.high)
        if task.good is not None:
            (made,) = compile_for(task, task.start(seed)[None], [task.good])
            if isinstance(made, Refusal):
                raise made
            self.good = made.controls
        # Where "actions" mean something else, the line says that these are controls.
        named = next(iter(task.contracts)) != "ctrl"
        self.keys: dict[str, object] = {"format": "ctrl", "rate_hz": task.rate} if named else {}

    def line(self, kind: str, format: str, generator: Generator) -> tuple[dict[str, object], str]:
        """The keys of a line, and what was done."""
        span = self.high - self.low
        rows, what = self.good, "as it should be"
        if kind == "clumsy":
            ways: dict[str, Floats] = {
                "shaking": np.clip(rows + generator.normal(0.0, 0.1, rows.shape) * span, self.low, self.high),
                "too weak": rows * generator.uniform(0.2, 0.8),
                "stops half way": rows[: max(1, int(generator.uniform(0.2, 0.8) * len(rows)))],
                "at random": generator.uniform(self.low, self.high, rows.shape),
            }
            what = str(generator.choice(list(ways)))
            rows = ways[what]
        if kind == "wrong":
            others: dict[str, Floats] = {
                "backwards": rows[::-1],
                "the other sign": np.clip(-rows, self.low, self.high),
                "out of range": self.high + span + 0.0 * rows,
                "one number too many": np.concatenate([rows, rows[:, :1]], axis=1),
            }
            what = str(generator.choice(list(others)))
            rows = others[what]
        text = json.dumps({"actions": np.round(rows, 5).tolist()})
        if kind == "wrong" and generator.random() < 0.5:
            text, what = damaged(text, generator)
        else:
            text = wrapped(text, generator)
        return {**self.keys, "text": text}, what


Writer = _ArmWriter | _ControlWriter | BaseWriter
