"""Files that users edit: TOML, shipped with the package, and their own."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from worldverify.usage import UsageError


def shipped(name: str) -> dict[str, Any]:
    """A file of this package."""
    return tomllib.loads(resources.files("worldverify.billing").joinpath(name).read_text(encoding="utf-8"))


def given(path: str | Path, what: str, error: type[UsageError]) -> dict[str, Any]:
    """A user's file. Raises `error`, whose sentence calls it `what`."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise error(f"The {what} {path} is not TOML: {fault}.") from None
    except (OSError, UnicodeDecodeError) as fault:
        said = getattr(fault, "strerror", None) or "it is not text"
        raise error(f"The {what} {path} cannot be read: {said}.") from None
