"""The conformance test of tasks, judged by MJX-Warp on its CPU device: minutes a task, most of them compiling."""

import pytest

import worldverify as wv
from worldverify.engines.backend import Backend
from worldverify.engines.device import warp_version_refusal
from worldverify.local import LocalVerifier
from worldverify.testing import check_task

pytest.importorskip("jax")

NO_WARP = warp_version_refusal()
FIRST = "ReachSafe-v0"  # is run with the engines' tests; all of them by make test-tasks-on-warp
pytestmark = [
    pytest.mark.xdist_group("mjx-warp"),
    pytest.mark.skipif(NO_WARP is not None, reason=str(NO_WARP)),
]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.tasks_on_warp, *[pytest.mark.engines] * (n == FIRST)]) for n in wv.tasks()],
)
def test_a_task_passes_the_conformance_suite_on_warp(name: str) -> None:
    check_task(wv.load(name), LocalVerifier(backend=Backend("mjx", "warp", "cpu")), seeds=1)
