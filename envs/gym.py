"""The Gymnasium face of a task: what `gymnasium.make` and `gymnasium.make_vec` make."""

from typing import Any

import gymnasium

from worldverify.engines.backend import On, backend_of
from worldverify.envs.plan_env import PlanEnv as PlanEnv
from worldverify.envs.plan_vector_env import PlanVectorEnv as PlanVectorEnv
from worldverify.envs.step_env import TaskEnv as TaskEnv
from worldverify.envs.vector_env import TaskVectorEnv as TaskVectorEnv
from worldverify.task import Task


def make_vector(
    num_envs: int,
    task: Task | str,
    *,
    on: On = "cpu",
    engine: str | None = None,
    impl: str | None = None,
    **options: Any,
) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """`num_envs` episodes of a task: on MuJoCo C a `TaskVectorEnv`, on MJX a `MjxVectorEnv`.

    `on`, `engine` and `impl` as of `worldverify.verify`; "auto" is not for environments, whose physics would change
    from one machine to the next. The options are those of the class.
    """
    if on == "auto":
        raise ValueError("An environment runs on='cpu' or on='gpu'; on='auto' is for verify, which may choose anew.")
    backend = backend_of(on, engine, impl)
    if backend is None or backend.engine == "mujoco":
        return TaskVectorEnv(num_envs, task, **options)
    from worldverify.envs.mjx_vector_env import MjxVectorEnv

    return MjxVectorEnv(num_envs, task, on=backend.device, impl=backend.impl, **options)


def make_plan_vector(
    num_envs: int,
    task: Task | str,
    *,
    on: On = "cpu",
    engine: str | None = None,
    impl: str | None = None,
    **options: Any,
) -> PlanVectorEnv:
    """`num_envs` plans of a task judged together. `on`, `engine` and `impl` as of `worldverify.verify`."""
    return PlanVectorEnv(num_envs, task, backend=backend_of(on, engine, impl), **options)
