"""How large a scene may be: what would take minutes to build, or all memory, is refused before MuJoCo tries.

The limits are far above what scenes of robots need. They guard against a slip of the hand and against files that were
never looked at, and are no sandbox: a scene from a stranger belongs into a container.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mujoco

from worldverify.refusal import Refusal

MOST_MEMORY = 2**30  # bytes of an arena; each thread has one, and one four times as large where it overflows
MOST_CONSTRAINTS = 5_000  # njmax: MuJoCo gives the arena its square
MOST_NUMBERS = 100_000  # of a kind in a state or a sample of all sensors: 0.8 MB, for every one that is kept
MOST_KEYFRAMES = 10_000
MOST_USER = 1_000  # user values of one element
MOST_ITERATIONS = 10_000  # of a solver in one physics step; 50 to 100 is usual
MOST_STARTS = 1_000  # points that a search between signed distance fields starts from
MOST_CHAIN = 1_000  # bodies that hang one from another; MuJoCo's own limit is 1,024, found after a minute
MOST_CELLS = 2**24  # of all height fields: 4096 x 4096 take half a GB
MOST_PIXELS = 2**28  # of all textures: 0.8 GB
MOST_MESHES = 200 * 2**20  # bytes of all mesh files: some four million points, whose hulls take minutes
MOST_SAMPLES = 64  # of a pixel
MOST_SHADOWS = 16_384  # pixels along a shadow map
MOST_VIEW = 2**26  # pixels of an image: 8192 x 8192
MOST_SLICES = 1_000  # of a round shape, when drawn

_PNG = b"\x89PNG\r\n\x1a\n"
_CUBE = 6  # sides
_COLOUR = 3  # bytes of a pixel
_CELL = 4  # bytes of a cell in a file of MuJoCo's own format


def check_numbers(mjspec: mujoco.MjSpec, label: str) -> None:
    """Refuses a scene that asks for more than can be built, from the numbers in its text."""
    for what, value, most in _numbers(mjspec):
        _check(label, what, value, most)


def check_files(files: Sequence[tuple[str, Path]], label: str) -> None:
    """Refuses a scene whose files, (mesh, texture, height field or skin; where), hold more than can be built."""
    meshes = sum(path.stat().st_size for kind, path in files if kind in ("mesh", "skin"))
    _check(label, "bytes of mesh files", meshes, MOST_MESHES)
    pixels = sum(_pixels(path, _COLOUR) for kind, path in files if kind == "texture")
    _check(label, "pixels in files of textures", pixels, MOST_PIXELS)
    cells = sum(_pixels(path, _CELL) for kind, path in files if kind == "height field")
    _check(label, "cells in files of height fields", cells, MOST_CELLS)


def refused(sentence: str) -> Refusal:
    """A scene that cannot be used, and why."""
    return Refusal("bad_model", sentence, cause="model")


def _check(label: str, what: str, value: int, most: int) -> None:
    if value > most:
        raise refused(f"{label} asks for {value:,} {what}: at most {most:,} are allowed.")


def _numbers(mjspec: mujoco.MjSpec) -> Iterator[tuple[str, int, int]]:
    """(what, how many of it, how many at most)."""
    yield "bytes of memory", mjspec.memory, MOST_MEMORY
    yield "bytes of memory (nstack)", 8 * mjspec.nstack, MOST_MEMORY
    yield "constraints (njmax)", mjspec.njmax, MOST_CONSTRAINTS
    yield "contacts (nconmax)", mjspec.nconmax, MOST_NUMBERS
    yield "user values (nuserdata)", mjspec.nuserdata, MOST_NUMBERS
    yield "keyframes (nkey)", mjspec.nkey, MOST_KEYFRAMES
    for kind in ("body", "jnt", "geom", "site", "cam", "tendon", "actuator", "sensor"):
        yield f"user values (nuser_{kind})", getattr(mjspec, f"nuser_{kind}"), MOST_USER
    option = mjspec.option
    for name in ("iterations", "ls_iterations", "noslip_iterations", "ccd_iterations", "sdf_iterations"):
        yield f"solver iterations ({name})", getattr(option, name), MOST_ITERATIONS
    yield "points to search from (sdf_initpoints)", option.sdf_initpoints, MOST_STARTS
    yield "bodies that hang one from another", _chain(mjspec), MOST_CHAIN
    yield "values of sensors", sum(_values(mjspec, sensor) for sensor in mjspec.sensors), MOST_NUMBERS
    delayed = (*mjspec.actuators, *mjspec.sensors)
    yield "delayed samples (nsample)", sum(max(0, one.nsample) for one in delayed), MOST_NUMBERS
    yield "cells of height fields", sum(max(0, h.nrow) * max(0, h.ncol) for h in mjspec.hfields), MOST_CELLS
    yield "pixels of textures", sum(_drawn(texture) for texture in mjspec.textures), MOST_PIXELS
    seen = mjspec.visual
    yield "pixels of an image (offwidth, offheight)", seen.global_.offwidth * seen.global_.offheight, MOST_VIEW
    yield "samples of a pixel (offsamples)", seen.quality.offsamples, MOST_SAMPLES
    yield "pixels along a shadow (shadowsize)", seen.quality.shadowsize, MOST_SHADOWS
    for name in ("numslices", "numstacks", "numquads"):
        yield f"parts of a shape ({name})", getattr(seen.quality, name), MOST_SLICES


def _chain(mjspec: mujoco.MjSpec) -> int:
    """The most bodies that hang one from another, or one more than may."""
    depth, row = 0, list(mjspec.worldbody.bodies)
    while row and depth <= MOST_CHAIN:
        depth, row = depth + 1, [child for body in row for child in body.bodies]
    return depth


def _values(mjspec: mujoco.MjSpec, sensor: Any) -> int:
    """How many numbers a sensor shows, where its author chooses it, and otherwise a few."""
    if sensor.type == mujoco.mjtSensor.mjSENS_USER:
        return max(0, int(sensor.dim))
    if sensor.type == mujoco.mjtSensor.mjSENS_CONTACT:
        return max(0, int(sensor.intprm[2]))
    if sensor.type == mujoco.mjtSensor.mjSENS_RANGEFINDER and sensor.objtype == mujoco.mjtObj.mjOBJ_CAMERA:
        camera = next((one for one in mjspec.cameras if one.name == sensor.objname), None)
        return 0 if camera is None else max(0, int(camera.resolution[0])) * max(0, int(camera.resolution[1]))
    return 0


def _drawn(texture: Any) -> int:
    """Pixels of a texture that MuJoCo draws itself."""
    sides = 1 if texture.type == mujoco.mjtTexture.mjTEXTURE_2D else _CUBE
    return sides * max(0, int(texture.width)) * max(0, int(texture.height))


def _pixels(path: Path, depth: int) -> int:
    """Pixels of an image, as a PNG says itself; in files of other formats a pixel takes `depth` bytes."""
    with path.open("rb") as file:
        head = file.read(24)
    if head.startswith(_PNG) and len(head) == 24:
        width, height = struct.unpack(">II", head[16:])
        return int(width) * int(height)
    return path.stat().st_size // depth
