"""What every test shares: a clean import path, one Hypothesis profile, and the real model outputs."""

import os
import sys
from pathlib import Path

import hypothesis
import pytest

# MuJoCo reads these when it is imported, and fails where the library they name is not installed.
for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM"):
    os.environ.pop(name, None)
# Read when JAX is first imported: a kernel that mixes dtypes fails.
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"

import worldverify  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent

# From the repository root our `kernels` and `envs` folders would shadow other projects' packages of those
# names. worldverify is imported already, so its own modules are found without that path.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]

hypothesis.settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("thorough", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("quick")


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
