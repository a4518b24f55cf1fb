"""From evidence to a status: the shortest trusted prefix that decides, and the margins at its end. Traces by hand."""

import math
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.binding import Bound
from worldverify.judge import Finding, judge
from worldverify.kernels.engine import Fault
from worldverify.scene import build_scene
from worldverify.simulate import Trace
from worldverify.spec import Spec

H = 0.5  # s, so that windows are easy to count
WORLD = f"""
<mujoco>
  <option timestep="{H}"/>
  <worldbody>
    <body><joint name="a" type="slide"/><joint name="b" type="slide"/><joint name="turn" type="hinge"/>
      <geom size=".1"/></body>
  </worldbody>
</mujoco>
"""
COLUMNS = ("a", "b", "turn")


def bind(spec: str) -> Bound:
    return build_scene(mujoco.MjSpec.from_string(WORLD), Spec.parse(spec)).bound


def trace(spec: str, fault: dict[int, Fault] | None = None, **columns: list[float]) -> Trace:
    """One plan's evidence: the values of joints a, b and turn at samples 0, 1, ..."""
    bound = bind(spec)
    samples = len(next(iter(columns.values())))
    built = build_scene(mujoco.MjSpec.from_string(WORLD), bound.spec)
    value = np.zeros((1, samples, built.model.nsensordata))
    for i in range(built.model.nsensor):
        name = built.model.sensor(i).name.rsplit("/", 1)[-1]
        if name in columns:
            value[0, :, built.model.sensor_adr[i]] = columns[name]
    faults = np.zeros((1, samples), dtype=np.int32)
    for k, bits in (fault or {}).items():
        faults[0, k] = int(bits)
    return Trace(value, faults, np.array([samples - 1]), np.zeros((1, 1)))


def find(
    spec: str,
    horizon: int | None = None,
    fault: dict[int, Fault] | None = None,
    chunk: bool = False,
    full: bool = False,
    **columns: list[float],
) -> Finding:
    evidence = trace(spec, fault, **columns)
    end = int(evidence.last[0]) if horizon is None else horizon
    return judge(bind(spec), evidence, horizon=end, chunk=chunk, full=full)[0]


def test_always_on_a_trace_that_ends_too_early_is_inconclusive_while_it_is_safe() -> None:
    found = find("safe: always[0,5](joint(a) < 1 m)", horizon=4, a=[0.0, 0.2, 0.5, 0.1, 0.3])
    assert (found.status, found.decided) == ("INCONCLUSIVE", None)
    margin = found.margins["safe"]
    assert (margin.value, margin.interval, margin.unit) == (None, (-math.inf, 0.5), "m")


def test_always_that_is_already_violated_fails_at_the_violation() -> None:
    found = find("safe: always[0,5](joint(a) < 1 m)", horizon=4, a=[0.0, 0.2, 1.25, 0.1, 0.3])
    assert (found.status, found.decided, found.violated) == ("FAIL", 2, "safe")
    assert found.margins["safe"].value == -0.25
    assert found.margins["safe"].interval == (-math.inf, -0.25)


def test_eventually_that_is_already_satisfied_passes_at_the_witness() -> None:
    found = find("there: eventually[0,5](joint(a) > 1 m)", horizon=4, a=[0.0, 0.2, 1.5, 0.1, 3.0])
    assert (found.status, found.decided) == ("PASS", 2)
    assert found.margins["there"].value == 0.5
    assert found.margins["there"].interval == (0.5, math.inf)


def test_eventually_beyond_the_horizon_is_inconclusive() -> None:
    found = find("there: eventually[0,5](joint(a) > 1 m)", horizon=4, a=[0.0] * 5)
    assert (found.status, found.margins["there"].interval) == ("INCONCLUSIVE", (-1.0, math.inf))


def test_without_a_window_an_operator_ends_at_the_horizon() -> None:
    assert find("safe: always(joint(a) < 1 m)", a=[0.0, 0.5, 0.25]).status == "PASS"
    assert find("there: eventually(joint(a) > 1 m)", a=[0.0, 0.5, 0.25]).status == "FAIL"
    assert find("safe: always(joint(a) < 1 m)", horizon=3, a=[0.0, 0.5, 0.25]).status == "INCONCLUSIVE"


def test_both_ends_of_a_window_count() -> None:
    spec = "r: always[0.5,1](joint(a) < 1 m)"
    assert find(spec, a=[9.0, 0.0, 0.0, 9.0]).status == "PASS"
    assert find(spec, a=[0.0, 9.0, 0.0, 0.0]).status == "FAIL"
    assert find(spec, a=[0.0, 0.0, 9.0, 0.0]).status == "FAIL"


def test_at_end_looks_at_the_last_sample_only() -> None:
    spec = "r: at_end(joint(a) < 1 m)"
    assert find(spec, a=[9.0, 9.0, 0.0]).status == "PASS"
    assert find(spec, a=[0.0, 0.0, 9.0]).status == "FAIL"
    assert find(spec, horizon=3, a=[0.0, 0.0, 0.0]).status == "INCONCLUSIVE"


def test_until_needs_the_left_side_before_the_right() -> None:
    spec = "r: (joint(a) < 1 m) until[0,2] (joint(b) > 0 m)"
    found = find(spec, a=[0.0, 0.5, 9.0, 0.0, 0.0], b=[-1.0, -1.0, 2.0, -1.0, -1.0])
    assert (found.status, found.decided, found.margins["r"].value) == ("PASS", 2, 0.5)
    found = find(spec, a=[0.0, 3.0, 0.0, 0.0, 0.0], b=[-1.0, -1.0, 2.0, -1.0, -1.0])
    assert (found.status, found.decided) == ("FAIL", 1)


def test_implies_and_not_turn_margins() -> None:
    spec = "r: always(joint(a) > 1 m implies not (joint(b) > 1 m))"
    assert find(spec, a=[0.0, 2.0], b=[5.0, 0.25]).margins["r"].value == 0.75
    assert find(spec, a=[0.0, 2.0], b=[5.0, 4.0]).status == "FAIL"


@pytest.mark.parametrize("op", ["<", "<=", ">", ">="])
def test_a_margin_of_exactly_zero_decides_nothing(op: str) -> None:
    found = find(f"edge: always(joint(a) {op} 1 m)", a=[1.0, 1.0, 1.0])
    assert (found.status, found.margins["edge"].value) == ("INCONCLUSIVE", None)
    assert found.margins["edge"].interval == (0.0, 0.0)


def test_the_first_violation_is_the_earliest_and_ties_go_to_spec_order() -> None:
    spec = "one: always(joint(a) < 1 m)\ntwo: always(joint(b) < 1 m)"
    assert find(spec, a=[0.0, 0.0, 5.0], b=[0.0, 2.0, 2.0]).violated == "two"
    assert find(spec, a=[0.0, 2.0, 2.0], b=[0.0, 9.0, 9.0]).violated == "one"
    swapped = "two: always(joint(b) < 1 m)\none: always(joint(a) < 1 m)"
    assert find(swapped, a=[0.0, 2.0, 2.0], b=[0.0, 9.0, 9.0]).violated == "two"


def test_margins_are_those_at_the_deciding_sample() -> None:
    spec = "one: always(joint(a) < 1 m)\ntwo: eventually(joint(b) > 1 m)"
    found = find(spec, a=[0.0, 3.0, 8.0], b=[0.0, 0.5, 9.0])
    assert (found.status, found.decided) == ("FAIL", 1)
    assert found.margins["one"].interval == (-math.inf, -2.0)
    assert (found.margins["two"].value, found.margins["two"].interval) == (None, (-0.5, math.inf))


def test_full_margins_look_to_the_end_and_keep_the_status() -> None:
    spec = "one: always(joint(a) < 1 m)\ntwo: eventually(joint(b) > 1 m)"
    found = find(spec, a=[0.0, 3.0, 8.0], b=[0.0, 0.5, 9.0], full=True)
    assert (found.status, found.decided, found.violated) == ("FAIL", 1, "one")
    assert found.margins["one"].interval == (-7.0, -7.0)
    assert found.margins["two"].value == 8.0


def test_different_units_compare_in_margin_scales_and_report_the_deciding_term() -> None:
    spec = "r: always(joint(a) < 1 m and joint(turn) < 1 rad)"
    found = find(spec, a=[0.0, 0.9], turn=[0.0, 0.8])  # 0.1 m is ten scales, 0.2 rad four
    margin = found.margins["r"]
    assert (margin.unit, margin.term, margin.scale) == ("rad", "joint(turn) < 1 rad", 0.05)
    assert margin.value == pytest.approx(0.2)
    assert margin.relative == pytest.approx(4.0)


def test_a_scale_in_the_spec_changes_which_term_decides() -> None:
    spec = "r: always(joint(a) < 1 m ~ 1 m and joint(turn) < 1 rad)"
    margin = find(spec, a=[0.0, 0.9], turn=[0.0, 0.8]).margins["r"]
    assert (margin.unit, margin.scale) == ("m", 1.0)
    assert margin.value == pytest.approx(0.1)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_evidence_that_is_not_a_finite_number_never_passes(number: float) -> None:
    found = find("r: eventually(joint(a) < 1 m)", a=[5.0, number, 0.0])
    assert (found.status, found.untrusted, found.fault) == ("INVALID", 1, Fault(0))
    assert found.bad_atom == "joint(a) < 1 m"
    assert find("r: always(joint(a) < 1 m)", a=[0.0, 0.0, number]).status == "INVALID"


def test_division_by_zero_is_invalid_and_names_the_comparison() -> None:
    found = find("r: eventually(joint(a) / joint(b) < 1)", a=[5.0, 1.0], b=[0.0, 2.0])
    assert (found.status, found.untrusted, found.bad_atom) == ("INVALID", 0, "joint(a) / joint(b) < 1")


def test_a_margin_that_overflows_its_scale_is_invalid() -> None:
    assert find("r: always(joint(a) * 1e300 < 1e307 m)", a=[-1e8, 0.0]).status == "INVALID"


@pytest.mark.parametrize("fault", [f for f in Fault if f & Fault.invalidating()])
def test_a_fault_before_the_decision_is_invalid(fault: Fault) -> None:
    found = find("r: always(joint(a) < 1 m)", fault={1: fault}, a=[0.0, 0.5, 9.0])
    assert (found.status, found.untrusted, found.fault) == ("INVALID", 1, fault)
    assert found.margins["r"].interval == (-math.inf, 1.0)  # of what can be believed: sample 0


@pytest.mark.parametrize("at", [1, 2])
def test_a_verdict_decided_strictly_before_the_first_bad_step_stands(at: int) -> None:
    fault = {at: Fault.NOT_FINITE}
    violated = find("r: always(joint(a) < 1 m)", fault=fault, a=[0.0, 9.0, 9.0])
    reached = find("r: eventually(joint(a) > 1 m)", fault=fault, a=[0.0, 9.0, 9.0])
    expected = ("FAIL", "PASS") if at == 2 else ("INVALID", "INVALID")
    assert (violated.status, reached.status) == expected


def test_full_margins_stop_at_the_last_trusted_sample() -> None:
    found = find("r: always(joint(a) < 1 m)", fault={2: Fault.WARNED}, full=True, a=[0.0, 9.0, 99.0, 99.0])
    assert (found.status, found.margins["r"].interval) == ("FAIL", (-math.inf, -8.0))


def test_a_fault_at_sample_zero_leaves_no_evidence() -> None:
    found = find("r: always(joint(a) < 1 m)", fault={0: Fault.RAISED}, a=[9.0, 9.0])
    assert (found.status, found.margins["r"].interval) == ("INVALID", (-math.inf, math.inf))


def test_a_solver_at_its_limit_is_counted_but_does_not_invalidate() -> None:
    capped = {0: Fault.UNCONVERGED, 2: Fault.UNCONVERGED}
    found = find("r: always(joint(a) < 1 m)", fault=capped, a=[0.0, 0.0, 0.0])
    assert (found.status, found.capped) == ("PASS", 2)
    found = find("r: always(joint(a) < 1 m)", fault=capped, a=[0.0, 5.0, 0.0])
    assert (found.status, found.capped) == ("FAIL", 1)


GUARD_AND_GOAL = "guard: always(joint(a) < 1 m)\ngoal: eventually(joint(b) > 1 m)"


def test_a_chunk_passes_when_its_guards_hold_and_reports_goals_as_progress() -> None:
    found = find(GUARD_AND_GOAL, horizon=10, chunk=True, a=[0.0, 0.5, 0.25], b=[0.0, 0.75, 0.5])
    assert (found.status, found.decided) == ("PASS", 2)
    assert found.margins["guard"].value == 0.5
    goal = found.margins["goal"]
    assert (goal.guard, goal.value, goal.interval) == (False, None, (-0.25, math.inf))


def test_a_chunk_never_fails_for_a_goal() -> None:
    goal_gone = "guard: always(joint(a) < 1 m)\ngoal: eventually[0,0.5](joint(b) > 1 m)"
    found = find(goal_gone, horizon=10, chunk=True, a=[0.0, 0.0, 0.0], b=[0.0, 0.0, 0.0])
    assert found.status == "PASS"
    assert found.margins["goal"].interval == (-1.0, -1.0)
    assert not found.margins["goal"].guard


def test_a_chunk_fails_for_a_guard() -> None:
    found = find(GUARD_AND_GOAL, horizon=10, chunk=True, a=[0.0, 5.0, 0.0], b=[0.0, 9.0, 9.0])
    assert (found.status, found.violated, found.decided) == ("FAIL", "guard", 1)


def test_a_chunk_without_guards_is_inconclusive() -> None:
    found = find("goal: eventually(joint(b) > 1 m)", horizon=4, chunk=True, b=[0.0, 9.0, 9.0])
    assert found.status == "INCONCLUSIVE"
    found = find("goal: eventually(joint(b) > 1 m)", horizon=2, chunk=True, b=[0.0, 9.0, 9.0])
    assert found.status == "INCONCLUSIVE"


def test_a_guard_whose_window_starts_after_the_chunk_waits() -> None:
    spec = "now: always(joint(a) < 1 m)\nlater: always[3,4](joint(b) < 1 m)"
    found = find(spec, horizon=10, chunk=True, a=[0.0, 0.0], b=[9.0, 9.0])
    assert (found.status, found.margins["later"].guard) == ("PASS", False)


def test_a_guard_with_a_window_is_judged_over_what_the_chunk_shows_of_it() -> None:
    spec = "r: always[0,4](joint(a) < 1 m)"
    assert find(spec, horizon=10, chunk=True, a=[0.0, 0.5]).status == "PASS"
    assert find(spec, horizon=10, chunk=True, a=[0.0, 1.5]).status == "FAIL"


SPECS = (
    "r: always(eventually[0,1](joint(a) > 0 m))",
    "r: eventually(always[0,1](joint(a) > 0 m and joint(turn) > 0 rad))",
    "r: (joint(a) > -1 m) until[0.5,2] (joint(turn) > 0.5 rad)\nq: always(joint(b) < 2 m)",
)


@given(st.sampled_from(SPECS), st.integers(0, 10**6), st.integers(1, 12))
def test_evidence_after_the_deciding_sample_changes_nothing(spec: str, seed: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {name: rng.normal(size=samples + 1).round(1) for name in COLUMNS}
    found = find(spec, **columns)
    if found.decided is None:
        return
    for name in columns:
        columns[name][found.decided + 1 :] = np.nan
    again = find(spec, **columns)
    assert (again.status, again.decided, again.violated) == (found.status, found.decided, found.violated)
    assert again.margins == found.margins


def test_plans_of_one_batch_are_judged_as_alone() -> None:
    spec = SPECS[1]
    rng = np.random.default_rng(0)
    traces = [trace(spec, None, **{name: rng.normal(size=9).tolist() for name in COLUMNS}) for _ in range(6)]
    lasts = np.array([8, 3, 8, 5, 3, 8])
    together = Trace(
        np.concatenate([t.value for t in traces]), np.concatenate([t.fault for t in traces]), lasts, np.zeros((6, 1))
    )
    alone = [Trace(t.value, t.fault, lasts[i : i + 1], t.end) for i, t in enumerate(traces)]
    bound = bind(spec)
    assert judge(bound, together, horizon=8) == [judge(bound, t, horizon=8)[0] for t in alone]
