"""The camera whose picture a model saw: where it stands, what it maps where, and the picture itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.kernels import imaging, rotation
from worldverify.kernels.imaging import Order, Unit
from worldverify.nearest import did_you_mean
from worldverify.png import Image
from worldverify.refusal import Refusal
from worldverify.render import render

Floats = NDArray[np.float64]

SHOWN_GROUPS = (0, 1, 2)  # of geoms and sites; robot models keep collision shapes in the others
MOST_PIXELS = 4096  # a side


@dataclass(frozen=True)
class Camera:
    """A camera of the model and the size of its picture."""

    name: str  # of the camera in the model
    width: int  # px
    height: int  # px

    def __post_init__(self) -> None:
        for label, value in (("width", self.width), ("height", self.height)):
            if not 1 <= value <= MOST_PIXELS:
                raise ValueError(f"The {label} of camera {self.name!r} is {value}; use 1 to {MOST_PIXELS} px.")


@dataclass(frozen=True, eq=False)
class View:
    """A camera in one state of the scene."""

    camera: Camera
    intrinsics: Floats  # (4,)  px: fx, fy, cx, cy
    position: Floats  # (3,)  m, of the eye
    quat: Floats  # (4,)  wxyz, of MuJoCo's camera frame: x right, y up, looking along -z

    @property
    def optical_quat(self) -> Floats:
        """(4,) wxyz, of the optical frame: x right, y down, z forward."""
        quat: Floats = imaging.optical(self.quat)
        return quat

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Pixels (..., 2) and depths (...,) [m] of points of the world (..., 3) [m]; NaN pixels behind the camera."""
        return imaging.project(points, self.intrinsics, self.position, self.quat)

    def lift(self, pixels: Floats, depth: Floats) -> Floats:
        """Points of the world (..., 3) [m] at pixels (..., 2) and depths (...,) [m]."""
        points: Floats = imaging.lift(pixels, depth, self.intrinsics, self.position, self.quat)
        return points

    def directions(self, pixels: Floats) -> Floats:
        """Unit vectors of the world (..., 3) from the eye through pixels (..., 2)."""
        directions: Floats = imaging.direction(pixels, self.intrinsics, self.quat)
        return directions

    def contains(self, pixel: Floats) -> bool:
        """Whether a pixel (2,) lies in the picture, its border included."""
        return bool(0 <= pixel[0] <= self.camera.width and 0 <= pixel[1] <= self.camera.height)


def view_of(model: Any, data: Any, camera: Camera) -> View:
    """The camera in the state of `data`, whose positions are brought up to date.

    Raises Refusal (cause model) for a camera that the model lacks, or that is no plain pinhole.
    """
    names = [model.camera(i).name for i in range(model.ncam)]
    if camera.name not in names:
        raise Refusal(
            "bad_model", f"The model has no camera {camera.name!r}. {did_you_mean(camera.name, names)}", "model"
        )
    index = names.index(camera.name)
    parallel = int(model.cam_projection[index]) == int(mujoco.mjtProjection.mjPROJ_ORTHOGRAPHIC)
    if parallel or np.any(model.cam_sensorsize[index] > 0):
        kind = "a parallel projection" if parallel else "a sensor size and lens of its own"
        raise Refusal(
            "bad_model", f"Camera {camera.name!r} has {kind}; image points need one given by its fovy alone.", "model"
        )
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    fovy = np.radians(np.asarray(model.cam_fovy[index], np.float64))
    return View(
        camera=camera,
        intrinsics=imaging.intrinsics(fovy, camera.width, camera.height),
        position=np.array(data.cam_xpos[index]),
        quat=rotation.from_matrix(np.array(data.cam_xmat[index]).reshape(3, 3)),
    )


def photograph(source: Any, state: Floats, camera: Camera, *, supersample: int = 1) -> Image:
    """(height, width, 3) uint8: what the camera shows of a state (nstate,), drawn without OpenGL.

    `source` is a task or its scene. Shapes and shading are those of MuJoCo's primitives, not a photograph's.
    """
    scene = getattr(source, "scene", source)
    data = scene.data(state)
    view_of(scene.model, data, camera)
    return render(
        scene.model,
        data,
        width=camera.width,
        height=camera.height,
        camera=camera.name,
        groups=SHOWN_GROUPS,
        supersample=supersample,
    )


def camera_lines(view: View, *, order: Order | None = None, unit: Unit | None = None) -> list[str]:
    """What a task card says of a camera; with `order` and `unit`, also how points in its picture are written."""
    camera = view.camera
    fx, fy, cx, cy = view.intrinsics.tolist()
    lines = [
        f"camera {camera.name!r}: {camera.width} x {camera.height} px, focal lengths fx {fx:.2f} and fy {fy:.2f} px, "
        f"centre at ({cx:g}, {cy:g}) px from the top left corner",
        f"camera pose: eye at {_rounded(view.position)}, orientation [w, x, y, z] {_rounded(view.optical_quat, 5)} of "
        "the frame x right, y down, z forward",
    ]
    if order is not None and unit is not None:
        lines.append(f"points in its picture: {written(order, unit, camera)}")
    return lines


def written(order: Order, unit: Unit, camera: Camera) -> str:
    """How a point in a picture is written: "[y, x] from the top left corner, each in thousandths of ..."."""
    sizes = {
        "thousandths": f"y from 0 to 1000 of the height, x from 0 to 1000 of the width of {camera.name!r}",
        "pixels": f"in px, y from 0 to {camera.height}, x from 0 to {camera.width} of {camera.name!r}",
        "unit": f"y from 0 to 1 of the height, x from 0 to 1 of the width of {camera.name!r}",
    }
    return f"[{', '.join(order)}] from the top left corner, {sizes[unit]}"


def _rounded(values: Sequence[float] | Floats, digits: int = 3) -> list[float]:
    # + 0.0 turns the -0.0 of rounding into 0.0
    rounded: list[float] = (np.round(np.asarray(values), digits) + 0.0).tolist()
    return rounded
