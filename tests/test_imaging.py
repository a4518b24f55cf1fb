"""Pixels, rays and points of the world agree with each other, with arithmetic by hand and with MuJoCo's frames."""

import itertools
import math
from typing import Any, get_args

import jax
import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.kernels import imaging, rotation

EXACT = 1e-12  # float64 arithmetic in another order
NEAR = 1e-9  # m and px, after a way to the picture and back
WIDTH, HEIGHT = 640, 480
CONVENTIONS = list(itertools.product(get_args(imaging.Order), get_args(imaging.Unit)))
LENS = imaging.intrinsics(np.asarray(math.radians(60.0)), WIDTH, HEIGHT)
EYE, TURN = np.array([0.3, -0.2, 1.1]), rotation.normalise(np.array([0.9, 0.3, -0.2, 0.1]))


def scattered(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).uniform(0.05, 0.95, shape)


def test_focal_length_is_half_the_height_over_the_tangent_of_half_the_field_of_view() -> None:
    assert np.abs(LENS - [240 * math.sqrt(3), 240 * math.sqrt(3), 320, 240]).max() < NEAR


def test_the_middle_of_the_picture_looks_along_minus_z_and_its_corners_half_a_field_of_view_off() -> None:
    middle = imaging.ray(np.array([320.0, 240.0]), LENS)
    top = imaging.ray(np.array([320.0, 0.0]), LENS)
    left = imaging.ray(np.array([0.0, 240.0]), LENS)
    assert middle.tolist() == [0.0, 0.0, -1.0]
    assert abs(math.atan2(top[1], -top[2]) - math.radians(30)) < EXACT
    assert left[0] < 0 == left[1]


def test_the_optical_frame_has_x_to_the_right_y_down_and_z_forward() -> None:
    ours, optical = rotation.to_matrix(TURN), rotation.to_matrix(imaging.optical(TURN))
    assert np.abs(optical - ours * [1.0, -1.0, -1.0]).max() < EXACT


@given(seed=st.integers(0, 10_000), depth=st.floats(0.05, 20.0))
def test_a_pixel_lifted_to_a_depth_projects_to_itself(seed: int, depth: float) -> None:
    pixel = scattered(seed, 5, 2) * [WIDTH, HEIGHT]
    point = imaging.lift(pixel, np.full(5, depth), LENS, EYE, TURN)
    back, found = imaging.project(point, LENS, EYE, TURN)
    assert np.abs(back - pixel).max() < NEAR
    assert np.abs(found - depth).max() < NEAR


def test_a_direction_is_the_unit_vector_from_the_eye_to_the_lifted_point() -> None:
    pixel = scattered(1, 9, 2) * [WIDTH, HEIGHT]
    way = imaging.lift(pixel, np.full(9, 3.0), LENS, EYE, TURN) - EYE
    found = imaging.direction(pixel, LENS, TURN)
    assert np.abs(found - way / np.linalg.norm(way, axis=-1, keepdims=True)).max() < EXACT


def test_what_is_not_in_front_of_the_camera_has_no_pixel() -> None:
    behind = EYE + rotation.rotate(TURN, np.array([[0.1, 0.1, 1.0], [0.1, 0.0, 0.0]]))
    pixel, depth = imaging.project(behind, LENS, EYE, TURN)
    assert np.isnan(pixel[0]).all()
    assert depth[0] < 0


@pytest.mark.parametrize(("order", "unit"), CONVENTIONS)
def test_a_written_point_is_read_as_the_pixel_it_was_written_for(order: Any, unit: Any) -> None:
    pixel = scattered(2, 7, 2) * [WIDTH, HEIGHT]
    point = imaging.from_pixels(pixel, WIDTH, HEIGHT, order=order, unit=unit)
    assert np.abs(imaging.to_pixels(point, WIDTH, HEIGHT, order=order, unit=unit) - pixel).max() < NEAR


@pytest.mark.parametrize(
    ("point", "order", "unit"),
    [
        ([750, 250], "yx", "thousandths"),
        ([250, 750], "xy", "thousandths"),
        ([360, 160], "yx", "pixels"),
        ([160, 360], "xy", "pixels"),
        ([0.75, 0.25], "yx", "unit"),
        ([0.25, 0.75], "xy", "unit"),
    ],
)
def test_one_place_is_written_in_six_ways(point: list[float], order: Any, unit: Any) -> None:
    pixel = imaging.to_pixels(np.array(point, np.float64), WIDTH, HEIGHT, order=order, unit=unit)
    assert np.abs(pixel - [160, 360]).max() < NEAR


def test_a_camera_of_mujoco_sees_the_points_that_its_own_frame_says() -> None:
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><camera name="c" pos=".4 -.3 .9" euler="40 15 70" fovy="50"/></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    eye, frame = data.cam_xpos[0], data.cam_xmat[0].reshape(3, 3)
    lens = imaging.intrinsics(np.asarray(math.radians(50.0)), WIDTH, HEIGHT)
    right, up, ahead = 0.1, 0.2, 1.5
    point = eye + frame @ [right, up, -ahead]
    pixel, depth = imaging.project(point, lens, eye, rotation.from_matrix(frame))
    focal = 240 / math.tan(math.radians(25))
    assert np.abs(pixel - [320 + focal * right / ahead, 240 - focal * up / ahead]).max() < NEAR
    assert abs(depth - ahead) < NEAR


def test_a_point_has_the_same_bits_alone_and_among_others() -> None:
    pixel = scattered(3, 64, 2) * [WIDTH, HEIGHT]
    depth = 1.0 + scattered(4, 64)
    point = imaging.lift(pixel, depth, LENS, EYE, TURN)
    back, _ = imaging.project(point, LENS, EYE, TURN)
    for i in range(64):
        alone = imaging.lift(pixel[i : i + 1], depth[i : i + 1], LENS, EYE, TURN)
        assert alone.tobytes() == point[i].tobytes()
        assert imaging.project(alone, LENS, EYE, TURN)[0].tobytes() == back[i].tobytes()


@pytest.mark.parametrize(("order", "unit"), CONVENTIONS)
def test_pictures_are_the_same_under_jit(order: Any, unit: Any) -> None:
    def there_and_back(point: Any, depth: Any, fovy: Any, eye: Any, turn: Any) -> Any:
        lens = imaging.intrinsics(fovy, WIDTH, HEIGHT)
        pixel = imaging.to_pixels(point, WIDTH, HEIGHT, order=order, unit=unit)
        world = imaging.lift(pixel, depth, lens, eye, turn)
        seen, far = imaging.project(world + 0.1, lens, eye, turn)
        return (
            world,
            imaging.direction(pixel, lens, turn),
            imaging.from_pixels(seen, WIDTH, HEIGHT, order=order, unit=unit),
            far,
            imaging.optical(turn),
        )

    scale = {"thousandths": 1000.0, "pixels": 400.0, "unit": 1.0}[unit]
    args = (scattered(5, 6, 2) * scale, 1.0 + scattered(6, 6), np.asarray(0.9), EYE, TURN)
    with jax.enable_x64(True):
        traced = jax.jit(there_and_back)
        theirs = traced(*args)
        traced(*args)
        assert traced._cache_size() == 1
    for one, other in zip(there_and_back(*args), theirs, strict=True):
        assert np.abs(one - np.asarray(other)).max() < NEAR
