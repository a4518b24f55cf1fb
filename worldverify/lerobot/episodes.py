"""LeRobot v3.0 datasets: their episodes as plans to be judged. Needs pyarrow, and nothing of LeRobot.

The layout is that of LeRobot's dataset format v3.0: meta/info.json, meta/tasks.parquet, meta/episodes/*/*.parquet and
data/*/*.parquet, where an episode is a range of rows. Videos are not read.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from worldverify.lerobot.files import ACTION, STATE, SUCCESS, arrow, column_names, episode_files, read_table, told
from worldverify.plan import Malformed
from worldverify.task import Task
from worldverify.verdict import Verdicts
from worldverify.verify import verify

Floats = NDArray[np.float64]

VERSION = "v3.0"
CLOCK = 1e-3  # s: how far a timestamp may be from frame / fps; they are stored in single precision

_NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index", "dataset_from_index", "dataset_to_index")
_FRAME = ("timestamp", "frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True, eq=False)
class Episode:
    """T frames of one recording."""

    index: int
    fps: float  # Hz
    action: Floats  # (T, n) as recorded: what the numbers mean, the dataset does not say
    state: Floats | None  # (T, m) what the robot measured
    action_names: tuple[str, ...]  # (n,)
    state_names: tuple[str, ...]  # (m,)
    task: str  # the instruction
    timestamps: Floats  # (T,)  s
    success: bool | None  # whether the recording says that it succeeded; None if it does not say

    def plan(self, format: str, *, contract: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The line of a plans file that holds the actions under a format: the name of a preset or an action space.

        contract: fields of it that the format leaves open, such as statistics. ee_waypoints reads rows of position
        (m), quaternion (w, x, y, z) and gripper (0 closed, 1 open) and is told when each is due.
        """
        line: dict[str, Any] = {"id": f"episode {self.index}", "format": format, "rate_hz": self.fps}
        if contract is not None:
            line["contract"] = dict(contract)
        if format != "ee_waypoints":
            return {**line, "actions": self.action.tolist()}
        if self.action.shape[1] != 8:
            raise ValueError(
                f"Episode {self.index} has actions of {self.action.shape[1]} numbers; ee_waypoints reads 8: position, "
                "quaternion (w, x, y, z) and gripper."
            )
        points = [
            {
                "position": row[:3].tolist(),
                "orientation": row[3:7].tolist(),
                "gripper": float(row[7]),
                "time": (k + 1) / self.fps,
            }
            for k, row in enumerate(self.action)
        ]
        return {**line, "rate_hz": None, "actions": points}


class Dataset(Sequence[Episode]):
    """The episodes of a dataset, each read when it is asked for. `notes` tells what is left out."""

    def __init__(self, path: str | Path) -> None:
        """Raises ValueError, FileNotFoundError or ImportError with a sentence that names the file."""
        self.path = Path(path)
        arrow()
        info = _info(self.path)
        self.fps: float = info["fps"]
        self.robot_type = info.get("robot_type")
        self.features: Mapping[str, Any] = info["features"]
        self._data_path: str = info["data_path"]
        self._rows = _episode_rows(self.path, info)
        self._tasks = _tasks(self.path)
        self._held: tuple[Path, Any] | None = None  # the data file that was read last
        cameras = [key for key, value in self.features.items() if _kind(value) in ("video", "image")]
        self.notes = (f"The images are not read: {', '.join(cameras)}.",) if cameras else ()

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> "list[Episode]": ...
    def __getitem__(self, index: int | slice) -> "Episode | list[Episode]":
        """An episode. Raises ValueError with a sentence that names the file and the column."""
        if isinstance(index, slice):
            return [self._episode(row) for row in self._rows[index]]
        return self._episode(self._rows[index])

    def __iter__(self) -> Iterator[Episode]:
        return (self._episode(row) for row in self._rows)

    def _episode(self, row: Mapping[str, Any]) -> Episode:
        number, file = row["episode_index"], self._data_file(row)
        table = self._table(file)
        mine = np.flatnonzero(table.column("episode_index").to_numpy() == number)
        if len(mine) != row["length"] or row["length"] != row["dataset_to_index"] - row["dataset_from_index"]:
            raise ValueError(
                f"{told(file)} has {len(mine)} rows of episode {number}; meta/episodes says {row['length']}, from "
                f"index {row['dataset_from_index']} to {row['dataset_to_index']}."
            )
        if not len(mine):
            raise ValueError(f"Episode {number} of {self.path.name} has no frames.")
        part = table.take(mine)
        self._check_frames(file, number, part, row["dataset_from_index"])
        action = _matrix(file, part, ACTION, number)
        state = _matrix(file, part, STATE, number) if STATE in part.column_names else None
        names = column_names(self.features.get(ACTION), ACTION, action.shape[1], file)
        state_names = () if state is None else column_names(self.features.get(STATE), STATE, state.shape[1], file)
        success = None
        if SUCCESS in part.column_names:
            success = bool(np.any(np.asarray(part.column(SUCCESS).to_pylist(), dtype=object)))
        clock = part.column("timestamp").to_numpy().astype(np.float64)
        return Episode(number, self.fps, action, state, names, state_names, self._said(row, part), clock, success)

    def _check_frames(self, file: Path, number: int, part: Any, first: int) -> None:
        """Frames are counted from 0, follow one another in the dataset, and keep the dataset's time."""
        count = np.arange(part.num_rows)
        for column, wanted in (("frame_index", count), ("index", first + count)):
            found = part.column(column).to_numpy()
            if not np.array_equal(found, wanted):
                k = int(np.argmax(found != wanted))
                raise ValueError(
                    f"{told(file)}, column {column}: row {k + 1} of episode {number} is {found[k]}, not {wanted[k]}; "
                    "frames are missing or out of order."
                )
        clock = part.column("timestamp").to_numpy().astype(np.float64)
        away = np.abs(clock - count / self.fps)
        if not (away <= CLOCK).all():
            k = int(np.argmax(~(away <= CLOCK)))
            raise ValueError(
                f"{told(file)}, column timestamp: frame {k} of episode {number} is at {clock[k]:.6g} s; at the "
                f"{self.fps:g} Hz of meta/info.json it is at {k / self.fps:.6g} s."
            )

    def _data_file(self, row: Mapping[str, Any]) -> Path:
        chunk, file = row["data/chunk_index"], row["data/file_index"]
        try:
            place = self.path / self._data_path.format(chunk_index=chunk, file_index=file)
        except (KeyError, IndexError, ValueError, AttributeError):
            raise ValueError(
                f"{self.path.name}/meta/info.json: data_path {self._data_path!r} is no path of chunk_index and "
                "file_index."
            ) from None
        if not place.resolve().is_relative_to(self.path.resolve()):
            raise ValueError(f"{self.path.name}/meta/info.json: data_path leads out of the dataset.")
        return place

    def _table(self, file: Path) -> Any:
        if self._held is None or self._held[0] != file:
            wanted = (*_FRAME, ACTION)
            self._held = file, read_table(file, wanted, optional=(STATE, SUCCESS))
        return self._held[1]

    def _said(self, row: Mapping[str, Any], part: Any) -> str:
        listed = row.get("tasks")
        if listed:
            return str(listed[0] if isinstance(listed, list) else listed)
        return self._tasks.get(int(part.column("task_index")[0].as_py()), "")


def read_episodes(path: str | Path) -> Dataset:
    """The episodes of a LeRobot v3.0 dataset on disk, as a sequence that reads each when it is asked for.

    Raises FileNotFoundError where a file is missing, ValueError for what the files say wrongly, each with a sentence
    that names the file, and the column where one is wrong; ImportError without pyarrow.
    """
    return Dataset(path)


def verify_episodes(
    task: Task | str,
    path: str | Path,
    *,
    format: str,
    contract: Mapping[str, Any] | None = None,
    episodes: Sequence[int] | None = None,
    **options: Any,
) -> Verdicts:
    """Judge the actions of each episode, read under a format, as `worldverify.verify` judges plans.

    episodes: which of them, by their index; None for all. An episode that cannot be read is INVALID with cause plan;
    the others are judged. `options` are those of `worldverify.verify`, such as seed or state.
    """
    dataset = read_episodes(path)
    plans: list[Any] = []
    for index in range(len(dataset)) if episodes is None else episodes:
        if not -len(dataset) <= index < len(dataset):
            raise ValueError(f"No episode {index} in {dataset.path.name}; it has {len(dataset)}, from 0 on.")
        try:
            plans.append(dataset[index].plan(format, contract=contract))
        except ValueError as error:
            plans.append(Malformed(f"episode {index}", "malformed", str(error)))
    return verify(task, plans, **options)


def _info(path: Path) -> dict[str, Any]:
    """meta/info.json, checked."""
    file = path / "meta" / "info.json"
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"No LeRobot dataset in {str(path)!r}: it has no meta/info.json.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{told(file)} is not JSON: {error}.") from None
    if not isinstance(info, dict):
        raise ValueError(f"{told(file)} is no JSON object.")
    version = info.get("codebase_version")
    if version != VERSION:
        hint = " Convert it with LeRobot's convert_dataset_v21_to_v30." if str(version).startswith("v2") else ""
        raise ValueError(f"{path.name} is a dataset of version {version!r}; {VERSION} is read.{hint}")
    fps = info.get("fps")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"{told(file)}: fps is {fps!r}; it must be the frames per second, above zero.")
    info["fps"] = float(fps)
    if not isinstance(info.get("data_path"), str):
        raise ValueError(f"{told(file)} lacks data_path, where the frames are.")
    if not isinstance(info.get("features"), dict) or ACTION not in info["features"]:
        raise ValueError(f"{told(file)}: features has no 'action', so there is nothing to judge.")
    return info


def _episode_rows(path: Path, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What meta/episodes says of each episode, in order."""
    rows: list[dict[str, Any]] = []
    for file in episode_files(path):
        rows += read_table(file, _NEEDED, optional=("tasks",)).to_pylist()
        broken = [key for row in rows for key in _NEEDED if not isinstance(row[key], int)]
        if broken:
            raise ValueError(f"{told(file)}, column {broken[0]}: a value is no whole number.")
    rows.sort(key=lambda row: int(row["episode_index"]))
    found = [row["episode_index"] for row in rows]
    if found != list(range(len(found))):
        wrong = next(k for k, number in enumerate(found) if k != number)
        what = f"episode {wrong} is missing" if found[wrong] > wrong else f"episode {found[wrong]} is there twice"
        raise ValueError(f"{path.name}/meta/episodes, column episode_index: {what}; episodes are counted from 0.")
    total = info.get("total_episodes", len(rows))
    if total != len(rows):
        raise ValueError(f"{path.name}/meta/episodes has {len(rows)} episodes; meta/info.json says {total}.")
    return rows


def _tasks(path: Path) -> dict[int, str]:
    """The instruction of each task index. pandas calls the column of an unnamed index __index_level_0__."""
    file = path / "meta" / "tasks.parquet"
    table = read_table(file, ("task_index",), optional=("task", "__index_level_0__"))
    texts = [name for name in table.column_names if name != "task_index"]
    if not texts:
        raise ValueError(f"{told(file)} lacks the column task, the instructions.")
    return dict(zip(table.column("task_index").to_pylist(), map(str, table.column(texts[0]).to_pylist()), strict=True))


def _matrix(file: Path, part: Any, column: str, number: int) -> Floats:
    """(T, n) of a column of lists, or of numbers if n is 1."""
    try:
        values = np.array(part.column(column).to_pylist(), dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{told(file)}, column {column}: the frames of episode {number} are no rows of equally many numbers."
        ) from None
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"{told(file)}, column {column}: a frame has shape {values.shape[1:]}; it must be one row.")
    if not np.isfinite(values).all():
        row, place = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"{told(file)}, column {column}: number {place + 1} in frame {row} of episode {number} is "
            f"{values[row, place]}."
        )
    return values


def _kind(feature: Any) -> object:
    return feature.get("dtype") if isinstance(feature, Mapping) else None
