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

_OVERFLOWS = """
<mujoco>
  <size memory="12K"/>
  <option timestep="0.005" jacobian="dense"><flag autoreset="disable"/></option>
  <worldbody>
    <geom type="plane" size="1 1 .1"/>
    <replicate count="4" offset=".2 0 0">
      <body pos="0 0 .05"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
    </replicate>
  </worldbody>
  <sensor><clock/></sensor>
</mujoco>
"""

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


def check_engine(make_engine: MakeEngine) -> None:
    """An engine's physics, isolation and fault reports. `make_engine(model, nlane)` gives a new engine."""
    model = mujoco.MjModel.from_xml_string(TOY)
    rough = make_engine(model, 1).info.dtype != "float64"
    _free_fall(make_engine, model, 1e-4 if rough else 1e-9)
    _support(make_engine, model, 0.05 if rough else 1e-3)
    _control_shows(make_engine, model, 1e-3 if rough else 1e-9)
    _observation_changes_nothing(make_engine, model)
    _lanes_are_alone(make_engine, model, 1e-3 if rough else 0.0)
    _cuts_do_not_show(make_engine, model, 1e-3 if rough else 0.0)
    _reports_what_is_not_finite(make_engine, model)
    _isolates_divergence(make_engine)
    _reports_overflow(make_engine)


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


def _run(engine: Engine, states: Floats, controls: Floats, cuts: tuple[int, ...]) -> tuple[Floats, Floats]:
    """(value, fault) of n lanes over all substeps and the state after them, in calls of these lengths."""
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


def _free_fall(make_engine: MakeEngine, model: Any, tolerance: float) -> None:
    def high(data: Any) -> None:
        data.joint(1).qpos[2] = 5.0

    steps, h = 40, float(model.opt.timestep)
    value, fault = _run(make_engine(model, 1), _state(model, high)[None], np.zeros((1, steps, 1)), (steps,))
    k = np.arange(steps + 1)
    fallen = 5.0 - 0.5 * 9.81 * h * h * k * (k + 1)  # semi-implicit: velocity first, then position
    _require(value.shape == (1, steps + 1, model.nsensordata), f"The samples have shape {value.shape}.")
    _require(not _invalid(fault).any(), "A falling ball was reported as a fault.")
    gap = np.abs(value[0, :, 2] - fallen).max()
    _require(gap <= tolerance, f"Free fall differs from semi-implicit arithmetic by {gap:.3g} m.")


def _support(make_engine: MakeEngine, model: Any, tolerance: float) -> None:
    value, fault = _run(make_engine(model, 1), _state(model)[None], np.zeros((1, 400, 1)), (400,))
    force = np.linalg.norm(value[0, -1, -3:])
    _require(not _invalid(fault).any(), "A ball that comes to rest was reported as a fault.")
    _require(value[0, -1, 2] > 0.04, "The ball fell through the floor: contacts are lost.")
    _require(bool(abs(force - 0.2 * 9.81) <= tolerance * 0.2 * 9.81), f"The floor carries {force:.4g} N of 1.962 N.")


def _control_shows(make_engine: MakeEngine, model: Any, tolerance: float) -> None:
    controls = np.array([0.1, 0.2, 0.3])[None, :, None]
    value, _ = _run(make_engine(model, 1), _state(model)[None], controls, (3,))
    for k, target in enumerate((0.1, 0.2, 0.3, 0.3)):
        position, velocity, force = value[0, k, 3:6]
        gap = abs(force - (100 * (target - position) - 20 * velocity))
        _require(
            gap <= tolerance, f"Sample {k} does not show the drive force of control {min(k, 2)}: off by {gap:.3g} N."
        )


def _observation_changes_nothing(make_engine: MakeEngine, model: Any) -> None:
    engine, lanes = make_engine(model, 2), np.arange(2)
    states = np.stack([_state(model)] * 2)
    engine.load(lanes, states)
    _require(np.array_equal(engine.state(lanes), states), "A loaded state does not come back as it was.")
    engine.advance(lanes, np.full((2, 30, 1), 0.2))
    before = engine.state(lanes)
    seen = [np.asarray(engine.observe(lanes).value) for _ in range(2)]
    _require(np.array_equal(engine.state(lanes), before), "observe changed the state.")
    _require(np.array_equal(seen[0], seen[1]), "Two observations of one state differ.")
    moved = before.copy()
    moved += 1.0
    _require(np.array_equal(engine.state(lanes), before), "state must give a copy.")


def _lanes_are_alone(make_engine: MakeEngine, model: Any, tolerance: float) -> None:
    def placed(x: float) -> Floats:
        def move(data: Any) -> None:
            data.joint("rail").qpos[0] = x

        return _state(model, move)

    controls = np.linspace(-0.5, 0.7, 3)[:, None, None] * np.ones((3, 60, 1))
    states = np.stack([placed(x) for x in (0.0, 0.1, -0.2)])
    together, _ = _run(make_engine(model, 3), states, controls, (60,))
    for lane in range(3):
        alone, _ = _run(make_engine(model, 1), states[lane : lane + 1], controls[lane : lane + 1], (60,))
        gap = np.abs(alone[0] - together[lane]).max()
        _require(gap <= tolerance, f"Lane {lane} differs by {gap:.3g} from the same plan alone.")
    engine, two = make_engine(model, 3), np.array([0, 2])
    engine.load(np.arange(3), states)
    part = np.asarray(engine.advance(two, controls[two]).value)
    gap = np.abs(part - together[two][:, :60]).max()
    _require(gap <= tolerance, f"Lanes 0 and 2 differ by {gap:.3g} when lane 1 stands still.")
    _require(np.array_equal(engine.state(np.array([1])), states[1:2]), "A lane that was not named has moved.")
    engine.load(np.array([2]), states[2:])
    again = np.asarray(engine.advance(np.array([2]), controls[2:]).value)
    gap = np.abs(again - together[2:, :60]).max()
    _require(gap <= tolerance, f"A lane loaded again differs by {gap:.3g} from a fresh one.")


def _cuts_do_not_show(make_engine: MakeEngine, model: Any, tolerance: float) -> None:
    controls = 0.4 * np.sin(np.arange(60.0))[None, :, None]
    whole, _ = _run(make_engine(model, 1), _state(model)[None], controls, (60,))
    for cuts in ((1,) * 60, (7,) * 8 + (4,), (30, 30)):
        parts, _ = _run(make_engine(model, 1), _state(model)[None], controls, cuts)
        gap = np.abs(parts - whole).max()
        _require(gap <= tolerance, f"Calls of {cuts[0]} substeps give samples that differ by {gap:.3g}.")


def _reports_what_is_not_finite(make_engine: MakeEngine, model: Any) -> None:
    def broken(data: Any) -> None:
        data.qvel[0] = np.nan

    engine, lanes = make_engine(model, 2), np.arange(2)
    engine.load(lanes, np.stack([_state(model, broken), _state(model)]))
    fault = np.asarray(engine.advance(lanes, np.zeros((2, 10, 1))).fault)
    _require(bool(_invalid(fault[0]).all()), "A lane that starts with NaN was trusted.")
    _require(not _invalid(fault[1]).any(), "A NaN in one lane was reported in another.")
    engine.load(lanes[:1], _state(model)[None])
    fault = np.asarray(engine.advance(lanes[:1], np.zeros((1, 10, 1))).fault)
    _require(not _invalid(fault).any(), "A lane stays poisoned after a clean state was loaded into it.")


def _isolates_divergence(make_engine: MakeEngine) -> None:
    model = mujoco.MjModel.from_xml_string(_DIVERGES)
    controls = np.zeros((3, 40, 1))
    controls[1, 20:] = 1e6
    states = np.stack([_state(model)] * 3)
    value, fault = _run(make_engine(model, 3), states, controls, (40,))
    bad = _invalid(fault)
    _require(not bad[1, :20].any(), "Samples before the divergence were distrusted.")
    _require(bool(bad[1, 22:].all()), "A diverged lane must stay distrusted to its end.")
    _require(not bad[[0, 2]].any(), "A lane beside a diverged one was distrusted.")
    _require(not value[[0, 2]].any(), "A lane beside a diverged one has moved.")
    controls[1], controls[1, -1] = 0.0, 1e6
    _, fault = _run(make_engine(model, 3), states, controls, (40,))
    _require(bool(_invalid(fault)[1, -1]), "A divergence in the last substep was not reported.")


def _reports_overflow(make_engine: MakeEngine) -> None:
    model = mujoco.MjModel.from_xml_string(_OVERFLOWS)
    _, fault = _run(make_engine(model, 1), _state(model)[None], np.zeros((1, 20, 0)), (20,))
    _require(bool(_invalid(fault).any()), "Contacts that did not fit the memory were dropped without a fault.")


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
