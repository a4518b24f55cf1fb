"""Does a true rollout, with the noise that a prediction has, pass the physics of check_rollout?

python examples/check_rollouts.py [--count 1000]: plans of the tasks and smooth random controls, simulated, made noisy,
and judged as predictions in four forms: with and without velocities, with and without actions.
"""

import argparse
import time
from multiprocessing import get_context
from typing import Any

import mujoco
import numpy as np

import worldverify as wv
from worldverify.compile import compile_for
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.rollouts import Noise, RolloutChecker

POSITION, ANGLE = 5e-4, 1e-3  # m, rad: one standard deviation of every predicted number
LONGEST = 175  # control periods of a rollout: long tasks would take most of the time
SMOOTH = 4  # of five rollouts have random controls, the fifth a plan of its task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    count, tasks = parser.parse_args().count, wv.tasks()
    clock, worst = time.perf_counter(), dict[str, float]()
    done = passed = 0
    with get_context("spawn").Pool() as workers:
        shares = [(name, tasks.index(name), count, len(tasks)) for name in tasks]
        for name, (judged, true, used) in zip(tasks, workers.starmap(judge, shares, chunksize=1), strict=True):
            print(f"{name:<16} {true} of {judged} true rollouts pass physics")
            done, passed = done + judged, passed + true
            worst = {law: max(worst.get(law, 0.0), used.get(law, 0.0)) for law in {**worst, **used}}
    for law, share in worst.items():
        print(f"{law:<22} uses at most {100 * share:.0f} % of what is allowed")
    print(f"{passed} of {done}, {time.perf_counter() - clock:.0f} s")


def judge(name: str, first: int, count: int, step: int) -> tuple[int, int, dict[str, float]]:
    """Of every `step`th rollout: how many were judged, how many are believed, and the share used of each allowance."""
    checker, done, passed, worst = RolloutChecker(name, threads=1), 0, 0, dict[str, float]()
    task, noise = checker.task, Noise(POSITION, ANGLE)
    for seed in range(len(range(first, count, step))):
        generator = np.random.default_rng(seed)
        states, controls = rollout(task, seed, generator)
        form = seed % 4
        predicted = noisy(task, states, generator, velocities=form < 2)
        verdict = checker.check(predicted, controls if form % 2 == 0 else None, noise=noise, seed=seed)
        laws = {law: m for law, m in verdict.margins.items() if law.startswith("physics:")}
        done += 1
        passed += bool(laws) and all((m.value or 0.0) > 0 for m in laws.values())
        for law, m in laws.items():
            worst[law] = max(worst.get(law, 0.0), 1 - (m.relative or 0.0))
    return done, passed, worst


def rollout(task: wv.Task, seed: int, generator: np.random.Generator) -> tuple[Any, Any]:
    """(T+1, nstate) what MuJoCo does from the start of a seed, and the controls (T, nu)."""
    controls = smooth(task, generator)
    if seed % (SMOOTH + 1) == SMOOTH:
        plans = [task.good, *task.bad.values()]
        plan, start = plans[seed % len(plans)], task.start(seed)[None]
        (found,) = compile_for(task, start, [plan])
        if not isinstance(found, wv.Refusal):  # plans are written for the start of seed 0
            controls = found.controls[np.minimum(np.arange(task.steps), len(found.controls) - 1)]
    engine, lane = MujocoEngine(task.scene.model, 1), np.arange(1)
    states = [task.start(seed)]
    engine.load(lane, states[0][None])
    for control in controls[:LONGEST]:
        engine.advance(lane, np.tile(control, (1, task.substeps, 1)))
        states.append(engine.state(lane)[0])
    return np.array(states), controls[:LONGEST]


def smooth(task: wv.Task, generator: np.random.Generator) -> Any:
    """(T, nu) controls that wander about the start's, within their ranges."""
    model = task.scene.model
    low, high = model.actuator_ctrlrange.T
    start = task.start(0)[state_slice(model, mujoco.mjtState.mjSTATE_CTRL)]
    time_s = np.arange(task.steps)[:, None] / task.rate
    controls = np.tile(start, (task.steps, 1))
    reach = generator.uniform(0.0, 0.25, model.nu) * (high - low) / 2
    for _ in range(3):
        rate, phase = generator.uniform(0.1, 0.6, model.nu), generator.uniform(0, 2 * np.pi, model.nu)
        controls += reach / 3 * (np.sin(2 * np.pi * rate * time_s + phase) - np.sin(phase))
    return np.clip(controls, low, high)


def noisy(task: wv.Task, states: Any, generator: np.random.Generator, *, velocities: bool) -> dict[str, Any]:
    """The states as a model would predict them, each number with its error."""
    model = task.scene.model
    angle = np.zeros(model.nv, dtype=bool)
    for joint in range(model.njnt):
        first, kind = int(model.jnt_dofadr[joint]), mujoco.mjtJoint(int(model.jnt_type[joint]))
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            angle[first + 3 : first + 6] = True
        angle[first] |= kind == mujoco.mjtJoint.mjJNT_HINGE
    sigma = np.where(angle, ANGLE, POSITION)
    qpos = states[:, state_slice(model, mujoco.mjtState.mjSTATE_QPOS)].copy()
    for row in qpos:
        mujoco.mj_integratePos(model, row, generator.normal(0.0, 1.0, model.nv) * sigma, 1.0)
    if not velocities:
        return {"qpos": qpos}
    qvel = states[:, state_slice(model, mujoco.mjtState.mjSTATE_QVEL)]
    spread = sigma * task.rate / np.sqrt(2)
    return {"qpos": qpos, "qvel": qvel + generator.normal(0.0, 1.0, qvel.shape) * spread}


if __name__ == "__main__":
    main()
