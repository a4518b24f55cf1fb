"""ManiSkill's controllers of the Panda.

Sources: haosulab/ManiSkill 3.0.1, mani_skill/agents/robots/panda/panda.py, mani_skill/agents/controllers/pd_ee_pose.py
and pd_joint_pos.py.
"""

from worldverify.action import ActionSpec, Gripper
from worldverify.presets.kinds import PANDA, joints, scaled, tool

RATE = 20.0  # Hz
FREE = 10.0  # a rotation is shortened by its length, not cut number by number; its own range is to be out of the way

# -1..1 is -0.01..0.04 m of each finger, so that -0.6 touches, and what is below presses harder on thin objects.
GRIPPER = Gripper(open=1.0, closed=-0.6, low=-1.0, high=1.0, mode="absolute", threshold=None, step=None, hold_steps=0)


def pd_ee_delta_pose() -> ActionSpec:
    """ManiSkill 3.0.1, Panda: a step of the tool in the axes of its base, which turns against what is written.

    Source: haosulab/ManiSkill 3.0.1, mani_skill/agents/controllers/pd_ee_pose.py: positions are clipped to +-1 and
    become +-0.1 m; rotations longer than 1 are shortened to 1 and multiplied by rot_lower, -0.1, then read as Euler
    angles "XYZ" and multiplied from the left; every step starts from the achieved pose. The inverted sign
    (mani-skill/ManiSkill issue 1469) is part of demonstrations recorded with this version. Not reproduced: the
    inversion of each angle by itself (here the turn is inverted as a whole, at most 0.012 rad away); the lag of the
    joint servos; on a GPU, one step of Levenberg-Marquardt in place of inverse kinematics; a pose out of reach
    holds the joints there, and is refused here.
    """
    return tool(
        "maniskill-3.0.1-pd_ee_delta_pose",
        "3.0.1",
        representation="delta_to_achieved",
        rotation="euler_XYZ",
        side="left",
        frame="base",
        sign=-1,
        limit=0.1,
        ranges=(
            scaled("position", -1.0, 1.0, -0.1, 0.1, 3),
            scaled("rotation", -FREE, FREE, -0.1 * FREE, 0.1 * FREE, 3),
        ),
        range_policy="clip",
        gripper=GRIPPER,
        rate_hz=RATE,
    )


def pd_joint_pos() -> ActionSpec:
    """ManiSkill 3.0.1, Panda: seven absolute joint angles in rad, and the gripper from -1 closed to 1 open.

    Source: haosulab/ManiSkill 3.0.1, mani_skill/agents/robots/panda/panda.py (arm_pd_joint_pos is not normalised).
    """
    return joints(
        "maniskill-pd_joint_pos",
        "3.0.1",
        PANDA,
        representation="absolute",
        unit="rad",
        range_policy="clip",
        gripper=GRIPPER,
        rate_hz=RATE,
    )
