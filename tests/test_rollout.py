"""A predicted trajectory passes if MuJoCo could have done it, and each way of breaking physics has its name."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import compile_for
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.rollouts import Noise, RolloutChecker, check_rollout
from worldverify.rollouts.states import angular, between

POSITION, ANGLE = 5e-4, 1e-3  # m, rad: the noise that predictions have in these tests
NOISE = Noise(POSITION, ANGLE)
SAME = 1e-9  # margins of the same states, seen by another batch of the engine
QPOS, QVEL = mujoco.mjtState.mjSTATE_QPOS, mujoco.mjtState.mjSTATE_QVEL
CUBE = slice(9, 16)  # the cube's position and quaternion in qpos of PickCube
PLANTED_S = 0.8  # s: when the planted violations begin
AT = 20  # the state at that time

TASKS = ("ReachSafe-v0", "PickCube-v0", "PutInBasket-v0")

BALL = """
<mujoco>
  <option timestep="0.005" integrator="implicitfast"><flag autoreset="disable"/></option>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <body name="ball" pos="0 0 2"><freejoint name="ball_free"/><geom type="sphere" size=".05" mass=".2"/></body>
    <body name="cart" pos="1 0 .5"><joint name="rail" type="slide" axis="1 0 0"/><geom size=".05" mass="1"/></body>
  </worldbody>
  <actuator><motor name="push" joint="rail" ctrlrange="-2 2"/></actuator>
</mujoco>
"""


def run(task: wv.Task, controls: Any, *, every: str = "control", start: Any = None) -> Any:
    """(K+1, nstate) what MuJoCo does under controls (T, nu)."""
    engine, lane = MujocoEngine(task.scene.model, 1), np.arange(1)
    states = [task.start(0) if start is None else start]
    engine.load(lane, states[0][None])
    for control in controls:
        for _ in range(1 if every == "control" else task.substeps):
            steps = task.substeps if every == "control" else 1
            engine.advance(lane, np.tile(control, (1, steps, 1)))
            states.append(engine.state(lane)[0])
    return np.array(states)


def controls_of(task: wv.Task, plan: Any, seed: int = 0) -> Any:
    """(T, nu) of a plan over the whole horizon."""
    start = task.start(seed)[None]
    (found,) = compile_for(task, start, [plan])
    assert not isinstance(found, wv.Refusal)
    return found.controls[np.minimum(np.arange(task.steps), len(found.controls) - 1)]


def wandering(task: wv.Task, seed: int) -> Any:
    """(T, nu) smooth random controls about home."""
    model, generator = task.scene.model, np.random.default_rng(seed)
    low, high = model.actuator_ctrlrange.T
    time = np.arange(task.steps)[:, None] / task.rate
    rate, reach = generator.uniform(0.1, 0.6, model.nu), generator.uniform(0, 0.25, model.nu) * (high - low) / 2
    home = task.start(0)[state_slice(model, mujoco.mjtState.mjSTATE_CTRL)]
    return np.clip(home + reach * np.sin(2 * np.pi * rate * time), low, high)


def noisy(task: wv.Task, states: Any, seed: int, *, velocities: bool) -> dict[str, Any]:
    """The prediction of these states with the declared noise."""
    model, generator = task.scene.model, np.random.default_rng(seed)
    sigma = np.where(angular(model), ANGLE, POSITION)
    qpos = states[:, state_slice(model, QPOS)].copy()
    for row in qpos:
        mujoco.mj_integratePos(model, row, generator.normal(size=model.nv) * sigma, 1.0)
    if not velocities:
        return {"qpos": qpos}
    spread = sigma * task.rate / np.sqrt(2)
    qvel = states[:, state_slice(model, QVEL)]
    return {"qpos": qpos, "qvel": qvel + generator.normal(size=qvel.shape) * spread}


def laws(verdict: wv.Verdict) -> dict[str, float]:
    """What is left of what each law of physics allows."""
    return {name: m.value or 0.0 for name, m in verdict.margins.items() if name.startswith("physics:")}


@pytest.fixture(scope="module")
def pick() -> RolloutChecker:
    return RolloutChecker("PickCube-v0")


@pytest.fixture(scope="module")
def still(pick: RolloutChecker) -> tuple[Any, Any]:
    """2 s of the arm at home and the cube at rest: states, controls."""
    model = pick.task.scene.model
    home = pick.task.start(0)[state_slice(model, mujoco.mjtState.mjSTATE_CTRL)]
    controls = np.tile(home, (50, 1))
    return run(pick.task, controls), controls


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("velocities", [True, False], ids=["with velocities", "without"])
@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
def test_true_rollouts_with_the_declared_noise_obey_physics(name: str, velocities: bool, acting: bool) -> None:
    checker = RolloutChecker(name)
    task = checker.task
    for seed, controls in enumerate((controls_of(task, task.good), wandering(task, 1))):
        states = run(task, controls)
        for first in (0, len(controls) // 3, 2 * len(controls) // 3):
            part = slice(first, first + 30)
            predicted = noisy(task, states[first : first + 31], seed, velocities=velocities)
            verdict = checker.check(predicted, controls[part] if acting else None, noise=NOISE)
            assert laws(verdict) and min(laws(verdict).values()) > 0, (seed, first, verdict.explain())


@pytest.mark.parametrize("velocities", [True, False], ids=["with velocities", "without"])
def test_a_state_a_physics_step_is_judged_as_well(velocities: bool, pick: RolloutChecker) -> None:
    controls = wandering(pick.task, 5)[:30]
    predicted = noisy(pick.task, run(pick.task, controls, every="substep"), 1, velocities=velocities)
    verdict = pick.check(predicted, controls, noise=NOISE, every="substep")
    assert min(laws(verdict).values()) > 0, verdict.explain()
    predicted["qpos"][155:, 10] += 0.1
    verdict = pick.check(predicted, controls, noise=NOISE, every="substep")
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == "physics:teleport", verdict.explain()
    assert abs(verdict.first_violation.time_s - 155 * pick.task.timestep) < SAME


def test_the_good_plan_of_a_task_obeys_physics_as_it_begins(a_task: str) -> None:
    checker = RolloutChecker(a_task)
    controls = controls_of(checker.task, checker.task.good)[:40]
    states = run(checker.task, controls)
    for velocities, actions in ((True, controls), (False, None)):
        verdict = checker.check(noisy(checker.task, states, 0, velocities=velocities), actions, noise=NOISE)
        assert min(laws(verdict).values()) > 0, verdict.explain()


@pytest.mark.parametrize("name", TASKS)
def test_positions_alone_without_noise_obey_physics(name: str) -> None:
    checker = RolloutChecker(name)
    task = checker.task
    controls = controls_of(task, task.good)
    states = run(task, controls)
    verdict = checker.check({"qpos": states[:, state_slice(task.scene.model, QPOS)]}, controls, seed=0)
    assert min(laws(verdict).values()) > 0, verdict.explain()
    assert verdict.status == "PASS"


@pytest.mark.parametrize("requirement", [None, "gentle", "steady"])
def test_an_exact_rollout_has_the_verdict_of_its_plan(requirement: str | None, pick: RolloutChecker) -> None:
    task = pick.task
    plan = task.good if requirement is None else task.bad[requirement]
    (asked,) = wv.verify(task, [plan])
    controls = controls_of(task, plan)
    verdict = pick.check(run(task, controls, every="substep"), controls, every="substep", seed=0)
    assert (verdict.status, verdict.first_violation) == (asked.status, asked.first_violation), verdict.explain()
    for name, margin in asked.margins.items():
        for one, other in zip(margin.interval, verdict.margins[name].interval, strict=True):
            assert one == other or abs(one - other) < SAME


def planted(change: Callable[[Any, Any], None]) -> Callable[[Any], None]:
    """A change of the cube's qpos rows from AT on: change(rows (n, 7), time since then (n,))."""

    def apply(qpos: Any) -> None:
        rows = qpos[AT:]
        change(rows[:, CUBE], np.arange(len(rows)) / 25.0)

    return apply


def push_into_the_table(cube: Any, t: Any) -> None:
    cube[:, 2] -= 0.015


def jump_aside(cube: Any, t: Any) -> None:
    cube[:, 1] += 0.1


def leap(cube: Any, t: Any) -> None:
    """Off the table at 1 m/s, and down again."""
    cube[:, 2] += np.maximum(1.0 * t - 9.81 * t**2 / 2, 0.0)


def glide(cube: Any, t: Any) -> None:
    """Along the table, faster and faster."""
    cube[:, 1] += 1.5 * t**2 / 2


def float_up(cube: Any, t: Any) -> None:
    """Slowly up to 10 cm, and there it stays."""
    cube[:, 1] += 0.0 * t
    cube[:, 2] += np.minimum(0.3 * t, 0.1)


@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
@pytest.mark.parametrize(
    ("law", "change"),
    [
        ("penetration", push_into_the_table),
        ("teleport", jump_aside),
        ("energy", leap),
        ("energy", glide),
        ("support", float_up),
    ],
)
def test_a_planted_violation_is_caught_by_its_name(
    law: str, change: Callable[[Any, Any], None], acting: bool, pick: RolloutChecker, still: tuple[Any, Any]
) -> None:
    states, controls = still
    predicted = noisy(pick.task, states, 0, velocities=False)
    planted(change)(predicted["qpos"])
    verdict = pick.check(predicted, controls if acting else None, noise=NOISE)
    assert verdict.status == "FAIL"
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == f"physics:{law}", verdict.explain()
    assert PLANTED_S - 0.05 <= verdict.first_violation.time_s <= PLANTED_S + 0.5
    assert (verdict.margins[f"physics:{law}"].value or 0.0) < 0


def falling_cube(pick: RolloutChecker) -> tuple[Any, Any]:
    """0.4 s of a cube that is let fall from 1 m, beside the arm."""
    start = pick.task.start(0)
    where = state_slice(pick.task.scene.model, QPOS).start
    start[where + 9 : where + 12] = 0.5, 0.4, 1.0
    home = start[state_slice(pick.task.scene.model, mujoco.mjtState.mjSTATE_CTRL)]
    controls = np.tile(home, (10, 1))
    return run(pick.task, controls, start=start), controls


@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
def test_a_falling_cube_obeys_physics_until_it_freezes_in_the_air(acting: bool, pick: RolloutChecker) -> None:
    states, controls = falling_cube(pick)
    predicted = noisy(pick.task, states, 0, velocities=False)
    actions = controls if acting else None
    true = pick.check(predicted, actions, noise=NOISE)
    assert min(laws(true).values()) > 0, true.explain()
    predicted["qpos"][4:, CUBE] = predicted["qpos"][4, CUBE]
    verdict = pick.check(predicted, actions, noise=NOISE)
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == "physics:support", verdict.explain()


@pytest.mark.parametrize("acting", [True, False], ids=["with actions", "without"])
def test_a_cube_that_hangs_in_the_air_from_the_start_is_not_supported(acting: bool, pick: RolloutChecker) -> None:
    states, controls = falling_cube(pick)
    verdict = pick.check(
        noisy(pick.task, states[[0] * 11], 0, velocities=False), controls if acting else None, noise=NOISE
    )
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == "physics:support", verdict.explain()


def test_a_world_that_ignores_its_actions_has_a_residual(pick: RolloutChecker, still: tuple[Any, Any]) -> None:
    states, controls = still
    moving = controls.copy()
    moving[AT:, 0] += 0.3
    verdict = pick.check(noisy(pick.task, states, 0, velocities=False), moving, noise=NOISE)
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == "physics:residual", verdict.explain()
    assert PLANTED_S <= verdict.first_violation.time_s <= PLANTED_S + 0.2


def test_an_arm_that_moves_too_far_has_a_residual(pick: RolloutChecker) -> None:
    controls = wandering(pick.task, 3)[:50]
    predicted = noisy(pick.task, run(pick.task, controls), 0, velocities=True)
    predicted["qpos"][:, 0] *= 1.5
    verdict = pick.check(predicted, controls, noise=NOISE)
    assert laws(verdict)["physics:residual"] < 0


def test_without_actions_an_arm_may_move_as_its_motors_can_and_no_faster(
    pick: RolloutChecker, still: tuple[Any, Any]
) -> None:
    """Joint 7 has 12 Nm for 0.2 kg m^2 and what hangs on it."""
    states, _ = still
    time = np.arange(len(states)) / 25.0
    for amplitude, holds in ((0.02, True), (0.3, False)):
        qpos = states[:, state_slice(pick.task.scene.model, QPOS)].copy()
        qpos[:, 6] += amplitude * np.sin(2 * np.pi * 3 * time) * np.minimum(time, 1.0)
        verdict = pick.check({"qpos": qpos}, noise=Noise(1e-5, 1e-5))
        assert (laws(verdict)["physics:residual"] > 0) == holds, verdict.explain()


def test_half_of_gravity_is_not_gravity() -> None:
    task = wv.Task.from_mjcf(BALL, spec="up: always(pos(ball).z > 0.01 m)", horizon=0.5, rate=20.0)
    drop = run(task, np.zeros((10, 1)))
    assert check_rollout(task, drop).status == "PASS"
    first = state_slice(task.scene.model, QPOS).start
    qpos = drop[:, state_slice(task.scene.model, QPOS)].copy()
    assert first + 2 < task.scene.nstate
    qpos[:, 2] = 2.0 - (2.0 - qpos[:, 2]) / 2
    verdict = check_rollout(task, {"qpos": qpos})
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == "physics:support"
    assert abs(verdict.margins["physics:support"].scale - 0.5) < SAME  # m/s/s: with no noise, only the floor


def test_a_push_beyond_the_motor_is_unexplained() -> None:
    """The cart of 1 kg has a motor of 2 N."""
    task = wv.Task.from_mjcf(BALL, spec="up: always(pos(ball).z > 0.01 m)", horizon=0.5, rate=20.0)
    drop = run(task, np.zeros((10, 1)))[:, state_slice(task.scene.model, QPOS)]
    for acceleration, holds in ((1.5, True), (4.0, False)):
        qpos = drop.copy()
        qpos[:, 7] += acceleration * (np.arange(11) / 20) ** 2 / 2
        assert (laws(check_rollout(task, {"qpos": qpos}))["physics:residual"] > 0) == holds


def test_forces_are_unknown_without_actions_and_a_pass_needs_them(pick: RolloutChecker) -> None:
    task = pick.task
    controls = controls_of(task, task.good)
    predicted = noisy(task, run(task, controls), 0, velocities=True)
    blind = pick.check(predicted, noise=NOISE, seed=0)
    assert blind.status == "INCONCLUSIVE"
    assert blind.margins["gentle"].interval == (-np.inf, np.inf)
    assert "gentle" in blind.reason and "actions" in blind.reason
    told = pick.check(predicted, controls, noise=NOISE, seed=0)
    assert told.status == "PASS", told.explain()
    assert any("forces of held, gentle, clear" in w for w in told.warnings), told.warnings


def test_a_spec_without_forces_passes_on_states_alone() -> None:
    checker = RolloutChecker("ReachSafe-v0")
    controls = controls_of(checker.task, checker.task.good)
    verdict = checker.check(run(checker.task, controls), seed=0)
    assert verdict.status == "PASS", verdict.explain()


def test_a_violated_spec_fails_though_physics_holds() -> None:
    checker = RolloutChecker("ReachSafe-v0")
    controls = controls_of(checker.task, checker.task.bad["clear"])
    verdict = checker.check(run(checker.task, controls), controls, seed=0)
    assert min(laws(verdict).values()) > 0
    assert verdict.first_violation is not None
    assert verdict.first_violation.requirement == "clear"


def test_a_prediction_that_begins_elsewhere_is_told_from_the_start(
    pick: RolloutChecker, still: tuple[Any, Any]
) -> None:
    states, controls = still
    verdict = pick.check(states, controls, seed=1)
    assert verdict.first_violation == wv.Violation("physics:start", 0.0)


def test_a_short_prediction_leaves_the_rest_open(pick: RolloutChecker, still: tuple[Any, Any]) -> None:
    states, controls = still
    verdict = pick.check(states[:11], controls[:10], seed=0)
    assert verdict.status == "INCONCLUSIVE"
    assert "where the prediction ends" in verdict.reason


def test_the_same_prediction_has_the_same_digest_and_another_has_another(
    pick: RolloutChecker, still: tuple[Any, Any]
) -> None:
    states, controls = still
    one, other = pick.check(states[:11], controls[:10], id="a"), check_rollout(pick.task, states[:11], controls[:10])
    assert (one.digest, one.request) == (other.digest, other.request)
    louder = pick.check(states[:11], controls[:10], noise=NOISE)
    assert louder.digest != one.digest
    assert one.to_json()["engine"]["method"] == "rollout"


def _states(pick: RolloutChecker) -> Any:
    return np.tile(pick.task.start(0), (6, 1))


BAD: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "text": ("wrong_type", lambda s: {"states": "nonsense"}),
    "ragged": ("wrong_type", lambda s: {"states": [[1.0], [1.0, 2.0]]}),
    "one vector": ("wrong_width", lambda s: {"states": s[0]}),
    "too narrow": ("wrong_width", lambda s: {"states": s[:, :7]}),
    "one state": ("empty", lambda s: {"states": s[:1]}),
    "too long": ("too_many_steps", lambda s: {"states": np.tile(s[:1], (200, 1))}),
    "NaN": ("not_finite", lambda s: {"states": np.where(np.arange(6)[:, None] == 3, np.nan, s)}),
    "absurd": ("out_of_range", lambda s: {"states": {"qpos": np.full((6, 16), 1e9)}}),
    "unknown key": ("unknown_key", lambda s: {"states": {"qpos": s[:, 1:17], "force": s}}),
    "no qpos": ("missing_key", lambda s: {"states": {"qvel": s[:, 1:16]}}),
    "no unit quaternion": ("bad_quaternion", lambda s: {"states": {"qpos": 0 * s[:, 1:17]}}),
    "unequal parts": ("wrong_width", lambda s: {"states": {"qpos": s[:, 1:17], "qvel": np.zeros((5, 15))}}),
    "an action too many": ("wrong_width", lambda s: {"states": s, "actions": np.zeros((6, 8))}),
    "an action out of range": ("out_of_range", lambda s: {"states": s, "actions": np.full((5, 8), 99.0)}),
    "NaN in an action": ("out_of_range", lambda s: {"states": s, "actions": np.full((5, 8), np.nan)}),
    "half a period": ("wrong_rate", lambda s: {"states": s, "every": "substep"}),
}


@pytest.mark.parametrize(("code", "make"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_invalid_with_a_sentence(
    code: str, make: Callable[[Any], dict[str, Any]], pick: RolloutChecker
) -> None:
    verdict = pick.check(**make(_states(pick)))
    assert (verdict.status, verdict.cause, verdict.code) == ("INVALID", "plan", code), verdict.reason
    assert verdict.reason.endswith((".", ")."))
    assert verdict.reward == pick.task.reward_min


@pytest.mark.parametrize("wrong", [{"position": -1.0}, {"angle": np.nan}, {"velocity": np.inf}])
def test_noise_is_a_size(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="from 0 on"):
        Noise(**wrong)


def test_an_unknown_rate_is_refused(pick: RolloutChecker) -> None:
    with pytest.raises(ValueError, match="control"):
        pick.check(_states(pick), every="often")  # type: ignore[arg-type]


def test_between_two_states_lies_the_straight_way(pick: RolloutChecker) -> None:
    model = pick.task.scene.model
    ends = _states(pick)[:2]
    where = state_slice(model, QPOS).start
    ends[1, where + 9] += 0.1
    ends[1, where + 12 : where + 16] = np.cos(0.5), 0.0, 0.0, np.sin(0.5)
    ends[0, where + 12 : where + 16] = 1.0, 0.0, 0.0, 0.0
    parts = between(model, ends, 4)
    assert np.allclose(np.diff(parts[:, where + 9]), 0.025)
    assert np.allclose(2 * np.arctan2(parts[:, where + 15], parts[:, where + 12]), np.linspace(0, 1, 5))
