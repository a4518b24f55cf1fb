"""What an environment shows: numbers, a picture, or how far each requirement is from being met."""

from typing import Any

import mujoco
import numpy as np
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

from worldverify.compile import GRIPPER
from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.png import Image
from worldverify.render import Camera, Painter
from worldverify.task import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FARTHEST = 1e6  # of any number of an observation; beyond it the physics is not trusted anyway
KINDS = ("state", "pixels_agent_pos", "goal")

_STATE_PARTS = {
    "qpos": mujoco.mjtState.mjSTATE_QPOS,
    "qvel": mujoco.mjtState.mjSTATE_QVEL,
    "act": mujoco.mjtState.mjSTATE_ACT,
    "mocap_pos": mujoco.mjtState.mjSTATE_MOCAP_POS,
    "mocap_quat": mujoco.mjtState.mjSTATE_MOCAP_QUAT,
    "ctrl": mujoco.mjtState.mjSTATE_CTRL,
}


class Observations:
    """What is seen of the states of a task, in one of three kinds.

    "state": one vector, what there is of qpos, qvel, act, mocap_pos, mocap_quat and ctrl in the units of MuJoCo, then
    `time`, the share of the horizon that has passed.

    "pixels_agent_pos": "pixels" (height, width, 3) uint8 from a camera, drawn without OpenGL, and "agent_pos": the pose
    of a driving base (x, y [m], yaw [rad]), then of each arm its joints [rad] and, if it has one, how far its gripper
    is open, 0 to 1. Of a scene with neither, qpos.

    "goal": "observation", as "state"; "achieved_goal" (C,), the margin of each requirement, in its scale, if the world
    stood still from now on; and "desired_goal" (C,), zeros: a requirement is met where its margin is above zero.

    Numbers are cut off at `FARTHEST`, and NaN is shown as 0.
    """

    def __init__(
        self,
        task: Task,
        kind: str = "state",
        *,
        width: int = 320,
        height: int = 240,
        camera: str | int | Camera = "view",
    ) -> None:
        """`width`, `height` [pixels] and `camera` are of "pixels"."""
        if kind not in KINDS:
            raise ValueError(f"obs must be one of {', '.join(map(repr, KINDS))}; got {kind!r}.")
        self.kind = kind
        self._task, self._scene = task, task.scene
        self._picture = (height, width, 3)
        self._painter = None
        if kind == "pixels_agent_pos":
            self._painter = Painter(task.scene.model, width=width, height=height, camera=camera)
            self._agent = Agent(task)
        self._parts = {name: state_slice(task.scene.model, part) for name, part in _STATE_PARTS.items()}
        sizes = {name: part.stop - part.start for name, part in self._parts.items()}
        shown = self._agent.sizes if self._painter is not None else {**sizes, "time": 1}
        self.layout: dict[str, slice] = {}  # what lies where in the vector: "agent_pos", or the state
        self.size = 0
        for name, size in shown.items():
            if size:
                self.layout[name] = slice(self.size, self.size + size)
                self.size += size

    def space(self) -> Space[Any]:
        """All that may be seen."""
        low, high = np.full(self.size, -FARTHEST, np.float32), np.full(self.size, FARTHEST, np.float32)
        if self.kind == "pixels_agent_pos":
            return Dict({"pixels": Box(0, 255, self._picture, np.uint8), "agent_pos": Box(low, high, dtype=np.float32)})
        low[self.layout["time"]], high[self.layout["time"]] = 0.0, 1.0
        vector = Box(low, high, dtype=np.float32)
        if self.kind == "state":
            return vector
        margins = Box(-FARTHEST, FARTHEST, (len(self._scene.bound.names),), np.float64)
        return Dict({"observation": vector, "achieved_goal": margins, "desired_goal": margins})

    def batch(self, states: Floats, substeps: Ints, margins: Floats) -> Any:
        """What is seen of n states (n, nstate) after `substeps` (n,) physics steps: (n, size), or a dict of (n, ...).

        `margins` (n, C) are those of the requirements, in scales, if the world stood still from now on.
        """
        if self._painter is not None:
            pictures = np.empty((len(states), *self._picture), np.uint8)
            for picture, state in zip(pictures, states, strict=True):
                picture[:] = self._painted(self._painter, state)
            return {"pixels": pictures, "agent_pos": _shown(self._agent.pos(states)).astype(np.float32)}
        vectors = np.empty((len(states), self.size), np.float32)
        for name, place in self.layout.items():
            if name == "time":
                vectors[:, place] = np.minimum(1.0, substeps[:, None] / self._task.samples)
            else:
                vectors[:, place] = _shown(states[:, self._parts[name]])
        if self.kind == "state":
            return vectors
        achieved = _shown(np.where(np.isnan(margins), -np.inf, margins))
        return {"observation": vectors, "achieved_goal": achieved, "desired_goal": np.zeros(margins.shape)}

    def _painted(self, painter: Painter, state: Floats) -> Image:
        data = self._scene.data(state)
        mujoco.mj_kinematics(self._scene.model, data)
        mujoco.mj_camlight(self._scene.model, data)
        return painter.paint(data)


class Agent:
    """Where the robot of a task is, in numbers."""

    def __init__(self, task: Task) -> None:
        model = task.scene.model
        begin = state_slice(model, mujoco.mjtState.mjSTATE_QPOS).start
        places: dict[str, list[int]] = {}  # name -> where its numbers are in a state; that of a gripper is their mean
        self._travel: dict[str, tuple[float, float]] = {}  # of a gripper's fingers [m], closed and open
        for joint in () if task.base is None else task.base.joints:
            places[joint] = [begin + int(model.joint(joint).qposadr[0])]
        for name, arm in task.every_arm.items():
            for joint in arm.joints:
                places[joint] = [begin + int(model.joint(joint).qposadr[0])]
            if arm.finger_joints:
                hand = f"{name} {GRIPPER}".strip()
                places[hand] = [begin + int(model.joint(joint).qposadr[0]) for joint in arm.finger_joints]
                self._travel[hand] = (arm.gripper_closed, arm.gripper_open)
        self._places = places or {"qpos": list(range(begin, begin + model.nq))}
        self.sizes = dict.fromkeys(places, 1) or {"qpos": int(model.nq)}

    def pos(self, states: Floats) -> Floats:
        """(n, size) of states (n, nstate)."""
        columns = []
        for name, places in self._places.items():
            values = states[:, places]
            if name in self._travel:
                closed, opened = self._travel[name]
                values = np.clip((values.mean(axis=1, keepdims=True) - closed) / (opened - closed), 0.0, 1.0)
            columns.append(values)
        return np.concatenate(columns, axis=1)


def _shown(values: Floats) -> Floats:
    """Numbers within +-FARTHEST; NaN is 0."""
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=FARTHEST, neginf=-FARTHEST), -FARTHEST, FARTHEST)
