"""Can LeRobot evaluate its policies on these tasks? An EnvHub environment: one file, called env.py, with `make_env`.

In a repository of its own on the Hugging Face Hub, `lerobot.envs.factory.make_env("USER/REPO", n_envs=4,
trust_remote_code=True)` downloads it and calls `make_env` below.
"""

from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

import worldverify as wv

gymnasium.register_envs(wv)

TASKS = ("PickCube-v0", "PutInBasket-v0", "ReachSafe-v0")  # where no others are asked for
PIXELS = 256  # of the width and the height of a picture
NEW_ROLLOUT = "lerobot_new_rollout"  # an option of reset() by which LeRobot marks a new episode


class LeRobotTask(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A task as LeRobot wants it.

    Observation: "pixels" (256, 256, 3) uint8 and "agent_pos", the joints [rad] and the gripper, 0 closed to 1 open.
    Action: the same numbers, where the joints are to go, as `worldverify.lerobot` writes them into datasets. What a
    network puts a little beyond a joint's range is cut off.
    """

    def __init__(self, task: str) -> None:
        super().__init__(
            gymnasium.make(
                f"worldverify/{task}",
                actions="joint",
                obs="pixels_agent_pos",
                normalised=False,
                render_mode="rgb_array",
                width=PIXELS,
                height=PIXELS,
            )
        )
        made = self.get_wrapper_attr("task")
        self.task = task
        self.task_description = made.instruction
        self._max_episode_steps = made.steps

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        ours = {key: value for key, value in (options or {}).items() if key != NEW_ROLLOUT}
        return self.env.reset(seed=seed, options=ours or None)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        box: Any = self.action_space
        return self.env.step(np.clip(np.asarray(action, dtype=np.float64), box.low, box.high))


def make_env(n_envs: int = 1, use_async_envs: bool = False, cfg: Any = None) -> dict[str, dict[int, VectorEnv]]:
    """Suite -> number of a task -> `n_envs` environments of it, in processes of their own with `use_async_envs`.

    `cfg.task` may name other tasks, with commas between them.
    """
    asked = getattr(cfg, "task", None)
    names = [name.strip() for name in asked.split(",")] if asked else list(TASKS)
    vector = AsyncVectorEnv if use_async_envs else SyncVectorEnv
    return {
        "worldverify": {
            number: vector([partial(LeRobotTask, name)] * n_envs, autoreset_mode=AutoresetMode.SAME_STEP)
            for number, name in enumerate(names)
        }
    }
