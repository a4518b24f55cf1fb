"""Starts that differ a little, for a scene of which nothing else is known."""

from typing import Any

import mujoco
import numpy as np

ANGLE = 0.01  # rad, by which hinges with limits are turned
SHIFT = 0.005  # m, by which free bodies are moved along x and along y


def shake(generator: np.random.Generator, model: Any, data: Any) -> None:
    """Turn hinges by up to ANGLE inside their limits and move free bodies by up to SHIFT: a task's `randomise`."""
    for joint in range(model.njnt):
        at = int(model.jnt_qposadr[joint])
        kind = mujoco.mjtJoint(int(model.jnt_type[joint]))
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            data.qpos[at : at + 2] += generator.uniform(-SHIFT, SHIFT, 2)
        elif kind == mujoco.mjtJoint.mjJNT_HINGE and model.jnt_limited[joint]:
            low, high = (float(x) for x in model.jnt_range[joint])
            turned = float(data.qpos[at]) + generator.uniform(-ANGLE, ANGLE)
            data.qpos[at] = min(max(turned, low), high) if low <= data.qpos[at] <= high else data.qpos[at]
