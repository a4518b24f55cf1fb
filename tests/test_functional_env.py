"""An environment on MJX is pure functions that say what the host says, and a vector environment made of them."""

from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.engines import device_physics
from worldverify.engines.backend import Backend
from worldverify.engines.device import warp_version_refusal
from worldverify.engines.physics import Job
from worldverify.envs.step_env import TaskEnv
from worldverify.envs.vector_env import TaskVectorEnv
from worldverify.kernels.engine import Fault

jax = pytest.importorskip("jax")

from worldverify.envs.functional import STATUSES, FunctionalEnv  # noqa: E402
from worldverify.envs.mjx_vector_env import MjxVectorEnv  # noqa: E402
from worldverify.kernels.mjx_room import Room  # noqa: E402

pytestmark = pytest.mark.xdist_group("functional")
WARP = pytest.param(
    "warp",
    marks=[
        pytest.mark.engines,
        pytest.mark.skipif(warp_version_refusal() is not None, reason=str(warp_version_refusal())),
    ],
)

# float32 against float64 over 0.8 s: radians, and margins in scales of 0.05 rad/s.
CLOSE, CLOSE_MARGIN = 2e-3, 5e-2

# Nothing touches and nothing is limited: XLA compiles it in seconds.
XML = """
<mujoco model="pendulum">
  <option timestep="0.02" jacobian="dense"><flag autoreset="disable"/></option>
  <worldbody>
    <body name="rod" pos="0 0 1">
      <joint name="hinge" axis="0 1 0" damping="0.2"/>
      <geom type="capsule" fromto="0 0 0 0 0 -.5" size=".02" mass="1"/>
    </body>
  </worldbody>
  <actuator><position name="drive" joint="hinge" kp="20" kv="2" ctrlrange="-2 2"/></actuator>
</mujoco>
"""
SPEC = """
raised: eventually(always[0,0.1](joint(hinge) > 0.3 rad))
slow:   always(abs(joint_speed(hinge)) < 4 rad/s)
"""
LANES, STEPS = 4, 8
QPOS = 1  # where it lies in a state, after the clock
PLANS = np.stack(  # (LANES, STEPS, 1) in [-1, 1]: it passes, is too fast at once and later, and does not move
    [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6], [1.0] * 8, [0.1, 0.2, 0.1, -1.0, *[0.0] * 4], [0.0] * 8]
)[:, :, None].astype(np.float32)


def pendulum(**more: Any) -> wv.Task:
    def nudge(generator: np.random.Generator, model: Any, data: Any) -> None:
        data.qpos[0] = generator.uniform(-0.1, 0.1)

    task: wv.Task = wv.Task.from_mjcf(
        XML, spec=SPEC, horizon=0.8, rate=10.0, name="Pendulum", instruction="Raise it.", randomise=nudge, **more
    )
    return task


@pytest.fixture(scope="module")
def task() -> wv.Task:
    return pendulum()


class Compiled:
    """A functional environment with its programs."""

    def __init__(self, env: FunctionalEnv) -> None:
        self.env, self.begin, self._step = env, jax.jit(env.begin), jax.jit(env.step)

    def start(self, seeds: Any = range(LANES)) -> Any:
        return self.begin(self.env.start_states(seeds))

    def step(self, state: Any, actions: Any, acting: Any = True) -> Any:
        return self._step(state, actions, np.broadcast_to(acting, self.env.lanes))

    def run(self, actions: Any, state: Any) -> tuple[Any, list[Any]]:
        """The state after actions (B, T, W), and what each of them has brought."""
        told = []
        for k in range(actions.shape[1]):
            state, *more = self.step(state, actions[:, k])
            told.append(more)
        return state, told


@pytest.fixture(scope="module")
def compiled(task: wv.Task) -> Compiled:
    return Compiled(FunctionalEnv(task, LANES, impl="jax"))


def test_an_episode_is_the_one_that_mujoco_has(compiled: Compiled, task: wv.Task) -> None:
    state, told = compiled.run(PLANS, compiled.start())
    single = TaskEnv(task)
    for lane in range(LANES):
        first, _ = single.reset(seed=lane)
        assert compiled.env.observe(compiled.start())[lane] == pytest.approx(first, abs=1e-6)
        ended = False
        for k in range(STEPS):
            seen, reward, terminated, truncated, info = (x[lane] if not isinstance(x, dict) else x for x in told[k])
            if ended:
                assert reward == 0 and terminated
                continue
            right = single.step(PLANS[lane, k])
            assert seen == pytest.approx(right[0], abs=CLOSE)
            assert (reward, terminated, truncated) == (pytest.approx(right[1], abs=CLOSE), right[2], right[3])
            assert STATUSES[info["status"][lane]] == right[4]["status"]
            standing = list(right[4]["standing"].values())
            assert info["standing"][lane] == pytest.approx(standing, rel=1e-3, abs=CLOSE_MARGIN)
            ended = terminated
        assert ended
        verdict = single.last_verdict
        assert verdict is not None and sum(more[1][lane] for more in told) == pytest.approx(verdict.reward, abs=CLOSE)
        for c, margin in enumerate(verdict.margins.values()):
            assert bool(info["margins_mask"][lane, c]) == (margin.relative is not None)
            assert info["margins"][lane, c] == pytest.approx(margin.relative or 0.0, rel=1e-3, abs=CLOSE_MARGIN)
    assert [STATUSES[i] for i in state.status] == ["PASS", "FAIL", "FAIL", "FAIL"]


def test_the_same_state_and_action_give_the_same_bits_and_change_neither(compiled: Compiled) -> None:
    state, _ = compiled.run(PLANS[:, :3], compiled.start())
    before = jax.tree.map(np.array, state._replace(key=0))
    first, second = compiled.step(state, PLANS[:, 3]), compiled.step(state, PLANS[:, 3])
    compiled.run(PLANS, compiled.start([7] * LANES))
    third = compiled.step(state, PLANS[:, 3])
    for one in (second, third):
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first[1:], one[1:]))
    assert jax.tree.all(jax.tree.map(lambda a, b: np.array_equal(a, b), before, state._replace(key=0)))


def test_a_scanned_rollout_is_the_loop_bit_by_bit_and_begins_anew_by_itself(task: wv.Task, compiled: Compiled) -> None:
    pool, traced = compiled.env.start_states(range(100, 103)), []
    env = FunctionalEnv(task, LANES, impl="jax", autoreset_mode="same_step", starts=pool)

    def rollout(state: Any, actions: Any) -> Any:
        traced.append(1)
        return jax.lax.scan(lambda s, a: (lambda new, *told: (new, told))(*env.step(s, a)), state, actions)

    scanned, (start, actions) = jax.jit(rollout), (compiled.start(), PLANS.swapaxes(0, 1))
    state, (seen, reward, terminated, truncated, info) = scanned(start, actions)
    scanned(compiled.start([9] * LANES), -actions)
    assert len(traced) == 1

    right, loop = compiled.run(PLANS, start)
    last, ends = np.stack([more[0] for more in loop]), np.stack([more[2] for more in loop])
    for lane in range(LANES):
        end = int(np.argmax(ends[:, lane]))
        told = slice(0, end + 1), lane
        assert np.array_equal(np.asarray(info["final_obs"])[told], last[told])
        for field, found in ((1, reward), (2, terminated), (3, truncated)):
            assert np.array_equal(np.asarray(found)[told], np.stack([more[field] for more in loop])[told])
        began = np.asarray(seen)[end, lane]
        assert began[-1] == 0 and np.isin(began[0], pool[:, QPOS].astype(np.float32))
        assert int(state.steps[lane]) == 5 * (STEPS - 1 - end) or np.asarray(terminated)[end + 1 :, lane].any()
    assert np.asarray(terminated).sum() > LANES and bool(right.terminated.all())


def test_an_action_that_cannot_be_followed_ends_its_episode_and_no_other(compiled: Compiled) -> None:
    state, told = compiled.run(PLANS[:, :2], compiled.start())
    sound = compiled.step(state, PLANS[:, 2])
    for bad in (np.nan, 1.5, -np.inf):
        actions = PLANS[:, 2].copy()
        actions[3] = bad
        after, _, reward, terminated, truncated, info = compiled.step(state, actions)
        assert STATUSES[info["status"][3]] == "INVALID" and info["valid"].all()
        assert terminated[3] and not truncated[3]
        assert sum(more[1][3] for more in told) + reward[3] == pytest.approx(-1.0)
        assert np.array_equal(after.rows[:3], sound[0].rows[:3]) and np.array_equal(reward[:3], sound[2][:3])


@pytest.mark.parametrize(
    ("fault", "valid"), [(Fault.NOT_FINITE, True), (Fault.OVERFLOW, False), (Fault.OVERFLOW | Fault.SUSPECT, False)]
)
def test_physics_that_is_not_trusted_is_never_a_reward_of_zero(compiled: Compiled, fault: Fault, valid: bool) -> None:
    state = compiled.start()
    sticky = np.array([0, 0, int(fault), 0], dtype=np.int32)
    _, _, reward, terminated, truncated, info = compiled.step(
        state._replace(watch=state.watch._replace(sticky=sticky)), PLANS[:, 0]
    )
    assert STATUSES[info["status"][2]] == "INVALID"
    assert (bool(terminated[2]), bool(truncated[2]), bool(info["valid"][2])) == (valid, not valid, valid)
    assert reward[2] == -1.0 if valid else np.isnan(reward[2])
    assert np.isfinite(np.delete(np.asarray(reward), 2)).all()


def test_lanes_that_do_not_act_stay_as_they_are(compiled: Compiled) -> None:
    state = compiled.start()
    acting = np.array([True, False, True, False])
    after, seen, reward, *_ = compiled.step(state, PLANS[:, 0], acting)
    whole, *_ = compiled.step(state, PLANS[:, 0])
    assert np.array_equal(after.rows, np.where(acting[:, None], whole.rows, state.rows))
    assert (reward[~acting] == 0).all()
    assert np.array_equal(after.steps, np.where(acting, 5, 0))
    assert np.array_equal(seen, compiled.env.observe(after))


@pytest.mark.parametrize("mode", ["disabled", "same_step", pytest.param("next_step", marks=pytest.mark.engines)])
def test_the_vector_environment_behaves_as_the_one_on_mujoco(task: wv.Task, mode: str) -> None:
    ours = MjxVectorEnv(3, task, impl="jax", autoreset_mode=mode)
    theirs = TaskVectorEnv(3, task, autoreset_mode=mode)
    generator, ends = np.random.default_rng(0), 0
    _alike(ours.reset(seed=5), theirs.reset(seed=5))
    for k in range(2 * STEPS):
        actions = generator.uniform(-0.6, 0.6, (3, 1)).astype(np.float32)
        if k == 4:
            actions[1] = np.nan
        mine, right = ours.step(actions), theirs.step(actions)
        _alike(mine, right)
        over = mine[2] | mine[3]
        ends += over.sum()
        if mode == "disabled" and over.any():
            _alike(*(env.reset(options={"reset_mask": over}) for env in (ours, theirs)))
    assert ends >= 3
    assert [ours.start_seed(lane) for lane in range(3)] == [theirs.start_seed(lane) for lane in range(3)]
    ours.close()
    theirs.close()


def _alike(mine: Any, right: Any, path: str = "") -> None:
    """The same, up to float32, whatever it is made of."""
    if isinstance(right, dict):
        assert mine.keys() == right.keys(), path
        for key in right:
            _alike(mine[key], right[key], f"{path}/{key}")
    elif isinstance(right, tuple):
        for i, (one, other) in enumerate(zip(mine, right, strict=True)):
            _alike(one, other, f"{path}/{i}")
    elif right.dtype == object:
        for one, other in zip(mine, right, strict=True):
            if isinstance(other, np.ndarray):
                assert one == pytest.approx(other, abs=CLOSE), path
            elif not path.endswith("reason"):  # they tell of margins
                assert one == other, path
    else:
        assert mine.dtype == right.dtype, path
        loose = "margins" in path or "standing" in path
        np.testing.assert_allclose(
            mine.astype(float), right.astype(float), atol=CLOSE_MARGIN if loose else CLOSE, rtol=1e-3, err_msg=path
        )


def test_what_a_device_does_not_read_is_refused_with_what_it_does(task: wv.Task) -> None:
    with pytest.raises(ValueError, match="joint targets and controls only"):
        FunctionalEnv("PickCube-v0", 2, impl="jax", actions="ee_delta")
    with pytest.raises(ValueError, match="render"):
        MjxVectorEnv(2, task, impl="jax", obs="pixels_agent_pos")
    with pytest.raises(ValueError, match="warp, jax"):
        FunctionalEnv(task, 2, impl="c")
    with pytest.raises(ValueError, match="whole number from 1 on"):
        FunctionalEnv(task, 0, impl="jax")


def test_actions_of_the_wrong_shape_are_refused(compiled: Compiled) -> None:
    with pytest.raises(ValueError, match=r"have shape \(4, 1\); got \(4, 2\)"):
        compiled.env.step(compiled.env.empty(), np.zeros((4, 2)))


def test_joint_targets_become_the_controls_that_the_host_makes_of_them() -> None:
    task, lanes = wv.load("PickCube-v0"), np.arange(4)
    env, rows = FunctionalEnv(task, 4, impl="jax"), np.random.default_rng(0).uniform(-1, 1, (4, 8))
    rows[1:, -1] = 1.0, 1.05, 1.3  # a gripper that is a little more than open is open
    states = np.stack([task.start(seed) for seed in lanes])
    controls, fit = env._episodes._controls(*map(jax.numpy.asarray, (states.astype(np.float32), rows)))
    follower = env.actions.follower(4)
    follower.load(lanes, states)
    right, refused = follower.advance(lanes, env.actions.tolerated(env.actions.to_units(rows)))
    assert fit.tolist() == [lane not in refused for lane in lanes] == [True, True, True, False]
    assert np.asarray(controls)[:3] == pytest.approx(right[:3, 0], rel=1e-6, abs=1e-6)


# On engines


@pytest.mark.engines
@pytest.mark.parametrize("impl", ["jax", WARP])
def test_an_episode_is_judged_as_the_engine_judges_the_plan(impl: str, near: wv.Task, monkeypatch: Any) -> None:
    monkeypatch.setattr(device_physics, "require_backend", lambda backend: None)
    plans = [near.good.actions, *(plan.actions for plan in near.bad.values())]  # type: ignore[union-attr]
    env = FunctionalEnv(near, len(plans), impl=impl, normalised=False)
    made, states = Compiled(env), env.start_states([0] * len(plans))
    state, told = made.run(np.stack(plans), made.begin(states))
    physics = device_physics.DevicePhysics(Backend("mjx", impl, "cpu"), None)  # type: ignore[arg-type]
    findings = physics.findings(Job(near, False, False, None, lambda n: None), states, plans)
    assert [STATUSES[i] for i in state.status] == [finding.status for finding in findings]
    for c, name in enumerate(near.spec.names):
        relative = [finding.margins[name].relative or 0.0 for finding in findings]
        ends = np.argmax([more[2] | more[3] for more in told], axis=0)
        found = [told[k][4]["margins"][lane, c] for lane, k in enumerate(ends)]
        assert found == pytest.approx(relative, rel=1e-4, abs=1e-3)


@pytest.mark.engines
def test_next_step_autoreset_begins_anew_instead_of_acting(task: wv.Task) -> None:
    env = FunctionalEnv(task, LANES, impl="jax", autoreset_mode="next_step", starts=3)
    made = Compiled(env)
    state, begun = jax.jit(env.init)(jax.random.key(1)), 0
    for k in range(2 * STEPS):
        over = np.asarray(state.terminated | state.truncated)
        state, seen, reward, terminated, truncated, _ = made.step(state, PLANS[:, k % STEPS])
        assert (np.asarray(reward)[over] == 0).all() and not np.asarray(terminated | truncated)[over].any()
        assert (np.asarray(seen)[over, -1] == 0).all() and (np.asarray(seen)[~over, -1] > 0).all()
        begun += over.sum()
    assert begun >= LANES


@pytest.mark.engines
def test_steps_are_mapped_over_stacks_of_episodes(compiled: Compiled) -> None:
    one, two = compiled.start(), compiled.start(range(10, 10 + LANES))
    both = jax.tree.map(lambda a, b: jax.numpy.stack([a, b]), one, two)
    mapped = jax.jit(jax.vmap(compiled.env.step))(both, np.stack([PLANS[:, 0], PLANS[:, 1]]))
    for i, (start, actions) in enumerate(((one, PLANS[:, 0]), (two, PLANS[:, 1]))):
        alone = compiled.step(start, actions)
        for field in range(1, 5):
            assert np.asarray(mapped[field][i]) == pytest.approx(np.asarray(alone[field]), abs=1e-5)


@pytest.mark.engines
@pytest.mark.parametrize("impl", [WARP])
def test_a_lane_whose_memory_is_full_is_left_out(impl: str, near: wv.Task) -> None:
    assert near.bad is not None
    env = FunctionalEnv(near, 1, impl=impl, normalised=False, room=Room(1, 1))
    made = Compiled(env)
    state, told = made.run(near.good.actions[None], made.begin(env.start_states([0])))  # type: ignore[union-attr]
    assert STATUSES[state.status[0]] == "INVALID" and state.truncated[0]
    assert any(np.isnan(more[1][0]) and not more[4]["valid"][0] for more in told)
