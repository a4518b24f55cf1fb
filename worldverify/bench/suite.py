"""A machine in one folder: the self-test, parity, and the sweep, in less than nine minutes on one GPU.

`python -m worldverify.bench.suite [FOLDER]`, or `make gpu`. Without a GPU it runs on CPU devices, with little work.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from worldverify.bench.command import TASKS
from worldverify.bench.starts import device_of
from worldverify.outputs import ready_folder
from worldverify.registry import tasks
from worldverify.usage import UsageError, cannot_write

FOLDER = "gpu-report"
TOTAL_S, TOTAL_CPU_S = 500.0, 420.0  # with a GPU, and without one
BATCHES = "4096,32,1,512,16384,32768"  # on a GPU: what matters most first, since every size is compiled
SHARES = {"selftest": 0.2, "parity": 0.3}  # of it, at most; the sweep has what is left
WRITTEN = (".json", ".jsonl", ".svg")  # names of files that go into the folder
LAST_S = 15.0  # for the sweep to write what it has

DONE, NOT_ALL = 0, 1  # exit status


@dataclass(frozen=True)
class Step:
    """One command of the suite, as it ended."""

    name: str
    command: str
    ended: str  # a sentence
    status: int | None  # exit status; None if it was stopped
    took_s: float


def run_suite(folder: Path, *, total_s: float | None = None) -> list[Step]:
    """Run the commands one after the other, each in a process of its own, since a GPU's memory is held by one."""
    gpu = device_of("mjx-warp") == "gpu"
    total_s = total_s or (TOTAL_S if gpu else TOTAL_CPU_S)
    end, done = time.perf_counter() + total_s, []
    names = [name for name in TASKS if name in tasks()]
    few = [] if gpu else ["--count", "8", "--states", "8"]
    compared = names if gpu else names[:1]
    commands = {
        "selftest": ["doctor", "--selftest", "--engine", "mujoco,mjx-warp"],
        "parity": ["parity", *compared, "--engine", "mjx-warp", *few, "--json", "parity.json"],
        "sweep": ["bench", *names, "--cold", "PickCube-v0", "--json", "bench.json", "--plot", "bench.svg"],
    }
    commands["parity"] += ["--witnesses", "witnesses.jsonl"]
    for name, words in commands.items():
        left = end - time.perf_counter()
        limit = left if name == "sweep" else min(left, SHARES[name] * total_s)
        if name == "sweep":
            words += ["--budget-s", str(max(1, int(left - LAST_S)))]
            words += ["--engine", "mujoco,mjx-warp", "--batch", BATCHES] if gpu else []
            limit += 60.0  # a call that has begun is ended
        print(f"\n$ worldverify {' '.join(words)}", flush=True)
        done.append(_run(folder, name, words, limit))
        print(done[-1].ended, flush=True)
    where = "on a GPU" if gpu else "not measured on a GPU: there is none here that can be used"
    summary = {"schema": 1, "where": where, "steps": [asdict(step) for step in done]}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"\n{folder}: {where}.", flush=True)
    return done


def _run(folder: Path, name: str, words: Sequence[str], limit: float) -> Step:
    """One command, what it prints being shown and kept in a file."""
    clock, status = time.perf_counter(), None
    with (folder / f"{name}.txt").open("w+", encoding="utf-8") as kept:
        # From here rather than in the folder, so that a checkout that was never installed is found.
        placed = [str(folder / word) if Path(word).suffix in WRITTEN else word for word in words]
        command = [sys.executable, "-m", "worldverify", *placed]
        with subprocess.Popen(command, stdout=kept, stderr=subprocess.STDOUT) as process:
            shown = 0
            while process.poll() is None and time.perf_counter() - clock < limit:
                shown = _show(folder / f"{name}.txt", shown)
                time.sleep(0.2)
            if process.poll() is None:
                process.kill()
                process.wait()
            else:
                status = process.returncode
        _show(folder / f"{name}.txt", shown)
    took = time.perf_counter() - clock
    ended = f"{name}: stopped after {took:.0f} s, all that it had." if status is None else f"{name}: took {took:.0f} s"
    if status is not None:
        ended += "." if status == 0 else f", and ended with exit status {status}."
    return Step(name, f"worldverify {' '.join(words)}", ended, status, took)


def _show(file: Path, shown: int) -> int:
    """Print what a file holds beyond `shown` bytes; how many it holds."""
    data = file.read_bytes()
    sys.stdout.write(data[shown:].decode("utf-8", errors="replace"))
    sys.stdout.flush()
    return len(data)


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 if every command ended well."""
    parser = argparse.ArgumentParser(prog="python -m worldverify.bench.suite", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=FOLDER, help="what all is written to (%(default)s)"
    )
    path = Path(parser.parse_args(arguments).folder)
    try:
        folder = ready_folder(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    return DONE if all(step.status == 0 for step in run_suite(folder)) else NOT_ALL


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UsageError as error:
        print(f"worldverify: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("worldverify: interrupted.", file=sys.stderr)
        sys.exit(130)
