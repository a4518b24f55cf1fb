"""What does an agent see when it acts in a task step by step?"""

import gymnasium
import numpy as np

import worldverify as wv

gymnasium.register_envs(wv)


def main() -> None:
    """Print the answer."""
    env = gymnasium.make("worldverify/PickCube-v0")
    observation, info = env.reset(seed=0)
    print(info["instruction"])
    print(f"{observation.size} observations in {', '.join(env.get_wrapper_attr('layout'))}; 8 actions in [-1, 1].")

    expert = env.get_wrapper_attr("actions_for")(env.get_wrapper_attr("task").good)
    clumsy = np.clip(expert + np.random.default_rng(1).normal(0.0, 0.02, expert.shape), -1, 1).astype(np.float32)
    for name, actions in {"the good plan": expert, "the same with a shaking arm": clumsy}.items():
        env.reset(seed=0)
        print(f"\n{name}")
        total, step, over = 0.0, 0, False
        while not over:
            _, reward, terminated, truncated, info = env.step(actions[min(step, len(actions) - 1)])
            step, total, over = step + 1, total + float(reward), terminated or truncated
            if abs(float(reward)) > 0.05 or over:
                print(f"  {step * 0.04:4.2f} s  reward {reward:+.2f}  return {total:+.2f}")
        print(f"  {info['status']}: {info['reason']}")
    env.close()


if __name__ == "__main__":
    main()
