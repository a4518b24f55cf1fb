"""What a URDF says that MuJoCo would pass over in silence, or refuse without a name: told before MuJoCo reads it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from worldverify.nearest import did_you_mean
from worldverify.scene_limits import refused
from worldverify.scene_text import attributes, tags

TYPES = ("revolute", "continuous", "prismatic", "fixed", "floating", "planar")
_LIMITED = ("revolute", "prismatic")


@dataclass
class _Joint:
    name: str
    type: str
    parts: dict[str, dict[str, str]] = field(default_factory=dict)  # element in it -> its attributes

    def end(self, which: str) -> str:
        """The link at one end, parent or child."""
        return self.parts.get(which, {}).get("link", "")


def check_urdf(text: str, label: str) -> None:
    """Refuses a URDF that is not expanded, or whose joints name no link, follow no joint, or have absurd limits."""
    links, joints = _read(text, label)
    for link, times in Counter(links).items():
        if times > 1:
            raise refused(f"{label} has {times} links {link!r}: give each its own name.")
    known = set(links)
    for joint in joints:
        _check_type(joint, label)
        for end in ("parent", "child"):
            if joint.end(end) not in known:
                raise refused(
                    f"The {end} of joint {joint.name!r} of {label} is {joint.end(end)!r}, which is no link. "
                    f"{did_you_mean(joint.end(end), links)}"
                )
        _check_limits(joint, label)
        _check_mimic(joint, joints, label)
    _check_tree(links, joints, label)


def _read(text: str, label: str) -> tuple[list[str], list[_Joint]]:
    """Names of its links, and its joints."""
    links: list[str] = []
    joints: list[_Joint] = []
    above: list[str] = []
    for closes, name, rest in tags(text):
        if name.startswith("xacro:"):
            raise refused(f"{label} holds {name}: expand it first: xacro robot.urdf.xacro > robot.urdf.")
        if closes:
            above = above[:-1]
            continue
        values = attributes(rest)
        if above == ["robot"] and name == "link":
            links.append(values.get("name", ""))
        elif above == ["robot"] and name == "joint":
            joints.append(_Joint(values.get("name", ""), values.get("type", "")))
        elif above == ["robot", "joint"] and joints:
            joints[-1].parts[name] = values
        if not rest.endswith("/"):
            above.append(name)
    return links, joints


def _check_type(joint: _Joint, label: str) -> None:
    if joint.type not in TYPES:
        known = did_you_mean(joint.type, TYPES)
        raise refused(
            f"Joint {joint.name!r} of {label} has the type {joint.type!r}, which a URDF does not know. {known}"
        )


def _check_limits(joint: _Joint, label: str) -> None:
    limit = joint.parts.get("limit", {})
    effort = _number(limit.get("effort", "0"))
    if not 0 <= effort < math.inf:
        raise refused(f"The effort limit of joint {joint.name!r} of {label} is {effort:g}: give what its motor has.")
    if joint.type not in _LIMITED or not ("lower" in limit or "upper" in limit):
        return
    low, high = (_number(limit.get(what, "0")) for what in ("lower", "upper"))
    if not -math.inf < low < high < math.inf:
        raise refused(
            f"Joint {joint.name!r} of {label} goes from {low:g} (lower) to {high:g} (upper): the lower limit comes "
            "first, a joint that stands still is fixed, and one that turns without end is continuous."
        )


def _check_mimic(joint: _Joint, joints: Sequence[_Joint], label: str) -> None:
    if "mimic" not in joint.parts:
        return
    others = [other.name for other in joints if other is not joint]
    leader = joint.parts["mimic"].get("joint", "")
    if leader not in others:
        known = did_you_mean(leader, others) if others else "It has no other."
        raise refused(f"Joint {joint.name!r} of {label} mimics {leader!r}, which is no other joint. {known}")
    for what in ("multiplier", "offset"):
        if not math.isfinite(_number(joint.parts["mimic"].get(what, "0"))):
            raise refused(f"The {what} with which joint {joint.name!r} of {label} mimics {leader!r} is not a number.")


def _check_tree(links: Sequence[str], joints: Sequence[_Joint], label: str) -> None:
    parents = {joint.end("child"): joint.end("parent") for joint in joints}
    grounded = {link for link in links if link not in parents}
    for link in links:
        above = set()
        while link not in grounded:
            if link in above:
                raise refused(
                    f"The joints of {label} lead from {link!r} back to it: leave out the one that closes the loop."
                )
            above.add(link)
            link = parents[link]
        grounded.update(above)


def _number(words: str) -> float:
    """What is no number is left to MuJoCo, which names the line."""
    try:
        return float(words)
    except ValueError:
        return 0.0
