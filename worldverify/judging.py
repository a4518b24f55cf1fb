"""What the commands verify and replay do: files in, verdicts out, and nothing lost on the way."""

import difflib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.budget import Budget, First
from worldverify.engines.backend import EngineRefused, On
from worldverify.local import LocalVerifier
from worldverify.options import output
from worldverify.outputs import Output, ready_folder
from worldverify.planpaths import plans_of
from worldverify.progress import Progress
from worldverify.replay import ask_again
from worldverify.table import count_line, engine_lines, judges, printable, step_lines, verdict_lines, warning_lines
from worldverify.task import NOMINAL, Task
from worldverify.trials.rules import Trials
from worldverify.trials.run import check_varies
from worldverify.usage import UsageError, cannot_read, cannot_write
from worldverify.verdict import Verdict, Verdicts
from worldverify.verifier import Fidelity, Interrupted, Rank
from worldverify.verify import verify

VERDICTS = "verdicts.jsonl"  # in the folder of a report


@dataclass(frozen=True)
class Wanted:
    """What a caller wants of a run."""

    seed: int = 0
    margins: Literal["decided", "full"] = "decided"
    randomise: Literal["start", "all"] = "start"
    threads: int | None = None
    on: On = "auto"
    engine: str | None = None
    impl: str | None = None
    json: str | None = None  # file for verdict lines, "-" for the standard output
    report: str | None = None  # folder
    format: ActionSpec | None = None  # of plans that name none
    most_steps: int | None = None  # physics substeps
    most_seconds: float | None = None
    most_money: float | None = None  # in the currency of the price file
    first: First = "given"
    rank: Rank | None = None
    fidelity: Fidelity = "reference"
    trials: Trials | None = None
    keep_start: bool = False  # in all trials that of the seed

    def start(self, task: Task) -> NDArray[np.float64] | None:
        """(nstate,) where all trials begin; None where each draws its own."""
        return task.start(self.seed) if self.keep_start else None

    @property
    def budget(self) -> Budget | None:
        """None where there is no limit."""
        if self.most_steps is None and self.most_seconds is None and self.most_money is None:
            return None
        return Budget(self.most_steps, self.most_seconds, self.most_money, self.first)


def judge_files(task: Task, paths: Sequence[str], wanted: Wanted) -> bool:
    """Judge the plans in files; whether some could not be judged for a reason that is neither theirs nor the task's."""
    return judge_plans(task, plans_of(paths, declared=wanted.format is not None), wanted)


def judge_plans(task: Task, plans: Sequence[object], wanted: Wanted) -> bool:
    """The same for plans at hand. Files are tried before anything is simulated, and appear whole or not at all."""
    if wanted.trials is not None:
        try:
            check_varies(task, wanted.start(task))
        except ValueError as error:
            raise UsageError(str(error)) from None
    try:
        return _judge(task, plans, wanted)
    except EngineRefused as error:
        raise UsageError(str(error)) from None


def _judge(task: Task, plans: Sequence[object], wanted: Wanted) -> bool:
    with ExitStack() as files:
        outputs = _outputs(wanted, files)
        began = time.perf_counter()
        interrupted = False
        with Progress("Judging", plans=len(plans)) as progress:
            try:
                verdicts = verify(
                    task,
                    plans,
                    on=wanted.on,
                    engine=wanted.engine,
                    impl=wanted.impl,
                    seed=wanted.seed,
                    state=wanted.start(task),
                    margins=wanted.margins,
                    randomise=wanted.randomise,
                    threads=wanted.threads,
                    watch=progress,
                    format=wanted.format,
                    budget=wanted.budget,
                    rank=wanted.rank,
                    fidelity=wanted.fidelity,
                    trials=wanted.trials,
                )
            except Interrupted as early:
                verdicts, interrupted = early.verdicts, True
        took_s = time.perf_counter() - began
        lines = "".join(json.dumps(v.to_json(), allow_nan=False) + "\n" for v in verdicts)
        saved = [_saved(output, lines) for output in outputs]
    page, trouble = None, list[str]()
    if wanted.report is not None and not interrupted:
        page, trouble = _report(task, verdicts, plans, wanted, took_s)
    if wanted.json == "-":
        sys.stdout.write(lines)
    listing = sys.stderr if wanted.json == "-" else sys.stdout
    for line in verdict_lines(verdicts, width=_width(listing), colour=_coloured(listing)):
        print(line, file=listing)
    print(f"\n{count_line(verdicts)} Judged in {took_s:.2f} s.", file=listing)
    for line in (*step_lines(verdicts), *engine_lines(verdicts), *warning_lines(verdicts)):
        print(line, file=listing)
    if verdicts.audit is not None:
        print(verdicts.audit, file=listing)
    if wanted.randomise == "all" and task.domain == NOMINAL:
        print(
            f"{task.name} declares no domain, so only its start was drawn: see Domain in docs/tasks.md.", file=listing
        )
    _tell_of_shared_names(verdicts)
    if page is not None:
        print(f"Report: {page}", file=listing)
    if not all(saved):
        raise UsageError("Not everything was written: see above.")
    if interrupted:
        raise KeyboardInterrupt
    for sentence in trouble:
        print(f"worldverify: {printable(sentence)}", file=sys.stderr)
    return bool(trouble) or any(v.status == "INVALID" and v.cause == "infra" for v in verdicts)


def replay_file(
    path: str, find: Callable[[str], Task], *, ids: Sequence[str] | None = None, threads: int | None = None
) -> bool:
    """Judge every verdict line of a file again; whether all digests are the same."""
    lines = _verdict_lines(path)
    if ids is not None:
        lines = _of_ids(path, lines, ids)
    verifier = LocalVerifier(threads=threads)
    found: list[tuple[str, str, str]] = []
    with Progress("Replaying") as progress:
        for number, (name, line) in enumerate(lines, 1):
            try:
                answer = ask_again(verifier, find(str(line.get("task"))), line)
                found.append((answer.outcome, name, answer.reason))
            except (UsageError, ValueError, TypeError) as error:
                found.append(("cannot", name, f"Cannot be replayed. {error}"))
            progress(number, len(lines))
    verifier.close()
    counts = Counter(outcome for outcome, _, _ in found)
    broad = max(len(printable(name)) for _, name, _ in found)
    for outcome, name, reason in found:
        print(f"{outcome:<7}  {printable(name):<{broad}}  {printable(reason)}")
    words = {"same": "the same", "differs": "different", "cannot": "not replayed"}
    listed = ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts[key])
    print(f"\n{len(found)} verdict{'' if len(found) == 1 else 's'} replayed: {listed}.")
    return counts["same"] == len(found)


def _outputs(wanted: Wanted, files: ExitStack) -> list[Output]:
    """The files for verdict lines, found to be writable."""
    places = [wanted.json] if wanted.json not in (None, "-") else []
    if wanted.report is not None:
        try:
            folder = ready_folder(wanted.report)
        except OSError as error:
            raise cannot_write(wanted.report, error) from None
        places.append(str(folder / VERDICTS))
    outputs = []
    for place in places:
        assert place is not None
        outputs.append(files.enter_context(output(place)))
    return outputs


def _saved(output: Output, lines: str) -> bool:
    """Whether the lines could be written; if not, they go to the standard output, so that no work is lost."""
    try:
        output.write(lines)
    except OSError as error:
        print(f"worldverify: {cannot_write(output.path, error)} The verdict lines follow.", file=sys.stderr)
        sys.stdout.write(lines)
        return False
    return True


def _report(
    task: Task, verdicts: Verdicts, plans: Sequence[object], wanted: Wanted, took_s: float
) -> tuple[Path, list[str]]:
    """The page, and a sentence for everything in it that contradicts a verdict."""
    from worldverify.illustrate import entries
    from worldverify.report import write_report

    assert wanted.report is not None
    folder = Path(wanted.report)
    command = f"worldverify replay {shlex.quote(str(folder / VERDICTS))}"

    def replay_command(verdict: Verdict) -> str:
        return command if verdict.id is None else f"{command} --id={shlex.quote(verdict.id)}"

    with Progress("Drawing") as progress:
        made, trouble = entries(task, verdicts, plans, seed=wanted.seed, replay_command=replay_command, told=progress)
    drawn = {"drawn": "starts and physics"} if wanted.randomise == "all" else {}
    summary = {"task": task.name, "seed": wanted.seed, **drawn, "judged in": f"{took_s:.2f} s", **_judged_by(verdicts)}
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".report-") as part:
            page = write_report(Path(part), f"{task.name}: verdicts", made, summary=summary)
            os.replace(page, folder / page.name)
    except OSError as error:
        raise cannot_write(folder, error) from None
    return folder / page.name, trouble


def _judged_by(verdicts: Verdicts) -> dict[str, object]:
    """Facts for the report: what judged, and what its curves and pictures come from where that is something else."""
    if not engine_lines(verdicts):
        return {"judged by": verdicts[0].engine}
    return {"judged": judges(verdicts), "curves and pictures": "simulated again by mujoco (float64, cpu)"}


def _verdict_lines(path: str) -> list[tuple[str, dict[str, Any]]]:
    """(name, verdict line) of every line of a file."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from None
    lines = []
    for number, text in enumerate(data.split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"Line {number} of {path} is not JSON: {error}.") from None
        if not isinstance(line, dict) or "digest" not in line:
            raise UsageError(f"Line {number} of {path} is no verdict line: give what worldverify verify --json wrote.")
        lines.append((str(line.get("id") or f"line {number}"), line))
    if not lines:
        raise UsageError(f"{path} holds no verdict lines.")
    return lines


def _of_ids(
    path: str, lines: Sequence[tuple[str, dict[str, Any]]], ids: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    known = [name for name, _ in lines]
    for wanted in ids:
        if wanted not in known:
            close = difflib.get_close_matches(wanted, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" Its first is {known[0]!r}."
            raise UsageError(f"No verdict with the id {wanted!r} in {path}.{hint}")
    return [(name, line) for name, line in lines if name in ids]


def _tell_of_shared_names(verdicts: Verdicts) -> None:
    shared = {name: n for name, n in Counter(v.id for v in verdicts).items() if n > 1 and name is not None}
    if shared:
        name, count = next(iter(shared.items()))
        more = f" and {len(shared) - 1} more ids are shared" if len(shared) > 1 else ""
        print(f"worldverify: {count} plans have the id {printable(name)}{more}.", file=sys.stderr)


def _width(stream: TextIO) -> int | None:
    """Characters of the terminal; None if it is none."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def _coloured(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
