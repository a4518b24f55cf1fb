"""The contracts of worldverify's own formats."""

from collections.abc import Mapping, Sequence

from worldverify.action import ActionSpec, Gripper, Image, Range, contract, of_arms

OPENING = Gripper(open=1.0, closed=0.0, low=0.0, high=1.0, mode="absolute", threshold=None, step=None, hold_steps=0)


def ctrl(nu: int, rate_hz: float) -> ActionSpec:
    """Raw controls of the model, one number for each of its `nu` actuators."""
    return contract(
        name="ctrl",
        version="1",
        syntax="rows",
        space="ctrl",
        layout=(("ctrl", nu),),
        representation=(("ctrl", "absolute"),),
        position_unit="actuator",
        rate_hz=rate_hz,
        tracker="direct",
    )


def joint_position(joints: Sequence[str], rate_hz: float, *, gripper: bool = True) -> ActionSpec:
    """Absolute targets of the joints in rad, then the gripper, if the arm has one: 0 closed, 1 open."""
    return contract(
        name="joint_position",
        version="1",
        syntax="rows",
        space="joint",
        layout=(*((joint, 1) for joint in joints), *([("gripper", 1)] if gripper else [])),
        representation=tuple((joint, "absolute") for joint in joints),
        position_unit="rad",
        gripper=OPENING if gripper else None,
        rate_hz=rate_hz,
        tracker="joint_pd",
    )


def joint_positions(arms: Mapping[str, ActionSpec]) -> ActionSpec:
    """Rows for several arms, name -> its joint_position: the numbers of one arm after those of the other."""
    return of_arms("joint_position", "1", tuple(arms.items()))


def ee_waypoints(*, gripper: bool = True) -> ActionSpec:
    """Absolute poses of the tool frame in the world, in m, and the gripper, if there is one: 0 closed, 1 open."""
    return contract(
        name="ee_waypoints",
        version="1",
        syntax="waypoints",
        space="eef",
        layout=(("position", 3), ("rotation", 4), *([("gripper", 1)] if gripper else [])),
        representation=(("position", "absolute"), ("rotation", "absolute")),
        position_unit="m",
        rotation="quat_wxyz",
        frame="world",
        gripper=OPENING if gripper else None,
        tracker="ik",
    )


def skills(names: Sequence[str]) -> ActionSpec:
    """Calls of named skills; positions are absolute, in the world, in m."""
    return contract(
        name="skills",
        version="1",
        syntax="skills",
        space="skill",
        layout=(),
        representation=(("position", "absolute"),),
        position_unit="m",
        rotation="quat_wxyz",
        frame="world",
        tracker="ik",
        skills=tuple(names),
    )


def base_velocity(rate_hz: float, *, forward: float, backward: float, turn: float) -> ActionSpec:
    """Speeds of a base, each held for 1/`rate_hz` s: v forwards (m/s), w to the left (rad/s), within those limits."""
    return contract(
        name="base_velocity",
        version="1",
        syntax="rows",
        space="base",
        layout=(("v", 1), ("w", 1)),
        representation=(("v", "velocity"), ("w", "velocity")),
        position_unit="m/s",
        frame="base",
        ranges=(
            Range("v", (-backward,), (forward,), (-backward,), (forward,)),
            Range("w", (-turn,), (turn,), (-turn,), (turn,)),
        ),
        rate_hz=rate_hz,
        tracker="drive",
    )


def base_waypoints() -> ActionSpec:
    """Places on the floor, in the world, in m, that a base drives to in turn, with a yaw where it matters."""
    return contract(
        name="base_waypoints",
        version="1",
        syntax="waypoints",
        space="base",
        layout=(("position", 2), ("rotation", 1)),
        representation=(("position", "absolute"), ("rotation", "absolute")),
        position_unit="m",
        rotation="yaw",
        rotation_unit="rad",
        frame="world",
        tracker="drive",
    )


def image_points() -> ActionSpec:
    """Points [y, x] on the floor in the picture of the task's camera, in thousandths of its height and width."""
    return contract(
        name="image_points",
        version="1",
        syntax="points",
        space="image",
        layout=(),
        representation=(("position", "absolute"),),
        position_unit="thousandths",
        frame="camera:task",
        image=Image(order="yx", use="path", height=0.0, origin=(0.0, 0.0)),
        tracker="drive",
    )
