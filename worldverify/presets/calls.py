"""Calls of skills, as language models write them. They are read, never executed."""

from dataclasses import replace

from worldverify.action import SKILLS, ActionSpec, Syntax
from worldverify.contracts import skills


def _calls(name: str, version: str, syntax: Syntax, *, frame: str = "world") -> ActionSpec:
    """Every skill may be called; positions are absolute, in m."""
    return replace(skills(tuple(SKILLS)), name=name, version=version, syntax=syntax, frame=frame)


def saycan_skills() -> ActionSpec:
    """SayCan: one call of robot.pick_and_place(what, where) a line, ended by done().

    Source: google-research/google-research, saycan/SayCan-Robot-Pick-Place.ipynb. Not reproduced: the affordances that
    choose among the skills; names are matched exactly.
    """
    return _calls("saycan-skills", "2022", "saycan_lines")


def cap_calls() -> ActionSpec:
    """Code as Policies: a program of put_first_on_second, goto_pos and get_obj_pos, positions x, y in the robot's base.

    Source: google-research/google-research, code_as_policies/Interactive_Demo.ipynb. Not reproduced: parse_position and
    parse_obj_name ask another language model, and are refused.
    """
    return _calls("cap-calls", "2022", "cap_calls", frame="base")


def chat_calls() -> ActionSpec:
    """ChatGPT for Robotics: move_to([x, y, z]), open_gripper, close_gripper and get_position in a conversation.

    Source: microsoft/PromptCraft-Robotics (c75f0ee), examples/manipulation/manipulation_zeroshot.md. The prompt asks
    for SI units; the model answered in centimetres, for which give `position_unit="cm"`.
    """
    return _calls("chat-calls", "c75f0ee", "chat_calls")


def task_sequence() -> ActionSpec:
    """Microsoft's task cohesion: JSON with a task_sequence of calls such as Grab(<can>) and Put(<can>, <tray>).

    Sources: microsoft/GPT4Vision-Robot-Manipulation-Prompts (145259e), output/sample_high-level_tasks.json;
    microsoft/ChatGPT-Robot-Manipulation-Prompts (30535cd), examples/. Not reproduced: household verbs that no skill is.
    """
    return _calls("task-sequence", "145259e", "task_sequence")


def pick_and_place_calls() -> ActionSpec:
    """TidyBot: one call of pick_and_place("what", "where") a line.

    Source: jimmyyhwu/tidybot (c060278), benchmark/. Not reproduced: pick_and_toss, and calls that name no receptacle.
    """
    return _calls("pick-and-place-calls", "c060278", "pick_and_place_calls")
