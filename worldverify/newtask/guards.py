"""Guards that a first spec could have, thresholds under which each can fail alone, and plans that show it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.expression import quoted
from worldverify.newtask.detect import Found, Robot, actuator_name, below, body_name, joint_name
from worldverify.newtask.goal import TIDY, Goal
from worldverify.newtask.measure import Extreme, Watch, fits, measured
from worldverify.newtask.setting import Setting, is_servo, rounded, span_of
from worldverify.ramps import Leg, ramps
from worldverify.task import Task

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HINGE = int(mujoco.mjtJoint.mjJNT_HINGE)
MOST_GUARDS = 5
MOST_SURFACES, MOST_OBJECTS = 3, 2
MOST_ACTUATORS = 6  # that disturb
LEVELS = (0.25, 0.35, 0.5, 0.65, 0.8)  # of a limit, from what is harmless to what is worst
# Ways to go somewhere and back: quarters of the horizon that going, staying, coming back and waiting take.
SLOW, FAST, SHORT = (0.7, 0.2, 0.7, 0.0), (0.0, 0.4, 0.0, 0.4), (0.3, 0.1, 0.3, 0.0)
ROOM = 0.1  # share of the same by which a plan must be clear of a threshold
USUAL = {"m": 0.02, "rad": 0.2, "m/s": 0.5, "N": 20.0, "Nm": 10.0}  # room of a guard that no plan has broken
GOAL_ROOM = 0.2  # margin scales by which a plan must reach the goal


@dataclass(frozen=True)
class Guard:
    """One line of a spec that is to hold at every physics step."""

    name: str
    signal: str
    upper: bool  # the signal is to stay below the limit
    unit: str
    why: str  # for the reader of the file
    limit: float = math.nan

    @property
    def end(self) -> float:
        """The limit goes no further than this: a margin to joint limits is not negative."""
        return 0.0 if "_margin(" in self.signal else math.inf if self.upper else -math.inf

    @property
    def level(self) -> float:
        """Of LEVELS, the one it should have: near the good plan, but for what must only not get used up."""
        return LEVELS[0] if self.upper else LEVELS[-1]

    @property
    def formula(self) -> str:
        return f"always({self.signal} {'<' if self.upper else '>'} {self.limit:g} {self.unit})"


@dataclass(frozen=True)
class Watched:
    """Guards with limits, each with the legs of a plan that breaks only it; and guards for which no plan was found."""

    guards: tuple[Guard, ...]
    breaking: tuple[tuple[Leg, ...], ...]
    unproven: tuple[Guard, ...]


def find_guards(setting: Setting, task: Task, found: Found, goal: Goal | None, watch: Watch) -> Watched:
    """Which guards a first spec has, and with which limits; without a goal none is known to be broken alone."""
    model = task.scene.model
    guards = [g for g in candidates(model, found, goal) if fits(task, f"always({g.signal} < 1)")]
    legs = [()] if goal is None else [(), goal.legs, *_disturbed(setting, model, found, goal)]
    plans = [ramps(setting.hold, *one, rate=setting.rate, horizon=setting.horizon) for one in legs]
    extremes = [Extreme(g.signal, g.upper) for g in guards]
    values, goals = measured(setting, plans, extremes, None if goal is None else goal.formula, watch)
    signs = np.array([1.0 if guard.upper else -1.0 for guard in guards])
    ends = np.array([guard.end for guard in guards]) * signs
    table = _Table(values * signs, goals > GOAL_ROOM, ends, [guard.level for guard in guards])
    limits, alone = table.choose()
    usual = np.minimum(table.harmless + [USUAL[guard.unit] for guard in guards], ends)
    unproven = [g for g in range(len(guards)) if g not in alone and usual[g] > table.harmless[g]]
    return Watched(
        guards=tuple(_limited(guards[g], signs[g] * limits[g]) for g in alone),
        breaking=tuple(legs[p] for p in alone.values()),
        unproven=tuple(_limited(guards[g], signs[g] * usual[g]) for g in unproven),
    )


def candidates(model: Any, found: Found, goal: Goal | None) -> list[Guard]:
    """Guards in the order in which a first spec wants them, those of the robot that reaches the goal first."""
    robots = sorted(found.robots, key=lambda robot: goal is not None and goal.actuator not in robot.actuators)[:2]
    robot, me, joint = robots[0], quoted(robots[0].name), -1 if goal is None else goal.joint
    tip = quoted(_tip(model, robot, joint))
    guards = [
        Guard("limits", f"joint_margin({me})", False, "rad", "no joint at its limit"),
        Guard("travel", f"slide_margin({me})", False, "m", "no slide at its limit"),
        Guard("slow", f"speed({tip})", True, "m/s", f"{_tip(model, robot, joint)} does not move fast"),
    ]
    for i, surface in enumerate(found.surfaces[:MOST_SURFACES], 1):
        why = f"{robot.name} does not push {surface}"
        guards.append(Guard(f"clear{_number(i)}", f"contact_force({me}, {quoted(surface)})", True, "N", why))
    for other in robots[1:]:
        why = f"{robot.name} does not push {other.name}"
        guards.append(Guard("apart", f"contact_force({me}, {quoted(other.name)})", True, "N", why))
    for i, name in enumerate(found.objects[:MOST_OBJECTS], 1):
        guards.append(Guard(f"calm{_number(i)}", f"speed({quoted(name)})", True, "m/s", f"{name} is not thrown"))
        guards.append(Guard(f"kept{_number(i)}", f"pos({quoted(name)}).z", False, "m", f"{name} does not fall"))
    if robot.floating:
        guards.append(Guard("upright", f"tilt({me})", True, "rad", f"{robot.name} does not fall over"))
    if joint >= 0:
        name, unit = quoted(joint_name(model, joint)), "Nm" if model.jnt_type[joint] == HINGE else "N"
        guards.append(Guard("gentle", f"abs(torque({name}))", True, unit, "the drive is not overloaded"))
    return guards


def _limited(guard: Guard, limit: float) -> Guard:
    tidy = rounded(float(limit), TIDY)
    return replace(guard, limit=tidy if abs(tidy) >= 1e-3 else 0.0)


def _tip(model: Any, robot: Robot, joint: int) -> str:
    """The last named body beyond a joint, or of the robot."""
    root = int(model.jnt_bodyid[joint]) if joint >= 0 else robot.root
    named = [b for b in below(model, root) if body_name(model, b)]
    return body_name(model, named[-1]) if named else robot.name


def _number(i: int) -> str:
    return "" if i == 1 else f"_{i}"


def _disturbed(setting: Setting, model: Any, found: Found, goal: Goal) -> list[tuple[Leg, ...]]:
    """Plans that reach the goal after they, or while they, do something else: slowly or fast, half or all the way."""
    second = setting.horizon / 4
    own = actuator_name(model, goal.actuator)
    plans: list[tuple[Leg, ...]] = []
    if is_servo(model, goal.actuator):
        plans += [tuple((share * seconds, targets) for seconds, targets in goal.legs) for share in (0.0, 0.25, 0.5)]
    driven = [a for robot in found.robots for a in robot.actuators]
    others = [a for a in driven if a != goal.actuator]
    some = others[:: max(1, -(-len(others) // (MOST_ACTUATORS - 1)))]
    for actuator in [goal.actuator, *some]:
        name = actuator_name(model, actuator)
        held = setting.hold[name]
        for end in span_of(model, actuator, held):
            for share in (1.0, 0.5):
                there = rounded(held + share * (end - held), 3)
                if there == held:
                    continue
                route: tuple[dict[str, float], ...] = ({name: there}, {}, {name: held}, {})
                slow, fast, short = (_legs(times, route, second) for times in (SLOW, FAST, SHORT))
                plans += [(*slow, *goal.legs), (*fast, *goal.legs)]
                plans += [(*goal.legs, *short)] if name != own else []
    return plans


def _legs(times: Sequence[float], route: Sequence[dict[str, float]], second: float) -> tuple[Leg, ...]:
    """The legs of a route, without those that do nothing."""
    return tuple((x * second, targets) for x, targets in zip(times, route, strict=True) if x > 0 or targets)


class _Table:
    """What P plans do to G guards, and the search for limits under which each guard is broken alone by some plan.

    Numbers are turned so that more is worse. Plan 0 holds still and plan 1 reaches the goal: neither breaks anything.
    """

    def __init__(self, badness: Floats, reached: Bools, end: Floats, wanted: Sequence[float]) -> None:
        self.badness = badness  # (P, G)
        self.reached = reached  # (P,)
        self.harmless = badness[:2].max(axis=0)  # (G,)
        worst = np.where(reached[:, None], badness, -np.inf).max(axis=0)
        self.wanted = wanted  # (G,) levels
        self.scale = np.minimum(worst, end) - self.harmless  # (G,) from harmless to worst

    def choose(self) -> tuple[Floats, dict[int, int]]:
        """((G,) limits, guard -> plan that breaks only it), the guards that come first preferred."""
        limits = np.full(len(self.scale), np.nan)
        chosen: list[int] = []
        alone: dict[int, int] = {}
        for g in range(len(self.scale)):
            if not (np.isfinite(self.scale[g]) and self.scale[g] > 1e-6 + 0.05 * abs(self.harmless[g])):
                continue
            levels = self._levels([*chosen, g])
            broken = self._alone([*chosen, g], levels)
            if len(broken) == len(chosen) + 1:
                chosen, alone = [*chosen, g], broken
                limits[chosen] = self._limits(chosen, levels)
            if len(chosen) == MOST_GUARDS:
                break
        return limits, alone

    def _levels(self, guards: Sequence[int]) -> list[float]:
        """Where the limits of guards may lie so that as many as can be are broken alone, found one by one in turns."""
        best: list[float] = []
        for start in ([self.wanted[g] for g in guards], [LEVELS[2]] * len(guards)):
            levels = start
            for i in [*range(len(guards))] * 3:
                levels = max(([*levels[:i], x, *levels[i + 1 :]] for x in LEVELS), key=lambda x: self._score(guards, x))
            if not best or self._score(guards, levels) > self._score(guards, best):
                best = levels
        return best

    def _limits(self, guards: Sequence[int], levels: Sequence[float]) -> Floats:
        there = self.harmless[list(guards)] + np.array(levels) * self.scale[list(guards)]
        return np.array([rounded(float(x), TIDY) for x in there])

    def _alone(self, guards: Sequence[int], levels: Sequence[float]) -> dict[int, int]:
        """guard -> the plan that breaks it most clearly, and only it."""
        over = (self.badness[:, guards] - self._limits(guards, levels)) / self.scale[guards]
        alone = {}
        for i, g in enumerate(guards):
            others = np.delete(over, i, axis=1).max(axis=1, initial=-1.0)
            room = np.where(self.reached, np.minimum(over[:, i], -others), -np.inf)
            plan = int(np.argmax(room))
            if room[plan] > ROOM and (over[:2, i] < -ROOM).all():
                alone[g] = plan
        return alone

    def _score(self, guards: Sequence[int], levels: Sequence[float]) -> float:
        away = sum(abs(level - self.wanted[g]) for g, level in zip(guards, levels, strict=True))
        return len(self._alone(guards, levels)) - 0.01 * away
