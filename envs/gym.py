"""The Gymnasium face of a task: `TaskEnv` is acted in step by step, `PlanEnv` judges a whole plan in one step."""

from worldverify.envs.plan_env import PlanEnv as PlanEnv
from worldverify.envs.step_env import TaskEnv as TaskEnv
