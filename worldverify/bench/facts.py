"""What a rate means nothing without: the scene, its contacts, and the machine."""

import copy
import os
import platform
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from mujoco import batch
from numpy.typing import NDArray

from worldverify.engines.caches import version_of
from worldverify.engines.device import find_gpu
from worldverify.kernels.mujoco_cpu import quiet, usable_cpus
from worldverify.kernels.sweep import collidable_pairs
from worldverify.task import Task
from worldverify.version import VERSION

Floats = NDArray[np.float64]

PACKAGES = ("mujoco", "mujoco-mjx", "mujoco-warp", "warp-lang", "jax", "jaxlib", "numpy", "numba")
LOOKED_AT = 256  # plans whose contacts are counted


def scene_facts(task: Task) -> dict[str, Any]:
    """Sizes and settings that the speed of a scene depends on."""
    model = task.scene.model
    return {
        "nv": int(model.nv),
        "nu": int(model.nu),
        "ngeom": int(model.ngeom),
        "pairs": len(collidable_pairs(model)),
        "sensors": int(model.nsensordata),
        "timestep_s": task.timestep,
        "horizon_s": task.horizon,
        "steps": task.samples,
        "substeps": task.substeps,
        "integrator": _short(mujoco.mjtIntegrator(int(model.opt.integrator)), "mjINT_"),
        "cone": _short(mujoco.mjtCone(int(model.opt.cone)), "mjCONE_"),
        "solver": _short(mujoco.mjtSolver(int(model.opt.solver)), "mjSOL_"),
        "iterations": int(model.opt.iterations),
        "tolerance": float(model.opt.tolerance),
        "condim": sorted({int(dim) for dim in model.geom_condim}),
    }


def loads(task: Task, controls: Floats) -> dict[str, dict[str, float]]:
    """Contacts and constraint rows of a step: mean and 95th percentile over plans, and the greatest of all.

    From MuJoCo C; controls (n, T, nu), of which the first LOOKED_AT are looked at.
    """
    some = controls[:LOOKED_AT]
    lanes = batch.Batch(task.scene.model, len(some), usable_cpus())
    lanes.state[:] = task.start(0)
    held = np.repeat(some, task.substeps, axis=1)
    with quiet():
        found = lanes.rollout(task.samples, held, mujoco.mjtState.mjSTATE_CTRL, record=["ncon", "nefc"])
    return {name: _over_plans(np.asarray(found[key])) for name, key in (("contacts", "ncon"), ("rows", "nefc"))}


def raw_room(task: Task, controls: Floats) -> tuple[int, int]:
    """Contacts and rows that a lane of a device needs, sized as our own engine sizes it."""
    from worldverify.kernels.mjx_room import room_for

    held = np.repeat(controls[:LOOKED_AT], task.substeps, axis=1)
    room = room_for(task.scene.model, np.tile(task.start(0), (len(held), 1)), held)
    return room.contacts, room.rows


def raw_model(task: Task) -> mujoco.MjModel:
    """The scene as somebody would step it who asks for no verdict: no sensors, the same physics."""
    model = copy.copy(task.scene.model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_SENSOR)
    return model


def machine() -> dict[str, Any]:
    """The processor, the GPU and the versions; nothing that names the machine or its user."""
    gpu = find_gpu()
    return {
        "cpu": cpu_model(),
        "usable_cpus": usable_cpus(),
        "cpus": os.cpu_count(),
        "gpu": gpu.name or "an NVIDIA GPU" if gpu.present else None,
        "gpu_driver": gpu.driver if gpu.present else None,
        "load_1m_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {"worldverify": VERSION, **{name: version_of(name) for name in PACKAGES}},
    }


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _over_plans(count: NDArray[Any]) -> dict[str, float]:
    each = count.reshape(len(count), -1)
    mean = each.mean(axis=1)
    return {"mean": float(mean.mean()), "p95": float(np.percentile(mean, 95)), "peak": float(each.max(initial=0))}


def _short(value: Any, prefix: str) -> str:
    return str(value.name).removeprefix(prefix).lower()
