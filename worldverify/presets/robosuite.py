"""The action of robosuite's operational-space controller, in the line that LIBERO pins and in the later one.

Sources: ARISE-Initiative/robosuite, robosuite/controllers/config/osc_pose.json and controllers/osc.py (1.x line),
controllers/config/robots/default_panda.json and controllers/parts/arm/osc.py (1.5.2), models/grippers/
panda_gripper.py (both).
"""

from worldverify.action import ActionSpec, Controller, Gripper, Range, Settle
from worldverify.presets.kinds import scaled, tool

# kp 150, damping ratio 1, fixed impedance, the goal set from the achieved pose.
OSC_POSE = Controller("OSC_POSE", kp=150.0, damping=1.0)
# Numbers beyond +-1 are clipped, each by itself; then 1 is 0.05 m, or 0.5 rad of a rotation vector.
OSC_RANGES: tuple[Range, ...] = (
    scaled("position", -1.0, 1.0, -0.05, 0.05, 3),
    scaled("rotation", -1.0, 1.0, -0.5, 0.5, 3),
)
LIBERO_RATE = 20.0  # Hz, libero/libero/envs/env_wrapper.py, control_freq
STEP_1_4 = 0.125  # of the stroke: 0.01 of -1..1 in each of the 25 physics steps of one action
STEP_1_5 = 0.1  # of the stroke: 0.2 of -1..1, once an action
LONGEST_LIBERO = 520  # actions that evaluations allow for LIBERO's longest suite


def sign(step: float) -> Gripper:
    """-1 opens, +1 closes, 0 holds; only the sign counts, and one action goes a part of the stroke."""
    return Gripper(open=-1.0, closed=1.0, low=-1.0, high=1.0, mode="sign_hold", threshold=None, step=step, hold_steps=0)


def settle(gripper: float) -> Settle:
    """The 10 actions without motion, gripper open, in which LIBERO's objects come to rest before a policy acts."""
    return Settle(10, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, gripper))


def libero_osc_pose() -> ActionSpec:
    """LIBERO (robosuite 1.4), Panda: a step of the tool in the world as a controller goal, and the gripper's sign.

    Source: Lifelong-Robot-Learning/LIBERO, libero/libero/envs/env_wrapper.py (controller OSC_POSE, control_freq 20,
    horizon 1000), which pins robosuite 1.4.0. The robot's base is not turned, so base axes and world axes agree.
    Not reproduced: torques (the ideal response of the controller is followed by inverse kinematics); a rotation of
    exactly 0 leaves the earlier goal of the orientation standing there, and holds the achieved orientation here.
    """
    return tool(
        "libero-osc_pose-1.4",
        "robosuite 1.4.0",
        representation="delta_to_achieved",
        rotation="axis_angle",
        side="left",
        frame="world",
        ranges=OSC_RANGES,
        range_policy="clip",
        gripper=sign(STEP_1_4),
        rate_hz=LIBERO_RATE,
        horizon=1000,
        controller=OSC_POSE,
    )


def robosuite_osc_pose() -> ActionSpec:
    """robosuite 1.5.2, Panda: a step of the tool in the axes of its base as a controller goal, and the gripper's sign.

    Source: ARISE-Initiative/robosuite 1.5.2, controllers/config/robots/default_panda.json (input_type "delta",
    input_ref_frame "base"). Not reproduced: torques, and input_type "absolute", which is not scaled.
    """
    return tool(
        "robosuite-1.5-osc_pose",
        "1.5.2",
        representation="delta_to_achieved",
        rotation="axis_angle",
        side="left",
        frame="base",
        ranges=OSC_RANGES,
        range_policy="clip",
        gripper=sign(STEP_1_5),
        rate_hz=20.0,
        controller=OSC_POSE,
    )
