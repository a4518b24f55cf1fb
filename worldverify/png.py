"""Write images as PNG with zlib alone, so that a report needs neither Pillow nor matplotlib."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) red, green, blue

_COLOUR_TYPE = {1: 0, 3: 2, 4: 6}  # channels -> PNG colour type: grey, RGB, RGBA


def encode(image: Image) -> bytes:
    """The PNG file of an image of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), dtype uint8.

    Each row takes the filter with the least sum of absolute differences (PNG specification, 12.7).
    """
    pixels = image[:, :, None] if image.ndim == 2 else image
    shaped = pixels.ndim == 3 and pixels.shape[2] in _COLOUR_TYPE and 0 not in pixels.shape
    if not shaped or pixels.dtype != np.uint8:
        raise ValueError(
            "A picture is a uint8 array of shape (H, W), (H, W, 3) or (H, W, 4), "
            f"not {image.dtype} of shape {image.shape}."
        )
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    body = zlib.compress(_filtered(pixels).tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def data_uri(image: Image) -> str:
    """The image as a `data:` address that an HTML page can hold in itself."""
    return "data:image/png;base64," + base64.b64encode(encode(image)).decode("ascii")


def _filtered(pixels: Image) -> Image:
    """(H, 1 + W * channels): the filter type of each row, then the row after that filter."""
    height, width, channels = pixels.shape
    padded = np.zeros((height + 1, width + 1, channels), np.int16)
    padded[1:, 1:] = pixels
    here, left, up, corner = padded[1:, 1:], padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    estimate = left + up - corner
    to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    paeth = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
    guesses = (np.zeros_like(here), left, up, (left + up) >> 1, paeth)  # filter types 0 to 4
    rows = np.stack([((here - guess) & 255).astype(np.uint8).reshape(height, -1) for guess in guesses])
    cost = np.abs(rows.view(np.int8).astype(np.int32)).sum(axis=2)  # (5, H)
    best = np.argmin(cost, axis=0)
    chosen = rows[best, np.arange(height)]
    return np.concatenate([best.astype(np.uint8)[:, None], chosen], axis=1)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
