"""What MJX lacks is computed as MuJoCo C does, or refused with a sentence that says what and why."""

from typing import Any, NamedTuple

import jax
import mujoco
import numpy as np
import pytest
from mujoco import mjx

from worldverify.kernels.mjx_model import LEAST_TOLERANCE, Unsupported, prepared, put
from worldverify.kernels.mjx_sensors import complete, missing_sensors

pytestmark = pytest.mark.xdist_group("mjx_sensors")

ROUNDED = 1e-5  # of a value of about 1, in float32

# How a contact is matched. The arm touches itself with two fingers; all others with each other and the floor.
ENDS = (
    'body1="ball" body2="stick"',
    'body1="stick" body2="ball"',
    'subtree1="arm" subtree2="ball"',
    'subtree1="ball" subtree2="arm"',
    'body1="arm" body2="ball"',
    'geom1="floor" geom2="ball"',
    'geom1="ball" body2="world"',
    'subtree1="arm" subtree2="arm"',
    'subtree1="arm"',
    'subtree2="arm"',
    'body1="stick"',
    'body2="stick"',
    'subtree1="arm" body2="left"',
    'body1="left" body2="arm"',
    "",
)
SHOWN = ('data="force" reduce="netforce"', 'data="dist" reduce="mindist"')
INSIDE = {
    "sphere": '"body" objname="arm"',
    "box": '"xbody" objname="ball"',
    "capsule": '"geom" objname="stick"',
    "cylinder": '"site" objname="tip"',
    "ellipsoid": '"xbody" objname="stick"',
}
DISTANCES = ('body1="arm" body2="post"', 'body1="post" geom2="stick"', 'geom1="ball" geom2="floor"')

SCENE = """
<mujoco>
  <option cone="{cone}" timestep="0.002"/>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 .1" condim="{condim}"/>
    {sites}
    <body name="post" pos=".3 .1 .1">
      <geom type="box" size=".05 .08 .1" euler="10 20 30" contype="0" conaffinity="0"/>
      <geom type="capsule" size=".02 .1" pos="0 -.1 .1" contype="0" conaffinity="0"/>
      <body><geom type="sphere" size="5" contype="0" conaffinity="0"/></body>
    </body>
    <body name="arm" pos="0 0 .15">
      <joint name="hinge" axis="0 1 0" damping=".1" range="-30 30"/>
      <geom type="capsule" size=".03" fromto="-.1 0 0 .1 0 0" contype="0" conaffinity="0" mass="1"/>
      <geom name="palm" type="sphere" size=".05" condim="4" mass="1"/>
      <site name="tip" pos=".1 0 0"/>
      <body name="left" pos=".08 -.05 0">
        <joint axis="0 0 1" stiffness="1" springref="30"/>
        <geom type="sphere" size=".04" pos=".05 0 0" condim="3"/>
      </body>
      <body name="right" pos=".08 .05 0">
        <joint axis="0 0 1" stiffness="1" springref="-30"/>
        <geom type="sphere" size=".04" pos=".05 0 0" condim="3"/>
      </body>
    </body>
    <body name="ball" pos="0 0 .3"><freejoint/><geom name="ball" type="sphere" size=".1" condim="6" mass="1"/></body>
    <body name="stick" pos=".1 0 .5" euler="0 80 0">
      <freejoint/><geom name="stick" type="capsule" size=".05 .1" mass=".5"/>
    </body>
  </worldbody>
  <sensor>
    <framepos name="native" objtype="site" objname="tip"/>
    {sensors}
  </sensor>
</mujoco>
"""


class Seen(NamedTuple):
    """Sensor columns (n, S) of the same states."""

    model: Any
    c: Any  # as MuJoCo C computes them
    found: Any  # as `complete` does from C's forces and poses


def scene(cone: str) -> Any:
    sensors = [f"<contact {ends} {shown}/>" for ends in ENDS for shown in SHOWN]
    if cone == "elliptic":
        sensors += [f'<distance {ends} cutoff="{cutoff}"/>' for ends in DISTANCES for cutoff in (0, 0.1, 10)]
        sensors += [f'<insidesite objtype={what} site="{site}"/>' for site, what in INSIDE.items()]
    sites = [f'<site name="{s}" type="{s}" size=".2 .15 .25" pos="0 0 .1" euler="20 0 10"/>' for s in INSIDE]
    condim = 1 if cone == "pyramidal" else 3
    return mujoco.MjModel.from_xml_string(
        SCENE.format(cone=cone, condim=condim, sites="\n".join(sites), sensors="\n".join(sensors))
    )


def fallen(cone: str) -> Seen:
    """40 states of a pile that falls together."""
    model = scene(cone)
    ready = prepared(model, "jax")
    device = jax.devices("cpu")[0]
    mx = put(ready, device)
    data, expected, rows = mujoco.MjData(model), [], []
    for k in range(400):
        mujoco.mj_step(model, data)
        if k % 10 == 9:
            mujoco.mj_forward(model, data)
            expected.append(data.sensordata.copy())
            rows.append(mjx.put_data(ready.model, data, device=device, impl="jax"))
            rows[-1] = rows[-1].replace(sensordata=rows[-1].sensordata * 0)
    batch = jax.tree.map(lambda *x: jax.numpy.stack(x), *rows)
    found = jax.jit(jax.vmap(lambda row: complete(ready, mx, row)))(batch)
    assert found.dtype == np.float32
    return Seen(model, np.array(expected), np.asarray(found))


@pytest.fixture(scope="module")
def elliptic() -> Seen:
    return fallen("elliptic")


@pytest.fixture(scope="module")
def pyramidal() -> Seen:
    """With some contacts that have no friction; contact sensors only."""
    return fallen("pyramidal")


@pytest.fixture(params=["elliptic", "pyramidal"])
def seen(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def columns(model: Any, kind: str, data: int | None = None) -> Any:
    """(n, dim) columns of the sensors of a type and, for contacts, of what they show."""
    chosen = np.flatnonzero(model.sensor_type == int(getattr(mujoco.mjtSensor, f"mjSENS_{kind}")))
    if data is not None:
        chosen = chosen[model.sensor_intprm[chosen, 0] == 1 << data]
    return np.array([np.arange(model.sensor_adr[i], model.sensor_adr[i] + model.sensor_dim[i]) for i in chosen])


def test_net_contact_forces_are_mujocos(seen: Seen) -> None:
    force = columns(seen.model, "CONTACT", int(mujoco.mjtConDataField.mjCONDATA_FORCE))
    c = seen.c[:, force]
    assert c.shape == (40, len(ENDS), 3)
    assert (np.abs(c).max(axis=(0, 2)) > 0.5).sum() >= len(ENDS) - 2, "nearly every way of matching sees a contact"
    np.testing.assert_allclose(seen.found[:, force], c, rtol=1e-4, atol=1e-4 * np.abs(c).max())


def test_least_distances_of_contacts_are_mujocos(seen: Seen) -> None:
    column = columns(seen.model, "CONTACT", int(mujoco.mjtConDataField.mjCONDATA_DIST))
    c = seen.c[:, column]
    assert 0 < np.count_nonzero(c) < c.size and c.max() <= 0
    np.testing.assert_allclose(seen.found[:, column], c, rtol=0, atol=ROUNDED)


def test_distances_between_bodies_take_their_own_geoms_and_the_cutoff(elliptic: Seen) -> None:
    column = columns(elliptic.model, "GEOMDIST")
    c = elliptic.c[:, column]
    assert (c[:, 0] == 0).any() and (c[:, 1] == 0.1).any() and (c[:, 2] > 0.1).any()
    np.testing.assert_allclose(elliptic.found[:, column], c, rtol=0, atol=ROUNDED)


def test_inside_a_site_is_one_and_outside_zero(elliptic: Seen) -> None:
    column = columns(elliptic.model, "INSIDESITE")
    assert 0 < elliptic.c[:, column].mean() < 1
    np.testing.assert_array_equal(elliptic.found[:, column], elliptic.c[:, column])


def test_columns_that_mjx_fills_itself_are_left_alone(elliptic: Seen) -> None:
    assert not elliptic.found[:, columns(elliptic.model, "FRAMEPOS")].any(), "they were set to zero beforehand"


def compiled(body: str = "", sensor: str = "", option: str = "", rest: str = "") -> Any:
    return mujoco.MjModel.from_xml_string(
        f"""<mujoco><option {option}/>{rest}
        <worldbody>
          <geom name="floor" type="plane" size="1 1 1"/><site name="here" size=".1"/>
          <body name="cube"><joint name="slide" type="slide" range="0 1" limited="true"/>
            <geom name="box" type="box" size=".1 .1 .1"/><site name="there" size=".1"/></body>
          {body}
        </worldbody><sensor>{sensor}</sensor></mujoco>"""
    )


TIN = '<body name="tin"><freejoint/><geom {} type="cylinder" size=".1 .1"/></body>'
CAN = TIN.format('name="can"')
ALOOF = TIN.format('name="can" contype="0" conaffinity="0"')
SERVO = '<general joint="slide" biastype="affine" biasprm="0 0 -1"/>'
ONLY = "sensor 'hit': of contact sensors only"

LOST_IN_JAX = [
    (dict(body=CAN), "no collision of geom 'box' (box) against geom 'can' (cylinder)"),
    (dict(body=TIN.format("")), "against geom 2 of body 'tin' (cylinder)"),
    (dict(rest='<custom><numeric name="max_contact_points" data="4"/></custom>'), "'max_contact_points'"),
    (dict(rest='<custom><numeric name="max_geom_pairs" data="4"/></custom>'), "'max_geom_pairs'"),
    (dict(rest='<default><geom margin=".01"/></default>'), "margin or gap is not seen for geom 'floor' (plane)"),
    (dict(rest='<default><geom condim="1"/></default>', option='cone="elliptic"'), "condim is 1 for geom 'floor'"),
    (dict(rest='<option><flag spring="disable"/></option>'), "gravity compensation"),
    (dict(rest='<default><joint damping="1 2"/></default>'), "springs or dampers that are not linear"),
    (dict(sensor='<jointlimitpos name="near" joint="slide"/>'), "sensor 'near': its type jointlimitpos"),
    (dict(sensor='<normal name="n" geom1="floor" geom2="box"/>'), "sensor 'n': its type geomnormal"),
    (dict(sensor='<e_potential name="energy"/>'), "sensor 'energy': its type e_potential"),
    (dict(sensor='<distance name="gap" geom1="box" geom2="can"/>', body=ALOOF), "sensor 'gap': no distance is known"),
    (dict(sensor='<contact name="hit" geom1="box" data="pos"/>'), ONLY),
    (dict(sensor='<contact name="hit" geom1="box" data="force"/>'), ONLY),
    (dict(sensor='<contact name="hit" geom1="box" data="found"/>'), ONLY),
    (dict(sensor='<contact name="hit" geom1="box" data="dist" reduce="mindist" num="2"/>'), ONLY),
    (dict(sensor='<contact name="hit" site="here" data="dist" reduce="mindist"/>'), "'hit': contacts are matched by"),
    (dict(sensor='<rangefinder name="eye" site="there"/>', body=ALOOF), "sensor 'eye': its rays do not see geom 'can'"),
]
LOST_ANYWHERE = [
    (dict(option='integrator="RK4"'), "use the integrator implicitfast"),
    (dict(option='integrator="implicit"'), "its integrator implicit is not there"),
    (dict(option='solver="PGS"'), "its solver PGS is not there"),
    (dict(option='noslip_iterations="3"'), "noslip"),
    (dict(rest='<option><flag override="enable"/></option>'), "its flag override would be lost"),
    (dict(rest='<option><flag sleep="enable"/></option>'), "its flag sleep would be lost"),
    (dict(rest='<option><flag speculative="enable"/></option>'), "its flag speculative would be lost"),
    (
        dict(rest='<actuator><motor joint="slide" group="2"/></actuator>', option='actuatorgroupdisable="2"'),
        "actuators that are switched off",
    ),
    (dict(rest='<actuator><motor joint="slide" delay=".1" nsample="90"/></actuator>'), "forget their past"),
    (
        dict(
            rest='<tendon><fixed name="wire" actuatorfrcrange="-1 1"><joint joint="slide" coef="1"/></fixed></tendon>'
            f"<actuator>{SERVO.replace('joint=', 'tendon=').replace('slide', 'wire')}</actuator>",
            option='integrator="implicitfast"',
        ),
        "a tendon limits the force",
    ),
]


@pytest.mark.parametrize(
    ("impl", "parts", "sentence"),
    [
        *(("jax", parts, sentence) for parts, sentence in LOST_IN_JAX),
        *((impl, parts, sentence) for impl in ("jax", "warp") for parts, sentence in LOST_ANYWHERE),
    ],
)
def test_what_would_be_lost_is_refused_by_name(impl: str, parts: dict[str, str], sentence: str) -> None:
    with pytest.raises(Unsupported) as refusal:
        prepared(compiled(**parts), impl)
    text = str(refusal.value)
    assert sentence in text
    assert text.startswith(f"mjx-{impl} cannot") and text.endswith(".")
    assert "use" in text.lower(), "it says what would work"


def test_what_mjx_itself_refuses_is_said_in_a_sentence() -> None:
    model = compiled(rest='<actuator><general slidersite="here" cranksite="there" cranklength=".1"/></actuator>')
    with pytest.raises(Unsupported, match=r"MJX says: .*SLIDERCRANK.*Use the engine mujoco\."):
        put(prepared(model, "jax"), jax.devices("cpu")[0])


def test_preparing_leaves_the_model_alone_and_only_drops_what_cannot_matter() -> None:
    model = compiled(
        sensor='<contact data="dist" reduce="mindist"/><clock/>',
        option='tolerance="1e-12"',
        rest='<option><flag energy="enable" fwdinv="enable" midphase="disable" autoreset="disable"/></option>',
    )
    before = (model.opt.disableflags, model.opt.enableflags, model.sensor_type.tolist(), model.opt.tolerance)
    for impl in ("jax", "warp"):
        ready = prepared(model, impl)
        eight_points = int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
        assert ready.model.opt.disableflags == (eight_points if impl == "warp" else 0)
        assert ready.model.opt.enableflags == 0
        assert ready.model.opt.tolerance == LEAST_TOLERANCE
        assert ready.model.sensor_adr.tolist() == model.sensor_adr.tolist()
        assert ready.computed == ((0,) if impl == "jax" else ())
    after = (model.opt.disableflags, model.opt.enableflags, model.sensor_type.tolist(), model.opt.tolerance)
    assert after == before


def test_every_sensor_type_is_known_to_mjx_computed_here_or_refused() -> None:
    native = {int(kind) for kind in mjx.SensorType}
    model = compiled(sensor='<clock name="any"/>')
    for kind in mujoco.mjtSensor.__members__.values():
        model.sensor_type[0] = int(kind)
        try:
            lacking = missing_sensors(model).sensors
        except Unsupported:
            continue
        assert lacking or int(kind) in native, f"{kind} would be left at zero"


def test_above_the_dofs_that_warp_takes_dense_the_jacobian_is_sparse() -> None:
    bodies = "".join(f'<body pos="{i} 0 1"><freejoint/><geom size=".1"/></body>' for i in range(11))
    model = compiled(body=bodies, option='jacobian="dense"')
    assert model.nv > 60
    assert prepared(model, "warp").model.opt.jacobian == int(mujoco.mjtJacobian.mjJAC_SPARSE)
    assert prepared(model, "jax").model.opt.jacobian == int(mujoco.mjtJacobian.mjJAC_DENSE)
