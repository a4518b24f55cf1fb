"""JAX as MJX needs it, whatever the process has chosen."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def settings(impl: str, device: Any) -> Iterator[None]:
    """float32 without TF32 on a JAX device, dtypes never mixed; MJX's own JAX code (`impl` "jax") mixes them."""
    promotion = "strict" if impl == "warp" else "standard"
    with (
        jax.enable_x64(False),
        jax.default_matmul_precision("highest"),
        jax.numpy_dtype_promotion(promotion),
        jax.default_device(device),
    ):
        yield
