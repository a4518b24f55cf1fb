"""The file of a first task: short, commented, and laid out as a formatter would leave it."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldverify.newtask.detect import Found
from worldverify.newtask.goal import Goal
from worldverify.newtask.guards import Watched
from worldverify.newtask.layout import Call, Name, laid_out
from worldverify.newtask.setting import Setting
from worldverify.ramps import Leg
from worldverify.sources import POSE
from worldverify.table import printable

_FILE = '''"""A first task for {scene}, to be changed.

Judge plans with it: worldverify verify {task_name} PLANS.jsonl
"""

from pathlib import Path

import worldverify as wv
from worldverify.ramps import ramps
{shake}
SCENE = {path}
HORIZON = {horizon}  # s
RATE = {rate}  # Hz: {substeps} physics steps an action

{found}
SPEC = """
{spec}
"""

# The control of each actuator that holds the start, in the order of an action.
START = {start}
{good}

def plan(*legs):
    """Rows of controls, one an action. Actuators that a leg does not name stay."""
    return ramps(START, *legs, rate=RATE, horizon=HORIZON)


def task() -> wv.Task:
    """{says}"""
    return {task}
'''

_GOOD = """
# To the goal: seconds, and where actuators go evenly in that time.
GOOD = {good}
"""


def text_of(
    setting: Setting, goal: Goal | None, watched: Watched, found: Found, *, file: Path, substeps: int, shaken: bool
) -> str:
    """The file's text. `file` is where it will stand: it finds the scene from there. Without a goal it has guards."""
    named: dict[str, Any] = {name: Name(name.upper()) for name in ("spec", "horizon", "rate")}
    for name in ("servo", "integrator", "keyframe", "pose", "exclude"):
        if (value := getattr(setting, name)) not in (None, False, {}, ()):
            named[name] = value
    if shaken:
        named["randomise"] = Name("shake")
    if goal is not None:
        named |= {"instruction": goal.instruction, "precondition": goal.precondition}
        bad = {"reached": Call("plan")}
        for guard, legs in zip(watched.guards, watched.breaking, strict=True):
            bad[guard.name] = Call("plan", _without(legs, goal.legs))
        named |= {"good": Call("plan", (Name("*GOOD"),)), "bad": bad}
    return _FILE.format(
        scene=_inert(setting.path.name),
        task_name=_inert(shlex.quote(f"{file.name}:task")),
        shake="from worldverify.shake import shake\n" if shaken else "",
        path=_path(setting.path, file),
        horizon=laid_out(setting.horizon),
        rate=_rate(setting.rate),
        substeps=substeps,
        found="\n".join(f"# {printable(line)}" for line in summary(found, setting)),
        spec=_inert("\n".join(_guards_only(watched) if goal is None else _spec(goal, watched))),
        start=laid_out(dict(setting.hold), before=len("START = ")),
        good="" if goal is None else _GOOD.format(good=laid_out(tuple(goal.legs), before=len("GOOD = "))),
        says="The task." if goal is None else "The task. Each bad plan fails only the requirement that it stands for.",
        task=laid_out(Call("wv.Task.from_mjcf", (Name("SCENE"),), named), indent=4, always=True),
    )


def summary(found: Found, setting: Setting) -> list[str]:
    """What is in the scene and how it is read, a line each."""
    lines = []
    for robot in found.robots:
        counts = f"{_counted(len(robot.joints), 'joint')}, {_counted(len(robot.actuators), 'actuator')}"
        stands = ", not fixed to the world" if robot.floating else ""
        lines.append(f"robot:     {robot.name or 'without a name'} ({counts}{stands})")
    lines += [f"gripper:   {gripper.palm} ({_listed(gripper.fingers)})" for gripper in found.grippers]
    for label, names in (
        ("objects", found.objects),
        ("movable", found.mechanisms),
        ("fixed", found.surfaces),
        ("sites", found.sites),
        ("cameras", found.cameras),
        ("keyframes", tuple(name for name in found.keyframes if name != POSE)),
    ):
        if names:
            lines.append(f"{label + ':':<11}{_listed(names)}")
    if found.nameless:
        lines.append(f"Fixed geoms without a name: {found.nameless}. Name those whose contact matters.")
    if not found.collides:
        lines.append("Nothing here can collide.")
    if found.mocaps:
        lines.append(f"Mocap bodies, which no plan can move: {_listed(found.mocaps)}.")
    return [*lines, *setting.notes]


def _spec(goal: Goal, watched: Watched) -> list[str]:
    lines = ["# The goal: to be there for a while, at rest, and at the end.", f"reached: {goal.formula}"]
    if watched.guards:
        lines.append("# Guards, at every physics step. Each limit lies between what GOOD and what a bad plan does.")
    for guard in watched.guards:
        lines += [f"# {guard.why}:", f"{guard.name}: {guard.formula}"]
    if watched.unproven:
        lines.append("# For these no plan was found that fails one alone. With such a plan in `bad`, switch them on.")
        lines += [f"# {guard.name}: {guard.formula}" for guard in watched.unproven]
    return lines


def _guards_only(watched: Watched) -> list[str]:
    lines = ["# Guards that holding still keeps. The goal, and plans that pass and fail, are yours to add."]
    for guard in watched.unproven:
        lines += [f"# {guard.why}:", f"{guard.name}: {guard.formula}"]
    return lines


def _inert(text: str) -> str:
    """What stands for a text in a string of three quotes: names come with the scene, and must not end it."""
    return text.replace("\\", "\\\\").replace('"""', '""\\"')


def _without(legs: Sequence[Leg], good: Sequence[Leg]) -> tuple[Any, ...]:
    """Legs in which those of the good plan stand by their name."""
    parts: list[Any] = []
    i = 0
    while i < len(legs):
        same = tuple(legs[i : i + len(good)]) == tuple(good)
        parts.append(Name("*GOOD") if same else legs[i])
        i += len(good) if same else 1
    return tuple(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _rate(rate: float) -> str:
    return laid_out(rate) if abs(rate - round(rate, 6)) < 1e-9 else f"1 / {1 / rate:.10g}"


def _path(scene: Path, file: Path) -> str:
    """How the file finds the scene: from where it stands, unless that is far away."""
    way = os.path.relpath(scene.resolve(), file.resolve().parent)
    far = way.startswith(os.path.join("..", "..", ".."))
    name = Path(scene.resolve() if far else way).as_posix()
    call = "Path" if far else "Path(__file__).parent.joinpath" if "/" in name else "Path(__file__).with_name"
    return laid_out(Call(call, (name,)), before=len("SCENE = "))
