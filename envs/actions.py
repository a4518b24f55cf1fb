"""What an environment's actions are: rows of numbers, the box that they come from, and what follows them."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from worldverify import contracts as formats
from worldverify.action import CAMERA, TIMED, ActionSpec, Range, contract
from worldverify.compile import LARGEST, compile_for, control_names
from worldverify.declared import contract_of
from worldverify.encode import encode
from worldverify.envs.follower import Follower, follower_of
from worldverify.envs.rows import Rows, limits_of
from worldverify.motion import Motion, begin_of, motion_of
from worldverify.nearest import did_you_mean
from worldverify.plan import Plan, admit
from worldverify.planfields import GRIPPER_SLACK
from worldverify.presets import AMBIGUOUS, PRESETS
from worldverify.refusal import Refusal
from worldverify.task import Task

Floats = NDArray[np.float64]

SPEEDS = (0.6, 3.2)  # m/s and rad/s, the most that ee_delta asks of a tool along or about one axis
UNFIT = (
    "wrong_robot",
    "wrong_width",
    "unknown_format",
    "wrong_rate",
    "no_camera",
    "bad_contract",
    "missing_statistics",
)


class Actions:
    """The actions of a task: rows of one format, each held for `periods` control periods of the task.

    kind None is the first of joint_position and ctrl that the task reads. "joint": joint targets in rad, and grippers,
    0 closed to 1 open. "ee_delta": steps of the tool in m and as rotation vectors in rad, in the axes of the world and
    from where the step before led to, and the gripper, 0 closed to 1 open. The name of another format of the task, or
    of a preset, or a contract: its rows, in its own units, at its own rate.
    """

    def __init__(self, task: Task, kind: str | ActionSpec | None = None, *, whole: bool = False) -> None:
        """`whole`: the rows are always judged together, so that actions need not last whole control periods."""
        self._task = task
        try:
            self._rows = _rows(task, kind, whole=whole)
        except ValueError as error:
            fit = ", ".join(map(repr, kinds(task, whole=whole)))
            raise ValueError(f"{error} Actions that {task.name} takes: {fit}.") from None
        self.contract = spec = self._rows.contract
        self.low, self.high = limits_of(task, spec)

    @property
    def width(self) -> int:
        return self.contract.width

    @property
    def periods(self) -> int:
        """Control periods of the task that one action lasts."""
        return self._rows.periods

    @property
    def steps(self) -> int:
        """Actions to the horizon, or as many as a plan of the contract may hold."""
        return min(self._rows.steps, self.contract.horizon)

    @property
    def direct(self) -> bool:
        """Whether an action says by itself what the actuators are told, whatever came before it."""
        return self._rows.direct

    def box(self, *, normalised: bool) -> Box:
        """One action: float32 in [-1, 1] if normalised, else float64 in the units of the format."""
        if not normalised:
            return Box(self.low, self.high, dtype=np.float64)
        self._check_limited()
        return Box(-1.0, 1.0, (self.width,), np.float32)

    def plan_box(self) -> Box:
        """A whole plan (T, width), in the units of the format."""
        shape = (self.steps, self.width)
        return Box(np.broadcast_to(self.low, shape), np.broadcast_to(self.high, shape), dtype=np.float64)

    def read(self, action: Any, lanes: int | None = None) -> Floats:
        """An action (width,), or one in each of some lanes (lanes, width). Raises ValueError for anything else."""
        wanted = (self.width,) if lanes is None else (lanes, self.width)
        try:
            given = np.asarray(action)
            got = f"shape {given.shape}" if given.dtype.kind in "fiu" else f"an array of {given.dtype}"
        except ValueError:  # rows of different lengths
            given, got = np.zeros(0), type(action).__name__
        if given.shape == wanted and given.dtype.kind in "fiu":
            return given.astype(np.float64)
        name, columns = self._task.name, ", ".join(self.contract.columns)
        has = f"An action of {name} has {self.width} numbers ({columns})"
        if lanes is not None:
            has = f"The actions of {lanes} lanes of {name} have shape {wanted}"
        raise ValueError(f"{has}; got {got}.")

    def plan(self, rows: Floats) -> Plan:
        """The plan of rows (T, width) in the units of the format."""
        return self._rows.plan(rows)

    def candidate(self, raw: object, *, normalised: bool = False) -> Any:
        """Rows of numbers (T, width) as the plan that they are; anything else as it is, to be admitted or refused."""
        rows = np.asarray(raw) if hasattr(raw, "__array__") else None
        if rows is None or rows.ndim != 2 or rows.shape[1] != self.width or rows.dtype.kind not in "fiu":
            return raw
        return self.plan(self.to_units(rows) if normalised else np.asarray(rows, dtype=np.float64))

    def tolerated(self, rows: Floats) -> Floats:
        """Rows (n, width) as a plan of them is admitted: a gripper just outside of closed to open is clipped."""
        read, at = rows.copy(), 0
        for part in [arm for _, arm in self.contract.arms] or [self.contract]:
            if part.gripper is not None:
                low, high = part.gripper.low, part.gripper.high
                slack, column = GRIPPER_SLACK * (high - low), read[:, at + part.part("gripper").start]
                near = (column >= low - slack) & (column <= high + slack)
                column[near] = np.clip(column[near], low, high)
            at += part.width
        return read

    def follower(self, lanes: int) -> Follower:
        """What turns actions of episodes in L lanes into controls, one by one."""
        return follower_of(self._rows, lanes)

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

    def rows(self, state: Floats, plan: Any) -> Floats:
        """(T, width) the rows that carry out a plan of any format from a state (nstate,). Raises Refusal.

        Joint targets and controls are those of the plan, and rows of this very format are as they are. In any other
        the tool goes the same way, as nearly as the format can say it, and then stays there to the horizon.
        """
        task, spec = self._task, self.contract
        admitted = admit(plan, contracts=task.contracts, default_rate=task.rate, task=task.name)
        if self._rows.direct:
            (made,) = compile_for(task, state[None], [admitted])
            if isinstance(made, Refusal):
                raise made
            if spec.space == "ctrl":
                return made.controls
            rows = np.concatenate([arm.rows(made.controls) for arm in task.every_arm.values()], axis=1)
        elif self._rows.written_by(admitted):
            rows = np.array(admitted.actions)
        elif task.arm is None or task.base is not None:
            raise Refusal(
                "unknown_format",
                f"What {admitted.format} says cannot be written as {spec.name} in {task.name}: give rows of that.",
            )
        else:
            motion = _held(motion_of(task, admitted, state, rate_hz=self._rows.rate), self.steps)
            rows = np.asarray(encode(spec, motion, begin_of(task, state)))
        inside: Floats = np.clip(rows, self.low, self.high)
        return inside

    def _check_limited(self) -> None:
        free = np.flatnonzero((self.high >= LARGEST) | (self.low <= -LARGEST))
        if not len(free):
            return
        if self.contract.space == "ctrl":
            names = ", ".join(control_names(self._task.scene.model)[i] for i in free)
            raise ValueError(
                f"{self._task.name} has actuators without a ctrlrange ({names}), so its actions cannot be scaled to "
                "[-1, 1]: give them one in the MJCF, or make the environment with normalised=False."
            )
        names = ", ".join(self.contract.columns[i] for i in free)
        raise ValueError(
            f"{self.contract.name} says no range for {names}, so its actions cannot be scaled to [-1, 1]: make the "
            "environment with normalised=False, or give `ranges` to worldverify.presets.preset."
        )


def _held(motion: Motion, steps: int) -> Motion:
    """A motion of at most `steps` steps, at rest after its end until it has as many."""
    last = np.minimum(np.arange(steps), len(motion.q) - 1)
    return Motion(motion.rate_hz, motion.q[last], motion.position[last], motion.orientation[last], motion.opening[last])


def ee_delta(rate_hz: float, *, gripper: bool = True) -> ActionSpec:
    """Steps of a tool in the axes of the world, each from where the one before led to, and the opening of its gripper.

    Source: the convention of the data sets of Open X-Embodiment (the preset rlds-eef-delta), with rotation vectors in
    place of angles, and no more than SPEEDS along or about one axis.
    """
    metres, radians = (speed / rate_hz for speed in SPEEDS)

    def within(component: str, most: float) -> Range:
        return Range(component, (-most,) * 3, (most,) * 3, (-most,) * 3, (most,) * 3)

    return contract(
        name="ee_delta",
        version="1",
        syntax="rows",
        space="eef",
        layout=(("position", 3), ("rotation", 3), *([("gripper", 1)] if gripper else [])),
        representation=(("position", "delta_to_previous_target"), ("rotation", "delta_to_previous_target")),
        position_unit="m",
        rotation="axis_angle",
        rotation_unit="rad",
        rotation_side="left",
        frame="world",
        ranges=(within("position", metres), within("rotation", radians)),
        gripper=formats.OPENING if gripper else None,
        rate_hz=rate_hz,
        tracker="ik",
    )


def kinds(task: Task, *, whole: bool = False) -> list[str]:
    """What `actions` may be for the environments of a task, by name."""
    fit = []
    for kind in ("joint", "ee_delta", *task.contracts, *PRESETS):
        try:
            _rows(task, kind, whole=whole)
        except ValueError:
            continue
        fit.append(kind)
    return fit


def _rows(task: Task, kind: str | ActionSpec | None, *, whole: bool) -> Rows:
    """The rows that are meant, if an environment of the task can take them. Raises ValueError."""
    spec = _chosen(task, kind)
    if spec.syntax not in TIMED:
        raise ValueError(
            f"{spec.name} says a plan as a whole, not in rows at a rate; worldverify.verify reads it, and so does an "
            "environment of whole plans with actions='text'."
        )
    rows = Rows(task, spec, task.contracts.get(spec.name) == spec)
    if spec.frame.startswith(CAMERA) and (
        task.camera is None or spec.frame.removeprefix(CAMERA) not in ("task", task.camera.name)
    ):
        raise ValueError(f"{spec.name} is written in the frame of a camera, {spec.frame}, that {task.name} has not.")
    if not whole:
        _check_rate(rows)
    if not rows.own:
        made = compile_for(task, task.start()[None], [rows.plan(np.zeros((1, spec.width)))])[0]
        if isinstance(made, Refusal) and made.code in UNFIT:
            raise ValueError(made.reason)
    return rows


def _chosen(task: Task, kind: str | ActionSpec | None) -> ActionSpec:
    """The contract that is meant. Raises ValueError."""
    if kind is None:
        for name, spec in task.contracts.items():
            if name in ("ctrl", "joint_position"):
                return spec
        raise ValueError(
            f"{task.name} reads {', '.join(task.contracts)}, none of which has one row of numbers for each control "
            "step: add joint_position or ctrl to its contracts."
        )
    if kind == "joint":
        if "joint_position" not in task.contracts:
            raise ValueError(f"{task.name} has no joint targets.")
        return task.contracts["joint_position"]
    if kind == "ee_delta":
        if task.arm is None:
            has = f"{len(task.arms)} arms" if task.arms else "no arm"
            raise ValueError(f"{task.name} has {has}, and ee_delta moves the tool of one.")
        return ee_delta(task.rate, gripper=task.arm.gripper_control is not None)
    if isinstance(kind, str) and kind not in task.contracts and kind not in PRESETS and kind not in AMBIGUOUS:
        known = ("joint", "ee_delta", *task.contracts, *PRESETS)
        raise ValueError(f"No actions {kind!r}. {did_you_mean(kind, known)}")
    if not isinstance(kind, str | ActionSpec):
        raise ValueError(f"actions must be None, a name or an ActionSpec; got {type(kind).__name__}.")
    return contract_of(kind, None, task.contracts, task.name)[0]


def _check_rate(rows: Rows) -> None:
    """Refuses actions that do not last whole control periods, or of which no whole number fits the horizon."""
    task, name, periods = rows.task, rows.contract.name, rows.task.rate / rows.rate
    if abs(periods - rows.periods) > 1e-9 * periods:
        raise ValueError(
            f"{name} has {rows.rate:g} actions a second and {task.name} {task.rate:g} control periods, so that one "
            f"action lasts {periods:.3g} of them; for whole ones give a contract of another rate: "
            f"worldverify.presets.preset({name!r}, rate_hz={task.rate:g})."
        )
    if rows.steps > rows.contract.horizon:
        raise ValueError(
            f"A plan of {name} holds at most {rows.contract.horizon} actions, and an episode of {task.name} has "
            f"{rows.steps}: give a contract with a longer horizon."
        )
    if task.steps % rows.periods:
        raise ValueError(
            f"An action of {name} lasts {rows.periods} control periods, and the {task.steps} of {task.name} are no "
            "whole number of actions: give a contract of another rate."
        )
