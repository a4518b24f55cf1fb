"""What this machine has that worldverify needs, and what is wrong with it. Imports nothing that could fail."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from worldverify.engines.caches import CHOSEN, fault_of, version_of, wanted_folder
from worldverify.engines.device import driver_note, find_gpu, packages_refusal, warp_version_refusal
from worldverify.usage import import_fault
from worldverify.version import VERSION

State = Literal["ok", "note", "broken"]

PYTHON_LEAST = (3, 11)
NEEDED = {"mujoco": (3, 17), "numpy": (2,), "gymnasium": (1, 3)}  # package -> the least version
BESIDE = ("jax", "jaxlib", "mujoco-mjx", "warp-lang")  # looked up, never imported; a GPU needs all of them
KNOWN_BAD = {
    ("mujoco", "4.0.0"): "its sparse solver gives wrong accelerations above 60 degrees of freedom; worldverify forces "
    "the dense one, so its verdicts are not affected",
}
SAME_VERSION = (("jax", "jaxlib"),)

GIB = 2**30
LEAST_MEMORY = 1 * GIB
EACH_TIME = "Until then kernels are compiled anew by every process"


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    state: State
    text: str  # what was found, and what to do about it


def examine(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> list[Check]:
    """All checks, in the order shown. `root` is where /proc and /sys are found."""
    versions = {name: version_of(name) for name in (*NEEDED, *BESIDE)}
    return [
        _python(),
        Check("worldverify", "ok", VERSION),
        *[_package(name, versions[name]) for name in NEEDED],
        *[_beside(name, versions[name]) for name in BESIDE],
        *_pairs(versions),
        _numba(),
        _simulator(),
        _gpu(root, environ),
        _cpus(root),
        _memory(root),
        _rendering(environ),
        _caches(environ),
    ]


def as_text(checks: Sequence[Check]) -> str:
    """A line a check, and what it comes to."""
    broad = max(len(check.name) for check in checks)
    lines = [f"{check.state:<6}  {check.name:<{broad}}  {check.text}" for check in checks]
    broken = [check.name for check in checks if check.state == "broken"]
    end = f"Broken: {', '.join(broken)}." if broken else "worldverify can be used here."
    return "\n".join([*lines, "", end])


def as_json(checks: Sequence[Check], selftests: Sequence[Mapping[str, Any]] = ()) -> str:
    """The same as one JSON object, with the self-tests that were run."""
    said: dict[str, Any] = {"schema": 1, "usable": usable(checks), "checks": [asdict(check) for check in checks]}
    return json.dumps(said | ({"selftests": selftests} if selftests else {}), indent=2)


def usable(checks: Sequence[Check]) -> bool:
    """Whether nothing is broken."""
    return all(check.state != "broken" for check in checks)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON_LEAST:
        return Check("python", "broken", f"{found}; worldverify needs {'.'.join(map(str, PYTHON_LEAST))} or newer")
    return Check("python", "ok", found)


def _package(name: str, found: str | None) -> Check:
    least = ".".join(map(str, NEEDED[name]))
    if found is None:
        return Check(name, "broken", f"not installed: pip install '{name}>={least}'")
    if _numbers(found) < NEEDED[name]:
        return Check(name, "broken", f"{found} is too old: pip install '{name}>={least}'")
    if (name, found) in KNOWN_BAD:
        return Check(name, "note", f"{found}: {KNOWN_BAD[name, found]}")
    return Check(name, "ok", found)


def _beside(name: str, found: str | None) -> Check:
    if found is None:
        return Check(name, "ok", "not installed; only a GPU, and MJX, need it")
    wrong = warp_version_refusal() if name == "warp-lang" else None
    return Check(name, "ok", f"{found} (not imported)") if wrong is None else Check(name, "note", wrong)


def _numba() -> Check:
    found = version_of("numba")
    without = "not installed; pip install 'worldverify[fast]' makes the checks of large batches on MuJoCo C faster"
    return Check("numba", "ok", without if found is None else f"{found} (not imported)")


def _pairs(versions: Mapping[str, str | None]) -> list[Check]:
    """Packages that only work with each other's version."""
    return [
        Check(second, "note", f"{second} {versions[second]} beside {first} {versions[first]}: they should be the same")
        for first, second in SAME_VERSION
        if versions[first] and versions[second] and versions[first] != versions[second]
    ]


def _numbers(version: str) -> tuple[int, ...]:
    """`3.17.0rc1` as (3, 17)."""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _simulator() -> Check:
    """Whether MuJoCo is there and moves."""
    fault = import_fault()
    if fault is not None:
        return Check("simulator", "broken", fault)
    try:
        import mujoco

        model = mujoco.MjModel.from_xml_string(
            "<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>"
        )
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, 10)
        moved = data.qpos[2] < 0
    except Exception as error:  # whatever a broken library may end in
        return Check("simulator", "broken", f"MuJoCo cannot take a step ({type(error).__name__}: {error})")
    return (
        Check("simulator", "ok", "MuJoCo takes steps") if moved else Check("simulator", "broken", "things do not fall")
    )


def _gpu(root: Path, environ: Mapping[str, str]) -> Check:
    """The NVIDIA driver, without switching the GPU on, and whether the packages beside it would do."""
    gpu = find_gpu(root, environ)
    if not gpu.present:
        known = gpu.name is not None or gpu.driver is not None
        return Check("gpu", "note" if known else "ok", f"{gpu.name}: {gpu.reason}" if gpu.name else gpu.reason)
    wrong = packages_refusal("warp", environ) or driver_note(gpu.driver)
    return Check("gpu", "note", f"{gpu.reason} {wrong}") if wrong else Check("gpu", "ok", gpu.reason)


def _cpus(root: Path) -> Check:
    machine = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    text = f"this process may use {allowed} of {machine}"
    quota, _, period = _read(root / "sys/fs/cgroup/cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        text += f", with a quota worth {int(quota) / int(period):g}"
    return Check("cpus", "ok", text)


def _memory(root: Path) -> Check:
    sizes = {}
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        value = rest.split()[:1]
        if value and value[0].isdigit():
            sizes[name] = int(value[0]) * 1024
    if "MemTotal" not in sizes:
        return Check("memory", "note", "unknown: there is no /proc/meminfo")
    free = sizes.get("MemAvailable", sizes["MemTotal"])
    text = f"{free / GIB:.1f} of {sizes['MemTotal'] / GIB:.1f} GiB free"
    limit = _read(root / "sys/fs/cgroup/memory.max").strip()
    if limit.isdigit():
        free = min(free, int(limit))
        text += f", at most {int(limit) / GIB:.1f} GiB for this process"
    if free < LEAST_MEMORY:
        return Check("memory", "note", f"{text}: little; judge fewer plans at a time")
    return Check("memory", "ok", text)


def _rendering(environ: Mapping[str, str]) -> Check:
    text = "pictures are drawn without OpenGL, a display or a GPU"
    chosen = {name: environ[name] for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM") if environ.get(name)}
    if not chosen:
        return Check("rendering", "ok", text)
    listed = ", ".join(f"{name}={value}" for name, value in chosen.items())
    return Check("rendering", "note", f"{text}; {listed} makes MuJoCo load an OpenGL that nothing here needs: unset it")


def _caches(environ: Mapping[str, str]) -> Check:
    """Where kernels and measurements are kept. Nothing is made."""
    folder = wanted_folder(environ)
    named = {name: environ[name] for name in ("JAX_COMPILATION_CACHE_DIR", "WARP_CACHE_PATH") if environ.get(name)}
    listed = "".join(f"; {name}={value}" for name, value in named.items())
    if not folder.exists():
        above = next(place for place in folder.absolute().parents if place.exists())
        if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            text = f"{folder} cannot be made, since {above} cannot be written to: name another in {CHOSEN}. {EACH_TIME}"
            return Check("caches", "note", text + listed)
        return Check("caches", "ok", f"{folder} (not there yet){listed}")
    fault = fault_of(folder)
    if fault is not None:
        return Check("caches", "note", f"{fault} {EACH_TIME}{listed}")
    return Check(
        "caches",
        "ok",
        f"{folder}, {_size(folder) / 2**20:.1f} MiB; what worldverify keeps there may be deleted{listed}",
    )


def _size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # deleted while it was looked at
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _read(path: Path) -> str:
    """The text of a file, or nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
