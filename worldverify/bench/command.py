"""The command bench: how many plans a second this machine verifies, on which engine, with how many at a time."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldverify.bench.called import command_line
from worldverify.engines.backend import NAMES, parse_engines
from worldverify.options import output, svg, whole, write
from worldverify.usage import UsageError, cannot_read, import_fault

if TYPE_CHECKING:
    from worldverify.bench.sweep import Wanted

TASKS = ("ReachSafe-v0", "PickCube-v0", "PickClutter-v0")  # free reach, contact, clutter
BUDGET_S = 300.0
COLD = 0.3  # share of it for starts of new processes
MOST = 1_000_000  # plans in a call: more would not fit the memory
SCHEMA = 1


def add_bench(commands: Any) -> None:
    """The command and its options."""
    what = "measure how many plans a second are verified here, on each engine, against MuJoCo C on all CPUs"
    bench: argparse.ArgumentParser = commands.add_parser(
        "bench",
        help=what,
        description=f"{what[0].upper()}{what[1:]}. MuJoCo C is always measured: it is what the others are compared "
        "with, in speed and in verdicts.",
        epilog="Exit status: 0 measured, 1 an engine gave another verdict than MuJoCo C, 2 wrong usage. worldverify "
        "bench schedule measures the scheduler: see its own --help.",
        allow_abbrev=False,
    )
    bench.set_defaults(run=run_bench)
    bench.add_argument("tasks", metavar="TASK", nargs="*", help=f"names of tasks (default: {', '.join(TASKS)})")
    bench.add_argument(
        "--engine",
        metavar="NAMES",
        type=_engines,
        default=NAMES,
        help=f"separated by commas, of {', '.join(NAMES)} (default: all)",
    )
    bench.add_argument(
        "--batch",
        metavar="N,N,...",
        type=_batches,
        help="numbers of plans in a call, such as 1,64,4096, measured in this order (default: 1 to 32768, fewer for "
        "mjx-warp and mjx-jax on a CPU)",
    )
    bench.add_argument(
        "--repeats", metavar="N", type=whole(1), default=5, help="rounds of two calls each (%(default)s)"
    )
    bench.add_argument(
        "--budget-s",
        metavar="S",
        type=whole(1),
        default=BUDGET_S,
        help="about how long it may take; what does not fit is left out, and said (%(default)g)",
    )
    bench.add_argument("--seed", metavar="N", type=whole(0), default=0, help="which plans are drawn (%(default)s)")
    bench.add_argument(
        "--cold",
        metavar="TASKS",
        type=_names,
        help="tasks whose first verdict in a new process is timed, separated by commas, or none (default: all)",
    )
    bench.add_argument("--dollars-cpu", metavar="X", type=_price, help="of an hour of all the CPUs, for plans a dollar")
    bench.add_argument("--dollars-gpu", metavar="X", type=_price, help="of an hour of the GPU")
    bench.add_argument("--json", metavar="FILE", help="write all numbers here")
    bench.add_argument("--plot", type=svg, metavar="FILE.svg", help="draw plans/s against batch here")
    bench.add_argument(
        "--overlay", metavar="FILE", help="a run recorded with --json, to be drawn dashed beside this one"
    )


def run_bench(arguments: argparse.Namespace) -> int:
    """Measure, print, write; the exit status."""
    if (fault := import_fault()) is not None:
        raise UsageError(fault)
    from worldverify.bench.plot import plot
    from worldverify.bench.sweep import Wanted

    overlay = None if arguments.overlay is None else recorded(arguments.overlay)
    names = _tasks(arguments.tasks)
    for name in arguments.cold or ():
        if name not in names:
            raise UsageError(f"--cold names {name}, which is not measured. It can name: {', '.join(names)}, or none.")
    wanted = Wanted(
        engines=tuple(arguments.engine),
        batches=arguments.batch,
        repeats=arguments.repeats,
        seed=arguments.seed,
        dollars={k: v for k, v in (("cpu", arguments.dollars_cpu), ("gpu", arguments.dollars_gpu)) if v is not None},
    )
    cold = names if arguments.cold is None else [name for name in names if name in arguments.cold]
    with ExitStack() as files:
        outputs = {path: files.enter_context(output(path)) for path in (arguments.json, arguments.plot) if path}

        def keep(report: dict[str, Any]) -> None:
            if arguments.json:
                write(outputs[arguments.json], json.dumps(report, indent=1, allow_nan=False) + "\n")
            if arguments.plot:
                write(outputs[arguments.plot], plot(report, overlay))

        report = measure(names, wanted, cold=cold, seconds=float(arguments.budget_s), tell=_tell, keep=keep)
        keep(report)
    return int(differs(report))


def measure(
    names: Sequence[str],
    wanted: "Wanted",
    *,
    cold: Sequence[str] = (),
    seconds: float,
    tell: Callable[[str], object],
    keep: Callable[[dict[str, Any]], object] = lambda report: None,
) -> dict[str, Any]:
    """The report of a run, `tell` being told each line as it is known; `cold` names tasks whose start is timed.

    `keep` is given what there is of the report after each task, so that a run that is stopped has not run for nothing.
    """
    from worldverify.bench.environments import environment_lines, measure_environments
    from worldverify.bench.facts import machine
    from worldverify.bench.starts import measure_starts
    from worldverify.bench.sweep import measure_task
    from worldverify.bench.table import heading, task_lines
    from worldverify.registry import load, tasks

    began = time.perf_counter()
    here = machine()
    report: dict[str, Any] = {"schema": SCHEMA, "command": command_line(), "machine": here, "budget_s": seconds}
    report |= {"repeats": wanted.repeats, "seed": wanted.seed, "tasks": [], "skipped": []}
    for line in heading(here):
        tell(line)
    there = [name for name in names if name in tasks()]
    for name in names:
        if name not in there:
            report["skipped"].append(f"{name}: not measured. There is no such task in this version.")
            tell(report["skipped"][-1])
    cold = [name for name in cold if name in there]
    starts, said = measure_starts(cold, wanted.engines, seconds=COLD * seconds) if cold else ({}, [])
    report["skipped"] += said
    for i, name in enumerate(there):
        left = seconds - (time.perf_counter() - began)
        share = max(1.0, left / (len(there) - i))
        result = measure_task(load(name), wanted, seconds=share, starts=starts.get(name, ()))
        report["tasks"].append(result)
        keep(report)
        for line in task_lines(result):
            tell(line)
    for sentence in said:
        tell(sentence)
    if there:
        left = seconds - (time.perf_counter() - began)
        device = "gpu" if here["gpu"] else "cpu"
        report["environments"], missing = measure_environments(there[0], wanted.engines, seconds=left, device=device)
        report["skipped"] += missing
        for line in [*environment_lines(report["environments"]), *missing]:
            tell(line)
    report["took_s"] = time.perf_counter() - began
    tell(f"\nMeasured in {report['took_s']:.0f} s.")
    return report


def differs(report: dict[str, Any]) -> bool:
    """Whether some verdict was another than that of MuJoCo C."""
    found = [row["agreement"] for one in report["tasks"] for row in one["rows_measured"] if row.get("agreement")]
    return any(one["same"] < one["plans"] for one in found)


def recorded(path: str) -> dict[str, Any]:
    """A report that was written with --json."""
    try:
        report: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValueError:
        report = None
    if not _drawable(report):
        raise UsageError(f"{path} is no recorded run: give what worldverify bench --json wrote.")
    return dict(report)


def _drawable(report: Any) -> bool:
    from worldverify.bench.plot import plot

    try:
        return report["schema"] == SCHEMA and bool(plot(report))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return False


def _tasks(names: Sequence[str]) -> Sequence[str]:
    from worldverify.registry import load

    try:
        for name in names:
            load(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return list(dict.fromkeys(names)) or TASKS


def _engines(text: str) -> tuple[str, ...]:
    try:
        return parse_engines(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _names(text: str) -> tuple[str, ...]:
    """Names with commas between them; `none` is no name."""
    return tuple(name for part in text.split(",") if (name := part.strip()) not in ("", "none"))


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = 0.0
    if not 0 < price < 1e6:
        raise argparse.ArgumentTypeError(f"a price in dollars an hour is needed, not {text!r}")
    return price


def _tell(line: str) -> None:
    print(line, flush=True)


def _batches(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(whole(1, MOST)(part.strip()) for part in text.split(",")))
