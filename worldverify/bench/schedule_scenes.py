"""The scenes of `bench schedule`: shipped ones under short questions, so that a plan lasts 2 s."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.compile import Compiled, compile_for
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.plan import admit
from worldverify.registry import load
from worldverify.scene import STATE, build_scene
from worldverify.simulate import simulate
from worldverify.spec import Spec
from worldverify.task import Task

Floats = NDArray[np.float64]

HORIZON = 2.0  # s
HEIGHT = 0.1  # m that a pick lifts
ABOVE = 0.07  # m over the object, before the tool comes down on it
# s at which the tool is over the object, down at it, has closed its fingers, has lifted, and has held still.
OVER, DOWN, CLOSED, UP, STILL = 0.52, 0.8, 1.08, 1.48, 1.8

LIFT = """
lifted: eventually[0,1.6](always[0,0.1](pos({target}).z > 0.06 m))
held:   at_end(pos({target}).z > 0.06 m and contact_load(left_finger, {target}) > 0.5 N
               and contact_load(right_finger, {target}) > 0.5 N)
gentle: always(contact_load(gripper, {target}) < 60 N)
apart:  always({apart})
steady: always(speed({target}) < 0.6 m/s)
slow:   always(speed(tool) < 1 m/s)
clear:  always(contact_force(arm, table) < 20 N)
"""

CARRY = """
kept:   always(pos({target}).z > 0.04 m)
held:   at_end(contact_load(left_finger, {target}) > 0.5 N and contact_load(right_finger, {target}) > 0.5 N)
gentle: always(contact_load(gripper, {target}) < 60 N)
steady: always(speed({target}) < 0.6 m/s)
slow:   always(speed(tool) < 1 m/s)
"""


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene, its question and what plans are about."""

    task: Task
    target: str  # the body to be picked up
    other: str  # a body that is not; "" where there is none
    held: bool = False  # plans begin with the target in the gripper

    def pick(self, state: Floats) -> Floats:
        """(T, nu) controls that pick the target up and hold it."""
        task = self.task
        reason = ""
        for share in (1.0, 0.9, 0.8):  # of the turn to the cube's sides, where the wrist cannot turn that fast
            line = {"waypoints": pick_waypoints(self, state, self.target, share)}
            plan = admit(line, contracts=task.contracts, default_rate=task.rate, task=task.name)
            (made,) = compile_for(task, state[None], [plan])
            if isinstance(made, Compiled):
                break
            reason = reason or made.reason
        else:
            raise ValueError(f"Nothing can be picked up in {task.name}: {reason}")
        return np.concatenate([made.controls, np.repeat(made.controls[-1:], task.steps - len(made.controls), axis=0)])


def pick_waypoints(stage: Stage, state: Floats, name: str, share: float = 1.0) -> list[dict[str, Any]]:
    """Waypoints over a body, down at it, with closed fingers, up, and still there; turned by a share of its yaw."""
    at, yaw = place(stage, state, name)
    yaw *= share
    turn = [0.0, round(float(np.cos(yaw / 2)), 6), round(float(np.sin(yaw / 2)), 6), 0.0]
    lifted = np.add(at, (0, 0, HEIGHT))
    path = [
        (np.add(at, (0, 0, ABOVE)), 1, OVER),
        (at, 1, DOWN),
        (at, 0, DOWN + 0.04),
        (at, 0, CLOSED),
        (lifted, 0, UP),
        (lifted, 0, STILL),
    ]
    return [
        {"position": [round(float(x), 4) for x in p], "orientation": turn, "gripper": grip, "time": time}
        for p, grip, time in path
    ]


def place(stage: Stage, state: Floats, name: str) -> tuple[Floats, float]:
    """(3,) m where a body is, and its yaw in rad, less than an eighth of a turn: a cube has four."""
    data = stage.task.scene.data(state)
    mujoco.mj_kinematics(stage.task.scene.model, data)
    x, y = data.body(name).xmat[[0, 3]]
    quarter = np.pi / 2
    yaw = float(np.arctan2(y, x))
    return np.array(data.body(name).xpos), yaw - quarter * round(yaw / quarter)


@cache
def stage(mix: str) -> Stage:
    """The stage of a mix."""
    if mix == "hard":
        return _begun(Stage(_asked("PickCube-v0", "Carry", CARRY.format(target="cube")), "cube", "", held=True))
    if mix == "clutter":
        bodies = [name for name in load("PickClutter-v0").objects if name != "cube"]
        apart = " and ".join(f"speed({name}) < 0.05 m/s" for name in bodies)
        spec = LIFT.format(target="cube", apart=apart)
        return Stage(_asked("PickClutter-v0", "LiftInClutter", spec), "cube", bodies[0])
    spec = LIFT.format(target="red_cube", apart="contact_load(gripper, green_cube) < 1 N")
    return Stage(_asked("StackCube-v0", "LiftOneOfTwo", spec), "red_cube", "green_cube")


def _asked(name: str, asks: str, spec: str) -> Task:
    """The scene of a shipped task under another spec, for 2 s."""
    task, parsed = load(name), Spec.parse(spec)
    scene = build_scene(task.scene.source, parsed, keyframe=task.scene.keyframe)
    return replace(
        task, name=f"{asks} ({name})", scene=scene, spec=parsed, horizon=HORIZON, precondition="", good=None, bad={}
    )


def _begun(stage: Stage) -> Stage:
    """The same, from where the pick is done: the object is in the air, and nothing in the scene rests."""
    task, randomise = stage.task, stage.task.randomise

    def picked(generator: np.random.Generator, model: Any, data: Any) -> None:
        if randomise is not None:
            randomise(generator, model, data)
        state = task.scene.state_of(data)
        told = stage.pick(state)[: round(UP * task.rate)]
        engine, samples = MujocoEngine(model, 1, threads=1), len(told) * task.substeps
        end = simulate(engine, state[None], [told], substeps=task.substeps, samples=samples).end[0]
        mujoco.mj_setState(model, data, end, STATE)
        data.time = 0.0

    return replace(stage, task=replace(task, randomise=picked))
