"""Rows of numbers at a rate: what the environments of a task take as actions, and between which limits."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.action import ActionSpec
from worldverify.action_check import IN_ANGLES
from worldverify.compile import LARGEST
from worldverify.decode import RADIANS
from worldverify.kernels.actions import VOCABULARY
from worldverify.plan import Plan, admit
from worldverify.task import Task

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Rows of numbers at a rate, as the environments of a task read them."""

    task: Task
    contract: ActionSpec
    own: bool  # whether the contract is the task's own

    @property
    def rate(self) -> float:
        """Hz, actions a second."""
        return self.task.rate if self.contract.rate_hz is None else self.contract.rate_hz

    @property
    def periods(self) -> int:
        """Control periods of the task that one action lasts."""
        return max(1, round(self.task.rate / self.rate))

    @property
    def steps(self) -> int:
        """Whole actions to the horizon."""
        return int(self.task.horizon * self.rate + 1e-9)

    def plan(self, rows: Floats) -> Plan:
        """The plan of rows (T, width)."""
        return Plan(None, self.contract.name, self.rate, rows, contract=None if self.own else self.contract)

    def admitted(self, rows: Floats) -> Floats:
        """(T, width) rows as they are admitted into a plan. Raises Refusal."""
        task = self.task
        plan = admit(self.plan(rows), contracts=task.contracts, default_rate=task.rate, task=task.name)
        return np.asarray(plan.actions, dtype=np.float64)

    @property
    def direct(self) -> bool:
        """Whether a row says by itself what the actuators are told."""
        return self.own and self.contract.name in ("ctrl", "joint_position")

    def written_by(self, plan: Plan) -> bool:
        """Whether a plan that the task has admitted holds rows of this format, at this rate."""
        spec = self.task.contracts.get(plan.format) if plan.contract is None else plan.contract
        return spec == self.contract and plan.rate_hz is not None and abs(plan.rate_hz - self.rate) < 1e-9 * self.rate


class Limits(NamedTuple):
    """The least and the greatest value of every number of a row."""

    low: Floats  # (width,)
    high: Floats  # (width,)

    def hold(self, rows: Floats) -> Bools:
        """(n,) whether rows (n, width) are finite and within them."""
        fit: Bools = np.all((rows >= self.low) & (rows <= self.high), axis=1)
        return fit


def read_as_they_are(contract: ActionSpec) -> Limits:
    """Between which limits the numbers of a row are sure to be admitted into a plan unchanged."""
    low, high = np.full(contract.width, -LARGEST), np.full(contract.width, LARGEST)
    if contract.gripper is not None:  # what overshoots it a little is clipped
        low[contract.part("gripper")], high[contract.part("gripper")] = contract.gripper.low, contract.gripper.high
    if contract.normalisation.encoding != "numbers":  # each token is looked at
        high[:] = -LARGEST
    return Limits(low, high)


def limits_of(task: Task, contract: ActionSpec) -> tuple[Floats, Floats]:
    """(width,) each: the least and the greatest value of every number of a row, as far as they are known.

    Beyond LARGEST nothing is read; a number without limits is between those.
    """
    if contract.name == "joint_position" and task.contracts.get(contract.name) == contract:
        limits = [arm.limits for arm in task.every_arm.values()]
        return np.concatenate([low for low, _ in limits]), np.concatenate([high for _, high in limits])
    if contract.name == "ctrl" and task.contracts.get(contract.name) == contract:
        model = task.scene.model
        limited = model.actuator_ctrllimited.astype(bool)
        low = np.where(limited, model.actuator_ctrlrange[:, 0], -LARGEST)
        return low, np.where(limited, model.actuator_ctrlrange[:, 1], LARGEST)
    parts = [part for _, part in contract.arms] or [contract]
    sides = [_written(part, task) for part in parts]
    return np.concatenate([low for low, _ in sides]), np.concatenate([high for _, high in sides])


def _written(contract: ActionSpec, task: Task) -> tuple[Floats, Floats]:
    """The limits of the numbers of one arm, as they are written."""
    width, scale = contract.width, contract.normalisation
    if scale.encoding == "tokens_256":
        return np.full(width, VOCABULARY - 256.0), np.full(width, VOCABULARY - 1.0)
    low, high = np.full(width, -LARGEST), np.full(width, LARGEST)
    kinds = dict(contract.representation)
    if contract.space == "joint" and task.arm is not None and set(kinds.values()) == {"absolute"}:
        unit, angles = RADIANS[contract.position_unit], len(task.arm.joints)
        low[:angles], high[:angles] = task.arm.q_min / unit, task.arm.q_max / unit
    if contract.has("rotation") and contract.rotation not in IN_ANGLES:
        low[contract.part("rotation")], high[contract.part("rotation")] = -1.0, 1.0
    if contract.gripper is not None:
        low[contract.part("gripper")], high[contract.part("gripper")] = contract.gripper.low, contract.gripper.high
    for limits in contract.ranges:
        low[contract.part(limits.component)], high[contract.part(limits.component)] = limits.low, limits.high
    if scale.kind in ("min_max", "q01_q99"):
        scaled = np.ones(width, dtype=bool) if scale.mask is None else np.array(scale.mask)
        low, high = np.where(scaled, scale.low, low), np.where(scaled, scale.high, high)
    return low, high
