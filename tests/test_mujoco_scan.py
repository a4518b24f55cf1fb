"""The trust checks of MuJoCo C as machine code say what they say with NumPy."""

import sys
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.kernels import mujoco_checks, mujoco_scan
from worldverify.kernels.engine import Fault
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.scene import STATE

LANES = mujoco_checks.FEWEST_COMPILED

SHOT = """
<mujoco><option timestep="0.004" gravity="0 0 0"><flag autoreset="disable"/></option>
  <worldbody>
    <geom type="box" size=".005 .5 .5"/>
    <body pos="-.3 0 0"><freejoint/><geom type="box" size=".02 .02 .02" mass=".05"/></body>
    <body pos="-.3 .2 0"><freejoint/><geom type="sphere" size=".02" mass=".05"/></body>
  </worldbody>
</mujoco>"""


def both(model: Any, monkeypatch: pytest.MonkeyPatch, lanes: int = LANES) -> list[MujocoEngine]:
    """An engine that checks with machine code, and one that checks with NumPy."""
    fast = MujocoEngine(model, lanes)
    with monkeypatch.context() as patched:
        patched.setattr(mujoco_checks, "compiled", lambda: None)
        plain = MujocoEngine(model, lanes)
    assert fast._checks._scan is not None and plain._checks._scan is None
    return [fast, plain]


def shown(engine: MujocoEngine, states: Any, controls: Any, cut: int) -> Any:
    """(n, K) faults of a run in calls of so many substeps, the last state looked at as well."""
    lanes = np.arange(len(states))
    engine.load(lanes, states)
    parts = [engine.advance(lanes, controls[:, k : k + cut]).fault for k in range(0, controls.shape[1], cut)]
    return np.concatenate([*parts, engine.observe(lanes).fault], axis=1)


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_of_things_that_fly_touch_and_pass_through_each_other(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mujoco.MjModel.from_xml_string(SHOT)
    data = mujoco.MjData(model)
    states = np.zeros((LANES, mujoco.mj_stateSize(model, STATE)))
    for lane, speed in enumerate([0.0, 2.0, 8.0, 30.0, 500.0, 9e5, 2e6, np.nan]):
        mujoco.mj_resetData(model, data)
        data.qvel[[0, 6]], data.qvel[[3, 9]] = speed, (0.0, 40.0)
        mujoco.mj_getState(model, data, states[lane], STATE)
    fast, plain = (shown(engine, states, np.zeros((LANES, 60, 0)), cut) for engine in both(model, monkeypatch))
    assert np.array_equal(fast, plain)
    seen = Fault(int(np.bitwise_or.reduce(fast, axis=None)))
    assert Fault.TUNNELLED in seen and Fault.ABSURD in seen


@pytest.mark.parametrize("name", ["PickCube-v0", "PickClutter-v0"])
def test_of_an_arm_at_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = wv.load(name)
    model, rng = task.scene.model, np.random.default_rng(0)
    low, high = model.actuator_ctrlrange.T
    controls = rng.uniform(low, high, (LANES, 6, model.nu)).repeat(20, axis=1)
    states = np.stack([task.start(seed) for seed in range(LANES)])
    fast, plain = (shown(engine, states, controls, 40) for engine in both(model, monkeypatch))
    assert np.array_equal(fast, plain)


def broken(rng: np.random.Generator, record: dict[str, Any]) -> dict[str, Any]:
    """A record in which a few numbers are not what they were."""
    record = {name: field.copy() for name, field in record.items()}
    for _ in range(rng.integers(1, 6)):
        name = rng.choice([n for n in record if n != "time" and record[n].size])
        at = tuple(rng.integers(n) for n in record[name].shape)
        if name == "solver_niter":
            record[name][at] = rng.choice([0, 99, 100, 101])
        else:
            record[name][at] = rng.choice([np.nan, np.inf, -np.inf, 1e7, -1e7, 1e11, 1e300, 0.0, record[name][at] * 2])
    if rng.random() < 0.3:
        record["qfrc_constraint"] *= rng.choice([-1e3, 1e3])
    return record


def test_of_records_with_wrong_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    task = wv.load("PickCube-v0")
    lanes = np.arange(LANES)
    states = np.stack([task.start(lane) for lane in range(LANES)])
    controls = np.zeros((LANES, 12, task.scene.model.nu))
    engines, seen = both(task.scene.model, monkeypatch), Fault(0)
    for seed in range(100):
        found = []
        for engine in engines:
            rng = np.random.default_rng(seed)
            engine.load(lanes, states)
            faults = []
            for _ in range(2):  # the second call follows what the first has shown
                pending: Any = engine.begin(lanes, controls)
                pending.record = broken(rng, pending.record)
                faults.append(pending().fault)
            found.append(np.concatenate(faults, axis=1))
        assert np.array_equal(*found)
        seen |= Fault(int(np.bitwise_or.reduce(found[0], axis=None)))
    wanted = Fault.NOT_FINITE | Fault.ABSURD | Fault.UNBALANCED | Fault.UNCONVERGED | Fault.ENERGISED
    assert seen & wanted == wanted


def test_without_numba_numpy_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert mujoco_scan.compiled.__wrapped__() is None


def test_with_the_compiler_switched_off_numpy_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert mujoco_scan.compiled.__wrapped__() is None


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    def njit(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function 'scan': no locator available for file")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert mujoco_scan.compiled.__wrapped__() is mujoco_scan.scan
