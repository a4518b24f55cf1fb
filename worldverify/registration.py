"""The Gymnasium ids of our tasks: `worldverify/PickCube-v0` step by step, `worldverify/PickCube-Plan-v0` by plans."""

from typing import NamedTuple

import gymnasium

from worldverify.registry import tasks

NAMESPACE = "worldverify"


class EntryPoints(NamedTuple):
    """What makes one environment, and many in one."""

    single: str
    vector: str


KINDS = {  # what a name gets -> what makes it
    "": EntryPoints("worldverify.envs.gym:TaskEnv", "worldverify.envs.gym:make_vector"),
    "-Plan": EntryPoints("worldverify.envs.gym:PlanEnv", "worldverify.envs.gym:make_plan_vector"),
}


def register_tasks() -> None:
    """Make every task known to `gymnasium.make` and `make_vec`; a second call changes nothing."""
    for task in tasks():
        name, _, version = task.rpartition("-v")
        for kind, entry in KINDS.items():
            id = f"{NAMESPACE}/{name}{kind}-v{version}"
            if id not in gymnasium.registry:
                gymnasium.register(
                    id=id, entry_point=entry.single, vector_entry_point=entry.vector, kwargs={"task": task}
                )
