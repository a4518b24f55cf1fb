"""Contracts by name: what the numbers of a known model, benchmark or robot mean. Each says where that is written."""

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from importlib import import_module
from typing import Any

from worldverify.action import ActionSpec
from worldverify.nearest import did_you_mean

_ROOM = "worldverify.presets"

PRESETS: dict[str, str] = {
    "openvla-bridge": f"{_ROOM}.openvla:openvla_bridge",
    "openvla-libero": f"{_ROOM}.openvla:openvla_libero",
    "openvla-oft-libero": f"{_ROOM}.openvla:openvla_oft_libero",
    "openvla-oft-bridge": f"{_ROOM}.openvla:openvla_oft_bridge",
    "openvla-oft-aloha": f"{_ROOM}.openvla:openvla_oft_aloha",
    "openpi-libero": f"{_ROOM}.openpi:openpi_libero",
    "openpi-droid-velocity": f"{_ROOM}.openpi:openpi_droid_velocity",
    "openpi-droid-position": f"{_ROOM}.openpi:openpi_droid_position",
    "openpi-aloha": f"{_ROOM}.openpi:openpi_aloha",
    "libero-osc_pose-1.4": f"{_ROOM}.robosuite:libero_osc_pose",
    "robosuite-1.5-osc_pose": f"{_ROOM}.robosuite:robosuite_osc_pose",
    "maniskill-3.0.1-pd_ee_delta_pose": f"{_ROOM}.maniskill:pd_ee_delta_pose",
    "maniskill-pd_joint_pos": f"{_ROOM}.maniskill:pd_joint_pos",
    "simpler-widowx": f"{_ROOM}.simpler:simpler_widowx",
    "simpler-google-robot": f"{_ROOM}.simpler:simpler_google_robot",
    "gym-aloha": f"{_ROOM}.aloha:gym_aloha",
    "fetch-v4": f"{_ROOM}.fetch:fetch_v4",
    "lerobot-so101-degrees": f"{_ROOM}.so101:so101_degrees",
    "lerobot-so101-range100": f"{_ROOM}.so101:so101_range100",
    "rlds-eef-delta": f"{_ROOM}.rlds:rlds_eef_delta",
    "rt1-dict": f"{_ROOM}.rlds:rt1_dict",
    "gr00t-parts": f"{_ROOM}.gr00t:gr00t_parts",
    "gr00t-eef-relative": f"{_ROOM}.gr00t:gr00t_eef_relative",
    "waypoints-json": f"{_ROOM}.written:waypoints_json",
    "trajectory-list": f"{_ROOM}.written:trajectory_list",
    "voxel-bins": f"{_ROOM}.written:voxel_bins",
    "gemini-er-points": f"{_ROOM}.images:gemini_er_points",
    "gemini-er-calls": f"{_ROOM}.images:gemini_er_calls",
    "gemini-cookbook-calls": f"{_ROOM}.images:gemini_cookbook_calls",
    "robobrain-points": f"{_ROOM}.images:robobrain_points",
    "saycan-skills": f"{_ROOM}.calls:saycan_skills",
    "cap-calls": f"{_ROOM}.calls:cap_calls",
    "chat-calls": f"{_ROOM}.calls:chat_calls",
    "task-sequence": f"{_ROOM}.calls:task_sequence",
    "pick-and-place-calls": f"{_ROOM}.calls:pick_and_place_calls",
}

# Names that people use for more than one contract.
AMBIGUOUS: dict[str, tuple[str, ...]] = {
    "openvla": ("openvla-bridge", "openvla-libero"),
    "openvla-oft": ("openvla-oft-libero", "openvla-oft-bridge", "openvla-oft-aloha"),
    "openpi": ("openpi-libero", "openpi-droid-velocity", "openpi-droid-position", "openpi-aloha"),
    "openpi-droid": ("openpi-droid-velocity", "openpi-droid-position"),
    "droid": ("openpi-droid-velocity", "openpi-droid-position"),
    "aloha": ("gym-aloha", "openpi-aloha", "openvla-oft-aloha"),
    "libero": ("libero-osc_pose-1.4", "openvla-libero", "openvla-oft-libero", "openpi-libero"),
    "osc_pose": ("libero-osc_pose-1.4", "robosuite-1.5-osc_pose"),
    "robosuite": ("libero-osc_pose-1.4", "robosuite-1.5-osc_pose"),
    "maniskill": ("maniskill-3.0.1-pd_ee_delta_pose", "maniskill-pd_joint_pos"),
    "simpler": ("simpler-widowx", "simpler-google-robot"),
    "bridge": ("openvla-bridge", "openvla-oft-bridge", "simpler-widowx"),
    "lerobot-so101": ("lerobot-so101-degrees", "lerobot-so101-range100"),
    "so101": ("lerobot-so101-degrees", "lerobot-so101-range100"),
    "rt-x": ("rlds-eef-delta", "rt1-dict"),
    "gr00t": ("gr00t-parts", "gr00t-eef-relative"),
    "gemini": ("gemini-er-points", "gemini-er-calls", "gemini-cookbook-calls"),
    "gemini-er": ("gemini-er-points", "gemini-er-calls"),
}


def names() -> tuple[str, ...]:
    """Names of the presets, in the order of the documentation."""
    return tuple(PRESETS)


def preset(name: str, /, **changes: Any) -> ActionSpec:
    """The contract of that name, with some arguments of the preset or fields of the contract changed.

    Raises ValueError for a name that is unknown or could mean several contracts, and for an unknown field.
    """
    build = _builder(name)
    known = inspect.signature(build).parameters
    spec = build(**{key: value for key, value in changes.items() if key in known})
    own = {field.name for field in fields(ActionSpec)} - {"name"}
    rest = {key: value for key, value in changes.items() if key not in known}
    for key in rest:
        if key not in own:
            hint = did_you_mean(key, [*known, *sorted(own)])
            raise ValueError(f"The preset {name!r} has no field {key!r} to change. {hint}")
    return replace(spec, **rest) if rest else spec


def parameters(name: str) -> tuple[str, ...]:
    """What the preset of that name can be told, beside the fields of its contract."""
    return tuple(inspect.signature(_builder(name)).parameters)


def describe_preset(name: str) -> str:
    """One sentence: the source, its robot, and what one action is."""
    return (inspect.getdoc(_builder(name)) or "").partition("\n")[0]


def _builder(name: str) -> Callable[..., ActionSpec]:
    if name in AMBIGUOUS:
        raise ValueError(f"The format {name!r} could mean {' or '.join(AMBIGUOUS[name])}. Name the one that is meant.")
    if name not in PRESETS:
        raise ValueError(f"No preset {name!r}. {did_you_mean(name, PRESETS)}")
    module, function = PRESETS[name].split(":")
    build: Callable[..., ActionSpec] = getattr(import_module(module), function)
    return build
