"""Is one motion judged the same, whichever contract it is written by?

python examples/same_motion.py [TASK ...] [--json FILE]: good and bad motions in every preset that fits the arm, each
against the same motion as joint targets at the task's own rate.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import worldverify as wv
from worldverify.action import ActionSpec
from worldverify.encode import plan_of
from worldverify.envs.arm_task import arm_task
from worldverify.envs.pick_cube import pick_cube
from worldverify.envs.put_in_basket import put_in_basket
from worldverify.envs.reach_safe import reach_safe
from worldverify.motion import Motion, begin_of, motion_of
from worldverify.plan import Plan, admit
from worldverify.presets import preset
from worldverify.task import Task
from worldverify.version import VERSION

SLOWER = 2.5  # times that a motion is stretched: the deltas of OSC_POSE then stay within their ranges
LONGER = 2.0  # times that the tasks are stretched

TASKS: dict[str, Callable[[], Task]] = {
    "PickCube-v0": pick_cube,
    "PutInBasket-v0": put_in_basket,
    "ReachSafe-v0": reach_safe,
}
BESIDE = (0.511, 0.082)  # m, 10 cm to the left of where the cube is
OWN: dict[str, dict[str, Any]] = {
    "beside": {
        "waypoints": [
            {"position": [*BESIDE, 0.12], "gripper": 1},
            {"position": [*BESIDE, 0.02], "gripper": 1},
            {"position": [*BESIDE, 0.02], "gripper": 0},
            {"position": [*BESIDE, 0.15], "gripper": 0},
        ]
    },
    "dips": {"waypoints": [{"position": [0.5, 0.0, 0.04]}, {"position": [0.5, 0.0, 0.2]}]},
}
# Of each task: the good plan, and a bad one whose fault is its way and not its speed; level: the good plan where the
# cube lies square, so that no turn is needed.
MOTIONS = (
    ("ReachSafe-v0", "good"),
    ("ReachSafe-v0", "dips"),
    ("PickCube-v0", "good"),
    ("PickCube-v0", "beside"),
    ("PickCube-v0", "level"),
    ("PutInBasket-v0", "good"),
    ("PutInBasket-v0", "placed"),
)


class Family(NamedTuple):
    """Presets whose margins differ for the same reasons, and by how much at most."""

    why: str
    presets: tuple[str, ...]
    within: Mapping[str, float]  # unit -> of a margin
    slower: float = SLOWER  # times that the motion is stretched
    longer: float = LONGER  # times that the task is


FAMILIES = {
    "joints": Family(
        "the same joint angles at 15 or 20 Hz, straight lines between them",
        ("openpi-droid-velocity", "openpi-droid-position", "maniskill-pd_joint_pos"),
        {"m": 0.001, "rad": 0.001, "m/s": 0.01, "N": 0.2},
    ),
    "poses": Family(
        "inverse kinematics: another posture of the elbow",
        (
            "rlds-eef-delta",
            "gr00t-eef-relative",
            "maniskill-3.0.1-pd_ee_delta_pose",
            "fetch-v4",
            "waypoints-json",
        ),
        {"m": 0.001, "rad": 0.001, "m/s": 0.01, "N": 1.0},
    ),
    "controller": Family(
        "through the response of OSC_POSE at 20 Hz; the gripper closes in 8 or 10 actions",
        ("libero-osc_pose-1.4", "robosuite-1.5-osc_pose", "openpi-libero", "openvla-oft-libero", "gr00t-parts"),
        {"m": 0.001, "rad": 0.001, "m/s": 0.01, "N": 4.0},
    ),
    "slow": Family(
        "3 or 5 actions a second: corners are cut and the gripper waits for the next action",
        ("simpler-widowx", "simpler-google-robot", "openvla-oft-bridge", "rt1-dict"),
        {"m": 0.003, "rad": 0.001, "m/s": 0.1, "N": 4.0},
    ),
    "tokens": Family(
        "256 bins, whose rounding adds up from step to step",
        ("openvla-bridge", "openvla-libero"),
        {"m": 0.005, "rad": 0.01, "m/s": 0.05, "N": 4.0},
    ),
    "untimed": Family(
        "no times: the corners of the path at the planner's own speed",
        ("trajectory-list",),
        {"m": 0.001, "rad": 0.01, "m/s": 0.01, "N": 10.0},
        slower=1.0,
        longer=1.0,
    ),
    "bins": Family(
        "no times, bins of 1 cm and 3 degrees, and between them each joint on its own way, with a stop at each",
        ("voxel-bins",),
        {"m": 0.01, "rad": 0.05, "m/s": 0.05, "N": 10.0},
        slower=1.0,
    ),
}
WIDE = {"openvla-bridge": 0.12, "openvla-oft-bridge": 0.12}  # m and rad: the percentiles that we give; else 1
BINS = {"lower": (-0.3, -0.5, -0.005), "upper": (0.7, 0.5, 0.995)}  # m, of a workspace on the table


class Row(NamedTuple):
    """One motion written by one preset."""

    task: str
    motion: str
    preset: str
    status: str
    expected: str  # of the same motion as joint targets
    apart: dict[str, float]  # unit -> the most that a margin differs
    reason: str


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; none means all")
    parser.add_argument("--json", type=Path, help="write the raw numbers here")
    arguments = parser.parse_args()
    wanted = arguments.tasks or list(TASKS)
    rows = [row for task, motion in MOTIONS if task in wanted for row in judged(task, motion)]
    print(table(rows))
    if arguments.json:
        kept = {
            "command": "python examples/same_motion.py",
            "worldverify": VERSION,
            "slower": SLOWER,
            "longer": LONGER,
            "within": {name: dict(family.within) for name, family in FAMILIES.items()},
            "rows": [row._asdict() for row in rows],
        }
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")


def table(rows: list[Row]) -> str:
    """A line for each family: how many motions, how many verdicts agree, and how far its margins are apart at most."""
    units = ("m", "rad", "m/s", "N")
    lines = [f"{'family':12}{'judged':>8}{'agree':>7}" + "".join(f"{unit:>9}" for unit in units)]
    for name, family in FAMILIES.items():
        some = [row for row in rows if row.preset in family.presets]
        agree = sum(row.status == row.expected for row in some)
        apart = [max((row.apart.get(unit, 0.0) for row in some), default=0.0) for unit in units]
        lines.append(f"{name:12}{len(some):8}{agree:7}" + "".join(f"{value:9.4f}" for value in apart))
    return "\n".join(lines)


def judged(task: str, motion: str) -> list[Row]:
    """The motion in every preset that can write it, next to joint targets."""
    rows = []
    for slower, longer in dict.fromkeys((family.slower, family.longer) for family in FAMILIES.values()):
        some = [family.presets for family in FAMILIES.values() if (family.slower, family.longer) == (slower, longer)]
        names = [name for presets in some for name in presets if can_write(name, task, motion)]
        slow = stretched(task, longer, motion == "level")
        plans = [reference(slow, motion, slower), *(written(slow, motion, name, slower) for name in names)]
        base, *others = wv.verify(slow, plans, margins="full")
        for name, verdict in zip(names, others, strict=True):
            rows.append(Row(task, motion, name, verdict.status, base.status, apart(base, verdict), verdict.reason))
    return rows


def can_write(name: str, task: str, motion: str) -> bool:
    """Fetch's actions have no turns, and a grasp along the sides of the cube needs one."""
    return name != "fetch-v4" or task == "ReachSafe-v0" or motion in (*OWN, "level")


def apart(base: Any, verdict: Any) -> dict[str, float]:
    """unit -> the greatest difference of the margins."""
    most: dict[str, float] = {}
    for name, margin in verdict.margins.items():
        other = base.margins[name]
        if margin.value is not None and other.value is not None:
            most[margin.unit] = max(most.get(margin.unit, 0.0), abs(margin.value - other.value))
    return most


@cache
def stretched(name: str, times: float, level: bool) -> Task:
    """The task with its horizon and the times of its requirements stretched; level: where nothing is out of place."""

    def longer(*parts: Any, spec: str, horizon: float, bad: Any, randomise: Any, **rest: Any) -> Task:
        later = re.sub(r"eventually\[0,([\d.]+)\]", lambda found: f"eventually[0,{float(found[1]) * times:g}]", spec)
        moves = nothing if level else randomise
        return arm_task(*parts, spec=later, horizon=horizon * times, bad={}, randomise=moves, **rest)

    build = TASKS[name]
    with mock.patch.object(sys.modules[build.__module__], "arm_task", longer):
        return build()


def nothing(generator: Any, model: Any, data: Any) -> None:
    """Leave everything in its place."""


@cache
def moved(task: Task, motion: str, rate: float, slower: float) -> Motion:
    """A motion of the task, stretched."""
    own = wv.load(task.name)
    plan = own.bad.get(motion, own.good)
    if motion in OWN:
        plan = admit(OWN[motion], contracts=own.contracts, default_rate=own.rate)
    return motion_of(task, plan, task.start(0), rate_hz=rate, slower=slower)


def reference(task: Task, motion: str, slower: float) -> Plan:
    """Joint targets at the rate of the task."""
    found = moved(task, motion, task.rate, slower)
    rows = np.concatenate([found.q, found.opening[:, None]], axis=1)
    return Plan("joint_position", "joint_position", task.rate, rows)


def written(task: Task, motion: str, name: str, slower: float) -> Plan:
    """The motion by a preset, at its rate or else the task's."""
    spec = contract(name)
    found = moved(task, motion, spec.rate_hz or task.rate, slower)
    return plan_of(spec, found, begin_of(task, task.start(0)), id=name)


def contract(name: str) -> ActionSpec:
    """A preset for the table: with statistics if it needs them, with the bins of our workspace."""
    spec = preset(name, **(BINS if name == "voxel-bins" else {}))
    if not spec.needs_statistics:
        return spec
    most = WIDE.get(name, 1.0)
    scale = spec.normalisation._replace(first=(-most,) * spec.width, second=(most,) * spec.width)
    return preset(name, normalisation=scale)


if __name__ == "__main__":
    main()
