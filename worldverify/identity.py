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
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def model_digest(model: mujoco.MjModel) -> str:
    """Hex digest of a compiled model's bytes."""
    buffer = np.empty(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return hashlib.sha256(buffer.tobytes()).hexdigest()


def _canonical(value: Any) -> str:
    """The text whose hash stands for a value: JSON without spaces, the keys of an object in order."""
    kind = type(value)
    if kind is float:
        return f'"{value.hex()}"'
    if kind is str:
        return _quoted(value)
    if kind is list or kind is tuple:
        try:
            return f'["{_BETWEEN.join(map(float.hex, value))}"]' if value else "[]"  # numbers, as nearly always
        except TypeError:
            return f"[{','.join([_canonical(v) for v in value])}]"
    if kind is dict:
        members = value if all(type(k) is str for k in value) else {str(k): v for k, v in value.items()}
        return f"{{{','.join([f'{_quoted(k)}:{_canonical(members[k])}' for k in sorted(members)])}}}"
    return _unusual(value)


def _unusual(value: Any) -> str:
    if isinstance(value, bool | str | int) or value is None:
        return json.dumps(value)
    if isinstance(value, float | np.floating):
        return _canonical(float(value))
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        content = hashlib.sha256(little.tobytes()).hexdigest()
        return _canonical({"shape": list(value.shape), "dtype": little.dtype.str, "sha256": content})
    if isinstance(value, Mapping):
        return _canonical(dict(value))
    if isinstance(value, Sequence):
        return _canonical(list(value))
    raise TypeError(f"A {type(value).__name__} has no canonical form: use JSON values and arrays.")


_quoted = json.encoder.encode_basestring_ascii
_BETWEEN = '","'
