"""What must hold of every text, however it was mangled, and a seeded stream of mangled texts.

Each text is read under declared formats. What is read becomes a plan or a refusal with a code and a sentence; nothing
else is raised, no warning is printed, and time and memory stay bounded. A plan reads itself back from its own JSON.

No PASS comes from garbage. What a text asks for is known to nobody but its writer, so this law has four parts:

1. A text that is a plan and nothing else, broken so that no reader could take it for one, is refused.
2. The same text with something harmless around it is the same plan.
3. A plan says nothing that its text does not: each of its numbers is a whole word of the text, rows of numbers in
   their order, and so is each name. (A gripper may be clipped and a quaternion scaled, each with a warning; programs
   may compute, so that of calls only the names are looked for.)
4. A plan that passes the physics has the controls of the plan it was made from, so that nothing of what it means has
   changed; or it is listed, and its own JSON, judged alone by another verifier, gives the same digest.
"""

import json
import random
import re
import signal
import time
import tracemalloc
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import mutating
import numpy as np
from fuzz_corpus import CALLS, UNDECLARED, Seed, declared, task_of, tasks

import worldverify as wv
from worldverify.action import TIMED
from worldverify.compile import Compiled, compile_for
from worldverify.plan import Plan, admit
from worldverify.refusal import CODES, Refusal
from worldverify.syntax import form_of

SLOW = 10.0  # s of this process's CPU time, for one text under one format: what takes longer hangs
WEIGHED = 20  # one text in so many has its memory measured
LONG = 16_384  # characters, and each text that is longer
LARGE = 128 * 2**20  # bytes that reading one text may take
SAME_CONTROLS = 1e-3  # rad and m: two lists of controls that ask the robot for the same
SCALED = 1.1e-3  # relative: of a quaternion that was written with a few digits
LONGEST_REASON = 2_000  # characters


class Mutant(NamedTuple):
    """A mangled text."""

    number: int  # in the stream of its seed
    text: str | bytes
    seed: Seed
    mutations: tuple[str, ...]
    expects: str  # "anything", "refusal" or "same"


@dataclass(frozen=True)
class Examined:
    """What came of one text under one format."""

    plan: Plan | None
    code: str  # of the refusal, or "" for a plan
    cpu_s: float
    peak: int  # bytes, or 0 where it was not measured
    problems: tuple[str, ...]  # laws that were broken


class Judged(NamedTuple):
    """What came of one plan."""

    status: str
    code: str | None
    kept: bool  # it has the controls of the plan that its text was made from
    digest: str
    problems: tuple[str, ...]


class Problem(NamedTuple):
    """A law that was broken."""

    number: int
    format: str
    seed: str
    mutations: tuple[str, ...]
    what: str
    text: str | bytes


def mutant(seed: int, number: int, corpus: Sequence[Seed]) -> Mutant:
    """The text of a number, of a seed: always the same."""
    generator = random.Random(f"{seed}/{number}")
    one, other = generator.choice(corpus), generator.choice(corpus).text
    spec = declared()[one.format].spec
    drawn = generator.random()
    expects, wanted = "anything", 0
    kinds = (*mutating.WILD, *(mutating.HUGE if generator.random() < 0.03 else ()))
    if one.strict and drawn < 0.2:
        kinds, wanted = (mutating.HOPELESS_CALLS if one.is_program else mutating.HOPELESS_JSON), 1
        expects = "refusal"
    elif one.ours and drawn < 0.35:
        kinds, wanted = (mutating.HARMLESS_CALLS if one.is_program else mutating.HARMLESS_JSON), 1
        if spec is not None and form_of(spec).joined:
            kinds = tuple(kind for kind in kinds if kind is not mutating.twice)
        expects = "same"
    elif drawn < 0.4:
        kinds = (*kinds, *mutating.HOPELESS_JSON, *mutating.HARMLESS_JSON)
    text: str | bytes = one.text
    done: list[str] = []
    for _ in range(wanted or generator.choice((1, 1, 1, 2, 3, 4))):
        plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
        mutation = generator.choice(kinds)
        changed = mutation(generator, plain, other)
        if changed is not None:
            text = changed
            done.append(mutation.__name__)
    return Mutant(number, text, one, tuple(done), expects if done else "anything")


class Hung(BaseException):
    """A text took longer than SLOW."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises Hung once this process has used so much CPU time."""

    def stop(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def examine(candidate: object, format: str, *, weigh: bool = False) -> Examined:
    """Read a text, or a line of a plans file, under one declared format and check what must hold of any.

    `weigh`: measure the memory.
    """
    problems: list[str] = []
    plan, code, peak = None, "", 0
    if weigh:
        tracemalloc.start()
    clock = time.thread_time()
    try:
        with limited(SLOW), warnings.catch_warnings():
            warnings.simplefilter("error")
            plan = _admitted(candidate, format)
    except Refusal as refusal:
        code = refusal.code
        problems += _faults_of(refusal)
    except Hung:
        problems.append(f"hangs: more than {SLOW:g} s")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        problems.append(f"raises {type(error).__name__}: {str(error)[:200]}")
    cpu_s = time.thread_time() - clock
    if weigh:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if peak > LARGE:
            problems.append(f"takes {peak / 2**20:.0f} MiB")
    if plan is not None:
        problems += _faults_of_plan(plan, candidate, format)
    return Examined(plan, code, cpu_s, peak, tuple(problems))


def _admitted(candidate: object, format: str) -> Plan:
    task = task_of(format)
    kind = declared()[format].format
    return admit(candidate, contracts=task.contracts, default_rate=task.rate, task=task.name, format=kind)


def _faults_of(refusal: Refusal) -> Iterator[str]:
    reason = refusal.reason
    if refusal.code not in CODES or refusal.cause != "plan":
        yield f"refused with code {refusal.code!r} and cause {refusal.cause!r}"
    if not 10 < len(reason) < LONGEST_REASON or len(reason.splitlines()) != 1 or reason[-1] not in ".?":
        yield f"the reason is not one sentence: {reason[:300]!r}"
    try:
        reason.encode("utf-8")
    except UnicodeEncodeError:
        yield f"the reason is no valid Unicode: {reason[:300]!r}"


def _faults_of_plan(plan: Plan, candidate: object, format: str) -> Iterator[str]:
    try:
        line = json.loads(json.dumps(plan.to_json(), allow_nan=False))
        again = admit(line, contracts=task_of(format).contracts, default_rate=task_of(format).rate)
        if again != plan or hash(again) != hash(plan):
            yield "its own JSON is another plan"
    except Exception as error:
        yield f"its own JSON is not read back: {type(error).__name__}: {str(error)[:200]}"
    yield from invented(
        plan, candidate if isinstance(candidate, str | bytes) else json.dumps(candidate, default=str), format
    )


def line_of(text: str | bytes, format: str) -> Mapping[str, object] | None:
    """The line of a plans file whose actions are the JSON that the text is, if it is any."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kind, spec = declared()[format]
    rate = spec.rate_hz if spec is not None and spec.syntax in TIMED else None
    return {"format": kind, "rate_hz": rate, "actions": value} if isinstance(value, dict | list) and kind else None


def sound(mutant: Mutant, examined: Examined) -> Iterator[str]:
    """What must hold under the format of a text of ours, because of how it was mangled."""
    if mutant.expects == "refusal" and examined.plan is not None:
        yield f"reads a plan out of a broken text ({mutant.mutations[0]})"
    if mutant.expects == "same":
        if examined.plan is None:
            yield f"refuses what is harmless ({mutant.mutations[0]}): {examined.code}"
        elif examined.plan != original(mutant.seed):
            yield f"reads another plan where something harmless was added ({mutant.mutations[0]})"


@cache
def original(seed: Seed) -> Plan:
    """The plan of a text of ours."""
    return _admitted(seed.text, seed.format)


_WORD = re.compile(r"[+-]?(?:(?<=[0-9.])[eE][+-](?=[0-9])|[\w.])+")
_NUMERIC = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf]))")
_GLUE = re.compile(r"[\s\"'\\]+")


def invented(plan: Plan, text: str | bytes, format: str) -> Iterator[str]:
    """Numbers and names of a plan that do not stand in its text."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    said = _ESCAPED.sub(lambda found: chr(int(found[1] or found[2] or "20", 16)), said)
    glued = _GLUE.sub("", said)
    spec = plan.contract or task_of(format).contracts[plan.format]
    for name in _names(plan.to_json()["actions"]):
        if _GLUE.sub("", name) not in glued:
            yield f"names {name!r}, which the text does not"
    if spec.syntax in CALLS or (spec.syntax == "trajectory" and "execute_trajectory" in said):
        return
    words = [float(word) for word in _WORD.findall(said) if _NUMERIC.fullmatch(word)]
    clipped = any("clipped" in sentence for sentence in plan.warnings)
    bounds = (spec.gripper.low, spec.gripper.high) if clipped and spec.gripper is not None else ()
    numbers = [(x, key) for x, key in _numbers(plan.to_json()["actions"]) if x not in bounds]
    if spec.syntax in ("rows", "voxels"):
        rest = iter(words)
        missing = [x for x, _ in numbers if x not in rest]  # in their order: `in` moves the iterator on
    else:
        known = set(words)
        missing = [x for x, key in numbers if x not in known and not (key == "orientation" and _is_near(x, words))]
    if missing:
        yield f"has the number {missing[0]!r}, which the text does not"


def _is_near(x: float, words: list[float]) -> bool:
    return any(abs(x - word) <= SCALED * abs(word) for word in words)


def _names(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and key in ("object", "target", "label"):
                yield item
            yield from _names(item)
    elif isinstance(value, list | tuple):
        if len(value) == 3 and isinstance(value[0], str) and value[1] in ("x", "y", "z"):
            yield value[0]  # the object that a coordinate depends on
        for item in value:
            yield from _names(item)


def _numbers(value: object, key: str = "") -> Iterator[tuple[float, str]]:
    """The numbers in a value, each with the key that it stands under."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _numbers(item, str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value), key


@dataclass
class Tally:
    """What came of many texts, each under several formats."""

    codes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by format; "" is a plan
    cpu_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peak: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # bytes, the most that was measured
    lines: int = 0  # texts that were also read as a line of a plans file
    weighed: int = 0  # readings whose memory was measured
    mutations: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    plans: dict[tuple[str, Plan], Mutant] = field(default_factory=dict)  # (task, plan) -> the first text that is it

    def add(self, other: "Tally") -> None:
        """Takes in another one."""
        for format, codes in other.codes.items():
            self.codes[format] += codes
            self.cpu_s[format] += other.cpu_s[format]
            self.peak[format] = max(self.peak[format], other.peak[format])
        self.lines += other.lines
        self.weighed += other.weighed
        self.mutations += other.mutations
        self.problems += other.problems
        for key, mutant in other.plans.items():
            if key not in self.plans or mutant.number < self.plans[key].number:
                self.plans[key] = mutant


def sweep(seed: int, numbers: Iterable[int], corpus: Sequence[Seed], *, others: int | None) -> Tally:
    """Reads the texts of these numbers, each under its own format, none, and `others` more; None: under all."""
    tally = Tally()
    for number in numbers:
        one = mutant(seed, number, corpus)
        tally.mutations.update(one.mutations)
        for format in formats_for(one, others):
            weigh = number % WEIGHED == 0 or (len(one.text) > LONG and format == one.seed.format)
            found = examine(one.text, format, weigh=weigh)
            tally.codes[format][found.code] += 1
            if not weigh:
                tally.cpu_s[format].append(found.cpu_s)
            tally.weighed += weigh
            tally.peak[format] = max(tally.peak[format], found.peak)
            broken = (*found.problems, *(sound(one, found) if format == one.seed.format else ()))
            tally.problems += [Problem(number, format, one.seed.name, one.mutations, what, one.text) for what in broken]
            if found.plan is not None:
                tally.plans.setdefault((task_of(format).name, found.plan), one)
        line = line_of(one.text, one.seed.format)
        if line is not None:
            tally.lines += 1
            said = examine(line, one.seed.format).problems
            tally.problems += [
                Problem(number, "a line of " + one.seed.format, one.seed.name, one.mutations, what, one.text)
                for what in said
            ]
    return tally


def judge(plans: Sequence[tuple[str, Plan, Seed]]) -> list[Judged]:
    """Physics of plans, each with the name of its task and the text it was made from."""
    results: dict[int, Judged] = {}
    for task in tasks().values():
        rows = [i for i, (name, _, _) in enumerate(plans) if name == task.name]
        verifier = wv.LocalVerifier(threads=1)
        verdicts = verifier.verify(task, [plans[i][1] for i in rows])
        verifier.close()
        for i, verdict in zip(rows, verdicts, strict=True):
            passed = verdict.status == "PASS"
            kept = passed and _is_kept(task, plans[i][1], plans[i][2])
            problems = []
            if verdict.status == "INVALID" and (verdict.cause != "plan" or verdict.code not in CODES):
                problems.append(f"INVALID with cause {verdict.cause} ({verdict.code}): {verdict.reason[:200]}")
            if passed and not kept:
                line = json.loads(json.dumps(verdict.request["plan"], allow_nan=False))
                again = wv.verify(task, [line], threads=1)[0]
                if again.digest != verdict.digest:
                    problems.append(f"a PASS that is {again.status} when its own JSON is judged alone")
            results[i] = Judged(verdict.status, verdict.code, kept, verdict.digest, tuple(problems))
    return [results[i] for i in range(len(plans))]


def _is_kept(task: wv.Task, plan: Plan, seed: Seed) -> bool:
    """Whether a plan has the controls of the one that its text was made from."""
    before = controls_of(seed) if seed.ours and task_of(seed.format) is task else None
    (made,) = compile_for(task, task.start(0)[None], [plan])
    if before is None or not isinstance(made, Compiled) or made.controls.shape != before.shape:
        return False
    return bool(np.abs(made.controls - before).max() <= SAME_CONTROLS)


@cache
def controls_of(seed: Seed) -> Any:
    """(T, nu) controls of a text of ours, or None if its task cannot do it."""
    task = task_of(seed.format)
    (made,) = compile_for(task, task.start(0)[None], [original(seed)])
    return made.controls if isinstance(made, Compiled) else None


def formats_for(mutant: Mutant, most: int | None) -> Iterable[str]:
    """The format of the text, none, and up to `most` others, drawn by its number; None: all of them."""
    own = dict.fromkeys((mutant.seed.format, UNDECLARED))
    others = [format for format in declared() if format not in own]
    if most is not None:
        others = random.Random(mutant.number).sample(others, min(most, len(others)))
    return [*own, *others]
