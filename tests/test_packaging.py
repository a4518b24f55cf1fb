"""What is built holds what the checkout holds, and works away from it."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("packaging")  # the builds are made once, by one worker

ROOMS = {"worldverify": "worldverify", "envs": "worldverify/envs", "kernels": "worldverify/kernels"}
NOT_SOURCE = shutil.ignore_patterns(
    ".git",
    "worldverify-report",
    ".venv",
    ".tools",
    ".*_cache",
    ".hypothesis",
    "__pycache__",
    "*.egg-info",
    "build",
    "dist",
    "report",
)


def python(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run this Python as a stranger would: in another folder, with nothing but `path` added; its output."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, "-P", *arguments], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_the_rooms(root: Path) -> dict[str, Path]:
    """The file of the checkout that belongs at each path of a wheel."""
    files = {}
    for folder, package in ROOMS.items():
        for file in (root / folder).rglob("*"):
            place = file.relative_to(root / folder)
            linked = folder == "worldverify" and place.parts[0] in ROOMS
            data = (
                place.parts[0] == "assets"
                if folder == "envs"
                else file.name in ("py.typed", "measured.json") or file.suffix == ".toml"
            )
            if file.is_file() and not linked and (data or file.suffix == ".py"):
                files[f"{package}/{place.as_posix()}"] = file
    return files


def digests(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names))
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


@pytest.fixture(scope="module")
def tree(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, so that building leaves nothing behind in the checkout."""
    copy = tmp_path_factory.mktemp("packaging") / "tree"
    shutil.copytree(root, copy, symlinks=True, ignore=NOT_SOURCE)
    return copy


@pytest.fixture(scope="module")
def sdist_and_wheel(tree: Path) -> tuple[Path, Path]:
    """The source distribution, and the wheel that was built from it and not from the checkout."""
    python("-m", "build", "--no-isolation", ".", cwd=tree)
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    (wheel,) = (tree / "dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(sdist_and_wheel: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files as an installer would unpack them."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(sdist_and_wheel[1]) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_every_file_of_the_three_rooms_and_no_other(
    root: Path, sdist_and_wheel: tuple[Path, Path]
) -> None:
    built = {name: digest for name, digest in digests(sdist_and_wheel[1]).items() if ".dist-info/" not in name}
    sources = {name: hashlib.sha256(f.read_bytes()).hexdigest() for name, f in in_the_rooms(root).items()}
    assert built == sources
    assert {
        "worldverify/py.typed",
        "worldverify/envs/__init__.py",
        "worldverify/kernels/__init__.py",
    } <= built.keys()


def test_the_sdist_holds_the_rooms_under_their_own_folders_once(root: Path, sdist_and_wheel: tuple[Path, Path]) -> None:
    with tarfile.open(sdist_and_wheel[0]) as archive:
        names = [Path(*Path(member.name).parts[1:]).as_posix() for member in archive if member.isfile()]
    assert len(names) == len(set(names))
    rooms = {name for name in names if name.split("/")[0] in ROOMS}
    assert rooms == {file.relative_to(root).as_posix() for file in in_the_rooms(root).values()}
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/conftest.py"} <= set(names)


def test_the_checkout_and_the_sdist_build_the_same_wheel(
    tree: Path, sdist_and_wheel: tuple[Path, Path], tmp_path: Path
) -> None:
    python("-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), ".", cwd=tree)
    (wheel,) = tmp_path.glob("*.whl")
    assert digests(wheel) == digests(sdist_and_wheel[1])


def test_a_download_whose_links_became_text_files_builds_the_same_wheel(
    tree: Path, sdist_and_wheel: tuple[Path, Path], tmp_path: Path
) -> None:
    unlinked = tmp_path / "unlinked"
    shutil.copytree(tree, unlinked, symlinks=True, ignore=NOT_SOURCE)
    for room in ("envs", "kernels"):
        link = unlinked / "worldverify" / room
        if link.is_symlink():
            link.unlink()
            link.write_text(f"../{room}")
    python("-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), ".", cwd=unlinked)
    (wheel,) = tmp_path.glob("*.whl")
    assert digests(wheel) == digests(sdist_and_wheel[1])


def test_the_wheel_offers_the_command_worldverify(installed: Path) -> None:
    (entry_points,) = installed.glob("worldverify-*.dist-info/entry_points.txt")
    assert "worldverify = worldverify.cli:main" in entry_points.read_text()


def test_every_module_of_the_wheel_imports_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = """
import importlib, pkgutil
import worldverify, worldverify.envs, worldverify.kernels
print(worldverify.__file__)
for module in pkgutil.walk_packages(worldverify.__path__, "worldverify."):
    if not module.name.endswith("__main__"):
        print(importlib.import_module(module.name).__file__)
"""
    files = python("-W", "error", "-c", code, cwd=tmp_path, path=installed).splitlines()
    modules = {file for file in (installed / "worldverify").rglob("*.py") if file.name != "__main__.py"}
    assert {Path(file) for file in files} == modules


def test_the_wheel_judges_a_plan_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = """
import worldverify as wv
task = wv.load("PickCube-v0")
print(wv.__file__, *(verdict.status for verdict in wv.verify(task, [task.good, "no plan at all"])))
"""
    file, *statuses = python("-W", "error", "-c", code, cwd=tmp_path, path=installed).split()
    assert Path(file).is_relative_to(installed)
    assert statuses == ["PASS", "INVALID"]
