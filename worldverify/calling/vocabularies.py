"""The vocabularies of models that plan in calls, by name: how each is read and how it is written."""

from collections.abc import Callable
from typing import NamedTuple

from worldverify.calling.cap import parse_cap, write_cap
from worldverify.calling.chat import parse_chat, write_chat
from worldverify.calling.gemini import parse_gemini, write_gemini
from worldverify.calling.receptacle import parse_pick_and_place, write_pick_and_place
from worldverify.calling.saycan import parse_saycan, write_saycan
from worldverify.calling.sequence import parse_task_sequence, write_task_sequence
from worldverify.calling.skills import Said


class Vocabulary(NamedTuple):
    """One way to ask for skills."""

    summary: str
    example: str  # how a model writes it
    parse: Callable[..., Said]  # from the text, and the options; raises Refusal
    write: Callable[..., str]  # a text that is read back as the same skills
    parse_options: tuple[str, ...] = ()  # keyword arguments that parse needs
    write_options: tuple[str, ...] = ()


VOCABULARIES: dict[str, Vocabulary] = {
    "cap-calls": Vocabulary(
        "Code-as-Policies: a program of calls, positions x and y in m in the frame of the robot's base",
        'put_first_on_second("blue block", "red bowl")',
        parse_cap,
        write_cap,
    ),
    "saycan-skills": Vocabulary(
        "SayCan: one skill of a closed list a line, letter by letter, until done()",
        "robot.pick_and_place(blue block, red bowl)\ndone()",
        parse_saycan,
        write_saycan,
        parse_options=("options",),
    ),
    "chat-calls": Vocabulary(
        "PromptCraft: a program of calls, positions x, y and z in a declared unit",
        'p = get_position("cube")\nmove_to([p[0], p[1], 0.1])\nclose_gripper()',
        parse_chat,
        write_chat,
        parse_options=("unit",),
        write_options=("unit",),
    ),
    "gemini-er-calls": Vocabulary(
        "Gemini Robotics-ER: calls on places in an image, as JSON or as a program",
        '[{"function": "move", "args": {"x": 435, "y": 158, "high": false}}]',
        parse_gemini,
        write_gemini,
    ),
    "task-sequence": Vocabulary(
        "Microsoft's task sequences: verbs on named objects, as JSON",
        '{"task_cohesion": {"task_sequence": ["Grab(<can>)", "Put(<can>, <tray>)", "Release(<can>)"]}}',
        parse_task_sequence,
        write_task_sequence,
    ),
    "pick-and-place-calls": Vocabulary(
        "TidyBot: an object and its receptacle a line",
        'pick_and_place("Lego brick", "storage box")',
        parse_pick_and_place,
        write_pick_and_place,
    ),
}
