"""A progress bar on a terminal; nothing at all in a pipe."""

import sys
import time
from types import TracebackType
from typing import TextIO

WIDTH = 30  # characters of the bar
REDRAW_S = 0.1  # s between two drawings


class Progress:
    """Called with (done, total), draws one line on the standard error and wipes it at the end."""

    def __init__(self, label: str, stream: TextIO | None = None, *, plans: int | None = None) -> None:
        """`plans`: how many are judged, if their rate is to be shown."""
        self._label, self._plans = label, plans
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._began = self._drawn = time.monotonic()
        self._shown = 0  # characters of the line that is on the screen
        self._saved = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._put("")

    def saved(self, steps: int) -> None:
        """So many of what will be told as done were left out, because they could change no verdict."""
        self._saved += steps

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._live and total > 0 and now - self._drawn >= REDRAW_S:
            self._drawn = now
            saved = self._saved / done if done else 0.0
            self._put(bar(self._label, done / total, now - self._began, self._plans, saved))

    def _put(self, line: str) -> None:
        self._stream.write("\r" + line.ljust(self._shown) + ("" if line else "\r"))
        self._stream.flush()
        self._shown = len(line)


def bar(label: str, share: float, elapsed_s: float, plans: int | None = None, saved: float = 0.0) -> str:
    """One line: what is done, how much of it (0..1), plans a second, how much of what is done was saved (0..1), and
    about how long the rest takes."""
    share = min(max(share, 0.0), 1.0)
    full = round(share * WIDTH)
    left = f"  {elapsed_s / share - elapsed_s:.0f} s left" if share > 0.02 else ""
    rate = f"  {share * plans / elapsed_s:,.1f} plans/s" if plans is not None and elapsed_s > 0 else ""
    spared = f"  {saved:.0%} saved" if saved else ""
    return f"{label} [{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%}{rate}{spared}{left}"
