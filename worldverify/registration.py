"""The Gymnasium ids of our tasks: `worldverify/PickCube-v0` step by step, `worldverify/PickCube-Plan-v0` by plans."""

import gymnasium

from worldverify.registry import tasks

NAMESPACE = "worldverify"
KINDS = {"": "worldverify.envs.gym:TaskEnv", "-Plan": "worldverify.envs.gym:PlanEnv"}  # what a name gets -> class


def register_tasks() -> None:
    """Make every task known to `gymnasium.make`; a second call changes nothing."""
    for task in tasks():
        name, _, version = task.rpartition("-v")
        for kind, entry_point in KINDS.items():
            id = f"{NAMESPACE}/{name}{kind}-v{version}"
            if id not in gymnasium.registry:
                gymnasium.register(id=id, entry_point=entry_point, kwargs={"task": task})
