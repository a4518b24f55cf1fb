"""Calls of functions, as language models write them: read by the vocabularies in `calls`, never executed."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from worldverify.action import ActionSpec
from worldverify.calling import cap, chat, gemini
from worldverify.calling.skills import Said, check_position, pick, place
from worldverify.calling.vocabularies import VOCABULARIES
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.planfields import Fields
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions, Form

NAMES = {
    "cap_calls": "cap-calls",
    "saycan_lines": "saycan-skills",
    "chat_calls": "chat-calls",
    "task_sequence": "task-sequence",
    "pick_and_place_calls": "pick-and-place-calls",
    "gemini_calls": "gemini-er-calls",
}
PROGRAMS = {"cap-calls": cap.FUNCTIONS, "chat-calls": chat.FUNCTIONS, "gemini-er-calls": gemini.FUNCTIONS}
# What the vocabularies come to, and the arguments of each.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "pick": ("object",),
    "place": ("target",),
    "move_to": ("position",),
    "open_gripper": (),
    "close_gripper": (),
}


class _EveryPair(Mapping[str, tuple[dict[str, object], ...]]):
    """SayCan's skills of a table top for whatever is there: names are matched when the scene is known."""

    _NAME = r"[^()\[\]{}*=,\"'\n]{1,200}"  # never a piece of a program
    _LINE = re.compile(rf"robot\.pick_and_place\(({_NAME}), ({_NAME})\)")

    def __getitem__(self, line: str) -> tuple[dict[str, object], ...]:
        found = self._LINE.fullmatch(line)
        if found is None:
            raise KeyError(line)
        return pick(found[1]), place(found[2])

    def __iter__(self) -> Iterator[str]:
        return iter(("robot.pick_and_place(object, place)",))

    def __len__(self) -> int:
        return 1


def _text(name: str) -> Callable[[str, Fields], Actions]:
    def read(text: str, fields: Fields) -> Actions:
        return _kept(VOCABULARIES[name].parse(text, **_options(name, fields.spec)), fields)

    return read


def _options(name: str, spec: ActionSpec) -> dict[str, Any]:
    options = {"unit": spec.position_unit, "options": _EveryPair()}
    return {key: options[key] for key in VOCABULARIES[name].parse_options}


def _kept(said: Said, fields: Fields) -> Actions:
    fields.check_length(len(said.actions))
    fields.warnings += said.warnings
    return tuple(said.actions)


def _parse(name: str) -> Callable[[object, Fields], Actions]:
    def parse(value: object, fields: Fields) -> Actions:
        if name == "gemini-er-calls" or (name == "task-sequence" and not _is_own(value)):
            return _kept(VOCABULARIES[name].parse(value), fields)
        if not isinstance(value, list | tuple):
            raise Refusal("wrong_type", f"{fields.path} is {describe(value)}; it must be a list of skills, or a text.")
        if fields.spec.position_unit != "m":
            unit = fields.spec.position_unit
            raise Refusal("bad_contract", f"{fields.path} is a list of skills, which is in m; {unit} is for texts.")
        fields.check_length(len(value))
        return tuple(_skill(item, f"{fields.path}[{i}]", fields) for i, item in enumerate(value))

    return parse


def _is_own(value: object) -> bool:
    """Whether a value is a list of skills, as a plan writes itself."""
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping) and "skill" in value[0]


def _skill(item: object, path: str, fields: Fields) -> Mapping[str, object]:
    """A skill whose names and positions may wait for the scene."""
    if not isinstance(item, Mapping) or "skill" not in item:
        raise Refusal("wrong_type", f'{path} is {describe(item)}; a skill is {{"skill": name, ...}}.')
    kind = item["skill"]
    if not isinstance(kind, str) or kind not in ARGUMENTS or kind not in fields.spec.skills:
        known = [name for name in ARGUMENTS if name in fields.spec.skills]
        raise Refusal("unknown_skill", f"{path}.skill is {shorten(kind)}. {did_you_mean(kind, known)}")
    wanted = ARGUMENTS[kind]
    for key in item:
        if key not in ("skill", *wanted):
            raise Refusal("unknown_key", f"{path} has the unknown key {shorten(key)}. {did_you_mean(key, wanted)}")
    skill: dict[str, object] = {"skill": kind}
    for key in wanted:
        if key not in item:
            raise Refusal("missing_key", f'{path} ({kind}) lacks "{key}".')
        value = item[key]
        if isinstance(value, str) and value and key != "position":
            skill[key] = fields.name(value, f"{path}.{key}")
        elif key != "object":
            skill[key] = check_position(value, f"{path}.{key}")
        else:
            raise Refusal("wrong_type", f"{path}.{key} is {describe(value)}; it must be the name of an object.")
    return skill


def _write(name: str) -> Callable[[Actions, ActionSpec], str]:
    def write(actions: Actions, spec: ActionSpec) -> str:
        options = {key: spec.position_unit for key in VOCABULARIES[name].write_options}
        return VOCABULARIES[name].write([dict(action) for action in actions if isinstance(action, Mapping)], **options)

    return write


def _example(name: str) -> Callable[[ActionSpec], str]:
    return lambda spec: VOCABULARIES[name].example


def _functions(name: str) -> tuple[str, ...]:
    """What a model may call: `put_first_on_second(first, second)`."""
    allowed = PROGRAMS.get(name, {})
    useful = {call: one for call, one in allowed.items() if not one.refused and one.gives in ("action", "position")}
    return tuple(f"{call}({', '.join(one.parameters)})" for call, one in useful.items())


def _form(name: str) -> Form:
    functions, text = _functions(name), _text(name)
    return Form(None, _example(name), lambda value: True, _parse(name), _write(name), functions=functions, text=text)


FORMS = {syntax: _form(name) for syntax, name in NAMES.items()}
