"""Canonical JSON and its SHA-256: equal content gives equal bytes on every machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np


def sha256(value: Any) -> str:
    """Hex digest of a JSON-like value.

    Floats are spelled in hexadecimal, so that no digit is lost or invented (open bounds as "inf"); an array stands for
    its shape, type and bytes.
    """
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def model_digest(model: mujoco.MjModel) -> str:
    """Hex digest of a compiled model's bytes."""
    buffer = np.empty(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return hashlib.sha256(buffer.tobytes()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, float | np.floating):
        return float(value).hex()
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        content = hashlib.sha256(little.tobytes()).hexdigest()
        return {"shape": list(value.shape), "dtype": little.dtype.str, "sha256": content}
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [_canonical(v) for v in value]
    raise TypeError(f"A {type(value).__name__} has no canonical form: use JSON values and arrays.")
