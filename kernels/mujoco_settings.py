"""The options and statistics of one compiled model, given to another."""

from typing import Any

import numpy as np


def copy_settings(source: Any, target: Any) -> None:
    """Every number of `source.opt` and `source.stat` into those of `target`."""
    for part in ("opt", "stat"):
        old, new = getattr(source, part), getattr(target, part)
        for name in (name for name in dir(old) if not name.startswith("_")):
            value = getattr(old, name)
            if isinstance(value, np.ndarray):
                getattr(new, name)[:] = value
            elif isinstance(value, int | float):
                setattr(new, name, value)
