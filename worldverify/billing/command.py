"""The command cost: what verification costs here, how that grows from rung to rung, and what pays for it."""

import argparse
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from worldverify.nearest import did_you_mean
from worldverify.options import number, output, svg, whole, write
from worldverify.usage import UsageError, cannot_read, import_fault

SCHEMA = 1
TASK = "PickCube-v0"
PARTS = ("ladder", "overlay", "seeds", "ratio", "accounting")
ADVICE = "advice"  # only where a rate or a generator is given
CANDIDATES = 1000


def add_cost(commands: Any) -> None:
    """The command and its options."""
    what = "measure what a verdict costs here: time, energy and money, from a regex to rendered physics"
    cost: argparse.ArgumentParser = commands.add_parser(
        "cost",
        help=what,
        description=f"{what[0].upper()}{what[1:]}; what each layer of software adds; what a million plans take; how "
        "much verifier a generator of plans needs beside it; and what the bill itself costs. Every figure is measured "
        "in the run, or marked as an estimate. With --plans-per-s or --generator it also says which machines would do.",
        epilog="Exit status: 0 measured, 2 wrong usage.",
        allow_abbrev=False,
    )
    cost.set_defaults(run=run_cost)
    cost.add_argument("task", metavar="TASK", nargs="?", help=f"name of a task, or FILE.py:FUNCTION (default: {TASK})")
    cost.add_argument("--plans", metavar="FILE", help="check these plans instead of scripted ones")
    cost.add_argument(
        "--candidates", metavar="N", type=whole(1, 1_000_000), help=f"scripted plans (default: {CANDIDATES:,})"
    )
    cost.add_argument("--only", metavar="NAMES", help=f"separated by commas, of {', '.join(PARTS)} (default: all)")
    cost.add_argument("--full", action="store_true", help="put the dear rungs of the ladder to all candidates, too")
    cost.add_argument("--prices", metavar="FILE.toml", help="prices that differ from those that come with worldverify")
    cost.add_argument(
        "--generator", metavar="NAME", help="the ratio for this generator, and machines that keep it busy"
    )
    cost.add_argument("--generators", metavar="FILE.toml", help="generators besides those that come with worldverify")
    cost.add_argument(
        "--generator-url",
        metavar="URL",
        help="measure the rate of --generator at this OpenAI-compatible endpoint, which sees the task's prompt",
    )
    cost.add_argument("--model", metavar="NAME", help="of that endpoint (default: the one that it has)")
    cost.add_argument("--plans-per-s", metavar="X", type=number(1e-3), help="say which machines verify so many")
    cost.add_argument("--batch", metavar="N", type=whole(1), help="for that, plans in a call (default: the best one)")
    cost.add_argument(
        "--fleet", metavar="FILE.json", action="append", help="choose among this recorded machine, too; repeatable"
    )
    cost.add_argument("--record", metavar="FILE.json", help="measure this machine for the --fleet of another one")
    cost.add_argument("--json", metavar="FILE", help="write all numbers here")
    cost.add_argument("--plot", type=svg, metavar="FILE.svg", help="draw the ladder here")
    cost.add_argument("--plot-ratio", type=svg, metavar="FILE.svg", help="draw the ratio here")
    cost.add_argument("--page", metavar="FILE.md", help="write all of it as a page, with the pictures that are drawn")
    cost.add_argument("--bench", metavar="FILE.json", help="what worldverify bench --json wrote, for that page")
    cost.add_argument(
        "--from", metavar="FILE.json", dest="report", help="show and draw what --json wrote, and measure nothing"
    )


def run_cost(arguments: argparse.Namespace) -> int:
    """Measure or read, print, write; the exit status."""
    if (fault := import_fault()) is not None:
        raise UsageError(fault)
    from worldverify.billing.job import Job
    from worldverify.billing.table import heading, part_lines

    kept = None if arguments.report is None else _kept(arguments)
    parts = _parts(arguments) if kept is None else [part for part in (*PARTS, ADVICE) if part in kept]
    for option, part in (("--plot", "ladder"), ("--plot-ratio", "ratio")):
        if getattr(arguments, option[2:].replace("-", "_")) and part not in parts:
            raise UsageError(f"{option} draws the {part}, which is left out here: add it to --only.")
    if arguments.bench is not None and arguments.page is None:
        raise UsageError("--bench is for the page: add --page FILE.md.")
    bench = None if arguments.bench is None else _read(arguments.bench, ("command", "tasks"), "worldverify bench")
    job = Job(arguments, parts) if kept is None else None
    paths = [arguments.json, arguments.plot, arguments.plot_ratio, arguments.record, arguments.page]
    began = time.perf_counter()
    with ExitStack() as files:
        outputs = {path: files.enter_context(output(path)) for path in paths if path}
        report = kept or {} if job is None else job.begun()
        _tell(heading(report))
        for part in parts:
            if job is not None:
                job.measure(part, report)
            _tell(part_lines(part, report))
        report.setdefault("took_s", time.perf_counter() - began)
        if arguments.json:
            write(outputs[arguments.json], json.dumps(report, indent=1, allow_nan=False) + "\n")
        if arguments.plot:
            from worldverify.billing.plot import ladder_plot

            write(outputs[arguments.plot], ladder_plot(report["ladder"]))
        if arguments.plot_ratio:
            from worldverify.billing.ratio_plot import ratio_plot

            write(outputs[arguments.plot_ratio], ratio_plot(report["ratio"]))
        if arguments.page:
            from worldverify.billing.page import page

            pictures = {"ladder_picture": arguments.plot, "ratio_picture": arguments.plot_ratio}
            named = {key: _beside(arguments.page, path) for key, path in pictures.items() if path}
            write(outputs[arguments.page], page(report, bench, **named))
        if arguments.record and job is not None:
            from worldverify.billing.fleet import recorded

            write(outputs[arguments.record], recorded(job.here()))
    return 0


def read_report(path: str | Path) -> dict[str, Any]:
    """A report that `worldverify cost --json` wrote. Raises UsageError."""
    return _read(path, ("command", "machine", "versions", "task", "candidates", "prices"), "worldverify cost")


def _read(path: str | Path, keys: tuple[str, ...], by: str) -> dict[str, Any]:
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValueError:
        raise UsageError(f"{path} is no JSON: give a file that {by} --json wrote.") from None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA or any(key not in report for key in keys):
        raise UsageError(f"{path} is no report of {by} of this version: give a file that {by} --json wrote.")
    return report


def _kept(arguments: argparse.Namespace) -> dict[str, Any]:
    for name, value in vars(arguments).items():
        if value and name not in ("run", "report", "plot", "plot_ratio", "page", "bench"):
            extra = "TASK" if name == "task" else f"--{name.replace('_', '-')}"
            raise UsageError(f"--from measures nothing: leave {extra} out.")
    return read_report(arguments.report)


def _beside(page: str, picture: str) -> str:
    """The picture as the page names it."""
    return Path(os.path.relpath(picture, Path(page).parent)).as_posix()


def _parts(arguments: argparse.Namespace) -> list[str]:
    """What is to be measured, in the order in which it is told. Raises UsageError for options that do not fit."""
    asked = list(PARTS)
    if arguments.only is not None:
        asked = [name for part in arguments.only.split(",") if (name := part.strip())]
        if not asked:
            raise UsageError(f"--only names nothing. It can name: {', '.join(PARTS)}.")
    for name in asked:
        if name not in PARTS:
            raise UsageError(f"--only cannot name {name!r}. {did_you_mean(name, PARTS)}")
    wanted = arguments.plans_per_s is not None or arguments.generator is not None
    if arguments.plans is not None and arguments.candidates is not None:
        raise UsageError("--candidates says how many scripted plans; --plans gives your own: give one of them.")
    if arguments.full and "ladder" not in asked:
        raise UsageError("--full is about the ladder: add ladder to --only, or leave --full out.")
    if arguments.plans_per_s is not None and arguments.generator is not None:
        raise UsageError("--generator says how many plans a second, as --plans-per-s does: give one of them.")
    if arguments.generator_url is not None and arguments.generator is None:
        raise UsageError("--generator-url needs the GPUs that the endpoint runs on: add --generator NAME.")
    if arguments.model is not None and arguments.generator_url is None:
        raise UsageError("--model names a model of an endpoint: add --generator-url URL.")
    for option, given in (("--fleet", arguments.fleet), ("--batch", arguments.batch)):
        if given is not None and not wanted:
            raise UsageError(f"{option} is for choosing machines: add --plans-per-s X or --generator NAME.")
    return [part for part in PARTS if part in asked] + ([ADVICE] if wanted else [])


def _tell(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)
