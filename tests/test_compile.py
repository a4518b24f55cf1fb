"""A plan becomes controls that do what it says, or a sentence about why not; with the same bits in any batch."""

import functools
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.arm import Arm
from worldverify.compile import STATE, compile_plans
from worldverify.envs.arm import add_arm, arm_value
from worldverify.kernels import kinematics, rotation
from worldverify.plan import Plan
from worldverify.reach import chain_of
from worldverify.refusal import Refusal
from worldverify.waypoint import Waypoint

RATE = 25.0
HORIZON = 8.0
ON_LINE = 1e-3  # m: what the compiler promises
ARM = arm_value()
DOWN = (0.0, 1.0, 0.0, 0.0)
CUBE = (0.5, 0.1, 0.02)
BOX = mujoco.mjtGeom.mjGEOM_BOX


@functools.cache
def scene() -> Any:
    """The arm on a floor, with a cube turned by 0.3 rad and a walled basket."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = 0.004
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    add_arm(spec)
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(2, 2, 0.1))
    spec.worldbody.add_site(name="mark", pos=(0.45, 0.2, 0.0), size=(0.005, 0.005, 0.005))
    cube = spec.worldbody.add_body(name="cube", pos=CUBE, quat=(np.cos(0.15), 0, 0, np.sin(0.15)))
    cube.add_freejoint()
    cube.add_geom(type=BOX, size=(0.02, 0.02, 0.02), mass=0.1, condim=4, friction=(1, 0.02, 1e-4))
    basket = spec.worldbody.add_body(name="basket", pos=(0.45, -0.25, 0))
    basket.add_geom(type=BOX, size=(0.1, 0.1, 0.005), pos=(0, 0, 0.005))
    for x, y in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):
        size = (0.005 if x else 0.1, 0.005 if y else 0.1, 0.03)
        basket.add_geom(type=BOX, size=size, pos=(x, y, 0.03))
    basket.add_site(name="inside", type=BOX, size=(0.09, 0.09, 0.025), pos=(0, 0, 0.035))
    return spec.compile()


@functools.cache
def home_state() -> np.ndarray:
    model = scene()
    data = mujoco.MjData(model)
    data.qpos[[model.joint(name).qposadr[0] for name in ARM.joints]] = ARM.home
    data.qpos[[model.joint(name).qposadr[0] for name in ARM.finger_joints]] = ARM.gripper_open
    data.ctrl[:] = [*ARM.home, ARM.gripper_open]
    state = np.zeros(mujoco.mj_stateSize(model, STATE))
    mujoco.mj_getState(model, data, state, STATE)
    return state


def compiled(*plans: Plan, arm: Arm | None = ARM, horizon: float = HORIZON) -> list[np.ndarray | Refusal]:
    states = np.tile(home_state(), (len(plans), 1))
    made = compile_plans(scene(), states, arm, plans, rate=RATE, horizon=horizon)
    return [one if isinstance(one, Refusal) else one.controls for one in made]


def controls(plan: Plan, **options: Any) -> np.ndarray:
    (result,) = compiled(plan, **options)
    assert not isinstance(result, Refusal), result
    return result


def refusal(plan: Plan, code: str, **options: Any) -> str:
    (result,) = compiled(plan, **options)
    assert isinstance(result, Refusal)
    assert (result.code, result.cause) == (code, "plan"), result
    return result.reason


def tool(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return kinematics.tool_pose(u[..., :7], *chain_of(ARM))


def ctrl(actions: Any, rate: float | None = None) -> Plan:
    return Plan(None, "ctrl", rate, np.asarray(actions, dtype=np.float64))


def joints(actions: Any, rate: float | None = RATE) -> Plan:
    return Plan(None, "joint_position", rate, np.asarray(actions, dtype=np.float64))


def path(*waypoints: Waypoint) -> Plan:
    return Plan(None, "ee_waypoints", None, waypoints)


def do(*skills: dict[str, object]) -> Plan:
    return Plan(None, "skills", None, skills)


def simulated(u: np.ndarray) -> Any:
    """Data after the controls and half a second more of the last."""
    data = mujoco.MjData(scene())
    mujoco.mj_setState(scene(), data, home_state(), STATE)
    for row in [*u, *[u[-1]] * 12]:
        data.ctrl[:] = row
        mujoco.mj_step(scene(), data, 10)
    mujoco.mj_forward(scene(), data)
    return data


PICK = {"skill": "pick", "object": "cube"}
HOLD = [*ARM.home, 0.04]


# Controls and joint positions


def test_raw_controls_pass_unchanged() -> None:
    actions = np.tile(HOLD, (10, 1)) + np.linspace(-0.01, 0.0, 10)[:, None]
    assert controls(ctrl(actions), arm=None).tobytes() == actions.tobytes()


def test_a_control_outside_its_range_is_named() -> None:
    actions = np.tile(HOLD, (4, 1))
    actions[2, 7] = 0.041
    assert refusal(ctrl(actions), "out_of_range") == "Action 3 sets gripper to 0.041; its range is 0 to 0.04."


def test_a_control_without_a_range_is_refused_when_absurd() -> None:
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><joint name='j'/><geom size='.1'/></body></worldbody>"
        "<actuator><motor joint='j'/></actuator></mujoco>"
    )
    state = np.zeros((2, mujoco.mj_stateSize(model, STATE)))
    plans = [ctrl([[1e6]]), ctrl([[-1.1e6]])]
    fine, absurd = compile_plans(model, state, None, plans, rate=RATE, horizon=1.0)
    assert not isinstance(fine, Refusal)
    assert isinstance(absurd, Refusal)
    assert absurd.code == "out_of_range"
    assert "actuator 0" in absurd.reason


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_control_that_is_not_finite_is_refused(value: float) -> None:
    actions = np.tile(HOLD, (4, 1))
    actions[1, 3] = value
    assert "Value 4 of action 2" in refusal(ctrl(actions), "not_finite")


def test_a_plan_of_the_wrong_width_or_without_rows_is_refused() -> None:
    refusal(ctrl(np.zeros((3, 7))), "wrong_width")
    refusal(joints(np.zeros((3, 9))), "wrong_width")
    refusal(ctrl(np.zeros((0, 8))), "empty")


def test_a_plan_may_last_to_the_horizon_and_no_longer() -> None:
    assert len(controls(ctrl(np.tile(HOLD, (50, 1))), horizon=2.0)) == 50
    reason = refusal(ctrl(np.tile(HOLD, (51, 1))), "too_many_steps", horizon=2.0)
    assert "51" in reason
    assert "50" in reason


def test_joint_positions_are_radians_and_an_opening() -> None:
    u = controls(joints([[*ARM.home, 1.0], [*ARM.home, 0.0], [*ARM.home, 0.5]]))
    assert np.array_equal(u[:, :7], np.tile(ARM.home, (3, 1)))
    assert u[:, 7].tolist() == [0.04, 0.0, 0.02]


def test_a_joint_outside_its_range_is_named() -> None:
    assert "joint4 to 0.5 rad" in refusal(joints([[0, 0, 0, 0.5, 0, 0, 0, 1]]), "out_of_range")
    assert "gripper to -1;" in refusal(joints([[*ARM.home, -1]]), "out_of_range")


def test_a_lower_rate_that_divides_the_tasks_is_held_and_another_is_refused() -> None:
    actions = np.tile([*ARM.home, 1.0], (3, 1))
    actions[:, 0] = [0.0, 0.1, 0.2]
    assert controls(joints(actions, rate=5.0))[:, 0].tolist() == [0.0] * 5 + [0.1] * 5 + [0.2] * 5
    for rate in (50.0, 10.0, 25.01):
        assert "25 Hz" in refusal(joints(actions, rate=rate), "wrong_rate")


def test_a_scene_without_an_arm_reads_raw_controls_only() -> None:
    for plan in (joints([HOLD]), path(Waypoint((0.5, 0, 0.3))), do(PICK)):
        assert "raw controls" in refusal(plan, "unknown_format", arm=None)


# Waypoints


def test_waypoints_are_reached_in_straight_lines() -> None:
    points = np.array([[0.4, 0.2, 0.3], [0.6, 0.2, 0.3], [0.6, -0.2, 0.15]])
    pos, _ = tool(controls(path(*(Waypoint(tuple(p)) for p in points))))
    at = 0
    for start, end in zip(np.concatenate([tool(ARM.home)[0][None], points])[:-1], points, strict=True):
        arrival = at + int(np.argmax(np.linalg.norm(pos[at:] - end, axis=-1) < ON_LINE))
        way = (end - start) / np.linalg.norm(end - start)
        off = np.cross(pos[at : arrival + 1] - start, way)
        assert np.linalg.norm(off, axis=-1).max() < ON_LINE
        at = arrival
    assert np.linalg.norm(pos[-1] - points[-1]) < ON_LINE


def test_an_orientation_is_kept_until_another_is_given() -> None:
    turned = (0.0, float(np.cos(0.4)), float(np.sin(0.4)), 0.0)
    _, quat = tool(controls(path(Waypoint((0.5, 0.1, 0.3)), Waypoint((0.5, 0, 0.3), turned), Waypoint((0.4, 0, 0.3)))))
    assert abs(abs(quat[0] @ tool(ARM.home)[1]) - 1.0) < 1e-4
    assert abs(abs(quat[-1] @ turned) - 1.0) < 1e-4


def test_the_gripper_changes_on_arrival_and_the_tool_waits_for_it() -> None:
    u = controls(path(Waypoint((0.5, 0.1, 0.3), gripper=0.0), Waypoint((0.5, 0.1, 0.4))))
    pos, _ = tool(u)
    closed = u[:, 7] == 0.0
    first = int(np.argmax(closed))
    assert np.all(closed[first:])
    assert np.all(u[:first, 7] == 0.04)
    assert np.abs(pos[first : first + 11] - [0.5, 0.1, 0.3]).max() < ON_LINE
    assert pos[first + 11, 2] > 0.3 + 1e-5


def test_times_are_kept() -> None:
    u = controls(path(Waypoint((0.5, 0.1, 0.3), time=1.0), Waypoint((0.4, 0.1, 0.3), time=1.5, gripper=0.0)))
    pos, _ = tool(u)
    assert len(u) == 38
    assert np.abs(pos[24] - [0.5, 0.1, 0.3]).max() < ON_LINE
    assert np.abs(pos[36] - [0.4, 0.1, 0.3]).max() < 5 * ON_LINE
    assert np.abs(pos[37] - [0.4, 0.1, 0.3]).max() < ON_LINE
    assert u[36, 7] == 0.04
    assert u[37, 7] == 0.0


def test_a_timed_pause_closes_the_gripper_at_its_start() -> None:
    u = controls(path(Waypoint((0.5, 0.1, 0.3), time=1.0), Waypoint((0.5, 0.1, 0.3), time=1.4, gripper=0.0)))
    assert len(u) == 35
    assert np.flatnonzero(u[:, 7] == 0.0)[0] == 24


def test_a_straight_path_of_many_waypoints_flows() -> None:
    points = [Waypoint((0.5, -0.2 + 0.02 * i, 0.3), time=1.0 + 0.1 * i) for i in range(20)]
    pos, _ = tool(controls(path(*points)))
    speed = np.linalg.norm(np.diff(pos[26:66], axis=0), axis=-1) * RATE
    assert np.abs(speed - 0.2).max() < 0.02


def test_a_waypoint_beyond_reach_says_by_how_much() -> None:
    reason = refusal(path(Waypoint((0.5, 0, 0.3)), Waypoint((1.2, 0, 0.3), DOWN)), "unreachable")
    assert reason.startswith("Waypoint 2 at (1.200, 0.000, 0.300) m is 0.25 m")
    assert "beyond reach: the nearest that the tool gets is (0.947, 0.000, 0.307) m." in reason


def test_an_orientation_that_the_arm_cannot_take_is_told_from_a_position() -> None:
    assert "but not with orientation" in refusal(path(Waypoint((0.9, 0, 0.4), DOWN)), "unreachable")


def test_a_straight_line_through_the_arm_itself_is_refused() -> None:
    assert "straight line" in refusal(path(Waypoint((-0.5, 0.0, 0.3))), "unreachable")


def test_too_little_time_names_the_joint_and_the_time_it_needs() -> None:
    reason = refusal(path(Waypoint((0.5, 0.3, 0.3), time=0.2)), "too_fast")
    assert "rad/s; it can do 2" in reason
    enough = float(reason.split("Give that way ")[1].split(" s")[0])
    assert enough < 0.6
    controls(path(Waypoint((0.5, 0.3, 0.3), time=enough)))


def test_without_times_no_joint_is_asked_for_more_speed_than_it_has() -> None:
    flip = (0.0, 0.0, 1.0, 0.0)
    u = controls(path(Waypoint((0.3, 0.4, 0.2)), Waypoint((0.3, -0.4, 0.2), DOWN), Waypoint((0.5, 0, 0.3), flip)))
    speed = np.abs(np.diff(np.concatenate([ARM.home[None], u[:, :7]]), axis=0)) * RATE
    assert np.all(speed <= ARM.qd_max)


def test_a_plan_without_times_that_does_not_fit_says_what_does() -> None:
    points = [Waypoint((0.5, 0.2 * (-1) ** i, 0.3)) for i in range(6)]
    assert "It fits up to Waypoint 3." in refusal(path(*points), "too_many_steps", horizon=4.0)


def test_a_plan_with_times_beyond_the_horizon_is_refused() -> None:
    refusal(path(Waypoint((0.5, 0.2, 0.3), time=8.01)), "too_many_steps")


def test_a_first_waypoint_at_time_0_is_where_the_tool_is() -> None:
    here, there = Waypoint((0.5, 0.0, 0.22), time=0.0), Waypoint((0.5, 0.2, 0.3), time=2.0)
    assert np.abs(tool(controls(path(here, there)))[0][0] - tool(ARM.home)[0]).max() < ON_LINE
    assert "give it a later time" in refusal(path(Waypoint((0.5, 0.2, 0.3), time=0.0), there), "too_fast")


@pytest.mark.parametrize(
    ("code", "waypoints"),
    [
        ("empty", ()),
        ("bad_time", (Waypoint((0.5, 0, 0.3), time=1.0), Waypoint((0.5, 0, 0.3)))),
        ("bad_time", (Waypoint((0.5, 0, 0.3), time=1.0), Waypoint((0.5, 0, 0.3), time=1.0))),
        ("bad_time", (Waypoint((0.5, 0, 0.3), time=-1.0),)),
        ("out_of_range", (Waypoint((0.5, 0, 0.3), gripper=2.0),)),
        ("bad_quaternion", (Waypoint((0.5, 0, 0.3), (0.0, 0.0, 0.0, 0.0)),)),
        ("not_finite", (Waypoint((0.5, 0, float("nan"))),)),
        ("unreachable", (Waypoint((0.5, 0, 1e300)),)),
        ("too_many_steps", tuple(Waypoint((0.5, 0, 0.3)) for _ in range(5000))),
    ],
)
def test_values_that_no_waypoint_can_have_are_refused(code: str, waypoints: tuple[Waypoint, ...]) -> None:
    refusal(path(*waypoints), code)


def test_a_plan_starts_where_the_arm_is() -> None:
    state = home_state().copy()
    data = mujoco.MjData(scene())
    mujoco.mj_setState(scene(), data, state, STATE)
    data.qpos[[scene().joint(name).qposadr[0] for name in ARM.joints]] += 0.2
    data.ctrl[7] = 0.01
    mujoco.mj_getState(scene(), data, state, STATE)
    plan = path(Waypoint((0.5, 0.1, 0.3)))
    (made,) = compile_plans(scene(), state[None], ARM, [plan], rate=RATE, horizon=HORIZON)
    assert not isinstance(made, Refusal)
    u = made.controls
    assert np.abs(u[0, :7] - (ARM.home + 0.2)).max() < 0.01
    assert np.all(u[:, 7] == 0.01)


def test_a_start_that_is_not_finite_is_not_the_plans_fault() -> None:
    (result,) = compile_plans(
        scene(), np.full((1, len(home_state())), np.nan), ARM, [do(PICK)], rate=RATE, horizon=HORIZON
    )
    assert isinstance(result, Refusal)
    assert (result.code, result.cause) == ("bad_state", "model")


# Skills


def test_pick_lifts_the_cube() -> None:
    u = controls(do(PICK))
    assert len(u) / RATE < 3.0
    assert simulated(u).body("cube").xpos[2] > 0.1


def test_the_gripper_takes_the_yaw_of_the_object() -> None:
    pos, quat = tool(controls(do(PICK)))
    lowest = int(np.argmin(pos[:, 2]))
    assert np.abs(pos[lowest] - CUBE).max() < ON_LINE
    assert abs(rotation.to_matrix(quat[lowest])[:, 0] @ [np.cos(0.3), np.sin(0.3), 0] - 1.0) < 1e-4


@pytest.mark.parametrize("target", ["basket", "inside", "mark", [0.55, -0.1, 0.0]])
def test_place_puts_the_cube_on_its_target(target: object) -> None:
    spots = {"basket": (0.45, -0.25, 0.03), "inside": (0.45, -0.25, 0.03), "mark": (0.45, 0.2, 0.02)}
    spot = spots[target] if isinstance(target, str) else (0.55, -0.1, 0.02)
    data = simulated(controls(do(PICK, {"skill": "place", "target": target})))
    assert np.abs(data.body("cube").xpos - spot).max() < 0.015


def test_an_object_that_was_placed_is_picked_up_where_it_is_then() -> None:
    twice = do(PICK, {"skill": "place", "target": "mark"}, PICK)
    data = simulated(controls(twice))
    assert np.abs(data.body("cube").xpos - (0.45, 0.2, 0.13)).max() < 0.02


def test_simple_skills_do_what_they_say() -> None:
    u = controls(
        do(
            {"skill": "close_gripper"},
            {"skill": "move_to", "position": [0.4, 0.1, 0.2], "orientation": list(DOWN)},
            {"skill": "lift", "height": 0.1},
            {"skill": "wait", "seconds": 0.5},
            {"skill": "open_gripper"},
            {"skill": "home"},
        )
    )
    pos, _ = tool(u)
    assert np.all(u[:10, 7] == 0.0)
    assert u[-1, 7] == 0.04
    top = np.flatnonzero(np.linalg.norm(pos - [0.4, 0.1, 0.3], axis=-1) < ON_LINE)
    assert (top[-1] - top[0] + 1) / RATE >= 0.9
    assert np.linalg.norm(pos[-1] - tool(ARM.home)[0]) < ON_LINE


def test_a_plan_that_only_opens_the_gripper_has_controls() -> None:
    assert np.array_equal(controls(do({"skill": "open_gripper"})), np.tile(HOLD, (10, 1)))


@pytest.mark.parametrize(
    ("code", "skill", "words"),
    [
        ("unknown_skill", {"skill": "pik", "object": "cube"}, "Did you mean 'pick'?"),
        ("unknown_object", {"skill": "pick", "object": "cub"}, "Did you mean 'cube'?"),
        ("unknown_object", {"skill": "pick", "object": "basket"}, "which is fixed. Known: cube."),
        ("unknown_object", {"skill": "place", "target": "bascet"}, "Known: cube, basket, mark, inside."),
        ("missing_key", {"skill": "pick"}, "lacks 'object'"),
        ("unreachable", {"skill": "lift", "height": 0.9}, "Skill 1 (lift) at"),
        ("too_many_steps", {"skill": "wait", "seconds": 1e9}, "Not even the first part fits."),
    ],
)
def test_a_skill_that_cannot_be_done_says_why(code: str, skill: dict[str, object], words: str) -> None:
    assert words in refusal(do(skill), code)


# Batches

POINT = st.tuples(st.floats(0.3, 0.7), st.floats(-0.4, 0.4), st.floats(0.05, 0.6)).map(
    lambda p: Waypoint(p, DOWN, gripper=float(p[0] > 0.5))
)
FAR = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-0.2, 1.2)).map(Waypoint)
SKILL = st.sampled_from(
    [
        PICK,
        {"skill": "place", "target": "basket"},
        {"skill": "place", "target": [0.5, -0.1, 0.0]},
        {"skill": "lift"},
        {"skill": "home"},
        {"skill": "wait", "seconds": 0.2},
        {"skill": "pick", "object": "nothing"},
    ]
)
ANY_PLAN = st.one_of(
    st.lists(POINT, min_size=1, max_size=4).map(lambda w: path(*w)),
    st.lists(FAR, min_size=1, max_size=2).map(lambda w: path(*w)),
    st.lists(SKILL, min_size=1, max_size=3).map(lambda s: do(*s)),
    st.just(joints([[*ARM.home, 1.0]])),
)


def bits(result: np.ndarray | Refusal) -> object:
    return (result.code, result.reason) if isinstance(result, Refusal) else (result.shape, result.tobytes())


@given(plans=st.lists(ANY_PLAN, min_size=1, max_size=9), order=st.randoms(use_true_random=False))
def test_a_plan_has_the_same_bits_alone_and_in_any_batch(plans: list[Plan], order: Any) -> None:
    alone = [bits(compiled(plan)[0]) for plan in plans]
    shuffled = list(range(len(plans)))
    order.shuffle(shuffled)
    together = compiled(*(plans[i] for i in shuffled))
    assert [bits(result) for result in together] == [alone[i] for i in shuffled]


def test_a_large_batch_has_the_bits_of_its_plans() -> None:
    plans = [path(Waypoint((0.4 + 0.005 * i, 0.1, 0.3)), Waypoint((0.5, 0.01 * i - 0.2, 0.2))) for i in range(40)]
    together = compiled(*plans)
    assert [bits(result) for result in together] == [bits(compiled(plan)[0]) for plan in plans]


def test_plans_that_begin_alike_have_the_bits_of_each_alone() -> None:
    begin = [Waypoint((0.45, 0.1, 0.3)), Waypoint((0.5, -0.1, 0.25))]
    plans = [path(*begin, Waypoint((0.4 + 0.02 * (i // 2), 0.1, 0.2))) for i in range(8)]
    assert [bits(one) for one in compiled(*plans)] == [bits(compiled(plan)[0]) for plan in plans]


def test_controls_are_finite_within_range_and_no_longer_than_the_horizon() -> None:
    low, high = scene().actuator_ctrlrange.T
    rng = np.random.default_rng(0)
    points = rng.uniform([0.3, -0.4, 0.0], [0.7, 0.4, 0.5], (40, 3, 3))
    results = compiled(*(path(*(Waypoint(tuple(p)) for p in three)) for three in points), horizon=6.0)
    found = [result for result in results if not isinstance(result, Refusal)]
    assert len(found) > 10
    for u in found:
        assert len(u) <= 150
        assert np.all((u >= low) & (u <= high))
