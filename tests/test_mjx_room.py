"""How much memory a lane gets on a device that allocates it beforehand."""

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.kernels.mjx_room import LEAST_CONTACTS, LEAST_ROWS, Room, room_for, usual_room
from worldverify.kernels.sweep import collidable_pairs

SENSED = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <body name="a" pos="0 0 1"><freejoint/>{many}</body>
    <body name="b" pos="1 0 1"><freejoint/>{many}</body>
  </worldbody>
  <sensor>{sensors}</sensor>
</mujoco>
"""


def model(geoms: int, sensors: str) -> mujoco.MjModel:
    many = "".join(f'<geom size=".05" pos="0 0 {0.2 * i}"/>' for i in range(geoms))
    return mujoco.MjModel.from_xml_string(SENSED.format(many=many, sensors=sensors))


def test_a_pair_whose_distance_is_asked_for_has_a_place_beside_those_that_may_touch() -> None:
    asked = '<distance body1="a" body2="b" cutoff="10"/>'
    without, once, twice = (model(10, asked * n) for n in range(3))
    pairs = len(collidable_pairs(without))
    assert usual_room(without).contacts >= max(LEAST_CONTACTS, pairs)
    assert usual_room(once).contacts >= pairs + 100
    assert usual_room(twice).contacts >= pairs + 200
    assert usual_room(without).rows == LEAST_ROWS


@pytest.mark.parametrize("name", ["WaypointCell-v0", "NavigateCrowd-v0"])
def test_plans_that_were_looked_at_get_no_less(name: str) -> None:
    task = wv.load(name)
    held = np.zeros((1, 20, task.scene.model.nu))
    usual, found = usual_room(task.scene.model), room_for(task.scene.model, task.start()[None], held)
    assert found.contacts >= usual.contacts and found.rows >= usual.rows


def test_more_room_is_more_of_both() -> None:
    assert Room(64, 256).times(4) == Room(256, 1024)
