"""What an action's numbers mean: golden numbers, inverses, and the same bits alone, in a batch and whatever follows."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.kernels import actions, affine, rotation

EXACT = 1e-12  # float64 arithmetic in another order
INVERSE = 1e-9  # there and back through a division by a small response
INTEGRATED = 1e-8  # of 200 Runge-Kutta steps a period
LINEAR = 0.02  # rad, of springing turns as vectors although they do not commute
QUICK = {"xla_backend_optimization_level": "0"}  # compiles in half the time
OSC: dict[str, Any] = {"kp": 150.0, "damping": 1.0, "period": 0.05}

B, T = 6, 11
RNG = np.random.default_rng(5)


def turns(*shape: int, angle: float = 0.3) -> np.ndarray:
    return rotation.from_vector(RNG.uniform(-angle, angle, (*shape, 3)))


START_POS, START_QUAT = RNG.uniform(-0.5, 0.5, (B, 3)), rotation.normalise(RNG.normal(size=(B, 4)))
DPOS, DQUAT = RNG.uniform(-0.05, 0.05, (B, T, 3)), turns(B, T)
POSES = actions.accumulate(START_POS, START_QUAT, DPOS / 5, turns(B, T, angle=0.02), side="left")
NUMBERS, COMMANDS = RNG.uniform(-1.3, 1.3, (B, T, 3)), RNG.uniform(-1.3, 1.3, (B, T))
FIRST, SECOND = RNG.uniform(-0.1, 0.0, 3), RNG.uniform(0.01, 0.1, 3)
MASK = np.array([True, True, False])
OPENNESS = RNG.uniform(0.0, 1.0, B)
SPINS = turns(40, angle=0.5)

GRIPPER: dict[str, dict[str, Any]] = {
    "absolute": {"mode": "absolute", "threshold": None, "step": None, "hold_steps": 0},
    "binarised": {"mode": "absolute", "threshold": 0.1, "step": None, "hold_steps": 0},
    "sign_hold": {"mode": "sign_hold", "threshold": 0.3, "step": 0.1, "hold_steps": 0},
    "relative": {"mode": "relative", "threshold": None, "step": None, "hold_steps": 0},
    "sticky": {"mode": "relative", "threshold": 0.5, "step": None, "hold_steps": 4},
}


def statistics(function: Callable[..., Any], kind: str) -> Callable[..., Any]:
    return lambda x, first, second, mask: function(x, kind, first, second, epsilon=1e-6, mask=mask, domain=(-1.0, 1.0))


def gripper(name: str) -> Callable[..., Any]:
    return partial(actions.opening, is_open=-1.0, is_closed=1.0, **GRIPPER[name])


# Every kernel with arguments for B plans: which of them have the plans in front, and the axis of the T actions.
Case = tuple[Callable[..., Any], list[tuple[np.ndarray, bool, int | None]]]
START = [(START_POS, True, None), (START_QUAT, True, None)]
DELTAS, TARGETS = [(DPOS, True, 1), (DQUAT, True, 1)], [(POSES[0], True, 1), (POSES[1], True, 1)]
STATISTICS = [(NUMBERS, True, 1), (FIRST, False, None), (SECOND, False, None), (MASK, False, None)]
CASES: dict[str, Case] = {
    "detokenise": (actions.detokenise, [(RNG.integers(31744, 32000, (B, T, 7)), True, 1)]),
    "tokenise": (actions.tokenise, [(NUMBERS, True, 1)]),
    "rescale": (lambda x: actions.rescale(x, -1.0, 1.0, -0.05, 0.05), [(NUMBERS, True, 1)]),
    "clip_box": (lambda x: actions.clip_box(x, -1.0, 1.0), [(NUMBERS, True, 1)]),
    "clip_norm": (lambda x: actions.clip_norm(x, 1.0), [(NUMBERS, True, 1)]),
    "running_sum": (affine.running_sum, [(NUMBERS, True, 1)]),
    "running_turn": (lambda q: affine.running_turn(q, "right"), [(DQUAT, True, 1)]),
    "running_affine": (affine.running_affine, [(NUMBERS, True, 1), (DPOS, True, 1)]),
    "running_clip": (
        lambda x, start: affine.running_clip(x, start, low=0.0, high=1.0),
        [(COMMANDS, True, 1), (OPENNESS, True, None)],
    ),
}
for kind in actions.NORMALISATIONS:
    CASES[f"unnormalise {kind}"] = (statistics(actions.unnormalise, kind), STATISTICS)
    CASES[f"normalise {kind}"] = (statistics(actions.normalise, kind), STATISTICS)
for name in GRIPPER:
    CASES[f"opening {name}"] = (gripper(name), [(COMMANDS, True, 1), (OPENNESS, True, None)])
for side, tool in (("left", False), ("right", True)):
    frame: dict[str, Any] = {"side": side, "tool": tool}
    CASES |= {
        f"relative_to_start {side}": (partial(actions.relative_to_start, **frame), [*START, *DELTAS]),
        f"offsets_from_start {side}": (partial(actions.offsets_from_start, **frame), [*START, *TARGETS]),
        f"accumulate {side}": (partial(actions.accumulate, **frame), [*START, *DELTAS]),
        f"deltas {side}": (partial(actions.deltas, **frame), [*START, *TARGETS]),
        f"respond {side}": (partial(actions.respond, **frame, **OSC), [*START, *DELTAS]),
        f"respond_inverse {side}": (partial(actions.respond_inverse, **frame, **OSC), [*START, *TARGETS]),
    }
RESAMPLED: dict[str, Case] = {}
for held in (False, True):
    RESAMPLED[f"resample {held}"] = (
        lambda x, start, held=held: actions.resample(x, start, 20.0, 25.0, hold=held),
        [(POSES[0], True, 1), (START_POS, True, None)],
    )
    RESAMPLED[f"resample_turns {held}"] = (
        lambda x, start, held=held: actions.resample_turns(x, start, 20.0, 25.0, hold=held),
        [(POSES[1], True, 1), (START_QUAT, True, None)],
    )
ALL = CASES | RESAMPLED


def results(function: Callable[..., Any], arguments: list[Any]) -> list[np.ndarray]:
    out = function(*arguments)
    return [np.asarray(x) for x in (out if isinstance(out, tuple) else (out,))]


def osc_by_integration(
    position: np.ndarray, deltas: np.ndarray, kp: float, damping: float, period: float
) -> np.ndarray:
    """Where x'' = kp (goal - x) - 2 damping sqrt(kp) x' is as each action ends, by small steps; deltas (T, n)."""
    speed, steps = np.zeros_like(position), 200
    h, reached = period / steps, []
    for delta in deltas:
        goal = position + delta

        def rate(x: np.ndarray, v: np.ndarray, goal: np.ndarray = goal) -> tuple[np.ndarray, np.ndarray]:
            return v, kp * (goal - x) - 2.0 * damping * math.sqrt(kp) * v

        for _ in range(steps):
            x1, v1 = rate(position, speed)
            x2, v2 = rate(position + h / 2 * x1, speed + h / 2 * v1)
            x3, v3 = rate(position + h / 2 * x2, speed + h / 2 * v2)
            x4, v4 = rate(position + h * x3, speed + h * v3)
            position = position + h / 6 * (x1 + 2 * x2 + 2 * x3 + x4)
            speed = speed + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        reached.append(position)
    return np.array(reached)


def apart(quat: np.ndarray, other: np.ndarray) -> float:
    """The greatest entry by which the matrices of two orientations differ."""
    return float(np.abs(rotation.to_matrix(quat) - rotation.to_matrix(other)).max())


@pytest.mark.parametrize("name", ALL)
def test_a_kernel_is_the_same_under_jit(name: str) -> None:
    function, arguments = ALL[name]
    values = [value for value, _, _ in arguments]
    with jax.enable_x64(True):
        jitted = results(jax.jit(function, compiler_options=QUICK), values)
    for ours, theirs in zip(results(function, values), jitted, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < (INVERSE if "inverse" in name else EXACT)


@pytest.mark.parametrize("name", ALL)
def test_a_plan_has_the_same_bits_alone_and_in_a_batch(name: str) -> None:
    function, arguments = ALL[name]
    whole = results(function, [value for value, _, _ in arguments])
    for row in range(B):
        alone = results(function, [value[row] if batched else value for value, batched, _ in arguments])
        first = results(function, [value[row : row + 2] if batched else value for value, batched, _ in arguments])
        for expected, one, two in zip(whole, alone, first, strict=True):
            assert one.tobytes() == expected[row].tobytes()
            assert two.tobytes() == expected[row : row + 2].tobytes()


@pytest.mark.parametrize("name", CASES)
def test_a_value_has_the_same_bits_whatever_follows(name: str) -> None:
    function, arguments = CASES[name]
    whole = results(function, [value for value, _, _ in arguments])
    for count in range(1, T):
        head = results(function, [value if axis is None else value[:, :count] for value, _, axis in arguments])
        for expected, part in zip(whole, head, strict=True):
            assert part.tobytes() == expected[:, :count].tobytes()


def test_tokens_decode_to_the_published_centres() -> None:
    ids = np.array([31744, 31745, 31746, 31872, 31998, 31999])
    assert actions.detokenise(ids).tolist() == [254 / 255, 254 / 255, 252 / 255, 0.0, -252 / 255, -254 / 255]
    assert abs(actions.detokenise(ids)[0] - 0.996078) < 1e-6
    assert actions.detokenise(np.array([100, 40000])).tolist() == [254 / 255, -254 / 255]


def test_tokens_count_edges_as_numpy_does() -> None:
    edges = np.linspace(-1.0, 1.0, 256)
    numbers = np.concatenate([edges, np.nextafter(edges, -2.0), np.nextafter(edges, 2.0), np.linspace(-2.0, 2.0, 997)])
    assert (actions.tokenise(numbers) == 32000 - np.digitize(np.clip(numbers, -1, 1), edges)).all()
    assert actions.tokenise(np.array([-5.0, -1.0, 1.0, 5.0])).tolist() == [31999, 31999, 31744, 31744]


def test_every_centre_is_in_its_own_bin() -> None:
    ids = np.arange(31744, 32000)
    assert actions.tokenise(actions.detokenise(ids)).tolist() == [31745, *range(31745, 32000)]


@given(number=st.floats(-1.0, 1.0))
def test_a_token_is_within_half_a_bin_of_the_number(number: float) -> None:
    assert abs(actions.detokenise(actions.tokenise(np.array([number])))[0] - number) <= 1 / 255 + EXACT


def test_quantiles_by_hand() -> None:
    x, low, high = np.array([-1.0, 0.0, 0.5, 1.0]), np.full(4, -0.02), np.full(4, 0.06)
    plain = actions.unnormalise(x, "q01_q99", low, high, epsilon=0.0, mask=None, domain=(-1.0, 1.0))
    assert plain == pytest.approx([-0.02, 0.02, 0.04, 0.06], abs=EXACT)
    padded = actions.unnormalise(x, "q01_q99", low, high, epsilon=1e-6, mask=None, domain=(-1.0, 1.0))
    assert padded == pytest.approx([-0.02, 0.0200005, 0.04000075, 0.060001], abs=EXACT)
    unit = actions.unnormalise(x[1:], "min_max", low[1:], high[1:], epsilon=0.0, mask=None, domain=(0.0, 1.0))
    assert unit == pytest.approx([-0.02, 0.02, 0.06], abs=EXACT)


def test_z_scores_by_hand() -> None:
    mean, std = np.array([0.1, 0.2]), np.array([0.5, 0.25])
    done = actions.unnormalise(np.array([2.0, -1.0]), "zscore", mean, std, epsilon=1e-6, mask=None, domain=(-1.0, 1.0))
    assert done == pytest.approx([1.100002, -0.050001], abs=EXACT)


def test_a_masked_number_passes_through() -> None:
    x = np.array([0.5, 0.5, 0.7])
    for kind in actions.NORMALISATIONS:
        for function in (actions.unnormalise, actions.normalise):
            done = function(x, kind, FIRST, SECOND, epsilon=0.0, mask=MASK, domain=(-1.0, 1.0))
            assert done[2] == 0.7


def test_a_number_that_never_varied_is_the_middle() -> None:
    x, still = np.array([0.3, 0.3]), np.array([0.3, 0.3])
    bounds: dict[str, Any] = {"epsilon": 0.0, "mask": None, "domain": (-1.0, 1.0)}
    assert actions.normalise(x, "q01_q99", still, still, **bounds).tolist() == [0.0, 0.0]
    assert actions.normalise(x, "zscore", still, np.zeros(2), **bounds).tolist() == [0.0, 0.0]


@given(
    x=st.floats(-3.0, 3.0),
    first=st.floats(-1.0, 1.0),
    spread=st.floats(0.01, 5.0),
    epsilon=st.sampled_from([0.0, 1e-8, 1e-6]),
    kind=st.sampled_from(actions.NORMALISATIONS),
    domain=st.sampled_from([(-1.0, 1.0), (0.0, 1.0)]),
)
def test_normalise_undoes_unnormalise(
    x: float, first: float, spread: float, epsilon: float, kind: str, domain: tuple[float, float]
) -> None:
    second = spread if kind == "zscore" else first + spread
    how: dict[str, Any] = {"epsilon": epsilon, "mask": None, "domain": domain}
    units = actions.unnormalise(np.array([x]), kind, np.array([first]), np.array([second]), **how)
    back = actions.normalise(units, kind, np.array([first]), np.array([second]), **how)
    assert abs(back[0] - x) < INVERSE


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    for function in (actions.unnormalise, actions.normalise):
        with pytest.raises(ValueError, match=r"No normalisation 'q1'\. Normalisations: none, zscore, q01_q99, min_max"):
            function(NUMBERS, "q1", FIRST, SECOND, epsilon=0.0, mask=None, domain=(-1.0, 1.0))
    with pytest.raises(ValueError, match=r"No gripper mode 'binary'\. Modes: absolute, sign_hold, relative"):
        actions.opening(
            COMMANDS, OPENNESS, is_open=1.0, is_closed=0.0, mode="binary", threshold=None, step=None, hold_steps=0
        )
    with pytest.raises(ValueError, match=r"No side 'world' for a rotation: give left .* or right"):
        actions.accumulate(START_POS, START_QUAT, DPOS, DQUAT, side="world")


def test_ranges_map_end_to_end_and_keep_zero() -> None:
    x = np.array([-1.0, 0.0, 0.4, 1.0])
    assert actions.rescale(x, -1.0, 1.0, -0.05, 0.05) == pytest.approx([-0.05, 0.0, 0.02, 0.05], abs=EXACT)
    assert actions.rescale(x, -1.0, 1.0, -0.05, 0.05)[1] == 0.0
    assert actions.rescale(x, -1.0, 1.0, -0.01, 0.04) == pytest.approx([-0.01, 0.015, 0.025, 0.04], abs=EXACT)


@given(x=st.floats(-10.0, 10.0), low=st.floats(-5.0, 0.0), width=st.floats(0.1, 5.0))
def test_rescaling_has_an_inverse(x: float, low: float, width: float) -> None:
    there = actions.rescale(np.array([x]), low, low + width, -0.1, 0.3)
    assert abs(actions.rescale(there, -0.1, 0.3, low, low + width)[0] - x) < INVERSE


def test_only_vectors_beyond_the_limit_are_shortened() -> None:
    vectors = np.array([[3.0, 0.0, 4.0], [0.6, 0.0, 0.8], [0.1, -0.2, 0.3], [0.0, 0.0, 0.0]])
    clipped = actions.clip_norm(vectors, 1.0)
    assert clipped[0] == pytest.approx([0.6, 0.0, 0.8], abs=EXACT)
    assert clipped[1:].tolist() == vectors[1:].tolist()


@pytest.mark.parametrize(
    ("is_open", "is_closed", "name", "start", "commands", "expected"),
    [
        (0.08, 0.0, "absolute", 0.5, [0.0, 0.02, 0.08, 0.2, -0.1], [0.0, 0.25, 1.0, 1.0, 0.0]),
        (0.0, 1.0, "absolute", 0.5, [0.0, 0.25, 1.0, 1.5], [1.0, 0.75, 0.0, 0.0]),
        (1.0, 0.0, "binarised", 0.5, [0.0, 0.1, 0.11, 1.0], [0.0, 0.0, 1.0, 1.0]),
        (-1.0, 1.0, "binarised", 0.5, [-1.0, 0.1, 0.11, 1.0], [1.0, 1.0, 0.0, 0.0]),
        (-1.0, 1.0, "sign_hold", 0.5, [1.0, 1.0, 0.0, 0.3, -0.31, -1.0], [0.4, 0.3, 0.3, 0.3, 0.4, 0.5]),
        (1.0, 0.0, "sign_hold", 1.0, [1.0, 0.5, 0.0, 0.1], [1.0, 1.0, 0.9, 0.8]),
        (-1.0, 1.0, "relative", 1.0, [1.0, 0.5, -0.1, 2.0, -1.0], [0.5, 0.25, 0.3, 0.0, 0.5]),
        (-1.0, 1.0, "sticky", 1.0, [0.0, 0.6, -1.0, 0.0, 0.2, -0.6, 0.0], [1.0, 0.7, 0.4, 0.1, 0.0, 0.3, 0.6]),
        (-1.0, 1.0, "sticky", 1.0, [0.4, 0.0, 0.6, 0.0], [0.8, 0.8, 0.5, 0.2]),
    ],
)
def test_a_gripper_opens_as_commanded(
    is_open: float, is_closed: float, name: str, start: float, commands: list[float], expected: list[float]
) -> None:
    found = actions.opening(np.array(commands), np.array(start), is_open=is_open, is_closed=is_closed, **GRIPPER[name])
    assert found == pytest.approx(expected, abs=EXACT)


def test_a_sign_without_a_step_opens_or_closes_at_once() -> None:
    how: dict[str, Any] = {"mode": "sign_hold", "threshold": None, "step": None, "hold_steps": 0}
    found = actions.opening(np.array([0.0, 0.1, 0.0, -0.1]), np.array(0.4), is_open=-1.0, is_closed=1.0, **how)
    assert found.tolist() == [0.4, 0.0, 0.0, 1.0]


@given(changes=st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=40), start=st.floats(0.0, 1.0))
def test_a_clipped_running_sum_is_clipped_at_every_step(changes: list[float], start: float) -> None:
    expected, value = [], start
    for change in changes:
        value = min(max(value + change, 0.0), 1.0)
        expected.append(value)
    found = affine.running_clip(np.array(changes), np.array(start), low=0.0, high=1.0)
    assert found == pytest.approx(expected, abs=EXACT)


def test_running_compositions_are_those_of_a_loop() -> None:
    assert np.abs(affine.running_sum(NUMBERS) - np.cumsum(NUMBERS, axis=1)).max() < EXACT
    value, product = np.zeros((B, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (B, 1))
    values, lefts, rights = [], [], []
    other = product
    for k in range(T):
        value = NUMBERS[:, k] * value + DPOS[:, k]
        product, other = rotation.multiply(DQUAT[:, k], product), rotation.multiply(other, DQUAT[:, k])
        values.append(value)
        lefts.append(product)
        rights.append(other)
    assert np.abs(affine.running_affine(NUMBERS, DPOS) - np.stack(values, axis=1)).max() < EXACT
    assert np.abs(affine.running_turn(DQUAT, "left") - np.stack(lefts, axis=1)).max() < EXACT
    assert np.abs(affine.running_turn(DQUAT, "right") - np.stack(rights, axis=1)).max() < EXACT


def test_deltas_add_up_from_pose_to_pose() -> None:
    for side, tool in (("left", False), ("right", False), ("right", True), ("left", True)):
        pos, quat = actions.accumulate(START_POS, START_QUAT, DPOS, DQUAT, side=side, tool=tool)
        at, turned = START_POS, rotation.to_matrix(START_QUAT)
        for k in range(T):
            delta = rotation.to_matrix(DQUAT[:, k])
            at = at + ((turned @ DPOS[:, k, :, None])[..., 0] if tool else DPOS[:, k])
            turned = delta @ turned if side == "left" else turned @ delta
            assert np.abs(pos[:, k] - at).max() < EXACT
            assert np.abs(rotation.to_matrix(quat[:, k]) - turned).max() < EXACT


def test_offsets_from_the_start_do_not_add_up() -> None:
    start, step = np.array([0.1, 0.2, 0.3]), np.array([[0.01, 0.0, 0.0], [0.01, 0.0, 0.0]])
    still = np.tile([1.0, 0.0, 0.0, 0.0], (2, 1))
    down = np.array([0.0, 1.0, 0.0, 0.0])
    pos, quat = actions.relative_to_start(start, down, step, still, side="left")
    assert pos == pytest.approx(np.array([[0.11, 0.2, 0.3], [0.11, 0.2, 0.3]]), abs=EXACT)
    assert apart(quat, np.tile(down, (2, 1))) < EXACT
    forward = np.array([[0.0, 0.0, 0.01], [0.0, 0.0, 0.02]])  # along the tool, which points down
    pos, _ = actions.relative_to_start(start, down, forward, still, side="right", tool=True)
    assert pos == pytest.approx(np.array([[0.1, 0.2, 0.29], [0.1, 0.2, 0.28]]), abs=EXACT)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("tool", [False, True])
def test_every_reading_of_deltas_has_an_inverse(side: str, tool: bool) -> None:
    frame: dict[str, Any] = {"side": side, "tool": tool}
    for there, back, how in (
        (actions.relative_to_start, actions.offsets_from_start, frame),
        (actions.accumulate, actions.deltas, frame),
        (actions.respond, actions.respond_inverse, frame | OSC),
    ):
        dpos, dquat = back(START_POS, START_QUAT, *there(START_POS, START_QUAT, DPOS, DQUAT, **how), **how)
        assert np.abs(dpos - DPOS).max() < INVERSE
        assert apart(dquat, DQUAT) < INVERSE
        pos, quat = there(START_POS, START_QUAT, *back(START_POS, START_QUAT, *POSES, **how), **how)
        assert np.abs(pos - POSES[0]).max() < INVERSE
        assert apart(quat, POSES[1]) < INVERSE


@pytest.mark.parametrize("damping", [0.3, 0.999999, 1.0, 1.000001, 2.0])
def test_a_controller_responds_as_its_differential_equation_says(damping: float) -> None:
    how: dict[str, Any] = {"kp": 150.0, "damping": damping, "period": 0.05}
    angles = np.linspace(-0.5, 0.5, T)[:, None]
    spin = rotation.from_vector(angles * np.array([0.6, 0.0, 0.8]))
    pos, quat = actions.respond(START_POS[0], START_QUAT[0], DPOS[0], spin, side="left", **how)
    assert np.abs(pos - osc_by_integration(START_POS[0], DPOS[0], **how)).max() < INTEGRATED
    angle = osc_by_integration(np.zeros(1), angles, **how)
    expected = rotation.multiply(rotation.from_vector(angle * np.array([0.6, 0.0, 0.8])), START_QUAT[0])
    assert apart(quat, expected) < INTEGRATED


def test_turns_about_changing_axes_are_sprung_nearly_as_on_the_sphere() -> None:
    _, quat = actions.respond(np.zeros(3), START_QUAT[0], np.zeros((40, 3)), SPINS, side="left", **OSC)
    at, spin, steps = START_QUAT[0], np.zeros(3), 50
    for k in range(40):
        goal = rotation.multiply(SPINS[k], at)
        for _ in range(steps):
            error = rotation.to_vector(rotation.multiply(goal, rotation.conjugate(at)))
            spin = spin + OSC["period"] / steps * (OSC["kp"] * error - 2.0 * math.sqrt(OSC["kp"]) * spin)
            at = rotation.multiply(rotation.from_vector(OSC["period"] / steps * spin), at)
        assert np.linalg.norm(rotation.to_vector(rotation.multiply(quat[k], rotation.conjugate(at)))) < LINEAR


def test_one_libero_action_from_rest_goes_an_eighth_of_its_way() -> None:
    w = math.sqrt(150.0) * 0.05
    share = 1.0 - math.exp(-w) * (1.0 + w)  # critically damped
    still = np.array([[1.0, 0.0, 0.0, 0.0]])
    pos, _ = actions.respond(np.zeros(3), still[0], np.array([[0.05, 0.0, 0.0]]), still, side="left", **OSC)
    assert abs(share - 0.1260) < 1e-4
    assert pos[0] == pytest.approx([0.05 * share, 0.0, 0.0], abs=EXACT)


def test_a_controller_given_time_reaches_each_goal() -> None:
    slow: dict[str, Any] = {"kp": 150.0, "damping": 1.0, "period": 10.0}
    for side, tool in (("left", False), ("right", True)):
        pos, quat = actions.respond(START_POS, START_QUAT, DPOS, DQUAT, side=side, tool=tool, **slow)
        goal_pos, goal_quat = actions.accumulate(START_POS, START_QUAT, DPOS, DQUAT, side=side, tool=tool)
        assert np.abs(pos - goal_pos).max() < EXACT
        assert apart(quat, goal_quat) < EXACT


def test_a_turn_that_no_delta_asks_for_is_nan() -> None:
    half = rotation.from_vector(np.array([[0.0, 0.0, 1.0]]))  # 1 rad in one period from rest needs a goal 8 rad away
    still = np.array([1.0, 0.0, 0.0, 0.0])
    _, dquat = actions.respond_inverse(np.zeros(3), still, np.zeros((1, 3)), half, side="left", **OSC)
    assert np.isnan(dquat).all()


def test_values_are_read_as_each_control_step_ends() -> None:
    values, start = np.array([[1.0], [3.0]]), np.array([0.0])
    at_20_hz = partial(actions.resample, values, start, 20.0)
    assert at_20_hz(20.0, hold=False).tolist() == values.tolist()
    assert at_20_hz(40.0, hold=False)[:, 0] == pytest.approx([0.5, 1.0, 2.0, 3.0], abs=EXACT)
    assert at_20_hz(40.0, hold=True)[:, 0].tolist() == [1.0, 1.0, 3.0, 3.0]
    assert at_20_hz(25.0, hold=False)[:, 0] == pytest.approx([0.8, 2.2, 3.0], abs=EXACT)
    assert at_20_hz(25.0, hold=True)[:, 0].tolist() == [1.0, 3.0, 3.0]
    assert at_20_hz(10.0, hold=False)[:, 0].tolist() == [3.0]


@given(
    count=st.integers(1, 40),
    rate_in=st.sampled_from([3.0, 5.0, 15.0, 20.0, 50.0]),
    rate_out=st.sampled_from([20.0, 25.0]),
)
def test_resampling_takes_as_long_and_ends_at_the_last_value(count: int, rate_in: float, rate_out: float) -> None:
    values = np.linspace(0.3, 0.9, count)[:, None]
    for hold in (False, True):
        found = actions.resample(values, np.array([0.1]), rate_in, rate_out, hold=hold)
        assert len(found) == math.ceil(count * rate_out / rate_in - INVERSE)
        assert found[-1] == values[-1]


def test_a_straight_path_stays_straight_and_a_still_one_still() -> None:
    line = np.arange(1.0, 8.0)[:, None] * np.array([0.1, 0.2, -0.3])
    found = actions.resample(line, np.zeros(3), 5.0, 25.0, hold=False)
    assert np.abs(found - np.arange(1.0, 36.0)[:, None] / 5.0 * np.array([0.1, 0.2, -0.3])).max() < EXACT
    still = np.full((7, 1), 0.3)
    assert (actions.resample(still, still[0], 3.0, 25.0, hold=False) == 0.3).all()


def test_turns_go_the_short_way_at_an_even_rate() -> None:
    quat = rotation.from_vector(np.array([[0.0, 0.0, 0.4], [0.0, 0.0, 1.0]]))
    quat = quat * np.array([[1.0], [-1.0]])  # the same orientation, on the other half of the sphere
    found = actions.resample_turns(quat, np.array([1.0, 0.0, 0.0, 0.0]), 10.0, 20.0, hold=False)
    assert rotation.to_vector(found)[:, 2] == pytest.approx([0.2, 0.4, 0.7, 1.0], abs=EXACT)
    assert found[1::2].tobytes() == quat.tobytes()
    held = actions.resample_turns(quat, quat[0], 10.0, 20.0, hold=True)
    assert held.tobytes() == np.repeat(quat, 2, axis=0).tobytes()
