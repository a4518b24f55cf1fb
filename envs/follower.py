"""Actions one by one: the controls of each, the same bits as when the whole plan is compiled."""

from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.decode import numbers
from worldverify.driving import start_of
from worldverify.envs.rows import Limits, Rows, limits_of
from worldverify.envs.told import Moved, Told
from worldverify.envs.tracking import Carried, Tracking
from worldverify.kernels import driving
from worldverify.kernels.mujoco_cpu import state_slice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Follower(Protocol):
    """What L lanes must know between actions."""

    def load(self, lanes: Ints, states: Floats) -> None:
        """Episodes begin in n lanes, at states (n, nstate)."""

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        """One row (n, width) in each of n lanes: controls (n, periods, nu) of the control periods that it lasts.

        And lane -> why its row cannot be followed, as a verdict of the plan so far says it; its controls then mean
        nothing.
        """


def follower_of(format: Rows, lanes: int) -> Follower:
    """The fastest one that there is for rows of this kind."""
    spec, task = format.contract, format.task
    if format.direct:
        return Direct(format, lanes)
    if format.own and spec.space == "base":
        return Driving(format, lanes)
    if spec.space == "eef" and task.arm is not None:
        return Tracking(format, task.arm, lanes) if task.base is None else Carried(format, task.arm, task.base, lanes)
    return Recompiling(format, lanes)


class Direct:
    """Rows of joint targets or controls, which say by themselves what the actuators are told."""

    def __init__(self, format: Rows, lanes: int) -> None:
        self._told = Told(format, lanes)
        self._limits = Limits(*limits_of(format.task, format.contract))
        self._arms = () if format.contract.space == "ctrl" else tuple(format.task.every_arm.values())
        self._places = state_slice(format.task.scene.model, mujoco.mjtState.mjSTATE_CTRL)
        self._first = np.zeros((lanes, format.task.scene.model.nu))  # controls when the episodes began

    def load(self, lanes: Ints, states: Floats) -> None:
        self._told.load(lanes, states)
        self._first[lanes] = states[:, self._places]

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        rows = self._told.add(lanes, rows)
        fit = self._limits.hold(rows)
        refused = {} if fit.all() else self._told.last(lanes[~fit])[1]
        controls = self._first[lanes] if self._arms else rows.copy()
        at = 0
        for arm in self._arms:
            width = len(arm.controls)
            controls[:, list(arm.controls)] = arm.commands(rows[:, at : at + width])
            at += width
        return controls[:, None], refused


class Driving:
    """Rows of speeds of a base, in its own format: each held, no change faster than the base can, and integrated."""

    def __init__(self, format: Rows, lanes: int) -> None:
        task = format.task
        assert task.base is not None
        self._task, self._base, self._spec = task, task.base, format.contract
        self._told, self._periods = Told(format, lanes), format.periods
        self._limits = Limits(*limits_of(task, format.contract))
        self._most = np.array([task.base.acceleration, task.base.turn_acceleration]) / task.rate
        self._places = state_slice(task.scene.model, mujoco.mjtState.mjSTATE_CTRL)
        self._first = np.zeros((lanes, task.scene.model.nu))
        self._pose, self._twist = np.zeros((lanes, 3)), np.zeros((lanes, 2))  # when the episodes began
        self._twists = np.zeros((lanes, task.steps, 2))  # of each control period since

    def load(self, lanes: Ints, states: Floats) -> None:
        self._told.load(lanes, states)
        self._first[lanes] = states[:, self._places]
        for lane, state in zip(lanes, states, strict=True):
            start = start_of(self._task.scene.data(state), self._base)
            self._pose[lane], self._twist[lane] = start.pose, start.twist

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        begun, periods = self._told.count[lanes] * self._periods, self._periods
        rows = self._told.add(lanes, rows)
        fit = self._limits.hold(rows)
        refused = {} if fit.all() else self._told.last(lanes[~fit])[1]
        speeds = numbers(self._spec, np.where(fit[:, None], rows, 0.0)[None])
        wanted = np.concatenate([speeds["v"][0], speeds["w"][0]], axis=-1)
        now = begun[:, None] + np.arange(periods)
        latest = np.where((begun > 0)[:, None], self._twists[lanes, begun - 1], self._twist[lanes])
        self._twists[lanes[:, None], now] = driving.ramped(
            np.repeat(wanted[:, None], periods, axis=1), latest, self._most
        )
        longest = int(begun.max()) + periods
        path = driving.integrate(self._pose[lanes], self._twists[lanes, :longest], 1.0 / self._task.rate)
        controls = np.repeat(self._first[lanes][:, None], periods, axis=1)
        controls[..., list(self._base.controls)] = path[np.arange(len(lanes))[:, None], now]
        return controls, refused


class Recompiling:
    """Rows of any format: the plan so far is compiled anew at every action, so an episode of T rows costs T^2."""

    def __init__(self, format: Rows, lanes: int) -> None:
        self._told = Told(format, lanes)

    def load(self, lanes: Ints, states: Floats) -> None:
        self._told.load(lanes, states)

    def advance(self, lanes: Ints, rows: Floats) -> Moved:
        self._told.add(lanes, rows)
        return self._told.last(lanes)
