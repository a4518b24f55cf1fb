"""The command bench schedule: what the scheduler saves on candidate sets, and that it changes no verdict."""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from worldverify.bench.called import command_line
from worldverify.nearest import did_you_mean
from worldverify.options import number, output, svg, whole, write
from worldverify.progress import Progress
from worldverify.usage import UsageError, cannot_read, import_fault

if TYPE_CHECKING:
    from worldverify.bench.schedule_mixes import Candidates, Mix
    from worldverify.task import Task

SCHEDULE = "bench-schedule"
SCHEMA = 1
ALL_MIXES = "llm,vla,clutter,hard"
PLANS = 1024  # of a mix
FEWEST = 64  # plans: the candidates of one start
QUICK_PLANS, QUICK_REPEATS, REPEATS = 64, 3, 30
FEW, FEW_STARTS = 32, 8  # candidates of a call whose latency is measured, and how many starts take turns
BLOCK_STARTS, BLOCK_PLANS = 16, 1024  # judged in one call
SHARES = {
    "passing": "of the candidates that pass",
    "malformed": "of the candidates that are malformed",
    "equal": "of the admitted ones that equal one before them (llm only)",
    "shared": "of its controls that a plan has in common with its nearest sibling, on average (llm only)",
}
DIFFERENCES = "schedule-differences.jsonl"
OUTPUTS = "WORLDVERIFY_MODEL_OUTPUTS"  # names the folder of collected outputs


def add_bench_schedule(commands: Any) -> None:
    """The command and its options."""
    what = "measure what deciding early, refilling lanes and sharing prefixes save, against mujoco.batch to the horizon"
    parser: argparse.ArgumentParser = commands.add_parser(
        SCHEDULE,
        prog="worldverify bench schedule",
        description=f"{what[0].upper()}{what[1:]}. Candidates are drawn in named mixes: llm, texts of a language "
        "model; vla, chunks of a policy; clutter, the same among twelve other objects; hard, where nothing can be "
        "saved. What the mixes come to is measured and printed.",
        epilog="Exit status: 0 measured, 1 a rule changed a verdict, 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run_bench_schedule)
    parser.add_argument("--mix", metavar="NAMES", help=f"separated by commas (default: {ALL_MIXES})")
    parser.add_argument(
        "--plans-per-mix",
        metavar="N",
        type=whole(FEWEST),
        help=f"rounded up to whole starts of 64 candidates (default: {PLANS})",
    )
    parser.add_argument(
        "--ways",
        metavar="NAMES",
        help="only these of batch, stopped, none, stop, refill, share, midphase, all, rest, beside batch and none, "
        "which the others are compared with (default: all; rest in clutter alone)",
    )
    for share, what in SHARES.items():
        parser.add_argument(f"--{share}", metavar="SHARE", type=number(0, 1), help=f"{what}, instead of the mix's own")
    parser.add_argument("--plans", metavar="FILE", help="compare on these plans instead, from the start of --seed")
    parser.add_argument("--task", metavar="TASK", help="the task that they are for")
    parser.add_argument(
        "--seed", metavar="N", type=whole(0), default=0, help="which candidates are drawn (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PLANS} plans of each mix, and a small sweep")
    parser.add_argument(
        "--project", metavar="N", type=whole(1), help="say how long that many plans of llm would take at this rate"
    )
    parser.add_argument(
        "--outputs",
        metavar="DIR",
        help=f"folder of collected model outputs, whose rates are told too (default: what {OUTPUTS} names)",
    )
    parser.add_argument("--json", metavar="FILE", help="write all numbers here")
    parser.add_argument(
        "--plot", type=svg, metavar="FILE.svg", help="sweep the rates of llm, and draw the speed-up here"
    )
    parser.add_argument(
        "--differences", metavar="FILE", default=DIFFERENCES, help="where plans go whose verdicts differ (%(default)s)"
    )


def run_bench_schedule(arguments: argparse.Namespace) -> int:
    """Measure, print, write; the exit status."""
    if (fault := import_fault()) is not None:
        raise UsageError(fault)
    from worldverify.bench.schedule_plot import plot, sweep

    job = _Job(arguments)
    with ExitStack() as files:
        outputs = {path: files.enter_context(output(path)) for path in (arguments.json, arguments.plot) if path}

        def keep(report: dict[str, Any]) -> None:
            if arguments.json:
                write(outputs[arguments.json], json.dumps(report, indent=1, allow_nan=False) + "\n")

        report = job.run(_tell, keep)
        if arguments.plot:
            report["sweep"], differences = sweep(arguments.seed, 1 if arguments.quick else BLOCK_STARTS)
            job.differences += differences
            write(outputs[arguments.plot], plot(report["sweep"]))
        keep(report)
    if not job.differences:
        return 0
    with output(arguments.differences) as file:
        write(file, "".join(json.dumps(one) + "\n" for one in job.differences))
    _tell(f"{len(job.differences)} plans whose verdicts differ are in {arguments.differences}.")
    return 1


@dataclass(frozen=True)
class _Compared:
    """Candidates that every way is to judge."""

    name: str
    asked: dict[str, float] | None  # shares of a mix
    task: "Task"
    starts: int
    count: int  # of blocks
    blocks: "Iterator[Candidates]"


class _Job:
    """One run: what was asked, checked before anything is simulated."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self.differences: list[Any] = []
        self._mixes = [] if arguments.plans is not None else _mixes(arguments)
        self._own = None if arguments.plans is None else _own(arguments)
        if arguments.task is not None and arguments.plans is None:
            raise UsageError("--task says what the plans of --plans are for; the mixes have scenes of their own.")
        if arguments.project is not None and all(mix.name != "llm" for mix in self._mixes):
            raise UsageError("--project needs the rate of the mix llm: add llm to --mix.")
        self._ways = _ways(arguments)
        if arguments.project is not None and self._ways is not None and "all" not in self._ways:
            raise UsageError("--project needs the rate of all rules together: add all to --ways.")

    def run(self, tell: Callable[[str], object], keep: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The report; `keep` is given what there is of it after each mix, so that a run that is stopped leaves it."""
        from worldverify.bench.facts import machine
        from worldverify.bench.schedule_table import heading

        here = machine()
        report: dict[str, Any] = {"schema": SCHEMA, "command": command_line(), "machine": here, "mixes": []}
        report["seed"] = self._arguments.seed
        for line in heading(here):
            tell(line)
        if self._own is not None:
            self._measure(report, self._own, tell)
        for mix in self._mixes:
            self._measure(report, self._drawn(mix), tell)
            keep(report)
        self._rest(report, tell)
        return report

    def _drawn(self, mix: "Mix") -> _Compared:
        from worldverify.bench.schedule_mixes import CANDIDATES, candidates
        from worldverify.bench.schedule_scenes import stage

        plans = self._arguments.plans_per_mix or (QUICK_PLANS if self._arguments.quick else PLANS)
        starts = -(-plans // CANDIDATES)
        blocks = (
            candidates(mix, first, min(BLOCK_STARTS, starts - first), self._arguments.seed)
            for first in range(0, starts, BLOCK_STARTS)
        )
        asked = {share: getattr(mix, share) for share in SHARES}
        return _Compared(mix.name, asked, stage(mix.name).task, starts, -(-starts // BLOCK_STARTS), blocks)

    def _measure(self, report: dict[str, Any], some: _Compared, tell: Callable[[str], object]) -> None:
        from worldverify.bench.facts import scene_facts
        from worldverify.bench.schedule_comparison import RESTING, SHORT, WAYS, compare
        from worldverify.bench.schedule_table import mix_lines

        usual = [*WAYS, RESTING] if some.name == "clutter" else WAYS
        ways = usual if self._ways is None else [SHORT[name] for name in self._ways]

        with Progress(some.name) as progress:

            def counted() -> "Iterator[Candidates]":
                for done, block in enumerate(some.blocks):
                    progress(done, some.count)
                    yield block

            found = compare(some.task, counted(), ways=ways)
        self.differences += found.differences
        one = {"mix": some.name, "task": some.task.name, "starts": some.starts, "asked": some.asked}
        report["mixes"].append(one | {"facts": scene_facts(some.task)} | found.report())
        for line in mix_lines(report["mixes"][-1]):
            tell(line)

    def _rest(self, report: dict[str, Any], tell: Callable[[str], object]) -> None:
        """Latency, projection, and real outputs."""
        from worldverify.bench.schedule_comparison import ALL, latency
        from worldverify.bench.schedule_mixes import candidates
        from worldverify.bench.schedule_scenes import stage
        from worldverify.bench.schedule_table import latency_line, projection_line
        from worldverify.bench.table import WIDEST

        llm = next((mix for mix in self._mixes if mix.name == "llm"), None)
        tell("")
        if llm is not None:
            blocks = [candidates(llm, start, 1, self._arguments.seed, FEW) for start in range(FEW_STARTS)]
            repeats = QUICK_REPEATS if self._arguments.quick else REPEATS
            report["latency"] = latency(lambda i: blocks[i % FEW_STARTS], stage("llm").task, repeats)
            tell(latency_line(report["latency"], FEW))
        if self._arguments.project is not None:
            one = next(one for one in report["mixes"] if one["mix"] == "llm")
            rate = next(way["plans_per_s"] for way in one["ways"] if way["name"] == ALL)
            wanted = self._arguments.project
            report["projection"] = {"plans": wanted, "seconds": wanted / rate, "from_plans": one["plans"]}
            tell(projection_line(wanted, rate, one["plans"]))
        report["outputs"], said = _outputs(self._arguments.outputs)
        for line in wrap(said, WIDEST):
            tell(line)


def _mixes(arguments: argparse.Namespace) -> "list[Mix]":
    from worldverify.bench.schedule_mixes import mix_of

    asked = {share: value for share in SHARES if (value := getattr(arguments, share)) is not None}
    names = [name for part in (arguments.mix or ALL_MIXES).split(",") if (name := part.strip())]
    if not names:
        raise UsageError(f"--mix names no mix. It can name: {ALL_MIXES}.")
    try:
        return [mix_of(name, **asked) for name in dict.fromkeys(names)]
    except ValueError as error:
        raise UsageError(str(error)) from None


def _ways(arguments: argparse.Namespace) -> list[str] | None:
    """The ways that were asked for, by their short names."""
    from worldverify.bench.schedule_comparison import SHORT

    if arguments.ways is None:
        return None
    names = [name for part in arguments.ways.split(",") if (name := part.strip())]
    for name in names:
        if name not in SHORT:
            raise UsageError(f"No way {name!r}. {did_you_mean(name, SHORT)}")
    return names


def _own(arguments: argparse.Namespace) -> _Compared:
    """The user's task and plans; raises UsageError if there is nothing to compare."""
    import numpy as np

    from worldverify.bench.schedule_baselines import compiled
    from worldverify.bench.schedule_mixes import Candidates
    from worldverify.plansfile import read_plans
    from worldverify.refusal import Refusal
    from worldverify.registry import load_named

    asked = [f"--{share}" for share in SHARES if getattr(arguments, share) is not None]
    if arguments.mix is not None or arguments.plans_per_mix is not None or asked:
        extra = asked[0] if asked else "--mix" if arguments.mix is not None else "--plans-per-mix"
        raise UsageError(f"{extra} is about drawn candidates; --plans compares on your own: give one of them.")
    if arguments.task is None:
        raise UsageError("--plans needs the task that the plans are for: add --task TASK.")
    try:
        task = load_named(arguments.task)
        lines = read_plans(arguments.plans)
    except OSError as error:
        raise cannot_read(arguments.plans, error) from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not lines:
        raise UsageError(f"{arguments.plans} holds no plans: write one a line, as worldverify verify reads them.")
    start = task.start(arguments.seed)
    made = compiled(task, lines, np.broadcast_to(start, (len(lines), len(start))))
    if all(isinstance(one, Refusal) for one in made):
        reason = next(one.reason for one in made if isinstance(one, Refusal))
        raise UsageError(f"None of the {len(lines)} plans of {arguments.plans} can be simulated; the first: {reason}")
    blocks = (
        Candidates(task, part, np.broadcast_to(start, (len(part), len(start))), 1)
        for first in range(0, len(lines), BLOCK_PLANS)
        if (part := lines[first : first + BLOCK_PLANS])
    )
    return _Compared("your plans", None, task, 1, -(-len(lines) // BLOCK_PLANS), blocks)


def _outputs(named: str | None) -> tuple[list[dict[str, Any]] | None, str]:
    """Rates of collected outputs, and the sentence about them."""
    from worldverify.bench.schedule_outputs import output_line, output_rates

    folder = named or os.environ.get(OUTPUTS)
    if not folder:
        return None, f"Real outputs: not measured. Name a folder of collected outputs with --outputs, or in {OUTPUTS}."
    try:
        samples = output_rates(folder)
    except OSError as error:
        if named:
            raise cannot_read(error.filename or folder, error) from None
        return None, f"Real outputs: not measured. {OUTPUTS} names no folder with a manifest.jsonl."
    return [asdict(one) for one in samples], output_line(samples)


def _tell(line: str) -> None:
    print(line, flush=True)
