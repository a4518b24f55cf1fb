"""The Fetch tasks of Gymnasium-Robotics."""

from worldverify.action import ActionSpec, Gripper
from worldverify.presets.kinds import scaled, tool


def fetch_v4() -> ActionSpec:
    """Gymnasium Fetch v4: a step of the gripper in the world, +-1 for 5 cm, and what its fingers are to move.

    Source: Farama-Foundation/Gymnasium-Robotics, gymnasium_robotics/envs/fetch/fetch_env.py (times 0.05 m, fixed
    orientation; 20 physics steps of 2 ms), gymnasium_robotics/utils/mujoco_utils.py (both start from what is achieved:
    the pose of the weld, and the position of each finger, whose range is 0..0.05 m). Not reproduced: the pull of the
    weld, which is not an arm's; the gripper is driven from the opening that was commanded last.
    """
    return tool(
        "fetch-v4",
        "v4",
        representation="delta_to_achieved",
        rotation="none",
        side="none",
        frame="world",
        ranges=(scaled("position", -1.0, 1.0, -0.05, 0.05, 3),),
        range_policy="clip",
        gripper=Gripper(
            open=0.05, closed=0.0, low=-1.0, high=1.0, mode="relative", threshold=None, step=None, hold_steps=0
        ),
        rate_hz=25.0,
    )
