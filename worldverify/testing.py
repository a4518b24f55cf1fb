"""Conformance suites: what an Engine, a Verifier and a Task must do. Each raises AssertionError with a sentence.

They need no test framework: call them from any test, or from a shell.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.binding import Bound
from worldverify.formula import Always
from worldverify.kernels.engine import Engine, Fault
from worldverify.scene import STATE
from worldverify.task import Task
from worldverify.units import parse_unit
from worldverify.verdict import Verdict, Verdicts
from worldverify.verifier import Verifier
from worldverify.verify import verify

Floats = NDArray[np.float64]
MakeEngine = Callable[[Any, int], Engine]  # (compiled model, number of lanes)

# A cart on a rail in front of a wall, and a ball that falls.
TOY = """
<mujoco model="toy">
  <option timestep="0.005" integrator="implicitfast" jacobian="dense"><flag autoreset="disable"/></option>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <geom name="wall" type="box" pos=".6 0 .1" size=".05 .2 .1"/>
    <site name="zone" type="box" pos=".3 0 .1" size=".1 .1 .1"/>
    <body name="cart" pos="0 0 .1">
      <joint name="rail" type="slide" axis="1 0 0" range="-1 1" damping="1"/>
      <geom name="cart_box" type="box" size=".05 .05 .05" mass="1"/>
    </body>
    <body name="ball" pos="0 .6 .15">
      <freejoint/>
      <geom name="ball_sphere" type="sphere" size=".05" mass=".2"/>
    </body>
  </worldbody>
  <actuator><position name="drive" joint="rail" kp="100" kv="20" ctrlrange="-1 1"/></actuator>
  <sensor>
    <framepos name="ball_pos" objtype="xbody" objname="ball"/>
    <jointpos name="rail_pos" joint="rail"/>
    <jointvel name="rail_speed" joint="rail"/>
    <actuatorfrc name="drive_force" actuator="drive"/>
    <contact name="ball_floor" geom1="ball_sphere" geom2="floor" reduce="netforce" data="force"/>
  </sensor>
</mujoco>
"""

TOY_SPEC = """
arrives: eventually(always[0,0.1](inside(cart, zone) and speed(cart) < 0.1 m/s))
careful: always(contact_force(cart, wall) < 5 N)
slow:    always(speed(cart) < 0.9 m/s)
"""

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

_RAMP = (0.0, 0.1, 0.2, 0.3)  # m, 0.1 s apart: in small steps the cart stays slow


def toy_task() -> Task:
    """A task small enough for a test: a cart goes to a zone, not into the wall behind it, and not fast."""

    def plan(*targets: float) -> Floats:
        return np.array(targets)[:, None]

    return Task.from_mjcf(
        TOY,
        spec=TOY_SPEC,
        horizon=2.0,
        rate=10.0,
        name="Toy",
        instruction="Drive the cart into the zone.",
        good=plan(*_RAMP),
        bad={
            "arrives": plan(0.0),
            "careful": plan(*_RAMP, *[0.3] * 6, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65),
            "slow": plan(*_RAMP, *[0.3] * 8, -0.8),
        },
    )


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


def check_verifier(verifier: Verifier) -> None:
    """A verifier's order, isolation, identity and refusals. It is closed afterwards."""
    task = toy_task()
    good, bad = task.good, task.bad["careful"]
    assert good is not None
    plans: list[Any] = [good, "no plan here", bad, '{"actions": [[0.0], [NaN]]}', np.full((3, 1), 9.0), good.to_json()]
    verdicts = verifier.verify(task, plans)
    _require(len(verdicts) == len(plans), f"{len(plans)} plans gave {len(verdicts)} verdicts; each plan gets one.")
    expected = ["PASS", "INVALID", "FAIL", "INVALID", "INVALID", "PASS"]
    found = [v.status for v in verdicts]
    _require(found == expected, f"The verdicts of the toy plans are {found}, in the order of the plans {expected}.")
    for verdict in verdicts:
        _speaks(verdict)
        if verdict.status == "INVALID":
            _require(verdict.cause == "plan", f"A malformed plan has cause plan, not {verdict.cause}.")
    first = verdicts[2].first_violation
    _require(first is not None and first.requirement == "careful", f"The wall was hit, yet the violation is {first}.")

    _require(len(verifier.verify(task, [])) == 0, "No plans give no verdicts.")
    _same(verifier.verify(task, plans), verdicts, "again")
    _same(verifier.verify(task, plans[::-1]), verdicts[::-1], "in another order")
    for plan, verdict in zip(plans, verdicts, strict=True):
        _same(verifier.verify(task, [plan]), [verdict], "alone")
    named = verifier.verify(task, [good.to_json() | {"id": "x"}])[0]
    _require(named.id == "x", f"A plan with the id 'x' came back with the id {named.id!r}.")
    _same([named], [verdicts[0]], "under another id")

    questions = [
        verdicts[0],
        verdicts[2],
        verifier.verify(task, [good], seed=1)[0],
        verifier.verify(task, [good], state=task.start())[0],
        verifier.verify(task, [good], margins="full")[0],
        verifier.verify(task, [good], scope="chunk")[0],
    ]
    keys = {q.request["sha256"] for q in questions}
    _require(len(keys) == len(questions), "Another plan, seed, state or option is another request: its sha256 differs.")
    digests = {q.digest for q in questions}
    _require(len(digests) == len(questions), "The digest of a verdict covers its request.")

    verifier.close()
    try:
        verifier.verify(task, [good])
    except Exception:
        return
    raise AssertionError("A closed verifier must refuse to judge.")


def check_task(task: Task, verifier: Verifier | None = None) -> None:
    """A task's good plan passes, each bad plan fails its own requirement only, and the spec watches to the end."""

    def judged(plan: Any) -> Verdict:
        options: dict[str, Any] = {"margins": "full"}
        return (verifier.verify(task, plan, **options) if verifier else verify(task, plan, **options))[0]

    names = task.spec.names
    _require(bool(task.instruction.strip()), f"{task.name} has no instruction: say in a sentence what is to be done.")
    whole = [r.name for r in task.spec.requirements if _to_the_end(r.formula, task.horizon)]
    _require(
        bool(whole),
        f"No requirement of {task.name} is an always over its whole horizon, so nobody watches after success.",
    )
    _units_are_sane(task.scene.bound)
    _require(np.array_equal(task.start(0), task.start(0)), f"Seed 0 of {task.name} has two different starts.")
    for seed in range(3):
        task.scene.check_start(task.start(seed))

    _require(task.good is not None, f"{task.name} has no good plan, so nobody knows that it can be done.")
    good = judged(task.good)
    _require(good.status == "PASS", f"The good plan of {task.name} does not pass. {good.explain()}")
    _require(
        set(task.bad) == set(names), f"{task.name} needs a bad plan for each of {names}; it has {tuple(task.bad)}."
    )
    for name, plan in task.bad.items():
        bad = judged(plan)
        label = f"The bad plan for {name!r} of {task.name}"
        _require(bad.status == "FAIL", f"{label} is not a FAIL. {bad.explain()}")
        violation = bad.first_violation
        _require(violation is not None and violation.requirement == name, f"{label} violates {violation} first.")
        others = [other for other, m in bad.margins.items() if other != name and not m.interval[0] > 0]
        _require(not others, f"{label} does not satisfy {', '.join(others)} either. {bad.explain()}")
        _speaks(bad)
        _require(good.reward > bad.reward, f"{label} earns {bad.reward}, no less than the good plan's {good.reward}.")


# Engines


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
    _require(info.dtype in ("float64", "float32"), f"An engine's dtype is float64 or float32, not {info.dtype!r}.")
    _require(info.device in ("cpu", "gpu"), f"An engine's device is cpu or gpu, not {info.device!r}.")
    _require(all(info), f"An engine must say what it is: {info}.")
    _require(engine.nlane == _LANES, f"An engine of {_LANES} lanes has {engine.nlane}.")
    states, controls = _variety(model)
    value, fault = _run(engine, states, controls)
    shape = (_LANES, _STEPS + 1, model.nsensordata)
    _require(value.shape == shape, f"The samples have shape {value.shape}, not {shape}.")
    _require(fault.shape == shape[:2], f"The faults have shape {fault.shape}, not {shape[:2]}.")
    _require(np.issubdtype(fault.dtype, np.integer), f"Faults are bits of an integer, not {fault.dtype}.")
    coarse = np.array_equal(value, value.astype(np.float32))
    _require(coarse == (info.dtype == "float32"), f"The samples do not have the precision of {info.dtype}.")


def _free_fall(engine: Engine, model: Any, tolerance: float) -> None:
    def high(data: Any) -> None:
        data.joint(1).qpos[2] = 5.0

    h = float(model.opt.timestep)
    value, fault = _run(engine, _state(model, high)[None], np.zeros((1, _STEPS, 1)))
    k = np.arange(_STEPS + 1)
    fallen = 5.0 - 0.5 * 9.81 * h * h * k * (k + 1)  # semi-implicit: velocity first, then position
    _require(not _invalid(fault).any(), "A falling ball was reported as a fault.")
    gap = np.abs(value[0, :, 2] - fallen).max()
    _require(gap <= tolerance, f"Free fall differs from semi-implicit arithmetic by {gap:.3g} m.")


def _support(engine: Engine, model: Any, tolerance: float) -> None:
    value, fault = _run(engine, _state(model)[None], np.zeros((1, 10 * _STEPS, 1)), (_STEPS,) * 10)
    force = np.linalg.norm(value[0, -1, -3:])
    _require(not _invalid(fault).any(), "A ball that comes to rest was reported as a fault.")
    _require(value[0, -1, 2] > 0.04, "The ball fell through the floor: contacts are lost.")
    _require(bool(abs(force - 0.2 * 9.81) <= tolerance * 0.2 * 9.81), f"The floor carries {force:.4g} N of 1.962 N.")


def _control_shows(engine: Engine, model: Any, tolerance: float) -> None:
    states, controls = _variety(model)
    value, _ = _run(engine, states[:1], controls[:1])
    for k in range(_STEPS + 1):
        target, (position, velocity, force) = controls[0, min(k, _STEPS - 1), 0], value[0, k, 3:6]
        gap = abs(force - (100 * (target - position) - 20 * velocity))
        _require(
            gap <= tolerance,
            f"Sample {k} does not show the drive force of control {min(k, _STEPS - 1)}: off by {gap:.3g} N.",
        )


def _observation_changes_nothing(engine: Engine, model: Any, tolerance: float) -> None:
    def driven(data: Any) -> None:
        data.ctrl[0] = 0.25

    lanes = np.arange(_LANES)
    states, controls = _variety(model)
    engine.load(lanes, states)
    _require(_holds(engine, lanes, states), "A loaded state does not come back as it was.")
    engine.advance(lanes, controls)
    before = engine.state(lanes)
    seen = [np.asarray(engine.observe(lanes).value) for _ in range(2)]
    _require(np.array_equal(engine.state(lanes), before), "observe changed the state.")
    _require(_gap(seen[0], seen[1]) <= tolerance, "Two observations of one state differ.")
    moved = before.copy()
    moved += 1.0
    _require(np.array_equal(engine.state(lanes), before), "state must give a copy.")
    engine.load(lanes, np.stack([_state(model, driven)] * _LANES))
    force = np.asarray(engine.observe(lanes).value)[:, 0, 5]
    _require(bool(np.allclose(force, 25.0)), "observe does not show the control that a loaded state holds.")


def _lanes_are_alone(engine: Engine, model: Any, tolerance: float) -> None:
    lanes, some = np.arange(_LANES), np.array([0, 2, 3, 5, 7])
    others = np.setdiff1d(lanes, some)
    states, controls = _variety(model)
    together, _ = _run(engine, states, controls)
    for lane in (0, 3, _LANES - 1):
        alone, _ = _run(engine, states[lane : lane + 1], controls[lane : lane + 1])
        gap = _gap(alone[0], together[lane])
        _require(gap <= tolerance, f"Lane {lane} differs by {gap:.3g} from the same plan alone.")
    order = np.array([3, 7, 0, 5, 1, 6, 2, 4])
    permuted, _ = _run(engine, states[order], controls[order])
    gap = _gap(permuted, together[order])
    _require(gap <= tolerance, f"Plans in another order give samples that differ by {gap:.3g}.")
    few, _ = _run(engine, states[:_SOME], controls[:_SOME])
    gap = _gap(few, together[:_SOME])
    _require(gap <= tolerance, f"{_SOME} of {_LANES} lanes give samples that differ by {gap:.3g}.")

    engine.load(some, states[some])
    engine.load(others, states[others])
    _require(_holds(engine, lanes, states), "Lanes that are loaded in two parts do not hold what was loaded.")
    part = np.asarray(engine.advance(some, controls[some]).value)
    gap = _gap(part, together[some][:, :_STEPS])
    _require(gap <= tolerance, f"Lanes {some.tolist()} differ by {gap:.3g} when the others stand still.")
    _require(_holds(engine, others, states[others]), "A lane that was not named has moved.")
    engine.load(some, states[some])
    again = np.asarray(engine.advance(lanes, controls).value)
    gap = _gap(again[some], together[some][:, :_STEPS])
    _require(gap <= tolerance, f"A lane loaded again differs by {gap:.3g} from a fresh one.")
    gap = _gap(again[others], together[others][:, :_STEPS])
    _require(gap <= tolerance, f"A lane that stood still while others moved differs by {gap:.3g}.")


def _cuts_do_not_show(engine: Engine, model: Any, tolerance: float) -> None:
    lanes, first = np.arange(_LANES), _UNEVEN[0]
    states, controls = _variety(model)
    longer = np.concatenate([controls, controls[::-1]], axis=1)
    even, _ = _run(engine, states, longer, _EVEN)
    uneven, _ = _run(engine, states, longer, _UNEVEN)
    gap = _gap(uneven, even)
    _require(gap <= tolerance, f"Calls of {_UNEVEN} and {_EVEN} substeps give samples that differ by {gap:.3g}.")
    _run(engine, states, longer[:, :first], (first,))
    on, _ = _run(engine, engine.state(lanes)[::-1], longer[::-1, first:], _UNEVEN[1:])
    gap = _gap(on[::-1], even[:, first:])
    _require(gap <= tolerance, f"A state taken from one lane goes on in another with a difference of {gap:.3g}.")


def _reports_what_is_not_finite(engine: Engine, model: Any, tolerance: float) -> None:
    def broken(data: Any) -> None:
        data.qvel[0] = np.nan

    states, controls = _variety(model)
    clean, _ = _run(engine, states, controls)
    poisoned, bad = states.copy(), 2
    poisoned[bad] = _state(model, broken)
    value, fault = _run(engine, poisoned, controls)
    _require(bool(_invalid(fault[bad]).all()), "A lane that starts with NaN was trusted.")
    _unhurt(value, fault, clean, bad, "starts with NaN", tolerance)

    commands, at = controls.copy(), 20
    commands[bad, at] = np.nan
    value, fault = _run(engine, states, commands)
    _require(not _invalid(fault[bad, :at]).any(), "Samples before a control that is NaN were distrusted.")
    _require(bool(_invalid(fault[bad, at + 1 :]).all()), "A lane was trusted after a control that is NaN.")
    _unhurt(value, fault, clean, bad, "was told NaN", tolerance)

    value, fault = _run(engine, states, controls)
    _require(not _invalid(fault).any(), "A lane stays poisoned after a clean state was loaded into it.")
    _require(_gap(value, clean) <= tolerance, "A lane that was NaN before shows other samples than a fresh one.")


def _unhurt(value: Floats, fault: NDArray[Any], clean: Floats, bad: int, how: str, tolerance: float) -> None:
    """The lanes beside a bad one are trusted and show what they show in clean company."""
    rest = np.arange(len(value)) != bad
    _require(not _invalid(fault[rest]).any(), f"A lane beside one that {how} was distrusted.")
    gap = _gap(value[rest], clean[rest])
    _require(gap <= tolerance, f"A lane beside one that {how} shows samples that differ by {gap:.3g}.")


def _isolates_divergence(make_engine: MakeEngine, tolerance: float) -> None:
    model = mujoco.MjModel.from_xml_string(_DIVERGES)
    engine, single, bad, at = make_engine(model, _SOME), make_engine(model, 1), 1, 20
    controls = np.zeros((_SOME, _STEPS, 1))
    controls[bad, at:] = 1e6
    states = np.stack([_state(model)] * _SOME)
    value, fault = _run(engine, states, controls)
    distrusted = _invalid(fault)
    _require(not distrusted[bad, :at].any(), "Samples before the divergence were distrusted.")
    _require(bool(distrusted[bad, at + 2 :].all()), "A diverged lane must stay distrusted to its end.")
    _unhurt(value, fault, np.zeros_like(value), bad, "diverged", tolerance)
    _require(single.nlane == 1, f"An engine of 1 lane has {single.nlane}.")
    _require(single.info == engine.info, f"Engines of one kind describe themselves as {engine.info}, {single.info}.")
    alone, fault = _run(single, states[bad : bad + 1], controls[bad : bad + 1])
    agree = _gap(alone[0, :at], value[bad, :at]) <= tolerance and np.array_equal(_invalid(fault[0]), distrusted[bad])
    _require(agree, "An engine of 1 lane and a lane of 5 disagree about a divergence.")
    controls[bad], controls[bad, -1] = 0.0, 1e6
    _, fault = _run(engine, states, controls)
    _require(bool(_invalid(fault)[bad, -1]), "A divergence in the last substep was not reported.")


def _reports_overflow(make_engine: MakeEngine, tolerance: float) -> None:
    def high(data: Any) -> None:
        data.qpos[2::7] = 5.0

    model = mujoco.MjModel.from_xml_string(_OVERFLOWS)
    engine, bad = make_engine(model, _SOME), 2
    states, controls = np.stack([_state(model, high)] * _SOME), np.zeros((_SOME, _STEPS, 0))
    clean, fault = _run(engine, states, controls)
    _require(not _invalid(fault).any(), "Falling balls, which need no memory for contacts, were distrusted.")
    crowded = states.copy()
    crowded[bad] = _state(model)
    value, fault = _run(engine, crowded, controls)
    distrusted = _invalid(fault[bad])
    carried = (np.abs(value[bad, :, 2::3] - 0.05) <= 1e-3).all(axis=1)  # heights, m
    _require(bool((distrusted | carried).all()), "Contacts that did not fit the memory were dropped without a fault.")
    after = np.logical_or.accumulate(distrusted)
    _require(np.array_equal(distrusted, after), "A lane that overflowed must stay distrusted to its end.")
    _unhurt(value, fault, clean, bad, "overflowed", tolerance)
    _, fault = _run(engine, states, controls)
    _require(not _invalid(fault).any(), "A lane stays distrusted for an overflow before it was loaded.")


# Verifiers and tasks


def _same(found: Verdicts | list[Verdict], wanted: Verdicts | list[Verdict], how: str) -> None:
    for one, other in zip(found, wanted, strict=True):
        key, answer = one.request["sha256"] == other.request["sha256"], one.status == other.status
        _require(key and answer, f"A plan judged {how} is another request or has another status.")
        if one.engine["dtype"] == "float64":
            _require(one.digest == other.digest, f"A plan judged {how} has another digest.")


def _speaks(verdict: Verdict) -> None:
    """Every verdict has a sentence, plain JSON, and margins whose value agrees with the status."""
    _require(len(verdict.reason) > 10 and verdict.reason.endswith("."), f"{verdict.reason!r} is not a sentence.")
    json.dumps(verdict.to_json(), allow_nan=False)
    _require(bool(verdict.explain()), "explain() says nothing.")
    if verdict.status == "PASS":
        _require(
            bool(verdict.margins) and all(m.interval[0] > 0 for m in verdict.margins.values() if m.guard),
            "A PASS needs margins above zero.",
        )
    if verdict.status == "FAIL":
        _require(verdict.first_violation is not None, "A FAIL needs its first violation.")
    if verdict.status == "INVALID":
        _require(verdict.cause is not None and verdict.code is not None, "An INVALID needs a cause and a code.")
    if not verdict.valid:
        _require(math.isnan(verdict.reward), "A reward that is not valid is NaN.")


def _to_the_end(formula: Any, horizon: float) -> bool:
    return isinstance(formula, Always) and (formula.window is None or formula.window == (0.0, horizon))


def _units_are_sane(bound: Bound) -> None:
    for atom in bound.atoms:
        unit = parse_unit(atom.unit)
        _require(unit.factor == 1.0, f"The margin of {atom.text} is in {atom.unit!r}, not in SI units.")
        _require(math.isfinite(atom.scale) and atom.scale > 0, f"The margin scale of {atom.text} is {atom.scale}.")


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
