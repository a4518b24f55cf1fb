"""The engines of this machine, by name, and what their self-tests say of them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from worldverify.engines.backend import MUJOCO, Backend, EngineRefused, parse_engine
from worldverify.engines.caches import cpu_type, read_json, sha_of, versions, write_json
from worldverify.engines.device import driver_version, gpu_names, gpu_refusal, mjx_refusal
from worldverify.engines.exam import LANES, Check, MakeEngine, SelfTest, refusal_of, scene, self_test
from worldverify.engines.making import make_engine
from worldverify.kernels.engine import Engine

KEPT = "selftest"  # where passed self-tests are remembered,
MOST_KEPT = 32  # the newest of them

# Settings of other libraries that change what an engine computes begin with one of these.
SETTINGS = ("CUDA_", "JAX_", "MJX_", "NVIDIA_", "WARP_", "XLA_")


class SelfTestFailed(EngineRefused):
    """An engine that must not judge; its message says what it got wrong."""


@dataclass(frozen=True)
class Examined:
    """One way to simulate, and what came of its self-test here."""

    backend: Backend
    found: SelfTest | None  # None where it did not run to its end,
    fault: str | None  # for this reason
    refused: bool  # it lacks a part, so that nothing was tried
    seconds: float  # wall time, with imports and all that had to be compiled

    @property
    def passed(self) -> bool:
        return self.found is not None and self.found.passed


def require_backend(backend: Backend) -> None:
    """Raise SelfTestFailed unless this way to simulate passes here, also where it cannot even be asked.

    MuJoCo C is asked every time (some 20 ms); an engine that has to be compiled once, until something changes that
    its answers could depend on.
    """
    try:
        require_self_test(*makers(backend), key=None if backend.exact else memory_key(backend))
    except EngineRefused:
        raise
    except Exception as error:  # whatever a driver, a compiler or a library may end in
        raise SelfTestFailed(
            f"The self-test of {backend.name} on the {backend.device} could not run ({_said(error)[:300]}): use "
            "another engine; worldverify doctor --selftest says which ones work here."
        ) from error


def require_self_test(
    make_engine: MakeEngine, make_cramped: Callable[[], Engine] | None = None, *, key: str | None = None
) -> None:
    """Raise SelfTestFailed unless the engine passes. With a key, an engine that has passed is not asked again."""
    if key is not None and _remembered(key):
        return
    found = self_test(make_engine, make_cramped)
    if not found.passed:
        raise SelfTestFailed(refusal_of(found))
    if key is not None:
        kept = read_json(KEPT)
        newest = list(kept.items())[1 - MOST_KEPT :] if isinstance(kept, dict) else []
        write_json(KEPT, {**dict(newest), key: [list(check) for check in found.checks]})


def memory_key(backend: Backend, environ: Mapping[str, str] = os.environ) -> str:
    """The key of a backend's self-test: another one wherever its outcome could be another."""
    here = Path(__file__).parent
    code = [here / "exam.py", *sorted((here.parent / "kernels").glob("*.py"))]
    return sha_of(
        {
            "engine": [backend.engine, backend.impl, backend.device],
            "versions": versions(),
            "cpu": cpu_type(),
            "gpu": [driver_version(), *gpu_names()] if backend.device == "gpu" else None,
            "settings": {name: value for name, value in environ.items() if name.startswith(SETTINGS)},
            "code": [file.read_text(encoding="utf-8") for file in code],
        }
    )


def _remembered(key: str) -> bool:
    """Whether the engine of this key has passed; a record that is not what was written is none."""
    kept = read_json(KEPT)
    checks = kept.get(key) if isinstance(kept, dict) else None
    if not isinstance(checks, list) or not checks:
        return False
    return all(isinstance(check, list) and len(check) == len(Check._fields) and check[1] is True for check in checks)


def makers(backend: Backend) -> tuple[MakeEngine, Callable[[], Engine]]:
    """(make_engine, make_cramped) of a backend, for the self-test."""

    def make(model: Any, nlane: int) -> Engine:
        return make_engine(backend, model, nlane)

    def cramped() -> Engine:
        if backend.exact:
            return make(scene(memory="6K"), LANES)
        if backend.impl == "jax":
            # Every pair of geoms has its contacts there, unless the scene itself asks for fewer.
            return make(scene(custom='<numeric name="max_contact_points" data="1"/>'), LANES)
        from worldverify.kernels.mjx_engine import MjxEngine
        from worldverify.kernels.mjx_room import Room

        return MjxEngine(scene(), LANES, impl=backend.impl, device=backend.device, room=Room(1, 4))

    return make, cramped


def run_self_test(name: str) -> Examined:
    """The self-test of an engine by its name, on the GPU if it can run there, else on a CPU device.

    Whatever stops it is its result; nothing that was remembered is believed.
    """
    clock = perf_counter()
    backend, refusal = _backend_here(name)
    found, fault = None, refusal
    if refusal is None:
        try:
            found = self_test(*makers(backend))
        except Exception as error:  # whatever a driver, a compiler or a library may end in
            fault = _said(error)
    return Examined(backend, found, fault, refusal is not None, perf_counter() - clock)


def as_text(one: Examined) -> str:
    """What it is, how long it took, and a line a check with its numbers."""
    where = f"{one.backend.name} on the {one.backend.device}"
    if one.found is None:
        return f"{where}: {'not tried' if one.refused else 'the self-test FAILED to run'}. {one.fault}"
    info, checks = one.found.info, one.found.checks
    wrong = sum(not check.passed for check in checks)
    said = f"FAILED {wrong} of {len(checks)} checks" if wrong else f"passed {len(checks)} checks"
    took = f"{one.seconds:.2f} s, of which {compile_s(one.found):.2f} s to compile; {one.found.again_s:.2f} s once more"
    broad = max(len(check.name) for check in checks)
    lines = [f"{'ok' if check.passed else 'WRONG':<6}  {check.name:<{broad}}  {check.text}" for check in checks]
    return "\n".join([f"{where} ({info.version}, {info.dtype}): {said} in {took}.", *lines])


def as_json(one: Examined) -> dict[str, Any]:
    """The same as JSON values."""
    found = one.found
    return {
        "engine": one.backend.name,
        "device": one.backend.device,
        "version": found and found.info.version,
        "dtype": found and found.info.dtype,
        "passed": one.passed,
        "refused": one.refused,
        "fault": one.fault,
        "checks": [check._asdict() for check in found.checks] if found else [],
        "seconds": one.seconds,
        "compile_s": found and compile_s(found),
        "run_s": found and found.again_s,
    }


def compile_s(found: SelfTest) -> float:
    """What the first run took longer than the second: the time to build and compile."""
    return max(0.0, found.first_s - found.again_s)


def _backend_here(name: str) -> tuple[Backend, str | None]:
    """(where an engine runs on this machine, why it cannot)."""
    engine, impl = parse_engine(name)
    if engine == "mujoco":
        return MUJOCO, None
    if gpu_refusal(impl) is None:
        return Backend(engine, impl, "gpu"), None
    return Backend(engine, impl, "cpu"), mjx_refusal(impl)


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
