"""What SIMPLER's environments are stepped with, after its policies' own processing.

Sources: simpler-env/SimplerEnv (2025-03), simpler_env/utils/env/env_builder.py, simpler_env/policies/;
simpler-env/ManiSkill2_real2sim, mani_skill2_real2sim/agents/configs/ and agents/controllers/pd_ee_pose.py.
"""

from worldverify.action import ActionSpec, Gripper
from worldverify.presets.kinds import tool


def simpler_widowx() -> ActionSpec:
    """SIMPLER, WidowX: a step of the tool in m and as a rotation vector, from the last target, and the gripper, 1 open.

    Sources: simpler-env/SimplerEnv (2025-03), simpler_env/utils/env/env_builder.py (control mode
    arm_pd_ee_target_delta_pose_align2_gripper_pd_joint_pos, 5 Hz), simpler_env/policies/octo/octo_model.py (Euler
    angles have become a rotation vector; the gripper is -1 or 1, rounded at 0.5 of the model's 0..1);
    simpler-env/ManiSkill2_real2sim, agents/configs/widowx/defaults.py (numbers are not scaled). Not reproduced:
    "align2" turns the target before about the achieved position, here it turns about itself; the WidowX arm.
    """
    return tool(
        "simpler-widowx",
        "2025-03",
        representation="delta_to_previous_target",
        rotation="axis_angle",
        side="left",
        frame="base",
        range_policy="reject",
        gripper=Gripper(
            open=1.0, closed=-1.0, low=-1.0, high=1.0, mode="absolute", threshold=None, step=None, hold_steps=0
        ),
        rate_hz=5.0,
    )


def simpler_google_robot() -> ActionSpec:
    """SIMPLER, Google robot: a step of the tool in m and as a rotation vector, and a change of the gripper, 1 closing.

    Sources: simpler-env/SimplerEnv (2025-03), simpler_env/utils/env/env_builder.py (control mode
    arm_pd_ee_delta_pose_align_interpolate_by_planner_..., 3 Hz), simpler_env/policies/octo/octo_model.py (a change of
    the gripper is repeated for 15 actions); simpler-env/ManiSkill2_real2sim, agents/configs/google_robot/defaults.py
    (1 is the whole stroke of 1.31 rad). Not reproduced: the planner's limits of speed and acceleration; policies look
    for a new change only where it is above 0.5; RT-1's changes are not repeated there, for which give `gripper`.
    """
    return tool(
        "simpler-google-robot",
        "2025-03",
        representation="delta_to_achieved",
        rotation="axis_angle",
        side="left",
        frame="base",
        range_policy="reject",
        gripper=Gripper(
            open=-1.0, closed=0.0, low=-1.0, high=1.0, mode="relative", threshold=None, step=None, hold_steps=15
        ),
        rate_hz=3.0,
    )
