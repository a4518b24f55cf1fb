"""Energy counters of processor packages, as Linux shows them (RAPL, under /sys/class/powercap)."""

from collections.abc import Mapping
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Rapl:
    """The package domains of a machine. A counter that cannot be read takes all of them with it: half a machine's
    energy is no energy."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._counters: dict[str, Path] = {}
        self._range: dict[str, int] = {}
        self.reason: str | None = None  # why there is nothing to read, in a few words
        try:
            for domain in sorted(root.glob("intel-rapl:[0-9]*")):
                # intel-rapl:0 is a package; intel-rapl:0:0, its cores, is part of it. "psys" holds the packages again.
                if domain.name.count(":") != 1 or not _text(domain / "name").startswith("package"):
                    continue
                self._range[domain.name] = int(_text(domain / "max_energy_range_uj"))
                self._counters[domain.name] = domain / "energy_uj"
        except (OSError, ValueError) as error:
            self._counters, self.reason = {}, _why(error)
        if not self._counters and self.reason is None:
            self.reason = "this machine shows no RAPL counters"
        if self.read() is None and self.reason is None:
            self.reason = "the RAPL counters cannot be read"

    def read(self) -> Mapping[str, int] | None:
        """uJ on each counter, or None where they cannot be read any more."""
        if not self._counters:
            return None
        try:
            return {name: int(_text(path)) for name, path in self._counters.items()}
        except (OSError, ValueError) as error:
            self.reason = _why(error)
            return None

    def between(self, before: Mapping[str, int], after: Mapping[str, int]) -> float:
        """J that all packages took between two readings. A counter wraps at most once in the time between."""
        used = 0
        for name, end in after.items():
            step = end - before[name]
            used += step if step >= 0 else step + self._range[name] + 1
        return used * 1e-6


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "the RAPL counters may not be read by this user"
    return "the RAPL counters cannot be read"
