"""How fast is a verdict on this machine's CPU, against a bare MuJoCo rollout of the same plans?

python examples/bench_cpu.py [--json FILE]: three measurements in one run, each with its target.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from mujoco import batch

import worldverify as wv
from worldverify.bench.clocks import spread, timed
from worldverify.bench.facts import loads, machine
from worldverify.compile import compile_for
from worldverify.envs.parts import cube, scene_spec, table
from worldverify.kernels.mujoco_cpu import MujocoEngine, usable_cpus
from worldverify.simulate import simulate

FIRST = """
import time; start = time.perf_counter()
import worldverify as wv; imported = time.perf_counter()
task = wv.load("PickCube-v0"); status = wv.verify(task, [task.good])[0].status
print(imported - start, time.perf_counter() - start, status)
"""


BATCHES = (8, 32, 128)  # plans
CANDIDATES = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the raw numbers here")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--plans", type=int, nargs="+", default=BATCHES, help="plans of a batch")
    arguments = parser.parse_args()
    task = wv.load("PickCube-v0")
    controls = noisy_picks(task, plans=max(CANDIDATES, *arguments.plans))
    result = {
        "command": "python examples/bench_cpu.py",
        "machine": machine(),
        "first_verdict": first_verdict(arguments.repeats),
        "rollout": [against_bare_rollout(task, controls[:n], arguments.repeats) for n in arguments.plans],
        "candidates": candidates(task, controls[:CANDIDATES], arguments.repeats),
    }
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def noisy_picks(task: wv.Task, *, plans: int) -> list[Any]:
    """(T, nu) controls of the good plan at full length, each with its own constant joint offset: none ends early."""
    start = task.start(0)[None]
    (good,) = compile_for(task, start, [task.good])
    held = good.controls[np.minimum(np.arange(task.steps), len(good.controls) - 1)]
    offsets = np.random.default_rng(0).normal(scale=0.01, size=(plans, 7))
    return [held + np.append(offset, 0.0) for offset in offsets]


def first_verdict(repeats: int) -> dict[str, Any]:
    """A new process from its start to its first verdict, s."""
    walls, imports = [], []
    for _ in range(repeats):
        clock = time.perf_counter()
        out = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True).stdout.split()
        walls.append(time.perf_counter() - clock)
        imports.append(float(out[0]))
        assert out[2] == "PASS", out
    return {"wall_s": spread(walls), "imports_s": spread(imports), "target": "wall <= 1.5 s, imports <= 0.8 s"}


def against_bare_rollout(task: wv.Task, controls: list[Any], repeats: int) -> dict[str, Any]:
    """Steps/s of our evidence against a plain rollout of the scene without sensors and checks, in ABBA order."""
    plain = scene_spec(table(), cube("cube", (0.5, 0.0))).compile()
    threads, plans, steps = usable_cpus(), len(controls), task.samples
    state = np.broadcast_to(task.start(0), (plans, task.scene.nstate))
    bare, engine = batch.Batch(plain, plans, threads), MujocoEngine(task.scene.model, plans, threads=threads)
    held = np.stack([np.repeat(u, task.substeps, axis=0) for u in controls])

    def run_bare() -> None:
        bare.state[:] = state
        bare.rollout(steps, held)  # records qpos, as it does by default

    def run_ours() -> None:
        simulate(engine, state, controls, substeps=task.substeps, samples=steps)

    run_bare(), run_ours()
    ratios, rate = [], []
    for _ in range(repeats):
        a, b, c, d = (timed(f) for f in (run_bare, run_ours, run_ours, run_bare))
        ratios.append((a + d) / (b + c))
        rate.append(2 * plans * steps / (b + c))
    return {
        "plans": plans,
        "steps_each": steps,
        "threads": threads,
        "steps_per_s": spread(rate),
        "ratio_to_bare": spread(ratios),
        **loads(task, np.stack(controls)),
        "nv": int(plain.nv),
        "timestep_s": float(plain.opt.timestep),
        "target": "ratio >= 0.90",
    }


def candidates(task: wv.Task, controls: list[Any], repeats: int) -> dict[str, Any]:
    """32 candidates of 2 s from one state, judged as chunks by a verifier that is warm, s."""
    verifier, state = wv.LocalVerifier(), task.start(0)
    plans = [wv.Plan(None, "ctrl", task.rate, u[: round(2 * task.rate)]) for u in controls]
    verifier.verify(task, plans, state=state, scope="chunk")
    walls = [timed(lambda: verifier.verify(task, plans, state=state, scope="chunk")) for _ in range(repeats)]
    statuses = [v.status for v in verifier.verify(task, plans, state=state, scope="chunk")]
    return {"wall_s": spread(walls), "passes": statuses.count("PASS"), "plans": len(plans), "target": "p50 <= 0.2 s"}


def print_table(result: dict[str, Any]) -> None:
    first, rollout, many = result["first_verdict"], result["rollout"], result["candidates"]
    print(f"new process to first verdict  {first['wall_s']['p50']:.2f} s, imports {first['imports_s']['p50']:.2f} s")
    for one in rollout:
        rate, ratio = one["steps_per_s"]["p50"], one["ratio_to_bare"]["p50"]
        print(f"{one['plans']:3} plans, steps/s, all checks  {rate:,.0f}, {ratio:.3f} of a bare rollout")
    print(f"32 candidates of 2 s          {1e3 * many['wall_s']['p50']:.0f} ms, {many['passes']} pass")


if __name__ == "__main__":
    main()
