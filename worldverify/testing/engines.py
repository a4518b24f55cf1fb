"""What an Engine must do, whatever it is made of."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.engine import Engine, Fault
from worldverify.scene import STATE
from worldverify.testing.asking import require
from worldverify.testing.toy import TOY

Floats = NDArray[np.float64]
MakeEngine = Callable[[Any, int], Engine]  # (compiled model, number of lanes)

_DIVERGES = """
<mujoco>
  <option timestep="0.005"><flag autoreset="disable"/></option>
  <worldbody>
    <body><joint name="rail" type="slide" axis="1 0 0"/><geom size=".05" mass="1e-6"/></body>
  </worldbody>
  <actuator><motor joint="rail" gear="1e6"/></actuator>
  <sensor><jointpos joint="rail"/></sensor>
</mujoco>
"""

# Four contacts when the balls lie on the floor; in this memory there is room for fewer.
_OVERFLOWS = """
<mujoco>
  <size memory="10K"/>
  <option timestep="0.005" jacobian="dense"><flag autoreset="disable"/></option>
  <worldbody>
    <geom type="plane" size="1 1 .1"/>
    <replicate count="4" offset=".2 0 0">
      <body name="ball" pos="0 0 .05"><freejoint/><geom size=".05" conaffinity="0"/></body>
    </replicate>
  </worldbody>
  <sensor>
    <framepos objtype="xbody" objname="ball0"/><framepos objtype="xbody" objname="ball1"/>
    <framepos objtype="xbody" objname="ball2"/><framepos objtype="xbody" objname="ball3"/>
  </sensor>
</mujoco>
"""

# Few models, batches and lengths of calls, because an engine may compile for each.
_LANES, _SOME = 8, 5
_STEPS = 40
_EVEN, _UNEVEN = (40, 40), (37, 43)


def check_engine(make_engine: MakeEngine, *, small: MakeEngine | None = None) -> None:
    """An engine's physics, isolation and fault reports. `make_engine(model, nlane)` gives a new engine.

    `small` gives one whose own memory is too small for four contacts a lane; an engine that takes its memory from the
    model needs none. Numbers are compared in the precision that the engine says it has.
    """
    model = mujoco.MjModel.from_xml_string(TOY)
    for box in ("cart_box", "wall"):  # nothing here touches them, and collisions of boxes take minutes to compile
        model.geom(box).contype = model.geom(box).conaffinity = 0
    engine = make_engine(model, _LANES)
    rough = engine.info.dtype != "float64"
    same = 1e-3 if rough else 0.0  # float32 sums are not taken in one order in every batch
    _info_is_true(engine, model)
    _free_fall(engine, model, 1e-4 if rough else 1e-9)
    _support(engine, model, 0.05 if rough else 1e-3)
    _control_shows(engine, model, 1e-3 if rough else 1e-9)
    _observation_changes_nothing(engine, model, same)
    _lanes_are_alone(engine, model, same)
    _cuts_do_not_show(engine, model, same)
    _reports_what_is_not_finite(engine, model, same)
    _isolates_divergence(make_engine, same)
    _reports_overflow(small or make_engine, same)


def _state(model: Any, change: Callable[[Any], None] | None = None) -> Floats:
    data = mujoco.MjData(model)
    if change is not None:
        change(data)
    state = np.empty(mujoco.mj_stateSize(model, STATE))
    mujoco.mj_getState(model, data, state, STATE)
    return state


def _variety(model: Any) -> tuple[Floats, Floats]:
    """States of 8 lanes, whose balls land at different times, and controls (8, 40, 1) that no two share."""

    def place(lane: int) -> Callable[[Any], None]:
        def move(data: Any) -> None:
            data.joint("rail").qpos[0] = 0.05 * lane - 0.2
            data.joint(1).qpos[2] = 0.06 + 0.02 * lane

        return move

    lane, k = np.arange(_LANES)[:, None], np.arange(_STEPS)[None]
    controls = 0.3 * np.sin(0.1 * (lane + 1) * k + lane)
    return np.stack([_state(model, place(i)) for i in range(_LANES)]), controls[:, :, None]


def _run(
    engine: Engine, states: Floats, controls: Floats, cuts: tuple[int, ...] = (_STEPS,)
) -> tuple[Floats, NDArray[Any]]:
    """(value, fault) of the first n lanes over all substeps and the state after them, in calls of these lengths."""
    lanes = np.arange(len(states))
    engine.load(lanes, states)
    parts, start = [], 0
    for steps in cuts:
        parts.append(engine.advance(lanes, np.ascontiguousarray(controls[:, start : start + steps])))
        start += steps
    parts.append(engine.observe(lanes))
    value = np.concatenate([np.asarray(p.value) for p in parts], axis=1)
    return value, np.concatenate([np.asarray(p.fault) for p in parts], axis=1)


def _invalid(fault: Any) -> Any:
    return (np.asarray(fault) & int(Fault.invalidating())) != 0


def _gap(found: Any, wanted: Any) -> float:
    """The largest difference of two fields, relative where the numbers are large."""
    found, wanted = np.asarray(found, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    return float(np.max(np.abs(found - wanted) / (1.0 + np.abs(wanted))))


def _holds(engine: Engine, lanes: Any, states: Floats) -> bool:
    """Whether lanes hold these states, in the engine's precision."""
    found = np.asarray(engine.state(lanes), dtype=np.float64)
    return np.array_equal(found, states.astype(engine.info.dtype).astype(np.float64))


def _info_is_true(engine: Engine, model: Any) -> None:
    info = engine.info
    require(info.dtype in ("float64", "float32"), f"An engine's dtype is float64 or float32, not {info.dtype!r}.")
    require(info.device in ("cpu", "gpu"), f"An engine's device is cpu or gpu, not {info.device!r}.")
    require(all(info), f"An engine must say what it is: {info}.")
    require(engine.nlane == _LANES, f"An engine of {_LANES} lanes has {engine.nlane}.")
    states, controls = _variety(model)
    value, fault = _run(engine, states, controls)
    shape = (_LANES, _STEPS + 1, model.nsensordata)
    require(value.shape == shape, f"The samples have shape {value.shape}, not {shape}.")
    require(fault.shape == shape[:2], f"The faults have shape {fault.shape}, not {shape[:2]}.")
    require(np.issubdtype(fault.dtype, np.integer), f"Faults are bits of an integer, not {fault.dtype}.")
    coarse = np.array_equal(value, value.astype(np.float32))
    require(coarse == (info.dtype == "float32"), f"The samples do not have the precision of {info.dtype}.")


def _free_fall(engine: Engine, model: Any, tolerance: float) -> None:
    def high(data: Any) -> None:
        data.joint(1).qpos[2] = 5.0

    h = float(model.opt.timestep)
    value, fault = _run(engine, _state(model, high)[None], np.zeros((1, _STEPS, 1)))
    k = np.arange(_STEPS + 1)
    fallen = 5.0 - 0.5 * 9.81 * h * h * k * (k + 1)  # semi-implicit: velocity first, then position
    require(not _invalid(fault).any(), "A falling ball was reported as a fault.")
    gap = np.abs(value[0, :, 2] - fallen).max()
    require(gap <= tolerance, f"Free fall differs from semi-implicit arithmetic by {gap:.3g} m.")


def _support(engine: Engine, model: Any, tolerance: float) -> None:
    value, fault = _run(engine, _state(model)[None], np.zeros((1, 10 * _STEPS, 1)), (_STEPS,) * 10)
    force = np.linalg.norm(value[0, -1, -3:])
    require(not _invalid(fault).any(), "A ball that comes to rest was reported as a fault.")
    require(value[0, -1, 2] > 0.04, "The ball fell through the floor: contacts are lost.")
    require(bool(abs(force - 0.2 * 9.81) <= tolerance * 0.2 * 9.81), f"The floor carries {force:.4g} N of 1.962 N.")


def _control_shows(engine: Engine, model: Any, tolerance: float) -> None:
    states, controls = _variety(model)
    value, _ = _run(engine, states[:1], controls[:1])
    for k in range(_STEPS + 1):
        target, (position, velocity, force) = controls[0, min(k, _STEPS - 1), 0], value[0, k, 3:6]
        gap = abs(force - (100 * (target - position) - 20 * velocity))
        require(
            gap <= tolerance,
            f"Sample {k} does not show the drive force of control {min(k, _STEPS - 1)}: off by {gap:.3g} N.",
        )


def _observation_changes_nothing(engine: Engine, model: Any, tolerance: float) -> None:
    def driven(data: Any) -> None:
        data.ctrl[0] = 0.25

    lanes = np.arange(_LANES)
    states, controls = _variety(model)
    engine.load(lanes, states)
    require(_holds(engine, lanes, states), "A loaded state does not come back as it was.")
    engine.advance(lanes, controls)
    before = engine.state(lanes)
    seen = [np.asarray(engine.observe(lanes).value) for _ in range(2)]
    require(np.array_equal(engine.state(lanes), before), "observe changed the state.")
    require(_gap(seen[0], seen[1]) <= tolerance, "Two observations of one state differ.")
    moved = before.copy()
    moved += 1.0
    require(np.array_equal(engine.state(lanes), before), "state must give a copy.")
    engine.load(lanes, np.stack([_state(model, driven)] * _LANES))
    force = np.asarray(engine.observe(lanes).value)[:, 0, 5]
    require(bool(np.allclose(force, 25.0)), "observe does not show the control that a loaded state holds.")


def _lanes_are_alone(engine: Engine, model: Any, tolerance: float) -> None:
    lanes, some = np.arange(_LANES), np.array([0, 2, 3, 5, 7])
    others = np.setdiff1d(lanes, some)
    states, controls = _variety(model)
    together, _ = _run(engine, states, controls)
    for lane in (0, 3, _LANES - 1):
        alone, _ = _run(engine, states[lane : lane + 1], controls[lane : lane + 1])
        gap = _gap(alone[0], together[lane])
        require(gap <= tolerance, f"Lane {lane} differs by {gap:.3g} from the same plan alone.")
    order = np.array([3, 7, 0, 5, 1, 6, 2, 4])
    permuted, _ = _run(engine, states[order], controls[order])
    gap = _gap(permuted, together[order])
    require(gap <= tolerance, f"Plans in another order give samples that differ by {gap:.3g}.")
    few, _ = _run(engine, states[:_SOME], controls[:_SOME])
    gap = _gap(few, together[:_SOME])
    require(gap <= tolerance, f"{_SOME} of {_LANES} lanes give samples that differ by {gap:.3g}.")

    engine.load(some, states[some])
    engine.load(others, states[others])
    require(_holds(engine, lanes, states), "Lanes that are loaded in two parts do not hold what was loaded.")
    part = np.asarray(engine.advance(some, controls[some]).value)
    gap = _gap(part, together[some][:, :_STEPS])
    require(gap <= tolerance, f"Lanes {some.tolist()} differ by {gap:.3g} when the others stand still.")
    require(_holds(engine, others, states[others]), "A lane that was not named has moved.")
    engine.load(some, states[some])
    again = np.asarray(engine.advance(lanes, controls).value)
    gap = _gap(again[some], together[some][:, :_STEPS])
    require(gap <= tolerance, f"A lane loaded again differs by {gap:.3g} from a fresh one.")
    gap = _gap(again[others], together[others][:, :_STEPS])
    require(gap <= tolerance, f"A lane that stood still while others moved differs by {gap:.3g}.")


def _cuts_do_not_show(engine: Engine, model: Any, tolerance: float) -> None:
    lanes, first = np.arange(_LANES), _UNEVEN[0]
    states, controls = _variety(model)
    longer = np.concatenate([controls, controls[::-1]], axis=1)
    even, _ = _run(engine, states, longer, _EVEN)
    uneven, _ = _run(engine, states, longer, _UNEVEN)
    gap = _gap(uneven, even)
    require(gap <= tolerance, f"Calls of {_UNEVEN} and {_EVEN} substeps give samples that differ by {gap:.3g}.")
    _run(engine, states, longer[:, :first], (first,))
    on, _ = _run(engine, engine.state(lanes)[::-1], longer[::-1, first:], _UNEVEN[1:])
    gap = _gap(on[::-1], even[:, first:])
    require(gap <= tolerance, f"A state taken from one lane goes on in another with a difference of {gap:.3g}.")


def _reports_what_is_not_finite(engine: Engine, model: Any, tolerance: float) -> None:
    def broken(data: Any) -> None:
        data.qvel[0] = np.nan

    states, controls = _variety(model)
    clean, _ = _run(engine, states, controls)
    poisoned, bad = states.copy(), 2
    poisoned[bad] = _state(model, broken)
    value, fault = _run(engine, poisoned, controls)
    require(bool(_invalid(fault[bad]).all()), "A lane that starts with NaN was trusted.")
    _unhurt(value, fault, clean, bad, "starts with NaN", tolerance)

    commands, at = controls.copy(), 20
    commands[bad, at] = np.nan
    value, fault = _run(engine, states, commands)
    require(not _invalid(fault[bad, :at]).any(), "Samples before a control that is NaN were distrusted.")
    require(bool(_invalid(fault[bad, at + 1 :]).all()), "A lane was trusted after a control that is NaN.")
    _unhurt(value, fault, clean, bad, "was told NaN", tolerance)

    value, fault = _run(engine, states, controls)
    require(not _invalid(fault).any(), "A lane stays poisoned after a clean state was loaded into it.")
    require(_gap(value, clean) <= tolerance, "A lane that was NaN before shows other samples than a fresh one.")


def _unhurt(value: Floats, fault: NDArray[Any], clean: Floats, bad: int, how: str, tolerance: float) -> None:
    """The lanes beside a bad one are trusted and show what they show in clean company."""
    rest = np.arange(len(value)) != bad
    require(not _invalid(fault[rest]).any(), f"A lane beside one that {how} was distrusted.")
    gap = _gap(value[rest], clean[rest])
    require(gap <= tolerance, f"A lane beside one that {how} shows samples that differ by {gap:.3g}.")


def _isolates_divergence(make_engine: MakeEngine, tolerance: float) -> None:
    model = mujoco.MjModel.from_xml_string(_DIVERGES)
    engine, single, bad, at = make_engine(model, _SOME), make_engine(model, 1), 1, 20
    controls = np.zeros((_SOME, _STEPS, 1))
    controls[bad, at:] = 1e6
    states = np.stack([_state(model)] * _SOME)
    value, fault = _run(engine, states, controls)
    distrusted = _invalid(fault)
    require(not distrusted[bad, :at].any(), "Samples before the divergence were distrusted.")
    require(bool(distrusted[bad, at + 2 :].all()), "A diverged lane must stay distrusted to its end.")
    _unhurt(value, fault, np.zeros_like(value), bad, "diverged", tolerance)
    require(single.nlane == 1, f"An engine of 1 lane has {single.nlane}.")
    require(single.info == engine.info, f"Engines of one kind describe themselves as {engine.info}, {single.info}.")
    alone, fault = _run(single, states[bad : bad + 1], controls[bad : bad + 1])
    agree = _gap(alone[0, :at], value[bad, :at]) <= tolerance and np.array_equal(_invalid(fault[0]), distrusted[bad])
    require(agree, "An engine of 1 lane and a lane of 5 disagree about a divergence.")
    controls[bad], controls[bad, -1] = 0.0, 1e6
    _, fault = _run(engine, states, controls)
    require(bool(_invalid(fault)[bad, -1]), "A divergence in the last substep was not reported.")


def _reports_overflow(make_engine: MakeEngine, tolerance: float) -> None:
    def high(data: Any) -> None:
        data.qpos[2::7] = 5.0

    model = mujoco.MjModel.from_xml_string(_OVERFLOWS)
    engine, bad = make_engine(model, _SOME), 2
    states, controls = np.stack([_state(model, high)] * _SOME), np.zeros((_SOME, _STEPS, 0))
    clean, fault = _run(engine, states, controls)
    require(not _invalid(fault).any(), "Falling balls, which need no memory for contacts, were distrusted.")
    crowded = states.copy()
    crowded[bad] = _state(model)
    value, fault = _run(engine, crowded, controls)
    distrusted = _invalid(fault[bad])
    carried = (np.abs(value[bad, :, 2::3] - 0.05) <= 1e-3).all(axis=1)  # heights, m
    require(bool((distrusted | carried).all()), "Contacts that did not fit the memory were dropped without a fault.")
    after = np.logical_or.accumulate(distrusted)
    require(np.array_equal(distrusted, after), "A lane that overflowed must stay distrusted to its end.")
    _unhurt(value, fault, clean, bad, "overflowed", tolerance)
    _, fault = _run(engine, states, controls)
    require(not _invalid(fault).any(), "A lane stays distrusted for an overflow before it was loaded.")
