"""Things with a joint or a hole: a cabinet with a drawer, buttons and a knob on a panel, a socket and its peg."""

from typing import Any

import mujoco

from worldverify.envs.arm import CONTACT
from worldverify.envs.parts import FLOOR_BIT, SINK, Part, Rgba, Vec

OAK, PINE, STEEL, SLATE = (
    (0.5, 0.36, 0.24, 1.0),
    (0.86, 0.74, 0.55, 1.0),
    (0.66, 0.68, 0.72, 1.0),
    (0.36, 0.4, 0.46, 1.0),
)

# The cabinet, in its own frame: on the table, in the middle of its footprint, its front towards -y.
WIDTH, DEPTH, HEIGHT, WALL = 0.30, 0.26, 0.16, 0.012  # m
TRAVEL = 0.20  # m, of the drawer
RUN = 0.004  # m between the drawer and the cabinet on every side
SHELF = WALL + RUN + 0.008  # m, height of the floor of the drawer
TRAY = (0.248, 0.20, 0.062)  # m, inside: along x, along y, from the floor of the drawer to the rim
BAR = 0.01  # m, radius of the handle
REACH = 0.055 + BAR  # m from the front of the drawer to the middle of the bar: fingers fit behind it
HANDLE = (0.0, -DEPTH / 2 - WALL - REACH, 0.135)  # m, middle of the bar of a closed drawer

PANEL = 0.06  # m, height of a panel
DOME = 0.02  # m that a button stands out of its panel
PRESS = 0.014  # m that a button goes down to its stop
GRIP = (0.034, 0.014, 0.018)  # m, half size of a knob's grip

BLOCK = 0.06  # m, height of a block with a hole
HOLE = 0.045  # m, depth of the hole
SEAT = 0.01  # m above the floor of the hole, where a peg is all the way in
PEG = (0.011, 0.011, 0.05)  # m, half size of a peg


def cabinet(pos: tuple[float, float], *, opening: float = 0.0) -> Part:
    """A fixed body `cabinet` at pos (x, y) m that opens towards -y, and in it a body `drawer`, open by that much (m).

    The joint `drawer_slide` is 0 m when closed and TRAVEL when open; friction holds the drawer wherever it is left.
    `drawer` is made of the bodies `tray`, which holds things, and `handle`, whose frame is the middle of its bar.
    The site `drawer_inside` is the room in the tray up to its rim.
    """
    x, y, z, t = WIDTH / 2, DEPTH / 2, HEIGHT / 2, WALL / 2

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name="cabinet", pos=(*pos, 0))
        _box(body, "cabinet_bottom", (0, 0, t), (x, y, t), OAK)
        _box(body, "cabinet_top", (0, 0, HEIGHT - t), (x, y, t), OAK)
        _box(body, "cabinet_left", (t - x, 0, z), (t, y, z - WALL), OAK)
        _box(body, "cabinet_right", (x - t, 0, z), (t, y, z - WALL), OAK)
        _box(body, "cabinet_back", (0, y - t, z), (x - WALL, t, z - WALL), OAK)
        drawer = spec.worldbody.add_body(name="drawer", pos=(pos[0], pos[1] - opening, 0))
        drawer.add_joint(
            name="drawer_slide",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, -1, 0),
            ref=opening,
            range=(0, TRAVEL),
            damping=12.0,
            frictionloss=2.0,
        )
        _add_tray(drawer.add_body(name="tray"))
        _add_handle(drawer.add_body(name="handle", pos=HANDLE))
        for part in ("tray", "handle"):
            spec.add_exclude(bodyname1="cabinet", bodyname2=part)  # the slide keeps them apart

    return add


def _add_tray(tray: Any) -> None:
    """The front, and behind it a box without a lid."""
    x, y, rim, wall, floor = TRAY[0] / 2, TRAY[1] / 2, TRAY[2] / 2, 0.005, 0.004  # m, all of them halves
    front = -DEPTH / 2 - WALL / 2
    middle = front + WALL / 2 + y
    side = SHELF + rim
    _box(tray, "tray_front", (0, front, HEIGHT / 2), (WIDTH / 2, WALL / 2, HEIGHT / 2 - RUN), PINE, mass=0.5)
    _box(tray, "tray_floor", (0, middle, SHELF - floor), (x + 2 * wall, y, floor), PINE, mass=0.3)
    _box(tray, "tray_left", (-x - wall, middle, side), (wall, y, rim), PINE, mass=0.1)
    _box(tray, "tray_right", (x + wall, middle, side), (wall, y, rim), PINE, mass=0.1)
    _box(tray, "tray_back", (0, middle + y - wall, side), (x, wall, rim), PINE, mass=0.1)
    tray.add_site(
        name="drawer_inside",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, middle - wall, side),
        size=(x, y - wall, rim),
        rgba=(0.2, 0.8, 0.3, 0.2),
        group=4,
    )


def _add_handle(handle: Any) -> None:
    """A bar along x on two posts."""
    half = 0.06  # m, of the bar
    _capsule(handle, "handle_bar", (-half, 0, 0), (half, 0, 0), BAR, mass=0.1)
    _capsule(handle, "handle_left", (-half, 0, 0), (-half, REACH, 0), 0.8 * BAR, mass=0.03)
    _capsule(handle, "handle_right", (half, 0, 0), (half, REACH, 0), 0.8 * BAR, mass=0.03)


def panel(pos: tuple[float, float], *, size: tuple[float, float]) -> Part:
    """A fixed box `panel` of size (x, y) m and height PANEL on the table at pos (x, y) m, for buttons and knobs."""

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name="panel", pos=(*pos, 0))
        _box(body, "panel_box", (0, 0, PANEL / 2), (size[0] / 2, size[1] / 2, PANEL / 2), SLATE)

    return add


def button(name: str, pos: tuple[float, float], *, rgba: Rgba) -> Part:
    """A dome on a spring, in the panel at pos (x, y) m: a body `name` whose frame is the top of the dome.

    The joint `<name>_slide` is 0 m when released and PRESS at the stop. It takes 3 N to begin, and 9 N at the stop.
    """
    radius = 0.032  # m

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, PANEL + DOME))
        body.add_joint(
            name=f"{name}_slide",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, 0, -1),
            range=(0, PRESS),
            solref_limit=CONTACT["solref"],
            solimp_limit=CONTACT["solimp"],
            stiffness=400.0,
            springref=-0.01,
            damping=8.0,
        )
        _ball(body, f"{name}_dome", (0, 0, -radius), radius, rgba, mass=0.1)
        spec.add_exclude(bodyname1="panel", bodyname2=name)

    return add


def knob(name: str, pos: tuple[float, float], *, rgba: Rgba = (0.9, 0.5, 0.1, 1)) -> Part:
    """A grip that turns about z on the panel at pos (x, y) m: a body `name` whose frame is the middle of the grip.

    The joint `<name>_hinge` is 0 where the grip lies along x, and turns from -0.4 to 2.4 rad, anticlockwise seen from
    above. Friction of 0.06 N m holds it.
    """
    radius, out = 0.035, 0.014  # m, of the ball that the knob's foot is the top of, and how far that stands out

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, PANEL + out + GRIP[2]))
        body.add_joint(
            name=f"{name}_hinge", axis=(0, 0, 1), range=(-0.4, 2.4), damping=0.02, frictionloss=0.06, armature=2e-4
        )
        _box(body, f"{name}_grip", (0, 0, 0), GRIP, rgba, mass=0.08)
        _ball(body, f"{name}_foot", (0, 0, -GRIP[2] - radius), radius, STEEL, mass=0.05)
        spec.add_exclude(bodyname1="panel", bodyname2=name)

    return add


def hole_block(pos: tuple[float, float], *, clearance: float) -> Part:
    """A fixed block `socket` at pos (x, y) m with a square hole, HOLE deep, wider than a peg by `clearance` m a side.

    The site `hole` is the room in the hole, from its floor to the top of the block. The site `seat` reaches from the
    floor of the hole SEAT up and as far down, so that the end of a peg that stands there is in the middle of it.
    """
    if not 0 < clearance < 0.03:
        raise ValueError(f"The clearance of a hole lies between 0 and 0.03 m a side; got {clearance:g} m.")
    outer, inner = 0.05, PEG[0] + clearance  # m, half widths
    wall, middle, z = (outer - inner) / 2, (outer + inner) / 2, BLOCK / 2

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name="socket", pos=(*pos, 0))
        floor = (BLOCK - HOLE) / 2
        _box(body, "socket_floor", (0, 0, floor), (inner, inner, floor), SLATE)
        _box(body, "socket_left", (0, middle, z), (outer, wall, z), SLATE)
        _box(body, "socket_right", (0, -middle, z), (outer, wall, z), SLATE)
        _box(body, "socket_back", (middle, 0, z), (wall, inner, z), SLATE)
        _box(body, "socket_front", (-middle, 0, z), (wall, inner, z), SLATE)
        for name, centre, half in (("hole", BLOCK - HOLE / 2, HOLE / 2), ("seat", BLOCK - HOLE, SEAT)):
            body.add_site(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(0, 0, centre),
                size=(inner, inner, half),
                rgba=(0.2, 0.8, 0.3, 0.2),
                group=4,
            )

    return add


def peg(name: str, pos: tuple[float, float], *, rgba: Rgba = (0.9, 0.62, 0.15, 1)) -> Part:
    """A free square peg of half size PEG, standing on the table at pos (x, y) m.

    Its lower end, the site `<name>_tip`, is round but for a small foot, so that it finds into a hole from a few mm
    beside it.
    """
    nose, foot = PEG[0], 0.005  # m, radius of the round end, half width of what the peg stands on
    # Softer, it creeps 2 mm through the grasp on its way to the hole.
    grip: dict[str, Any] = {"priority": 1, "solref": CONTACT["solref"], "solimp": (0.99, 0.99, 0.001, 0.5, 2.0)}

    def add(spec: Any) -> None:
        body = spec.worldbody.add_body(name=name, pos=(*pos, PEG[2] - SINK))
        body.add_freejoint(name=f"{name}_free")
        for part, low, high, half, mass in (
            ("shaft", nose, 2 * PEG[2], PEG[0], 0.09),
            ("foot", 0.0, nose, foot, 0.005),
        ):
            body.add_geom(
                name=f"{name}_{part}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(0, 0, (low + high) / 2 - PEG[2]),
                size=(half, half, (high - low) / 2),
                mass=mass,
                rgba=rgba,
                contype=1 | FLOOR_BIT,
                **grip,
            )
        body.add_geom(
            name=f"{name}_nose",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=(0, 0, nose + 0.0005 - PEG[2]),
            size=(nose, 0, 0),
            mass=0.005,
            rgba=rgba,
            contype=1 | FLOOR_BIT,
            **grip,
        )
        body.add_site(name=f"{name}_tip", pos=(0, 0, -PEG[2]), size=(0.003, 0, 0), group=4)

    return add


def _box(body: Any, name: str, pos: Vec, half: Vec, rgba: Rgba, **more: Any) -> None:
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=half, rgba=rgba, **CONTACT, **more)


def _ball(body: Any, name: str, pos: Vec, radius: float, rgba: Rgba, *, mass: float) -> None:
    kind = mujoco.mjtGeom.mjGEOM_SPHERE
    body.add_geom(name=name, type=kind, pos=pos, size=(radius, 0, 0), rgba=rgba, mass=mass, **CONTACT)


def _capsule(body: Any, name: str, start: Vec, end: Vec, radius: float, *, mass: float) -> None:
    kind = mujoco.mjtGeom.mjGEOM_CAPSULE
    body.add_geom(name=name, type=kind, fromto=(*start, *end), size=(radius, 0, 0), rgba=STEEL, mass=mass, **CONTACT)
