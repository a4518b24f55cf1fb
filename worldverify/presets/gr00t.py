"""The named streams of GR00T N1.7. Which there are, and what each means, is declared by the embodiment."""

from typing import Literal

from worldverify.action import ActionSpec
from worldverify.contracts import OPENING
from worldverify.presets.kinds import tool
from worldverify.presets.openvla import RUNNER
from worldverify.presets.robosuite import LIBERO_RATE, OSC_POSE, OSC_RANGES


def gr00t_parts() -> ActionSpec:
    """GR00T N1.7 on LIBERO (libero_sim), Panda: streams of position, rotation and gripper, a controller goal each step.

    The streams x, y, z stand under "position", and roll, pitch, yaw under "rotation". Sources: NVIDIA/Isaac-GR00T N1.7,
    gr00t/configs/data/embodiment_configs.py (libero_sim: 40 actions), gr00t/eval/sim/LIBERO/libero_env.py (the six
    numbers go to OSC_POSE as they are, so that "rpy" is a rotation vector; gripper 0..1, its sign about 0.5, 1 open),
    examples/LIBERO/README.md (8 of the 40 are carried out; at most 720). What the policy returns is un-normalised. Not
    reproduced: see libero-osc_pose-1.4.
    """
    return tool(
        "gr00t-parts",
        "N1.7 libero_sim",
        representation="delta_to_achieved",
        rotation="axis_angle",
        side="left",
        frame="world",
        ranges=OSC_RANGES,
        range_policy="clip",
        gripper=RUNNER,
        rate_hz=LIBERO_RATE,
        horizon=720,
        chunk=40,
        execute=8,
        controller=OSC_POSE,
        syntax="streams",
    )


def gr00t_eef_relative(chunk: int = 16, representation: Literal["relative", "delta"] = "relative") -> ActionSpec:
    """GR00T N1.7, xyz+rotvec: offsets of the tool from its pose at the start of the chunk, and the gripper, 1 open.

    `chunk` is the number of actions of the checkpoint; "delta" counts each from the pose before. Source:
    NVIDIA/Isaac-GR00T N1.7, gr00t/data/types.py (RELATIVE, DELTA; xyz+rotvec), gr00t/data/state_action/pose.py and
    action_chunking.py: an offset is inverse(T0) T, so both position and turn are along the axes of the tool at T0. The
    rate is the embodiment's. Not reproduced: xyz+rot6d, which GR00T writes as the first two rows of the matrix, neither
    of the two orders that a contract can name.
    """
    return tool(
        "gr00t-eef-relative",
        "N1.7 xyz+rotvec",
        representation="relative_to_chunk_start" if representation == "relative" else "delta_to_previous_target",
        rotation="axis_angle",
        side="right",
        frame="tool",
        range_policy="reject",
        gripper=OPENING,
        rate_hz=None,
        chunk=chunk,
        execute=chunk,
        syntax="streams",
    )
