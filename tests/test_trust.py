"""Physics that cannot be believed never passes, and the blame goes where it belongs."""

import json
import math
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.kernels.trust import constraint_work, force_gap, force_residual, largest
from worldverify.refusal import Refusal
from worldverify.verdict import Verdict

# At rest the cart is at its goal: a simulator that resets itself when it diverges would call that success.
TRAP = """
<mujoco>
  <option timestep="0.004"/>
  <worldbody>
    <site name="goal" type="sphere" size=".1"/>
    <body name="cart"><joint name="rail" type="slide" axis="1 0 0"/><geom size=".05" mass="{mass}"/></body>
  </worldbody>
  <actuator><motor joint="rail" gear="{gear}"/></actuator>
</mujoco>
"""


def trap(spec: str, *, mass: float = 1e-6, gear: float = 1e6, rate: float = 25.0) -> wv.Task:
    return wv.Task.from_mjcf(TRAP.format(mass=mass, gear=gear), spec=spec, horizon=1.0, rate=rate)


def judged(task: wv.Task, plan: Any = None, **options: Any) -> Verdict:
    plan = np.zeros((1, task.scene.model.nu)) if plan is None else np.asarray(plan, dtype=np.float64)
    return wv.verify(task, plan, **options)[0]


HOME = "home: at_end(inside(cart, goal))"


@pytest.mark.parametrize("push", [1e6, 1e3, -1e6])
@pytest.mark.parametrize("spec", [HOME, "home: always[0.5,1](inside(cart, goal))", "home: at_end(speed(cart) < 1 m/s)"])
def test_a_default_pose_that_satisfies_the_goal_driven_to_divergence_never_passes(push: float, spec: str) -> None:
    task = trap(spec)
    assert judged(task, [[0.0]]).status == "PASS"
    verdict = judged(task, [[push], [0.0]])
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "plan", "diverged")
    assert (verdict.reward, verdict.valid) == (task.reward_min, True)


def test_a_divergence_in_the_last_substep_counts() -> None:
    task = trap(HOME, rate=250.0)
    verdict = judged(task, [[0.0]] * 249 + [[1e6]])
    assert (verdict.status, verdict.code) == ("INVALID", "diverged")


def test_a_goal_reached_before_the_divergence_stands() -> None:
    task = trap("once: eventually[0,0.5](speed(cart) < 1 m/s)", rate=250.0)
    assert judged(task, [[0.0]] * 249 + [[1e6]]).status == "PASS"


def test_a_frozen_tail_does_not_satisfy_a_dwell() -> None:
    # MuJoCo repeats the last record of a lane that stopped: a cart frozen far away looks at rest there.
    task = trap("rest: eventually(always[0,0.3](pos(cart).x > 1 m))", gear=1e12)
    verdict = judged(task, [[0.0]] * 5 + [[1e6]])
    assert verdict.status == "INVALID"


def test_a_state_beyond_every_physical_range_is_not_believed_long_before_mujoco_objects() -> None:
    verdict = judged(trap("far: eventually(pos(cart).x > 1e7 m)", gear=1.0), [[1e5]])
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "plan", "diverged")


def test_a_scene_that_diverges_by_itself_is_the_models_fault() -> None:
    text = TRAP.format(mass=1, gear=1).replace('axis="1 0 0"/>', 'axis="1 0 0" stiffness="-1e7"/>')
    text = text.replace("</actuator>", '</actuator><keyframe><key qpos="0.01"/></keyframe>')
    task = wv.Task.from_mjcf(text, spec=HOME, horizon=1.0, rate=25.0, keyframe=0)
    verdict = judged(task)
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "model", "diverged")
    assert math.isnan(verdict.reward) and not verdict.valid


def boxes(memory: str, height: float = 0.0505) -> wv.Task:
    nine = "".join(
        f'<body name="o{i}" pos="{0.11 * (i % 3)} {0.11 * (i // 3)} {height}"><freejoint/>'
        '<geom type="box" size=".05 .05 .05"/></body>'
        for i in range(9)
    )
    text = f"""
    <mujoco><size memory="{memory}"/><option timestep="0.004"/>
      <worldbody><geom name="floor" type="plane" size="1 1 .1"/>{nine}</worldbody>
      <actuator><adhesion body="o0" gain="1" ctrlrange="0 1"/></actuator>
    </mujoco>"""
    return wv.Task.from_mjcf(text, spec="low: always(pos(o0).z < 0.2 m)", horizon=0.2, rate=25.0)


def test_contacts_that_overflow_are_simulated_again_with_more_memory() -> None:
    verdict = judged(boxes("60K"))
    assert verdict.status == "PASS"
    assert any("4 times the memory" in warning for warning in verdict.warnings)
    assert verdict.cost.steps == 2 * 50


def test_contacts_that_overflow_again_are_invalid() -> None:
    verdict = judged(boxes("16K"))
    assert (verdict.status, verdict.code, verdict.cause) == ("INVALID", "overflow", "model")


def test_an_overflow_leaves_the_verdicts_of_the_batch_as_they_were() -> None:
    task = boxes("16K")
    state = task.start()  # on the floor, where the contacts overflow
    apart = state.copy()
    for i in range(9):
        apart[1 + 7 * i + 2] += 0.5 * (i > 0)
    plans = [np.zeros((1, 1))] * 3
    together = wv.verify(task, plans, state=np.stack([apart, state, apart]))
    alone = wv.verify(task, plans[:1], state=apart)
    assert [v.status for v in together] == ["PASS", "INVALID", "PASS"]
    assert together[0].digest == together[2].digest == alone[0].digest


def test_a_start_with_objects_pushed_into_each_other_is_refused() -> None:
    verdict = judged(boxes("1M", height=0.04))
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "model", "initial_state")
    assert "10.00 mm" in verdict.reason and "o0" in verdict.reason
    assert verdict.cost.steps == 0


def test_a_thin_object_may_start_less_deep_than_a_thick_one() -> None:
    def pushed(size: str, depth: float) -> str | None:
        text = f"""
        <mujoco><option timestep="0.004"/><worldbody>
          <geom name="floor" type="box" size="1 1 .5" pos="0 0 -.5"/>
          <body name="o" pos="0 0 {float(size.split()[2]) - depth}"><freejoint/><geom type="box" size="{size}"/></body>
        </worldbody><actuator><adhesion body="o" gain="1" ctrlrange="0 1"/></actuator></mujoco>"""
        task = wv.Task.from_mjcf(text, spec="low: always(pos(o).z < 9 m)", horizon=0.04, rate=25.0)
        return judged(task).code

    assert pushed(".05 .05 .05", 0.9e-3) is None
    assert pushed(".05 .05 .05", 1.1e-3) == "initial_state"
    assert pushed(".05 .05 .002", 0.9e-3) == "initial_state"
    assert pushed(".05 .05 .002", 0.1e-3) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_given_state_that_is_not_finite_is_invalid_and_its_verdict_is_plain_json(number: float) -> None:
    task = trap(HOME)
    state = task.start()
    state[1] = number
    verdict = judged(task, [[0.0]], state=state)
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "model", "initial_state")
    line = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert (line["reward"], line["valid"]) == (None, False)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (0,), ()])
def test_a_given_state_of_the_wrong_shape_is_refused_with_the_right_one(shape: tuple[int, ...]) -> None:
    task = trap(HOME)
    with pytest.raises(ValueError, match=rf"\({task.scene.nstate},\)"):
        judged(task, [[0.0]], state=np.zeros(shape))


def test_an_integrator_whose_forces_cannot_be_checked_is_refused() -> None:
    text = TRAP.format(mass=1, gear=1).replace('timestep="0.004"', 'timestep="0.004" integrator="RK4"')
    with pytest.raises(Refusal, match="implicitfast") as refused:
        wv.Task.from_mjcf(text, spec=HOME, horizon=1.0, rate=25.0)
    assert (refused.value.code, refused.value.cause) == ("bad_model", "model")


@pytest.mark.parametrize("integrator", ["Euler", "implicit", "implicitfast"])
@pytest.mark.parametrize("solver", ["PGS", "CG", "Newton"])
@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_every_solver_leaves_forces_that_add_up(integrator: str, solver: str, cone: str) -> None:
    text = f"""
    <mujoco><option timestep="0.004" integrator="{integrator}" solver="{solver}" cone="{cone}" noslip_iterations="2"/>
      <worldbody><geom name="floor" type="plane" size="1 1 .1"/>
        <body name="low" pos="0 0 .0505"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
        <body name="top" pos=".01 0 .16"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
      </worldbody>
      <actuator><adhesion body="low" gain="1" ctrlrange="0 1"/></actuator>
    </mujoco>"""
    task = wv.Task.from_mjcf(text, spec="stacked: at_end(pos(top).z > 0.14 m)", horizon=0.4, rate=25.0)
    assert judged(task).status == "PASS"


def test_a_solver_that_often_stops_at_its_limit_is_given_more_and_told_of() -> None:
    text = """
    <mujoco><option timestep="0.004" solver="PGS" iterations="20" tolerance="0"/>
      <worldbody><geom name="floor" type="plane" size="1 1 .1"/>
        <body name="o" pos="0 0 .06"><freejoint/><geom type="box" size=".05 .05 .05" mass="1"/></body>
      </worldbody>
      <actuator><adhesion body="o" gain="1" ctrlrange="0 1"/></actuator>
    </mujoco>"""
    task = wv.Task.from_mjcf(text, spec="low: always(pos(o).z < 0.07 m)", horizon=0.4, rate=25.0)
    verdict = judged(task)
    assert verdict.status == "PASS"
    assert any("a higher limit gives the same verdict" in warning for warning in verdict.warnings)
    assert verdict.cost.steps == 2 * 100


def test_a_verdict_that_a_better_converged_solver_does_not_repeat_is_undecided() -> None:
    text = """
    <mujoco><option timestep="0.004" solver="CG" iterations="1" tolerance="0"/>
      <worldbody><geom name="floor" type="plane" size="1 1 .1"/>
        <body name="o" pos="0 0 .3" euler="20 30 0"><freejoint/><geom type="box" size=".05 .05 .05" mass="1"/></body>
      </worldbody>
      <actuator><adhesion body="o" gain="1" ctrlrange="0 1"/></actuator>
    </mujoco>"""
    task = wv.Task.from_mjcf(text, spec="low: always(contact_force(o, floor) < 300 N)", horizon=0.4, rate=25.0)
    verdict = judged(task)
    assert verdict.status in ("INCONCLUSIVE", "INVALID")
    assert verdict.code in ("unconverged", "unbalanced")


def test_nothing_is_printed_or_logged(tmp_path: Any, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    judged(trap(HOME), [[1e6]])
    judged(boxes("16K"))
    with pytest.raises(Refusal):
        wv.Task.from_mjcf(TRAP.format(mass=1, gear=1).replace("0.004", "nan"), spec=HOME, horizon=1.0, rate=25.0)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_a_horizon_of_absurdly_many_steps_is_refused() -> None:
    text = TRAP.format(mass=1, gear=1).replace("0.004", "1e-9")
    with pytest.raises(ValueError, match="timestep"):
        wv.Task.from_mjcf(text, spec=HOME, horizon=1.0, rate=25.0)


def test_the_largest_number_is_nan_if_one_is_and_zero_if_there_is_none() -> None:
    rows = np.array([[1.0, -2.0], [np.nan, 0.0], [np.inf, 0.0], [5.0, -9.0]])
    np.testing.assert_array_equal(largest(rows), [2.0, np.nan, np.inf, 9.0])
    np.testing.assert_array_equal(largest(rows[None]), [[2.0, np.nan, np.inf, 9.0]])
    np.testing.assert_array_equal(largest(np.zeros((3, 0))), np.zeros(3))


def test_the_force_residual_by_hand() -> None:
    # M = [[2, 1], [1, 3]], stored as its lower triangle
    inertia, rows, columns = np.array([2.0, 1.0, 3.0]), [0, 1, 1], [0, 0, 1]
    qacc, smooth, constraint = np.array([1.0, -1.0]), np.array([0.0, 0.0]), np.array([1.0, -2.0])

    def residual(qacc: np.ndarray, smooth: np.ndarray) -> np.ndarray:
        return np.asarray(force_residual(force_gap(inertia, rows, columns, qacc, smooth, constraint), constraint))

    assert residual(qacc, smooth) == 0.0
    assert residual(qacc, smooth + 0.3) == pytest.approx(0.1)
    assert np.isnan(residual(qacc * np.nan, smooth))


def test_the_work_of_constraints_by_hand() -> None:
    qvel = np.array([[[1.0, 0.0], [3.0, 0.0], [3.0, -2.0]]])
    force = np.array([[[5.0, 7.0], [0.0, 10.0], [99.0, 99.0]]])
    assert constraint_work(qvel, force, 0.1).tolist() == [[pytest.approx(1.0), pytest.approx(-1.0)]]
