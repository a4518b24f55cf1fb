"""How far the world may be from the model: declared with a task, drawn by seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.kernels.randomisation import loose_bodies, varied
from worldverify.scene import Scene

if TYPE_CHECKING:
    from worldverify.task import Task

Floats = NDArray[np.float64]

_STREAM = 1  # of the draws of a seed; the start is drawn from the seed alone


@dataclass(frozen=True)
class Domain:
    """The ranges of what differs from seed to seed beside the start; each number is drawn uniformly."""

    mass: float = 0.0  # share: each loose thing weighs 1 - mass to 1 + mass times what the model says
    friction: float = 0.0  # share of all sliding friction, one factor for the scene
    gain: float = 0.0  # share of each actuator's strength
    delay: float = 0.0  # s, the most by which controls arrive late
    perception: float = 0.0  # m, the most by which the place of an object is misjudged along x and along y

    def __post_init__(self) -> None:
        for name in ("mass", "friction", "gain"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"Domain.{name} is a share from 0 to below 1; got {getattr(self, name)}.")
        for name, unit in (("delay", "s"), ("perception", "m")):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"Domain.{name} is in {unit}, from 0 on; got {getattr(self, name)}.")


class World(NamedTuple):
    """One draw: the task as it is simulated, and what is between a plan and its actuators."""

    task: "Task"  # with another scene; its rate is that of the physics if controls are late
    late: int  # physics steps
    substeps: int  # of an action
    seen: dict[int, Floats]  # address of an object in qpos -> (2,) m, the error of its place

    def perceived(self, states: Floats) -> Floats:
        """(B, nstate) states as a plan is made for them: the objects a little off."""
        if not self.seen:
            return states
        qpos = state_slice(self.task.scene.model, mujoco.mjtState.mjSTATE_QPOS).start
        states = np.array(states)
        for address, error in self.seen.items():
            states[:, qpos + address : qpos + address + 2] += error
        return states

    def arriving(self, controls: Floats, state: Floats, most: int) -> Floats:
        """The controls (T, nu) as they arrive: if late, one row (nu,) a physics step, at most that many."""
        if not self.late:
            return controls
        before = state[state_slice(self.task.scene.model, mujoco.mjtState.mjSTATE_CTRL)]
        held = np.repeat(controls, self.substeps, axis=0)
        return np.concatenate([np.broadcast_to(before, (self.late, held.shape[1])), held])[:most]


def world_of(task: "Task", seed: int, randomise: str) -> World:
    """The world of a seed: as the model says, or, where `randomise` is "all", drawn from the task's domain."""
    if randomise != "all":
        return World(task, 0, task.substeps, {})
    domain, model = task.domain, task.scene.model
    generator = np.random.default_rng((seed, _STREAM))
    loose = loose_bodies(model)
    # One factor a body in the order of the model, drawn for all, so that a domain's parts do not disturb each other.
    mass = np.where(loose, _factors(generator, domain.mass, model.nbody), 1.0)
    friction = float(_factors(generator, domain.friction, 1)[0])
    gain = _factors(generator, domain.gain, len(model.actuator_gainprm))
    late = round(generator.uniform(0, domain.delay) / task.timestep)
    free = _free_objects(model, task.objects)
    seen = {address: generator.uniform(-domain.perception, domain.perception, 2) for address in free}
    scene = _other(task.scene, mass, friction, gain)
    rate = 1 / task.timestep if late else task.rate
    # Without a precondition: the start is checked before.
    return World(replace(task, scene=scene, rate=rate, precondition=""), late, task.substeps, seen)


def _factors(generator: np.random.Generator, share: float, count: int) -> Floats:
    return 1.0 + generator.uniform(-share, share, count)


def _free_objects(model: Any, objects: Sequence[str]) -> list[int]:
    """Addresses in qpos of the objects that can move freely."""
    free = mujoco.mjtJoint.mjJNT_FREE
    names = {model.body(int(b)).name: int(a) for t, b, a in _joints(model) if mujoco.mjtJoint(int(t)) == free}
    return [names[name] for name in objects if name in names]


def _joints(model: Any) -> Any:
    return zip(model.jnt_type, model.jnt_bodyid, model.jnt_qposadr, strict=True)


def _other(scene: Scene, mass: Floats, friction: float, gain: Floats) -> Scene:
    def recompile(memory: int) -> Any:
        return varied(scene.recompile(memory), mass, friction, gain)

    return replace(scene, model=varied(scene.model, mass, friction, gain), recompile=recompile)
