"""LeRobot's SO-101 follower.

Source: huggingface/lerobot (2026-08), src/lerobot/robots/so_follower/config_so_follower.py, src/lerobot/motors/
motors_bus.py.
"""

from worldverify.action import ActionSpec, Gripper, Normalisation
from worldverify.presets.kinds import joints

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")

# Of the calibrated range. Which end is open depends on the calibration; this is what docs/source/isaac_teleop.mdx says.
GRIPPER = Gripper(open=100.0, closed=0.0, low=0.0, high=100.0, mode="absolute", threshold=None, step=None, hold_steps=0)


def so101_degrees() -> ActionSpec:
    """LeRobot SO-101 with use_degrees: five joint angles in degrees from the calibrated middle, and the gripper 0..100.

    Source: huggingface/lerobot (2026-08), src/lerobot/motors/motors_bus.py (DEGREES: from the middle of the range that
    was recorded, not from the zero of a model). The rate is the `fps` of the data set. Not reproduced: the offset of
    the middle; max_relative_target; a gripper that was calibrated the other way round, for which give `gripper`.
    """
    return joints(
        "lerobot-so101-degrees",
        "2026-08",
        JOINTS,
        representation="absolute",
        unit="deg",
        range_policy="clip",
        gripper=GRIPPER,
        rate_hz=None,
    )


def so101_range100() -> ActionSpec:
    """LeRobot SO-101 without use_degrees: five joints as -100..100 of their calibrated ranges, and the gripper 0..100.

    Source: huggingface/lerobot (2026-08), src/lerobot/motors/motors_bus.py (RANGE_M100_100: -100 is range_min, 100 is
    range_max; beyond them is clipped). Needs statistics: the least and the greatest angle of each joint in degrees,
    from the calibration. Not reproduced: as lerobot-so101-degrees; a motor with drive_mode set counts backwards.
    """
    return joints(
        "lerobot-so101-range100",
        "2026-08",
        JOINTS,
        representation="absolute",
        unit="deg",
        range_policy="clip",
        gripper=GRIPPER,
        rate_hz=None,
        normalisation=Normalisation("min_max", "numbers", None, None, 0.0, (True,) * 5 + (False,), -100.0, 100.0),
    )
