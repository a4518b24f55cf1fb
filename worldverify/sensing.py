"""Signals become sensors: what MuJoCo must measure for a spec, and how its columns make up each signal."""

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import mujoco

from worldverify.expression import Signal
from worldverify.kernels.measure import Expression
from worldverify.kernels.sweep import collidable_pairs
from worldverify.refusal import Refusal
from worldverify.sensor_units import sensor_dims, sensor_range
from worldverify.signals_table import AXES, CLEARANCE_CUTOFF
from worldverify.units import WORDS, Dims

_OBJ = mujoco.mjtObj
_SENSOR = mujoco.mjtSensor
_GEOM = mujoco.mjtGeom
_JOINT = mujoco.mjtJoint

# A clearance or contact load over more body pairs than this would dominate the simulation.
MOST_PAIRS = 256

_NET_FORCE = [1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE), 3, 1]  # data, reduce="netforce", num
_FRAME = {"body": _OBJ.mjOBJ_XBODY, "geom": _OBJ.mjOBJ_GEOM, "site": _OBJ.mjOBJ_SITE}
_KINDS = {"body": _OBJ.mjOBJ_BODY, "geom": _OBJ.mjOBJ_GEOM, "site": _OBJ.mjOBJ_SITE}
_SHAPES = {
    _GEOM.mjGEOM_SPHERE: ("sphere", 1),
    _GEOM.mjGEOM_CAPSULE: ("capsule", 2),
    _GEOM.mjGEOM_ELLIPSOID: ("ellipsoid", 3),
    _GEOM.mjGEOM_CYLINDER: ("cylinder", 2),
    _GEOM.mjGEOM_BOX: ("box", 3),
}

_M, _RAD, _N, _NM = (WORDS[w].dims for w in ("m", "rad", "N", "Nm"))
_M_S: Dims = (1, 0, -1, 0)
_RAD_S: Dims = (0, 1, -1, 0)


@dataclass(frozen=True)
class Measured:
    """One signal: the expression over named columns, its unit and the values it can ever take."""

    expression: Expression  # columns are ("column", (sensor name, index)) until the model is compiled
    dims: Dims
    lower: float = -math.inf
    upper: float = math.inf


@dataclass(frozen=True)
class SensorRequest:
    """A sensor to be added to the model, named after what it measures."""

    name: str
    type: Any
    objtype: Any
    objname: str
    reftype: Any = None
    refname: str = ""
    cutoff: float = 0.0
    intprm: tuple[int, ...] = ()


@dataclass
class Sensing:
    """Collects the sensors that a spec needs from one compiled model. `warnings` tells what a hazard leaves out."""

    model: mujoco.MjModel
    requests: dict[str, SensorRequest] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def signal(self, signal: Signal) -> Measured:
        """How a signal is measured; a Refusal with cause spec if the model cannot show it."""
        return getattr(self, "_" + signal.name)(signal, *signal.args)  # type: ignore[no-any-return]

    # What the MJCF already measures

    def _sensor(self, signal: Signal, name: str) -> Measured:
        model = self.model
        index = self._id(_OBJ.mjOBJ_SENSOR, name, "sensor")
        dim, part = int(model.sensor_dim[index]), signal.part
        if part is None and dim != 1:
            raise _spec(f"Sensor {name!r} has {dim} values: write sensor({name})[0] to sensor({name})[{dim - 1}].")
        part = 0 if part is None else int(part)
        if not 0 <= part < dim:
            raise _spec(f"Sensor {name!r} has {dim} values, so [{part}] does not exist: use [0] to [{dim - 1}].")
        kind, cutoff = _SENSOR(int(model.sensor_type[index])), float(model.sensor_cutoff[index])
        self._faithful(name, index, kind, cutoff)
        lower, upper = sensor_range(kind, cutoff)
        return Measured(("column", (name, part)), sensor_dims(model, index), lower, upper)

    def _faithful(self, name: str, index: int, kind: Any, cutoff: float) -> None:
        """Refuses a sensor that does not show every physics step as it is."""
        model = self.model
        if kind == _SENSOR.mjSENS_USER:
            raise _spec(f"Sensor {name!r} is of type user: nothing computes it, so it would always read zero.")
        if model.sensor_delay[index] > 0 or model.sensor_interval[index].any():
            raise _spec(
                f"Sensor {name!r} is delayed or sampled, so it would miss what happens in between: take away its delay "
                "and interval, or add an ideal sensor to the model."
            )
        if kind == _SENSOR.mjSENS_GEOMDIST and cutoff == 0:
            raise _spec(
                f"Sensor {name!r} has cutoff 0 and always reads zero: give it a cutoff, or use clearance(A, B)."
            )
        if cutoff > 0:
            self.warnings.append(f"Sensor {name} is cut off at {cutoff:g}: what lies beyond reads as that.")

    # Frames

    def _pos(self, signal: Signal, obj: str) -> Measured:
        return Measured(self._vector(_SENSOR.mjSENS_FRAMEPOS, obj)[AXES.index(str(signal.part))], _M)

    def _speed(self, signal: Signal, obj: str) -> Measured:
        return Measured(("norm", *self._vector(_SENSOR.mjSENS_FRAMELINVEL, obj)), _M_S, 0.0)

    def _tilt(self, signal: Signal, obj: str) -> Measured:
        return Measured(("angle", *self._vector(_SENSOR.mjSENS_FRAMEZAXIS, obj)), _RAD, 0.0, math.pi)

    def _distance(self, signal: Signal, a: str, b: str) -> Measured:
        pairs = zip(self._vector(_SENSOR.mjSENS_FRAMEPOS, a), self._vector(_SENSOR.mjSENS_FRAMEPOS, b), strict=True)
        return Measured(("norm", *[("sub", p, q) for p, q in pairs]), _M, 0.0)

    def _inside(self, signal: Signal, obj: str, site: str) -> Measured:
        index = self._id(_OBJ.mjOBJ_SITE, site, "site")
        kind = _GEOM(int(self.model.site_type[index]))
        if kind not in _SHAPES:
            raise _spec(f"Site {site!r} has no volume: give it type sphere, capsule, ellipsoid, cylinder or box.")
        shape, count = _SHAPES[kind]
        size = tuple(float(s) for s in self.model.site_size[index][:count])
        point = self._vector(_SENSOR.mjSENS_FRAMEPOS, obj, site)
        deepest = size[0] if shape == "capsule" else min(size)
        return Measured(("inside", shape, size, *point), _M, -math.inf, deepest)

    def _vector(self, kind: Any, obj: str, site: str = "") -> list[Expression]:
        what, _ = self._object(obj)
        reference = {"reftype": _OBJ.mjOBJ_SITE, "refname": site} if site else {}
        label = kind.name.removeprefix("mjSENS_").lower()
        name = _sensor_name(label, obj, *([site] if site else []))
        self.requests[name] = SensorRequest(name, kind, _FRAME[what], obj, **reference)
        return [("column", (name, i)) for i in range(3)]

    # Surfaces and contacts

    def _clearance(self, signal: Signal, a: str, b: str) -> Measured:
        first, second = self._disjoint(a, b)
        parts: list[Expression] = []
        for left in self._surfaces(a, first):
            for right in self._surfaces(b, second):
                name = _sensor_name("clearance", left[1], right[1])
                request = SensorRequest(name, _SENSOR.mjSENS_GEOMDIST, *left, *right, cutoff=CLEARANCE_CUTOFF)
                self.requests[name] = request
                parts.append(("column", (name, 0)))
        self._bounded(parts, "clearance", a, b)
        return Measured(("min", *parts), _M, -math.inf, CLEARANCE_CUTOFF)

    def _contact_force(self, signal: Signal, a: str, b: str) -> Measured:
        self._collidable(a, b)
        ends = [(_OBJ.mjOBJ_GEOM if self._object(o)[0] == "geom" else _OBJ.mjOBJ_XBODY, o) for o in (a, b)]
        return Measured(self._net_force(*ends), _N, 0.0)

    def _contact_load(self, signal: Signal, a: str, b: str) -> Measured:
        pairs = self._collidable(a, b)
        ends = sorted({(self._surface(a, g1), self._surface(b, g2)) for g1, g2 in pairs}, key=str)
        forces = [self._net_force(left, right) for left, right in ends]
        self._bounded(forces, "contact_load", a, b)
        return Measured(("sum", *forces), _N, 0.0)

    def _net_force(self, left: tuple[Any, str], right: tuple[Any, str]) -> Expression:
        whole = "contact_subtree" if _OBJ.mjOBJ_XBODY in (left[0], right[0]) else "contact"
        name = _sensor_name(whole, left[1], right[1])
        self.requests[name] = SensorRequest(name, _SENSOR.mjSENS_CONTACT, *left, *right, intprm=tuple(_NET_FORCE))
        return ("norm", *[("column", (name, i)) for i in range(3)])

    def _surface(self, obj: str, geom: int) -> tuple[Any, str]:
        """What carries a geom of obj: the geom itself if it was named, else the body it belongs to."""
        if self._object(obj)[0] == "geom":
            return _OBJ.mjOBJ_GEOM, obj
        return _OBJ.mjOBJ_BODY, self._body_name(int(self.model.geom_bodyid[geom]))

    def _surfaces(self, obj: str, geoms: Sequence[int]) -> list[tuple[Any, str]]:
        return list(dict.fromkeys(self._surface(obj, g) for g in geoms))

    def _body_name(self, body: int) -> str:
        name = mujoco.mj_id2name(self.model, _OBJ.mjOBJ_BODY, body)
        if not name:
            raise _spec(f"Body {body} has no name, so its contacts cannot be measured: name every body of the subtree.")
        return str(name)

    def _geoms(self, obj: str) -> list[int]:
        """The geoms of a geom or of a body's subtree."""
        kind, index = self._object(obj)
        if kind == "site":
            raise _spec(f"{obj!r} is a site and has no surface: name a body or a geom.")
        if kind == "geom":
            return [index]
        geoms = [g for g in range(self.model.ngeom) if _below(self.model, int(self.model.geom_bodyid[g]), index)]
        if not geoms:
            raise _spec(f"Body {obj!r} and what hangs on it have no geom, so nothing can touch it.")
        return geoms

    def _disjoint(self, a: str, b: str) -> tuple[list[int], list[int]]:
        first, second = self._geoms(a), self._geoms(b)
        if set(first) & set(second):
            raise _spec(
                f"{a!r} and {b!r} share geoms, so a distance or force between them means nothing: name two bodies "
                "of which neither is part of the other, or name geoms (the world body holds everything)."
            )
        return first, second

    def _collidable(self, a: str, b: str) -> list[tuple[int, int]]:
        """Geom pairs of (a, b) that can collide; refused if there is none, and told where a body is left out."""
        first, second = (set(geoms) for geoms in self._disjoint(a, b))
        across = [(i, j) for i, j in collidable_pairs(self.model) if _across(i, j, first, second)]
        pairs = [(i, j) if i in first else (j, i) for i, j in across]
        if not pairs:
            raise Refusal(
                "unmonitored_pair",
                f"{a!r} and {b!r} cannot collide in the compiled model, so their contact would always read zero: "
                "check contype, conaffinity, <exclude> and the contact flag.",
                cause="spec",
            )
        touching = {int(self.model.geom_bodyid[g]) for pair in pairs for g in pair}
        named = {int(self.model.geom_bodyid[g]) for g in first | second}
        blind = [self._body_name(body) for body in sorted(named - touching) if self.model.body_weldid[body] != 0]
        if blind:
            self.warnings.append(f"Contact of {a} and {b} is blind to {', '.join(blind)}: no geom there can collide.")
        return pairs

    def _bounded(self, parts: Sequence[Expression], name: str, a: str, b: str) -> None:
        if len(parts) > MOST_PAIRS:
            raise _spec(
                f"{name}({a}, {b}) needs {len(parts)} body pairs, more than {MOST_PAIRS}: name smaller bodies or geoms."
            )

    # Joints

    def _joint(self, signal: Signal, name: str) -> Measured:
        return self._joint_sensor(_SENSOR.mjSENS_JOINTPOS, name, _RAD, _M)

    def _joint_speed(self, signal: Signal, name: str) -> Measured:
        return self._joint_sensor(_SENSOR.mjSENS_JOINTVEL, name, _RAD_S, _M_S)

    def _torque(self, signal: Signal, name: str) -> Measured:
        return self._joint_sensor(_SENSOR.mjSENS_JOINTACTFRC, name, _NM, _N)

    def _joint_margin(self, signal: Signal, obj: str) -> Measured:
        return self._limit_margin(obj, _JOINT.mjJNT_HINGE, "hinge", _RAD)

    def _slide_margin(self, signal: Signal, obj: str) -> Measured:
        return self._limit_margin(obj, _JOINT.mjJNT_SLIDE, "slide", _M)

    def _joint_sensor(self, kind: Any, name: str, hinge: Dims, slide: Dims) -> Measured:
        index = self._id(_OBJ.mjOBJ_JOINT, name, "joint")
        joint_type = _JOINT(int(self.model.jnt_type[index]))
        if joint_type not in (_JOINT.mjJNT_HINGE, _JOINT.mjJNT_SLIDE):
            raise _spec(
                f"Joint {name!r} is free or a ball, without a single position: use pos, speed or tilt of its body."
            )
        dims = hinge if joint_type == _JOINT.mjJNT_HINGE else slide
        sensor = _sensor_name(kind.name.removeprefix("mjSENS_").lower(), name)
        self.requests[sensor] = SensorRequest(sensor, kind, _OBJ.mjOBJ_JOINT, name)
        return Measured(("column", (sensor, 0)), dims)

    def _limit_margin(self, obj: str, joint_type: Any, label: str, dims: Dims) -> Measured:
        kind, index = self._object(obj)
        if kind != "body":
            raise _spec(f"{obj!r} is a {kind}: joint margins belong to a body and what hangs on it.")
        model, parts, widest = self.model, [], math.inf
        for j in range(model.njnt):
            if _JOINT(int(model.jnt_type[j])) != joint_type or not _below(model, int(model.jnt_bodyid[j]), index):
                continue
            if not model.jnt_limited[j]:
                continue
            name = mujoco.mj_id2name(model, _OBJ.mjOBJ_JOINT, j)
            if not name:
                raise _spec(f"A {label} of body {obj!r} has no name: name every joint whose margin counts.")
            low, high = (float(x) for x in model.jnt_range[j])
            position = self._joint_sensor(_SENSOR.mjSENS_JOINTPOS, name, dims, dims).expression
            parts += [("sub", position, ("number", low)), ("sub", ("number", high), position)]
            widest = min(widest, 0.5 * (high - low))
        if not parts:
            raise _spec(f"Body {obj!r} has no {label} with a range, so it has no joint margin.")
        return Measured(("min", *parts), dims, -math.inf, widest)

    # Names

    def _object(self, name: str) -> tuple[str, int]:
        """(kind, id) of a body, geom or site, looked up in that order."""
        for kind, number in _KINDS.items():
            index = mujoco.mj_name2id(self.model, number, name)
            if index >= 0:
                return kind, index
        raise _unknown("body, geom or site", name, [n for t in _KINDS.values() for n in names(self.model, t)])

    def _id(self, kind: Any, name: str, label: str) -> int:
        index = int(mujoco.mj_name2id(self.model, kind, name))
        if index < 0:
            raise _unknown(label, name, names(self.model, kind))
        return index


def names(model: mujoco.MjModel, kind: Any) -> list[str]:
    """The names of all objects of a kind (an mjtObj) that have one."""
    count = {
        _OBJ.mjOBJ_BODY: model.nbody,
        _OBJ.mjOBJ_GEOM: model.ngeom,
        _OBJ.mjOBJ_SITE: model.nsite,
        _OBJ.mjOBJ_JOINT: model.njnt,
        _OBJ.mjOBJ_SENSOR: model.nsensor,
    }[kind]
    found = (mujoco.mj_id2name(model, kind, i) for i in range(count))
    return [str(n) for n in found if n]


def _sensor_name(*parts: str) -> str:
    """No two measurements share a name, though names of objects may hold slashes."""
    return "/".join(["wv", *[part.replace("~", "~0").replace("/", "~1") for part in parts]])


def _across(i: int, j: int, first: set[int], second: set[int]) -> bool:
    return (i in first and j in second) or (j in first and i in second)


def _below(model: mujoco.MjModel, body: int, root: int) -> bool:
    while body != root and body != 0:
        body = int(model.body_parentid[body])
    return body == root


def _unknown(label: str, name: str, valid: Iterable[str]) -> Refusal:
    listed = sorted(n for n in set(valid) if not n.startswith("wv/"))
    close = difflib.get_close_matches(name, listed, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(listed[:40]) + (", ..." if len(listed) > 40 else "")
    return _spec(f"No {label} {name!r} in the scene.{hint} It has: {shown or 'none'}.")


def _spec(reason: str) -> Refusal:
    return Refusal("bad_spec", reason, cause="spec")
