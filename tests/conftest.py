"""What every test shares: a clean import path, one Hypothesis profile, and the real model outputs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

# MuJoCo reads these when it is imported, and fails where the library they name is not installed.
for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM"):
    os.environ.pop(name, None)
# Read when JAX is first imported: a kernel that mixes dtypes fails.
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
# Compiled kernels are kept from run to run, but nothing that the user's own machine has measured sways a test.
ROOT = Path(__file__).resolve().parent.parent
os.environ["WORLDVERIFY_CACHE"] = str(ROOT / ".test-cache")

import worldverify  # noqa: E402

# From the repository root our `kernels` and `envs` folders would shadow other projects' packages of those
# names. worldverify is imported already, so its own modules are found without that path.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]

hypothesis.settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("thorough", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("quick")


# One of every kind of robot, scene and goal: what a change breaks, it nearly always breaks on one of these.
ALWAYS = {
    *("ReachSafe-v0", "PickCube-v0", "PutInBasket-v0", "OpenDrawer-v0"),
    *("WaypointCell-v0", "Handover-v0", "NavigateCrowd-v0"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `a_task` runs with some tasks always, with the others under `make test-tasks`."""
    if "a_task" in metafunc.fixturenames:
        assert set(worldverify.tasks()) >= ALWAYS
        rest = [pytest.param(name, marks=pytest.mark.tasks) for name in worldverify.tasks() if name not in ALWAYS]
        metafunc.parametrize("a_task", [*sorted(ALWAYS), *rest])


def pytest_report_header() -> str:
    """Which copy of the package is under test."""
    return f"worldverify: {Path(worldverify.__file__).parent}"


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout, or the unpacked source distribution, that holds these tests."""
    return ROOT


@pytest.fixture(scope="session")
def model_outputs() -> Path:
    """The folder of real model outputs; tests that read it are skipped where it is absent."""
    named = os.environ.get("WORLDVERIFY_MODEL_OUTPUTS")
    folder = Path(named) if named else ROOT.parent / "shared" / "model-outputs"
    if not folder.is_dir():
        pytest.skip(f"No folder {folder}: set WORLDVERIFY_MODEL_OUTPUTS to one that holds model outputs.")
    return folder


@pytest.fixture(scope="session")
def near() -> worldverify.Task:
    """The cart of the toy before a nearer wall: 80 physics steps tell a PASS from each FAIL.

    Its things are round, because XLA takes a minute to compile the collision of two boxes.
    """
    from worldverify.testing import TOY

    xml = TOY.replace('type="box" pos=".6 0 .1" size=".05 .2 .1"', 'type="capsule" pos=".2 0 .1" size=".05 .1"')
    xml = xml.replace('type="box" size=".05 .05 .05"', 'type="sphere" size=".05"')
    spec = """
        arrives: eventually(pos(cart).x > 0.02 m)
        careful: always(contact_force(cart, wall) < 5 N)
        slow:    always(speed(cart) < 0.9 m/s)
    """
    to = {name: np.full((8, 1), x) for name, x in (("near", 0.05), ("arrives", 0.0), ("careful", 0.2), ("slow", -0.5))}
    return worldverify.Task.from_mjcf(
        xml, spec=spec, horizon=0.4, rate=20.0, name="Near", instruction="Go on.", good=to.pop("near"), bad=to
    )


@pytest.fixture
def no_failure_goes_unseen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The verifier judges plans one by one where its engine fails; in a test that would hide a fault."""
    from worldverify.engines.physics import MujocoPhysics

    failed: list[Exception] = []
    honest = MujocoPhysics.run

    def run(self: Any, *arguments: Any) -> Any:
        try:
            return honest(self, *arguments)
        except Exception as error:
            failed.append(error)
            raise

    monkeypatch.setattr(MujocoPhysics, "run", run)
    yield
    assert not failed
