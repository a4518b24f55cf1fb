"""The command new-task: look into a scene, find a first spec with plans, write the file, and check it."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldverify.options import number, output, write
from worldverify.usage import UsageError, import_fault

if TYPE_CHECKING:
    from worldverify.newtask.guards import Guard
    from worldverify.outputs import Output

# What loads the simulator is imported when the command runs: --help is instant.

DONE, NOT_ALL = 0, 1  # exit status


def add_new_task(commands: Any) -> None:
    """The command and its options."""
    new: argparse.ArgumentParser = commands.add_parser(
        "new-task",
        help="write a first task for a scene of your own",
        description="Write a first task for a scene of your own: what is in it, a goal that a simple plan reaches, "
        "guards, and plans that fail each. What is written is checked, and yours to change.",
        epilog="Exit status: 0 the task passes its check, 1 something is missing, 2 wrong usage.",
        allow_abbrev=False,
    )
    new.set_defaults(run=run_new_task)
    new.add_argument("scene", metavar="SCENE", help="an MJCF (.xml) or URDF file")
    new.add_argument("--out", metavar="FILE.py", help="the file to write (default: SCENE_task.py, here)")
    new.add_argument("--horizon", type=number(1, 1000), default=4.0, metavar="S", help="s of a plan (%(default)g)")
    new.add_argument("--rate", type=number(0.1, 1000), metavar="HZ", help="actions a second (default: about 20)")
    new.add_argument("--force", action="store_true", help="write over a file that is there")


def run_new_task(arguments: argparse.Namespace) -> int:
    """Look, search, write and check; the exit status."""
    if (fault := import_fault()) is not None:
        raise UsageError(fault)
    scene = Path(arguments.scene)
    target = Path(arguments.out or f"{scene.stem}_task.py")
    if target.suffix != ".py":
        raise UsageError(f"A task is a Python file: give --out a name that ends in .py, not {target}.")
    if target.exists() and not arguments.force:
        raise UsageError(f"{target} is there already: write over it with --force, or name another file with --out.")
    with output(str(target)) as file:
        try:
            return _make(scene, target, file, arguments.horizon, arguments.rate)
        except (ValueError, OSError) as error:
            raise UsageError(str(error)) from None


def _make(scene: Path, target: Path, file: "Output", horizon: float, rate: float | None) -> int:
    from worldverify.newtask.detect import detect
    from worldverify.newtask.goal import find_goal
    from worldverify.newtask.guards import find_guards
    from worldverify.newtask.setting import setting_of
    from worldverify.newtask.write import summary, text_of
    from worldverify.progress import Progress

    setting, still = setting_of(scene, horizon=horizon, rate=rate)
    found = detect(still.scene.model)
    _tell(f"In {scene.name}:", *(f"  {line}" for line in summary(found, setting)))
    with Progress("Looking for a goal") as progress:
        goal = find_goal(setting, still, found, progress)
    with Progress("Looking for guards") as progress:
        watched = find_guards(setting, still, found, goal, progress)
    if goal is None and not watched.unproven:
        _tell("Nothing is written, since a spec could name nothing: name the bodies and joints of the robot.")
        return NOT_ALL
    fault = None
    # Where the plans do not bear other starts, there are none.
    for shaken in (False,) if goal is None else (True, False):
        write(file, text_of(setting, goal, watched, found, file=target, substeps=still.substeps, shaken=shaken))
        fault = _fault_of(f"{target}:task")
        if fault is None:
            break
    if goal is None:
        _tell("No goal: no ramp of one actuator moves anything that is then at rest.")
    else:
        _tell(f"Goal: {goal.instruction}")
        _tell(f"Guards, each with a plan that fails only it: {_names(watched.guards)}.")
    if watched.unproven:
        off = "" if goal is None else " (in the file, switched off)"
        _tell(f"Guards for which no such plan was found{off}: {_names(watched.unproven)}.")
    _tell(f"Written to {target}. Judge plans with: worldverify verify {shlex.quote(f'{target}:task')} PLANS.jsonl")
    if fault is not None:
        _tell("It does not pass worldverify.testing.check_task yet:", *(f"  {line}" for line in fault.splitlines()))
        return NOT_ALL
    _tell("It passes worldverify.testing.check_task.")
    return DONE


def _fault_of(words: str) -> str | None:
    """What check_task has against the task of FILE.py:FUNCTION, or None."""
    from worldverify.registry import load_named
    from worldverify.testing import check_task

    try:
        check_task(load_named(words))
    except (AssertionError, ValueError) as error:
        return str(error)
    return None


def _names(guards: "Sequence[Guard]") -> str:
    return ", ".join(guard.name for guard in guards) or "none"


def _tell(*lines: str) -> None:
    from worldverify.table import printable

    for line in lines:
        print(printable(line), flush=True)
