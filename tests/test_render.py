"""Pictures without OpenGL show what MuJoCo's rays see, and change nothing."""

import math
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from worldverify.png import encode
from worldverify.render import RED, Camera, Painter, render

# Tracing in double and overlaying in single precision may disagree on pixels at the rim.
RIM = 0.01

SIZES = {"sphere": ".3", "capsule": ".15 .2", "ellipsoid": ".3 .15 .2", "cylinder": ".2 .25", "box": ".3 .2 .1"}


def forwarded(xml):
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def world(inside):
    return f'<mujoco><statistic center="0 0 0" extent="1"/><worldbody>{inside}</worldbody></mujoco>'


def differs(one, two):
    return np.any(np.abs(one.astype(int) - two.astype(int)) > 2, axis=2)


def reddish(image):
    return image[..., 0].astype(int) > image[..., 1].astype(int) + 20


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("element", ["geom", "site"])
def test_a_translucent_shape_covers_the_pixels_of_the_solid_geom(shape, element):
    form = f'type="{shape}" size="{SIZES[shape]}" euler="30 50 20" pos=".1 .05 0"'
    camera = Camera(distance=2.0, lookat=(0.0, 0.0, 0.0))
    empty = render(*forwarded(world("")), camera=camera)
    solid = render(*forwarded(world(f'<geom {form} rgba="1 0 0 1"/>')), camera=camera)
    glass = render(*forwarded(world(f'<{element} {form} rgba="1 0 0 .4"/>')), camera=camera)
    there, drawn = differs(empty, solid), differs(empty, glass)
    assert there.sum() > 500
    assert (there != drawn).sum() < RIM * there.sum() + 0.2 * math.sqrt(there.sum())


def test_a_ball_appears_as_large_as_the_pinhole_says():
    xml = world('<geom size=".2" rgba="1 0 0 1"/><camera name="view" pos="0 0 2" fovy="40"/>')
    seen = reddish(render(*forwarded(xml), shadows=False)).sum()
    radius = 120 / math.tan(math.radians(20)) * math.tan(math.asin(0.2 / 2.0))  # px
    assert seen == pytest.approx(math.pi * radius**2, rel=0.02)


def test_what_is_on_the_left_of_the_camera_is_on_the_left_of_the_picture():
    xml = world('<geom size=".2" pos="-.5 .3 0" rgba="1 0 0 1"/><camera name="view" pos="0 0 2"/>')
    rows, columns = np.nonzero(reddish(render(*forwarded(xml))))
    assert columns.mean() < 160 and rows.mean() < 120


def test_a_solid_geom_hides_the_glass_behind_it():
    camera = Camera(azimuth_deg=0.0, elevation_deg=0.0, distance=2.0)
    wall = '<geom type="box" size=".05 .5 .5" pos="-.5 0 0" rgba="0 0 1 1"/>'
    site = '<site type="sphere" size=".2" rgba="1 0 0 .4"/>'
    assert np.array_equal(
        render(*forwarded(world(wall + site)), camera=camera), render(*forwarded(world(wall)), camera=camera)
    )


def test_groups_from_three_on_are_hidden():
    empty = render(*forwarded(world("")))
    hidden = '<geom size=".3" group="3"/><site size=".3" group="4"/><geom type="box" size=".3 .3 .3" rgba="1 0 0 0"/>'
    assert np.array_equal(render(*forwarded(world(hidden))), empty)
    assert not np.array_equal(render(*forwarded(world(hidden)), groups=[3]), empty)


def test_a_thing_above_a_plane_throws_a_shadow_on_it():
    scene = '<geom type="plane" size="0 0 1" pos="0 0 -.5"/><geom size=".2"/>'
    lit = render(*forwarded(world(scene)), shadows=False).astype(int)
    shaded = render(*forwarded(world(scene))).astype(int)
    assert (shaded <= lit + 1).all()
    assert (shaded.sum(axis=2) < lit.sum(axis=2) - 30).sum() > 200


def test_highlighting_a_body_colours_its_subtree_and_nothing_else():
    body = '<body name="a"><geom size=".1" pos="-.3 0 0"/><body><geom size=".1" pos=".3 0 0"/></body></body>'
    model, data = forwarded(world(body + '<geom size=".1"/>'))
    plain = render(model, data)
    painted = render(model, data, highlight={"a": RED})
    alone = differs(plain, render(model, data, highlight={0: RED}))
    changed = differs(plain, painted)
    assert reddish(painted)[changed].mean() > 0.9
    assert not changed[alone].any() and alone.any()


def test_highlighting_an_unknown_name_says_so():
    with pytest.raises(ValueError, match="no body, geom or site 'cup'"):
        render(*forwarded(world('<geom size=".1"/>')), highlight={"cup": RED})


def test_an_unknown_camera_lists_those_that_exist():
    with pytest.raises(ValueError, match="Cameras: front"):
        render(*forwarded(world('<camera name="front"/>')), camera="back")


def test_view_falls_back_to_the_free_camera_of_the_viewer():
    model, data = forwarded(world('<geom size=".3"/>'))
    free = Camera(azimuth_deg=model.vis.global_.azimuth, elevation_deg=model.vis.global_.elevation)
    assert np.array_equal(render(model, data), render(model, data, camera=free))
    assert np.array_equal(render(model, data), render(model, data, camera=-1))


def test_a_parallel_camera_shows_a_ball_in_its_true_size():
    xml = world('<geom size=".25" rgba="1 0 0 1"/><camera name="view" pos="0 0 2" fovy="1" projection="orthographic"/>')
    seen = reddish(render(*forwarded(xml), shadows=False)).sum()
    assert seen == pytest.approx(math.pi * (0.25 * 240) ** 2, rel=0.02)


def test_painting_leaves_model_and_state_as_they_were():
    model, data = forwarded(
        world(
            '<body><freejoint/><geom size=".1" rgba="1 0 0 .3"/></body><geom type="plane" size="1 1 1" pos="0 0 -1"/>'
        )
    )
    size = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION)
    before, after = np.empty(size), np.empty(size)
    mujoco.mj_getState(model, data, before, mujoco.mjtState.mjSTATE_INTEGRATION)
    colours = model.geom_rgba.copy()
    render(model, data, highlight={0: RED})
    mujoco.mj_getState(model, data, after, mujoco.mjtState.mjSTATE_INTEGRATION)
    assert before.tobytes() == after.tobytes() and np.array_equal(colours, model.geom_rgba)


def test_a_painter_draws_a_state_the_same_twice_and_another_state_differently():
    model, data = forwarded(world('<body><freejoint/><geom size=".1"/></body>'))
    painter = Painter(model, width=80, height=60)
    first = painter.paint(data)
    assert np.array_equal(first, painter.paint(data))
    data.qpos[0] = 0.3
    mujoco.mj_forward(model, data)
    assert not np.array_equal(first, painter.paint(data))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_a_state_that_the_simulation_lost_still_has_a_picture(value):
    inside = '<body><freejoint/><geom size=".1"/><site size=".2"/><camera name="view"/></body>'
    model, data = forwarded(world(inside))
    data.qpos[:3] = value
    with np.errstate(all="raise", under="ignore", over="ignore"):
        mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    assert render(model, data, width=40, height=30).shape == (30, 40, 3)


def test_an_empty_world_is_sky():
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert render(model, data).min() > 150


def test_meshes_and_height_fields_are_drawn():
    heights = " ".join(["0", "1"] * 8)
    xml = f"""<mujoco><asset>
      <hfield name="h" nrow="4" ncol="4" size="1 1 .3 .1" elevation="{heights}"/>
      <mesh name="m" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset>
      <worldbody><geom type="hfield" hfield="h" rgba="1 0 0 1"/>
      <geom type="mesh" mesh="m" pos="0 0 .6" rgba="0 0 1 1"/></worldbody></mujoco>"""
    image = render(*forwarded(xml)).astype(int)
    assert (image[..., 0] > image[..., 2] + 40).sum() > 500  # the red field
    assert (image[..., 2] > image[..., 0] + 60).sum() > 500  # the blue mesh


@pytest.mark.parametrize("supersample", [1, 2, 3])
def test_any_size_is_drawn_at_the_size_asked_for(supersample):
    model, data = forwarded(world('<geom size=".3"/><geom type="plane" size="0 0 1"/>'))
    assert render(model, data, width=41, height=27, supersample=supersample).shape == (27, 41, 3)


def test_supersampling_smooths_but_shows_the_same_scene():
    model, data = forwarded(world('<geom size=".3" rgba="1 0 0 1"/>'))
    coarse, fine = render(model, data), render(model, data, supersample=2)
    assert np.abs(coarse.astype(int) - fine.astype(int)).mean() < 2.0
    assert len(np.unique(fine.reshape(-1, 3), axis=0)) > len(np.unique(coarse.reshape(-1, 3), axis=0))


def test_a_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        render(*forwarded(world("")), width=0)


def test_pictures_need_neither_opengl_nor_plotting_nor_jax():
    code = (
        "import sys, mujoco\n"  # mujoco itself imports glfw if it is installed, and opens no window
        "before = set(sys.modules)\n"
        "import worldverify.render, worldverify.report\n"
        "bad = {'OpenGL', 'glfw', 'jax', 'matplotlib', 'PIL', 'scipy'} & (set(sys.modules) - before)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_holds_every_pixel_as_mujoco_reads_it_back(channels):
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(31) * 3, np.arange(45) * 2)[..., None] + 40 * np.arange(channels)
    image = ((ramp + rng.integers(0, 9, ramp.shape)) % 256).astype(np.uint8)
    image[8:16] = 77
    xml = f'<mujoco><asset><texture name="t" type="2d" file="t.png" nchannel="{channels}"/></asset></mujoco>'
    model = mujoco.MjModel.from_xml_string(xml, {"t.png": encode(image)})
    assert np.array_equal(model.tex_data.reshape(31, 45, channels), image)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)]
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ValueError, match="uint8 array of shape"):
        encode(image)
