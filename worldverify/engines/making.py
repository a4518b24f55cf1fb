"""From a backend to what runs on it; what is heavy is imported here, when it is needed."""

from typing import TYPE_CHECKING, Any

from worldverify.engines.backend import Backend
from worldverify.kernels.engine import Engine

if TYPE_CHECKING:
    from worldverify.engines.physics import Physics


def make_engine(backend: Backend, model: Any, nlane: int, *, threads: int | None = None) -> Engine:
    """A bare engine of a backend for a compiled model, which is not put to a self-test."""
    if backend.exact:
        from worldverify.kernels.mujoco_cpu import MujocoEngine

        return MujocoEngine(model, nlane, threads=threads)
    from worldverify.engines.caches import use_kernel_caches

    use_kernel_caches()
    from worldverify.kernels.mjx_engine import MjxEngine

    return MjxEngine(model, nlane, impl=backend.impl, device=backend.device)


def physics_on(backend: Backend | None, *, threads: int | None, chunk: int) -> "Physics":
    """What runs jobs on a backend; None chooses between the CPU and the GPU by measurement."""
    from worldverify.engines.physics import MujocoPhysics

    exact = MujocoPhysics(threads=threads, chunk=chunk)
    if backend is None:
        from worldverify.engines.auto_physics import AutoPhysics

        return AutoPhysics(exact)
    if backend.exact:
        return exact
    from worldverify.engines.device_physics import DevicePhysics

    return DevicePhysics(backend, exact)
