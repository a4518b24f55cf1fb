"""What the text of a scene makes: counted before MuJoCo reads it, since it would make everything at once."""

import html
import math
import re
from collections.abc import Iterator
from pathlib import Path

from worldverify.scene_limits import MOST_CELLS, refused

# MuJoCo's reader compares each element with the others, so twice as many take four times as long: these half a minute.
MOST_ELEMENTS = 20_000
MOST_TEXT = 32 * 2**20  # bytes of all files that make one scene; points of meshes are better kept in files of their own
MOST_NESTED = 50  # files that name one another, each the next
MOST_POINTS = 1_000_000  # of built-in meshes: half a minute

FLEX_POINT = 4  # elements that a point of a soft body is: a body on three slides

_MAKES = (
    "replicate",
    "flexcomp",
    "mesh",
    "hfield",
    "include",
    "model",
    "attach",
)  # elements that stand for more than one
_PASSED = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">"))  # as MuJoCo's XML reader ends them
_TAG = re.compile(r"""<(/?)([^\s/>"']++)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s="']++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")


def read_text(path: Path, label: str) -> str:
    """The text of a scene's main file. Raises Refusal if it is too long, or not text."""
    _check_size(path.stat().st_size, label)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise refused(f"{label} is not text: an MJCF or URDF file is XML in UTF-8.") from None


def check_text(text: str, label: str, path: Path | None = None) -> None:
    """Refuses a scene of more text or elements than can be read, counting what it includes, attaches and copies.

    `path` is the file that the text is from; without one, files are named from the working directory.
    """
    _check_size(len(text), label)
    _Count(label, len(text)).model(text, path)


def tags(text: str) -> Iterator[tuple[bool, str, str]]:
    """Whether it closes, name and attributes of each tag, up to where MuJoCo would stop reading."""
    at = text.find("<")
    while at >= 0:
        passed = next((pair for pair in _PASSED if text.startswith(pair[0], at)), None)
        if passed is not None:
            start, end = passed
            at = text.find(end, at + len(start))
            if at < 0:
                return
            at += len(end)
        else:
            tag = _TAG.match(text, at)
            if tag is None:
                return
            yield bool(tag[1]), tag[2], tag[3]
            at = tag.end()
        at = text.find("<", at)


def attributes(rest: str) -> dict[str, str]:
    """Name -> value, of what `tags` gives."""
    return {m[1]: html.unescape(m[2] if m[2] is not None else m[3]) for m in _ATTRIBUTE.finditer(rest)}


class _Count:
    """Elements and bytes of one scene so far."""

    def __init__(self, label: str, size: int) -> None:
        self.label = label
        self.size = size  # bytes
        self.elements = 0
        self.points = 0  # of built-in meshes
        self.nested = 0  # files that name one another, down to the one that is read

    def model(self, text: str, path: Path | None, above: tuple[Path, ...] = ()) -> int:
        """Count a model, which the models `above` attach, each the next; its elements."""
        before = self.elements
        here = () if path is None else (path.resolve(),)
        if here and here[0] in above:
            raise refused(f"{here[0].name} attaches itself, and so never ends: leave out the <model> that names it.")
        folder = Path(".") if path is None else path.parent
        reading = _Model(self, folder, (*above, *here))
        reading.walk(text, folder, 1)
        reading.attach()
        return self.elements - before

    def add(self, elements: int) -> None:
        self.elements += elements
        if self.elements > MOST_ELEMENTS:
            raise refused(
                f"{self.label} has more than {MOST_ELEMENTS:,} elements, counting what replicate, flexcomp and attach "
                "copy, and would take minutes to read: use smaller counts, or a mesh or height field of many points."
            )

    def read(self, path: Path) -> str | None:
        """The text of a file that a scene names, or None where there is none."""
        if not path.exists():
            return None  # MuJoCo says so
        if not path.is_file():
            raise refused(f"{str(path)!r}, in {self.label}, is not a file with XML: name one that is.")
        self.size += path.stat().st_size
        _check_size(self.size, self.label)
        return path.read_text(encoding="utf-8-sig", errors="replace")


class _Model:
    """One model of a scene: its main file and the files it includes."""

    def __init__(self, count: _Count, folder: Path, files: tuple[Path, ...]) -> None:
        self.count = count
        self.folder = folder  # that its main file lies in
        self.files = files  # its own, and those of the models that attach it
        self.included: set[Path] = set()
        self.models: dict[str, int] = {}  # name -> elements of a model that can be attached
        self.attached: list[tuple[str, int]] = []  # name, how often

    def walk(self, text: str, folder: Path, copies: int) -> None:
        """Count the elements of a file in a folder that stands in `copies` copies."""
        self.count.nested += 1
        if self.count.nested > MOST_NESTED:
            raise refused(f"{self.count.label} has more than {MOST_NESTED} files that name one another: join some.")
        stack = [copies]
        for closes, name, rest in tags(text):
            if closes and len(stack) > 1:
                stack.pop()
            if closes:
                continue
            here = stack[-1]
            if name in _MAKES:
                here = self.makes(name, attributes(rest), folder, here)
            self.count.add(here)
            if not rest.endswith("/"):
                stack.append(here)
        self.count.nested -= 1

    def makes(self, name: str, values: dict[str, str], folder: Path, copies: int) -> int:
        """Count what an element makes beside itself; the number of copies in which its own elements stand."""
        file = values.get("file", "")
        if name == "replicate":
            return copies * max((1, *_numbers(values.get("count", ""))))
        if name == "flexcomp":
            few = values.get("rigid") == "true" or values.get("dof", "full") != "full"
            self.count.add(copies * _product(values.get("count", "")) * (1 if few else FLEX_POINT))
            self.count.add(copies * _product(values.get("cellcount", "")))
        elif name == "mesh" and "builtin" in values:
            self.add_mesh(values)
        elif name == "hfield":
            self.check_field(values)
        elif name == "include" and file:
            self.include(self.find(file, folder), copies)
        elif name == "model" and file:
            path = self.find(file, folder)
            text = self.count.read(path)
            if text is not None:
                self.models[values.get("name", "")] = self.count.model(text, path, self.files)
        elif name == "attach":
            self.attached.append((values.get("model", ""), copies))
        return copies

    def find(self, file: str, folder: Path) -> Path:
        """Where MuJoCo looks for a file: beside the main file, then beside the one that names it."""
        return self.folder / file if (self.folder / file).exists() else folder / file

    def include(self, path: Path, copies: int) -> None:
        if path.resolve() in self.included:
            return  # MuJoCo says so
        self.included.add(path.resolve())
        text = self.count.read(path)
        if text is not None:
            self.walk(text, path.parent, copies)

    def attach(self) -> None:
        """Count what is attached, which the file may name after it attaches it."""
        for name, copies in self.attached:
            self.count.add(copies * self.models.get(name, sum(self.models.values())))

    def add_mesh(self, values: dict[str, str]) -> None:
        """Count a built-in mesh, of a resolution along one or two ways: what its first parameters are, if not less."""
        self.count.points += max((1, *_numbers(values.get("params", ""))[:2])) ** 2
        if self.count.points > MOST_POINTS:
            raise refused(
                f"The built-in meshes of {self.count.label} have more than {MOST_POINTS:,} points with "
                f"{values.get('name', '')!r}, and would take minutes to build: use lower resolutions."
            )

    def check_field(self, values: dict[str, str]) -> None:
        cells = _product(f"{values.get('nrow', '')} {values.get('ncol', '')}")
        if cells > MOST_CELLS:
            raise refused(
                f"The height field {values.get('name', '')!r} of {self.count.label} has {cells:,} cells; at most "
                f"{MOST_CELLS:,} fit: use fewer rows and columns."
            )


def _numbers(words: str) -> list[int]:
    """Numbers as an attribute lists them, rounded up; what is no number is left to MuJoCo to refuse."""
    found = []
    for word in words.split():
        try:
            found.append(math.ceil(min(float(word), 1e18)))
        except ValueError:
            found.append(0)
    return found


def _product(words: str) -> int:
    return math.prod(max(1, n) for n in _numbers(words))


def _check_size(size: int, label: str) -> None:
    if size > MOST_TEXT:
        raise refused(
            f"The text of {label} is longer than {MOST_TEXT >> 20} MB: keep the points of meshes and height fields in "
            "files of their own."
        )
