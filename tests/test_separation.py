"""A plane between two geoms is never farther than they are."""

import mujoco
import numpy as np
import pytest

from worldverify.kernels.rotation import to_matrix
from worldverify.kernels.separation import separation, shapes_of

GEOMS = {
    "sphere": 'type="sphere" size="0.05"',
    "capsule": 'type="capsule" size="0.02 0.15" quat="0.8 0.1 0.5 0.2"',
    "box": 'type="box" size="0.02 0.1 0.05" pos="0.03 0 0"',
    "cylinder": 'type="cylinder" size="0.05 0.02"',
    "ellipsoid": 'type="ellipsoid" size="0.02 0.1 0.05"',
}


@pytest.mark.parametrize("two", GEOMS.values(), ids=GEOMS)
@pytest.mark.parametrize("one", GEOMS.values(), ids=GEOMS)
def test_the_geoms_are_no_nearer(one: str, two: str) -> None:
    bodies = "".join(f'<body><freejoint/><geom {geom} mass="1"/></body>' for geom in (one, two))
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{bodies}</worldbody></mujoco>")
    data, generator = mujoco.MjData(model), np.random.default_rng(0)
    shapes, told, true = shapes_of(model), [], []
    for _ in range(60):
        data.qpos[:] = generator.uniform(-0.3, 0.3, model.nq)
        mujoco.mj_kinematics(model, data)
        centres = data.geom_xpos[:1].copy(), data.geom_xpos[1:].copy()
        turns = to_matrix(data.xquat[1:])[:, None]
        told += separation(shapes, (np.array([0]), np.array([1])), centres, turns).tolist()
        true.append(mujoco.mj_geomDistance(model, data, 0, 1, 10.0, None))
    apart = np.array(true) > 0.01
    assert apart.sum() > 20
    assert (np.array(told)[apart] <= np.array(true)[apart] + 1e-6).all()
    assert np.median(np.array(told)[apart] / np.array(true)[apart]) > 0.7  # and tells something


def test_nothing_is_apart_from_a_plane() -> None:
    plane, ball = '<geom type="plane" size="1 1 1"/>', '<body pos="0 0 9"><geom size="0.1"/></body>'
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{plane}{ball}</worldbody></mujoco>")
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    turns = np.broadcast_to(np.eye(3), (2, 1, 3, 3))
    centres = data.geom_xpos[:1], data.geom_xpos[1:]
    assert separation(shapes_of(model), (np.array([0]), np.array([1])), centres, turns)[0] == -np.inf
