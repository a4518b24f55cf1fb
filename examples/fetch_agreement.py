"""Do our verdicts agree with the success flags of somebody else's tasks, and is the physics the same?

python examples/fetch_agreement.py [--count 1000] [--json FILE]: rollouts of the four Fetch tasks of Gymnasium-Robotics
(pip install 'worldverify[peers]'), by scripted, clumsy and random hands. Each is recorded with their flags and states,
run again by our engine in a scene that `Task.from_mjcf` made of their file, and judged by a spec of their rule.

They move a gripper by a weld to a body that is moved by hand (mocap), which no plan can do. So only the start, the
poses of that body and the controls are taken over, as they set them, once a control period.
"""

import argparse
import json
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import gymnasium_robotics
import mujoco
import numpy as np
from gymnasium_robotics.utils import mujoco_utils

import worldverify as wv
from worldverify.bench.facts import machine
from worldverify.judge import Finding, atom_margins, judge
from worldverify.kernels.engine import Fault
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.simulate import Trace

# In 1.4.2 these three assert what the enumerations of MuJoCo 4.0 no longer grant.
mujoco_utils.get_joint_qpos = lambda model, data, name: data.joint(name).qpos.copy()
mujoco_utils.get_joint_qvel = lambda model, data, name: data.joint(name).qvel.copy()
mujoco_utils.set_joint_qpos = lambda model, data, name, value: np.copyto(data.joint(name).qpos, value)

TASKS = {"FetchReach": "robot0:grip", "FetchPush": "object0", "FetchSlide": "object0", "FetchPickAndPlace": "object0"}
LATE = ("FetchPickAndPlace",)  # no forward pass follows the last physics step: the flag sees the state before it
RATE, STEPS, NEAR = 25.0, 50, 0.05  # Hz, actions of an episode, m
ABOVE = np.array([0, 0, 0.1])  # m
SPEC = """
final: at_end(distance("{thing}", goal) < 0.05 m)
ever:  eventually[0.04,2](distance("{thing}", goal) < 0.05 m)
held:  always[1.5,2](distance("{thing}", goal) < 0.05 m)
"""

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_QPOS, _QVEL = mujoco.mjtState.mjSTATE_QPOS, mujoco.mjtState.mjSTATE_QVEL
_MOCAP = (mujoco.mjtState.mjSTATE_MOCAP_POS, mujoco.mjtState.mjSTATE_MOCAP_QUAT)
_PARTS = (mujoco.mjtState.mjSTATE_TIME, _QPOS, _QVEL, mujoco.mjtState.mjSTATE_WARMSTART, *_MOCAP)


class Recording(NamedTuple):
    """B rollouts of T actions of one of their tasks."""

    model: mujoco.MjModel  # theirs
    goal: Any  # (B, 3)          m
    before: Any  # (B, T, nstate)  when an action has set its commands
    after: Any  # (B, T, nstate)  when its 20 physics steps are done
    control: Any  # (B, T, nu)
    flag: Any  # (B, T)          info["is_success"]
    distance: Any  # (B, T)          m, what the flag compares with NEAR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the table and every difference here")
    arguments = parser.parse_args()
    gymnasium.register_envs(gymnasium_robotics)
    clock, result, differences = time.perf_counter(), dict[str, Any](), list[dict[str, Any]]()
    print("task                rollouts  successes  believed    final     ever  states equal  frames alike   m apart")
    for index, (name, thing) in enumerate(TASKS.items()):
        run = record(name, range(index, arguments.count, len(TASKS)))
        task = wv.Task.from_mjcf(
            scene_of(name), spec=SPEC.format(thing=thing), horizon=STEPS / RATE, rate=RATE, name=name
        )
        trace, equal = replay(task, run)
        row, found = compare(task, run, trace, name in LATE)
        result[name] = {**row, "equal_bits": int(equal.sum())}
        differences += [{"task": name, "seed": index + len(TASKS) * one.pop("rollout"), **one} for one in found]
        n, frames = row["rollouts"], row["frames"]
        print(
            f"{name:<18}{n:>10}{row['successes']:>11}{row['believed']:>10}{row['final']:>9}{row['ever']:>9}"
            f"{equal.sum():>14}{row['frames_alike']:>8}/{frames}{row['apart_m']:>10.1g}"
        )
    for one in differences:
        print(f"{one['task']} seed {one['seed']}, {one['rule']}: they {one['theirs']}, we {one['ours']}: {one['why']}")
    alike = [sum(row[rule] for row in result.values()) for rule in ("final", "ever")]
    print(f"final {alike[0]} and ever {alike[1]} of {arguments.count} alike, {time.perf_counter() - clock:.0f} s")
    if arguments.json:
        facts = {**machine(), "gymnasium-robotics": gymnasium_robotics.__version__}
        command = f"python examples/fetch_agreement.py --count {arguments.count}"
        kept = {"command": command, "machine": facts, "tasks": result, "differences": differences}
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")


def record(name: str, seeds: range) -> Recording:
    """Rollouts of one of their tasks, one a seed: a scripted hand in 60 %, a clumsy one in 25 %, a random one else."""
    env = gymnasium.make(f"{name}-v4", max_episode_steps=STEPS)
    inner: Any = env.unwrapped
    rows, seen, step = list[tuple[Any, ...]](), list[tuple[float, float]](), inner._mujoco_step

    def state() -> Any:
        out = np.empty(mujoco.mj_stateSize(inner.model, int(_STATE)))
        mujoco.mj_getState(inner.model, inner.data, out, int(_STATE))
        return out

    def watched(action: Any) -> None:
        before = state()
        step(action)
        rows.append((inner.goal.copy(), before, state(), inner.data.ctrl.copy()))

    inner._mujoco_step = watched
    for seed in seeds:
        generator = np.random.default_rng(seed)
        noise = generator.choice([0.0, generator.uniform(0.1, 1.0), np.inf], p=[0.6, 0.25, 0.15])
        obs, _ = env.reset(seed=seed)
        memory: dict[str, Any] = {"stage": 0, "wait": 0}
        for _ in range(STEPS):
            action = hand(name, obs, memory) + generator.normal(0, 1, 4) * min(noise, 1.0)
            action = generator.uniform(-1, 1, 4) if noise == np.inf else np.clip(action, -1, 1)
            obs, _, _, _, info = env.step(action.astype(np.float32))
            seen.append((info["is_success"], float(np.linalg.norm(obs["achieved_goal"] - obs["desired_goal"]))))
    goal, before, after, control = (np.array(x).reshape(len(seeds), STEPS, -1) for x in zip(*rows, strict=True))
    flag, distance = np.array(seen).reshape(len(seeds), STEPS, 2).transpose(2, 0, 1)
    return Recording(inner.model, goal[:, 0], before, after, control, flag > 0, distance)


def hand(name: str, obs: dict[str, Any], memory: dict[str, Any]) -> Any:
    """(4,) what a scripted hand does: steps of the gripper over 5 cm, and what its fingers are to do."""
    grip, goal, thing, stage = obs["observation"][:3], obs["desired_goal"], obs["achieved_goal"], memory["stage"]
    target, fingers = goal, 1.0
    if name == "FetchPickAndPlace":
        target, fingers = (thing + ABOVE, thing, thing, goal)[stage], (1.0, 1.0, -1.0, -1.0)[stage]
        memory["wait"] += stage == 2
        memory["stage"] += (stage < 2 and np.abs(target - grip).max() < 0.01) or memory["wait"] == 5
        memory["wait"] += memory["wait"] == 5
    elif name != "FetchReach":
        way = memory.setdefault("way", np.append((goal - thing)[:2], 0.0) / np.linalg.norm((goal - thing)[:2]))
        behind = memory.setdefault("start", thing.copy()) - 0.09 * way
        target = (behind + ABOVE, behind, goal - 0.045 * way)[stage]
        memory["stage"] += stage < 2 and np.abs(target - grip).max() < 0.012
        if name == "FetchSlide" and stage == 2:  # follow the puck until it is fast enough to slide on by itself
            left, speed = np.linalg.norm(goal - thing), RATE * np.linalg.norm(thing - memory.get("last", thing))
            memory["last"], memory["gone"] = thing, memory.get("gone", False) or speed**2 > 1.3 * left
            aside = (thing - grip) - (thing - grip) @ (goal - thing) * (goal - thing) / left**2
            target = grip + (-0.05 * way if memory["gone"] else 0.07 * (goal - thing) / left + aside)
            target[2] = thing[2] + 0.1 * memory["gone"]
    return np.append(10.0 * (target - grip), fingers)


def scene_of(name: str) -> str:
    """Their file as one text: the weld as their code sets it, a marker where the goal is, and, since a task needs an
    actuator, one without force where they have none."""
    path = Path(gymnasium.make(f"{name}-v4").unwrapped.fullpath)
    root = _inlined(path)
    for folder in ("meshdir", "texturedir"):
        compiler = root.find("compiler")
        compiler.set(folder, str((path.parent / compiler.get(folder)).resolve()))
    root.find("equality/weld").set("relpose", "0 0 0 1 0 0 0")
    ET.SubElement(root.find("worldbody"), "body", name="goal", mocap="true")
    if root.find("actuator/*") is None:
        ET.SubElement(ET.SubElement(root, "actuator"), "general", joint="robot0:slide0", gainprm="0", ctrlrange="0 1")
    return ET.tostring(root, encoding="unicode")


def _inlined(path: Path) -> ET.Element:
    """A file with what it includes."""
    root = ET.parse(path).getroot()
    for parent in list(root.iter()):
        for include in parent.findall("include"):
            at = list(parent).index(include)
            parent.remove(include)
            for i, part in enumerate(_inlined(path.parent / include.get("file"))):
                parent.insert(at + i, part)
    return root


def replay(task: wv.Task, run: Recording) -> tuple[Trace, Any]:
    """The evidence of every rollout, run by our engine from their first state, and (B,) whether every qpos and qvel
    had the bits of theirs after each action."""
    model, lanes, count = task.scene.model, np.arange(len(run.goal)), run.control.shape[2]
    qpos, qvel = state_slice(model, _QPOS), state_slice(model, _QVEL)
    fingers = [qpos.start + int(model.joint(f"robot0:{side}_gripper_finger_joint").qposadr[0]) for side in "lr"]
    engine, equal, seen = MujocoEngine(model, len(lanes)), np.ones(len(lanes), dtype=bool), []
    control = np.zeros((len(lanes), task.substeps, model.nu))
    for k in range(STEPS):
        commanded = _ours(task, run, run.before[:, k])
        state = engine.state(lanes) if k else commanded
        for part in _MOCAP:
            state[:, state_slice(model, part)] = commanded[:, state_slice(model, part)]
        if k and not count:
            state[:, fingers] = 0.0  # where they do not use the gripper, they put it back after every action
        control[..., :count] = run.control[:, k, None]
        engine.load(lanes, state)
        seen.append(engine.advance(lanes, control))
        same = engine.state(lanes) == _ours(task, run, run.after[:, k])
        equal &= same[:, qpos.start : qvel.stop].all(axis=1)
    seen.append(engine.observe(lanes))
    value, fault = (np.concatenate(parts, axis=1) for parts in zip(*seen, strict=True))
    # A weld moved by hand does work, and so does the limit of their torso, which starts 4 cm beyond it.
    fault &= ~int(Fault.ENERGISED)
    return Trace(value, fault, np.full(len(lanes), task.samples), engine.state(lanes)), equal


def _ours(task: wv.Task, run: Recording, states: Any) -> Any:
    """(B, nstate) their states in our scene, with the markers at the goals."""
    rows = np.tile(task.start(), (len(states), 1))
    for part in _PARTS:
        theirs, ours = state_slice(run.model, part), state_slice(task.scene.model, part)
        rows[:, ours.start : ours.start + theirs.stop - theirs.start] = states[:, theirs]
    rows[:, state_slice(task.scene.model, _MOCAP[0])][:, 3:] = run.goal
    return rows


def compare(task: wv.Task, run: Recording, trace: Trace, late: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How often verdicts and flags agree, and each rollout where they do not. `late`: their flag sees the positions
    one physics step before the end of its action."""
    findings = judge(task.scene.bound, trace, horizon=task.samples, full=True)
    distance = NEAR - atom_margins(task.scene.bound, trace.value)[0]  # (B, N+1)
    frames = distance[:, task.substeps * np.arange(1, STEPS + 1) - late]
    differences: list[dict[str, Any]] = []
    for b, finding in enumerate(findings):
        for rule, theirs in (("final", bool(run.flag[b, -1])), ("ever", bool(run.flag[b].any()))):
            if (ours := _said(finding, rule)) != theirs:
                told = {"theirs": theirs, "ours": ours, "their_m": float(run.distance[b, -1])}
                why = _why(finding, rule, distance[b, task.substeps :], task, late)
                differences.append({"rollout": b, "rule": rule, **told, "our_m": float(distance[b, -1]), "why": why})
    apart = {rule: sum(one["rule"] == rule for one in differences) for rule in ("final", "ever")}
    row = {
        "rollouts": len(findings),
        "successes": int(run.flag[:, -1].sum()),
        "believed": sum(f.status != "INVALID" for f in findings),
        **{rule: len(findings) - n for rule, n in apart.items()},
        "held": sum(_said(f, "held") is True for f in findings),
        "frames": frames.size,
        "frames_alike": int(((frames < NEAR) == run.flag).sum()),
        "apart_m": float(np.abs(frames - run.distance).max()),
    }
    return row, differences


def _said(finding: Finding, rule: str) -> bool | None:
    """Whether a requirement holds; None where the physics is not believed."""
    return None if finding.status == "INVALID" else (finding.margins[rule].value or 0.0) > 0


def _why(finding: Finding, rule: str, distance: Any, task: wv.Task, late: bool) -> str:
    if finding.status == "INVALID":
        at = (finding.untrusted or 0) * task.timestep
        return f"physics not believed from {at:.3f} s on ({finding.fault.name})"
    inside = int((distance < NEAR).sum())
    if rule == "ever":
        return f"within 5 cm for {inside} of {len(distance)} physics steps, none of which a frame shows"
    return f"{distance[-2]:.5f} m one physics step before the end, where they look" if late else "no reason found"


if __name__ == "__main__":
    main()
