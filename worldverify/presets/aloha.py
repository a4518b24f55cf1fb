"""The two arms of ALOHA, six joints and a gripper each, left arm first."""

from worldverify.action import ActionSpec, of_arms
from worldverify.contracts import OPENING
from worldverify.presets.kinds import joints

ARMS = ("left", "right")
JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")


def two_arms(name: str, version: str, *, chunk: int | None, execute: int | None) -> ActionSpec:
    """Absolute angles in rad and the opening of the gripper (0 closed, 1 open) of both arms, 50 times a second."""
    arms = [
        (
            side,
            joints(
                f"{name}/{side}",
                version,
                JOINTS,
                representation="absolute",
                unit="rad",
                gripper=OPENING,
                rate_hz=50.0,
                range_policy="clip",
                chunk=chunk,
                execute=execute,
            ),
        )
        for side in ARMS
    ]
    return of_arms(name, version, arms)


def gym_aloha() -> ActionSpec:
    """gym-aloha, two ViperX arms: the angles of six joints and the opening of the gripper, left arm first.

    Source: huggingface/gym-aloha (5776e6f), gym_aloha/tasks/sim.py (layout, 0 closed, 1 open), gym_aloha/constants.py
    (50 Hz; an opening of 0..1 is 0.01844..0.058 m of each finger). Not reproduced: the action space of the environment
    says -1..1, which its step does not enforce and joint angles exceed.
    """
    return two_arms("gym-aloha", "5776e6f", chunk=None, execute=None)
