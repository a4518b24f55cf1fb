"""Actions as the data sets of Open X-Embodiment hold them."""

import math

from worldverify.action import ActionSpec, Gripper
from worldverify.contracts import OPENING
from worldverify.presets.kinds import scaled, tool


def rlds_eef_delta() -> ActionSpec:
    """Open X-Embodiment in RLDS (EEF_POS): a step of the tool in m and as roll, pitch, yaw, and the gripper, 1 open.

    Source: octo-models/octo (4813bbe), octo/data/oxe/oxe_dataset_configs.py (EEF_POS) and
    oxe_standardization_transforms.py (0 closed, 1 open, absolute). These are rows of a data set, in physical units;
    what a model emits is scaled besides (Octo: zscore; OpenVLA: q01_q99), for which give `normalisation`. Frame, and
    whether a step starts from the target or the pose achieved, are each data set's own; here they are the axes of the
    base and the pose that the step before led to, as Bridge's actions are made from its states. The rate is the data
    set's.
    """
    return tool(
        "rlds-eef-delta",
        "octo 4813bbe",
        representation="delta_to_previous_target",
        rotation="rpy",
        side="left",
        frame="base",
        range_policy="reject",
        gripper=OPENING,
        rate_hz=None,
    )


def rt1_dict() -> ActionSpec:
    """RT-1 and RT-1-X, Google robot: a dictionary of world_vector, rotation_delta and gripper_closedness_action.

    Sources: google-research/robotics_transformer, sequence_agent_test_set_up.py (world_vector +-1 m, rotation_delta
    +-pi/2, gripper_closedness_action +-1); features of fractal20220817_data 0.1.0 ("rpy commanded orientation
    displacement, in base-relative frame"); octo-models/octo, rt1_dataset_transform (the gripper's number is a change,
    +1 closing); 3 Hz. Not reproduced: simpler-env/SimplerEnv, simpler_env/policies/rt1/rt1_model.py, reads the rotation
    as a rotation vector, which differs in the second order; a base that moves is refused.
    """
    half_turn = 0.5 * math.pi
    return tool(
        "rt1-dict",
        "fractal20220817_data 0.1.0",
        representation="delta_to_achieved",
        rotation="rpy",
        side="left",
        frame="base",
        ranges=(
            scaled("position", -1.0, 1.0, -1.0, 1.0, 3),
            scaled("rotation", -half_turn, half_turn, -half_turn, half_turn, 3),
        ),
        range_policy="reject",
        gripper=Gripper(
            open=-1.0, closed=0.0, low=-1.0, high=1.0, mode="relative", threshold=None, step=None, hold_steps=0
        ),
        rate_hz=3.0,
        syntax="world_vector",
    )
