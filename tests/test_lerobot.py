"""Episodes written as a LeRobot dataset are read back as they were, judged as plans, and refused file by file."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worldverify as wv
from worldverify.compile import compile_plans
from worldverify.lerobot import Episode, read_episodes, verify_episodes, write_episodes

pa = pytest.importorskip("pyarrow", reason="LeRobot datasets need pyarrow: pip install 'worldverify[lerobot]'")
pq = pytest.importorskip("pyarrow.parquet")

SINGLE = 1e-6  # relative, of numbers stored in single precision
NAMES = (*(f"joint{i}.pos" for i in range(1, 8)), "gripper.pos")
DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"


def episode(index: int = 0, frames: int = 20, **change: Any) -> Episode:
    generator = np.random.default_rng(index)
    one = Episode(
        index=index,
        fps=25.0,
        action=generator.normal(size=(frames, 8)),
        state=generator.normal(size=(frames, 8)),
        action_names=NAMES,
        state_names=NAMES,
        task=("lift the cube", "put it down")[index % 2],
        timestamps=np.arange(frames) / 25.0,
        success=index % 2 == 0,
    )
    return replace(one, **change)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of three episodes of different length."""
    path = tmp_path / "cubes"
    write_episodes(path, [episode(0, 20), episode(1, 5), episode(2, 11)], robot_type="panda")
    return path


def picked(task: wv.Task, plan: Any) -> Any:
    """(T, 8) joint positions and the gripper, 0 to 1, of a plan."""
    start = task.start(0)[None]
    (found,) = compile_plans(task.scene.model, start, task.arm, [plan], rate=task.rate, horizon=task.horizon)
    assert not isinstance(found, wv.Refusal) and task.arm is not None
    rows = found.controls[:, [*task.arm.joint_controls, task.arm.gripper_control]].copy()
    rows[:, -1] = (rows[:, -1] - task.arm.gripper_closed) / (task.arm.gripper_open - task.arm.gripper_closed)
    return rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_written_is_read_back(dtype: Any, tmp_path: Path) -> None:
    written = [episode(0, 20), episode(1, 5), episode(2, 11)]
    write_episodes(tmp_path / "set", written, dtype=dtype)
    dataset = read_episodes(tmp_path / "set")
    assert (len(dataset), dataset.fps, dataset.notes) == (3, 25.0, ())
    for before, after in zip(written, dataset, strict=True):
        for name in ("action", "state", "timestamps"):
            one, other = getattr(before, name), getattr(after, name)
            assert one.shape == other.shape
            exact = dtype == "float64" and name != "timestamps"
            assert np.array_equal(one, other) if exact else np.allclose(one, other, rtol=SINGLE, atol=SINGLE)
        for name in ("index", "fps", "action_names", "state_names", "task", "success"):
            assert getattr(before, name) == getattr(after, name)


def test_episodes_without_state_and_success_stay_without(tmp_path: Path) -> None:
    bare = episode(0, state=None, state_names=(), success=None)
    write_episodes(tmp_path / "set", [bare])
    (found,) = read_episodes(tmp_path / "set")
    assert found.state is None and found.success is None
    assert {"next.success", "observation.state"}.isdisjoint(pq.read_schema(tmp_path / "set" / DATA).names)


def test_the_files_are_those_of_the_format(folder: Path) -> None:
    info = json.loads((folder / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 25, "panda")
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 36, 2)
    assert info["features"]["action"] == {"dtype": "float32", "shape": [8], "names": list(NAMES)}
    table = pq.read_table(folder / DATA)
    assert table.column("index").to_pylist() == list(range(36))
    assert str(table.schema.field("action").type) == "fixed_size_list<element: float>[8]"
    assert {name: str(table.schema.field(name).type) for name in ("timestamp", "frame_index", "next.success")} == {
        "timestamp": "float",
        "frame_index": "int64",
        "next.success": "bool",
    }
    rows = pq.read_table(folder / EPISODES).to_pylist()
    assert [(r["dataset_from_index"], r["dataset_to_index"], r["length"]) for r in rows] == [
        (0, 20, 20),
        (20, 25, 5),
        (25, 36, 11),
    ]
    assert rows[1]["stats/action/count"] == [5]
    described = json.loads(pq.read_schema(folder / "meta/tasks.parquet").metadata[b"pandas"])
    assert described["index_columns"] == ["task"]


def test_the_statistics_are_those_of_all_frames(folder: Path) -> None:
    found = json.loads((folder / "meta/stats.json").read_text())["action"]
    rows = np.concatenate([e.action for e in read_episodes(folder)])
    assert found["count"] == [36]
    assert np.allclose(found["mean"], rows.mean(axis=0))
    assert np.allclose(found["q99"], np.quantile(rows, 0.99, axis=0))


def test_large_datasets_are_cut_into_files_between_episodes(tmp_path: Path) -> None:
    write_episodes(tmp_path / "set", [episode(k) for k in range(6)], file_mb=0.005)
    files = sorted(path.name for path in (tmp_path / "set/data/chunk-000").iterdir())
    assert len(files) > 1
    assert [e.index for e in read_episodes(tmp_path / "set")] == list(range(6))
    assert np.allclose(read_episodes(tmp_path / "set")[5].action, episode(5).action, rtol=SINGLE, atol=SINGLE)


def test_a_recorded_pick_passes_and_a_cut_one_does_not(tmp_path: Path) -> None:
    task = wv.load("PickCube-v0")
    rows = picked(task, task.good)
    good = episode(0, action=rows, state=None, state_names=(), success=None)
    write_episodes(tmp_path / "set", [good, replace(good, action=rows[:20])])
    verdicts = verify_episodes(task, tmp_path / "set", format="joint_position", seed=0)
    assert [v.status for v in verdicts] == ["PASS", "FAIL"]
    assert [v.id for v in verdicts] == ["episode 0", "episode 1"]
    (second,) = verify_episodes(task, tmp_path / "set", format="joint_position", episodes=[1])
    assert second.digest == verdicts[1].digest


def test_rows_of_poses_are_waypoints_at_their_times(tmp_path: Path) -> None:
    task = wv.load("PickCube-v0")
    poses = np.tile([0.5, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0, 1.0], (10, 1))
    line = episode(3, action=poses).plan("ee_waypoints")
    assert line["actions"][4] == {
        "position": [0.5, 0.0, 0.2],
        "orientation": [0.0, 1.0, 0.0, 0.0],
        "gripper": 1.0,
        "time": 0.2,
    }
    (verdict,) = wv.verify(task, [line])
    assert verdict.status == "FAIL" and verdict.id == "episode 3", verdict.reason
    with pytest.raises(ValueError, match="reads 8"):
        episode(3, action=poses[:, :7]).plan("ee_waypoints")


def test_fields_that_a_format_leaves_open_stand_in_the_plan() -> None:
    assert episode().plan("ctrl", contract={"clip": 1})["contract"] == {"clip": 1}


def test_an_episode_that_cannot_be_read_is_invalid_and_the_others_are_judged(folder: Path) -> None:
    change_column(folder / DATA, "timestamp", lambda v: [t + (0.5 if 20 <= k < 25 else 0.0) for k, t in enumerate(v)])
    verdicts = verify_episodes("PickCube-v0", folder, format="ctrl")
    assert [v.code for v in verdicts] == ["out_of_range", "malformed", "out_of_range"]
    assert "column timestamp" in verdicts[1].reason and "episode 1" in verdicts[1].reason


def test_cameras_are_left_out_and_told(folder: Path) -> None:
    change_info(folder, lambda info: info["features"].update({"observation.images.top": {"dtype": "video"}}))
    assert read_episodes(folder).notes == ("The images are not read: observation.images.top.",)
    assert len(read_episodes(folder)[0].action) == 20


def test_names_may_be_grouped_or_missing(folder: Path) -> None:
    change_info(folder, lambda info: info["features"]["action"].update(names={"motors": list("abcdefgh")}))
    assert read_episodes(folder)[0].action_names == tuple("abcdefgh")
    change_info(folder, lambda info: info["features"]["action"].update(names=None))
    assert read_episodes(folder)[0].action_names[7] == "action[7]"


def test_plain_lists_and_the_index_of_pandas_are_read(folder: Path) -> None:
    """As other writers leave them."""
    table = pq.read_table(folder / DATA)
    loose = pa.array(table.column("action").to_pylist(), pa.list_(pa.float64()))
    pq.write_table(table.set_column(table.column_names.index("action"), "action", loose), folder / DATA)
    tasks = pq.read_table(folder / "meta/tasks.parquet").rename_columns(["task_index", "__index_level_0__"])
    pq.write_table(tasks, folder / "meta/tasks.parquet")
    drop_column(folder / EPISODES, "tasks")
    assert [e.task for e in read_episodes(folder)] == ["lift the cube", "put it down", "lift the cube"]


def change_info(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = folder / "meta/info.json"
    info = json.loads(file.read_text())
    change(info)
    file.write_text(json.dumps(info))


def change_column(file: Path, column: str, change: Callable[[list[Any]], list[Any]]) -> None:
    table = pq.ParquetFile(file).read()
    place, kind = table.column_names.index(column), table.schema.field(column).type
    pq.write_table(table.set_column(place, column, pa.array(change(table.column(column).to_pylist()), kind)), file)


def drop_column(file: Path, column: str) -> None:
    table = pq.ParquetFile(file).read()
    pq.write_table(table.drop_columns([column]), file)


def cut(file: Path) -> None:
    """As an interrupted recording leaves it."""
    file.write_bytes(file.read_bytes()[:-200])


def without_row(file: Path, row: int) -> None:
    table = pq.ParquetFile(file).read()
    pq.write_table(pa.concat_tables([table.slice(0, row), table.slice(row + 1)]), file)


def nan_in_action(rows: list[Any]) -> list[Any]:
    rows[22][3] = float("nan")
    return rows


BROKEN: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "no folder": ("no meta/info.json", lambda f: (f / "meta/info.json").unlink()),
    "no JSON": ("info.json is not JSON", lambda f: (f / "meta/info.json").write_text("{")),
    "JSON of another kind": ("no JSON object", lambda f: (f / "meta/info.json").write_text("[]")),
    "version 2.1": (
        r"'v2.1'; v3.0 is read. Convert it with LeRobot's convert_dataset_v21_to_v30",
        lambda f: change_info(f, lambda i: i.update(codebase_version="v2.1")),
    ),
    "no version": ("version None", lambda f: change_info(f, lambda i: i.pop("codebase_version"))),
    "no fps": ("fps is None", lambda f: change_info(f, lambda i: i.pop("fps"))),
    "fps of zero": ("fps is 0", lambda f: change_info(f, lambda i: i.update(fps=0))),
    "another fps": (
        r"column timestamp: frame 1 of episode 0 is at 0.04 s; at the 30 Hz",
        lambda f: change_info(f, lambda i: i.update(fps=30)),
    ),
    "no action": ("features has no 'action'", lambda f: change_info(f, lambda i: i["features"].pop("action"))),
    "another shape": (
        r"column action: its rows have 8 numbers; meta/info.json says shape \[7\]",
        lambda f: change_info(f, lambda i: i["features"]["action"].update(shape=[7])),
    ),
    "no data path": ("lacks data_path", lambda f: change_info(f, lambda i: i.pop("data_path"))),
    "a data path of other fields": (
        "no path of chunk_index",
        lambda f: change_info(f, lambda i: i.update(data_path="data/{episode}.parquet")),
    ),
    "a data path that leads out": (
        "leads out",
        lambda f: change_info(f, lambda i: i.update(data_path="../{file_index}.parquet")),
    ),
    "no data file": ("file-000.parquet is missing", lambda f: (f / DATA).unlink()),
    "no footer": (r"data/chunk-000/file-000.parquet cannot be read as Parquet .* footer", lambda f: cut(f / DATA)),
    "no list of episodes": ("the list of episodes", lambda f: (f / EPISODES).unlink()),
    "a list without footer": (r"meta/episodes/.* cannot be read as Parquet", lambda f: cut(f / EPISODES)),
    "no tasks": ("tasks.parquet is missing", lambda f: (f / "meta/tasks.parquet").unlink()),
    "no column of actions": ("lacks the column action", lambda f: drop_column(f / DATA, "action")),
    "no column of places": (
        "lacks the column dataset_from_index",
        lambda f: drop_column(f / EPISODES, "dataset_from_index"),
    ),
    "no instructions": ("lacks the column task,", lambda f: drop_column(f / "meta/tasks.parquet", "task")),
    "an episode missing": ("episode 1 is missing", lambda f: without_row(f / EPISODES, 1)),
    "an episode twice": (
        "episode 0 is there twice",
        lambda f: change_column(f / EPISODES, "episode_index", lambda v: [0, 0, 1]),
    ),
    "fewer episodes than told": ("2 episodes; meta/info.json says 3", lambda f: without_row(f / EPISODES, 2)),
    "a frame missing": ("has 19 rows of episode 0", lambda f: without_row(f / DATA, 7)),
    "frames out of order": (
        "column frame_index: row 1 of episode 0 is 1, not 0",
        lambda f: change_column(f / DATA, "frame_index", lambda v: [v[1], v[0], *v[2:]]),
    ),
    "NaN": (
        "column action: number 4 in frame 2 of episode 1 is nan",
        lambda f: change_column(f / DATA, "action", nan_in_action),
    ),
}


@pytest.mark.parametrize(("sentence", "damage"), BROKEN.values(), ids=BROKEN)
def test_a_broken_dataset_is_refused_with_its_file_and_column(
    sentence: str, damage: Callable[[Path], Any], folder: Path
) -> None:
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as caught:
        list(read_episodes(folder))
    assert str(caught.value).endswith(".") and str(folder.parent) not in str(caught.value).replace(str(folder), "")


UNFIT: dict[str, tuple[str, Callable[[], list[Episode]]]] = {
    "none": ("no episodes", lambda: []),
    "another fps": ("fps", lambda: [episode(0), episode(1, fps=30.0)]),
    "other names": ("action_names", lambda: [episode(0), episode(1, action_names=tuple("abcdefgh"))]),
    "some with success": ("a success", lambda: [episode(0), episode(1, success=None)]),
    "another width": ("shape", lambda: [episode(0, action=np.zeros((20, 7)))]),
    "no frames": ("shape", lambda: [episode(0, action=np.zeros((0, 8)), state=None)]),
    "state of another length": ("state", lambda: [episode(0, state=np.zeros((3, 8)))]),
    "NaN": ("NaN", lambda: [episode(0, action=np.full((20, 8), np.nan))]),
}


@pytest.mark.parametrize(("sentence", "make"), UNFIT.values(), ids=UNFIT)
def test_episodes_that_do_not_fit_together_are_not_written(
    sentence: str, make: Callable[[], list[Episode]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_episodes(tmp_path / "set", make())
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_written_over(folder: Path) -> None:
    with pytest.raises(FileExistsError, match="name a new folder"):
        write_episodes(folder, [episode()])


def test_an_episode_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(ValueError, match="No episode 9 in cubes; it has 3"):
        verify_episodes("PickCube-v0", folder, format="ctrl", episodes=[9])


def test_pyarrow_is_imported_only_when_it_is_used_and_told_how_to_get(folder: Path) -> None:
    code = (
        "import sys; import worldverify.lerobot as l; assert 'pyarrow' not in sys.modules\n"
        "sys.modules['pyarrow'] = None\n"
        f"try: l.read_episodes({str(folder)!r})\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'worldverify[lerobot]'" in said
