"""Does a shaky policy get better if the best of 16 sampled chunks is executed instead of the first?"""

import time
from typing import Any

import gymnasium
import numpy as np

import worldverify as wv

gymnasium.register_envs(wv)

CHUNK = 10  # actions, 0.4 s
NOISE = 0.01  # of an action, whose range is [-1, 1]


def sample(expert: np.ndarray, step: int, n: int, generator: np.random.Generator) -> np.ndarray:
    """(n, CHUNK, 8): what a stochastic policy might do next; ours is a good plan and noise."""
    rows = expert[np.minimum(np.arange(step, step + CHUNK), len(expert) - 1)]
    return np.clip(rows + generator.normal(0.0, NOISE, (n, *rows.shape)), -1, 1).astype(np.float32)


def episode(env: Any, n: int, seed: int) -> str:
    """What came of executing, chunk after chunk, the one that the verifier ranks first of n."""
    env.reset(seed=seed)
    expert, generator = env.actions_for(env.task.good), np.random.default_rng(seed)
    step, spent = 0, []
    while True:
        chunks = sample(expert, step, n, generator)
        clock = time.perf_counter()
        chosen = env.verify(chunks).ranking[0] if n > 1 else 0
        spent.append(1e3 * (time.perf_counter() - clock))
        for action in chunks[chosen]:
            _, _, terminated, truncated, info = env.step(action)
            step += 1
            if terminated or truncated:
                return f"{info['status']}, {np.median(spent):3.0f} ms to choose a chunk. {info['reason']}"


def main() -> None:
    """Print the answer."""
    env = gymnasium.make("worldverify/PickCube-v0").unwrapped
    for seed in range(2):
        for n in (1, 16):
            print(f"start {seed}, best of {n:2}: {episode(env, n, seed)}")
    env.close()


if __name__ == "__main__":
    main()
