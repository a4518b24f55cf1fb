"""How many steps a second an environment takes under a random policy, on each engine."""

import time
from collections.abc import Sequence
from typing import Any

import gymnasium

from worldverify.engines.backend import parse_engine

LANES = {"mujoco": 256, "cpu": 8, "gpu": 4096}  # of MuJoCo C, and of MJX by its device
STEPS = 200  # at most
COMPILES_S = 180.0  # what MJX may take on a CPU until its first step
SHARE = 0.05  # of the time of a run, for each engine that need not be compiled


def measure_environments(
    task: str, engines: Sequence[str], *, seconds: float, device: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows, and a sentence for each engine that was left out. `device` is that of MJX, `seconds` what is left."""
    rows, skipped = [], []
    for name in engines:
        began = time.perf_counter()
        if name != "mujoco" and device == "cpu" and seconds < COMPILES_S:
            skipped.append(f"Environment steps, {name}: not measured: compiling may take minutes (--budget-s).")
            continue
        try:
            rows.append(_measure(task, name, "cpu" if name == "mujoco" else device, max(1.0, SHARE * seconds)))
        except (ValueError, RuntimeError, ImportError) as error:
            skipped.append(f"Environment steps, {name}: not measured. {error}")
        seconds -= time.perf_counter() - began
    return rows, skipped


def _measure(task: str, name: str, device: str, seconds: float) -> dict[str, Any]:
    engine, impl = parse_engine(name)
    lanes = LANES["mujoco" if engine == "mujoco" else device]
    envs = gymnasium.make_vec(
        f"worldverify/{task}", num_envs=lanes, on=device, engine=engine, impl=impl, autoreset_mode="same_step"
    )
    try:
        envs.reset(seed=0)
        envs.action_space.seed(0)
        envs.step(envs.action_space.sample())  # what is compiled is compiled now
        steps, ended, clock = 0, 0, time.perf_counter()
        while steps < STEPS and (took := time.perf_counter() - clock) < seconds:
            _, _, terminated, truncated, _ = envs.step(envs.action_space.sample())
            steps, ended = steps + 1, ended + int((terminated | truncated).sum())
        took = time.perf_counter() - clock
    finally:
        envs.close()
    return {
        "task": task,
        "engine": name,
        "device": device,
        "num_envs": lanes,
        "steps": steps,
        "env_steps_per_s": steps * lanes / took,
        "episodes_ended_per_step": ended / max(1, steps),
    }


def environment_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line an engine."""
    return [
        f"{row['task']} as an environment, random policy, {row['engine']} on the {row['device']}: "
        f"{row['env_steps_per_s']:,.0f} steps/s with {row['num_envs']} lanes."
        for row in rows
    ]
