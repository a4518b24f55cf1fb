"""The command parity: which tasks and engines, what is written, and the exit status."""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldverify.options import output, whole, write
from worldverify.outputs import Output
from worldverify.usage import UsageError, import_fault

if TYPE_CHECKING:
    from worldverify.parity.contender import Contender
    from worldverify.parity.run import Parity
    from worldverify.task import Task

# What loads the simulator is imported when the command runs: --help is instant.

DONE, NOT_ALL = 0, 1  # exit status

ENGINES = "mjx-warp,mjx-jax"
WITNESSES = "parity-witnesses.jsonl"
COUNTS = {"gpu": 2048, "warp": 96, "jax": 8}  # plans: on a GPU, and on the CPU devices of Warp and of JAX
STATES = {"gpu": 512, "warp": 64, "jax": 32}

SCHEMA = 1
MOST = 1_000_000  # plans or states: more would not fit the memory


def add_parity(commands: Any) -> None:
    """The command and its options."""
    what = "compare engines with MuJoCo C: fields, one control step, whole verdicts"
    parity: argparse.ArgumentParser = commands.add_parser(
        "parity",
        help=what,
        description=f"{what[0].upper()}{what[1:]}. The guard band of each task and engine comes from the verdicts, and "
        "is kept for verify to use.",
        epilog="Exit status: 0 the engines agree; 1 they do not, or nothing was compared; 2 wrong usage.",
        allow_abbrev=False,
    )
    parity.set_defaults(run=run_parity)
    parity.add_argument("tasks", metavar="TASK", nargs="*", help="names of tasks (default: all of them)")
    parity.add_argument("--engine", metavar="NAMES", default=ENGINES, help="separated by commas (%(default)s)")
    parity.add_argument(
        "--on", choices=("cpu", "auto", "gpu"), default="auto", help="where the engines run (%(default)s: a GPU if any)"
    )
    parity.add_argument(
        "--plans", metavar="FILE", help="compare these plans instead of drawn ones; no band is kept of them"
    )
    parity.add_argument(
        "--count",
        type=whole(1, MOST),
        metavar="N",
        help=f"plans to draw (default: {COUNTS['gpu']} on a GPU; on a CPU {COUNTS['warp']} with Warp and "
        f"{COUNTS['jax']} with JAX, which show the engine, but are too few for a band: that takes about 720)",
    )
    parity.add_argument(
        "--states",
        type=whole(1, MOST),
        metavar="N",
        help=f"states of the first two levels (default: {STATES['gpu']}, {STATES['warp']} and {STATES['jax']})",
    )
    parity.add_argument("--seed", type=whole(0), default=0, help="of the plans and the states (%(default)s)")
    parity.add_argument("--json", metavar="FILE", help="write the report; - is the standard output")
    parity.add_argument(
        "--save", metavar="FILE", help="also add the usable bands to this file, as the one that ships with worldverify"
    )
    parity.add_argument(
        "--witnesses",
        metavar="FILE",
        help="where verdict lines of MuJoCo C go that an engine contradicts, for worldverify replay "
        f"(default: {WITNESSES}, if there are any)",
    )


def run_parity(arguments: argparse.Namespace) -> int:
    """Compare, print, write; the exit status."""
    fault = import_fault()
    if fault is not None:
        raise UsageError(fault)
    tasks, contenders = _tasks(arguments.tasks), _contenders(arguments.engine, arguments.on)
    shown = sys.stderr if arguments.json == "-" else sys.stdout

    def told(text: str) -> None:
        print(text, file=shown, flush=True)

    with ExitStack() as files:
        report = None if arguments.json in (None, "-") else files.enter_context(output(arguments.json))
        saved = None if arguments.save is None else files.enter_context(output(arguments.save))
        bands = [] if arguments.save is None else _bands(Path(arguments.save))
        if arguments.witnesses is not None:
            files.enter_context(output(arguments.witnesses))
        found = compare_all(tasks, contenders, arguments, told)
        text = json.dumps(as_json(found, arguments), indent=1, allow_nan=False) + "\n"
        if report is not None:
            write(report, text)
        elif arguments.json == "-":
            sys.stdout.write(text)
        if saved is not None:
            _save(saved, bands, [(task, one) for task, one in found if one.band.unusable is None])
    witnesses = [line for _, one in found for line in one.witnesses]
    if witnesses:
        place = arguments.witnesses or WITNESSES
        with ExitStack() as files:
            write(files.enter_context(output(place)), "".join(f"{json.dumps(line)}\n" for line in witnesses))
        told(f"Witnesses: worldverify replay {shlex.quote(place)}")
    return DONE if found and all(one.holds for _, one in found) else NOT_ALL


def compare_all(
    tasks: Sequence["Task"],
    contenders: Sequence["Contender"],
    arguments: argparse.Namespace,
    told: Callable[[str], None],
) -> list[tuple["Task", "Parity"]]:
    """Every task on every engine that can simulate it, each told as soon as it is done."""
    from worldverify.parity.crowd import crowd_of, drawn
    from worldverify.parity.report import as_text
    from worldverify.parity.run import compare, keep_band
    from worldverify.planpaths import plans_of

    given = None if arguments.plans is None else plans_of([arguments.plans], declared=False)
    found = []
    for task in tasks:
        for other in contenders:
            try:
                other.check(task)
            except ValueError as error:
                told(f"{task.name} on {other.name}: not compared. {error}\n")
                continue
            kind = "gpu" if other.info.device == "gpu" else other.info.impl
            count = arguments.count or COUNTS.get(kind, COUNTS["warp"])
            states = arguments.states or STATES.get(kind, STATES["warp"])
            crowd = drawn(task, count, arguments.seed) if given is None else crowd_of(task, given)
            if not crowd.plans:
                told(f"{task.name} on {other.name}: not compared. No plan reaches the physics{_ask(arguments)}.\n")
                continue
            one = compare(task, crowd, other, states=states, seed=arguments.seed)
            usable = given is None and keep_band(task, one)
            told(f"{as_text(one)}\n{_kept(one, usable)}")
            found.append((task, one))
    if not found:
        told("Nothing was compared.")
    return found


def _kept(one: "Parity", usable: bool) -> str:
    """What verify goes by from now on, if there is a band."""
    if not usable:
        return ""
    if one.band.unusable is None:
        return "The band is kept for worldverify verify.\n"
    return "worldverify verify goes on using the band that it has, from another run.\n"


def _ask(arguments: argparse.Namespace) -> str:
    return f"; worldverify decode {shlex.quote(arguments.plans)} shows why" if arguments.plans else ""


def as_json(found: Sequence[tuple["Task", "Parity"]], arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole report, with what it was made by."""
    from worldverify.bench.facts import machine

    options = {"--" + name: getattr(arguments, name) for name in ("engine", "on", "count", "states", "seed")}
    words = [f"{name} {value}" for name, value in options.items() if value is not None]
    return {
        "schema": SCHEMA,
        "command": " ".join(["worldverify parity", *arguments.tasks, *words]),
        "machine": machine(),
        "results": [_plain(one.to_json()) for _, one in found],
    }


def _plain(value: Any) -> Any:
    """JSON has no infinity and no NaN: null stands for both."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tasks(names: Sequence[str]) -> list["Task"]:
    from worldverify.registry import load_named, tasks

    try:
        return [load_named(name) for name in names or tasks()]
    except ValueError as error:
        raise UsageError(str(error)) from None


def _contenders(names: str, on: str) -> list["Contender"]:
    from worldverify.engines.backend import as_options, backend_of, parse_engine, parse_engines
    from worldverify.engines.selftest import SelfTestFailed
    from worldverify.parity.contender import of_backend

    try:
        backends = [backend_of(on, *parse_engine(name)) for name in parse_engines(names)]
        for backend in backends:
            if backend is None or backend.exact:
                raise ValueError(f"mujoco is what the engines are compared with. Engines: {ENGINES}.")
        return [of_backend(backend) for backend in backends if backend is not None]
    except (ValueError, SelfTestFailed) as error:
        raise UsageError(as_options(error)) from None


def _bands(path: Path) -> list[Any]:
    """What a file of bands holds; nothing if it is not there."""
    if not path.exists():
        return []
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["bands"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{path} is not a file of bands: name another, or one that --save has written.") from None


def _save(file: Output, bands: list[Any], found: Sequence[tuple["Task", "Parity"]]) -> None:
    """Add bands to those of a file, each in the place of the one it follows."""
    from worldverify.engines.band import band_key, band_record

    for task, one in found:
        record = band_record(band_key(task, one.info), one.band)
        bands = [*(old for old in bands if old.get("key") != record["key"]), record]
    write(file, json.dumps({"schema": SCHEMA, "bands": bands}, indent=1) + "\n")
