"""How many environment steps a second does make_vec take, against a bare physics batch and Gymnasium's AsyncVectorEnv?

python examples/bench_vector.py [--json FILE] [TASK ...]: a random policy; ratios of rounds that follow each other.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from mujoco import batch, mjtState

import worldverify as wv
from worldverify.bench.facts import machine, raw_model
from worldverify.kernels.mujoco_cpu import quiet, usable_cpus

TASKS = ("PushCube-v0", "PickCube-v0", "ReachSafe-v0", "NavigateRoom-v0")
STEPS = 20  # in a round
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", metavar="TASK", nargs="*", default=TASKS)
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path, help="write the raw numbers here")
    arguments = parser.parse_args()
    rows = [measure(task, arguments.num_envs, arguments.rounds) for task in arguments.tasks]
    print(f"{'task':<18}{'env-steps/s':>12}{'of bare batch':>15}{'of async':>10}{'resets a step':>15}")
    for row in rows:
        print(
            f"{row['task']:<18}{row['env_steps_per_s']:>12,.0f}{row['of_bare']['p50']:>15.2f}"
            f"{row['of_async']['p50']:>10.1f}{row['resets_per_step']:>15.2f}"
        )
    if arguments.json:
        report = {"command": "python examples/bench_vector.py", "machine": machine(), "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def measure(task: str, num_envs: int, rounds: int) -> dict[str, Any]:
    """Rates of `num_envs` lanes under a random policy, in rounds of STEPS steps."""
    name = f"worldverify/{task}"
    envs = gymnasium.make_vec(name, num_envs=num_envs, autoreset_mode="same_step")
    envs.reset(seed=0)
    envs.action_space.seed(0)
    single = gymnasium.make_vec(
        name, num_envs=WORKERS, vectorization_mode="async", vector_kwargs={"autoreset_mode": "SameStep"}
    )
    single.reset(seed=0)
    single.action_space.seed(0)
    own, resets, bare, others = [], [], [], []
    for _ in range(rounds):
        took, ended = stepping(envs)
        own.append(num_envs * STEPS / took)
        resets.append(ended / STEPS)
        bare.append(num_envs * STEPS / stepping_bare(task, envs))
        others.append(WORKERS * STEPS / stepping(single)[0])
    envs.close()
    single.close()
    return {
        "task": task,
        "num_envs": num_envs,
        "rounds": rounds,
        "env_steps_per_s": statistics.median(own),
        "of_bare": ratios(own, bare),
        "of_async": ratios(own, others),
        "resets_per_step": statistics.mean(resets),
    }


def stepping(envs: gymnasium.vector.VectorEnv[Any, Any, Any]) -> tuple[float, int]:
    """Seconds for STEPS steps of random actions, and how many episodes ended."""
    ended, clock = 0, time.perf_counter()
    for _ in range(STEPS):
        _, _, terminated, truncated, _ = envs.step(envs.action_space.sample())
        ended += int((terminated | truncated).sum())
    return time.perf_counter() - clock, ended


def stepping_bare(task: str, envs: Any) -> float:
    """Seconds for the same physics with neither sensors, checks, rewards, observations nor resets."""
    loaded = wv.load(task)
    lanes = batch.Batch(raw_model(loaded), envs.num_envs, usable_cpus())
    lanes.state[:] = np.stack([envs.unwrapped.state(lane) for lane in range(envs.num_envs)])
    low, high = (loaded.scene.model.actuator_ctrlrange[:, side] for side in (0, 1))
    controls = np.random.default_rng(0).uniform(low, high, (STEPS, envs.num_envs, len(low)))
    held = [np.repeat(control[:, None], loaded.substeps, axis=1) for control in controls]
    with quiet():
        clock = time.perf_counter()
        for control in held:
            lanes.rollout(loaded.substeps, control, mjtState.mjSTATE_CTRL)
        return time.perf_counter() - clock


def ratios(own: list[float], other: list[float]) -> dict[str, float]:
    each = [one / two for one, two in zip(own, other, strict=True)]
    return {"p50": statistics.median(each), "min": min(each), "max": max(each)}


if __name__ == "__main__":
    main()
