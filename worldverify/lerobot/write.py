"""Writes episodes as a LeRobot v3.0 dataset."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldverify.lerobot.files import ACTION, STATE, SUCCESS, arrow

if TYPE_CHECKING:
    from worldverify.lerobot.episodes import Episode

CHUNK_FILES, DATA_MB, VIDEO_MB = 1000, 100, 200  # LeRobot's own limits, stated in info.json
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_EPISODES = "meta/episodes/chunk-000/file-000.parquet"
_WHOLE = ("frame_index", "episode_index", "index", "task_index")


def write_episodes(
    path: str | Path,
    episodes: "Sequence[Episode]",
    *,
    robot_type: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    file_mb: float = DATA_MB,
) -> None:
    """Write episodes, numbered anew from 0, as a LeRobot v3.0 dataset without videos.

    They share fps, names and what they hold. dtype: of actions and states; LeRobot records float32. file_mb: megabytes
    of a data file at most. The folder must not exist, or be empty; it appears whole or not at all. Raises ValueError
    for episodes that do not fit together, FileExistsError for a folder that holds something.
    """
    arrow()
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{str(target)!r} exists already: name a new folder.")
    _check(episodes, dtype)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as part:
        whole = Path(part, "dataset")
        _write(whole, episodes, robot_type, dtype, file_mb)
        if target.exists():
            target.rmdir()
        os.replace(whole, target)


def _check(episodes: "Sequence[Episode]", dtype: str) -> None:
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64'; got {dtype!r}.")
    if not episodes:
        raise ValueError("There are no episodes to write; a dataset has at least one.")
    first = episodes[0]
    for k, episode in enumerate(episodes):
        for name in ("fps", "action_names", "state_names"):
            if getattr(episode, name) != getattr(first, name):
                raise ValueError(
                    f"Episode {k} has {name} {getattr(episode, name)!r}, and the first {getattr(first, name)!r}; the "
                    "episodes of a dataset share them."
                )
        for name in ("state", "success"):
            if (getattr(episode, name) is None) != (getattr(first, name) is None):
                raise ValueError(f"Some episodes have a {name} and some have none; all of a dataset have, or none.")
        for name, rows, names in (
            ("action", episode.action, first.action_names),
            ("state", episode.state, first.state_names),
        ):
            if rows is None:
                continue
            if rows.ndim != 2 or not len(rows) or rows.shape[1] != len(names) or len(rows) != len(episode.action):
                raise ValueError(
                    f"The {name} of episode {k} has shape {rows.shape}; it must be (frames, {len(names)}), one row a "
                    "frame and one number a name."
                )
            if not np.isfinite(rows).all():
                raise ValueError(f"The {name} of episode {k} holds NaN or infinity; a dataset holds numbers.")


def _write(folder: Path, episodes: "Sequence[Episode]", robot_type: str | None, dtype: str, file_mb: float) -> None:
    tasks = {text: i for i, text in enumerate(dict.fromkeys(e.task for e in episodes))}
    tables, start = [], 0
    for k, episode in enumerate(episodes):
        tables.append(_columns(episode, k, start, tasks[episode.task], dtype))
        start += len(episode.action)
    rows: list[dict[str, Any]] = []
    for number, (first, last) in enumerate(_files(tables, file_mb)):
        chunk, file = divmod(number, CHUNK_FILES)
        whole = {key: np.concatenate([t[key] for t in tables[first:last]]) for key in tables[first]}
        _save(folder / _DATA.format(chunk_index=chunk, file_index=file), whole, dtype)
        for k in range(first, last):
            begin = int(tables[k]["index"][0])
            rows.append(
                {
                    "episode_index": k,
                    "tasks": [episodes[k].task],
                    "length": len(episodes[k].action),
                    "data/chunk_index": chunk,
                    "data/file_index": file,
                    "dataset_from_index": begin,
                    "dataset_to_index": begin + len(episodes[k].action),
                    "meta/episodes/chunk_index": 0,
                    "meta/episodes/file_index": 0,
                    **{
                        f"stats/{key}/{name}": value
                        for key, values in tables[k].items()
                        for name, value in _statistics(values).items()
                    },
                }
            )
    _save_rows(folder / _EPISODES, rows)
    _save_tasks(folder / "meta" / "tasks.parquet", tasks)
    everything = {key: np.concatenate([t[key] for t in tables]) for key in tables[0]}
    _save_json(folder / "meta" / "stats.json", {key: _statistics(values) for key, values in everything.items()})
    _save_json(folder / "meta" / "info.json", _info(episodes, len(tasks), start, robot_type, everything))


def _columns(episode: "Episode", number: int, start: int, task: int, dtype: str) -> dict[str, NDArray[Any]]:
    """The columns of an episode's rows; time is counted anew, since frames follow one another at fps."""
    count = np.arange(len(episode.action))
    columns = {ACTION: episode.action.astype(dtype)}
    if episode.state is not None:
        columns[STATE] = episode.state.astype(dtype)
    if episode.success is not None:
        columns[SUCCESS] = (count == count[-1]) & episode.success
    columns["timestamp"] = (count / episode.fps).astype(np.float32)
    columns["frame_index"] = count
    columns["episode_index"] = np.full(len(count), number)
    columns["index"] = start + count
    columns["task_index"] = np.full(len(count), task)
    return {key: values.astype(np.int64) if key in _WHOLE else values for key, values in columns.items()}


def _files(tables: Sequence[Mapping[str, NDArray[Any]]], file_mb: float) -> list[tuple[int, int]]:
    """[first, last) episodes of each data file."""
    cuts, held = [0], 0.0
    for k, table in enumerate(tables):
        size = sum(values.nbytes for values in table.values()) / 2**20
        if held and held + size > file_mb:
            cuts.append(k)
            held = 0.0
        held += size
    return list(zip(cuts, [*cuts[1:], len(tables)], strict=True))


def _statistics(values: NDArray[Any]) -> dict[str, list[Any]]:
    """Of each number over the frames, as stats.json has them."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found: dict[str, Any] = {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        **{name: np.quantile(rows, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {**{name: value.tolist() for name, value in found.items()}, "count": [len(rows)]}


def _info(
    episodes: "Sequence[Episode]", tasks: int, frames: int, robot_type: str | None, columns: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    names = {ACTION: list(episodes[0].action_names), STATE: list(episodes[0].state_names)}
    fps = episodes[0].fps
    return {
        "codebase_version": "v3.0",
        "robot_type": robot_type,
        "total_episodes": len(episodes),
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": int(fps) if float(fps).is_integer() else fps,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": _DATA,
        "video_path": None,
        "features": {
            key: {
                "dtype": values.dtype.name,
                "shape": [values.shape[1] if values.ndim == 2 else 1],
                "names": names.get(key),
            }
            for key, values in columns.items()
        },
    }


def _save(file: Path, columns: Mapping[str, NDArray[Any]], dtype: str) -> None:
    base, parquet = arrow()
    arrays = {}
    for key, values in columns.items():
        if values.ndim == 2:
            flat = base.array(values.ravel(), type=getattr(base, dtype)())
            arrays[key] = base.FixedSizeListArray.from_arrays(flat, values.shape[1])
        else:
            arrays[key] = base.array(values)
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(base.table(arrays), file)


def _save_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    base, parquet = arrow()
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(base.table({key: [row[key] for row in rows] for key in rows[0]}), file)


def _save_tasks(file: Path, tasks: Mapping[str, int]) -> None:
    """LeRobot reads this table with pandas, the instructions being its index: the schema says so."""
    base, parquet = arrow()
    table = base.table({"task_index": base.array(list(tasks.values()), base.int64()), "task": list(tasks)})
    plain = {"field_name": "task_index", "name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    index = {"field_name": "task", "name": "task", "pandas_type": "unicode", "numpy_type": "object"}
    described = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [{**plain, "metadata": None}, {**index, "metadata": None}],
        "pandas_version": "2.0.0",
    }
    parquet.write_table(table.replace_schema_metadata({"pandas": json.dumps(described)}), file)


def _save_json(file: Path, value: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=4) + "\n", encoding="utf-8")
