"""Signed distances between geoms: against MuJoCo C, against sampled directions, by hand."""

from itertools import product
from typing import Any

import mujoco
import numpy as np
import pytest

from worldverify.kernels.geom_distance import Geoms, has_distance, signed_distance

SOLIDS = ("sphere", "capsule", "box")
BESIDE_A_PLANE = (*SOLIDS, "cylinder", "ellipsoid")
PAIRS = [*product(SOLIDS, SOLIDS), *(("plane", solid) for solid in BESIDE_A_PLANE), ("box", "plane")]

EXACT = 1e-9  # m, float64
ROUNDED = 2e-6  # m, float32 at coordinates of a few metres

TURNED = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def kind(name: str) -> int:
    return int(getattr(mujoco.mjtGeom, f"mjGEOM_{name.upper()}"))


def placed(pos: Any, size: Any, mat: Any = None) -> Geoms:
    mat = np.eye(3) if mat is None else mat
    return Geoms(np.array(pos, dtype=float), np.asarray(mat, dtype=float), np.array(size, dtype=float))


def rotations(rng: np.random.Generator, n: int) -> Any:
    matrix = np.zeros((n, 9))
    for row in matrix:
        quat = rng.normal(size=4)
        mujoco.mju_quat2Mat(row, quat / np.linalg.norm(quat))
    return matrix.reshape(n, 3, 3)


def random_pairs(n: int, seed: int) -> tuple[Geoms, Geoms]:
    """Half a metre apart or overlapping; a quarter of them turned alike, some of those exactly on one line."""
    rng = np.random.default_rng(seed)
    sizes, mats = rng.uniform(0.02, 0.3, (2, n, 3)), [rotations(rng, n) for _ in range(2)]
    mats[1][: n // 4] = mats[0][: n // 4]
    first = rng.normal(0, 1, (n, 3))
    away = rng.normal(0, 0.3, (n, 3))
    away[: n // 16] = 2 * away[: n // 16, :1] * mats[0][: n // 16, :, 2]
    return Geoms(first, mats[0], sizes[0]), Geoms(first + away, mats[1], sizes[1])


def distances_of_mujoco(name1: str, name2: str, geoms1: Geoms, geoms2: Geoms) -> Any:
    body = '<body mocap="true"><geom type="{}" size="1 1 1"/></body>'
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><worldbody>{body.format(name1)}{body.format(name2)}</worldbody></mujoco>"
    )
    data, found = mujoco.MjData(model), np.empty(len(geoms1.pos))
    for i in range(len(found)):
        for g, geoms in enumerate((geoms1, geoms2)):
            model.geom_size[g] = geoms.size[i]
            data.geom_xpos[g], data.geom_xmat[g] = geoms.pos[i], geoms.mat[i].ravel()
        found[i] = mujoco.mj_geomDistance(model, data, 0, 1, 100.0, None)
    return found


@pytest.mark.parametrize(("name1", "name2"), PAIRS)
def test_the_distance_is_mujocos(name1: str, name2: str) -> None:
    geoms1, geoms2 = random_pairs(400, seed=1)
    expected = distances_of_mujoco(name1, name2, geoms1, geoms2)
    found = signed_distance(kind(name1), kind(name2), geoms1, geoms2)
    if {name1, name2} == {"box", "capsule"}:
        # Once the capsule's axis enters the box, MuJoCo no longer gives the shortest way out but a longer distance.
        assert (found <= expected + EXACT).all()
        capsule = geoms1 if name1 == "capsule" else geoms2
        shallow = found > -capsule.size[:, 0]
    else:
        shallow = np.ones(len(found), dtype=bool)
    assert (expected[shallow] < 0).sum() > 20 and (expected > 0).sum() > 20
    np.testing.assert_allclose(found[shallow], expected[shallow], rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", ["capsule", "box"])
def test_a_depth_in_a_box_is_the_shortest_way_out(name: str) -> None:
    box, other = random_pairs(200, seed=2)
    depth = -signed_distance(kind("box"), kind(name), box, other)
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(4000, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    for i in np.flatnonzero(depth > 0):
        reach = np.abs(ways @ box.mat[i]) @ box.size[i]
        if name == "box":
            reach += np.abs(ways @ other.mat[i]) @ other.size[i]
        else:
            reach += other.size[i, 0] + other.size[i, 1] * np.abs(ways @ other.mat[i, :, 2])
        to_part = (reach - ways @ (other.pos[i] - box.pos[i])).min()
        assert depth[i] <= to_part + EXACT
        assert depth[i] > to_part - 0.03, "some sampled way out is nearly the shortest"


@pytest.mark.parametrize(("name1", "name2"), PAIRS)
def test_the_order_of_two_geoms_does_not_matter(name1: str, name2: str) -> None:
    geoms1, geoms2 = random_pairs(100, seed=3)
    one = signed_distance(kind(name1), kind(name2), geoms1, geoms2)
    other = signed_distance(kind(name2), kind(name1), geoms2, geoms1)
    np.testing.assert_allclose(one, other, rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    ("name1", "geom1", "name2", "geom2", "expected"),
    [
        ("sphere", placed([0, 0, 0], [1, 0, 0]), "sphere", placed([0, 0, 0], [0.5, 0, 0]), -1.5),
        ("sphere", placed([0, 0, 0], [0.1, 0, 0]), "box", placed([0, 0, 0], [1, 2, 3]), -1.1),
        ("box", placed([0, 0, 0], [1, 2, 3]), "box", placed([0, 0, 0], [0.1, 0.1, 0.1]), -1.1),
        ("box", placed([0, 0, 0], [1, 1, 1]), "box", placed([2, 0, 0], [1, 1, 1]), 0.0),
        ("box", placed([0, 0, 0], [1, 1, 1]), "box", placed([3, 4, 0], [1, 1, 1]), np.sqrt(1 + 4)),
        ("box", placed([0, 0, 0], [1, 2, 3]), "box", placed([6, 0, 0], [1, 2, 3], TURNED), 2.0),
        ("capsule", placed([0, 0, 0], [0.1, 1, 0]), "capsule", placed([0.5, 0, 0], [0.1, 1, 0]), 0.3),
        ("capsule", placed([0, 0, 0], [0.1, 1, 0]), "capsule", placed([0, 0, 3], [0.1, 1, 0]), 0.8),
        ("capsule", placed([0, 0, 0], [0.1, 1, 0]), "capsule", placed([0, 0, 1], [0.1, 1, 0]), -0.2),
        ("capsule", placed([0, 0, 0], [0.1, 1, 0]), "capsule", placed([0.3, 0, 0], [0.1, 1, 0], TURNED), -0.2),
        ("capsule", placed([2, 0, 0], [0.1, 5, 0]), "box", placed([0, 0, 0], [1, 1, 1]), 0.9),
        ("capsule", placed([0, 0, 0], [0.1, 5, 0]), "box", placed([0, 0, 0], [1, 2, 1]), -1.1),
        ("capsule", placed([0, 0, 2], [0.25, 0, 0]), "box", placed([0, 0, 0], [1, 1, 1]), 0.75),
        ("plane", placed([0, 0, 1], [1, 1, 1]), "box", placed([5, 5, 0], [1, 1, 0.5]), -1.5),
        ("plane", placed([0, 0, 0], [1, 1, 1]), "cylinder", placed([5, 5, 1], [0.3, 0.7, 0], TURNED), 0.7),
    ],
)
def test_touching_parallel_and_contained_by_hand(
    name1: str, geom1: Geoms, name2: str, geom2: Geoms, expected: float
) -> None:
    for dtype in (np.float64, np.float32):
        one, two = (Geoms(*(field.astype(dtype) for field in geom)) for geom in (geom1, geom2))
        found = signed_distance(kind(name1), kind(name2), one, two)
        assert found.dtype == dtype
        assert found == pytest.approx(expected, abs=ROUNDED if dtype == np.float32 else EXACT)


def test_nearly_parallel_edges_are_as_exact_as_others() -> None:
    rng = np.random.default_rng(4)
    geoms1, geoms2 = random_pairs(300, seed=4)
    for i, angle in enumerate(10.0 ** rng.uniform(-12, -1, 300)):
        axis, quat, turn = rng.normal(size=3), np.empty(4), np.empty(9)
        mujoco.mju_axisAngle2Quat(quat, axis / np.linalg.norm(axis), angle)
        mujoco.mju_quat2Mat(turn, quat)
        geoms2.mat[i] = turn.reshape(3, 3) @ geoms1.mat[i]
    for name1, name2 in (("capsule", "capsule"), ("capsule", "box"), ("box", "box")):
        exact = signed_distance(kind(name1), kind(name2), geoms1, geoms2)
        single = signed_distance(
            kind(name1), kind(name2), *(Geoms(*(f.astype(np.float32) for f in g)) for g in (geoms1, geoms2))
        )
        np.testing.assert_allclose(single, exact, rtol=0, atol=ROUNDED)
        apart = exact > 0
        expected = distances_of_mujoco(name1, name2, geoms1, geoms2)
        np.testing.assert_allclose(exact[apart], expected[apart], rtol=0, atol=1e-7)


def test_float32_under_jit_is_float64_rounded() -> None:
    import jax

    geoms1, geoms2 = random_pairs(500, seed=5)
    pairs = [("capsule", "capsule"), ("capsule", "box"), ("box", "box"), ("plane", "ellipsoid")]

    def program(one: Geoms, two: Geoms) -> list[Any]:
        return [signed_distance(kind(a), kind(b), one, two) for a, b in pairs]

    single = [Geoms(*(jax.numpy.asarray(f, dtype="float32") for f in g)) for g in (geoms1, geoms2)]
    for (a, b), found in zip(pairs, jax.jit(program)(*single), strict=True):
        assert found.dtype == np.float32
        exact = signed_distance(kind(a), kind(b), geoms1, geoms2)
        np.testing.assert_allclose(found, exact, rtol=0, atol=ROUNDED)


def test_what_is_not_known_is_refused_by_name() -> None:
    geom = placed([0, 0, 0], [1, 1, 1])
    assert not has_distance(kind("mesh"), kind("box"))
    assert not has_distance(kind("plane"), kind("plane"))
    with pytest.raises(ValueError, match="between a cylinder and a box"):
        signed_distance(kind("cylinder"), kind("box"), geom, geom)
