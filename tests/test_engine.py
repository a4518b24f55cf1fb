"""The CPU engine passes the engine suite, and the suite notices engines that lie."""

import os
from typing import Any

import mujoco
import numpy as np
import pytest

from worldverify.kernels.engine import Engine, Fault, Samples
from worldverify.kernels.mujoco_cpu import MujocoEngine, usable_cpus
from worldverify.scene import STATE
from worldverify.testing import TOY, check_engine


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_the_cpu_engine_passes_the_suite(threads: int | None) -> None:
    check_engine(lambda model, nlane: MujocoEngine(model, nlane, threads=threads))


class Wrapped:
    """An engine in front of the true one, for subclasses to break."""

    def __init__(self, model: Any, nlane: int) -> None:
        self.true = MujocoEngine(model, nlane)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)


class Trusting(Wrapped):
    """Calls everything finite and trusted."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        return Samples(np.nan_to_num(value), np.zeros_like(fault))


class Weightless(Wrapped):
    """Has no gravity."""

    def __init__(self, model: Any, nlane: int) -> None:
        model.opt.gravity[:] = 0
        super().__init__(model, nlane)


class Bottomless(Wrapped):
    """Has no contacts."""

    def __init__(self, model: Any, nlane: int) -> None:
        model.geom_contype[:] = 0
        model.geom_conaffinity[:] = 0
        super().__init__(model, nlane)


class OneLate(Wrapped):
    """Shows each sample one step late."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        return Samples(np.concatenate([value[:, 1:], value[:, -1:]], axis=1), fault)


class Gossip(Wrapped):
    """Lets the number of lanes show."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        return Samples(value + 1e-12 * (len(lanes) - 1), fault)


class Stepping(Wrapped):
    """Steps when it is only asked to look."""

    def observe(self, lanes: Any) -> Samples:
        return self.true.advance(lanes, np.zeros((len(lanes), 1, self.true.model.nu)))


class Forgetful(Wrapped):
    """Loads the first state into every lane."""

    def load(self, lanes: Any, state: Any) -> None:
        for lane in lanes:
            self.true.load(np.array([lane]), state[:1])


class Boastful(Wrapped):
    """Says float64 and computes in less."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        return Samples(value.astype(np.float32).astype(np.float64), fault)

    def observe(self, lanes: Any) -> Samples:
        value, fault = self.true.observe(lanes)
        return Samples(value.astype(np.float32).astype(np.float64), fault)


class Modest(Wrapped):
    """Says float32 and computes in more."""

    @property
    def info(self) -> Any:
        return self.true.info._replace(dtype="float32")


class Crossed(Wrapped):
    """Gives two lanes each other's samples."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        samples = self.true.advance(lanes, controls)
        order = np.arange(len(lanes))
        order[1:3] = order[1:3][::-1]
        return Samples(*(part[order] for part in samples))


class Padded(Wrapped):
    """Steps the lanes that are not named too, when many are."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        whole = np.arange(self.nlane)
        if len(lanes) <= self.nlane // 2:
            return self.true.advance(lanes, controls)
        padded = np.zeros((self.nlane, *controls.shape[1:]))
        padded[lanes] = controls
        return Samples(*(part[lanes] for part in self.true.advance(whole, padded)))


class Deaf(Wrapped):
    """Takes a control that is not a number for zero."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        return self.true.advance(lanes, np.nan_to_num(controls))


class Halting(Wrapped):
    """Loses a little at the end of each call."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        samples = self.true.advance(lanes, controls)
        state = self.true.state(lanes)
        state[:, 1] += 1e-9
        self.true.load(lanes, state)
        return samples


class Stateless(Wrapped):
    """Gives a state without its velocities."""

    def state(self, lanes: Any) -> Any:
        state, model = self.true.state(lanes), self.true.model
        speeds = slice(1 + model.nq, 1 + model.nq + model.nv)
        state[:, speeds] = np.where(np.isfinite(state[:, speeds]), 0.0, state[:, speeds])
        return state


class Alarmed(Wrapped):
    """Distrusts all lanes when one is bad."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        return Samples(value, np.broadcast_to(np.bitwise_or.reduce(fault, axis=0), fault.shape))


class Resentful(Wrapped):
    """Never forgives a lane that was bad once."""

    bad: Any = 0

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        if len(lanes) < self.nlane:
            return Samples(value, fault)
        self.bad = self.bad | fault.max(axis=1, keepdims=True)
        return Samples(value, fault | self.bad)


class Forgiving(Wrapped):
    """Drops what does not fit the memory without a word."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        return Samples(value, fault & ~int(Fault.OVERFLOW | Fault.RAISED))


class Relieved(Wrapped):
    """Trusts a lane again some time after it overflowed, as all looks well."""

    def advance(self, lanes: Any, controls: Any) -> Samples:
        value, fault = self.true.advance(lanes, controls)
        full = int(Fault.OVERFLOW | Fault.RAISED)
        value[:, 20:][(fault[:, 20:] & full) != 0] = 0.05
        fault[:, 20:] &= ~full
        return Samples(value, fault)


class Blank(Wrapped):
    """Looks at a loaded state with no control applied."""

    def load(self, lanes: Any, state: Any) -> None:
        self.true.load(lanes, state)
        self.fresh = set(lanes.tolist())

    def advance(self, lanes: Any, controls: Any) -> Samples:
        self.fresh -= set(lanes.tolist())
        return self.true.advance(lanes, controls)

    def observe(self, lanes: Any) -> Samples:
        value, fault = self.true.observe(lanes)
        if self.fresh & set(lanes.tolist()):
            value = np.zeros_like(value)
        return Samples(value, fault)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (Trusting, "trusted"),
        (Weightless, "arithmetic"),
        (Bottomless, "contacts are lost"),
        (OneLate, "arithmetic"),
        (Gossip, "alone"),
        (Stepping, "Sample 40"),
        (Forgetful, "come back as it was"),
        (Boastful, "precision of float64"),
        (Modest, "precision of float32"),
        (Crossed, "another order"),
        (Padded, "not named has moved"),
        (Deaf, "after a control that is NaN"),
        (Halting, "Calls of"),
        (Stateless, "goes on in another|come back"),
        (Alarmed, "beside one that starts with NaN was distrusted"),
        (Resentful, "stays poisoned|before a control that is NaN"),
        (Forgiving, "dropped without a fault"),
        (Relieved, "must stay distrusted"),
        (Blank, "a loaded state holds"),
    ],
)
def test_the_suite_notices_an_engine_that_is(broken: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_engine(broken)


def toy() -> Any:
    return mujoco.MjModel.from_xml_string(TOY)


def start(model: Any) -> np.ndarray:
    data = mujoco.MjData(model)
    state = np.empty(mujoco.mj_stateSize(model, STATE))
    mujoco.mj_getState(model, data, state, STATE)
    return state


def test_samples_are_what_mj_forward_shows_before_each_step_and_at_the_end() -> None:
    model = toy()
    controls = 0.5 * np.sin(np.arange(50.0))[:, None]
    engine: Engine = MujocoEngine(model, 1)
    engine.load(np.array([0]), start(model)[None])
    value = engine.advance(np.array([0]), controls[None]).value[0]
    last = engine.observe(np.array([0])).value[0, 0]
    data = mujoco.MjData(model)
    for k in range(51):
        data.ctrl[:] = controls[min(k, 49)]
        mujoco.mj_forward(model, data)
        np.testing.assert_array_equal(value[k] if k < 50 else last, data.sensordata)
        mujoco.mj_step(model, data)


def test_a_lane_raised_by_a_full_arena_does_not_disturb_its_neighbours() -> None:
    text = """
    <mujoco><size memory="6K"/><option timestep="0.005" jacobian="dense"><flag autoreset="disable"/></option>
      <worldbody><geom type="plane" size="1 1 .1"/>
        <replicate count="6" offset=".2 0 0">
          <body pos="0 0 .3"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
        </replicate>
      </worldbody>
      <sensor><clock/></sensor>
    </mujoco>"""
    model = mujoco.MjModel.from_xml_string(text)
    high = start(model)
    for i in range(6):
        high[1 + 7 * i + 2] = 5.0 + i
    low = start(model)
    states = np.stack([high, low, high])
    controls = np.zeros((3, 80, 0))

    def run(rows: list[int]) -> Samples:
        engine = MujocoEngine(model, len(rows))
        engine.load(np.arange(len(rows)), states[rows])
        return engine.advance(np.arange(len(rows)), controls[: len(rows)])

    together, alone = run([0, 1, 2]), run([0])
    invalid = (together.fault & int(Fault.invalidating())) != 0
    assert invalid[1].any() and not invalid[[0, 2]].any()
    np.testing.assert_array_equal(together.value[[0]], alone.value)
    np.testing.assert_array_equal(together.value[[2]], alone.value)


def test_a_model_that_resets_itself_is_refused() -> None:
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    with pytest.raises(ValueError, match="AUTORESET"):
        MujocoEngine(model, 1)


def test_threads_are_the_cpus_this_process_may_use() -> None:
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("chunk", [1, 7])
@pytest.mark.parametrize("speed", [500.0, 9e5])
def test_samples_and_their_faults_are_the_same_however_calls_are_cut(chunk: int, speed: float) -> None:
    model = toy()
    state = start(model)
    state[mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_TIME | mujoco.mjtState.mjSTATE_QPOS)] = speed
    lane, controls = np.array([0]), np.zeros((1, 100, 1))
    whole, cut = MujocoEngine(model, 1), MujocoEngine(model, 1)
    whole.load(lane, state[None])
    cut.load(lane, state[None])
    parts = [cut.advance(lane, controls[:, k : k + chunk]) for k in range(0, 100, chunk)]
    found = whole.advance(lane, controls)
    for one_by_one, at_once in zip(zip(*parts, strict=True), found, strict=True):
        assert np.array_equal(np.concatenate(one_by_one, axis=1), at_once, equal_nan=True)
    assert (found.fault & int(Fault.TUNNELLED)).any()
