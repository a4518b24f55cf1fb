"""No text, however mangled, crashes the reader, hangs it, or passes though it is garbage: a short run of the fuzzer.

`python examples/fuzz_texts.py --texts 100000` is the long one.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldverify.plan import Plan
from worldverify.presets import names
from worldverify.refusal import Refusal

sys.path.append(str(Path(__file__).parent))
import fuzzing
from fuzz_corpus import CALLS, UNDECLARED, collected, declared, seeds, task_of

SEED = 1
PIECES, TEXTS = 6, 250  # pieces of work, and mangled texts in each
JUDGED = 8  # different plans of each piece that are simulated; the long run simulates all
OTHERS = 3  # formats that each text is read under beside its own and none
MOST_CUT = 700  # characters of a text that is cut at every place
BRIEF = 10_000  # characters of a real output


def assert_no_problem(tally: fuzzing.Tally) -> None:
    plans = [(task, plan, one.seed) for (task, plan), one in tally.plans.items()]
    judged = fuzzing.judge(plans[:: max(1, len(plans) // JUDGED)])
    broken = [f"{one.format}, text {one.number} {one.mutations}: {one.what}" for one in tally.problems]
    assert not broken + [problem for one in judged for problem in one.problems]


FORMATS = [format for format in declared() if format != UNDECLARED]


@pytest.mark.parametrize("format", FORMATS)
def test_a_text_of_ours_is_a_plan_before_it_is_mangled(format: str) -> None:
    for seed in seeds():
        if seed.format == format:
            found = fuzzing.examine(seed.text, format, weigh=True)
            assert found.plan is not None, (seed.name, found.code)
            assert not found.problems, seed.name


def test_the_texts_of_ours_are_in_every_format_and_many_pass() -> None:
    assert {seed.format for seed in seeds()} == set(FORMATS)
    assert set(names()) <= set(declared())
    judged = fuzzing.judge([(task_of(one.format).name, fuzzing.original(one), one) for one in seeds()])
    passed = {seed.format for seed, one in zip(seeds(), judged, strict=True) if one.status == "PASS" and one.kept}
    assert len(passed) >= 30


@pytest.mark.parametrize("piece", range(PIECES))
def test_a_mangled_text_keeps_every_law(piece: int) -> None:
    indices = range(piece * TEXTS, (piece + 1) * TEXTS)
    assert_no_problem(fuzzing.sweep(SEED, indices, seeds(), others=OTHERS))


def test_a_mangled_output_of_a_real_model_keeps_every_law(model_outputs: Path) -> None:
    corpus = [seed for seed in collected(model_outputs) if len(seed.text) < BRIEF]
    assert_no_problem(fuzzing.sweep(SEED, range(TEXTS), corpus, others=OTHERS))


@pytest.mark.parametrize("format", FORMATS)
def test_a_text_that_is_cut_anywhere_is_refused_unless_its_lines_are_whole(format: str) -> None:
    for seed in seeds():
        if seed.format == format and len(seed.text) <= MOST_CUT:
            for end in range(1, len(seed.text)):
                found = fuzzing.examine(seed.text[:end], format)
                assert not found.problems, seed.text[:end]
                assert found.plan is None or seed.is_program, seed.text[:end]


SMALLEST = {  # of what was once read wrongly: a format, and a text in which no reader should see a plan
    "digits of another script in a string": (
        "voxel-bins",
        '{"executable_plan": [{"action": "[\uff150, 1, 1, 0, 60, 90, 1]"}]}',
    ),
    "an underscore in a string": ("voxel-bins", '{"executable_plan": [{"action": "[1_0, 1, 1, 0, 60, 90, 1]"}]}'),
    "an end of an episode that is no number": (
        "rt1-dict",
        '[{"world_vector": [0, 0, 0], "rotation_delta": [0, 0, 0], "gripper_closedness_action": [0],'
        ' "terminate_episode": {}}]',
    ),
    "a base that is told to move by a list of lists": (
        "rt1-dict",
        '[{"world_vector": [0, 0, 0], "rotation_delta": [0, 0, 0], "gripper_closedness_action": [0],'
        ' "base_displacement_vector": [[0], [0, 0]]}]',
    ),
    "names that are pieces of a program": ("saycan-skills", "robot.pick_and_place(*[1, 2])\ndone()"),
    "a list inside of an object with a remark": ("openpi-libero", '{ // then\n"actions": [[0, 0, 0, 0, 0, 0, 1]]}'),
    "rows inside of a list with a remark": ("openpi-libero", "[ /* x */ [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1]]"),
}


@pytest.mark.parametrize("name", SMALLEST)
def test_what_was_once_read_wrongly_is_refused(name: str) -> None:
    format, text = SMALLEST[name]
    found = fuzzing.examine(text, format)
    assert found.plan is None
    assert not found.problems


def test_a_thought_that_mentions_a_call_does_not_make_a_program_of_a_plan() -> None:
    seed = next(seed for seed in seeds() if seed.name == "trajectory-list/0")
    found = fuzzing.examine(f"<think>first open_gripper()</think>{seed.text}", seed.format)
    assert found.plan == fuzzing.original(seed)


@pytest.mark.parametrize("kind", [[], {}, None, 1, True, "fly"])
def test_a_line_whose_skill_has_no_name_is_refused(kind: object) -> None:
    for format in ("skills", *(name for name, one in declared().items() if one.spec and one.spec.syntax in CALLS)):
        found = fuzzing.examine({"format": format, "actions": [{"skill": kind}]}, format)
        assert found.plan is None
        assert not found.problems


KEYS = (
    *("actions", "waypoints", "skills", "position", "orientation", "gripper", "time", "skill", "object", "target"),
    *("events", "type", "points", "trajectory", "executable_plan", "action", "world_vector", "rotation_delta"),
    *("point", "box_2d", "label", "answer", "function", "args", "x", "y", "high", "opened", "task_cohesion"),
    *("task_sequence", "action.position", "id", "format", "rate_hz", "contract", "text", "gripper_closedness_action"),
)
WORDS = ("pick", "cube", "open", "trajectory", "close_gripper", "move", "Grab(<cube>)", "[1, 2]", "NaN", "", "\x00")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=24,
)
rows = st.integers(1, 8).flatmap(lambda n: st.lists(st.lists(st.floats(-2, 2), min_size=n, max_size=n), max_size=4))
bodies = st.dictionaries(st.sampled_from(KEYS), rows | values, min_size=1, max_size=3) | values | rows
arguments = st.lists(values.map(repr), max_size=3).map(", ".join)
functions = (
    "put_first_on_second",
    "goto_pos",
    "move_to",
    "robot.pick_and_place",
    "pick_and_place",
    "move",
    "say",
    "print",
)
calls = st.builds("{}({})".format, st.sampled_from(functions), arguments)
programs = st.lists(calls | st.builds("x = {}".format, values.map(repr)), max_size=4).map("\n".join)


@settings(max_examples=200)
@given(bodies.map(json.dumps) | bodies.map(repr) | programs, st.sampled_from(sorted(declared())))
def test_any_value_written_as_json_or_python_keeps_every_law(text: str, format: str) -> None:
    assert not fuzzing.examine(text, format).problems


@settings(max_examples=100)
@given(st.text(max_size=200) | st.binary(max_size=200), st.sampled_from(sorted(declared())))
def test_any_characters_and_bytes_keep_every_law(text: str | bytes, format: str) -> None:
    assert not fuzzing.examine(text, format).problems


def test_the_same_seed_gives_the_same_texts() -> None:
    once = [fuzzing.mutant(SEED, number, seeds()) for number in range(50)]
    assert once == [fuzzing.mutant(SEED, number, seeds()) for number in range(50)]
    assert once != [fuzzing.mutant(SEED + 1, number, seeds()) for number in range(50)]


def raises(error: BaseException) -> Any:
    def admitted(text: object, format: str) -> Plan:
        raise error

    return admitted


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RecursionError("deep"), "raises RecursionError"),
        (MemoryError(), "raises MemoryError"),
        (SyntaxWarning("odd"), "raises SyntaxWarning"),
        (Refusal("malformed", "two\nlines."), "not one sentence"),
        (Refusal("malformed", "The machine is gone.", cause="infra"), "cause 'infra'"),
        (Refusal("malformed", "half of a pair: \ud800."), "no valid Unicode"),
    ],
)
def test_the_fuzzer_notices_what_is_raised(error: BaseException, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "_admitted", raises(error))
    assert any(told in problem for problem in fuzzing.examine("", "skills").problems)


def test_the_fuzzer_notices_a_text_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(text: object, format: str) -> Plan:
        while True:
            pass

    monkeypatch.setattr(fuzzing, "_admitted", endless)
    monkeypatch.setattr(fuzzing, "SLOW", 0.05)
    (problem,) = fuzzing.examine("", "skills").problems
    assert problem.startswith("hangs")


def test_the_fuzzer_notices_a_plan_that_its_text_does_not_hold() -> None:
    seed = next(seed for seed in seeds() if seed.format == "skills" and "height" in seed.text)
    plan = fuzzing.original(seed)
    assert not list(fuzzing.invented(plan, seed.text, seed.format))
    assert list(fuzzing.invented(plan, seed.text.replace("0.15", "0.150001"), seed.format))
    assert list(fuzzing.invented(plan, seed.text.replace("cube", "cub"), seed.format))
    rows = next(seed for seed in seeds() if seed.format == "fetch-v4")
    backwards = ", ".join(reversed(rows.text.replace("]", "").replace("[", "").split(", ")))
    assert list(fuzzing.invented(fuzzing.original(rows), backwards, rows.format))


def test_a_pass_of_another_motion_is_not_taken_for_the_same() -> None:
    one, other = (seed for seed in seeds() if seed.name in ("skills/0", "skills/1"))
    task = task_of("skills").name
    plan = fuzzing.original(other)
    kept, changed = fuzzing.judge([(task, plan, other), (task, plan, one)])
    assert (kept.status, kept.kept) == ("PASS", True)
    assert (changed.status, changed.kept) == ("PASS", False)
    assert not kept.problems + changed.problems
