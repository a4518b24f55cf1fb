"""A first goal: what a simple plan moves and what then stays there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.expression import quoted
from worldverify.newtask.detect import Found, actuator_joints, actuator_name, joint_name
from worldverify.newtask.measure import Extreme, Watch, fits, measured
from worldverify.newtask.setting import Setting, is_servo, rounded, span_of
from worldverify.ramps import Leg, ramps
from worldverify.task import Task

Floats = NDArray[np.float64]

FAR_ENOUGH = {"m": 0.005, "rad": 0.05}  # that a first goal moves a joint
PUSHED = 0.03  # m, that a first goal moves an object
WOBBLE = 0.1  # share of the way by which what was moved may still move in the end
TOLERANCE = 0.2  # share of the way around the goal
SHARES = (0.5, 0.25)  # of what an actuator can do; the second if the first comes to nothing
MOST_ACTUATORS, MOST_THINGS = 30, 6
AT_REST = {"m": "0.05 m/s", "rad": "0.2 rad/s"}
TIDY = 2  # digits of a threshold


@dataclass(frozen=True)
class Goal:
    """What is to be reached, and a plan that reaches it."""

    formula: str
    precondition: str
    instruction: str
    legs: tuple[Leg, ...]
    actuator: int  # that moves it
    joint: int  # that is moved; -1 where an object is
    thing: str  # the object that is moved, or ""


@dataclass(frozen=True)
class _Thing:
    """A signal that a goal could be about."""

    signal: str
    unit: str
    name: str
    joint: int = -1


def find_goal(setting: Setting, task: Task, found: Found, watch: Watch) -> Goal | None:
    """The goal that is reached most surely by one ramp or one push of one actuator; None if there is none."""
    model = task.scene.model
    actuators = [a for robot in found.robots for a in robot.actuators][:MOST_ACTUATORS]
    things = [*_objects(found), *_joints(model, actuators)]
    things = [thing for thing in things if fits(task, f"always({thing.signal} < 1)")]
    for share in SHARES:
        tried = [(a, legs) for a in actuators for legs in _moves(setting, model, a, share)]
        if tried and things and (goal := _surest(setting, model, things, tried, watch)) is not None:
            return goal
    return None


def _surest(
    setting: Setting,
    model: Any,
    things: Sequence[_Thing],
    tried: Sequence[tuple[int, tuple[Leg, ...]]],
    watch: Watch,
) -> Goal | None:
    since = setting.horizon - setting.dwell
    ends = [Extreme(thing.signal, greatest, since) for thing in things for greatest in (False, True)]
    plans = [
        ramps(setting.hold, *legs, rate=setting.rate, horizon=setting.horizon) for legs in ((), *(m for _, m in tried))
    ]
    values, _ = measured(setting, plans, ends, None, watch)
    least, most = values[:, 0::2], values[:, 1::2]  # (P, things)
    best: tuple[float, Goal] | None = None
    for t, thing in enumerate(things):
        before = (least[0, t] + most[0, t]) / 2
        for p, (actuator, legs) in enumerate(tried, 1):
            if thing.joint >= 0 and thing.joint not in actuator_joints(model, actuator):
                continue
            there = (least[p, t] + most[p, t]) / 2
            way = abs(there - before)
            wobble = max(most[p, t] - least[p, t], most[0, t] - least[0, t])
            enough = FAR_ENOUGH[thing.unit] if thing.joint >= 0 else PUSHED
            if not (way > enough and wobble < WOBBLE * way):  # NaN is neither
                continue
            sure = way / (wobble + 0.02 * way) + (1000 if thing.joint < 0 else 0) + min(10, way / enough)
            if best is None or sure > best[0]:
                best = sure, _goal(setting, thing, before, there, actuator, legs)
    return None if best is None else best[1]


def _moves(setting: Setting, model: Any, actuator: int, share: float) -> list[tuple[Leg, ...]]:
    """Ramps of one actuator and, if it is a force or a speed, short pushes, with controls that a person can read."""
    name = actuator_name(model, actuator)
    held, second = setting.hold[name], setting.horizon / 4
    moves: list[tuple[Leg, ...]] = []
    for end in span_of(model, actuator, held):
        there = rounded(held + share * (end - held), 3)
        if there == held:
            continue
        moves.append(((second, {name: there}),))
        if not is_servo(model, actuator):
            moves.append(((0.0, {name: there}), (second / 4, {}), (0.0, {name: held})))
    return moves


def _objects(found: Found) -> list[_Thing]:
    names = [*found.objects[:MOST_THINGS], *found.mechanisms[:MOST_THINGS]]
    return [_Thing(f"pos({quoted(name)}).{axis}", "m", name) for name in names for axis in "xyz"]


def _joints(model: Any, actuators: Sequence[int]) -> list[_Thing]:
    joints = dict.fromkeys(j for a in actuators for j in actuator_joints(model, a))
    units = {int(mujoco.mjtJoint.mjJNT_HINGE): "rad", int(mujoco.mjtJoint.mjJNT_SLIDE): "m"}
    return [
        _Thing(f"joint({quoted(joint_name(model, j))})", units[int(model.jnt_type[j])], joint_name(model, j), j)
        for j in joints
        if joint_name(model, j) and int(model.jnt_type[j]) in units
    ]


def _goal(setting: Setting, thing: _Thing, before: float, there: float, actuator: int, legs: tuple[Leg, ...]) -> Goal:
    unit, way = thing.unit, there - before
    name = quoted(thing.name)
    if thing.joint >= 0:
        at, near = rounded(there, 3), rounded(TOLERANCE * abs(way), TIDY)
        here = f"abs({thing.signal} {'-' if at >= 0 else '+'} {abs(at):g} {unit}) < {near:g} {unit}"
        rest = f"abs(joint_speed({name})) < {AT_REST[unit]}"
        instruction = f"Move the joint {thing.name} to {at:g} {unit} and keep it there until the time is over."
        begins = f"not ({here})"
    else:
        at = rounded(before + 0.6 * way, TIDY + 1)
        here = f"{thing.signal} {'>' if way > 0 else '<'} {at:g} {unit}"
        rest = f"speed({name}) < {AT_REST[unit]}"
        side = "more" if way > 0 else "less"
        instruction = f"Move {thing.name} until its {thing.signal[-1]} is {side} than {at:g} m, and let it rest there."
        begins = f"not ({here}) and {rest}"
    formula = f"(eventually(always[0,{setting.dwell:.10g}]({here} and {rest}))\n  and at_end({here}))"
    return Goal(formula, begins, instruction, legs, actuator, thing.joint, "" if thing.joint >= 0 else thing.name)
