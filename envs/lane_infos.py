"""What the infos of a row of episodes say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.envs.face import OPEN, Answer
from worldverify.task import Task

Floats = NDArray[np.float64]
Infos = dict[str, Any]


def lane_infos(task: Task, standing: Floats, answers: Mapping[int, Answer]) -> Infos:
    """The same keys at every step. A margin [SI unit of its deciding term] counts where its mask is True.

    `standing` (n, C) are the margins in scales if the world stood still from now on; `answers` are those of the rows
    whose episodes have ended.
    """
    names, n = task.scene.bound.names, len(standing)
    infos: Infos = {
        "instruction": _texts(n, task.instruction),
        "is_success": np.zeros(n, dtype=bool),
        "success": np.zeros(n, dtype=bool),
        "valid": np.ones(n, dtype=bool),
        **{key: _texts(n, getattr(OPEN, key)) for key in ("status", "cause", "code", "reason")},
        "margins": {name: np.zeros(n) for name in names},
        "margins_mask": {name: np.zeros(n, dtype=bool) for name in names},
        "standing": {name: standing[:, c].copy() for c, name in enumerate(names)},
    }
    for row, answer in answers.items():
        infos["is_success"][row] = infos["success"][row] = answer.status == "PASS"
        infos["valid"][row] = answer.valid
        for key in ("status", "cause", "code", "reason"):
            infos[key][row] = getattr(answer, key)
        for name, margin in answer.margins.items():
            if margin.value is not None:
                infos["margins"][name][row], infos["margins_mask"][name][row] = margin.value, True
    return infos


def _texts(n: int, text: str) -> NDArray[Any]:
    return np.full(n, text, dtype=object)
