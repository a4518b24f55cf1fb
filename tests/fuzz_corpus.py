"""Texts before they are mangled: plans of ours in every format, and what real models wrote."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import worldverify as wv
from worldverify.action import TIMED, ActionSpec
from worldverify.compile import Compiled, compile_for
from worldverify.encode import plan_of
from worldverify.envs.point_and_pick import CAMERA
from worldverify.motion import begin_of, motion_of
from worldverify.presets import names, preset
from worldverify.read import MAX_TEXT
from worldverify.refusal import Refusal
from worldverify.syntax import form_of

UNDECLARED = "(none)"  # stands for a text that names no format
RATE = 10.0  # Hz, where the contract leaves it to the plan
SLOWER = (1.0, 1.5, 2.1, 2.2)  # times as long as the good plan, for contracts that cannot say fast motions
DIGITS = 4  # of the numbers that we write
CALLS = ("cap_calls", "saycan_lines", "chat_calls", "pick_and_place_calls", "task_sequence")
IMAGES = ("points", "gemini_calls")  # syntaxes that need a camera


class Declared(NamedTuple):
    """A format as a user declares it."""

    format: str | ActionSpec | None
    spec: ActionSpec | None  # None: the text says it


class Seed(NamedTuple):
    """A text before it is mangled."""

    name: str
    text: str
    format: str  # under which it is read, a key of `declared`
    ours: bool  # whether it is a plan and nothing else
    strict: bool  # whether everything in it matters, so that nothing of it may be broken

    @property
    def is_program(self) -> bool:
        """Whether it is lines of calls, not JSON."""
        return not self.text.startswith(("{", "["))


@cache
def tasks() -> Mapping[str, wv.Task]:
    """The tasks of plans for the arm, of calls, and of points in an image."""
    return {"arm": wv.load("PickCube-v0"), "calls": wv.load("PutInBasket-v0"), "image": wv.load("PointPick-v0")}


@cache
def task_of(format: str) -> wv.Task:
    """The task that plans of a declared format are for."""
    spec = declared()[format].spec
    syntax = "" if spec is None else spec.syntax
    return tasks()["image" if syntax in IMAGES else "calls" if syntax in CALLS else "arm"]


@cache
def declared() -> Mapping[str, Declared]:
    """Every format that can be declared, with statistics and a rate where the contract leaves them to the user."""
    own = tasks()["arm"].contracts
    found = {UNDECLARED: Declared(None, None), **{name: Declared(name, spec) for name, spec in own.items()}}
    for name in names():
        spec = preset(name)
        complete = _complete(spec)
        found[name] = Declared(name if complete == spec else complete, complete)
    return found


def _complete(spec: ActionSpec) -> ActionSpec:
    if spec.syntax == "points":
        return preset(spec.name, use="pick_place")
    if spec.syntax == "voxels":
        return preset(spec.name, lower=(0.0, -0.5, 0.0), upper=(1.0, 0.5, 1.0))  # m, where the arm's cube is
    if spec.needs_statistics:
        scale = spec.arms[0][1].normalisation if spec.arms else spec.normalisation
        width = spec.width
        spec = preset(spec.name, normalisation=scale._replace(first=(-1.0,) * width, second=(1.0,) * width))
    return replace(spec, rate_hz=RATE) if spec.syntax in TIMED and spec.rate_hz is None else spec


_GRASP = {"position": [0.5, 0.0, 0.02]}
_WRITTEN: dict[str, tuple[Any, ...]] = {  # by syntax; what is no text is written as JSON
    "waypoints": (
        {
            "waypoints": [
                {"position": [0.5, 0.0, 0.12], "orientation": [0.0, 1.0, 0.0, 0.0], "gripper": 1.0},
                _GRASP,
                {**_GRASP, "gripper": 0.0},
                {"position": [0.5, 0.0, 0.2], "gripper": 0.0},
            ]
        },
        {"waypoints": [{"position": [0.5, 0.0, 0.2], "time": 1.5}, {"position": [0.45, 0.1, 0.2], "time": 2.5}]},
    ),
    "skills": (
        {"skills": [{"skill": "pick", "object": "cube"}]},
        {"skills": [{"skill": "pick", "object": "cube"}, {"skill": "lift", "height": 0.15}]},
        {
            "skills": [
                {"skill": "move_to", "position": [0.45, 0.1, 0.3], "orientation": [0.0, 1.0, 0.0, 0.0]},
                {"skill": "pick", "object": "cube"},
                {"skill": "wait", "seconds": 0.2},
            ]
        },
    ),
    "trajectory": (
        {
            "events": [
                {"type": "open_gripper"},
                {"type": "trajectory", "points": [[0.5, 0.0, 0.2, 0.0], [0.5, 0.0, 0.02, 0.0]]},
                {"type": "close_gripper"},
                {"type": "trajectory", "points": [[0.5, 0.0, 0.2, 0.0]]},
            ]
        },
        {"trajectory": [[0.45, 0.1, 0.3, 0.1], [0.45, 0.1, 0.25, 0.15]]},
        "open_gripper()\npoints = [[0.5, 0.0, 0.2, 0.0], [0.5, 0.0, 0.02, 0.0]]\nexecute_trajectory(points)\n"
        "close_gripper()\nexecute_trajectory([[0.5, 0.0, 0.2, 0.0]])\ntask_completed()",
    ),
    "voxels": (
        {
            "executable_plan": [
                {"action": f"[{bins}]"} for bins in ("50, 50, 60, 0, 60, 90, 1", "52, 50, 55, 0, 60, 90, 0")
            ]
        },
    ),
    "task_sequence": (
        {"task_cohesion": {"task_sequence": ["Grab(<cube>)", "Put(<cube>, <basket>)", "Release(<cube>)"]}},
    ),
    "cap_calls": (
        'put_first_on_second("cube", "basket")',
        'goto_pos([0.5, 0.1])\nrobot.close_gripper()\nput_first_on_second("cube", "basket")',
    ),
    "saycan_lines": ("robot.pick_and_place(cube, basket)\ndone()",),
    "chat_calls": (
        'open_gripper()\np = get_position("cube")\nmove_to([p[0], p[1], 0.1])\nmove_to([p[0], p[1], 0.02])\n'
        "close_gripper()\nmove_to([p[0], p[1], 0.35])\nmove_to([0.5, 0.2, 0.35])\nmove_to([0.5, 0.2, 0.12])\n"
        "open_gripper()\nmove_to([0.5, 0.2, 0.3])",
        "move_to([0.5, 0.1, 0.3])\nclose_gripper()",
    ),
    "pick_and_place_calls": ('pick_and_place("cube", "basket")',),
}
_LOOSE: dict[str, tuple[Any, ...]] = {  # by syntax: plans with parts that ask for nothing
    "voxels": (
        {"reasoning": "up", "executable_plan": [{"action_id": 1, "action": [50, 50, 60, 0, 60, 90, 1], "x": {}}]},
    ),
    "world_vector": (
        [
            {
                "world_vector": [0.01, 0, 0],
                "rotation_delta": [0, 0, 0.1],
                "gripper_closedness_action": [1],
                "base_displacement_vector": [0, 0],
                "base_displacement_vertical_rotation": [0],
                "terminate_episode": [end, 1 - end, 0],
            }
            for end in (0, 0, 1)
        ],
    ),
    "trajectory": (
        {
            "thought": "down, then close",
            "events": [
                {"type": "detect_object", "object": "cube"},
                {"type": "trajectory", "points": [[0.5, 0, 0.2, 0]]},
                {"type": "close_gripper"},
                {"type": "print", "text": "done"},
                {"type": "task_completed"},
            ],
        },
    ),
    "points": ({"thought": "the block", "answer": "[(421, 353), (170, 185)]"},),
}
_BLOCK, _BOWL = (735, 658), (386, 266)  # of 1000, down and across the picture of the task with a camera


@cache
def seeds() -> tuple[Seed, ...]:
    """Plans of ours in every format, each as a text that holds nothing else."""
    found: list[Seed] = []
    for format, (_, spec) in declared().items():
        if spec is not None:
            texts = [text if isinstance(text, str) else json.dumps(text) for text in _texts(spec)]
            loose = list(map(json.dumps, _LOOSE.get(spec.syntax, ())))
            found += [
                Seed(f"{format}/{number}", text, format, True, number < len(texts))
                for number, text in enumerate([*texts, *loose])
            ]
    return tuple(found)


def _texts(spec: ActionSpec) -> Iterator[Any]:
    yield from _WRITTEN.get(spec.syntax, ())
    if spec.syntax == "points":
        yield [{"point": _place(spec, _BLOCK), "label": "blue_block"}, {"point": _place(spec, _BOWL)}]
        yield [{"point": _place(spec, _BLOCK)}, {"box": [*_place(spec, _BOWL), *_place(spec, _BLOCK)], "label": "bin"}]
    elif spec.syntax == "gemini_calls":
        yield _calls(spec)
    elif spec.syntax not in (*CALLS, "skills"):
        yield from (form_of(spec).write(actions, spec) for actions in _rows(spec))


def _place(spec: ActionSpec, point: tuple[int, int]) -> list[int]:
    """A point of the picture as the contract writes it."""
    y, x = point
    if spec.position_unit == "pixels":
        y, x = round(y * CAMERA.height / 1000), round(x * CAMERA.width / 1000)
    assert spec.image is not None
    return [y, x] if spec.image.order == "yx" else [x, y]


def _calls(spec: ActionSpec) -> list[dict[str, Any]]:
    """Block to bowl, as a list of calls."""
    assert spec.image is not None
    first, second = spec.image.origin
    places = [(at[0] - int(first), at[1] - int(second)) for at in (_place(spec, _BLOCK), _place(spec, _BOWL))]

    def move(place: tuple[int, int], high: bool) -> dict[str, Any]:
        return {"function": "move", "args": {"x": place[0], "y": place[1], "high": high}}

    def grip(opened: bool) -> dict[str, Any]:
        return {"function": "setGripperState", "args": {"opened": opened}}

    block, bowl = places
    return [
        *(move(block, False), grip(False), move(block, True)),
        *(move(bowl, True), move(bowl, False), grip(True), {"function": "returnToOrigin", "args": {}}),
    ]


def _rows(spec: ActionSpec) -> Iterator[Any]:
    """The good plan of the task as the contract says it, if it can, and a few rows near the start."""
    task = tasks()["arm"]
    start = task.start(0)
    assert task.good is not None
    if spec.space == "ctrl":
        (made,) = compile_for(task, start[None], [task.good])
        assert isinstance(made, Compiled)
        yield made.controls.round(DIGITS)
    for slower in SLOWER:
        try:
            motion = motion_of(task, task.good, start, rate_hz=spec.rate_hz, slower=slower)
            actions = plan_of(spec, motion, begin_of(task, start)).actions
        except Refusal:
            continue
        yield actions.round(DIGITS) if isinstance(actions, np.ndarray) else actions
        break
    if spec.syntax in TIMED:
        yield _near_the_start(spec)


def _near_the_start(spec: ActionSpec) -> Any:
    rows = np.random.default_rng(len(spec.name)).uniform(-0.1, 0.1, (6, spec.width)).round(3)
    tokens = spec.normalisation.encoding == "tokens_256"
    if tokens:
        rows = 31872.0 + np.round(100 * rows)
    if spec.gripper is not None:
        opened = 31745.0 if tokens else spec.gripper.open
        rows[:, spec.columns.index("gripper")] = opened
    return rows


def collected(folder: Path) -> tuple[Seed, ...]:
    """Texts that real models wrote, of any format."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".txt", ".json", ".jsonl") and path.name not in ("provenance.json", "manifest.jsonl"):
            text = path.read_text(encoding="utf-8", errors="replace")
            name, pieces = f"{path.parent.name}/{path.name}", text.splitlines() if path.suffix == ".jsonl" else [text]
            found += [
                Seed(f"{name}:{i}", one[:MAX_TEXT], UNDECLARED, False, False) for i, one in enumerate(pieces) if one
            ]
    return tuple(found)
