"""The cold clock: a new process, from its start to its first verdict, and the memory that lanes take in it.

`python -m worldverify.bench.starts TASK ENGINE DEVICE LANES` is such a process.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from worldverify.bench.clocks import spread
from worldverify.engines.backend import parse_engine
from worldverify.engines.caches import CHOSEN
from worldverify.engines.device import find_gpu, packages_refusal

REPEATS = 3  # of a start; one with an empty cache is made once, since compiling takes long
LANES = {("mujoco", "cpu"): 256, ("mjx-warp", "cpu"): 64, ("mjx-jax", "cpu"): 8}  # whose memory is measured
LANES_GPU = 2048
OWN_CACHES = ("JAX_COMPILATION_CACHE_DIR", "WARP_CACHE_PATH")  # would be used instead of the empty one


def measure_starts(
    tasks: Sequence[str], engines: Sequence[str], *, seconds: float
) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """Starts of each engine by task, and a sentence for each that was left out.

    The caches are empty before the first task; the next one finds what its scene shares with those before.
    To be called before this process takes the memory of a GPU, which the new ones need.
    """
    end, found, said = time.perf_counter() + seconds, dict[str, list[dict[str, Any]]](), list[str]()
    with tempfile.TemporaryDirectory(prefix="worldverify-") as cache:
        env = {name: value for name, value in os.environ.items() if name not in OWN_CACHES} | {CHOSEN: cache}
        for i, task in enumerate(tasks):
            found[task] = []
            for engine in dict.fromkeys(("mujoco", *engines)):
                device = device_of(engine)
                row = _starts_of(task, engine, device, env, end)
                if isinstance(row, str):
                    said.append(f"{task}, {engine} on the {device}: no cold clock. {row}")
                else:
                    found[task].append({"engine": engine, "device": device, "caches_empty": i == 0, **row})
    return found, said


def device_of(engine: str) -> str:
    """Where an engine runs on this machine, found out without importing JAX."""
    if engine == "mujoco" or not find_gpu().present:
        return "cpu"
    return "cpu" if packages_refusal(parse_engine(engine)[1]) else "gpu"


def _starts_of(task: str, engine: str, device: str, env: dict[str, str], end: float) -> dict[str, Any] | str:
    lanes = LANES.get((engine, device), LANES_GPU)
    cold = one_start(task, engine, device, 0, env, limit=end - time.perf_counter())
    if isinstance(cold, str):
        return cold
    warm: list[dict[str, Any]] = []
    while len(warm) < REPEATS and (left := end - time.perf_counter()) > 2 * cold["wall_s"]:
        one = one_start(task, engine, device, lanes if len(warm) == REPEATS - 1 else 0, env, limit=left)
        if isinstance(one, str):
            break
        warm.append(one)
    return {
        "status": cold["status"],
        "cold_cache_s": spread([cold["wall_s"]]),
        "warm_cache_s": spread([one["wall_s"] for one in warm]) if warm else None,
        "imports_s": spread([one["imports_s"] for one in (*warm, cold)]),
        "bytes_per_lane": next((one["bytes_per_lane"] for one in warm if "bytes_per_lane" in one), None),
        "lanes": lanes,
    }


def one_start(
    task: str, engine: str, device: str, lanes: int, env: dict[str, str], *, limit: float
) -> dict[str, Any] | str:
    """What one new process says; a sentence if it does not end in time, or fails."""
    if limit <= 0:
        return "There was no time left for it."
    command = [sys.executable, "-m", "worldverify.bench.starts", task, engine, device, str(lanes)]
    clock = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            out, error = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"A new process gave no answer within the {limit:.0f} s that were left for it."
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        return f"The new process ended with: {error.strip().splitlines()[-1] if error.strip() else process.returncode}"
    merged: dict[str, Any] = {}
    for line in lines:
        merged |= line
    merged["wall_s"] = merged.pop("at") - clock  # the clock of the two processes is the machine's
    return merged


def main(arguments: Sequence[str]) -> None:
    """The new process."""
    began = time.perf_counter()
    task_name, engine, device, lanes = arguments[0], arguments[1], arguments[2], int(arguments[3])
    from worldverify.bench.contestants import verifier_of
    from worldverify.engines.backend import Backend
    from worldverify.registry import load
    from worldverify.variations import variations

    name, impl = parse_engine(engine)
    imported = time.perf_counter()
    task = load(task_name)
    verifier = verifier_of(Backend(name, impl, device))
    verdict = verifier.verify(task, [task.good])[0]
    at = time.perf_counter()
    print(json.dumps({"at": at, "imports_s": imported - began, "status": verdict.status}), flush=True)
    if lanes:
        before = peak_bytes(device)
        verifier.verify(task, variations(task, lanes))
        print(json.dumps({"bytes_per_lane": max(0, peak_bytes(device) - before) / (lanes - 1)}), flush=True)


def peak_bytes(device: str) -> int:
    """The most memory this process has held: of the GPU, else of the machine."""
    if device != "gpu":
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    import jax
    import warp

    held = int((jax.devices("gpu")[0].memory_stats() or {}).get("peak_bytes_in_use", 0))
    pool = warp.get_mempool_used_mem_high("cuda:0") if warp.is_mempool_enabled("cuda:0") else 0
    return held + int(pool)


if __name__ == "__main__":
    main(sys.argv[1:])
