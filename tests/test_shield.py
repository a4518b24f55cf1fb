"""The shield: what was not verified is not executed, and there is always a verified way to stop, or it says so."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import ClipAction, RecordEpisodeStatistics

import worldverify as wv
from worldverify.envs.gym import PlanEnv, TaskEnv
from worldverify.envs.vector_env import TaskVectorEnv
from worldverify.shield import Shield
from worldverify.verdict import Verdicts

# A cart on a rail whose action is its speed, and a puck that comes towards it if it is given a speed.
RAIL = """
<mujoco model="rail">
  <option timestep="0.005" gravity="0 0 0"/>
  <worldbody>
    <body name="cart">
      <joint name="rail" type="slide" axis="1 0 0"/><geom type="box" size="0.05 0.05 0.05" mass="1"/>
    </body>
    <body name="puck" pos="-1 0 0">
      <joint name="glide" type="slide" axis="1 0 0"/><geom type="sphere" size="0.05" mass="0.1"/>
    </body>
  </worldbody>
  <actuator><velocity name="drive" joint="rail" kv="20" ctrlrange="-1 1"/></actuator>
  <keyframe><key name="still"/><key name="coming" qvel="0 0.35"/></keyframe>
</mujoco>
"""
SPEC = """
there: eventually(pos(cart).x > 0.3 m)
wall:  always(pos(cart).x < 0.49 m)
apart: always(distance(cart, puck) > 0.2 m)
"""
RATE, CHUNK = 20.0, 5  # Hz, actions

Proposals = Callable[[Any, int], Any]


def rail(keyframe: str = "still") -> TaskEnv:
    task = wv.Task.from_mjcf(RAIL, spec=SPEC, horizon=3.0, rate=RATE, keyframe=keyframe)
    return TaskEnv(task, normalised=False)


@pytest.fixture
def env() -> Iterator[TaskEnv]:
    env = rail()
    yield env
    env.close()


def speeds(*values: float, length: int = CHUNK) -> Proposals:
    """A proposer of constant speeds, m/s."""
    return lambda observation, count: np.array(values)[:, None, None] * np.ones((1, length, 1))


def halt(last: Any) -> Any:
    return np.zeros((1, 1))


def shield(env: Any, proposer: Proposals, **options: Any) -> Shield:
    return Shield(env, proposer, **{"chunk": CHUNK, "stop": halt, **options})


def begun(env: Any, proposer: Proposals, **options: Any) -> Shield:
    made = shield(env, proposer, **options)
    made.reset(seed=0)
    return made


def unanswered(env: TaskEnv, monkeypatch: pytest.MonkeyPatch, which: Callable[[int, int], bool]) -> None:
    """From now on the verifier has no answer to plan i of n where which(i, n)."""
    verify = env.verify

    def verify_some(plans: Sequence[Any], **options: Any) -> Verdicts:
        verdicts = verify(plans, **options)
        lost = {"status": "INVALID", "cause": "infra", "reason": "The engine failed.", "reward": math.nan}
        return Verdicts(
            tuple(
                replace(v, **lost, valid=False, margins={}) if which(i, len(verdicts)) else v
                for i, v in enumerate(verdicts)
            )
        )

    monkeypatch.setattr(env, "verify", verify_some)


# What is executed


def test_of_the_candidates_that_pass_the_best_is_executed(env: TaskEnv) -> None:
    step = begun(env, speeds(0.2, 0.6, -0.3)).step()
    assert (step.kind, step.chosen) == ("candidate", 1)
    assert np.array_equal(step.actions, np.full((CHUNK, 1), 0.6)) and np.array_equal(env.plan.actions, step.actions)
    assert step.verdict is step.verdicts[1] and len(step.verdicts) == 3


def test_of_equal_candidates_the_first_is_executed(env: TaskEnv) -> None:
    assert begun(env, speeds(0.3, 0.3, 0.3)).step().chosen == 0


def test_the_first_candidate_that_passes_is_executed_if_that_is_preferred(env: TaskEnv) -> None:
    assert begun(env, speeds(2.0, 0.1, 0.6), prefer="first").step().chosen == 1


def test_one_candidate_is_enough(env: TaskEnv) -> None:
    report = shield(env, speeds(0.4), candidates=1).run(seed=0)
    assert report.success and report.safe and report.verified == report.chunks


def test_a_candidate_may_be_a_single_matrix_or_shorter_than_a_chunk(env: TaskEnv) -> None:
    made = begun(env, lambda observation, count: np.full((2, 1), 0.3))
    assert len(made.step().actions) == 2


def test_of_a_longer_candidate_only_the_chunk_is_judged_and_executed(env: TaskEnv) -> None:
    into_the_wall = np.concatenate([np.full((CHUNK, 1), 0.3), np.full((50, 1), 1.0)])
    step = begun(env, lambda observation, count: [into_the_wall]).step()
    assert step.kind == "candidate" and len(step.actions) == CHUNK


def test_a_chunk_after_which_it_is_too_late_to_stop_is_not_executed(env: TaskEnv) -> None:
    held = shield(env, speeds(0.9), stop=lambda last: last)  # a speed goes on
    assert held.run(seed=0).violations == ()
    blind = shield(env, speeds(0.9), stop=lambda last: last, tail_s=0.0).run(seed=0)
    assert blind.violations == ("wall",) and blind.unsafe > 0 and not blind.safe


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_proposed_no_guard_is_violated(env: TaskEnv, seed: int) -> None:
    generator = np.random.default_rng(seed)

    def anything(observation: Any, count: int) -> Any:
        return generator.choice([-1.0, 0.5, 1.0, 1.5, math.nan], size=(generator.integers(0, 5), CHUNK, 1))

    report = shield(env, anything, tail_s=None).run(seed=seed)
    assert report.safe and report.unsafe == 0
    assert wv.verify(env.task, [env.plan], seed=seed)[0].status == report.status


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1.01])
def test_a_candidate_that_no_plan_may_hold_is_not_executed(env: TaskEnv, bad: float) -> None:
    step = begun(env, speeds(bad, 0.2)).step()
    assert step.chosen == 1 and (step.verdicts[0].status, step.verdicts[0].cause) == ("INVALID", "plan")


def test_the_evidence_before_a_chunk_counts(env: TaskEnv) -> None:
    made = begun(env, speeds(0.8))
    while (step := made.step()).kind == "candidate" and not step.over:
        pass
    assert step.kind == "stop"
    assert 0.3 < env.state[1] < 0.49  # time, then qpos: it came near the wall, and not into it


# Where nothing passes


def test_where_nothing_is_proposed_the_robot_stays(env: TaskEnv) -> None:
    report = shield(env, lambda observation, count: []).run(seed=0)
    assert report.safe and not report.success and report.stops == report.chunks and report.verified == 0
    assert np.array_equal(env.plan.actions, np.zeros((60, 1)))


def test_the_start_of_an_arm_is_held_by_default() -> None:
    env = TaskEnv("ReachSafe-v0")
    made = Shield(env, lambda observation, count: [], chunk=10)
    made.reset(seed=3)
    step = made.step()
    ctrl = env.task.scene.data(env.task.start(3)).ctrl
    assert step.kind == "stop"
    np.testing.assert_allclose(env.task.scene.data(env.state).ctrl, ctrl, atol=1e-6)
    env.close()


def test_a_fallback_is_taken_where_the_stop_does_not_pass() -> None:
    env = rail("coming")
    made = begun(env, lambda observation, count: [], fallbacks=speeds(-0.5, 0.5), tail_s=0.2)
    steps = [made.step()]
    while not steps[-1].over:
        steps.append(made.step())
    kinds = [step.kind for step in steps]
    assert kinds[0] == "stop" and "fallback" in kinds
    assert made.report.safe and made.report.stops == made.report.chunks
    env.close()


def test_where_not_even_the_stop_passes_what_holds_out_longest_is_executed_and_called_unsafe() -> None:
    env = rail("coming")
    made = begun(env, speeds(-0.8, 0.02, -0.4), tail_s=None)
    step = made.step()
    assert (step.kind, step.chosen) == ("unsafe", 1)
    while not (step := made.step()).over:
        pass
    assert made.report.violations == ("apart",) and made.report.unsafe > 0 and not made.report.safe
    env.close()


def test_steps_of_a_tool_need_a_stop_of_their_own_and_are_then_foreseen_as_they_are_executed() -> None:
    env = TaskEnv("PickCube-v0", actions="ee_delta")
    generator = np.random.default_rng(0)

    def wander(observation: Any, count: int) -> Any:
        return generator.uniform(-0.4, 0.4, (count, 8, 7))

    with pytest.raises(ValueError, match=r"are changes \(ee_delta\).*stop=lambda"):
        Shield(env, wander, chunk=8).reset(seed=0)
    made = Shield(env, wander, candidates=2, chunk=8, tail_s=0.0, stop=lambda last: [*np.zeros(6), last[6]])
    made.reset(seed=0)
    for _ in range(3):
        step = made.step()
        assert step.verdict is not None and step.kind == "candidate"
        foreseen = [step.verdict.margins[name].interval[1] for name in ("gentle", "steady", "clear")]
        assert foreseen == [env.margins[name].interval[1] for name in ("gentle", "steady", "clear")]
    env.close()


# Where there is no answer


def test_a_candidate_without_an_answer_is_neither_executed_nor_counted(
    env: TaskEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(env, speeds(0.6, 0.2))
    unanswered(env, monkeypatch, lambda i, n: i == 0)
    step = made.step()
    assert step.chosen == 1
    assert (made.report.verified, made.report.passed, made.report.unjudged) == (1, 1, 1)


def test_without_any_answer_the_stop_that_passed_before_is_used_up_and_then_nothing_is_executed(
    env: TaskEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(env, speeds(0.4), tail_s=0.5)  # ten actions, two chunks
    made.step()
    unanswered(env, monkeypatch, lambda i, n: True)
    for _ in range(2):
        step = made.step()
        assert (step.kind, step.verdict) == ("stop", None) and not step.actions.any()
    with pytest.raises(RuntimeError, match=r"not even to stop: The engine failed"):
        made.step()
    assert len(env.plan.actions) == 3 * CHUNK


def test_without_any_answer_at_the_start_nothing_is_executed(env: TaskEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begun(env, speeds(0.4))
    unanswered(env, monkeypatch, lambda i, n: True)
    with pytest.raises(RuntimeError, match="Nothing can be verified"):
        made.step()
    assert len(env.plan.actions) == 0


# What it says


def test_a_report_adds_up(env: TaskEnv) -> None:
    made = shield(env, speeds(0.8, 0.4, math.nan))
    report = made.run(seed=0)
    assert report == made.report
    assert report.success and report.status == "PASS" and report.violations == ()
    assert report.verified == 3 * report.chunks and report.passed + report.chunks <= report.verified
    assert report.executed == len(env.plan.actions)
    assert report.cost.steps > 0 and report.cost.wall_s > 0


def test_rewards_of_the_chunks_add_up_to_that_of_the_verdict(env: TaskEnv) -> None:
    made, total = begun(env, speeds(0.4)), 0.0
    while True:
        step = made.step()
        total += step.reward
        if step.over:
            break
    assert total == pytest.approx(wv.verify(env.task, [env.plan])[0].reward)


def test_an_episode_is_the_same_when_it_is_run_again(env: TaskEnv) -> None:
    made = shield(env, speeds(0.8, 0.4))
    first, plan = made.run(seed=1), env.plan
    second = made.run(seed=1)
    assert env.plan == plan
    assert replace(first, cost=second.cost) == second


# How it is used


def test_wrappers_that_leave_the_actions_alone_may_lie_between() -> None:
    env = RecordEpisodeStatistics(gymnasium.make("worldverify/ReachSafe-v0"))
    made = Shield(env, lambda observation, count: [], chunk=40, tail_s=0.2)
    made.reset(seed=0)
    while not (step := made.step()).over:
        pass
    assert step.info["episode"]["l"] == made.report.executed
    env.close()


def test_a_wrapper_that_changes_the_actions_is_refused(env: TaskEnv) -> None:
    with pytest.raises(ValueError, match="without it"):
        shield(ClipAction(env), speeds(0.1))


def test_only_environments_that_verify_can_be_shielded(env: TaskEnv) -> None:
    for other in (PlanEnv(env.task), TaskVectorEnv(2, env.task, normalised=False), object()):
        with pytest.raises(TypeError, match="acted in step by step"):
            shield(other, speeds(0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": 0}, "candidates must be a whole number"),
        ({"chunk": 0}, "chunk must be a whole number"),
        ({"chunk": 2.5}, "chunk must be a whole number"),
        ({"prefer": "any"}, "prefer must be 'best' or 'first'"),
        ({"tail_s": -1.0}, "tail_s must be a number of seconds"),
        ({"tail_s": math.nan}, "tail_s must be a number of seconds"),
    ],
)
def test_an_option_out_of_range_is_refused(env: TaskEnv, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shield(env, speeds(0.1), **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, CHUNK, 3)), r"shape \(T, 1\).*got \(5, 3\)"),
        (np.zeros((2, 0, 1)), "at least one action"),
        (["go on"], r"actions_for\(text\)"),
        (None, "A proposer gives numbers"),
    ],
)
def test_what_is_no_chunk_of_actions_is_an_error(env: TaskEnv, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        begun(env, lambda observation, count: given).step()


def test_a_stop_of_the_wrong_shape_is_an_error(env: TaskEnv) -> None:
    with pytest.raises(ValueError, match=r"stop\(\) gives \(k, 1\)"):
        begun(env, speeds(0.1), stop=lambda last: np.zeros((2, 3)))


def test_a_shield_wants_reset_before_the_first_step_after_the_last_and_after_steps_of_others(env: TaskEnv) -> None:
    made = shield(env, speeds(0.4))
    with pytest.raises(RuntimeError, match="no episode yet"):
        made.step()
    with pytest.raises(RuntimeError, match="nothing to report"):
        _ = made.report
    made.run(seed=0)
    with pytest.raises(RuntimeError, match="has ended"):
        made.step()
    made.reset(seed=0)
    env.step(np.zeros(1))
    with pytest.raises(RuntimeError, match="past the shield"):
        made.step()
