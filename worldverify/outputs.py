"""Files that appear whole or not at all, and whose place is tried before the work is done."""

import os
import secrets
from pathlib import Path
from types import TracebackType


class Output:
    """A text file to be written later: making it raises OSError if nothing could be written there.

    The text goes to a neighbour that then takes the file's name, so a reader never sees half of it and what stood
    there before stays until then. A device or pipe is written to directly.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._target = Path(os.path.realpath(self.path))  # a link keeps pointing where it points
        if self._target.is_dir():
            raise IsADirectoryError(f"{self.path} is a folder")
        self._direct = self._target.exists() and not self._target.is_file()
        self._part = self._target.with_name(f".{self._target.name}.{secrets.token_hex(4)}.part")
        if self._direct:
            if not os.access(self._target, os.W_OK):
                raise PermissionError(f"{self.path} cannot be written to")
        else:
            self._part.open("x").close()

    def __enter__(self) -> "Output":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._direct:
            self._part.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Put the text in its place."""
        if self._direct:
            self._target.write_text(text, encoding="utf-8")
            return
        with self._part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._part, self._target)


def ready_folder(path: str | Path) -> Path:
    """The folder, made if it is not there; raises OSError if nothing can be written into it."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with Output(folder / "index.html"):
        return folder
