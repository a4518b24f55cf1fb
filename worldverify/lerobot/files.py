"""The files of a LeRobot dataset: Parquet tables read with sentences for what is wrong with them."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ACTION, STATE, SUCCESS = "action", "observation.state", "next.success"


class Arrow(NamedTuple):
    """The two modules of pyarrow that are used."""

    base: Any
    parquet: Any


def arrow() -> Arrow:
    """pyarrow, imported when it is needed."""
    try:
        return Arrow(importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet"))
    except ImportError:
        raise ImportError(
            "LeRobot datasets are read and written with pyarrow: pip install 'worldverify[lerobot]'."
        ) from None


def told(file: Path) -> str:
    """How to name a file of a dataset to a person: from the folder of the dataset on."""
    parts = file.parts
    first = max((i for i, part in enumerate(parts) if part in ("meta", "data")), default=len(parts) - 1)
    return "/".join(parts[max(0, first - 1) :])


def episode_files(path: Path) -> list[Path]:
    """The tables that list the episodes, in order."""
    files = sorted((path / "meta" / "episodes").glob("*/*.parquet"))
    if not files:
        raise FileNotFoundError(f"{path.name} has no meta/episodes/chunk-000/file-000.parquet, the list of episodes.")
    return files


def read_table(file: Path, wanted: Sequence[str], *, optional: Sequence[str] = ()) -> Any:
    """The wanted columns of a Parquet file, and the optional ones that it has."""
    base, parquet = arrow()
    if not file.is_file():
        raise FileNotFoundError(f"{told(file)} is missing.")
    try:
        there = parquet.read_schema(file).names
        for name in wanted:
            if name not in there:
                raise ValueError(f"{told(file)} lacks the column {name}. Columns: {', '.join(there)}.")
        # One file at a time: as a data set, the folders above it would be taken for columns.
        return parquet.ParquetFile(file).read(columns=[*wanted, *(name for name in optional if name in there)])
    except (base.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{told(file)} cannot be read as Parquet ({reason}). A recording that was not finalised has no footer: "
            "finalise it, or record it again."
        ) from None


def column_names(feature: Any, column: str, width: int, file: Path) -> tuple[str, ...]:
    """(width,) names of the numbers of a column: those that the dataset gives, or numbers."""
    named = feature.get("names") if isinstance(feature, Mapping) else None
    if isinstance(named, Mapping):
        named = [name for part in named.values() for name in (part if isinstance(part, list) else [part])]
    shape = feature.get("shape") if isinstance(feature, Mapping) else None
    if isinstance(shape, list) and shape != [width]:
        raise ValueError(
            f"{told(file)}, column {column}: its rows have {width} numbers; meta/info.json says shape {shape}."
        )
    if not named or len(named) != width:
        return tuple(f"{column}[{i}]" for i in range(width))
    return tuple(map(str, named))
