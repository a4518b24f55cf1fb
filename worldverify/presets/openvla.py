"""OpenVLA and OpenVLA-OFT, as their checkpoints write actions: scaled by statistics that come with the checkpoint.

Sources: openvla/openvla (2025-03), prismatic/vla/action_tokenizer.py, prismatic/extern/hf/modeling_prismatic.py,
experiments/robot/; moojink/openvla-oft (2025-04), prismatic/vla/constants.py, prismatic/extern/hf/
modeling_prismatic.py, experiments/robot/. A plan whose numbers have been through `predict_action` is un-normalised
already: give `normalisation=worldverify.action.PLAIN`.
"""

from dataclasses import replace

from worldverify.action import ActionSpec, Gripper, Normalisation, of_arms
from worldverify.presets.aloha import ARMS, JOINTS
from worldverify.presets.kinds import ROUNDED, joints, tool, unknown
from worldverify.presets.robosuite import (
    LIBERO_RATE,
    LONGEST_LIBERO,
    OSC_POSE,
    OSC_RANGES,
    STEP_1_4,
    settle,
)

BUT_GRIPPER = (True,) * 6 + (False,)  # the gripper is written as it is: 0 closed, 1 open

# The runner sends sign(1 - 2 g) to robosuite's gripper, which goes a part of the stroke in each action, and 0 holds.
RUNNER = Gripper(open=1.0, closed=0.0, low=0.0, high=1.0, mode="sign_hold", threshold=None, step=STEP_1_4, hold_steps=0)


def openvla_bridge() -> ActionSpec:
    """OpenVLA on BridgeData V2, WidowX: seven tokens, a step of the tool in the axes of its base, and the gripper.

    Sources: openvla/openvla (2025-03), prismatic/vla/action_tokenizer.py, prismatic/extern/hf/modeling_prismatic.py
    (q01..q99, no epsilon); rail-berkeley/bridge_data_robot, action2transform_local (the turn is about the tool, along
    the axes of the base, from the target before); simpler-env/SimplerEnv, simpler_env/policies/openvla/
    openvla_model.py (roll, pitch, yaw about fixed axes; gripper rounded at 0.5; 5 Hz). Needs statistics. Not
    reproduced: the WidowX arm; limits of its workspace; blocking control.
    """
    return tool(
        "openvla-bridge",
        "2025-03",
        representation="delta_to_previous_target",
        rotation="rpy",
        side="left",
        frame="base",
        range_policy="reject",
        gripper=ROUNDED,
        rate_hz=5.0,
        normalisation=unknown("q01_q99", epsilon=0.0, mask=BUT_GRIPPER, encoding="tokens_256"),
    )


def openvla_libero() -> ActionSpec:
    """OpenVLA on LIBERO (robosuite 1.4), Panda: seven tokens that become a controller goal and the gripper's sign.

    Sources: openvla/openvla (2025-03), prismatic/vla/action_tokenizer.py, experiments/robot/libero/
    run_libero_eval.py and experiments/robot/robot_utils.py (gripper: 2 g - 1, its sign, times -1; 10 actions at rest
    first; at most 520 actions). Called rpy in the data set, the rotation reaches robosuite as a rotation vector. Needs
    statistics. Not reproduced: see libero-osc_pose-1.4.
    """
    return tool(
        "openvla-libero",
        "2025-03",
        representation="delta_to_achieved",
        rotation="axis_angle",
        side="left",
        frame="world",
        ranges=OSC_RANGES,
        range_policy="clip",
        gripper=RUNNER,
        rate_hz=LIBERO_RATE,
        horizon=LONGEST_LIBERO,
        normalisation=unknown("q01_q99", epsilon=0.0, mask=BUT_GRIPPER, encoding="tokens_256"),
        controller=OSC_POSE,
        settle=settle(1.0),
    )


def openvla_oft_libero() -> ActionSpec:
    """OpenVLA-OFT on LIBERO (robosuite 1.4), Panda: chunks of 8 steps, each a controller goal and the gripper's sign.

    Sources: moojink/openvla-oft (2025-04), prismatic/vla/constants.py (8 actions, all carried out, q01..q99),
    prismatic/extern/hf/modeling_prismatic.py (epsilon 1e-8), experiments/robot/libero/run_libero_eval.py. Needs
    statistics, those of the checkpoint: one family of checkpoints scores 0 % with the wrong kind. Not reproduced: see
    libero-osc_pose-1.4.
    """
    return replace(
        openvla_libero(),
        name="openvla-oft-libero",
        version="2025-04",
        chunk=8,
        execute=8,
        normalisation=unknown("q01_q99", epsilon=1e-8, mask=BUT_GRIPPER),
    )


def openvla_oft_bridge() -> ActionSpec:
    """OpenVLA-OFT on BridgeData V2, WidowX: chunks of 5 steps of the tool in the axes of its base, and the gripper.

    Source: moojink/openvla-oft (2025-04), prismatic/vla/constants.py (5 actions, q01..q99), prismatic/extern/hf/
    modeling_prismatic.py (epsilon 1e-8); the rest as openvla-bridge. Needs statistics.
    """
    return replace(
        openvla_bridge(),
        name="openvla-oft-bridge",
        version="2025-04",
        chunk=5,
        execute=5,
        normalisation=unknown("q01_q99", epsilon=1e-8, mask=BUT_GRIPPER),
    )


def openvla_oft_aloha(normalisation: Normalisation | None = None) -> ActionSpec:
    """OpenVLA-OFT on ALOHA, two arms: chunks of 25 rows of joint angles and gripper openings, scaled by min and max.

    `normalisation` is that of all 14 numbers, left arm first. Sources: moojink/openvla-oft (2025-04), prismatic/vla/
    constants.py (25 actions of 14, BOUNDS), experiments/robot/aloha/run_aloha_eval.py (25 Hz, all carried out,
    absolute angles), prismatic/vla/datasets/rlds/oxe/materialize.py (every number is scaled, the grippers too). Needs
    statistics. Not reproduced: relative actions, an option of the runner.
    """
    scale = unknown("min_max", epsilon=1e-8, mask=None) if normalisation is None else normalisation
    width = len(JOINTS) + 1
    arms = [
        (
            side,
            joints(
                f"openvla-oft-aloha/{side}",
                "2025-04",
                JOINTS,
                representation="absolute",
                unit="rad",
                gripper=Gripper(1.0, 0.0, 0.0, 1.0, "absolute", None, None, 0),
                rate_hz=25.0,
                range_policy="clip",
                chunk=25,
                execute=25,
                normalisation=_half(scale, slice(index * width, (index + 1) * width)),
            ),
        )
        for index, side in enumerate(ARMS)
    ]
    return of_arms("openvla-oft-aloha", "2025-04", arms)


def _half(scale: Normalisation, part: slice) -> Normalisation:
    """The normalisation of one arm."""
    return scale._replace(
        first=None if scale.first is None else scale.first[part],
        second=None if scale.second is None else scale.second[part],
        mask=None if scale.mask is None else scale.mask[part],
    )
