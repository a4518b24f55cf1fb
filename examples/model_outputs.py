"""What becomes of collected outputs of real models: plan or refusal, physics or not, and does the source agree?

python examples/model_outputs.py [--outputs DIR] [--starts N] [--json FILE]. What each file should become, and in which
scene it is judged, stands in tests/model_outputs_table.py and tests/model_outputs_scenes.py. The JSON holds numbers,
codes and names of files, and nothing that a model wrote.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import worldverify as wv
from worldverify.envs.libero_table import libero_table
from worldverify.formula import Always
from worldverify.kernels.mujoco_cpu import usable_cpus
from worldverify.task import Task
from worldverify.verdict import Verdict
from worldverify.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))
import model_outputs_scenes as scenes  # noqa: E402
from model_outputs_table import CHUNKS, ROWS, Read, candidates, is_as_wanted, manifest, outcome  # noqa: E402

FOLDER = Path(os.environ.get("WORLDVERIFY_MODEL_OUTPUTS") or ROOT.parent / "shared" / "model-outputs")
EPISODE = f"{CHUNKS}task_00_trial_000_predicted_chunks.npy"
READINGS: Mapping[
    str, Mapping[str, object]
] = {  # of that episode: as the model meant it, and with the gripper's sign as it was executed
    "openvla-oft-libero": {"statistics": "applied"},
    "libero-osc_pose-1.4": {},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outputs", type=Path, default=FOLDER, help="folder of the outputs, with a manifest.jsonl")
    parser.add_argument("--starts", type=int, default=0, help="starts in which one episode of LIBERO is played again")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    if not (arguments.outputs / "manifest.jsonl").is_file():
        parser.error(f"no file manifest.jsonl in {arguments.outputs}: name the folder of the outputs with --outputs.")
    files, judged = decoded(arguments.outputs), physics(arguments.outputs)
    result = {
        "command": f"python examples/model_outputs.py --starts {arguments.starts}",
        "machine": machine(),
        "files": files,
        "formats": by_format(files),
        "physics": judged,
        "left_out": left_out(arguments.outputs),
        "reach": reach(judged),
        "agreement": agreement(judged),
        "starts": replayed(arguments.outputs, arguments.starts) if arguments.starts else None,
    }
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(one["as_wanted"] for one in files) else 1


def decoded(folder: Path) -> list[dict[str, Any]]:
    """For each file: how many of its candidates are plans, and why the others are none."""
    listed = manifest(folder)
    found = []
    for row in ROWS:
        said = [outcome(candidate) for candidate in candidates(row, folder)]
        found.append(
            {
                "path": row.path,
                "expect": listed[row.path]["expect"],
                "format": row.format,
                "why": row.why,
                "candidates": len(said),
                "plans": sum(isinstance(one, Read) for one in said),
                "refused": dict(Counter(one.code for one in said if not isinstance(one, Read)).most_common()),
                "as_wanted": all(is_as_wanted(*pair) for pair in zip(said, row.wanted, strict=True)),
            }
        )
    return found


def by_format(files: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Files and candidates of each format, and how many of them hold a plan."""
    formats: dict[str, Counter[str]] = {}
    for one in files:
        counts = formats.setdefault(one["format"], Counter())
        counts.update(files=1, candidates=one["candidates"], plans=one["plans"], with_a_plan=int(one["plans"] > 0))
        counts["actionable"] += one["expect"] == "actionable"
    return {name: dict(counts) for name, counts in sorted(formats.items())}


def physics(folder: Path) -> list[dict[str, Any]]:
    """A verdict for each candidate that is judged, to the end of the task so that goals are known too."""
    found = []
    for case in scenes.cases(folder):
        task = case.task()
        (verdict,) = wv.verify(task, [case.line], margins="full")
        found.append(
            {
                "path": case.path,
                "candidate": case.number,
                "scene": case.scene,
                "status": verdict.status,
                "code": verdict.code,
                "violated": None if verdict.first_violation is None else verdict.first_violation.requirement,
                "goals_met": goals_met(task, verdict) if case.goal else None,
                "source": case.outcome,
            }
        )
    return found


def goals_met(task: Task, verdict: Verdict) -> bool | None:
    """Whether all that the task asks for came true, whatever its guards say; None if nothing was simulated."""
    if verdict.status not in ("PASS", "FAIL"):
        return None
    goals = [one.name for one in task.spec.requirements if not isinstance(one.formula, Always)]
    return all((verdict.margins[name].value or 0.0) > 0.0 for name in goals)


def left_out(folder: Path) -> dict[str, int]:
    """Why actionable files are judged in no scene, and how many for that reason."""
    actionable = [path for path, line in manifest(folder).items() if line["expect"] == "actionable"]
    return dict(Counter(why for path in actionable if (why := scenes.why_not(path)) is not None).most_common())


def reach(judged: list[dict[str, Any]]) -> dict[str, Any]:
    """How many files end in a verdict of the physics, by scene and in all, and why the others do not."""
    files: dict[str, tuple[str, bool]] = {}
    for one in judged:
        reached = one["status"] in ("PASS", "FAIL") and files.get(one["path"], ("", True))[1]
        files[one["path"]] = (one["scene"], reached)
    names = dict.fromkeys(scene for scene, _ in files.values())
    return {
        "files": len(files),
        "reached": sum(reached for _, reached in files.values()),
        "scenes": {
            name: {
                "files": sum(scene == name for scene, _ in files.values()),
                "reached": sum(scene == name and reached for scene, reached in files.values()),
            }
            for name in names
        },
        "not_reached": dict(Counter(one["code"] for one in judged if one["status"] == "INVALID").most_common()),
    }


def agreement(judged: list[dict[str, Any]]) -> dict[str, Any]:
    """Our verdict and our goals against the source's outcome, where the scene has the goal of the instruction."""
    stated = [one for one in judged if one["source"] is not None]
    with_goal = [one for one in stated if one["goals_met"] is not None]
    return {
        "verdicts": counted(with_goal, "status"),
        "goals": counted(with_goal, "goals_met"),
        "not_simulated": {one["path"]: scenes.DIFFERS[one["path"]] for one in stated if one["status"] == "INVALID"},
        "differ": {one["path"]: scenes.DIFFERS[one["path"]] for one in with_goal if one["goals_met"] != one["source"]},
        "without_goal": counted([one for one in stated if one["goals_met"] is None and one["code"] is None], "status"),
    }


def counted(some: list[dict[str, Any]], key: str) -> dict[str, dict[str, int]]:
    """How often each value of `key` meets success and failure at the source."""
    found: dict[str, Counter[str]] = {}
    for one in some:
        found.setdefault(str(one[key]), Counter())["success" if one["source"] else "failure"] += 1
    return {value: dict(counts) for value, counts in sorted(found.items())}


def replayed(folder: Path, count: int) -> dict[str, Any]:
    """What comes of the actions of one episode, without watching, in other starts of the task."""
    rows = next(row for row in ROWS if row.path == EPISODE)
    chunks = candidates(rows, folder)[1]["actions"]
    actions = [action for chunk in chunks for action in chunk]
    task = libero_table()
    starts = np.stack([task.start(seed) for seed in range(count)])
    found: dict[str, Any] = {}
    for name, changes in READINGS.items():
        line = {"format": name, "rate_hz": 20, "actions": actions, "contract": changes}
        verdicts = wv.verify(task, [line] * count, state=starts, margins="full")
        statuses = Counter(verdict.status for verdict in verdicts)
        found[name] = {**statuses, "goals_met": sum(goals_met(task, verdict) is True for verdict in verdicts)}
    return {"starts": count, "readings": found}


def machine() -> dict[str, Any]:
    names = ("mujoco", "numpy")
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    cpu = [line.split(":")[1].strip() for line in about.splitlines() if "model name" in line]
    return {
        "python": platform.python_version(),
        "cpu": cpu[0] if cpu else platform.processor(),
        "usable_cpus": usable_cpus(),
        "versions": {"worldverify": VERSION, **{name: importlib.metadata.version(name) for name in names}},
    }


def show(result: Mapping[str, Any]) -> None:
    """The tables."""
    print(f"{'file':76} {'format':22} plans  refused")
    for one in result["files"]:
        refused = ", ".join(f"{code} {count}" for code, count in one["refused"].items())
        mark = "" if one["as_wanted"] else "  NOT AS WANTED"
        print(f"{one['path'][-76:]:76} {one['format']:22} {one['plans']:2}/{one['candidates']:2}  {refused}{mark}")
    print(f"\n{'format':24} files  with a plan  candidates  plans")
    for name, one in result["formats"].items():
        print(f"{name:24} {one['files']:5} {one['with_a_plan']:12} {one['candidates']:11} {one['plans']:6}")
    print(f"\n{'judged':60} {'scene':28} verdict  because             goals  source")
    for one in result["physics"]:
        where = f"{one['path'].rpartition('/')[2][-56:]}#{one['candidate']}"
        because = one["code"] or one["violated"] or ""
        goals, source = (worded(one[key]) for key in ("goals_met", "source"))
        print(f"{where:60} {one['scene']:28} {one['status']:8} {because:19} {goals:6} {source}")
    whole = result["reach"]
    print(f"\n{whole['reached']} of {whole['files']} files reach physics; the others: {whole['not_reached']}")
    for name, one in whole["scenes"].items():
        print(f"  {name:28} {one['reached']:2} of {one['files']}")
    print("Judged in no scene:")
    for why, count in result["left_out"].items():
        print(f"  {count:2}  {why}")
    print("\nOur verdicts and goals against what the sources state:")
    for name in ("verdicts", "goals", "without_goal"):
        print(f"  {name}: {result['agreement'][name]}")
    for name in ("differ", "not_simulated"):
        for path, why in result["agreement"][name].items():
            print(f"  {path.rpartition('/')[2]}: {why}")
    if result["starts"]:
        print(f"\nOne episode of LIBERO, played in {result['starts']['starts']} starts:")
        for name, one in result["starts"]["readings"].items():
            print(f"  {name}: {one}")


def worded(value: bool | None) -> str:
    return {None: "-", True: "yes", False: "no"}[value]


if __name__ == "__main__":
    sys.exit(main())
