"""Points of an image, and calls whose arguments are points of an image."""

from typing import Literal

from worldverify.action import ActionSpec, Image
from worldverify.presets.kinds import points

CAMERA = "task"  # the one that the task shows to a model
TRAVEL = 0.15  # m above what a point shows, for a move that is high
HOVER = 0.05  # m above what the points of a path show

Use = Literal["pick", "pick_place", "path"]


def gemini_er_points(camera: str = CAMERA, use: Use = "pick", height: float = HOVER) -> ActionSpec:
    """Gemini Robotics-ER: points [y, x] in thousandths of the height and width of an image, y first, with labels.

    `use` says what the points ask for: pick at the first, pick and place, or follow them as a path `height` m above.
    Source: ai.google.dev/gemini-api/docs/robotics-overview (2026-06): whole numbers 0..1000; boxes are
    [ymin, xmin, ymax, xmax]. A point means nothing without its camera.
    """
    image = Image(order="yx", use=use, height=height, origin=(0.0, 0.0))
    return points("gemini-er-points", "2026-06", camera=camera, unit="thousandths", image=image)


def gemini_er_calls(camera: str = CAMERA, height: float = TRAVEL) -> ActionSpec:
    """Gemini Robotics-ER, task orchestration: move(x, y, high), setGripperState(opened), returnToOrigin() on an image.

    x and y are thousandths of the width and the height, counted from the robot's origin in the image; `height` m is
    that of a high move. Source: ai.google.dev/gemini-api/docs/robotics-orchestration (2026-06): origin y 300, x 500.
    Give `image` for another origin. Not reproduced: the heights of the mock robot (15 and 5, without a unit).
    """
    image = Image(order="xy", use="calls", height=height, origin=(500.0, 300.0))
    return points("gemini-er-calls", "2026-06", camera=camera, unit="thousandths", image=image, syntax="gemini_calls")


def gemini_cookbook_calls(camera: str = CAMERA, height: float = TRAVEL) -> ActionSpec:
    """Gemini's cookbook notebook: move(x, y, high) as in gemini-er-calls, but what is called x holds y, and y holds x.

    Source: google-gemini/cookbook (5772ca9), quickstarts/gemini_robotics/task_orchestration.ipynb: the prompt gives
    relative coordinates as [y - 300, x - 500], and the model copies the first into x.
    """
    image = Image(order="yx", use="calls", height=height, origin=(300.0, 500.0))
    return points(
        "gemini-cookbook-calls", "5772ca9", camera=camera, unit="thousandths", image=image, syntax="gemini_calls"
    )


def robobrain_points(camera: str = CAMERA, use: Use = "pick", height: float = HOVER) -> ActionSpec:
    """RoboBrain 2.0: points (x, y) in pixels of the image, x first; boxes are [x1, y1, x2, y2].

    `use` and `height` as in gemini-er-points. Source: FlagOpen/RoboBrain2.0 (8b8b3bd), README.md. Not reproduced: an
    image of another size than the task's camera; its pixels would mean other places.
    """
    image = Image(order="xy", use=use, height=height, origin=(0.0, 0.0))
    return points("robobrain-points", "2.0", camera=camera, unit="pixels", image=image)
