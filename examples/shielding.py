"""How much safer is a clumsy policy behind a shield, and does it still get its work done?

python examples/shielding.py [--json FILE] [--picture FILE] [--episodes 60]: without a shield, and best of 1, 4 and 16
behind one (and the first of 16 that passes), with the same starts and noise; exact intervals of 95 % (Clopper and
Pearson, 1934).
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

import worldverify as wv
from worldverify import png
from worldverify.bench.facts import machine
from worldverify.kernels.binomial import upper_bound
from worldverify.lettering import write

gymnasium.register_envs(wv)

Floats = NDArray[Any]

CHUNK = 10  # actions, 0.4 s
TAIL = 1.0  # s, that the stop after a chunk is judged for
TRIED = {  # candidates a chunk, and which of those that pass is executed
    "none": (0, ""),
    "best of 1": (1, "best"),
    "best of 4": (4, "best"),
    "best of 16": (16, "best"),
    "first of 16": (16, "first"),
}


class Clumsiness(NamedTuple):
    """How a policy differs from the plan that it knows, in shares of half the range of each number."""

    shake: float  # standard deviation of every number of every action
    slip: float  # probability that a chunk goes astray
    astray: float  # standard deviation of where it is at the end of such a chunk


TASKS = {
    "ReachSafe-v0": Clumsiness(0.001, 0.1, 0.12),
    "PickCube-v0": Clumsiness(0.001, 0.1, 0.08),
    "WaypointCell-v0": Clumsiness(0.0003, 0.1, 0.015),
}


class Episode(NamedTuple):
    """What an episode came to."""

    success: bool
    violated: bool  # a guard, or the bounds of what can be believed
    chunks: int
    stops: int
    unsafe: int
    verify_s: float  # s, spent in verification


class Policy:
    """Knows a plan that works, and follows it with a shaky hand that sometimes slips.

    Candidate i of chunk k is the same whether other candidates are asked for or not.
    """

    def __init__(self, plan: Floats, start: Floats, clumsiness: Clumsiness, seed: int) -> None:
        """`plan` (T, width) and `start` (width,), the action that holds the start."""
        self._plan, self._now, self._how, self._seed = plan, start, clumsiness, seed
        self._at = self._asked = 0  # actions of the plan that are behind it, chunks so far

    def propose(self, observation: Any, count: int) -> Floats:
        """(count, CHUNK, width): back to the plan if it is off it, and on along it."""
        rows = self._plan[np.minimum(np.arange(self._at, self._at + CHUNK), len(self._plan) - 1)]
        off = self._now - (self._plan[min(self._at, len(self._plan)) - 1] if self._at else self._now)
        rows = rows + off * np.linspace(1, 0, CHUNK, endpoint=False)[:, None]
        chunks = [
            rows + self._noise(rows.shape, np.random.default_rng([self._seed, self._asked, i])) for i in range(count)
        ]
        self._asked += 1
        return np.clip(chunks, -1, 1)

    def did(self, actions: Floats, *, own: bool = True) -> None:
        """What was executed, and whether it was one of its candidates: the plan waits while a shield stops."""
        self._now = actions[-1]
        self._at += len(actions) if own else 0

    def _noise(self, shape: tuple[int, ...], generator: np.random.Generator) -> Floats:
        noise = generator.normal(0.0, self._how.shake, shape)
        slips, where = generator.random() < self._how.slip, generator.normal(0.0, self._how.astray, shape[1])
        return noise + slips * where * np.linspace(0, 1, shape[0])[:, None]


def main() -> None:
    """Print the answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--picture", type=Path, help="draw them into this PNG")
    parser.add_argument("--episodes", type=int, default=60, help="of each row of the table")
    parser.add_argument("--quick", action="store_true", help="one episode of one task, with and without a shield")
    options = parser.parse_args()
    episodes, tasks = (1, list(TASKS)[:1]) if options.quick else (options.episodes, list(TASKS))
    tried = list(TRIED)[:2] if options.quick else list(TRIED)
    facts = machine()
    rows = [row for task in tasks for row in measure(task, tried, episodes)]
    result = {
        "command": f"python examples/shielding.py --episodes {episodes}",
        "machine": facts,
        "chunk_actions": CHUNK,
        "tail_s": TAIL,
        "clumsiness": {task: TASKS[task]._asdict() for task in tasks},
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.picture:
        options.picture.write_bytes(png.encode(picture(rows)))


def measure(task: str, tried: Sequence[str], episodes: int) -> Iterator[dict[str, Any]]:
    """The rows of the table of one task, printed as they come."""
    env = gymnasium.make(f"worldverify/{task}")
    print(f"\n{task}, {episodes} episodes each")
    print(f"{'shield':<12}{'success':>24}{'violation':>24}{'stops':>8}{'unsafe':>8}{'ms a chunk':>12}")
    for name in tried:
        (candidates, prefer), clock = TRIED[name], time.perf_counter()
        ran = [episode(env, task, candidates, prefer, seed) for seed in range(episodes)]
        chunks = sum(one.chunks for one in ran)
        row = {
            "task": task,
            "shield": name,
            "episodes": episodes,
            "success": rate(sum(one.success for one in ran), episodes),
            "violation": rate(sum(one.violated for one in ran), episodes),
            "chunks": chunks,
            "stops": sum(one.stops for one in ran),
            "unsafe": sum(one.unsafe for one in ran),
            "verify_ms_per_chunk": 1e3 * sum(one.verify_s for one in ran) / chunks,
            "wall_s": time.perf_counter() - clock,
        }
        said = [f"{x['rate']:.2f} ({x['low']:.2f} to {x['high']:.2f})" for x in (row["success"], row["violation"])]
        print(
            f"{name:<12}{said[0]:>24}{said[1]:>24}{row['stops']:>8}{row['unsafe']:>8}"
            f"{row['verify_ms_per_chunk']:>12.0f}",
            flush=True,
        )
        yield row
    env.close()


def episode(env: Any, task: str, candidates: int, prefer: str, seed: int) -> Episode:
    """One episode, behind a shield or without one."""
    if candidates:
        policy: Policy
        options: dict[str, Any] = {"candidates": candidates, "chunk": CHUNK, "tail_s": TAIL, "prefer": prefer}
        shield = wv.Shield(env, lambda *asked: policy.propose(*asked), **options)
        shield.reset(seed=seed)
        policy = policy_of(env, task, seed)
        while not (step := shield.step()).over:
            policy.did(step.actions, own=step.kind == "candidate" or step.chosen is not None)
        said = shield.report
        return Episode(said.success, not said.safe, said.chunks, said.stops, said.unsafe, said.cost.wall_s)
    env.reset(seed=seed)
    policy, chunks, over = policy_of(env, task, seed), 0, False
    while not over:
        (actions,) = policy.propose(None, 1)
        chunks += 1
        for action in actions:
            _, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            if over:
                break
        policy.did(actions)
    return Episode(info["is_success"], violated(env.unwrapped, info), chunks, 0, 0, 0.0)


def policy_of(env: Any, task: str, seed: int) -> Policy:
    inner = env.unwrapped
    plan = inner.actions_for(inner.task.good)
    return Policy(plan, plan[0], TASKS[task], seed)


def violated(env: Any, info: Mapping[str, Any]) -> bool:
    """Whether an episode has violated a guard, or left what physics can be believed of."""
    bound = env.task.scene.bound
    guards = [name for name, guard in zip(bound.names, bound.guards, strict=True) if guard and name in env.margins]
    return info["status"] == "INVALID" or any(env.margins[name].interval[1] < 0 for name in guards)


def rate(events: int, trials: int) -> dict[str, float]:
    """A share with its two-sided interval of 95 %."""
    low = 1.0 - upper_bound(trials - events, trials, confidence=0.975)
    return {
        "events": events,
        "rate": events / trials,
        "low": low,
        "high": upper_bound(events, trials, confidence=0.975),
    }


PANEL, TALL, LEFT, TOP, FOOT = 380, 240, 60, 50, 60  # px: a task's panel, its plot's height, and the rims
GREEN, RED, GREY = (28, 124, 67), (192, 39, 31), (226, 230, 236)


def picture(rows: Sequence[Mapping[str, Any]]) -> png.Image:
    """Success (green) and violation (red) with their intervals: a panel a task, a column a shield."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    image = np.full((TOP + TALL + FOOT, LEFT + PANEL * len(tasks), 3), 255, np.uint8)

    def box(x: float, y: float, right: float, bottom: float, colour: tuple[int, int, int]) -> None:
        image[round(y) : round(bottom), round(x) : round(right)] = colour

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = TOP + TALL * (1 - share)
        box(LEFT, y, image.shape[1] - 20, y + 1, GREY)
        write(image, f"{share:.2f}", top=round(y) - 5, centre=LEFT - 24, scale=1, ink=90)
    for i, task in enumerate(tasks):
        left = LEFT + PANEL * i
        write(image, task, top=12, centre=left + PANEL // 2, scale=2)
        for j, row in enumerate(row for row in rows if row["task"] == task):
            middle = left + PANEL * (j + 0.5) / len(TRIED)
            for name, colour, shift in (("success", GREEN, -11), ("violation", RED, 11)):
                found, x = row[name], middle + shift
                low, high, y = (TOP + TALL * (1 - found[key]) for key in ("low", "high", "rate"))
                box(x - 1, high, x + 1, low, colour)
                for end in (high, low):
                    box(x - 4, end - 1, x + 4, end + 1, colour)
                box(x - 4, y - 4, x + 4, y + 4, colour)
            write(image, row["shield"], top=TOP + TALL + 12, centre=round(middle), scale=1)
    for words, colour, share in (("success", GREEN, 0.35), ("violation of a guard", RED, 0.6)):
        at = round(image.shape[1] * share)
        box(at, image.shape[0] - 20, at + 8, image.shape[0] - 12, colour)
        write(image, words, top=image.shape[0] - 20, centre=at + 20 + 3 * len(words), scale=1)
    return image


if __name__ == "__main__":
    main()
