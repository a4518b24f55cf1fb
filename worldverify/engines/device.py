"""What accelerator there is, and what it lacks to be used. A machine without one finds out in no time."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from worldverify.engines.caches import loads, use_kernel_caches, version_of

DRIVER_OF = {13: 580, 12: 525}  # CUDA -> the least version of NVIDIA's driver that runs its wheels
PLUGINS = {"jax-cuda13-plugin": 13, "jax-cuda12-plugin": 12}  # either lets JAX use the GPU

INSTALL_JAX = 'pip install "jax[cuda13]" (with a driver older than 580: "jax[cuda12]")'
INSTALL_WARP = 'pip install "worldverify[warp]"'

_VERSION = re.compile(r"(?<![\d.])\d{3,4}\.\d+(?:\.\d+)?(?![\d.])")
_REQUIREMENT = re.compile(r"warp-lang\s*\(?==\s*([\w.]+)")


@dataclass(frozen=True)
class Gpu:
    """What the operating system tells of an NVIDIA GPU; nothing was loaded or switched on to find out."""

    present: bool  # this process can reach one
    name: str | None  # of the first
    driver: str | None  # its version, where the system tells
    reason: str  # what was found, or why there is none and what would help; a sentence


def find_gpu(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> Gpu:
    """Look for a GPU without importing JAX. `root` is where /proc and /dev are found."""
    name, driver = gpu_names(root)[:1], driver_version(root)
    first = name[0] if name else None

    def none(reason: str) -> Gpu:
        return Gpu(False, first, driver, reason)

    nodes = [*root.glob("dev/nvidia[0-9]*"), *root.glob("dev/dxg")]  # the latter in Windows' Linux
    if driver is None and not nodes:
        return none("There is no NVIDIA driver on this machine: install one to use a GPU.")
    said = f"NVIDIA driver {driver or 'of unknown version'}"
    if not nodes:
        return none(f"The {said} is loaded, but this process sees no GPU: start the container with --gpus all.")
    hidden = environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.partition(",")[0].strip() in ("", "-1", "NoDevFiles"):
        return none(f"CUDA_VISIBLE_DEVICES={hidden} hides every GPU from this process: unset it, or name one.")
    if not loads("libcuda.so.1"):
        return none(
            f"The {said} has no library libcuda.so.1 here: install the driver's libraries, or start the container "
            "with --gpus all and NVIDIA_DRIVER_CAPABILITIES=compute,utility."
        )
    return Gpu(True, first, driver, f"{first or 'An NVIDIA GPU'} with {said}.")


def gpu_refusal(impl: str = "warp") -> str | None:
    """Why on="gpu" cannot be done with this implementation of MJX, as one sentence with the fix; None if it can be.

    JAX is imported only where a driver and all packages were found.
    """
    gpu = find_gpu()
    if not gpu.present:
        return gpu.reason
    return packages_refusal(impl) or _jax_refusal(gpu) or (_warp_refusal(gpu) if impl == "warp" else None)


def packages_refusal(impl: str = "warp", environ: Mapping[str, str] = os.environ) -> str | None:
    """Which package or setting is in the way of a GPU that is there. Imports nothing."""
    if _hides(environ, "cuda", "gpu"):
        return f"JAX_PLATFORMS={environ['JAX_PLATFORMS']} hides the GPU from JAX: unset it, or put cuda first."
    missing = _mjx_missing()
    if missing is not None:
        return missing
    plugins = {name: version_of(name) for name in PLUGINS if version_of(name)}
    if not plugins:
        return f"There is an NVIDIA GPU, but JAX has no plugin for it: {INSTALL_JAX}."
    return warp_version_refusal() if impl == "warp" else None


def mjx_refusal(impl: str = "warp", environ: Mapping[str, str] = os.environ) -> str | None:
    """Why MJX cannot run on a CPU device with the packages installed, as one sentence with the fix. Imports nothing."""
    missing = _mjx_missing() or (warp_version_refusal() if impl == "warp" else None)
    if missing is None and _hides(environ, "cpu"):
        return f"JAX_PLATFORMS={environ['JAX_PLATFORMS']} hides the CPU from JAX: unset it, or add cpu to it."
    return missing


def _mjx_missing() -> str | None:
    for name in ("jax", "mujoco-mjx"):
        if version_of(name) is None:
            return f"MJX needs {name}, which is not installed: pip install {name}."
    return None


def _hides(environ: Mapping[str, str], *names: str) -> bool:
    """Whether JAX was told to use other platforms than these."""
    platforms = environ.get("JAX_PLATFORMS", "")
    return bool(platforms) and not set(names) & {name.strip().lower() for name in platforms.split(",")}


def warp_version_refusal() -> str | None:
    """Why MJX cannot run its Warp kernels with the packages installed, on any device. Imports nothing."""
    wanted, found = _wanted_warp(), version_of("warp-lang")
    if found is None:
        return f"mjx-warp needs warp-lang, which is not installed: {INSTALL_WARP}."
    if wanted is not None and found.partition("+")[0] != wanted:
        return (
            f"warp-lang {found} is installed, but mujoco-mjx {version_of('mujoco-mjx')} works with {wanted} only: "
            f"{INSTALL_WARP}."
        )
    return None


def driver_note(driver: str | None) -> str:
    """What an old driver means for the packages installed; nothing where it is new enough or unknown."""
    plugins = [cuda for name, cuda in PLUGINS.items() if version_of(name)]
    warp = version_of("warp-lang") or ""
    cuda = max([*plugins, 12 if "+cu12" in warp else 13 if warp else 0])
    least = DRIVER_OF.get(cuda, 0)
    major = (driver or "").partition(".")[0]
    if not major.isdigit() or int(major) >= least:
        return ""
    return f"driver {driver} is older than {least}, which packages made for CUDA {cuda} need: update it"


def driver_version(root: Path = Path("/")) -> str | None:
    """The version of the NVIDIA driver that is loaded; Linux in Windows does not tell."""
    try:
        text = (root / "proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _VERSION.search(text.partition("\n")[0])
    return found[0] if found else "unknown"


def gpu_names(root: Path = Path("/")) -> list[str]:
    """The models of the GPUs that the driver knows, whoever may use them."""
    names = []
    for information in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        try:
            lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
    return names


def _wanted_warp() -> str | None:
    """The version of warp-lang that the installed mujoco-mjx asks for."""
    try:
        requirements = metadata.requires("mujoco-mjx") or []
    except metadata.PackageNotFoundError:
        return None
    pins = [found[1] for found in map(_REQUIREMENT.match, requirements) if found]
    return pins[0] if pins else None


def _jax_refusal(gpu: Gpu) -> str | None:
    use_kernel_caches()
    import jax

    try:
        jax.devices("cuda")
    except Exception as error:  # whatever a driver or a plugin may end in
        return _sentence("JAX cannot use the GPU", error, driver_note(gpu.driver) or f"reinstall JAX: {INSTALL_JAX}")
    return None


def _warp_refusal(gpu: Gpu) -> str | None:
    import warp

    try:
        fault = None if warp.is_cuda_available() else "it finds no CUDA device"
    except Exception as error:
        fault = str(error)
    if fault is None:
        return None
    return _sentence("Warp cannot use the GPU", fault, driver_note(gpu.driver) or f"reinstall it: {INSTALL_WARP}")


def _sentence(what: str, fault: object, remedy: str) -> str:
    said = " ".join(str(fault).split())[:200].rstrip(".")
    return f"{what} ({said}): {remedy}."
