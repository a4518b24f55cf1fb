"""A task: a scene, an instruction, a spec, how it varies, a plan that passes and plans that fail."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldverify import contracts as formats
from worldverify.action import ActionSpec
from worldverify.arm import Arm
from worldverify.base import Base, pose_of, standing
from worldverify.camera import Camera
from worldverify.card import example, scene_lines, task_card
from worldverify.declared import contract_of
from worldverify.domain import Domain
from worldverify.plan import Plan, admit
from worldverify.precondition import Precondition
from worldverify.scene import Scene, build_scene
from worldverify.sources import read_scene
from worldverify.spec import Spec
from worldverify.success import Success, success_of

Floats = NDArray[np.float64]

# Moves objects and joints of a fresh scene: change(generator, model, data).
Randomise = Callable[[np.random.Generator, Any, Any], None]

NOMINAL = Domain()
MOST_SAMPLES = 1_000_000  # physics steps to the horizon; more would not end, and not fit the memory


@dataclass(frozen=True, eq=False)
class Task:
    """What a model is asked to do and how the answer is judged."""

    name: str  # "PickCube-v0"
    instruction: str  # one or two sentences for a model
    scene: Scene
    spec: Spec
    horizon: float  # s, a whole number of control periods
    rate: float  # Hz, actions a second; 1/rate is a whole number of physics steps
    contracts: Mapping[str, ActionSpec]  # format name -> contract; the first of fixed width is what "actions" means
    arm: Arm | None = None
    arms: Mapping[str, Arm] = field(default_factory=dict)  # by name, where there are several; then `arm` is None
    base: Base | None = None  # what drives; it carries the arm if there are both
    camera: Camera | None = None  # that the model sees the scene by, and that points of an image are lifted with
    randomise: Randomise | None = None
    domain: Domain = NOMINAL  # what else differs from seed to seed where randomise="all" is asked for
    precondition: str = ""  # a formula about the start; where it does not hold, nothing is judged
    unsteady: str = ""  # why the good plan passes from fewer than 95 % of the seeds, if it does
    good: Plan | None = None  # passes
    bad: Mapping[str, Plan] = field(default_factory=dict)  # requirement -> a plan that fails only it
    objects: tuple[str, ...] = ()  # names that the instruction speaks of, shown with their positions
    reward_min: float = -1.0  # the least reward, given to plans that break the simulation or cannot be read
    source: str = ""  # where it comes from, for people

    def __post_init__(self) -> None:
        h = self.timestep
        _amount(self.rate, f"rate of {self.name}")
        _amount(self.horizon, f"horizon of {self.name}")
        if not _whole(1 / (self.rate * h)):
            near = {max(1, n(1 / (self.rate * h))): None for n in (math.ceil, math.floor)}
            raise ValueError(
                f"A rate of {self.rate:g} Hz does not fit the physics step of {h:g} s: "
                f"use {' or '.join(f'{1 / (n * h):g}' for n in near)} Hz."
            )
        if self.horizon / h > MOST_SAMPLES + 0.5:
            raise ValueError(
                f"A horizon of {self.horizon:g} s has {self.horizon / h:g} physics steps of {h:g} s; at most "
                f"{MOST_SAMPLES} are simulated: use a longer timestep or a shorter horizon."
            )
        if not _whole(self.horizon * self.rate):
            nearest = max(1, round(self.horizon * self.rate)) / self.rate
            raise ValueError(
                f"A horizon of {self.horizon:g} s is not a whole number of control periods: use {nearest:g} s."
            )
        if self.precondition:
            self._begins.check(self.scene.start())
        if not self.reward_min < 1:
            raise ValueError(f"reward_min must be below 1, the reward of a PASS; got {self.reward_min}.")

    @property
    def timestep(self) -> float:
        """h, s."""
        return float(self.scene.model.opt.timestep)

    @property
    def substeps(self) -> int:
        """Physics steps of one action."""
        return round(1 / (self.rate * self.timestep))

    @property
    def samples(self) -> int:
        """N, physics steps to the horizon."""
        return round(self.horizon / self.timestep)

    @property
    def steps(self) -> int:
        """T, actions to the horizon."""
        return round(self.horizon * self.rate)

    @property
    def every_arm(self) -> Mapping[str, Arm]:
        """All arms by name; one that is alone is called nothing."""
        return self.arms or ({} if self.arm is None else {"": self.arm})

    @cached_property
    def success(self) -> Success:
        """What its goals ask for: reached once, kept for a while, let go, there at the end."""
        return success_of(self.spec)

    @cached_property
    def _begins(self) -> Precondition:
        return Precondition(self.scene, self.precondition)

    def check_start(self, state: Floats) -> None:
        """Refuses a start (nstate,) that is not physical, or that the task does not begin from."""
        self.scene.check_start(state)
        if self.precondition:
            self._begins.check(state)

    def check_starts(self, states: Floats) -> None:
        """Refuses n starts (n, nstate) if check_start refuses one of them; much faster than one by one."""
        for state in states:
            self.scene.check_start(state)
        if self.precondition:
            for fault in self._begins.faults(states):
                if fault is not None:
                    raise fault

    @property
    def prompt(self) -> str:
        """What a model is asked, for the start of seed 0: the instruction, the scene, the formats, an example."""
        return self.card(0)

    def card(self, seed: int = 0, format: str | ActionSpec | None = None, *, state: Floats | None = None) -> str:
        """The prompt for the start of a seed, or for a state (nstate,).

        With a `format`, a contract or its name, it asks for that one only.
        """
        if isinstance(format, str):
            format, _ = contract_of(format, None, self.contracts, self.name)
        here = self.scene.data(self.start(seed) if state is None else state)
        arms = self.every_arm
        if self.base is not None:
            arms = {name: standing(arm, pose_of(here, self.base)) for name, arm in arms.items()}
        lines = scene_lines(self.scene.model, here, self.objects, arms, self.camera, self.base)
        contracts = self.contracts if format is None else {format.name: format}
        form = example(contracts, here, arms, self.base)
        return task_card(
            self.instruction, lines, contracts, self.spec, horizon=self.horizon, steps=self.steps, example=form
        )

    def start(self, seed: int = 0) -> Floats:
        """(nstate,) the start state of a seed."""
        if self.randomise is None:
            return self.scene.start()
        generator, randomise = np.random.default_rng(seed), self.randomise
        return self.scene.start(lambda model, data: randomise(generator, model, data))

    @classmethod
    def from_mjcf(
        cls,
        source: str | Path,
        *,
        spec: str | Spec,
        horizon: float,
        actions: Literal["ctrl"] = "ctrl",
        rate: float,
        keyframe: str | int | None = None,
        pose: Mapping[str, float] | None = None,
        meshdir: str | Path | None = None,
        servo: bool = False,
        integrator: str | None = None,
        exclude: Sequence[tuple[str, str]] = (),
        name: str | None = None,
        instruction: str = "",
        good: object = None,
        bad: Mapping[str, object] | None = None,
        randomise: Randomise | None = None,
        domain: Domain = NOMINAL,
        precondition: str = "",
        unsteady: str = "",
        objects: Sequence[str] = (),
        reward_min: float = -1.0,
    ) -> "Task":
        """A task from any MJCF or URDF: a file, or its text. Plans are raw controls, one number an actuator.

        `keyframe` names the start; None is the model's default pose. `pose` is where joints start (rad or m) if not
        there. `meshdir` is one more folder for meshes and textures, `servo` drives the joints of a model without
        actuators, `integrator` replaces that of the file, and pairs of bodies in `exclude` do not collide: see
        `worldverify.sources.read_scene`. Raises Refusal (a ValueError) if the model does not compile or the spec does
        not fit it, ValueError if rate or horizon do not fit the timestep, OSError if the file cannot be read.
        """
        if actions != "ctrl":
            raise ValueError(f"from_mjcf reads actions='ctrl'; {actions!r} needs a robot description.")
        rate, horizon = _amount(rate, "rate"), _amount(horizon, "horizon")
        read = read_scene(
            source,
            keyframe=keyframe,
            meshdir=meshdir,
            servo=servo,
            integrator=integrator,
            pose=pose,
            exclude=exclude,
        )
        parsed = Spec.parse(spec) if isinstance(spec, str) else spec
        scene = build_scene(read.mjspec, parsed, keyframe=read.keyframe)
        contracts = {"ctrl": formats.ctrl(int(scene.model.nu), rate)}
        admitted = {key: admit(raw, contracts=contracts, default_rate=rate) for key, raw in (bad or {}).items()}
        return cls(
            name=name or read.label,
            instruction=instruction,
            scene=scene,
            spec=parsed,
            horizon=horizon,
            rate=rate,
            contracts=contracts,
            randomise=randomise,
            domain=domain,
            precondition=precondition,
            unsteady=unsteady,
            objects=tuple(objects),
            good=None if good is None else admit(good, contracts=contracts, default_rate=rate),
            bad=admitted,
            reward_min=reward_min,
            source=read.label,
        )


def _amount(value: object, what: str) -> float:
    """A number above zero."""
    number = math.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"The {what} must be a number above zero; got {value!r}.")
    return number


def _whole(x: float) -> bool:
    return abs(x - round(x)) < 1e-6 and round(x) >= 1
