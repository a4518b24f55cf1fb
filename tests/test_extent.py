"""How far shapes reach, and what lies under a point."""

import mujoco
import numpy as np
import pytest

from worldverify.extent import extent, subtree, surface_below

SCENE = """
<mujoco>
  <worldbody>
    <geom name="ground" type="plane" size="2 2 0.1"/>
    <body name="box" pos="0.3 0 0.5"><geom type="box" size="0.1 0.2 0.05"/></body>
    <body name="ball" pos="-0.3 0 0.4"><geom type="sphere" size="0.06"/></body>
    <body name="plate" pos="0 1 0.2"><geom type="plane" size="1 1 0.1"/></body>
  </worldbody>
</mujoco>
"""


def scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return model, data


@pytest.mark.parametrize(("body", "x", "height"), [("box", 0.3, 0.55), ("ball", -0.3, 0.46), ("world", 0.0, 0.0)])
def test_the_surface_under_a_point_is_found(body: str, x: float, height: float) -> None:
    model, data = scene()
    assert surface_below(model, data, {model.body(body).id}, np.array([x, 0.0, 2.0])) == pytest.approx(height)


def test_where_nothing_lies_below_there_is_no_surface() -> None:
    model, data = scene()
    assert surface_below(model, data, {model.body("box").id}, np.array([1.0, 0.0, 2.0])) is None


def test_the_box_around_a_body_is_that_of_its_shapes() -> None:
    model, data = scene()
    around = extent(model, data, subtree(model, model.body("box").id), 0.0)
    assert around.center == pytest.approx([0.3, 0.0, 0.5])
    assert around.half == pytest.approx([0.1, 0.2, 0.05])


def test_a_plane_has_no_box() -> None:
    model, data = scene()
    around = extent(model, data, {model.body("plate").id}, 0.0)
    assert around.center == pytest.approx([0.0, 1.0, 0.2])
    assert not around.half.any()
