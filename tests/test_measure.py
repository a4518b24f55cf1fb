"""Margins from sensor columns: against arithmetic, brute force over surfaces, and NumPy against JAX."""

import math
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.kernels.measure import measure

X, Y, Z = ("column", 0), ("column", 1), ("column", 2)

SHAPES: dict[str, tuple[float, ...]] = {
    "sphere": (0.3,),
    "capsule": (0.2, 0.5),
    "ellipsoid": (0.2, 0.5, 0.35),
    "cylinder": (0.3, 0.2),
    "box": (0.2, 0.5, 0.35),
}

GRID = 250  # points a side of a sampled surface
COARSE = 0.01  # m, how far a sampled surface may lie from the true one, for shapes below 1 m


def at(expression: Any, points: np.ndarray) -> np.ndarray:
    """(P,) an expression of the columns x, y, z at points (P, 3)."""
    return measure((expression,), np.asarray(points, dtype=np.float64)[None])[0, 0]


def inside(shape: str, size: tuple[float, ...], points: np.ndarray) -> np.ndarray:
    return at(("inside", shape, size, X, Y, Z), points)


def surface(shape: str, size: tuple[float, ...]) -> np.ndarray:
    """(Q, 3) points all over a surface."""
    u, v = (x.ravel() for x in np.meshgrid(np.linspace(-1, 1, GRID), np.linspace(-np.pi, np.pi, GRID)))
    ball = np.stack([np.sqrt(1 - u * u) * np.cos(v), np.sqrt(1 - u * u) * np.sin(v), u], axis=1)
    side = np.stack([np.cos(v), np.sin(v), u], axis=1)
    w = v / np.pi
    if shape == "sphere":
        return ball * size[0]
    if shape == "ellipsoid":
        return ball * np.array(size)
    if shape == "capsule":
        caps = ball * size[0] + np.where(ball[:, 2:] > 0, 1, -1) * np.array([0, 0, size[1]])
        return np.concatenate([caps, side * np.array([size[0], size[0], size[1]])])
    if shape == "cylinder":
        radius = np.abs(u) * size[0]
        disc = np.stack([radius * np.cos(v), radius * np.sin(v), np.full_like(u, size[1])], axis=1)
        return np.concatenate([disc, disc * [1, 1, -1], side * np.array([size[0], size[0], size[1]])])
    faces = []
    for axis in range(3):
        flat = np.insert(np.stack([u, w], axis=1), axis, 1.0, axis=1)
        faces += [
            flat * np.array(size),
            np.insert(flat[:, [i for i in range(3) if i != axis]], axis, -1, axis=1) * size,
        ]
    return np.concatenate(faces)


def contains(shape: str, size: tuple[float, ...], p: np.ndarray) -> np.ndarray:
    x, y, z = p.T
    if shape == "sphere":
        return x * x + y * y + z * z < size[0] ** 2
    if shape == "ellipsoid":
        return ((p / np.array(size)) ** 2).sum(axis=1) < 1
    if shape == "capsule":
        return x * x + y * y + np.maximum(np.abs(z) - size[1], 0) ** 2 < size[0] ** 2
    if shape == "cylinder":
        return (np.hypot(x, y) < size[0]) & (np.abs(z) < size[1])
    return (np.abs(p) < np.array(size)).all(axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_depth_is_the_distance_to_a_sampled_surface(shape: str) -> None:
    size = SHAPES[shape]
    points = np.random.default_rng(0).uniform(-0.8, 0.8, size=(60, 3))
    points[0], points[1], points[2] = (0.0, 0.0, 0.0), (0.0, 0.0, 0.1), (0.1, 0.0, 0.0)
    shell = surface(shape, size)
    nearest = np.array([np.sqrt(((shell - p) ** 2).sum(axis=1).min()) for p in points])
    expected = np.where(contains(shape, size, points), nearest, -nearest)
    np.testing.assert_allclose(inside(shape, size, points), expected, atol=COARSE)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_depth_is_zero_on_the_surface_and_never_not_a_number(shape: str) -> None:
    shell = surface(shape, SHAPES[shape])[::97]
    np.testing.assert_allclose(inside(shape, SHAPES[shape], shell), 0.0, atol=1e-7)
    axes = np.concatenate([np.eye(3) * scale for scale in (0.0, 1e-300, 1e-12, 0.1, 1.0, 1e6)])
    assert np.isfinite(inside(shape, SHAPES[shape], axes)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_depth_changes_no_faster_than_the_point_moves(shape: str) -> None:
    rng = np.random.default_rng(1)
    points, steps = rng.uniform(-0.8, 0.8, size=(200, 3)), rng.normal(scale=0.05, size=(200, 3))
    moved = np.abs(inside(shape, SHAPES[shape], points + steps) - inside(shape, SHAPES[shape], points))
    assert (moved <= np.linalg.norm(steps, axis=1) + 1e-9).all()


@pytest.mark.parametrize("size", [(0.2, 0.5, 0.35), (0.3, 0.3, 0.3), (0.5, 0.2, 0.2), (0.001, 1.0, 5.0)])
@pytest.mark.parametrize("offset", [0.0, 1e-300, 1e-30, 1e-17, 1e-12, 1e-9])
def test_the_centre_of_an_ellipsoid_is_as_deep_as_its_shortest_axis(size: tuple[float, ...], offset: float) -> None:
    points = np.random.default_rng(3).normal(size=(50, 3)) * offset
    np.testing.assert_allclose(inside("ellipsoid", size, points), min(size), rtol=0, atol=5 * offset + 1e-15)


@given(st.floats(0, 3), st.sampled_from(range(3)))
def test_on_its_axes_an_ellipsoid_is_as_far_as_its_tips_or_nearer(distance: float, axis: int) -> None:
    size = SHAPES["ellipsoid"]
    depth = inside("ellipsoid", size, np.eye(3)[axis : axis + 1] * distance)[0]
    if distance >= size[axis]:
        assert depth == pytest.approx(size[axis] - distance, abs=1e-15)
    else:
        assert 0 < depth <= min(*size, size[axis] - distance) + 1e-15


def test_an_ellipsoid_with_equal_axes_is_a_sphere() -> None:
    points = np.random.default_rng(2).uniform(-1, 1, size=(100, 3))
    np.testing.assert_allclose(
        inside("ellipsoid", (0.3, 0.3, 0.3), points), inside("sphere", (0.3,), points), rtol=1e-13, atol=1e-15
    )


def test_depths_by_hand() -> None:
    assert inside("box", (1.0, 2.0, 3.0), np.array([[0.9, 0.0, 0.0], [2.0, 0.0, 0.0], [4.0, 6.0, 0.0]])).tolist() == [
        pytest.approx(0.1),
        -1.0,
        -5.0,
    ]
    assert inside("cylinder", (1.0, 1.0), np.array([[0.0, 0.0, 0.25], [4.0, 0.0, 5.0]])).tolist() == [0.75, -5.0]
    assert inside("capsule", (1.0, 1.0), np.array([[0.0, 0.0, 1.5], [0.0, 0.0, 3.0]])).tolist() == [0.5, -1.0]


def test_arithmetic_by_hand() -> None:
    point = np.array([[3.0, -4.0, 2.0]])
    cases: list[tuple[Any, float]] = [
        (("add", X, Y), -1.0),
        (("sub", X, Y), 7.0),
        (("mul", X, Y), -12.0),
        (("div", X, Z), 1.5),
        (("neg", Y), 4.0),
        (("abs", Y), 4.0),
        (("min", X, Y, Z), -4.0),
        (("max", X, Y, Z), 3.0),
        (("sum", X, Y, Z), 1.0),
        (("norm", X, Y), 5.0),
        (("number", 0.25), 0.25),
        (("angle", X, Y, ("number", 0.0)), math.pi / 2),
        (("angle", ("number", 0.0), ("number", 0.0), Y), math.pi),
    ]
    for expression, expected in cases:
        assert at(expression, point)[0] == pytest.approx(expected, abs=1e-15), expression


def test_division_by_zero_is_not_a_finite_number() -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        assert not np.isfinite(at(("div", X, ("number", 0.0)), np.array([[0.0, 0, 0], [1.0, 0, 0]]))).any()


def test_an_unknown_operation_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'power'"):
        at(("power", X, Y), np.ones((1, 3)))


EXPRESSIONS = (
    ("sub", ("number", 0.5), ("norm", X, Y, Z)),
    ("angle", X, Y, Z),
    ("min", ("div", X, ("add", ("abs", Y), ("number", 1.0))), ("mul", Y, Z), ("neg", X)),
    *[("inside", shape, size, X, Y, Z) for shape, size in SHAPES.items()],
)


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_trace_has_the_same_bits_alone_as_in_a_batch(plans: int, samples: int, seed: int) -> None:
    data = np.random.default_rng(seed).normal(size=(plans, samples, 3))
    together = measure(EXPRESSIONS, data)
    for b in range(plans):
        assert np.array_equal(measure(EXPRESSIONS, data[b : b + 1])[:, 0], together[:, b])
        assert np.array_equal(measure(EXPRESSIONS, data[b : b + 1, :1])[:, 0], together[:, b, :1])


def test_numpy_and_jit_agree_and_compile_once() -> None:
    compiled = 0

    def margins(data: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return measure(EXPRESSIONS, data)

    with jax.enable_x64(True):
        jitted = jax.jit(margins)
        for seed in range(3):
            data = np.random.default_rng(seed).normal(size=(4, 25, 3))
            found = np.asarray(jitted(data))
            assert found.dtype == np.float64
            # XLA contracts a*b + c into one rounding, and has its own sqrt and atan2: a few units in the last place.
            np.testing.assert_allclose(found, measure(EXPRESSIONS, data), rtol=1e-13, atol=1e-14)
    assert compiled == 1


def test_float32_stays_float32_and_close() -> None:
    data = np.random.default_rng(0).normal(size=(2, 25, 3)).astype(np.float32)
    found = measure(EXPRESSIONS, data)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, measure(EXPRESSIONS, data.astype(np.float64)), rtol=1e-5, atol=1e-5)
