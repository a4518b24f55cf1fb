"""The first seam: an engine loads states into lanes, advances lanes, and gives sensor readings back. Arrays only."""

from collections.abc import Callable
from enum import IntFlag
from typing import Any, NamedTuple, Protocol

Array = Any


class Fault(IntFlag):
    """Why the physics of one sample cannot be believed; several may hold at once, 0 is trusted."""

    NOT_FINITE = 1  # NaN or infinity in state, acceleration, warm start or sensors
    ABSURD = 2  # finite, but beyond the declared limits of the scene
    WARNED = 4  # the engine itself reported a bad state or control and stopped the lane
    OVERFLOW = 8  # contacts or constraints did not fit the memory of the lane
    RAISED = 16  # the engine raised an error for this lane
    UNBALANCED = 32  # M qacc differs from the forces that should cause it
    UNCONVERGED = 64  # the constraint solver stopped at its iteration limit (quality: does not alone invalidate)
    TUNNELLED = 128  # a thin geom passed through another since the sample before
    ENERGISED = 256  # constraints and contacts, which can only take energy, have given some
    SUSPECT = 512  # what this device cannot decide: MuJoCo C has to look

    @classmethod
    def invalidating(cls) -> "Fault":
        """Every fault but UNCONVERGED."""
        return ~cls.UNCONVERGED


class EngineInfo(NamedTuple):
    """What ran the physics; part of every digest."""

    engine: str  # "mujoco", "mjx"
    impl: str  # "c", "jax", "warp"
    device: str  # "cpu", "gpu"
    dtype: str  # "float64", "float32"
    version: str  # of the engine


class Samples(NamedTuple):
    """What n lanes showed at K consecutive substeps."""

    value: Array  # (n, K, S)  sensor columns, in their own units
    fault: Array  # (n, K)     Fault bits, 0 where the physics can be believed


class Fork(NamedTuple):
    """What the next samples of n lanes depend on."""

    state: Array  # (n, nstate)
    memory: tuple[Array, ...]  # (n, ...) each: what the trust checks remember of the samples before


class Engine(Protocol):
    """L lanes of one compiled scene.

    A lane's state is a MuJoCo integration state (`mjSTATE_INTEGRATION`, nstate numbers). Lanes are named by sorted,
    unique integers. A lane's samples depend on its state and controls alone: not on other lanes, their number, the
    number of threads, or how the substeps are cut into calls. A fault in one lane leaves the others untouched.
    """

    @property
    def info(self) -> EngineInfo: ...

    @property
    def nlane(self) -> int: ...

    def load(self, lanes: Array, state: Array) -> None:
        """Put states (n, nstate) into lanes (n,), clearing all that the lanes held before."""
        ...

    def advance(self, lanes: Array, controls: Array) -> Samples:
        """Step lanes (n,) by K substeps under controls (n, K, nu).

        Sample j is what the sensors show at the state before substep j, with the control of substep j.
        """
        ...

    def observe(self, lanes: Array) -> Samples:
        """One sample of the states as they are, with the last control applied: K = 1. Changes nothing."""
        ...

    def state(self, lanes: Array) -> Array:
        """The states (n, nstate) of lanes (n,), copied."""
        ...


class ForkingEngine(Engine, Protocol):
    """An engine in which several lanes can go on from what one has come to, bit for bit as that one would."""

    def begin(self, lanes: Array, controls: Array) -> Callable[[], Samples]:
        """The physics of `advance`, which may run in a thread of its own; what it returns is called for the rest.

        Meanwhile nothing else is asked of the engine. Calls are ended in the order in which they were begun.
        """
        ...

    def save(self, lanes: Array) -> Fork:
        """What comes next in lanes (n,) depends on, copied. No sample of theirs may have had a fault."""
        ...

    def restore(self, lanes: Array, fork: Fork) -> None:
        """Let lanes (n,) go on where those that were saved (n,) stood."""
        ...
