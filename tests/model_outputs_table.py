"""What should become of each collected output of a real model: which format it is in, and what is read in it.

One `Row` a file of the manifest. The candidates of a file are what a user would hand over: the text as it lies, the
blocks of a transcript, the replies of an episode, the rows of a table. None of the texts is repeated here.
"""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldverify.plan import admit
from worldverify.plansfile import read_plans
from worldverify.refusal import Refusal

APPLIED = {"statistics": "applied"}
AS_IT_LIES = "as it lies"  # a candidate that is handed over without its format
KINDS = {"skill": "skills", "call": "calls", "points": "lists of points", "point": "points", "box": "boxes"}
SIDES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")  # columns of the table of tokens


class Read(NamedTuple):
    """A candidate that is a plan."""

    actions: int
    kind: str  # what its actions are


class Refused(NamedTuple):
    """A candidate that is none."""

    code: str
    says: str  # part of the reason


class Row(NamedTuple):
    """One file."""

    path: str
    format: str  # of the candidates that do not say it themselves: the name of a preset
    wanted: tuple[Read | Refused, ...]  # for each candidate
    why: str  # half a sentence: why this is right
    changes: Mapping[str, object] = {}  # of the preset, as under "contract" in a line of a plans file
    take: str = "text"  # how candidates are found in the file, a key of TAKE


def candidates(row: Row, folder: Path) -> list[Any]:
    """What a verifier is given for each candidate of a file in `folder`: mostly lines of a plans file."""
    named = {"format": row.format, **({"contract": dict(row.changes)} if row.changes else {})}
    return [one.get(AS_IT_LIES, {**named, **one}) for one in TAKE[row.take](folder / row.path)]


def outcome(candidate: Any) -> Read | Refused:
    """What becomes of a candidate where no task has formats of its own; `says` is the whole reason."""
    try:
        plan = admit(candidate, contracts={}, default_rate=0.0)
    except Refusal as refusal:
        return Refused(refusal.code, refusal.reason)
    first = plan.actions[0]
    kinds = [kind for key, kind in KINDS.items() if isinstance(first, Mapping) and key in first]
    return Read(len(plan.actions), kinds[0] if kinds else "actions")


def is_as_wanted(found: Read | Refused, wanted: Read | Refused) -> bool:
    """Whether a candidate became what it should."""
    if isinstance(found, Read) or isinstance(wanted, Read):
        return found == wanted
    return found.code == wanted.code and wanted.says in found.says


def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of the manifest, by path."""
    lines = (json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines())
    return {line["path"]: line for line in lines}


def _text(path: Path) -> list[dict[str, Any]]:
    return [{"text": path.read_text()}]


def _blocks(path: Path) -> list[dict[str, Any]]:
    """The text, and each of its fenced blocks."""
    text = path.read_text()
    return _text(path) + [{"text": block} for block in re.findall(r"^``` ?(?:\w*)\n(.*?)^``` ?$", text, re.M | re.S)]


def _replies(path: Path) -> list[dict[str, Any]]:
    """The text, and each of the objects that follow one another in it."""
    text = path.read_text()
    starts = [match.start() for match in re.finditer(r"^\{", text, re.M)]
    ends = [*starts[1:], len(text)]
    return _text(path) + [{"text": text[start:end]} for start, end in zip(starts, ends, strict=True)]


def _array(path: Path) -> list[dict[str, Any]]:
    """The file as it lies, which does not say what its numbers mean, and its rows where that is said."""
    (undeclared,) = read_plans(path)
    return [{AS_IT_LIES: undeclared}, _rows(np.load(path))]


def _rows(actions: Any) -> dict[str, Any]:
    return {"rate_hz": 20, "actions": actions.tolist()}


def _events(path: Path) -> list[dict[str, Any]]:
    """The first line as it lies, and the chunk that was predicted in each line."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [{AS_IT_LIES: events[0]}, *(_rows(np.array(event["predicted_action_chunk"])) for event in events)]


def _tokens(path: Path) -> list[dict[str, Any]]:
    """The text, the predicted tokens without and with their statistics, and the numbers that they were decoded to."""
    tokens, numbers = columns(path, "token_id"), columns(path, "action_raw")
    bare = {**_rows(tokens), "contract": {}}
    return [*_text(path), bare, {**bare, "contract": {"statistics": statistics_of(path)}}, _rows(numbers)]


def columns(path: Path, name: str) -> Any:
    """(T, 7) predicted numbers of a table of tokens."""
    with path.open(newline="") as file:
        return np.array([[float(row[f"pred_{name}_{side}"]) for side in SIDES] for row in csv.DictReader(file)])


def statistics_of(path: Path) -> dict[str, list[Any]]:
    """The statistics that a table of tokens was decoded with, worked out from its bins and numbers.

    A number is (center + 1)/2 of the way from q01 to q99, so that a straight line through the pairs gives both.
    """
    centers = (2.0 * columns(path, "bin") - 254.0) / 255.0
    numbers = columns(path, "action_raw")
    lines = [np.polyfit(centers[:, i], numbers[:, i], 1) for i in range(6)]
    q01 = [float(middle - slope) for slope, middle in lines]
    q99 = [float(middle + slope) for slope, middle in lines]
    return {"q01": [*q01, 0.0], "q99": [*q99, 1.0], "mask": [True] * 6 + [False]}


def _completions(path: Path) -> list[dict[str, Any]]:
    """The file as it lies, and each completion after the last line of the prompt that it continues."""
    said = [(item["prompt_tail"].rpartition("\n")[2], item["completion"]) for item in json.loads(path.read_text())]
    return _text(path) + [{"text": begun + rest} for begun, rest in said]


def _records(path: Path) -> list[dict[str, Any]]:
    """The file as it lies, and what each record has in place of a plan."""
    said = [record["response"] for record in json.loads(path.read_text())]
    return _text(path) + [{"text": one if isinstance(one, str) else json.dumps(one)} for one in said]


TAKE: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "text": _text,
    "blocks": _blocks,
    "replies": _replies,
    "array": _array,
    "events": _events,
    "tokens": _tokens,
    "completions": _completions,
    "records": _records,
}

PROMPTCRAFT = "chatgpt-promptcraft-manipulation/"
HOUSEHOLD = "chatgpt-robot-manipulation-prompts/"
VOXELS = "embodiedbench-eb-manipulation-qwen2.5-vl-72b/"
GEMINI = "gemini3-flash-cookbook-task-orchestration/"
VIRTUALHOME = "gpt35-virtualhome-task-planning/"
POSES = "gpt4-trajectory-generators/"
TOKENS = "openvla-lora-discrete-tokens-libero10/"
CHUNKS = "openvla-oft-libero10/"
POINTS = "robobrain2.0-readme/"
WORDS = "vlm-grasp-plan-benchmark-jadot/"

UNDECLARED = Refused("unknown_format", "does not say what its numbers mean")
DRIVES = Refused("unknown_skill", "drives a mobile base")
WALKS = Refused("unknown_skill", "walks nowhere")
PLACELESS = Refused("unknown_skill", "names neither an object nor a place")
TOSSES = Refused("unknown_skill", "pick_and_toss")
NO_PLACE = Refused("missing_key", "receptacle")
DESCRIBED = Refused("unknown_format", "'object_identification', 'grasp', 'planning'")
TIDIED = Refused("unknown_format", "'scene_understanding', 'plan'")
SEVERAL = Refused("ambiguous", "programs that differ")


def _voxels(episode: int) -> Row:
    each = Read(5, "actions")
    return Row(
        f"{VOXELS}planner_output_episode_{episode}.txt",
        "voxel-bins",
        (Read(15, "actions"), each, each, each),
        "three replies of five poses each, one after the other as they were carried out",
        take="replies",
    )


def _poses(name: str, events: int) -> Row:
    wanted = (Read(events, "lists of points"),)
    why = "the points that the transcript of that name computes"
    return Row(f"{POSES}derived/{name}.json", "trajectory-list", wanted, why)


def _program(name: str, *blocks: Refused) -> Row:
    return Row(
        f"{POSES}{name}.txt",
        "trajectory-list",
        (SEVERAL, *blocks),
        "programs that compute their points, in several turns of a conversation; none is run",
        take="blocks",
    )


def _chunks(name: str, actions: int) -> Row:
    return Row(
        f"{CHUNKS}task_{name}_predicted_chunks.npy",
        "openvla-oft-libero",
        (UNDECLARED, Read(actions, "actions")),
        "an array says nothing of itself; chunks of 8, after the statistics and before the gripper's sign is turned",
        APPLIED,
        "array",
    )


def _points(name: str, count: int, kind: str) -> Row:
    why = "pixels of a photograph, as a string within a Python dictionary"
    return Row(f"{POINTS}{name}.txt", "robobrain-points", (Read(count, kind),), why)


def _all_alike(folder: str, names: Sequence[str], wanted: Refused, why: str) -> list[Row]:
    return [Row(f"{folder}{name}", "task-sequence", (wanted,), why) for name in names]


DEFINES = Refused("malformed", "defines a function")
LISTS = Refused("malformed", "builds a list with a comprehension")
UNSET = Refused("malformed", "no line before sets it")
IMPORTS = Refused("malformed", "imports 'numpy'")
LOOKS = Refused("no_plan", "has no step for the robot")
OTHERS = Refused("unknown_skill", "is no function of this format")
NO_RECORD = Refused("unknown_format", "'error'")
ELSEWHERE = Refused("no_plan", "holds no JSON object")

ROWS: tuple[Row, ...] = (
    Row(
        f"{PROMPTCRAFT}manipulation_zeroshot.txt",
        "chat-calls",
        (SEVERAL, Read(8, "skills"), Read(16, "skills"), Read(4, "skills")),
        "three programs, each for a scene of its own, in centimetres though SI units were asked for",
        {"position_unit": "cm"},
        "blocks",
    ),
    Row(
        f"{PROMPTCRAFT}visual_language_navigation_1.txt",
        "chat-calls",
        (SEVERAL, *[DRIVES] * 7),
        "commands of a mobile base",
        take="blocks",
    ),
    Row(
        f"{PROMPTCRAFT}visual_language_navigation_2.txt",
        "chat-calls",
        (SEVERAL, *[DRIVES] * 5),
        "commands of a mobile base",
        take="blocks",
    ),
    *_all_alike(
        HOUSEHOLD,
        [f"{name}.json" for name in ("single_drawer_1", "single_fridge_2", "single_shelf_1", "single_table_0")],
        PLACELESS,
        "verbs without objects or places: where the hand goes stands in words beside them",
    ),
    Row(
        f"{HOUSEHOLD}dual_arm_fridge_0.json",
        "task-sequence",
        (Refused("unknown_skill", "names neither an object nor a place"),),
        "verbs of two arms, without objects or places",
    ),
    Row(
        f"{HOUSEHOLD}logic_shelf_0.json",
        "task-sequence",
        (Refused("unknown_format", "'python_script'"),),
        "a program inside a string, which decides by what a camera will see",
    ),
    Row(
        f"{VOXELS}planner_output_episode_1.txt",
        "voxel-bins",
        (
            *[Refused("wrong_type", "which is not a list of numbers")] * 2,
            *[Read(4, "actions")] * 4,
        ),
        "the first of five replies has names of skills in place of poses",
        take="replies",
    ),
    *(_voxels(episode) for episode in (3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19)),
    Row(
        f"{VOXELS}results.json",
        "voxel-bins",
        (Refused("unknown_format", "which is not a plan"),),
        "outcomes of episodes, no output of a model",
    ),
    Row(
        f"{GEMINI}blue_block_to_orange_bowl_plan.txt",
        "gemini-cookbook-calls",
        (Read(7, "calls"),),
        "calls on places of an image, x down and y to the right",
    ),
    Row(
        f"{GEMINI}success_judgement_mango.txt",
        "gemini-cookbook-calls",
        (Refused("no_plan", "holds no JSON object"),),
        "a judgement in words, which asks for nothing",
    ),
    Row(
        f"{GEMINI}video_steps.txt",
        "gemini-cookbook-calls",
        (Refused("unknown_format", "'start', 'end', 'label'"),),
        "what a video shows, in words with times",
    ),
    *_all_alike(
        VIRTUALHOME,
        [
            *(f"fail_feedback_test_temp=0.0__scenario_{trial}.json" for trial in ("1__0", "3__0", "3__1")),
            *(f"fail_feedback_test_temp=0.0__scenario_{trial}.json" for trial in ("10__0", "10__1", "14__0")),
            *(f"ok_feedback_test_temp=0.0__scenario_{trial}.json" for trial in ("11__1", "12__0")),
        ],
        WALKS,
        "a person in a simulated house, who walks between rooms",
    ),
    _program("align_bottle_vertically", LOOKS, DEFINES, *[OTHERS] * 5),
    _program("knock_left_bottle", LOOKS, LISTS, UNSET, UNSET, LISTS, LOOKS),
    _program("move_lonely_object", LOOKS, IMPORTS, DEFINES, *[UNSET] * 5),
    _program("place_apple_in_bowl", LOOKS, DEFINES),
    _program("push_can_right", LOOKS, LOOKS, DEFINES, *[UNSET] * 3, OTHERS),
    _poses("align_bottle_vertically", 8),
    _poses("knock_left_bottle", 4),
    _poses("move_lonely_object", 8),
    _poses("place_apple_in_bowl", 8),
    _poses("push_can_right", 5),
    Row(
        "gpt4v-robot-manipulation-prompts/can_to_tray.json",
        "task-sequence",
        (Read(2, "skills"),),
        "verbs with their objects",
    ),
    Row(
        f"{TOKENS}pred_actions_200x7.npy",
        "openvla-libero",
        (UNDECLARED, Read(200, "actions")),
        "numbers after the statistics",
        APPLIED,
        "array",
    ),
    Row(
        f"{TOKENS}validation_200_transitions.csv",
        "openvla-libero",
        (
            Refused("no_plan", "holds no JSON object"),
            Refused("missing_statistics", "q01_q99"),
            Read(200, "actions"),
            Read(200, "actions"),
        ),
        "a table of tokens and of what they were decoded to, from which the statistics follow",
        APPLIED,
        "tokens",
    ),
    *(
        _chunks(name, actions)
        for name, actions in (
            ("00_bf16_timeout50", 56),
            ("00_nf4", 56),
            ("00_trial_000", 272),
            ("02_trial_000", 256),
            ("03_trial_000", 224),
            ("05_trial_000", 168),
            ("06_trial_000", 208),
            ("08_trial_000", 384),
            ("09_trial_000", 256),
        )
    ),
    Row(
        f"{CHUNKS}task_00_events_verbatim_first6.jsonl",
        "openvla-oft-libero",
        (Refused("unknown_format", "'run_id', 'rollout_id'"), *[Read(8, "actions")] * 6),
        "a log, in whose lines stand chunks of 8",
        APPLIED,
        "events",
    ),
    _points("affordance_hold_cup", 1, "boxes"),
    _points("grounding_box", 1, "boxes"),
    _points("pointing_sofa", 4, "points"),
    _points("pointing_toilet", 6, "points"),
    Row(
        "tidybot-davinci003/completions.json",
        "pick-and-place-calls",
        (
            Refused("unknown_format", "holds data and no call"),
            NO_PLACE,
            NO_PLACE,
            TOSSES,
            *[Read(20, "skills")] * 3,
            *[Refused("no_plan", "has no step for the robot")] * 3,
            NO_PLACE,
        ),
        "completions of several prompts: objects with their places, objects alone, categories and a summary",
        take="completions",
    ),
    *_all_alike(
        WORDS,
        [f"test1_{model}.json" for model in ("GPT_5_4_Mini", "Gemini_3_1_Flash_Image", "Qwen_3_5_9B", "Seed_2_0_Lite")],
        DESCRIBED,
        "a grasp described in words, without a number",
    ),
    *_all_alike(
        WORDS,
        [f"test4_valid_{model}.json" for model in ("GPT_5_4_Mini", "Ministral_8B", "Qwen_3_5_9B")],
        TIDIED,
        "steps described in words, without a number",
    ),
    Row(
        f"{WORDS}test2gen_MALFORMED_23_Ministral_8B.txt",
        "task-sequence",
        (Refused("unknown_format", "holds 3 values"),),
        "three descriptions of other objects, one after the other",
    ),
    Row(
        f"{WORDS}test4_MALFORMED_116_Ministral_8B.txt",
        "task-sequence",
        (Refused("malformed", "breaks at line 127"),),
        "broken JSON",
    ),
    Row(
        f"{WORDS}test4_error_records.json",
        "task-sequence",
        (
            NO_RECORD,
            *[NO_RECORD] * 4,
            ELSEWHERE,
            *[NO_RECORD] * 7,
            ELSEWHERE,
            NO_RECORD,
        ),
        "errors of servers and empty replies in place of plans",
        take="records",
    ),
)
