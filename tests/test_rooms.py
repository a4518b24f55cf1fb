"""Who may import whom, and what no file may hold."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# kernels <- worldverify <- envs <- examples, tests: each room may import itself and what stands before it.
MAY_IMPORT = {
    "kernels": {"worldverify.kernels"},
    "worldverify": {"worldverify", "worldverify.kernels"},
    "envs": {"worldverify", "worldverify.kernels", "worldverify.envs"},
    "examples": {"worldverify", "worldverify.kernels", "worldverify.envs"},
    "tests": {"worldverify", "worldverify.kernels", "worldverify.envs"},
}
HEAVY = {"numba", "jax", "jaxlib", "warp", "ray", "matplotlib", "scipy", "OpenGL", "mujoco.mjx"}
MACHINE = re.compile(
    r"(?<![\w.)\]}>])/(?:work|root|tmp|opt|home|Users)\b"  # where files lie on one machine
    r"|index[-]url|find[-]links|pythonhosted[.]org"  # where one machine gets its packages
)


def python_files(root: Path, room: str) -> Iterator[Path]:
    for folder, folders, names in os.walk(root / room):  # does not follow the links to the other rooms
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


def text_files(root: Path) -> Iterator[Path]:
    """The files a person wrote, in a checkout or in an unpacked source distribution."""
    made = {"build", "dist", "report", "worldverify-report", "__pycache__"}
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name == ".ci" or not (name in made or name.startswith(".") or name.endswith(".egg-info"))
        ]
        for file in (Path(folder, name) for name in names):
            if not file.is_symlink() and b"\0" not in file.read_bytes():
                yield file


def imported(file: Path) -> Iterator[str]:
    """The full dotted name of every static import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ("." * node.level + f"{node.module}.{alias.name}" for alias in node.names)


def modules_named(file: Path) -> set[str]:
    """The top-level packages that importing a file imports, by the imports that stand outside of functions."""
    tree, names = ast.parse(file.read_text(encoding="utf-8")), set[str]()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {"jax" if alias.name.startswith("mujoco.mjx") else alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            mjx = f"{node.module}.{node.names[0].name}".startswith("mujoco.mjx")
            names.add("jax" if mjx else str(node.module))
    return {name.partition(".")[0] for name in names}


def room_of(name: str) -> str:
    """worldverify, worldverify.envs or worldverify.kernels for our own names, else the top-level package."""
    first, _, rest = name.partition(".")
    second = rest.partition(".")[0]
    return f"worldverify.{second}" if first == "worldverify" and second in ("envs", "kernels") else first


def modules_after(code: str) -> set[str]:
    """The names in sys.modules once a fresh Python has run `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('MODULES', *sys.modules)"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.rpartition("MODULES ")[2].split())


def misplaced(root: Path, room: str, wrong: Callable[[str], bool]) -> list[str]:
    """The imports of a room for which `wrong` holds, as sentences."""
    return [
        f"{file.relative_to(root)} imports {name}"
        for file in python_files(root, room)
        for name in imported(file)
        if wrong(name)
    ]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_follow_the_direction_of_the_rooms(root: Path, room: str) -> None:
    forbidden = {"worldverify", "worldverify.envs", "worldverify.kernels"} - MAY_IMPORT[room]
    assert not misplaced(root, room, lambda name: room_of(name) in forbidden)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_are_imported_by_their_full_names_only(root: Path, room: str) -> None:
    flat = {"envs", "kernels"}
    assert not misplaced(root, room, lambda name: name.startswith(".") or room_of(name) in flat)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_nothing_imports_tests_or_examples(root: Path, room: str) -> None:
    assert not misplaced(root, room, lambda name: room_of(name) in {"tests", "examples"})


def test_kernels_lean_on_numpy_and_mujoco_only_and_the_engine_of_mjx_on_jax(root: Path) -> None:
    allowed = {"numpy", "mujoco", "worldverify.kernels", *sys.stdlib_module_names}
    beyond = misplaced(root, "kernels", lambda name: room_of(name) not in allowed)
    users: dict[str, list[str]] = {"jax": [], "numba": []}
    for line in beyond:
        users[line.partition(" imports ")[2].partition(".")[0]].append(line)
    assert users["jax"] and all(line.startswith("kernels/mjx_") for line in users["jax"])
    # Where it is installed, one loop is compiled by it.
    assert users["numba"] and all(line.startswith("kernels/mujoco_scan.py") for line in users["numba"])


def test_nothing_but_the_engine_of_mjx_loads_jax_when_it_is_imported(root: Path) -> None:
    heavy = {"jax", "warp"}
    users = {
        str(file.relative_to(root))
        for room in ("kernels", "worldverify", "envs")
        for file in python_files(root, room)
        if heavy & modules_named(file)
    }
    kernels = {f"kernels/mjx_{name}.py" for name in ("engine", "env", "program", "queue", "settings", "step")}
    assert users == kernels | {"envs/functional.py", "envs/mjx_vector_env.py"}


def test_importing_worldverify_loads_nothing_heavy() -> None:
    assert not HEAVY & modules_after("import worldverify")


def test_judging_a_plan_on_the_cpu_loads_nothing_heavy() -> None:
    code = """
import worldverify as wv
task = wv.load("PickCube-v0")
wv.verify(task, [task.good, "no plan at all"])
"""
    assert not HEAVY & modules_after(code)


def test_the_rooms_are_linked_into_the_package_in_a_checkout(root: Path) -> None:
    if not (root / ".git").exists():
        pytest.skip("A source distribution has no links: its package-dir mapping says where the rooms are.")
    for room in ("envs", "kernels"):
        assert os.readlink(root / "worldverify" / room) == f"../{room}"


def test_every_folder_of_modules_is_named_so_that_the_wheel_holds_it_whole(root: Path) -> None:
    packages = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {"worldverify.envs": "envs", "worldverify.kernels": "kernels"}
    folders = {root / rooms.get(package, package.replace(".", "/")) for package in packages}
    modules = [file for room in ("kernels", "worldverify", "envs") for file in python_files(root, room)]
    assert {file.parent for file in modules} == folders


def test_no_file_names_a_machine_path_or_a_package_index(root: Path) -> None:
    wrong = [
        f"{file.relative_to(root)}, line {number}: {line.strip()[:80]}"
        for file in text_files(root)
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert not wrong
