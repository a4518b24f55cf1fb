"""A private folder of this user for what can be made again: compiled kernels, measurements, self-tests that passed."""

import atexit
import ctypes
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from worldverify.version import VERSION

CHOSEN = "WORLDVERIFY_CACHE"  # environment: the folder to use instead of the usual one
COMPILED_FROM = ("mujoco", "mujoco-mjx", "warp-lang", "jax", "jaxlib", "numpy")  # whose versions make a kernel stale

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def wanted_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the folder is, or would be."""
    if environ.get(CHOSEN):
        return Path(os.path.expanduser(environ[CHOSEN]))
    for base in (environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache")):
        if os.path.isabs(base):  # a relative XDG_CACHE_HOME is to be ignored, by its specification
            return Path(base) / "worldverify"
    return Path(tempfile.gettempdir()) / f"worldverify-{os.geteuid()}"  # a user without a home


def cache_folder() -> Path:
    """The folder, made if need be. One that others could have written to is not used: kernels in it are code."""
    folder = wanted_folder().absolute()
    fault = _made(folder)
    return folder if fault is None else _temporary(fault)


def fault_of(folder: Path) -> str | None:
    """Why a folder that is there cannot be used, as a sentence."""
    try:
        status = folder.stat()
    except OSError as error:
        return f"The cache folder {folder} cannot be read ({error.strerror}): name another in {CHOSEN}."
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is no folder: name one of your own in {CHOSEN}."
    if status.st_uid != os.geteuid():
        return f"The cache folder {folder} belongs to another user: name one of your own in {CHOSEN}."
    if stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
        return f"Others may write to the cache folder {folder}: delete it, or name another in {CHOSEN}."
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"The cache folder {folder} cannot be written to: make it writable, or name another in {CHOSEN}."
    return None


def kernel_folder() -> Path:
    """Where native code may lie: a folder of its own for these versions and this type of CPU.

    A kernel compiled from another version's source gives wrong physics, and one for another CPU may crash.
    """
    folder = cache_folder() / "kernels" / sha_of({**versions(), "cpu": cpu_type()})
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@cache
def use_kernel_caches() -> None:
    """Point JAX's compilation cache and Warp's kernel cache there, unless the user has chosen others.

    Imports both. To be called before the first kernel is compiled; later calls do nothing. Warp is kept from
    announcing its kernels on the standard output, which is for verdicts.
    """
    import jax

    config: Any = jax.config
    if config.jax_compilation_cache_dir is None:
        config.update("jax_compilation_cache_dir", str(kernel_folder() / "jax"))
    if find_spec("warp") is None:
        return
    import warp

    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)
    if warp.config.kernel_cache_dir is None and not os.environ.get("WARP_CACHE_PATH"):
        warp.config.kernel_cache_dir = str(kernel_folder() / "warp")
    if not loads("libcuda.so.1"):
        _without_native_words(warp.init)


def loads(library: str) -> bool:
    """Whether a shared library is there and can be loaded."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _without_native_words(call: Callable[[], object]) -> None:
    """Call what writes past Python to the standard error: Warp's native code tells of a driver that is not there, which
    no setting of it turns off, and which is no news to who asked for a CPU."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no standard error
        call()
        return
    try:
        os.dup2(nowhere, 2)
        call()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def read_json(name: str) -> Any | None:
    """What `write_json` kept under this name; None if there is nothing, or nothing that can be read."""
    file = _file(name)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write_json(name: str, value: Any) -> bool:
    """Keep a JSON value under a name, whole or not at all; whether it was kept. A full disk is no error here."""
    file, text = _file(name), json.dumps(value, allow_nan=False)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}-", dir=file.parent)
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, file)
    except OSError:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        return False
    return True


def versions() -> dict[str, str | None]:
    """Package -> installed version, of this one and of all that a kernel is compiled from."""
    return {"worldverify": VERSION, **{name: version_of(name) for name in COMPILED_FROM}}


def version_of(package: str) -> str | None:
    """The installed version of a package, which is not imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def cpu_type() -> str:
    """What native code for this CPU may rely on: its architecture, its model and its instruction sets."""
    said: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "flags", "Features", "CPU implementer", "CPU part"):
                said.setdefault(name.strip(), value.strip())
    return " ".join([platform.machine(), *said.values()])


def sha_of(value: Any) -> str:
    """A short name for a JSON value: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _file(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name what is kept: use letters, digits, '.', '_' and '-'.")
    return cache_folder() / f"{name}.json"


def _made(folder: Path) -> str | None:
    """Make the folder if it is not there; why it cannot be used, as a sentence."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return f"The cache folder {folder} cannot be made ({error.strerror}): name another in {CHOSEN}."
    return fault_of(folder)


@cache
def _temporary(fault: str) -> Path:
    """A folder that lasts as long as this process."""
    warnings.warn(f"{fault} Until then nothing compiled or measured is kept.", RuntimeWarning, stacklevel=2)
    folder = Path(tempfile.mkdtemp(prefix="worldverify-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
