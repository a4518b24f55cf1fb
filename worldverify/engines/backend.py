"""Which engine judges: what a caller may ask for, and what this machine can give."""

import re
from dataclasses import dataclass
from typing import Literal

from worldverify.kernels.engine import EngineInfo

On = Literal["auto", "cpu", "gpu"]

NAMES = ("mujoco", "mjx-warp", "mjx-jax")  # on the command line and in reports
_IMPLS = {"mujoco": ("c",), "mjx": ("warp", "jax")}


class EngineRefused(ValueError):
    """An engine must not or cannot judge here; the sentence says why, and what would work."""


class DeviceLost(RuntimeError):
    """A device failed again and again; what it has not judged is to be judged elsewhere."""


@dataclass(frozen=True)
class Backend:
    """One way to simulate."""

    engine: str  # "mujoco", "mjx"
    impl: str  # "c", "warp", "jax"
    device: str  # "cpu", "gpu"

    @property
    def name(self) -> str:
        """As on the command line."""
        return name_of(self.engine, self.impl)

    @property
    def exact(self) -> bool:
        """Whether its verdicts are the reference, in float64."""
        return self.engine == "mujoco"


MUJOCO = Backend("mujoco", "c", "cpu")


def name_of(engine: str, impl: str) -> str:
    """The name of an engine and its implementation."""
    return engine if engine == "mujoco" else f"{engine}-{impl}"


def named(info: EngineInfo) -> str:
    """The name of what ran the physics."""
    return name_of(info.engine, info.impl)


def parse_engine(name: str) -> tuple[str, str]:
    """(engine, impl) of a name of the command line."""
    if name not in NAMES:
        raise ValueError(f"No engine {name!r}. Engines: {', '.join(NAMES)}.")
    engine, _, impl = name.partition("-")
    return engine, impl or "c"


def parse_engines(names: str) -> tuple[str, ...]:
    """The engines of a list with commas, each once."""
    found = tuple(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in found:
        parse_engine(name)
    return found


def as_options(error: Exception) -> str:
    """What is said of arguments, said of the options of the command line."""
    said = str(error).replace("engine='mjx'", "--engine mjx-warp")
    return re.sub(r"\bon='(\w+)'", r"--on \1", said)


def backend_of(on: str = "auto", engine: str | None = None, impl: str | None = None) -> Backend | None:
    """What a caller asked for; None leaves the choice to measurement (on="auto", and there is a GPU).

    Raises ValueError, with the remedy, for what does not exist or cannot run here. A machine without a GPU finds out
    without importing JAX.
    """
    if on not in ("auto", "cpu", "gpu"):
        raise ValueError(f"on must be 'auto', 'cpu' or 'gpu'; got {on!r}.")
    if engine in NAMES and engine not in _IMPLS:
        assert engine is not None
        raise ValueError(f"engine={engine!r} is a name of the command line: say engine='mjx', impl={engine[4:]!r}.")
    if engine not in (None, *_IMPLS):
        raise ValueError(f"No engine {engine!r}. Engines: {', '.join(_IMPLS)}.")
    if engine is None and impl is not None:
        engine = "mujoco" if impl == "c" else "mjx"
    if engine is None:
        return _by_device(on)
    if impl is not None and impl not in _IMPLS[engine]:
        raise ValueError(f"The engine {engine!r} has the implementations {', '.join(_IMPLS[engine])}; got {impl!r}.")
    if engine == "mujoco":
        if on == "gpu":
            raise ValueError("The engine 'mujoco' runs on CPUs: use on='cpu', or engine='mjx' for a GPU.")
        return MUJOCO
    return _mjx(on, impl or "warp")


def _by_device(on: str) -> Backend | None:
    if on == "cpu":
        return MUJOCO
    from worldverify.engines.device import find_gpu

    if on == "gpu":
        return _mjx("gpu", "warp")
    return None if find_gpu().present else MUJOCO


def _mjx(on: str, impl: str) -> Backend:
    from worldverify.engines.device import gpu_refusal, mjx_refusal

    fault = gpu_refusal(impl) if on != "cpu" else None
    if on == "gpu" and fault is not None:
        raise ValueError(f"on='gpu' cannot be done here. {fault} Or use on='cpu' or on='auto'.")
    if on != "cpu" and fault is None:
        return Backend("mjx", impl, "gpu")
    missing = mjx_refusal(impl)
    if missing is not None:
        raise ValueError(missing)
    return Backend("mjx", impl, "cpu")
