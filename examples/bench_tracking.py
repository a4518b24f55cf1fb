"""How near do joint servos come to the torque controller that LIBERO's actions were recorded with?

python examples/bench_tracking.py [--json FILE] [--picture FILE]: the same deltas through both, on the same arm.

The torque controller is operational-space control (Khatib, "A unified approach for motion and force control of robot
manipulators", IEEE J. Robotics and Automation 3(1), 1987) as robosuite sets up its OSC_POSE: kp 150, damping ratio 1,
fixed impedance, position decoupled from orientation, each goal the pose achieved by then plus the delta.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify import png
from worldverify.envs.arm import FINGER_TRAVEL, JOINTS, TORQUE_MAX, arm_value
from worldverify.envs.parts import scene_spec, table
from worldverify.kernels import actions, kinematics, rotation
from worldverify.kernels.mujoco_cpu import usable_cpus
from worldverify.kernels.track import track
from worldverify.reach import chain_of
from worldverify.render import Camera, render
from worldverify.report import contact_sheet
from worldverify.version import VERSION

Floats = NDArray[np.float64]

RATE = 20.0  # Hz, of the actions
TIMESTEP = 0.002  # s, of the physics and of the torque controller
LARGEST = np.array([0.05] * 3 + [0.5] * 3)  # m and rad: what an action of 1 asks for
KP, DAMPING = 150.0, 1.0  # 1/s^2, and a share of critical damping: of the tool's pose
POSTURE_KP = 10.0  # 1/s^2, critically damped: of the joints, where the tool does not mind
AFTER = (8, 20, 40)  # actions after which the difference is looked at
ARM = arm_value()
CHAIN = chain_of(ARM)

# Each row of the table: what is compared with which torque controller.
ROWS = {
    "response": ("response", "decoupled"),
    "response, as commanded": ("response commanded", "decoupled"),
    "response, to coupled OSC": ("response", "coupled"),
    "every delta reached": ("reached", "decoupled"),
}
COLOURS = {"decoupled": (0.10, 0.25, 0.80, 1), "response": (0.10, 0.65, 0.25, 1), "reached": (0.85, 0.15, 0.10, 1)}
VIEW = Camera(azimuth_deg=125.0, elevation_deg=-28.0, distance=1.0, lookat=(0.5, 0.03, 0.19))


class Run(NamedTuple):
    """Where a tool was at the end of each of T actions."""

    pos: Floats  # (T, 3)  m
    quat: Floats  # (T, 4)  wxyz
    force: Floats  # (T,)  N, on the table, mean over the action
    peak: float  # N, on the table, in any physics step
    limited: float  # share of the physics steps in which some joint was at its torque limit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the raw numbers here")
    parser.add_argument("--picture", type=Path, help="draw the paths into this PNG")
    parser.add_argument("--episodes", type=int, help="at most so many of each kind")
    arguments = parser.parse_args()
    spec = scene_spec(table())
    spec.option.timestep = TIMESTEP
    servo, torque = spec.compile(), with_torque_motors(spec).compile()
    runs = {kind: [episode(servo, torque, d) for d in make()[: arguments.episodes]] for kind, make in KINDS.items()}
    result = {
        "command": "python examples/bench_tracking.py",
        "machine": machine(),
        "rate_hz": RATE,
        "timestep_s": TIMESTEP,
        "kinds": {kind: compared(episodes) for kind, episodes in runs.items()},
        "cost": [cost(paths) for paths in (1, 32)],
    }
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.picture:
        arguments.picture.write_bytes(png.encode(picture(runs[kind][0] for kind in DRAWN)))


def with_torque_motors(spec: Any) -> Any:
    """The same scene with a torque motor, within the datasheet's limits, in place of each joint's servo."""
    spec = spec.copy()
    for name, most in zip(JOINTS, TORQUE_MAX, strict=True):
        motor = spec.actuator(name)
        motor.set_to_motor()
        motor.ctrlrange = (-most, most)
    spec.key("home").ctrl = [0.0] * len(JOINTS) + [FINGER_TRAVEL]
    return spec


def episode(servo: Any, torque: Any, deltas: Floats) -> dict[str, Run]:
    """The runs of both torque controllers and of both readings, under deltas (T, 6) [m, rad] in world axes."""
    pos, quat = kinematics.tool_pose(ARM.home, *CHAIN)
    moves, turns = deltas[:, :3], rotation.from_vector(deltas[:, 3:])
    response = actions.respond(pos, quat, moves, turns, kp=KP, damping=DAMPING, period=1.0 / RATE, side="left")
    reached = actions.accumulate(pos, quat, moves, turns, side="left")
    return {
        "decoupled": controlled(torque, deltas, coupled=False),
        "coupled": controlled(torque, deltas, coupled=True),
        "response commanded": Run(*response, np.zeros(len(deltas)), 0.0, 0.0),
        "response": servoed(servo, *response),
        "reached": servoed(servo, *reached),
    }


def controlled(model: Any, deltas: Floats, *, coupled: bool) -> Run:
    """The arm under operational-space control."""
    arm = ArmRun(model)
    for delta in deltas:
        goal_pos, goal_rot = arm.pos + delta[:3], rotation.to_matrix(rotation.from_vector(delta[3:])) @ arm.rot
        arm.act(partial(operational_torque, arm, goal_pos, goal_rot, coupled=coupled))
    return arm.run()


def servoed(model: Any, pos: Floats, quat: Floats) -> Run:
    """The arm whose servos are told, for the whole of each action, the joint angles of the pose at its end."""
    limits, step_max = (ARM.q_min, ARM.q_max), ARM.qd_max / RATE
    found = track(CHAIN, pos[None], quat[None], ARM.home[None], ARM.home, *limits, step_max=step_max)
    arm = ArmRun(model)
    for q in found.q[0]:
        arm.act(partial(np.asarray, q))
    return arm.run()


def operational_torque(arm: "ArmRun", goal_pos: Floats, goal_rot: Floats, *, coupled: bool) -> Floats:
    """Torques (7,) [N m] that accelerate the tool by kp (goal - pose) - 2 sqrt(kp) velocity.

    With `coupled`, the inertia that the tool feels is Khatib's, else one for position and one for orientation. The turn
    to the goal is the sine of its angle along its axis (Luh, Walker and Paul, "Resolved-acceleration control of
    mechanical manipulators", IEEE Trans. Automatic Control 25(3), 1980).
    """
    motion, mass, qd = arm.motion(), arm.mass(), arm.qd
    turn = 0.5 * np.cross(arm.rot, goal_rot, axis=0).sum(axis=1)
    error = np.concatenate([goal_pos - arm.pos, turn])
    wanted = KP * error - 2.0 * DAMPING * np.sqrt(KP) * (motion @ qd)
    eased = np.linalg.solve(mass, motion.T)  # M^-1 J^T
    yields = motion @ eased  # (6, 6), the inverse of the inertia
    inertia = np.linalg.pinv(yields)
    if coupled:
        wrench = inertia @ wanted
    else:
        parts = (slice(0, 3), slice(3, 6))
        wrench = np.concatenate([np.linalg.pinv(yields[part, part]) @ wanted[part] for part in parts])
    posture = mass @ (POSTURE_KP * (ARM.home - arm.q) - 2.0 * np.sqrt(POSTURE_KP) * qd)
    free = np.eye(7) - eased @ inertia @ motion
    torque: Floats = motion.T @ wrench + free.T @ posture + arm.coriolis()
    return torque


class ArmRun:
    """The arm in a scene, one action after the other."""

    def __init__(self, model: Any) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        mujoco.mj_resetDataKeyframe(model, self._data, model.key("home").id)
        mujoco.mj_forward(model, self._data)
        self._tool, self._site = self._data.site("tool"), model.site("tool").id
        self._table = model.body("table").id
        self._poses: list[tuple[Floats, Floats]] = []
        self._forces: list[list[float]] = []
        self._limited: list[bool] = []

    def act(self, law: Callable[[], Floats]) -> None:
        """One action: in every physics step of it the controls (7,) are those of the law."""
        self._forces.append([])
        for _ in range(round(1.0 / RATE / TIMESTEP)):
            mujoco.mj_step1(self._model, self._data)
            self._data.ctrl[:7] = law()
            mujoco.mj_step2(self._model, self._data)
            self._forces[-1].append(self._force())
            self._limited.append(bool(np.any(np.abs(self._data.qfrc_actuator[:7]) > 0.999 * np.array(TORQUE_MAX))))
        mujoco.mj_forward(self._model, self._data)
        self._poses.append((self.pos, self.rot))

    def run(self) -> Run:
        pos, rot = (np.array(part) for part in zip(*self._poses, strict=True))
        force = np.array(self._forces)
        return Run(
            pos, rotation.from_matrix(rot), force.mean(axis=1), float(force.max()), float(np.mean(self._limited))
        )

    @property
    def pos(self) -> Floats:
        return np.array(self._tool.xpos)

    @property
    def rot(self) -> Floats:
        return np.array(self._tool.xmat).reshape(3, 3)

    @property
    def q(self) -> Floats:
        return np.array(self._data.qpos[:7])

    @property
    def qd(self) -> Floats:
        return np.array(self._data.qvel[:7])

    def motion(self) -> Floats:
        """(6, 7) how the tool moves [m] and turns [rad] per radian of each joint, in world axes."""
        rows = np.zeros((6, self._model.nv))
        mujoco.mj_jacSite(self._model, self._data, rows[:3], rows[3:], self._site)
        return rows[:, :7]

    def mass(self) -> Floats:
        """(7, 7) inertia of the joints, kg m^2."""
        rows = np.zeros((7, self._model.nv))
        for row, unit in zip(rows, np.eye(self._model.nv), strict=False):
            mujoco.mj_mulM(self._model, self._data, row, unit)
        return rows[:, :7]

    def coriolis(self) -> Floats:
        """(7,) N m; the weight of the arm is compensated in its joints already."""
        return np.array(self._data.qfrc_bias - self._data.qfrc_gravcomp)[:7]

    def _force(self) -> float:
        total, wrench = 0.0, np.zeros(6)
        for i in range(self._data.ncon):
            if self._table in self._model.geom_bodyid[self._data.contact[i].geom]:
                mujoco.mj_contactForce(self._model, self._data, i, wrench)
                total += float(np.linalg.norm(wrench[:3]))
        return total


def lines() -> list[Floats]:
    """Four reaches of 1.5 s and 0.2 m, each followed by half a second of zeros."""
    ways = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.6, -0.5], [-0.5, -0.8, 0.3]])
    still = np.zeros((10, 3))
    return [moves(np.concatenate([np.tile(0.5 * way / np.linalg.norm(way), (30, 1)), still])) for way in ways]


def circles() -> list[Floats]:
    """A circle of 16 cm in 3 s, in each of three planes."""
    angle = 2.0 * np.pi * (np.arange(60) + 0.5) / 60
    made = []
    for first, second in ((0, 1), (0, 2), (1, 2)):
        way = np.zeros((60, 3))
        way[:, first], way[:, second] = 0.65 * np.sin(angle), 0.65 * np.cos(angle)
        made.append(moves(way))
    return made


def wrist_turns() -> list[Floats]:
    """To and fro by 0.4 rad about each axis in turn, twice in 4 s, the tool in its place."""
    swing = 0.5 * np.cos(2.0 * np.pi * np.arange(80) / 40)
    return [swing[:, None] * np.eye(6)[axis] * LARGEST for axis in (3, 4, 5)]


def jerky() -> list[Floats]:
    """Ten policies that know nothing: six numbers anew in every action, over the whole range, for 3 s."""
    return [np.random.default_rng(seed).uniform(-1.0, 1.0, (60, 6)) * LARGEST for seed in range(10)]


def presses() -> list[Floats]:
    """Down at three speeds, on for a second after the touch, and up again for a second and a half."""
    return [
        moves(share * np.concatenate([np.tile([0.0, 0.0, -1.0], (down, 1)), np.tile([0.0, 0.0, 1.0], (30, 1))]))
        for share, down in ((0.25, 90), (0.5, 55), (1.0, 38))
    ]


def moves(way: Floats) -> Floats:
    """Actions (T, 3) in -1..1 as deltas (T, 6) without turns."""
    deltas: Floats = np.concatenate([way, np.zeros_like(way)], axis=-1) * LARGEST
    return deltas


KINDS: dict[str, Callable[[], list[Floats]]] = {
    "reach line": lines,
    "circle": circles,
    "wrist turns": wrist_turns,
    "jerky random policy": jerky,
    "pressing on the table": presses,
}
DRAWN = ("reach line", "circle", "jerky random policy")


def compared(episodes: list[dict[str, Run]]) -> dict[str, Any]:
    """How far apart the tools are, over all actions of all episodes of a kind."""
    arms = ("decoupled", "response", "reached")
    path = [np.linalg.norm(np.diff(runs["decoupled"].pos, axis=0), axis=-1).sum() for runs in episodes]
    return {
        "episodes": len(episodes),
        "actions": sum(len(runs["decoupled"].pos) for runs in episodes),
        "path_m": float(np.mean(path)),
        "apart": {row: apart([(runs[one], runs[other]) for runs in episodes]) for row, (one, other) in ROWS.items()},
        "table_force_N": {
            arm: {
                "peak": max(runs[arm].peak for runs in episodes),
                "mean_of_an_action": max(float(runs[arm].force.max()) for runs in episodes),
            }
            for arm in arms
        },
        "torque_limited": {arm: float(np.mean([runs[arm].limited for runs in episodes])) for arm in arms},
    }


def apart(pairs: list[tuple[Run, Run]]) -> dict[str, Any]:
    """Distances [m] and angles [rad] between two tools, over all actions and after some of them."""
    way = [np.linalg.norm(one.pos - other.pos, axis=-1) for one, other in pairs]
    turn = [angle(one.quat, other.quat) for one, other in pairs]
    return {
        "position_m": spread(np.concatenate(way)),
        "rotation_rad": spread(np.concatenate(turn)),
        "position_m_after": {str(n): float(np.mean([one[n - 1] for one in way])) for n in AFTER},
    }


def angle(one: Floats, other: Floats) -> Floats:
    """(T,) rad between orientations (T, 4)."""
    turn = rotation.to_vector(rotation.multiply(one, rotation.conjugate(other)))
    return np.asarray(np.linalg.norm(turn, axis=-1))


def spread(values: Floats) -> dict[str, float]:
    return {"mean": float(values.mean()), "max": float(values.max())}


def cost(paths: int, samples: int = 250, repeats: int = 5) -> dict[str, Any]:
    """Wall time of `track` for smooth paths at 25 Hz, s."""
    step = np.random.default_rng(0).uniform(-1.0, 1.0, (paths, 1, 7))
    clock = np.arange(1, samples + 1)[None, :, None] / 25.0
    pose = kinematics.tool_pose(ARM.home + 0.3 * np.sin(step * clock), *CHAIN)
    start, limits = np.tile(ARM.home, (paths, 1)), (ARM.q_min, ARM.q_max)
    walls = []
    for _ in range(repeats):
        begin = time.perf_counter()
        found = track(CHAIN, *pose, start, ARM.home, *limits, step_max=ARM.qd_max / 25.0)
        walls.append(time.perf_counter() - begin)
    worst = float(found.position_error.max())
    return {"paths": paths, "samples": samples, "wall_s": float(np.median(walls)), "worst_m": worst}


def picture(episodes: Iterable[dict[str, Run]]) -> png.Image:
    """The path of the tool in each run, drawn into the scene at its start."""
    images = []
    for runs in episodes:
        spec = scene_spec(table())
        for name, colour in COLOURS.items():
            for one, other in zip(runs[name].pos[:-1], runs[name].pos[1:], strict=True):
                if np.linalg.norm(one - other) > 1e-4:
                    spec.worldbody.add_geom(
                        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                        fromto=(*one, *other),
                        size=(0.004, 0, 0),
                        rgba=colour,
                        contype=0,
                        conaffinity=0,
                    )
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
        mujoco.mj_forward(model, data)
        images.append(render(model, data, width=340, height=300, camera=VIEW, supersample=2))
    return contact_sheet(images, columns=len(DRAWN))


def machine() -> dict[str, Any]:
    cpu = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "python": platform.python_version(),
        "cpu": cpu[0] if cpu else platform.processor(),
        "usable_cpus": usable_cpus(),
        "load_1m_before": os.getloadavg()[0],
        "versions": {"worldverify": VERSION, **{n: importlib.metadata.version(n) for n in ("mujoco", "numpy")}},
    }


def print_table(result: dict[str, Any]) -> None:
    print(f"{'against the torque controller':50}{'position, mm':>16}{'rotation, deg':>16}")
    print(f"{'actions':24}{'what is compared':26}" + f"{'mean':>8}{'max':>8}" * 2)
    for kind, found in result["kinds"].items():
        for row, errors in found["apart"].items():
            way = [1e3 * errors["position_m"][key] for key in ("mean", "max")]
            turn = [np.degrees(errors["rotation_rad"][key]) for key in ("mean", "max")]
            print(f"{kind:24}{row:26}" + "".join(f"{value:8.1f}" for value in (*way, *turn)))
        forces = found["table_force_N"]
        if forces["decoupled"]["peak"]:
            shown = (
                f"{arm} {force['mean_of_an_action']:.0f} (peak {force['peak']:.0f})" for arm, force in forces.items()
            )
            print(f"{'':24}on the table, N: {', '.join(shown)}")
    for one in result["cost"]:
        print(f"{one['paths']} x {one['samples']} samples tracked in {1e3 * one['wall_s']:.0f} ms")


if __name__ == "__main__":
    main()
