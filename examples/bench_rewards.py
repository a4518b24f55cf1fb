"""What does it cost that a trainer asks for one reward at a time?

python examples/bench_rewards.py [--task NAME] [--callers N] [--rounds N] [--json FILE]: the same answers, judged as one
batch; by as many threads, and by as many coroutines, as there are callers, each of which asks for the next score when
it has the last one; and by these threads where nothing joins them. All in turn, A B C D, D C B A, so that a busy
machine wrongs none of them; a rate is the median of its calls, a ratio the median of those of single rounds.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import worldverify as wv
from worldverify.bench.clocks import in_turn, ratios, spread
from worldverify.bench.facts import machine, scene_facts
from worldverify.rewards import acompute_score, compute_score, trl_reward

Rewards = Sequence[float]


def main() -> None:
    """Measure, and print a line for each way of asking."""
    parser = argparse.ArgumentParser(description="Rewards asked for one by one, against one batch.")
    parser.add_argument("--task", default="ReachSafe-v0", help="see worldverify tasks")
    parser.add_argument("--callers", type=int, default=64, help="at a time")
    parser.add_argument("--each", type=int, default=2, help="answers that a caller asks about, one after the other")
    parser.add_argument("--rounds", type=int, default=3, help="of two calls of each way of asking")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the numbers go")
    arguments = parser.parse_args()
    here, texts = machine(), answers(wv.load(arguments.task), arguments.callers * arguments.each)
    ways = ways_to_ask(arguments.task, texts, arguments.callers)
    rewards = {name: ask() for name, ask in ways.items()}  # also warms up
    assert all(found == rewards["one batch"] for found in rewards.values()), "A reward depends on how it is asked for."
    walls = in_turn(ways, dict.fromkeys(ways, arguments.rounds), until=time.perf_counter() + 3600)
    rows = {}
    for name, seconds in walls.items():
        shares = ratios(seconds, walls["one batch"])
        rows[name] = {"wall_s": spread(seconds), "of_batched": spread(shares), "walls_s": seconds}
        rate = len(texts) / float(np.median(seconds))
        print(f"{name:<30} {rate:6.1f} rewards/s, {np.median(shares):.2f} of the batched rate")
    if arguments.json is not None:
        options = f"--task {arguments.task} --callers {arguments.callers} --each {arguments.each}"
        report = {
            "command": f"python examples/bench_rewards.py {options} --rounds {arguments.rounds}",
            "machine": here,
            "scene": scene_facts(wv.load(arguments.task)),
            "answers": len(texts),
            "passed": int(np.sum(np.array(rewards["one batch"]) == 1.0)),
            "ways": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def answers(task: wv.Task, count: int) -> list[str]:
    """Texts that hold the task's good plan, each a little differently and most of them no longer good."""
    generator, line = np.random.default_rng(0), task.good.to_json()  # type: ignore[union-attr]
    texts = []
    for _ in range(count):
        steps = json.loads(json.dumps(line["actions"]))
        for step in steps:
            if isinstance(step.get("position"), list):
                step["position"] = [round(x + generator.normal(scale=0.02), 4) for x in step["position"]]
        texts.append(json.dumps({line["format"]: [*steps, {"skill": "wait", "seconds": len(texts) / 1000 + 0.001}]}))
    return texts


def ways_to_ask(task: str, texts: Sequence[str], callers: int) -> dict[str, Callable[[], Rewards]]:
    """Each returns the rewards of all texts, in order."""
    batched = trl_reward(task)

    def one_batch() -> Rewards:
        return [x for x in batched([""] * len(texts), texts) if x is not None]

    def threads(score: Callable[[str], float]) -> Rewards:
        with ThreadPoolExecutor(callers) as pool:
            return list(pool.map(score, texts))

    async def coroutines() -> Rewards:
        found: dict[int, Any] = {}

        async def caller(first: int) -> None:
            for i in range(first, len(texts), callers):
                found[i] = (await acompute_score(task, texts[i]))["score"]

        await asyncio.gather(*(caller(i) for i in range(callers)))
        return [found[i] for i in range(len(texts))]

    return {
        "one batch": one_batch,
        f"{callers} coroutines, joined": lambda: asyncio.run(coroutines()),
        f"{callers} threads, joined": lambda: threads(lambda text: float(compute_score(task, text)["score"])),
        f"{callers} threads, not joined": lambda: threads(lambda text: wv.verify(task, [text], on="cpu")[0].reward),
    }


if __name__ == "__main__":
    main()
