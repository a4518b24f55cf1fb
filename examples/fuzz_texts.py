"""Does any text crash the reader, hang it, or PASS though it is garbage?

python examples/fuzz_texts.py --texts 100000 --seed 0 --json FILE: mangles plans in every format, and what real models
wrote where that is there, reads each text under several declared formats and judges every different plan that comes
out. The laws are written in tests/fuzzing.py. Exits 1 if one is broken.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from worldverify.kernels.mujoco_cpu import usable_cpus
from worldverify.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))
import fuzz_corpus  # noqa: E402
import fuzzing  # noqa: E402

TEXTS = 200  # in one piece of work
PLANS = 32
SHOWN = 200  # characters of a text in the report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--others", type=int, default=4, help="formats that a text is read under beside its own")
    parser.add_argument("--outputs", type=Path, default=ROOT.parent / "shared" / "model-outputs", help="real outputs")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    before, clock = machine(), time.perf_counter()
    workers = usable_cpus()
    real = fuzz_corpus.collected(arguments.outputs) if arguments.outputs.is_dir() else ()
    corpus = (*fuzz_corpus.seeds(), *real)
    with multiprocessing.get_context("fork").Pool(workers, start, (arguments.seed, arguments.others, corpus)) as pool:
        tally = read_all(pool, arguments.texts)
        read_s = time.perf_counter() - clock
        judged = judge_all(pool, list(tally.plans.items()))
    problems = [*tally.problems, *(problem for problem, *_ in judged if problem is not None)]
    result = {
        "command": f"python examples/fuzz_texts.py --texts {arguments.texts} --seed {arguments.seed} "
        f"--others {arguments.others}",
        "machine": before,
        "processes": workers,
        "wall_s": round(time.perf_counter() - clock, 1),
        "wall_of_reading_s": round(read_s, 1),
        "texts": arguments.texts,
        "plans_of_ours": len(corpus) - len(real),
        "real_outputs": len(real),
        "readings": sum(map(sum, (codes.values() for codes in tally.codes.values()))),
        "read_as_lines_too": tally.lines,
        **measured(tally),
        "mutations": dict(tally.mutations.most_common()),
        "formats": by_format(tally, judged),
        "changed_passes": [one for _, _, _, one in judged if one is not None],
        "violations": [shown(problem) for problem in problems],
    }
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if problems else 0


_WORK: list[Any] = []  # of one process: seed, others, corpus


def start(*work: Any) -> None:
    """Begins a process."""
    _WORK[:] = work


def read_some(indices: range) -> fuzzing.Tally:
    seed, others, corpus = _WORK
    return fuzzing.sweep(seed, indices, corpus, others=others)


def read_all(pool: Any, texts: int) -> fuzzing.Tally:
    """Reads every text."""
    tally = fuzzing.Tally()
    pieces = [range(first, min(texts, first + TEXTS)) for first in range(0, texts, TEXTS)]
    for part in told("texts", pool.imap_unordered(read_some, pieces), len(pieces), TEXTS):
        tally.add(part)
    return tally


Key = tuple[str, Any]
Found = tuple[Any, Key, Any, Any]  # problem or None, key of the plan, what came of it, a PASS to list or None


def judge_some(some: list[tuple[Key, Any]]) -> list[Found]:
    found: list[Found] = []
    outcomes = fuzzing.judge([(task, plan, mutant.seed) for (task, plan), mutant in some])
    for ((task, plan), mutant), one in zip(some, outcomes, strict=True):
        where = (mutant.number, plan.format, mutant.seed.name, mutant.mutations)
        problem = fuzzing.Problem(*where, one.problems[0], mutant.text) if one.problems else None
        listed = None
        if one.status == "PASS" and not one.kept:
            listed = {**dict(zip(("text", "format", "of", "mutations"), where, strict=True)), "digest": one.digest}
            kept = json.dumps(plan.to_json()["actions"])[:SHOWN] if mutant.seed.ours else "(of a collected text)"
            listed["actions"] = kept  # what others wrote is not kept here
        found.append((problem, (task, plan), one, listed))
    return found


def judge_all(pool: Any, plans: list[tuple[Key, Any]]) -> list[Found]:
    """Judges every plan once."""
    plans.sort(key=lambda item: item[1].number)
    pieces = [plans[first : first + PLANS] for first in range(0, len(plans), PLANS)]
    parts = told("plans", pool.imap(judge_some, pieces), len(pieces), PLANS)
    return [one for part in parts for one in part]


def told(what: str, parts: Iterable[Any], count: int, size: int) -> Iterator[Any]:
    """The parts, with a line on how far it is every few seconds."""
    last = time.monotonic()
    for done, part in enumerate(parts, 1):
        yield part
        if time.monotonic() - last > 5 or done == count:
            last = time.monotonic()
            print(f"\r{done * size:,} of about {count * size:,} {what}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def measured(tally: fuzzing.Tally) -> dict[str, Any]:
    """Time and memory of one reading."""
    times = np.concatenate([np.array(some) for some in tally.cpu_s.values() if some])
    names = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}
    return {
        "cpu_s_of_a_reading": {
            **{name: round(float(np.percentile(times, at)), 6) for name, at in names.items()},
            "measured": len(times),
        },
        "memory_mib_of_a_reading": {"max": round(max(tally.peak.values()) / 2**20, 2), "measured": tally.weighed},
        "limits": {"cpu_s": fuzzing.SLOW, "memory_mib": fuzzing.LARGE / 2**20},
    }


def by_format(tally: fuzzing.Tally, judged: list[Found]) -> dict[str, Any]:
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for _, (_, plan), one, _ in judged:
        status = one.status if one.status != "PASS" else "PASS, unchanged" if one.kept else "PASS, changed"
        verdicts[plan.format][status] += 1
    return {
        format: {
            "readings": sum(codes.values()),
            "plans": codes[""],
            "refused": {code: count for code, count in codes.most_common() if code},
            "different_plans": dict(verdicts[format].most_common()),
            "slowest_s": round(max(tally.cpu_s[format], default=0.0), 4),
            "memory_mib": round(tally.peak[format] / 2**20, 2),
        }
        for format, codes in sorted(tally.codes.items())
    }


def shown(problem: fuzzing.Problem) -> dict[str, Any]:
    return {**problem._asdict(), "text": repr(problem.text)[:SHOWN], "length": len(problem.text)}


def machine() -> dict[str, Any]:
    names = ("mujoco", "numpy")
    cpu = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "python": platform.python_version(),
        "cpu": cpu[0] if cpu else platform.processor(),
        "usable_cpus": usable_cpus(),
        "load_1m_before": os.getloadavg()[0],
        "versions": {"worldverify": VERSION, **{n: importlib.metadata.version(n) for n in names}},
    }


def print_table(result: dict[str, Any]) -> None:
    heads = ("format", "readings", "plans", "PASS same", "PASS other", "slowest", "memory", "refused, most often")
    print("{:34} {:>8} {:>6} {:>9} {:>10} {:>9} {:>9}  {}".format(*heads))
    for format, one in result["formats"].items():
        verdicts = one["different_plans"]
        refused = ", ".join(f"{code} {count}" for code, count in list(one["refused"].items())[:3])
        passed = f"{verdicts.get('PASS, unchanged', 0):9} {verdicts.get('PASS, changed', 0):10}"
        cost = f"{1e3 * one['slowest_s']:6.0f} ms {one['memory_mib']:5.1f} MiB"
        print(f"{format:34} {one['readings']:8} {one['plans']:6} {passed} {cost}  {refused}")
    times = ", ".join(
        f"{name} {1e3 * value:.2f}" for name, value in result["cpu_s_of_a_reading"].items() if name != "measured"
    )
    print(f"\n{result['texts']:,} texts, {result['readings']:,} readings in {result['wall_s']:.0f} s; ms each: {times}")
    for one in result["violations"][:20]:
        print(f"VIOLATION text {one['number']} ({', '.join(one['mutations'])}), {one['format']}: {one['what']}")
        print(f"    {one['text']}")
    print(f"{len(result['violations'])} violations")


if __name__ == "__main__":
    sys.exit(main())
