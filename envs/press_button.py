"""PressButton: press one of two buttons once, hold it for a moment, and let it come back.

Resembles Meta-World's button-press-topdown, RLBench's push_buttons and CALVIN's push-button tasks. Those succeed when
the button is down for one frame. Here it must be down for a fifth of a second and come back up, no second press
follows, the other button is left alone, and neither the button nor its panel is hit.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.envs.arm_task import arm_task, move_arm
from worldverify.envs.fixtures import PANEL, button, panel
from worldverify.envs.moves import CLOSE, TIP, to, wait
from worldverify.envs.parts import table
from worldverify.task import Task

SPEC = """
pressed:  (eventually[0,3.5](always[0,0.2](joint(green_button_slide) > 6 mm)
              and eventually[0,1.5](always[0,0.5](joint(green_button_slide) < 2 mm)))
          and always(joint(green_button_slide) > 6 mm implies eventually[0,1.5](joint(green_button_slide) < 2 mm)))
released: at_end(joint(green_button_slide) < 2 mm and contact_load(arm, green_button) < 0.1 N)
once:     always(joint(green_button_slide) > 6 mm implies
              not eventually(joint(green_button_slide) < 2 mm and eventually(joint(green_button_slide) > 6 mm)))
other:    always(contact_load(arm, red_button) < 0.1 N)
gentle:   always(contact_load(arm, green_button) < 20 N)
clear:    always(contact_force(arm, panel) < 10 N and contact_force(arm, table) < 20 N)
"""

GREEN, RED = (0.2, 0.65, 0.3, 1.0), (0.8, 0.2, 0.15, 1.0)
DEPTH = 0.012  # m that a good press goes down
UP = np.array([0.0, 0.0, 0.06])  # m


def press_button() -> Task:
    """The task PressButton-v0."""
    return arm_task(
        table(),
        panel((0.5, 0.05), size=(0.14, 0.3)),
        button("green_button", (0.5, 0.13), rgba=GREEN),
        button("red_button", (0.5, -0.03), rgba=RED),
        name="PressButton-v0",
        instruction=(
            "Press the green button once, from above: at least 6 mm down, for 0.2 to 1.5 seconds. Then let it come "
            "up again. Do not touch the red button."
        ),
        spec=SPEC,
        horizon=6.0,
        objects=["green_button", "red_button", "panel"],
        randomise=_randomise,
        precondition="joint(green_button_slide) < 2 mm and joint(red_button_slide) < 2 mm",
        good=lambda where: {"skills": [CLOSE, *_press(where["green_button"], DEPTH)]},
        bad={
            "pressed": lambda where: {"skills": [CLOSE, *_press(where["green_button"], 0.004)]},
            "released": _keep_a_finger_on_it,
            "once": lambda where: {"skills": [CLOSE, *_press(where["green_button"], DEPTH) * 2]},
            "other": lambda where: {
                "skills": [CLOSE, *_press(where["red_button"], 0.004), *_press(where["green_button"], DEPTH)]
            },
            "gentle": lambda where: {"skills": [CLOSE, *_press(where["green_button"], 0.025)]},
            "clear": _tap_the_panel,
        },
    )


def _randomise(generator: np.random.Generator, model: Any, data: Any) -> None:
    move_arm(data, generator, angle=0.03)


def _press(top: Any, depth: float) -> list[dict[str, Any]]:
    """The fingertips go that deep (m) below the top of a thing, stay for a moment, and come up."""
    return [to(top + UP), to(np.add(top, (0, 0, TIP - depth))), wait(0.4), to(top + UP)]


def _keep_a_finger_on_it(where: Mapping[str, Any]) -> Any:
    top = where["green_button"]
    return {"skills": [CLOSE, *_press(top, DEPTH), to(np.add(top, (0, 0, TIP - 0.001)))]}


def _tap_the_panel(where: Mapping[str, Any]) -> Any:
    between = (where["green_button"] + where["red_button"]) / 2
    between[2] = PANEL
    return {"skills": [CLOSE, *_press(between, 0.006), *_press(where["green_button"], DEPTH)]}
