"""A plans file that grows by whole lines, so that an interrupt loses nothing that came before it."""

import json
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path

from worldverify.usage import UsageError, cannot_write


class GrowingFile:
    """A file that grows by whole lines, each on disk at once; what stands in it already is not overwritten."""

    def __init__(self, path: str, *, append: bool) -> None:
        self.path = path
        self.spilt = False  # could not be written to, so lines went to the standard output
        self._there = b""
        self._made = False
        self._file: int | None = None
        if path == "-":
            return
        try:
            self._made = not os.path.lexists(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            found = os.fstat(self._file)
            begun = stat.S_ISREG(found.st_mode) and found.st_size > 0
            if begun and append:
                self._there = Path(path).read_bytes()
        except OSError as error:
            raise cannot_write(path, error) from None
        if begun and not append:
            os.close(self._file)
            raise UsageError(f"{path} holds something already: name another file, or add to it with --append.")

    def __enter__(self) -> "GrowingFile":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is None:
            return
        with suppress(OSError):
            if self._made and os.fstat(self._file).st_size == 0:
                os.unlink(self.path)
        os.close(self._file)

    def next_number(self, *starts: str) -> int:
        """One more than the largest number of the ids in the file that begin with one of `starts`."""
        return max(self._next_number(start) for start in starts)

    def _next_number(self, start: str) -> int:
        largest = -1
        for line in self._there.splitlines():
            with suppress(ValueError, RecursionError):
                value = json.loads(line)
                name = value.get("id") if isinstance(value, dict) else None
                if isinstance(name, str) and name.startswith(start) and re.fullmatch(r"\d{1,9}", name[len(start) :]):
                    largest = max(largest, int(name[len(start) :]))
        return largest + 1

    def add(self, line: dict[str, object]) -> None:
        """Write one line; to the standard output if the file takes no more, so that no text is lost."""
        # halves of characters, which UTF-8 cannot hold, are written as JSON escapes them
        data = json.dumps(line, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"
        if self._there and not self._there.endswith(b"\n"):
            data = b"\n" + data
        if self._file is not None and not self.spilt:
            try:
                self._write(self._file, data)
                self._there = b"\n"
                return
            except OSError as error:
                self.spilt = True
                told = f"worldverify: {cannot_write(self.path, error)} The lines follow on the standard output."
                print(told, file=sys.stderr)
        sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
        sys.stdout.flush()

    @staticmethod
    def _write(file: int, data: bytes) -> None:
        before = os.fstat(file).st_size
        try:
            while data:
                data = data[os.write(file, data) :]
        except OSError:
            with suppress(OSError):  # no half of a line stays, unless this is no ordinary file
                os.ftruncate(file, before)
            raise
