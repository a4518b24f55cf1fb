"""A point of a picture shows what the picture shows there, or is refused with a reason."""

import itertools
from typing import Any, get_args

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.camera import Camera, photograph
from worldverify.envs.point_and_pick import CAMERA, point_and_pick
from worldverify.kernels import imaging
from worldverify.kernels.imaging import Order, Unit
from worldverify.labels import named_by
from worldverify.lift import Lifted, lift_points, look
from worldverify.refusal import Refusal
from worldverify.task import Task

MILLIMETRE = 1e-3
EXACT = 1e-9
CONVENTIONS = list(itertools.product(get_args(Order), get_args(Unit)))
CAMERAS = [CAMERA, Camera("view", 320, 240), Camera("front", 300, 400)]

GLASS = """
<mujoco><worldbody>
  <camera name="above" pos="0 0 1" fovy="60"/>
  <geom name="ground" type="plane" size="1 1 .1"/>
  <geom name="pane" type="box" pos="0 0 .5" size=".2 .2 .01" rgba="1 1 1 .2"/>
  <geom name="air" type="box" pos="0 0 .4" size=".2 .2 .01" rgba="1 1 1 0"/>
  <geom name="collision" type="box" pos="0 0 .3" size=".2 .2 .01" group="3"/>
  <site name="mark" type="box" pos="0 0 .2" size=".2 .2 .01"/>
  <body name="shelf" pos=".4 0 .1"><body><geom type="box" size=".1 .1 .1"/></body></body>
</worldbody></mujoco>
"""


@pytest.fixture(scope="module")
def task() -> Task:
    return point_and_pick()


def lifted(task: Task, points: Any, *, seed: int = 0, **options: Any) -> Lifted:
    settings: dict[str, Any] = {"order": "yx", "unit": "thousandths", "arm": task.arm} | options
    return lift_points(task.scene.model, task.scene.data(task.start(seed)), CAMERA, points, **settings)


def where(task: Task, name: str, *, seed: int = 0) -> list[float]:
    data = task.scene.data(task.start(seed))
    point = look(task.scene.model, data, CAMERA, order="yx", unit="thousandths", arm=task.arm).point_at(name)
    assert point is not None
    return point


def refusal(task: Task, points: Any, **options: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        lifted(task, points, **options)
    assert refused.value.cause == "plan"
    assert refused.value.reason.endswith(".")
    return refused.value


def seen_on_box(model: Any, data: Any, geom: int, eye: Any, generator: np.random.Generator) -> Any:
    """A point on a side of a box from which the way to the eye is free, found by looking from there; or None."""
    axis, side = generator.integers(3), generator.choice((-1.0, 1.0))
    local = generator.uniform(-0.9, 0.9, 3)
    local[axis] = side
    turn = data.geom_xmat[geom].reshape(3, 3)
    point, out = data.geom_xpos[geom] + turn @ (local * model.geom_size[geom]), turn[:, axis] * side
    way = (eye - point) / np.linalg.norm(eye - point)
    met = np.full(1, -1, np.int32)
    mujoco.mj_ray(model, data, point + 1e-6 * out, way, np.array([1, 1, 1, 0, 0, 0], np.uint8), True, -1, met)
    return (point, out) if out @ way > 0.1 and met[0] < 0 else None


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
@pytest.mark.parametrize(("order", "unit"), CONVENTIONS)
def test_a_visible_point_of_an_object_is_lifted_back_within_a_millimetre(
    task: Task, camera: Camera, order: Order, unit: Unit
) -> None:
    model, tried = task.scene.model, 0
    for seed in range(12):
        data = task.scene.data(task.start(seed))
        view = look(model, data, camera, order=order, unit=unit).view
        generator = np.random.default_rng(seed)
        for name in ("blue_block", "green_block", "red_block"):
            seen = seen_on_box(model, data, model.geom(f"{name}_box").id, view.position, generator)
            if seen is None or not view.contains(view.project(seen[0])[0]):
                continue
            pixel, _ = view.project(seen[0])
            point = imaging.from_pixels(pixel, camera.width, camera.height, order=order, unit=unit)
            (hit,), warnings = lift_points(model, data, camera, [point], order=order, unit=unit, labels=[name])
            assert hit.object == name
            assert np.abs(hit.position - seen[0]).max() < MILLIMETRE
            assert np.abs(hit.normal - seen[1]).max() < EXACT
            assert abs(hit.distance - np.linalg.norm(seen[0] - view.position)) < MILLIMETRE
            assert warnings == ()
            tried += 1
    assert tried > 6


def test_a_named_object_is_found_again_where_the_picture_shows_it(task: Task) -> None:
    for seed in range(20):
        for name in task.objects:
            (hit,), _ = lifted(task, [where(task, name, seed=seed)], seed=seed, labels=[name])
            assert hit.object == name


def test_a_point_shows_what_the_photograph_shows_there(task: Task) -> None:
    image = photograph(task, task.start(0), CAMERA).astype(int)
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    for name, mask in (
        ("blue_block", blue - np.maximum(red, green) > 70),
        ("orange_bowl", (red - blue > 120) & (green - blue > 50)),
    ):
        rows, columns = np.nonzero(mask)
        assert len(rows) > 300
        centres = np.stack([columns, rows], axis=1)[::7] + 0.5
        shown = [hit.object for hit in lifted(task, centres, order="xy", unit="pixels").hits]
        assert shown.count(name) == len(shown)


def test_a_box_means_its_centre(task: Task) -> None:
    y, x = where(task, "blue_block")
    (hit,), _ = lifted(task, [[y - 20, x - 12, y + 20, x + 12]])
    (same,), _ = lifted(task, [[y, x]])
    assert hit.position.tobytes() == same.position.tobytes()
    assert "[ymin, xmin, ymax, xmax]" in refusal(task, [[y + 20, x - 12, y - 20, x + 12]]).reason


def test_the_box_of_a_larger_picture_is_refused(task: Task) -> None:
    reason = refusal(task, [[0, 193, 226, 640]], order="xy", unit="pixels").reason
    assert "outside of the picture" in reason


def test_the_other_order_shows_another_thing(task: Task) -> None:
    y, x = where(task, "orange_bowl")
    assert lifted(task, [[x, y]], order="xy").hits[0].object == "orange_bowl"
    assert lifted(task, [[x, y]], order="yx").hits[0].object != "orange_bowl"


@pytest.mark.parametrize("point", [[-1, 500], [500, 1001], [1197, 369]])
def test_a_point_outside_of_the_picture_is_refused_with_its_bounds(task: Task, point: list[int]) -> None:
    refused = refusal(task, [[500, 900], point])
    assert refused.code == "outside_image"
    assert refused.reason.startswith(f"Point 2 ({point}) lies outside of the picture")
    assert "y from 0 to 1000 of the height" in refused.reason


def test_the_border_belongs_to_the_picture(task: Task) -> None:
    assert [hit.object for hit in lifted(task, [[1000, 0], [1000, 1000]]).hits] == ["table", "table"]


def test_a_point_that_hits_nothing_names_what_is_in_view(task: Task) -> None:
    with pytest.raises(Refusal) as refused:
        lift_points(
            task.scene.model,
            task.scene.data(),
            Camera("front", 320, 240),
            [[900, 300], [2, 960]],
            order="yx",
            unit="thousandths",
            arm=task.arm,
        )
    assert refused.value.code == "hits_nothing"
    assert refused.value.reason.startswith("Point 2 ([2, 960]) hits nothing: no surface is drawn there. In view: ")
    assert "blue_block at [" in refused.value.reason


def test_a_point_that_shows_another_object_than_its_label_says_which_and_where_the_right_one_is(task: Task) -> None:
    green, blue = where(task, "green_block"), where(task, "blue_block")
    refused = refusal(task, [green], labels=["the blue block"])
    assert refused.code == "wrong_object"
    assert f"has the label 'the blue block' but shows 'green_block'; 'blue_block' is at {blue}." in refused.reason
    assert lifted(task, [blue], labels=["the blue block"]).warnings == ()


def test_a_label_that_could_mean_several_objects_is_met_by_each_of_them(task: Task) -> None:
    points = [where(task, name) for name in ("blue_block", "red_block")]
    assert len(lifted(task, points, labels=["block", "a Block"]).hits) == 2
    assert "'red_block' is at" in refusal(task, [where(task, "bin")], labels=["block"]).reason


def test_an_unknown_label_is_a_warning_unless_labels_are_required(task: Task) -> None:
    point = where(task, "bin")
    (warning,) = lifted(task, [point], labels=["mango"]).warnings
    assert "'mango', which names nothing in the scene" in warning
    assert warning.endswith("it shows 'bin'.")
    assert refusal(task, [point], labels=["mango"], required=True).code == "unknown_object"
    assert refusal(task, [point], required=True).code == "missing_key"


def test_a_point_on_the_arm_is_refused(task: Task) -> None:
    arm = look(task.scene.model, task.scene.data(), CAMERA, order="yx", unit="thousandths")
    point = arm.point_at("gripper")
    assert point is not None
    shown = lifted(task, [point], arm=None).hits[0].object
    assert f"shows the arm ({shown}), which hides what is behind it" in refusal(task, [point]).reason


def test_a_ray_passes_what_the_picture_does_not_draw_as_solid() -> None:
    model = mujoco.MjModel.from_xml_string(GLASS)
    data, camera = mujoco.MjData(model), Camera("above", 100, 100)
    (hit,), _ = lift_points(model, data, camera, [[0.5, 0.5]], order="xy", unit="unit")
    assert hit.object == "ground"
    assert np.abs(hit.position).max() < EXACT
    assert abs(hit.distance - 1.0) < EXACT


def test_a_part_without_a_name_belongs_to_the_named_body_that_carries_it() -> None:
    model = mujoco.MjModel.from_xml_string(GLASS)
    data, camera = mujoco.MjData(model), Camera("above", 100, 100)
    picture = look(model, data, camera, order="xy", unit="pixels")
    point = picture.point_at("shelf")
    (hit,), _ = lift_points(model, data, camera, [point], order="xy", unit="pixels", labels=["shelf"])
    assert hit.object == "shelf"
    assert abs(hit.position[2] - 0.2) < EXACT


@pytest.mark.parametrize(
    ("points", "code"),
    [
        ("nothing", "wrong_type"),
        ([], "empty"),
        ([[1, 2, 3]], "wrong_width"),
        ([[]], "wrong_width"),
        ([{"y": 1}], "wrong_type"),
        ([["1", 2]], "wrong_type"),
        ([[True, 2]], "wrong_type"),
        ([[float("nan"), 2]], "not_finite"),
        ([[10**400, 2]], "not_finite"),
        ([None], "wrong_type"),
    ],
)
def test_what_is_no_point_is_refused(task: Task, points: Any, code: str) -> None:
    assert refusal(task, points).code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=3), inside, max_size=2),
    max_leaves=8,
)


@given(points=JSON | st.lists(st.lists(st.floats(-100, 1100), min_size=2, max_size=4), max_size=4), label=JSON)
def test_any_value_is_lifted_or_refused(points: Any, label: Any) -> None:
    model = mujoco.MjModel.from_xml_string(GLASS)
    camera = Camera("above", 64, 48)
    try:
        hits, _ = lift_points(
            model, mujoco.MjData(model), camera, points, order="yx", unit="thousandths", labels=[label]
        )
    except Refusal as refused:
        assert refused.cause == "plan"
        assert refused.reason.endswith(".")
    else:
        assert np.isfinite([hit.position for hit in hits]).all()


@pytest.mark.parametrize(("labels", "code"), [(["bin", "bin"], "wrong_width"), ([7], "wrong_type")])
def test_labels_that_do_not_fit_the_points_are_refused(task: Task, labels: Any, code: str) -> None:
    assert refusal(task, [[500, 900]], labels=labels).code == code


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("blue_block", ("blue_block",)),
        ("Blue Block", ("blue_block",)),
        ("the blue block", ("blue_block",)),
        ("a small blue block", ("blue_block",)),
        ("block", ("blue_block", "red_block")),
        ("the red cube", ("cube",)),
        ("blue block on the table", ("blue_block",)),
        ("center of the table", ("table",)),
        ("table", ("table",)),
        ("orange block", ()),
        ("mango", ()),
        ("", ()),
        ("the", ()),
    ],
)
def test_a_label_means_the_objects_that_share_its_words(label: str, meant: tuple[str, ...]) -> None:
    assert named_by(label, ("blue_block", "red_block", "cube", "table")) == meant
