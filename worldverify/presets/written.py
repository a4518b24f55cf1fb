"""Poses of the tool as language models write them: waypoints, dense lists, and bins."""

import math
from dataclasses import replace

from worldverify.action import ActionSpec, Range
from worldverify.contracts import OPENING, ee_waypoints
from worldverify.presets.kinds import scaled, tool

QUARTER = 0.5 * math.pi
BINS = 100  # of each axis of the workspace
TURN_BINS = 120  # of a full turn, 3 degrees each


def waypoints_json() -> ActionSpec:
    """JSON of waypoints: absolute poses of the tool in the world in m, with orientation, gripper and time if wanted.

    Source: this project, docs/plans.md ("waypoints"), for texts that name their format. An orientation is a unit
    quaternion, w first; the gripper is 0 closed, 1 open.
    """
    return replace(ee_waypoints(), name="waypoints-json")


def trajectory_list() -> ActionSpec:
    """Lists of [x, y, z, rot_z] as GPT-4 wrote them: absolute poses of a gripper that points down, in m and rad.

    Sources: kwonathan/language-models-trajectory-generators, the system prompt (x right, y away, z up; fingers parallel
    to the x-axis at rotation 0, anticlockwise positive; the gripper by open_gripper and close_gripper), env.py and
    config.py (the rotation is added to the Euler angles [0, pi, -pi/2], which lays the fingers along x). A gripper that
    points straight down here has them along y, hence the quarter turn. Not reproduced: one point every physics step;
    the poses have no times, so that the planner's speed is used.
    """
    return tool(
        "trajectory-list",
        "4385a76",
        representation="absolute",
        rotation="yaw",
        side="none",
        frame="world",
        tool_turn=-QUARTER,
        range_policy="reject",
        gripper=OPENING,
        rate_hz=None,
        syntax="trajectory",
    )


def voxel_bins(
    lower: tuple[float, float, float] = (-0.3, -0.5, 0.6), upper: tuple[float, float, float] = (0.7, 0.5, 1.6)
) -> ActionSpec:
    """EmbodiedBench EB-Manipulation, Panda: a pose of the tool in bins of 1 cm and 3 degrees, and the gripper, 1 open.

    `lower` and `upper` are the corners of the workspace in m. Source: EmbodiedBench, embodiedbench/envs/
    eb_manipulation/eb_man_utils.py, read in video-fm/ESCA (04f8219): position = lower + size (bin + 1/2)/100; angles =
    3 bin - 180 degrees, as SciPy's "xyz", which is about fixed axes; gripper 1 open. The prompt speaks of bins 0..100,
    so that the last lies half a bin outside. RLBench's tip frame is ours turned by half a turn about its z: at the pose
    in which its demonstrations start, (0, 0.993, 0, 0.121) as xyzw, our hand has its fingers along the same line. Not
    reproduced: the benchmark's motion planner, in whose place each joint goes its own way.
    """
    sizes = [(high - low) / BINS for low, high in zip(lower, upper, strict=True)]
    centres = tuple(low + 0.5 * size for low, size in zip(lower, sizes, strict=True))
    last = tuple(high + 0.5 * size for high, size in zip(upper, sizes, strict=True))
    return tool(
        "voxel-bins",
        "eb_man_utils 04f8219",
        representation="absolute",
        rotation="rpy",
        rotation_unit="deg",
        side="none",
        frame="world",
        ranges=(
            Range("position", (0.0,) * 3, (float(BINS),) * 3, centres, last),
            scaled("rotation", 0.0, float(TURN_BINS), -180.0, 180.0, 3),
        ),
        range_policy="reject",
        gripper=OPENING,
        rate_hz=None,
        syntax="voxels",
        tool_turn=math.pi,
        path="joints",
    )
