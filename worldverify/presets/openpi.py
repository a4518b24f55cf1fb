"""openpi: what the policy server returns. It is in the convention of the environment, nothing is left to undo.

Source: Physical-Intelligence/openpi (2026-06), src/openpi/transforms.py and src/openpi/policies/: un-normalising,
adding the state at the start of the chunk, and FAST's tokens all happen before the reply.
"""

from worldverify.action import ActionSpec, Gripper
from worldverify.presets.aloha import two_arms
from worldverify.presets.kinds import PANDA, joints, scaled, tool
from worldverify.presets.robosuite import (
    LIBERO_RATE,
    LONGEST_LIBERO,
    OSC_POSE,
    OSC_RANGES,
    STEP_1_4,
    settle,
    sign,
)

# DROID: 0 is open and 1 closed, rounded by the client at 0.5.
DROID_GRIPPER = Gripper(
    open=0.0, closed=1.0, low=0.0, high=1.0, mode="absolute", threshold=0.5, step=None, hold_steps=0
)
DROID_RATE = 15.0  # Hz
DROID_STEP = 0.2  # rad that a joint velocity of 1 adds to the measured angle in one action


def openpi_libero() -> ActionSpec:
    """openpi on LIBERO (robosuite 1.4), Panda: a step of the tool as a controller goal, and the gripper's sign.

    Source: Physical-Intelligence/openpi (2026-06), examples/libero/main.py (5 of the actions of a reply are carried
    out, after 10 at rest), src/openpi/training/config.py (pi05_libero: 10 actions; pi0_libero: 50, for which give
    `chunk=50`). Not reproduced: see libero-osc_pose-1.4.
    """
    return tool(
        "openpi-libero",
        "2026-06 pi05_libero",
        representation="delta_to_achieved",
        rotation="axis_angle",
        side="left",
        frame="world",
        ranges=OSC_RANGES,
        range_policy="clip",
        gripper=sign(STEP_1_4),
        rate_hz=LIBERO_RATE,
        horizon=LONGEST_LIBERO,
        chunk=10,
        execute=5,
        controller=OSC_POSE,
        settle=settle(-1.0),
    )


def openpi_droid_velocity() -> ActionSpec:
    """openpi on DROID, Panda: seven joint velocities of -1..1, where 1 is 0.2 rad an action, and the gripper's closing.

    Sources: Physical-Intelligence/openpi (2026-06), examples/droid/main.py (15 Hz, 8 actions of a reply carried out,
    gripper rounded at 0.5, everything clipped to -1..1), src/openpi/training/config.py (pi05_droid: 15 actions;
    pi0_droid and pi0_fast_droid: 10); droid-dataset/droid, droid/robot_ik/robot_ik_solver.py (max_joint_delta 0.2),
    droid/franka/robot.py (gripper: 0 open, 1 closed). 0.2 rad at 15 Hz is 3 rad/s. Not reproduced: each target starts
    from the measured angles, so a joint that lags behind its velocity does not catch up there.
    """
    speed = DROID_STEP * DROID_RATE
    return joints(
        "openpi-droid-velocity",
        "2026-06 pi05_droid",
        PANDA,
        representation="velocity",
        unit="rad/s",
        ranges=tuple(scaled(joint, -1.0, 1.0, -speed, speed, 1) for joint in PANDA),
        range_policy="clip",
        gripper=DROID_GRIPPER,
        rate_hz=DROID_RATE,
        chunk=15,
        execute=8,
    )


def openpi_droid_position() -> ActionSpec:
    """openpi on DROID, Panda: seven absolute joint angles in rad, and the gripper's closing.

    Source: Physical-Intelligence/openpi (2026-06), src/openpi/training/config.py (pi05_full_droid_finetune and
    pi0_fast_full_droid_finetune: action_space JOINT_POSITION, 16 actions), examples/droid/main.py (15 Hz, 8 carried
    out). As many numbers as openpi-droid-velocity, with another meaning. Not reproduced: the joint impedance of the
    robot.
    """
    return joints(
        "openpi-droid-position",
        "2026-06 pi05_full_droid_finetune",
        PANDA,
        representation="absolute",
        unit="rad",
        range_policy="reject",
        gripper=DROID_GRIPPER,
        rate_hz=DROID_RATE,
        chunk=16,
        execute=8,
    )


def openpi_aloha() -> ActionSpec:
    """openpi on ALOHA, two ViperX arms: chunks of 50 rows of joint angles and gripper openings, left arm first.

    Source: Physical-Intelligence/openpi (2026-06), src/openpi/policies/aloha_policy.py (the signs of four joints and
    the angle of the gripper are undone before the reply: 0 closed, 1 open), examples/aloha_sim/main.py (10 of 50
    carried out, 50 Hz).
    """
    return two_arms("openpi-aloha", "2026-06 pi0_aloha", chunk=50, execute=10)
