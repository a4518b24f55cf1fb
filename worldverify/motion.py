"""The way of an arm that a plan asks for, whatever format it was written in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldverify.arm import Arm
from worldverify.compile import Starts, compile_plans
from worldverify.decode import Begin
from worldverify.dense import part_of
from worldverify.kernels import actions as kernel
from worldverify.kernels import kinematics
from worldverify.plan import Plan
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]

TIMELY = ("wrong_rate",)  # refusals of plans that are bound to the rate of the task


@dataclass(frozen=True, eq=False)
class Motion:
    """Where an arm is to be as each of T even steps ends, and how far its gripper is to be open during it."""

    rate_hz: float  # steps a second
    q: Floats  # (T, J)  rad
    position: Floats  # (T, 3)  m, of the tool in the world
    orientation: Floats  # (T, 4)  wxyz
    opening: Floats  # (T,)  0 closed to 1 open


def begin_of(task: Task, state: Floats) -> Begin:
    """The robot of a task in one state (nstate,). Raises ValueError if the task has not one arm."""
    return part_of(Starts(task.scene.model, state[None], arm_of(task), task.camera).begin, [0])


def arm_of(task: Task) -> Arm:
    """The arm of a task. Raises ValueError if it has none, or several, or one that is driven about."""
    if task.arms:
        raise ValueError(f"{task.name} has {len(task.arms)} arms; a motion is that of one.")
    if task.arm is None:
        raise ValueError(f"{task.name} has no arm, so that its plans move none: they are raw controls.")
    if task.base is not None:
        raise ValueError(f"{task.name} has an arm on a base that drives, so that no way of its tool says it all.")
    return task.arm


def motion_of(task: Task, plan: Plan, state: Floats, *, rate_hz: float | None = None, slower: float = 1.0) -> Motion:
    """What a plan that the task has admitted asks its arm for, from a state (nstate,).

    `rate_hz` is that of the steps (None: the task's), and `slower` how many times longer all of it is to take.
    Raises Refusal if the plan cannot be followed, ValueError if the task has no arm.
    """
    rate = task.rate if rate_hz is None else rate_hz
    compiled = _controls(task, plan, state, rate * slower)
    if isinstance(compiled, Refusal) and compiled.code in TIMELY:
        compiled = _controls(task, plan, state, task.rate)
        if not isinstance(compiled, Refusal):
            made = _motion(arm_of(task), compiled, task.rate / slower)
            return made if made.rate_hz == rate else resampled(made, begin_of(task, state), rate)
    if isinstance(compiled, Refusal):
        raise compiled
    return _motion(arm_of(task), compiled, rate)


def _controls(task: Task, plan: Plan, state: Floats, rate: float) -> Floats | Refusal:
    """Controls (T, nu) of a plan at any rate [Hz]."""
    (made,) = compile_plans(
        task.scene.model, state[None], arm_of(task), [plan], rate=rate, horizon=task.horizon, camera=task.camera
    )
    return made if isinstance(made, Refusal) else made.controls


def _motion(arm: Arm, controls: Floats, rate: float) -> Motion:
    q = np.ascontiguousarray(controls[:, list(arm.joint_controls)])
    position, orientation = kinematics.tool_pose(q, *chain_of(arm))
    return Motion(rate, q, position, orientation, arm.opening(controls))


def resampled(motion: Motion, begin: Begin, rate_hz: float) -> Motion:
    """The same motion in steps of another rate: even speed between the old ones, the gripper as a step begins."""
    given = motion.rate_hz
    position = kernel.resample(motion.position, begin.tool.position[0], given, rate_hz, hold=False)
    orientation = kernel.resample_turns(motion.orientation, begin.tool.orientation[0], given, rate_hz, hold=False)
    q = kernel.resample(motion.q, begin.q[0], given, rate_hz, hold=False)
    step = np.floor(np.arange(len(q)) * given / rate_hz + 1e-9).astype(int)
    return Motion(rate_hz, q, position, orientation, motion.opening[np.minimum(step, len(motion.opening) - 1)])
