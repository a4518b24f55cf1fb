"""The first look for tunnelling never calls a pair safe that could have missed each other, on NumPy and on JAX."""

from typing import Any

import mujoco
import numpy as np
import pytest

from worldverify.kernels.sweep import SweepTable, leaps, paths, suspicious, sweep_table

STEP = 0.004  # s
SCENE = """
<mujoco><option timestep="0.004"/>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1" pos="0 0 -.5"/>
    <geom name="wall" type="box" size=".005 .3 .3" pos=".2 0 0" euler="10 20 30"/>
    <geom name="post" type="capsule" size=".03 .2" pos="-.2 .1 0"/>
    <body name="gate" mocap="true" pos="0 .5 0"><geom type="box" size=".2 .01 .2"/></body>
    <body name="arm" pos="-.1 -.2 0"><joint axis="0 0 1"/><geom type="box" size=".1 .01 .02" pos=".1 0 0"/>
      <body name="hand" pos=".2 0 0"><joint axis="0 1 0"/><geom type="capsule" size=".01 .05" pos=".03 0 0"/></body>
    </body>
    <body name="ball"><freejoint/><geom name="round" size=".02"/></body>
    <body name="slab" pos="0 .2 .1"><freejoint/>
      <geom name="plate" type="box" size=".05 .04 .006" pos=".01 0 0"/>
      <geom type="cylinder" size=".02 .03" pos="-.04 0 .02"/></body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def model() -> Any:
    return mujoco.MjModel.from_xml_string(SCENE)


@pytest.fixture(scope="module")
def table(model: Any) -> SweepTable:
    return sweep_table(model)


def transitions(model: Any, count: int) -> tuple[np.ndarray, ...]:
    """Geom centres and angular velocities of bodies at both ends of transitions of every size, still to a metre."""
    rng, data = np.random.default_rng(5), mujoco.MjData(model)
    before = np.empty((count, model.ngeom, 3))
    for i in range(count):
        data.qpos[:] = model.qpos0 + rng.normal(scale=0.1, size=model.nq)
        mujoco.mj_normalizeQuat(model, data.qpos)
        mujoco.mj_kinematics(model, data)
        before[i] = data.geom_xpos
    size = 10 ** rng.uniform(-5, 0, size=(count, model.nbody, 1)) * (rng.random((count, model.nbody, 1)) < 0.2)
    size[:, [model.body(name).id for name in ("world", "gate")]] = 0.0
    after = before + size[:, model.geom_bodyid] * rng.normal(size=before.shape)
    angular = 40 * size * rng.normal(size=(2, count, model.nbody, 3))
    return before, after, angular[0], angular[1]


def squares(before: Any, after: Any, *angular: Any) -> tuple[Any, Any]:
    return ((after - before) ** 2).sum(axis=-1), np.maximum(*[(w**2).sum(axis=-1) for w in angular])


def test_a_pair_that_sweeps_farther_than_it_is_thin_and_is_near_has_a_path(model: Any, table: SweepTable) -> None:
    rng, data = np.random.default_rng(1), mujoco.MjData(model)
    speeds = 10 ** rng.uniform(-3, 0, size=(200, model.ngeom))  # m a step
    still = model.body_weldid[model.geom_bodyid] == 0
    near = 0
    for speed in speeds:
        data.qpos[:] = model.qpos0 + rng.normal(scale=0.15, size=model.nq)
        mujoco.mj_normalizeQuat(model, data.qpos)
        mujoco.mj_kinematics(model, data)
        moved = np.where(still, 0.0, speed**2)
        path = paths(table, STEP, data.geom_xpos, moved, np.zeros(model.nbody))
        sweep = np.sqrt(moved)[table.pairs].sum(axis=1)
        for i, (g1, g2) in enumerate(table.pairs):
            apart = mujoco.mj_geomDistance(model, data, int(g1), int(g2), 3.0, None)
            if sweep[i] > table.half[i] and apart < sweep[i]:
                near += 1
                assert path[i] >= sweep[i]
    assert near > 500


def test_what_is_far_apart_or_slow_has_no_path(model: Any, table: SweepTable) -> None:
    data = mujoco.MjData(model)
    data.joint(2).qpos[:3] = 5.0
    mujoco.mj_kinematics(model, data)
    ball, floor, spin = model.geom("round").id, model.geom("floor").id, np.zeros(model.nbody)
    moved = np.zeros(model.ngeom)
    moved[ball] = 0.5**2
    path = paths(table, STEP, data.geom_xpos, moved, spin)
    with_ball = (table.pairs == ball).any(axis=1)
    endless = (table.pairs == floor).any(axis=1)
    assert np.array_equal(path > 0, with_ball & endless)  # nobody is far from a plane
    moved[ball] = 0.01**2
    assert not paths(table, STEP, data.geom_xpos, moved, spin).any()


def test_a_geom_leaps_when_it_moves_or_turns_by_more_than_half_of_what_it_could_miss(
    model: Any, table: SweepTable
) -> None:
    plate, wall = model.geom("plate").id, model.geom("wall").id
    assert (table.thin[plate], table.thin[wall]) == (0.005, np.inf)  # the wall never moves
    still, moved, spin = np.zeros(model.nbody), np.zeros(model.ngeom), np.zeros(model.nbody)
    moved[plate] = 0.0026**2
    spin[model.body("slab").id] = (0.0026 / (STEP * table.radius[plate])) ** 2
    assert leaps(table, STEP, moved, still) and leaps(table, STEP, 0 * moved, spin)
    assert not leaps(table, STEP, 0.9 * moved, still) and not leaps(table, STEP, 0 * moved, 0.9 * spin)
    assert leaps(table, STEP, 0.3 * moved, 0.3 * spin)


def test_suspicion_needs_a_leap_and_a_path(model: Any, table: SweepTable) -> None:
    before, after, *angular = transitions(model, 400)
    moved, spin = squares(before, after, *angular)
    path = paths(table, STEP, before, moved, spin)
    both = leaps(table, STEP, moved, spin) & (path > 0).any(axis=1)
    found = suspicious(table, STEP, before, after, *angular)
    assert np.array_equal(found, both)
    assert 0.2 < found.mean() < 0.8


def test_a_batch_of_any_shape_is_its_transitions_one_by_one(model: Any, table: SweepTable) -> None:
    ends = transitions(model, 60)
    together = suspicious(table, STEP, *[x.reshape(4, 15, *x.shape[1:]) for x in ends])
    assert together.shape == (4, 15)
    assert together.ravel().tolist() == [bool(suspicious(table, STEP, *[x[i] for x in ends])) for i in range(60)]


@pytest.mark.parametrize("end", range(4))
def test_nan_is_suspicious(model: Any, table: SweepTable, end: int) -> None:
    ends = [np.zeros((count, 3)) for count in (model.ngeom, model.ngeom, model.nbody, model.nbody)]
    assert not suspicious(table, STEP, *ends)
    ends[end][model.geom("round").id if end < 2 else model.body("ball").id, 1] = np.nan
    with np.errstate(invalid="ignore"):
        assert suspicious(table, STEP, *ends)


def test_a_scene_without_pairs_is_never_suspicious() -> None:
    lonely = sweep_table(
        mujoco.MjModel.from_xml_string("<mujoco><worldbody><body><geom size='1'/></body></worldbody></mujoco>")
    )
    assert not suspicious(lonely, STEP, *np.zeros((2, 1, 3)), np.zeros((2, 3)), np.full((2, 3), 1e9))


@pytest.mark.xdist_group("jax")
def test_jax_in_float32_suspects_the_same_transitions(model: Any, table: SweepTable) -> None:
    import jax

    ends = transitions(model, 400)
    rounded = [x.astype(np.float32) for x in ends]
    batched = jax.jit(lambda *args: suspicious(table, STEP, *args))
    mapped = jax.jit(jax.vmap(lambda *args: suspicious(table, STEP, *args)))
    truth = suspicious(table, STEP, *ends)
    for found in (batched(*rounded), mapped(*rounded)):
        assert np.array_equal(np.asarray(found), truth)
