"""One pose that the gripper is asked to pass through."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Waypoint:
    """An absolute pose of the tool frame in the world; None keeps what the previous waypoint had."""

    position: tuple[float, float, float]  # m
    orientation: tuple[float, float, float, float] | None = None  # wxyz, unit norm
    gripper: float | None = None  # 0 closed .. 1 open
    time: float | None = None  # s after the start of the plan
