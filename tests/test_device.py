"""Looking for a GPU, on machines made of a few files."""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from worldverify.engines import device
from worldverify.engines.device import (
    Gpu,
    driver_note,
    driver_version,
    find_gpu,
    gpu_refusal,
    mjx_refusal,
    packages_refusal,
    warp_version_refusal,
)

CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version: 12\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U16)\n"
WHOLE = {"jax": "0.10.2", "mujoco-mjx": "3.17.0", "warp-lang": "1.18.0", "jax-cuda13-plugin": "0.10.2"}
GPU = Gpu(True, "NVIDIA Something", "580.65.06", "NVIDIA Something with NVIDIA driver 580.65.06.")


def machine(root: Path, *, version: str | None = OPEN, nodes: tuple[str, ...] = ("nvidia0", "nvidiactl")) -> Path:
    """The files by which the operating system tells of a GPU."""
    if version is not None:
        card = root / "proc/driver/nvidia/gpus/0000:01:00.0"
        card.mkdir(parents=True)
        (card / "information").write_text("Model: \t\t NVIDIA Something\nIRQ:   \t\t 100\n")
        (root / "proc/driver/nvidia/version").write_text(version)
    (root / "dev").mkdir()
    for node in nodes:
        (root / "dev" / node).touch()
    return root


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "loads", lambda library: True)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The packages there are: a dictionary to change."""
    packages = dict(WHOLE)
    monkeypatch.setattr(device, "version_of", packages.get)
    monkeypatch.setattr(device, "find_gpu", lambda: GPU)
    monkeypatch.setattr(device, "_wanted_warp", lambda: "1.18.0")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    return packages


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A JAX and a Warp that find a GPU."""
    jax, warp = types.ModuleType("jax"), types.ModuleType("warp")
    jax.devices = lambda kind: [kind]  # type: ignore[attr-defined]
    warp.is_cuda_available = lambda: True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jax", jax)
    monkeypatch.setitem(sys.modules, "warp", warp)
    monkeypatch.setattr(device, "use_kernel_caches", lambda: None)
    return jax, warp


def test_a_gpu_is_found_with_its_name_and_driver(tmp_path: Path, library: None) -> None:
    gpu = find_gpu(machine(tmp_path), {})
    assert (gpu.present, gpu.name, gpu.driver) == (True, "NVIDIA Something", "580.65.06")
    assert gpu.reason == "NVIDIA Something with NVIDIA driver 580.65.06."


@pytest.mark.parametrize(("text", "version"), [(CLOSED, "535.104.05"), (OPEN, "580.65.06"), ("NVRM\n", "unknown")])
def test_the_driver_tells_its_version(text: str, version: str, tmp_path: Path) -> None:
    assert driver_version(machine(tmp_path, version=text)) == version


def test_a_machine_without_a_driver_says_so(tmp_path: Path) -> None:
    gpu = find_gpu(tmp_path, {})
    assert not gpu.present
    assert gpu.reason == "There is no NVIDIA driver on this machine: install one to use a GPU."


def test_a_container_that_was_given_no_gpu_says_how_to_give_one(tmp_path: Path, library: None) -> None:
    gpu = find_gpu(machine(tmp_path, nodes=()), {})
    assert not gpu.present
    assert "driver 580.65.06 is loaded" in gpu.reason and "--gpus all" in gpu.reason


def test_a_driver_without_its_libraries_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "loads", lambda library: False)
    gpu = find_gpu(machine(tmp_path), {})
    assert not gpu.present
    assert "libcuda.so.1" in gpu.reason


@pytest.mark.parametrize("hidden", ["", "-1", " -1,0", "NoDevFiles"])
def test_a_gpu_can_be_hidden(hidden: str, tmp_path: Path, library: None) -> None:
    gpu = find_gpu(machine(tmp_path), {"CUDA_VISIBLE_DEVICES": hidden})
    assert not gpu.present
    assert "CUDA_VISIBLE_DEVICES" in gpu.reason and "unset it" in gpu.reason


@pytest.mark.parametrize("shown", ["0", "1,0", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"])
def test_a_gpu_that_is_named_is_not_hidden(shown: str, tmp_path: Path, library: None) -> None:
    assert find_gpu(machine(tmp_path), {"CUDA_VISIBLE_DEVICES": shown}).present


def test_linux_in_windows_has_a_gpu_without_files_of_a_driver(tmp_path: Path, library: None) -> None:
    gpu = find_gpu(machine(tmp_path, version=None, nodes=("dxg",)), {})
    assert gpu.present and gpu.driver is None


def test_looking_for_a_gpu_loads_neither_jax_nor_warp() -> None:
    code = """
import sys
from worldverify.engines.device import find_gpu, packages_refusal, warp_version_refusal
find_gpu(), packages_refusal("warp"), warp_version_refusal()
sys.exit(any(name in sys.modules for name in ("jax", "jaxlib", "warp", "mujoco.mjx")))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_machine_without_a_gpu_is_refused_without_importing_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_gpu", lambda: Gpu(False, None, None, "There is none."))
    monkeypatch.setitem(sys.modules, "jax", None)
    assert gpu_refusal() == "There is none."


def test_a_machine_with_all_it_needs_is_not_refused(installed: dict[str, str], libraries: tuple[Any, Any]) -> None:
    assert gpu_refusal("warp") is None
    assert gpu_refusal("jax") is None


@pytest.mark.parametrize(
    ("package", "version", "says"),
    [
        ("jax-cuda13-plugin", None, 'pip install "jax[cuda13]"'),
        ("jax", None, "pip install jax"),
        ("mujoco-mjx", None, "pip install mujoco-mjx"),
        ("warp-lang", None, 'pip install "worldverify[warp]"'),
        ("warp-lang", "1.19.0", "works with 1.18.0 only"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_remedy(
    package: str, version: str | None, says: str, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)  # nothing is imported to find out
    installed.pop(package)
    if version is not None:
        installed[package] = version
    said = gpu_refusal("warp")
    assert said is not None and says in said
    assert said.endswith(".") and "\n" not in said


def test_jax_needs_no_warp(installed: dict[str, str], libraries: tuple[Any, Any]) -> None:
    installed.pop("warp-lang")
    assert gpu_refusal("jax") is None
    assert gpu_refusal("warp") is not None


def test_a_warp_for_another_cuda_is_the_same_warp(installed: dict[str, str]) -> None:
    installed["warp-lang"] = "1.18.0+cu12"
    assert warp_version_refusal() is None


def test_the_version_of_warp_is_the_one_that_mjx_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["etils[epath]", 'warp-lang==1.18.0; extra == "warp"', 'isort; extra == "dev"']
    monkeypatch.setattr(device.metadata, "requires", lambda name: asked)
    monkeypatch.setattr(device, "version_of", lambda name: "1.17.1")
    said = warp_version_refusal()
    assert said is not None and "warp-lang 1.17.1" in said and "1.18.0 only" in said
    monkeypatch.setattr(device.metadata, "requires", lambda name: None)
    assert warp_version_refusal() is None


@pytest.mark.parametrize(("platforms", "hides"), [("cpu", True), ("cuda,cpu", False), ("gpu", False), ("", False)])
def test_jax_may_have_been_told_to_use_the_cpu(platforms: str, hides: bool, installed: dict[str, str]) -> None:
    said = packages_refusal("warp", {"JAX_PLATFORMS": platforms})
    assert (said is not None and "JAX_PLATFORMS" in said and "unset it" in said) == hides


@pytest.mark.parametrize(
    ("driver", "packages", "says"),
    [
        ("535.104.05", {}, "older than 580"),
        ("580.65.06", {}, ""),
        ("unknown", {}, ""),
        (None, {}, ""),
        ("535.104.05", {"jax-cuda13-plugin": None, "jax-cuda12-plugin": "0.10.2", "warp-lang": "1.18.0+cu12"}, ""),
        ("470.1", {"jax-cuda13-plugin": None, "jax-cuda12-plugin": "0.10.2", "warp-lang": "1.18.0+cu12"}, "525"),
    ],
)
def test_an_old_driver_is_told_from_a_new_one(
    driver: str | None, packages: dict[str, str | None], says: str, installed: dict[str, str]
) -> None:
    installed.update(packages)  # type: ignore[arg-type]
    said = driver_note(driver)
    assert (says in said) if says else said == ""


def test_what_jax_says_of_its_gpu_is_passed_on(
    installed: dict[str, str], libraries: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(kind: str) -> None:
        raise RuntimeError("Unknown backend:\n 'cuda' requested.")

    libraries[0].devices = none
    said = gpu_refusal()
    assert said is not None
    assert said.startswith("JAX cannot use the GPU (Unknown backend: 'cuda' requested): reinstall JAX")
    monkeypatch.setattr(device, "find_gpu", lambda: Gpu(True, None, "535.1", "One."))
    said = gpu_refusal()
    assert said is not None and "driver 535.1 is older than 580" in said


def test_a_warp_that_finds_no_gpu_is_refused(installed: dict[str, str], libraries: tuple[Any, Any]) -> None:
    libraries[1].is_cuda_available = lambda: False
    said = gpu_refusal("warp")
    assert said is not None and said.startswith("Warp cannot use the GPU")
    assert gpu_refusal("jax") is None


@pytest.mark.parametrize(("package", "says"), [("jax", "pip install jax"), ("mujoco-mjx", "pip install mujoco-mjx")])
def test_mjx_on_a_cpu_says_which_package_is_missing(package: str, says: str, installed: dict[str, str]) -> None:
    assert mjx_refusal("jax", {}) is None
    installed.pop(package)
    assert says in (mjx_refusal("jax", {}) or "")


@pytest.mark.parametrize(("platforms", "hides"), [("cuda", True), ("cuda,cpu", False), ("CPU", False), ("", False)])
def test_jax_may_have_been_told_to_do_without_the_cpu(platforms: str, hides: bool, installed: dict[str, str]) -> None:
    assert (mjx_refusal("jax", {"JAX_PLATFORMS": platforms}) is not None) == hides
