"""The command line: judge plans, show the tasks, replay verdicts, look at the machine, see a demo."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from worldverify.bench.command import add_bench
from worldverify.bench.schedule_command import SCHEDULE, add_bench_schedule
from worldverify.billing.command import add_cost
from worldverify.newtask.command import add_new_task
from worldverify.options import number, whole
from worldverify.parity.command import add_parity
from worldverify.proposing.command import add_propose
from worldverify.usage import UsageError, import_fault
from worldverify.version import VERSION

if TYPE_CHECKING:
    from worldverify.task import Task
    from worldverify.trials.rules import Trials

# What loads the simulator is imported by the commands that need it: --help is instant, and doctor works without it.

DONE, NOT_ALL, USAGE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141  # exit status

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character must not end the run
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = parser().parse_args(_one_word(sys.argv[1:] if argv is None else argv))
        status: int = arguments.run(arguments)
        print(end="", flush=True)
        return status
    except SystemExit as leaving:  # argparse has said what is wrong, or has shown its help
        return int(leaving.code or 0)
    except UsageError as error:
        print(f"worldverify: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("worldverify: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE


def _one_word(words: Sequence[str]) -> list[str]:
    """`bench schedule` as one word: after `bench` alone argparse would take `schedule` for a task."""
    return [SCHEDULE, *words[2:]] if list(words[:2]) == ["bench", "schedule"] else list(words)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    whole = argparse.ArgumentParser(
        prog="worldverify", description="N plans in, N physics verdicts out.", allow_abbrev=False
    )
    whole.add_argument("--version", action="version", version=f"worldverify {VERSION}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        _add_demo,
        _add_tasks,
        _add_formats,
        _add_decode,
        _add_verify,
        add_propose,
        add_bench,
        add_bench_schedule,
        add_cost,
        add_parity,
        _add_replay,
        add_new_task,
        _add_doctor,
    ):
        add(commands)
    return whole


def _add_demo(commands: Any) -> None:
    demo = _command(commands, "demo", _demo, "judge a mixed bag of plans as models write them, and write a report")
    demo.add_argument("--out", metavar="DIR", default="worldverify-report", help="folder of the report (%(default)s)")


def _add_tasks(commands: Any) -> None:
    tasks = _command(commands, "tasks", _tasks, "list the tasks, or show one: its prompt for a model, and its spec")
    tasks.add_argument("name", metavar="NAME", nargs="?", help="show this task")
    tasks.add_argument("--seed", type=whole(0), default=0, help="which start the prompt describes (%(default)s)")
    drawn = tasks.add_mutually_exclusive_group()
    drawn.add_argument("--sheet", metavar="FILE.png", help="draw all tasks into one picture instead")
    drawn.add_argument("--pictures", metavar="DIR", help="draw each task into a picture of its own instead")


def _add_formats(commands: Any) -> None:
    formats = _command(commands, "formats", _formats, "list the formats of plans, or show what one of them means")
    formats.add_argument("name", metavar="NAME", nargs="?", help="show this preset")
    formats.add_argument("--json", action="store_true", help="the contracts as JSON")


def _add_decode(commands: Any) -> None:
    decode = _command(commands, "decode", _decode, "show what plans mean, without simulating them")
    decode.epilog = "Exit status: 0 every plan means something; 1 some are refused; 2 wrong usage."
    decode.add_argument("plans", metavar="FILE", nargs="+", help="as for verify")
    _add_contract(decode)
    decode.add_argument("--task", metavar="TASK", help="also show where the plans take the arm of this task")
    decode.add_argument("--seed", type=whole(0), default=0, help="which start of the task (%(default)s)")
    decode.add_argument("--json", action="store_true", help="one JSON object a plan")


def _add_contract(command: argparse.ArgumentParser) -> None:
    """The options that say what plans mean that do not say it themselves."""
    command.add_argument("--format", metavar="NAME", help="what the plans mean; worldverify formats lists the names")
    command.add_argument("--contract", metavar="FILE.json", help="fields of the contract that differ from the preset's")
    command.add_argument(
        "--stats",
        metavar="FILE[:KEY]",
        help="statistics that the preset needs, as training code writes them, or 'applied' if they are undone already",
    )


def _add_verify(commands: Any) -> None:
    verify = _command(commands, "verify", _verify, "judge plans by simulating them")
    verify.epilog = (
        "Exit status: 0 all judged, whatever the verdicts; 1 some could not be (INVALID, cause infra); 2 wrong usage."
    )
    verify.add_argument(
        "task", metavar="TASK", help="name of a task (worldverify tasks lists them), or FILE.py:FUNCTION"
    )
    verify.add_argument(
        "plans",
        metavar="PLANS",
        nargs="+",
        help=".jsonl: one plan a line; .npy: one plan, with --format; any other file: one text as a model wrote it; "
        "-: lines on the standard input",
    )
    _add_contract(verify)
    verify.add_argument(
        "--on",
        choices=("cpu", "auto", "gpu"),
        default="auto",
        help="where to simulate (%(default)s: the GPU, if there is one that was measured to be faster)",
    )
    verify.add_argument(
        "--engine",
        metavar="NAME",
        help="what simulates: mujoco (float64, the reference), mjx-warp or mjx-jax (float32; also on a CPU, slowly)",
    )
    verify.add_argument("--seed", type=whole(0), default=0, help="which start of the task (%(default)s)")
    verify.add_argument("--json", metavar="OUT.jsonl", help="write one verdict line a plan; - is the standard output")
    verify.add_argument("--report", metavar="DIR", help="write DIR/index.html and DIR/verdicts.jsonl")
    verify.add_argument("--threads", type=whole(1), help="CPU threads (default: every CPU this process may use)")
    verify.add_argument("--most-steps", type=whole(1), metavar="N", help="end after so many physics steps")
    verify.add_argument(
        "--most-seconds", type=number(1e-3), metavar="S", help="end after so many seconds of simulation"
    )
    verify.add_argument(
        "--most-money", type=number(1e-12), metavar="X", help="end when processor time has cost so much"
    )
    verify.add_argument(
        "--first",
        choices=("given", "promising", "doubtful"),
        default="given",
        help="of a limit: what is simulated first: in the order given, what stands best, or what stands nearest to its "
        "limits (%(default)s)",
    )
    verify.add_argument(
        "--rank",
        choices=("best",),
        help="decide only as many plans as it takes to know the best one",
    )
    verify.add_argument(
        "--fidelity",
        choices=("reference", "screen"),
        default="reference",
        help="screen: a pre-pass with longer physics steps rejects what clearly fails there (%(default)s)",
    )
    tried = verify.add_mutually_exclusive_group()
    tried.add_argument(
        "--trials", type=whole(1, 1_000_000), metavar="N", help="say how often each plan passes: N randomised trials"
    )
    tried.add_argument(
        "--certify",
        metavar="p=P,...",
        help="randomised trials until it is certain whether a plan passes in a share P: p=0.95,p0=0.9 tests that "
        "against 0.9; also alpha, beta, most",
    )
    verify.add_argument(
        "--keep-start",
        action="store_true",
        help="all trials begin from the start of --seed, as plans of numbers that were written for it need",
    )
    verify.add_argument(
        "--margins",
        choices=("decided", "full"),
        default="decided",
        help="margins at the moment that decides, or at the horizon (%(default)s)",
    )
    verify.add_argument(
        "--randomise",
        choices=("start", "all"),
        default="start",
        help="what the seed draws: where things are, or also masses, friction, actuators, delay and errors of "
        "perception (%(default)s)",
    )


def _add_replay(commands: Any) -> None:
    replay = _command(commands, "replay", _replay, "judge the requests of verdict lines again, and compare the digests")
    replay.epilog = "Exit status: 0 every digest is the same; 1 some differ or cannot be replayed; 2 wrong usage."
    replay.add_argument("verdicts", metavar="VERDICTS.jsonl", help="what verify --json wrote; - is the standard input")
    replay.add_argument("--id", action="append", metavar="ID", help="only plans of this id; may be given repeatedly")
    replay.add_argument("--task", metavar="FILE.py:FUNCTION", help="the task of your own that the verdicts are about")
    replay.add_argument("--threads", type=whole(1), help="CPU threads (default: every CPU this process may use)")


def _add_doctor(commands: Any) -> None:
    doctor = _command(commands, "doctor", _doctor, "say what this machine has, and what is wrong with it")
    doctor.epilog = "Exit status: 0 worldverify can be used here; 1 something is broken, or failed its self-test."
    doctor.add_argument("--json", action="store_true", help="as one JSON object")
    doctor.add_argument(
        "--selftest", action="store_true", help="ask each engine questions whose answers are known; may take minutes"
    )
    doctor.add_argument("--engine", metavar="NAME,...", help="with --selftest: only these; mujoco, mjx-warp, mjx-jax")


def _command(commands: Any, name: str, run: Command, what: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    made.set_defaults(run=run)
    return made


def _demo(arguments: argparse.Namespace) -> int:
    _need_simulator()
    from worldverify.demo import run_demo

    return run_demo(arguments.out)


def _tasks(arguments: argparse.Namespace) -> int:
    _need_simulator()
    from worldverify.tasklist import all_tasks, one_task

    if arguments.sheet is not None or arguments.pictures is not None:
        return _draw(arguments)
    print(all_tasks() if arguments.name is None else one_task(find_task(arguments.name), arguments.seed))
    return DONE


def _draw(arguments: argparse.Namespace) -> int:
    from worldverify.sheet import draw_each, draw_sheet

    if arguments.name is not None:
        raise UsageError("--sheet and --pictures draw all tasks: leave the name out.")
    if arguments.sheet is not None:
        draw_sheet(arguments.sheet)
        print(f"Picture: {arguments.sheet}")
    else:
        draw_each(arguments.pictures)
        print(f"Pictures: {arguments.pictures}")
    return DONE


def _formats(arguments: argparse.Namespace) -> int:
    _need_simulator()
    from worldverify.formatlist import all_formats, formats_as_json, one_format

    if arguments.json:
        print(formats_as_json(arguments.name))
    else:
        print(all_formats() if arguments.name is None else one_format(arguments.name))
    return DONE


def _decode(arguments: argparse.Namespace) -> int:
    _need_simulator()
    from worldverify.declaring import declared_contract
    from worldverify.decoding import decode_files

    task = None if arguments.task is None else find_task(arguments.task)
    format = declared_contract(arguments.format, arguments.contract, arguments.stats, task)
    whole = decode_files(arguments.plans, format, task, seed=arguments.seed, as_json=arguments.json)
    return DONE if whole else NOT_ALL


def _verify(arguments: argparse.Namespace) -> int:
    _need_simulator()
    from worldverify.declaring import declared_contract
    from worldverify.judging import Wanted, judge_files

    engine, impl = find_engine(arguments.on, arguments.engine)
    task = find_task(arguments.task)
    wanted = Wanted(
        format=declared_contract(arguments.format, arguments.contract, arguments.stats, task),
        seed=arguments.seed,
        margins=arguments.margins,
        randomise=arguments.randomise,
        threads=arguments.threads,
        on=arguments.on,
        engine=engine,
        impl=impl,
        json=arguments.json,
        report=arguments.report,
        most_steps=arguments.most_steps,
        most_seconds=arguments.most_seconds,
        most_money=arguments.most_money,
        first=arguments.first,
        rank=arguments.rank,
        fidelity=arguments.fidelity,
        trials=_trials(arguments),
        keep_start=arguments.keep_start,
    )
    return NOT_ALL if judge_files(task, arguments.plans, wanted) else DONE


def _trials(arguments: argparse.Namespace) -> "Trials | None":
    from worldverify.trials.option import certify_option

    limited = arguments.most_steps or arguments.most_seconds or arguments.most_money
    if (arguments.trials or arguments.certify) and (arguments.rank or limited):
        raise UsageError(
            "--rank, --most-steps, --most-seconds and --most-money leave plans undecided: leave them or the trials out."
        )
    if arguments.first != "given" and not limited:
        raise UsageError("--first is about a limit: add --most-steps, --most-seconds or --most-money, or leave it out.")
    if arguments.keep_start and not (arguments.trials or arguments.certify):
        raise UsageError("--keep-start is for trials: add --trials N or --certify p=P.")
    if arguments.certify is None:
        return None if arguments.trials is None else int(arguments.trials)
    try:
        return certify_option(arguments.certify)
    except ValueError as error:
        raise UsageError(f"--certify: {error}") from None


def _replay(arguments: argparse.Namespace) -> int:
    _need_simulator()
    from worldverify.judging import replay_file
    from worldverify.registry import load, tasks

    own = None if arguments.task is None else find_task(arguments.task)

    def find(name: str) -> "Task":  # a file of verdicts never names a file to run
        if own is not None and own.name == name:
            return own
        if name not in tasks():
            raise ValueError(
                f"No task {name!r} comes with worldverify: for one of your own, give --task FILE.py:FUNCTION."
            )
        return load(name)

    same = replay_file(arguments.verdicts, find, ids=arguments.id, threads=arguments.threads)
    return DONE if same else NOT_ALL


def _doctor(arguments: argparse.Namespace) -> int:
    from worldverify.doctor import as_json, as_text, examine, usable

    if arguments.engine is not None and not arguments.selftest:
        raise UsageError("--engine names what to test: add --selftest.")
    wanted = _named_engines(arguments.engine)
    checks = examine()
    if not arguments.json:
        print(as_text(checks))
    whole = usable(checks)
    tests: list[dict[str, Any]] = []
    if arguments.selftest and whole:
        whole, tests = _selftests(wanted, named=arguments.engine is not None, show=not arguments.json)
    if arguments.json:
        print(as_json(checks, tests))
    return DONE if whole else NOT_ALL


def _named_engines(names: str | None) -> tuple[str, ...]:
    from worldverify.engines.backend import NAMES, parse_engines

    try:
        return NAMES if names is None else parse_engines(names)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _selftests(wanted: Sequence[str], *, named: bool, show: bool) -> tuple[bool, list[dict[str, Any]]]:
    """(whether none failed, the results), shown as they come. An engine that was named must be able to run."""
    from worldverify.engines.selftest import as_json, as_text, run_self_test

    whole = True
    tests: list[dict[str, Any]] = []
    for name in wanted:
        one = run_self_test(name)
        whole = whole and (one.passed or (one.refused and not named))
        tests.append(as_json(one))
        if show:
            print(f"\n{as_text(one)}", flush=True)
    return whole, tests


def find_engine(on: str, name: str | None) -> tuple[str | None, str | None]:
    """(engine, impl) of the option --engine; a UsageError says what would work where it cannot run with this --on."""
    from worldverify.engines.backend import as_options, backend_of, parse_engine

    try:
        engine, impl = (None, None) if name is None else parse_engine(name)
        backend_of(on, engine, impl)
    except ValueError as error:
        raise UsageError(as_options(error)) from None
    return engine, impl


def find_task(name: str) -> "Task":
    """The task of that name, or of FILE.py:FUNCTION; a UsageError lists the tasks."""
    from worldverify.registry import load_named

    try:
        return load_named(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _need_simulator() -> None:
    fault = import_fault()
    if fault is not None:
        raise UsageError(fault)


def _forget_stdout() -> None:
    """The reader has gone: what is left in the buffer goes nowhere, and Python's exit does not complain about it."""
    with suppress(OSError, ValueError, AttributeError):  # where the standard output is not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
