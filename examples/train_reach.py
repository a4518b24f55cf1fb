"""Does a small policy learn ReachSafe-v0 in minutes on a CPU, and does it do better than the scripted baseline?

python examples/train_reach.py [--json FILE] [--picture FILE]: PPO of Stable-Baselines3, which has to be installed
(`pip install stable-baselines3 matplotlib`). The same seed gives the same policy on the same machine.

Five times a second the policy says where the tool goes next: three numbers, for the gripper stays open and points down
as it does at the start. It learns from margins: how near every requirement is to being met, whether a guard was
violated, and whether the verdict was a PASS. It is measured by verdicts alone, from starts that it has not seen, next
to the plans of the scripted proposer; and once more, next to the good plan in the same actions, on a miscalibrated arm,
whose steps come out longer or shorter than they are told to be. Intervals are exact, 95 % (Clopper and Pearson, 1934).
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

import worldverify as wv
from worldverify.bench.facts import machine
from worldverify.envs.wrappers import VectorMarginReward, VectorSafetyCost
from worldverify.kernels.binomial import upper_bound
from worldverify.proposing.scripted import propose_scripted

gymnasium.register_envs(wv)

NAME = "ReachSafe-v0"
HELD = 5  # actions of the environment, 0.2 s, that a decision of the policy lasts
STEP = 0.8  # of the longest step of the tool: 2 cm along each axis in 0.04 s
SLIP = 0.2  # of a step: along each axis of the miscalibrated arm all steps come out up to so much longer or shorter
STAYS, SCALE = 0.03, 0.01  # m: the requirement that the tool stays this near to the goal, and what its margin is in
PASS, UNSAFE = 10.0, 10.0  # margin scales: what a PASS is worth, and what a violated guard costs

LANES = 64
WATCHED, HELD_OUT = 10_000, 20_000  # the first seeds of the starts that it is watched on, and measured on
EPISODES = 64, 256  # from each of those
DECISIONS = 25  # in each lane, an episode, between two updates of the policy
EVERY = 5  # updates between two looks at it
ENOUGH = 63  # episodes of those watched that pass, twice in a row: then training ends


class Ended(NamedTuple):
    """What an episode came to."""

    passed: bool
    reason: str
    rested_s: float  # s, after which the tool was at rest at the goal for the first time; infinite if never
    away_m: float  # m, from the goal, in the end


class Count(NamedTuple):
    """How many of some episodes passed."""

    passed: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """Probabilities of passing that the count does not contradict, at 95 %."""
        failed = upper_bound(self.of - self.passed, self.of, confidence=0.975)
        return 1.0 - failed, upper_bound(self.passed, self.of, confidence=0.975)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.passed} of {self.of} ({100 * low:.1f} to {100 * high:.1f} %)"


class Reach(VecEnv):
    """ReachSafe-v0 in many lanes, as Stable-Baselines3 wants it: three numbers in [-1, 1] move the tool for 0.2 s.

    A lane whose episode ends begins anew at once, and waits there for the next decision.
    """

    def __init__(self, lanes: int, slip: np.ndarray | None = None) -> None:
        """`slip` (lanes, 3): how long a step comes out along each axis that is told to be 1 long."""
        tasks = gymnasium.make_vec(
            f"worldverify/{NAME}", num_envs=lanes, actions="ee_delta", autoreset_mode="same_step"
        )
        self.tasks: Any = tasks.unwrapped
        self.envs = VectorSafetyCost(VectorMarginReward(tasks))
        self.actions = 0  # of the environment, in all lanes together
        self._slip = np.ones((lanes, 3)) if slip is None else slip
        self.still = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # the gripper open
        super().__init__(lanes, tasks.single_observation_space, Box(-1.0, 1.0, (3,), np.float32))

    def reset(self) -> Any:
        observations, _ = self.envs.reset(seed=self._seeds)
        self._reset_seeds()
        self._now, self._rested = np.zeros(self.num_envs), np.full(self.num_envs, np.inf)  # s
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        moves = np.clip(actions, -1.0, 1.0)
        self._rows = np.tile(self.still, (self.num_envs, 1))
        self._rows[:, :3] = STEP * (0.25 * moves + 0.75 * moves**3)  # noise about a small move stays small

    def step_wait(self) -> Any:
        ended, total = np.zeros(self.num_envs, dtype=bool), np.zeros(self.num_envs)
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for _ in range(HELD):
            observations, rewards, over, ends = self.act(np.where(ended[:, None], self.still, self._rows))
            total += np.where(ended, 0.0, rewards)
            for lane in np.flatnonzero(over & ~ended):
                told[lane] = ends[lane]
            ended |= over
        return observations, total.astype(np.float32), ended, told

    def act(self, rows: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, dict[int, dict[str, Any]]]:
        """One action (lanes, 7) of the environment: observations, rewards, which lanes ended, and what they came to."""
        executed = rows.copy()
        executed[:, :3] = np.clip(self._slip * rows[:, :3], -1.0, 1.0)
        observations, rewards, terminated, truncated, infos = self.envs.step(executed)
        self.actions += self.num_envs
        rewards = np.nan_to_num(rewards - UNSAFE * infos["cost"])  # NaN: nothing could be judged
        over = terminated | truncated
        self._now += 1.0 / self.tasks.task.rate
        rests = (np.asarray(infos["standing"]["reached"]) > 0) & ~over
        self._rested = np.where(rests, np.minimum(self._rested, self._now), self._rested)
        ends = {}
        for lane in np.flatnonzero(over):
            passed, reason = (infos["final_info"][key][lane] for key in ("is_success", "reason"))
            away_m = STAYS - SCALE * infos["final_info"]["standing"]["stays"][lane]
            rewards[lane] += PASS * passed
            ends[int(lane)] = {
                "terminal_observation": infos["final_obs"][lane],
                "TimeLimit.truncated": bool(truncated[lane]),
                "ended": Ended(bool(passed), reason, float(self._rested[lane]), float(away_m)),
            }
        self._now[over], self._rested[over] = 0.0, np.inf
        return observations, rewards, over, ends

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.envs, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError("The lanes of one engine have no attributes of their own.")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        raise NotImplementedError("The lanes of one engine have no methods of their own.")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the policy and of the starts that it learns from")
    parser.add_argument("--most", type=int, default=400_000, help="decisions after which training ends in any case")
    parser.add_argument("--json", type=Path, help="write the raw numbers here")
    parser.add_argument("--picture", type=Path, help="draw the learning curve into this PNG")
    arguments = parser.parse_args()
    facts = machine()
    scripted = scripted_counts(HELD_OUT, EPISODES[1])
    for kind, count in scripted.items():
        print(f"scripted proposer, {kind}: {count}", flush=True)

    policy, normal, curve = trained(arguments.seed, arguments.most)
    last = curve[-1]
    print(f"trained with {last['decisions']:,} decisions, {last['actions']:,} actions of the environment,")
    print(f"in {last['minutes']:.1f} minutes, {last['cpu_minutes']:.1f} minutes of CPU time")
    slip = np.random.default_rng(0).uniform(1 - SLIP, 1 + SLIP, (EPISODES[1], 3))
    measured = {
        "policy": episodes(policy, normal, HELD_OUT, EPISODES[1]),
        "good script": replayed(HELD_OUT, EPISODES[1]),
        "policy, miscalibrated": episodes(policy, normal, HELD_OUT, EPISODES[1], slip),
        "good script, miscalibrated": replayed(HELD_OUT, EPISODES[1], slip),
    }
    rows = {}
    for name, ends in measured.items():
        count, rested = Count(sum(end.passed for end in ends), len(ends)), [end.rested_s for end in ends if end.passed]
        at_rest = round(float(np.median(rested)), 2) if rested else None
        rows[name] = {**_written(count), "median_rested_s": at_rest}
        print(f"{name}: {count}" + (f", at rest at the goal after {at_rest} s" if rested else ""))
    if arguments.json:
        kept = {
            "command": "python examples/train_reach.py",
            "machine": facts,
            "trainer": {name: version(name) for name in ("stable-baselines3", "torch")},
            "seed": arguments.seed,
            "curve": curve,
            "scripted": {kind: _written(count) for kind, count in scripted.items()},
            **rows,
        }
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")
    if arguments.picture:
        draw(curve, scripted, arguments.picture)


def trained(seed: int, most: int) -> tuple[PPO, VecNormalize, list[dict[str, Any]]]:
    """A policy, the scales of what it sees, and how it did while it learned."""
    torch.set_num_threads(1)  # the networks are small, and the physics wants the cores
    reach = Reach(LANES)
    normal = VecNormalize(reach, gamma=0.98, clip_reward=100.0)
    policy = PPO(
        "MlpPolicy",
        normal,
        seed=seed,
        device="cpu",
        gamma=0.98,
        n_steps=DECISIONS,
        batch_size=400,
        n_epochs=8,
        learning_rate=1e-3,
        policy_kwargs={"net_arch": [64, 64], "log_std_init": -0.5},
    )
    curve: list[dict[str, Any]] = []
    wall = cpu = 0.0  # s, of learning alone
    while policy.num_timesteps < most:
        clock, busy = time.perf_counter(), time.process_time()
        policy.learn(EVERY * DECISIONS * LANES, reset_num_timesteps=False)
        wall, cpu = wall + time.perf_counter() - clock, cpu + time.process_time() - busy
        ends = episodes(policy, normal, WATCHED, EPISODES[0])
        passed, away_m = sum(end.passed for end in ends), float(np.median([end.away_m for end in ends]))
        spent = {"minutes": round(wall / 60, 2), "cpu_minutes": round(cpu / 60, 2)}
        now = {"decisions": policy.num_timesteps, "actions": reach.actions, **spent}
        curve.append({**now, "passed": passed, "of": EPISODES[0], "median_away_m": round(away_m, 4)})
        print(
            f"{now['decisions']:7} decisions, {wall / 60:4.1f} min: {passed} of {EPISODES[0]} pass, "
            f"{100 * away_m:.1f} cm from the goal in the end",
            flush=True,
        )
        if len(curve) > 1 and min(curve[-2]["passed"], passed) >= ENOUGH:
            break
    reach.close()
    return policy, normal, curve


def episodes(policy: PPO, normal: VecNormalize, first: int, count: int, slip: np.ndarray | None = None) -> list[Ended]:
    """What the policy, without its noise, makes of the starts of the seeds from `first` on."""
    reach = Reach(count, slip)
    reach.seed(first)
    observations = reach.reset()
    ends: dict[int, Ended] = {}
    while len(ends) < count:
        decisions, _ = policy.predict(normal.normalize_obs(observations), deterministic=True)
        observations, _, dones, told = reach.step(decisions)
        for lane in np.flatnonzero(dones):
            ends.setdefault(int(lane), told[lane]["ended"])
    reach.close()
    return [ends[lane] for lane in range(count)]


def replayed(first: int, count: int, slip: np.ndarray | None = None) -> list[Ended]:
    """The same of the task's good plan, written for each start in steps of the tool and replayed without looking."""
    reach = Reach(count, slip)
    reach.seed(first)
    reach.reset()
    plans = [reach.tasks.actions_for(lane, reach.tasks.task.good) for lane in range(count)]
    ends: dict[int, Ended] = {}
    step = 0
    while len(ends) < count:
        rows = np.stack([plan[step] if step < len(plan) else reach.still for plan in plans])
        for lane, told in reach.act(rows)[3].items():
            ends.setdefault(lane, told["ended"])
        step += 1
    reach.close()
    return [ends[lane] for lane in range(count)]


def scripted_counts(first: int, count: int) -> dict[str, Count]:
    """How many plans of the scripted proposer pass, from each start one good, one clumsy and one wrong plan."""
    task = wv.load(NAME)
    found: dict[str, list[bool]] = {"all": []}
    for seed in range(first, first + count):
        lines = propose_scripted(task, 3, seed=seed)
        for line, verdict in zip(lines, wv.verify(task, lines, seed=seed), strict=True):
            kind: str = line["proposal"]["kind"]  # type: ignore[index]
            found["all"].append(verdict.status == "PASS")
            found.setdefault(kind, []).append(verdict.status == "PASS")
    return {kind: Count(sum(passed), len(passed)) for kind, passed in found.items()}


def draw(curve: list[dict[str, Any]], scripted: dict[str, Count], target: Path) -> None:
    """The learning curve, with its intervals, next to what the scripted proposer's plans come to."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    blue, brown = "#2a6fbb", "#8a5a00"
    figure, (above, below) = pyplot.subplots(
        2, 1, sharex=True, figsize=(7.2, 5.2), dpi=140, layout="constrained", height_ratios=(2, 1)
    )
    x = [row["actions"] / 1e3 for row in curve]
    counts = [Count(row["passed"], row["of"]) for row in curve]
    low, high = zip(*(count.interval for count in counts), strict=True)
    above.fill_between(x, low, high, color=blue, alpha=0.2, linewidth=0)
    above.plot(x, [count.passed / count.of for count in counts], color=blue, marker="o", markersize=3)
    for kind, label in {"all": "scripted proposer", "clumsy": "its clumsy third", "good": "its good third"}.items():
        share = scripted[kind].passed / scripted[kind].of
        above.axhline(share, color=brown, linewidth=1, linestyle="-" if kind == "all" else ":")
        above.text(x[0], share + 0.01, label, color=brown, fontsize=8, va="bottom")
    above.set(ylim=(-0.02, 1.1), ylabel="share of episodes that PASS")
    below.semilogy(x, [100 * row["median_away_m"] for row in curve], color=blue, marker="o", markersize=3)
    below.axhline(2.0, color=brown, linewidth=1, linestyle=":")
    below.text(x[0], 2.1, "near enough", color=brown, fontsize=8, va="bottom")
    below.set(xlabel="actions in the environment, thousands", ylabel="from the goal\nin the end, cm")
    below.set_yticks([1, 3, 10, 30], labels=["1", "3", "10", "30"])
    below.minorticks_off()
    minutes = curve[-1]["cpu_minutes"]
    above.set_title(f"{NAME}: PPO, {minutes:.0f} minutes of CPU time, starts that it does not learn from", fontsize=9)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Software": None})


def _written(count: Count) -> dict[str, Any]:
    return {"passed": count.passed, "of": count.of, "interval": [round(bound, 4) for bound in count.interval]}


if __name__ == "__main__":
    main()
