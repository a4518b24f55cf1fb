"""What the options of a command may be, and the files that it writes: each refusal is one sentence."""

import argparse
from collections.abc import Callable
from contextlib import suppress

from worldverify.outputs import Output
from worldverify.usage import cannot_write

ANY_WHOLE = 2**63 - 1
ANY_NUMBER = 1e9
SHOWN = 40  # characters of what was written instead


def whole(least: int, most: int = ANY_WHOLE) -> Callable[[str], int]:
    """Reads a whole number, from `least` to `most`."""
    wanted = f"from {least:,} " + (f"to {most:,}" if most < ANY_WHOLE else "on")

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"a whole number {wanted} is needed, not {text[:SHOWN]!r}")
        return int(text)

    return read


def number(least: float, most: float = ANY_NUMBER) -> Callable[[str], float]:
    """Reads a number, from `least` to `most`."""
    wanted = f"from {least:g} " + (f"to {most:g}" if most < ANY_NUMBER else "on")

    def read(text: str) -> float:
        with suppress(ValueError):
            if least <= float(text) <= most:
                return float(text)
        raise argparse.ArgumentTypeError(f"a number {wanted} is needed, not {text[:SHOWN]!r}")

    return read


def svg(path: str) -> str:
    """Reads the name of a drawing, whose only kind is SVG."""
    if not path.lower().endswith(".svg"):
        raise argparse.ArgumentTypeError(f"a name that ends in .svg is needed, not {path[:SHOWN]!r}")
    return path


def output(path: str) -> Output:
    """A file to be written later; raises UsageError if nothing could be written there."""
    try:
        return Output(path)
    except OSError as error:
        raise cannot_write(path, error) from None


def write(file: Output, text: str) -> None:
    """Put the text into the file; raises UsageError if that fails."""
    try:
        file.write(text)
    except OSError as error:
        raise cannot_write(file.path, error) from None
