"""What takes MJX minutes to compile: the conformance suite, the self-test, the same verdicts on a whole task."""

import json
from pathlib import Path
from typing import Any

import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.engines.backend import Backend
from worldverify.engines.device import warp_version_refusal
from worldverify.engines.making import make_engine
from worldverify.engines.selftest import run_self_test
from worldverify.kernels.engine import Engine
from worldverify.parity.contender import of_backend
from worldverify.parity.crowd import drawn
from worldverify.parity.run import compare
from worldverify.testing import check_engine

pytest.importorskip("jax")

NO_WARP = warp_version_refusal()
IMPLS = [
    pytest.param("jax", marks=pytest.mark.xdist_group("mjx-jax")),
    pytest.param(
        "warp",
        marks=[pytest.mark.xdist_group("mjx-warp"), pytest.mark.skipif(NO_WARP is not None, reason=str(NO_WARP))],
    ),
]
pytestmark = pytest.mark.engines


@pytest.mark.parametrize("impl", IMPLS)
def test_the_engine_is_an_engine(impl: str) -> None:
    from worldverify.kernels.mjx_engine import MjxEngine
    from worldverify.kernels.mjx_room import Room

    def small(model: Any, nlane: int) -> Engine:
        return MjxEngine(model, nlane, impl="warp", room=Room(4, 8))

    def engine(model: Any, nlane: int) -> Engine:
        return make_engine(Backend("mjx", impl, "cpu"), model, nlane)

    check_engine(engine, small=small if impl == "warp" else None)


@pytest.mark.parametrize("impl", IMPLS)
def test_the_engine_passes_its_self_test(impl: str) -> None:
    found = run_self_test(f"mjx-{impl}")
    assert found.found is not None, found.fault
    assert all(check.passed for check in found.found.checks)


@pytest.mark.parametrize("impl", IMPLS)
def test_the_command_line_prints_the_statuses_of_mujoco(impl: str, tmp_path: Path) -> None:
    """On MJX-JAX this takes minutes: it makes some thirty steps a second on a CPU."""
    task, file = wv.load("PickCube-v0"), tmp_path / "plans.jsonl"
    assert task.good is not None
    plans = {"good": task.good, **task.bad}
    lines = [json.dumps({**plan.to_json(), "id": name}) for name, plan in plans.items()]
    file.write_text("\n".join([*lines, '{"id": "prose", "text": "no plan at all"}']))
    found = {}
    for name in ("mujoco", f"mjx-{impl}"):
        out = tmp_path / f"{name}.jsonl"
        assert main(["verify", task.name, str(file), "--on", "cpu", "--engine", name, "--json", str(out)]) == 0
        found[name] = [json.loads(line) for line in out.read_text().splitlines()]
    right, told = found.values()
    assert [v["status"] for v in told] == [v["status"] for v in right]
    assert [v["first_violation"] and v["first_violation"]["requirement"] for v in told] == [None, *task.bad, None]


@pytest.mark.parametrize("impl", IMPLS)
def test_parity_holds_at_all_three_levels(impl: str, near: wv.Task) -> None:
    crowd = drawn(near, 24, seed=0)
    found = compare(near, crowd, of_backend(Backend("mjx", impl, "cpu")), states=24, seed=0)
    assert found.holds, found.faults
    assert found.verdicts.false_pass == 0
