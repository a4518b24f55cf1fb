"""What an environment's actions and observations are: boxes of numbers, and what each number means."""

from typing import Any

import mujoco
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.compile import LARGEST, compile_for
from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.plan import Plan, admit
from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]

FARTHEST = 1e6  # of any number of an observation; beyond it the physics is not trusted anyway

_STATE_PARTS = {
    "qpos": mujoco.mjtState.mjSTATE_QPOS,
    "qvel": mujoco.mjtState.mjSTATE_QVEL,
    "act": mujoco.mjtState.mjSTATE_ACT,
    "mocap_pos": mujoco.mjtState.mjSTATE_MOCAP_POS,
    "mocap_quat": mujoco.mjtState.mjSTATE_MOCAP_QUAT,
    "ctrl": mujoco.mjtState.mjSTATE_CTRL,
}


class Actions:
    """The actions of a task: rows of its first format of fixed width."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.contract = _fixed_width(task)
        self.low, self.high = _range(task, self.contract)

    @property
    def width(self) -> int:
        return self.contract.width

    def box(self, *, normalised: bool) -> Box:
        """One action: float32 in [-1, 1] if normalised, else float64 in the units of the format."""
        if not normalised:
            return Box(self.low, self.high, dtype=np.float64)
        unbounded = np.flatnonzero(self.high >= LARGEST)
        if len(unbounded):
            names = ", ".join(str(self._task.scene.model.actuator(i).name or i) for i in unbounded)
            raise ValueError(
                f"{self._task.name} has actuators without a ctrlrange ({names}), so its actions cannot be scaled to "
                "[-1, 1]: give them one in the MJCF, or make the environment with normalised=False."
            )
        return Box(-1.0, 1.0, (self.width,), np.float32)

    def plan_box(self) -> Box:
        """A whole plan (T, width), in the units of the format."""
        shape = (self._task.steps, self.width)
        return Box(np.broadcast_to(self.low, shape), np.broadcast_to(self.high, shape), dtype=np.float64)

    def plan(self, rows: Floats) -> Plan:
        """The plan of rows (T, width) in the units of the format."""
        return Plan(None, self.contract.name, self._task.rate, rows)

    def to_units(self, rows: NDArray[Any]) -> Floats:
        """Normalised rows (..., width) in the units of the format; what is outside [-1, 1] stays outside the range."""
        share = 0.5 * (np.asarray(rows, dtype=np.float64) + 1.0)
        mixed = self.low * (1.0 - share) + self.high * share
        inside = (share >= 0) & (share <= 1)
        units: Floats = np.where(inside, np.clip(mixed, self.low, self.high), mixed)
        return units

    def from_units(self, rows: Floats) -> Floats:
        """Rows (..., width) of the format, normalised."""
        normalised: Floats = np.clip(2.0 * (rows - self.low) / (self.high - self.low) - 1.0, -1.0, 1.0)
        return normalised

    def controls(self, state: Floats, row: Floats) -> Floats | Refusal:
        """(T, nu) what an action (width,) tells the actuators in an episode that began in a state, or why not."""
        return self._compile(state, self.plan(row[None]))

    def rows(self, state: Floats, plan: Any) -> Floats:
        """(T, width) the rows that give a plan of any format from a state. Raises Refusal."""
        task = self._task
        admitted = admit(plan, contracts=task.contracts, default_rate=task.rate, task=task.name)
        controls = self._compile(state, admitted)
        if isinstance(controls, Refusal):
            raise controls
        if self.contract.space == "ctrl":
            return controls
        rows = np.concatenate([arm.rows(controls) for arm in task.every_arm.values()], axis=1)
        inside: Floats = np.clip(rows, self.low, self.high)
        return inside

    def _compile(self, state: Floats, plan: Plan) -> Floats | Refusal:
        (made,) = compile_for(self._task, state[None], [plan])
        return made if isinstance(made, Refusal) else made.controls


class Observations:
    """A state as one vector: what is there of qpos, qvel, act, mocap_pos, mocap_quat and ctrl, then time.

    In the units of MuJoCo; `time` is the share of the horizon that has passed.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._parts = {name: state_slice(task.scene.model, part) for name, part in _STATE_PARTS.items()}
        self.layout: dict[str, slice] = {}
        begin = 0
        for name, part in {**self._parts, "time": slice(0, 1)}.items():
            size = part.stop - part.start
            if size:
                self.layout[name] = slice(begin, begin + size)
                begin += size
        self.size = begin

    def box(self) -> Box:
        """Any observation; a state is cut off at `FARTHEST`."""
        low, high = np.full(self.size, -FARTHEST, np.float32), np.full(self.size, FARTHEST, np.float32)
        low[self.layout["time"]], high[self.layout["time"]] = 0.0, 1.0
        return Box(low, high, dtype=np.float32)

    def vector(self, state: Floats, steps: int) -> NDArray[np.float32]:
        """(size,) a state (nstate,) after `steps` physics substeps. NaN becomes 0."""
        parts = [state[self._parts[name]] for name in self.layout if name != "time"]
        whole = np.concatenate([*parts, [min(1.0, steps / self._task.samples)]])
        finite = np.nan_to_num(whole, nan=0.0, posinf=FARTHEST, neginf=-FARTHEST)
        vector: NDArray[np.float32] = np.clip(finite, -FARTHEST, FARTHEST).astype(np.float32)
        return vector


def _fixed_width(task: Task) -> ActionSpec:
    for name, contract in task.contracts.items():
        if name in ("ctrl", "joint_position"):
            return contract
    raise ValueError(
        f"{task.name} reads {', '.join(task.contracts)}, none of which has one row of numbers for each control step: "
        "add joint_position or ctrl to its contracts."
    )


def _range(task: Task, contract: ActionSpec) -> tuple[Floats, Floats]:
    """(width,) each: the least and the greatest value of every number of an action."""
    if contract.space != "ctrl":
        limits = [arm.limits for arm in task.every_arm.values()]
        return np.concatenate([low for low, _ in limits]), np.concatenate([high for _, high in limits])
    model = task.scene.model
    limited = model.actuator_ctrllimited.astype(bool)
    low = np.where(limited, model.actuator_ctrlrange[:, 0], -LARGEST)
    high = np.where(limited, model.actuator_ctrlrange[:, 1], LARGEST)
    return low, high
