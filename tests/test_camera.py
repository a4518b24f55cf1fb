"""A camera maps the world to the picture that it takes, and the task card says how."""

import re
from typing import Any

import mujoco
import numpy as np
import pytest

from worldverify.camera import Camera, View, camera_lines, photograph, view_of, written
from worldverify.envs.point_and_pick import CAMERA, point_and_pick
from worldverify.kernels import rotation
from worldverify.refusal import Refusal

EXACT = 1e-9
HALF_A_PIXEL = 0.5  # px: a ball's outline is drawn on whole pixels

BALL = """
<mujoco><worldbody>
  <camera name="above" pos=".2 .1 1.4" euler="10 -5 30" fovy="55"/>
  <camera name="flat" pos="0 0 2" fovy="1" projection="orthographic"/>
  <camera name="lens" pos="0 0 2" resolution="320 240" sensorsize=".004 .003" focal=".005 .005"/>
  <body name="ball" pos=".1 .05 .3"><freejoint/><geom type="sphere" size=".06" rgba="1 0 0 1"/></body>
</worldbody></mujoco>
"""


class Bare:
    """What `photograph` needs of a scene."""

    model = mujoco.MjModel.from_xml_string(BALL)

    def data(self, state: Any) -> Any:
        data = mujoco.MjData(self.model)
        mujoco.mj_setState(self.model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return data


def bare_view(camera: Camera) -> View:
    return view_of(Bare.model, mujoco.MjData(Bare.model), camera)


def start() -> Any:
    data, state = (
        mujoco.MjData(Bare.model),
        np.empty(mujoco.mj_stateSize(Bare.model, mujoco.mjtState.mjSTATE_INTEGRATION)),
    )
    mujoco.mj_getState(Bare.model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    return state


def test_a_ball_stands_in_the_photograph_where_the_camera_projects_it() -> None:
    camera = Camera("above", 320, 240)
    image = photograph(Bare(), start(), camera).astype(int)
    red = image[..., 0] - np.maximum(image[..., 1], image[..., 2]) > 60
    rows, columns = np.nonzero(red)
    pixel, depth = bare_view(camera).project(np.array([0.1, 0.05, 0.3]))
    assert abs(columns.mean() + 0.5 - pixel[0]) < HALF_A_PIXEL
    assert abs(rows.mean() + 0.5 - pixel[1]) < HALF_A_PIXEL
    assert depth > 0


def test_the_optical_frame_looks_where_mujocos_camera_looks() -> None:
    view = bare_view(Camera("above", 320, 240))
    ours, optical = rotation.to_matrix(view.quat), rotation.to_matrix(view.optical_quat)
    assert np.abs(optical[:, 2] + ours[:, 2]).max() < EXACT
    assert np.abs(optical[:, 0] - ours[:, 0]).max() < EXACT


def test_a_lifted_pixel_projects_to_itself_and_lies_on_its_direction() -> None:
    view = bare_view(Camera("above", 320, 240))
    pixels, depth = np.array([[0.0, 0.0], [320.0, 240.0], [11.5, 200.25]]), np.array([0.5, 1.0, 2.0])
    points = view.lift(pixels, depth)
    assert np.abs(view.project(points)[0] - pixels).max() < EXACT
    way = points - view.position
    assert np.abs(view.directions(pixels) - way / np.linalg.norm(way, axis=1, keepdims=True)).max() < EXACT


def test_a_camera_that_the_model_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(Refusal, match=r"no camera 'abov'\. Did you mean 'above'") as refused:
        bare_view(Camera("abov", 320, 240))
    assert refused.value.cause == "model"


@pytest.mark.parametrize("name", ["flat", "lens"])
def test_a_camera_that_is_no_plain_pinhole_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="fovy alone"):
        bare_view(Camera(name, 320, 240))


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, -1), (10, 10_000)])
def test_a_picture_of_an_absurd_size_is_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="use 1 to 4096 px"):
        Camera("above", width, height)


def test_a_photograph_needs_no_opengl_and_is_the_same_twice() -> None:
    task = point_and_pick()
    small = Camera(CAMERA.name, 80, 60)
    one, two = (photograph(source, task.start(3), small) for source in (task, task.scene))
    assert one.shape == (60, 80, 3)
    assert one.dtype == np.uint8
    assert one.tobytes() == two.tobytes() != photograph(task, task.start(4), small).tobytes()


def test_the_lines_of_the_card_give_a_reader_all_that_projecting_takes() -> None:
    task = point_and_pick()
    view = view_of(task.scene.model, task.scene.data(task.start(0)), CAMERA)
    text = " ".join(camera_lines(view, order="yx", unit="thousandths"))
    for words in ("'table_camera'", "640 x 480 px", "x right, y down, z forward", "[y, x]", "0 to 1000 of the height"):
        assert words in text
    number = r"(-?[\d.]+)"
    fx, fy = map(float, re.findall(rf"fx {number} and fy {number}", text)[0])
    eye = [float(x) for x in re.findall(rf"eye at \[{number}, {number}, {number}\]", text)[0]]
    quat = [float(x) for x in re.findall(rf"\[w, x, y, z\] \[{number}, {number}, {number}, {number}\]", text)[0]]
    point = np.array([0.5, 0.1, 0.02])
    x, y, z = rotation.to_matrix(np.array(quat)).T @ (point - eye)
    pixel, _ = view.project(point)
    assert abs(320 + fx * x / z - pixel[0]) < 0.1
    assert abs(240 + fy * y / z - pixel[1]) < 0.1


def test_a_card_without_image_points_does_not_say_how_to_write_them() -> None:
    view = bare_view(Camera("above", 320, 240))
    assert len(camera_lines(view)) == 2


def test_each_convention_is_written_in_its_own_words() -> None:
    camera = Camera("above", 320, 240)
    sentences = {written(order, unit, camera) for order in ("yx", "xy") for unit in ("thousandths", "pixels", "unit")}
    assert len(sentences) == 6
    assert "[x, y] from the top left corner, in px, y from 0 to 240, x from 0 to 320 of 'above'" in sentences
