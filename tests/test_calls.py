"""The vocabularies of models that plan in calls: what their texts mean as skills, and that skills are written back."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worldverify.action import SKILLS
from worldverify.calling.cap import parse_cap, write_cap
from worldverify.calling.chat import FUNCTIONS, parse_chat, write_chat
from worldverify.calling.gemini import parse_gemini, write_gemini
from worldverify.calling.receptacle import parse_pick_and_place, write_pick_and_place
from worldverify.calling.saycan import parse_saycan, saycan_options, write_saycan
from worldverify.calling.scene import candidates, in_scene, names_of, scene_name
from worldverify.calling.sequence import parse_task_sequence, write_task_sequence
from worldverify.calling.skills import Said, check_position
from worldverify.calling.text import programs
from worldverify.calling.vocabularies import VOCABULARIES
from worldverify.pointing import CALLS
from worldverify.refusal import CODES, Refusal

OPTIONS = saycan_options(["blue block", "cube"], ["bowl", "cube"])
PARSERS: dict[str, Callable[[str], Said]] = {
    "cap-calls": parse_cap,
    "saycan-skills": lambda text: parse_saycan(text, OPTIONS),
    "chat-calls": lambda text: parse_chat(text, unit="cm"),
    "gemini-er-calls": parse_gemini,
    "task-sequence": parse_task_sequence,
    "pick-and-place-calls": parse_pick_and_place,
}


def at(*items: object) -> list[object]:
    """A position: numbers, None, or (constant, object, axis)."""
    return [
        {"constant": item[0], "terms": [[item[1], item[2], 1.0]]} if isinstance(item, tuple) else item for item in items
    ]


def pick(name: str) -> dict[str, object]:
    return {"skill": "pick", "object": name}


def place(target: object) -> dict[str, object]:
    return {"skill": "place", "target": target}


def move_to(*items: object) -> dict[str, object]:
    return {"skill": "move_to", "position": at(*items)}


OPEN: dict[str, object] = {"skill": "open_gripper"}
CLOSE: dict[str, object] = {"skill": "close_gripper"}

MEANS: dict[str, tuple[str, str, list[dict[str, object]]]] = {
    "a block in a bowl": (
        "cap-calls",
        "say('Ok')\nput_first_on_second('blue block', 'red bowl')",
        [pick("blue block"), place("red bowl")],
    ),
    "blocks in bowls": (
        "cap-calls",
        "for a, b in zip(['x', 'y'], ['u', 'v']):\n  put_first_on_second(a, b)",
        [pick("x"), place("u"), pick("y"), place("v")],
    ),
    "a block at a place": (
        "cap-calls",
        "put_first_on_second('x', [0.3, -0.5])",
        [pick("x"), place(at(0.3, -0.5, None))],
    ),
    "a block beside a bowl": (
        "cap-calls",
        "p = get_obj_pos('bowl')\nput_first_on_second('x', p + [0.05, 0])",
        [pick("x"), place(at((0.05, "bowl", "x"), (0.0, "bowl", "y"), None))],
    ),
    "a block where a bowl is": (
        "cap-calls",
        "put_first_on_second(get_obj_pos('x'), get_obj_pos('bowl'))",
        [pick("x"), place("bowl")],
    ),
    "the tool over a bowl": (
        "cap-calls",
        "goto_pos(get_obj_pos('bowl'))\nopen_gripper()\nrobot.close_gripper()\ngoto_pos([0.1, 0.2, 0.3])",
        [move_to((0.0, "bowl", "x"), (0.0, "bowl", "y"), None), OPEN, CLOSE, move_to(0.1, 0.2, 0.3)],
    ),
    "centimetres": (
        "chat-calls",
        'h = 10 + 5\np = get_position("red sphere")\nmove_to([p[0] - 5, p[1], h])\nclose_gripper()',
        [move_to((-0.05, "red sphere", "x"), (0.0, "red sphere", "y"), 0.15), CLOSE],
    ),
    "lines of a list": (
        "saycan-skills",
        "1. robot.pick_and_place(blue block, bowl)\n2. robot.pick_and_place(cube, bowl)\n3. done()",
        [pick("blue block"), place("bowl"), pick("cube"), place("bowl")],
    ),
    "receptacles": (
        "pick-and-place-calls",
        'objects = ["hat"]\npick_and_place("Rubik\'s cube", "box")',
        [pick("Rubik's cube"), place("box")],
    ),
    "a sequence": (
        "task-sequence",
        '{"task_cohesion": {"task_sequence": ["MoveHand(\\"near the can\\")", "Grab(<can>)", "PickUp(<can>)", '
        '"Put(<can>, <tray>)", "Release(<can>)"], "step_instructions": []}, "question": ""}',
        [pick("can"), place("tray")],
    ),
    "a sequence that lets go in the air": (
        "task-sequence",
        '{"task_sequence": ["PickUp(<a b>)", "Release(\'a b\')"]}',
        [pick("a b"), OPEN],
    ),
    "calls as JSON": (
        "gemini-er-calls",
        'Plan:\n[{"function": "move", "args": {"x": 435, "y": -158, "high": false}}, '
        '{"name": "setGripperState", "arguments": {"opened": true}}, {"function": "returnToOrigin"}]',
        [
            {"call": "move", "x": 435.0, "y": -158.0, "high": False},
            {"call": "setGripperState", "opened": True},
            {"call": "returnToOrigin"},
        ],
    ),
    "calls as a program": (
        "gemini-er-calls",
        "move(435, 158, False)\nsetGripper(opened=True)\nmove(x=1.5, y=2, high=True)",
        [
            {"call": "move", "x": 435.0, "y": 158.0, "high": False},
            {"call": "setGripper", "opened": True},
            {"call": "move", "x": 1.5, "y": 2.0, "high": True},
        ],
    ),
}


@pytest.mark.parametrize("name", MEANS)
def test_a_text_means_these_skills(name: str) -> None:
    vocabulary, text, actions = MEANS[name]
    assert list(PARSERS[vocabulary](text).actions) == actions


@pytest.mark.parametrize("name", VOCABULARIES)
def test_the_example_of_each_vocabulary_is_read(name: str) -> None:
    text = VOCABULARIES[name].example
    parse = (
        (lambda text: parse_saycan(text, saycan_options(["blue block"], ["red bowl"]))) if "saycan" in name else None
    )
    assert (parse or PARSERS[name])(text).actions


REFUSED: dict[str, tuple[str, str, str, str]] = {  # vocabulary, text, code, what the sentence says
    "another model": ("cap-calls", "p = parse_position('left')", "unknown_skill", "asks another model"),
    "names from another model": (
        "cap-calls",
        "n = parse_obj_name('bowls', 'x')",
        "unknown_skill",
        "asks another model",
    ),
    "names that only the robot knows": (
        "cap-calls",
        "for n in get_obj_names():\n  say(n)",
        "wrong_type",
        "on the robot",
    ),
    "a condition": ("cap-calls", "if is_obj_visible('x'):\n  open_gripper()", "malformed", "without the condition"),
    "a pick at a place": ("cap-calls", "put_first_on_second([0.1, 0.2], 'x')", "wrong_type", "name the object"),
    "where a moved thing is": (
        "cap-calls",
        "put_first_on_second('x', 'y')\np = get_obj_pos('x')\ngoto_pos(p)",
        "unknown_object",
        "Line 2 asks where 'x' is after line 1 has moved it",
    ),
    "a place of one number": ("cap-calls", "goto_pos([1])", "wrong_width", "[x, y] or [x, y, z]"),
    "a place of words": ("cap-calls", "goto_pos(['left', 'top'])", "wrong_type", "the string 'left'"),
    "an object without a name": ("cap-calls", "put_first_on_second('', 'x')", "wrong_type", "name of an object"),
    "a position without a height": ("chat-calls", "move_to(get_position('x'))", "wrong_width", "2 values"),
    "a height that is not given": (
        "chat-calls",
        "p = get_position('x')\nmove_to([p[0], p[1], p[2]])",
        "out_of_range",
        "2",
    ),
    "driving": ("chat-calls", "move(1.5)", "unknown_skill", "mobile base"),
    "a line that is no skill": ("saycan-skills", "robot.pick_and_place(cube,bowl)", "unknown_skill", "Did you mean"),
    "another case": ("saycan-skills", "robot.pick_and_place(Cube, bowl)\ndone()", "unknown_skill", "Did you mean"),
    "more after the end": ("saycan-skills", "done()\nrobot.pick_and_place(cube, bowl)", "malformed", "follows done()"),
    "only the end": ("saycan-skills", "done()", "no_plan", "no skill"),
    "no receptacle": ("pick-and-place-calls", 'pick_and_place("shirt")', "missing_key", "without its receptacle"),
    "a toss": ("pick-and-place-calls", 'pick_and_toss("toy")', "unknown_skill", "tosses"),
    "a start in mid-string": ("pick-and-place-calls", ' "chest")\npick_and_place("a", "b")', "malformed", "middle"),
    "a walk": ("task-sequence", '{"task_sequence": ["Walktowards(<sink>)"]}', "unknown_skill", "walks nowhere"),
    "a switch": ("task-sequence", '{"task_sequence": ["SwitchOn(<stove>)"]}', "unknown_skill", "no such skill"),
    "a verb without a name": (
        "task-sequence",
        '{"task_sequence": ["move_hand()"]}',
        "unknown_skill",
        "neither an object",
    ),
    "an unknown verb": ("task-sequence", '{"task_sequence": ["Grabb(<can>)"]}', "unknown_skill", "Did you mean 'Grab'"),
    "a Put without a place": (
        "task-sequence",
        '{"task_sequence": ["Put(<can>)"]}',
        "wrong_width",
        "Put(<object>, <place>)",
    ),
    "a Put of what is not held": (
        "task-sequence",
        '{"task_sequence": ["Put(<a>, <b>)"]}',
        "malformed",
        "no step before",
    ),
    "two in one hand": ("task-sequence", '{"task_sequence": ["Grab(<a>)", "Grab(<b>)"]}', "malformed", "'a' is held"),
    "a Release of nothing": ("task-sequence", '{"task_sequence": ["Release(<a>)"]}', "malformed", "not held"),
    "a bare name": ("task-sequence", '{"task_sequence": ["Grab(can)"]}', "malformed", "angle brackets"),
    "a step that is no call": (
        "task-sequence",
        '{"task_sequence": ["grab the can"]}',
        "malformed",
        "a verb with names",
    ),
    "a step that is no text": ("task-sequence", '{"task_sequence": [1]}', "wrong_type", "number 1"),
    "no step": ("task-sequence", '{"task_sequence": []}', "empty", "empty"),
    "no sequence": ("task-sequence", '{"task_cohesion": {}}', "missing_key", "task_sequence"),
    "only looking": ("task-sequence", '{"task_sequence": ["MoveHand(\'there\')"]}', "no_plan", "moves nothing"),
    "a verdict in words": ("gemini-er-calls", "It did not.\n\n(2) no", "no_plan", "no JSON object"),
    "a near miss": (
        "gemini-er-calls",
        '[{"function": "setGriper", "args": {}}]',
        "unknown_skill",
        "Did you mean 'setGrip",
    ),
    "a near miss in a program": (
        "gemini-er-calls",
        "move(1, 2, True)\nreturnToOrign()",
        "unknown_skill",
        "Did you mean",
    ),
    "a number for a flag": ("gemini-er-calls", "move(1, 2, 1)", "wrong_type", "true or false"),
    "a flag for a number": ("gemini-er-calls", "move(True, 2, True)", "wrong_type", "must be a number"),
    "text for a number": (
        "gemini-er-calls",
        '[{"function": "move", "args": {"x": "4", "y": 1, "high": true}}]',
        "wrong_type",
        "Call 1: x is the string '4'",
    ),
    "a point far outside": ("gemini-er-calls", "move(1001, 2, True)", "out_of_range", "1000"),
    "an infinite point": (
        "gemini-er-calls",
        '[{"function": "move", "args": {"x": NaN, "y": 1, "high": true}}]',
        "out_of_range",
        "nan",
    ),
    "a missing argument": ("gemini-er-calls", '[{"function": "setGripper", "args": {}}]', "missing_key", "opened"),
    "a remark in a call": (
        "gemini-er-calls",
        '[{"function": "returnToOrigin", "args": {}, "why": "home"}]',
        "unknown_key",
        "'why'",
    ),
    "an unknown argument": (
        "gemini-er-calls",
        '[{"function": "setGripper", "args": {"open": true}}]',
        "unknown_key",
        "Did you mean 'opened'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_skill_is_refused_with_a_sentence(name: str) -> None:
    vocabulary, text, code, phrase = REFUSED[name]
    with pytest.raises(Refusal) as caught:
        PARSERS[vocabulary](text)
    assert (caught.value.code, phrase in caught.value.reason) == (code, True), caught.value.reason
    assert caught.value.reason.endswith(".")


WARNED = {
    "another unit": ("chat-calls", "move_to([0.3, 0.1, 0.2])", "were metres meant?"),
    "a far place": ("cap-calls", "goto_pos([30, 20])", "was another unit meant?"),
    "no end": ("saycan-skills", "robot.pick_and_place(cube, bowl)", "does not end with done()"),
    "words for a place": (
        "task-sequence",
        '{"task_sequence": ["Grab(<a>)", "MoveHand(\'above b\')", "Put(<a>, <b>)"]}',
        "MoveHand('above b') names no position",
    ),
    "speech": ("cap-calls", "say('hello')\nopen_gripper()", "say(...) was left out"),
}


@pytest.mark.parametrize("name", WARNED)
def test_suspicions_become_warnings(name: str) -> None:
    vocabulary, text, phrase = WARNED[name]
    assert any(phrase in warning for warning in PARSERS[vocabulary](text).warnings)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
LENGTHS = st.floats(-2, 2, allow_nan=False).map(lambda x: round(x, 6) + 0.0)
AXES = st.sampled_from(["x", "y", "z"])


@st.composite
def coordinates(draw: st.DrawFn, axes: str = "xyz") -> object:
    if draw(st.booleans()):
        return draw(LENGTHS)
    factors = draw(
        st.dictionaries(
            st.tuples(NAMES, st.sampled_from(axes)), st.sampled_from([1.0, -1.0, 0.5]), min_size=1, max_size=3
        )
    )
    terms = [[of, axis, factor] for (of, axis), factor in sorted(factors.items())]
    return {"constant": draw(LENGTHS), "terms": terms}


@given(
    st.lists(st.one_of(st.just(OPEN), st.just(CLOSE), st.tuples(*[coordinates("xy")] * 3).map(lambda p: move_to(*p))))
)
def test_chat_calls_are_written_and_read_back(actions: list[dict[str, object]]) -> None:
    if actions:
        assert list(parse_chat(write_chat(actions, unit="m"), unit="m").actions) == actions


@given(LENGTHS)
def test_a_length_written_in_centimetres_is_read_back_to_the_last_digits(length: float) -> None:
    text = write_chat([move_to(length, 0.0, 1.0)], unit="cm")
    position = parse_chat(text, unit="cm").actions[0]["position"]
    assert isinstance(position, list)
    assert position[0] == pytest.approx(length, rel=1e-15)  # one rounding of the division


@given(NAMES, st.one_of(NAMES, st.tuples(*[coordinates("xy")] * 2)), st.tuples(*[coordinates("xy")] * 2))
def test_cap_calls_are_written_and_read_back(name: str, target: object, spot: tuple[object, object]) -> None:
    target = at(*target, None) if isinstance(target, tuple) else target
    actions = [pick(name), place(target), CLOSE, move_to(*spot, None)]
    assume(not any(isinstance(item, dict) and name in {term[0] for term in item["terms"]} for item in spot))
    assert list(parse_cap(write_cap(actions)).actions) == actions


PLAIN = st.from_regex(r"[a-z][a-z ]{0,10}[a-z]", fullmatch=True)
PAIRS = st.lists(st.tuples(PLAIN, PLAIN).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=5)


@given(PAIRS)
def test_picks_and_places_are_written_and_read_back(pairs: list[tuple[str, str]]) -> None:
    actions = [skill for one, other in pairs for skill in (pick(one), place(other))]
    options = saycan_options([one for one, _ in pairs], [other for _, other in pairs])
    assert list(parse_pick_and_place(write_pick_and_place(actions)).actions) == actions
    assert list(parse_task_sequence(write_task_sequence(actions)).actions) == actions
    assert list(parse_saycan(write_saycan(actions), options).actions) == actions
    assert list(parse_cap(write_cap(actions)).actions) == actions


GEMINI = st.one_of(
    st.builds(
        lambda x, y, high: {"call": "move", "x": x, "y": y, "high": high},
        st.floats(-1000, 1000),
        st.floats(-1000, 1000),
        st.booleans(),
    ),
    st.builds(lambda opened: {"call": "setGripperState", "opened": opened}, st.booleans()),
    st.just({"call": "returnToOrigin"}),
)


@given(st.lists(GEMINI, min_size=1))
def test_gemini_calls_are_written_and_read_back(actions: list[dict[str, object]]) -> None:
    text = write_gemini(actions)
    assert list(parse_gemini(text).actions) == actions
    assert list(parse_gemini(json.loads(text)).actions) == actions
    assert list(parse_gemini(actions).actions) == actions


def test_gemini_calls_are_those_that_a_camera_lifts() -> None:
    for call in parse_gemini("move(1, 2, True)\nsetGripper(True)\nsetGripperState(False)\nreturnToOrigin()").actions:
        assert set(call) - {"call"} == set(CALLS[str(call["call"])])


def test_every_skill_that_a_text_asks_for_exists() -> None:
    for vocabulary, text, _ in MEANS.values():
        for action in PARSERS[vocabulary](text).actions:
            if "skill" in action:
                skill = SKILLS[str(action["skill"])]
                assert set(action) == {"skill", *skill.required}


UNSAYABLE = [
    (write_cap, [pick("a")]),
    (write_cap, [place("a")]),
    (write_cap, [{"skill": "home"}]),
    (lambda actions: write_chat(actions, unit="m"), [pick("a")]),
    (lambda actions: write_chat(actions, unit="m"), [move_to(1.0, 2.0, None)]),
    (lambda actions: write_chat(actions, unit="inch"), [OPEN]),
    (write_saycan, [OPEN]),
    (write_pick_and_place, [pick("a")]),
    (write_task_sequence, [place("a")]),
    (write_gemini, [{"call": "dance"}]),
]


@pytest.mark.parametrize("case", range(len(UNSAYABLE)))
def test_a_skill_without_a_call_cannot_be_written(case: int) -> None:
    write, actions = UNSAYABLE[case]
    with pytest.raises(ValueError, match=r"\w{3,}"):
        write(actions)


KNOWN = ["cube", "blue_block", "red_sphere", "bowl"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("cube", "cube"),
        ("<cube>", "cube"),
        ("Blue block", "blue_block"),
        ("the  blue block", "blue_block"),
        ("A red sphere", "red_sphere"),
    ],
)
def test_a_name_as_said_is_found_in_the_scene(said: str, name: str) -> None:
    assert scene_name(said, KNOWN) == name


@pytest.mark.parametrize("said", ["block", "cube_231", "blue blocks", "sphere", "", "the"])
def test_a_name_is_never_guessed(said: str) -> None:
    with pytest.raises(Refusal, match="Known: cube") as caught:
        scene_name(said, KNOWN)
    assert caught.value.code == "unknown_object"


def test_a_name_that_stands_in_the_scene_as_said_is_meant() -> None:
    assert scene_name("Cube", ["cube", "Cube"]) == "Cube"
    assert candidates("<The Can>") == ("<The Can>", "The Can", "The_Can", "the_can", "can")


def test_positions_become_numbers_in_a_scene() -> None:
    said = parse_cap("p = get_obj_pos('red sphere')\nput_first_on_second('cube', [p[0] + 0.1, p[1] * 2])\ngoto_pos(p)")
    assert names_of(said.actions) == ("red sphere",)
    settled = in_scene(said.actions, KNOWN, {"red_sphere": (0.5, 0.25, 0.02)})
    assert settled == (
        pick("cube"),
        place([0.6, 0.5, None]),
        move_to(0.5, 0.25, None),
    )


def test_a_position_of_a_plans_file_is_checked() -> None:
    good = at(0.1, (0.0, "cube", "x"), None)
    assert check_position(good, "actions[0].position") == good
    bad: list[object] = [[1, 2], [None, 1, 2], "here", [1, 2, "3"], [1, 2, True], [1, 2, float("nan")]]
    bad += [
        [{"constant": 0, "terms": []}, 1, 2],
        [{"constant": 0, "terms": [["a", "w", 1]]}, 1, 2],
        [{"of": "a"}, 1, 2],
    ]
    for value in bad:
        with pytest.raises(Refusal, match=r"actions\[0\].position"):
            check_position(value, "actions[0].position")


@pytest.mark.parametrize("name", VOCABULARIES)
def test_mutated_texts_are_read_or_refused(name: str) -> None:
    generator = random.Random(7)
    texts = [text for vocabulary, text, _ in MEANS.values() if vocabulary == name]
    for _ in range(300):
        text = generator.choice(texts)
        for _ in range(generator.choice((1, 2, 4))):
            place = generator.randrange(len(text) + 1)
            piece = generator.choice((*"()[]{}<>'\",:;\\\n\0#=", chr(generator.randrange(1, 500)), "done()", "NaN", ""))
            text = text[:place] + piece * generator.choice((1, 1, 200)) + text[place + generator.randrange(4) :]
        try:
            assert PARSERS[name](text).actions
        except Refusal as refusal:
            assert refusal.code in CODES
            assert refusal.reason.endswith(".")
            assert "\n" not in refusal.reason


OUTPUTS = {  # file -> vocabulary, and how it is read: a number of actions, or the code of the refusal
    "gemini3-flash-cookbook-task-orchestration/blue_block_to_orange_bowl_plan.txt": ("gemini-er-calls", 7),
    "gemini3-flash-cookbook-task-orchestration/success_judgement_mango.txt": ("gemini-er-calls", "no_plan"),
    "gemini3-flash-cookbook-task-orchestration/video_steps.txt": ("gemini-er-calls", "unknown_format"),
    "gpt4v-robot-manipulation-prompts/can_to_tray.json": ("task-sequence", 2),
    "chatgpt-robot-manipulation-prompts/logic_shelf_0.json": ("task-sequence", "unknown_format"),
    "chatgpt-robot-manipulation-prompts/single_table_0.json": ("task-sequence", "unknown_skill"),
    "chatgpt-robot-manipulation-prompts/dual_arm_fridge_0.json": ("task-sequence", "unknown_skill"),
    "chatgpt-promptcraft-manipulation/manipulation_zeroshot.txt": ("chat-calls", "ambiguous"),
    "gpt4-trajectory-generators/push_can_right.txt": ("chat-calls", "ambiguous"),
}


@pytest.mark.parametrize("file", OUTPUTS)
def test_a_real_output_is_read_or_refused_for_the_right_reason(model_outputs: Path, file: str) -> None:
    vocabulary, wanted = OUTPUTS[file]
    path = model_outputs / file
    if not path.is_file():
        pytest.skip(f"This folder of model outputs has no {file}.")
    assert outcome(PARSERS[vocabulary], path.read_text(encoding="utf-8")) == wanted


def outcome(parse: Callable[[str], Said], text: str) -> int | str:
    try:
        return len(parse(text).actions)
    except Refusal as refusal:
        return refusal.code


def test_each_answer_of_a_real_chat_is_a_plan(model_outputs: Path) -> None:
    path = model_outputs / "chatgpt-promptcraft-manipulation" / "manipulation_zeroshot.txt"
    if not path.is_file():
        pytest.skip(f"This folder of model outputs has no {path.name}.")
    found = programs(path.read_text(encoding="utf-8"), FUNCTIONS).programs
    answers = [parse_chat(program.source, unit="cm") for program in found]
    assert [len(answer.actions) for answer in answers] == [8, 16, 4]
    assert answers[0].actions[0] == move_to((0.0, "blue block", "x"), (0.0, "blue block", "y"), 0.15)
    assert answers[2].actions[1] == move_to((0.0, "hole", "x"), (0.0, "block", "y"), 0.05)
    assert not any(answer.warnings for answer in answers)
    in_metres = parse_chat(found[0].source, unit="m")
    assert any("25 m away" in warning for warning in in_metres.warnings)


def test_household_plans_are_refused_by_their_verb(model_outputs: Path) -> None:
    files = [path for path in (model_outputs / "gpt35-virtualhome-task-planning").glob("*_*.json")]
    for path in files:
        with pytest.raises(Refusal, match=r"task_sequence\[0\] is 'Walktowards\(.*walks nowhere") as caught:
            parse_task_sequence(path.read_text(encoding="utf-8"))
        assert caught.value.code == "unknown_skill"


def test_completions_of_a_real_model_are_read_with_the_end_of_their_prompt(model_outputs: Path) -> None:
    path = model_outputs / "tidybot-davinci003" / "completions.json"
    if not path.is_file():
        pytest.skip(f"This folder of model outputs has no {path.name}.")
    completions = json.loads(path.read_text(encoding="utf-8"))
    codes = [outcome(parse_pick_and_place, completion["completion"]) for completion in completions]
    assert codes.count("malformed") == 5  # they begin in mid-call or in mid-string
    assert all(isinstance(code, str) for code in codes)
    for completion in completions[3:6]:
        prompt = completion["prompt_tail"]
        whole = prompt[prompt.rindex("\nobjects = ") :] + completion["completion"]
        assert outcome(parse_pick_and_place, whole) == 20
