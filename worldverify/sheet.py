"""Pictures of the tasks: one of each, and all on one sheet with their names."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from worldverify import png
from worldverify.lettering import HEIGHT, write
from worldverify.outputs import Output, ready_folder
from worldverify.png import Image
from worldverify.progress import Progress
from worldverify.registry import load, tasks
from worldverify.render import Camera, Painter
from worldverify.report import contact_sheet
from worldverify.task import Task
from worldverify.usage import UsageError, cannot_write

SIZE = (288, 216)  # pixels, width and height of a task's picture
SAMPLES = 2  # rays along each side of a pixel
COLUMNS = 5
FOVY = 0.6  # rad, vertical field of view
FULL = 0.94  # of it is used
LARGEST = 0.2  # m, half a side: of what is larger, such as a table, only the middle has to be seen
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
FORWARD = np.array([-0.7, 0.5, -0.5]) / math.sqrt(0.99)  # direction of view where the scene has no camera `view`
LETTERS = 2  # pixels of a dot
ROOM = 6  # pixels above and below a name


def picture(task: Task, *, size: tuple[int, int] = SIZE, seed: int = 0) -> Image:
    """(H, W, 3) the start of a seed, from where the scene's camera `view` looks, so that everything is in it."""
    width, height = size
    model, data = task.scene.model, task.scene.data(task.start(seed))
    mujoco.mj_forward(model, data)
    camera = _whole_view(model, data, width / height)
    return Painter(model, width=width, height=height, supersample=SAMPLES, camera=camera).paint(data)


def sheet(names: Sequence[str], images: Sequence[Image], *, columns: int = COLUMNS) -> Image:
    """One picture of images of equal shape, each with its name below."""
    return contact_sheet([_named(n, image) for n, image in zip(names, images, strict=True)], columns=columns, border=2)


def draw_sheet(path: str) -> None:
    """Write all tasks into one PNG file. Raises UsageError where it cannot be written."""
    if Path(path).suffix.lower() not in ("", ".png"):
        raise UsageError(f"The sheet is a PNG picture: give it a name that ends in .png, not {path}.")
    try:
        with Output(path):  # before the work is done
            pass
        names = tasks()
        Path(path).write_bytes(png.encode(sheet(names, _pictures(names))))
    except OSError as error:
        raise cannot_write(path, error) from None


def draw_each(folder: str) -> None:
    """Write a PNG file a task, NAME.png, into a folder. Raises UsageError where they cannot be written."""
    try:
        ready = ready_folder(folder)
        names = tasks()
        for name, image in zip(names, _pictures(names), strict=True):
            (ready / f"{name}.png").write_bytes(png.encode(image))
    except OSError as error:
        raise cannot_write(folder, error) from None


def _pictures(names: Sequence[str]) -> list[Image]:
    images = []
    with Progress("Drawing") as progress:
        for done, name in enumerate(names, 1):
            images.append(picture(load(name)))
            progress(done, len(names))
    return images


def _whole_view(model: Any, data: Any, aspect: float) -> Camera:
    """The camera nearest to the scene that sees every geom, but planes, and every site, and looks where `view` does."""
    view = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, "view")
    forward = -data.cam_xmat[view].reshape(3, 3)[:, 2] if view >= 0 else FORWARD
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    shown = (model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_group < 3)
    boxes = model.geom_aabb[shown]  # centre and half size in the geom's frame
    corners = boxes[:, None, :3] + np.minimum(boxes[:, None, 3:], LARGEST) * _CORNERS  # (n, 8, 3)
    turned = np.einsum("nij,ncj->nci", data.geom_xmat[shown].reshape(-1, 3, 3), corners)
    points = (data.geom_xpos[shown][:, None] + turned).reshape(-1, 3)
    points = np.concatenate([points, data.site_xpos[model.site_group < 3]])
    points = points if len(points) else data.xpos
    # The eye e sees p if |(p - e) . right| <= t (p - e) . forward, likewise for up: the nearest e is where two of
    # these planes meet.
    eye, back = np.zeros(3), []
    for side, t in ((right, FULL * aspect * math.tan(FOVY / 2)), (up, FULL * math.tan(FOVY / 2))):
        most, least = (float((points @ (sign * side - t * forward)).max()) for sign in (1, -1))
        eye += 0.5 * (most - least) * side
        back.append(-(most + least) / (2 * t))
    target = eye + (min(back) + 1.0) * forward
    return Camera(
        azimuth_deg=math.degrees(math.atan2(forward[1], forward[0])),
        elevation_deg=math.degrees(math.asin(forward[2])),
        distance=1.0,
        lookat=(float(target[0]), float(target[1]), float(target[2])),
        fovy_deg=math.degrees(FOVY),
    )


def _named(name: str, image: Image) -> Image:
    """The image above a white band with its name."""
    height, width, _ = image.shape
    whole = np.full((height + LETTERS * HEIGHT + 2 * ROOM, width, 3), 255, np.uint8)
    whole[:height] = image
    write(whole, name, top=height + ROOM, centre=width // 2, scale=LETTERS)
    return whole
