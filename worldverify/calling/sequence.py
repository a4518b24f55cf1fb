"""Task sequences as GPT-4 writes them for Microsoft's robots: ["Grab(<can>)", "Put(<can>, <tray>)", "Release(<can>)"].

From microsoft/GPT4Vision-Robot-Manipulation-Prompts and ChatGPT-Robot-Manipulation-Prompts. What stands beside the
sequence (step_instructions, environment_after) tells a person what was meant and is not read.
"""

import json
import re
from collections.abc import Mapping, Sequence

from worldverify.calling.skills import Said, gripper, pick, place, unsayable
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.read import read
from worldverify.refusal import Refusal

MAX_STEPS = 1_000
MAX_STEP = 500  # characters
VERBS = {"Grab": 1, "PickUp": 1, "Put": 2, "Release": 1, "MoveHand": 1}  # arguments that each takes

_WALK = "the arm stands still and walks nowhere"
_HOUSE = "there is no such skill here: objects are picked up and put down"
_PLACELESS = "it names neither an object nor a place; write Grab(<object>) or Put(<object>, <place>)"
REFUSED = {
    **dict.fromkeys(("Walktowards", "WalkTowards", "Walk", "Find", "TurnTo", "LookAt", "Touch"), _WALK),
    **dict.fromkeys(("Open", "Close", "SwitchOn", "SwitchOff", "PutIn", "PutBack", "Wipe", "Push", "Pull"), _HOUSE),
    **dict.fromkeys(("Rotate", "Slide", "MoveOnSurface", "Drop", "Eat", "Drink", "Pour", "Type", "Wash"), _HOUSE),
    **dict.fromkeys(
        (
            "move_hand",
            "move_object",
            "grasp_object",
            "release_object",
            "detach_from_plane",
            "attach_to_plane",
        ),
        _PLACELESS,
    ),
    **{f"{act}_by_{way}": _HOUSE for act in ("open", "close", "adjust") for way in ("rotate", "slide")},
}
_EXAMPLE = '{"task_cohesion": {"task_sequence": ["Grab(<can>)", "Put(<can>, <tray>)", "Release(<can>)"]}}'
_STEP = re.compile(r"([A-Za-z_]\w{0,60}+)\s*+\((.*)\)", re.DOTALL)
_ARGUMENT = re.compile(r"""\s*(?:<([^<>"]{1,200})>|"([^"]{1,200})"|'([^']{1,200})')\s*(,|$)""")


def parse_task_sequence(value: object) -> Said:
    """The skills of a sequence, from a text or from what its JSON holds. Raises Refusal."""
    warnings: tuple[str, ...] = ()
    if isinstance(value, str | bytes):
        value, warnings = read(value, _is_plan, wanted=f"Write {_EXAMPLE}.")
    hand = _Hand()
    for number, step in enumerate(_steps(value)):
        hand.take(step, f"task_sequence[{number}]")
    if not hand.skills:
        raise Refusal("no_plan", f"The sequence moves nothing. Write {_EXAMPLE}.")
    return Said(tuple(hand.skills), (*warnings, *hand.warnings()))


def write_task_sequence(actions: Sequence[Mapping[str, object]]) -> str:
    """The JSON that is read back as these skills. Raises ValueError for a skill that has no verb."""
    steps: list[str] = []
    held: object = None
    for skill in actions:
        kind, target = skill["skill"], skill.get("target")
        if kind == "pick" and held is None:
            held = skill["object"]
            steps += [f"Grab(<{held}>)", f"PickUp(<{held}>)"]
        elif kind == "place" and held is not None and isinstance(target, str):
            steps += [f"Put(<{held}>, <{target}>)", f"Release(<{held}>)"]
            held = None
        elif kind == "open_gripper" and held is not None:
            steps.append(f"Release(<{held}>)")
            held = None
        else:
            raise unsayable(skill, "task-sequence")
    return json.dumps({"task_cohesion": {"task_sequence": steps}}, indent=4)


def _is_plan(value: object) -> bool:
    return isinstance(value, dict) and ("task_cohesion" in value or "task_sequence" in value)


def _steps(value: object) -> Sequence[object]:
    inner = value.get("task_cohesion", value) if isinstance(value, Mapping) else value
    if isinstance(inner, Mapping):
        if "task_sequence" not in inner:
            raise Refusal("missing_key", f'The plan lacks "task_sequence". Write {_EXAMPLE}.')
        inner = inner["task_sequence"]
    if not isinstance(inner, list | tuple):
        raise Refusal("wrong_type", f"task_sequence is {describe(inner)}; it must be a list, as in {_EXAMPLE}.")
    if not inner:
        raise Refusal("empty", f"task_sequence is empty; it must be a list, as in {_EXAMPLE}.")
    if len(inner) > MAX_STEPS:
        raise Refusal("too_long", f"task_sequence has {len(inner):,} steps; it may have {MAX_STEPS:,}.")
    return inner


class _Hand:
    """What the steps so far come to, and what is held."""

    def __init__(self) -> None:
        self.skills: list[dict[str, object]] = []
        self._held: str | None = None
        self._put: str | None = None  # put down, and not yet released
        self._moves: list[str] = []  # where the hand was moved, in words

    def warnings(self) -> list[str]:
        """What was left out."""
        if not self._moves:
            return []
        first = shorten(self._moves[0])
        return [f"MoveHand({first}) names no position and was left out: pick and place approach on their own."]

    def take(self, step: object, path: str) -> None:
        """Adds the skills of one step."""
        verb, arguments = _read_step(step, path)
        one = arguments[0]
        match verb:
            case "MoveHand":
                self._moves.append(one)
                return
            case "Grab" if self._held is not None:
                raise _out_of_order(path, f"grabs {shorten(one)} while {shorten(self._held)} is held")
            case "PickUp" if self._held not in (None, one):
                raise _out_of_order(path, f"picks up {shorten(one)} while {shorten(self._held)} is held")
            case "Grab" | "PickUp":
                if self._held is None:  # after Grab, PickUp only lifts, and the skill pick has lifted already
                    self.skills.append(pick(one))
                self._held, self._put = one, None
            case "Put":
                if self._held != one:
                    raise _out_of_order(path, f"puts down {shorten(one)}, which no step before has picked up")
                self.skills.append(place(arguments[1]))
                self._held, self._put = None, one
            case _:
                self._release(one, path)

    def _release(self, one: str, path: str) -> None:
        if self._put == one:  # the skill place has let go already
            self._put = None
        elif self._held == one:
            self.skills.append(gripper(opens=True))
            self._held = None
        else:
            raise _out_of_order(path, f"releases {shorten(one)}, which is not held")


def _out_of_order(path: str, what: str) -> Refusal:
    return Refusal("malformed", f"{path} {what}; write Grab, Put and Release of one object in this order.")


def _read_step(step: object, path: str) -> tuple[str, list[str]]:
    """The verb and the names of a step."""
    if not isinstance(step, str):
        raise Refusal("wrong_type", f"{path} is {describe(step)}; it must be a string such as 'Grab(<can>)'.")
    if len(step) > MAX_STEP:
        raise Refusal("too_long", f"{path} has {len(step):,} characters; a step has {MAX_STEP} at most.")
    found = _STEP.fullmatch(step.strip().removesuffix(";").rstrip())
    if found is None:
        raise Refusal("malformed", f"{path} is {shorten(step)}; it must be a verb with names, such as 'Grab(<can>)'.")
    verb = found.group(1)
    if verb in REFUSED:
        raise Refusal("unknown_skill", f"{path} is {shorten(step)}: {REFUSED[verb]}.")
    if verb not in VERBS:
        raise Refusal("unknown_skill", f"{path} has the verb {shorten(verb)}. {did_you_mean(verb, VERBS)}")
    names = _names(found.group(2), step, path)
    if len(names) != VERBS[verb]:
        wanted = "(<object>, <place>)" if VERBS[verb] == 2 else "(<object>)"
        raise Refusal("wrong_width", f"{path} is {shorten(step)}; it must be {verb}{wanted}.")
    return verb, names


def _names(text: str, step: str, path: str) -> list[str]:
    names: list[str] = []
    at, comma = 0, text.strip() != ""
    while comma:
        argument = _ARGUMENT.match(text, at)
        name = "" if argument is None else next(filter(None, argument.groups()[:3]), "").strip()
        if argument is None or not name:
            raise Refusal("malformed", f"{path} is {shorten(step)}; write names in angle brackets, such as <can>.")
        names.append(name)
        at, comma = argument.end(), argument.group(4) == ","
    return names
