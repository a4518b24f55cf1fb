"""The formats as text: all of them in a line each, or one with all that its contract says."""

import json
import textwrap

from worldverify.contract_lines import contract_lines
from worldverify.presets import AMBIGUOUS, describe_preset, names, preset
from worldverify.syntax import form_of
from worldverify.usage import UsageError

WIDTH = 110  # characters of a line of prose
OWN = (
    ("ctrl", "raw controls, one number for each actuator of the model"),
    ("joint_position", "joint angles in rad, then the gripper, 0 closed to 1 open"),
    ("ee_waypoints", "poses of the tool in the world in m, with gripper and time where wanted"),
    ("skills", "calls of pick, place, move_to, open_gripper, close_gripper, lift, wait and home"),
    ("base_waypoints", "places on the floor in m that a base drives to, with yaw and time where wanted"),
    ("base_velocity", "speeds of a base, forwards in m/s and to the left in rad/s"),
    ("image_points", "points [y, x] on the floor in the picture of a base's own camera (named by --format)"),
)


def all_formats() -> str:
    """A line for each preset, after the formats that tasks read without being told."""
    broad = max(len(name) for name in names())
    lines = ["Formats that a plan need not name:"]
    lines += [f"  {name:<{broad}}  {what}" for name, what in OWN]
    lines += ["", 'Presets, named by --format or by "format" in a line of a plans file:']
    for name in names():
        statistics = " (needs statistics)" if preset(name).needs_statistics else ""
        lines.append(f"  {name:<{broad}}  {describe_preset(name)}{statistics}")
    lines += ["", "Names that could mean several of these are refused: " + ", ".join(AMBIGUOUS) + "."]
    return "\n".join(lines)


def one_format(name: str) -> str:
    """What one contract says, and how a model writes it."""
    try:
        spec = preset(name)
    except ValueError as error:
        own = dict(OWN)
        if name in own:
            return f"{name}: {own[name]}. It depends on the task: worldverify tasks NAME shows it."
        raise UsageError(str(error)) from None
    lines = contract_lines(spec)
    broad = max(len(label) for label, _ in lines)
    text = textwrap.wrap(describe_preset(name), WIDTH)
    text += ["", *(f"{label:<{broad}}  {said}" for label, said in lines)]
    return "\n".join([*text, "", "As a model writes it:", f"  {form_of(spec).example(spec)}"])


def formats_as_json(name: str | None) -> str:
    """The contracts as JSON: a list of all, or one."""
    if name in dict(OWN):
        raise UsageError(
            f"{name} depends on the task, so it has no contract without one: worldverify tasks NAME shows it."
        )
    try:
        chosen = [preset(each).to_json() for each in (names() if name is None else (name,))]
    except ValueError as error:
        raise UsageError(str(error)) from None
    return json.dumps(chosen if name is None else chosen[0], indent=1)
